"""Errors in OpenAI's envelope, both directions; shared by the Chat and Responses codecs.

Bodies read (2026-11): OpenAI ``{"error": {"message", "type", "param", "code"}}``;
llama.cpp the same with a number as ``code``; Ollama and others ``{"error": "text"}``;
vLLM before 0.10 ``{"object": "error", "message", ...}``; FastAPI ``{"detail": ...}``;
Gemini's compatible endpoint a list around OpenAI's; proxies plain text.
"""

import re
from collections.abc import Mapping
from typing import Final, TypeVar

from attrs import frozen

from lynkr.errors import (
    AllTargetsFailed,
    CapabilityError,
    ClientWireError,
    LynkrError,
    PromptTooLong,
    UpstreamBusy,
    UpstreamError,
    UpstreamFailed,
    UpstreamRefused,
    UpstreamTimeout,
)
from lynkr.model import Json, WireFormat
from lynkr.wire.base import EncodedError
from lynkr.wire.fields import Node
from lynkr.wire.json_body import dump, parse_value

_SHARED_BY: Final = frozenset({WireFormat.OPENAI_CHAT, WireFormat.OPENAI_RESPONSES})
_E = TypeVar("_E", bound=UpstreamError)

_MAX_MESSAGE: Final = 500
_QUOTA: Final = "insufficient_quota"
_OVERFLOW_CODES: Final = frozenset({"context_length_exceeded", "exceed_context_size_error"})
_ABOUT_CONTEXT: Final = re.compile(
    r"context[ _-]?(length|size|window)|(prompt|input) is too long", re.IGNORECASE
)
_ABOUT_EXCESS: Final = re.compile(
    r"exceed|too (long|large|big|many)|maximum|greater|larger|longer|reduce|overflow", re.IGNORECASE
)
# Answers about the operator's own account.  Shown as they are, a client would take them for its own
# credentials (SDKs raise AuthenticationError), and the wording quotes a part of the operator's key.
_OPERATORS_OWN: Final = frozenset({401, 402, 403})


@frozen
class _Complaint:
    """What an error body says, whatever its shape."""

    message: str = ""
    type: str = ""
    code: str = ""
    status: int | None = None

    @property
    def said(self) -> str:
        return self.message[:_MAX_MESSAGE] or "no reason given"

    @property
    def is_context_overflow(self) -> bool:
        if not _OVERFLOW_CODES.isdisjoint((self.code, self.type)):
            return True
        return bool(_ABOUT_CONTEXT.search(self.message) and _ABOUT_EXCESS.search(self.message))

    @property
    def is_about_quota(self) -> bool:
        return _QUOTA in (self.code, self.type)


# --- From a provider ----------------------------------------------------------------------------------


def decode_error(
    status: int, headers: Mapping[str, str], body: bytes, *, target: str, format: WireFormat
) -> UpstreamError:
    """The error that a provider's answer with *status* means.

    A 429 for an empty account (``insufficient_quota``) is `UpstreamRefused`:
    waiting does not fill it.  An overflowing context is one whatever its
    status (llama.cpp has said 400 and 500).
    """
    complaint = _complaint_of(body)
    answer = _Answer(f"{target} answered {status}: {complaint.said}", target, status, headers, body, format)
    return _upstream_error(complaint, answer)


def embedded_error(body: Node, format: WireFormat) -> UpstreamError:
    """The error told inside an answer that began with status 200; `target` is left empty."""
    complaint = _complaint_in(body.get("error"))
    status = complaint.status or _status_of(complaint)
    kept = dump({"error": body["error"]})
    answer = _Answer(f"the answer carried an error: {complaint.said}", "", status, {}, kept, format)
    return _upstream_error(complaint, answer)


@frozen
class _Answer:
    """What every `UpstreamError` keeps of the provider's answer."""

    text: str
    target: str
    status: int | None
    headers: Mapping[str, str]
    body: bytes
    format: WireFormat

    def as_error(self, kind: type[_E]) -> _E:
        return kind(
            self.text,
            target=self.target,
            status=self.status,
            headers=self.headers,
            body=self.body,
            wire_format=self.format,
            retry_after=retry_after_of(self.headers),
        )


def _upstream_error(complaint: _Complaint, answer: _Answer) -> UpstreamError:
    status = answer.status
    if status is None:
        return answer.as_error(UpstreamFailed)
    overflows = complaint.is_context_overflow and status <= 500
    may_pass = status in (408, 409, 429) or status >= 500
    if may_pass and not overflows and not complaint.is_about_quota:
        return answer.as_error(_retryable_kind(status))
    refused = answer.as_error(UpstreamRefused)
    refused.is_context_overflow = overflows
    return refused


