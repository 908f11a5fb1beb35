"""A stream of chat completion chunks to canonical events.

Theory of operation.  Rule 1: whatever affects the state lives here.

====== ====================== ================================================
state  entered by             leaves to
====== ====================== ================================================
WAIT   construction           OPEN at the first chunk with a choice or usage
OPEN   `Start`                ENDING at a finish_reason
ENDING finish_reason          DONE at ``[DONE]`` or at the end of input
DONE   `Finish`               nothing; later bytes are ignored
FAILED any error              nothing; every call raises the same error again
====== ====================== ================================================

``[DONE]`` or the end of input in WAIT or OPEN is a cut stream and raises.
Usage may come after the finish_reason, in a chunk without choices, so
`Finish` waits for the end.

Chat does not mark where parts end.  One text-like part (text, thinking,
refusal) is open at a time: a delta of another kind, or a tool call, ends it.
Tool calls stay open until the finish_reason, for their deltas may interleave.

Servers are not of one mind about which call a delta belongs to; `_CallSlots`
says how that is told.  Only choice 0 is read.  Fields nobody here knows go to
`Start` (of the chunk) and to `Finish` (of choices, deltas, usage), lists of
the same field joined over the stream, in the layout of `Response.extras`.
"""

from collections.abc import Iterator, Mapping
from enum import Enum, auto
from typing import Final, cast

from attrs import define, field

