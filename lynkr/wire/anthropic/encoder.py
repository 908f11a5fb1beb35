"""Events to a stream's bytes.

Theory of operation.  Anthropic's blocks are opened and closed one at a time,
numbered 0, 1, 2 in that order; canonical parts may interleave.  So one part at
a time is live and goes out as it comes; the events of the others wait in their
lane, and when the live part ends, the lane that began first is played out and
becomes the live one.  Parts Anthropic has no block for have no lane: they are
dropped, each with a `Loss`, and use up no number.
"""

import json
from collections.abc import Mapping
from typing import Any, Final

from attrs import define, evolve, field, fields

from lynkr.errors import UpstreamWireError
from lynkr.model import (
    NO_EXTRAS,
    Event,
    Finish,
    Foreign,
    Json,
    Loss,
    Opaque,
    Part,
    PartDelta,
    PartEnd,
    PartStart,
    Reasoning,
    Start,
    Text,
    ToolCall,
    Usage,
)
from lynkr.wire.anthropic.content import encode_part, is_json_object
from lynkr.wire.anthropic.errors import encode_error
from lynkr.wire.anthropic.fields import FORMAT, Losses, is_object, with_extras
from lynkr.wire.anthropic.response import encode_stop_reason
from lynkr.wire.anthropic.usage import encode_usage
from lynkr.wire.json_body import dump, json_text
from lynkr.wire.sse import encode_frame

PING: Final = b'event: ping\ndata: {"type": "ping"}\n\n'

_quoted: Final = json.JSONEncoder(ensure_ascii=False).encode

# Told at the end of a stream, though a whole answer holds them beside the rest: the SDKs overwrite
# them with what message_delta says, null if it is silent.
_FINAL_FIELDS: Final = ("stop_reason", "stop_details")
# Of message_delta's further fields these two stand beside `delta`, all others inside
# (`BetaRawMessageDeltaEvent`, anthropic 2.12, read 2026-11).
_BESIDE_DELTA: Final = frozenset({"context_management", "input_transformations"})


@define
class _Lane:
    """One part on its way out.  *prefix* is what each of its deltas begins with, once it is live."""

    part: Part
    block: dict[str, Any]
    seal: Opaque | None = None
    prefix: bytes = b""
    wire_index: int = -1
    waiting: list[PartDelta | PartEnd] = field(factory=list["PartDelta | PartEnd"])
    arguments: list[str] = field(factory=list[str])
    calls_tool: bool = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.calls_tool = isinstance(self.part, ToolCall)


