"""Laws of `lynkr.wire.sse`: the frames do not depend on how the bytes were cut or the lines ended."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from lynkr.errors import UpstreamWireError
from lynkr.testing.primitives import texts
from lynkr.testing.strategies import chunkings
from lynkr.wire.sse import Frame, FrameDecoder, encode_frame

LINES = texts(empty=True).map(lambda text: text.replace("\r", "").replace("\n", ""))
ENDINGS = ("\n", "\r\n", "\r")


def frames_of(chunks, **options):
    decoder = FrameDecoder(**options)
    return [frame for chunk in chunks for frame in decoder.feed(chunk)]


def outcome_of(chunks, **options):
    """The frames that came, and whether an error ended them."""
    decoder, frames = FrameDecoder(**options), []
    try:
        for chunk in chunks:
            for frame in decoder.feed(chunk):
                frames.append(frame)  # noqa: PERF402  # those before an error must be kept
    except UpstreamWireError as error:
        return frames, str(error)
    return frames, None


@st.composite
def written_streams(draw: st.DrawFn) -> tuple[str, list[Frame]]:
    """A stream's text, every legal way of writing it, and the frames it means."""
    text, frames = draw(st.sampled_from(("", "\ufeff"))), []
    for _ in range(draw(st.integers(0, 4))):
        event = draw(st.just("") | LINES.map(str.strip))
        data = draw(st.lists(LINES, min_size=1, max_size=3))
        lines = [f"data:{draw(st.sampled_from(('', ' ')))}{line}" for line in data]
        # One space after the colon is dropped, so a value that begins with one needs it written.
        lines = [
            f"data: {line}" if line.startswith(" ") else row for line, row in zip(data, lines, strict=True)
        ]
        lines = ["data" if row == "data:" and draw(st.booleans()) else row for row in lines]
        if event:
            lines.insert(draw(st.integers(0, len(lines))), f"event: {event}")
        for _ in range(draw(st.integers(0, 2))):
            noise = draw(
                st.sampled_from((": ping", ":", "id: 7", "retry: 10", "unknown: x", "nonsense", "Data: x"))
            )
            lines.insert(draw(st.integers(0, len(lines))), noise)
        endings = [draw(st.sampled_from(ENDINGS)) for _ in lines]
        text += "".join(line + ending for line, ending in zip(lines, endings, strict=True))
        # After CR, an LF would belong to the same line end.
        text += draw(st.sampled_from(ENDINGS if endings[-1] != "\r" else ("\r\n", "\r")))
        text += draw(st.sampled_from(("", "\n", ": keep-alive\n\n", "event: without data\n\n")))
        frames.append(Frame(event, "\n".join(data)))
    return text, frames


@given(written_streams())
@example(("data: a\r\rdata: b\r\n\r\ndata: c\n\n", [Frame("", "a"), Frame("", "b"), Frame("", "c")]))
@example(("data\n\n", [Frame("", "")]))
@example(("data:  two spaces\n\n", [Frame("", " two spaces")]))
@example(("event: lost\n\ndata: x\n\n", [Frame("", "x")]))
def test_a_stream_is_read_as_the_standard_says(stream):
    text, frames = stream
    assert frames_of([text.encode()]) == frames


@given(st.data(), written_streams())
def test_cutting_the_bytes_elsewhere_changes_no_frame(data, stream):
    text, frames = stream
    chunks = data.draw(chunkings(text.encode()))
    assert frames_of([chunk for piece in chunks for chunk in (b"", piece)]) == frames


@given(written_streams(), st.sampled_from(ENDINGS))
def test_the_kind_of_line_ending_changes_no_frame(stream, ending):
    text, frames = stream
    one_kind = text.replace("\r\n", "\n").replace("\r", "\n").replace("\n", ending)
    assert frames_of(bytes([byte]) for byte in one_kind.encode()) == frames


@given(st.lists(st.tuples(LINES, LINES.map(str.strip)), max_size=4))
def test_encoded_frames_are_read_back(pairs):
    stream = b"".join(encode_frame(data.encode(), event) for data, event in pairs)
    assert frames_of([stream]) == [Frame(event, data) for data, event in pairs]


@given(written_streams(), LINES.filter(bool))
def test_an_unfinished_last_frame_is_dropped_and_told(stream, line):
    text, frames = stream
    decoder = FrameDecoder()
    whole = list(decoder.feed(f"{text}\n".encode()))
    assert whole == frames
    assert decoder.close()
    assert list(decoder.feed(f"data: {line}\n".encode())) == []
    assert not decoder.close()
    assert list(decoder.feed(b"data")) == []
    assert not decoder.close()


def test_a_line_without_its_end_is_told_at_close():
    decoder = FrameDecoder()
    assert list(decoder.feed(b"data: x\n\nda")) == [Frame("", "x")]
    assert not decoder.close()


@given(st.data())
def test_a_frame_too_large_raises_wherever_the_bytes_are_cut(data):
    limit = data.draw(st.integers(8, 40))
    sizes = st.integers(0, limit)
    lines = data.draw(st.lists(sizes.map(lambda size: b"data: " + b"x" * size), max_size=4))
    ends = [data.draw(st.sampled_from((b"\n", b"\r\n", b"\n\n"))) for _ in lines]
    stream = b"".join(line + end for line, end in zip(lines, ends, strict=True))
    whole = outcome_of([stream], max_bytes=limit)
    assert outcome_of(data.draw(chunkings(stream)), max_bytes=limit) == whole
    held = 0
    for line, end in zip(lines, ends, strict=True):
        held += len(line)
        if held > limit:
            assert whole[1] is not None
            return
        held = 0 if end == b"\n\n" else held
    assert whole[1] is None


def test_a_line_without_end_does_not_grow_for_ever():
    decoder = FrameDecoder(max_bytes=1_000)
    for _ in range(1_000):
        assert list(decoder.feed(b"x")) == []
    with pytest.raises(UpstreamWireError, match="larger than 1000 bytes"):
        list(decoder.feed(b"x"))


def test_frames_before_bad_bytes_are_given_first():
    stream = b"data: good\n\ndata: \xff\n\n"
    assert outcome_of([stream]) == ([Frame("", "good")], "the event stream is not UTF-8")
    assert outcome_of([stream[at : at + 1] for at in range(len(stream))]) == outcome_of([stream])


def test_only_the_first_line_loses_a_byte_order_mark():
    assert frames_of(["\ufeffdata: a\n\n\ufeffdata: b\n\ndata: \ufeffc\n\n".encode()]) == [
        Frame("", "a"),
        Frame("", "\ufeffc"),
    ]


@given(st.binary(max_size=60))
def test_any_bytes_give_frames_or_a_wire_error(data):
    frames, error = outcome_of([data])
    assert all(isinstance(frame, Frame) for frame in frames)
    assert error is None or "UTF-8" in error
