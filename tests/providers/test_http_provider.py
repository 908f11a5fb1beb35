"""What one attempt at one provider does, on both paths, over a real socket."""

import json
import random
from contextlib import asynccontextmanager

import anyio
import pytest
from attrs import evolve

from lynkr.errors import (
    LynkrError,
    UpstreamBusy,
    UpstreamFailed,
    UpstreamRefused,
    UpstreamTimeout,
    UpstreamUnreachable,
    UpstreamWireError,
)
from lynkr.model import Finish, PartDelta, PartEnd, PartStart, Start, StopReason, Text, Usage, WireFormat
from lynkr.model.fold import fold
from lynkr.providers.aiohttp_transport import AiohttpTransport
from lynkr.providers.auth import Bearer
from lynkr.providers.base import Timeouts
from lynkr.providers.body_rules import BodyRules
from lynkr.providers.endpoints import FixedEndpoint, ModelEndpoint
from lynkr.providers.http_provider import Counting, HTTPProvider
from lynkr.providers.httpx_transport import HttpxTransport
from lynkr.routing.decision import Target
from lynkr.service import Call, RawBody
from lynkr.wire.json_body import parse_body
from tests.providers.loopback import serving
from tests.providers.tiny import END, HELLO, START, STREAM, WHOLE, WORLD, TinyCodec, frame, request

pytestmark = pytest.mark.anyio

SOON = 0.25
BIG = Target("tiny", "big-1")
RAW_STREAM = b'{ "stream" : true, "model":"lynkr-auto","n":1e2 , "x":"\\u00e9" }'
RAW_WHOLE = b'{"model":"lynkr-auto","z":0.10}'


@pytest.fixture(
    params=[("asyncio", HttpxTransport), ("trio", HttpxTransport), ("asyncio", AiohttpTransport)],
    ids=["httpx-asyncio", "httpx-trio", "aiohttp-asyncio"],
)
def seam(request):
    return request.param


@pytest.fixture
def anyio_backend(seam):
    return seam[0]


@pytest.fixture(autouse=True)
async def in_time(anyio_backend):
    with anyio.fail_after(20):
        yield


@pytest.fixture
async def provide(seam, anyio_backend):
    """A provider at a given address; its transport is closed after the test."""
    made = []

    def make(server, **fields):
        fields = {"auth": Bearer("sk-secret"), **fields}
        provider = HTTPProvider(
            name="tiny",
            codec=fields.pop("codec", None) or TinyCodec(),
            endpoint=fields.pop("endpoint", None) or FixedEndpoint(server.url + "/tiny"),
            transport=seam[1](),
            owns_transport=True,
            **fields,
        )
        made.append(provider)
        return provider

    yield make
    for provider in made:
        await provider.aclose()


def raw_call(*, stream=True, body=None, format=WireFormat.OLLAMA_CHAT, **fields):
    body = body or (RAW_STREAM if stream else RAW_WHOLE)
    return Call(request(stream=stream), BIG, raw=RawBody(format, parse_body(body)), **fields)


def call(*, stream=True, **fields):
    return Call(request(stream=stream), BIG, **fields)


def streaming(*chunks, then=None, extra="", content_type="text/event-stream"):
    async def handler(peer, received):
        await peer.begin_stream(content_type, extra)
        for chunk in chunks:
            await peer.chunk(chunk)
        if then is None:
            await peer.end_stream()
        else:
            await then(peer)

    return handler


def answering(body, **how):
    async def handler(peer, received):
        await peer.answer(body, **how)

    return handler


@asynccontextmanager
async def closing(reply):
    try:
        yield reply
    finally:
        await reply.aclose()


async def all_bytes(reply):
    async with closing(reply):
        return b"".join([chunk async for chunk in reply.raw])


async def all_events(reply):
    async with closing(reply):
        return [event async for event in reply.events]


async def drained(reply):
    """Everything a reply gives, and the error it ends in."""
    items = []
    async with closing(reply):
        try:
            async for item in reply.raw or reply.events:
                items.append(item)  # noqa: PERF401  # what came before the error counts
        except LynkrError as error:
            return items, error
    return items, None


# ---------------------------------------------------------------- the request


async def test_a_body_of_the_same_dialect_goes_up_with_only_its_model_replaced(provide):
    async with serving(streaming(*STREAM)) as server:
        await all_bytes(await provide(server).send(raw_call()))
    assert server.requests[0].body == RAW_STREAM.replace(b'"lynkr-auto"', b'"big-1"')


async def test_a_body_that_names_the_model_already_goes_up_byte_for_byte(provide):
    body = RAW_STREAM.replace(b"lynkr-auto", b"big-1")
    async with serving(streaming(*STREAM)) as server:
        await all_bytes(await provide(server).send(raw_call(body=body)))
    assert server.requests[0].body == body


