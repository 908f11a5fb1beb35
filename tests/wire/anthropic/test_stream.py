"""Streams: what real ones look like, what broken ones end in, and how parts are put in line."""

import json
from collections.abc import Iterable
from typing import Any

import pytest
from anthropic.types import RawMessageStreamEvent
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from lynkr.errors import (
    UpstreamBusy,
    UpstreamError,
    UpstreamFailed,
    UpstreamRefused,
    UpstreamTimeout,
    UpstreamWireError,
)
from lynkr.model import (
    Event,
    Extras,
    Finish,
    Foreign,
    Image,
    ImageSource,
    Opaque,
    PartDelta,
    PartEnd,
    PartStart,
    Reasoning,
    Response,
    Start,
    StopReason,
    Text,
    ToolCall,
    Usage,
    WireFormat,
)
from lynkr.model.fold import fold, unfold
from lynkr.testing.anthropic_grammar import validate_anthropic_stream
from lynkr.testing.laws import assert_cut_stream_raises, decode_stream, encode_stream
from lynkr.testing.strategies import responses
from lynkr.testing.streams import event_streams
from lynkr.wire.anthropic import AnthropicCodec
from lynkr.wire.json_body import dump, parse_body

CODEC = AnthropicCodec()
ANTHROPIC = WireFormat.ANTHROPIC_MESSAGES
OPENAI = WireFormat.OPENAI_CHAT
OFFICIAL: TypeAdapter[Any] = TypeAdapter(RawMessageStreamEvent)


def frame(kind: str, **fields: Any) -> bytes:
    return f"event: {kind}\ndata: {json.dumps({'type': kind, **fields})}\n\n".encode()


def start(**more: Any) -> bytes:
    message = {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "claude",
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "usage": {"input_tokens": 10, "cache_read_input_tokens": 5, "output_tokens": 1},
        **more,
    }
    return frame("message_start", message=message)


def block(index: int, node: dict[str, Any], *deltas: dict[str, Any]) -> bytes:
    return (
        frame("content_block_start", index=index, content_block=node)
        + b"".join(frame("content_block_delta", index=index, delta=delta) for delta in deltas)
        + frame("content_block_stop", index=index)
    )


def end(reason: str | None = "end_turn", **more: Any) -> bytes:
    delta = {"stop_reason": reason, "stop_sequence": None, **more}
    return frame("message_delta", delta=delta, usage={"output_tokens": 9}) + frame("message_stop")


def text_block(index: int, *texts: str) -> bytes:
    return block(
        index, {"type": "text", "text": ""}, *({"type": "text_delta", "text": text} for text in texts)
    )


def json_deltas(*texts: str) -> Iterable[dict[str, Any]]:
    return ({"type": "input_json_delta", "partial_json": text} for text in texts)


def tool_block(index: int, *texts: str, call_id: str = "toolu_1", value: Any = None) -> bytes:
    node = {"type": "tool_use", "id": call_id, "name": "Bash", "input": value or {}}
    return block(index, node, *json_deltas(*texts))


def decode(*data: bytes) -> tuple[Event, ...]:
    return decode_stream(CODEC, data)


def bodies(data: bytes) -> list[dict[str, Any]]:
    return [json.loads(line[6:]) for line in data.decode().split("\n") if line.startswith("data: ")]


# --- Decoding -----------------------------------------------------------------------------------------


def test_a_stream_of_thinking_text_and_a_tool_call() -> None:
    thinking = block(
        0,
        {"type": "thinking", "thinking": "", "signature": ""},
        {"type": "thinking_delta", "thinking": "hm"},
        {"type": "signature_delta", "signature": "c2ln"},
    )
    data = start() + frame("ping") + thinking + text_block(1, "Hé", "llo") + tool_block(2, "", '{"a":', "1}")
    assert decode(data + end("tool_use")) == (
        Start("msg_1", "claude", Usage(input=15, output=1, cache_read=5)),
        PartStart(0, Reasoning("")),
        PartDelta(0, "hm"),
        PartEnd(0, Opaque(ANTHROPIC, "c2ln")),
        PartStart(1, Text("")),
        PartDelta(1, "Hé"),
        PartDelta(1, "llo"),
        PartEnd(1),
        PartStart(2, ToolCall("toolu_1", "Bash", "")),
        PartDelta(2, '{"a":'),
        PartDelta(2, "1}"),
        PartEnd(2),
        Finish(StopReason.TOOL_USE, Usage(input=15, output=9, cache_read=5)),
    )


