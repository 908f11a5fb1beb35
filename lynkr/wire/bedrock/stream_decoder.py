"""A stream's bytes to events.

Theory of operation.  A stream is `messageStart`, then content blocks, each
with deltas and `contentBlockStop`, then `messageStop` and `metadata`.  A block
of text or of reasoning has no `contentBlockStart`: it begins with its first
delta, whose kind tells what it is.  An exception ends everything; unknown
events are skipped.  Which event may follow which is written in `_NEXT` and
nowhere else.

The counts come in `metadata`, after the stop reason, so `Finish` waits for it.
Without it the answer is whole all the same: `Finish` then comes at the end of
the stream, its counts unknown.

Blocks that the model has no name for, images and redacted reasoning are
collected and go on whole at their end.
"""

from binascii import Error as Base64Error
from binascii import a2b_base64, b2a_base64
from collections.abc import Iterable, Iterator, Mapping
from enum import Enum, auto
from typing import Final

from attrs import define, field

from lynkr.errors import ClientWireError, UpstreamError, UpstreamWireError
from lynkr.model import (
    Event,
    Extras,
    Finish,
    Foreign,
    Image,
    ImageSource,
    Json,
    Opaque,
    Part,
    PartDelta,
    PartEnd,
    PartStart,
    Reasoning,
    Start,
    StopReason,
    Text,
    ToolCall,
    Usage,
)
from lynkr.model.response import NO_USAGE
from lynkr.wire.aws_eventstream import Message, MessageDecoder
from lynkr.wire.bedrock.errors import stream_error
from lynkr.wire.bedrock.response import decode_stop_reason, decode_usage
from lynkr.wire.bedrock.shapes import FORMAT, SIGNED_BY, USAGE
from lynkr.wire.fields import (
    Node,
    array_of,
    as_extras,
    join,
    node_or_empty,
    object_at,
    object_of,
    text_of,
    text_or_empty,
)
from lynkr.wire.json_body import parse_value


class _State(Enum):
    WAITING = auto()  # for messageStart
    OPEN = auto()
    STOPPED = auto()  # messageStop came
    DONE = auto()  # metadata came


_NEXT: Final[Mapping[tuple[_State, str], _State]] = {
    (_State.WAITING, "messageStart"): _State.OPEN,
    (_State.OPEN, "contentBlockStart"): _State.OPEN,
    (_State.OPEN, "contentBlockDelta"): _State.OPEN,
    (_State.OPEN, "contentBlockStop"): _State.OPEN,
    (_State.OPEN, "messageStop"): _State.STOPPED,
    (_State.STOPPED, "metadata"): _State.DONE,
}
_EVENTS: Final = frozenset({name for _, name in _NEXT})
# Bedrock pads its events to hide their length; "p" is the padding.
_PADDING: Final = "p"
_NOT_EXTRA: Final = frozenset({_PADDING, "stopReason", "usage"})


@define
class _Block:
    """One open block.  *kind* is that of its deltas, *whole* what is collected, None for parts that flow."""

    kind: str
    index: int = -1
    seal: Opaque | None = None
    whole: dict[str, Json] | None = None
    pieces: list[str] = field(factory=list[str])
    items: list[Json] = field(factory=list["Json"])


