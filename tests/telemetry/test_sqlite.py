"""The ledger file: who may read it, how its schema changes, and what survives."""

import hashlib
import os
import signal
import sqlite3
import stat
import subprocess
import sys
import textwrap
from collections import UserList
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from decimal import Decimal
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest

from lynkr.errors import ConfigError, LedgerError
from lynkr.model import Usage
from lynkr.resilience.outcome import Outcome
from lynkr.routing.decision import Step, Target, Tier
from lynkr.telemetry import AttemptRecord, Cost, Ending, MemoryStore, Query, SQLiteStore
from lynkr.telemetry.migrations import MIGRATIONS, Execute, names_of
from lynkr.telemetry.sqlite import _migrate
from lynkr.telemetry.statements import where_of
from lynkr.telemetry.sums import Dimension, Order
from tests.telemetry.made import record

ROOT = Path(__file__).parents[2]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "ledger.db"


@pytest.fixture
def store(path: Path) -> Iterator[SQLiteStore]:
    store = SQLiteStore(path)
    yield store
    store.close()


def script(text: str, *arguments: object) -> subprocess.Popen[str]:
    """A Python program of its own, with the checkout on its path."""
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(text), *map(str, arguments)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def count(path: Path) -> int:
    store = SQLiteStore(path, read_only=True)
    return store.totals(Query()).requests


# --- the file -------------------------------------------------------------------------------------------


def test_the_file_and_its_companions_are_for_the_owner_only(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        store = SQLiteStore(tmp_path / "new" / "ledger.db")
        store.write([record()])
        modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in (tmp_path / "new").iterdir()}
        store.close()
    finally:
        os.umask(before)
    assert modes == {"ledger.db": 0o600, "ledger.db-wal": 0o600, "ledger.db-shm": 0o600}
    assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == 0o700


def test_a_file_that_exists_keeps_its_mode(path: Path) -> None:
    path.touch()
    path.chmod(0o640)
    SQLiteStore(path).close()
    assert stat.S_IMODE(path.stat().st_mode) == 0o640


def test_a_path_with_signs_of_a_uri_is_just_a_path(tmp_path: Path) -> None:
    odd = tmp_path / "a?mode=memory#b %41.db"
    store = SQLiteStore(odd)
    store.write([record()])
    store.close()
    assert odd.exists()
    assert count(odd) == 1


def test_memory_is_no_file(path: Path) -> None:
    with pytest.raises(ConfigError, match="MemoryStore"):
        SQLiteStore(":memory:")


@pytest.mark.parametrize(
    "content", [b"this is a letter, not a database; " * 40, b"SQLite format 3\x00" + b"\xff" * 8000]
)
def test_a_corrupt_file_is_refused_at_the_start_and_left_alone(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=r"ledger\.db"):
        SQLiteStore(path)
    assert path.read_bytes() == content


def test_a_folder_that_cannot_be_is_refused_at_the_start(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match="cannot use"):
        SQLiteStore(tmp_path / "file" / "ledger.db")


