"""Reading and writing the nodes of a Chat body: `lynkr.wire.fields`, bound to the dialect."""

from typing import Final

from lynkr.model import Extras, WireFormat
from lynkr.wire import fields
from lynkr.wire.fields import (
    Draft,
    Losses,
    Node,
    Shape,
    array_at,
    array_of,
    count_or_none,
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

OPENAI_CHAT: Final = WireFormat.OPENAI_CHAT


def as_extras(found: Draft) -> Extras:
    return fields.as_extras(OPENAI_CHAT, found)


def shape(*known: str, **nested: Shape) -> Shape:
    return fields.shape(OPENAI_CHAT, *known, **nested)


__all__ = [
    "OPENAI_CHAT",
    "Draft",
    "Losses",
    "Node",
    "Shape",
    "array_at",
    "array_of",
    "as_extras",
    "count_or_none",
    "node_or_empty",
    "object_at",
    "object_of",
    "optional_bool",
    "optional_int",
    "optional_number",
    "optional_text",
    "required",
    "shape",
    "text_of",
    "text_or_empty",
    "wrong",
]
