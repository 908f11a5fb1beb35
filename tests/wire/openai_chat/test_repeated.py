"""Chunks that differ in their words alone are read as if each had been parsed."""

import json

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from lynkr.errors import LynkrError
from lynkr.model import Finish, PartDelta, Start, WireFormat
from lynkr.testing.laws import encode_stream
from lynkr.testing.strategies import chunkings, event_streams
from lynkr.wire.openai_chat import OpenAIChatCodec
from lynkr.wire.openai_chat.repeated import template_of

CODEC = OpenAIChatCodec()
END = b"data: [DONE]\n\n"


def chunk(content, finish=None, padding=None, **more):
    delta = {} if content is None else {"content": content}
    value = {
        "id": "c1",
        "object": "chat.completion.chunk",
        "model": "m",
        "choices": [{"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}],
        "usage": None,
        **more,
    }
    if padding is not None:
        value["obfuscation"] = padding
    return b"data: " + json.dumps(value, ensure_ascii=False).encode("utf-8", "surrogatepass") + b"\n\n"


def read(decoder, pieces):
    """The events of *pieces*, and the class of the error that ended them."""
    events = []
    try:
        for piece in pieces:
            events.extend(decoder.feed(piece))
        events.extend(decoder.close())
    except LynkrError as error:
        return events, type(error)
    return events, None


def unhurried():
    """A decoder that parses every chunk."""
    decoder = CODEC.event_decoder()
    decoder._lessons = 1_000
    return decoder


WORDS = st.text(max_size=6) | st.sampled_from(
    ['"', "\\", 'a"b', "\n", "\x7f", " ", "é", "", "tool_calls", '{"error":1}']
)
ODD = st.sampled_from(
    [
        {"usage": {"prompt_tokens": 3, "completion_tokens": 4}},
        {"system_fingerprint": "fp"},
        {"error": {"message": "no", "code": 500}},
        {"choices": []},
        {"choices": [{"index": 1, "delta": {"content": "b"}}, {"index": 0, "delta": {"content": "a"}}]},
        {"choices": [{"index": 0, "delta": {"content": "a"}, "logprobs": {"content": [{"token": "a"}]}}]},
        {"choices": [{"index": 0, "delta": {"content": "a", "odd": "b"}}]},
        {"choices": [{"index": 0, "delta": {"reasoning_content": "hm", "content": "a"}}]},
    ]
)
PADDING = st.none() | st.text("aB9", min_size=1, max_size=4) | st.sampled_from(['"', "\\", "", "é"])
CHUNKS = st.builds(chunk, WORDS, padding=PADDING) | st.builds(lambda more: chunk("w", **more), ODD)


@given(st.lists(CHUNKS, max_size=12), st.booleans(), st.data())
@example([chunk("a"), chunk("b"), chunk("c")], True, None)
@example([chunk("a"), chunk("b", logprobs=1), chunk("c"), chunk("d")], True, None)
@example([chunk("a", padding="x"), chunk("b", padding="yy"), chunk("c", padding='"')], True, None)
def test_a_stream_of_like_chunks_is_what_parsing_each_makes_of_it(chunks, is_whole, data):
    stream = chunk("first", None) + b"".join(chunks) + (chunk(None, "stop") + END if is_whole else b"")
    plain = read(unhurried(), [stream])
    assert read(CODEC.event_decoder(), [stream]) == plain
    if data is not None:
        assert read(CODEC.event_decoder(), data.draw(chunkings(stream))) == plain
    assert read(CODEC.event_decoder(), stream.split(b"\n")) == read(unhurried(), stream.split(b"\n"))


@given(event_streams(WireFormat.OPENAI_CHAT), st.data())
def test_any_stream_is_what_parsing_each_chunk_makes_of_it(events, data):
    stream = encode_stream(CODEC, events)
    assert read(CODEC.event_decoder(), data.draw(chunkings(stream))) == read(unhurried(), [stream])


@pytest.mark.parametrize("padded", [True, False])
def test_most_chunks_of_an_answer_are_not_parsed(padded, monkeypatch):
    words = [f"word{at} " for at in range(100)]
    stream = b"".join(
        chunk(word, padding="a" * (1 + at % 7) if padded else None) for at, word in enumerate(words)
    )
    decoder, parsed = CODEC.event_decoder(), []
    take = decoder._take
    monkeypatch.setattr(decoder, "_take", lambda frame: (parsed.append(frame), take(frame)))
    events, failed = read(decoder, [chunk("", None), stream, chunk(None, "stop"), END])
    assert failed is None
    assert [event.text for event in events if isinstance(event, PartDelta)] == words
    assert (type(events[0]), type(events[-1])) == (Start, Finish)
    assert len(parsed) < 10


def test_a_broken_byte_or_a_control_character_is_still_refused():
    for broken in (b"\xff", b"\x01"):
        stream = [chunk("a"), chunk("b"), chunk("X").replace(b"X", broken), END]
        assert read(CODEC.event_decoder(), stream) == read(unhurried(), stream)
        assert read(unhurried(), stream)[1] is not None


def test_what_is_no_chunk_of_one_line_has_no_template():
    for event in (b'data: {"a": 1}', b'event: x\ndata: {"content":"a"}', b'{"content":"a"}'):
        assert template_of(event) is None


@given(st.lists(CHUNKS, max_size=12))
def test_what_is_skimmed_over_tells_nothing_but_words(chunks):
    stream = b"".join(chunks)
    left = CODEC.skim(stream)
    events = [event for event in stream.split(b"\n\n") if event and event not in left]
    for event in events:
        (choice,) = json.loads(event[6:])["choices"]
        assert choice["finish_reason"] is None
        assert not json.loads(event[6:])["usage"]
        assert "error" not in json.loads(event[6:])
