"""A SQLite file that several processes share: opened for its owner alone, and written in transactions."""

import os
import sqlite3
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path


def open_shared(path: str | Path, *statements: str, busy_timeout: float) -> sqlite3.Connection:
    """A connection in autocommit mode, to be used under a lock of the caller's.

    The file is made, mode 0600, if it is not there; *statements* make what is missing in it.
    *busy_timeout* is how many seconds to wait for other processes.  What the process
    wrote survives it, but not a power cut: this is for state that rebuilds itself.

    Raises:
        OSError, sqlite3.Error: the file cannot be used.
    """
    os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
    connection = sqlite3.connect(path, timeout=busy_timeout, isolation_level=None, check_same_thread=False)
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = OFF")
        for statement in statements:
            connection.execute(statement)
    except BaseException:
        connection.close()
        raise
    return connection


@contextmanager
def transaction(connection: sqlite3.Connection) -> Generator[None, None, None]:
    """Write alone; committed at the end, rolled back if that is an exception."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
