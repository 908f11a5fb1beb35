"""The door: `lynkr.resilience.admission` for the tasks of an event loop."""

import asyncio
import math
from collections.abc import Mapping
from typing import Final

from lynkr.errors import LynkrError
from lynkr.resilience.admission import Admission, AdmissionLimits, Place, Ticket

_CLASS: Final = "x-claude-code-request-class"
_SIDE: Final = frozenset({"auxiliary", "compaction"})
_DEADLINE: Final = "x-lynkr-deadline-ms"


class Overloaded(LynkrError):
    """As many requests as allowed are being served, and as many wait."""

    status_hint = 503
    kind = "busy"


class Door:
    """Lets requests in, one ticket each.  One event loop's."""

    def __init__(self, limits: AdmissionLimits) -> None:
        self.admission = Admission(limits)
        self._waiting: dict[Ticket, asyncio.Future[bool]] = {}

    async def enter(self, headers: Mapping[str, str]) -> Ticket:
        """A place, after a wait if there is none.  To be given back with `leave`.

        Raises:
            Overloaded: there is none, and none came free in time.
        """
        loop = asyncio.get_running_loop()
        is_side = headers.get(_CLASS) in _SIDE
        ticket, shed = self.admission.ask(loop.time(), is_side=is_side, patience=_patience(headers))
        if shed is not None:
            self._waiting[shed].set_result(False)
        if ticket is None:
            limits = self.admission.limits
            raise Overloaded(
                f"{limits.under_way} requests are being served and {limits.queued} wait, the most allowed"
            )
        if ticket.place is Place.WAITING:
            await self._wait(ticket, loop)
        return ticket

    async def _wait(self, ticket: Ticket, loop: asyncio.AbstractEventLoop) -> None:
        called = self._waiting[ticket] = loop.create_future()
        timer = loop.call_at(ticket.until, self._expire, ticket.until)
        try:
            is_in = await called
        except BaseException:
            self.leave(ticket)
            raise
        finally:
            timer.cancel()
            del self._waiting[ticket]
        if not is_in:
            raise Overloaded("no place came free in time; the gateway is overloaded")

    def stream(self, ticket: Ticket) -> None:
        """Count the request among the streams.

        Raises:
            Overloaded: as many as allowed are under way.
        """
        is_in, admitted = self.admission.stream(ticket, asyncio.get_running_loop().time())
        self._call(admitted)
        if not is_in:
            raise Overloaded(f"{self.admission.limits.streams} streams are under way, the most allowed")

    def leave(self, ticket: Ticket) -> None:
        """Give the place back; idempotent."""
        self._call(self.admission.leave(ticket, asyncio.get_running_loop().time()))

    def _call(self, admitted: tuple[Ticket, ...]) -> None:
        for ticket in admitted:
            called = self._waiting[ticket]
            if not called.done():
                called.set_result(True)

    def _expire(self, due: float) -> None:
        # A loop calls up to its clock's resolution early, uvloop a millisecond; who is not
        # dropped now never is.
        for ticket in self.admission.expire(max(due, asyncio.get_running_loop().time())):
            called = self._waiting[ticket]
            if not called.done():
                called.set_result(False)


def _patience(headers: Mapping[str, str]) -> float:
    """Seconds the client will wait, by its own header."""
    try:
        seconds = float(headers[_DEADLINE]) / 1000 if _DEADLINE in headers else math.inf
    except ValueError:
        return math.inf
    return seconds if seconds > 0 else math.inf
