"""A part of a body that codecs may have read before (`lynkr.wire.piece_store`)."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, TypeAlias, TypeVar

from attrs import define, field

from lynkr.model import Json

_Node = TypeVar("_Node")
_Made = TypeVar("_Made")


@define(eq=False)
class Piece:
    """The value of some bytes, and what each decoder made of it.  Nobody changes either."""

    value: Json
    made: dict[Callable[..., object], Any] = field(factory=dict[Callable[..., object], Any])


Pieces: TypeAlias = Mapping[str, Sequence[Piece]]
"""By top-level field: one for each item of ``messages`` and ``input``, one for the whole of the others."""
NO_PIECES: Final[Pieces] = {}


def read_piece(
    pieces: Sequence[Piece] | None, at: int, node: _Node, decode: Callable[[_Node, str], _Made], path: str
) -> _Made:
    """What *decode* makes of *node*, found at *path*: the very same as before where it was read before.

    What *decode* makes depends on nothing but *node*; *path* is for its errors only.
    """
    if pieces is None:
        return decode(node, path)
    made = pieces[at].made
    found: _Made | None = made.get(decode)
    if found is None:
        found = made[decode] = decode(node, path)
    return found
