"""The result of a call nobody made: to its own dialect untouched, to another refused by its name."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lynkr.errors import LynkrError
from lynkr.model import Json, Request, WireFormat
from lynkr.orphans import orphan_in
from lynkr.routing.familiar import Familiar
from lynkr.routing.history import is_answered_in_order
from lynkr.testing import request_bodies
from lynkr.wire.anthropic import AnthropicCodec
from lynkr.wire.base import Codec
from lynkr.wire.openai_chat import OpenAIChatCodec
from lynkr.wire.openai_responses import OpenAIResponsesCodec
from tests.gateway.house import body_of, house

pytestmark = pytest.mark.anyio
MESSAGES, CHAT, RESPONSES = (
    WireFormat.ANTHROPIC_MESSAGES,
    WireFormat.OPENAI_CHAT,
    WireFormat.OPENAI_RESPONSES,
)
ASKED: Json = {"role": "user", "content": "go on"}
RESULT: dict[WireFormat, Json] = {
    MESSAGES: {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "c9", "content": "x"}]},
    CHAT: {"role": "tool", "tool_call_id": "c9", "content": "x"},
    RESPONSES: {"type": "function_call_output", "call_id": "c9", "output": "x"},
}
CALL: dict[WireFormat, Json] = {
    MESSAGES: {
        "role": "assistant",
        "content": [{"type": "tool_use", "id": "c9", "name": "f", "input": {}}],
    },
    CHAT: {
        "role": "assistant",
        "tool_calls": [{"id": "c9", "type": "function", "function": {"name": "f", "arguments": "{}"}}],
    },
    RESPONSES: {"type": "function_call", "call_id": "c9", "name": "f", "arguments": "{}"},
}
FIELD = {
    MESSAGES: "messages[2].content[0].tool_use_id",
    CHAT: "messages[2].tool_call_id",
    RESPONSES: "input[2].call_id",
}
OTHER = {MESSAGES: "chat:m", CHAT: "messages:m", RESPONSES: "messages:m"}
OWN = {MESSAGES: "messages:m", CHAT: "chat:m"}
each_client = pytest.mark.parametrize("format", FIELD, ids=str)


def another(format: WireFormat) -> Json:
    """A call, but not the one the result is of: Chat refuses a tool's message that follows no call at all."""
    return json.loads(json.dumps(CALL[format]).replace("c9", "c1"))  # type: ignore[no-any-return]


def body(format: WireFormat, model: str, *items: Json, **fields: Json) -> bytes:
    name = "input" if format is RESPONSES else "messages"
    limit: dict[str, Json] = {"max_tokens": 9} if format is MESSAGES else {}
    return json.dumps({"model": model, name: [*items], **limit, **fields}).encode()


@each_client
async def test_to_another_dialect_it_is_refused_by_its_name_and_nothing_is_sent(format: WireFormat) -> None:
    async with house() as built:
        sent = body(format, OTHER[format], ASKED, another(format), RESULT[format])
        reply = await built.gateway.relay(format, sent, {})
        got = json.loads(await body_of(reply))
        assert not built.simulator.requests
    assert reply.status == 400
    assert got["error"]["type"] == "invalid_request_error"
    assert FIELD[format] in got["error"]["message"]
    assert "c9" in got["error"]["message"]
    if format is not MESSAGES:
        assert got["error"]["param"] == FIELD[format]


@each_client
async def test_with_its_call_before_it_it_goes_to_any(format: WireFormat) -> None:
    async with house() as built:
        sent = body(format, OTHER[format], ASKED, CALL[format], RESULT[format])
        reply = await built.gateway.relay(format, sent, {})
        await body_of(reply)
    assert reply.status == 200


@pytest.mark.parametrize("format", OWN, ids=str)
async def test_to_its_own_dialect_it_goes_untouched_for_the_vendor_to_judge(format: WireFormat) -> None:
    async with house() as built:
        sent = body(format, OWN[format], ASKED, another(format), RESULT[format])
        await body_of(await built.gateway.relay(format, sent, {}))
        (seen,) = built.simulator.requests
    assert seen.body == sent.replace(OWN[format].encode(), b"m")


async def test_where_it_is_routed_the_targets_of_its_dialect_are_left() -> None:
    async with house(tiers={"SIMPLE": ["messages:m", "chat:m"]}) as built:
        sent = body(CHAT, "auto", ASKED, another(CHAT), RESULT[CHAT])
        await body_of(await built.gateway.relay(CHAT, sent, {}))
        assert str(built.record.target) == "chat:m"


@pytest.mark.parametrize("first", [{"type": "item_reference", "id": "i"}, {"type": "compaction", "id": "c"}])
def test_an_item_that_may_stand_for_the_call_is_believed(first: Json) -> None:
    assert orphan_in({"input": [first, RESULT[RESPONSES]]}) is None


@pytest.mark.parametrize("name", ["previous_response_id", "conversation"])
def test_a_call_may_stand_in_what_the_request_goes_on_from(name: str) -> None:
    assert orphan_in({name: "r", "input": [RESULT[RESPONSES]]}) is None


CODECS: dict[WireFormat, Codec] = {
    MESSAGES: AnthropicCodec(),
    CHAT: OpenAIChatCodec(),
    RESPONSES: OpenAIResponsesCodec(),
}


def read_as(format: WireFormat, sent: dict[str, Json]) -> Request | None:
    try:
        return CODECS[format].decode_request(sent)
    except LynkrError:
        return None


def is_answered(request: Request) -> bool:
    return is_answered_in_order(Familiar().history(request.messages))


def numbered(item: Json, call_id: str) -> Json:
    return json.loads(json.dumps(item).replace("c9", call_id))  # type: ignore[no-any-return]


@each_client
@given(st.data())
def test_what_the_request_shows_to_be_answered_has_no_orphan_in_its_body(
    format: WireFormat, data: st.DataObject
) -> None:
    ids = st.sampled_from(["c1", "c2", "c3"])
    item = st.one_of(
        st.just(ASKED), st.builds(numbered, st.sampled_from([CALL[format], RESULT[format]]), ids)
    )
    made: st.SearchStrategy[dict[str, Json]] = st.lists(item, min_size=1, max_size=40).map(
        lambda items: json.loads(body(format, "m", *items))
    )
    sent = data.draw(st.one_of(made, request_bodies(format)))
    asked = read_as(format, sent)
    if asked is not None and is_answered(asked):
        assert orphan_in(sent) is None


@each_client
def test_an_ordinary_tool_loop_is_seen_to_be_answered_and_its_body_not_looked_at(format: WireFormat) -> None:
    asked = read_as(format, json.loads(body(format, "m", ASKED, CALL[format], RESULT[format])))
    assert asked is not None
    assert is_answered(asked)


@pytest.mark.parametrize("format", OWN, ids=str)
def test_a_result_of_another_call_is_no_answer(format: WireFormat) -> None:
    """A Responses request with one is refused by its decoder already."""
    asked = read_as(format, json.loads(body(format, "m", ASKED, another(format), RESULT[format])))
    assert asked is not None
    assert not is_answered(asked)
