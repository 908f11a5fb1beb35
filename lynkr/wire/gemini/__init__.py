"""Gemini `generateContent`, as Google's Gemini API and Vertex AI speak it."""

from lynkr.wire.gemini.codec import GeminiCodec

__all__ = ["GeminiCodec"]
