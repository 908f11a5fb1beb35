"""The router: features, scores, a tier, a ladder of targets, rules; a trace line for each."""

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Final, Self

from attrs import frozen

from lynkr.errors import CapabilityError, PromptTooLong, RoutingError, TargetNotAllowed
from lynkr.model import Json, Request
from lynkr.routing.constraints import BLOCKED, NOT_ALLOWED, OVER_BUDGET, avoids_dominated
from lynkr.routing.decision import UNKNOWN_PROFILE, Decision, Profile, Snapshot, Step, Target, Tier
from lynkr.routing.economics import expected_microusd
from lynkr.routing.exploration import AS_BEST, EXPLORED, candidates_of, check_share, draw
from lynkr.routing.familiar import Familiar
from lynkr.routing.features import Features, Traffic, features_of
from lynkr.routing.policy import default_policy
from lynkr.routing.protocols import Scorer, TargetRule, TierPolicy
from lynkr.routing.recorded import opinions
from lynkr.routing.rules import CAPABILITY_CODES, CONTEXT_TOO_SMALL, LACKS_MEDIA, default_rules
from lynkr.routing.scorers import default_scorers
from lynkr.routing.stickiness import RISK_CODES, Proposal, SessionRule, Verdict, keep_of, session_rules
from lynkr.routing.tiers import Rung, TierMap

_NEEDS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "lacks_vision": "vision",
        "lacks_tools": "tools",
        "lacks_structured_output": "structured output",
        "context_too_small": "a larger context window",
        **{code: str(kind) for kind, code in LACKS_MEDIA.items()},
    }
)

_PERMISSION_CODES: Final = frozenset((NOT_ALLOWED, BLOCKED, OVER_BUDGET))
# What the session rules said where exploring breaks no one's cache and no one's loop.
_EXPLORABLE: Final = frozenset(("no_pin", "no_home"))
_AS_PROPOSED: Final = Verdict(Step("pin", "no session rule spoke", code="as_proposed"))
_TRAFFIC: Final = MappingProxyType({traffic: f"{traffic}_traffic" for traffic in Traffic})
_MAIN: Final = Traffic.MAIN
_MAIN_TRAFFIC: Final = _TRAFFIC[_MAIN]


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
    is a plain function (`lynkr.routing.protocols`), and so is each of *sessions*, the
    rules by which a session stays with its target (`lynkr.routing.stickiness`).
    *profiles* tells what a target can do; it is asked once per target, here.
    *margin* is what a session must save to move to a cheaper target, as a share of what staying
    costs.  *exploration* is the share of new sessions in which another target than the
    best is put first (`lynkr.routing.exploration`).

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
        sessions: Sequence[SessionRule] | None = None,
        margin: float = 0.1,
        exploration: float = 0.0,
        profiles: Callable[[Target], Profile] = lambda _target: UNKNOWN_PROFILE,
    ) -> None:
        self._tiers = TierMap.of(tiers, default=default)
        self._ladders = {tier: _Ladder.of(tier, self._tiers.ladder(tier)) for tier in Tier}
        self._scorers = default_scorers() if scorers is None else tuple(scorers)
        self._policy = default_policy() if policy is None else policy
        known = {target: profiles(target) for target in self._ladders[Tier.SIMPLE].targets}
        strength = {
            target: tier for tier in Tier for target in self._tiers.tiers.get(tier, ())
        }  # the highest tier wins, being last
        shipped = (*default_rules(known.__getitem__, tuple(known)), avoids_dominated(strength))
        self._rules = shipped if rules is None else tuple(rules)
        shipped_sessions = session_rules(known.__getitem__, margin=margin)
        self._sessions = shipped_sessions if sessions is None else tuple(sessions)
        self._exploration = check_share(exploration)

    @property
    def tiers(self) -> TierMap:
        return self._tiers

    def route(self, request: Request, snapshot: Snapshot, /, *, familiar: Familiar | None = None) -> Decision:
        """Decide; *familiar* saves looking again at what clients send again.

        Raises:
            CapabilityError: no configured target can serve such a request; its
                message names what is missing.
            TargetNotAllowed: what could serve it is banned, or over the budget.
            RoutingError: a rule left no target for another reason.
        """
        return self.decide(features_of(request, snapshot.context, familiar), snapshot)

    def decide(self, features: Features, snapshot: Snapshot, /) -> Decision:
        """As `route`, from features taken earlier (a replay has no request, only these).

        Raises:
            CapabilityError: as `route`.
            RoutingError: as `route`.
            TextNotRecorded: a part of this router needs the ask's words, and they were not kept.
        """
        scores = opinions(self._scorers, features)
        tier, settled = self._policy(features, scores)
        ladder = self._ladders[tier]
        trace = [_features_step(features), *scores, settled, ladder.step]
        targets = ladder.targets
        for rule in self._rules:
            targets, step = rule(targets, features, snapshot)
            trace.append(step)
            if not targets:
                raise _nothing_left(trace)
        proposal = Proposal(tier, settled, targets, ladder.tiers_of(targets))
        verdict = self._verdict(proposal, features, snapshot)
        trace.append(verdict.step)
        targets = _with_first(targets, verdict.target)
        propensity = 1.0
        if self._exploration and verdict.step.code in _EXPLORABLE:
            targets, propensity, step = self._explore(proposal, features, snapshot)
            trace.append(step)
        expected = None
        if snapshot.rates.tariffs:
            expected = expected_microusd(
                snapshot, targets[0], features.input_tokens, features.max_output_tokens
            )
            trace.append(_cost_step(expected, snapshot.rates.version))
        return Decision(
            tier,
            settled.score or 0.0,
            targets,
            proposal.tiers if targets is proposal.targets else ladder.tiers_of(targets),
            tuple(trace),
            propensity,
            expected,
            snapshot.rates.version,
            keep_of(settled, features),
            features,
        )

    def _verdict(self, proposal: Proposal, features: Features, snapshot: Snapshot) -> Verdict:
        for rule in self._sessions:
            verdict = rule(proposal, features, snapshot)
            if verdict is not None:
                return verdict
        return _AS_PROPOSED

    def _explore(
        self, proposal: Proposal, features: Features, snapshot: Snapshot
    ) -> tuple[tuple[Target, ...], float, Step]:
        candidates = candidates_of(proposal.targets, proposal.tiers)
        if len(candidates) == 1 or features.loop_open or proposal.settled.code in RISK_CODES:
            return proposal.targets, 1.0, Step("exploration", "nothing to try", code="nothing_to_try")
        drawn = draw(candidates, self._exploration, snapshot.seed)
        facts: dict[str, Json] = {
            "propensity": drawn.propensity,
            "candidates": [str(target) for target in candidates],
            "seed": snapshot.seed,
        }
        code = AS_BEST if drawn.target == proposal.targets[0] else EXPLORED
        reason = f"{drawn.target} of {len(candidates)}, which had probability {drawn.propensity:.3f}"
        step = Step("exploration", reason, code=code, data=facts)
        return _with_first(proposal.targets, drawn.target), drawn.propensity, step


