"""The blocking face: no event loop of the caller's, one of its own."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import anyio
import pytest
from anyio.from_thread import start_blocking_portal

import lynkr
from lynkr.assembly import build_gateway
from lynkr.model import Finish, Start
from lynkr.testing import Simulator, SimulatorServer
from lynkr.testing.faults import script, status
from tests.gateway.house import EASY, settings_for

REQUEST = lynkr.Request("auto", (lynkr.Message.user(EASY),))


@pytest.fixture
def upstream() -> Iterator[SimulatorServer]:
    with (
        start_blocking_portal() as portal,
        portal.wrap_async_context_manager(
            SimulatorServer(Simulator({"broken": script(then=status(400))}))
        ) as server,
    ):
        yield server


@pytest.fixture(params=["asyncio", "trio"])
def gateway(upstream: SimulatorServer, request: pytest.FixtureRequest) -> Iterator[lynkr.SyncGateway]:
    settings = settings_for(upstream.url)
    with lynkr.SyncGateway(lambda: build_gateway(settings), backend=request.param) as built:
        yield built


def test_a_script_asks_without_an_event_loop(gateway: lynkr.SyncGateway) -> None:
    response = gateway.ask(REQUEST)
    assert response.stop_reason is lynkr.StopReason.END_TURN


def test_a_script_reads_a_stream(gateway: lynkr.SyncGateway) -> None:
    with gateway.stream(REQUEST) as events:
        seen = list(events)
    assert isinstance(seen[0], Start)
    assert isinstance(seen[-1], Finish)


def test_a_stream_may_be_left_early(gateway: lynkr.SyncGateway) -> None:
    with gateway.stream(REQUEST) as events:
        next(events)
    assert gateway.ask(REQUEST).parts


def test_deciding_needs_no_thread(gateway: lynkr.SyncGateway) -> None:
    assert gateway.decide(REQUEST).tier is lynkr.Tier.SIMPLE


def test_several_threads_may_ask_at_once(gateway: lynkr.SyncGateway) -> None:
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: gateway.ask(REQUEST), range(24)))
    assert len(answers) == 24


def test_an_error_is_raised_where_it_was_asked(gateway: lynkr.SyncGateway) -> None:
    with pytest.raises(lynkr.UpstreamError):
        gateway.ask(lynkr.Request("chat:broken", (lynkr.Message.user("x"),)))


def test_outside_with_there_is_nothing_to_ask() -> None:
    before = threading.active_count()
    closed = lynkr.SyncGateway(lambda: build_gateway(lynkr.Settings()))
    with pytest.raises(RuntimeError, match="with"):
        closed.ask(REQUEST)
    assert threading.active_count() == before


def test_a_factory_that_fails_leaves_no_thread_behind() -> None:
    before = threading.active_count()

    def broken() -> lynkr.Gateway:
        raise lynkr.ConfigError("no such thing")

    with pytest.raises(lynkr.ConfigError), lynkr.SyncGateway(broken):
        pass
    with anyio.from_thread.start_blocking_portal():
        pass
    assert threading.active_count() == before
