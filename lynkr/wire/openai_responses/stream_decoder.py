"""A Responses stream to canonical events.

Theory of operation.  Events name an item by ``output_index`` (by ``item_id``
where a server leaves that out: llama.cpp) and content within it by
``content_index`` or ``summary_index``.  A part begins with the first event
that says what it is, and ends with its ``done`` event, which also tells what
the deltas left out.  Some servers announce neither items nor content: the
first delta then begins the part.  The final response gives usage and the stop
reason, and, where nothing was streamed before it, the whole answer.

An ``error`` event is followed by ``response.failed`` at OpenAI; what it tells is
raised with that one, or at the end of input.
"""

from collections.abc import Iterator, Mapping
from enum import Enum, auto
from typing import Final

from attrs import define, evolve, field

from lynkr.errors import ClientWireError, LynkrError, UpstreamError, UpstreamWireError
from lynkr.model import (
    Event,
    Finish,
    Foreign,
    Json,
    Part,
    PartDelta,
    PartEnd,
    PartStart,
    Reasoning,
    Response,
    Start,
    StopReason,
    Text,
    ToolCall,
)
from lynkr.model.fold import unfold
from lynkr.wire import freeform
from lynkr.wire.fields import count_or_none, node_or_empty, text_or_empty
from lynkr.wire.json_body import parse_value
from lynkr.wire.openai_responses import items, response
from lynkr.wire.openai_responses.errors import embedded_error
from lynkr.wire.openai_responses.fields import Draft, Node, as_extras, drop_usual
from lynkr.wire.sse import Frame, FrameDecoder

_TERMINAL: Final = frozenset({"response.completed", "response.incomplete"})
_FAILED: Final = frozenset({"response.failed", "response.cancelled"})


class _State(Enum):
    WAIT = auto()
    OPEN = auto()
    DONE = auto()
    FAILED = auto()


@define(eq=False)
class _Part:
    """One canonical part under way.  *fields* are its extras so far."""

    index: int
    said: list[str] = field(factory=list[str])
    fields: Draft = field(factory=dict[str, Json])
    length: int = 0
    is_open: bool = True


@define(eq=False)
class _Item:
    """One item: its kind, its node as announced, its parts by content index."""

    kind: str
    node: Node
    parts: dict[int, _Part] = field(factory=dict[int, _Part])
    is_verbatim: bool = False  # nothing here understands it: it comes whole when it is done
    is_done: bool = False
    pieces: int = 0  # of a thought, that have begun


