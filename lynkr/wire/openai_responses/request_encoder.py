"""A canonical `Request` to a Responses body, and what that body cannot say.

Within a user's turn tool results are written before what is said; parts in
another order are written in that one, as a `Loss` of the message's ``parts``.
A tool result that follows no call becomes plain user content: OpenAI refuses it.
"""

from collections.abc import Mapping
from typing import Final, assert_never

from attrs import field, frozen

from lynkr.model import (
    Foreign,
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
    ToolResult,
)
from lynkr.wire.base import Encoded
from lynkr.wire.fields import Losses
from lynkr.wire.openai_responses import items, request
from lynkr.wire.openai_responses.fields import RESPONSES, Draft, Node, as_extras, mark_of, without
from lynkr.wire.openai_responses.tools import encode_tool_choice, encode_tools
from lynkr.wire.openai_responses.turns import TurnWriter

_NO_NODE: Final = "Responses has no node that could hold it"
_NO_PLACE: Final = "has no place in a message of this role"
# `max_output_tokens` of `CreateResponse`, OpenAI's OpenAPI document 2.3.0 (read 2026-11).
_FEWEST_TOKENS: Final = 16
_FOREIGN: Final = "a block of a kind this dialect does not know"


def encode_request(value: Request) -> Encoded:
    losses = Losses()
    extras = dict(value.extras.of(RESPONSES))
    body: Draft = {"model": value.model}
    elsewhere = request.refers_elsewhere(extras)
    writer = _InputWriter(losses, lenient=elsewhere)
    has_more = len(value.messages) > 1 or elsewhere
    for at, message in enumerate(value.messages):
        writer.write(message, f"messages[{at}]", may_be_instructions=has_more and at == 0)
    if writer.instructions is not None:
        body["instructions"] = writer.instructions
    body["input"] = writer.written
    _write_tools(body, value, extras, losses)
    _write_options(body, value, extras, losses)
    rest = as_extras(extras) if value.extras.format is RESPONSES else value.extras
    request.REQUEST.restore(body, rest, "", losses)
    return Encoded(body, losses.all())


# --- Messages -----------------------------------------------------------------------------------------


class _History:
    """A turn of the past; implements `lynkr.wire.openai_responses.turns.Style`."""

    is_history = True

    def id_for(self, prefix: str, number: int) -> str | None:  # noqa: ARG002  # the protocol's arguments
        return None

    def keeps(self, thought: Reasoning) -> str | None:
        """Only a provider's own thoughts may come back to it: it looks them up, or opens their seal."""
        if thought.seal is not None:
            return None if thought.seal.format is RESPONSES else "another provider's thought"
        own = mark_of(thought.extras, "id") is not None
        return None if own else "a thought that nothing proves"

    def message(self, node: Draft) -> Draft:
        content = node["content"]
        if "id" in node:
            node.setdefault("status", "completed")
        elif len(node) == 3 and isinstance(content, list) and len(content) == 1:
            only = content[0]
            text = items.plain_text_in(only) if isinstance(only, Mapping) else None
            if text is not None:
                return {**node, "content": text}
        return node


@frozen
class _Sorted:
    """A USER message's parts by where Responses puts them, each with its path."""

    results: list[Draft] = field(factory=list[Draft])
    said: list[tuple[str, Text | Image | Foreign]] = field(factory=list["tuple[str, Text | Image | Foreign]"])


