"""Services that answer as told, and a clock that only moves when somebody sleeps."""

from collections import deque
from collections.abc import Iterable, Mapping, Sequence

import anyio.lowlevel
from attrs import define, field, frozen

from lynkr.model import (
    Event,
    Finish,
    Message,
    PartDelta,
    PartEnd,
    PartStart,
    Request,
    Start,
    StopReason,
    Text,
)
from lynkr.routing.decision import Target
from lynkr.service import Call, Reply, Tally

A, B, C, D = (Target("one", "a"), Target("two", "b"), Target("three", "c"), Target("four", "d"))
REQUEST = Request(model="auto", messages=(Message.user("hello"),))
EVENTS: tuple[Event, ...] = (
    Start("msg_1", "a"),
    PartStart(0, Text("")),
    PartDelta(0, "hi"),
    PartEnd(0),
    Finish(StopReason.END_TURN),
)


def call_to(*targets: Target, deadline: float | None = None) -> Call:
    return Call(request=REQUEST, target=targets[0], alternatives=targets[1:], deadline=deadline)


@define
class Clock:
    """Virtual seconds."""

    now: float = 1_000.0
    slept: list[float] = field(factory=list[float])

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds
        await anyio.lowlevel.checkpoint()


@define
class ScriptedStream:
    """Yields *events*, then ends, or raises *error*."""

    events: deque[Event]
    tally: Tally
    error: Exception | None = None
    closed: int = 0

    def __aiter__(self) -> "ScriptedStream":
        return self

    async def __anext__(self) -> Event:
        await anyio.lowlevel.checkpoint()
        if self.events:
            event = self.events.popleft()
            self.tally.complete = isinstance(event, Finish)
            return event
        if self.error is not None:
            raise self.error
        raise StopAsyncIteration

    async def aclose(self) -> None:
        self.closed += 1


@frozen
class Answer:
    """A stream of *events*, cut short by *error* if there is one."""

    events: Sequence[Event] = EVENTS
    error: Exception | None = None


Step = Exception | Answer


@define
class Scripted:
    """A service that plays one step of its target's script per call; the last step repeats."""

    scripts: Mapping[Target, Iterable[Step]]
    calls: list[Call] = field(factory=list[Call])
    streams: list[ScriptedStream] = field(factory=list[ScriptedStream])
    clock: Clock | None = None
    takes: float = 0.0
    _left: dict[Target, deque[Step]] = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._left = {target: deque(steps) for target, steps in self.scripts.items()}

    @property
    def targets(self) -> list[Target]:
        return [call.target for call in self.calls]

    async def __call__(self, call: Call) -> Reply:
        await anyio.lowlevel.checkpoint()
        if self.clock is not None:
            self.clock.now += self.takes
        self.calls.append(call)
        steps = self._left[call.target]
        step = steps[0] if len(steps) == 1 else steps.popleft()
        if isinstance(step, Exception):
            raise step
        tally = Tally()
        stream = ScriptedStream(deque(step.events), tally, step.error)
        self.streams.append(stream)
        return Reply(target=call.target, tally=tally, events=stream)


async def read(reply: Reply) -> list[Event]:
    """Everything the reply has, closing it whatever happens."""
    assert reply.events is not None
    try:
        return [event async for event in reply.events]
    finally:
        await reply.aclose()
