"""Writing a batch of records, and what each says about those before it, inside one transaction.

Theory of operation.  A batch is written table by table, so its rows get their
numbers here: a transaction that may write is the only one, so the next numbers
are known.  What a record says about the turns of its session needs those turns:
they are read once per session and batch, and the batch's own are added as they pass.
"""

from bisect import insort
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Final

from attrs import define

from lynkr.telemetry import rollups, rows, statements
from lynkr.telemetry.record import Ending, Record, Signal, SignalKind
from lynkr.telemetry.signals import (
    BITS,
    LOOK_BACK,
    MOST_TURNS,
    Turn,
    is_turn,
    kinds_of,
    latest,
    place_of,
    reaction,
)
from lynkr.telemetry.sums import fit_of

if TYPE_CHECKING:
    import sqlite3

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


@define
class Prepared:
    """A record and its rows, made before the transaction begins."""

    record: Record
    request: rows.Row
    detail: rows.Row
    attempts: list[rows.Row]

    @classmethod
    def of(cls, record: Record) -> "Prepared":
        return cls(
            record,
            rows.request_row(record),
            rows.detail_row(record),
            [rows.attempt_row(attempt) for attempt in record.attempts],
        )

    @property
    def key(self) -> rows.Cell:
        """The id as the table has it."""
        return self.request[0]


def insert_all(connection: "sqlite3.Connection", batch: Sequence[Prepared], tail: int) -> int:
    """Write those of *batch* whose ids are new, and roll up a tail of *tail* rows; says how many are new."""
    fresh = _unknown(connection, batch)
    if not fresh:
        return 0
    (first,) = connection.execute(_SELECT_NEXT).fetchone()
    numbered = list(enumerate(fresh, first))
    connection.executemany(statements.INSERT_REQUEST, [(seq, *one.request) for seq, one in numbered])
    connection.executemany(statements.INSERT_DETAIL, [(seq, *one.detail) for seq, one in numbered])
    connection.executemany(
        statements.INSERT_ATTEMPT,
        [(seq, number, *row) for seq, one in numbered for number, row in enumerate(one.attempts)],
    )
    _react(connection, numbered)
    rollups.roll_up(connection, tail=tail)
    return len(fresh)


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


def _react(connection: "sqlite3.Connection", numbered: Sequence[tuple[int, Prepared]]) -> None:
    """Keep what each new record says about the turns of its session that were written before it."""
    by_session: dict[rows.Cell, list[tuple[int, Record]]] = {}
    for seq, one in numbered:
        if one.record.session is not None:
            by_session.setdefault(rows.text_cell(one.record.session), []).append((seq, one.record))
    heard: dict[int, Heard] = {}
    signals: list[rows.Row] = []
    for session, records in by_session.items():
        turns = _turns(connection, session, records, heard)
        for seq, record in records:
            said = reaction(record, latest(turns, record.at))
            if said is not None:
                turn, kind = said
                heard[turn.seq].bits |= BITS[kind]
                if kind is not SignalKind.FOLLOWED:
                    signals.append((turn.seq, kind.value, "session", record.at, None))
            if is_turn(record):
                insort(turns, Turn.of(record, seq), key=place_of)
                heard[seq] = Heard(seq, record.tier is not None and record.ending is Ending.OK)
    connection.executemany(statements.INSERT_SIGNAL, signals)
    _note(connection, heard.values())


def _turns(
    connection: "sqlite3.Connection",
    session: rows.Cell,
    records: Sequence[tuple[int, Record]],
    heard: dict[int, Heard],
) -> list[Turn]:
    """The session's turns that were written before *records* and may matter to one of them, in order."""
    times = [record.at for _, record in records]
    first, seq = min(times), records[0][0]
    # Nobody looks further back than so many turns, however many the session had within the hour.
    before = (session, first - LOOK_BACK, first, seq, MOST_TURNS - 1)
    oldest = connection.execute(statements.SELECT_OLDEST_TURN, before).fetchone()
    span = (session, first - LOOK_BACK if oldest is None else oldest[0], max(times), seq)
    turns: list[Turn] = []
    for row in connection.execute(statements.SELECT_TURNS, span):
        turn, bits = rows.turn_of(row)
        turns.append(turn)
        heard[turn.seq] = Heard(turn.seq, turn.tier is not None, bits, bits)
    turns.sort(key=place_of)
    return turns


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
