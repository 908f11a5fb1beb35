"""Gemini by key and Vertex AI, against a loopback server that says what Google would."""

import json

import anyio
import pytest

from lynkr.errors import ConfigError, UpstreamBusy, UpstreamRefused, UpstreamWireError
from lynkr.model import Finish, Message, Request, Sampling, StopReason, Text, Usage, WireFormat
from lynkr.model.fold import fold
from lynkr.providers import AiohttpTransport, HttpxTransport, builtin
from lynkr.providers.setup import Cloud
from lynkr.routing.decision import Target
from lynkr.secret import Secret
from lynkr.service import Call, RawBody
from lynkr.wire.json_body import parse_body
from tests.providers.loopback import serving

PLACE = Cloud(project="proj-1", region="europe-west4")
API_KEY, TOKEN = "AIzaSy-loopback", "ya29.loopback"


def provider(kind, transport=None, *, name="g", key=API_KEY, base_url=None, cloud=None):
    return builtin(
        name,
        kind,
        key=key,
        base_url=base_url,
        cloud=cloud or Cloud(),
        transport=transport or HttpxTransport(),
    )


def call(model="gemini-3-pro", *, stream=False, **fields):
    request = Request("lynkr-auto", (Message.system("brief"), Message.user("hi né")), stream=stream, **fields)
    return Call(request, Target("g", model))


ANSWER = {
    "candidates": [
        {"content": {"parts": [{"text": "so"}], "role": "model"}, "finishReason": "STOP", "index": 0}
    ],
    "usageMetadata": {"promptTokenCount": 4, "candidatesTokenCount": 1, "totalTokenCount": 5},
    "modelVersion": "gemini-3-pro-001",
    "responseId": "r1",
}


def answering(value, *, status="200 OK", content_type="application/json"):
    async def handle(peer, _):
        body = value if isinstance(value, bytes) else json.dumps(value).encode()
        await peer.answer(body, status=status, content_type=content_type)

    return handle


# --- Where it goes ------------------------------------------------------------------------------------


EUROPE = "https://europe-west4-aiplatform.googleapis.com/v1/projects/proj-1/locations/europe-west4/publishers"
GLOBAL = "https://aiplatform.googleapis.com/v1/projects/proj-1/locations/global/publishers"


@pytest.mark.parametrize(
    ("made", "model", "whole", "streamed"),
    [
        (
            {"kind": "gemini"},
            "models/gemini-3-pro",
            "https://generativelanguage.googleapis.com/v1beta/models/gemini-3-pro:generateContent",
            "https://generativelanguage.googleapis.com/v1beta/models/gemini-3-pro:streamGenerateContent?alt=sse",
        ),
        (
            {"kind": "vertex", "key": TOKEN, "cloud": PLACE},
            "gemini-3-pro",
            f"{EUROPE}/google/models/gemini-3-pro:generateContent",
            f"{EUROPE}/google/models/gemini-3-pro:streamGenerateContent?alt=sse",
        ),
        (
            {"kind": "vertex-anthropic", "key": TOKEN, "cloud": Cloud(project="proj-1")},
            "claude-opus-4-5@20251101",
            f"{GLOBAL}/anthropic/models/claude-opus-4-5@20251101:rawPredict",
            f"{GLOBAL}/anthropic/models/claude-opus-4-5@20251101:streamRawPredict",
        ),
    ],
)
def test_each_kind_has_an_address_for_every_model(made, model, whole, streamed):
    endpoint = provider(**made).endpoint
    assert endpoint.url(model, stream=False) == whole
    assert endpoint.url(model, stream=True) == streamed


def test_the_multi_regions_have_a_host_of_their_own():
    url = provider("vertex", key=TOKEN, cloud=Cloud(project="p", region="eu")).endpoint.url("m", stream=False)
    assert url.startswith("https://aiplatform.eu.rep.googleapis.com/v1/projects/p/locations/eu/")


