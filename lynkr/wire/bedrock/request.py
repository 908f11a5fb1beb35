"""Requests as a caller of Converse writes them.

The API has the model and whether to stream in its path; in the body the codec
reads and writes they stand as ``modelId``, the SDKs' name, and ``stream``.
"""

from collections.abc import Mapping
from typing import Final

from lynkr.errors import ClientWireError
from lynkr.model import (
    NO_EXTRAS,
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
from lynkr.wire.bedrock.content import decode_parts
from lynkr.wire.bedrock.shapes import (
    CHOICE,
    FORMAT,
    MESSAGE,
    OUTPUT_FORMAT,
    SIGNED_BY,
    TOOL,
    as_word,
    cache_marker,
    is_claude,
    request_shape,
)
from lynkr.wire.fields import (
    Node,
    array_of,
    join,
    object_at,
    object_of,
    optional_bool,
    optional_int,
    optional_number,
    optional_text,
    required,
    text_of,
    wrong,
)
from lynkr.wire.json_body import parse_value

_NOTHING: Final[Mapping[str, Json]] = NO_EXTRAS.fields


def decode_request(body: Node) -> Request:
    """What a caller asks for.

    Raises:
        ClientWireError: with the path of the first thing that is wrong.
    """
    model = text_of(body, "modelId", "")
    config = _optional_object(body, "inferenceConfig")
    output = _optional_object(body, "outputConfig")
    fields = _optional_object(body, "additionalModelRequestFields") if is_claude(model) else _NOTHING
    tools, choice = _decode_tool_config(_optional_object(body, "toolConfig"))
    limit = optional_int(config, "maxTokens", "inferenceConfig")
    return Request(
        model=model,
        messages=_decode_messages(body),
        tools=tools,
        tool_choice=choice,
        max_output_tokens=limit,
        sampling=_decode_sampling(config, fields),
        reasoning=_decode_reasoning(fields, optional_text(output, "effort", "outputConfig")),
        output_format=_decode_output_format(output),
        stream=optional_bool(body, "stream", "") or False,
        extras=request_shape(model).extras(body),
    )


def _optional_object(body: Node, name: str) -> Node:
    return object_of(body, name, "") if body.get(name) is not None else _NOTHING


def _decode_messages(body: Node) -> tuple[Message, ...]:
    """The system prompt and the messages; system messages before all others join the prompt."""
    decoded: list[Message] = []
    prompt = decode_parts(array_of(body, "system", ""), "system") if body.get("system") is not None else None
    for at, value in enumerate(array_of(body, "messages", "")):
        path = f"messages[{at}]"
        node = object_at(value, path)
        role = Role(as_word(required(node, "role", path), join(path, "role"), *Role))
        required(node, "content", path)
        parts = decode_parts(array_of(node, "content", path), join(path, "content"))
        extras = MESSAGE.extras(node)
        if not decoded and role is Role.SYSTEM and not extras.fields:
            prompt = (*(prompt or ()), *parts)
        else:
            decoded.append(Message(role, parts, extras))
    if prompt is not None:
        decoded.insert(0, Message(Role.SYSTEM, prompt))
    return tuple(decoded)


def _decode_tool_config(config: Node) -> tuple[tuple[ToolSpec | ForeignTool, ...], ToolChoice | None]:
    tools: list[ToolSpec | ForeignTool] = []
    for at, value in enumerate(array_of(config, "tools", "toolConfig")):
        path = f"toolConfig.tools[{at}]"
        node = object_at(value, path)
        marker = cache_marker(node)
        last = tools[-1] if tools else None
        if marker is not None and isinstance(last, ToolSpec) and not last.extras.fields:
            tools[-1] = ToolSpec(last.name, last.description, last.input_schema, marker)
        else:
            tools.append(_decode_tool(node, path))
    choice = config.get("toolChoice")
    return tuple(tools), None if choice is None else _decode_tool_choice(choice)


def _decode_tool(node: Node, path: str) -> ToolSpec | ForeignTool:
    if "toolSpec" not in node:
        # A tool of Bedrock's own, a cache point, or a kind that is new.
        kind = next(iter(node), "")
        own = node.get(kind)
        name = own.get("name") if isinstance(own, Mapping) else None
        return ForeignTool(name if isinstance(name, str) else kind, Extras(FORMAT, node))
    where = join(path, "toolSpec")
    spec = object_of(node, "toolSpec", path)
    schema = object_of(spec, "inputSchema", where)
    return ToolSpec(
        text_of(spec, "name", where),
        optional_text(spec, "description", where),
        required(schema, "json", join(where, "inputSchema")),
        TOOL.extras(node),
    )


def _decode_tool_choice(value: Json) -> ToolChoice:
    path = "toolConfig.toolChoice"
    node = object_at(value, path)
    extras = CHOICE.extras(node)
    if "tool" in node:
        named = object_of(node, "tool", path)
        return ToolChoice(ToolMode.NAMED, text_of(named, "name", join(path, "tool")), extras)
    if "any" in node:
        return ToolChoice(ToolMode.REQUIRED, extras=extras)
    if "auto" in node:
        return ToolChoice(ToolMode.AUTO, extras=extras)
    raise ClientWireError("must hold 'auto', 'any' or 'tool'", field=path)


def _decode_sampling(config: Node, fields: Node) -> Sampling:
    stop: list[str] = []
    for at, value in enumerate(array_of(config, "stopSequences", "inferenceConfig")):
        if not isinstance(value, str):
            raise wrong(f"inferenceConfig.stopSequences[{at}]", "a string", value)
        stop.append(value)
    return Sampling(
        temperature=optional_number(config, "temperature", "inferenceConfig"),
        top_p=optional_number(config, "topP", "inferenceConfig"),
        top_k=optional_int(fields, "top_k", "additionalModelRequestFields"),
        stop=tuple(stop),
    )


def _decode_reasoning(fields: Node, effort: str | None) -> ReasoningOptions | None:
    """Claude's own ``thinking``, in Anthropic's words, and the effort all models share."""
    if fields.get("thinking") is None:
        return None if effort is None else ReasoningOptions(effort=effort)
    path = "additionalModelRequestFields.thinking"
    thinking = object_of(fields, "thinking", "additionalModelRequestFields")
    kind = text_of(thinking, "type", path)
    known = {"budget_tokens"} if kind not in ("enabled", "disabled") else {"type", "budget_tokens"}
    rest = {name: value for name, value in thinking.items() if name not in known}
    return ReasoningOptions(
        enabled={"enabled": True, "disabled": False}.get(kind),
        effort=effort,
        budget_tokens=optional_int(thinking, "budget_tokens", path),
        extras=Extras(SIGNED_BY, rest) if rest else NO_EXTRAS,
    )


def _decode_output_format(output: Node) -> OutputFormat | None:
    if output.get("textFormat") is None:
        return None
    path = "outputConfig.textFormat"
    node = object_of(output, "textFormat", "outputConfig")
    as_word(required(node, "type", path), join(path, "type"), "json_schema")
    structure = object_of(node, "structure", path)
    path = join(path, "structure")
    definition = object_of(structure, "jsonSchema", path)
    path = join(path, "jsonSchema")
    try:
        schema: Json = parse_value(text_of(definition, "schema", path))
    except ValueError as error:
        raise ClientWireError(f"is not JSON: {error}", field=join(path, "schema")) from error
    name = optional_text(definition, "name", path)
    return OutputFormat(OutputKind.JSON_SCHEMA, schema, name, extras=OUTPUT_FORMAT.extras(node))