class _InputWriter:
    """Writes messages in order as items."""

    def __init__(self, losses: Losses, *, lenient: bool) -> None:
        self.written: list[Json] = []
        self.instructions: str | None = None
        self._losses = losses
        self._lenient = lenient
        self._calls: dict[str, bool] = {}
        self._before: Role | None = None  # whose items the last ones are, where more would join them
        self._after_results = False

    def write(self, message: Message, path: str, *, may_be_instructions: bool) -> None:
        match message.role:
            case Role.USER:
                self._user(message, path)
            case Role.SYSTEM:
                self._system(message, path, may_be_instructions=may_be_instructions)
            case Role.ASSISTANT:
                self._assistant(message, path)
            case _:
                assert_never(message.role)

    def _system(self, message: Message, path: str, *, may_be_instructions: bool) -> None:
        mark = mark_of(message.extras, "role")
        is_marked = mark in ("developer", "system")
        extras = without(message.extras, "role") if is_marked else message.extras
        kept: list[tuple[str, Text | Image | Foreign]] = []
        for below, part in _paths(message, path):
            if isinstance(part, Text | Image | Foreign):
                kept.append((below, part))
            else:
                self._losses.add(below, _NO_PLACE)
        node: Draft = {
            "type": "message",
            "role": mark if is_marked else "system",
            "content": self._content(kept),
        }
        items.MESSAGE.restore(node, extras, path, self._losses)
        content = node["content"]
        is_plain = len(node) == 3 and isinstance(content, str) and bool(content) and mark != "developer"
        if may_be_instructions and is_plain and not is_marked and isinstance(content, str):
            self.instructions = content
            return
        if mark == "system" and not (may_be_instructions and is_plain):
            self._losses.add(f"{path}.extras.role", "needs no telling here")
        self._append(node)

    def _append(self, node: Draft) -> None:
        self.written.append(node)
        self._before, self._after_results = None, False

    def _assistant(self, message: Message, path: str) -> None:
        self._losses.add_extras(message.extras, path, _NO_NODE)
        if self._before is Role.ASSISTANT:
            self._losses.add("messages", "reads back as one message with the assistant's before it")
        found = TurnWriter(self._losses, _History()).write(_paths(message, path))
        if not found:
            self._losses.add(path, "nothing of it is left to write")
            return
        for node in found:
            call_id = items.call_id_in(node)
            if call_id is not None:
                self._calls[call_id] = node.get("type") == "custom_tool_call"
            elif node.get("type") in ("item_reference", "compaction"):
                self._lenient = True
        self.written += found
        self._before, self._after_results = Role.ASSISTANT, False

    def _user(self, message: Message, path: str) -> None:
        found = self._sort(message, path)
        if self._after_results:
            self._losses.add("messages", "reads back as one message with the tool results before it")
        self.written += found.results
        if not found.said and found.results:
            self._losses.add_extras(message.extras, path, _NO_NODE)
            self._before, self._after_results = None, True
            return
        node: Draft = {"type": "message", "role": "user", "content": self._content(found.said)}
        items.MESSAGE.restore(node, message.extras, path, self._losses)
        self._append(node)

    def _sort(self, message: Message, path: str) -> _Sorted:
        found = _Sorted()
        for below, part in _paths(message, path):
            match part:
                case ToolResult() if self._lenient or part.call_id in self._calls:
                    self._note_order(found, path)
                    found.results.append(self._result(part, below))
                case ToolResult():
                    self._losses.add(
                        f"{path}.parts", "a tool result that follows no call is written as content"
                    )
                    self._losses.add_extras(part.extras, below, _NO_NODE)
                    inner = enumerate(part.content)
                    found.said.extend((f"{below}.content[{at}]", item) for at, item in inner)
                case Foreign():
                    item = items.item_in(part)
                    if item is None:
                        found.said.append((below, part))
                    elif items.is_users(item):
                        self._note_order(found, path)
                        found.results.append(dict(item))
                    else:
                        self._losses.add(below, _NO_PLACE)
                case Text() | Image():
                    found.said.append((below, part))
                case Reasoning() | ToolCall():
                    self._losses.add(below, _NO_PLACE)
                case _:
                    assert_never(part)
        return found

    def _note_order(self, found: _Sorted, path: str) -> None:
        if found.said:
            self._losses.add(f"{path}.parts", "tool results are written before what is said")

    def _result(self, result: ToolResult, path: str) -> Draft:
        if result.is_error:
            self._losses.add(f"{path}.is_error", "a tool's output cannot say that the tool failed")
        kind, expected = mark_of(result.extras, "type"), self._calls.get(result.call_id, False)
        is_custom = expected if kind is None else kind == "custom"
        extras = result.extras if kind is None or is_custom is expected else without(result.extras, "type")
        inner = [(f"{path}.content[{at}]", item) for at, item in enumerate(result.content)]
        node: Draft = {
            "type": "custom_tool_call_output" if is_custom else "function_call_output",
            "call_id": result.call_id,
            "output": self._content(inner),
        }
        request.OUTPUT.restore(node, extras, path, self._losses)
        return node

    def _content(self, placed: list[tuple[str, Text | Image | Foreign]]) -> str | list[Json]:
        """A string where one plain text says it all, else the array of parts."""
        nodes: list[Node] = []
        for path, part in placed:
            match part:
                case Text():
                    nodes.append(items.text_node(part, path, self._losses, assistant=False))
                case Image():
                    nodes.append(items.image_node(part, path, self._losses))
                case Foreign():
                    content = items.content_in(part)
                    if content is None:
                        self._losses.add(path, _FOREIGN)
                    else:
                        nodes.append(content)
                case _:
                    assert_never(part)
        if not nodes:
            return ""
        only = items.plain_text_in(nodes[0]) if len(nodes) == 1 else None
        return only or [*nodes]


