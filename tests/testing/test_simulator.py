"""The simulator against the vendors' own clients, and its faults against a bare socket."""

import json
import socket
import subprocess
import sys

import anthropic
import anyio
import anyio.to_thread
import openai
import pytest
from anyio.lowlevel import checkpoint
from attrs import evolve

from lynkr.model import WireFormat
from lynkr.testing.answers import turn_of
from lynkr.testing.anthropic_grammar import validate_anthropic_stream
from lynkr.testing.faults import (
    Send,
    cut_after,
    drip,
    error_event,
    garbage,
    reset,
    script,
    stall,
    status,
)
from lynkr.testing.simulator import RecordedRequest, Simulator, SimulatorServer

pytestmark = pytest.mark.anyio

WEATHER = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "days": {"type": "integer", "minimum": 2}},
    "required": ["city", "days"],
}
ANTHROPIC_TOOL = {"name": "get_weather", "description": "d", "input_schema": WEATHER}
OPENAI_TOOL = {"type": "function", "function": {"name": "get_weather", "parameters": WEATHER}}


def anthropic_client(server):
    return anthropic.Anthropic(base_url=server.url, api_key="k", max_retries=0, timeout=10)


def openai_client(server):
    return openai.OpenAI(base_url=f"{server.url}/v1", api_key="k", max_retries=0, timeout=10)


async def in_thread(work, *args):
    with anyio.fail_after(30):
        return await anyio.to_thread.run_sync(work, *args)


def body_of(format, *, stream=False, model="sim-small", text="hello né 🙂"):
    body = {"model": model, "stream": stream, "messages": [{"role": "user", "content": text}]}
    return {**body, "max_tokens": 100} if format is WireFormat.ANTHROPIC_MESSAGES else body


def path_of(format):
    return "/v1/messages" if format is WireFormat.ANTHROPIC_MESSAGES else "/v1/chat/completions"


