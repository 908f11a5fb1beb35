"""Virtual time on both loops, and the simulator without a network against the one with."""

import time
from collections.abc import Awaitable, Callable
from contextlib import suppress

import anyio
import pytest
from anyio.to_thread import run_sync
from hypothesis import given, settings
from hypothesis import strategies as st

from lynkr.errors import LynkrError
from lynkr.model import Event, Message, Request
from lynkr.providers import HttpxTransport, Timeouts, Transport, builtin
from lynkr.resilience import BreakerState, MemoryBreakers
from lynkr.routing import Target
from lynkr.service import Call
from lynkr.testing import (
    SimulatorTransport,
    cut_after,
    drip,
    error_event,
    garbage,
    ok,
    reset,
    script,
    simulated_gateway,
    stall,
    status,
    virtual_time,
)
from lynkr.testing.faults import Fault
from lynkr.testing.simulator import Simulator, SimulatorServer

BACKENDS = ("asyncio", "trio")
REQUEST = Request(model="auto", messages=(Message.user("hello"),), stream=True)

both = pytest.mark.parametrize("backend", BACKENDS)


@both
def test_hours_pass_in_no_time(backend: str) -> None:
    async def sleep() -> tuple[float, float]:
        began = anyio.current_time()
        for _ in range(1_000):
            await anyio.sleep(3_600)
        return anyio.current_time() - began, virtual_time.wall() - virtual_time.EPOCH

    began = time.monotonic()
    assert virtual_time.run(sleep, backend=backend) == (3_600_000.0, 3_600_000.0)
    assert time.monotonic() - began < 10


@both
def test_tasks_wake_in_the_order_of_their_times(backend: str) -> None:
    async def sleepers() -> list[tuple[int, float]]:
        woken: list[tuple[int, float]] = []

        async def wake(after: int) -> None:
            await anyio.sleep(after)
            woken.append((after, anyio.current_time()))

        async with anyio.create_task_group() as tasks:
            for after in (7_200, 1, 60, 0):
                tasks.start_soon(wake, after)
        return woken

    assert virtual_time.run(sleepers, backend=backend) == [(n, float(n)) for n in (0, 1, 60, 7_200)]


@both
def test_timeouts_fire_at_their_time(backend: str) -> None:
    async def time_out() -> float:
        with anyio.move_on_after(86_400):
            await anyio.sleep_forever()
        return anyio.current_time()

    assert virtual_time.run(time_out, backend=backend) == 86_400.0


def test_what_an_asyncio_thread_brings_is_waited_for() -> None:
    async def in_thread() -> str:
        return await run_sync(lambda: (time.sleep(0.01), "done")[1])

    assert virtual_time.run(in_thread) == "done"


