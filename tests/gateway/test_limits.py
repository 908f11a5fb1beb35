"""What a target's profile says it cannot do is acted on, also where the client names the target itself."""

import json
import re

import pytest

from lynkr.model import Json, WireFormat
from tests.gateway.house import body_of, house

pytestmark = pytest.mark.anyio
MESSAGES, CHAT, RESPONSES = (
    WireFormat.ANTHROPIC_MESSAGES,
    WireFormat.OPENAI_CHAT,
    WireFormat.OPENAI_RESPONSES,
)
CLIENTS = (MESSAGES, CHAT, RESPONSES)
TARGETS = ("chat:small", "messages:small")
SMALL = {f"profiles.{target}.context_window": 1_000 for target in TARGETS}
ALONE = {f"profiles.{target}.parallel_tools": False for target in TARGETS}
TIERS = {"SIMPLE": list(TARGETS)}
SCHEMA = {"type": "object", "properties": {}}


def asking(format: WireFormat, model: str, text: str = "hi", **fields: Json) -> bytes:
    said: dict[str, Json] = {"model": model, **fields}
    if format is RESPONSES:
        return json.dumps({**said, "input": text}).encode()
    said["messages"] = [{"role": "user", "content": text}]
    return json.dumps({**said, "max_tokens": 9} if format is MESSAGES else said).encode()


def with_tool(format: WireFormat, model: str, **fields: Json) -> bytes:
    tool: dict[str, Json] = {"name": "look", "description": "d"}
    if format is MESSAGES:
        tool["input_schema"] = SCHEMA
    elif format is RESPONSES:
        tool |= {"type": "function", "parameters": SCHEMA}
    else:
        tool = {"type": "function", "function": {**tool, "parameters": SCHEMA}}
    return asking(format, model, tools=[tool], **fields)


@pytest.mark.parametrize("format", CLIENTS, ids=str)
@pytest.mark.parametrize("model", [*TARGETS, "auto"])
async def test_what_surely_fits_no_window_is_refused_before_anything_is_sent(
    format: WireFormat, model: str
) -> None:
    async with house(tiers=TIERS, **SMALL) as built:
        reply = await built.gateway.relay(format, asking(format, model, "word " * 5_000), {})
        got = json.loads(await body_of(reply))
        assert not built.simulator.requests
        assert built.record.attempts == ()
    error = got["error"]
    assert reply.status == 400
    assert error["type"] == "invalid_request_error"
    # The words Claude Code looks for, with how far it is over.
    found = re.search(r"prompt is too long: (\d+) tokens > (\d+) maximum", error["message"])
    assert found is not None
    assert int(found[1]) > int(found[2]) == 1_000
    if format is MESSAGES:
        assert got["type"] == "error"
    else:
        assert error["code"] == "context_length_exceeded"


@pytest.mark.parametrize("format", CLIENTS, ids=str)
@pytest.mark.parametrize("model", TARGETS)
async def test_what_may_fit_is_for_the_target_to_judge(format: WireFormat, model: str) -> None:
    async with house(tiers=TIERS, **SMALL) as built:
        reply = await built.gateway.relay(format, asking(format, model, "word " * 1_500), {})
        await body_of(reply)
        assert reply.status == 200
        assert len(built.simulator.requests) == 1


async def test_a_window_nobody_knows_refuses_nothing() -> None:
    async with house() as built:
        reply = await built.gateway.relay(CHAT, asking(CHAT, "chat:nobody-knows", "word " * 5_000), {})
        await body_of(reply)
        assert reply.status == 200


@pytest.mark.parametrize("format", CLIENTS, ids=str)
@pytest.mark.parametrize("model", TARGETS)
async def test_a_target_without_parallel_calls_is_told_to_make_one(format: WireFormat, model: str) -> None:
    async with house(tiers=TIERS, **ALONE) as built:
        await body_of(await built.gateway.relay(format, with_tool(format, model), {}))
        (seen,) = built.simulator.requests
        record = built.record
    sent = json.loads(seen.body)
    if model.startswith("chat"):
        assert sent["parallel_tool_calls"] is False
    else:
        assert sent["tool_choice"] == {"type": "auto", "disable_parallel_tool_use": True}
    assert [loss.path for loss in record.losses if "profile" in loss.reason] == ["parallel_tool_calls"]


async def test_the_clients_own_choice_of_a_tool_stays() -> None:
    choice: Json = {"type": "tool", "name": "look"}
    async with house(tiers=TIERS, **ALONE) as built:
        sent = with_tool(MESSAGES, "messages:small", tool_choice=choice)
        await body_of(await built.gateway.relay(MESSAGES, sent, {}))
        (seen,) = built.simulator.requests
    assert json.loads(seen.body)["tool_choice"] == {**choice, "disable_parallel_tool_use": True}


@pytest.mark.parametrize(
    ("format", "body"),
    [
        (CHAT, with_tool(CHAT, "chat:small", parallel_tool_calls=False)),
        (CHAT, with_tool(CHAT, "chat:small", tool_choice="none")),
        (CHAT, asking(CHAT, "chat:small")),
        (MESSAGES, with_tool(MESSAGES, "messages:small", tool_choice={"type": "none"})),
        (CHAT, with_tool(CHAT, "chat:o3-mini")),  # refuses the very field
        (CHAT, with_tool(CHAT, "chat:able")),  # nothing is known of it
    ],
)
async def test_nothing_is_said_where_it_is_of_no_use(format: WireFormat, body: bytes) -> None:
    async with house(tiers=TIERS, **ALONE, **{"profiles.chat:o3-mini.parallel_tools": False}) as built:
        await body_of(await built.gateway.relay(format, body, {}))
        (seen,) = built.simulator.requests
        record = built.record
    sent, asked = json.loads(seen.body), json.loads(body)
    assert {**sent, "model": ""} == {**asked, "model": ""}
    assert record.losses == ()
