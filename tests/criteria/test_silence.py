"""Criterion 10 by the defaults, through the application in virtual time: 15 s silent, 120 s idle."""

import asyncio
import json
from itertools import pairwise
from typing import Any

import pytest

from lynkr.settings import ServerSettings
from lynkr.testing import Simulator, drip, script, simulated_gateway, stall, virtual_time
from lynkr.testing.faults import Fault
from lynkr_server.app import App
from tests.server.running import message

ROUTES = ("/v1/messages", "/v1/chat/completions", "/v1/responses")
PROMISED = 15.0
Sent = list[tuple[float, bytes]]


def asked(path: str, *, stream: bool) -> bytes:
    body = message("hello", "lynkr-auto", stream=stream)
    if path == "/v1/responses":
        body = {"model": "lynkr-auto", "input": "hello", "stream": stream}
    return json.dumps(body).encode()


async def served(path: str, target: str, fault: Fault, *, stream: bool = True) -> Sent:
    """When which bytes of the answer went out, in virtual seconds since the request came."""
    simulator = Simulator(default=script(then=fault))
    app = App(lambda: simulated_gateway(simulator, target), ServerSettings())
    told: asyncio.Queue[Any] = asyncio.Queue()
    said: asyncio.Queue[Any] = asyncio.Queue()
    lifespan = asyncio.ensure_future(app({"type": "lifespan"}, told.get, said.put))
    await told.put({"type": "lifespan.startup"})
    assert (await said.get())["type"] == "lifespan.startup.complete"
    loop = asyncio.get_running_loop()
    began, sent = loop.time(), Sent()
    parts = [{"type": "http.request", "body": asked(path, stream=stream), "more_body": False}]

    async def receive() -> Any:
        if parts:
            return parts.pop()
        return await asyncio.Event().wait()

    async def send(part: Any) -> None:
        sent.append((loop.time() - began, part.get("body", b"")))

    scope = {
        "type": "http", "method": "POST", "path": path, "raw_path": path.encode(), "query_string": b"",
        "headers": [(b"host", b"127.0.0.1"), (b"content-type", b"application/json")],
        "client": ("127.0.0.1", 5), "http_version": "1.1", "scheme": "http", "server": ("127.0.0.1", 80),
        "asgi": {"version": "3.0"}, "root_path": "",
    }  # fmt: skip
    await app(scope, receive, send)
    await told.put({"type": "lifespan.shutdown"})
    await lifespan
    return sent


def silences(sent: Sent) -> list[float]:
    times = [0.0, *(when for when, _ in sent)]
    return [later - earlier for earlier, later in pairwise(times)]


@pytest.mark.parametrize("path", ROUTES)
@pytest.mark.parametrize("target", ["anthropic:sim-large", "openai:sim-large"])
@pytest.mark.parametrize(
    ("fault", "seconds"),
    [(stall(seconds=250), 250), (stall(5, seconds=100), 100), (drip(16.0), 100), (drip(7.0), 50)],
    ids=["late", "halting", "slow", "steady"],
)
def test_criterion_10_by_default_no_client_sees_15_seconds_of_silence(
    path: str, target: str, fault: Fault, seconds: float
) -> None:
    sent = virtual_time.run(served, path, target, fault)
    assert max(silences(sent)) <= PROMISED + 0.01
    assert sent[-1][0] >= seconds
    data = b"".join(part for _, part in sent)
    assert b"hello" in data, "the answer came after all"
    assert b'"error":{' not in data.replace(b" ", b"")


@pytest.mark.parametrize("path", ROUTES)
@pytest.mark.parametrize("target", ["anthropic:sim-large", "openai:sim-large"])
def test_criterion_10_by_default_an_upstream_that_is_idle_for_two_minutes_has_failed(
    path: str, target: str
) -> None:
    sent = virtual_time.run(served, path, target, stall(5))
    assert max(silences(sent)) <= PROMISED + 0.01
    assert 120 <= sent[-1][0] <= 121
    last = b"".join(part for _, part in sent).rstrip().rpartition(b"\n\n")[2]
    assert b'"error"' in last or b"timeout" in last
