"""Errors by example, both directions."""

import json
from collections.abc import Mapping
from typing import Any

import pytest

from lynkr.errors import (
    AllTargetsFailed,
    CapabilityError,
    CircuitOpen,
    ClientWireError,
    ConfigError,
    GatewayClosed,
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
from lynkr.wire.openai_chat import OpenAIChatCodec

CODEC = OpenAIChatCodec()
CHAT = WireFormat.OPENAI_CHAT
TARGET = "openai:gpt-5"


def _decoded(
    status: int, body: bytes | Mapping[str, Any] = b"", headers: Mapping[str, str] | None = None
) -> UpstreamError:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return CODEC.decode_error(status, headers or {}, raw, target=TARGET)


def _envelope(message: str, **more: Any) -> dict[str, Any]:
    return {"error": {"message": message, "type": None, "param": None, "code": None, **more}}


# --- From a provider ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (301, UpstreamRefused),
        (400, UpstreamRefused),
        (401, UpstreamRefused),
        (403, UpstreamRefused),
        (404, UpstreamRefused),
        (408, UpstreamTimeout),
        (409, UpstreamBusy),
        (413, UpstreamRefused),
        (422, UpstreamRefused),
        (429, UpstreamBusy),
        (500, UpstreamFailed),
        (502, UpstreamFailed),
        (503, UpstreamBusy),
        (504, UpstreamTimeout),
        (529, UpstreamBusy),
    ],
)
def test_a_status_means_an_error(status: int, expected: type[UpstreamError]) -> None:
    body = _envelope("nope")
    error = _decoded(status, body, {"x-request-id": "r"})
    assert type(error) is expected
    assert (error.status, error.target, error.wire_format) == (status, TARGET, CHAT)
    assert str(error) == f"{TARGET} answered {status}: nope"
    assert error.headers == {"x-request-id": "r"}
    assert json.loads(error.body) == body


def test_an_empty_account_is_not_a_busy_provider() -> None:
    error = _decoded(429, _envelope("You exceeded your current quota", code="insufficient_quota"))
    assert type(error) is UpstreamRefused
    assert not error.retryable
    assert not error.is_callers_fault


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (400, _envelope("x", code="context_length_exceeded")),
        (
            400,
            {
                "error": {
                    "code": 400,
                    "message": "request (4476 tokens) exceeds the available context size (4096 tokens)",
                    "type": "exceed_context_size_error",
                    "n_prompt_tokens": 4476,
                    "n_ctx": 4096,
                }
            },
        ),
        (400, {"object": "error", "message": "This model's maximum context length is 4096 tokens."}),
        (500, {"error": "the request exceeds the available context size, try increasing it"}),
        (413, b"prompt is too long for this model"),
    ],
)
def test_an_overflowing_context_is_told_apart(status: int, body: bytes | dict[str, Any]) -> None:
    error = _decoded(status, body)
    assert isinstance(error, UpstreamRefused)
    assert error.is_context_overflow
    assert not error.is_callers_fault


def test_a_plain_bad_request_is_the_callers_fault() -> None:
    error = _decoded(400, _envelope("Invalid value for 'context'"))
    assert isinstance(error, UpstreamRefused)
    assert not error.is_context_overflow
    assert error.is_callers_fault


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (_envelope("m"), "m"),
        ({"error": "m"}, "m"),
        ({"message": "m"}, "m"),
        ({"detail": "m"}, "m"),
        ([{"error": {"message": "m"}}], "m"),
        (b"<html>m</html>", "<html>m</html>"),
        (b"\xff\xfe", "\ufffd\ufffd"),
        (b"", "no reason given"),
        (b"[]", "no reason given"),
        ({"error": {"message": 3}}, "no reason given"),
        ({"error": None}, "no reason given"),
    ],
)
def test_the_reason_is_found_in_every_shape(body: Any, said: str) -> None:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    assert str(_decoded(500, raw)) == f"{TARGET} answered 500: {said}"


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after": "3"}, 3.0),
        ({"retry-after": "0.5"}, 0.5),
        ({"retry-after-ms": "250", "retry-after": "3"}, 0.25),
        ({"retry-after-ms": "soon", "retry-after": "3"}, 3.0),
        ({"retry-after": "-1"}, None),
        ({"retry-after": "inf"}, None),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "Wed, 21 Oct 2026 07:28:00 GMT"}, None),
        ({}, None),
    ],
)
def test_the_wait_is_read_in_seconds(headers: dict[str, str], seconds: float | None) -> None:
    assert _decoded(429, headers=headers).retry_after == seconds


