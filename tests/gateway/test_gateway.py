"""The whole path over real HTTP: decide, send, translate, record."""

import json
from collections.abc import Mapping

import anyio
import pytest
from attrs import evolve

import lynkr
from lynkr.errors import GatewayClosed, RoutingError, UpstreamWireError
from lynkr.model import Json, Message, Request, Text, WireFormat
from lynkr.routing import Tier
from lynkr.telemetry.record import Ending
from lynkr.testing import Simulator
from lynkr.testing.anthropic_grammar import validate_anthropic_stream
from lynkr.testing.faults import Answer, Send, cut_after, error_event, garbage, ok, script, stall, status
from tests.gateway.house import EASY, HARD, TIERS, body_of, house, settings_for

pytestmark = pytest.mark.anyio
MESSAGES, CHAT = WireFormat.ANTHROPIC_MESSAGES, WireFormat.OPENAI_CHAT


def body(text: str, model: str = "lynkr-auto", **fields: Json) -> bytes:
    content = {"model": model, "max_tokens": 64, "messages": [{"role": "user", "content": text}], **fields}
    return json.dumps(content).encode()


def ask(text: str, model: str = "auto") -> Request:
    return Request(model, (Message.user(text),))


async def test_ask_answers_and_records_what_happened() -> None:
    async with house() as built:
        response = await built.gateway.ask(ask(EASY), session="run-7")
        record = built.record
    assert isinstance(response.parts[0], Text)
    assert "simulator" in response.parts[0].text
    assert (record.ending, record.status, record.session, record.client_format) == (
        Ending.OK,
        200,
        "run-7",
        None,
    )
    assert (record.tier, str(record.target)) == (Tier.SIMPLE, "chat:gpt-4.1-nano")
    assert record.usage == response.usage
    assert record.usage.input
    assert record.cost.cost_microusd is not None
    assert record.cost.saved_microusd is not None
    assert record.cost.saved_microusd > 0
    assert record.prompt is None
    assert record.answer is None
    assert [attempt.status for attempt in record.attempts] == [200]


async def test_a_stream_gives_events_and_one_record_when_it_ends() -> None:
    async with house() as built:
        async with built.gateway.stream(ask(HARD)) as events:
            kinds = [type(event).__name__ async for event in events]
        record = built.record
    assert kinds[0] == "Start"
    assert kinds[-1] == "Finish"
    assert record.tier is Tier.REASONING
    assert record.seconds_to_first_event is not None
    assert record.seconds >= record.seconds_to_first_event


async def test_a_caller_that_stops_reading_is_recorded_as_cancelled() -> None:
    async with house() as built:
        async with built.gateway.stream(ask(HARD)) as events:
            await anext(events)
        assert built.record.ending is Ending.CANCELLED


async def test_a_cancelled_caller_closes_the_upstream_and_is_recorded() -> None:
    async with house(Simulator(default=script(stall()))) as built:
        with anyio.move_on_after(5) as scope:
            async with anyio.create_task_group() as group:
                group.start_soon(built.gateway.ask, ask(EASY))
                await built.upstream.wait_until(lambda simulator: simulator.active == 1)
                group.cancel_scope.cancel()
            await built.upstream.wait_until(lambda simulator: simulator.active == 0)
        assert not scope.cancelled_caught
        assert built.record.ending is Ending.CANCELLED


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(("format", "model"), [(MESSAGES, "messages:claude-x"), (CHAT, "chat:gpt-x")])
async def test_criterion_04_the_same_dialect_goes_through_byte_for_byte(
    format: WireFormat, model: str, stream: bool
) -> None:
    sent = (
        '{ "messages":[{"role":"user","content":"h\\u00e9 \\ud83d\\ude00"}],"temperature" : 1.0e0,\n'
        f'"unknown":{{"n":10000000000000000000001.5}},"model":"{model}","max_tokens":5,"stream":{str(stream).lower()}}}'
    )
    async with house(**{"providers.chat.ask_usage": False}) as built:
        reply = await built.gateway.relay(format, sent.encode(), {})
        got = await body_of(reply)
        (seen,) = built.simulator.requests
        direct = built.simulator.answer(seen)
        record = built.record
    assert seen.body.decode() == sent.replace(model, model.split(":")[1])
    if stream:
        assert got == b"".join(move.data for move in direct.moves if hasattr(move, "data"))
    else:
        assert json.loads(got)["model"] == model.split(":")[1]
    assert record.ending is Ending.OK
    assert record.usage.output is not None or (stream and format is CHAT)
    assert record.losses == ()


