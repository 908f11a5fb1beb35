"""The table: what each error means."""

import json

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
from lynkr.model import WireFormat
from lynkr.resilience.classify import Blame, Verdict, outcome_of, verdict_of
from lynkr.resilience.families import FAMILY_VERDICTS
from lynkr.resilience.outcome import Outcome
from lynkr.resilience.verdicts import BUSY_KEY, DEAD_KEY, FAILED, FORBIDDEN, UNSUITABLE

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


# 508 is lynkr's own, of a gateway that is its own upstream: trying again would go round again.
@given(st.sampled_from([408, 409]) | st.integers(500, 599).filter(lambda status: status != 508))
def test_overload_and_server_errors_count_against_the_target_and_may_be_sent_again(status: int) -> None:
    verdict = verdict_of(by_status(status))
    assert verdict.outcome is Outcome.FAILURE
    assert verdict.credential is Outcome.IGNORED
    assert verdict.retry_same
    assert verdict.try_next


@pytest.mark.parametrize("status", [401, 402, 429])
def test_what_a_credential_suffers_counts_against_it_and_not_against_the_target(status: int) -> None:
    verdict = verdict_of(by_status(status))
    assert verdict.outcome is Outcome.IGNORED
    assert verdict.credential is Outcome.FAILURE
    assert verdict.retry_same == (status == 429)
    assert verdict.try_next


def by_word(format: WireFormat, word: str, status: int | None) -> UpstreamError:
    """An error in *format*'s own envelope."""
    headers, body = {}, b""
    if format is WireFormat.BEDROCK_CONVERSE:
        headers = {"x-amzn-errortype": f"{word}:http://internal.amazon.com/coral/com.amazon.bedrock/"}
    elif format is WireFormat.GEMINI:
        body = json.dumps({"error": {"code": status, "status": word, "message": "m"}}).encode()
    elif format is WireFormat.ANTHROPIC_MESSAGES:
        body = json.dumps({"type": "error", "error": {"type": word, "message": "m"}}).encode()
    else:
        body = json.dumps({"error": {"message": "m", "type": "x", "param": None, "code": word}}).encode()
    error = by_status(status or 500)
    return type(error)("no", target=T, status=status, headers=headers, body=body, wire_format=format)


@pytest.mark.parametrize(
    ("format", "status", "word", "expected"),
    [
        # An account without money: 429 of OpenAI and Moonshot, 400 of OpenAI's spending limit.
        (WireFormat.OPENAI_CHAT, 429, "insufficient_quota", DEAD_KEY),
        (WireFormat.OPENAI_RESPONSES, 429, "insufficient_quota", DEAD_KEY),
        (WireFormat.OPENAI_CHAT, 400, "billing_hard_limit_reached", DEAD_KEY),
        (WireFormat.OPENAI_CHAT, 429, "exceeded_current_quota_error", DEAD_KEY),
        (WireFormat.OPENAI_CHAT, 429, "rate_limit_exceeded", BUSY_KEY),
        (WireFormat.OPENAI_CHAT, 429, "engine_overloaded_error", FAILED),
        (WireFormat.OPENAI_CHAT, 404, "model_not_found", UNSUITABLE),
        (WireFormat.ANTHROPIC_MESSAGES, 529, "overloaded_error", FAILED),
        (WireFormat.ANTHROPIC_MESSAGES, 429, "rate_limit_error", BUSY_KEY),
        (WireFormat.ANTHROPIC_MESSAGES, 403, "authentication_error", DEAD_KEY),
        # Inside a stream that began with 200 there is only the word.
        (WireFormat.ANTHROPIC_MESSAGES, None, "overloaded_error", FAILED),
        (WireFormat.BEDROCK_CONVERSE, 400, "ServiceQuotaExceededException", BUSY_KEY),
        (WireFormat.BEDROCK_CONVERSE, 403, "ExpiredTokenException", DEAD_KEY),
        (WireFormat.BEDROCK_CONVERSE, 403, "AccessDeniedException", FORBIDDEN),
        (WireFormat.BEDROCK_CONVERSE, 424, "ModelErrorException", FAILED),
        (WireFormat.BEDROCK_CONVERSE, 429, "ModelNotReadyException", FAILED),
        (WireFormat.GEMINI, 400, "FAILED_PRECONDITION", DEAD_KEY),
        (WireFormat.GEMINI, 429, "RESOURCE_EXHAUSTED", BUSY_KEY),
        (WireFormat.GEMINI, 503, "UNAVAILABLE", FAILED),
    ],
)
def test_a_familys_own_words_decide(
    format: WireFormat, status: int | None, word: str, expected: Verdict
) -> None:
    assert verdict_of(by_word(format, word, status)) == expected


def test_a_wrong_key_of_the_gemini_api_is_no_fault_of_the_caller() -> None:
    details = [{"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "API_KEY_INVALID"}]
    body = json.dumps({"error": {"code": 400, "status": "INVALID_ARGUMENT", "details": details}}).encode()
    for told in (body, b"[" + body + b"]"):
        error = UpstreamRefused("no", target=T, status=400, body=told, wire_format=WireFormat.GEMINI)
        assert verdict_of(error) == DEAD_KEY


words = st.sampled_from([(f, w) for f, table in FAMILY_VERDICTS.items() for w in table])


@given(words, st.integers(400, 599).filter(lambda status: status != 508))
def test_no_word_turns_a_server_error_into_the_callers_fault_or_a_refusal_into_one_to_send_again(
    named: tuple[WireFormat, str], status: int
) -> None:
    verdict = verdict_of(by_word(WireFormat(named[0]), named[1], status))
    if status >= 500:
        assert verdict.try_next
        assert verdict.blame is Blame.TARGET
    elif status in (401, 403, 404):
        assert verdict.try_next


@given(
    st.sampled_from(WireFormat),
    st.binary(max_size=60)
    | st.sampled_from(
        [b"[]", b"null", b"3", b'{"error": []}', b'{"error": {"code": [], "details": [1, {}]}}', b"[" * 9_000]
    ),
)
def test_whatever_a_body_holds_there_is_a_verdict(format: WireFormat, body: bytes) -> None:
    error = UpstreamFailed("no", target=T, status=500, body=body, wire_format=format)
    assert verdict_of(error).outcome is Outcome.FAILURE


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
    error = UpstreamBusy("no", target=T, status=429, body=body, wire_format=WireFormat.OPENAI_CHAT)
    verdict = verdict_of(error)
    assert not verdict.retry_same
    assert verdict.outcome is Outcome.IGNORED
    assert verdict.credential is Outcome.FAILURE
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
