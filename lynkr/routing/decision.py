"""What routing decides, and why."""

from collections.abc import Mapping
from enum import IntEnum, StrEnum
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, Self

from attrs import field, frozen

from lynkr.model import Json, WireFormat
from lynkr.routing.context import NO_CONTEXT, RequestContext

if TYPE_CHECKING:
    from lynkr.routing.features import Features
    from lynkr.routing.why import Exclusion, Flip


class Tier(IntEnum):
    SIMPLE = 1
    MEDIUM = 2
    COMPLEX = 3
    REASONING = 4

    # A tier equals its number, so it hashes as it does; and it is looked up in C, not in `enum`.
    __hash__ = int.__hash__


ANY_MODEL: Final = "*"
"""``provider:*`` stands for all of a provider's models."""


@frozen(order=True, cache_hash=True)  # it is a key of every table a decision looks into
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

    *context_window* and *max_output* are in tokens.  *cache* is how prompts
    are cached: ``explicit`` (at the client's marks), ``automatic``, ``local`` or ``none``.
    *formats* are the dialects a request may reach it in untranslated; *audio* and
    *documents* say whether it takes them there, *several_answers* whether it can be asked for more than one.
    """

    tools: bool | None = None
    vision: bool | None = None
    reasoning: bool | None = None
    structured_output: bool | None = None
    context_window: int | None = None
    max_output: int | None = None
    parallel_tools: bool | None = None
    cache: str | None = None
    audio: bool | None = None
    documents: bool | None = None
    several_answers: bool | None = None
    formats: frozenset[WireFormat] | None = None


UNKNOWN_PROFILE = Profile()
_NO_FACTS: Mapping[str, Json] = MappingProxyType({})


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
    data: Mapping[str, Json] = _NO_FACTS  # one for all: it is read only, and steps are made by the dozen


class CacheKind(StrEnum):
    """How a target's prompt cache is paid for."""

    EXPLICIT = "explicit"
    """Writing costs a premium, reading a fraction (Anthropic, Bedrock)."""
    AUTOMATIC = "automatic"
    """Writing costs nothing beside the input itself, reading a fraction (OpenAI, DeepSeek, Gemini)."""
    LOCAL = "local"
    """No money; a prompt not in memory costs the time to read it (llama.cpp, Ollama)."""
    NONE = "none"
    """Every token is paid in full, each time."""


# In CPython 3.11 a member looked up on its class costs 100 ns.
_EXPLICIT: Final = CacheKind.EXPLICIT
_AUTOMATIC: Final = CacheKind.AUTOMATIC


@frozen
class Tariff:
    """What a target charges, in USD per million tokens (that is micro-USD a token).

    *cache_read* and *cache_write* are None where nothing else than *input* is
    charged.  *cache_seconds* is how long an unused prefix stays cached,
    *prefill_tokens_per_second* how fast a cold prompt is read, None if unknown.
    """

    input: float
    output: float
    cache_read: float | None = None
    cache_write: float | None = None
    cache: CacheKind = CacheKind.NONE
    cache_seconds: float = 300.0
    prefill_tokens_per_second: float | None = None

    @property
    def cold(self) -> float:
        """What a token costs that the cache does not hold, and is then held by it."""
        if self.cache is _EXPLICIT and self.cache_write is not None:
            return self.cache_write
        return self.input

    @property
    def warm(self) -> float:
        """What a token costs that the cache holds."""
        has_cache = self.cache is _EXPLICIT or self.cache is _AUTOMATIC
        return self.input if not has_cache or self.cache_read is None else self.cache_read


@frozen
class Rates:
    """The tariffs of one moment; *version* names the prices they were taken from.

    A target without a tariff has an unknown price, which is not the same as none.
    """

    tariffs: Mapping[Target, Tariff] = field(factory=lambda: MappingProxyType({}), hash=False)
    version: str | None = None


NO_RATES = Rates()


@frozen
class Pin:
    """Where a session is being served.

    *served* is the target that answered last: an open tool loop stays with it.
    *home* is the one the session sticks to, None if it has none; the two differ
    while a risk decision holds a loop.  *tokens* is the length of the prompt
    then, about what *served* has cached, *messages* its count.  *at* is when,
    on the clock of `Snapshot.now`.
    """

    served: Target
    home: Target | None
    tokens: int = 0
    messages: int = 0
    at: float = 0.0


@frozen
class Keep:
    """What a session's pin should remember of a decision: *as_home* if the session is to stick to it."""

    as_home: bool
    tokens: int = 0
    messages: int = 0


@frozen
class Constraints:
    """What a request may cost, take and use.

    *allowed* (None is all) and *blocked* hold ``provider:model`` or
    ``provider:*``, a tenant's or the owner's; *budget_microusd* is what is
    left to spend on this request, *deadline_seconds* the time left until the answer begins.
    """

    deadline_seconds: float | None = None
    budget_microusd: float | None = None
    allowed: frozenset[str] | None = None
    blocked: frozenset[str] = frozenset()


NO_CONSTRAINTS = Constraints()


@frozen
class TurnShape:
    """What the turns to come are expected to be: tokens added, tokens answered, and how many of them.

    The defaults are those of a coding agent's loop.
    """

    new_tokens: int = 2_000
    output_tokens: int = 800
    remaining: float = 10.0


@frozen
class Decision:
    """A tier, the targets to try in order, and the steps that led there.

    *targets* begins with the tier's own, then the tiers above, then those
    below.  *score* is the difficulty in [0, 1] the tier was drawn from.
    *tiers* gives the tier each target was taken from, index by index.

    *propensity* is the probability with which the first target was put first:
    1 unless exploration is on.  *expected_microusd* is what the first target is
    expected to charge by the prices *price_version*, None where unknown.
    *keep* is what the session's pin is to remember, None to leave it alone.
    *features* are those it was drawn from, None from a router that has none to show.
    """

    tier: Tier
    score: float
    targets: tuple[Target, ...]
    tiers: tuple[Tier | None, ...] = ()
    trace: tuple[Step, ...] = ()
    propensity: float = 1.0
    expected_microusd: float | None = None
    price_version: str | None = None
    keep: Keep | None = None
    features: "Features | None" = field(default=None, eq=False, repr=False)

    @property
    def target(self) -> Target:
        return self.targets[0]

    @property
    def digest(self) -> str:
        """16 hexadecimal digits that equal decisions share, on any machine."""
        from lynkr.routing.why import digest_of  # noqa: PLC0415  # reason: only who explains pays for it

        return digest_of(self)

    @property
    def candidates(self) -> Mapping[str, str | None]:
        """Every target that was looked at, with the tier it was taken from."""
        from lynkr.routing.why import candidates_of  # noqa: PLC0415  # reason: as above

        return candidates_of(self.trace)

    @property
    def exclusions(self) -> "tuple[Exclusion, ...]":
        """The targets that rules left out, each with its reason code."""
        from lynkr.routing.why import exclusions_of  # noqa: PLC0415  # reason: as above

        return exclusions_of(self.trace)

    @property
    def flips(self) -> "tuple[Flip, ...]":
        """What would have given another tier, the smallest change first (by the shipped thresholds)."""
        from lynkr.routing.why import flips_of  # noqa: PLC0415  # reason: as above

        return flips_of(self.trace)

    @property
    def reason(self) -> str:
        """The code of the step that settled the tier, for a header or a column."""
        for step in reversed(self.trace):
            if step.name == "tier":
                return step.code or step.reason
        return self.trace[-1].code or self.trace[-1].reason if self.trace else ""


_NO_LATENCIES: Mapping[Target, float] = MappingProxyType({})
_TURN = TurnShape()


@frozen
class Snapshot:
    """Everything outside the request that routing may look at, frozen at one moment.

    *unavailable* are targets whose circuit is open; ``provider:*`` stands for
    all of a provider's.  *session* is this request's key as text, *pin* where that session is being
    served.  *latencies* are the seconds a target is expected to take until its answer
    begins (a high percentile, so that a deadline can be held against it).
    """

    now: float = 0.0
    unavailable: frozenset[Target] = frozenset()
    session: str | None = None
    seed: int = 0
    context: RequestContext = NO_CONTEXT
    pin: Pin | None = None
    rates: Rates = NO_RATES
    latencies: Mapping[Target, float] = field(default=_NO_LATENCIES, hash=False)
    constraints: Constraints = NO_CONSTRAINTS
    turn: TurnShape = _TURN