def _paths(message: Message, path: str) -> list[tuple[str, Part]]:
    return [(f"{path}.parts[{at}]", part) for at, part in enumerate(message.parts)]


# --- Options ------------------------------------------------------------------------------------------


def _write_tools(body: Draft, value: Request, extras: Draft, losses: Losses) -> None:
    tools = encode_tools(value.tools, losses)
    if tools:
        body["tools"] = [*tools]
    elif value.tools:
        for name in ("tool_choice", "parallel_tool_calls"):
            if getattr(value, name) is not None:
                losses.add(name, "no tool is left for it to speak of")
        return
    hosted = extras.get("tool_choice")
    if value.tool_choice is not None:
        choice = encode_tool_choice(value.tool_choice, losses)
        if choice is not None:
            body["tool_choice"] = choice
    elif isinstance(hosted, Mapping) and isinstance(hosted.get("type"), str):
        body["tool_choice"] = extras.pop("tool_choice")
    if value.parallel_tool_calls is not None:
        body["parallel_tool_calls"] = value.parallel_tool_calls


def _write_options(body: Draft, value: Request, extras: Draft, losses: Losses) -> None:
    sampling = value.sampling
    for name in ("temperature", "top_p"):
        number: float | None = getattr(sampling, name)
        if number is not None:
            body[name] = number
    for name in ("top_k", "seed", "stop"):
        if getattr(sampling, name) not in (None, ()):
            losses.add(f"sampling.{name}", "Responses has no such field")
    if value.max_output_tokens is not None:
        body["max_output_tokens"] = max(value.max_output_tokens, _FEWEST_TOKENS)
        if value.max_output_tokens < _FEWEST_TOKENS:
            losses.add("max_output_tokens", f"Responses refuses fewer than {_FEWEST_TOKENS}")
    if value.reasoning is not None:
        _write_reasoning(body, value.reasoning, losses)
    _write_text(body, value.output_format, extras, losses)
    if value.user is not None:
        body["user"] = value.user
    if value.stream:
        body["stream"] = True


def _write_reasoning(body: Draft, options: ReasoningOptions, losses: Losses) -> None:
    """Effort only.  A budget is not turned into an effort: the two are not convertible."""
    node: Draft = {}
    read_back = ReasoningOptions()
    if options.enabled is False or options.effort == "none":
        node["effort"] = "none"
        read_back = ReasoningOptions(enabled=False)
    elif options.effort is not None:
        node["effort"] = options.effort
        read_back = ReasoningOptions(effort=options.effort)
    request.REASONING.restore(node, options.extras, "reasoning", losses)
    if not node and options != ReasoningOptions():
        losses.add("reasoning", "Responses says how much to think only as an effort")
        return
    for name in ("enabled", "effort", "budget_tokens"):
        if getattr(options, name) != getattr(read_back, name):
            losses.add(f"reasoning.{name}", "Responses says how much to think only as an effort")
    body["reasoning"] = node


def _write_text(body: Draft, wanted: OutputFormat | None, extras: Draft, losses: Losses) -> None:
    left = extras.pop("text", None)
    text: Draft = {}
    if wanted is not None:
        text["format"] = _format(wanted, losses)
    if isinstance(left, Mapping):
        for name, value in left.items():
            if name in text:
                losses.add(f"extras.text.{name}", "the canonical value of this field is written instead")
            else:
                text[name] = value
    elif left is not None:
        losses.add("extras.text", "not what is left of the field `text`")
    if text:
        body["text"] = text


def _format(wanted: OutputFormat, losses: Losses) -> Draft:
    path = "output_format"
    if wanted.kind is OutputKind.JSON_OBJECT:
        for name in ("schema", "name", "strict"):
            if getattr(wanted, name) is not None:
                losses.add(f"{path}.{name}", "json_object has no such field")
        node: Draft = {"type": "json_object"}
        request.JSON_OBJECT.restore(node, wanted.extras, path, losses)
        return node
    if wanted.name is None:
        losses.add(f"{path}.name", "Responses requires a name, so one was given")
    schema = wanted.schema
    if not isinstance(schema, Mapping):
        losses.add(f"{path}.schema", "Responses requires a JSON Schema object")
        schema = {"type": "object"}
    node = {"type": "json_schema", "name": wanted.name or "output", "schema": schema}
    if wanted.name == "":
        losses.add(f"{path}.name", "Responses requires a name, so one was given")
    if wanted.strict is not None:
        node["strict"] = wanted.strict
    request.JSON_SCHEMA.restore(node, wanted.extras, path, losses)
    return node
