"""Laws of `lynkr.wire.aws_eventstream`, with botocore's own decoder as the other opinion."""

from struct import pack
from zlib import crc32

import pytest
from botocore.eventstream import EventStreamBuffer, ParserError
from hypothesis import example, given
from hypothesis import strategies as st

from lynkr.errors import UpstreamWireError
from lynkr.testing.streams import chunkings
from lynkr.wire.aws_eventstream import (
    MAX_HEADERS_BYTES,
    MAX_PAYLOAD_BYTES,
    Message,
    MessageDecoder,
    encode_message,
)

NAMES = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12)
VALUES = st.one_of(
    st.booleans(),
    st.integers(-(2**63), 2**63 - 1),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=40),
    st.binary(max_size=40),
)
MESSAGES = st.builds(Message, st.dictionaries(NAMES, VALUES, max_size=5), st.binary(max_size=200))


def written(messages):
    return b"".join(encode_message(message.headers, message.payload) for message in messages)


def read(chunks):
    """The messages of a stream, and the error it ended in."""
    decoder, found = MessageDecoder(), []
    try:
        for chunk in chunks:
            found.extend(decoder.feed(chunk))
    except UpstreamWireError as error:
        return found, str(error)
    return found, None if decoder.close() else "cut short"


def read_by_botocore(data):
    buffer, found = EventStreamBuffer(), []
    buffer.add_data(data)
    try:
        found = [Message(event.headers, event.payload) for event in buffer]
    except ParserError as error:
        return found, error
    return found, None


def framed(headers, payload=b"", *, prelude=None):
    """A message around header bytes of any kind."""
    lengths = prelude or pack(">II", len(headers) + len(payload) + 16, len(headers))
    message = lengths + pack(">I", crc32(lengths)) + headers + payload
    return message + pack(">I", crc32(message))


@given(st.lists(MESSAGES, max_size=4), st.data())
def test_messages_survive_their_bytes_however_these_are_cut(messages, data):
    stream = written(messages)
    assert read(data.draw(chunkings(stream))) == (messages, None)


@given(st.lists(MESSAGES, max_size=4))
def test_botocore_reads_the_same_messages(messages):
    assert read_by_botocore(written(messages)) == (messages, None)


@pytest.mark.parametrize(
    ("raw", "value"),
    [
        (b"\x02\xff", -1),
        (b"\x03\x80\x00", -32768),
        (b"\x04\x00\x00\x01\x00", 256),
        (b"\x05" + b"\xff" * 8, -1),
        (b"\x08\x00\x00\x01\x8c\xc2\x51\xf4\x00", 1_704_067_200_000),
        (b"\x09" + bytes(range(16)), bytes(range(16))),
        (b"\x07\x00\x02\xc3\xa9", "é"),
        (b"\x06\x00\x00", b""),
    ],
)
def test_every_type_of_header_value_is_read_as_botocore_reads_it(raw, value):
    stream = framed(b"\x01x" + raw)
    assert read([stream]) == ([Message({"x": value}, b"")], None)
    assert read_by_botocore(stream)[0][0].headers == {"x": value}


@given(st.lists(MESSAGES, min_size=1, max_size=3), st.data())
def test_a_flipped_bit_is_found_and_the_messages_before_it_are_given(messages, data):
    stream = bytearray(written(messages))
    at = data.draw(st.integers(0, len(stream) - 1))
    stream[at] ^= 1 << data.draw(st.integers(0, 7))
    whole = [encode_message(message.headers, message.payload) for message in messages]
    intact = next(n for n in range(len(whole)) if at < len(b"".join(whole[: n + 1])))
    found, error = read(data.draw(chunkings(bytes(stream))))
    assert (found, error is not None) == (messages[:intact], True)


@given(st.lists(MESSAGES, min_size=1, max_size=3), st.data())
def test_a_stream_that_stops_inside_a_message_is_told_from_one_that_ends(messages, data):
    stream = written(messages)
    ends = {len(written(messages[:count])) for count in range(len(messages) + 1)}
    cut = data.draw(st.integers(0, len(stream)))
    assert read([stream[:cut]])[1] == (None if cut in ends else "cut short")


@given(st.binary(max_size=60))
@example(b"\x01x")
@example(b"\x01x\x07")
@example(b"\x05x\x00")
@example(b"\x01x\x0a")
@example(b"\x01\xff\x00")
@example(b"\x01x\x07\x00\x01\xff")
@example(b"\x01x\x00\x01x\x01")
def test_any_header_bytes_are_headers_or_a_wire_error(headers):
    found, error = read([framed(headers)])
    theirs = None
    try:
        theirs = read_by_botocore(framed(headers))
    except Exception:  # noqa: BLE001  # botocore lets struct.error, IndexError and UnicodeDecodeError through
        assert error is not None
        return
    if error is None:
        assert theirs == (found, None)


@given(st.binary(max_size=100), st.data())
def test_any_bytes_give_messages_or_a_wire_error_however_they_are_cut(data, draw):
    assert read([data]) == read(draw.draw(chunkings(data)))


@pytest.mark.parametrize(
    ("total", "headers"),
    [(15, 0), (100, 100), (2**32 - 1, 0), (MAX_PAYLOAD_BYTES + 17, 0), (2**31, MAX_HEADERS_BYTES + 1)],
)
def test_an_impossible_length_is_refused_before_anything_is_buffered(total, headers):
    prelude = pack(">II", total, headers)
    found, error = read([prelude + pack(">I", crc32(prelude))])
    assert not found
    assert error is not None
    assert error != "cut short"


@pytest.mark.parametrize(
    "headers", [{"": 1}, {"x" * 256: 1}, {"x": "y" * 65_536}, {"x": b"y" * 65_536}, {"é" * 128: True}]
)
def test_what_no_header_can_hold_is_not_written(headers):
    with pytest.raises(ValueError, match="header"):
        encode_message(headers, b"")


def test_a_header_that_is_no_string_is_no_text():
    message = Message({":event-type": "chunk", "n": 1}, b"")
    assert (message.text(":event-type"), message.text("n"), message.text("x")) == ("chunk", "", "")
