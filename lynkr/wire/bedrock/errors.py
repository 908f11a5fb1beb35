"""Errors: an exception's name in ``x-amzn-errortype``, its words in ``{"message": ...}``.

Names and statuses are those the model of ``bedrock-runtime`` gives
(botocore 1.44, read 2026-11); in a stream the name is a message's
``:exception-type`` and begins with a small letter.
"""

import math
import re
from collections.abc import Mapping
from typing import Final, TypeVar

from attrs import frozen

from lynkr.errors import (
    AllTargetsFailed,
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
from lynkr.wire.bedrock.shapes import FORMAT
from lynkr.wire.fields import Node, node_or_empty, text_or_empty
from lynkr.wire.json_body import parse_value

_STATUS_OF: Final[Mapping[str, int]] = {
    "AccessDeniedException": 403,
    "ExpiredTokenException": 403,
    "InternalServerException": 500,
    "ModelErrorException": 424,
    "ModelNotReadyException": 429,
    "ModelStreamErrorException": 424,
    "ModelTimeoutException": 408,
    "ResourceNotFoundException": 404,
    "ServiceQuotaExceededException": 400,
    "ServiceUnavailableException": 503,
    "ThrottlingException": 429,
    "UnrecognizedClientException": 403,
    "ValidationException": 400,
}
_BUSY: Final = frozenset(
    {
        "ModelNotReadyException",
        "ServiceQuotaExceededException",
        "ServiceUnavailableException",
        "ThrottlingException",
    }
)
_BUSY_STATUSES: Final = frozenset({429, 503, 529})
_FAILED: Final = frozenset({"ModelErrorException", "ModelStreamErrorException", "InternalServerException"})
_NAME_OF: Final[Mapping[int, str]] = {
    400: "ValidationException",
    403: "AccessDeniedException",
    404: "ResourceNotFoundException",
    408: "ModelTimeoutException",
    429: "ThrottlingException",
    500: "InternalServerException",
    503: "ServiceUnavailableException",
    504: "ModelTimeoutException",
    529: "ServiceUnavailableException",
}
# Bedrock says "Input is too long for requested model."; the models behind it have words of their own, such
# as "prompt is too long: N tokens > M maximum", "input length and `max_tokens` exceed context limit" and
# "This model's maximum context length is N" (read 2026-11).
_OVERFLOW: Final = re.compile(
    r"(input|prompt) is too long|maximum context length"
    r"|exceed[^.]{0,200}context|context (length|window|limit)[^.]{0,200}exceed",
    re.IGNORECASE,
)
# 400s about what the operator chose, not about what the caller wrote: "The provided model identifier is
# invalid.", "Invocation of model ID ... with on-demand throughput isn't supported." (read 2026-11).
_ABOUT_MODEL: Final = re.compile(
    r"model identifier is invalid|on-demand throughput|model id[^.]{0,200}(invalid|not supported)",
    re.IGNORECASE,
)
_NO_SUCH_MODEL: Final = 404
_OPERATORS_OWN: Final = frozenset({401, 402, 403})
_MAX_MESSAGE: Final = 2_000
_E = TypeVar("_E", bound=UpstreamError)


@frozen
class _Answer:
    """What every `UpstreamError` keeps of the provider's answer."""

    name: str
    message: str
    target: str
    status: int | None
    headers: Mapping[str, str]
    body: bytes

    def as_error(self, kind: type[_E]) -> _E:
        told = (f"HTTP {self.status}" if self.status else "", self.name, self.message[:_MAX_MESSAGE])
        return kind(
            ": ".join(filter(None, told)),
            target=self.target,
            status=self.status,
            headers=self.headers,
            body=self.body,
            wire_format=FORMAT,
            retry_after=_retry_after(self.headers),
        )


def decode_error(status: int, headers: Mapping[str, str], body: bytes, *, target: str) -> UpstreamError:
    """What a non-2xx answer means; never raises, whatever the body holds."""
    node = _object_in(body)
    # "ThrottlingException:http://internal.amazon.com/coral/..." and "com.amazon...#ThrottlingException".
    name = (
        headers.get("x-amzn-errortype")
        or text_or_empty(node.get("__type"))
        or text_or_empty(node.get("code"))
    )
    name = name.partition(":")[0].rpartition("#")[2].strip()
    message = text_or_empty(node.get("message")) or text_or_empty(node.get("Message"))
    if not message:
        message = body[:_MAX_MESSAGE].decode("utf-8", "replace").strip() or "no explanation"
    return _meaning(_Answer(name, message, target, status, headers, body))


def stream_error(name: str, payload: bytes) -> UpstreamError:
    """What an exception inside a stream means; its status is the one its name stands for."""
    name = name[:1].upper() + name[1:]
    message = text_or_empty(_object_in(payload).get("message"))
    if not message:
        message = payload[:_MAX_MESSAGE].decode("utf-8", "replace").strip() or "no explanation"
    return _meaning(_Answer(name, message, "", _STATUS_OF.get(name), {}, payload))


def _meaning(answer: _Answer) -> UpstreamError:
    status, name = answer.status, answer.name
    if _STATUS_OF.get(name) != status:
        name = ""  # the status says more than a name that does not go with it
    if name in _BUSY or (not name and status in _BUSY_STATUSES):
        return answer.as_error(UpstreamBusy)
    if name == "ModelTimeoutException" or status in (408, 504):
        return answer.as_error(UpstreamTimeout)
    if name in _FAILED or status is None or status >= 500 or status in (409, 424):
        return answer.as_error(UpstreamFailed)
    refused = answer.as_error(UpstreamRefused)
    refused.is_context_overflow = status == 400 and _OVERFLOW.search(answer.message) is not None
    if status == 400 and not refused.is_context_overflow and _ABOUT_MODEL.search(answer.message):
        refused.status = _NO_SUCH_MODEL
    return refused


def _retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds; None for a date, which needs a clock."""
    try:
        delay = float(headers.get("retry-after", ""))
    except ValueError:
        return None
    return delay if math.isfinite(delay) and delay >= 0 else None


def _object_in(body: bytes) -> Node:
    try:
        value: Json = parse_value(body)
    except ValueError:
        return node_or_empty(None)
    return node_or_empty(value)


# --- For clients --------------------------------------------------------------------------------------


def encode_error(error: BaseException) -> EncodedError:
    """*error* as a caller of Converse should see it; its name stands in ``__type``, as AWS' SDKs read it."""
    match error:
        case AllTargetsFailed():
            return encode_error(error.last)
        case ClientWireError():
            return _envelope(error.status, str(error))
        case UpstreamError():
            return _encode_upstream(error)
        case LynkrError() if error.status_hint != 500:
            return _envelope(error.status_hint, str(error))
        case _:
            return _envelope(500, "the gateway failed to handle the request")


def _encode_upstream(error: UpstreamError) -> EncodedError:
    is_status = error.status is not None and 400 <= error.status < 600
    status = error.status if is_status and error.status is not None else error.status_hint
    if status in _OPERATORS_OWN:
        who = error.target or "the provider"
        return _envelope(502, f"{who} refused the gateway's own credentials or account (HTTP {status})")
    if error.wire_format == FORMAT:
        own = _object_in(error.body)
        if isinstance(own.get("message"), str):
            return EncodedError(status, own)
    message = str(error)
    if error.target and error.target not in message:
        message = f"{error.target}: {message}"
    if isinstance(error, UpstreamRefused) and error.is_context_overflow:
        return _envelope(400, f"Input is too long for requested model. {message}")
    return _envelope(status, message)


def _envelope(status: int, message: str) -> EncodedError:
    fallback = "ValidationException" if 400 <= status < 500 else "InternalServerException"
    return EncodedError(status, {"__type": _NAME_OF.get(status, fallback), "message": message})
