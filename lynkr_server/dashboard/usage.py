"""``/dashboard/api/usage``: tokens and money by day, tier, provider and model."""

from collections import Counter
from collections.abc import Iterable
from typing import Any, Final

from lynkr.telemetry import Query
from lynkr.telemetry.queries import daily
from lynkr.telemetry.sums import Cell, Dimension, Sums
from lynkr_server.dashboard.figures import days_json, sums_json
from lynkr_server.dashboard.reading import Reading

_SERVED: Final = (Dimension.PROVIDER, Dimension.MODEL)


def usage_json(reading: Reading) -> dict[str, Any]:
    """The older program's usage report, with what it got wrong put right.

    Its days were 24 hours back from now and passed over the filters; ours are
    UTC days of the filtered requests, as many as the window has.

    Raises:
        BadParameter: the window says nothing.
    """
    store, window = reading.store, reading.window("7d")
    filters = Query(provider=reading.text("provider"), model=reading.text("model"), limit=None)
    by_day = daily(store, window, query=filters)
    served = store.cells(window.query(filters), _SERVED)
    everyone = served if filters == Query(limit=None) else store.cells(window.query(), _SERVED)
    days = days_json(by_day)
    return {
        "window": window.label,
        "since": window.since_iso,
        "flagship": str(reading.settings.pricing.flagship),
        "totals": sums_json(Sums.total(day.sums for day in by_day)),
        "byTier": _named("UNKNOWN", ((name, sums) for day in by_day for name, sums in day.by_tier.items())),
        "byProvider": _named("unknown", ((cell[Dimension.PROVIDER], cell.sums) for cell in served)),
        "byModel": _named("unknown", ((cell[Dimension.MODEL], cell.sums) for cell in served)),
        "daily": [{name: day[name] for name in ("label", "total", "byTier", "cost")} for day in days],
        "days": days,
        "choices": {
            "providers": _choices(everyone, Dimension.PROVIDER, None),
            "models": _choices(everyone, Dimension.MODEL, filters.provider),
        },
    }


def _named(unknown: str, parts: Iterable[tuple[object, Sums]]) -> dict[str, Any]:
    """The sums of all parts of one name; *unknown* is what the older program calls those without."""
    groups: dict[str, list[Sums]] = {}
    for name, sums in parts:
        groups.setdefault(unknown if name is None else str(name), []).append(sums)
    return {name: sums_json(Sums.total(found)) for name, found in groups.items()}


def _choices(cells: Iterable[Cell], dimension: Dimension, provider: str | None) -> list[str]:
    """What can be chosen, the most used first; of models those of *provider*, if one is chosen."""
    uses: Counter[str] = Counter()
    for cell in cells:
        if cell[dimension] is not None and provider in (None, cell[Dimension.PROVIDER]):
            uses[str(cell[dimension])] += cell.sums.requests
    return [name for name, _ in uses.most_common()]
