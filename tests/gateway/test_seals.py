"""Other dialects' seals come back through a client to the letter, and go to nobody else."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from lynkr.assembly import build_gateway
from lynkr.gateway import Gateway
from lynkr.model import (
    Extras,
    Finish,
    Opaque,
    PartDelta,
    PartEnd,
    PartStart,
    Reasoning,
    Start,
    StopReason,
    Text,
    ToolCall,
    WireFormat,
)
from lynkr.seals import SealingEncoder, closed, holds_foreign_thinking
from lynkr.settings import Settings
from lynkr.testing.anthropic_grammar import validate_anthropic_stream
from lynkr.wire.anthropic import AnthropicCodec
from tests.gateway.house import body_of, house
from tests.providers.loopback import Loopback, Peer, Received, serving

pytestmark = pytest.mark.anyio
MESSAGES, RESPONSES, CHAT = (
    WireFormat.ANTHROPIC_MESSAGES,
    WireFormat.OPENAI_RESPONSES,
    WireFormat.OPENAI_CHAT,
)
SIGNATURE = "EqQBCkYIB+/x==" * 40
ANSWER = {
    "candidates": [
        {
            "content": {
                "role": "model",
                "parts": [
                    {"text": "Looking.", "thought": True, "thoughtSignature": "c2VlbQ=="},
                    {
                        "functionCall": {"id": "c1", "name": "look", "args": {"at": 1}},
                        "thoughtSignature": SIGNATURE,
                    },
                    {"functionCall": {"id": "c2", "name": "look", "args": {"at": 2}}},
                ],
            },
            "finishReason": "STOP",
            "index": 0,
        }
    ],
    "usageMetadata": {"promptTokenCount": 3, "candidatesTokenCount": 5, "totalTokenCount": 8},
    "modelVersion": "gemini-3-pro",
    "responseId": "r1",
}
SCHEMA = {"type": "object", "properties": {"at": {"type": "integer"}}}


async def gemini(peer: Peer, request: Received) -> None:
    if "streamGenerateContent" not in request.line:
        await peer.answer(json.dumps(ANSWER).encode())
        return
    await peer.begin_stream()
    await peer.chunk(b"data: " + json.dumps(ANSWER).encode() + b"\r\n\r\n")
    await peer.end_stream()


@asynccontextmanager
async def before_gemini() -> AsyncIterator[tuple[Gateway, Loopback]]:
    async with serving(gemini) as server:
        tree = {
            "tiers.SIMPLE": ["gemini:gemini-3-pro"],
            "providers.gemini.base_url": f"{server.url}/v1beta",
            "providers.gemini.api_key": "k",
        }
        async with build_gateway(Settings.load(None, {}, overrides=tree)) as gateway:
            yield gateway, server


async def asked(gateway: Gateway, format: WireFormat, tree: dict[str, Any]) -> bytes:
    reply = await gateway.relay(format, json.dumps(tree).encode(), {})
    assert reply.status == 200
    return await body_of(reply)


def calls_sent(server: Loopback) -> list[dict[str, Any]]:
    """The parts of the model's turn in the last request the server saw."""
    (turn,) = (one for one in json.loads(server.requests[-1].body)["contents"] if one["role"] == "model")
    return turn["parts"]


def blocks_of(data: bytes, *, stream: bool) -> list[dict[str, Any]]:
    """The content blocks a client of Anthropic's SDK holds in its hands."""
    if not stream:
        return json.loads(data)["content"]
    validate_anthropic_stream(data)
    blocks: dict[int, dict[str, Any]] = {}
    texts: dict[int, str] = {}
    for line in data.decode().splitlines():
        event = json.loads(line[6:]) if line.startswith("data: ") else {}
        match event:
            case {"type": "content_block_start", "index": index, "content_block": block}:
                blocks[index] = block
            case {"delta": {"type": "thinking_delta", "thinking": text}, "index": index}:
                blocks[index]["thinking"] += text
            case {"delta": {"type": "signature_delta", "signature": text}, "index": index}:
                blocks[index]["signature"] += text
            case {"delta": {"type": "input_json_delta", "partial_json": text}, "index": index}:
                texts[index] = texts.get(index, "") + text
    for index, text in texts.items():
        blocks[index]["input"] = json.loads(text)
    return [blocks[index] for index in sorted(blocks)]


@pytest.mark.parametrize("stream", [False, True])
async def test_geminis_signatures_come_back_through_a_client_of_anthropics_dialect(stream: bool) -> None:
    tools = [{"name": "look", "description": "d", "input_schema": SCHEMA}]
    tree = {"model": "auto", "max_tokens": 99, "stream": stream, "tools": tools}
    first = [{"role": "user", "content": "look at both"}]
    async with before_gemini() as (gateway, server):
        blocks = blocks_of(await asked(gateway, MESSAGES, tree | {"messages": first}), stream=stream)
        kinds = [block["type"] for block in blocks]
        assert kinds == ["thinking", "redacted_thinking", "tool_use", "tool_use"]
        results = [{"type": "tool_result", "tool_use_id": one, "content": "seen"} for one in ("c1", "c2")]
        history = [*first, {"role": "assistant", "content": blocks}, {"role": "user", "content": results}]
        await asked(gateway, MESSAGES, tree | {"messages": history})
        thought, signed, unsigned = calls_sent(server)
    assert thought == {"thought": True, "text": "Looking.", "thoughtSignature": "c2VlbQ=="}
    assert signed["thoughtSignature"] == SIGNATURE
    assert (signed["functionCall"]["id"], signed["functionCall"]["args"]) == ("c1", {"at": 1})
    assert "thoughtSignature" not in unsigned


