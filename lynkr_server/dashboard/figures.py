"""Sums of the ledger as the dashboard's JSON.

Names in camel case without a unit are the older program's (``actualCost`` in
USD); those that end in *Microusd* are exact.  A sum of which nothing is known
is null.
"""

from collections.abc import Iterable
from typing import Any, Final

from lynkr.telemetry.queries import DayUsage, savings_of
from lynkr.telemetry.sums import Sums

NAMED: Final = "named"
"""Where requests stand whose client named the target: no tier was decided."""
_OLD_NAME_FOR_NAMED: Final = "UNKNOWN"
_MICROUSD: Final = 1e6


def sums_json(sums: Sums) -> dict[str, Any]:
    """All that the pages show of some requests, under the older names and exact ones."""
    spent, saved = spent_microusd(sums), saved_microusd(sums)
    compared = compared_baseline_microusd(sums)
    measured = sums.requests == 0 or sums.unmeasured < sums.requests
    return {
        "requests": sums.requests,
        "failed": sums.failed,
        "cancelled": sums.cancelled,
        "errors": sums.failed,
        "fallbacks": sums.fallbacks,
        "retries": sums.retries,
        "hedges": sums.hedges,
        "partial": sums.partial,
        "inputTokens": sums.input_tokens if measured else None,
        "outputTokens": sums.output_tokens if measured else None,
        "totalTokens": sums.input_tokens + sums.output_tokens if measured else None,
        "cacheReadTokens": sums.cache_read_tokens if sums.cache_known or not sums.requests else None,
        "cacheWriteTokens": sums.cache_write_tokens if sums.cache_known or not sums.requests else None,
        "cacheReadShare": share(sums.cache_read_tokens, sums.cache_known_input),
        "reasoningTokens": sums.reasoning_tokens if measured else None,
        "unmeasured": sums.unmeasured,
        "unpriced": sums.unpriced,
        "compared": sums.compared,
        "costMicrousd": spent,
        "overheadMicrousd": sums.overhead_microusd,
        "leastMicrousd": sums.least_microusd,
        "baselineMicrousd": compared,
        "savedMicrousd": saved,
        "actualCost": usd(spent),
        "flagshipCost": usd(compared),
        "saved": usd(saved),
        "savedPercent": percent(saved, compared),
    }


def spent_microusd(sums: Sums) -> int | None:
    """What was paid, attempts that did not serve included; None if no request's cost is known."""
    if sums.requests and sums.unpriced == sums.requests and not sums.overhead_microusd:
        return None
    return sums.cost_microusd + sums.overhead_microusd


def saved_microusd(sums: Sums) -> int | None:
    """What was saved against the flagship; None if no request has both a cost and a baseline."""
    return sums.saved_microusd if sums.compared else None


def compared_baseline_microusd(sums: Sums) -> int | None:
    """What the requests that can be compared would have cost on the flagship."""
    return sums.compared_baseline_microusd if sums.compared else None


def savings_json(sums: Sums, baseline: str) -> dict[str, Any]:
    """What was saved and how: parts that add up to the total."""
    found = savings_of(sums)
    measured = sums.compared > 0
    parts = (
        ("routing", "Routing to a cheaper model", found.routing_microusd, "not measured"),
        ("promptCache", "Prompt caches, beyond the flagship's", found.prompt_cache_microusd, "not measured"),
        ("responseCache", "Answers from a cache", found.response_cache_microusd, "not in use"),
        ("compression", "Shorter prompts", found.compression_microusd, "not in use"),
        ("attempts", "Attempts that did not serve", found.attempts_microusd, "not measured"),
        ("notItemised", "Not told apart", found.not_itemised_microusd or None, "nothing"),
    )
    return {
        "baseline": baseline,
        "baselineMicrousd": compared_baseline_microusd(sums),
        "totalMicrousd": saved_microusd(sums),
        "lowMicrousd": found.low_microusd if measured else None,
        "highMicrousd": found.high_microusd if measured else None,
        "promptCacheHereMicrousd": found.prompt_cache_here_microusd if measured else None,
        "compared": found.requests,
        "requests": sums.requests,
        "parts": [
            {"name": name, "label": label, "microusd": value if measured else None, "absent": absent}
            for name, label, value, absent in parts
        ],
    }


def days_json(days: Iterable[DayUsage]) -> list[dict[str, Any]]:
    """UTC days, oldest first, those without requests too."""
    return [_day_json(day) for day in days]


def _day_json(usage: DayUsage) -> dict[str, Any]:
    tiers = usage.by_tier.items()
    spent = spent_microusd(usage.sums)
    return {
        # The older program's four: its label was a date without a year.
        "label": f"{usage.day:%b} {usage.day.day}",
        "total": usage.sums.requests,
        "byTier": {_OLD_NAME_FOR_NAMED if name is None else name: sums.requests for name, sums in tiers},
        "cost": None if spent is None else round(spent / _MICROUSD, 4),
        "day": usage.day.isoformat(),
        "isWhole": usage.is_whole,
        "costMicrousd": spent,
        "tiers": {
            NAMED if name is None else name: {"requests": sums.requests, "costMicrousd": spent_microusd(sums)}
            for name, sums in tiers
        },
    }


def usd(microusd: int | None) -> float | None:
    return None if microusd is None else microusd / _MICROUSD


def share(part: float | None, whole: float | None) -> float | None:
    """*part* of *whole*; None where there is no whole or something is unknown."""
    return None if part is None or not whole else part / whole


def percent(part: float | None, whole: float | None) -> float | None:
    """The same in per cent, to one digit."""
    found = share(part, whole)
    return None if found is None else round(100 * found, 1)
