"""Canonical values no client sends, which a program may still build: nothing they lose goes unsaid."""

from typing import Any

import pytest

from lynkr.model import (
    Extras,
    Foreign,
    ForeignTool,
    Image,
    ImageSource,
    Json,
    Message,
    Opaque,
    OutputFormat,
    OutputKind,
    Part,
    Reasoning,
    ReasoningOptions,
    Request,
    Response,
    Role,
    StopReason,
    Text,
    ToolCall,
    ToolChoice,
    ToolMode,
    ToolResult,
    ToolSpec,
    Usage,
    WireFormat,
)
from lynkr.model.fold import fold, unfold
from lynkr.testing.laws import (
    _check_honest,
    assert_losses_honest,
    assert_response_losses_honest,
    decode_stream,
)
from lynkr.wire.base import Codec
from lynkr.wire.openai_chat import OpenAIChatCodec

CODEC = OpenAIChatCodec()
CHAT = WireFormat.OPENAI_CHAT
ANTHROPIC = WireFormat.ANTHROPIC_MESSAGES
HI = Message.user("hi")
CALL = ToolCall("c1", "f", "{}")
RESULT = ToolResult("c1", (Text("r"),))
PICTURE = Image(ImageSource.URL, "https://e.org/a.png")


def _ours(**fields: Json) -> Extras:
    return Extras(CHAT, fields)


def test_the_codec_is_a_codec() -> None:
    codec: Codec = CODEC
    assert codec.format is CHAT
    assert codec.stream_media_type == "text/event-stream"


_MESSAGES: dict[str, tuple[Message, ...]] = {
    "parts of other roles": (
        Message(Role.SYSTEM, (Text("s"), PICTURE, CALL, Reasoning("hm"))),
        Message(Role.USER, (Reasoning("hm"), CALL, Text("x"))),
        Message(Role.ASSISTANT, (PICTURE, RESULT, Text("y"))),
    ),
    "no parts": (Message(Role.SYSTEM, ()), Message(Role.USER, ()), Message(Role.ASSISTANT, ())),
    "calls before text before thinking": (Message(Role.ASSISTANT, (CALL, Text("x"), Reasoning("hm"))),),
    "several thoughts": (Message(Role.ASSISTANT, (Reasoning("a"), Reasoning("b"), Reasoning(""))),),
    "thoughts with fields": (
        Message(Role.ASSISTANT, (Reasoning("a", Opaque(CHAT, "s"), extras=_ours(x=1)),)),
    ),
    "an orphaned result with everything": (
        Message(
            Role.USER,
            (
                Text("before"),
                ToolResult("c1", (Text("r", _ours(x=1)), PICTURE), True, _ours(y=1)),
                Text("after"),
            ),
        ),
    ),
    "an orphaned result without content": (Message(Role.USER, (ToolResult("c1", ()),)),),
    "results, then a user message": (Message(Role.ASSISTANT, (CALL,)), Message(Role.USER, (RESULT,)), HI),
    "results, then more results": (
        Message(Role.ASSISTANT, (CALL,)),
        Message(Role.USER, (RESULT,)),
        Message(Role.USER, (RESULT,)),
    ),
    "results alone with fields of the message": (
        Message(Role.ASSISTANT, (CALL,)),
        Message(Role.USER, (RESULT,), _ours(name="n")),
    ),
    "results with images among them": (
        Message(Role.ASSISTANT, (CALL,)),
        Message(
            Role.USER,
            (Text("x"), ToolResult("c1", (PICTURE, Text("r"), PICTURE)), ToolResult("c1", (PICTURE,))),
        ),
    ),
    "results with a system message between": (
        Message(Role.ASSISTANT, (CALL,)),
        Message.system("s"),
        Message(Role.USER, (RESULT,)),
    ),
    "foreign parts that would read back as named ones": (
        Message(
            Role.USER,
            (
                Foreign(CHAT, {"type": "text", "text": "x"}),
                Foreign(CHAT, {"no": "type"}),
                Foreign(CHAT, [1]),
                Foreign(CHAT, {"type": "refusal", "refusal": "x"}),
            ),
        ),
    ),
    "an image among what the model said": (
        Message(Role.ASSISTANT, (Foreign(CHAT, {"type": "image_url", "image_url": {"url": "u"}}),)),
    ),
    "a legacy function message with fields": (
        Message(Role.USER, (Foreign(CHAT, {"role": "function", "name": "f", "content": None}),), _ours(x=1)),
    ),
    "a legacy function message that is not one": (
        Message(Role.USER, (Foreign(CHAT, {"role": "function", "name": "f", "content": 3}),)),
    ),
    "refusals of users": (Message(Role.USER, (Text("x", _ours(type="refusal")),)),),
    "a developer among users": (Message(Role.USER, (Text("x"),), _ours(role="developer")),),
    "a custom call whose arguments are not text": (
        Message(
            Role.ASSISTANT,
            tuple(
                ToolCall(f"c{at}", "f", arguments, _ours(type="custom"))
                for at, arguments in enumerate(("{", "[]", '{"input":1}', '{"input":"x","y":1}'))
            ),
        ),
    ),
    "a thought among the fields": (
        Message(Role.ASSISTANT, (Text("x"),), _ours(reasoning="hm", y=1)),
        Message(Role.ASSISTANT, (Reasoning("hm"),), _ours(reasoning="hm")),
    ),
    "fields that shadow the model's, deeply": (
        Message(Role.ASSISTANT, (ToolCall("c1", "f", "{}", _ours(function={"name": "g", "x": 1})),)),
        Message(Role.ASSISTANT, (ToolCall("c1", "f", "{}", _ours(function=3)),)),
        Message(Role.ASSISTANT, (ToolCall("c1", "f", "{}", _ours(function={})),)),
    ),
    "fields of nobody": (Message(Role.USER, (Text("x"),), Extras(None, {"x": 1})),),
}


