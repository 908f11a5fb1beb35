"""Chunks as clients get them."""

import json
from typing import Any

from lynkr.errors import ClientWireError, UpstreamWireError
from lynkr.model import (
    Event,
    Extras,
    Finish,
    Foreign,
    Image,
    ImageSource,
    Json,
    Message,
    Opaque,
    PartDelta,
    PartEnd,
    PartStart,
    Reasoning,
    Request,
    Start,
    StopReason,
    Text,
    ToolCall,
    Usage,
    WireFormat,
)
from lynkr.testing.laws import decode_stream
from lynkr.wire.openai_chat import OpenAIChatCodec

CODEC = OpenAIChatCodec()
CHAT = WireFormat.OPENAI_CHAT
ANTHROPIC = WireFormat.ANTHROPIC_MESSAGES
START = Start("r1", "m", created=1)
STOP = Finish(StopReason.END_TURN)


def _request(**options: Json) -> Request:
    extras = Extras(CHAT, {"stream_options": options}) if options else Extras()
    return Request("m", (Message.user("x"),), stream=True, extras=extras)


def _encoded(*events: Event, request: Request | None = None) -> tuple[list[Any], list[str]]:
    """The chunks, and the paths of what was lost."""
    encoder = CODEC.event_encoder(request or _request())
    data = b"".join(encoder.encode(event) for event in events) + encoder.close()
    frames = data.decode().split("\n\n")
    assert frames[-2:] == ["data: [DONE]", ""]
    chunks = [json.loads(frame.removeprefix("data: ")) for frame in frames[:-2]]
    return chunks, [loss.path for loss in encoder.losses]


def _deltas(*events: Event) -> list[Any]:
    chunks, _ = _encoded(START, *events, STOP)
    return [chunk["choices"][0]["delta"] for chunk in chunks[1:-1]]


def _text(index: int, text: str) -> list[Event]:
    return [PartStart(index, Text("")), PartDelta(index, text), PartEnd(index)]


def test_a_stream_has_a_role_deltas_and_a_reason() -> None:
    chunks, losses = _encoded(START, *_text(0, "hi"), STOP)
    assert [chunk["choices"] for chunk in chunks] == [
        [{"index": 0, "delta": {"role": "assistant", "content": ""}, "finish_reason": None}],
        [{"index": 0, "delta": {"content": "hi"}, "finish_reason": None}],
        [{"index": 0, "delta": {}, "finish_reason": "stop"}],
    ]
    assert {(c["id"], c["object"], c["created"], c["model"]) for c in chunks} == {
        ("r1", "chat.completion.chunk", 1, "m")
    }
    assert losses == []


def test_usage_comes_in_a_chunk_of_its_own_where_the_client_asked() -> None:
    finish = Finish(StopReason.END_TURN, Usage(input=10, output=2, cache_read=8, reasoning=1))
    chunks, losses = _encoded(START, finish, request=_request(include_usage=True))
    assert chunks[-1]["choices"] == []
    assert chunks[-1]["usage"] == {
        "prompt_tokens": 10,
        "completion_tokens": 2,
        "total_tokens": 12,
        "prompt_tokens_details": {"cached_tokens": 8},
        "completion_tokens_details": {"reasoning_tokens": 1},
    }
    assert losses == []


def test_usage_the_client_did_not_ask_for_is_left_out() -> None:
    for request in (_request(), _request(include_usage=False)):
        chunks, losses = _encoded(START, Finish(StopReason.END_TURN, Usage(1, 1)), request=request)
        assert all(chunk["choices"] for chunk in chunks)
        assert losses == ["usage"]


def test_unknown_usage_is_null_and_never_zero() -> None:
    chunks, _ = _encoded(START, STOP, request=_request(include_usage=True))
    assert chunks[-1]["usage"] is None
    partly = Finish(StopReason.END_TURN, Usage(input=4))
    chunks, _ = _encoded(START, partly, request=_request(include_usage=True))
    assert chunks[-1]["usage"] == {"prompt_tokens": 4, "completion_tokens": None, "total_tokens": None}


def test_counts_told_up_front_are_in_the_final_usage() -> None:
    start = Start("r1", "m", Usage(input=7, cache_read=3), created=1)
    finish = Finish(StopReason.END_TURN, Usage(output=2))
    chunks, _ = _encoded(start, finish, request=_request(include_usage=True))
    assert chunks[-1]["usage"]["total_tokens"] == 9
    assert chunks[-1]["usage"]["prompt_tokens_details"] == {"cached_tokens": 3}


def test_calls_are_numbered_from_zero_whatever_came_before_them() -> None:
    deltas = _deltas(
        *_text(0, "see"),
        PartStart(1, ToolCall("a", "f", "")),
        PartStart(2, ToolCall("b", "g", "")),
        PartDelta(2, '{"y"'),
        PartDelta(1, "{}"),
        PartDelta(2, ":2}"),
        PartEnd(1),
        PartEnd(2),
    )
    assert [call for delta in deltas[1:] for call in delta["tool_calls"]] == [
        {"index": 0, "id": "a", "type": "function", "function": {"name": "f", "arguments": ""}},
        {"index": 1, "id": "b", "type": "function", "function": {"name": "g", "arguments": ""}},
        {"index": 1, "function": {"arguments": '{"y"'}},
        {"index": 0, "function": {"arguments": "{}"}},
        {"index": 1, "function": {"arguments": ":2}"}},
    ]


