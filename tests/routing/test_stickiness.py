"""A session stays with its target, and leaves it for a reason that is written down."""

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from lynkr.model import Message, Role, Text, ToolCall, ToolResult
from lynkr.routing import (
    CacheKind,
    Keep,
    Pin,
    PipelineRouter,
    Profile,
    Rates,
    RequestClass,
    RequestContext,
    Snapshot,
    Target,
    Tariff,
    Tier,
    features_of,
    pin_after,
)
from lynkr.routing.stickiness import HoldsOpenLoop, Stays, Verdict
from lynkr.testing.policy import price_tables
from lynkr.testing.strategies import pins, requests
from tests.routing.agent_sessions import asking, looping

LOCAL, NANO, SONNET, OPUS = map(Target.parse, ("local:small", "cloud:nano", "cloud:sonnet", "cloud:opus"))
TABLE = {Tier.SIMPLE: [LOCAL], Tier.MEDIUM: [NANO], Tier.COMPLEX: [SONNET], Tier.REASONING: [OPUS]}
TARGETS = (LOCAL, NANO, SONNET, OPUS)
ROUTER = PipelineRouter(TABLE)
EASY, MIDDLING, HARD = (
    "what is the capital of France?",
    "explain this function",
    "refactor billing across three services",
)
RISKY = "rotate the payment credentials and deploy"
RATES = Rates(
    {
        NANO: Tariff(0.25, 2.0, 0.025, None, CacheKind.AUTOMATIC),
        SONNET: Tariff(3.0, 15.0, 0.3, 3.75, CacheKind.EXPLICIT),
        OPUS: Tariff(5.0, 25.0, 0.5, 6.25, CacheKind.EXPLICIT),
    },
    "2026-11-23",
)  # fmt: skip
_AMONG = st.sampled_from(TARGETS)


def at(home, served=None, **fields):
    return Snapshot(session="s", pin=Pin(served or home, home), **fields)


def told(decision):
    return next(step.code for step in decision.trace if step.name == "pin")


@given(pins(_AMONG), price_tables(TARGETS), st.sampled_from((EASY, HARD, RISKY)), st.integers(1, 12))
def test_criterion_19_no_price_and_no_ask_moves_an_open_loop(pin, rates, ask, steps):
    decision = ROUTER.route(looping(ask, steps), Snapshot(session="s", pin=pin, rates=rates))
    assert decision.target == pin.served
    assert told(decision) == "tool_loop"


@given(pins(_AMONG), requests())
def test_calls_that_wait_for_results_are_an_open_loop_too(pin, request_):
    waiting = Message(Role.ASSISTANT, (ToolCall("c", "Read", "{}"),))
    open_ = evolve(request_, messages=(*request_.messages, waiting))
    decision = ROUTER.route(open_, Snapshot(session="s", pin=pin))
    if not features_of(open_).is_side_traffic:
        assert decision.target == pin.served


@given(pins(_AMONG), price_tables(TARGETS), requests())
def test_a_session_never_brings_a_target_in_or_out(pin, rates, request_):
    alone = ROUTER.route(request_, Snapshot(rates=rates))
    stuck = ROUTER.route(request_, Snapshot(rates=rates, session="s", pin=pin))
    assert set(stuck.targets) == set(alone.targets)
    assert (stuck.tier, stuck.score) == (alone.tier, alone.score)


@given(pins(_AMONG), price_tables(TARGETS), st.sampled_from((EASY, MIDDLING, HARD, RISKY)))
def test_a_session_never_serves_below_the_asks_own_tier(pin, rates, ask):
    alone = ROUTER.route(asking(ask), Snapshot())
    stuck = ROUTER.route(asking(ask), Snapshot(session="s", pin=pin, rates=rates))
    assert TARGETS.index(stuck.target) >= TARGETS.index(alone.target)


@given(pins(_AMONG), st.sampled_from(("[SUGGESTION MODE: x]", "Please write a 5-10 word title for this")))
def test_side_traffic_neither_reads_nor_writes_the_pin(pin, ask):
    decision = ROUTER.route(asking(HARD, ask), Snapshot(session="s", pin=pin))
    assert decision.target == LOCAL
    assert decision.keep is None
    assert pin_after(pin, decision.keep, decision.target, 1.0) is None


@pytest.mark.parametrize("home", [LOCAL, NANO])
def test_a_harder_ask_escapes_upward(home):
    decision = ROUTER.route(asking(HARD), at(home))
    assert decision.target == SONNET
    assert told(decision) == "escalated"


def test_an_easier_ask_stays_while_nothing_shows_that_leaving_pays():
    decision = ROUTER.route(asking(HARD, MIDDLING), at(SONNET))
    assert (decision.target, told(decision)) == (SONNET, "pinned")


def test_an_easier_ask_leaves_where_the_saving_beats_the_cold_read():
    pin = Pin(OPUS, OPUS, tokens=4_000, messages=1)
    decision = ROUTER.route(
        asking(EASY, "explain what main.py does"), Snapshot(session="s", pin=pin, rates=RATES)
    )
    assert (decision.target, told(decision)) == (NANO, "cheaper")
    step = next(step for step in decision.trace if step.name == "pin")
    assert step.data["saving_microusd"] > 0


