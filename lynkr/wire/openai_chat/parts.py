"""Content parts and tool calls, which requests and answers have in common.

Refusals (`message.refusal`, parts of type ``refusal``) are `Text` whose extras
hold ``{"type": "refusal"}``.  Custom tool calls, whose input is free text, are
`ToolCall` whose arguments are ``{"input": "<the text>"}`` and whose extras
hold ``{"type": "custom"}``, so that other dialects can carry them as well.
"""

import json
from collections.abc import Mapping
from typing import Final

from lynkr.model import Extras, Foreign, Image, ImageSource, Json, Text, ToolCall
from lynkr.wire.openai_chat.fields import OPENAI_CHAT, Draft, Losses, Node, Shape, as_extras, shape

# OpenAI Chat, types/chat/chat_completion_content_part_*_param.py of openai 3.54 (read 2026-11).
TEXT: Final = shape("type", "text")
REFUSAL: Final = shape("type", "refusal")
IMAGE: Final = shape("type", image_url=shape("url"))
FUNCTION_CALL: Final = shape("id", "type", function=shape("name", "arguments"))
CUSTOM_CALL: Final = shape("id", "type", custom=shape("name", "input"))

_CUSTOM: Final = '{"input":'


# --- Images -------------------------------------------------------------------------------------------


def image_from_url(url: str) -> Image:
    """Base64 if *url* is exactly ``data:<type>;base64,<data>``, else the URL as it stands."""
    if url.startswith("data:"):
        media_type, mark, encoded = url[5:].partition(";base64,")
        if mark and media_type and not (";" in media_type or "," in media_type):
            return Image(ImageSource.BASE64, encoded, media_type)
    return Image(ImageSource.URL, url)


def image_node(image: Image, path: str, losses: Losses) -> Draft:
    url = image.value
    if image.source is ImageSource.BASE64:
        url = f"data:{image.media_type or 'application/octet-stream'};base64,{image.value}"
    read_back = image_from_url(url)
    for name in ("source", "value", "media_type"):
        if getattr(read_back, name) != getattr(image, name):
            losses.add(f"{path}.{name}", "the image's data URL reads back differently")
    node: Draft = {"type": "image_url", "image_url": {"url": url}}
    IMAGE.restore(node, image.extras, path, losses)
    return node


# --- Text and refusals --------------------------------------------------------------------------------


def is_refusal(part: Text) -> bool:
    return part.extras.of(OPENAI_CHAT).get("type") == "refusal"


def refusal(text: str, extras: Node = {}) -> Text:  # noqa: B006  # reason: read only
    return Text(text, as_extras({"type": "refusal", **extras}))


def text_node(part: Text, path: str, losses: Losses, *, may_refuse: bool) -> Draft:
    if may_refuse and is_refusal(part):
        node: Draft = {"type": "refusal", "refusal": part.text}
        REFUSAL.restore(node, without_type(part.extras), path, losses)
        return node
    node = {"type": "text", "text": part.text}
    TEXT.restore(node, part.extras, path, losses)
    return node


def without_type(extras: Extras) -> Extras:
    return as_extras({name: value for name, value in extras.fields.items() if name != "type"})


# --- Tool calls ---------------------------------------------------------------------------------------


def custom_arguments(text: str) -> str:
    return f"{_CUSTOM}{json.dumps(text, ensure_ascii=False)}}}"


def custom_input(arguments: str) -> str | None:
    """The text that `custom_arguments` wrapped; None if *arguments* are not of that form."""
    try:
        value = json.loads(arguments)
    except (ValueError, RecursionError):
        return None
    if isinstance(value, dict) and value.keys() == {"input"} and isinstance(value["input"], str):
        return value["input"]
    return None


def is_custom(call: ToolCall) -> bool:
    return call.extras.of(OPENAI_CHAT).get("type") == "custom"


def custom_call(call_id: str, name: str, text: str, extras: Node) -> ToolCall:
    return ToolCall(call_id, name, custom_arguments(text), as_extras({"type": "custom", **extras}))


def call_node(call: ToolCall, path: str, losses: Losses) -> Draft:
    if is_custom(call):
        text = custom_input(call.arguments)
        if text is not None:
            custom: Draft = {"name": call.name, "input": text}
            node: Draft = {"id": call.id, "type": "custom", "custom": custom}
            CUSTOM_CALL.restore(node, without_type(call.extras), path, losses)
            return node
    function: Draft = {"name": call.name, "arguments": call.arguments}
    node = {"id": call.id, "type": "function", "function": function}
    FUNCTION_CALL.restore(node, call.extras, path, losses)
    return node


# --- Foreign ------------------------------------------------------------------------------------------

_NAMED_KINDS: Final = frozenset({"text", "image_url", "refusal"})


def foreign_node(part: Foreign, named: frozenset[str] = _NAMED_KINDS) -> Draft | None:
    """The content part *part* holds verbatim; None if it is not one that reads back as it is.

    *named* are the types that the model has a name for where the part stands.
    """
    if part.format is not OPENAI_CHAT or not isinstance(part.value, Mapping):
        return None
    kind = part.value.get("type")
    return dict(part.value) if isinstance(kind, str) and kind not in named else None


def leftover_of(layout: Shape, node: Node, *dropped: str) -> Draft:
    found = layout.leftover(node)
    for name in dropped:
        found.pop(name, None)
    return found


def plain_text_of(node: Node) -> str | None:
    """The text of a part that says nothing else."""
    text: Json = node.get("text")
    return text if len(node) == 2 and isinstance(text, str) and node.get("type") == "text" else None
