"""What an error means, decided in one place for retry, fallback, breakers and record alike.

A 4xx or 5xx is a failure to everything that looks at it; `lynkr.resilience.families`
says what kind, by the provider's family, the error's type and its status.  A
breaker's outcome asks one question: *would leaving this alone for some seconds
help?*  There are two breakers, the target's and the credential's:

- 5xx, 408, 409, timeouts, broken connections and malformed answers are FAILURE
  to the target;
- 401, 402 and 429, an empty account among them, are FAILURE to the credential
  and say nothing about the target;
- 400, 403, 404, 413, 422 and a context overflow are IGNORED by both: a bad
  request must not close a target for everybody else;
- cancellation is IGNORED: the client left, which proves nothing.

Retryable statuses as the official SDKs have them: 408, 409, 429, >= 500,
connection errors, and `x-should-retry` overrides (anthropic 1.x and openai 2.x,
`_base_client.py`, `_should_retry`; read 2026-11).
"""

from collections.abc import Callable, Mapping
from typing import TypeAlias

from attrs import evolve

from lynkr.errors import (
    AllTargetsFailed,
    DeadlineExceeded,
    LynkrError,
    NotSent,
    UpstreamError,
    UpstreamRefused,
    UpstreamTimeout,
    UpstreamUnreachable,
    UpstreamWireError,
)
from lynkr.resilience.families import STATUS_VERDICTS, family_verdict
from lynkr.resilience.outcome import Outcome
from lynkr.resilience.verdicts import (
    BUG,
    CALLERS_FAULT,
    FAILED,
    LOOP,
    OVER,
    SKIPPED,
    SLOW,
    UNREACHABLE,
    UNSUITABLE,
    Blame,
    Verdict,
)

__all__ = [
    "STATUS_VERDICTS",
    "Blame",
    "Classifier",
    "Verdict",
    "credential_outcome_of",
    "outcome_of",
    "verdict_of",
]

Classifier: TypeAlias = Callable[[BaseException], Verdict]


def verdict_of(error: BaseException) -> Verdict:
    """What *error* means.  Never raises; exceptions that are not lynkr's own are nobody's to retry."""
    match error:
        case AllTargetsFailed():
            return verdict_of(error.last)
        case NotSent():
            return SKIPPED
        case DeadlineExceeded():
            return OVER
        case UpstreamError():
            return _with_override(_upstream_verdict(error), error.headers)
        case UpstreamWireError():
            return FAILED
        case LynkrError():
            return CALLERS_FAULT
        case Exception():
            return BUG
        case _:
            return OVER


def outcome_of(error: BaseException | None) -> Outcome:
    """The breaker's verdict; None is an answer that came whole."""
    return Outcome.SUCCESS if error is None else verdict_of(error).outcome


def credential_outcome_of(error: BaseException | None) -> Outcome:
    """The verdict of the credential's breaker; None is an answer that came whole."""
    return Outcome.SUCCESS if error is None else verdict_of(error).credential


def _upstream_verdict(error: UpstreamError) -> Verdict:
    match error:
        case UpstreamRefused(is_context_overflow=True):
            return UNSUITABLE
        case UpstreamUnreachable():
            return UNREACHABLE
        case UpstreamTimeout():
            return SLOW
        case UpstreamError(status=508):
            return LOOP
        case _:
            return family_verdict(error) or _status_verdict(error, error.status)


def _status_verdict(error: UpstreamError, status: int | None) -> Verdict:
    if status is None:
        return UNSUITABLE if isinstance(error, UpstreamRefused) or type(error) is UpstreamError else FAILED
    known = STATUS_VERDICTS.get(status)
    if known is not None:
        return known
    # A 200 whose stream carried an error event is as much a failure as a 500.
    return UNSUITABLE if 400 <= status < 500 or isinstance(error, UpstreamRefused) else FAILED


def _with_override(verdict: Verdict, headers: Mapping[str, str]) -> Verdict:
    match headers.get("x-should-retry"):
        case "true" if not verdict.retry_same:
            return evolve(verdict, retry_same=True)
        case "false" if verdict.retry_same:
            return evolve(verdict, retry_same=False)
        case _:
            return verdict
