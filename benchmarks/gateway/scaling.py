"""Requests per second with one worker and with two, in one run.

python benchmarks/gateway/scaling.py [--workers 1 2] [--size chat] [--dialect messages] [-c 64]

Nothing is pinned: the load generator, the upstream and the workers share the machine's cores, as the
scheduler will have it.  On a machine with few cores the load and the upstream take what a second worker
would use, so two figures are printed for each number of workers: what was measured, and what the
workers' own processor time allows where they have a core each (1 s divided by the CPU time of a
request, times their number).  Memory is that of all processes; what they share is counted for each.
"""

import argparse
import os
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

import targets
from bodies import SIZES, bodies, body
from load import Load, run


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--size", choices=SIZES, default="chat")
    parser.add_argument("--dialect", choices=("messages", "chat"), default="messages")
    parser.add_argument("--served", choices=("anthropic", "openai"), default="anthropic")
    parser.add_argument("--stream", action="store_true")
    parser.add_argument("-c", type=int, default=64)
    parser.add_argument("--seconds", type=float, default=4)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    asked = bodies(arguments.size, arguments.dialect, stream=arguments.stream)
    warm = (targets.PATHS[arguments.dialect], body("chat", arguments.dialect, stream=False))
    loads: dict[int, list[Load]] = {workers: [] for workers in arguments.workers}
    with ExitStack() as stack:
        up = stack.enter_context(targets.upstream(cpu=None))
        running = {}
        for workers in arguments.workers:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))  # each has a ledger of its own
            started = targets.lynkr(
                up, warm, cpu=None, folder=folder, served=arguments.served, workers=workers
            )
            running[workers] = stack.enter_context(started)
        for _ in range(arguments.rounds):
            for workers, target in running.items():
                load = run(
                    target.address(arguments.dialect), asked, target.headers, pid=target.pid,
                    connections=arguments.c, seconds=arguments.seconds,
                )  # fmt: skip
                loads[workers].append(load)
    report(loads)
    return 0


def report(loads: dict[int, list[Load]]) -> None:
    """The fastest and the cheapest of each number's rounds, and their ratios to the first's."""
    fastest = {workers: max(load.per_second for load in tried) for workers, tried in loads.items()}
    cheapest = {workers: min(load.cpu for load in tried) for workers, tried in loads.items()}
    allowed = {workers: workers * 1000 / cpu for workers, cpu in cheapest.items()}
    first, *_ = loads
    sys.stdout.write(f"{os.cpu_count()} cores, shared with the load generator and the upstream\n")
    for workers, tried in loads.items():
        per_second, most = fastest[workers], allowed[workers]
        failed, memory = sum(load.failed for load in tried), tried[-1].rss_mb
        sys.stdout.write(
            f"{workers} worker(s): {per_second:6.0f} req/s ({per_second / fastest[first]:.2f} x); "
            f"{cheapest[workers]:.3f} CPU ms/req, which allows {most:6.0f} req/s "
            f"({most / allowed[first]:.2f} x); {failed} failed; {memory:.0f} MB resident in all processes\n"
        )


if __name__ == "__main__":
    sys.exit(main())
