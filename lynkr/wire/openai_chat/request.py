"""A client's Chat Completions body to a canonical `Request`.

Field names follow types/chat/completion_create_params.py of openai 3.54 (read
2026-11).  ``reasoning_content`` and ``reasoning`` on assistant messages are
the spellings of DeepSeek, Moonshot, llama.cpp and of Ollama, vLLM, OpenRouter.

What the canonical form settles:

- an empty content (``""``, ``[]``, null) is no parts; a string is one `Text`;
- `tool` messages become `ToolResult` parts of one USER message, into which a
  user message that follows directly is merged;
- ``max_tokens`` and ``max_completion_tokens`` are one limit; the spelling the
  codec would not itself choose is remembered as a null field in the extras;
- the legacy ``function`` role rides along whole, as `Foreign`.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from lynkr.errors import ClientWireError
from lynkr.model import (
    Extras,
    Foreign,
    ForeignTool,
    Image,
    Json,
    Message,
    OutputFormat,
    OutputKind,
    Part,
    Reasoning,
    ReasoningOptions,
    Request,
    Role,
    Sampling,
    Text,
    ToolCall,
    ToolChoice,
    ToolMode,
    ToolResult,
    ToolSpec,
)
from lynkr.wire.fields import name_of
from lynkr.wire.openai_chat import parts
from lynkr.wire.openai_chat.fields import (
    OPENAI_CHAT,
    Draft,
    Node,
    array_at,
    array_of,
    as_extras,
    object_at,
    object_of,
    optional_bool,
    optional_int,
    optional_number,
    optional_text,
    required,
    shape,
    text_of,
    wrong,
)
from lynkr.wire.piece import NO_PIECES, Piece, Pieces, read_piece

LIMITS: Final = ("max_completion_tokens", "max_tokens")

REQUEST: Final = shape(
    "model",
    "messages",
    "tools",
    "tool_choice",
    "parallel_tool_calls",
    *LIMITS,
    "temperature",
    "top_p",
    "stop",
    "seed",
    "reasoning_effort",
    "response_format",
    "user",
    "stream",
)
MESSAGE: Final = shape("role", "content")
ASSISTANT: Final = shape("role", "content", "refusal", "reasoning_content", "tool_calls")
TOOL_MESSAGE: Final = shape("role", "content", "tool_call_id")
FUNCTION_TOOL: Final = shape("type", function=shape("name", "description", "parameters"))
NAMED_CHOICE: Final = shape("type", function=shape("name"))
CUSTOM_CHOICE: Final = shape("type", custom=shape("name"))
ALLOWED_CHOICE: Final = shape("type", allowed_tools=shape("mode"))
JSON_OBJECT: Final = shape("type")
JSON_SCHEMA: Final = shape("type", json_schema=shape("name", "schema", "strict"))

# "Omitting `parameters` defines a function with an empty parameter list" (openai 3.54,
# types/shared_params/function_definition.py, read 2026-11); other dialects need it spelled out.
NO_PARAMETERS: Final[Node] = {"type": "object", "properties": {}}

_DEVELOPER: Final = Extras(OPENAI_CHAT, {"role": "developer"})
_MODES: Final = {"auto": ToolMode.AUTO, "none": ToolMode.NONE, "required": ToolMode.REQUIRED}


def decode_request(body: Node, *, output_limit: str, pieces: Pieces = NO_PIECES) -> Request:
    """*output_limit* is the spelling of the limit that needs no remembering, *pieces* are those of *body*.

    Raises:
        ClientWireError: a field is missing or malformed; it is named by its path in *body*.
    """
    extras = REQUEST.leftover(body)
    return Request(
        model=text_of(body, "model", ""),
        messages=_messages(body, pieces.get("messages")),
        tools=read_piece(pieces.get("tools"), 0, body.get("tools"), _tools, "tools"),
        tool_choice=_tool_choice(body.get("tool_choice")),
        parallel_tool_calls=optional_bool(body, "parallel_tool_calls"),
        max_output_tokens=_limit(body, output_limit, extras),
        sampling=Sampling(
            temperature=optional_number(body, "temperature"),
            top_p=optional_number(body, "top_p"),
            seed=optional_int(body, "seed"),
            stop=_stop(body.get("stop")),
        ),
        reasoning=_reasoning(body),
        output_format=_output_format(body, extras),
        user=optional_text(body, "user", ""),
        stream=optional_bool(body, "stream") or False,
        extras=as_extras(extras),
    )


# --- Messages -----------------------------------------------------------------------------------------


def _messages(body: Node, pieces: Sequence[Piece] | None) -> tuple[Message, ...]:
    items = required(body, "messages", "")
    if not isinstance(items, list | tuple):
        raise wrong("messages", "an array", items)
    if not items:
        raise ClientWireError("must hold at least one message", field="messages")
    found: list[Message] = []
    results: list[Part] = []
    answerable = False
    for at, item in enumerate(items):
        path = f"messages[{at}]"
        node = object_at(item, path)
        role = text_of(node, "role", path)
        if role == "tool":
            if not answerable:
                raise ClientWireError(
                    "a tool message must follow an assistant message with tool_calls", field=f"{path}.role"
                )
            results.append(read_piece(pieces, at, node, _tool_result, path))
            continue
        read = _ROLES.get(role)
        if read is None:
            raise ClientWireError(f"unknown role {role!r}", field=f"{path}.role")
        message = read_piece(pieces, at, node, read, path)
        if results:
            if role == "user":
                message = Message(Role.USER, (*results, *message.parts), message.extras)
            else:
                found.append(_of_results(results, None if pieces is None else pieces[at - 1]))
            results = []
        found.append(message)
        answerable = role == "assistant" and any(isinstance(part, ToolCall) for part in message.parts)
    if results:
        found.append(_of_results(results, None if pieces is None else pieces[-1]))
    return tuple(found)


def _of_results(results: list[Part], last: Piece | None) -> Message:
    """The message of *results*, of which *last* is the last; the very same where it was made before."""
    if last is None:
        return Message(Role.USER, tuple(results))
    made: Message | None = last.made.get(_of_results)
    if made is None or [id(part) for part in made.parts] != [id(part) for part in results]:
        made = last.made[_of_results] = Message(Role.USER, tuple(results))
    return made


def _tool_result(node: Node, path: str) -> ToolResult:
    content = _content(required(node, "content", path), path, _tool_part)
    return ToolResult(text_of(node, "tool_call_id", path), content, False, TOOL_MESSAGE.extras(node))


def _system(node: Node, path: str) -> Message:
    content = _content(required(node, "content", path), path, _system_part)
    return Message(Role.SYSTEM, content, MESSAGE.extras(node))


def _developer(node: Node, path: str) -> Message:
    content = _content(required(node, "content", path), path, _system_part)
    unknown = MESSAGE.leftover(node)
    return Message(
        Role.SYSTEM, content, as_extras({"role": "developer", **unknown}) if unknown else _DEVELOPER
    )


def _user(node: Node, path: str) -> Message:
    content = _content(required(node, "content", path), path, _tool_part)
    return Message(Role.USER, content, MESSAGE.extras(node))


def _assistant(node: Node, path: str) -> Message:
    content: list[Part] = []
    unknown = ASSISTANT.leftover(node)
    reasoning = optional_text(node, "reasoning_content", path)
    other_spelling = node.get("reasoning")
    if not reasoning and isinstance(other_spelling, str):
        reasoning = other_spelling
    if other_spelling is None or other_spelling == reasoning:
        unknown.pop("reasoning", None)
    if reasoning:
        content.append(Reasoning(reasoning))
    said = node.get("content")
    if said is not None:
        content += _content(said, path, _assistant_part)
    declined = optional_text(node, "refusal", path)
    if declined:
        content.append(parts.refusal(declined))
    for at, item in enumerate(array_of(node, "tool_calls", path)):
        content.append(_tool_call(item, f"{path}.tool_calls[{at}]"))
    return Message(Role.ASSISTANT, tuple(content), as_extras(unknown))


def _function(node: Node, path: str) -> Message:
    """The legacy answer to `function_call`; it has no id, so it cannot be a `ToolResult`."""
    text_of(node, "name", path)
    optional_text(node, "content", path)
    return Message(Role.USER, (Foreign(OPENAI_CHAT, node),))


_ROLES: Final[dict[str, Callable[[Node, str], Message]]] = {
    "system": _system,
    "developer": _developer,
    "user": _user,
    "assistant": _assistant,
    "function": _function,
}


# --- Content ------------------------------------------------------------------------------------------


def _content(
    value: Json, path: str, part: Callable[[Json, str], Text | Image | Foreign]
) -> tuple[Text | Image | Foreign, ...]:
    path = f"{path}.content"
    if isinstance(value, str):
        return (Text(value),) if value else ()
    if not isinstance(value, list | tuple):
        raise wrong(path, "a string or an array of parts", value)
    return tuple(part(item, f"{path}[{at}]") for at, item in enumerate(value))


def _text(node: Node, path: str) -> Text:
    return Text(text_of(node, "text", path), parts.TEXT.extras(node))


def _tool_part(item: Json, path: str) -> Text | Image | Foreign:
    """A part of a user's or a tool's message.

    OpenAI itself takes text only from tools; Moonshot, vLLM and others take images there too.
    """
    node = object_at(item, path)
    match text_of(node, "type", path):
        case "text":
            return _text(node, path)
        case "image_url":
            url = text_of(object_of(node, "image_url", path), "url", f"{path}.image_url")
            image = parts.image_from_url(url)
            return Image(image.source, image.value, image.media_type, parts.IMAGE.extras(node))
        case _:
            return Foreign(OPENAI_CHAT, node)


def _system_part(item: Json, path: str) -> Text | Foreign:
    node = object_at(item, path)
    return _text(node, path) if text_of(node, "type", path) == "text" else Foreign(OPENAI_CHAT, node)


def _assistant_part(item: Json, path: str) -> Text | Foreign:
    node = object_at(item, path)
    match text_of(node, "type", path):
        case "text":
            return _text(node, path)
        case "refusal":
            return parts.refusal(text_of(node, "refusal", path), parts.REFUSAL.leftover(node))
        case _:
            return Foreign(OPENAI_CHAT, node)


def _tool_call(item: Json, path: str) -> ToolCall:
    node = object_at(item, path)
    match optional_text(node, "type", path):
        case "function" | None:
            function = object_of(node, "function", path)
            below = f"{path}.function"
            return ToolCall(
                text_of(node, "id", path),
                text_of(function, "name", below),
                text_of(function, "arguments", below),
                parts.FUNCTION_CALL.extras(node),
            )
        case "custom":
            custom = object_of(node, "custom", path)
            below = f"{path}.custom"
            return parts.custom_call(
                text_of(node, "id", path),
                text_of(custom, "name", below),
                text_of(custom, "input", below),
                parts.CUSTOM_CALL.leftover(node),
            )
        case kind:
            raise ClientWireError(f"must be 'function' or 'custom', not {kind!r}", field=f"{path}.type")


# --- Tools --------------------------------------------------------------------------------------------


def _tools(value: Json, path: str) -> tuple[ToolSpec | ForeignTool, ...]:
    return tuple(_tool(item, f"{path}[{at}]") for at, item in enumerate(array_at(value, path)))


def _tool(item: Json, path: str) -> ToolSpec | ForeignTool:
    node = object_at(item, path)
    if text_of(node, "type", path) != "function":
        return ForeignTool(foreign_tool_name(node), Extras(OPENAI_CHAT, node))
    function = object_of(node, "function", path)
    below = f"{path}.function"
    parameters = function.get("parameters")
    return ToolSpec(
        name=name_of(function, below),
        description=optional_text(function, "description", below),
        input_schema=NO_PARAMETERS if parameters is None else object_at(parameters, f"{below}.parameters"),
        extras=FUNCTION_TOOL.extras(node),
    )


def foreign_tool_name(node: Node) -> str:
    """The name a tool definition goes by; its type where it gives none (``web_search``)."""
    kind = node.get("type")
    inner = node.get(kind) if isinstance(kind, str) else None
    for holder in (inner, node):
        name = holder.get("name") if isinstance(holder, Mapping) else None
        if isinstance(name, str):
            return name
    return kind if isinstance(kind, str) else ""


def _tool_choice(value: Json) -> ToolChoice | None:
    if value is None:
        return None
    path = "tool_choice"
    if isinstance(value, str):
        if value not in _MODES:
            raise ClientWireError(f"must be one of {', '.join(_MODES)}, not {value!r}", field=path)
        return ToolChoice(_MODES[value])
    node = object_at(value, path)
    match text_of(node, "type", path):
        case "function":
            name = text_of(object_of(node, "function", path), "name", f"{path}.function")
            return ToolChoice(ToolMode.NAMED, name, NAMED_CHOICE.extras(node))
        case "custom":
            name = text_of(object_of(node, "custom", path), "name", f"{path}.custom")
            return ToolChoice(
                ToolMode.NAMED, name, as_extras({"type": "custom", **CUSTOM_CHOICE.leftover(node)})
            )
        case "allowed_tools":
            mode = text_of(object_of(node, "allowed_tools", path), "mode", f"{path}.allowed_tools")
            if mode not in ("auto", "required"):
                raise ClientWireError(
                    f"must be auto or required, not {mode!r}", field=f"{path}.allowed_tools.mode"
                )
            kept = {"type": "allowed_tools", **ALLOWED_CHOICE.leftover(node)}
            return ToolChoice(_MODES[mode], None, as_extras(kept))
        case kind:
            raise ClientWireError(
                f"must be function, custom or allowed_tools, not {kind!r}", field=f"{path}.type"
            )


# --- Options ------------------------------------------------------------------------------------------


def _limit(body: Node, preferred: str, extras: Draft) -> int | None:
    found = {name: value for name in LIMITS if (value := optional_int(body, name)) is not None}
    if len(found) > 1:
        # OpenAI answers 400 "Setting 'max_tokens' and 'max_completion_tokens' at the same time is not
        # supported" (read 2026-11).
        raise ClientWireError("cannot be set together with max_completion_tokens", field="max_tokens")
    for name, value in found.items():
        if name != preferred:
            extras[name] = None
        return value
    return None


def _stop(value: Json) -> tuple[str, ...]:
    if value is None:
        return ()
    if isinstance(value, str):
        return (value,)
    if not isinstance(value, list | tuple):
        raise wrong("stop", "a string or an array of strings", value)
    return tuple(_stop_text(item, at) for at, item in enumerate(value))


def _stop_text(item: Json, at: int) -> str:
    if isinstance(item, str):
        return item
    raise wrong(f"stop[{at}]", "a string", item)


def _reasoning(body: Node) -> ReasoningOptions | None:
    effort = optional_text(body, "reasoning_effort", "")
    if effort is None:
        return None
    return ReasoningOptions(enabled=False) if effort == "none" else ReasoningOptions(effort=effort)


def _output_format(body: Node, extras: Draft) -> OutputFormat | None:
    """Structured output; the plain ``text`` and kinds nobody here knows stay in *extras*."""
    value = body.get("response_format")
    if value is None:
        return None
    path = "response_format"
    node = object_at(value, path)
    match text_of(node, "type", path):
        case "json_object":
            return OutputFormat(OutputKind.JSON_OBJECT, extras=JSON_OBJECT.extras(node))
        case "json_schema":
            inner, below = object_of(node, "json_schema", path), f"{path}.json_schema"
            schema = inner.get("schema")
            return OutputFormat(
                OutputKind.JSON_SCHEMA,
                schema=None if schema is None else object_at(schema, f"{below}.schema"),
                name=text_of(inner, "name", below),
                strict=optional_bool(inner, "strict", below),
                extras=JSON_SCHEMA.extras(node),
            )
        case _:
            extras[path] = node
            return None


def role_of(extras: Extras) -> str:
    """``developer`` if that is what *extras* of a SYSTEM message remember, else ``system``."""
    return "developer" if extras.of(OPENAI_CHAT).get("role") == "developer" else "system"
