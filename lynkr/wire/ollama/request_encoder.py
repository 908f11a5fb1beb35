"""A canonical `Request` to a native body, and what that body cannot say.

Ollama fixes an order within a turn: tool results before what the user says,
images before words, and thinking before words before tool calls.  Parts in
another order are written in that one, as a `Loss` of the message's ``parts``.
A tool result that follows no call becomes plain user content.  There is no
``tool_choice``: where no tool may be called, no tool is offered.
"""

from collections.abc import Mapping
from typing import Any, Final, assert_never, cast

from attrs import field, frozen

from lynkr.model import (
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
    ToolMode,
    ToolResult,
    ToolSpec,
)
from lynkr.wire.base import Encoded
from lynkr.wire.ollama import parts, request
from lynkr.wire.ollama.fields import OLLAMA_CHAT, Draft, Losses, Node, as_extras, node_or_empty

_EFFORTS: Final = frozenset({"low", "medium", "high", "max"})
# Other dialects' words for how much to think, by Ollama's nearest.
_NEAREST_EFFORT: Final = {"minimal": "low", "xhigh": "max"}


def encode_request(value: Request) -> Encoded:
    losses = Losses()
    writer = _Messages(losses)
    for at, message in enumerate(value.messages):
        writer.write(message, f"messages[{at}]")
    body: dict[str, Any] = {"model": value.model, "messages": writer.written, "stream": value.stream}
    _write_tools(body, value, losses)
    extras = dict(value.extras.of(OLLAMA_CHAT))
    options = _options(value, extras, losses)
    if options:
        body["options"] = options
    if value.reasoning is not None:
        _write_think(body, value.reasoning, losses)
    if value.output_format is not None:
        body["format"] = _format(value.output_format, losses)
    if value.user is not None:
        losses.add("user", "Ollama knows no end users")
    rest = as_extras(extras) if value.extras.format is OLLAMA_CHAT else value.extras
    request.REQUEST.restore(body, rest, "", losses)
    return Encoded(cast("Mapping[str, Json]", body), losses.all())


# --- Messages -----------------------------------------------------------------------------------------


@frozen
class _Placed:
    """A part and its path."""

    path: str
    part: Text | Image | Foreign


@frozen
class _Sorted:
    """A USER message's parts by where Ollama puts them."""

    results: list[dict[str, Any]] = field(factory=list[dict[str, Any]])
    said: list[_Placed] = field(factory=list[_Placed])


