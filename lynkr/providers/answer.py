"""An answer on its way in: the connection it comes from, and the streams made of it.

Streams are classes, not async generators: each may be closed by another task,
and while it waits, on asyncio and trio alike.
"""

from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import ClassVar, Final, Self, TypeVar

import anyio
from attrs import define, evolve, field, frozen

from lynkr.errors import LynkrError, UpstreamError, UpstreamTimeout, UpstreamUnreachable, UpstreamWireError
from lynkr.model import NO_USAGE, Event, Finish, PartDelta, PartStart, Response, Start, ToolCall
from lynkr.providers.asked_usage import UsageGate
from lynkr.providers.base import HTTPResponse, TransportError, TransportTimeout, Unwrapper
from lynkr.providers.hidden import Hidden
from lynkr.service import Tally
from lynkr.wire.base import EventDecoder

_CLOSE_SECONDS: Final = 5.0


@frozen
class Patience:
    """How long the first part of an answer may take, in *seconds* since *began*; *idle* bounds the silences.

    *began* is in *clock*.  A *whole* answer comes in one part, so there the transport's
    own `Timeouts.total` is no more than *seconds*.
    """

    seconds: float
    began: float
    idle: float
    clock: Callable[[], float]
    whole: bool

    def left(self) -> float:
        return max(0.0, self.began + self.seconds - self.clock())


class Connection:
    """One exchange with a provider; its failures name the target."""

    def __init__(
        self,
        exchange: AbstractAsyncContextManager[HTTPResponse],
        target: str,
        hidden: Hidden,
        patience: "Patience | None" = None,
    ) -> None:
        self._patience = patience
        self._exchange: AbstractAsyncContextManager[HTTPResponse] | None = exchange
        self._chunks: AsyncIterator[bytes] | None = None
        self._unwrapper: Unwrapper | None = None
        self.target = target
        self.hidden = hidden
        self.status: int = 0
        self.headers: Mapping[str, str] = {}

    async def open(self) -> None:
        """Send, and wait for the answer's head.

        Raises:
            UpstreamTimeout, UpstreamUnreachable: there is none.
        """
        exchange, self._exchange = self._exchange, None
        if exchange is None:
            raise AssertionError("a connection is opened once")
        try:
            response = await exchange.__aenter__()
        except TransportError as error:
            raise self._broken(error) from error
        self._exchange = exchange
        self.status, self.headers = response.status, response.headers
        try:
            self._chunks = response.chunks()
        except TransportError as error:
            raise self._broken(error) from error

    def unwrap(self, unwrapper: Unwrapper) -> None:
        """From here on give what *unwrapper* finds in the body."""
        self._unwrapper = unwrapper

    async def next(self) -> bytes | None:
        """The next bytes of the body; None at its end.

        Raises:
            UpstreamTimeout, UpstreamUnreachable: it broke off.
            UpstreamWireError: it is not wrapped as it should be.
        """
        unwrapper = self._unwrapper
        if unwrapper is None:
            return await self._received()
        try:
            while (chunk := await self._received()) is not None:
                if inner := unwrapper.feed(chunk):
                    return inner
            self._unwrapper = None
            return unwrapper.close() or None
        except UpstreamWireError as error:
            name_target(error, self.target, self.hidden)
            raise

    async def first(self) -> bytes | None:
        """As `next`, while nothing of the answer has come: no longer than the connection's patience.

        Raises:
            UpstreamTimeout: that ran out, or it broke off.
        """
        patience = self._patience
        if patience is None or (left := patience.left()) >= patience.idle:
            return await self.next()  # between two chunks the transport waits no longer than that
        with anyio.move_on_after(left):
            return await self.next()
        raise self._broken(TransportTimeout("first_token", patience.seconds))

    async def _received(self) -> bytes | None:
        if self._chunks is None:
            return None
        try:
            return await self._chunks.__anext__()
        except StopAsyncIteration:
            return None
        except TransportError as error:
            raise self._broken(error) from error

    async def read(self, limit: int) -> bytes:
        """The whole body.

        Raises:
            UpstreamTimeout, UpstreamUnreachable: it broke off.
            UpstreamWireError: it is larger than *limit* bytes.
        """
        pieces: list[bytes] = []
        size = 0
        while (piece := await self.next()) is not None:
            size += len(piece)
            if size > limit:
                raise UpstreamWireError(f"{self.target}: the answer is larger than {limit} bytes")
            pieces.append(piece)
            if getattr(self._chunks, "is_over", False) and self._unwrapper is None:
                break  # said beforehand by a transport that knows
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    async def read_some(self, limit: int) -> bytes:
        """As much of the body as came whole and fits: an error's text matters less than its status."""
        pieces: list[bytes] = []
        size = 0
        try:
            while size < limit and (piece := await self.next()) is not None:
                pieces.append(piece)
                size += len(piece)
        except UpstreamError:
            return b"".join(pieces)[:limit]
        return b"".join(pieces)[:limit]

    def _broken(self, error: TransportError) -> UpstreamError:
        patience = self._patience
        if (
            isinstance(error, TransportTimeout)
            and error.phase == "total"
            and patience is not None
            and patience.whole
            and error.seconds == patience.seconds
        ):
            error = TransportTimeout("first_token", patience.seconds)
        kind = UpstreamTimeout if isinstance(error, TransportTimeout) else UpstreamUnreachable
        return kind(f"{self.target}: {error}", target=self.target)

    async def aclose(self) -> None:
        """Close, or give back to the pool if the body was read; idempotent, also under cancellation."""
        exchange, self._exchange = self._exchange, None
        if exchange is None:
            return
        close_now: Callable[[], None] | None = getattr(exchange, "close_now", None)
        if close_now is not None:
            close_now()
            return
        with anyio.move_on_after(_CLOSE_SECONDS, shield=True):
            await exchange.__aexit__(None, None, None)


