"""How many recorded requests a second `lynkr replay` decides again.

Run: ``python benchmarks/bench_replay.py [records]``.  Writes a seeded ledger of agent sessions (10,000
records unless told otherwise) into a temporary SQLite file, then replays it with the shipped router (which
changes nothing) and with one that sends everything to one tier.  CPU seconds of this process; what
reading the file alone costs stands beside them.
"""

import random
import sys
import tempfile
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from lynkr.replay import ReplayReport, replay_ledger
from lynkr.routing import PipelineRouter, Tier, fixed
from lynkr.telemetry import SQLiteStore
from lynkr.telemetry.record import Query, Record
from tests.replay.made import TIERS, Ledger, Prices

_BATCH = 2_000


def traffic(seed: int) -> Iterator[Record]:
    """Sessions without end, one after the other."""
    ledger = Ledger(PipelineRouter(TIERS))
    number = 0
    while True:
        yield from ledger.session(f"s{number}", 50.0 * number, random.Random(seed + number))
        number += 1


def written(path: Path, count: int) -> float:
    """Fill the ledger; gives the file's megabytes."""
    store = SQLiteStore(path)
    records = islice(traffic(7), count)
    while batch := list(islice(records, _BATCH)):
        store.write(batch)
    store.close()
    return sum(file.stat().st_size for file in path.parent.iterdir()) / 1e6


def replayed(path: Path, router: PipelineRouter) -> tuple[ReplayReport, float]:
    store = SQLiteStore(path, read_only=True)
    began = time.process_time()
    report = replay_ledger(store, router, Prices())
    spent = time.process_time() - began
    store.close()
    return report, spent


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "ledger.sqlite3"
        size = written(path, count)
        store = SQLiteStore(path, read_only=True)
        began = time.process_time()
        read = sum(1 for _ in store.read(Query(limit=None, oldest_first=True)))
        reading = time.process_time() - began
        store.close()
        speed = f"{reading:.1f} s CPU, {read / reading:,.0f} a second"
        print(f"{read} records, {size:.0f} MB; reading them: {speed}")
        policies = {
            "as shipped": PipelineRouter(TIERS),
            "all SIMPLE": PipelineRouter(TIERS, policy=fixed(Tier.SIMPLE)),
        }
        for name, router in policies.items():
            report, spent = replayed(path, router)
            print(
                f"{name}: {spent:.1f} s CPU, {report.requests / spent:,.0f} decisions a second "
                f"({report.decided} decided, {report.changed} changed)"
            )


if __name__ == "__main__":
    main()
