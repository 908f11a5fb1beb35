"""How long something usually takes, by key."""

from bisect import insort
from collections import OrderedDict, deque

from attrs import define, field
from attrs.validators import and_, ge, gt, lt


@define
class Percentiles:
    """The *share* percentile of each key's last *window* lengths, in seconds.

    Unknown until *least* have been seen.  At most *max_keys*, the longest unused forgotten first.
    """

    share: float = field(default=0.95, validator=and_(gt(0), lt(1)))
    window: int = field(default=200, validator=ge(1))
    least: int = field(default=20, validator=ge(1))
    max_keys: int = field(default=1024, validator=ge(1))
    _seen: OrderedDict[str, tuple[deque[float], list[float]]] = field(
        factory=OrderedDict[str, tuple[deque[float], list[float]]], init=False, repr=False
    )

    def observe(self, key: str, seconds: float) -> None:
        """It took so long this time."""
        if key not in self._seen and len(self._seen) >= self.max_keys:
            self._seen.popitem(last=False)
        recent, ordered = self._seen.setdefault(key, (deque[float](), []))
        self._seen.move_to_end(key)
        if len(recent) == self.window:
            ordered.remove(recent.popleft())
        recent.append(seconds)
        insort(ordered, seconds)

    def of(self, key: str) -> float | None:
        """The percentile, None if too little is known."""
        found = self._seen.get(key)
        if found is None or len(found[1]) < self.least:
            return None
        ordered = found[1]
        return ordered[min(len(ordered) - 1, int(self.share * len(ordered)))]