async def test_anthropic_headers_are_forwarded_whatever_their_values_and_credentials_are_not() -> None:
    headers = {
        "anthropic-version": "2099-01-01",
        "anthropic-beta": "never-heard-of-2031",
        "anthropic-new-thing": "x",
        "authorization": "Bearer the-clients-own",
        "x-api-key": "the-clients-own",
        "cookie": "secret",
    }
    async with house() as built:
        await body_of(await built.gateway.relay(MESSAGES, body("hi", "messages:claude-x"), headers))
        (seen,) = built.simulator.requests
    assert {name: seen.headers[name] for name in headers if name.startswith("anthropic-")} == {
        name: value for name, value in headers.items() if name.startswith("anthropic-")
    }
    assert seen.headers["x-api-key"] == "k"
    assert "the-clients-own" not in str(seen.headers)
    assert "cookie" not in seen.headers


@pytest.mark.parametrize("stream", [False, True])
async def test_an_anthropic_client_is_answered_by_an_openai_upstream(stream: bool) -> None:
    async with house() as built:
        reply = await built.gateway.relay(MESSAGES, body(EASY, stream=stream), {})
        got = await body_of(reply)
        record = built.record
    assert reply.status == 200
    assert reply.headers["x-lynkr-tier"] == "SIMPLE"
    assert reply.headers["x-lynkr-provider"] == "chat"
    assert record.client_format is MESSAGES
    assert record.usage.output
    if stream:
        validate_anthropic_stream(got)
    else:
        assert json.loads(got)["type"] == "message"


async def test_a_named_target_and_an_alias_are_served_and_recorded_but_not_routed() -> None:
    async with house(**{"aliases.fast": "chat:gpt-4.1-nano"}) as built:
        for model in ("messages:claude-haiku-4-5", "fast"):
            reply = await built.gateway.relay(CHAT, body(HARD, model), {})
            await body_of(reply)
            assert "x-lynkr-tier" not in reply.headers
        records = built.records()
    assert [str(record.target) for record in records] == ["messages:claude-haiku-4-5", "chat:gpt-4.1-nano"]
    assert [record.tier for record in records] == [None, None]


async def test_a_name_of_no_provider_of_ours_is_routed() -> None:
    async with house() as built:
        reply = await built.gateway.relay(CHAT, body(EASY, "stranger:model"), {})
        await body_of(reply)
    assert reply.headers["x-lynkr-tier"] == "SIMPLE"


async def test_a_failing_target_falls_back_and_the_record_names_both() -> None:
    tiers = {**TIERS, "SIMPLE": ["chat:broken", "chat:gpt-4.1-nano"]}
    async with house(Simulator({"broken": script(status(500), then=status(500))}), tiers) as built:
        reply = await built.gateway.relay(CHAT, body(EASY), {})
        await body_of(reply)
        record = built.record
    assert reply.status == 200
    assert [attempt.status for attempt in record.attempts] == [500, 200]
    assert [attempt.outcome.value for attempt in record.attempts] == ["failure", "success"]
    assert reply.headers["x-lynkr-model"] == "gpt-4.1-nano"


async def test_when_the_tier_is_down_the_next_tier_up_serves() -> None:
    async with house(Simulator({"gpt-4.1-nano": script(then=status(500))})) as built:
        reply = await built.gateway.relay(CHAT, body(EASY), {})
        await body_of(reply)
        record = built.record
    assert reply.headers["x-lynkr-tier"] == "SIMPLE"
    assert reply.headers["x-lynkr-served-tier"] == "MEDIUM"
    assert (record.tier, record.served_tier) == (Tier.SIMPLE, Tier.MEDIUM)


async def test_a_callers_fault_is_told_unmodified_and_tried_once() -> None:
    async with house(Simulator(default=script(then=status(400)))) as built:
        reply = await built.gateway.relay(CHAT, body(EASY), {})
        got = await body_of(reply)
        record = built.record
        assert built.gateway.unavailable() == frozenset()
    assert reply.status == 400
    assert "simulated status 400" in json.loads(got)["error"]["message"]
    assert (record.ending, record.status, len(record.attempts)) == (Ending.FAILED, 400, 1)


