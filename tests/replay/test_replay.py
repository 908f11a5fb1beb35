"""A replay says what another policy would have cost: tested against that policy on the same traffic."""

import pytest
from attrs import evolve
from hypothesis import given, settings
from hypothesis import strategies as st

from lynkr.errors import RoutingError
from lynkr.model import Usage
from lynkr.replay import CostRange, replay
from lynkr.replay.costs import Calibration, Share
from lynkr.resilience.outcome import Outcome
from lynkr.routing import (
    PipelineRouter,
    RecordedFeatures,
    Step,
    Target,
    Tier,
    fixed,
)
from lynkr.routing.constraints import obeys_policy
from lynkr.routing.recorded import decision_of_json, seen_of_json
from lynkr.routing.rules import prefers_available
from lynkr.telemetry.record import AttemptRecord, Cost, Ending
from tests.replay.made import PRICES, TIERS, Ledger, Prices

ROUTER = PipelineRouter(TIERS)
POLICIES = {
    "all simple": PipelineRouter(TIERS, policy=fixed(Tier.SIMPLE)),
    "all reasoning": PipelineRouter(TIERS, policy=fixed(Tier.REASONING)),
    "by size": PipelineRouter(
        TIERS,
        policy=lambda features, _scores: (
            (Tier.COMPLEX, Step("tier", "long", 0.6, "long"))
            if features.input_tokens > 2_500
            else (Tier.SIMPLE, Step("tier", "short", 0.1, "short"))
        ),
    ),
    "no pins": PipelineRouter(TIERS, sessions=()),
    "eager to move": PipelineRouter(TIERS, margin=0.0),
    "the same": ROUTER,
}


def cost_of_all(records):
    return sum(record.cost.cost_microusd for record in records)


def by_id(records):
    return {record.id: record for record in records}


@settings(max_examples=5)
@given(st.integers(0, 2**20), st.booleans())
def test_a_router_on_its_own_ledger_changes_nothing_and_costs_what_it_cost(seed, with_text):
    records = Ledger(ROUTER, with_text=with_text, hits=0.7).records(12, seed)
    report = replay(records, ROUTER, Prices())
    assert report.requests == len(records) == report.decided
    assert report.undecidable == {}
    assert (report.changed, report.changes) == (0, ())
    assert report.difference == CostRange(0.0, 0.0, 0.0)
    assert report.replayed.expected == report.recorded_microusd


def test_each_decision_of_its_own_ledger_has_the_very_digest_again():
    for record in Ledger(ROUTER, with_text=True).records(20, 3):
        features, snapshot = seen_of_json(record.features)
        rates = evolve(snapshot.rates, tariffs=_tariffs())
        again = ROUTER.decide(features, evolve(snapshot, rates=rates))
        before = decision_of_json(record.decision, tier=record.tier, score=record.score, trace=record.trace)
        assert again == before
        assert again.digest == before.digest


def _tariffs():
    from lynkr.pricing import rates_of

    return rates_of(Prices(), map(Target.parse, PRICES)).tariffs


@pytest.mark.parametrize("name", POLICIES)
@pytest.mark.parametrize("seed", [1, 2])
def test_where_lengths_and_hits_are_as_assumed_the_expected_cost_is_the_true_one(name, seed):
    policy = POLICIES[name]
    records = Ledger(ROUTER, with_text=True).records(40, seed)
    truly = Ledger(policy, with_text=True).records(40, seed)
    report = replay(records, policy, Prices(), lengths=(1.0, 1.0))
    assert report.compared == len(records)
    assert report.recorded_microusd == cost_of_all(records)
    assert report.replayed.expected == pytest.approx(cost_of_all(truly), abs=len(records))
    really = by_id(truly)
    changed = sum(
        (record.target, record.tier) != (really[record.id].target, really[record.id].tier)
        for record in records
    )
    assert report.changed == changed


