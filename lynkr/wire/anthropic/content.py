"""Content blocks: the parts of a message, of an answer, and of a tool's result."""

import re
from collections.abc import Mapping
from typing import Any, Final, assert_never

from lynkr.model import (
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
from lynkr.wire.anthropic.fields import (
    FORMAT,
    FieldError,
    Losses,
    as_array,
    as_boolean,
    as_object,
    join,
    required,
    required_string,
    unknown_fields,
    with_extras,
)
from lynkr.wire.json_body import RawJson, json_text, parse_value

_KNOWN_KINDS: Final = frozenset({"text", "image", "thinking", "redacted_thinking", "tool_use", "tool_result"})

# Which of the known kinds may stand where; None is a provider's answer.  The API refuses the others
# ("`tool_use` blocks can only be in `assistant` messages", anthropic 2.12 types, read 2026-11).
_KINDS_IN: Final[Mapping[Role | None, frozenset[str]]] = {
    Role.SYSTEM: frozenset({"text"}),
    Role.USER: frozenset({"text", "image", "tool_result"}),
    Role.ASSISTANT: frozenset({"text", "image", "thinking", "redacted_thinking", "tool_use"}),
    None: frozenset({"text", "thinking", "redacted_thinking", "tool_use"}),
}

_TEXT: Final = frozenset({"type", "text"})
_IMAGE: Final = frozenset({"type", "source"})
_IMAGE_KIND: Final = frozenset({"type"})
_BASE64_SOURCE: Final = frozenset({"type", "media_type", "data"})
_URL_SOURCE: Final = frozenset({"type", "url"})
_THINKING: Final = frozenset({"type", "thinking", "signature"})
_REDACTED: Final = frozenset({"type", "data"})
_TOOL_USE: Final = frozenset({"type", "id", "name", "input"})
_TOOL_RESULT: Final = frozenset({"type", "tool_use_id", "content", "is_error"})

# --- Decoding -----------------------------------------------------------------------------------------


def decode_parts(value: Json, path: str, role: Role | None) -> tuple[Part, ...]:
    """A `content` field: a list of blocks, or a string, which means one block of text.

    Raises:
        FieldError: with the path of the first thing that is wrong.
    """
    if isinstance(value, str):
        return (Text(value),)
    if not isinstance(value, list | tuple):
        raise FieldError(path, "must be a string or an array of content blocks")
    return tuple([decode_part(block, f"{path}[{at}]", role) for at, block in enumerate(value)])


def decode_part(value: Json, path: str, role: Role | None) -> Part:
    """One block; kinds without a canonical form stay whole as `Foreign`."""
    block = as_object(value, path)
    kind = required_string(block, "type", path)
    if kind not in _KINDS_IN[role]:
        if kind in _KNOWN_KINDS and role is not None:
            raise FieldError(join(path, "type"), f"a {role.value} message cannot hold a {kind!r} block")
        return Foreign(FORMAT, block)
    match kind:
        case "text":
            return _decode_text(block, path)
        case "tool_use":
            return _decode_tool_use(block, path, is_answer=role is None)
        case "tool_result":
            return _decode_tool_result(block, path)
        case "thinking":
            return _decode_thinking(block, path, is_answer=role is None)
        case "redacted_thinking":
            data = required_string(block, "data", path)
            return Reasoning("", Opaque(FORMAT, data), True, unknown_fields(block, _REDACTED))
        case _:
            return _decode_image(block, path)


def _decode_text(block: Mapping[str, Json], path: str) -> Text:
    text = required_string(block, "text", path)
    return Text(text) if len(block) == 2 else Text(text, unknown_fields(block, _TEXT))


def _decode_image(block: Mapping[str, Json], path: str) -> Image | Foreign:
    where = join(path, "source")
    source = as_object(required(block, "source", path), where)
    kind = required_string(source, "type", where)
    match kind:
        case "base64":
            value = required_string(source, "data", where)
            media_type: str | None = required_string(source, "media_type", where)
            rest = unknown_fields(source, _BASE64_SOURCE)
        case "url":
            value, media_type = required_string(source, "url", where), None
            rest = unknown_fields(source, _URL_SOURCE)
        case _:
            # A file id means something to the account that uploaded it, and to nobody else.
            return Foreign(FORMAT, block)
    if not rest.fields:
        return Image(ImageSource(kind), value, media_type, unknown_fields(block, _IMAGE))
    # What else the source holds stays under its own name.
    kept = unknown_fields({**block, "source": rest.fields}, _IMAGE_KIND)
    return Image(ImageSource(kind), value, media_type, kept)


def _decode_thinking(block: Mapping[str, Json], path: str, *, is_answer: bool) -> Reasoning:
    text = required_string(block, "thinking", path)
    is_unsigned = is_answer and "signature" not in block
    signature = "" if is_unsigned else required_string(block, "signature", path)
    # An empty signature is how unsealed thinking of another provider is shown to Anthropic clients,
    # which send it back.
    seal = Opaque(FORMAT, signature) if signature else None
    return Reasoning(text, seal, False, unknown_fields(block, _THINKING))


def _decode_tool_use(block: Mapping[str, Json], path: str, *, is_answer: bool) -> ToolCall:
    value: Json = {} if is_answer and "input" not in block else required(block, "input", path)
    return ToolCall(
        required_string(block, "id", path),
        required_string(block, "name", path),
        json_text(as_object(value, join(path, "input"))),
        unknown_fields(block, _TOOL_USE),
    )


def _decode_tool_result(block: Mapping[str, Json], path: str) -> ToolResult:
    call_id = required_string(block, "tool_use_id", path)
    is_error = as_boolean(block["is_error"], join(path, "is_error")) if "is_error" in block else False
    content: tuple[Text | Image | Foreign, ...] = ()
    if "content" in block:
        content = _decode_result_content(block["content"], join(path, "content"))
    return ToolResult(call_id, content, is_error, unknown_fields(block, _TOOL_RESULT))


def _decode_result_content(value: Json, path: str) -> tuple[Text | Image | Foreign, ...]:
    if isinstance(value, str):
        return (Text(value),)
    decoded: list[Text | Image | Foreign] = []
    for at, item in enumerate(as_array(value, path)):
        where = f"{path}[{at}]"
        block = as_object(item, where)
        match required_string(block, "type", where):
            case "text":
                decoded.append(_decode_text(block, where))
            case "image":
                decoded.append(_decode_image(block, where))
            case "tool_reference":
                decoded.append(_decode_tool_reference(block, where))
            case _:
                decoded.append(Foreign(FORMAT, block))
    return tuple(decoded)


def _decode_tool_reference(block: Mapping[str, Json], path: str) -> Text:
    """What a search for tools found (anthropic 2.12, `ToolReferenceBlockParam`, read 2026-11).

    In words, with the block beside them: Claude Code 2.1 loads every MCP tool this way, and a model of
    another dialect that is told nothing takes the search for a failure.  The tool is among the request's.
    """
    name = required_string(block, "tool_name", path)
    return Text(f"The tool {name} is loaded and can be called now.", Extras(FORMAT, block))


# --- Encoding -----------------------------------------------------------------------------------------

# `Any` because a tool's input is written as `RawJson`, which is a leaf for `dump` and not JSON itself.
Block = dict[str, Any]

_WIRE_ID: Final = re.compile(r"[a-zA-Z0-9_-]+")
_ID_MISFIT: Final = re.compile(r"[^a-zA-Z0-9_-]")


def encode_part(part: Part, path: str, role: Role | None, losses: Losses) -> Block | None:
    """The block for *part*, None (and a `Loss`) where Anthropic has no place for it."""
    if not _has_place(part, role):
        where = "an answer" if role is None else f"a message of the {role.value}"
        losses.add(path, f"Anthropic has no such part in {where}")
        return None
    match part:
        case Text():
            return encode_text(part, path, losses)
        case ToolCall():
            return _encode_tool_use(part, path, role, losses)
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


def _has_place(part: Part, role: Role | None) -> bool:
    match part:
        case Text() | Foreign():
            return True
        case ToolCall() | Reasoning():
            return role in (Role.ASSISTANT, None)
        case ToolResult():
            return role is Role.USER
        case Image():
            return role in (Role.USER, Role.ASSISTANT)
        case _:
            assert_never(part)


def encode_text(part: Text, path: str, losses: Losses) -> Block:
    own = losses.own(part.extras, path)
    # No text has a field of this name but one that stands for a whole block (`_decode_tool_reference`).
    return dict(own) if "type" in own else with_extras({"type": "text", "text": part.text}, own)


def encode_foreign(part: Foreign, path: str, losses: Losses) -> Block | None:
    if part.format is FORMAT and isinstance(part.value, Mapping):
        return dict(part.value)
    losses.add(path, f"a kind of part that only {part.format.value} knows")
    return None


def _encode_image(part: Image, path: str, losses: Losses) -> Block:
    own = dict(losses.own(part.extras, path))
    more = own.pop("source", None)
    if part.source is ImageSource.URL:
        source: Block = {"type": "url", "url": part.value}
        if part.media_type is not None:
            losses.add(f"{path}.media_type", "Anthropic takes no media type beside a URL")
    else:
        media_type = part.media_type
        if media_type is None:
            media_type = _guessed_media_type(part.value)
            losses.add(f"{path}.media_type", f"Anthropic needs one; {media_type} by the first bytes")
        source = {"type": "base64", "media_type": media_type, "data": part.value}
    if isinstance(more, Mapping):
        with_extras(source, more)
    return with_extras({"type": "image", "source": source}, own)


def _guessed_media_type(base64: str) -> str:
    """By the base64 of each format's magic bytes; these four are all Anthropic takes (read 2026-11)."""
    for start, media_type in (("/9j/", "image/jpeg"), ("R0lG", "image/gif"), ("UklG", "image/webp")):
        if base64.startswith(start):
            return media_type
    return "image/png"


def _encode_reasoning(part: Reasoning, path: str, role: Role | None, losses: Losses) -> Block | None:
    seal = part.seal.value if part.seal is not None and part.seal.format is FORMAT else ""
    if not seal and (part.redacted or role is Role.ASSISTANT):
        # The API verifies each signature, so thinking of another provider cannot be shown to it.
        losses.add(path, "thinking without Anthropic's own signature, which Anthropic refuses")
        return None
    own = losses.own(part.extras, path)
    if part.redacted:
        if part.text:
            losses.add(f"{path}.text", "Anthropic's redacted thinking has no text")
        return with_extras({"type": "redacted_thinking", "data": seal}, own)
    if not seal and part.seal is not None:
        losses.add(f"{path}.seal", f"the seal is {part.seal.format.value}'s")
    return with_extras({"type": "thinking", "thinking": part.text, "signature": seal}, own)


def _encode_tool_use(part: ToolCall, path: str, role: Role | None, losses: Losses) -> Block:
    call_id = part.id if role is None else wire_id(part.id, f"{path}.id", losses)
    block: Block = {
        "type": "tool_use",
        "id": call_id,
        "name": part.name,
        "input": _tool_input(part, path, losses),
    }
    return with_extras(block, losses.own(part.extras, path))


def wire_id(call_id: str, path: str, losses: Losses) -> str:
    """*call_id* in the characters Anthropic allows, the same one for the same call.

    Other providers use more (Moonshot: ``functions.get_weather:0``); the API
    refuses them ("String should match pattern '^[a-zA-Z0-9_-]+$'", read 2026-11).
    """
    if _WIRE_ID.fullmatch(call_id):
        return call_id
    losses.add(path, "Anthropic takes letters, digits, '_' and '-' only; the others were spelled in hex")
    return _ID_MISFIT.sub(lambda found: f"_{ord(found[0]):x}_", call_id) or "_"


def is_json_object(text: str) -> bool:
    try:
        return isinstance(parse_value(text), dict)
    except ValueError:
        return False


def _tool_input(call: ToolCall, path: str, losses: Losses) -> object:
    """The arguments as they stand; what is no object goes in as text, so that the call is not lost.

    Dropping the call would orphan its result, and inventing arguments would
    misreport what the model said.
    """
    if not call.arguments:
        return {}
    if is_json_object(call.arguments):
        return RawJson(call.arguments)
    losses.add(f"{path}.arguments", 'not a JSON object; sent as text in {"arguments": ...}')
    return {"arguments": call.arguments}


def _encode_tool_result(part: ToolResult, path: str, losses: Losses) -> Block:
    block: Block = {
        "type": "tool_result",
        "tool_use_id": wire_id(part.call_id, f"{path}.call_id", losses),
    }
    items: list[tuple[str, Block]] = []
    for at, item in enumerate(part.content):
        where = f"{path}.content[{at}]"
        match item:
            case Text():
                encoded: Block | None = encode_text(item, where, losses)
            case Image():
                encoded = _encode_image(item, where, losses)
            case Foreign():
                encoded = encode_foreign(item, where, losses)
            case _:
                assert_never(item)
        if encoded is not None:
            items.append((where, encoded))
    if items:
        block["content"] = as_content(items, losses)
    if part.is_error:
        block["is_error"] = True
    return with_extras(block, losses.own(part.extras, path))


def as_content(blocks: list[tuple[str, Block]], losses: Losses) -> object:
    """A request's blocks, each with its canonical path, as a `content` field.

    One plain text becomes a bare string, which means the same and is the one
    form in which the API takes an empty text ("text content blocks must be
    non-empty", read 2026-11); among others, empty texts are dropped.
    """
    if len(blocks) > 1:
        blocks = _without_empty_texts(blocks, losses)
    if len(blocks) == 1:
        [(_, block)] = blocks
        if block["type"] == "text" and len(block) == 2:
            return block["text"]
    return [block for _, block in blocks]


def _without_empty_texts(blocks: list[tuple[str, Block]], losses: Losses) -> list[tuple[str, Block]]:
    empty = [path for path, block in blocks if block.get("type") == "text" and not block.get("text")]
    if not empty:
        return blocks
    if len(empty) == len(blocks):
        empty = empty[1:]
    for path in empty:
        losses.add(path, "Anthropic refuses empty texts")
    return [(path, block) for path, block in blocks if path not in empty]
