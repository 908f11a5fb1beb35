"""So many units a minute: a token bucket that holds a minute's worth.

Whoever has been silent for a minute may use a whole minute's worth at once;
after that it comes back evenly.  Hence the law: in any *w* seconds at most
``per_minute * (1 + w / 60)`` units are taken.  Levels are whole numbers (a unit
is 60 * 10^9 parts, of which *per_minute* come back each nanosecond), so the law
holds exactly, after whatever number of requests.

What a request uses may be known only afterwards: it then takes an estimate and
settles the rest, and the level may fall below zero, which the next one waits for.
"""

from typing import Final, Self

_UNIT: Final = 60 * 10**9
_NANO: Final = 10**9


class Rate:
    """The bucket, full to begin with.  *per_minute* is at least 1.

    Times are in seconds of one clock, of which steps backwards count as no time.
    Not safe to call from several threads at once.
    """

    __slots__ = ("_at", "_level", "per_minute")

    def __init__(self, per_minute: int) -> None:
        self.per_minute: int = per_minute
        self._level = per_minute * _UNIT
        self._at: int | None = None

    @classmethod
    def restored(cls, per_minute: int, level: int, at: int | None) -> Self:
        """The bucket whose `state` was this."""
        rate = cls(per_minute)
        rate._level, rate._at = level, at
        return rate

    @property
    def state(self) -> tuple[int, int | None]:
        """What there is to it: its level, and as of when, in the units above and in nanoseconds."""
        return self._level, self._at

    def wait(self, amount: int, now: float) -> float:
        """Seconds until *amount* may be taken, 0 if it may be now; takes nothing.

        An amount larger than a minute's worth may be taken once the bucket is full.
        """
        self._refill(now)
        lacking = min(amount, self.per_minute) * _UNIT - self._level
        return max(0.0, lacking / self.per_minute / _NANO)

    def take(self, amount: int) -> None:
        """Take *amount*, or give it back where it is negative."""
        self._level = min(self.per_minute * _UNIT, self._level - amount * _UNIT)

    def _refill(self, now: float) -> None:
        moment = round(now * _NANO)
        if self._at is None:
            self._at = moment
        elapsed = moment - self._at
        if elapsed > 0:
            self._level = min(self.per_minute * _UNIT, self._level + elapsed * self.per_minute)
            self._at = moment
