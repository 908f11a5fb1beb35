"""One line of JSON for each finished request, on the logger ``lynkr.requests``.

No words of prompts, answers or providers, and no header: nothing a secret
could stand in.  What a client says itself (the model it asks for, its
session) is cut to a length.  Standard logging: whoever embeds lynkr has
handlers for it already, and structlog can take its lines as they are.
"""

import json
import logging
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Final

from lynkr.model import Json
from lynkr.telemetry.observers import Ended

LOGGER: Final = "lynkr.requests"
_LONGEST: Final = 200


class RequestLog:
    """A `RequestObserver` that logs at INFO; *logger* is ``lynkr.requests`` unless given."""

    def __init__(self, logger: logging.Logger | None = None) -> None:
        self._logger = logging.getLogger(LOGGER) if logger is None else logger

    def observe(self, ended: Sequence[Ended], /) -> None:
        """Log finished requests."""
        if self._logger.isEnabledFor(logging.INFO):
            for one in ended:
                self._logger.info("%s", json.dumps(line_of(one), separators=(",", ":")))


def line_of(ended: Ended) -> Mapping[str, Json]:
    """What is logged of a request: *at* in UTC, times in seconds, money in USD; null is unknown."""
    record, usage = ended.record, ended.record.usage
    target, cost = record.target, record.cost.cost_microusd
    return {
        "at": datetime.fromtimestamp(record.at, UTC).isoformat(timespec="milliseconds"),
        "id": record.id,
        "operation": ended.operation,
        "dialect": None if record.client_format is None else record.client_format.value,
        "asked": _cut(record.requested_model),
        "session": _cut(record.session),
        "stream": record.stream,
        "ending": record.ending.value,
        "status": record.status,
        "error": record.error,
        "tier": None if record.tier is None else record.tier.name,
        "reason": record.reason,
        "provider": None if target is None else target.provider,
        "model": None if target is None else target.model,
        "attempts": [
            {
                "target": str(attempt.target),
                "outcome": attempt.outcome.value,
                "status": attempt.status,
                "error": attempt.error,
                "seconds": round(attempt.seconds, 6),
            }
            for attempt in record.attempts
        ],
        "seconds": round(record.seconds, 6),
        "first_token_seconds": _rounded(record.seconds_to_first_event),
        "input_tokens": usage.input,
        "output_tokens": usage.output,
        "cache_read_tokens": usage.cache_read,
        "cache_write_tokens": usage.cache_write,
        "reasoning_tokens": usage.reasoning,
        "cost_usd": None if cost is None else cost / 1e6,
    }


def _cut(text: str | None) -> str | None:
    return None if text is None else text[:_LONGEST]


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 6)
