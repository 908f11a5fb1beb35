"""A decision explained: who could have served, who was left out and why, what would have changed the tier.

Everything is read from the trace, so a record in the ledger tells as much as
the decision itself did.
"""

import json
from collections.abc import Mapping, Sequence
from hashlib import sha256
from typing import Any, Final, cast

from attrs import evolve, frozen

from lynkr.model import Json
from lynkr.routing.decision import Decision, Step, Tier
from lynkr.routing.policy import STANDS_IN
from lynkr.routing.tiers import THRESHOLDS, tier_of

_ROUNDING: Final = 0.0002
_FIRST_STEPS: Final = ("features",)


@frozen
class Exclusion:
    """A target that *rule* left out; *code* is the reason."""

    target: str
    rule: str
    code: str


@frozen
class Flip:
    """One change that gives another tier.

    *change* is how far the difficulty would have to move, negative if down;
    None where a fact must change and not a number.  *step* is the step of the trace it is about.
    """

    tier: Tier
    step: str
    reason: str
    change: float | None = None


def exclusions_of(trace: Sequence[Step]) -> tuple[Exclusion, ...]:
    """Every target a rule left out, in the order of the rules."""
    return tuple(
        Exclusion(str(target), step.name, str(code))
        for step in trace
        for target, code in _mapping(step.data.get("excluded")).items()
    )


def candidates_of(trace: Sequence[Step]) -> Mapping[str, str | None]:
    """Every target that was looked at, and the tier it was taken from, in the ladder's order."""
    for step in trace:
        if step.name == "ladder":
            found = _mapping(step.data.get("targets"))
            return {target: None if tier is None else str(tier) for target, tier in found.items()}
    return {}


def flips_of(trace: Sequence[Step]) -> tuple[Flip, ...]:
    """What would have given another tier, the smallest change first.

    Changes of one thing only: more or less difficulty in all, one scorer that had found nothing,
    or a floor that had not been in force.  Empty when the trace settles no tier, or
    a policy of somebody's own settled it, of which it is not known how.
    """
    at = next((place for place, step in enumerate(trace) if step.name == "tier"), None)
    if at is None or trace[at].score is None:
        return ()
    settled = trace[at]
    sum_ = _Sum.of(settled)
    scores = [step for step in trace[:at] if step.name not in _FIRST_STEPS and step.score is not None]
    difficulty = sum_.added(scores)
    score = settled.score or 0.0
    tier = tier_of(score, sum_.thresholds)
    if "from" in settled.data or "fixed" in settled.data:
        return _flips_of_fact(settled, tier, difficulty, sum_.thresholds)
    if abs(difficulty - score) > _ROUNDING:
        return ()
    flips: list[Flip] = []
    if tier < Tier.REASONING:
        above = Tier(tier + 1)
        more = sum_.thresholds[above] - score
        reason = f"{more:.3f} more difficulty, to {sum_.thresholds[above]:.2f}"
        flips.append(Flip(above, "tier", reason, round(more, 4)))
    if tier > Tier.SIMPLE:
        less = score - sum_.thresholds[tier]
        reason = f"more than {less:.3f} less difficulty, below {sum_.thresholds[tier]:.2f}"
        flips.append(Flip(Tier(tier - 1), "tier", reason, -round(less, 4)))
    silent = {step.name for step in trace[:at] if step.code == "stood_in"}
    for step in scores:
        if not silent.isdisjoint(STANDS_IN.get(step.name, ())):
            continue  # what those it stands in for would have found is not known
        found = sum_.without(step, scores)
        without = tier_of(found, sum_.thresholds)
        if without is not tier:
            change = round(found - score, 4)
            flips.append(Flip(without, step.name, f"nothing found by {step.name}", change))
    return tuple(sorted(flips, key=_size))


def digest_of(decision: Decision) -> str:
    """16 hexadecimal digits of the SHA-256 of the decision's canonical JSON."""
    text = json.dumps(
        _plain(decision), sort_keys=True, separators=(",", ":"), ensure_ascii=True, default=_json
    )
    return sha256(text.encode()).hexdigest()[:16]


