"""A reply's stream, watched: told once how it ended, whoever ends it and however."""

from collections.abc import Awaitable, Callable
from typing import Generic, Protocol, Self, TypeAlias, TypeVar

from lynkr.service import Reply

_Item = TypeVar("_Item")
_Item_co = TypeVar("_Item_co", covariant=True)

Ending: TypeAlias = Callable[[BaseException | None, bool], None]
"""Told the error, if there was one, and whether the answer was whole."""


class _Stream(Protocol[_Item_co]):
    def __aiter__(self) -> Self: ...

    def __anext__(self) -> Awaitable[_Item_co]: ...

    async def aclose(self) -> None: ...


def watched(reply: Reply, on_end: Ending) -> Reply:
    """*reply*, whose stream calls *on_end* exactly once.

    The end is the first of: the stream's last item; an error or a cancellation
    out of it; its being closed.  Closed before its end, an answer is whole if
    the provider's tally says so (a reader may stop at the last event and never
    ask for more), else the client left.  *on_end* must not raise nor block.
    """
    once = _Once(reply, on_end)
    return reply.over(
        None if reply.events is None else WatchedStream(reply.events, once),
        None if reply.raw is None else WatchedStream(reply.raw, once),
    )


class _Once:
    """Forwards the first ending and drops the rest."""

    __slots__ = ("_ended", "_on_end", "_reply")

    def __init__(self, reply: Reply, on_end: Ending) -> None:
        self._reply = reply
        self._on_end = on_end
        self._ended = False

    def __call__(self, error: BaseException | None, whole: bool) -> None:
        if not self._ended:
            self._ended = True
            self._on_end(error, whole)

    def closed(self) -> None:
        self(None, self._reply.tally.complete)


class WatchedStream(Generic[_Item]):
    """Passes items on unchanged."""

    __slots__ = ("_once", "_stream")

    def __init__(self, stream: _Stream[_Item], once: _Once) -> None:
        self._stream = stream
        self._once = once

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> _Item:
        try:
            return await self._stream.__anext__()
        except StopAsyncIteration:
            self._once(None, True)
            raise
        except BaseException as error:
            self._once(error, False)
            raise

    async def aclose(self) -> None:
        try:
            await self._stream.aclose()
        finally:
            self._once.closed()
