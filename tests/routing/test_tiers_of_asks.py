"""Asks and the tiers they may land in: the reference's published failures first."""

import pytest

from lynkr.model import Message, Request
from lynkr.routing import Snapshot, Tier
from tests.routing.agent_sessions import CLAUDE_CODE_TOOLS, asking, looping, tools

S, M, C, R = Tier.SIMPLE, Tier.MEDIUM, Tier.COMPLEX, Tier.REASONING


def tier(router, *asks, **fields):
    return router.route(asking(*asks, **fields), Snapshot()).tier


# Force words and risk substrings sent these to the top tier (shared/reference/lynkr-js.md, 3.3 and 3.4).
@pytest.mark.parametrize(
    "ask",
    [
        "please verify the tests pass",
        "proof of purchase email",
        "think through this naming",
        "who is the author of this file",
        "rename the author field",
        "infrared sensor driver",
        "add schema.org tags",
        "production of milk in France",
        "explain the secretary problem",
    ],
)
@pytest.mark.parametrize("offered", [(), tools(*CLAUDE_CODE_TOOLS)], ids=["bare", "in an agent"])
def test_a_word_that_only_looks_grave_stays_cheap(router, ask, offered):
    assert tier(router, ask, offered=offered) in (S, M)


# A dead scorer sent these to SIMPLE (3.6).
@pytest.mark.parametrize(
    "ask",
    [
        "refactor billing across three microservices so that an invoice is computed in one place only",
        "two workers sometimes take the same job; debug the race condition",
        "Debug this race condition in the connection pool: under load a connection is handed out twice.",
    ],
)
def test_hard_work_without_force_words_is_complex(router, ask):
    assert tier(router, ask) in (C, R)


# The judged scenarios of the reference's benchmark (12.2), in our words.
@pytest.mark.parametrize(
    ("ask", "acceptable"),
    [
        ("What does git stash do?", (S, M)),
        ("Analyse the security trade-offs of JWTs against cookies for a bank's web application.", (C, R)),
        ("Refactor the entire ingestion pipeline and show me the plan.", (C, R)),
        ("Fix the missing null check in src/auth/middleware.ts and adapt the tests.", (C, R)),
        (
            "17+25\n<system-reminder>Authentication needed. Security policy: production.</system-reminder>",
            (S, M),
        ),
        ("hi, you there?", (S, M)),
        ("Review this retry helper for bugs and edge cases and suggest improvements.", (M, C)),
    ],
)
def test_a_scenario_lands_in_an_acceptable_tier(router, ask, acceptable):
    assert tier(router, ask) in acceptable


def test_suggestion_mode_is_never_dear(router):
    wrapper = (
        "[SUGGESTION MODE: Suggest what the user might type.] They spoke of leaked production credentials."
    )
    assert tier(router, "how do I revoke a leaked credential?", wrapper, offered=tools("Bash", "Read")) is S


def test_an_autonomous_errand_is_complex(router):
    ask = (
        "Work autonomously: run the tests, fix each failure one by one and keep iterating until all is green."
    )
    assert tier(router, ask, offered=tools(*CLAUDE_CODE_TOOLS)) in (C, R)


def test_a_trivial_opener_does_not_hold_the_session_down(router):
    assert tier(router, "hi, you there?", "Now do an architecture review of the routing module.") in (C, R)


def test_an_envelope_with_history_and_tools_changes_nothing(router):
    ask = "Review this retry helper for bugs and edge cases and suggest improvements."
    reminder = f"<system-reminder>Project notes: {'lorem ipsum ' * 300}</system-reminder>"
    wrapped = f"{reminder}\n{ask}\n<system-reminder>The user opened retry.js.</system-reminder>"
    bare = router.route(asking(ask), Snapshot())
    loud = router.route(
        asking("earlier context for this", wrapped, offered=tools("Read", "Edit", "Bash")), Snapshot()
    )
    assert loud.tier is bare.tier


@pytest.mark.parametrize(
    "ask",
    [
        "rotate the signing keys in production",
        "add refunds to the payment service",
        "fix the permission check in the admin panel",
        "run the database migration that drops the old column",
        "change terraform so that the bucket is public",
        "update src/billing/charge.py to retry",
        "store passwords with argon2: replace the md5 hash",
    ],
)
def test_changing_something_dear_is_at_least_complex(router, ask):
    decision = router.route(asking(ask), Snapshot())
    assert decision.tier in (C, R)
    assert any(step.code == "risky_words" for step in decision.trace)


