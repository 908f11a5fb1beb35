"""What the pages are told is what the ledger holds, added up again here from its records."""

import time
from collections import Counter
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

import pytest

from lynkr.routing import Tier
from lynkr.telemetry import Ending, Record
from tests.dashboard.conftest import Seeded
from tests.dashboard.seeded import ADMIN_KEY

# What the older program's page reads of each (src/dashboard/api.js as of its 9.5, read 2026-11).
OVERVIEW = {
    "uptime", "port", "version", "modelProvider", "providers", "providerWarnings", "statsWindow", "metrics",
    "today", "stats", "recentRequests",
}  # fmt: skip
TOTALS = {
    "requests", "inputTokens", "outputTokens", "totalTokens", "actualCost", "flagshipCost", "saved",
    "savedPercent", "fallbacks", "errors",
}  # fmt: skip
STATS = {
    "totalRequests", "avgLatencyByProvider", "avgQualityByTier", "errorRate", "overProvisionedPct",
    "underProvisionedPct",
}  # fmt: skip
PROVIDER_STATS = {
    "total", "avgLatency", "avgQuality", "avgOutputTokens", "errorRate", "fallbackRate", "avgTokensPerSecond",
    "totalCost",
}  # fmt: skip
ROW = {
    "request_id", "session_id", "timestamp", "complexity_score", "tier", "agentic_type", "tool_count",
    "input_tokens", "message_count", "request_type", "provider", "model", "routing_method", "was_fallback",
    "output_tokens", "latency_ms", "status_code", "error_type", "cost_usd", "tool_calls_made", "retry_count",
    "circuit_breaker_state", "quality_score", "tokens_per_second", "cost_efficiency",
}  # fmt: skip


def spent(records: Iterable[Record]) -> int:
    """Micro-USD, attempts that did not serve included."""
    costs = [record.cost for record in records]
    return sum((cost.cost_microusd or 0) + (cost.overhead_microusd or 0) for cost in costs)


def saved(records: Iterable[Record]) -> int:
    return sum(record.cost.saved_microusd or 0 for record in records)


def adds_up(shown: dict[str, Any], records: list[Record]) -> None:
    """The sums of *records* are those *shown*."""
    assert shown["requests"] == len(records)
    assert shown["errors"] == sum(record.ending is Ending.FAILED for record in records)
    assert shown["cancelled"] == sum(record.ending is Ending.CANCELLED for record in records)
    assert shown["unpriced"] == sum(record.cost.cost_microusd is None for record in records)
    if shown["costMicrousd"] is None:
        assert all(record.cost.cost_microusd is None for record in records)
    else:
        assert shown["costMicrousd"] == spent(records)
        assert shown["actualCost"] == pytest.approx(spent(records) / 1e6)
    if shown["inputTokens"] is not None:
        assert shown["inputTokens"] == sum(record.usage.input or 0 for record in records)
        assert shown["totalTokens"] == shown["inputTokens"] + shown["outputTokens"]
    if shown["savedMicrousd"] is not None:
        assert shown["savedMicrousd"] == saved(records)


def test_the_overview_has_every_field_of_the_older_page_and_adds_up(seeded: Seeded):
    shown = seeded.get("overview", window="all")
    assert set(shown) >= OVERVIEW
    assert set(shown["stats"]) == STATS
    assert set(shown["metrics"]) == {"requestsTotal", "responsesSuccess", "responsesError"}
    assert set(shown["today"]) == {"requests", "totalTokens", "cost", "saved", "savedPercent"}
    assert shown["metrics"]["requestsTotal"] == 0
    adds_up(shown["totals"], list(seeded.records))
    midnight = time.time() // 86_400 * 86_400
    assert shown["today"]["requests"] == len(seeded.only(lambda record: record.at >= midnight))
    assert [row["request_id"] for row in shown["recentRequests"]] == [r.id for r in seeded.records[:10]]
    assert shown["live"] == 0
    assert shown["ledger"]["recordsText"] is False


def test_providers_without_credentials_are_told_and_the_others_are_not(seeded: Seeded):
    shown = seeded.get("overview")
    assert {one["name"]: one["type"] for one in shown["providers"]} == {
        "anthropic": "cloud",
        "ollama": "local",
    }
    assert shown["providerWarnings"] == [
        {"name": "openai", "type": "cloud", "tiers": ["SIMPLE", "MEDIUM", "COMPLEX"]}
    ]
    assert any(one["key"] == "providers.openai" for one in shown["notices"])


def test_the_parts_of_what_was_saved_add_up_to_it_and_losses_count(seeded: Seeded):
    found = seeded.get("overview", window="all")["savings"]
    assert (
        sum(part["microusd"] or 0 for part in found["parts"])
        == found["totalMicrousd"]
        == saved(seeded.records)
    )
    assert found["lowMicrousd"] <= found["totalMicrousd"] <= found["highMicrousd"]
    absent = {part["name"]: part["absent"] for part in found["parts"] if part["microusd"] is None}
    assert absent["responseCache"] == absent["compression"] == "not in use"
    dear = seeded.get("usage", window="all", model="claude-opus-4-5")["totals"]
    assert dear["savedMicrousd"] < 0  # the flagship itself, and attempts besides
    assert dear["saved"] < 0
    assert dear["savedPercent"] < 0


