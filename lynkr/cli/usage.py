"""``lynkr usage``: the ledger's sums, by tier."""

import argparse
import re
import time
from typing import Any, Final

from attrs import asdict

from lynkr.cli.options import add_config, add_json, read_settings
from lynkr.cli.text import count, dollars, json_line, percent, table
from lynkr.errors import ConfigError
from lynkr.routing.decision import Tier
from lynkr.settings import process_environment
from lynkr.telemetry import Query, TelemetryStore, Totals

_SECONDS: Final = {"m": 60.0, "h": 3600.0, "d": 86_400.0, "w": 604_800.0}
_SUMS: Final = ("requests", "input_tokens", "output_tokens", "cost_microusd", "saved_microusd")
_HEADER: Final = ("tier", "requests", "input", "output", "cost", "saved")


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options of ``lynkr usage``."""
    add_config(parser)
    add_json(parser, "the sums")
    parser.add_argument(
        "--since",
        type=_length,
        default=None,
        metavar="LENGTH",
        help="only the last 30m, 24h, 7d, 4w (default: all)",
    )


def run(arguments: argparse.Namespace) -> int:
    """Print the sums.

    Raises:
        ConfigError: there is no ledger, or it cannot be read.
    """
    settings = read_settings(arguments).for_serving(process_environment())
    path = settings.telemetry.file
    if path is None:
        raise ConfigError(
            "records are kept in memory only; set telemetry.path (LYNKR_TELEMETRY_PATH) to a file"
        )
    if not path.expanduser().is_file():
        raise ConfigError(f"{path}: there is no ledger yet; `lynkr serve` writes it with the first request")
    from lynkr.telemetry import SQLiteStore  # noqa: PLC0415  # reason: sqlite3 only once there is a file

    store = SQLiteStore(path, read_only=True)
    try:
        since = None if arguments.since is None else time.time() - arguments.since
        total, by_tier = sums(store, since)
    finally:
        store.close()
    if arguments.json:
        print(json_line({"ledger": str(path), "since": since, **total, "tiers": by_tier}))
    else:
        print(as_text(total, by_tier, str(settings.pricing.flagship)))
    return 0


def sums(
    store: TelemetryStore, since: float | None = None
) -> tuple[dict[str, Any], dict[str, dict[str, Any]]]:
    """The totals, and those of each tier; ``named`` are the requests whose client chose the target."""
    total = _numbers(store.totals(Query(since=since)))
    by_tier = {tier.name: _numbers(store.totals(Query(since=since, tier=tier))) for tier in Tier}
    named = {key: value - sum(tier[key] for tier in by_tier.values()) for key, value in total.items()}
    return total, {**by_tier, **({"named": named} if named["requests"] else {})}


def as_text(total: dict[str, Any], by_tier: dict[str, dict[str, Any]], flagship: str) -> str:
    """The sums as a table, and what they leave out."""
    rows = [_row(name, numbers) for name, numbers in by_tier.items() if numbers["requests"]]
    lines = [table(_HEADER, [*rows, _row("total", total)])]
    baseline = total["baseline_microusd"]
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
    return "\n".join(lines)


def _row(name: str, numbers: dict[str, Any]) -> tuple[str, ...]:
    requests, given, taken, cost, saved = (numbers[key] for key in _SUMS)
    return name, count(requests), count(given), count(taken), dollars(cost), dollars(saved)


def _numbers(totals: Totals) -> dict[str, int]:
    return {key: value for key, value in asdict(totals, recurse=False).items() if isinstance(value, int)}


def _length(text: str) -> float:
    found = re.fullmatch(r"(\d{1,6})([mhdw])", text)
    if found is None:
        raise argparse.ArgumentTypeError(f"{text!r} is not a length such as 30m, 24h, 7d or 4w")
    return int(found[1]) * _SECONDS[found[2]]
