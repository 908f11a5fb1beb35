"""Ledgers of earlier versions: opened by this one, they keep every record and answer every query.

Each dump was written by the very version it is named for (its `sqlite3` iterdump).
"""

import sqlite3
from pathlib import Path

import pytest

from lynkr.errors import ConfigError
from lynkr.model import Loss, Usage
from lynkr.resilience.outcome import Outcome
from lynkr.routing.decision import Target, Tier
from lynkr.telemetry import AttemptRecord, Cost, Ending, MemoryStore, Query, SQLiteStore
from lynkr.telemetry.sums import Dimension, Order

HERE = Path(__file__).parent


def ledger(dump: str, folder: Path) -> Path:
    """A ledger as *dump* has it."""
    path = folder / "ledger.db"
    connection = sqlite3.connect(path)
    connection.executescript((HERE / dump).read_text("utf-8"))
    connection.close()
    return path


@pytest.fixture
def old(tmp_path: Path) -> Path:
    return ledger("ledger_m001.sql", tmp_path)


def test_a_ledger_of_the_first_schema_keeps_its_records(old: Path) -> None:
    store = SQLiteStore(old)
    third, second, first = store.read(Query())
    served = Target("anthropic", "claude-haiku-4-5")
    usage = Usage(1200, 80, 1000, 100, None, 10)
    assert (first.id, first.tier, first.session, first.target) == (
        "old-1",
        Tier.SIMPLE,
        "0a1b/explore",
        served,
    )
    assert first.cost == Cost(1700, 8500, "anthropic:claude-opus-4-5", "2026-11-01+abc")
    assert [step.code for step in first.trace] == ["main_traffic", "score"]
    assert first.losses == (Loss("metadata.x", "openai has no place for it"),)
    assert first.attempts[1] == AttemptRecord(
        served, 1795000000.4, 2.0, 200, Outcome.SUCCESS, usage=usage, cost_microusd=1700
    )
    assert (second.ending, second.error) == (Ending.FAILED, "UpstreamTimeout")
    assert (third.prompt, third.answer, third.usage) == ("[user] why?", "because", Usage(50))
    assert {first.partial, first.tenant, first.features, first.seed, first.opens_turn} == {None}
    store.close()


def test_what_an_old_ledger_sums_up_to_equals_its_records(old: Path) -> None:
    store, plain = SQLiteStore(old), MemoryStore()
    plain.write(list(store.read(Query(limit=None)))[::-1])
    for by in ((), (Dimension.DAY, Dimension.TIER), (Dimension.SESSION,), (Dimension.REASON,)):
        assert store.cells(Query(), by, latency=True) == plain.cells(Query(), by, latency=True)
    store.close()


@pytest.mark.parametrize(
    "query", [Query(errors_only=True), Query(tier=Tier.SIMPLE, errors_only=True), Query()]
)
def test_the_roll_ups_of_the_third_schema_gain_those_of_failures(query: Query, tmp_path: Path) -> None:
    path = ledger("ledger_m003.sql", tmp_path)
    store, plain = SQLiteStore(path), MemoryStore()
    with sqlite3.connect(path) as connection:
        (rolled,) = connection.execute("SELECT sum(requests) FROM rollups WHERE family = 3").fetchone()
    connection.close()
    assert rolled == 16  # eight failures, by the hour and by the day
    plain.write(list(store.read(Query(limit=None)))[::-1])
    for record in plain.read(Query(limit=None)):
        plain.signal(store.signals(record.id))
    for by in ((), (Dimension.DAY, Dimension.TIER), (Dimension.REASON,), (Dimension.HOUR, Dimension.TRAFFIC)):
        assert store.cells(query, by) == plain.cells(query, by)
    dearest, of_plain = (
        one.cells(query, (Dimension.SESSION,), order=Order.COST, limit=3) for one in (store, plain)
    )
    assert dearest == of_plain
    store.close()


def test_an_old_ledger_is_not_changed_by_who_only_reads(old: Path) -> None:
    with pytest.raises(ConfigError, match="start the gateway on it once"):
        SQLiteStore(old, read_only=True)
