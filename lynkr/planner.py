"""Where each request is to go: the moment it is decided in, the plan, and what is remembered of it."""

import random
from collections.abc import Callable, Mapping
from functools import partial
from inspect import signature
from typing import TYPE_CHECKING, Final, cast

from lynkr.capability import able_plan, refuse_overlong
from lynkr.errors import TargetNotAllowed
from lynkr.exchange import Exchange, Plan
from lynkr.model import Json, Request, WireFormat
from lynkr.orphans import plan_for_orphans
from lynkr.providers.base import Provider
from lynkr.resilience import BreakerRegistry
from lynkr.routing import (
    Constraints,
    Decision,
    PinStore,
    Rates,
    RequestContext,
    SessionKey,
    Snapshot,
    Target,
    TierRouter,
    features_of,
    pin_after,
)
from lynkr.routing.constraints import ban_of, tightened, within_budget
from lynkr.routing.context import NO_CONTEXT
from lynkr.routing.familiar import Familiar
from lynkr.routing.latency import Latencies
from lynkr.service import Reply

if TYPE_CHECKING:
    from lynkr.routing.protocols import RecallingRouter

_ALL_SERVE: Final[frozenset[Target]] = frozenset()


class Planner:
    """Asks the router, with everything outside the request that it may look at, and learns from replies.

    *providers* and *aliases* are what a client may name instead of leaving the choice to
    the router; *constraints* gives what the sender of a request may use, spend and wait.
    *clock* is in Unix seconds.  Owns *pins*.
    """

    def __init__(
        self,
        router: TierRouter,
        *,
        providers: Mapping[str, Provider],
        aliases: Mapping[str, Target],
        breakers: BreakerRegistry,
        pins: PinStore | None,
        rates: Rates,
        constraints: Callable[[RequestContext], Constraints],
        clock: Callable[[], float],
    ) -> None:
        self._providers = providers
        self._aliases = aliases
        self._breakers = breakers
        self._pins = pins
        self._rates = rates
        self._constraints = constraints
        self._clock = clock
        self._latencies = Latencies()
        self._seeds = random.Random()  # noqa: S311  # reason: seeds of exploration are recorded, not secret
        self._familiar = Familiar()
        self._route = _recalling(router, self._familiar)

    def decide(self, request: Request, session: str | None, context: RequestContext = NO_CONTEXT) -> Decision:
        """Where *request* would go now.

        Raises:
            RoutingError: no target can serve it.
        """
        return self._route(request, self.snapshot(session, context))

    def plan(self, request: Request, session: str | None, context: RequestContext = NO_CONTEXT) -> Plan:
        """As `decide`, or the target the client names itself.

        Raises:
            RoutingError: no target can serve it.
            TargetNotAllowed: the client names one that it may not use.
            PromptTooLong: it fits no window.
        """
        named = self.named_target(request.model)
        if named is not None:
            self.refuse_banned(named, request, context)
            refuse_overlong(named, request, self._providers)
            return able_plan(Plan((named,)), request, self._providers)
        snapshot = self.snapshot(session, context)
        decision = self._route(request, snapshot)
        return able_plan(Plan(decision.targets, decision, snapshot), request, self._providers)

    def without_orphans(
        self,
        plan: Plan,
        format: WireFormat,
        request: Request,
        body: Callable[[], Mapping[str, Json]],
        *,
        passes: bool,
    ) -> Plan:
        """See `lynkr.orphans.plan_for_orphans`; *body* is what *request* was read from, in *format*.

        Raises:
            ClientWireError: no target is left.
        """
        history = self._familiar.history(request.messages)
        return plan_for_orphans(plan, format, history, body, self._providers, passes=passes)

    def snapshot(self, session: str | None, context: RequestContext = NO_CONTEXT) -> Snapshot:
        """This moment, as *session* finds it."""
        now = self._clock()
        constraints = self._constraints(context)
        if context.deadline_seconds is not None:
            constraints = tightened(constraints, Constraints(deadline_seconds=context.deadline_seconds))
        pins = self._pins
        return Snapshot(
            now,
            self.unavailable(now),
            session,
            self._seeds.getrandbits(63),
            context,
            None if pins is None or session is None else pins.get(session, now),
            self._rates,
            self._latencies.estimates(),
            constraints,
        )

    def unavailable(self, now: float | None = None) -> frozenset[Target]:
        """Targets whose circuit is open at *now* (at once, if None); ``provider:*`` for a credential's."""
        now = self._clock() if now is None else now
        refusing = self._breakers.refusing(now)
        return frozenset(map(Target.parse, refusing)) if refusing else _ALL_SERVE

    def named_target(self, model: str) -> Target | None:
        """The target a client names itself, by alias or as `provider:model` of a provider we have."""
        alias = self._aliases.get(model)
        if alias is not None:
            return alias
        provider, colon, name = model.partition(":")
        return Target(provider, name) if colon and name and provider in self._providers else None

    def remember(self, exchange: Exchange, reply: Reply) -> None:
        """Pin the session to whoever answers it, before its client can ask again."""
        decision = None if exchange.plan is None else exchange.plan.decision
        # After a fallback the time is not the serving target's alone.
        if exchange.first_event_seconds is not None and len(exchange.journal.attempts) == 1:
            self._latencies.observe(reply.target, exchange.first_event_seconds)
        session = exchange.session
        if self._pins is None or session is None or decision is None or decision.keep is None:
            return
        now = self._clock()
        pin = pin_after(self._pins.get(session, now), decision.keep, reply.target, now)
        if pin is not None:
            self._pins.put(session, pin, now)

    @property
    def pins(self) -> PinStore | None:
        return self._pins

    def refuse_banned(self, target: Target, request: Request, context: RequestContext) -> None:
        """Do nothing for a target that who asks may name.

        Raises:
            TargetNotAllowed: it may not.
        """
        constraints = self._constraints(context)
        code = ban_of(target, constraints)
        if code is None and constraints.budget_microusd is not None:
            snapshot = Snapshot(rates=self._rates, constraints=constraints)
            kept, step = within_budget((target,), features_of(request, context), snapshot)
            code = None if kept else step.code
        if code is not None:
            who = "" if context.tenant is None else f" for {context.tenant}"
            raise TargetNotAllowed(
                f'{target} is {code.replace("_", " ")}{who}; ask for the model "auto", or have the owner '
                "change [routing] or the tenant's table"
            )


def asker(session: str | None, tenant: str | None) -> tuple[str | None, RequestContext]:
    """A caller in this process: the key its session's pin is kept under, and who it is."""
    if tenant is None:
        return session, NO_CONTEXT
    key = None if session is None else SessionKey(session, tenant=tenant)
    return None if key is None else str(key), RequestContext(key, tenant=tenant)


def _recalling(router: TierRouter, familiar: Familiar) -> Callable[[Request, Snapshot], Decision]:
    """*router*'s `route`, given *familiar* if it takes one."""
    if "familiar" not in signature(router.route).parameters:
        return router.route
    return partial(cast("RecallingRouter", router).route, familiar=familiar)