@define
class Reading:
    """Turns a stream's bytes into events and keeps the reply's tally while they go by.

    *primed* once something other than `Start` has come.  *nameless* gives the id
    of an answer whose dialect gives it none.  The observer is shown `Start` with the event
    after it, so that an attempt that fails between the two leaves the next one's its first.
    """

    target: str
    hidden: Hidden
    tally: Tally
    _decoder: EventDecoder
    _clock: Callable[[], float]
    _observer: Callable[[Event], None] | None
    nameless: Callable[[], str] = str
    primed: bool = False
    _closed: bool = False
    _unshown: Start | None = None

    def feed(self, data: bytes, into: deque[Event] | None = None) -> None:
        """Read *data*; events are appended to *into* as they are read, also those before an error.

        Raises:
            UpstreamWireError: not the dialect's.
            UpstreamError: an error event.
        """
        self._take(self._decoder.feed(data), into)

    def close(self, into: deque[Event] | None = None) -> None:
        """The input ended.  Raises `UpstreamWireError` if it was cut short."""
        if not self._closed:
            self._closed = True
            self._take(self._decoder.close(), into)

    def is_whole(self, into: deque[Event] | None = None) -> bool:
        """Whether the dialect's own end has come, so that a broken connection loses nothing."""
        try:
            self.close(into)
        except LynkrError:
            return False
        return self.tally.complete

    def _take(self, events: Iterable[Event], into: deque[Event] | None) -> None:
        observer = self._observer
        for event in events:
            if type(event) is not PartDelta or not self.primed:
                if type(event) is Start:
                    event = named(event, self.nameless, self.target)  # noqa: PLW2901  # the same event
                self._note(event)
            if observer is not None:
                self._show(event, observer)
            if into is not None:
                into.append(event)

    def _show(self, event: Event, observer: Callable[[Event], None]) -> None:
        if type(event) is Start:
            self._unshown = event
            return
        if self._unshown is not None:
            start, self._unshown = self._unshown, None
            observer(start)
        observer(event)

    def _note(self, event: Event) -> None:
        tally = self.tally
        if isinstance(event, Start):
            tally.id, tally.model = event.id, event.model
            if event.usage != NO_USAGE:
                tally.usage = event.usage
            return
        if not self.primed:
            self.primed = True
            tally.first_event_at = self._clock()
        if isinstance(event, PartStart):
            tally.tool_calls += isinstance(event.part, ToolCall)
        elif isinstance(event, Finish):
            tally.usage, tally.stop_reason, tally.complete = event.usage, event.stop_reason, True


_Named = TypeVar("_Named", Start, Response)


