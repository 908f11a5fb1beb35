"""What the codec writes, held against the official SDK's own types."""

import json
from collections.abc import Mapping
from typing import Any

from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st
from openai.types.responses import Response as OfficialResponse
from openai.types.responses import ResponseStreamEvent, response_create_params
from pydantic import TypeAdapter

from lynkr import testing as some
from lynkr.model import Foreign, Request, Response, Start, WireFormat
from lynkr.model.fold import unfold
from lynkr.testing import laws
from lynkr.testing.responses_grammar import validate_responses_stream
from lynkr.wire.openai_responses import OpenAIResponsesCodec

CODEC = OpenAIResponsesCodec()
RESPONSES = WireFormat.OPENAI_RESPONSES
PARAMS: TypeAdapter[Any] = TypeAdapter(response_create_params.ResponseCreateParams)
EVENT: TypeAdapter[Any] = TypeAdapter(ResponseStreamEvent)


def _drained(value: object) -> object:
    """*value* with pydantic's lazy iterables run through, which is when it checks their items."""
    if isinstance(value, Mapping):
        return {name: _drained(below) for name, below in value.items()}
    if isinstance(value, str | bytes) or not hasattr(value, "__iter__"):
        return value
    return [_drained(item) for item in value]


def _is_official(response: Response) -> bool:
    """Whether nothing in it stands for a block of somebody's that no official type knows."""
    return not any(isinstance(part, Foreign) and part.format is RESPONSES for part in response.parts)


@given(some.requests(WireFormat.ANTHROPIC_MESSAGES) | some.requests(WireFormat.OPENAI_CHAT))
def test_translated_requests_are_of_the_official_type(request: Request) -> None:
    body = json.loads(laws.dump(CODEC.encode_request(request).body))
    for item in body["input"]:
        if item.get("role") == "assistant" and not isinstance(item["content"], str):
            # The type requires both; the server does not, and OpenAI's own Codex leaves them out.
            item |= {"id": "msg_1", "status": "completed"}
    _drained(PARAMS.validate_python(body))


@given(some.responses().filter(_is_official), st.none() | some.requests())
def test_answers_are_of_the_official_type(response: Response, request: Request | None) -> None:
    encoded = (
        CODEC.encode_response(response)
        if request is None
        else CODEC.encode_answer(response, evolve(request, tools=()))
    )
    OfficialResponse.model_validate_json(laws.dump(encoded.body))


@given(some.event_streams(), st.none() | some.requests(RESPONSES))
def test_every_stream_follows_the_grammar(events: Any, request: Request | None) -> None:
    validate_responses_stream(laws.encode_stream(CODEC, events, request))


@given(some.responses().filter(_is_official).map(unfold) | some.event_streams(WireFormat.ANTHROPIC_MESSAGES))
def test_events_are_of_the_official_type(events: Any) -> None:
    for frame in laws.encode_stream(CODEC, events).decode().split("\n\n")[:-1]:
        EVENT.validate_json(frame.partition("data: ")[2])


@given(some.responses(RESPONSES).filter(_is_official))
def test_answers_the_sdk_has_read_and_written_mean_the_same(response: Response) -> None:
    body = CODEC.encode_response(response).body
    again = OfficialResponse.model_validate_json(laws.dump(body)).model_dump(
        mode="json", by_alias=True, exclude_unset=True
    )
    assert CODEC.decode_response(again) == CODEC.decode_response(json.loads(laws.dump(body)))


def test_an_error_ends_a_stream_in_the_official_events() -> None:
    encoder = CODEC.event_encoder()
    begun = encoder.encode(Start("resp_1", "m", created=1))
    ended = encoder.encode_error(RuntimeError("secret"))
    validate_responses_stream(begun + ended)
    for frame in ended.decode().split("\n\n")[:-1]:
        EVENT.validate_json(frame.partition("data: ")[2])
    assert b"secret" not in ended
