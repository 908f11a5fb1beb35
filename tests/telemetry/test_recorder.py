"""The recorder never waits, never raises, never loses its thread, and accounts for every record."""

import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from statistics import median

import anyio
import anyio.lowlevel
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lynkr.model import Json
from lynkr.routing.recorded import Deferred
from lynkr.telemetry import MemoryStore, Query, Record, Recorder, SQLiteStore
from lynkr.telemetry.store import may_pass
from tests.telemetry.made import record

ROOT = Path(__file__).parents[2]
WAIT = 30.0  # seconds; only a failing test waits so long


class TroubledStore(MemoryStore):
    """A store that calls *trouble* with each batch before it takes it; whatever that raises is its answer."""

    def __init__(self, trouble: Callable[[Sequence[Record]], None]) -> None:
        super().__init__(max_records=100_000)
        self.trouble = trouble
        self.batches: list[int] = []

    def write(self, records: Sequence[Record], /) -> None:
        self.trouble(records)
        super().write(records)
        self.batches.append(len(records))


class Gate:
    """Holds up whoever calls it until it is opened, and tells when somebody came."""

    def __init__(self) -> None:
        self.reached = threading.Event()
        self.opened = threading.Event()

    def __call__(self, _: Sequence[Record]) -> None:
        self.reached.set()
        assert self.opened.wait(WAIT)


def times(count: int, error: Exception) -> Callable[[object], None]:
    """Raises *error* the first *count* times."""
    left = iter(range(count))

    def trouble(_: object) -> None:
        if next(left, None) is not None:
            raise error

    return trouble


def ids_in(store: MemoryStore | SQLiteStore) -> set[str]:
    return {found.id for found in store.read(Query(limit=None))}


@pytest.fixture
def gate() -> Iterator[Gate]:
    gate = Gate()
    yield gate
    gate.opened.set()


# --- the law: every record handed over is written, failed or dropped, once --------------------------------


@given(
    count=st.integers(0, 60),
    capacity=st.integers(1, 40),
    batch=st.integers(1, 20),
    failures=st.integers(0, 6),
    odd=st.sets(st.integers(0, 59), max_size=3),
)
def test_every_record_is_accounted_for_once(
    count: int, capacity: int, batch: int, failures: int, odd: set[int]
) -> None:
    fails = times(failures, OSError("disk"))

    def trouble(records: Sequence[Record]) -> None:
        fails(records)
        if any(int(found.id) in odd for found in records):
            raise ValueError("odd")

    store = TroubledStore(trouble)
    recorder = Recorder(store, capacity=capacity, batch=batch, flush_interval=0.0, backoff=(0.0, 0.0))
    for i in range(count):
        recorder.record(record(str(i)))
    assert recorder.close(WAIT)
    stats = recorder.stats()
    assert stats.queued == 0
    assert stats.written + stats.failed + stats.dropped == count
    assert len(ids_in(store)) == stats.written
    assert ids_in(store).isdisjoint(str(i) for i in odd)
    assert max(store.batches, default=0) <= batch
    assert (stats.last_error is None) or "disk" in stats.last_error or "odd" in stats.last_error


def test_many_threads_may_record_at_once() -> None:
    store = MemoryStore(max_records=100_000)
    recorder = Recorder(store, capacity=100_000, flush_interval=0.001)

    def work(thread: int) -> None:
        for i in range(2_000):
            recorder.record(record(f"{thread}-{i}"))

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(work, range(4)))
    assert recorder.flush(WAIT)
    assert recorder.stats().written == len(ids_in(store)) == 8_000
    recorder.close()


# --- on the request's path --------------------------------------------------------------------------------


def test_no_thread_runs_before_the_first_record() -> None:
    before = set(threading.enumerate())
    recorder = Recorder(MemoryStore())
    assert recorder.flush(0.0)
    assert recorder.close(0.0)
    assert not set(threading.enumerate()) - before


def test_recording_takes_under_twenty_microseconds(tmp_path: Path) -> None:
    store = SQLiteStore(tmp_path / "ledger.db")
    recorder = Recorder(store)
    one = record()
    spent: list[float] = []
    for _ in range(5_000):
        start = time.perf_counter()
        recorder.record(one)
        spent.append(time.perf_counter() - start)
    assert median(spent) < 20e-6
    recorder.close()
    store.close()


