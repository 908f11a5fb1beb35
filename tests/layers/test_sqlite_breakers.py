"""Breakers in a file: the memory breaker's laws, shared by processes, and never a request's undoing."""

import contextlib
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from time import perf_counter

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from lynkr.layers.sqlite_breakers import SqliteBreakers, decode, encode
from lynkr.resilience.breaker import BreakerConfig, BreakerData
from lynkr.resilience.outcome import Outcome
from lynkr.resilience.protocols import BreakerState, Permit
from lynkr.resilience.registry import BreakerRegistry, MemoryBreakers, shut
from tests.resilience.breaker_machine import KEY, BreakerMachine

OK, BAD = Outcome.SUCCESS, Outcome.FAILURE


class FileAgainstMemoryAndModel(BreakerMachine):
    """Two handles on one file, as two worker processes hold them."""

    def open_handles(self, config: BreakerConfig) -> list[BreakerRegistry]:
        self.directory = tempfile.TemporaryDirectory()
        path = Path(self.directory.name, "breakers.db")
        self.opened = [SqliteBreakers(path, config, stale=0.0) for _ in range(2)]
        return list(self.opened)

    def teardown(self) -> None:
        if hasattr(self, "opened"):
            for registry in self.opened:
                assert (registry.faults, registry.last_fault) == (0, None)
                registry.close()
            self.directory.cleanup()


TestFileAgainstItsModel = FileAgainstMemoryAndModel.TestCase


@contextlib.contextmanager
def registry_at(path: Path, **options: float) -> Iterator[SqliteBreakers]:
    registry = SqliteBreakers(path, **options)  # type: ignore[arg-type]
    try:
        yield registry
    finally:
        registry.close()


def fail(registry: BreakerRegistry, now: float, times: int = 5) -> None:
    for _ in range(times):
        breaker = registry.breaker(KEY)
        permit = breaker.try_acquire(now)
        assert permit is not None
        breaker.settle(permit, BAD, now)


_times = st.floats(0, 1e10)
_counts = st.integers(0, 10**6)


@given(
    st.builds(
        BreakerData,
        st.sampled_from(BreakerState),
        _counts,
        st.none() | _times,
        _counts,
        _times,
        _counts,
        _counts,
        _counts,
        st.lists(st.tuples(_counts, _times)).map(tuple),
        st.lists(st.tuples(_counts, _counts, _counts, _counts)).map(tuple),
        _counts,
        _counts,
    )
)
def test_a_row_tells_everything_a_breaker_remembers(data: BreakerData) -> None:
    assert decode(encode(data)) == data


@given(st.text() | st.binary().map(lambda b: b.decode("latin-1")))
def test_a_row_that_is_something_else_is_refused(text: str) -> None:
    with pytest.raises((ValueError, TypeError, KeyError)):
        decode(text)


@pytest.mark.parametrize("time", ["NaN", "Infinity", "1e999", '"soon"'])
def test_a_row_with_an_impossible_time_is_refused(time: str) -> None:
    text = encode(BreakerData(until=12345.5)).replace("12345.5", time)
    with pytest.raises(ValueError, match=r"not a time|could not convert"):
        decode(text)


def test_state_outlives_the_process_that_made_it(tmp_path: Path) -> None:
    path = tmp_path / "b.db"
    with registry_at(path) as registry:
        fail(registry, 100.0)
    with registry_at(path) as registry:
        assert registry.breaker(KEY).state(101.0) is BreakerState.OPEN
        assert shut(registry.statuses(101.0)) == {KEY}


_WORKER = """
import sys
from lynkr.layers.sqlite_breakers import SqliteBreakers
registry = SqliteBreakers(sys.argv[1], busy_timeout=5.0)
breaker = registry.breaker(sys.argv[2])
print("ready", flush=True)
sys.stdin.readline()
print(sum(breaker.try_acquire(115.0) is not None for _ in range(200)), registry.faults, flush=True)
"""


