"""Records as the dashboard's JSON.

A row has every column of the older program's ledger (`routing_telemetry`, read
2026-11), so that what reads its ``/dashboard/api/logs`` reads ours: times in
milliseconds, money in USD.  What nobody measures here is null, never 0; what
that ledger got wrong or did not know stands in fields of its own.
"""

from typing import Any, Final

from lynkr.resilience.outcome import AttemptKind
from lynkr.routing.decision import Tier
from lynkr.routing.why import explanation_json
from lynkr.telemetry import AttemptRecord, Query, Record
from lynkr_server.dashboard.reading import BadParameter, Reading

_MILLISECONDS: Final = 1000
_MICROUSD: Final = 1e6
_DEFAULT_LIMIT: Final = 100
_MAX_LIMIT: Final = 500


def row_json(record: Record) -> dict[str, Any]:
    """One request in one flat object."""
    usage, cost, target = record.usage, record.cost, record.target
    saved = cost.saved_microusd
    return {
        "request_id": record.id,
        "session_id": record.session,
        "timestamp": round(record.at * _MILLISECONDS),
        # That program's scale is 0 to 100.
        "complexity_score": None if record.score is None else round(record.score * 100, 1),
        "tier": None if record.tier is None else record.tier.name,
        "agentic_type": None,
        "tool_count": record.tools_offered,
        "input_tokens": usage.input,
        "message_count": None,
        "request_type": record.traffic,
        "provider": None if target is None else target.provider,
        "model": None if target is None else target.model,
        "routing_method": record.reason,
        "was_fallback": int(any(attempt.kind is AttemptKind.FALLBACK for attempt in record.attempts)),
        "output_tokens": usage.output,
        "latency_ms": round(record.seconds * _MILLISECONDS, 3),
        "status_code": record.status or None,
        "error_type": record.error,
        "cost_usd": _usd(cost.cost_microusd),
        "tool_calls_made": record.tool_calls,
        "retry_count": sum(attempt.kind is AttemptKind.RETRY for attempt in record.attempts),
        "circuit_breaker_state": None,
        "quality_score": None,
        "tokens_per_second": _tokens_per_second(record),
        "cost_efficiency": None,
        "cache_read_tokens": usage.cache_read,
        "cache_creation_tokens": usage.cache_write,
        "reasoning_tokens": usage.reasoning,
        "first_event_ms": None
        if record.seconds_to_first_event is None
        else round(record.seconds_to_first_event * _MILLISECONDS, 3),
        "ending": record.ending.value,
        "served_tier": None if record.served_tier is None else record.served_tier.name,
        "requested_model": record.requested_model,
        "client_format": None if record.client_format is None else record.client_format.value,
        "stream": record.stream,
        "partial": record.partial,
        "attempts": len(record.attempts),
        "cost_microusd": cost.cost_microusd,
        "overhead_microusd": cost.overhead_microusd,
        "baseline": cost.baseline,
        "baseline_microusd": cost.baseline_microusd,
        "saved_microusd": saved,
        "saved_usd": _usd(saved),
        "price_version": cost.price_version,
        "tenant": record.tenant,
        "agent": record.agent,
    }


def logs_json(reading: Reading) -> list[dict[str, Any]]:
    """``/dashboard/api/logs``: rows, newest first; every filter comes before the limit.

    Raises:
        BadParameter: a filter says nothing.
    """
    return [row_json(record) for record in reading.store.read(_query(reading))]


def request_json(reading: Reading) -> dict[str, Any] | None:
    """One request with its trace, its attempts, what it explains, and its words if they were recorded."""
    record = next(iter(reading.store.read(Query(id=reading.id, limit=1))), None)
    if record is None:
        return None
    served = _served(record)
    return {
        "row": row_json(record),
        "trace": [
            {"name": s.name, "reason": s.reason, "score": s.score, "code": s.code, "data": s.data}
            for s in record.trace
        ],
        "attempts": [_attempt_json(attempt, attempt is served) for attempt in record.attempts],
        "explanation": explanation_json(record.trace),
        "losses": [{"path": loss.path, "reason": loss.reason} for loss in record.losses],
        "signals": [
            {"kind": s.kind.value, "at": s.at, "source": s.source, "note": s.note}
            for s in reading.store.signals(record.id)
        ],
        "prompt": record.prompt,
        "answer": record.answer,
        "recordsText": reading.settings.telemetry.record_text,
    }


def _query(reading: Reading) -> Query:
    since = reading.text("since")
    window = reading.window("all")
    return Query(
        since=window.since if since is None else _milliseconds("since", since),
        until=window.until,
        tier=_tier(reading.text("tier")),
        provider=reading.text("provider"),
        model=reading.text("model"),
        session=reading.text("session"),
        reason=reading.text("reason"),
        before=reading.text("before"),
        errors_only=reading.text("error") == "true",
        limit=reading.count("limit", _DEFAULT_LIMIT, _MAX_LIMIT),
    )


def _tier(name: str | None) -> Tier | None:
    if name is None:
        return None
    if name not in Tier.__members__:
        raise BadParameter("tier", name, f"write one of {', '.join(Tier.__members__)}")
    return Tier[name]


def _milliseconds(name: str, text: str) -> float:
    if not (text.isascii() and text.isdecimal() and len(text) <= 15):
        raise BadParameter(name, text, "write Unix milliseconds")
    return int(text) / _MILLISECONDS


def _served(record: Record) -> AttemptRecord | None:
    """The attempt whose answer the client got: the last one to the serving target."""
    tries = [attempt for attempt in record.attempts if attempt.target == record.target]
    return tries[-1] if tries else None


def _attempt_json(attempt: AttemptRecord, served: bool) -> dict[str, Any]:
    return {
        "target": str(attempt.target),
        "kind": attempt.kind,
        "started": attempt.started,
        "seconds": attempt.seconds,
        "status": attempt.status,
        "outcome": attempt.outcome.value,
        "error": attempt.error,
        "detail": attempt.detail,
        "cancelled": attempt.cancelled,
        "partial": attempt.partial,
        "served": served,
        "inputTokens": attempt.usage.input,
        "outputTokens": attempt.usage.output,
        "cacheReadTokens": attempt.usage.cache_read,
        "costMicrousd": attempt.cost_microusd,
    }


def _tokens_per_second(record: Record) -> float | None:
    """Output tokens over the time from the first event to the last; None where that is no measurement."""
    output, first = record.usage.output, record.seconds_to_first_event
    if output is None or first is None or record.seconds <= first:
        return None
    return round(output / (record.seconds - first), 1)


def _usd(microusd: int | None) -> float | None:
    return None if microusd is None else microusd / _MICROUSD
