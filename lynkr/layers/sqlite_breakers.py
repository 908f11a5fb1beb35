"""Circuit breakers shared by several processes, in one SQLite file.

The rules are those of `lynkr.resilience.breaker`, run inside a transaction: a
row holds one breaker's `BreakerData`, generation and probes included, so that
three workers in front of one provider send one probe, not three.

What it costs: what was read within the last *stale* seconds is believed as long
as it says "closed", and successes of a closed circuit are counted here and
written together once that long has passed, or with the next verdict of another
kind.  So under load nearly every call costs what the memory breaker costs, and
the others one row read and written: they block the event loop for tens of
microseconds; a change of state waits for another worker's lock for at most
*busy_timeout*.  An open circuit, a probe and a failure always go to the file:
there is never a probe too many, and another worker's opening is heeded *stale*
seconds later at most.  Nothing is synced to disk: the file holds nothing that a
power cut may not forget.

What happens when the file cannot be used: the call goes on.  The registry works
from what it last knew in memory, counts the fault (`faults`, `last_fault`) and
leaves the file alone for *pause* seconds.  Then the file's word counts again.
"""

import json
import os
import sqlite3
from collections.abc import Callable
from math import isfinite
from pathlib import Path
from threading import Lock
from typing import Final, TypeVar

from attrs import asdict, define

from lynkr.resilience.breaker import (
    NEW_BREAKER,
    BreakerConfig,
    BreakerData,
    acquire,
    force,
    settle,
    state_at,
    status_of,
)
from lynkr.resilience.outcome import Outcome
from lynkr.resilience.protocols import BreakerState, BreakerStatus, Permit
from lynkr.sqlite_file import open_shared, transaction

_Result = TypeVar("_Result")
_SHUT: Final = frozenset({BreakerState.OPEN, BreakerState.FORCED_OPEN})

