"""What can be said about an error, and the few things that ever are."""

from enum import StrEnum
from typing import Final

from attrs import frozen

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

    *outcome* is for the breaker of the target, *credential* for that of the
    provider's key.  *retry_same*: the same target may serve it later.
    *try_next*: another target may serve it.  *prefer_next*: where there is
    another target, go there rather than retry.  *defer_provider*: the provider's
    other targets will most likely fail the same way, so they are tried last.
    """

    outcome: Outcome
    blame: Blame
    retry_same: bool = False
    try_next: bool = True
    prefer_next: bool = False
    defer_provider: bool = False
    credential: Outcome = Outcome.IGNORED


FAILED: Final = Verdict(Outcome.FAILURE, Blame.TARGET, retry_same=True)
SLOW: Final = Verdict(Outcome.FAILURE, Blame.TARGET, retry_same=True, prefer_next=True)
UNREACHABLE: Final = Verdict(
    Outcome.FAILURE, Blame.ENDPOINT, retry_same=True, prefer_next=True, defer_provider=True
)
BUSY_KEY: Final = Verdict(Outcome.IGNORED, Blame.CREDENTIAL, retry_same=True, credential=Outcome.FAILURE)
DEAD_KEY: Final = Verdict(Outcome.IGNORED, Blame.CREDENTIAL, defer_provider=True, credential=Outcome.FAILURE)
FORBIDDEN: Final = Verdict(Outcome.IGNORED, Blame.CREDENTIAL)  # often one model's permission, not the key's
UNSUITABLE: Final = Verdict(Outcome.IGNORED, Blame.TARGET)
CALLERS_FAULT: Final = Verdict(Outcome.IGNORED, Blame.CALLER, try_next=False)
SKIPPED: Final = Verdict(Outcome.IGNORED, Blame.NOBODY)
OVER: Final = Verdict(Outcome.IGNORED, Blame.NOBODY, try_next=False)
LOOP: Final = Verdict(Outcome.IGNORED, Blame.ENDPOINT, try_next=False)  # trying on would multiply it
BUG: Final = Verdict(Outcome.FAILURE, Blame.TARGET, try_next=False)
