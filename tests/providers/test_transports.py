"""What `Transport` promises, asked of each implementation on each event loop over real sockets."""

import gzip
import json
import random
import socket

import anyio
import pytest

from lynkr.providers.aiohttp_transport import AiohttpTransport
from lynkr.providers.base import HTTPRequest, Timeouts, TransportError, TransportTimeout
from lynkr.providers.httpx_transport import HttpxTransport
from tests.providers.loopback import serving

pytestmark = pytest.mark.anyio

SHORT = 0.05
SOON = 0.25


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
async def transport(seam, anyio_backend):
    transport = seam[1]()
    with anyio.CancelScope(shield=True):
        yield transport
        await transport.aclose()


@pytest.fixture(autouse=True)
async def in_time(anyio_backend):
    with anyio.fail_after(20):
        yield


def post(url, body=b"{}", timeouts=None, **headers):
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return HTTPRequest("POST", url, named, body, timeouts or Timeouts())


async def read(response):
    return b"".join([chunk async for chunk in response.chunks()])


async def fetch(transport, request):
    async with transport.send(request) as response:
        return response.status, response.headers, await read(response)


async def test_a_request_arrives_as_it_was_given(transport):
    async def handler(peer, request):
        await peer.answer(b"[]", extra="X-Request-Id: R1\r\nX-Twice: a\r\nX-Twice: b\r\n")

    async with serving(handler) as server:
        status, headers, body = await fetch(
            transport,
            post(server.url + "/v1/x?q=1", b'{"a":1}', x_api_key="k", content_type="application/json"),
        )
    assert (status, body) == (200, b"[]")
    assert headers["x-request-id"] == "R1"
    assert headers["x-twice"] == "a, b"
    assert all(name == name.lower() for name in headers)
    (request,) = server.requests
    assert request.line == "POST /v1/x?q=1 HTTP/1.1"
    assert request.body == b'{"a":1}'
    assert request.headers["x-api-key"] == "k"
    assert request.headers["content-type"] == "application/json"
    assert request.headers["accept-encoding"] == "identity"
    assert not {"user-agent", "accept", "cookie", "transfer-encoding"} & set(request.headers)


@pytest.mark.parametrize("path", ["/model/a.b-v1%3A0/converse", "/m/%40x%2Fy", "/a:b/@c", "/x?q=%3A+%20"])
async def test_an_address_is_requested_in_the_very_spelling_it_was_given(transport, path):
    async def handler(peer, request):
        await peer.answer(b"{}")

    async with serving(handler) as server:
        await fetch(transport, post(server.url + path, b"{}"))
    assert server.requests[0].line == f"POST {path} HTTP/1.1"


async def test_a_request_without_body_is_sent(transport):
    async def handler(peer, request):
        await peer.answer(b"{}")

    async with serving(handler) as server:
        status, _, _ = await fetch(transport, HTTPRequest("GET", server.url + "/v1/models", {}, b""))
    assert status == 200
    assert server.requests[0].line == "GET /v1/models HTTP/1.1"


async def test_a_large_body_arrives_whole(transport):
    body = random.Random(1).randbytes(3_000_000)

    async def handler(peer, request):
        await peer.answer(b"{}")

    async with serving(handler) as server:
        await fetch(transport, post(server.url, body))
    assert server.requests[0].body == body
    assert server.requests[0].headers["content-length"] == str(len(body))


async def test_a_streams_bytes_pass_unchanged_however_the_server_cuts_them(transport):
    dice = random.Random(2)
    whole = dice.randbytes(20_000)

    async def handler(peer, request):
        await peer.begin_stream()
        rest = whole
        while rest:
            cut = dice.choice((1, 2, 3, 100, 5000))
            await peer.chunk(rest[:cut])
            rest = rest[cut:]
        await peer.end_stream()

    async with serving(handler) as server:
        assert (await fetch(transport, post(server.url)))[2] == whole


async def test_each_chunk_is_delivered_as_soon_as_it_arrives(transport):
    answered = anyio.Event()

    async def handler(peer, request):
        await peer.begin_stream()
        await peer.chunk(b"first")
        await answered.wait()
        await peer.chunk(b"second")
        await peer.end_stream()

    async with serving(handler) as server, transport.send(post(server.url)) as response:
        chunks = response.chunks()
        assert await anext(chunks) == b"first"
        answered.set()
        assert await anext(chunks) == b"second"
        with pytest.raises(StopAsyncIteration):
            await anext(chunks)
        with pytest.raises(StopAsyncIteration):
            await anext(chunks)