def test_a_store_that_hangs_holds_up_nobody_and_overflow_is_counted(gate: Gate) -> None:
    recorder = Recorder(TroubledStore(gate), capacity=3, flush_interval=0.0)
    for i in range(5):
        recorder.record(record(str(i)))
    assert gate.reached.wait(WAIT)
    stats = recorder.stats()
    assert (stats.queued, stats.written, stats.dropped) == (3, 0, 2)
    assert not recorder.flush(0.0)
    gate.opened.set()
    assert recorder.flush(WAIT)
    assert recorder.stats().written == 3
    recorder.record(record("room again"))
    assert recorder.close(WAIT)
    assert recorder.stats().written == 4


def test_records_are_written_in_the_order_they_came_and_in_batches(gate: Gate) -> None:
    store = TroubledStore(gate)
    recorder = Recorder(store, batch=10, flush_interval=0.0)
    recorder.record(record("first"))
    assert gate.reached.wait(WAIT)
    for i in range(25):
        recorder.record(record(f"{i:02}"))
    gate.opened.set()
    assert recorder.close(WAIT)
    assert store.batches == [1, 10, 10, 5]
    assert [found.id for found in store.read(Query())][::-1] == ["first", *(f"{i:02}" for i in range(25))]


def test_a_full_batch_is_written_before_the_interval_is_over() -> None:
    wrote = threading.Event()
    recorder = Recorder(TroubledStore(lambda _: wrote.set()), batch=5, flush_interval=3600.0)
    for i in range(4):
        recorder.record(record(str(i)))
    assert not wrote.wait(0.05)
    recorder.record(record("4"))
    assert wrote.wait(WAIT)
    recorder.close()


def test_flush_does_not_wait_for_the_interval() -> None:
    recorder = Recorder(MemoryStore(), flush_interval=3600.0)
    recorder.record(record())
    assert recorder.flush(WAIT)
    assert recorder.stats().written == 1
    recorder.close()


# --- trouble ----------------------------------------------------------------------------------------------


def test_a_store_that_recovers_in_time_loses_nothing() -> None:
    store = TroubledStore(times(2, OSError("disk full")))
    recorder = Recorder(store, flush_interval=0.0, backoff=(0.0, 0.0), clock=lambda: 77.0)
    recorder.record(record())
    assert recorder.flush(WAIT)
    stats = recorder.stats()
    assert (stats.written, stats.failed, stats.retries) == (1, 0, 2)
    assert (stats.last_error, stats.last_error_at) == ("OSError: disk full", 77.0)
    recorder.close()


def test_a_store_that_does_not_is_given_up_and_the_thread_lives_on() -> None:
    store = TroubledStore(times(3, RuntimeError("gone")))
    recorder = Recorder(store, flush_interval=0.0, backoff=(0.0, 0.0), patience=0.0)
    recorder.record(record("lost"))
    assert recorder.flush(WAIT)
    assert recorder.stats().failed == 1
    recorder.record(record("kept"))
    assert recorder.flush(WAIT)
    assert recorder.stats().written == 1
    assert ids_in(store) == {"kept"}
    recorder.close()


def test_one_odd_record_costs_only_itself() -> None:
    def trouble(records: Sequence[Record]) -> None:
        if any(found.id == "odd" for found in records):
            raise TypeError("not a record of ours")

    store = TroubledStore(trouble)
    recorder = Recorder(store, batch=3, flush_interval=3600.0, backoff=(3600.0,))
    for name in ("a", "odd", "b"):
        recorder.record(record(name))
    assert recorder.flush(WAIT)
    assert ids_in(store) == {"a", "b"}
    assert (recorder.stats().failed, recorder.stats().retries) == (1, 0)
    recorder.close()


def test_as_long_as_there_is_room_nothing_is_lost_however_long_the_store_fails() -> None:
    store = TroubledStore(times(50, OSError("disk full")))
    recorder = Recorder(store, capacity=10, flush_interval=0.0, backoff=(0.0, 0.001))
    for i in range(9):
        recorder.record(record(str(i)))
    assert recorder.flush(WAIT)
    stats = recorder.stats()
    assert (stats.written, stats.failed, stats.dropped) == (9, 0, 0)
    assert stats.retries > 10
    recorder.close()


