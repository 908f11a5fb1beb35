"""``lynkr logs``: the newest requests of the ledger, one a line."""

import argparse
from collections.abc import Generator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from lynkr.cli.options import add_config, add_json, read_settings
from lynkr.cli.text import dollars, json_line, printable, table
from lynkr.errors import ConfigError
from lynkr.routing.decision import Tier
from lynkr.settings import Settings, process_environment
from lynkr.telemetry import Query, Record, TelemetryStore

_HEADER = ("id", "at", "tier", "target", "reason", "status", "seconds", "cost", "session")


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options of ``lynkr logs``."""
    add_config(parser)
    add_json(parser, "a line per request")
    parser.add_argument("-n", "--limit", type=_count, default=20, metavar="N", help="how many (default: 20)")
    parser.add_argument("--tier", choices=[tier.name for tier in Tier], help="only this tier's")
    parser.add_argument("--session", help="only this session's")
    parser.add_argument("--errors", action="store_true", help="only those that failed")


def run(arguments: argparse.Namespace) -> int:
    """Print the requests, newest first.

    Raises:
        ConfigError: there is no ledger, or it cannot be read.
    """
    query = Query(
        tier=None if arguments.tier is None else Tier[arguments.tier],
        session=arguments.session,
        errors_only=arguments.errors,
        limit=arguments.limit,
    )
    with ledger(read_settings(arguments)) as store:
        records = list(store.read(query))
    if arguments.json:
        for record in records:
            print(json_line(as_json(record)))
    elif records:
        print(table(_HEADER, [_row(record) for record in records]))
    else:
        print("no such request is in the ledger")
    return 0


@contextmanager
def ledger(settings: Settings) -> Generator[TelemetryStore, None, None]:
    """The ledger that ``lynkr serve`` writes with these settings, to read.

    Raises:
        ConfigError: records are kept in memory only, or none was written yet.
    """
    path = settings.for_serving(process_environment()).telemetry.file
    if path is None:
        raise ConfigError(
            "records are kept in memory only; set telemetry.path (LYNKR_TELEMETRY_PATH) to a file"
        )
    if not path.expanduser().is_file():
        raise ConfigError(f"{path}: there is no ledger yet; `lynkr serve` writes it with the first request")
    from lynkr.telemetry import SQLiteStore  # noqa: PLC0415  # reason: sqlite3 only once there is a file

    store = SQLiteStore(path, read_only=True)
    try:
        yield store
    finally:
        store.close()


def as_json(record: Record) -> dict[str, Any]:
    """The facts of a record, without its trace."""
    return {
        "id": record.id,
        "at": record.at,
        "tier": None if record.tier is None else record.tier.name,
        "target": None if record.target is None else str(record.target),
        "reason": record.reason,
        "status": record.status,
        "ending": record.ending.value,
        "seconds": record.seconds,
        "cost_microusd": record.cost.cost_microusd,
        "session": record.session,
    }


def moment(at: float) -> str:
    """A Unix time, in UTC to the second."""
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M:%S")


def _row(record: Record) -> tuple[str, ...]:
    return (
        record.id,
        moment(record.at),
        "named" if record.tier is None else record.tier.name,
        "-" if record.target is None else printable(str(record.target)),
        record.reason or "-",
        str(record.status),
        f"{record.seconds:.2f}",
        dollars(record.cost.cost_microusd),
        printable(record.session or "-"),
    )


def _count(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is not a number")
    return int(text)
