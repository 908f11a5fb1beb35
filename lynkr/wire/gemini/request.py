"""A `generateContent` body to a canonical `Request`.

`GenerateContentRequest` with its parts as google-genai 3.4 types them (read
2026-11).  What the canonical form settles:

- ``model`` and ``stream`` stand in the URL on the wire.  Here they are fields of
  the body like any other, which a provider takes out and a server puts in.
- ``systemInstruction`` is one leading SYSTEM message; each of ``contents`` is one
  message of its own, of the user unless its role is ``model``.
- Calls and results without ids (older models have none) get ids made of their
  place, the same ones every time; a result finds its call by name, the oldest
  that has no result yet.
- A schema in Gemini's own words (``parameters``, ``responseSchema``) becomes the JSON
  Schema it means.
"""

from collections.abc import Iterable, Mapping
from typing import Final

from lynkr.errors import ClientWireError
from lynkr.model import (
    Extras,
    ForeignTool,
    Json,
    Message,
    OutputFormat,
    OutputKind,
    ReasoningOptions,
    Request,
    Role,
    Sampling,
    ToolChoice,
    ToolMode,
    ToolSpec,
)
from lynkr.wire.fields import (
    Draft,
    Node,
    array_of,
    object_at,
    optional_bool,
    optional_int,
    optional_number,
    optional_text,
    required,
    text_of,
    wrong,
)
from lynkr.wire.gemini.fields import GEMINI, as_extras, shape
from lynkr.wire.gemini.parts import History, decode_part
from lynkr.wire.gemini.schemas import json_schema_of
from lynkr.wire.gemini.thinking import decode_thinking

REQUEST: Final = shape(
    "model",
    "systemInstruction",
    "contents",
    "tools",
    "stream",
    toolConfig=shape(),
    generationConfig=shape(
        "maxOutputTokens", "temperature", "topP", "topK", "stopSequences", "seed", "thinkingConfig"
    ),
)
CONTENT: Final = shape("role", "parts")
SYSTEM: Final = shape("parts")
FUNCTION: Final = shape("name", "description", "parameters", "parametersJsonSchema")
CALLING: Final = shape("mode")
OUTPUT_FIELDS: Final = ("responseMimeType", "responseSchema", "responseJsonSchema")
JSON_TYPE: Final = "application/json"

# A function without parameters may leave them out; other dialects need it spelled out.
NO_PARAMETERS: Final[Node] = {"type": "object", "properties": {}}

_ROLES: Final = {"user": Role.USER, "model": Role.ASSISTANT, "function": Role.USER}


def decode_request(body: Node) -> Request:
    """Raises `ClientWireError` naming the field that is missing or malformed."""
    extras = REQUEST.leftover(body)
    config = _optional_object(body, "generationConfig", "")
    path = "generationConfig"
    choice = _tool_choice(body, extras)
    return Request(
        model=optional_text(body, "model", "") or "",
        messages=_messages(body),
        tools=_tools(body),
        tool_choice=choice,
        max_output_tokens=optional_int(config, "maxOutputTokens", path),
        sampling=Sampling(
            temperature=optional_number(config, "temperature", path),
            top_p=optional_number(config, "topP", path),
            top_k=_whole_number(config, "topK", path),
            seed=optional_int(config, "seed", path),
            stop=_stop(config),
        ),
        reasoning=_reasoning(config),
        output_format=_output_format(config, extras),
        stream=optional_bool(body, "stream") or False,
        extras=as_extras(extras),
    )


def _optional_object(node: Node, name: str, path: str) -> Node:
    value = node.get(name)
    return {} if value is None else object_at(value, f"{path}.{name}" if path else name)


# --- Messages -----------------------------------------------------------------------------------------


def _messages(body: Node) -> tuple[Message, ...]:
    found: list[Message] = []
    history = History()
    instruction = body.get("systemInstruction")
    if instruction is not None:
        node = object_at(instruction, "systemInstruction")
        items = array_of(node, "parts", "systemInstruction")
        parts = tuple(
            decode_part(item, f"systemInstruction.parts[{at}]", history, f"call_s_{at}")
            for at, item in enumerate(items)
        )
        found.append(Message(Role.SYSTEM, parts, SYSTEM.extras(node)))
    required(body, "contents", "")
    for at, item in enumerate(array_of(body, "contents", "")):
        path = f"contents[{at}]"
        node = object_at(item, path)
        role = optional_text(node, "role", path) or "user"
        if role not in _ROLES:
            raise ClientWireError(f"must be 'user' or 'model', not {role!r}", field=f"{path}.role")
        parts = tuple(
            decode_part(part, f"{path}.parts[{below}]", history, f"call_{at}_{below}")
            for below, part in enumerate(array_of(node, "parts", path))
        )
        found.append(Message(_ROLES[role], parts, CONTENT.extras(node)))
    return tuple(found)


