"""Requests on their way to Converse."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, cast

from attrs import define, field

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
    ToolCall,
    ToolChoice,
    ToolMode,
    ToolResult,
    ToolSpec,
)
from lynkr.wire.base import Encoded
from lynkr.wire.bedrock.content import encode_part
from lynkr.wire.bedrock.shapes import (
    CHOICE,
    FORMAT,
    MESSAGE,
    OUTPUT_FORMAT,
    SIGNED_BY,
    TOOL,
    is_claude,
    request_shape,
    restore,
)
from lynkr.wire.fields import Draft, Losses
from lynkr.wire.json_body import json_text

_NO_FIELDS: Final[Mapping[str, Json]] = NO_EXTRAS.fields
_ANOTHERS: Final = "a field of another dialect"


def encode_request(request: Request) -> Encoded:
    losses = Losses()
    body: dict[str, Any] = {"modelId": request.model}
    _encode_messages(request.messages, body, losses)
    _put(body, "inferenceConfig", _encode_inference(request, losses))
    _put(body, "toolConfig", _encode_tool_config(request, losses))
    fields, output = _encode_reasoning(request, losses)
    output_format = _encode_output_format(request.output_format, losses)
    if output_format is not None:
        output["textFormat"] = output_format
    if request.sampling.top_k is not None:
        if is_claude(request.model):
            fields["top_k"] = request.sampling.top_k
        else:
            losses.add("sampling.top_k", "Converse has no such field, and the model's own name is not known")
    _put(body, "outputConfig", output)
    _put(body, "additionalModelRequestFields", fields)
    if request.user is not None:
        losses.add("user", "Converse does not ask whose request it is")
    if request.stream:
        body["stream"] = True
    request_shape(request.model).restore(body, request.extras, "", losses)
    return Encoded(cast("Mapping[str, Json]", body), losses.all())


def _put(body: dict[str, Any], name: str, value: Mapping[str, Json]) -> None:
    if value:
        body[name] = value


# --- Messages -----------------------------------------------------------------------------------------


@define
class _Turn:
    """One message of the wire.  *units* are blocks that stay together: a part and its cache point."""

    role: Role
    draft: Draft
    units: list[tuple[bool, list[Draft]]] = field(factory=list["tuple[bool, list[Draft]]"])
    last: list[Draft] = field(factory=list["Draft"])  # the unit added last

    def add(self, blocks: list[Draft], path: str, losses: Losses, *, is_result: bool) -> None:
        at = len(self.units)
        if at and "cachePoint" in blocks[0]:
            # It speaks of the block before it, wherever that one goes.
            self.last.extend(blocks)
            return
        if is_result:
            # Claude refuses a turn whose tool results do not come first (Anthropic, "Handle tool calls").
            at = sum(1 for was_result, _ in self.units if was_result)
            if at < len(self.units):
                losses.add(path, "Claude needs tool results first; they were moved there")
        self.units.insert(at, (is_result, blocks))
        self.last = blocks

    def written(self) -> Draft:
        return {
            "role": self.role.value,
            "content": [block for _, blocks in self.units for block in blocks],
            **self.draft,
        }


def _encode_messages(messages: Sequence[Message], body: dict[str, Any], losses: Losses) -> None:
    leading = next(
        (at for at, message in enumerate(messages) if message.role is not Role.SYSTEM), len(messages)
    )
    prompt: list[Draft] = []
    for at, message in enumerate(messages[:leading]):
        path = f"messages[{at}]"
        losses.add_extras(
            message.extras, path, "Converse's system prompt is a list without fields of its own"
        )
        if at:
            losses.add(path, "joined to the message before it: Converse has one system prompt")
        for place, part in enumerate(message.parts):
            prompt += encode_part(part, f"{path}.parts[{place}]", Role.SYSTEM, losses)
    if leading and not prompt:
        losses.add("messages[0]", "a system prompt without content, which Converse refuses")
    if prompt:
        body["system"] = prompt
    turns: list[_Turn] = []
    for at, message in enumerate(messages[leading:], leading):
        _encode_message(message, f"messages[{at}]", turns, losses)
    body["messages"] = [turn.written() for turn in turns]


def _encode_message(message: Message, path: str, turns: list[_Turn], losses: Losses) -> None:
    turn = _Turn(message.role, {})
    for at, part in enumerate(message.parts):
        blocks = encode_part(part, f"{path}.parts[{at}]", message.role, losses)
        if blocks:
            turn.add(blocks, f"{path}.parts", losses, is_result=isinstance(part, ToolResult))
    if not turn.units:
        losses.add(path, "nothing of it can be sent, and Converse refuses a message without content")
        return
    if turns and turns[-1].role is message.role:
        # "A conversation must alternate between user and assistant roles" (Bedrock's words, read 2026-11).
        losses.add(path, "joined to the message before it: Converse wants the roles to alternate")
        losses.add_extras(message.extras, path, "the message joined the one before it")
        for is_result, blocks in turn.units:
            turns[-1].add(blocks, path, losses, is_result=is_result)
        return
    MESSAGE.restore(turn.draft, message.extras, path, losses)
    turns.append(turn)


# --- Tools --------------------------------------------------------------------------------------------


def _encode_tool_config(request: Request, losses: Losses) -> Draft:
    choice, used = request.tool_choice, tuple(_tools_used(request.messages))
    if request.parallel_tool_calls is not None:
        losses.add("parallel_tool_calls", "Converse has no such option")
    if choice is not None and choice.mode is ToolMode.NONE and not used:
        # The one way to forbid them; not open where the conversation holds calls, which need their tools.
        losses.add("tool_choice", "Converse cannot forbid tools; they were left out instead")
        if request.tools:
            losses.add("tools", "left out, as no tool is to be called")
        return {}
    tools = _encode_tools(request.tools, losses)
    if not tools and used:
        # "The toolConfig field must be defined when using toolUse and toolResult content blocks."
        losses.add("tools", "Converse needs those the conversation has called; they were declared by name")
        schema: Draft = {"json": {"type": "object"}}
        tools = [{"toolSpec": {"name": name, "inputSchema": schema}} for name in used]
    if not tools:
        if choice is not None:
            losses.add("tool_choice", "Converse takes it beside tools only")
        return {}
    config: Draft = {"tools": tools}
    node = _encode_tool_choice(choice, losses) if choice is not None else None
    if node is not None:
        config["toolChoice"] = node
    return config


def _tools_used(messages: Sequence[Message]) -> Iterator[str]:
    """The names of the tools the conversation has called, each once."""
    names = (
        part.name if isinstance(part, ToolCall) else ""
        for message in messages
        for part in message.parts
        if isinstance(part, ToolCall | ToolResult)
    )
    distinct = dict.fromkeys(names)
    if distinct and not any(distinct):
        return iter(("unknown_tool",))  # results alone, whose calls were cut off
    return filter(None, distinct)


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
        spec: Draft = {"name": tool.name}
        if tool.description:
            spec["description"] = tool.description
        elif tool.description is not None:
            losses.add(f"{path}.description", "Converse takes none that is empty")
        spec["inputSchema"] = {"json": tool.input_schema}
        encoded += restore(TOOL, {"toolSpec": spec}, tool.extras, path, losses)
    return encoded


def _encode_tool_choice(choice: ToolChoice, losses: Losses) -> Draft | None:
    match choice.mode:
        case ToolMode.AUTO:
            node: Draft = {"auto": {}}
        case ToolMode.REQUIRED:
            node = {"any": {}}
        case ToolMode.NAMED:
            node = {"tool": {"name": choice.name}}
        case ToolMode.NONE:
            losses.add("tool_choice", "Converse cannot forbid tools, and the calls before need theirs")
            return None
    CHOICE.restore(node, choice.extras, "tool_choice", losses)
    return node


# --- Options ------------------------------------------------------------------------------------------


def _encode_inference(request: Request, losses: Losses) -> Draft:
    sampling: Sampling = request.sampling
    config: Draft = {}
    if request.max_output_tokens is not None:
        config["maxTokens"] = request.max_output_tokens
    if sampling.temperature is not None:
        if sampling.temperature > 1:
            losses.add("sampling.temperature", "Converse's scale ends at 1, which was written")
        config["temperature"] = min(sampling.temperature, 1.0)
    if sampling.top_p is not None:
        config["topP"] = sampling.top_p
    if sampling.stop:
        stop = [text for text in sampling.stop if text]
        if len(stop) < len(sampling.stop):
            losses.add("sampling.stop", "Converse takes no empty stop sequence")
        config["stopSequences"] = stop
    if sampling.seed is not None:
        losses.add("sampling.seed", "Converse has no seed")
    return config


def _encode_reasoning(request: Request, losses: Losses) -> tuple[Draft, Draft]:
    """The beginnings of ``additionalModelRequestFields`` and of ``outputConfig``."""
    options = request.reasoning
    if options is None:
        return {}, {}
    own = options.extras.of(SIGNED_BY) if is_claude(request.model) else _NO_FIELDS
    if not own:
        losses.add_extras(options.extras, "reasoning", _ANOTHERS)
    thinking: Draft = {}
    if is_claude(request.model):
        thinking = _encode_thinking(options, own, losses)
    elif options.enabled is not None or options.budget_tokens is not None:
        losses.add("reasoning", "how this model is told to think is not known; its effort alone was written")
    output: Draft = {}
    match options.effort:
        case None:
            if not thinking:
                losses.add("reasoning", "nothing of it can be said to this model")
        case "none":
            losses.add("reasoning", "Converse has no effort 'none'")
            thinking = {"type": "disabled"} if is_claude(request.model) else {}
        case "minimal":
            losses.add("reasoning.effort", "Converse has no effort 'minimal'; 'low' was written")
            output["effort"] = "low"
        case effort:
            output["effort"] = effort
    return {"thinking": thinking} if thinking else {}, output


def _encode_thinking(options: ReasoningOptions, own: Mapping[str, Json], losses: Losses) -> Draft:
    """Claude's field, in Anthropic's words ("Extended thinking", read 2026-11)."""
    budget = options.budget_tokens
    if options.enabled is False:
        if budget is not None:
            losses.add("reasoning.budget_tokens", "no budget goes with disabled thinking")
        return {"type": "disabled", **_beside(own)}
    if options.enabled is None and "type" in own:
        # A type without a canonical name, such as adaptive.
        return {**own} if budget is None else {**own, "budget_tokens": budget}
    if budget is not None:
        if options.enabled is None:
            losses.add("reasoning.enabled", "a budget needs thinking enabled")
        return {"type": "enabled", "budget_tokens": budget, **_beside(own)}
    if options.enabled:
        losses.add("reasoning", "enabled thinking needs a budget; adaptive was written")
        return {"type": "adaptive", **_beside(own)}
    losses.add_extras(Extras(SIGNED_BY, own), "reasoning", "thinking options without a type")
    return {}


def _beside(own: Mapping[str, Json]) -> Draft:
    return {name: value for name, value in own.items() if name not in ("type", "budget_tokens")}


def _encode_output_format(wanted: OutputFormat | None, losses: Losses) -> Draft | None:
    if wanted is None:
        return None
    if wanted.kind is not OutputKind.JSON_SCHEMA:
        losses.add("output_format", "Converse can ask for JSON by a schema only")
        return None
    if wanted.strict is not None:
        losses.add("output_format.strict", "Converse's schemas are always kept to")
    definition: Draft = {"schema": json_text(wanted.schema)}
    if wanted.name is not None:
        definition["name"] = wanted.name
    node: Draft = {"type": "json_schema", "structure": {"jsonSchema": definition}}
    OUTPUT_FORMAT.restore(node, wanted.extras, "output_format", losses)
    return node
