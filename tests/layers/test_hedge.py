"""Hedging: one second attempt, only when the first is late, paid for, and the loser cancelled."""

import math
from collections import deque
from collections.abc import Callable

import anyio
import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from lynkr.errors import UpstreamFailed
from lynkr.layers import journal
from lynkr.layers.hedge import fixed_or_usual, hedge
from lynkr.model import Event, Finish, Message, PartDelta, Request
from lynkr.providers import HttpxTransport, builtin
from lynkr.resilience.budget import BudgetConfig, RetryBudgets
from lynkr.resilience.outcome import AttemptKind, Outcome
from lynkr.resilience.percentile import Percentiles
from lynkr.routing.decision import Target
from lynkr.service import Attempt, Call, Reply, Service, Tally, stack
from lynkr.testing import Simulator, SimulatorServer, drip, script, stall, virtual_time
from tests.layers.scripted import EVENTS, A, B, ScriptedStream, call_to, read

BACKENDS = ("asyncio", "trio")
both = pytest.mark.parametrize("backend", BACKENDS)
FAILED = UpstreamFailed("no", target="x", status=500)


class Slow:
    """Targets that take so many seconds to their first token, or to fail."""

    def __init__(self, seconds: dict[Target, float], fails: tuple[Target, ...] = ()) -> None:
        self.seconds, self.fails = seconds, fails
        self.streams: list[ScriptedStream] = []
        self.cancelled: list[Target] = []

    async def __call__(self, call: Call) -> Reply:
        try:
            await anyio.sleep(self.seconds[call.target])
        except BaseException:
            self.cancelled.append(call.target)
            raise
        if call.target in self.fails:
            raise FAILED
        tally = Tally()
        self.streams.append(ScriptedStream(deque(EVENTS), tally))
        if call.observer is not None:  # as a provider does that has read the whole answer
            for event in said_by(call.target):
                call.observer(event)
        return Reply(call.target, tally, self.streams[-1])


def said_by(target: Target) -> list[Event]:
    return [PartDelta(0, str(target)), *EVENTS]


def hedged(
    service: Service,
    budgets: RetryBudgets | None = None,
    affordable: Callable[[Call], bool] = lambda _: True,
) -> Service:
    layer = hedge(
        lambda _: 2.0, budgets=budgets or RetryBudgets(), affordable=affordable, monotonic=anyio.current_time
    )
    return stack(service, layer, journal(clock=virtual_time.wall, monotonic=anyio.current_time))


def served(service: Slow, call: Call, hedging: Callable[[Service], Service], backend: str):
    """Who served, when, and how the attempts are written down."""

    async def run() -> tuple[Target, float]:
        reply = await hedging(service)(call)
        when = anyio.current_time()
        assert await read(reply) == list(EVENTS), "what was begun in one task is read in another"
        return reply.target, when

    target, when = virtual_time.run(run, backend=backend)
    return target, when, [(a.target, a.kind) for a in call.journal.attempts]


@both
def test_an_answer_in_time_is_not_asked_for_twice(backend: str) -> None:
    service, call = Slow({A: 1.9, B: 0.1}), call_to(A, B)
    assert served(service, call, hedged, backend) == (A, 1.9, [(A, AttemptKind.FIRST)])


@both
def test_a_late_answer_is_overtaken_and_cancelled(backend: str) -> None:
    service, call = Slow({A: 100.0, B: 1.0}), call_to(A, B)
    target, when, attempts = served(service, call, hedged, backend)
    assert (target, when) == (B, 3.0)
    assert attempts == [(A, AttemptKind.FIRST), (B, AttemptKind.HEDGE)]
    assert service.cancelled == [A]


@both
def test_without_another_target_the_same_is_asked_again(backend: str) -> None:
    service, call = Slow({A: 3.0}), call_to(A)
    target, when, attempts = served(service, call, hedged, backend)
    assert (target, when) == (A, 3.0)
    assert attempts == [(A, AttemptKind.FIRST), (A, AttemptKind.HEDGE)]
    assert len(service.streams) == 1, "the hedge was cancelled"


@both
def test_a_second_attempt_that_fails_leaves_the_first_alone(backend: str) -> None:
    service, call = Slow({A: 5.0, B: 0.5}, fails=(B,)), call_to(A, B)
    assert served(service, call, hedged, backend)[:2] == (A, 5.0)


@both
def test_a_first_attempt_that_fails_while_hedged_leaves_the_second_to_serve(backend: str) -> None:
    service, call = Slow({A: 3.0, B: 4.0}, fails=(A,)), call_to(A, B)
    assert served(service, call, hedged, backend)[:2] == (B, 6.0)


@both
@pytest.mark.parametrize("seconds", [1.0, 3.0])
def test_where_both_fail_the_firsts_error_is_told(backend: str, seconds: float) -> None:
    service, call = Slow({A: seconds, B: 1.0}, fails=(A, B)), call_to(A, B)
    with pytest.raises(UpstreamFailed) as caught:
        served(service, call, hedged, backend)
    assert caught.value is FAILED
    assert len(call.journal.attempts) == (1 if seconds < 2 else 2), "retry and fallback take it from there"


