"""What is told about a decision is true: each change named gives the tier it names."""

import json
import subprocess
import sys

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from lynkr.routing import (
    Constraints,
    Features,
    PipelineRouter,
    Snapshot,
    Step,
    Target,
    Tier,
    tier_of,
    weighted,
)
from lynkr.routing.why import decision_json, exclusions_of, flips_of
from lynkr.telemetry import Query, Record, SQLiteStore
from lynkr.telemetry.record import Ending
from lynkr.testing.strategies import requests, snapshots
from tests.routing.agent_sessions import asking
from tests.routing.conftest import NAMES

TARGETS = tuple(Target.parse(name) for names in NAMES.values() for name in names)
_SCORES = st.lists(st.none() | st.floats(0, 0.99).map(lambda x: round(x, 3)), min_size=1, max_size=5)


def _trace(scores):
    steps = tuple(Step(f"s{n}", "found", score) for n, score in enumerate(scores))
    return steps, weighted()(Features(), steps)


@given(_SCORES)
def test_each_change_of_difficulty_gives_the_tier_it_names(scores):
    steps, (tier, settled) = _trace(scores)
    for flip in flips_of((*steps, settled)):
        assert flip.tier is not tier
        if flip.step == "tier":
            moved = settled.score + flip.change - (1e-6 if flip.change < 0 or flip.change == 0 else -1e-6)
            assert tier_of(max(0.0, moved)) is flip.tier
        else:
            silent = tuple(evolve(step, score=0.0) if step.name == flip.step else step for step in steps)
            assert weighted()(Features(), silent)[0] is flip.tier


EXAM = (
    "A train travels 120 km in 2 hours and then 180 km in 3 hours. "
    "How many km per hour is the average speed? Calculate the total."
)


def test_a_scorer_that_is_not_heard_is_no_part_of_the_sum(router):
    from lynkr.routing.features import features_of

    decision = router.route(asking(EXAM), Snapshot())
    settled = next(step for step in decision.trace if step.name == "tier")
    assert settled.code == "difficulty"
    assert settled.data["unheard"]
    assert decision.flips
    assert all("were it not" not in flip.reason for flip in decision.flips)
    features = features_of(asking(EXAM))
    scores = [step for step in decision.trace if step.score is not None and step.name != "tier"]
    for flip in decision.flips:
        if flip.step != "tier":  # an abstention, to a scorer, is to have found nothing
            silent = [evolve(step, score=None) if step.name == flip.step else step for step in scores]
            assert weighted()(features, tuple(silent))[0] is flip.tier


@given(_SCORES, st.dictionaries(st.sampled_from(("s0", "s1", "s2")), st.floats(0, 2), min_size=1))
def test_weights_and_thresholds_of_ones_own_are_reckoned_with(scores, weights):
    limits = {Tier.SIMPLE: 0.0, Tier.MEDIUM: 0.1, Tier.COMPLEX: 0.2, Tier.REASONING: 0.3}
    policy = weighted(weights, thresholds=limits)
    steps = tuple(Step(f"s{n}", "found", score) for n, score in enumerate(scores))
    tier, settled = policy(Features(), steps)
    flips = flips_of((*steps, settled))
    assert flips
    for flip in flips:
        assert flip.tier is not tier
        if flip.step == "tier":
            moved = settled.score + flip.change - (1e-6 if flip.change <= 0 else -1e-6)
            assert tier_of(max(0.0, moved), limits) is flip.tier
        else:
            silent = tuple(evolve(step, score=0.0) if step.name == flip.step else step for step in steps)
            assert policy(Features(), silent)[0] is flip.tier


def test_of_a_policy_of_somebodys_own_nothing_is_claimed():
    def by_length(features, scores):
        return Tier.COMPLEX, Step("tier", "by length", 0.6, "by_length")

    assert PipelineRouter(NAMES, policy=by_length).route(asking("hi"), Snapshot()).flips == ()


@given(_SCORES)
def test_the_first_change_is_the_smallest(scores):
    steps, (_, settled) = _trace(scores)
    sizes = [abs(flip.change) for flip in flips_of((*steps, settled))]
    assert sizes == sorted(sizes)
    assert sizes


def test_a_floor_is_named_as_what_would_change_the_tier(router):
    decision = router.route(asking("rotate the payment credentials"), Snapshot())
    assert decision.reason == "risk"
    flip = decision.flips[0]
    assert flip.reason == "were it not for risk"
    assert flip.tier < decision.tier


def test_side_traffic_is_named_as_what_would_change_the_tier(router):
    ask = "[SUGGESTION MODE: refactor billing across three services and prove it correct]"
    assert "side_traffic" in router.route(asking(ask), Snapshot()).flips[0].reason


@given(requests(), snapshots(st.sampled_from(TARGETS)))
def test_criterion_17_every_candidate_is_offered_or_left_out_with_a_code(router, request_, snapshot):
    decision = router.route(request_, snapshot)
    left = {out.target for out in decision.exclusions}
    assert set(decision.candidates) == {str(target) for target in TARGETS}
    assert set(decision.candidates) == {str(target) for target in decision.targets} | left
    assert not left & {str(target) for target in decision.targets}
    assert all(out.code and out.rule for out in decision.exclusions)


