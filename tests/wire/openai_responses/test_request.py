"""Requests: what each body means, where its parts go, what is refused."""

import attrs
import pytest

from lynkr.errors import ClientWireError
from lynkr.model import (
    Extras,
    Foreign,
    ForeignTool,
    Message,
    Opaque,
    OutputKind,
    Reasoning,
    Request,
    Role,
    Text,
    ToolCall,
    ToolMode,
    ToolResult,
    ToolSpec,
    Usage,
    WireFormat,
    unfold,
)
from lynkr.testing.laws import assert_body_law, assert_response_round_trip, assert_stream_round_trip
from lynkr.wire import freeform
from lynkr.wire.anthropic import AnthropicCodec
from lynkr.wire.json_body import dump, parse_body
from lynkr.wire.openai_chat import OpenAIChatCodec
from lynkr.wire.openai_responses import OpenAIResponsesCodec

CODEC = OpenAIResponsesCodec()
RESPONSES = WireFormat.OPENAI_RESPONSES


def read(*items, **fields) -> Request:
    body = {"model": "m", "input": list(items), **fields}
    assert_body_law(CODEC, body)
    return CODEC.decode_request(body)


def user(text="hi"):
    return {"role": "user", "content": text}


# --- Messages -----------------------------------------------------------------------------------------


def test_a_bare_string_is_a_users_message():
    assert CODEC.decode_request({"model": "m", "input": "hi"}).messages == (Message.user("hi"),)


def test_instructions_are_the_plain_system_message_at_the_head():
    request = read(user(), instructions="Be brief.")
    assert request.messages == (Message.system("Be brief."), Message.user("hi"))
    assert CODEC.encode_request(request).body["instructions"] == "Be brief."


@pytest.mark.parametrize("role", ["system", "developer"])
def test_a_system_item_stays_an_item(role):
    request = read({"role": role, "content": "Be brief."}, user())
    body = CODEC.encode_request(request).body
    assert "instructions" not in body
    assert body["input"][0]["role"] == role


def test_a_turn_of_the_assistant_is_one_message():
    request = read(
        user(),
        {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "gAAA="},
        {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "a"}]},
        {"type": "function_call", "call_id": "c1", "name": "f", "arguments": '{"n":1e2}'},
        {"type": "function_call", "call_id": "c2", "name": "f", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "c1", "output": "one"},
        {"type": "function_call_output", "call_id": "c2", "output": [{"type": "input_text", "text": "two"}]},
        user("go on"),
    )
    asked, turn, results = request.messages
    assert asked == Message.user("hi")
    assert turn.parts == (
        Reasoning("", Opaque(RESPONSES, "gAAA="), redacted=True, extras=Extras(RESPONSES, {"id": "rs_1"})),
        Text("a"),
        ToolCall("c1", "f", '{"n":1e2}'),
        ToolCall("c2", "f", "{}"),
    )
    assert results.parts == (
        ToolResult("c1", (Text("one"),)),
        ToolResult("c2", (Text("two"),)),
        Text("go on"),
    )


def test_two_messages_of_one_turn_stay_two():
    said = [
        {"type": "message", "id": "msg_1", "role": "assistant", "phase": "commentary", "content": [
            {"type": "output_text", "text": "a", "annotations": []},
            {"type": "refusal", "refusal": "b"},
        ]},
        {"type": "message", "id": "msg_2", "role": "assistant", "phase": "final_answer", "content": [
            {"type": "output_text", "text": "c", "annotations": []},
        ]},
        {"role": "assistant", "content": "d"},
    ]  # fmt: skip
    request = read(user(), *said, user())
    body = CODEC.encode_request(request).body
    written = [item for item in body["input"] if item["role"] == "assistant"]
    assert [item.get("phase") for item in written] == ["commentary", "final_answer", None]
    assert [len(item["content"]) for item in written[:2]] == [2, 1]
    assert request.messages[1].parts[1] == Text("b", Extras(RESPONSES, {"type": "refusal"}))


def test_sealed_reasoning_goes_back_bit_for_bit():
    seal = "gAAAAABo+/=" * 400
    item = {
        "type": "reasoning",
        "id": "rs_1",
        "summary": [{"type": "summary_text", "text": "a"}, {"type": "summary_text", "text": "\n\n"}],
        "encrypted_content": seal,
    }
    request = read(user(), item, user())
    assert CODEC.encode_request(request).body["input"][1] == item


@pytest.mark.parametrize("content", [None, [], [""], ["b"], ["b", "c"]])
@pytest.mark.parametrize("summary", [[], [""], ["", ""], ["a"], ["a", ""], ["", "a"]])
def test_any_mixture_of_summary_and_raw_thinking_survives(summary, content):
    item = {"type": "reasoning", "id": "rs_1"}
    item["summary"] = [{"type": "summary_text", "text": text} for text in summary]
    if content is not None:
        item["content"] = [{"type": "reasoning_text", "text": text} for text in content]
    request = read(user(), item, user())
    answer = CODEC.decode_response({"id": "resp_1", "model": "m", "created_at": 1, "output": [item]})
    assert request.messages[1].parts == answer.parts
    assert_response_round_trip(CODEC, attrs.evolve(answer, usage=Usage(1, 1, 0, 0, None, 0)))
    assert_stream_round_trip(CODEC, unfold(answer))