from lynkr.errors import LynkrError, UpstreamWireError
from lynkr.model import (
    NO_EXTRAS,
    NO_USAGE,
    Event,
    Finish,
    Foreign,
    Json,
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
from lynkr.wire.json_body import parse_value
from lynkr.wire.openai_chat import parts, response
from lynkr.wire.openai_chat.errors import embedded_error
from lynkr.wire.openai_chat.fields import (
    OPENAI_CHAT,
    Draft,
    Node,
    as_extras,
    count_or_none,
    node_or_empty,
    text_or_empty,
)
from lynkr.wire.openai_chat.repeated import Template, lesson
from lynkr.wire.sse import Frame, FrameDecoder

# `obfuscation` pads a chunk against side channels and means nothing outside it (openai 3.54,
# types/chat/chat_completion_chunk.py, read 2026-11).
_CHUNK_FIELDS: Final = frozenset({"id", "object", "created", "model", "choices", "usage", "obfuscation"})
_CHOICE_FIELDS: Final = frozenset({"index", "delta", "finish_reason"})
_DELTA_FIELDS: Final = frozenset(
    {"role", "content", "refusal", "reasoning_content", "reasoning", "tool_calls"}
)
_CUSTOM_HEAD: Final = '{"input":"'
_CUSTOM_TAIL: Final = '"}'
# A host whose every chunk is another one is not to be learnt from for ever.
_MOST_LESSONS: Final = 16


class _State(Enum):
    WAIT = auto()
    OPEN = auto()
    ENDING = auto()
    DONE = auto()
    FAILED = auto()


class _Kind(Enum):
    TEXT = auto()
    REASONING = auto()
    REFUSAL = auto()


_EMPTY: Final[Mapping[_Kind, Part]] = {
    _Kind.TEXT: Text(""),
    _Kind.REASONING: Reasoning(""),
    _Kind.REFUSAL: parts.refusal(""),
}


@define(eq=False)
class _Call:
    """One tool call; *index* is its part's, None until it has a name and so has begun."""

    id: str = ""
    name: str = ""
    is_custom: bool = False
    index: int | None = None
    waiting: list[str] = field(factory=list[str])
    extras: Draft = field(factory=dict[str, Json])


class _CallSlots:
    """Which call a delta belongs to.

    Normally its ``index`` says so.  Ollama up to 0.20 gives every call index 0
    and another id (ollama #15457); older builds and Gemini leave the index out
    (ollama #7881, openai-python #2806); others repeat the id in every delta.
    So: an id not seen at that index begins a call; without an index, an id or
    a name begins one, and a delta with neither goes on with the last call, or
    with the call at its place where one chunk holds several.
    """

    def __init__(self) -> None:
        self.calls: list[_Call] = []
        self._by_index: dict[int, _Call] = {}

    def find(self, entry: Node, name: str, place: int, count: int) -> _Call:
        call_id = text_or_empty(entry.get("id"))
        index = count_or_none(entry.get("index"))
        if index is None:
            return self._without_index(call_id, name, place, count)
        call = self._by_index.get(index)
        if call is None or self._is_another(call, call_id, name):
            call = self._known(call_id) if call is not None else None
            call = call or self._begin(call_id)
            self._by_index[index] = call
        if call_id and not call.id:
            call.id = call_id
        return call

    def _is_another(self, call: _Call, call_id: str, name: str) -> bool:
        if call_id:
            return bool(call.id) and call.id != call_id
        return bool(name and call.name) and name != call.name

    def _without_index(self, call_id: str, name: str, place: int, count: int) -> _Call:
        if call_id:
            return self._known(call_id) or self._begin(call_id)
        if name or not self.calls:
            return self._begin("")
        return self.calls[place] if count > 1 and place < len(self.calls) else self.calls[-1]

    def _known(self, call_id: str) -> _Call | None:
        return next((call for call in self.calls if call.id == call_id), None) if call_id else None

    def _begin(self, call_id: str) -> _Call:
        call = _Call(call_id)
        self.calls.append(call)
        return call


class ChatEventDecoder:
    """Implements `lynkr.wire.base.EventDecoder`; consume what `feed` gives before feeding again."""

    def __init__(self) -> None:
        self._frames = FrameDecoder()
        self._state = _State.WAIT
        self._out: list[Event] = []
        self._error: LynkrError | None = None
        self._id = ""
        self._parts = 0
        self._text_kind: _Kind | None = None
        self._text_index = 0
        self._slots = _CallSlots()
        self._calls_tools = False
        self._finish_word: Json = None
        self._usage: Usage = NO_USAGE
        self._usage_left: Draft = {}
        self._top: Draft = {}
        self._late: Draft = {}
        self._choice_left: Draft = {}
        self._message_left: Draft = {}
        self._template: Template | None = None
        self._lessons = 0
        self._lesson: str | None = None  # the words of a chunk that can be learnt from

    def feed(self, data: bytes, /) -> Iterator[Event]:
        if self._error is not None:
            raise self._error
        try:
            *events, rest = (data,) if b"\r" in data else data.split(b"\n\n")
            for event in events:
                template = self._template
                if template is not None and self._frames.is_between:
                    words = template.words(event)
                    if words is not None:
                        yield PartDelta(self._text_index, words)
                        continue
                yield from self._parsed(event + b"\n\n")
                if self._lesson is not None and self._lessons < _MOST_LESSONS:
                    self._learn(event)
            if rest:
                yield from self._parsed(rest)
        except LynkrError as error:
            self._state, self._error = _State.FAILED, error
            raise

    def _parsed(self, data: bytes) -> Iterator[Event]:
        for frame in self._frames.feed(data):
            # The words of one chunk stand between those before and after it: a template is the last one's.
            self._template = self._lesson = None
            if self._state is not _State.DONE:
                self._take(frame)
                yield from self._drain()

    def _learn(self, event: bytes) -> None:
        self._lessons += 1
        words, self._lesson = self._lesson, None
        if words is not None and self._frames.is_between:
            self._template = lesson(event, words, self._content_of)

    def _content_of(self, chunk: object) -> object:
        told = cast("dict[str, Json]", chunk) if isinstance(chunk, dict) else {}
        choice = self._choice_of(told.get("choices"))
        delta = None if choice is None else choice.get("delta")
        return delta.get("content") if isinstance(delta, dict) else None

    def close(self) -> Iterator[Event]:
        if self._error is not None:
            raise self._error
        if self._state is _State.DONE:
            return
        try:
            self._finish("the stream was cut before its finish_reason")
        except LynkrError as error:
            self._state, self._error = _State.FAILED, error
            raise
        yield from self._drain()

    def _drain(self) -> list[Event]:
        """The events of one frame; those of a frame that turned out broken are not given out."""
        events, self._out = self._out, []
        return events

    # --- Frames ---------------------------------------------------------------------------------------

    def _take(self, frame: Frame) -> None:
        if frame.data == "[DONE]":
            self._finish("the stream said [DONE] before its finish_reason")
            return
        try:
            value = parse_value(frame.data)
        except ValueError as error:
            raise UpstreamWireError(f"a chunk of the stream is not JSON: {error}") from error
        if not isinstance(value, dict):
            raise UpstreamWireError("a chunk of the stream is not a JSON object")
        chunk = cast("dict[str, Json]", value)
        if chunk.get("error"):
            raise embedded_error(chunk)
        if frame.event == "error":
            raise embedded_error({"error": chunk})
        self._take_chunk(chunk)

    def _take_chunk(self, chunk: dict[str, Json]) -> None:
        choices = chunk.get("choices")
        usage = chunk.get("usage")
        choice = self._choice_of(choices)
        self._keep_top(chunk)
        if usage is not None:
            self._keep_usage(usage)
        if choice is None:
            return
        if self._state is _State.WAIT:
            self._state = _State.OPEN
            self._id = text_or_empty(chunk.get("id"))
            self._out.append(
                Start(
                    self._id,
                    text_or_empty(chunk.get("model")),
                    created=count_or_none(chunk.get("created")),
                    extras=as_extras(dict(self._top)),
                )
            )
        self._take_choice(choice)
        if self._state is _State.OPEN and usage is None and chunk.get("choices") == [choice]:
            self._lesson = _words_alone(choice)

    def _choice_of(self, choices: Json) -> dict[str, Json] | None:
        """Choice 0, if this chunk speaks of it (the last one with usage speaks of none)."""
        if choices is None:
            return None
        if not isinstance(choices, list):
            raise UpstreamWireError("the choices of a chunk are not an array")
        for choice in choices:
            if not isinstance(choice, dict):
                raise UpstreamWireError("a choice of a chunk is not an object")
            if not choice.get("index"):
                return choice
        return None

    def _keep_top(self, chunk: dict[str, Json]) -> None:
        """Fields of the chunk nobody here knows: those every chunk repeats are kept once."""
        kept = self._top if self._state is _State.WAIT else self._late
        for name, value in chunk.items():
            if name not in _CHUNK_FIELDS and (name not in self._top or self._top[name] != value):
                kept[name] = value

    def _keep_usage(self, usage: Json) -> None:
        if isinstance(usage, Mapping):
            self._usage, self._usage_left = response.decode_usage(usage)

    # --- The choice -----------------------------------------------------------------------------------

    def _take_choice(self, choice: dict[str, Json]) -> None:
        if choice.get("error"):
            raise embedded_error(choice)
        delta = choice.get("delta")
        if isinstance(delta, dict):
            self._take_delta(delta)
        elif delta is not None:
            raise UpstreamWireError("a delta of the stream is not an object")
        if len(choice) > 3 or not choice.keys() <= _CHOICE_FIELDS:
            unknown = {name: value for name, value in choice.items() if name not in _CHOICE_FIELDS}
            # Moonshot tells usage inside the last choice.
            if self._usage == NO_USAGE:
                self._keep_usage(unknown.get("usage"))
            _join(self._choice_left, unknown)
        word = choice.get("finish_reason")
        if word:  # some hosts send an empty one until the last chunk
            self._finish_word = word
            self._state = _State.ENDING
            self._end_all()

    def _take_delta(self, delta: dict[str, Json]) -> None:
        thought = response.reasoning_text(delta)
        if thought:
            self._text(_Kind.REASONING, thought)
        content = delta.get("content")
        if isinstance(content, str):
            if content:
                self._text(_Kind.TEXT, content)
        elif content is not None:
            self._content_list(content)
        declined = delta.get("refusal")
        if declined and isinstance(declined, str):
            self._text(_Kind.REFUSAL, declined)
        calls = delta.get("tool_calls")
        if isinstance(calls, list):
            for place, entry in enumerate(calls):
                self._take_call(entry, place, len(calls))
        if not delta.keys() <= _DELTA_FIELDS:
            unknown = {name: value for name, value in delta.items() if name not in _DELTA_FIELDS}
            _join(self._message_left, unknown)

    def _content_list(self, content: Json) -> None:
        for part in response.content_parts(content):
            match part:
                case Text(text=text):
                    if text:
                        self._text(_Kind.TEXT, text)
                case Reasoning(text=text):
                    if text:
                        self._text(_Kind.REASONING, text)
                case _:
                    self._whole(part)

    def _text(self, kind: _Kind, text: str) -> None:
        if self._text_kind is not kind:
            self._end_text()
            self._text_kind, self._text_index = kind, self._next_index()
            self._out.append(PartStart(self._text_index, _EMPTY[kind]))
        self._out.append(PartDelta(self._text_index, text))

    def _whole(self, part: Part) -> None:
        self._end_text()
        index = self._next_index()
        self._out.append(PartStart(index, part))
        self._out.append(PartEnd(index))

    def _end_text(self) -> None:
        if self._text_kind is not None:
            self._text_kind = None
            self._out.append(PartEnd(self._text_index))

    def _next_index(self) -> int:
        self._parts += 1
        return self._parts - 1

    # --- Tool calls -----------------------------------------------------------------------------------

    def _take_call(self, entry: Json, place: int, count: int) -> None:
        if not isinstance(entry, dict):
            raise UpstreamWireError("a tool call of the stream is not an object")
        function, custom = entry.get("function"), entry.get("custom")
        if isinstance(custom, Mapping):
            inner, text = custom, _escaped(text_or_empty(custom.get("input")))
            leftover = parts.leftover_of(parts.CUSTOM_CALL, entry, "index")
        elif isinstance(function, Mapping) or entry.get("type") in (None, "function"):
            inner = node_or_empty(function)
            text = response.argument_text(inner.get("arguments"))
            leftover = parts.leftover_of(parts.FUNCTION_CALL, entry, "index")
        else:
            bare = {key: value for key, value in entry.items() if key != "index"}
            self._whole(Foreign(OPENAI_CHAT, {"tool_calls": [bare]}))
            return
        name = text_or_empty(inner.get("name"))
        call = self._slots.find(entry, name, place, count)
        if inner is custom:
            call.is_custom = True
        call.name = call.name or name
        if call.index is None:
            self._begin_call(call, text, leftover)
        elif text or leftover:
            self._out.append(PartDelta(call.index, text, as_extras(leftover) if leftover else NO_EXTRAS))

    def _begin_call(self, call: _Call, text: str, leftover: Draft) -> None:
        """Begin the part as soon as the call has a name; arguments that came before it wait."""
        if text:
            call.waiting.append(text)
        call.extras.update(leftover)
        if not call.name:
            return
        self._end_text()
        call.index = self._next_index()
        self._calls_tools = True
        call_id = call.id or response.made_up_id(self._id, call.index)
        kept: Draft = {"type": "custom", **call.extras} if call.is_custom else call.extras
        self._out.append(PartStart(call.index, ToolCall(call_id, call.name, "", as_extras(kept))))
        if call.is_custom:
            call.waiting.insert(0, _CUSTOM_HEAD)
        for piece in call.waiting:
            self._out.append(PartDelta(call.index, piece))
        call.waiting = []

    # --- The end --------------------------------------------------------------------------------------

    def _end_all(self) -> None:
        self._end_text()
        calls, self._slots = self._slots.calls, _CallSlots()
        for call in calls:
            if call.index is None:
                raise UpstreamWireError("a tool call of the stream has no name")
            if call.is_custom:
                self._out.append(PartDelta(call.index, _CUSTOM_TAIL))
            self._out.append(PartEnd(call.index))

    def _finish(self, complaint: str) -> None:
        if self._state is not _State.ENDING:
            raise UpstreamWireError(complaint)
        self._end_all()
        self._state = _State.DONE
        reason = response.stop_reason_of(self._finish_word, calls_tools=self._calls_tools)
        choice: Draft = {name: value for name, value in self._choice_left.items() if value is not None}
        message: Draft = {name: value for name, value in self._message_left.items() if value is not None}
        if message:
            choice["message"] = message
        choice.update(response.remembered_word(self._finish_word, reason))
        found = {**self._late, **response.mirrored(choice, [], self._usage_left)}
        self._out.append(Finish(reason, self._usage, extras=as_extras(found)))


def _words_alone(choice: dict[str, Json]) -> str | None:
    """The content of *choice*, if another one that differs in its content would tell nothing else."""
    delta = choice.get("delta")
    if not isinstance(delta, dict):
        return None
    words = delta.get("content")
    if not isinstance(words, str) or not words:
        return None
    if any(value for name, value in delta.items() if name not in ("content", "role")):
        return None
    if any(value for name, value in choice.items() if name not in ("delta", "index")):
        return None
    return words


def _escaped(text: str) -> str:
    """*text* as it stands inside a JSON string."""
    return parts.custom_arguments(text)[len(_CUSTOM_HEAD) : -len(_CUSTOM_TAIL)]


def _join(kept: Draft, more: Mapping[str, Json]) -> None:
    """Later values win, lists go on, objects are joined field by field (``logprobs.content``)."""
    for name, value in more.items():
        before = kept.get(name)
        if isinstance(before, list) and isinstance(value, list):
            before.extend(value)
        elif isinstance(before, dict) and isinstance(value, Mapping):
            _join(before, value)
        elif value is not None:
            kept[name] = _own_copy(value)


def _own_copy(value: Json) -> Json:
    """*value* with its lists and objects copied, since `_join` extends them."""
    if isinstance(value, list):
        return list(value)
    if isinstance(value, dict):
        return {name: _own_copy(below) for name, below in value.items()}
    return value
