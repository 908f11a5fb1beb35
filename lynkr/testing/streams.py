"""Streams, generated: canonical events, and bytes cut into chunks.  See `lynkr.testing.strategies`.

Needs the extra ``testing``.
"""

from collections.abc import Iterator
from typing import Final

from attrs import evolve
from hypothesis import strategies as st
from hypothesis.strategies import DrawFn

from lynkr.model import (
    NO_USAGE,
    Event,
    Finish,
    Part,
    PartDelta,
    PartEnd,
    PartStart,
    Reasoning,
    Start,
    Text,
    ToolCall,
    Usage,
    WireFormat,
)
from lynkr.testing.primitives import large_argument_texts
from lynkr.testing.values import responses

__all__ = ["chunkings", "event_streams"]

# Dialects in which a call's arguments are an object: none and an empty one are the same.
_ARGUMENTS_ARE_OBJECTS: Final = frozenset({WireFormat.OLLAMA_CHAT, WireFormat.GEMINI})


@st.composite
def event_streams(
    draw: DrawFn, format: WireFormat | None = None, *, large: bool = False
) -> tuple[Event, ...]:
    """Complete streams: parts cut into deltas anywhere, tool calls with empty arguments among them.

    Half of the streams interleave their parts, as parallel tool calls may.
    With *large*, some arguments have up to a megabyte.
    """
    response = draw(responses(format))
    may_be_empty = format not in _ARGUMENTS_ARE_OBJECTS
    lanes = [draw(_lanes(part, large=large, may_be_empty=may_be_empty)) for part in response.parts]
    order = [number for number, lane in enumerate(lanes) for _ in lane]
    if draw(st.booleans()):
        order = draw(st.permutations(order))
    early = draw(st.sampled_from((NO_USAGE, Usage(input=response.usage.input))))
    return (
        Start(response.id, response.model, early, response.created, response.extras),
        *_interleaved(lanes, order),
        Finish(response.stop_reason, response.usage, response.stop_sequence),
    )


def _interleaved(lanes: list[tuple[Event, ...]], order: list[int]) -> Iterator[Event]:
    """The lanes' events in *order*, with indexes given at first appearance."""
    at = [iter(lane) for lane in lanes]
    indexes: dict[int, int] = {}
    for number in order:
        event = next(at[number])
        if isinstance(event, PartStart | PartDelta | PartEnd):
            yield evolve(event, index=indexes.setdefault(number, len(indexes)))


@st.composite
def _lanes(draw: DrawFn, part: Part, *, large: bool, may_be_empty: bool) -> tuple[Event, ...]:
    """One part as events of index 0."""
    match part:
        case Text(text=text):
            begin: Part = evolve(part, text="")
        case Reasoning(text=text) if not part.redacted:
            begin = evolve(part, text="", seal=None)
        case ToolCall(arguments=text):
            if (large or may_be_empty) and draw(st.integers(0, 4)) == 0:
                text = draw(large_argument_texts()) if large else ""
            begin = evolve(part, arguments="")
        case _:
            return PartStart(0, part), PartEnd(0)
    deltas = tuple(PartDelta(0, piece) for piece in draw(_cuttings(text)))
    seal = part.seal if isinstance(part, Reasoning) else None
    return PartStart(0, begin), *deltas, PartEnd(0, seal)


@st.composite
def _cuttings(draw: DrawFn, text: str) -> tuple[str, ...]:
    """*text* in pieces, none of them empty."""
    if not text:
        return ()
    cuts = sorted(draw(st.sets(st.integers(1, len(text) - 1), max_size=4))) if len(text) > 1 else []
    return tuple(text[start:end] for start, end in zip([0, *cuts], [*cuts, len(text)], strict=True))


@st.composite
def chunkings(draw: DrawFn, data: bytes) -> tuple[bytes, ...]:
    """*data* cut into chunks: anywhere, byte by byte, inside UTF-8, between CR and LF, empty ones too."""
    places = range(1, len(data))
    delicate = [
        at for at in places if data[at] & 0xC0 == 0x80 or data[at - 1 : at + 1] == b"\r\n" or data[at] == 0x0A
    ]
    kind = draw(st.sampled_from(("whole", "bytes", "delicate", "anywhere")))
    if kind == "whole" or len(data) < 2:
        return (data,)
    if kind == "bytes":
        return tuple(data[at : at + 1] for at in range(len(data)))
    if kind == "delicate" and delicate:
        cuts = sorted(draw(st.sets(st.sampled_from(delicate), min_size=1, max_size=12)))
    else:
        cuts = sorted(draw(st.lists(st.integers(1, len(data) - 1), min_size=1, max_size=8)))
    return tuple(data[start:end] for start, end in zip([0, *cuts], [*cuts, len(data)], strict=True))