def test_a_call_may_tell_its_input_at_once() -> None:
    events = decode(start() + tool_block(0, value={"a": [1]}) + end("tool_use"))
    assert fold(events).parts == (ToolCall("toolu_1", "Bash", '{"a":[1]}'),)


def test_deltas_replace_the_input_told_at_the_start() -> None:
    events = decode(start() + tool_block(0, '{"b":2}', value={"a": [1]}) + end("tool_use"))
    assert fold(events).parts == (ToolCall("toolu_1", "Bash", '{"b":2}'),)


def test_a_server_tools_input_is_put_together() -> None:
    node = {"type": "server_tool_use", "id": "s", "name": "web_search", "input": {}}
    events = decode(start() + block(0, node, *json_deltas('{"query":', '"q"}')) + end())
    assert fold(events).parts == (Foreign(ANTHROPIC, {**node, "input": {"query": "q"}}),)


def test_a_compaction_block_is_put_together() -> None:
    node = {"type": "compaction", "content": None}
    delta = {"type": "compaction_delta", "content": "short", "encrypted_content": "x"}
    events = decode(start() + block(0, node, delta) + end("compaction"))
    response = fold(events)
    assert response.parts == (
        Foreign(ANTHROPIC, {"type": "compaction", "content": "short", "encrypted_content": "x"}),
    )
    assert (response.stop_reason, response.extras.fields["stop_reason"]) == (StopReason.OTHER, "compaction")


def test_citations_reach_the_part_as_in_a_whole_answer() -> None:
    deltas = [{"type": "citations_delta", "citation": {"cited_text": text}} for text in "ab"]
    node = {"type": "text", "text": "", "citations": []}
    events = decode(start() + block(0, node, {"type": "text_delta", "text": "t"}, *deltas) + end())
    [part] = fold(events).parts
    assert part == Text("t", Extras(ANTHROPIC, {"citations": [{"cited_text": "a"}, {"cited_text": "b"}]}))


def test_usage_is_cumulative_and_null_keeps_what_was_told() -> None:
    final = frame("message_delta", delta={"stop_reason": "end_turn"}, usage={"output_tokens": 2})
    later = frame(
        "message_delta",
        delta={"stop_reason": None},
        usage={"input_tokens": None, "output_tokens": 7, "output_tokens_details": {"thinking_tokens": 4}},
    )
    finish = decode(start() + final + later + frame("message_stop"))[-1]
    assert finish == Finish(StopReason.END_TURN, Usage(15, 7, cache_read=5, reasoning=4))


def test_unknown_fields_survive_in_extras_and_in_place() -> None:
    final = frame(
        "message_delta",
        delta={"stop_reason": "refusal", "stop_details": {"type": "refusal"}},
        usage={"output_tokens": 1, "server_tool_use": {"web_search_requests": 1}},
        context_management={"applied_edits": []},
    )
    data = start(container=None) + text_block(0, "x") + final + frame("message_stop")
    events = decode(data)
    first, last = events[0], events[-1]
    assert isinstance(first, Start)
    assert isinstance(last, Finish)
    assert first.extras.of(ANTHROPIC) == {"container": None}
    assert set(last.extras.of(ANTHROPIC)) == {"stop_details", "context_management", "usage"}
    told = bodies(encode_stream(CODEC, events))[-2]
    assert told["delta"]["stop_details"] == {"type": "refusal"}
    assert told["context_management"] == {"applied_edits": []}
    assert told["usage"]["server_tool_use"] == {"web_search_requests": 1}


def test_unknown_deltas_and_fields_of_deltas_survive() -> None:
    deltas: tuple[dict[str, Any], ...] = (
        {"type": "thinking_delta", "thinking": "hm", "estimated_tokens": 7},
        {"type": "mood_delta", "mood": "calm"},
    )
    data = start() + block(0, {"type": "thinking", "thinking": "", "signature": ""}, *deltas) + end()
    again = [
        body["delta"]
        for body in bodies(encode_stream(CODEC, decode(data)))
        if "index" in body and "delta" in body
    ]
    assert again == list(deltas)


