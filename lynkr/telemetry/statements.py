"""The SQL of the ledger, as text.  No value is ever part of it."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Final

from lynkr.telemetry import rows
from lynkr.telemetry.record import JUDGEMENTS, UNDER, Query, SignalKind
from lynkr.telemetry.signals import BITS, heard
from lynkr.telemetry.store import ATTEMPT_SUMS
from lynkr.telemetry.sums import DAY, HOUR, NO_SKETCHES, SUM_NAMES, Dimension, Order


def insert(table: str, columns: Sequence[str], ending: str = "", *, rows: int = 1) -> str:
    """An INSERT of so many rows, with a mark for each column of each."""
    marks = ", ".join([f"({', '.join('?' * len(columns))})"] * rows)
    return f"INSERT INTO {table} ({', '.join(columns)}) VALUES {marks} {ending}"  # noqa: S608 - names of ours


INSERT_SIGNAL: Final = insert(
    "signals",
    ("request_seq", "kind", "source", "at", "note"),
    "ON CONFLICT (request_seq, kind, source) DO UPDATE SET at = excluded.at, note = excluded.note",
)
SELECT_RECORDS: Final = "SELECT * FROM requests JOIN details ON request_seq = seq"
# `lynkr.telemetry.signals.is_turn`, in SQL.
SELECT_TURNS: Final = f"""
    SELECT {", ".join(rows.TURN_COLUMNS)} FROM requests
    WHERE session = ? AND at >= ? AND at <= ? AND ending = 'ok' AND provider IS NOT NULL
    AND (traffic IS NULL OR traffic = 'main')
    AND (request_class IS NULL OR request_class NOT IN ('compaction', 'auxiliary'))
    ORDER BY at DESC, seq DESC