class BedrockEventDecoder:
    """An `EventDecoder` for one stream of ConverseStream."""

    def __init__(self) -> None:
        self._messages = MessageDecoder()
        self._state = _State.WAITING
        self._error: UpstreamWireError | UpstreamError | None = None
        self._blocks: dict[int, _Block] = {}
        self._closed: set[int] = set()
        self._parts = 0
        self._stop: tuple[StopReason, dict[str, Json]] = (StopReason.OTHER, {})
        self._usage: Usage = NO_USAGE

    def feed(self, data: bytes, /) -> Iterable[Event]:
        if self._error is not None:
            raise self._error
        if self._state is _State.DONE:
            return ()
        events: list[Event] = []
        try:
            for message in self._messages.feed(data):
                self._take(message, events)
        except ClientWireError as error:
            self._error = UpstreamWireError(f"the stream is malformed: {error}")
        except (UpstreamWireError, UpstreamError) as error:
            self._error = error
        if self._error is None:
            return events
        if not events:
            raise self._error
        # What came before the fault is delivered before it is told, however the bytes were cut.
        return _then_raise(events, self._error)

    def close(self) -> Iterable[Event]:
        if self._error is not None:
            raise self._error
        if self._state is _State.STOPPED and self._messages.close():
            self._state = _State.DONE
            return (self._finish(),)
        if self._state is not _State.DONE:
            self._error = UpstreamWireError("the stream was cut short: its last event never came")
            raise self._error
        return ()

    def _take(self, message: Message, events: list[Event]) -> None:
        if self._state is _State.DONE:
            return
        kind = message.text(":message-type")
        if kind == "exception":
            raise stream_error(message.text(":exception-type"), message.payload)
        if kind == "error":
            # An error outside the service's model has its words in a header.
            words = message.text(":error-message").encode()
            raise stream_error(message.text(":error-code"), words or message.payload)
        name = message.text(":event-type")
        if kind != "event" or name not in _EVENTS:
            return
        following = _NEXT.get((self._state, name))
        if following is None:
            raise ClientWireError("out of order", field=name)
        try:
            value: Json = parse_value(message.payload)
        except ValueError as error:
            raise UpstreamWireError(f"the stream's event {name!r} is not JSON: {error}") from error
        body = object_at(value, name)
        self._state = following
        match name:
            case "contentBlockDelta":
                self._delta(body, events)
            case "contentBlockStart":
                self._block_start(body, events)
            case "contentBlockStop":
                self._block_stop(body, events)
            case "messageStart":
                # Neither an id nor the model is told; whoever asked knows both better.
                events.append(Start("", ""))
            case "messageStop":
                self._message_stop(body, events)
            case _:
                self._metadata(body, events)

    # --- The message ----------------------------------------------------------------------------------

    def _message_stop(self, body: Node, events: list[Event]) -> None:
        for index in tuple(self._blocks):
            self._close_block(index, events)
        reason, extras = decode_stop_reason(body.get("stopReason"))
        extras.update({name: value for name, value in body.items() if name not in _NOT_EXTRA})
        self._stop = reason, extras

    def _metadata(self, body: Node, events: list[Event]) -> None:
        told = node_or_empty(body.get("usage"))
        self._usage = decode_usage(told)
        reason, extras = self._stop
        extras.update({name: value for name, value in body.items() if name not in _NOT_EXTRA})
        rest = USAGE.leftover(told)
        if rest:
            extras["usage"] = rest
        self._stop = reason, extras
        events.append(self._finish())

    def _finish(self) -> Finish:
        reason, extras = self._stop
        return Finish(reason, self._usage, extras=as_extras(FORMAT, extras))

    # --- Blocks ---------------------------------------------------------------------------------------

    def _new_index(self, body: Node, event: str) -> int:
        index = _block_index(body, event)
        if index in self._blocks or index in self._closed:
            raise ClientWireError(f"block {index} begins twice", field=f"{event}.contentBlockIndex")
        return index

    def _block_start(self, body: Node, events: list[Event]) -> None:
        index = self._new_index(body, "contentBlockStart")
        start = object_of(body, "start", "contentBlockStart")
        call = start.get("toolUse")
        if isinstance(call, Mapping) and "type" not in call:
            path = "contentBlockStart.start.toolUse"
            part = ToolCall(text_of(call, "toolUseId", path), text_of(call, "name", path), "")
            self._blocks[index] = self._flowing("toolUse", part, events)
            return
        kind = next(iter(start), "")
        self._blocks[index] = _Block(kind, whole=dict(node_or_empty(start.get(kind))))

    def _flowing(self, kind: str, part: Part, events: list[Event]) -> _Block:
        """A part whose deltas go on as they come."""
        block = _Block(kind, self._parts)
        self._parts += 1
        events.append(PartStart(block.index, part))
        return block

    def _delta(self, body: Node, events: list[Event]) -> None:
        delta = object_of(body, "delta", "contentBlockDelta")
        kind = next(iter(delta), "")
        index = _block_index(body, "contentBlockDelta")
        if not delta:  # says nothing, not even of what its block is made
            return
        block = self._blocks.get(index)
        if block is None:
            self._new_index(body, "contentBlockDelta")
            block = self._blocks[index] = self._begun_by(kind, delta, events)
        if block.whole is not None:
            _collect(block, kind, delta)
            return
        text = ""
        if kind == "text" and block.kind == "text":
            text = text_of(delta, "text", "contentBlockDelta.delta")
        elif kind == "toolUse" and block.kind == "toolUse":
            text = text_of(object_of(delta, kind, ""), "input", "contentBlockDelta.delta.toolUse")
        elif kind == "reasoningContent" and block.kind == "reasoningContent":
            text = self._reasoning_delta(block, object_of(delta, kind, "contentBlockDelta.delta"))
        elif kind == "citation" and block.kind == "text":
            # Under the name the whole block has for their list; `fold` joins the lists.
            citation = Extras(FORMAT, {"citations": [delta[kind]]})
            events.append(PartDelta(block.index, "", citation))
        else:
            raise ClientWireError(f"{kind!r} does not belong in this block", field="contentBlockDelta.delta")
        if text:
            events.append(PartDelta(block.index, text))

    def _begun_by(self, kind: str, delta: Node, events: list[Event]) -> _Block:
        if kind in ("text", "citation"):
            return self._flowing("text", Text(""), events)
        if kind == "reasoningContent":
            if "redactedContent" in node_or_empty(delta.get(kind)):
                return _Block(kind, whole={})
            return self._flowing(kind, Reasoning(""), events)
        return _Block(kind, whole={})

    def _reasoning_delta(self, block: _Block, delta: Node) -> str:
        path = "contentBlockDelta.delta.reasoningContent"
        if "signature" in delta:
            signature = text_of(delta, "signature", path)
            if signature:
                block.seal = Opaque(SIGNED_BY, signature)
            return ""
        return text_of(delta, "text", path)

    def _block_stop(self, body: Node, events: list[Event]) -> None:
        index = _block_index(body, "contentBlockStop")
        if index in self._blocks:
            self._close_block(index, events)
        elif index in self._closed:
            raise ClientWireError(f"block {index} ends twice", field="contentBlockStop.contentBlockIndex")
        else:
            # A text in which nothing was said.
            self._closed.add(index)

    def _close_block(self, index: int, events: list[Event]) -> None:
        block = self._blocks.pop(index)
        self._closed.add(index)
        if block.whole is None:
            events.append(PartEnd(block.index, block.seal))
            return
        events.append(PartStart(self._parts, _whole_part(block, block.whole)))
        events.append(PartEnd(self._parts))
        self._parts += 1


