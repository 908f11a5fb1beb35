"""Errors, both directions: ``{"error": "text"}`` (docs.ollama.com/api/errors, read 2026-11)."""

from collections.abc import Mapping
from typing import Final

from lynkr.errors import AllTargetsFailed, UpstreamError
from lynkr.model import Json
from lynkr.wire import openai_errors
from lynkr.wire.base import EncodedError
from lynkr.wire.json_body import parse_value
from lynkr.wire.ollama.fields import OLLAMA_CHAT, Node, node_or_empty, text_or_empty

# What a provider says of the operator's own account is not the client's business.
_OPERATORS_OWN: Final = frozenset({401, 402, 403})


def decode_error(status: int, headers: Mapping[str, str], body: bytes, *, target: str) -> UpstreamError:
    """As `lynkr.wire.openai_errors.decode_error`, which knows this envelope too."""
    return openai_errors.decode_error(status, headers, body, target=target, format=OLLAMA_CHAT)


def embedded_error(body: Node) -> UpstreamError:
    """The error told by a line of a stream, or by a whole answer with status 200."""
    return openai_errors.embedded_error(body, OLLAMA_CHAT)


def encode_error(error: BaseException) -> EncodedError:
    """*error* in Ollama's envelope; a native provider's own goes through as it came, as OpenAI's does."""
    if isinstance(error, AllTargetsFailed):
        return encode_error(error.last)
    encoded = openai_errors.encode_error(error)
    if isinstance(error, UpstreamError) and error.status not in _OPERATORS_OWN:
        own = _own_envelope(error)
        if own is not None:
            return EncodedError(encoded.status, own)
    said = node_or_empty(encoded.body.get("error")).get("message")
    return EncodedError(encoded.status, {"error": text_or_empty(said)})


def _own_envelope(error: UpstreamError) -> Node | None:
    if error.wire_format != OLLAMA_CHAT or not error.body:
        return None
    try:
        value: Json = parse_value(error.body)
    except ValueError:
        return None
    return value if isinstance(value, Mapping) and isinstance(value.get("error"), str) else None
