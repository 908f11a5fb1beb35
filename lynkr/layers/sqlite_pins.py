"""Session pins shared by several processes, and kept over restarts, in one SQLite file.

A request reads one row and writes one; both block the event loop for tens of
microseconds, a lock of another worker for at most *busy_timeout*.  Nothing is synced to
disk: a pin lost to a power cut costs one cold prompt.

When the file cannot be used the store works from memory, counts the fault
(`faults`, `last_fault`) and leaves the file alone for *pause* seconds.
"""

import json
import os
import sqlite3
from collections.abc import Callable
from pathlib import Path
from threading import Lock
from typing import Final, TypeVar

from lynkr.routing.decision import Pin, Target
from lynkr.routing.pins import MOST_SESSIONS, TTL_SECONDS, MemoryPins
from lynkr.sqlite_file import open_shared

_Result = TypeVar("_Result")
_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS pins (
    session TEXT PRIMARY KEY,
    pin TEXT NOT NULL,
    written REAL NOT NULL
) WITHOUT ROWID
"""
_INDEX: Final = "CREATE INDEX IF NOT EXISTS pins_written ON pins (written)"
_SWEEP_EVERY: Final = 256


class SqlitePins:
    """A `PinStore` whose pins live in *path*, made with mode 0600 on first use.

    Every `now` must come from a clock that all processes share and that goes on over
    restarts: `time.time`.  Holds at most *most_sessions*, swept now and then.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        ttl: float = TTL_SECONDS,
        most_sessions: int = MOST_SESSIONS,
        busy_timeout: float = 0.02,
        pause: float = 1.0,
    ) -> None:
        self.faults: int = 0
        self.last_fault: str | None = None
        self._path = Path(path)
        self._ttl = ttl
        self._most_sessions = most_sessions
        self._busy_timeout = busy_timeout
        self._pause = pause
        self._paused_at: float | None = None
        self._connection: sqlite3.Connection | None = None
        self._memory = MemoryPins(ttl, most_sessions)
        self._lock = Lock()
        self._writes = 0

    def get(self, key: str, now: float, /) -> Pin | None:
        def read(connection: sqlite3.Connection) -> Pin | None:
            row = connection.execute("SELECT pin, written FROM pins WHERE session = ?", (key,)).fetchone()
            return None if row is None or now - row[1] >= self._ttl else _pin_of(row[0])

        return self._try(read, now, lambda: self._memory.get(key, now))

    def put(self, key: str, pin: Pin, now: float, /) -> None:
        def write(connection: sqlite3.Connection) -> None:
            connection.execute("INSERT OR REPLACE INTO pins VALUES (?, ?, ?)", (key, _text_of(pin), now))
            self._writes += 1
            if self._writes % _SWEEP_EVERY == 0:
                self._sweep(connection, now)

        self._memory.put(key, pin, now)
        self._try(write, now, lambda: None)

    def forget(self, key: str, /) -> None:
        def delete(connection: sqlite3.Connection) -> None:
            connection.execute("DELETE FROM pins WHERE session = ?", (key,))

        self._memory.forget(key)
        self._try(delete, None, lambda: None)

    def close(self) -> None:
        """Close the file; a later call opens it again.  Idempotent."""
        with self._lock:
            self._disconnect()

    # ------------------------------------------------------------------ inside

    def _try(
        self,
        act: Callable[[sqlite3.Connection], _Result],
        now: float | None,
        otherwise: Callable[[], _Result],
    ) -> _Result:
        """*act* on the file, *otherwise* if that cannot be used; a time of None asks for no pause."""
        with self._lock:
            if not self._is_paused(now):
                try:
                    return act(self._connect())
                except (sqlite3.Error, OSError, ValueError, KeyError, TypeError) as error:
                    self.faults += 1
                    self.last_fault = f"{type(error).__name__}: {error}"
                    self._disconnect()
                    self._paused_at = now
            return otherwise()

    def _is_paused(self, now: float | None) -> bool:
        if self._paused_at is None or now is None:
            return False
        # A clock set back must not keep the file out of use for longer than the pause.
        return abs(now - self._paused_at) < self._pause

    def _connect(self) -> sqlite3.Connection:
        if self._connection is None:
            self._connection = open_shared(self._path, _SCHEMA, _INDEX, busy_timeout=self._busy_timeout)
        return self._connection

    def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def _sweep(self, connection: sqlite3.Connection, now: float) -> None:
        connection.execute("DELETE FROM pins WHERE written <= ?", (now - self._ttl,))
        surplus = "SELECT session FROM pins ORDER BY written DESC LIMIT -1 OFFSET ?"
        connection.execute(f"DELETE FROM pins WHERE session IN ({surplus})", (self._most_sessions,))  # noqa: S608 - a constant


def _text_of(pin: Pin) -> str:
    home = None if pin.home is None else str(pin.home)
    return json.dumps([str(pin.served), home, pin.tokens, pin.messages, pin.at])


def _pin_of(text: str) -> Pin:
    served, home, tokens, messages, at = json.loads(text)
    return Pin(Target.parse(served), None if home is None else Target.parse(home), tokens, messages, at)
