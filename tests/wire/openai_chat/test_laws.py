"""The codec laws over generated values, bodies and streams."""

from collections.abc import Mapping, Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lynkr import testing as some
from lynkr.errors import ClientWireError, UpstreamError, UpstreamWireError
from lynkr.model import Event, Json, Request, Response, WireFormat
from lynkr.testing import laws
from lynkr.wire.openai_chat import OpenAIChatCodec

CODEC = OpenAIChatCodec()
CHAT = WireFormat.OPENAI_CHAT


@given(some.requests(CHAT))
def test_a_request_survives_its_own_dialect(request: Request) -> None:
    laws.assert_round_trip(CODEC, request)


@given(some.requests(CHAT))
def test_a_request_survives_whatever_spelling_of_the_limit_the_codec_prefers(request: Request) -> None:
    laws.assert_round_trip(OpenAIChatCodec(output_limit="max_tokens"), request)


@given(some.request_bodies(CHAT))
def test_a_body_means_the_same_after_being_read_and_written(body: Mapping[str, Json]) -> None:
    laws.assert_body_law(CODEC, body)


@given(some.requests())
def test_what_a_request_loses_is_listed_and_nothing_else(request: Request) -> None:
    laws.assert_losses_honest(CODEC, request)


@given(some.responses(CHAT))
def test_an_answer_survives_its_own_dialect(response: Response) -> None:
    laws.assert_response_round_trip(CODEC, response)


@given(some.response_bodies(CHAT))
def test_an_answer_means_the_same_after_being_read_and_written(body: Mapping[str, Json]) -> None:
    laws.assert_response_body_law(CODEC, body)


@given(some.responses())
def test_what_an_answer_loses_is_listed_and_nothing_else(response: Response) -> None:
    laws.assert_response_losses_honest(CODEC, response)


@given(some.event_streams(CHAT))
def test_a_stream_survives_its_own_dialect(events: Sequence[Event]) -> None:
    laws.assert_stream_round_trip(CODEC, events)


@given(some.event_streams())
def test_what_a_stream_loses_is_listed_and_nothing_else(events: Sequence[Event]) -> None:
    encoder = CODEC.event_encoder()
    written = b"".join(encoder.encode(event) for event in events) + encoder.close()
    decoded = laws.decode_stream(CODEC, [written])
    laws._check_honest(laws.fold(events), laws.fold(decoded), encoder.losses)


@given(st.data())
def test_criterion_01_cutting_the_bytes_elsewhere_changes_no_event(data: st.DataObject) -> None:
    written = laws.encode_stream(CODEC, data.draw(some.event_streams(CHAT)))
    if data.draw(st.booleans()):
        written = written.replace(b"\n", b"\r\n")
    laws.assert_chunking_law(CODEC, written, data.draw(some.chunkings(written)))


@settings(max_examples=8)  # each example is decoded once per byte of its stream
@given(some.event_streams(CHAT))
def test_a_stream_cut_short_never_ends_clean(events: Sequence[Event]) -> None:
    laws.assert_cut_stream_raises(CODEC, laws.encode_stream(CODEC, events))


@given(some.event_streams(CHAT, large=True))
def test_tool_arguments_arrive_to_the_letter(events: Sequence[Event]) -> None:
    laws.assert_tool_arguments_exact(CODEC, events)


_ANY_JSON = some.json_values(max_leaves=12)
_KNOWN = (
    "messages",
    "role",
    "content",
    "type",
    "text",
    "image_url",
    "tool_calls",
    "function",
    "tools",
    "tool_choice",
    "response_format",
    "stop",
)


@st.composite
def _damaged(draw: st.DrawFn, bodies: st.SearchStrategy[dict[str, Json]]) -> dict[str, Json]:
    """A body in which one value, anywhere, has become another."""
    body = draw(bodies)
    node: dict[str, Json] | list[Json] = body
    while True:
        keys = list(node) if isinstance(node, dict) else list(range(len(node)))
        if not keys:
            return body
        key = draw(st.sampled_from(keys))
        below = node[key]  # type: ignore[index, call-overload]  # reason: the key is of this node
        if isinstance(below, dict | list) and below and draw(st.booleans()):
            node = below
            continue
        if isinstance(node, dict) and draw(st.booleans()):
            del node[key]  # type: ignore[arg-type]  # reason: as above
        else:
            node[key] = draw(_ANY_JSON)  # type: ignore[index, call-overload]  # reason: as above
        return body


def _refusal_of(body: dict[str, Json]) -> ClientWireError | None:
    try:
        CODEC.encode_request(CODEC.decode_request(body))
    except ClientWireError as error:
        return error
    return None


@given(_damaged(some.request_bodies(CHAT)))
def test_a_damaged_body_is_read_or_refused_by_name_and_nothing_else(body: dict[str, Json]) -> None:
    refusal = _refusal_of(body)
    assert refusal is None or (refusal.field and str(refusal).startswith(refusal.field))


@given(st.dictionaries(st.sampled_from(_KNOWN), _ANY_JSON))
def test_any_json_object_is_read_or_refused_by_name_and_nothing_else(body: dict[str, Json]) -> None:
    assert _refusal_of({**body, "model": 1}) is not None
    refusal = _refusal_of({"model": "m", "messages": [{"role": "user", "content": "x"}], **body})
    assert refusal is None or refusal.field


@given(_damaged(some.response_bodies(CHAT)))
def test_a_damaged_answer_is_read_or_refused_and_nothing_else(body: dict[str, Json]) -> None:
    try:
        response = CODEC.decode_response(body)
    except (UpstreamWireError, UpstreamError):
        return
    CODEC.encode_response(response)


@given(st.lists(_ANY_JSON, max_size=4), st.data())
def test_a_damaged_stream_is_read_or_refused_and_nothing_else(junk: list[Json], data: st.DataObject) -> None:
    events = data.draw(some.event_streams(CHAT))
    frames = laws.encode_stream(CODEC, events).split(b"\n\n")
    for value in junk:
        at = data.draw(st.integers(0, len(frames)))
        chunk = {"choices": [{"index": 0, "delta": value}]} if data.draw(st.booleans()) else value
        frames.insert(at, b"data: " + laws.dump(chunk))
    decoder = CODEC.event_decoder()
    try:
        list(decoder.feed(b"\n\n".join(frames)))
        list(decoder.close())
    except (UpstreamWireError, UpstreamError) as error:
        failed_with = type(error)
    else:
        return
    with pytest.raises(failed_with):
        list(decoder.feed(b"data: [DONE]\n\n"))
    with pytest.raises(failed_with):
        list(decoder.close())
