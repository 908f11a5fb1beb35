"""Errors, both directions: OpenAI's envelope, and the two events that end a stream."""

from collections.abc import Mapping
from typing import Final

from lynkr.errors import UpstreamError
from lynkr.wire import openai_errors
from lynkr.wire.fields import Node, node_or_empty, text_or_empty
from lynkr.wire.openai_errors import encode_error
from lynkr.wire.openai_responses.fields import RESPONSES, Draft

# `ResponseError.code` (openai 3.54, response_error.py, read 2026-11) for the types of the envelope.
_CODES: Final[Mapping[str, str]] = {
    "rate_limit_error": "rate_limit_exceeded",
    "invalid_request_error": "invalid_prompt",
}


def decode_error(status: int, headers: Mapping[str, str], body: bytes, *, target: str) -> UpstreamError:
    """As `lynkr.wire.openai_errors.decode_error`."""
    return openai_errors.decode_error(status, headers, body, target=target, format=RESPONSES)


def embedded_error(node: Node) -> UpstreamError:
    """The error that an answer, a failed response or an error event tells; `target` is left empty."""
    error = node.get("error")
    found: Node = error if isinstance(error, Mapping) else node
    if "message" not in found:
        status = text_or_empty(node.get("status")) or "failed"
        found = {**found, "message": f"the response is {status}", "code": found.get("code")}
    return openai_errors.embedded_error({"error": found}, RESPONSES)


def failure(error: BaseException) -> Draft:
    """*error* as the ``error`` of a failed response: a code and a message."""
    told = node_or_empty(encode_error(error).body["error"])
    code, kind = told.get("code"), text_or_empty(told.get("type"))
    if not isinstance(code, str) or not code:
        code = _CODES.get(kind, "server_error")
    return {"code": code, "message": text_or_empty(told.get("message"))}


__all__ = ["decode_error", "embedded_error", "encode_error", "failure"]
