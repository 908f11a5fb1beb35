"""When a session stays with its target, and when it moves: small rules, the first that speaks decides.

::

    side traffic      passes by: it neither reads nor writes the pin
    no pin            nothing to stay with
    open tool loop    stays with whoever began it, whatever else speaks
    unusable          the pinned target cannot serve this (capability, overflow, tenant, breaker): moves
    upward            the ask is of a higher tier (drift, force, risk): moves
    nothing typed     nothing new was asked: stays
    restarted         the history is shorter than it was, so nothing of it is cached: as proposed
    downward          moves only where the saving beats the cache left behind, and a margin
    otherwise         stays

Each is a class without state; `session_rules` lists them, and a list of one's
own goes into `PipelineRouter(session_rules=...)`.
"""

from typing import Final, Protocol, TypeAlias

from attrs import frozen

from lynkr.routing.decision import Keep, Pin, Snapshot, Step, Target, Tier
from lynkr.routing.economics import SwitchCost, expected_microusd, switch_cost
from lynkr.routing.features import Features
from lynkr.routing.rules import Profiles

RISK_CODES: Final = frozenset(("risk",))
"""Codes of tiers that a session does not stick to."""

_BELOW_ALL: Final = 0


@frozen
class Proposal:
    """What would be decided if there were no session: the tier's ladder, after every exclusion."""

    tier: Tier
    settled: Step
    targets: tuple[Target, ...]
    tiers: tuple[Tier | None, ...]

    def rank_of(self, target: Target) -> int:
        """The tier *target* is taken from, 0 for the default target.

        Raises:
            ValueError: it is not among the targets.
        """
        return self.tiers[self.targets.index(target)] or _BELOW_ALL


@frozen
class Verdict:
    """Serve with *target*, or, if None, as proposed; *step* says why."""

    step: Step
    target: Target | None = None


class SessionRule(Protocol):
    def __call__(self, proposal: Proposal, features: Features, snapshot: Snapshot, /) -> Verdict | None:
        """A verdict, or None to leave it to the rules after this one.  Pure."""
        ...


SessionRules: TypeAlias = tuple[SessionRule, ...]


def _as_proposed(code: str, reason: str) -> Verdict:
    return Verdict(Step("pin", reason, code=code))


_SIDE: Final = _as_proposed("side_traffic", "side traffic passes the session by")
_NO_PIN: Final = _as_proposed("no_pin", "no pin")


@frozen
class SideTrafficPasses:
    """Upkeep goes by its tier; a compaction to the cheapest target whose window surely holds it."""

    profiles: Profiles

    def __call__(self, proposal: Proposal, features: Features, snapshot: Snapshot, /) -> Verdict | None:
        if not features.is_side_traffic:
            return None
        if not features.is_compaction:
            return _SIDE
        needed = features.input_tokens + (features.max_output_tokens or snapshot.turn.output_tokens)
        roomy: list[tuple[float, int, Target]] = []
        for place, target in enumerate(proposal.targets):
            window = self.profiles(target).context_window
            cost = expected_microusd(snapshot, target, features.input_tokens, features.max_output_tokens)
            if window is not None and window >= needed and cost is not None:
                roomy.append((cost, place, target))
        if not roomy:
            return _SIDE
        target = min(roomy)[2]
        reason = f"{target} is the cheapest that surely holds the conversation"
        return Verdict(Step("pin", reason, code="cheap_large_context"), target)


@frozen
class NothingPinned:
    def __call__(self, _proposal: Proposal, _features: Features, snapshot: Snapshot, /) -> Verdict | None:
        return _NO_PIN if snapshot.pin is None else None


@frozen
class HoldsOpenLoop:
    """A loop is finished by the target that began it, if that can still serve."""

    def __call__(self, proposal: Proposal, features: Features, snapshot: Snapshot, /) -> Verdict | None:
        pin = snapshot.pin
        if pin is None or not features.loop_open or pin.served not in proposal.targets:
            return None
        return Verdict(
            Step("pin", f"an open tool loop stays with {pin.served}", code="tool_loop"), pin.served
        )


@frozen
class LeavesUnusable:
    def __call__(self, proposal: Proposal, _features: Features, snapshot: Snapshot, /) -> Verdict | None:
        home = None if snapshot.pin is None else snapshot.pin.home
        if home is None:
            return _as_proposed("no_home", "the session sticks to no target yet")
        if home not in proposal.targets:
            return _as_proposed("pin_unusable", f"{home} cannot serve this request")
        return None


