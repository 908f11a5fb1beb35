"""A client's native body to a canonical `Request`.

Fields after docs.ollama.com/api/chat and ``ChatRequest``, ``Message`` and
``Options`` of ollama-python 0.6.3 (read 2026-11).  What the canonical form settles:

- ``stream`` is true unless the body says otherwise;
- `tool` messages become `ToolResult` parts of one USER message, into which a
  user message that follows directly is merged;
- a call without an id gets one, and a result without an id answers the first
  unanswered call of its ``tool_name``, or else the first unanswered one;
- images stand before the words of a user's or a tool's message;
- a negative ``num_predict`` (no limit) rides along in the extras.
"""

from collections.abc import Sequence
from typing import Final

from lynkr.errors import ClientWireError
from lynkr.model import (
    Extras,
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
    ToolResult,
    ToolSpec,
)
from lynkr.wire.json_body import json_text
from lynkr.wire.ollama import parts
from lynkr.wire.ollama.fields import (
    OLLAMA_CHAT,
    Draft,
    Node,
    array_of,
    as_extras,
    node_or_empty,
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

OPTIONS: Final = shape("num_predict", "temperature", "top_p", "top_k", "seed", "stop")
REQUEST: Final = shape("model", "messages", "tools", "format", "think", "stream", options=OPTIONS)
SYSTEM: Final = shape("role", "content")
USER: Final = shape("role", "content", "images")
ASSISTANT: Final = shape("role", "content", "images", "thinking", "tool_calls")
# `tool_name` is kept where it is not the name of the call that is answered.
TOOL: Final = shape("role", "content", "images", "tool_call_id")
FUNCTION_TOOL: Final = shape("type", function=shape("name", "description", "parameters"))

NO_OPTIONS: Final[Node] = {}
NO_PARAMETERS: Final[Node] = {"type": "object", "properties": {}}


def decode_request(body: Node) -> Request:
    """A client's request.

    Raises:
        ClientWireError: a field is missing or malformed; it is named by its path in *body*.
    """
    extras = REQUEST.leftover(body)
    given = body.get("options")
    options = NO_OPTIONS if given is None else object_at(given, "options")
    stream = optional_bool(body, "stream")
    return Request(
        model=text_of(body, "model", ""),
        messages=_Conversation().read(body),
        tools=tuple(_tool(item, f"tools[{at}]") for at, item in enumerate(array_of(body, "tools", ""))),
        max_output_tokens=_limit(options, extras),
        sampling=Sampling(
            temperature=optional_number(options, "temperature", "options"),
            top_p=optional_number(options, "top_p", "options"),
            top_k=optional_int(options, "top_k", "options"),
            seed=optional_int(options, "seed", "options"),
            stop=_stop(options.get("stop")),
        ),
        reasoning=_reasoning(body.get("think")),
        output_format=_output_format(body.get("format")),
        stream=True if stream is None else stream,
        extras=as_extras(extras),
    )


def _limit(options: Node, extras: Draft) -> int | None:
    limit = optional_int(options, "num_predict", "options")
    if limit is None or limit >= 0:
        return limit
    # -1 is no limit, -2 as much as the context holds (Modelfile reference, read 2026-11).
    extras["options"] = {**node_or_empty(extras.get("options")), "num_predict": limit}
    return None


def _stop(value: Json) -> tuple[str, ...]:
    if value is None:
        return ()
    if isinstance(value, str):
        return (value,)
    if not isinstance(value, list | tuple):
        raise wrong("options.stop", "a string or an array of strings", value)
    found: list[str] = []
    for at, item in enumerate(value):
        if not isinstance(item, str):
            raise wrong(f"options.stop[{at}]", "a string", item)
        found.append(item)
    return tuple(found)


def _reasoning(think: Json) -> ReasoningOptions | None:
    """``think``: a switch, or how much (``low``, ``medium``, ``high``, ``max``)."""
    if think is None:
        return None
    if isinstance(think, bool):
        return ReasoningOptions(enabled=think)
    if isinstance(think, str):
        return ReasoningOptions(effort=think)
    raise wrong("think", "a boolean or a string", think)


def _output_format(value: Json) -> OutputFormat | None:
    """``format``: ``json``, or a JSON Schema itself; an empty string is none."""
    if value is None or value == "":
        return None
    if value == "json":
        return OutputFormat(OutputKind.JSON_OBJECT)
    if isinstance(value, str):
        raise ClientWireError("must be 'json' or a JSON Schema object", field="format")
    return OutputFormat(OutputKind.JSON_SCHEMA, object_at(value, "format"))


def _tool(item: Json, path: str) -> ToolSpec | ForeignTool:
    node = object_at(item, path)
    kind = optional_text(node, "type", path)
    if kind not in (None, "function"):
        return ForeignTool(kind or "", Extras(OLLAMA_CHAT, node))
    function = object_of(node, "function", path)
    below = f"{path}.function"
    parameters = function.get("parameters")
    return ToolSpec(
        name=text_of(function, "name", below),
        description=optional_text(function, "description", below),
        input_schema=NO_PARAMETERS if parameters is None else object_at(parameters, f"{below}.parameters"),
        extras=FUNCTION_TOOL.extras(node),
    )


# --- Messages -----------------------------------------------------------------------------------------


class _Conversation:
    """Reads messages in order, and knows which calls are still to be answered."""

    def __init__(self) -> None:
        self._names: dict[str, str] = {}  # of every call so far, by id
        self._open: dict[str, str] = {}  # those of the last assistant message without a result
        self._may_answer = False

    def read(self, body: Node) -> tuple[Message, ...]:
        items = required(body, "messages", "")
        if not isinstance(items, list | tuple):
            raise wrong("messages", "an array", items)
        found: list[Message] = []
        results: list[Part] = []
        for at, item in enumerate(items):
            path = f"messages[{at}]"
            node = object_at(item, path)
            role = text_of(node, "role", path)
            if role == "tool":
                results.append(self._result(node, path))
                continue
            message = self._message(role, node, path)
            if results:
                if role == "user":
                    message = Message(Role.USER, (*results, *message.parts), message.extras)
                else:
                    found.append(Message(Role.USER, tuple(results)))
                results = []
            found.append(message)
        if results:
            found.append(Message(Role.USER, tuple(results)))
        return tuple(found)

    def _message(self, role: str, node: Node, path: str) -> Message:
        self._may_answer = False
        match role:
            case "user":
                return Message(Role.USER, _content(node, path), USER.extras(node))
            case "system":
                words = _words(node, path)
                return Message(Role.SYSTEM, (Text(words),) if words else (), SYSTEM.extras(node))
            case "assistant":
                return self._assistant(node, path)
            case _:
                raise ClientWireError(f"unknown role {role!r}", field=f"{path}.role")

    def _assistant(self, node: Node, path: str) -> Message:
        found: list[Part] = []
        thinking = optional_text(node, "thinking", path)
        if thinking:
            found.append(Reasoning(thinking))
        words = _words(node, path)
        if words:
            found.append(Text(words))
        found += _images(node, path)
        calls = [
            self._call(item, f"{path}.tool_calls[{at}]")
            for at, item in enumerate(array_of(node, "tool_calls", path))
        ]
        self._open = {call.id: call.name for call in calls}
        self._names |= self._open
        self._may_answer = bool(calls)
        return Message(Role.ASSISTANT, (*found, *calls), ASSISTANT.extras(node))

    def _call(self, item: Json, path: str) -> ToolCall:
        node = object_at(item, path)
        function, below = object_of(node, "function", path), f"{path}.function"
        arguments = function.get("arguments")
        call_id = optional_text(node, "id", path) or self._made_up_id()
        call = ToolCall(
            call_id,
            text_of(function, "name", below),
            "{}" if arguments is None else json_text(object_at(arguments, f"{below}.arguments")),
            parts.CALL.extras(node),
        )
        self._names.setdefault(call_id, call.name)
        return call

    def _made_up_id(self) -> str:
        number = len(self._names)
        while f"call_{number}" in self._names:
            number += 1
        return f"call_{number}"

    def _result(self, node: Node, path: str) -> ToolResult:
        if not self._may_answer:
            raise ClientWireError(
                "a tool message must follow an assistant message with tool_calls", field=f"{path}.role"
            )
        leftover = TOOL.leftover(node)
        name = optional_text(node, "tool_name", path)
        call_id = optional_text(node, "tool_call_id", path) or self._unanswered(name, path)
        self._open.pop(call_id, None)
        if name == self._names.get(call_id):
            leftover.pop("tool_name", None)
        return ToolResult(call_id, _content(node, path), False, as_extras(leftover))

    def _unanswered(self, name: str | None, path: str) -> str:
        for call_id, called in self._open.items():
            if called == name:
                return call_id
        for call_id in self._open:
            return call_id
        raise ClientWireError("every call of the assistant message is answered already", field=path)


def _words(node: Node, path: str) -> str:
    return optional_text(node, "content", path) or ""


def _images(node: Node, path: str) -> list[Image]:
    found: list[Image] = []
    for at, value in enumerate(array_of(node, "images", path)):
        if not isinstance(value, str):
            raise wrong(f"{path}.images[{at}]", "a string", value)
        found.append(parts.image_of(value))
    return found


def _content(node: Node, path: str) -> tuple[Text | Image, ...]:
    words = _words(node, path)
    said: Sequence[Text] = (Text(words),) if words else ()
    return (*_images(node, path), *said)
