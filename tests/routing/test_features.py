import json
from time import process_time

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from lynkr.model import (
    Message,
    OutputFormat,
    OutputKind,
    ReasoningOptions,
    Request,
    Role,
    Text,
    ToolCall,
    ToolChoice,
    ToolMode,
    ToolResult,
)
from lynkr.routing import Features, Traffic, features_of
from lynkr.testing.strategies import requests
from tests.routing.agent_sessions import CLAUDE_CODE_TOOLS, PICTURE, asking, looping, tools


@given(requests())
def test_every_request_has_features_and_they_hide_the_ask(request):
    features = features_of(request)
    assert features == features_of(request)
    assert features.least_input_tokens <= features.input_tokens
    assert features.has_tools == bool(request.tools)
    if len(features.ask) > 12:
        assert features.ask not in repr(features)


@given(requests(), st.sampled_from(["be secure", "<b>prove</b>", ""]))
def test_a_reminder_beside_the_ask_changes_nothing_but_sizes(request, note):
    reminder = Text(f"<system-reminder>{note}</system-reminder>")
    last = request.messages[-1]
    if last.role is not Role.USER:
        return
    noisy = evolve(request, messages=(*request.messages[:-1], evolve(last, parts=(reminder, *last.parts))))
    plain, loud = features_of(request), features_of(noisy)
    assert loud == evolve(plain, input_tokens=loud.input_tokens, least_input_tokens=loud.least_input_tokens)


def test_the_ask_is_the_newest_message_with_typed_words():
    request = asking("refactor the parser", "<system-reminder>the time is 3</system-reminder>")
    assert features_of(request).ask == "refactor the parser"


def test_tool_results_are_not_typed_words():
    features = features_of(looping("list the files", output="prove the lock-free theorem"))
    assert features.ask == "list the files"
    assert "proof" not in features.reading.points


def test_a_continuation_summary_is_walked_over():
    summary = (
        "This session is being continued from a previous conversation. Summary: security audit of everything."
    )
    assert features_of(asking("rename the field", summary)).ask == "rename the field"
    assert features_of(asking(summary)).ask == ""


def test_earlier_asks_are_a_window():
    features = features_of(asking(*(f"step {number}" for number in range(9))))
    assert features.ask == "step 8"
    assert len(features.earlier) == 4


def test_harness_tools_are_not_extra():
    features = features_of(asking("hi", offered=tools(*CLAUDE_CODE_TOOLS, "mcp__crm__find", "get_weather")))
    assert (features.tools, features.extra_tools) == (16, 2)


def test_needs_follow_the_request():
    plain = features_of(asking("hi"))
    assert (plain.needs_tools, plain.needs_vision, plain.needs_structured_output) == (False, False, False)
    assert features_of(asking("hi", offered=tools("f"))).needs_tools
    forbidden = asking("hi", offered=tools("f"), tool_choice=ToolChoice(ToolMode.NONE))
    assert not features_of(forbidden).needs_tools
    assert features_of(evolve(looping("x"), tools=())).needs_tools
    assert features_of(
        asking("hi", output_format=OutputFormat(OutputKind.JSON_OBJECT))
    ).needs_structured_output
    assert features_of(asking("hi", reasoning=ReasoningOptions(effort="high"))).reasoning_effort == "high"
    seen = Message(Role.USER, (ToolResult("c", (PICTURE,)), Text("what is it?")))
    assert features_of(Request(model="auto", messages=(seen,))).needs_vision


def test_sizes_are_estimates_from_lengths():
    features = features_of(asking("word " * 8_000))
    assert 8_000 <= features.input_tokens <= 12_000
    assert features_of(asking("汉" * 1_000)).input_tokens >= 700


def test_a_loop_is_counted_from_the_ask():
    features = features_of(looping("fix it", 5, output="Traceback (most recent call last): boom"))
    assert features.in_tool_loop
    assert (features.loop_results, features.recent_errors) == (5, 5)
    closed = evolve(looping("fix it", 5), messages=(*looping("fix it", 5).messages, Message.user("and now?")))
    assert not features_of(closed).in_tool_loop
    assert features_of(closed).loop_results == 0


@pytest.mark.parametrize(
    ("tool", "path", "touched"),
    [
        ("Edit", "/repo/src/auth/login.py", ("auth",)),
        ("Write", "/repo/db/migrations/0007_users.sql", ("migrations",)),
        ("Edit", "/repo/src/OAuthClient.ts", ("auth",)),
        ("Edit", "/repo/src/author.py", ()),
        ("Edit", "/repo/src/schema/org.py", ()),
        ("Edit", "/repo/tests/auth/test_login.py", ()),
        ("Read", "/repo/src/auth/login.py", ()),
        ("str_replace_based_edit_tool", "/repo/billing/invoice.py", ("billing",)),
    ],
)
def test_only_files_really_written_are_touched(tool, path, touched):
    features = features_of(looping("go on with the change", 1, tool=tool, path=path))
    assert bool(features.touched) == bool(touched)


