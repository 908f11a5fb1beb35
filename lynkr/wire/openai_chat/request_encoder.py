"""A canonical `Request` to a Chat Completions body, and what that body cannot say.

Chat fixes an order within a turn: tool results before what the user says, and
thinking before text before tool calls.  Parts in another order are written in
that one, as a `Loss` of the message's ``parts``.  Images in tool results move
to the user message after them (OpenAI's tool messages hold text only), and a
tool result that follows no call becomes plain user content.
"""

from collections.abc import Mapping
from typing import Final, Literal, TypeAlias, assert_never

from attrs import field, frozen

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
    Text,
    ToolCall,
    ToolChoice,
    ToolMode,
    ToolResult,
    ToolSpec,
)
from lynkr.wire.base import Encoded
from lynkr.wire.openai_chat import parts, request
from lynkr.wire.openai_chat.fields import OPENAI_CHAT, Draft, Losses, as_extras

OutputLimit: TypeAlias = Literal["max_completion_tokens", "max_tokens"]

_NO_NODE: Final = "Chat has no node that could hold it"
_NO_PLACE: Final = "has no place in a message of this role"
_FOREIGN: Final = "a block of a kind this dialect does not know"

_USER_KINDS: Final = frozenset({"text", "image_url"})
_SYSTEM_KINDS: Final = frozenset({"text"})
_ASSISTANT_KINDS: Final = frozenset({"text", "refusal"})


def encode_request(value: Request, *, output_limit: OutputLimit) -> Encoded:
    losses = Losses()
    writer = _Messages(losses)
    for at, message in enumerate(value.messages):
        writer.write(message, f"messages[{at}]")
    body: Draft = {"model": value.model, "messages": [*writer.written]}
    extras = dict(value.extras.of(OPENAI_CHAT))
    _write_tools(body, value, losses)
    _write_limit(body, value, extras, output_limit, losses)
    _write_sampling(body, value, losses)
    if value.reasoning is not None:
        _write_reasoning(body, value.reasoning, losses)
    if value.output_format is not None:
        body["response_format"] = _response_format(value.output_format, losses)
    elif "response_format" in extras:
        _restore_response_format(body, extras)
    if value.user is not None:
        body["user"] = value.user
    if value.stream:
        body["stream"] = True
    rest = as_extras(extras) if value.extras.format is OPENAI_CHAT else value.extras
    request.REQUEST.restore(body, rest, "", losses)
    return Encoded(body, losses.all())


# --- Messages -----------------------------------------------------------------------------------------


@frozen
class _Placed:
    """A part and its path."""

    path: str
    part: Text | Image | Foreign


@frozen
class _Sorted:
    """A USER message's parts by where Chat puts them; *images* were moved out of tool results."""

    results: list[Draft] = field(factory=list[Draft])
    images: list[_Placed] = field(factory=list[_Placed])
    said: list[_Placed] = field(factory=list[_Placed])


