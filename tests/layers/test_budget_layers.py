"""Criterion 12 of acceptance.md: bounded amplification, through the layers as every gateway stacks them."""

from contextlib import suppress

import anyio
import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from lynkr.errors import AllTargetsFailed, BulkheadFull, LynkrError, Throttled, UpstreamBusy, UpstreamFailed
from lynkr.layers import breaker, bulkhead, fallback, journal, retry, throttle
from lynkr.resilience.breaker import BreakerConfig
from lynkr.resilience.budget import BudgetConfig, RetryBudgets
from lynkr.resilience.bulkhead import Bulkheads
from lynkr.resilience.outcome import AttemptKind
from lynkr.resilience.registry import MemoryBreakers
from lynkr.resilience.throttle import Throttles
from lynkr.service import Layer, Service, stack
from tests.layers.scripted import A, Answer, B, C, Clock, D, Scripted, Step, call_to, read

pytestmark = pytest.mark.anyio
FAILED = UpstreamFailed("no", target="x", status=500)
LIMITED = UpstreamBusy("later", target="x", status=429)


def budgeted(service: Service, clock: Clock, budgets: RetryBudgets, *inner: Layer, most: int = 3) -> Service:
    return stack(
        service,
        fallback(max_attempts=most, budgets=budgets, monotonic=clock, sleep=clock.sleep),
        retry(
            max_attempts=most,
            budgets=budgets,
            clock=clock,
            monotonic=clock,
            sleep=clock.sleep,
            random=lambda: 0.5,
        ),
        *inner,
        journal(clock=clock, monotonic=clock),
    )


@given(
    st.integers(1, 60),
    st.sampled_from([(A,), (A, B), (A, B, C), (A, B, C, D)]),
    st.sampled_from([FAILED, UpstreamBusy("later", target="x", status=503, retry_after=0.1)]),
    st.integers(1, 6),
    st.booleans(),
)
async def test_criterion_12_total_failure_costs_at_most_1_2_attempts_a_request_and_3(
    requests: int, ladder: tuple[object, ...], error: UpstreamFailed, most: int, at_once: bool
) -> None:
    clock, budgets = Clock(), RetryBudgets()
    service = Scripted({target: [error] for target in (A, B, C, D)})
    gateway = budgeted(service, clock, budgets, most=most)

    async def ask() -> None:
        with suppress(LynkrError):
            await gateway(call_to(*ladder))  # type: ignore[arg-type]

    if at_once:
        async with anyio.create_task_group() as tasks:
            for _ in range(requests):
                tasks.start_soon(ask)
    else:
        for _ in range(requests):
            await ask()
    assert requests <= len(service.calls) <= min(1.2 * requests + 3, requests * most)
    if most > 1:
        assert budgets.overflow > 0 or len(service.calls) >= requests + 3 or requests * (most - 1) <= 3


async def test_a_request_that_finds_no_token_is_told_the_error_it_met() -> None:
    clock, budgets = Clock(), RetryBudgets(BudgetConfig(reserve=0))
    service = Scripted({A: [FAILED], B: [Answer()]})
    with pytest.raises(UpstreamFailed) as caught:
        await budgeted(service, clock, budgets)(call_to(A, B))
    assert caught.value is FAILED
    assert (service.targets, clock.slept) == ([A], [])
    assert budgets.overflow == 2, "the retry and the fallback"


async def test_fallbacks_that_succeed_are_not_rationed() -> None:
    clock, budgets = Clock(), RetryBudgets()
    service = Scripted({A: [UpstreamFailed("no", target="x", status=501)], B: [Answer()]})
    gateway = budgeted(service, clock, budgets, most=2)
    for _ in range(100):
        clock.now += 1
        call = call_to(A, B)
        assert (await gateway(call)).target == B
        assert [attempt.kind for attempt in call.journal.attempts] == [
            AttemptKind.FIRST,
            AttemptKind.FALLBACK,
        ]
    assert budgets.overflow == 0


