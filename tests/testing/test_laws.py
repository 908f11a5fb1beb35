"""The laws catch codecs and routers that break them, and the strategies give what they promise."""

import pytest
from attrs import evolve
from hypothesis import given

from lynkr.errors import RoutingError, UpstreamWireError
from lynkr.model import (
    Extras,
    Finish,
    Loss,
    Message,
    PartDelta,
    PartEnd,
    PartStart,
    Request,
    Role,
    Sampling,
    Start,
    StopReason,
    Text,
    ToolCall,
    ToolResult,
    WireFormat,
)
from lynkr.routing.decision import Decision, Snapshot, Step, Target, Tier
from lynkr.testing import laws
from lynkr.testing.strategies import chunkings, conversations, event_streams, requests
from lynkr.wire.anthropic import AnthropicCodec

REQUEST = Request("m", (Message.user("hello"),), max_output_tokens=9, sampling=Sampling(top_k=3))


# --- Differences --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({}, ()),
        ({"model": "n"}, ("model",)),
        ({"sampling": Sampling(top_k=4)}, ("sampling.top_k",)),
        ({"messages": ()}, ("messages",)),
        ({"messages": (Message.user("other"),)}, ("messages[0].parts[0].text",)),
        ({"messages": (Message(Role.USER, (ToolResult("c", ()),)),)}, ("messages[0].parts[0]",)),
        ({"extras": Extras(WireFormat.GEMINI, {})}, ()),
        ({"extras": Extras(WireFormat.GEMINI, {"a": {"b": [1, 2]}})}, ("extras.a",)),
        ({"stream": True, "user": "u"}, ("user", "stream")),
    ],
)
def test_differences_are_named_by_path(change, expected):
    assert laws.differences(REQUEST, evolve(REQUEST, **change)) == expected


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ('{"a":1}', '{ "a": 1.0 }', True),
        ("", "{}", True),
        ("{", "{", True),
        ("{", "{}", False),
        ('{"a":1}', '{"a":2}', False),
    ],
)
def test_arguments_are_compared_as_json(one, other, same):
    found = laws.differences(ToolCall("c", "n", one), ToolCall("c", "n", other))
    assert found == (() if same else ("arguments",))


def test_a_yes_is_not_a_one():
    assert laws.differences({"a": True}, {"a": 1}) == ("a",)


@given(requests())
def test_nothing_differs_from_itself(request):
    assert laws.differences(request, evolve(request)) == ()


# --- Codecs that break the law ------------------------------------------------------------------------


class Forgetful(AnthropicCodec):
    """Drops the system's temperature without a word, or speaks of a loss that is none."""

    def __init__(self, *, drops=None, invents=()):
        super().__init__()
        self._drops, self._invents = drops, invents

    def encode_request(self, request):
        encoded = super().encode_request(request)
        body = {name: value for name, value in encoded.body.items() if name != self._drops}
        return evolve(encoded, body=body, losses=(*encoded.losses, *self._invents))


def test_an_honest_codec_passes():
    laws.assert_losses_honest(Forgetful(), REQUEST)
    laws.assert_round_trip(Forgetful(), REQUEST)


def test_a_silent_loss_is_caught():
    with pytest.raises(AssertionError, match=r"without a Loss: \['sampling.top_k'\]"):
        laws.assert_losses_honest(Forgetful(drops="top_k"), REQUEST)
    with pytest.raises(AssertionError, match=r"sampling\.top_k"):
        laws.assert_round_trip(Forgetful(drops="top_k"), REQUEST)


def test_a_declared_loss_may_stand_above_what_differs():
    laws.assert_losses_honest(Forgetful(drops="top_k", invents=(Loss("sampling", "x"),)), REQUEST)


@pytest.mark.parametrize("path", ["sampling.top_k", "messages[0]", "sampling.top", "messages"])
def test_an_invented_loss_is_caught(path):
    with pytest.raises(AssertionError, match="declared lost, but carried"):
        laws.assert_losses_honest(Forgetful(invents=(Loss(path, "x"),)), REQUEST)


STREAM = (
    Start("i", "m"),
    PartStart(0, ToolCall("c1", "n", "")),
    PartDelta(0, '{"a":'),
    PartDelta(0, " 1e2}"),
    PartEnd(0),
    PartStart(1, Text("")),
    PartDelta(1, "né"),
    PartEnd(1),
    Finish(StopReason.TOOL_USE),
)


class Careless:
    """A decoder around the true one, with one fault."""

    def __init__(self, decoder, fault):
        self._decoder, self._fault = decoder, fault

    def feed(self, data):
        if self._fault == "counts chunks" and len(data) == 1:
            raise UpstreamWireError("one byte is too few")
        for event in self._decoder.feed(data):
            if self._fault == "tidies" and isinstance(event, PartDelta):
                yield evolve(event, text=event.text.strip())
            else:
                yield event

    def close(self):
        try:
            yield from self._decoder.close()
        except UpstreamWireError:
            if self._fault != "ends clean":
                raise


class CarelessCodec(AnthropicCodec):
    def __init__(self, fault):
        super().__init__()
        self._fault = fault

    def event_decoder(self):
        return Careless(super().event_decoder(), self._fault)


