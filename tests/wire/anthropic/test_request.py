"""Requests: what each field means, what is refused and where, and what Claude Code sends."""

import copy
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from anthropic.types import message_create_params
from anthropic.types.beta import message_create_params as beta_message_create_params
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from lynkr.errors import ClientWireError
from lynkr.model import (
    NO_EXTRAS,
    Extras,
    Foreign,
    ForeignTool,
    Image,
    ImageSource,
    Loss,
    Message,
    Opaque,
    OutputFormat,
    OutputKind,
    Reasoning,
    ReasoningOptions,
    Request,
    Role,
    Sampling,
    Text,
    ToolCall,
    ToolChoice,
    ToolMode,
    ToolResult,
    ToolSpec,
    WireFormat,
)
from lynkr.testing.strategies import request_bodies, requests
from lynkr.wire.anthropic import DEFAULT_MAX_TOKENS, AnthropicCodec
from lynkr.wire.json_body import dump, parse_body, parse_value

CODEC = AnthropicCodec()
ANTHROPIC = WireFormat.ANTHROPIC_MESSAGES
OPENAI = WireFormat.OPENAI_CHAT
PLAIN: TypeAdapter[Any] = TypeAdapter(message_create_params.MessageCreateParams)
BETA: TypeAdapter[Any] = TypeAdapter(beta_message_create_params.MessageCreateParams)


def body_of(request: Request) -> dict[str, Any]:
    return dict(parse_body(dump(CODEC.encode_request(request).body)).value)


def with_message(content: Any, role: str = "user") -> dict[str, Any]:
    return {"model": "m", "max_tokens": 5, "messages": [{"role": role, "content": content}]}


def only_part(block: dict[str, Any], role: str = "user") -> Any:
    [part] = CODEC.decode_request(with_message([block], role)).messages[0].parts
    return part


def exhausted(value: Any) -> Any:
    """pydantic checks the SDK's `Iterable` fields only as they are read."""
    if isinstance(value, Mapping):
        return {name: exhausted(child) for name, child in value.items()}
    return (
        [exhausted(child) for child in value]
        if hasattr(value, "__iter__") and not isinstance(value, str)
        else value
    )


# --- Against the official SDK -------------------------------------------------------------------------


@given(requests(ANTHROPIC))
def test_every_emitted_request_has_the_official_types(request: Request) -> None:
    exhausted(BETA.validate_python(body_of(request), strict=True))


@given(requests())
def test_a_translated_request_has_the_official_types_too(request: Request) -> None:
    exhausted(BETA.validate_python(body_of(request), strict=True))


def test_the_official_types_do_refuse_a_wrong_body() -> None:
    with pytest.raises(ValueError, match="role"):
        exhausted(PLAIN.validate_python(with_message("hi", role="tool"), strict=True))


# --- Claude Code --------------------------------------------------------------------------------------

USER_ID = '{"device_id":"d","session_id":"s"}'
CLAUDE_CODE: dict[str, Any] = {
    "model": "claude-opus-5-5",
    "max_tokens": 128000,
    "system": [
        {"type": "text", "text": "x-anthropic-billing-header: cc_version=2.1.330.abc;"},
        {"type": "text", "text": "You are Claude Code.", "cache_control": {"type": "ephemeral", "ttl": "1h"}},
        {"type": "text", "text": "Long.", "cache_control": {"type": "ephemeral", "ttl": "1h"}},
    ],
    "messages": [
        {"role": "user", "content": [{"type": "text", "text": "<system-reminder>r</system-reminder>"}]},
        {
            "role": "system",
            "content": [{"type": "text", "text": "Skills", "cache_control": {"type": "ephemeral"}}],
        },
        {
            "role": "assistant",
            "content": [
                {"type": "thinking", "thinking": "", "signature": "c2ln"},
                {"type": "tool_use", "id": "toolu_1", "name": "Bash", "input": {"timeout": 1.50}},
            ],
        },
        {
            "role": "user",
            "content": [
                {
                    "type": "tool_result",
                    "tool_use_id": "toolu_1",
                    "content": "out",
                    "is_error": False,
                    "cache_control": {"type": "ephemeral"},
                }
            ],
        },
    ],
    "tools": [
        {"name": "Bash", "description": "Run", "input_schema": {"type": "object", "properties": {}}},
        {"name": "Rare", "input_schema": {"type": "object"}, "defer_loading": True},
        {"type": "tool_search_tool_regex_20251119", "name": "tool_search_tool_regex"},
    ],
    "thinking": {"type": "adaptive", "display": "omitted"},
    "output_config": {"effort": "medium", "task_budget": {"type": "tokens", "total": 1}},
    "metadata": {"user_id": USER_ID},
    "context_management": {"edits": [{"type": "clear_thinking_20251015", "keep": "all"}]},
    "stream": True,
}


