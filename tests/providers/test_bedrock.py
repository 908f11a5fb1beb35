"""Bedrock's providers, over a real socket that speaks the binary event stream, on both event loops."""

import json
from base64 import b64decode, b64encode
from types import MappingProxyType

import anyio
import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from lynkr.errors import (
    ConfigError,
    LynkrError,
    UpstreamBusy,
    UpstreamFailed,
    UpstreamRefused,
    UpstreamTimeout,
    UpstreamWireError,
)
from lynkr.model import Message, Request, StopReason, Text, ToolCall, Usage, WireFormat
from lynkr.model.fold import fold
from lynkr.providers import AiohttpTransport, Cloud, HttpxTransport, builtin
from lynkr.routing.decision import Target
from lynkr.service import Call, RawBody
from lynkr.testing.anthropic_grammar import validate_anthropic_stream
from lynkr.testing.provider_contract import ProviderContract
from lynkr.wire.aws_eventstream import MEDIA_TYPE, encode_message
from lynkr.wire.json_body import parse_body
from lynkr.wire.sse import FrameDecoder
from tests.providers.loopback import serving

pytestmark = pytest.mark.anyio

CLAUDE = "us.anthropic.claude-opus-4-5-20251101-v1:0"
PATH = "/model/us.anthropic.claude-opus-4-5-20251101-v1%3A0"
ASKED = Request("auto", (Message.user("hi"),), max_output_tokens=9)
RAW = (
    b'{"model":"auto", "max_tokens":9,"stream" : true,'
    b'"messages":[{"role":"user","content":"hi"}],"x_new":1e2}'
)


@pytest.fixture(
    params=[("asyncio", HttpxTransport), ("trio", HttpxTransport), ("asyncio", AiohttpTransport)],
    ids=["httpx-asyncio", "httpx-trio", "aiohttp-asyncio"],
)
def seam(request):
    return request.param


@pytest.fixture
def anyio_backend(seam):
    return seam[0]


@pytest.fixture
async def provide(seam, anyio_backend):
    made = []

    def make(server, kind="bedrock", *, key="bedrock-key", **fields):
        fields = {"cloud": Cloud(region="eu-west-1"), "base_url": server.url, **fields}
        provider = builtin("aws", kind, key=key, transport=seam[1](), owns_transport=True, **fields)
        made.append(provider)
        return provider

    with anyio.fail_after(20):
        yield make
        for provider in made:
            await provider.aclose()


def call(*, stream=True, raw=None, headers=MappingProxyType({}), model=CLAUDE):
    body = None if raw is None else RawBody(WireFormat.ANTHROPIC_MESSAGES, parse_body(raw))
    request = Request(ASKED.model, ASKED.messages, max_output_tokens=9, stream=stream)
    return Call(request, Target("aws", model), raw=body, headers=headers)


def event(name, body, kind="event"):
    headers = {f":{kind}-type": name, ":content-type": "application/json", ":message-type": kind}
    return encode_message(headers, json.dumps({**body, "p": "abcdefgh"}).encode())


CONVERSE = (
    event("messageStart", {"role": "assistant"}),
    event("contentBlockDelta", {"delta": {"text": "né"}, "contentBlockIndex": 0}),
    event("contentBlockDelta", {"delta": {"text": "!"}, "contentBlockIndex": 0}),
    event("contentBlockStop", {"contentBlockIndex": 0}),
    event(
        "contentBlockStart",
        {"start": {"toolUse": {"toolUseId": "tooluse_1", "name": "Bash"}}, "contentBlockIndex": 1},
    ),
    event("contentBlockDelta", {"delta": {"toolUse": {"input": '{"a":'}}, "contentBlockIndex": 1}),
    event("contentBlockDelta", {"delta": {"toolUse": {"input": "1}"}}, "contentBlockIndex": 1}),
    event("contentBlockStop", {"contentBlockIndex": 1}),
    event("messageStop", {"stopReason": "tool_use"}),
    event(
        "metadata",
        {
            "usage": {"inputTokens": 3, "outputTokens": 5, "totalTokens": 18, "cacheReadInputTokens": 10},
            "metrics": {"latencyMs": 7},
        },
    ),
)


def chunk(body):
    return event("chunk", {"bytes": b64encode(json.dumps(body, ensure_ascii=False).encode()).decode()})


