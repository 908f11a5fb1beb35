"""``lynkr replay``: recorded requests decided again by another policy, and what that changes."""

import argparse
import re
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from lynkr.assembly import build_prices, build_router
from lynkr.cli.logs import ledger
from lynkr.cli.options import add_config, add_json, read_settings
from lynkr.cli.text import count, dollars, json_line, table
from lynkr.errors import ConfigError
from lynkr.replay import CostRange, Estimate, ReplayReport, load_policy, replay_ledger
from lynkr.replay.costs import Share
from lynkr.routing import Redecides
from lynkr.telemetry import TelemetryStore

_UNITS: Final = {"h": 3_600.0, "d": 86_400.0, "w": 604_800.0}
_MOVES: Final = 3
_AGO: Final = re.compile(r"(\d{1,6})([hdw])")


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options of ``lynkr replay``."""
    parser.add_argument(
        "--policy",
        metavar="MODULE:FACTORY",
        help="what makes the router; it is given the settings if it takes an argument "
        "(default: the router that the settings describe)",
    )
    parser.add_argument("--ledger", type=Path, metavar="FILE", help="default: that of the settings")
    parser.add_argument("--since", metavar="WHEN", help="30d, 12h, 4w ago, or 2026-11-28[T12:00] in UTC")
    parser.add_argument("--until", metavar="WHEN", help="as --since; not included")
    parser.add_argument(
        "--lengths",
        type=_lengths,
        default=(0.5, 2.0),
        metavar="LOW,HIGH",
        help="how much shorter or longer another model's answers may be (default: 0.5,2)",
    )
    parser.add_argument(
        "--max-cost-increase",
        type=float,
        metavar="SHARE",
        help="exit with 1 if the expected cost rises by more than this share of what was paid",
    )
    add_config(parser)
    add_json(parser, "the report")


def run(arguments: argparse.Namespace) -> int:
    """Print the report.

    Raises:
        ConfigError: there is no ledger or no such policy, or a time cannot be read.
    """
    settings = read_settings(arguments)
    prices = build_prices(settings)
    policy: Redecides
    if arguments.policy is None:
        policy = build_router(settings, prices)
    else:
        here = str(Path.cwd())
        if here not in sys.path:
            sys.path.insert(0, here)  # as `python -m` has it: the policy is the user's own file
        policy = load_policy(arguments.policy, settings)
    now = time.time()
    since = None if arguments.since is None else time_of(arguments.since, now)
    until = None if arguments.until is None else time_of(arguments.until, now)

    def replayed(store: TelemetryStore) -> ReplayReport:
        return replay_ledger(
            store,
            policy,
            prices,
            since=since,
            until=until,
            lengths=arguments.lengths,
            pin_ttl=settings.sessions.ttl,
        )

    if arguments.ledger is None:
        with ledger(settings) as store:
            report = replayed(store)
    else:
        report = _of_file(arguments.ledger, replayed)
    print(json_line(report.as_json()) if arguments.json else as_text(report))
    limit = arguments.max_cost_increase
    if limit is not None and (report.cost_increase is None or report.cost_increase > limit):
        told = "is unknown" if report.cost_increase is None else f"rises by {report.cost_increase:.1%}"
        print(f"lynkr: the expected cost {told}; {limit:.1%} is the limit", file=sys.stderr)
        return 1
    return 0


def time_of(text: str, now: float) -> float:
    """``30d`` (ago) or an ISO date or time, in UTC unless it says otherwise, as Unix seconds.

    Raises:
        ConfigError: it is neither.
    """
    ago = _AGO.fullmatch(text)
    if ago is not None:
        return now - int(ago[1]) * _UNITS[ago[2]]
    try:
        read = datetime.fromisoformat(text)
    except ValueError as error:
        raise ConfigError(f"{text!r} is no time; write 30d, 12h, 4w, or 2026-11-28T12:00") from error
    return (read if read.tzinfo is not None else read.replace(tzinfo=UTC)).timestamp()


def as_text(report: ReplayReport) -> str:
    """The report, for reading."""
    undecidable = ", ".join(f"{cause} {number}" for cause, number in report.undecidable.items())
    facts = [
        ("requests", count(report.requests)),
        ("decided again", count(report.decided)),
        ("named by clients", count(report.named)),
        ("undecidable", undecidable or "none"),
        ("changed", f"{count(report.changed)} ({count(report.refused)} refused)"),
        ("compared", f"{count(report.compared)} ({count(report.unpriced)} of unknown cost)"),
        ("recorded cost", _money(report.recorded_microusd)),
        ("would have cost", _range(report.replayed)),
        ("difference", _range(report.difference)),
        ("cache hits", _hits(report.hits)),
        ("prices", report.price_version),
    ]
    blocks = ["\n".join(f"{name:<18}{text}" for name, text in facts)]
    rows = [
        (
            change.code,
            count(change.requests),
            "unknown" if change.difference is None else _money(change.difference.expected),
            "; ".join(f"{move} ({number})" for move, number in list(change.moves.items())[:_MOVES]),
            change.examples[0],
        )
        for change in report.changes
    ]
    if rows:
        blocks.append(table(("changed because", "requests", "cost", "moves", "example"), rows))
    blocks.append(_quality(report))
    return "\n\n".join(blocks)


def _hits(hits: Share) -> str:
    told = f"{hits.expected:.0%} of the simulated ones ({hits.low:.0%} to {hits.high:.0%})"
    return f"{told}, as {hits.sessions} sessions tell"


def _quality(report: ReplayReport) -> str:
    quality = report.quality
    if quality.refusal is not None:
        return f"quality: not estimated ({quality.refusal}): {quality.reason}"
    named = {"as it was": quality.logged, "IPS": quality.ips, "SNIPS": quality.snips, "DR": quality.dr}
    told = "; ".join(f"{name} {_estimate(one)}" for name, one in named.items() if one is not None)
    overlap = quality.overlap
    number = 0.0 if overlap is None else overlap.effective
    return f"quality (mean outcome, 90 %): {told}; worth {number:.0f} even observations"


def _estimate(one: Estimate) -> str:
    return f"{one.value:.3f} ({one.low:.3f} to {one.high:.3f})"


def _money(microusd: float | None) -> str:
    return "unknown" if microusd is None else dollars(round(microusd))


def _range(cost: CostRange | None) -> str:
    if cost is None:
        return "unknown"
    return f"{_money(cost.expected)}  (from {_money(cost.low)} to {_money(cost.high)})"


def _of_file(path: Path, replayed: Callable[[TelemetryStore], ReplayReport]) -> ReplayReport:
    if not path.is_file():
        raise ConfigError(f"{path}: there is no ledger; `lynkr serve` writes one with the first request")
    from lynkr.telemetry import SQLiteStore  # noqa: PLC0415  # reason: sqlite3 only once there is a file

    store = SQLiteStore(path, read_only=True)
    try:
        return replayed(store)
    finally:
        store.close()


def _lengths(text: str) -> tuple[float, float]:
    try:
        low, high = map(float, text.split(","))
    except ValueError:
        low = high = 0.0
    if not 0 < low <= 1 <= high:
        raise argparse.ArgumentTypeError(f"{text!r} is not LOW,HIGH with LOW up to 1 and HIGH from 1")
    return low, high
