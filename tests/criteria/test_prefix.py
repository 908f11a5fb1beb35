"""Criterion 6: what is sent of a history does not depend on how it goes on."""

from itertools import pairwise

import pytest
from hypothesis import given

from lynkr.testing import agent_sessions
from lynkr.wire.anthropic import AnthropicCodec
from lynkr.wire.bedrock import BedrockConverseCodec
from lynkr.wire.gemini import GeminiCodec
from lynkr.wire.json_body import dump, parse_value
from lynkr.wire.ollama import OllamaChatCodec
from lynkr.wire.openai_chat import OpenAIChatCodec
from lynkr.wire.openai_responses import OpenAIResponsesCodec

HISTORY_IN = {
    AnthropicCodec(): "messages",
    OpenAIChatCodec(): "messages",
    OpenAIResponsesCodec(): "input",
    OllamaChatCodec(): "messages",
    GeminiCodec(): "contents",
    BedrockConverseCodec(): "messages",
}
each_codec = pytest.mark.parametrize("codec", HISTORY_IN, ids=[codec.format.value for codec in HISTORY_IN])


@each_codec
@given(session=agent_sessions())
def test_criterion_06_a_history_is_sent_alike_however_it_goes_on(codec, session):
    """A provider's cache, and the seals of its thinking, hold for the beginning of a longer history."""
    name = HISTORY_IN[codec]
    bodies = [
        parse_value(dump(codec.encode_request(turn.request).body)) for turn in session if turn.request.tools
    ]
    for earlier, later in pairwise(bodies):
        assert later[name][: len(earlier[name])] == earlier[name]
        assert {k: v for k, v in later.items() if k != name} == {
            k: v for k, v in earlier.items() if k != name
        }
