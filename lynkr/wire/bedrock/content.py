"""Content blocks: the parts of a message, of an answer, and of a tool's result."""

import re
from collections.abc import Mapping
from hashlib import sha256
from typing import Any, Final, assert_never

from lynkr.model import (
    NO_EXTRAS,
    Extras,
    Foreign,
    Image,
    ImageSource,
    Json,
    Opaque,
    Part,
    Reasoning,
    Role,
    Text,
    ToolCall,
    ToolResult,
)
from lynkr.wire.bedrock.shapes import (
    FORMAT,
    IMAGE,
    REASONING,
    REDACTED,
    SIGNED_BY,
    TEXT,
    TOOL_RESULT,
    TOOL_USE,
    cache_marker,
    cache_point,
    restore,
)
from lynkr.wire.fields import (
    Draft,
    Losses,
    Node,
    array_of,
    join,
    object_at,
    object_of,
    optional_text,
    text_of,
)
from lynkr.wire.json_body import RawJson, json_text, parse_value

# --- Decoding -----------------------------------------------------------------------------------------


def decode_parts(blocks: list[Json], path: str, *, is_answer: bool = False) -> tuple[Part, ...]:
    """A ``content`` field.

    Raises:
        ClientWireError: with the path of the first thing that is wrong.
    """
    parts: list[Part] = []
    for at, value in enumerate(blocks):
        block = object_at(value, f"{path}[{at}]")
        # An answer sets no cache points: one that is there belongs to no part.
        marker = cache_marker(block) if parts and not is_answer else None
        marked = with_marker(parts[-1], marker) if marker is not None else None
        if marked is not None:
            parts[-1] = marked
        else:
            parts.append(decode_part(block, f"{path}[{at}]", is_answer=is_answer))
    return tuple(parts)


def with_marker(part: Part, marker: Extras) -> Part | None:
    """*part* with the cache marker that followed it; None if it has no room for one."""
    if isinstance(part, Foreign) or part.extras.fields:
        return None
    match part:
        case Text():
            return Text(part.text, marker)
        case Image():
            return Image(part.source, part.value, part.media_type, marker)
        case Reasoning():
            return Reasoning(part.text, part.seal, part.redacted, marker)
        case ToolCall():
            return ToolCall(part.id, part.name, part.arguments, marker)
        case ToolResult():
            return ToolResult(part.call_id, part.content, part.is_error, marker)
        case _:
            assert_never(part)


def decode_part(block: Node, path: str, *, is_answer: bool = False) -> Part:
    """One block; kinds without a canonical form stay whole as `Foreign`."""
    part: Part | None = None
    if "text" in block:
        part = Text(text_of(block, "text", path), TEXT.extras(block))
    elif "toolUse" in block:
        part = _decode_tool_use(block, path)
    elif "toolResult" in block and not is_answer:
        part = _decode_tool_result(block, path)
    elif "reasoningContent" in block:
        part = _decode_reasoning(block, path, is_answer=is_answer)
    elif "image" in block:
        part = _decode_image(block, path)
    elif "citationsContent" in block:
        part = _decode_cited(block, path)
    return Foreign(FORMAT, block) if part is None else part


def _decode_tool_use(block: Node, path: str) -> ToolCall | None:
    where = join(path, "toolUse")
    call = object_of(block, "toolUse", path)
    if "type" in call:
        return None  # a tool the provider runs itself
    arguments: Node = object_of(call, "input", where) if call.get("input") is not None else NO_EXTRAS.fields
    return ToolCall(
        text_of(call, "toolUseId", where), text_of(call, "name", where), json_text(dict(arguments)),
        TOOL_USE.extras(block),
    )  # fmt: skip


def _decode_tool_result(block: Node, path: str) -> ToolResult | None:
    where = join(path, "toolResult")
    result = object_of(block, "toolResult", path)
    if "type" in result:
        return None  # of a tool the provider runs itself
    content: list[Text | Image | Foreign] = []
    for at, value in enumerate(array_of(result, "content", where)):
        item = object_at(value, f"{where}.content[{at}]")
        inner: Text | Image | None = None
        if "text" in item:
            inner = Text(text_of(item, "text", f"{where}.content[{at}]"), TEXT.extras(item))
        elif "image" in item:
            inner = _decode_image(item, f"{where}.content[{at}]")
        content.append(Foreign(FORMAT, item) if inner is None else inner)
    return ToolResult(
        text_of(result, "toolUseId", where),
        tuple(content),
        optional_text(result, "status", where) == "error",
        TOOL_RESULT.extras(block),
    )


