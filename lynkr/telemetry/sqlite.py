"""Records in a SQLite file: the ledger.

One writing connection is kept, under a lock; every read has a connection of
its own, so that a slow reader holds up nobody and sees one moment of the file.
The file is in WAL mode with synchronous NORMAL: a batch that `write` returned
from survives the death of the process; only the machine losing power may cost
the last ones.  Several processes may write to one file: a writer waits for
its turn up to *busy_timeout*.
"""

import os
import sqlite3
import threading
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Final

from attrs import evolve, fields

from lynkr.errors import ConfigError, LedgerError
from lynkr.telemetry import rollups, rows, statements
from lynkr.telemetry.migrations import MIGRATIONS, Migration, names_of
from lynkr.telemetry.record import Query, Record, Signal, SignalKind, Totals
from lynkr.telemetry.sketch import Sketch, bucket_of
from lynkr.telemetry.store import ATTEMPT_SUMS, AttemptCell
from lynkr.telemetry.sums import SUM_NAMES, Cell, Dimension, Order, Sums
from lynkr.telemetry.writing import Prepared, hear, insert_all

_PAGE: Final = 200  # requests read at a time
_MOST_IDLE: Final = 4  # connections kept for the next reader
_MOST_NAMED: Final = 4_000  # sessions picked out of their roll-ups; of more, all of the window are summed up
_POLL: Final = 0.01  # seconds between tries where SQLite does not wait by itself
# Of a new file.  Three requests' details fill one, where SQLite's own 4096 bytes hold a single one.
_PAGE_SIZE: Final = 8192
# Bytes that gather in the write-ahead log before they go to the file.  The last pages of every table and
# index change with each batch: the longer they gather, the fewer times they are copied.
_LOG_SIZE: Final = 16 * 2**20

# After these the connection is as good as before; after anything else it is opened anew.
_PASSING: Final = frozenset({sqlite3.SQLITE_BUSY, sqlite3.SQLITE_FULL, sqlite3.SQLITE_CONSTRAINT})


_SELECT_SEQ: Final = "SELECT seq, tier IS NOT NULL AND ending = 'ok', heard FROM requests WHERE id = ?"
_SELECT_SIGNALS: Final = (
    "SELECT kind, signals.at, source, note FROM signals JOIN requests ON seq = request_seq"
    " WHERE id = ? ORDER BY signals.at, kind, source"
)
_TOTALS: Final = tuple(one.name for one in fields(Totals) if one.name != "by_tier")


