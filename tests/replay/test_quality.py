"""Off-policy estimates are right where the truth is known, and refused where it cannot be."""

import random

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from lynkr.replay import Sample, estimate_quality, judged_by, outcome_of, replay
from lynkr.routing import PipelineRouter, Snapshot, Step, Target, Tier, fixed
from lynkr.routing.exploration import chances_of
from lynkr.telemetry import MemoryStore
from lynkr.telemetry.record import Ending, Signal, SignalKind
from tests.replay.made import TIERS, Ledger, Prices
from tests.routing.agent_sessions import asking

A, B, C = (Target("m", name) for name in "abc")
TRUTH = {A: 0.4, B: 0.7, C: 0.9}
LOGGED = {A: 0.8, B: 0.1, C: 0.1}


def drawn(number, policy, seed, *, per_session=1, truth=TRUTH):
    rng = random.Random(seed)
    for place in range(number):
        action = rng.choices(list(LOGGED), list(LOGGED.values()))[0]
        reward = float(rng.random() < truth[action])
        yield Sample(f"s{place // per_session}", "SIMPLE", action, LOGGED[action], reward, policy)


def value_of(policy):
    return sum(chance * TRUTH[target] for target, chance in policy.items())


POLICIES = [{A: 1.0}, {B: 1.0}, {A: 0.5, C: 0.5}, LOGGED]


@pytest.mark.parametrize("policy", POLICIES)
def test_over_many_ledgers_the_estimates_are_right_and_their_intervals_hold(policy):
    truth, ledgers = value_of(policy), 40
    found = [estimate_quality(drawn(1_500, policy, seed)) for seed in range(ledgers)]
    for name in ("ips", "snips", "dr"):
        estimates = [getattr(quality, name) for quality in found]
        mean = sum(one.value for one in estimates) / ledgers
        assert mean == pytest.approx(truth, abs=0.02)
        covered = sum(one.low <= truth <= one.high for one in estimates)
        assert covered >= 0.78 * ledgers  # of 90 %, by chance hardly less
        assert all(one.low <= one.value <= one.high for one in estimates)


def test_the_doubly_robust_estimate_is_the_least_noisy():
    policy = {B: 1.0}

    def spread(name):
        values = [getattr(estimate_quality(drawn(1_500, policy, seed)), name).value for seed in range(20)]
        mean = sum(values) / len(values)
        return sum((value - mean) ** 2 for value in values)

    assert spread("dr") < spread("ips")
    assert spread("snips") < spread("ips")


@given(st.integers(0, 2**20), st.sampled_from(POLICIES))
def test_snips_stays_within_what_was_seen_and_the_logged_policy_is_worth_what_it_was(seed, policy):
    samples = list(drawn(400, policy, seed))
    quality = estimate_quality(samples)
    if quality.refusal is None:
        assert 0.0 <= quality.snips.value <= 1.0
        assert quality.logged.value == pytest.approx(sum(s.reward for s in samples) / 400)
        assert 0 < quality.overlap.effective <= quality.overlap.samples + 1e-6
        assert 0 < quality.overlap.largest <= 1
    if policy is LOGGED:
        assert quality.ips.value == pytest.approx(quality.logged.value)
        assert quality.overlap.effective == pytest.approx(400)


def test_requests_of_one_session_are_not_counted_as_if_they_were_many():
    rng = random.Random(1)
    alike = []
    for session in range(60):
        reward, action = float(rng.random() < 0.5), rng.choices(list(LOGGED), list(LOGGED.values()))[0]
        alike += [Sample(f"s{session}", "SIMPLE", action, LOGGED[action], reward, LOGGED)] * 20
    apart = [evolve(sample, session=f"x{place}") for place, sample in enumerate(alike)]
    narrow, wide = estimate_quality(apart).ips, estimate_quality(alike).ips
    assert wide.high - wide.low > 3 * (narrow.high - narrow.low)


@pytest.mark.parametrize(
    ("samples", "refusal", "told"),
    [
        ([], "never_explored", "exploration.share"),
        (list(drawn(500, {Target("m", "new"): 0.0}, 1)), "no_overlap", "could not have been chosen"),
        (list(drawn(100, {B: 1.0}, 1)), "too_few", "even observations"),
        (list(drawn(500, {A: 0.9}, 1)), "no_overlap", "500 of 500"),
    ],
)
def test_what_does_not_identify_the_value_is_refused_with_the_reason(samples, refusal, told):
    quality = estimate_quality(samples)
    assert quality.refusal == refusal
    assert told in quality.reason
    assert (quality.ips, quality.snips, quality.dr) == (None, None, None)
    assert quality.as_json()["refusal"] == refusal