class _Messages:
    """Writes messages in order, and knows what may follow the one before."""

    def __init__(self, losses: Losses) -> None:
        self.written: list[Draft] = []
        self._losses = losses
        self._may_answer = False  # the last message written called tools, or answered such a call
        self._after_results = False  # the last message written is a tool's

    def write(self, message: Message, path: str) -> None:
        match message.role:
            case Role.USER:
                self._user(message, path)
            case Role.SYSTEM:
                self._system(message, path)
            case Role.ASSISTANT:
                self._assistant(message, path)
            case _:
                assert_never(message.role)

    def _append(self, node: Draft, *, may_answer: bool = False, after_results: bool = False) -> None:
        self.written.append(node)
        self._may_answer, self._after_results = may_answer, after_results

    def _system(self, message: Message, path: str) -> None:
        kept: list[_Placed] = []
        for below, part in _paths(message, path):
            if isinstance(part, Text | Foreign):
                kept.append(_Placed(below, part))
            else:
                self._losses.add(below, _NO_PLACE)
        role = request.role_of(message.extras)
        extras = message.extras
        if role == "developer":
            extras = as_extras({name: value for name, value in extras.fields.items() if name != "role"})
        node: Draft = {"role": role, "content": self._content(kept, _SYSTEM_KINDS)}
        request.MESSAGE.restore(node, extras, path, self._losses)
        self._append(node)

    def _user(self, message: Message, path: str) -> None:
        legacy = _legacy_function_message(message)
        if legacy is not None:
            self._losses.add_extras(message.extras, path, _NO_NODE)
            self._append(legacy)
            return
        if self._after_results:
            self._losses.add("messages", "reads back as one message with the tool results before it")
        found = self._sort_user_parts(message, path)
        for result in found.results:
            self._append(result, may_answer=True, after_results=True)
        said = [*found.images, *found.said]
        if not said and found.results and not message.extras.of(OPENAI_CHAT):
            self._losses.add_extras(message.extras, path, _NO_NODE)
            return
        node: Draft = {"role": "user", "content": self._content(said, _USER_KINDS)}
        request.MESSAGE.restore(node, message.extras, path, self._losses)
        self._append(node)

    def _sort_user_parts(self, message: Message, path: str) -> _Sorted:
        found = _Sorted()
        for below, part in _paths(message, path):
            match part:
                case ToolResult() if self._may_answer:
                    if found.said:
                        self._losses.add(f"{path}.parts", "tool results are written before what is said")
                    found.results.append(self._result(part, below, found.images))
                case ToolResult():
                    self._losses.add(
                        f"{path}.parts", "a tool result that follows no call is written as content"
                    )
                    self._losses.add_extras(part.extras, below, _NO_NODE)
                    inner = enumerate(part.content)
                    found.said.extend(_Placed(f"{below}.content[{at}]", item) for at, item in inner)
                case Text() | Image() | Foreign():
                    found.said.append(_Placed(below, part))
                case Reasoning() | ToolCall():
                    self._losses.add(below, _NO_PLACE)
                case _:
                    assert_never(part)
        if found.images:
            self._losses.add(
                f"{path}.parts", "images of tool results are written in the user message after them"
            )
        return found

    def _result(self, result: ToolResult, path: str, images: list[_Placed]) -> Draft:
        kept: list[_Placed] = []
        for at, item in enumerate(result.content):
            placed = _Placed(f"{path}.content[{at}]", item)
            (images if isinstance(item, Image) else kept).append(placed)
        if result.is_error:
            self._losses.add(f"{path}.is_error", "tool messages cannot say that the tool failed")
        content = self._content(kept, _USER_KINDS)
        node: Draft = {"role": "tool", "tool_call_id": result.call_id, "content": content}
        request.TOOL_MESSAGE.restore(node, result.extras, path, self._losses)
        return node

    def _assistant(self, message: Message, path: str) -> None:
        thoughts: list[str] = []
        said: list[_Placed] = []
        calls: list[Json] = []
        reached = 0
        for below, part in _paths(message, path):
            rank = 0
            match part:
                case Reasoning():
                    if not self._keeps_thought(part, below):
                        continue
                    if thoughts:
                        self._losses.add(f"{path}.parts", "several thoughts are written as one")
                    thoughts.append(part.text)
                case Text() | Foreign():
                    rank = 1
                    said.append(_Placed(below, part))
                case ToolCall():
                    rank = 2
                    calls.append(parts.call_node(part, below, self._losses))
                case Image() | ToolResult():
                    self._losses.add(below, _NO_PLACE)
                    continue
                case _:
                    assert_never(part)
            if rank < reached:
                self._losses.add(f"{path}.parts", "thinking, text and tool calls are written in that order")
            reached = max(rank, reached)
        content = self._content(said, _ASSISTANT_KINDS)
        node: Draft = {"role": "assistant", "content": content or (None if calls else "")}
        if thoughts:
            node["reasoning_content"] = "\n\n".join(thoughts)
        if calls:
            node["tool_calls"] = calls
        self._restore_assistant(node, message.extras, path)
        self._append(node, may_answer=bool(calls))

    def _restore_assistant(self, node: Draft, extras: Extras, path: str) -> None:
        thought = extras.of(OPENAI_CHAT).get("reasoning")
        if thought is None or (
            isinstance(thought, str) and node.get("reasoning_content", thought) == thought
        ):
            # The other spelling of `reasoning_content`: written alone, it would read back as a part.
            kept = {name: value for name, value in extras.fields.items() if name != "reasoning"}
            if len(kept) < len(extras.fields) and extras.format is OPENAI_CHAT:
                self._losses.add(f"{path}.extras.reasoning", "reads back as a thought")
                extras = as_extras(kept)
        request.ASSISTANT.restore(node, extras, path, self._losses)

    def _keeps_thought(self, part: Reasoning, path: str) -> bool:
        if part.redacted or not part.text:
            self._losses.add(path, "a thought without text cannot be carried")
            return False
        if part.seal is not None:
            self._losses.add(f"{path}.seal", "Chat has no seals")
        self._losses.add_extras(part.extras, path, _NO_NODE)
        return True

    def _content(self, placed: list[_Placed], named: frozenset[str]) -> str | list[Json]:
        """A string where one plain text says it all, else the array of parts."""
        nodes: list[Json] = []
        for item in placed:
            part, path = item.part, item.path
            match part:
                case Text():
                    may_refuse = named is _ASSISTANT_KINDS
                    nodes.append(parts.text_node(part, path, self._losses, may_refuse=may_refuse))
                case Image():
                    nodes.append(parts.image_node(part, path, self._losses))
                case Foreign():
                    node = parts.foreign_node(part, named)
                    if node is None:
                        self._losses.add(path, _FOREIGN)
                    else:
                        nodes.append(node)
                case _:
                    assert_never(part)
        if not nodes:
            return ""
        if len(nodes) == 1 and isinstance(nodes[0], dict):
            return parts.plain_text_of(nodes[0]) or nodes
        return nodes


