"""Records as rows of the SQLite ledger, and back.  No SQL is run here.

Writing is total: a record that a provider or a client made odd (a token count
beyond 64 bits, text with half a surrogate pair) is stored as well as a row can
say it, because refusing it would cost the whole batch.  Text is looked at again only
when SQLite refuses some (`said_in_utf8`): nearly always all of it is as it should be.
"""

import json
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final, Protocol

from lynkr.model import Json, Loss, Usage, WireFormat
from lynkr.pricing.baseline import Cost
from lynkr.resilience.outcome import AttemptKind, Outcome
from lynkr.routing.context import RequestClass
from lynkr.routing.decision import Step, Target, Tier
from lynkr.routing.recorded import Deferred
from lynkr.telemetry.json_cells import json_cell
from lynkr.telemetry.record import AttemptRecord, Ending, Record
from lynkr.telemetry.signals import Turn

Cell = int | float | str | None
Row = tuple[Cell, ...]
Written = tuple[tuple[int, ...], Row]
"""A row to be written: the numbers of its blocks but the first, and the cells of all of them."""

_USAGE: Final = (
    "input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens", "cache_write_1h_tokens",
    "reasoning_tokens",
)  # fmt: skip
_COUNTED: Final = _USAGE[:2]
_CACHED: Final = _USAGE[2:]

# The columns of each table in blocks: a row leaves out those blocks that would be all NULL, but for the
# first.  To bind NULL takes ten times as long as a number: `sqlite3` looks for an adapter each time.
REQUEST_BLOCKS: Final = (
    (
        "id", "at", "ending", "status", "session", "seconds", "client_format", "requested_model", "stream",
        "tools_offered", "fallbacks", "retries", "hedges",
    ),
    (
        "tier", "score", "reason", "propensity", "seed", "traffic", "failed_results", "opens_turn",
        "ask_digest",
    ),
    (
        "served_tier", "provider", "model", "seconds_to_first_event", "partial", "tool_calls",
        "price_version", *_COUNTED,
    ),
    _CACHED,
    ("cost_microusd", "uncached_microusd"),
    (
        "baseline", "baseline_microusd", "baseline_uncached_microusd", "baseline_low_microusd",
        "baseline_high_microusd",
    ),
    ("tenant", "agent", "request_class"),
    (
        "error", "least_microusd", "overhead_microusd", "response_cache_microusd",
        "compression_microusd",
    ),
)  # fmt: skip
DETAIL_BLOCKS: Final = (("trace", "losses"), ("features", "decision"), ("prompt", "answer"))
ATTEMPT_BLOCKS: Final = (
    ("provider", "model", "started", "seconds", "outcome"),
    ("kind", "cancelled"),
    ("status", "partial", *_COUNTED),
    _CACHED,
    ("cost_microusd",),
    ("error", "detail"),
)
_COST: Final = (
    "cost_microusd", "baseline_microusd", "baseline", "price_version", "uncached_microusd",
    "baseline_uncached_microusd", "baseline_low_microusd", "baseline_high_microusd", "least_microusd",
    "overhead_microusd", "response_cache_microusd", "compression_microusd",
)  # fmt: skip
TURN_COLUMNS: Final = ("seq", "at", "tier", "opens_turn", "ask_digest", "failed_results", "heard")

# No request has a million million tokens or costs a million dollars.  Far below what a column holds, so
# that sums over millions of rows stay within 64 bits.
_MAX_COUNT: Final = 10**12
_MAX_INTEGER: Final = 2**63
_TIERS: Final[Mapping[Tier, str]] = MappingProxyType({tier: tier.name for tier in Tier})


class Cells(Protocol):
    """A row read back: its cells by the name of their column."""

    def __getitem__(self, column: str, /) -> Any: ...  # noqa: ANN401 - a cell is what its column says


def columns_of(blocks: Sequence[tuple[str, ...]], chosen: Sequence[int]) -> tuple[str, ...]:
    """The columns that the cells of a row with these blocks stand in."""
    return tuple(column for number in (0, *chosen) for column in blocks[number])