def _decode_reasoning(block: Node, path: str, *, is_answer: bool) -> Reasoning | None:
    where = join(path, "reasoningContent")
    content = object_of(block, "reasoningContent", path)
    if "redactedContent" in content:
        seal = Opaque(FORMAT, text_of(content, "redactedContent", where))
        return Reasoning("", seal, True, REDACTED.extras(block))
    if "reasoningText" not in content:
        return None
    told = object_of(content, "reasoningText", where)
    signature = optional_text(told, "signature", join(where, "reasoningText"))
    if not signature and not is_answer:
        return None  # only an answer's may be unsigned; see `_encode_reasoning`
    text = text_of(told, "text", join(where, "reasoningText"))
    return Reasoning(
        text, Opaque(SIGNED_BY, signature) if signature else None, False, REASONING.extras(block)
    )


def _decode_image(block: Node, path: str) -> Image | None:
    where = join(path, "image")
    image = object_of(block, "image", path)
    source = object_of(image, "source", where)
    if "bytes" not in source:
        return None  # a place in S3, which means something to its account only
    kind = text_of(image, "format", where)
    data = text_of(source, "bytes", join(where, "source"))
    return Image(ImageSource.BASE64, data, f"image/{kind}", IMAGE.extras(block))


def _decode_cited(block: Node, path: str) -> Text:
    """A text with its sources, which stay in its extras under the name their list has."""
    where = join(path, "citationsContent")
    content = object_of(block, "citationsContent", path)
    texts = [
        text_of(object_at(value, f"{where}.content[{at}]"), "text", f"{where}.content[{at}]")
        for at, value in enumerate(array_of(content, "content", where))
    ]
    citations: list[Json] = array_of(content, "citations", where)
    return Text("".join(texts), Extras(FORMAT, {"citations": citations}))


# --- Encoding -----------------------------------------------------------------------------------------

_WIRE_ID: Final = re.compile(r"[a-zA-Z0-9_.:-]{1,64}")
_ID_MISFIT: Final = re.compile(r"[^a-zA-Z0-9_.:-]")
_MAX_ID: Final = 64
_KINDS_IN: Final[Mapping[Role | None, tuple[type[Part], ...]]] = {
    Role.SYSTEM: (Text, Foreign),
    # "You can only include images and documents if the role is user" (API reference, Message, read 2026-11).
    Role.USER: (Text, Foreign, Image, ToolResult),
    Role.ASSISTANT: (Text, Foreign, Reasoning, ToolCall),
    None: (Text, Foreign, Reasoning, ToolCall, Image),
}


def encode_part(part: Part, path: str, role: Role | None, losses: Losses) -> list[Draft]:
    """The block for *part*, and its cache point if it asks for one; none (and a `Loss`) if it has no place.

    *role* is None for an answer.
    """
    if type(part) not in _KINDS_IN[role]:
        where = "an answer" if role is None else f"a message of the {role.value}"
        losses.add(path, f"Converse has no such part in {where}")
        return []
    match part:
        case Text():
            return _encode_text(part, path, role, losses)
        case ToolCall():
            call: dict[str, Any] = {
                "toolUseId": part.id if role is None else wire_id(part.id, f"{path}.id", losses),
                "name": part.name,
                "input": _tool_input(part, path, losses),
            }
            return restore(TOOL_USE, {"toolUse": call}, part.extras, path, losses)
        case ToolResult():
            return _encode_tool_result(part, path, losses)
        case Image():
            return _encode_image(part, path, losses)
        case Reasoning():
            return _encode_reasoning(part, path, role, losses)
        case Foreign():
            return encode_foreign(part, path, losses)
        case _:
            assert_never(part)


def _encode_text(part: Text, path: str, role: Role | None, losses: Losses) -> list[Draft]:
    own = part.extras.of(FORMAT)
    if role is not None and not part.text.strip():
        # "The text field in the ContentBlock object at messages.0.content.0 is blank" (read 2026-11).
        losses.add(path, "Converse refuses blank texts")
        return []
    if "citations" in own:
        rest = Extras(FORMAT, {name: value for name, value in own.items() if name != "citations"})
        cited: Draft = {"content": [{"text": part.text}], "citations": own["citations"]}
        losses.add_extras(rest, path, "a text with citations holds no other fields")
        return [{"citationsContent": cited}]
    return restore(TEXT, {"text": part.text}, part.extras, path, losses)


