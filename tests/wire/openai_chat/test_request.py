"""Requests by example: what each field becomes, and what each malformed one is called."""

import json
from typing import Any

import pytest

from lynkr.errors import ClientWireError
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
from lynkr.wire.openai_chat import OpenAIChatCodec

CODEC = OpenAIChatCodec()
CHAT = WireFormat.OPENAI_CHAT
ANTHROPIC = WireFormat.ANTHROPIC_MESSAGES

CALL = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
CALLER: dict[str, Json] = {"role": "assistant", "content": None, "tool_calls": [CALL]}
USER: dict[str, Json] = {"role": "user", "content": "hi"}


def _body(*messages: Json, **fields: Json) -> dict[str, Json]:
    return {"model": "m", "messages": [*messages] or [USER], **fields}


def _decoded(*messages: Json, **fields: Json) -> Request:
    return CODEC.decode_request(_body(*messages, **fields))


def _messages(*messages: Json) -> tuple[Message, ...]:
    return _decoded(*messages).messages


def _written(*messages: Message, **fields: Any) -> list[Any]:
    return list(CODEC.encode_request(Request("m", messages, **fields)).body["messages"])  # type: ignore[arg-type]  # reason: our own body


def _losses(*messages: Message, **fields: Any) -> list[str]:
    return [loss.path for loss in CODEC.encode_request(Request("m", messages, **fields)).losses]


def _ours(**fields: Json) -> Extras:
    return Extras(CHAT, fields)


def _called(*parts: Part) -> tuple[Message, Message]:
    return Message(Role.ASSISTANT, (ToolCall("c1", "f", "{}"), ToolCall("c2", "f", "{}"))), Message(
        Role.USER, parts
    )


# --- Messages -----------------------------------------------------------------------------------------


def test_a_string_and_one_text_part_are_the_same_value() -> None:
    as_part = {"role": "user", "content": [{"type": "text", "text": "hi"}]}
    assert _messages(USER) == _messages(as_part) == (Message.user("hi"),)


@pytest.mark.parametrize("content", ["", []])
def test_empty_content_is_no_parts(content: Json) -> None:
    assert _messages({"role": "user", "content": content}) == (Message(Role.USER, ()),)


def test_a_text_part_that_is_empty_stays_a_part() -> None:
    message = Message(Role.USER, (Text(""),))
    assert _messages(*_written(message)) == (message,)


def test_null_content_with_tool_calls_is_calls_alone_and_goes_back_as_null() -> None:
    (message,) = _messages(CALLER)
    assert message == Message(Role.ASSISTANT, (ToolCall("c1", "f", "{}"),))
    assert _written(message) == [CALLER]


def test_developer_messages_are_system_messages_that_remember_their_role() -> None:
    developer = {"role": "developer", "content": "be brief", "name": "ops"}
    (message,) = _messages(developer)
    assert message == Message(Role.SYSTEM, (Text("be brief"),), _ours(role="developer", name="ops"))
    assert _written(message) == [developer]


def test_tool_messages_and_the_user_message_after_them_are_one_message() -> None:
    wire = [
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [CALL, {**CALL, "id": "c2"}],
        },
        {"role": "tool", "tool_call_id": "c1", "content": "one"},
        {"role": "tool", "tool_call_id": "c2", "content": "two", "name": "f"},
        {"role": "user", "content": "and now?", "name": "alice"},
    ]
    answered = _messages(*wire)[1]
    results = ToolResult("c1", (Text("one"),)), ToolResult("c2", (Text("two"),), extras=_ours(name="f"))
    assert answered == Message(Role.USER, (*results, Text("and now?")), _ours(name="alice"))
    assert _written(*_messages(*wire)) == wire


def test_tool_messages_before_another_role_stay_a_message_of_their_own() -> None:
    found = _messages(CALLER, {"role": "tool", "tool_call_id": "c1", "content": "r"}, CALLER)
    assert found[1] == Message(Role.USER, (ToolResult("c1", (Text("r"),)),))
    assert [message.role for message in found] == [Role.ASSISTANT, Role.USER, Role.ASSISTANT]