MESSAGES = (
    {
        "type": "message_start",
        "message": {
            "id": "msg_bdrk_1",
            "type": "message",
            "role": "assistant",
            "model": "claude-opus-4-5",
            "content": [],
            "stop_reason": None,
            "stop_sequence": None,
            "usage": {"input_tokens": 3, "output_tokens": 1},
        },
    },
    {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
    {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "né\n"}},
    {"type": "content_block_stop", "index": 0},
    {
        "type": "message_delta",
        "delta": {"stop_reason": "end_turn", "stop_sequence": None},
        "usage": {"output_tokens": 5},
    },
    {"type": "message_stop", "amazon-bedrock-invocationMetrics": {"inputTokenCount": 3}},
)
INVOKED = tuple(map(chunk, MESSAGES))


def streaming(*messages, size=None, later=b"", begun=None):
    """Messages in chunks of *size* bytes; then, once the reply has *begun*, what comes *later*."""
    data = b"".join(messages)

    async def handler(peer, request):
        await peer.begin_stream(MEDIA_TYPE, "x-amzn-RequestId: r-1\r\n")
        step = size or len(data)
        for at in range(0, len(data), step):
            await peer.chunk(data[at : at + step])
        if begun is not None:
            await begun.wait()
            await peer.chunk(later)
        await peer.end_stream()

    return handler


def answering(body, **how):
    async def handler(peer, request):
        await peer.answer(json.dumps(body).encode(), **how)

    return handler


async def drained(stream):
    """Everything a stream gives, and the error it ends in."""
    items = []
    try:
        async for item in stream:
            items.append(item)  # noqa: PERF401  # what came before the error counts
    except LynkrError as error:
        return items, error
    finally:
        await stream.aclose()
    return items, None


async def all_of(stream):
    items, error = await drained(stream)
    assert error is None
    return items


# ---------------------------------------------------------------- Converse


@pytest.mark.parametrize("size", [None, 1, 100])
async def test_a_converse_stream_is_read_however_it_is_cut(provide, size):
    async with serving(streaming(*CONVERSE, size=size)) as server:
        reply = await provide(server).send(call())
        response = fold(await all_of(reply.events))
    assert response.parts == (Text("né!"), ToolCall("tooluse_1", "Bash", '{"a":1}'))
    assert (response.id, response.model) == ("r-1", CLAUDE)
    assert response.stop_reason is StopReason.TOOL_USE
    assert response.usage == Usage(input=13, output=5, cache_read=10) == reply.tally.usage
    (request,) = server.requests
    assert request.line == f"POST {PATH}/converse-stream HTTP/1.1"
    assert request.headers["authorization"] == "Bearer bedrock-key"
    assert request.headers["accept"] == MEDIA_TYPE
    assert json.loads(request.body) == {
        "messages": [{"role": "user", "content": [{"text": "hi"}]}],
        "inferenceConfig": {"maxTokens": 9},
    }


async def test_a_whole_answer_of_converse(provide):
    body = {
        "output": {"message": {"role": "assistant", "content": [{"text": "né"}]}},
        "stopReason": "end_turn",
        "usage": {"inputTokens": 3, "outputTokens": 5, "totalTokens": 8},
        "metrics": {"latencyMs": 7},
    }
    async with serving(answering(body, extra="x-amzn-RequestId: r-2\r\n")) as server:
        reply = await provide(server).send(call(stream=False))
        response = fold(await all_of(reply.events))
    assert (response.id, response.model, response.parts) == ("r-2", CLAUDE, (Text("né"),))
    assert server.requests[0].line == f"POST {PATH}/converse HTTP/1.1"


@pytest.mark.parametrize(
    ("name", "status", "kind"),
    [
        ("ThrottlingException", "429 Too Many Requests", UpstreamBusy),
        ("ServiceUnavailableException", "503 Service Unavailable", UpstreamBusy),
        ("ModelTimeoutException", "408 Request Timeout", UpstreamTimeout),
        ("ModelErrorException", "424 Failed Dependency", UpstreamFailed),
        ("AccessDeniedException:http://internal/", "403 Forbidden", UpstreamRefused),
    ],
)
@pytest.mark.parametrize("kind_of_host", ["bedrock", "bedrock-anthropic"])
async def test_a_refusal_is_read_from_its_header(provide, kind_of_host, name, status, kind):
    handler = answering({"message": "the words"}, status=status, extra=f"x-amzn-ErrorType: {name}\r\n")
    async with serving(handler) as server:
        with pytest.raises(kind, match="the words") as caught:
            await provide(server, kind_of_host).send(call())
    assert caught.value.target == f"aws:{CLAUDE}"
    assert caught.value.status == int(status[:3])


