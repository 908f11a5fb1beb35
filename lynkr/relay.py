"""Answers on their way to a client: bytes, or events, whose end writes the record.

They are classes, not async generators, so that closing one from another task,
or while it waits, is safe on asyncio and trio alike.
"""

from collections import deque
from collections.abc import Callable
from typing import Self

from attrs import define, field

from lynkr.errors import LynkrError, without_frames
from lynkr.exchange import Exchange, WireExchange, stamp
from lynkr.model import Event, Finish, Start
from lynkr.service import ByteStream, EventStream, Reply, take_ready
from lynkr.telemetry.record import Ending
from lynkr.wire.frame_gate import FrameGate


@define
class WireReply:
    """What goes back to a client, already in its own dialect.

    Either *body* is the whole answer, or *chunks* is to be iterated.  Whoever
    holds it calls `aclose` in ``finally``; a whole answer that reached the
    client is `delivered` first.  *error* is set when the answer is an error.
    """

    status: int
    headers: dict[str, str]
    exchange: WireExchange
    body: bytes | None = None
    chunks: ByteStream | None = None
    error: BaseException | None = None

    @property
    def told(self) -> bool:
        """Whether the stream's final event was handed on, after which nothing of ours may follow."""
        return getattr(self.chunks, "told", False)

    def delivered(self) -> None:
        """The last byte of a whole answer has left: write the record."""
        self.exchange.finish(Ending.OK if self.error is None else Ending.FAILED, self.status, self.error)

    async def aclose(self) -> None:
        """Release everything; an answer not delivered by now was cancelled.  Idempotent."""
        if self.chunks is not None:
            await self.chunks.aclose()
        elif self.exchange.reply is not None:
            await self.exchange.reply.aclose()
        ending = Ending.CANCELLED if self.error is None else Ending.FAILED
        self.exchange.finish(ending, self.status, self.error)


@define
class PassedBytes:
    """The provider's own event stream, for a client of the same dialect."""

    _exchange: WireExchange
    _reply: Reply
    _source: ByteStream
    _gate: FrameGate = field(factory=FrameGate)
    _drained: bool = False
    _over: bool = False
    told: bool = False
    """The final event was handed on: a client that leaves now has its answer."""

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        while not self._over:
            if self._drained:
                self._over = True
                await self._reply.aclose()
                self._exchange.finish(Ending.OK, self._reply.status)
                break
            try:
                data = self._gate.feed(await self._source.__anext__())
                self.told = self._reply.tally.complete
                if self.told:
                    self._exchange.keep_answer()
            except StopAsyncIteration:
                self._drained = True
                data = self._exchange.encode_rest() if self._reply.tally.cut else self._gate.rest()
            except LynkrError as error:
                self._over = True
                ending = await _break_off(self._exchange, self._reply, error)
                # The provider's own error event has gone through already: a second one would be ours.
                data = self._gate.rest() if self._reply.tally.error_sent else ending
            if data:
                self._exchange.note_passed(data)
                return data
        raise StopAsyncIteration

    async def aclose(self) -> None:
        self._over = True
        await self._reply.aclose()
        self._exchange.finish(Ending.OK if self.told else Ending.CANCELLED, self._reply.status)


@define
class EncodedEvents:
    """Another dialect's events, written in the client's: those that came together go on together."""

    _exchange: WireExchange
    _reply: Reply
    _source: EventStream
    _clock: Callable[[], float]
    _over: bool = False
    _drained: bool = False
    told: bool = False
    """The final event was handed on: a client that leaves now has its answer."""
    _waiting: deque[Event] = field(factory=deque[Event])
    _fault: Exception | None = None

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        waiting = self._waiting
        while not self._over:
            if self._drained:
                self._over = True
                await self._reply.aclose()
                self._exchange.finish(Ending.OK, self._reply.status)
                break
            try:
                if self._fault is not None:
                    raise self._fault
                if not waiting:
                    waiting.append(await self._source.__anext__())
                    waiting.extend(take_ready(self._source))
                data = self._encoded(waiting)
            except StopAsyncIteration:
                self._drained = True
                data = self._exchange.encoder.close()
            except LynkrError as error:
                self._over = True
                return await _break_off(self._exchange, self._reply, error)
            if data:
                return data
        raise StopAsyncIteration

    def _encoded(self, waiting: deque[Event]) -> bytes:
        """The bytes of *waiting*, which is emptied; up to an event that cannot be written."""
        encode = self._exchange.encoder.encode
        written: list[bytes] = []
        while waiting:
            event = waiting.popleft()
            try:
                if type(event) is Start:
                    event = stamp(event, self._clock(), self._exchange.answer_id)
                written.append(encode(event))
            except Exception as fault:
                waiting.clear()
                if not any(written):
                    raise
                self._fault = fault  # for the next call: it ends the stream
                break
            self.told = type(event) is Finish
        if self.told:
            self._exchange.keep_answer()
        return b"".join(written)

    async def aclose(self) -> None:
        self._over = True
        await self._reply.aclose()
        self._exchange.finish(Ending.OK if self.told else Ending.CANCELLED, self._reply.status)


async def _break_off(exchange: WireExchange, reply: Reply, error: LynkrError) -> bytes:
    """End a stream that failed midway: the dialect's error event, and a failed record."""
    await reply.aclose()
    exchange.finish(Ending.FAILED, reply.status, without_frames(error))
    return exchange.encode_error(error)


@define
class RecordedEvents:
    """Events for a caller in this process; their end writes the record."""

    _exchange: Exchange
    _reply: Reply
    _source: EventStream
    _status: int = field(default=200)
    _over: bool = False

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Event:
        if self._over:
            raise StopAsyncIteration
        try:
            return await self._source.__anext__()
        except StopAsyncIteration:
            self._over = True
            await self._reply.aclose()
            self._exchange.finish(Ending.OK, self._status)
            raise
        except LynkrError as error:
            self._over = True
            await self._reply.aclose()
            self._exchange.finish(Ending.FAILED, self._status, error)
            raise

    async def aclose(self) -> None:
        self._over = True
        await self._reply.aclose()
        self._exchange.finish(Ending.CANCELLED, self._status)
