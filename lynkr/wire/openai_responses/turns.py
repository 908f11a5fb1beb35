"""The assistant's items of one turn, which requests and answers have in common.

Responses lists thoughts, messages and tool calls side by side; the model puts
those of one turn into one message.
"""

from collections.abc import Iterable, Mapping
from typing import Final, Protocol, assert_never

from lynkr.model import Foreign, Image, Json, Part, Reasoning, Text, ToolCall, ToolResult
from lynkr.wire import freeform
from lynkr.wire.fields import Losses, array_of, object_at
from lynkr.wire.openai_responses import items
from lynkr.wire.openai_responses.fields import RESPONSES, Draft, Node, as_extras, drop_usual
from lynkr.wire.openai_responses.tools import marked

NO_MARKS: Final[Mapping[str, Draft]] = {}


# --- Reading ------------------------------------------------------------------------------------------


class TurnReader:
    """Collects one turn's parts.

    Raises:
        ClientWireError: an item is malformed; it is named by its path.
    """

    def __init__(self) -> None:
        self.parts: list[Part] = []
        self._in_message = False  # the last part stands in a message

    def add(self, node: Node, kind: str, path: str) -> None:
        """Take the assistant's item *node*."""
        if kind == "message":
            self._message(node, path)
            return
        self._in_message = False
        match kind:
            case "reasoning":
                self.parts.append(items.reasoning_part(node, path))
            case "function_call":
                self.parts.append(items.function_call(node, path))
            case "custom_tool_call":
                self.parts.append(items.custom_call(node, path))
            case _:
                self.parts.append(items.foreign_item(node))

    def _message(self, node: Node, path: str) -> None:
        found = assistant_content(node, path)
        unknown = items.MESSAGE.leftover(node)
        drop_usual(unknown)
        begins = bool(unknown) or self._in_message
        if not found or (begins and not isinstance(found[0], Text)):
            self._in_message = False
            self.parts.append(items.foreign_item(node))
            return
        first = found[0]
        if begins and isinstance(first, Text):
            found[0] = Text(first.text, as_extras({**first.extras.fields, "item": unknown}))
        self.parts += found
        self._in_message = True


def assistant_content(node: Node, path: str) -> list[Text | Foreign]:
    content = node.get("content")
    if isinstance(content, str):
        return [Text(content)]
    found: list[Text | Foreign] = []
    for at, item in enumerate(array_of(node, "content", path)):
        below = f"{path}.content[{at}]"
        inner = object_at(item, below)
        text = items.text_part(inner, below, assistant=True)
        found.append(items.foreign_content(inner) if text is None else text)
    return found


# --- Writing ------------------------------------------------------------------------------------------


class Style(Protocol):
    """How items are written: as history in a request, or as output of an answer."""

    @property
    def is_history(self) -> bool: ...

    def id_for(self, prefix: str, number: int) -> str | None:
        """The id of an item that has none of its own."""
        ...

    def keeps(self, thought: Reasoning) -> str | None:
        """Why *thought* is left out; None if it is written."""
        ...

    def message(self, node: Draft) -> Draft:
        """A message whole, as this style has it."""
        ...


class TurnWriter:
    """Writes one turn's items."""

    def __init__(self, losses: Losses, style: Style, marks: Mapping[str, Draft] = NO_MARKS) -> None:
        self.written: list[Draft] = []
        self._losses = losses
        self._style = style
        self._marks = marks
        self._content: list[Json] | None = None  # of the message that is open
        self._message: Draft = {}

    def write(self, parts: Iterable[tuple[str, Part]]) -> list[Draft]:
        for path, part in parts:
            self._part(part, path)
        self._close()
        return self.written

    def _part(self, part: Part, path: str) -> None:
        match part:
            case Text():
                self._text(part, path)
            case Reasoning():
                reason = self._style.keeps(part)
                if reason is not None:
                    self._losses.add(path, reason)
                    return
                self._close()
                item_id = self._style.id_for("rs", len(self.written))
                self.written.append(items.reasoning_node(part, path, self._losses, item_id=item_id))
            case ToolCall():
                self._close()
                self._call(part, path)
            case Foreign():
                self._foreign(part, path)
            case Image() | ToolResult():
                self._losses.add(path, "has no place in what an assistant says")
            case _:
                assert_never(part)

    def _text(self, part: Text, path: str) -> None:
        fields = part.extras.of(RESPONSES).get("item")
        begins = isinstance(fields, Mapping)
        if fields is not None and (not isinstance(fields, Mapping) or (self._content is None and not fields)):
            self._losses.add(f"{path}.extras.item", "no message begins there")
        content = self._content
        if content is None or begins:
            content = self._open()
        if isinstance(fields, Mapping):
            items.MESSAGE.merge(self._message, fields, f"{path}.extras.item", self._losses)
        content.append(items.text_node(part, path, self._losses, assistant=True))

    def _open(self) -> list[Json]:
        self._close()
        content = self._content = list[Json]()
        self._message = {"type": "message", "role": "assistant", "content": content}
        item_id = self._style.id_for("msg", len(self.written))
        if item_id is not None:
            self._message["id"] = item_id
        return content

    def _close(self) -> None:
        if self._content is not None:
            self.written.append(self._style.message(self._message))
            self._content = None

    def _call(self, part: ToolCall, path: str) -> None:
        call = marked(part, self._marks, path, self._losses)
        text = None
        if items.is_custom(call.extras):
            text = self._input(call, path)
        node = items.call_node(call, path, self._losses, text=text)
        if "id" not in node:
            item_id = self._style.id_for("fc" if text is None else "ctc", len(self.written))
            if item_id is not None:
                node["id"] = item_id
        self.written.append(node)

    def _input(self, call: ToolCall, path: str) -> str | None:
        """The free text of a call; a model that was told of a function may have written more than that."""
        text = freeform.unwrapped(call.arguments)
        if text is None and not self._style.is_history:
            text = whole_input(call.arguments)
            self._losses.add(f"{path}.arguments", "not one text, which is all that a custom call holds")
        return text

    def _foreign(self, part: Foreign, path: str) -> None:
        content, item = items.content_in(part), items.item_in(part)
        if content is not None:
            (self._open() if self._content is None else self._content).append(content)
        elif item is not None and not (self._style.is_history and items.is_users(item)):
            self._close()
            self.written.append(dict(item))
        else:
            self._losses.add(path, "a block of a kind this dialect does not know")


def whole_input(arguments: str) -> str:
    """The text in arguments of any form, as a stream of them would give it."""
    reader = freeform.Unwrapper()
    return reader.feed(arguments) + reader.end()
