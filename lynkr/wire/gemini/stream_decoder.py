"""A stream of `GenerateContentResponse` chunks to canonical events.

Theory of operation.  Rule 1: whatever affects the state lives here.

====== ============================= ==========================================
state  entered by                    leaves to
====== ============================= ==========================================
WAIT   construction                  OPEN at the first candidate or blocked prompt
OPEN   `Start`                       ENDING at a finishReason or blocked prompt
ENDING finishReason                  DONE at the end of input
DONE   `Finish`                      nothing; later bytes are ignored
FAILED any error                     nothing; every call raises the same error again
====== ============================= ==========================================

The dialect has no mark of its own for the end: the finishReason is it, and
usage may come in the same chunk or a later one, so `Finish` waits for the end
of input.  The end of input in WAIT or OPEN is a cut stream and raises.

Every chunk is a whole answer that holds what is new: texts go on where they
stopped, all other parts (function calls among them) arrive whole.  One text or
thought is open at a time.  A chunk's first part goes on with it if it is of the
same kind; a part with fields of its own (a signature, metadata) begins anew, as
do all further parts of the chunk.  A signed part ends, for Google forbids to
merge it with others ("Thought signatures", read 2026-11).

Without ``alt=sse`` the same chunks come as one JSON array, and some errors as a
bare object: input that begins like JSON is kept and read whole at the end.
"""

from collections.abc import Iterator, Mapping, Sequence
from enum import Enum, auto
from typing import Final

from lynkr.errors import LynkrError, UpstreamWireError
from lynkr.model import (
    Event,
    Finish,
    Json,
    Part,
    PartDelta,
    PartEnd,
    PartStart,
    Reasoning,
    Start,
    Text,
    ToolCall,
)
from lynkr.model.content import Opaque
from lynkr.model.response import StopReason
from lynkr.wire.fields import Draft, Node, node_or_empty, text_or_empty
from lynkr.wire.gemini import response
from lynkr.wire.gemini.errors import embedded_error
from lynkr.wire.gemini.fields import as_extras
from lynkr.wire.gemini.parts import SIGNATURE
from lynkr.wire.json_body import parse_value
from lynkr.wire.sse import MAX_FRAME_BYTES, FrameDecoder

_KNOWN: Final = frozenset({"candidates", "usageMetadata", "modelVersion", "responseId"})
_JSON_STARTS: Final = (b"[", b"{")


class _State(Enum):
    WAIT = auto()
    OPEN = auto()
    ENDING = auto()
    DONE = auto()
    FAILED = auto()


