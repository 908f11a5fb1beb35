"""Errors, from Google and to clients."""

import json

import pytest

from lynkr.errors import (
    AllTargetsFailed,
    CapabilityError,
    ClientWireError,
    GatewayClosed,
    UpstreamBusy,
    UpstreamFailed,
    UpstreamRefused,
    UpstreamTimeout,
)
from lynkr.wire.gemini import GeminiCodec

CODEC = GeminiCodec()


def body(code, status, message="m", *details):
    return json.dumps(
        {"error": {"code": code, "message": message, "status": status, "details": details}}
    ).encode()


def error(status, data, headers=None):
    return CODEC.decode_error(status, headers or {}, data, target="gemini:m")


@pytest.mark.parametrize(
    ("status", "word", "kind"),
    [
        (400, "INVALID_ARGUMENT", UpstreamRefused),
        (401, "UNAUTHENTICATED", UpstreamRefused),
        (403, "PERMISSION_DENIED", UpstreamRefused),
        (404, "NOT_FOUND", UpstreamRefused),
        (409, "ABORTED", UpstreamBusy),
        (429, "RESOURCE_EXHAUSTED", UpstreamBusy),
        (499, "CANCELLED", UpstreamFailed),
        (500, "INTERNAL", UpstreamFailed),
        (503, "UNAVAILABLE", UpstreamBusy),
        (504, "DEADLINE_EXCEEDED", UpstreamTimeout),
    ],
)
def test_a_status_means_what_google_means_by_it(status, word, kind):
    caught = error(status, body(status, word, "what happened"))
    assert type(caught) is kind
    assert (caught.status, caught.target, caught.wire_format) == (status, "gemini:m", "gemini")
    assert "what happened" in str(caught)


def test_the_time_to_wait_stands_in_the_details():
    retry = {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "34.07s"}
    assert error(429, body(429, "RESOURCE_EXHAUSTED", "quota", {"x": 1}, retry)).retry_after == 34.07
    assert error(429, body(429, "RESOURCE_EXHAUSTED"), {"retry-after": "5"}).retry_after == 5
    assert error(429, body(429, "RESOURCE_EXHAUSTED"), {"retry-after": "soon"}).retry_after is None


def test_an_unknown_key_is_not_the_callers_fault_though_google_says_400():
    info = {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "API_KEY_INVALID"}
    caught = error(400, body(400, "INVALID_ARGUMENT", "API key not valid.", info))
    assert caught.status == 401
    assert not caught.is_callers_fault
    assert CODEC.encode_error(caught).status == 502


def test_a_prompt_too_long_is_told_apart_from_other_refusals():
    words = "The input token count (1048577) exceeds the maximum number of tokens allowed (1048576)."
    assert error(400, body(400, "INVALID_ARGUMENT", words)).is_context_overflow
    assert not error(400, body(400, "INVALID_ARGUMENT", "bad field")).is_context_overflow


@pytest.mark.parametrize(
    "data",
    [b"", b"<html>Bad Gateway</html>", b"[]", b"null", b'"x"', b'{"error": "x"}', b"\xff", b'[{"error":{}}]'],
)
def test_any_body_makes_an_error(data):
    assert isinstance(error(502, data), UpstreamFailed)


def test_an_error_in_an_array_is_read():
    wrapped = b"[" + body(429, "RESOURCE_EXHAUSTED", "quota") + b"]"
    assert "quota" in str(error(429, wrapped))


# --- To clients ---------------------------------------------------------------------------------------


def test_googles_own_words_go_through():
    data = body(400, "INVALID_ARGUMENT", "Unknown name")
    encoded = CODEC.encode_error(error(400, data))
    assert (encoded.status, encoded.body) == (400, json.loads(data))


@pytest.mark.parametrize(
    ("raised", "status", "word"),
    [
        (ClientWireError("is required", field="contents"), 400, "INVALID_ARGUMENT"),
        (ClientWireError("too large", status=413), 413, "INVALID_ARGUMENT"),
        (CapabilityError("no vision"), 400, "INVALID_ARGUMENT"),
        (GatewayClosed("draining"), 503, "UNAVAILABLE"),
        (UpstreamBusy("busy", target="a:b", status=529), 529, "UNAVAILABLE"),
        (UpstreamRefused("key", target="a:b", status=401), 502, "UNAVAILABLE"),
        (AllTargetsFailed("all", [UpstreamTimeout("slow", target="a:b")]), 504, "DEADLINE_EXCEEDED"),
        (RuntimeError("secret"), 500, "INTERNAL"),
    ],
)
def test_what_went_wrong_is_told_in_googles_envelope(raised, status, word):
    encoded = CODEC.encode_error(raised)
    assert (encoded.status, encoded.body["error"]["code"], encoded.body["error"]["status"]) == (
        status,
        status,
        word,
    )
    assert "secret" not in encoded.body["error"]["message"]