def decision_json(decision: Decision) -> dict[str, Any]:
    """The decision and its explanation as one JSON object."""
    body = _plain(decision)
    return {
        **cast("dict[str, Any]", json.loads(json.dumps(body, default=_json))),
        "target": body["targets"][0] if body["targets"] else None,
        "reason": decision.reason,
        **explanation_json(decision.trace),
        "decision_id": digest_of(decision),
    }


def explanation_json(trace: Sequence[Step]) -> dict[str, Any]:
    """What a trace explains: ``candidates``, ``excluded`` and ``flips``."""
    return {
        "candidates": dict(candidates_of(trace)),
        "excluded": [
            {"target": left.target, "rule": left.rule, "code": left.code} for left in exclusions_of(trace)
        ],
        "flips": [
            {"tier": flip.tier.name, "step": flip.step, "reason": flip.reason, "change": flip.change}
            for flip in flips_of(trace)
        ],
    }


def _flips_of_fact(
    settled: Step, tier: Tier, difficulty: float, thresholds: Mapping[Tier, float]
) -> tuple[Flip, ...]:
    """A floor, a ceiling or a fixed tier, not the difficulty, gave the tier."""
    lifted_from = settled.data.get("from")
    other = Tier[lifted_from] if isinstance(lifted_from, str) else tier_of(difficulty, thresholds)
    code = settled.code or settled.name
    fact = Flip(other, "tier", f"were it not for {code}")
    flips = [fact] if other is not tier else []
    if tier < Tier.REASONING and difficulty < thresholds[Tier(tier + 1)]:
        more = thresholds[Tier(tier + 1)] - difficulty
        reason = f"{more:.3f} more difficulty than the {difficulty:.3f} found"
        # A floor is outgrown; a ceiling or a fixed tier stands against any difficulty.
        if not (isinstance(lifted_from, str) and Tier[lifted_from] < tier):
            reason = f"{fact.reason}, and {reason}"
        flips.append(Flip(Tier(tier + 1), "tier", reason, round(more, 4)))
    return tuple(flips)


@frozen
class _Sum:
    """How the steps' scores were added up, as the step that settled the tier says."""

    weights: Mapping[str, Json]
    unheard: frozenset[str]
    thresholds: Mapping[Tier, float]

    @classmethod
    def of(cls, settled: Step) -> "_Sum":
        unheard, limits = settled.data.get("unheard"), _mapping(settled.data.get("thresholds"))
        names = unheard if isinstance(unheard, Sequence) else ()
        return cls(
            _mapping(settled.data.get("weights")),
            frozenset(map(str, names)),
            {Tier[name]: float(str(least)) for name, least in limits.items()} or THRESHOLDS,
        )

    def added(self, steps: Sequence[Step]) -> float:
        rest = 1.0
        for step in steps:
            if step.name not in self.unheard:
                weight = float(str(self.weights.get(step.name, 1.0)))
                rest *= 1.0 - min(1.0, max(0.0, (step.score or 0.0) * weight))
        return round(1.0 - rest, 4)

    def without(self, step: Step, steps: Sequence[Step]) -> float:
        """The sum had *step* found nothing; those that it is heard instead of are then heard."""
        others = [other for other in steps if other is not step]
        if self.unheard.intersection(STANDS_IN.get(step.name, ())):
            return evolve(self, unheard=self.unheard.difference(STANDS_IN[step.name])).added(others)
        return self.added(others)


def _size(flip: Flip) -> float:
    return 0.0 if flip.change is None else abs(flip.change)


def _mapping(value: Json) -> Mapping[str, Json]:
    return value if isinstance(value, Mapping) else {}


def _plain(decision: Decision) -> dict[str, Any]:
    return {
        "tier": decision.tier.name,
        "score": decision.score,
        "targets": [str(target) for target in decision.targets],
        "tiers": [None if tier is None else tier.name for tier in decision.tiers],
        "propensity": decision.propensity,
        "expected_microusd": decision.expected_microusd,
        "price_version": decision.price_version,
        "trace": [
            {"name": s.name, "reason": s.reason, "score": s.score, "code": s.code, "data": s.data}
            for s in decision.trace
        ],
    }


def _json(value: object) -> object:
    if isinstance(value, Mapping):
        return dict(cast("Mapping[str, Json]", value))
    return list(cast("Sequence[Json]", value))