def test_a_user_message_after_one_of_results_alone_reads_back_merged_and_says_so() -> None:
    call, results = _called(ToolResult("c1", (Text("r"),)))
    assert _losses(call, results, Message.user("x")) == ["messages"]


def test_tool_results_are_written_before_what_was_said_and_that_is_a_loss() -> None:
    call, mixed = _called(Text("x"), ToolResult("c1", (Text("r"),)))
    assert [node["role"] for node in _written(call, mixed)] == ["assistant", "tool", "user"]
    assert _losses(call, mixed) == ["messages[1].parts"]


def test_a_failed_tool_result_loses_its_mark() -> None:
    call, failed = _called(ToolResult("c1", (Text("r"),), is_error=True))
    assert _losses(call, failed) == ["messages[1].parts[0].is_error"]


def test_images_of_tool_results_follow_in_a_user_message() -> None:
    picture = Image(ImageSource.BASE64, "AAAA", "image/png")
    call, seen = _called(ToolResult("c1", (Text("screenshot"), picture)), Text("what is it?"))
    _, tool, user = _written(call, seen)
    assert tool == {"role": "tool", "tool_call_id": "c1", "content": "screenshot"}
    assert [part["type"] for part in user["content"]] == ["image_url", "text"]
    assert _losses(call, seen) == ["messages[1].parts"]


def test_images_a_client_puts_in_tool_messages_are_read() -> None:
    content = [{"type": "image_url", "image_url": {"url": "https://e.org/a.png"}}]
    found = _messages(CALLER, {"role": "tool", "tool_call_id": "c1", "content": content})
    assert found[1].parts == (ToolResult("c1", (Image(ImageSource.URL, "https://e.org/a.png"),)),)


def test_a_result_without_its_call_is_kept_as_content() -> None:
    orphan = Message(Role.USER, (ToolResult("c1", (Text("r"),)),))
    assert _written(orphan) == [{"role": "user", "content": "r"}]
    assert _losses(orphan) == ["messages[0].parts"]


def test_the_legacy_function_role_goes_back_as_it_came() -> None:
    legacy = {"role": "function", "name": "f", "content": "r"}
    assert _messages(USER, legacy)[1] == Message(Role.USER, (Foreign(CHAT, legacy),))
    assert _written(*_messages(USER, legacy)) == [USER, legacy]


@pytest.mark.parametrize("spelling", ["reasoning_content", "reasoning"])
def test_thinking_in_the_history_is_read_under_both_spellings(spelling: str) -> None:
    found = _messages({"role": "assistant", "content": "4", spelling: "2+2"})
    assert found == (Message(Role.ASSISTANT, (Reasoning("2+2"), Text("4"))),)
    assert _written(*found) == [{"role": "assistant", "content": "4", "reasoning_content": "2+2"}]


def test_seals_and_redacted_thoughts_do_not_travel() -> None:
    seal = Opaque(ANTHROPIC, "s")
    message = Message(Role.ASSISTANT, (Reasoning("", seal, redacted=True), Reasoning("x", seal), Text("y")))
    assert _written(message) == [{"role": "assistant", "content": "y", "reasoning_content": "x"}]
    assert _losses(message) == ["messages[0].parts[0]", "messages[0].parts[1].seal"]


def test_a_second_spelling_of_thinking_that_differs_is_kept_beside_the_first() -> None:
    wire = {"role": "assistant", "content": "4", "reasoning_content": "2+2", "reasoning": "two and two"}
    (message,) = _messages(wire)
    assert message.extras == _ours(reasoning="two and two")
    assert _written(message) == [wire]


