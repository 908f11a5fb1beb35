"""Every place of a full request, spoiled in every way: it is read, or refused by the field's name.

What is read is then written in every dialect, for a value nobody checked fails where it is used.
"""

import copy
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from lynkr.cli.dialects import codec_of
from lynkr.errors import ClientWireError
from lynkr.model import Json, Request, WireFormat
from lynkr.routing import context_of, features_of
from lynkr.wire.base import Codec
from lynkr.wire.json_body import dump, parse_body
from tests.gateway.malformed import CLIENTS, CONVERSATION, ODD_VALUES, ORPHANS, places_in, spoiled_bodies
from tests.laws.probes import REQUESTS
from tests.laws.test_codec_laws import CODECS
from tests.wire.test_client_corpus import RECORDED

each_client = pytest.mark.parametrize("format", CLIENTS, ids=[each.value for each in CLIENTS])
each_dialect = pytest.mark.parametrize("format", CODECS, ids=[each.value for each in CODECS])


def read_or_refused(codec: Codec, body: Mapping[str, Json]) -> Request | None:
    """The request *body* is; None if it was refused, and rightly so."""
    try:
        return codec.decode_request(body)
    except ClientWireError as refusal:
        error = refusal
    assert error.status == 400
    assert error.field, f"refused without naming a field: {error}"
    assert str(error).startswith(f"{error.field}: ")
    return None


def check(format: WireFormat, body: dict[str, Any]) -> None:
    parsed = parse_body(dump(body)).value
    codec_of(parsed)
    request = read_or_refused(CODECS[format], parsed)
    if request is None:
        return
    features_of(request)
    context_of({}, request)
    for codec in CODECS.values():
        dump(codec.encode_request(request).body)


def spoiled(body: dict[str, Any]) -> Iterator[None]:
    """*body*, spoiled in one place and one way after the other."""
    for node, key in list(places_in(body)):
        was = node[key]
        for value in ODD_VALUES:
            node[key] = value
            yield
        node[key] = was
        if isinstance(node, dict):
            members = list(node.items())
            del node[key]
            yield
            node.clear()
            node.update(members)


@each_dialect
def test_a_wrong_null_or_missing_value_anywhere_is_read_or_refused_by_its_name(format: WireFormat) -> None:
    body = copy.deepcopy(REQUESTS[format])
    tried = 0
    for _ in spoiled(body):
        check(format, body)
        tried += 1
    assert tried > 500
    assert body == REQUESTS[format]


@each_client
def test_an_item_without_what_it_belongs_to_is_read_or_refused(format: WireFormat) -> None:
    items = REQUESTS[format][CONVERSATION[format]]
    for orphan in ORPHANS[format]:
        for at in range(len(items) + 1):
            check(format, {**REQUESTS[format], CONVERSATION[format]: [*items[:at], orphan, *items[at:]]})


@given(body=spoiled_bodies(WireFormat.ANTHROPIC_MESSAGES))
@example(
    body={
        "model": "m",
        "max_tokens": 1,
        "system": [{"type": "text", "text": "x", "cache_control": {"type": "ephemeral", "ttl": []}}],
        "messages": [{"role": "user", "content": "x"}],
    }
).via("a lifetime that cannot be hashed, going to Converse")
@example(body={"model": "m", "max_tokens": 1, "messages": [{"role": "user", "content": [{"type": []}]}]}).via(
    "a block whose type cannot be hashed, where the dialect is guessed"
)
def test_a_spoiled_message_is_read_or_refused(body: dict[str, Any]) -> None:
    check(WireFormat.ANTHROPIC_MESSAGES, body)


@given(body=spoiled_bodies(WireFormat.OPENAI_CHAT))
def test_a_spoiled_completion_is_read_or_refused(body: dict[str, Any]) -> None:
    check(WireFormat.OPENAI_CHAT, body)


@given(body=spoiled_bodies(WireFormat.OPENAI_RESPONSES))
@example(body={"model": "m", "input": [{"role": "user", "content": [{"type": [], "text": "x"}]}]}).via(
    "a content part whose type cannot be hashed"
)
def test_a_spoiled_response_is_read_or_refused(body: dict[str, Any]) -> None:
    check(WireFormat.OPENAI_RESPONSES, body)


@pytest.mark.parametrize("name", RECORDED)
@settings(max_examples=15)
@given(data=st.data())
def test_a_real_clients_request_is_read_or_refused_when_spoiled(name: str, data: st.DataObject) -> None:
    recorded = RECORDED[name]
    dialect = WireFormat(recorded["format"])
    check(dialect, data.draw(spoiled_bodies(dialect, st.just(recorded["body"]))))


@each_dialect
@given(data=st.data())
def test_an_object_of_anything_is_read_or_refused(format: WireFormat, data: st.DataObject) -> None:
    names = st.sampled_from(sorted(REQUESTS[format]))
    check(format, data.draw(st.dictionaries(names, st.sampled_from(ODD_VALUES), max_size=6)))
