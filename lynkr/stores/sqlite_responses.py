"""Kept answers that several processes share, in one SQLite file.

What is in it is prompts and answers.  The file is made with mode 0600, when the
first answer is kept; whoever names it sees to it that it goes when nobody needs it any more.

When it cannot be used, nothing is kept and nothing found: a client whose answer is unknown sends its
whole history again.  That is counted (`faults`, `last_fault`).
"""

import os
import sqlite3
from typing import Final

from lynkr.sqlite_file import SharedFile
from lynkr.stores.responses import StoredResponse
from lynkr.stores.saved import restored, saved

# The order of `used` is the order of the last uses; the one row of `held` sums up the others.
_SCHEMA: Final = (
    """CREATE TABLE IF NOT EXISTS responses (
        tenant TEXT NOT NULL,
        id TEXT NOT NULL,
        body TEXT NOT NULL,
        size INTEGER NOT NULL,
        expires REAL NOT NULL,
        used INTEGER NOT NULL,
        PRIMARY KEY (tenant, id)
    )""",
    "CREATE UNIQUE INDEX IF NOT EXISTS responses_used ON responses (used, size, tenant, id)",
    "CREATE TABLE IF NOT EXISTS held (one INTEGER PRIMARY KEY, count INTEGER, bytes INTEGER, clock INTEGER)",
    "INSERT OR IGNORE INTO held VALUES (1, 0, 0, 0)",
)
_TICK: Final = "UPDATE held SET clock = clock + 1 RETURNING clock"
_HELD: Final = "SELECT count, bytes FROM held"
_HOLD: Final = "UPDATE held SET count = count + ?, bytes = bytes + ?"


class SqliteResponses:
    """A `ResponseStore` whose answers live in *path*; bounds as those of `MemoryResponses`.

    Every `now` is of a clock that all processes share: `time.monotonic` is the machine's.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        most: int = 10_000,
        max_bytes: int = 256 * 1024 * 1024,
        ttl: float = 24 * 3600.0,
        busy_timeout: float = 1.0,
    ) -> None:
        # What does not read as an answer is no answer.
        damaged = (ValueError, TypeError, KeyError, IndexError)
        self._file = SharedFile(path, *_SCHEMA, busy_timeout=busy_timeout, damaged=damaged)
        self._most = most
        self._max_bytes = max_bytes
        self._ttl = ttl

    @property
    def faults(self) -> int:
        """How often the file could not be used."""
        return self._file.faults

    @property
    def last_fault(self) -> str | None:
        return self._file.last_fault

    def __len__(self) -> int:
        return self._held()[0]

    @property
    def size(self) -> int:
        """Bytes held, about."""
        return self._held()[1]

    def _held(self) -> tuple[int, int]:
        def held(connection: sqlite3.Connection) -> tuple[int, int]:
            count, size = connection.execute(_HELD).fetchone()
            return count, size

        return self._file.attempt(held) or (0, 0)

    def get(self, tenant: str, response_id: str, now: float, /) -> StoredResponse | None:
        def find(connection: sqlite3.Connection) -> StoredResponse | None:
            select = "SELECT rowid, body, expires, size FROM responses WHERE tenant = ? AND id = ?"
            row = connection.execute(select, (tenant, response_id)).fetchone()
            if row is None:
                return None
            if row[2] <= now:
                _drop(connection, row[0], row[3])
                return None
            (tick,) = connection.execute(_TICK).fetchone()
            connection.execute("UPDATE responses SET used = ? WHERE rowid = ?", (tick, row[0]))
            return restored(row[1])

        return self._file.attempt(find) if self._file.path.exists() else None

    def put(self, tenant: str, response_id: str, stored: StoredResponse, now: float, /) -> None:
        size = stored.size
        is_kept = size <= self._max_bytes and self._most > 0
        if not is_kept and not self._file.path.exists():
            return
        body = saved(stored) if is_kept else ""

        def keep(connection: sqlite3.Connection) -> None:
            select = "SELECT rowid, size FROM responses WHERE tenant = ? AND id = ?"
            before = connection.execute(select, (tenant, response_id)).fetchone()
            if before is not None:
                _drop(connection, *before)
            if not is_kept:
                return
            (tick,) = connection.execute(_TICK).fetchone()
            cells = (tenant, response_id, body, size, now + self._ttl, tick)
            connection.execute("INSERT INTO responses VALUES (?, ?, ?, ?, ?, ?)", cells)
            connection.execute(_HOLD, (1, size))
            self._make_room(connection)

        self._file.attempt(keep)

    def close(self) -> None:
        """Close the file; a later call opens it again.  Idempotent."""
        self._file.close()

    # ------------------------------------------------------------------ inside

    def _make_room(self, connection: sqlite3.Connection) -> None:
        """Forget what was not asked for longest, until the rest is within the bounds."""
        while True:
            count, held = connection.execute(_HELD).fetchone()
            if count <= self._most and held <= self._max_bytes:
                return
            oldest = connection.execute("SELECT rowid, size FROM responses ORDER BY used LIMIT 1").fetchone()
            _drop(connection, *oldest)


def _drop(connection: sqlite3.Connection, rowid: int, size: int) -> None:
    connection.execute("DELETE FROM responses WHERE rowid = ?", (rowid,))
    connection.execute(_HOLD, (-1, -size))