async def test_a_target_that_is_skipped_costs_no_token() -> None:
    clock, registry = Clock(), MemoryBreakers(BreakerConfig(consecutive_failures=1))
    service = Scripted({A: [FAILED], B: [FAILED], C: [Answer()]})
    budgets = RetryBudgets(BudgetConfig(ratio=0, reserve=1))
    gateway = budgeted(service, clock, budgets, breaker(registry, clock=clock))
    with suppress(LynkrError):
        await gateway(call_to(B))  # opens its circuit
    service.calls.clear()
    clock.now += 10.0
    assert (await gateway(call_to(A, B, C))).target == C
    assert service.targets == [A, C]


async def test_tenants_have_budgets_of_their_own() -> None:
    clock, budgets = Clock(), RetryBudgets()
    gateway = budgeted(Scripted({A: [FAILED]}), clock, budgets)
    for tenant in ("acme", "umbrella"):
        sent = []
        for _ in range(4):
            call = evolve(call_to(A), tenant=tenant)
            with suppress(LynkrError):
                await gateway(call)
            sent.append(len(call.journal.attempts))
        assert sent == [3, 2, 1, 1]


async def test_the_kinds_of_attempts_are_written_down() -> None:
    clock, registry = Clock(), MemoryBreakers(BreakerConfig(consecutive_failures=1))
    service = Scripted({A: [FAILED], B: [FAILED]})
    gateway = budgeted(service, clock, RetryBudgets(), breaker(registry, clock=clock))
    first = call_to(A, B)
    with pytest.raises(AllTargetsFailed):
        await gateway(first)
    assert [attempt.kind for attempt in first.journal.attempts] == [AttemptKind.FIRST, AttemptKind.FALLBACK]
    panicking = call_to(B, A)
    with pytest.raises(UpstreamFailed):
        await gateway(panicking)
    [attempt] = panicking.journal.attempts
    assert attempt.kind is AttemptKind.PANIC


# ---------------------------------------------------------------------- throttle and bulkhead


async def test_a_limited_credential_is_spared_and_the_next_target_asked() -> None:
    clock, throttles, draws = Clock(), Throttles(), iter(lambda: 0.0, 1.0)
    service = Scripted({A: [LIMITED], B: [Answer()]})
    held = throttle(throttles, monotonic=clock, random=lambda: next(draws))
    gateway = budgeted(service, clock, RetryBudgets(BudgetConfig(reserve=1_000)), held, most=2)
    for _ in range(50):
        assert (await gateway(call_to(A, B))).target == B
    assert service.targets.count(A) == 10
    assert throttles.refused == 40


async def test_with_no_other_target_the_client_is_told_to_come_back() -> None:
    clock, throttles = Clock(), Throttles()
    service = Scripted({A: [LIMITED]})
    held = throttle(throttles, monotonic=clock, random=lambda: 0.0)
    gateway = budgeted(service, clock, RetryBudgets(), held, most=1)
    for _ in range(10):
        with pytest.raises(UpstreamBusy):
            await gateway(call_to(A))
    with pytest.raises(Throttled, match="held back") as caught:
        await gateway(call_to(A))
    assert (caught.value.status_hint, caught.value.retry_after) == (429, 1.0)


async def test_a_full_provider_leaves_the_call_to_the_next_and_a_read_answer_makes_room() -> None:
    clock, bulkheads = Clock(), Bulkheads({"one": 2})
    service = Scripted({A: [Answer()], B: [Answer()]})
    gateway = budgeted(service, clock, RetryBudgets(), bulkhead(bulkheads))
    held = [await gateway(call_to(A, B)) for _ in range(4)]
    assert service.targets == [A, A, B, B]
    with pytest.raises(BulkheadFull, match=r"providers\.one\.max_in_flight") as caught:
        await gateway(call_to(A))
    assert (caught.value.status_hint, caught.value.retry_after) == (503, 1.0)
    for reply in held:
        await read(reply)
    assert (await gateway(call_to(A))).target == A
    assert bulkheads.refused == 3


@given(st.lists(st.sampled_from([FAILED, Answer(), Answer(error=FAILED)]), min_size=1, max_size=8))
async def test_every_place_is_given_back_however_a_call_ends(steps: list[Step]) -> None:
    clock, bulkheads = Clock(), Bulkheads({"one": 1})
    gateway = budgeted(Scripted({A: steps}), clock, RetryBudgets(), bulkhead(bulkheads), most=1)
    for _ in steps:
        with suppress(LynkrError):
            await read(await gateway(call_to(A)))
        assert bulkheads.under_way["one"] == 0
