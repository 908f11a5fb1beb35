"""Tool definitions and tool choice, both directions.

A tool of a namespace becomes a function under one flat name; one that takes
free text becomes a function with one string property (`lynkr.wire.freeform`).
Both are marked in `Extras`, by which they, and calls to them, are told again.
"""

from collections.abc import Mapping
from typing import Final

from attrs import evolve

from lynkr.errors import ClientWireError
from lynkr.model import (
    Extras,
    ForeignTool,
    Json,
    Request,
    ToolCall,
    ToolChoice,
    ToolMode,
    ToolSpec,
)
from lynkr.wire import freeform
from lynkr.wire.fields import Losses, array_at, array_of, name_of, object_at, optional_text, text_of
from lynkr.wire.openai_responses.fields import RESPONSES, Draft, Node, as_extras, mark_of, shape, without
from lynkr.wire.openai_responses.items import is_custom

FUNCTION: Final = shape("type", "name", "description", "parameters")
CUSTOM: Final = shape("type", "name", "description")
NAMED_CHOICE: Final = shape("type", "name")
ALLOWED_CHOICE: Final = shape("type", "mode")

# `parameters` may be null (openai 3.54, function_tool_param.py, read 2026-11); other dialects need it
# spelled out.
NO_PARAMETERS: Final[Node] = {"type": "object", "properties": {}}
_MODES: Final = {"auto": ToolMode.AUTO, "none": ToolMode.NONE, "required": ToolMode.REQUIRED}
_SPELLED_OUT: Final = frozenset({"function", "custom"})


# --- Definitions, from a client -----------------------------------------------------------------------


def decode_tools(tools: Json, where: str = "tools") -> tuple[ToolSpec | ForeignTool, ...]:
    found: list[ToolSpec | ForeignTool] = []
    for at, item in enumerate(array_at(tools, where)):
        path = f"{where}[{at}]"
        node = object_at(item, path)
        kind = text_of(node, "type", path)
        if kind in _SPELLED_OUT:
            found.append(_spec(node, path))
        elif kind == "namespace":
            found += _namespace(node, path)
        else:
            found.append(ForeignTool(foreign_name(node), Extras(RESPONSES, node)))
    return tuple(found)


def foreign_name(node: Node) -> str:
    """The name a hosted tool goes by; its type where it has none (``web_search``)."""
    name, kind = node.get("name"), node.get("type")
    if isinstance(name, str):
        return name
    return kind if isinstance(kind, str) else ""


def _spec(node: Node, path: str) -> ToolSpec:
    name, description = name_of(node, path), optional_text(node, "description", path)
    if node["type"] == "custom":
        unknown = CUSTOM.leftover(node)
        schema = freeform.input_schema(node.get("format"))
        return ToolSpec(name, description, schema, as_extras({"type": "custom", **unknown}))
    parameters = node.get("parameters")
    unknown = FUNCTION.leftover(node)
    if unknown.get("strict") is None:
        unknown.pop("strict", None)
    schema = NO_PARAMETERS if parameters is None else object_at(parameters, f"{path}.parameters")
    return ToolSpec(name, description, schema, as_extras(unknown))


def _namespace(node: Node, path: str) -> list[ToolSpec | ForeignTool]:
    """The tools of a namespace, flat; a namespace that holds other kinds stays as it is."""
    namespace = name_of(node, path)
    header = {name: value for name, value in node.items() if name not in ("type", "tools")}
    found: list[ToolSpec | ForeignTool] = []
    for at, item in enumerate(array_of(node, "tools", path)):
        below = f"{path}.tools[{at}]"
        inner = object_at(item, below)
        if text_of(inner, "type", below) not in _SPELLED_OUT:
            return [ForeignTool(namespace, Extras(RESPONSES, node))]
        spec = _spec(inner, below)
        marks = as_extras({**spec.extras.fields, "namespace": header, "name": spec.name})
        found.append(evolve(spec, name=freeform.flat_name(namespace, spec.name), extras=marks))
    return found or [ForeignTool(namespace, Extras(RESPONSES, node))]


# --- Definitions, to a provider -----------------------------------------------------------------------


def encode_tools(tools: tuple[ToolSpec | ForeignTool, ...], losses: Losses) -> list[Draft]:
    written: list[Draft] = []
    group: list[Json] = []
    header: Node | None = None
    for at, tool in enumerate(tools):
        path = f"tools[{at}]"
        if isinstance(tool, ForeignTool):
            header = None
            definition = _definition(tool, path, losses)
            if definition is not None:
                written.append(definition)
            continue
        around = header_of(tool)
        node = _tool_node(tool, path, losses)
        if around is None:
            header = None
            written.append(node)
            continue
        if around != header:
            header, group = around, []
            written.append({"type": "namespace", **around, "tools": group})
        group.append(node)
    return written


