"""``lynkr usage``: the ledger's sums over a window, by whatever tells them apart."""

import argparse
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Final

from attrs import asdict

from lynkr.cli.logs import ledger, ledger_path
from lynkr.cli.logs import window as valid_window
from lynkr.cli.options import add_config, add_json, read_settings
from lynkr.cli.text import count, dollars, json_line, percent, table
from lynkr.pricing import Savings
from lynkr.routing.decision import Tier
from lynkr.telemetry import Query, TelemetryStore
from lynkr.telemetry.queries import Window, savings_of, spent_microusd, usage, window_of
from lynkr.telemetry.sums import Cell, Dimension, Order, Sums

_BY: Final = {
    "tier": Dimension.TIER,
    "provider": Dimension.PROVIDER,
    "model": Dimension.MODEL,
    "day": Dimension.DAY,
    "session": Dimension.SESSION,
    "tenant": Dimension.TENANT,
    "reason": Dimension.REASON,
}
_HEADER: Final = ("requests", "input", "output", "cost", "saved")
_MOST_SESSIONS: Final = 50


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options of ``lynkr usage``."""
    add_config(parser)
    add_json(parser, "the sums")
    parser.add_argument(
        "--window",
        "--since",
        type=valid_window,
        default="all",
        metavar="WINDOW",
        help="24h, 7d, 4w, today, 2026-11-01, 2026-11-01/2026-11-30 (default: all)",
    )
    parser.add_argument("--by", choices=tuple(_BY), default="tier", help="default: tier")
    parser.add_argument("--provider", help="only what this provider served")
    parser.add_argument("--model", help="only what this model served")
    parser.add_argument("--tenant", help="only this tenant's")


def run(arguments: argparse.Namespace) -> int:
    """Print the sums.

    Raises:
        ConfigError: there is no ledger.
        LedgerError: it cannot be read.
    """
    settings = read_settings(arguments)
    only = Query(provider=arguments.provider, model=arguments.model, tenant=arguments.tenant, limit=None)
    window, by = window_of(arguments.window, time.time()), _BY[arguments.by]
    with ledger(settings) as store:
        order, most = (Order.COST, _MOST_SESSIONS) if by is Dimension.SESSION else (None, None)
        report = usage(store, window, by, query=only, order=order, limit=most)
    path = str(ledger_path(settings))
    if arguments.json:
        print(json_line(as_json(report.total, report.groups, window, by, path)))
        return 0
    total = numbers_of(report.total)
    groups = {_label(cell): numbers_of(cell.sums) for cell in _in_reading_order(report.groups)}
    print(as_text(total, groups, str(settings.pricing.flagship), by=arguments.by))
    print("\n".join(savings_lines(savings_of(report.total))))
    return 0


def as_json(total: Sums, groups: Sequence[Cell], window: Window, by: Dimension, path: str) -> dict[str, Any]:
    """The report as one JSON object; money in micro-USD, times in Unix seconds and ISO 8601."""
    told = {
        "ledger": path,
        "window": window.label,
        "since": window.since,
        "until": window.until,
        **asdict(total),
        "spent_microusd": spent_microusd(total),
        "savings": savings_json(total),
        "by": by.value,
        "groups": [
            {
                by.value: cell.key[0],
                **({"date": _day(cell)} if by is Dimension.DAY else {}),
                **asdict(cell.sums),
                "savings": savings_json(cell.sums),
            }
            for cell in groups
        ],
    }
    if by is Dimension.TIER:
        told["tiers"] = {_label(cell): numbers_of(cell.sums) for cell in groups}
    return told


def savings_json(sums: Sums) -> dict[str, Any]:
    """The savings and their share of the baseline."""
    savings = savings_of(sums)
    return {**asdict(savings), "percent": savings.percent}


def sums(
    store: TelemetryStore, since: float | None = None
) -> tuple[dict[str, Any], dict[str, dict[str, Any]]]:
    """The totals, and those of each tier; ``named`` are the requests whose client chose the target."""
    window = Window("since", since, None, time.time())
    report = usage(store, window, Dimension.TIER)
    found = {_label(cell): numbers_of(cell.sums) for cell in report.groups}
    by_tier = {tier.name: found.get(tier.name, numbers_of(Sums())) for tier in Tier}
    named = {"named": found["named"]} if "named" in found else {}
    return numbers_of(report.total), {**by_tier, **named}


def numbers_of(sums: Sums) -> dict[str, int]:
    """The sums by name; what attempts that did not serve cost is within *cost_microusd*."""
    return {**asdict(sums), "cost_microusd": spent_microusd(sums)}


def as_text(
    total: dict[str, Any], groups: dict[str, dict[str, Any]], flagship: str, *, by: str = "tier"
) -> str:
    """The sums as a table, and what they leave out."""
    rows = [_row(name, numbers) for name, numbers in groups.items() if numbers["requests"]]
    lines = [table((by, *_HEADER), [*rows, _row("total", total)])]
    baseline = total["compared_baseline_microusd"]
    if baseline:
        share = percent(total["saved_microusd"], baseline)
        lines.append(
            f"saved {share} of the {dollars(baseline)} that {flagship} would have cost (an estimate)"
        )
    for key, words in (
        ("failed", "failed"),
        ("cancelled", "left by the client"),
        ("unpriced", "of unknown cost, not in the sums"),
        ("unmeasured", "of unknown token counts, not in the sums"),
    ):
        if total[key]:
            lines.append(f"{count(total[key])} of {count(total['requests'])} requests {words}")
    if total["least_microusd"]:
        lines.append(f"at least {dollars(total['least_microusd'])} is owed for those of unknown cost")
    return "\n".join(lines)


def savings_lines(savings: Savings) -> list[str]:
    """The savings, part by part; negative ones are losses."""
    if not savings.requests:
        return []
    parts: tuple[tuple[str, int | None], ...] = (
        ("routing", savings.routing_microusd),
        ("prompt cache, beyond what the flagship's would have saved", savings.prompt_cache_microusd),
        ("attempts that did not serve", savings.attempts_microusd),
        ("response cache", savings.response_cache_microusd),
        ("compression", savings.compression_microusd),
        ("not itemised (older records)", savings.not_itemised_microusd or None),
    )
    told = [
        f"  {name}: {'not in use' if value is None else dollars(value)}"
        for name, value in parts
        if value is not None or not name.startswith("not itemised")
    ]
    low, high = dollars(savings.low_microusd), dollars(savings.high_microusd)
    return ["of which", *told, f"between {low} and {high}, by what the flagship's cache would have held"]


def _row(name: str, numbers: dict[str, Any]) -> tuple[str, ...]:
    keys = ("requests", "input_tokens", "output_tokens", "cost_microusd", "saved_microusd")
    requests, given, taken, cost, saved = (numbers[key] for key in keys)
    return name, count(requests), count(given), count(taken), dollars(cost), dollars(saved)


def _label(cell: Cell) -> str:
    match cell.by[0], cell.key[0]:
        case Dimension.TIER, None:
            return "named"
        case Dimension.DAY, _:
            return _day(cell)
        case _, None:
            return "none"
        case _, value:
            return str(value)


def _day(cell: Cell) -> str:
    return datetime.fromtimestamp(int(cell.key[0] or 0), UTC).strftime("%Y-%m-%d")


def _in_reading_order(cells: Sequence[Cell]) -> list[Cell]:
    """Tiers upwards, what no tier was given to last; the rest as it comes."""
    if not cells or cells[0].by[0] is not Dimension.TIER:
        return list(cells)
    names = {tier.name: int(tier) for tier in Tier}
    return sorted(cells, key=lambda cell: names.get(str(cell.key[0]), 99))
