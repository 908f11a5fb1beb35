"""The breaker: laws against a model first, then what each rule is for."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lynkr.resilience.breaker import NEW_BREAKER, BreakerConfig, WindowBreaker, acquire, force, settle
from lynkr.resilience.outcome import Outcome
from lynkr.resilience.protocols import BreakerState, Permit
from lynkr.resilience.registry import ForcedBreakers, MemoryBreakers, shut
from tests.resilience.breaker_machine import machine_over

TestMemoryBreakerAgainstItsModel = machine_over(lambda config: [MemoryBreakers(config)]).TestCase

OK, BAD, IGNORED = Outcome.SUCCESS, Outcome.FAILURE, Outcome.IGNORED


def call(breaker: WindowBreaker, outcome: Outcome, now: float) -> None:
    permit = breaker.try_acquire(now)
    assert permit is not None
    breaker.settle(permit, outcome, now)


def opened(now: float = 0.0, **config: float) -> WindowBreaker:
    breaker = WindowBreaker("local:qwen3", BreakerConfig(**config))  # type: ignore[arg-type]
    for _ in range(5):
        call(breaker, BAD, now)
    assert breaker.state(now) is BreakerState.OPEN
    return breaker


@given(st.lists(st.tuples(st.floats(0, 30), st.booleans())), st.integers(0, 1_000))
def test_ignored_verdicts_never_open_a_breaker(gaps: list[tuple[float, bool]], count: int) -> None:
    breaker, now = WindowBreaker("x"), 0.0
    for gap, is_good in gaps:
        now += gap
        call(breaker, OK if is_good else IGNORED, now)
    for _ in range(count):
        call(breaker, IGNORED, now)
    assert breaker.state(now) is BreakerState.CLOSED


@given(st.lists(st.tuples(st.floats(0, 100), st.sampled_from([OK, BAD])), max_size=300))
def test_memory_is_bounded_however_many_calls(calls: list[tuple[float, Outcome]]) -> None:
    data, config, now = NEW_BREAKER, BreakerConfig(consecutive_failures=10**9, min_calls=10**9), 0.0
    for gap, outcome in calls:
        now += gap
        data, permit = acquire(data, config, now)
        assert permit is not None
        data = settle(data, config, permit, outcome, now)
    assert len(data.buckets) <= 6


def test_half_of_ten_calls_failing_opens() -> None:
    breaker = WindowBreaker("x")
    for outcome in (OK, BAD, OK, BAD, OK, BAD, OK, BAD, OK):
        call(breaker, outcome, 1.0)
    assert breaker.state(1.0) is BreakerState.CLOSED
    call(breaker, BAD, 1.0)
    assert breaker.state(1.0) is BreakerState.OPEN


def test_failures_older_than_the_window_are_forgotten() -> None:
    breaker = WindowBreaker("x", BreakerConfig(consecutive_failures=100))
    for _ in range(9):
        call(breaker, BAD, 0.0)
    call(breaker, BAD, 60.0)
    assert breaker.state(60.0) is BreakerState.CLOSED
    assert breaker.status(60.0).failures == 1


def test_five_failures_in_a_row_open_even_when_calls_are_rare() -> None:
    breaker = WindowBreaker("x")
    for hour in range(4):
        call(breaker, BAD, hour * 3600.0)
    assert breaker.state(3 * 3600.0) is BreakerState.CLOSED
    call(breaker, BAD, 4 * 3600.0)
    assert breaker.state(4 * 3600.0) is BreakerState.OPEN


def test_open_breaker_gives_no_permit_until_its_time_is_over() -> None:
    breaker = opened()
    assert breaker.try_acquire(14.999) is None
    assert breaker.status(14.999).next_attempt == 15.0
    assert breaker.status(14.999).rejected == 1
    assert breaker.try_acquire(15.0) is not None


def test_each_failed_probe_doubles_the_wait_up_to_five_minutes() -> None:
    breaker, now, waits = opened(), 0.0, []
    for _ in range(7):
        reopens = breaker.status(now).next_attempt
        assert reopens is not None
        waits.append(reopens - now)
        now = reopens
        call(breaker, BAD, now)
    assert waits == [15, 30, 60, 120, 240, 300, 300]


def test_a_breaker_that_stumbles_soon_after_closing_waits_longer_than_one_that_held_a_minute() -> None:
    for held, expected in ((59.0, 30.0), (60.0, 15.0)):
        breaker = opened()
        call(breaker, OK, 15.0)
        for _ in range(5):
            call(breaker, BAD, 15.0 + held)
        assert breaker.status(15.0 + held).next_attempt == 15.0 + held + expected


def test_a_cancelled_probe_gives_its_slot_back() -> None:
    breaker = opened()
    probe = breaker.try_acquire(15.0)
    assert probe is not None
    assert breaker.try_acquire(15.0) is None
    breaker.settle(probe, IGNORED, 16.0)
    assert breaker.state(16.0) is BreakerState.HALF_OPEN
    assert breaker.try_acquire(16.0) is not None


def test_a_verdict_from_before_the_breaker_opened_settles_no_probe() -> None:
    breaker = WindowBreaker("x")
    old = breaker.try_acquire(0.0)
    assert old is not None
    for _ in range(5):
        call(breaker, BAD, 0.0)
    assert breaker.try_acquire(15.0) is not None
    for outcome in Outcome:
        breaker.settle(old, outcome, 16.0)
        assert breaker.state(16.0) is BreakerState.HALF_OPEN
        assert breaker.try_acquire(16.0) is None


def test_a_probe_nobody_ever_settles_blocks_recovery_for_one_lease_only() -> None:
    breaker = opened()
    lost = breaker.try_acquire(15.0)
    assert lost is not None
    assert breaker.try_acquire(74.9) is None
    second = breaker.try_acquire(75.0)
    assert second is not None
    assert second != lost


def test_a_probe_slower_than_its_lease_still_closes_the_breaker() -> None:
    breaker = opened()
    slow = breaker.try_acquire(15.0)
    assert slow is not None
    assert breaker.try_acquire(100.0) is not None
    breaker.settle(slow, OK, 200.0)
    assert breaker.state(200.0) is BreakerState.CLOSED


def test_a_clock_set_back_by_an_hour_does_not_keep_the_breaker_open_for_an_hour() -> None:
    breaker = opened(now=7200.0)
    assert breaker.try_acquire(3600.0) is not None


def test_a_clock_set_back_does_not_make_a_lost_probe_immortal() -> None:
    breaker = opened(now=7200.0)
    assert breaker.try_acquire(7215.0) is not None
    assert breaker.try_acquire(3615.0) is not None


def test_forced_states_hold_whatever_happens() -> None:
    for state, lets_through in (
        (BreakerState.FORCED_OPEN, False),
        (BreakerState.DISABLED, True),
        (BreakerState.METRICS_ONLY, True),
    ):
        data, config = force(NEW_BREAKER, state, 0.0), BreakerConfig()
        for second in range(1000):
            data, permit = acquire(data, config, float(second))
            assert (permit is not None) == lets_through
            data = settle(data, config, permit or Permit(data.generation), BAD, float(second))
        assert data.state is state


@pytest.mark.parametrize("state", [BreakerState.OPEN, BreakerState.HALF_OPEN])
def test_the_breakers_own_states_cannot_be_forced(state: BreakerState) -> None:
    with pytest.raises(ValueError, match="forced_open"):
        MemoryBreakers().force("x", state, 0.0)


@pytest.mark.parametrize(
    "wrong", [{"probes": 0}, {"probes": 4}, {"failure_ratio": 0.0}, {"window": 0.0}, {"min_calls": 0}]
)
def test_a_senseless_configuration_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError):  # noqa: PT011  # the validators' words are attrs'
        BreakerConfig(**wrong)  # type: ignore[arg-type]


def test_registry_lists_breakers_by_name_and_names_the_shut_ones() -> None:
    registry = MemoryBreakers()
    for _ in range(5):
        call(registry.breaker("b:x"), BAD, 0.0)
    call(registry.breaker("a:x"), OK, 0.0)
    registry.breaker("c:never-called")
    assert [status.name for status in registry.statuses(1.0)] == ["a:x", "b:x"]
    assert shut(registry.statuses(1.0)) == {"b:x"}
    assert shut(registry.statuses(15.0)) == frozenset()


def test_registry_forgets_closed_breakers_before_open_ones() -> None:
    registry = MemoryBreakers(max_keys=3)
    for _ in range(5):
        call(registry.breaker("open:x"), BAD, 0.0)
    for number in range(20):
        call(registry.breaker(f"closed:{number}"), OK, 0.0)
    assert [status.name for status in registry.statuses(0.0)] == ["closed:18", "closed:19", "open:x"]


def test_registry_of_open_breakers_only_forgets_the_least_recently_used() -> None:
    registry = MemoryBreakers(BreakerConfig(consecutive_failures=1), max_keys=2)
    for key in ("a:x", "b:x", "c:x"):
        call(registry.breaker(key), BAD, 0.0)
    assert [status.name for status in registry.statuses(0.0)] == ["b:x", "c:x"]


def test_breakers_the_settings_force_are_forced_here_alone() -> None:
    shared = MemoryBreakers()
    registry = ForcedBreakers(shared, {"a:x": BreakerState.FORCED_OPEN, "b:x": BreakerState.DISABLED}, 0.0)
    assert registry.refusing(1.0) == {"a:x"}
    assert registry.breaker("a:x").try_acquire(1.0) is None
    for _ in range(20):
        call(registry.breaker("b:x"), BAD, 1.0)
    for _ in range(5):
        call(registry.breaker("c:x"), BAD, 1.0)
    assert registry.refusing(2.0) == {"a:x", "c:x"}
    assert [(s.name, s.state.value) for s in registry.statuses(2.0)] == [
        ("a:x", "forced_open"),
        ("b:x", "disabled"),
        ("c:x", "open"),
    ]
    assert [status.name for status in shared.statuses(2.0)] == ["c:x"]
    registry.force("a:x", BreakerState.CLOSED, 3.0)
    assert registry.breaker("a:x").try_acquire(3.0) is not None
