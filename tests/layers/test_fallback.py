"""Fallback and retry together, as every gateway stacks them: laws, then the rules by name."""

from collections.abc import Sequence
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lynkr.errors import (
    AllTargetsFailed,
    CircuitOpen,
    ClientWireError,
    DeadlineExceeded,
    LynkrError,
    UpstreamBusy,
    UpstreamFailed,
    UpstreamRefused,
    UpstreamTimeout,
    UpstreamUnreachable,
    UpstreamWireError,
)
from lynkr.layers import breaker, fallback, journal, retry
from lynkr.resilience.breaker import BreakerConfig
from lynkr.resilience.classify import verdict_of
from lynkr.resilience.outcome import Outcome
from lynkr.resilience.registry import MemoryBreakers
from lynkr.routing.decision import Target
from lynkr.service import Attempt, Call, Reply, Service, stack
from tests.layers.scripted import EVENTS, A, Answer, B, C, Clock, D, Scripted, Step, call_to, read

pytestmark = pytest.mark.anyio


def failed(status: int = 500) -> UpstreamFailed:
    return UpstreamFailed("no", target="x", status=status)


def busy(status: int = 429, retry_after: float | None = None) -> UpstreamBusy:
    return UpstreamBusy("later", target="x", status=status, retry_after=retry_after)


def refused(status: int) -> UpstreamRefused:
    return UpstreamRefused("no", target="x", status=status)


def unreachable() -> UpstreamUnreachable:
    return UpstreamUnreachable("connection refused", target="x")


def resilient(service: Service, clock: Clock, jitter: float = 0.5, *, max_attempts: int = 3) -> Service:
    return stack(
        service,
        fallback(max_attempts=max_attempts, monotonic=clock, sleep=clock.sleep),
        retry(
            max_attempts=max_attempts, clock=clock, monotonic=clock, sleep=clock.sleep, random=lambda: jitter
        ),
        journal(clock=clock, monotonic=clock),
    )


errors = st.one_of(
    st.builds(failed, st.sampled_from([500, 502, 504, 408, 409])),
    st.builds(
        busy,
        st.sampled_from([429, 503, 529]),
        st.sampled_from([None, 0.0, 0.5, 1.0, 7.0, 60.0, 61.0, 3600.0]),
    ),
    st.builds(refused, st.sampled_from([400, 401, 402, 403, 404, 413, 422])),
    st.builds(unreachable),
    st.builds(lambda: UpstreamTimeout("slow", target="x")),
    st.builds(lambda: UpstreamWireError("cut short")),
    st.builds(lambda: UpstreamRefused("long", target="x", status=400, is_context_overflow=True)),
)
steps = errors | st.builds(Answer, st.just(EVENTS), st.none() | errors)
ladders = st.lists(
    st.tuples(
        st.sampled_from([Target(p, m) for p in ("one", "two", "three") for m in ("a", "b")]),
        st.lists(steps, min_size=1, max_size=4),
    ),
    min_size=1,
    max_size=6,
    unique_by=lambda pair: pair[0],
)


