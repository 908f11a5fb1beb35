"""Tier policies: from scores to a tier, and ways to combine them.

Each combinator returns a policy, so they nest:

>>> from lynkr.routing.features import Features
>>> policy = at_least(Tier.MEDIUM, when="has_tools", otherwise=weighted())
>>> tier, step = policy(Features(tools=3), ())
>>> tier.name, step.code
('MEDIUM', 'has_tools')

A policy of one's own is a function ``(features, scores) -> (tier, step)`` whose
step is named ``tier``.
"""

from collections.abc import Callable, Mapping
from operator import attrgetter
from types import MappingProxyType
from typing import Final, TypeAlias

from attrs import evolve, field, frozen

from lynkr.errors import ConfigError
from lynkr.model import Json
from lynkr.routing.decision import Step, Tier
from lynkr.routing.features import Features
from lynkr.routing.protocols import TierPolicy
from lynkr.routing.tiers import THRESHOLDS, tier_of

When: TypeAlias = str | Callable[[Features], bool]
"""A condition: a function of the features, or the name of one of their attributes."""

_JUST_BELOW: Final = 0.0001
_AS_FIXED: Final[Mapping[str, Json]] = MappingProxyType({"fixed": True})

STANDS_IN: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType({"classifier": ("effort", "shape")})
"""A scorer that has an opinion, and those it is heard instead of."""
_STAND_INS: Final = frozenset(STANDS_IN)


@frozen
class Condition:
    """A `When` with the reason code it gives."""

    holds: Callable[[Features], bool] = field(repr=False)
    code: str

    @classmethod
    def of(cls, when: When, code: str | None = None) -> "Condition":
        """Read a `When`.

        Raises:
            ConfigError: `Features` has no attribute of that name.
        """
        if not isinstance(when, str):
            return cls(when, code or str(getattr(when, "__name__", "condition")))
        if not hasattr(Features(), when):
            raise ConfigError(f"Features has no attribute {when!r} to decide a tier by")
        return cls(attrgetter(when), code or when)


@frozen
class _Weighted:
    weights: Mapping[str, float]
    thresholds: Mapping[Tier, float]

    def __call__(self, _features: Features, scores: tuple[Step, ...], /) -> tuple[Tier, Step]:
        unheard: tuple[str, ...] = ()
        for step in scores:
            if step.score is not None and step.name in _STAND_INS:
                unheard += STANDS_IN[step.name]
        rest = 1.0
        strongest, most = "nothing", 0.0
        weights = self.weights
        for step in scores:
            share, name = step.score, step.name
            if not share or name in unheard:
                continue
            if weights:
                share *= weights.get(name, 1.0)
            share = min(1.0, max(0.0, share))
            rest *= 1.0 - share
            if share > most:
                strongest, most = name, share
        score = round(1.0 - rest, 4)
        tier = tier_of(score, self.thresholds)
        reason = _MOSTLY.get(strongest) or _mostly(strongest)
        facts: dict[str, Json] = {"strongest": strongest}
        if unheard:
            facts["unheard"] = list(unheard)
        if self.weights:
            facts["weights"] = dict(self.weights)
        if self.thresholds is not THRESHOLDS:
            facts["thresholds"] = {one.name: least for one, least in self.thresholds.items()}
        return tier, Step("tier", reason, score, "difficulty", facts)


def _mostly(scorer: str) -> str:
    return f"difficulty, most of it from {scorer}"


# Those of the shipped scorers are spelt once: a decision takes microseconds.
_MOSTLY: Final = {
    name: _mostly(name) for name in ("nothing", "effort", "shape", "context", "agentic", "risk", "classifier")
}


def weighted(
    weights: Mapping[str, float] | None = None, *, thresholds: Mapping[Tier, float] = THRESHOLDS
) -> TierPolicy:
    """Add up what the scorers found, each times its weight (1 if not named), and look the sum up.

    The sum of scores is ``1 - (1 - w1*s1) * (1 - w2*s2) * ...``: it stays within
    [0, 1], any scorer can raise it alone, and adding one that found nothing
    does not thin the others out, as a mean would.  Scorers that abstained
    (score None) are left out, and so are those another one stands in for
    (`STANDS_IN`): what is learnt from outcomes replaces what words suggest.
    """
    return _Weighted(MappingProxyType(dict(weights or {})), thresholds)


@frozen
class _Fixed:
    tier: Tier
    code: str
    reason: str
    score: float

    def __call__(self, _features: Features, _scores: tuple[Step, ...], /) -> tuple[Tier, Step]:
        return self.tier, Step("tier", self.reason, self.score, self.code, _AS_FIXED)


def fixed(tier: Tier, *, code: str = "fixed", reason: str | None = None) -> TierPolicy:
    """Always *tier*, with the least score of its range."""
    return _Fixed(tier, code, reason or f"always {tier.name}", THRESHOLDS[tier])


