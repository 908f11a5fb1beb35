"""Errors of Bedrock, by their names, and ours in its envelope."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lynkr.errors import (
    AllTargetsFailed,
    ClientWireError,
    GatewayClosed,
    UpstreamBusy,
    UpstreamError,
    UpstreamFailed,
    UpstreamRefused,
    UpstreamTimeout,
)
from lynkr.wire.bedrock import BedrockConverseCodec

CODEC = BedrockConverseCodec()


def decoded(status, name="", message="words", headers=(), body=None):
    named = {"x-amzn-errortype": name} if name else {}
    data = json.dumps({"message": message}).encode() if body is None else body
    return CODEC.decode_error(status, {**named, **dict(headers)}, data, target="aws:m")


@pytest.mark.parametrize(
    ("status", "name", "kind"),
    [
        (429, "ThrottlingException", UpstreamBusy),
        (429, "ModelNotReadyException", UpstreamBusy),
        (503, "ServiceUnavailableException:http://internal.amazon.com/", UpstreamBusy),
        (400, "ServiceQuotaExceededException", UpstreamBusy),
        (408, "ModelTimeoutException", UpstreamTimeout),
        (424, "ModelErrorException", UpstreamFailed),
        (500, "InternalServerException", UpstreamFailed),
        (400, "ValidationException", UpstreamRefused),
        (403, "AccessDeniedException", UpstreamRefused),
        (403, "com.amazon.coral.service#ExpiredTokenException", UpstreamRefused),
        (404, "ResourceNotFoundException", UpstreamRefused),
        # Without a name, as proxies answer.
        (429, "", UpstreamBusy),
        (503, "", UpstreamBusy),
        (502, "", UpstreamFailed),
        (504, "", UpstreamTimeout),
        (418, "", UpstreamRefused),
        # With one that does not go with it.
        (429, "InternalServerException", UpstreamBusy),
        (529, "ServiceUnavailableException", UpstreamBusy),
    ],
)
def test_an_exception_is_told_by_its_name_else_by_its_status(status, name, kind):
    error = decoded(status, name)
    assert type(error) is kind
    assert (error.status, error.target) == (status, "aws:m")
    assert "words" in str(error)


@pytest.mark.parametrize(
    "message",
    [
        "Input is too long for requested model.",
        "The model returned the following errors: prompt is too long: 200001 tokens > 200000 maximum",
        "input length and `max_tokens` exceed context limit: 188240 + 21333 > 200000",
        "This model's maximum context length is 8192 tokens.",
    ],
)
def test_a_prompt_that_is_too_long_may_fit_elsewhere(message):
    error = decoded(400, "ValidationException", message)
    assert error.is_context_overflow
    assert not error.is_callers_fault


@pytest.mark.parametrize(
    "message",
    [
        "The provided model identifier is invalid.",
        "Invocation of model ID anthropic.claude-x with on-demand throughput isn't supported.",
    ],
)
def test_a_model_the_operator_misnamed_is_not_the_callers_fault(message):
    error = decoded(400, "ValidationException", message)
    assert error.status == 404
    assert not error.is_callers_fault


def test_another_400_is_the_callers_fault():
    error = decoded(400, "ValidationException", "messages.0.content.0 is blank")
    assert error.is_callers_fault
    assert not error.is_context_overflow


@pytest.mark.parametrize(("value", "delay"), [("7", 7.0), ("-1", None), ("inf", None), ("Mon, 1", None)])
def test_a_wait_is_read_where_it_is_a_number(value, delay):
    assert decoded(429, "ThrottlingException", headers={"retry-after": value}.items()).retry_after == delay


@given(st.integers(300, 599), st.binary(max_size=60), st.text(max_size=20))
def test_no_body_and_no_name_break_the_reading(status, body, name):
    assert isinstance(decoded(status, name, body=body), UpstreamError)


@pytest.mark.parametrize(
    ("error", "status", "name"),
    [
        (ClientWireError("wrong", field="messages"), 400, "ValidationException"),
        (UpstreamBusy("b", target="t:m", status=429), 429, "ThrottlingException"),
        (UpstreamBusy("b", target="t:m", status=529), 529, "ServiceUnavailableException"),
        (UpstreamRefused("key", target="t:m", status=401), 502, "InternalServerException"),
        (GatewayClosed("bye"), 503, "ServiceUnavailableException"),
        (RuntimeError("secret detail"), 500, "InternalServerException"),
    ],
)
def test_ours_are_written_in_its_envelope(error, status, name):
    encoded = CODEC.encode_error(error)
    assert (encoded.status, encoded.body["__type"]) == (status, name)
    assert "secret detail" not in encoded.body["message"]


def test_of_several_attempts_the_last_ones_error_is_told():
    errors = [UpstreamFailed("a", target="t:m", status=500), UpstreamBusy("b", target="t:m", status=429)]
    assert CODEC.encode_error(AllTargetsFailed("all", errors)) == CODEC.encode_error(errors[1])


def test_its_own_envelope_goes_through():
    error = decoded(400, "ValidationException", "blank")
    assert CODEC.encode_error(error).body == {"message": "blank"}


def test_an_overflow_of_another_dialect_is_told_in_its_words():
    error = UpstreamRefused("too big", target="t:m", status=400, is_context_overflow=True)
    assert CODEC.encode_error(error).body["message"].startswith("Input is too long for requested model.")
