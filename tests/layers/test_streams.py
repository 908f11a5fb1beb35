"""A reply under other streams is the same reply."""

from collections import deque

import anyio
import attrs
import pytest

from lynkr.errors import DeadlineExceeded, UpstreamTimeout
from lynkr.layers.streams import Ending, WatchedStream, timely, watched
from lynkr.model import Event, Loss
from lynkr.providers.answer import ListedEvents, OnePiece
from lynkr.service import Reply, Tally, take_ready, take_whole
from tests.layers.scripted import EVENTS, A, Answer, Scripted, ScriptedStream, call_to, read

Told = list[tuple[str, BaseException | None, bool]]


def test_only_the_streams_of_a_reply_are_exchanged() -> None:
    """`Reply.over` names the fields itself, for speed: a new one must not be forgotten there."""
    tally, stream = Tally(), ScriptedStream
    reply = Reply(A, tally, None, None, 201, {"x": "y"}, "text/x", (Loss("a", "b"),))
    changed = {f.name for f in attrs.fields(Reply) if getattr(reply, f.name) == f.default}
    assert changed == {"events", "raw"}, "every other field differs from its default here"
    events = stream.__new__(stream)
    other = reply.over(events, None)
    assert other.events is events
    assert attrs.evolve(other, events=None) == reply


def telling(told: Told, name: str) -> Ending:
    return lambda error, whole: told.append((name, error, whole))


@pytest.mark.anyio
async def test_layers_share_one_watch_and_the_innermost_is_told_first() -> None:
    told: Told = []
    reply = await Scripted({A: [Answer()]})(call_to(A))
    once = watched(reply, telling(told, "inner"))
    twice = watched(once, telling(told, "outer"))
    assert twice is once
    assert isinstance(once.events, WatchedStream)
    assert await read(twice) == list(EVENTS)
    await twice.aclose()
    assert told == [("inner", None, True), ("outer", None, True)]


def test_a_whole_answer_is_taken_at_once_and_that_is_its_end() -> None:
    told: Told = []
    reply = watched(Reply(A, Tally(complete=True), None, OnePiece(b"{}")), telling(told, "layer"))
    assert reply.raw is not None
    assert take_whole(reply.raw) == b"{}"
    assert told == [("layer", None, True)]


def test_what_is_here_is_taken_without_waiting_and_the_rest_is_iterated() -> None:
    told: Told = []
    events = ListedEvents(deque[Event](EVENTS))
    reply = watched(Reply(A, Tally(), events), telling(told, "layer"))
    assert reply.events is not None
    assert tuple(take_ready(reply.events)) == EVENTS
    assert tuple(take_ready(reply.events)) == ()
    assert told == []


@pytest.mark.anyio
async def test_a_stream_that_offers_nothing_at_once_is_iterated() -> None:
    reply = watched(await Scripted({A: [Answer()]})(call_to(A)), lambda _error, _whole: None)
    assert reply.events is not None
    assert take_ready(reply.events) == ()
    bare = watched(Reply(A, Tally(), None, Bytes()), lambda _error, _whole: None)
    assert bare.raw is not None
    assert take_whole(bare.raw) is None
    with anyio.fail_after(5):
        assert [chunk async for chunk in bare.raw] == [b"a"]


class Bytes:
    def __init__(self) -> None:
        self._left = [b"a"]

    def __aiter__(self) -> "Bytes":
        return self

    async def __anext__(self) -> bytes:
        if not self._left:
            raise StopAsyncIteration
        return self._left.pop()

    async def aclose(self) -> None:
        pass


class Past:
    """A time that is over."""

    def begin(self) -> float:
        raise self.overdue(0.0)

    def is_over(self) -> bool:
        return True

    def overdue(self, began: float) -> UpstreamTimeout:
        return DeadlineExceeded(f"late since {began}", target="one:a")


def test_nothing_is_taken_when_it_is_too_late() -> None:
    told: Told = []
    reply = watched(timely(Reply(A, Tally(), None, OnePiece(b"{}")), Past()), telling(told, "layer"))
    assert reply.raw is not None
    with pytest.raises(DeadlineExceeded):
        take_whole(reply.raw)
    ((_, error, whole),) = told
    assert isinstance(error, DeadlineExceeded)
    assert not whole