async def exchange(server, body, path="/v1/messages", *, method="POST"):
    """All bytes the server sends for one request, and the error that ended them, if any."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    head = f"{method} {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: {len(data)}\r\n\r\n"
    return await in_thread(exchange_blocking, server.url, head.encode() + data)


def exchange_blocking(url, data):
    host, _, port = url.removeprefix("http://").partition(":")
    received = b""
    with socket.create_connection((host, int(port)), timeout=10) as sock:
        sock.sendall(data)
        try:
            while chunk := sock.recv(65536):
                received += chunk
        except ConnectionResetError as error:
            return received, error
    return received, None


FORMATS = pytest.mark.parametrize("format", [WireFormat.ANTHROPIC_MESSAGES, WireFormat.OPENAI_CHAT])


# --- Answers, read by the vendors' clients ------------------------------------------------------------


async def test_anthropic_client_reads_a_whole_answer(server):
    def ask():
        with anthropic_client(server) as client:
            raw = client.messages.with_raw_response.create(
                model="sim-small", max_tokens=100, messages=[{"role": "user", "content": "say né 🙂"}]
            )
            counted = client.messages.count_tokens(
                model="sim-small", messages=[{"role": "user", "content": "say né 🙂"}]
            )
        return raw, counted

    raw, counted = await in_thread(ask)
    message = raw.parse()
    assert raw.headers["x-simulator"] == "lynkr"
    assert message.content[0].text.startswith("[lynkr simulator] sim-small")
    assert message.content[0].text.endswith("say né 🙂")
    assert message.stop_reason == "end_turn"
    assert message.usage.input_tokens == counted.input_tokens > 0
    assert message.usage.output_tokens > 0


async def test_anthropic_client_streams_the_same_answer(server):
    arguments = {
        "model": "sim-small",
        "max_tokens": 2048,
        "thinking": {"type": "enabled", "budget_tokens": 1024},
        "messages": [{"role": "user", "content": "hello né 🙂"}],
    }

    def ask():
        with anthropic_client(server) as client:
            whole = client.messages.create(**arguments)
            with client.messages.stream(**arguments) as stream:
                return whole, stream.get_final_message()

    whole, streamed = await in_thread(ask)
    assert [block.type for block in whole.content] == ["thinking", "text"]
    assert streamed.model_dump(exclude={"usage"}, exclude_none=True) == whole.model_dump(
        exclude={"usage"}, exclude_none=True
    )
    assert streamed.usage.output_tokens == whole.usage.output_tokens


async def test_anthropic_client_completes_a_tool_round_trip(server):
    def ask():
        said = [{"role": "user", "content": "use get_weather for Paris"}]
        with anthropic_client(server) as client:
            with client.messages.stream(
                model="sim-large", max_tokens=100, messages=said, tools=[ANTHROPIC_TOOL]
            ) as stream:
                asked = stream.get_final_message()
            call = asked.content[0]
            result = {"type": "tool_result", "tool_use_id": call.id, "content": "12 degrees"}
            said += [
                {"role": "assistant", "content": [call.model_dump(exclude_none=True)]},
                {"role": "user", "content": [result]},
            ]
            return asked, client.messages.create(
                model="sim-large", max_tokens=100, messages=said, tools=[ANTHROPIC_TOOL]
            )

    asked, answered = await in_thread(ask)
    assert (asked.stop_reason, asked.content[0].name) == ("tool_use", "get_weather")
    assert asked.content[0].input == {"city": "simulated né", "days": 2}
    assert answered.stop_reason == "end_turn"
    assert "12 degrees" in answered.content[0].text


async def test_openai_client_reads_a_whole_answer(server):
    def ask():
        with openai_client(server) as client:
            return client.chat.completions.create(
                model="sim-small", messages=[{"role": "user", "content": "say né 🙂"}]
            )

    completion = await in_thread(ask)
    assert completion.choices[0].message.content.endswith("say né 🙂")
    assert completion.choices[0].finish_reason == "stop"
    usage = completion.usage
    assert usage.total_tokens == usage.prompt_tokens + usage.completion_tokens


async def test_what_it_says_can_be_decided_by_the_test(anyio_backend):
    def compose(asked):
        call = ("x1", "get_weather", '{"city": "né"}')
        return evolve(turn_of(asked), text=f"asked {asked.turns} times", calls=(call,))

    async with SimulatorServer(Simulator(compose=compose)) as server:
        body = {**body_of(WireFormat.OPENAI_CHAT), "messages": [{"role": "user", "content": "hi"}]}

        def ask():
            # Closed, or their sockets would be found open in whichever test runs when they are collected.
            with openai_client(server) as one, anthropic_client(server) as two:
                return one.chat.completions.create(**body), two.messages.create(**body, max_tokens=9)

        completion, message = await in_thread(ask)
    (choice,) = completion.choices
    assert choice.message.content == "asked 0 times"
    assert choice.message.tool_calls[0].function.arguments == '{"city": "né"}'
    assert [block.type for block in message.content] == ["text", "tool_use"]
    assert message.content[1].input == {"city": "né"}


async def test_openai_client_streams_the_same_answer_with_usage(server):
    arguments = {"model": "sim-small", "messages": [{"role": "user", "content": "hello né 🙂"}]}

    def ask():
        with openai_client(server) as client:
            whole = client.chat.completions.create(**arguments)
            stream = client.chat.completions.create(
                **arguments, stream=True, stream_options={"include_usage": True}
            )
            return whole, list(stream)

    whole, chunks = await in_thread(ask)
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert text == whole.choices[0].message.content
    assert chunks[-1].usage == whole.usage
    assert {chunk.id for chunk in chunks} == {whole.id}


async def test_openai_client_completes_a_parallel_tool_round_trip(server):
    second = {"type": "function", "function": {"name": "get_time", "parameters": {"type": "object"}}}

    def ask():
        said = [{"role": "user", "content": "call get_weather and get_time"}]
        tools = [OPENAI_TOOL, second]
        with openai_client(server) as client:
            with client.chat.completions.stream(model="sim-large", messages=said, tools=tools) as stream:
                message = stream.get_final_completion().choices[0].message
            calls = [call.model_dump(include={"id", "type", "function"}) for call in message.tool_calls]
            for call in calls:
                call["function"] = {name: call["function"][name] for name in ("name", "arguments")}
            results = [{"role": "tool", "tool_call_id": call["id"], "content": "noon"} for call in calls]
            said += [{"role": "assistant", "tool_calls": calls}, *results]
            return calls, client.chat.completions.create(model="sim-large", messages=said, tools=tools)

    calls, answered = await in_thread(ask)
    assert [call["function"]["name"] for call in calls] == ["get_weather", "get_time"]
    assert json.loads(calls[0]["function"]["arguments"]) == {"city": "simulated né", "days": 2}
    assert len({call["id"] for call in calls}) == 2
    assert "noon" in answered.choices[0].message.content


async def test_both_clients_list_the_models(server):
    def ask():
        with anthropic_client(server) as first, openai_client(server) as second:
            return [model.id for model in first.models.list()], [model.id for model in second.models.list()]

    first, second = await in_thread(ask)
    assert first == second == list(server.simulator.models)


@pytest.mark.parametrize(
    ("code", "ours", "theirs"),
    [
        (400, anthropic.BadRequestError, openai.BadRequestError),
        (401, anthropic.AuthenticationError, openai.AuthenticationError),
        (403, anthropic.PermissionDeniedError, openai.PermissionDeniedError),
        (404, anthropic.NotFoundError, openai.NotFoundError),
        (429, anthropic.RateLimitError, openai.RateLimitError),
        (500, anthropic.InternalServerError, openai.InternalServerError),
        (529, anthropic.InternalServerError, openai.InternalServerError),
    ],
)
async def test_each_status_is_the_clients_own_error(anyio_backend, code, ours, theirs):
    simulator = Simulator(default=script(then=status(code, retry_after=2)))

    def ask(server):
        with anthropic_client(server) as first, pytest.raises(ours) as one:
            first.messages.create(model="m", max_tokens=9, messages=[{"role": "user", "content": "x"}])
        with openai_client(server) as second, pytest.raises(theirs) as two:
            second.chat.completions.create(model="m", messages=[{"role": "user", "content": "x"}])
        return one.value, two.value

    async with SimulatorServer(simulator) as server:
        one, two = await in_thread(ask, server)
    assert one.status_code == two.status_code == code
    assert one.response.headers["retry-after"] == two.response.headers["retry-after"] == "2"
    assert one.body["type"] == "error"
    assert "simulated" in two.body["message"]


async def test_an_error_event_in_mid_stream_reaches_both_clients(anyio_backend):
    simulator = Simulator(default=script(then=error_event(after=3)))

    def ask(server):
        with anthropic_client(server) as client, pytest.raises(anthropic.APIStatusError) as one:
            list(client.messages.create(**body_of(WireFormat.ANTHROPIC_MESSAGES, stream=True)))
        with openai_client(server) as client, pytest.raises(openai.APIError) as two:
            list(client.chat.completions.create(**body_of(WireFormat.OPENAI_CHAT, stream=True)))
        return one.value, two.value

    async with SimulatorServer(simulator) as server:
        one, two = await in_thread(ask, server)
    assert "overloaded_error" in str(one)
    assert "mid-stream" in str(two)


@FORMATS
@pytest.mark.parametrize("beyond", [0, 1, 50])
def test_no_provider_fails_after_its_own_end(format, beyond):
    body = body_of(format, stream=True)
    whole = answer_to(Simulator(), body, path_of(format))
    sends = sum(isinstance(move, Send) for move in whole.moves)
    assert error_event(sends + beyond)(whole) == whole
    assert b"mid-stream" in bytes_of(error_event(sends - 1)(whole))


# --- Answers as values --------------------------------------------------------------------------------


def answer_to(simulator, body, path="/v1/messages", headers=None):
    return simulator.answer(RecordedRequest("POST", path, "", headers or {}, json.dumps(body).encode()))


def bytes_of(answer):
    return b"".join(move.data for move in answer.moves if isinstance(move, Send))


@FORMATS
@pytest.mark.parametrize("stream", [False, True])
def test_equal_requests_get_equal_bytes(format, stream):
    body = body_of(format, stream=stream)
    answers = [answer_to(Simulator(), body, path_of(format)) for _ in range(2)]
    assert answers[0] == answers[1]
    assert answer_to(Simulator(), {**body, "model": "other"}, path_of(format)) != answers[0]


@pytest.mark.parametrize("text", ["hello", "use the tool get_weather"])
def test_anthropic_streams_follow_the_grammar(text):
    body = body_of(WireFormat.ANTHROPIC_MESSAGES, stream=True, text=text)
    answer = answer_to(Simulator(), {**body, "tools": [ANTHROPIC_TOOL], "thinking": {"type": "adaptive"}})
    validate_anthropic_stream(bytes_of(answer))


def test_an_answer_stops_at_max_tokens():
    body = {**body_of(WireFormat.ANTHROPIC_MESSAGES), "max_tokens": 3}
    message = json.loads(bytes_of(answer_to(Simulator(), body)))
    assert (message["stop_reason"], message["usage"]["output_tokens"]) == ("max_tokens", 3)


def test_a_schema_is_answered_by_a_value_it_describes():
    chat = {**body_of(WireFormat.OPENAI_CHAT), "response_format": {"type": "json_schema"}}
    chat["response_format"]["json_schema"] = {"name": "n", "schema": WEATHER}
    completion = json.loads(bytes_of(answer_to(Simulator(), chat, "/v1/chat/completions")))
    assert json.loads(completion["choices"][0]["message"]["content"]) == {"city": "simulated né", "days": 2}


def test_marked_prompts_are_written_to_the_cache_and_read_again():
    system = [{"type": "text", "text": "long " * 50, "cache_control": {"type": "ephemeral"}}]
    first = {**body_of(WireFormat.ANTHROPIC_MESSAGES), "system": system}
    usage = json.loads(bytes_of(answer_to(Simulator(), first)))["usage"]
    assert usage["cache_creation_input_tokens"] > 40
    assert usage["cache_read_input_tokens"] == 0
    said = [*first["messages"], {"role": "assistant", "content": "hi"}, {"role": "user", "content": "more"}]
    usage = json.loads(bytes_of(answer_to(Simulator(), {**first, "messages": said})))["usage"]
    assert usage["cache_read_input_tokens"] > 40
    assert usage["cache_creation_input_tokens"] == 0


@FORMATS
def test_a_prompt_over_the_window_is_refused_in_the_vendors_words(format):
    answer = answer_to(Simulator(context_window=5), body_of(format, text="word " * 50), path_of(format))
    assert answer.status == 400
    words = b"prompt is too long" if format is WireFormat.ANTHROPIC_MESSAGES else b"context_length_exceeded"
    assert words in bytes_of(answer)


@FORMATS
def test_requests_without_the_key_are_refused(format):
    simulator = Simulator(key="secret")
    assert answer_to(simulator, body_of(format), path_of(format)).status == 401
    for headers in ({"x-api-key": "secret"}, {"authorization": "Bearer secret"}):
        assert answer_to(simulator, body_of(format), path_of(format), headers).status == 200


@FORMATS
@pytest.mark.parametrize(
    "broken",
    [
        {},
        {"model": "m", "messages": []},
        {"model": 1, "messages": [{}]},
        {"model": "m", "messages": ["x"]},
        [],
    ],
)
def test_a_malformed_body_is_a_400(format, broken):
    body = {**broken, "max_tokens": 1} if isinstance(broken, dict) else broken
    assert answer_to(Simulator(), body, path_of(format)).status == 400


def test_scripts_are_followed_by_model_and_request():
    simulator = Simulator({"a": script(status(429), status(500))}, default=script(then=status(503)))
    order = [
        answer_to(simulator, body_of(WireFormat.OPENAI_CHAT, model=name), "/v1/chat/completions").status
        for name in "aabab"
    ]
    assert order == [429, 500, 503, 200, 503]
    simulator.play(script(status(404)), "a")
    assert answer_to(simulator, body_of(WireFormat.ANTHROPIC_MESSAGES, model="a")).status == 404
    assert [request.json["model"] for request in simulator.requests] == list("aababa")


def test_only_the_last_requests_are_kept():
    simulator = Simulator(keep=2)
    for text in "abc":
        answer_to(simulator, body_of(WireFormat.ANTHROPIC_MESSAGES, text=text))
    assert [request.json["messages"][0]["content"] for request in simulator.requests] == ["b", "c"]


# --- Faults, seen by a bare socket --------------------------------------------------------------------


@FORMATS
async def test_a_cut_stream_ends_in_order_without_its_last_chunk(anyio_backend, format):
    async with SimulatorServer(Simulator(default=script(then=cut_after(2)))) as server:
        received, error = await exchange(server, body_of(format, stream=True), path_of(format))
    assert error is None
    assert received.count(b"data: ") == 2
    assert not received.endswith(b"0\r\n\r\n")


async def test_a_cut_whole_answer_is_shorter_than_it_promised(anyio_backend):
    async with SimulatorServer(Simulator(default=script(then=cut_after(1)))) as server:
        received, error = await exchange(server, body_of(WireFormat.ANTHROPIC_MESSAGES))
    head, _, body = received.partition(b"\r\n\r\n")
    promised = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
    assert error is None
    assert 0 < len(body) < promised


@pytest.mark.parametrize(("after", "expected"), [(None, 0), (0, 0), (2, 2)])
async def test_a_reset_is_a_reset(anyio_backend, after, expected):
    async with SimulatorServer(Simulator(default=script(then=reset(after)))) as server:
        received, error = await exchange(server, body_of(WireFormat.ANTHROPIC_MESSAGES, stream=True))
    assert isinstance(error, ConnectionResetError)
    assert received.count(b"data: ") <= expected  # unread bytes may be lost with the connection
    assert after is not None or received == b""


async def test_garbage_is_a_200_that_is_not_the_dialect(anyio_backend):
    async with SimulatorServer(Simulator(default=script(then=garbage()))) as server:
        whole, _ = await exchange(server, body_of(WireFormat.ANTHROPIC_MESSAGES))
        stream, _ = await exchange(server, body_of(WireFormat.ANTHROPIC_MESSAGES, stream=True))
    assert whole.startswith(b"HTTP/1.1 200")
    assert b"<html>" in whole
    assert b'data: {"type": \n\n' in stream


async def test_a_dripped_answer_has_the_same_bytes(anyio_backend):
    body = body_of(WireFormat.ANTHROPIC_MESSAGES, stream=True)
    plain = bytes_of(answer_to(Simulator(), body))
    dripped = drip(0, size=1)(answer_to(Simulator(), body))
    assert bytes_of(dripped) == plain
    async with SimulatorServer(Simulator(default=script(drip(0, size=7)))) as server:
        slow, _ = await exchange(server, body)
        fast, _ = await exchange(server, body)
    assert dechunked(slow) == dechunked(fast) == plain


def dechunked(received):
    rest, body = received.partition(b"\r\n\r\n")[2], b""
    while rest:
        size, _, rest = rest.partition(b"\r\n")
        body, rest = body + rest[: int(size, 16)], rest[int(size, 16) + 2 :]
    return body


@pytest.mark.parametrize("after", [None, 0, 2])
async def test_a_stall_lasts_until_the_client_leaves(anyio_backend, after):
    simulator = Simulator(default=script(then=stall(after)))
    with anyio.fail_after(10):
        async with SimulatorServer(simulator) as server:
            host, _, port = server.url.removeprefix("http://").partition(":")
            async with await anyio.connect_tcp(host, int(port)) as stream:
                data = json.dumps(body_of(WireFormat.ANTHROPIC_MESSAGES, stream=True)).encode()
                head = f"POST /v1/messages HTTP/1.1\r\nhost: x\r\ncontent-length: {len(data)}\r\n\r\n"
                await stream.send(head.encode() + data)
                await server.wait_until(lambda simulator: simulator.active == 1)
                received = b""
                while after is not None and received.count(b"data: ") < after:
                    received += await stream.receive()
                assert simulator.abandoned == 0
            await server.wait_until(lambda simulator: simulator.abandoned == 1)
            assert simulator.active == 0


async def test_a_short_stall_goes_on_afterwards(anyio_backend):
    body = body_of(WireFormat.OPENAI_CHAT, stream=True)
    async with SimulatorServer(Simulator(default=script(stall(1, seconds=0.01)))) as server:
        stalled, _ = await exchange(server, body, "/v1/chat/completions")
        plain, _ = await exchange(server, body, "/v1/chat/completions")
    assert dechunked(stalled) == dechunked(plain)


# --- The server ---------------------------------------------------------------------------------------


async def test_a_connection_serves_many_requests_and_pipelined_ones(server):
    data = json.dumps(body_of(WireFormat.ANTHROPIC_MESSAGES)).encode()
    head = f"POST /v1/messages HTTP/1.1\r\nhost: x\r\ncontent-length: {len(data)}\r\n\r\n".encode()
    last = head.replace(b"host: x", b"host: x\r\nconnection: close")
    received, error = await in_thread(exchange_blocking, server.url, (head + data) * 2 + last + data)
    assert error is None
    assert received.count(b"HTTP/1.1 200") == 3
    assert server.simulator.abandoned == 0


@pytest.mark.parametrize(
    ("method", "path", "expected"),
    [
        ("GET", "/health", b"200"),
        ("GET", "/v1/models", b"200"),
        ("GET", "/v1/messages", b"405"),
        ("POST", "/nowhere", b"404"),
        ("POST", "/v1/messages", b"400"),
    ],
)
async def test_routes(server, method, path, expected):
    received, _ = await exchange(server, b"", path, method=method)
    assert received.split(b" ")[1] == expected


async def test_what_is_not_http_is_a_400(server):
    received, _ = await in_thread(exchange_blocking, server.url, b"\x16\x03\x01 not http\r\n\r\n")
    assert received.startswith(b"HTTP/1.1 400")


async def test_leaving_the_context_drops_what_is_open(anyio_backend):
    with anyio.fail_after(10):
        async with SimulatorServer(Simulator(default=script(then=stall()))) as server:
            host, _, port = server.url.removeprefix("http://").partition(":")
            stream = await anyio.connect_tcp(host, int(port))
            await stream.send(b"POST /v1/messages HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\n\r\n{}")
            await server.wait_until(lambda simulator: simulator.active == 1)
        async with stream:
            with pytest.raises((anyio.EndOfStream, anyio.BrokenResourceError)):
                await stream.receive()
        await checkpoint()
        assert server.simulator.active == 0


def test_the_command_prints_its_url_first_and_stops_when_told():
    command = [sys.executable, "-m", "lynkr.testing.simulator", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            url = process.stdout.readline().strip()
            received, _ = exchange_blocking(
                url, b"GET /health HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"
            )
        finally:
            process.terminate()
        assert process.wait(10) == 0
    assert b'"simulator":true' in received


def test_the_simulator_needs_neither_hypothesis_nor_a_web_framework():
    program = (
        "import sys, lynkr.testing.simulator as s; print(*sorted({m.split('.')[0] for m in sys.modules}))"
    )
    loaded = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    ).stdout.split()
    assert not {"hypothesis", "httpx", "aiohttp", "uvicorn", "lynkr_server"} & set(loaded)


@pytest.fixture
async def server(anyio_backend):
    async with SimulatorServer() as running:
        yield running
