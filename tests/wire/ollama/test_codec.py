"""Ollama's native dialect by example: what each field means, and what goes wrong how."""

import json

import pytest
from hypothesis import given

from lynkr.errors import (
    AllTargetsFailed,
    ClientWireError,
    UpstreamBusy,
    UpstreamFailed,
    UpstreamRefused,
    UpstreamWireError,
)
from lynkr.model import (
    Finish,
    ForeignTool,
    Image,
    ImageSource,
    Message,
    OutputFormat,
    OutputKind,
    PartDelta,
    PartStart,
    Reasoning,
    ReasoningOptions,
    Request,
    Role,
    Start,
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
from lynkr.model.fold import fold
from lynkr.testing.laws import decode_stream, encode_stream
from lynkr.testing.strategies import event_streams
from lynkr.wire.json_body import dump, parse_body
from lynkr.wire.ollama import OllamaChatCodec

CODEC = OllamaChatCodec()
HELLO = [{"role": "user", "content": "hi"}]


def decode(**fields):
    body = {"model": "m", "messages": HELLO} | fields
    return CODEC.decode_request(parse_body(json.dumps(body).encode()).value)


def encode(**fields):
    request = Request(**{"model": "m", "messages": (Message.user("hi"),)} | fields)
    encoded = CODEC.encode_request(request)
    return json.loads(dump(encoded.body)), [loss.path for loss in encoded.losses]


# --- Requests -----------------------------------------------------------------------------------------


def test_a_body_streams_unless_it_says_otherwise():
    assert decode().stream is True
    assert decode(stream=False).stream is False
    assert encode()[0]["stream"] is False


def test_options_are_read_and_the_unknown_ones_kept():
    options = {"num_predict": 9, "temperature": 0.5, "top_k": 4, "seed": 3, "stop": "x", "num_ctx": 8192}
    request = decode(options=options, keep_alive="5m", truncate=True)
    assert (request.max_output_tokens, request.sampling.temperature) == (9, 0.5)
    assert (request.sampling.top_k, request.sampling.seed, request.sampling.stop) == (4, 3, ("x",))
    assert request.extras.fields == {"options": {"num_ctx": 8192}, "keep_alive": "5m", "truncate": True}
    body = CODEC.encode_request(request).body
    assert body["options"] == options | {"stop": ["x"]}
    assert body["keep_alive"] == "5m"


@pytest.mark.parametrize("unlimited", [-1, -2])
def test_no_limit_is_no_limit_and_goes_back_as_it_came(unlimited):
    request = decode(options={"num_predict": unlimited})
    assert request.max_output_tokens is None
    assert CODEC.encode_request(request).body["options"] == {"num_predict": unlimited}


@pytest.mark.parametrize(
    ("think", "reasoning"),
    [
        (True, ReasoningOptions(enabled=True)),
        (False, ReasoningOptions(enabled=False)),
        ("high", ReasoningOptions(effort="high")),
        (None, None),
    ],
)
def test_think_is_a_switch_or_a_word(think, reasoning):
    assert decode(think=think).reasoning == reasoning


@pytest.mark.parametrize(
    ("reasoning", "think", "lost"),
    [
        (ReasoningOptions(effort="minimal"), "low", ["reasoning.effort"]),
        (ReasoningOptions(effort="xhigh"), "max", ["reasoning.effort"]),
        (ReasoningOptions(effort="none"), False, ["reasoning.enabled", "reasoning.effort"]),
        (ReasoningOptions(effort="so much"), True, ["reasoning.enabled", "reasoning.effort"]),
        (ReasoningOptions(budget_tokens=9), True, ["reasoning.enabled", "reasoning.budget_tokens"]),
        (ReasoningOptions(), None, ["reasoning"]),
    ],
)
def test_other_dialects_words_for_thinking_are_brought_near(reasoning, think, lost):
    body, losses = encode(reasoning=reasoning)
    assert (body.get("think"), losses) == (think, lost)


def test_formats_are_json_or_the_schema_itself():
    schema = {"type": "object", "properties": {}}
    assert decode(format="json").output_format == OutputFormat(OutputKind.JSON_OBJECT)
    assert decode(format=schema).output_format == OutputFormat(OutputKind.JSON_SCHEMA, schema)
    assert decode(format="").output_format is None
    wanted = OutputFormat(OutputKind.JSON_SCHEMA, schema, "name", strict=True)
    body, losses = encode(output_format=wanted)
    assert (body["format"], losses) == (schema, ["output_format.name", "output_format.strict"])


def test_arguments_are_an_object_and_keep_their_numbers():
    call = ToolCall("c", "f", '{"n":1e2,"big":10000000000000000000001.5}')
    encoded = CODEC.encode_request(Request("m", (Message.user("x"), Message(Role.ASSISTANT, (call,)))))
    assert b'"arguments":{"n":1e2,"big":10000000000000000000001.5}' in dump(encoded.body)
    assert CODEC.decode_request(parse_body(dump(encoded.body)).value).messages[1].parts == (call,)


def test_results_without_ids_answer_the_calls_of_their_tools():
    call = {"function": {"name": "a", "arguments": {}}}
    other = {"function": {"name": "b", "arguments": {}}}
    messages = [
        *HELLO,
        {"role": "assistant", "tool_calls": [call, other]},
        {"role": "tool", "tool_name": "b", "content": "of b"},
        {"role": "tool", "content": "of a"},
        {"role": "user", "content": "and now?"},
    ]
    request = decode(messages=messages)
    ids = {part.name: part.id for part in request.messages[1].parts}
    assert request.messages[2].parts == (
        ToolResult(ids["b"], (Text("of b"),)),
        ToolResult(ids["a"], (Text("of a"),)),
        Text("and now?"),
    )
    assert len(request.messages) == 3


def test_an_image_shows_its_type_and_another_dialects_url_is_a_loss():
    request = decode(messages=[{"role": "user", "content": "what?", "images": ["iVBORw0KGgoAAAA="]}])
    assert request.messages[0].parts == (
        Image(ImageSource.BASE64, "iVBORw0KGgoAAAA=", "image/png"),
        Text("what?"),
    )
    body, losses = encode(
        messages=(Message(Role.USER, (Image(ImageSource.URL, "https://h/a.png"), Text("x"))),)
    )
    assert body["messages"] == [{"role": "user", "content": "x"}]
    assert losses == ["messages[0].parts[0]"]


def test_where_no_tool_may_be_called_none_is_offered():
    tools = (ToolSpec("f", None, {"type": "object"}), ForeignTool("web_search"))
    body, losses = encode(tools=tools, tool_choice=ToolChoice(ToolMode.NONE))
    assert "tools" not in body
    assert losses == ["tool_choice", "tools"]
    body, losses = encode(tools=tools, tool_choice=ToolChoice(ToolMode.REQUIRED))
    assert [tool["function"]["name"] for tool in body["tools"]] == ["f"]
    assert losses == ["tool_choice", "tools[1]"]


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"model": 1}, "model"),
        ({"messages": None}, "messages"),
        ({"messages": [1]}, "messages[0]"),
        ({"messages": [{"role": "robot"}]}, "messages[0].role"),
        ({"messages": [{"content": "x"}]}, "messages[0].role"),
        ({"messages": [{"role": "user", "content": []}]}, "messages[0].content"),
        ({"messages": [{"role": "user", "images": [1]}]}, "messages[0].images[0]"),
        ({"messages": [{"role": "tool", "content": "x"}]}, "messages[0].role"),
        ({"messages": [{"role": "assistant", "tool_calls": [{}]}]}, "messages[0].tool_calls[0].function"),
        (
            {
                "messages": [
                    {"role": "assistant", "tool_calls": [{"function": {"name": "f", "arguments": "{}"}}]}
                ]
            },
            "messages[0].tool_calls[0].function.arguments",
        ),
        ({"options": []}, "options"),
        ({"options": {"num_predict": "9"}}, "options.num_predict"),
        ({"options": {"stop": [1]}}, "options.stop[0]"),
        ({"format": "xml"}, "format"),
        ({"think": 1}, "think"),
        ({"stream": "yes"}, "stream"),
        ({"tools": [{"type": "function"}]}, "tools[0].function"),
    ],
)
def test_a_malformed_body_is_refused_by_the_field(fields, field):
    with pytest.raises(ClientWireError) as caught:
        decode(**fields)
    assert caught.value.field == field