def test_workers_in_several_processes_send_one_probe_between_them(tmp_path: Path) -> None:
    path = tmp_path / "b.db"
    with registry_at(path) as registry:
        fail(registry, 100.0)
        workers = [
            subprocess.Popen(
                [sys.executable, "-c", _WORKER, str(path), KEY],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
            for _ in range(3)
        ]
        try:
            for worker in workers:
                assert worker.stdout is not None
                assert worker.stdout.readline() == "ready\n"
            for worker in workers:  # all at once
                assert worker.stdin is not None
                worker.stdin.write("\n")
                worker.stdin.flush()
            told = [worker.communicate(timeout=30)[0].split() for worker in workers]
        finally:
            for worker in workers:
                worker.kill()
                worker.wait()
        assert sum(int(permits) for permits, _ in told) == 1
        assert [faults for _, faults in told] == ["0", "0", "0"]
        assert registry.breaker(KEY).status(115.0).rejected == 3 * 200 - 1


def test_the_file_is_for_its_owner_only(tmp_path: Path) -> None:
    path = tmp_path / "b.db"
    with registry_at(path) as registry:
        fail(registry, 0.0, times=1)
        for file in tmp_path.iterdir():
            assert file.stat().st_mode & 0o077 == 0, file


@pytest.mark.parametrize("kind", ["directory", "garbage", "no such folder", "someone else's table"])
def test_a_file_that_cannot_be_used_leaves_the_breakers_working_and_says_so(
    tmp_path: Path, kind: str
) -> None:
    path = tmp_path / "b.db"
    match kind:
        case "directory":
            path.mkdir()
        case "garbage":
            path.write_bytes(b"this is not a database" * 1000)
        case "no such folder":
            path = tmp_path / "missing" / "b.db"
        case _:
            with contextlib.closing(sqlite3.connect(path)) as other:
                other.execute("CREATE TABLE breakers (colour TEXT)")
    with registry_at(path) as registry:
        memory = MemoryBreakers()
        for backend in (registry, memory):
            fail(backend, 100.0)
            assert backend.breaker(KEY).try_acquire(100.5) is None
            assert backend.breaker(KEY).try_acquire(115.0) is not None
            assert backend.breaker(KEY).try_acquire(115.0) is None
        assert registry.statuses(115.0) == memory.statuses(115.0)
        assert registry.faults == 2  # at 100 s and at 115 s: between them the file is left alone
        assert registry.last_fault
        assert registry.is_degraded(115.5)


def test_a_locked_file_delays_a_call_briefly_and_is_used_again_later(tmp_path: Path) -> None:
    path = tmp_path / "b.db"
    with (
        registry_at(path, busy_timeout=0.005) as registry,
        contextlib.closing(sqlite3.connect(path, isolation_level=None)) as hog,
    ):
        fail(registry, 100.0, times=3)
        hog.execute("BEGIN EXCLUSIVE")
        began = perf_counter()
        fail(registry, 100.0, times=2)
        assert perf_counter() - began < 1.0
        assert registry.faults == 1
        assert registry.breaker(KEY).state(100.0) is BreakerState.OPEN, "goes on from what it last knew"
        hog.execute("ROLLBACK")
        assert registry.breaker(KEY).state(100.5) is BreakerState.OPEN, "the file is still left alone"
        assert registry.breaker(KEY).state(101.0) is BreakerState.CLOSED, "the file's word counts again"
        assert registry.breaker(KEY).status(101.0).failures == 3
        assert not registry.is_degraded(101.0)


def test_a_row_that_cannot_be_read_is_replaced_and_counted(tmp_path: Path) -> None:
    path = tmp_path / "b.db"
    with registry_at(path) as registry:
        fail(registry, 100.0, times=4)
        with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("""UPDATE breakers SET data = '{"state": "ajar"}'""")
        fail(registry, 100.0, times=1)
        assert registry.breaker(KEY).status(100.0).failures == 1
        assert registry.faults > 0
        assert "cannot be read" in (registry.last_fault or "")


def test_rows_are_bounded_and_closed_breakers_go_first(tmp_path: Path) -> None:
    with registry_at(tmp_path / "b.db", max_keys=3) as registry:
        fail(registry, 0.0)
        for number in range(20):
            registry.breaker(f"closed:{number}").try_acquire(float(number))
        assert [status.name for status in registry.statuses(20.0)] == ["closed:18", "closed:19", KEY]


def test_an_operator_forces_a_breaker_for_every_process(tmp_path: Path) -> None:
    path = tmp_path / "b.db"
    with registry_at(path) as one, registry_at(path) as other:
        one.force(KEY, BreakerState.FORCED_OPEN, 0.0)
        assert other.breaker(KEY).try_acquire(10_000.0) is None
        other.force(KEY, BreakerState.CLOSED, 0.0)
        assert one.breaker(KEY).try_acquire(0.0) is not None


def test_closing_is_idempotent_and_a_later_call_opens_the_file_again(tmp_path: Path) -> None:
    with registry_at(tmp_path / "b.db") as registry:
        fail(registry, 0.0, times=1)
        registry.close()
        registry.close()
        assert registry.breaker(KEY).status(0.0).failures == 1
        assert registry.faults == 0


def test_nothing_is_opened_before_the_first_call(tmp_path: Path) -> None:
    path = tmp_path / "b.db"
    SqliteBreakers(path).breaker(KEY)
    assert not path.exists()


def test_a_write_that_fails_is_rolled_back_and_the_call_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "b.db"
    with (
        registry_at(path) as registry,
        contextlib.closing(sqlite3.connect(path, isolation_level=None)) as other,
    ):
        fail(registry, 100.0, times=1)
        other.execute(
            "CREATE TRIGGER full BEFORE UPDATE ON breakers BEGIN SELECT RAISE(ABORT, 'disk full'); END"
        )
        fail(registry, 101.0, times=4)
        assert registry.breaker(KEY).state(101.0) is BreakerState.OPEN, "from memory"
        assert (registry.faults, registry.last_fault) == (1, "IntegrityError: disk full")
        other.execute("BEGIN IMMEDIATE")  # nobody else holds the write lock
        other.execute("ROLLBACK")
        assert registry.breaker(KEY).status(103.0).failures == 1, "the file was not half written"


def test_statuses_can_be_asked_of_a_broken_file(tmp_path: Path) -> None:
    path = tmp_path / "b.db"
    path.write_bytes(b"this is not a database" * 1000)
    with registry_at(path) as registry:
        assert registry.statuses(0.0) == ()
        assert registry.faults == 1


def test_a_registry_without_room_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="max_keys"):
        SqliteBreakers(tmp_path / "b.db", max_keys=0)


