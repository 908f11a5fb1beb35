"""Who a request belongs to, whatever the client and whatever its harness wraps around the words."""

import json

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from lynkr.model import Extras, Message, Request, Role, Text, WireFormat
from lynkr.routing.context import RequestClass, SessionKey, SessionSource
from lynkr.routing.session import context_of, fingerprint, session_of, tool_seconds_of
from lynkr.testing.strategies import requests

UUID = "0f5c1c1e-8a4b-4b0e-9d3f-1d2b3c4d5e6f"
_NAMES = st.text(min_size=1, max_size=40).filter(str.strip)
_HINTS = (
    "x-claude-code-session-id",
    "x-claude-code-agent-id",
    "x-claude-code-parent-agent-id",
    "x-claude-code-request-class",
    "x-claude-code-agent-type",
    "x-claude-code-compaction",
    "x-claude-code-context-compacted",
    "x-claude-code-prev-tool-durations",
    "x-lynkr-deadline-ms",
    "session-id",
    "thread-id",
    "x-session-id",
)


@given(_NAMES, st.none() | _NAMES, st.none() | _NAMES)
def test_the_text_of_a_key_is_plain_and_names_one_key_only(session, agent, tenant):
    key = SessionKey(session, agent, tenant)
    assert str(key).isascii()
    assert str(key).isprintable()
    assert " " not in str(key)
    assert SessionKey.parse(str(key)) == key


@pytest.mark.parametrize("text", ["", ":", "t:", "/a", "t:/a", "a/b/c", "t:u:s", "t/u:s"])
def test_what_is_no_key_is_not_read_as_one(text):
    with pytest.raises(ValueError, match="session"):
        SessionKey.parse(text)


@given(st.dictionaries(st.sampled_from(_HINTS), st.text(max_size=60)), st.none() | requests())
def test_no_header_is_too_odd_to_read(headers, request_):
    context = context_of(headers, request_)
    assert context == context_of(dict(reversed(headers.items())), request_)
    if context.session is not None:
        assert SessionKey.parse(str(context.session)) == context.session


@given(requests(), st.text(max_size=200), st.sampled_from(["system-reminder", "environment_context"]))
def test_neither_the_billing_block_nor_envelopes_move_a_fingerprint(request_, noise, tag):
    bare = evolve(request_, messages=(Message.system("You are an agent."), Message.user("fix the parser")))
    noise = noise.replace("<", "")
    billing = Text(f"x-anthropic-billing-header: {noise}")
    loud = evolve(
        bare,
        messages=(
            Message(Role.SYSTEM, (billing, Text("You are an agent."))),
            Message(Role.USER, (Text(f"<{tag}>{noise}</{tag}>"), Text("fix the parser"))),
        ),
    )
    assert fingerprint(bare) == fingerprint(loud)


@given(st.lists(st.tuples(st.text(max_size=20), st.text(max_size=20)), max_size=4))
def test_a_fingerprint_holds_over_the_turns_of_a_conversation(turns):
    said = [Message.system("s"), Message.user("first ask")]
    opening = Request(model="auto", messages=tuple(said))
    for answer, ask in turns:
        said += [Message.assistant(answer), Message.user(ask)]
    assert fingerprint(Request(model="other", messages=tuple(said))) == fingerprint(opening)


def _one(ask, **fields):
    return Request(model="auto", messages=(Message.user(ask),), **fields)


def test_other_openers_and_other_end_users_are_other_conversations():
    prints = {fingerprint(_one("a")), fingerprint(_one("b")), fingerprint(_one("a", user="u1"))}
    assert len(prints) == 3


def test_a_request_in_which_nobody_spoke_has_no_fingerprint():
    assert (
        session_of(
            {}, Request(model="auto", messages=(Message.user("<system-reminder>x</system-reminder>"),))
        )
        is None
    )


@pytest.mark.parametrize(
    ("headers", "fields", "session", "source"),
    [
        ({"x-claude-code-session-id": UUID}, {"user": f"user_a_session_{UUID[::-1]}"}, UUID, "header"),
        ({"session-id": "s", "thread-id": "t"}, {}, "s", "header"),
        ({"thread-id": "t"}, {}, "t", "header"),
        ({"x-session-id": "ses_1"}, {}, "ses_1", "header"),
        ({"x-session-id": "  "}, {"user": f"user_ab_account_cd_session_{UUID}"}, UUID, "metadata"),
        ({}, {"user": json.dumps({"device_id": "d", "session_id": UUID})}, UUID, "metadata"),
        (
            {},
            {"extras": Extras(WireFormat.OPENAI_CHAT, {"prompt_cache_key": "thread-1"})},
            "thread-1",
            "metadata",
        ),
    ],
)  # fmt: skip
def test_a_session_is_known_by_header_then_by_metadata(headers, fields, session, source):
    key = session_of(headers, _one("hi", **fields))
    assert (key.session, key.source) == (session, SessionSource(source))


@pytest.mark.parametrize("user", ["{", "{}", '{"session_id": 3}', "[" * 100_000, "someone@example.com"])
def test_an_end_user_without_a_session_is_known_by_fingerprint(user):
    assert session_of({}, _one("hi", user=user)).source is SessionSource.FINGERPRINT


def test_subagents_of_a_session_have_keys_of_their_own():
    main = session_of({"x-claude-code-session-id": UUID})
    sub = session_of({"x-claude-code-session-id": UUID, "x-claude-code-agent-id": "a1"})
    assert main.session == sub.session
    assert str(main) != str(sub)
    assert session_of({"x-claude-code-session-id": UUID}, tenant="acme") != main


def test_threads_of_a_codex_session_have_keys_of_their_own():
    assert session_of({"session-id": UUID, "thread-id": UUID}).agent is None
    assert session_of({"session-id": UUID, "thread-id": "t"}).agent == "t"


def test_a_name_too_long_to_keep_is_kept_by_its_digest():
    long, other = (session_of({"x-session-id": char * 16_000}) for char in "ab")
    assert len(str(long)) < 100
    assert long != other


def test_claude_codes_hints_are_read():
    context = context_of(
        {
            "x-claude-code-session-id": UUID,
            "x-claude-code-agent-id": "a1",
            "x-claude-code-parent-agent-id": "main",
            "x-claude-code-request-class": "subagent",
            "x-claude-code-agent-type": "Explore",
            "x-claude-code-context-compacted": "true",
            "x-claude-code-prev-tool-durations": "Bash=742;Read=9;bad;=3;Edit=-1",
            "x-lynkr-deadline-ms": "1500",
        }
    )
    assert context.request_class is RequestClass.SUBAGENT
    assert (context.agent_type, context.parent_agent, context.context_compacted) == ("Explore", "main", True)
    assert dict(context.tool_seconds) == {"Bash": 0.742, "Read": 0.009}
    assert context.deadline_seconds == 1.5


def test_at_most_32_tool_durations_are_read():
    assert len(tool_seconds_of(";".join(f"t{n}=1" for n in range(100)))) == 32