def _written(*blocks: Row) -> Written:
    """The row of these blocks, without those that hold nothing."""
    chosen: list[int] = []
    cells = blocks[0]
    for number, block in enumerate(blocks[1:], 1):
        if block != _NOTHING[len(block)]:
            chosen.append(number)
            cells += block
    return tuple(chosen), cells


_NOTHING: Final = tuple((None,) * length for length in range(10))


def request_row(record: Record) -> Written:
    """The row in the blocks of `REQUEST_BLOCKS`."""
    target, cost, usage, seed = record.target, record.cost, record.usage, record.seed
    kinds = [attempt.kind for attempt in record.attempts]
    (
        status, tools, calls, failures, given, taken, read, written, written_1h, reasoned, paid, uncached,
        baseline, baseline_uncached, low, high, least, overhead, cached, compressed,
    ) = _counts(
        record.status, record.tools_offered, record.tool_calls, record.failed_results, usage.input,
        usage.output, usage.cache_read, usage.cache_write, usage.cache_write_1h, usage.reasoning,
        cost.cost_microusd, cost.uncached_microusd, cost.baseline_microusd, cost.baseline_uncached_microusd,
        cost.baseline_low_microusd, cost.baseline_high_microusd, cost.least_microusd,
        cost.overhead_microusd, cost.response_cache_microusd, cost.compression_microusd,
    )  # fmt: skip
    tier, served, asked_by = record.tier, record.served_tier, record.request_class
    return _written(
        (
            record.id, record.at, str(record.ending), status, record.session, record.seconds,
            None if record.client_format is None else str(record.client_format), record.requested_model,
            int(record.stream), tools, int(AttemptKind.FALLBACK in kinds), kinds.count(AttemptKind.RETRY),
            kinds.count(AttemptKind.HEDGE),
        ),
        (
            None if tier is None else _TIERS[tier], record.score, record.reason, record.propensity,
            seed if seed is None or -_MAX_INTEGER <= seed < _MAX_INTEGER else None,
            record.traffic, failures, _flag(record.opens_turn), record.ask_digest,
        ),
        (
            None if served is None else _TIERS[served], None if target is None else target.provider,
            None if target is None else target.model, record.seconds_to_first_event,
            _flag(record.partial), calls, cost.price_version, given, taken,
        ),
        (read, written, written_1h, reasoned),
        (paid, uncached),
        (cost.baseline, baseline, baseline_uncached, low, high),
        (record.tenant, record.agent, None if asked_by is None else str(asked_by)),
        (record.error, least, overhead, cached, compressed),
    )  # fmt: skip


def detail_row(record: Record) -> Written:
    """The row in the blocks of `DETAIL_BLOCKS`.

    A step is an array (name, reason, score, code, data; data left out where there are none): without
    the five names it is two thirds as long.  Older ledgers have it as an object.
    """
    trace = [
        (step.name, step.reason, step.score, step.code, step.data)
        if step.data
        else (step.name, step.reason, step.score, step.code)
        for step in record.trace
    ]
    losses = [{"path": loss.path, "reason": loss.reason} for loss in record.losses]
    return _written(
        (json_cell(trace) if trace else "[]", json_cell(losses) if losses else "[]"),
        (_json_or_null(record.features), _json_or_null(record.decision)),
        (record.prompt, record.answer),
    )


def _json_or_null(value: Mapping[str, Json] | None) -> str | None:
    return None if value is None else json_cell(value.made() if isinstance(value, Deferred) else value)


def attempt_row(attempt: AttemptRecord) -> Written:
    """The row in the blocks of `ATTEMPT_BLOCKS`."""
    usage, target = attempt.usage, attempt.target
    status, given, taken, read, written, written_1h, reasoned, paid = _counts(
        attempt.status, usage.input, usage.output, usage.cache_read, usage.cache_write, usage.cache_write_1h,
        usage.reasoning, attempt.cost_microusd,
    )  # fmt: skip
    return _written(
        (target.provider, target.model, attempt.started, attempt.seconds, str(attempt.outcome)),
        (None if attempt.kind is None else str(attempt.kind), _flag(attempt.cancelled)),
        (status, _flag(attempt.partial), given, taken),
        (read, written, written_1h, reasoned),
        (paid,),
        (attempt.error, attempt.detail),
    )