def test_a_decoder_without_faults_passes_the_stream_laws():
    codec = CarelessCodec("none")
    data = laws.encode_stream(codec, STREAM)
    laws.assert_chunking_law(codec, data, [data[at : at + 1] for at in range(len(data))])
    laws.assert_cut_stream_raises(codec, data)
    laws.assert_tool_arguments_exact(codec, STREAM)


def test_a_decoder_that_minds_the_chunks_is_caught():
    codec = CarelessCodec("counts chunks")
    data = laws.encode_stream(codec, STREAM)
    with pytest.raises(AssertionError, match="other chunks"):
        laws.assert_chunking_law(codec, data, [data[:1], data[1:]])


def test_a_decoder_that_ends_a_cut_stream_clean_is_caught():
    codec = CarelessCodec("ends clean")
    with pytest.raises(AssertionError, match="ended clean"):
        laws.assert_cut_stream_raises(codec, laws.encode_stream(codec, STREAM))


def test_a_decoder_that_tidies_arguments_is_caught():
    with pytest.raises(AssertionError, match="c1: arguments"):
        laws.assert_tool_arguments_exact(CarelessCodec("tidies"), STREAM)


# --- Routers that break the law -----------------------------------------------------------------------

ONE, TWO = Target("a", "x"), Target("b", "y")
GOOD = Decision(Tier.SIMPLE, 0.1, (ONE, TWO), trace=(Step("tier", "r"),))


class Answering:
    """Gives prepared decisions, one a call."""

    def __init__(self, *decisions):
        self._decisions = list(decisions)

    def route(self, request, snapshot):
        decision = self._decisions.pop(0) if len(self._decisions) > 1 else self._decisions[0]
        if isinstance(decision, Exception):
            raise decision
        return decision


def test_a_lawful_router_passes():
    assert laws.check_router_laws(Answering(GOOD), REQUEST, Snapshot(), configured=(ONE, TWO)) == GOOD
    everything_down = Snapshot(unavailable=frozenset((ONE, TWO)))
    assert laws.check_router_laws(Answering(GOOD), REQUEST, everything_down) == GOOD
    assert laws.check_router_laws(Answering(RoutingError("none")), REQUEST, Snapshot()) is None


@pytest.mark.parametrize(
    ("decisions", "complaint"),
    [
        ((GOOD, evolve(GOOD, score=0.2)), "routed differently"),
        ((GOOD, RoutingError("now and then")), "routed differently"),
        ((RoutingError("one"), RoutingError("another")), "refused differently"),
        ((evolve(GOOD, trace=()),), "no reasons"),
        ((evolve(GOOD, targets=()),), "no target"),
        ((evolve(GOOD, targets=(ONE, ONE)),), "twice"),
        ((evolve(GOOD, score=1.5),), "outside"),
        ((evolve(GOOD, tiers=(Tier.SIMPLE,)),), "pair"),
        ((evolve(GOOD, targets=(ONE, Target("c", "z"))),), "invented"),
    ],
)
def test_an_unlawful_router_is_caught(decisions, complaint):
    with pytest.raises(AssertionError, match=complaint):
        laws.check_router_laws(Answering(*decisions), REQUEST, Snapshot(), configured=(ONE, TWO))


def test_a_router_that_offers_what_is_down_is_caught():
    with pytest.raises(AssertionError, match="unavailable"):
        laws.check_router_laws(Answering(GOOD), REQUEST, Snapshot(unavailable=frozenset((TWO,))))


# --- Strategies ---------------------------------------------------------------------------------------

FORMATS = pytest.mark.parametrize("format", [None, WireFormat.ANTHROPIC_MESSAGES, WireFormat.OPENAI_CHAT])


@FORMATS
def test_every_result_answers_an_earlier_call(format):
    @given(conversations(format))
    def check(said):
        called = set()
        for message in said:
            for part in message.parts:
                if isinstance(part, ToolResult):
                    assert message.role is Role.USER
                    assert part.call_id in called
            called |= {part.id for part in message.parts if isinstance(part, ToolCall)}

    check()


@FORMATS
def test_streams_obey_the_grammar_of_events(format):
    @given(event_streams(format))
    def check(events):
        assert isinstance(events[0], Start)
        assert isinstance(events[-1], Finish)
        began = [event.index for event in events if isinstance(event, PartStart)]
        assert began == list(range(len(began)))
        is_open = set()
        for event in events[1:-1]:
            if isinstance(event, PartStart):
                is_open.add(event.index)
            else:
                assert event.index in is_open
            if isinstance(event, PartEnd):
                is_open.remove(event.index)
        assert not is_open

    check()


def test_streams_interleave_and_bring_empty_arguments():
    """The difficult streams do occur; a strategy that stopped making them would prove nothing."""
    seen = set()

    @given(event_streams())
    def look(events):
        indexes = [event.index for event in events if isinstance(event, PartDelta)]
        if indexes != sorted(indexes):
            seen.add("interleaved")
        calls = {
            event.index
            for event in events
            if isinstance(event, PartStart) and isinstance(event.part, ToolCall)
        }
        if calls - set(indexes):
            seen.add("empty arguments")

    look()
    assert seen == {"interleaved", "empty arguments"}


def test_chunkings_cut_everywhere():
    data = "data: né\r\n\r\n".encode()
    seen = set()

    @given(chunkings(data))
    def look(chunks):
        assert b"".join(chunks) == data
        at = 0
        for chunk in chunks[:-1]:
            at += len(chunk)
            seen.add(at)

    look()
    assert seen >= set(range(1, len(data)))