def test_without_room_a_batch_is_given_up_for_what_comes(gate: Gate) -> None:
    given_up = threading.Event()

    def trouble(records: Sequence[Record]) -> None:
        if any(found.id == "first" for found in records):
            gate(records)
            raise OSError("disk full")
        given_up.set()

    recorder = Recorder(TroubledStore(trouble), capacity=2, flush_interval=0.0, backoff=(0.0,), batch=1)
    recorder.record(record("first"))
    assert gate.reached.wait(WAIT)
    recorder.record(record("second"))
    recorder.record(record("third"))  # no room
    gate.opened.set()
    assert given_up.wait(WAIT)
    assert recorder.close(WAIT)
    stats = recorder.stats()
    assert (stats.written, stats.failed, stats.dropped) == (1, 1, 1)


@given(st.sets(st.integers(0, 19), max_size=3))
def test_records_that_a_store_cannot_write_for_whatever_reason_cost_few_others(odd: set[int]) -> None:
    def trouble(records: Sequence[Record]) -> None:
        if any(int(found.id) in odd for found in records):
            raise RuntimeError("a trigger of the owner's says no")

    store = TroubledStore(trouble)
    recorder = Recorder(store, batch=20, flush_interval=3600.0, backoff=(0.0,))
    for i in range(20):
        recorder.record(record(str(i)))
    assert recorder.flush(WAIT)
    written, failed = recorder.stats().written, recorder.stats().failed
    assert written + failed == 20
    assert failed == len(odd) or len(odd) > 1  # where both halves have one, the store might be down as well
    assert ids_in(store).isdisjoint(map(str, odd))
    assert len(ids_in(store)) == written
    recorder.close()


@pytest.mark.parametrize(
    ("error", "passes"),
    [
        (OSError("disk"), True),
        (TimeoutError(), True),
        (RuntimeError("closed"), False),
        (KeyError("x"), False),
    ],
)
def test_what_time_may_cure_is_waited_for(error: Exception, *, passes: bool) -> None:
    assert may_pass(error) is passes


def test_a_full_and_a_locked_database_are_waited_for_and_a_damaged_one_is_not(tmp_path: Path) -> None:
    import sqlite3

    found: dict[str, bool] = {}
    path = tmp_path / "x.db"
    one, other = (sqlite3.connect(path, timeout=0.01, isolation_level=None) for _ in range(2))
    none = sqlite3.connect(Path(__file__))
    one.execute("CREATE TABLE t (a)")
    one.execute("PRAGMA max_page_count = 2")
    for name, act in (
        ("full", lambda: one.execute("INSERT INTO t VALUES (zeroblob(100000))")),
        ("locked", lambda: (one.execute("BEGIN IMMEDIATE"), other.execute("BEGIN IMMEDIATE"))),
        ("damaged", lambda: none.execute("SELECT * FROM t")),
    ):
        with pytest.raises(sqlite3.DatabaseError) as raised:
            act()
        found[name] = may_pass(raised.value)
    for connection in (one, other, none):
        connection.close()
    assert found == {"full": True, "locked": True, "damaged": False}


# --- records that are made later --------------------------------------------------------------------------


def test_what_makes_a_record_is_called_in_the_recorders_thread() -> None:
    threads: list[str] = []

    def make() -> Record:
        threads.append(threading.current_thread().name)
        return record("made")

    store = MemoryStore()
    recorder = Recorder(store)
    recorder.record(make)
    recorder.record(record("given"))
    assert recorder.close(WAIT)
    assert ids_in(store) == {"made", "given"}
    assert threads == ["lynkr-recorder"]


@given(st.lists(st.booleans(), max_size=20))
def test_a_record_that_cannot_be_made_costs_only_itself(are_odd: list[bool]) -> None:
    def make(number: int, *, is_odd: bool) -> Record:
        if is_odd:
            raise AttributeError("a defect of ours")
        return record(str(number))

    store = MemoryStore()
    recorder = Recorder(store, batch=5, flush_interval=0.0)
    for number, is_odd in enumerate(are_odd):
        recorder.record(partial(make, number, is_odd=is_odd))
    assert recorder.close(WAIT)
    stats = recorder.stats()
    assert (stats.written, stats.failed) == (are_odd.count(False), are_odd.count(True))
    assert ids_in(store) == {str(number) for number, is_odd in enumerate(are_odd) if not is_odd}
    assert (stats.last_error is not None) is any(are_odd)


