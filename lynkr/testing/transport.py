"""The simulator without a network: a `Transport` that plays its answers in the same process.

What `SimulatorServer` does with sockets this does with values, so it lives in
virtual time (`lynkr.testing.virtual_time`) and needs no port::

    simulator = Simulator({"sim-small": script(status(529), stall(), then=ok())})
    gateway = simulated_gateway(simulator, "anthropic:sim-small", "openai:sim-large")
"""

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from math import inf
from types import TracebackType
from typing import Final, Self
from urllib.parse import urlsplit

import anyio
from anyio.lowlevel import checkpoint

from lynkr.gateway import Gateway
from lynkr.layers import standard_layers
from lynkr.providers import builtin
from lynkr.providers.base import HTTPRequest, HTTPResponse, Timeouts, TransportError, TransportTimeout
from lynkr.resilience import BreakerRegistry, MemoryBreakers
from lynkr.routing import PipelineRouter, Target, Tier
from lynkr.service import Layer
from lynkr.telemetry import TelemetryStore
from lynkr.testing import virtual_time
from lynkr.testing.faults import Answer, Cut, Move, Pause, Reset, Send
from lynkr.testing.simulator import RecordedRequest, Simulator

__all__ = ["SimulatorTransport", "simulated_gateway"]

_HOST: Final = "http://simulator"
_BASES: Final = {"anthropic": _HOST, "openai": f"{_HOST}/v1"}


class SimulatorTransport:
    """A `lynkr.providers.Transport` to *simulator*, which may be shared.  asyncio and trio.

    Timeouts hold as they do on the network: *first_byte* for what a script does
    before the status line, *idle* for each silence after it, *total* for all.
    *now* is the clock they are measured by, in seconds.
    """

    def __init__(self, simulator: Simulator, *, now: Callable[[], float] = anyio.current_time) -> None:
        self.simulator = simulator
        self._now = now

    def send(self, request: HTTPRequest, /) -> AbstractAsyncContextManager[HTTPResponse]:
        return _Exchange(self.simulator, request, self._now)

    async def aclose(self) -> None:
        """There is nothing to close."""


class _Exchange:
    """One request and its answer."""

    def __init__(self, simulator: Simulator, request: HTTPRequest, now: Callable[[], float]) -> None:
        self._simulator = simulator
        self._request = request
        self._now = now
        self._response: _Response | None = None
        self._is_open = False

    async def __aenter__(self) -> "_Response":
        request = self._request
        url = urlsplit(request.url)
        answer = self._simulator.answer(
            RecordedRequest(request.method, url.path, url.query, request.headers, request.body)
        )
        self._simulator.active += 1
        self._is_open = True
        try:
            stage = _Stage(request.timeouts, self._now)
            await checkpoint()
            for move in answer.before:
                await stage.perform(move, "first_byte")
        except BaseException:
            self._close(abandoned=True)
            raise
        self._response = _Response(answer, stage)
        return self._response

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
        /,
    ) -> None:
        response = self._response
        self._close(abandoned=response is None or not response.body.is_over)

    def _close(self, *, abandoned: bool) -> None:
        if self._is_open:
            self._is_open = False
            self._simulator.active -= 1
            self._simulator.abandoned += abandoned
        if self._response is not None:
            self._response.body.is_over = True


class _Stage:
    """Performs moves within the request's timeouts."""

    def __init__(self, timeouts: Timeouts, now: Callable[[], float]) -> None:
        self._timeouts = timeouts
        self._now = now
        self._until = inf if timeouts.total is None else now() + timeouts.total

    async def perform(self, move: Move, phase: str) -> bytes:
        """What *move* sends.

        Raises:
            TransportTimeout: it is silent for longer than *phase* allows, or all of it takes too long.
            TransportError: it breaks the connection.
        """
        match move:
            case Send(data=data):
                if self._now() >= self._until:
                    raise TransportTimeout("total", self._timeouts.total or 0.0)
                return data
            case Pause(seconds=seconds):
                await self._wait(inf if seconds is None else seconds, phase)
                return b""
            case Cut():
                raise TransportError("the connection was closed before the answer was whole")
            case Reset():
                raise TransportError("the connection was reset")

    async def _wait(self, seconds: float, phase: str) -> None:
        patience = self._timeouts.first_byte if phase == "first_byte" else self._timeouts.idle
        left = self._until - self._now()
        await anyio.sleep(max(0.0, min(seconds, patience, left)))
        if left <= min(seconds, patience):
            raise TransportTimeout("total", self._timeouts.total or 0.0)
        if patience < seconds:
            raise TransportTimeout(phase, patience)


class _Response:
    def __init__(self, answer: Answer, stage: _Stage) -> None:
        self.status = answer.status
        self.headers: Mapping[str, str] = answer.headers
        self.body = _Body(answer.moves, stage)

    def chunks(self) -> "_Body":
        return self.body


class _Body:
    def __init__(self, moves: Sequence[Move], stage: _Stage) -> None:
        self._moves = deque(moves)
        self._stage = stage
        self.is_over = False

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        await checkpoint()
        while self._moves and not self.is_over:
            data = await self._stage.perform(self._moves.popleft(), "idle")
            if data:
                return data
        self.is_over = True
        raise StopAsyncIteration


def simulated_gateway(
    simulator: Simulator,
    *targets: str,
    layers: Sequence[Layer] | None = None,
    breakers: BreakerRegistry | None = None,
    timeouts: Timeouts = Timeouts(),  # noqa: B008  # reason: a frozen value
    total_timeout: float | None = 900.0,
    store: TelemetryStore | None = None,
) -> Gateway:
    """A gateway before *simulator*, to be used inside `virtual_time.run`.

    *targets* are ``anthropic:MODEL`` or ``openai:MODEL``, tried in order.
    *layers* are the standard ones over *breakers* unless given.

    Raises:
        ValueError: a target is of another provider.
    """
    ladder = tuple(Target.parse(text) for text in targets)
    unknown = sorted({target.provider for target in ladder} - _BASES.keys())
    if unknown:
        raise ValueError(f"the simulator speaks for {', '.join(_BASES)}, not for {', '.join(unknown)}")
    transport = SimulatorTransport(simulator)
    registry = MemoryBreakers() if breakers is None else breakers
    clock, monotonic = virtual_time.wall, anyio.current_time
    return Gateway(
        router=PipelineRouter({Tier.SIMPLE: ladder}),
        providers=[
            builtin(
                name,
                name,
                key="simulated",
                base_url=_BASES[name],
                transport=transport,
                timeouts=timeouts,
                clock=monotonic,
            )
            for name in dict.fromkeys(target.provider for target in ladder)
        ],
        breakers=registry,
        layers=standard_layers(registry, clock=clock, monotonic=monotonic) if layers is None else layers,
        store=store,
        total_timeout=total_timeout,
        clock=clock,
        monotonic=monotonic,
    )
