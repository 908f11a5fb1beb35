"""The routing protocols.  All pure: no clock, no randomness, no I/O."""

from typing import Protocol

from lynkr.model import Request
from lynkr.routing.decision import Decision, Snapshot, Step, Target, Tier
from lynkr.routing.familiar import Familiar
from lynkr.routing.features import Features


class Scorer(Protocol):
    def __call__(self, features: Features, /) -> Step:
        """An opinion about difficulty: a `Step` whose score is in [0, 1], or None to abstain.

        One that reads the words of the ask may have an attribute ``version``, a text that it also
        writes into each step's data: then a replay whose ledger holds no words can take what it said
        at the time, and needs no words to tell that it would say the same.
        """
        ...


class Redecides(Protocol):
    """A router that needs only features: those of recorded requests can be decided again."""

    def decide(self, features: Features, snapshot: Snapshot, /) -> Decision:
        """Equal arguments, equal decision.

        Raises:
            RoutingError: no target is left.
            TextNotRecorded: it reads the ask's words, and they were not kept.
        """
        ...


class TierPolicy(Protocol):
    def __call__(self, features: Features, scores: tuple[Step, ...], /) -> tuple[Tier, Step]:
        """Scores in, tier out; the step's name is ``tier`` and its score the combined difficulty."""
        ...


class TargetRule(Protocol):
    def __call__(
        self, targets: tuple[Target, ...], features: Features, snapshot: Snapshot, /
    ) -> tuple[tuple[Target, ...], Step]:
        """Keep, drop or reorder targets; never invent one."""
        ...


class TierRouter(Protocol):
    def route(self, request: Request, snapshot: Snapshot, /) -> Decision:
        """Equal arguments, equal decision.

        Raises:
            CapabilityError: no configured target can serve such a request.
            RoutingError: no target is left.
        """
        ...


class RecallingRouter(TierRouter, Protocol):
    """A router whose `route` also takes what is known of the parts clients send again and again."""

    def route(self, request: Request, snapshot: Snapshot, /, *, familiar: Familiar | None = None) -> Decision:
        """The same decision with *familiar* and without it.

        Raises:
            RoutingError: as `TierRouter.route`.
        """
        ...
