"""Ollama's three dialects at one address, chosen by version and by client."""

import json

import anyio
import pytest

from lynkr.model import Message, Request, WireFormat
from lynkr.providers import HttpxTransport, builtin
from lynkr.providers.ollama import KNOWN_FOR, UNKNOWN_FOR
from lynkr.routing.decision import Target
from lynkr.service import Call, RawBody
from lynkr.wire.anthropic import AnthropicCodec
from lynkr.wire.json_body import dump, parse_body
from lynkr.wire.ollama import OllamaChatCodec
from lynkr.wire.openai_chat import OpenAIChatCodec
from tests.providers.loopback import serving

pytestmark = pytest.mark.anyio
NATIVE, CHAT, MESSAGES = WireFormat.OLLAMA_CHAT, WireFormat.OPENAI_CHAT, WireFormat.ANTHROPIC_MESSAGES
CODECS = {codec.format: codec for codec in (OllamaChatCodec(), OpenAIChatCodec(), AnthropicCodec())}
REQUEST = Request(model="auto", messages=(Message.user("hi"),), max_output_tokens=5)
ANSWERS = {
    "/api/chat": {
        "model": "q",
        "created_at": "2026-11-01T08:00:00Z",
        "message": {"role": "assistant", "content": "hi"},
        "done": True,
        "done_reason": "stop",
        "prompt_eval_count": 3,
        "eval_count": 2,
    },
    "/v1/chat/completions": {
        "id": "c",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": "hi"}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5},
    },
    "/v1/messages": {
        "id": "m",
        "type": "message",
        "role": "assistant",
        "model": "q",
        "content": [{"type": "text", "text": "hi"}],
        "stop_reason": "end_turn",
        "stop_sequence": None,
        "usage": {"input_tokens": 3, "output_tokens": 2},
    },
}


class Server:
    """A scripted Ollama; *version* is its answer to ``GET /api/version``, None for none at all."""

    def __init__(self, version=b'{"version": "0.14.2"}', status="200 OK"):
        self.version, self.status = version, status

    async def __call__(self, peer, received):
        method, path, _ = received.line.split(" ")
        if method == "POST":
            await peer.answer(json.dumps(ANSWERS[path]).encode())
        elif self.version is None:
            await peer.stream.aclose()
        else:
            await peer.answer(self.version, status=self.status)


def call(spoken=None, **fields):
    raw = None
    if spoken is not None:
        raw = RawBody(spoken, parse_body(dump(CODECS[spoken].encode_request(REQUEST).body)))
    return Call(REQUEST, Target("o", "q"), raw=raw, **fields)


async def asked(server, *calls, clock=lambda: 0.0, **fields):
    """The paths of all requests that *calls* led to, in order."""
    with anyio.fail_after(10):
        async with serving(server) as running:
            transport = HttpxTransport()
            provider = builtin(
                "o", "ollama", base_url=running.url, transport=transport, clock=clock, **fields
            )
            for one in calls:
                reply = await provider.send(one)
                assert (reply.tally.usage.input, reply.tally.usage.output) == (3, 2)
                assert (reply.raw is None) == (one.raw is None or path_of(running) != PATHS[one.raw.format])
                await reply.aclose()
            await transport.aclose()
            return [request.line.split(" ")[1] for request in running.requests]


PATHS = {NATIVE: "/api/chat", CHAT: "/v1/chat/completions", MESSAGES: "/v1/messages"}


def path_of(running):
    return running.requests[-1].line.split(" ")[1]


async def test_a_new_server_serves_each_dialect_untouched():
    paths = await asked(Server(), call(MESSAGES), call(CHAT), call(NATIVE), call())
    assert paths == ["/api/version", "/v1/messages", "/v1/chat/completions", "/api/chat", "/api/chat"]


async def test_a_server_before_0_14_is_spoken_to_in_its_native_dialect():
    assert await asked(Server(b'{"version":"0.13.5"}'), call(MESSAGES)) == ["/api/version", "/api/chat"]


@pytest.mark.parametrize(
    "version", [b'{"version":"0.14.0-rc1"}', b'{"version":"v1.0"}', b'{"version":"0.40.12"}']
)
async def test_versions_are_compared_as_numbers(version):
    assert (await asked(Server(version), call(MESSAGES)))[-1] == "/v1/messages"


@pytest.mark.parametrize(
    "server",
    [
        Server(None),
        Server(b"{}"),
        Server(b'{"version": 1}'),
        Server(b'{"version":"main"}'),
        Server(b"<html>"),
        Server(b"[]"),
        Server(b"no", "404 Not Found"),
        Server(b'{"version":"' + b"1" * 5000 + b'"}'),
    ],
)
async def test_a_server_that_does_not_tell_its_version_is_spoken_to_in_openais(server):
    assert (await asked(server, call(MESSAGES)))[-1] == "/v1/chat/completions"


async def test_the_clients_own_dialect_needs_no_version():
    assert await asked(Server(None), call(CHAT), call(NATIVE)) == ["/v1/chat/completions", "/api/chat"]


async def test_a_version_is_asked_for_again_after_a_while_only():
    now = [0.0]
    server = Server()

    async def later(peer, received):
        await server(peer, received)
        if received.line.startswith("POST"):
            now[0] += KNOWN_FOR / 2

    paths = await asked(later, call(), call(), call(), clock=lambda: now[0])
    assert paths == ["/api/version", "/api/chat", "/api/chat", "/api/version", "/api/chat"]


async def test_a_silent_server_is_asked_again_soon():
    now = [0.0]
    server = Server(b"{}")

    async def later(peer, received):
        await server(peer, received)
        if received.line.startswith("POST"):
            now[0] += UNKNOWN_FOR
            server.version = b'{"version":"0.14.0"}'

    paths = await asked(later, call(MESSAGES), call(MESSAGES), clock=lambda: now[0])
    assert paths == ["/api/version", "/v1/chat/completions", "/api/version", "/v1/messages"]


async def test_many_calls_at_once_ask_for_the_version_once():
    with anyio.fail_after(10):
        async with serving(Server()) as running:
            transport = HttpxTransport()
            provider = builtin("o", "ollama", base_url=running.url, transport=transport)

            async def one():
                await (await provider.send(call())).aclose()

            async with anyio.create_task_group() as tasks:
                for _ in range(5):
                    tasks.start_soon(one)
            await transport.aclose()
    assert sum(request.line.startswith("GET") for request in running.requests) == 1


async def test_a_key_goes_as_a_bearer_in_every_dialect():
    with anyio.fail_after(10):
        async with serving(Server()) as running:
            transport = HttpxTransport()
            provider = builtin("o", "ollama", key="k", base_url=running.url, transport=transport)
            for spoken in (MESSAGES, CHAT, NATIVE):
                await (await provider.send(call(spoken))).aclose()
            await transport.aclose()
    assert {request.headers["authorization"] for request in running.requests} == {"Bearer k"}
