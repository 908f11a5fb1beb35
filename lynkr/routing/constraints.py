"""Target rules for what a request may use, cost and take.

::

    rule               drops targets                      if that leaves none
    obeys_policy       not allowed, or blocked            TargetNotAllowed: a ban is a ban
    within_budget      expected to cost more              TargetNotAllowed: a budget is a budget
    meets_deadline     expected to take longer            the fastest is kept (panic)
    avoids_dominated   none: a stronger target that is no dearer goes first

Unknown prices and latencies exclude nothing.  With nothing set in the snapshot each is a look at
one field.
"""

from collections.abc import Mapping
from typing import Final, TypeAlias

from attrs import frozen

from lynkr.routing.decision import CacheKind, Constraints, Snapshot, Step, Target, Tariff, Tier
from lynkr.routing.economics import expected_microusd
from lynkr.routing.features import Features
from lynkr.routing.protocols import TargetRule

NOT_ALLOWED: Final = "not_allowed"
BLOCKED: Final = "blocked"
OVER_BUDGET: Final = "over_budget"
TOO_SLOW: Final = "too_slow"

_LOCAL: Final = CacheKind.LOCAL
_Ladder: TypeAlias = tuple[Target, ...]
_NO_POLICY: Final = Step("policy", "no target is banned", code="no_policy")
_NO_BUDGET: Final = Step("budget", "no budget", code="no_budget")
_NO_DEADLINE: Final = Step("deadline", "no deadline", code="no_deadline")
_UNDOMINATED: Final = Step("dominance", "no stronger target costs less", code="undominated")


def matches(target: Target, patterns: frozenset[str]) -> bool:
    """Whether a set of ``provider:model`` and ``provider:*`` names *target*."""
    return str(target) in patterns or f"{target.provider}:*" in patterns


def ban_of(target: Target, rules: Constraints) -> str | None:
    """Why *target* may not be used, as a reason code; None if it may.  A block stands above an allowance."""
    if rules.blocked and matches(target, rules.blocked):
        return BLOCKED
    if rules.allowed is not None and not matches(target, rules.allowed):
        return NOT_ALLOWED
    return None


def tightened(one: Constraints, other: Constraints) -> Constraints:
    """What holds where both hold: allowed by both, blocked by either, the smaller budget and deadline."""
    if one.allowed is None or other.allowed is None:
        allowed = other.allowed if one.allowed is None else one.allowed
    else:
        allowed = frozenset(
            [name for name in one.allowed if _covers(other.allowed, name)]
            + [name for name in other.allowed if _covers(one.allowed, name)]
        )
    return Constraints(
        deadline_seconds=_least(one.deadline_seconds, other.deadline_seconds),
        budget_microusd=_least(one.budget_microusd, other.budget_microusd),
        allowed=allowed,
        blocked=one.blocked | other.blocked,
    )


def _covers(patterns: frozenset[str], name: str) -> bool:
    """Whether everything that the pattern *name* matches is matched by *patterns*."""
    return name in patterns or f"{name.partition(':')[0]}:*" in patterns


def _least(one: float | None, other: float | None) -> float | None:
    if one is None or other is None:
        return other if one is None else one
    return min(one, other)


def obeys_policy(targets: _Ladder, _features: Features, snapshot: Snapshot, /) -> tuple[_Ladder, Step]:
    """Only what is allowed, nothing that is blocked; a block stands above an allowance."""
    rules = snapshot.constraints
    if rules.allowed is None and not rules.blocked:
        return targets, _NO_POLICY
    excluded: dict[str, str] = {}
    for target in targets:
        code = ban_of(target, rules)
        if code is not None:
            excluded[str(target)] = code
    return _keeping("policy", targets, excluded)


def within_budget(targets: _Ladder, features: Features, snapshot: Snapshot, /) -> tuple[_Ladder, Step]:
    """Only what the rest of the budget surely or possibly pays for."""
    budget = snapshot.constraints.budget_microusd
    if budget is None:
        return targets, _NO_BUDGET
    excluded: dict[str, str] = {}
    for target in targets:
        cost = expected_microusd(snapshot, target, features.input_tokens, features.max_output_tokens)
        if cost is not None and cost > budget:
            excluded[str(target)] = OVER_BUDGET
    return _keeping("budget", targets, excluded)


def meets_deadline(targets: _Ladder, _features: Features, snapshot: Snapshot, /) -> tuple[_Ladder, Step]:
    """Only what is expected to answer in time; if none is, the fastest alone."""
    deadline = snapshot.constraints.deadline_seconds
    if deadline is None:
        return targets, _NO_DEADLINE
    slow = {target: taken for target in targets if (taken := snapshot.latencies.get(target, 0.0)) > deadline}
    if slow and len(slow) == len(targets):
        fastest = min(targets, key=lambda target: (slow[target], targets.index(target)))
        rest: dict[str, str] = {str(target): TOO_SLOW for target in targets if target != fastest}
        reason = f"none answers within {deadline:g} s; {fastest} is the fastest"
        return (fastest,), Step("deadline", reason, code="panic", data={"excluded": rest})
    return _keeping("deadline", targets, {str(target): TOO_SLOW for target in slow})


@frozen
class _AvoidsDominated:
    strength: Mapping[Target, Tier]

    def __call__(self, targets: _Ladder, _features: Features, snapshot: Snapshot, /) -> tuple[_Ladder, Step]:
        tariffs = snapshot.rates.tariffs
        first = targets[0]
        tariff, strength = tariffs.get(first), self.strength.get(first)
        if tariff is None or strength is None:
            return targets, _UNDOMINATED
        for other in targets[1:]:
            better, above = tariffs.get(other), self.strength.get(other)
            if better is not None and above is not None and above > strength and is_cheaper(better, tariff):
                rest = tuple(target for target in targets if target != other)
                reason = f"{other} is stronger than {first} and costs less"
                return (other, *rest), Step("dominance", reason, code="dominated")
        return targets, _UNDOMINATED


def avoids_dominated(strength: Mapping[Target, Tier]) -> TargetRule:
    """Never a target that is both weaker and dearer than another; *strength* is each one's highest tier.

    Within a tier the owner's order stands.  Local targets are left out: what they cost is time, not money.
    """
    return _AvoidsDominated(strength)


def is_cheaper(one: Tariff, other: Tariff) -> bool:
    """No rate of *one* is above *other*'s, and one is below; two paid targets only."""
    if one.input > other.input or one.output > other.output:
        return False
    if one.cache is _LOCAL or other.cache is _LOCAL:
        return False
    warm, cold, others_warm, others_cold = one.warm, one.cold, other.warm, other.cold
    if warm > others_warm or cold > others_cold:
        return False
    return one.input < other.input or one.output < other.output or warm < others_warm or cold < others_cold


def _keeping(name: str, targets: _Ladder, excluded: Mapping[str, str]) -> tuple[_Ladder, Step]:
    if not excluded:
        return targets, Step(name, "all may", code="all_may")
    kept = tuple(target for target in targets if str(target) not in excluded)
    code = next(iter(excluded.values()))
    return kept, Step(name, f"excluded {', '.join(excluded)}", code=code, data={"excluded": excluded})