def test_unknown_events_are_skipped_json_or_not() -> None:
    noise = frame("thread_created", x=1) + b"event: debug\ndata: not json\n\n" + b'data: {"type": "new"}\n\n'
    data = start() + text_block(0, "x") + end()
    assert decode(
        noise
        + data.replace(frame("content_block_stop", index=0), noise + frame("content_block_stop", index=0))
    ) == decode(data)


def test_events_without_a_name_are_known_by_their_type() -> None:
    data = start() + text_block(0, "x") + end()
    bare = b"".join(line + b"\n" for line in data.split(b"\n") if not line.startswith(b"event:"))
    assert decode(bare) == decode(data)


def test_blocks_that_interleave_are_told_apart() -> None:
    opened = [
        frame("content_block_start", index=index, content_block={"type": "text", "text": ""})
        for index in (3, 7)
    ]
    deltas = [
        frame("content_block_delta", index=index, delta={"type": "text_delta", "text": text})
        for index, text in ((7, "b"), (3, "a"), (7, "B"))
    ]
    closed = [frame("content_block_stop", index=index) for index in (3, 7)]
    assert fold(decode(start(), *opened, *deltas, *closed, end())).parts == (Text("a"), Text("bB"))


def test_whole_and_streamed_answers_are_the_same_value() -> None:
    events = decode(start() + text_block(0, "hi") + tool_block(1, '{"a":1}') + end("tool_use"))
    body = {
        "id": "msg_1",
        "model": "claude",
        "content": [
            {"type": "text", "text": "hi"},
            {"type": "tool_use", "id": "toolu_1", "name": "Bash", "input": {"a": 1}},
        ],
        "stop_reason": "tool_use",
        "usage": {"input_tokens": 10, "cache_read_input_tokens": 5, "output_tokens": 9},
    }
    assert fold(events) == CODEC.decode_response(body)


# --- Streams that fail --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "error", "status"),
    [
        ("overloaded_error", UpstreamBusy, 529),
        ("rate_limit_error", UpstreamBusy, 429),
        ("api_error", UpstreamFailed, 500),
        ("timeout_error", UpstreamFailed, 504),
        ("invalid_request_error", UpstreamRefused, 400),
        ("authentication_error", UpstreamRefused, 401),
        ("permission_error", UpstreamRefused, 403),
        ("not_found_error", UpstreamRefused, 404),
        ("request_too_large", UpstreamRefused, 413),
        ("an_error_of_next_year", UpstreamFailed, None),
    ],
)
def test_an_error_event_raises_what_its_type_means(
    kind: str, error: type[UpstreamError], status: int | None
) -> None:
    decoder = CODEC.event_decoder()
    list(decoder.feed(start()))
    with pytest.raises(error, match=f"{kind}: Too much") as caught:
        list(decoder.feed(frame("error", error={"type": kind, "message": "Too much"})))
    assert (caught.value.status, caught.value.target, caught.value.wire_format) == (status, "", ANTHROPIC)
    assert json.loads(caught.value.body)["error"]["type"] == kind


def test_what_came_before_an_error_in_the_same_bytes_is_delivered_first() -> None:
    data = start() + text_block(0, "x") + frame("error", error={"type": "api_error", "message": "x"})
    events = iter(CODEC.event_decoder().feed(data))
    before = [next(events) for _ in range(4)]
    assert [type(event) for event in before] == [Start, PartStart, PartDelta, PartEnd]
    with pytest.raises(UpstreamFailed):
        next(events)