class _Messages:
    """Writes messages in order, and knows what may follow the one before."""

    def __init__(self, losses: Losses) -> None:
        self.written: list[dict[str, Any]] = []
        self._losses = losses
        self._names: dict[str, str] = {}  # of every call so far, by id
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

    def _append(self, node: Node, *, may_answer: bool = False, after_results: bool = False) -> None:
        self.written.append(cast("dict[str, Any]", node))
        self._may_answer, self._after_results = may_answer, after_results

    def _system(self, message: Message, path: str) -> None:
        words: list[str] = []
        for below, part in _paths(message, path):
            if isinstance(part, Text):
                self._say(part, below, words)
            else:
                self._losses.add(below, parts.NO_PLACE)
        node: Draft = {"role": "system", "content": self._joined(words, f"{path}.parts")}
        request.SYSTEM.restore(node, message.extras, path, self._losses)
        self._append(node)

    def _user(self, message: Message, path: str) -> None:
        if self._after_results:
            self._losses.add("messages", "reads back as one message with the tool results before it")
        found = self._sort_user_parts(message, path)
        for result in found.results:
            self._append(result, may_answer=True, after_results=True)
        if not found.said and found.results and not message.extras.of(OLLAMA_CHAT):
            self._losses.add_extras(message.extras, path, parts.NO_NODE)
            return
        node: Draft = {"role": "user"}
        self._write_content(node, found.said, f"{path}.parts")
        request.USER.restore(node, message.extras, path, self._losses)
        self._append(node)

    def _sort_user_parts(self, message: Message, path: str) -> _Sorted:
        found = _Sorted()
        for below, part in _paths(message, path):
            match part:
                case ToolResult() if self._may_answer:
                    if found.said:
                        self._losses.add(f"{path}.parts", "tool results are written before what is said")
                    found.results.append(self._result(part, below))
                case ToolResult():
                    self._losses.add(
                        f"{path}.parts", "a tool result that follows no call is written as content"
                    )
                    inner = enumerate(part.content)
                    found.said.extend(_Placed(f"{below}.content[{at}]", item) for at, item in inner)
                case Text() | Image() | Foreign():
                    found.said.append(_Placed(below, part))
                case Reasoning() | ToolCall():
                    self._losses.add(below, parts.NO_PLACE)
                case _:
                    assert_never(part)
        return found

    def _result(self, result: ToolResult, path: str) -> dict[str, Any]:
        if result.is_error:
            self._losses.add(f"{path}.is_error", "tool messages cannot say that the tool failed")
        node: dict[str, Any] = {"role": "tool"}
        placed = [_Placed(f"{path}.content[{at}]", item) for at, item in enumerate(result.content)]
        self._write_content(node, placed, f"{path}.content")
        name = self._names.get(result.call_id)
        if name is not None:
            node["tool_name"] = name
        node["tool_call_id"] = result.call_id
        request.TOOL.restore(node, result.extras, path, self._losses)
        return node

    def _assistant(self, message: Message, path: str) -> None:
        thoughts: list[str] = []
        words: list[str] = []
        images: list[str] = []
        calls: list[dict[str, Any]] = []
        reached = 0
        for below, part in _paths(message, path):
            match part:
                case Reasoning():
                    rank = 0 if self._think(part, below, thoughts) else None
                case Text():
                    rank = 1 if self._say(part, below, words) else None
                case Image():
                    rank = 2 if self._show(part, below, images) else None
                case ToolCall():
                    rank = 3
                    self._names[part.id] = part.name
                    calls.append(parts.call_node(part, below, self._losses))
                case Foreign() | ToolResult():
                    rank = None
                    self._losses.add(below, parts.FOREIGN if isinstance(part, Foreign) else parts.NO_PLACE)
                case _:
                    assert_never(part)
            if rank is not None and rank < reached:
                self._losses.add(f"{path}.parts", "thinking, words and tool calls are written in that order")
            reached = reached if rank is None else max(rank, reached)
        node: dict[str, Any] = {"role": "assistant", "content": self._joined(words, f"{path}.parts")}
        if thoughts:
            node["thinking"] = self._joined(thoughts, f"{path}.parts")
        if images:
            node["images"] = images
        if calls:
            node["tool_calls"] = calls
        request.ASSISTANT.restore(node, message.extras, path, self._losses)
        self._append(node, may_answer=bool(calls))

    # --- Content --------------------------------------------------------------------------------------

    def _write_content(self, node: dict[str, Any], placed: list[_Placed], path: str) -> None:
        """Words and images; *path* is that of the sequence they come from."""
        words: list[str] = []
        images: list[str] = []
        for item in placed:
            match item.part:
                case Text():
                    self._say(item.part, item.path, words)
                case Image():
                    if self._show(item.part, item.path, images) and words:
                        self._losses.add(path, "images are written before words")
                case Foreign():
                    self._losses.add(item.path, parts.FOREIGN)
                case _:
                    assert_never(item.part)
        node["content"] = self._joined(words, path)
        if images:
            node["images"] = images

    def _joined(self, texts: list[str], path: str) -> str:
        if len(texts) > 1:
            self._losses.add(path, "several texts are written as one")
        return parts.BETWEEN.join(texts)

    def _say(self, part: Text, path: str, words: list[str]) -> bool:
        if not part.text:
            self._losses.add(path, "an empty text is no part")
            return False
        self._losses.add_extras(part.extras, path, "a text is a bare string")
        words.append(part.text)
        return True

    def _show(self, part: Image, path: str, images: list[str]) -> bool:
        text = parts.image_text(part, path, self._losses)
        if text is None:
            return False
        images.append(text)
        return True

    def _think(self, part: Reasoning, path: str, thoughts: list[str]) -> bool:
        if part.redacted or not part.text:
            self._losses.add(path, "a thought without text cannot be carried")
            return False
        if part.seal is not None:
            self._losses.add(f"{path}.seal", "Ollama has no seals")
        self._losses.add_extras(part.extras, path, "a thought is a bare string")
        thoughts.append(part.text)
        return True


def _paths(message: Message, path: str) -> list[tuple[str, Part]]:
    return [(f"{path}.parts[{at}]", part) for at, part in enumerate(message.parts)]


# --- Tools --------------------------------------------------------------------------------------------


