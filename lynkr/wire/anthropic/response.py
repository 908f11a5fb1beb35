"""Whole answers."""

from collections.abc import Mapping
from typing import Any, Final, cast

from lynkr.model import NO_USAGE, Extras, Json, Response, StopReason
from lynkr.wire.anthropic.content import Block, decode_parts, encode_part
from lynkr.wire.anthropic.fields import (
    FORMAT,
    Losses,
    as_object,
    as_string,
    required,
    required_string,
    unknown_fields,
    with_extras,
)
from lynkr.wire.anthropic.usage import decode_usage, encode_usage
from lynkr.wire.base import Encoded

# https://docs.claude.com/en/api/handling-stop-reasons and the SDK's `StopReason` (read 2026-11).
_STOP_REASONS: Final[Mapping[str, StopReason]] = {
    "end_turn": StopReason.END_TURN,
    "max_tokens": StopReason.MAX_TOKENS,
    "tool_use": StopReason.TOOL_USE,
    "stop_sequence": StopReason.STOP_SEQUENCE,
    "refusal": StopReason.REFUSAL,
    "pause_turn": StopReason.PAUSE,
    "model_context_window_exceeded": StopReason.CONTEXT_OVERFLOW,
}
_WIRE_STOP_REASONS: Final = {reason: name for name, reason in _STOP_REASONS.items()}

MESSAGE_FIELDS: Final = frozenset(
    {"id", "type", "role", "model", "content", "stop_reason", "stop_sequence", "usage"}
)


def decode_stop_reason(value: Json) -> tuple[StopReason, dict[str, Json]]:
    """The reason, and what of it must survive in extras: an unknown word, or null."""
    if isinstance(value, str) and value in _STOP_REASONS:
        return _STOP_REASONS[value], {}
    return StopReason.OTHER, {"stop_reason": value}


def encode_stop_reason(reason: StopReason, own: Mapping[str, Json], losses: Losses) -> Json:
    if reason is not StopReason.OTHER:
        return _WIRE_STOP_REASONS[reason]
    if "stop_reason" in own:
        return own["stop_reason"]
    losses.add("stop_reason", "Anthropic has no word for it; end_turn was written")
    return "end_turn"


def decode_response(body: Mapping[str, Json]) -> Response:
    """A provider's whole answer.

    Raises:
        FieldError: a field is missing or of another type.
    """
    extras = dict(unknown_fields(body, MESSAGE_FIELDS).fields)
    usage = NO_USAGE
    if body.get("usage") is not None:
        usage, rest = decode_usage(as_object(body["usage"], "usage"), "usage")
        if rest:
            extras["usage"] = rest
    stop_reason, unknown = decode_stop_reason(body.get("stop_reason"))
    extras.update(unknown)
    stop_sequence = body.get("stop_sequence")
    return Response(
        id=required_string(body, "id", ""),
        model=required_string(body, "model", ""),
        parts=decode_parts(required(body, "content", ""), "content", None),
        stop_reason=stop_reason,
        usage=usage,
        stop_sequence=None if stop_sequence is None else as_string(stop_sequence, "stop_sequence"),
        extras=Extras(FORMAT, extras) if extras else Extras(),
    )


def encode_response(response: Response) -> Encoded:
    losses = Losses()
    own = losses.own(response.extras, "")
    content: list[Block] = []
    for at, part in enumerate(response.parts):
        block = encode_part(part, f"parts[{at}]", None, losses)
        if block is not None:
            content.append(block)
    if response.created is not None:
        losses.add("created", "Anthropic does not say when an answer was made")
    body: dict[str, Any] = {
        "id": response.id,
        "type": "message",
        "role": "assistant",
        "model": response.model,
        "content": content,
        "stop_reason": encode_stop_reason(response.stop_reason, own, losses),
        "stop_sequence": response.stop_sequence,
        "usage": encode_usage(response.usage, own.get("usage"), losses),
    }
    return Encoded(cast("Mapping[str, Json]", with_extras(body, own)), losses.all())
