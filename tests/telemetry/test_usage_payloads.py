"""Usage as every kind of provider states it: one invariant, and a cost that is exact to the micro-USD.

Each payload names where its fields, and where it says so its figures, are from
(read 2026-11).  The sums are worked out by hand, from prices that differ for
every kind of token, so that no two mistakes can cancel out.
"""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import pytest
from attrs import frozen

from lynkr.model import Usage
from lynkr.pricing import Price, cost_microusd
from lynkr.wire.anthropic import AnthropicCodec
from lynkr.wire.base import Codec
from lynkr.wire.bedrock import BedrockConverseCodec
from lynkr.wire.gemini import GeminiCodec
from lynkr.wire.ollama import OllamaChatCodec
from lynkr.wire.openai_chat import OpenAIChatCodec
from lynkr.wire.openai_responses import OpenAIResponsesCodec

D = Decimal
# USD per million: a token of input 3, read from a cache 0.3, written 3.75, for an hour 6, of output 15.
PRICE = Price(D(3), D(15), cache_read=D("0.3"), cache_write=D("3.75"), cache_write_1h=D(6))


@frozen
class Payload:
    """What a provider says, and what it means: *micro_usd* is `PRICE` times the tokens, term by term."""

    kind: str
    codec: Codec
    usage: Mapping[str, Any]
    meaning: Usage
    micro_usd: Decimal | None


def body_of(payload: Payload) -> dict[str, Any]:
    """A whole answer of the dialect around the usage."""
    usage = dict(payload.usage)
    match payload.codec:
        case AnthropicCodec():
            head = {
                "id": "m",
                "type": "message",
                "role": "assistant",
                "model": "x",
                "stop_reason": "end_turn",
            }
            return {
                **head,
                "stop_sequence": None,
                "content": [{"type": "text", "text": "hi"}],
                "usage": usage,
            }
        case OpenAIChatCodec():
            choice = {
                "index": 0,
                "message": {"role": "assistant", "content": "hi"},
                "finish_reason": "stop",
                "logprobs": None,
            }
            head = {"id": "c", "object": "chat.completion", "created": 1, "model": "x"}
            return {**head, "choices": [choice], "usage": usage}
        case OpenAIResponsesCodec():
            text = {"type": "output_text", "text": "hi", "annotations": []}
            item = {
                "type": "message",
                "id": "i",
                "role": "assistant",
                "status": "completed",
                "content": [text],
            }
            head = {"id": "r", "object": "response", "created_at": 1, "model": "x", "status": "completed"}
            return {**head, "output": [item], "usage": usage}
        case GeminiCodec():
            content = {"role": "model", "parts": [{"text": "hi"}]}
            candidate = {"index": 0, "content": content, "finishReason": "STOP"}
            return {"responseId": "g", "modelVersion": "x", "candidates": [candidate], "usageMetadata": usage}
        case BedrockConverseCodec():
            message = {"role": "assistant", "content": [{"text": "hi"}]}
            return {
                "output": {"message": message},
                "stopReason": "end_turn",
                "usage": usage,
                "metrics": {"latencyMs": 1},
            }
        case _:
            message = {"role": "assistant", "content": "hi"}
            return {"model": "x", "message": message, "done": True, "done_reason": "stop", **usage}


