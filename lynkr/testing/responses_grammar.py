"""A validator of OpenAI Responses streams that shares no code with the codec it checks.

::

    stream  = response.created response.in_progress item* (response.completed | response.incomplete)
            | any prefix of that, then error response.failed
    item    = response.output_item.added inner* response.output_item.done
    inner   = part added, its deltas, text done, part done   (message, reasoning)
            | deltas, done                                   (function_call, custom_tool_call)

Every event has the next ``sequence_number``; items are numbered 0, 1, 2, ... and
so is what is in them; the deltas of a part add up to its ``done`` text, that
stands in the finished item, and the finished items stand in the last response
(event types of the openai SDK 3.54, read 2026-11).  Stricter than a client
needs to be: items do not overlap, and unknown events are refused.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final, TypeAlias, cast

from attrs import define, field, frozen

__all__ = ["ResponsesGrammarError", "validate_responses_stream"]

_Event: TypeAlias = Mapping[str, Any]
_ENDS: Final = frozenset({"response.completed", "response.incomplete", "response.failed"})


@frozen
class _Part:
    """How one kind of text within an item is told: its events, and the names of its fields."""

    kind: str
    delta: str
    text_done: str
    part_added: str | None
    part_done: str | None
    index: str | None
    holder: str
    text: str = "text"


_CONTENT: Final = ("response.content_part.added", "response.content_part.done", "content_index", "content")
_SUMMARY: Final = (
    "response.reasoning_summary_part.added",
    "response.reasoning_summary_part.done",
    "summary_index",
    "summary",
)
_PARTS: Final = (
    _Part("output_text", "response.output_text.delta", "response.output_text.done", *_CONTENT),
    _Part("refusal", "response.refusal.delta", "response.refusal.done", *_CONTENT, "refusal"),
    _Part("reasoning_text", "response.reasoning_text.delta", "response.reasoning_text.done", *_CONTENT),
    _Part(
        "summary_text",
        "response.reasoning_summary_text.delta",
        "response.reasoning_summary_text.done",
        *_SUMMARY,
    ),
)
_CALLS: Final[Mapping[str, tuple[str, str]]] = {
    "function_call": ("response.function_call_arguments", "arguments"),
    "custom_tool_call": ("response.custom_tool_call_input", "input"),
}


class ResponsesGrammarError(AssertionError):
    """The stream is not one OpenAI could have sent; says which event, by number and name, and why."""


@define
class _Walk:
    """The events and how far they have been read."""

    events: list[_Event]
    at: int = 0
    output: list[Any] = field(factory=list[Any])

    @property
    def kind(self) -> str:
        return str(self.events[self.at]["type"]) if self.at < len(self.events) else "the end"

    @property
    def breaks_off(self) -> bool:
        return self.kind == "error"

    def fail(self, why: str) -> ResponsesGrammarError:
        return ResponsesGrammarError(f"event {self.at} ({self.kind}): {why}")

    def take(self, kind: str) -> _Event:
        if self.kind != kind:
            raise self.fail(f"{kind} is due")
        self.at += 1
        return self.events[self.at - 1]

    def check(self, holds: bool, why: str) -> None:
        """Of the event taken last."""
        if not holds:
            self.at -= 1
            raise self.fail(why)


def validate_responses_stream(data: bytes) -> None:
    """Check a whole stream, to its last byte.

    Raises:
        ResponsesGrammarError: it breaks the grammar.
    """
    walk = _Walk(list(_events(data)))
    began = walk.take("response.created")["response"]
    walk.check(began["status"] == "in_progress" and began["output"] == [], "it has begun already")
    walk.take("response.in_progress")
    while walk.kind not in _ENDS and walk.kind != "error":
        _item(walk)
    if walk.kind == "error":
        walk.take("error")
        last = walk.take("response.failed")["response"]
        walk.check(last["status"] == "failed" and bool(last["error"]["message"]), "it does not say why")
    else:
        kind = walk.kind
        last = walk.take(kind)["response"]
        walk.check(kind == f"response.{last['status']}", f"the response is {last['status']}")
        walk.check(last["output"] == walk.output, "its output is not what was streamed")
    walk.check(last["id"] == began["id"], "it has another id than the first")
    if walk.at != len(walk.events):
        raise walk.fail("the stream was over")


def _events(data: bytes) -> Iterator[_Event]:
    number = 0
    text = data.decode("utf-8")
    if not text.endswith("\n\n"):
        raise ResponsesGrammarError("the stream does not end between two events")
    for frame in text.split("\n\n")[:-1]:
        lines = frame.split("\n")
        if all(line.startswith(":") for line in lines):
            continue
        if len(lines) != 2 or not lines[0].startswith("event: ") or not lines[1].startswith("data: "):
            raise ResponsesGrammarError(f"event {number}: not one event and its data: {frame!r}")
        event = cast("_Event", json.loads(lines[1].removeprefix("data: ")))
        if event["type"] != lines[0].removeprefix("event: "):
            raise ResponsesGrammarError(f"event {number}: named {lines[0]!r}, but of type {event['type']!r}")
        if event["sequence_number"] != number:
            raise ResponsesGrammarError(f"event {number} has the number {event['sequence_number']}")
        number += 1
        yield event


# --- Items --------------------------------------------------------------------------------------------


def _item(walk: _Walk) -> None:
    added = walk.take("response.output_item.added")
    index, item = added["output_index"], added["item"]
    walk.check(index == len(walk.output), f"item {len(walk.output)} is due")
    reads: Mapping[str, Callable[[_Walk, Any, int], Mapping[str, Any]]] = {
        "message": _parts,
        "reasoning": _parts,
        "function_call": _call,
        "custom_tool_call": _call,
    }
    read = reads.get(item["type"])
    said: Mapping[str, Any] = {} if read is None else read(walk, item, index)
    if walk.kind == "error":
        return
    done = walk.take("response.output_item.done")
    walk.check(done["output_index"] == index, "another item is open")
    whole = done["item"]
    walk.check(whole["type"] == item["type"] and whole.get("id") == item.get("id"), "another item is open")
    for name, value in said.items():
        walk.check(whole.get(name, value[:0]) == value, f"its {name} is not what was streamed")
    walk.output.append(whole)


def _call(walk: _Walk, item: _Event, index: int) -> Mapping[str, Any]:
    stem, name = _CALLS[item["type"]]
    walk.check(item[name] == "", f"its {name} has begun already")
    text = _deltas(walk, f"{stem}.delta", {"item_id": item["id"], "output_index": index})
    if walk.kind == "error":
        return {}
    done = walk.take(f"{stem}.done")
    walk.check(done[name] == text, f"the {name} is not what the deltas add up to")
    return {name: text}


def _deltas(walk: _Walk, kind: str, place: Mapping[str, object]) -> str:
    pieces: list[str] = []
    annotations = 0
    while walk.kind in (kind, "response.output_text.annotation.added"):
        event = walk.take(walk.kind)
        walk.check(all(event[name] == value for name, value in place.items()), "it belongs elsewhere")
        if event["type"] == kind:
            pieces.append(event["delta"])
        else:
            walk.check(event["annotation_index"] == annotations, f"annotation {annotations} is due")
            annotations += 1
    return "".join(pieces)


def _parts(walk: _Walk, item: _Event, index: int) -> Mapping[str, Any]:
    """The content of a message, or a thought's summary or raw text."""
    holder = "summary" if item["type"] == "reasoning" else "content"
    walk.check(item[holder] == [], f"its {holder} has begun already")
    found: dict[str, list[Any]] = {}
    while walk.kind in ("response.content_part.added", "response.reasoning_summary_part.added"):
        added = walk.take(walk.kind)
        part = next((part for part in _PARTS if part.kind == added["part"]["type"]), None)
        holder = "content" if part is None else part.holder
        known = found.setdefault(holder, [])
        index_name = "summary_index" if holder == "summary" else "content_index"
        place = {"item_id": item["id"], "output_index": index, index_name: len(known)}
        walk.check(all(added[name] == value for name, value in place.items()), "it belongs elsewhere")
        if part is None:
            known.append(walk.take("response.content_part.done")["part"])
            continue
        text = _deltas(walk, part.delta, place)
        if walk.breaks_off:
            return {}
        told = walk.take(part.text_done)
        walk.check(told[part.text] == text, "the text is not what the deltas add up to")
        done = walk.take(str(part.part_done))
        walk.check(all(done[name] == value for name, value in place.items()), "it belongs elsewhere")
        walk.check(done["part"][part.text] == text, "the part is not what the deltas add up to")
        known.append(done["part"])
    return found