def test_refusals_are_text_that_remembers_being_one() -> None:
    declined = Text("no", _ours(type="refusal"))
    assert _messages({"role": "assistant", "content": None, "refusal": "no"})[0].parts == (declined,)
    as_part = {"role": "assistant", "content": [{"type": "refusal", "refusal": "no"}]}
    assert _messages(as_part)[0].parts == (declined,)
    assert _written(*_messages(as_part)) == [as_part]


def test_custom_tool_calls_carry_their_text_as_json_and_go_back_as_text() -> None:
    call = {"id": "c1", "type": "custom", "custom": {"name": "sh", "input": 'ls "x"\n'}}
    wire = {"role": "assistant", "content": None, "tool_calls": [call]}
    (message,) = _messages(wire)
    assert message.parts == (ToolCall("c1", "sh", '{"input":"ls \\"x\\"\\n"}', _ours(type="custom")),)
    assert _written(message) == [wire]


def test_unknown_fields_come_back_at_every_depth() -> None:
    wire: list[dict[str, Any]] = [
        {"role": "system", "content": "s", "name": "n"},
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "t", "prompt_cache_breakpoint": {"mode": "explicit"}},
                {
                    "type": "image_url",
                    "image_url": {"url": "data:image/png;base64,AAAA", "detail": "low"},
                    "x": 1,
                },
                {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}},
                {"type": "next_year", "thing": [1, {"y": None}]},
            ],
        },
        {
            "role": "assistant",
            "content": "a",
            "audio": {"id": "audio_1"},
            "tool_calls": [
                {
                    **CALL,
                    "extra_content": {"google": {"thought_signature": "s"}},
                    "function": {"name": "f", "arguments": "{}", "y": 2},
                }
            ],
        },
        {"role": "tool", "tool_call_id": "c1", "content": [{"type": "text", "text": "r", "z": 3}]},
    ]
    tools = [
        {
            "type": "function",
            "cache": 1,
            "function": {"name": "f", "description": "d", "parameters": {"type": "object"}, "strict": True},
        },
        {"type": "web_search_preview", "user_location": {"city": "Graz"}},
    ]
    body = _body(
        *wire,
        tools=tools,
        n=2,
        logprobs=True,
        metadata={"k": "v"},
        store=None,
        top_k=40,
        response_format={"type": "grammar", "grammar": "root ::= x"},
    )
    encoded = CODEC.encode_request(CODEC.decode_request(body))
    assert json.loads(json.dumps(encoded.body)) == body
    assert encoded.losses == ()


def test_extras_never_replace_what_the_model_says() -> None:
    message = Message(Role.USER, (Text("x", _ours(text="y")),), _ours(content="z", name="n"))
    assert _written(message, extras=_ours(model="other")) == [{"role": "user", "content": "x", "name": "n"}]
    assert _losses(message, extras=_ours(model="other")) == [
        "messages[0].parts[0].extras.text",
        "messages[0].extras.content",
        "extras.model",
    ]


def test_fields_of_another_dialect_are_losses_by_name() -> None:
    marked = Message(Role.USER, (Text("x", Extras(ANTHROPIC, {"cache_control": {"type": "ephemeral"}})),))
    assert _written(marked) == [{"role": "user", "content": "x"}]
    assert _losses(marked) == ["messages[0].parts[0].extras.cache_control"]


@pytest.mark.parametrize(
    ("image", "losses"),
    [
        (Image(ImageSource.BASE64, "AAAA", "image/png"), []),
        (Image(ImageSource.URL, "https://e.org/a.png"), []),
        (Image(ImageSource.URL, "data:text/plain,hello"), []),
        (Image(ImageSource.BASE64, "AAAA"), ["media_type"]),
        (Image(ImageSource.URL, "https://e.org/a.png", "image/png"), ["media_type"]),
        (Image(ImageSource.URL, "data:image/png;base64,AAAA"), ["source", "value", "media_type"]),
    ],
)
def test_images_travel_as_urls(image: Image, losses: list[str]) -> None:
    message = Message(Role.USER, (image,))
    assert _losses(message) == [f"messages[0].parts[0].{name}" for name in losses]
    if not losses:
        assert _messages(*_written(message)) == (message,)


