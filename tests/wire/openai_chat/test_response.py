"""Whole answers by example."""

from typing import Any

import pytest

from lynkr.errors import UpstreamBusy, UpstreamError, UpstreamWireError
from lynkr.model import (
    Extras,
    Foreign,
    Json,
    Part,
    Reasoning,
    Response,
    StopReason,
    Text,
    ToolCall,
    Usage,
    WireFormat,
)
from lynkr.model.fold import fold
from lynkr.testing.laws import decode_stream, encode_stream
from lynkr.wire.openai_chat import OpenAIChatCodec

CODEC = OpenAIChatCodec()
CHAT = WireFormat.OPENAI_CHAT
CALL: dict[str, Json] = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{ }"}}


def _body(message: dict[str, Json], finish: Json = "stop", **more: Json) -> dict[str, Any]:
    choice = {"index": 0, "message": {"role": "assistant", **message}, "finish_reason": finish}
    return {
        "id": "r1",
        "object": "chat.completion",
        "created": 1,
        "model": "m",
        "choices": [choice],
        **more,
    }


def _parts(**message: Json) -> tuple[Part, ...]:
    return CODEC.decode_response(_body(message)).parts


def _answer(*parts: Part, reason: StopReason = StopReason.END_TURN, **more: Any) -> Response:
    return Response("r1", "m", parts, reason, created=1, **more)


def _encoded(response: Response) -> tuple[Any, list[str]]:
    encoded = CODEC.encode_response(response)
    return encoded.body, [loss.path for loss in encoded.losses]


def test_a_message_becomes_thinking_text_refusal_and_calls() -> None:
    parts = _parts(content="a", reasoning_content="hm", refusal="no", tool_calls=[CALL])
    declined = Text("no", Extras(CHAT, {"type": "refusal"}))
    assert parts == (Reasoning("hm"), Text("a"), declined, ToolCall("c1", "f", "{ }"))


@pytest.mark.parametrize("content", [None, "", []])
def test_no_content_is_no_text(content: Json) -> None:
    assert _parts(content=content, tool_calls=[CALL]) == (ToolCall("c1", "f", "{ }"),)


def test_content_lists_and_custom_calls_are_read() -> None:
    thinking: Json = {"type": "thinking", "thinking": "hm"}
    custom: Json = {"id": "c1", "type": "custom", "custom": {"name": "sh", "input": "ls"}}
    assert _parts(content=["bare", thinking, 3], tool_calls=[custom]) == (
        Text("bare"),
        Reasoning("hm"),
        Foreign(CHAT, 3),
        ToolCall("c1", "sh", '{"input":"ls"}', Extras(CHAT, {"type": "custom"})),
    )


@pytest.mark.parametrize(
    ("message", "reason"),
    [({"content": "x"}, StopReason.OTHER), ({"tool_calls": [CALL]}, StopReason.TOOL_USE)],
)
def test_an_answer_without_a_finish_reason_is_read(message: dict[str, Json], reason: StopReason) -> None:
    assert CODEC.decode_response(_body(message, None)).stop_reason is reason


def test_calls_without_ids_get_ids_made_from_the_answers() -> None:
    nameless: Json = {"function": {"name": "f", "arguments": {"x": 1}}}
    assert _parts(tool_calls=[nameless, nameless]) == (
        ToolCall("call_r1_0", "f", '{"x":1}'),
        ToolCall("call_r1_1", "f", '{"x":1}'),
    )


def test_a_call_of_a_kind_nobody_knows_goes_back_as_it_came() -> None:
    call = {"id": "c1", "type": "mcp", "mcp": {"server": "s"}}
    body = _body({"content": None, "tool_calls": [call]}, "tool_calls")
    response = CODEC.decode_response(body)
    assert response.parts == (Foreign(CHAT, {"tool_calls": [call]}),)
    assert CODEC.encode_response(response).body == body
    assert CODEC.encode_response(response).losses == ()
    assert fold(decode_stream(CODEC, [encode_stream(CODEC, _events(response))])) == response


def _events(response: Response) -> Any:
    from lynkr.model.fold import unfold

    return unfold(response)


def test_an_answer_that_stops_with_calls_is_waiting_for_them() -> None:
    response = CODEC.decode_response(_body({"tool_calls": [CALL]}, "stop"))
    assert response.stop_reason is StopReason.TOOL_USE
    assert CODEC.encode_response(response).body["choices"][0]["finish_reason"] == "stop"  # type: ignore[index, call-overload]  # reason: our own body


