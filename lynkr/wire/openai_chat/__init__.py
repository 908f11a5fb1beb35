"""OpenAI Chat Completions, and the servers that speak it."""

from lynkr.wire.openai_chat.codec import OpenAIChatCodec
from lynkr.wire.openai_chat.request_encoder import OutputLimit

__all__ = ["OpenAIChatCodec", "OutputLimit"]
