"""Embeddings pass through to a target somebody named, and are recorded."""

import json
from contextlib import asynccontextmanager

import anyio
import pytest

from lynkr.assembly import build_gateway
from lynkr.model import WireFormat
from lynkr.routing.decision import Target
from lynkr.settings import Settings
from lynkr.telemetry import Query
from lynkr.telemetry.record import Ending
from tests.gateway.house import body_of
from tests.providers.loopback import serving

pytestmark = pytest.mark.anyio
ANSWER = b'{"object":"list", "data":[{"embedding":[0.10,1e-7]}],"usage":{"prompt_tokens":8,"total_tokens":8}}'
BODY = b'{ "model":"wanted", "input" : ["a", "b"], "dimensions": 2 }'


async def embedding(peer, received):
    if received.line.startswith("GET"):
        await peer.answer(b'{"version":"0.14.2"}')
    else:
        await peer.answer(ANSWER)


@asynccontextmanager
async def house(handler=embedding, **overrides):
    with anyio.fail_after(10):
        async with serving(handler) as server:
            tree = {"tiers.SIMPLE": ["chat:m"]}
            for name, kind in (("chat", "openai"), ("messages", "anthropic"), ("ollama", "ollama")):
                tree |= {
                    f"providers.{name}.kind": kind,
                    f"providers.{name}.base_url": f"{server.url}/v1",
                    f"providers.{name}.api_key": "k",
                }
            async with build_gateway(Settings.load(None, {}, overrides=tree | overrides)) as gateway:
                yield gateway, server


def records(gateway):
    assert gateway.recorder.flush(5.0)
    return list(gateway.recorder.store.read(Query()))


def named(model):
    return BODY.replace(b"wanted", model.encode())


@pytest.mark.parametrize("provider", ["chat", "ollama"])
async def test_a_named_target_gets_the_clients_own_body_and_answers_in_its_own_words(provider):
    async with house() as (gateway, server):
        reply = await gateway.embed(named(f"{provider}:text-embedding-3-small"))
        assert await body_of(reply) == ANSWER
        assert (reply.status, reply.headers["x-lynkr-model"]) == (200, "text-embedding-3-small")
        (request,) = server.requests
        (record,) = records(gateway)
    assert request.line == "POST /v1/embeddings HTTP/1.1"
    assert request.body == named("text-embedding-3-small")
    assert request.headers["authorization"] == "Bearer k"
    assert record.target == Target(provider, "text-embedding-3-small")
    assert (record.ending, record.usage.input, record.client_format) == (
        Ending.OK,
        8,
        WireFormat.OPENAI_CHAT,
    )
    assert len(record.attempts) == 1


async def test_an_alias_and_the_owners_own_target_are_found():
    settings = {"aliases": {"small": "chat:a"}, "embeddings": "ollama:nomic-embed-text"}
    async with house(**settings) as (gateway, server):
        await body_of(await gateway.embed(named("small")))
        await body_of(await gateway.embed(named("text-embedding-ada-002")))
    assert [json.loads(request.body)["model"] for request in server.requests] == ["a", "nomic-embed-text"]


@pytest.mark.parametrize(
    ("body", "status", "field"),
    [
        (named("nobodys"), 400, "model"),
        (named("messages:claude"), 501, "model"),
        (b'{"model": "chat:a"}', 400, "input"),
        (b'{"input": "x"}', 400, "model"),
        (b'{"model": 1, "input": "x"}', 400, "model"),
        (b"[]", 400, None),
        (b"{", 400, None),
    ],
)
async def test_what_cannot_be_embedded_is_told_in_openais_envelope(body, status, field):
    async with house() as (gateway, server):
        reply = await gateway.embed(body)
        error = json.loads(await body_of(reply))["error"]
        (record,) = records(gateway)
    assert not server.requests
    assert (reply.status, error["param"], error["type"]) == (status, field, "invalid_request_error")
    assert (record.ending, record.status) == (Ending.FAILED, status)


async def test_the_providers_error_goes_through_as_it_came():
    complaint = (
        b'{"error":{"message":"no such model","type":"invalid_request_error","param":null,"code":null}}'
    )

    async def refusing(peer, received):
        await peer.answer(complaint, status="404 Not Found")

    async with house(refusing) as (gateway, _):
        reply = await gateway.embed(named("chat:nope"))
        assert (reply.status, await body_of(reply)) == (404, complaint)


async def test_an_overloaded_host_is_tried_again():
    async def second_time(peer, received):
        if len(server.requests) == 1:
            await peer.answer(b'{"error":{"message":"slow"}}', status="503 Busy", extra="retry-after: 0\r\n")
        else:
            await peer.answer(ANSWER)

    async with house(second_time) as (gateway, server):
        assert await body_of(await gateway.embed(named("chat:a"))) == ANSWER
        (record,) = records(gateway)
    assert [attempt.status for attempt in record.attempts] == [503, 200]
