"""Streams as Bedrock sends them, and the faults they may hold."""

import json
from base64 import b64encode

import pytest

from lynkr.errors import UpstreamBusy, UpstreamFailed, UpstreamWireError
from lynkr.model import (
    Finish,
    Foreign,
    Image,
    ImageSource,
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
from lynkr.testing.laws import decode_stream
from lynkr.wire.aws_eventstream import encode_message
from lynkr.wire.bedrock import BedrockConverseCodec

CODEC = BedrockConverseCodec()
ANTHROPIC, BEDROCK = WireFormat.ANTHROPIC_MESSAGES, WireFormat.BEDROCK_CONVERSE


def event(name, **body):
    headers = {":event-type": name, ":content-type": "application/json", ":message-type": "event"}
    return encode_message(headers, json.dumps({**body, "p": "abcdefghijk"}).encode())


def begin(index, **start):
    return event("contentBlockStart", start=start, contentBlockIndex=index)


def delta(index, **delta):
    return event("contentBlockDelta", delta=delta, contentBlockIndex=index)


def end(index):
    return event("contentBlockStop", contentBlockIndex=index)


START = event("messageStart", role="assistant")
STOP = event("messageStop", stopReason="end_turn")
USAGE = {"inputTokens": 3, "outputTokens": 5, "totalTokens": 8}
META = event("metadata", usage=USAGE, metrics={"latencyMs": 9})


def answered(*events):
    return fold(decode_stream(CODEC, [b"".join((START, *events, STOP, META))]))


def test_text_begins_with_its_first_delta_and_padding_is_no_field():
    response = answered(delta(0, text="né"), delta(0, text="!"), end(0))
    assert response.parts == (Text("né!"),)
    assert response.usage == Usage(input=3, output=5)
    assert dict(response.extras.fields) == {"metrics": {"latencyMs": 9}}


def test_a_delta_in_which_nothing_is_said_begins_no_block():
    assert answered(delta(0), delta(0, text="a"), delta(0), end(0)).parts == (Text("a"),)


def test_reasoning_comes_with_its_signature():
    response = answered(
        delta(0, reasoningContent={"text": "h"}),
        delta(0, reasoningContent={"text": "m"}),
        delta(0, reasoningContent={"signature": "s=="}),
        end(0),
    )
    assert response.parts == (Reasoning("hm", Opaque(ANTHROPIC, "s==")),)


def test_redacted_reasoning_in_pieces_is_one_seal():
    pieces = [b64encode(piece).decode() for piece in (b"ab", b"cde")]
    response = answered(*(delta(0, reasoningContent={"redactedContent": piece}) for piece in pieces), end(0))
    assert response.parts == (Reasoning("", Opaque(BEDROCK, b64encode(b"abcde").decode()), redacted=True),)


def test_parallel_calls_are_told_apart_by_their_blocks():
    response = answered(
        begin(0, toolUse={"toolUseId": "a", "name": "A"}),
        begin(1, toolUse={"toolUseId": "b", "name": "B"}),
        delta(1, toolUse={"input": '{"b":'}),
        delta(0, toolUse={"input": "{}"}),
        delta(1, toolUse={"input": "1}"}),
        end(1),
        end(0),
    )
    assert response.parts == (ToolCall("a", "A", "{}"), ToolCall("b", "B", '{"b":1}'))


def test_citations_stay_with_their_text():
    response = answered(
        delta(0, text="a"), delta(0, citation={"title": "t"}), delta(0, citation={"title": "u"})
    )
    (part,) = response.parts
    assert part.text == "a"
    assert part.extras.of(BEDROCK) == {"citations": [{"title": "t"}, {"title": "u"}]}


def test_images_and_the_providers_own_tools_go_on_whole():
    response = answered(
        begin(0, image={"format": "png"}),
        delta(0, image={"source": {"bytes": "aGk="}}),
        end(0),
        begin(1, toolUse={"toolUseId": "s", "name": "n", "type": "server_tool_use"}),
        delta(1, toolUse={"input": '{"q":1}'}),
        end(1),
        begin(2, toolResult={"toolUseId": "s", "type": "n_result"}),
        delta(2, toolResult=[{"text": "a"}]),
        delta(2, toolResult=[{"json": {}}]),
        end(2),
    )
    call = {"toolUseId": "s", "name": "n", "type": "server_tool_use", "input": {"q": 1}}
    result = {"toolUseId": "s", "type": "n_result", "content": [{"text": "a"}, {"json": {}}]}
    assert response.parts == (
        Image(ImageSource.BASE64, "aGk=", "image/png"),
        Foreign(BEDROCK, {"toolUse": call}),
        Foreign(BEDROCK, {"toolResult": result}),
    )


def test_a_kind_of_block_that_is_new_is_kept():
    response = answered(delta(0, sonnet={"line": 1}), delta(0, sonnet={"line": 2}), end(0))
    assert response.parts == (Foreign(BEDROCK, {"sonnet": {"deltas": [{"line": 1}, {"line": 2}]}}),)


def test_a_block_without_an_end_ends_with_the_message():
    assert answered(delta(0, text="a")).parts == (Text("a"),)


def test_an_answer_without_metadata_is_whole_and_its_counts_unknown():
    *_, last = decode_stream(CODEC, [START + delta(0, text="a") + end(0) + STOP])
    assert last == Finish(StopReason.END_TURN)


@pytest.mark.parametrize(
    "events",
    [
        (delta(0, text="a"),),
        (START, START),
        (START, delta(0, text="a"), delta(0, toolUse={"input": ""})),
        (START, delta(0, toolUse={"input": ""}), delta(0, text="x")),
        (START, begin(0, toolUse={"toolUseId": "a", "name": "A"}), begin(0, toolUse={"toolUseId": "b"})),
        (START, delta(0, text="a"), end(0), end(0)),
        (START, delta(0, text="a"), end(0), delta(0, text="b")),
        (START, begin(0, toolUse={"name": "A"})),
        (START, delta(0, text=5)),
        (START, delta("0", text="a")),
        (START, delta(0, reasoningContent={"redactedContent": "*"}), delta(0, reasoningContent={}), STOP),
        (START, META),
        (START, encode_message({":message-type": "event", ":event-type": "messageStop"}, b"{")),
        (START, encode_message({":message-type": "event", ":event-type": "messageStop"}, b"[]")),
    ],
)
def test_what_breaks_the_grammar_is_a_wire_fault(events):
    decoder = CODEC.event_decoder()
    with pytest.raises(UpstreamWireError):
        list(decoder.feed(b"".join(events)))
    with pytest.raises(UpstreamWireError):
        decoder.feed(b"")
    with pytest.raises(UpstreamWireError):
        decoder.close()


@pytest.mark.parametrize(
    ("headers", "payload", "kind", "words"),
    [
        (
            {":message-type": "exception", ":exception-type": "throttlingException"},
            b'{"message":"slow"}',
            UpstreamBusy,
            "slow",
        ),
        (
            {":message-type": "exception", ":exception-type": "internalServerException"},
            b"",
            UpstreamFailed,
            "no explanation",
        ),
        (
            {":message-type": "error", ":error-code": "InternalFailure", ":error-message": "oops"},
            b"",
            UpstreamFailed,
            "oops",
        ),
    ],
)
def test_an_exception_ends_the_stream_after_what_came_before(headers, payload, kind, words):
    decoder = CODEC.event_decoder()
    fed = iter(decoder.feed(START + delta(0, text="a") + encode_message(headers, payload)))
    assert [next(fed), next(fed), next(fed)] == [Start("", ""), PartStart(0, Text("")), PartDelta(0, "a")]
    with pytest.raises(kind, match=words) as caught:
        next(fed)
    assert caught.value.target == ""


def test_events_that_break_the_canonical_grammar_are_their_callers_fault():
    encoder = CODEC.event_encoder()
    with pytest.raises(ValueError, match="out of order"):
        encoder.encode(PartStart(0, Text("")))
    encoder.encode(Start("", ""))
    for wrong in (PartStart(1, Text("")), PartDelta(0, "x"), PartEnd(0), Start("", "")):
        with pytest.raises(ValueError, match=r"part|order"):
            encoder.encode(wrong)
    encoder.encode(PartStart(0, Text("")))
    with pytest.raises(ValueError, match="open"):
        encoder.encode(Finish(StopReason.END_TURN))


def test_a_stream_that_stops_short_ends_in_an_exception():
    encoder = CODEC.event_encoder()
    data = encoder.encode(Start("", "")) + encoder.ping() + encoder.close()
    with pytest.raises(UpstreamFailed, match="broke off"):
        decode_stream(CODEC, [data])
    assert encoder.close() == b""