def _block_index(body: Node, event: str) -> int:
    index = body.get("contentBlockIndex")
    if type(index) is not int:
        raise ClientWireError("must be an integer", field=f"{event}.contentBlockIndex")
    return index


def _collect(block: _Block, kind: str, delta: Node) -> None:
    """Fold a delta into a block that goes on whole."""
    path = "contentBlockDelta.delta"
    if kind != block.kind:
        raise ClientWireError(f"{kind!r} does not belong in this block", field=path)
    match kind:
        case "toolUse":
            block.pieces.append(text_of(object_of(delta, kind, path), "input", join(path, kind)))
        case "reasoningContent":
            content = object_of(delta, kind, path)
            block.pieces.append(text_of(content, "redactedContent", join(path, kind)))
        case "image":
            image = object_of(delta, kind, path)
            block.pieces.append(text_or_empty(node_or_empty(image.get("source")).get("bytes")))
        case "toolResult":
            block.items += array_of(delta, kind, path)
        case _:
            block.items.append(delta[kind])


def _whole_part(block: _Block, whole: dict[str, Json]) -> Part:
    match block.kind:
        case "toolUse":
            text = "".join(block.pieces)
            try:
                whole["input"] = parse_value(text) if text else {}
            except ValueError as error:
                raise ClientWireError(f"is not JSON: {error}", field="toolUse.input") from error
        case "reasoningContent":
            return Reasoning("", Opaque(FORMAT, _joined(block.pieces)), True)
        case "image" if any(block.pieces):
            media_type = f"image/{text_or_empty(whole.get('format'))}"
            return Image(ImageSource.BASE64, _joined(block.pieces), media_type)
        case "toolResult":
            whole["content"] = block.items
        case _ if block.items:
            whole["deltas"] = block.items
        case _:
            pass
    return Foreign(FORMAT, {block.kind: whole})


def _joined(pieces: list[str]) -> str:
    """The base64 of the bytes that *pieces* are the base64 of."""
    if len(pieces) == 1:
        return pieces[0]
    try:
        return b2a_base64(b"".join(map(a2b_base64, pieces)), newline=False).decode()
    except (Base64Error, ValueError) as error:
        raise ClientWireError(f"is not base64: {error}", field="contentBlockDelta.delta") from error


def _then_raise(events: list[Event], error: UpstreamWireError | UpstreamError) -> Iterator[Event]:
    yield from events
    raise error
