"""Canonical events to a stream of native chat lines.

Lines do not say which part they belong to, so parts are written in order: one
part is live and its pieces go out as they come, the others wait, with theirs,
until it has ended.  A tool call goes out whole, because its arguments are an
object.
"""

from typing import Any, assert_never

from attrs import define, evolve, field, fields

from lynkr.model import (
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
from lynkr.wire.json_body import dump
from lynkr.wire.ndjson import encode_line
from lynkr.wire.ollama import parts, response
from lynkr.wire.ollama.errors import encode_error
from lynkr.wire.ollama.fields import OLLAMA_CHAT, Draft, Losses, as_extras


@define
class _Lane:
    """A part under way; *pieces* are what has come of it and is not written."""

    part: Part
    pieces: list[str] = field(factory=list[str])
    ended: bool = False
    is_empty: bool = True


class OllamaEventEncoder:
    """Implements `lynkr.wire.base.EventEncoder`.

    `Start.created` is required on the wire: 1970 stands in where it is None,
    as a `Loss`.  Fill it in before, as the gateway does.
    """

    def __init__(self) -> None:
        self._losses = Losses()
        self._start = Start("", "")
        self._head: dict[str, Any] = {"model": "", "created_at": "1970-01-01T00:00:00Z"}
        self._top: Draft = {}
        self._lanes: dict[int, _Lane] = {}
        self._last: type[Part] | None = None
        self._calls_tools = False

    @property
    def losses(self) -> tuple[Loss, ...]:
        return self._losses.all()

    def encode(self, event: Event, /) -> bytes:
        match event:
            case PartDelta():
                return self._delta(event)
            case PartStart():
                self._lanes[event.index] = _Lane(event.part)
                return self._advance() if len(self._lanes) == 1 else b""
            case PartEnd():
                return self._part_end(event)
            case Start():
                return self._begin(event)
            case Finish():
                return self._finish(event)
            case _:
                assert_never(event)

    def encode_error(self, error: BaseException, /) -> bytes:
        return dump(encode_error(error).body) + b"\n"

    def ping(self) -> bytes:
        """A line that adds nothing; a blank one would break clients that parse every line."""
        return self._line({"content": ""})

    def close(self) -> bytes:
        return b""

    # --- Start and finish -----------------------------------------------------------------------------

    def _begin(self, event: Start) -> bytes:
        self._start = event
        extras = dict(event.extras.of(OLLAMA_CHAT))
        created_at = response.created_text(event.created, extras, self._losses)
        self._head = {"model": event.model, "created_at": created_at}
        if event.id:
            self._losses.add("id", response.NO_ID)
        top: Draft = {}
        rest = as_extras(extras) if event.extras.format is OLLAMA_CHAT else event.extras
        response.BODY.restore(top, rest, "", self._losses)
        self._top = top
        return b""

    def _finish(self, event: Finish) -> bytes:
        written: list[bytes] = []
        for lane in self._lanes.values():
            lane.ended = True
        written.append(self._advance())
        if event.stop_sequence is not None:
            self._losses.add("stop_sequence", "Ollama does not tell which stop sequence was hit")
        extras = {**self._top, **event.extras.of(OLLAMA_CHAT)}
        self._top = {}
        if event.extras.format is not OLLAMA_CHAT:
            self._losses.add_extras(event.extras, "", "a field of another dialect")
        last: dict[str, Any] = {
            "message": {"role": "assistant", "content": ""},
            "done": True,
            "done_reason": response.done_word(
                event.stop_reason, extras, calls_tools=self._calls_tools, losses=self._losses
            ),
            **response.encode_usage(_merged(self._start.usage, event.usage), self._losses),
        }
        response.BODY.restore(last, as_extras(extras), "", self._losses)
        written.append(encode_line({**self._head, **last}))
        return b"".join(written)

    # --- Parts ----------------------------------------------------------------------------------------

    def _delta(self, event: PartDelta) -> bytes:
        index = event.index
        if event.extras.fields:
            self._losses.add_extras(event.extras, f"parts[{index}]", "not part of a line")
        lane = self._lanes.get(index)
        if lane is None or not event.text:
            return b""
        lane.pieces.append(event.text)
        return self._advance() if lane is next(iter(self._lanes.values())) else b""

    def _part_end(self, event: PartEnd) -> bytes:
        lane = self._lanes.get(event.index)
        if event.seal is not None:
            self._losses.add(f"parts[{event.index}].seal", "Ollama has no seals")
        if lane is None:
            return b""
        lane.ended = True
        return self._advance()

    def _advance(self) -> bytes:
        """Write what may be written now: the live part's pieces, and the parts whose turn has come."""
        written: list[bytes] = []
        while self._lanes:
            index, lane = next(iter(self._lanes.items()))
            path = f"parts[{index}]"
            written.append(self._write(lane, path))
            if not lane.ended:
                break
            del self._lanes[index]
        return b"".join(written)

    def _write(self, lane: _Lane, path: str) -> bytes:
        part = lane.part
        match part:
            case Text() | Reasoning(redacted=False):
                return self._prose(lane, part, path)
            case ToolCall():
                return self._call(lane, part, path) if lane.ended else b""
            case Image():
                return self._image(part, path) if lane.ended else b""
            case Reasoning():
                self._losses.add(path, "a thought without text cannot be carried")
            case Foreign() | ToolResult():
                self._losses.add(path, parts.FOREIGN if isinstance(part, Foreign) else "no part of an answer")
            case _:
                assert_never(part)
        return b""

    def _prose(self, lane: _Lane, part: Text | Reasoning, path: str) -> bytes:
        first = [part.text] if lane.is_empty and part.text else []
        text = "".join([*first, *lane.pieces])
        lane.pieces.clear()
        if text and lane.is_empty:
            lane.is_empty = False
            self._losses.add_extras(part.extras, path, "streamed words are a bare string")
            if isinstance(part, Reasoning) and part.seal is not None:
                self._losses.add(f"{path}.seal", "Ollama has no seals")
            if self._last is type(part):
                self._losses.add("parts", "two texts in a row read back as one")
            self._last = type(part)
        if lane.ended and lane.is_empty:
            self._losses.add(path, "a part without text has no bytes")
        if not text:
            return b""
        return self._line({"content": text} if isinstance(part, Text) else {"content": "", "thinking": text})

    def _call(self, lane: _Lane, call: ToolCall, path: str) -> bytes:
        self._calls_tools, self._last = True, ToolCall
        whole = evolve(call, arguments=call.arguments + "".join(lane.pieces))
        if not call.id:
            self._losses.add(f"{path}.id", "a call without an id gets one")
        return self._line({"content": "", "tool_calls": [parts.call_node(whole, path, self._losses)]})

    def _image(self, image: Image, path: str) -> bytes:
        text = parts.image_text(image, path, self._losses)
        if text is None:
            return b""
        self._last = Image
        return self._line({"content": "", "images": [text]})

    # --- Bytes ----------------------------------------------------------------------------------------

    def _line(self, message: dict[str, Any]) -> bytes:
        top, self._top = self._top, {}
        line: dict[str, Any] = {**self._head, "message": {"role": "assistant", **message}, "done": False}
        response.BODY.restore(line, as_extras(top), "", self._losses)
        return dump(line) + b"\n"


def _merged(early: Usage, late: Usage) -> Usage:
    """The final counts, and those told up front where the final ones are silent."""
    known = {attribute.name: getattr(late, attribute.name) for attribute in fields(Usage)}
    return Usage(**{name: getattr(early, name) if n is None else n for name, n in known.items()})
