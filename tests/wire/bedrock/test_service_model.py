"""What we send and read, by AWS' own description of the service: botocore's model, validator and parsers."""

from base64 import b64encode

import pytest
from attrs import evolve
from botocore.eventstream import EventStreamBuffer
from botocore.loaders import Loader
from botocore.model import ServiceModel
from botocore.parsers import EventStreamJSONParser, RestJSONParser
from botocore.validate import ParamValidator
from hypothesis import given
from hypothesis import strategies as st

from lynkr.errors import UpstreamError
from lynkr.model import Foreign, Image, Reasoning, Text, ToolCall, WireFormat
from lynkr.model.fold import fold
from lynkr.testing.bedrock_values import bedrock_responses
from lynkr.testing.laws import assert_response_body_law, encode_stream
from lynkr.testing.strategies import event_streams, request_bodies, requests, responses
from lynkr.wire.anthropic import AnthropicCodec
from lynkr.wire.aws_eventstream import encode_message
from lynkr.wire.bedrock import BedrockConverseCodec
from lynkr.wire.gemini import GeminiCodec
from lynkr.wire.json_body import dump, parse_body
from lynkr.wire.ollama import OllamaChatCodec
from lynkr.wire.openai_chat import OpenAIChatCodec
from lynkr.wire.openai_responses import OpenAIResponsesCodec

CODEC = BedrockConverseCodec()
SERVICE = ServiceModel(Loader().load_service_model("bedrock-runtime", "service-2"))
REQUEST = SERVICE.operation_model("Converse").input_shape
ANSWER = SERVICE.operation_model("Converse").output_shape
STREAM = SERVICE.operation_model("ConverseStream").output_shape.members["stream"]
OTHERS = (AnthropicCodec(), OpenAIChatCodec(), OpenAIResponsesCodec(), GeminiCodec(), OllamaChatCodec())


def through_bytes(body):
    return parse_body(dump(body)).value


def check_request(encoded):
    """By botocore's validator, but for the field that chooses between the two operations."""
    body = {name: value for name, value in through_bytes(encoded.body).items() if name != "stream"}
    report = ParamValidator().validate(body, REQUEST)
    assert not report.has_errors(), report.generate_report()


# --- Requests -----------------------------------------------------------------------------------------


@given(requests(WireFormat.ANTHROPIC_MESSAGES) | requests(WireFormat.OPENAI_CHAT), st.booleans())
def test_a_request_of_another_dialect_is_one_aws_describes(request, claude):
    model = "anthropic.claude-opus-4-5-20251101-v1:0" if claude else "amazon.nova-pro-v1:0"
    check_request(CODEC.encode_request(evolve(request, model=model)))


@pytest.mark.parametrize("origin", OTHERS, ids=[codec.format.value for codec in OTHERS])
@given(data=st.data())
def test_a_clients_body_of_another_dialect_becomes_one_aws_describes(origin, data):
    body = through_bytes(data.draw(request_bodies(origin.format)))
    check_request(CODEC.encode_request(origin.decode_request(body)))


# --- Anything the service model allows ----------------------------------------------------------------

# Recursion in the model: a document within a result within a message, and so on.
DEEPEST = 7
CACHE: dict[tuple[str, int], st.SearchStrategy] = {}


def values(shape, depth=0):
    """JSON values of *shape*, as they stand on the wire."""
    key = (shape.name, depth)
    if key not in CACHE:
        CACHE[key] = _values(shape, depth)
    return CACHE[key]


def _values(shape, depth):
    enum = getattr(shape, "enum", None)
    match shape.type_name:
        case "string":
            return st.sampled_from(enum) if enum else st.sampled_from(("né", "{}", "a" * 20))
        case "blob":
            return st.binary(min_size=1, max_size=6).map(lambda data: b64encode(data).decode())
        case "integer" | "long":
            return st.integers(1, 10**6)
        case "float" | "double":
            return st.sampled_from((0, 0.5, 1))
        case "boolean":
            return st.booleans()
        case "list":
            return st.lists(values(shape.member, depth + 1), min_size=1, max_size=2)
        case "map":
            return st.dictionaries(values(shape.key), values(shape.value, depth + 1), max_size=1)
        case _ if shape.is_document_type:
            return st.sampled_from(({"type": "object"}, {"a": [1, "né"]}, {}))
        case _ if getattr(shape, "is_tagged_union", False):
            kinds = [
                values(member, depth + 1).map(lambda value, name=name: {name: value})
                for name, member in shape.members.items()
                if depth < DEEPEST or member.type_name in ("string", "blob")
            ]
            return st.one_of(kinds or [st.just({"text": "deep"})])
        case "structure":
            required = {name: values(shape.members[name], depth + 1) for name in shape.required_members}
            if shape.name == "JsonSchemaDefinition":
                required["schema"] = st.just('{"type":"object"}')  # "a JSON schema", says the documentation
            optional = {
                name: values(member, depth + 1)
                for name, member in shape.members.items()
                if name not in required and depth < DEEPEST
            }
            return st.fixed_dictionaries(required, optional=optional)
        case other:
            raise AssertionError(other)