@pytest.mark.parametrize("name", _MESSAGES)
def test_losses_of_odd_messages_are_honest(name: str) -> None:
    assert_losses_honest(CODEC, Request("m", _MESSAGES[name]))


_OPTIONS: dict[str, dict[str, Any]] = {
    "a choice of no name": {"tool_choice": ToolChoice(ToolMode.NAMED)},
    "a name without choice": {"tool_choice": ToolChoice(ToolMode.AUTO, "f")},
    "fields on a bare word": {"tool_choice": ToolChoice(ToolMode.REQUIRED, None, _ours(x=1))},
    "a definition of another name": {
        "tools": (ForeignTool("a", _ours(type="custom", custom={"name": "b"})), ForeignTool("c", _ours(x=1)))
    },
    "a tool that goes by its type": {"tools": (ForeignTool("web_search", _ours(type="web_search")),)},
    "a function that claims to be foreign": {
        "tools": (ForeignTool("f", _ours(type="function", function={"name": "f"})),)
    },
    "a schema that is not an object": {"tools": (ToolSpec("f", None, None), ToolSpec("g", None, True))},
    "a remembered spelling with a value": {"max_output_tokens": 5, "extras": _ours(max_tokens=7)},
    "a remembered spelling of nothing": {"extras": _ours(max_tokens=None)},
    "a spelling nobody remembers": {"max_output_tokens": 5, "extras": _ours(max_completion_tokens=None)},
    "an object format with a schema": {
        "output_format": OutputFormat(OutputKind.JSON_OBJECT, {"type": "object"}, "n", True)
    },
    "a schema format with an odd schema": {"output_format": OutputFormat(OutputKind.JSON_SCHEMA, 3, "n")},
    "a format among the fields, beside the model's": {
        "output_format": OutputFormat(OutputKind.JSON_OBJECT),
        "extras": _ours(response_format={"type": "text"}),
    },
    "a named format among the fields": {"extras": _ours(response_format={"type": "json_object"})},
    "a broken format among the fields": {"extras": _ours(response_format=3)},
    "thinking with fields": {"reasoning": ReasoningOptions(effort="low", extras=_ours(x=1))},
    "thinking that says nothing": {"reasoning": ReasoningOptions()},
    "thinking switched off with effort": {"reasoning": ReasoningOptions(False, "high", 5)},
}


