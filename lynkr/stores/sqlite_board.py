"""What several workers of one server tell one another: how each fares, what it has counted, who is logged in.

One SQLite file in the folder of their run.  A worker posts a row now and then, and reads the others'
when somebody asks for all of them together; so it waits for nobody, and what one knows of
another is as old as its last post.  Counts outlast the worker that made them.

When the file cannot be used, a worker knows of itself alone; that is counted (`faults`, `last_fault`).
"""

import json
import os
import sqlite3
from collections.abc import Callable, Sequence
from pathlib import Path
from threading import Lock
from typing import Any, Final, TypeVar

from attrs import frozen

from lynkr.sqlite_file import open_shared, transaction

_Result = TypeVar("_Result")
MOST_PAST: Final = 16
"""Rows of counts whose makers are gone, before they are summed up in one."""
_SCHEMA: Final = (
    """CREATE TABLE IF NOT EXISTS posts (
        id INTEGER PRIMARY KEY,
        pid INTEGER,
        current INTEGER NOT NULL,
        state TEXT NOT NULL,
        counts TEXT NOT NULL
    )""",
    """CREATE TABLE IF NOT EXISTS logins (
        realm BLOB NOT NULL,
        token BLOB NOT NULL,
        ends REAL NOT NULL,
        PRIMARY KEY (realm, token)
    ) WITHOUT ROWID""",
)


@frozen
class Post:
    """*state* is how a worker fares, *counts* what it has counted; *lives* says that it still goes on."""

    lives: bool
    state: Any
    counts: Any


class SqliteBoard:
    """The board in *path*, as the process of *pid* sees it.

    *sum_up* adds up the counts of posts whose makers are gone.  Safe to call from several threads.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        sum_up: Callable[[Sequence[Any]], Any],
        busy_timeout: float = 0.5,
    ) -> None:
        self.faults: int = 0
        self.last_fault: str | None = None
        self._path = Path(path)
        self._sum_up = sum_up
        self._busy_timeout = busy_timeout
        self._row: int | None = None
        self._connection: sqlite3.Connection | None = None
        self._lock = Lock()

    # ------------------------------------------------------------------ posts

    def post(self, state: object, counts: object, *, anew: bool = False) -> None:
        """Put up this process' post in place of its last; *anew* leaves that, as counts that are over."""

        def put(connection: sqlite3.Connection) -> None:
            if self._row is None or anew:
                connection.execute("UPDATE posts SET current = 0 WHERE pid = ?", (os.getpid(),))
                insert = "INSERT INTO posts (pid, current, state, counts) VALUES (?, 1, '', '') RETURNING id"
                (self._row,) = connection.execute(insert, (os.getpid(),)).fetchone()
                self._fold(connection)
            update = "UPDATE posts SET state = ?, counts = ? WHERE id = ?"
            connection.execute(update, (json.dumps(state), json.dumps(counts), self._row))

        self._try(put)

    def others(self) -> tuple[Post, ...]:
        """Every post but this process' last."""

        def read(connection: sqlite3.Connection) -> tuple[Post, ...]:
            select = "SELECT pid, current, state, counts FROM posts WHERE id IS NOT ? AND state != ''"
            return tuple(
                Post(bool(current) and _lives(pid), json.loads(state), json.loads(counts))
                for pid, current, state, counts in connection.execute(select, (self._row,))
            )

        return self._try(read) or ()

    def states(self) -> tuple[Any, ...]:
        """How the others fare that go on."""

        def read(connection: sqlite3.Connection) -> tuple[Any, ...]:
            select = "SELECT pid, state FROM posts WHERE id IS NOT ? AND state != '' AND current = 1"
            found = connection.execute(select, (self._row,)).fetchall()
            return tuple(json.loads(state) for pid, state in found if _lives(pid))

        return self._try(read) or ()

    def _fold(self, connection: sqlite3.Connection) -> None:
        """Sum up the counts of who is gone, if they are many."""
        rows = connection.execute("SELECT id, pid, current, counts FROM posts").fetchall()
        past = [
            (row, counts) for row, pid, current, counts in rows if counts and not (current and _lives(pid))
        ]
        if len(past) <= MOST_PAST:
            return
        total = self._sum_up([json.loads(counts) for _, counts in past])
        connection.executemany("DELETE FROM posts WHERE id = ?", [(row,) for row, _ in past])
        insert = "INSERT INTO posts (pid, current, state, counts) VALUES (NULL, 0, 'null', ?)"
        connection.execute(insert, (json.dumps(total),))

    # ------------------------------------------------------------------ logins

    def log_in(self, realm: bytes, token: bytes, ends: float, now: float, most: int) -> None:
        """Let *token*, a digest, in until *ends*; of more than *most* the one that ends first goes."""

        def add(connection: sqlite3.Connection) -> None:
            connection.execute("DELETE FROM logins WHERE ends <= ?", (now,))
            connection.execute("INSERT OR REPLACE INTO logins VALUES (?, ?, ?)", (realm, token, ends))
            surplus = "SELECT token FROM logins WHERE realm = ? ORDER BY ends DESC LIMIT -1 OFFSET ?"
            delete = f"DELETE FROM logins WHERE realm = ? AND token IN ({surplus})"  # noqa: S608  # reason: a constant
            connection.execute(delete, (realm, realm, most))

        self._try(add)

    def is_logged_in(self, realm: bytes, token: bytes, now: float) -> bool:
        def find(connection: sqlite3.Connection) -> bool:
            select = "SELECT 1 FROM logins WHERE realm = ? AND token = ? AND ends > ?"
            return connection.execute(select, (realm, token, now)).fetchone() is not None

        return self._try(find) or False

    def log_out(self, realm: bytes, token: bytes) -> None:
        def delete(connection: sqlite3.Connection) -> None:
            connection.execute("DELETE FROM logins WHERE realm = ? AND token = ?", (realm, token))

        self._try(delete)

    def close(self) -> None:
        """Close the file; a later call opens it again.  Idempotent."""
        with self._lock:
            self._disconnect()

    # ------------------------------------------------------------------ inside

    def _try(self, act: Callable[[sqlite3.Connection], _Result]) -> _Result | None:
        """*act* in a transaction; None if the file cannot be used."""
        with self._lock:
            try:
                connection = self._connect()
                with transaction(connection):
                    result = act(connection)
            except (sqlite3.Error, OSError, ValueError) as error:
                self.faults += 1
                self.last_fault = f"{type(error).__name__}: {error}"
                self._disconnect()
                return None
            return result

    def _connect(self) -> sqlite3.Connection:
        if self._connection is None:
            self._connection = open_shared(self._path, *_SCHEMA, busy_timeout=self._busy_timeout)
        return self._connection

    def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()


def _lives(pid: int | None) -> bool:
    if pid is None:
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
