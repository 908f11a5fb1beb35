"""Ollama's native chat API, ``POST /api/chat``.

The codec is loaded when it is first used: few gateways speak every dialect.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lynkr.wire.ollama.codec import OllamaChatCodec

__all__ = ["OllamaChatCodec"]


def __getattr__(name: str) -> object:
    if name == "OllamaChatCodec":
        return import_module("lynkr.wire.ollama.codec").OllamaChatCodec
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