def test_vertex_with_an_api_key_alone_is_the_gemini_api_as_the_seed_means_it():
    url = provider("vertex").endpoint.url("gemini-2.0-flash", stream=False)
    assert url == "https://generativelanguage.googleapis.com/v1beta/models/gemini-2.0-flash:generateContent"


@pytest.mark.parametrize(
    ("kind", "fields", "words"),
    [
        ("vertex", {"key": TOKEN}, "project"),
        ("vertex-anthropic", {}, "project"),
        ("vertex", {"key": TOKEN, "cloud": Cloud(project="p/../q")}, "'p/../q' is no project"),
        ("vertex", {"key": TOKEN, "cloud": Cloud(project="p", region="x.evil.com/")}, "is no region"),
        ("vertex", {"key": "{not json", "cloud": PLACE}, "neither a key nor the JSON"),
        ("gemini", {"base_url": "https://h/v1beta?x=1"}, "must end in a path"),
        ("gemini", {"base_url": "ftp://h"}, "base_url must be an http"),
    ],
)
def test_what_cannot_work_is_told_at_the_start(kind, fields, words):
    with pytest.raises(ConfigError, match=words):
        provider(kind, **fields)


# --- Gemini's dialect ---------------------------------------------------------------------------------


@pytest.mark.anyio
async def test_a_whole_answer_with_the_key_in_a_header_and_never_in_the_address():
    async with serving(answering(ANSWER)) as server:
        gemini = provider("gemini", base_url=f"{server.url}/v1beta")
        reply = await gemini.send(call(sampling=Sampling(top_k=3)))
        response = fold([event async for event in reply.events])
        await gemini.transport.aclose()
    [sent] = server.requests
    assert sent.line == "POST /v1beta/models/gemini-3-pro:generateContent HTTP/1.1"
    assert sent.headers["x-goog-api-key"] == API_KEY
    assert "authorization" not in sent.headers
    assert json.loads(sent.body) == {
        "systemInstruction": {"parts": [{"text": "brief"}]},
        "contents": [{"role": "user", "parts": [{"text": "hi né"}]}],
        "generationConfig": {"topK": 3},
    }
    assert (response.id, response.parts, response.usage) == ("r1", (Text("so"),), Usage(4, 1))


def frames(*chunks):
    return [b"data: %b\r\n\r\n" % json.dumps(chunk).encode() for chunk in chunks]


def streaming(*pieces):
    async def handle(peer, _):
        await peer.begin_stream()
        for piece in pieces:
            await peer.chunk(piece)
        await peer.end_stream()

    return handle


def part(text, **candidate):
    content = {"content": {"parts": [{"text": text}], "role": "model"}, "index": 0, **candidate}
    return {"candidates": [content], "responseId": "r1", "modelVersion": "m"}


@pytest.mark.anyio
async def test_a_streamed_answer():
    last = {**part("b", finishReason="MAX_TOKENS"), "usageMetadata": ANSWER["usageMetadata"]}
    async with serving(streaming(*frames(part("a"), last))) as server:
        gemini = provider("gemini", base_url=f"{server.url}/v1beta")
        reply = await gemini.send(call(stream=True))
        events = [event async for event in reply.events]
        await gemini.transport.aclose()
    assert server.requests[0].line.split()[1] == "/v1beta/models/gemini-3-pro:streamGenerateContent?alt=sse"
    assert "stream" not in json.loads(server.requests[0].body)
    assert fold(events).parts == (Text("ab"),)
    assert events[-1] == Finish(StopReason.MAX_TOKENS, Usage(4, 1))
    assert reply.tally.complete


