"""Events to a stream's bytes.

ConverseStream numbers its blocks and its deltas name them, so interleaved
parts go out as they come.
"""

from collections.abc import Mapping
from typing import Final

from attrs import evolve

from lynkr.errors import UpstreamWireError
from lynkr.model import (
    NO_EXTRAS,
    Event,
    Extras,
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
from lynkr.wire.aws_eventstream import encode_message
from lynkr.wire.bedrock.content import encode_part, is_json_object
from lynkr.wire.bedrock.errors import encode_error
from lynkr.wire.bedrock.response import (
    STOP_WORD,
    encode_stop_reason,
    encode_usage,
    note_nameless,
    without_stop_word,
)
from lynkr.wire.bedrock.shapes import FORMAT, SIGNED_BY, USAGE
from lynkr.wire.fields import Draft, Losses, as_extras, node_or_empty
from lynkr.wire.json_body import dump, json_text

_ANOTHERS: Final = "a field of another dialect"
_HOMELESS: Final = "a stream of Converse has no place for it"
# Told with the stop reason; all others stand in `metadata`.
_AT_STOP: Final = "additionalModelResponseFields"
_WHOLE_ONLY: Final = "output"


class BedrockEventEncoder:
    """An `EventEncoder` for one stream.

    Raises `ValueError` for events that break the canonical grammar.
    """

    def __init__(self) -> None:
        self._losses = Losses()
        self._start: Start | None = None
        self._ended = False
        self._open: dict[int, Part] = {}
        self._settled: set[int] = set()  # parts whose end there is nothing to write for
        self._arguments: dict[int, list[str]] = {}
        self._seen = 0

    @property
    def losses(self) -> tuple[Loss, ...]:
        return self._losses.all()

    def encode(self, event: Event, /) -> bytes:
        if self._ended or (self._start is None) is not isinstance(event, Start):
            raise ValueError(f"{type(event).__name__} out of order")
        match event:
            case PartDelta():
                return self._delta(event)
            case PartStart():
                return self._begin(event)
            case PartEnd():
                return self._end(event)
            case Start():
                self._start = event
                note_nameless(event.id, event.model, event.created, self._losses)
                return _event("messageStart", {"role": "assistant"})
            case Finish():
                return self._finish(event)

    def encode_error(self, error: BaseException, /) -> bytes:
        self._ended = True
        body = dict(encode_error(error).body)
        name = str(body.pop("__type", "InternalServerException"))
        headers = {
            ":exception-type": name[:1].lower() + name[1:],
            ":content-type": "application/json",
            ":message-type": "exception",
        }
        return encode_message(headers, dump(body))

    def ping(self) -> bytes:
        """Nothing: this framing has no message that would mean nothing."""
        return b""

    def close(self) -> bytes:
        if self._ended:
            return b""
        return self.encode_error(UpstreamWireError("the answer broke off before its end"))

    # --- Parts ----------------------------------------------------------------------------------------

    def _begin(self, event: PartStart) -> bytes:
        index, part, path = event.index, event.part, f"parts[{event.index}]"
        if index != self._seen:
            raise ValueError(f"part {index} begins where part {self._seen} is due")
        self._seen += 1
        match part:
            case Text():
                written = _delta(index, {"text": part.text}) + self._beside(index, part.extras, is_text=True)
            case ToolCall():
                self._beside(index, part.extras)
                self._arguments[index] = []
                written = _start(index, {"toolUse": {"toolUseId": part.id, "name": part.name}})
                if part.arguments:
                    written += self._delta(PartDelta(index, part.arguments), part)
            case Reasoning() if not part.redacted:
                self._beside(index, part.extras)
                written = _delta(index, {"reasoningContent": {"text": part.text}})
            case _:
                # Ended at once, so that its place among the parts is that of its beginning.
                self._settled.add(index)
                written = self._whole(index, part, path)
                return written + _stop(index) if written else b""
        self._open[index] = part
        return written

    def _whole(self, index: int, part: Part, path: str) -> bytes:
        """A part that comes in one piece; nothing (and a `Loss`) where a stream cannot hold it."""
        if not isinstance(part, Foreign):
            self._beside(index, part.extras)
            part = evolve(part, extras=NO_EXTRAS)
        blocks = encode_part(part, path, None, self._losses)
        if not blocks:
            return b""
        kind, body = next(iter(blocks[0].items()))
        node = dict(node_or_empty(body))
        match kind:
            case "reasoningContent":
                return _delta(index, {kind: node})
            case "image" if "source" in node:
                source = node.pop("source")
                return _start(index, {kind: node}) + _delta(index, {kind: {"source": source}})
            case "toolUse":
                told = json_text(node.pop("input", None))
                return _start(index, {kind: node}) + _delta(index, {kind: {"input": told}})
            case "toolResult":
                content = node.pop("content", None)
                return _start(index, {kind: node}) + _delta(index, {kind: content})
            case _:
                self._losses.add(path, _HOMELESS)
                return b""

    def _beside(self, index: int, extras: Extras, *, is_text: bool = False) -> bytes:
        """What a part's or a delta's extras add to the stream: a text's citations, and nothing else."""
        path = f"parts[{index}]"
        if extras.format is not FORMAT:
            self._losses.add_extras(extras, path, _ANOTHERS)
            return b""
        rest = dict(extras.fields)
        citations = rest.pop("citations", None) if is_text else None
        self._losses.add_extras(as_extras(FORMAT, rest), path, _HOMELESS)
        if not isinstance(citations, list | tuple):
            return b""
        return b"".join(_delta(index, {"citation": citation}) for citation in citations)

    def _delta(self, event: PartDelta, part: Part | None = None) -> bytes:
        index = event.index
        if index in self._settled:
            return b""
        part = self._open.get(index) if part is None else part
        match part:
            case Text():
                written = _delta(index, {"text": event.text}) if event.text else b""
                return written + self._beside(index, event.extras, is_text=True)
            case ToolCall():
                self._arguments[index].append(event.text)
                delta: Draft = {"toolUse": {"input": event.text}}
            case Reasoning():
                delta = {"reasoningContent": {"text": event.text}}
            case _:
                raise ValueError(f"part {index} is not open")
        self._beside(index, event.extras)
        return _delta(index, delta) if event.text else b""

    def _end(self, event: PartEnd) -> bytes:
        index = event.index
        if index in self._settled:
            self._settled.discard(index)
            return b""
        part = self._open.pop(index, None)
        written = b""
        match part:
            case None:
                raise ValueError(f"part {index} is not open")
            case ToolCall():
                text = "".join(self._arguments.pop(index))
                if text and not is_json_object(text):
                    # Too late to send anything else: the client has already seen it.
                    self._losses.add(
                        f"parts[{index}].arguments", "not a JSON object, as Converse's callers expect"
                    )
            case Reasoning():
                written = self._signature(index, event.seal or part.seal)
            case _:
                pass
        return written + _stop(index)

    def _signature(self, index: int, seal: Opaque | None) -> bytes:
        if seal is None:
            return b""
        if seal.format is not SIGNED_BY:
            self._losses.add(f"parts[{index}].seal", f"the seal is {seal.format.value}'s")
            return b""
        return _delta(index, {"reasoningContent": {"signature": seal.value}})

    # --- The message ----------------------------------------------------------------------------------

    def _finish(self, event: Finish) -> bytes:
        if self._open or self._settled:
            raise ValueError(f"Finish while part {min((*self._open, *self._settled))} is open")
        self._ended = True
        start, losses = self._start, self._losses
        assert start is not None  # noqa: S101  # reason: `encode` let no event through before it
        if event.stop_sequence is not None:
            losses.add("stop_sequence", "Converse does not say which sequence it was")
        own: dict[str, Json] = {}
        for extras in (start.extras, event.extras):
            if extras.format is FORMAT:
                own.update(extras.fields)
            else:
                losses.add_extras(extras, "", _ANOTHERS)
        kept = as_extras(FORMAT, own)
        stop: Draft = {STOP_WORD: encode_stop_reason(event.stop_reason, kept, losses)}
        own = dict(without_stop_word(kept).fields)
        if _AT_STOP in own:
            stop[_AT_STOP] = own.pop(_AT_STOP)
        usage = encode_usage(_merged(start.usage, event.usage), losses)
        more = own.pop("usage", None)
        if isinstance(more, Mapping):
            USAGE.merge(usage, more, "extras.usage", losses)
        if _WHOLE_ONLY in own:
            losses.add_extras(as_extras(FORMAT, {_WHOLE_ONLY: own.pop(_WHOLE_ONLY)}), "", _HOMELESS)
        metadata = {"usage": usage, **own} if usage else own
        return _event("messageStop", stop) + _event("metadata", metadata)


def _merged(early: Usage, late: Usage) -> Usage:
    """The final counts, filled in from the first event where the final one is silent."""
    return evolve(
        late,
        **{
            name: getattr(early, name)
            for name in ("input", "output", "cache_read", "cache_write", "cache_write_1h", "reasoning")
            if getattr(late, name) is None
        },
    )


def _start(index: int, start: Draft) -> bytes:
    return _event("contentBlockStart", {"start": start, "contentBlockIndex": index})


def _stop(index: int) -> bytes:
    return _event("contentBlockStop", {"contentBlockIndex": index})


def _delta(index: int, delta: Draft) -> bytes:
    return _event("contentBlockDelta", {"delta": delta, "contentBlockIndex": index})


def _event(name: str, body: Mapping[str, Json]) -> bytes:
    headers = {":event-type": name, ":content-type": "application/json", ":message-type": "event"}
    return encode_message(headers, dump(body))
