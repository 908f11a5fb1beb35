"""Amazon Bedrock's Converse and ConverseStream.

The codec is loaded when it is first used: few gateways speak every dialect.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lynkr.wire.bedrock.codec import BedrockConverseCodec

__all__ = ["BedrockConverseCodec"]


def __getattr__(name: str) -> object:
    if name == "BedrockConverseCodec":
        return import_module("lynkr.wire.bedrock.codec").BedrockConverseCodec
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
