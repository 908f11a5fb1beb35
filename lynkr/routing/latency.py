"""How long targets have been taking to begin an answer, for deadlines."""

from collections import deque
from collections.abc import Mapping
from threading import Lock
from types import MappingProxyType

from attrs import define, field

from lynkr.routing.decision import Target


@define
class Latencies:
    """The ninetieth percentile of each target's last *window* answers, in seconds.

    A target with fewer than *least* answers has no estimate.  Safe to call from several threads.
    """

    window: int = 50
    least: int = 5
    _seconds: dict[Target, "deque[float]"] = field(factory=dict[Target, "deque[float]"], init=False)
    _estimates: Mapping[Target, float] = field(factory=lambda: MappingProxyType({}), init=False)
    _lock: Lock = field(factory=Lock, init=False, repr=False)

    def observe(self, target: Target, seconds: float) -> None:
        """*target* took this long to begin its answer."""
        with self._lock:
            seen = self._seconds.setdefault(target, deque(maxlen=self.window))
            seen.append(seconds)
            if len(seen) >= self.least:
                ordered = sorted(seen)
                estimate = ordered[min(len(ordered) - 1, int(0.9 * len(ordered)))]
                # A new mapping: snapshots that hold the former one stay as they were taken.
                self._estimates = MappingProxyType({**self._estimates, target: estimate})

    def estimates(self) -> Mapping[Target, float]:
        """The estimates of this moment, which later answers do not change."""
        return self._estimates
