"""Memory does not wait for the cycle collector, which the server lets come by rarely."""

import asyncio
import gc
import subprocess
import sys
import weakref
from collections.abc import Callable, Iterator

import pytest

from lynkr.assembly import build_gateway
from lynkr.exchange import WireExchange
from lynkr.gateway import Gateway
from lynkr.process import process_environment
from lynkr.service import Call
from lynkr.testing.faults import Script, cut_after, garbage, reset, script, stall, status
from lynkr_server.app import App
from lynkr_server.protocol import BoundedProtocol
from lynkr_server.reload import Reloader
from tests.gateway.house import settings_for
from tests.server.running import House, eventually, message, raw_request

MESSAGES, CHAT = "/v1/messages", "/v1/chat/completions"


@pytest.fixture
def uncollected() -> Iterator[None]:
    """No cycle is freed while the test runs."""
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def alive(*kinds: type) -> int:
    return sum(type(one) in kinds for one in gc.get_objects())


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("path", [MESSAGES, CHAT])
@pytest.mark.parametrize(
    ("steps", "status_code"),
    [
        (script(), 200),
        (script(then=status(400)), 400),
        (script(then=status(500)), 500),
        (script(then=status(429, retry_after=0)), 429),
        (script(then=reset()), 502),
        (script(then=garbage()), 502),
        (script(status(500)), 200),
        (script(then=cut_after(6)), None),
    ],
    ids=["served", "refused", "failed", "busy", "unreachable", "garbage", "retried", "cut"],
)
@pytest.mark.usefixtures("uncollected")
def test_no_request_outlives_its_answer(
    serve: Callable[..., House], path: str, steps: Script, status_code: int | None, *, stream: bool
) -> None:
    running = serve(**{"resilience.base_delay": 0.01})
    before = alive(WireExchange, Call)
    model = f"messages:{running.fails('m', steps)}"
    answer = running.client.post(path, json=message("hi", model, stream=stream))
    if status_code is not None:
        assert answer.status_code == status_code, answer.text
    eventually(lambda: alive(WireExchange, Call) <= before)


@pytest.mark.usefixtures("uncollected")
@pytest.mark.parametrize("path", [MESSAGES, "/v1/messages/count_tokens", "/v1/route", CHAT])
def test_a_malformed_request_is_forgotten(serve: Callable[..., House], path: str) -> None:
    running = serve()
    before = alive(WireExchange, Call)
    for body in (b'{"model": 3}', b'{"model": "m", "max_tokens": 5, "messages": [{"role": 3}]}'):
        assert running.client.post(path, content=body).status_code == 400
    eventually(lambda: alive(WireExchange, Call) <= before)


@pytest.mark.usefixtures("uncollected")
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_a_connection_is_freed_when_it_is_lost(serve: Callable[..., House], *, stream: bool) -> None:
    running = serve()
    running.fails("slow", script(then=stall()))
    before = alive(BoundedProtocol, WireExchange, Call)
    body = message("hi", "messages:slow", stream=stream)
    for _ in range(3):
        with running.connect() as sock:
            sock.sendall(raw_request(MESSAGES, body))
            eventually(lambda: alive(WireExchange) > 0)
    eventually(lambda: alive(BoundedProtocol, WireExchange, Call) <= before)


def test_a_gateway_replaced_by_a_reload_is_freed_once_the_collector_has_been_settled() -> None:
    settings = settings_for("http://127.0.0.1:9")
    kept: list[weakref.ref[Gateway]] = []
    freed: list[bool] = []
    settled = asyncio.Event()

    def retired() -> None:
        gc.collect()
        freed.append(kept[0]() is None)
        settled.set()

    async def run() -> None:
        reloader = Reloader(settings, lambda: settings)

        def factory() -> Gateway:
            gateway = build_gateway(settings)
            kept.append(weakref.ref(gateway))
            return gateway

        app = App(factory, settings.server, reloader=reloader, retired=retired)
        coming: asyncio.Queue[dict[str, object]] = asyncio.Queue()
        told: asyncio.Queue[object] = asyncio.Queue()
        lifespan = asyncio.create_task(app({"type": "lifespan"}, coming.get, told.put))
        await coming.put({"type": "lifespan.startup"})
        async with asyncio.timeout(10):
            await told.get()
            assert await app.reload()
            await settled.wait()
            await coming.put({"type": "lifespan.shutdown"})
            await lifespan

    asyncio.run(run())
    assert freed == [True]


SETTLED = """
import gc, weakref
import lynkr, lynkr_server.collector
assert gc.get_freeze_count() == 0, "an import settles nothing"
before = gc.get_threshold()
lynkr_server.collector.start()
assert gc.get_freeze_count() > 1000
assert gc.get_threshold()[0] > before[0]
frozen = gc.get_freeze_count()
class Ring: pass
ring = Ring(); ring.me = ring; dead = weakref.ref(ring); held = [[] for _ in range(20_000)]
lynkr_server.collector.start()
del ring
gc.collect()
assert dead() is not None, "what is set apart is not looked through"
lynkr_server.collector.settle()
assert dead() is None
assert frozen + 10_000 < gc.get_freeze_count()
"""


def test_settling_sets_apart_what_there_is() -> None:
    done = subprocess.run(
        [sys.executable, "-c", SETTLED],
        env=dict(process_environment()),
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