# --- Options ------------------------------------------------------------------------------------------


def test_options_have_their_canonical_places() -> None:
    request = _decoded(
        temperature=0,
        top_p=0.5,
        seed=7,
        stop="END",
        user="u",
        stream=True,
        parallel_tool_calls=False,
        max_completion_tokens=9,
        reasoning_effort="high",
        tool_choice={"type": "function", "function": {"name": "f"}},
        tools=[{"type": "function", "function": {"name": "f"}}],
    )
    assert request.sampling == Sampling(0, 0.5, None, 7, ("END",))
    assert (request.user, request.stream, request.parallel_tool_calls) == ("u", True, False)
    assert request.max_output_tokens == 9
    assert request.reasoning == ReasoningOptions(effort="high")
    assert request.tool_choice == ToolChoice(ToolMode.NAMED, "f")
    assert request.tools == (ToolSpec("f", None, {"type": "object", "properties": {}}),)
    assert not request.extras.fields


@pytest.mark.parametrize("sent", ["max_tokens", "max_completion_tokens"])
@pytest.mark.parametrize("preferred", ["max_tokens", "max_completion_tokens"])
def test_the_limit_goes_back_under_the_name_it_came_by(sent: str, preferred: Any) -> None:
    codec = OpenAIChatCodec(output_limit=preferred)
    request = codec.decode_request(_body(**{sent: 100}))
    assert request.max_output_tokens == 100
    assert codec.encode_request(request).body[sent] == 100


@pytest.mark.parametrize("preferred", ["max_tokens", "max_completion_tokens"])
def test_a_limit_from_elsewhere_is_written_as_the_host_wants_it(preferred: Any) -> None:
    body = (
        OpenAIChatCodec(output_limit=preferred)
        .encode_request(Request("m", (Message.user("x"),), max_output_tokens=5))
        .body
    )
    assert {name: body[name] for name in body if name.startswith("max")} == {preferred: 5}


@pytest.mark.parametrize(
    ("options", "written", "losses"),
    [
        (ReasoningOptions(effort="low"), "low", []),
        (ReasoningOptions(enabled=False), "none", []),
        (ReasoningOptions(enabled=True), None, ["reasoning"]),
        (ReasoningOptions(True, "high", 2048), "high", ["reasoning.enabled", "reasoning.budget_tokens"]),
        (ReasoningOptions(effort="none"), "none", ["reasoning.enabled", "reasoning.effort"]),
    ],
)
def test_thinking_is_asked_for_by_effort_alone(
    options: ReasoningOptions, written: str | None, losses: list[str]
) -> None:
    encoded = CODEC.encode_request(Request("m", (Message.user("x"),), reasoning=options))
    assert encoded.body.get("reasoning_effort") == written
    assert [loss.path for loss in encoded.losses] == losses


def test_top_k_is_a_loss_unless_the_client_sent_it() -> None:
    assert _losses(Message.user("x"), sampling=Sampling(top_k=5)) == ["sampling.top_k"]
    sent = _decoded(top_k=5)
    assert CODEC.encode_request(sent).body["top_k"] == 5


def test_output_formats_have_their_canonical_forms() -> None:
    schema = {"type": "object"}
    inner = {"name": "n", "description": "d", "schema": schema, "strict": True}
    found = _decoded(response_format={"type": "json_schema", "json_schema": inner}).output_format
    assert found == OutputFormat(
        OutputKind.JSON_SCHEMA, schema, "n", True, _ours(json_schema={"description": "d"})
    )
    with_schema = {"type": "json_object", "schema": schema}
    found = _decoded(response_format=with_schema).output_format
    assert found == OutputFormat(OutputKind.JSON_OBJECT, extras=_ours(schema=schema))