PAYLOADS = (
    # Fields: anthropic SDK 1.x, `types.Usage` and `CacheCreation`.  input_tokens leaves both caches out.
    Payload(
        "anthropic",
        AnthropicCodec(),
        {
            "input_tokens": 2_048,
            "cache_read_input_tokens": 1_800,
            "cache_creation_input_tokens": 248,
            "cache_creation": {"ephemeral_5m_input_tokens": 148, "ephemeral_1h_input_tokens": 100},
            "output_tokens": 503,
        },
        Usage(4_096, 503, cache_read=1_800, cache_write=248, cache_write_1h=100),
        D(2_048) * 3 + D(1_800) * D("0.3") + D(148) * D("3.75") + D(100) * 6 + D(503) * 15,
    ),
    # Figures: OpenAI's prompt caching guide, as LiteLLM's documentation repeats them.
    Payload(
        "openai chat",
        OpenAIChatCodec(),
        {
            "prompt_tokens": 2_006,
            "completion_tokens": 300,
            "total_tokens": 2_306,
            "prompt_tokens_details": {"cached_tokens": 1_920},
            "completion_tokens_details": {
                "reasoning_tokens": 0,
                "accepted_prediction_tokens": 0,
                "rejected_prediction_tokens": 0,
            },
        },
        Usage(2_006, 300, cache_read=1_920, reasoning=0),
        D(86) * 3 + D(1_920) * D("0.3") + D(300) * 15,
    ),
    # Figures: docs.x.ai, developers/advanced-api-usage/prompt-caching/usage-and-pricing.
    Payload(
        "xai chat",
        OpenAIChatCodec(),
        {
            "prompt_tokens": 125,
            "completion_tokens": 48,
            "total_tokens": 173,
            "prompt_tokens_details": {
                "text_tokens": 125,
                "audio_tokens": 0,
                "image_tokens": 0,
                "cached_tokens": 98,
            },
            "completion_tokens_details": {
                "reasoning_tokens": 0,
                "audio_tokens": 0,
                "accepted_prediction_tokens": 0,
                "rejected_prediction_tokens": 0,
            },
        },
        Usage(125, 48, cache_read=98, reasoning=0),
        D(27) * 3 + D(98) * D("0.3") + D(48) * 15,
    ),
    # As above: xAI's Responses API, the fields of OpenAI's.
    Payload(
        "openai responses",
        OpenAIResponsesCodec(),
        {
            "input_tokens": 125,
            "output_tokens": 48,
            "total_tokens": 173,
            "input_tokens_details": {"cached_tokens": 98},
            "output_tokens_details": {"reasoning_tokens": 0},
        },
        Usage(125, 48, cache_read=98, reasoning=0),
        D(27) * 3 + D(98) * D("0.3") + D(48) * 15,
    ),
    # Fields: DeepSeek's create-chat-completion reference; hit + miss = prompt.
    Payload(
        "deepseek",
        OpenAIChatCodec(),
        {
            "prompt_tokens": 1_000,
            "prompt_cache_hit_tokens": 640,
            "prompt_cache_miss_tokens": 360,
            "completion_tokens": 70,
            "total_tokens": 1_070,
            "completion_tokens_details": {"reasoning_tokens": 50},
        },
        Usage(1_000, 70, cache_read=640, reasoning=50),
        D(360) * 3 + D(640) * D("0.3") + D(70) * 15,
    ),
    # Fields: google-genai 1.x, `types.GenerateContentResponseUsageMetadata`.  The prompt includes what was
    # cached; the candidates leave the thoughts out.
    Payload(
        "gemini",
        GeminiCodec(),
        {
            "promptTokenCount": 5_000,
            "cachedContentTokenCount": 4_000,
            "candidatesTokenCount": 200,
            "thoughtsTokenCount": 300,
            "totalTokenCount": 5_500,
        },
        Usage(5_000, 500, cache_read=4_000, reasoning=300),
        D(1_000) * 3 + D(4_000) * D("0.3") + D(500) * 15,
    ),
    # Fields: docs.aws.amazon.com, bedrock/latest/APIReference/API_runtime_TokenUsage; as with Anthropic,
    # inputTokens leaves both caches out.
    Payload(
        "bedrock",
        BedrockConverseCodec(),
        {
            "inputTokens": 30,
            "cacheReadInputTokens": 1_000,
            "cacheWriteInputTokens": 200,
            "outputTokens": 628,
            "totalTokens": 1_858,
        },
        Usage(1_230, 628, cache_read=1_000, cache_write=200),
        D(30) * 3 + D(1_000) * D("0.3") + D(200) * D("3.75") + D(628) * 15,
    ),
    # Figures: Ollama's API reference, "Generate a chat completion".
    Payload(
        "ollama",
        OllamaChatCodec(),
        {"prompt_eval_count": 26, "eval_count": 298},
        Usage(26, 298),
        D(26) * 3 + D(298) * 15,
    ),
)


@pytest.mark.parametrize("payload", PAYLOADS, ids=lambda payload: payload.kind)
def test_criterion_20_usage_is_read_by_one_invariant_and_priced_to_the_last_unit(payload: Payload) -> None:
    usage = payload.codec.decode_response(body_of(payload)).usage
    assert usage == payload.meaning
    assert usage.input is not None
    assert usage.input >= (usage.cache_read or 0) + (usage.cache_write or 0)
    assert (usage.output or 0) >= (usage.reasoning or 0)
    assert payload.micro_usd is not None
    assert cost_microusd(usage, PRICE) == int(payload.micro_usd.to_integral_value())


@pytest.mark.parametrize("payload", PAYLOADS, ids=lambda payload: payload.kind)
def test_what_a_provider_does_not_say_is_unknown_and_never_zero(payload: Payload) -> None:
    silent = Payload(payload.kind, payload.codec, {}, Usage(), None)
    body = body_of(silent)
    for name in ("usage", "usageMetadata"):
        body.pop(name, None)
    usage = payload.codec.decode_response(body).usage
    assert usage == Usage()
    assert cost_microusd(usage, PRICE) is None
