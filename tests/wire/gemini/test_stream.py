"""Streams as Google sends them, and as we write them."""

import json

import pytest

from lynkr.errors import UpstreamBusy, UpstreamFailed, UpstreamWireError
from lynkr.model import (
    Finish,
    Opaque,
    PartDelta,
    PartEnd,
    PartStart,
    Reasoning,
    Start,
    StopReason,
    Text,
    ToolCall,
    Usage,
    WireFormat,
)
from lynkr.model.fold import fold
from lynkr.testing.laws import decode_stream, encode_stream
from lynkr.wire.gemini import GeminiCodec

CODEC = GeminiCodec()
GEMINI = WireFormat.GEMINI
HEAD = {"modelVersion": "gemini-3-pro", "responseId": "r1"}


def chunk(*parts, **candidate):
    return {
        "candidates": [{"content": {"parts": list(parts), "role": "model"}, "index": 0, **candidate}],
        **HEAD,
    }


def wire(*chunks):
    return b"".join(b"data: " + json.dumps(chunk).encode() + b"\r\n\r\n" for chunk in chunks)


def read(*chunks):
    return decode_stream(CODEC, [wire(*chunks)])


USAGE = {"promptTokenCount": 9, "candidatesTokenCount": 2, "thoughtsTokenCount": 3, "totalTokenCount": 14}
END = {"finishReason": "STOP"}


def test_texts_go_on_over_chunks_and_calls_arrive_whole():
    events = read(
        {**chunk({"thought": True, "text": "h"}), "usageMetadata": {"promptTokenCount": 9}},
        chunk({"thought": True, "text": "m"}),
        chunk({"text": "so"}),
        chunk({"functionCall": {"name": "f", "args": {"a": 1}}}, {"functionCall": {"name": "g", "id": "x"}}),
        {**chunk({"text": ""}, **END), "usageMetadata": USAGE},
    )
    assert events[0] == Start("r1", "gemini-3-pro")
    response = fold(events)
    assert response.parts == (
        Reasoning("hm"),
        Text("so"),
        ToolCall("call_r1_0", "f", '{"a":1}'),
        ToolCall("x", "g", "{}"),
    )
    assert response.stop_reason is StopReason.TOOL_USE
    assert response.usage == Usage(9, 5, reasoning=3)


def test_a_signature_in_an_empty_text_at_the_end_is_kept_apart_from_the_text():
    events = read(chunk({"text": "hi"}), chunk({"text": "", "thoughtSignature": "c2ln"}, **END))
    parts = fold(events).parts
    assert parts[0] == Text("hi")
    assert (parts[1].seal, parts[1].redacted) == (Opaque(GEMINI, "c2ln"), True)


def test_a_signature_on_a_call_comes_with_it():
    signed = {"functionCall": {"name": "f", "args": {}}, "thoughtSignature": "c2ln"}
    [call] = fold(read(chunk(signed, **END))).parts
    assert call.extras.fields == {"thoughtSignature": "c2ln"}


def test_a_signed_thought_ends_and_the_next_one_is_another():
    signed = {"thought": True, "text": "a", "thoughtSignature": "c2ln"}
    events = read(chunk(signed), chunk({"thought": True, "text": "b"}, **END))
    assert fold(events).parts == (Reasoning("a", Opaque(GEMINI, "c2ln")), Reasoning("b"))


def test_two_texts_in_one_chunk_are_two_parts():
    assert fold(read(chunk({"text": "a"}, {"text": "b"}, **END))).parts == (Text("a"), Text("b"))


def test_usage_may_come_after_the_finish_reason_and_counts_grow_over_the_stream():
    events = read(chunk({"text": "a"}, **END), {"usageMetadata": USAGE, **HEAD})
    assert events[-1] == Finish(StopReason.END_TURN, Usage(9, 5, reasoning=3))


def test_a_blocked_prompt_is_a_refusal():
    events = read({"promptFeedback": {"blockReason": "SAFETY"}, **HEAD})
    assert [type(event) for event in events] == [Start, Finish]
    assert events[-1].stop_reason is StopReason.REFUSAL


@pytest.mark.parametrize("chunks", [(), (chunk({"text": "a"}),), ({"usageMetadata": USAGE, **HEAD},)])
def test_a_stream_cut_before_its_finish_reason_raises(chunks):
    with pytest.raises(UpstreamWireError, match="cut before its finishReason"):
        read(*chunks)


