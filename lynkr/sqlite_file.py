"""A SQLite file that several processes share: opened for its owner alone, and written in transactions."""

import os
import sqlite3
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from threading import Lock
from typing import TypeVar

_Result = TypeVar("_Result")


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


class SharedFile:
    """The file at *path* with what *statements* make in it, for state that can be done without.

    Opened on first use.  Where it cannot be used, nothing is raised: that is counted in *faults*, and
    *last_fault* says why.  *damaged* are the errors that what stands in it may cause when it is read.
    Safe to call from several threads.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *statements: str,
        busy_timeout: float,
        damaged: tuple[type[Exception], ...] = (ValueError,),
    ) -> None:
        self.path: Path = Path(path)
        self.faults: int = 0
        self.last_fault: str | None = None
        self._statements = statements
        self._busy_timeout = busy_timeout
        self._expected: tuple[type[Exception], ...] = (sqlite3.Error, OSError, *damaged)
        self._connection: sqlite3.Connection | None = None
        self._lock = Lock()

    def attempt(self, act: Callable[[sqlite3.Connection], _Result]) -> _Result | None:
        """*act* in a transaction; None if the file cannot be used."""
        with self._lock:
            try:
                if self._connection is None:
                    self._connection = open_shared(
                        self.path, *self._statements, busy_timeout=self._busy_timeout
                    )
                with transaction(self._connection):
                    return act(self._connection)
            except self._expected as error:
                self.faults += 1
                self.last_fault = f"{type(error).__name__}: {error}"
                self._disconnect()
                return None

    def close(self) -> None:
        """Close the file; a later call opens it again.  Idempotent."""
        with self._lock:
            self._disconnect()

    def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()
