"""The format's name, and what reads and writes its nodes."""

from typing import Any, Final, TypeAlias

from lynkr.model import Extras, WireFormat
from lynkr.wire import fields
from lynkr.wire.fields import Draft, Shape

GEMINI: Final = WireFormat.GEMINI

# `Any` because a call's arguments are written as `RawJson`, a leaf for `dump` and not JSON itself.
Body: TypeAlias = dict[str, Any]


def shape(*known: str, **nested: Shape) -> Shape:
    return fields.shape(GEMINI, *known, **nested)


def as_extras(leftover: Draft) -> Extras:
    return fields.as_extras(GEMINI, leftover)
