"""A Responses body to a canonical `Request`.

Shapes follow types/responses/response_create_params.py of openai 3.54 (read
2026-11), and what Codex 0.169 sends beyond it (an ``id`` on input messages,
``client_metadata``).  Fields that the model has no name for stay in `Extras`.

An `instructions` text and a leading system message are one thing in the model.
The plain form stands for `instructions`; a system or developer item that would
read as one is marked ``role``.
"""

from collections.abc import Sequence
from typing import Final

from attrs import evolve

from lynkr.errors import ClientWireError
from lynkr.model import (
    NO_EXTRAS,
    Foreign,
    Image,
    Json,
    Message,
    OutputFormat,
    OutputKind,
    Part,
    ReasoningOptions,
    Request,
    Role,
    Sampling,
    Text,
    ToolResult,
)
from lynkr.wire.fields import (
    object_at,
    optional_bool,
    optional_int,
    optional_number,
    optional_text,
    required,
    text_of,
    wrong,
)
from lynkr.wire.openai_responses import items
from lynkr.wire.openai_responses.fields import Draft, Node, as_extras, drop_usual, shape
from lynkr.wire.openai_responses.tools import decode_tool_choice, decode_tools
from lynkr.wire.openai_responses.turns import TurnReader
from lynkr.wire.piece import NO_PIECES, Pieces, read_piece

REQUEST: Final = shape(
    "model",
    "input",
    "instructions",
    "tools",
    "tool_choice",
    "parallel_tool_calls",
    "max_output_tokens",
    "temperature",
    "top_p",
    "reasoning",
    "text",
    "user",
    "stream",
)
OUTPUT: Final = shape("type", "call_id", "output")
REASONING: Final = shape("effort")
JSON_OBJECT: Final = shape("type")
JSON_SCHEMA: Final = shape("type", "name", "schema", "strict")

# Where the conversation before `input` is kept elsewhere.
_ELSEWHERE: Final = ("previous_response_id", "conversation", "prompt")
_OUTPUT_KINDS: Final = {"function_call_output": False, "custom_tool_call_output": True}


def decode_request(body: Node, pieces: Pieces = NO_PIECES) -> Request:
    """What a client asks for; *pieces* are those of its *body*.

    Raises:
        ClientWireError: a field is missing or malformed; it is named by its path in *body*.
    """
    extras = REQUEST.leftover(body)
    _check(body)
    return Request(
        model=text_of(body, "model", ""),
        messages=_messages(body),
        tools=read_piece(pieces.get("tools"), 0, body.get("tools"), decode_tools, "tools"),
        tool_choice=decode_tool_choice(body.get("tool_choice"), extras),
        parallel_tool_calls=optional_bool(body, "parallel_tool_calls"),
        max_output_tokens=optional_int(body, "max_output_tokens"),
        sampling=Sampling(
            temperature=optional_number(body, "temperature"), top_p=optional_number(body, "top_p")
        ),
        reasoning=_reasoning(body),
        output_format=_output_format(body, extras),
        user=optional_text(body, "user", ""),
        stream=optional_bool(body, "stream") or False,
        extras=as_extras(extras),
    )


def _check(body: Node) -> None:
    """Fields that stay as they are but are acted upon."""
    optional_bool(body, "store")
    optional_text(body, "previous_response_id", "")


# --- Input --------------------------------------------------------------------------------------------


def looks_like_instructions(message: Message) -> bool:
    """Whether a message, were it the first, would read as the field `instructions`."""
    if message.role is not Role.SYSTEM or message.extras != NO_EXTRAS or len(message.parts) != 1:
        return False
    part = message.parts[0]
    return isinstance(part, Text) and bool(part.text) and part.extras == NO_EXTRAS


def reads_as_instructions(messages: Sequence[Message], *, elsewhere: bool) -> bool:
    """Whether the first of *messages* goes into the field `instructions`: not when nothing would be left."""
    return bool(messages) and looks_like_instructions(messages[0]) and (len(messages) > 1 or elsewhere)


def refers_elsewhere(fields: Node) -> bool:
    """Whether tool results may answer calls that do not stand in `input`."""
    return any(fields.get(name) is not None for name in _ELSEWHERE)


def _messages(body: Node) -> tuple[Message, ...]:
    reader = _InputReader(elsewhere=refers_elsewhere(body))
    instructions = optional_text(body, "instructions", "")
    if instructions:
        reader.said.append(Message.system(instructions))
    if body.get("input") is None and refers_elsewhere(body):
        return tuple(reader.said)
    value = required(body, "input", "")
    if isinstance(value, str):
        return (*reader.said, Message.user(value) if value else Message(Role.USER, ()))
    if not isinstance(value, list | tuple):
        raise wrong("input", "a string or an array of items", value)
    if not value and not refers_elsewhere(body):
        raise ClientWireError("must hold at least one item", field="input")
    for at, item in enumerate(value):
        path = f"input[{at}]"
        reader.add(object_at(item, path), path)
    return reader.messages()


