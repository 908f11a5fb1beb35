"""Canonical events to a stream of `GenerateContentResponse` chunks.

The mirror of `stream_decoder`: one part is written at a time, in order of
index; those that begin while it is open wait.  Texts and thoughts go out as
they come, everything else when it is whole.  A text after a text, which on its
own would read back as going on with it, is the second part of its chunk.
"""

from collections import deque
from typing import Final, assert_never

from attrs import define, evolve, field

from lynkr.model import (
    NO_USAGE,
    Event,
    Finish,
    Foreign,
    Image,
    Loss,
    Part,
    PartDelta,
    PartEnd,
    PartStart,
    Reasoning,
    Start,
    Text,
    ToolCall,
    ToolResult,
    Usage,
)
from lynkr.model.content import Opaque
from lynkr.wire.base import Encoded
from lynkr.wire.fields import Draft, Losses
from lynkr.wire.gemini import response
from lynkr.wire.gemini.errors import encode_error
from lynkr.wire.gemini.fields import GEMINI, Body
from lynkr.wire.gemini.parts import SIGNATURE, History, encode_part, is_void
from lynkr.wire.json_body import dump
from lynkr.wire.sse import encode_frame

_USAGE_NAMES: Final = ("input", "output", "cache_read", "cache_write", "cache_write_1h", "reasoning")


@define(eq=False)
class _Lane:
    """One part on its way: what came of it and was not written yet."""

    index: int
    part: Part
    pieces: list[str] = field(factory=list[str])
    seal: Opaque | None = None
    is_begun: bool = False
    is_whole: bool = False

    @property
    def flows(self) -> bool:
        """Whether its text may be written before it is whole; a signature goes with the whole text."""
        match self.part:
            case Text(extras=extras):
                return SIGNATURE not in extras.of(GEMINI)
            case Reasoning(redacted=redacted):
                return not redacted
            case _:
                return False


