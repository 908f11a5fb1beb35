"""For people who write policies: prices, agent sessions and moments to try them on, and their laws.

`assert_policy_laws(router)` tries a whole router on generated sessions and raises
with the smallest counterexample it finds.  `RouterMachine` goes through a
session turn by turn, with a pin store, fallbacks and outages, as a Hypothesis state machine.

Needs the extra ``testing``.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import ClassVar, Final, TypeAlias

from attrs import evolve, frozen
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from hypothesis.strategies import DrawFn, SearchStrategy

from lynkr.errors import ConfigError, RoutingError
from lynkr.model import (
    Image,
    ImageSource,
    Message,
    OutputFormat,
    OutputKind,
    Part,
    Request,
    Role,
    Text,
    ToolCall,
    ToolResult,
    ToolSpec,
)
from lynkr.routing.constraints import is_cheaper
from lynkr.routing.context import NO_CONTEXT, RequestClass, RequestContext
from lynkr.routing.decision import (
    NO_RATES,
    CacheKind,
    Decision,
    Pin,
    Profile,
    Rates,
    Snapshot,
    Target,
    Tariff,
    Tier,
)
from lynkr.routing.features import features_of
from lynkr.routing.pins import MemoryPins
from lynkr.routing.protocols import TierRouter
from lynkr.routing.router import PipelineRouter
from lynkr.routing.stickiness import pin_after
from lynkr.routing.tiers import TierMap
from lynkr.testing.laws import check_router_laws
from lynkr.testing.strategies import KNOWN_TARGETS

__all__ = [
    "LAWS",
    "RouterMachine",
    "Turn",
    "agent_sessions",
    "asks",
    "assert_policy_laws",
    "price_tables",
    "tariffs",
]

Profiles: TypeAlias = Callable[[Target], Profile]

_INPUTS: Final = (0.05, 0.25, 1.0, 1.25, 3.0, 5.0, 15.0)
_ASKS: Final = (
    "hi there",
    "what is the capital of France?",
    "add a null check before this dereference",
    "explain what main.py does",
    "refactor billing across three services and update every caller",
    "debug this race condition in the connection pool",
    "rotate the payment credentials and deploy to production",
    "prove from first principles that this queue is linearizable",
)
_HARDER: Final = (
    "and prove from first principles that it cannot deadlock",
    "across every service of the monorepo, without downtime",
)
_SIDE: Final = ("[SUGGESTION MODE: what next?]", "Please write a 5-10 word title for this conversation")
_NOISE: Final = ("be secure", "prove the deadlock theorem", "today is Monday", "x" * 3_000)
_TOOLS: Final = tuple(
    ToolSpec(name, f"what {name} does", {"type": "object"}) for name in ("Read", "Edit", "Bash", "Grep")
)
_UNHURRIED: Final = (HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much)
_PICTURE: Final = Image(ImageSource.URL, "https://example.com/a.png")


# --- Strategies ---------------------------------------------------------------------------------------


@st.composite
def tariffs(draw: DrawFn) -> Tariff:
    """What targets charge, around the prices of the day; every way a cache is paid for."""
    cache = draw(st.sampled_from(CacheKind))
    if cache is CacheKind.LOCAL:
        speed = draw(st.sampled_from((None, 300.0, 4_000.0)))
        return Tariff(0.0, 0.0, cache=cache, prefill_tokens_per_second=speed)
    price = draw(st.sampled_from(_INPUTS))
    output = price * draw(st.sampled_from((1.0, 4.0, 5.0, 8.0)))
    if cache is CacheKind.NONE:
        return Tariff(price, output)
    read = price * draw(st.sampled_from((0.02, 0.1, 0.25, 0.5)))
    write = price * draw(st.sampled_from((1.0, 1.25, 2.0))) if cache is CacheKind.EXPLICIT else None
    return Tariff(price, output, read, write, cache)


@st.composite
def price_tables(draw: DrawFn, among: Sequence[Target] = KNOWN_TARGETS) -> Rates:
    """The prices of some of *among*; those of the others are unknown.

    Without *among*: of the handful of targets that `lynkr.testing.targets` draws from.
    """
    priced = {target: draw(tariffs()) for target in among if draw(st.integers(0, 3))}
    return Rates(priced, draw(st.sampled_from((None, "2026-11-23"))))


def asks() -> SearchStrategy[str]:
    """What users say, from a greeting to a proof."""
    return st.sampled_from(_ASKS)


@frozen
class Turn:
    """One request of a session, and what its client states beside it."""

    request: Request
    context: RequestContext = NO_CONTEXT


@st.composite
def agent_sessions(draw: DrawFn, *, max_asks: int = 3) -> tuple[Turn, ...]:
    """A coding agent's session, request by request: asks, the loops they start, side traffic between.

    The history of a request is that of the one before it and what was said since, as clients send it.
    """
    said: list[Message] = [Message.system("You are a coding agent.")] if draw(st.booleans()) else []
    turns: list[Turn] = []
    for number in range(draw(st.integers(1, max_asks))):
        said.append(_spoken(draw(asks()), draw(st.sampled_from((None, *_NOISE)))))
        turns.append(_turn(said))
        for step in range(draw(st.integers(0, 3))):
            said += _step(f"call_{number}_{step}", is_error=draw(st.booleans()))
            turns.append(_turn(said))
        said.append(Message.assistant("Done."))
        if draw(st.integers(0, 3)) == 0:
            turns.append(_side_turn(said, draw(st.sampled_from(_SIDE)), stated=draw(st.booleans())))
    return tuple(turns)


def _turn(said: Sequence[Message]) -> Turn:
    return Turn(Request(model="auto", messages=tuple(said), tools=_TOOLS))


def _side_turn(said: Sequence[Message], ask: str, *, stated: bool) -> Turn:
    context = RequestContext(request_class=RequestClass.AUXILIARY) if stated else NO_CONTEXT
    return Turn(Request(model="auto", messages=(*said, Message.user(ask))), context)


def _spoken(ask: str, noise: str | None) -> Message:
    if noise is None:
        return Message.user(ask)
    return Message(Role.USER, (Text(f"<system-reminder>{noise}</system-reminder>"), Text(ask)))


def _step(call_id: str, *, is_error: bool = False) -> tuple[Message, Message]:
    call = ToolCall(call_id, "Read", '{"file_path": "/repo/src/core.py"}')
    result = ToolResult(call_id, (Text("no such file" if is_error else "def f(): ..."),), is_error)
    return Message(Role.ASSISTANT, (call,)), Message(Role.USER, (result,))


# --- Laws ---------------------------------------------------------------------------------------------


@frozen
class Case:
    """What the laws try a router on: a turn of a session and a moment to route it in."""

    turn: Turn
    snapshot: Snapshot
    harder: str
    noise: str

    def __str__(self) -> str:
        features = features_of(self.turn.request, self.turn.context)
        pin = self.snapshot.pin
        return (
            f"ask {features.ask!r}, {features.messages} messages, loop open: {features.loop_open}, "
            f"pin: {None if pin is None else str(pin.served)}, "
            f"unavailable: {sorted(map(str, self.snapshot.unavailable))}"
        )


@frozen
class House:
    """A router on trial and what is known of its targets."""

    router: TierRouter
    tiers: TierMap
    profiles: Profiles

    @property
    def targets(self) -> tuple[Target, ...]:
        return tuple(rung.target for rung in self.tiers.ladder(Tier.SIMPLE))

    def route(self, request: Request, snapshot: Snapshot) -> Decision | None:
        try:
            return self.router.route(request, snapshot)
        except RoutingError:
            return None


Law: TypeAlias = Callable[[House, Case], None]


def deterministic(house: House, case: Case) -> None:
    """Equal arguments, equal decision; no target is invented, doubled, or down beside one that is up."""
    check_router_laws(house.router, case.turn.request, case.snapshot, configured=house.targets)


def capable(house: House, case: Case) -> None:
    """No target is offered that is known to lack what the request needs."""
    decision = house.route(case.turn.request, case.snapshot)
    features = features_of(case.turn.request, case.turn.context)
    for target in () if decision is None else decision.targets:
        profile = house.profiles(target)
        lacks = {
            "tools": features.needs_tools and profile.tools is False,
            "vision": features.needs_vision and profile.vision is False,
            "structured output": features.needs_structured_output and profile.structured_output is False,
            "context": profile.context_window is not None
            and features.least_input_tokens >= profile.context_window,
        }
        for need, missing in lacks.items():
            _check(not missing, "capability soundness", f"{target} lacks {need}", case)


def loyal(house: House, case: Case) -> None:
    """No switch inside an open tool loop, as long as the pinned target can serve."""
    pin = case.snapshot.pin
    features = features_of(case.turn.request, case.turn.context)
    if pin is None or features.is_side_traffic or not features.loop_open:
        return
    decision = house.route(case.turn.request, case.snapshot)
    if decision is not None and pin.served in decision.targets:
        told = f"the loop began at {pin.served} and goes on at {decision.target}"
        _check(decision.target == pin.served, "no switch inside a tool loop", told, case)


def monotone(house: House, case: Case) -> None:
    """A harder ask, or one more required capability, never lowers the tier."""
    request = case.turn.request
    features = features_of(request, case.turn.context)
    if not features.ask or features.is_side_traffic:
        return
    alone = house.route(request, case.snapshot)
    last = Message(Role.USER, (Text(f"{features.ask}, {case.harder}"),))
    changes = {
        f"asking also {case.harder!r}": evolve(request, messages=_with_last_ask(request, last)),
        "an image": evolve(
            request, messages=_with_last_ask(request, Message(Role.USER, (_PICTURE, Text(features.ask))))
        ),
        "structured output": evolve(request, output_format=OutputFormat(OutputKind.JSON_OBJECT)),
    }
    for change, more in changes.items():
        decision = house.route(more, case.snapshot)
        if alone is not None and decision is not None:
            told = f"{change} lowers the tier from {alone.tier.name} to {decision.tier.name}"
            _check(decision.tier >= alone.tier, "monotonicity", told, case)


def unmoved_by_envelopes(house: House, case: Case) -> None:
    """What a harness wraps around the words changes neither tier nor target."""
    request = case.turn.request
    note = Text(f"<system-reminder>\n{case.noise}\n</system-reminder>")
    place = next((i for i, m in enumerate(request.messages) if m.role is Role.USER), None)
    if place is None:
        return
    wrapped = evolve(request.messages[place], parts=(note, *request.messages[place].parts))
    loud = evolve(request, messages=(*request.messages[:place], wrapped, *request.messages[place + 1 :]))
    one, other = house.route(request, case.snapshot), house.route(loud, case.snapshot)
    if one is not None and other is not None:
        told = f"{case.noise[:40]!r} moves it from {_said(one)} to {_said(other)}"
        _check(_said(one) == _said(other), "envelope irrelevance", told, case)


def unmoved_by_order(house: House, case: Case) -> None:
    """The order in which a snapshot lists targets, prices and latencies decides nothing."""
    rates, snapshot = case.snapshot.rates, case.snapshot
    turned = evolve(
        snapshot,
        unavailable=frozenset(sorted(snapshot.unavailable, reverse=True)),
        rates=evolve(rates, tariffs=dict(reversed(list(rates.tariffs.items())))),
        latencies=dict(reversed(list(snapshot.latencies.items()))),
    )
    one, other = (house.route(case.turn.request, moment) for moment in (snapshot, turned))
    _check(one == other, "candidate-order invariance", "the snapshot's own order decides", case)


def undominated(house: House, case: Case) -> None:
    """No new session is served by a target that is weaker and dearer than another that could serve it."""
    features = features_of(case.turn.request, case.turn.context)
    if case.snapshot.pin is not None or features.is_side_traffic:
        return
    decision = house.route(case.turn.request, case.snapshot)
    if decision is None:
        return
    strength = {target: tier for tier in Tier for target in house.tiers.tiers.get(tier, ())}
    tariffs_, first = case.snapshot.rates.tariffs, decision.target
    for other in decision.targets[1:]:
        if other in tariffs_ and first in tariffs_ and strength.get(other, 0) > strength.get(first, 0):
            told = f"{first} serves, though {other} is stronger and costs less"
            _check(not is_cheaper(tariffs_[other], tariffs_[first]), "no dominated choice", told, case)


def bounded(house: House, case: Case) -> None:
    """A request is tried no more often than there are targets."""
    decision = house.route(case.turn.request, case.snapshot)
    if decision is not None:
        count = len(decision.targets)
        _check(count <= len(house.targets), "bounded attempts", f"{count} attempts", case)


LAWS: Final[Mapping[str, Law]] = {
    "determinism": deterministic,
    "capability soundness": capable,
    "no switch inside a tool loop": loyal,
    "monotonicity": monotone,
    "envelope irrelevance": unmoved_by_envelopes,
    "candidate-order invariance": unmoved_by_order,
    "no dominated choice": undominated,
    "bounded attempts": bounded,
}
"""The laws by name."""


def assert_policy_laws(
    router: TierRouter,
    *,
    tiers: TierMap | None = None,
    profiles: Profiles = lambda _target: Profile(),
    laws: Sequence[str] = tuple(LAWS),
    max_examples: int = 100,
) -> None:
    """Try *router* on generated agent sessions, prices, outages and pins.

    *tiers* says which targets it was built with, and may be left out for a
    `PipelineRouter`.  *profiles* is what is known of them.  *laws* are names of `LAWS`.
    The cases are the same each time.

    Raises:
        AssertionError: a law is broken; it names the law and the smallest case found that breaks it.
        ConfigError: *tiers* is missing, or a law is unknown.
    """
    known = tiers or (router.tiers if isinstance(router, PipelineRouter) else None)
    if known is None:
        raise ConfigError("assert_policy_laws needs tiers=TierMap.of({...}) to know this router's targets")
    unknown = sorted(set(laws) - set(LAWS))
    if unknown:
        raise ConfigError(f"no such law: {', '.join(unknown)}; there are {', '.join(LAWS)}")
    house = House(router, known, profiles)
    trial = settings(
        max_examples=max_examples,
        deadline=None,
        database=None,
        derandomize=True,
        print_blob=False,
        phases=(Phase.generate, Phase.shrink),
        suppress_health_check=_UNHURRIED,
        report_multiple_bugs=False,
    )

    @trial
    @given(_cases(house.targets))
    def hold(case: Case) -> None:
        for name in laws:
            LAWS[name](house, case)

    hold()


@st.composite
def _cases(draw: DrawFn, targets: tuple[Target, ...]) -> Case:
    turn = draw(st.sampled_from(draw(agent_sessions(max_asks=2))))
    among = st.sampled_from(targets)
    snapshot = Snapshot(
        now=draw(st.sampled_from((0.0, 10.0, 1_000.0))),
        unavailable=draw(st.frozensets(among, max_size=len(targets))),
        session="s",
        seed=draw(st.integers(0, 2**32)),
        context=turn.context,
        pin=draw(
            st.none()
            | st.builds(
                Pin, served=among, home=st.none() | among, tokens=st.sampled_from((0, 5_000, 150_000))
            )
        ),
        rates=draw(price_tables(targets)),
        latencies=draw(st.dictionaries(among, st.sampled_from((0.5, 20.0)))),
    )
    return Case(turn, snapshot, draw(st.sampled_from(_HARDER)), draw(st.sampled_from(_NOISE)))


def _check(holds: bool, law: str, told: str, case: Case) -> None:
    if not holds:
        raise AssertionError(f"{law}: {told} ({case})")


def _said(decision: Decision) -> tuple[str, str]:
    return decision.tier.name, str(decision.target)


def _with_last_ask(request: Request, ask: Message) -> tuple[Message, ...]:
    """The messages with *ask* in place of the newest typed one."""
    for place in range(len(request.messages) - 1, -1, -1):
        message = request.messages[place]
        typed = message.role is Role.USER and any(isinstance(part, Text) for part in message.parts)
        if typed:
            results: tuple[Part, ...] = tuple(p for p in message.parts if isinstance(p, ToolResult))
            merged = evolve(ask, parts=(*results, *ask.parts))
            return (*request.messages[:place], merged, *request.messages[place + 1 :])
    return (*request.messages, ask)


# --- A session, turn by turn --------------------------------------------------------------------------


class RouterMachine(RuleBasedStateMachine):
    """One session through asks, tool loops, side traffic, outages, fallbacks, pauses and prices.

    Subclass it with a *router* (and *targets*, unless it is a `PipelineRouter`) and
    give ``TestCase`` to pytest::

        class MyMachine(RouterMachine):
            router = my_router

        TestMyRouter = MyMachine.TestCase
    """

    router: ClassVar[TierRouter]
    targets: ClassVar[tuple[Target, ...]] = ()

    @initialize(ttl=st.sampled_from((60.0, 6 * 3600.0)), data=st.data())
    def begin(self, ttl: float, data: st.DataObject) -> None:
        self.now: float = 0.0
        self.pins: MemoryPins = MemoryPins(ttl)
        self.said: list[Message] = []
        self.down: set[Target] = set()
        self.loop: Target | None = None
        self.calls: int = 0
        router = type(self).router
        self.known: tuple[Target, ...] = self.targets or (
            tuple(rung.target for rung in router.tiers.ladder(Tier.SIMPLE))
            if isinstance(router, PipelineRouter)
            else ()
        )
        self.rates: Rates = data.draw(st.just(NO_RATES) | price_tables(self.known))

    def _serve(self, turn: Turn, *, fails: int = 0) -> Decision | None:
        pin = self.pins.get("s", self.now)
        snapshot = Snapshot(
            now=self.now,
            unavailable=frozenset(self.down),
            session="s",
            context=turn.context,
            pin=pin,
            rates=self.rates,
        )
        try:
            decision = type(self).router.route(turn.request, snapshot)
        except RoutingError:
            return None
        served = decision.targets[min(fails, len(decision.targets) - 1)]
        after = pin_after(pin, decision.keep, served, self.now)
        if after is not None:
            self.pins.put("s", after, self.now)
            self.loop = served
        return decision

    @rule(ask=asks(), noise=st.sampled_from((None, *_NOISE)), fails=st.sampled_from((0, 0, 0, 1)))
    def ask(self, ask: str, noise: str | None, fails: int) -> None:
        if self.said:
            self.said.append(Message.assistant("Done."))
        self.said.append(_spoken(ask, noise))
        self.loop = None
        self._serve(_turn(self.said), fails=fails)

    @precondition(lambda self: self.said)
    @rule(is_error=st.booleans())
    def use_a_tool(self, is_error: bool) -> None:
        self.said += _step(f"call_{self.calls}", is_error=is_error)
        self.calls += 1
        before = self.loop
        pinned = self.pins.get("s", self.now)
        decision = self._serve(_turn(self.said))
        if decision is not None and before is not None and pinned is not None and before in decision.targets:
            told = f"the loop began at {before} and goes on at {decision.target}"
            if decision.target != before:
                raise AssertionError(f"no switch inside a tool loop: {told}")

    @precondition(lambda self: self.said)
    @rule(ask=st.sampled_from(_SIDE), stated=st.booleans())
    def side_traffic(self, ask: str, stated: bool) -> None:
        before, loop = self.pins.get("s", self.now), self.loop
        self._serve(_side_turn(self.said, ask, stated=stated))
        self.loop = loop
        if self.pins.get("s", self.now) != before:
            raise AssertionError("side traffic wrote the session's pin")

    @rule(seconds=st.sampled_from((1.0, 59.0, 61.0, 400.0)))
    def wait(self, seconds: float) -> None:
        self.now += seconds

    @rule(choice=st.integers(0, 15), is_down=st.booleans())
    def outage(self, choice: int, is_down: bool) -> None:
        if self.known:
            target = self.known[choice % len(self.known)]
            (self.down.add if is_down else self.down.discard)(target)

    @invariant()
    def something_always_serves(self) -> None:
        """The panic law: outages alone never leave an ask without a target."""
        if self.said:
            snapshot = Snapshot(now=self.now, unavailable=frozenset(self.down), rates=self.rates)
            decision = type(self).router.route(_turn(self.said).request, snapshot)
            if len(decision.targets) > max(1, len(self.known)) and self.known:
                raise AssertionError(f"{len(decision.targets)} attempts for {len(self.known)} targets")