@given(ladders, st.floats(0, 1, exclude_max=True), st.integers(1, 5), st.none() | st.floats(0, 20))
async def test_attempts_are_few_explained_and_never_late(
    ladder: list[tuple[Target, list[Step]]], jitter: float, most: int, time_left: float | None
) -> None:
    """Every law at once: they must hold together."""
    clock = Clock()
    service = Scripted(dict(ladder), clock=clock, takes=0.25)
    deadline = None if time_left is None else clock.now + time_left
    call = call_to(*(target for target, _ in ladder), deadline=deadline)
    try:
        reply: Reply | None = await resilient(service, clock, jitter, max_attempts=most)(call)
        raised: list[LynkrError] = []
    except AllTargetsFailed as error:
        reply, raised = None, list(error.exceptions)  # type: ignore[arg-type]
        assert len(raised) > 1, "one failure is raised as itself"
    except LynkrError as error:
        reply, raised = None, [error]

    assert len(service.calls) <= most
    attempts = call.journal.attempts
    assert [attempt.target for attempt in attempts] == service.targets
    if deadline is not None:
        assert all(attempt.started < deadline for attempt in attempts)
        assert clock.now - 0.25 < deadline or not attempts, "no sleep went past the deadline"
    if reply is None and attempts:
        assert [type(error).__name__ for error in raised] == [attempt.error for attempt in attempts]
    if not attempts:
        assert [type(error) for error in raised] == [DeadlineExceeded]
    stops = [n for n, error in enumerate(raised) if not verdict_of(error).try_next]
    assert stops in ([], [len(raised) - 1]), "the caller's own fault is the last thing heard"
    if reply is not None:
        sent = len(service.calls)
        with suppress(LynkrError):
            await read(reply)
        assert len(service.calls) == sent, "nothing is sent again once an answer has begun"


@given(st.lists(steps, min_size=1, max_size=6), st.permutations([A, B, C, D]))
async def test_targets_are_tried_in_order_unless_their_provider_is_dead(
    script: Sequence[Step], order: list[Target]
) -> None:
    clock = Clock()
    service = Scripted({target: [script[n % len(script)]] for n, target in enumerate(order)})
    with suppress(LynkrError):
        await resilient(service, clock)(call_to(*order))
    firsts = list(dict.fromkeys(service.targets))
    assert firsts == order[: len(firsts)], "all providers differ here, so nothing is put off"


async def test_the_next_target_serves_where_the_first_fails() -> None:
    clock, service = Clock(), Scripted({A: [failed()], B: [Answer()]})
    reply = await resilient(service, clock)(call_to(A, B))
    assert reply.target == B
    assert await read(reply) == list(EVENTS)


async def test_three_dead_hosts_cost_three_attempts_and_no_waiting() -> None:
    clock, service = Clock(), Scripted({t: [unreachable()] for t in (A, B, C, D)})
    with pytest.raises(AllTargetsFailed) as caught:
        await resilient(service, clock)(call_to(A, B, C, D))
    assert service.targets == [A, B, C]
    assert len(caught.value.exceptions) == 3
    assert clock.slept == []


async def test_one_attempt_is_kept_for_each_alternative() -> None:
    for alternatives, expected in (((B, C), [A, B, C]), ((B,), [A, A, B]), ((), [A, A, A])):
        clock, service = Clock(), Scripted({t: [failed()] for t in (A, B, C)})
        with pytest.raises(AllTargetsFailed):
            await resilient(service, clock)(call_to(A, *alternatives))
        assert service.targets == expected


async def test_a_provider_that_names_a_short_wait_is_waited_for() -> None:
    clock, service = Clock(), Scripted({A: [busy(503, 0.8), Answer()], B: [Answer()], C: [Answer()]})
    reply = await resilient(service, clock)(call_to(A, B, C))
    assert reply.target == A
    assert clock.slept == [0.8]


async def test_a_provider_that_names_a_longer_wait_is_left_while_there_are_others() -> None:
    clock, service = Clock(), Scripted({A: [busy(503, 5.0)], B: [Answer()], C: [Answer()]})
    reply = await resilient(service, clock)(call_to(A, B, C))
    assert reply.target == B
    assert clock.slept == []


@pytest.mark.parametrize("status", [400, 413, 422])
async def test_the_callers_fault_is_told_at_once(status: int) -> None:
    clock, service = Clock(), Scripted({A: [refused(status)], B: [Answer()]})
    with pytest.raises(UpstreamRefused):
        await resilient(service, clock)(call_to(A, B))
    assert service.targets == [A]


async def test_a_malformed_request_is_told_at_once() -> None:
    clock, service = Clock(), Scripted({A: [ClientWireError("bad", field="messages")], B: [Answer()]})
    with pytest.raises(ClientWireError):
        await resilient(service, clock)(call_to(A, B))
    assert service.targets == [A]