@pytest.mark.parametrize("kind_of_host", ["bedrock", "bedrock-anthropic"])
async def test_a_prompt_that_is_too_long_is_an_overflow(provide, kind_of_host):
    handler = answering(
        {"message": "Input is too long for requested model."},
        status="400 Bad Request",
        extra="x-amzn-ErrorType: ValidationException\r\n",
    )
    async with serving(handler) as server:
        with pytest.raises(UpstreamRefused) as caught:
            await provide(server, kind_of_host).send(call())
    assert caught.value.is_context_overflow


async def test_an_exception_in_the_stream_comes_after_what_was_said(provide):
    fault = event("throttlingException", {"message": "slow down"}, "exception")
    begun = anyio.Event()
    async with serving(streaming(*CONVERSE[:3], later=fault, begun=begun)) as server:
        reply = await provide(server).send(call())
        begun.set()
        events, error = await drained(reply.events)
    assert events
    assert isinstance(error, UpstreamBusy)
    assert error.target == f"aws:{CLAUDE}"


async def test_an_exception_at_once_is_raised_before_anything_is_shown(provide):
    fault = event("modelStreamErrorException", {"message": "broke"}, "exception")
    async with serving(streaming(CONVERSE[0], fault)) as server:
        with pytest.raises(UpstreamFailed, match="broke"):
            await provide(server).send(call())


@pytest.mark.parametrize("kind", ["bedrock", "bedrock-anthropic"])
@pytest.mark.parametrize("broken", [b"not an event stream", b"\x00" * 40])
async def test_what_is_no_event_stream_is_a_wire_fault(provide, kind, broken):
    good = CONVERSE[:2] if kind == "bedrock" else INVOKED[:3]
    begun = anyio.Event()
    async with serving(streaming(*good, later=broken, begun=begun)) as server:
        reply = await provide(server, kind).send(call())
        begun.set()
        events, error = await drained(reply.events)
    assert events
    assert isinstance(error, UpstreamWireError)
    assert f"aws:{CLAUDE}" in str(error)


# ---------------------------------------------------------------- InvokeModel, Anthropic's dialect


@pytest.mark.parametrize("size", [None, 1, 333])
async def test_a_client_of_anthropics_dialect_gets_the_models_own_events(provide, size):
    async with serving(streaming(*INVOKED, size=size)) as server:
        reply = await provide(server, "bedrock-anthropic").send(
            call(
                raw=RAW,
                headers={"anthropic-beta": "context-1m-2025-08-07", "anthropic-version": "2023-06-01"},
            )
        )
        data = b"".join(await all_of(reply.raw))
    assert reply.content_type == "text/event-stream"
    assert reply.tally.complete
    assert reply.tally.usage == Usage(input=3, output=5)
    told = [json.loads(line[6:]) for line in data.decode().splitlines() if line.startswith("data: ")]
    assert told == list(MESSAGES)
    assert [line[7:] for line in data.decode().splitlines() if line.startswith("event: ")] == [
        message["type"] for message in MESSAGES
    ]
    validate_anthropic_stream(data)
    (request,) = server.requests
    assert request.line == f"POST {PATH}/invoke-with-response-stream HTTP/1.1"
    assert request.body == (
        b'{"anthropic_version":"bedrock-2023-05-31","anthropic_beta":["context-1m-2025-08-07"], '
        b'"max_tokens":9,"messages":[{"role":"user","content":"hi"}],"x_new":1e2}'
    )
    assert "anthropic-beta" not in request.headers


async def test_a_client_of_another_dialect_gets_the_same_answer_translated(provide):
    async with serving(streaming(*INVOKED)) as server:
        reply = await provide(server, "bedrock-anthropic").send(call())
        response = fold(await all_of(reply.events))
    assert response.parts == (Text("né\n"),)
    assert json.loads(server.requests[0].body) == {
        "anthropic_version": "bedrock-2023-05-31",
        "max_tokens": 9,
        "messages": [{"role": "user", "content": "hi"}],
    }


