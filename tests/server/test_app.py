"""The ASGI application by itself: what a server of any make may do to it."""

import asyncio
import json
from collections.abc import Callable, Iterable, MutableMapping
from typing import Any

import pytest

from lynkr.errors import ConfigError
from lynkr.gateway import Gateway
from lynkr.model import WireFormat
from lynkr.routing import PipelineRouter, Tier
from lynkr.settings import ServerSettings
from lynkr_server import App

Message = MutableMapping[str, Any]


def gateway() -> Gateway:
    return Gateway(router=PipelineRouter({Tier.SIMPLE: ["nobody:m"]}), providers=())


def app(factory: Callable[[], Gateway] = gateway, **settings: Any) -> App:
    return App(factory, ServerSettings(**settings))


class Server:
    """The other side of an ASGI call; after *messages* nothing more comes."""

    def __init__(self, messages: Iterable[Message] = ()) -> None:
        self.coming = list(messages)
        self.sent: list[Message] = []

    async def receive(self) -> Message:
        if not self.coming:
            await asyncio.Event().wait()
        return self.coming.pop(0)

    async def send(self, message: Message) -> None:
        self.sent.append(message)

    @property
    def answer(self) -> tuple[int, dict[str, str], Any]:
        start, *rest = self.sent
        headers = {name.decode(): value.decode() for name, value in start["headers"]}
        return start["status"], headers, json.loads(b"".join(message["body"] for message in rest))


def scope(path: str, method: str = "POST") -> Message:
    return {"type": "http", "path": path, "method": method, "headers": []}


STARTUP, SHUTDOWN = {"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}


def test_it_starts_and_closes_what_it_started() -> None:
    made: list[Gateway] = []

    def factory() -> Gateway:
        made.append(gateway())
        return made[0]

    server = Server([STARTUP, SHUTDOWN])
    asyncio.run(app(factory)({"type": "lifespan"}, server.receive, server.send))
    assert [message["type"] for message in server.sent] == [
        "lifespan.startup.complete",
        "lifespan.shutdown.complete",
    ]
    reply = asyncio.run(made[0].relay(WireFormat.OPENAI_CHAT, b"{}", {}))
    assert reply.status == 503


@pytest.mark.parametrize("error", [ConfigError("no tier is set"), PermissionError("the ledger is read-only")])
def test_a_gateway_that_cannot_be_made_fails_the_start_with_its_words(error: Exception) -> None:
    def factory() -> Gateway:
        raise error

    server = Server([STARTUP])
    asyncio.run(app(factory)({"type": "lifespan"}, server.receive, server.send))
    assert server.sent == [{"type": "lifespan.startup.failed", "message": str(error)}]


@pytest.mark.parametrize("path", ["/v1/messages", "/v1/chat/completions", "/v1/messages/count_tokens"])
def test_before_the_start_it_says_that_it_is_not_running(path: str) -> None:
    server = Server([{"type": "http.request", "body": b"{}"}])
    asyncio.run(app()(scope(path), server.receive, server.send))
    status, headers, body = server.answer
    assert (status, headers["retry-after"]) == (503, "1")
    assert "not running" in body["error"]["message"]


def test_before_the_start_it_is_not_ready_but_alive() -> None:
    live, ready = Server(), Server()
    asyncio.run(app()(scope("/health/live", "GET"), live.receive, live.send))
    asyncio.run(app()(scope("/health/ready", "GET"), ready.receive, ready.send))
    assert live.answer[0] == 200
    assert ready.answer[0] == 503
    assert ready.answer[1]["retry-after"] == "1"


def test_a_websocket_is_closed() -> None:
    server = Server()
    asyncio.run(app()({"type": "websocket", "path": "/"}, server.receive, server.send))
    assert [message["type"] for message in server.sent] == ["websocket.close"]


def test_a_request_cancelled_while_its_body_comes_in_is_told_of_the_shutdown() -> None:
    async def scenario() -> Server:
        lifespan = Server([STARTUP])
        running = app()
        living = asyncio.ensure_future(running({"type": "lifespan"}, lifespan.receive, lifespan.send))
        server = Server([{"type": "http.request", "body": b"{", "more_body": True}])
        task = asyncio.ensure_future(running(scope("/v1/messages"), server.receive, server.send))
        while server.coming or not lifespan.sent:  # noqa: ASYNC110  # reason: neither tells when
            await asyncio.sleep(0)
        task.cancel()
        await task
        living.cancel()
        return server

    status, _, body = asyncio.run(scenario()).answer
    assert status == 503
    assert body["type"] == "error"
    assert "shutting down" in body["error"]["message"]


@pytest.mark.parametrize("messages", [[], [{"type": "http.request", "body": b"{", "more_body": True}]])
def test_a_client_that_leaves_before_its_body_is_whole_is_not_answered(messages: list[Message]) -> None:
    async def scenario() -> Server:
        lifespan = Server([STARTUP])
        running = app()
        living = asyncio.ensure_future(running({"type": "lifespan"}, lifespan.receive, lifespan.send))
        await asyncio.sleep(0)
        server = Server([*messages, {"type": "http.disconnect"}])
        await running(scope("/v1/messages"), server.receive, server.send)
        living.cancel()
        return server

    assert asyncio.run(scenario()).sent == []
