"""Canonical events to a stream of chat completion chunks.

Chat does not mark where parts end, so what is open at once on the wire is one
text-like part, or any number of tool calls, which interleave by their index.
A part that begins while others are open and may not join them waits, with its
deltas, until they have ended; what comes from a provider hardly ever does.
"""

import json
from enum import Enum, auto
from typing import Final, assert_never

from lynkr.model import (
    NO_USAGE,
    Event,
    Finish,
    Foreign,
    Image,
    Json,
    Loss,
    Part,
    PartDelta,
    PartEnd,
    PartStart,
    Reasoning,
    Request,
    Start,
    Text,
    ToolCall,
    ToolResult,
    Usage,
)
from lynkr.wire.json_body import RawJson, dump
from lynkr.wire.openai_chat import parts, response
from lynkr.wire.openai_chat.errors import encode_error
from lynkr.wire.openai_chat.fields import (
    OPENAI_CHAT,
    Draft,
    Losses,
    Node,
    node_or_empty,
    shape,
)
from lynkr.wire.sse import encode_frame

_CHUNK: Final = shape("id", "object", "created", "model", "choices", "usage", "obfuscation")
_CHOICE: Final = shape("index", "delta", "finish_reason", message=response.MESSAGE)


class _Kind(Enum):
    TEXT = auto()
    REASONING = auto()
    REFUSAL = auto()
    CALL = auto()
    NONE = auto()  # a part Chat cannot carry, or one that goes out whole


_FIELDS: Final = {
    _Kind.TEXT: "content",
    _Kind.REASONING: "reasoning_content",
    _Kind.REFUSAL: "refusal",
}


def _kind_of(part: Part) -> _Kind:
    match part:
        case Text():
            return _Kind.REFUSAL if parts.is_refusal(part) else _Kind.TEXT
        case Reasoning(redacted=False):
            return _Kind.REASONING
        case ToolCall():
            return _Kind.CALL
        case Reasoning() | Image() | ToolResult() | Foreign():
            return _Kind.NONE
        case _:
            assert_never(part)


def wants_usage(request: Request | None) -> bool:
    """Whether the client asked for the usage chunk; with no request known, nothing is left out."""
    if request is None:
        return True
    options = node_or_empty(request.extras.of(OPENAI_CHAT).get("stream_options"))
    return options.get("include_usage") is True


