"""What a `FrameGate` lets through always ends between two events, and is unchanged."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lynkr.errors import UpstreamWireError
from lynkr.wire.frame_gate import FrameGate
from lynkr.wire.sse import MAX_FRAME_BYTES, FrameDecoder

LINES = st.sampled_from([b"data: {}", b"event: ping", b"data: \xc3\xa9", b": comment", b"id: 7"])
ENDS = st.sampled_from([b"\n", b"\r\n", b"\r"])


@st.composite
def streams(draw: st.DrawFn) -> bytes:
    end = draw(ENDS)
    frames = draw(st.lists(st.lists(LINES, min_size=1), min_size=1))
    return b"".join(end.join(lines) + end + end for lines in frames)


@given(streams(), st.data())
def test_bytes_pass_unchanged_and_only_whole_events_at_a_time(stream: bytes, data: st.DataObject) -> None:
    cuts = sorted(data.draw(st.sets(st.integers(0, len(stream)))))
    pieces = [stream[a:b] for a, b in zip([0, *cuts], [*cuts, len(stream)], strict=True)]
    gate, passed = FrameGate(), b""
    for piece in pieces:
        passed += gate.feed(piece)
        if passed and not passed.endswith(b"\r"):
            decoder = FrameDecoder()
            list(decoder.feed(passed))
            assert decoder.close()
    assert passed + gate.rest() == stream


@given(st.binary())
def test_nothing_is_lost_of_what_is_not_an_event_stream(body: bytes) -> None:
    gate = FrameGate()
    assert gate.feed(body) + gate.rest() == body


def test_an_unfinished_event_is_held_back() -> None:
    gate = FrameGate()
    assert gate.feed(b"data: 1\n\ndata: 2\n") == b"data: 1\n\n"
    assert gate.feed(b"\n") == b"data: 2\n\n"


def test_an_event_without_end_is_not_kept_without_bound() -> None:
    gate = FrameGate()
    piece = b"x" * (1 << 20)
    for _ in range(MAX_FRAME_BYTES // len(piece) + 1):
        assert gate.feed(piece) == b""
    with pytest.raises(UpstreamWireError, match="larger than"):
        gate.feed(piece)
    assert gate.rest() == b""


@given(st.lists(st.sampled_from([b"a", b"\n", b"\r"])).map(b"".join))
def test_all_that_is_whole_goes_on_at_once(data: bytes) -> None:
    ends = [at + len(mark) for mark in (b"\n\n", b"\n\r\n", b"\r\r") if (at := data.rfind(mark)) != -1]
    assert FrameGate().feed(data) == data[: max(ends, default=0)]