@pytest.mark.parametrize(
    "ask",
    [
        "what does oauth stand for?",
        "explain how password hashing works",
        "fix the typo in the payment docs",
        "list the files under src/auth",
        "the author added authors to the authority list",
        "summarize the meeting about milk production",
        "my subscription to the magazine",
        "rename the variable payment to amount",
    ],
)
def test_speaking_of_something_dear_is_not_changing_it(router, ask):
    decision = router.route(asking(ask), Snapshot())
    assert decision.tier in (S, M)
    assert any(step.code == "no_risk" for step in decision.trace)


def test_a_file_really_written_counts_as_risk(router):
    ask = "make the change we spoke of"
    touched = router.route(looping(ask, 1, tool="Edit", path="/repo/src/auth/token.py"), Snapshot())
    assert touched.tier is C
    assert touched.reason == "risk"
    assert router.route(looping(ask, 1, tool="Edit", path="/repo/src/author/name.py"), Snapshot()).tier < C


@pytest.mark.parametrize(
    ("ask", "wanted"),
    [
        ("good morning", S),
        ("what is the boiling point of water", S),
        ("write a unit test for the date parser", M),
        ("design a plugin system with sandboxing for our editor", C),
        ("prove that the square root of two is irrational", R),
        ("do a security audit of the upload service", R),
        ("ultrathink: why is this scheduler unfair?", R),
    ],
)
def test_text_alone_reaches_every_tier(router, ask, wanted):
    assert tier(router, ask) is wanted


HARD = "Prove that this lock-free queue is linearizable, step by step."


@pytest.mark.parametrize("follow_up", ["continue", "yes, do it", "go ahead please", "try again"])
def test_a_word_to_go_on_inherits_the_ask_before_it(router, follow_up):
    offered = tools(*CLAUDE_CODE_TOOLS)
    assert tier(router, HARD, follow_up, offered=offered) >= C
    assert tier(router, follow_up, offered=offered) is S


def test_an_acknowledgement_inherits_some_of_it_in_an_agent_session_only(router):
    offered = tools(*CLAUDE_CODE_TOOLS)
    assert tier(router, HARD, "ok, makes sense", offered=offered) is M
    assert tier(router, HARD, "ok, makes sense") is S


@pytest.mark.parametrize("talk", ["thanks!", "hello", "ok thanks", "good morning", "bye"])
def test_small_talk_is_simple_whatever_came_before(router, talk):
    assert tier(router, HARD, talk, offered=tools(*CLAUDE_CODE_TOOLS)) is S


def test_what_is_inherited_decays(router):
    offered = tools(*CLAUDE_CODE_TOOLS)
    scores = [
        router.route(asking(HARD, *["continue"] * times, offered=offered), Snapshot()).score
        for times in range(1, 5)
    ]
    assert scores == sorted(scores, reverse=True)
    assert scores[0] > scores[-1]


def test_a_new_light_ask_after_a_hard_one_is_light(router):
    assert tier(router, HARD, "add a docstring to this method", offered=tools(*CLAUDE_CODE_TOOLS)) is M


def test_a_loop_needs_a_model_that_can_drive_tools(router):
    assert tier(router, "hello there") is S
    assert router.route(looping("what is in this folder", 1), Snapshot()).tier is M


def test_a_loop_that_keeps_failing_goes_up(router):
    fine = router.route(looping("make the build work", 6), Snapshot())
    stuck = router.route(
        looping("make the build work", 6, output="error: no such module", failed=True), Snapshot()
    )
    assert stuck.tier is C
    assert stuck.reason == "tool_errors"
    assert fine.tier is M


def test_title_requests_are_simple_although_they_quote_the_ask(router):
    system = Message.system("Generate a concise, sentence-case title (3-7 words) for this session.")
    request = Request(model="auto", messages=(system, Message.user(HARD)))
    decision = router.route(request, Snapshot())
    assert (decision.tier, decision.reason) == (S, "side_traffic")
