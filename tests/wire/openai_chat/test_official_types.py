"""What the codec writes, held against the official SDK's own types."""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from hypothesis import given
from openai.types.chat import ChatCompletion, ChatCompletionChunk, completion_create_params
from pydantic import TypeAdapter

from lynkr import testing as some
from lynkr.model import Event, Foreign, Request, Response, StopReason, WireFormat
from lynkr.model.fold import fold, unfold
from lynkr.testing import laws
from lynkr.wire.openai_chat import OpenAIChatCodec

CODEC = OpenAIChatCodec()
CHAT = WireFormat.OPENAI_CHAT
PARAMS: TypeAdapter[Any] = TypeAdapter(completion_create_params.CompletionCreateParams)


def _drained(value: object) -> object:
    """*value* with pydantic's lazy iterables run through, which is when it checks their items."""
    if isinstance(value, Mapping):
        return {name: _drained(below) for name, below in value.items()}
    if isinstance(value, str | bytes) or not hasattr(value, "__iter__"):
        return value
    return [_drained(item) for item in value]


def _chunks(data: bytes) -> Iterator[str]:
    frames = data.decode().split("\n\n")
    assert frames[-2:] == ["data: [DONE]", ""]
    return (frame.removeprefix("data: ") for frame in frames[:-2])


@given(some.requests(CHAT) | some.requests(WireFormat.ANTHROPIC_MESSAGES))
def test_requests_are_of_the_official_type(request: Request) -> None:
    body = CODEC.encode_request(request).body
    _drained(PARAMS.validate_python(json.loads(laws.dump(body))))


@given(some.responses())
def test_answers_are_of_the_official_type(response: Response) -> None:
    if any(isinstance(part, Foreign) and part.format is CHAT for part in response.parts):
        return  # a list of parts, which only a server beyond the official type sends, goes back as it came
    body = laws.dump(CODEC.encode_response(response).body)
    if b'"content":[' not in body:
        ChatCompletion.model_validate_json(body)


@given(some.event_streams())
def test_chunks_are_of_the_official_type(events: Sequence[Event]) -> None:
    for chunk in _chunks(laws.encode_stream(CODEC, events)):
        if '"content":[' not in chunk:
            ChatCompletionChunk.model_validate_json(chunk)


@given(some.responses(CHAT))
def test_answers_the_sdk_has_read_and_written_mean_the_same(response: Response) -> None:
    body = laws.dump(CODEC.encode_response(response).body)
    through_sdk = ChatCompletion.model_validate_json(body).model_dump(exclude_unset=True)
    assert CODEC.decode_response(through_sdk) == response


@given(some.responses(CHAT))
def test_what_the_sdk_accumulates_from_a_stream_is_the_answer(response: Response) -> None:
    from openai.lib.streaming.chat import ChatCompletionStreamState

    state: ChatCompletionStreamState[None] = ChatCompletionStreamState()
    for chunk in _chunks(laws.encode_stream(CODEC, unfold(response))):
        state.handle_chunk(ChatCompletionChunk.model_validate_json(chunk))
    snapshot = state.current_completion_snapshot
    message = snapshot.choices[0].message
    whole = CODEC.encode_response(response).body["choices"][0]["message"]  # type: ignore[index, call-overload]  # reason: our own body
    assert (message.content or None) == (whole["content"] or None)
    assert [call.function.arguments for call in message.tool_calls or ()] == [
        call["function"]["arguments"] for call in whole.get("tool_calls", ())
    ]


def test_a_folded_stream_and_a_whole_answer_are_the_same_value() -> None:
    response = Response("r", "m", (), StopReason.END_TURN, created=1)
    assert fold(laws.decode_stream(CODEC, [laws.encode_stream(CODEC, unfold(response))])) == response