_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS breakers (
    key TEXT PRIMARY KEY,
    data TEXT NOT NULL,
    is_closed INTEGER NOT NULL,
    used REAL NOT NULL
) WITHOUT ROWID
"""


@define
class _Successes:
    """Verdicts of one generation of a closed circuit that are not in the file yet."""

    permit: Permit
    since: float
    count: int = 0


class SqliteBreakers:
    """A `BreakerRegistry` whose state lives in *path*.

    Every `now` must come from a clock that all processes share and that goes on
    over restarts: `time.time`, not `time.monotonic`.  The file is made with mode
    0600 and opened on first use; make the registry after forking.  It should be
    the breakers' own file.  Holds at most *max_keys* rows.  Safe to call from
    several threads.  *stale* is in seconds; 0 reads and writes the file each time.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        config: BreakerConfig | None = None,
        *,
        max_keys: int = 1024,
        busy_timeout: float = 0.02,
        pause: float = 1.0,
        stale: float = 0.1,
    ) -> None:
        if max_keys < 1:
            raise ValueError("max_keys must be at least 1")
        self.config: BreakerConfig = BreakerConfig() if config is None else config
        self.faults: int = 0
        self.last_fault: str | None = None
        self._path = Path(path)
        self._max_keys = max_keys
        self._busy_timeout = busy_timeout
        self._pause = pause
        self._paused_at: float | None = None
        self._connection: sqlite3.Connection | None = None
        self._stale = stale
        self._known: dict[str, BreakerData] = {}
        self._read_at: dict[str, float] = {}
        self._all_read_at: float | None = None
        self._unwritten: dict[str, _Successes] = {}
        self._lock = Lock()

    def breaker(self, key: str, /) -> "SqliteBreaker":
        return SqliteBreaker(self, key)

    def statuses(self, now: float, /) -> tuple[BreakerStatus, ...]:
        with self._lock:
            self._read_anew(now)
            return tuple(
                status_of(key, self._with_unwritten(key, data, now), self.config, now)
                for key, data in sorted(self._known.items())
                if data.changed is not None
            )

    def refusing(self, now: float, /) -> frozenset[str]:
        with self._lock:
            if self._all_read_at is None or not self._is_fresh(self._all_read_at, now):
                self._read_anew(now)
            return frozenset(
                key
                for key, data in self._known.items()
                if data.state is not BreakerState.CLOSED and state_at(data, self.config, now) in _SHUT
            )

    def _read_anew(self, now: float) -> None:
        if not self._is_paused(now):
            try:
                self._read_all(self._connect(), now)
            except (sqlite3.Error, OSError) as error:
                self._leave_alone(error, now)

    def force(self, key: str, state: BreakerState, now: float, /) -> None:
        force(NEW_BREAKER, state, now)  # refuse a wrong state before anything is opened

        def forced(data: BreakerData) -> tuple[BreakerData, None]:
            return force(data, state, now), None

        self.move(key, forced, now)

    def is_degraded(self, now: float, /) -> bool:
        """Whether the file is out of use and the registry works from memory."""
        return self._is_paused(now)

    def close(self) -> None:
        """Write what is still to be written and close the file; idempotent.  A later call opens it again."""
        for key, successes in tuple(self._unwritten.items()):
            self.move(key, _unmoved, successes.since)
        with self._lock:
            self._disconnect()

    # ------------------------------------------------------------------ for SqliteBreaker

    def look(self, key: str, now: float) -> BreakerData:
        """The breaker's state, read only."""
        return self.move(key, lambda data: (data, data), now)

    def try_acquire(self, key: str, now: float) -> Permit | None:
        """As `CircuitBreaker.try_acquire`."""
        with self._lock:
            data, read_at = self._known.get(key), self._read_at.get(key)
            if data is not None and read_at is not None and self._is_fresh(read_at, now):
                after, permit = acquire(data, self.config, now)
                if after is data and permit is not None:  # closed
                    return permit
        return self.move(key, lambda data: acquire(data, self.config, now), now)

    def settle(self, key: str, permit: Permit, outcome: Outcome, now: float, *, slow: bool) -> None:
        """As `CircuitBreaker.settle`."""
        if outcome is Outcome.SUCCESS and not slow:
            with self._lock:
                is_late = self._is_put_off(key, permit, now)
            if is_late is False:
                return None
            if is_late:
                return self.move(key, _unmoved, now)
        return self.move(
            key, lambda data: (settle(data, self.config, permit, outcome, now, slow=slow), None), now
        )

    def _is_put_off(self, key: str, permit: Permit, now: float) -> bool | None:
        """Count a success here, to be written later; True if later is now, None if it must not wait."""
        data = self._known.get(key)
        if not self._stale or data is None or data.state is not BreakerState.CLOSED:
            return None
        if permit.generation != data.generation:
            return None
        waiting = self._unwritten.get(key)
        if waiting is None:
            waiting = self._unwritten[key] = _Successes(permit, now)
        elif waiting.permit.generation != permit.generation:
            return None
        waiting.count += 1
        return not self._is_fresh(waiting.since, now)

    def move(
        self, key: str, step: Callable[[BreakerData], tuple[BreakerData, _Result]], now: float
    ) -> _Result:
        """Apply *step* to the breaker's state, which no other process changes meanwhile.

        *step* must be pure: it may be applied more than once, and the last one counts.
        """

        def whole_step(data: BreakerData) -> tuple[BreakerData, _Result]:
            return step(self._with_unwritten(key, data, now))

        with self._lock:
            if not self._is_paused(now):
                try:
                    return self._move_in_file(self._connect(), key, whole_step, now)
                except (sqlite3.Error, OSError) as error:
                    self._leave_alone(error, now)
            data, result = whole_step(self._known.get(key, NEW_BREAKER))
            self._remember(key, data, now)
            self._unwritten.pop(key, None)
            return result

    def _with_unwritten(self, key: str, data: BreakerData, now: float) -> BreakerData:
        waiting = self._unwritten.get(key)
        for _ in range(0 if waiting is None else waiting.count):
            if waiting is not None:
                data = settle(data, self.config, waiting.permit, Outcome.SUCCESS, now)
        return data

    def _is_fresh(self, moment: float, now: float) -> bool:
        # abs(): after a wall clock is set back what was read is not fresh for hours.
        return abs(now - moment) < self._stale

    # ------------------------------------------------------------------ the file

    def _move_in_file(
        self,
        connection: sqlite3.Connection,
        key: str,
        step: Callable[[BreakerData], tuple[BreakerData, _Result]],
        now: float,
    ) -> _Result:
        before = self._read(connection, key, now)
        after, result = step(before)
        if after is before:  # most calls: a closed circuit lets everybody through and changes nothing
            self._unwritten.pop(key, None)
            return result
        with transaction(connection):
            before = self._read(connection, key, now)  # another process may have moved it meanwhile
            after, result = step(before)
            self._write(connection, key, after, now, is_new=before is NEW_BREAKER)
        self._remember(key, after, now)
        self._unwritten.pop(key, None)
        return result

    def _leave_alone(self, error: Exception, now: float) -> None:
        self._count(f"{type(error).__name__}: {error}")
        self._paused_at = now
        self._disconnect()

    def _count(self, fault: str) -> None:
        self.faults += 1
        self.last_fault = fault

    def _is_paused(self, now: float) -> bool:
        # abs(): a wall clock that is set back must not prolong the pause.
        return self._paused_at is not None and abs(now - self._paused_at) < self._pause

    def _connect(self) -> sqlite3.Connection:
        if self._connection is None:
            self._connection = open_shared(self._path, _SCHEMA, busy_timeout=self._busy_timeout)
        return self._connection

    def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def _read(self, connection: sqlite3.Connection, key: str, now: float) -> BreakerData:
        row: tuple[str] | None = connection.execute(
            "SELECT data FROM breakers WHERE key = ?", (key,)
        ).fetchone()
        data = NEW_BREAKER if row is None else self._decoded(row[0])
        self._remember(key, data, now)
        return data

    def _read_all(self, connection: sqlite3.Connection, now: float) -> None:
        rows: list[tuple[str, str]] = connection.execute("SELECT key, data FROM breakers").fetchall()
        self._known = {key: self._decoded(text) for key, text in rows}
        self._read_at = dict.fromkeys(self._known, now)
        self._all_read_at = now

    def _decoded(self, text: str) -> BreakerData:
        try:
            return decode(text)
        except (ValueError, TypeError, KeyError) as error:
            self._count(f"a row cannot be read: {error}")
            return NEW_BREAKER

    def _write(
        self, connection: sqlite3.Connection, key: str, data: BreakerData, now: float, *, is_new: bool
    ) -> None:
        if is_new:
            self._make_room(connection)
        connection.execute(
            "INSERT INTO breakers (key, data, is_closed, used) VALUES (?, ?, ?, ?)"
            " ON CONFLICT (key) DO UPDATE SET data = excluded.data,"
            " is_closed = excluded.is_closed, used = excluded.used",
            (key, encode(data), data.state is BreakerState.CLOSED, now),
        )

    def _make_room(self, connection: sqlite3.Connection) -> None:
        # As in memory: closed ones first, the longest unused first.
        connection.execute(
            "DELETE FROM breakers WHERE key IN (SELECT key FROM breakers ORDER BY is_closed DESC, used"
            " LIMIT max(0, (SELECT count(*) FROM breakers) - ?))",
            (self._max_keys - 1,),
        )

    def _remember(self, key: str, data: BreakerData, now: float) -> None:
        if len(self._known) >= self._max_keys and key not in self._known:
            forgotten = next(iter(self._known))
            del self._known[forgotten]
            self._read_at.pop(forgotten, None)
            self._unwritten.pop(forgotten, None)
        self._known[key] = data
        self._read_at[key] = now


