"""No attempt outlives the request's deadline."""

import time
from collections.abc import Awaitable, Callable
from typing import Final, Generic, Protocol, Self, TypeVar

import anyio

from lynkr.errors import DeadlineExceeded, UpstreamTimeout
from lynkr.layers.streams import timely
from lynkr.routing.decision import Target
from lynkr.service import Call, Layer, Reply, Service

FAIR_CHANCE: Final = 30.0
"""Seconds of silence after which a provider counts as slow; a deadline that cuts
in earlier says nothing about it, or an impatient client could open a circuit."""

_TICK: Final = 0.01
_Item = TypeVar("_Item")
_Item_co = TypeVar("_Item_co", covariant=True)


def deadline(
    *,
    monotonic: Callable[[], float] = time.monotonic,
    fair_chance: float = FAIR_CHANCE,
    first_token: Callable[[Target], float | None] = lambda _target: None,
    punctual: Callable[[Target], bool] = lambda _target: False,
) -> Layer:
    """A layer that ends an attempt, and later its stream, when `Call.deadline` passes.

    Goes innermost but for the provider.  *monotonic* is the clock `Call.deadline`
    is in.  *first_token* gives how many seconds a target has to the first part
    of its answer, None for no bound of its own.  *punctual* says of a target that its
    provider keeps to both by itself, and a stream that bounds its own
    waiting by `Call.deadline` says so by an attribute ``ends_in_time`` that is
    true, as those over a `Transport` do; any other is bounded here, which costs
    a cancel scope for the attempt, and one for each event.

    Raises:
        DeadlineExceeded: time ran out less than *fair_chance* seconds after the
            request was sent, or after the stream's last sign of life.
        UpstreamTimeout: time ran out after more than that, or that to the first token.
    """

    def layer(service: Service) -> Service:
        async def send(call: Call) -> Reply:
            if punctual(call.target):
                return await (service(call) if call.deadline is None else punctually(call, call.deadline))
            patience = first_token(call.target)
            if call.deadline is None:
                return await (service(call) if patience is None else _in_time(call, service, patience))
            watch = _Watch(call, call.deadline, monotonic, fair_chance)
            reply = await watch.run(lambda: service(call), patience)
            return _bounded(reply, watch)

        async def punctually(call: Call, until: float) -> Reply:
            watch = _Watch(call, until, monotonic, fair_chance)
            began = watch.begin()
            try:
                return _bounded(await service(call), watch)
            except UpstreamTimeout as error:
                if watch.is_over():
                    raise watch.overdue(began) from error
                raise

        return send

    return layer


def _bounded(reply: Reply, watch: "_Watch") -> Reply:
    if all(getattr(stream, "ends_in_time", stream is None) for stream in (reply.events, reply.raw)):
        return timely(reply, watch)
    return reply.over(
        None if reply.events is None else _TimedStream(reply.events, watch),
        None if reply.raw is None else _TimedStream(reply.raw, watch),
    )


async def _in_time(call: Call, service: Service, patience: float) -> Reply:
    with anyio.move_on_after(patience):
        return await service(call)
    raise _silent(str(call.target), patience)


def _silent(target: str, patience: float) -> UpstreamTimeout:
    return UpstreamTimeout(f"{target}: no token within {patience:g} s", target=target)


_Result = TypeVar("_Result")


class _Watch:
    __slots__ = ("_deadline", "_fair_chance", "_monotonic", "_target")

    def __init__(
        self, call: Call, deadline: float, monotonic: Callable[[], float], fair_chance: float
    ) -> None:
        self._target = call.target
        self._deadline = deadline
        self._monotonic = monotonic
        self._fair_chance = fair_chance

    async def run(self, step: Callable[[], Awaitable[_Result]], patience: float | None = None) -> _Result:
        began = self._monotonic()
        left = self._deadline - began
        is_first_token = patience is not None and patience < left
        if left > 0:
            with anyio.move_on_after(patience if is_first_token else left):
                return await step()
        if patience is not None and is_first_token:
            raise _silent(str(self._target), patience)
        raise self.overdue(began)

    def begin(self) -> float:
        """The time, if there is any left.

        Raises:
            DeadlineExceeded: there is none.
        """
        now = self._monotonic()
        if now >= self._deadline:
            raise self.overdue(now)
        return now

    def is_over(self) -> bool:
        # The transport's own timer may fire a tick early.
        return self._monotonic() >= self._deadline - _TICK

    def overdue(self, began: float) -> UpstreamTimeout:
        """What to raise for a wait since *began* that the deadline ended."""
        waited = self._monotonic() - began
        kind = UpstreamTimeout if waited >= self._fair_chance else DeadlineExceeded
        return kind(f"{self._target}: the request's deadline passed", target=str(self._target))


class _Stream(Protocol[_Item_co]):
    def __anext__(self) -> Awaitable[_Item_co]: ...

    async def aclose(self) -> None: ...


class _TimedStream(Generic[_Item]):
    __slots__ = ("_stream", "_watch")

    def __init__(self, stream: _Stream[_Item], watch: _Watch) -> None:
        self._stream = stream
        self._watch = watch

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> _Item:
        return await self._watch.run(self._stream.__anext__)

    async def aclose(self) -> None:
        await self._stream.aclose()
