"""Error envelopes: ``{"type": "error", "error": {"type": ..., "message": ...}}``.

Types and statuses after "Errors" in Anthropic's API reference and the SDK's
`ErrorType` (read 2026-11).
"""

import math
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, cast

from lynkr.errors import (
    AllTargetsFailed,
    ClientWireError,
    ConfigError,
    LynkrError,
    UpstreamBusy,
    UpstreamError,
    UpstreamFailed,
    UpstreamRefused,
)
from lynkr.model import Json
from lynkr.wire.anthropic.fields import FORMAT, is_object
from lynkr.wire.base import EncodedError
from lynkr.wire.json_body import parse_value

_TYPE_OF: Final[Mapping[int, str]] = {
    400: "invalid_request_error",
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    408: "timeout_error",
    409: "conflict_error",
    413: "request_too_large",
    429: "rate_limit_error",
    500: "api_error",
    503: "overloaded_error",
    504: "timeout_error",
    529: "overloaded_error",
}
_STATUS_OF: Final[Mapping[str, int]] = {
    "invalid_request_error": 400,
    "authentication_error": 401,
    "billing_error": 402,
    "permission_error": 403,
    "not_found_error": 404,
    "conflict_error": 409,
    "request_too_large": 413,
    "rate_limit_error": 429,
    "api_error": 500,
    "timeout_error": 504,
    "overloaded_error": 529,
}
_OPERATORS_PROBLEM: Final = frozenset({401, 402, 403})
_BUSY: Final = frozenset({429, 503, 529})
_RETRYABLE_4XX: Final = frozenset({408, 409})
_MAX_MESSAGE: Final = 2_000
_NO_DETAILS: Final[Mapping[str, Json]] = MappingProxyType({})

# --- For clients --------------------------------------------------------------------------------------


def encode_error(error: BaseException) -> EncodedError:
    """*error* as a client of this dialect should see it.

    A provider's own Anthropic envelope goes through whole, because clients
    match on its wording.  Not so where the provider refused lynkr's
    credentials (401, 402, 403): clients take those for a fault of their own
    key, and OpenAI's wording quotes part of the operator's.  They become a 502
    that says what happened.  What lynkr did not raise on purpose is a 500
    without particulars.
    """
    match error:
        case AllTargetsFailed():
            return encode_error(error.last)
        case ClientWireError():
            return _envelope(error.status, str(error), details=cast("Mapping[str, Json]", error.details))
        case UpstreamError():
            return _encode_upstream(error)
        case ConfigError():
            return _envelope(500, "the gateway is not set up correctly; its operator's log says more")
        case LynkrError() if error.status_hint == 503:
            # No target, or draining: not the overload that 503 stands for otherwise.
            return _envelope(503, str(error), "api_error")
        case LynkrError():
            return _envelope(error.status_hint, str(error))
        case _:
            return _envelope(500, "internal error in the gateway")


def _encode_upstream(error: UpstreamError) -> EncodedError:
    status = error.status if error.status is not None and error.status >= 400 else error.status_hint
    if status in _OPERATORS_PROBLEM:
        who = error.target or "the provider"
        return _envelope(502, f"{who} refused the gateway's own credentials or account (HTTP {status})")
    if error.wire_format == FORMAT:
        body = _envelope_in(error.body)
        if body is not None:
            return EncodedError(status, body)
    message = str(error)
    if error.target and error.target not in message:
        message = f"{error.target}: {message}"
    if isinstance(error, UpstreamRefused) and error.is_context_overflow:
        # Claude Code compacts its history on these words and on no others (clients.md, read 2026-11).
        return _envelope(400, f"prompt is too long: {message}")
    return _envelope(status, message)


def _envelope(
    status: int, message: str, kind: str | None = None, *, details: Mapping[str, Json] = _NO_DETAILS
) -> EncodedError:
    if kind is None:
        kind = _TYPE_OF.get(status, "invalid_request_error" if 400 <= status < 500 else "api_error")
    error: dict[str, Json] = {"type": kind, "message": message}
    if details:
        error["details"] = details
    return EncodedError(status, {"type": "error", "error": error})


def _envelope_in(body: bytes) -> Mapping[str, Json] | None:
    """*body* if it is this dialect's envelope."""
    try:
        value = parse_value(body)
    except ValueError:
        return None
    if is_object(value) and value.get("type") == "error" and _type_and_message(value) is not None:
        return value
    return None


# --- From providers -----------------------------------------------------------------------------------


def decode_error(status: int, headers: Mapping[str, str], body: bytes, *, target: str) -> UpstreamError:
    """What a provider's non-2xx answer means; never raises, whatever the body holds."""
    try:
        value = parse_value(body)
    except ValueError:
        value = None
    kind, message = _type_and_message(value) or ("", "")
    if not message:
        message = body[:_MAX_MESSAGE].decode("utf-8", "replace").strip() or "no explanation"
    return _upstream_error(status, headers, body, (kind, message), target)


def stream_error(value: Mapping[str, Json], data: str) -> UpstreamError:
    """What an ``error`` event inside a stream means; its status is the one its type stands for."""
    kind, message = _type_and_message(value) or ("", data)
    return _upstream_error(_STATUS_OF.get(kind), {}, data.encode("utf-8", "replace"), (kind, message), "")


def _type_and_message(value: object) -> tuple[str, str] | None:
    """``error.type`` and ``error.message``; compatible servers leave one or the other out."""
    error = value.get("error") if is_object(value) else None
    if isinstance(error, str):
        return "", error
    if not is_object(error):
        return None
    kind, message = error.get("type"), error.get("message")
    if not isinstance(kind, str) and not isinstance(message, str):
        return None
    return kind if isinstance(kind, str) else "", message if isinstance(message, str) else ""


def _upstream_error(
    status: int | None, headers: Mapping[str, str], body: bytes, told: tuple[str, str], target: str
) -> UpstreamError:
    kind, message = told
    text = ": ".join(filter(None, (f"HTTP {status}" if status else "", kind, message[:_MAX_MESSAGE])))
    retry_after = retry_after_in(headers)
    if status in _BUSY:
        return UpstreamBusy(
            text,
            target=target,
            status=status,
            headers=headers,
            body=body,
            wire_format=FORMAT,
            retry_after=retry_after,
        )
    if status is not None and 400 <= status < 500 and status not in _RETRYABLE_4XX:
        return UpstreamRefused(
            text,
            target=target,
            status=status,
            headers=headers,
            body=body,
            wire_format=FORMAT,
            retry_after=retry_after,
            is_context_overflow=status == 400 and _says_context_overflow(kind, message),
        )
    return UpstreamFailed(
        text,
        target=target,
        status=status,
        headers=headers,
        body=body,
        wire_format=FORMAT,
        retry_after=retry_after,
    )


def _says_context_overflow(kind: str, message: str) -> bool:
    # Anthropic: "prompt is too long: N tokens > M maximum" and "input length and `max_tokens` exceed
    # context limit"; llama.cpp: the type exceed_context_size_error (read 2026-11).
    words = message.lower()
    return (
        "prompt is too long" in words
        or kind == "exceed_context_size_error"
        or ("exceed" in words and "context" in words)
    )


def retry_after_in(headers: Mapping[str, str]) -> float | None:
    """Seconds to wait by ``retry-after-ms`` or ``retry-after``; None for a date, which needs a clock."""
    for name, scale in (("retry-after-ms", 1_000.0), ("retry-after", 1.0)):
        try:
            delay = float(headers.get(name, "")) / scale
        except ValueError:
            continue
        if math.isfinite(delay) and delay >= 0:
            return delay
    return None
