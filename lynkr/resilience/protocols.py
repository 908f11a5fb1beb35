"""The resilience protocols.  Time is an argument, in seconds on one monotonic clock."""

from enum import StrEnum
from typing import Protocol

from attrs import frozen

from lynkr.errors import LynkrError
from lynkr.resilience.outcome import Outcome


class BreakerState(StrEnum):
    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"
    FORCED_OPEN = "forced_open"  # by the operator: refuses everything
    DISABLED = "disabled"  # by the operator: lets everything through, counts nothing
    METRICS_ONLY = "metrics_only"  # by the operator: counts, never opens


@frozen
class Permit:
    """Leave to send once.  *generation* lets the breaker ignore verdicts from an earlier era.

    *probe* numbers the probes of a half-open breaker from 1; 0 is no probe.
    """

    generation: int
    probe: int = 0


@frozen
class BreakerStatus:
    """A breaker's state as data.

    *successes* and *failures* are those of its last window, *slow* those of
    both whose first token was late, *rejected* the calls refused since it last
    left `CLOSED`.  *changed* is when the state last changed, *next_attempt* when
    an open one will let a probe through.
    """

    name: str
    state: BreakerState
    successes: int
    failures: int
    rejected: int
    changed: float
    next_attempt: float | None
    slow: int = 0


class CircuitBreaker(Protocol):
    def state(self, now: float, /) -> BreakerState: ...

    def status(self, now: float, /) -> BreakerStatus: ...

    def try_acquire(self, now: float, /) -> Permit | None:
        """Take a permit; None means do not send."""
        ...

    def settle(self, permit: Permit, outcome: Outcome, now: float, /, *, slow: bool = False) -> None:
        """Return the permit with its verdict.  Exactly once, also on cancellation.

        *slow* says that the first token was late.
        """
        ...


class RetryPolicy(Protocol):
    def delay(self, attempt: int, error: LynkrError, elapsed: float, jitter: float, /) -> float | None:
        """Seconds to wait before attempt number *attempt* + 1 (from 1); None gives up.

        *jitter* is a number in [0, 1) that the caller drew; the policy itself is pure.
        """
        ...
