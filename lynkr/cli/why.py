"""``lynkr why``: a recorded decision explained, with the smallest change that would have given another."""

import argparse
from typing import Any

from lynkr.cli.logs import ledger, moment
from lynkr.cli.options import add_config, add_json, read_settings
from lynkr.cli.text import dollars, json_line, printable, table
from lynkr.errors import ConfigError
from lynkr.routing.decision import Decision
from lynkr.routing.recorded import decision_of_json
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
            found = exact or list(store.read(Query(id_prefix=arguments.id, limit=20)))
    if not found:
        raise ConfigError(f"no request {arguments.id!r} is in the ledger; `lynkr logs` lists them")
    if len(found) > 1:
        raise ConfigError(f"{len(found)} requests begin with {arguments.id!r}; give more of the id")
    print(json_line(as_json(found[0])) if arguments.json else as_text(found[0]))
    return 0


def decision_of(record: Record) -> Decision | None:
    """The decision as it was made; None where the client named the target or the record is too old."""
    if record.decision is None or record.tier is None:
        return None
    try:
        return decision_of_json(
            record.decision, tier=record.tier, score=record.score or 0.0, trace=record.trace
        )
    except ValueError:
        return None  # of another version: the trace still explains it


def as_json(record: Record) -> dict[str, Any]:
    """The record's decision and what it explains."""
    decision = decision_of(record)
    return {
        "id": record.id,
        "decision_id": None if decision is None else decision.digest,
        "at": record.at,
        "tier": None if record.tier is None else record.tier.name,
        "score": record.score,
        "reason": record.reason,
        "target": None if record.target is None else str(record.target),
        "session": record.session,
        "cost_microusd": record.cost.cost_microusd,
        "expected_microusd": None if decision is None else decision.expected_microusd,
        "price_version": None if decision is None else decision.price_version,
        "propensity": None if decision is None else decision.propensity,
        "targets": None if decision is None else [str(target) for target in decision.targets],
        **explanation_json(record.trace),
        "trace": [
            {"name": step.name, "reason": step.reason, "score": step.score, "code": step.code}
            for step in record.trace
        ],
    }


def as_text(record: Record) -> str:
    """The explanation, for reading."""
    tier = "named by the client" if record.tier is None else f"{record.tier.name}  (score {record.score:.3f})"
    decision = decision_of(record)
    facts = [
        ("id", record.id),
        ("at", moment(record.at)),
        ("tier", tier),
        ("reason", record.reason or ""),
        ("target", "nothing was served" if record.target is None else str(record.target)),
        ("session", record.session or "none"),
        ("cost", dollars(record.cost.cost_microusd)),
    ]
    if decision is not None:
        expected = decision.expected_microusd
        told = "unknown" if expected is None else dollars(round(expected))
        facts.append(("expected", f"{told} at prices {decision.price_version or 'not known'}"))
        facts.append(("decision", f"{decision.digest} (propensity {decision.propensity:g})"))
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
