"""Malformed requests through the whole gateway: answered, or refused in the client's dialect; never a 5xx."""

import json
from collections.abc import Iterator
from typing import Any

import anyio
import pytest
from anyio.from_thread import BlockingPortal, start_blocking_portal
from attrs import frozen
from hypothesis import given, settings
from hypothesis import strategies as st

from lynkr.errors import ClientWireError, UpstreamError
from lynkr.model import WireFormat
from lynkr.relay import WireReply
from lynkr.testing import request_bodies
from lynkr.wire.json_body import dump
from tests.gateway.house import House, body_of, house
from tests.gateway.malformed import BAD_TEXTS, CLIENTS, spoiled_bodies

PATIENCE = 10.0
MANY = 150  # most are refused at the door; this many let some through to every upstream
ANTHROPIC = WireFormat.ANTHROPIC_MESSAGES
each_client = pytest.mark.parametrize("format", CLIENTS, ids=[each.value for each in CLIENTS])


@frozen
class Answered:
    reply: WireReply
    body: bytes


@frozen
class Door:
    """A gateway on an event loop in a thread of its own, for tests that Hypothesis runs."""

    portal: BlockingPortal
    house: House

    def send(self, format: WireFormat, body: bytes) -> Answered:
        async def send() -> Answered:
            with anyio.fail_after(PATIENCE):
                reply = await self.house.gateway.relay(format, body, {"content-type": "application/json"})
                return Answered(reply, await body_of(reply))

        return self.portal.call(send)


@pytest.fixture(scope="module")
def door() -> Iterator[Door]:
    with start_blocking_portal("asyncio") as portal, portal.wrap_async_context_manager(house()) as running:
        yield Door(portal, running)


def refusal_in(format: WireFormat, body: bytes) -> dict[str, Any]:
    """The error in the dialect's own envelope; fails if it is not that."""
    said = json.loads(body)
    if format is ANTHROPIC:
        assert (said["type"], set(said)) == ("error", {"type", "error"})
    else:
        assert set(said) == {"error"}
        assert set(said["error"]) == {"message", "type", "param", "code"}
    error: dict[str, Any] = said["error"]
    assert error["type"] == "invalid_request_error"
    assert error["message"]
    return error


def check_refusal(format: WireFormat, answer: Answered, *, names_field: bool) -> None:
    error = answer.reply.error
    assert isinstance(error, ClientWireError), error
    assert 400 <= answer.reply.status < 500
    assert answer.reply.status == error.status
    assert answer.reply.headers["content-type"] == "application/json"
    said = refusal_in(format, answer.body)
    assert said["message"] == str(error)
    if names_field:
        assert error.field
    if error.field and format is not ANTHROPIC:
        assert said["param"] == error.field


# Routed, and to an upstream of either dialect, so that a body is passed on and translated.
MODELS = ("lynkr-auto", "chat:sim-small", "messages:sim-small")


@each_client
@settings(max_examples=MANY)
@given(data=st.data())
def test_a_spoiled_request_is_answered_or_refused_by_its_field(
    door: Door, format: WireFormat, data: st.DataObject
) -> None:
    body = data.draw(spoiled_bodies(format))
    if isinstance(body.get("model"), str):
        body["model"] = data.draw(st.sampled_from(MODELS))
    answer = door.send(format, dump(body))
    if answer.reply.status == 200:
        assert answer.body
        return
    if isinstance(answer.reply.error, UpstreamError):
        assert answer.reply.error.status == answer.reply.status  # the provider's own word
    assert answer.reply.status < 500, answer.body
    if isinstance(answer.reply.error, ClientWireError):
        check_refusal(format, answer, names_field=True)


@each_client
@pytest.mark.parametrize("kind", BAD_TEXTS)
@settings(max_examples=10)  # what is done to the text decides; the text hardly does
@given(data=st.data())
def test_what_is_not_a_json_object_is_refused_in_the_dialects_envelope(
    door: Door, format: WireFormat, kind: str, data: st.DataObject
) -> None:
    text = BAD_TEXTS[kind](data.draw, dump(data.draw(request_bodies(format))))
    answer = door.send(format, text)
    check_refusal(format, answer, names_field=kind in ("a field twice", "a lone surrogate"))
