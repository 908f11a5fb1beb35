"""Anthropic Messages."""

from lynkr.wire.anthropic.codec import AnthropicCodec
from lynkr.wire.anthropic.request import DEFAULT_MAX_TOKENS

__all__ = ["DEFAULT_MAX_TOKENS", "AnthropicCodec"]
