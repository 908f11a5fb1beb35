"""Sums of whole hours and whole days, kept beside the rows so that a million of them are summed at once.

Theory of operation.  `rollup_mark` says up to which row (by its running number
*seq*) the requests are rolled up.  A sum over a window is, in one read transaction:

- the days that lie wholly inside it, and the hours at either side of those,
  from `rollups` (rows up to the mark only);
- the rows up to the mark in the parts of hours at its two ends;
- the rows above the mark, the *tail*.

So it is exact at every moment, whether much or nothing was rolled up.  Whoever
writes rolls the tail up when it has grown to `TAIL` rows, in the transaction of
the last of them: the newest rows' parts are computed once, at the grain of the hour
and all dimensions, and added to the few cells they belong to.  At most `CHUNK`
rows at a time, so that a ledger that never had roll-ups catches up bit by bit.

There are four families, because the number of cells is the product of their
dimensions: one for what is asked most, with the sketches of durations; one with
the reasons besides; one by session; and one of the failed requests alone.  Attempts
have their own.
"""

import math
from collections.abc import Mapping, Sequence
from enum import IntEnum
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from lynkr.telemetry import rows
from lynkr.telemetry.record import Query
from lynkr.telemetry.statements import (
    ALIKE,
    ATTEMPT_LIST,
    DIMENSIONS,
    SKETCH_LIST,
    conditions_of,
    keys_of,
    ordered,
    sum_list,
    sum_list_of_alike,
)
from lynkr.telemetry.store import ATTEMPT_SUMS
from lynkr.telemetry.sums import DAY, HOUR, NO_SKETCHES, SUM_NAMES, Dimension, Order

if TYPE_CHECKING:
    import sqlite3

TAIL: Final = 2_000
CHUNK: Final = 20_000

_ORDERING: Final[Mapping[Order, str]] = MappingProxyType(
    {Order.COST: "cost_microusd", Order.RECENT: "last_at_us", Order.REQUESTS: "requests"}
)
_FAR: Final = 2**62


class Family(IntEnum):
    """Which dimensions a roll-up tells apart."""

    COARSE = 0
    FINE = 1
    SESSION = 2
    FAILED = 3  # the same as FINE, of the failed requests only


_COARSE: Final = (Dimension.TENANT, Dimension.TIER, Dimension.PROVIDER, Dimension.MODEL)
_FINE: Final = (*_COARSE, Dimension.REASON, Dimension.TRAFFIC)
FAMILIES: Final[Mapping[Family, tuple[Dimension, ...]]] = MappingProxyType(
    {Family.COARSE: _COARSE, Family.FINE: _FINE, Family.SESSION: (Dimension.SESSION,), Family.FAILED: _FINE}
)
IS_FAILED: Final = "ending = 'failed'"
_SKETCHES: Final = ("first_event", "duration")


def _joined(name: str) -> str:
    """How parts of a sum become one."""
    match name:
        case "longest_input" | "last_at_us":
            return f"max({name})"
        case "first_at_us":
            return f"coalesce(min(nullif({name}, 0)), 0)"
        case _:
            return f"sum({name})"


def _added(name: str) -> str:
    """How a part is added to what is there."""
    match name:
        case "longest_input" | "last_at_us":
            return f"{name} = max({name}, excluded.{name})"
        case "first_at_us":
            least = "min(nullif(first_at_us, 0), nullif(excluded.first_at_us, 0))"
            return f"{name} = coalesce({least}, first_at_us + excluded.first_at_us)"
        case _:
            return f"{name} = {name} + excluded.{name}"


def _key(dimensions: Sequence[Dimension]) -> str:
    """A text that equal dimensions share and others do not, NULL included."""
    return " || '/' || ".join(f"coalesce(hex({dimension.value}), '-')" for dimension in dimensions)


def _all_joined(names: Sequence[str]) -> str:
    return ", ".join(f"{_joined(name)} AS {name}" for name in names)


