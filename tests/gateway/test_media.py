"""What only its own dialect can carry is sent there, or refused by name before anything is sent."""

import json
from typing import Any

import pytest
from attrs import evolve

from lynkr.errors import CapabilityError
from lynkr.gateway import Gateway
from lynkr.model import Extras, Foreign, Message, Request, Role, Text, WireFormat
from lynkr.routing import PipelineRouter, Target, Tier
from lynkr.telemetry.record import Ending
from tests.gateway.house import body_of, house

pytestmark = pytest.mark.anyio
MESSAGES, CHAT, RESPONSES = (
    WireFormat.ANTHROPIC_MESSAGES,
    WireFormat.OPENAI_CHAT,
    WireFormat.OPENAI_RESPONSES,
)
PDF = {"type": "base64", "media_type": "application/pdf", "data": "JVBERi0="}
DOCUMENT = {"type": "document", "source": PDF}
SOUND = {"type": "input_audio", "input_audio": {"data": "UklGRg==", "format": "wav"}}
FILE = {"type": "file", "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,JVBERi0="}}
INPUT_FILE = {"type": "input_file", "filename": "a.pdf", "file_data": "data:application/pdf;base64,JVBERi0="}
BOTH = {"SIMPLE": ["chat:gpt-x", "messages:claude-x"]}
CHAT_ONLY = {"SIMPLE": ["chat:gpt-x"]}
MESSAGES_ONLY = {"SIMPLE": ["messages:claude-x"]}

CASES = [
    (MESSAGES, DOCUMENT, "messages:claude-x", CHAT_ONLY, "document"),
    (CHAT, SOUND, "chat:gpt-x", MESSAGES_ONLY, "audio"),
    (CHAT, FILE, "chat:gpt-x", MESSAGES_ONLY, "document"),
    (RESPONSES, INPUT_FILE, None, CHAT_ONLY, "document"),
]
IDS = ["document", "input_audio", "file", "input_file"]


def asking(format: WireFormat, part: dict[str, Any], model: str = "lynkr-auto", **fields: Any) -> bytes:
    if format is RESPONSES:
        content = [{"type": "input_text", "text": "hi"}, part]
        tree: dict[str, Any] = {"model": model, "input": [{"role": "user", "content": content}]}
    else:
        content = [{"type": "text", "text": "hi"}, part]
        tree = {"model": model, "max_tokens": 64, "messages": [{"role": "user", "content": content}]}
    return json.dumps(tree | fields).encode()


@pytest.mark.parametrize(("format", "part", "able", "_unable", "_kind"), CASES[:3], ids=IDS[:3])
async def test_media_is_routed_to_a_target_of_its_dialect_and_reaches_it_untouched(
    format: WireFormat, part: dict[str, Any], able: str, _unable: object, _kind: str
) -> None:
    async with house(tiers=BOTH) as built:
        reply = await built.gateway.relay(format, asking(format, part), {})
        assert reply.status == 200
        await body_of(reply)
        assert str(built.record.target) == able
        (seen,) = built.simulator.requests
        assert part in seen.json["messages"][0]["content"]
        assert built.record.losses == ()


@pytest.mark.parametrize("named", [False, True], ids=["routed", "named"])
@pytest.mark.parametrize(("format", "part", "_able", "unable", "kind"), CASES, ids=IDS)
async def test_media_no_target_can_get_is_refused_by_name_and_nothing_is_sent(
    format: WireFormat,
    part: dict[str, Any],
    _able: object,
    unable: dict[str, list[str]],
    kind: str,
    named: bool,
) -> None:
    ((target,),) = unable.values()
    async with house(tiers=unable) as built:
        reply = await built.gateway.relay(format, asking(format, part, target if named else "auto"), {})
        assert reply.status == 400
        error = json.loads(await body_of(reply))["error"]
        assert error["type"] == "invalid_request_error"
        for word in (kind, part["type"], format.value, target):
            assert word in error["message"]
        assert not built.simulator.requests
        record = built.record
    assert (record.ending, record.status, record.error) == (Ending.FAILED, 400, "CapabilityError")
    assert record.attempts == ()


async def test_a_spoken_answer_is_refused_where_nobody_can_speak() -> None:
    wanted = {"modalities": ["text", "audio"], "audio": {"voice": "alloy", "format": "wav"}}
    text = {"type": "text", "text": "say it"}
    async with house(tiers=MESSAGES_ONLY) as built:
        reply = await built.gateway.relay(CHAT, asking(CHAT, text, **wanted), {})
        assert reply.status == 400
        assert b"modalities" in await body_of(reply)
        assert not built.simulator.requests
    async with house(tiers=BOTH) as built:
        await body_of(await built.gateway.relay(CHAT, asking(CHAT, text, **wanted), {}))
        (seen,) = built.simulator.requests
        assert seen.json["audio"] == wanted["audio"]


async def test_a_document_in_a_tools_result_counts_too() -> None:
    call = {"type": "tool_use", "id": "t1", "name": "Read", "input": {}}
    result = {"type": "tool_result", "tool_use_id": "t1", "content": [DOCUMENT]}
    messages = [
        {"role": "user", "content": "read it"},
        {"role": "assistant", "content": [call]},
        {"role": "user", "content": [result]},
    ]
    body = json.dumps({"model": "lynkr-auto", "max_tokens": 64, "messages": messages}).encode()
    async with house(tiers=BOTH) as built:
        await body_of(await built.gateway.relay(MESSAGES, body, {}))
        assert str(built.record.target) == "messages:claude-x"


