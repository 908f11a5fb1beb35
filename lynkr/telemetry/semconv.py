"""Every name lynkr gives OpenTelemetry, in one table; a rename is one line here.

GenAI names after ``open-telemetry/semantic-conventions-genai``
(docs/gen-ai/client-inference.md, client-embeddings.md, gen-ai-token-metrics.md,
read 2026-11; all of status *Development*).  No convention knows routers,
decisions or costs: those are ``lynkr.*``.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from attrs import frozen

SCOPE: Final = "lynkr"
CHAT: Final = "chat"
EMBEDDINGS: Final = "embeddings"


@frozen
class Names:
    """Attributes of spans and metrics."""

    operation: str = "gen_ai.operation.name"
    provider: str = "gen_ai.provider.name"
    request_model: str = "gen_ai.request.model"
    request_stream: str = "gen_ai.request.stream"
    request_max_tokens: str = "gen_ai.request.max_tokens"
    request_reasoning: str = "gen_ai.request.reasoning.level"
    response_id: str = "gen_ai.response.id"
    response_model: str = "gen_ai.response.model"
    finish_reasons: str = "gen_ai.response.finish_reasons"
    time_to_first_chunk: str = "gen_ai.response.time_to_first_chunk"
    conversation: str = "gen_ai.conversation.id"
    input_tokens: str = "gen_ai.usage.input_tokens"
    output_tokens: str = "gen_ai.usage.output_tokens"
    cache_read_tokens: str = "gen_ai.usage.cache_read.input_tokens"
    cache_write_tokens: str = "gen_ai.usage.cache_write.input_tokens"
    reasoning_tokens: str = "gen_ai.usage.reasoning.output_tokens"
    input_messages: str = "gen_ai.input.messages"
    output_messages: str = "gen_ai.output.messages"
    modality: str = "gen_ai.token.modality"
    error_type: str = "error.type"
    server_address: str = "server.address"
    server_port: str = "server.port"
    http_status: str = "http.response.status_code"
    decision_id: str = "lynkr.decision.id"
    decision_reason: str = "lynkr.decision.reason"
    decision_score: str = "lynkr.decision.score"
    tier: str = "lynkr.tier"
    served_tier: str = "lynkr.served_tier"
    ending: str = "lynkr.ending"
    status: str = "lynkr.status"
    dialect: str = "lynkr.dialect"
    asked_model: str = "lynkr.requested_model"
    attempts: str = "lynkr.attempts"
    attempt_number: str = "lynkr.attempt.number"
    outcome: str = "lynkr.attempt.outcome"
    cost: str = "lynkr.cost.usd"
    price_version: str = "lynkr.cost.price_version"
    baseline: str = "lynkr.baseline.usd"
    baseline_model: str = "lynkr.baseline.model"


@frozen
class Instrument:
    """A metric instrument; *buckets* are the boundaries its convention asks for."""

    name: str
    unit: str
    description: str
    buckets: tuple[float, ...] = ()


_SECONDS: Final = (
    0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92,
)  # fmt: skip
_TOKENS: Final = tuple(float(4**power) for power in range(14))


@frozen
class Instruments:
    """The metrics; counters where there are no buckets."""

    duration: Instrument = Instrument(
        "gen_ai.client.inference.duration", "s", "GenAI client inference operation duration.", _SECONDS
    )
    first_chunk: Instrument = Instrument(
        "gen_ai.client.inference.time_to_first_chunk", "s", "Time to receive the first chunk.", _SECONDS
    )
    output_chunk: Instrument = Instrument(
        "gen_ai.client.inference.time_per_output_chunk",
        "s",
        "Time from the end of one chunk to the end of the next.",
        _SECONDS,
    )
    input_tokens: Instrument = Instrument(
        "gen_ai.client.inference.usage.input_tokens", "{token}", "Input tokens, cached ones included."
    )
    output_tokens: Instrument = Instrument(
        "gen_ai.client.inference.usage.output_tokens", "{token}", "Output tokens, reasoning included."
    )
    cache_read_tokens: Instrument = Instrument(
        "gen_ai.client.inference.usage.cache_read.input_tokens", "{token}", "Input tokens read from a cache."
    )
    cache_write_tokens: Instrument = Instrument(
        "gen_ai.client.inference.usage.cache_write.input_tokens", "{token}", "Input tokens cached."
    )
    reasoning_tokens: Instrument = Instrument(
        "gen_ai.client.inference.usage.reasoning.output_tokens", "{token}", "Output tokens of reasoning."
    )
    operation_input: Instrument = Instrument(
        "gen_ai.client.inference.operation.input_tokens", "{token}", "Input tokens per operation.", _TOKENS
    )
    operation_output: Instrument = Instrument(
        "gen_ai.client.inference.operation.output_tokens", "{token}", "Output tokens per operation.", _TOKENS
    )
    embeddings_duration: Instrument = Instrument(
        "gen_ai.client.embeddings.duration", "s", "GenAI client embeddings operation duration.", _SECONDS
    )
    embeddings_input: Instrument = Instrument(
        "gen_ai.client.embeddings.operation.input_tokens", "{token}", "Input tokens per operation.", _TOKENS
    )
    cost: Instrument = Instrument("lynkr.cost.usd", "{USD}", "Known cost.")
    attempts: Instrument = Instrument("lynkr.attempts", "{attempt}", "Calls to providers.")


NAMES: Final = Names()
INSTRUMENTS: Final = Instruments()

# Kinds whose well-known ``gen_ai.provider.name`` is another word; the rest go by the name of their kind.
WELL_KNOWN: Final[Mapping[str, str]] = MappingProxyType(
    {
        "openai-responses": "openai",
        "azure-openai": "azure.ai.openai",
        "azure-openai-responses": "azure.ai.openai",
        "azure-anthropic": "azure.ai.inference",
        "bedrock": "aws.bedrock",
        "bedrock-anthropic": "aws.bedrock",
        "gemini": "gcp.gemini",
        "vertex": "gcp.vertex_ai",
        "vertex-anthropic": "gcp.vertex_ai",
        "moonshot": "moonshot_ai",
        "mistral": "mistral_ai",
        "xai": "x_ai",
        "ollama-native": "ollama",
        "ollama-openai": "ollama",
        "ollama-anthropic": "ollama",
    }
)
# Finish reasons in the words of gen-ai-output-messages.json; `error` where none came.
FINISH_REASONS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "end_turn": "stop",
        "stop_sequence": "stop",
        "max_tokens": "length",
        "context_overflow": "length",
        "tool_use": "tool_call",
        "refusal": "content_filter",
    }
)
NO_FINISH: Final = "error"
UNKNOWN_MODALITY: Final = "unknown"