@pytest.mark.parametrize(
    ("reason", "word", "is_loss"),
    [
        (StopReason.END_TURN, "stop", False),
        (StopReason.MAX_TOKENS, "length", False),
        (StopReason.REFUSAL, "content_filter", False),
        (StopReason.STOP_SEQUENCE, "stop", True),
        (StopReason.PAUSE, "stop", True),
        (StopReason.CONTEXT_OVERFLOW, "length", True),
        (StopReason.OTHER, "stop", True),
    ],
)
def test_stop_reasons_have_words(reason: StopReason, word: str, is_loss: bool) -> None:
    body, losses = _encoded(_answer(Text("x"), reason=reason))
    assert body["choices"][0]["finish_reason"] == word
    assert losses == (["stop_reason"] if is_loss else [])


def test_an_unknown_finish_reason_survives() -> None:
    body = _body({"content": "x"}, "eos")
    response = CODEC.decode_response(body)
    assert response.stop_reason is StopReason.OTHER
    assert CODEC.encode_response(response).body == body


def test_unknown_fields_come_back_at_every_depth() -> None:
    body = _body(
        {"content": "x", "annotations": [], "audio": None},
        usage={
            "prompt_tokens": 5,
            "completion_tokens": 2,
            "total_tokens": 9,
            "cost": 0.25,
            "prompt_tokens_details": {"cached_tokens": 1, "audio_tokens": 0},
        },
        system_fingerprint=None,
        service_tier="flex",
    )
    body["choices"][0]["logprobs"] = None
    body["choices"].append({"index": 1, "message": {"role": "assistant", "content": "y"}})
    encoded = CODEC.encode_response(CODEC.decode_response(body))
    assert encoded.body == body
    assert encoded.losses == ()


def test_texts_in_a_row_become_one_string_and_that_is_a_loss() -> None:
    body, losses = _encoded(_answer(Text("a"), Text("b")))
    assert body["choices"][0]["message"]["content"] == "ab"
    assert losses == ["parts"]


@pytest.mark.parametrize(
    ("wire", "usage"),
    [
        ({"prompt_tokens": 10, "completion_tokens": 2}, Usage(10, 2)),
        ({"prompt_tokens": 10, "prompt_tokens_details": {"cached_tokens": 4}}, Usage(10, cache_read=4)),
        (
            {"prompt_tokens": 10, "prompt_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 6}},
            Usage(10, cache_read=0, cache_write=6),
        ),
        ({"prompt_tokens": 10, "prompt_cache_hit_tokens": 3}, Usage(10, cache_read=3)),
        ({"prompt_tokens": 10, "cached_tokens": 3}, Usage(10, cache_read=3)),
        ({"completion_tokens_details": {"reasoning_tokens": 7}}, Usage(reasoning=7)),
        ({"prompt_tokens": True, "completion_tokens": -1, "prompt_tokens_details": None}, Usage()),
        ({}, Usage()),
        (None, Usage()),
    ],
)
def test_usage_is_read_where_each_server_tells_it(wire: Json, usage: Usage) -> None:
    response = CODEC.decode_response(_body({"content": "x"}, usage=wire))
    assert response.usage == usage
    again = CODEC.decode_response(CODEC.encode_response(response).body)
    assert again == response


def test_unknown_usage_is_not_written() -> None:
    body, _ = _encoded(_answer(Text("x")))
    assert "usage" not in body


def test_an_answer_without_a_time_says_so() -> None:
    body, losses = _encoded(Response("r1", "m", (Text("x"),), StopReason.END_TURN))
    assert body["created"] == 0
    assert losses == ["created"]


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"choices": []},
        {"choices": "x"},
        {"choices": [3]},
        {"choices": [{"index": 1, "message": {}}]},
        {"choices": [{"index": 0}]},
        {"choices": [{"index": 0, "message": {"tool_calls": [{"function": {}}]}}]},
    ],
)
def test_what_is_not_an_answer_is_refused(body: dict[str, Json]) -> None:
    with pytest.raises(UpstreamWireError):
        CODEC.decode_response(body)


def test_an_error_told_with_status_200_is_an_error() -> None:
    with pytest.raises(UpstreamBusy):
        CODEC.decode_response({"error": {"code": 429, "message": "slow down"}})
    choice = {"index": 0, "message": {}, "error": {"message": "gone"}}
    with pytest.raises(UpstreamError, match="gone"):
        CODEC.decode_response({"choices": [choice]})