@pytest.mark.parametrize(
    "filters", [{}, {"provider": "openai"}, {"provider": "openai", "model": "gpt-4.1-nano"}]
)
def test_usage_adds_up_under_its_filters_by_day_tier_provider_and_model(
    seeded: Seeded, filters: dict[str, str]
):
    def wanted(record: Record) -> bool:
        provider = None if record.target is None else record.target.provider
        model = None if record.target is None else record.target.model
        return filters.get("provider", provider) == provider and filters.get("model", model) == model

    records = seeded.only(wanted)
    shown = seeded.get("usage", window="all", **filters)
    assert set(shown) >= {"window", "since", "flagship", "totals", "byTier", "byProvider", "byModel", "daily"}
    assert set(shown["totals"]) >= TOTALS
    assert (shown["window"], shown["since"]) == ("all", None)
    adds_up(shown["totals"], records)
    for name, one in shown["byTier"].items():
        tier = None if name == "UNKNOWN" else Tier[name]
        adds_up(one, [record for record in records if record.tier is tier])
    for group, key in (("byProvider", "provider"), ("byModel", "model")):
        for name, one in shown[group].items():
            adds_up(one, [r for r in records if (getattr(r.target, key) if r.target else "unknown") == name])
        assert sum(one["requests"] for one in shown[group].values()) == len(records)
    days = Counter(f"{datetime.fromtimestamp(record.at, UTC):%Y-%m-%d}" for record in records)
    assert {day["day"]: day["total"] for day in shown["days"] if day["total"]} == days
    assert [day["total"] for day in shown["daily"]] == [day["total"] for day in shown["days"]]
    assert all(set(day) == {"label", "total", "byTier", "cost"} for day in shown["daily"])
    assert sum(number for day in shown["daily"] for number in day["byTier"].values()) == len(records)


def test_a_window_has_all_its_utc_days_also_those_without_requests(seeded: Seeded):
    days = [day["day"] for day in seeded.get("usage", window="30d")["days"]]
    today = datetime.now(UTC).date()
    assert len(days) == len(set(days)) == 31
    assert days[-1] == today.isoformat()
    assert days == sorted(days)


@pytest.mark.parametrize("window", ["1d", "30d", "3d", "2026-01-01", "all"])
def test_every_window_of_the_older_program_is_understood(seeded: Seeded, window: str):
    for path in ("overview", "usage", "routing", "recommendations", "sessions"):
        seeded.get(path, window=window)