def test_without_an_outcome_nothing_is_told():
    assert estimate_quality([], without_outcome=7).refusal == "no_outcomes"


@given(st.integers(0, 2**40), st.sampled_from((0.1, 0.5, 1.0)))
def test_the_chances_of_a_decision_sum_to_one_and_give_its_propensity(seed, share):
    router = PipelineRouter(TIERS, exploration=share)
    decision = router.route(asking("explain what main.py does"), Snapshot(seed=seed))
    chances = chances_of(decision)
    assert sum(chances.values()) == pytest.approx(1.0)
    assert chances[decision.target] == pytest.approx(decision.propensity)
    best = PipelineRouter(TIERS).route(asking("explain what main.py does"), Snapshot()).target
    assert max(chances, key=chances.__getitem__) == best or share == 1.0
    assert chances_of(PipelineRouter(TIERS).route(asking("hi"), Snapshot())) == {
        Target.parse(TIERS[Tier.SIMPLE][0]): 1.0
    }


def good(target, tier):
    """Larger models answer better here, by known chances."""
    return {"nano": 0.3, "mini": 0.6}.get(target.model.rsplit("-", 1)[-1], 0.9)


def _mean_quality(records, router):
    """The expected reward of *router* in the requests that were explored."""
    from lynkr.routing.exploration import explored_among
    from lynkr.routing.recorded import seen_of_json

    served = [router.decide(*seen_of_json(r.features)).target for r in records if explored_among(r.trace)]
    return sum(good(target, None) for target in served) / len(served)


def test_from_a_ledger_with_exploration_the_value_of_another_policy_is_found():
    exploring = PipelineRouter(TIERS, exploration=0.5)

    def second_first(targets, features, snapshot):
        return (targets[1], targets[0], *targets[2:]), Step("second", "the second first", code="second")

    policy = PipelineRouter(TIERS, rules=(second_first,))
    found = []
    for seed in range(4):
        records = Ledger(exploring, outages=0.0, with_text=True, reward=good).records(200, seed)
        own = replay(records, exploring, Prices()).quality
        assert own.ips.value == pytest.approx(own.logged.value)
        truth = _mean_quality(records, policy)
        assert truth > own.logged.high
        found.append((truth, replay(records, policy, Prices()).quality))
    for name in ("ips", "snips", "dr"):
        errors = [getattr(quality, name).value - truth for truth, quality in found]
        assert abs(sum(errors) / len(errors)) < 0.06
        inside = [getattr(q, name).low <= truth <= getattr(q, name).high for truth, q in found]
        assert sum(inside) >= 3


def test_a_policy_that_chooses_what_was_never_tried_is_refused():
    records = Ledger(PipelineRouter(TIERS, exploration=0.3), outages=0.0, with_text=True).records(150, 4)
    unheard = PipelineRouter({Tier.SIMPLE: "openai:gpt-9"}, policy=fixed(Tier.SIMPLE))
    report = replay(records, unheard, Prices())
    assert report.quality.refusal == "no_overlap"
    unexplored = replay(Ledger(PipelineRouter(TIERS)).records(3), PipelineRouter(TIERS), Prices())
    assert unexplored.quality.refusal == "never_explored"


def test_the_least_outcome_is_how_it_ended():
    (record, *_) = Ledger(PipelineRouter(TIERS), outages=0.0).records(1)
    assert [outcome_of(evolve(record, ending=ending)) for ending in Ending] == [1.0, 0.0, None]


def test_what_was_said_about_a_request_counts_beside_how_it_ended():
    records = Ledger(PipelineRouter(TIERS), outages=0.0).records(3)
    store = MemoryStore()
    store.write(records)
    reward = judged_by(store)
    first, second, *_ = records
    before = reward(second)
    store.signal([Signal(first.id, SignalKind.TOO_WEAK, 1.0), Signal(second.id, SignalKind.RIGHT, 1.0)])
    assert (reward(first), reward(second)) == (0.0, before)
    assert reward(evolve(first, ending=Ending.CANCELLED)) is None
