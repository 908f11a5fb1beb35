"""``lynkr route``: where a request would go, and why.  Nothing is sent."""

import argparse
import hashlib
import json
import sys
from collections.abc import Callable, Iterator, Mapping
from typing import Any, BinaryIO, Final, TextIO

from attrs import frozen

from lynkr.cli.dialects import prompt_request, request_of
from lynkr.cli.options import add_config, add_json, read_settings
from lynkr.cli.text import json_line, printable, table
from lynkr.errors import ConfigError, LynkrError
from lynkr.model import Json, Request
from lynkr.routing import (
    Decision,
    RequestContext,
    Snapshot,
    Step,
    Target,
    Tier,
    default_policy,
    default_scorers,
    features_of,
)
from lynkr.routing.why import decision_json
from lynkr.settings import Settings
from lynkr.wire.json_body import json_text, parse_value

_CHUNK: Final = 1 << 16


@frozen
class Verdict:
    """A decision; no *targets* where none is configured."""

    tier: Tier
    score: float
    targets: tuple[Target, ...]
    trace: tuple[Step, ...]
    decision: Decision | None = None

    @property
    def target(self) -> str | None:
        return str(self.targets[0]) if self.targets else None


Decide = Callable[[Request], Verdict]


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options of ``lynkr route``."""
    parser.add_argument("prompt", nargs="?", help="what a user would ask")
    add_config(parser)
    add_json(parser, "the decision")
    parser.add_argument(
        "--jsonl",
        action="store_true",
        help='read {"id", "prompt" or "messages", "tools"?} a line from standard input, '
        'write {"id", "tier", "score", "target"} a line',
    )


def run(arguments: argparse.Namespace) -> int:
    """Print the decision; with ``--jsonl`` 1 if a line could not be decided."""
    if arguments.jsonl == (arguments.prompt is not None) or (arguments.jsonl and arguments.json):
        print("lynkr: give a prompt, or --jsonl and the requests on standard input", file=sys.stderr)
        return 2
    decide = decider(read_settings(arguments))
    if arguments.jsonl:
        return decide_lines(decide, sys.stdin.buffer, sys.stdout)
    verdict = decide(prompt_request(arguments.prompt))
    print(json_line(as_json(verdict)) if arguments.json else as_text(verdict))
    return 0


def decider(settings: Settings) -> Decide:
    """How *settings* route; with no target configured, the tier alone is decided."""
    if not settings.tiers and settings.default is None:
        return _tier_decider()
    from lynkr.assembly import build_prices, build_router, constraints_of  # noqa: PLC0415  # reason: the whole gateway
    from lynkr.pricing import rates_of  # noqa: PLC0415  # reason: as above

    prices = build_prices(settings)
    router = build_router(settings, prices)
    snapshot = Snapshot(
        rates=rates_of(prices, settings.targets()), constraints=constraints_of(settings)(RequestContext())
    )

    def decide(request: Request) -> Verdict:
        decision = router.route(request, snapshot)
        return Verdict(decision.tier, decision.score, decision.targets, decision.trace, decision)

    return decide


def _tier_decider() -> Decide:
    policy, scorers = default_policy(), default_scorers()

    def decide(request: Request) -> Verdict:
        features = features_of(request)
        scores = tuple([scorer(features) for scorer in scorers])
        tier, settled = policy(features, scores)
        return Verdict(tier, settled.score or 0.0, (), (*scores, settled))

    return decide


def decide_lines(decide: Decide, source: BinaryIO, out: TextIO) -> int:
    """Answer each line of *source*; what is there is answered before more is waited for."""
    failed = False
    for number, lines in _batches(source):
        answers: list[str] = []
        for at, line in enumerate(lines, number):
            if line.strip():
                answer = _answer(decide, line, at)
                failed = failed or "error" in answer
                answers.append(json.dumps(answer))
        if answers:
            out.write("\n".join(answers) + "\n")
            out.flush()
    return 1 if failed else 0


def _batches(source: BinaryIO) -> Iterator[tuple[int, list[bytes]]]:
    """Whole lines as they arrive, and the number of the first (from 1)."""
    read: Callable[[int], bytes] = getattr(source, "read1", source.read)
    rest: list[bytes] = []
    number = 1
    while chunk := read(_CHUNK):
        head, newline, tail = chunk.rpartition(b"\n")
        if not newline:
            rest.append(chunk)
            continue
        lines = b"".join((*rest, head)).split(b"\n")
        rest = [tail] if tail else []
        yield number, lines
        number += len(lines)
    if rest:
        yield number, [b"".join(rest)]


def _answer(decide: Decide, line: bytes, number: int) -> dict[str, Json]:
    try:
        value: Json = parse_value(line)
    except ValueError as error:
        return {"id": None, "error": f"line {number} is not JSON: {error}"}
    if not isinstance(value, Mapping):
        return {"id": None, "error": f"line {number} is not a JSON object"}
    identity = value.get("id")
    body = {name: field for name, field in value.items() if name != "id"}
    try:
        verdict = decide(request_of(body))
    except ConfigError:
        raise
    except LynkrError as error:
        return {"id": identity, "error": str(error)}
    return {
        "id": identity,
        "tier": verdict.tier.name,
        "score": round(verdict.score, 4),
        "target": verdict.target,
    }


def as_json(verdict: Verdict) -> dict[str, Any]:
    """The decision as one object; its id is a digest, so equal decisions have equal ids."""
    if verdict.decision is not None:
        return decision_json(verdict.decision)
    body: dict[str, Any] = {
        "tier": verdict.tier.name,
        "score": verdict.score,
        "target": verdict.target,
        "targets": list(map(str, verdict.targets)),
        "trace": [
            {
                "name": step.name,
                "reason": step.reason,
                "score": step.score,
                "code": step.code,
                "data": _plain(step.data),
            }
            for step in verdict.trace
        ],
    }
    return {**body, "decision_id": decision_id(body)}


def decision_id(body: Mapping[str, Any]) -> str:
    """16 hexadecimal digits of the SHA-256 of *body*'s canonical JSON."""
    canonical = json.dumps(body, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(canonical.encode()).hexdigest()[:16]


def as_text(verdict: Verdict) -> str:
    """The decision and its trace, a line per step."""
    body = as_json(verdict)
    targets = body["targets"] or ["none is configured"]
    facts = [
        ("tier", f"{verdict.tier.name}  (score {verdict.score:.3f})"),
        ("target", targets[0]),
        *([("then", ", ".join(targets[1:]))] if targets[1:] else []),
        ("id", body["decision_id"]),
    ]
    steps = [
        (step.name, "" if step.score is None else f"{step.score:.3f}", step.code or "", step.reason)
        for step in verdict.trace
    ]
    return "\n".join(
        [
            *(f"{name:<8}{printable(text)}" for name, text in facts),
            "",
            table(("step", "score", "code", "reason"), steps),
        ]
    )


def _plain(value: Json) -> Any:  # noqa: ANN401  # reason: JSON leaves here
    """*value* as lists and dictionaries, which `json` can write."""
    return json.loads(json_text(value))
