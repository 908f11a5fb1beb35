"""Requests.

Fields after `MessageCreateParams` of the anthropic SDK 2.12, plain and beta,
and what Claude Code 2.1 sends (read 2026-11).
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final, cast

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
    ToolResult,
    ToolSpec,
)
from lynkr.wire.anthropic.content import Block, as_content, decode_parts, encode_part
from lynkr.wire.anthropic.fields import (
    FORMAT,
    FieldError,
    Losses,
    as_array,
    as_boolean,
    as_integer,
    as_number,
    as_object,
    as_string,
    is_object,
    join,
    required,
    required_string,
    unknown_fields,
    with_extras,
)
from lynkr.wire.base import Encoded
from lynkr.wire.piece import NO_PIECES, Pieces, read_piece

DEFAULT_MAX_TOKENS: Final = 8_192
"""Written where the caller set no limit, which Anthropic requires.

Each current Claude can write as much (read 2026-11).  A thinking budget is
added to it, because thinking counts towards the limit.
"""

_REQUEST: Final = frozenset(
    {
        "model",
        "max_tokens",
        "system",
        "messages",
        "tools",
        "tool_choice",
        "temperature",
        "top_p",
        "top_k",
        "stop_sequences",
        "metadata",
        "thinking",
        "output_config",
        "stream",
    }
)
_MESSAGE: Final = frozenset({"role", "content"})
_TOOL: Final = frozenset({"type", "name", "description", "input_schema"})
_TOOL_CHOICE: Final = frozenset({"type", "name", "disable_parallel_tool_use"})
_OUTPUT_FORMAT: Final = frozenset({"type", "schema"})

_NOTHING: Final[Mapping[str, Json]] = NO_EXTRAS.fields

_TOOL_MODES: Final = {
    "auto": ToolMode.AUTO,
    "any": ToolMode.REQUIRED,
    "none": ToolMode.NONE,
    "tool": ToolMode.NAMED,
}
_WIRE_TOOL_MODES: Final = {mode: name for name, mode in _TOOL_MODES.items()}

# --- Decoding -----------------------------------------------------------------------------------------


def decode_request(body: Mapping[str, Json], pieces: Pieces = NO_PIECES) -> Request:
    """A client's request; *pieces* are those of its *body*.

    Raises:
        FieldError: with the path of the first thing that is wrong.
    """
    kept = dict(unknown_fields(body, _REQUEST).fields)
    messages = _decode_messages(body, pieces)
    tool_choice, parallel = _decode_tool_choice(body)
    reasoning, output_format = _decode_output_options(body, kept)
    user = _decode_metadata(body, kept)
    return Request(
        model=required_string(body, "model", ""),
        messages=messages,
        tools=_decode_tools(body, pieces),
        tool_choice=tool_choice,
        parallel_tool_calls=parallel,
        # Required by /v1/messages, absent from /v1/messages/count_tokens: the route decides.
        max_output_tokens=as_integer(body["max_tokens"], "max_tokens") if "max_tokens" in body else None,
        sampling=_decode_sampling(body),
        reasoning=reasoning,
        output_format=output_format,
        user=user,
        stream=as_boolean(body["stream"], "stream") if "stream" in body else False,
        extras=Extras(FORMAT, kept) if kept else NO_EXTRAS,
    )


def _decode_messages(body: Mapping[str, Json], pieces: Pieces) -> tuple[Message, ...]:
    """The system prompt and the messages.

    A message of role system keeps its place, but one that stands before all
    others and has no fields of its own means the same as the system prompt and
    joins it.
    """
    decoded: list[Message] = []
    prompt: Message | None = None
    if "system" in body:
        prompt = read_piece(pieces.get("system"), 0, body["system"], _decode_prompt, "system")
    known = pieces.get("messages")
    for at, node in enumerate(as_array(required(body, "messages", ""), "messages")):
        message = read_piece(known, at, node, _decode_message, f"messages[{at}]")
        if not decoded and message.role is Role.SYSTEM and message.extras is NO_EXTRAS:
            said = () if prompt is None else prompt.parts
            prompt = Message(Role.SYSTEM, (*said, *message.parts))
        else:
            decoded.append(message)
    return tuple(decoded) if prompt is None else (prompt, *decoded)


def _decode_prompt(node: Json, path: str) -> Message:
    return Message(Role.SYSTEM, decode_parts(node, path, Role.SYSTEM))


def _decode_message(node: Json, path: str) -> Message:
    message = as_object(node, path)
    name = required_string(message, "role", path)
    try:
        role = Role(name)
    except ValueError:
        raise FieldError(
            join(path, "role"), f"must be 'user', 'assistant' or 'system', not {name!r}"
        ) from None
    extras = unknown_fields(message, _MESSAGE)
    if role is Role.SYSTEM and "content" not in message and "output_config" in message:
        # Beta: such a message may change the effort from here on and say nothing.
        return Message(role, (), extras)
    parts = decode_parts(required(message, "content", path), join(path, "content"), role)
    return Message(role, parts, extras)


def _decode_tools(body: Mapping[str, Json], pieces: Pieces) -> tuple[ToolSpec | ForeignTool, ...]:
    if "tools" not in body:
        return ()
    return read_piece(pieces.get("tools"), 0, body["tools"], _decode_all_tools, "tools")


def _decode_all_tools(tools: Json, path: str) -> tuple[ToolSpec | ForeignTool, ...]:
    return tuple([_decode_tool(node, f"{path}[{at}]") for at, node in enumerate(as_array(tools, path))])


def _decode_tool(node: Json, path: str) -> ToolSpec | ForeignTool:
    tool = as_object(node, path)
    kind = tool.get("type")
    if kind is not None and kind != "custom":
        # A versioned type: a tool Anthropic runs, or whose schema it knows.
        name = tool.get("name", as_string(kind, join(path, "type")))
        return ForeignTool(as_string(name, join(path, "name")), Extras(FORMAT, tool))
    description = as_string(tool["description"], join(path, "description")) if "description" in tool else None
    schema = as_object(required(tool, "input_schema", path), join(path, "input_schema"))
    called = required_string(tool, "name", path)
    if not called:
        raise FieldError(join(path, "name"), "must not be empty")
    return ToolSpec(called, description, schema, unknown_fields(tool, _TOOL))


def _decode_tool_choice(body: Mapping[str, Json]) -> tuple[ToolChoice | None, bool | None]:
    if "tool_choice" not in body:
        return None, None
    choice = as_object(body["tool_choice"], "tool_choice")
    kind = required_string(choice, "type", "tool_choice")
    if kind not in _TOOL_MODES:
        raise FieldError("tool_choice.type", f"must be 'auto', 'any', 'tool' or 'none', not {kind!r}")
    mode = _TOOL_MODES[kind]
    known = _TOOL_CHOICE if mode is ToolMode.NAMED else _TOOL_CHOICE - {"name"}
    parallel: bool | None = None
    if mode is ToolMode.NONE:
        known -= {"disable_parallel_tool_use"}
    elif "disable_parallel_tool_use" in choice:
        where = "tool_choice.disable_parallel_tool_use"
        parallel = not as_boolean(choice["disable_parallel_tool_use"], where)
    name = required_string(choice, "name", "tool_choice") if mode is ToolMode.NAMED else None
    return ToolChoice(mode, name, unknown_fields(choice, known)), parallel


def _decode_sampling(body: Mapping[str, Json]) -> Sampling:
    stop: tuple[str, ...] = ()
    if "stop_sequences" in body:
        sequences = as_array(body["stop_sequences"], "stop_sequences")
        stop = tuple([as_string(text, f"stop_sequences[{at}]") for at, text in enumerate(sequences)])
    return Sampling(
        temperature=as_number(body["temperature"], "temperature") if "temperature" in body else None,
        top_p=as_number(body["top_p"], "top_p") if "top_p" in body else None,
        top_k=as_integer(body["top_k"], "top_k") if "top_k" in body else None,
        stop=stop,
    )


def _decode_metadata(body: Mapping[str, Json], kept: dict[str, Json]) -> str | None:
    if "metadata" not in body:
        return None
    metadata = as_object(body["metadata"], "metadata")
    rest = {name: value for name, value in metadata.items() if name != "user_id"}
    if rest:
        kept["metadata"] = rest
    user = metadata.get("user_id")
    return None if user is None else as_string(user, "metadata.user_id")


def _decode_output_options(
    body: Mapping[str, Json], kept: dict[str, Json]
) -> tuple[ReasoningOptions | None, OutputFormat | None]:
    """`thinking` and `output_config`; what of the latter has no name goes to *kept*."""
    config = as_object(body.get("output_config", _NOTHING), "output_config")
    effort, wanted = config.get("effort"), config.get("format")
    rest = {name: value for name, value in config.items() if name not in ("effort", "format")}
    output_format: OutputFormat | None = None
    if wanted is not None:
        node = as_object(wanted, "output_config.format")
        if required_string(node, "type", "output_config.format") == "json_schema":
            schema = as_object(
                required(node, "schema", "output_config.format"), "output_config.format.schema"
            )
            extras = unknown_fields(node, _OUTPUT_FORMAT)
            output_format = OutputFormat(OutputKind.JSON_SCHEMA, schema, extras=extras)
        else:
            rest["format"] = node
    if rest:
        kept["output_config"] = rest
    if effort is not None:
        effort = as_string(effort, "output_config.effort")
    if "thinking" in body:
        return _decode_thinking(as_object(body["thinking"], "thinking"), effort), output_format
    return ReasoningOptions(effort=effort) if effort is not None else None, output_format


def _decode_thinking(thinking: Mapping[str, Json], effort: str | None) -> ReasoningOptions:
    """`enabled` and `disabled` have a name; any other type (adaptive, between_tools) stays in extras."""
    kind = required_string(thinking, "type", "thinking")
    if kind == "enabled":
        required(thinking, "budget_tokens", "thinking")
    known = {"type", "budget_tokens"} if kind in ("enabled", "disabled") else {"budget_tokens"}
    budget = thinking.get("budget_tokens")
    return ReasoningOptions(
        enabled={"enabled": True, "disabled": False}.get(kind),
        effort=effort,
        budget_tokens=None if budget is None else as_integer(budget, "thinking.budget_tokens"),
        extras=unknown_fields(thinking, frozenset(known)),
    )


# --- Encoding -----------------------------------------------------------------------------------------


def encode_request(request: Request) -> Encoded:
    losses = Losses()
    own = losses.own(request.extras, "")
    body: dict[str, Any] = {"model": request.model, "max_tokens": _max_tokens(request, losses)}
    body.update(_encode_messages(request.messages, losses))
    if request.tools:
        body["tools"] = _encode_tools(request.tools, losses)
    choice = _encode_tool_choice(request, losses)
    if choice is not None:
        body["tool_choice"] = choice
    body.update(_encode_sampling(request.sampling, losses))
    thinking, config = _encode_reasoning(request.reasoning, losses)
    output_format = _encode_output_format(request.output_format, losses)
    if output_format is not None:
        config["format"] = output_format
    more = own.get("output_config")
    config = with_extras(config, more if is_object(more) else _NOTHING)
    if thinking:
        body["thinking"] = thinking
    if config:
        body["output_config"] = config
    more = own.get("metadata")
    metadata: dict[str, Json] = {} if request.user is None else {"user_id": request.user}
    metadata = with_extras(metadata, more if is_object(more) else _NOTHING)
    if metadata:
        body["metadata"] = metadata
    if request.stream:
        body["stream"] = True
    return Encoded(cast("Mapping[str, Json]", with_extras(body, own)), losses.all())


def _max_tokens(request: Request, losses: Losses) -> int:
    if request.max_output_tokens is not None:
        return request.max_output_tokens
    budget = request.reasoning.budget_tokens if request.reasoning is not None else None
    limit = DEFAULT_MAX_TOKENS + (budget or 0)
    losses.add(
        "max_output_tokens", f"Anthropic requires a limit and the caller set none; {limit} was written"
    )
    return limit


def _encode_messages(messages: Sequence[Message], losses: Losses) -> dict[str, Any]:
    """The fields `system` and `messages`.

    Leading system messages are the system prompt, up to the first with fields
    of Anthropic's own, which only a message can carry.
    """
    leading = 0
    while leading < len(messages) and messages[leading].role is Role.SYSTEM:
        extras = messages[leading].extras
        if extras.fields and extras.format is FORMAT:
            break
        leading += 1
    fields: dict[str, Any] = {}
    prompt: list[tuple[str, Block]] = []
    for at in range(leading):
        path = f"messages[{at}]"
        losses.own(messages[at].extras, path)
        if at:
            losses.add(path, "joined to the message before it: Anthropic has one system prompt")
        prompt += _encode_parts(messages[at], path, losses)
    if prompt or any(not message.parts for message in messages[:leading]):
        fields["system"] = as_content(prompt, losses)
    encoded: list[Block] = []
    for at, message in enumerate(messages[leading:], leading):
        node = _encode_message(message, f"messages[{at}]", losses)
        if node is not None:
            encoded.append(node)
    fields["messages"] = encoded
    return fields


def _encode_message(message: Message, path: str, losses: Losses) -> Block | None:
    blocks = _encode_parts(message, path, losses)
    if message.parts and not blocks:
        losses.add(path, "nothing of it can be sent, and Anthropic refuses a message without content")
        return None
    node: Block = {"role": message.role.value}
    own = losses.own(message.extras, path)
    if blocks or message.role is not Role.SYSTEM or "output_config" not in own:
        node["content"] = as_content(blocks, losses)
    return with_extras(node, own)


def _encode_parts(message: Message, path: str, losses: Losses) -> list[tuple[str, Block]]:
    blocks: list[tuple[str, Block]] = []
    results = 0
    for at, part in enumerate(message.parts):
        where = f"{path}.parts[{at}]"
        block = encode_part(part, where, message.role, losses)
        if block is None:
            continue
        if isinstance(part, ToolResult):
            # "tool_result blocks must come first in the content array" (docs, Handle tool calls, read
            # 2026-11); anything before them is a 400.
            if results < len(blocks):
                losses.add(f"{path}.parts", "Anthropic needs tool results first; they were moved there")
            blocks.insert(results, (where, block))
            results += 1
        else:
            blocks.append((where, block))
    return blocks


def _encode_tools(tools: Sequence[ToolSpec | ForeignTool], losses: Losses) -> list[Json]:
    encoded: list[Json] = []
    for at, tool in enumerate(tools):
        path = f"tools[{at}]"
        if isinstance(tool, ForeignTool):
            if tool.extras.format is FORMAT:
                encoded.append(dict(tool.extras.fields))
            else:
                losses.add(path, "a tool that only its own provider can run")
            continue
        node: dict[str, Json] = {"name": tool.name}
        if tool.description is not None:
            node["description"] = tool.description
        node["input_schema"] = _input_schema(tool.input_schema, f"{path}.input_schema", losses)
        encoded.append(with_extras(node, losses.own(tool.extras, path)))
    return encoded


def _input_schema(schema: Json, path: str, losses: Losses) -> Mapping[str, Json]:
    """Anthropic wants an object schema that says so ("input_schema.type: Field required", read 2026-11)."""
    if isinstance(schema, Mapping) and "type" in schema:
        return schema
    losses.add(path, 'Anthropic needs "type": "object", which was added')
    if isinstance(schema, Mapping):
        return {"type": "object", **schema}
    properties: dict[str, Json] = {}
    return {"type": "object", "properties": properties}


def _encode_tool_choice(request: Request, losses: Losses) -> dict[str, Json] | None:
    choice, parallel = request.tool_choice, request.parallel_tool_calls
    if choice is None:
        if parallel is None:
            return None
        if not request.tools:
            losses.add(
                "parallel_tool_calls", "Anthropic says it in tool_choice, which it refuses without tools"
            )
            return None
        losses.add("tool_choice", "Anthropic says parallel_tool_calls in it; its default, auto, was written")
        return {"type": "auto", "disable_parallel_tool_use": not parallel}
    node: dict[str, Json] = {"type": _WIRE_TOOL_MODES[choice.mode]}
    if choice.mode is ToolMode.NAMED:
        node["name"] = choice.name
    if parallel is not None:
        if choice.mode is ToolMode.NONE:
            losses.add("parallel_tool_calls", "Anthropic has no such option where no tool may be called")
        else:
            node["disable_parallel_tool_use"] = not parallel
    return with_extras(node, losses.own(choice.extras, "tool_choice"))


def _encode_sampling(sampling: Sampling, losses: Losses) -> dict[str, Json]:
    node: dict[str, Json] = {}
    temperature = sampling.temperature
    if temperature is not None:
        if temperature > 1:
            # OpenAI's scale goes to 2, Anthropic's to 1, and both mean their default by 1.
            losses.add("sampling.temperature", "Anthropic's scale ends at 1, which was written")
            temperature = 1.0
        node["temperature"] = temperature
    if sampling.top_p is not None:
        node["top_p"] = sampling.top_p
    if sampling.top_k is not None:
        node["top_k"] = sampling.top_k
    if sampling.seed is not None:
        losses.add("sampling.seed", "Anthropic has no seed")
    if sampling.stop:
        node["stop_sequences"] = list(sampling.stop)
    return node


def _encode_reasoning(
    options: ReasoningOptions | None, losses: Losses
) -> tuple[dict[str, Json], dict[str, Json]]:
    """The field `thinking`, and the beginnings of `output_config`."""
    if options is None:
        return {}, {}
    own = losses.own(options.extras, "reasoning")
    thinking = _encode_thinking(options, own, losses)
    config: dict[str, Json] = {}
    if options.effort == "none":
        # OpenAI's word for no thinking at all.
        losses.add("reasoning", "Anthropic has no effort 'none'; thinking was disabled instead")
        thinking = dict[str, Json](type="disabled")
    elif options.effort == "minimal":
        losses.add("reasoning.effort", "Anthropic has no effort 'minimal'; 'low' was written")
        config["effort"] = "low"
    elif options.effort is not None:
        config["effort"] = options.effort
    if thinking:
        return with_extras(thinking, own), config
    if own or not config:
        losses.add("reasoning", "Anthropic has no thinking options without a type")
    return {}, config


def _encode_thinking(options: ReasoningOptions, own: Mapping[str, Json], losses: Losses) -> dict[str, Json]:
    budget = options.budget_tokens
    if options.enabled is False:
        if budget is not None:
            losses.add("reasoning.budget_tokens", "Anthropic takes no budget where thinking is disabled")
        return {"type": "disabled"}
    if "type" in own and options.enabled is None:
        # A type without a canonical name, on its way back.
        return {"type": own["type"]} if budget is None else {"type": own["type"], "budget_tokens": budget}
    if budget is not None:
        if options.enabled is None:
            losses.add("reasoning.enabled", "a budget needs thinking enabled")
        return {"type": "enabled", "budget_tokens": budget}
    if options.enabled:
        losses.add("reasoning", "Anthropic's enabled thinking needs a budget; adaptive was written")
        return {"type": "adaptive"}
    return {}


def _encode_output_format(wanted: OutputFormat | None, losses: Losses) -> dict[str, Json] | None:
    if wanted is None:
        return None
    if wanted.kind is not OutputKind.JSON_SCHEMA or not isinstance(wanted.schema, Mapping):
        losses.add("output_format", "Anthropic can ask for JSON by a schema only")
        return None
    for name in ("name", "strict"):
        if getattr(wanted, name) is not None:
            losses.add(
                f"output_format.{name}", "Anthropic has no such field: a schema is nameless and strict"
            )
    node: dict[str, Json] = {"type": "json_schema", "schema": wanted.schema}
    return with_extras(node, losses.own(wanted.extras, "output_format"))
