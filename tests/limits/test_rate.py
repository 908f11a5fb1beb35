"""A token bucket by the minute, against its law and against exact arithmetic."""

from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from lynkr.limits import Rate

PER_MINUTE = st.integers(1, 5_000)
# Steps of whole nanoseconds, many of them none at all, so that requests come at once as well.
STEPS = st.lists(
    st.tuples(st.one_of(st.just(0), st.integers(0, 90 * 10**9)), st.integers(1, 40)), min_size=1, max_size=60
)


@given(PER_MINUTE, STEPS)
def test_it_agrees_with_exact_arithmetic(per_minute: int, steps: list[tuple[int, int]]) -> None:
    rate, level, now = Rate(per_minute), Fraction(per_minute), 0
    for elapsed, amount in steps:
        now += elapsed
        level = min(Fraction(per_minute), level + Fraction(elapsed * per_minute, 60 * 10**9))
        may = level >= min(amount, per_minute)
        assert (rate.wait(amount, now / 10**9) == 0) is may
        if may:
            rate.take(amount)
            level -= amount


@given(PER_MINUTE, STEPS)
def test_no_window_holds_more_than_its_share(per_minute: int, steps: list[tuple[int, int]]) -> None:
    rate, now, taken = Rate(per_minute), 0, []
    for elapsed, _ in steps:
        now += elapsed
        if not rate.wait(1, now / 10**9):
            rate.take(1)
            taken.append(now)
    for first in range(len(taken)):
        for last in range(first, len(taken)):
            window = taken[last] - taken[first]
            assert last - first + 1 <= per_minute + Fraction(window * per_minute, 60 * 10**9)


@given(PER_MINUTE, st.integers(1, 10_000))
def test_after_the_wait_it_may_be_taken(per_minute: int, amount: int) -> None:
    rate = Rate(per_minute)
    rate.wait(1, 0.0)
    rate.take(per_minute)
    wait = rate.wait(amount, 0.0)
    assert 0 < wait <= 60
    assert rate.wait(amount, wait + 1e-6) == 0


def test_a_clock_that_steps_back_gives_nothing() -> None:
    rate = Rate(1)
    assert rate.wait(1, 100.0) == 0
    rate.take(1)
    assert rate.wait(1, 0.0) == 60
    assert rate.wait(1, 100.0) == 60


def test_what_is_settled_may_be_owed_or_given_back() -> None:
    rate = Rate(60)
    rate.wait(1, 0.0)
    rate.take(60)
    rate.take(60)  # used twice what was estimated: the next minute pays for it
    assert rate.wait(1, 0.0) == 61
    rate.take(-60)
    assert rate.wait(1, 0.0) == 1
    rate.take(-1_000)
    assert rate.wait(60, 0.0) == 0
    assert rate.wait(1_000_000, 0.0) == 0  # larger than the bucket: once that is full