def test_a_result_too_many_is_refused():
    call = {"function": {"name": "a", "arguments": {}}}
    messages = [{"role": "assistant", "tool_calls": [call]}, *[{"role": "tool", "content": "x"}] * 2]
    with pytest.raises(ClientWireError, match="answered already"):
        decode(messages=messages)


# --- Answers ------------------------------------------------------------------------------------------

WHOLE = {
    "model": "qwen3:8b",
    "created_at": "2025-10-26T17:15:24.097767123Z",
    "message": {
        "role": "assistant",
        "content": "It rains.",
        "thinking": "hm",
        "tool_calls": [{"function": {"index": 0, "name": "f", "arguments": {"a": 1}}}],
    },
    "done": True,
    "done_reason": "stop",
    "total_duration": 5,
    "prompt_eval_count": 26,
    "eval_count": 7,
}


def test_a_whole_answer_is_read_and_written_back():
    response = CODEC.decode_response(WHOLE)
    assert response.parts == (
        Reasoning("hm"),
        Text("It rains."),
        ToolCall("call_20251026171524097767123_0", "f", '{"a":1}'),
    )
    assert response.stop_reason is StopReason.TOOL_USE
    assert (response.usage, response.created) == (Usage(input=26, output=7), 1_761_498_924)
    encoded = CODEC.encode_response(response)
    assert encoded.losses == ()
    assert encoded.body["created_at"] == WHOLE["created_at"]
    assert encoded.body["total_duration"] == 5