def test_an_answer_that_calls_tools_ends_with_tool_calls() -> None:
    call = [PartStart(0, ToolCall("a", "f", "")), PartEnd(0)]
    chunks, losses = _encoded(START, *call, Finish(StopReason.TOOL_USE))
    assert chunks[-1]["choices"][0]["finish_reason"] == "tool_calls"
    assert losses == []


def test_what_may_not_be_open_together_waits_its_turn() -> None:
    deltas = _deltas(
        PartStart(0, Reasoning("")),
        PartStart(1, Text("")),
        PartStart(2, ToolCall("a", "f", "")),
        PartDelta(2, "{}"),
        PartDelta(1, "x"),
        PartDelta(0, "hm"),
        PartEnd(2),
        PartEnd(1),
        PartEnd(0),
    )
    assert [next(iter(delta)) for delta in deltas] == [
        "reasoning_content",
        "content",
        "tool_calls",
        "tool_calls",
    ]


def test_parts_a_provider_left_open_are_written_before_the_end() -> None:
    deltas = _deltas(
        PartStart(0, Text("")), PartStart(1, Reasoning("")), PartDelta(1, "hm"), PartDelta(0, "x")
    )
    assert deltas == [{"content": "x"}, {"reasoning_content": "hm"}]


def test_a_custom_call_is_written_whole_as_the_text_it_is() -> None:
    call = ToolCall("a", "sh", "", Extras(CHAT, {"type": "custom"}))
    deltas = _deltas(PartStart(0, call), PartDelta(0, '{"input":"l'), PartDelta(0, 's"}'), PartEnd(0))
    assert deltas == [
        {"tool_calls": [{"index": 0, "id": "a", "type": "custom", "custom": {"name": "sh", "input": "ls"}}]}
    ]


def test_what_chat_cannot_stream_is_listed() -> None:
    cited = Extras(ANTHROPIC, {"citations": [1]})
    _, losses = _encoded(
        Start("r1", "m", extras=Extras(ANTHROPIC, {"container": 1})),
        PartStart(0, Reasoning("", Opaque(ANTHROPIC, "s"), redacted=True)),
        PartEnd(0),
        PartStart(1, Reasoning("")),
        PartDelta(1, "hm"),
        PartEnd(1, Opaque(ANTHROPIC, "s")),
        PartStart(2, Text("")),
        PartDelta(2, "x", cited),
        PartEnd(2),
        PartStart(3, Text("")),
        PartDelta(3, "y"),
        PartEnd(3),
        PartStart(4, Image(ImageSource.URL, "https://e.org/a.png")),
        PartEnd(4),
        PartStart(5, Foreign(ANTHROPIC, {"type": "server_tool_use"})),
        PartEnd(5),
        PartStart(6, Reasoning("")),
        PartEnd(6),
        Finish(StopReason.STOP_SEQUENCE, Usage(cache_write=2, cache_write_1h=1), "END"),
        request=_request(include_usage=True),
    )
    assert losses == [
        "created",
        "extras.container",
        "parts[0]",
        "parts[1].seal",
        "parts[2].extras.citations",
        "parts",
        "parts[4]",
        "parts[5]",
        "parts[6]",
        "stop_sequence",
        "stop_reason",
        "usage.cache_write_1h",
    ]


def test_half_of_a_surrogate_pair_is_written_escaped_and_joins_again() -> None:
    encoder = CODEC.event_encoder(_request())
    halves = [PartStart(0, Text("")), PartDelta(0, "\ud83d"), PartDelta(0, "\ude42"), PartEnd(0)]
    data = b"".join(encoder.encode(event) for event in (START, *halves, STOP)) + encoder.close()
    deltas = [event.text for event in decode_stream(CODEC, [data]) if isinstance(event, PartDelta)]
    assert "".join(deltas) == "\ud83d\ude42"


def test_pings_are_comments_between_any_two_events() -> None:
    encoder = CODEC.event_encoder(_request())
    data = encoder.ping()
    for event in (START, *_text(0, "hi"), STOP):
        data += encoder.encode(event) + encoder.ping()
    assert encoder.ping() == b": ping\n\n"
    assert decode_stream(CODEC, [data + encoder.close()]) == (START, *_text(0, "hi"), STOP)


def test_an_error_ends_the_stream_and_done_does_not_follow() -> None:
    encoder = CODEC.event_encoder(_request())
    data = encoder.encode(START) + encoder.encode_error(UpstreamWireError("cut")) + encoder.close()
    last = data.decode().split("\n\n")[-2]
    assert json.loads(last.removeprefix("data: ")) == {
        "error": {"message": "cut", "type": "server_error", "param": None, "code": None}
    }
    assert b"[DONE]" not in data


def test_a_stream_without_its_finish_does_not_say_done() -> None:
    encoder = CODEC.event_encoder(_request())
    encoder.encode(START)
    assert encoder.close() == b""


def test_an_error_before_the_start_is_a_frame_too() -> None:
    encoder = CODEC.event_encoder()
    frame = encoder.encode_error(ClientWireError("is required", field="messages"))
    assert json.loads(frame.removeprefix(b"data: "))["error"]["param"] == "messages"
