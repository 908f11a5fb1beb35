"""``/dashboard/api/sessions`` and one session, call by call."""

from typing import Any, Final

from lynkr.telemetry import Query, Record
from lynkr.telemetry.queries import total_of
from lynkr.telemetry.sums import Dimension, Order
from lynkr_server.dashboard.figures import sums_json
from lynkr_server.dashboard.reading import BadParameter, Reading

_SHOWN: Final = 100
_CALLS: Final = 500
_ORDERS: Final = {"recent": Order.RECENT, "cost": Order.COST}


def sessions_json(reading: Reading) -> dict[str, Any]:
    """Sessions of the window, the newest or the dearest first.

    Raises:
        BadParameter: the window or the order says nothing.
    """
    window = reading.window("7d")
    name = reading.text("order") or "recent"
    order = _ORDERS.get(name)
    if order is None:
        raise BadParameter("order", name, "write recent or cost")
    # One more than is shown, and one for the requests that have none.
    found = reading.store.cells(window.query(), (Dimension.SESSION,), order=order, limit=_SHOWN + 2)
    named = [cell for cell in found if cell[Dimension.SESSION] is not None]
    return {
        "window": window.label,
        "sessions": [
            {
                "session": cell[Dimension.SESSION],
                **sums_json(cell.sums),
                "toolCalls": cell.sums.tool_calls,
                "largestContext": cell.sums.longest_input,
                "firstSeen": cell.sums.first_at_us / 1e6,
                "lastSeen": cell.sums.last_at_us / 1e6,
            }
            for cell in named[:_SHOWN]
        ],
        "more": len(named) > _SHOWN,
    }


def session_json(reading: Reading) -> dict[str, Any] | None:
    """One session, its last calls oldest first; None for a session nobody recorded."""
    session = reading.id
    newest = list(reading.store.read(Query(session=session, limit=_CALLS + 1)))
    if not newest:
        return None
    records = newest[:_CALLS][::-1]
    total = total_of(reading.store.cells(Query(session=session, limit=None)))
    served = (str(record.target) for record in records if record.target is not None)
    return {
        "sessionId": session,
        "requests": total.requests,
        "totalCostUsd": sums_json(total)["actualCost"],
        "toolCalls": total.tool_calls,
        "firstSeen": total.first_at_us / 1e6,
        "lastSeen": total.last_at_us / 1e6,
        "models": list(dict.fromkeys(served)),
        "contextSeries": [record.usage.input for record in records],
        "totals": sums_json(total),
        "largestContext": total.longest_input or None,
        "calls": [_call_json(record) for record in records],
        "more": len(newest) > _CALLS,
    }


def _call_json(record: Record) -> dict[str, Any]:
    usage = record.usage
    return {
        "id": record.id,
        "at": record.at,
        "tier": None if record.tier is None else record.tier.name,
        "target": None if record.target is None else str(record.target),
        "ending": record.ending.value,
        "inputTokens": usage.input,
        "cacheReadTokens": usage.cache_read,
        "outputTokens": usage.output,
        "seconds": record.seconds,
        "costMicrousd": record.cost.cost_microusd,
        "savedMicrousd": record.cost.saved_microusd,
    }