class GeminiEventDecoder:
    """Implements `lynkr.wire.base.EventDecoder`; consume what `feed` gives before feeding again."""

    def __init__(self) -> None:
        self._frames = FrameDecoder()
        self._plain: bytearray | None = None  # input that is no event stream, and so far undecided blanks
        self._is_sse = False
        self._state = _State.WAIT
        self._out: list[Event] = []
        self._error: LynkrError | None = None
        self._ids: response.CallIds | None = None
        self._parts = 0
        self._open: type[Text | Reasoning] | None = None
        self._calls_tools = False
        self._word: Json = None
        self._is_refused = False
        self._usage: Draft = {}
        self._top: Draft = {}
        self._late: Draft = {}
        self._candidate_left: Draft = {}

    def feed(self, data: bytes, /) -> Iterator[Event]:
        if self._error is not None:
            raise self._error
        try:
            if not self._is_sse and not self._is_event_stream(data):
                return
            for frame in self._frames.feed(data):
                if self._state is not _State.DONE:
                    self._take(frame.data)
                    yield from self._drain()
        except LynkrError as error:
            self._state, self._error = _State.FAILED, error
            raise

    def close(self) -> Iterator[Event]:
        if self._error is not None:
            raise self._error
        if self._state is _State.DONE:
            return
        try:
            if self._plain is not None:
                self._take_plain(bytes(self._plain))
            self._finish()
        except LynkrError as error:
            self._state, self._error = _State.FAILED, error
            raise
        yield from self._drain()

    def _drain(self) -> list[Event]:
        """The events of one chunk; those of a chunk that turned out broken are not given out."""
        events, self._out = self._out, []
        return events

    # --- Chunks ---------------------------------------------------------------------------------------

    def _is_event_stream(self, data: bytes) -> bool:
        """Whether *data* is; if not, it is kept.  Told by the first byte that is no blank."""
        if self._plain is None:
            start = data.lstrip(b" \t\r\n")
            if start and not start.startswith(_JSON_STARTS):
                self._is_sse = True
                return True
            if not start:
                return False
            self._plain = bytearray()
        self._plain += data
        if len(self._plain) > MAX_FRAME_BYTES:
            raise UpstreamWireError(f"the answer is larger than {MAX_FRAME_BYTES} bytes")
        return False

    def _take_plain(self, data: bytes) -> None:
        try:
            value: Json = parse_value(data)
        except ValueError as error:
            raise UpstreamWireError(f"the answer is neither an event stream nor JSON: {error}") from error
        self._take_all(value)

    def _take(self, data: str) -> None:
        try:
            value: Json = parse_value(data)
        except ValueError as error:
            raise UpstreamWireError(f"a chunk of the stream is not JSON: {error}") from error
        self._take_all(value)

    def _take_all(self, value: Json) -> None:
        chunks: Sequence[Json] = value if isinstance(value, list | tuple) else (value,)
        for chunk in chunks:
            if not isinstance(chunk, Mapping):
                raise UpstreamWireError("a chunk of the stream is not a JSON object")
            self._take_chunk(chunk)

    def _take_chunk(self, chunk: Node) -> None:
        if chunk.get("error"):
            raise embedded_error(chunk)
        candidate, _ = response.first_candidate(chunk.get("candidates"))
        self._usage.update(node_or_empty(chunk.get("usageMetadata")))
        self._keep_top(chunk)
        is_refused = response.is_blocked(chunk)
        if candidate is None and not is_refused:
            return
        if self._state is _State.WAIT:
            self._start(chunk)
        if is_refused:
            self._is_refused = True
            self._state = _State.ENDING
        if candidate is not None:
            self._take_candidate(candidate, chunk)

    def _start(self, chunk: Node) -> None:
        self._state = _State.OPEN
        answer_id = text_or_empty(chunk.get("responseId"))
        self._ids = response.CallIds(answer_id, chunk)
        model = text_or_empty(chunk.get("modelVersion"))
        self._out.append(Start(answer_id, model, extras=as_extras(dict(self._top))))

    def _keep_top(self, chunk: Node) -> None:
        """Fields of the chunk nobody here knows: those every chunk repeats are kept once."""
        kept = self._top if self._state is _State.WAIT else self._late
        for name, value in chunk.items():
            if name not in _KNOWN and (name not in self._top or self._top[name] != value):
                kept[name] = value

    def _take_candidate(self, candidate: Node, chunk: Node) -> None:
        ids = self._ids or response.CallIds("", chunk)
        left = response.CANDIDATE.leftover(candidate)
        content = left.pop("content", None)
        if isinstance(content, Mapping):
            before = node_or_empty(self._candidate_left.get("content"))
            left["content"] = {**before, **content}
        self._candidate_left.update(left)
        for at, part in enumerate(response.answer_parts(candidate, ids)):
            self._take_part(part, goes_on=at == 0)
        word = candidate.get("finishReason")
        if isinstance(word, str) and word:
            if not self._parts:
                response.check_broken(word, candidate)
            self._word = word
            self._state = _State.ENDING

    # --- Parts ----------------------------------------------------------------------------------------

    def _take_part(self, part: Part, *, goes_on: bool) -> None:
        match part:
            case Text(text=text):
                self._take_text(Text("", part.extras), text, None, goes_on=goes_on and not part.extras.fields)
                if SIGNATURE in part.extras.fields:
                    self._end()
            case Reasoning(redacted=False, text=text):
                begun = Reasoning("", None, False, part.extras)
                self._take_text(begun, text, part.seal, goes_on=goes_on and not part.extras.fields)
                if part.seal is not None:
                    self._end(part.seal)
            case _:
                self._calls_tools = self._calls_tools or isinstance(part, ToolCall)
                self._whole(part)

    def _take_text(self, begun: Text | Reasoning, text: str, seal: Opaque | None, *, goes_on: bool) -> None:
        if self._open is not type(begun) or not goes_on:
            if not text and not seal and not begun.extras.fields:
                return  # the empty text that many streams end with
            self._end()
            self._open = type(begun)
            self._parts += 1
            self._out.append(PartStart(self._parts - 1, begun))
        if text:
            self._out.append(PartDelta(self._parts - 1, text))

    def _end(self, seal: Opaque | None = None) -> None:
        if self._open is not None:
            self._open = None
            self._out.append(PartEnd(self._parts - 1, seal))

    def _whole(self, part: Part) -> None:
        self._end()
        index = self._parts
        self._parts += 1
        if isinstance(part, ToolCall):
            self._out.append(PartStart(index, ToolCall(part.id, part.name, "", part.extras)))
            self._out.append(PartDelta(index, part.arguments))
        else:
            self._out.append(PartStart(index, part))
        self._out.append(PartEnd(index))

    # --- The end --------------------------------------------------------------------------------------

    def _finish(self) -> None:
        if self._state is not _State.ENDING:
            raise UpstreamWireError("the stream was cut before its finishReason")
        self._end()
        reason = response.stop_reason_of(self._word, calls_tools=self._calls_tools)
        if self._is_refused and self._word is None:
            reason = StopReason.REFUSAL
        usage, usage_left = response.decode_usage(self._usage)
        left = {**self._candidate_left, **response.remembered_word(self._word, reason)}
        extras = {**self._late, **response.mirrored(left, [], usage_left)}
        self._out.append(Finish(reason, usage, extras=as_extras(extras)))
        self._state = _State.DONE