_MERGED: Final = ", ".join(f"merged_sketch({name}) AS {name}" for name in _SKETCHES)
_ADDED: Final = ", ".join(
    [*map(_added, SUM_NAMES), *(f"{name} = added_sketch({name}, excluded.{name})" for name in _SKETCHES)]
)
_NAMES: Final = ", ".join((*SUM_NAMES, *_SKETCHES))
_ALL_DIMENSIONS: Final = ", ".join(dimension.value for dimension in (*_FINE, Dimension.SESSION))

_MAKE_FRESH: Final = f"""
    CREATE TEMP TABLE IF NOT EXISTS fresh (hour, {_ALL_DIMENSIONS}, {_NAMES})
"""
_FILL_FRESH: Final = f"""
    INSERT INTO fresh (hour, {", ".join(_FINE)}, {_NAMES})
    SELECT {DIMENSIONS[Dimension.HOUR]}, {", ".join(_FINE)}, {sum_list_of_alike(SUM_NAMES)}, {SKETCH_LIST}
    FROM requests WHERE {{condition}} GROUP BY 1, {", ".join(_FINE)}, {ALIKE}
"""  # noqa: S608 - names of ours
_FILL_FRESH_SESSIONS: Final = f"""
    INSERT INTO fresh (hour, session, {_NAMES})
    SELECT {DIMENSIONS[Dimension.HOUR]}, session, {sum_list_of_alike(SUM_NAMES)}, NULL, NULL
    FROM requests WHERE {{condition}} GROUP BY 1, session, {ALIKE}
"""  # noqa: S608 - names of ours


def _add(family: Family, span: int) -> str:
    """Add what is in ``fresh`` to the roll-ups of *family* and *span*."""
    names = ", ".join(FAMILIES[family])
    sketches = _MERGED if family is Family.COARSE else "NULL, NULL"
    start = f"CAST(hour / {span} AS INTEGER) * {span}"
    columns = f"{_key(FAMILIES[family])}, {names}, {_all_joined(SUM_NAMES)}, {sketches}"
    return f"""
        INSERT INTO rollups (family, span, start, key, {names}, {_NAMES})
        SELECT {int(family)}, {span}, {start}, {columns}
        FROM fresh WHERE true GROUP BY 3, {names}
        ON CONFLICT (family, span, start, key) DO UPDATE SET {_ADDED}
    """  # noqa: S608 - names of ours


_ADD_ATTEMPTS: Final = f"""
    INSERT INTO attempt_rollups (span, start, provider, model, {", ".join(ATTEMPT_SUMS)})
    SELECT {{span}}, CAST(requests.at / {{span}} AS INTEGER) * {{span}} AS begin,
        attempts.provider, attempts.model, {ATTEMPT_LIST}
    FROM requests JOIN attempts ON request_seq = seq WHERE {{condition}} GROUP BY 2, 3, 4
    ON CONFLICT (span, start, provider, model) DO UPDATE SET
        {", ".join(f"{name} = {name} + excluded.{name}" for name in ATTEMPT_SUMS)}
"""  # noqa: S608 - names of ours


def mark_of(connection: "sqlite3.Connection") -> int:
    """Up to which row the requests are rolled up."""
    (mark,) = connection.execute("SELECT seq FROM rollup_mark").fetchone()
    return int(mark)


def roll_up(connection: "sqlite3.Connection", *, tail: int = TAIL) -> int:
    """Roll up the tail if it has *tail* rows, `CHUNK` of it at most; says how many.

    Inside the caller's transaction.
    """
    mark = mark_of(connection)
    last = int(connection.execute("SELECT coalesce(max(seq), 0) FROM requests").fetchone()[0])
    if last - mark < max(tail, 1):
        return 0
    upto = min(last, mark + CHUNK)
    _roll(connection, "seq > ? AND seq <= ?", (mark, upto))
    connection.execute("UPDATE rollup_mark SET seq = ?", (upto,))
    return upto - mark