class GeminiEventEncoder:
    """Implements `lynkr.wire.base.EventEncoder`."""

    def __init__(self) -> None:
        self._losses = Losses()
        self._history = History()
        self._head: Body = {}
        self._early: Start | None = None
        self._lanes: deque[_Lane] = deque()
        self._by_index: dict[int, _Lane] = {}
        self._reader_has_open: type[Part] | None = None
        self._calls_tools = False

    @property
    def losses(self) -> tuple[Loss, ...]:
        return self._losses.all()

    def encode(self, event: Event, /) -> bytes:
        match event:
            case PartDelta():
                lane = self._by_index.get(event.index)
                if lane is None:
                    return b""
                if event.extras.fields:
                    self._losses.add_extras(
                        event.extras, f"parts[{event.index}]", "not part of Gemini's chunks"
                    )
                lane.pieces.append(event.text)
            case PartStart():
                lane = _Lane(event.index, event.part)
                self._lanes.append(lane)
                self._by_index[event.index] = lane
            case PartEnd():
                lane = self._by_index.pop(event.index, None)
                if lane is not None:
                    lane.is_whole, lane.seal = True, event.seal
            case Start():
                self._early = event
                self._head = {"modelVersion": event.model, "responseId": event.id}
                return b""
            case Finish():
                return self._finish(event)
            case _:
                assert_never(event)
        return self._advance()

    def encode_error(self, error: BaseException, /) -> bytes:
        return encode_frame(dump(encode_error(error).body))

    def ping(self) -> bytes:
        return b": ping\n\n"

    def close(self) -> bytes:
        """Nothing: the chunk with the finishReason is the last."""
        return b""

    # --- Parts ----------------------------------------------------------------------------------------

    def _advance(self) -> bytes:
        """What the part at the head has to say, and the next ones' once it is whole."""
        written: list[bytes] = []
        while self._lanes:
            lane = self._lanes[0]
            if lane.flows:
                written.append(self._flow(lane))
            if not lane.is_whole:
                break
            self._lanes.popleft()
            if not lane.flows:
                written.append(self._whole(lane))
        return b"".join(written)

    def _flow(self, lane: _Lane) -> bytes:
        text, lane.pieces = "".join(lane.pieces), []
        part = lane.part
        path = f"parts[{lane.index}]"
        written = b""
        match part:
            case Text() | Reasoning():
                if not lane.is_begun:
                    text = part.text + text
                begun = evolve(part, text=text)
                if lane.is_whole and not lane.is_begun and lane.seal is None and is_void(begun):
                    self._losses.add(path, "a part that says nothing")
                elif text or (lane.is_whole and not lane.is_begun and lane.seal is None):
                    written = self._go_on(begun) if lane.is_begun else self._begin(lane, begun, path)
                if lane.is_whole and isinstance(part, Reasoning):
                    written += self._seal(lane, part, path)
            case _:
                pass
        return written

    def _begin(self, lane: _Lane, part: Text | Reasoning, path: str) -> bytes:
        lane.is_begun = True
        node = encode_part(part, path, self._history, self._losses)
        if node is None:
            return b""
        kind = type(part)
        nodes = [node]
        if self._reader_has_open is kind and not part.extras.of(GEMINI):
            nodes.insert(0, {**({"thought": True} if kind is Reasoning else {}), "text": ""})
        self._reader_has_open = kind
        if isinstance(part, Reasoning) and SIGNATURE in node:
            self._reader_has_open = None
        return self._chunk(nodes)

    def _go_on(self, part: Text | Reasoning) -> bytes:
        head: Body = {"thought": True} if isinstance(part, Reasoning) else {}
        return self._chunk([{**head, "text": part.text}])

    def _seal(self, lane: _Lane, part: Reasoning, path: str) -> bytes:
        seal = lane.seal
        if seal is None:
            return b""
        if seal.format is not GEMINI:
            self._losses.add(f"{path}.seal", f"the seal is {seal.format.value}'s")
            return b"" if lane.is_begun else self._begin(lane, part, path)
        if not lane.is_begun:
            return self._begin(lane, evolve(part, seal=seal), path)
        if self._reader_has_open is None:
            self._losses.add(f"{path}.seal", "the part was sealed before")
            return b""
        self._reader_has_open = None
        return self._chunk([{"thought": True, "text": "", SIGNATURE: seal.value}])

    def _whole(self, lane: _Lane) -> bytes:
        part, text = lane.part, "".join(lane.pieces)
        match part:
            case Text():
                part = evolve(part, text=part.text + text)
            case ToolCall():
                part = evolve(part, arguments=part.arguments + text)
                self._calls_tools = True
            case Reasoning():
                part = evolve(part, seal=lane.seal or part.seal)
            case Image() | Foreign() | ToolResult():
                pass
            case _:
                assert_never(part)
        node = encode_part(part, f"parts[{lane.index}]", self._history, self._losses)
        if node is None:
            return b""
        self._reader_has_open = None
        return self._chunk([node])

    # --- The end --------------------------------------------------------------------------------------

    def _finish(self, event: Finish) -> bytes:
        for lane in self._lanes:
            lane.is_whole = True  # its provider left it open
        written = self._advance()
        encoded = self._last(event)
        for loss in encoded.losses:
            self._losses.add(loss.path, loss.reason)
        return written + encode_frame(dump(encoded.body))

    def _last(self, event: Finish) -> Encoded:
        losses = Losses()
        start = self._early or Start("", "")
        left: Draft = {}
        usage_left: Draft = {}
        top: Body = {}
        for extras in (start.extras, event.extras):
            first, others, usage, rest = response.split_extras(extras, losses)
            left.update(first)
            usage_left.update(usage)
            if others:
                losses.add("extras.candidates", "only the first candidate is streamed")
            response.BODY.restore(top, rest, "", losses)
        response.tell_unsaid(start.created, event.stop_sequence, losses)
        candidate: Body = {"content": {"role": "model", "parts": list[Body]()}}
        candidate["finishReason"] = response.finish_word(
            event.stop_reason, left, calls_tools=self._calls_tools, losses=losses
        )
        candidate["index"] = 0
        response.CANDIDATE.merge(candidate, left, "extras.candidates[0]", losses)
        body: Body = {"candidates": [candidate]}
        usage_node = response.encode_usage(_merged(start.usage, event.usage), usage_left, losses)
        if usage_node is not None:
            body["usageMetadata"] = usage_node
        return Encoded({**body, **self._head, **top}, losses.all())

    def _chunk(self, nodes: list[Body]) -> bytes:
        candidate: Body = {"content": {"role": "model", "parts": nodes}, "index": 0}
        return encode_frame(dump({"candidates": [candidate], **self._head}))


def _merged(early: Usage, late: Usage) -> Usage:
    """The final counts, and those told up front where the final ones are silent."""
    if early == NO_USAGE:
        return late
    pairs = ((name, getattr(late, name), getattr(early, name)) for name in _USAGE_NAMES)
    return Usage(**{name: second if first is None else first for name, first, second in pairs})