async def test_a_whole_answer_of_invoke_passes_through(provide):
    message = {
        **MESSAGES[0]["message"],
        "content": [{"type": "text", "text": "né"}],
        "stop_reason": "end_turn",
    }
    async with serving(answering(message)) as server:
        reply = await provide(server, "bedrock-anthropic").send(
            call(stream=False, raw=RAW.replace(b'"stream" : true,', b""))
        )
        assert json.loads(b"".join(await all_of(reply.raw))) == message
    assert server.requests[0].line == f"POST {PATH}/invoke HTTP/1.1"


@pytest.mark.parametrize(
    ("name", "kind", "told"),
    [
        ("throttlingException", UpstreamBusy, "rate_limit_error"),
        ("modelStreamErrorException", UpstreamFailed, "api_error"),
        ("validationException", UpstreamRefused, "invalid_request_error"),
    ],
)
async def test_an_exception_inside_the_stream_reaches_the_client_in_its_dialect(provide, name, kind, told):
    fault = event(name, {"message": "why"}, "exception")
    begun = anyio.Event()
    async with serving(streaming(*INVOKED[:3], later=fault, begun=begun)) as server:
        reply = await provide(server, "bedrock-anthropic").send(call(raw=RAW))
        begun.set()
        pieces, error = await drained(reply.raw)
    assert isinstance(error, kind)
    assert reply.tally.error_sent
    last = json.loads(b"".join(pieces).decode().split("data: ")[-1])
    assert last == {"type": "error", "error": {"type": told, "message": f"{name}: why"}}


@pytest.mark.parametrize(
    "payload",
    [b"{", b"[]", b'{"bytes":"*"}', b'{"bytes":"aGk="}', b'{"bytes":"W10="}', b"{}"],
    ids=["cut", "array", "no base64", "no JSON", "no object", "empty"],
)
async def test_a_chunk_without_an_event_in_it_is_a_wire_fault(provide, payload):
    broken = encode_message({":event-type": "chunk", ":message-type": "event"}, payload)
    begun = anyio.Event()
    async with serving(streaming(*INVOKED[:3], later=broken, begun=begun)) as server:
        reply = await provide(server, "bedrock-anthropic").send(call(raw=RAW))
        begun.set()
        _, error = await drained(reply.raw)
    assert isinstance(error, UpstreamWireError)


async def test_a_chunk_written_over_several_lines_is_one_event(provide):
    pretty = b64encode(json.dumps(MESSAGES[2], indent=1).encode()).decode()
    spread = (*INVOKED[:2], event("chunk", {"bytes": pretty}), *INVOKED[3:])
    async with serving(streaming(*spread)) as server:
        reply = await provide(server, "bedrock-anthropic").send(call(raw=RAW))
        data = b"".join(await all_of(reply.raw))
    validate_anthropic_stream(data)


async def test_messages_of_unknown_kinds_are_skipped(provide):
    odd = event("nextYear", {"a": 1})
    async with serving(streaming(odd, *INVOKED)) as server:
        reply = await provide(server, "bedrock-anthropic").send(call())
        assert fold(await all_of(reply.events)).parts == (Text("né\n"),)
    async with serving(streaming(CONVERSE[0], odd, *CONVERSE[1:])) as server:
        reply = await provide(server).send(call())
        assert fold(await all_of(reply.events)).stop_reason is StopReason.TOOL_USE


# ---------------------------------------------------------------- credentials


@pytest.fixture
def aws_keys(monkeypatch, tmp_path):
    for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDTEST")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret/key")