def header_of(tool: ToolSpec) -> Node | None:
    """What the namespace that *tool* stands in says of itself; None where it stands in none."""
    header, name = tool.extras.of(RESPONSES).get("namespace"), mark_of(tool.extras, "name")
    if not isinstance(header, Mapping) or name is None:
        return None
    namespace = header.get("name")
    is_ours = isinstance(namespace, str) and freeform.flat_name(namespace, name) == tool.name
    return header if is_ours else None


def _tool_node(tool: ToolSpec, path: str, losses: Losses) -> Draft:
    name, extras = tool.name, tool.extras
    if header_of(tool) is not None:
        name, extras = mark_of(extras, "name") or name, without(extras, "namespace", "name")
    node: Draft
    if is_custom(extras) and tool.input_schema == freeform.input_schema(extras.fields.get("format")):
        node = {"type": "custom", "name": name}
        if tool.description is not None:
            node["description"] = tool.description
        CUSTOM.restore(node, without(extras, "type"), path, losses)
        return node
    node = {"type": "function", "name": name, "strict": None}
    if tool.description is not None:
        node["description"] = tool.description
    if isinstance(tool.input_schema, Mapping):
        node["parameters"] = tool.input_schema
    else:
        node["parameters"] = NO_PARAMETERS
        losses.add(f"{path}.input_schema", "parameters are a JSON Schema object")
    FUNCTION.restore(node, extras, path, losses)
    return node


def _definition(tool: ForeignTool, path: str, losses: Losses) -> Draft | None:
    definition = dict(tool.extras.of(RESPONSES))
    kind = definition.get("type")
    if not isinstance(kind, str) or kind in _SPELLED_OUT:
        losses.add(path, "a tool only another dialect knows")
        return None
    if foreign_name(definition) != tool.name:
        losses.add(f"{path}.name", "the definition gives another name")
    return definition


# --- Calls to them ------------------------------------------------------------------------------------


def marks_by_name(request: Request | None) -> dict[str, Draft]:
    """What a call to each of the client's tools is to be marked with, by the tool's flat name."""
    found: dict[str, Draft] = {}
    for tool in request.tools if request is not None else ():
        if not isinstance(tool, ToolSpec):
            continue
        marks: Draft = {}
        if is_custom(tool.extras):
            marks["type"] = "custom"
        header = header_of(tool)
        if header is not None:
            marks |= {"namespace": header["name"], "name": tool.extras.fields["name"]}
        if marks:
            found[tool.name] = marks
    return found


def marked(call: ToolCall, marks: Mapping[str, Draft], path: str, losses: Losses) -> ToolCall:
    """*call* as one to the client's own tool of that name."""
    own = marks.get(call.name)
    if own is None:
        return call
    if call.extras.format is not RESPONSES:
        losses.add_extras(call.extras, path, "a field of another dialect")
        return evolve(call, extras=as_extras(dict(own)))
    return evolve(call, extras=as_extras({**own, **call.extras.fields}))


# --- Tool choice --------------------------------------------------------------------------------------


def decode_tool_choice(value: Json, extras: Draft) -> ToolChoice | None:
    """The choice; one that forces a hosted tool stays in *extras*, for no other dialect has that tool."""
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
            return ToolChoice(ToolMode.NAMED, text_of(node, "name", path), NAMED_CHOICE.extras(node))
        case "custom":
            kept = {"type": "custom", **NAMED_CHOICE.leftover(node)}
            return ToolChoice(ToolMode.NAMED, text_of(node, "name", path), as_extras(kept))
        case "allowed_tools":
            mode = text_of(node, "mode", path)
            if mode not in ("auto", "required"):
                raise ClientWireError(f"must be auto or required, not {mode!r}", field=f"{path}.mode")
            kept = {"type": "allowed_tools", **ALLOWED_CHOICE.leftover(node)}
            return ToolChoice(_MODES[mode], None, as_extras(kept))
        case _:
            extras[path] = node
            return None


def encode_tool_choice(choice: ToolChoice, losses: Losses) -> Json:
    path, extras = "tool_choice", choice.extras
    kind = mark_of(extras, "type")
    node: Draft
    if choice.mode is ToolMode.NAMED:
        if choice.name is None:
            losses.add(path, "a named choice without a name")
            return None
        if kind == "custom":
            extras = without(extras, "type")
        node = {"type": "custom" if kind == "custom" else "function", "name": choice.name}
        NAMED_CHOICE.restore(node, extras, path, losses)
        return node
    if choice.name is not None:
        losses.add(f"{path}.name", "only a named choice has a name")
    if kind == "allowed_tools" and choice.mode is not ToolMode.NONE:
        node = {"type": "allowed_tools", "mode": choice.mode.value}
        ALLOWED_CHOICE.restore(node, without(extras, "type"), path, losses)
        return node
    losses.add_extras(extras, path, "this mode is a bare word")
    return choice.mode.value
