"""One table per provider family: what the family's own words for an error mean.

A word is ``error.code``, ``error.type`` or ``error.status`` of the body, a
``reason`` of Google's details, or AWS' exception name.  A word in the table
decides; with any other, the HTTP status does.
"""

import json
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Final, cast

from lynkr.errors import UpstreamError
from lynkr.model import WireFormat
from lynkr.resilience.verdicts import (
    BUSY_KEY,
    CALLERS_FAULT,
    DEAD_KEY,
    FAILED,
    FORBIDDEN,
    SLOW,
    UNSUITABLE,
    Verdict,
)

_LONGEST_BODY: Final = 65_536

STATUS_VERDICTS: Final[Mapping[int, Verdict]] = MappingProxyType(
    {
        400: CALLERS_FAULT,
        401: DEAD_KEY,
        402: DEAD_KEY,  # Anthropic's billing_error, OpenRouter's and DeepSeek's empty account
        403: FORBIDDEN,
        404: UNSUITABLE,
        408: FAILED,
        409: FAILED,  # lock timeout
        413: CALLERS_FAULT,
        422: CALLERS_FAULT,
        429: BUSY_KEY,
    }
)
"""By HTTP status, in every family; other 4xx mean "not at this target", 5xx "failed, may be tried again"."""

# "Errors" in Anthropic's API reference (read 2026-11).
_ANTHROPIC: Final[Mapping[str, Verdict]] = MappingProxyType(
    {
        "invalid_request_error": CALLERS_FAULT,
        "authentication_error": DEAD_KEY,
        "billing_error": DEAD_KEY,
        "permission_error": FORBIDDEN,
        "not_found_error": UNSUITABLE,
        "request_too_large": CALLERS_FAULT,
        "rate_limit_error": BUSY_KEY,
        "api_error": FAILED,
        "timeout_error": SLOW,
        "overloaded_error": FAILED,
    }
)
# OpenAI's "Error codes" guide; an empty account is 429 with `insufficient_quota`, a spending limit 400 with
# `billing_hard_limit_reached`: no wait cures either, and the caller is at fault in neither.  Moonshot speaks
# this dialect with words of its own: a suspended account and a busy engine are both 429.  (read 2026-11)
_OPENAI: Final[Mapping[str, Verdict]] = MappingProxyType(
    {
        "insufficient_quota": DEAD_KEY,
        "billing_hard_limit_reached": DEAD_KEY,
        "billing_not_active": DEAD_KEY,
        "account_deactivated": DEAD_KEY,
        "invalid_api_key": DEAD_KEY,
        "exceeded_current_quota_error": DEAD_KEY,
        "invalid_authentication_error": DEAD_KEY,
        "rate_limit_exceeded": BUSY_KEY,
        "rate_limit_reached_error": BUSY_KEY,
        "engine_overloaded_error": FAILED,
        "model_not_found": UNSUITABLE,
        "server_error": FAILED,
    }
)
# The exceptions of `bedrock-runtime` (botocore 1.44's service model) and of AWS' own door; a quota of the
# account comes as a 400, a model that is still being loaded as a 429.  (read 2026-11)
_BEDROCK: Final[Mapping[str, Verdict]] = MappingProxyType(
    {
        "AccessDeniedException": FORBIDDEN,
        "ExpiredTokenException": DEAD_KEY,
        "UnrecognizedClientException": DEAD_KEY,
        "InternalServerException": FAILED,
        "ModelErrorException": FAILED,
        "ModelStreamErrorException": FAILED,
        "ModelNotReadyException": FAILED,
        "ModelTimeoutException": SLOW,
        "ResourceNotFoundException": UNSUITABLE,
        "ServiceQuotaExceededException": BUSY_KEY,
        "ServiceUnavailableException": FAILED,
        "ThrottlingException": BUSY_KEY,
        "ValidationException": CALLERS_FAULT,
    }
)
# google.rpc.Code and ErrorInfo.reason; the Gemini API answers a wrong key with 400 INVALID_ARGUMENT whose
# details say API_KEY_INVALID, and a country or project without billing with 400 FAILED_PRECONDITION
# (ai.google.dev, "Troubleshooting"; read 2026-11).
_GEMINI: Final[Mapping[str, Verdict]] = MappingProxyType(
    {
        "API_KEY_INVALID": DEAD_KEY,
        "UNAUTHENTICATED": DEAD_KEY,
        "PERMISSION_DENIED": FORBIDDEN,
        "FAILED_PRECONDITION": DEAD_KEY,
        "RESOURCE_EXHAUSTED": BUSY_KEY,
        "NOT_FOUND": UNSUITABLE,
        "INTERNAL": FAILED,
        "UNAVAILABLE": FAILED,
        "DEADLINE_EXCEEDED": SLOW,
        "INVALID_ARGUMENT": CALLERS_FAULT,
    }
)
FAMILY_VERDICTS: Final[Mapping[str, Mapping[str, Verdict]]] = MappingProxyType(
    {
        WireFormat.ANTHROPIC_MESSAGES: _ANTHROPIC,
        WireFormat.OPENAI_CHAT: _OPENAI,
        WireFormat.OPENAI_RESPONSES: _OPENAI,
        WireFormat.BEDROCK_CONVERSE: _BEDROCK,
        WireFormat.GEMINI: _GEMINI,
        WireFormat.OLLAMA_CHAT: MappingProxyType({}),  # it has statuses only
    }
)
"""By dialect, then by word.  A word that tells less than the status (``invalid_request_error`` of OpenAI,
which comes with 401 and 404 too) is in no table."""


