"""The hosts we know, in their real dialects."""

import json

import anyio
import pytest

from lynkr.errors import ConfigError, UpstreamBusy, UpstreamFailed, UpstreamRefused
from lynkr.model import Finish, Message, Request, Sampling, StopReason, Text, Usage, WireFormat
from lynkr.model.fold import fold
from lynkr.providers import (
    HOSTS,
    AiohttpTransport,
    AuthStyle,
    Cloud,
    Host,
    HttpxTransport,
    TokenCounter,
    builtin,
)
from lynkr.routing.decision import UNKNOWN_PROFILE, Profile, Target
from lynkr.secret import Secret
from lynkr.service import Call, RawBody
from lynkr.wire.json_body import parse_body
from tests.providers.loopback import serving

NO_TRANSPORT = HttpxTransport()


def address(kind, base_url=None, model="any", **fields):
    provider = builtin("p", kind, base_url=base_url, transport=NO_TRANSPORT, **fields)
    return provider.endpoint.url(model, stream=False)


def test_every_kind_the_issue_names_is_known():
    named = "openai openai-responses anthropic openrouter moonshot ollama llamacpp lmstudio zai deepseek"
    clouds = "azure-openai azure-openai-responses azure-anthropic databricks"
    seeds = "edenai atlas baidu openai-compatible anthropic-compatible"
    assert {*named.split(), *clouds.split(), *seeds.split()} <= set(HOSTS)


@pytest.mark.parametrize(
    ("kind", "url"),
    [
        ("openai", "https://api.openai.com/v1/chat/completions"),
        ("anthropic", "https://api.anthropic.com/v1/messages"),
        ("openrouter", "https://openrouter.ai/api/v1/chat/completions"),
        ("moonshot", "https://api.moonshot.ai/v1/chat/completions"),
        ("ollama-openai", "http://127.0.0.1:11434/v1/chat/completions"),
        ("ollama-native", "http://127.0.0.1:11434/api/chat"),
        ("ollama-anthropic", "http://127.0.0.1:11434/v1/messages"),
        ("groq", "https://api.groq.com/openai/v1/chat/completions"),
        ("mistral", "https://api.mistral.ai/v1/chat/completions"),
        ("together", "https://api.together.ai/v1/chat/completions"),
        ("fireworks", "https://api.fireworks.ai/inference/v1/chat/completions"),
        ("xai", "https://api.x.ai/v1/chat/completions"),
        ("cerebras", "https://api.cerebras.ai/v1/chat/completions"),
        ("edenai", "https://api.edenai.run/v3/chat/completions"),
        ("atlas", "https://api.atlascloud.ai/v1/chat/completions"),
        ("baidu", "https://qianfan.baidubce.com/v2/chat/completions"),
        ("llamacpp", "http://127.0.0.1:8080/v1/chat/completions"),
        ("lmstudio", "http://127.0.0.1:1234/v1/chat/completions"),
    ],
)
def test_each_kind_knows_where_it_lives(kind, url):
    assert address(kind) == url