# --- To a client --------------------------------------------------------------------------------------


def _upstream(
    kind: type[UpstreamError], status: int | None = None, body: bytes = b"", wire_format: str | None = None
) -> UpstreamError:
    return kind("said no", target=TARGET, status=status, body=body, wire_format=wire_format)


@pytest.mark.parametrize(
    ("error", "status", "kind", "code"),
    [
        (ClientWireError("is required", field="messages"), 400, "invalid_request_error", None),
        (ClientWireError("too large", status=413), 413, "invalid_request_error", None),
        (CapabilityError("no target sees images"), 400, "invalid_request_error", None),
        (RoutingError("no target"), 503, "server_error", None),
        (GatewayClosed("draining"), 503, "server_error", None),
        (UpstreamWireError("cut"), 502, "server_error", None),
        (_upstream(UpstreamRefused, 400), 400, "invalid_request_error", None),
        (_upstream(UpstreamRefused, 404), 404, "invalid_request_error", None),
        (_upstream(UpstreamRefused, 401), 502, "server_error", "upstream_refused"),
        (_upstream(UpstreamRefused, 402), 502, "server_error", "upstream_refused"),
        (_upstream(UpstreamRefused, 403), 502, "server_error", "upstream_refused"),
        (_upstream(UpstreamRefused, 429), 429, "insufficient_quota", "insufficient_quota"),
        (_upstream(UpstreamRefused, 301), 502, "server_error", None),
        (_upstream(UpstreamBusy, 429), 429, "rate_limit_error", "rate_limit_exceeded"),
        (_upstream(UpstreamBusy, 529), 529, "server_error", None),
        (_upstream(UpstreamBusy), 429, "rate_limit_error", "rate_limit_exceeded"),
        (_upstream(UpstreamFailed, 500), 500, "server_error", None),
        (_upstream(UpstreamFailed), 502, "server_error", None),
        (_upstream(UpstreamUnreachable), 502, "server_error", None),
        (_upstream(UpstreamTimeout), 504, "server_error", None),
        (_upstream(CircuitOpen), 503, "server_error", None),
        (
            AllTargetsFailed("all", [_upstream(UpstreamFailed, 500), _upstream(UpstreamTimeout)]),
            504,
            "server_error",
            None,
        ),
    ],
)
def test_an_error_has_a_status_and_an_envelope(
    error: BaseException, status: int, kind: str, code: str | None
) -> None:
    encoded = CODEC.encode_error(error)
    body: Any = encoded.body
    assert encoded.status == status
    assert body.keys() == {"error"}
    assert body["error"].keys() == {"message", "type", "param", "code"}
    assert (body["error"]["type"], body["error"]["code"]) == (kind, code)


def test_an_overflowing_context_has_openais_code_whoever_said_it() -> None:
    error = _upstream(UpstreamRefused, 400)
    assert isinstance(error, UpstreamRefused)
    error.is_context_overflow = True
    body: Any = CODEC.encode_error(error).body
    assert body["error"]["code"] == "context_length_exceeded"


@pytest.mark.parametrize("error", [ValueError("secret path /etc"), ConfigError("secret key"), KeyError("k")])
def test_what_went_wrong_inside_is_not_told(error: Exception) -> None:
    encoded = CODEC.encode_error(error)
    body: Any = encoded.body
    assert encoded.status == 500
    assert body["error"]["message"] == "the gateway failed to handle the request"


def test_a_chat_providers_own_envelope_goes_through_as_it_came() -> None:
    own = _envelope("Unsupported parameter", param="max_tokens", code="unsupported_parameter", x_more=1)
    encoded = CODEC.encode_error(_upstream(UpstreamRefused, 400, json.dumps(own).encode(), CHAT))
    assert (encoded.status, encoded.body) == (400, own)


@pytest.mark.parametrize("raw", [b"<html>", b'{"error": "text"}', b"{}", b"[1]"])
def test_other_bodies_of_a_provider_are_put_into_the_envelope(raw: bytes) -> None:
    body: Any = CODEC.encode_error(_upstream(UpstreamFailed, 500, raw, CHAT)).body
    assert body["error"]["message"] == "said no"


def test_the_operators_credentials_are_not_shown() -> None:
    own = _envelope("Incorrect API key provided: sk-abcd1234", code="invalid_api_key")
    encoded = CODEC.encode_error(_upstream(UpstreamRefused, 401, json.dumps(own).encode(), CHAT))
    assert encoded.status == 502
    assert "sk-" not in json.dumps(encoded.body)
