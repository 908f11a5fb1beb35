"""Chaos, the soak of criterion 23: mixed requests while everything below fails, and the laws that hold.

``python -m tests.chaos --seconds 120 --seed 0`` prints what happened and ends with 1 if a law was broken:
no request hangs; a stream ends in its dialect's last event or in its error event, and cleanly only if the
answer is whole; an answer that was given has its row in the ledger, but for those counted as lost while the
disk was full; a tenant is served within its rate and its budget, whatever fails and however often the
settings are read anew; when all is over no connection and no task is left; memory does not grow with the
requests.
"""

import argparse
import asyncio
import sqlite3
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from attrs import Factory, define, frozen

from lynkr.testing.children import Child
from tests.chaos.house import (
    BUDGET_USD,
    RATE_A_MINUTE,
    Disk,
    Process,
    disk_at,
    environment_of_children,
    eventually,
    gateway,
)
from tests.chaos.load import Load, Tally

# MB per 1,000 requests, fitted over the second half of the run.  Pools and caches settle within a minute or
# so, which is why shorter runs judge nothing and what is allowed shrinks: 1 MB at 120 s, at last 0.1 MB.
LEAST_SECONDS, SLOPE_SECONDS, LEAST_SLOPE = 75.0, 120.0, 0.1
FULL = (0.2, 0.4)  # the disk is full between these parts of the run, before memory is judged,
LATEST = 0.9  # and if that was not felt, until then
HANG_UP_SECONDS = 2.5  # between two reloads, and in runs of more than 150 s a sixtieth of them


@define
class Watched:
    """The gateway's memory against the requests it had, seen once a second.

    Meanwhile the disk is filled, and the settings are read anew.
    """

    process: Process
    disk: Disk
    tally: Tally
    seconds: float
    memory: list[tuple[int, float]] = Factory(list)
    health_when_full: dict[str, object] = Factory(dict)
    _over: threading.Event = Factory(threading.Event)

    def run(self) -> None:
        began = time.monotonic()
        filled, length = began + FULL[0] * self.seconds, min((FULL[1] - FULL[0]) * self.seconds, 60.0)
        is_full = was_full = False
        hung_up, rest = began, max(HANG_UP_SECONDS, self.seconds / 60)
        while not self._over.wait(1.0):
            self.memory.append((self.tally.requests, self.process.rss()))
            now = time.monotonic()
            # One at a time, or two signals would be one reload.
            if now >= hung_up + rest and sum(self.process.reloads()) == self.process.hung_up:
                self.process.hang_up()
                hung_up = now
            if not was_full and now > filled:
                self.disk.fill(self.process)
                is_full = was_full = True
            elif is_full:
                if (health := self.process.ledger_health())["failing"]:
                    self.health_when_full = health
                # Until it was felt: a log (WAL) that could not be cut short has room for some seconds more.
                if now > (filled + length if self.health_when_full else began + LATEST * self.seconds):
                    self.disk.free(self.process)
                    is_full = False

    def end(self) -> None:
        self._over.set()


def slope_of(points: Sequence[tuple[int, float]]) -> float:
    """MB per 1,000 requests: the least-squares line through (requests, MB)."""
    if len(points) < 2:
        return 0.0
    mean_x = sum(x for x, _ in points) / len(points)
    mean_y = sum(y for _, y in points) / len(points)
    spread = sum((x - mean_x) ** 2 for x, _ in points)
    return 1000 * sum((x - mean_x) * (y - mean_y) for x, y in points) / spread if spread else 0.0


