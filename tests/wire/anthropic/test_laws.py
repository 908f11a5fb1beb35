"""The codec under the shared laws, from which the own examples in this folder only add detail."""

from hypothesis import given
from hypothesis import strategies as st

from lynkr.model import Event, Json, Request, Response, WireFormat
from lynkr.testing import laws
from lynkr.testing.anthropic_grammar import validate_anthropic_stream
from lynkr.testing.strategies import request_bodies, requests, response_bodies, responses
from lynkr.testing.streams import chunkings, event_streams
from lynkr.wire.anthropic import AnthropicCodec

CODEC = AnthropicCodec()
FORMAT = WireFormat.ANTHROPIC_MESSAGES


@given(requests(FORMAT))
def test_a_request_in_normal_form_survives_whole(request: Request) -> None:
    laws.assert_round_trip(CODEC, request)


@given(request_bodies(FORMAT))
def test_a_request_body_means_the_same_after_a_round_trip(body: dict[str, Json]) -> None:
    laws.assert_body_law(CODEC, body)


@given(requests())
def test_each_loss_of_any_request_is_told_and_real(request: Request) -> None:
    laws.assert_losses_honest(CODEC, request)


@given(responses(FORMAT))
def test_an_answer_in_normal_form_survives_whole(response: Response) -> None:
    laws.assert_response_round_trip(CODEC, response)


@given(response_bodies(FORMAT))
def test_an_answers_body_means_the_same_after_a_round_trip(body: dict[str, Json]) -> None:
    laws.assert_response_body_law(CODEC, body)


@given(responses())
def test_each_loss_of_any_answer_is_told_and_real(response: Response) -> None:
    laws.assert_response_losses_honest(CODEC, response)


@given(event_streams(FORMAT))
def test_a_stream_survives_whole_and_obeys_the_grammar(events: tuple[Event, ...]) -> None:
    laws.assert_stream_round_trip(CODEC, events)
    laws.assert_tool_arguments_exact(CODEC, events)
    validate_anthropic_stream(laws.encode_stream(CODEC, events))


@given(event_streams(FORMAT, large=True))
def test_large_arguments_arrive_exactly(events: tuple[Event, ...]) -> None:
    laws.assert_tool_arguments_exact(CODEC, events)


@given(event_streams(FORMAT), st.data(), st.sampled_from((b"\n", b"\r\n", b"\r")))
def test_cutting_the_bytes_elsewhere_changes_nothing(
    events: tuple[Event, ...], data: st.DataObject, line_end: bytes
) -> None:
    stream = laws.encode_stream(CODEC, events).replace(b"\n", line_end)
    laws.assert_chunking_law(CODEC, stream, data.draw(chunkings(stream)))


@given(event_streams(FORMAT), st.data())
def test_a_stream_cut_short_raises(events: tuple[Event, ...], data: st.DataObject) -> None:
    stream = laws.encode_stream(CODEC, events)
    cuts = data.draw(st.lists(st.integers(0, len(stream) - 1), max_size=20))
    laws.assert_cut_stream_raises(CODEC, stream, cuts)
