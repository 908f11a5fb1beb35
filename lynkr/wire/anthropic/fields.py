"""Reading the fields of a JSON node: typed, and naming the exact place that is wrong."""

from collections.abc import Mapping, Sequence
from typing import Final, TypeGuard

from lynkr.model import NO_EXTRAS, Extras, Json, Loss, WireFormat

FORMAT: Final = WireFormat.ANTHROPIC_MESSAGES


class FieldError(Exception):
    """A node is not what the wire format says; becomes a `WireError` where its author is known.

    *path* is in the wire's own names, such as ``messages[2].content[0].text``.
    """

    def __init__(self, path: str, problem: str) -> None:
        super().__init__(f"{path}: {problem}" if path else problem)
        self.path = path
        self.problem = problem


def join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def kind_of(value: object) -> str:
    """JSON's own word for the kind of *value*."""
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


def is_object(value: object) -> TypeGuard[Mapping[str, Json]]:
    return isinstance(value, dict | Mapping)  # `dict` first: it is what comes, and quick to tell


def as_object(value: Json, path: str) -> Mapping[str, Json]:
    if isinstance(value, dict | Mapping):
        return value
    raise FieldError(path, f"must be an object, not {kind_of(value)}")


def as_array(value: Json, path: str) -> Sequence[Json]:
    if isinstance(value, list | tuple):
        return value
    raise FieldError(path, f"must be an array, not {kind_of(value)}")


def as_string(value: Json, path: str) -> str:
    if isinstance(value, str):
        return value
    raise FieldError(path, f"must be a string, not {kind_of(value)}")


def as_integer(value: Json, path: str) -> int:
    """A whole number that is not negative; no field of this dialect may be."""
    if isinstance(value, int) and not isinstance(value, bool):
        if value >= 0:
            return value
        raise FieldError(path, "must not be negative")
    raise FieldError(
        path, f"must be an integer, not {'a fraction' if isinstance(value, float) else kind_of(value)}"
    )


def as_number(value: Json, path: str) -> float:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return value
    raise FieldError(path, f"must be a number, not {kind_of(value)}")


def as_boolean(value: Json, path: str) -> bool:
    if isinstance(value, bool):
        return value
    raise FieldError(path, f"must be a boolean, not {kind_of(value)}")


def required(node: Mapping[str, Json], name: str, path: str) -> Json:
    try:
        return node[name]
    except KeyError:
        raise FieldError(join(path, name), "this field is required") from None


def required_string(node: Mapping[str, Json], name: str, path: str) -> str:
    value = required(node, name, path)
    return value if isinstance(value, str) else as_string(value, join(path, name))


def unknown_fields(node: Mapping[str, Json], known: frozenset[str]) -> Extras:
    """The fields of *node* outside *known*, kept for the way back."""
    if node.keys() <= known:
        return NO_EXTRAS
    return Extras(FORMAT, {name: value for name, value in node.items() if name not in known})


class Losses:
    """Collects what an encoder could not carry, each place and reason once."""

    def __init__(self) -> None:
        self._seen: dict[Loss, None] = {}

    def add(self, path: str, reason: str) -> None:
        self._seen[Loss(path, reason)] = None

    def all(self) -> tuple[Loss, ...]:
        return tuple(self._seen)

    def own(self, extras: Extras, path: str) -> Mapping[str, Json]:
        """The fields of *extras* if they are Anthropic's; another dialect's are noted as lost."""
        if extras is NO_EXTRAS or extras.format is FORMAT:
            return extras.fields
        owner = extras.format.value if extras.format else "nobody"
        for name in extras.fields:
            self.add(join(join(path, "extras"), name), f"a field of {owner}, which Anthropic has no name for")
        return NO_EXTRAS.fields


def with_extras(known: dict[str, Json], own: Mapping[str, Json]) -> dict[str, Json]:
    """*known*, then the fields of *own* that it does not have."""
    for name, value in own.items():
        known.setdefault(name, value)
    return known