"""  # noqa: S608 - names of ours
UPDATE_HEARD: Final = "UPDATE requests SET heard = ? WHERE seq = ?"

_COMPARED: Final = "cost_microusd IS NOT NULL AND baseline_microusd IS NOT NULL"
_ITEMISED: Final = f"{_COMPARED} AND uncached_microusd IS NOT NULL AND baseline_uncached_microusd IS NOT NULL"
_TOO_STRONG: Final = BITS[SignalKind.TOO_STRONG]
_ROUTED: Final = "tier IS NOT NULL AND ending = 'ok'"
_SAVED: Final = "baseline_microusd - cost_microusd - coalesce(overhead_microusd, 0)"
_BASELINE_TO: Final = "baseline_microusd + coalesce({}, baseline_microusd)"
_HERE: Final = (
    "uncached_microusd - cost_microusd - coalesce(response_cache_microusd, 0)"
    " - coalesce(compression_microusd, 0)"
)


def _where_so(value: str, condition: str) -> str:
    return f"sum({value}) FILTER (WHERE {condition})"


SUMS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "requests": "count(*)",
        "failed": "sum(ending = 'failed')",
        "cancelled": "sum(ending = 'cancelled')",
        "fallbacks": "sum(fallbacks)",
        "retries": "sum(retries)",
        "hedges": "sum(hedges)",
        "partial": "sum(partial)",
        "input_tokens": "sum(input_tokens)",
        "output_tokens": "sum(output_tokens)",
        "cache_read_tokens": "sum(cache_read_tokens)",
        "cache_write_tokens": "sum(cache_write_tokens)",
        "reasoning_tokens": "sum(reasoning_tokens)",
        "partial_output_tokens": "sum(partial * output_tokens)",
        "cache_known": "count(cache_read_tokens)",
        "cache_known_input": _where_so("input_tokens", "cache_read_tokens IS NOT NULL"),
        "unmeasured": "sum(input_tokens IS NULL OR output_tokens IS NULL)",
        "cost_microusd": "sum(cost_microusd)",
        "overhead_microusd": "sum(overhead_microusd)",
        "least_microusd": _where_so("least_microusd", "cost_microusd IS NULL"),
        "unpriced": "sum(cost_microusd IS NULL)",
        "baseline_microusd": "sum(baseline_microusd)",
        "compared": f"sum({_COMPARED})",
        "saved_microusd": f"sum({_SAVED})",
        "saved_low_microusd": f"sum({_SAVED} - {_BASELINE_TO.format('baseline_low_microusd')})",
        "saved_high_microusd": f"sum({_SAVED} - {_BASELINE_TO.format('baseline_high_microusd')})",
        "compared_cost_microusd": _where_so("cost_microusd", _COMPARED),
        "compared_baseline_microusd": _where_so("baseline_microusd", _COMPARED),
        "compared_overhead_microusd": _where_so("overhead_microusd", _COMPARED),
        "itemised": f"sum({_ITEMISED})",
        "routing_microusd": _where_so("baseline_uncached_microusd - uncached_microusd", _ITEMISED),
        "prompt_cache_microusd": _where_so(
            f"{_HERE} - baseline_uncached_microusd + baseline_microusd", _ITEMISED
        ),
        "prompt_cache_here_microusd": _where_so(_HERE, _ITEMISED),
        "response_cached": "count(response_cache_microusd)",
        "response_cache_microusd": _where_so("response_cache_microusd", _COMPARED),
        "compressed": "count(compression_microusd)",
        "compression_microusd": _where_so("compression_microusd", _COMPARED),
        "tools_offered": "sum(tools_offered)",
        "tool_calls": "sum(tool_calls)",
        "duration_us": "sum(CAST(seconds * 1e6 AS INTEGER))",
        "timed_first": "count(seconds_to_first_event)",
        "first_event_us": "sum(CAST(seconds_to_first_event * 1e6 AS INTEGER))",
        "routed": f"sum({_ROUTED})",
        "judged": f"sum({_ROUTED} AND heard <> 0)",
        "under": f"sum({_ROUTED} AND heard & {heard(UNDER)} <> 0)",
        "looked_at": f"sum({_ROUTED} AND heard & {heard(JUDGEMENTS)} <> 0)",
        "over": f"sum({_ROUTED} AND heard & {_TOO_STRONG} <> 0 AND heard & {heard(UNDER)} = 0)",
        **{kind.value: f"sum({_ROUTED} AND heard & {bit} <> 0)" for kind, bit in BITS.items()},
        "longest_input": "max(input_tokens)",
        "first_at_us": "min(nullif(CAST(at * 1e6 AS INTEGER), 0))",
        "last_at_us": "max(CAST(at * 1e6 AS INTEGER))",
    }
)
"""`lynkr.telemetry.sums.sums_of`, summed up, in SQL over the table of requests."""


def sum_list(names: Sequence[str]) -> str:
    """The sums of these names, over the table of requests."""
    return ", ".join(f"coalesce({SUMS[name]}, 0) AS {name}" for name in names)


ALIKE: Final = """
    heard, (ending = 'failed') + 2 * (ending = 'cancelled') + 4 * (ending = 'ok')
    + 8 * (cost_microusd IS NULL) + 16 * (baseline_microusd IS NULL) + 32 * (uncached_microusd IS NULL)
    + 64 * (baseline_uncached_microusd IS NULL) + 128 * (cache_read_tokens IS NULL)
    + 256 * (input_tokens IS NULL OR output_tokens IS NULL) + 512 * (tier IS NULL)
