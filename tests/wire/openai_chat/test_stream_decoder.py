"""Streams as the servers send them, and what each becomes."""

import json
from collections.abc import Sequence
from typing import Any

import pytest

from lynkr.errors import (
    LynkrError,
    UpstreamBusy,
    UpstreamError,
    UpstreamFailed,
    UpstreamRefused,
    UpstreamWireError,
)
from lynkr.model import (
    Event,
    Extras,
    Finish,
    Foreign,
    Json,
    PartDelta,
    PartEnd,
    PartStart,
    Reasoning,
    Response,
    Start,
    StopReason,
    Text,
    ToolCall,
    Usage,
    WireFormat,
)
from lynkr.model.fold import fold
from lynkr.wire.openai_chat import OpenAIChatCodec

CHAT = WireFormat.OPENAI_CHAT
DONE = b"data: [DONE]\n\n"
HEAD: dict[str, Json] = {"id": "r1", "object": "chat.completion.chunk", "created": 1, "model": "m"}


def _frame(chunk: object) -> bytes:
    return b"data: " + json.dumps(chunk).encode() + b"\n\n"


def _chunk(delta: Json = None, finish: str | None = None, **more: Json) -> bytes:
    choice: dict[str, Json] = {"index": 0, "delta": delta or {}, "finish_reason": finish}
    return _frame({**HEAD, "choices": [choice], **more})


def _calls(*entries: Json) -> bytes:
    return _chunk({"tool_calls": [*entries]})


def _entry(index: int | None = None, call_id: str = "", name: str = "", arguments: Any = "") -> Json:
    entry: dict[str, Json] = {"type": "function", "function": {"name": name, "arguments": arguments}}
    if index is not None:
        entry["index"] = index
    if call_id:
        entry["id"] = call_id
    return entry


def _events(*frames: bytes) -> list[Event]:
    decoder = OpenAIChatCodec().event_decoder()
    events = [event for frame in frames for event in decoder.feed(frame)]
    return [*events, *decoder.close()]


def _answer(*frames: bytes) -> Response:
    return fold(_events(*frames))


def _failure(*frames: bytes) -> LynkrError:
    with pytest.raises((UpstreamError, UpstreamWireError)) as caught:
        _events(*frames)
    return caught.value


# --- The plain stream ---------------------------------------------------------------------------------


def test_a_plain_stream_becomes_one_text() -> None:
    events = _events(
        _chunk({"role": "assistant", "content": "", "refusal": None}, usage=None),
        _chunk({"content": "Hel"}),
        _chunk({"content": "lo"}),
        _chunk(finish="stop"),
        _frame(
            {
                **HEAD,
                "choices": [],
                "usage": {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5},
            }
        ),
        DONE,
    )
    assert events == [
        Start("r1", "m", created=1),
        PartStart(0, Text("")),
        PartDelta(0, "Hel"),
        PartDelta(0, "lo"),
        PartEnd(0),
        Finish(StopReason.END_TURN, Usage(input=3, output=2)),
    ]


def test_events_come_as_soon_as_their_bytes_do() -> None:
    decoder = OpenAIChatCodec().event_decoder()
    assert [type(event) for event in decoder.feed(_chunk({"content": "x"}))] == [Start, PartStart, PartDelta]
    assert list(decoder.feed(_chunk(finish="stop"))) == [PartEnd(0)]
    assert list(decoder.feed(_frame({**HEAD, "choices": [], "usage": None}))) == []
    assert list(decoder.feed(DONE)) == [Finish(StopReason.END_TURN)]
    assert list(decoder.feed(b"data: whatever comes later\n\n")) == []
    assert list(decoder.close()) == []


def test_the_end_of_input_after_a_finish_reason_is_an_end() -> None:
    assert _answer(_chunk({"content": "x"}), _chunk(finish="length")).stop_reason is StopReason.MAX_TOKENS