# --- Tools --------------------------------------------------------------------------------------------


def _tools(body: Node) -> tuple[ToolSpec | ForeignTool, ...]:
    found: list[ToolSpec | ForeignTool] = []
    for at, item in enumerate(array_of(body, "tools", "")):
        path = f"tools[{at}]"
        node = object_at(item, path)
        for name, value in node.items():
            if name != "functionDeclarations":
                found.append(ForeignTool(name, Extras(GEMINI, {name: value})))
                continue
            declared = array_of(node, name, path)
            found += [
                _function(function, f"{path}.{name}[{below}]") for below, function in enumerate(declared)
            ]
    return tuple(found)


def _function(item: Json, path: str) -> ToolSpec:
    node = object_at(item, path)
    schema = node.get("parametersJsonSchema")
    if schema is None:
        own = node.get("parameters")
        schema = NO_PARAMETERS if own is None else json_schema_of(object_at(own, f"{path}.parameters"))
    return ToolSpec(
        text_of(node, "name", path),
        optional_text(node, "description", path),
        object_at(schema, f"{path}.parametersJsonSchema"),
        FUNCTION.extras(node),
    )


def _tool_choice(body: Node, extras: Draft) -> ToolChoice | None:
    """The mode; one nobody here knows stays in *extras*."""
    tools = _optional_object(body, "toolConfig", "")
    path = "toolConfig.functionCallingConfig"
    if tools.get("functionCallingConfig") is None:
        return None
    node = object_at(tools["functionCallingConfig"], path)
    choice = _choice_of(node, path)
    if choice is not None:
        take_out(extras, "toolConfig", ("functionCallingConfig",))
    return choice


def _choice_of(node: Node, path: str) -> ToolChoice | None:
    left = CALLING.leftover(node)
    match optional_text(node, "mode", path):
        case "AUTO":
            return ToolChoice(ToolMode.AUTO, None, as_extras(left))
        case "VALIDATED":
            return ToolChoice(ToolMode.AUTO, None, as_extras({"mode": "VALIDATED", **left}))
        case "NONE":
            return ToolChoice(ToolMode.NONE, None, as_extras(left))
        case "ANY":
            allowed = node.get("allowedFunctionNames")
            if isinstance(allowed, list) and len(allowed) == 1 and isinstance(allowed[0], str):
                del left["allowedFunctionNames"]
                return ToolChoice(ToolMode.NAMED, allowed[0], as_extras(left))
            return ToolChoice(ToolMode.REQUIRED, None, as_extras(left))
        case _:
            return None


def take_out(extras: Draft, holder: str, names: Iterable[str]) -> list[str]:
    """Take *names* out of *extras*' object *holder*, and that with its last field; those that were there."""
    inner = extras.get(holder)
    if not isinstance(inner, Mapping):
        return []
    found = [name for name in names if name in inner]
    kept = {name: value for name, value in inner.items() if name not in found}
    if kept:
        extras[holder] = kept
    else:
        del extras[holder]
    return found


# --- Options ------------------------------------------------------------------------------------------


def _whole_number(node: Node, name: str, path: str) -> int | None:
    """An integer; the types say float, and ``40.0`` is sent."""
    value = optional_number(node, name, path)
    if value is None or isinstance(value, int):
        return value
    if value.is_integer():
        return int(value)
    raise ClientWireError("must be a whole number", field=f"{path}.{name}")


def _stop(config: Node) -> tuple[str, ...]:
    path = "generationConfig.stopSequences"
    found: list[str] = []
    for at, item in enumerate(array_of(config, "stopSequences", "generationConfig")):
        if not isinstance(item, str):
            raise wrong(f"{path}[{at}]", "a string", item)
        found.append(item)
    return tuple(found)


def _reasoning(config: Node) -> ReasoningOptions | None:
    value = config.get("thinkingConfig")
    return None if value is None else decode_thinking(object_at(value, "generationConfig.thinkingConfig"))


def _output_format(config: Node, extras: Draft) -> OutputFormat | None:
    """JSON, with a schema or without; other media types stay in *extras*, and so does a schema for them."""
    path = "generationConfig"
    if optional_text(config, "responseMimeType", path) != JSON_TYPE:
        return None
    take_out(extras, path, OUTPUT_FIELDS)
    schema = config.get("responseJsonSchema")
    if schema is None:
        schema = json_schema_of(config.get("responseSchema"))
    if schema is None:
        return OutputFormat(OutputKind.JSON_OBJECT)
    return OutputFormat(OutputKind.JSON_SCHEMA, object_at(schema, f"{path}.responseJsonSchema"))