def test_an_easier_ask_stays_where_few_turns_are_left_to_earn_the_cold_read_back():
    near = Rates({SONNET: RATES.tariffs[SONNET], NANO: Tariff(2.5, 12.0, 0.25, 3.1, CacheKind.EXPLICIT)})
    pin = Pin(SONNET, SONNET, tokens=150_000, messages=1)
    decision = ROUTER.route(
        asking(EASY, "explain what main.py does"), Snapshot(session="s", pin=pin, rates=near)
    )
    assert (decision.target, told(decision)) == (SONNET, "pinned")


def test_behind_a_compaction_nothing_is_asked_and_the_session_stays():
    summary = "This session is being continued from a previous conversation that ran out of context."
    decision = ROUTER.route(asking(summary), evolve(at(OPUS), pin=Pin(OPUS, OPUS, 180_000, 90), rates=RATES))
    assert (decision.target, told(decision)) == (OPUS, "nothing_asked")


def test_a_conversation_begun_anew_is_not_held_by_the_old_ones_pin():
    decision = ROUTER.route(asking(EASY), evolve(at(OPUS), pin=Pin(OPUS, OPUS, 180_000, 90)))
    assert told(decision) == "restarted"
    assert decision.target != OPUS


def test_a_target_that_overflows_is_left():
    windows = {LOCAL: 2_000}
    router = PipelineRouter(TABLE, profiles=lambda target: Profile(context_window=windows.get(target)))
    decision = router.route(asking("word " * 5_000), at(LOCAL))
    assert (decision.target == LOCAL, told(decision)) == (False, "pin_unusable")


def test_a_risk_holds_its_loop_and_is_never_home():
    first = ROUTER.route(asking(MIDDLING, RISKY), at(NANO))
    assert (first.target, told(first)) == (SONNET, "escalated")
    assert first.keep == Keep(False, first.keep.tokens, 3)
    pin = pin_after(Pin(NANO, NANO), first.keep, first.target, 2.0)
    assert (pin.served, pin.home) == (SONNET, NANO)
    loop = ROUTER.route(looping(RISKY), Snapshot(session="s", pin=pin))
    assert loop.target == SONNET
    after = pin_after(pin, loop.keep, loop.target, 3.0)
    assert after.home == NANO
    assert ROUTER.route(asking(RISKY, MIDDLING), Snapshot(session="s", pin=after)).target == NANO


def test_after_a_fallback_the_session_stays_with_whoever_answered():
    decision = ROUTER.route(asking(MIDDLING), at(NANO))
    pin = pin_after(Pin(NANO, NANO), decision.keep, SONNET, 2.0)
    assert (pin.served, pin.home, pin.at) == (SONNET, SONNET, 2.0)


def _as(kind, **fields):
    return Snapshot(context=RequestContext(request_class=RequestClass(kind), **fields))


@pytest.mark.parametrize("kind", ["auxiliary", "compaction"])
def test_what_a_client_states_beats_what_the_words_look_like(kind):
    decision = ROUTER.route(asking(HARD), evolve(_as(kind), pin=Pin(OPUS, OPUS)))
    assert (decision.tier, decision.target, decision.keep) == (Tier.SIMPLE, LOCAL, None)
    assert ROUTER.route(asking(HARD, "[SUGGESTION MODE: x]"), _as("main")).keep is not None


def test_a_compaction_goes_to_the_cheapest_target_that_surely_holds_it():
    windows = {LOCAL: None, NANO: 400_000, SONNET: 1_000_000, OPUS: 200_000}
    router = PipelineRouter(TABLE, profiles=lambda target: Profile(context_window=windows[target]))
    snapshot = evolve(_as("compaction"), rates=RATES)
    decision = router.route(asking("word " * 60_000, "sum it up"), snapshot)
    assert (decision.target, told(decision)) == (NANO, "cheap_large_context")


@pytest.mark.parametrize(
    ("agent", "tier"), [("Explore", Tier.MEDIUM), ("Plan", Tier.COMPLEX), ("general-purpose", Tier.REASONING)]
)
def test_subagents_are_served_by_type(agent, tier):
    ask = "prove from first principles that the scheduler cannot deadlock"
    decision = ROUTER.route(asking(ask), _as("subagent", agent_type=agent))
    assert decision.tier is tier or (agent == "Plan" and decision.tier >= tier)


def test_the_rules_can_be_replaced():
    router = PipelineRouter(TABLE, sessions=[HoldsOpenLoop(), Stays()])
    assert router.route(asking(HARD), at(LOCAL)).target == LOCAL
    assert told(router.route(asking(HARD), Snapshot())) == "as_proposed"

    def always_opus(proposal, features, snapshot):
        return Verdict(ROUTER.route(asking("hi"), Snapshot()).trace[-1], OPUS)

    assert PipelineRouter(TABLE, sessions=[always_opus]).route(asking("hi"), Snapshot()).target == OPUS


def test_a_result_with_a_word_of_the_user_beside_it_is_still_an_open_loop():
    open_ = looping(EASY, 2)
    last = open_.messages[-1]
    spoken = evolve(open_, messages=(*open_.messages[:-1], Message(Role.USER, (*last.parts, Text(HARD)))))
    assert isinstance(last.parts[0], ToolResult)
    assert ROUTER.route(spoken, at(NANO)).target == NANO
