"""Whoever observes a gateway sees each of its requests once, however it ended."""

import json
from collections.abc import Sequence

import pytest

from lynkr.errors import UpstreamRefused
from lynkr.model import Message, Request, WireFormat
from lynkr.telemetry import Ended, Ending, Live
from lynkr.testing.faults import script, status
from tests.gateway.house import EASY, body_of, house

pytestmark = pytest.mark.anyio


class Seen:
    def __init__(self) -> None:
        self.all: list[Ended] = []

    def observe(self, ended: Sequence[Ended], /) -> None:
        self.all += ended


def body(**fields: object) -> bytes:
    said = {"model": "lynkr-auto", "max_tokens": 64, "messages": [{"role": "user", "content": EASY}]}
    return json.dumps(said | fields).encode()


async def test_what_is_seen_is_what_is_recorded_and_what_the_record_does_not_say() -> None:
    seen = Seen()
    async with house(observers=(seen,)) as running:
        gateway = running.gateway
        await body_of(await gateway.relay(WireFormat.OPENAI_CHAT, body(reasoning_effort="low"), {}))
        await gateway.ask(Request("lynkr-auto", (Message.user(EASY),)))
        assert gateway.observers is not None
        assert gateway.observers.flush(10)
        assert [one.record for one in seen.all] == running.records()
    relayed, asked = seen.all
    assert (relayed.operation, relayed.max_tokens, relayed.reasoning) == ("chat", 64, "low")
    assert (relayed.response_model, relayed.stop_reason) == ("gpt-4.1-nano", "end_turn")
    assert relayed.response_id
    assert (asked.max_tokens, asked.reasoning, asked.record.ending) == (None, None, Ending.OK)


async def test_a_failed_request_is_seen_too() -> None:
    seen = Seen()
    async with house(observers=(seen,)) as running:
        running.simulator.play(script(status(401)))
        with pytest.raises(UpstreamRefused):
            await running.gateway.ask(Request("chat:gpt-4.1-nano", (Message.user(EASY),)))
        await body_of(await running.gateway.relay(WireFormat.OPENAI_CHAT, b"{", {}))
    refused, malformed = seen.all
    assert (refused.record.ending, refused.response_id, refused.stop_reason) == (Ending.FAILED, None, None)
    assert (malformed.record.error, malformed.max_tokens) == ("ClientWireError", None)


async def test_live_counts_requests_and_streams_while_they_last() -> None:
    async with house() as running:
        gateway, live = running.gateway, running.gateway.live
        gateway.route(WireFormat.OPENAI_CHAT, body(), {})
        assert (live.requests, live.streams) == (0, 0)
        exchange = gateway.begin(WireFormat.OPENAI_CHAT, body(stream=True), {})
        assert live == Live(requests=1, streams=0)
        reply = await gateway.answer(exchange)
        assert live == Live(requests=1, streams=1)
        other = await gateway.relay(WireFormat.OPENAI_CHAT, body(), {})
        assert live == Live(requests=2, streams=1)
        await body_of(reply)
        await other.aclose()  # its client left
        assert live == Live()
        running.simulator.play(script(status(400)))
        await body_of(await gateway.relay(WireFormat.OPENAI_CHAT, body(stream=True), {}))
        assert live == Live()


async def test_embeddings_say_what_they_are() -> None:
    seen = Seen()
    async with house(observers=(seen,)) as running:
        asked = json.dumps({"model": "chat:embed", "input": "x"}).encode()
        await body_of(await running.gateway.embed(asked))
        assert running.gateway.live == Live()
    assert [one.operation for one in seen.all] == ["embeddings"]
