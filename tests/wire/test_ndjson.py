"""Laws of `lynkr.wire.ndjson`: the lines do not depend on how the bytes were cut."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lynkr.errors import UpstreamWireError
from lynkr.testing.primitives import json_values
from lynkr.testing.strategies import chunkings
from lynkr.wire.ndjson import LineDecoder, encode_line


def lines_of(chunks, **options):
    """The lines that came, and the error that ended them."""
    decoder, lines = LineDecoder(**options), []
    try:
        for chunk in chunks:
            for line in decoder.feed(chunk):
                lines.append(line)  # noqa: PERF402  # those before an error must be kept
        lines.extend(decoder.close())
    except UpstreamWireError as error:
        return lines, str(error)
    return lines, None


@given(st.lists(json_values(), max_size=4), st.data())
def test_values_come_back_however_they_were_cut_and_ended(values, data):
    ends = [data.draw(st.sampled_from((b"\n", b"\r\n", b"\n\n", b" \n"))) for _ in values]
    stream = b"".join(encode_line(value)[:-1] + end for value, end in zip(values, ends, strict=True))
    if data.draw(st.booleans()):
        stream = stream.rstrip()
    lines, error = lines_of(data.draw(chunkings(stream)) or (stream,))
    assert error is None
    assert [json.loads(line) for line in lines] == values


@given(st.binary(max_size=60), st.data())
def test_cutting_elsewhere_changes_neither_lines_nor_error(stream, data):
    assert lines_of((stream,), max_bytes=8) == lines_of(data.draw(chunkings(stream)), max_bytes=8)


def test_a_line_too_long_is_refused_whether_or_not_it_ends():
    assert lines_of([b"12345678\n"], max_bytes=8) == ([b"12345678"], None)
    for stream in (b"123456789", b"123456789\n"):
        lines, error = lines_of([b"ok\n", stream], max_bytes=8)
        assert lines == [b"ok"]
        assert "longer than 8 bytes" in error


@pytest.mark.parametrize("value", ["a\nb", {"a\r\n": ["\n"]}, "\u2028"])
def test_a_value_is_one_line_whatever_it_holds(value):
    assert encode_line(value).count(b"\n") == 1
