"""The validator accepts what Anthropic sends and refuses every way of breaking it that we know."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from lynkr.testing.anthropic_grammar import GrammarError, validate_anthropic_stream

Frames = list[dict[str, Any]]


def good() -> Frames:
    """One stream with every kind of block."""
    usage = {"input_tokens": 5, "output_tokens": 1}
    message = {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "m",
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "usage": usage,
    }
    blocks: list[tuple[dict[str, Any], list[dict[str, Any]]]] = [
        (
            {"type": "thinking", "thinking": "", "signature": ""},
            [{"type": "thinking_delta", "thinking": "hm"}, {"type": "signature_delta", "signature": "s"}],
        ),
        ({"type": "redacted_thinking", "data": "d"}, []),
        (
            {"type": "text", "text": ""},
            [{"type": "text_delta", "text": "hi"}, {"type": "citations_delta", "citation": {}}],
        ),
        (
            {"type": "tool_use", "id": "t", "name": "n", "input": {}},
            [{"type": "input_json_delta", "partial_json": part} for part in ("", '{"a":', "[1]}")],
        ),
        ({"type": "tool_use", "id": "u", "name": "n", "input": {}}, []),
        ({"type": "web_search_tool_result", "content": []}, []),
    ]
    frames: Frames = [{"type": "message_start", "message": message}, {"type": "ping"}]
    for index, (block, deltas) in enumerate(blocks):
        frames.append({"type": "content_block_start", "index": index, "content_block": block})
        frames += [{"type": "content_block_delta", "index": index, "delta": delta} for delta in deltas]
        frames.append({"type": "content_block_stop", "index": index})
    delta = {"stop_reason": "tool_use", "stop_sequence": None}
    frames.append({"type": "message_delta", "delta": delta, "usage": {"output_tokens": 9}})
    return [*frames, {"type": "message_stop"}]


def written(frames: Frames, line_end: str = "\n") -> bytes:
    lines = (f"event: {body['type']}\ndata: {json.dumps(body)}\n\n" for body in frames)
    return "".join(lines).replace("\n", line_end).encode()


def at(kind: str, nth: int = 0) -> int:
    return [number for number, body in enumerate(good()) if body["type"] == kind][nth]


THINKING_DELTA = {"type": "thinking_delta", "thinking": "x"}
JSON_DELTA = {"type": "input_json_delta", "partial_json": ""}
ERROR: dict[str, Any] = {"type": "error", "error": {"type": "api_error", "message": "m"}}


@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
def test_a_good_stream_passes(line_end: str) -> None:
    validate_anthropic_stream(written(good(), line_end))


def test_a_comment_and_a_ping_may_stand_anywhere() -> None:
    for place in range(len(good())):
        frames = good()
        frames.insert(place, {"type": "ping"})
        validate_anthropic_stream(b": keep-alive\n\n" + written(frames))


def test_an_error_may_end_the_stream_anywhere() -> None:
    for place in range(len(good())):
        validate_anthropic_stream(written([*good()[:place], ERROR]))


@given(st.data())
def test_leaving_an_event_out_is_refused(data: st.DataObject) -> None:
    frames = good()
    optional = ("ping", "content_block_delta")
    place = data.draw(st.sampled_from([n for n, body in enumerate(frames) if body["type"] not in optional]))
    del frames[place]
    with pytest.raises(GrammarError):
        validate_anthropic_stream(written(frames))


@given(st.integers(0, len(good()) - 1))
def test_an_event_twice_is_refused(place: int) -> None:
    frames = good()
    body = frames[place]
    kind = body.get("delta", {}).get("type")
    assume(body["type"] != "ping" and kind not in ("text_delta", "thinking_delta", "citations_delta"))
    assume(body.get("delta", {}).get("partial_json") != "")
    frames.insert(place, body)
    with pytest.raises(GrammarError):
        validate_anthropic_stream(written(frames))


@given(st.data())
def test_two_neighbours_of_different_kinds_swapped_are_refused(data: st.DataObject) -> None:
    frames = good()
    place = data.draw(st.integers(0, len(frames) - 2))
    one, other = frames[place : place + 2]
    assume("ping" not in (one["type"], other["type"]) and one["type"] != other["type"])
    frames[place : place + 2] = [other, one]
    with pytest.raises(GrammarError):
        validate_anthropic_stream(written(frames))


@given(st.integers(0, len(written(good())) - 1))
def test_a_stream_cut_anywhere_is_refused(length: int) -> None:
    with pytest.raises(GrammarError):
        validate_anthropic_stream(written(good())[:length])


def change(kind: str, nth: int, edit: Callable[[dict[str, Any]], object]) -> Frames:
    frames = json.loads(json.dumps(good()))
    edit(frames[at(kind, nth)])
    return list(frames)


@pytest.mark.parametrize(
    ("frames", "problem"),
    [
        ([*good(), ERROR], "after the end"),
        ([*good(), {"type": "ping"}], "after the end"),
        ([{"type": "error", "error": {"type": "x"}}], "message must be a string"),
        ([good()[0], {"type": "thread_created"}], "no such event"),
        (change("message_start", 0, lambda b: b["message"].update(role="user")), "role 'assistant'"),
        (change("message_start", 0, lambda b: b["message"].update(content=[{}])), "content must be empty"),
        (change("message_start", 0, lambda b: b["message"].update(stop_reason="end_turn")), "must be null"),
        (change("message_start", 0, lambda b: b["message"].pop("id")), "id must be a string"),
        (
            change("message_start", 0, lambda b: b["message"]["usage"].update(input_tokens=None)),
            "whole number",
        ),
        (
            change("message_start", 0, lambda b: b["message"]["usage"].update(output_tokens=True)),
            "whole number",
        ),
        (change("content_block_start", 1, lambda b: b.update(index=0)), "index must be 1, not 0"),
        (change("content_block_start", 0, lambda b: b.update(index=1)), "index must be 0, not 1"),
        (change("content_block_delta", 0, lambda b: b.update(index=1)), "index must be 0"),
        (change("content_block_stop", 2, lambda b: b.update(index=1)), "index must be 2"),
        (change("content_block_start", 3, lambda b: b["content_block"].pop("input")), "object as its input"),
        (change("content_block_start", 3, lambda b: b["content_block"].pop("id")), "id must be a string"),
        (change("content_block_start", 0, lambda b: b["content_block"].pop("signature")), "signature"),
        (
            change("content_block_delta", 0, lambda b: b.update(delta={"type": "text_delta", "text": "x"})),
            "a text_delta inside a block of type thinking",
        ),
        (
            change(
                "content_block_delta",
                2,
                lambda b: b.update(delta={"type": "thinking_delta", "thinking": "x"}),
            ),
            "a thinking_delta inside a block of type text",
        ),
        (
            change(
                "content_block_delta",
                2,
                lambda b: b.update(delta={"type": "input_json_delta", "partial_json": ""}),
            ),
            "inside a block of type text",
        ),
        (
            change("content_block_delta", 5, lambda b: b["delta"].update(partial_json='{"a"')),
            "does not add up",
        ),
        (change("content_block_delta", 6, lambda b: b["delta"].update(partial_json="1")), "does not add up"),
        (change("content_block_delta", 2, lambda b: b["delta"].pop("text")), "text must be a string"),
        (change("message_delta", 0, lambda b: b["delta"].update(stop_reason=None)), "stop reason"),
        (change("message_delta", 0, lambda b: b["delta"].update(stop_reason="stop")), "no such stop reason"),
        (change("message_delta", 0, lambda b: b.pop("usage")), "usage must be an object"),
    ],
)
def test_a_known_way_of_breaking_a_stream_is_refused(frames: Frames, problem: str) -> None:
    with pytest.raises(GrammarError) as caught:
        validate_anthropic_stream(written(frames))
    assert problem in str(caught.value)


def test_input_that_is_no_object_is_refused() -> None:
    frames = change("content_block_delta", 5, lambda b: b["delta"].update(partial_json="["))
    frames[at("content_block_delta", 6)]["delta"]["partial_json"] = "1]"
    with pytest.raises(GrammarError, match="not an object"):
        validate_anthropic_stream(written(frames))


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b"", "no blank line"),
        (b"\xff\n\n", "not UTF-8 at byte 0"),
        (b"data: {}\n\n", "must be a line 'event: '"),
        (b"event: ping\ndata: {\n\n", "not JSON"),
        (b'event: ping\ndata: {"type":"error"}\n\n', "not an object of type 'ping'"),
        (b"event: ping\ndata: []\n\n", "not an object of type 'ping'"),
    ],
)
def test_a_broken_frame_is_refused(data: bytes, problem: str) -> None:
    with pytest.raises(GrammarError) as caught:
        validate_anthropic_stream(data)
    assert problem in str(caught.value)
