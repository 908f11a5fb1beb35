"""Trying another target now and then, so that a ledger can tell what it would have been worth.

Off unless an owner asks for it.  The choice is a function of `Snapshot.seed`;
its probability and the candidates are written down, because without them no
estimate of another policy is sound.
"""

from collections.abc import Mapping, Sequence
from typing import Final

from attrs import frozen

from lynkr.errors import ConfigError
from lynkr.routing.decision import Decision, Step, Target, Tier

AS_BEST: Final = "as_best"
EXPLORED: Final = "explored"
_DRAWN: Final = (AS_BEST, EXPLORED)
_MASK: Final = (1 << 64) - 1


@frozen
class Draw:
    """The *target* to put first, the *propensity* it had, and all the *candidates*."""

    target: Target
    propensity: float
    candidates: tuple[Target, ...]


def check_share(epsilon: float) -> float:
    """*epsilon*, if it is a share.

    Raises:
        ConfigError: it is not within [0, 1].
    """
    if not 0.0 <= epsilon <= 1.0:
        raise ConfigError(f"exploration: {epsilon} is no share between 0 and 1")
    return epsilon


def candidates_of(targets: tuple[Target, ...], tiers: tuple[Tier | None, ...]) -> tuple[Target, ...]:
    """What may be tried in place of the first target: its tier's others, the nearest above and below."""
    own = tiers[0]
    found = [target for target, tier in zip(targets, tiers, strict=True) if tier == own]
    if own is None:
        return tuple(found)
    others = [(target, tier) for target, tier in zip(targets, tiers, strict=True) if tier is not None]
    found += [target for target, tier in others if tier > own][:1]
    found += [target for target, tier in others if tier < own][:1]
    return tuple(found)


def draw(candidates: tuple[Target, ...], epsilon: float, seed: int) -> Draw:
    """The first candidate, or, with probability *epsilon*, any of them alike.

    >>> names = [Target("a", "x"), Target("b", "y")]
    >>> [draw(tuple(names), 0.2, seed).propensity for seed in range(2)]
    [0.9, 0.9]
    """
    number = len(candidates)
    uniform = unit(seed)
    chosen = 0
    if uniform < epsilon:
        chosen = min(number - 1, int(uniform / epsilon * number))
    propensity = epsilon / number + (1.0 - epsilon if chosen == 0 else 0.0)
    return Draw(candidates[chosen], propensity, candidates)


def explored_among(trace: Sequence[Step]) -> tuple[Target, ...]:
    """The candidates that a decision was drawn from; none where nothing was drawn."""
    for step in trace:
        if step.name == "exploration" and step.code in _DRAWN:
            candidates = step.data.get("candidates")
            if isinstance(candidates, Sequence) and not isinstance(candidates, str):
                return tuple(Target.parse(str(name)) for name in candidates)
    return ()


def chances_of(decision: Decision) -> Mapping[Target, float]:
    """How probable each target was to be put first; they sum to 1."""
    candidates = explored_among(decision.trace)
    if not candidates:
        return {decision.target: 1.0}
    # Of the best and the others each has one probability, and that of the one drawn is known.
    number = len(candidates)
    if decision.target == candidates[0]:
        rest = (1.0 - decision.propensity) / (number - 1)
        return {target: decision.propensity if target == candidates[0] else rest for target in candidates}
    best = 1.0 - (number - 1) * decision.propensity
    return {target: best if target == candidates[0] else decision.propensity for target in candidates}


def unit(seed: int) -> float:
    """A number in [0, 1) from a seed, whose neighbours lead far apart (the finaliser of SplitMix64)."""
    mixed = (seed + 0x9E3779B97F4A7C15) & _MASK
    mixed = ((mixed ^ (mixed >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    mixed = ((mixed ^ (mixed >> 27)) * 0x94D049BB133111EB) & _MASK
    return ((mixed ^ (mixed >> 31)) >> 11) / float(1 << 53)