def test_after_an_error_everything_raises() -> None:
    decoder = CODEC.event_decoder()
    with pytest.raises(UpstreamBusy):
        list(decoder.feed(frame("error", error={"type": "overloaded_error", "message": "x"})))
    for data in (start(), b"", frame("message_stop")):
        with pytest.raises(UpstreamBusy):
            list(decoder.feed(data))
    with pytest.raises(UpstreamBusy):
        list(decoder.close())


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (text_block(0, "x"), "content_block_start: out of order"),
        (start() + start(), "message_start: out of order"),
        (start() + frame("message_stop"), "message_stop: out of order"),
        (start() + frame("content_block_stop", index=0), "0 is not an open block"),
        (
            start() + frame("content_block_delta", index=0, delta={"type": "text_delta", "text": ""}),
            "0 is not an open block",
        ),
        (
            start() + frame("content_block_delta", index=[], delta={}),
            "is not an open block",
        ),
        (
            start()
            + frame("content_block_start", index=0, content_block={"type": "text", "text": ""})
            + end(),
            "content block 0 is still open",
        ),
        (
            start() + frame("content_block_start", index=0, content_block={"type": "text", "text": ""}) * 2,
            "block 0 is already open",
        ),
        (
            start() + block(0, {"type": "text", "text": ""}, {"type": "thinking_delta", "thinking": "x"}),
            "thinking_delta does not belong",
        ),
        (start() + block(0, {"type": "text", "text": ""}, {"type": "text_delta"}), "text: must be a string"),
        (start() + block(0, {"type": "text", "text": ""}, {"type": []}), "type: must be a string"),
        (start() + block(0, {"type": "tool_use", "id": "t"}), "content_block.name: this field is required"),
        (
            start() + block(0, {"type": "server_tool_use"}, *json_deltas("{")),
            "do not add up to JSON",
        ),
        (start(usage={"input_tokens": "many"}), "message.usage.input_tokens: must be an integer"),
        (frame("message_start"), "message_start.message: this field is required"),
        (b"event: message_start\ndata: {\n\n", "is not JSON"),
        (b"event: message_start\ndata: []\n\n", "must be an object"),
        (b'data: {"type": []}\n\n', "type: must be a string"),
        (b"event: message_start\ndata: \xff\n\n", "UTF-8"),
    ],
)
def test_a_stream_that_breaks_the_rules_is_refused(data: bytes, problem: str) -> None:
    with pytest.raises(UpstreamWireError) as caught:
        decode(data)
    assert problem in str(caught.value)


def test_a_stream_cut_at_any_byte_raises() -> None:
    data = start() + text_block(0, "Hé") + tool_block(1, '{"a":', "1}") + end("tool_use")
    assert_cut_stream_raises(CODEC, data.replace(b"\n", b"\r\n"))


def test_a_stream_without_message_stop_was_cut() -> None:
    with pytest.raises(UpstreamWireError, match="message_stop never came"):
        decode(start() + text_block(0, "x") + end().split(b"event: message_stop")[0])


def test_what_follows_message_stop_is_ignored() -> None:
    data = start() + end()
    assert decode(data + b"data: [DONE]\n\n") == decode(data)
    assert decode(data, b"data: [DONE]\n\n") == decode(data)


# --- Encoding -----------------------------------------------------------------------------------------


@given(event_streams())
def test_any_canonical_stream_becomes_one_with_the_official_types(events: tuple[Event, ...]) -> None:
    for body in bodies_of(events):
        OFFICIAL.validate_python(body, strict=True)


def bodies_of(events: Iterable[Event]) -> list[dict[str, Any]]:
    """Each frame's data, by the JSON parser of the codec's own laws (U+2028 is no line end here)."""
    data = encode_stream(CODEC, events)
    return [dict(parse_body(part.split(b"data: ", 1)[1]).value) for part in data.split(b"\n\n") if part]


@given(event_streams())
def test_any_canonical_stream_with_whole_arguments_obeys_the_grammar(events: tuple[Event, ...]) -> None:
    encoder = CODEC.event_encoder()
    data = b"".join(encoder.encode(event) for event in events) + encoder.close()
    if not any(loss.path.endswith(".arguments") for loss in encoder.losses):
        validate_anthropic_stream(data)


@given(responses())
def test_streaming_an_answer_loses_what_sending_it_whole_loses(response: Response) -> None:
    whole = CODEC.encode_response(response)
    encoder = CODEC.event_encoder()
    data = b"".join(encoder.encode(event) for event in unfold(response))
    folded = fold(decode_stream(CODEC, [data]))
    if not any(loss.path.endswith(".arguments") for loss in whole.losses):
        again = CODEC.decode_response(parse_body(dump(whole.body)).value)
        assert [part for part in folded.parts if not isinstance(part, ToolCall)] == [
            part for part in again.parts if not isinstance(part, ToolCall)
        ]
        assert (folded.usage, folded.stop_reason) == (again.usage, again.stop_reason)
    assert {loss.path for loss in encoder.losses} == {loss.path for loss in whole.losses}