async def test_a_body_of_another_dialect_is_encoded_anew(provide):
    outgoing = Call(
        request(stream=True, model="x"), BIG, raw=RawBody(WireFormat.OPENAI_CHAT, parse_body(RAW_STREAM))
    )
    async with serving(streaming(*STREAM)) as server:
        reply = await provide(server).send(outgoing)
        await all_events(reply)
    assert reply.raw is None
    assert json.loads(server.requests[0].body) == {"model": "big-1", "prompt": "hi", "stream": True}


async def test_what_translation_could_not_carry_is_told(provide):
    from lynkr.model import Loss, Sampling

    outgoing = Call(request(sampling=Sampling(seed=1)), BIG)
    async with serving(answering(WHOLE)) as server:
        reply = await provide(server).send(outgoing)
    assert reply.losses == (Loss("sampling.seed", "no such field"),)


async def test_the_clients_headers_go_up_but_never_its_credentials_or_this_hops_own(provide):
    sent = {
        "x-claude-code-session-id": "s",
        "anthropic-beta": "unknown-2099",
        "authorization": "Bearer client",
        "x-api-key": "client",
        "cookie": "client",
        "host": "client",
        "content-length": "1",
        "transfer-encoding": "chunked",
        "connection": "close",
    }
    async with serving(streaming(*STREAM)) as server:
        provider = provide(server, headers={"x-title": "t"}, default_headers={"anthropic-version": "1"})
        await all_bytes(await provider.send(raw_call(headers=sent)))
    headers = server.requests[0].headers
    assert headers["x-claude-code-session-id"] == "s"
    assert headers["anthropic-beta"] == "unknown-2099"
    assert headers["anthropic-version"] == "1"
    assert headers["x-title"] == "t"
    assert headers["authorization"] == "Bearer sk-secret"
    assert headers["accept"] == "text/event-stream"
    assert headers["accept-encoding"] == "identity"
    assert headers["content-type"] == "application/json"
    assert not any("client" in value for value in headers.values())
    assert headers["content-length"] == str(len(server.requests[0].body))
    assert "transfer-encoding" not in headers


async def test_the_clients_own_version_wins_over_the_default(provide):
    async with serving(streaming(*STREAM)) as server:
        provider = provide(server, default_headers={"anthropic-version": "1"})
        await all_bytes(await provider.send(raw_call(headers={"anthropic-version": "2026-10-21"})))
    assert server.requests[0].headers["anthropic-version"] == "2026-10-21"


async def test_headers_of_another_dialect_stay_behind(provide):
    async with serving(streaming(*STREAM)) as server:
        await all_events(await provide(server).send(call(headers={"anthropic-beta": "a", "x-app": "cli"})))
    assert not {"anthropic-beta", "x-app"} & set(server.requests[0].headers)


async def test_betas_of_the_client_the_settings_and_the_body_are_joined(provide):
    from lynkr.model import Sampling

    outgoing = raw_call(format=WireFormat.OPENAI_CHAT)
    outgoing = Call(request(stream=True, sampling=Sampling(top_k=3)), BIG, raw=None, headers=outgoing.headers)
    async with serving(streaming(*STREAM)) as server:
        provider = provide(server, headers={"anthropic-beta": "configured, from-body"})
        await all_events(await provider.send(outgoing))
    assert server.requests[0].headers["anthropic-beta"] == "configured,from-body"


async def test_nothing_is_sent_after_the_deadline(provide):
    async with serving(streaming(*STREAM)) as server:
        provider = provide(server, clock=lambda: 100.0)
        with pytest.raises(UpstreamTimeout) as caught:
            await provider.send(call(deadline=100.0))
    assert caught.value.target == "tiny:big-1"
    assert server.requests == []


async def test_the_deadline_bounds_the_whole_exchange(provide):
    async with serving(streaming(START, HELLO, then=lambda peer: peer.closed())) as server:
        provider = provide(server, clock=lambda: 100.0, timeouts=Timeouts(total=None))
        async with closing(await provider.send(raw_call(deadline=100.2))) as reply:
            with pytest.raises(UpstreamTimeout, match="tiny:big-1"):
                async for _ in reply.raw:
                    pass


@pytest.mark.parametrize("make", [call, raw_call])
@pytest.mark.parametrize("sends", ["nothing", "a head", "a start", "pings"])
async def test_a_first_token_that_is_late_ends_the_attempt(provide, make, sends):
    """Whatever comes before it: a provider keeps to it by itself, so that no layer has to."""

    async def handler(peer, received):
        if sends != "nothing":
            await peer.begin_stream()
        if sends == "a start":
            await peer.chunk(START)
        while sends == "pings":
            await peer.chunk(b": ping\n\n")
            await anyio.sleep(SOON / 10)
        await peer.closed()

    async with serving(handler) as server:
        provider = provide(server, timeouts=Timeouts(first_token=SOON))
        assert provider.ends_in_time
        with pytest.raises(UpstreamTimeout, match=r"tiny:big-1: no token within 0\.25 s"):
            await provider.send(make())


