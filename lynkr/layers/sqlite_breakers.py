"""Circuit breakers shared by several processes, in one SQLite file.

The rules are those of `lynkr.resilience.breaker`, run inside a transaction: a
row holds one breaker's `BreakerData`, generation and probes included, so that
three workers in front of one provider send one probe, not three.

What it costs: a call through a closed circuit reads one row, its verdict reads
and writes one.  Both block the event loop, for tens of microseconds; a change
of state waits for another worker's lock for at most *busy_timeout*.  Nothing is
synced to disk: the file holds nothing that a power cut may not forget.

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

from attrs import asdict

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

_Result = TypeVar("_Result")

_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS breakers (
    key TEXT PRIMARY KEY,
    data TEXT NOT NULL,
    is_closed INTEGER NOT NULL,
    used REAL NOT NULL
) WITHOUT ROWID
"""


class SqliteBreakers:
    """A `BreakerRegistry` whose state lives in *path*.

    Every `now` must come from a clock that all processes share and that goes on
    over restarts: `time.time`, not `time.monotonic`.  The file is made with mode
    0600 and opened on first use; make the registry after forking.  It should be
    the breakers' own file.  Holds at most *max_keys* rows.  Safe to call from
    several threads.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        config: BreakerConfig | None = None,
        *,
        max_keys: int = 1024,
        busy_timeout: float = 0.02,
        pause: float = 1.0,
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
        self._known: dict[str, BreakerData] = {}
        self._lock = Lock()

    def breaker(self, key: str, /) -> "SqliteBreaker":
        return SqliteBreaker(self, key)

    def statuses(self, now: float, /) -> tuple[BreakerStatus, ...]:
        with self._lock:
            if not self._is_paused(now):
                try:
                    self._read_all(self._connect())
                except (sqlite3.Error, OSError) as error:
                    self._leave_alone(error, now)
            return tuple(
                status_of(key, data, self.config, now)
                for key, data in sorted(self._known.items())
                if data.changed is not None
            )

    def force(self, key: str, state: BreakerState, now: float, /) -> None:
        force(NEW_BREAKER, state, now)  # refuse a wrong state before anything is opened

        def forced(data: BreakerData) -> tuple[BreakerData, None]:
            return force(data, state, now), None

        self.move(key, forced, now)

    def is_degraded(self, now: float, /) -> bool:
        """Whether the file is out of use and the registry works from memory."""
        return self._is_paused(now)

    def close(self) -> None:
        """Close the file; idempotent.  A later call opens it again."""
        with self._lock:
            self._disconnect()

    # ------------------------------------------------------------------ for SqliteBreaker

    def look(self, key: str, now: float) -> BreakerData:
        """The breaker's state, read only."""
        return self.move(key, lambda data: (data, data), now)

    def move(
        self, key: str, step: Callable[[BreakerData], tuple[BreakerData, _Result]], now: float
    ) -> _Result:
        """Apply *step* to the breaker's state, which no other process changes meanwhile.

        *step* must be pure: it may be applied more than once, and the last one counts.
        """
        with self._lock:
            if not self._is_paused(now):
                try:
                    return self._move_in_file(self._connect(), key, step, now)
                except (sqlite3.Error, OSError) as error:
                    self._leave_alone(error, now)
            data, result = step(self._known.get(key, NEW_BREAKER))
            self._remember(key, data)
            return result

    # ------------------------------------------------------------------ the file

    def _move_in_file(
        self,
        connection: sqlite3.Connection,
        key: str,
        step: Callable[[BreakerData], tuple[BreakerData, _Result]],
        now: float,
    ) -> _Result:
        before = self._read(connection, key)
        after, result = step(before)
        if after is before:  # most calls: a closed circuit lets everybody through and changes nothing
            return result
        connection.execute("BEGIN IMMEDIATE")
        try:
            before = self._read(connection, key)  # another process may have moved it meanwhile
            after, result = step(before)
            self._write(connection, key, after, now, is_new=before is NEW_BREAKER)
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise
        self._remember(key, after)
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
            os.close(os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600))
            connection = sqlite3.connect(
                self._path, timeout=self._busy_timeout, isolation_level=None, check_same_thread=False
            )
            try:
                connection.execute("PRAGMA journal_mode = WAL")
                connection.execute("PRAGMA synchronous = OFF")
                connection.execute(_SCHEMA)
            except BaseException:
                connection.close()
                raise
            self._connection = connection
        return self._connection

    def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def _read(self, connection: sqlite3.Connection, key: str) -> BreakerData:
        row: tuple[str] | None = connection.execute(
            "SELECT data FROM breakers WHERE key = ?", (key,)
        ).fetchone()
        data = NEW_BREAKER if row is None else self._decoded(row[0])
        self._remember(key, data)
        return data

    def _read_all(self, connection: sqlite3.Connection) -> None:
        rows: list[tuple[str, str]] = connection.execute("SELECT key, data FROM breakers").fetchall()
        self._known = {key: self._decoded(text) for key, text in rows}

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

    def _remember(self, key: str, data: BreakerData) -> None:
        if len(self._known) >= self._max_keys and key not in self._known:
            self._known.pop(next(iter(self._known)))
        self._known[key] = data


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
        config = self._registry.config
        return self._registry.move(self._key, lambda data: acquire(data, config, now), now)

    def settle(self, permit: Permit, outcome: Outcome, now: float, /) -> None:
        config = self._registry.config
        self._registry.move(self._key, lambda data: (settle(data, config, permit, outcome, now), None), now)


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
        buckets=tuple((int(tick), int(good), int(bad)) for tick, good, bad in row["buckets"]),
    )


def _finite(text: str) -> float:
    number = float(text)
    if not isfinite(number):
        raise ValueError(f"{text} is not a time")
    return number