@both
def test_hedges_draw_on_the_retry_budget(backend: str) -> None:
    budgets = RetryBudgets(BudgetConfig(ratio=0.0, reserve=1))

    async def ask_three_at_once() -> list[int]:
        service = hedged(Slow({A: 30.0, B: 20.0}), budgets)
        calls = [call_to(A, B) for _ in range(3)]

        async def ask(call: Call) -> None:
            await read(await service(call))

        async with anyio.create_task_group() as tasks:
            for call in calls:
                tasks.start_soon(ask, call)
        return sorted(len(call.journal.attempts) for call in calls)

    assert virtual_time.run(ask_three_at_once, backend=backend) == [1, 1, 2]
    assert budgets.overflow == 2


@both
def test_a_cancelled_call_takes_both_attempts_with_it(backend: str) -> None:
    service = Slow({A: math.inf, B: 100.0})

    async def leave() -> None:
        with anyio.move_on_after(10):
            await hedged(service)(call_to(A, B))

    virtual_time.run(leave, backend=backend)
    assert sorted(service.cancelled) == [A, B]


@both
def test_both_at_the_same_moment_give_one_answer_and_close_the_other(backend: str) -> None:
    service, call = Slow({A: 3.0, B: 1.0}), call_to(A, B)
    served(service, call, hedged, backend)
    unread = [stream for stream in service.streams if stream.events]
    assert all(stream.closed for stream in unread)


@both
@pytest.mark.parametrize("fails", [(), (A,), (B,)])
@pytest.mark.parametrize(("first", "second"), [(1.0, 1.0), (3.0, 0.5), (3.0, 1.0), (3.0, 2.0)])
def test_only_the_one_that_serves_is_shown_to_the_calls_observer(
    backend: str, first: float, second: float, fails: tuple[Target, ...]
) -> None:
    seen: list[Event] = []
    call = evolve(call_to(A, B), observer=seen.append)
    if first < 2 and A in fails:  # it fails before it is late
        with pytest.raises(UpstreamFailed):
            served(Slow({A: first, B: second}, fails), call, hedged, backend)
        assert seen == []
        return
    target, _, _ = served(Slow({A: first, B: second}, fails), call, hedged, backend)
    assert seen == said_by(target)


@both
def test_what_is_too_dear_is_not_asked_for_twice(backend: str) -> None:
    asked: list[Target] = []

    def affordable(call: Call) -> bool:
        asked.append(call.target)
        return False

    budgets, call = RetryBudgets(BudgetConfig(ratio=0.0, reserve=1)), call_to(A, B)
    target, when, attempts = served(
        Slow({A: 5.0, B: 0.1}), call, lambda service: hedged(service, budgets, affordable), backend
    )
    assert (target, when, attempts) == (A, 5.0, [(A, AttemptKind.FIRST)])
    assert asked == [B], "the hedge's own target is what is priced"
    assert budgets.budget((A.provider, None)).withdraw(0.0), "and it has drawn on nothing"


@both
@pytest.mark.parametrize(
    ("before", "hedges"),
    [
        ((), True),
        ((AttemptKind.FIRST,), True),
        ((AttemptKind.FIRST, AttemptKind.RETRY), False),  # the third of three attempts
        ((AttemptKind.FIRST, AttemptKind.HEDGE), False),
    ],
)
def test_a_request_is_hedged_once_and_within_its_attempts(
    backend: str, before: tuple[AttemptKind, ...], hedges: bool
) -> None:
    call = call_to(A, B)
    call.journal.attempts += [Attempt(A, started=0.0, kind=kind) for kind in before]
    served(Slow({A: 5.0, B: 0.1}), call, hedged, backend)
    assert len(call.journal.attempts) == len(before) + 1 + hedges


def test_the_delay_is_the_targets_own_percentile_once_that_is_known() -> None:
    percentiles = Percentiles(least=20)
    delays = fixed_or_usual(None, percentiles)
    for number in range(20):
        assert delays(A) is None
        percentiles.observe(str(A), float(number))
    assert delays(A) == 19.0
    assert delays(B) is None
    assert fixed_or_usual(1.5, percentiles)(B) == 1.5


@given(st.lists(st.floats(0, 100), min_size=1, max_size=60), st.integers(1, 20))
def test_a_percentile_is_that_of_the_last_ones(lengths: list[float], window: int) -> None:
    percentiles = Percentiles(window=window, least=1)
    for length in lengths:
        percentiles.observe("x", length)
    recent = sorted(lengths[-window:])
    assert percentiles.of("x") == recent[min(len(recent) - 1, int(0.95 * len(recent)))]


@pytest.mark.anyio
async def test_over_real_sockets_the_loser_lets_go_and_the_winners_stream_is_whole() -> None:
    simulator = Simulator({"late": script(then=stall()), "prompt": script(then=drip(0.005))})
    transport = HttpxTransport()
    with anyio.fail_after(20):
        async with SimulatorServer(simulator) as server:
            provider = builtin("one", "anthropic", key="k", base_url=server.url, transport=transport)
            layer = hedge(lambda _: 0.05, budgets=RetryBudgets())
            request = Request(model="auto", messages=(Message.user("hello"),), stream=True)
            call = Call(request, Target("one", "late"), (Target("one", "prompt"),))
            reply = await stack(provider.send, layer, journal())(call)
            assert reply.target.model == "prompt"
            events = await read(reply)
            assert isinstance(events[-1], Finish)
            await server.wait_until(lambda simulator: simulator.active == 0)
            assert simulator.abandoned == 1
            await transport.aclose()
    loser, winner = call.journal.attempts
    assert (loser.kind, loser.outcome) == (AttemptKind.FIRST, Outcome.IGNORED)
    assert (winner.kind, winner.outcome) == (AttemptKind.HEDGE, Outcome.SUCCESS)
