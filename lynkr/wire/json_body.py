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
from lynkr.wire.piece import NO_PIECES, Pieces
from lynkr.wire.quick_json import QuickJson, holds_odd_float, quick_json, raw_text

_SPACE: Final = re.compile(r"[ \t\n\r]*")
SURROGATE_ESCAPE: Final = re.compile(rb"\\u[dD][89a-fA-F]")
_BOM: Final = "\ufeff"
DEFAULT_MAX_DEPTH: Final = 200
_CONTAINERS: Final = frozenset((dict, list))
_Level: TypeAlias = list[dict[str, object] | list[object]]
Spans: TypeAlias = dict[str, tuple[int, int]]
_UNREAD: Final = object()
_FEW: Final = 4_096
_SURROGATE: Final = re.compile("[\ud800-\udfff]")


class ExactFloat(float):
    """A float whose spelling writing it anew might not give back (``1e2``, ``0.10``); *text* keeps it."""

    __slots__ = ("text",)
    text: str

    def __new__(cls, text: str) -> Self:
        self = super().__new__(cls, text)
        self.text = text
        return self


class RawJson:
    """JSON text to be written as it stands, such as a tool call's arguments.

    No attrs class, because msgspec would write one as an object of its fields.
    """

    __slots__ = ("text",)

    def __init__(self, text: str) -> None:
        self.text: str = text

    def __eq__(self, other: object) -> bool:
        return self.text == other.text if isinstance(other, RawJson) else NotImplemented

    def __hash__(self) -> int:
        return hash(self.text)

    def __repr__(self) -> str:
        return f"RawJson({self.text!r})"


@frozen
class JsonBody:
    """A parsed object, its bytes, and the span of each top-level value in them."""

    data: bytes = field(repr=False)
    value: Mapping[str, Json] = field(repr=False)
    spans: Mapping[str, tuple[int, int]] = field(repr=False)
    pieces: Pieces = field(default=NO_PIECES, repr=False, eq=False)
    """Parts of *value* that may have been read before."""

    @property
    def text(self) -> str:
        """The body as text."""
        return self.data.decode("utf-8")

    def splice(self, name: str, value: Json) -> bytes:
        """The body with the top-level field *name* replaced; added at the front if absent."""
        replacement = json.dumps(value, ensure_ascii=False).encode("utf-8")
        span = self.spans.get(name)
        if span is not None:
            start, end = span
            return b"".join((self.data[:start], replacement, self.data[end:]))
        brace = self.data.index(b"{") + 1
        comma = b"," if self.spans else b""
        named = json.dumps(name).encode("ascii")
        return b"".join((self.data[:brace], named, b":", replacement, comma, self.data[brace:]))

    def edit(self, put: Mapping[str, Json], drop: Collection[str] = ()) -> bytes:
        """The text with the top-level fields of *put* set and those of *drop* gone.

        A field that is there is replaced where it stands, a new one goes to
        the front; a field in both is set.  Every other member keeps its text.
        """
        if len(put) == 1 and not drop:
            ((name, value),) = put.items()
            if name in self.spans:  # nearly always: the model
                start, end = self.spans[name]
                return b"".join((self.data[:start], json_text(value).encode("utf-8"), self.data[end:]))
        begin = at = self.data.index(b"{") + 1
        added = [f"{json.dumps(name)}:{json_text(put[name])}" for name in put if name not in self.spans]
        written = [",".join(added).encode("utf-8")] if added else []
        for name, (start, end) in self.spans.items():
            # From the last member's end: white space and, but for the first member, a comma; then the name.
            lead, is_first, at = self.data[at:start], at == begin, end
            if name in drop and name not in put:
                continue
            if is_first and written:
                lead = b"," + lead
            elif not is_first and not written:
                lead = lead.partition(b",")[2]
            own = json_text(put[name]).encode("utf-8") if name in put else self.data[start:end]
            written += (lead, own)
        return b"".join((self.data[:begin], *written, self.data[at:]))


def _parse_float(text: str) -> float:
    value = float(text)
    # With an exponent even the same number is spelt in several ways (1e+16 by Python, 1e16 by msgspec).
    return value if repr(value) == text and "e" not in text else ExactFloat(text)


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
    value = _quickly_read(data)
    if value is _UNREAD:
        text = data if isinstance(data, str) else data.decode("utf-8")
        try:
            value = _DECODER.decode(text)
        except RecursionError as error:
            raise ValueError("nested too deeply") from error
    if is_deeper(data, value, max_depth):
        raise ValueError(f"nested more than {max_depth} levels deep")
    return value