async def test_a_whole_answer_has_no_longer_than_a_first_token(provide):
    async def handler(peer, received):
        await peer.begin_stream("application/json")
        await peer.chunk(WHOLE[:5])
        await peer.closed()

    async with serving(handler) as server:
        provider = provide(server, timeouts=Timeouts(first_token=SOON))
        with pytest.raises(UpstreamTimeout, match=r"no token within 0\.25 s"):
            await provider.send(raw_call(stream=False))


async def test_a_stream_that_has_begun_may_take_longer_than_its_first_token(provide):
    async def handler(peer, received):
        await peer.begin_stream()
        await peer.chunk(START + HELLO)
        await anyio.sleep(2 * SOON)
        await peer.chunk(END)
        await peer.end_stream()

    async with serving(handler) as server:
        provider = provide(server, timeouts=Timeouts(first_token=SOON))
        assert await all_bytes(await provider.send(raw_call())) == START + HELLO + END


async def test_a_deadline_does_not_stretch_the_silence_a_stream_may_keep(provide):
    async with serving(streaming(START, HELLO, then=lambda peer: peer.closed())) as server:
        provider = provide(server, clock=lambda: 100.0, timeouts=Timeouts(idle=0.2))
        with anyio.fail_after(20):
            async with closing(await provider.send(raw_call(deadline=400.0))) as reply:
                with pytest.raises(UpstreamTimeout, match="no idle within"):
                    async for _ in reply.raw:
                        pass


# ---------------------------------------------------------------- passthrough


@pytest.mark.parametrize("seed", range(6))
async def test_a_stream_of_the_same_dialect_comes_back_byte_for_byte(provide, seed):
    dice = random.Random(seed)
    whole = b": a comment\r\n\r\n" + b"".join((START, frame(ping=1), HELLO, b"id: 7\n" + WORLD, END))
    cuts = sorted(dice.sample(range(1, len(whole)), dice.choice((0, 1, 5, 60))))
    pieces = [whole[a:b] for a, b in zip([0, *cuts], [*cuts, len(whole)], strict=True)]
    async with serving(streaming(*pieces)) as server:
        reply = await provide(server).send(raw_call())
        assert reply.events is None
        assert reply.content_type == "text/event-stream"
        assert await all_bytes(reply) == whole
    tally = reply.tally
    assert (tally.id, tally.model, tally.usage) == ("r1", "big-1", Usage(input=7, output=2))
    assert (tally.stop_reason, tally.complete, tally.tap_error) == (StopReason.END_TURN, True, None)


async def test_a_whole_answer_of_the_same_dialect_comes_back_byte_for_byte(provide):
    async with serving(answering(WHOLE, content_type="application/json; charset=utf-8")) as server:
        reply = await provide(server).send(raw_call(stream=False))
        assert await all_bytes(reply) == WHOLE
    assert reply.content_type == "application/json; charset=utf-8"
    assert reply.tally.usage == Usage(input=7, output=2)
    assert reply.tally.complete
    assert reply.tally.first_event_at is not None
    assert server.requests[0].body == RAW_WHOLE.replace(b"lynkr-auto", b"big-1")


async def test_the_observer_sees_the_events_of_bytes_that_pass_through(provide):
    seen = []
    async with serving(streaming(*STREAM)) as server:
        await all_bytes(await provide(server).send(raw_call(observer=seen.append)))
    assert fold(seen).parts == (Text("hello world"),)
    seen.clear()
    async with serving(answering(WHOLE)) as server:
        await all_bytes(await provide(server).send(raw_call(stream=False, observer=seen.append)))
    assert fold(seen).parts == (Text("hello world"),)


async def test_bytes_nobody_understands_pass_through_and_the_tally_says_so(provide):
    odd = (START, HELLO, frame(news="unheard of"), WORLD, END)
    async with serving(streaming(*odd)) as server:
        reply = await provide(server).send(raw_call())
        assert await all_bytes(reply) == b"".join(odd)
    assert "an unknown frame" in reply.tally.tap_error
    assert not reply.tally.complete
    assert reply.tally.usage == Usage(input=7)


@pytest.mark.parametrize(
    "pieces",
    [(frame(news="unheard of"), WORLD, END), (b"data: <html>\n\n",), (START, b"data: <html>\n\n", HELLO)],
    ids=["unknown", "no JSON", "after the start"],
)
async def test_bytes_nobody_understands_are_no_answer_before_anything_was_read(provide, pieces):
    """Nothing was shown to anybody yet, so the error leaves retry and fallback their chance."""
    async with serving(streaming(*pieces)) as server:
        with pytest.raises(UpstreamWireError, match="tiny:big-1"):
            await provide(server).send(raw_call())


