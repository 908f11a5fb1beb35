"""Counting tokens always answers, whatever becomes of the provider that was asked."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import anyio
import pytest

from lynkr.assembly import build_gateway
from lynkr.errors import ClientWireError
from lynkr.gateway import Gateway
from lynkr.model import Message, Request, WireFormat
from lynkr.token_count import estimated_tokens
from tests.gateway.house import house, settings_for
from tests.providers.loopback import Handler, Loopback, Peer, Received, serving

pytestmark = pytest.mark.anyio
MESSAGES, CHAT = WireFormat.ANTHROPIC_MESSAGES, WireFormat.OPENAI_CHAT
TURNS = [{"role": "user", "content": "Why is the sky blue?"}]
GUESS = estimated_tokens(Request("m", (Message.user("Why is the sky blue?"),)))


def body(model: str = "messages:m", **fields: Any) -> bytes:
    return json.dumps({"model": model, "messages": TURNS} | fields).encode()


def answering(body: bytes, status: str = "200 OK") -> Handler:
    """A server that answers everything so."""

    async def handle(peer: Peer, _: Received) -> None:
        await peer.answer(body, status=status)

    return handle


@asynccontextmanager
async def before(server: Loopback, **overrides: object) -> AsyncIterator[Gateway]:
    """A gateway whose providers are all at *server*."""
    async with build_gateway(settings_for(server.url, **overrides)) as gateway:
        yield gateway


@pytest.mark.parametrize("status", ["404 Not Found", "405 Method Not Allowed", "501 Not Implemented"])
async def test_a_provider_without_the_call_is_answered_for(status: str) -> None:
    async with serving(answering(b"{}", status=status)) as server, before(server) as gateway:
        assert await gateway.count_tokens(MESSAGES, body(), {}) == (GUESS, True)


@pytest.mark.parametrize(
    "status", ["400 Bad Request", "401 Unauthorized", "429 Busy", "500 Oops", "529 Busy"]
)
async def test_a_provider_that_refuses_is_answered_for(status: str) -> None:
    async with serving(answering(b'{"error": {}}', status=status)) as server, before(server) as gateway:
        assert await gateway.count_tokens(MESSAGES, body(), {}) == (GUESS, True)


@pytest.mark.parametrize("answer", [b"not json", b"[]", b'{"input_tokens": "many"}', b"{}"])
async def test_a_provider_that_talks_nonsense_is_answered_for(answer: bytes) -> None:
    async with serving(answering(answer)) as server, before(server) as gateway:
        assert await gateway.count_tokens(MESSAGES, body(), {}) == (GUESS, True)


async def test_a_provider_that_hangs_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lynkr.counting.COUNT_SECONDS", 0.05)

    async def silent(*_: object) -> None:
        await anyio.sleep_forever()

    async with serving(silent) as server, before(server) as gateway:
        with anyio.fail_after(10):
            assert await gateway.count_tokens(MESSAGES, body(), {}) == (GUESS, True)


async def test_criterion_08_a_provider_that_is_not_there_is_answered_for() -> None:
    async with serving(answering(b"{}")) as server:
        settings = settings_for(server.url)
    async with build_gateway(settings) as gateway:
        assert await gateway.count_tokens(MESSAGES, body(), {}) == (GUESS, True)


async def test_a_target_nobody_can_use_still_has_an_estimate() -> None:
    async with house(tiers={"SIMPLE": ["messages:m"]}, **{"routing.blocked": ["messages:*"]}) as built:
        assert await built.gateway.count_tokens(MESSAGES, body("auto"), {}) == (GUESS, True)


async def test_what_cannot_be_read_is_the_clients_fault() -> None:
    async with house() as built:
        with pytest.raises(ClientWireError, match="messages"):
            await built.gateway.count_tokens(MESSAGES, b'{"model": "m", "messages": 3}', {})


@pytest.mark.parametrize(
    ("kind", "line", "sent"),
    [
        ("openai", "POST /v1/responses/input_tokens HTTP/1.1", "input"),
        ("openai-responses", "POST /v1/responses/input_tokens HTTP/1.1", "input"),
        ("llamacpp", "POST /v1/messages/count_tokens HTTP/1.1", "messages"),
        ("anthropic", "POST /v1/messages/count_tokens HTTP/1.1", "messages"),
    ],
)
async def test_a_host_that_counts_is_asked_in_the_dialect_it_counts_in(
    kind: str, line: str, sent: str
) -> None:
    tool = {"name": "f", "description": "d", "input_schema": {"type": "object"}}
    asked = body("chat:m", system="Be brief.", tools=[tool], max_tokens=9, temperature=0.5, stream=True)
    kinds = {"providers.chat.kind": kind}
    async with serving(answering(b'{"input_tokens": 42}')) as server, before(server, **kinds) as gateway:
        assert await gateway.count_tokens(MESSAGES, asked, {}) == (42, False)
    (request,) = server.requests
    assert request.line == line
    told = json.loads(request.body)
    assert {sent, "tools", "model"} <= told.keys()
    assert not {"max_tokens", "max_output_tokens", "temperature", "stream", "store"} & told.keys()
    assert "Be brief." in request.body.decode()
