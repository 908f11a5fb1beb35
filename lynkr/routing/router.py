"""The router: features, scores, a tier, a ladder of targets, rules; a trace line for each."""

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Final, Self

from attrs import frozen

from lynkr.errors import CapabilityError, RoutingError
from lynkr.model import Json, Request
from lynkr.routing.decision import UNKNOWN_PROFILE, Decision, Profile, Snapshot, Step, Target, Tier
from lynkr.routing.features import Features, Traffic, features_of
from lynkr.routing.policy import default_policy
from lynkr.routing.protocols import Scorer, TargetRule, TierPolicy
from lynkr.routing.rules import CAPABILITY_CODES, default_rules
from lynkr.routing.scorers import default_scorers
from lynkr.routing.tiers import Rung, TierMap

_NEEDS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "lacks_vision": "vision",
        "lacks_tools": "tools",
        "lacks_structured_output": "structured output",
        "context_too_small": "a larger context window",
    }
)

_TRAFFIC: Final = MappingProxyType({traffic: f"{traffic}_traffic" for traffic in Traffic})


@frozen
class _Ladder:
    """A tier's ladder, its trace line, and which tier each target is taken from."""

    targets: tuple[Target, ...]
    tiers: tuple[Tier | None, ...]
    step: Step

    @classmethod
    def of(cls, tier: Tier, rungs: Sequence[Rung]) -> Self:
        targets = tuple(rung.target for rung in rungs)
        return cls(targets, tuple(rung.tier for rung in rungs), _ladder_step(tier, rungs))

    def tiers_of(self, targets: tuple[Target, ...]) -> tuple[Tier | None, ...]:
        if targets is self.targets:
            return self.tiers
        origin = dict(zip(self.targets, self.tiers, strict=True))
        return tuple([origin.get(target) for target in targets])


class PipelineRouter:
    """Request and snapshot in, decision out; a pure function of the two.

    *tiers* maps a tier to its targets in order, as `Target` or
    ``provider:model[:variant]``.  *default* serves everything when no tier is
    given.  *scorers*, *policy* and *rules* replace the ones lynkr ships; each
    is a plain function (`lynkr.routing.protocols`).  *profiles* tells what a
    target can do; it is asked once per target, here.

    >>> from lynkr.model import Message
    >>> router = PipelineRouter({Tier.SIMPLE: ["ollama:qwen3"], Tier.COMPLEX: ["anthropic:opus"]})
    >>> ask = "refactor billing across three services"
    >>> request = Request(model="auto", messages=(Message.user(ask),))
    >>> decision = router.route(request, Snapshot())
    >>> decision.tier.name, str(decision.target)
    ('COMPLEX', 'anthropic:opus')

    Raises:
        ConfigError: a target cannot be read, or there is none.
    """

    def __init__(
        self,
        tiers: Mapping[Tier, Sequence[Target | str] | Target | str],
        *,
        default: Target | None = None,
        scorers: Sequence[Scorer] | None = None,
        policy: TierPolicy | None = None,
        rules: Sequence[TargetRule] | None = None,
        profiles: Callable[[Target], Profile] = lambda _target: UNKNOWN_PROFILE,
    ) -> None:
        self._tiers = TierMap.of(tiers, default=default)
        self._ladders = {tier: _Ladder.of(tier, self._tiers.ladder(tier)) for tier in Tier}
        self._scorers = default_scorers() if scorers is None else tuple(scorers)
        self._policy = default_policy() if policy is None else policy
        known = {target: profiles(target) for target in self._ladders[Tier.SIMPLE].targets}
        self._rules = default_rules(known.__getitem__) if rules is None else tuple(rules)

    @property
    def tiers(self) -> TierMap:
        return self._tiers

    def route(self, request: Request, snapshot: Snapshot, /) -> Decision:
        """Decide.

        Raises:
            CapabilityError: no configured target can serve such a request; its
                message names what is missing.
            RoutingError: a rule left no target for another reason.
        """
        return self.decide(features_of(request), snapshot)

    def decide(self, features: Features, snapshot: Snapshot, /) -> Decision:
        """As `route`, from features taken earlier (a replay has no request, only these).

        Raises:
            CapabilityError: as `route`.
            RoutingError: as `route`.
        """
        scores = tuple([scorer(features) for scorer in self._scorers])
        tier, settled = self._policy(features, scores)
        ladder = self._ladders[tier]
        trace = [_features_step(features), *scores, settled, ladder.step]
        targets = ladder.targets
        for rule in self._rules:
            targets, step = rule(targets, features, snapshot)
            trace.append(step)
            if not targets:
                raise _nothing_left(trace)
        return Decision(
            tier=tier,
            score=settled.score if settled.score is not None else 0.0,
            targets=targets,
            tiers=ladder.tiers_of(targets),
            trace=tuple(trace),
        )


def _features_step(features: Features) -> Step:
    facts: dict[str, Json] = {
        "input_tokens": features.input_tokens,
        "messages": features.messages,
        "tools": features.tools,
        "extra_tools": features.extra_tools,
        "tool_results": features.tool_results,
        "loop_results": features.loop_results,
        "images": features.images,
        "ask": features.reading.kind,
    }
    reason = f"{features.messages} messages, {features.tools} tools, about {features.input_tokens} tokens"
    return Step("features", reason, code=_TRAFFIC[features.traffic], data=facts)


def _ladder_step(tier: Tier, rungs: Sequence[Rung]) -> Step:
    serving = rungs[0].tier
    if serving is tier:
        return Step("ladder", f"{len(rungs)} targets from {tier.name}", code="tier_served")
    if serving is None:
        return Step("ladder", "no tiers are set: the default target serves", code="default_target")
    return Step("ladder", f"{tier.name} has no target: {serving.name} serves", code="tier_missing")


def _nothing_left(trace: Sequence[Step]) -> RoutingError:
    excluded: dict[str, str] = {}
    for step in trace:
        dropped = step.data.get("excluded")
        if isinstance(dropped, Mapping):
            excluded.update({target: str(code) for target, code in dropped.items()})
    last = trace[-1]
    lacks = sorted({code for code in excluded.values() if code in CAPABILITY_CODES})
    details = "; ".join(f"{target}: {code}" for target, code in excluded.items())
    if last.code in CAPABILITY_CODES:
        needs = " and ".join(_NEEDS[code] for code in lacks)
        return CapabilityError(f"no configured target can serve this request: it needs {needs} ({details})")
    return RoutingError(
        f"rule {last.name!r} left no target: {last.reason}" + (f" ({details})" if details else "")
    )
