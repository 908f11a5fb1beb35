"""What a client of another dialect asks for, as Converse is told it."""

import json

import pytest

from lynkr.errors import ClientWireError
from lynkr.model import (
    Image,
    ImageSource,
    Message,
    Opaque,
    Reasoning,
    Request,
    Role,
    Text,
    ToolCall,
    ToolChoice,
    ToolMode,
    ToolResult,
    ToolSpec,
    WireFormat,
)
from lynkr.wire.anthropic import AnthropicCodec
from lynkr.wire.bedrock import BedrockConverseCodec
from lynkr.wire.json_body import dump, parse_body

CODEC = BedrockConverseCodec()
CLAUDE = "anthropic.claude-opus-4-5-20251101-v1:0"
NOVA = "amazon.nova-pro-v1:0"
HI = (Message.user("hi"),)
TOOL = ToolSpec("Bash", "runs", {"type": "object"})


def written(request):
    return json.loads(dump(CODEC.encode_request(request).body))


def from_anthropic(**fields):
    body = {"model": CLAUDE, "max_tokens": 9, "messages": [{"role": "user", "content": "hi"}], **fields}
    encoded = CODEC.encode_request(AnthropicCodec().decode_request(parse_body(dump(body)).value))
    return json.loads(dump(encoded.body)), {loss.path for loss in encoded.losses}


def test_anthropics_cache_markers_become_cache_points():
    mark = {"cache_control": {"type": "ephemeral"}}
    long = {"cache_control": {"type": "ephemeral", "ttl": "1h"}}
    body, losses = from_anthropic(
        system=[{"type": "text", "text": "s", **long}],
        tools=[{"name": "Bash", "input_schema": {"type": "object"}, **mark}],
        messages=[{"role": "user", "content": [{"type": "text", "text": "hi", **mark}]}],
    )
    assert body["system"] == [{"text": "s"}, {"cachePoint": {"type": "default", "ttl": "1h"}}]
    assert body["toolConfig"]["tools"][1] == {"cachePoint": {"type": "default"}}
    assert body["messages"][0]["content"] == [{"text": "hi"}, {"cachePoint": {"type": "default"}}]
    assert losses == set()


def test_a_cache_marker_in_words_unknown_here_is_a_loss():
    odd = {"cache_control": {"type": "ephemeral", "scope": "global"}}
    _, losses = from_anthropic(system=[{"type": "text", "text": "s", **odd}])
    assert losses == {"messages[0].parts[0].extras.cache_control"}


@pytest.mark.parametrize(
    "thinking",
    [{"type": "enabled", "budget_tokens": 2048}, {"type": "adaptive"}, {"type": "disabled"},
     {"type": "adaptive", "display": "omitted"}],
)  # fmt: skip
def test_thinking_goes_to_claude_in_anthropics_own_words(thinking):
    body, losses = from_anthropic(thinking=thinking)
    assert body["additionalModelRequestFields"] == {"thinking": thinking}
    assert losses == set()


def test_thinking_is_not_asked_of_a_model_that_has_other_words_for_it():
    body, losses = from_anthropic(model=NOVA, thinking={"type": "enabled", "budget_tokens": 2048})
    assert "additionalModelRequestFields" not in body
    assert losses == {"reasoning"}


def test_top_k_is_a_field_of_claudes():
    assert from_anthropic(top_k=5)[0]["additionalModelRequestFields"] == {"top_k": 5}
    assert from_anthropic(model=NOVA, top_k=5)[1] == {"sampling.top_k"}


def test_a_signature_of_anthropics_goes_back_and_comes_back():
    thought = {"type": "thinking", "thinking": "hm", "signature": "sig=="}
    messages = [{"role": "user", "content": "hi"}, {"role": "assistant", "content": [thought]}]
    body, losses = from_anthropic(messages=messages)
    assert losses == set()
    assert body["messages"][1]["content"] == [
        {"reasoningContent": {"reasoningText": {"text": "hm", "signature": "sig=="}}}
    ]
    answer = {"output": {"message": {"role": "assistant", "content": body["messages"][1]["content"]}}}
    (part,) = CODEC.decode_response(answer).parts
    assert part == Reasoning("hm", Opaque(WireFormat.ANTHROPIC_MESSAGES, "sig=="))


def test_neighbours_of_one_role_are_joined_and_the_loss_is_told():
    request = Request(CLAUDE, (Message.user("a"), Message.user("b"), Message.assistant("c")))
    encoded = CODEC.encode_request(request)
    assert written(request)["messages"] == [
        {"role": "user", "content": [{"text": "a"}, {"text": "b"}]},
        {"role": "assistant", "content": [{"text": "c"}]},
    ]
    assert [loss.path for loss in encoded.losses] == ["messages[1]"]


def test_blank_texts_are_left_out_as_converse_refuses_them():
    request = Request(CLAUDE, (Message(Role.USER, (Text(" \n"), Text("a"))), Message.assistant("")))
    assert written(request)["messages"] == [{"role": "user", "content": [{"text": "a"}]}]
    paths = [loss.path for loss in CODEC.encode_request(request).losses]
    assert paths == ["messages[0].parts[0]", "messages[1].parts[0]", "messages[1]"]


