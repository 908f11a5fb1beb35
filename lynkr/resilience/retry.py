"""When to try the same target again, and how long to wait first."""

from typing import Final

from attrs import field, frozen
from attrs.validators import ge, gt

from lynkr.errors import LynkrError, UpstreamError
from lynkr.resilience.classify import Classifier, verdict_of

_HIGHEST_EXPONENT: Final = 30  # 0.5 s * 2**30 is past any cap; beyond it floats only overflow


@frozen
class FullJitter:
    """Full-jitter exponential backoff (AWS), under a provider's own hint.

    Before attempt n + 1 the wait is drawn evenly from 0 to
    ``min(cap, base * 2**(n - 1))``.  A hint (`UpstreamError.retry_after`) wins
    over the backoff; one above *longest_hint* gives up at once, so that the
    next target is asked instead.  *give_up_after* bounds the time spent on all
    attempts together; the request's own deadline is the layer's business.

    After a 429 only the first retry may be immediate: from the second on the
    wait is at least half the backoff, whatever the hint.
    """

    base: float = field(default=0.5, validator=gt(0))
    cap: float = field(default=8.0, validator=gt(0))
    max_attempts: int = field(default=3, validator=ge(1))
    longest_hint: float = field(default=60.0, validator=ge(0))
    give_up_after: float | None = None
    verdict: Classifier = verdict_of

    def delay(self, attempt: int, error: LynkrError, elapsed: float, jitter: float, /) -> float | None:
        """Seconds to wait before attempt number *attempt* + 1; None gives up.

        *attempt* counts every attempt of the request, fallbacks included.
        """
        if attempt >= self.max_attempts or not self.verdict(error).retry_same:
            return None
        backoff = min(self.cap, self.base * 2.0 ** min(attempt - 1, _HIGHEST_EXPONENT))
        hint = error.retry_after if isinstance(error, UpstreamError) else None
        floor = backoff / 2 if attempt > 1 and _is_rate_limited(error) else 0.0
        if hint is None:
            wait = floor + jitter * (backoff - floor)
        elif 0 <= hint <= self.longest_hint:  # False for NaN too
            wait = max(hint, floor)
        else:
            return None
        if self.give_up_after is not None and elapsed + wait > self.give_up_after:
            return None
        return wait


def _is_rate_limited(error: LynkrError) -> bool:
    return isinstance(error, UpstreamError) and error.status == 429
