"""Parts, both directions: requests, answers and streams have them in common.

`Part`, `FunctionCall`, `FunctionResponse`, `Blob`, `FileData` of google-genai
3.4 (read 2026-11).  What the canonical form settles:

- A function call's ``args`` are an object on the wire, its arguments compact
  JSON text here; a call without any has ``{}``.
- Signatures (``thoughtSignature``) of thoughts are `Reasoning.seal`; those of
  texts and of calls stay in the part's extras, for the model has no seal there.
  A part that holds nothing but a signature is redacted `Reasoning`, which
  other dialects know how to leave out.
- A result is ``{"output": text}`` or ``{"error": text}``, as the format's own
  description of `FunctionResponse.response` says; several texts are an array of
  them, and any other object is the JSON text of itself.
- Media that are no images, code, and whatever comes next ride along as `Foreign`.
"""

import re
from collections.abc import Mapping
from contextlib import suppress
from typing import Final, assert_never

from lynkr.model import (
    Foreign,
    Image,
    ImageSource,
    Json,
    Opaque,
    Part,
    Reasoning,
    Text,
    ToolCall,
    ToolResult,
)
from lynkr.wire.fields import (
    Losses,
    Node,
    Shape,
    array_of,
    join,
    object_at,
    object_of,
    optional_text,
    text_of,
    text_or_empty,
)
from lynkr.wire.gemini.fields import GEMINI, Body, as_extras, shape
from lynkr.wire.json_body import RawJson, json_text, parse_value

TEXT: Final = shape("text", "thought")
THOUGHT: Final = shape("text", "thought", "thoughtSignature")
SEAL_ONLY: Final = shape("thought", "thoughtSignature")
INLINE: Final = shape(inlineData=shape("data", "mimeType"))
FILE: Final = shape(fileData=shape("fileUri"))
CALL: Final = shape(functionCall=shape("id", "name", "args"))
RESULT: Final = shape(functionResponse=shape("id", "name", "response", "parts"))

SIGNATURE: Final = "thoughtSignature"
# "Thought signatures", https://ai.google.dev/gemini-api/docs/thought-signatures (read 2026-11): what to send
# with a call of the history that no Gemini model made, or whose signature is lost.
NO_SIGNATURE: Final = "skip_thought_signature_validator"

_NAMED: Final = ("text", "functionCall", "functionResponse", "thoughtSignature")
_IMAGE_TYPES: Final = {
    "png": "image/png",
    "jpg": "image/jpeg",
    "jpeg": "image/jpeg",
    "webp": "image/webp",
    "gif": "image/gif",
    "heic": "image/heic",
    "heif": "image/heif",
}
_ENDING: Final = re.compile(r"\.([A-Za-z]{1,8})\Z")
_AFTER_PATH: Final = re.compile(r"[?#]")
_MAGIC: Final = (("/9j/", "image/jpeg"), ("R0lG", "image/gif"), ("UklG", "image/webp"))


class History:
    """The function calls so far: what a result's name and id are found in."""

    def __init__(self) -> None:
        self._names: dict[str, str] = {}
        self._open: list[str] = []

    def called(self, call_id: str, name: str) -> None:
        self._names[call_id] = name
        self._open.append(call_id)

    def name_of(self, call_id: str) -> str | None:
        return self._names.get(call_id)

    def answered(self, call_id: str) -> None:
        if call_id in self._open:
            self._open.remove(call_id)

    def waiting_for(self, name: str) -> str | None:
        """The oldest call of function *name* that has no result yet: how results without ids are meant."""
        return next((call_id for call_id in self._open if self._names[call_id] == name), None)

    def new_id(self, wanted: str) -> str:
        while wanted in self._names:
            wanted += "_"
        return wanted


# --- Decoding -----------------------------------------------------------------------------------------


