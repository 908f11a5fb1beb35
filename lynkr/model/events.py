"""The canonical stream: ``Start (PartStart PartDelta* PartEnd)* Finish``; parts may interleave.

Each part has an *index*, unique in its stream, in order of first appearance
from 0.  `PartStart.part` is the part with empty text or arguments; the deltas
of an index, concatenated, are its text (`Text`, `Reasoning`) or its arguments
(`ToolCall`), exactly as the provider sent them.  Parts that arrive whole
(`Image`, `Foreign`, redacted `Reasoning`) come in `PartStart` with no delta.
"""

from typing import TypeAlias

from attrs import field, frozen

from lynkr.model.content import Opaque, Part
from lynkr.model.extras import NO_EXTRAS, Extras
from lynkr.model.response import NO_USAGE, StopReason, Usage


@frozen
class Start:
    """*usage* is what the provider told up front (Anthropic: the input side), else NO_USAGE."""

    id: str
    model: str
    usage: Usage = NO_USAGE
    created: int | None = None
    extras: Extras = field(default=NO_EXTRAS, repr=False)


@frozen
class PartStart:
    index: int
    part: Part


@frozen
class PartDelta:
    """*text* to append to part *index*; empty when the delta carries only *extras*.

    *extras* holds deltas of kinds the model has no name for (citations), under
    the wire's own field name.
    """

    index: int
    text: str
    extras: Extras = field(default=NO_EXTRAS, repr=False)


@frozen
class PartEnd:
    """*seal* is the signature of a `Reasoning` part, which providers send after its text."""

    index: int
    seal: Opaque | None = None


@frozen
class Finish:
    """*usage* is the whole answer's; *extras* are unknown fields of the final event or body."""

    stop_reason: StopReason
    usage: Usage = NO_USAGE
    stop_sequence: str | None = None
    extras: Extras = field(default=NO_EXTRAS, repr=False)


Event: TypeAlias = Start | PartStart | PartDelta | PartEnd | Finish