def _write_tools(body: dict[str, Any], value: Request, losses: Losses) -> None:
    if value.parallel_tool_calls is not None:
        losses.add("parallel_tool_calls", "Ollama has no such option")
    choice = value.tool_choice
    if choice is not None:
        losses.add("tool_choice", "Ollama leaves it to the model which tools to call")
        if choice.mode is ToolMode.NONE:
            if value.tools:
                losses.add("tools", "none may be called, so none is offered")
            return
    tools: list[Node] = []
    for at, tool in enumerate(value.tools):
        node = _tool_node(tool, f"tools[{at}]", losses)
        if node is not None:
            tools.append(node)
    if tools:
        body["tools"] = tools


def _tool_node(tool: ToolSpec | ForeignTool, path: str, losses: Losses) -> Node | None:
    if isinstance(tool, ForeignTool):
        definition = dict(tool.extras.of(OLLAMA_CHAT))
        kind = definition.get("type")
        if not isinstance(kind, str) or kind == "function":
            losses.add(path, "a tool only another dialect knows")
            return None
        if kind != tool.name:
            losses.add(f"{path}.name", "the definition gives another name")
        return definition
    function: Draft = {"name": tool.name}
    if tool.description is not None:
        function["description"] = tool.description
    if isinstance(tool.input_schema, Mapping):
        function["parameters"] = tool.input_schema
    else:
        losses.add(f"{path}.input_schema", "parameters are a JSON Schema object")
        function["parameters"] = request.NO_PARAMETERS
    node: Draft = {"type": "function", "function": function}
    request.FUNCTION_TOOL.restore(node, tool.extras, path, losses)
    return node


# --- Options ------------------------------------------------------------------------------------------


def _options(value: Request, extras: Draft, losses: Losses) -> dict[str, Any]:
    """The model options; takes a remembered ``num_predict`` without a limit out of *extras*."""
    options: dict[str, Any] = {}
    kept = node_or_empty(extras.get("options"))
    unlimited = kept.get("num_predict")
    limit = value.max_output_tokens
    if limit is not None and limit < 0:
        losses.add("max_output_tokens", "below zero it means no limit to Ollama")
    elif limit is not None:
        options["num_predict"] = limit
    elif type(unlimited) is int and unlimited < 0:
        options["num_predict"] = unlimited
        extras["options"] = {name: below for name, below in kept.items() if name != "num_predict"}
        if not extras["options"]:
            del extras["options"]
    sampling = value.sampling
    for name in ("temperature", "top_p", "top_k", "seed"):
        number: float | None = getattr(sampling, name)
        if number is not None:
            options[name] = number
    if sampling.stop:
        options["stop"] = [*sampling.stop]
    return options


def _write_think(body: dict[str, Any], options: ReasoningOptions, losses: Losses) -> None:
    think = _think_value(options)
    if think is None:
        losses.add("reasoning", "Ollama says how much to think by a switch or a word")
        return
    body["think"] = think
    read_back = ReasoningOptions(enabled=think) if isinstance(think, bool) else ReasoningOptions(effort=think)
    for name in ("enabled", "effort", "budget_tokens"):
        if getattr(options, name) != getattr(read_back, name):
            losses.add(f"reasoning.{name}", f"Ollama has one field for it; {think!r} was written")
    losses.add_extras(options.extras, "reasoning", parts.NO_NODE)


def _think_value(options: ReasoningOptions) -> bool | str | None:
    effort = options.effort
    if options.enabled is False or effort == "none":
        return False
    if effort is not None:
        nearest = _NEAREST_EFFORT.get(effort, effort)
        return nearest if nearest in _EFFORTS else True
    return True if options.enabled or options.budget_tokens is not None else None


def _format(wanted: OutputFormat, losses: Losses) -> Json:
    path = "output_format"
    for name in ("name", "strict"):
        if getattr(wanted, name) is not None:
            losses.add(f"{path}.{name}", "Ollama's format is the bare schema")
    losses.add_extras(wanted.extras, path, parts.NO_NODE)
    if wanted.kind is OutputKind.JSON_SCHEMA:
        if isinstance(wanted.schema, Mapping):
            return wanted.schema
        losses.add(f"{path}.kind", "there is no schema to give, so any JSON object is asked for")
    if wanted.schema is not None:
        losses.add(f"{path}.schema", "only a JSON Schema object can be asked for")
    return "json"