@pytest.mark.parametrize("format", [MESSAGES, CHAT])
@pytest.mark.parametrize("model", ["messages:m", "chat:m"])
async def test_a_stream_that_breaks_ends_in_the_dialects_error_event_and_a_failed_record(
    format: WireFormat, model: str
) -> None:
    async with house(Simulator(default=script(then=cut_after(4)))) as built:
        reply = await built.gateway.relay(format, body(HARD, model, stream=True), {})
        got = await body_of(reply)
        record = built.record
    assert reply.status == 200
    assert record.ending is Ending.FAILED
    assert b'"error"' in got.rsplit(b"data: ", 1)[-1]
    assert b"[DONE]" not in got
    if format is MESSAGES:
        validate_anthropic_stream(got)


async def test_an_error_event_of_the_upstream_is_not_said_twice() -> None:
    async with house(Simulator(default=script(then=error_event(after=4)))) as built:
        reply = await built.gateway.relay(MESSAGES, body(HARD, "messages:m", stream=True), {})
        got = await body_of(reply)
        assert built.record.ending is Ending.FAILED
    assert got.count(b"event: error") == 1
    validate_anthropic_stream(got)


async def test_asking_in_process_raises_when_the_stream_breaks() -> None:
    async with house(Simulator(default=script(then=cut_after(4)))) as built:
        with pytest.raises((UpstreamWireError, lynkr.UpstreamError)):
            await built.gateway.ask(evolve(ask(HARD), stream=True))
        assert built.record.ending is Ending.FAILED


@pytest.mark.parametrize("format", [MESSAGES, CHAT])
@pytest.mark.parametrize(
    "bad", [b"", b"{", b"[]", b'{"model":1}', b'{"model":"a","model":"b"}', b"\xff", b'{"a":NaN}']
)
async def test_a_malformed_body_is_the_clients_fault_in_its_own_envelope(
    format: WireFormat, bad: bytes
) -> None:
    async with house() as built:
        reply = await built.gateway.relay(format, bad, {})
        error = json.loads(await body_of(reply))["error"]
        record = built.record
        assert not built.simulator.requests
    assert reply.status == 400
    assert error["type"] == "invalid_request_error"
    assert (record.ending, record.status, record.target) == (Ending.FAILED, 400, None)


async def test_a_message_without_a_limit_is_refused_but_can_be_counted() -> None:
    unlimited = json.dumps({"model": "auto", "messages": [{"role": "user", "content": "hi"}]}).encode()
    async with house() as built:
        reply = await built.gateway.relay(MESSAGES, unlimited, {})
        error = json.loads(await body_of(reply))["error"]
        counted, _ = await built.gateway.count_tokens(MESSAGES, unlimited, {})
    assert reply.status == 400
    assert error["message"].startswith("max_tokens")
    assert counted > 0


async def test_text_is_recorded_only_when_the_owner_asks_for_it() -> None:
    async with house(**{"telemetry.record_text": True}) as built:
        for model in ("chat:m", "messages:m"):
            await body_of(await built.gateway.relay(MESSAGES, body("the words", model, stream=True), {}))
        records = built.records()
    assert all(record.prompt is not None and "the words" in record.prompt for record in records)
    assert all(record.answer is not None and "simulator" in record.answer for record in records)


async def test_tokens_are_counted_by_the_provider_or_estimated() -> None:
    async with house() as built:
        counted = await built.gateway.count_tokens(MESSAGES, body("hello", "messages:m"), {})
        estimated = await built.gateway.count_tokens(MESSAGES, body("hello", "chat:m"), {})
    assert counted[0] > 0
    assert counted[1] is False
    assert estimated[0] > 0
    assert estimated[1] is True


async def test_a_closed_gateway_says_so() -> None:
    async with house() as built:
        await built.gateway.aclose()
        reply = await built.gateway.relay(CHAT, body(EASY), {})
        assert reply.status == 503
        with pytest.raises(GatewayClosed):
            await built.gateway.ask(ask(EASY))


async def test_two_gateways_do_not_know_of_each_other() -> None:
    failing = Simulator(default=script(then=status(500)))
    async with house(failing) as first, house() as second:
        for _ in range(8):
            await body_of(await first.gateway.relay(CHAT, body(EASY, "chat:m"), {}))
        await body_of(await second.gateway.relay(CHAT, body(EASY, "chat:m"), {}))
        assert first.gateway.unavailable()
        assert not second.gateway.unavailable()
        assert len(second.records()) == 1


