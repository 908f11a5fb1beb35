"""Items and content parts to canonical parts and back, one at a time.

Shapes follow types/responses/ of openai 3.54 (read 2026-11).  What the model
has no name for is kept in `Extras`, under the wire's own name or as a mark:

* `Text`: ``type`` where it is not the usual kind for its role (a refusal), and
  on the first text of an assistant's message ``item``: that message's own
  fields.  A text with ``item`` begins a message of its own.
* `Reasoning`: ``field`` is ``content`` for raw thinking, else the text is the
  summary; ``cuts`` are the offsets of the blank lines between its pieces.
* `ToolCall`, `ToolSpec`: ``type: custom`` for free text (`lynkr.wire.freeform`),
  ``namespace`` and ``name`` for a tool that stands in one.
"""

from collections.abc import Mapping, Sequence
from typing import Final

from attrs import evolve

from lynkr.errors import ClientWireError
from lynkr.model import (
    Extras,
    Foreign,
    Image,
    ImageSource,
    Json,
    Opaque,
    Reasoning,
    Text,
    ToolCall,
    WireFormat,
)
from lynkr.wire import freeform
from lynkr.wire.fields import Losses, array_of, node_or_empty, optional_text, text_of
from lynkr.wire.json_body import json_text
from lynkr.wire.openai_responses.fields import (
    RESPONSES,
    Draft,
    Node,
    as_extras,
    drop_usual,
    mark_of,
    shape,
    without,
)

MESSAGE: Final = shape("type", "role", "content")
TEXT: Final = shape("type", "text")
REFUSAL: Final = shape("type", "refusal")
IMAGE: Final = shape("type", "image_url")
REASONING: Final = shape("type", "summary")
FUNCTION_CALL: Final = shape("type", "call_id", "name", "arguments", "namespace")
CUSTOM_CALL: Final = shape("type", "call_id", "name", "input", "namespace")

_TEXT_KINDS: Final = frozenset({"input_text", "output_text", "text"})
_CONTENT_PREFIXES: Final = ("input_", "output_")
SEPARATOR: Final = "\n\n"


# --- Foreign ------------------------------------------------------------------------------------------


def foreign_content(node: Node) -> Foreign:
    """A content part of a kind nobody here knows."""
    kind = node.get("type")
    is_plain = isinstance(kind, str) and kind.startswith(_CONTENT_PREFIXES)
    return Foreign(RESPONSES, node if is_plain else {"content_part": node})


def foreign_item(node: Node) -> Foreign:
    """An item of a kind nobody here knows, verbatim."""
    return Foreign(RESPONSES, node)


def content_in(part: Foreign) -> Node | None:
    """The content part *part* holds; None if it holds an item, or is another dialect's."""
    if part.format is not RESPONSES or not isinstance(part.value, Mapping):
        return None
    inner = part.value.get("content_part")
    if isinstance(inner, Mapping):
        return inner
    kind = part.value.get("type")
    return part.value if isinstance(kind, str) and kind.startswith(_CONTENT_PREFIXES) else None


def item_in(part: Foreign) -> Node | None:
    """The item *part* holds; None if it holds a content part, or is another dialect's."""
    if part.format is not RESPONSES or not isinstance(part.value, Mapping):
        return None
    kind = part.value.get("type")
    is_item = isinstance(kind, str) and not kind.startswith(_CONTENT_PREFIXES)
    return part.value if is_item else None


def is_users(item: Node) -> bool:
    """Whether an item is something the model is told, rather than something it did."""
    kind = item.get("type")
    return isinstance(kind, str) and (kind.endswith("_output") or kind == "mcp_approval_response")


# --- Text and images ----------------------------------------------------------------------------------


def usual_kind(*, assistant: bool) -> str:
    return "output_text" if assistant else "input_text"


def text_part(node: Node, path: str, *, assistant: bool) -> Text | None:
    """The text or refusal *node* is; None if it is something else."""
    kind = node.get("type")
    if kind == "refusal" and assistant:
        return Text(text_of(node, "refusal", path), as_extras({"type": "refusal", **REFUSAL.leftover(node)}))
    if not isinstance(kind, str) or kind not in _TEXT_KINDS:
        return None
    unknown = TEXT.leftover(node)
    for name in ("annotations", "logprobs"):
        if name in unknown and not unknown[name]:
            del unknown[name]
    if kind != usual_kind(assistant=assistant):
        unknown["type"] = kind
    return Text(text_of(node, "text", path), as_extras(unknown))