def _roll(connection: "sqlite3.Connection", condition: str, values: Sequence[rows.Cell]) -> None:
    """Add the requests that *condition* lets through to the roll-ups."""
    connection.execute(_MAKE_FRESH)
    for fill, narrowed, families in (
        (_FILL_FRESH, condition, (Family.COARSE, Family.FINE)),
        (_FILL_FRESH, f"{condition} AND {IS_FAILED}", (Family.FAILED,)),
        (_FILL_FRESH_SESSIONS, condition, (Family.SESSION,)),
    ):
        connection.execute(fill.format(condition=narrowed), values)
        for family in families:
            for span in (HOUR, DAY):
                connection.execute(_add(family, span))
        connection.execute("DELETE FROM fresh")
    for span in (HOUR, DAY):
        connection.execute(_ADD_ATTEMPTS.format(condition=condition, span=span), values)


def forget(connection: "sqlite3.Connection", condition: str, values: Sequence[rows.Cell]) -> int:
    """Delete the requests that *condition* lets through, the oldest there are; says how many.

    The roll-ups of the days before the newest of them are dropped, those of its day made anew.
    """
    found = connection.execute(f"SELECT max(at) FROM requests WHERE {condition}", values)  # noqa: S608 - ours
    (newest,) = found.fetchone()
    if newest is None:
        return 0
    day = math.floor(newest / DAY) * DAY
    for table in ("rollups", "attempt_rollups"):
        connection.execute(f"DELETE FROM {table} WHERE start < ?", (day + DAY,))  # noqa: S608 - names of ours
    deleted = connection.execute(f"DELETE FROM requests WHERE {condition}", values).rowcount  # noqa: S608
    _remake_day(connection, day)
    connection.execute("UPDATE rollup_mark SET seq = min(seq, (SELECT coalesce(max(seq), 0) FROM requests))")
    return deleted


def _remake_day(connection: "sqlite3.Connection", day: int) -> None:
    """Make the dropped roll-ups of one day anew from its rows up to the mark."""
    _roll(connection, "seq <= ? AND at >= ? AND at < ?", (mark_of(connection), day, day + DAY))


def adjust(connection: "sqlite3.Connection", seq: int, changes: Mapping[str, int]) -> None:
    """Add *changes* to the roll-ups of one row, which is rolled up already and did not fail."""
    changed = {name: change for name, change in changes.items() if change}
    if not changed:
        return
    settings = ", ".join(f"{name} = {name} + ?" for name in changed)
    for family, dimensions in FAMILIES.items():
        for span in (HOUR, DAY) if family is not Family.FAILED else ():
            start = f"CAST(at / {span} AS INTEGER) * {span}"
            place = f"SELECT {int(family)}, {span}, {start}, {_key(dimensions)} FROM requests WHERE seq = ?"  # noqa: S608 - ours
            update = f"UPDATE rollups SET {settings} WHERE (family, span, start, key) = ({place})"  # noqa: S608
            connection.execute(update, (*changed.values(), seq))


# --- Reading --------------------------------------------------------------------------------------------


def family_of(query: Query, by: Sequence[Dimension], *, latency: bool) -> Family | None:
    """The family that can answer, the smallest; None if only the rows can."""
    if any(
        value is not None
        for value in (query.id, query.id_prefix, query.before, query.session, query.sessions)
    ):
        return None
    filtered = {
        Dimension.TIER: query.tier,
        Dimension.PROVIDER: query.provider,
        Dimension.MODEL: query.model,
        Dimension.TENANT: query.tenant,
        Dimension.REASON: query.reason,
    }
    needed = {dimension for dimension, value in filtered.items() if value is not None} | set(by)
    needed -= {Dimension.HOUR, Dimension.DAY}
    if query.errors_only:
        return Family.FAILED if needed.issubset(_FINE) and not latency else None
    if latency and NO_SKETCHES.isdisjoint(by):
        return Family.COARSE if needed.issubset(_COARSE) else None
    return next((family for family, dims in FAMILIES.items() if needed.issubset(dims)), None)