@pytest.mark.parametrize(
    ("kind", "base_url", "url"),
    [
        ("openai", "http://h:9000/v1", "http://h:9000/v1/chat/completions"),
        ("openai", "http://h:9000/v1/", "http://h:9000/v1/chat/completions"),
        ("openai", "http://h:9000", "http://h:9000/v1/chat/completions"),
        ("openai", "https://h/v1/chat/completions", "https://h/v1/chat/completions"),
        ("ollama-openai", "http://h:11434", "http://h:11434/v1/chat/completions"),
        ("ollama-openai", "http://h:11434/", "http://h:11434/v1/chat/completions"),
        ("ollama-native", "http://h:11434/v1", "http://h:11434/api/chat"),
        ("ollama-native", "http://h/x/api/chat", "http://h/x/api/chat"),
        ("ollama-anthropic", "http://h/v1/chat/completions", "http://h/v1/messages"),
        ("ollama-openai", "https://ollama.com/api", "https://ollama.com/v1/chat/completions"),
        ("zai", "https://h/api/anthropic", "https://h/api/anthropic/v1/messages"),
        ("zai", "https://h/api/coding/paas/v4", "https://h/api/coding/paas/v4/chat/completions"),
        ("z.ai", "https://h/api/paas/v4/", "https://h/api/paas/v4/chat/completions"),
        ("deepseek", "https://h/anthropic", "https://h/anthropic/v1/messages"),
        (
            "azure-openai",
            "https://r.openai.azure.com",
            "https://r.openai.azure.com/openai/v1/chat/completions",
        ),
        (
            "azure-openai",
            "https://r.openai.azure.com/openai/v1/",
            "https://r.openai.azure.com/openai/v1/chat/completions",
        ),
        (
            "azure-openai",
            "https://h/models?api-version=2024-05-01-preview",
            "https://h/models/chat/completions?api-version=2024-05-01-preview",
        ),
        (
            "azure-openai",
            "https://h/openai/deployments/d/chat/completions?api-version=2024-10-21",
            "https://h/openai/deployments/d/chat/completions?api-version=2024-10-21",
        ),
        (
            "azure-anthropic",
            "https://r.services.ai.azure.com",
            "https://r.services.ai.azure.com/anthropic/v1/messages",
        ),
        ("azure-anthropic", "https://h/anthropic/", "https://h/anthropic/v1/messages"),
        ("azure-anthropic", "https://api.anthropic.com", "https://api.anthropic.com/v1/messages"),
        ("databricks", "https://w.net", "https://w.net/serving-endpoints/any/invocations"),
        (
            "databricks",
            "https://w.net/serving-endpoints/x/invocations",
            "https://w.net/serving-endpoints/x/invocations",
        ),
        ("openrouter", "https://h/api/v1/chat/completions", "https://h/api/v1/chat/completions"),
        ("openai-compatible", "https://api.perplexity.ai", "https://api.perplexity.ai/chat/completions"),
        (
            "openai-compatible",
            "https://h/x/v4?api-version=1",
            "https://h/x/v4/chat/completions?api-version=1",
        ),
        ("anthropic", "https://h", "https://h/v1/messages"),
        ("anthropic", "https://h/v1", "https://h/v1/messages"),
        ("anthropic", "https://h/v1/", "https://h/v1/messages"),
        ("anthropic", "https://h/api/anthropic", "https://h/api/anthropic/v1/messages"),
        ("anthropic-compatible", "https://h/anthropic/v1/messages", "https://h/anthropic/v1/messages"),
        ("anthropic-compatible", "http://[::1]:8080", "http://[::1]:8080/v1/messages"),
    ],
)
def test_a_base_url_is_taken_as_users_write_it(kind, base_url, url):
    assert address(kind, base_url, key="k") == url


@pytest.mark.parametrize(
    ("kind", "base_url", "version", "url"),
    [
        (
            "azure-openai",
            "https://r",
            "2024-10-21",
            "https://r/openai/deployments/my%20gpt/chat/completions?api-version=2024-10-21",
        ),
        (
            "azure-openai",
            "https://r/openai",
            "2024-10-21",
            "https://r/openai/deployments/my%20gpt/chat/completions?api-version=2024-10-21",
        ),
        ("azure-openai", "https://r", "preview", "https://r/openai/v1/chat/completions?api-version=preview"),
        ("azure-openai", "https://r", "v1", "https://r/openai/v1/chat/completions"),
        ("azure-openai-responses", "https://r", None, "https://r/openai/v1/responses"),
        (
            "azure-openai-responses",
            "https://r/openai/responses",
            "2025-04-01-preview",
            "https://r/openai/responses?api-version=2025-04-01-preview",
        ),
    ],
)
def test_azures_addresses_follow_its_versions(kind, base_url, version, url):
    cloud = Cloud(api_version=version)
    assert address(kind, base_url, key="k", cloud=cloud, model="my gpt") == url


def test_an_azure_deployment_needs_a_version():
    with pytest.raises(ConfigError, match="needs an api_version"):
        address("azure-openai", "https://r/openai/deployments/d", key="k")


@pytest.mark.parametrize("kind", ["azure-openai", "azure-anthropic", "databricks"])
def test_a_cloud_needs_a_base_url(kind):
    with pytest.raises(ConfigError, match="base_url"):
        address(kind, key="k")


@pytest.mark.parametrize("base_url", ["h:9000", "ftp://h", "http://", "http://h:x", "http://h:99999", "/v1"])
def test_a_base_url_that_is_none_is_refused(base_url):
    with pytest.raises(ConfigError, match="'p': base_url must be an http"):
        address("openai", base_url)


@pytest.mark.parametrize("base_url", ["http://me:sk-hidden@h/v1", "http://me@h/v1", "http://h/v1#sk-hidden"])
def test_a_base_url_that_holds_credentials_is_refused_without_showing_them(base_url):
    with pytest.raises(ConfigError) as caught:
        address("openai", base_url)
    assert "hidden" not in str(caught.value)


