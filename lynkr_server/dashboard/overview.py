"""``/dashboard/api/overview``: what was spent and saved, and how the gateway is."""

from importlib.metadata import version
from itertools import islice
from typing import Any, Final

from lynkr.routing.decision import Tier
from lynkr.settings import ProviderSettings, Settings
from lynkr.settings.checks import lacks_credentials
from lynkr.telemetry import Query
from lynkr.telemetry.queries import daily, total_of, window_of
from lynkr.telemetry.sums import Sums
from lynkr_server.dashboard.figures import days_json, savings_json, sums_json
from lynkr_server.dashboard.health import breakers_json, recorder_json
from lynkr_server.dashboard.reading import Reading
from lynkr_server.dashboard.routing import stats_json
from lynkr_server.dashboard.rows import row_json

_RECENT: Final = 10


def overview_json(reading: Reading) -> dict[str, Any]:
    """The older program's fields, and what they leave out.

    Its ``today`` was the window of its choice; ours is the UTC day.  Its
    ``metrics`` counted since the start, and so do ours, from the ledger.

    Raises:
        BadParameter: the window says nothing.
    """
    store, settings = reading.store, reading.settings
    window = reading.window("7d")
    days = daily(store, window)
    totals = Sums.total(day.sums for day in days)
    today = sums_json(total_of(store.cells(window_of("today", reading.now).query())))
    since_start = total_of(store.cells(Query(since=reading.started)))
    return {
        "uptime": int(reading.now - reading.started),
        "port": settings.server.port,
        "version": version("lynkr-router"),
        "modelProvider": None if settings.default is None else settings.default.provider,
        "providers": [
            _provider_json(settings, name) for name, one in _named(settings) if not lacks_credentials(one)
        ],
        "providerWarnings": [
            _provider_json(settings, name) for name, one in _named(settings) if lacks_credentials(one)
        ],
        "statsWindow": window.label,
        "metrics": {
            "requestsTotal": since_start.requests,
            "responsesSuccess": since_start.requests - since_start.failed - since_start.cancelled,
            "responsesError": since_start.failed,
        },
        "today": {
            "requests": today["requests"],
            "totalTokens": today["totalTokens"],
            "cost": today["actualCost"],
            "saved": today["saved"],
            "savedPercent": today["savedPercent"],
        },
        "stats": stats_json(reading, window),
        "recentRequests": [row_json(record) for record in islice(store.read(Query(limit=_RECENT)), _RECENT)],
        "now": reading.now,
        "started": reading.started,
        "since": window.since_iso,
        "live": reading.live,
        "totals": sums_json(totals),
        "savings": savings_json(totals, str(settings.pricing.flagship)),
        "daily": days_json(days),
        "notices": [
            {"severity": one.severity.value, "key": one.key, "message": one.message}
            for one in settings.warnings()
        ],
        "breakers": breakers_json(reading),
        "recorder": recorder_json(reading),
        "ledger": {
            "path": None if settings.telemetry.file is None else str(settings.telemetry.file),
            "retentionDays": settings.telemetry.retention_days,
            "recordsText": settings.telemetry.record_text,
        },
    }


def _named(settings: Settings) -> list[tuple[str, ProviderSettings]]:
    """The providers that requests may go to."""
    return [(name, one) for name, one in settings.providers.items() if _users(settings, name)]


def _users(settings: Settings, provider: str) -> list[str]:
    """Who sends requests to it: tiers, the default target, aliases."""
    users = [
        tier.name
        for tier in Tier
        if any(target.provider == provider for target in settings.tiers.get(tier, ()))
    ]
    if settings.default is not None and settings.default.provider == provider:
        users.append("default")
    return users + [
        f"alias {name}" for name, target in settings.aliases.items() if target.provider == provider
    ]


def _provider_json(settings: Settings, name: str) -> dict[str, Any]:
    kind = "local" if settings.providers[name].local else "cloud"
    return {"name": name, "type": kind, "tiers": _users(settings, name)}
