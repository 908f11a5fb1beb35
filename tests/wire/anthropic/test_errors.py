"""Error envelopes: what clients are told, and what providers' answers mean."""

import json
from typing import Any

import pytest
from anthropic.types.shared import ErrorResponse
from hypothesis import given
from hypothesis import strategies as st

from lynkr.errors import (
    AllTargetsFailed,
    CapabilityError,
    CircuitOpen,
    ClientWireError,
    ConfigError,
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
from lynkr.wire.anthropic import AnthropicCodec
from lynkr.wire.base import EncodedError

CODEC = AnthropicCodec()
TARGET = "openai:gpt-5"


def told(encoded: EncodedError) -> tuple[int, str, str]:
    error: Any = encoded.body["error"]
    return encoded.status, error["type"], error["message"]


@pytest.mark.parametrize(
    ("error", "status", "kind"),
    [
        (ClientWireError("bad", field="model"), 400, "invalid_request_error"),
        (ClientWireError("bad", status=401), 401, "authentication_error"),
        (ClientWireError("bad", status=403), 403, "permission_error"),
        (ClientWireError("bad", status=404), 404, "not_found_error"),
        (ClientWireError("bad", status=405), 405, "invalid_request_error"),
        (ClientWireError("bad", status=413), 413, "request_too_large"),
        (CapabilityError("no vision"), 400, "invalid_request_error"),
        (RoutingError("no target"), 503, "api_error"),
        (GatewayClosed("draining"), 503, "api_error"),
        (CircuitOpen("open", target=TARGET), 503, "overloaded_error"),
        (UpstreamRefused("no", target=TARGET, status=400), 400, "invalid_request_error"),
        (UpstreamRefused("no", target=TARGET, status=404), 404, "not_found_error"),
        (UpstreamRefused("no", target=TARGET, status=422), 422, "invalid_request_error"),
        (UpstreamBusy("wait", target=TARGET), 429, "rate_limit_error"),
        (UpstreamBusy("wait", target=TARGET, status=503), 503, "overloaded_error"),
        (UpstreamBusy("wait", target=TARGET, status=529), 529, "overloaded_error"),
        (UpstreamFailed("oh", target=TARGET, status=500), 500, "api_error"),
        (UpstreamFailed("oh", target=TARGET, status=504), 504, "timeout_error"),
        (UpstreamFailed("oh", target=TARGET, status=200), 502, "api_error"),
        (UpstreamUnreachable("gone", target=TARGET), 502, "api_error"),
        (UpstreamTimeout("late", target=TARGET), 504, "timeout_error"),
        (UpstreamWireError("cut"), 502, "api_error"),
        (ConfigError("secret path"), 500, "api_error"),
        (LynkrError("odd"), 500, "api_error"),
        (KeyError("internals"), 500, "api_error"),
    ],
)
def test_each_error_has_its_status_and_type(error: Exception, status: int, kind: str) -> None:
    encoded = CODEC.encode_error(error)
    assert told(encoded)[:2] == (status, kind)
    ErrorResponse.model_construct(**encoded.body)
    assert encoded.body["type"] == "error"


@pytest.mark.parametrize("error", [KeyError("internals"), ConfigError("internals")])
def test_internals_do_not_leak(error: Exception) -> None:
    assert "internals" not in told(CODEC.encode_error(error))[2]


@pytest.mark.parametrize("status", [401, 402, 403])
def test_refused_credentials_of_the_gateway_are_not_shown_as_the_clients(status: int) -> None:
    error = UpstreamRefused("Incorrect API key sk-abc***xyz", target=TARGET, status=status)
    assert told(CODEC.encode_error(error)) == (
        502,
        "api_error",
        f"{TARGET} refused the gateway's own credentials or account (HTTP {status})",
    )


def test_all_targets_failed_tells_the_last_failure() -> None:
    last = UpstreamBusy("slow down", target=TARGET, status=429)
    group = AllTargetsFailed("all", [UpstreamTimeout("late", target="a:b"), last])
    assert CODEC.encode_error(AllTargetsFailed("outer", [group])) == CODEC.encode_error(last)


def test_a_message_names_its_target_once() -> None:
    assert told(CODEC.encode_error(UpstreamFailed("oh", target=TARGET)))[2] == f"{TARGET}: oh"
    named = UpstreamFailed(f"{TARGET} said oh", target=TARGET)
    assert told(CODEC.encode_error(named))[2] == f"{TARGET} said oh"


def test_anthropics_own_envelope_goes_through_whole() -> None:
    body = {
        "type": "error",
        "error": {"type": "invalid_request_error", "message": "prompt is too long: 5 tokens > 4 maximum"},
        "request_id": "req_1",
    }
    error = CODEC.decode_error(400, {}, json.dumps(body).encode(), target="anthropic:claude")
    assert isinstance(error, UpstreamRefused)
    assert error.is_context_overflow
    assert CODEC.encode_error(error) == EncodedError(400, body)


def test_another_dialects_overflow_is_told_in_the_words_clients_look_for() -> None:
    error = UpstreamRefused(
        "maximum context length is 8192", target=TARGET, status=400, is_context_overflow=True
    )
    status, kind, message = told(CODEC.encode_error(error))
    assert (status, kind) == (400, "invalid_request_error")
    assert message.startswith("prompt is too long")


def envelope(kind: str, message: str) -> bytes:
    return json.dumps({"type": "error", "error": {"type": kind, "message": message}}).encode()


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (400, UpstreamRefused),
        (401, UpstreamRefused),
        (402, UpstreamRefused),
        (404, UpstreamRefused),
        (408, UpstreamFailed),
        (409, UpstreamFailed),
        (413, UpstreamRefused),
        (429, UpstreamBusy),
        (500, UpstreamFailed),
        (502, UpstreamFailed),
        (503, UpstreamBusy),
        (504, UpstreamFailed),
        (529, UpstreamBusy),
    ],
)
def test_a_status_decides_the_class(status: int, expected: type[UpstreamError]) -> None:
    body = envelope("some_error", "why")
    error = CODEC.decode_error(status, {"request-id": "r"}, body, target=TARGET)
    assert type(error) is expected
    assert (error.status, error.body, error.target) == (status, body, TARGET)
    assert error.headers == {"request-id": "r"}
    assert error.wire_format == "anthropic_messages"
    assert str(error) == f"HTTP {status}: some_error: why"