def test_an_error_inside_a_stream_is_that_error_and_comes_after_what_was_said():
    error = {"error": {"code": 503, "message": "The model is overloaded.", "status": "UNAVAILABLE"}}
    decoder = CODEC.event_decoder()
    given = decoder.feed(wire(chunk({"text": "a"}), error))
    seen = [next(given) for _ in range(3)]
    with pytest.raises(UpstreamBusy, match="overloaded"):
        next(given)
    assert seen == [Start("r1", "gemini-3-pro"), PartStart(0, Text("")), PartDelta(0, "a")]
    with pytest.raises(UpstreamBusy):
        list(decoder.close())


def test_a_call_nobody_can_read_fails_before_anything_was_said():
    with pytest.raises(UpstreamFailed, match="MALFORMED_FUNCTION_CALL"):
        read({"candidates": [{"finishReason": "MALFORMED_FUNCTION_CALL", "index": 0}], **HEAD})


def test_without_alt_sse_the_chunks_come_as_an_array():
    body = json.dumps([chunk({"text": "a"}), chunk({"text": "b"}, **END)], indent=2).encode()
    for pieces in ([body], [body[:1], body[1:7], body[7:]]):
        assert fold(decode_stream(CODEC, pieces)).parts == (Text("ab"),)
    with pytest.raises(UpstreamWireError):
        decode_stream(CODEC, [body[:-1]])


@pytest.mark.parametrize("wrap", [lambda error: error, lambda error: [error]])
def test_an_error_in_place_of_a_stream_is_that_error(wrap):
    error = {"error": {"code": 429, "message": "quota", "status": "RESOURCE_EXHAUSTED"}}
    with pytest.raises(UpstreamBusy, match="quota"):
        decode_stream(CODEC, [json.dumps(wrap(error)).encode()])


# --- Encoding -----------------------------------------------------------------------------------------


def frames(data):
    return [json.loads(line[6:]) for line in data.decode().split("\n\n") if line]


def test_parts_that_interleave_are_written_one_after_the_other():
    events = (
        Start("r", "m"),
        PartStart(0, ToolCall("a", "f", "")),
        PartStart(1, ToolCall("b", "g", "")),
        PartDelta(1, '{"y":'),
        PartDelta(0, '{"x":1}'),
        PartDelta(1, "2}"),
        PartEnd(1),
        PartEnd(0),
        Finish(StopReason.TOOL_USE, Usage(1, 2)),
    )
    chunks = frames(encode_stream(CODEC, events))
    calls = [part["functionCall"] for chunk in chunks for part in chunk["candidates"][0]["content"]["parts"]]
    assert calls == [{"id": "a", "name": "f", "args": {"x": 1}}, {"id": "b", "name": "g", "args": {"y": 2}}]
    assert chunks[-1]["candidates"][0]["finishReason"] == "STOP"
    assert chunks[-1]["usageMetadata"] == {
        "promptTokenCount": 1,
        "candidatesTokenCount": 2,
        "totalTokenCount": 3,
    }


def test_words_go_out_as_they_come():
    encoder = CODEC.event_encoder()
    assert encoder.encode(Start("r", "m")) == b""
    assert encoder.encode(PartStart(0, Text(""))) == b""
    [first] = frames(encoder.encode(PartDelta(0, "né")))
    assert first["candidates"][0]["content"]["parts"] == [{"text": "né"}]
    assert first["responseId"] == "r"


def test_an_error_ends_a_stream_in_googles_envelope():
    encoder = CODEC.event_encoder()
    [frame] = frames(encoder.encode_error(UpstreamWireError("cut")))
    assert frame == {"error": {"code": 502, "message": "cut", "status": "UNAVAILABLE"}}
    with pytest.raises(UpstreamFailed):
        decode_stream(CODEC, [encoder.encode_error(UpstreamWireError("cut"))])


def test_a_ping_means_nothing():
    encoder = CODEC.event_encoder()
    data = encoder.ping() + wire(chunk({"text": "a"}, **END))
    assert fold(decode_stream(CODEC, [data])).parts == (Text("a"),)


def test_an_empty_text_without_a_signature_is_no_part():
    assert fold(read(chunk({"text": ""}), chunk({"text": "", "thought": True}, **END))).parts == ()
