"""A JSON body read once: its value, and where each top-level field stands in the text.

The spans let a same-dialect body go upstream with only ``model`` replaced and
every other character kept: key order, number spelling, white space, escapes.
"""

import json
import re
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final, Self, TypeAlias, cast

from attrs import field, frozen

from lynkr.errors import ClientWireError
from lynkr.model import Json

_SPACE: Final = re.compile(r"[ \t\n\r]*")
_SURROGATE_ESCAPE: Final = re.compile(r"\\u[dD][89a-fA-F]")
_BOM: Final = "\ufeff"
DEFAULT_MAX_DEPTH: Final = 200
_CONTAINERS: Final = frozenset((dict, list))
_Level: TypeAlias = list[dict[str, object] | list[object]]


class ExactFloat(float):
    """A float whose spelling ``repr`` would not give back (``1e2``, ``0.10``); *text* keeps it."""

    __slots__ = ("text",)
    text: str

    def __new__(cls, text: str) -> Self:
        self = super().__new__(cls, text)
        self.text = text
        return self


@frozen
class RawJson:
    """JSON text to be written as it stands, such as a tool call's arguments."""

    text: str


@frozen
class JsonBody:
    """A parsed object, its text, and the span of each top-level value in that text."""

    text: str = field(repr=False)
    value: Mapping[str, Json] = field(repr=False)
    spans: Mapping[str, tuple[int, int]] = field(repr=False)

    def splice(self, name: str, value: Json) -> bytes:
        """The text with the top-level field *name* replaced; added at the front if absent."""
        replacement = json.dumps(value, ensure_ascii=False)
        span = self.spans.get(name)
        if span is not None:
            start, end = span
            return f"{self.text[:start]}{replacement}{self.text[end:]}".encode()
        brace = self.text.index("{") + 1
        comma = "," if self.spans else ""
        return f"{self.text[:brace]}{json.dumps(name)}:{replacement}{comma}{self.text[brace:]}".encode()

    def edit(self, put: Mapping[str, Json], drop: Collection[str] = ()) -> bytes:
        """The text with the top-level fields of *put* set and those of *drop* gone.

        A field that is there is replaced where it stands, a new one goes to
        the front; a field in both is set.  Every other member keeps its text.
        """
        begin = at = self.text.index("{") + 1
        added = [f"{json.dumps(name)}:{json_text(put[name])}" for name in put if name not in self.spans]
        written = [",".join(added)] if added else []
        for name, (start, end) in self.spans.items():
            # From the last member's end: white space and, but for the first member, a comma; then the name.
            lead, is_first, at = self.text[at:start], at == begin, end
            if name in drop and name not in put:
                continue
            if is_first and written:
                lead = f",{lead}"
            elif not is_first and not written:
                lead = lead.partition(",")[2]
            written += (lead, json_text(put[name]) if name in put else self.text[start:end])
        return f"{self.text[:begin]}{''.join(written)}{self.text[at:]}".encode()


def _parse_float(text: str) -> float:
    value = float(text)
    return value if repr(value) == text else ExactFloat(text)


def _reject_constant(text: str) -> float:
    raise ValueError(f"{text} is not JSON")


_DECODER: Final = json.JSONDecoder(parse_float=_parse_float, parse_constant=_reject_constant)
# NaN and infinity are refused so that they never reach a wire; see `_write` for 1e999.
_COMPACT: Final = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), allow_nan=False)


def parse_value(data: bytes | str, *, max_depth: int = DEFAULT_MAX_DEPTH) -> Any:  # noqa: ANN401  # JSON enters here
    """Any JSON value; number spellings survive in `ExactFloat`.

    Raises:
        ValueError: not UTF-8, not JSON, or nested too deeply.
    """
    text = data if isinstance(data, str) else data.decode("utf-8")
    try:
        value = _DECODER.decode(text)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error
    if _is_deeper(text, value, max_depth):
        raise ValueError(f"nested more than {max_depth} levels deep")
    return value


def parse_body(data: bytes, *, max_depth: int = DEFAULT_MAX_DEPTH) -> JsonBody:
    """Read a client's body.

    Raises:
        ClientWireError: not UTF-8, not JSON, not an object, a top-level field
            twice (a budget rule would read one and the upstream the other), a
            lone surrogate (no upstream can be sent it), or nested too deeply.
    """
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ClientWireError(f"the body is not UTF-8 (byte {error.start})") from error
    try:
        value, spans = _scan_object(text)
    except RecursionError as error:
        raise ClientWireError("the body is nested too deeply") from error
    except ValueError as error:
        raise ClientWireError(f"the body is not valid JSON: {error}") from error
    if _is_deeper(text, value, max_depth):
        raise ClientWireError(f"the body is nested more than {max_depth} levels deep")
    if _SURROGATE_ESCAPE.search(text):
        _reject_lone_surrogates(value)
    return JsonBody(text, value, spans)


def _skip_space(text: str, at: int) -> int:
    found = _SPACE.match(text, at)
    return found.end() if found else at


