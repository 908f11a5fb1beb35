"""Between a stream and a whole answer: `fold` and `unfold`.

Law: ``fold(unfold(response)) == response`` for every response whose parts have
an event form, which is every response a codec can decode.
"""

from collections.abc import Iterable
from typing import assert_never

from attrs import evolve, fields

from lynkr.errors import UpstreamWireError
from lynkr.model.content import Foreign, Image, Opaque, Part, Reasoning, Text, ToolCall, ToolResult
from lynkr.model.events import Event, Finish, PartDelta, PartEnd, PartStart, Start
from lynkr.model.extras import NO_EXTRAS, Extras, Json
from lynkr.model.response import Response, Usage


class Folder:
    """Collects the events of one stream into a `Response`."""

    def __init__(self) -> None:
        self._start: Start | None = None
        self._finish: Finish | None = None
        self._parts: dict[int, Part] = {}
        self._texts: dict[int, list[str]] = {}
        self._extras: dict[int, dict[str, Json]] = {}
        self._seals: dict[int, Opaque] = {}
        self._open: set[int] = set()

    def add(self, event: Event) -> None:
        """Take the next event.

        Raises:
            UpstreamWireError: it does not follow from those before it.
        """
        if self._finish is not None:
            raise UpstreamWireError("an event after the final one")
        match event:
            case PartDelta():
                if event.index not in self._open:
                    raise UpstreamWireError(f"a delta for part {event.index}, which is not open")
                self._texts[event.index].append(event.text)
                if event.extras is not NO_EXTRAS:
                    self._keep_extras(event)
            case PartStart():
                if event.index in self._parts:
                    raise UpstreamWireError(f"part {event.index} begins twice")
                self._parts[event.index] = event.part
                self._texts[event.index] = []
                self._open.add(event.index)
            case PartEnd():
                if event.index not in self._open:
                    raise UpstreamWireError(f"part {event.index} ends, but is not open")
                self._open.remove(event.index)
                if event.seal is not None:
                    self._seals[event.index] = event.seal
            case Start():
                if self._start is not None:
                    raise UpstreamWireError("the stream begins twice")
                self._start = event
            case Finish():
                self._finish = event
            case _:
                assert_never(event)

    def _keep_extras(self, event: PartDelta) -> None:
        """A delta's extra fields go to their part; lists of the same field are joined."""
        kept = self._extras.setdefault(event.index, {})
        for name, value in event.extras.fields.items():
            before = kept.get(name)
            if isinstance(before, list) and isinstance(value, list):
                kept[name] = [*before, *value]
            else:
                kept[name] = value
        part = self._parts[event.index]
        if not isinstance(part, Foreign) and part.extras.format is None:
            self._parts[event.index] = evolve(part, extras=Extras(event.extras.format))

    def parts(self) -> tuple[Part, ...]:
        """The parts so far, in order of index, each with the text so far."""
        return tuple(self._part(index) for index in sorted(self._parts))

    def _part(self, index: int) -> Part:
        part, text = self._parts[index], "".join(self._texts[index])
        if index in self._extras and not isinstance(part, Foreign):
            merged = {**part.extras.fields, **self._extras[index]}
            part = evolve(part, extras=Extras(part.extras.format, merged))
        match part:
            case Text():
                return evolve(part, text=part.text + text) if text else part
            case Reasoning():
                seal = self._seals.get(index, part.seal)
                return evolve(part, text=part.text + text, seal=seal)
            case ToolCall():
                return evolve(part, arguments=part.arguments + text) if text else part
            case Image() | ToolResult() | Foreign():
                return part
            case _:
                assert_never(part)

    def response(self) -> Response:
        """The whole answer.

        Raises:
            UpstreamWireError: `Start` or `Finish` never came.
        """
        start, finish = self._start, self._finish
        if start is None or finish is None:
            raise UpstreamWireError("the stream ended before its final event")
        return Response(
            id=start.id,
            model=start.model,
            parts=self.parts(),
            stop_reason=finish.stop_reason,
            usage=_merge_usage(start.usage, finish.usage),
            stop_sequence=finish.stop_sequence,
            created=start.created,
            extras=_merge_extras(start.extras, finish.extras),
        )


def _merge_usage(early: Usage, late: Usage) -> Usage:
    """The final counts, filled in from the first event where the final one is silent."""
    known = {
        name: value if (value := getattr(late, name)) is not None else getattr(early, name)
        for name in (attribute.name for attribute in fields(Usage))
    }
    return Usage(**known)


def _merge_extras(early: Extras, late: Extras) -> Extras:
    if not late.fields:
        return early
    if not early.fields:
        return late
    return Extras(late.format, {**early.fields, **late.fields})


def fold(events: Iterable[Event]) -> Response:
    """The answer a complete stream adds up to.

    Raises:
        UpstreamWireError: the stream is not whole or breaks the grammar.
    """
    folder = Folder()
    for event in events:
        folder.add(event)
    return folder.response()


def unfold(response: Response) -> tuple[Event, ...]:
    """*response* as the shortest stream that folds back to it."""
    events: list[Event] = [
        Start(response.id, response.model, created=response.created, extras=response.extras),
    ]
    for index, part in enumerate(response.parts):
        events.extend(_unfold_part(index, part))
    events.append(Finish(response.stop_reason, response.usage, response.stop_sequence))
    return tuple(events)


def _unfold_part(index: int, part: Part) -> tuple[Event, ...]:
    match part:
        case Text(text=text) if text:
            return PartStart(index, evolve(part, text="")), PartDelta(index, text), PartEnd(index)
        case Reasoning(text=text) if text and not part.redacted:
            bare = evolve(part, text="", seal=None)
            return PartStart(index, bare), PartDelta(index, text), PartEnd(index, part.seal)
        case ToolCall(arguments=text) if text:
            return PartStart(index, evolve(part, arguments="")), PartDelta(index, text), PartEnd(index)
        case _:
            return PartStart(index, part), PartEnd(index)
