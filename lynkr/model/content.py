"""The parts a message or an answer is made of."""

from enum import StrEnum
from typing import TypeAlias

from attrs import field, frozen

from lynkr.model.extras import NO_EXTRAS, Extras, Json, WireFormat


@frozen
class Opaque:
    """A provider's sealed token (thinking signature, encrypted reasoning), owned by its format."""

    format: WireFormat
    value: str


@frozen
class Text:
    text: str
    extras: Extras = field(default=NO_EXTRAS, repr=False)


class ImageSource(StrEnum):
    BASE64 = "base64"
    URL = "url"


@frozen
class Image:
    """*value* is base64 text as sent, or a URL; *media_type* is known for base64 only."""

    source: ImageSource
    value: str = field(repr=False)
    media_type: str | None = None
    extras: Extras = field(default=NO_EXTRAS, repr=False)


@frozen
class Reasoning:
    """A model's thinking.  *seal* proves its origin and goes back only to the format that made it.

    *redacted* thinking has no text, only its seal.
    """

    text: str
    seal: Opaque | None = None
    redacted: bool = False
    extras: Extras = field(default=NO_EXTRAS, repr=False)


@frozen
class ToolCall:
    """*arguments* is the JSON text exactly as sent; parse it at the edge that needs it."""

    id: str
    name: str
    arguments: str
    extras: Extras = field(default=NO_EXTRAS, repr=False)


@frozen
class Foreign:
    """A block of a kind the canonical model has no name for (a document, a server tool's result).

    Written back verbatim by *format*'s encoder, a `Loss` for every other.
    """

    format: WireFormat
    value: Json


@frozen
class ToolResult:
    call_id: str
    content: tuple[Text | Image | Foreign, ...]
    is_error: bool = False
    extras: Extras = field(default=NO_EXTRAS, repr=False)


Part: TypeAlias = Text | Image | Reasoning | ToolCall | ToolResult | Foreign