async def test_a_body_read_whole_returns_its_connection_to_the_pool(transport):
    async def handler(peer, request):
        await peer.begin_stream()
        await peer.chunk(b"x")
        await peer.end_stream()

    async with serving(handler) as server:
        for _ in range(3):
            await fetch(transport, post(server.url))
    assert len(server.requests) == 3
    assert server.connections == 1


@pytest.mark.parametrize("read_first", [False, True])
async def test_leaving_early_closes_the_socket_at_once(transport, read_first):
    closed = anyio.Event()

    async def handler(peer, request):
        await peer.begin_stream()
        await peer.chunk(b"x" * 10)
        await peer.closed()
        closed.set()

    async with serving(handler) as server:
        async with transport.send(post(server.url)) as response:
            if read_first:
                await anext(response.chunks())
        with anyio.fail_after(SOON):
            await closed.wait()


@pytest.mark.parametrize("waiting_for", ["head", "chunk"])
async def test_cancellation_closes_the_socket_at_once(transport, waiting_for):
    arrived, closed = anyio.Event(), anyio.Event()

    async def handler(peer, request):
        if waiting_for == "chunk":
            await peer.begin_stream()
            await peer.chunk(b"x")
        arrived.set()
        await peer.closed()
        closed.set()

    async def ask(url):
        async with transport.send(post(url)) as response:
            if waiting_for == "chunk":
                await anext(response.chunks())
            await read(response)

    async with serving(handler) as server:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(ask, server.url)
            await arrived.wait()
            await anyio.wait_all_tasks_blocked()
            tasks.cancel_scope.cancel()
        with anyio.fail_after(SOON):
            await closed.wait()


async def test_another_task_may_leave_the_context(transport):
    closed = anyio.Event()

    async def handler(peer, request):
        await peer.begin_stream()
        await peer.chunk(b"x")
        await peer.closed()
        closed.set()

    async with serving(handler) as server:
        exchange = transport.send(post(server.url))
        response = await exchange.__aenter__()
        assert await anext(response.chunks()) == b"x"
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(exchange.__aexit__, None, None, None)
        with anyio.fail_after(SOON):
            await closed.wait()


async def test_another_task_may_leave_the_context_while_one_reads(transport):
    async def handler(peer, request):
        await peer.begin_stream()
        await peer.chunk(b"x")
        await peer.closed()

    async with serving(handler) as server:
        exchange = transport.send(post(server.url))
        chunks = (await exchange.__aenter__()).chunks()
        assert await anext(chunks) == b"x"

        async def read_on():
            with pytest.raises((TransportError, StopAsyncIteration)):
                await anext(chunks)

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(read_on)
            await anyio.wait_all_tasks_blocked()
            await exchange.__aexit__(None, None, None)


async def test_closing_the_transport_ends_answers_being_read(transport):
    async def handler(peer, request):
        await peer.begin_stream()
        await peer.chunk(b"x")
        await peer.closed()

    async with serving(handler) as server, transport.send(post(server.url)) as response:
        chunks = response.chunks()
        await anext(chunks)

        async def read_on():
            with pytest.raises(TransportError):
                await anext(chunks)

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(read_on)
            await anyio.wait_all_tasks_blocked()
            await transport.aclose()
            await transport.aclose()


async def test_a_transport_may_be_used_again_after_it_was_closed(transport):
    async def handler(peer, request):
        await peer.answer(b"{}")

    async with serving(handler) as server:
        await fetch(transport, post(server.url))
        await transport.aclose()
        assert (await fetch(transport, post(server.url)))[0] == 200


async def test_a_redirect_is_an_answer(transport):
    async def handler(peer, request):
        await peer.answer(b"", status="307 Temporary Redirect", extra="location: /elsewhere\r\n")

    async with serving(handler) as server:
        status, headers, _ = await fetch(transport, post(server.url))
    assert (status, headers["location"]) == (307, "/elsewhere")
    assert len(server.requests) == 1


async def test_cookies_are_not_kept(transport):
    async def handler(peer, request):
        await peer.answer(b"", extra="set-cookie: who=me\r\n")

    async with serving(handler) as server:
        await fetch(transport, post(server.url))
        await fetch(transport, post(server.url))
    assert "cookie" not in server.requests[1].headers


async def test_proxies_of_the_environment_are_ignored(transport, monkeypatch):
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)

    async def handler(peer, request):
        await peer.answer(b"{}")

    async with serving(handler) as server:
        assert (await fetch(transport, post(server.url)))[0] == 200


async def test_a_content_encoding_is_undone(transport):
    packed = gzip.compress(b'{"a": 1}' * 1000)

    async def handler(peer, request):
        await peer.answer(packed, extra="content-encoding: gzip\r\n")

    async with serving(handler) as server:
        assert (await fetch(transport, post(server.url, accept_encoding="gzip")))[2] == b'{"a": 1}' * 1000
    assert server.requests[0].headers["accept-encoding"] == "gzip"


