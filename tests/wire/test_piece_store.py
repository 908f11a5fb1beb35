"""With a store of pieces a body reads as it does without one; what came before is the very same object."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lynkr.errors import ClientWireError
from lynkr.model import Request, WireFormat
from lynkr.testing import request_bodies
from lynkr.testing.primitives import json_values
from lynkr.wire import json_body
from lynkr.wire.base import Codec, ReadingCodec
from lynkr.wire.json_body import JsonBody, dump, parse_body
from lynkr.wire.piece_store import PieceStore
from tests.gateway.malformed import CLIENTS, CONVERSATION, spoiled_bodies
from tests.laws.test_codec_laws import CODECS

CORPUS = Path(__file__).parents[1] / "corpus"
MESSAGES, CHAT, RESPONSES = CLIENTS
each_client = pytest.mark.parametrize("format", CLIENTS, ids=[each.value for each in CLIENTS])
TOOLS = {
    MESSAGES: [{"name": "f", "description": "d" * 400, "input_schema": {"type": "object"}}],
    CHAT: [{"type": "function", "function": {"name": "f", "description": "d" * 400, "parameters": {}}}],
    RESPONSES: [{"type": "function", "name": "f", "description": "d" * 400, "parameters": {}}],
}


def store(most_bytes: int = 100_000, max_depth: int = 200) -> PieceStore:
    """One that keeps parts of the smallest bodies too."""
    return PieceStore(max_depth, most_bytes, least_bytes=0)


def read_or_refused(read: Any, data: bytes) -> JsonBody | tuple[str, str | None]:
    try:
        body = read(data)
    except ClientWireError as error:
        return str(error), error.field
    assert isinstance(body, JsonBody)
    return body


def decoded(codec: Codec, body: JsonBody, *, in_pieces: bool) -> Request | tuple[str, str | None]:
    try:
        if in_pieces:
            assert isinstance(codec, ReadingCodec)
            return codec.decode_body(body)
        return codec.decode_request(body.value)
    except ClientWireError as error:
        return str(error), error.field


def spelt(value: Mapping[str, Any]) -> str:
    """*value* with each number's type and spelling, which `==` would not see."""
    return repr(value) + json_body.json_text(value)


def check(known: PieceStore, data: bytes, *codecs: Codec) -> None:
    """*data* reads as if *known* were not there, the first time and the second."""
    plain = read_or_refused(lambda text: parse_body(text, max_depth=known.max_depth), data)
    for _ in range(2):
        body = read_or_refused(known.read, data)
        if not isinstance(plain, JsonBody) or not isinstance(body, JsonBody):
            assert body == plain
            continue
        assert (body, spelt(body.value)) == (plain, spelt(plain.value))
        for codec in codecs:
            request = decoded(codec, body, in_pieces=True)
            assert request == decoded(codec, plain, in_pieces=False)
            if isinstance(request, Request):
                assert repr(request) == repr(decoded(codec, plain, in_pieces=False))
                for other in CODECS.values():
                    dump(other.encode_request(request).body)


@each_client
def test_requests_read_the_same(format: WireFormat) -> None:
    known = store()
    clients = [CODECS[each] for each in CLIENTS]

    @given(st.lists(request_bodies(format) | spoiled_bodies(format), min_size=1, max_size=3))
    def law(bodies: list[dict[str, Any]]) -> None:
        for body in bodies:
            check(known, dump(body), *clients)
            check(known, json.dumps(body, indent=1).encode(), CODECS[format])

    law()


@pytest.mark.parametrize("most_bytes", [0, 20_000, 10**6])
def test_values_of_any_kind_read_the_same(most_bytes: int) -> None:
    known = store(most_bytes)
    names = st.sampled_from(("messages", "input", "tools", "system", "model"))

    @given(st.dictionaries(names, json_values() | st.lists(json_values(), max_size=4)))
    def law(value: dict[str, Any]) -> None:
        check(known, json.dumps(value).encode())

    law()


@pytest.mark.parametrize("path", sorted((CORPUS / "malformed").glob("*.json")), ids=lambda path: path.stem)
def test_what_is_malformed_is_refused_in_the_same_words(path: Path) -> None:
    known = store()
    for case in json.loads(path.read_text("utf-8")):
        data = case["text"].encode() if "text" in case else json.dumps(case["body"]).encode()
        check(known, data, *(CODECS[each] for each in CLIENTS))


@pytest.mark.parametrize("path", sorted((CORPUS / "requests").glob("*.json")), ids=lambda path: path.stem)
def test_what_clients_sent_reads_the_same(path: Path) -> None:
    recorded = json.loads(path.read_text("utf-8"))
    known = PieceStore()
    check(known, json.dumps(recorded["body"]).encode(), CODECS[WireFormat(recorded["format"])])