@pytest.mark.usefixtures("aws_keys")
@pytest.mark.parametrize("kind", ["bedrock", "bedrock-anthropic"])
async def test_without_a_key_the_request_on_the_wire_is_one_botocore_would_have_signed(
    provide, kind, monkeypatch
):
    async with serving(streaming(*(CONVERSE if kind == "bedrock" else INVOKED))) as server:
        reply = await provide(server, kind, key=None).send(call(raw=RAW))
        await reply.aclose()
    (request,) = server.requests
    method, path, _ = request.line.split()
    signed = {n: v for n, v in request.headers.items() if n == "content-type"}
    theirs = AWSRequest(method, server.url + path, signed, request.body)
    from datetime import UTC, datetime

    when = datetime.strptime(request.headers["x-amz-date"], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    monkeypatch.setattr("botocore.auth.get_current_datetime", lambda: when)
    SigV4Auth(Credentials("AKIDTEST", "secret/key"), "bedrock", "eu-west-1").add_auth(theirs)
    assert request.headers["authorization"] == theirs.headers["Authorization"]


@pytest.mark.parametrize(
    ("cloud", "address"),
    [
        (Cloud(), "https://bedrock-runtime.us-east-1.amazonaws.com"),
        (Cloud(region="eu-central-1"), "https://bedrock-runtime.eu-central-1.amazonaws.com"),
        (Cloud(region="cn-north-1"), "https://bedrock-runtime.cn-north-1.amazonaws.com.cn"),
    ],
)
async def test_the_address_is_the_regions(cloud, address, seam, anyio_backend):
    provider = builtin("aws", "bedrock", key="k", cloud=cloud, transport=seam[1](), owns_transport=True)
    assert provider.endpoint.url("amazon.nova-lite-v1:0", stream=False) == (
        f"{address}/model/amazon.nova-lite-v1%3A0/converse"
    )
    await provider.aclose()


@pytest.mark.parametrize(
    "fields",
    [
        {"cloud": Cloud(region="evil.example/")},
        {"base_url": "https://host/x?y=1"},
        {"base_url": "https://host/{model}"},
        {"base_url": "ftp://host"},
    ],
)
def test_what_is_no_region_or_address_is_a_config_error(fields):
    with pytest.raises(ConfigError, match="aws"):
        builtin("aws", "bedrock", key="k", transport=None, **fields)


def test_the_chain_without_botocore_says_what_to_install(monkeypatch):
    import sys

    monkeypatch.delitem(sys.modules, "lynkr.providers.aws_auth", raising=False)
    monkeypatch.setitem(sys.modules, "botocore.credentials", None)
    with pytest.raises(ConfigError, match=r"lynkr-router\[bedrock\]"):
        builtin("aws", "bedrock", transport=None)


# ---------------------------------------------------------------- counting


async def test_tokens_are_counted_by_the_model_behind_the_profile(provide):
    async with serving(answering({"inputTokens": 42})) as server:
        assert await provide(server).count_tokens(call()) == 42
        assert await provide(server, "bedrock-anthropic").count_tokens(call(raw=RAW)) == 42
    converse, invoked = server.requests
    path = PATH.replace("us.", "", 1)
    assert converse.line == invoked.line == f"POST {path}/count-tokens HTTP/1.1"
    assert json.loads(converse.body) == {
        "input": {"converse": {"messages": [{"role": "user", "content": [{"text": "hi"}]}]}}
    }
    counted = json.loads(b64decode(json.loads(invoked.body)["input"]["invokeModel"]["body"]))
    assert counted == {
        "anthropic_version": "bedrock-2023-05-31",
        "messages": [{"role": "user", "content": "hi"}],
        "max_tokens": 1,
        "x_new": 100.0,
    }


# ---------------------------------------------------------------- the contract of all providers


class BedrockContract(ProviderContract):
    kind = "bedrock"

    def make_provider(self, base_url, transport, timeouts):
        return builtin(
            "p", self.kind, key=self.key, base_url=base_url, transport=transport, timeouts=timeouts
        )

    def untouched(self, sent):
        body = {k: v for k, v in json.loads(sent).items() if k not in ("modelId", "model", "stream")}
        return json.dumps(body, indent=1).encode()


class TestBedrock(BedrockContract):
    pass


class TestBedrockAnthropic(BedrockContract):
    kind = "bedrock-anthropic"

    def untouched(self, sent):
        return b'{"anthropic_version":"bedrock-2023-05-31",' + super().untouched(sent)[1:]

    def frame(self, stream):
        frames = FrameDecoder().feed(stream)
        return b"".join(
            event("chunk", {"bytes": b64encode(frame.data.encode()).decode()}) for frame in frames
        )

    def stream_media_type(self, codec):
        return MEDIA_TYPE