def named(answer: _Named, new_id: Callable[[], str], target: str) -> _Named:
    """*answer*, and where its dialect leaves them out an id of *new_id* and the model of *target*."""
    if answer.id and answer.model:
        return answer
    return evolve(answer, id=answer.id or new_id(), model=answer.model or target.partition(":")[2])


def note_response(tally: Tally, response: Response, now: float) -> None:
    """Fill *tally* from a whole answer."""
    tally.id, tally.model, tally.usage = response.id, response.model, response.usage
    tally.stop_reason, tally.first_event_at, tally.complete = response.stop_reason, now, True
    tally.tool_calls = sum(isinstance(part, ToolCall) for part in response.parts)


def name_target(error: Exception, target: str, hidden: Hidden) -> None:
    """Put the target into a decoder's error, which cannot know whom it read, and take credentials out."""
    text = str(error)
    if isinstance(error, UpstreamError):
        error.body = hidden.in_bytes(error.body)
        text = text if error.target else f"{target}: {text}"
        error.target = error.target or target
    elif isinstance(error, UpstreamWireError):
        text = f"{target}: {text}"
    else:
        return
    error.args = (hidden.in_text(text),)
    # What a parser raised holds the text it could not read, and a host may have quoted the request's key.
    error.__cause__ = error.__context__ = None


@define
class PassedBytes:
    """The provider's bytes as received; a reading of the same bytes keeps the tally.

    *skim* leaves out of that reading what the tally has no use for (`lynkr.wire.base.SkimmingCodec`).
    *gate* leaves out of the bytes handed on the usage that the client did not ask for.

    Once something of an answer was read, the reading may fail without harming
    the bytes: the tally says so (`Tally.tap_error`).  What it may do then is raise at
    the end: after the provider's own error event, or when the stream was cut.
    """

    ends_in_time: ClassVar[bool] = True  # the transport ends at `Call.deadline`

    _connection: Connection
    _reading: Reading | None
    _tally: Tally
    _skim: Callable[[bytes], bytes] | None = None
    _gate: UsageGate | None = None
    _held: deque[bytes] = field(factory=deque[bytes])
    _failure: LynkrError | None = None
    _ended: bool = False
    _between: bool = True  # what was read so far ends between two events

    async def prime(self) -> None:
        """Hold bytes back until the first event that is not `Start`.

        Raises:
            UpstreamError, UpstreamWireError: there is none, an error came in its place, or
                the bytes before it are not the dialect's: nobody has seen them, so another
                target may still serve.
        """
        while self._reading is not None and not self._reading.primed and not self._ended:
            chunk = await self._next(self._connection.first)
            if chunk is not None:
                self._held.append(chunk)
            if self._failure is not None:
                self._tally.error_sent = False
                raise self._failure

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        gate = self._gate
        if gate is None:
            return await self._received()
        while self._gate is not None:
            try:
                data = gate.feed(await self._received())
            except StopAsyncIteration:
                self._gate, data = None, gate.rest()
            if data:
                return data
        raise StopAsyncIteration

    async def _received(self) -> bytes:
        if self._held:
            return self._held.popleft()
        if self._failure is not None:
            raise self._failure
        chunk = None if self._ended else await self._next(self._connection.next)
        if chunk is None:
            if self._failure is not None:
                raise self._failure
            raise StopAsyncIteration
        return chunk

    async def aclose(self) -> None:
        self._ended = True
        self._held.clear()
        await self._connection.aclose()

    async def _next(self, receive: Callable[[], Awaitable[bytes | None]]) -> bytes | None:
        """The next bytes, read along; at the end `_ended`, and `_failure` if it is a bad one."""
        reading = self._reading
        try:
            chunk = await receive()
        except (UpstreamError, UpstreamWireError) as error:
            self._ended = True
            if reading is None or not reading.is_whole():
                self._failure = error
            else:
                self._tally.cut = True
            return None
        if chunk is not None:
            if reading is not None:
                self._read_along(reading, chunk)
            return chunk
        self._ended = True
        if reading is not None:
            try:
                reading.close()
            except LynkrError as error:
                name_target(error, reading.target, reading.hidden)
                self._failure = error
        return None

    def _read_along(self, reading: Reading, chunk: bytes) -> None:
        try:
            if self._skim is None:
                reading.feed(chunk)
            else:
                self._read_less(reading, chunk, self._skim)
        except UpstreamError as error:
            name_target(error, reading.target, reading.hidden)
            self._failure = error
            self._tally.error_sent = True
        except Exception as error:  # noqa: BLE001  # the tap: counted in the tally, never harms the stream
            if isinstance(error, UpstreamWireError) and not reading.primed:
                name_target(error, reading.target, reading.hidden)
                self._failure = error
                return
            self._reading = None
            self._tally.tap_error = reading.hidden.in_text(f"{type(error).__name__}: {error}")

    def _read_less(self, reading: Reading, chunk: bytes, skim: Callable[[bytes], bytes]) -> None:
        """Read *chunk*: up to the answer's first part as it stands, whole events after that skimmed."""
        at = 0 if self._between else chunk.find(b"\n\n") + 2
        self._between = chunk.endswith(b"\n\n")
        if at == 1:
            reading.feed(chunk)  # all of it is of one event
            return
        if not reading.primed:
            if at:
                reading.feed(chunk[:at])
            while not reading.primed and at < len(chunk):
                begun, at = at, chunk.find(b"\n\n", at) + 2
                if at == 1:
                    at = len(chunk)
                reading.feed(chunk[begun:at])
            begun = at
        else:
            begun = 0
        if left := chunk[begun:at] + skim(chunk[at:] if at else chunk):
            reading.feed(left)