@pytest.mark.parametrize(
    "item",
    [
        b'{"a": tru}',
        b'{"a": "\\ud800"}',
        b'{"a": "\xff"}',
        b'{"a": "\x01"}',
        b"[" * 199 + b"]" * 199,
        b"[" * 198 + b"]" * 198,
        b"[" * 5_000 + b"]" * 5_000,
        b'{"a": 01}',
        b'{"a": 1e999, "b": 0.10, "c": 1E2}',
        b'{"a": NaN}',
        b'{"a": 1, "a": 2}',
        b'"\\ud83d\\ude00"',
        b"\xef\xbb\xbf{}",
    ],
)
@pytest.mark.parametrize("field", ["messages", "tools", "system", "other"])
def test_what_is_wrong_within_a_piece_is_seen(item: bytes, field: str) -> None:
    """Also where a piece that was read before stands beside it."""
    known = store()
    sound = json.dumps({"pad": "x" * 300}).encode()
    for items in ([sound], [sound, item], [item, sound], [sound, item], [sound]):
        text = b'{"model": "m", "%s": [%s]}' % (field.encode(), b" , ".join(items))
        check(known, text)
        check(known, b"\xef\xbb\xbf" + text)
    check(known, b'{"%s": %s, "pad": "%s"}' % (field.encode(), item, b"x" * 300))


@pytest.mark.parametrize("max_depth", [1, 2, 3, 4, 8])
def test_depth_is_bounded_to_the_level(max_depth: int) -> None:
    for depth in range(max_depth + 2):
        nested = b"[" * depth + b'"%s"' % (b"x" * 300) + b"]" * depth
        for field in (b"messages", b"tools", b"system", b"other"):
            known = store(max_depth=max_depth)
            check(known, b'{"%s": %s}' % (field, nested))


def conversation(format: WireFormat, turns: int) -> dict[str, Any]:
    said: list[Any] = [{"role": "user", "content": f"ask {at} " + "x" * 300} for at in range(turns)]
    if format is CHAT:
        call = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
        said[1:1] = [
            {"role": "assistant", "content": None, "tool_calls": [call]},
            {"role": "tool", "tool_call_id": "c", "content": "r" * 300},
            {"role": "assistant", "content": "so"},
        ]
    body = {"model": "m", CONVERSATION[format]: said, "tools": TOOLS[format]}
    return body | ({"system": "s" * 300, "max_tokens": 5} if format is MESSAGES else {})


@each_client
def test_what_came_before_is_the_very_same(format: WireFormat) -> None:
    known = store()
    codec = CODECS[format]
    assert isinstance(codec, ReadingCodec)
    first = codec.decode_body(known.read(dump(conversation(format, 3))))
    grown = codec.decode_body(known.read(json.dumps(conversation(format, 4)).encode()))
    again = codec.decode_body(known.read(dump(conversation(format, 4))))
    assert grown == again
    assert again.tools is first.tools
    assert len(again.messages) == len(first.messages) + 1
    if format is not RESPONSES:
        assert all(one is other for one, other in zip(first.messages, again.messages, strict=False))


def test_results_of_tools_make_the_same_message_only_where_all_are_the_same() -> None:
    known, codec = store(), CODECS[CHAT]
    assert isinstance(codec, ReadingCodec)
    call = {"type": "function", "function": {"name": "f", "arguments": "{}"}}
    last = {"role": "tool", "tool_call_id": "b", "content": "the last " * 40}

    def result(said: str) -> Any:
        calls = [{"id": name, **call} for name in "ab"]
        turns = [
            {"role": "tool", "tool_call_id": "a", "content": said},
            last,
            {"role": "assistant", "content": "so"},
        ]
        body = {"model": "m", "messages": [{"role": "assistant", "tool_calls": calls}, *turns]}
        read = codec.decode_body(known.read(dump(body)))
        assert read == codec.decode_request(body)
        return read.messages[1]

    one, same, other = result("one"), result("one"), result("other")
    assert one is same
    assert other is not one


def test_what_it_keeps_is_bounded() -> None:
    known = store(most_bytes=200_000)
    for at in range(500):
        known.read(dump({"messages": [{"role": "user", "content": f"{at} " + "x" * (at * 50)}]}))
        kept = [*known._young, *known._old]  # reason: nothing else shows what it holds
        assert sum(1_000 + 4 * len(text) for text in kept) <= 200_000
    assert kept
    huge = dump({"messages": [{"role": "user", "content": "y" * 200_000}]})
    known.read(huge)
    assert not any(b"yyy" in text for text in (*known._young, *known._old))


def test_of_tools_and_prompts_that_take_turns_each_is_known() -> None:
    known, codec = store(), CODECS[MESSAGES]
    assert isinstance(codec, ReadingCodec)
    one = conversation(MESSAGES, 1)
    other = one | {"system": "t" * 300, "tools": [{**TOOLS[MESSAGES][0], "description": "e" * 400}]}
    first, second, third, fourth = (
        codec.decode_body(known.read(dump(body))) for body in (one, other, one, other)
    )
    assert (third.tools, third.messages[0]) == (first.tools, first.messages[0])
    assert third.tools is first.tools
    assert fourth.tools is second.tools
    assert first.tools != second.tools
    assert fourth.messages[0] is second.messages[0]


def test_without_msgspec_it_reads_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json_body, "_QUICK", None)
    known = store()
    check(known, dump(conversation(CHAT, 3)), CODECS[CHAT])
    check(known, b'{"model": ')
