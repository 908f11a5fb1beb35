"""The official SDKs, unmodified, against the running gateway, in front of both kinds of upstream.

anthropic 2.12 and openai 3.54 (November 2026); older ones of the same major
versions have the same surface.
"""

import asyncio
import base64
import json
import socket
import struct
import zlib
from collections.abc import Iterator
from typing import Any, Final

import anthropic
import openai
import pytest

from lynkr.telemetry.record import Ending
from lynkr.testing.faults import (
    Fault,
    cut_after,
    error_event,
    garbage,
    reset,
    script,
    stall,
    status,
)
from tests.gateway.house import TIERS
from tests.server.running import House, house, later

UPSTREAMS: Final = ("messages", "chat")
# Not tried again, so that what is seen is the first answer; and no circuit opens.
ONCE: Final = {"resilience.max_attempts": 1, "resilience.breaker_failures": 1000}
IMPATIENT: Final = {"timeouts.first_byte": 0.3, "timeouts.idle": 0.3}
SCHEMA: Final[dict[str, Any]] = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "days": {"type": "integer", "minimum": 2}},
    "required": ["city", "days"],
}
ARGUMENTS: Final = {"city": "simulated né", "days": 2}
WORDS: Final = "please repeat: hällo 🙂 wörld"


def png() -> bytes:
    """The smallest picture."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        framed = kind + content
        return struct.pack(">I", len(content)) + framed + struct.pack(">I", zlib.crc32(framed))

    head = struct.pack(">IIBBBBB", 1, 1, 8, 0, 0, 0, 0)
    parts = (chunk(b"IHDR", head), chunk(b"IDAT", zlib.compress(b"\0\0")), chunk(b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


PICTURE: Final = base64.b64encode(png()).decode()


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    ledger = tmp_path_factory.mktemp("sdks") / "ledger.sqlite3"
    with house(ledger, None, TIERS, **ONCE, **IMPATIENT) as found:
        yield found


def claude_at(found: House, key: str = "any", retries: int = 0) -> anthropic.Anthropic:
    return anthropic.Anthropic(base_url=found.url, api_key=key, max_retries=retries, timeout=20)


def gpt_at(found: House, key: str = "any") -> openai.OpenAI:
    return openai.OpenAI(base_url=f"{found.url}/v1", api_key=key, max_retries=0, timeout=20)


@pytest.fixture(scope="module")
def claude(running: House) -> Iterator[anthropic.Anthropic]:
    with claude_at(running) as client:
        yield client


@pytest.fixture(scope="module")
def gpt(running: House) -> Iterator[openai.OpenAI]:
    with gpt_at(running) as client:
        yield client


@pytest.fixture(scope="module")
def both(claude: anthropic.Anthropic, gpt: openai.OpenAI) -> tuple[anthropic.Anthropic, openai.OpenAI]:
    return claude, gpt


def ask_claude(
    client: anthropic.Anthropic, model: str, text: str = WORDS, **fields: Any
) -> anthropic.types.Message:
    return client.messages.create(
        model=model, max_tokens=200, messages=[{"role": "user", "content": text}], **fields
    )


def ask_gpt(client: openai.OpenAI, model: str, text: str = WORDS, **fields: Any) -> Any:
    return client.chat.completions.create(model=model, messages=[{"role": "user", "content": text}], **fields)


# --- Text ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [*(f"{name}:m" for name in UPSTREAMS), "lynkr-auto", "claude-unheard-of"])
def test_anthropic_text(claude: anthropic.Anthropic, name: str) -> None:
    answer = ask_claude(claude, name, system="Be brief.", stop_sequences=["END"])
    (block,) = answer.content
    assert isinstance(block, anthropic.types.TextBlock)
    assert block.text.endswith(WORDS)
    assert (answer.role, answer.type, answer.stop_reason) == ("assistant", "message", "end_turn")
    assert answer.usage.input_tokens > 0
    assert answer.usage.output_tokens > 0
    assert answer.id


@pytest.mark.parametrize("name", [*(f"{name}:m" for name in UPSTREAMS), "lynkr-auto", "gpt-4o"])
def test_openai_text(gpt: openai.OpenAI, name: str) -> None:
    answer = ask_gpt(gpt, name, max_completion_tokens=200, temperature=0.5, stop=["END"])
    (choice,) = answer.choices
    assert choice.message.content.endswith(WORDS)
    assert (choice.message.role, choice.finish_reason) == ("assistant", "stop")
    assert answer.usage.prompt_tokens + answer.usage.completion_tokens == answer.usage.total_tokens
    assert answer.id
    assert answer.created


def test_the_decision_is_in_the_headers_the_sdks_show(
    claude: anthropic.Anthropic, gpt: openai.OpenAI, running: House
) -> None:
    one = claude.messages.with_raw_response.create(
        model="x", max_tokens=9, messages=[{"role": "user", "content": "hi"}]
    )
    other = gpt.chat.completions.with_raw_response.create(
        model="x", messages=[{"role": "user", "content": "hi"}]
    )
    for answer in (one, other):
        assert answer.headers["x-lynkr-tier"] == "SIMPLE"
        assert running.record_of(answer.headers["x-lynkr-decision-id"]).ending is Ending.OK


@pytest.mark.parametrize("upstream", UPSTREAMS)
def test_a_cut_answer_says_so(claude: anthropic.Anthropic, gpt: openai.OpenAI, upstream: str) -> None:
    messages: Any = [{"role": "user", "content": WORDS}]
    one = claude.messages.create(model=f"{upstream}:m", max_tokens=3, messages=messages)
    other = gpt.chat.completions.create(model=f"{upstream}:m", max_completion_tokens=3, messages=messages)
    assert one.stop_reason == "max_tokens"
    assert other.choices[0].finish_reason == "length"


# --- Streams ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("upstream", UPSTREAMS)
def test_anthropic_stream(claude: anthropic.Anthropic, upstream: str) -> None:
    with claude.messages.stream(
        model=f"{upstream}:m", max_tokens=200, messages=[{"role": "user", "content": WORDS}]
    ) as stream:
        pieces = list(stream.text_stream)
        final = stream.get_final_message()
    assert len(pieces) > 3
    assert "".join(pieces).endswith(WORDS)
    assert final.stop_reason == "end_turn"
    assert final.usage.output_tokens > 0
    assert final.usage.input_tokens > 0


@pytest.mark.parametrize("upstream", UPSTREAMS)
@pytest.mark.parametrize("counted", [True, False])
def test_openai_stream(gpt: openai.OpenAI, upstream: str, counted: bool) -> None:
    options: Any = {"stream_options": {"include_usage": True}} if counted else {}
    chunks = list(ask_gpt(gpt, f"{upstream}:m", stream=True, **options))
    pieces = [choice.delta.content or "" for chunk in chunks for choice in chunk.choices]
    reasons = [choice.finish_reason for chunk in chunks for choice in chunk.choices if choice.finish_reason]
    usages = [chunk.usage for chunk in chunks if chunk.usage is not None]
    assert sum(map(bool, pieces)) > 3
    assert "".join(pieces).endswith(WORDS)
    assert reasons == ["stop"]
    assert len(usages) == counted
    assert len({chunk.id for chunk in chunks}) == 1


@pytest.mark.parametrize("upstream", UPSTREAMS)
def test_openai_stream_helper(gpt: openai.OpenAI, upstream: str) -> None:
    with gpt.chat.completions.stream(
        model=f"{upstream}:m", messages=[{"role": "user", "content": WORDS}]
    ) as stream:
        final = stream.get_final_completion()
    assert str(final.choices[0].message.content).endswith(WORDS)


@pytest.mark.parametrize("upstream", UPSTREAMS)
def test_openai_responses(gpt: openai.OpenAI, running: House, upstream: str) -> None:
    whole = gpt.responses.create(model=f"{upstream}:m", input=WORDS)
    assert whole.output_text.endswith(WORDS)
    assert whole.status == "completed"
    with gpt.responses.stream(model=f"{upstream}:m", input=WORDS) as stream:
        final = stream.get_final_response()
    assert final.output_text.endswith(WORDS)
    with pytest.raises(openai.BadRequestError):
        gpt.responses.create(
            model=f"{upstream}:{running.fails('fails-400', script(then=status(400)))}", input="x"
        )


@pytest.mark.parametrize("upstream", UPSTREAMS)
def test_both_asynchronous_clients_stream(running: House, upstream: str) -> None:
    messages: Any = [{"role": "user", "content": WORDS}]

    async def ask_both() -> tuple[str, str]:
        async with (
            anthropic.AsyncAnthropic(base_url=running.url, api_key="any", max_retries=0) as client,
            openai.AsyncOpenAI(base_url=f"{running.url}/v1", api_key="any", max_retries=0) as asker,
        ):
            model = f"{upstream}:m"
            async with client.messages.stream(model=model, max_tokens=200, messages=messages) as stream:
                one = await stream.get_final_text()
            events = await asker.chat.completions.create(model=model, messages=messages, stream=True)
            other = "".join([c.delta.content or "" async for event in events for c in event.choices])
        return one, other

    one, other = asyncio.run(ask_both())
    assert one.endswith(WORDS)
    assert other.endswith(WORDS)


@pytest.mark.parametrize("upstream", UPSTREAMS)
def test_a_client_that_closes_its_stream_ends_the_request(
    running: House, claude: anthropic.Anthropic, gpt: openai.OpenAI, upstream: str
) -> None:
    running.fails("pausing", script(then=stall(after=6, seconds=5)))
    with claude.messages.stream(
        model=f"{upstream}:pausing", max_tokens=200, messages=[{"role": "user", "content": WORDS}]
    ) as one:
        next(iter(one.text_stream))
        headers = [one.response.headers]
    assert running.upstream.wait_until(lambda simulator: simulator.active == 0) < 1
    with ask_gpt(gpt, f"{upstream}:pausing", stream=True) as other:
        next(iter(other))
        headers.append(other.response.headers)
    assert running.upstream.wait_until(lambda simulator: simulator.active == 0) < 1
    for found in headers:
        assert running.record_of(found["x-lynkr-decision-id"]).ending is Ending.CANCELLED


def test_pings_ahead_of_a_late_answer_disturb_neither_sdk(tmp_path_factory: pytest.TempPathFactory) -> None:
    ledger = tmp_path_factory.mktemp("late") / "ledger.sqlite3"
    messages: Any = [{"role": "user", "content": WORDS}]
    with (
        house(ledger, **{"server.ping_seconds": 0.05}) as late,
        claude_at(late) as client,
        gpt_at(late) as asker,
    ):
        late.fails("late", script(then=stall(seconds=0.25)))
        with client.messages.stream(model="chat:late", max_tokens=200, messages=messages) as stream:
            assert stream.get_final_text().endswith(WORDS)
        chunks = ask_gpt(asker, "messages:late", stream=True)
        assert "".join(c.delta.content or "" for chunk in chunks for c in chunk.choices).endswith(WORDS)


# --- Tools --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("upstream", UPSTREAMS)
@pytest.mark.parametrize("streams", [False, True], ids=["whole", "stream"])
def test_anthropic_tool_round_trip(claude: anthropic.Anthropic, upstream: str, streams: bool) -> None:
    tools: Any = [{"name": "get_weather", "description": "The weather.", "input_schema": SCHEMA}]
    messages: list[Any] = [{"role": "user", "content": "use get_weather for me"}]

    def turn() -> anthropic.types.Message:
        fields: Any = {"model": f"{upstream}:m", "max_tokens": 200, "tools": tools, "messages": messages}
        if not streams:
            return claude.messages.create(**fields)
        with claude.messages.stream(**fields) as stream:
            return stream.get_final_message()

    called = turn()
    (call,) = [block for block in called.content if block.type == "tool_use"]
    assert (called.stop_reason, call.name, call.input) == ("tool_use", "get_weather", ARGUMENTS)
    result = {"type": "tool_result", "tool_use_id": call.id, "content": "sunny, 21 °C"}
    messages += [{"role": "assistant", "content": called.content}, {"role": "user", "content": [result]}]
    final = turn()
    assert final.stop_reason == "end_turn"
    assert "sunny, 21 °C" in "".join(block.text for block in final.content if block.type == "text")


@pytest.mark.parametrize("upstream", UPSTREAMS)
@pytest.mark.parametrize("streams", [False, True], ids=["whole", "stream"])
def test_openai_tool_round_trip(gpt: openai.OpenAI, upstream: str, streams: bool) -> None:
    tools: Any = [{"type": "function", "function": {"name": "get_weather", "parameters": SCHEMA}}]
    messages: list[Any] = [{"role": "user", "content": "use get_weather for me"}]

    def turn() -> Any:
        fields: Any = {"model": f"{upstream}:m", "tools": tools, "messages": messages}
        if not streams:
            return gpt.chat.completions.create(**fields)
        with gpt.chat.completions.stream(**fields) as stream:
            return stream.get_final_completion()

    called = turn().choices[0]
    (call,) = called.message.tool_calls
    assert (called.finish_reason, call.function.name) == ("tool_calls", "get_weather")
    assert json.loads(call.function.arguments) == ARGUMENTS
    spoken = called.message.model_dump(include={"role", "content"})
    calls = [
        {
            "id": call.id,
            "type": "function",
            "function": {"name": call.function.name, "arguments": call.function.arguments},
        }
    ]
    messages += [
        {**spoken, "tool_calls": calls},
        {"role": "tool", "tool_call_id": call.id, "content": "sunny, 21 °C"},
    ]
    final = turn().choices[0]
    assert final.finish_reason == "stop"
    assert "sunny, 21 °C" in final.message.content


@pytest.mark.parametrize("upstream", UPSTREAMS)
def test_parallel_tool_calls_stay_apart(
    claude: anthropic.Anthropic, gpt: openai.OpenAI, upstream: str
) -> None:
    names = ("get_weather", "get_news")
    text = "use get_weather and get_news"
    with claude.messages.stream(
        model=f"{upstream}:m",
        max_tokens=300,
        tools=[{"name": name, "input_schema": SCHEMA} for name in names],
        messages=[{"role": "user", "content": text}],
    ) as stream:
        one = [(b.name, b.input) for b in stream.get_final_message().content if b.type == "tool_use"]
    tools: Any = [{"type": "function", "function": {"name": name, "parameters": SCHEMA}} for name in names]
    with gpt.chat.completions.stream(
        model=f"{upstream}:m", tools=tools, messages=[{"role": "user", "content": text}]
    ) as events:
        calls = events.get_final_completion().choices[0].message.tool_calls or ()
        other = [(c.function.name, json.loads(c.function.arguments)) for c in calls]
    assert one == other == [(name, ARGUMENTS) for name in names]


# --- Images -------------------------------------------------------------------------------------------


def pictures_in(body: Any) -> list[str]:
    """The base64 text of every picture in a body, whichever dialect it is in."""
    match body:
        case {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": str(data)}}:
            return [data]
        case {"type": "image_url", "image_url": {"url": str(url)}}:
            return [url.removeprefix("data:image/png;base64,")]
        case dict():
            return [found for value in body.values() for found in pictures_in(value)]
        case list():
            return [found for value in body for found in pictures_in(value)]
        case _:
            return []


@pytest.mark.parametrize("upstream", UPSTREAMS)
def test_a_picture_reaches_the_upstream(
    claude: anthropic.Anthropic, gpt: openai.OpenAI, running: House, upstream: str
) -> None:
    text: Any = {"type": "text", "text": "what is this?"}
    source: Any = {"type": "base64", "media_type": "image/png", "data": PICTURE}
    claude.messages.create(
        model=f"{upstream}:m",
        max_tokens=50,
        messages=[{"role": "user", "content": [{"type": "image", "source": source}, text]}],
    )
    one = running.simulator.requests[-1].json
    url: Any = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PICTURE}"}}
    gpt.chat.completions.create(model=f"{upstream}:m", messages=[{"role": "user", "content": [text, url]}])
    other = running.simulator.requests[-1].json
    assert pictures_in(one) == pictures_in(other) == [PICTURE]


# --- What else the SDKs ask ---------------------------------------------------------------------------


def test_models_are_listed(claude: anthropic.Anthropic, gpt: openai.OpenAI) -> None:
    one = [model.id for model in claude.models.list(limit=1000)]
    other = [model.id for model in gpt.models.list()]
    assert one == other
    assert "lynkr-auto" in one


@pytest.mark.parametrize("upstream", UPSTREAMS)
def test_tokens_are_counted(claude: anthropic.Anthropic, upstream: str) -> None:
    counted = claude.messages.count_tokens(
        model=f"{upstream}:m", messages=[{"role": "user", "content": WORDS}]
    )
    assert counted.input_tokens > 0


# --- Errors -------------------------------------------------------------------------------------------

OVERLOADED: Final = (anthropic.OverloadedError, openai.InternalServerError)
GATEWAY: Final = (anthropic.InternalServerError, openai.InternalServerError)
# What an upstream does; the SDKs' errors; the status their users see.
FAILURES: Final[dict[str, tuple[Fault, tuple[type[Exception], type[Exception]], int]]] = {
    "400": (status(400), (anthropic.BadRequestError, openai.BadRequestError), 400),
    "404": (status(404), (anthropic.NotFoundError, openai.NotFoundError), 404),
    "413": (status(413), (anthropic.RequestTooLargeError, openai.APIStatusError), 413),
    "422": (status(422), (anthropic.UnprocessableEntityError, openai.UnprocessableEntityError), 422),
    "429": (status(429, retry_after=7), (anthropic.RateLimitError, openai.RateLimitError), 429),
    "500": (status(500), GATEWAY, 500),
    "503": (status(503, retry_after=2.2), GATEWAY, 503),
    "529": (status(529), OVERLOADED, 529),
    "no answer": (stall(), GATEWAY, 504),
    "reset": (reset(), GATEWAY, 502),
    # The operator's trouble is not the client's: its own key is fine.
    "401": (status(401), GATEWAY, 502),
    "403": (status(403), GATEWAY, 502),
}


@pytest.mark.parametrize("streams", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("upstream", UPSTREAMS)
@pytest.mark.parametrize("case", FAILURES)
def test_an_upstreams_failure_is_the_sdks_own_error(
    running: House,
    both: tuple[anthropic.Anthropic, openai.OpenAI],
    case: str,
    upstream: str,
    streams: bool,
) -> None:
    claude, gpt = both
    fault, (of_claude, of_gpt), seen = FAILURES[case]
    name = f"{upstream}:{running.fails(f'fails-{case}', script(then=fault))}"
    with pytest.raises(of_claude) as one:
        ask_claude(claude, name, stream=streams)
    with pytest.raises(of_gpt) as other:
        ask_gpt(gpt, name, stream=streams)
    for raised in (one.value, other.value):
        assert isinstance(raised, anthropic.APIStatusError | openai.APIStatusError)
        assert raised.status_code == seen
        record = running.record_of(raised.response.headers["x-lynkr-decision-id"])
        assert (record.ending, record.status) == (Ending.FAILED, seen)
        if case == "429":
            assert raised.response.headers["retry-after"] == "7"
        if case == "503":
            assert raised.response.headers["retry-after"] == "3"  # rounded up: a client reads integers
        if case in ("400", "404", "422", "500", "529"):
            assert f"simulated status {case}" in str(raised)


@pytest.mark.parametrize("upstream", UPSTREAMS)
def test_an_answer_that_is_nonsense_is_a_502(
    running: House, claude: anthropic.Anthropic, gpt: openai.OpenAI, upstream: str
) -> None:
    name = f"{upstream}:{running.fails('nonsense', script(then=garbage()))}"
    with pytest.raises(anthropic.InternalServerError) as one:
        ask_claude(claude, name)
    with pytest.raises(openai.InternalServerError) as other:
        ask_gpt(gpt, name)
    assert one.value.status_code == other.value.status_code == 502
    with pytest.raises(anthropic.InternalServerError):
        ask_claude(claude, name, stream=True)
    with pytest.raises(openai.InternalServerError):
        ask_gpt(gpt, name, stream=True)


BROKEN_OFF: Final[dict[str, Fault]] = {
    "cut": cut_after(6),
    "reset": later(reset(after=6)),
    "silence": stall(after=6),
    "overloaded": later(error_event(after=6)),
}


@pytest.mark.parametrize("upstream", UPSTREAMS)
@pytest.mark.parametrize("case", BROKEN_OFF)
def test_a_stream_that_breaks_is_an_error_never_an_end(
    running: House, claude: anthropic.Anthropic, gpt: openai.OpenAI, case: str, upstream: str
) -> None:
    name = f"{upstream}:{running.fails(f'breaks-{case}', script(then=BROKEN_OFF[case]))}"
    got: list[str] = []
    with (
        pytest.raises(anthropic.APIStatusError) as one,
        claude.messages.stream(
            model=name, max_tokens=200, messages=[{"role": "user", "content": WORDS}]
        ) as stream,
    ):
        got.extend(stream.text_stream)
    chunks = ask_gpt(gpt, name, stream=True)
    with pytest.raises(openai.APIError) as other:
        got.extend(choice.delta.content or "" for chunk in chunks for choice in chunk.choices)
    assert "".join(got).startswith("[lynkr")
    if case == "overloaded" and upstream == "messages":  # an OpenAI error event has no word for it
        assert one.value.body["error"]["type"] == "overloaded_error"  # type: ignore[index]  # reason: JSON
    assert other.value.message
    assert {record.ending for record in running.records()[-2:]} == {Ending.FAILED}


def test_a_host_that_is_not_there_is_a_502(tmp_path_factory: pytest.TempPathFactory) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    ledger = tmp_path_factory.mktemp("nobody") / "ledger.sqlite3"
    nobody = {"providers.chat.base_url": f"http://127.0.0.1:{port}/v1"}
    with (
        house(ledger, **ONCE, **nobody) as alone,
        claude_at(alone) as client,
        pytest.raises(anthropic.InternalServerError) as raised,
    ):
        ask_claude(client, "chat:m")
    assert raised.value.status_code == 502


def test_the_gateways_own_refusals_are_the_sdks_errors(tmp_path_factory: pytest.TempPathFactory) -> None:
    ledger = tmp_path_factory.mktemp("keyed") / "ledger.sqlite3"
    large = "x" * 2000
    with (
        house(ledger, **{"server.api_key": "right", "server.max_body_bytes": 1000}) as keyed,
        claude_at(keyed, "wrong") as claude_outside,
        claude_at(keyed, "right") as claude_inside,
        gpt_at(keyed, "wrong") as gpt_outside,
        gpt_at(keyed, "right") as gpt_inside,
    ):
        with pytest.raises(anthropic.AuthenticationError):
            ask_claude(claude_outside, "chat:m")
        with pytest.raises(openai.AuthenticationError):
            ask_gpt(gpt_outside, "chat:m")
        with pytest.raises(anthropic.RequestTooLargeError):
            ask_claude(claude_inside, "chat:m", large)
        with pytest.raises(openai.APIStatusError) as raised:
            ask_gpt(gpt_inside, "chat:m", large)
        assert raised.value.status_code == 413
        assert ask_claude(claude_inside, "chat:m").stop_reason == "end_turn"


def test_a_bad_field_is_a_bad_request(claude: anthropic.Anthropic, gpt: openai.OpenAI) -> None:
    with pytest.raises(anthropic.BadRequestError, match="messages"):
        claude.messages.create(model="m", max_tokens=5, messages="hello")  # type: ignore[arg-type]  # reason: on purpose
    with pytest.raises(openai.BadRequestError, match="messages") as raised:
        gpt.chat.completions.create(model="m", messages="hello")  # type: ignore[call-overload]  # reason: on purpose
    assert str(raised.value.param).startswith("messages")


def test_what_the_sdk_tries_again_after_the_time_it_is_told_succeeds(running: House) -> None:
    running.fails("shy", script(status(429, retry_after=1)))
    with claude_at(running, retries=1) as client:
        assert ask_claude(client, "messages:shy").stop_reason == "end_turn"


def test_a_failing_tier_is_no_error_at_all(tmp_path_factory: pytest.TempPathFactory) -> None:
    ledger = tmp_path_factory.mktemp("failing") / "ledger.sqlite3"
    with house(ledger) as failing, claude_at(failing) as client:
        failing.fails("gpt-4.1-nano", script(then=status(500)))
        answer = client.messages.with_raw_response.create(
            model="lynkr-auto", max_tokens=50, messages=[{"role": "user", "content": "hi"}]
        )
        record = failing.record_of(answer.headers["x-lynkr-decision-id"])
    assert answer.headers["x-lynkr-served-tier"] == "MEDIUM"
    assert [attempt.status for attempt in record.attempts] == [500, 200]