def decode_part(item: Json, path: str, history: History, made_up_id: str) -> Part:
    """One part; *made_up_id* is the id of a call, or of a result without a call, that has none.

    Raises:
        ClientWireError: with the path of what is wrong.
    """
    node = object_at(item, path)
    if node.get("functionCall") is not None:
        return _decode_call(node, path, history, made_up_id)
    if node.get("functionResponse") is not None:
        return _decode_result(node, path, history, made_up_id)
    image = _decode_image(node)
    if image is not None:
        return image
    text, seal = optional_text(node, "text", path), optional_text(node, SIGNATURE, path)
    if node.get("thought") is True and text is not None:
        return Reasoning(text, Opaque(GEMINI, seal) if seal else None, False, THOUGHT.extras(node))
    if seal and not text and not _media_of(node):
        return _decode_seal(node, seal)
    if text is not None:
        return Text(text, TEXT.extras(node))
    return Foreign(GEMINI, node)


def _media_of(node: Node) -> bool:
    """Whether *node* holds something besides text and marks of thinking."""
    return any(isinstance(value, Mapping) for name, value in node.items() if name != "partMetadata")


def _decode_seal(node: Node, seal: str) -> Reasoning:
    """A signature alone: in a thought, or, at the end of a stream, in an empty text or in nothing at all."""
    leftover = SEAL_ONLY.leftover(node)
    if node.get("thought") is not True:
        leftover["thought"] = False
    return Reasoning("", Opaque(GEMINI, seal), True, as_extras(leftover))


def _decode_image(node: Node) -> Image | None:
    inline, file = node.get("inlineData"), node.get("fileData")
    if isinstance(inline, Mapping) and file is None:
        data, kind = inline.get("data"), inline.get("mimeType")
        if isinstance(data, str) and isinstance(kind, str) and kind.startswith("image/"):
            return Image(ImageSource.BASE64, data, kind, INLINE.extras(node))
    if isinstance(file, Mapping) and inline is None:
        return _decode_image_file(node, file)
    return None


def _decode_image_file(node: Node, file: Node) -> Image | None:
    uri, kind = file.get("fileUri"), file.get("mimeType")
    if not isinstance(uri, str) or not isinstance(kind, str | None):
        return None
    guessed = media_type_of(uri)
    if not (kind or guessed or "image/").startswith("image/"):
        return None
    leftover = FILE.leftover(node)
    held = leftover.get("fileData")
    if isinstance(held, Mapping) and (kind is None or kind == guessed):
        # The encoder gives this type by itself.
        rest = {name: value for name, value in held.items() if name != "mimeType"}
        leftover = (
            {**leftover, "fileData": rest} if rest else {k: v for k, v in leftover.items() if k != "fileData"}
        )
    return Image(ImageSource.URL, uri, None, as_extras(leftover))


def media_type_of(uri: str) -> str | None:
    """The image type a URL's ending tells."""
    found = _ENDING.search(_AFTER_PATH.split(uri, maxsplit=1)[0])
    return _IMAGE_TYPES.get(found[1].lower()) if found else None


def _decode_call(node: Node, path: str, history: History, made_up_id: str) -> ToolCall:
    call, below = object_of(node, "functionCall", path), join(path, "functionCall")
    name = text_of(call, "name", below)
    call_id = optional_text(call, "id", below) or history.new_id(made_up_id)
    args = call.get("args")
    arguments = "{}" if args is None else json_text(object_at(args, join(below, "args")))
    history.called(call_id, name)
    leftover = CALL.leftover(node)
    if leftover.get(SIGNATURE) == NO_SIGNATURE:
        del leftover[SIGNATURE]
    return ToolCall(call_id, name, arguments, as_extras(leftover))


def _decode_result(node: Node, path: str, history: History, made_up_id: str) -> ToolResult:
    result, below = object_of(node, "functionResponse", path), join(path, "functionResponse")
    name = text_of(result, "name", below)
    call_id = optional_text(result, "id", below) or history.waiting_for(name) or made_up_id
    leftover = RESULT.leftover(node)
    if history.name_of(call_id) != name:
        inner = leftover.get("functionResponse")
        leftover["functionResponse"] = {"name": name, **(inner if isinstance(inner, Mapping) else {})}
    history.answered(call_id)
    response = result.get("response")
    texts: list[Text] = []
    is_error = False
    if response is not None:
        texts, is_error = _texts_of(object_at(response, join(below, "response")))
    content: list[Text | Image | Foreign] = [*texts]
    for at, item in enumerate(array_of(result, "parts", below)):
        media = object_at(item, f"{below}.parts[{at}]")
        content.append(_decode_image(media) or Foreign(GEMINI, media))
    return ToolResult(call_id, tuple(content), is_error, as_extras(leftover))