def _with_first(targets: tuple[Target, ...], first: Target | None) -> tuple[Target, ...]:
    if first is None or targets[0] == first:
        return targets
    return (first, *[target for target in targets if target != first])


def _cost_step(expected: float | None, version: str | None) -> Step:
    if expected is None:
        return Step("cost", "the price is unknown", code="unpriced", data={"price_version": version})
    facts: dict[str, Json] = {"expected_microusd": round(expected, 1), "price_version": version}
    return Step("cost", f"about {expected / 1e6:.6f} USD expected", code="expected", data=facts)


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
    # An enumeration's member is hashed in Python, and nearly all traffic is the user's own.
    code = _MAIN_TRAFFIC if features.traffic is _MAIN else _TRAFFIC[features.traffic]
    return Step("features", reason, None, code, facts)


def _ladder_step(tier: Tier, rungs: Sequence[Rung]) -> Step:
    serving = rungs[0].tier
    facts: dict[str, Json] = {
        "targets": {str(rung.target): None if rung.tier is None else rung.tier.name for rung in rungs}
    }
    if serving is tier:
        return Step("ladder", f"{len(rungs)} targets from {tier.name}", code="tier_served", data=facts)
    if serving is None:
        reason, code = "no tiers are set: the default target serves", "default_target"
    else:
        reason, code = f"{tier.name} has no target: {serving.name} serves", "tier_missing"
    return Step("ladder", reason, code=code, data=facts)


def _nothing_left(trace: Sequence[Step]) -> RoutingError:
    excluded: dict[str, str] = {}
    for step in trace:
        dropped = step.data.get("excluded")
        if isinstance(dropped, Mapping):
            excluded.update({target: str(code) for target, code in dropped.items()})
    last = trace[-1]
    lacks = sorted({code for code in excluded.values() if code in CAPABILITY_CODES})
    details = "; ".join(f"{target}: {code}" for target, code in excluded.items())
    tokens, limit = last.data.get("tokens"), last.data.get("limit")
    if last.code == CONTEXT_TOO_SMALL and isinstance(tokens, int) and isinstance(limit, int):
        return PromptTooLong(tokens, limit, ", ".join(t for t, code in excluded.items() if code == last.code))
    if last.code in CAPABILITY_CODES:
        needs = " and ".join(_NEEDS[code] for code in lacks)
        media = last.data.get("media")
        if isinstance(media, Sequence) and not isinstance(media, str):
            needs = " and ".join(map(str, media))
        return CapabilityError(f"no configured target can serve this request: it needs {needs} ({details})")
    kind = TargetNotAllowed if last.code in _PERMISSION_CODES else RoutingError
    return kind(f"rule {last.name!r} left no target: {last.reason}" + (f" ({details})" if details else ""))
