"""Reading and writing the nodes of a native body: `lynkr.wire.fields`, bound to the dialect; and times."""

from datetime import UTC, datetime, timedelta
from typing import Final

from lynkr.model import Extras, Json, WireFormat
from lynkr.wire import fields
from lynkr.wire.fields import (
    Draft,
    Losses,
    Node,
    Shape,
    array_of,
    count_or_none,
    join,
    kind_of,
    node_or_empty,
    object_at,
    object_of,
    optional_bool,
    optional_int,
    optional_number,
    optional_text,
    required,
    text_of,
    text_or_empty,
    wrong,
)

OLLAMA_CHAT: Final = WireFormat.OLLAMA_CHAT
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def as_extras(found: Draft) -> Extras:
    return fields.as_extras(OLLAMA_CHAT, found)


def shape(*known: str, **nested: Shape) -> Shape:
    return fields.shape(OLLAMA_CHAT, *known, **nested)


def seconds_of(value: Json) -> int | None:
    """Unix seconds of an RFC 3339 time such as ``2025-10-26T17:15:24.097767123Z``; None if it is none."""
    if not isinstance(value, str):
        return None
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return (moment - _EPOCH) // timedelta(seconds=1)


def time_text(seconds: int) -> str | None:
    """The RFC 3339 time of *seconds*; None where the calendar ends."""
    try:
        moment = _EPOCH + timedelta(seconds=seconds)
    except OverflowError:
        return None
    return moment.isoformat().replace("+00:00", "Z")


__all__ = [
    "OLLAMA_CHAT",
    "Draft",
    "Losses",
    "Node",
    "Shape",
    "array_of",
    "as_extras",
    "count_or_none",
    "join",
    "kind_of",
    "node_or_empty",
    "object_at",
    "object_of",
    "optional_bool",
    "optional_int",
    "optional_number",
    "optional_text",
    "required",
    "seconds_of",
    "shape",
    "text_of",
    "text_or_empty",
    "time_text",
    "wrong",
]