def test_while_a_store_fails_what_waits_is_made_so_that_no_prompt_is_held(gate: Gate) -> None:
    made = threading.Event()
    encoded = threading.Event()

    def trouble(records: Sequence[Record]) -> None:
        gate(records)
        if not made.is_set():
            raise OSError("disk full")

    def encode() -> dict[str, Json]:
        encoded.set()
        return {"version": 1}

    def make() -> Record:
        made.set()
        return record("second", features=Deferred(encode))

    recorder = Recorder(TroubledStore(trouble), flush_interval=0.0, batch=1)
    recorder.record(record("first"))
    assert gate.reached.wait(WAIT)
    recorder.record(make)  # behind one that cannot be written
    gate.opened.set()
    assert encoded.wait(WAIT)
    assert recorder.close(WAIT)
    assert recorder.stats().written == 2


# --- closing ----------------------------------------------------------------------------------------------


def test_closing_cuts_the_wait_for_another_try_short() -> None:
    failing = threading.Event()

    def trouble(_: Sequence[Record]) -> None:
        failing.set()
        raise OSError("locked")

    recorder = Recorder(TroubledStore(trouble), flush_interval=0.0, backoff=(3600.0, 3600.0))
    recorder.record(record())
    assert failing.wait(WAIT)
    assert recorder.close(WAIT)
    assert recorder.stats().failed == 1


