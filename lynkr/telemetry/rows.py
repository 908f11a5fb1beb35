"""Records as rows of the SQLite ledger, and back.  No SQL is run here.

Writing is total: a record that a provider or a client made odd (a token count
beyond 64 bits, text with half a surrogate pair) is stored as well as a row can
say it, because refusing it would cost the whole batch.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final, Protocol, cast

from lynkr.model import Json, Loss, Usage, WireFormat
from lynkr.pricing.baseline import Cost
from lynkr.resilience.outcome import AttemptKind, Outcome
from lynkr.routing.context import RequestClass
from lynkr.routing.decision import Step, Target, Tier
from lynkr.routing.recorded import Deferred
from lynkr.telemetry.record import AttemptRecord, Ending, Record
from lynkr.telemetry.signals import Turn
from lynkr.wire.json_body import dump

Cell = int | float | str | None
Row = tuple[Cell, ...]

_USAGE: Final = (
    "input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens", "cache_write_1h_tokens",
    "reasoning_tokens",
)  # fmt: skip
REQUEST_COLUMNS: Final = (
    "id", "at", "ending", "status", "tier", "served_tier", "score", "reason", "provider", "model", "session",
    *_USAGE,
    "cost_microusd", "baseline_microusd", "baseline", "price_version", "seconds", "seconds_to_first_event",
    "error", "client_format", "requested_model", "stream",
    "partial", "tenant", "agent", "request_class", "traffic", "propensity", "seed", "tools_offered",
    "tool_calls", "failed_results", "opens_turn", "ask_digest", "uncached_microusd",
    "baseline_uncached_microusd", "baseline_low_microusd", "baseline_high_microusd", "least_microusd",
    "overhead_microusd", "response_cache_microusd", "compression_microusd", "fallbacks", "retries", "hedges",
)  # fmt: skip
_COST: Final = (
    "cost_microusd", "baseline_microusd", "baseline", "price_version", "uncached_microusd",
    "baseline_uncached_microusd", "baseline_low_microusd", "baseline_high_microusd", "least_microusd",
    "overhead_microusd", "response_cache_microusd", "compression_microusd",
)  # fmt: skip
TURN_COLUMNS: Final = ("seq", "at", "tier", "opens_turn", "ask_digest", "failed_results", "heard")
DETAIL_COLUMNS: Final = ("trace", "losses", "prompt", "answer", "features", "decision")
ATTEMPT_COLUMNS: Final = (
    "provider", "model", "started", "seconds", "status", "outcome", "error", "detail",
    *_USAGE,
    "cost_microusd", "kind", "cancelled", "partial",
)  # fmt: skip

# No request has a million million tokens or costs a million dollars.  Far below what a column holds, so
# that sums over millions of rows stay within 64 bits.
_MAX_COUNT: Final = 10**12
_MAX_INTEGER: Final = 2**63


class Cells(Protocol):
    """A row read back: its cells by the name of their column."""

    def __getitem__(self, column: str, /) -> Any: ...  # noqa: ANN401 - a cell is what its column says


def request_row(record: Record) -> Row:
    """The cells of `REQUEST_COLUMNS`."""
    target, cost = record.target, record.cost
    kinds = [attempt.kind for attempt in record.attempts]
    return (
        text_cell(record.id),
        record.at,
        record.ending.value,
        _integer(record.status),
        None if record.tier is None else record.tier.name,
        None if record.served_tier is None else record.served_tier.name,
        record.score,
        text_cell(record.reason),
        None if target is None else text_cell(target.provider),
        None if target is None else text_cell(target.model),
        text_cell(record.session),
        *_usage_cells(record.usage),
        _integer(cost.cost_microusd),
        _integer(cost.baseline_microusd),
        text_cell(cost.baseline),
        text_cell(cost.price_version),
        record.seconds,
        record.seconds_to_first_event,
        text_cell(record.error),
        None if record.client_format is None else record.client_format.value,
        text_cell(record.requested_model),
        int(record.stream),
        _flag(record.partial),
        text_cell(record.tenant),
        text_cell(record.agent),
        None if record.request_class is None else record.request_class.value,
        text_cell(record.traffic),
        record.propensity,
        record.seed if record.seed is None or -_MAX_INTEGER <= record.seed < _MAX_INTEGER else None,
        _integer(record.tools_offered),
        _integer(record.tool_calls),
        _integer(record.failed_results),
        _flag(record.opens_turn),
        text_cell(record.ask_digest),
        _integer(cost.uncached_microusd),
        _integer(cost.baseline_uncached_microusd),
        _integer(cost.baseline_low_microusd),
        _integer(cost.baseline_high_microusd),
        _integer(cost.least_microusd),
        _integer(cost.overhead_microusd),
        _integer(cost.response_cache_microusd),
        _integer(cost.compression_microusd),
        int(AttemptKind.FALLBACK in kinds),
        kinds.count(AttemptKind.RETRY),
        kinds.count(AttemptKind.HEDGE),
    )


def detail_row(record: Record) -> Row:
    """The cells of `DETAIL_COLUMNS`."""
    trace: list[Json] = [
        {"name": step.name, "reason": step.reason, "score": step.score, "code": step.code, "data": step.data}
        for step in record.trace
    ]
    losses: list[Json] = [{"path": loss.path, "reason": loss.reason} for loss in record.losses]
    return (
        _json(trace),
        _json(losses),
        text_cell(record.prompt),
        text_cell(record.answer),
        None if record.features is None else _json(record.features),
        None if record.decision is None else _json(record.decision),
    )


def attempt_row(attempt: AttemptRecord) -> Row:
    """The cells of `ATTEMPT_COLUMNS`."""
    return (
        text_cell(attempt.target.provider),
        text_cell(attempt.target.model),
        attempt.started,
        attempt.seconds,
        _integer(attempt.status),
        attempt.outcome.value,
        text_cell(attempt.error),
        text_cell(attempt.detail),
        *_usage_cells(attempt.usage),
        _integer(attempt.cost_microusd),
        None if attempt.kind is None else attempt.kind.value,
        _flag(attempt.cancelled),
        _flag(attempt.partial),
    )


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
        trace=tuple(Step(**step) for step in json.loads(row["trace"])),
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


def _usage_cells(usage: Usage) -> Row:
    counts = (
        usage.input, usage.output, usage.cache_read, usage.cache_write, usage.cache_write_1h, usage.reasoning,
    )  # fmt: skip
    return tuple(map(_integer, counts))


def _usage_of(row: Cells) -> Usage:
    return Usage(*(row[column] for column in _USAGE))


def _integer(value: int | None) -> int | None:
    """The value, or None for one so large that it is no measurement."""
    return value if value is None or abs(value) <= _MAX_COUNT else None


def _flag(value: bool | None) -> int | None:
    return None if value is None else int(value)


def _bool(cell: int | None) -> bool | None:
    return None if cell is None else bool(cell)


def text_cell(value: str | None) -> str | None:
    """The value as a cell, with what UTF-8 cannot say written as an escape."""
    if value is None or value.isascii():
        return value
    return value.encode("utf-8", "backslashreplace").decode()


def _json(value: Json) -> str:
    made = value.made() if isinstance(value, Deferred) else value
    if not made:
        return "[]" if isinstance(made, list) else "{}"
    try:
        return dump(made).decode()
    except (TypeError, ValueError):  # no JSON in the strict sense: said as well as it can be
        return _encode(made)


def _plain(value: object) -> object:
    """Mappings and sequences of any class as JSON; whatever else a step carries by its text."""
    if isinstance(value, Mapping):
        return dict(cast("Mapping[str, Json]", value))
    if isinstance(value, Sequence):
        return list(cast("Sequence[Json]", value))
    return str(value)


# One for all: `json.dumps` makes an encoder of its own on each call.
_encode: Final = json.JSONEncoder(default=_plain, separators=(",", ":")).encode
