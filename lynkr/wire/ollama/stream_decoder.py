"""A stream of native chat lines to canonical events.

Theory of operation.  Rule 1: whatever affects the state lives here.

====== ================= =====================================================
state  entered by        leaves to
====== ================= =====================================================
WAIT   construction      OPEN at the first line with a message
OPEN   `Start`           DONE at the line that says ``done``
DONE   `Finish`          nothing; later bytes are ignored
FAILED any error         nothing; every call raises the same error again
====== ================= =====================================================

The end of input in WAIT or OPEN is a cut stream and raises.  Each line adds a
piece of thinking, a piece of text, or whole tool calls; a piece of another
kind than the one before ends that part.  The last line holds the counts, and
may hold words too.  Fields nobody here knows go to `Start` (of the first
line) and to `Finish` (of later ones), lists of the same field joined
(``logprobs``), in the layout of `Response.extras`.
"""

from collections.abc import Iterator, Mapping
from enum import Enum, auto
from typing import cast

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
from lynkr.wire.json_body import parse_value
from lynkr.wire.ndjson import LineDecoder
from lynkr.wire.ollama import response
from lynkr.wire.ollama.errors import embedded_error
from lynkr.wire.ollama.fields import Draft, as_extras, seconds_of, text_or_empty


class _State(Enum):
    WAIT = auto()
    OPEN = auto()
    DONE = auto()
    FAILED = auto()


class OllamaEventDecoder:
    """Implements `lynkr.wire.base.EventDecoder`; consume what `feed` gives before feeding again."""

    def __init__(self) -> None:
        self._lines = LineDecoder()
        self._state = _State.WAIT
        self._error: LynkrError | None = None
        self._out: list[Event] = []
        self._parts = 0
        self._calls = 0
        self._open: type[Text | Reasoning] | None = None
        self._top: Draft = {}
        self._late: Draft = {}

    def feed(self, data: bytes, /) -> Iterator[Event]:
        if self._error is not None:
            raise self._error
        try:
            for line in self._lines.feed(data):
                yield from self._take(line)
        except LynkrError as error:
            self._state, self._error = _State.FAILED, error
            raise

    def close(self) -> Iterator[Event]:
        if self._error is not None:
            raise self._error
        try:
            for line in self._lines.close():
                yield from self._take(line)
            if self._state is not _State.DONE:
                raise UpstreamWireError("the stream was cut before the line that says it is done")
        except LynkrError as error:
            self._state, self._error = _State.FAILED, error
            raise

    def _take(self, line: bytes) -> list[Event]:
        """The events of one line; those of a line that turned out broken are not given out."""
        if self._state is _State.DONE:
            return []
        try:
            value = parse_value(line)
        except ValueError as error:
            raise UpstreamWireError(f"a line of the stream is not JSON: {error}") from error
        if not isinstance(value, dict):
            raise UpstreamWireError("a line of the stream is not a JSON object")
        node = cast("dict[str, Json]", value)
        if node.get("error"):
            raise embedded_error(node)
        message = node.get("message")
        if not isinstance(message, Mapping):
            raise UpstreamWireError("a line of the stream has no message")
        self._out = []
        self._keep_unknown(node)
        if self._state is _State.WAIT:
            self._start(node)
        for part in response.message_parts(message, node.get("created_at"), self._calls):
            self._add(part)
        if node.get("done") is True:
            self._finish(node)
        return self._out

    def _keep_unknown(self, node: dict[str, Json]) -> None:
        """Fields every line repeats are kept once."""
        unknown = response.BODY.leftover(node)
        for name in ("created_at", "done_reason"):
            unknown.pop(name, None)
        is_first = self._state is _State.WAIT
        late = {
            name: value
            for name, value in unknown.items()
            if is_first or name not in self._top or self._top[name] != value
        }
        _join(self._top if is_first and not node.get("done") else self._late, late)

    def _start(self, node: dict[str, Json]) -> None:
        self._state = _State.OPEN
        self._out.append(
            Start(
                "",
                text_or_empty(node.get("model")),
                created=seconds_of(node.get("created_at")),
                extras=as_extras(dict(self._top)),
            )
        )

    def _add(self, part: Part) -> None:
        if isinstance(part, Text | Reasoning):
            if self._open is not type(part):
                self._end_open()
                self._open = type(part)
                self._out.append(PartStart(self._parts, type(part)("")))
            self._out.append(PartDelta(self._parts, part.text))
            return
        self._end_open()
        if isinstance(part, ToolCall):
            self._calls += 1
            self._out.append(PartStart(self._parts, ToolCall(part.id, part.name, "", part.extras)))
            if part.arguments:
                self._out.append(PartDelta(self._parts, part.arguments))
        else:
            self._out.append(PartStart(self._parts, part))
        self._out.append(PartEnd(self._parts))
        self._parts += 1

    def _end_open(self) -> None:
        if self._open is not None:
            self._open = None
            self._out.append(PartEnd(self._parts))
            self._parts += 1

    def _finish(self, node: dict[str, Json]) -> None:
        self._end_open()
        self._state = _State.DONE
        reason = response.stop_reason_of(node.get("done_reason"), calls_tools=self._calls > 0)
        found = {**self._late, **response.remembered_word(node.get("done_reason"), reason)}
        self._out.append(Finish(reason, response.decode_usage(node), extras=as_extras(found)))


def _join(kept: Draft, more: Mapping[str, Json]) -> None:
    """Later values win, lists go on, objects are joined field by field."""
    for name, value in more.items():
        before = kept.get(name)
        if isinstance(before, list) and isinstance(value, list):
            kept[name] = [*before, *value]
        elif isinstance(before, dict) and isinstance(value, Mapping):
            joined = dict(before)
            _join(joined, value)
            kept[name] = joined
        else:
            kept[name] = value
