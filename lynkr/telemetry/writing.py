"""Writing a batch of records, and what each says about those before it, inside one transaction.

Theory of operation.  A batch is written table by table, so its rows get their
numbers here: a transaction that may write is the only one, so the next numbers
are known.  What a record says about the turns of its session is found out first,
so that its own row is written with all that the batch says about it.  Turns that are in the
ledger are read once per session and batch, as many as are looked at, and the batch's own are added as
they pass.
"""

from collections.abc import Generator, Iterable, Sequence
from itertools import chain
from typing import TYPE_CHECKING, Final

from attrs import define

from lynkr.telemetry import rollups, rows, statements
from lynkr.telemetry.record import Ending, Record, Signal, SignalKind
from lynkr.telemetry.signals import BITS, LOOK_BACK, Course, Turn, is_turn, kinds_of
from lynkr.telemetry.sums import fit_of

if TYPE_CHECKING:
    import sqlite3

_ROWS_AT_ONCE: Final = (
    20,
    5,
    1,
)  # 20 rows of a request's 50 columns bind 1000 values, which any SQLite takes
_SELECT_KNOWN: Final = "SELECT id FROM requests WHERE id IN ({})"
_SELECT_NEXT: Final = "SELECT coalesce(max(seq), 0) + 1 FROM requests"
_SELECT_HEARD: Final = "SELECT seq, tier IS NOT NULL AND ending = 'ok', heard FROM requests WHERE id = ?"


@define
class Heard:
    """What was heard of a row *before* and is by now, as bits; *routed* says that it counts."""

    seq: int
    routed: bool
    before: int = 0
    bits: int = 0


_NOTHING_HEARD: Final = Heard(0, False)


@define
class Prepared:
    """A record and its rows, made before the transaction begins."""

    record: Record
    request: rows.Written
    detail: rows.Written
    attempts: list[rows.Written]

    @classmethod
    def of(cls, record: Record) -> "Prepared":
        return cls(
            record,
            rows.request_row(record),
            rows.detail_row(record),
            list(map(rows.attempt_row, record.attempts)),
        )

    def said_in_utf8(self) -> "Prepared":
        """The same, with all text as UTF-8 can say it."""
        return Prepared(
            self.record,
            rows.said_in_utf8(self.request),
            rows.said_in_utf8(self.detail),
            list(map(rows.said_in_utf8, self.attempts)),
        )

    @property
    def key(self) -> rows.Cell:
        """The id as the table has it."""
        return self.request[1][0]


def insert_all(connection: "sqlite3.Connection", batch: Sequence[Prepared], tail: int) -> int:
    """Write those of *batch* whose ids are new, and roll up a tail of *tail* rows; says how many are new."""
    fresh = _unknown(connection, batch)
    if not fresh:
        return 0
    (first,) = connection.execute(_SELECT_NEXT).fetchone()
    numbered = list(enumerate(fresh, first))
    heard, signals = _reactions(connection, numbered)
    new = [(one.request, (seq, heard.pop(seq, _NOTHING_HEARD).bits)) for seq, one in numbered]
    _insert(connection, "requests", ("seq", "heard"), rows.REQUEST_BLOCKS, new)
    details = [(one.detail, (seq,)) for seq, one in numbered]
    _insert(connection, "details", ("request_seq",), rows.DETAIL_BLOCKS, details)
    attempts = [(row, (seq, at)) for seq, one in numbered for at, row in enumerate(one.attempts)]
    _insert(connection, "attempts", ("request_seq", "number"), rows.ATTEMPT_BLOCKS, attempts)
    if signals:
        connection.executemany(statements.INSERT_SIGNAL, signals)
    _note(connection, heard.values())
    rollups.roll_up(connection, tail=tail)
    return len(fresh)


def _insert(
    connection: "sqlite3.Connection",
    table: str,
    leading: tuple[str, ...],
    blocks: Sequence[tuple[str, ...]],
    written: Iterable[tuple[rows.Written, rows.Row]],
) -> None:
    """Insert rows, each with the cells of its *leading* columns; those alike many at a time.

    `sqlite3` lets other threads run, and waits for its turn again, twice for each statement: by a
    statement for each row a busy server would change threads a thousand times for one batch.
    """
    alike: dict[tuple[int, ...], list[rows.Row]] = {}
    for (chosen, cells), lead in written:
        alike.setdefault(chosen, []).append(lead + cells)
    for chosen, found in alike.items():
        columns = leading + rows.columns_of(blocks, chosen)
        begin = 0
        for size in _ROWS_AT_ONCE:
            while len(found) - begin >= size:
                cells = tuple(chain.from_iterable(found[begin : begin + size]))
                connection.execute(statements.insert(table, columns, rows=size), cells)
                begin += size