def test_a_schema_without_a_name_is_given_one_and_says_so() -> None:
    wanted = OutputFormat(OutputKind.JSON_SCHEMA, {"type": "object"})
    assert _losses(Message.user("x"), output_format=wanted) == ["output_format.name"]


@pytest.mark.parametrize(
    ("wire", "choice"),
    [
        ("auto", ToolChoice(ToolMode.AUTO)),
        ("none", ToolChoice(ToolMode.NONE)),
        ("required", ToolChoice(ToolMode.REQUIRED)),
        ({"type": "function", "function": {"name": "f"}}, ToolChoice(ToolMode.NAMED, "f")),
        (
            {"type": "custom", "custom": {"name": "f"}},
            ToolChoice(ToolMode.NAMED, "f", Extras(CHAT, {"type": "custom"})),
        ),
        (
            {"type": "allowed_tools", "allowed_tools": {"mode": "required", "tools": [{"type": "function"}]}},
            ToolChoice(
                ToolMode.REQUIRED,
                None,
                Extras(CHAT, {"type": "allowed_tools", "allowed_tools": {"tools": [{"type": "function"}]}}),
            ),
        ),
    ],
)
def test_every_form_of_tool_choice_comes_back(wire: Json, choice: ToolChoice) -> None:
    request = _decoded(tool_choice=wire)
    assert request.tool_choice == choice
    assert CODEC.encode_request(request).body["tool_choice"] == wire


def test_tools_only_another_dialect_knows_take_the_tool_options_with_them() -> None:
    tool = ForeignTool("web_search", Extras(ANTHROPIC, {"type": "web_search_20250305", "name": "web_search"}))
    encoded = CODEC.encode_request(
        Request(
            "m",
            (Message.user("x"),),
            tools=(tool,),
            tool_choice=ToolChoice(ToolMode.AUTO),
            parallel_tool_calls=True,
        )
    )
    assert encoded.body.keys() == {"model", "messages"}
    assert [loss.path for loss in encoded.losses] == ["tools[0]", "tool_choice", "parallel_tool_calls"]


# --- Malformed bodies ---------------------------------------------------------------------------------

_BAD_MESSAGES: list[tuple[list[Json], str, str]] = [
    (["hi"], "messages[0]", "must be an object, not a string"),
    ([{"content": "x"}], "messages[0].role", "is required"),
    ([{"role": None, "content": "x"}], "messages[0].role", "must be a string, not null"),
    ([{"role": "boss", "content": "x"}], "messages[0].role", "unknown role 'boss'"),
    ([{"role": "user"}], "messages[0].content", "is required"),
    ([{"role": "user", "content": None}], "messages[0].content", "must be a string or an array of parts"),
    ([USER, {"role": "user", "content": 3}], "messages[1].content", "not a number"),
    ([{"role": "user", "content": ["x"]}], "messages[0].content[0]", "must be an object, not a string"),
    ([{"role": "user", "content": [{}]}], "messages[0].content[0].type", "is required"),
    (
        [{"role": "user", "content": [{"type": "text", "text": True}]}],
        "messages[0].content[0].text",
        "must be a string, not a boolean",
    ),
    (
        [{"role": "user", "content": [{"type": "image_url", "image_url": "u"}]}],
        "messages[0].content[0].image_url",
        "must be an object",
    ),
    (
        [{"role": "user", "content": [{"type": "image_url", "image_url": {}}]}],
        "messages[0].content[0].image_url.url",
        "is required",
    ),
    ([USER, {"role": "tool", "tool_call_id": "c", "content": "r"}], "messages[1].role", "must follow"),
    (
        [CALLER, USER, {"role": "tool", "tool_call_id": "c", "content": "r"}],
        "messages[2].role",
        "must follow",
    ),
    ([CALLER, {"role": "tool", "content": "r"}], "messages[1].tool_call_id", "is required"),
    ([CALLER, {"role": "tool", "tool_call_id": "c1"}], "messages[1].content", "is required"),
    ([{"role": "assistant", "tool_calls": {}}], "messages[0].tool_calls", "must be an array, not an object"),
    (
        [{"role": "assistant", "tool_calls": [{**CALL, "id": 1}]}],
        "messages[0].tool_calls[0].id",
        "must be a string, not a number",
    ),
    (
        [{"role": "assistant", "tool_calls": [{"id": "c", "function": {"name": "f", "arguments": {}}}]}],
        "messages[0].tool_calls[0].function.arguments",
        "must be a string, not an object",
    ),
    (
        [{"role": "assistant", "tool_calls": [{**CALL, "type": "mcp"}]}],
        "messages[0].tool_calls[0].type",
        "must be 'function' or 'custom', not 'mcp'",
    ),
]