def _texts_of(response: Node) -> tuple[list[Text], bool]:
    """What a result says, and whether it says that the function failed."""
    if not response:
        return [], False
    names = list(response)
    is_error = names == ["error"]
    value: Json = response
    if is_error or names == ["output"]:
        value = response[names[0]]
    match value:
        case str():
            return ([Text(value)] if value else []), is_error
        case [str(), str(), *_] if all(isinstance(text, str) and text for text in value):
            return [Text(text_or_empty(text)) for text in value], is_error
        case _:
            return [Text(json_text(value))], is_error


# --- Encoding -----------------------------------------------------------------------------------------


def encode_part(part: Part, path: str, history: History, losses: Losses) -> Body | None:
    """The node for *part*, None (and a `Loss`) where there is none; results are `encode_result`'s."""
    match part:
        case Text():
            return encode_text(part, path, losses)
        case Reasoning():
            return encode_reasoning(part, path, losses)
        case Image():
            return encode_image(part, path, losses)
        case ToolCall():
            history.called(part.id, part.name)
            return encode_call(part, path, losses)
        case Foreign():
            return encode_foreign(part, path, losses)
        case ToolResult():
            losses.add(path, "a tool's result has no place here")
            return None
        case _:
            assert_never(part)


def is_void(part: Part) -> bool:
    """Whether *part* says nothing at all: a text without letters, fields or seal, as streams end with."""
    match part:
        case Text(text="") | Reasoning(text="", redacted=False, seal=None):
            return not part.extras.fields
        case _:
            return False


def encode_text(part: Text, path: str, losses: Losses) -> Body:
    node: Body = {"text": part.text}
    TEXT.restore(node, part.extras, path, losses)
    return node


def encode_reasoning(part: Reasoning, path: str, losses: Losses) -> Body | None:
    seal = part.seal.value if part.seal is not None and part.seal.format is GEMINI else ""
    if part.redacted:
        if not seal:
            losses.add(path, "a thought without text, sealed by another provider")
            return None
        if part.text:
            losses.add(f"{path}.text", "redacted thinking has no text")
        return _encode_seal(part, seal, path, losses)
    node: Body = {"thought": True, "text": part.text}
    if seal:
        node[SIGNATURE] = seal
    elif part.seal is not None:
        losses.add(f"{path}.seal", f"the seal is {part.seal.format.value}'s")
    THOUGHT.restore(node, part.extras, path, losses)
    return node


def _encode_seal(part: Reasoning, seal: str, path: str, losses: Losses) -> Body:
    extras = part.extras
    node: Body = {SIGNATURE: seal}
    if extras.of(GEMINI).get("thought") is False:
        extras = as_extras({name: value for name, value in extras.fields.items() if name != "thought"})
    else:
        node["thought"] = True
        if "text" in extras.of(GEMINI):
            losses.add(f"{path}.extras.text", "redacted thinking has no text")
            extras = as_extras({name: value for name, value in extras.fields.items() if name != "text"})
    SEAL_ONLY.restore(node, extras, path, losses)
    return node


def encode_image(part: Image, path: str, losses: Losses) -> Body:
    if part.source is ImageSource.BASE64:
        kind = part.media_type
        if kind is None:
            kind = next((kind for magic, kind in _MAGIC if part.value.startswith(magic)), "image/png")
            losses.add(f"{path}.media_type", f"Gemini needs one; {kind} by the first bytes")
        elif not kind.startswith("image/"):
            losses.add(path, "reads back as a file, for its media type is no image's")
        node: Body = {"inlineData": {"mimeType": kind, "data": part.value}}
        INLINE.restore(node, part.extras, path, losses)
        return node
    if part.media_type is not None:
        losses.add(f"{path}.media_type", "known for inline images only")
    node = {"fileData": {"fileUri": part.value}}
    FILE.restore(node, part.extras, path, losses)
    guessed = media_type_of(part.value)
    if guessed is not None:
        node["fileData"].setdefault("mimeType", guessed)
    return node