class _InputReader:
    """Items in order to messages: one for each turn of the assistant, tool results with what follows."""

    def __init__(self, *, elsewhere: bool) -> None:
        self.said: list[Message] = []
        self._elsewhere = elsewhere
        self._begins_with_item = False  # of the system's
        self._turn = TurnReader()
        self._results: list[Part] = []
        self._calls: dict[str, bool] = {}  # whether each call's input is free text
        self._lenient = elsewhere

    def add(self, node: Node, path: str) -> None:
        kind = items.object_kind(node, path)
        if kind == "message":
            role = text_of(node, "role", path)
            if role != "assistant":
                self._message(node, role, path)
                return
        elif kind in _OUTPUT_KINDS:
            self._end_turn()
            self._results.append(self._result(node, is_custom=_OUTPUT_KINDS[kind], path=path))
            return
        elif items.is_users(node):
            self._end_turn()
            self._results.append(items.foreign_item(node))
            return
        if self._results:
            self._end_results()
        self._note_call(node, kind)
        self._turn.add(node, kind, path)

    def messages(self) -> tuple[Message, ...]:
        self._end_turn()
        self._end_results()
        if self._begins_with_item and reads_as_instructions(self.said, elsewhere=self._elsewhere):
            self.said[0] = evolve(self.said[0], extras=as_extras({"role": "system"}))
        return tuple(self.said)

    def _end_turn(self) -> None:
        if self._turn.parts:
            self.said.append(Message(Role.ASSISTANT, tuple(self._turn.parts)))
            self._turn = TurnReader()

    def _end_results(self) -> None:
        if self._results:
            self.said.append(Message(Role.USER, tuple(self._results)))
            self._results = []

    def _note_call(self, node: Node, kind: str) -> None:
        call_id = items.call_id_in(node)
        if call_id is not None:
            self._calls[call_id] = kind == "custom_tool_call"
        elif kind in ("item_reference", "compaction"):
            self._lenient = True

    def _message(self, node: Node, role: str, path: str) -> None:
        self._end_turn()
        unknown = items.MESSAGE.leftover(node)
        drop_usual(unknown)
        match role:
            case "user":
                content = (*self._results, *_content(node, path))
                self._results = []
                self.said.append(Message(Role.USER, content, as_extras(unknown)))
            case "developer" | "system":
                self._end_results()
                marks: Draft = {"role": role} if role == "developer" else {}
                message = Message(Role.SYSTEM, _content(node, path), as_extras({**marks, **unknown}))
                self._begins_with_item = self._begins_with_item or not self.said
                self.said.append(message)
            case _:
                raise ClientWireError(f"unknown role {role!r}", field=f"{path}.role")

    def _result(self, node: Node, *, is_custom: bool, path: str) -> ToolResult:
        call_id = text_of(node, "call_id", path)
        expected = self._calls.get(call_id)
        if expected is None and not self._lenient:
            # The words are OpenAI's own (read 2026-11).
            raise ClientWireError(
                f"No tool call found for function call output with call_id {call_id}.",
                field=f"{path}.call_id",
            )
        unknown = OUTPUT.leftover(node)
        drop_usual(unknown)
        if is_custom is not (expected or False):
            unknown["type"] = "custom" if is_custom else "function"
        return ToolResult(call_id, _output(node, path), extras=as_extras(unknown))


def _output(node: Node, path: str) -> tuple[Text | Image | Foreign, ...]:
    value = required(node, "output", path)
    if isinstance(value, str):
        return (Text(value),) if value else ()
    if not isinstance(value, list | tuple):
        raise wrong(f"{path}.output", "a string or an array of parts", value)
    return tuple(_content_part(part, f"{path}.output[{at}]") for at, part in enumerate(value))


def _content(node: Node, path: str) -> tuple[Text | Image | Foreign, ...]:
    value = required(node, "content", path)
    if isinstance(value, str):
        return (Text(value),) if value else ()
    if not isinstance(value, list | tuple):
        raise wrong(f"{path}.content", "a string or an array of parts", value)
    return tuple(_content_part(part, f"{path}.content[{at}]") for at, part in enumerate(value))


def _content_part(value: Json, path: str) -> Text | Image | Foreign:
    node = object_at(value, path)
    text_of(node, "type", path)
    text = items.text_part(node, path, assistant=False)
    if text is not None:
        return text
    return items.image_part(node, path) or items.foreign_content(node)


# --- Options ------------------------------------------------------------------------------------------


def _reasoning(body: Node) -> ReasoningOptions | None:
    value = body.get("reasoning")
    if value is None:
        return None
    node = object_at(value, "reasoning")
    effort, extras = optional_text(node, "effort", "reasoning"), REASONING.extras(node)
    if effort == "none":
        return ReasoningOptions(enabled=False, extras=extras)
    return ReasoningOptions(effort=effort, extras=extras)


def _output_format(body: Node, extras: Draft) -> OutputFormat | None:
    """Structured output; verbosity, the plain ``text`` and unknown kinds stay in *extras*."""
    value = body.get("text")
    if value is None:
        return None
    left = dict(object_at(value, "text"))
    found = None
    if left.get("format") is not None:
        path = "text.format"
        node = object_at(left["format"], path)
        match text_of(node, "type", path):
            case "json_object":
                found = OutputFormat(OutputKind.JSON_OBJECT, extras=JSON_OBJECT.extras(node))
            case "json_schema":
                found = OutputFormat(
                    OutputKind.JSON_SCHEMA,
                    schema=object_at(required(node, "schema", path), f"{path}.schema"),
                    name=text_of(node, "name", path),
                    strict=optional_bool(node, "strict", path),
                    extras=JSON_SCHEMA.extras(node),
                )
            case _:
                pass
    if found is not None:
        del left["format"]
    if left:
        extras["text"] = left
    return found