async def test_a_context_overflow_moves_on() -> None:
    overflow = UpstreamRefused("too long", target="x", status=400, is_context_overflow=True)
    clock, service = Clock(), Scripted({A: [overflow], B: [Answer()]})
    assert (await resilient(service, clock)(call_to(A, B))).target == B
    assert service.targets == [A, B]


@pytest.mark.parametrize("error", [unreachable(), refused(401), refused(402)])
async def test_a_dead_providers_other_targets_are_tried_last(error: LynkrError) -> None:
    a, b, c = Target("one", "a"), Target("one", "b"), Target("two", "c")
    clock, service = Clock(), Scripted({a: [error], b: [Answer()], c: [failed()]})
    assert (await resilient(service, clock)(call_to(a, b, c))).target == b
    assert service.targets == [a, c, b]


async def test_a_provider_that_said_429_twice_is_given_a_moment() -> None:
    a, b, c = Target("one", "a"), Target("one", "b"), Target("one", "c")
    clock, service = Clock(), Scripted({a: [busy()], b: [busy()], c: [Answer()]})
    assert (await resilient(service, clock)(call_to(a, b, c))).target == c
    assert clock.slept == [0.5]


async def test_an_answer_that_breaks_after_it_began_is_not_tried_elsewhere() -> None:
    clock, service = Clock(), Scripted({A: [Answer(EVENTS[:3], failed())], B: [Answer()]})
    reply = await resilient(service, clock)(call_to(A, B))
    with pytest.raises(UpstreamFailed):
        await read(reply)
    assert service.targets == [A]
    assert service.streams[0].closed == 1


async def test_nothing_is_begun_after_the_deadline() -> None:
    clock = Clock()
    service = Scripted({A: [failed()], B: [Answer()]}, clock=clock, takes=5.0)
    with pytest.raises(UpstreamFailed):
        await resilient(service, clock)(call_to(A, B, deadline=clock.now + 5.0))
    assert service.targets == [A]
    with pytest.raises(DeadlineExceeded):
        await resilient(service, clock)(call_to(A, deadline=clock.now))
    assert service.targets == [A]


async def test_exceptions_that_are_not_ours_pass_at_once() -> None:
    clock, service = Clock(), Scripted({A: [KeyError("choices")], B: [Answer()]})
    with pytest.raises(KeyError):
        await resilient(service, clock)(call_to(A, B))
    assert service.targets == [A]


# ---------------------------------------------------------------------- with breakers


def guarded(service: Service, clock: Clock, registry: MemoryBreakers, *, panic: bool = True) -> Service:
    return stack(
        service,
        fallback(panic=panic, monotonic=clock, sleep=clock.sleep),
        retry(clock=clock, monotonic=clock, sleep=clock.sleep, random=lambda: 0.5),
        breaker(registry, clock=clock),
        journal(clock=clock, monotonic=clock),
    )


def open_circuits(registry: MemoryBreakers, now: float, *targets: Target) -> None:
    for target in targets:
        circuit = registry.breaker(str(target))
        while (permit := circuit.try_acquire(now)) is not None:
            circuit.settle(permit, Outcome.FAILURE, now)


async def test_an_open_circuit_is_skipped_and_costs_no_attempt() -> None:
    clock, registry = Clock(), MemoryBreakers()
    service = Scripted({A: [failed()], B: [failed()], C: [failed()], D: [Answer()]})
    gateway = guarded(service, clock, registry)
    open_circuits(registry, clock.now, A)
    call = call_to(A, B, C, D)
    assert (await gateway(call)).target == D
    assert service.targets == [B, C, D]
    assert len(call.journal.attempts) == 3


