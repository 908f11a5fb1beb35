"""Reading and writing the nodes of a Responses body: `lynkr.wire.fields`, bound to the dialect."""

from typing import Final

from lynkr.model import NO_EXTRAS, Extras, WireFormat
from lynkr.wire import fields
from lynkr.wire.fields import Draft, Node, Shape

RESPONSES: Final = WireFormat.OPENAI_RESPONSES


def as_extras(found: Draft) -> Extras:
    return fields.as_extras(RESPONSES, found)


def shape(*known: str, **nested: Shape) -> Shape:
    return fields.shape(RESPONSES, *known, **nested)


def without(extras: Extras, *names: str) -> Extras:
    """*extras* less the marks *names*, where they are ours."""
    if extras.format is not RESPONSES or extras.fields.keys().isdisjoint(names):
        return extras
    return as_extras({name: value for name, value in extras.fields.items() if name not in names})


def mark_of(extras: Extras, name: str) -> str | None:
    """The text our mark *name* holds."""
    value = extras.of(RESPONSES).get(name)
    return value if isinstance(value, str) else None


# Item ids that lynkr gave, in answers of providers that have none.  They mean nothing to anybody, so they
# are left out where a client sends them back.
_OURS: Final = "_lynkr_"


def made_up_id(prefix: str, response_id: str, number: int) -> str:
    """An id for item *number* of an answer, the same for the same answer."""
    tail = "".join(sign for sign in response_id if sign.isascii() and (sign.isalnum() or sign in "_-"))
    return f"{prefix}{_OURS}{tail.removeprefix('resp_')[:40]}_{number}"


def drop_usual(unknown: Draft) -> bool:
    """Take out of an item's unknown fields what says nothing; whether an id that lynkr gave was there."""
    for name in ("status", "content", "encrypted_content"):
        if name in unknown and unknown[name] in (None, "completed"):
            del unknown[name]
    item_id = unknown.get("id")
    is_ours = isinstance(item_id, str) and item_id.partition("_")[2].startswith("lynkr_")
    if is_ours or item_id is None:
        unknown.pop("id", None)
    return is_ours


NO_NODE: Final[Node] = {}
__all__ = [
    "NO_EXTRAS",
    "NO_NODE",
    "RESPONSES",
    "Draft",
    "Node",
    "Shape",
    "as_extras",
    "drop_usual",
    "made_up_id",
    "mark_of",
    "shape",
    "without",
]
