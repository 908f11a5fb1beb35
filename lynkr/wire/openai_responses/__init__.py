"""OpenAI Responses, and the clients and servers that speak it (Codex speaks nothing else)."""

from lynkr.wire.openai_responses.codec import OpenAIResponsesCodec

__all__ = ["OpenAIResponsesCodec"]
