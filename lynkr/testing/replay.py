"""A recorded ledger as a regression test for a policy."""

import os
from collections.abc import Iterable
from pathlib import Path

from lynkr.pricing import PriceTable, SnapshotPrices, load_snapshot
from lynkr.replay import ReplayReport, replay, replay_ledger
from lynkr.routing.protocols import Redecides
from lynkr.telemetry.record import Record
from lynkr.telemetry.store import TelemetryStore

__all__ = ["assert_no_regression"]

_USD = 1e6


def assert_no_regression(
    policy: Redecides,
    ledger: str | os.PathLike[str] | TelemetryStore | Iterable[Record],
    *,
    max_cost_increase: float = 0.0,
    max_changed: float = 1.0,
    max_undecidable: float = 0.0,
    worst_case: bool = False,
    prices: PriceTable | None = None,
    since: float | None = None,
    until: float | None = None,
) -> ReplayReport:
    """Replay *ledger* (a file, a store, or records in the order of time) and hold *policy* to limits.

    All limits are shares: of the recorded cost, of the decided requests, of all that a policy
    decides.  *worst_case* holds the upper bound of the cost to its limit, not the expected one.
    *prices* are the packaged ones unless given.  Gives the report.

    Raises:
        AssertionError: a limit is broken, or nothing could be compared; it says what changed most.
        ConfigError: there is no such ledger.
    """
    table = SnapshotPrices(load_snapshot()) if prices is None else prices
    report = _replayed(policy, ledger, table, since, until)
    could = report.requests - report.named
    undecidable = sum(report.undecidable.values())
    if undecidable > max_undecidable * could:
        causes = ", ".join(f"{cause}: {count}" for cause, count in report.undecidable.items())
        raise AssertionError(f"{undecidable} of {could} requests cannot be decided again ({causes})")
    if report.recorded_microusd is None or report.difference is None:
        raise AssertionError(
            f"of {report.requests} requests none could be compared: {report.unpriced} have no known cost"
        )
    if report.changed > max_changed * report.decided:
        raise AssertionError(
            f"{report.changed} of {report.decided} decisions change, {max_changed:.1%} may{_most(report)}"
        )
    found = report.difference.high if worst_case else report.difference.expected
    limit = max_cost_increase * report.recorded_microusd
    if found > limit + 0.5:  # half a millionth of a dollar is rounding
        raise AssertionError(
            f"the cost rises by {found / _USD:.6f} USD ({_range(report)}) from "
            f"{report.recorded_microusd / _USD:.6f} USD, by {limit / _USD:.6f} USD it may{_most(report)}"
        )
    return report


def _replayed(
    policy: Redecides,
    ledger: str | os.PathLike[str] | TelemetryStore | Iterable[Record],
    prices: PriceTable,
    since: float | None,
    until: float | None,
) -> ReplayReport:
    if isinstance(ledger, str | os.PathLike):
        from lynkr.telemetry import SQLiteStore  # noqa: PLC0415  # reason: sqlite3 only if there is a file

        store = SQLiteStore(Path(ledger), read_only=True)
        try:
            return replay_ledger(store, policy, prices, since=since, until=until)
        finally:
            store.close()
    if not isinstance(ledger, Iterable):
        return replay_ledger(ledger, policy, prices, since=since, until=until)
    records = (
        record
        for record in ledger
        if (since is None or record.at >= since) and (until is None or record.at < until)
    )
    return replay(records, policy, prices)


def _range(report: ReplayReport) -> str:
    cost = report.difference
    return "" if cost is None else f"{cost.low / _USD:.6f} to {cost.high / _USD:.6f}"


def _most(report: ReplayReport) -> str:
    """The reasons that weigh most, with a request each to look at."""
    if not report.changes:
        return ""
    lines = [
        f"\n  {change.code}: {change.requests} decisions"
        + ("" if change.difference is None else f", {change.difference.expected / _USD:+.6f} USD")
        + f" ({next(iter(change.moves))}; e.g. {change.examples[0]})"
        for change in report.changes[:3]
    ]
    return "; mostly" + "".join(lines)