@frozen
class _FirstMatch:
    cases: tuple[tuple[Condition, TierPolicy], ...]
    otherwise: TierPolicy

    def __call__(self, features: Features, scores: tuple[Step, ...], /) -> tuple[Tier, Step]:
        for condition, policy in self.cases:
            if condition.holds(features):
                return policy(features, scores)
        return self.otherwise(features, scores)


def first_match(*cases: tuple[When, TierPolicy], otherwise: TierPolicy) -> TierPolicy:
    """The policy of the first condition that holds.

    >>> policy = first_match(("needs_vision", fixed(Tier.MEDIUM)), otherwise=fixed(Tier.SIMPLE))
    >>> policy(Features(images=1), ())[0].name
    'MEDIUM'
    """
    return _FirstMatch(tuple((Condition.of(when), policy) for when, policy in cases), otherwise)


@frozen
class _Bound:
    tier: Tier
    is_floor: bool
    condition: Condition | None

    def applied(self, tier: Tier, step: Step) -> tuple[Tier, Step]:
        score = step.score or 0.0
        if self.is_floor:
            score, code, verb = max(score, THRESHOLDS[self.tier]), "at_least", "raised"
        else:
            above = THRESHOLDS.get(Tier(self.tier + 1), 1.0) - _JUST_BELOW
            score, code, verb = min(score, above), "at_most", "lowered"
        if self.condition is not None:
            code = self.condition.code
        reason = f"{verb} from {tier.name} to {self.tier.name}: {code} ({step.reason})"
        facts: dict[str, Json] = {**step.data, "from": tier.name}
        return self.tier, evolve(step, reason=reason, score=round(score, 4), code=code, data=facts)


@frozen
class _Bounded:
    """A policy and what its tier is held to, the first bound first."""

    policy: TierPolicy
    bounds: tuple[_Bound, ...]

    def __call__(self, features: Features, scores: tuple[Step, ...], /) -> tuple[Tier, Step]:
        tier, step = self.policy(features, scores)
        for bound in self.bounds:
            limit = bound.tier
            if tier < limit if bound.is_floor else tier > limit:
                condition = bound.condition
                if condition is None or condition.holds(features):
                    tier, step = bound.applied(tier, step)
        return tier, step


def _bounded(policy: TierPolicy, bound: _Bound) -> TierPolicy:
    if isinstance(policy, _Bounded):  # one loop costs less than calls within calls
        return _Bounded(policy.policy, (*policy.bounds, bound))
    return _Bounded(policy, (bound,))


def _condition(when: When | None, code: str | None) -> Condition | None:
    if when is None:
        return None if code is None else Condition(lambda _features: True, code)
    return Condition.of(when, code)


def at_least(
    tier: Tier, *, when: When | None = None, otherwise: TierPolicy, code: str | None = None
) -> TierPolicy:
    """*otherwise*'s tier, but no lower than *tier* where the condition holds (always, if there is none).

    The score is lifted to the tier's threshold, so that score and tier keep agreeing.
    """
    return _bounded(otherwise, _Bound(tier, True, _condition(when, code)))


def at_most(
    tier: Tier, *, when: When | None = None, otherwise: TierPolicy, code: str | None = None
) -> TierPolicy:
    """*otherwise*'s tier, but no higher than *tier* where the condition holds (always, if there is none)."""
    return _bounded(otherwise, _Bound(tier, False, _condition(when, code)))


def default_policy() -> TierPolicy:
    """Side traffic and small talk are SIMPLE; else the difficulty, with floors.

    Floors: MEDIUM inside a tool loop; COMPLEX for a planning subagent, for an autonomous errand, for
    a loop that keeps failing, and for changes where a mistake is dear.  None
    of them reaches REASONING: only what the user asks for does.  A subagent that
    only looks around stays at MEDIUM, however long what it was told.
    """
    talk = first_match(
        ("is_small_talk", fixed(Tier.SIMPLE, code="small_talk", reason="a greeting or thanks")),
        otherwise=weighted(),
    )
    looked = at_most(Tier.MEDIUM, when="is_exploring_subagent", code="light_subagent", otherwise=talk)
    planned = at_least(Tier.COMPLEX, when="is_planning_subagent", code="planning_subagent", otherwise=looked)
    looped = at_least(Tier.MEDIUM, when="in_tool_loop", code="tool_loop", otherwise=planned)
    failing = at_least(Tier.COMPLEX, when="is_struggling", code="tool_errors", otherwise=looped)
    errand = at_least(Tier.COMPLEX, when="is_autonomous", code="autonomous", otherwise=failing)
    dear = at_least(Tier.COMPLEX, when="is_risky", code="risk", otherwise=errand)
    return first_match(
        ("is_side_traffic", fixed(Tier.SIMPLE, code="side_traffic", reason="the harness's own upkeep")),
        otherwise=dear,
    )
