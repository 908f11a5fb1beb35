"""A month of a small team's traffic: real decisions by the real router, real prices, faults and all."""

import random
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from attrs import evolve, frozen

from lynkr.assembly import build_prices, build_router
from lynkr.model import Loss, Message, Request, ToolSpec, Usage, WireFormat
from lynkr.pricing import PriceTable, cost_of
from lynkr.resilience.outcome import AttemptKind, Outcome
from lynkr.routing import Decision, Snapshot, Target, Tier
from lynkr.routing.recorded import decision_json, seen_json
from lynkr.settings import Settings
from lynkr.telemetry import AttemptRecord, Cost, Ending, Record, SQLiteStore
from lynkr.telemetry.record import Signal, SignalKind

ADMIN_KEY = "the-dashboards-own-key-0123456789"
DAY = 86_400.0
HOSTILE = '<img src=x onerror="window.stolen=1"><script>window.stolen=1</script>\'"&{{7*7}}'

ASKS: Sequence[tuple[str, int, int]] = (
    ("hi, are you there?", 900, 40),
    ("what is the capital of Portugal?", 1_200, 60),
    ("rename the variable `count` to `total` in this file", 9_000, 350),
    ("write a function that parses ISO dates and add a docstring", 6_500, 900),
    ("explain what this regular expression does", 4_000, 500),
    (
        "review the architecture of the billing service and refactor it across the three packages",
        62_000,
        2_400,
    ),
    (
        "debug the deadlock between the scheduler and the connection pool; several files are involved",
        88_000,
        3_100,
    ),
    ("Prove that the scheduler cannot deadlock; derive the invariants from first principles", 41_000, 5_200),
    ("audit the authentication of this service step by step and reason about every bypass", 73_000, 6_000),
)
_TOOLS = tuple(
    ToolSpec(name=name, description="", input_schema={"type": "object"})
    for name in ("read", "edit", "bash", "grep")
)


def settings_of(ledger: Path, **overrides: object) -> Settings:
    """Three providers, one of them without its key; the dashboard's door has a key.

    An override of None takes a setting away.
    """
    tree: dict[str, object] = {
        "tiers.SIMPLE": ["ollama:qwen3", "openai:gpt-4.1-nano"],
        "tiers.MEDIUM": ["openai:gpt-4.1-mini"],
        "tiers.COMPLEX": ["anthropic:claude-sonnet-4-5", "openai:gpt-4.1"],
        "tiers.REASONING": ["anthropic:claude-opus-4-5"],
        "providers.anthropic.api_key": "a-key",
        "telemetry.path": str(ledger),
        "telemetry.retention_days": 10_000,
        "server.admin_key": ADMIN_KEY,
        "server.drain_seconds": 1,
    }
    given = {key: value for key, value in (tree | overrides).items() if value is not None}
    return Settings.load(None, {}, overrides=given)


@frozen
class _Session:
    name: str
    agent: str
    asks: tuple[int, ...]
    began: float