@pytest.mark.parametrize(
    ("frames", "words"),
    [
        ([], "cut before its finish_reason"),
        ([_chunk({"content": "x"})], "cut before its finish_reason"),
        ([_chunk({"content": "x"}), DONE], "[DONE] before its finish_reason"),
        ([_chunk({"content": "x"}), _chunk(finish="stop")[:-2]], "cut before its finish_reason"),
        ([b"data: {not json}\n\n"], "not JSON"),
        ([b"data: [1]\n\n"], "not a JSON object"),
        ([_frame({**HEAD, "choices": {}})], "not an array"),
        ([_frame({**HEAD, "choices": [{"index": 0, "delta": "x"}]})], "not an object"),
        ([_frame({**HEAD, "choices": ["x"]})], "not an object"),
        ([_calls("x")], "not an object"),
        ([_calls(_entry(None, arguments="{}")), _chunk(finish="stop")], "no name"),
        ([_calls(_entry(0, "c")), _chunk(finish="tool_calls")], "no name"),
        ([b"data: \xff\n\n"], "UTF-8"),
    ],
)
def test_a_cut_or_broken_stream_raises(frames: Sequence[bytes], words: str) -> None:
    error = _failure(*frames)
    assert isinstance(error, UpstreamWireError)
    assert words in str(error)


def test_after_an_error_every_later_call_raises_the_same() -> None:
    decoder = OpenAIChatCodec().event_decoder()
    with pytest.raises(UpstreamWireError) as first:
        list(decoder.feed(b"data: {\n\n"))
    for again in (lambda: list(decoder.feed(DONE)), lambda: list(decoder.close())):
        with pytest.raises(UpstreamWireError) as later:
            again()
        assert later.value is first.value


def test_events_before_an_error_in_the_same_bytes_are_given_out() -> None:
    decoder = OpenAIChatCodec().event_decoder()
    stream = iter(decoder.feed(_chunk({"content": "x"}) + b"data: {\n\n"))
    assert [type(next(stream)) for _ in range(3)] == [Start, PartStart, PartDelta]
    with pytest.raises(UpstreamWireError):
        next(stream)


# --- Thinking, refusals, odd content ------------------------------------------------------------------


@pytest.mark.parametrize("spelling", ["reasoning_content", "reasoning"])
def test_thinking_ends_where_text_begins(spelling: str) -> None:
    events = _events(
        _chunk({spelling: "hm"}), _chunk({"content": "4", spelling: None}), _chunk(finish="stop")
    )
    assert events[1:-1] == [
        PartStart(0, Reasoning("")),
        PartDelta(0, "hm"),
        PartEnd(0),
        PartStart(1, Text("")),
        PartDelta(1, "4"),
        PartEnd(1),
    ]


def test_both_spellings_of_thinking_in_one_delta_count_once() -> None:
    both = _chunk({"reasoning": "hm", "reasoning_content": "hm"})
    assert _answer(both, _chunk(finish="stop")).parts == (Reasoning("hm"),)


def test_a_refusal_is_a_text_of_its_own() -> None:
    answer = _answer(_chunk({"content": None, "refusal": "I "}), _chunk({"refusal": "won't"}, "stop"))
    assert answer.parts == (Text("I won't", Extras(CHAT, {"type": "refusal"})),)


