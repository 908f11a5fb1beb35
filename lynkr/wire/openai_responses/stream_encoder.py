"""Canonical events to a Responses stream.

Theory of operation.  The wire numbers items (``output_index``) and, within
them, content (``content_index``).  One part is live at a time; a part that
begins while another is live waits, with its deltas, until that one has ended.
Texts in a row share a message, which ends when something else begins.  What
stands in the final response is each item as it was written when it ended.
"""

import json
from collections.abc import Iterator, Mapping
from typing import Final

from attrs import define, evolve, field

from lynkr.errors import ClientWireError
from lynkr.model import (
    NO_USAGE,
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
    Request,
    Start,
    Text,
    ToolCall,
    Usage,
)
from lynkr.wire import freeform
from lynkr.wire.fields import Losses
from lynkr.wire.json_body import RawJson, dump, parse_body
from lynkr.wire.openai_responses import items, response
from lynkr.wire.openai_responses.errors import encode_error, failure
from lynkr.wire.openai_responses.fields import (
    RESPONSES,
    Draft,
    Node,
    as_extras,
    made_up_id,
    mark_of,
)
from lynkr.wire.openai_responses.tools import marked, marks_by_name
from lynkr.wire.sse import FrameDecoder, encode_frame

_PING: Final = b": ping\n\n"


@define(eq=False)
class _Live:
    """The part being written.  *fields* are all its extras so far, *said* all its text."""

    index: int
    part: Part
    item_id: str = ""
    said: list[str] = field(factory=list[str])
    fields: Draft = field(factory=dict[str, Json])
    unwrapper: freeform.Unwrapper | None = None
    number: int = 0  # of the content, or of the summary's piece
    head: str = ""  # of each delta event, up to the delta
    # A thought's pieces: where the blank lines between them stand, and how much of one is still to come.
    cuts: list[int] = field(factory=list[int])
    at: int = 0
    skipping: int = 0
    piece: list[str] | None = None


