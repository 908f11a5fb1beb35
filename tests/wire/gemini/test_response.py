"""Whole answers."""

import json

import pytest

from lynkr.errors import UpstreamBusy, UpstreamFailed, UpstreamWireError
from lynkr.model import Reasoning, Response, StopReason, Text, ToolCall, Usage
from lynkr.wire.gemini import GeminiCodec
from lynkr.wire.json_body import dump

CODEC = GeminiCodec()


def answer(*parts, reason="STOP", **fields):
    candidate = {"content": {"role": "model", "parts": list(parts)}, "finishReason": reason, "index": 0}
    return CODEC.decode_response({"candidates": [candidate], "responseId": "r1", **fields})


def test_an_answer_has_thoughts_text_and_calls():
    response = answer(
        {"thought": True, "text": "hm"},
        {"text": "ok"},
        {"functionCall": {"id": "c", "name": "f", "args": {"n": 1}}},
        modelVersion="gemini-3-pro",
    )
    assert response == Response(
        "r1",
        "gemini-3-pro",
        (Reasoning("hm"), Text("ok"), ToolCall("c", "f", '{"n":1}')),
        StopReason.TOOL_USE,
    )


@pytest.mark.parametrize(
    ("word", "reason"),
    [
        ("STOP", StopReason.END_TURN),
        ("MAX_TOKENS", StopReason.MAX_TOKENS),
        ("SAFETY", StopReason.REFUSAL),
        ("RECITATION", StopReason.REFUSAL),
        ("PROHIBITED_CONTENT", StopReason.REFUSAL),
        ("LANGUAGE", StopReason.OTHER),
        ("MALFORMED_FUNCTION_CALL", StopReason.OTHER),
        ("NEXT_YEARS_REASON", StopReason.OTHER),
    ],
)
def test_every_finish_reason_is_known_or_kept(word, reason):
    response = answer({"text": "x"}, reason=word)
    assert response.stop_reason is reason
    assert CODEC.encode_response(response).body["candidates"][0]["finishReason"] == word


@pytest.mark.parametrize("word", [[], {}, None, 7])
def test_a_finish_reason_that_is_no_word_is_none_we_know(word):
    assert answer(reason=word).stop_reason is StopReason.OTHER


@pytest.mark.parametrize("word", ["MALFORMED_FUNCTION_CALL", "UNEXPECTED_TOOL_CALL"])
def test_an_answer_that_came_to_nothing_may_be_tried_again(word):
    body = {"candidates": [{"finishReason": word, "finishMessage": "Malformed function call: f("}]}
    with pytest.raises(UpstreamFailed, match=f"{word}: Malformed") as caught:
        CODEC.decode_response(body)
    assert caught.value.retryable


def test_a_blocked_prompt_is_a_refusal():
    body = {"promptFeedback": {"blockReason": "PROHIBITED_CONTENT"}, "usageMetadata": {"promptTokenCount": 4}}
    response = CODEC.decode_response(body)
    assert (response.stop_reason, response.parts, response.usage.input) == (StopReason.REFUSAL, (), 4)
    assert response.extras.fields["promptFeedback"] == {"blockReason": "PROHIBITED_CONTENT"}


@pytest.mark.parametrize(
    ("counts", "usage"),
    [
        (
            {
                "promptTokenCount": 100,
                "cachedContentTokenCount": 60,
                "candidatesTokenCount": 5,
                "thoughtsTokenCount": 20,
            },
            Usage(input=100, output=25, cache_read=60, reasoning=20),
        ),
        ({"promptTokenCount": 10, "toolUsePromptTokenCount": 7, "candidatesTokenCount": 1}, Usage(17, 1)),
        # A count of zero is left out of the wire.
        ({"promptTokenCount": 10, "thoughtsTokenCount": 8, "totalTokenCount": 18}, Usage(10, 8, reasoning=8)),
        ({"promptTokenCount": 10, "totalTokenCount": 10}, Usage(10, 0)),
        ({"promptTokenCount": 10}, Usage(10)),
        ({}, Usage()),
    ],
)
def test_usage_has_the_models_meaning_and_what_is_missing_stays_unknown(counts, usage):
    assert answer({"text": "x"}, usageMetadata=counts).usage == usage


def test_no_usage_at_all_is_unknown():
    assert answer({"text": "x"}).usage == Usage()


def test_calls_without_ids_get_different_ones_in_every_answer():
    call = {"functionCall": {"name": "f"}}
    one, two = answer(call, call), answer(call, call, responseId="r2")
    ids = [part.id for response in (one, two) for part in response.parts]
    assert ids == ["call_r1_0", "call_r1_1", "call_r2_0", "call_r2_1"]


def test_without_a_response_id_the_growing_counts_tell_two_turns_apart():
    call = {"functionCall": {"name": "f"}}
    turns = [answer(call, responseId=None, usageMetadata={"promptTokenCount": count}) for count in (10, 20)]
    assert turns[0].parts[0].id != turns[1].parts[0].id
    again = answer(call, responseId=None, usageMetadata={"promptTokenCount": 10})
    assert again.parts[0].id == turns[0].parts[0].id


def test_further_candidates_and_unknown_fields_survive():
    body = {
        "candidates": [
            {
                "content": {"role": "model", "parts": [{"text": "a"}]},
                "finishReason": "STOP",
                "index": 0,
                "groundingMetadata": {"webSearchQueries": ["né"]},
            },
            {"content": {"parts": [{"text": "b"}]}, "index": 1},
        ],
        "usageMetadata": {
            "promptTokenCount": 1,
            "candidatesTokenCount": 1,
            "totalTokenCount": 2,
            "trafficType": "X",
        },
        "modelVersion": "m",
        "responseId": "r",
        "createTime": "2026-11-01T00:00:00Z",
    }
    assert json.loads(dump(CODEC.encode_response(CODEC.decode_response(body)).body)) == body


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"candidates": []},
        {"candidates": {}},
        {"candidates": [1]},
        {"candidates": [{"content": {"parts": ["x"]}}]},
        {"candidates": [{"content": {"parts": [{"functionCall": {"args": {}}}]}}]},
    ],
)
def test_what_is_no_answer_is_refused(body):
    with pytest.raises(UpstreamWireError):
        CODEC.decode_response(body)


def test_an_error_told_with_status_200_is_that_error():
    with pytest.raises(UpstreamBusy):
        CODEC.decode_response({"error": {"code": 503, "message": "overloaded", "status": "UNAVAILABLE"}})