async def test_an_observer_that_fails_does_not_harm_the_bytes(provide):
    def fail(event):
        raise ZeroDivisionError

    async with serving(streaming(*STREAM)) as server:
        reply = await provide(server).send(raw_call(observer=fail))
        assert await all_bytes(reply) == b"".join(STREAM)
    assert "ZeroDivisionError" in reply.tally.tap_error
    async with serving(answering(WHOLE)) as server:
        reply = await provide(server).send(raw_call(stream=False, observer=fail))
        assert await all_bytes(reply) == WHOLE
    assert "ZeroDivisionError" in reply.tally.tap_error


async def test_a_whole_answer_nobody_understands_passes_through(provide):
    async with serving(answering(b'{"news": 1}')) as server:
        reply = await provide(server).send(raw_call(stream=False))
        assert await all_bytes(reply) == b'{"news": 1}'
    assert "no text" in reply.tally.tap_error
    assert reply.tally.usage == Usage()


async def test_response_headers_pass_on_only_where_they_mean_something_beyond_this_hop(provide):
    extra = (
        "Request-Id: r\r\nX-Request-Id: x\r\nanthropic-ratelimit-unified-status: ok\r\n"
        "x-ratelimit-remaining-tokens: 1\r\nretry-after-ms: 5\r\nx-should-retry: false\r\n"
        "openai-processing-ms: 9\r\nset-cookie: a=b\r\nserver: s\r\nconnection: keep-alive\r\nvia: v\r\n"
    )
    async with serving(streaming(*STREAM, extra=extra)) as server:
        reply = await provide(server).send(raw_call())
        await all_bytes(reply)
    assert reply.headers == {
        "request-id": "r",
        "x-request-id": "x",
        "anthropic-ratelimit-unified-status": "ok",
        "x-ratelimit-remaining-tokens": "1",
        "retry-after-ms": "5",
        "x-should-retry": "false",
        "openai-processing-ms": "9",
    }


# ---------------------------------------------------------------- translation


async def test_a_stream_of_another_dialect_comes_back_as_events(provide):
    async with serving(streaming(*STREAM)) as server:
        reply = await provide(server).send(call())
        events = await all_events(reply)
    assert events == [
        Start("r1", "big-1", Usage(input=7)),
        PartStart(0, Text("")),
        PartDelta(0, "hello "),
        PartDelta(0, "world"),
        PartEnd(0),
        Finish(StopReason.END_TURN, Usage(input=7, output=2)),
    ]
    assert reply.tally.usage == Usage(input=7, output=2)
    assert reply.tally.complete


async def test_a_whole_answer_of_another_dialect_comes_back_as_events(provide):
    seen = []
    async with serving(answering(WHOLE)) as server:
        reply = await provide(server).send(call(stream=False, observer=seen.append))
        events = await all_events(reply)
    assert events == seen
    assert fold(events).parts == (Text("hello world"),)
    assert reply.tally.usage == Usage(input=7, output=2)


@pytest.mark.parametrize("make", [call, raw_call])
async def test_a_server_that_ignores_stream_still_serves_events(provide, make):
    async with serving(answering(WHOLE)) as server:
        reply = await provide(server).send(make(stream=True))
        assert fold(await all_events(reply)).parts == (Text("hello world"),)


@pytest.mark.parametrize("make", [call, raw_call])
async def test_a_server_that_always_streams_still_serves_whole_answers(provide, make):
    async with serving(streaming(*STREAM)) as server:
        reply = await provide(server).send(make(stream=False))
        assert fold(await all_events(reply)).parts == (Text("hello world"),)


async def test_a_stream_labelled_as_something_else_is_read_as_one(provide):
    async def handler(peer, received):
        await peer.begin_stream("text/plain")
        await peer.chunk(b"".join(STREAM))
        await peer.end_stream()

    async with serving(handler) as server:
        assert await all_bytes(await provide(server).send(raw_call())) == b"".join(STREAM)


# ---------------------------------------------------------------- priming


@pytest.mark.parametrize("make", [call, raw_call])
async def test_send_returns_with_the_first_part_and_not_before(provide, make):
    go_on, end = anyio.Event(), anyio.Event()
    ticks = iter(range(100))

    async def handler(peer, received):
        await peer.begin_stream()
        await peer.chunk(START)
        await go_on.wait()
        await peer.chunk(HELLO)
        await end.wait()
        await peer.chunk(END)
        await peer.end_stream()

    replies = []

    async with serving(handler) as server:
        provider = provide(server, clock=lambda: float(next(ticks)))

        async def send():
            replies.append(await provider.send(make()))

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(send)
            await anyio.wait_all_tasks_blocked()
            assert replies == []
            go_on.set()
        (reply,) = replies
        # The time of the first part is read when that is there, and none after it.
        assert reply.tally.first_event_at == next(ticks) - 1
        async with closing(reply):
            first = await anext(reply.raw or reply.events)
            end.set()
            rest = [item async for item in (reply.raw or reply.events)]
    if reply.raw is not None:
        assert b"".join([first, *rest]) == START + HELLO + END
    else:
        assert fold([first, *rest]).parts == (Text("hello "),)