class ResponsesEventEncoder:
    """Implements `lynkr.wire.base.EventEncoder`.

    *request* is the client's: its options are repeated in the response, and
    calls to its tools go out under its own names for them.  `Start.created`
    is required on the wire: 0 stands in where it is None, as a `Loss`.
    """

    def __init__(self, request: Request | None = None) -> None:
        self._request = request
        self._marks = marks_by_name(request)
        self._losses = Losses()
        self._sequence = 0
        self._start: Start | None = None
        self._body: Draft = {}
        self._output: list[Draft] = []
        self._message: Draft | None = None
        self._content: list[Json] = []
        self._live: _Live | None = None
        self._waiting: dict[int, list[Event]] = {}
        self._calls_tools = False
        self._ended = False
        self._error_told = False  # the provider's own error event has gone out; what it ends has not ended

    @property
    def losses(self) -> tuple[Loss, ...]:
        return self._losses.all()

    def encode(self, event: Event, /) -> bytes:
        match event:
            case PartDelta(index=index):
                if self._live is not None and index == self._live.index:
                    return self._delta(self._live, event)
                self._wait(index, event)
                return b""
            case PartStart():
                if self._live is not None or self._waiting:
                    self._waiting[event.index] = [event]
                    return b""
                return self._begin(event)
            case PartEnd(index=index):
                if self._live is not None and index == self._live.index:
                    return self._end(self._live, event.seal) + self._advance()
                self._wait(index, event)
                return b""
            case Start():
                return self._begin_response(event)
            case Finish():
                return self._finish(event)

    def encode_error(self, error: BaseException, /) -> bytes:
        """An ``error`` event and ``response.failed``: some clients act on the one, some on the other."""
        self._ended = True
        told = failure(error)
        envelope = encode_error(error).body["error"]
        param = envelope.get("param") if isinstance(envelope, dict) else None
        body = self._body or response.head("", "", 0, self._request)
        failed = {**body, "status": "failed", "error": told, "output": [*self._output]}
        event = b"" if self._error_told else self._event("error", {**told, "param": param})
        return event + self._event("response.failed", {"response": failed})

    def follow(self, first: bytes, last: bytes, /) -> None:
        """As `FollowingEncoder`: the numbers go on, and what ends is the response that began."""
        for event in _events_in(first):
            begun = event.get("response")
            if isinstance(begun, dict):
                self._body = begun
                break
        for event in _events_in(last):
            number = event.get("sequence_number")
            if isinstance(number, int):
                self._sequence = number + 1
            self._error_told = event.get("type") == "error"

    def ping(self) -> bytes:
        return _PING

    def close(self) -> bytes:
        """Nothing: a whole stream has ended with its last event, and a cut one must not look whole."""
        return b""

    # --- Start and finish -----------------------------------------------------------------------------

    def _begin_response(self, event: Start) -> bytes:
        self._start = event
        created = response.created_or_zero(event.created, self._losses)
        self._body = response.head(event.id, event.model, created, self._request)
        raw = RawJson(dump(self._body).decode("utf-8", "surrogatepass"))
        return self._event("response.created", {"response": raw}) + self._event(
            "response.in_progress", {"response": raw}
        )

    def _finish(self, event: Finish) -> bytes:
        written: list[bytes] = []
        while self._live is not None or self._waiting:
            # Its provider left parts open.
            if self._live is not None:
                written.append(self._end(self._live, None))
            written.append(self._advance())
        written.append(self._close_message())
        start = self._start
        early = NO_USAGE if start is None else start.usage
        extras = event.extras
        if start is not None and start.extras.fields:
            extras = self._joined(start.extras, event.extras)
        if event.stop_sequence is not None:
            self._losses.add("stop_sequence", "Responses has no stop sequences")
        body = {**self._body, "output": [*self._output]}
        response.finish(
            body,
            event.stop_reason,
            _merged(early, event.usage),
            extras,
            calls_tools=self._calls_tools,
            losses=self._losses,
        )
        self._ended = True
        written.append(self._event(f"response.{body['status']}", {"response": body}))
        return b"".join(written)

    def _joined(self, early: Extras, late: Extras) -> Extras:
        if not late.fields:
            return early
        if early.format is late.format:
            return Extras(late.format, {**early.fields, **late.fields})
        other = early if late.format is RESPONSES else late
        self._losses.add_extras(other, "", "a field of another dialect")
        return late if other is early else early

    # --- Order ----------------------------------------------------------------------------------------

    def _wait(self, index: int, event: Event) -> None:
        waiting = self._waiting.get(index)
        if waiting is not None:
            waiting.append(event)

    def _advance(self) -> bytes:
        """Write what waits, until a part is live again."""
        written: list[bytes] = []
        while self._waiting and self._live is None:
            index, events = next(iter(self._waiting.items()))
            del self._waiting[index]
            written += [self._replay(event) for event in events]
        return b"".join(written)

    def _replay(self, event: Event) -> bytes:
        live = self._live
        if isinstance(event, PartStart):
            return self._begin(event)
        if live is not None and isinstance(event, PartDelta):
            return self._delta(live, event)
        if live is not None and isinstance(event, PartEnd):
            return self._end(live, event.seal)
        return b""

    # --- Parts ----------------------------------------------------------------------------------------

    def _begin(self, event: PartStart) -> bytes:
        index, part, path = event.index, event.part, f"parts[{event.index}]"
        match part:
            case Text():
                return self._begin_text(index, part, path)
            case Reasoning():
                return self._begin_thought(index, part)
            case ToolCall():
                return self._begin_call(index, part, path)
            case Foreign():
                return self._begin_foreign(index, part, path)
            case _:
                self._losses.add(path, "has no place in what an assistant says")
                return b""

    def _delta(self, live: _Live, event: PartDelta) -> bytes:
        logprobs: Json = []
        written = b""
        if event.extras.fields:
            if event.extras.format is RESPONSES:
                logprobs = event.extras.fields.get("logprobs", [])
                written = self._keep(live, event.extras.fields)
            else:
                self._losses.add_extras(event.extras, f"parts[{live.index}]", "a field of another dialect")
        text = event.text
        if not text:
            return written
        live.said.append(text)
        match live.part:
            case Reasoning():
                return written + self._think(live, text)
            case Text():
                tail = "" if _refuses(live.part) else f',"logprobs":{_text(logprobs) if logprobs else "[]"}'
                return written + self._quick(live, text, tail)
            case ToolCall() if live.unwrapper is not None:
                text = live.unwrapper.feed(text)
                return written + (self._quick(live, text) if text else b"")
            case _:
                return written + self._quick(live, text)

    def _keep(self, live: _Live, fields: Node) -> bytes:
        """Extra fields that came with a delta; lists of the same field go on."""
        written: list[bytes] = []
        for name, value in fields.items():
            before = live.fields.get(name)
            if isinstance(before, list) and isinstance(value, list):
                live.fields[name] = [*before, *value]
            else:
                live.fields[name] = value
            if name == "cuts" and isinstance(value, list):
                live.cuts += [cut for cut in value if isinstance(cut, int)]
            if name == "annotations" and isinstance(live.part, Text) and isinstance(value, list):
                at = len(before) if isinstance(before, list) else 0
                for number, annotation in enumerate(value, at):
                    kept = {**self._place(live), "annotation_index": number, "annotation": annotation}
                    written.append(self._event("response.output_text.annotation.added", kept))
        return b"".join(written)

    def _end(self, live: _Live, seal: Opaque | None) -> bytes:
        self._live = None
        whole = _whole(live, seal)
        path = f"parts[{live.index}]"
        match whole:
            case Text():
                return self._end_text(live, whole, path)
            case Reasoning():
                return self._end_thought(live, whole, path)
            case ToolCall():
                return self._end_call(live, whole, path)
            case _:
                return b""

    # --- Messages -------------------------------------------------------------------------------------

    def _open_message(self, fields: Json = None, path: str = "") -> bytes:
        closed = self._close_message()
        number = len(self._output)
        message: Draft = {"type": "message", "role": "assistant", "content": []}
        message["id"] = made_up_id(
            "msg", self._body["id"] if isinstance(self._body["id"], str) else "", number
        )
        if isinstance(fields, dict):
            items.MESSAGE.merge(message, fields, f"{path}.extras.item", self._losses)
        self._message, self._content = message, []
        return closed + self._added({"status": "in_progress", **message}, number)

    def _close_message(self) -> bytes:
        message = self._message
        if message is None:
            return b""
        self._message = None
        whole: Draft = {**message, "content": self._content}
        whole.setdefault("status", "completed")
        return self._done(whole)

    def _begin_text(self, index: int, part: Text, path: str) -> bytes:
        fields = part.extras.of(RESPONSES).get("item")
        begins = isinstance(fields, dict)
        if fields is not None and (not begins or (self._message is None and not fields)):
            self._losses.add(f"{path}.extras.item", "no message begins there")
        opened = self._open_message(fields, path) if begins or self._message is None else b""
        live = self._enliven(index, part)
        live.number = len(self._content)
        empty = items.text_node(evolve(part, text=""), path, self._losses, assistant=True)
        kind = "refusal" if _refuses(part) else "output_text"
        live.head = self._head(live, f"response.{kind}.delta", f',"content_index":{live.number}')
        written = opened + self._event("response.content_part.added", {**self._place(live), "part": empty})
        return written + (self._delta(live, PartDelta(index, part.text)) if part.text else b"")

    def _end_text(self, live: _Live, whole: Text, path: str) -> bytes:
        node = items.text_node(whole, path, Losses(), assistant=True)
        if _refuses(whole):
            done = self._event("response.refusal.done", {**self._place(live), "refusal": whole.text})
        else:
            logprobs = node.get("logprobs", [])
            told: Draft = {**self._place(live), "text": whole.text, "logprobs": logprobs}
            done = self._event("response.output_text.done", told)
        self._content.append(node)
        return done + self._event("response.content_part.done", {**self._place(live), "part": node})

    def _begin_foreign(self, index: int, part: Foreign, path: str) -> bytes:
        content, item = items.content_in(part), items.item_in(part)
        if content is not None:
            opened = self._open_message() if self._message is None else b""
            live = self._enliven(index, part)
            live.number = len(self._content)
            self._content.append(content)
            told: Draft = {**self._place(live), "part": content}
            added = self._event("response.content_part.added", told)
            return opened + added + self._event("response.content_part.done", told)
        if item is None:
            self._losses.add(path, "a block of a kind this dialect does not know")
            return b""
        closed = self._close_message()
        self._enliven(index, part)
        return closed + self._added(dict(item), len(self._output)) + self._done(dict(item))

    # --- Thoughts -------------------------------------------------------------------------------------

    def _begin_thought(self, index: int, part: Reasoning) -> bytes:
        closed = self._close_message()
        live = self._enliven(index, part, "rs")
        known = part.extras.of(RESPONSES)
        cuts = known.get("cuts")
        live.cuts = [cut for cut in cuts if isinstance(cut, int)] if isinstance(cuts, list) else []
        bare = Reasoning(
            "", extras=as_extras({k: v for k, v in known.items() if k not in ("cuts", "content")})
        )
        node = items.reasoning_node(bare, "", Losses(), item_id=live.item_id)
        written = closed + self._added(node, len(self._output))
        return written + (self._delta(live, PartDelta(index, part.text)) if part.text else b"")

    def _think(self, live: _Live, text: str) -> bytes:
        """*text* of a thought, cut where its pieces end."""
        written: list[bytes] = []
        while text:
            if live.skipping:
                skipped = min(live.skipping, len(text))
                live.skipping -= skipped
                live.at += skipped
                text = text[skipped:]
                continue
            cut = live.cuts[0] if live.cuts else None
            if cut is not None and cut <= live.at:
                live.cuts.pop(0)
                if cut == live.at:
                    written += (self._open_piece(live), self._close_piece(live))
                    live.skipping = len(items.SEPARATOR)
                continue
            now = text if cut is None else text[: cut - live.at]
            text = text[len(now) :]
            live.at += len(now)
            written.append(self._open_piece(live))
            if live.piece is not None:
                live.piece.append(now)
            written.append(self._quick(live, now))
        return b"".join(written)

    def _open_piece(self, live: _Live) -> bytes:
        if live.piece is not None:
            return b""
        live.piece = []
        if _is_raw(live):
            live.head = self._head(live, "response.reasoning_text.delta", f',"content_index":{live.number}')
            kind, part = "response.content_part.added", "reasoning_text"
        else:
            place = f',"summary_index":{live.number}'
            live.head = self._head(live, "response.reasoning_summary_text.delta", place)
            kind, part = "response.reasoning_summary_part.added", "summary_text"
        return self._event(kind, {**self._place(live), "part": {"type": part, "text": ""}})

    def _close_piece(self, live: _Live) -> bytes:
        if live.piece is None:
            return b""
        text, place = "".join(live.piece), self._place(live)
        if _is_raw(live):
            names = ("response.reasoning_text.done", "response.content_part.done", "reasoning_text")
        else:
            names = (
                "response.reasoning_summary_text.done",
                "response.reasoning_summary_part.done",
                "summary_text",
            )
        live.piece = None
        live.number += 1
        part: Draft = {"type": names[2], "text": text}
        return self._event(names[0], {**place, "text": text}) + self._event(names[1], {**place, "part": part})

    def _end_thought(self, live: _Live, whole: Reasoning, path: str) -> bytes:
        if live.number and not live.skipping and live.piece is None and whole.text:
            # The last piece is empty: the text ends with a blank line that separates.
            closed = self._open_piece(live) + self._close_piece(live)
        else:
            closed = self._close_piece(live)
        node = items.reasoning_node(whole, path, self._losses, item_id=live.item_id)
        return closed + self._done(node)

    # --- Tool calls -----------------------------------------------------------------------------------

    def _begin_call(self, index: int, part: ToolCall, path: str) -> bytes:
        closed = self._close_message()
        self._calls_tools = True
        call = marked(part, self._marks, path, self._losses)
        is_custom = items.is_custom(call.extras)
        live = self._enliven(index, call, "ctc" if is_custom else "fc")
        live.unwrapper = freeform.Unwrapper() if is_custom else None
        kind = "custom_tool_call_input" if is_custom else "function_call_arguments"
        live.head = self._head(live, f"response.{kind}.delta")
        empty = evolve(call, arguments="")
        node = items.call_node(empty, path, self._losses, text="" if is_custom else None)
        node.setdefault("id", live.item_id)
        if not is_custom:
            node.setdefault("status", "in_progress")
        written = closed + self._added(node, len(self._output))
        return written + (self._delta(live, PartDelta(index, call.arguments)) if call.arguments else b"")

    def _end_call(self, live: _Live, whole: ToolCall, path: str) -> bytes:
        place = self._place(live)
        written = b""
        text: str | None = None
        if live.unwrapper is not None:
            rest = live.unwrapper.end()
            if rest:
                written = self._quick(live, rest)
            if not live.unwrapper.is_exact and freeform.unwrapped(whole.arguments) is None:
                self._losses.add(f"{path}.arguments", "not one text, which is all that a custom call holds")
            text = freeform.Unwrapper().feed(whole.arguments) + rest
            written += self._event("response.custom_tool_call_input.done", {**place, "input": text})
        else:
            told: Draft = {**place, "name": items.bare_name(whole)[1], "arguments": whole.arguments}
            written = self._event("response.function_call_arguments.done", told)
        node = items.call_node(whole, path, Losses(), text=text)
        node.setdefault("id", live.item_id)
        if text is None:
            node.setdefault("status", "completed")
        return written + self._done(node)

    # --- Bytes ----------------------------------------------------------------------------------------

    def _enliven(self, index: int, part: Part, prefix: str = "") -> _Live:
        live = self._live = _Live(index, part)
        if not isinstance(part, Foreign):
            live.fields = dict(part.extras.of(RESPONSES))
        if self._message is not None:
            live.item_id = str(self._message["id"])
        else:
            own = live.fields.get("id")
            given = made_up_id(prefix, str(self._body["id"]), len(self._output))
            live.item_id = own if isinstance(own, str) else given
        return live

    def _place(self, live: _Live) -> Draft:
        """Where an event of the live part belongs."""
        place: Draft = {"item_id": live.item_id, "output_index": len(self._output)}
        match live.part:
            case Text() | Foreign():
                place["content_index"] = live.number
            case Reasoning():
                place["content_index" if _is_raw(live) else "summary_index"] = live.number
            case _:
                pass
        return place

    def _head(self, live: _Live, kind: str, place: str = "") -> str:
        """The start of each delta event of the live part, up to the delta."""
        item_id = json.dumps(live.item_id)
        where = f'"item_id":{item_id},"output_index":{len(self._output)}{place}'
        return f'event: {kind}\ndata: {{"type":"{kind}",{where},"delta":'

    def _quick(self, live: _Live, delta: str, tail: str = "") -> bytes:
        """A delta event, written by hand: most events are."""
        number, self._sequence = self._sequence, self._sequence + 1
        text = json.dumps(delta, ensure_ascii=False)
        frame = f'{live.head}{text}{tail},"sequence_number":{number}}}\n\n'
        try:
            return frame.encode()
        except UnicodeEncodeError:
            # Half of a surrogate pair that a provider cut between two deltas: written escaped.
            return dump(RawJson(frame))

    def _event(self, kind: str, fields: Mapping[str, object]) -> bytes:
        number, self._sequence = self._sequence, self._sequence + 1
        return encode_frame(dump({"type": kind, **fields, "sequence_number": number}), kind)

    def _added(self, item: Draft, number: int) -> bytes:
        return self._event("response.output_item.added", {"output_index": number, "item": item})

    def _done(self, item: Draft) -> bytes:
        number = len(self._output)
        self._output.append(item)
        return self._event("response.output_item.done", {"output_index": number, "item": item})


def _refuses(part: Text) -> bool:
    """Whether *part* is written as a refusal."""
    return mark_of(part.extras, "type") == "refusal"


def _is_raw(live: _Live) -> bool:
    return live.fields.get("field") == "content"


def _whole(live: _Live, seal: Opaque | None) -> Part:
    """The live part with all that was said of it."""
    part, text = live.part, "".join(live.said)
    match part:
        case Text():
            return Text(text, as_extras(live.fields) if live.fields else part.extras)
        case Reasoning():
            extras = as_extras(live.fields) if live.fields else part.extras
            return Reasoning(text, seal or part.seal, part.redacted, extras)
        case ToolCall():
            extras = as_extras(live.fields) if live.fields else part.extras
            return ToolCall(part.id, part.name, text, extras)
        case _:
            return part


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


def _events_in(frames: bytes) -> Iterator[Draft]:
    """The events of whole frames; what a provider wrote that is none is passed over."""
    for frame in FrameDecoder().feed(frames):
        try:
            event = parse_body(frame.data.encode()).value
        except ClientWireError:
            continue
        yield {**event}
