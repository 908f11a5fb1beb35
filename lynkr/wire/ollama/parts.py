"""What requests and answers have in common: images, tool calls, and the one string a message's words are.

An Ollama message holds its words in one string, its thinking in another and
its images in a list (docs.ollama.com/api/chat; ``Message`` of ollama-python
0.6.3; read 2026-11), so a message with several texts is written as one.
"""

from typing import Any, Final

from lynkr.model import Image, ImageSource, Json, ToolCall
from lynkr.wire.json_body import RawJson, json_text, parse_value
from lynkr.wire.ollama.fields import Draft, Losses, shape

# `index` is the call's place among its siblings, which the list says already.
CALL: Final = shape("id", "type", function=shape("index", "name", "arguments"))
BETWEEN: Final = "\n\n"
NO_NODE: Final = "Ollama has no node that could hold it"
NO_PLACE: Final = "has no place in a message of this role"
FOREIGN: Final = "a block of a kind this dialect does not know"

# First bytes of the formats Ollama's models read, in base64: an image comes without its type.
_SIGNATURES: Final = (
    ("iVBORw0KGgo", "image/png"),
    ("/9j/", "image/jpeg"),
    ("R0lGOD", "image/gif"),
    ("UklGR", "image/webp"),
)


def image_of(value: str) -> Image:
    """An image, its type told from its first bytes."""
    media_type = next((name for start, name in _SIGNATURES if value.startswith(start)), None)
    return Image(ImageSource.BASE64, value, media_type)


def image_text(image: Image, path: str, losses: Losses) -> str | None:
    """The image as it stands in ``images``; None if it cannot."""
    if image.source is not ImageSource.BASE64:
        losses.add(path, "Ollama takes images in the body only, not by URL")
        return None
    if image_of(image.value).media_type != image.media_type:
        losses.add(f"{path}.media_type", "Ollama reads an image's type from its bytes")
    losses.add_extras(image.extras, path, "an image is a bare string")
    return image.value


# `Any` because arguments are written as `RawJson`, which is a leaf for `dump` and not JSON itself.
def call_node(call: ToolCall, path: str, losses: Losses) -> dict[str, Any]:
    node: dict[str, Any] = {"function": {"name": call.name, "arguments": _arguments(call, path, losses)}}
    if call.id:
        node["id"] = call.id
    CALL.restore(node, call.extras, path, losses)
    return node


def _arguments(call: ToolCall, path: str, losses: Losses) -> RawJson | Draft:
    """The arguments as they stand; what is no object goes in as text, so that the call is not lost."""
    if not call.arguments:
        return {}
    value = _object(call.arguments)
    if value is not None:
        # A line break between tokens, which JSON allows, would end the line of a stream.
        return RawJson(json_text(value) if "\n" in call.arguments else call.arguments)
    losses.add(f"{path}.arguments", 'not a JSON object; sent as text in {"arguments": ...}')
    return {"arguments": call.arguments}


def _object(text: str) -> Draft | None:
    try:
        value: Json = parse_value(text)
    except ValueError:
        return None
    return value if isinstance(value, dict) else None