@frozen
class EscalatesUpward:
    """A harder ask, a forced tier or a risk is served where it belongs, whatever is cached elsewhere."""

    def __call__(self, proposal: Proposal, _features: Features, snapshot: Snapshot, /) -> Verdict | None:
        home, first = _home_of(snapshot), proposal.targets[0]
        if home is None or proposal.rank_of(first) <= proposal.rank_of(home):
            return None
        cause = proposal.settled.code or "difficulty"
        return Verdict(Step("pin", f"leaves {home} for a higher tier: {cause}", code="escalated"))


@frozen
class StaysWhereNothingIsAsked:
    """Behind a compaction or a lone tool result stands no new ask that could be an easier one."""

    def __call__(self, _proposal: Proposal, features: Features, snapshot: Snapshot, /) -> Verdict | None:
        home = _home_of(snapshot)
        if home is None or features.has_ask:
            return None
        return Verdict(Step("pin", f"nothing new is asked: stays with {home}", code="nothing_asked"), home)


@frozen
class LeavesAfterRestart:
    """A history cut short (compacted, or another conversation that began alike) has left its cache behind."""

    def __call__(self, _proposal: Proposal, features: Features, snapshot: Snapshot, /) -> Verdict | None:
        pin = snapshot.pin
        if pin is None or not (snapshot.context.context_compacted or features.messages + 2 < pin.messages):
            return None
        return _as_proposed("restarted", "the conversation was cut or begun anew")


@frozen
class MovesDownward:
    """To a cheaper target where that saves more than the cold read and *margin*, a share of staying."""

    margin: float = 0.1

    def __call__(self, proposal: Proposal, _features: Features, snapshot: Snapshot, /) -> Verdict | None:
        home, first = _home_of(snapshot), proposal.targets[0]
        if home is None or proposal.rank_of(first) >= proposal.rank_of(home):
            return None
        cost = switch_cost(snapshot, home, first)
        if not cost.pays(self.margin):
            return None
        return Verdict(Step("pin", f"leaves {home} for {first}: it pays", code="cheaper", data=_facts(cost)))


@frozen
class Stays:
    def __call__(self, proposal: Proposal, _features: Features, snapshot: Snapshot, /) -> Verdict | None:
        home = _home_of(snapshot)
        if home is None:
            return None
        if proposal.targets[0] == home:
            return Verdict(Step("pin", f"{home} is first anyway", code="pin_kept"), home)
        return Verdict(Step("pin", f"the session stays with {home}", code="pinned"), home)


def session_rules(profiles: Profiles, *, margin: float = 0.1) -> SessionRules:
    """The rules lynkr ships, in their order; *margin* is that of `MovesDownward`."""
    return (
        SideTrafficPasses(profiles),
        NothingPinned(),
        HoldsOpenLoop(),
        LeavesUnusable(),
        EscalatesUpward(),
        StaysWhereNothingIsAsked(),
        LeavesAfterRestart(),
        MovesDownward(margin),
        Stays(),
    )


def keep_of(settled: Step, features: Features) -> Keep | None:
    """What a session should remember of a decision: nothing of side traffic, of a risk only the loop."""
    if features.is_side_traffic:
        return None
    return Keep(settled.code not in RISK_CODES, features.input_tokens, features.messages)


def pin_after(before: Pin | None, keep: Keep | None, served: Target, now: float) -> Pin | None:
    """The pin to store once *served* has begun to answer; None to leave what is stored as it is.

    *served* may be another than the one decided on, after a fallback: what
    counts is who has the prompt cached now.
    """
    if keep is None:
        return None
    home = served if keep.as_home else (None if before is None else before.home)
    return Pin(served, home, keep.tokens, keep.messages, now)


def _home_of(snapshot: Snapshot) -> Target | None:
    return None if snapshot.pin is None else snapshot.pin.home


def _facts(cost: SwitchCost) -> dict[str, float | None]:
    return {
        "regret_microusd": _rounded(cost.regret_microusd),
        "saving_microusd": _rounded(cost.saving_microusd),
        "break_even_turns": _rounded(cost.break_even_turns),
    }


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 1)
