"""How large and how whole a client's body must be, before it is read any further."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from attrs import frozen

from lynkr.errors import ClientWireError
from lynkr.model import Json, WireFormat
from lynkr.wire.json_body import DEFAULT_MAX_DEPTH, JsonBody, parse_body
from lynkr.wire.piece_store import PieceStore

# Fields without which a body can be counted but not answered.
_NEEDED_TO_ANSWER: Final[Mapping[WireFormat, str]] = MappingProxyType(
    {WireFormat.ANTHROPIC_MESSAGES: "max_tokens"}
)


@frozen
class RequestBounds:
    """The most of each that a body may hold: messages (items of ``input``), tools, levels of JSON.

    Anthropic takes 100,000 messages (docs, "Create a Message", read 2026-11), which nobody sends.
    """

    max_messages: int = 20_000
    max_tools: int = 2_000
    max_depth: int = DEFAULT_MAX_DEPTH

    def check(self, body: Mapping[str, Json]) -> None:
        """Do nothing for a body within bounds.

        Raises:
            ClientWireError: it has too many messages or tools; names the field (413).
        """
        for field, most, setting in (
            ("messages", self.max_messages, "server.max_messages"),
            ("input", self.max_messages, "server.max_messages"),
            ("tools", self.max_tools, "server.max_tools"),
        ):
            items = body.get(field)
            if isinstance(items, list | tuple) and len(items) > most:
                raise ClientWireError(
                    f"holds {len(items)} items, more than the {most} this gateway takes ({setting})",
                    field=field,
                    status=413,
                )

    def read(self, data: bytes, answer_in: WireFormat | None, pieces: PieceStore | None = None) -> JsonBody:
        """The body that *data* is; one to be answered, in *answer_in*, must be whole.

        *pieces* are those of earlier bodies, made for the same depth.

        Raises:
            ClientWireError: it is no JSON object, out of bounds, or lacks a field.
        """
        body = parse_body(data, max_depth=self.max_depth) if pieces is None else pieces.read(data)
        self.check(body.value)
        needed = None if answer_in is None else _NEEDED_TO_ANSWER.get(answer_in)
        if needed is not None and needed not in body.value:
            raise ClientWireError("is required", field=needed)
        return body


DEFAULT_BOUNDS: Final = RequestBounds()