@pytest.mark.parametrize(
    ("word", "reason"),
    [
        ("stop", StopReason.END_TURN),
        ("length", StopReason.MAX_TOKENS),
        ("load", StopReason.OTHER),
        (None, StopReason.END_TURN),
    ],
)
def test_a_done_reason_means_its_stop_reason(word, reason):
    body = WHOLE | {"message": {"role": "assistant", "content": ""}, "done_reason": word}
    response = CODEC.decode_response(body)
    assert response.stop_reason is reason
    assert CODEC.encode_response(response).body["done_reason"] == (word or "stop")


@pytest.mark.parametrize(
    "body",
    [
        {},
        WHOLE | {"message": "x"},
        WHOLE | {"done": False},
        WHOLE | {"message": {"tool_calls": [{}]}},
        WHOLE | {"message": {"tool_calls": ["x"]}},
    ],
)
def test_what_is_no_answer_is_refused(body):
    with pytest.raises(UpstreamWireError):
        CODEC.decode_response(body)


def test_an_error_told_with_status_200_is_one():
    with pytest.raises(UpstreamFailed, match="model runner has stopped"):
        CODEC.decode_response({"error": "model runner has stopped"})


# --- Streams ------------------------------------------------------------------------------------------


def lines(*messages, **last):
    head = {"model": "m", "created_at": "2026-11-01T08:00:00Z"}
    said = [{**head, "message": {"role": "assistant", **message}, "done": False} for message in messages]
    end = {
        **head,
        "message": {"role": "assistant", "content": ""},
        "done": True,
        "done_reason": "stop",
        **last,
    }
    return b"".join(json.dumps(line).encode() + b"\n" for line in (*said, end))


def test_a_stream_of_thinking_words_and_calls():
    call = {"function": {"name": "f", "arguments": {"a": 1}}}
    stream = lines(
        {"content": "", "thinking": "h"},
        {"content": "", "thinking": "m"},
        {"content": "It "},
        {"content": "rains."},
        {"content": "", "tool_calls": [call]},
        {"content": "", "tool_calls": [call, call]},
        prompt_eval_count=3,
        eval_count=2,
    )
    events = decode_stream(CODEC, [stream])
    response = fold(events)
    assert response.parts[:2] == (Reasoning("hm"), Text("It rains."))
    assert [part.name for part in response.parts[2:]] == ["f"] * 3
    assert len({part.id for part in response.parts[2:]}) == 3
    assert (response.stop_reason, response.usage) == (StopReason.TOOL_USE, Usage(input=3, output=2))
    assert sum(isinstance(event, PartDelta) for event in events) == 7