"""
"""What requests have in common that are `alike`: every condition in `SUMS` is then true of all or of none."""


def _if(condition: str, value: str = "count(*)") -> str:
    return f"{value} * ({condition})"


_OTHERS: Final = "coalesce(sum(response_cache_microusd), 0) - coalesce(sum(compression_microusd), 0)"
_SAVED_BY_ALL: Final = "(sum(baseline_microusd) - sum(cost_microusd) - coalesce(sum(overhead_microusd), 0){})"
_BASELINES_TO: Final = " - sum(baseline_microusd) + sum(coalesce({}, baseline_microusd))"
_KEPT_HERE: Final = f"(sum(uncached_microusd) - sum(cost_microusd) - {_OTHERS})"
_OF_ALIKE: Final[Mapping[str, str]] = MappingProxyType(
    {
        "failed": _if("ending = 'failed'"),
        "cancelled": _if("ending = 'cancelled'"),
        "cache_known_input": _if("cache_read_tokens IS NOT NULL", "sum(input_tokens)"),
        "unmeasured": _if("input_tokens IS NULL OR output_tokens IS NULL"),
        "least_microusd": _if("cost_microusd IS NULL", "sum(least_microusd)"),
        "unpriced": _if("cost_microusd IS NULL"),
        "compared": _if(_COMPARED),
        "saved_microusd": _if(_COMPARED, _SAVED_BY_ALL.format("")),
        "saved_low_microusd": _if(
            _COMPARED, _SAVED_BY_ALL.format(_BASELINES_TO.format("baseline_low_microusd"))
        ),
        "saved_high_microusd": _if(
            _COMPARED, _SAVED_BY_ALL.format(_BASELINES_TO.format("baseline_high_microusd"))
        ),
        "compared_cost_microusd": _if(_COMPARED, "sum(cost_microusd)"),
        "compared_baseline_microusd": _if(_COMPARED, "sum(baseline_microusd)"),
        "compared_overhead_microusd": _if(_COMPARED, "sum(overhead_microusd)"),
        "itemised": _if(_ITEMISED),
        "routing_microusd": _if(_ITEMISED, "(sum(baseline_uncached_microusd) - sum(uncached_microusd))"),
        "prompt_cache_microusd": _if(
            _ITEMISED, f"({_KEPT_HERE} - sum(baseline_uncached_microusd) + sum(baseline_microusd))"
        ),
        "prompt_cache_here_microusd": _if(_ITEMISED, _KEPT_HERE),
        "response_cache_microusd": _if(_COMPARED, "sum(response_cache_microusd)"),
        "compression_microusd": _if(_COMPARED, "sum(compression_microusd)"),
        "routed": _if(_ROUTED),
        "judged": _if(f"{_ROUTED} AND heard <> 0"),
        "under": _if(f"{_ROUTED} AND heard & {heard(UNDER)} <> 0"),
        "looked_at": _if(f"{_ROUTED} AND heard & {heard(JUDGEMENTS)} <> 0"),
        "over": _if(f"{_ROUTED} AND heard & {_TOO_STRONG} <> 0 AND heard & {heard(UNDER)} = 0"),
        **{kind.value: _if(f"{_ROUTED} AND heard & {bit} <> 0") for kind, bit in BITS.items()},
    }
)


def sum_list_of_alike(names: Sequence[str]) -> str:
    """`sum_list`, where the requests are grouped by `ALIKE` too: a condition is looked at once for a group.

    What is left to do for each request is half as much.  A column that stands bare in a
    condition is any one request's of its group (sqlite.org/lang_select.html#bareagg).
    """
    return ", ".join(f"coalesce({_OF_ALIKE.get(name, SUMS[name])}, 0) AS {name}" for name in names)


SKETCH_LIST: Final = "sketch(seconds_to_first_event) AS first_event, sketch(seconds) AS duration"

_ATTEMPT_SUMS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "attempts": "count(*)",
        "succeeded": "sum(outcome = 'success')",
        "failed": "sum(outcome = 'failure')",
        "cancelled": "sum(coalesce(cancelled, 0))",
        "retries": "sum(kind IS 'retry')",
        "fallbacks": "sum(kind IS 'fallback')",
        "hedges": "sum(kind IS 'hedge')",
        "cost_microusd": "sum(coalesce(attempts.cost_microusd, 0))",
        "unpriced": "sum(attempts.cost_microusd IS NULL)",
        "duration_us": "sum(CAST(attempts.seconds * 1e6 AS INTEGER))",
    }
)
ATTEMPT_LIST: Final = ", ".join(f"{_ATTEMPT_SUMS[name]} AS {name}" for name in ATTEMPT_SUMS)
_BETWEEN: Final = "at >= coalesce(?, at) AND at < coalesce(?, at + 1)"
SELECT_LAST_ERROR: Final = f"""
    SELECT attempts.error, attempts.started FROM attempts JOIN requests ON seq = request_seq
    WHERE attempts.provider = ? AND attempts.model = ? AND outcome = 'failure' AND {_BETWEEN}
    ORDER BY attempts.started DESC, coalesce(attempts.error, '') DESC LIMIT 1
