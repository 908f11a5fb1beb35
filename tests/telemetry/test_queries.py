"""The questions people ask a ledger: every answer equals what is computed from the records one by one."""

import math
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from lynkr.model import Usage
from lynkr.resilience.outcome import Outcome
from lynkr.routing.decision import Target, Tier
from lynkr.telemetry import AttemptRecord, Cost, Ending, MemoryStore, Record, Signal, SignalKind, SQLiteStore
from lynkr.telemetry import queries as ask
from lynkr.telemetry.queries import Window, window_of
from lynkr.telemetry.sketch import RELATIVE_ERROR, Sketch
from lynkr.telemetry.store import TelemetryStore
from lynkr.telemetry.sums import Dimension, Order, Sums, sums_of
from tests.telemetry.made import record, records

NOW = 1_795_000_000.0  # 2026-11-18T11:06:40Z
DAY = 86_400
A, B = Target("anthropic", "claude"), Target("openai", "gpt")


@pytest.fixture(params=["memory", "sqlite", "rolled up"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[TelemetryStore]:
    tail = 1 if request.param == "rolled up" else 1_000
    made = MemoryStore() if request.param == "memory" else SQLiteStore(tmp_path / "ledger.db", tail=tail)
    yield made
    made.close()


def every(now: float = NOW) -> Window:
    return window_of("all", now)


# --- Windows --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "since", "until"),
    [
        ("all", None, None),
        ("1d", NOW - DAY, None),
        ("30d", NOW - 30 * DAY, None),
        ("24h", NOW - DAY, None),
        ("2w", NOW - 14 * DAY, None),
        ("today", 1_794_960_000.0, None),
        ("2026-11-18", 1_794_960_000.0, None),
        ("2026-11-17/2026-11-18", 1_794_873_600.0, 1_795_046_400.0),
        ("2026-11-18T12:00:00+01:00", 1_794_999_600.0, None),
        ("1795000000", 1_795_000_000.0, None),
        ("1795000000500", 1_795_000_000.5, None),
    ],
)
def test_a_window_is_what_its_words_say(text: str, since: float | None, until: float | None) -> None:
    window = window_of(text, NOW)
    assert (window.since, window.until) == (since, until)


@pytest.mark.parametrize("text", ["", "soon", "7", "-1d", "2026-13-01", "2026-11-18/2026-11-01", "d", "1y"])
def test_what_names_no_window_is_refused_with_examples(text: str) -> None:
    with pytest.raises(ValueError, match=r"window|before it begins"):
        window_of(text, NOW)


@given(st.text(max_size=12))
def test_no_text_makes_it_fail_otherwise(text: str) -> None:
    try:
        window_of(text, NOW)
    except ValueError as error:
        assert repr(text) in str(error)  # noqa: PT017  # reason: a text may name one by chance


# --- Days -----------------------------------------------------------------------------------------------


def test_a_day_ends_at_midnight_utc(store: TelemetryStore) -> None:
    midnight = 1_794_960_000.0
    store.write([record("before", at=midnight - 0.001), record("at", at=midnight, tier=Tier.SIMPLE)])
    days = ask.daily(store, window_of("2d", NOW))
    assert [(str(one.day), one.sums.requests) for one in days] == [
        ("2026-11-16", 0),
        ("2026-11-17", 1),
        ("2026-11-18", 1),
    ]
    assert [one.is_whole for one in days] == [False, True, False]
    assert days[2].by_tier["SIMPLE"].requests == 1
    assert days[1].by_tier[None].requests == 1


def test_days_without_requests_are_there_and_an_empty_ledger_has_none(store: TelemetryStore) -> None:
    assert ask.daily(store, every()) == ()
    assert [one.sums.requests for one in ask.daily(store, window_of("1d", NOW))] == [0, 0]
    store.write([record("old", at=NOW - 3 * DAY), record("new", at=NOW)])
    assert [one.sums.requests for one in ask.daily(store, every())] == [1, 0, 0, 1]


@given(st.lists(st.floats(0, 5 * DAY), max_size=20), st.floats(0, 5 * DAY), st.floats(0, 5 * DAY))
def test_days_and_groups_add_up_to_the_window(times: Sequence[float], one: float, other: float) -> None:
    store = MemoryStore()
    store.write([record(str(n), at=at, tier=Tier.SIMPLE) for n, at in enumerate(times)])
    window = Window("w", min(one, other), max(one, other), 5.0 * DAY)
    wanted = sum(min(one, other) <= at < max(one, other) for at in times)
    assert ask.usage(store, window).total.requests == wanted
    days = ask.daily(store, window)
    assert sum(day.sums.requests for day in days) == wanted
    for day in days:
        assert datetime.fromtimestamp(day.since, UTC).date() == day.day


# --- Latency --------------------------------------------------------------------------------------------


@given(st.lists(st.floats(1e-6, 1e6), min_size=1, max_size=50), st.floats(0, 1))
def test_a_quantile_is_within_the_stated_error(durations: list[float], share: float) -> None:
    exact = sorted(durations)[max(1, math.ceil(share * len(durations))) - 1]
    found = Sketch.of(durations).quantile(share)
    assert found is not None
    assert abs(found - exact) <= RELATIVE_ERROR * exact * (1 + 1e-9)


@given(st.lists(st.lists(st.floats(0, 600), max_size=5), max_size=4))
def test_sketches_add_up_and_survive_their_text(parts: list[list[float]]) -> None:
    together = Sketch.sum(map(Sketch.of, parts))
    assert together == Sketch.of(duration for part in parts for duration in part)
    assert Sketch.parse(together.text) == together


def test_a_quantile_of_nothing_is_none_and_a_share_is_checked() -> None:
    assert Sketch().quantile(0.5) is None
    with pytest.raises(ValueError, match="from 0 to 1"):
        Sketch().quantile(50)


def test_stats_are_over_all_requests_and_none_of_nothing(store: TelemetryStore) -> None:
    empty = ask.stats(store, every())
    assert (empty.error_rate, empty.cache_read_share, empty.duration.p95) == (None, None, None)
    store.write(
        [
            record(
                str(n), at=NOW - n, seconds=float(n + 1), target=A, seconds_to_first_event=0.5 if n else None
            )
            for n in range(100)
        ]
        + [record("failed", at=NOW, ending=Ending.FAILED, status=502, seconds=0.1)]
    )
    found = ask.stats(store, every())
    assert found.error_rate == 1 / 101
    assert found.duration.count == 101
    assert found.duration.p50 == pytest.approx(50, rel=RELATIVE_ERROR + 0.001)
    assert found.duration.p99 == pytest.approx(99, rel=RELATIVE_ERROR + 0.001)
    assert found.duration.mean == pytest.approx((5050 + 0.1) / 101)
    assert (found.first_event.count, found.first_event.mean) == (99, 0.5)


# --- Providers ------------------------------------------------------------------------------------------


def test_a_provider_is_judged_by_its_attempts_and_timed_by_what_it_served(store: TelemetryStore) -> None:
    failed = AttemptRecord(B, NOW - 9, 1.0, 529, Outcome.FAILURE, "UpstreamBusy")
    left = AttemptRecord(B, NOW - 8, 1.0, None, Outcome.IGNORED, cancelled=True)
    served = AttemptRecord(A, NOW - 7, 2.0, 200, Outcome.SUCCESS, usage=Usage(10, 4), cost_microusd=6)
    store.write(
        [
            record("1", at=NOW - 9, target=A, attempts=(failed, served), usage=Usage(10, 4), seconds=2.0),
            record("2", at=NOW - 8, ending=Ending.CANCELLED, attempts=(left,)),
        ]
    )
    one, other = ask.provider_stats(store, every())
    assert (one.provider, one.failure_rate, one.output_tokens_per_second) == ("anthropic", 0.0, 2.0)
    assert (one.attempts.attempts, one.attempts.cost_microusd) == (1, 6)
    assert (other.provider, other.failure_rate, other.output_tokens_per_second) == ("openai", 1.0, None)
    assert (other.attempts.failed, other.attempts.cancelled) == (1, 1)
    assert (other.attempts.last_error, other.attempts.last_error_at) == ("UpstreamBusy", NOW - 9)
    assert other.stats.sums == Sums()


# --- Accuracy -------------------------------------------------------------------------------------------


def turn(id: str, at: float, tier: Tier = Tier.SIMPLE, **fields: object) -> Record:
    plain: dict[str, object] = {"session": "s", "target": A, "tier": tier, "opens_turn": True}
    return record(id, at=at, **(plain | {"ask_digest": id} | fields))


def heard(store: TelemetryStore) -> dict[str, int]:
    fit, _ = ask.accuracy(store, every())
    return {kind.value: count for kind, count in fit.signals.items() if count}


def test_nothing_heard_is_not_measured_rather_than_right(store: TelemetryStore) -> None:
    store.write([turn("1", 1.0), record("2", at=2.0, tier=Tier.SIMPLE, target=A)])
    fit, tiers = ask.accuracy(store, every())
    assert (fit.routed, fit.judged, fit.is_measured) == (2, 0, False)
    assert (fit.under_share, fit.over_share) == (None, None)
    assert not tiers[Tier.SIMPLE].is_measured


def test_the_same_ask_again_says_that_the_first_answer_did_not_do(store: TelemetryStore) -> None:
    store.write([turn("1", 1.0, ask_digest="d"), turn("2", 2.0), turn("3", 3.0, ask_digest="d")])
    assert heard(store) == {"followed": 1, "retried": 1}
    fit, _ = ask.accuracy(store, every())
    assert (fit.judged, fit.under, fit.under_share) == (1, 1, 1.0)
    assert [signal.kind for signal in store.signals("1")] == [SignalKind.RETRIED]


def test_the_same_ask_at_a_higher_tier_is_an_escalation(store: TelemetryStore) -> None:
    store.write([turn("1", 1.0, ask_digest="d"), turn("2", 2.0, Tier.COMPLEX, ask_digest="d")])
    assert heard(store) == {"escalated": 1}


def test_a_tier_that_rises_within_a_loop_is_an_escalation(store: TelemetryStore) -> None:
    loop = {"ask_digest": "d", "opens_turn": False}
    store.write([turn("1", 1.0, ask_digest="d"), turn("2", 2.0, Tier.COMPLEX, **loop)])
    assert heard(store) == {"escalated": 1}


def test_one_failing_tool_is_ordinary_work_and_a_second_is_not(store: TelemetryStore) -> None:
    loop = {"ask_digest": "d", "opens_turn": False}
    store.write(
        [
            turn("1", 1.0, ask_digest="d"),
            turn("2", 2.0, failed_results=1, **loop),
            turn("3", 3.0, failed_results=2, **loop),
        ]
    )
    assert heard(store) == {"followed": 1, "tool_failed": 1}
    assert [signal.kind for signal in store.signals("2")] == [SignalKind.TOOL_FAILED]


@pytest.mark.parametrize(
    "fields",
    [
        {"session": "other"},
        {"session": None},
        {"at": 4_000.0},
        {"traffic": "title"},
        {"at": 0.5},
    ],
)
def test_what_is_no_reaction_says_nothing(store: TelemetryStore, fields: dict[str, object]) -> None:
    store.write([turn("1", 1.0, ask_digest="d")])
    store.write([turn("2", **({"at": 2.0, "ask_digest": "d"} | fields))])  # type: ignore[arg-type]
    assert heard(store) == {}


def test_a_failed_answer_is_not_asked_again_for_its_quality(store: TelemetryStore) -> None:
    store.write([turn("1", 1.0, ask_digest="d", ending=Ending.FAILED), turn("2", 2.0, ask_digest="d")])
    assert heard(store) == {}


def test_too_strong_takes_somebody_who_looked(store: TelemetryStore) -> None:
    store.write([turn(str(n), float(n), Tier.REASONING) for n in range(1, 5)])
    said = [("1", SignalKind.TOO_STRONG), ("2", SignalKind.RIGHT), ("3", SignalKind.REJECTED)]
    unknown = store.signal(
        [Signal(one, kind, 9.0, "feedback") for one, kind in [*said, ("9", SignalKind.RIGHT)]]
    )
    assert unknown == {"9"}
    fit, _ = ask.accuracy(store, every())
    assert (fit.looked_at, fit.over, fit.over_share, fit.under) == (2, 1, 0.5, 1)
    store.signal([Signal("1", SignalKind.REJECTED, 10.0, "tests")])
    fit, _ = ask.accuracy(store, every())
    assert (fit.over, fit.under) == (0, 2)


# --- Sessions, reasons ----------------------------------------------------------------------------------


def test_sessions_come_in_order_with_who_served_them(store: TelemetryStore) -> None:
    store.write(
        [
            record("1", at=1.0, session="cheap", target=B, cost=Cost(5), usage=Usage(10)),
            record("2", at=9.0, session="cheap", target=A, cost=Cost(5), usage=Usage(40)),
            record("3", at=5.0, session="dear", target=A, cost=Cost(99), usage=Usage(20)),
            record("4", at=20.0, target=A, cost=Cost(1_000)),
        ]
    )
    recent = ask.sessions(store, every())
    assert [(one.id, one.last_at, one.sums.longest_input) for one in recent] == [
        ("cheap", 9.0, 40),
        ("dear", 5.0, 20),
    ]
    assert recent[0].targets == (B, A)
    assert [one.id for one in ask.sessions(store, every(), order=Order.COST, limit=1)] == ["dear"]
    calls = ask.session_calls(store, "cheap")
    assert [(call.id, call.input_tokens, call.output_tokens) for call in calls] == [
        ("1", 10, None),
        ("2", 40, None),
    ]


@given(st.lists(records(st.uuids().map(str)), max_size=8))
def test_reasons_are_counted_by_tier_most_frequent_first(found: list[Record]) -> None:
    store = MemoryStore()
    store.write([evolve(one, at=1.0) for one in found])
    cells = ask.reasons(store, every())
    assert [cell.sums.requests for cell in cells] == sorted(
        (cell.sums.requests for cell in cells), reverse=True
    )
    assert Sums.total(cell.sums for cell in cells) == Sums.total(
        sums_of(evolve(one, at=1.0)) for one in found
    )


def test_pages_meet_without_gap_or_overlap(store: TelemetryStore) -> None:
    store.write([record(f"r{n}", at=float(n // 3)) for n in range(10)])
    for oldest_first in (False, True):
        query = ask.Query(limit=4, oldest_first=oldest_first)
        seen: list[str] = []
        while page := list(store.read(query)):
            seen += [one.id for one in page]
            query = evolve(query, before=seen[-1])
        wanted = [one.id for one in store.read(ask.Query(limit=None, oldest_first=oldest_first))]
        assert seen == wanted


def test_dimensions_can_be_combined_freely(store: TelemetryStore) -> None:
    store.write([record("1", at=DAY + 1.0, session="s", target=A, tenant="acme", reason="score")])
    by = (Dimension.SESSION, Dimension.REASON, Dimension.DAY, Dimension.HOUR, Dimension.TENANT)
    (cell,) = store.cells(ask.Query(), by)
    assert cell.key == ("s", "score", DAY, DAY, "acme")
    assert cell[Dimension.TENANT] == "acme"