def test_a_read_only_store_reads_but_neither_makes_nor_changes(path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot use"):
        SQLiteStore(path, read_only=True)
    assert not path.exists()
    writer = SQLiteStore(path)
    writer.write([record()])
    reader = SQLiteStore(path, read_only=True)
    assert [found.id for found in reader.read(Query())] == ["r1"]
    for change in (lambda: reader.write([record("r2")]), lambda: reader.prune(9e9)):
        with pytest.raises(RuntimeError, match="read only"):
            change()
    writer.close()
    assert reader.totals(Query()).requests == 1


def test_a_file_the_process_may_not_write_is_refused_at_the_start_and_read_on_request(tmp_path: Path) -> None:
    # Root may write anything, so the program lays its rights down first.
    outcome = script(
        """
        import os, pathlib, sys, tempfile
        import lynkr.telemetry.sqlite, lynkr.telemetry as t
        folder = pathlib.Path(tempfile.mkdtemp())
        os.chmod(folder, 0o755)
        t.SQLiteStore(folder / "ledger.db").close()
        os.chmod(folder / "ledger.db", 0o444)
        if os.getuid() == 0:
            os.setgid(65534); os.setuid(65534)
        try:
            t.SQLiteStore(folder / "ledger.db")
        except t.sqlite.ConfigError as error:
            print("refused" if "ermission" in str(error) or "readonly" in str(error) else error)
        """
    )
    assert outcome.communicate(timeout=30)[0] == "refused\n"


def test_a_new_file_locked_all_the_time_is_refused_and_one_locked_a_while_is_waited_for(path: Path) -> None:
    other = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    other.execute("BEGIN EXCLUSIVE")
    with pytest.raises(ConfigError, match="locked"):
        SQLiteStore(path, busy_timeout=0.05)
    with ThreadPoolExecutor(1) as pool:
        opening = pool.submit(SQLiteStore, path, busy_timeout=30)
        with pytest.raises(TimeoutError):
            opening.result(0.05)
        other.execute("ROLLBACK")
        other.close()
        opening.result(30).close()
    assert count(path) == 0


# --- the schema -----------------------------------------------------------------------------------------


def statements() -> list[str]:
    said: list[str] = []
    for migration in MIGRATIONS:
        migration(lambda sql: said.append(" ".join(sql.split())))
    return said


def test_released_migrations_are_never_edited() -> None:
    digest = hashlib.sha256("\n".join(statements()[:8]).encode()).hexdigest()
    assert names_of(MIGRATIONS)[0] == "m001_requests_and_attempts"
    assert digest[:16] == "8e8200d2d4a89eb5", (
        "add a migration; ledgers exist that this one has already run on"
    )


def test_the_names_of_the_migrations_are_recorded(store: SQLiteStore, path: Path) -> None:
    with sqlite3.connect(path) as connection:
        names = [name for (name,) in connection.execute("SELECT name FROM telemetry_migrations")]
    connection.close()
    assert names == list(names_of(MIGRATIONS))


@pytest.mark.parametrize("read_only", [False, True])
def test_a_newer_schema_is_refused_and_left_alone(path: Path, *, read_only: bool) -> None:
    SQLiteStore(path).close()
    with sqlite3.connect(path) as connection:
        connection.execute("INSERT INTO telemetry_migrations VALUES ('m999_from_the_future', 0)")
    connection.close()
    with pytest.raises(ConfigError, match=r"newer lynkr \(it has m999_from_the_future\).*upgrade"):
        SQLiteStore(path, read_only=read_only)


def test_a_reader_refuses_a_file_that_was_never_a_ledger(path: Path) -> None:
    sqlite3.connect(path).close()
    path.touch()
    with pytest.raises(ConfigError, match="no ledger"):
        SQLiteStore(path, read_only=True)


def test_a_migration_that_fails_changes_nothing(path: Path) -> None:
    def m002_breaks(execute: Execute) -> None:
        execute("ALTER TABLE requests ADD COLUMN extra TEXT")
        execute("CREATE TABLE requests (again)")

    store = SQLiteStore(path)
    store.write([record()])
    connection = store._writing()
    with pytest.raises(sqlite3.OperationalError, match="already exists"):
        _migrate(connection, path, (*MIGRATIONS, m002_breaks))
    assert "extra" not in [row[1] for row in connection.execute("PRAGMA table_info(requests)")]
    store.close()
    assert count(path) == 1


def test_a_migration_keeps_the_records(path: Path) -> None:
    def m002_adds_a_column(execute: Execute) -> None:
        execute("ALTER TABLE requests ADD COLUMN extra TEXT")

    store = SQLiteStore(path)
    store.write([record()])
    _migrate(store._writing(), path, (*MIGRATIONS, m002_adds_a_column))
    store.write([record("r2")])
    assert [found.id for found in store.read(Query())] == ["r2", "r1"]
    store.close()


def test_many_may_open_a_new_file_at_once(path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        stores = list(pool.map(lambda _: SQLiteStore(path, busy_timeout=20), range(8)))
    for i, store in enumerate(stores):
        store.write([record(str(i))])
        store.close()
    assert count(path) == 8


@pytest.mark.parametrize(
    ("query", "index"),
    [
        (Query(), "requests_at"),
        (Query(since=1.0, until=2.0), "requests_at"),
        (Query(tier=Tier.SIMPLE, since=1.0), "requests_tier_at"),
        (Query(provider="p", since=1.0), "requests_provider_at"),
        (Query(session="s", since=1.0), "requests_session_at"),
        (Query(errors_only=True, since=1.0), "requests_failed_at"),
        (Query(id="r1"), "sqlite_autoindex_requests_1"),
    ],
)
def test_each_filter_reads_along_an_index_in_the_order_wanted(
    store: SQLiteStore, query: Query, index: str
) -> None:
    where, values = where_of(query)
    connection = store._writing()
    plan = connection.execute(
        f"EXPLAIN QUERY PLAN SELECT * FROM requests {where} ORDER BY at DESC, seq DESC LIMIT 10", values
    ).fetchall()
    text = " / ".join(step[3] for step in plan)
    assert index in text
    assert "TEMP B-TREE" not in text


# --- rows -----------------------------------------------------------------------------------------------


def test_attempts_have_a_row_each_under_their_request(store: SQLiteStore, path: Path) -> None:
    tried = AttemptRecord(
        Target("openai", "gpt-4o"),
        1.0,
        0.5,
        529,
        Outcome.FAILURE,
        "UpstreamBusy",
        usage=Usage(input=9),
        cost_microusd=3,
    )
    served = AttemptRecord(Target("anthropic", "claude"), 1.6, 2.0, 200, Outcome.SUCCESS)
    store.write([record("two", attempts=(tried, served)), record("none")])
    connection = sqlite3.connect(path)
    found = connection.execute(
        "SELECT id, number, attempts.provider, attempts.input_tokens, attempts.cost_microusd"
        " FROM attempts JOIN requests ON seq = request_seq ORDER BY number"
    ).fetchall()
    connection.close()
    assert found == [("two", 0, "openai", 9, 3), ("two", 1, "anthropic", None, None)]
    store.prune(99.0)
    assert [a.cost_microusd for r in store.read(Query()) for a in r.attempts] == []


def test_unknown_is_null_and_zero_is_zero(store: SQLiteStore, path: Path) -> None:
    store.write(
        [record("unknown", at=1.0), record("free", at=2.0, usage=Usage(input=0, output=0), cost=Cost(0, 0))]
    )
    connection = sqlite3.connect(path)
    found = connection.execute(
        "SELECT input_tokens, cost_microusd, tier FROM requests ORDER BY at"
    ).fetchall()
    connection.close()
    assert found == [(None, None, None), (0, 0, None)]


def test_an_odd_record_costs_the_batch_nothing(store: SQLiteStore) -> None:
    store.write(
        [
            record("huge", at=3.0, usage=Usage(input=10**30, output=10**12), cost=Cost(2**63)),
            record("half a pair \ud800", at=2.0, requested_model="\udfff", prompt="\ud800"),
            record("plain", at=1.0),
        ]
    )
    huge, half, plain = store.read(Query())
    assert (huge.usage.input, huge.usage.output, huge.cost.cost_microusd) == (None, 10**12, None)
    assert (half.id, half.requested_model, half.prompt) == ("half a pair \\ud800", "\\udfff", "\\ud800")
    assert plain.id == "plain"


def test_the_data_of_a_step_may_be_of_any_class(store: SQLiteStore) -> None:
    data: dict[str, Any] = {
        "frozen": MappingProxyType({"a": (1, 2)}),
        "words": UserList(["b"]),
        "odd": Decimal("1.5"),
    }
    store.write([record(trace=(Step("rule", "why", data=data),))])
    (found,) = store.read(Query())
    assert found.trace[0].data == {"frozen": {"a": [1, 2]}, "words": ["b"], "odd": "1.5"}


def test_sums_stay_exact_far_beyond_any_bill(store: SQLiteStore) -> None:
    store.write([record(str(i), usage=Usage(10**12, 10**12), cost=Cost(10**12, 1)) for i in range(3)])
    totals = store.totals(Query())
    assert (totals.input_tokens, totals.saved_microusd) == (3 * 10**12, 3 - 3 * 10**12)


def test_a_reader_sees_one_moment_while_others_write(store: SQLiteStore) -> None:
    store.write([record(str(i), at=i) for i in range(500)])
    reading = store.read(Query(limit=None))
    first = next(reading)
    store.write([record("late", at=9e9)])
    store.prune(400.0)
    assert first.id == "499"
    assert sum(1 for _ in reading) == 499
    assert store.totals(Query()).requests == 101


# --- several processes, and the end of one ----------------------------------------------------------------


WRITER = """
    import sys
    sys.stdin.readline()
    from lynkr.telemetry import Ending, Record, SQLiteStore
    path, name, batches, size = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
    store = SQLiteStore(path, busy_timeout=30)
    for batch in range(batches):
        ids = [f"{name}-{batch}-{i}" for i in range(size - 1)] + [f"shared-{batch}"]
        store.write([Record(i, 1.0, None, "auto", False, Ending.OK, 200, prompt="x" * 500) for i in ids])
        print(batch, flush=True)
"""


def test_several_processes_write_to_one_new_file(path: Path) -> None:
    writers = [script(WRITER, path, name, 10, 20) for name in "abc"]
    for writer in writers:
        assert writer.stdin is not None
        writer.stdin.write("go\n")
        writer.stdin.flush()
    for writer in writers:
        said, _ = writer.communicate(timeout=60)
        assert writer.returncode == 0
        assert said.split() == [str(i) for i in range(10)]
    assert count(path) == 3 * 10 * 19 + 10  # the shared ids once
    with closing(SQLiteStore(path)) as store:
        assert store.totals(Query()).requests == count(path), "the roll-ups too"


def test_kill_9_keeps_every_batch_that_was_acknowledged(path: Path) -> None:
    writer = script(WRITER, path, "a", 100_000, 20)
    assert writer.stdin is not None
    assert writer.stdout is not None
    writer.stdin.write("go\n")
    writer.stdin.flush()
    acknowledged = 0
    for line in writer.stdout:
        acknowledged = int(line) + 1
        if acknowledged >= 30:
            os.kill(writer.pid, signal.SIGKILL)
            break
    for line in writer.stdout:  # what it still said before it died
        acknowledged = int(line) + 1
    writer.stdout.close()
    writer.stdin.close()
    assert writer.wait(30) == -signal.SIGKILL
    store = SQLiteStore(path)
    connection = store._writing()
    assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    kept = store.totals(Query()).requests
    assert kept >= acknowledged * 20
    assert kept % 20 == 0  # whole batches only
    assert connection.execute("SELECT count(*) FROM details").fetchone() == (kept,)
    store.write([record()])
    store.close()


def test_a_forked_child_opens_the_file_for_itself(path: Path) -> None:
    child = script(
        """
        import os, sys
        from lynkr.telemetry import Ending, Record, SQLiteStore
        def one(i): return [Record(i, 1.0, None, "auto", False, Ending.OK, 200)]
        store = SQLiteStore(sys.argv[1])
        store.write(one("before"))
        pid = os.fork()
        inherited = store._writer
        store.write(one("child" if pid == 0 else "parent"))
        if pid == 0:
            os._exit(int(store._writer is inherited))
        assert os.waitpid(pid, 0)[1] == 0
        store.close()
        """,
        path,
    )
    child.communicate(timeout=30)
    assert child.returncode == 0
    assert count(path) == 3


# --- a bad day --------------------------------------------------------------------------------------------


def test_a_full_database_keeps_nothing_of_the_batch_and_recovers(store: SQLiteStore) -> None:
    store.write([record("before")])
    connection = store._writing()
    pages = connection.execute("PRAGMA page_count").fetchone()[0]
    connection.execute(f"PRAGMA max_page_count = {pages + 4}")
    with pytest.raises(sqlite3.OperationalError, match="full"):
        store.write([record(f"big{i}", prompt="x" * 5000) for i in range(50)])
    assert [found.id for found in store.read(Query())] == ["before"]
    connection.execute("PRAGMA max_page_count = 100000")
    store.write([record("after", at=2.0)])
    assert [found.id for found in store.read(Query())] == ["after", "before"]


def test_a_disk_that_takes_no_more_is_survived_and_the_file_opened_anew(path: Path) -> None:
    # A file size limit of the process: real failing writes, with no file system to mount.
    child = script(
        """
        import resource, sqlite3, sys
        from lynkr.telemetry import Ending, Query, Record, SQLiteStore
        def some(name):
            words = "x" * 900
            ids = [f"{name}{i}" for i in range(50)]
            return [Record(i, 1.0, None, "m", False, Ending.OK, 200, prompt=words) for i in ids]
        store = SQLiteStore(sys.argv[1])
        store.write(some("before"))
        hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
        resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, hard))
        failed = 0
        for batch in range(20):
            try:
                store.write(some(f"b{batch}-"))
            except sqlite3.Error:
                failed += 1
        assert failed > 0
        resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
        store.write(some("after"))
        assert store.totals(Query()).requests == 50 * (22 - failed)
        assert len(list(store.read(Query(limit=None)))) == 50 * (22 - failed)
        store.close()
        """,
        path,
    )
    child.communicate(timeout=30)
    assert child.returncode == 0


def test_a_locked_file_raises_after_the_time_allowed_and_recovers(path: Path) -> None:
    store = SQLiteStore(path, busy_timeout=0.05)
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(sqlite3.OperationalError, match="locked"):
        store.write([record()])
    other.execute("COMMIT")
    other.close()
    store.write([record()])
    assert store.totals(Query()).requests == 1
    store.close()


def test_a_file_damaged_while_open_raises_and_never_hangs(path: Path) -> None:
    store = SQLiteStore(path)
    store.write([record(str(i), ending=Ending.FAILED, status=500) for i in range(200)])
    store.close()
    store = SQLiteStore(path)
    pages = path.stat().st_size // 4096
    with path.open("r+b") as file:
        for page in range(2, pages):  # but for the first one, of 8192 bytes
            file.seek(page * 4096)
            file.write(b"\xa5" * 4096)
    with pytest.raises(sqlite3.DatabaseError):
        store.write([record("more")])
    with pytest.raises(LedgerError, match="cannot be read"):
        list(store.read(Query()))
    store.close()


@pytest.mark.parametrize("sessions", [50, 4_500])  # picked out by name; too many for that
def test_the_first_of_many_new_sessions_are_those_of_all_rows(path: Path, sessions: int) -> None:
    made = [
        record(str(n), at=float(n), session=f"s{n * 7 % sessions}", cost=Cost(n * 31 % 1000))
        for n in range(sessions + 500)
    ]
    store, plain = SQLiteStore(path, tail=10**9), MemoryStore()
    for kept in (store, plain):
        kept.write(made)
    for order in Order:
        found, expected = (
            one.cells(Query(), (Dimension.SESSION,), order=order, limit=5) for one in (store, plain)
        )
        assert found == expected
        assert len(found) == 5
    store.close()
