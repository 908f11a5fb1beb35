"""The tier table, and the scale that turns a difficulty into a tier.

::

    tier       score in         meant for
    SIMPLE     [0.00, 0.25)     small talk, facts, confirmations, side traffic
    MEDIUM     [0.25, 0.50)     one clear task: read, explain, edit, write a page
    COMPLEX    [0.50, 0.75)     several files or concerns, design, review, debugging, risk
    REASONING  [0.75, 1.00]     proof, audit, an explicit call for careful reasoning
"""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Final, Self

from attrs import field, frozen

from lynkr.errors import ConfigError
from lynkr.routing.decision import Target, Tier

THRESHOLDS: Final[Mapping[Tier, float]] = MappingProxyType(
    {Tier.SIMPLE: 0.0, Tier.MEDIUM: 0.25, Tier.COMPLEX: 0.5, Tier.REASONING: 0.75}
)
"""The least difficulty of each tier; a score on a threshold belongs to the upper tier."""


_SIMPLE: Final = Tier.SIMPLE
_DOWNWARD: Final = (Tier.REASONING, Tier.COMPLEX, Tier.MEDIUM)
_STEPS: Final = tuple((tier, THRESHOLDS[tier]) for tier in _DOWNWARD)


def tier_of(score: float, thresholds: Mapping[Tier, float] = THRESHOLDS) -> Tier:
    """The tier a difficulty in [0, 1] falls into.

    >>> tier_of(0.49).name, tier_of(0.5).name
    ('MEDIUM', 'COMPLEX')
    """
    steps = _STEPS if thresholds is THRESHOLDS else [(tier, thresholds[tier]) for tier in _DOWNWARD]
    for tier, least in steps:
        if score >= least:
            return tier
    return _SIMPLE


@frozen
class Rung:
    """One place on a ladder: a target and the tier it was taken from (None: the default target)."""

    target: Target
    tier: Tier | None


@frozen
class TierMap:
    """Which targets serve which tier, each tier's in order of preference.

    *default* serves everything when no tier has a target, and nothing otherwise.
    """

    tiers: Mapping[Tier, tuple[Target, ...]] = field(factory=lambda: MappingProxyType({}))
    default: Target | None = None

    @classmethod
    def of(
        cls, tiers: Mapping[Tier, Sequence[Target | str] | Target | str], *, default: Target | None = None
    ) -> Self:
        """Read a table whose targets may be written `provider:model[:variant]`.

        >>> TierMap.of({Tier.SIMPLE: "ollama:qwen3:8b"}).tiers[Tier.SIMPLE][0].model
        'qwen3:8b'

        Raises:
            ConfigError: a target is not `provider:model`, or there is no target at all.
        """
        table: dict[Tier, tuple[Target, ...]] = {}
        for tier in Tier:
            entry = tiers.get(tier, ())
            wanted = (entry,) if isinstance(entry, str | Target) else entry
            targets = tuple(dict.fromkeys(_target(item, tier) for item in wanted))
            if targets:
                table[tier] = targets
        if not table and default is None:
            raise ConfigError("no target is configured: give at least one tier, or a default target")
        return cls(MappingProxyType(table), default)

    def ladder(self, tier: Tier) -> tuple[Rung, ...]:
        """Every configured target once: *tier*'s own, then the tiers above, then those below, nearest first.

        A model that fails is better replaced by a stronger one than by a weaker one.
        """
        if not self.tiers:
            return () if self.default is None else (Rung(self.default, None),)
        above = [other for other in Tier if other > tier]
        below = [other for other in reversed(Tier) if other < tier]
        rungs: dict[Target, Rung] = {}
        for other in (tier, *above, *below):
            for target in self.tiers.get(other, ()):
                rungs.setdefault(target, Rung(target, other))
        return tuple(rungs.values())


def _target(item: Target | str, tier: Tier) -> Target:
    if isinstance(item, Target):
        return item
    try:
        return Target.parse(item)
    except ValueError as error:
        raise ConfigError(f"tier {tier.name}: {error}") from error