class Month:
    """Makes records; the same *seed* and *now* make the same ones."""

    def __init__(self, settings: Settings, now: float, seed: int = 7) -> None:
        self._prices: PriceTable = build_prices(settings)
        self._router = build_router(settings)
        self._flagship = settings.pricing.flagship
        self._random = random.Random(seed)
        self._now = now
        self._number = 0
        self._snapshot = Snapshot(now=now)
        self._decisions = [self._decide(text) for text, _, _ in ASKS]

    def records(self, sessions: int = 160) -> Iterator[Record]:
        """All records, oldest first."""
        made = [record for session in self._sessions(sessions) for record in self._calls(session)]
        made.sort(key=lambda record: record.at)
        yield from made

    def titled(self, record: Record) -> Record:
        """The title that a client has a dear model write for the session of *record*."""
        target, usage = Target("anthropic", "claude-sonnet-4-5"), Usage(2_600, 14, 0, 0)
        cost = cost_of(usage, target, self._flagship, self._prices)
        tried = AttemptRecord(
            target, record.at, 1.1, 200, Outcome.SUCCESS, usage=usage, kind=AttemptKind.FIRST
        )
        return evolve(
            record, id=f"{record.id}t", traffic="title", tier=None, served_tier=None, trace=(), reason=None,
            features=None, decision=None,
            requested_model=str(target), target=target, usage=usage, cost=cost, ending=Ending.OK, status=200,
            error=None, attempts=(evolve(tried, cost_microusd=cost.cost_microusd),), seconds=1.1,
            seconds_to_first_event=0.7, tools_offered=0, tool_calls=0, losses=(),
        )  # fmt: skip

    def _decide(self, text: str) -> Decision:
        request = Request(model="lynkr-auto", messages=(Message.user(text),), tools=_TOOLS)
        return self._router.route(request, self._snapshot)

    def _sessions(self, number: int) -> Iterator[_Session]:
        draw = self._random
        for at in range(number):
            # More of late, fewer at the weekend's end of each week.
            days = 30 * draw.random() ** 1.3
            yield _Session(
                name=f"{draw.getrandbits(64):016x}" if at % 3 else f"team-{at % 7}/feature-{at}",
                agent=draw.choice(("claude-code", "codex", "cursor")),
                asks=tuple(
                    draw.choices(range(len(ASKS)), (9, 6, 9, 8, 6, 5, 4, 1, 1), k=draw.randint(1, 16))
                ),
                began=self._now - days * DAY - 4_000 * draw.random() - 30,
            )

    def _calls(self, session: _Session) -> Iterator[Record]:
        at, context = session.began, 0
        for ask in session.asks:
            at += 20 + self._random.expovariate(1 / 90)
            if at >= self._now - 5:
                return
            context = min(180_000, context + ASKS[ask][1] // 3)
            yield self._record(session, ask, at, context)

    def _record(self, session: _Session, ask: int, at: float, context: int) -> Record:
        draw, decision = self._random, self._decisions[ask]
        target, tried = decision.target, []
        fails = draw.random() < 0.035
        if fails and len(decision.targets) > 1:
            tried.append(self._failed(target, at))
            target = decision.targets[1]
        elif draw.random() < 0.02:
            tried.append(self._cut(target, at, ask, context))
        lost = fails and draw.random() < 0.4
        seconds = draw.lognormvariate(0.6, 0.6) * (1 + ASKS[ask][2] / 900)
        usage = self._usage(ask, context, target)
        extra = sum(one.cost_microusd or 0 for one in tried)
        cost = evolve(cost_of(usage, target, self._flagship, self._prices), overhead_microusd=extra or None)
        self._number += 1
        kind = AttemptKind.FIRST
        if tried:
            kind = AttemptKind.RETRY if tried[0].target == target else AttemptKind.FALLBACK
        tail = self._failed(target, at + 1, kind)
        if not lost:
            tail = AttemptRecord(
                target,
                at + (tried[0].seconds if tried else 0.001),
                seconds,
                200,
                Outcome.SUCCESS,
                usage=usage,
                cost_microusd=cost.cost_microusd,
                kind=kind,
            )
        left = not lost and draw.random() < 0.02
        seen = decision.features
        return Record(
            id=f"{int(at * 1000):012x}{self._number:016x}",
            at=at,
            client_format=WireFormat.OPENAI_RESPONSES
            if session.agent == "codex"
            else WireFormat.ANTHROPIC_MESSAGES,
            requested_model="claude-lynkr-auto",
            stream=True,
            ending=Ending.FAILED if lost else Ending.CANCELLED if left else Ending.OK,
            status=529 if lost else 200,
            tier=decision.tier,
            served_tier=None if lost else decision.tier,
            score=decision.score,
            reason=decision.reason,
            trace=decision.trace,
            session=session.name,
            target=None if lost else target,
            attempts=(*tried, tail),
            usage=Usage() if lost else usage,
            cost=Cost() if lost else cost,
            seconds=seconds + sum(one.seconds for one in tried),
            seconds_to_first_event=None if lost else min(seconds, draw.lognormvariate(-0.5, 0.5)),
            error="UpstreamBusy" if lost else None,
            losses=(Loss("thinking.budget_tokens", "the target's dialect has no such field"),)
            if ask == 7
            else (),
            agent=session.agent,
            traffic="main",
            features=None if seen is None else seen_json(seen, evolve(self._snapshot, now=at)),
            decision=decision_json(decision),
            tools_offered=len(_TOOLS),
            tool_calls=0 if ask in (0, 1, 4) else draw.randint(0, 3),
        )

    def _usage(self, ask: int, context: int, target: Target) -> Usage:
        draw = self._random
        whole = max(400, int(context * draw.uniform(0.9, 1.1)) + ASKS[ask][1] // 4)
        output = max(8, int(ASKS[ask][2] * draw.lognormvariate(0, 0.4)))
        if target.provider == "ollama":
            return Usage(whole, output)
        warm = int(
            whole * draw.choice((0.0, 0.1, 0.3) if target.model == "gpt-4.1-mini" else (0.0, 0.6, 0.85, 0.9))
        )
        written = int((whole - warm) * 0.5) if target.provider == "anthropic" else None
        return Usage(whole, output, warm, written, reasoning=int(output * 0.4) if ask >= 7 else None)

    def _cut(self, target: Target, at: float, ask: int, context: int) -> AttemptRecord:
        """An answer that broke off, and was charged for."""
        usage = self._usage(ask, context, target)
        paid = cost_of(usage, target, self._flagship, self._prices).cost_microusd
        return AttemptRecord(
            target,
            at,
            self._random.uniform(1, 4),
            200,
            Outcome.FAILURE,
            "UpstreamWireError",
            "the stream broke off",
            usage=usage,
            cost_microusd=paid,
            kind=AttemptKind.FIRST,
            partial=True,
        )

    def _failed(self, target: Target, at: float, kind: AttemptKind = AttemptKind.FIRST) -> AttemptRecord:
        seconds = self._random.uniform(0.2, 1.5)
        error = ("UpstreamBusy", "overloaded_error")
        return AttemptRecord(target, at, seconds, 529, Outcome.FAILURE, *error, kind=kind)


def hostile(now: float) -> Record:
    """A request in which everything a client or an upstream may write is an attack on who reads it."""
    target = Target(f"evil{HOSTILE}", f"model{HOSTILE}")
    return Record(
        id="hostile" + "<b onmouseover=alert(1)>",
        at=now - 1,
        client_format=WireFormat.OPENAI_CHAT,
        requested_model=HOSTILE,
        stream=False,
        ending=Ending.FAILED,
        status=502,
        reason=HOSTILE,
        session=f"session{HOSTILE}",
        target=target,
        attempts=(
            AttemptRecord(
                target, now - 1, 0.5, 502, Outcome.FAILURE, error=HOSTILE, detail=HOSTILE + "\u202e"
            ),
        ),
        error=HOSTILE,
        losses=(Loss(HOSTILE, HOSTILE),),
        prompt=HOSTILE,
        answer=HOSTILE,
        agent=HOSTILE,
        seconds=0.5,
    )


def heard(records: Sequence[Record]) -> list[Signal]:
    """What people and verifiers said of some of them."""
    routed = [record for record in records if record.tier is not None and record.ending is Ending.OK]
    complex_ones = [record for record in routed if record.tier is Tier.COMPLEX]
    kinds = (SignalKind.TOO_STRONG, SignalKind.RIGHT, SignalKind.TOO_STRONG)
    signals = [Signal(record.id, SignalKind.RETRIED, record.at + 40) for record in routed[::23]]
    signals += [Signal(record.id, SignalKind.ESCALATED, record.at + 50) for record in routed[5::61]]
    return signals + [
        Signal(record.id, kinds[at % 3], record.at + 60, "feedback")
        for at, record in enumerate(complex_ones[::2])
    ]


def seed(settings: Settings, *, now: float | None = None, sessions: int = 160) -> int:
    """Write the month into the ledger of *settings*; how many records that were."""
    path = settings.telemetry.file
    assert path is not None
    moment = time.time() if now is None else now
    month = Month(settings, moment)
    records = list(month.records(sessions))
    records += [month.titled(record) for record in records[::12]]
    # The prices of a while: a request of a target that no list knows has an unknown cost.
    records.append(
        evolve(
            records[-1], id="unpriced", target=Target("lab", "experiment-3"), cost=Cost(), tier=None, trace=()
        )
    )
    store = SQLiteStore(path)
    try:
        store.write(records)
        store.signal(heard(records))
    finally:
        store.close()
    return len(records)
