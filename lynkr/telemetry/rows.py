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
from lynkr.resilience.outcome import Outcome
from lynkr.routing.decision import Step, Target, Tier
from lynkr.telemetry.record import AttemptRecord, Ending, Record

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
)  # fmt: skip
DETAIL_COLUMNS: Final = ("trace", "losses", "prompt", "answer")
ATTEMPT_COLUMNS: Final = (
    "provider", "model", "started", "seconds", "status", "outcome", "error", "detail",
    *_USAGE,
    "cost_microusd",
)  # fmt: skip

# No request has a million million tokens or costs a million dollars.  Far below what a column holds, so
# that sums over millions of rows stay within 64 bits.
_MAX_COUNT: Final = 10**12


class Cells(Protocol):
    """A row read back: its cells by the name of their column."""

    def __getitem__(self, column: str, /) -> Any: ...  # noqa: ANN401 - a cell is what its column says


def request_row(record: Record) -> Row:
    """The cells of `REQUEST_COLUMNS`."""
    target, cost = record.target, record.cost
    return (
        _text(record.id),
        record.at,
        record.ending.value,
        _integer(record.status),
        None if record.tier is None else record.tier.name,
        None if record.served_tier is None else record.served_tier.name,
        record.score,
        _text(record.reason),
        None if target is None else _text(target.provider),
        None if target is None else _text(target.model),
        _text(record.session),
        *_usage_cells(record.usage),
        _integer(cost.cost_microusd),
        _integer(cost.baseline_microusd),
        _text(cost.baseline),
        _text(cost.price_version),
        record.seconds,
        record.seconds_to_first_event,
        _text(record.error),
        None if record.client_format is None else record.client_format.value,
        _text(record.requested_model),
        int(record.stream),
    )


def detail_row(record: Record) -> Row:
    """The cells of `DETAIL_COLUMNS`."""
    trace: list[Json] = [
        {"name": step.name, "reason": step.reason, "score": step.score, "code": step.code, "data": step.data}
        for step in record.trace
    ]
    losses: list[Json] = [{"path": loss.path, "reason": loss.reason} for loss in record.losses]
    return (_json(trace), _json(losses), _text(record.prompt), _text(record.answer))


def attempt_row(attempt: AttemptRecord) -> Row:
    """The cells of `ATTEMPT_COLUMNS`."""
    return (
        _text(attempt.target.provider),
        _text(attempt.target.model),
        attempt.started,
        attempt.seconds,
        _integer(attempt.status),
        attempt.outcome.value,
        _text(attempt.error),
        _text(attempt.detail),
        *_usage_cells(attempt.usage),
        _integer(attempt.cost_microusd),
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
        cost=Cost(row["cost_microusd"], row["baseline_microusd"], row["baseline"], row["price_version"]),
        seconds=row["seconds"],
        seconds_to_first_event=row["seconds_to_first_event"],
        error=row["error"],
        losses=tuple(Loss(**loss) for loss in json.loads(row["losses"])),
        prompt=row["prompt"],
        answer=row["answer"],
    )


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


def _text(value: str | None) -> str | None:
    """The value, with what UTF-8 cannot say written as an escape."""
    if value is None or value.isascii():
        return value
    return value.encode("utf-8", "backslashreplace").decode()


def _json(value: Json) -> str:
    return json.dumps(value, default=_plain, separators=(",", ":"))


def _plain(value: object) -> object:
    """Mappings and sequences of any class as JSON; whatever else a step carries by its text."""
    if isinstance(value, Mapping):
        return dict(cast("Mapping[str, Json]", value))
    if isinstance(value, Sequence):
        return list(cast("Sequence[Json]", value))
    return str(value)