def _retryable_kind(status: int) -> type[UpstreamBusy | UpstreamTimeout | UpstreamFailed]:
    if status in (408, 504):
        return UpstreamTimeout
    # 409: the official SDK retries it as a lock that was held (openai 3.54, _base_client.py).
    return UpstreamBusy if status in (409, 429, 503, 529) else UpstreamFailed


def _status_of(complaint: _Complaint) -> int | None:
    """The status an error event would have had, from its words."""
    words = f"{complaint.type} {complaint.code}".lower()
    if complaint.is_about_quota or "rate_limit" in words:
        return 429
    if complaint.is_context_overflow or "invalid_request" in words:
        return 400
    return 503 if "overloaded" in words or "unavailable" in words else None


def _complaint_of(body: bytes) -> _Complaint:
    try:
        value: Json = parse_value(body)
    except ValueError:
        return _Complaint(body[: 4 * _MAX_MESSAGE].decode("utf-8", "replace").strip())
    if isinstance(value, list) and value:
        value = value[0]
    if not isinstance(value, Mapping):
        return _Complaint(value if isinstance(value, str) else "")
    error = value.get("error")
    return _complaint_in(error or value)


def _complaint_in(error: Json) -> _Complaint:
    if not isinstance(error, Mapping):
        return _Complaint(error if isinstance(error, str) else "")
    code = error.get("code")
    said = [error.get(name) for name in ("message", "detail", "error")]
    return _Complaint(
        message=next((text for text in said if isinstance(text, str)), ""),
        type=_text(error.get("type")),
        code=_text(code),
        status=code if isinstance(code, int) and 400 <= code < 600 else None,
    )


def _text(value: Json) -> str:
    return value if isinstance(value, str) else ""


def retry_after_of(headers: Mapping[str, str]) -> float | None:
    """Seconds from ``retry-after-ms`` or ``retry-after``; a date needs a clock and is left to the caller."""
    for name, unit in (("retry-after-ms", 1000.0), ("retry-after", 1.0)):
        try:
            seconds = float(headers.get(name, "")) / unit
        except ValueError:
            continue
        if 0 <= seconds < float("inf"):
            return seconds
    return None


# --- To a client --------------------------------------------------------------------------------------


def encode_error(error: BaseException) -> EncodedError:
    """*error* in OpenAI's envelope.

    The own envelope of a provider that uses it too goes through as it came (clients match on
    its wording), except where it speaks of the operator's account: 401, 402
    and 403 become 502.  Exceptions that are not lynkr's give nothing away.
    """
    match error:
        case AllTargetsFailed():
            return encode_error(error.last)
        case ClientWireError():
            return _envelope(
                error.status, str(error), "invalid_request_error", param=error.field, code=error.code
            )
        case PromptTooLong():
            # Codex and others compact on this code (clients.md, read 2026-11).
            return _envelope(
                error.status_hint, str(error), "invalid_request_error", code="context_length_exceeded"
            )
        case CapabilityError():
            return _envelope(error.status_hint, str(error), "invalid_request_error")
        case UpstreamError():
            return _encode_upstream(error)
        case LynkrError() if error.status_hint != 500:
            return _envelope(error.status_hint, str(error), "server_error")
        case _:
            return _envelope(500, "the gateway failed to handle the request", "server_error")


def _encode_upstream(error: UpstreamError) -> EncodedError:
    if error.status in _OPERATORS_OWN:
        text = f"{error.target or 'the provider'} refused the gateway's own credentials or account"
        return _envelope(502, text, "server_error", code="upstream_refused")
    is_status = error.status is not None and 400 <= error.status < 600
    status = error.status if is_status and error.status is not None else error.status_hint
    own = _own_envelope(error)
    if own is not None:
        return EncodedError(status, own)
    if isinstance(error, UpstreamRefused):
        if error.is_context_overflow:
            return _envelope(status, str(error), "invalid_request_error", code="context_length_exceeded")
        if status == 429:
            return _envelope(status, str(error), _QUOTA, code=_QUOTA)
        kind = "invalid_request_error" if status < 500 else "server_error"
        return _envelope(status, str(error), kind)
    if status == 429:
        return _envelope(status, str(error), "rate_limit_error", code="rate_limit_exceeded")
    return _envelope(status, str(error), "server_error")


def _own_envelope(error: UpstreamError) -> Node | None:
    if error.wire_format not in _SHARED_BY or not error.body:
        return None
    try:
        value: Json = parse_value(error.body)
    except ValueError:
        return None
    return value if isinstance(value, Mapping) and isinstance(value.get("error"), Mapping) else None


def _envelope(
    status: int, message: str, kind: str, *, param: str | None = None, code: str | None = None
) -> EncodedError:
    return EncodedError(status, {"error": {"message": message, "type": kind, "param": param, "code": code}})
