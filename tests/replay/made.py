"""Ledgers for the replay tests, made by a real router along sessions as agents have them."""

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from decimal import Decimal
from types import MappingProxyType

from attrs import define, field

from lynkr.model import Message, Part, Request, Role, Text, ToolCall, ToolResult, ToolSpec, Usage, WireFormat
from lynkr.pricing import Price, cost_of, rates_of
from lynkr.pricing.prompt_cache import CacheTerms, Held, after_prompt, partly
from lynkr.routing import MemoryPins, PipelineRouter, Snapshot, Target, Tariff, Tier, features_of, pin_after
from lynkr.routing.recorded import decision_json, seen_json
from lynkr.telemetry.record import Ending, Record

TIERS: Mapping[Tier, Sequence[str]] = MappingProxyType(
    {
        Tier.SIMPLE: ["openai:gpt-4.1-nano"],
        Tier.MEDIUM: ["openai:gpt-4.1-mini"],
        Tier.COMPLEX: ["anthropic:claude-sonnet-4-5"],
        Tier.REASONING: ["anthropic:claude-opus-4-5"],
    }
)
PRICES = {
    "openai:gpt-4.1-nano": Price(*map(Decimal, ("0.1", "0.4", "0.025"))),
    "openai:gpt-4.1-mini": Price(*map(Decimal, ("0.4", "1.6", "0.1"))),
    "anthropic:claude-sonnet-4-5": Price(*map(Decimal, ("3", "15", "0.3", "3.75"))),
    "anthropic:claude-opus-4-5": Price(*map(Decimal, ("5", "25", "0.5", "6.25"))),
}
ASKS = (
    "hi there",
    "explain what main.py does",
    "add a null check before this dereference",
    "refactor billing across three services and update every caller",
    "rotate the payment credentials and deploy to production",
    "prove from first principles that this queue is linearizable",
)
TOOLS = tuple(ToolSpec(name, f"what {name} does", {"type": "object"}) for name in ("Read", "Edit", "Bash"))


class Prices:
    """A price table of four models."""

    version = "made"

    def __init__(self, prices: Mapping[str, Price] = MappingProxyType(PRICES)) -> None:
        self._prices = prices

    def price(self, target: Target, /) -> Price | None:
        return self._prices.get(str(target))


def turns(rng: random.Random) -> Iterator[tuple[float, Request]]:
    """One session: pauses and requests, each with the history before it."""
    said: list[Message] = [Message.system("You are a coding agent. " + "Be careful. " * 500)]
    for number in range(rng.randint(1, 3)):
        said.append(Message.user(rng.choice(ASKS)))
        yield rng.choice((1.0, 30.0, 400.0)), _request(said)
        for step in range(rng.randint(0, 3)):
            name = f"call_{number}_{step}"
            call: tuple[Part, ...] = (ToolCall(name, "Read", '{"file_path": "/repo/src/core.py"}'),)
            found = Text("def f(): ...\n" * rng.choice((10, 200, 600)))
            said += [
                Message(Role.ASSISTANT, call),
                Message(Role.USER, (ToolResult(name, (found,), rng.random() < 0.2),)),
            ]
            yield rng.choice((1.0, 20.0)), _request(said)
        said.append(Message.assistant("Done."))
        if rng.random() < 0.2:
            yield 1.0, Request("auto", (*said, Message.user("[SUGGESTION MODE: what next?]")))


def _request(said: Sequence[Message]) -> Request:
    return Request(model="auto", messages=tuple(said), tools=TOOLS)


@define
class Provider:
    """What one session's targets really have cached."""

    hits: float
    held: dict[Target, Held] = field(factory=dict[Target, Held])
    sent: dict[Target, int] = field(factory=dict[Target, int])

    def usage(self, target: Target, tariff: Tariff, tokens: int, output: int, now: float) -> Usage:
        terms = CacheTerms.of(tariff)
        use, left = after_prompt(self.held.get(target), terms, tokens, self.sent.get(target, 0), now)
        self.held.pop(target, None)
        if left is not None:
            self.held[target] = left
        self.sent[target] = tokens
        use = partly(use, self.hits, terms)
        return Usage(tokens, output, use.read, use.written)


@define
class Ledger:
    """What a gateway with *router* would have recorded of the same sessions, with outages and real caches."""

    router: PipelineRouter
    outages: float = 0.05
    hits: float = 1.0
    with_text: bool = False
    reward: Callable[[Target, Tier], float] = lambda _target, _tier: 1.0
    prices: Prices = field(factory=Prices)
    pins: MemoryPins = field(factory=MemoryPins)

    def records(self, sessions: int, seed: int = 0) -> list[Record]:
        """Oldest first; the same requests, whatever the router."""
        found: list[Record] = []
        for number in range(sessions):
            rng = random.Random(seed * 1_000_003 + number)
            found += self.session(f"s{number}", 100.0 * number, rng)
        return sorted(found, key=lambda record: (record.at, record.id))

    def session(self, name: str, now: float, rng: random.Random) -> Iterator[Record]:
        provider = Provider(self.hits)
        for place, (pause, request) in enumerate(turns(rng)):
            now += pause
            down = frozenset(t for t in map(Target.parse, PRICES) if rng.random() < self.outages)
            snapshot = Snapshot(
                now,
                down,
                name,
                rng.getrandbits(63),
                pin=self.pins.get(name, now),
                rates=rates_of(self.prices, map(Target.parse, PRICES)),
            )
            output, luck = rng.randint(20, 900), rng.random()
            yield self.record(f"{name}-{place}", request, snapshot, provider, (output, luck))

    def record(
        self, id: str, request: Request, moment: Snapshot, provider: Provider, drawn: tuple[int, float]
    ) -> Record:
        decision = self.router.route(request, moment)
        target, tokens = decision.target, features_of(request).input_tokens
        output, luck = drawn
        after = pin_after(moment.pin, decision.keep, target, moment.now)
        if after is not None:
            self.pins.put(moment.session, after, moment.now)
            usage = provider.usage(target, moment.rates.tariffs[target], tokens, output, moment.now)
        else:
            usage = Usage(tokens, output, 0, 0)
        is_good = luck < self.reward(target, decision.tier)
        return Record(
            id,
            moment.now,
            WireFormat.ANTHROPIC_MESSAGES,
            "auto",
            False,
            Ending.OK if is_good else Ending.FAILED,
            200 if is_good else 502,
            session=moment.session,
            tier=decision.tier,
            served_tier=decision.tiers[0],
            score=decision.score,
            reason=decision.reason,
            trace=decision.trace,
            target=target,
            usage=usage,
            cost=cost_of(usage, target, None, self.prices),
            features=seen_json(features_of(request), moment, with_text=self.with_text),
            decision=decision_json(decision),
        )
