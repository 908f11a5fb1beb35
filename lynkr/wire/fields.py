"""Reading and writing the nodes of a body: typed fields, unknown fields, what was lost.

Shared by codecs; knows no dialect.
"""

from collections.abc import Mapping
from typing import Final, TypeAlias

from attrs import field, frozen

from lynkr.errors import ClientWireError
from lynkr.model import NO_EXTRAS, Extras, Json, Loss, WireFormat

Node: TypeAlias = Mapping[str, Json]
Draft: TypeAlias = dict[str, Json]

_NO_NODE: Final[Node] = {}


class Losses:
    """What an encoder could not carry, each path once, in order of discovery."""

    def __init__(self) -> None:
        self._found: dict[str, Loss] = {}

    def add(self, path: str, reason: str) -> None:
        self._found.setdefault(path, Loss(path, reason))

    def add_extras(self, extras: Extras, path: str, reason: str) -> None:
        """Every field of *extras*; *path* is the node's that holds them, empty for the root."""
        prefix = f"{path}.extras" if path else "extras"
        for name in extras.fields:
            self.add(f"{prefix}.{name}", reason)

    def all(self) -> tuple[Loss, ...]:
        return tuple(self._found.values())


@frozen
class Shape:
    """The names of a wire object that the codec understands.

    What it does not understand goes to `Extras` and back.  Extras mirror the
    wire: an unknown field of the nested object ``function`` is kept as
    ``{"function": {"x": 1}}``.
    """

    format: WireFormat
    known: frozenset[str]
    nested: Mapping[str, "Shape"] = field(factory=dict[str, "Shape"])

    def leftover(self, node: Node) -> Draft:
        """The fields of *node* nobody here understands."""
        if not self.nested and node.keys() <= self.known:
            return {}
        found: Draft = {}
        for name, value in node.items():
            if name in self.known:
                continue
            inner = self.nested.get(name)
            if inner is None:
                found[name] = value
            elif isinstance(value, dict | Mapping):
                below = inner.leftover(value)
                if below:
                    found[name] = below
        return found

    def extras(self, node: Node) -> Extras:
        return as_extras(self.format, self.leftover(node))

    def restore(self, draft: Draft, extras: Extras, path: str, losses: Losses) -> None:
        """Write *extras* back into *draft*; a field that is not ours, or that another holds, is a loss."""
        if not extras.fields:
            return
        if extras.format is not self.format:
            losses.add_extras(extras, path, "a field of another dialect")
            return
        self.merge(draft, extras.fields, f"{path}.extras" if path else "extras", losses)

    def merge(self, draft: Draft, fields: Node, path: str, losses: Losses) -> None:
        for name, value in fields.items():
            inner = self.nested.get(name)
            if inner is None and name not in self.known:
                draft[name] = value
                continue
            below = draft.setdefault(name, {}) if inner is not None and isinstance(value, Mapping) else None
            if inner is not None and isinstance(value, Mapping) and value and isinstance(below, dict):
                inner.merge(below, value, f"{path}.{name}", losses)
            else:
                losses.add(f"{path}.{name}", "the canonical value of this field is written instead")


def as_extras(format: WireFormat, fields: Draft) -> Extras:
    return Extras(format, fields) if fields else NO_EXTRAS


def shape(format: WireFormat, *known: str, **nested: Shape) -> Shape:
    return Shape(format, frozenset(known), nested)


# --- Fields of a client's body ------------------------------------------------------------------------


def join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def kind_of(value: Json) -> str:
    """What JSON calls *value*."""
    match value:
        case None:
            return "null"
        case bool():
            return "a boolean"
        case int() | float():
            return "a number"
        case str():
            return "a string"
        case Mapping():
            return "an object"
        case _:
            return "an array"


def wrong(path: str, expected: str, value: Json) -> ClientWireError:
    return ClientWireError(f"must be {expected}, not {kind_of(value)}", field=path)


def required(node: Node, name: str, path: str) -> Json:
    if name not in node:
        raise ClientWireError("is required", field=join(path, name))
    return node[name]


def text_of(node: Node, name: str, path: str) -> str:
    value = node.get(name)
    if isinstance(value, str):
        return value
    raise wrong(join(path, name), "a string", required(node, name, path))


def name_of(node: Node, path: str) -> str:
    """The name of a tool; a model could not call one whose name is empty."""
    name = text_of(node, "name", path)
    if not name:
        raise ClientWireError("must not be empty", field=join(path, "name"))
    return name


def optional_text(node: Node, name: str, path: str) -> str | None:
    value = node.get(name)
    if value is None or isinstance(value, str):
        return value
    raise wrong(join(path, name), "a string", value)


def optional_int(node: Node, name: str, path: str = "") -> int | None:
    value = node.get(name)
    if value is None or (isinstance(value, int) and not isinstance(value, bool)):
        return value
    raise wrong(join(path, name), "an integer", value)


def optional_number(node: Node, name: str, path: str = "") -> float | None:
    value = node.get(name)
    if value is None or (isinstance(value, int | float) and not isinstance(value, bool)):
        return value
    raise wrong(join(path, name), "a number", value)


def optional_bool(node: Node, name: str, path: str = "") -> bool | None:
    value = node.get(name)
    if value is None or isinstance(value, bool):
        return value
    raise wrong(join(path, name), "a boolean", value)


def object_at(value: Json, path: str) -> Node:
    if isinstance(value, dict | Mapping):  # `dict` first: it is what comes, and quick to tell
        return value
    raise wrong(path, "an object", value)


def object_of(node: Node, name: str, path: str) -> Node:
    return object_at(required(node, name, path), join(path, name))


def array_of(node: Node, name: str, path: str) -> list[Json]:
    """The array *name* holds; empty where it is absent or null."""
    return array_at(node.get(name), join(path, name))


def array_at(value: Json, path: str) -> list[Json]:
    if value is None:
        return []
    if isinstance(value, list | tuple):
        return list(value)
    raise wrong(path, "an array", value)


# --- Fields of a provider's answer: what is not understood is unknown, not an error -------------------


def node_or_empty(value: Json) -> Node:
    return value if isinstance(value, Mapping) else _NO_NODE


def text_or_empty(value: Json) -> str:
    return value if isinstance(value, str) else ""


def count_or_none(value: Json) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None