def text_node(part: Text, path: str, losses: Losses, *, assistant: bool) -> Draft:
    """*part* as a content part; its mark ``item`` is the caller's to write."""
    kind, extras = mark_of(part.extras, "type"), without(part.extras, "item")
    usual = usual_kind(assistant=assistant)
    if kind == "refusal" and assistant:
        node: Draft = {"type": "refusal", "refusal": part.text}
        REFUSAL.restore(node, without(extras, "type"), path, losses)
        return node
    if kind in _TEXT_KINDS and kind != usual:
        extras = without(extras, "type")
    else:
        kind = usual
    node = {"type": kind, "text": part.text}
    if kind == "output_text":
        node["annotations"] = []
    TEXT.restore(node, extras, path, losses)
    return node


def plain_text_in(node: Node) -> str | None:
    """The text of a content part that says nothing else."""
    said = node.keys() - {"type", "text"}
    if said and (said != {"annotations"} or node["annotations"]):
        return None
    text = node.get("text")
    return text if node.get("type") in ("input_text", "output_text") and isinstance(text, str) else None


def image_part(node: Node, path: str) -> Image | None:
    """The image *node* is; None if it is none, or one that stands in a file."""
    if node.get("type") != "input_image" or node.get("image_url") is None:
        return None
    unknown = IMAGE.leftover(node)
    if unknown.get("detail") in ("auto", None):
        unknown.pop("detail", None)
    image = image_from_url(text_of(node, "image_url", path))
    return evolve(image, extras=as_extras(unknown))


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
    node: Draft = {"type": "input_image", "image_url": url, "detail": "auto"}
    IMAGE.restore(node, image.extras, path, losses)
    return node


# --- Reasoning ----------------------------------------------------------------------------------------

# Another dialect's seal travels in `encrypted_content`, so that a client which keeps that field whole gives
# it back: a thinking signature survives a conversation in Responses.
_WRAPPED: Final = "lynkr."


def sealed(seal: Opaque) -> str:
    """What stands in ``encrypted_content``."""
    if seal.format is RESPONSES and not seal.value.startswith(_WRAPPED):
        return seal.value
    return f"{_WRAPPED}{seal.format.value}.{seal.value}"


def unsealed(value: Json) -> Opaque | None:
    if not isinstance(value, str) or not value:
        return None
    if value.startswith(_WRAPPED):
        owner, _, inner = value.removeprefix(_WRAPPED).partition(".")
        made_by = next((known for known in WireFormat if known.value == owner), None)
        if made_by is not None:
            return Opaque(made_by, inner)
    return Opaque(RESPONSES, value)


def pieces_of(node: Node, name: str, kind: str) -> list[str] | None:
    """The texts of a list of ``{"type": kind, "text": ...}``; None if it is anything else."""
    value = node.get(name)
    if value is None:
        return []
    if not isinstance(value, list | tuple):
        return None
    texts = [piece.get("text") for piece in value if _is_piece(piece, kind) and isinstance(piece, Mapping)]
    found = [text for text in texts if isinstance(text, str)]
    if len(found) != len(value):
        return None
    return [] if found == [""] else found  # one empty text says no more than none


def _is_piece(piece: Json, kind: str) -> bool:
    return isinstance(piece, Mapping) and len(piece) == 2 and "text" in piece and piece.get("type") == kind


def reasoning_part(node: Node, path: str) -> Reasoning | Foreign:
    """A thought; an item of unusual content stays as it is."""
    array_of(node, "summary", path)
    optional_text(node, "encrypted_content", path)
    summary = pieces_of(node, "summary", "summary_text")
    content = pieces_of(node, "content", "reasoning_text")
    if summary is None or content is None:
        return foreign_item(node)
    unknown = REASONING.leftover(node)
    seal = unsealed(unknown.pop("encrypted_content", None))
    if not (summary and content):
        unknown.pop("content", None)
    drop_usual(unknown)
    pieces = summary or content
    if content and not summary:
        unknown["field"] = "content"
    cuts = cuts_of(pieces)
    if cuts:
        unknown["cuts"] = cuts
    text = SEPARATOR.join(pieces)
    return Reasoning(text, seal, redacted=seal is not None and not text, extras=as_extras(unknown))