# ---------------------------------------------------------------------- what was read may be a little old


class StaleAgainstLaws(RuleBasedStateMachine):
    """Two workers that believe what they read for a tenth of a second: what still holds."""

    STALE = 0.1

    @initialize(probes=st.integers(1, 3))
    def begin(self, probes: int) -> None:
        self.directory = tempfile.TemporaryDirectory()
        path = Path(self.directory.name, "breakers.db")
        self.config = BreakerConfig(probes=probes, consecutive_failures=3, slow_start=0)
        self.workers = [SqliteBreakers(path, self.config, stale=self.STALE) for _ in range(2)]
        self.truth = SqliteBreakers(path, self.config, stale=0.0)
        self.now = 1_700_000_000.0
        self.shut_since: float | None = None
        self.in_flight: list[Permit] = []

    @rule(step=st.sampled_from([0.0, 0.04, 0.1, 1.0, 15.0, 31.0]))
    def time_passes(self, step: float) -> None:
        self.now += step

    @rule(which=st.integers(0, 1), outcomes=st.lists(st.sampled_from(Outcome), min_size=1, max_size=5))
    def calls(self, which: int, outcomes: list[Outcome]) -> None:
        for outcome in outcomes:
            state = self.truth.breaker(KEY).state(self.now)
            if state is not BreakerState.OPEN:
                self.shut_since = None
            elif self.shut_since is None:
                self.shut_since = self.now
            breaker = self.workers[which].breaker(KEY)
            permit = breaker.try_acquire(self.now)
            if permit is None:
                assert state is not BreakerState.CLOSED
                continue
            if state is BreakerState.OPEN:
                assert self.shut_since is not None
                assert self.now - self.shut_since < self.STALE, "an opening is heeded that much later at most"
            if permit.probe:
                assert state is BreakerState.HALF_OPEN
                data = self.truth.look(KEY, self.now)
                fresh = [p for p in data.probes if self.now - p[1] < self.config.probe_lease]
                assert len(fresh) <= self.config.probes
            before = self.truth.look(KEY, self.now)
            breaker.settle(permit, outcome, self.now)
            if permit.generation != before.generation:
                assert self.truth.look(KEY, self.now) == before, "a verdict from another era moves nothing"
            elif outcome is Outcome.FAILURE and state is BreakerState.CLOSED:
                after = self.truth.look(KEY, self.now)
                assert after.streak > 0, "a failure is everybody's at once"

    @invariant()
    def nothing_went_wrong(self) -> None:
        if hasattr(self, "workers"):
            assert [worker.faults for worker in self.workers] == [0, 0]

    def teardown(self) -> None:
        if hasattr(self, "workers"):
            for worker in (*self.workers, self.truth):
                worker.close()
            self.directory.cleanup()


TestWhatIsStaleKeepsTheLaws = StaleAgainstLaws.TestCase


def test_successes_are_written_together_and_none_is_lost(tmp_path: Path) -> None:
    path = tmp_path / "breakers.db"
    with registry_at(path) as busy, registry_at(path, stale=0.0) as looking:
        for number in range(200):
            breaker = busy.breaker(KEY)
            permit = breaker.try_acquire(100.0 + number / 1000)
            assert permit is not None
            breaker.settle(permit, OK, 100.0 + number / 1000)
        assert 0 < looking.breaker(KEY).status(100.2).successes <= 200
        busy.close()
        assert looking.breaker(KEY).status(100.2).successes == 200


def test_under_load_a_closed_circuit_hardly_touches_its_file(tmp_path: Path) -> None:
    """Counted, not timed: 500 calls within 50 ms, at a registry that may believe what it read for 100 ms."""
    touched = []
    for stale in (0.1, 0.0):
        statements: list[str] = []
        with registry_at(tmp_path / f"{stale}.db", stale=stale) as registry:
            registry.refusing(99.0)
            connection = registry._connection
            assert connection is not None
            connection.set_trace_callback(statements.append)
            for number in range(500):
                now = 100.0 + number / 10_000
                registry.refusing(now)
                breaker = registry.breaker(KEY)
                permit = breaker.try_acquire(now)
                assert permit is not None
                breaker.settle(permit, OK, now)
            connection.set_trace_callback(None)
        touched.append(len(statements))
    believing, looking = touched
    assert believing < 10
    assert looking >= 500 * 3