def _quickly_read(data: bytes | str) -> object:
    if _QUICK is None:
        return _UNREAD
    try:
        return _QUICK.read(data)
    except (ValueError, RecursionError):
        return _UNREAD


def parse_body(data: bytes, *, max_depth: int = DEFAULT_MAX_DEPTH) -> JsonBody:
    """Read a client's body.

    Raises:
        ClientWireError: not UTF-8, not JSON, not an object, a top-level field
            twice (a budget rule would read one and the upstream the other), a
            lone surrogate (no upstream can be sent it), or nested too deeply.
    """
    value, spans = _quickly_scanned(data) or _carefully_scanned(data)
    if is_deeper(data, value, max_depth):
        raise ClientWireError(f"the body is nested more than {max_depth} levels deep")
    if SURROGATE_ESCAPE.search(data):
        _reject_lone_surrogates(value)
    return JsonBody(data, value, spans)


def _quickly_scanned(data: bytes) -> tuple[dict[str, Json], Spans] | None:
    """None where the body is to be read carefully: something is, or may be, wrong with it."""
    if _QUICK is None:
        return None
    try:
        return _QUICK.read_object(data)
    except (ValueError, RecursionError):
        return None


def _carefully_scanned(data: bytes) -> tuple[dict[str, Json], Spans]:
    """By the standard library, and saying what is wrong.

    Raises:
        ClientWireError: as `parse_body`.
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
    return value, spans if len(text) == len(data) else _in_bytes(text, spans)


def _in_bytes(text: str, spans: Spans) -> Spans:
    """Spans of characters as spans of bytes; they come in the text's order."""
    found: Spans = {}
    seen = size = 0
    for name, (start, end) in spans.items():
        first = size + len(text[seen:start].encode("utf-8"))
        size = first + len(text[start:end].encode("utf-8"))
        seen = end
        found[name] = (first, size)
    return found


def _skip_space(text: str, at: int) -> int:
    found = _SPACE.match(text, at)
    return found.end() if found else at


def _scan_object(text: str) -> tuple[dict[str, Json], Spans]:
    """The object *text* consists of, and where each of its values stands."""
    scan = _DECODER.raw_decode
    value: dict[str, Json] = {}
    spans: Spans = {}
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


def is_deeper(data: bytes | str, value: object, max_depth: int) -> bool:
    """Whether *value* is nested more than *max_depth* levels deep, found without recursion."""
    # In a large text there are always enough brackets: counting them would only cost time.
    if len(data) <= max_depth:
        return False
    if len(data) <= _FEW and _brackets_in(data) <= max_depth:
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


def _brackets_in(data: bytes | str) -> int:
    if isinstance(data, str):
        return data.count("{") + data.count("[")
    return data.count(b"{") + data.count(b"[")


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
    if _QUICK is not None:
        try:
            written = _QUICK.write(body)
        except UnicodeEncodeError:
            return _escape_surrogates(_dump_text(body))
        if b"null" not in written or not holds_odd_float(body):
            return written
    text = _dump_text(body)
    try:
        return text.encode("utf-8")
    except UnicodeEncodeError:
        return _escape_surrogates(text)


def _escape_surrogates(text: str) -> bytes:
    return _SURROGATE.sub(lambda found: f"\\u{ord(found[0]):04x}", text).encode("utf-8")


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
    if _QUICK is not None:
        try:
            written = _QUICK.write(value)
        except UnicodeEncodeError:
            return _write(value)
        if b"null" not in written or not holds_odd_float(value):
            return written.decode("utf-8")
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


def _default(node: object) -> object:
    """What msgspec is to write for a value that is no plain JSON."""
    if isinstance(node, RawJson | ExactFloat):
        return raw_text(node.text)
    return _plain(node)


# Made once: it holds compiled readers, and no state.
_QUICK: Final = quick_json(_parse_float, _default)


def quick_reader() -> QuickJson | None:
    """The reader and writer by msgspec; None where that is not installed."""
    return _QUICK