def cuts_of(pieces: Sequence[str]) -> list[Json]:
    """Where in the joined text each separator stands."""
    found: list[Json] = []
    at = 0
    for piece in pieces[:-1]:
        at += len(piece)
        found.append(at)
        at += len(SEPARATOR)
    return found


def _pieces(part: Reasoning, path: str, losses: Losses) -> list[str]:
    cuts = part.extras.of(RESPONSES).get("cuts")
    if not part.text:
        return []
    if not isinstance(cuts, list | tuple):
        return [part.text]
    pieces: list[str] = []
    start = 0
    for cut in cuts:
        if not isinstance(cut, int) or part.text[cut : cut + 2] != SEPARATOR or cut < start:
            losses.add(f"{path}.extras.cuts", "no blank line stands there")
            return [part.text]
        pieces.append(part.text[start:cut])
        start = cut + len(SEPARATOR)
    return [*pieces, part.text[start:]]


def reasoning_node(part: Reasoning, path: str, losses: Losses, *, item_id: str | None) -> Draft:
    """*item_id* is for an item that has none of its own."""
    node: Draft = {"type": "reasoning", "summary": []}
    if item_id is not None:
        node["id"] = item_id
    kind, name = "summary_text", "summary"
    if mark_of(part.extras, "field") == "content":
        kind, name = "reasoning_text", "content"
    pieces: list[Json] = [{"type": kind, "text": text} for text in _pieces(part, path, losses)]
    if pieces:
        node[name] = pieces
    if part.seal is not None:
        node["encrypted_content"] = sealed(part.seal)
    if part.redacted is not (part.seal is not None and not part.text):
        losses.add(f"{path}.redacted", "a thought is redacted here when it has a seal and no text")
    REASONING.restore(node, without(part.extras, "field", "cuts"), path, losses)
    return node


# --- Tool calls ---------------------------------------------------------------------------------------


def function_call(node: Node, path: str) -> ToolCall:
    arguments = node.get("arguments")
    if isinstance(arguments, Mapping):  # some servers send the object itself
        arguments = json_text(arguments)
    elif not isinstance(arguments, str):
        arguments = text_of(node, "arguments", path)
    unknown = FUNCTION_CALL.leftover(node)
    return _call(node, path, arguments, unknown)


def custom_call(node: Node, path: str) -> ToolCall:
    unknown: Draft = {"type": "custom", **CUSTOM_CALL.leftover(node)}
    return _call(node, path, freeform.wrapped(text_of(node, "input", path)), unknown)


def _call(node: Node, path: str, arguments: str, unknown: Draft) -> ToolCall:
    name = text_of(node, "name", path)
    namespace = optional_text(node, "namespace", path)
    drop_usual(unknown)
    if namespace is not None:
        unknown |= {"namespace": namespace, "name": name}
        name = freeform.flat_name(namespace, name)
    return ToolCall(text_of(node, "call_id", path), name, arguments, as_extras(unknown))


def is_custom(extras: Extras) -> bool:
    return mark_of(extras, "type") == "custom"


def bare_name(call: ToolCall) -> tuple[str | None, str]:
    """The namespace and the name within it that make up a call's name."""
    namespace, name = mark_of(call.extras, "namespace"), mark_of(call.extras, "name")
    if namespace is not None and name is not None and freeform.flat_name(namespace, name) == call.name:
        return namespace, name
    return None, call.name


def call_node(call: ToolCall, path: str, losses: Losses, *, text: str | None) -> Draft:
    """*call* as an item; *text* is its input if it is to be a custom call."""
    namespace, name = bare_name(call)
    extras = call.extras if namespace is None else without(call.extras, "namespace", "name")
    node: Draft
    if text is not None:
        node = {"type": "custom_tool_call", "call_id": call.id, "name": name, "input": text}
        layout, extras = CUSTOM_CALL, without(extras, "type")
    else:
        node = {"type": "function_call", "call_id": call.id, "name": name, "arguments": call.arguments}
        layout = FUNCTION_CALL
    if namespace is not None:
        node["namespace"] = namespace
    layout.restore(node, extras, path, losses)
    return node


def object_kind(node: Node, path: str) -> str:
    """An item's type; a message may leave it out."""
    if node.get("type") is None and "role" in node:
        return "message"
    kind = text_of(node, "type", path)
    if not kind:
        raise ClientWireError("must name a kind of item", field=f"{path}.type")
    return kind


def call_id_in(node: Json) -> str | None:
    value = node_or_empty(node).get("call_id")
    return value if isinstance(value, str) else None