@pytest.mark.parametrize("name", ["all simple", "all reasoning", "no pins"])
@pytest.mark.parametrize("hits", [0.0, 0.6])
def test_where_hits_come_true_in_part_the_ledger_tells_in_what_part(name, hits):
    policy = POLICIES[name]
    records = Ledger(ROUTER, hits=hits, with_text=True).records(60, 7)
    truth = cost_of_all(Ledger(policy, hits=hits, with_text=True).records(60, 7))
    report = replay(records, policy, Prices(), lengths=(1.0, 1.0))
    assert report.hits.sessions >= 10
    assert report.hits.low - 1e-6 <= hits <= report.hits.high + 1e-3
    assert report.replayed.low - len(records) <= truth <= report.replayed.high + len(records)
    assert report.replayed.expected == pytest.approx(truth, rel=0.02)


@settings(max_examples=5)
@given(st.integers(0, 2**20), st.sampled_from(sorted(POLICIES)), st.sampled_from((0.3, 0.9)))
def test_the_range_holds_the_expected_cost_and_widens_with_what_is_not_known(seed, name, hits):
    records = Ledger(ROUTER, hits=hits).records(8, seed)
    narrow = replay(records, POLICIES[name], Prices(), lengths=(1.0, 1.0))
    wide = replay(records, POLICIES[name], Prices())
    for report in (narrow, wide):
        if report.replayed is not None:
            assert report.replayed.low <= report.replayed.expected <= report.replayed.high
            parts = [change.difference for change in report.changes if change.difference is not None]
            assert all(part.low <= part.expected <= part.high for part in parts)
    if wide.replayed is not None:
        assert wide.replayed.low <= narrow.replayed.low
        assert wide.replayed.high >= narrow.replayed.high
        assert wide.replayed.expected == narrow.replayed.expected


def test_changes_are_told_by_reason_and_add_up():
    records = Ledger(ROUTER, outages=0.0, with_text=True).records(30, 5)

    def no_opus(targets, features, snapshot):
        kept = tuple(target for target in targets if "opus" not in target.model)
        left = {str(target): "no_opus" for target in targets if target not in kept}
        return kept, Step("house", "no opus", code="no_opus", data={"excluded": left})

    rules = (obeys_policy, prefers_available, no_opus)
    report = replay(records, PipelineRouter(TIERS, rules=rules), Prices())
    opus = [record for record in records if "opus" in record.target.model]
    assert opus
    assert report.changes[0].code == "no_opus"
    assert report.changed == sum(change.requests for change in report.changes)
    codes = {change.code for change in report.changes}
    assert codes <= {"no_opus", "escalated", "pinned", "pin_kept", "cheaper", "no_pin", "pin_unusable"}
    total = sum(change.difference.expected for change in report.changes if change.difference is not None)
    # The rest is what unchanged decisions cost with another cache.
    assert total == pytest.approx(report.difference.expected, rel=0.2)
    assert set(report.changes[0].examples) <= {record.id for record in opus}
    assert all(move.startswith("anthropic:claude-opus-4-5 -> ") for move in report.changes[0].moves)


def test_tiers_exclusions_sessions_and_order_are_each_named_as_reasons():
    records = Ledger(ROUTER, outages=0.0, with_text=True).records(25, 11)

    def codes_of(policy):
        return {change.code for change in replay(records, policy, Prices()).changes}

    codes = {name: codes_of(policy) for name, policy in POLICIES.items()}
    assert codes["all simple"] == {"fixed"}
    assert codes["the same"] == set()
    held = {"tool_loop", "pinned", "pin_kept", "escalated", "nothing_asked"}
    assert {"long", "short"} <= codes["by size"] <= {"long", "short", *held}
    assert codes["no pins"] <= {"as_proposed"}
    turned = PipelineRouter({tier: [*names, "openai:gpt-4.1-mini"][::-1] for tier, names in TIERS.items()})
    assert "order" in codes_of(turned)
    assert codes_of(turned) <= {"order", *held}


def test_a_policy_that_reads_words_is_undecidable_without_them_and_decided_with_them():
    class Cobol:
        def __call__(self, features):
            return Step("cobol", "is it?", 0.9 if "prove" in features.ask else 0.0, "cobol")

    policy = PipelineRouter(TIERS, scorers=(Cobol(),))
    with_text = Ledger(ROUTER, with_text=True).records(5, 1)
    assert replay(with_text, policy, Prices()).undecidable == {}
    report = replay(Ledger(ROUTER).records(5, 1), policy, Prices())
    assert report.undecidable == {"text_not_recorded": report.requests}
    assert (report.decided, report.difference, report.recorded_microusd) == (0, None, None)
    assert report.cost_increase is None


