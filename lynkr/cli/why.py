"""``lynkr why``: a recorded decision explained, with the smallest change that would have given another."""

import argparse
from typing import Any

from lynkr.cli.logs import ledger, moment
from lynkr.cli.options import add_config, add_json, read_settings
from lynkr.cli.text import dollars, json_line, printable, table
from lynkr.errors import ConfigError
from lynkr.routing.why import candidates_of, exclusions_of, explanation_json, flips_of
from lynkr.telemetry import Query, Record


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options of ``lynkr why``."""
    parser.add_argument("id", help="what x-lynkr-decision-id said, or its beginning; 'last' is the newest")
    add_config(parser)
    add_json(parser, "the explanation")


def run(arguments: argparse.Namespace) -> int:
    """Print the explanation.

    Raises:
        ConfigError: there is no ledger, or no such request in it.
    """
    with ledger(read_settings(arguments)) as store:
        if arguments.id == "last":
            found = list(store.read(Query(limit=1)))
        else:
            exact = list(store.read(Query(id=arguments.id, limit=1)))
            found = exact or [r for r in store.read(Query(limit=None)) if r.id.startswith(arguments.id)]
    if not found:
        raise ConfigError(f"no request {arguments.id!r} is in the ledger; `lynkr logs` lists them")
    if len(found) > 1:
        raise ConfigError(f"{len(found)} requests begin with {arguments.id!r}; give more of the id")
    print(json_line(as_json(found[0])) if arguments.json else as_text(found[0]))
    return 0


def as_json(record: Record) -> dict[str, Any]:
    """The record's decision and what it explains."""
    return {
        "id": record.id,
        "at": record.at,
        "tier": None if record.tier is None else record.tier.name,
        "score": record.score,
        "reason": record.reason,
        "target": None if record.target is None else str(record.target),
        "session": record.session,
        "cost_microusd": record.cost.cost_microusd,
        **explanation_json(record.trace),
        "trace": [
            {"name": step.name, "reason": step.reason, "score": step.score, "code": step.code}
            for step in record.trace
        ],
    }


def as_text(record: Record) -> str:
    """The explanation, for reading."""
    tier = "named by the client" if record.tier is None else f"{record.tier.name}  (score {record.score:.3f})"
    facts = [
        ("id", record.id),
        ("at", moment(record.at)),
        ("tier", tier),
        ("reason", record.reason or ""),
        ("target", "nothing was served" if record.target is None else str(record.target)),
        ("session", record.session or "none"),
        ("cost", dollars(record.cost.cost_microusd)),
    ]
    lines = [f"{name:<9}{printable(text)}" for name, text in facts]
    out = {left.target: f"{left.code} ({left.rule})" for left in exclusions_of(record.trace)}
    rows = [
        (target, tier or "default", out.get(target, ""))
        for target, tier in candidates_of(record.trace).items()
    ]
    if rows:
        lines += ["", table(("candidate", "tier", "left out because"), rows)]
    steps = [
        (step.name, "" if step.score is None else f"{step.score:.3f}", step.code or "", step.reason)
        for step in record.trace
    ]
    if steps:
        lines += ["", table(("step", "score", "code", "reason"), steps)]
    flips = flips_of(record.trace)
    if flips:
        lines += ["", f"smallest change: {flips[0].reason} gives {flips[0].tier.name}"]
        lines += [f"or: {flip.reason} gives {flip.tier.name}" for flip in flips[1:]]
    return "\n".join(lines)