def test_a_kind_nobody_knows_gets_a_suggestion():
    with pytest.raises(ConfigError, match="did you mean 'anthropic'"):
        address("antropic")
    with pytest.raises(ConfigError, match="there are openai, openai-responses, anthropic"):
        address("qqqqqq")


def test_a_compatible_host_needs_a_base_url():
    with pytest.raises(ConfigError, match="needs a base_url"):
        address("openai-compatible")


def test_the_key_is_nowhere_to_be_seen():
    provider = builtin(
        "p", "openai", key="sk-hidden", transport=NO_TRANSPORT, headers={"X-Team": "sk-hidden"}
    )
    assert "sk-hidden" not in repr(provider)


def test_what_a_profile_leaves_open_the_host_fills_in():
    def of(target):
        assert target == Target("p", "m")
        return Profile(vision=False, context_window=9)

    known = builtin("p", "anthropic", transport=NO_TRANSPORT, profiles=of).profile("m")
    assert (known.tools, known.vision, known.context_window) == (True, False, 9)
    assert (known.parallel_tools, known.cache) == (True, "explicit")
    assert builtin("p", "anthropic", transport=NO_TRANSPORT).profile("m").tools is True
    compatible = builtin("p", "openai-compatible", base_url="http://h/v1", transport=NO_TRANSPORT)
    assert compatible.profile("m") == UNKNOWN_PROFILE


@pytest.mark.parametrize("host", HOSTS.values(), ids=HOSTS.keys())
def test_a_hosts_cache_is_one_of_the_kinds_there_are(host):
    assert host.profile.cache in (None, "explicit", "automatic", "local", "none")


@pytest.mark.parametrize("kind", HOSTS)
def test_only_chat_hosts_are_asked_for_usage_in_a_stream(kind):
    host = HOSTS[kind]
    asked = host.rules.apply({"stream": True}, "m")
    assert host.format is WireFormat.OPENAI_CHAT or "stream_options" not in asked


def test_local_hosts_say_so():
    local = {kind for kind, host in HOSTS.items() if host.is_local}
    assert {kind.partition("-")[0] for kind in local} == {"ollama", "llamacpp", "lmstudio"}


# ---------------------------------------------------------------- over a real socket

SEAMS = {
    "httpx-asyncio": ("asyncio", HttpxTransport),
    "httpx-trio": ("trio", HttpxTransport),
    "aiohttp-asyncio": ("asyncio", AiohttpTransport),
}


@pytest.fixture(params=SEAMS.values(), ids=SEAMS.keys())
def seam(request):
    return request.param


@pytest.fixture
def anyio_backend(seam):
    return seam[0]


@pytest.fixture
async def provide(seam, anyio_backend):
    made = []

    def make(kind, server, **fields):
        made.append(
            builtin("p", kind, base_url=server.url, transport=seam[1](), owns_transport=True, **fields)
        )
        return made[-1]

    with anyio.fail_after(20):
        yield make
    for provider in made:
        await provider.aclose()


def sse(*events):
    return b"".join(
        (b"event: %b\n" % event["type"].encode() if "type" in event else b"")
        + b"data: %b\n\n" % json.dumps(event).encode()
        for event in events
    )