def test_a_thought_of_another_provider_is_not_shown_to_this_one():
    thought = Reasoning("hm", Opaque(WireFormat.ANTHROPIC_MESSAGES, "sig"))
    request = Request(
        "m", (Message.user("hi"), Message(Role.ASSISTANT, (thought, Text("a"))), Message.user("x"))
    )
    encoded = CODEC.encode_request(request)
    assert [item["type"] for item in encoded.body["input"]] == ["message"] * 3
    assert [loss.path for loss in encoded.losses] == ["messages[1].parts[0]"]


def test_ids_that_lynkr_gave_mean_nothing():
    request = read(user(), {"type": "message", "id": "msg_lynkr_x_0", "role": "assistant", "content": "a"})
    assert request.messages[1].parts == (Text("a"),)


def test_items_of_unknown_kinds_come_back_verbatim():
    items = (
        {"type": "web_search_call", "id": "ws_1", "status": "completed"},
        {"type": "computer_call", "id": "cc_1", "call_id": "c9"},
        {"type": "computer_call_output", "call_id": "c9", "output": {"type": "computer_screenshot"}},
        {"type": "item_reference", "id": "msg_1"},
    )
    request = read(user(), *items, user())
    assert [i for i in CODEC.encode_request(request).body["input"] if i["type"] != "message"] == list(items)
    assert sum(isinstance(part, Foreign) for message in request.messages for part in message.parts) == 4


def test_a_local_shells_output_answers_its_call():
    read(
        user(),
        {"type": "local_shell_call", "id": "l", "call_id": "c1", "action": {}, "status": "completed"},
        {"type": "function_call_output", "call_id": "c1", "output": "ok"},
    )


def test_fields_codex_adds_survive():
    request = read(
        {"type": "message", "role": "user", "id": "m1", "content": [{"type": "input_text", "text": "x"}]},
        client_metadata={"k": "v"},
        store=False,
        include=["reasoning.encrypted_content"],
        prompt_cache_key="p",
    )
    body = CODEC.encode_request(request).body
    assert body["input"][0]["id"] == "m1"
    assert body["client_metadata"] == {"k": "v"}
    assert (body["store"], body["include"], body["prompt_cache_key"]) == (
        False,
        ["reasoning.encrypted_content"],
        "p",
    )


# --- Tools --------------------------------------------------------------------------------------------

GRAMMAR = {"type": "grammar", "syntax": "lark", "definition": 'start: "a"'}


def test_a_custom_tool_is_a_function_of_one_text_to_everybody_else():
    tool = {"type": "custom", "name": "apply_patch", "description": "d", "format": GRAMMAR}
    call = {"type": "custom_tool_call", "call_id": "c1", "name": "apply_patch", "input": 'a"\n'}
    output = {"type": "custom_tool_call_output", "call_id": "c1", "output": "ok"}
    request = read(user(), call, output, tools=[tool])
    (spec,) = request.tools
    assert isinstance(spec, ToolSpec)
    assert spec.input_schema == freeform.input_schema(GRAMMAR)
    for codec in (OpenAIChatCodec(), AnthropicCodec()):
        body = parse_body(dump(codec.encode_request(request).body)).value
        again = codec.decode_request({"max_tokens": 9, **body})
        (back,) = (p for m in again.messages for p in m.parts if isinstance(p, ToolCall))
        assert (back.name, freeform.unwrapped(back.arguments)) == ("apply_patch", 'a"\n')
    own = CODEC.encode_request(request).body
    assert own["tools"] == [tool]
    assert own["input"][1:] == [call, output]


def test_a_namespaces_tools_stand_flat():
    inner = {"type": "function", "name": "f", "parameters": {"type": "object"}, "strict": False}
    space = {"type": "namespace", "name": "crm", "description": "d", "tools": [inner, {**inner, "name": "g"}]}
    call = {"type": "function_call", "call_id": "c1", "namespace": "crm", "name": "f", "arguments": "{}"}
    output = {"type": "function_call_output", "call_id": "c1", "output": "ok"}
    request = read(user(), call, output, tools=[space])
    assert [tool.name for tool in request.tools] == ["crm__f", "crm__g"]
    assert request.messages[1].parts[0].name == "crm__f"
    body = CODEC.encode_request(request).body
    assert body["tools"] == [space]
    assert body["input"][1] == call