def settled_half(memory: Sequence[tuple[int, float]]) -> Sequence[tuple[int, float]]:
    """The samples after caches, pools and the ledger's pages have filled: the second half of the run."""
    return memory[len(memory) // 2 :]


def ids_in(ledger: Path) -> list[str]:
    with closing(sqlite3.connect(f"file:{ledger}?mode=ro", uri=True)) as connection:
        return [row[0] for row in connection.execute("SELECT id FROM requests")]


def rows_broken(tally: Tally, rows: Sequence[str], lost: int) -> list[str]:
    """Where the ledger and the answers differ by more than what was counted as *lost*.

    A client that left before its answer's head knows no id; its request may have a row or not.
    """
    kept, broken, early = set(rows), [], tally.left_early
    if len(kept) != len(rows):
        broken.append("a request has two rows")
    if len(kept - tally.ids) > early:
        broken.append(f"{len(kept - tally.ids)} rows are of no answer; {early} clients left before theirs")
    if not len(tally.ids) <= len(kept) + lost <= len(tally.ids) + early:
        broken.append(f"{len(kept)} rows, {lost} lost: {len(tally.ids)} answers, {early} left early")
    return broken


@frozen
class Held:
    """What the ledger says of the tenants with limits."""

    asked: int
    refused: int
    spent_usd: float
    unaffordable: int


def held_to_limits(ledger: Path) -> Held:
    with closing(sqlite3.connect(f"file:{ledger}?mode=ro", uri=True)) as connection:
        asked, refused = connection.execute(
            "SELECT sum(error IS NOT 'RateLimited'), sum(error IS 'RateLimited')"
            " FROM requests WHERE tenant = 'rated'"
        ).fetchone()
        spent, unaffordable = connection.execute(
            "SELECT sum(coalesce(cost_microusd, 0) + coalesce(overhead_microusd, 0)),"
            " sum(error IS 'BudgetSpent') FROM requests WHERE tenant = 'poor'"
        ).fetchone()
    return Held(asked or 0, refused or 0, (spent or 0) / 1e6, unaffordable or 0)


def limits_broken(held: Held, seconds: float) -> list[str]:
    """Where a tenant had more than it may, or was never refused although it asked for more."""
    broken = []
    most = RATE_A_MINUTE * (1 + seconds / 60)
    if held.asked > most:
        broken.append(f"a tenant asked {held.asked} times in {seconds:.0f} s, more than {most:.0f}")
    if held.spent_usd > BUDGET_USD:
        broken.append(f"a tenant spent ${held.spent_usd} of ${BUDGET_USD}")
    if not (held.refused and held.unaffordable):
        broken.append(f"the limits of tenants were not reached: {held}")
    return broken


def criterion_23_soak(options: argparse.Namespace) -> int:
    """The whole run; 1 if a law was broken."""
    with tempfile.TemporaryDirectory(prefix="lynkr-chaos-") as name:
        folder = Path(name)
        with disk_at(folder / "disk") as disk:
            upstream = Child("tests.chaos.weather", [str(options.seed)], environ=environment_of_children())
            with upstream, gateway(folder, disk.path, upstream.url, most=options.workers - 4) as process:
                return _run(options, upstream, process, disk)


def _run(options: argparse.Namespace, upstream: Child, process: Process, disk: Disk) -> int:
    eventually(process.ledger_health)
    tasks_before, _ = eventually(process.tasks)
    watched, took = _under_load(options, process, disk)
    tally = watched.tally
    broken = [*tally.broken, *_reloads_broken(process)]
    # What the recorder still holds is written once the disk has room again.
    eventually(lambda: process.ledger_health()["queued"] == 0)
    health = process.ledger_health()
    upstream.close()  # so that what is kept for the next request is closed too, and only leaks are left
    eventually(lambda: process.sockets() == 0)
    eventually(lambda: process.tasks()[0] <= tasks_before)
    sockets, (tasks, names) = process.sockets(), process.tasks()
    leaked = max(tasks - tasks_before, 0)
    if sockets:
        broken.append(f"{sockets} connections are left")
    if leaked:
        broken.append(f"{leaked} tasks are left: {names}")
    if (status := process.stop()) != 0:
        broken.append(f"the gateway ended with status {status}")
    broken += [f"the gateway complained: {line}" for line in process.complaints()[:20]]
    rows, lost = ids_in(process.ledger), health["dropped"] + health["failed"]
    held = held_to_limits(process.ledger)
    broken += rows_broken(tally, rows, lost) + limits_broken(held, took) + _memory_broken(watched, took)
    if not watched.health_when_full.get("failing"):
        broken.append("the ledger's disk was full, and nothing showed it")
    _report(options, tally, took)
    print(f"disk            {disk.means}, {health['retries']} writes tried again")
    print(f"ledger          {len(rows)} rows, {len(tally.ids)} answers with an id, {lost} counted as lost,")
    print(f"                {len(set(rows) - tally.ids)} rows of {tally.left_early} clients that left early")
    print(
        f"tenants         {held.asked} asked of a rate of {RATE_A_MINUTE} a minute, {held.refused} refused;"
    )
    print(f"                ${held.spent_usd:.4f} spent of ${BUDGET_USD}, {held.unaffordable} refused")
    print(f"settings        {process.hung_up} times read anew, {process.hung_up // 3} times refused")
    print(f"leaked          {sockets} sockets, {leaked} tasks")
    tenths = [f"{mb:.0f}" for _, mb in watched.memory[:: max(1, len(watched.memory) // 10)]]
    print(f"memory          {' '.join(tenths)} MB,")
    slope = slope_of(settled_half(watched.memory))
    print(f"                {slope:+.3f} MB per 1,000 requests in the second half")
    for line in broken[:20]:
        print(f"BROKEN          {line}")
    print(f"{len(broken)} laws broken" if broken else "every law held")
    return 1 if broken else 0


def _under_load(options: argparse.Namespace, process: Process, disk: Disk) -> tuple[Watched, float]:
    """What was seen, and how many seconds it took."""
    load = Load(process.url, options.seed, options.workers, options.rate, options.seconds)
    watched = Watched(process, disk, load.tally, options.seconds)
    watcher = threading.Thread(target=watched.run)
    watcher.start()
    began = time.monotonic()
    try:
        asyncio.run(load.run())
    finally:
        watched.end()
        watcher.join()
    return watched, time.monotonic() - began


def _reloads_broken(process: Process) -> list[str]:
    eventually(lambda: sum(process.reloads()) == process.hung_up)
    reloads, refused = process.reloads()
    if reloads and (reloads + refused, refused) == (process.hung_up, process.hung_up // 3):
        return []
    return [f"of {process.hung_up} reloads {reloads} worked and {refused} were refused"]


def _memory_broken(watched: Watched, seconds: float) -> list[str]:
    slope, allowed = slope_of(settled_half(watched.memory)), max(SLOPE_SECONDS / seconds, LEAST_SLOPE)
    if seconds < LEAST_SECONDS or slope <= allowed:
        return []
    return [f"memory grows by {slope:.2f} MB per 1,000 requests, more than {allowed:.2g}"]


def _report(options: argparse.Namespace, tally: Tally, took: float) -> None:
    print(f"seed {options.seed}, {options.workers} clients, {took:.0f} s")
    print(f"requests        {tally.requests} ({tally.requests / took:.0f} a second)")
    for label, count in tally.classes.most_common():
        print(f"  {count:8d}  {label}")


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="nox -s chaos --", description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=120.0, help="how long (default 120)")
    parser.add_argument("--seed", type=int, default=0, help="of the faults and of the requests")
    parser.add_argument("--workers", type=int, default=24, help="clients at once (default 24)")
    parser.add_argument("--rate", type=float, default=60.0, help="requests a second at most (default 60)")
    options = parser.parse_args(argv)
    if options.seconds < 10 or options.workers < 8:
        parser.error("at least 10 seconds and 8 workers, or nothing is shown")
    return criterion_23_soak(options)


if __name__ == "__main__":
    sys.exit(main())
