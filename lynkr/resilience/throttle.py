"""Holding back from a credential that is being rate limited.

The rule is the SRE book's client-side throttling ("Handling Overload"): of the
last *window* seconds' requests, the next one is refused here with probability

    max(0, (requests - k x accepts) / (requests + 1))

Those refused here count as requests; what a provider turned away with 429 or
529 does not count as accepted.  Unlike the book's servers, ours take minutes
to answer, so a request is counted when its verdict is known: a hundred requests
under way are no sign of trouble.  Below *min_requests* nothing is refused: with
sparse traffic, one 429 would be half of all that is known.
"""

from collections import OrderedDict, deque
from typing import Final

from attrs import define, field, frozen
from attrs.validators import ge, gt

_BUCKETS: Final = 6


@frozen
class ThrottleConfig:
    """*window* in seconds."""

    k: float = field(default=2.0, validator=ge(1))
    window: float = field(default=30.0, validator=gt(0))
    min_requests: int = field(default=10, validator=ge(1))


class AdaptiveThrottle:
    """One credential's.  One event loop's: not safe to call from several threads at once."""

    __slots__ = ("_accepts", "_config", "_counts", "_requests", "refused")

    def __init__(self, config: ThrottleConfig) -> None:
        self._config = config
        self._counts: deque[list[int]] = deque()  # [tick, requests, accepts]
        self._requests = 0
        self._accepts = 0
        self.refused: int = 0

    def refusal(self, now: float) -> float:
        """The probability, from 0 to 1, that a request is refused now."""
        self._expire(now)
        requests, config = self._requests, self._config
        if requests < config.min_requests:
            return 0.0
        return max(0.0, (requests - config.k * self._accepts) / (requests + 1))

    def admits(self, now: float, draw: float) -> bool:
        """Whether a request may be sent; *draw* is a random number in [0, 1)."""
        if self._requests == self._accepts or draw >= self.refusal(now):
            return True
        self._count(now, accepted=False)
        self.refused += 1
        return False

    def settle(self, now: float, *, accepted: bool) -> None:
        """A request that was sent got its answer; *accepted* unless that was 429 or 529."""
        self._count(now, accepted=accepted)

    def _tick(self, now: float) -> int:
        tick = int(now * _BUCKETS // self._config.window)
        # Never before the last bucket's, or a clock that is set back would lose the order.
        return max(tick, self._counts[-1][0]) if self._counts else tick

    def _count(self, now: float, *, accepted: bool) -> None:
        tick = self._tick(now)
        if not self._counts or self._counts[-1][0] != tick:
            self._expire(now)
            self._counts.append([tick, 0, 0])
        self._counts[-1][1] += 1
        self._counts[-1][2] += accepted
        self._requests += 1
        self._accepts += accepted

    def _expire(self, now: float) -> None:
        oldest = self._tick(now) - _BUCKETS
        while self._counts and self._counts[0][0] <= oldest:
            _, requests, accepts = self._counts.popleft()
            self._requests -= requests
            self._accepts -= accepts


@define
class Throttles:
    """The throttles of a gateway, by credential (a provider has one); at most *max_keys*."""

    config: ThrottleConfig = field(factory=ThrottleConfig)
    max_keys: int = field(default=1024, validator=ge(1))
    _throttles: OrderedDict[str, AdaptiveThrottle] = field(
        factory=OrderedDict[str, AdaptiveThrottle], init=False, eq=False, repr=False
    )
    _forgotten: int = field(default=0, init=False, eq=False, repr=False)

    def throttle(self, credential: str, /) -> AdaptiveThrottle:
        """The throttle of *credential*, made on first use."""
        found = self._throttles.get(credential)
        if found is not None:
            self._throttles.move_to_end(credential)
            return found
        if len(self._throttles) >= self.max_keys:
            _, oldest = self._throttles.popitem(last=False)
            self._forgotten += oldest.refused
        made = self._throttles[credential] = AdaptiveThrottle(self.config)
        return made

    @property
    def refused(self) -> int:
        """Requests refused here so far."""
        return self._forgotten + sum(throttle.refused for throttle in self._throttles.values())
