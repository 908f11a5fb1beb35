"""Bodies a careless, broken or hostile client may send: valid ones, spoiled in one or two places."""

import copy
import json
from collections.abc import Callable, Iterator
from typing import Any

from hypothesis import strategies as st
from hypothesis.strategies import DrawFn

from lynkr.model import WireFormat
from lynkr.testing import request_bodies

CLIENTS = (WireFormat.ANTHROPIC_MESSAGES, WireFormat.OPENAI_CHAT, WireFormat.OPENAI_RESPONSES)

# One of every JSON type, and the values of each that readers forget.
ODD_VALUES: tuple[Any, ...] = (
    None,
    True,
    False,
    0,
    -1,
    10**30,
    1.5,
    1e308,
    "",
    "nobody",
    "\x00",
    "data:;base64,",
    [],
    [None],
    [[]],
    ["text"],
    [{}],
    {},
    {"type": None},
    {"type": "nobody"},
    {"type": "text"},
    {"type": []},
    {"role": "nobody"},
    {"role": []},
)
# Items that belong to a conversation only where something else stands before them.
ORPHANS: dict[WireFormat, tuple[Any, ...]] = {
    WireFormat.ANTHROPIC_MESSAGES: (
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "nobody", "content": "x"}]},
        {"role": "user", "content": [{"type": "tool_use", "id": "t", "name": "f", "input": {}}]},
        {"role": "assistant", "content": [{"type": "tool_use", "id": "t", "name": "f", "input": {}}]},
        {"role": "assistant", "content": [{"type": "tool_result", "tool_use_id": "t"}]},
        {"role": "nobody", "content": "x"},
        {"role": "user", "content": []},
        {"role": "user"},
    ),
    WireFormat.OPENAI_CHAT: (
        {"role": "tool", "tool_call_id": "nobody", "content": "x"},
        {"role": "tool", "content": "x"},
        {"role": "function", "name": "f", "content": "x"},
        {"role": "assistant", "content": None},
        {"role": "assistant", "tool_calls": [{"id": "t", "function": {"name": "f", "arguments": "{"}}]},
        {"role": "assistant", "tool_calls": [{"id": "t", "type": "nobody"}]},
        {"role": "nobody", "content": "x"},
        {"role": "user"},
    ),
    WireFormat.OPENAI_RESPONSES: (
        {"type": "function_call_output", "call_id": "nobody", "output": "x"},
        {"type": "custom_tool_call_output", "call_id": "nobody", "output": "x"},
        {"type": "function_call", "call_id": "t", "name": "f", "arguments": "{"},
        {"type": "item_reference", "id": "nobody"},
        {"type": "reasoning", "id": "r", "summary": None},
        {"role": "nobody", "content": "x"},
        {"type": "nobody"},
        {"role": "user"},
    ),
}
CONVERSATION = {
    WireFormat.ANTHROPIC_MESSAGES: "messages",
    WireFormat.OPENAI_CHAT: "messages",
    WireFormat.OPENAI_RESPONSES: "input",
}


def places_in(node: Any) -> Iterator[tuple[Any, Any]]:
    """Every (container, key) below *node*."""
    items = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for key, child in items:
        yield node, key
        yield from places_in(child)


def _spoil(draw: DrawFn, format: WireFormat, body: dict[str, Any]) -> None:
    """Change *body* in one place."""
    kind = draw(st.sampled_from(("type", "type", "null", "missing", "orphan", "again")))
    conversation = body.get(CONVERSATION[format])
    if kind == "orphan" and isinstance(conversation, list):
        at = draw(st.integers(0, len(conversation)))
        conversation.insert(at, copy.deepcopy(draw(st.sampled_from(ORPHANS[format]))))
        return
    places = list(places_in(body))
    if not places:
        return
    node, key = draw(st.sampled_from(places))
    match kind:
        case "null":
            node[key] = None
        case "missing":
            del node[key]
        case "again" if isinstance(node, list):
            node.insert(key, copy.deepcopy(node[key]))
        case _:
            node[key] = copy.deepcopy(draw(st.sampled_from(ODD_VALUES)))


@st.composite
def spoiled_bodies(
    draw: DrawFn, format: WireFormat, of: st.SearchStrategy[dict[str, Any]] | None = None
) -> dict[str, Any]:
    """Objects that are almost requests of *format*: wrong types, nulls, fields and items amiss.

    *of* are the requests to spoil, any of the dialect if None.
    """
    body = copy.deepcopy(draw(request_bodies(format) if of is None else of))
    for _ in range(draw(st.integers(1, 2))):
        _spoil(draw, format, body)
    return body


def _cut(draw: DrawFn, text: bytes) -> bytes:
    return text[: draw(st.integers(0, len(text) - 1))]


def _bad_byte(draw: DrawFn, text: bytes) -> bytes:
    at = draw(st.integers(0, len(text)))
    return text[:at] + draw(st.sampled_from((b"\xff", b"\xed\xa0\x80", b"\xc3", b"\x00"))) + text[at:]


def _field(value: bytes) -> Callable[[DrawFn, bytes], bytes]:
    def added(_: DrawFn, text: bytes) -> bytes:
        return b'{"x":' + value + b"," + text[1:]

    return added


def _doubled(draw: DrawFn, text: bytes) -> bytes:
    name = json.dumps(draw(st.sampled_from(sorted(json.loads(text))))).encode()
    return b"{%s:1,%s:2,%s" % (name, name, text[1:])


BAD_TEXTS: dict[str, Callable[[DrawFn, bytes], bytes]] = {
    "cut short": _cut,
    "a bad byte": _bad_byte,
    "a field twice": _doubled,
    "a lone surrogate": _field(rb'["\udead"]'),
    "a lone surrogate in a name": _field(rb'{"\ud800":1}'),
    "deep nesting": _field(b"[" * 250 + b"]" * 250),
    "bottomless nesting": _field(b"[" * 100_000 + b"]" * 100_000),
    "deep objects": _field(b'{"a":' * 100_000 + b"1" + b"}" * 100_000),
    "nesting that never ends": _field(b'[{"a":' * 50_000),
    "not a number": _field(b"NaN"),
    "infinity": _field(b"-Infinity"),
    "more digits than are read": _field(b"9" * 5_000),
    "text after the end": lambda _draw, text: text + b"{}",
    "an array": lambda _draw, text: b"[%s]" % text,
    "nothing": lambda _draw, _text: b"",
    "null": lambda _draw, _text: b"null",
    "UTF-16": lambda _draw, text: text.decode().encode("utf-16"),
}
