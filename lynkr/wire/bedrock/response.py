"""Whole answers: stop reasons, token counts, content."""

from collections.abc import Mapping
from typing import Any, Final, cast

from lynkr.model import NO_USAGE, Extras, Foreign, Json, Response, StopReason, Usage
from lynkr.wire.base import Encoded
from lynkr.wire.bedrock.content import decode_parts, encode_part
from lynkr.wire.bedrock.shapes import ANSWER, FORMAT
from lynkr.wire.fields import (
    Draft,
    Losses,
    Node,
    array_of,
    as_extras,
    count_or_none,
    node_or_empty,
    object_of,
)

STOP_WORD: Final = "stopReason"

# StopReason of bedrock-runtime (botocore 1.44, read 2026-11).  A reason's first word is the one written.
_STOP_REASONS: Final[Mapping[str, StopReason]] = {
    "end_turn": StopReason.END_TURN,
    "tool_use": StopReason.TOOL_USE,
    "max_tokens": StopReason.MAX_TOKENS,
    "stop_sequence": StopReason.STOP_SEQUENCE,
    "content_filtered": StopReason.REFUSAL,
    "guardrail_intervened": StopReason.REFUSAL,
    "model_context_window_exceeded": StopReason.CONTEXT_OVERFLOW,
}
_WIRE_STOP_REASONS: Final = {reason: word for word, reason in reversed(tuple(_STOP_REASONS.items()))}


def decode_stop_reason(value: Json) -> tuple[StopReason, dict[str, Json]]:
    """The reason, and its word for the extras where the reason alone would not give it back."""
    reason = _STOP_REASONS.get(value, StopReason.OTHER) if isinstance(value, str) else StopReason.OTHER
    return reason, {} if _WIRE_STOP_REASONS.get(reason) == value else {STOP_WORD: value}


def encode_stop_reason(reason: StopReason, extras: Extras, losses: Losses) -> str:
    word = extras.of(FORMAT).get(STOP_WORD)
    if isinstance(word, str) and _STOP_REASONS.get(word, StopReason.OTHER) is reason:
        return word
    if reason not in _WIRE_STOP_REASONS:
        losses.add("stop_reason", "Converse has no word for it; end_turn was written")
    return _WIRE_STOP_REASONS.get(reason, "end_turn")


def without_stop_word(extras: Extras) -> Extras:
    if extras.format is not FORMAT:
        return extras
    return as_extras(FORMAT, {name: value for name, value in extras.fields.items() if name != STOP_WORD})


# --- Token counts -------------------------------------------------------------------------------------


def decode_usage(node: Node) -> Usage:
    """Converse counts as Anthropic does: what a cache took part in stands beside the input, not in it.

    "inputTokens represents only the non-cached input tokens" (User Guide, "Prompt caching", read 2026-11).
    """
    if not node:
        return NO_USAGE
    uncached = count_or_none(node.get("inputTokens"))
    read = count_or_none(node.get("cacheReadInputTokens"))
    written = count_or_none(node.get("cacheWriteInputTokens"))
    one_hour = _one_hour(node.get("cacheDetails"))
    if one_hour is not None:
        written = max(written or 0, one_hour)
    return Usage(
        input=None if uncached is None else uncached + (read or 0) + (written or 0),
        output=count_or_none(node.get("outputTokens")),
        cache_read=read,
        cache_write=written,
        cache_write_1h=one_hour,
    )


def _one_hour(details: Json) -> int | None:
    """Tokens written for an hour; None where the lifetimes are not told."""
    if not isinstance(details, list | tuple) or not details:
        return None
    return sum(
        count_or_none(detail.get("inputTokens")) or 0
        for detail in details
        if isinstance(detail, Mapping) and detail.get("ttl") == "1h"
    )


def encode_usage(usage: Usage, losses: Losses) -> Draft:
    if usage == NO_USAGE:
        return {}
    uncached = usage.uncached_input
    if uncached is None or uncached < 0:
        problem = "unknown" if uncached is None else "less than its cached part"
        losses.add("usage.input", f"{problem}; Converse needs a count, 0 was written")
        uncached = 0
    if usage.output is None:
        losses.add("usage.output", "unknown; Converse needs a count, 0 was written")
    if usage.reasoning is not None:
        losses.add("usage.reasoning", "Converse does not count it by itself")
    written = usage.cache_write
    if written is None and usage.cache_write_1h is not None:
        written = usage.cache_write_1h
        losses.add("usage.cache_write", "unknown; the part with a one-hour lifetime was written")
    output = usage.output or 0
    node: Draft = {
        "inputTokens": uncached,
        "outputTokens": output,
        "totalTokens": uncached + output + (usage.cache_read or 0) + (written or 0),
    }
    if usage.cache_read is not None:
        node["cacheReadInputTokens"] = usage.cache_read
    if written is not None:
        node["cacheWriteInputTokens"] = written
        if usage.cache_write_1h is not None:
            short = max(0, written - usage.cache_write_1h)
            details: list[Json] = [{"ttl": "1h", "inputTokens": usage.cache_write_1h}]
            node["cacheDetails"] = [*details, {"ttl": "5m", "inputTokens": short}] if short else details
    return node


# --- Answers ------------------------------------------------------------------------------------------


def decode_response(body: Node) -> Response:
    """A whole answer; it has no id and does not name its model, both of which are left empty.

    Raises:
        ClientWireError: a field is missing or of another type.
    """
    message = object_of(object_of(body, "output", ""), "message", "output")
    reason, word = decode_stop_reason(body.get(STOP_WORD))
    content = array_of(message, "content", "output.message")
    return Response(
        id="",
        model="",
        parts=decode_parts(content, "output.message.content", is_answer=True),
        stop_reason=reason,
        usage=decode_usage(node_or_empty(body.get("usage"))),
        extras=as_extras(FORMAT, {**ANSWER.leftover(body), **word}),
    )


def encode_response(response: Response) -> Encoded:
    losses = Losses()
    content: list[Draft] = []
    for at, part in enumerate(response.parts):
        for block in encode_part(part, f"parts[{at}]", None, losses):
            if "cachePoint" in block and not isinstance(part, Foreign):
                losses.add(f"parts[{at}].extras.cache_control", "an answer holds no cache points")
            else:
                content.append(block)
    note_nameless(response.id, response.model, response.created, losses)
    if response.stop_sequence is not None:
        losses.add("stop_sequence", "Converse does not say which sequence it was")
    body: dict[str, Any] = {
        "output": {"message": {"role": "assistant", "content": content}},
        STOP_WORD: encode_stop_reason(response.stop_reason, response.extras, losses),
    }
    usage = encode_usage(response.usage, losses)
    if usage:
        body["usage"] = usage
    ANSWER.restore(body, without_stop_word(response.extras), "", losses)
    return Encoded(cast("Mapping[str, Json]", body), losses.all())


def note_nameless(id: str, model: str, created: int | None, losses: Losses) -> None:
    if id:
        losses.add("id", "Converse gives its answers no id")
    if model:
        losses.add("model", "Converse does not say which model answered")
    if created is not None:
        losses.add("created", "Converse does not say when an answer was made")
