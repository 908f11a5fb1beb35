"""What holds for every request and every snapshot."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from lynkr.errors import CapabilityError
from lynkr.model import Message, OutputFormat, OutputKind, Request, Role, Text, ToolCall, ToolResult
from lynkr.routing import (
    Decision,
    PipelineRouter,
    Profile,
    Snapshot,
    Target,
    Tier,
    features_of,
    tier_of,
)
from lynkr.testing.laws import check_router_laws
from lynkr.testing.strategies import requests, snapshots
from tests.routing.agent_sessions import CLAUDE_CODE_TOOLS, PICTURE, asking, looping, tools
from tests.routing.conftest import NAMES

TARGETS = tuple(Target.parse(name) for names in NAMES.values() for name in names)
_SNAPSHOTS = snapshots(st.sampled_from(TARGETS))
_TRIBOOL = st.none() | st.booleans()
_PROFILES = st.fixed_dictionaries(
    {
        target: st.builds(
            Profile,
            tools=_TRIBOOL,
            vision=_TRIBOOL,
            structured_output=_TRIBOOL,
            context_window=st.none() | st.sampled_from([64, 4_096, 200_000]),
            max_output=st.none() | st.sampled_from([256, 8_192]),
        )
        for target in TARGETS
    }
)
ASKS = (
    "hi there",
    "thanks",
    "what is the capital of France?",
    "add a null check before this dereference",
    "Refactor billing across three microservices, and update every caller.",
    "Debug this race condition in the connection pool",
    "prove that this lock-free queue is linearizable",
    "fix the token check in src/auth/session.ts",
    "continue",
)
_ASKS = st.sampled_from(ASKS)


def _settled(decision: Decision) -> tuple[object, ...]:
    """The decision without the trace, whose sizes may differ."""
    return decision.tier, decision.score, decision.targets, decision.tiers


@given(requests(), _SNAPSHOTS)
def test_the_published_laws_hold(router, request_, snapshot):
    decision = check_router_laws(router, request_, snapshot, configured=TARGETS)
    assert decision is not None
    assert tier_of(decision.score) is decision.tier
    steps = [step.name for step in decision.trace]
    assert steps[0] == "features"
    assert {"effort", "shape", "context", "agentic", "risk", "tier", "ladder", "availability", "pin"} <= set(
        steps
    )
    assert all(step.code for step in decision.trace)
    assert decision.reason


@given(requests(), _SNAPSHOTS)
def test_without_profiles_every_target_stays_on_the_ladder_or_is_unavailable(router, request_, snapshot):
    decision = router.route(request_, snapshot)
    dropped = set(TARGETS) - set(decision.targets)
    assert dropped <= snapshot.unavailable
    if snapshot.unavailable >= set(TARGETS):
        assert not dropped
        assert "panic" in {step.code for step in decision.trace}


@given(_ASKS)
def test_when_all_are_unavailable_all_are_kept(router, ask):
    snapshot = Snapshot(unavailable=frozenset(TARGETS))
    decision = router.route(asking(ask), snapshot)
    assert decision.targets == router.route(asking(ask), Snapshot()).targets
    assert "panic" in {step.code for step in decision.trace}


def _but_for_sizes(decision):
    return [step for step in decision.trace if step.name not in ("features", "window", "cost")]


@given(_ASKS, st.sampled_from(["be secure", "prove the deadlock theorem", "x" * 5_000]), st.booleans())
def test_wrapping_the_ask_in_an_envelope_changes_nothing(router, ask, note, before):
    reminder = f"<system-reminder>\n{note}\n</system-reminder>"
    wrapped = f"{reminder}\n{ask}" if before else f"{ask}\n{reminder}"
    bare, loud = (router.route(asking(text), Snapshot()) for text in (ask, wrapped))
    assert _settled(bare) == _settled(loud)
    assert _but_for_sizes(bare) == _but_for_sizes(loud)


@given(
    st.lists(_ASKS, min_size=1, max_size=4),
    st.sampled_from([str.upper, str.lower, str.title, "\n\n  {}\t".format]),
)
def test_casing_and_surrounding_space_change_nothing(router, asks, change):
    plain = router.route(asking(*asks), Snapshot())
    other = router.route(asking(*(change(ask) for ask in asks)), Snapshot())
    assert _settled(plain) == _settled(other)


@given(_ASKS, st.sampled_from(["{} please", "Please {}", "{}.", "hey, {}"]))
def test_politeness_does_not_move_the_tier(router, ask, manner):
    assert (
        router.route(asking(manner.format(ask)), Snapshot()).tier
        is router.route(asking(ask), Snapshot()).tier
    )


@given(_ASKS)
def test_a_coding_agents_own_tools_do_not_raise_the_tier(router, ask):
    bare = router.route(asking(ask), Snapshot())
    offered = router.route(asking(ask, offered=tools(*CLAUDE_CODE_TOOLS)), Snapshot())
    assert (offered.tier, offered.score) == (bare.tier, bare.score)


@given(_ASKS, st.integers(0, 120), st.booleans())
def test_depth_alone_never_makes_a_session_reasoning(router, ask, steps, failed):
    alone = router.route(asking(ask), Snapshot()).tier
    deep = router.route(looping(ask, steps, failed=failed), Snapshot()).tier
    assert deep <= max(alone, Tier.COMPLEX)
    if not failed and alone is Tier.SIMPLE:
        assert deep <= Tier.MEDIUM


@given(_ASKS, st.integers(1, 30), st.integers(1, 30))
def test_a_longer_loop_never_lowers_the_tier(router, ask, steps, more):
    short, long = (router.route(looping(ask, count), Snapshot()) for count in (steps, steps + more))
    assert long.score >= short.score
    assert long.tier >= short.tier


def _lacks(target: Target, profiles: dict[Target, Profile], request: Request) -> bool:
    profile, features = profiles[target], features_of(request)
    return (
        (features.needs_vision and profile.vision is False)
        or (features.needs_tools and profile.tools is False)
        or (features.needs_structured_output and profile.structured_output is False)
        or (profile.context_window is not None and features.least_input_tokens >= profile.context_window)
    )


@given(_PROFILES, requests(), _SNAPSHOTS)
def test_criterion_18_no_target_is_offered_that_lacks_what_is_needed(profiles, request_, snapshot):
    router = PipelineRouter(NAMES, profiles=profiles.__getitem__)
    try:
        decision = router.route(request_, snapshot)
    except CapabilityError:
        return
    assert not any(_lacks(target, profiles, request_) for target in decision.targets)


@given(_PROFILES, _ASKS, st.sets(st.sampled_from(["tools", "image", "schema", "history"])))
def test_asking_for_more_never_brings_a_target_back(profiles, ask, extras):
    router = PipelineRouter(NAMES, profiles=profiles.__getitem__)
    more = asking(ask)
    if "tools" in extras:
        more = evolve(more, tools=tools("Read"))
    if "image" in extras:
        more = evolve(more, messages=(Message(Role.USER, (PICTURE, Text(ask))),))
    if "schema" in extras:
        more = evolve(more, output_format=OutputFormat(OutputKind.JSON_OBJECT))
    if "history" in extras:
        more = evolve(more, messages=(*looping("look around").messages, *more.messages))
    try:
        before = set(router.route(asking(ask), Snapshot()).targets)
    except CapabilityError:
        before = set()
    try:
        after = set(router.route(more, Snapshot()).targets)
    except CapabilityError:
        after = set()
    # A doubtful context (nothing surely fits) keeps more than a comfortable one.
    assert after <= before or any(profile.context_window == 64 for profile in profiles.values())
    assert not any(_lacks(target, profiles, more) for target in after)


@given(st.permutations(TARGETS[:2]), _ASKS)
def test_targets_of_a_tier_keep_their_order_whatever_they_are_called(order, ask):
    router = PipelineRouter(
        {Tier.SIMPLE: order, Tier.MEDIUM: order[::-1], Tier.COMPLEX: order, Tier.REASONING: order}
    )
    decision = router.route(asking(ask), Snapshot())
    own = order[::-1] if decision.tier is Tier.MEDIUM else order
    assert decision.targets == tuple(own)


@given(_ASKS, _SNAPSHOTS)
def test_the_clock_and_the_seed_of_a_snapshot_decide_nothing(router, ask, snapshot):
    later = evolve(snapshot, now=snapshot.now + 1e6, seed=snapshot.seed ^ 1)
    assert router.route(asking(ask), snapshot) == router.route(asking(ask), later)


@given(requests())
def test_features_alone_lead_to_the_same_decision(router, request_):
    assert router.decide(features_of(request_), Snapshot()) == router.route(request_, Snapshot())


@given(st.text("abcdefgh", min_size=12, max_size=30))
def test_a_decision_holds_no_prompt_text(router, secret):
    call = ToolCall("c", "Edit", json.dumps({"file_path": f"/{secret}/auth/{secret}.py"}))
    request = asking(f"refactor {secret} and prove {secret} safe")
    said = (
        *request.messages,
        Message(Role.ASSISTANT, (call,)),
        Message(Role.USER, (ToolResult("c", (Text(secret),)),)),
    )
    decision = router.route(evolve(request, messages=said), Snapshot())
    assert secret not in repr(decision)


_TABLE = {tier.name: names for tier, names in NAMES.items()}
_SCRIPT = f"""
from lynkr.model import Message, Request
from lynkr.routing import Pin, PipelineRouter, Snapshot, Target, Tier
tiers = {_TABLE!r}
router = PipelineRouter({{Tier[name]: targets for name, targets in tiers.items()}})
unavailable = frozenset(Target("local", name) for name in ("small", "tiny", "other"))
pinned = Target("other", "large")
snapshot = Snapshot(unavailable=unavailable, session="s", pin=Pin(pinned, pinned))
for ask in {ASKS!r}:
    said = (Message.user("audit auth and billing end to end"), Message.assistant("ok"), Message.user(ask))
    print(router.route(Request(model="auto", messages=said), snapshot))
"""


@pytest.mark.parametrize("seed", ["1", "4242"])
def test_criterion_16_the_hash_seed_of_the_process_decides_nothing(seed):
    root = str(Path(__file__).parents[2])

    def run(value: str) -> str:
        environment = {"PYTHONHASHSEED": value, "PYTHONPATH": root}
        return subprocess.run(
            [sys.executable, "-c", _SCRIPT],
            env=environment,
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
        ).stdout

    assert run("0").count("Decision(") == len(ASKS)
    # A frozenset of targets prints in hash order nowhere: the whole repr is compared.
    assert run(seed) == run("0")