async def test_with_every_circuit_open_the_first_target_gets_one_call_all_the_same() -> None:
    clock, registry = Clock(), MemoryBreakers()
    service = Scripted({A: [failed(), Answer()], B: [failed()]})
    gateway = guarded(service, clock, registry)
    open_circuits(registry, clock.now, A, B)
    with pytest.raises(UpstreamFailed):
        await gateway(call_to(A, B))
    assert service.targets == [A]
    assert service.calls[0].forced
    assert (await gateway(call_to(A, B))).target == A


async def test_without_panic_nothing_is_sent_and_the_soonest_circuit_says_when() -> None:
    clock, registry = Clock(), MemoryBreakers()
    service = Scripted({A: [failed()], B: [failed()]})
    open_circuits(registry, clock.now, A)
    clock.now += 5
    open_circuits(registry, clock.now, B)
    with pytest.raises(CircuitOpen) as caught:
        await guarded(service, clock, registry, panic=False)(call_to(B, A))
    assert service.calls == []
    assert caught.value.target == str(A)
    assert caught.value.retry_after == 10.0


async def test_a_circuit_that_opens_between_retries_hides_no_error() -> None:
    clock, registry = Clock(), MemoryBreakers(BreakerConfig(consecutive_failures=2))
    service = Scripted({A: [failed()]})
    with pytest.raises(AllTargetsFailed) as caught:
        await guarded(service, clock, registry)(call_to(A))
    assert [type(error) for error in caught.value.exceptions] == [UpstreamFailed, UpstreamFailed]
    assert len(service.calls) == 2


@given(st.integers(1, 40), st.integers(1, 4))
async def test_under_total_failure_attempts_stay_near_requests(requests: int, depth: int) -> None:
    """Criterion 12, without a retry budget yet: open circuits do most of it."""
    clock, registry = Clock(), MemoryBreakers()
    targets = (A, B, C, D)[:depth]
    service = Scripted({target: [failed()] for target in targets})
    gateway = guarded(service, clock, registry)
    for _ in range(requests):
        with pytest.raises(LynkrError):
            await gateway(call_to(*targets))
    assert len(service.calls) <= requests + 5 * depth


async def test_the_inner_call_knows_what_is_left() -> None:
    seen: list[tuple[Target, tuple[Target, ...]]] = []

    async def service(call: Call) -> Reply:
        seen.append((call.target, call.alternatives))
        raise failed()

    with pytest.raises(AllTargetsFailed):
        await stack(service, fallback())(call_to(A, B, C, B))
    assert seen == [(A, (B, C)), (B, (C,)), (C, ())]


async def test_a_provider_that_keeps_naming_short_waits_does_not_use_up_the_others_chance() -> None:
    clock, service = Clock(), Scripted({A: [busy(503, 0.2)], B: [Answer()], C: [Answer()]})
    assert (await resilient(service, clock)(call_to(A, B, C))).target == B
    assert service.targets == [A, A, B]


@pytest.mark.parametrize("error", [unreachable(), UpstreamTimeout("slow", target="x")])
async def test_a_dead_or_slow_target_is_left_at_once_while_there_is_another(error: LynkrError) -> None:
    clock, service = Clock(), Scripted({A: [error], B: [Answer()]})
    assert (await resilient(service, clock)(call_to(A, B))).target == B
    assert service.targets == [A, B]


async def test_attempts_made_for_the_request_before_count_too() -> None:
    clock, service = Clock(), Scripted({A: [failed()], B: [Answer()]})
    call = call_to(A, B)
    call.journal.attempts.extend(Attempt(D, started=0.0) for _ in range(2))
    with pytest.raises(UpstreamFailed):
        await resilient(service, clock)(call)
    assert service.targets == [A]


async def test_a_target_named_twice_is_one_target() -> None:
    service = Scripted({A: [UpstreamFailed("no", target="one:a", status=500)], B: [Answer()]})
    await fallback()(service)(call_to(A, A, B, A))
    assert service.targets == [A, B]
    assert service.calls[0].alternatives == (B,)
