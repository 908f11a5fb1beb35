"""Every permit comes back exactly once, with the verdict its attempt earned."""

import math
from contextlib import suppress

import anyio
import pytest
from attrs import define, evolve, field
from hypothesis import given
from hypothesis import strategies as st

from lynkr.errors import (
    CircuitOpen,
    LynkrError,
    UpstreamBusy,
    UpstreamFailed,
    UpstreamRefused,
    UpstreamWireError,
)
from lynkr.layers import breaker, retry, standard_layers
from lynkr.resilience.breaker import BreakerConfig
from lynkr.resilience.outcome import Outcome
from lynkr.resilience.protocols import BreakerState, BreakerStatus, CircuitBreaker, Permit
from lynkr.resilience.registry import MemoryBreakers
from lynkr.routing.decision import Target
from lynkr.service import Call, Layer, Reply, Service, stack
from tests.layers.scripted import EVENTS, A, Answer, B, Clock, Scripted, Step, call_to, read

pytestmark = pytest.mark.anyio


@define
class Ledger:
    """A registry that writes down what the breaker of the one target is told."""

    given: int = 0
    settled: list[tuple[int, Outcome]] = field(factory=list[tuple[int, Outcome]])
    keys: set[str] = field(factory=set[str])
    credentials: MemoryBreakers = field(factory=MemoryBreakers)

    def breaker(self, key: str, /) -> CircuitBreaker:
        if key.endswith(":*"):
            return self.credentials.breaker(key)
        self.keys.add(key)
        return self

    def statuses(self, now: float, /) -> tuple[BreakerStatus, ...]:
        return (self.status(now),)

    def force(self, key: str, state: BreakerState, now: float, /) -> None:
        raise NotImplementedError

    def state(self, now: float, /) -> BreakerState:
        return BreakerState.CLOSED

    def status(self, now: float, /) -> BreakerStatus:
        return BreakerStatus("x", BreakerState.CLOSED, 0, 0, 0, now, None)

    def try_acquire(self, now: float, /) -> Permit:
        self.given += 1
        return Permit(self.given)

    def refusing(self, now: float, /) -> frozenset[str]:
        return frozenset()

    def settle(self, permit: Permit, outcome: Outcome, now: float, /, *, slow: bool = False) -> None:
        self.settled.append((permit.generation, outcome))


FAILED = UpstreamFailed("no", target="x", status=500)
REFUSED = UpstreamRefused("no", target="x", status=400)


@pytest.mark.parametrize(
    ("step", "outcome"),
    [
        (Answer(), Outcome.SUCCESS),
        (FAILED, Outcome.FAILURE),
        (REFUSED, Outcome.IGNORED),
        (KeyError("choices"), Outcome.FAILURE),
        (Answer(EVENTS[:3], UpstreamWireError("cut short")), Outcome.FAILURE),
        (Answer(EVENTS[:3], REFUSED), Outcome.IGNORED),
    ],
)
async def test_the_verdict_is_that_of_the_whole_answer(step: Step, outcome: Outcome) -> None:
    ledger = Ledger()
    with suppress(UpstreamFailed, UpstreamRefused, UpstreamWireError, KeyError):
        await read(await breaker(ledger)(Scripted({A: [step]}))(call_to(A)))
    assert ledger.settled == [(1, outcome)]
    assert ledger.keys == {str(A)}


@given(st.integers(0, len(EVENTS) + 1), st.integers(1, 3))
async def test_a_reader_who_stops_early_proves_nothing_unless_the_answer_was_whole(
    taken: int, closes: int
) -> None:
    ledger = Ledger()
    reply = await breaker(ledger)(Scripted({A: [Answer()]}))(call_to(A))
    assert ledger.settled == [], "not before the answer's end"
    assert reply.events is not None
    for _ in range(taken):
        with suppress(StopAsyncIteration):
            await reply.events.__anext__()
    for _ in range(closes):
        await reply.aclose()
    assert ledger.settled == [(1, Outcome.SUCCESS if taken >= len(EVENTS) else Outcome.IGNORED)]


async def wait_for_ever(call: Call) -> Reply:
    await anyio.sleep(math.inf)
    raise AssertionError


class Stalled:
    """A stream whose upstream never says another word."""

    def __aiter__(self) -> "Stalled":
        return self

    async def __anext__(self) -> bytes:
        await anyio.sleep(math.inf)
        raise AssertionError

    async def aclose(self) -> None:
        pass


async def stall(call: Call) -> Reply:
    reply = await Scripted({A: [Answer()]})(call)
    return evolve(reply, events=None, raw=Stalled())