@pytest.mark.parametrize("make", [call, raw_call])
@pytest.mark.parametrize("chunks", [(START, frame(error="overloaded")), (frame(error="overloaded"),)])
async def test_an_error_event_before_the_first_part_is_an_exception(provide, make, chunks):
    async with serving(streaming(*chunks)) as server:
        with pytest.raises(UpstreamFailed, match="tiny:big-1: overloaded") as caught:
            await provide(server).send(make())
    assert caught.value.target == "tiny:big-1"


async def test_an_error_event_after_the_first_part_passes_through_and_is_then_raised(provide):
    gate, closed = anyio.Event(), anyio.Event()

    async def then(peer):
        await gate.wait()
        await peer.chunk(WORLD + frame(error="overloaded"))
        # The connection stays open: nothing may wait for more after the error.
        await peer.closed()
        closed.set()

    async with serving(streaming(START, HELLO, then=then)) as server:
        reply = await provide(server).send(raw_call())
        gate.set()
        chunks, error = await drained(reply)
        with anyio.fail_after(SOON):
            await closed.wait()
    assert b"".join(chunks) == START + HELLO + WORLD + frame(error="overloaded")
    assert type(error) is UpstreamFailed
    assert str(error) == "tiny:big-1: overloaded"
    assert reply.tally.error_sent
    assert not reply.tally.complete


async def test_an_error_event_after_the_first_part_ends_the_events(provide):
    gate = anyio.Event()

    async def then(peer):
        await gate.wait()
        await peer.chunk(WORLD + frame(error="overloaded"))
        await peer.closed()

    async with serving(streaming(START, HELLO, then=then)) as server:
        reply = await provide(server).send(call())
        gate.set()
        events, error = await drained(reply)
    assert events[-1] == PartDelta(0, "world")
    assert str(error) == "tiny:big-1: overloaded"


# ---------------------------------------------------------------- truncation


@pytest.mark.parametrize("make", [call, raw_call])
@pytest.mark.parametrize("chunks", [(), (START,)])
async def test_a_stream_that_ends_before_its_first_part_is_an_exception(provide, make, chunks):
    async with serving(streaming(*chunks)) as server:
        with pytest.raises(UpstreamWireError, match="tiny:big-1"):
            await provide(server).send(make())


@pytest.mark.parametrize("make", [call, raw_call])
@pytest.mark.parametrize("cut", [0, 5])
async def test_a_stream_cut_short_never_ends_clean(provide, make, cut):
    async with serving(streaming(START, HELLO, WORLD[: len(WORLD) - cut])) as server:
        reply = await provide(server).send(make())
        items, error = await drained(reply)
    assert items
    assert type(error) is UpstreamWireError
    assert "tiny:big-1" in str(error)
    assert not reply.tally.complete
    assert reply.tally.usage == Usage(input=7)


@pytest.mark.parametrize("make", [call, raw_call])
async def test_a_connection_that_breaks_mid_stream_is_unreachable(provide, make):
    async with serving(streaming(START, HELLO, then=lambda peer: peer.stream.aclose())) as server:
        items, error = await drained(await provide(server).send(make()))
    assert items
    assert type(error) is UpstreamUnreachable
    assert error.target == "tiny:big-1"


@pytest.mark.parametrize("make", [call, raw_call])
async def test_a_connection_that_breaks_after_the_dialects_end_lost_nothing(provide, make):
    async with serving(streaming(*STREAM, then=lambda peer: peer.stream.aclose())) as server:
        reply = await provide(server).send(make())
        async with closing(reply):
            items = [item async for item in reply.raw or reply.events]
    assert items
    assert reply.tally.complete


