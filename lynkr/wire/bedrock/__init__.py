"""Amazon Bedrock's Converse and ConverseStream."""

from lynkr.wire.bedrock.codec import BedrockConverseCodec

__all__ = ["BedrockConverseCodec"]