async def serve(service: Service) -> None:
    reply = await service(call_to(A))
    assert reply.raw is not None
    try:
        async for _ in reply.raw:
            raise AssertionError
    finally:
        with anyio.CancelScope(shield=True):
            await reply.aclose()


@pytest.mark.parametrize("service", [wait_for_ever, stall])
@pytest.mark.parametrize("outer", [None, retry()])
async def test_a_cancelled_call_gives_its_permit_back_ignored(service: Service, outer: Layer | None) -> None:
    ledger = Ledger()
    guarded = breaker(ledger)(service)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(serve, guarded if outer is None else outer(guarded))
        with anyio.fail_after(5):
            while not ledger.given:
                await anyio.lowlevel.checkpoint()
            for _ in range(20):
                await anyio.lowlevel.checkpoint()
        tasks.cancel_scope.cancel()
    assert ledger.settled == [(1, Outcome.IGNORED)]


async def test_a_cancelled_probe_leaves_the_circuit_ready_for_the_next() -> None:
    clock, registry = Clock(), MemoryBreakers(BreakerConfig(consecutive_failures=1))
    service = breaker(registry, clock=clock)(Scripted({A: [FAILED, Answer(), Answer()]}))
    with pytest.raises(UpstreamFailed):
        await service(call_to(A))
    clock.now += 15
    await (await service(call_to(A))).aclose()
    assert registry.breaker(str(A)).state(clock.now) is BreakerState.HALF_OPEN
    await read(await service(call_to(A)))
    assert registry.breaker(str(A)).state(clock.now) is BreakerState.CLOSED


async def test_an_open_circuit_sends_nothing_and_says_when_it_will() -> None:
    clock, registry = Clock(), MemoryBreakers(BreakerConfig(consecutive_failures=1))
    inner = Scripted({A: [FAILED]})
    service = breaker(registry, clock=clock)(inner)
    with pytest.raises(UpstreamFailed):
        await service(call_to(A))
    clock.now += 5
    with pytest.raises(CircuitOpen, match=r"one:a: the circuit is open.* 10 s") as caught:
        await service(call_to(A))
    assert caught.value.retry_after == 10
    assert caught.value.target == "one:a"
    assert len(inner.calls) == 1


async def test_while_a_probe_is_out_nobody_knows_when() -> None:
    clock, registry = Clock(), MemoryBreakers(BreakerConfig(consecutive_failures=1))
    service = breaker(registry, clock=clock)(Scripted({A: [FAILED, Answer()]}))
    with pytest.raises(UpstreamFailed):
        await service(call_to(A))
    clock.now += 15
    probe = await service(call_to(A))
    with pytest.raises(CircuitOpen, match="half-open") as caught:
        await service(call_to(A))
    assert caught.value.retry_after is None
    await read(probe)


async def test_a_forced_call_goes_through_an_open_circuit_and_moves_it_not() -> None:
    clock, registry = Clock(), MemoryBreakers(BreakerConfig(consecutive_failures=1))
    service = breaker(registry, clock=clock)(Scripted({A: [FAILED, Answer()]}))
    with pytest.raises(UpstreamFailed):
        await service(call_to(A))
    await read(await service(evolve(call_to(A), forced=True)))
    assert registry.breaker(str(A)).state(clock.now) is BreakerState.OPEN


async def test_each_target_has_its_own_circuit() -> None:
    clock, registry = Clock(), MemoryBreakers(BreakerConfig(consecutive_failures=1))
    service = breaker(registry, clock=clock)(Scripted({A: [FAILED], B: [Answer()]}))
    with pytest.raises(UpstreamFailed):
        await service(call_to(A))
    assert (await service(call_to(B))).target == B


async def test_the_standard_layers_fall_back_and_feed_the_breakers() -> None:
    clock, registry = Clock(), MemoryBreakers(BreakerConfig(consecutive_failures=1))
    service: Service = Scripted({A: [FAILED], B: [Answer()]})
    for layer in reversed(standard_layers(registry, clock=clock, monotonic=clock)):
        service = layer(service)
    assert await read(await service(call_to(A, B))) == list(EVENTS)
    assert [(s.name, s.state) for s in registry.statuses(clock.now)] == [
        ("one:*", BreakerState.CLOSED),
        (str(A), BreakerState.OPEN),
        ("two:*", BreakerState.CLOSED),
        (str(B), BreakerState.CLOSED),
    ]


# ---------------------------------------------------------------------- the credential's breaker, slowness