def _unknown(connection: "sqlite3.Connection", batch: Sequence[Prepared]) -> list[Prepared]:
    """The first of each id that is not in the ledger."""
    by_id = {one.key: one for one in reversed(batch)}
    wanted = [one for one in batch if by_id[one.key] is one]
    known: set[rows.Cell] = set()
    for begin in range(0, len(wanted), 500):  # SQLite takes 999 marks in its oldest versions
        keys = [one.key for one in wanted[begin : begin + 500]]
        marks = ", ".join("?" * len(keys))
        known.update(row[0] for row in connection.execute(_SELECT_KNOWN.format(marks), keys))
    return [one for one in wanted if one.key not in known] if known else wanted


def _reactions(
    connection: "sqlite3.Connection", numbered: Sequence[tuple[int, Prepared]]
) -> tuple[dict[int, Heard], list[rows.Row]]:
    """What each new record says about the turns of its session that were written before it.

    By the turns' numbers, and the signals among it as rows.
    """
    heard: dict[int, Heard] = {}
    signals: list[rows.Row] = []
    for session, records in _by_session(numbered).items():
        older = _turns(connection, session, records, heard)
        course = Course(older)
        for seq, record in records:
            said = course.reaction(record)
            if said is not None:
                turn, kind = said
                heard[turn.seq].bits |= BITS[kind]
                if kind is not SignalKind.FOLLOWED:
                    signals.append((turn.seq, kind.value, "session", record.at, None))
            if is_turn(record):
                course.add(Turn.of(record, seq))
                heard[seq] = Heard(seq, record.tier is not None and record.ending is Ending.OK)
        older.close()
    return heard, signals


def _by_session(numbered: Sequence[tuple[int, Prepared]]) -> dict[rows.Cell, list[tuple[int, Record]]]:
    found: dict[rows.Cell, list[tuple[int, Record]]] = {}
    for seq, one in numbered:
        if one.record.session is not None:
            found.setdefault(rows.text_cell(one.record.session), []).append((seq, one.record))
    return found


def _turns(
    connection: "sqlite3.Connection",
    session: rows.Cell,
    records: Sequence[tuple[int, Record]],
    heard: dict[int, Heard],
) -> Generator[Turn, None, None]:
    """The session's turns that are in the ledger and may matter to *records*, the latest first.

    They are read one by one, as they are looked at: seldom more than one is.
    """
    times = [record.at for _, record in records]
    found = connection.execute(statements.SELECT_TURNS, (session, min(times) - LOOK_BACK, max(times)))
    try:
        for row in found:
            turn, bits = rows.turn_of(row)
            heard[turn.seq] = Heard(turn.seq, turn.tier is not None, bits, bits)
            yield turn
    finally:
        found.close()


def _note(connection: "sqlite3.Connection", heard: Iterable[Heard]) -> None:
    """Write what was heard where it is more than before, and set the roll-ups right."""
    news = [one for one in heard if one.bits != one.before]
    if not news:
        return
    connection.executemany(statements.UPDATE_HEARD, [(one.bits, one.seq) for one in news])
    mark = rollups.mark_of(connection)
    for one in news:
        if one.routed and one.seq <= mark:
            rollups.adjust(connection, one.seq, _changes(kinds_of(one.before), kinds_of(one.bits)))


def _changes(before: frozenset[SignalKind], after: frozenset[SignalKind]) -> dict[str, int]:
    """What the sums change by when more was heard of a request that counts."""
    old, new = fit_of(True, before), fit_of(True, after)
    return {name: int(value) - int(old[name]) for name, value in new.items()}


def hear(connection: "sqlite3.Connection", signal: Signal) -> bool:
    """Keep *signal*, and in its request's row that it was heard; False where the request is unknown."""
    row = connection.execute(_SELECT_HEARD, (rows.text_cell(signal.request),)).fetchone()
    if row is None:
        return False
    seq, routed, bits = row
    cells = (seq, signal.kind.value, rows.text_cell(signal.source), signal.at, rows.text_cell(signal.note))
    connection.execute(statements.INSERT_SIGNAL, cells)
    _note(connection, [Heard(seq, bool(routed), bits, bits | BITS[signal.kind])])
    return True
