"""A Chat client that streams without asking for usage (Cursor, most SDKs) still has its tokens recorded."""

import json

import anyio
import pytest
from attrs import evolve

from lynkr.model import Usage, WireFormat
from lynkr.telemetry.record import Ending
from lynkr.testing import Simulator
from lynkr.testing.faults import Send, script
from tests.gateway.house import body_of, house

pytestmark = pytest.mark.anyio
CHAT = WireFormat.OPENAI_CHAT
SENT = (
    '{ "model":"chat:gpt-x", "messages":[{"role":"user","content":"h\\u00e9"}],'
    ' "temperature" : 1.0e0,\n"stream" : true%s}'
)
SHARED = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "gpt-x"}


def chunk(**fields: object) -> bytes:
    return b"data: " + json.dumps({**SHARED, **fields}).encode() + b"\n\n"


SAID = chunk(
    choices=[{"index": 0, "delta": {"role": "assistant", "content": "hi"}, "finish_reason": None}], usage=None
)
STOP = chunk(choices=[{"index": 0, "delta": {}, "finish_reason": "stop"}], usage=None)
TOLD = chunk(choices=[], usage={"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5})
DONE = b"data: [DONE]\n\n"
STREAM = SAID + STOP + TOLD + DONE


def streaming(*pieces: bytes) -> Simulator:
    """An upstream that streams *pieces*, whatever it is asked."""
    moves = tuple(Send(piece) for piece in pieces)
    return Simulator(default=script(lambda answer: evolve(answer, moves=moves)))


@pytest.mark.parametrize("size", [1, 7, 100, len(SAID) + 3, len(SAID + STOP) + 5, len(STREAM)])
async def test_it_is_asked_for_in_its_place_and_the_client_sees_nothing_of_it(size: int) -> None:
    pieces = [STREAM[at : at + size] for at in range(0, len(STREAM), size)]
    async with house(streaming(*pieces)) as built:
        with anyio.fail_after(20):
            got = await body_of(await built.gateway.relay(CHAT, (SENT % "").encode(), {}))
        (seen,) = built.simulator.requests
        record = built.record
    body = seen.body.decode()
    options = '"stream_options":{"include_usage":true},'
    assert options in body
    assert body.replace(options, "") == (SENT % "").replace("chat:gpt-x", "gpt-x")
    assert got == SAID + STOP + DONE
    assert (record.ending, record.usage.input, record.usage.output) == (Ending.OK, 3, 2)
    assert record.losses == ()


async def test_the_record_has_its_cost() -> None:
    async with house(**{"providers.chat.local": False}) as built:  # a loopback host is free
        sent = SENT.replace("gpt-x", "gpt-4.1-mini") % ""
        got = await body_of(await built.gateway.relay(CHAT, sent.encode(), {}))
        record = built.record
    assert record.usage.output
    assert record.cost.cost_microusd
    assert b'"choices":[]' not in got.replace(b" ", b"")
    assert got.endswith(DONE)


async def test_a_client_that_asks_gets_every_byte() -> None:
    sent = SENT % ', "stream_options" : {"include_usage":true}'
    async with house(streaming(STREAM)) as built:
        got = await body_of(await built.gateway.relay(CHAT, sent.encode(), {}))
        (seen,) = built.simulator.requests
    assert seen.body.decode() == sent.replace("chat:gpt-x", "gpt-x")
    assert got == STREAM


async def test_the_owner_may_have_every_byte_left_as_it_is() -> None:
    async with house(streaming(STREAM.replace(TOLD, b"")), **{"providers.chat.ask_usage": False}) as built:
        got = await body_of(await built.gateway.relay(CHAT, (SENT % "").encode(), {}))
        (seen,) = built.simulator.requests
        record = built.record
    assert seen.body.decode() == (SENT % "").replace("chat:gpt-x", "gpt-x")
    assert got == STREAM.replace(TOLD, b"")
    assert record.usage == Usage()  # unknown, not nothing


async def test_a_host_that_does_not_know_the_field_is_not_told() -> None:
    async with house(streaming(STREAM), **{"providers.chat.kind": "mistral"}) as built:
        got = await body_of(await built.gateway.relay(CHAT, (SENT % "").encode(), {}))
        (seen,) = built.simulator.requests
        record = built.record
    assert seen.body.decode() == (SENT % "").replace("chat:gpt-x", "gpt-x")
    assert got == STREAM  # usage that comes unasked is the host's own affair
    assert record.usage.input == 3


async def test_an_error_in_the_stream_reaches_the_client_all_the_same() -> None:
    error = b'data: {"error":{"message":"overloaded","type":"server_error"}}\n\n'
    async with house(streaming(SAID, error)) as built:
        got = await body_of(await built.gateway.relay(CHAT, (SENT % "").encode(), {}))
        record = built.record
    assert got == SAID + error
    assert record.ending is Ending.FAILED