async def test_a_whole_answer_cut_short_is_an_exception(provide):
    async def handler(peer, received):
        await peer.send(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 500\r\n\r\n")
        await peer.send(WHOLE)
        await peer.stream.aclose()

    async with serving(handler) as server:
        with pytest.raises(UpstreamUnreachable, match="tiny:big-1"):
            await provide(server).send(raw_call(stream=False))


@pytest.mark.parametrize("body", [b"<html>", b"[1]", b"", b'{"id": 1'])
@pytest.mark.parametrize("make", [call, raw_call])
async def test_an_answer_that_is_no_json_object_is_an_exception(provide, make, body):
    async with serving(answering(body)) as server:
        with pytest.raises(UpstreamWireError, match="tiny:big-1"):
            await provide(server).send(make(stream=False))


async def test_a_whole_answer_nobody_understands_cannot_be_translated(provide):
    async with serving(answering(b'{"news": 1}')) as server:
        with pytest.raises(UpstreamWireError, match="tiny:big-1: no text"):
            await provide(server).send(call(stream=False))


@pytest.mark.parametrize("make", [call, raw_call])
async def test_an_answer_in_an_encoding_nobody_asked_for_is_an_exception(provide, make):
    async with serving(answering(WHOLE, extra="content-encoding: br\r\n")) as server:
        with pytest.raises(UpstreamUnreachable, match=r"tiny:big-1: .*'br'"):
            await provide(server).send(make(stream=False))


async def test_an_answer_over_the_limit_is_an_exception(provide, monkeypatch):
    monkeypatch.setattr("lynkr.providers.http_provider.MAX_ANSWER_BYTES", 50)
    async with serving(answering(WHOLE)) as server:
        with pytest.raises(UpstreamWireError, match="larger than 50 bytes"):
            await provide(server).send(raw_call(stream=False))


# ---------------------------------------------------------------- refusals


@pytest.mark.parametrize(
    ("status", "kind"),
    [("400 Bad Request", UpstreamRefused), ("429 Too Many", UpstreamBusy), ("500 Oops", UpstreamFailed)],
)
@pytest.mark.parametrize("stream", [False, True])
async def test_a_status_other_than_2xx_is_the_dialects_own_error(provide, status, kind, stream):
    words = b'{"error": "prompt is too long: 7 tokens > 5"}'
    handler = answering(words, status=status, extra="retry-after: 7\r\nset-cookie: a=b\r\n")
    async with serving(handler) as server:
        with pytest.raises(kind) as caught:
            await provide(server).send(raw_call(stream=stream))
    error = caught.value
    assert (error.target, error.status, error.body) == ("tiny:big-1", int(status[:3]), words)
    assert error.headers == {"retry-after": "7"}
    assert error.retry_after == 7.0


async def test_an_error_whose_text_is_cut_short_still_tells_its_status(provide):
    async def handler(peer, received):
        await peer.send(b"HTTP/1.1 503 Busy\r\ncontent-length: 500\r\n\r\nhalf")
        await peer.stream.aclose()

    async with serving(handler) as server:
        with pytest.raises(UpstreamBusy) as caught:
            await provide(server).send(call())
    assert caught.value.status == 503


async def test_a_redirect_names_the_cure(provide):
    handler = answering(b"", status="308 Permanent Redirect", extra="location: https://elsewhere/v1\r\n")
    async with serving(handler) as server:
        with pytest.raises(UpstreamRefused, match=r"https://elsewhere/v1.*base_url"):
            await provide(server).send(call())


@pytest.mark.parametrize(
    ("body", "status"), [(b'{"error": {"code": 429, "message": "slow"}}', 429), (b'{"error": "no"}', 502)]
)
@pytest.mark.parametrize("make", [call, raw_call])
@pytest.mark.parametrize("stream", [False, True])
async def test_an_error_that_came_as_a_200_body_is_an_error(provide, body, status, make, stream):
    async with serving(answering(body)) as server:
        with pytest.raises((UpstreamBusy, UpstreamFailed)) as caught:
            await provide(server).send(make(stream=stream))
    assert (caught.value.status, caught.value.body) == (status, body)


async def test_a_provider_that_is_not_there_is_unreachable(provide):
    async with serving(answering(b"")) as server:
        gone = provide(server)
    with pytest.raises(UpstreamUnreachable, match="tiny:big-1") as caught:
        await gone.send(call())
    assert "sk-secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("head", "timeouts", "words"),
    [
        (False, Timeouts(first_byte=0.05), "no first_byte within 0.05 s"),
        (True, Timeouts(idle=0.05), "no idle within 0.05 s"),
        (True, Timeouts(total=0.15), "not done within 0.15 s"),
    ],
)
async def test_a_timeout_names_the_target_and_the_wait(provide, head, timeouts, words):
    async def handler(peer, received):
        if head:
            await peer.begin_stream()
            await peer.chunk(START)
        await peer.closed()

    async with serving(handler) as server:
        with pytest.raises(UpstreamTimeout, match=f"tiny:big-1: {words}"):
            await provide(server, timeouts=timeouts).send(call())


# ---------------------------------------------------------------- leaving


@pytest.mark.parametrize("make", [call, raw_call])
async def test_closing_a_reply_early_closes_the_socket_at_once(provide, make):
    closed = anyio.Event()

    async def stay(peer):
        await peer.closed()
        closed.set()

    async with serving(streaming(START, HELLO, then=stay)) as server:
        reply = await provide(server).send(make())
        await reply.aclose()
        await reply.aclose()
        with anyio.fail_after(SOON):
            await closed.wait()
        with pytest.raises(StopAsyncIteration):
            await anext(reply.raw or reply.events)


@pytest.mark.parametrize("make", [call, raw_call])
@pytest.mark.parametrize("primed", [False, True])
async def test_cancellation_closes_the_socket_at_once(provide, make, primed):
    began, closed = anyio.Event(), anyio.Event()

    async def stay(peer):
        began.set()
        await peer.closed()
        closed.set()

    async def read(provider):
        reply = await provider.send(make())
        try:
            async for _ in reply.raw or reply.events:
                pass
        finally:
            await reply.aclose()

    chunks = (START, HELLO) if primed else (START,)
    async with serving(streaming(*chunks, then=stay)) as server:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(read, provide(server))
            await began.wait()
            await anyio.wait_all_tasks_blocked()
            tasks.cancel_scope.cancel()
        with anyio.fail_after(SOON):
            await closed.wait()


