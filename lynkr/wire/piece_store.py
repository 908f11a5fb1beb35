"""Parts of clients' bodies that came before, to the byte: they need not be read again.

A client sends its tools and its system prompt with every request, and of a
conversation all but the newest messages.  So the values of those fields are kept
for a while, by their exact bytes, with what codecs made of them: the same bytes
give the very same objects.  Reading 60 KB of which only the last message is new
takes a quarter of the time (`benchmarks/hot_paths`).

What comes of a body is the same with and without a store, errors included
(`tests/wire/test_piece_store.py`): whatever is not plainly in order is read by
`lynkr.wire.json_body` as if there were none.
"""

from collections.abc import Sequence
from typing import Any, Final

from attrs import define, field

from lynkr.model import Json
from lynkr.wire.json_body import (
    DEFAULT_MAX_DEPTH,
    SURROGATE_ESCAPE,
    JsonBody,
    is_deeper,
    parse_body,
    quick_reader,
)
from lynkr.wire.piece import Piece
from lynkr.wire.quick_json import QuickJson

MOST_BYTES: Final = 16 * 2**20
"""About how much memory a store takes at most."""

_BRACKET: Final = ord("[")
_PLAIN: Final = frozenset(b"-0123456789tfn")  # what numbers, true, false and null begin with
_WHOLE: Final = frozenset({"tools", "system"})
_EACH: Final = frozenset({"messages", "input"})
_SMALL_VALUE: Final = 256
_NOTHING: Final = (b"", None)
_LEVELS_ABOVE: Final = 2  # the body and its list of messages
# A piece's bytes, its values and what was made of them; measured on tools and on messages.
_BYTES_EACH: Final = 1_000
_BYTES_PER_BYTE: Final = 4


@define(eq=False)
class PieceStore:
    """Reads bodies, keeping the larger parts of the latest.  For one thread.

    *most_bytes* bounds the memory it takes: an older half is dropped whenever
    the younger is full.  Bodies below *least_bytes* are nearly all new, and read
    in microseconds.  *max_depth* is as of `parse_body`.
    """

    max_depth: int = DEFAULT_MAX_DEPTH
    most_bytes: int = MOST_BYTES
    least_bytes: int = 8_192
    _young: dict[bytes, Piece] = field(factory=dict[bytes, Piece])
    _old: dict[bytes, Piece] = field(factory=dict[bytes, Piece])
    _size: int = 0
    _latest: dict[str, tuple[bytes, Piece | None]] = field(factory=dict[str, tuple[bytes, Piece | None]])
    _quick: QuickJson | None = field(factory=quick_reader)

    def read(self, data: bytes) -> JsonBody:
        """The body that *data* is.

        Raises:
            ClientWireError: as `parse_body`.
        """
        body = None
        if self._quick is not None and len(data) >= self.least_bytes and self.max_depth > _LEVELS_ABOVE:
            body = self._read(self._quick, data)
        return parse_body(data, max_depth=self.max_depth) if body is None else body

    def _read(self, quick: QuickJson, data: bytes) -> JsonBody | None:
        """None where something is, or may be, wrong."""
        value: dict[str, Json] = {}
        pieces: dict[str, Sequence[Piece]] = {}
        try:
            found = quick.members(data)
            if found is None:
                return None
            members, spans = found
            for name, raw in members.items():
                start, end = spans[name]
                if name in _EACH and data[start] == _BRACKET:
                    each = [self._piece(quick, bytes(item), _LEVELS_ABOVE) for item in quick.items(raw)]
                    value[name] = [piece.value for piece in each]
                    pieces[name] = each
                elif name in _WHOLE and end - start > _SMALL_VALUE:
                    text, piece = self._latest.get(name, _NOTHING)
                    # Nearly always the latest, which is told without a copy, and without a hash.
                    if piece is None or len(text) != end - start or not data.startswith(text, start):
                        text = bytes(raw)
                        piece = self._piece(quick, text, 1)
                        if text in self._young:
                            self._latest[name] = text, piece
                    value[name] = piece.value
                    pieces[name] = (piece,)
                else:
                    value[name] = self._value(quick, bytes(raw), 1)
        except (ValueError, RecursionError):
            return None
        return JsonBody(data, value, spans, pieces)

    def _piece(self, quick: QuickJson, text: bytes, above: int) -> Piece:
        """The piece that *text* is; *above* levels are around it."""
        found = self._young.get(text)
        if found is None:
            found = self._old.get(text) or Piece(self._value(quick, text, above))
            self._keep(text, found)
        return found

    def _keep(self, text: bytes, piece: Piece) -> None:
        size = _BYTES_EACH + _BYTES_PER_BYTE * len(text)
        if size > self.most_bytes // 8:
            return
        if self._size + size > self.most_bytes // 2:
            self._old, self._young, self._size = self._young, {}, 0
        self._young[text] = piece
        self._size += size

    def _value(self, quick: QuickJson, text: bytes, above: int) -> Any:  # noqa: ANN401  # JSON enters here
        """The value of *text*.

        Raises:
            ValueError, RecursionError: it is not plainly in order.
        """
        value = quick.read(text)
        if text[0] not in _PLAIN and (
            SURROGATE_ESCAPE.search(text) or is_deeper(text, value, self.max_depth - above)
        ):
            raise ValueError("to be read with more care")
        return value