@given(event_streams(ANTHROPIC), st.integers(0, 2**20 - 1))
def test_pings_may_stand_before_any_event(events: tuple[Event, ...], pinged: int) -> None:
    encoder = CODEC.event_encoder()
    data = b""
    for at, event in enumerate(events):
        data += encoder.ping() if pinged >> at % 20 & 1 else b""
        data += encoder.encode(event)
    validate_anthropic_stream(data)
    assert fold(decode_stream(CODEC, [data])) == fold(decode_stream(CODEC, [encode_stream(CODEC, events)]))


def stream(*events: Event) -> tuple[list[tuple[str, Any]], tuple[str, ...]]:
    """What the blocks of the encoded stream say, in order, and the paths of the losses."""
    encoder = CODEC.event_encoder()
    finish = Finish(StopReason.END_TURN, Usage(1, 1))
    data = b"".join(encoder.encode(event) for event in (Start("m", "x"), *events, finish))
    validate_anthropic_stream(data)
    told = [
        (
            body["type"].removeprefix("content_block_"),
            body.get("delta") or body.get("content_block") or body["index"],
        )
        for body in bodies(data)
        if body["type"].startswith("content_block")
    ]
    return told, tuple(loss.path for loss in encoder.losses)


def test_parts_that_interleave_are_written_one_after_the_other() -> None:
    a, b = ToolCall("a", "n", ""), ToolCall("b", "n", "")
    told, losses = stream(
        PartStart(0, a),
        PartStart(1, b),
        PartDelta(1, '{"b":'),
        PartDelta(0, '{"a":'),
        PartDelta(1, "2}"),
        PartEnd(1),
        PartDelta(0, "1}"),
        PartEnd(0),
    )
    assert [what["partial_json"] for kind, what in told if kind == "delta"] == ['{"a":', "1}", '{"b":', "2}"]
    assert [what for kind, what in told if kind == "stop"] == [0, 1]
    assert losses == ()


def test_the_first_part_streams_while_the_others_wait() -> None:
    encoder = CODEC.event_encoder()
    encoder.encode(Start("m", "x"))
    encoder.encode(PartStart(0, Text("")))
    assert encoder.encode(PartStart(1, Text(""))) == b""
    assert encoder.encode(PartDelta(1, "later")) == b""
    assert b'"text":"now"' in encoder.encode(PartDelta(0, "now"))
    assert b'"text":"later"' in encoder.encode(PartEnd(0))
    assert b'"text":"live"' in encoder.encode(PartDelta(1, "live"))


def test_a_part_without_a_block_uses_up_no_number() -> None:
    told, losses = stream(
        PartStart(0, Image(ImageSource.URL, "https://x")),
        PartStart(1, Text("")),
        PartDelta(1, "t"),
        PartEnd(0),
        PartEnd(1),
    )
    assert [what for kind, what in told if kind == "stop"] == [0]
    assert losses == ("parts[0]",)


def test_a_seal_goes_out_before_its_block_ends_and_only_if_anthropics() -> None:
    told, losses = stream(
        PartStart(0, Reasoning("")),
        PartDelta(0, "hm"),
        PartEnd(0, Opaque(ANTHROPIC, "s")),
        PartStart(1, Reasoning("")),
        PartDelta(1, "hm"),
        PartEnd(1, Opaque(OPENAI, "s")),
    )
    assert [what["type"] for kind, what in told if kind == "delta"] == [
        "thinking_delta",
        "signature_delta",
        "thinking_delta",
    ]
    assert losses == ("parts[1].seal",)


def test_a_server_tools_input_is_streamed_as_anthropic_does() -> None:
    search = {"type": "server_tool_use", "id": "s", "name": "web_search", "input": {"query": "q"}}
    told, _ = stream(PartStart(0, Foreign(ANTHROPIC, search)), PartEnd(0))
    assert told[:2] == [
        ("start", {**search, "input": {}}),
        ("delta", {"type": "input_json_delta", "partial_json": '{"query":"q"}'}),
    ]
    assert search["input"] == {"query": "q"}


def test_broken_arguments_go_out_as_they_came_and_are_told() -> None:
    encoder = CODEC.event_encoder()
    events = (Start("m", "x"), PartStart(0, ToolCall("t", "n", "")), PartDelta(0, '{"a":'), PartEnd(0))
    data = b"".join(encoder.encode(event) for event in events)
    assert b'"partial_json":"{\\"a\\":"' in data
    assert [loss.path for loss in encoder.losses] == ["parts[0].arguments"]


