"""What an error means: one table for retry, fallback, breaker and record alike.

A 4xx or 5xx is a failure to everything that looks at it; the table says what
kind.  The breaker's outcome asks one question: *would leaving this target
alone for some seconds help?*  So

- 5xx, 408, 409, timeouts, broken connections and malformed answers are FAILURE;
- 429 is FAILURE as well.  It belongs to the credential, not to the model, and
  `Blame.CREDENTIAL` says so for a breaker scoped to credentials; until a stack
  has one, resting the target is the right answer to it;
- 400, 401, 402, 403, 404, 413, 422 and a context overflow are IGNORED: a wrong
  key or an empty purse is not cured by waiting, and a bad request must not
  close a target for everybody else;
- cancellation is IGNORED: the client left, which proves nothing.

Retryable statuses as the official SDKs have them: 408, 409, 429, >= 500,
connection errors, and `x-should-retry` overrides (anthropic 1.x and openai 2.x,
`_base_client.py`, `_should_retry`; read 2026-11).
"""

from collections.abc import Callable, Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Final, TypeAlias

from attrs import evolve, frozen

from lynkr.errors import (
    AllTargetsFailed,
    CircuitOpen,
    DeadlineExceeded,
    LynkrError,
    UpstreamBusy,
    UpstreamError,
    UpstreamFailed,
    UpstreamRefused,
    UpstreamTimeout,
    UpstreamUnreachable,
    UpstreamWireError,
)
from lynkr.resilience.outcome import Outcome


class Blame(StrEnum):
    """Whose fault an error is."""

    TARGET = "target"  # this model at this provider
    ENDPOINT = "endpoint"  # the provider's host, whatever the model
    CREDENTIAL = "credential"  # our key or our account there
    CALLER = "caller"  # the request itself
    NOBODY = "nobody"  # cancelled, out of time, or nothing was sent


@frozen
class Verdict:
    """What to do about an error.

    *retry_same*: the same target may serve it later.  *try_next*: another
    target may serve it.  *prefer_next*: where there is another target, go there
    rather than retry.  *defer_provider*: the provider's other targets will most
    likely fail the same way, so they are tried last.
    """

    outcome: Outcome
    blame: Blame
    retry_same: bool = False
    try_next: bool = True
    prefer_next: bool = False
    defer_provider: bool = False


Classifier: TypeAlias = Callable[[BaseException], Verdict]

_FAILED: Final = Verdict(Outcome.FAILURE, Blame.TARGET, retry_same=True)
_SLOW: Final = Verdict(Outcome.FAILURE, Blame.TARGET, retry_same=True, prefer_next=True)
_UNREACHABLE: Final = Verdict(
    Outcome.FAILURE, Blame.ENDPOINT, retry_same=True, prefer_next=True, defer_provider=True
)
_BUSY_KEY: Final = Verdict(Outcome.FAILURE, Blame.CREDENTIAL, retry_same=True)
_DEAD_KEY: Final = Verdict(Outcome.IGNORED, Blame.CREDENTIAL, defer_provider=True)
_FORBIDDEN: Final = Verdict(Outcome.IGNORED, Blame.CREDENTIAL)  # often one model's permission, not the key's
_UNSUITABLE: Final = Verdict(Outcome.IGNORED, Blame.TARGET)
_CALLERS_FAULT: Final = Verdict(Outcome.IGNORED, Blame.CALLER, try_next=False)
_SKIPPED: Final = Verdict(Outcome.IGNORED, Blame.NOBODY)
_OVER: Final = Verdict(Outcome.IGNORED, Blame.NOBODY, try_next=False)
_BUG: Final = Verdict(Outcome.FAILURE, Blame.TARGET, try_next=False)

STATUS_VERDICTS: Final[Mapping[int, Verdict]] = MappingProxyType(
    {
        400: _CALLERS_FAULT,
        401: _DEAD_KEY,
        402: _DEAD_KEY,  # Anthropic's billing_error, OpenRouter's empty account
        403: _FORBIDDEN,
        404: _UNSUITABLE,
        408: _FAILED,
        409: _FAILED,  # lock timeout
        413: _CALLERS_FAULT,
        422: _CALLERS_FAULT,
        429: _BUSY_KEY,
    }
)
"""By HTTP status; other 4xx mean "not at this target", 5xx "failed, may be tried again"."""

# OpenAI answers an empty account with 429 and `"code": "insufficient_quota"`:
# no wait cures it.  (platform.openai.com/docs/guides/error-codes, read 2026-11)
_EMPTY_ACCOUNT: Final = b'"insufficient_quota"'


def verdict_of(error: BaseException) -> Verdict:
    """What *error* means.  Never raises; exceptions that are not lynkr's own are nobody's to retry."""
    match error:
        case AllTargetsFailed():
            return verdict_of(error.last)
        case CircuitOpen():
            return _SKIPPED
        case DeadlineExceeded():
            return _OVER
        case UpstreamError():
            return _with_override(_upstream_verdict(error), error.headers)
        case UpstreamWireError():
            return _FAILED
        case LynkrError():
            return _CALLERS_FAULT
        case Exception():
            return _BUG
        case _:
            return _OVER


def outcome_of(error: BaseException | None) -> Outcome:
    """The breaker's verdict; None is an answer that came whole."""
    return Outcome.SUCCESS if error is None else verdict_of(error).outcome


def _upstream_verdict(error: UpstreamError) -> Verdict:
    match error:
        case UpstreamRefused(is_context_overflow=True):
            return _UNSUITABLE
        case UpstreamUnreachable():
            return _UNREACHABLE
        case UpstreamTimeout():
            return _SLOW
        case UpstreamBusy(status=429 | None) if _EMPTY_ACCOUNT in error.body:
            return _DEAD_KEY
        case UpstreamFailed(status=None) | UpstreamBusy(status=None):
            return _FAILED
        case _:
            return _status_verdict(error, error.status)


def _status_verdict(error: UpstreamError, status: int | None) -> Verdict:
    if status is None:
        return _UNSUITABLE
    known = STATUS_VERDICTS.get(status)
    if known is not None:
        return known
    # A 200 whose stream carried an error event is as much a failure as a 500.
    return _UNSUITABLE if 400 <= status < 500 or isinstance(error, UpstreamRefused) else _FAILED


def _with_override(verdict: Verdict, headers: Mapping[str, str]) -> Verdict:
    match headers.get("x-should-retry"):
        case "true" if not verdict.retry_same:
            return evolve(verdict, retry_same=True)
        case "false" if verdict.retry_same:
            return evolve(verdict, retry_same=False)
        case _:
            return verdict