@pytest.mark.parametrize("make", [call, raw_call])
async def test_another_task_may_close_the_reply_while_one_reads(provide, make):
    async with serving(streaming(START, HELLO, then=lambda peer: peer.closed())) as server:
        reply = await provide(server).send(make())

        async def read():
            try:
                async for _ in reply.raw or reply.events:
                    pass
            except UpstreamUnreachable:
                pass

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(read)
            await anyio.wait_all_tasks_blocked()
            with anyio.fail_after(SOON):
                await reply.aclose()


@pytest.mark.parametrize("stream", [False, True])
async def test_answers_read_to_their_end_share_one_connection(provide, stream):
    handler = streaming(*STREAM) if stream else answering(WHOLE)
    async with serving(handler) as server:
        provider = provide(server)
        for _ in range(3):
            await all_bytes(await provider.send(raw_call(stream=stream)))
    assert (len(server.requests), server.connections) == (3, 1)


async def test_refused_requests_share_one_connection(provide):
    async with serving(answering(b"{}", status="400 Bad Request")) as server:
        provider = provide(server)
        for _ in range(3):
            with pytest.raises(UpstreamRefused):
                await provider.send(call())
    assert (len(server.requests), server.connections) == (3, 1)


# ---------------------------------------------------------------- counting


async def test_a_host_that_counts_tokens_is_asked(provide):
    async with serving(answering(b'{"input_tokens": 42}')) as server:
        rules = BodyRules(leave_out=frozenset({"stream"}))
        provider = provide(server, counting=Counting(FixedEndpoint(server.url + "/count"), rules))
        assert await provider.count_tokens(raw_call(stream=False)) == 42
        assert await provider.count_tokens(raw_call(stream=True)) == 42
        assert await provider.count_tokens(call()) == 42
    own, streamed, translated = server.requests
    assert own.line == "POST /count HTTP/1.1"
    assert own.body == RAW_WHOLE.replace(b"lynkr-auto", b"big-1")
    assert "stream" not in json.loads(streamed.body)
    assert json.loads(translated.body) == {"model": "big-1", "prompt": "hi"}


async def test_a_host_that_does_not_count_tokens_is_not_asked(provide):
    async with serving(answering(b"{}", status="404 Not Found")) as server:
        assert await provide(server).count_tokens(call()) is None
        assert server.requests == []
        counting = Counting(FixedEndpoint(server.url))
        assert await provide(server, counting=counting).count_tokens(call()) is None


async def test_a_failed_count_is_an_exception(provide):
    async with serving(answering(b'{"input_tokens": "many"}')) as server:
        with pytest.raises(UpstreamWireError, match="tiny:big-1"):
            await provide(server, counting=Counting(FixedEndpoint(server.url))).count_tokens(call())
    async with serving(answering(b"{}", status="529 Overloaded")) as server:
        with pytest.raises(UpstreamBusy):
            await provide(server, counting=Counting(FixedEndpoint(server.url))).count_tokens(call())


# ---------------------------------------------------------------- hosts with their own bodies and addresses

CLOUD = BodyRules(
    leave_out=frozenset({"model", "stream"}), fixed={"version": "cloud-1"}, betas_field="anthropic_beta"
)
AT_MODEL = "/model/{model}/whole", "/model/{model}/streamed"


def at_model(server):
    return ModelEndpoint(server.url + AT_MODEL[0], server.url + AT_MODEL[1])


async def test_a_model_in_the_path_leaves_the_body_and_the_rest_of_it_is_kept(provide):
    async with serving(streaming(*STREAM)) as server:
        provider = provide(server, rules=CLOUD, endpoint=at_model(server))
        await all_bytes(await provider.send(raw_call(headers={"anthropic-beta": "a-1, b-2"})))
        await all_events(await provider.send(call(stream=True)))
    own, translated = server.requests
    assert own.line == translated.line == "POST /model/big-1/streamed HTTP/1.1"
    assert own.body == (b'{"version":"cloud-1","anthropic_beta":["a-1","b-2"],"n":1e2 , "x":"\\u00e9" }')
    assert "anthropic-beta" not in own.headers
    assert json.loads(translated.body) == {"prompt": "hi", "version": "cloud-1"}


async def test_a_whole_answer_comes_from_the_other_address(provide):
    async with serving(answering(WHOLE)) as server:
        provider = provide(server, rules=CLOUD, endpoint=at_model(server))
        await all_bytes(await provider.send(raw_call(stream=False)))
    assert server.requests[0].line == "POST /model/big-1/whole HTTP/1.1"
    assert server.requests[0].body == b'{"version":"cloud-1","z":0.10}'