def said_in_utf8(written: Written) -> Written:
    """The row with what UTF-8 cannot say, from a provider or a client, written as an escape."""
    chosen, cells = written
    return chosen, tuple(text_cell(cell) if isinstance(cell, str) else cell for cell in cells)


def record_of(row: Cells, attempts: Sequence[Cells]) -> Record:
    """The record that a row of `REQUEST_COLUMNS` and `DETAIL_COLUMNS` and its attempts' rows came from."""
    return Record(
        id=row["id"],
        at=row["at"],
        client_format=None if row["client_format"] is None else WireFormat(row["client_format"]),
        requested_model=row["requested_model"],
        stream=bool(row["stream"]),
        ending=Ending(row["ending"]),
        status=row["status"],
        tier=None if row["tier"] is None else Tier[row["tier"]],
        served_tier=None if row["served_tier"] is None else Tier[row["served_tier"]],
        score=row["score"],
        reason=row["reason"],
        trace=tuple(map(_step_of, json.loads(row["trace"]))),
        session=row["session"],
        target=None if row["provider"] is None else Target(row["provider"], row["model"]),
        attempts=tuple(_attempt_of(attempt) for attempt in attempts),
        usage=_usage_of(row),
        cost=_cost_of(row),
        seconds=row["seconds"],
        seconds_to_first_event=row["seconds_to_first_event"],
        error=row["error"],
        losses=tuple(Loss(**loss) for loss in json.loads(row["losses"])),
        prompt=row["prompt"],
        answer=row["answer"],
        partial=_bool(row["partial"]),
        tenant=row["tenant"],
        agent=row["agent"],
        request_class=None if row["request_class"] is None else RequestClass(row["request_class"]),
        traffic=row["traffic"],
        features=None if row["features"] is None else json.loads(row["features"]),
        decision=None if row["decision"] is None else json.loads(row["decision"]),
        propensity=row["propensity"],
        seed=row["seed"],
        tools_offered=row["tools_offered"],
        tool_calls=row["tool_calls"],
        failed_results=row["failed_results"],
        opens_turn=_bool(row["opens_turn"]),
        ask_digest=row["ask_digest"],
    )


def turn_of(row: Sequence[Any]) -> tuple[Turn, int]:
    """The turn that a row of `TURN_COLUMNS` came from, and the bits of what was heard of it."""
    seq, at, tier, opens_turn, ask_digest, failed_results, heard = row
    turn = Turn(seq, at, None if tier is None else Tier[tier], _bool(opens_turn), ask_digest, failed_results)
    return turn, heard


def _step_of(value: Mapping[str, Any] | Sequence[Any]) -> Step:
    return Step(**value) if isinstance(value, Mapping) else Step(*value)


def _cost_of(row: Cells) -> Cost:
    return Cost(*(row[column] for column in _COST))


def _attempt_of(row: Cells) -> AttemptRecord:
    return AttemptRecord(
        target=Target(row["provider"], row["model"]),
        started=row["started"],
        seconds=row["seconds"],
        status=row["status"],
        outcome=Outcome(row["outcome"]),
        error=row["error"],
        detail=row["detail"],
        usage=_usage_of(row),
        cost_microusd=row["cost_microusd"],
        kind=None if row["kind"] is None else AttemptKind(row["kind"]),
        cancelled=_bool(row["cancelled"]),
        partial=_bool(row["partial"]),
    )


def _usage_of(row: Cells) -> Usage:
    return Usage(*(row[column] for column in _USAGE))


def _counts(*values: int | None) -> tuple[int | None, ...]:
    """*values*, with None for those so large that they are no measurement."""
    known = [*filter(None, values)]
    if not known or (max(known) <= _MAX_COUNT and min(known) >= -_MAX_COUNT):
        return values
    return tuple(None if value is not None and abs(value) > _MAX_COUNT else value for value in values)


def _flag(value: bool | None) -> int | None:
    return None if value is None else int(value)


def _bool(cell: int | None) -> bool | None:
    return None if cell is None else bool(cell)


def text_cell(value: str | None) -> str | None:
    """The value as a cell, with what UTF-8 cannot say written as an escape."""
    if value is None or value.isascii():
        return value
    return value.encode("utf-8", "backslashreplace").decode()
