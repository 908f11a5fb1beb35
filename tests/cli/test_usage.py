"""``lynkr usage``: the ledger's sums."""

import json
import time

import pytest
from attrs import evolve

from lynkr.cli.text import dollars, percent, printable, shortened, table
from lynkr.cli.usage import sums
from lynkr.model import Usage, WireFormat
from lynkr.routing import Tier
from lynkr.telemetry import Cost, Ending, MemoryStore, Query, Record, SQLiteStore

_RECORD = Record(
    id="1",
    at=0.0,
    client_format=WireFormat.OPENAI_CHAT,
    requested_model="auto",
    stream=False,
    ending=Ending.OK,
    status=200,
    tier=Tier.SIMPLE,
    usage=Usage(input=1000, output=100),
    cost=Cost(cost_microusd=40, baseline_microusd=1_000_040, baseline="anthropic:claude-opus-4-5"),
)


def records(now: float) -> list[Record]:
    return [
        evolve(_RECORD, at=now - 10),
        evolve(_RECORD, id="2", at=now - 20, tier=Tier.REASONING, cost=Cost(500, 400)),
        evolve(_RECORD, id="3", at=now - 30, tier=None),
        evolve(_RECORD, id="4", at=now - 40, tier=Tier.SIMPLE, cost=Cost(), usage=Usage()),
        evolve(_RECORD, id="5", at=now - 50, ending=Ending.FAILED, status=502, cost=Cost()),
        evolve(_RECORD, id="6", at=now - 90_000, cost=Cost(7, 7)),
    ]


@pytest.fixture
def ledger(tmp_path):
    path = tmp_path / ".local" / "state" / "lynkr" / "ledger.sqlite3"
    path.parent.mkdir(parents=True)
    store = SQLiteStore(path)
    store.write(records(time.time()))
    store.close()
    return path


def test_a_missing_ledger_is_one_line(lynkr, tmp_path, monkeypatch):
    ran = lynkr("usage")
    assert ran.status == 2
    assert "there is no ledger yet" in ran.err
    assert str(tmp_path) in ran.err
    monkeypatch.setenv("LYNKR_TELEMETRY_PATH", ":memory:")
    assert "in memory only" in lynkr("usage").err


def test_a_file_that_is_no_ledger_is_one_line(lynkr, tmp_path, monkeypatch):
    other = tmp_path / "other.db"
    other.write_text("not a database, whatever its name says", encoding="utf-8")
    monkeypatch.setenv("LYNKR_TELEMETRY_PATH", str(other))
    ran = lynkr("usage")
    assert ran.status == 2
    assert len(ran.err.splitlines()) == 1


def test_the_sums_are_by_tier_and_exact(lynkr, ledger):
    told = json.loads(lynkr("usage", "--json").out)
    assert told["ledger"] == str(ledger)
    assert (told["requests"], told["failed"], told["unpriced"]) == (6, 1, 2)
    assert told["tiers"]["REASONING"]["saved_microusd"] == -100
    assert told["tiers"]["named"]["requests"] == 1
    for key in ("requests", "cost_microusd", "saved_microusd", "input_tokens"):
        assert told[key] == sum(tier[key] for tier in told["tiers"].values())


def test_losses_and_the_unknown_are_shown(lynkr, ledger):
    out = lynkr("usage").out
    assert "-$0.000100" in out
    assert "2 of 6 requests of unknown cost, not in the sums" in out
    assert "1 of 6 requests failed" in out


def test_a_window_leaves_older_records_out(lynkr, ledger):
    assert json.loads(lynkr("usage", "--json", "--since", "24h").out)["requests"] == 5
    assert json.loads(lynkr("usage", "--json", "--since", "2d").out)["requests"] == 6
    assert lynkr("usage", "--since", "soon").status == 2


@pytest.mark.parametrize("by", ["tier", "provider", "model", "day", "session", "tenant", "reason"])
def test_groups_add_up_to_the_total_by_whatever_tells_them_apart(lynkr, ledger, by):
    told = json.loads(lynkr("usage", "--json", "--by", by).out)
    assert (told["by"], told["window"]) == (by, "all")
    for key in ("requests", "cost_microusd", "saved_microusd", "unpriced"):
        assert told[key] == sum(group[key] for group in told["groups"])
    assert lynkr("usage", "--by", by).out.splitlines()[0].split()[0] == by


def test_savings_are_told_part_by_part(lynkr, ledger):
    told = json.loads(lynkr("usage", "--json").out)["savings"]
    assert told["total_microusd"] == 1_999_900
    assert told["response_cache_microusd"] is told["compression_microusd"] is None
    out = lynkr("usage").out
    assert "response cache: not in use" in out
    assert "not itemised (older records): $1.999900" in out


def test_filters_and_windows_narrow_the_sums(lynkr, ledger):
    assert json.loads(lynkr("usage", "--json", "--provider", "nobody").out)["requests"] == 0
    assert json.loads(lynkr("usage", "--json", "--window", "2020-01-01/2020-12-31").out)["requests"] == 0
    assert "is no window" in lynkr("usage", "--window", "soon").err


def test_a_ledger_that_breaks_is_one_line(lynkr, ledger):
    content = bytearray(ledger.read_bytes())
    content[8192:] = b"\xa5" * (len(content) - 8192)
    ledger.write_bytes(content)
    ran = lynkr("usage")
    assert ran.status in (1, 2)
    assert "Traceback" not in ran.err
    assert str(ledger) in ran.err


def test_both_stores_give_the_same_sums(ledger):
    memory = MemoryStore()
    store = SQLiteStore(ledger, read_only=True)
    memory.write(list(store.read(Query())))
    assert sums(memory) == sums(store)
    store.close()


@pytest.mark.parametrize(
    ("microusd", "shown"),
    [
        (None, "unknown"),
        (0, "$0.000000"),
        (1, "$0.000001"),
        (-1_500_000, "-$1.500000"),
        (1_234_567_890_123, "$1,234,567.890123"),
    ],
)
def test_money_is_exact(microusd, shown):
    assert dollars(microusd) == shown


def test_figures_are_flush_right_and_words_flush_left():
    shown = table(("tier", "cost"), [("SIMPLE", "$1"), ("X", "$10")])
    assert shown.splitlines() == ["tier    cost", "SIMPLE    $1", "X        $10"]


def test_text_is_kept_to_its_line():
    assert printable("a\x1b[1m\nb") == "a\\x1b[1m\\nb"
    assert shortened("a\n b   c", 10) == "a b c"
    assert shortened("abcdef", 4) == "abc…"
    assert percent(0, 0) == "–"
    assert percent(-1, 4) == "-25.0 %"
