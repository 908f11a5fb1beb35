"""``lynkr export``: the ledger's records as CSV, JSON Lines or Parquet."""

import argparse
import csv
import sys
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib import import_module
from itertools import chain, islice
from pathlib import Path
from types import MappingProxyType
from typing import IO, Any, Final

from lynkr.cli.logs import ledger
from lynkr.cli.logs import window as valid_window
from lynkr.cli.options import add_config, read_settings
from lynkr.cli.text import json_line
from lynkr.errors import ConfigError
from lynkr.telemetry import Query, Record
from lynkr.telemetry.queries import window_of

Cell = str | int | float | bool | None
_FORMATS: Final = ("csv", "jsonl", "parquet")
_BATCH: Final = 10_000


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options of ``lynkr export``."""
    parser.add_argument(
        "--format", choices=("csv", "jsonl", "parquet"), default="jsonl", help="default: jsonl"
    )
    parser.add_argument("--out", type=Path, metavar="FILE", help="default: standard output (not Parquet)")
    parser.add_argument(
        "--window", type=valid_window, default="all", metavar="WINDOW", help="7d, 2026-11-01 (default: all)"
    )
    parser.add_argument(
        "--attempts", action="store_true", help="a row per attempt instead of one per request"
    )
    add_config(parser)


def run(arguments: argparse.Namespace) -> int:
    """Write the records, oldest first; a file only its owner may read.

    Raises:
        ConfigError: there is no ledger, or pyarrow is not installed.
        LedgerError: the ledger cannot be read.
    """
    write = {"csv": _write_csv, "jsonl": _write_jsonl}.get(arguments.format)
    if write is None and arguments.out is None:
        raise ConfigError("Parquet goes to a file; name it with --out")
    within = window_of(arguments.window, time.time())
    query = Query(since=within.since, until=within.until, limit=None, oldest_first=True)
    with ledger(read_settings(arguments)) as store:
        rows = rows_of(store.read(query), attempts=arguments.attempts)
        names = ATTEMPT_TYPES if arguments.attempts else REQUEST_TYPES
        if write is None:
            _write_parquet(rows, names, arguments.out)
        else:
            with _opened(arguments.out) as file:
                write(rows, names, file)
    return 0


# What a column holds, so that an empty or all-NULL export has types, too.
REQUEST_TYPES: Final[Mapping[str, type]] = MappingProxyType(
    {
        "id": str, "at": float, "ending": str, "status": int, "tier": str, "served_tier": str, "score": float,
        "reason": str, "provider": str, "model": str, "session": str, "tenant": str, "agent": str,
        "request_class": str, "traffic": str, "requested_model": str, "stream": bool, "input_tokens": int,
        "output_tokens": int, "cache_read_tokens": int, "cache_write_tokens": int,
        "cache_write_1h_tokens": int, "reasoning_tokens": int, "partial": bool,
        "cost_microusd": int, "overhead_microusd": int,
        "least_microusd": int, "baseline": str, "baseline_microusd": int, "baseline_low_microusd": int,
        "baseline_high_microusd": int, "saved_microusd": int, "price_version": str, "seconds": float,
        "seconds_to_first_event": float, "error": str, "propensity": float, "tools_offered": int,
        "tool_calls": int, "attempts": int,
    }
)  # fmt: skip
ATTEMPT_TYPES: Final[Mapping[str, type]] = MappingProxyType(
    {
        "request_id": str, "at": float, "number": int, "kind": str, "provider": str, "model": str,
        "started": float, "seconds": float, "status": int, "outcome": str, "cancelled": bool, "partial": bool,
        "error": str, "input_tokens": int, "output_tokens": int, "cache_read_tokens": int,
        "cache_write_tokens": int, "reasoning_tokens": int, "cost_microusd": int,
    }
)  # fmt: skip


def rows_of(records: Iterable[Record], *, attempts: bool) -> Iterator[tuple[Cell, ...]]:
    """A row per request, or per attempt; no prompt text, no answer."""
    if attempts:
        return chain.from_iterable(map(_attempt_rows, records))
    return map(_request_row, records)


def _request_row(record: Record) -> tuple[Cell, ...]:
    usage, cost, target = record.usage, record.cost, record.target
    return (
        record.id, record.at, record.ending.value, record.status,
        None if record.tier is None else record.tier.name,
        None if record.served_tier is None else record.served_tier.name,
        record.score, record.reason,
        None if target is None else target.provider, None if target is None else target.model,
        record.session, record.tenant, record.agent,
        None if record.request_class is None else record.request_class.value,
        record.traffic, record.requested_model, record.stream,
        usage.input, usage.output, usage.cache_read, usage.cache_write, usage.cache_write_1h, usage.reasoning,
        record.partial, cost.cost_microusd, cost.overhead_microusd, cost.least_microusd, cost.baseline,
        cost.baseline_microusd, cost.baseline_low_microusd, cost.baseline_high_microusd, cost.saved_microusd,
        cost.price_version, record.seconds, record.seconds_to_first_event, record.error, record.propensity,
        record.tools_offered, record.tool_calls, len(record.attempts),
    )  # fmt: skip


def _attempt_rows(record: Record) -> Iterator[tuple[Cell, ...]]:
    for number, attempt in enumerate(record.attempts):
        usage = attempt.usage
        yield (
            record.id, record.at, number, None if attempt.kind is None else attempt.kind.value,
            attempt.target.provider, attempt.target.model, attempt.started, attempt.seconds, attempt.status,
            attempt.outcome.value, attempt.cancelled, attempt.partial, attempt.error,
            usage.input, usage.output, usage.cache_read, usage.cache_write, usage.reasoning,
            attempt.cost_microusd,
        )  # fmt: skip


def _write_csv(rows: Iterable[Sequence[Cell]], types: Mapping[str, type], file: IO[str]) -> None:
    """RFC 4180, NULL as an empty field; before a text that a spreadsheet would run stands an apostrophe."""
    writer = csv.writer(file)
    writer.writerow(types)
    writer.writerows(map(_harmless, rows))


def _harmless(row: Sequence[Cell]) -> list[Cell]:
    # OWASP, "CSV Injection" (read 2026-11).
    return [
        f"'{cell}" if isinstance(cell, str) and cell.startswith(("=", "+", "-", "@", "\t", "\r")) else cell
        for cell in row
    ]


def _write_jsonl(rows: Iterable[Sequence[Cell]], types: Mapping[str, type], file: IO[str]) -> None:
    for row in rows:
        file.write(json_line(dict(zip(types, row, strict=True))) + "\n")


def _write_parquet(rows: Iterable[Sequence[Cell]], types: Mapping[str, type], out: Path) -> None:
    try:
        pa: Any = import_module("pyarrow")  # an extra; it has no types
        pq: Any = import_module("pyarrow.parquet")
    except ImportError as error:
        raise ConfigError("Parquet needs pyarrow: pip install 'lynkr-router[parquet]'") from error
    named: dict[type, Callable[[], object]] = {
        str: pa.string, int: pa.int64, float: pa.float64, bool: pa.bool_,
    }  # fmt: skip
    schema = pa.schema([(name, named[kind]()) for name, kind in types.items()])
    with _private(out).open("wb") as file, pq.ParquetWriter(file, schema) as writer:
        left = iter(rows)
        while batch := list(islice(left, _BATCH)):
            columns = zip(*batch, strict=True)
            arrays = [pa.array(column, field.type) for column, field in zip(columns, schema, strict=True)]
            writer.write_table(pa.Table.from_arrays(arrays, schema=schema))


@contextmanager
def _opened(out: Path | None) -> Generator[IO[str], None, None]:
    if out is None:
        yield sys.stdout
    else:
        with _private(out).open("w", encoding="utf-8", newline="") as file:
            yield file


def _private(out: Path) -> Path:
    """*out*, made for its owner only where there was none."""
    try:
        out.touch(0o600)
    except OSError as error:
        raise ConfigError(f"{out} cannot be written: {error.strerror}") from error
    return out