@pytest.mark.parametrize(
    ("headers", "delay"),
    [
        ({}, None),
        ({"retry-after": "7"}, 7.0),
        ({"retry-after": "0.5"}, 0.5),
        ({"retry-after-ms": "1500", "retry-after": "2"}, 1.5),
        ({"retry-after-ms": "soon", "retry-after": "2"}, 2.0),
        ({"retry-after": "Wed, 21 Oct 2026 07:28:00 GMT"}, None),
        ({"retry-after": "-1"}, None),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "inf"}, None),
    ],
)
def test_retry_after_is_read_in_seconds_and_milliseconds(
    headers: dict[str, str], delay: float | None
) -> None:
    assert CODEC.decode_error(429, headers, b"", target=TARGET).retry_after == delay


@pytest.mark.parametrize(
    ("kind", "message", "expected"),
    [
        ("invalid_request_error", "prompt is too long: 208310 tokens > 200000 maximum", True),
        (
            "invalid_request_error",
            "input length and `max_tokens` exceed context limit: 178959 + 64000 > 200000",
            True,
        ),
        ("exceed_context_size_error", "the request is larger than the available size", True),
        ("invalid_request_error", "max_tokens: Field required", False),
    ],
)
def test_an_overflow_of_the_context_is_known_by_its_words(kind: str, message: str, expected: bool) -> None:
    error = CODEC.decode_error(400, {}, envelope(kind, message), target=TARGET)
    assert isinstance(error, UpstreamRefused)
    assert error.is_context_overflow is expected
    assert error.is_callers_fault is not expected


@given(
    st.integers(300, 599),
    st.binary(max_size=40) | st.sampled_from((b'{"error":[]}', b"[]", b'{"error":"x"}')),
)
def test_any_error_body_gives_an_error_that_can_be_told(status: int, body: bytes) -> None:
    error = CODEC.decode_error(status, {}, body, target=TARGET)
    encoded = CODEC.encode_error(error)
    assert encoded.status >= 400
    assert told(encoded)[2]


@pytest.mark.parametrize("thread", [{"type": "create"}, {"type": "continue", "previous_message_id": "msg_1"}])
def test_a_thread_is_refused_in_the_words_that_make_an_sdk_send_the_whole_history(thread):
    body: Any = {"model": "m", "max_tokens": 1, "messages": [], "thread": thread}
    with pytest.raises(ClientWireError) as caught:
        CODEC.decode_request(body)
    encoded = CODEC.encode_error(caught.value)
    assert told(encoded)[:2] == (400, "invalid_request_error")
    error: Any = encoded.body["error"]
    assert error["details"] == {"error_code": "thread_unsupported_request", "unsupported": ["thread"]}
    assert CODEC.decode_request({**body, "thread": None}).messages == ()
