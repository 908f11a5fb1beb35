"""``/dashboard/api/usage``: tokens and money by day, tier, provider and model."""

from typing import Any

from attrs import evolve

from lynkr.telemetry import Query
from lynkr.telemetry.queries import daily, total_of
from lynkr.telemetry.sums import Dimension, Order
from lynkr_server.dashboard.figures import by_name, by_tier, days_json, sums_json
from lynkr_server.dashboard.reading import Reading


def usage_json(reading: Reading) -> dict[str, Any]:
    """The older program's usage report, with what it got wrong put right.

    Its days were 24 hours back from now and passed over the filters; ours are
    UTC days of the filtered requests, as many as the window has.

    Raises:
        BadParameter: the window says nothing.
    """
    store, window = reading.store, reading.window("7d")
    filters = Query(provider=reading.text("provider"), model=reading.text("model"), limit=None)
    asked = window.query(filters)
    days = days_json(daily(store, window, query=filters))
    providers = store.cells(window.query(), (Dimension.PROVIDER,), order=Order.REQUESTS)
    models = store.cells(evolve(asked, model=None), (Dimension.MODEL,), order=Order.REQUESTS)
    return {
        "window": window.label,
        "since": window.since_iso,
        "flagship": str(reading.settings.pricing.flagship),
        "totals": sums_json(total_of(store.cells(asked))),
        "byTier": by_tier(store.cells(asked, (Dimension.TIER,))),
        "byProvider": by_name(store.cells(asked, (Dimension.PROVIDER,)), Dimension.PROVIDER),
        "byModel": by_name(store.cells(asked, (Dimension.MODEL,)), Dimension.MODEL),
        "daily": [{name: day[name] for name in ("label", "total", "byTier", "cost")} for day in days],
        "days": days,
        "choices": {
            "providers": [
                cell[Dimension.PROVIDER] for cell in providers if cell[Dimension.PROVIDER] is not None
            ],
            "models": [cell[Dimension.MODEL] for cell in models if cell[Dimension.MODEL] is not None],
        },
    }