async def test_a_target_of_no_provider_is_named_in_the_error() -> None:
    settings = settings_for("http://127.0.0.1:9")
    router = lynkr.PipelineRouter({Tier.SIMPLE: ["nobody:m"]})
    async with lynkr.Gateway(router=router, providers=()) as gateway:
        with pytest.raises(RoutingError, match="nobody"):
            await gateway.ask(ask(EASY))
    assert settings.providers


HEADERS: Mapping[str, str] = {"x-claude-code-session-id": "s-1"}


async def test_the_session_header_is_recorded() -> None:
    async with house(Simulator(default=script(ok()))) as built:
        await body_of(await built.gateway.relay(MESSAGES, body(EASY), HEADERS))
        assert built.record.session == "s-1"


@pytest.mark.parametrize(("format", "model"), [(MESSAGES, "messages:claude-x"), (CHAT, "chat:gpt-x")])
async def test_a_stream_that_is_nonsense_from_the_start_is_tried_again(
    format: WireFormat, model: str
) -> None:
    async with house(Simulator(default=script(garbage(), then=ok()))) as built:
        reply = await built.gateway.relay(format, body(EASY, model, stream=True), {})
        assert reply.status == 200
        assert b'{"type": \n' not in await body_of(reply)
        assert built.record.ending is Ending.OK
        assert [attempt.error for attempt in built.record.attempts] == ["UpstreamWireError", None]
        assert built.record.losses == ()


def babble(answer: Answer) -> Answer:
    """A stream whose third event is no event of its dialect."""
    moves = list(answer.moves)
    sent = [at for at, move in enumerate(moves) if isinstance(move, Send)]
    moves.insert(sent[3], Send(b"data: <html>\n\n"))
    return evolve(answer, moves=tuple(moves))


@pytest.mark.parametrize(("format", "model"), [(MESSAGES, "messages:claude-x"), (CHAT, "chat:gpt-x")])
async def test_a_record_says_that_an_untouched_answer_could_not_be_read_to_its_end(
    format: WireFormat, model: str
) -> None:
    async with house(Simulator(default=script(then=babble))) as built:
        answer = await body_of(await built.gateway.relay(format, body(EASY, model, stream=True), {}))
        assert b"data: <html>\n\n" in answer
        record = built.record
    assert record.ending is Ending.OK
    (loss,) = record.losses
    assert loss.path == "usage"
    assert "could not be read" in loss.reason


BETA = {
    "anthropic-beta": "context-management-2025-06-27,files-api-2025-04-14",
    "anthropic-version": "2023-06-01",
}


async def test_criterion_05_a_beta_header_falls_with_its_fields_and_the_record_names_it() -> None:
    async with house() as built:
        sent = body(EASY, "chat:gpt-x", context_management={"edits": []})
        await body_of(await built.gateway.relay(MESSAGES, sent, BETA))
        (seen,) = built.simulator.requests
        assert "anthropic-beta" not in seen.headers
        losses = {loss.path: loss.reason for loss in built.record.losses}
    assert BETA["anthropic-beta"] in losses["headers.anthropic-beta"]
    assert any("context_management" in path for path in losses)
    assert "headers.anthropic-version" not in losses


async def test_a_beta_header_stays_with_its_fields_in_its_own_dialect() -> None:
    async with house() as built:
        sent = body(EASY, "messages:claude-x", context_management={"edits": []})
        await body_of(await built.gateway.relay(MESSAGES, sent, BETA))
        (seen,) = built.simulator.requests
        assert seen.headers["anthropic-beta"] == BETA["anthropic-beta"]
        assert seen.json["context_management"] == {"edits": []}
        assert built.record.losses == ()


@pytest.mark.parametrize("model", ["messages:m", "chat:m"])
async def test_a_client_that_leaves_at_the_final_event_has_its_answer(model: str) -> None:
    """Codex hangs up as soon as it has read the last event, before the connection's end."""
    async with house() as built:
        reply = await built.gateway.relay(MESSAGES, body(EASY, model, stream=True), {})
        assert reply.chunks is not None
        async for chunk in reply.chunks:
            if b"message_stop" in chunk:
                break
        await reply.aclose()
        assert built.record.ending is Ending.OK