def test_claude_codes_request_is_understood() -> None:
    request = CODEC.decode_request(CLAUDE_CODE)
    assert [message.role for message in request.messages] == ["system", "user", "system", "assistant", "user"]
    assert [len(message.parts) for message in request.messages] == [3, 1, 1, 2, 1]
    assert request.user == USER_ID
    assert request.stream
    assert request.reasoning == ReasoningOptions(
        effort="medium", extras=Extras(ANTHROPIC, {"type": "adaptive", "display": "omitted"})
    )
    assert isinstance(request.tools[2], ForeignTool)
    assert request.tools[1].extras.of(ANTHROPIC) == {"defer_loading": True}
    assert set(request.extras.of(ANTHROPIC)) == {"context_management", "output_config"}


def test_claude_codes_request_comes_back_field_by_field() -> None:
    expected = copy.deepcopy(CLAUDE_CODE)
    # The normal form: one plain text is a string, `is_error: false` says nothing.
    expected["messages"][0]["content"] = "<system-reminder>r</system-reminder>"
    del expected["messages"][3]["content"][0]["is_error"]
    encoded = CODEC.encode_request(CODEC.decode_request(CLAUDE_CODE))
    assert parse_body(dump(encoded.body)).value == expected
    assert encoded.losses == ()


def test_claude_codes_title_request_asks_for_a_schema() -> None:
    schema = {"type": "object", "properties": {"title": {"type": "string"}}}
    body = {**with_message("hi"), "output_config": {"format": {"type": "json_schema", "schema": schema}}}
    assert CODEC.decode_request(body).output_format == OutputFormat(OutputKind.JSON_SCHEMA, schema)


# --- Decoding -----------------------------------------------------------------------------------------


def test_a_string_and_one_text_block_are_the_same_message() -> None:
    assert CODEC.decode_request(with_message("hi")) == CODEC.decode_request(
        with_message([{"type": "text", "text": "hi"}])
    )


def test_a_system_string_and_one_system_block_are_the_same_prompt() -> None:
    assert CODEC.decode_request({**with_message("hi"), "system": "s"}) == CODEC.decode_request(
        {**with_message("hi"), "system": [{"type": "text", "text": "s"}]}
    )


def test_a_system_message_in_mid_conversation_keeps_its_place_and_fields() -> None:
    body = with_message("hi")
    body["messages"] += [{"role": "system", "content": "later", "clear_at": "next_user_message"}]
    request = CODEC.decode_request(body)
    assert request.messages[1] == Message(
        Role.SYSTEM, (Text("later"),), Extras(ANTHROPIC, {"clear_at": "next_user_message"})
    )
    assert body_of(request)["messages"] == body["messages"]


def test_a_system_message_before_all_others_joins_the_prompt() -> None:
    body = with_message("hi")
    body["messages"].insert(0, {"role": "system", "content": "b"})
    request = CODEC.decode_request({**body, "system": "a"})
    assert request.messages[0] == Message(Role.SYSTEM, (Text("a"), Text("b")))


def test_a_system_message_may_change_the_effort_and_say_nothing() -> None:
    body = with_message("hi")
    body["messages"].append({"role": "system", "output_config": {"effort": "low"}})
    assert body_of(CODEC.decode_request(body))["messages"][1] == body["messages"][1]


def test_count_tokens_bodies_have_no_limit() -> None:
    body = with_message("hi")
    del body["max_tokens"]
    assert CODEC.decode_request(body).max_output_tokens is None


