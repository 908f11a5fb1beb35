"""A stream's bytes to events.

Theory of operation.  A stream is `message_start`, then content blocks, each
with `content_block_start`, deltas and `content_block_stop`, then one or more
`message_delta`, then `message_stop`; a `ping` may stand anywhere, an `error`
ends everything, unknown events are skipped ("Streaming messages", read
2026-11).  Anthropic opens one block at a time; compatible servers may
interleave them or leave numbers out, so blocks are found by their wire index
and numbered anew in the order in which their parts begin.

Which event may follow which is written in `_NEXT` and nowhere else.  A stream
is whole after `message_stop` and only then.
"""

from collections.abc import Iterable, Iterator, Mapping
from enum import Enum, auto
from typing import Final

from attrs import define, evolve, field

from lynkr.errors import UpstreamError, UpstreamWireError
from lynkr.model import (
    NO_USAGE,
    Event,
    Extras,
    Finish,
    Foreign,
    Json,
    Opaque,
    PartDelta,
    PartEnd,
    PartStart,
    Reasoning,
    Start,
    Text,
    ToolCall,
)
from lynkr.wire.anthropic.content import decode_part
from lynkr.wire.anthropic.errors import stream_error
from lynkr.wire.anthropic.fields import (
    FORMAT,
    FieldError,
    as_array,
    as_integer,
    as_object,
    as_string,
    is_object,
    required,
    required_string,
    unknown_fields,
)
from lynkr.wire.anthropic.response import MESSAGE_FIELDS, decode_stop_reason
from lynkr.wire.anthropic.usage import decode_usage
from lynkr.wire.json_body import parse_value
from lynkr.wire.sse import Frame, FrameDecoder


class _State(Enum):
    WAITING = auto()  # for message_start
    OPEN = auto()
    CLOSING = auto()  # message_delta came
    DONE = auto()  # message_stop came


_NEXT: Final[Mapping[tuple[_State, str], _State]] = {
    (_State.WAITING, "message_start"): _State.OPEN,
    (_State.OPEN, "content_block_start"): _State.OPEN,
    (_State.OPEN, "content_block_delta"): _State.OPEN,
    (_State.OPEN, "content_block_stop"): _State.OPEN,
    (_State.OPEN, "message_delta"): _State.CLOSING,
    # Compatible servers report usage early, in a message_delta before the last block's end.
    (_State.CLOSING, "content_block_start"): _State.CLOSING,
    (_State.CLOSING, "content_block_delta"): _State.CLOSING,
    (_State.CLOSING, "content_block_stop"): _State.CLOSING,
    (_State.CLOSING, "message_delta"): _State.CLOSING,
    (_State.CLOSING, "message_stop"): _State.DONE,
}
_EVENTS: Final = frozenset({name for _, name in _NEXT} | {"error"})

_DELTA_FIELDS: Final[Mapping[str, str]] = {
    "text_delta": "text",
    "thinking_delta": "thinking",
    "input_json_delta": "partial_json",
}
_OWN_DELTA: Final[Mapping[type, str]] = {
    Text: "text_delta",
    Reasoning: "thinking_delta",
    ToolCall: "input_json_delta",
}
_PLACED_DELTAS: Final = frozenset({*_DELTA_FIELDS, "signature_delta", "citations_delta"})

_START_EVENT: Final = frozenset({"type", "message"})
_DELTA_EVENT: Final = frozenset({"type", "delta", "usage"})
_STOP_FIELDS: Final = frozenset({"stop_reason", "stop_sequence"})


@define
class _Block:
    """One open block.  *delta* is the kind of delta its text comes in, *name* that delta's field."""

    index: int
    delta: str
    name: str
    seal: Opaque | None = None
    initial: str = ""  # a tool's input told in the block's start, used if no delta follows
    spoke: bool = False
    foreign: dict[str, Json] | None = None
    foreign_input: list[str] = field(factory=list[str])


