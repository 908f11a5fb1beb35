"""UTC days and months, and what is put aside in them."""

from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from lynkr.limits import Period, Spending

TIMES = st.floats(0, 4e9)


@given(TIMES, st.sampled_from(Period))
def test_periods_are_utcs_and_leave_no_gap(now: float, period: Period) -> None:
    began, ends = period.began(now), period.ends(now)
    assert began <= now < ends
    assert period.began(ends) == ends
    assert period.began(ends - 1) == began
    start = datetime.fromtimestamp(began, UTC)
    assert (start.hour, start.minute, start.second) == (0, 0, 0)
    assert period is Period.DAY or start.day == 1


def test_a_reservation_belongs_to_the_period_it_was_made_in() -> None:
    day = 86_400.0
    spending = Spending(Period.DAY)
    reserved = spending.reserve(5, day - 1)
    assert spending.used(day - 1) == 5
    assert spending.used(day) == 0
    spending.settle(reserved, 7)  # of yesterday
    assert spending.used(day) == 0


def test_a_clock_that_steps_back_brings_no_old_period_back() -> None:
    spending = Spending(Period.DAY, spent=3, now=86_400.0)
    assert spending.used(86_400.0) == 3
    spending.settle(spending.reserve(2, 10.0), 2)
    assert spending.used(86_400.0) == 5