def _spans(since: float | None, until: float | None, by: Sequence[Dimension]) -> tuple[int, int, int, int]:
    """Where hours begin to be whole, where days do, where days cease to be, where hours do."""
    first = -_FAR if since is None else math.ceil(since / HOUR) * HOUR
    last = _FAR if until is None else math.floor(until / HOUR) * HOUR
    if Dimension.HOUR in by:
        return first, first, first, last
    first_day = -_FAR if since is None else -(-first // DAY) * DAY
    last_day = _FAR if until is None else last // DAY * DAY
    return (first, first_day, last_day, last) if first_day < last_day else (first, first, first, last)


def leading_sessions(
    connection: "sqlite3.Connection", query: Query, order: Order, limit: int, mark: int
) -> list[str | None]:
    """The sessions among which are the first *limit* of *query*'s window in *order*, and few others.

    The order is that of the roll-ups, along an index that holds what decides it.  Only
    the sessions with rows that are not in these, at the ends of the window and
    in the tail, may rank otherwise; there are few, so all of them are candidates.
    """
    first, first_day, last_day, last = _spans(query.since, query.until, ())
    found: set[str | None] = set()
    for condition, span in _row_parts(query, first, last, mark):
        select = f"SELECT DISTINCT session FROM requests WHERE {condition}"  # noqa: S608 - names of ours
        found.update(row[0] for row in connection.execute(select, span))
    if first < last:
        ranked = f"""
            SELECT session FROM rollups INDEXED BY rollups_session
            WHERE family = {int(Family.SESSION)} AND {_IN_SPANS}
            GROUP BY session ORDER BY {_joined(_ORDERING[order])} DESC, session LIMIT ?
        """  # noqa: S608 - names of ours
        spans = (first_day, last_day, first, first_day, last_day, last)
        rolled = connection.execute(ranked, (*spans, limit + len(found))).fetchall()
        found.update(row[0] for row in rolled)
    return list(found)


def select_rolled(
    family: Family,
    query: Query,
    by: Sequence[Dimension],
    order: Order | None,
    *,
    latency: bool,
    mark: int,
    sessions: Sequence[str | None] | None = None,
) -> tuple[str, list[rows.Cell]]:
    """The sums by *by*, from roll-ups and rows; the last mark is the limit.

    *sessions* narrows it to those, one at least.
    """
    first, first_day, last_day, last = _spans(query.since, query.until, by)
    wanted, values = conditions_of(query, times=False)
    keys = keys_of(by)
    sketches = latency and NO_SKETCHES.isdisjoint(by)
    parts: list[str] = []
    given: list[rows.Cell] = []
    if first < last:
        of_family = [condition for condition in wanted if condition != IS_FAILED]  # as all of FAILED are
        for chosen, names in _chosen(sessions):
            parts.append(_rolled_part(family, by, of_family, chosen, sketches=sketches))
            given += [first_day, last_day, first, first_day, last_day, last, *values, *names]
    for condition, span in _row_parts(query, first, last, mark):
        for chosen, names in _chosen(sessions, sign="+"):  # these parts are small: along the times
            parts.append(_row_part(by, [condition, *wanted, *chosen], sketches=sketches))
            given += [*span, *values, *names]
    columns = [*keys, _all_joined(SUM_NAMES), *([_MERGED] if sketches else [])]
    grouping = f"GROUP BY {', '.join(keys)}" if by else "HAVING sum(requests) > 0"
    inner = f"SELECT {', '.join(columns)} FROM ({' UNION ALL '.join(parts)}) {grouping}"  # noqa: S608 - names of ours
    return ordered(inner, keys, order), given


def _chosen(sessions: Sequence[str | None] | None, sign: str = "") -> list[tuple[list[str], list[str]]]:
    """The conditions that together let *sessions* through, with their values: two, as IN finds no NULL."""
    if sessions is None:
        return [([], [])]
    named = [session for session in sessions if session is not None]
    conditions: list[tuple[list[str], list[str]]] = []
    if named:
        conditions.append(([f"{sign}session IN ({', '.join('?' * len(named))})"], named))
    if None in sessions:
        conditions.append(([f"{sign}session IS NULL"], []))
    return conditions


_IN_SPANS: Final = (
    f"((span = {DAY} AND start >= ? AND start < ?) OR (span = {HOUR} AND start >= ? AND start < ?)"
    f" OR (span = {HOUR} AND start >= ? AND start < ?))"
)


def _rolled_part(
    family: Family, by: Sequence[Dimension], wanted: Sequence[str], chosen: Sequence[str], *, sketches: bool
) -> str:
    times = {Dimension.HOUR: "start", Dimension.DAY: f"start - start % {DAY}"}
    groups = [
        f"{times.get(dimension, dimension.value)} AS {key}"
        for dimension, key in zip(by, keys_of(by), strict=True)
    ]
    columns = ", ".join([*groups, *SUM_NAMES, *(_SKETCHES if sketches else ())])
    conditions = " AND ".join([f"family = {int(family)}", _IN_SPANS, *wanted, *chosen])
    index = "INDEXED BY rollups_session" if chosen else ""  # SQLite would walk the whole family instead
    return f"SELECT {columns} FROM rollups {index} WHERE {conditions}"  # noqa: S608 - names of ours


def _row_part(by: Sequence[Dimension], conditions: Sequence[str], *, sketches: bool) -> str:
    # The plus sign keeps SQLite from walking all rows along an index of the groups.
    groups = [f"+{DIMENSIONS[dimension]} AS {key}" for dimension, key in zip(by, keys_of(by), strict=True)]
    columns = ", ".join([*groups, sum_list(SUM_NAMES), *([SKETCH_LIST] if sketches else [])])
    grouping = f"GROUP BY {', '.join(keys_of(by))}" if by else "HAVING count(*) > 0"
    return f"SELECT {columns} FROM requests WHERE {' AND '.join(conditions)} {grouping}"  # noqa: S608 - names of ours


def _row_parts(query: Query, first: int, last: int, mark: int) -> list[tuple[str, list[rows.Cell]]]:
    """The conditions of the rows that no whole hour has: the tail, and those at the two ends.

    The plus signs keep SQLite from walking the tail along another index than its number.
    """
    parts: list[tuple[str, list[rows.Cell]]] = []
    tail: list[tuple[str, rows.Cell]] = [("seq > ?", mark)]
    tail += [("+at >= ?", query.since)] if query.since is not None else []
    tail += [("+at < ?", query.until)] if query.until is not None else []
    parts.append((" AND ".join(text for text, _ in tail), [value for _, value in tail]))
    edges: list[tuple[float, float]] = []
    if first >= last:
        edges.append(
            (
                -float(_FAR) if query.since is None else query.since,
                float(_FAR) if query.until is None else query.until,
            )
        )
    else:
        edges += [(query.since, first)] if query.since is not None else []
        edges += [(last, query.until)] if query.until is not None else []
    for low, high in edges:
        if low < high:
            parts.append(("at >= ? AND at < ? AND seq <= ?", [low, high, mark]))
    return parts


def select_attempts(since: float | None, until: float | None, mark: int) -> tuple[str, list[rows.Cell]]:
    """The sums of attempts by target, as `select_rolled` takes them together."""
    first, first_day, last_day, last = _spans(since, until, ())
    names = ", ".join(ATTEMPT_SUMS)
    parts: list[str] = []
    given: list[rows.Cell] = []
    if first < last:
        parts.append(
            f"SELECT provider, model, {names} FROM attempt_rollups WHERE {_IN_SPANS}"  # noqa: S608 - ours
        )
        given += [first_day, last_day, first, first_day, last_day, last]
    for condition, values in _row_parts(Query(since=since, until=until), first, last, mark):
        parts.append(
            f"SELECT attempts.provider, attempts.model, {ATTEMPT_LIST}"  # noqa: S608 - names of ours
            f" FROM requests CROSS JOIN attempts ON request_seq = seq WHERE {condition} GROUP BY 1, 2"
        )
        given += values
    sums = ", ".join(f"sum({name})" for name in ATTEMPT_SUMS)
    united = " UNION ALL ".join(parts)
    select = f"SELECT provider, model, {sums} FROM ({united}) GROUP BY 1, 2 ORDER BY 1, 2"  # noqa: S608 - ours
    return select, given