@given(requests(), snapshots(st.sampled_from(TARGETS)))
def test_equal_decisions_have_equal_digests_and_only_they(router, request_, snapshot):
    one, two = (router.route(request_, snapshot) for _ in range(2))
    assert one.digest == two.digest
    assert evolve(one, score=one.score / 2 + 0.01).digest != one.digest
    assert evolve(one, targets=(*one.targets, Target("x", "y"))).digest != one.digest
    assert json.loads(json.dumps(decision_json(one)))["decision_id"] == one.digest


def test_a_digest_is_the_same_in_every_process():
    script = (
        "from lynkr.routing import *; from lynkr.model import *;"
        "r = PipelineRouter({Tier.SIMPLE: ['a:b'], Tier.COMPLEX: ['c:d', 'e:f']});"
        "s = Snapshot(unavailable=frozenset(map(Target.parse, ['c:d', 'e:f'])));"
        "print(r.route(Request(model='auto', messages=(Message.user('audit auth end to end'),)), s).digest)"
    )
    digests = {
        subprocess.run(
            [sys.executable, "-c", script],
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": "."},
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
        ).stdout
        for seed in ("0", "77")
    }
    assert len(digests) == 1


def test_a_record_explains_as_much_as_its_decision(router, tmp_path, capsys):
    from lynkr.cli import main

    snapshot = Snapshot(constraints=Constraints(blocked=frozenset({"other:*"})))
    decision = router.route(asking("Refactor billing across three microservices"), snapshot)
    record = Record(
        id="0123abcd",
        at=1.7e9,
        client_format=None,
        requested_model="auto",
        stream=False,
        ending=Ending.OK,
        status=200,
        tier=decision.tier,
        score=decision.score,
        reason=decision.reason,
        trace=decision.trace,
        target=decision.target,
        session="s-1",
    )
    path = tmp_path / "ledger.db"
    store = SQLiteStore(path)
    store.write([record, evolve(record, id="9999", tier=None, score=None, trace=(), target=None)])
    (back,) = store.read(Query(id="0123abcd"))
    store.close()
    assert exclusions_of(back.trace) == decision.exclusions
    assert flips_of(back.trace) == decision.flips

    config = tmp_path / "lynkr.toml"
    config.write_text(f'[tiers]\nSIMPLE = ["ollama:a"]\n[telemetry]\npath = "{path}"\n')
    assert main(["why", "0123", "--config", str(config)]) == 0
    told = capsys.readouterr().out
    assert "smallest change" in told
    assert "blocked (policy)" in told
    assert main(["why", "0123abcd", "--json", "--config", str(config)]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["excluded"] == [{"target": "other:large", "rule": "policy", "code": "blocked"}]
    assert told["flips"]
    assert main(["why", "9999", "--config", str(config)]) == 0
    assert "named by the client" in capsys.readouterr().out
    assert main(["logs", "--config", str(config), "--tier", decision.tier.name]) == 0
    assert "0123abcd" in capsys.readouterr().out
    assert main(["logs", "--json", "--config", str(config)]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 2
    assert main(["logs", "--errors", "--config", str(config)]) == 0
    assert "no such request" in capsys.readouterr().out
    assert main(["why", "nothing", "--config", str(config)]) == 2
    assert "lynkr logs" in capsys.readouterr().err


@pytest.mark.parametrize("share", [-0.1, 1.1])
def test_a_share_of_exploration_is_a_share(share):
    from lynkr.errors import ConfigError

    with pytest.raises(ConfigError, match="share"):
        PipelineRouter(NAMES, exploration=share)


def test_exploration_tries_what_it_says_as_often_as_it_says():
    router = PipelineRouter(NAMES, exploration=0.4)
    ask = asking("Refactor billing across three microservices")
    tried = [router.route(ask, Snapshot(seed=seed)) for seed in range(4_000)]
    best = PipelineRouter(NAMES).route(ask, Snapshot())
    step = next(step for step in tried[0].trace if step.name == "exploration")
    candidates = [Target.parse(name) for name in step.data["candidates"]]
    propensities = {decision.target: decision.propensity for decision in tried}
    assert set(propensities) == set(candidates)
    assert sum(propensities.values()) == pytest.approx(1.0)
    for target, propensity in propensities.items():
        share = sum(decision.target == target for decision in tried) / len(tried)
        assert share == pytest.approx(propensity, abs=0.03)
    assert propensities[best.target] > 0.6
    assert {decision.tier for decision in tried} == {best.tier}


@pytest.mark.parametrize("ask", ["rotate the payment credentials and deploy", "[SUGGESTION MODE: x]"])
def test_neither_risk_nor_side_traffic_is_explored(ask):
    router = PipelineRouter(NAMES, exploration=1.0)
    targets = {router.route(asking(ask), Snapshot(seed=seed)).target for seed in range(50)}
    assert targets == {PipelineRouter(NAMES).route(asking(ask), Snapshot()).target}


def test_exploration_is_off_unless_asked_for(router):
    decision = router.route(asking("hi"), Snapshot(seed=3))
    assert decision.propensity == 1.0
    assert "exploration" not in {step.name for step in decision.trace}
    assert decision.tier is Tier.SIMPLE


def test_no_flip_is_claimed_where_those_stood_in_for_kept_silent(router):
    question = "A train travels 120 km in 2 hours. How many km does it travel in 5 hours?"
    decision = router.route(asking(question), Snapshot())
    assert {step.name for step in decision.trace if step.code == "stood_in"} == {"effort", "shape"}
    assert {flip.step for flip in decision.flips} == {"tier"}
