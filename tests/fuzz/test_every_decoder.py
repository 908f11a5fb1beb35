"""Every decoder of provider output, fed answers and streams that are spoiled in a few places.

What comes out is a value, or an error that blames the provider and names it; never another exception,
for that would be blamed on lynkr.  And what is read keeps the canonical grammar, so that it can be folded
and told to clients of every dialect.
"""

import copy
import json
from collections.abc import Iterator
from typing import Any

import pytest
from attrs import Factory, frozen
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.strategies import DrawFn

from lynkr.errors import UpstreamError, UpstreamWireError
from lynkr.model import Event
from lynkr.model.fold import Folder, unfold
from lynkr.resilience import wait_hint
from lynkr.testing.laws import encode_stream
from lynkr.testing.strategies import chunkings, event_streams, response_bodies
from lynkr.wire.aws_eventstream import MessageDecoder, encode_message
from lynkr.wire.base import Codec
from lynkr.wire.bedrock import BedrockConverseCodec
from lynkr.wire.json_body import dump, parse_body
from tests.gateway.malformed import ODD_VALUES, places_in
from tests.laws.test_codec_laws import CODECS, each_codec

HEADERS = st.dictionaries(
    st.sampled_from(
        ("retry-after", "retry-after-ms", "x-should-retry", "x-ratelimit-reset-tokens", "content-type")
    ),
    st.text(max_size=20) | st.sampled_from(("1", "1e9", "-1", "nan", "Wed, 21 Oct 2099 07:28:00 GMT", "٣")),
)


def spoil(draw: DrawFn, value: Any) -> None:
    """Change *value* in one place."""
    places = list(places_in(value))
    if not places:
        return
    node, key = draw(st.sampled_from(places))
    match draw(st.sampled_from(("odd", "odd", "missing", "again"))):
        case "missing":
            del node[key]
        case "again" if isinstance(node, list):
            node.insert(key, copy.deepcopy(node[key]))
        case _:
            node[key] = copy.deepcopy(draw(st.sampled_from(ODD_VALUES)))


@st.composite
def spoiled_answers(draw: DrawFn, codec: Codec) -> dict[str, Any]:
    body = copy.deepcopy(draw(response_bodies(codec.format)))
    for _ in range(draw(st.integers(1, 3))):
        spoil(draw, body)
    return body


@st.composite
def spoiled_streams(draw: DrawFn, codec: Codec) -> bytes:
    """A stream of the dialect with an event changed, lost, repeated or moved; or with bytes amiss."""
    data = encode_stream(codec, draw(event_streams(codec.format)))
    if draw(st.booleans()):
        at, gone = draw(st.integers(0, len(data))), draw(st.integers(0, 3))
        return data[:at] + draw(st.binary(max_size=3)) + data[at + gone :]
    pieces = list(pieces_of(codec, data))
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, len(pieces) - 1))
        match draw(st.sampled_from(("spoil", "spoil", "lose", "repeat", "move"))):
            case "spoil":
                spoil(draw, pieces[at].value)
            case "lose" if len(pieces) > 1:
                del pieces[at]
            case "repeat":
                pieces.insert(at, copy.deepcopy(pieces[at]))
            case _:
                pieces.insert(draw(st.integers(0, len(pieces) - 1)), pieces.pop(at))
    return b"".join(piece_text(codec, piece) for piece in pieces)


@frozen
class Piece:
    """An event's JSON, in a list so that another value can be put in its place, and what is around it."""

    value: list[Any]
    prefix: bytes = b""
    headers: dict[str, Any] = Factory(dict)


def pieces_of(codec: Codec, data: bytes) -> Iterator[Piece]:
    if isinstance(codec, BedrockConverseCodec):
        decoder = MessageDecoder()
        for message in decoder.feed(data):
            yield Piece([json.loads(message.payload)], headers=dict(message.headers))
        return
    for line in data.splitlines(keepends=True):
        prefix, brace, rest = line.partition(b"{")
        if brace and prefix in (b"", b"data: ", b"data:"):
            yield Piece([json.loads(brace + rest)], prefix)
        else:
            yield Piece([], line)


def piece_text(codec: Codec, piece: Piece) -> bytes:
    text = b"".join(json.dumps(value).encode() for value in piece.value)
    if isinstance(codec, BedrockConverseCodec):
        return encode_message(piece.headers, text)
    return piece.prefix + text + (b"\n" if piece.value else b"")


def read_through(codec: Codec, chunks: tuple[bytes, ...]) -> list[Event]:
    """The events until the stream's end, or until it is found to be broken."""
    decoder, events = codec.event_decoder(), []
    try:
        for chunk in chunks:
            events += decoder.feed(chunk)
        events += decoder.close()
    except (UpstreamWireError, UpstreamError):
        return events
    return events


@each_codec
@given(data=st.data())
def test_any_answer_is_read_or_blamed_on_its_provider(codec: Codec, data: st.DataObject) -> None:
    body = parse_body(dump(data.draw(spoiled_answers(codec)))).value
    try:
        response = codec.decode_response(body)
    except (UpstreamWireError, UpstreamError):
        return
    unfold(response)
    dump(data.draw(st.sampled_from(tuple(CODECS.values()))).encode_response(response).body)


@each_codec
@given(data=st.data())
def test_any_stream_is_read_in_good_grammar_or_blamed_on_its_provider(
    codec: Codec, data: st.DataObject
) -> None:
    stream = data.draw(spoiled_streams(codec))
    events = read_through(codec, data.draw(chunkings(stream)))
    folder = Folder()
    for event in events:
        folder.add(event)
    encoder = data.draw(st.sampled_from(tuple(CODECS.values()))).event_encoder()
    for event in events:
        encoder.encode(event)


@each_codec
@given(data=st.data(), status=st.integers(300, 599), headers=HEADERS)
def test_any_error_answer_is_an_error_with_its_status(
    codec: Codec, data: st.DataObject, status: int, headers: dict[str, str]
) -> None:
    errors: list[Any] = [
        {"error": {"type": "rate_limit_error", "code": "insufficient_quota", "message": "m", "param": "p"}},
        {"error": [{"status": "UNAVAILABLE", "details": [{"@type": "RetryInfo", "retryDelay": "3s"}]}]},
        {"error": {"code": 429, "status": "RESOURCE_EXHAUSTED", "details": [{"retryDelay": "3s"}]}},
        {"__type": "com.amazon#ThrottlingException", "message": "m"},
        {"error": "words", "done": False},
    ]
    body = copy.deepcopy(data.draw(st.sampled_from(errors)))
    for _ in range(data.draw(st.integers(0, 2))):
        spoil(data.draw, body)
    raw = data.draw(st.binary(max_size=40) | st.just(json.dumps(body).encode()))
    error = codec.decode_error(status, headers, raw, target="p:m")
    assert isinstance(error, UpstreamError)
    assert (error.target, error.status) == ("p:m", status)
    hint = wait_hint(headers, 1_700_000_000.0)
    assert hint is None or 0 <= hint < 1e12


@pytest.mark.parametrize("codec", CODECS.values(), ids=[name.value for name in CODECS])
def test_taking_a_stream_to_pieces_spoils_nothing(codec: Codec) -> None:
    """Else the test above would show only that nonsense is refused."""

    @given(event_streams(codec.format))
    def check(events: list[Event]) -> None:
        data = encode_stream(codec, events)
        again = b"".join(piece_text(codec, piece) for piece in pieces_of(codec, data))
        # Not their text: Python writes 1e2 as 100.0.
        assert list(map(type, read_through(codec, (again,)))) == list(map(type, read_through(codec, (data,))))

    check()
