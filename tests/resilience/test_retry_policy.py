"""FullJitter: laws, then the rules by name."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lynkr.errors import LynkrError, UpstreamBusy, UpstreamFailed, UpstreamRefused, UpstreamWireError
from lynkr.resilience.retry import FullJitter

T = "local:qwen3"
jitters = st.floats(0, 1, exclude_max=True)
hints = st.none() | st.floats(allow_nan=True) | st.floats(0, 120)
retryable = st.builds(
    lambda kind, status, hint: kind("later", target=T, status=status, retry_after=hint),
    st.sampled_from([UpstreamBusy, UpstreamFailed]),
    st.sampled_from([429, 500, 503, 529]),
    hints,
)


@given(st.integers(1, 10_000), retryable, st.floats(0, 1e6), jitters)
def test_a_wait_is_finite_and_never_longer_than_cap_or_hint(
    attempt: int, error: UpstreamBusy, elapsed: float, jitter: float
) -> None:
    policy = FullJitter(max_attempts=10_001)
    delay = policy.delay(attempt, error, elapsed, jitter)
    if delay is not None:
        assert math.isfinite(delay)
        assert 0 <= delay <= max(policy.cap, error.retry_after or 0.0)


@given(st.integers(1, 20), jitters)
def test_without_a_hint_the_wait_is_drawn_evenly_below_a_doubling_bound(attempt: int, jitter: float) -> None:
    policy = FullJitter(max_attempts=100)
    delay = policy.delay(attempt, UpstreamFailed("no", target=T, status=500), 0.0, jitter)
    assert delay == pytest.approx(jitter * min(8.0, 0.5 * 2 ** (attempt - 1)))


@given(st.floats(0, 60), jitters)
def test_a_hint_wins_over_the_backoff(hint: float, jitter: float) -> None:
    error = UpstreamBusy("later", target=T, status=503, retry_after=hint)
    assert FullJitter().delay(1, error, 0.0, jitter) == hint


@given(
    st.floats(60, exclude_min=True) | st.just(math.nan) | st.floats(max_value=0, exclude_max=True), jitters
)
def test_a_hint_beyond_a_minute_or_beyond_sense_gives_up_at_once(hint: float, jitter: float) -> None:
    error = UpstreamBusy("later", target=T, status=429, retry_after=hint)
    assert FullJitter().delay(1, error, 0.0, jitter) is None


@given(retryable, jitters, st.integers(1, 10), st.integers(0, 10))
def test_attempts_are_bounded(error: LynkrError, jitter: float, most: int, more: int) -> None:
    assert FullJitter(max_attempts=most).delay(most + more, error, 0.0, jitter) is None


@given(st.integers(2, 50), st.none() | st.floats(0, 60), jitters)
def test_a_429_is_retried_at_once_only_the_first_time(
    attempt: int, hint: float | None, jitter: float
) -> None:
    error = UpstreamBusy("later", target=T, status=429, retry_after=hint)
    policy = FullJitter(max_attempts=100)
    delay = policy.delay(attempt, error, 0.0, jitter)
    assert delay is not None
    assert delay >= min(policy.cap, policy.base * 2 ** (attempt - 1)) / 2
    assert policy.delay(1, UpstreamBusy("later", target=T, status=429, retry_after=0.0), 0.0, jitter) == 0.0


@given(st.integers(1, 5), jitters)
def test_what_must_not_be_sent_again_is_not(attempt: int, jitter: float) -> None:
    for status in (400, 401, 402, 403, 404, 413, 422):
        error = UpstreamRefused("no", target=T, status=status)
        assert FullJitter(max_attempts=100).delay(attempt, error, 0.0, jitter) is None


def test_the_providers_word_on_retrying_is_obeyed() -> None:
    never = UpstreamFailed("no", target=T, status=500, headers={"x-should-retry": "false"})
    please = UpstreamRefused("no", target=T, status=404, headers={"x-should-retry": "true"})
    assert FullJitter().delay(1, never, 0.0, 0.5) is None
    assert FullJitter().delay(1, please, 0.0, 0.5) == 0.25


@given(st.floats(0, 20), jitters)
def test_time_spent_on_all_attempts_can_be_bounded(elapsed: float, jitter: float) -> None:
    delay = FullJitter(give_up_after=10.0).delay(1, UpstreamWireError("cut short"), elapsed, jitter)
    assert delay is None or elapsed + delay <= 10.0


@pytest.mark.parametrize("wrong", [{"base": 0.0}, {"cap": -1.0}, {"max_attempts": 0}, {"longest_hint": -1.0}])
def test_a_senseless_policy_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError):  # noqa: PT011  # the validators' words are attrs'
        FullJitter(**wrong)  # type: ignore[arg-type]