GARBLED = {
    "content-length": b"content-length: 10\r\n\r\n12345",
    "chunked": b"transfer-encoding: chunked\r\n\r\n5\r\n12345\r\n",
    "inside a chunk": b"transfer-encoding: chunked\r\n\r\n5\r\n12345\r\n9\r\n123",
    "chunk size": b"transfer-encoding: chunked\r\n\r\n5\r\n12345\r\nnot a size\r\n",
    "not gzip": b"content-encoding: gzip\r\ncontent-length: 9\r\n\r\nnot gzip!",
    "gzip cut": b"content-encoding: gzip\r\ncontent-length: 20\r\n\r\n" + gzip.compress(b"x" * 99)[:20],
    "unknown encoding": b"content-encoding: br\r\ncontent-length: 1\r\n\r\nx",
}


@pytest.mark.parametrize("cut", GARBLED.values(), ids=GARBLED.keys())
async def test_a_body_cut_short_or_garbled_is_an_error(transport, cut):
    async def handler(peer, request):
        await peer.send(b"HTTP/1.1 200 OK\r\n" + cut)
        await peer.stream.aclose()

    async with serving(handler) as server:
        with pytest.raises(TransportError) as caught:
            await fetch(transport, post(server.url))
    assert not isinstance(caught.value, TransportTimeout)


async def test_what_arrived_before_the_connection_broke_is_delivered(transport):
    broken = anyio.Event()

    async def handler(peer, request):
        await peer.begin_stream()
        await peer.chunk(b"all of it")
        await peer.stream.aclose()
        broken.set()

    async with serving(handler) as server, transport.send(post(server.url)) as response:
        await broken.wait()
        await anyio.wait_all_tasks_blocked()
        chunks = response.chunks()
        assert await anext(chunks) == b"all of it"
        with pytest.raises(TransportError):
            await anext(chunks)


@pytest.mark.parametrize(
    "reply", [b"", b"HTTP/1.1 200 OK\r\nconte", b"SSH-2.0-x\r\n"], ids=["none", "half", "no http"]
)
async def test_an_answer_without_a_head_is_an_error(transport, reply):
    async def handler(peer, request):
        if reply:
            await peer.send(reply)
        await peer.stream.aclose()

    async with serving(handler) as server:
        with pytest.raises(TransportError):
            await fetch(transport, post(server.url))


async def test_a_kept_connection_the_server_closed_is_not_silently_tried_twice(transport):
    async def handler(peer, request):
        if len(server.requests) == 1:
            await peer.answer(b"{}")
        else:
            await peer.stream.aclose()

    async with serving(handler) as server:
        await fetch(transport, post(server.url))
        with pytest.raises(TransportError):
            await fetch(transport, post(server.url))
    assert len(server.requests) == 2


async def test_a_refused_connection_is_an_error(transport):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        with pytest.raises(TransportError) as caught:
            await fetch(transport, post(f"http://127.0.0.1:{port}"))
    assert not isinstance(caught.value, TransportTimeout)


async def test_a_host_that_does_not_exist_is_an_error(transport):
    with pytest.raises(TransportError):
        await fetch(transport, post("http://lynkr-test.invalid/v1"))


async def test_a_server_that_does_not_accept_runs_into_the_connect_timeout(transport):
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        port = full.getsockname()[1]
        fillers = []
        for _ in range(8):
            filler = socket.socket()
            filler.setblocking(False)
            filler.connect_ex(("127.0.0.1", port))
            fillers.append(filler)
        try:
            with pytest.raises(TransportTimeout) as caught:
                await fetch(transport, post(f"http://127.0.0.1:{port}", timeouts=Timeouts(connect=SHORT)))
        finally:
            for filler in fillers:
                filler.close()
    assert caught.value.phase == "connect"


async def test_waiting_for_a_place_in_the_pool_is_part_of_connecting(seam):
    transport = seam[1](max_connections=1)

    async def handler(peer, request):
        await peer.begin_stream()
        await peer.chunk(b"x")
        await peer.closed()

    async with serving(handler) as server:
        async with transport.send(post(server.url)):
            with pytest.raises(TransportTimeout) as caught:
                await fetch(transport, post(server.url, timeouts=Timeouts(connect=SHORT)))
        await transport.aclose()
    assert caught.value.phase == "connect"