class AnthropicEventEncoder:
    """An `EventEncoder` for one stream.

    Raises `ValueError` for events that break the canonical grammar: the fault
    is then its caller's, and bytes a client cannot follow would hide it.
    """

    def __init__(self) -> None:
        self._losses = Losses()
        self._start: Start | None = None
        self._ended = False
        self._lanes: dict[int, _Lane] = {}
        self._dropped: set[int] = set()
        self._seen = 0
        self._live: int | None = None
        self._next = 0

    @property
    def losses(self) -> tuple[Loss, ...]:
        return self._losses.all()

    def encode(self, event: Event, /) -> bytes:
        if type(event) is PartDelta and event.index == self._live and event.extras is NO_EXTRAS:
            return self._delta(self._lanes[event.index], event)  # nearly always
        if self._ended or (self._start is None) is not isinstance(event, Start):
            raise ValueError(f"{type(event).__name__} out of order")
        match event:
            case PartDelta(index=index):
                if index == self._live:
                    return self._delta(self._lanes[index], event)
                return self._wait(index, event)
            case PartEnd(index=index):
                if index == self._live:
                    return self._end(index, event) + self._advance()
                ended = self._wait(index, event)
                self._dropped.discard(index)
                return ended
            case PartStart():
                return self._begin(event)
            case Start():
                return self._message_start(event)
            case Finish():
                return self._finish(event)

    def encode_error(self, error: BaseException, /) -> bytes:
        self._ended = True
        self._live = None
        return encode_frame(dump(encode_error(error).body), "error")

    def ping(self) -> bytes:
        return PING

    def close(self) -> bytes:
        """Nothing after a whole stream; an error event where the events stopped short of `Finish`."""
        if self._ended:
            return b""
        return self.encode_error(UpstreamWireError("the answer broke off before its end"))

    # --- Parts ----------------------------------------------------------------------------------------

    def _begin(self, event: PartStart) -> bytes:
        if event.index != self._seen:
            raise ValueError(f"part {event.index} begins where part {self._seen} is due")
        self._seen += 1
        lane = self._lane(event)
        if lane is None:
            self._dropped.add(event.index)
            return b""
        self._lanes[event.index] = lane
        return self._advance() if self._live is None else b""

    def _lane(self, event: PartStart) -> _Lane | None:
        part, path = event.part, f"parts[{event.index}]"
        match part:
            case ToolCall():
                # The arguments come in deltas, and the block's own input is the empty object.
                block = encode_part(evolve(part, arguments=""), path, None, self._losses)
                initial = part.arguments
            case Reasoning() if not part.redacted:
                block = encode_part(evolve(part, text="", seal=None), path, None, self._losses)
                initial = part.text
            case Text():
                block = encode_part(evolve(part, text=""), path, None, self._losses)
                initial = part.text
            case _:
                block = encode_part(part, path, None, self._losses)
                initial = ""
        if block is None:
            return None
        if isinstance(part, Foreign):
            initial = _streamed_input(block)
        lane = _Lane(part, block, part.seal if isinstance(part, Reasoning) else None)
        if initial:
            lane.waiting.append(PartDelta(event.index, initial))
        return lane

    def _wait(self, index: int, event: PartDelta | PartEnd) -> bytes:
        lane = self._lanes.get(index)
        if lane is not None and not (lane.waiting and isinstance(lane.waiting[-1], PartEnd)):
            lane.waiting.append(event)
        elif index not in self._dropped:
            raise ValueError(f"part {index} is not open")
        return b""

    def _advance(self) -> bytes:
        """Play out the lanes in order, up to and into the first that has not ended."""
        self._live = None
        written: list[bytes] = []
        while self._lanes and self._live is None:
            index = next(iter(self._lanes))
            lane = self._lanes[index]
            written.append(self._open(lane))
            self._live = index
            for event in lane.waiting:
                if isinstance(event, PartDelta):
                    written.append(self._delta(lane, event))
                else:
                    written.append(self._end(index, event))
                    self._live = None
            lane.waiting.clear()
        return b"".join(written)

    def _open(self, lane: _Lane) -> bytes:
        lane.wire_index = self._next
        self._next += 1
        kind, name = _delta_kind(lane.part)
        lane.prefix = (
            'event: content_block_delta\ndata: {"type":"content_block_delta",'
            f'"index":{lane.wire_index},"delta":{{"type":"{kind}","{name}":'
        ).encode()
        return _frame("content_block_start", {"index": lane.wire_index, "content_block": lane.block})

    def _delta(self, lane: _Lane, event: PartDelta) -> bytes:
        text = event.text
        if event.extras is not NO_EXTRAS and event.extras.fields:
            return self._delta_with_extras(lane, event)
        if not text:
            return b""
        if lane.calls_tool:
            lane.arguments.append(text)
        try:
            return b"%b%b}}\n\n" % (lane.prefix, _quoted(text).encode())
        except UnicodeEncodeError:
            # Half of a surrogate pair, whose other half may come with the next delta.
            return b"%b%b}}\n\n" % (lane.prefix, json.dumps(text).encode())

    def _delta_with_extras(self, lane: _Lane, event: PartDelta) -> bytes:
        """The text's delta with its further fields, then one delta per thing of another kind."""
        kind, name = _delta_kind(lane.part)
        beside: dict[str, Json] = {}
        others: list[dict[str, Json]] = []
        for key, value in self._losses.own(event.extras, f"parts[{event.index}]").items():
            items = value if isinstance(value, list) else None
            if key == "citations" and items is not None:
                others += [{"type": "citations_delta", "citation": item} for item in items]
            elif key.endswith("_delta") and items is not None:
                others += [{"type": key, **item} for item in items if isinstance(item, Mapping)]
            else:
                beside[key] = value
        written: list[bytes] = []
        if beside:
            if lane.calls_tool:
                lane.arguments.append(event.text)
            others.insert(0, with_extras({"type": kind, name: event.text}, beside))
        elif event.text:
            written.append(self._delta(lane, PartDelta(event.index, event.text)))
        index = lane.wire_index
        written += [_frame("content_block_delta", {"index": index, "delta": delta}) for delta in others]
        return b"".join(written)

    def _end(self, index: int, event: PartEnd) -> bytes:
        lane = self._lanes.pop(index)
        written = b""
        if isinstance(lane.part, Reasoning) and not lane.part.redacted:
            written = self._signature(index, lane, event.seal or lane.seal)
        elif lane.arguments and not is_json_object("".join(lane.arguments)):
            # Too late to send anything else: the client has already seen it.
            self._losses.add(f"parts[{index}].arguments", "not a JSON object, as Anthropic's clients expect")
        return written + _frame("content_block_stop", {"index": lane.wire_index})

    def _signature(self, index: int, lane: _Lane, seal: Opaque | None) -> bytes:
        if seal is None:
            return b""
        if seal.format is not FORMAT:
            self._losses.add(f"parts[{index}].seal", f"the seal is {seal.format.value}'s")
            return b""
        delta = {"type": "signature_delta", "signature": seal.value}
        return _frame("content_block_delta", {"index": lane.wire_index, "delta": delta})

    # --- The message ----------------------------------------------------------------------------------

    def _message_start(self, event: Start) -> bytes:
        self._start = event
        own = self._losses.own(event.extras, "")
        if event.created is not None:
            self._losses.add("created", "Anthropic does not say when an answer was made")
        message: dict[str, Json] = {
            "id": event.id,
            "type": "message",
            "role": "assistant",
            "model": event.model,
            "content": [],
            "stop_reason": None,
            "stop_sequence": None,
            # Unknown counts are 0 here, as the type demands; message_delta corrects them.
            "usage": encode_usage(event.usage, own.get("usage")),
        }
        early = {name: value for name, value in own.items() if name not in _FINAL_FIELDS}
        return _frame("message_start", {"message": with_extras(message, early)})

    def _finish(self, event: Finish) -> bytes:
        if self._lanes or self._dropped:
            raise ValueError(f"Finish while part {min((*self._lanes, *self._dropped))} is open")
        self._ended = True
        start = self._start
        assert start is not None  # noqa: S101  # reason: `encode` let no event through before it
        own = dict(self._losses.own(event.extras, ""))
        for name in _FINAL_FIELDS:
            early = start.extras.of(FORMAT)
            if name in early:
                own.setdefault(name, early[name])
        delta: dict[str, Json] = {
            "stop_reason": encode_stop_reason(event.stop_reason, own, self._losses),
            "stop_sequence": event.stop_sequence,
        }
        usage = encode_usage(_merged(start.usage, event.usage), own.pop("usage", None), self._losses)
        beside = {name: own.pop(name) for name in _BESIDE_DELTA if name in own}
        body: dict[str, Json] = {"delta": with_extras(delta, own), "usage": usage}
        return _frame("message_delta", with_extras(body, beside)) + _frame("message_stop", {})


def _delta_kind(part: Part) -> tuple[str, str]:
    match part:
        case Text():
            return "text_delta", "text"
        case Reasoning():
            return "thinking_delta", "thinking"
        case _:
            return "input_json_delta", "partial_json"


def _streamed_input(block: dict[str, Any]) -> str:
    """Take a server tool's input out of *block*: it is streamed, as Anthropic does it."""
    value: object = block.get("input")
    if not str(block.get("type")).endswith("tool_use") or not is_object(value) or not value:
        return ""
    block["input"] = {}
    return json_text(value)


def _merged(early: Usage, late: Usage) -> Usage:
    """The final counts, filled in from the first event where the final one is silent."""
    known = {
        name: value if (value := getattr(late, name)) is not None else getattr(early, name)
        for name in (attribute.name for attribute in fields(Usage))
    }
    return Usage(**known)


def _frame(kind: str, body: dict[str, Any]) -> bytes:
    return encode_frame(dump({"type": kind, **body}), kind)