async def test_geminis_signatures_come_back_through_a_client_of_responses() -> None:
    tool = {"type": "function", "name": "look", "parameters": SCHEMA, "strict": False}
    tree = {"model": "auto", "store": False, "include": ["reasoning.encrypted_content"], "tools": [tool]}
    first = [{"role": "user", "content": "look at both"}]
    async with before_gemini() as (gateway, server):
        items = json.loads(await asked(gateway, RESPONSES, tree | {"input": first}))["output"]
        outputs = [{"type": "function_call_output", "call_id": one, "output": "seen"} for one in ("c1", "c2")]
        await asked(gateway, RESPONSES, tree | {"input": [*first, *items, *outputs]})
        signed = next(part for part in calls_sent(server) if "functionCall" in part)
    assert signed["thoughtSignature"] == SIGNATURE


async def test_criterion_07_thinking_of_another_provider_is_not_shown_to_anthropic() -> None:
    wrapped = f"lynkr.gemini.call.{SIGNATURE}"
    thoughts = [
        {"type": "redacted_thinking", "data": wrapped},
        {"type": "thinking", "thinking": "hm", "signature": ""},
        {"type": "thinking", "thinking": "hm", "signature": "lynkr.openai_responses.gAAA"},
        {"type": "thinking", "thinking": "own", "signature": "c2ln"},
    ]
    turns = [
        {"role": "user", "content": "hi"},
        {"role": "assistant", "content": [*thoughts, {"type": "text", "text": "yes"}]},
        {"role": "user", "content": "and now?"},
    ]
    tree = {"model": "messages:m", "max_tokens": 9, "messages": turns, "x_new": 1}
    async with house() as built:
        await body_of(await built.gateway.relay(MESSAGES, json.dumps(tree).encode(), {}))
        (seen,) = built.simulator.requests
        record = built.record
    assert seen.json["messages"][1]["content"] == [thoughts[3], {"type": "text", "text": "yes"}]
    assert seen.json["x_new"] == 1
    assert sum("Reasoning" in str(loss) or "thinking" in loss.reason for loss in record.losses) == 3


@pytest.mark.parametrize(
    ("block", "is_foreign"),
    [
        ({"type": "thinking", "thinking": "hm", "signature": ""}, True),
        ({"type": "thinking", "thinking": "hm", "signature": "lynkr.gemini.x"}, True),
        ({"type": "redacted_thinking", "data": "lynkr.gemini.x"}, True),
        ({"type": "thinking", "thinking": "hm", "signature": "c2ln"}, False),
        ({"type": "redacted_thinking", "data": "lynkr"}, False),
        ({"type": "text", "text": 'they wrote "signature": "" there'}, False),
        ({"type": "tool_use", "id": "t", "name": "n", "input": {"data": "lynkr.x", "signature": ""}}, False),
    ],
)
def test_only_what_lynkr_left_there_is_taken_for_it(block: dict[str, Any], *, is_foreign: bool) -> None:
    turns = [{"role": "user", "content": "hi"}, {"role": "assistant", "content": [block]}]
    request = AnthropicCodec().decode_request({"model": "m", "messages": turns})
    assert holds_foreign_thinking(request) is is_foreign


def test_a_client_that_keeps_no_seals_is_given_none() -> None:
    thought = Reasoning("hm", Opaque(RESPONSES, "gAAA"))
    assert closed((thought,), CHAT) == (thought,)
    (wrapped,) = closed((thought,), MESSAGES)
    assert wrapped == Reasoning("hm", Opaque(MESSAGES, "lynkr.openai_responses.gAAA"))
    own = Reasoning("hm", Opaque(MESSAGES, "c2ln"))
    assert closed((own,), MESSAGES) == (own,)
    assert closed((thought,), RESPONSES) == (thought,)


def test_parts_that_interleave_with_a_signed_call_keep_their_places() -> None:

    signed = ToolCall("c", "f", "", Extras(WireFormat.GEMINI, {"thoughtSignature": "c2ln", "odd": 1}))
    encoder = SealingEncoder(AnthropicCodec().event_encoder(), MESSAGES)
    events = [
        Start("m", "g"),
        PartStart(0, Text("")),
        PartStart(1, signed),
        PartDelta(0, "a"),
        PartDelta(1, '{"x":'),
        PartStart(2, Text("")),
        PartDelta(1, "1}"),
        PartEnd(1),
        PartEnd(0),
        PartDelta(2, "z"),
        PartEnd(2),
        Finish(StopReason.TOOL_USE),
    ]
    data = b"".join(map(encoder.encode, events)) + encoder.close()
    assert [block["type"] for block in blocks_of(data, stream=True)] == [
        "text",
        "redacted_thinking",
        "tool_use",
        "text",
    ]
    assert "parts[2].extras.odd" in [loss.path for loss in encoder.losses]
    assert b"ping" in encoder.ping()
    assert b"error" in encoder.encode_error(ValueError("x"))