MESSAGES_STREAM = sse(
    {
        "type": "message_start",
        "message": {
            "id": "msg_1",
            "type": "message",
            "role": "assistant",
            "model": "claude-x",
            "content": [],
            "stop_reason": None,
            "stop_sequence": None,
            "usage": {"input_tokens": 3, "cache_read_input_tokens": 4, "output_tokens": 1},
        },
    },
    {"type": "ping"},
    {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
    {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Grüß"}},
    {"type": "content_block_stop", "index": 0},
    {
        "type": "message_delta",
        "delta": {"stop_reason": "end_turn", "stop_sequence": None},
        "usage": {"output_tokens": 2},
    },
    {"type": "message_stop"},
)


def chat_chunk(delta, finish=None, **more):
    choices = [] if delta is None else [{"index": 0, "delta": delta, "finish_reason": finish}]
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion.chunk",
        "created": 1,
        "model": "m",
        "choices": choices,
        **more,
    }


CHAT_STREAM = (
    b": OPENROUTER PROCESSING\n\n"
    + sse(
        chat_chunk({"role": "assistant", "content": ""}),
        chat_chunk({"content": "Grüß"}),
        chat_chunk({}, "stop"),
        chat_chunk(None, usage={"prompt_tokens": 7, "completion_tokens": 2, "total_tokens": 9}),
    )
    + b"data: [DONE]\n\n"
)
MESSAGES = WireFormat.ANTHROPIC_MESSAGES
CHAT = WireFormat.OPENAI_CHAT


def stream_of(data):
    async def handler(peer, received):
        await peer.begin_stream()
        for at in range(0, len(data), 37):
            await peer.chunk(data[at : at + 37])
        await peer.end_stream()

    return handler


def whole(body, **how):
    async def handler(peer, received):
        await peer.answer(json.dumps(body).encode(), **how)

    return handler


def asking(format=None, *, stream=True, model="m", headers=None, **fields):
    raw = None
    if format is not None:
        body = {
            "model": "auto",
            "max_tokens": 5,
            "stream": stream,
            "messages": [{"role": "user", "content": "x"}],
        }
        raw = RawBody(format, parse_body(json.dumps(body).encode()))
    request = Request(
        model="auto", messages=(Message.user("x"),), stream=stream, max_output_tokens=5, **fields
    )
    return Call(request, Target("p", model), raw=raw, headers=headers or {})


async def finish(reply):
    try:
        if reply.raw is not None:
            return b"".join([chunk async for chunk in reply.raw])
        return [event async for event in reply.events]
    finally:
        await reply.aclose()


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("kind", "format", "stream", "usage"),
    [
        ("anthropic", MESSAGES, MESSAGES_STREAM, Usage(input=7, output=2, cache_read=4)),
        ("openai", CHAT, CHAT_STREAM, Usage(input=7, output=2)),
    ],
)
async def test_each_dialects_own_stream_passes_byte_for_byte_and_is_counted(
    provide, kind, format, stream, usage
):
    async with serving(stream_of(stream)) as server:
        reply = await provide(kind, server, ask_usage=False).send(asking(format))
        assert await finish(reply) == stream
    tally = reply.tally
    assert tally.tap_error is None
    assert tally.complete
    assert (tally.usage.input, tally.usage.output) == (usage.input, usage.output)
    assert (tally.usage.cache_read or 0) == (usage.cache_read or 0)
    assert tally.stop_reason is StopReason.END_TURN


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("kind", "stream"),
    [("anthropic", MESSAGES_STREAM), ("openai", CHAT_STREAM), ("ollama-openai", CHAT_STREAM)],
)
async def test_each_dialects_stream_can_be_read_as_events(provide, kind, stream):
    async with serving(stream_of(stream)) as server:
        reply = await provide(kind, server).send(asking())
        events = await finish(reply)
    response = fold(events)
    assert response.parts == (Text("Grüß"),)
    assert (response.usage.input, response.usage.output) == (7, 2)
    assert isinstance(events[-1], Finish)