_BAD_FIELDS: list[tuple[dict[str, Json], str, str]] = [
    ({"model": None}, "model", "must be a string, not null"),
    ({"messages": []}, "messages", "must hold at least one message"),
    ({"messages": "hi"}, "messages", "must be an array, not a string"),
    ({"temperature": True}, "temperature", "must be a number, not a boolean"),
    ({"temperature": "hot"}, "temperature", "must be a number, not a string"),
    ({"max_tokens": 1.5}, "max_tokens", "must be an integer, not a number"),
    ({"max_tokens": True}, "max_tokens", "must be an integer, not a boolean"),
    ({"max_tokens": 1, "max_completion_tokens": 1}, "max_tokens", "cannot be set together"),
    ({"seed": "1"}, "seed", "must be an integer"),
    ({"stream": 1}, "stream", "must be a boolean, not a number"),
    ({"stop": ["a", 1]}, "stop[1]", "must be a string, not a number"),
    ({"stop": 1}, "stop", "must be a string or an array of strings"),
    ({"user": 5}, "user", "must be a string"),
    ({"tools": [{}]}, "tools[0].type", "is required"),
    ({"tools": [{"type": "function"}]}, "tools[0].function", "is required"),
    ({"tools": [{"type": "function", "function": {}}]}, "tools[0].function.name", "is required"),
    (
        {"tools": [{"type": "function", "function": {"name": "f", "parameters": []}}]},
        "tools[0].function.parameters",
        "must be an object, not an array",
    ),
    ({"tool_choice": "any"}, "tool_choice", "must be one of auto, none, required"),
    ({"tool_choice": {"type": "function"}}, "tool_choice.function", "is required"),
    ({"tool_choice": {"type": "best"}}, "tool_choice.type", "not 'best'"),
    (
        {"tool_choice": {"type": "allowed_tools", "allowed_tools": {"mode": "none"}}},
        "tool_choice.allowed_tools.mode",
        "must be auto or required, not 'none'",
    ),
    ({"response_format": "json"}, "response_format", "must be an object"),
    ({"response_format": {"type": "json_schema"}}, "response_format.json_schema", "is required"),
    (
        {"response_format": {"type": "json_schema", "json_schema": {"schema": {}}}},
        "response_format.json_schema.name",
        "is required",
    ),
    ({"reasoning_effort": 3}, "reasoning_effort", "must be a string"),
]


@pytest.mark.parametrize(
    ("body", "field", "words"),
    [(_body(*messages), field, words) for messages, field, words in _BAD_MESSAGES]
    + [({**_body(), **fields}, field, words) for fields, field, words in _BAD_FIELDS],
)
def test_a_malformed_field_is_named_with_its_path(body: dict[str, Json], field: str, words: str) -> None:
    with pytest.raises(ClientWireError) as caught:
        CODEC.decode_request(body)
    assert caught.value.field == field
    assert caught.value.status == 400
    assert words in str(caught.value)
    assert CODEC.encode_error(caught.value).body["error"]["param"] == field  # type: ignore[index, call-overload]  # reason: our own envelope


def test_a_body_without_messages_is_refused() -> None:
    with pytest.raises(ClientWireError, match="messages: is required"):
        CODEC.decode_request({"model": "m"})