@pytest.mark.parametrize("name", _OPTIONS)
def test_losses_of_odd_options_are_honest(name: str) -> None:
    assert_losses_honest(CODEC, Request("m", (HI,), **_OPTIONS[name]))


def _answer(*parts: Part, reason: StopReason = StopReason.END_TURN, **more: Any) -> Response:
    return Response("r", "m", parts, reason, created=1, **more)


_ANSWERS: dict[str, Response] = {
    "images and results": _answer(PICTURE, RESULT, Text("x")),
    "two refusals with fields": _answer(
        Text("a", _ours(type="refusal", x=1)), Text("b", _ours(type="refusal"))
    ),
    "an empty refusal": _answer(Text("", _ours(type="refusal"))),
    "empty text": _answer(Text("")),
    "text with fields": _answer(Text("a", _ours(x=1)), Text("")),
    "a remembered reason of another": _answer(Text("x"), extras=_ours(choices=[{"finish_reason": "length"}])),
    "a remembered reason that is no word": _answer(Text("x"), extras=_ours(choices=[{"finish_reason": 3}])),
    "choices that are no choices": _answer(Text("x"), extras=_ours(choices=3)),
    "usage that is no usage": _answer(Text("x"), extras=_ours(usage=3)),
    "a total that is the sum": _answer(Text("x"), usage=Usage(1, 2), extras=_ours(usage={"total_tokens": 3})),
    "a total that is no number": _answer(
        Text("x"), usage=Usage(1, 2), extras=_ours(usage={"total_tokens": "3"})
    ),
    "fields that shadow the usage's": _answer(
        Text("x"), usage=Usage(1, 2), extras=_ours(usage={"prompt_tokens": 3, "cost": 1})
    ),
    "fields that shadow the message's": _answer(
        Text("x"), extras=_ours(choices=[{"message": {"content": "y", "z": 1}, "index": 4}])
    ),
    "fields that shadow the answer's": _answer(Text("x"), extras=_ours(id="other", x=1)),
    "calls that stop for another reason": _answer(CALL, reason=StopReason.PAUSE),
    "calls that were cut": _answer(CALL, reason=StopReason.MAX_TOKENS),
    "partly known usage": _answer(Text("x"), usage=Usage(output=3, cache_write=1, cache_write_1h=1)),
    "foreign tool calls that are not": _answer(
        Foreign(CHAT, {"tool_calls": [{"function": {"name": "f"}}]}),
        Foreign(CHAT, {"tool_calls": []}),
        Foreign(CHAT, {"tool_calls": [{"id": "c"}], "more": 1}),
    ),
}


@pytest.mark.parametrize("name", _ANSWERS)
def test_losses_of_odd_answers_are_honest(name: str) -> None:
    assert_response_losses_honest(CODEC, _ANSWERS[name])


@pytest.mark.parametrize("name", _ANSWERS)
def test_losses_of_odd_answers_are_honest_when_streamed(name: str) -> None:
    encoder = CODEC.event_encoder()
    data = b"".join(encoder.encode(event) for event in unfold(_ANSWERS[name])) + encoder.close()
    _check_honest(_ANSWERS[name], fold(decode_stream(CODEC, [data])), encoder.losses)


def test_further_choices_are_not_streamed() -> None:
    encoder = CODEC.event_encoder()
    answer = _answer(Text("x"), extras=_ours(choices=[{"logprobs": 1}, {"index": 1}]))
    data = b"".join(encoder.encode(event) for event in unfold(answer)) + encoder.close()
    assert [loss.path for loss in encoder.losses] == ["extras.choices"]
    assert fold(decode_stream(CODEC, [data])).extras == _ours(choices=[{"logprobs": 1}])
