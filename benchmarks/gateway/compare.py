"""lynkr beside a bare relay and its peers, in one run on one machine; writes the report of docs/.

    python benchmarks/gateway/compare.py --installed FOLDER [--report docs/performance-report.md] [--quick]

Every gateway runs alone on core 0, the upstream and wrk on core 1.  Gateways take
turns, round by round, and the round with the least processor time counts, since
noise only ever adds.  What may be compared are rows of one table.
"""

import argparse
import sys
import tempfile
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from functools import partial
from pathlib import Path

import targets
from bodies import body
from cases import CASES, DIALECT, Case, Measured
from load import run
from peers import PEERS, Starter
from reporting import report

WARM = (targets.PATHS[DIALECT], body("chat", DIALECT, stream=False))
Start = Callable[[str, Path], AbstractContextManager[targets.Running]]


def _peer(start: Starter, installed: Path, up: str, folder: Path) -> AbstractContextManager[targets.Running]:
    return start(up, WARM, cpu=0, installed=installed, folder=folder)


def starters(installed: Path) -> dict[str, Start]:
    """Everything that can be measured here, the limits first."""
    found: dict[str, Start] = {
        "direct": lambda up, _folder: targets.direct(up),
        "bare relay": lambda up, _folder: targets.bare_relay(up, WARM, cpu=0),
        "lynkr": lambda up, folder: targets.lynkr(up, WARM, cpu=0, folder=folder),
        "lynkr, translated to Chat": lambda up, folder: targets.lynkr(
            up, WARM, cpu=0, folder=folder, served="openai"
        ),
    }
    for name, (start, proof) in PEERS.items():
        if (installed / proof).exists():
            found[name] = partial(_peer, start, installed)
    return found


def measure(found: dict[str, Start], *, seconds: float, rounds: int) -> dict[str, Measured]:
    """Run every case against every gateway."""
    measured = {name: Measured(name) for name in found}
    for latency, gap in sorted({(case.latency, case.gap) for case in CASES}):
        cases = [case for case in CASES if (case.latency, case.gap) == (latency, gap)]
        with tempfile.TemporaryDirectory() as made, targets.upstream(cpu=1, latency=latency, gap=gap) as up:
            for at in range(rounds):
                for name, start in found.items():
                    with ExitStack() as running:
                        target = running.enter_context(start(up, Path(made)))
                        _round(target, measured[name], cases, seconds, is_first=at == 0)
    return measured


def _round(
    target: targets.Running, measured: Measured, cases: list[Case], seconds: float, *, is_first: bool
) -> None:
    if is_first:
        measured.start, measured.idle_mb = target.start, target.idle_mb
    where = target.address(DIALECT)
    # Compilers that learn, pools that fill: nobody is judged by the first seconds.
    run(where, CASES[0].bodies, target.headers, pid=target.pid, connections=16, seconds=3, cpu=1)
    for case in cases:
        load = run(
            where,
            case.bodies,
            target.headers,
            pid=target.pid,
            connections=case.connections,
            seconds=seconds,
            cpu=1,
        )
        measured.add(case, load)
        sys.stderr.write(f"{measured.name:28} {case.name:52} {load.cpu:8.3f} ms {load.per_second:8.0f}/s\n")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--installed", type=Path, required=True)
    parser.add_argument("--report", type=Path)
    parser.add_argument("--seconds", type=float, default=5, help="of each load")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--quick", action="store_true", help="one round of two seconds each")
    parser.add_argument("--only", nargs="*", help="these gateways, beside the bare relay and lynkr")
    arguments = parser.parse_args()
    found = starters(arguments.installed)
    if arguments.only is not None:
        found = {name: start for name, start in found.items() if name not in PEERS or name in arguments.only}
    seconds, rounds = (2, 1) if arguments.quick else (arguments.seconds, arguments.rounds)
    measured = measure(found, seconds=seconds, rounds=rounds)
    for name, python, modules in (
        ("bare relay", sys.executable, "uvicorn, aiohttp"),
        ("lynkr", sys.executable, "lynkr, lynkr.gateway, lynkr_server.app"),
        ("litellm", str(arguments.installed / "litellm" / "bin" / "python"), "litellm.proxy.proxy_server"),
    ):
        if name in measured:
            measured[name].imported = targets.import_seconds(python, modules)
    text = report(measured, "nox -s bench -- gateway")
    if arguments.report is None:
        sys.stdout.write(text)
    else:
        arguments.report.write_text(text, "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
