"""The dial: recorded decisions made again, beside a gateway that goes on serving."""

import threading
from collections.abc import Callable

import pytest

from lynkr.routing import Features, Step, Tier
from lynkr.routing.policy import default_policy
from lynkr_server.dashboard import policy
from lynkr_server.dashboard.policy import Dial
from lynkr_server.dashboard.replays import Replays, taking_turns
from tests.dashboard.conftest import Seeded
from tests.dashboard.seeded import ADMIN_KEY


def test_the_policy_in_force_changes_nothing_and_costs_what_it_cost(seeded: Seeded):
    shown = seeded.get("policy", window="all")
    named = seeded.only(lambda record: record.tier is None and record.target is not None)
    assert shown["requests"] == shown["requestsInWindow"] == len(seeded.records)
    assert shown["named"] == len(named)
    assert shown["decided"] == len(seeded.records) - len(named)
    assert (shown["changed"], shown["changes"]) == (0, [])
    assert set(shown["difference_microusd"].values()) == {0.0}
    assert not shown["isShortened"]


def test_turning_the_dial_down_costs_less_and_up_more(seeded: Seeded):
    cost = [seeded.get("policy", window="all", dial=dial)["replayed_microusd"] for dial in (60, 100, 140)]
    assert cost[0]["expected"] < cost[1]["expected"] < cost[2]["expected"]
    assert all(one["low"] <= one["expected"] <= one["high"] for one in cost)


def test_a_ceiling_is_kept_and_its_changes_lead_to_requests(seeded: Seeded):
    shown = seeded.get("policy", window="all", ceiling="MEDIUM")
    above = seeded.only(lambda record: record.tier in (Tier.COMPLEX, Tier.REASONING))
    assert shown["changed"] == len(above)
    (change,) = shown["changes"]
    assert change["code"] == "at_most"
    assert set(change["examples"]) <= {record.id for record in above}


@pytest.mark.parametrize(
    "asked", ["dial=5", "dial=x", "floor=HUGE", "floor=COMPLEX&ceiling=MEDIUM", "window=x"]
)
def test_what_is_no_dial_is_refused(seeded: Seeded, asked: str):
    headers = {"authorization": f"Bearer {ADMIN_KEY}"}
    answer = seeded.running.client.get(f"/dashboard/api/policy?{asked}", headers=headers)
    assert (answer.status_code, answer.json()["error"]) == (400, "bad_request")


def test_of_too_many_records_the_newest_are_replayed(seeded: Seeded, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(policy, "MOST", 100)
    shown = seeded.get("policy", window="all", dial=90)
    newer = seeded.only(lambda record: record.at >= shown["since"])
    assert shown["isShortened"]
    assert shown["requests"] == len(newer) <= 100
    assert shown["requestsInWindow"] == len(seeded.records)


@pytest.mark.parametrize("percent", [50, 100, 150])
def test_a_dial_leans_on_scores_and_keeps_its_bounds(percent: int):
    scores = (Step("effort", "", 0.6),)
    plain, _ = default_policy()(Features(), scores)
    tier, step = Dial(percent).policy()(Features(), scores)
    assert step.score == pytest.approx(0.6 * percent / 100)
    assert (tier > plain, tier < plain) == (percent > 100, percent < 100)
    bounded, _ = Dial(percent, Tier.MEDIUM, Tier.MEDIUM).policy()(Features(), scores)
    assert bounded is Tier.MEDIUM


def test_a_replay_rests_as_long_as_it_works():
    now, rested = [0.0], [0.0]

    def rest(seconds: float) -> None:
        rested[0] += seconds
        now[0] += seconds

    for _ in taking_turns([None] * 1000, clock=lambda: now[0], rest=rest):  # type: ignore[list-item]
        now[0] += 0.001
    assert rested[0] == pytest.approx(now[0] / 2, rel=0.02)


def test_a_replay_is_made_once_for_all_who_ask_and_only_so_many_are_kept():
    replays, made = Replays(), []

    def make(key: int) -> Callable[[], dict[str, int]]:
        def run() -> dict[str, int]:
            made.append(key)
            return {"key": key}

        return run

    threads = [threading.Thread(target=replays.of, args=((1,), make(1))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(5)
    assert made == [1]
    for key in range(100):
        assert replays.of((key,), make(key)) == {"key": key}
    replays.of((1,), make(1))
    assert made.count(1) == 2  # forgotten, and made again