class SQLiteStore:
    """A ledger in the file at *path*, made with mode 0600 where there is none.

    *busy_timeout* is in seconds.  A store opened *read_only* neither makes
    nor changes the file.  *tail* is how many new rows are rolled up at a time
    (`lynkr.telemetry.rollups`).

    Raises:
        ConfigError: the file cannot be used: unreadable, not a database, locked
            all the time, or written by a newer lynkr.
    """

    def __init__(
        self,
        path: str | Path,
        *,
        busy_timeout: float = 3.0,
        read_only: bool = False,
        tail: int = rollups.TAIL,
    ) -> None:
        if str(path) == ":memory:":
            raise ConfigError("SQLiteStore keeps a file; for records in memory use MemoryStore")
        self._path = Path(path).expanduser().absolute()
        self._busy_timeout = busy_timeout
        self._read_only = read_only
        self._tail = tail
        self._lock = threading.Lock()
        self._closed = False
        self._writer: sqlite3.Connection | None = None
        self._idle: list[tuple[tuple[int, int, int], sqlite3.Connection]] = []
        self._writer_pid = 0
        try:
            if read_only:
                with closing(self._connect()) as connection:
                    _check_schema(connection, self._path)
            else:
                _make_private(self._path)
                self._writing()
        except (OSError, sqlite3.Error) as error:
            raise ConfigError(f"cannot use {self._path} as a ledger: {error}") from error

    @property
    def path(self) -> Path:
        return self._path

    def write(self, records: Sequence[Record], /) -> None:
        """Keep *records* in one transaction; one whose id is known changes nothing.

        Raises:
            RuntimeError: the store was closed, or was opened to read only.
            sqlite3.Error: the file is full, locked or damaged; nothing of the batch was kept.
        """
        prepared = list(map(Prepared.of, records))
        with self._lock:
            try:
                self._transact(lambda connection: insert_all(connection, prepared, self._tail))
            except UnicodeEncodeError:
                prepared = [one.said_in_utf8() for one in prepared]
                self._transact(lambda connection: insert_all(connection, prepared, self._tail))

    def read(self, query: Query, /) -> Iterator[Record]:
        """The matching records, newest first, as they are when the first one is asked for.

        Raises:
            LedgerError: the file is gone, locked or damaged.
        """
        where, values = statements.where_of(query)
        limit = -1 if query.limit is None else query.limit
        with self._reading() as connection:  # requests and attempts of one moment
            connection.row_factory = sqlite3.Row
            select = f"{statements.SELECT_RECORDS} {where} ORDER BY {statements.record_order(query)} LIMIT ?"
            found = connection.execute(select, (*values, limit))
            while page := found.fetchmany(_PAGE):
                attempts = _attempts_of(connection, [row["seq"] for row in page])
                for row in page:
                    yield rows.record_of(row, attempts.get(row["seq"], ()))

    def totals(self, query: Query, /) -> Totals:
        """Sums over the matching records; `limit` is ignored.

        Raises:
            LedgerError: the file is gone, locked or damaged.
        """
        by_tier = self.cells(query, (Dimension.TIER,))
        total = Sums.total(cell.sums for cell in by_tier)
        tiers = {str(cell.key[0]): cell.sums.requests for cell in by_tier if cell.key[0] is not None}
        sums: dict[str, int] = {name: getattr(total, name) for name in _TOTALS}
        return Totals(**sums, by_tier=MappingProxyType(tiers))

    def cells(
        self,
        query: Query,
        by: Sequence[Dimension] = (),
        /,
        *,
        order: Order | None = None,
        limit: int | None = None,
        latency: bool = False,
    ) -> tuple[Cell, ...]:
        """The sums of the matching records by *by*; `Query.limit` is ignored, *limit* is that of the cells.

        Raises:
            LedgerError: the file is gone, locked or damaged.
        """
        with self._reading() as connection:
            return _cells(connection, query, by, order, limit, latency=latency)

    def signal(self, signals: Sequence[Signal], /) -> frozenset[str]:
        """Keep *signals*, the later in place of an earlier of its kind and source; gives the unknown ids.

        Raises:
            RuntimeError: the store was closed, or was opened to read only.
            sqlite3.Error: the file is full, locked or damaged; nothing was kept.
        """
        unknown: set[str] = set()

        def keep(connection: sqlite3.Connection) -> int:
            unknown.update(signal.request for signal in signals if not hear(connection, signal))
            return len(signals)

        with self._lock:
            self._transact(keep)
        return frozenset(unknown)

    def signals(self, id: str, /) -> tuple[Signal, ...]:
        """What was said about the request, in the order of time, kind and source.

        Raises:
            LedgerError: the file is gone, locked or damaged.
        """
        with self._reading() as connection:
            found = connection.execute(_SELECT_SIGNALS, (id,)).fetchall()
        return tuple(Signal(id, SignalKind(kind), at, source, note) for kind, at, source, note in found)

    def attempts(self, *, since: float | None = None, until: float | None = None) -> tuple[AttemptCell, ...]:
        """The attempts of the requests that arrived from *since* to before *until*, by target.

        Raises:
            LedgerError: the file is gone, locked or damaged.
        """
        with self._reading() as connection:
            select, values = rollups.select_attempts(since, until, rollups.mark_of(connection))
            found = connection.execute(select, values).fetchall()
            cells = [
                AttemptCell(provider, model, **dict(zip(ATTEMPT_SUMS, sums, strict=True)))
                for provider, model, *sums in found
            ]
            return tuple(_with_last_error(connection, cell, since, until) for cell in cells)

    def prune(self, before: float, /) -> int:
        """Forget the records that arrived before this Unix time; says how many.

        Raises:
            RuntimeError: the store was closed, or was opened to read only.
            sqlite3.Error: the file is full, locked or damaged; nothing was forgotten.
        """
        with self._lock:
            return self._transact(lambda connection: rollups.forget(connection, "at < ?", (before,)))

    def trim(self, most: int, /) -> int:
        """Forget the oldest records, so that *most* are left; says how many.

        Raises:
            RuntimeError: the store was closed, or was opened to read only.
            sqlite3.Error: the file is full, locked or damaged; nothing was forgotten.
        """
        with self._lock:
            return self._transact(lambda connection: _trim(connection, most))

    def compact(self, *, before: float | None = None, most: int | None = None) -> tuple[int, int]:
        """Forget as `prune` and `trim` do, and give the room back to the disk: how many records, and bytes.

        Needs room for a second copy while it works, and locks the file.

        Raises:
            LedgerError: the file is full, locked or damaged.
            RuntimeError: the store was closed, or was opened to read only.
        """
        size = self._size()
        try:
            forgotten = 0 if before is None else self.prune(before)
            forgotten += 0 if most is None else self.trim(most)
            with self._lock:
                connection = self._writing()
                connection.execute("VACUUM")
                connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        except sqlite3.Error as error:
            raise LedgerError(f"{self._path} cannot be compacted: {error}{_cure_of(error)}") from error
        return forgotten, size - self._size()

    def _size(self) -> int:
        """Bytes on the disk, what waits in the write-ahead log included."""
        files = (self._path, self._path.with_name(f"{self._path.name}-wal"))
        return sum(file.stat().st_size for file in files if file.exists())

    def close(self) -> None:
        """End writing; what was written can still be read."""
        with self._lock:
            self._closed = True
            self._drop_writer()
            for place, connection in self._idle:
                if place[0] == os.getpid():
                    connection.close()
            self._idle.clear()

    def _connect(self) -> sqlite3.Connection:
        mode = "ro" if self._read_only else "rw"  # never "rwc": only _make_private makes the file
        connection = sqlite3.connect(
            f"{self._path.as_uri()}?mode={mode}",
            uri=True,
            timeout=self._busy_timeout,
            isolation_level=None,
            check_same_thread=False,
        )
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute("PRAGMA temp_store = MEMORY")
        connection.create_aggregate("sketch", 1, _Sketching)  # type: ignore[arg-type]  # reason: see there
        connection.create_aggregate("merged_sketch", 1, _Merging)  # type: ignore[arg-type]  # reason: see there
        connection.create_function("added_sketch", 2, _added_sketch, deterministic=True)
        return connection

    @contextmanager
    def _reading(self) -> Generator[sqlite3.Connection, None, None]:
        """A connection that sees one moment of the file.

        Kept for the next reader, because preparing a sum over sixty columns
        takes longer than computing it; not in a forked child, nor once the file is another.
        """
        place = self._place()
        with self._lock:
            kept = self._idle.pop() if self._idle else None
        if kept is not None and kept[0] != place:
            kept[1].close()
            kept = None
        connection = self._connect() if kept is None else kept[1]
        try:
            connection.row_factory = None
            connection.execute("BEGIN")
            yield connection
            connection.execute("ROLLBACK")
        except sqlite3.Error as error:
            connection.close()
            raise LedgerError(f"{self._path} cannot be read: {error}{_cure_of(error)}") from error
        except BaseException:
            connection.close()
            raise
        with self._lock:
            if len(self._idle) < _MOST_IDLE and not self._closed:
                self._idle.append((place, connection))
                return
        connection.close()

    def _place(self) -> tuple[int, int, int]:
        """Which process reads which file."""
        try:
            found = self._path.stat()
        except OSError as error:
            raise LedgerError(f"{self._path} is gone: {error}") from error
        return os.getpid(), found.st_dev, found.st_ino

    def _writing(self) -> sqlite3.Connection:
        """The connection to write on; opened anew in a forked child, where the parent's must not be used."""
        if self._writer is None or self._writer_pid != os.getpid():
            connection = self._connect()
            try:
                connection.execute(f"PRAGMA page_size = {_PAGE_SIZE}")  # that of a file that exists stays
                _use_wal(connection, self._busy_timeout)
                connection.execute("PRAGMA synchronous = NORMAL")
                (page_size,) = connection.execute("PRAGMA page_size").fetchone()
                connection.execute(f"PRAGMA wal_autocheckpoint = {_LOG_SIZE // page_size}")
                _migrate(connection, self._path)
            except BaseException:
                connection.close()
                raise
            self._writer, self._writer_pid = connection, os.getpid()
        return self._writer

    def _transact(self, change: Callable[[sqlite3.Connection], int]) -> int:
        """Run *change* in a transaction.  The lock is held."""
        if self._closed:
            raise RuntimeError("the store is closed")
        if self._read_only:
            raise RuntimeError("the store was opened to read only")
        connection = self._writing()
        try:
            connection.execute("BEGIN IMMEDIATE")
            changed = change(connection)
            connection.execute("COMMIT")
        except BaseException as error:
            if connection.in_transaction:
                connection.rollback()
            if (
                isinstance(error, sqlite3.Error)
                and (getattr(error, "sqlite_errorcode", 0) & 0xFF) not in _PASSING
            ):
                self._drop_writer()
            raise
        return changed

    def _drop_writer(self) -> None:
        if self._writer is not None and self._writer_pid == os.getpid():
            self._writer.close()
        self._writer = None


