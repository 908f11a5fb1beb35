"""What we send, and what we answer, by the types of Google's own SDK (google-genai).

Its models forbid fields they do not know, and read bytes from base64.
"""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lynkr.model import NO_EXTRAS, Message, Request, Role, Text, ToolCall, ToolResult, WireFormat
from lynkr.testing.laws import encode_stream
from lynkr.testing.strategies import event_streams, request_bodies, requests, responses
from lynkr.wire.anthropic import AnthropicCodec
from lynkr.wire.gemini import GeminiCodec
from lynkr.wire.gemini.fields import GEMINI
from lynkr.wire.json_body import dump, parse_body
from lynkr.wire.openai_chat import OpenAIChatCodec
from lynkr.wire.sse import FrameDecoder

types = pytest.importorskip("google.genai.types")

CODEC = GeminiCodec()
OTHERS = {codec.format: codec for codec in (AnthropicCodec(), OpenAIChatCodec())}
TYPE_OF = {
    "systemInstruction": types.Content,
    "toolConfig": types.ToolConfig,
    "generationConfig": types.GenerationConfig,
}


def check_request(body):
    for name, value in body.items():
        if name in ("model", "stream"):
            continue
        if name == "contents":
            for content in value:
                types.Content.model_validate_json(dump(content))
        elif name == "tools":
            for tool in value:
                types.Tool.model_validate_json(dump(tool))
        else:
            assert name in TYPE_OF
            TYPE_OF[name].model_validate_json(dump(value))


@given(
    request=requests(), model=st.sampled_from(("gemini-2.5-pro", "gemini-3-pro-preview", "gemini-2.0-flash"))
)
def test_any_request_is_encoded_in_the_fields_google_publishes(request, model):
    encoded = CODEC.encode_request(_without_gemini(request, model))
    check_request(parse_body(dump(encoded.body)).value)


@pytest.mark.parametrize("origin", OTHERS.values(), ids=[name.value for name in OTHERS])
@given(data=st.data())
def test_a_client_of_another_dialect_is_understood_by_gemini(origin, data):
    body = parse_body(dump(data.draw(request_bodies(origin.format)))).value
    check_request(parse_body(dump(CODEC.encode_request(origin.decode_request(body)).body)).value)


@given(data=st.data())
def test_a_whole_answer_is_one_of_the_sdk(data):
    response = data.draw(responses(data.draw(st.sampled_from(tuple(OTHERS)))))
    types.GenerateContentResponse.model_validate_json(dump(CODEC.encode_response(response).body))


@given(data=st.data())
def test_each_chunk_of_a_stream_is_an_answer_of_the_sdk(data):
    events = data.draw(event_streams(data.draw(st.sampled_from(tuple(OTHERS)))))
    for frame in FrameDecoder().feed(encode_stream(CODEC, events)):
        types.GenerateContentResponse.model_validate_json(frame.data)


def test_the_sdk_finds_call_result_and_signature_where_they_belong():
    request = Request(
        model="gemini-3-pro-preview",
        messages=(
            Message.user("weather?"),
            Message(Role.ASSISTANT, (ToolCall("toolu_1", "get_weather", '{"city":"né"}'),)),
            Message(Role.USER, (ToolResult("toolu_1", (Text("22°"),)),)),
        ),
    )
    contents = CODEC.encode_request(request).body["contents"]
    [_, asked, told] = [types.Content.model_validate_json(dump(content)) for content in contents]
    assert asked.parts[0].function_call.args == {"city": "né"}
    assert asked.parts[0].thought_signature  # base64, or the SDK would have refused it
    assert told.parts[0].function_response.name == "get_weather"
    assert told.parts[0].function_response.id == "toolu_1"
    assert told.parts[0].function_response.response == {"output": "22°"}


def _without_gemini(value, model):
    """*value* without what it has of Gemini's own: made-up fields, which the SDK would refuse."""
    import attrs

    def cleaned(node):
        if isinstance(node, tuple):
            return tuple(cleaned(item) for item in node if getattr(item, "format", None) is not GEMINI)
        if not attrs.has(type(node)):
            return node
        fields = {
            a.name: cleaned(getattr(node, a.name)) for a in attrs.fields(type(node)) if a.name != "extras"
        }
        extras = getattr(node, "extras", None)
        if extras is not None:
            fields["extras"] = NO_EXTRAS if extras.format is WireFormat.GEMINI else extras
        return attrs.evolve(node, **fields)

    return attrs.evolve(cleaned(value), model=model)