async def test_a_silent_server_runs_into_the_first_byte_timeout(transport):
    closed = anyio.Event()

    async def handler(peer, request):
        await peer.closed()
        closed.set()

    async with serving(handler) as server:
        with pytest.raises(TransportTimeout) as caught:
            await fetch(transport, post(server.url, timeouts=Timeouts(first_byte=SHORT)))
        assert caught.value.phase == "first_byte"
        with anyio.fail_after(SOON):
            await closed.wait()


async def test_a_server_that_does_not_read_the_body_runs_into_the_first_byte_timeout(transport):
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen()
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    request = post(url, bytes(20_000_000), timeouts=Timeouts(connect=SHORT, first_byte=SHORT))
    with listener, pytest.raises(TransportTimeout) as caught:
        await fetch(transport, request)
    assert caught.value.phase == "first_byte"


@pytest.mark.parametrize("chunks", [0, 1])
async def test_a_stream_that_falls_silent_runs_into_the_idle_timeout(transport, chunks):
    async def handler(peer, request):
        await peer.begin_stream()
        for _ in range(chunks):
            await peer.chunk(b"x")
        await peer.closed()

    async with (
        serving(handler) as server,
        transport.send(post(server.url, timeouts=Timeouts(idle=SHORT))) as response,
    ):
        with pytest.raises(TransportTimeout) as caught:
            await read(response)
    assert caught.value.phase == "idle"


async def test_the_first_byte_timeout_does_not_bound_the_body(transport):
    silence = 3 * SHORT

    async def handler(peer, request):
        await peer.begin_stream()
        await peer.chunk(b"x")
        with anyio.move_on_after(silence):
            await peer.closed()
        await peer.chunk(b"y")
        await peer.end_stream()

    async with serving(handler) as server:
        body = (await fetch(transport, post(server.url, timeouts=Timeouts(first_byte=SHORT, idle=10))))[2]
    assert body == b"xy"


@pytest.mark.parametrize("head", [False, True], ids=["before the head", "in the body"])
async def test_the_whole_exchange_is_bounded_by_the_total_timeout(transport, head):
    async def handler(peer, request):
        if head:
            await peer.begin_stream()
        with anyio.CancelScope() as here:
            while head and not here.cancel_called:
                await peer.chunk(b"x")
                with anyio.move_on_after(SHORT / 10):
                    await peer.closed()
                    here.cancel()
        await peer.closed()

    async with serving(handler) as server:
        began = anyio.current_time()
        with pytest.raises(TransportTimeout) as caught:
            await fetch(transport, post(server.url, timeouts=Timeouts(total=3 * SHORT)))
        assert anyio.current_time() - began < 3 * SHORT + SOON
    assert caught.value.phase == "total"
    assert "0.15 s" in str(caught.value)


async def test_time_that_ran_out_while_nobody_read_is_told_to_the_next_reader(transport):
    async def handler(peer, request):
        await peer.begin_stream()
        await peer.chunk(b"x")
        await peer.closed()

    async with (
        serving(handler) as server,
        transport.send(post(server.url, timeouts=Timeouts(total=2 * SHORT))) as response,
    ):
        chunks = response.chunks()
        assert await anext(chunks) == b"x"
        await anyio.sleep_until(anyio.current_time() + 3 * SHORT)
        began = anyio.current_time()
        with pytest.raises(TransportTimeout) as caught:
            await anext(chunks)
        assert anyio.current_time() - began < SOON
    assert caught.value.phase == "total"


async def test_a_request_that_is_cancelled_while_it_waits_is_cancelled(transport):
    async def handler(peer, request):
        await peer.closed()

    async with serving(handler) as server:
        with anyio.move_on_after(SHORT) as scope:
            await fetch(transport, post(server.url, timeouts=Timeouts(first_token=100 * SHORT)))
    assert scope.cancelled_caught


async def test_a_header_that_may_not_be_sent_is_refused_without_showing_it(transport):
    async def handler(peer, request):
        raise AssertionError("nothing may be sent")

    async with serving(handler) as server:
        with pytest.raises(TransportError) as caught:
            await fetch(transport, post(server.url, authorization="Bearer sk-hidden\r\nx: y"))
    assert "sk-hidden" not in str(caught.value)
    assert server.requests == []


async def test_many_streams_at_once_do_not_mix(transport):
    async def handler(peer, request):
        await peer.begin_stream()
        number = json.loads(request.body)["number"]
        for _ in range(5):
            await peer.chunk(b"%d," % number)
        await peer.end_stream()

    answers = {}

    async def ask(url, number):
        answers[number] = (await fetch(transport, post(url, b'{"number":%d}' % number)))[2]

    async with serving(handler) as server, anyio.create_task_group() as tasks:
        for number in range(64):
            tasks.start_soon(ask, server.url, number)
    assert answers == {number: b"%d," % number * 5 for number in range(64)}