def encode_call(part: ToolCall, path: str, losses: Losses) -> Body:
    node: Body = {"functionCall": {"id": part.id, "name": part.name, "args": _args_of(part, path, losses)}}
    CALL.restore(node, part.extras, path, losses)
    return node


def _args_of(call: ToolCall, path: str, losses: Losses) -> object:
    """The arguments as they stand; what is no object goes in as text, so that the call is not lost."""
    if not call.arguments:
        return {}
    value: Json = None
    with suppress(ValueError):
        value = parse_value(call.arguments)
    if isinstance(value, dict):
        # A frame of a stream is one line.
        is_line = "\n" not in call.arguments and "\r" not in call.arguments
        return RawJson(call.arguments if is_line else json_text(value))
    losses.add(f"{path}.arguments", 'not a JSON object; sent as text in {"arguments": ...}')
    return {"arguments": call.arguments}


def encode_foreign(part: Foreign, path: str, losses: Losses) -> Body | None:
    if part.format is GEMINI and isinstance(part.value, Mapping):
        if not any(name in part.value for name in _NAMED) and _decode_image(part.value) is None:
            return dict(part.value)
        losses.add(path, "the canonical part of this kind is not foreign")
        return None
    losses.add(path, f"a kind of part that only {part.format.value} knows")
    return None


def encode_result(
    part: ToolResult, path: str, history: History, losses: Losses, *, holds_media: bool
) -> list[Body] | None:
    """The result and, where it cannot hold media itself, those beside it; None if its function is unknown."""
    leftover = dict(part.extras.of(GEMINI))
    inner = leftover.get("functionResponse")
    name = text_or_empty(inner.get("name")) if isinstance(inner, Mapping) else ""
    if name and isinstance(inner, Mapping):
        rest = {below: value for below, value in inner.items() if below != "name"}
        leftover.pop("functionResponse")
        if rest:
            leftover["functionResponse"] = rest
    name = name or history.name_of(part.call_id) or ""
    if not name:
        return None
    texts, media = _encode_content(part, path, losses)
    result: Body = {
        "id": part.call_id,
        "name": name,
        "response": {"error" if part.is_error else "output": texts[0] if len(texts) == 1 else texts or ""},
    }
    beside: list[Body] = []
    if media and holds_media:
        result["parts"] = media
    elif media:
        losses.add(path.rpartition("[")[0], "images of a tool's result are written beside it")
        beside = media
    node: Body = {"functionResponse": result}
    extras = as_extras(leftover) if part.extras.format is GEMINI else part.extras
    RESULT.restore(node, extras, path, losses)
    return [node, *beside]


def _encode_content(part: ToolResult, path: str, losses: Losses) -> tuple[list[str], list[Body]]:
    texts: list[str] = []
    media: list[Body] = []
    for at, item in enumerate(part.content):
        where = f"{path}.content[{at}]"
        match item:
            case Text(text=""):
                losses.add(where, "an empty text says nothing")
            case Text():
                losses.add_extras(item.extras, where, "a result's text is a bare string")
                if media:
                    losses.add(f"{path}.content", "texts are written before images")
                texts.append(item.text)
            case Image():
                media.append(encode_image(item, where, losses))
            case Foreign():
                node = encode_foreign(item, where, losses) if _is_medium(item) else None
                if node is None:
                    losses.add(where, "a result holds texts and files only")
                else:
                    media.append(node)
            case _:
                assert_never(item)
    return texts, media


def _is_medium(part: Foreign) -> bool:
    """Whether *part* may stand in ``functionResponse.parts``, which are files only."""
    value = part.value
    if part.format is not GEMINI or not isinstance(value, Mapping):
        return False
    return "inlineData" in value or "fileData" in value


__all__ = [
    "NO_SIGNATURE",
    "SIGNATURE",
    "History",
    "Shape",
    "decode_part",
    "encode_part",
    "encode_result",
    "encode_text",
    "is_void",
]