@pytest.mark.parametrize(
    ("block", "role", "part"),
    [
        (
            {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "aGk="}},
            "user",
            Image(ImageSource.BASE64, "aGk=", "image/png"),
        ),
        (
            {"type": "image", "source": {"type": "url", "url": "https://x/y.png", "new": 1}},
            "user",
            Image(ImageSource.URL, "https://x/y.png", None, Extras(ANTHROPIC, {"source": {"new": 1}})),
        ),
        (
            {"type": "image", "source": {"type": "file", "file_id": "f"}},
            "user",
            Foreign(ANTHROPIC, {"type": "image", "source": {"type": "file", "file_id": "f"}}),
        ),
        ({"type": "next_year", "x": [1]}, "user", Foreign(ANTHROPIC, {"type": "next_year", "x": [1]})),
        (
            {"type": "thinking", "thinking": "hm", "signature": "s"},
            "assistant",
            Reasoning("hm", Opaque(ANTHROPIC, "s")),
        ),
        ({"type": "thinking", "thinking": "hm", "signature": ""}, "assistant", Reasoning("hm")),
        (
            {"type": "redacted_thinking", "data": "d"},
            "assistant",
            Reasoning("", Opaque(ANTHROPIC, "d"), redacted=True),
        ),
        ({"type": "tool_result", "tool_use_id": "t"}, "user", ToolResult("t", ())),
        (
            {"type": "tool_result", "tool_use_id": "t", "content": "no", "is_error": True},
            "user",
            ToolResult("t", (Text("no"),), is_error=True),
        ),
    ],
)
def test_each_kind_of_block_has_its_part(block: dict[str, Any], role: str, part: Any) -> None:
    assert only_part(block, role) == part


def test_tool_input_keeps_the_spelling_of_its_numbers() -> None:
    text = '{"a":1e2,"b":0.10,"c":10000000000000000000001.5,"é":"\\u2028"}'
    block = {"type": "tool_use", "id": "t", "name": "n", "input": parse_value(text)}
    assert only_part(block, "assistant").arguments == text.replace("\\u2028", "\u2028")
    encoded = CODEC.encode_request(CODEC.decode_request(with_message([block], "assistant")))
    assert b'"input":{"a":1e2,"b":0.10,"c":10000000000000000000001.5,' in dump(encoded.body)


@pytest.mark.parametrize(
    ("choice", "expected", "parallel"),
    [
        ({"type": "auto"}, ToolChoice(ToolMode.AUTO), None),
        ({"type": "any", "disable_parallel_tool_use": True}, ToolChoice(ToolMode.REQUIRED), False),
        (
            {"type": "tool", "name": "n", "disable_parallel_tool_use": False},
            ToolChoice(ToolMode.NAMED, "n"),
            True,
        ),
        ({"type": "none"}, ToolChoice(ToolMode.NONE), None),
    ],
)
def test_tool_choice_says_which_and_how_many(
    choice: dict[str, Any], expected: ToolChoice, parallel: bool | None
) -> None:
    request = CODEC.decode_request({**with_message("hi"), "tool_choice": choice})
    assert (request.tool_choice, request.parallel_tool_calls) == (expected, parallel)
    assert body_of(request)["tool_choice"] == choice


@pytest.mark.parametrize(
    ("thinking", "expected"),
    [
        ({"type": "enabled", "budget_tokens": 2048}, ReasoningOptions(enabled=True, budget_tokens=2048)),
        ({"type": "disabled"}, ReasoningOptions(enabled=False)),
        ({"type": "between_tools"}, ReasoningOptions(extras=Extras(ANTHROPIC, {"type": "between_tools"}))),
    ],
)
def test_thinking_is_enabled_disabled_or_of_a_kind_of_its_own(
    thinking: dict[str, Any], expected: ReasoningOptions
) -> None:
    request = CODEC.decode_request({**with_message("hi"), "thinking": thinking})
    assert request.reasoning == expected
    assert body_of(request)["thinking"] == thinking


def test_an_output_format_of_an_unknown_kind_survives() -> None:
    config = {"format": {"type": "grammar", "grammar": "x"}, "effort": None}
    request = CODEC.decode_request({**with_message("hi"), "output_config": config})
    assert request.output_format is None
    assert body_of(request)["output_config"] == {"format": config["format"]}


def test_metadata_beside_the_user_survives() -> None:
    body = {**with_message("hi"), "metadata": {"user_id": "u", "team": "t"}}
    request = CODEC.decode_request(body)
    assert request.user == "u"
    assert body_of(request)["metadata"] == body["metadata"]


# --- Refusals -----------------------------------------------------------------------------------------

TEXT = {"type": "text", "text": "t"}
TOOL = {"name": "n", "input_schema": {"type": "object"}}


