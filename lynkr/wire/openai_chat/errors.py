"""Errors, both directions: OpenAI's envelope, as a Chat provider's."""

from collections.abc import Mapping

from lynkr.errors import UpstreamError
from lynkr.wire import openai_errors
from lynkr.wire.fields import Node
from lynkr.wire.openai_chat.fields import OPENAI_CHAT
from lynkr.wire.openai_errors import encode_error, retry_after_of


def decode_error(status: int, headers: Mapping[str, str], body: bytes, *, target: str) -> UpstreamError:
    """As `lynkr.wire.openai_errors.decode_error`."""
    return openai_errors.decode_error(status, headers, body, target=target, format=OPENAI_CHAT)


def embedded_error(body: Node) -> UpstreamError:
    """As `lynkr.wire.openai_errors.embedded_error`."""
    return openai_errors.embedded_error(body, OPENAI_CHAT)


__all__ = ["decode_error", "embedded_error", "encode_error", "retry_after_of"]