class ChatEventEncoder:
    """Implements `lynkr.wire.base.EventEncoder`.

    `Start.created` is required on the wire: 0 stands in where it is None, as
    a `Loss`.  Fill it in before, as the gateway does.
    """

    def __init__(self, request: Request | None = None) -> None:
        self._wants_usage = wants_usage(request)
        self._losses = Losses()
        self._head = _head("", 0, "", {})
        self._top: Draft = {}
        self._choice_left: Draft = {}
        self._usage_left: Draft = {}
        self._early_usage: Usage = NO_USAGE
        self._open: dict[int, _Kind] = {}
        self._waiting: dict[int, list[Event]] = {}
        self._call_numbers: dict[int, int] = {}
        self._custom: dict[int, tuple[ToolCall, list[str]]] = {}
        self._written: set[int] = set()
        self._last_kind: _Kind | None = None
        self._calls_tools = False
        self._is_whole = False

    @property
    def losses(self) -> tuple[Loss, ...]:
        return self._losses.all()

    def encode(self, event: Event, /) -> bytes:
        match event:
            case PartDelta():
                return self._delta(event)
            case PartStart():
                return self._part_start(event)
            case PartEnd():
                return self._part_end(event)
            case Start():
                return self._start(event)
            case Finish():
                return self._finish(event)
            case _:
                assert_never(event)

    def encode_error(self, error: BaseException, /) -> bytes:
        self._is_whole = False
        return encode_frame(dump(encode_error(error).body))

    def ping(self) -> bytes:
        return b": ping\n\n"

    def follow(self, first: bytes, last: bytes, /) -> None:  # noqa: ARG002  # reason: the protocol's
        """As `FollowingEncoder`: what is still to be written, if the answer is whole, is ``[DONE]``."""
        self._is_whole = b"data: [DONE]" not in last

    def close(self) -> bytes:
        """``[DONE]`` after `Finish`; nothing after an error or a cut, which must not look whole."""
        return b"data: [DONE]\n\n" if self._is_whole else b""

    # --- Start and finish -----------------------------------------------------------------------------

    def _start(self, event: Start) -> bytes:
        self._early_usage = event.usage
        created = response.created_or_zero(event.created, self._losses)
        first, others, usage, rest = response.split_extras(event.extras, self._losses)
        self._keep_left(first, others, usage)
        top: Draft = {}
        _CHUNK.restore(top, rest, "", self._losses)
        self._top = top
        self._head = _head(event.id, created, event.model, top)
        return self._chunk('{"role":"assistant","content":""}')

    def _keep_left(self, choice: Draft, others: list[Json], usage: Draft) -> None:
        self._choice_left.update(choice)
        self._usage_left.update(usage)
        if others:
            self._losses.add("extras.choices", "only the first choice is streamed")

    def _finish(self, event: Finish) -> bytes:
        written = self._end_waiting()
        first, others, usage_left, rest = response.split_extras(event.extras, self._losses)
        self._keep_left(first, others, usage_left)
        late: Draft = {}
        _CHUNK.restore(late, rest, "", self._losses)
        if event.stop_sequence is not None:
            self._losses.add("stop_sequence", "Chat does not tell which stop sequence was hit")
        choice: Draft = {"index": 0, "delta": {}}
        left = self._choice_left
        message = left.pop("message", None)
        choice["finish_reason"] = response.finish_word(
            event.stop_reason, left, calls_tools=self._calls_tools, losses=self._losses
        )
        if message is not None:
            delta: Draft = {}
            response.MESSAGE.merge(delta, node_or_empty(message), "extras.choices[0].message", self._losses)
            choice["delta"] = delta
        _CHOICE.merge(choice, left, "extras.choices[0]", self._losses)
        written += self._frame(f',"choices":[{_text(choice)}]{_members(late)}')
        written += self._usage(event.usage)
        self._is_whole = True
        return written

    def _usage(self, late: Usage) -> bytes:
        usage = _merged(self._early_usage, late)
        node = response.encode_usage(usage, self._usage_left, self._losses)
        if not self._wants_usage:
            if usage != NO_USAGE:
                self._losses.add("usage", "the client did not ask for it (stream_options.include_usage)")
            return b""
        # "an additional chunk will be streamed before the data: [DONE] message ... the choices field will
        # always be an empty array" (openai 3.54, chat_completion_stream_options_param.py, read 2026-11).
        return self._frame(f',"choices":[],"usage":{_text(node)}')

    # --- Parts ----------------------------------------------------------------------------------------

    def _may_open(self, kind: _Kind) -> bool:
        if kind is _Kind.CALL:
            return all(other is _Kind.CALL for other in self._open.values())
        return not self._open

    def _part_start(self, event: PartStart) -> bytes:
        kind = _kind_of(event.part)
        if self._waiting or not self._may_open(kind):
            self._waiting[event.index] = [event]
            return b""
        return self._open_part(event, kind)

    def _open_part(self, event: PartStart, kind: _Kind) -> bytes:
        index, part = event.index, event.part
        self._open[index] = kind
        path = f"parts[{index}]"
        match part:
            case Text():
                extras = parts.without_type(part.extras) if kind is _Kind.REFUSAL else part.extras
                self._losses.add_extras(extras, path, "a streamed text is a bare string")
                return self._prose(index, kind, part.text)
            case Reasoning(redacted=False):
                self._losses.add_extras(part.extras, path, "streamed thinking is a bare string")
                if part.seal is not None:
                    self._losses.add(f"{path}.seal", "Chat has no seals")
                return self._prose(index, kind, part.text)
            case ToolCall():
                return self._open_call(index, part, path)
            case Foreign() if (call := response.foreign_call(part)) is not None:
                self._last_kind = _Kind.CALL
                return self._call_delta({"index": self._number(index), **node_or_empty(call)})
            case Foreign():
                return self._open_foreign(part, path)
            case Reasoning():
                self._losses.add(path, "a thought without text cannot be carried")
            case Image() | ToolResult():
                self._losses.add(path, "has no place in a Chat answer")
            case _:
                assert_never(part)
        return b""

    def _open_foreign(self, part: Foreign, path: str) -> bytes:
        node = parts.foreign_node(part, frozenset({"text", "thinking"}))
        if node is None:
            self._losses.add(path, "a block of a kind this dialect does not know")
            return b""
        self._last_kind = _Kind.NONE
        return self._chunk(_text({"content": [node]}))

    def _open_call(self, index: int, call: ToolCall, path: str) -> bytes:
        self._calls_tools = True
        self._last_kind = _Kind.CALL
        if parts.is_custom(call):
            self._custom[index] = (call, [call.arguments])
            return b""
        node = parts.call_node(call, path, self._losses)
        return self._call_delta({"index": self._number(index), **node})

    def _number(self, index: int) -> int:
        """The call's place in ``tool_calls``, in order of first appearance."""
        return self._call_numbers.setdefault(index, len(self._call_numbers))

    def _prose(self, index: int, kind: _Kind, text: str) -> bytes:
        if not text:
            return b""
        if index not in self._written:
            if self._last_kind is kind:
                self._losses.add("parts", "two texts in a row read back as one")
            self._written.add(index)
            self._last_kind = kind
        return self._chunk(f'{{"{_FIELDS[kind]}":{json.dumps(text, ensure_ascii=False)}}}')

    def _delta(self, event: PartDelta) -> bytes:
        index = event.index
        waiting = self._waiting.get(index)
        if waiting is not None:
            waiting.append(event)
            return b""
        if event.extras.fields:
            self._losses.add_extras(event.extras, f"parts[{index}]", "not part of a Chat delta")
        kind = self._open.get(index, _Kind.NONE)
        if kind is _Kind.NONE:
            return b""
        if kind is not _Kind.CALL:
            return self._prose(index, kind, event.text)
        if index in self._custom:
            self._custom[index][1].append(event.text)
            return b""
        if not event.text:
            return b""
        arguments = json.dumps(event.text, ensure_ascii=False)
        number = self._call_numbers[index]
        return self._chunk(f'{{"tool_calls":[{{"index":{number},"function":{{"arguments":{arguments}}}}}]}}')

    def _part_end(self, event: PartEnd) -> bytes:
        index = event.index
        waiting = self._waiting.get(index)
        if waiting is not None:
            waiting.append(event)
            return b""
        if event.seal is not None:
            self._losses.add(f"parts[{index}].seal", "Chat has no seals")
        kind = self._open.pop(index, _Kind.NONE)
        written = b""
        if index in self._custom:
            written = self._whole_custom_call(index)
        elif kind in _FIELDS and index not in self._written:
            self._losses.add(f"parts[{index}]", "a part without text has no bytes")
        return written + self._admit_waiting()

    def _whole_custom_call(self, index: int) -> bytes:
        """A custom call's input is known once its arguments are whole."""
        call, pieces = self._custom.pop(index)
        whole = ToolCall(call.id, call.name, "".join(pieces), call.extras)
        node = parts.call_node(whole, f"parts[{index}]", self._losses)
        return self._call_delta({"index": self._number(index), **node})

    def _admit_waiting(self) -> bytes:
        written: list[bytes] = []
        while self._waiting:
            index, events = next(iter(self._waiting.items()))
            start = events[0]
            if not isinstance(start, PartStart) or not self._may_open(_kind_of(start.part)):
                break
            del self._waiting[index]
            written.append(self._open_part(start, _kind_of(start.part)))
            written += [self.encode(event) for event in events[1:]]
        return b"".join(written)

    def _end_waiting(self) -> bytes:
        """What still waits when the answer ends: its provider left parts open."""
        written: list[bytes] = []
        while self._open or self._waiting:
            written += [self._part_end(PartEnd(index)) for index in list(self._open)]
            written.append(self._admit_waiting())
        return b"".join(written)

    # --- Bytes ----------------------------------------------------------------------------------------

    def _call_delta(self, entry: Node) -> bytes:
        return self._chunk(_text({"tool_calls": [entry]}))

    def _chunk(self, delta: str) -> bytes:
        return self._frame(f',"choices":[{{"index":0,"delta":{delta},"finish_reason":null}}]')

    def _frame(self, tail: str) -> bytes:
        text = f"data: {self._head}{tail}}}\n\n"
        try:
            return text.encode()
        except UnicodeEncodeError:
            # A lone surrogate, half of a pair that a provider cut between two deltas: written escaped.
            return dump(RawJson(text))


def _head(answer_id: str, created: int, model: str, top: Node) -> str:
    """The start of every chunk, up to the last field it has in common with the others."""
    fields: Draft = {
        "id": answer_id,
        "object": "chat.completion.chunk",
        "created": created,
        "model": model,
        **top,
    }
    return _text(fields)[:-1]


def _members(fields: Node) -> str:
    return f",{_text(fields)[1:-1]}" if fields else ""


def _text(value: Json) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _merged(early: Usage, late: Usage) -> Usage:
    """The final counts, and those told up front where the final ones are silent."""
    if early == NO_USAGE:
        return late
    return Usage(
        input=late.input if late.input is not None else early.input,
        output=late.output if late.output is not None else early.output,
        cache_read=late.cache_read if late.cache_read is not None else early.cache_read,
        cache_write=late.cache_write if late.cache_write is not None else early.cache_write,
        cache_write_1h=late.cache_write_1h if late.cache_write_1h is not None else early.cache_write_1h,
        reasoning=late.reasoning if late.reasoning is not None else early.reasoning,
    )
