"""``lynkr logs``: the newest requests of the ledger, one a line."""

import argparse
import time
from collections.abc import Generator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from lynkr.cli.options import add_config, add_json, read_settings
from lynkr.cli.text import dollars, json_line, printable, table
from lynkr.errors import ConfigError
from lynkr.routing.decision import Tier
from lynkr.settings import Settings, process_environment
from lynkr.telemetry import Query, Record, TelemetryStore
from lynkr.telemetry.queries import window_of

_HEADER = ("id", "at", "tier", "target", "reason", "status", "seconds", "cost", "session")


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options of ``lynkr logs``."""
    add_config(parser)
    add_json(parser, "a line per request")
    parser.add_argument("-n", "--limit", type=_count, default=20, metavar="N", help="how many (default: 20)")
    parser.add_argument("--tier", choices=[tier.name for tier in Tier], help="only this tier's")
    parser.add_argument("--session", help="only this session's")
    parser.add_argument("--provider", help="only what this provider served")
    parser.add_argument("--model", help="only what this model served")
    parser.add_argument("--tenant", help="only this tenant's")
    parser.add_argument("--reason", help="only those whose tier was settled by this reason code")
    parser.add_argument(
        "--window", type=window, default="all", metavar="WINDOW", help="24h, 7d, 2026-11-01 (default: all)"
    )
    parser.add_argument("--before", metavar="ID", help="only those that come after this one in the list")
    parser.add_argument("--errors", action="store_true", help="only those that failed")


def run(arguments: argparse.Namespace) -> int:
    """Print the requests, newest first.

    Raises:
        ConfigError: there is no ledger, or it cannot be read.
    """
    within = window_of(arguments.window, time.time())
    query = Query(
        since=within.since,
        until=within.until,
        provider=arguments.provider,
        model=arguments.model,
        tenant=arguments.tenant,
        reason=arguments.reason,
        before=arguments.before,
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


def ledger_path(settings: Settings) -> Path:
    """The file of the ledger that ``lynkr serve`` writes with these settings.

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
    return path


@contextmanager
def ledger(settings: Settings) -> Generator[TelemetryStore, None, None]:
    """The ledger that ``lynkr serve`` writes with these settings, to read.

    Raises:
        ConfigError: records are kept in memory only, or none was written yet.
    """
    path = ledger_path(settings)
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
        "tenant": record.tenant,
        "requested_model": record.requested_model,
        "input_tokens": record.usage.input,
        "output_tokens": record.usage.output,
        "cache_read_tokens": record.usage.cache_read,
        "cache_write_tokens": record.usage.cache_write,
        "reasoning_tokens": record.usage.reasoning,
        "partial": record.partial,
        "overhead_microusd": record.cost.overhead_microusd,
        "saved_microusd": record.cost.saved_microusd,
        "price_version": record.cost.price_version,
        "seconds_to_first_event": record.seconds_to_first_event,
        "error": record.error,
        "attempts": [
            {
                "target": str(attempt.target),
                "kind": None if attempt.kind is None else attempt.kind.value,
                "outcome": attempt.outcome.value,
                "status": attempt.status,
                "seconds": attempt.seconds,
                "cost_microusd": attempt.cost_microusd,
                "error": attempt.error,
            }
            for attempt in record.attempts
        ],
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


def window(text: str) -> str:
    """A window's text, checked."""
    try:
        window_of(text, time.time())
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error
    return text


def _count(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is not a number")
    return int(text)