def test_words_in_the_last_line_count():
    assert fold(decode_stream(CODEC, [lines(message={"content": "hi"})])).parts == (Text("hi"),)


def test_a_last_line_without_an_end_is_still_a_line():
    assert fold(decode_stream(CODEC, [lines({"content": "hi"}).rstrip()])).parts == (Text("hi"),)


def test_lists_of_unknown_fields_are_joined_over_the_stream():
    one, two = (
        {"model": "m", "message": {"content": c}, "logprobs": [c], "done": d}
        for c, d in (("a", False), ("b", True))
    )
    stream = b"".join(json.dumps(line).encode() + b"\n" for line in (one, two))
    start, *_, finish = decode_stream(CODEC, [stream])
    assert (start.extras.fields, finish.extras.fields) == ({"logprobs": ["a"]}, {"logprobs": ["b"]})


@pytest.mark.parametrize(
    "line", [b"[]\n", b"nonsense\n", b'{"model":"m"}\n', b'{"message":{},"done":false}\n']
)
def test_a_stream_of_anything_else_or_cut_short_raises(line):
    with pytest.raises(UpstreamWireError):
        decode_stream(CODEC, [line])


def test_an_error_in_mid_stream_is_raised_again_and_again():
    decoder = CODEC.event_decoder()
    with pytest.raises(UpstreamFailed, match="boom") as caught:
        list(decoder.feed(b'{"message":{"content":"a"}}\n{"error":"boom"}\n'))
    for again in (decoder.feed(b""), decoder.close()):
        with pytest.raises(UpstreamFailed) as second:
            list(again)
        assert second.value is caught.value


def test_a_ping_is_a_line_that_adds_nothing():
    encoder = CODEC.event_encoder()
    written = encoder.encode(Start("", "m", created=0)) + encoder.ping()
    written += encoder.encode(PartStart(0, Text(""))) + encoder.encode(PartDelta(0, "a")) + encoder.ping()
    written += encoder.encode(Finish(StopReason.END_TURN)) + encoder.close()
    assert fold(decode_stream(CODEC, [written])).parts == (Text("a"),)
    assert all(json.loads(line) for line in written.splitlines())


@given(event_streams())
def test_every_line_is_json_with_a_message_and_only_the_last_is_done(events):
    *rest, last = (json.loads(line) for line in encode_stream(CODEC, events).splitlines())
    assert all(line["message"]["role"] == "assistant" and line["done"] is False for line in rest)
    assert last["done"] is True


# --- Errors -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, UpstreamRefused),
        (404, UpstreamRefused),
        (429, UpstreamBusy),
        (503, UpstreamBusy),
        (500, UpstreamFailed),
    ],
)
def test_a_status_means_its_error_and_goes_on_as_it_came(status, kind):
    body = b'{"error":"model \'x\' not found"}'
    error = CODEC.decode_error(status, {"retry-after": "2"}, body, target="o:x")
    assert type(error) is kind
    assert "model 'x' not found" in str(error)
    assert (error.wire_format, error.retry_after) == (WireFormat.OLLAMA_CHAT, 2.0)
    encoded = CODEC.encode_error(AllTargetsFailed("all", [error]))
    assert (encoded.status, encoded.body) == (status, {"error": "model 'x' not found"})


def test_an_error_of_ours_is_told_in_its_envelope():
    encoded = CODEC.encode_error(ClientWireError("is required", field="model"))
    assert (encoded.status, encoded.body) == (400, {"error": "model: is required"})
    refused = CODEC.decode_error(401, {}, b'{"error":"key sk-secret is wrong"}', target="o:x")
    assert (CODEC.encode_error(refused).status, "secret" in str(CODEC.encode_error(refused).body)) == (
        502,
        False,
    )
    assert json.loads(CODEC.event_encoder().encode_error(ValueError("x")))["error"]
