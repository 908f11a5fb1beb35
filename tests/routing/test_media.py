"""Audio, documents and video: in their own dialect or not at all."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lynkr.errors import CapabilityError
from lynkr.model import Extras, Foreign, Message, Request, Role, Text, ToolResult, WireFormat
from lynkr.routing import MediaKind, PipelineRouter, Profile, Snapshot, Target, Tier, features_of, media_in
from tests.routing.agent_sessions import asking

ANTHROPIC, CHAT, RESPONSES = (
    WireFormat.ANTHROPIC_MESSAGES,
    WireFormat.OPENAI_CHAT,
    WireFormat.OPENAI_RESPONSES,
)
CONVERSE, GEMINI = WireFormat.BEDROCK_CONVERSE, WireFormat.GEMINI
AUDIO, DOCUMENT, VIDEO = MediaKind.AUDIO, MediaKind.DOCUMENT, MediaKind.VIDEO
SMALL, LARGE = Target("local", "small"), Target("cloud", "large")
TWO = {Tier.SIMPLE: [SMALL], Tier.COMPLEX: [LARGE]}

PARTS = [
    (Foreign(ANTHROPIC, {"type": "document", "source": {}}), DOCUMENT),
    (Foreign(ANTHROPIC, {"type": "container_upload", "file_id": "f"}), DOCUMENT),
    (Foreign(CHAT, {"type": "input_audio", "input_audio": {}}), AUDIO),
    (Foreign(CHAT, {"type": "file", "file": {}}), DOCUMENT),
    (Foreign(CHAT, {"type": "video_url", "video_url": {}}), VIDEO),
    (Foreign(RESPONSES, {"type": "input_file", "file_id": "f"}), DOCUMENT),
    (Foreign(RESPONSES, {"type": "input_audio", "input_audio": {}}), AUDIO),
    (Foreign(CONVERSE, {"document": {"format": "pdf"}}), DOCUMENT),
    (Foreign(CONVERSE, {"video": {}}), VIDEO),
    (Foreign(GEMINI, {"inlineData": {"mimeType": "audio/wav", "data": ""}}), AUDIO),
    (Foreign(GEMINI, {"fileData": {"mimeType": "application/pdf", "fileUri": "u"}}), DOCUMENT),
]
HARMLESS = [
    Foreign(ANTHROPIC, {"type": "web_search_tool_result"}),
    Foreign(ANTHROPIC, {"type": "input_audio"}),  # another dialect's word
    Foreign(ANTHROPIC, {"type": 7}),
    Foreign(RESPONSES, {"type": "web_search_call"}),
    Foreign(GEMINI, {"inlineData": {"mimeType": "image/png", "data": ""}}),
    Foreign(GEMINI, {"executableCode": {}}),
    Foreign(CONVERSE, {"cachePoint": {}}),
    Foreign(WireFormat.OLLAMA_CHAT, {"type": "document"}),
    Foreign(CHAT, ["input_audio"]),
]


def sending(*parts, **fields):
    return Request(model="auto", messages=(Message(Role.USER, (*parts, Text("hi"))),), **fields)


@pytest.mark.parametrize("wrapped", [False, True], ids=["in a message", "in a tool's result"])
@pytest.mark.parametrize(("part", "kind"), PARTS, ids=str)
def test_every_dialects_media_is_seen(part, kind, wrapped):
    request = sending(ToolResult("c", (part,)) if wrapped else part)
    (media,) = media_in(request)
    assert (media.format, media.kind) == (part.format, kind)
    features = features_of(request)
    assert features.media == (media,)
    assert (features.has_audio, features.has_document) == (kind is AUDIO, kind is DOCUMENT)


@pytest.mark.parametrize("part", HARMLESS, ids=str)
def test_other_blocks_may_fall_as_a_declared_loss(part):
    assert media_in(sending(part)) == ()


def test_a_spoken_answer_wanted_or_referred_to_is_audio():
    wanted = sending(extras=Extras(CHAT, {"modalities": ["text", "audio"]}))
    spoken = Message(Role.ASSISTANT, (), Extras(CHAT, {"audio": {"id": "audio_1"}}))
    referred = Request(model="auto", messages=(Message.user("hi"), spoken, Message.user("go on")))
    for request in (wanted, referred):
        (media,) = media_in(request)
        assert (media.format, media.kind) == (CHAT, AUDIO)
        assert features_of(request).has_audio
    assert media_in(sending(extras=Extras(CHAT, {"modalities": ["text"]}))) == ()
    assert media_in(sending(extras=Extras(ANTHROPIC, {"modalities": ["audio"]}))) == ()


@given(st.lists(st.sampled_from([part for part, _ in PARTS] + HARMLESS), max_size=6))
def test_features_and_the_gateway_see_the_same_media(parts):
    request = sending(*parts)
    assert features_of(request).media == media_in(request)
    assert len(set(media_in(request))) == len(media_in(request))


@pytest.mark.parametrize(("part", "kind"), PARTS, ids=str)
def test_media_goes_only_where_its_dialect_is_spoken(part, kind):
    other = CHAT if part.format is not CHAT else ANTHROPIC
    speaks = {
        SMALL: Profile(formats=frozenset({other})),
        LARGE: Profile(formats=frozenset({other, part.format})),
    }
    decision = PipelineRouter(TWO, profiles=speaks.__getitem__).route(sending(part), Snapshot())
    assert decision.targets == (LARGE,)
    (exclusion,) = decision.exclusions
    assert (exclusion.target, exclusion.code) == (
        str(SMALL),
        "lacks_documents" if kind is DOCUMENT else f"lacks_{kind}",
    )
    nobody = PipelineRouter(TWO, profiles=lambda _: speaks[SMALL])
    with pytest.raises(CapabilityError, match=rf"{kind} .*{part.format} only.*local:small.*cloud:large"):
        nobody.route(sending(part), Snapshot())


@pytest.mark.parametrize(
    ("part", "profile"),
    [(PARTS[2][0], Profile(audio=False)), (PARTS[3][0], Profile(documents=False))],
    ids=["audio", "documents"],
)
def test_a_profile_may_say_no_within_the_dialect_too(part, profile):
    deaf = {SMALL: profile, LARGE: Profile(formats=frozenset({CHAT}))}
    router = PipelineRouter(TWO, profiles=deaf.__getitem__)
    assert router.route(sending(part), Snapshot()).targets == (LARGE,)
    assert router.route(asking("hi"), Snapshot()).targets == (SMALL, LARGE)


def test_unknown_dialects_exclude_nothing():
    assert PipelineRouter(TWO).route(sending(PARTS[0][0]), Snapshot()).targets == (SMALL, LARGE)