class ResponsesEventDecoder:
    """Implements `lynkr.wire.base.EventDecoder`; consume what `feed` gives before feeding again."""

    def __init__(self) -> None:
        self._frames = FrameDecoder()
        self._state = _State.WAIT
        self._out: list[Event] = []
        self._error: LynkrError | None = None
        self._told: UpstreamError | None = None
        self._items: dict[int | str, _Item] = {}
        self._last: int | str = 0
        self._parts = 0
        self._in_message = False
        self._calls_tools = False
        self._top: Draft = {}

    def feed(self, data: bytes, /) -> Iterator[Event]:
        if self._error is not None:
            raise self._error
        try:
            for frame in self._frames.feed(data):
                if self._state is not _State.DONE:
                    self._take(frame)
                    yield from self._drain()
        except ClientWireError as error:
            raise self._fail(UpstreamWireError(f"an event of the stream is malformed: {error}")) from error
        except LynkrError as error:
            raise self._fail(error) from error.__cause__

    def close(self) -> Iterator[Event]:
        if self._error is not None:
            raise self._error
        if self._state is not _State.DONE:
            cut = UpstreamWireError("the stream was cut before its final response")
            raise self._fail(self._told or cut)
        return iter(())

    def _fail(self, error: LynkrError) -> LynkrError:
        self._state, self._error = _State.FAILED, error
        return error

    def _drain(self) -> list[Event]:
        """The events of one frame; those of a frame that turned out broken are not given out."""
        events, self._out = self._out, []
        return events

    # --- Frames ---------------------------------------------------------------------------------------

    def _take(self, frame: Frame) -> None:
        if frame.data == "[DONE]":
            return
        try:
            event: Json = parse_value(frame.data)
        except ValueError as error:
            raise UpstreamWireError(f"an event of the stream is not JSON: {error}") from error
        if not isinstance(event, dict):
            raise UpstreamWireError("an event of the stream is not a JSON object")
        kind = text_or_empty(event.get("type")) or frame.event
        if kind == "error" or (not kind and event.get("error")):
            self._told = embedded_error(event)
            return
        body = event.get("response")
        if isinstance(body, Mapping) and self._state is _State.WAIT and kind not in _FAILED:
            self._begin(body)
        if kind in _TERMINAL:
            self._finish(node_or_empty(body))
        elif kind in _FAILED:
            raise self._told or embedded_error({"status": "failed", **node_or_empty(body)})
        elif self._state is _State.OPEN:
            self._read(kind, event)
        elif kind.startswith("response."):
            raise UpstreamWireError(f"{kind} came before response.created")

    def _read(self, kind: str, event: Node) -> None:
        match kind:
            case "response.output_text.delta":
                self._prose(event, {"type": "output_text"})
            case "response.refusal.delta":
                self._prose(event, {"type": "refusal"})
            case "response.function_call_arguments.delta" | "response.custom_tool_call_input.delta":
                self._arguments_delta(event)
            case "response.reasoning_summary_text.delta":
                self._think(event, count_or_none(event.get("summary_index")) or 0, {})
            case "response.reasoning_text.delta":
                self._think(event, self._content_at(event), {"field": "content"})
            case "response.output_item.added":
                self._item_added(event)
            case "response.output_item.done":
                self._item_done(event)
            case "response.content_part.added":
                self._content_added(event)
            case "response.content_part.done":
                self._content_done(event)
            case "response.output_text.annotation.added":
                self._annotation(event)
            case _:
                return  # new kinds, and those whose news comes again with the item

    def _begin(self, body: Node) -> None:
        self._state = _State.OPEN
        self._top = response.BODY.leftover(body)
        self._out.append(
            Start(
                text_or_empty(body.get("id")),
                text_or_empty(body.get("model")),
                created=response.created_of(body),
                extras=as_extras(dict(self._top)),
            )
        )

    def _finish(self, body: Node) -> None:
        output = body.get("output")
        if self._parts == 0 and isinstance(output, list) and output:
            self._whole(response.parts_of(output))
        for item in self._items.values():
            self._end_item(item)
        reason, remembered = response.stop_reason_of(body, calls_tools=self._calls_tools)
        usage, usage_left = response.decode_usage(node_or_empty(body.get("usage")))
        late: Draft = {
            name: value
            for name, value in response.BODY.leftover(body).items()
            if name not in self._top or self._top[name] != value
        }
        late |= remembered
        if usage_left:
            late["usage"] = usage_left
        self._out.append(Finish(reason, usage, extras=as_extras(late)))
        self._state = _State.DONE

    def _whole(self, parts: list[Part]) -> None:
        """An answer of which nothing was streamed."""
        self._calls_tools = any(isinstance(part, ToolCall) for part in parts)
        answer = Response("", "", tuple(parts), StopReason.OTHER)
        self._out += unfold(answer)[1:-1]
        self._parts = len(parts)

    # --- Items ----------------------------------------------------------------------------------------

    def _key(self, event: Node) -> int | str:
        index = count_or_none(event.get("output_index"))
        if index is not None:
            self._last = index
        elif isinstance(event.get("item_id"), str):
            self._last = text_or_empty(event["item_id"])
        else:
            item_id = node_or_empty(event.get("item")).get("id")
            self._last = item_id if isinstance(item_id, str) else self._last
        return self._last

    def _item_added(self, event: Node) -> None:
        node = event.get("item")
        if not isinstance(node, Mapping):
            raise UpstreamWireError("an item of the stream is not an object")
        key = self._key(event)
        if key in self._items:
            raise UpstreamWireError(f"item {key} of the stream is added twice")
        item = self._items[key] = _Item(items.object_kind(node, "item"), node)
        if item.kind in ("function_call", "custom_tool_call"):
            self._begin_call(item)

    def _item_done(self, event: Node) -> None:
        node = event.get("item")
        if not isinstance(node, Mapping):
            raise UpstreamWireError("an item of the stream is not an object")
        item = self._items.get(self._key(event))
        if item is None:
            self._item_added(event)
            item = self._items[self._last]
        if item.is_done:
            return
        match item.kind:
            case "message" if not item.is_verbatim and self._message_done(item, node):
                pass
            case "reasoning":
                self._thought_done(item, node)
            case "function_call" | "custom_tool_call":
                self._call_done(item, node)
            case _:
                self._complete(items.foreign_item(node))
                self._in_message = False
        self._end_item(item)

    def _item(self, event: Node, kind: str) -> _Item:
        """The item *event* speaks of; one that was never announced begins."""
        key = self._key(event)
        item = self._items.get(key)
        if item is None:
            item = self._items[key] = _Item(kind, {"type": kind})
        return item

    def _end_item(self, item: _Item) -> None:
        item.is_done = True
        for part in item.parts.values():
            if part.is_open and item.kind == "custom_tool_call":
                self._out.append(PartDelta(part.index, freeform.TAIL))
            self._end(part)

    # --- Parts ----------------------------------------------------------------------------------------

    def _start(self, part: Part) -> _Part:
        fields = {} if isinstance(part, Foreign) else dict(part.extras.fields)
        begun = _Part(self._parts, fields=fields)
        self._parts += 1
        self._out.append(PartStart(begun.index, part))
        return begun

    def _say(self, part: _Part, text: str) -> None:
        if text and part.is_open:
            part.said.append(text)
            part.length += len(text)
            self._out.append(PartDelta(part.index, text))

    def _rest(self, part: _Part, whole: str) -> None:
        """What *whole* has beyond the deltas; where they disagree, the deltas stand."""
        if len(whole) > part.length and whole.startswith("".join(part.said)):
            self._say(part, whole[part.length :])

    def _late(self, part: _Part, fields: Node) -> None:
        """Extra fields that were not known when the part began; of a list only what is new."""
        found: Draft = {}
        for name, value in fields.items():
            before = part.fields.get(name)
            if before == value and name in part.fields:
                continue
            if isinstance(before, list) and isinstance(value, list):
                if value[: len(before)] != before:
                    continue
                found[name] = value[len(before) :]
            else:
                found[name] = value
            part.fields[name] = value
        if found and part.is_open:
            self._out.append(PartDelta(part.index, "", as_extras(found)))

    def _end(self, part: _Part, seal: Reasoning | None = None) -> None:
        if part.is_open:
            part.is_open = False
            self._out.append(PartEnd(part.index, None if seal is None else seal.seal))

    def _complete(self, part: Part) -> None:
        """A part that comes in one piece."""
        for event in unfold(Response("", "", (part,), StopReason.OTHER))[1:-1]:
            if isinstance(event, PartStart | PartDelta | PartEnd):
                self._out.append(evolve(event, index=self._parts))
        self._parts += 1

    # --- Messages -------------------------------------------------------------------------------------

    def _content_at(self, event: Node) -> int:
        return count_or_none(event.get("content_index")) or 0

    def _content_added(self, event: Node) -> None:
        node, at = node_or_empty(event.get("part")), self._content_at(event)
        if node.get("type") == "reasoning_text":
            return
        item = self._item(event, "message")
        if at not in item.parts:
            self._begin_content(item, node, at)

    def _begin_content(self, item: _Item, node: Node, at: int) -> None:
        """Begin the content part *node*; one of another kind waits until it is done."""
        if item.is_verbatim:
            return
        name = "refusal" if node.get("type") == "refusal" else "text"
        said = text_or_empty(node.get(name))
        text = items.text_part({**node, name: ""}, "part", assistant=True)
        fields = self._item_fields(item)
        begins = bool(fields) or self._in_message
        if item.parts:
            begins = False
        if text is None:
            item.is_verbatim = begins
            return
        if begins:
            text = Text("", as_extras({**text.extras.fields, "item": fields}))
        part = item.parts[at] = self._start(text)
        self._in_message = True
        self._say(part, said)

    def _item_fields(self, item: _Item) -> Draft:
        fields = items.MESSAGE.leftover(item.node)
        if fields.get("status") == "in_progress":
            del fields["status"]
        drop_usual(fields)
        return fields

    def _prose(self, event: Node, node: Node) -> None:
        item, at = self._item(event, "message"), self._content_at(event)
        if at not in item.parts:
            self._begin_content(item, node, at)
        part = item.parts.get(at)
        if part is None:
            return
        self._say(part, text_or_empty(event.get("delta")))
        logprobs = event.get("logprobs")
        if isinstance(logprobs, list) and logprobs:
            known = part.fields.get("logprobs")
            self._late(part, {"logprobs": [*(known if isinstance(known, list) else ()), *logprobs]})

    def _annotation(self, event: Node) -> None:
        part = self._item(event, "message").parts.get(self._content_at(event))
        if part is not None:
            known = part.fields.get("annotations")
            before = known if isinstance(known, list) else []
            self._late(part, {"annotations": [*before, event.get("annotation")]})

    def _content_done(self, event: Node) -> None:
        node, at = node_or_empty(event.get("part")), self._content_at(event)
        if node.get("type") != "reasoning_text":
            self._end_content(self._item(event, "message"), node, at)

    def _end_content(self, item: _Item, node: Node, at: int) -> None:
        if at not in item.parts:
            self._begin_content(item, node, at)
        part = item.parts.get(at)
        if part is None:
            if not item.is_verbatim and node:
                part = item.parts[at] = _Part(self._parts, is_open=False)
                self._complete(items.foreign_content(node))
                self._in_message = True
            return
        if not part.is_open:
            return
        text = items.text_part(node, "part", assistant=True)
        if text is not None:
            self._rest(part, text.text)
            self._late(part, text.extras.fields)
        self._end(part)

    def _message_done(self, item: _Item, node: Node) -> bool:
        """End a message; False if it is to be kept as it is, for nothing of it can be a part."""
        content = node.get("content")
        if not item.parts:
            item.node = node
        if isinstance(content, str):
            content = [{"type": "output_text", "text": content}]
        for at, inner in enumerate(content if isinstance(content, list) else ()):
            self._end_content(item, node_or_empty(inner), at)
        return bool(item.parts) and not item.is_verbatim

    # --- Thoughts -------------------------------------------------------------------------------------

    def _think(self, event: Node, piece: int, mark: Draft) -> None:
        item = self._item(event, "reasoning")
        part = item.parts.get(0)
        if part is None:
            part = item.parts[0] = self._start(
                Reasoning("", extras=as_extras(self._thought_fields(item, mark)))
            )
            self._in_message = False
        if (part.fields.get("field") == "content") is not bool(mark):
            return  # both a summary and raw thinking: the latter comes with the whole item
        while item.pieces < piece:
            item.pieces += 1
            known = part.fields.get("cuts")
            cuts = [*(known if isinstance(known, list) else ()), part.length]
            part.fields["cuts"] = cuts
            separator = PartDelta(part.index, items.SEPARATOR, as_extras({"cuts": [part.length]}))
            part.said.append(items.SEPARATOR)
            part.length += len(items.SEPARATOR)
            self._out.append(separator)
        self._say(part, text_or_empty(event.get("delta")))

    def _thought_fields(self, item: _Item, mark: Draft) -> Draft:
        fields = items.REASONING.leftover(item.node)
        for name in ("encrypted_content", "content", "status"):
            fields.pop(name, None)
        drop_usual(fields)
        return {**fields, **mark}

    def _thought_done(self, item: _Item, node: Node) -> None:
        thought = items.reasoning_part(node, "item")
        part = item.parts.get(0)
        if part is None:
            self._complete(thought)
            self._in_message = False
        elif isinstance(thought, Reasoning):
            self._rest_of_thought(part, thought)
            self._end(part, thought)

    def _rest_of_thought(self, part: _Part, thought: Reasoning) -> None:
        said = "".join(part.said)
        if thought.text.startswith(said):
            self._late(part, thought.extras.fields)
            self._rest(part, thought.text)
        else:
            self._late(part, {k: v for k, v in thought.extras.fields.items() if k != "cuts"})

    # --- Tool calls -----------------------------------------------------------------------------------

    def _begin_call(self, item: _Item) -> None:
        node = {name: value for name, value in item.node.items() if name != "status"}
        said = text_or_empty(node.get("input" if item.kind == "custom_tool_call" else "arguments"))
        call = _read_call(item.kind, {**node, "arguments": "", "input": ""})
        self._calls_tools, self._in_message = True, False
        part = item.parts[0] = self._start(evolve(call, arguments=""))
        if item.kind == "custom_tool_call":
            # Not part of `said`, which is the input alone.
            self._out.append(PartDelta(part.index, freeform.HEAD))
        self._argue(item, said)

    def _argue(self, item: _Item, text: str) -> None:
        part = item.parts.get(0)
        if part is None or not text or not part.is_open:
            return
        part.said.append(text)
        part.length += len(text)
        written = freeform.escaped(text) if item.kind == "custom_tool_call" else text
        self._out.append(PartDelta(part.index, written))

    def _arguments_delta(self, event: Node) -> None:
        item = self._items.get(self._key(event))
        if item is None:
            raise UpstreamWireError("arguments came for a tool call that was not announced")
        self._argue(item, text_or_empty(event.get("delta")))

    def _call_done(self, item: _Item, node: Node) -> None:
        part = item.parts.get(0)
        if part is None or not part.is_open:
            return
        is_custom = item.kind == "custom_tool_call"
        call = _read_call(item.kind, node)
        whole = text_or_empty(node.get("input")) if is_custom else call.arguments
        said = "".join(part.said)
        if len(whole) > len(said) and whole.startswith(said):
            self._argue(item, whole[len(said) :])
        self._late(part, {k: v for k, v in call.extras.fields.items() if k != "status" or v != "in_progress"})


def _read_call(kind: str, node: Node) -> ToolCall:
    if kind == "custom_tool_call":
        return items.custom_call({name: value for name, value in node.items() if name != "arguments"}, "item")
    return items.function_call({name: value for name, value in node.items() if name != "input"}, "item")