def _paths(message: Message, path: str) -> list[tuple[str, Part]]:
    return [(f"{path}.parts[{at}]", part) for at, part in enumerate(message.parts)]


def _legacy_function_message(message: Message) -> Draft | None:
    match message.parts:
        case (Foreign(format=owner, value=Mapping() as node),) if owner is OPENAI_CHAT:
            is_whole = node.get("role") == "function" and isinstance(node.get("name"), str)
            return dict(node) if is_whole and isinstance(node.get("content"), str | None) else None
        case _:
            return None


# --- Tools --------------------------------------------------------------------------------------------


def _write_tools(body: Draft, value: Request, losses: Losses) -> None:
    tools: list[Json] = []
    for at, tool in enumerate(value.tools):
        node = _tool_node(tool, f"tools[{at}]", losses)
        if node is not None:
            tools.append(node)
    if tools:
        body["tools"] = tools
    elif value.tools:
        # OpenAI answers 400 to both fields when there are no tools.
        for name in ("tool_choice", "parallel_tool_calls"):
            if getattr(value, name) is not None:
                losses.add(name, "no tool is left for it to speak of")
        return
    if value.tool_choice is not None:
        choice = _tool_choice(value.tool_choice, losses)
        if choice is not None:
            body["tool_choice"] = choice
    if value.parallel_tool_calls is not None:
        body["parallel_tool_calls"] = value.parallel_tool_calls


def _tool_node(tool: ToolSpec | ForeignTool, path: str, losses: Losses) -> Draft | None:
    if isinstance(tool, ForeignTool):
        definition = dict(tool.extras.of(OPENAI_CHAT))
        if not isinstance(definition.get("type"), str) or definition["type"] == "function":
            losses.add(path, "a tool only another dialect knows")
            return None
        if request.foreign_tool_name(definition) != tool.name:
            losses.add(f"{path}.name", "the definition gives another name")
        return definition
    function: Draft = {"name": tool.name}
    if tool.description is not None:
        function["description"] = tool.description
    if isinstance(tool.input_schema, Mapping):
        function["parameters"] = tool.input_schema
    else:
        losses.add(f"{path}.input_schema", "Chat's parameters are a JSON Schema object")
    node: Draft = {"type": "function", "function": function}
    request.FUNCTION_TOOL.restore(node, tool.extras, path, losses)
    return node


