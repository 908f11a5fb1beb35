"""A kept answer as JSON text, and back."""

import json
from collections.abc import Mapping, Sequence
from typing import Any, assert_never, cast

from lynkr.model import (
    Extras,
    Foreign,
    Image,
    ImageSource,
    Json,
    Message,
    Opaque,
    Part,
    Reasoning,
    Role,
    Text,
    ToolCall,
    ToolResult,
    WireFormat,
)
from lynkr.stores.responses import StoredResponse


def saved(stored: StoredResponse) -> str:
    """*stored* as text, for `restored`."""
    messages = [
        [message.role.value, [_row_of(part) for part in message.parts], _of_extras(message.extras)]
        for message in stored.messages
    ]
    return json.dumps([stored.provider, messages], default=_plain)


def restored(text: str) -> StoredResponse:
    """Undo `saved`.

    Raises:
        ValueError, TypeError, KeyError, IndexError: *text* is something else.
    """
    provider, messages = json.loads(text)
    return StoredResponse(
        tuple(
            Message(Role(role), tuple(map(_part_of, parts)), _extras_of(extras))
            for role, parts, extras in messages
        ),
        provider,
    )


def _plain(value: object) -> object:
    """What JSON's writer does not know, of what `Json` may be."""
    if isinstance(value, Mapping):
        return dict(cast("Mapping[str, Json]", value))
    raise TypeError(f"a {type(value).__name__} is no JSON")


def _row_of(part: Part) -> list[Any]:
    match part:
        case Text():
            return ["text", part.text, _of_extras(part.extras)]
        case Image():
            return ["image", part.source.value, part.value, part.media_type, _of_extras(part.extras)]
        case Reasoning():
            seal = None if part.seal is None else [part.seal.format.value, part.seal.value]
            return ["reasoning", part.text, seal, part.redacted, _of_extras(part.extras)]
        case ToolCall():
            return ["call", part.id, part.name, part.arguments, _of_extras(part.extras)]
        case ToolResult():
            content = [_row_of(one) for one in part.content]
            return ["result", part.call_id, content, part.is_error, _of_extras(part.extras)]
        case Foreign():
            return ["foreign", part.format.value, part.value]
        case _:
            assert_never(part)


def _part_of(row: Sequence[Any]) -> Part:
    match row:
        case ["text", text, extras]:
            return Text(text, _extras_of(extras))
        case ["image", source, value, media_type, extras]:
            return Image(ImageSource(source), value, media_type, _extras_of(extras))
        case ["reasoning", text, seal, redacted, extras]:
            sealed = None if seal is None else Opaque(WireFormat(seal[0]), seal[1])
            return Reasoning(text, sealed, redacted, _extras_of(extras))
        case ["call", id, name, arguments, extras]:
            return ToolCall(id, name, arguments, _extras_of(extras))
        case ["result", call_id, content, is_error, extras]:
            parts = tuple(_content_of(one) for one in content)
            return ToolResult(call_id, parts, is_error, _extras_of(extras))
        case ["foreign", format, value]:
            return Foreign(WireFormat(format), value)
        case _:
            raise ValueError(f"{row[:1]} is no part")


def _content_of(row: Sequence[Any]) -> Text | Image | Foreign:
    part = _part_of(row)
    if not isinstance(part, Text | Image | Foreign):
        raise TypeError(f"a {type(part).__name__} is no content of a tool's result")
    return part


def _of_extras(extras: Extras) -> list[Any] | None:
    return [extras.format, extras.fields] if extras.format is not None or extras.fields else None


def _extras_of(row: Sequence[Any] | None) -> Extras:
    if row is None:
        return Extras()
    return Extras(None if row[0] is None else WireFormat(row[0]), row[1])