def bodies_of_requests():
    members = {name: values(member, 1) for name, member in REQUEST.members.items() if name != "modelId"}
    return st.fixed_dictionaries({"modelId": st.just("amazon.nova-pro-v1:0")}, optional=members)


@given(bodies_of_requests())
def test_any_request_the_service_model_allows_is_understood(body):
    assert not ParamValidator().validate(body, REQUEST).has_errors()
    request = CODEC.decode_request(through_bytes(body))
    assert request.model == body["modelId"]


@given(values(ANSWER))
def test_any_answer_the_service_model_allows_is_understood(body):
    assert_response_body_law(CODEC, body)
    response = CODEC.decode_response(through_bytes(body))
    words = {
        block["text"] for block in body["output"].get("message", {}).get("content", ()) if "text" in block
    }
    assert words <= {part.text for part in response.parts if isinstance(part, Text)}


# --- Answers, by botocore's parsers -------------------------------------------------------------------


def parsed(body):
    answer = {"body": dump(body), "headers": {}, "status_code": 200}
    read = RestJSONParser().parse(answer, ANSWER)
    read.pop("ResponseMetadata")
    return read


@given(responses(WireFormat.ANTHROPIC_MESSAGES) | responses(WireFormat.OPENAI_CHAT))
def test_an_answer_we_write_is_read_by_botocore(response):
    content = parsed(CODEC.encode_response(response).body)["output"]["message"]["content"]
    said = [part.text for part in response.parts if isinstance(part, Text)]
    assert [block["text"] for block in content if "text" in block] == said
    calls = [(part.id, part.name) for part in response.parts if isinstance(part, ToolCall)]
    assert [
        (block["toolUse"]["toolUseId"], block["toolUse"]["name"]) for block in content if "toolUse" in block
    ] == calls


def events_by_botocore(data):
    buffer = EventStreamBuffer()
    buffer.add_data(data)
    return [EventStreamJSONParser().parse(event.to_response_dict(), STREAM) for event in buffer]


@given(event_streams(WireFormat.BEDROCK_CONVERSE) | event_streams())
def test_a_stream_we_write_is_read_by_botocore(events):
    whole = fold(events)
    read = events_by_botocore(encode_stream(CODEC, events))
    assert "messageStart" in read[0]
    assert "metadata" in read[-1]
    texts: dict[int, str] = {}
    for event in read:
        match event:
            case {"contentBlockDelta": {"delta": {"text": text}, "contentBlockIndex": index}}:
                texts[index] = texts.get(index, "") + text
            case {"messageStop": {"stopReason": word}}:
                assert isinstance(word, str)
            case _:
                continue
    said = {at: part.text for at, part in enumerate(whole.parts) if isinstance(part, Text)}
    assert texts == said


@given(st.sampled_from(sorted(STREAM.members)), st.data())
def test_any_event_the_service_model_allows_is_understood_or_refused_as_an_error(name, data):
    """After a stream's beginning any event of the model either fits or is a fault, never a crash."""
    payload = data.draw(values(STREAM.members[name]))
    is_exception = STREAM.members[name].metadata.get("exception", False)
    kind = "exception" if is_exception else "event"
    start = encode_message({":message-type": "event", ":event-type": "messageStart"}, b'{"role":"assistant"}')
    event = encode_message({":message-type": kind, f":{kind}-type": name}, dump(payload))
    decoder = CODEC.event_decoder()
    list(decoder.feed(start))
    if is_exception:
        with pytest.raises(UpstreamError):
            list(decoder.feed(event))
    elif name not in ("messageStart", "metadata"):
        list(decoder.feed(event))


@given(bedrock_responses())
def test_botocore_and_we_read_the_same_answer(response):
    body = CODEC.encode_response(response).body
    blocks = parsed(body)["output"]["message"]["content"]
    ours = CODEC.decode_response(through_bytes(body)).parts
    assert len(blocks) == len(ours)
    kinds = {
        "text": Text,
        "citationsContent": Text,
        "toolUse": (ToolCall, Foreign),
        "toolResult": Foreign,
        "reasoningContent": Reasoning,
        "image": Image,
    }
    for block, part in zip(blocks, ours, strict=True):
        assert isinstance(part, kinds[next(iter(block))])
