"""The table: what each error means."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lynkr.errors import (
    AllTargetsFailed,
    CapabilityError,
    CircuitOpen,
    ClientWireError,
    ConfigError,
    DeadlineExceeded,
    GatewayClosed,
    LynkrError,
    RoutingError,
    UpstreamBusy,
    UpstreamError,
    UpstreamFailed,
    UpstreamRefused,
    UpstreamTimeout,
    UpstreamUnreachable,
    UpstreamWireError,
)
from lynkr.resilience.classify import Blame, outcome_of, verdict_of
from lynkr.resilience.outcome import Outcome

T = "local:qwen3"


def by_status(status: int, **more: object) -> UpstreamError:
    """As the codecs sort statuses into classes."""
    kind: type[UpstreamError] = UpstreamFailed
    if status in (429, 503, 529):
        kind = UpstreamBusy
    elif 400 <= status < 500 and status not in (408, 409):
        kind = UpstreamRefused
    return kind("no", target=T, status=status, **more)  # type: ignore[arg-type]


upstream_errors = st.builds(
    lambda kind, status, headers: kind("no", target=T, status=status, headers=headers),
    st.sampled_from(
        [UpstreamError, UpstreamRefused, UpstreamBusy, UpstreamFailed, UpstreamUnreachable, UpstreamTimeout]
    ),
    st.none() | st.integers(200, 599),
    st.fixed_dictionaries({}, optional={"x-should-retry": st.sampled_from(["true", "false", "maybe", ""])}),
)


@given(upstream_errors)
def test_every_provider_error_has_a_verdict_and_none_is_a_success(error: UpstreamError) -> None:
    assert verdict_of(error).outcome is not Outcome.SUCCESS


@given(upstream_errors)
def test_the_providers_own_word_on_retrying_wins(error: UpstreamError) -> None:
    match error.headers.get("x-should-retry"):
        case "true":
            assert verdict_of(error).retry_same
        case "false":
            assert not verdict_of(error).retry_same


@given(st.integers(400, 499).filter(lambda status: status not in (408, 409, 429)))
def test_client_errors_never_move_a_breaker_and_are_never_sent_again(status: int) -> None:
    verdict = verdict_of(by_status(status))
    assert verdict.outcome is Outcome.IGNORED
    assert not verdict.retry_same


@given(st.sampled_from([408, 409, 429]) | st.integers(500, 599))
def test_overload_and_server_errors_count_against_the_target_and_may_be_sent_again(status: int) -> None:
    verdict = verdict_of(by_status(status))
    assert verdict.outcome is Outcome.FAILURE
    assert verdict.retry_same
    assert verdict.try_next


@pytest.mark.parametrize("status", [400, 413, 422])
def test_the_callers_own_fault_goes_no_further(status: int) -> None:
    verdict = verdict_of(by_status(status))
    assert not verdict.try_next
    assert verdict.blame is Blame.CALLER


def test_a_context_overflow_goes_on_to_another_target() -> None:
    error = UpstreamRefused("too long", target=T, status=400, is_context_overflow=True)
    verdict = verdict_of(error)
    assert verdict.try_next
    assert not verdict.retry_same
    assert verdict.outcome is Outcome.IGNORED


@pytest.mark.parametrize("status", [401, 402])
def test_a_dead_key_sends_the_providers_other_targets_to_the_back(status: int) -> None:
    verdict = verdict_of(by_status(status))
    assert verdict.defer_provider
    assert verdict.blame is Blame.CREDENTIAL


def test_an_empty_account_is_no_rate_limit() -> None:
    body = b'{"error": {"code": "insufficient_quota", "message": "You exceeded your current quota"}}'
    verdict = verdict_of(UpstreamBusy("no", target=T, status=429, body=body))
    assert not verdict.retry_same
    assert verdict.outcome is Outcome.IGNORED
    assert verdict.blame is Blame.CREDENTIAL


def test_a_dead_host_and_a_slow_one_are_left_for_another_target_first() -> None:
    for error in (UpstreamUnreachable("refused", target=T), UpstreamTimeout("slow", target=T)):
        verdict = verdict_of(error)
        assert verdict.prefer_next
        assert verdict.retry_same
        assert verdict.outcome is Outcome.FAILURE


def test_an_error_event_in_a_stream_that_began_with_200_is_a_failure() -> None:
    for status in (None, 200):
        assert outcome_of(UpstreamFailed("overloaded", target=T, status=status)) is Outcome.FAILURE
    assert outcome_of(UpstreamWireError("cut short")) is Outcome.FAILURE


@pytest.mark.parametrize("error", [CircuitOpen("shut", target=T), DeadlineExceeded("late", target=T)])
def test_what_was_not_sent_or_not_given_a_chance_proves_nothing(error: LynkrError) -> None:
    verdict = verdict_of(error)
    assert verdict.outcome is Outcome.IGNORED
    assert verdict.blame is Blame.NOBODY
    assert not verdict.retry_same


@pytest.mark.parametrize(
    "error",
    [
        ClientWireError("bad"),
        ConfigError("bad"),
        RoutingError("none"),
        CapabilityError("no"),
        GatewayClosed("bye"),
    ],
)
def test_errors_of_ours_stop_and_move_no_breaker(error: LynkrError) -> None:
    verdict = verdict_of(error)
    assert not verdict.retry_same
    assert not verdict.try_next
    assert verdict.outcome is Outcome.IGNORED


def test_a_group_means_what_its_last_error_means() -> None:
    last = UpstreamRefused("no", target=T, status=404)
    group = AllTargetsFailed("all", [UpstreamFailed("no", target=T, status=500), last])
    assert verdict_of(AllTargetsFailed("outer", [group])) == verdict_of(last)


def test_an_exception_nobody_planned_is_a_failure_that_is_passed_on() -> None:
    verdict = verdict_of(KeyError("choices"))
    assert verdict.outcome is Outcome.FAILURE
    assert not verdict.retry_same
    assert not verdict.try_next


@pytest.mark.parametrize("error", [KeyboardInterrupt(), GeneratorExit(), SystemExit()])
def test_being_stopped_proves_nothing(error: BaseException) -> None:
    assert outcome_of(error) is Outcome.IGNORED


def test_no_error_is_a_success() -> None:
    assert outcome_of(None) is Outcome.SUCCESS
