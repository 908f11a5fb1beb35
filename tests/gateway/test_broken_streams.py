"""A stream that breaks ends in an event its dialect allows there, also where its bytes were passed on."""

import json

import pytest
from attrs import evolve

from lynkr.assembly import build_gateway
from lynkr.model import WireFormat
from lynkr.testing import Simulator, SimulatorServer, cut_after, error_event, reset, script
from lynkr.testing.faults import Answer, Fault, Send
from lynkr.testing.responses_grammar import validate_responses_stream
from tests.gateway.house import body_of, settings_for

QUICK = {"timeouts.idle": 0.2, "resilience.base_delay": 0.01}
BODY = {"model": "own:m", "stream": True, "input": "hello"}


def with_comments(fault: Fault) -> Fault:
    """*fault*, with a comment before the first event and after the last."""

    def commented(answer: Answer) -> Answer:
        broken = fault(answer)
        *moves, last = broken.moves
        return evolve(broken, moves=(Send(b": hello\n\n"), *moves, Send(b": ping\n\n"), last))

    return commented


@pytest.mark.anyio
@pytest.mark.parametrize("after", [4, 7])
@pytest.mark.parametrize("kind", [cut_after, reset])
@pytest.mark.parametrize("wrapped", [False, True], ids=["bare", "commented"])
async def test_a_responses_stream_passed_on_goes_on_counting_in_its_error_event(
    kind: object, after: int, wrapped: bool
) -> None:
    fault = kind(after)  # type: ignore[operator]
    simulator = Simulator(default=script(then=with_comments(fault) if wrapped else fault))
    async with SimulatorServer(simulator) as upstream:
        own = {"kind": "openai-responses", "base_url": f"{upstream.url}/v1", "api_key": "k"}
        extra = {f"providers.own.{key}": value for key, value in own.items()}
        async with build_gateway(settings_for(upstream.url, **extra, **QUICK)) as gateway:
            reply = await gateway.relay(WireFormat.OPENAI_RESPONSES, json.dumps(BODY).encode(), {})
            assert reply.status == 200
            data = await body_of(reply)
    validate_responses_stream(data)
    assert data.count(b"event: error\n") == 1
    assert b"event: response.failed\n" in data


@pytest.mark.anyio
async def test_the_providers_own_error_event_is_followed_by_none_of_ours() -> None:
    async with SimulatorServer(Simulator(default=script(then=error_event(4)))) as upstream:
        own = {"kind": "openai-responses", "base_url": f"{upstream.url}/v1", "api_key": "k"}
        extra = {f"providers.own.{key}": value for key, value in own.items()}
        async with build_gateway(settings_for(upstream.url, **extra, **QUICK)) as gateway:
            data = await body_of(
                await gateway.relay(WireFormat.OPENAI_RESPONSES, json.dumps(BODY).encode(), {})
            )
    validate_responses_stream(data)
    assert data.count(b"event: error\n") == 1


@pytest.mark.anyio
@pytest.mark.parametrize("store", [True, False])
@pytest.mark.parametrize("fault", [cut_after(1), cut_after(2), reset(2)], ids=["1", "2", "reset"])
async def test_an_attempt_that_broke_after_its_first_event_does_not_spoil_the_next(
    fault: Fault, store: bool
) -> None:
    """Who watches the answer, to keep it, sees one that begins once."""
    async with SimulatorServer(Simulator(default=script(fault))) as upstream:
        own = {"kind": "openai-responses", "base_url": f"{upstream.url}/v1", "api_key": "k"}
        extra = {f"providers.own.{key}": value for key, value in own.items()}
        async with build_gateway(settings_for(upstream.url, **extra, **QUICK)) as gateway:
            body = json.dumps({**BODY, "store": store}).encode()
            reply = await gateway.relay(WireFormat.OPENAI_RESPONSES, body, {})
            assert reply.status == 200
            data = await body_of(reply)
    validate_responses_stream(data)
    assert data.count(b"event: response.completed\n") == 1


@pytest.mark.anyio
@pytest.mark.parametrize("lost", [1, 2])
async def test_a_chat_stream_that_lost_only_its_end_mark_gets_it(lost: int) -> None:
    """The connection broke after the reason to finish: the answer is whole, and its client is told so."""

    def cut(answer: Answer) -> Answer:
        return cut_after(sum(isinstance(move, Send) for move in answer.moves) - lost)(answer)

    body = {"model": "chat:m", "stream": True, "messages": [{"role": "user", "content": "hello"}]}
    body["stream_options"] = {"include_usage": True}
    async with SimulatorServer(Simulator(default=script(then=cut))) as upstream:
        settings = settings_for(upstream.url, **QUICK)
        async with build_gateway(settings) as gateway:
            data = await body_of(await gateway.relay(WireFormat.OPENAI_CHAT, json.dumps(body).encode(), {}))
    assert data.endswith(b"data: [DONE]\n\n")
    assert data.count(b"[DONE]") == 1
    assert b'"error"' not in data