@pytest.mark.anyio
async def test_a_stream_that_fails_before_a_word_is_an_exception_and_one_cut_short_breaks_off():
    busy = {"error": {"code": 503, "message": "overloaded", "status": "UNAVAILABLE"}}
    async with serving(streaming(*frames(busy))) as server:
        gemini = provider("gemini", base_url=server.url)
        with pytest.raises(UpstreamBusy, match=r"g:gemini-3-pro.*overloaded"):
            await gemini.send(call(stream=True))
        await gemini.transport.aclose()
    async with serving(streaming(*frames(part("a")))) as server:
        gemini = provider("gemini", base_url=server.url)
        reply = await gemini.send(call(stream=True))
        with pytest.raises(UpstreamWireError, match="finishReason"):
            [event async for event in reply.events]
        await reply.events.aclose()
        await gemini.transport.aclose()


@pytest.mark.anyio
async def test_a_refusal_waits_as_long_as_google_says():
    retry = {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "7s"}
    error = {"error": {"code": 429, "message": "quota", "status": "RESOURCE_EXHAUSTED", "details": [retry]}}
    async with serving(answering(error, status="429 Too Many Requests")) as server:
        gemini = provider("gemini", base_url=server.url)
        with pytest.raises(UpstreamBusy) as caught:
            await gemini.send(call())
        await gemini.transport.aclose()
    assert (caught.value.retry_after, caught.value.target) == (7.0, "g:gemini-3-pro")


@pytest.mark.anyio
@pytest.mark.parametrize("stream", [False, True])
async def test_a_client_of_geminis_dialect_keeps_its_bytes(stream):
    text = '{ "contents":[{"parts":[{"text":"hi \\u00e9"}]}],  "x":1e2 }'
    body = parse_body(f'{{"model":"lynkr-auto",{text[1:]}'.encode())
    pieces = frames(part("a", finishReason="STOP"))
    handler = streaming(*pieces) if stream else answering(ANSWER)
    async with serving(handler) as server:
        gemini = provider("gemini", base_url=server.url)
        sent = call(stream=stream)
        raw = Call(sent.request, sent.target, raw=RawBody(WireFormat.GEMINI, body))
        reply = await gemini.send(raw)
        received = b"".join([chunk async for chunk in reply.raw])
        await reply.raw.aclose()
        await gemini.transport.aclose()
    assert json.loads(server.requests[0].body) == json.loads(text)
    assert b'"x":1e2' in server.requests[0].body
    assert received == (b"".join(pieces) if stream else json.dumps(ANSWER).encode())


# --- Counting -----------------------------------------------------------------------------------------


@pytest.mark.anyio
async def test_the_gemini_api_counts_the_whole_request():
    async with serving(answering({"totalTokens": 31})) as server:
        gemini = provider("gemini", base_url=f"{server.url}/v1beta")
        assert await gemini.count_tokens(call(stream=True, sampling=Sampling(temperature=0.5))) == 31
        await gemini.transport.aclose()
    assert server.requests[0].line.split()[1] == "/v1beta/models/gemini-3-pro:countTokens"
    assert json.loads(server.requests[0].body) == {
        "generateContentRequest": {
            "model": "models/gemini-3-pro",
            "systemInstruction": {"parts": [{"text": "brief"}]},
            "contents": [{"role": "user", "parts": [{"text": "hi né"}]}],
            "generationConfig": {"temperature": 0.5},
        }
    }


@pytest.mark.anyio
async def test_vertex_counts_what_it_takes_of_the_request():
    async with serving(answering({"totalTokens": 31, "totalBillableCharacters": 90})) as server:
        vertex = provider("vertex", base_url=f"{server.url}/v1", key=TOKEN, cloud=PLACE)
        assert await vertex.count_tokens(call()) == 31
        await vertex.transport.aclose()
    path = "/v1/projects/proj-1/locations/europe-west4/publishers/google/models/gemini-3-pro:countTokens"
    assert server.requests[0].line.split()[1] == path
    assert set(json.loads(server.requests[0].body)) == {"systemInstruction", "contents"}


# --- Claude at Vertex AI ------------------------------------------------------------------------------