def test_tool_results_stand_first():
    request = Request(
        CLAUDE,
        (
            Message(Role.ASSISTANT, (ToolCall("t_1", "Bash", "{}"),)),
            Message(Role.USER, (Text("a"), ToolResult("t_1", (Text("out"),), True))),
        ),
        tools=(TOOL,),
    )
    assert written(request)["messages"][1]["content"] == [
        {"toolResult": {"toolUseId": "t_1", "content": [{"text": "out"}], "status": "error"}},
        {"text": "a"},
    ]


@pytest.mark.parametrize(
    ("choice", "node"),
    [
        (ToolChoice(ToolMode.AUTO), {"auto": {}}),
        (ToolChoice(ToolMode.REQUIRED), {"any": {}}),
        (ToolChoice(ToolMode.NAMED, "Bash"), {"tool": {"name": "Bash"}}),
    ],
)
def test_a_tool_choice_has_its_own_word(choice, node):
    config = written(Request(CLAUDE, HI, tools=(TOOL,), tool_choice=choice))["toolConfig"]
    assert config["toolChoice"] == node
    assert config["tools"] == [
        {"toolSpec": {"name": "Bash", "description": "runs", "inputSchema": {"json": {"type": "object"}}}}
    ]


def test_forbidding_tools_leaves_them_out():
    request = Request(CLAUDE, HI, tools=(TOOL,), tool_choice=ToolChoice(ToolMode.NONE))
    assert "toolConfig" not in written(request)
    assert {loss.path for loss in CODEC.encode_request(request).losses} == {"tools", "tool_choice"}


def test_a_conversation_with_calls_always_declares_its_tools():
    """Converse answers 400 to calls and results without a toolConfig."""
    called = Message(Role.ASSISTANT, (ToolCall("t_1", "Bash", "{}"),))
    request = Request(CLAUDE, (*HI, called, Message(Role.USER, (ToolResult("t_1", ()),))))
    tools = written(request)["toolConfig"]["tools"]
    assert [tool["toolSpec"]["name"] for tool in tools] == ["Bash"]


def test_images_travel_as_bytes_and_addresses_do_not():
    inline = Image(ImageSource.BASE64, "aGk=", "image/jpg")
    away = Image(ImageSource.URL, "https://example.com/a.png")
    request = Request(CLAUDE, (Message(Role.USER, (inline, away)),))
    assert written(request)["messages"][0]["content"] == [
        {"image": {"format": "jpeg", "source": {"bytes": "aGk="}}}
    ]
    assert "messages[0].parts[1]" in {loss.path for loss in CODEC.encode_request(request).losses}


@pytest.mark.parametrize("call_id", ["functions.get:0 é", "x" * 65, ""])
def test_call_ids_fit_and_stay_the_same_for_a_call_and_its_result(call_id):
    request = Request(
        CLAUDE,
        (
            Message(Role.ASSISTANT, (ToolCall(call_id, "Bash", "{}"),)),
            Message(Role.USER, (ToolResult(call_id, ()),)),
        ),
    )
    call, result = (message["content"][0] for message in written(request)["messages"])
    sent = call["toolUse"]["toolUseId"]
    assert sent == result["toolResult"]["toolUseId"]
    assert 1 <= len(sent) <= 64
    assert sent.isascii()


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"modelId": 5}, "modelId"),
        ({"messages": 5}, "messages"),
        ({"messages": [5]}, "messages[0]"),
        ({"messages": [{"role": "tool", "content": []}]}, "messages[0].role"),
        ({"messages": [{"role": "user"}]}, "messages[0].content"),
        ({"messages": [{"role": "user", "content": [{"text": 5}]}]}, "messages[0].content[0].text"),
        ({"messages": [{"role": "user", "content": [{"toolUse": 5}]}]}, "messages[0].content[0].toolUse"),
        ({"system": {"text": "s"}}, "system"),
        ({"inferenceConfig": {"maxTokens": "9"}}, "inferenceConfig.maxTokens"),
        ({"inferenceConfig": {"stopSequences": [1]}}, "inferenceConfig.stopSequences[0]"),
        (
            {"toolConfig": {"tools": [{"toolSpec": {"name": "x"}}]}},
            "toolConfig.tools[0].toolSpec.inputSchema",
        ),
        ({"toolConfig": {"toolChoice": {"none": {}}}}, "toolConfig.toolChoice"),
        ({"additionalModelRequestFields": {"thinking": {}}}, "additionalModelRequestFields.thinking.type"),
        ({"outputConfig": {"effort": 3}}, "outputConfig.effort"),
        ({"outputConfig": {"textFormat": {"type": "xml"}}}, "outputConfig.textFormat.type"),
        ({"stream": "yes"}, "stream"),
    ],
)
def test_a_malformed_field_is_named(change, field):
    body = {"modelId": CLAUDE, "messages": [{"role": "user", "content": [{"text": "hi"}]}], **change}
    with pytest.raises(ClientWireError) as caught:
        CODEC.decode_request(body)
    assert caught.value.field == field