class AnthropicEventDecoder:
    """An `EventDecoder` for one stream.  What `feed` gives is already parsed: it may be read at leisure."""

    def __init__(self) -> None:
        self._frames = FrameDecoder()
        self._state = _State.WAITING
        self._error: UpstreamWireError | UpstreamError | None = None
        self._blocks: dict[int, _Block] = {}
        self._parts = 0
        self._usage: dict[str, Json] = {}
        self._stop_reason: Json = None
        self._stop_sequence: str | None = None
        self._extras: dict[str, Json] = {}
        self._usage_grew = False

    def feed(self, data: bytes, /) -> Iterable[Event]:
        if self._error is not None:
            raise self._error
        if self._state is _State.DONE:
            return ()
        events: list[Event] = []
        try:
            for frame in self._frames.feed(data):
                self._take(frame, events)
        except FieldError as error:
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
        if self._error is None and self._state is not _State.DONE:
            self._error = UpstreamWireError("the stream was cut short: message_stop never came")
        if self._error is not None:
            raise self._error
        return ()

    def _take(self, frame: Frame, events: list[Event]) -> None:
        name = frame.event
        if self._state is _State.DONE or (name and name not in _EVENTS):
            return
        try:
            body: object = parse_value(frame.data)
        except ValueError as error:
            raise UpstreamWireError(f"the stream's event {name!r} is not JSON: {error}") from error
        if not is_object(body):
            raise FieldError(name or "event", "must be an object")
        kind = body.get("type", name)
        if not isinstance(kind, str):
            raise FieldError(f"{name or 'event'}.type", "must be a string")
        if kind == "error" or name == "error":
            raise stream_error(body, frame.data)
        if kind not in _EVENTS:
            return
        following = _NEXT.get((self._state, kind))
        if following is None:
            raise FieldError(kind, "out of order")
        self._state = following
        if kind == "content_block_delta":
            self._delta(body, events)
        elif kind == "content_block_start":
            self._block_start(body, events)
        elif kind == "content_block_stop":
            self._block_stop(body, events)
        elif kind == "message_start":
            self._message_start(body, events)
        elif kind == "message_delta":
            self._message_delta(body)
        else:
            self._message_stop(events)

    # --- The message ----------------------------------------------------------------------------------

    def _message_start(self, body: Mapping[str, Json], events: list[Event]) -> None:
        message = as_object(required(body, "message", "message_start"), "message")
        extras = dict(unknown_fields(body, _START_EVENT).fields)
        extras.update(unknown_fields(message, MESSAGE_FIELDS).fields)
        usage = NO_USAGE
        if message.get("usage") is not None:
            told = as_object(message["usage"], "message.usage")
            self._usage.update(told)
            usage, rest = decode_usage(told, "message.usage")
            if rest:
                extras["usage"] = rest
        events.append(
            Start(
                id=required_string(message, "id", "message"),
                model=required_string(message, "model", "message"),
                usage=usage,
                extras=Extras(FORMAT, extras) if extras else Extras(),
            )
        )
        # Always empty at Anthropic's; a server that answers at once may put the answer here.
        for block in as_array(message.get("content", []), "message.content"):
            self._close(self._open(block, "message.content", events), events)

    def _message_delta(self, body: Mapping[str, Json]) -> None:
        delta = as_object(body.get("delta", {}), "message_delta.delta")
        if delta.get("stop_reason") is not None:
            self._stop_reason = delta["stop_reason"]
        if delta.get("stop_sequence") is not None:
            self._stop_sequence = as_string(delta["stop_sequence"], "message_delta.delta.stop_sequence")
        self._extras.update(unknown_fields(delta, _STOP_FIELDS).fields)
        self._extras.update(unknown_fields(body, _DELTA_EVENT).fields)
        if body.get("usage") is not None:
            # "The token counts are cumulative"; a count left out or null keeps what was told before.
            told = as_object(body["usage"], "message_delta.usage")
            decode_usage(told, "message_delta.usage")
            for name, value in told.items():
                if value is not None:
                    self._usage[name] = value

    def _message_stop(self, events: list[Event]) -> None:
        if self._blocks:
            raise FieldError("message_stop", f"content block {next(iter(self._blocks))} is still open")
        usage, rest = decode_usage(self._usage, "usage")
        extras = dict(self._extras)
        stop_reason, unknown = decode_stop_reason(self._stop_reason)
        extras.update(unknown)
        if rest:
            extras["usage"] = rest
        events.append(
            Finish(stop_reason, usage, self._stop_sequence, Extras(FORMAT, extras) if extras else Extras())
        )

    # --- Blocks ---------------------------------------------------------------------------------------

    def _block_start(self, body: Mapping[str, Json], events: list[Event]) -> None:
        index = as_integer(required(body, "index", "content_block_start"), "content_block_start.index")
        if index in self._blocks:
            raise FieldError("content_block_start.index", f"block {index} is already open")
        self._blocks[index] = self._open(
            required(body, "content_block", "content_block_start"), "content_block", events
        )

    def _open(self, node: Json, path: str, events: list[Event]) -> _Block:
        part = decode_part(node, path, None)
        if isinstance(part, Foreign):
            # Its deltas are folded into it here, and it goes on whole at its end.
            return _Block(-1, "", "", foreign=dict(as_object(part.value, path)))
        kind = "" if isinstance(part, Reasoning) and part.redacted else _OWN_DELTA.get(type(part), "")
        block = _Block(self._parts, kind, _DELTA_FIELDS.get(kind, ""))
        self._parts += 1
        match part:
            case Text(text=text):
                events.append(PartStart(block.index, evolve(part, text="")))
            case Reasoning(text=text) if not part.redacted:
                block.seal = part.seal
                events.append(PartStart(block.index, evolve(part, text="", seal=None)))
            case ToolCall(arguments=arguments):
                # `{}` stands at the start of every streamed call and says nothing about its arguments.
                block.initial = "" if arguments == "{}" else arguments
                text = ""
                events.append(PartStart(block.index, evolve(part, arguments="")))
            case _:
                text = ""
                events.append(PartStart(block.index, part))
        if text:
            events.append(PartDelta(block.index, text))
        return block

    def _delta(self, body: Mapping[str, Json], events: list[Event]) -> None:
        index, delta = body.get("index"), body.get("delta")
        block = self._blocks.get(index) if type(index) is int else None
        if block is None:
            raise FieldError("content_block_delta.index", f"{index!r} is not an open block")
        if not isinstance(delta, dict):
            raise FieldError("content_block_delta.delta", "must be an object")
        kind = delta.get("type")
        if kind != block.delta or not kind:
            self._other_delta(block, delta, events)
            return
        text = delta.get(block.name)
        if type(text) is not str:
            raise FieldError(f"content_block_delta.delta.{block.name}", "must be a string")
        if len(delta) > 2:
            extras = unknown_fields(delta, frozenset({"type", block.name}))
            events.append(PartDelta(block.index, text, extras))
        elif text:
            events.append(PartDelta(block.index, text))
        if text:
            block.spoke = True

    def _other_delta(self, block: _Block, delta: Mapping[str, Json], events: list[Event]) -> None:
        kind = required_string(delta, "type", "content_block_delta.delta")
        rest = {name: value for name, value in delta.items() if name != "type"}
        if block.foreign is not None:
            _grow(block.foreign, block.foreign_input, kind, rest)
        elif kind == "signature_delta" and block.delta == "thinking_delta":
            block.seal = Opaque(FORMAT, required_string(delta, "signature", "content_block_delta.delta"))
        elif kind == "citations_delta" and block.delta == "text_delta":
            # Under the name the whole block has for them; `fold` joins the lists.
            citation = required(delta, "citation", "content_block_delta.delta")
            events.append(PartDelta(block.index, "", Extras(FORMAT, {"citations": [citation]})))
        elif kind in _PLACED_DELTAS:
            raise FieldError("content_block_delta.delta.type", f"{kind} does not belong in this block")
        else:
            events.append(PartDelta(block.index, "", Extras(FORMAT, {kind: [rest]})))

    def _block_stop(self, body: Mapping[str, Json], events: list[Event]) -> None:
        index = as_integer(required(body, "index", "content_block_stop"), "content_block_stop.index")
        block = self._blocks.pop(index, None)
        if block is None:
            raise FieldError("content_block_stop.index", f"{index} is not an open block")
        self._close(block, events)

    def _close(self, block: _Block, events: list[Event]) -> None:
        if block.foreign is not None:
            _take_input(block.foreign, "".join(block.foreign_input))
            events.append(PartStart(self._parts, Foreign(FORMAT, block.foreign)))
            events.append(PartEnd(self._parts))
            self._parts += 1
            return
        if block.initial and not block.spoke:
            events.append(PartDelta(block.index, block.initial))
        events.append(PartEnd(block.index, block.seal))


def _grow(block: dict[str, Json], pieces: list[str], kind: str, rest: Mapping[str, Json]) -> None:
    """Fold a delta into a block the model has no name for (server_tool_use, compaction)."""
    if kind == "input_json_delta":
        pieces.append(required_string(rest, "partial_json", "content_block_delta.delta"))
        return
    for name, value in rest.items():
        before = block.get(name)
        if kind == "text_delta" and isinstance(before, str) and isinstance(value, str):
            block[name] = before + value
        elif value is not None:
            # compaction_delta and kinds to come: the field's value, whole.
            block[name] = value


def _take_input(block: dict[str, Json], text: str) -> None:
    if not text:
        return
    try:
        block["input"] = parse_value(text)
    except ValueError as error:
        raise FieldError("content_block.input", f"the deltas do not add up to JSON: {error}") from error


def _then_raise(events: list[Event], error: UpstreamWireError | UpstreamError) -> Iterator[Event]:
    yield from events
    raise error
