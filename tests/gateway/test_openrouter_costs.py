"""Costs as recorded against those OpenRouter told in the same answer: criterion 20's one per cent.

The usage of real answers, as people published them (read 2026-11): pydantic-ai's recorded conversations, a
probe of the usage chunk, logs of agents.  `cost_details.upstream_inference_cost` is what the tokens cost;
`cost` also has OpenRouter's own tools, such as a web search.  Prices are the shipped snapshot's where its
date has the same, else those of the answer's day.
"""

import json
from decimal import Decimal
from typing import Any

import pytest
from attrs import Factory, frozen

from lynkr.assembly import build_gateway
from lynkr.model import WireFormat
from lynkr.settings import Settings
from lynkr.telemetry import Query, Record
from tests.gateway.house import body_of
from tests.providers.loopback import Peer, Received, serving

pytestmark = pytest.mark.anyio


@frozen
class Told:
    """An answer's usage, and the USD its tokens cost; *prices* of its day where the snapshot has others."""

    model: str
    prompt: int
    completion: int
    usd: str
    cached: int = 0
    written: int = 0
    reasoning: int = 0
    prices: dict[str, float] = Factory(dict)

    @property
    def usage(self) -> dict[str, Any]:
        cost = float(self.usd)
        inputs = {"cached_tokens": self.cached, "cache_write_tokens": self.written, "audio_tokens": 0}
        outputs = {"reasoning_tokens": self.reasoning, "image_tokens": 0, "audio_tokens": 0}
        return {
            "prompt_tokens": self.prompt, "completion_tokens": self.completion,
            "total_tokens": self.prompt + self.completion, "cost": cost, "is_byok": False,
            "prompt_tokens_details": inputs, "completion_tokens_details": outputs,
            "cost_details": {"upstream_inference_cost": cost},
        }  # fmt: skip


def day(input: float, output: float, **more: float) -> dict[str, float]:
    return {"input": input, "output": output, **more}


TOLD = (
    Told("anthropic/claude-sonnet-4.6", 566, 27, "0.002103"),
    Told("anthropic/claude-haiku-4.5", 8, 24, "0.000128"),
    Told("anthropic/claude-fable-5", 8_880, 2_359, "0.20675", reasoning=266),
    Told("google/gemini-2.5-flash", 2_702, 114, "0.0010956"),
    Told("anthropic/claude-sonnet-4.5", 7_325, 42, "0.0110382", cached=4_284, reasoning=29),
    Told("writes/cache", 12_323, 567, "0.0470125", written=12_320, prices=day(2.5, 15, cache_write=3.125)),
    Told("qwen/qwen3-coder", 4_088, 1_851, "0.00078593", prices=day(0.07, 0.27)),
    Told("meta-llama/llama-3-8b-instruct", 2_375, 601, "0.00009529", prices=day(0.03, 0.04)),
    Told("amazon/nova-micro-v1", 774, 397, "0.00008267", prices=day(0.035, 0.14)),
    Told("tngtech/deepseek-r1t2", 664, 890, "0.0011782", reasoning=420, prices=day(0.3, 1.1)),
    Told("tencent/hunyuan-a13b-instruct", 12_071, 1_336, "0.00245146", prices=day(0.14, 0.57)),
)


def answer(usage: dict[str, Any], *, stream: bool) -> bytes:
    shared = {"id": "gen-1", "created": 1, "model": "m", "provider": "Amazon Bedrock"}
    if not stream:
        choice = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "ok"}}
        return json.dumps(
            {**shared, "object": "chat.completion", "choices": [choice], "usage": usage}
        ).encode()
    delta = {"index": 0, "delta": {"role": "assistant", "content": "ok"}, "finish_reason": None}
    end = {"index": 0, "delta": {"content": ""}, "finish_reason": "stop"}
    chunk = {**shared, "object": "chat.completion.chunk"}
    told = [
        {**chunk, "choices": [delta]},
        {**chunk, "choices": [end]},
        {**chunk, "choices": [end], "usage": usage},
    ]
    lines = [": OPENROUTER PROCESSING", *(f"data: {json.dumps(one)}" for one in told), "data: [DONE]"]
    return "".join(f"{line}\n\n" for line in lines).encode()


async def recorded(told: Told, *, stream: bool) -> Record:
    async def serve(peer: Peer, _: Received) -> None:
        kind = "text/event-stream" if stream else "application/json"
        await peer.answer(answer(told.usage, stream=stream), content_type=kind)

    async with serving(serve) as server:
        tree: dict[str, object] = {
            "default": f"openrouter:{told.model}", "providers.openrouter.kind": "openrouter",
            "providers.openrouter.api_key": "k", "providers.openrouter.base_url": f"{server.url}/api/v1",
            "providers.openrouter.local": False, "providers.openrouter.private": True,
        }  # fmt: skip
        if told.prices:
            tree["pricing.overrides"] = {f"openrouter:{told.model}": told.prices}
        async with build_gateway(Settings.load(None, {}, overrides=tree)) as gateway:
            body = {"model": "auto", "stream": stream, "messages": [{"role": "user", "content": "hi"}]}
            reply = await gateway.relay(WireFormat.OPENAI_CHAT, json.dumps(body).encode(), {})
            assert reply.status == 200
            await body_of(reply)
            assert gateway.recorder is not None
            assert gateway.recorder.flush(5)
            (record,) = gateway.recorder.store.read(Query())
    return record


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("told", TOLD, ids=lambda told: told.model)
async def test_criterion_20_the_recorded_cost_is_what_openrouter_says_it_charged(
    told: Told, stream: bool
) -> None:
    record = await recorded(told, stream=stream)
    charged = Decimal(told.usd) * 1_000_000
    assert record.cost.cost_microusd is not None
    # A micro-USD is the ledger's grain: of the smallest answer here half of one is 0.6 per cent.
    assert abs(record.cost.cost_microusd - charged) <= max(charged / 100, Decimal("0.5"))
    assert record.usage.input == told.prompt
    assert (record.usage.cache_read or 0, record.usage.cache_write or 0) == (told.cached, told.written)