def test_a_locked_ledger_is_written_once_it_is_free(tmp_path: Path) -> None:
    import sqlite3

    store = SQLiteStore(tmp_path / "ledger.db", busy_timeout=0.01)
    locked = threading.Event()

    class Watched(TroubledStore):
        def write(self, records: Sequence[Record], /) -> None:
            try:
                store.write(records)
            except sqlite3.OperationalError:
                locked.set()
                raise

    other = sqlite3.connect(tmp_path / "ledger.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    recorder = Recorder(Watched(lambda _: None), flush_interval=0.0, backoff=[0.01] * 1_000)
    recorder.record(record())
    assert locked.wait(WAIT)
    other.execute("COMMIT")
    other.close()
    assert recorder.flush(WAIT)
    assert recorder.stats().written == 1
    assert "locked" in (recorder.stats().last_error or "")
    recorder.close()
    assert ids_in(store) == {"r1"}
    store.close()


def test_a_full_ledger_is_visible_and_fails_no_request(tmp_path: Path) -> None:
    store = SQLiteStore(tmp_path / "ledger.db")
    connection = store._writing()
    pages = connection.execute("PRAGMA page_count").fetchone()[0]
    connection.execute(f"PRAGMA max_page_count = {pages}")
    recorder = Recorder(store, flush_interval=0.0, backoff=(0.0, 0.01))
    for i in range(50):
        recorder.record(record(str(i), prompt="x" * 5_000))
    assert not recorder.flush(0.1)
    stats = recorder.stats()
    assert stats.failing
    assert stats.failed == 0
    assert "full" in (stats.last_error or "")
    assert len(ids_in(store)) == stats.written
    connection.execute("PRAGMA max_page_count = 100000")  # somebody made room
    assert recorder.flush(WAIT)
    assert len(ids_in(store)) == recorder.stats().written == 50
    recorder.close()
    store.close()


def test_a_machine_out_of_threads_is_tried_again_with_the_next_record(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    recorder = Recorder(MemoryStore(), flush_interval=0.0)
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", times(1, RuntimeError("can't start new thread")))
        recorder.record(record("first"))
    assert recorder.stats().last_error == "RuntimeError: can't start new thread"
    assert recorder.stats().queued == 1
    recorder.record(record("second"))
    assert recorder.close(WAIT)
    assert recorder.stats().written == 2


# --- the end ----------------------------------------------------------------------------------------------


def test_closing_writes_what_waits_and_drops_what_comes_later() -> None:
    store = MemoryStore()
    recorder = Recorder(store, flush_interval=3600.0)
    recorder.record(record("in time"))
    assert recorder.close(WAIT)
    assert recorder.close(WAIT)
    recorder.record(record("late"))
    assert ids_in(store) == {"in time"}
    assert recorder.stats().dropped == 1
    assert recorder.store is store


def test_closing_gives_up_when_its_time_is_over(gate: Gate) -> None:
    recorder = Recorder(TroubledStore(gate), flush_interval=0.0)
    recorder.record(record())
    assert gate.reached.wait(WAIT)
    assert not recorder.close(0.0)
    gate.opened.set()
    assert recorder.close(WAIT)
    assert recorder.stats().written == 1


@pytest.mark.anyio
async def test_closing_from_an_event_loop_leaves_it_free(gate: Gate) -> None:
    recorder = Recorder(TroubledStore(gate), flush_interval=0.0)
    recorder.record(record())
    closed: list[bool] = []

    async def close() -> None:
        closed.append(await recorder.aclose(WAIT))

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(close)
        await anyio.lowlevel.checkpoint()
        assert closed == []
        gate.opened.set()  # only a loop that is free gets here
    assert closed == [True]


def test_a_program_that_forgets_to_close_keeps_its_records(tmp_path: Path) -> None:
    program = """
        import sys
        from lynkr.telemetry import Ending, Record, Recorder, SQLiteStore
        recorder = Recorder(SQLiteStore(sys.argv[1]), flush_interval=60)
        for i in range(10):
            recorder.record(Record(str(i), 1.0, None, "auto", False, Ending.OK, 200))
    """
    path = tmp_path / "ledger.db"
    subprocess.run([sys.executable, "-c", textwrap.dedent(program), path], cwd=ROOT, check=True, timeout=WAIT)
    assert len(ids_in(SQLiteStore(path, read_only=True))) == 10


# --- age --------------------------------------------------------------------------------------------------


def test_records_older_than_they_are_kept_are_forgotten_hourly() -> None:
    now = [1_000.0]
    store = MemoryStore()
    store.write([record("old", at=1.0), record("young", at=950.0)])
    recorder = Recorder(store, flush_interval=0.0, keep=100.0, clock=lambda: now[0])

    def after(name: str) -> set[str]:
        recorder.record(record(name, at=now[0]))
        assert recorder.flush(WAIT)
        return ids_in(store)

    assert after("a") == {"young", "a"}
    now[0] += 3_599.0
    assert after("b") == {"young", "a", "b"}
    now[0] += 1.0
    assert after("c") == {"b", "c"}
    assert recorder.stats().pruned == 3
    recorder.close()


def test_a_failure_to_forget_is_visible_and_harmless() -> None:
    class Stubborn(MemoryStore):
        def prune(self, before: float, /) -> int:
            raise OSError("cannot forget")

    recorder = Recorder(Stubborn(), flush_interval=0.0, keep=1.0)
    recorder.record(record())
    assert recorder.close(WAIT)
    assert recorder.stats().written == 1
    assert recorder.stats().last_error == "OSError: cannot forget"


@pytest.mark.parametrize("bad", [{"capacity": 0}, {"batch": 0}])
def test_bounds_below_one_are_refused(bad: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="at least 1"):
        Recorder(MemoryStore(), **bad)  # type: ignore[arg-type]


@pytest.mark.usefixtures("unmeasured_children")
def test_importing_telemetry_loads_neither_sqlite_nor_an_event_loop() -> None:
    program = """
        import sys
        import lynkr.telemetry
        heavy = {"sqlite3", "anyio", "asyncio", "ssl", "httpx", "cattrs", "tenacity"} & set(sys.modules)
        assert not heavy, heavy
        lynkr.telemetry.SQLiteStore
        assert "sqlite3" in sys.modules
        try:
            lynkr.telemetry.Nothing
        except AttributeError as error:
            assert "Nothing" in str(error)
        else:
            raise AssertionError
    """
    subprocess.run([sys.executable, "-c", textwrap.dedent(program)], cwd=ROOT, check=True, timeout=WAIT)


def test_kill_9_loses_no_more_than_the_last_flush_interval(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    program = textwrap.dedent(
        """
        import sys, time
        from lynkr.telemetry import Ending, Record, Recorder, SQLiteStore
        recorder = Recorder(SQLiteStore(sys.argv[1]), flush_interval=0.1)
        number = 0
        while True:
            recorder.record(Record(f"r{number}", 1.0, None, "auto", False, Ending.OK, 200))
            print(number, time.time(), flush=True)
            number += 1
            time.sleep(0.001)
        """
    )
    child = subprocess.Popen(
        [sys.executable, "-c", program, str(path)],
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[2],
    )
    assert child.stdout is not None
    handed: list[tuple[int, float]] = []
    for line in child.stdout:
        number, at = line.split()
        handed.append((int(number), float(at)))
        if float(at) - handed[0][1] > 1.5:
            break
    child.send_signal(signal.SIGKILL)
    assert child.wait(30) == -signal.SIGKILL
    child.stdout.close()
    store = SQLiteStore(path)
    kept = {record.id for record in store.read(Query(limit=None))}
    store.close()
    # The interval, and as much again for the writing itself on a busy machine.
    due = {f"r{number}" for number, at in handed if at < handed[-1][1] - 1.0}
    assert due
    assert due <= kept
