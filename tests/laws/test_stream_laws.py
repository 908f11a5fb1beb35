"""The laws of streams: folding, cutting, chunking, exact arguments, for every codec."""

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from lynkr.errors import UpstreamWireError
from lynkr.model import (
    Finish,
    PartDelta,
    PartEnd,
    PartStart,
    Start,
    StopReason,
    Text,
    ToolCall,
    Usage,
    WireFormat,
)
from lynkr.model.fold import fold
from lynkr.providers.answer import PassedBytes, Reading
from lynkr.providers.hidden import Hidden
from lynkr.service import Tally
from lynkr.testing.anthropic_grammar import validate_anthropic_stream
from lynkr.testing.laws import (
    assert_chunking_law,
    assert_cut_stream_raises,
    assert_fold_law,
    assert_stream_losses_honest,
    assert_stream_round_trip,
    assert_tool_arguments_exact,
    decode_stream,
    encode_stream,
)
from lynkr.testing.strategies import chunkings, event_streams, responses
from lynkr.wire.anthropic import AnthropicCodec
from lynkr.wire.base import SkimmingCodec
from lynkr.wire.bedrock import BedrockConverseCodec
from lynkr.wire.gemini import GeminiCodec
from lynkr.wire.ollama import OllamaChatCodec
from lynkr.wire.openai_chat import OpenAIChatCodec
from lynkr.wire.openai_responses import OpenAIResponsesCodec

CODECS = (
    AnthropicCodec(),
    OpenAIChatCodec(),
    OpenAIResponsesCodec(),
    OllamaChatCodec(),
    GeminiCodec(),
    BedrockConverseCodec(),
)
SSE_CODECS = tuple(codec for codec in CODECS if codec.stream_media_type == "text/event-stream")
# The rest send a call's arguments as an object, so that text which is none cannot be exact.
TEXT_ARGUMENT_CODECS = (AnthropicCodec(), OpenAIChatCodec(), OpenAIResponsesCodec(), BedrockConverseCodec())
each_codec = pytest.mark.parametrize("codec", CODECS, ids=[codec.format.value for codec in CODECS])


@given(responses())
def test_an_answer_survives_being_streamed(response):
    assert_fold_law(response)


@given(event_streams())
def test_a_stream_without_its_finish_does_not_fold(events):
    with pytest.raises(UpstreamWireError):
        fold(event for event in events if not isinstance(event, Finish))


@each_codec
@given(data=st.data())
def test_a_streamed_answer_survives_its_own_dialect(codec, data):
    assert_stream_round_trip(codec, data.draw(event_streams(codec.format)))


BROKEN_ARGUMENTS = (
    Start("i", "m"),
    PartStart(0, ToolCall("c", "n", "")),
    PartDelta(0, "{"),
    PartEnd(0),
    Finish(StopReason.TOOL_USE, Usage(input=1, output=1)),
)


@each_codec
@given(events=event_streams())
@example(events=BROKEN_ARGUMENTS)  # carried, yet of no use to a client that demands an object
def test_every_loss_of_a_streamed_answer_is_declared_and_real(codec, events):
    assert_stream_losses_honest(codec, events)


@each_codec
@given(data=st.data())
def test_criterion_01_cutting_the_bytes_elsewhere_changes_no_event(codec, data):
    stream = encode_stream(codec, data.draw(event_streams(codec.format)))
    assert_chunking_law(codec, stream, data.draw(chunkings(stream)))


@pytest.mark.parametrize("codec", SSE_CODECS, ids=[codec.format.value for codec in SSE_CODECS])
@given(data=st.data())
def test_carriage_returns_change_no_event(codec, data):
    stream = encode_stream(codec, data.draw(event_streams(codec.format)))
    for ending in (b"\r\n", b"\r"):
        other = stream.replace(b"\n", ending)
        assert list(codec.event_decoder().feed(other)) == list(codec.event_decoder().feed(stream))
        assert_chunking_law(codec, other, data.draw(chunkings(other)))


@each_codec
@settings(max_examples=15)  # every example decodes some thousand prefixes
@given(data=st.data())
def test_a_stream_cut_short_never_ends_clean(codec, data):
    assert_cut_stream_raises(codec, encode_stream(codec, data.draw(event_streams(codec.format))))


@pytest.mark.parametrize(
    "codec", TEXT_ARGUMENT_CODECS, ids=[codec.format.value for codec in TEXT_ARGUMENT_CODECS]
)
@given(data=st.data())
def test_criterion_02_tool_arguments_are_exact_from_any_source(codec, data):
    assert_tool_arguments_exact(codec, data.draw(event_streams()))


@each_codec
@given(data=st.data())
def test_tool_arguments_are_exact_in_their_own_dialect(codec, data):
    assert_tool_arguments_exact(codec, data.draw(event_streams(codec.format)))


@each_codec
@settings(max_examples=8, suppress_health_check=list(HealthCheck))  # arguments of up to a megabyte
@given(data=st.data())
def test_large_tool_arguments_are_exact(codec, data):
    assert_tool_arguments_exact(codec, data.draw(event_streams(codec.format, large=True)))


@given(event_streams(WireFormat.OPENAI_CHAT) | event_streams(WireFormat.ANTHROPIC_MESSAGES))
def test_criterion_03_every_anthropic_stream_follows_the_grammar(events):
    """Whatever the provider's dialect, and however it interleaved its parts."""
    validate_anthropic_stream(encode_stream(AnthropicCodec(), events))


@each_codec
@given(st.binary(max_size=200) | st.binary(max_size=40).map(lambda data: b"data: " + data + b"\n\n"))
def test_any_bytes_raise_a_wire_error_and_nothing_else(codec, data):
    with pytest.raises(UpstreamWireError):
        decode_stream(codec, [data])


SKIMMING_CODECS = tuple(codec for codec in CODECS if isinstance(codec, SkimmingCodec))


def tally_of(codec, chunks, skim):
    """What a stream that goes through untouched leaves in the tally."""
    tally = Tally()
    reading = Reading("p:m", Hidden({}, {}, {}), tally, codec.event_decoder(), lambda: 1.0, None)
    passed = PassedBytes(None, reading, tally, skim)
    for chunk in chunks:
        passed._read_along(reading, chunk)
    reading.close()
    assert passed._failure is None
    assert tally.tap_error is None
    return tally


@pytest.mark.parametrize("codec", SKIMMING_CODECS, ids=[codec.format.value for codec in SKIMMING_CODECS])
@given(data=st.data())
def test_skimming_a_stream_changes_nothing_of_its_tally(codec, data):
    stream = encode_stream(codec, data.draw(event_streams(codec.format)))
    whole = tally_of(codec, [stream], None)
    assert whole.complete
    assert tally_of(codec, data.draw(chunkings(stream)), codec.skim) == whole
    events = [event + b"\n\n" for event in stream.split(b"\n\n")[:-1]]
    assert tally_of(codec, events, codec.skim) == whole


@pytest.mark.parametrize("codec", SKIMMING_CODECS, ids=[codec.format.value for codec in SKIMMING_CODECS])
def test_the_words_of_an_answer_are_skimmed_over(codec):
    words = [PartDelta(0, f"word {at} ") for at in range(50)]
    events = [Start("i", "m"), PartStart(0, Text("")), *words, PartEnd(0), Finish(StopReason.END_TURN)]
    stream = encode_stream(codec, events)
    assert b"word 49" in stream
    assert b"word" not in codec.skim(
        stream[: stream.index(b"word 49") + 200].rpartition(b"\n\n")[0] + b"\n\n"
    )
