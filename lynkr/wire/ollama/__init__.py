"""Ollama's native chat API, ``POST /api/chat``."""

from lynkr.wire.ollama.codec import OllamaChatCodec

__all__ = ["OllamaChatCodec"]
