"""A reply's stream, watched: told once how it ended, whoever ends it and however.

One object stands around a stream, however many layers watch it and whether or not a
deadline bounds it: each further one would cost every event another step.
"""

from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, Protocol, Self, TypeAlias, TypeVar

from lynkr.errors import UpstreamTimeout
from lynkr.service import Reply, Tally

_Item = TypeVar("_Item")
_Item_co = TypeVar("_Item_co", covariant=True)

Ending: TypeAlias = Callable[[BaseException | None, bool], None]
"""Told the error, if there was one, and whether the answer was whole."""


class _Stream(Protocol[_Item_co]):
    def __aiter__(self) -> Self: ...

    def __anext__(self) -> Awaitable[_Item_co]: ...

    async def aclose(self) -> None: ...


class Limit(Protocol):
    """A time after which nothing of a stream is waited for."""

    def begin(self) -> float:
        """The time now; raises an `UpstreamTimeout` if it is too late to begin."""
        ...

    def is_over(self) -> bool: ...

    def overdue(self, began: float, /) -> UpstreamTimeout:
        """What to raise for a wait since *began* that this ended."""
        ...


def watched(reply: Reply, on_end: Ending) -> Reply:
    """*reply*, whose stream calls *on_end* exactly once.

    The end is the first of: the stream's last item; an error or a cancellation
    out of it; its being closed.  Closed before its end, an answer is whole if
    the provider's tally says so (a reader may stop at the last event and never
    ask for more), else the client left.  *on_end* must not raise nor block.
    Of several, the innermost layer's is called first.
    """
    stream = reply.events if reply.raw is None else reply.raw
    if isinstance(stream, WatchedStream) and stream.once.tally is reply.tally:
        stream.once.endings.append(on_end)
        return reply
    return _around(reply, [on_end], None)


def timely(reply: Reply, limit: Limit) -> Reply:
    """*reply*, whose stream ends in time by itself: begin nothing late, and name *limit* as the cause."""
    return _around(reply, [], limit)


def _around(reply: Reply, endings: list[Ending], limit: Limit | None) -> Reply:
    once = _Once(reply.tally, endings)
    return reply.over(
        None if reply.events is None else WatchedStream(reply.events, once, limit),
        None if reply.raw is None else WatchedStream(reply.raw, once, limit),
    )


class _Once:
    """Forwards the first ending and drops the rest."""

    __slots__ = ("endings", "tally")

    def __init__(self, tally: Tally, endings: list[Ending]) -> None:
        self.tally: Tally = tally
        self.endings: list[Ending] = endings

    def __call__(self, error: BaseException | None, whole: bool) -> None:
        if self.endings:
            endings, self.endings = self.endings, []
            for tell in endings:
                tell(error, whole)


class WatchedStream(Generic[_Item]):
    """Passes items on unchanged."""

    __slots__ = ("_limit", "_stream", "once")

    def __init__(self, stream: _Stream[_Item], once: _Once, limit: Limit | None = None) -> None:
        self._stream = stream
        self._limit = limit
        self.once: _Once = once

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> _Item:
        limit = self._limit
        try:
            if limit is None:
                return await self._stream.__anext__()
            began = limit.begin()
            try:
                return await self._stream.__anext__()
            except UpstreamTimeout as error:
                if limit.is_over():
                    raise limit.overdue(began) from error
                raise
        except StopAsyncIteration:
            self.once(None, True)
            raise
        except BaseException as error:
            self.once(error, False)
            raise

    def take_ready(self) -> Sequence[_Item]:
        """See `lynkr.service.take_ready`."""
        take: Callable[[], Sequence[_Item]] | None = getattr(self._stream, "take_ready", None)
        return () if take is None else take()

    def take_whole(self) -> bytes | None:
        """See `lynkr.service.take_whole`."""
        take: Callable[[], bytes | None] | None = getattr(self._stream, "take_whole", None)
        if take is None:
            return None
        if self._limit is not None:
            try:
                self._limit.begin()
            except UpstreamTimeout as error:
                self.once(error, False)
                raise
        whole = take()
        if whole is not None:
            self.once(None, True)
        return whole

    async def aclose(self) -> None:
        try:
            await self._stream.aclose()
        finally:
            self.once(None, self.once.tally.complete)
