"""Whole answers: usage, stop reasons, and the official types."""

from typing import Any

import pytest
from anthropic.types import Message as OfficialMessage
from anthropic.types.beta import BetaMessage
from hypothesis import given
from hypothesis import strategies as st

from lynkr.errors import UpstreamWireError
from lynkr.model import (
    Extras,
    Foreign,
    Image,
    ImageSource,
    Opaque,
    Reasoning,
    Response,
    StopReason,
    Text,
    ToolCall,
    Usage,
    WireFormat,
)
from lynkr.testing.strategies import response_bodies, responses
from lynkr.wire.anthropic import AnthropicCodec
from lynkr.wire.json_body import dump, parse_body

CODEC = AnthropicCodec()
ANTHROPIC = WireFormat.ANTHROPIC_MESSAGES
OPENAI = WireFormat.OPENAI_CHAT


def answer(**more: Any) -> dict[str, Any]:
    return {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "m",
        "content": [{"type": "text", "text": "hi"}],
        "stop_reason": "end_turn",
        "stop_sequence": None,
        "usage": {"input_tokens": 10, "output_tokens": 3},
        **more,
    }


def body_of(response: Response) -> dict[str, Any]:
    return dict(parse_body(dump(CODEC.encode_response(response).body)).value)


@given(responses(ANTHROPIC))
def test_every_emitted_answer_has_the_official_types(response: Response) -> None:
    OfficialMessage.model_validate(body_of(response), strict=True)


@given(responses())
def test_a_translated_answer_has_the_official_types_too(response: Response) -> None:
    BetaMessage.model_validate(body_of(response), strict=True)


def test_input_includes_what_a_cache_took_part_in() -> None:
    usage = {
        "input_tokens": 10,
        "cache_read_input_tokens": 100,
        "cache_creation_input_tokens": 50,
        "cache_creation": {"ephemeral_5m_input_tokens": 20, "ephemeral_1h_input_tokens": 30},
        "output_tokens": 7,
        "output_tokens_details": {"thinking_tokens": 4},
        "service_tier": "standard",
    }
    response = CODEC.decode_response(answer(usage=usage))
    assert response.usage == Usage(160, 7, 100, 50, 30, 4)
    assert response.usage.uncached_input == 10
    assert response.extras.of(ANTHROPIC) == {"usage": {"service_tier": "standard"}}
    assert body_of(response)["usage"] == usage


def test_unknown_parts_of_nested_counts_survive() -> None:
    usage = {
        "input_tokens": 1,
        "output_tokens": 2,
        "cache_creation_input_tokens": 3,
        "cache_creation": {
            "ephemeral_5m_input_tokens": 1,
            "ephemeral_1h_input_tokens": 2,
            "ephemeral_1d_input_tokens": 0,
        },
        "output_tokens_details": {"thinking_tokens": 1, "audio_tokens": 0},
    }
    assert body_of(CODEC.decode_response(answer(usage=usage)))["usage"] == usage


def test_a_cache_write_is_known_by_its_lifetimes_alone() -> None:
    usage = {"input_tokens": 1, "output_tokens": 2, "cache_creation": {"ephemeral_5m_input_tokens": 4}}
    assert CODEC.decode_response(answer(usage=usage)).usage == Usage(5, 2, cache_write=4)


def test_a_cache_write_known_by_its_long_part_only_is_told() -> None:
    encoded = CODEC.encode_response(
        Response("i", "m", (), StopReason.END_TURN, Usage(10, 1, cache_write_1h=4))
    )
    usage: Any = encoded.body["usage"]
    assert usage["cache_creation_input_tokens"] == 4
    assert [loss.path for loss in encoded.losses] == ["usage.cache_write"]


def test_an_input_smaller_than_its_cached_part_is_written_zero_and_told() -> None:
    encoded = CODEC.encode_response(Response("i", "m", (), StopReason.END_TURN, Usage(1, 1, cache_read=36)))
    usage: Any = encoded.body["usage"]
    assert (usage["input_tokens"], usage["cache_read_input_tokens"]) == (0, 36)
    assert [loss.path for loss in encoded.losses] == ["usage.input"]


def test_counts_left_out_or_null_are_unknown_not_zero() -> None:
    response = CODEC.decode_response(
        answer(usage={"input_tokens": 10, "output_tokens": 1, "cache_creation": None})
    )
    assert response.usage == Usage(10, 1)
    assert CODEC.decode_response(answer(usage=None)).usage == Usage()


