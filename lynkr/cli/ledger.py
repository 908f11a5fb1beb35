"""``lynkr ledger``: what the ledger's file holds, and giving room back."""

import argparse
import time
from pathlib import Path
from typing import Final

from lynkr.cli.logs import ledger_path, moment
from lynkr.cli.options import add_config, add_json, read_settings
from lynkr.cli.text import count, json_line
from lynkr.telemetry import Query, TelemetryStore
from lynkr.telemetry.queries import total_of

_DAY: Final = 86_400.0


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options of ``lynkr ledger show`` and ``lynkr ledger vacuum``."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    show = actions.add_parser("show", help="print where the ledger is and what it holds")
    add_config(show)
    add_json(show, "the facts")
    vacuum = actions.add_parser("vacuum", help="give the room of forgotten records back to the disk")
    vacuum.add_argument("--keep-days", type=float, metavar="DAYS", help="first forget what is older")
    vacuum.add_argument("--keep-rows", type=int, metavar="N", help="first forget all but the newest")
    add_config(vacuum)


def run(arguments: argparse.Namespace) -> int:
    """Show or vacuum.

    Raises:
        ConfigError: there is no ledger.
        LedgerError: it cannot be read or written.
    """
    from lynkr.telemetry import SQLiteStore  # noqa: PLC0415  # reason: sqlite3 only once there is a file

    path = ledger_path(read_settings(arguments))
    store = SQLiteStore(path, read_only=arguments.action == "show")
    try:
        if arguments.action == "show":
            return _show(store, path, as_json=arguments.json)
        before = None if arguments.keep_days is None else time.time() - arguments.keep_days * _DAY
        forgotten, freed = store.compact(before=before, most=arguments.keep_rows)
    finally:
        store.close()
    print(f"{path}: {count(forgotten)} records forgotten, {count(freed)} bytes given back")
    return 0


def _show(store: TelemetryStore, path: Path, *, as_json: bool) -> int:
    total = total_of(store.cells(Query(limit=None)))
    size = path.expanduser().stat().st_size
    facts: dict[str, object] = {
        "ledger": str(path),
        "bytes": size,
        "records": total.requests,
        "first_at": total.first_at_us / 1e6 if total.requests else None,
        "last_at": total.last_at_us / 1e6 if total.requests else None,
    }
    if as_json:
        print(json_line(facts))
        return 0
    span = (
        f", {moment(total.first_at_us / 1e6)} to {moment(total.last_at_us / 1e6)} UTC"
        if total.requests
        else ""
    )
    print(f"{path}: {count(total.requests)} records, {count(size)} bytes{span}")
    return 0