def assistant(*blocks: Any) -> dict[str, Any]:
    return with_message(list(blocks), "assistant")


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"max_tokens": 1, "messages": []}, "model"),
        ({"model": None, "messages": []}, "model"),
        ({"model": "m"}, "messages"),
        ({"model": "m", "messages": None}, "messages"),
        ({"model": "m", "messages": {}}, "messages"),
        ({"model": "m", "messages": ["hi"]}, "messages[0]"),
        ({"model": "m", "messages": [{"content": "hi"}]}, "messages[0].role"),
        (with_message("hi", "tool"), "messages[0].role"),
        ({"model": "m", "messages": [{"role": "user"}]}, "messages[0].content"),
        (with_message(None), "messages[0].content"),
        (with_message({"type": "text"}), "messages[0].content"),
        (with_message([TEXT, "hi"]), "messages[0].content[1]"),
        (with_message([{"text": "t"}]), "messages[0].content[0].type"),
        (with_message([{"type": 1}]), "messages[0].content[0].type"),
        (with_message([{"type": "text"}]), "messages[0].content[0].text"),
        (with_message([{"type": "text", "text": None}]), "messages[0].content[0].text"),
        (with_message([{"type": "image"}]), "messages[0].content[0].source"),
        (with_message([{"type": "image", "source": {}}]), "messages[0].content[0].source.type"),
        (
            with_message([{"type": "image", "source": {"type": "base64", "data": "x"}}]),
            "messages[0].content[0].source.media_type",
        ),
        (
            with_message([{"type": "image", "source": {"type": "url", "url": 1}}]),
            "messages[0].content[0].source.url",
        ),
        (with_message([{"type": "tool_use"}]), "messages[0].content[0].type"),
        (with_message([{"type": "thinking"}]), "messages[0].content[0].type"),
        (assistant({"type": "tool_result"}), "messages[0].content[0].type"),
        (with_message([{"type": "image"}], "system"), "messages[0].content[0].type"),
        (with_message([{"type": "tool_result"}]), "messages[0].content[0].tool_use_id"),
        (
            with_message([{"type": "tool_result", "tool_use_id": "t", "is_error": 1}]),
            "messages[0].content[0].is_error",
        ),
        (
            with_message([{"type": "tool_result", "tool_use_id": "t", "content": None}]),
            "messages[0].content[0].content",
        ),
        (
            with_message([{"type": "tool_result", "tool_use_id": "t", "content": [TEXT, {"type": "text"}]}]),
            "messages[0].content[0].content[1].text",
        ),
        (assistant({"type": "thinking", "signature": "s"}), "messages[0].content[0].thinking"),
        (assistant({"type": "thinking", "thinking": "t"}), "messages[0].content[0].signature"),
        (assistant({"type": "redacted_thinking"}), "messages[0].content[0].data"),
        (assistant({"type": "tool_use", "id": "i", "name": "n"}), "messages[0].content[0].input"),
        (
            assistant({"type": "tool_use", "id": "i", "name": "n", "input": "{}"}),
            "messages[0].content[0].input",
        ),
        (assistant({"type": "tool_use", "name": "n", "input": {}}), "messages[0].content[0].id"),
        ({**with_message("hi"), "system": None}, "system"),
        ({**with_message("hi"), "system": [{"type": "text"}]}, "system[0].text"),
        ({**with_message("hi"), "system": [{"type": "image"}]}, "system[0].type"),
        ({**with_message("hi"), "max_tokens": None}, "max_tokens"),
        ({**with_message("hi"), "max_tokens": True}, "max_tokens"),
        ({**with_message("hi"), "max_tokens": 1.5}, "max_tokens"),
        ({**with_message("hi"), "max_tokens": -1}, "max_tokens"),
        ({**with_message("hi"), "temperature": "hot"}, "temperature"),
        ({**with_message("hi"), "temperature": True}, "temperature"),
        ({**with_message("hi"), "top_p": None}, "top_p"),
        ({**with_message("hi"), "top_k": 1.0}, "top_k"),
        ({**with_message("hi"), "stop_sequences": "stop"}, "stop_sequences"),
        ({**with_message("hi"), "stop_sequences": ["a", 1]}, "stop_sequences[1]"),
        ({**with_message("hi"), "stream": 1}, "stream"),
        ({**with_message("hi"), "metadata": []}, "metadata"),
        ({**with_message("hi"), "metadata": {"user_id": 1}}, "metadata.user_id"),
        ({**with_message("hi"), "thinking": None}, "thinking"),
        ({**with_message("hi"), "thinking": {}}, "thinking.type"),
        ({**with_message("hi"), "thinking": {"type": "enabled"}}, "thinking.budget_tokens"),
        ({**with_message("hi"), "thinking": {"type": "x", "budget_tokens": "1"}}, "thinking.budget_tokens"),
        ({**with_message("hi"), "output_config": None}, "output_config"),
        ({**with_message("hi"), "output_config": {"effort": 1}}, "output_config.effort"),
        ({**with_message("hi"), "output_config": {"format": {}}}, "output_config.format.type"),
        (
            {**with_message("hi"), "output_config": {"format": {"type": "json_schema"}}},
            "output_config.format.schema",
        ),
        ({**with_message("hi"), "tools": {}}, "tools"),
        ({**with_message("hi"), "tools": [None]}, "tools[0]"),
        ({**with_message("hi"), "tools": [TOOL, {"name": "n"}]}, "tools[1].input_schema"),
        ({**with_message("hi"), "tools": [{"input_schema": {}}]}, "tools[0].name"),
        ({**with_message("hi"), "tools": [{**TOOL, "description": None}]}, "tools[0].description"),
        ({**with_message("hi"), "tools": [{**TOOL, "type": 1}]}, "tools[0].type"),
        ({**with_message("hi"), "tool_choice": "auto"}, "tool_choice"),
        ({**with_message("hi"), "tool_choice": {}}, "tool_choice.type"),
        ({**with_message("hi"), "tool_choice": {"type": "required"}}, "tool_choice.type"),
        ({**with_message("hi"), "tool_choice": {"type": "tool"}}, "tool_choice.name"),
        (
            {**with_message("hi"), "tool_choice": {"type": "any", "disable_parallel_tool_use": 0}},
            "tool_choice.disable_parallel_tool_use",
        ),
    ],
)
def test_what_is_malformed_is_named_by_its_place(body: dict[str, Any], field: str) -> None:
    with pytest.raises(ClientWireError) as caught:
        CODEC.decode_request(body)
    assert caught.value.field == field
    assert str(caught.value).startswith(f"{field}: ")
    assert caught.value.status == 400


