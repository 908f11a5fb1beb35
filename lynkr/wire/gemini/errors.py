"""Errors, both directions: ``{"error": {"code", "message", "status", "details"}}``.

The envelope is google.rpc.Status, https://cloud.google.com/apis/design/errors
(read 2026-11).  A stream asked for without ``alt=sse`` wraps it in an array.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Final, TypeVar

from attrs import frozen

from lynkr.errors import (
    AllTargetsFailed,
    CapabilityError,
    ClientWireError,
    LynkrError,
    UpstreamBusy,
    UpstreamError,
    UpstreamFailed,
    UpstreamRefused,
    UpstreamTimeout,
)
from lynkr.model import Json
from lynkr.wire.base import EncodedError
from lynkr.wire.fields import Node, node_or_empty, text_or_empty
from lynkr.wire.gemini.fields import GEMINI
from lynkr.wire.json_body import dump, parse_value

_E = TypeVar("_E", bound=UpstreamError)
_MAX_MESSAGE: Final = 500

_WORD_OF: Final[Mapping[int, str]] = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    408: "DEADLINE_EXCEEDED",
    409: "ABORTED",
    413: "INVALID_ARGUMENT",
    422: "INVALID_ARGUMENT",
    429: "RESOURCE_EXHAUSTED",
    499: "CANCELLED",
    500: "INTERNAL",
    501: "UNIMPLEMENTED",
    502: "UNAVAILABLE",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
    529: "UNAVAILABLE",
}
_STATUS_OF: Final[Mapping[str, int]] = {
    "INVALID_ARGUMENT": 400,
    "FAILED_PRECONDITION": 400,
    "OUT_OF_RANGE": 400,
    "UNAUTHENTICATED": 401,
    "PERMISSION_DENIED": 403,
    "NOT_FOUND": 404,
    "ABORTED": 409,
    "ALREADY_EXISTS": 409,
    "RESOURCE_EXHAUSTED": 429,
    "CANCELLED": 499,
    "INTERNAL": 500,
    "UNKNOWN": 500,
    "DATA_LOSS": 500,
    "UNIMPLEMENTED": 501,
    "UNAVAILABLE": 503,
    "DEADLINE_EXCEEDED": 504,
}
# Shown to a client these would look like a fault of its own credentials.
_OPERATORS_OWN: Final = frozenset({401, 402, 403})
# "The input token count (1048577) exceeds the maximum number of tokens allowed (1048576)." (read 2026-11)
_OVERFLOW: Final = re.compile(
    r"token count.{0,200}exceeds the maximum|exceeds the maximum number of tokens", re.IGNORECASE | re.DOTALL
)
_SECONDS: Final = re.compile(r"(\d+(?:\.\d+)?)s")


@frozen
class _Complaint:
    message: str = ""
    word: str = ""
    code: int | None = None
    reason: str = ""
    delay: float | None = None

    @property
    def said(self) -> str:
        text = self.message[:_MAX_MESSAGE] or "no reason given"
        return f"{self.word}: {text}" if self.word else text

    @property
    def status(self) -> int | None:
        return self.code if self.code is not None else _STATUS_OF.get(self.word)


# --- From a provider ----------------------------------------------------------------------------------


def decode_error(status: int, headers: Mapping[str, str], body: bytes, *, target: str) -> UpstreamError:
    """What an answer with *status* means; never raises, whatever the body holds.

    A key Google does not know is a 400 there (reason ``API_KEY_INVALID``); it
    is given the 401 it means, or the caller would be blamed for it.
    """
    complaint = _complaint_of(body)
    if complaint.reason == "API_KEY_INVALID":
        status = 401
    return _upstream_error(complaint, status, headers, body, target)


def embedded_error(node: Node) -> UpstreamError:
    """The error told inside an answer that began with status 200; `target` is left empty."""
    complaint = _complaint_in(node.get("error"))
    return _upstream_error(complaint, complaint.status, {}, dump({"error": node.get("error")}), "")


def _upstream_error(
    complaint: _Complaint, status: int | None, headers: Mapping[str, str], body: bytes, target: str
) -> UpstreamError:
    where = f"{target} answered {status}" if target else "the answer carried an error"
    delay = _retry_after(headers)

    def as_error(kind: type[_E]) -> _E:
        return kind(
            f"{where}: {complaint.said}",
            target=target,
            status=status,
            headers=headers,
            body=body,
            wire_format=GEMINI,
            retry_after=complaint.delay if delay is None else delay,
        )

    if status in (408, 504):
        return as_error(UpstreamTimeout)
    if status in (409, 429, 503, 529):
        return as_error(UpstreamBusy)
    if status is None or status >= 500 or status == 499:
        return as_error(UpstreamFailed)
    refused = as_error(UpstreamRefused)
    refused.is_context_overflow = status == 400 and bool(_OVERFLOW.search(complaint.message))
    return refused


def _complaint_of(body: bytes) -> _Complaint:
    try:
        value: Json = parse_value(body)
    except ValueError:
        return _Complaint(body[: 4 * _MAX_MESSAGE].decode("utf-8", "replace").strip())
    if isinstance(value, list) and value:
        value = value[0]
    node = node_or_empty(value)
    return _complaint_in(node.get("error") or node)


def _complaint_in(error: Json) -> _Complaint:
    if isinstance(error, str):
        return _Complaint(error)
    node = node_or_empty(error)
    code = node.get("code")
    details = node.get("details")
    reason, delay = "", None
    for item in details if isinstance(details, Sequence) and not isinstance(details, str) else ():
        detail = node_or_empty(item)
        reason = reason or text_or_empty(detail.get("reason"))
        # google.rpc.RetryInfo; Google sends no retry-after header.
        found = _SECONDS.fullmatch(text_or_empty(detail.get("retryDelay")))
        delay = float(found[1]) if found else delay
    return _Complaint(
        text_or_empty(node.get("message")),
        text_or_empty(node.get("status")),
        code if isinstance(code, int) and 400 <= code < 600 else None,
        reason,
        delay,
    )


def _retry_after(headers: Mapping[str, str]) -> float | None:
    try:
        seconds = float(headers.get("retry-after", ""))
    except ValueError:
        return None
    return seconds if 0 <= seconds < float("inf") else None


# --- To a client --------------------------------------------------------------------------------------


def encode_error(error: BaseException) -> EncodedError:
    """*error* in Google's envelope; a Gemini provider's own goes through as it came.

    Except where it speaks of the operator's credentials: 401, 402 and 403
    become 502.  Exceptions that are not lynkr's give nothing away.
    """
    match error:
        case AllTargetsFailed():
            return encode_error(error.last)
        case ClientWireError():
            return _envelope(error.status, str(error))
        case CapabilityError():
            return _envelope(error.status_hint, str(error))
        case UpstreamError():
            return _encode_upstream(error)
        case LynkrError() if error.status_hint != 500:
            return _envelope(error.status_hint, str(error))
        case _:
            return _envelope(500, "the gateway failed to handle the request")


def _encode_upstream(error: UpstreamError) -> EncodedError:
    if error.status in _OPERATORS_OWN:
        who = error.target or "the provider"
        return _envelope(502, f"{who} refused the gateway's own credentials or account")
    status = error.status if error.status is not None and error.status >= 400 else error.status_hint
    own = _own_envelope(error)
    return _envelope(status, str(error)) if own is None else EncodedError(status, own)


def _own_envelope(error: UpstreamError) -> Node | None:
    if error.wire_format != GEMINI or not error.body:
        return None
    try:
        value: Json = parse_value(error.body)
    except ValueError:
        return None
    return value if isinstance(value, Mapping) and isinstance(value.get("error"), Mapping) else None


def _envelope(status: int, message: str) -> EncodedError:
    word = _WORD_OF.get(status, "INVALID_ARGUMENT" if status < 500 else "INTERNAL")
    return EncodedError(status, {"error": {"code": status, "message": message, "status": word}})