@define
class DecodedEvents:
    """The provider's stream as canonical events."""

    ends_in_time: ClassVar[bool] = True  # the transport ends at `Call.deadline`

    _connection: Connection
    _reading: Reading
    _waiting: deque[Event] = field(factory=deque[Event])
    _failure: LynkrError | None = None
    _ended: bool = False

    async def prime(self) -> None:
        """Read until the first event that is not `Start`.

        Raises:
            UpstreamError, UpstreamWireError: there is none, or an error came in its place.
        """
        while not self._reading.primed and not self._ended:
            await self._read(self._connection.first)
        if self._failure is not None:
            raise self._failure

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Event:
        while not self._waiting:
            if self._failure is not None:
                raise self._failure
            if self._ended:
                raise StopAsyncIteration
            await self._read(self._connection.next)
        return self._waiting.popleft()

    def take_ready(self) -> Sequence[Event]:
        """See `lynkr.service.take_ready`."""
        ready, self._waiting = self._waiting, deque()
        return ready

    async def aclose(self) -> None:
        self._ended = True
        self._waiting.clear()
        await self._connection.aclose()

    async def _read(self, receive: Callable[[], Awaitable[bytes | None]]) -> None:
        """Read one chunk; at the end `_ended`, and `_failure` if it is a bad one."""
        reading = self._reading
        try:
            chunk = await receive()
        except (UpstreamError, UpstreamWireError) as error:
            self._ended = True
            if not reading.is_whole(self._waiting):
                self._failure = error
            return
        try:
            if chunk is not None:
                reading.feed(chunk, self._waiting)
            else:
                self._ended = True
                reading.close(self._waiting)
        except LynkrError as error:
            self._ended = True
            name_target(error, reading.target, reading.hidden)
            self._failure = error


@define
class OnePiece:
    """A whole answer's bytes; nothing is left to close."""

    ends_in_time: ClassVar[bool] = True  # the transport ends at `Call.deadline`

    _body: bytes

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        body, self._body = self._body, b""
        if not body:
            raise StopAsyncIteration
        return body

    def take_whole(self) -> bytes:
        """See `lynkr.service.take_whole`."""
        body, self._body = self._body, b""
        return body

    async def aclose(self) -> None:
        self._body = b""


@define
class ListedEvents:
    """A whole answer's events; nothing is left to close."""

    ends_in_time: ClassVar[bool] = True  # the transport ends at `Call.deadline`

    _events: deque[Event]

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Event:
        if not self._events:
            raise StopAsyncIteration
        return self._events.popleft()

    def take_ready(self) -> Sequence[Event]:
        """See `lynkr.service.take_ready`."""
        ready, self._events = self._events, deque()
        return ready

    async def aclose(self) -> None:
        self._events.clear()
