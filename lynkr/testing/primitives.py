"""The small strategies: texts, JSON values, ids.  Needs the extra ``testing``.

Each is built once (`cache`): most of the time of drawing a request went into building them anew.
"""

import json
from functools import cache
from typing import Final

from hypothesis import strategies as st
from hypothesis.strategies import DrawFn, SearchStrategy

from lynkr.model import Json

_SAFE: Final = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-"

# Texts on which hand-made parsers and writers have failed before.
_NASTY: Final = (
    " ",
    "\n",
    "\r\n\r\n",
    "data: [DONE]\n\n",
    "event: error\ndata: {}\n\n",
    ": ping",
    '"quoted" \\ back\\slash',
    "\x00\x07\x7f",
    "\u2028\u2029\u0085",
    "\ufeffbom",
    "né 中文 🙂 👩‍👩‍👧",
    '{"model": "not the model"}',
    "\\ud83d",
    "\x00lynkr raw json\x00",
    "<system-reminder>not the user's words</system-reminder>",
)

# Field names no dialect has: what a node of next year's API would bring.
_UNKNOWN_FIELDS: Final = ("x_note", "vendor_hint", "trace.id", "naïve field", "next_year", "_private")


@cache
def texts(*, empty: bool = False, max_size: int = 24) -> SearchStrategy[str]:
    """Unicode without lone surrogates, the difficult kinds often."""
    words = st.text(st.characters(codec="utf-8"), min_size=0 if empty else 1, max_size=max_size)
    return words | st.sampled_from(_NASTY)


@cache
def identifiers(prefix: str) -> SearchStrategy[str]:
    """Ids such as providers give: ``toolu_8fK``."""
    return st.text(_SAFE, min_size=1, max_size=12).map(lambda tail: f"{prefix}{tail}")


@cache
def tool_names() -> SearchStrategy[str]:
    return st.text(_SAFE, min_size=1, max_size=12) | st.sampled_from(("Bash", "Read", "get_weather"))


@cache
def json_values(*, max_leaves: int = 8) -> SearchStrategy[Json]:
    """Any JSON value; no NaN or infinity, which JSON does not have."""
    numbers = (
        st.integers()
        | st.floats(allow_nan=False, allow_infinity=False)
        | st.sampled_from((10**40, -(2**63) - 1, 1e22, 1e-7, 0.1))
    )
    leaves: SearchStrategy[Json] = st.none() | st.booleans() | numbers | texts(empty=True, max_size=12)
    return st.recursive(
        leaves,
        lambda inner: (
            st.lists(inner, max_size=3) | st.dictionaries(texts(empty=True, max_size=8), inner, max_size=3)
        ),
        max_leaves=max_leaves,
    )


@cache
def json_objects() -> SearchStrategy[dict[str, Json]]:
    return st.dictionaries(texts(empty=True, max_size=8), json_values(max_leaves=4), max_size=3)


@cache
def json_schemas() -> SearchStrategy[dict[str, Json]]:
    """Schemas for a tool's input, with a keyword now and then that a strict reader may not know."""
    leaf: SearchStrategy[Json] = st.sampled_from(
        (
            {"type": "string"},
            {"type": "integer", "minimum": 0},
            {"type": ["number", "null"], "description": "né"},
            {"type": "array", "items": {"type": "string"}, "uniqueItems": True},
            {"enum": ["a", 1, None]},
            {"oneOf": [{"type": "string"}, {"$ref": "#/$defs/x"}], "x-order": 1.0},
            {},
        )
    )
    return st.builds(_object_schema, st.dictionaries(tool_names(), leaf, max_size=3), st.booleans())


def _object_schema(properties: dict[str, Json], closed: bool) -> dict[str, Json]:
    schema: dict[str, Json] = {"type": "object", "properties": properties, "required": sorted(properties)[:1]}
    if closed:
        schema["additionalProperties"] = False
    return schema


@cache
@st.composite
def argument_texts(draw: DrawFn, *, odd: bool = False) -> str:
    """A tool call's arguments: compact JSON objects; with *odd* any spelling, and texts a model broke."""
    if odd and draw(st.booleans()):
        broken = st.sampled_from(("", "{", '{"a":', "null", "[1]", "not json", '{"a":1}{"b":2}', " {} "))
        return draw(broken | json_objects().map(lambda value: json.dumps(value, indent=1)))
    plain = json_objects().map(lambda value: json.dumps(value, ensure_ascii=False, separators=(",", ":")))
    spelled = st.sampled_from(
        ('{"n":1e2}', '{"n":0.10}', '{"n":10000000000000000000001.5}', '{"n":-0.0}', "{}")
    )
    return draw(plain | spelled)


@cache
def large_argument_texts() -> SearchStrategy[str]:
    """Compact JSON objects of up to a megabyte, cheap to generate."""
    return st.builds(
        _large_object,
        st.sampled_from(("x", "né", "🙂", '"\\\n', '{"a":[1,2]}')),
        st.sampled_from((100, 10_000, 80_000)),
    )


def _large_object(unit: str, repeats: int) -> str:
    return json.dumps({"content": unit * repeats}, ensure_ascii=False, separators=(",", ":"))


@cache
def extra_fields() -> SearchStrategy[dict[str, Json]]:
    """Between one and three fields that no dialect knows."""
    return st.dictionaries(
        st.sampled_from(_UNKNOWN_FIELDS), json_values(max_leaves=3), min_size=1, max_size=2
    )


@cache
def base64_texts() -> SearchStrategy[str]:
    return st.sampled_from(("aGVsbG8=", "iVBORw0KGgo=", "AAAA" * 40))
