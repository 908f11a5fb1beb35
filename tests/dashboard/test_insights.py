"""Findings look back, rank by money, and are one of three things."""

import pytest

from lynkr.telemetry import Ending
from lynkr_server.dashboard.finding_words import WORDS
from lynkr_server.dashboard.findings import NO_EVIDENCE, Finding, State, ranked
from lynkr_server.dashboard.insights import FINDERS, wilson_low
from tests.dashboard.conftest import Seeded


def test_each_finding_has_evidence_method_and_caveat_and_the_dearest_comes_first(seeded: Seeded):
    shown = seeded.get("recommendations", window="all")
    findings = shown["findings"]
    assert len(findings) == len(FINDERS) == len(WORDS)
    actionable = [one for one in findings if one["state"] == "actionable"]
    assert findings[: len(actionable)] == actionable
    for one in findings:
        assert one["title"]
        assert one["says"]
        assert one["estimateBasis"]
        assert one["caveat"]
        assert bool(one["evidence"]["rows"]) == (one["state"] == "actionable")
        assert (one["fix"] is not None) == (one["state"] == "actionable")
    money = [one["pastOverspendMicrousd"] or 0 for one in actionable]
    assert money == sorted(money, reverse=True)
    assert shown["totalRecoverableMicrousd"] == sum(money)
    assert set(shown) >= {"computedAt", "windowMs", "spendUsd", "totalRecoverableUsd", "findings"}


def test_what_attempts_cost_that_did_not_serve_is_exact(seeded: Seeded):
    shown = {one["id"]: one for one in seeded.get("recommendations", window="all")["findings"]}
    paid = sum(record.cost.overhead_microusd or 0 for record in seeded.records)
    assert shown["extra-attempts"]["pastOverspendMicrousd"] == paid > 0


def test_side_traffic_counts_what_it_cost_more_than_the_simplest_tier(seeded: Seeded):
    shown = {one["id"]: one for one in seeded.get("recommendations", window="all")["findings"]}
    titles = seeded.only(lambda record: record.traffic == "title" and record.ending is Ending.OK)
    # The simplest tier's first target is the owner's own machine: free.
    paid = sum(record.cost.cost_microusd or 0 for record in titles)
    assert shown["side-traffic"]["pastOverspendMicrousd"] == paid > 0


def test_feedback_that_a_tier_is_too_high_is_money_and_never_more_than_the_tier_cost(seeded: Seeded):
    shown = {one["id"]: one for one in seeded.get("recommendations", window="all")["findings"]}
    found = shown["tier-too-high"]
    tiers = seeded.get("usage", window="all")["byTier"]
    assert found["state"] in ("actionable", "not_measured")
    for tier, _, share, surely, money in found["evidence"]["rows"]:
        assert 0 < surely < share <= 1
        assert 0 < money < tiers[tier]["costMicrousd"]


@pytest.mark.parametrize(
    ("hits", "trials", "low"), [(21, 30, 0.52), (140, 170, 0.76), (0, 0, 0.0), (0, 9, 0.0)]
)
def test_the_lower_end_of_the_interval_is_wilsons(hits: int, trials: int, low: float):
    assert wilson_low(hits, trials) == pytest.approx(low, abs=0.005)


def test_ranking_puts_actionable_before_clean_before_not_measured():
    def made(state: State, money: int | None = None) -> Finding:
        return Finding("x", WORDS["unused-tools"], state, money, None, NO_EVIDENCE)

    given = [
        made(State.NOT_MEASURED),
        made(State.CLEAN),
        made(State.ACTIONABLE, 5),
        made(State.ACTIONABLE, 9),
    ]
    assert [(one.state, one.overspend_microusd) for one in ranked(given)] == [
        (State.ACTIONABLE, 9),
        (State.ACTIONABLE, 5),
        (State.CLEAN, None),
        (State.NOT_MEASURED, None),
    ]