"""  # noqa: S608 - names of ours

DIMENSIONS: Final[Mapping[Dimension, str]] = MappingProxyType(
    {
        dimension: {
            Dimension.HOUR: f"CAST(at / {HOUR} AS INTEGER) * {HOUR}",
            Dimension.DAY: f"CAST(at / {DAY} AS INTEGER) * {DAY}",
        }.get(dimension, dimension.value)
        for dimension in Dimension
    }
)
_ORDERS: Final[Mapping[Order | None, str]] = MappingProxyType(
    {
        None: "",
        Order.COST: "cost_microusd DESC, ",
        Order.RECENT: "last_at_us DESC, ",
        Order.REQUESTS: "requests DESC, ",
    }
)


def keys_of(by: Sequence[Dimension]) -> tuple[str, ...]:
    """The names under which the dimensions stand in a row."""
    return tuple(f"by_{dimension.value}" for dimension in by)


def select_cells(by: Sequence[Dimension], where: str, order: Order | None, *, latency: bool) -> str:
    """The sums by *by* of the requests that *where* lets through; the last mark is the limit."""
    keys = keys_of(by)
    groups = [f"{DIMENSIONS[dimension]} AS {key}" for dimension, key in zip(by, keys, strict=True)]
    columns = [
        *groups,
        sum_list(SUM_NAMES),
        *([SKETCH_LIST] if latency and NO_SKETCHES.isdisjoint(by) else []),
    ]
    grouping = f"GROUP BY {', '.join(keys)}" if by else "HAVING count(*) > 0"
    inner = f"SELECT {', '.join(columns)} FROM requests {where} {grouping}"  # noqa: S608 - names of ours
    return ordered(inner, keys, order)


def ordered(inner: str, keys: Sequence[str], order: Order | None) -> str:
    """The cells that *inner* selects, in order; the last mark is the limit."""
    # Outside, because there the names of the sums hide those of the columns they are made of.
    return f"SELECT * FROM ({inner}) ORDER BY {_ORDERS[order]}{', '.join(keys) or '1'} LIMIT ?"  # noqa: S608


_COMES_AFTER: Final = (
    "(at, seq) < (SELECT at, seq FROM requests WHERE id = ?)",
    "(at, seq) > (SELECT at, seq FROM requests WHERE id = ?)",
)


def record_order(query: Query) -> str:
    """The order in which the query wants its records."""
    return "at, seq" if query.oldest_first else "at DESC, seq DESC"


def where_of(query: Query) -> tuple[str, list[rows.Cell]]:
    """The query's WHERE and its values; no value is ever part of the text."""
    conditions, values = conditions_of(query)
    return f"WHERE {' AND '.join(conditions)}" if conditions else "", values


def conditions_of(query: Query, *, times: bool = True) -> tuple[list[str], list[rows.Cell]]:
    """The query's conditions and their values, those of time only if *times*."""
    wanted: tuple[tuple[str, rows.Cell], ...] = (
        ("id = ?", query.id),
        ("at >= ?", query.since if times else None),
        ("at < ?", query.until if times else None),
        ("tier = ?", None if query.tier is None else query.tier.name),
        ("provider = ?", query.provider),
        ("model = ?", query.model),
        ("session = ?", query.session),
        ("tenant = ?", query.tenant),
        ("reason = ?", query.reason),
        (_COMES_AFTER[query.oldest_first], query.before),
    )
    conditions = [condition for condition, value in wanted if value is not None]
    found: list[rows.Cell] = [value for _, value in wanted if value is not None]
    if query.id_prefix:
        conditions.append("id >= ? AND id < ?")  # along the index of the ids, unlike LIKE
        found += [query.id_prefix, query.id_prefix + chr(0x10FFFF)]
    if query.sessions is not None:
        conditions.append(f"session IN ({', '.join('?' * len(query.sessions))})")
        found += query.sessions
    if query.errors_only:
        conditions.append("ending = 'failed'")  # literally, so that the partial index serves it
    return conditions, found