async def test_a_model_no_path_can_name_is_refused_unsent(provide):
    async with serving(answering(WHOLE)) as server:
        provider = provide(server, endpoint=at_model(server))
        with pytest.raises(UpstreamRefused, match="path") as caught:
            await provider.send(Call(request(stream=True), Target("tiny", "..")))
    assert (caught.value.target, caught.value.status) == ("tiny:..", 404)
    assert server.requests == []


class Doubled:
    """A framing for tests: every byte twice; a pair that differs is a fault."""

    media_type = "application/x-doubled"

    def unwrapper(self):
        return Halving()


class Halving:
    def __init__(self):
        self._rest, self._fault = b"", False

    def feed(self, data, /):
        if self._fault:
            raise UpstreamWireError("not doubled")
        data = self._rest + data
        self._rest = data[len(data) & ~1 :]
        pairs = [data[at : at + 2] for at in range(0, len(data) & ~1, 2)]
        good = next((at for at, pair in enumerate(pairs) if pair[0] != pair[1]), len(pairs))
        self._fault = good < len(pairs)
        if self._fault and not good:
            raise UpstreamWireError("not doubled")
        return b"".join(pair[:1] for pair in pairs[:good])

    def close(self):
        if self._rest or self._fault:
            raise UpstreamWireError("not doubled to the end")
        return b""


def doubled(*pieces):
    return [bytes(byte for byte in piece for _ in (0, 1)) for piece in pieces]


def wrapped(*pieces):
    return streaming(*pieces, content_type=Doubled.media_type)


@pytest.mark.parametrize("size", [1, 3, 10_000])
async def test_a_wrapping_around_the_stream_is_taken_off_on_both_paths(provide, size):
    whole = b"".join(doubled(*STREAM))
    pieces = [whole[at : at + size] for at in range(0, len(whole), size)]
    async with serving(wrapped(*pieces)) as server:
        provider = provide(server, framing=Doubled())
        reply = await provider.send(raw_call())
        assert await all_bytes(reply) == b"".join(STREAM)
        assert reply.content_type == TinyCodec().stream_media_type
        assert reply.tally.complete
        translated = await provider.send(call(stream=True))
        events = await all_events(translated)
    assert isinstance(events[-1], Finish)
    assert server.requests[0].headers["accept"] == Doubled.media_type


@pytest.mark.parametrize("raw", [True, False])
async def test_a_broken_wrapping_ends_the_stream_with_a_fault_that_names_the_target(provide, raw):
    pieces = doubled(START, HELLO)
    async with serving(wrapped(*pieces, b"!?")) as server:
        reply = await provide(server, framing=Doubled()).send(raw_call() if raw else call(stream=True))
        items, error = await drained(reply)
    assert items
    assert isinstance(error, UpstreamWireError)
    assert str(error).startswith("tiny:big-1: not doubled")
    assert not reply.tally.complete


async def test_a_stream_cut_inside_the_wrapping_is_a_fault(provide):
    pieces = doubled(START, HELLO)
    async with serving(wrapped(*pieces, b"!")) as server:
        reply = await provide(server, framing=Doubled()).send(raw_call())
        with pytest.raises(UpstreamWireError, match="tiny:big-1"):
            await all_bytes(reply)


async def test_a_host_that_left_its_wrapping_out_is_understood(provide):
    async with serving(streaming(*STREAM)) as server:
        reply = await provide(server, framing=Doubled()).send(raw_call())
        assert await all_bytes(reply) == b"".join(STREAM)


# ---------------------------------------------------------------- answers without a name


class NamelessCodec(TinyCodec):
    """A dialect whose answers tell neither an id nor their model."""

    def decode_response(self, body, /):
        return evolve(super().decode_response(body), id="", model="")

    def event_decoder(self):
        return NamelessDecoder(super().event_decoder())


class NamelessDecoder:
    def __init__(self, inner):
        self._inner = inner

    def feed(self, data, /):
        return [Start("", "") if isinstance(e, Start) else e for e in self._inner.feed(data)]

    def close(self):
        return self._inner.close()


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("extra", ["x-amzn-RequestId: r-1\r\n", ""])
async def test_an_answer_without_id_and_model_gets_those_of_its_request(provide, stream, extra):
    handler = streaming(*STREAM, extra=extra) if stream else answering(WHOLE, extra=extra)
    async with serving(handler) as server:
        reply = await provide(server, codec=NamelessCodec()).send(call(stream=stream))
        response = fold(await all_events(reply))
    assert response.model == "big-1" == reply.tally.model
    assert response.id == reply.tally.id
    assert response.id == "r-1" if extra else len(response.id) > 20


async def test_an_answer_that_names_itself_keeps_its_names(provide):
    async with serving(streaming(*STREAM, extra="x-request-id: r-1\r\n")) as server:
        response = fold(await all_events(await provide(server).send(call(stream=True))))
    assert (response.id, response.model) != ("r-1", "big-1")