async def test_a_router_that_knows_no_dialects_is_set_right_by_the_gateway() -> None:
    request = Request("auto", (Message(Role.USER, (Foreign(CHAT, SOUND), Text("hi"))),))
    async with house(tiers=BOTH) as built:
        providers = list(built.gateway._providers.values())  # reason: real ones, over real HTTP
        blind = Gateway(
            router=PipelineRouter({Tier.SIMPLE: ["messages:claude-x", "chat:gpt-x"]}), providers=providers
        )
        async with blind:
            reply = await blind.send(request)
            assert reply.target == Target("chat", "gpt-x")
            await reply.aclose()
            only = PipelineRouter({Tier.SIMPLE: ["messages:claude-x"]})
            with pytest.raises(CapabilityError, match="input_audio"):
                await Gateway(router=only, providers=providers).ask(request)


# --- Several answers to one request -------------------------------------------------------------------

HELLO = {"type": "text", "text": "hi"}


@pytest.mark.parametrize("stream", [False, True])
async def test_several_answers_are_asked_of_a_target_of_the_dialect_and_come_back_untouched(
    stream: bool,
) -> None:
    async with house(tiers={"SIMPLE": ["messages:claude-x", "chat:gpt-x"]}) as built:
        reply = await built.gateway.relay(CHAT, asking(CHAT, HELLO, n=2, stream=stream), {})
        assert reply.status == 200
        await body_of(reply)
        (seen,) = built.simulator.requests
        assert seen.json["n"] == 2
        assert str(built.record.target) == "chat:gpt-x"


@pytest.mark.parametrize("named", [False, True], ids=["routed", "named"])
@pytest.mark.parametrize("stream", [False, True])
async def test_several_answers_where_nobody_can_give_them_are_refused_by_name(
    named: bool, stream: bool
) -> None:
    model = "messages:claude-x" if named else "auto"
    async with house(tiers=MESSAGES_ONLY) as built:
        reply = await built.gateway.relay(CHAT, asking(CHAT, HELLO, model, n=2, stream=stream), {})
        assert reply.status == 400
        told = json.loads(await body_of(reply))["error"]["message"]
        assert "several answers (`n` is passed on in openai_chat only)" in told
        assert not built.simulator.requests


@pytest.mark.parametrize("n", [1, None])
async def test_one_answer_may_be_asked_for_by_number(n: int | None) -> None:
    async with house(tiers=MESSAGES_ONLY) as built:
        assert (await built.gateway.relay(CHAT, asking(CHAT, HELLO, n=n), {})).status == 200


async def test_a_program_gets_several_whole_answers_and_is_refused_a_stream_of_them() -> None:
    several = Request("chat:gpt-x", (Message.user("hi"),), extras=Extras(CHAT, {"n": 2}))
    async with house(tiers=CHAT_ONLY) as built:
        await built.gateway.ask(several)
        assert built.simulator.requests[0].json["n"] == 2
        with pytest.raises(CapabilityError, match="`n`"):
            await built.gateway.send(evolve(several, stream=True))
        assert len(built.simulator.requests) == 1


# --- What a target that a client names is known to lack -------------------------------------------------

PNG = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "iVBORw0KGgo="}}
TOOL = {"name": "f", "input_schema": {"type": "object"}}
CALLED = {"type": "tool_use", "id": "t1", "name": "f", "input": {}}
TABLE = {"profiles.chat:small": {"tools": False, "vision": False, "structured_output": False}}


@pytest.mark.parametrize(
    ("part", "fields", "need"),
    [
        (PNG, {}, "vision"),
        ({"type": "text", "text": "hi"}, {"tools": [TOOL]}, "tools"),
        (
            {"type": "text", "text": "hi"},
            {"output_config": {"format": {"type": "json_schema", "schema": {"type": "object"}}}},
            "structured output",
        ),
    ],
)
async def test_a_named_target_is_not_sent_what_its_profile_says_it_lacks(
    part: dict[str, Any], fields: dict[str, Any], need: str
) -> None:
    async with house(tiers=CHAT_ONLY, **TABLE) as built:
        reply = await built.gateway.relay(MESSAGES, asking(MESSAGES, part, "chat:small", **fields), {})
        assert reply.status == 400
        told = json.loads(await body_of(reply))["error"]["message"]
        assert told == f"chat:small cannot serve this request: it needs {need}"
        assert not built.simulator.requests
        # Of another model nothing of the kind is known, so it is asked.
        asked = await built.gateway.relay(MESSAGES, asking(MESSAGES, part, "chat:large", **fields), {})
        assert asked.status == 200
        await body_of(asked)


async def test_images_in_tool_results_and_earlier_calls_count_for_a_named_target() -> None:
    async with house(tiers=CHAT_ONLY, **TABLE) as built:
        for content, need in (([PNG], "tools"), ([], "tools")):
            result = {"type": "tool_result", "tool_use_id": "t1", "content": content}
            turns = [("user", [HELLO]), ("assistant", [CALLED]), ("user", [result])]
            messages = [{"role": role, "content": parts} for role, parts in turns]
            body = json.dumps({"model": "chat:small", "max_tokens": 9, "messages": messages}).encode()
            reply = await built.gateway.relay(MESSAGES, body, {})
            assert need.encode() in await body_of(reply)
        assert not built.simulator.requests


async def test_tools_that_may_not_be_used_are_no_need() -> None:
    async with house(tiers=CHAT_ONLY, **TABLE) as built:
        fields = {"tools": [TOOL], "tool_choice": {"type": "none"}}
        reply = await built.gateway.relay(MESSAGES, asking(MESSAGES, HELLO, "chat:small", **fields), {})
        assert reply.status == 200
        await body_of(reply)
