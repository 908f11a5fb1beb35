"""So much money a day or a month: what was spent in it, and what requests under way may yet cost.

A request reserves the most it can cost before it is sent and settles what it
did cost.  While no request costs more than it reserved, what is spent never
exceeds the limit, however many are under way at once:
``spent + reserved <= limit``.

Days and months are UTC's.  A cost belongs to the period its request arrived
in, as in the ledger, so that the two agree after a restart.
"""

from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Self

from attrs import frozen


class Period(StrEnum):
    DAY = "day"
    MONTH = "month"

    def began(self, now: float) -> int:
        """The Unix time at which the period around *now* began; periods are told apart by it."""
        return int(self._start(now).timestamp())

    def ends(self, now: float) -> int:
        """The Unix time at which the next one begins."""
        start = self._start(now)
        if self is Period.DAY:
            return int((start + timedelta(days=1)).timestamp())
        return int((start + timedelta(days=32)).replace(day=1).timestamp())

    def _start(self, now: float) -> datetime:
        day = datetime.fromtimestamp(now, UTC).replace(hour=0, minute=0, second=0, microsecond=0)
        return day if self is Period.DAY else day.replace(day=1)


@frozen
class Reserved:
    """*microusd* put aside in the period that began at *began*."""

    began: int
    microusd: int


class Spending:
    """What is spent and reserved in the current period.

    Times are Unix seconds; a clock that steps back does not bring an old period
    back.  Not safe to call from several threads at once.
    """

    __slots__ = ("_began", "_reserved", "_spent", "period")

    def __init__(self, period: Period, *, spent: int = 0, now: float | None = None) -> None:
        self.period: Period = period
        self._began = -1 if now is None else period.began(now)
        self._spent = spent
        self._reserved = 0

    @classmethod
    def restored(cls, period: Period, began: int, spent: int, reserved: int) -> Self:
        """The one whose `state` was this."""
        spending = cls(period)
        spending._began, spending._spent, spending._reserved = began, spent, reserved
        return spending

    @property
    def state(self) -> tuple[int, int, int]:
        """What there is to it: when its period began, and what is spent and reserved in it."""
        return self._began, self._spent, self._reserved

    def raise_spent(self, microusd: int, now: float) -> None:
        """Count at least *microusd* as spent in the period around *now*: another book has it."""
        self.used(now)
        self._spent = max(self._spent, microusd)

    def used(self, now: float) -> int:
        """Micro-USD spent or reserved in the period around *now*."""
        began = self.period.began(now)
        if began > self._began:
            self._began, self._spent, self._reserved = began, 0, 0
        return self._spent + self._reserved

    def reserve(self, microusd: int, now: float) -> Reserved:
        """Put *microusd* aside; the caller has seen that there is room."""
        self.used(now)
        self._reserved += microusd
        return Reserved(self._began, microusd)

    def settle(self, reserved: Reserved, microusd: int) -> None:
        """Replace what was put aside by what it did cost; nothing if its period is over."""
        if reserved.began == self._began:
            self._reserved -= reserved.microusd
            self._spent += microusd