def test_a_new_task_forgets_the_files_of_the_last():
    edited = looping("change the token check", 1, tool="Edit", path="/r/auth/a.py").messages
    again = Request(model="auto", messages=(*edited, Message.assistant("Done."), Message.user("continue")))
    other = Request(
        model="auto", messages=(*edited, Message.assistant("Done."), Message.user("now list the open issues"))
    )
    assert features_of(again).touched == ("auth",)
    assert features_of(other).touched == ()


@pytest.mark.parametrize(
    ("request_", "traffic"),
    [
        (
            asking("hi", "[SUGGESTION MODE: Suggest what the user might naturally type next]"),
            Traffic.SUGGESTION,
        ),
        (asking("quota", max_output_tokens=1), Traffic.PROBE),
        (asking("Warmup"), Traffic.PROBE),
        (asking("Please write a 5-10 word title for the following conversation: x"), Traffic.TITLE),
        (
            asking("prove it", "Your task is to create a detailed summary of the conversation so far"),
            Traffic.COMPACTION,
        ),
        (asking("### Task:\nGenerate a concise, 3-5 word title with an emoji"), Traffic.TITLE),
        (asking("what is the quota of France in the EU?"), Traffic.MAIN),
        (asking("suggest a title generator library"), Traffic.MAIN),
    ],
)
def test_side_traffic_is_known_by_its_opening(request_, traffic):
    assert features_of(request_).traffic is traffic


def test_a_title_request_is_known_by_its_system_prompt_or_schema():
    system = Message.system("You are a title generator. You output ONLY a thread title.")
    ask = Message.user("refactor the entire billing pipeline")
    assert features_of(Request(model="auto", messages=(system, ask))).traffic is Traffic.TITLE
    schema = {"type": "object", "properties": {"title": {"type": "string"}}}
    form = OutputFormat(OutputKind.JSON_SCHEMA, schema)
    assert features_of(Request(model="auto", messages=(ask,), output_format=form)).traffic is Traffic.TITLE
    book = {"type": "object", "properties": {"title": {"type": "string"}, "chapters": {"type": "array"}}}
    form = OutputFormat(OutputKind.JSON_SCHEMA, book)
    assert features_of(Request(model="auto", messages=(ask,), output_format=form)).traffic is Traffic.MAIN


def test_huge_arguments_are_not_read():
    arguments = json.dumps({"file_path": "/r/auth/x.py", "content": "y" * 3_000_000})
    call = Message(Role.ASSISTANT, (ToolCall("c", "Write", arguments),))
    request = Request(model="auto", messages=(Message.user("go"), call))
    began = process_time()
    features = features_of(request)
    assert process_time() - began < 0.05
    assert features.touched == ("auth",)


def test_features_are_all_default():
    assert Features().is_side_traffic is False


def body_of(ask, size, *, errors=0, files=0):
    """An agent's session of about *size* characters that ends in the tool loop of *ask*."""
    said = [Message.user("Prove that the payment migration in production is secure, step by step.")]
    noise = "def prove(deadlock): raise SecurityAudit('migration of payments in production')\n" * 20
    steps = max(errors + files, size // (len(noise) + 200))
    for step in range(steps):
        if step == 1:
            said.append(Message.user(ask))
        name, path = ("Edit", f"/repo/src/part_{step}.py") if 1 <= step <= files else ("Read", "/repo/a.py")
        call = ToolCall(f"call_{step}", name, json.dumps({"file_path": path}))
        result = ToolResult(f"call_{step}", (Text(noise),), step >= steps - errors)
        said += [Message(Role.ASSISTANT, (call,)), Message(Role.USER, (result,))]
    return Request(model="auto", messages=tuple(said), tools=tools(*CLAUDE_CODE_TOOLS))


@pytest.mark.parametrize("size", [60_000, 200_000])
@pytest.mark.parametrize("ask", ["add a docstring to parse_header", "what does slugify return?"])
def test_an_ask_in_a_large_body_is_read_as_the_ask_alone(ask, size):
    features = features_of(body_of(ask, size))
    assert features.input_tokens > size / 5
    assert features.reading == features_of(asking(ask)).reading
    assert (features.recent_errors, features.files_written, features.touched) == (0, 0, ())
    assert features.loop_results > 20


def test_the_weight_of_a_history_stands_beside_the_ask():
    ask = "add a docstring to parse_header"
    calm, failing = features_of(body_of(ask, 60_000)), features_of(body_of(ask, 60_000, errors=3))
    writing = features_of(body_of(ask, 60_000, files=4))
    assert calm.reading == failing.reading == writing.reading
    assert (failing.recent_errors, failing.is_struggling) == (3, True)
    assert writing.files_written == 4
    assert calm.loop_results == failing.loop_results == writing.loop_results


def test_a_file_written_twice_is_one():
    assert features_of(looping("tidy up", 4, tool="Edit")).files_written == 1