def test_fields_beside_a_deltas_text_stay_beside_it() -> None:
    call = ToolCall("t", "n", "")
    told, losses = stream(
        PartStart(0, call),
        PartDelta(0, '{"a":', Extras(ANTHROPIC, {"x": 1})),
        PartDelta(0, "1}", Extras(OPENAI, {"y": 1})),
        PartDelta(0, ""),
        PartEnd(0),
    )
    assert [what for kind, what in told if kind == "delta"] == [
        {"type": "input_json_delta", "partial_json": '{"a":', "x": 1},
        {"type": "input_json_delta", "partial_json": "1}"},
    ]
    assert losses == ("parts[0].extras.y",)


def test_a_part_that_begins_with_text_loses_none_of_it() -> None:
    told, _ = stream(PartStart(0, Text("be")), PartDelta(0, "gun"), PartEnd(0))
    assert [what["text"] for kind, what in told if kind == "delta"] == ["be", "gun"]


def test_the_final_usage_is_filled_in_from_the_first() -> None:
    encoder = CODEC.event_encoder()
    data = encoder.encode(Start("m", "x", Usage(10, 1, cache_read=4)))
    data += encoder.encode(Finish(StopReason.END_TURN, Usage(output=7)))
    assert bodies(data)[1]["usage"] == {"input_tokens": 6, "output_tokens": 7, "cache_read_input_tokens": 4}
    assert encoder.losses == ()


def test_an_unknown_stop_reason_of_a_whole_answer_is_streamed_at_the_end() -> None:
    response = Response(
        "m",
        "x",
        (),
        StopReason.OTHER,
        Usage(1, 1),
        extras=Extras(ANTHROPIC, {"stop_reason": "compaction", "stop_details": {"a": 1}}),
    )
    first, *_, final, _ = bodies(encode_stream(CODEC, unfold(response)))
    assert first["message"]["stop_reason"] is None
    assert final["delta"] == {"stop_reason": "compaction", "stop_sequence": None, "stop_details": {"a": 1}}
    assert fold(decode_stream(CODEC, [encode_stream(CODEC, unfold(response))])) == response


def test_half_a_surrogate_pair_is_written_escaped() -> None:
    told, _ = stream(PartStart(0, Text("")), PartDelta(0, "\ud83d"), PartDelta(0, "\ude42"), PartEnd(0))
    assert "".join(what["text"] for kind, what in told if kind == "delta") == "\ud83d\ude42"


def test_an_error_ends_the_stream_within_the_grammar() -> None:
    encoder = CODEC.event_encoder()
    data = encoder.encode(Start("m", "x")) + encoder.encode(PartStart(0, Text("")))
    data += encoder.encode_error(UpstreamTimeout("no idle within 120 s", target="a:b"))
    validate_anthropic_stream(data + encoder.close())
    assert bodies(data)[-1]["error"] == {"type": "timeout_error", "message": "a:b: no idle within 120 s"}
    with pytest.raises(ValueError, match="out of order"):
        encoder.encode(PartDelta(0, "x"))


def test_a_stream_closed_before_its_end_says_so() -> None:
    encoder = CODEC.event_encoder()
    data = encoder.encode(Start("m", "x")) + encoder.close()
    validate_anthropic_stream(data)
    assert bodies(data)[-1]["type"] == "error"
    assert encoder.close() == b""


@pytest.mark.parametrize(
    "events",
    [
        (PartStart(0, Text("")),),
        (Start("m", "x"), Start("m", "x")),
        (Start("m", "x"), PartDelta(0, "x")),
        (Start("m", "x"), PartStart(1, Text(""))),
        (Start("m", "x"), PartStart(0, Text("")), PartStart(0, Text(""))),
        (Start("m", "x"), PartStart(0, Text("")), PartEnd(0), PartEnd(0)),
        (Start("m", "x"), PartStart(0, Text("")), Finish(StopReason.END_TURN)),
        (Start("m", "x"), PartStart(0, Text("")), PartStart(1, Text("")), PartEnd(1), PartDelta(1, "x")),
        (Start("m", "x"), Finish(StopReason.END_TURN), Finish(StopReason.END_TURN)),
    ],
)
def test_events_out_of_order_are_a_fault_of_the_caller(events: tuple[Event, ...]) -> None:
    with pytest.raises(ValueError, match=r"out of order|not open|is due|is open"):
        encode_stream(CODEC, events)