def test_routing_has_every_field_of_the_older_page(seeded: Seeded):
    shown = seeded.get("routing", window="all")
    assert set(shown) >= {
        "tierDefinitions",
        "accuracy",
        "stats",
        "providerStats",
        "circuitBreakers",
        "window",
    }
    assert set(shown["accuracy"]) == {
        "totalRequests", "overProvisioned", "underProvisioned", "overProvisionedPct", "underProvisionedPct",
    }  # fmt: skip
    assert all(set(one) == PROVIDER_STATS for one in shown["providerStats"].values())
    assert sum(one["requests"] for one in shown["reasons"]) == len(seeded.records)
    assert sum(one["requests"] for one in shown["tiers"]) == len(seeded.records)
    for one in shown["providers"]:
        served = seeded.only(
            lambda r, name=one["provider"]: r.target is not None and r.target.provider == name
        )
        assert one["requests"] == len(served)
        whole = sorted(record.seconds for record in served)
        if whole:
            exact = whole[max(0, -(-len(whole) * 95 // 100) - 1)]
            assert one["total"]["p95"] == pytest.approx(exact, rel=0.02)


def test_accuracy_is_what_was_heard_and_quality_is_not_made_up(seeded: Seeded):
    shown = seeded.get("routing", window="all")
    found = shown["accuracyDetail"]
    assert found["measured"]
    assert 0 < found["under"] < found["judged"]
    assert 0 < found["over"] <= found["lookedAt"]
    assert set(shown["stats"]["avgQualityByTier"].values()) == {None}
    simple = next(one for one in found["tiers"] if one["tier"] == "SIMPLE")
    assert (simple["over"], simple["overShare"]) == (None, None)


def test_rows_have_every_column_of_the_older_ledger(seeded: Seeded):
    rows = seeded.get("logs", limit=500)
    assert len(rows) == min(500, len(seeded.records))
    for row, record in zip(rows, seeded.records, strict=False):
        assert set(row) >= ROW
        assert row["request_id"] == record.id
        assert row["timestamp"] == round(record.at * 1000)
        assert row["cost_usd"] == (
            None if record.cost.cost_microusd is None else record.cost.cost_microusd / 1e6
        )
        assert row["quality_score"] is None


def test_every_filter_comes_before_the_limit(seeded: Seeded):
    failed = seeded.only(lambda record: record.ending is Ending.FAILED)
    assert failed
    assert [row["request_id"] for row in seeded.get("logs", limit=3, error="true")] == [
        r.id for r in failed[:3]
    ]
    chosen = failed[-1]
    since = int(chosen.at * 1000)
    assert len(seeded.get("logs", since=since, limit=500)) == len(seeded.only(lambda r: r.at * 1000 >= since))
    complex_ones = seeded.only(lambda r: r.tier is Tier.COMPLEX and r.target is not None)
    asked = {"tier": "COMPLEX", "provider": "anthropic", "model": "claude-sonnet-4-5", "limit": 500}
    expected = [r.id for r in complex_ones if r.target and r.target.model == "claude-sonnet-4-5"]
    assert [row["request_id"] for row in seeded.get("logs", **asked)] == expected
    talk = seeded.only(lambda record: record.reason == "small_talk")
    assert [row["request_id"] for row in seeded.get("logs", reason="small_talk", limit=500)] == [
        r.id for r in talk
    ]


def test_pages_of_rows_follow_each_other_without_gap_or_overlap(seeded: Seeded):
    seen: list[str] = []
    while page := seeded.get("logs", limit=70, before=seen[-1] if seen else ""):
        seen += [row["request_id"] for row in page]
    assert seen == [record.id for record in seeded.records]


def test_one_request_opens_its_trace_and_attempts(seeded: Seeded):
    chosen = next(r for r in seeded.records if len(r.attempts) > 1 and r.trace and r.target is not None)
    shown = seeded.get(f"requests/{chosen.id}")
    assert shown["row"]["request_id"] == chosen.id
    assert [step["name"] for step in shown["trace"]] == [step.name for step in chosen.trace]
    assert [one["target"] for one in shown["attempts"]] == [str(one.target) for one in chosen.attempts]
    assert [one["served"] for one in shown["attempts"]] == [False] * (len(chosen.attempts) - 1) + [True]
    assert shown["explanation"]["candidates"]
    assert (shown["prompt"], shown["answer"]) == (None, None)


def test_sessions_show_cost_and_context_per_call(seeded: Seeded):
    listed = seeded.get("sessions", window="all", order="cost")["sessions"]
    # By what their answers cost; attempts that did not serve come on top.
    costs = [(one["costMicrousd"] or 0) - one["overheadMicrousd"] for one in listed]
    assert costs == sorted(costs, reverse=True)
    dearest = listed[0]
    calls = seeded.only(lambda record: record.session == dearest["session"])[::-1]
    shown = seeded.get(f"sessions/{dearest['session']}")
    assert [call["id"] for call in shown["calls"]] == [record.id for record in calls]
    assert shown["contextSeries"] == [record.usage.input for record in calls]
    assert shown["largestContext"] == max(record.usage.input or 0 for record in calls)
    adds_up(shown["totals"], calls)


def test_an_empty_ledger_is_answered_without_inventing_anything(fresh: Seeded):
    shown = fresh.get("overview")
    assert shown["stats"] is None
    assert shown["totals"]["requests"] == 0
    assert shown["savings"]["totalMicrousd"] is None
    assert fresh.get("routing")["accuracy"] is None
    assert fresh.get("usage", window="all")["byTier"] == {}
    assert fresh.get("logs") == []
    findings = fresh.get("recommendations")["findings"]
    assert {one["state"] for one in findings} == {"not_measured"}
    assert {one["pastOverspendUsd"] for one in findings} == {None}


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("usage?window=yesterday", 400),
        ("logs?limit=-1", 400),
        ("logs?tier=HUGE", 400),
        ("logs?since=now", 400),
        ("sessions?order=name", 400),
        ("requests/nothing-of-this-id", 404),
        ("requests/", 404),
        ("sessions/nothing-of-this-id", 404),
        ("overview?" + "&".join(f"a{n}=1" for n in range(40)), 400),
    ],
)
def test_what_is_asked_wrongly_is_told_why(seeded: Seeded, path: str, status: int):
    headers = {"authorization": f"Bearer {ADMIN_KEY}"}
    answer = seeded.running.client.get(f"/dashboard/api/{path}", headers=headers)
    assert answer.status_code == status
    assert answer.json()["detail"]


def test_a_ledger_that_cannot_be_read_is_told_as_the_older_program_told_it(fresh: Seeded, tmp_path):
    for path in tmp_path.glob("ledger.sqlite3*"):
        path.unlink()
    headers = {"authorization": f"Bearer {ADMIN_KEY}"}
    for name in ("usage", "routing", "logs"):
        answer = fresh.running.client.get(f"/dashboard/api/{name}", headers=headers)
        assert (answer.status_code, answer.json()["error"]) == (500, f"{name}_api_error")
        assert answer.json()["detail"]