class SqliteBreaker:
    """One `CircuitBreaker` of a `SqliteBreakers`; has no state of its own."""

    __slots__ = ("_key", "_registry")

    def __init__(self, registry: SqliteBreakers, key: str) -> None:
        self._registry = registry
        self._key = key

    def state(self, now: float, /) -> BreakerState:
        return state_at(self._registry.look(self._key, now), self._registry.config, now)

    def status(self, now: float, /) -> BreakerStatus:
        return status_of(self._key, self._registry.look(self._key, now), self._registry.config, now)

    def try_acquire(self, now: float, /) -> Permit | None:
        return self._registry.try_acquire(self._key, now)

    def settle(self, permit: Permit, outcome: Outcome, now: float, /, *, slow: bool = False) -> None:
        self._registry.settle(self._key, permit, outcome, now, slow=slow)


def _unmoved(data: BreakerData) -> tuple[BreakerData, None]:
    return data, None


def encode(data: BreakerData) -> str:
    """*data* as JSON text."""
    return json.dumps(asdict(data))


def decode(text: str) -> BreakerData:
    """Undo `encode`.

    Raises:
        ValueError, TypeError, KeyError: *text* is something else.
    """
    row = json.loads(text, parse_float=_finite, parse_constant=_finite)
    changed = row["changed"]
    return BreakerData(
        state=BreakerState(row["state"]),
        generation=int(row["generation"]),
        changed=None if changed is None else float(changed),
        openings=int(row["openings"]),
        until=float(row["until"]),
        streak=int(row["streak"]),
        rejected=int(row["rejected"]),
        probed=int(row["probed"]),
        probes=tuple((int(number), float(left)) for number, left in row["probes"]),
        buckets=tuple(
            (int(tick), int(good), int(bad), int(slow)) for tick, good, bad, slow in row["buckets"]
        ),
        asked=int(row["asked"]),
        let=int(row["let"]),
    )


def _finite(text: str) -> float:
    number = float(text)
    if not isfinite(number):
        raise ValueError(f"{text} is not a time")
    return number
