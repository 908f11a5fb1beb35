"""Streams as servers really write them: items left out, deltas left out, errors."""

import json

import pytest

from lynkr.errors import UpstreamBusy, UpstreamFailed, UpstreamRefused, UpstreamWireError
from lynkr.model import Extras, Finish, Reasoning, StopReason, Text, ToolCall, Usage, WireFormat, fold
from lynkr.testing.laws import decode_stream
from lynkr.wire.openai_responses import OpenAIResponsesCodec

CODEC = OpenAIResponsesCodec()
RESPONSES = WireFormat.OPENAI_RESPONSES
HEAD = {"id": "resp_1", "object": "response", "created_at": 1.5, "model": "m", "status": "in_progress"}


def stream(*events, named=True):
    frames = []
    for event in events:
        head = f"event: {event['type']}\n" if named else ""
        frames.append(f"{head}data: {json.dumps(event)}\n\n")
    return "".join(frames).encode()


def created(**fields):
    return {"type": "response.created", "response": {**HEAD, "output": [], **fields}}


def completed(output=(), **fields):
    response = {**HEAD, "status": "completed", "output": list(output), **fields}
    return {"type": "response.completed", "response": response}


def answer(*events):
    return fold(decode_stream(CODEC, [stream(created(), *events)]))


def added(index, item):
    return {"type": "response.output_item.added", "output_index": index, "item": item}


def done(index, item):
    return {"type": "response.output_item.done", "output_index": index, "item": item}


def test_an_answer_that_was_never_streamed_is_read_from_the_last_event():
    message = {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "hi"}]}
    call = {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"}
    found = answer(completed([message, call]))
    assert found.parts == (Text("hi"), ToolCall("c", "f", "{}"))
    assert found.stop_reason is StopReason.TOOL_USE
    assert found.created == 1


def test_deltas_without_announcements_begin_their_part():
    found = answer(
        {"type": "response.output_text.delta", "item_id": "msg_1", "delta": "a"},
        {"type": "response.output_text.delta", "item_id": "msg_1", "delta": "b"},
        completed(),
    )
    assert found.parts == (Text("ab"),)


def test_what_deltas_left_out_comes_with_the_finished_item():
    item = {"type": "function_call", "call_id": "c", "name": "f", "arguments": ""}
    text = {"type": "message", "id": "msg_1", "role": "assistant", "content": []}
    said = [{"type": "output_text", "text": "hello", "annotations": [{"type": "x"}]}]
    found = answer(
        added(0, text),
        {"type": "response.output_text.delta", "output_index": 0, "content_index": 0, "delta": "hel"},
        done(0, {**text, "content": said}),
        added(1, item),
        done(1, {**item, "arguments": '{"a":1}'}),
        completed(),
    )
    first, call = found.parts
    assert isinstance(first, Text)
    assert first.text == "hello"
    assert first.extras.fields["annotations"] == [{"type": "x"}]
    assert call == ToolCall("c", "f", '{"a":1}')


def test_a_custom_call_is_escaped_as_it_comes():
    item = {"type": "custom_tool_call", "call_id": "c", "name": "p", "input": ""}
    found = answer(
        added(0, item),
        {"type": "response.custom_tool_call_input.delta", "output_index": 0, "delta": 'a"'},
        {"type": "response.custom_tool_call_input.delta", "output_index": 0, "delta": "\n"},
        done(0, {**item, "input": 'a"\n!'}),
        completed(),
    )
    (call,) = found.parts
    assert call == ToolCall("c", "p", json.dumps({"input": 'a"\n!'}, separators=(",", ":")), call.extras)
    assert call.extras == Extras(RESPONSES, {"type": "custom"})


def test_a_summary_in_pieces_and_its_seal():
    item = {"type": "reasoning", "id": "rs_1", "summary": []}
    whole = {**item, "summary": [{"type": "summary_text", "text": t} for t in ("a", "b")]}
    delta = {"type": "response.reasoning_summary_text.delta", "output_index": 0}
    found = answer(
        added(0, item),
        {**delta, "summary_index": 0, "delta": "a"},
        {**delta, "summary_index": 1, "delta": "b"},
        done(0, {**whole, "encrypted_content": "gAAA"}),
        completed(),
    )
    (thought,) = found.parts
    assert isinstance(thought, Reasoning)
    assert thought.text == "a\n\nb"
    assert thought.seal is not None
    assert CODEC.encode_response(found).body["output"] == [{**whole, "encrypted_content": "gAAA"}]


def test_raw_thinking_is_told_from_a_summary():
    item = {"type": "reasoning", "id": "rs_1", "summary": []}
    found = answer(
        added(0, item),
        {"type": "response.reasoning_text.delta", "output_index": 0, "content_index": 0, "delta": "raw"},
        done(0, {**item, "content": [{"type": "reasoning_text", "text": "raw"}]}),
        completed(),
    )
    assert found.parts == (Reasoning("raw", extras=Extras(RESPONSES, {"id": "rs_1", "field": "content"})),)


def test_unknown_events_and_done_are_ignored():
    events = [created(), {"type": "response.next_year", "x": 1}, {"type": "keepalive"}, completed()]
    data = b"data: [DONE]\n\n" + stream(*events) + b"data: [DONE]\n\n"
    assert isinstance(decode_stream(CODEC, [data])[-1], Finish)


def test_usage_and_the_reason_come_last():
    usage = {
        "input_tokens": 10,
        "input_tokens_details": {"cached_tokens": 4, "cache_write_tokens": 1},
        "output_tokens": 5,
        "output_tokens_details": {"reasoning_tokens": 2},
        "total_tokens": 15,
    }
    end = completed(usage=usage, incomplete_details={"reason": "max_output_tokens"})
    end["response"]["status"] = "incomplete"
    end["type"] = "response.incomplete"
    found = answer(end)
    assert found.usage == Usage(input=10, output=5, cache_read=4, cache_write=1, reasoning=2)
    assert found.stop_reason is StopReason.MAX_TOKENS


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        ({"code": "server_error", "message": "boom"}, UpstreamFailed),
        ({"code": "rate_limit_exceeded", "message": "slow down"}, UpstreamBusy),
        ({"code": "context_length_exceeded", "message": "too long"}, UpstreamRefused),
    ],
)
def test_a_failed_response_is_the_error_it_tells(error, kind):
    failed = {"type": "response.failed", "response": {**HEAD, "status": "failed", "error": error}}
    for data in (stream(created(), failed), stream(failed)):
        with pytest.raises(kind) as caught:
            decode_stream(CODEC, [data])
        assert error["message"] in str(caught.value)


@pytest.mark.parametrize(
    "event",
    [
        {"type": "error", "code": "server_error", "message": "boom", "param": None},
        {"type": "error", "error": {"type": "server_error", "message": "boom"}},
    ],
)
def test_an_error_event_is_told_at_the_end_of_the_stream(event):
    with pytest.raises(UpstreamFailed, match="boom"):
        decode_stream(CODEC, [stream(created(), event)])


@pytest.mark.parametrize(
    "events",
    [
        [{"type": "response.output_text.delta", "delta": "x"}],
        [created(), added(0, 7)],
        [created(), added(0, {"type": "message"}), added(0, {"type": "message"})],
        [created(), added(0, {"type": "function_call", "call_id": "c"})],
        [created(), {"type": "response.function_call_arguments.delta", "output_index": 3, "delta": "x"}],
        [created()],
        [],
    ],
)
def test_a_stream_that_makes_no_sense_raises(events):
    with pytest.raises(UpstreamWireError):
        decode_stream(CODEC, [stream(*events)])