def places(node: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Paths of all nodes below *node*."""
    children = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for name, child in children:
        yield (*path, name)
        yield from places(child, (*path, name))


@given(request_bodies(ANTHROPIC), st.data())
def test_no_other_error_ever_escapes_a_damaged_body(body: dict[str, Any], data: st.DataObject) -> None:
    damaged = copy.deepcopy(body)
    *above, last = data.draw(st.sampled_from(list(places(damaged))))
    parent: Any = damaged
    for name in above:
        parent = parent[name]
    wrong = (None, True, 0, -1, 1.5, "", "x", [], [None], {}, {"type": None}, {"type": []}, [[]])
    if data.draw(st.booleans()):
        parent[last] = copy.deepcopy(data.draw(st.sampled_from(wrong)))
    else:
        del parent[last]
    try:
        request = CODEC.decode_request(damaged)
    except ClientWireError:
        return
    # What passes can be sent on.
    dump(CODEC.encode_request(request).body)


# --- Encoding what other dialects say -----------------------------------------------------------------


def losses_of(request: Request) -> dict[str, str]:
    return {loss.path: loss.reason for loss in CODEC.encode_request(request).losses}


def conversation(*messages: Message, **more: Any) -> Request:
    return Request("m", messages, max_output_tokens=5, **more)


def test_a_limit_is_written_where_the_caller_set_none_and_told() -> None:
    encoded = CODEC.encode_request(Request("m", (Message.user("hi"),)))
    assert encoded.body["max_tokens"] == DEFAULT_MAX_TOKENS
    assert [loss.path for loss in encoded.losses] == ["max_output_tokens"]


def test_the_written_limit_leaves_room_for_the_thinking_budget() -> None:
    request = Request("m", (Message.user("hi"),), reasoning=ReasoningOptions(True, None, 30_000))
    assert CODEC.encode_request(request).body["max_tokens"] == 30_000 + DEFAULT_MAX_TOKENS


@pytest.mark.parametrize("arguments", ["{", "[1]", "null", "not json", '{"a":1}{"b":2}', " "])
def test_broken_arguments_go_as_text_and_are_told(arguments: str) -> None:
    request = conversation(Message(Role.ASSISTANT, (ToolCall("t", "n", arguments),)))
    [block] = body_of(request)["messages"][0]["content"]
    assert block["input"] == {"arguments": arguments}
    assert list(losses_of(request)) == ["messages[0].parts[0].arguments"]


def test_empty_arguments_are_an_empty_object() -> None:
    request = conversation(Message(Role.ASSISTANT, (ToolCall("t", "n", ""),)))
    assert body_of(request)["messages"][0]["content"][0]["input"] == {}
    assert losses_of(request) == {}


def test_arguments_go_through_as_they_are_spelled() -> None:
    arguments = '{ "a" : 1e2, "a\\u0062": [ ] }'
    request = conversation(Message(Role.ASSISTANT, (ToolCall("t", "n", arguments),)))
    assert arguments.encode() in dump(CODEC.encode_request(request).body)


@pytest.mark.parametrize(
    "reasoning", [Reasoning("hm"), Reasoning("hm", Opaque(OPENAI, "x")), Reasoning("", Opaque(ANTHROPIC, ""))]
)
def test_thinking_without_anthropics_own_seal_is_not_sent(reasoning: Reasoning) -> None:
    request = conversation(Message(Role.ASSISTANT, (reasoning, Text("answer"))))
    assert body_of(request)["messages"] == [{"role": "assistant", "content": "answer"}]
    assert list(losses_of(request)) == ["messages[0].parts[0]"]


def test_a_message_of_which_nothing_is_left_is_not_sent() -> None:
    request = conversation(Message.user("hi"), Message(Role.ASSISTANT, (Reasoning("hm"),)))
    assert len(body_of(request)["messages"]) == 1
    assert "messages[1]" in losses_of(request)


def test_tool_results_come_first_in_their_message() -> None:
    results = (ToolResult("a", (Text("1"),)), ToolResult("b", (Text("2"),)))
    request = conversation(Message(Role.USER, (Text("so:"), results[0], Text("and"), results[1])))
    kinds = [block.get("tool_use_id", block["type"]) for block in body_of(request)["messages"][0]["content"]]
    assert kinds == ["a", "b", "text", "text"]
    assert list(losses_of(request)) == ["messages[0].parts"]


def test_two_system_messages_become_one_prompt() -> None:
    request = conversation(Message.system("a"), Message.system("b"), Message.user("hi"))
    assert [block["text"] for block in body_of(request)["system"]] == ["a", "b"]
    assert list(losses_of(request)) == ["messages[1]"]


def test_an_id_anthropic_would_refuse_is_respelled_in_call_and_result_alike() -> None:
    call, result = ToolCall("functions.get:0", "get", "{}"), ToolResult("functions.get:0", ())
    body = body_of(conversation(Message(Role.ASSISTANT, (call,)), Message(Role.USER, (result,))))
    assert body["messages"][0]["content"][0]["id"] == "functions_2e_get_3a_0"
    assert body["messages"][1]["content"][0]["tool_use_id"] == "functions_2e_get_3a_0"


def test_empty_texts_beside_others_are_not_sent() -> None:
    request = conversation(Message(Role.USER, (Text(""), Text("hi"))))
    assert body_of(request)["messages"][0]["content"] == "hi"
    assert list(losses_of(request)) == ["messages[0].parts[0]"]


@pytest.mark.parametrize(
    ("schema", "sent"),
    [
        (None, {"type": "object", "properties": {}}),
        ({"properties": {}}, {"type": "object", "properties": {}}),
    ],
)
def test_a_tools_schema_says_that_it_is_an_object(schema: Any, sent: Any) -> None:
    request = conversation(Message.user("hi"), tools=(ToolSpec("n", None, schema),))
    assert body_of(request)["tools"] == [{"name": "n", "input_schema": sent}]
    assert list(losses_of(request)) == ["tools[0].input_schema"]


@pytest.mark.parametrize(
    ("options", "fields", "path"),
    [
        (ReasoningOptions(effort="high"), {"output_config": {"effort": "high"}}, None),
        (ReasoningOptions(effort="minimal"), {"output_config": {"effort": "low"}}, "reasoning.effort"),
        (ReasoningOptions(effort="none"), {"thinking": {"type": "disabled"}}, "reasoning"),
        (ReasoningOptions(enabled=True), {"thinking": {"type": "adaptive"}}, "reasoning"),
        (
            ReasoningOptions(budget_tokens=2000),
            {"thinking": {"type": "enabled", "budget_tokens": 2000}},
            "reasoning.enabled",
        ),
        (
            ReasoningOptions(enabled=False, budget_tokens=1),
            {"thinking": {"type": "disabled"}},
            "reasoning.budget_tokens",
        ),
        (ReasoningOptions(), {}, "reasoning"),
    ],
)
def test_reasoning_options_find_their_nearest_form(
    options: ReasoningOptions, fields: dict[str, Any], path: str | None
) -> None:
    request = conversation(Message.user("hi"), reasoning=options)
    body = body_of(request)
    assert {name: body[name] for name in ("thinking", "output_config") if name in body} == fields
    assert list(losses_of(request)) == ([path] if path else [])


@pytest.mark.parametrize(
    ("more", "path"),
    [
        ({"sampling": Sampling(seed=1)}, "sampling.seed"),
        ({"sampling": Sampling(temperature=1.7)}, "sampling.temperature"),
        ({"output_format": OutputFormat(OutputKind.JSON_OBJECT)}, "output_format"),
        ({"output_format": OutputFormat(OutputKind.JSON_SCHEMA, {}, "n")}, "output_format.name"),
        ({"parallel_tool_calls": False}, "parallel_tool_calls"),
        (
            {"parallel_tool_calls": False, "tools": (ToolSpec("n", None, {"type": "object"}),)},
            "tool_choice",
        ),
        (
            {"parallel_tool_calls": True, "tool_choice": ToolChoice(ToolMode.NONE)},
            "parallel_tool_calls",
        ),
        ({"tools": (ForeignTool("x", Extras(OPENAI, {"type": "custom"})),)}, "tools[0]"),
        ({"extras": Extras(OPENAI, {"logprobs": True})}, "extras.logprobs"),
    ],
)
def test_what_anthropic_cannot_say_is_told(more: dict[str, Any], path: str) -> None:
    assert list(losses_of(conversation(Message.user("hi"), **more))) == [path]


def test_parallel_calls_are_forbidden_inside_the_default_choice() -> None:
    request = conversation(
        Message.user("hi"), tools=(ToolSpec("n", None, {"type": "object"}),), parallel_tool_calls=False
    )
    assert body_of(request)["tool_choice"] == {"type": "auto", "disable_parallel_tool_use": True}


@pytest.mark.parametrize(
    ("value", "media_type"),
    [("/9j/4AA", "image/jpeg"), ("R0lGOD", "image/gif"), ("UklGRg", "image/webp"), ("iVBO", "image/png")],
)
def test_an_image_of_unknown_type_is_known_by_its_first_bytes(value: str, media_type: str) -> None:
    request = conversation(Message(Role.USER, (Image(ImageSource.BASE64, value),)))
    assert body_of(request)["messages"][0]["content"][0]["source"]["media_type"] == media_type
    assert list(losses_of(request)) == ["messages[0].parts[0].media_type"]


@pytest.mark.parametrize(
    ("role", "part"),
    [
        (Role.USER, ToolCall("t", "n", "{}")),
        (Role.USER, Reasoning("hm", Opaque(ANTHROPIC, "s"))),
        (Role.ASSISTANT, ToolResult("t", ())),
        (Role.SYSTEM, Image(ImageSource.URL, "https://x")),
        (Role.USER, Foreign(OPENAI, {"type": "input_audio"})),
    ],
)
def test_a_part_without_a_place_is_dropped_and_told(role: Role, part: Any) -> None:
    request = conversation(Message.user("hi"), Message(role, (part, Text("t"))))
    assert body_of(request)["messages"][1]["content"] == "t"
    assert [loss.path for loss in CODEC.encode_request(request).losses] == ["messages[1].parts[0]"]


def test_a_loss_names_the_field_and_its_owner() -> None:
    message = Message(Role.USER, (Text("hi", Extras(OPENAI, {"x": 1})),))
    assert CODEC.encode_request(conversation(message)).losses == (
        Loss("messages[0].parts[0].extras.x", "a field of openai_chat, which Anthropic has no name for"),
    )
    assert CODEC.decode_request(body_of(conversation(message))).messages[0].parts[0].extras is NO_EXTRAS