MESSAGE = {
    "id": "msg_vrtx_1",
    "type": "message",
    "role": "assistant",
    "model": "claude-opus-4-5-20251101",
    "content": [{"type": "text", "text": "so"}],
    "stop_reason": "end_turn",
    "stop_sequence": None,
    "usage": {"input_tokens": 4, "output_tokens": 1},
}
CLAUDE = "claude-opus-4-5@20251101"


@pytest.mark.anyio
async def test_a_clients_messages_body_loses_its_model_gains_the_version_and_keeps_the_rest():
    kept = '"max_tokens":  9, "messages": [{"role":"user","content":"h\\u00e9"}], "x": 1e2'
    text = f'{{"model": "lynkr-auto",  {kept}}}'
    body = parse_body(text.encode())
    async with serving(answering(MESSAGE)) as server:
        vertex = provider("vertex-anthropic", base_url=f"{server.url}/v1", key=TOKEN, cloud=PLACE)
        request = vertex.codec.decode_request(body.value)
        headers = {"anthropic-beta": "context-1m-2025-08-07", "anthropic-version": "2023-06-01"}
        sent = Call(
            request,
            Target("g", CLAUDE),
            raw=RawBody(WireFormat.ANTHROPIC_MESSAGES, body),
            headers=headers,
        )
        reply = await vertex.send(sent)
        received = b"".join([chunk async for chunk in reply.raw])
        await vertex.transport.aclose()
    [got] = server.requests
    path = f"/v1/projects/proj-1/locations/europe-west4/publishers/anthropic/models/{CLAUDE}:rawPredict"
    assert got.line.split()[1] == path
    assert got.headers["authorization"] == f"Bearer {TOKEN}"
    assert got.headers["anthropic-beta"] == "context-1m-2025-08-07"
    value = json.loads(got.body)
    assert value.pop("anthropic_version") == "vertex-2023-10-16"
    assert value == {name: inner for name, inner in json.loads(text).items() if name != "model"}
    assert kept.encode() in got.body
    assert received == json.dumps(MESSAGE).encode()


@pytest.mark.anyio
async def test_a_client_of_another_dialect_reaches_claude_at_vertex():
    async with serving(answering(MESSAGE)) as server:
        vertex = provider("vertex-anthropic", base_url=f"{server.url}/v1", key=TOKEN, cloud=PLACE)
        reply = await vertex.send(call(CLAUDE, max_output_tokens=9))
        response = fold([event async for event in reply.events])
        await vertex.transport.aclose()
    body = json.loads(server.requests[0].body)
    assert "model" not in body
    assert body["anthropic_version"] == "vertex-2023-10-16"
    assert response.parts == (Text("so"),)


@pytest.mark.anyio
async def test_claudes_tokens_are_counted_at_an_address_that_names_no_model():
    async with serving(answering({"input_tokens": 12})) as server:
        vertex = provider("vertex-anthropic", base_url=f"{server.url}/v1", key=TOKEN, cloud=PLACE)
        assert await vertex.count_tokens(call(CLAUDE, max_output_tokens=9)) == 12
        await vertex.transport.aclose()
    place = "/v1/projects/proj-1/locations/europe-west4/publishers/anthropic/models"
    assert server.requests[0].line.split()[1] == f"{place}/count-tokens:rawPredict"
    body = json.loads(server.requests[0].body)
    assert (body["model"], body["anthropic_version"]) == (CLAUDE, "vertex-2023-10-16")
    assert "max_tokens" not in body


@pytest.mark.anyio
async def test_a_model_no_path_can_name_is_not_found():
    gemini = provider("gemini", base_url="http://127.0.0.1:9")
    with pytest.raises(UpstreamRefused) as caught:
        await gemini.send(call(".."))
    assert caught.value.status == 404


def test_the_same_over_aiohttp():
    async def run():
        async with serving(answering(ANSWER)) as server:
            gemini = provider("gemini", AiohttpTransport(), base_url=server.url, key=Secret(API_KEY))
            reply = await gemini.send(call())
            assert fold([event async for event in reply.events]).parts == (Text("so"),)
            await gemini.transport.aclose()

    anyio.run(run)