def test_hosted_tools_are_foreign():
    request = read(user(), tools=[{"type": "web_search", "filters": {}}], tool_choice={"type": "web_search"})
    assert request.tools == (
        ForeignTool("web_search", Extras(RESPONSES, {"type": "web_search", "filters": {}})),
    )
    assert request.tool_choice is None
    assert CODEC.encode_request(request).body["tool_choice"] == {"type": "web_search"}
    assert "extras.tool_choice" in {loss.path for loss in OpenAIChatCodec().encode_request(request).losses}


@pytest.mark.parametrize(
    ("choice", "mode", "name"),
    [
        ("auto", ToolMode.AUTO, None),
        ("none", ToolMode.NONE, None),
        ("required", ToolMode.REQUIRED, None),
        ({"type": "function", "name": "f"}, ToolMode.NAMED, "f"),
        ({"type": "custom", "name": "f"}, ToolMode.NAMED, "f"),
        ({"type": "allowed_tools", "mode": "auto", "tools": []}, ToolMode.AUTO, None),
    ],
)
def test_tool_choice(choice, mode, name):
    request = read(user(), tools=[{"type": "function", "name": "f", "parameters": None}], tool_choice=choice)
    assert request.tool_choice is not None
    assert (request.tool_choice.mode, request.tool_choice.name) == (mode, name)
    assert CODEC.encode_request(request).body["tool_choice"] == choice


# --- Options ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("asked", "sent"), [(1, 16), (15, 16), (16, 16), (17, 17)])
def test_a_limit_that_openai_refuses_is_raised_to_the_least_it_takes(asked, sent):
    """Claude Code asks for one token to see whether its quota is used up."""
    encoded = CODEC.encode_request(attrs.evolve(read(user()), max_output_tokens=asked))
    assert encoded.body["max_output_tokens"] == sent
    assert [loss.path for loss in encoded.losses] == ([] if asked == sent else ["max_output_tokens"])


def test_options_have_canonical_names():
    schema = {"type": "json_schema", "name": "n", "schema": {"type": "object"}, "strict": True}
    request = read(
        user(),
        max_output_tokens=64,
        reasoning={"effort": "high", "summary": "auto"},
        text={"format": schema, "verbosity": "low"},
        parallel_tool_calls=False,
        user="u",
        safety_identifier="s",
    )
    assert request.max_output_tokens == 64
    assert request.reasoning is not None
    assert (request.reasoning.effort, request.user, request.parallel_tool_calls) == ("high", "u", False)
    assert request.output_format is not None
    assert request.output_format.kind is OutputKind.JSON_SCHEMA
    assert CODEC.encode_request(request).body["text"] == {"format": schema, "verbosity": "low"}


# --- What is refused ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"input": "x"}, "model"),
        ({"model": "m"}, "input"),
        ({"model": "m", "input": 7}, "input"),
        ({"model": "m", "input": []}, "input"),
        ({"model": "m", "input": ["x"]}, "input[0]"),
        ({"model": "m", "input": [{}]}, "input[0].type"),
        ({"model": "m", "input": [{"role": "critic", "content": "x"}]}, "input[0].role"),
        ({"model": "m", "input": [{"role": "user"}]}, "input[0].content"),
        ({"model": "m", "input": [{"role": "user", "content": [{"text": "x"}]}]}, "input[0].content[0].type"),
        (
            {"model": "m", "input": [{"role": "user", "content": [{"type": "input_text"}]}]},
            "input[0].content[0].text",
        ),
        (
            {"model": "m", "input": [{"type": "function_call", "name": "f", "arguments": "{}"}]},
            "input[0].call_id",
        ),
        (
            {"model": "m", "input": [{"type": "function_call_output", "call_id": "c", "output": "x"}]},
            "input[0].call_id",
        ),
        ({"model": "m", "input": [{"type": "reasoning", "summary": 3}]}, "input[0].summary"),
        ({"model": "m", "input": "x", "tools": [{"type": "function"}]}, "tools[0].name"),
        (
            {"model": "m", "input": "x", "tools": [{"type": "namespace", "name": "n", "tools": [7]}]},
            "tools[0].tools[0]",
        ),
        ({"model": "m", "input": "x", "tool_choice": "any"}, "tool_choice"),
        ({"model": "m", "input": "x", "tool_choice": {"type": "function"}}, "tool_choice.name"),
        ({"model": "m", "input": "x", "text": {"format": {"type": "json_schema"}}}, "text.format.schema"),
        ({"model": "m", "input": "x", "reasoning": "high"}, "reasoning"),
        ({"model": "m", "input": "x", "store": "no"}, "store"),
        ({"model": "m", "input": "x", "previous_response_id": 1}, "previous_response_id"),
        ({"model": "m", "input": "x", "stream": "yes"}, "stream"),
        ({"model": "m", "input": "x", "max_output_tokens": 1.5}, "max_output_tokens"),
    ],
)
def test_a_malformed_body_is_refused_by_the_name_of_its_field(body, field):
    with pytest.raises(ClientWireError) as caught:
        CODEC.decode_request(body)
    assert caught.value.field == field
    assert caught.value.status == 400