def test_content_lists_are_read() -> None:
    """Mistral's reasoning models send content as a list of parts (read 2026-11)."""
    thinking = {"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]}
    reference = {"type": "reference", "reference_ids": [1]}
    answer = _answer(
        _chunk({"content": [thinking]}),
        _chunk({"content": [thinking]}),
        _chunk({"content": [{"type": "text", "text": "4"}, reference]}),
        _chunk({"content": "!"}, "stop"),
    )
    assert answer.parts == (Reasoning("hmhm"), Text("4"), Foreign(CHAT, reference), Text("!"))


# --- Tool calls ---------------------------------------------------------------------------------------

TWO_CALLS = (ToolCall("a", "f", '{"x":1}'), ToolCall("b", "g", '{"y":2}'))

_TWO_CALL_STREAMS = {
    "one after the other, as OpenAI": [
        _calls(_entry(0, "a", "f")),
        _calls(_entry(0, arguments='{"x"')),
        _calls(_entry(0, arguments=":1}")),
        _calls(_entry(1, "b", "g")),
        _calls(_entry(1, arguments='{"y":2}')),
    ],
    "interleaved": [
        _calls(_entry(0, "a", "f"), _entry(1, "b", "g")),
        _calls(_entry(1, arguments='{"y"'), _entry(0, arguments='{"x"')),
        _calls(_entry(0, arguments=":1}")),
        _calls(_entry(1, arguments=":2}")),
    ],
    "every call at index 0, as Ollama 0.20": [
        _calls(_entry(0, "a", "f", '{"x":1}')),
        _calls(_entry(0, "b", "g", '{"y":2}')),
    ],
    "every call at index 0, in pieces": [
        _calls(_entry(0, "a", "f", '{"x"')),
        _calls(_entry(0, arguments=":1}")),
        _calls(_entry(0, "b", "g", '{"y"')),
        _calls(_entry(0, arguments=":2}")),
    ],
    "index reused, ids in every delta": [
        _calls(_entry(0, "a", "f", '{"x"')),
        _calls(_entry(0, "b", "g", '{"y"')),
        _calls(_entry(0, "a", "", ":1}")),
        _calls(_entry(0, "b", "", ":2}")),
    ],
    "no index, as Gemini": [
        _calls(_entry(None, "a", "f", '{"x":1}')),
        _calls(_entry(None, "b", "g", '{"y":2}')),
    ],
    "no index, in pieces": [
        _calls(_entry(None, "a", "f", '{"x"')),
        _calls(_entry(None, arguments=":1}")),
        _calls(_entry(None, "b", "g", '{"y"')),
        _calls(_entry(None, arguments=":2}")),
    ],
    "no index, two calls a chunk": [
        _calls(_entry(None, "a", "f", '{"x"'), _entry(None, "b", "g", '{"y"')),
        _calls(_entry(None, arguments=":1}"), _entry(None, arguments=":2}")),
    ],
    "indexes that do not begin at 0": [
        _calls(_entry(3, "a", "f", '{"x":1}')),
        _calls(_entry(7, "b", "g", '{"y":2}')),
    ],
    "id and name in every delta": [
        _calls(_entry(0, "a", "f", '{"x"')),
        _calls(_entry(0, "a", "f", ":1}")),
        _calls(_entry(1, "b", "g", '{"y":2}')),
    ],
    "the name after the id and first arguments": [
        _calls(_entry(0, "a", "", '{"x"')),
        _calls(_entry(0, "", "f", ":1}")),
        _calls(_entry(1, "b", "g", '{"y":2}')),
    ],
    "the id after the index and name": [
        _calls({"index": 0}),
        _calls(_entry(0, "a", "f", '{"x"')),
        _calls(_entry(0, arguments=":1}")),
        _calls(_entry(1, "b", "g", '{"y":2}')),
    ],
    "arguments as an object": [
        _calls(_entry(0, "a", "f", {"x": 1})),
        _calls(_entry(1, "b", "g", {"y": 2})),
    ],
}


@pytest.mark.parametrize("name", _TWO_CALL_STREAMS)
def test_two_calls_are_told_apart(name: str) -> None:
    answer = _answer(*_TWO_CALL_STREAMS[name], _chunk(finish="tool_calls"), DONE)
    assert answer.parts == TWO_CALLS
    assert answer.stop_reason is StopReason.TOOL_USE


def test_calls_without_ids_are_told_apart_by_name_and_given_ids() -> None:
    answer = _answer(
        _calls(_entry(0, "", "f", "{}")), _calls(_entry(0, "", "g", "{}")), _chunk(finish="stop")
    )
    assert answer.parts == (ToolCall("call_r1_0", "f", "{}"), ToolCall("call_r1_1", "g", "{}"))
    assert answer.stop_reason is StopReason.TOOL_USE


def test_a_call_with_no_arguments_has_an_empty_text() -> None:
    assert _answer(_calls(_entry(0, "a", "f")), _chunk(finish="tool_calls")).parts == (
        ToolCall("a", "f", ""),
    )


def test_text_ends_where_a_call_begins_and_may_begin_again() -> None:
    events = _events(
        _chunk({"content": "let me see"}),
        _calls(_entry(0, "a", "f")),
        _chunk({"content": "and"}),
        _calls(_entry(0, arguments="{}")),
        _chunk(finish="tool_calls"),
    )
    assert [event for event in events if not isinstance(event, Start | Finish)] == [
        PartStart(0, Text("")),
        PartDelta(0, "let me see"),
        PartEnd(0),
        PartStart(1, ToolCall("a", "f", "")),
        PartStart(2, Text("")),
        PartDelta(2, "and"),
        PartDelta(1, "{}"),
        PartEnd(2),
        PartEnd(1),
    ]


def test_unknown_fields_of_a_call_stay_with_it() -> None:
    entry = _entry(0, "a", "f", "{}")
    assert isinstance(entry, dict)
    entry["extra_content"] = {"google": {"thought_signature": "s"}}
    answer = _answer(_calls(entry), _calls({"index": 0, "x_late": 1}), _chunk(finish="tool_calls"))
    extras = {"extra_content": {"google": {"thought_signature": "s"}}, "x_late": 1}
    assert answer.parts == (ToolCall("a", "f", "{}", Extras(CHAT, extras)),)


def test_a_custom_call_streams_its_text_as_json() -> None:
    first = {"index": 0, "id": "a", "type": "custom", "custom": {"name": "sh", "input": 'ls "'}}
    answer = _answer(
        _calls(first), _calls({"index": 0, "custom": {"input": 'x"\n'}}), _chunk(finish="tool_calls")
    )
    (call,) = answer.parts
    assert call == ToolCall("a", "sh", '{"input":"ls \\"x\\"\\n"}', Extras(CHAT, {"type": "custom"}))


def test_a_megabyte_of_arguments_arrives_to_the_letter() -> None:
    arguments = json.dumps({"content": "né🙂\\" * 150_000})
    pieces = [arguments[at : at + 4_000] for at in range(0, len(arguments), 4_000)]
    answer = _answer(
        _calls(_entry(0, "a", "f")),
        *(_calls(_entry(0, arguments=piece)) for piece in pieces),
        _chunk(finish="tool_calls"),
    )
    assert len(arguments) > 1_000_000
    assert answer.parts == (ToolCall("a", "f", arguments),)


# --- What the servers add -----------------------------------------------------------------------------


def test_llamacpp_tells_timings_at_the_end() -> None:
    answer = _answer(
        _chunk({"role": "assistant", "content": None}, system_fingerprint="b6881"),
        _chunk({"content": "x"}, system_fingerprint="b6881"),
        _chunk(
            finish="stop",
            system_fingerprint="b6881",
            usage={"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2},
            timings={"predicted_n": 1},
        ),
        DONE,
    )
    assert answer.usage == Usage(input=1, output=1)
    assert answer.extras == Extras(CHAT, {"system_fingerprint": "b6881", "timings": {"predicted_n": 1}})


def test_azure_begins_with_a_chunk_of_no_choices() -> None:
    filtered = {"id": "", "model": "", "created": 0, "choices": [], "prompt_filter_results": [1]}
    start = _events(_frame(filtered), _chunk({"content": "x"}), _chunk(finish="stop"))[0]
    assert start == Start("r1", "m", created=1, extras=Extras(CHAT, {"prompt_filter_results": [1]}))


def test_moonshot_tells_usage_inside_the_choice() -> None:
    choice = {
        "index": 0,
        "delta": {},
        "finish_reason": "stop",
        "usage": {"prompt_tokens": 9, "completion_tokens": 1, "total_tokens": 10, "cached_tokens": 4},
    }
    answer = _answer(_chunk({"content": "x"}), _frame({**HEAD, "choices": [choice]}), DONE)
    assert answer.usage == Usage(input=9, output=1, cache_read=4)


def test_deepseek_tells_cache_hits_in_a_field_of_its_own() -> None:
    usage = {
        "prompt_tokens": 10,
        "completion_tokens": 5,
        "total_tokens": 15,
        "prompt_cache_hit_tokens": 8,
        "prompt_cache_miss_tokens": 2,
        "completion_tokens_details": {"reasoning_tokens": 3},
    }
    answer = _answer(_chunk({"content": "x"}), _chunk(finish="stop", usage=usage), DONE)
    assert answer.usage == Usage(input=10, output=5, cache_read=8, reasoning=3)


def test_logprobs_and_annotations_are_joined_over_the_stream() -> None:
    def with_logprobs(text: str, token: Json) -> bytes:
        choice = {"index": 0, "delta": {"content": text}, "logprobs": {"content": [token], "refusal": None}}
        return _frame({**HEAD, "choices": [choice]})

    answer = _answer(
        with_logprobs("a", 1),
        with_logprobs("b", 2),
        _chunk({"annotations": [{"type": "url_citation"}]}),
        _chunk(finish="stop"),
    )
    assert answer.extras.fields == {
        "choices": [
            {
                "logprobs": {"content": [1, 2], "refusal": None},
                "message": {"annotations": [{"type": "url_citation"}]},
            }
        ]
    }


def test_comments_and_padding_mean_nothing() -> None:
    events = _events(
        b": OPENROUTER PROCESSING\n\n", _chunk({"content": "x"}, obfuscation="aaaa"), _chunk(finish="stop")
    )
    assert fold(events).extras.fields == {}


def test_only_the_first_choice_is_read() -> None:
    other = {"index": 1, "delta": {"content": "other"}, "finish_reason": "stop"}
    answer = _answer(
        _frame({**HEAD, "choices": [other, {"index": 0, "delta": {"content": "x"}}]}),
        _frame({**HEAD, "choices": [other]}),
        _chunk(finish="stop"),
    )
    assert answer.parts == (Text("x"),)


def test_an_empty_finish_reason_finishes_nothing() -> None:
    assert "cut" in str(_failure(_chunk({"content": "x"}, "")))


@pytest.mark.parametrize(
    ("word", "reason", "remembered"),
    [
        ("stop", StopReason.END_TURN, False),
        ("length", StopReason.MAX_TOKENS, False),
        ("content_filter", StopReason.REFUSAL, False),
        ("function_call", StopReason.TOOL_USE, True),
        ("eos", StopReason.OTHER, True),
    ],
)
def test_finish_reasons_have_canonical_words(word: str, reason: StopReason, remembered: bool) -> None:
    finish = _events(_chunk({"content": "x"}), _chunk(finish=word))[-1]
    assert isinstance(finish, Finish)
    assert finish.stop_reason is reason
    assert (finish.extras.fields == {"choices": [{"finish_reason": word}]}) is remembered


# --- Errors inside the stream -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "expected", "status"),
    [
        ({"message": "boom", "type": "server_error"}, UpstreamFailed, None),
        ({"message": "boom", "code": 502}, UpstreamFailed, 502),
        ("boom", UpstreamFailed, None),
        ({"message": "slow down", "code": 429}, UpstreamBusy, 429),
        ({"message": "slow down", "type": "rate_limit_error"}, UpstreamBusy, 429),
        ({"message": "busy", "type": "overloaded_error"}, UpstreamBusy, 503),
        ({"message": "broke", "type": "insufficient_quota"}, UpstreamRefused, 429),
        ({"message": "bad", "type": "invalid_request_error"}, UpstreamRefused, 400),
    ],
)
def test_an_error_inside_the_stream_is_an_error_of_its_class(
    error: Json, expected: type[UpstreamError], status: int | None
) -> None:
    caught = _failure(_chunk({"content": "x"}), _frame({"error": error}))
    assert type(caught) is expected
    assert isinstance(caught, UpstreamError)
    assert (caught.status, caught.target, caught.wire_format) == (status, "", CHAT)
    assert json.loads(caught.body) == {"error": error}


def test_an_error_inside_a_choice_is_an_error_too() -> None:
    """OpenRouter, mid-stream (read 2026-11)."""
    choice = {
        "index": 0,
        "delta": {"content": ""},
        "finish_reason": "error",
        "error": {"code": 502, "message": "gone"},
    }
    assert isinstance(
        _failure(_chunk({"content": "x"}), _frame({**HEAD, "choices": [choice]})), UpstreamFailed
    )


def test_an_overflowing_context_inside_the_stream_is_told_apart() -> None:
    error = {"message": "too much", "type": "exceed_context_size_error", "code": 400}
    caught = _failure(_frame({"error": error}))
    assert isinstance(caught, UpstreamRefused)
    assert caught.is_context_overflow


def test_an_event_named_error_is_an_error_whatever_it_holds() -> None:
    caught = _failure(b'event: error\ndata: {"message": "gone"}\n\n')
    assert isinstance(caught, UpstreamFailed)
    assert "gone" in str(caught)
