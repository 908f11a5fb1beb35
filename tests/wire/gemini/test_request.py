"""Requests to and from `generateContent`: what goes where, and what cannot."""

import json

import pytest

from lynkr.errors import ClientWireError
from lynkr.model import (
    Extras,
    Foreign,
    ForeignTool,
    Image,
    ImageSource,
    Message,
    Opaque,
    OutputFormat,
    OutputKind,
    Reasoning,
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
from lynkr.wire.gemini import GeminiCodec
from lynkr.wire.json_body import dump

CODEC = GeminiCodec()
GEMINI = WireFormat.GEMINI
NO_SIGNATURE = "skip_thought_signature_validator"


def encoded(*messages, model="gemini-2.5-flash", **fields):
    result = CODEC.encode_request(Request(model, tuple(messages), **fields))
    return json.loads(dump(result.body)), {loss.path for loss in result.losses}


def decoded(*contents, **fields):
    return CODEC.decode_request({"contents": list(contents), **fields})


def user(*parts):
    return Message(Role.USER, parts)


def assistant(*parts):
    return Message(Role.ASSISTANT, parts)


# --- Messages -----------------------------------------------------------------------------------------


def test_the_system_prompt_is_the_instruction_and_the_assistant_is_the_model():
    body, losses = encoded(Message.system("be brief"), Message.user("hi"), Message.assistant("yes"))
    assert body["systemInstruction"] == {"parts": [{"text": "be brief"}]}
    assert body["contents"] == [
        {"role": "user", "parts": [{"text": "hi"}]},
        {"role": "model", "parts": [{"text": "yes"}]},
    ]
    assert losses == set()


def test_a_system_message_in_mid_conversation_stays_where_it_stands():
    body, losses = encoded(Message.user("hi"), Message.system("now in French"))
    assert body["contents"][1] == {"role": "user", "parts": [{"text": "now in French"}]}
    assert "systemInstruction" not in body
    assert losses == {"messages[1].role"}


def test_several_system_messages_become_one_instruction():
    body, losses = encoded(Message.system("a"), Message.system("b"), Message.user("hi"))
    assert body["systemInstruction"] == {"parts": [{"text": "a"}, {"text": "b"}]}
    assert losses == {"messages"}


def test_what_gemini_would_refuse_as_empty_is_left_out():
    body, losses = encoded(user(Text(""), Text("hi")), assistant(Text("")), Message.user("x"))
    assert [content["parts"] for content in body["contents"]] == [[{"text": "hi"}], [{"text": "x"}]]
    assert losses == {"messages[0].parts[0]", "messages[1].parts[0]", "messages"}


# --- Calls and results --------------------------------------------------------------------------------


def test_a_result_bears_the_name_of_its_function_and_not_its_call_id():
    call, result = ToolCall("toolu_1", "read", '{"path": "a"}'), ToolResult("toolu_1", (Text("né"),))
    body, losses = encoded(Message.user("go"), assistant(call), user(result))
    assert body["contents"][1]["parts"] == [
        {"functionCall": {"id": "toolu_1", "name": "read", "args": {"path": "a"}}}
    ]
    assert body["contents"][2]["parts"] == [
        {"functionResponse": {"id": "toolu_1", "name": "read", "response": {"output": "né"}}}
    ]
    assert losses == set()


def test_a_result_names_the_latest_call_of_its_id():
    first, second = ToolCall("call_0", "read", "{}"), ToolCall("call_0", "write", "{}")
    result = ToolResult("call_0", (Text("x"),))
    body, _ = encoded(Message.user("go"), assistant(first), user(result), assistant(second), user(result))
    names = [body["contents"][at]["parts"][0]["functionResponse"]["name"] for at in (2, 4)]
    assert names == ["read", "write"]


def test_a_failed_tool_answers_under_error():
    call, result = ToolCall("c", "run", "{}"), ToolResult("c", (Text("no such file"),), is_error=True)
    body, losses = encoded(Message.user("go"), assistant(call), user(result))
    assert body["contents"][2]["parts"][0]["functionResponse"]["response"] == {"error": "no such file"}
    assert losses == set()


def test_a_result_that_follows_no_call_is_said_instead():
    body, losses = encoded(user(ToolResult("gone", (Text("22°"),))))
    assert body["contents"][0]["parts"] == [{"text": "22°"}]
    assert losses == {"messages[0].parts"}


def test_results_of_newer_models_hold_images_and_older_ones_have_them_beside():
    image = Image(ImageSource.BASE64, "AAAA", "image/png")
    messages = (
        Message.user("go"),
        assistant(ToolCall("c", "shot", "{}")),
        user(ToolResult("c", (Text("here"), image))),
    )
    node = {"inlineData": {"mimeType": "image/png", "data": "AAAA"}}
    new, losses = encoded(*messages, model="gemini-3-flash")
    assert new["contents"][2]["parts"][0]["functionResponse"]["parts"] == [node]
    assert losses == set()
    old, losses = encoded(*messages, model="gemini-2.5-pro")
    assert old["contents"][2]["parts"][1] == node
    assert losses == {"messages[2].parts"}


def test_arguments_that_are_no_object_are_carried_as_text_and_told():
    body, losses = encoded(Message.user("go"), assistant(ToolCall("c", "run", "{broken")))
    assert body["contents"][1]["parts"][0]["functionCall"]["args"] == {"arguments": "{broken"}
    assert losses == {"messages[1].parts[0].arguments"}


def test_number_spellings_in_arguments_survive():
    call = ToolCall("c", "run", '{"n":1e2,"big":10000000000000000000001.5}')
    body = dump(CODEC.encode_request(Request("m", (Message.user("go"), assistant(call)))).body)
    assert b'"args":{"n":1e2,"big":10000000000000000000001.5}' in body


def test_calls_without_ids_get_the_same_ones_every_time_and_their_results_find_them():
    contents = (
        {"role": "user", "parts": [{"text": "go"}]},
        {
            "role": "model",
            "parts": [{"functionCall": {"name": "a"}}, {"functionCall": {"name": "a", "args": {}}}],
        },
        {
            "role": "user",
            "parts": [
                {"functionResponse": {"name": "a", "response": {"output": "1"}}},
                {"functionResponse": {"name": "a", "response": {"output": "2"}}},
            ],
        },
    )
    request = decoded(*contents)
    calls = [part.id for part in request.messages[1].parts]
    assert calls == [part.call_id for part in request.messages[2].parts]
    assert len(set(calls)) == 2
    assert request == decoded(*contents)
    assert request.messages[1].parts[0].arguments == "{}"


@pytest.mark.parametrize(
    ("response", "texts", "is_error"),
    [
        ({"output": "x"}, ["x"], False),
        ({"error": "x"}, ["x"], True),
        ({"output": ["x", "y"]}, ["x", "y"], False),
        ({"output": ["x"]}, ['["x"]'], False),
        ({"output": {"a": 1}}, ['{"a":1}'], False),
        ({"temperature": 22}, ['{"temperature":22}'], False),
        ({"output": ""}, [], False),
        ({}, [], False),
        (None, [], False),
    ],
)
def test_what_a_function_said_is_text(response, texts, is_error):
    request = decoded({"parts": [{"functionResponse": {"name": "f", "id": "c", "response": response}}]})
    [result] = request.messages[0].parts
    assert ([text.text for text in result.content], result.is_error) == (texts, is_error)


# --- Signatures ---------------------------------------------------------------------------------------


def test_signatures_go_back_bit_exact_where_they_came_from():
    parts = [
        {"thought": True, "text": "hm", "thoughtSignature": "AbC+/w=="},
        {"text": "so", "thoughtSignature": "dGV4dA=="},
        {"functionCall": {"id": "c", "name": "f", "args": {}}, "thoughtSignature": "Y2FsbA=="},
        {"text": "", "thoughtSignature": "ZW1wdHk="},
        {"thoughtSignature": "YmFyZQ=="},
        {"thought": True, "thoughtSignature": "dGhvdWdodA=="},
    ]
    request = decoded({"role": "model", "parts": parts})
    assert request.messages[0].parts[0] == Reasoning("hm", Opaque(GEMINI, "AbC+/w=="))
    assert json.loads(dump(CODEC.encode_request(request).body))["contents"][0]["parts"] == parts


def test_a_newer_model_gets_its_word_for_no_signature_on_the_first_unsigned_call_of_a_turn():
    calls = (ToolCall("a", "f", "{}"), ToolCall("b", "f", "{}"))
    body, losses = encoded(Message.user("go"), assistant(*calls), model="gemini-3-pro-preview")
    signatures = [part.get("thoughtSignature") for part in body["contents"][1]["parts"]]
    assert signatures == [NO_SIGNATURE, None]
    assert losses == set()
    old, _ = encoded(Message.user("go"), assistant(*calls), model="gemini-2.5-pro")
    assert all("thoughtSignature" not in part for part in old["contents"][1]["parts"])


def test_a_signature_of_its_own_is_never_replaced():
    signed = ToolCall("a", "f", "{}", Extras(GEMINI, {"thoughtSignature": "T3du"}))
    body, _ = encoded(Message.user("go"), assistant(signed), model="gemini-3-pro-preview")
    assert body["contents"][1]["parts"][0]["thoughtSignature"] == "T3du"


def test_the_thoughts_of_another_provider_go_without_its_seal():
    foreign = Opaque(WireFormat.ANTHROPIC_MESSAGES, "c2VhbA==")
    body, losses = encoded(
        Message.user("go"),
        assistant(Reasoning("hm", foreign), Reasoning("", foreign, redacted=True), Text("so")),
    )
    assert body["contents"][1]["parts"] == [{"thought": True, "text": "hm"}, {"text": "so"}]
    assert losses == {"messages[1].parts[0].seal", "messages[1].parts[1]"}


# --- Files --------------------------------------------------------------------------------------------


def test_an_image_by_url_has_the_type_its_ending_tells():
    body, losses = encoded(user(Image(ImageSource.URL, "https://e.com/a.JPG?x=1")))
    assert body["contents"][0]["parts"][0]["fileData"] == {
        "fileUri": "https://e.com/a.JPG?x=1",
        "mimeType": "image/jpeg",
    }
    assert losses == set()


def test_files_that_are_no_images_and_code_ride_along():
    parts = [
        {"inlineData": {"mimeType": "application/pdf", "data": "JVBERi0="}},
        {"fileData": {"fileUri": "gs://b/a.mp4", "mimeType": "video/mp4"}},
        {"executableCode": {"language": "PYTHON", "code": "1"}},
    ]
    request = decoded({"role": "user", "parts": parts})
    assert request.messages[0].parts == tuple(Foreign(GEMINI, part) for part in parts)
    assert json.loads(dump(CODEC.encode_request(request).body))["contents"][0]["parts"] == parts


# --- Tools --------------------------------------------------------------------------------------------


def test_a_tools_schema_goes_as_json_schema_whole():
    schema = {"type": "object", "properties": {"a": {"oneOf": [{"const": 1}]}}, "additionalProperties": False}
    search = ForeignTool("googleSearch", Extras(GEMINI, {"googleSearch": {}}))
    body, losses = encoded(Message.user("go"), tools=(ToolSpec("f", "does f", schema), search))
    function = {"name": "f", "description": "does f", "parametersJsonSchema": schema}
    assert body["tools"] == [{"functionDeclarations": [function]}, {"googleSearch": {}}]
    assert losses == set()


def test_a_schema_in_geminis_own_words_is_read_as_the_json_schema_it_means():
    own = {
        "type": "OBJECT",
        "properties": {
            "a": {"type": "STRING", "nullable": True, "enum": ["x"]},
            "b": {"type": "ARRAY", "items": {"type": "INTEGER"}, "minItems": "1"},
            "c": {"anyOf": [{"type": "NUMBER"}], "nullable": True},
            "d": {"type": "TYPE_UNSPECIFIED"},
        },
        "required": ["a"],
    }
    request = decoded({"parts": []}, tools=[{"functionDeclarations": [{"name": "f", "parameters": own}]}])
    assert request.tools[0].input_schema == {
        "type": "object",
        "properties": {
            "a": {"type": ["string", "null"], "enum": ["x", None]},
            "b": {"type": "array", "items": {"type": "integer"}, "minItems": 1},
            "c": {"anyOf": [{"type": "number"}, {"type": "null"}]},
            "d": {},
        },
        "required": ["a"],
    }


@pytest.mark.parametrize(
    ("choice", "config"),
    [
        (ToolChoice(ToolMode.AUTO), {"mode": "AUTO"}),
        (ToolChoice(ToolMode.NONE), {"mode": "NONE"}),
        (ToolChoice(ToolMode.REQUIRED), {"mode": "ANY"}),
        (ToolChoice(ToolMode.NAMED, "f"), {"mode": "ANY", "allowedFunctionNames": ["f"]}),
        (ToolChoice(ToolMode.AUTO, None, Extras(GEMINI, {"mode": "VALIDATED"})), {"mode": "VALIDATED"}),
    ],
)
def test_every_tool_choice_has_its_mode(choice, config):
    body, losses = encoded(Message.user("go"), tools=(ToolSpec("f", None, {}),), tool_choice=choice)
    assert body["toolConfig"] == {"functionCallingConfig": config}
    assert losses == set()
    assert CODEC.decode_request(body).tool_choice == choice


def test_a_tool_choice_without_a_function_is_left_out_for_gemini_refuses_it():
    body, losses = encoded(Message.user("go"), tool_choice=ToolChoice(ToolMode.AUTO))
    assert "toolConfig" not in body
    assert losses == {"tool_choice"}


# --- Options ------------------------------------------------------------------------------------------


def test_options_stand_in_the_generation_config():
    body, losses = encoded(
        Message.user("go"),
        max_output_tokens=10,
        sampling=Sampling(0.5, 0.9, 40, 7, ("END",)),
        output_format=OutputFormat(OutputKind.JSON_SCHEMA, {"type": "object"}, name="n", strict=True),
        user="u",
        parallel_tool_calls=False,
        stream=True,
    )
    assert body["generationConfig"] == {
        "maxOutputTokens": 10,
        "temperature": 0.5,
        "topP": 0.9,
        "topK": 40,
        "seed": 7,
        "stopSequences": ["END"],
        "responseMimeType": "application/json",
        "responseJsonSchema": {"type": "object"},
    }
    assert body["stream"] is True
    assert losses == {"output_format.name", "output_format.strict", "user", "parallel_tool_calls"}


def test_a_seed_too_large_for_gemini_is_left_out():
    body, losses = encoded(Message.user("go"), sampling=Sampling(seed=2**40))
    assert "generationConfig" not in body
    assert losses == {"sampling.seed"}


def test_fields_nobody_knows_survive():
    body = {
        "contents": [{"role": "user", "parts": [{"text": "go"}], "x": 1}],
        "safetySettings": [{"category": "C", "threshold": "OFF"}],
        "toolConfig": {"retrievalConfig": {"languageCode": "en"}},
        "generationConfig": {"presencePenalty": 0.5, "responseMimeType": "text/plain"},
        "labels": {"team": "né"},
    }
    request = CODEC.decode_request(body)
    assert json.loads(dump(CODEC.encode_request(request).body)) == {"model": "", **body}


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "contents"),
        ({"contents": 1}, "contents"),
        ({"contents": [1]}, "contents[0]"),
        ({"contents": [{"role": "system", "parts": []}]}, "contents[0].role"),
        ({"contents": [{"parts": ["x"]}]}, "contents[0].parts[0]"),
        ({"contents": [{"parts": [{"text": 1}]}]}, "contents[0].parts[0].text"),
        ({"contents": [{"parts": [{"functionCall": {}}]}]}, "contents[0].parts[0].functionCall.name"),
        (
            {"contents": [{"parts": [{"functionCall": {"name": "f", "args": []}}]}]},
            "contents[0].parts[0].functionCall.args",
        ),
        (
            {"contents": [{"parts": [{"functionResponse": {"name": "f", "response": "x"}}]}]},
            "contents[0].parts[0].functionResponse.response",
        ),
        ({"contents": [], "generationConfig": {"topK": 1.5}}, "generationConfig.topK"),
        ({"contents": [], "generationConfig": {"stopSequences": [1]}}, "generationConfig.stopSequences[0]"),
        (
            {"contents": [], "tools": [{"functionDeclarations": [{}]}]},
            "tools[0].functionDeclarations[0].name",
        ),
        ({"contents": [], "systemInstruction": "be brief"}, "systemInstruction"),
    ],
)
def test_a_malformed_request_is_told_its_field(body, field):
    with pytest.raises(ClientWireError) as caught:
        CODEC.decode_request(body)
    assert caught.value.field == field