def family_verdict(error: UpstreamError) -> Verdict | None:
    """What *error* means by its provider's own words; None if those say nothing the table knows."""
    table = FAMILY_VERDICTS.get(error.wire_format or "")
    if not table:
        return None
    for word in _words(error):
        known = table.get(word)
        if known is not None and _agrees(word, known, error.status):
            return known
    return None


def _agrees(word: str, verdict: Verdict, status: int | None) -> bool:
    """Whether the status allows the word to be taken so: compatible hosts reuse words loosely.

    None turns a 5xx into the caller's fault, nor a 4xx into a failure unless it is a word for that.
    """
    if status is None or status < 400:
        return True
    if verdict is CALLERS_FAULT:
        # 404 and the like say more than "invalid request".
        return status in (400, 413, 422)
    if status >= 500:
        return verdict in (FAILED, SLOW)
    return verdict is not FAILED or status in (408, 409, 424, 429) or word == "engine_overloaded_error"


def _words(error: UpstreamError) -> Iterator[str]:
    """The most particular first."""
    named = error.headers.get("x-amzn-errortype")
    if named:
        yield _exception_name(named)
    if not error.body or len(error.body) > _LONGEST_BODY:
        return
    try:
        value: object = json.loads(error.body)
    except (ValueError, RecursionError):
        return
    if isinstance(value, list) and value:
        value = cast("list[object]", value)[0]  # Gemini wraps a stream's error in an array
    if not isinstance(value, dict):
        return
    body = cast("dict[str, object]", value)
    if isinstance(named_inside := body.get("__type"), str):
        yield _exception_name(named_inside)
    inner = body.get("error")
    if not isinstance(inner, dict):
        return
    told = cast("dict[str, object]", inner)
    yield from _reasons(told.get("details"))
    for key in ("code", "type", "status"):
        word = told.get(key)
        if isinstance(word, str):
            yield word


def _reasons(details: object) -> Iterator[str]:
    for detail in cast("list[object]", details) if isinstance(details, list) else ():
        reason = cast("dict[str, object]", detail).get("reason") if isinstance(detail, dict) else None
        if isinstance(reason, str):
            yield reason


def _exception_name(text: str) -> str:
    """``ThrottlingException`` of ``com.amazon#ThrottlingException:http://...``."""
    return text.partition(":")[0].rpartition("#")[2].strip()