def _tool_choice(choice: ToolChoice, losses: Losses) -> Json:
    path, extras = "tool_choice", choice.extras
    kind = extras.of(OPENAI_CHAT).get("type")
    if choice.mode is ToolMode.NAMED:
        if choice.name is None:
            losses.add(path, "a named choice without a name")
            return None
        node: Draft
        if kind == "custom":
            node = {"type": "custom", "custom": {"name": choice.name}}
            request.CUSTOM_CHOICE.restore(node, parts.without_type(extras), path, losses)
        else:
            node = {"type": "function", "function": {"name": choice.name}}
            request.NAMED_CHOICE.restore(node, extras, path, losses)
        return node
    if choice.name is not None:
        losses.add(f"{path}.name", "only a named choice has a name")
    if kind == "allowed_tools" and choice.mode is not ToolMode.NONE:
        node = {"type": "allowed_tools", "allowed_tools": {"mode": choice.mode.value}}
        request.ALLOWED_CHOICE.restore(node, parts.without_type(extras), path, losses)
        return node
    losses.add_extras(extras, path, "this mode is a bare word")
    return choice.mode.value


# --- Options ------------------------------------------------------------------------------------------


def _write_limit(body: Draft, value: Request, extras: Draft, preferred: OutputLimit, losses: Losses) -> None:
    """The limit under the client's own spelling if it is remembered, else under the codec's."""
    if value.max_output_tokens is None:
        return
    other = next(name for name in request.LIMITS if name != preferred)
    remembered = other in extras
    if remembered and extras.pop(other) is not None:
        losses.add(f"extras.{other}", "remembers a spelling only, not a value")
    body[other if remembered else preferred] = value.max_output_tokens


def _write_sampling(body: Draft, value: Request, losses: Losses) -> None:
    sampling = value.sampling
    for name in ("temperature", "top_p", "seed"):
        number: float | None = getattr(sampling, name)
        if number is not None:
            body[name] = number
    if sampling.stop:
        body["stop"] = [*sampling.stop]
    if sampling.top_k is not None:
        losses.add("sampling.top_k", "Chat Completions has no such field")


def _write_reasoning(body: Draft, options: ReasoningOptions, losses: Losses) -> None:
    """Effort only.  A budget is not turned into an effort: the two are not convertible."""
    if options.enabled is False or options.effort == "none":
        body["reasoning_effort"] = "none"
        read_back = ReasoningOptions(enabled=False)
    elif options.effort is not None:
        body["reasoning_effort"] = options.effort
        read_back = ReasoningOptions(effort=options.effort)
    else:
        losses.add("reasoning", "Chat says how much to think only as an effort")
        return
    for name in ("enabled", "effort", "budget_tokens"):
        if getattr(options, name) != getattr(read_back, name):
            losses.add(f"reasoning.{name}", "Chat says how much to think only as an effort")
    losses.add_extras(options.extras, "reasoning", _NO_NODE)


def _response_format(wanted: OutputFormat, losses: Losses) -> Draft:
    path = "output_format"
    if wanted.kind is OutputKind.JSON_OBJECT:
        for name in ("schema", "name", "strict"):
            if getattr(wanted, name) is not None:
                losses.add(f"{path}.{name}", "json_object has no such field")
        node: Draft = {"type": "json_object"}
        request.JSON_OBJECT.restore(node, wanted.extras, path, losses)
        return node
    if wanted.name is None:
        losses.add(f"{path}.name", "Chat requires a name, so one was given")
    inner: Draft = {"name": wanted.name if wanted.name is not None else "output"}
    if isinstance(wanted.schema, Mapping):
        inner["schema"] = wanted.schema
    elif wanted.schema is not None:
        losses.add(f"{path}.schema", "Chat's schema is a JSON Schema object")
    if wanted.strict is not None:
        inner["strict"] = wanted.strict
    node = {"type": "json_schema", "json_schema": inner}
    request.JSON_SCHEMA.restore(node, wanted.extras, path, losses)
    return node


def _restore_response_format(body: Draft, extras: Draft) -> None:
    """Kinds the model has no name for, ``text`` among them, are written back as they came."""
    value = extras["response_format"]
    kind = value.get("type") if isinstance(value, Mapping) else None
    if isinstance(kind, str) and kind not in ("json_object", "json_schema"):
        body["response_format"] = extras.pop("response_format")


__all__ = ["OutputLimit", "encode_request"]