def encode_foreign(part: Foreign, path: str, losses: Losses) -> list[Draft]:
    if part.format is FORMAT and isinstance(part.value, Mapping):
        return [dict(part.value)]
    losses.add(path, f"a kind of part that only {part.format.value} knows")
    return []


def _encode_image(part: Image, path: str, losses: Losses) -> list[Draft]:
    if part.source is ImageSource.URL:
        losses.add(path, "Converse takes an image's bytes, not its address")
        return []
    media_type = part.media_type
    if media_type is None:
        media_type = _guessed_media_type(part.value)
        losses.add(f"{path}.media_type", f"Converse needs one; {media_type} by the first bytes")
    family, _, kind = media_type.partition("/")
    if family != "image" or not kind:
        losses.add(path, f"Converse takes no image of type {media_type}")
        return []
    if kind == "jpg":
        losses.add(f"{path}.media_type", "image/jpeg is its registered name, which Converse asks for")
        kind = "jpeg"
    image: Draft = {"format": kind, "source": {"bytes": part.value}}
    return restore(IMAGE, {"image": image}, part.extras, path, losses)


def _guessed_media_type(base64: str) -> str:
    """By the base64 of each format's magic bytes; Converse takes these four."""
    for start, media_type in (("/9j/", "image/jpeg"), ("R0lG", "image/gif"), ("UklG", "image/webp")):
        if base64.startswith(start):
            return media_type
    return "image/png"


def _encode_reasoning(part: Reasoning, path: str, role: Role | None, losses: Losses) -> list[Draft]:
    owner = FORMAT if part.redacted else SIGNED_BY
    seal = part.seal.value if part.seal is not None and part.seal.format is owner else ""
    if not seal and (part.redacted or role is Role.ASSISTANT):
        # Claude verifies each signature, and the other models do not ask for their thoughts back.
        losses.add(path, "thinking without a signature its model would know")
        return []
    if part.redacted:
        if part.text:
            losses.add(f"{path}.text", "redacted thinking has no text")
        redacted: Draft = {"reasoningContent": {"redactedContent": seal}}
        return restore(REDACTED, redacted, part.extras, path, losses)
    if not seal and part.seal is not None:
        losses.add(f"{path}.seal", f"the seal is {part.seal.format.value}'s")
    told: Draft = {"text": part.text}
    if seal:
        told["signature"] = seal
    return restore(REASONING, {"reasoningContent": {"reasoningText": told}}, part.extras, path, losses)


def wire_id(call_id: str, path: str, losses: Losses) -> str:
    """*call_id* in the characters and the length Bedrock allows, the same one for the same call."""
    if _WIRE_ID.fullmatch(call_id):
        return call_id
    losses.add(path, "Converse takes 1 to 64 letters, digits and '_.:-' only; the id was spelled so")
    spelled = _ID_MISFIT.sub(lambda found: f"_{ord(found[0]):x}_", call_id) or "_"
    if len(spelled) <= _MAX_ID:
        return spelled
    return sha256(spelled.encode()).hexdigest()


def is_json_object(text: str) -> bool:
    try:
        return isinstance(parse_value(text), dict)
    except ValueError:
        return False


def _tool_input(call: ToolCall, path: str, losses: Losses) -> object:
    """The arguments as they stand; what is no object goes in as text, so that its result is not orphaned."""
    if not call.arguments:
        return {}
    if is_json_object(call.arguments):
        return RawJson(call.arguments)
    losses.add(f"{path}.arguments", 'not a JSON object; sent as text in {"arguments": ...}')
    return {"arguments": call.arguments}


def _encode_tool_result(part: ToolResult, path: str, losses: Losses) -> list[Draft]:
    content: list[Json] = []
    for at, item in enumerate(part.content):
        where = f"{path}.content[{at}]"
        match item:
            case Text():
                draft: Draft = {"text": item.text}
                TEXT.restore(draft, item.extras, where, losses)
                content.append(draft)
            case Image():
                for block in _encode_image(item, where, losses):
                    if "cachePoint" not in block:
                        content.append(block)
                    elif cache_point(item.extras) is not None:
                        losses.add(f"{where}.extras.cache_control", "no cache point stands inside a result")
            case Foreign():
                content += encode_foreign(item, where, losses)
            case _:
                assert_never(item)
    result: Draft = {
        "toolUseId": wire_id(part.call_id, f"{path}.call_id", losses),
        "content": content,
    }
    if part.is_error:
        result["status"] = "error"
    return restore(TOOL_RESULT, {"toolResult": result}, part.extras, path, losses)