def test_what_cannot_be_decided_is_counted_by_cause_and_never_guessed():
    (record, *_) = Ledger(ROUTER, outages=0.0, with_text=True).records(1, 1)
    records = [
        evolve(record, id="named", tier=None, features=None, decision=None),
        evolve(record, id="refused", tier=None, target=None, ending=Ending.FAILED, decision=None),
        evolve(record, id="old", features=None),
        evolve(record, id="newer", features={"version": 99}),
        evolve(record, id="unmeasured", usage=Usage(), cost=Cost()),
        evolve(record, id="failed", target=None, usage=Usage(), ending=Ending.FAILED),
        record,
    ]
    report = replay(records, ROUTER, Prices())
    assert report.named == 1
    assert report.undecidable == {"not_recorded": 2, "unreadable": 1}
    assert (report.decided, report.unpriced, report.compared) == (3, 2, 1)
    nobody = replay(records, PipelineRouter({Tier.SIMPLE: "x:y"}), Prices())
    assert nobody.compared == 0
    assert (nobody.recorded_microusd, nobody.replayed, nobody.difference) == (None, None, None)


def test_a_policy_without_a_target_refuses_and_its_refusal_is_no_saving():
    def nothing(targets, features, snapshot):
        return (), Step("house", "nothing may", code="closed")

    records = Ledger(ROUTER, with_text=True).records(3, 1)
    report = replay(records, PipelineRouter(TIERS, rules=(nothing,)), Prices())
    assert report.refused == report.changed == len(records)
    assert [change.code for change in report.changes] == ["refused"]
    assert report.difference is None


def test_a_target_that_is_known_to_have_failed_then_serves_nobody_now():
    (record, *_) = Ledger(ROUTER, outages=0.0, with_text=True).records(1, 1)
    nano, mini = Target.parse("openai:gpt-4.1-nano"), Target.parse("openai:gpt-4.1-mini")
    failed = AttemptRecord(nano, 0.0, 1.0, 500, Outcome.FAILURE, error="UpstreamFailed")
    served = AttemptRecord(record.target, 1.0, 1.0, 200, Outcome.SUCCESS)
    policy = POLICIES["all simple"]
    untried = replay([record], policy, Prices(), lengths=(1.0, 1.0))
    report = replay([evolve(record, attempts=(failed, served))], policy, Prices(), lengths=(1.0, 1.0))
    price = {target: PRICES[str(target)] for target in (nano, mini)}
    ratio = report.replayed.expected / untried.replayed.expected
    assert ratio == pytest.approx(float(price[mini].input / price[nano].input), rel=0.01)


def test_any_object_that_decides_from_features_can_be_replayed():
    class Mine:
        def __init__(self):
            self.seen = []

        def decide(self, features, snapshot, /):
            self.seen.append(features)
            if features.messages > 4:
                raise RoutingError("too long for me")
            return ROUTER.decide(features, snapshot)

    mine = Mine()
    report = replay(Ledger(ROUTER).records(10, 2), mine, Prices())
    assert report.refused > 0
    assert all(isinstance(features, RecordedFeatures) for features in mine.seen)


@given(st.lists(st.tuples(st.integers(0, 1_000), st.integers(0, 1_000)), max_size=30))
def test_the_share_of_hits_is_a_share_and_its_interval_holds_it(sessions):
    calibration = Calibration()
    for reported, simulated in sessions:
        calibration.add(reported, simulated)
    share = calibration.share()
    assert 0.0 <= share.low <= share.expected <= share.high <= 1.0
    assert share.sessions == sum(simulated > 0 for _, simulated in sessions)
    if share.sessions < 10:
        assert (share.low, share.high) == (0.0, 1.0)


def test_every_session_measured_alike_is_known_exactly_and_none_is_not_known_at_all():
    calibration = Calibration()
    assert calibration.share() == Share(1.0, 0.0, 1.0, 0)
    for _ in range(10):
        calibration.add(60, 100)
    assert calibration.share() == Share(0.6, pytest.approx(0.6), pytest.approx(0.6), 10)