def _trim(connection: sqlite3.Connection, most: int) -> int:
    edge = connection.execute(
        "SELECT at, seq FROM requests ORDER BY at DESC, seq DESC LIMIT 1 OFFSET ?", (most,)
    ).fetchone()
    return 0 if edge is None else rollups.forget(connection, "(at, seq) <= (?, ?)", edge)


def _with_last_error(
    connection: sqlite3.Connection, cell: AttemptCell, since: float | None, until: float | None
) -> AttemptCell:
    if not cell.failed:
        return cell
    span = (cell.provider, cell.model, since, until)
    error, at = connection.execute(statements.SELECT_LAST_ERROR, span).fetchone()
    return evolve(cell, last_error=error, last_error_at=at)


def _cells(
    connection: sqlite3.Connection,
    query: Query,
    by: Sequence[Dimension],
    order: Order | None,
    limit: int | None,
    *,
    latency: bool,
) -> tuple[Cell, ...]:
    """The cells, from the roll-ups where some can answer, else from the rows."""
    count = -1 if limit is None else limit
    family = rollups.family_of(query, by, latency=latency)
    if family is None:
        where, values = statements.where_of(query)
        select = statements.select_cells(by, where, order, latency=latency)
    else:
        mark = rollups.mark_of(connection)
        sessions = None
        if limit is not None and order is not None and tuple(by) == (Dimension.SESSION,):
            # There may be very many: the sums of those only that may come first.
            sessions = rollups.leading_sessions(connection, query, order, limit, mark)
            if not sessions:
                return ()
            marks = connection.getlimit(sqlite3.SQLITE_LIMIT_VARIABLE_NUMBER)  # each of four parts names them
            if len(sessions) > min(_MOST_NAMED, marks // 5):
                sessions = None
        select, values = rollups.select_rolled(
            family, query, by, order, latency=latency, mark=mark, sessions=sessions
        )
    connection.row_factory = sqlite3.Row
    return tuple(_cell_of(row, by) for row in connection.execute(select, (*values, count)))


class _Merging:
    """The SQL aggregate ``merged_sketch(text)``; NULL is left out."""

    def __init__(self) -> None:
        self._buckets: dict[int, int] = {}

    def step(self, text: str | None) -> None:
        if text is not None:
            for bucket, count in Sketch.parse(text).buckets.items():
                self._buckets[bucket] = self._buckets.get(bucket, 0) + count

    def finalize(self) -> str:
        return Sketch(self._buckets).text


def _added_sketch(one: str | None, other: str | None) -> str | None:
    if one is None or other is None:
        return one or other
    return Sketch.sum((Sketch.parse(one), Sketch.parse(other))).text


class _Sketching:
    """The SQL aggregate ``sketch(seconds)``; NULL is left out."""

    def __init__(self) -> None:
        self._buckets: dict[int, int] = {}

    def step(self, seconds: float | None) -> None:
        if seconds is not None:
            bucket = bucket_of(seconds)
            self._buckets[bucket] = self._buckets.get(bucket, 0) + 1

    def finalize(self) -> str:
        return Sketch(self._buckets).text


def _cell_of(row: sqlite3.Row, by: Sequence[Dimension]) -> Cell:
    keeps_sketches = "duration" in row.keys()  # noqa: SIM118 - a Row is no mapping
    return Cell(
        tuple(by),
        tuple(row[key] for key in statements.keys_of(by)),
        Sums(*(row[name] for name in SUM_NAMES)),
        Sketch.parse(row["first_event"]) if keeps_sketches else None,
        Sketch.parse(row["duration"]) if keeps_sketches else None,
    )


def _attempts_of(connection: sqlite3.Connection, seqs: Sequence[int]) -> dict[int, list[sqlite3.Row]]:
    marks = ", ".join("?" * len(seqs))
    select = f"SELECT * FROM attempts WHERE request_seq IN ({marks}) ORDER BY request_seq, number"  # noqa: S608 - marks
    found: dict[int, list[sqlite3.Row]] = {}
    for row in connection.execute(select, seqs):
        found.setdefault(row["request_seq"], []).append(row)
    return found


def _cure_of(error: sqlite3.Error) -> str:
    """What the owner can do about it."""
    match getattr(error, "sqlite_errorcode", 0) & 0xFF:
        case sqlite3.SQLITE_BUSY | sqlite3.SQLITE_LOCKED:
            return "; another process holds it, try again"
        case sqlite3.SQLITE_FULL:
            return "; make room on the disk"
        case sqlite3.SQLITE_CORRUPT | sqlite3.SQLITE_NOTADB:
            return "; move it away (lynkr begins a new one), `sqlite3 FILE .recover` saves what can be saved"
        case _:
            return ""


def _make_private(path: Path) -> None:
    """Make the file, and the folders above it, for the owner only; a file that exists stays as it is.

    The mode is given when the file is made, so there is no moment at which
    others could open it.  SQLite gives its ``-wal`` and ``-shm`` the same mode.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))


def _use_wal(connection: sqlite3.Connection, busy_timeout: float) -> None:
    """Switch the file to WAL.  SQLite does not wait for others to do the same, so this does."""
    deadline = time.monotonic() + busy_timeout
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL").fetchone()
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() >= deadline:
                raise
            time.sleep(_POLL)
        else:
            return


def _migrate(
    connection: sqlite3.Connection, path: Path, migrations: tuple[Migration, ...] = MIGRATIONS
) -> None:
    """Bring the schema up to date; of several processes at once one does it and the others find it done."""
    if _applied(connection) == frozenset(names_of(migrations)):
        return
    connection.execute("BEGIN IMMEDIATE")
    try:
        connection.execute(
            "CREATE TABLE IF NOT EXISTS telemetry_migrations"
            " (name TEXT PRIMARY KEY, applied REAL NOT NULL) WITHOUT ROWID"
        )
        applied = _applied(connection)
        _refuse_newer(applied, path, migrations)
        for migration in migrations:
            if migration.__name__ not in applied:
                migration(connection.execute)
                connection.execute(
                    "INSERT INTO telemetry_migrations VALUES (?, ?)", (migration.__name__, time.time())
                )
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.rollback()
        raise


def _check_schema(connection: sqlite3.Connection, path: Path) -> None:
    """Refuse what a reader cannot put right.

    Raises:
        ConfigError: the schema is newer or older than this lynkr's.
    """
    applied = _applied(connection)
    _refuse_newer(applied, path, MIGRATIONS)
    if applied != frozenset(names_of(MIGRATIONS)):
        raise ConfigError(f"{path} is no ledger of this lynkr's yet; start the gateway on it once")


def _refuse_newer(applied: frozenset[str], path: Path, migrations: tuple[Migration, ...]) -> None:
    unknown = sorted(applied.difference(names_of(migrations)))
    if unknown:
        raise ConfigError(
            f"{path} was written by a newer lynkr (it has {unknown[-1]}); upgrade lynkr, or name another file"
        )


def _applied(connection: sqlite3.Connection) -> frozenset[str]:
    table = "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'telemetry_migrations'"
    if connection.execute(table).fetchone() is None:
        return frozenset()
    return frozenset(row[0] for row in connection.execute("SELECT name FROM telemetry_migrations"))
