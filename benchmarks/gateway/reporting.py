"""The report of a run, in Markdown."""

import datetime
import os
import platform
from collections.abc import Callable
from typing import Final

from cases import CASES, Case, Measured
from load import Load
from upstream import EVENTS

_METHOD = """\
Each gateway runs on one core, the scripted upstream and wrk on the other; they take turns, and of each
the round with the least processor time counts. lynkr has everything on: routing, breakers, the ledger on
SQLite. The bare relay is uvicorn (uvloop, httptools) and aiohttp, as lynkr is, and does nothing at all: it
does not even parse the body. Compare the columns of a row, not two reports."""
_LYNKR_NODE: Final = 5.4 / 0.88
"""CPU of the Node program of the same name as a multiple of Portkey's, both measured on one machine with the
same 2 KB chat before this project began; it cannot be installed from a registry to be measured again."""
Cell = Callable[[Measured, Case], str]


def table(head: list[str], rows: list[list[str]]) -> str:
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    return "\n".join(lines + ["| " + " | ".join(row) + " |" for row in rows])


def report(measured: dict[str, Measured], command: str) -> str:
    """Every table, a section each."""
    gateways = {name: ran for name, ran in measured.items() if name != "direct"}
    bare, direct = measured["bare relay"], measured["direct"]
    streams = [case for case in CASES if case.stream]
    today = f"{datetime.datetime.now(datetime.UTC):%Y-%m-%d}"
    machine = f"{platform.machine()}, {os.cpu_count()} cores, CPython {platform.python_version()}"
    sections = (
        f"# How fast the gateway is\n\nMade on {today} by `{command}` on {machine}.",
        _METHOD,
        "## Processor time per request, ms",
        _cases(gateways, CASES, lambda ran, case: _ms(ran.loads[case.name].cpu)),
        "As multiples of the bare relay:",
        _cases(
            gateways, CASES, lambda ran, case: f"{ran.loads[case.name].cpu / bare.loads[case.name].cpu:.1f}"
        ),
        "## Requests per second",
        _cases(measured, CASES, lambda ran, case: f"{ran.loads[case.name].per_second:.0f}"),
        "## Latency, p50 / p99 ms",
        _cases(measured, CASES, _latency),
        "Added to asking the upstream directly:",
        _cases(gateways, CASES, lambda ran, case: _added(ran, direct, case)),
        f"## Processor microseconds per streamed event, {EVENTS} events a stream",
        _cases(gateways, streams, lambda ran, case: f"{ran.loads[case.name].cpu * 1e3 / EVENTS:.1f}"),
        "## Failed requests, start, memory",
        _footprint(gateways),
        "## The bars",
        bars(measured),
    )
    return "\n\n".join(sections) + "\n"


def _cases(measured: dict[str, Measured], cases: list[Case] | tuple[Case, ...], cell: Cell) -> str:
    rows = [[case.name, *[cell(ran, case) for ran in measured.values()]] for case in cases]
    return table(["case", *measured], rows)


def _ms(value: float) -> str:
    return f"{value:.3f}" if value < 1 else f"{value:.1f}"


def _latency(ran: Measured, case: Case) -> str:
    load = ran.loads[case.name]
    return f"{load.p50:.1f} / {load.p99:.1f}"


def _added(ran: Measured, direct: Measured, case: Case) -> str:
    load, least = ran.loads[case.name], direct.loads[case.name]
    return f"{load.p50 - least.p50:+.1f} / {load.p99 - least.p99:+.1f}"


def _most(ran: Measured, get: Callable[[Load], float]) -> float:
    return max(get(load) for load in ran.loads.values())


def _footprint(measured: dict[str, Measured]) -> str:
    every = list(measured.values())
    rows = [
        ["failed requests", *[str(sum(load.failed for load in ran.loads.values())) for ran in every]],
        ["start to the first 200, s", *[f"{ran.start:.2f}" for ran in every]],
        ["import, s", *["-" if ran.imported is None else f"{ran.imported:.2f}" for ran in every]],
        ["resident at rest, MB", *[f"{ran.idle_mb:.0f}" for ran in every]],
        ["resident after load, MB", *[f"{_most(ran, lambda load: load.rss_mb):.0f}" for ran in every]],
    ]
    return table(["", *measured], rows)


def bars(measured: dict[str, Measured]) -> str:
    """What lynkr set out to be, beside what it was in this run."""
    ours, bare, other = (measured[n].loads for n in ("lynkr", "bare relay", "lynkr, translated to Chat"))
    chat, agent, many, slow = "2 KB chat, 64 at once", "60 KB agent, 64 at once", CASES[3].name, CASES[4].name
    stream = next(case.name for case in CASES if case.stream)
    rows = [
        ("CPU, 2 KB chat, times the bare relay", ours[chat].cpu / bare[chat].cpu, 3.0),
        ("CPU, 60 KB agent body, times the bare relay", ours[agent].cpu / bare[agent].cpu, 2.5),
        ("CPU, chat translated, times the same dialect", other[chat].cpu / ours[chat].cpu, 2.0),
        ("CPU per event, same dialect, times the bare relay", ours[stream].cpu / bare[stream].cpu, 2.0),
        ("CPU per event, translated, times the bare relay", other[stream].cpu / bare[stream].cpu, 5.0),
        ("p99 at 64 at once above an upstream of 50 ms, ms", ours[slow].p99 - 50.0, 40.0),
        ("failed requests at 256 at once", float(ours[many].failed), 0.0),
        ("resident after load, MB", _most(measured["lynkr"], lambda load: load.rss_mb), 90.0),
        ("start to the first 200, s", measured["lynkr"].start, 0.8),
    ]
    if "portkey" in measured:
        theirs = measured["portkey"].loads[chat]
        share = ours[chat].cpu / theirs.cpu
        rows.append(("CPU, 2 KB chat, times Portkey", share, 0.5))
        rows.append(("CPU, 2 KB chat, times Lynkr (Node), by way of Portkey", share / _LYNKR_NODE, 1 / 12))
        rows.append(
            ("Portkey's requests a second, times ours", theirs.per_second / ours[chat].per_second, 0.5)
        )
    if "litellm" in measured:
        # It has stopped answering under the first in some runs.
        case = next(name for name in (chat, slow) if measured["litellm"].loads[name].requests)
        share = ours[case].cpu / measured["litellm"].loads[case].cpu
        rows.append((f"CPU, {case}, times LiteLLM", share, 1 / 15))
    shown = [
        [name, f"{here:.2f}", f"{bar:.2f}", "met" if here <= bar else "**missed**"]
        for name, here, bar in rows
    ]
    return table(["measure", "here", "at most", ""], shown)