@pytest.mark.anyio
@pytest.mark.parametrize(("kind", "stream"), [("anthropic", MESSAGES_STREAM), ("openai", CHAT_STREAM)])
@pytest.mark.parametrize("format", [None, MESSAGES, CHAT])
async def test_no_prefix_of_a_stream_ends_clean(provide, kind, format, stream):
    end = stream.rindex(b"event: message_stop" if kind == "anthropic" else b'data: {"id"')
    end = stream.index(b'"stop"') if kind == "openai" else end
    for cut in (1, len(stream) // 3, len(stream) // 2, end):
        async with serving(stream_of(stream[:cut])) as server:
            with pytest.raises(Exception, match="p:m") as caught:
                await finish(await provide(kind, server).send(asking(format)))
            assert type(caught.value).__name__ == "UpstreamWireError"


@pytest.mark.anyio
async def test_anthropic_gets_its_key_its_version_and_the_clients_betas(provide):
    async with serving(stream_of(MESSAGES_STREAM)) as server:
        provider = provide("anthropic", server, key=Secret("sk-ant"))
        await finish(await provider.send(asking()))
        sent = {
            "anthropic-version": "2026-10-21",
            "anthropic-beta": "a-2099,b-2099",
            "anthropic-workspace-id": "w",
        }
        await finish(await provider.send(asking(MESSAGES, headers=sent)))
    first, second = (request.headers for request in server.requests)
    assert first["x-api-key"] == second["x-api-key"] == "sk-ant"
    assert "authorization" not in first
    assert first["anthropic-version"] == "2023-06-01"
    assert {name: second[name] for name in sent} == sent
    assert server.requests[0].line == "POST /v1/messages HTTP/1.1"


@pytest.mark.anyio
async def test_an_openai_host_gets_a_bearer_key_and_is_asked_for_usage(provide):
    async with serving(stream_of(CHAT_STREAM)) as server:
        await finish(await provide("openai", server, key="sk-1").send(asking()))
    (request,) = server.requests
    assert request.line == "POST /v1/chat/completions HTTP/1.1"
    assert request.headers["authorization"] == "Bearer sk-1"
    assert "anthropic-version" not in request.headers
    body = json.loads(request.body)
    assert body["stream_options"] == {"include_usage": True}
    assert body["max_tokens"] == 5


@pytest.mark.anyio
@pytest.mark.parametrize("format", [None, MESSAGES, CHAT])
async def test_models_that_refuse_max_tokens_do_not_get_it_whatever_the_client_wrote(provide, format):
    async with serving(stream_of(CHAT_STREAM)) as server:
        reply = await provide("openai", server).send(asking(format, model="gpt-5-mini"))
        assert (reply.raw is not None) is (format is CHAT)  # a client of the dialect keeps its own bytes
        await finish(reply)
    body = json.loads(server.requests[0].body)
    assert body["max_completion_tokens"] == 5
    assert "max_tokens" not in body
    assert body["model"] == "gpt-5-mini"


@pytest.mark.anyio
async def test_what_a_host_cannot_take_is_listed_as_lost(provide):
    async with serving(stream_of(CHAT_STREAM)) as server:
        reply = await provide("openai", server).send(asking(sampling=Sampling(top_k=3)))
        await finish(reply)
    assert any("top_k" in loss.path for loss in reply.losses)


@pytest.mark.anyio
async def test_a_new_host_is_one_value(provide):
    groq = Host(CHAT, "https://api.groq.com/openai/v1", "GROQ_API_KEY", auth=AuthStyle.X_API_KEY)
    async with serving(stream_of(CHAT_STREAM)) as server:
        await finish(await provide(groq, server, key="k").send(asking()))
    assert server.requests[0].headers["x-api-key"] == "k"
    assert address(groq) == "https://api.groq.com/openai/v1/chat/completions"


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("kind", "status", "body", "error"),
    [
        (
            "anthropic",
            "529 Overloaded",
            {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}},
            UpstreamBusy,
        ),
        (
            "anthropic",
            "400 Bad Request",
            {
                "type": "error",
                "error": {"type": "invalid_request_error", "message": "max_tokens: required"},
            },
            UpstreamRefused,
        ),
        ("openai", "500 Oops", {"error": {"message": "boom", "type": "server_error"}}, UpstreamFailed),
        ("openai", "429 Slow", {"error": {"message": "slow", "type": "requests"}}, UpstreamBusy),
        ("openrouter", "200 OK", {"error": {"code": 429, "message": "slow"}}, UpstreamBusy),
        ("openrouter", "200 OK", {"error": {"code": 502, "message": "down"}}, UpstreamFailed),
    ],
)
async def test_each_dialects_error_is_told_in_its_own_words(provide, kind, status, body, error):
    async with serving(whole(body, status=status)) as server:
        with pytest.raises(error) as caught:
            await provide(kind, server).send(asking())
    assert caught.value.target == "p:m"
    assert caught.value.body == json.dumps(body).encode()
    assert caught.value.wire_format == HOSTS[kind].format


@pytest.mark.anyio
async def test_an_error_event_in_an_anthropic_stream_before_the_first_part_is_an_exception(provide):
    start = MESSAGES_STREAM[: MESSAGES_STREAM.index(b"event: content_block_start")]
    error = {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}
    async with serving(stream_of(start + sse(error))) as server:
        for spoken in (None, MESSAGES):
            with pytest.raises(UpstreamBusy, match="p:m") as caught:
                await provide("anthropic", server).send(asking(spoken))
            assert caught.value.target == "p:m"


@pytest.mark.anyio
async def test_anthropic_counts_tokens_and_a_host_that_cannot_does_not(provide):
    async with serving(whole({"input_tokens": 42})) as server:
        counter = provide("anthropic", server, key="k")
        assert isinstance(counter, TokenCounter)
        assert await counter.count_tokens(asking(MESSAGES)) == 42
        assert await counter.count_tokens(asking()) == 42
        assert await provide("groq", server).count_tokens(asking()) is None
    assert [request.line for request in server.requests] == ["POST /v1/messages/count_tokens HTTP/1.1"] * 2
    for request in server.requests:
        body = json.loads(request.body)
        assert body["model"] == "m"
        assert set(body) == {"model", "messages"}
        assert request.headers["x-api-key"] == "k"
