"""How many requests a gateway serves at once, and who waits, in which order, for how long.

A request is *under way* from its first byte; once it is known to stream it is
counted among the *streams* instead, so that long answers do not keep short
requests out, nor the other way round.  When the places are taken a request
waits in a bounded queue.  It is dropped when its time is over: the owner's
limit, or the deadline its client gave, whichever comes first, since an answer
after that is work for nobody.

Side requests (a harness's own upkeep: titles, summaries, compaction) give way:
they are let in after all others, and when the queue is full the last of them
makes room for a request that a person waits for.
"""

from collections import deque
from enum import StrEnum
from math import inf
from typing import Final

from attrs import define, field, frozen
from attrs.validators import ge, gt


@frozen
class AdmissionLimits:
    """*wait* in seconds."""

    under_way: int = field(default=1024, validator=ge(1))
    streams: int = field(default=1024, validator=ge(1))
    queued: int = field(default=256, validator=ge(0))
    wait: float = field(default=5.0, validator=gt(0))


class Place(StrEnum):
    """Where a request stands."""

    WAITING = "waiting"
    UNDER_WAY = "under_way"
    STREAMING = "streaming"
    GONE = "gone"


TRANSITIONS: Final[tuple[tuple[Place | None, Place, str], ...]] = (
    (None, Place.UNDER_WAY, "there is a place"),
    (None, Place.WAITING, "there is none, but one in the queue"),
    (None, Place.GONE, "neither: 503"),
    (Place.WAITING, Place.UNDER_WAY, "a place comes free; side requests last"),
    (Place.WAITING, Place.GONE, "its time is over, or it makes room: 503; or its client left"),
    (Place.UNDER_WAY, Place.STREAMING, "it turns out to stream"),
    (Place.UNDER_WAY, Place.GONE, "it was answered, or no more streams are allowed: 503"),
    (Place.STREAMING, Place.GONE, "it was answered"),
)
"""What can become of a request: (from, to, when); None is its arrival."""


@define(eq=False)
class Ticket:
    """One request's.  *until* is when it is dropped if it still waits."""

    place: Place
    is_side: bool = False
    until: float = inf


_NOBODY: Final[tuple[Ticket, ...]] = ()


@define
class Admission:
    """The places and the queue.  Times are in seconds of one monotonic clock."""

    limits: AdmissionLimits = field(factory=AdmissionLimits)
    under_way: int = field(default=0, init=False)
    streaming: int = field(default=0, init=False)
    refused: int = field(default=0, init=False)
    dropped: int = field(default=0, init=False)
    _main: deque[Ticket] = field(factory=deque[Ticket], init=False, repr=False)
    _side: deque[Ticket] = field(factory=deque[Ticket], init=False, repr=False)

    @property
    def queued(self) -> int:
        return len(self._main) + len(self._side)

    def ask(
        self, now: float, *, is_side: bool = False, patience: float = inf
    ) -> tuple[Ticket | None, Ticket | None]:
        """The request's ticket, None if it is refused; and the waiting one that had to go for it, if any.

        *patience* is how long the request's client will wait, in seconds.
        """
        limits = self.limits
        if self.under_way < limits.under_way and not self._main and not self._side:
            self.under_way += 1
            return Ticket(Place.UNDER_WAY, is_side), None
        shed = None
        if self.queued >= limits.queued:
            if is_side or not self._side:
                self.refused += 1
                return None, None
            shed = self._side.pop()
            shed.place = Place.GONE
            self.refused += 1
        ticket = Ticket(Place.WAITING, is_side, now + min(limits.wait, patience))
        (self._side if is_side else self._main).append(ticket)
        return ticket, shed

    def stream(self, ticket: Ticket, now: float) -> tuple[bool, tuple[Ticket, ...]]:
        """Count an admitted request among the streams; False if there is no place.

        And the tickets that are let in because one left the requests under way.
        """
        if ticket.place is not Place.UNDER_WAY:
            raise ValueError(f"a request that is {ticket.place} cannot begin to stream")
        if self.streaming >= self.limits.streams:
            self.refused += 1
            return False, _NOBODY
        self.streaming += 1
        self.under_way -= 1
        ticket.place = Place.STREAMING
        return True, self._let_in(now)

    def leave(self, ticket: Ticket, now: float) -> tuple[Ticket, ...]:
        """The request is over, or its client left the queue; the tickets that are let in now.  Idempotent."""
        place, ticket.place = ticket.place, Place.GONE
        match place:
            case Place.UNDER_WAY:
                self.under_way -= 1
            case Place.STREAMING:
                self.streaming -= 1
            case Place.WAITING:
                (self._side if ticket.is_side else self._main).remove(ticket)
            case Place.GONE:
                return _NOBODY
        return self._let_in(now)

    def expire(self, now: float) -> tuple[Ticket, ...]:
        """Drop those whose time in the queue is over."""
        late = tuple(ticket for queue in (self._main, self._side) for ticket in queue if now >= ticket.until)
        for ticket in late:
            (self._side if ticket.is_side else self._main).remove(ticket)
            ticket.place = Place.GONE
            self.dropped += 1
        return late

    def _let_in(self, now: float) -> tuple[Ticket, ...]:
        if not self._main and not self._side:
            return _NOBODY
        admitted: list[Ticket] = []
        for queue in (self._main, self._side):
            waiting = [ticket for ticket in queue if now < ticket.until]
            for ticket in waiting[: self.limits.under_way - self.under_way]:
                queue.remove(ticket)
                ticket.place = Place.UNDER_WAY
                self.under_way += 1
                admitted.append(ticket)
        return tuple(admitted)