def _scan_object(text: str) -> tuple[dict[str, Json], dict[str, tuple[int, int]]]:
    """The object *text* consists of, and where each of its values stands."""
    scan = _DECODER.raw_decode
    value: dict[str, Json] = {}
    spans: dict[str, tuple[int, int]] = {}
    # A byte order mark may be ignored (RFC 8259, section 8.1); it stays in the text, which goes on as sent.
    at = _skip_space(text, 1 if text.startswith(_BOM) else 0)
    if text[at : at + 1] != "{":
        raise ClientWireError("the body must be a JSON object")
    at = _skip_space(text, at + 1)
    if text[at : at + 1] == "}":
        _expect_end(text, at + 1)
        return value, spans
    while True:
        if text[at : at + 1] != '"':
            raise json.JSONDecodeError("expected a field name in double quotes", text, at)
        name, at = scan(text, at)
        at = _skip_space(text, at)
        if text[at : at + 1] != ":":
            raise json.JSONDecodeError("expected ':'", text, at)
        start = _skip_space(text, at + 1)
        if name in value:
            raise ClientWireError("the field stands in the body twice", field=_printable(name))
        value[name], at = scan(text, start)
        spans[name] = (start, at)
        at = _skip_space(text, at)
        mark = text[at : at + 1]
        if mark == "}":
            _expect_end(text, at + 1)
            return value, spans
        if mark != ",":
            raise json.JSONDecodeError("expected ',' or '}'", text, at)
        at = _skip_space(text, at + 1)


def _expect_end(text: str, at: int) -> None:
    end = _skip_space(text, at)
    if end != len(text):
        raise json.JSONDecodeError("extra text after the object", text, end)


def _is_deeper(text: str, value: object, max_depth: int) -> bool:
    """Whether *value* is nested more than *max_depth* levels deep, found without recursion."""
    if text.count("{") + text.count("[") <= max_depth:
        return False
    level: _Level = [[value]]
    for _ in range(max_depth + 1):
        inner = [
            child
            for node in level
            for child in (node.values() if isinstance(node, dict) else node)
            if type(child) in _CONTAINERS
        ]
        level = cast("_Level", inner)
        if not level:
            return False
    return True


def _printable(name: str) -> str:
    return name.encode("utf-8", "backslashreplace").decode()


def _reject_lone_surrogates(value: Mapping[str, Json]) -> None:
    for name, child in value.items():
        try:
            json.dumps({name: child}, ensure_ascii=False).encode("utf-8")
        except UnicodeEncodeError as error:
            raise ClientWireError("holds a lone surrogate", field=_printable(name)) from error


def dump(body: object) -> bytes:
    """Compact UTF-8 JSON; `RawJson` leaves are written as they stand.

    Any Mapping is an object, any Sequence an array.  A lone surrogate, which
    only a provider can bring in, is written escaped.

    Raises:
        TypeError: a leaf is neither JSON nor `RawJson`.
        ValueError: a float is NaN or infinite.
    """
    text = _dump_text(body)
    try:
        return text.encode("utf-8")
    except UnicodeEncodeError:
        return _escape_surrogates(text)


def _escape_surrogates(text: str) -> bytes:
    return re.sub("[\ud800-\udfff]", lambda found: f"\\u{ord(found[0]):04x}", text).encode("utf-8")


# What stands for a `RawJson` while the C encoder runs; about four times as fast as writing in Python.
_PLACE: Final = "\x00lynkr raw json\x00"
_PLACE_TEXT: Final = json.dumps(_PLACE)


def _dump_text(body: object) -> str:
    raws: list[str] = []

    def default(node: object) -> object:
        if isinstance(node, RawJson):
            raws.append(node.text)
            return _PLACE
        return _plain(node)

    try:
        text = json.dumps(body, ensure_ascii=False, separators=(",", ":"), allow_nan=False, default=default)
    except ValueError:
        return _write(body)
    if not raws:
        return text
    pieces = text.split(_PLACE_TEXT)
    if len(pieces) != len(raws) + 1:
        # The placeholder itself stands in somebody's text: write it in a way that cannot be fooled.
        return _write(body)
    woven = [pieces[0]]
    for raw, piece in zip(raws, pieces[1:], strict=True):
        woven += (raw, piece)
    return "".join(woven)


def _plain(node: object) -> dict[str, object] | list[object]:
    """*node* as a container `json` knows: a frozen mapping as a dict, any sequence as a list."""
    if isinstance(node, Mapping):
        return dict(cast("Mapping[str, object]", node))
    if isinstance(node, Sequence) and not isinstance(node, bytes | bytearray):
        return list(cast("Sequence[object]", node))
    raise TypeError(f"{type(node).__name__} is not JSON")


def json_text(value: Json) -> str:
    """Compact JSON text of *value* in which `ExactFloat` numbers keep their spelling."""
    if _is_simple(value):
        return _COMPACT.encode(value)
    return _write(value)


def _is_simple(value: object) -> bool:
    """Whether *value* is a flat object without floats, as most tool calls' arguments are."""
    if type(value) is not dict:
        return False
    members = cast("dict[str, object]", value).values()
    return all(type(member) is str or type(member) is int or type(member) is bool for member in members)


class _Mark(str):
    """Punctuation among the values still to be written."""

    __slots__ = ()


def _write(value: object) -> str:
    """As `json.dumps`, but for `RawJson` and `ExactFloat`, and without recursion."""
    written: list[str] = []
    todo: list[object] = [value]
    while todo:
        node = todo.pop()
        if isinstance(node, _Mark):
            written.append(node)
        elif isinstance(node, RawJson | ExactFloat):
            written.append(node.text)
        elif node is None or isinstance(node, str | int | float):
            written.append(_COMPACT.encode(node))
        else:
            written.append(_open(_plain(node), todo))
    return "".join(written)


def _open(node: dict[str, object] | list[object], todo: list[object]) -> str:
    """Put *node*'s members on *todo*, last first, and give its opening bracket."""
    if isinstance(node, dict):
        todo.append(_Mark("}"))
        for at, (name, child) in reversed(list(enumerate(node.items()))):
            todo += (child, _Mark(f"{',' * (at > 0)}{_COMPACT.encode(name)}:"))
        return "{"
    todo.append(_Mark("]"))
    for at in range(len(node) - 1, -1, -1):
        todo += (node[at], _Mark(",")) if at else (node[at],)
    return "["
