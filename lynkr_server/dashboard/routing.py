"""``/dashboard/api/routing``: which tiers, why, how right, and how those fared who served."""

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any, Final

from lynkr.routing.decision import Target, Tier
from lynkr.routing.tiers import THRESHOLDS
from lynkr.telemetry.queries import (
    Accuracy,
    Latency,
    ProviderStats,
    Window,
    accuracy_of,
    provider_stats,
    reasons,
    total_of,
)
from lynkr.telemetry.sums import Cell, Dimension, Sums
from lynkr_server.dashboard.figures import NAMED, percent, share, spent_microusd, sums_json, usd
from lynkr_server.dashboard.health import breakers_json
from lynkr_server.dashboard.reading import Reading

_MEANT_FOR: Final[Mapping[Tier, str]] = MappingProxyType(
    {
        Tier.SIMPLE: "small talk, facts, confirmations, side traffic",
        Tier.MEDIUM: "one clear task: read, explain, edit, write a page",
        Tier.COMPLEX: "several files or concerns, design, review, debugging, risk",
        Tier.REASONING: "proof, audit, an explicit call for careful reasoning",
    }
)


def routing_json(reading: Reading) -> dict[str, Any]:
    """The older program's fields, and the figures it had no honest ones for.

    Raises:
        BadParameter: the window says nothing.
    """
    store, settings, window = reading.store, reading.settings, reading.window("7d")
    providers = provider_stats(store, window)
    breakers = breakers_json(reading)
    tiers = store.cells(window.query(), (Dimension.TIER,))
    whole = accuracy_of(total_of(tiers))
    return {
        "tierDefinitions": {
            tier.name: {"description": _MEANT_FOR[tier], "range": [THRESHOLDS[tier], _upper(tier)]}
            for tier in Tier
        },
        "accuracy": _accuracy_json(whole),
        "stats": _stats_json([(one.provider, one.stats.sums) for one in providers], total_of(tiers)),
        "providerStats": {one.provider: _older_stats_json(one) for one in providers},
        "circuitBreakers": breakers,
        "window": window.label,
        "accuracyDetail": {
            **_accuracy_detail_json(whole),
            "tiers": [
                {"tier": cell[Dimension.TIER], **_accuracy_detail_json(accuracy_of(cell.sums))}
                for cell in sorted(tiers, key=_rank)
                if cell[Dimension.TIER] is not None
            ],
        },
        "tiers": [
            {"tier": cell[Dimension.TIER] or NAMED, **sums_json(cell.sums)}
            for cell in sorted(tiers, key=_rank)
        ],
        "tierTargets": [
            {
                "tier": tier.name,
                "from": THRESHOLDS[tier],
                "targets": [str(t) for t in settings.tiers.get(tier, ())],
            }
            for tier in Tier
        ],
        "reasons": [
            {
                "tier": cell[Dimension.TIER],
                "reason": cell[Dimension.REASON],
                "requests": cell.sums.requests,
                "failed": cell.sums.failed,
                "costMicrousd": spent_microusd(cell.sums),
            }
            for cell in reasons(store, window)
        ],
        "providers": [_health_json(one, breakers) for one in providers],
    }


def stats_json(reading: Reading, window: Window) -> dict[str, Any] | None:
    """The older program's ``stats``; None without a request."""
    cells = reading.store.cells(window.query(), (Dimension.PROVIDER,))
    named = [
        (str(cell[Dimension.PROVIDER]), cell.sums) for cell in cells if cell[Dimension.PROVIDER] is not None
    ]
    return _stats_json(named, total_of(cells))


def _stats_json(providers: Iterable[tuple[str, Sums]], whole: Sums) -> dict[str, Any] | None:
    """Its quality score said that an HTTP call had worked; nobody measures quality here, so it is null."""
    if not whole.requests:
        return None
    found = accuracy_of(whole)
    return {
        "totalRequests": whole.requests,
        "avgLatencyByProvider": {
            name: round(sums.duration_us / sums.requests / 1000) for name, sums in providers if sums.requests
        },
        "avgQualityByTier": {tier.name: None for tier in Tier},
        "errorRate": percent(whole.failed, whole.requests),
        "overProvisionedPct": percent(found.over, found.looked_at),
        "underProvisionedPct": percent(found.under, found.judged),
    }


def _upper(tier: Tier) -> float:
    return THRESHOLDS[Tier(tier + 1)] if tier < Tier.REASONING else 1.0


def _rank(cell: Cell) -> int:
    name = cell[Dimension.TIER]
    return len(Tier) + 1 if name is None else Tier[str(name)]


def _older_stats_json(found: ProviderStats) -> dict[str, Any]:
    sums = found.stats.sums
    counted = sums.requests - sums.unmeasured
    return {
        "total": sums.requests,
        "avgLatency": _milliseconds(found.stats.duration.mean),
        "avgQuality": None,
        "avgOutputTokens": round(sums.output_tokens / counted) if counted else None,
        "errorRate": percent(found.failure_rate, 1.0),
        "fallbackRate": percent(sums.fallbacks, sums.requests),
        "avgTokensPerSecond": _digit(found.output_tokens_per_second),
        "totalCost": usd(spent_microusd(sums)),
    }


def _health_json(found: ProviderStats, breakers: list[dict[str, Any]]) -> dict[str, Any]:
    attempts, stats = found.attempts, found.stats
    return {
        "provider": found.provider,
        **sums_json(stats.sums),
        "attempts": attempts.attempts,
        "failedAttempts": attempts.failed,
        "failureShare": found.failure_rate,
        "fallbackShare": share(stats.sums.fallbacks, stats.sums.requests),
        "lastError": attempts.last_error,
        "lastErrorAt": attempts.last_error_at,
        "firstEvent": _latency_json(stats.first_event),
        "total": _latency_json(stats.duration),
        "tokensPerSecond": _digit(found.output_tokens_per_second),
        "breakers": sorted(
            {one["state"] for one in breakers if Target.parse(one["name"]).provider == found.provider}
        ),
    }


def _latency_json(found: Latency) -> dict[str, float | None]:
    """In seconds."""
    return {"count": found.count, "mean": found.mean, "p50": found.p50, "p95": found.p95, "p99": found.p99}


def _accuracy_json(found: Accuracy) -> dict[str, Any] | None:
    """The older program's five; None where nothing was heard of any request."""
    if not found.is_measured:
        return None
    return {
        "totalRequests": found.judged,
        "overProvisioned": found.over if found.looked_at else None,
        "underProvisioned": found.under,
        "overProvisionedPct": percent(found.over, found.looked_at),
        "underProvisionedPct": percent(found.under, found.judged),
    }


def _accuracy_detail_json(found: Accuracy) -> dict[str, Any]:
    return {
        "measured": found.is_measured,
        "routed": found.routed,
        "judged": found.judged,
        "under": found.under,
        "underShare": found.under_share,
        "lookedAt": found.looked_at,
        "over": found.over if found.looked_at else None,
        "overShare": found.over_share,
        "signals": {kind.value: number for kind, number in found.signals.items()},
    }


def _milliseconds(seconds: float | None) -> int | None:
    return None if seconds is None else round(seconds * 1000)


def _digit(value: float | None) -> float | None:
    return None if value is None else round(value, 1)
