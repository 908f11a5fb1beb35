"""The canonical answer."""

from enum import StrEnum

from attrs import field, frozen

from lynkr.model.content import Part
from lynkr.model.extras import NO_EXTRAS, Extras


class StopReason(StrEnum):
    END_TURN = "end_turn"
    MAX_TOKENS = "max_tokens"
    TOOL_USE = "tool_use"
    STOP_SEQUENCE = "stop_sequence"
    REFUSAL = "refusal"
    PAUSE = "pause"
    CONTEXT_OVERFLOW = "context_overflow"
    OTHER = "other"


@frozen
class Usage:
    """Token counts; None is unknown, which is not zero.

    One invariant for every provider: *input* includes *cache_read* and
    *cache_write*; *output* includes *reasoning*; *cache_write* includes
    *cache_write_1h* (the part written with a one-hour lifetime).
    """

    input: int | None = None
    output: int | None = None
    cache_read: int | None = None
    cache_write: int | None = None
    cache_write_1h: int | None = None
    reasoning: int | None = None

    @property
    def uncached_input(self) -> int | None:
        """Input tokens that were neither read from nor written to a cache; unknown if *input* is."""
        if self.input is None:
            return None
        return self.input - (self.cache_read or 0) - (self.cache_write or 0)


NO_USAGE = Usage()


@frozen
class Response:
    """*created* is in Unix seconds, None in dialects that do not say; *stop_sequence* is the one hit."""

    id: str
    model: str
    parts: tuple[Part, ...]
    stop_reason: StopReason
    usage: Usage = NO_USAGE
    stop_sequence: str | None = None
    created: int | None = None
    extras: Extras = field(default=NO_EXTRAS, repr=False)