def refused(status: int, retry_after: float | None = None) -> UpstreamRefused | UpstreamBusy:
    kind = UpstreamBusy if status == 429 else UpstreamRefused
    return kind("no", target="x", status=status, retry_after=retry_after)


@pytest.mark.parametrize("status", [401, 402, 429])
async def test_a_refused_credential_shuts_out_all_of_its_providers_targets_and_no_others(status: int) -> None:
    other_model, elsewhere = Target("one", "b"), Target("two", "a")
    clock, registry = Clock(), MemoryBreakers()
    service = Scripted({A: [refused(status)], other_model: [Answer()], elsewhere: [Answer()]})
    guarded = breaker(registry, clock=clock)(service)
    for _ in range(5):
        with pytest.raises((UpstreamRefused, UpstreamBusy)):
            await guarded(call_to(A))
    assert registry.refusing(clock.now) == {"one:*"}
    assert registry.breaker(str(A)).state(clock.now) is BreakerState.CLOSED, "the target did nothing wrong"
    with pytest.raises(CircuitOpen, match=r"one: the credential's circuit is open.* 15 s") as caught:
        await guarded(call_to(other_model))
    assert caught.value.retry_after == 15.0
    await read(await guarded(call_to(elsewhere)))
    assert service.targets == [A] * 5 + [elsewhere]


async def test_a_failing_target_leaves_its_providers_other_targets_alone() -> None:
    other_model = Target("one", "b")
    clock, registry = Clock(), MemoryBreakers()
    guarded = breaker(registry, clock=clock)(Scripted({A: [FAILED], other_model: [Answer()]}))
    for _ in range(5):
        with pytest.raises(UpstreamFailed):
            await guarded(call_to(A))
    assert registry.refusing(clock.now) == {str(A)}
    await read(await guarded(call_to(other_model)))


async def test_a_permit_taken_from_the_target_is_given_back_where_the_credential_is_shut_out() -> None:
    clock, registry = Clock(), MemoryBreakers(BreakerConfig(slow_start=0))
    service = Scripted({A: [FAILED] * 5 + [refused(401)] * 5 + [Answer()]})
    guarded = breaker(registry, clock=clock)(service)
    for _ in range(5):
        with pytest.raises(UpstreamFailed):
            await guarded(call_to(A))
    clock.now += 15
    for _ in range(5):  # probes of the target: a refused key neither closes nor opens its circuit
        with pytest.raises(UpstreamRefused):
            await guarded(call_to(A))
    with pytest.raises(CircuitOpen, match="credential"):
        await guarded(call_to(A))
    clock.now += 15
    await read(await guarded(call_to(A)))
    assert registry.refusing(clock.now) == frozenset()


async def test_ten_slow_answers_open_a_circuit_although_they_came() -> None:
    for seconds, opens in ((29.9, False), (30.0, True)):
        clock, registry = Clock(), MemoryBreakers()
        service = Scripted({A: [Answer()]}, clock=clock, takes=seconds)
        guarded = breaker(registry, clock=clock)(service)
        # At once, so that all ten are within one window.
        replies = [await guarded(call_to(A)) for _ in range(10)]
        for reply in replies:
            await read(reply)
        assert (str(A) in registry.refusing(clock.now)) == opens


async def test_what_the_operator_opened_is_not_tried_in_panic() -> None:
    clock, registry = Clock(), MemoryBreakers()
    registry.force(str(A), BreakerState.FORCED_OPEN, clock.now)
    service = Scripted({A: [Answer()]})
    layers = standard_layers(registry, clock=clock, monotonic=clock)
    with pytest.raises(CircuitOpen, match="opened by the operator") as caught:
        await stack(service, *layers)(call_to(A))
    assert caught.value.retry_after is None
    assert service.calls == []


async def test_a_target_that_is_back_gets_its_load_bit_by_bit() -> None:
    clock, registry = Clock(), MemoryBreakers()
    service = Scripted({A: [FAILED] * 5 + [Answer()], B: [Answer()]})
    guarded = stack(service, *standard_layers(registry, clock=clock, monotonic=clock))
    for _ in range(5):
        with suppress(LynkrError):
            await read(await guarded(call_to(A, B)))
    shares = []
    clock.now += 15
    await read(await guarded(call_to(A, B)))
    for second in (0.0, 2.0, 5.0, 10.0):
        service.calls.clear()
        clock.now += second - (clock.now - registry.breaker(str(A)).data.changed)  # type: ignore[operator]
        for _ in range(100):
            await read(await guarded(call_to(A, B)))
        shares.append(service.targets.count(A))
    assert shares == sorted(shares)
    assert shares[0] == 10
    assert shares[-1] == 100
