"""What is told of a whole answer at a glance is what reading all of it finds."""

import copy

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lynkr.errors import LynkrError
from lynkr.model import Response, StopReason, Text, ToolCall, Usage
from lynkr.testing.strategies import responses
from lynkr.wire.anthropic import AnthropicCodec
from lynkr.wire.base import TellingCodec
from lynkr.wire.json_body import dump, parse_value
from lynkr.wire.openai_chat import OpenAIChatCodec

CODECS = (AnthropicCodec(), OpenAIChatCodec())
each_codec = pytest.mark.parametrize("codec", CODECS, ids=[codec.format.value for codec in CODECS])
ODD = st.sampled_from([None, 1, "x", "", [], {}, [1], [None], {"type": "text"}, True])


def places_of(node, path=()):
    yield path
    items = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for name, value in items:
        yield from places_of(value, (*path, name))


def found(codec, body):
    answer = codec.decode_response(body)
    calls = sum(isinstance(part, ToolCall) for part in answer.parts)
    return answer.id, answer.model, answer.stop_reason, answer.usage, calls


def check(codec, body):
    told = codec.told(body)
    if told is not None:
        assert (told.id, told.model, told.stop_reason, told.usage, told.tool_calls) == found(codec, body)
        assert told.id
        assert told.model


@each_codec
@given(data=st.data())
def test_it_is_what_decoding_finds_or_nothing(codec, data):
    body = parse_value(dump(codec.encode_response(data.draw(responses(codec.format))).body))
    check(codec, body)
    *_, (*way, last) = [data.draw(st.sampled_from([place for place in places_of(body) if place]))]
    broken = copy.deepcopy(body)
    node = broken
    for step in way:
        node = node[step]
    node[last] = data.draw(ODD)
    try:
        codec.decode_response(broken)
    except LynkrError:
        assert codec.told(broken) is None
    else:
        check(codec, broken)


@each_codec
def test_ordinary_answers_are_read_at_a_glance(codec):
    parts = (Text("hello"), ToolCall("call_1", "look", "{}"), ToolCall("call_2", "look", '{"a":1}'))
    usage = Usage(input=9, output=3, cache_read=4)
    response = Response("id", "m", parts, StopReason.TOOL_USE, usage)
    assert isinstance(codec, TellingCodec)
    told = codec.told(parse_value(dump(codec.encode_response(response).body)))
    assert told is not None
    assert (told.tool_calls, told.stop_reason, told.usage.output) == (2, StopReason.TOOL_USE, 3)
