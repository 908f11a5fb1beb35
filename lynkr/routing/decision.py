"""What routing decides, and why."""

from collections.abc import Mapping
from enum import IntEnum
from types import MappingProxyType
from typing import Self

from attrs import field, frozen

from lynkr.model import Json


class Tier(IntEnum):
    SIMPLE = 1
    MEDIUM = 2
    COMPLEX = 3
    REASONING = 4


@frozen(order=True)
class Target:
    """`provider:model`; a model's variant is part of its name (`ollama:qwen3:8b`)."""

    provider: str
    model: str

    @classmethod
    def parse(cls, text: str) -> Self:
        """Split at the first colon.

        Raises:
            ValueError: there is no colon, or a side of it is empty.
        """
        provider, colon, model = text.partition(":")
        if not (colon and provider.strip() and model.strip()):
            raise ValueError(f"{text!r} is not provider:model")
        return cls(provider.strip(), model.strip())

    def __str__(self) -> str:
        return f"{self.provider}:{self.model}"


@frozen
class Profile:
    """What a target can do, as data.  None is unknown and excludes nothing.

    *context_window* and *max_output* are in tokens.
    """

    tools: bool | None = None
    vision: bool | None = None
    reasoning: bool | None = None
    structured_output: bool | None = None
    context_window: int | None = None
    max_output: int | None = None


UNKNOWN_PROFILE = Profile()


@frozen
class Step:
    """One line of the explanation: who spoke, what it saw, what it changed.

    *code* is a stable machine-readable reason (`context_too_small`), *score*
    in [0, 1] where the step has one, *data* small JSON facts behind it
    (never prompt text).
    """

    name: str
    reason: str
    score: float | None = None
    code: str | None = None
    data: Mapping[str, Json] = field(factory=lambda: MappingProxyType({}))


@frozen
class Decision:
    """A tier, the targets to try in order, and the steps that led there.

    *targets* begins with the tier's own, then the tiers above, then those
    below.  *score* is the difficulty in [0, 1] the tier was drawn from.
    *tiers* gives the tier each target was taken from, index by index.
    """

    tier: Tier
    score: float
    targets: tuple[Target, ...]
    tiers: tuple[Tier | None, ...] = ()
    trace: tuple[Step, ...] = ()

    @property
    def target(self) -> Target:
        return self.targets[0]

    @property
    def reason(self) -> str:
        """The code of the step that settled the tier, for a header or a column."""
        for step in reversed(self.trace):
            if step.name == "tier":
                return step.code or step.reason
        return self.trace[-1].code or self.trace[-1].reason if self.trace else ""


@frozen
class Snapshot:
    """Everything outside the request that routing may look at, frozen at one moment.

    *pins* maps a session key to the target it sticks to; *session* is this request's key.
    """

    now: float = 0.0
    unavailable: frozenset[Target] = frozenset()
    pins: Mapping[str, Target] = field(factory=lambda: MappingProxyType({}))
    session: str | None = None
    seed: int = 0
