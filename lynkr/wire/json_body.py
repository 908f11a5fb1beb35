"""A JSON body read once: its value, and where each top-level field stands in the text.

The spans let a same-dialect body go upstream with only ``model`` replaced and
every other character kept: key order, number spelling, white space, escapes.
"""

import json
import re
from collections.abc import Mapping
from json.decoder import scanstring  # type: ignore[attr-defined]  # reason: typeshed leaves it out
from typing import Any, Final

from attrs import field, frozen

from lynkr.errors import ClientWireError
from lynkr.model import Json

_SPACE: Final = re.compile(r"[ \t\n\r]*")
_SURROGATE_ESCAPE: Final = re.compile(r"\\u[dD][89a-fA-F]")
DEFAULT_MAX_DEPTH: Final = 200


class ExactFloat(float):
    """A float whose spelling ``repr`` would not give back (``1e2``, ``0.10``); *text* keeps it."""

    __slots__ = ("text",)
    text: str

    def __new__(cls, text: str) -> "ExactFloat":
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


def _parse_float(text: str) -> float:
    value = float(text)
    return value if repr(value) == text else ExactFloat(text)


def _reject_constant(text: str) -> float:
    raise ValueError(f"{text} is not JSON")


_DECODER: Final = json.JSONDecoder(parse_float=_parse_float, parse_constant=_reject_constant)


def parse_value(data: bytes | str) -> Any:
    """Any JSON value; number spellings survive in `ExactFloat`.

    Raises:
        ValueError: not JSON (RecursionError is turned into it).
    """
    text = data if isinstance(data, str) else data.decode("utf-8")
    try:
        return _DECODER.decode(text)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error


def parse_body(data: bytes, *, max_depth: int = DEFAULT_MAX_DEPTH) -> JsonBody:
    """Read a client's body.

    Raises:
        ClientWireError: not UTF-8, not JSON, not an object, a top-level field
            twice (a budget rule would read one and the upstream the other), a
            lone surrogate (no upstream can be sent it), or nested too deeply.
    """
    try:
        text = data.decode("utf-8-sig" if data.startswith(b"\xef\xbb\xbf") else "utf-8")
    except UnicodeDecodeError as error:
        raise ClientWireError(f"the body is not UTF-8 (byte {error.start})") from error
    try:
        value, spans = _scan_object(text)
    except RecursionError as error:
        raise ClientWireError("the body is nested too deeply") from error
    except ValueError as error:
        raise ClientWireError(f"the body is not valid JSON: {error}") from error
    if text.count("[") + text.count("{") > max_depth and _depth(value) > max_depth:
        raise ClientWireError(f"the body is nested more than {max_depth} levels deep")
    if _SURROGATE_ESCAPE.search(text):
        _reject_lone_surrogates(value)
    return JsonBody(text, value, spans)


def _scan_object(text: str) -> tuple[dict[str, Json], dict[str, tuple[int, int]]]:
    space, scan = _SPACE.match, _DECODER.raw_decode
    value: dict[str, Json] = {}
    spans: dict[str, tuple[int, int]] = {}
    at = space(text, 0).end()  # type: ignore[union-attr]  # reason: the pattern matches the empty string
    if text[at : at + 1] != "{":
        raise ClientWireError("the body must be a JSON object")
    at = space(text, at + 1).end()  # type: ignore[union-attr]
    if text[at : at + 1] == "}":
        _expect_end(text, at + 1)
        return value, spans
    while True:
        if text[at : at + 1] != '"':
            raise json.JSONDecodeError("expected a field name in double quotes", text, at)
        name, at = scanstring(text, at + 1)
        at = space(text, at).end()  # type: ignore[union-attr]
        if text[at : at + 1] != ":":
            raise json.JSONDecodeError("expected ':'", text, at)
        start = space(text, at + 1).end()  # type: ignore[union-attr]
        if name in value:
            raise ClientWireError("the field stands in the body twice", field=name)
        value[name], at = scan(text, start)
        spans[name] = (start, at)
        at = space(text, at).end()  # type: ignore[union-attr]
        mark = text[at : at + 1]
        if mark == "}":
            _expect_end(text, at + 1)
            return value, spans
        if mark != ",":
            raise json.JSONDecodeError("expected ',' or '}'", text, at)
        at = space(text, at + 1).end()  # type: ignore[union-attr]


def _expect_end(text: str, at: int) -> None:
    end = _SPACE.match(text, at).end()  # type: ignore[union-attr]
    if end != len(text):
        raise json.JSONDecodeError("extra text after the object", text, end)


def _depth(value: Json) -> int:
    """Levels of nesting, without recursion."""
    deepest, stack = 0, [(value, 1)]
    while stack:
        node, level = stack.pop()
        deepest = max(deepest, level)
        if isinstance(node, dict):
            stack.extend((child, level + 1) for child in node.values())
        elif isinstance(node, list):
            stack.extend((child, level + 1) for child in node)
    return deepest


def _reject_lone_surrogates(value: Mapping[str, Json]) -> None:
    for name, child in value.items():
        try:
            json.dumps({name: child}, ensure_ascii=False).encode("utf-8")
        except UnicodeEncodeError as error:
            raise ClientWireError("holds a lone surrogate", field=name) from error


def dump(body: object) -> bytes:
    """Compact UTF-8 JSON; `RawJson` leaves are written as they stand.

    A lone surrogate, which only a provider can bring in, is written escaped.

    Raises:
        TypeError: a leaf is neither JSON nor `RawJson`.
    """
    text = _dump_text(body)
    try:
        return text.encode("utf-8")
    except UnicodeEncodeError:
        return _escape_surrogates(text)


def _escape_surrogates(text: str) -> bytes:
    return re.sub("[\ud800-\udfff]", lambda found: f"\\u{ord(found[0]):04x}", text).encode("utf-8")


def _dump_text(body: object) -> str:
    raws: list[str] = []

    def hold_place(leaf: object) -> str:
        if not isinstance(leaf, RawJson):
            raise TypeError(f"{type(leaf).__name__} is not JSON")
        raws.append(leaf.text)
        return _PLACE

    text = json.dumps(body, ensure_ascii=False, separators=(",", ":"), default=hold_place)
    if not raws:
        return text
    pieces = text.split(_PLACE_TEXT)
    if len(pieces) != len(raws) + 1:
        # The placeholder itself stands in somebody's text: fall back to a walk that cannot be fooled.
        return _walk(body)
    woven = [pieces[0]]
    for raw, piece in zip(raws, pieces[1:], strict=True):
        woven += (raw, piece)
    return "".join(woven)


_PLACE: Final = "\x00lynkr raw json\x00"
_PLACE_TEXT: Final = json.dumps(_PLACE)


def json_text(value: Json) -> str:
    """Compact JSON text of *value* in which `ExactFloat` numbers keep their spelling."""
    return _walk(value)


def _walk(value: object) -> str:
    match value:
        case RawJson(text=text):
            return text
        case ExactFloat():
            return value.text
        case Mapping():
            fields = (f"{json.dumps(k, ensure_ascii=False)}:{_walk(v)}" for k, v in value.items())
            return "{" + ",".join(fields) + "}"
        case list() | tuple():
            return "[" + ",".join(map(_walk, value)) + "]"
        case _:
            return json.dumps(value, ensure_ascii=False)