@both
def test_waiting_for_ever_is_told_instead_of_hanging(backend: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(virtual_time, "_PATIENCE", 0.01)

    async def wait() -> None:
        await anyio.Event().wait()

    for forever in (anyio.sleep_forever, wait):
        with pytest.raises(RuntimeError, match="no passing of time"):
            virtual_time.run(forever, backend=backend)


def test_another_loop_has_no_virtual_time() -> None:
    with pytest.raises(ValueError, match="'curio'"):
        virtual_time.run(anyio.sleep, 1.0, backend="curio")


def test_an_unknown_provider_is_told() -> None:
    with pytest.raises(ValueError, match="not for mistral"):
        simulated_gateway(Simulator(), "mistral:large")


# ---------------------------------------------------------------------- both simulators agree


def provider_over(transport: Transport, base_url: str, timeouts: Timeouts, clock: Callable[[], float]):
    return builtin(
        "anthropic",
        "anthropic",
        key="k",
        base_url=base_url,
        transport=transport,
        timeouts=timeouts,
        clock=clock,
    )


async def outcome(provider, stream: bool) -> tuple[str, str]:
    """What came of one attempt: the events that were seen, and how it ended."""
    request = REQUEST if stream else Request(model="auto", messages=REQUEST.messages)
    call = Call(request, Target("anthropic", "sim-small"))
    events: list[Event] = []
    try:
        reply = await provider.send(call)
        assert reply.events is not None
        try:
            async for event in reply.events:  # reason: those before an error count
                events.append(event)  # noqa: PERF401  # reason: those before an error count
        finally:
            await reply.aclose()
    except LynkrError as error:
        return repr(events), type(error).__name__ + str(getattr(error, "status", None))
    return repr(events), "whole"


TIMEOUTS = Timeouts(connect=5.0, first_byte=0.2, idle=0.2)
faults = st.one_of(
    st.just(ok()),
    st.builds(status, st.sampled_from([400, 401, 429, 500, 503, 529])),
    st.builds(reset, st.none() | st.integers(0, 4)),
    st.builds(cut_after, st.integers(0, 4)),
    st.builds(error_event, st.integers(1, 3)),
    st.just(garbage()),
    st.builds(stall, st.none() | st.integers(0, 3)),
    st.just(drip(0.001)),
)


@settings(max_examples=25)
@given(faults, st.booleans())
@pytest.mark.anyio
async def test_the_network_and_its_stand_in_give_a_provider_the_same(fault: Fault, stream: bool) -> None:
    with anyio.fail_after(20):
        async with SimulatorServer(Simulator(default=script(then=fault))) as server:
            wire = HttpxTransport()
            try:
                real = await outcome(provider_over(wire, server.url, TIMEOUTS, time.monotonic), stream)
            finally:
                await wire.aclose()
        stand_in = SimulatorTransport(Simulator(default=script(then=fault)))
        played = await outcome(provider_over(stand_in, "http://x", TIMEOUTS, anyio.current_time), stream)
    assert played == real
    assert stand_in.simulator.active == 0


# ---------------------------------------------------------------------- hours of trouble


async def asked_every(seconds: float, times: int, gateway_asked: Callable[[], Awaitable[object]]) -> int:
    """How many of *times* questions were answered."""
    answered = 0
    for _ in range(times):
        with suppress(LynkrError):
            await gateway_asked()
            answered += 1
        await anyio.sleep(seconds)
    return answered


@both
def test_a_day_with_an_outage_of_two_hours(backend: str) -> None:
    """A question every two minutes for a day; from the eighth to the tenth hour the first target is down."""

    async def day() -> tuple[int, int, int, str]:
        simulator = Simulator()
        breakers = MemoryBreakers()
        gateway = simulated_gateway(simulator, "anthropic:sim-large", "openai:sim-small", breakers=breakers)

        def asked_at_first() -> int:
            return sum(request.path == "/v1/messages" for request in simulator.requests)

        async with gateway:
            answered = await asked_every(120, 8 * 30, lambda: gateway.ask(REQUEST))
            simulator.requests.clear()
            simulator.scripts["sim-large"] = script(then=status(500))
            answered += await asked_every(120, 2 * 30, lambda: gateway.ask(REQUEST))
            in_the_outage = asked_at_first()
            simulator.scripts["sim-large"] = script()
            answered += await asked_every(120, 14 * 30, lambda: gateway.ask(REQUEST))
            state = breakers.breaker("anthropic:sim-large").state(virtual_time.wall())
        return answered, in_the_outage, asked_at_first(), state

    began = time.monotonic()
    answered, in_the_outage, _, state = virtual_time.run(day, backend=backend)
    assert time.monotonic() - began < 60
    assert answered == 24 * 30, "nobody noticed"
    # Five failures opened it; then one probe each 15, 30, 60, 120, 240, 300, 300 ... seconds.
    assert 5 <= in_the_outage <= 5 + 2 + 2 * 3600 // 300 + 5
    assert state == BreakerState.CLOSED


@both
def test_a_stalled_stream_ends_at_its_deadline_to_the_second(backend: str) -> None:
    async def ask() -> tuple[str, float]:
        gateway = simulated_gateway(
            Simulator(default=script(then=stall(2))),
            "anthropic:sim-small",
            timeouts=Timeouts(idle=3_600.0, first_byte=3_600.0, total=None),
            total_timeout=600.0,
        )
        async with gateway:
            try:
                await gateway.ask(REQUEST)
            except LynkrError as error:
                return type(error).__name__, anyio.current_time()
        raise AssertionError("the upstream never finished")

    kind, when = virtual_time.run(ask, backend=backend)
    assert kind == "UpstreamTimeout"
    assert when == pytest.approx(600.0, abs=0.05)
