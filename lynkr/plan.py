"""Where a request is to go."""

from typing import Final

from attrs import evolve, frozen

from lynkr.routing.decision import Decision, Snapshot, Target, Tier

_CACHE_SECONDS: Final = 3_600.0  # the longest lifetime of a provider's cache (Anthropic's; read 2026-11)


@frozen
class Plan:
    """Where a request is to go, and the *snapshot* it was decided in.

    *decision* and *snapshot* are None when the client named the target itself.
    """

    targets: tuple[Target, ...]
    decision: Decision | None = None
    snapshot: Snapshot | None = None

    @property
    def prefix_tokens(self) -> int | None:
        """How much of the prompt a cache may hold from earlier in the session.

        Unknown without a session; nothing where the session is not known to have been served lately.
        """
        if self.snapshot is None or self.snapshot.session is None:
            return None
        pin = self.snapshot.pin
        is_warm = pin is not None and self.snapshot.now - pin.at <= _CACHE_SECONDS
        return pin.tokens if is_warm and pin is not None else 0

    def only(self, targets: tuple[Target, ...]) -> "Plan":
        """The plan for some of its targets."""
        return evolve(self, targets=targets)

    def tier_of(self, target: Target) -> Tier | None:
        """The tier *target* was taken from."""
        if self.decision is None:
            return None
        if self.decision.tiers and self.decision.targets[0] == target:  # nearly always
            return self.decision.tiers[0]
        pairs = zip(self.decision.targets, self.decision.tiers, strict=False)
        return next((tier for candidate, tier in pairs if candidate == target), None)