def test_unknown_counts_are_written_zero_and_told() -> None:
    encoded = CODEC.encode_response(Response("i", "m", (), StopReason.END_TURN))
    assert encoded.body["usage"] == {"input_tokens": 0, "output_tokens": 0}
    assert [loss.path for loss in encoded.losses] == ["usage.input", "usage.output"]


@pytest.mark.parametrize(
    ("word", "reason"),
    [
        ("end_turn", StopReason.END_TURN),
        ("max_tokens", StopReason.MAX_TOKENS),
        ("tool_use", StopReason.TOOL_USE),
        ("stop_sequence", StopReason.STOP_SEQUENCE),
        ("pause_turn", StopReason.PAUSE),
        ("refusal", StopReason.REFUSAL),
        ("model_context_window_exceeded", StopReason.CONTEXT_OVERFLOW),
        ("compaction", StopReason.OTHER),
        (None, StopReason.OTHER),
    ],
)
def test_stop_reasons_survive_also_unknown_ones(word: str | None, reason: StopReason) -> None:
    response = CODEC.decode_response(answer(stop_reason=word))
    assert response.stop_reason is reason
    assert body_of(response)["stop_reason"] == word


def test_another_dialects_unnamed_stop_reason_becomes_end_turn_and_is_told() -> None:
    encoded = CODEC.encode_response(Response("i", "m", (), StopReason.OTHER, Usage(1, 1)))
    assert encoded.body["stop_reason"] == "end_turn"
    assert [loss.path for loss in encoded.losses] == ["stop_reason"]


def test_unsealed_thinking_is_shown_with_an_empty_signature() -> None:
    response = Response("i", "m", (Reasoning("hm", Opaque(OPENAI, "x")),), StopReason.END_TURN, Usage(1, 1))
    encoded = CODEC.encode_response(response)
    assert encoded.body["content"] == [{"type": "thinking", "thinking": "hm", "signature": ""}]
    assert [loss.path for loss in encoded.losses] == ["parts[0].seal"]


def test_what_no_anthropic_client_can_show_is_dropped_and_told() -> None:
    parts = (Image(ImageSource.URL, "https://x"), Foreign(OPENAI, {"type": "audio"}), Text("t"))
    encoded = CODEC.encode_response(Response("i", "m", parts, StopReason.END_TURN, Usage(1, 1), created=5))
    assert encoded.body["content"] == [{"type": "text", "text": "t"}]
    assert [loss.path for loss in encoded.losses] == ["parts[0]", "parts[1]", "created"]


def test_server_tools_and_citations_are_kept_whole() -> None:
    search = {"type": "server_tool_use", "id": "s", "name": "web_search", "input": {"query": "q"}}
    cited = {"type": "text", "text": "t", "citations": [{"type": "char_location", "cited_text": "c"}]}
    response = CODEC.decode_response(answer(content=[search, cited]))
    assert response.parts == (
        Foreign(ANTHROPIC, search),
        Text("t", Extras(ANTHROPIC, {"citations": cited["citations"]})),
    )
    assert body_of(response)["content"] == [search, cited]


def test_broken_arguments_of_another_provider_reach_the_client_as_text() -> None:
    parts = (ToolCall("t", "n", '{"a":'),)
    body = body_of(Response("i", "m", parts, StopReason.TOOL_USE, Usage(1, 1)))
    assert body["content"][0]["input"] == {"arguments": '{"a":'}


@pytest.mark.parametrize(
    ("body", "place"),
    [
        ({}, "id"),
        (answer(content=None), "content"),
        (answer(content=[{"type": "text"}]), r"content\[0\]\.text"),
        (answer(usage=[]), "usage"),
        (answer(usage={"input_tokens": 1.5}), r"usage\.input_tokens"),
        (answer(usage={"output_tokens": True}), r"usage\.output_tokens"),
        (answer(usage={"cache_creation": 3}), r"usage\.cache_creation"),
        (answer(stop_sequence=1), "stop_sequence"),
        (answer(model=None), "model"),
    ],
)
def test_a_malformed_answer_names_its_place(body: dict[str, Any], place: str) -> None:
    with pytest.raises(UpstreamWireError, match=f"malformed: {place}: "):
        CODEC.decode_response(body)


@given(
    response_bodies(ANTHROPIC), st.sampled_from(("content", "usage", "id", "model", "stop_reason")), st.data()
)
def test_no_other_error_escapes_a_damaged_answer(
    body: dict[str, Any], name: str, data: st.DataObject
) -> None:
    wrong = (None, True, -1, 1.5, "x", [None], [{"type": []}], {"type": None}, [[]])
    try:
        CODEC.decode_response({**body, name: data.draw(st.sampled_from(wrong))})
    except UpstreamWireError:
        return
