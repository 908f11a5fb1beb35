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
from typing import Any, Final

from attrs import frozen

from lynkr.sqlite_file import SharedFile

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
        self._file = SharedFile(path, *_SCHEMA, busy_timeout=busy_timeout)
        self._sum_up = sum_up
        self._row: int | None = None

    @property
    def faults(self) -> int:
        """How often the file could not be used."""
        return self._file.faults

    @property
    def last_fault(self) -> str | None:
        return self._file.last_fault

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

        self._file.attempt(put)

    def others(self) -> tuple[Post, ...]:
        """Every post but this process' last."""

        def read(connection: sqlite3.Connection) -> tuple[Post, ...]:
            select = "SELECT pid, current, state, counts FROM posts WHERE id IS NOT ? AND state != ''"
            return tuple(
                Post(bool(current) and _lives(pid), json.loads(state), json.loads(counts))
                for pid, current, state, counts in connection.execute(select, (self._row,))
            )

        return self._file.attempt(read) or ()

    def states(self) -> tuple[Any, ...]:
        """How the others fare that go on."""

        def read(connection: sqlite3.Connection) -> tuple[Any, ...]:
            select = "SELECT pid, state FROM posts WHERE id IS NOT ? AND state != '' AND current = 1"
            found = connection.execute(select, (self._row,)).fetchall()
            return tuple(json.loads(state) for pid, state in found if _lives(pid))

        return self._file.attempt(read) or ()

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

        self._file.attempt(add)

    def is_logged_in(self, realm: bytes, token: bytes, now: float) -> bool:
        def find(connection: sqlite3.Connection) -> bool:
            select = "SELECT 1 FROM logins WHERE realm = ? AND token = ? AND ends > ?"
            return connection.execute(select, (realm, token, now)).fetchone() is not None

        return self._file.attempt(find) or False

    def log_out(self, realm: bytes, token: bytes) -> None:
        def delete(connection: sqlite3.Connection) -> None:
            connection.execute("DELETE FROM logins WHERE realm = ? AND token = ?", (realm, token))

        self._file.attempt(delete)

    def close(self) -> None:
        """Close the file; a later call opens it again.  Idempotent."""
        self._file.close()


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
