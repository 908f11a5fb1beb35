"""The laws of `lynkr.wire` (architecture, 2.7), for every codec and every pair of codecs."""

from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lynkr.model import WireFormat
from lynkr.testing.laws import (
    assert_body_law,
    assert_losses_honest,
    assert_response_body_law,
    assert_response_losses_honest,
    assert_response_round_trip,
    assert_round_trip,
)
from lynkr.testing.strategies import request_bodies, requests, response_bodies, responses
from lynkr.wire.anthropic import AnthropicCodec
from lynkr.wire.bedrock import BedrockConverseCodec
from lynkr.wire.gemini import GeminiCodec
from lynkr.wire.json_body import dump, parse_body
from lynkr.wire.ollama import OllamaChatCodec
from lynkr.wire.openai_chat import OpenAIChatCodec
from lynkr.wire.openai_responses import OpenAIResponsesCodec

CODECS = {
    codec.format: codec
    for codec in (
        AnthropicCodec(),
        OpenAIChatCodec(),
        OpenAIResponsesCodec(),
        OllamaChatCodec(),
        GeminiCodec(),
        BedrockConverseCodec(),
    )
}
each_codec = pytest.mark.parametrize("codec", CODECS.values(), ids=[name.value for name in CODECS])
each_pair = pytest.mark.parametrize(
    ("origin", "codec"),
    [(CODECS[one], CODECS[other]) for one, other in permutations(CODECS, 2)],
    ids=[f"{one.value}-to-{other.value}" for one, other in permutations(CODECS, 2)],
)


def through_bytes(body):
    return parse_body(dump(body)).value


# --- Within one dialect -------------------------------------------------------------------------------


@each_codec
@given(data=st.data())
def test_a_request_in_normal_form_survives_its_own_dialect(codec, data):
    assert_round_trip(codec, data.draw(requests(codec.format)))


@each_codec
@given(data=st.data())
def test_an_answer_in_normal_form_survives_its_own_dialect(codec, data):
    assert_response_round_trip(codec, data.draw(responses(codec.format)))


@each_codec
@given(data=st.data())
def test_a_clients_body_means_the_same_after_a_round_trip(codec, data):
    assert_body_law(codec, data.draw(request_bodies(codec.format)))


@each_codec
@given(data=st.data())
def test_a_providers_body_means_the_same_after_a_round_trip(codec, data):
    assert_response_body_law(codec, data.draw(response_bodies(codec.format)))


# --- Across dialects ----------------------------------------------------------------------------------


@each_codec
@given(request=requests())
def test_every_loss_of_a_request_is_declared_and_real(codec, request):
    assert_losses_honest(codec, request)


@each_codec
@given(response=responses())
def test_every_loss_of_an_answer_is_declared_and_real(codec, response):
    assert_response_losses_honest(codec, response)


@each_pair
@given(data=st.data())
def test_a_clients_body_is_carried_to_the_other_dialect_or_its_losses_are_told(origin, codec, data):
    body = data.draw(request_bodies(origin.format))
    assert_losses_honest(codec, origin.decode_request(through_bytes(body)))


@each_pair
@given(data=st.data())
def test_a_providers_body_is_carried_to_the_other_dialect_or_its_losses_are_told(origin, codec, data):
    body = data.draw(response_bodies(origin.format))
    assert_response_losses_honest(codec, origin.decode_response(through_bytes(body)))


@each_pair
@given(data=st.data())
def test_what_reached_the_other_dialect_stays_there_whole(origin, codec, data):
    """Once translated, a request is in the other dialect's normal form: nothing more is lost in it."""
    body = data.draw(request_bodies(origin.format))
    translated = codec.encode_request(origin.decode_request(through_bytes(body)))
    assert_body_law(codec, through_bytes(translated.body))


def test_every_dialect_with_a_codec_is_under_the_laws():
    assert set(CODECS) == {
        WireFormat.ANTHROPIC_MESSAGES,
        WireFormat.OPENAI_CHAT,
        WireFormat.OPENAI_RESPONSES,
        WireFormat.OLLAMA_CHAT,
        WireFormat.GEMINI,
        WireFormat.BEDROCK_CONVERSE,
    }
