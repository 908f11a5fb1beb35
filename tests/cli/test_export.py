"""``lynkr export`` and ``lynkr ledger``: every record comes out, typed, and room comes back."""

import csv
import io
import json
import stat
import time

import pyarrow.parquet as pq
import pytest
from attrs import evolve

from lynkr.cli.export import ATTEMPT_TYPES, REQUEST_TYPES, rows_of
from lynkr.model import Usage
from lynkr.resilience.outcome import Outcome
from lynkr.routing import Target
from lynkr.telemetry import AttemptRecord, Cost, SQLiteStore
from tests.cli.test_usage import _RECORD

HERE = Target("anthropic", "=HYPERLINK(1)")
ATTEMPTS = (
    AttemptRecord(HERE, 1.0, 0.5, 529, Outcome.FAILURE, "UpstreamBusy"),
    AttemptRecord(HERE, 2.0, 0.5, 200, Outcome.SUCCESS, usage=Usage(7, 3), cost_microusd=9),
)


@pytest.fixture
def ledger(tmp_path, monkeypatch):
    path = tmp_path / "ledger.db"
    now = time.time()
    store = SQLiteStore(path)
    store.write(
        [
            evolve(
                _RECORD, at=now - 10, target=HERE, attempts=ATTEMPTS, prompt="secret words", answer="more"
            ),
            evolve(_RECORD, id="old", at=now - 9 * 86_400, cost=Cost(), usage=Usage()),
        ]
    )
    store.close()
    monkeypatch.setenv("LYNKR_TELEMETRY_PATH", str(path))
    return path


def test_rows_have_a_cell_for_every_column():
    record = evolve(_RECORD, attempts=ATTEMPTS)
    (request,) = rows_of([record], attempts=False)
    assert len(request) == len(REQUEST_TYPES)
    attempts = list(rows_of([record], attempts=True))
    assert [len(row) for row in attempts] == [len(ATTEMPT_TYPES)] * 2
    for row, types in ((request, REQUEST_TYPES), *((attempt, ATTEMPT_TYPES) for attempt in attempts)):
        for cell, kind in zip(row, types.values(), strict=True):
            assert cell is None or isinstance(cell, kind)


def test_lines_of_json_say_null_for_the_unknown_and_nothing_of_the_words(lynkr, ledger):
    out = lynkr("export").out
    old, new = (json.loads(line) for line in out.splitlines())
    assert (old["id"], old["cost_microusd"], old["input_tokens"]) == ("old", None, None)
    assert (new["cost_microusd"], new["saved_microusd"], new["attempts"]) == (40, 1_000_000, 2)
    assert "secret" not in out
    assert "more" not in out


def test_csv_is_readable_and_runs_no_formula(lynkr, ledger):
    rows = list(csv.DictReader(io.StringIO(lynkr("export", "--format", "csv", "--window", "7d").out)))
    assert [row["id"] for row in rows] == ["1"]
    assert rows[0]["model"] == "'=HYPERLINK(1)"
    assert rows[0]["partial"] == ""


@pytest.mark.parametrize("words", [(), ("--attempts",)])
def test_parquet_keeps_types_and_nulls(lynkr, ledger, tmp_path, words):
    out = tmp_path / "out.parquet"
    assert lynkr("export", "--format", "parquet", "--out", str(out), *words).status == 0
    table = pq.read_table(out)
    assert table.num_rows == 2
    types = ATTEMPT_TYPES if words else REQUEST_TYPES
    assert table.column_names == list(types)
    assert str(table.schema.field("cost_microusd").type) == "int64"
    assert table["cost_microusd"].to_pylist() == [None, 9 if words else 40]
    assert stat.S_IMODE(out.stat().st_mode) == 0o600


def test_parquet_wants_a_file_and_a_folder_that_is_there(lynkr, ledger, tmp_path):
    assert "name it with --out" in lynkr("export", "--format", "parquet").err
    assert "cannot be written" in lynkr("export", "--out", str(tmp_path / "no" / "x.csv")).err


def test_the_ledger_is_shown_and_gives_room_back(lynkr, ledger):
    shown = json.loads(lynkr("ledger", "show", "--json").out)
    assert (shown["records"], shown["bytes"]) == (2, ledger.stat().st_size)
    assert "2 records" in lynkr("ledger", "show").out
    assert "1 records forgotten" in lynkr("ledger", "vacuum", "--keep-days", "7").out
    assert "0 records forgotten" in lynkr("ledger", "vacuum", "--keep-rows", "1").out
    assert json.loads(lynkr("ledger", "show", "--json").out)["records"] == 1


def test_room_really_comes_back(ledger):
    store = SQLiteStore(ledger)
    store.write([evolve(_RECORD, id=f"n{n}", at=1.0, prompt="x" * 5_000) for n in range(300)])
    full = store._size()
    forgotten, freed = store.compact(before=2.0)
    store.close()
    assert forgotten == 300
    assert freed > 1_000_000
    assert store._size() < full
