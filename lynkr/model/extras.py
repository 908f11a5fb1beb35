"""Fields the canonical model has no name for, and a record of what a translation drops."""

from collections.abc import Mapping, Sequence
from enum import StrEnum
from types import MappingProxyType
from typing import TypeAlias

from attrs import field, frozen

Json: TypeAlias = "bool | int | float | str | Sequence[Json] | Mapping[str, Json] | None"


class WireFormat(StrEnum):
    """The dialects a client or a provider may speak."""

    ANTHROPIC_MESSAGES = "anthropic_messages"
    OPENAI_CHAT = "openai_chat"
    OPENAI_RESPONSES = "openai_responses"
    BEDROCK_CONVERSE = "bedrock_converse"
    GEMINI = "gemini"
    OLLAMA_CHAT = "ollama_chat"


@frozen
class Extras:
    """Unknown fields of one node, tagged by the format they came from.

    Written back verbatim by the same format's encoder, ignored (and reported
    as `Loss`) by every other.
    """

    format: WireFormat | None = None
    fields: Mapping[str, Json] = field(factory=lambda: MappingProxyType({}))

    def of(self, format: WireFormat, /) -> Mapping[str, Json]:
        """The fields if they came from *format*, else an empty mapping."""
        return self.fields if self.format is format else NO_EXTRAS.fields


NO_EXTRAS = Extras()


@frozen
class Loss:
    """One thing a translation could not carry: where it stood and why it fell.

    *path* is a path in the canonical value that was encoded, such as
    ``messages[2].parts[0].extras.cache_control`` or ``sampling.top_k``.
    """

    path: str
    reason: str
