"""Gemini `generateContent`, as Google's Gemini API and Vertex AI speak it.

The codec is loaded when it is first used: few gateways speak every dialect.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lynkr.wire.gemini.codec import GeminiCodec

__all__ = ["GeminiCodec"]


def __getattr__(name: str) -> object:
    if name == "GeminiCodec":
        return import_module("lynkr.wire.gemini.codec").GeminiCodec
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
