"""Whole answers."""

from collections.abc import Mapping
from typing import Any, Final, cast

from lynkr.model import NO_USAGE, Extras, Json, Response, StopReason
from lynkr.wire.anthropic.content import Block, decode_parts, encode_part
from lynkr.wire.anthropic.fields import (
    FORMAT,
    FieldError,
    Losses,
    as_object,
    as_string,
    is_object,
    required,
    required_string,
    unknown_fields,
    with_extras,
)
from lynkr.wire.anthropic.usage import counts_of, decode_usage, encode_usage
from lynkr.wire.base import Encoded, Told

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

# Blocks that are read at a glance, with the fields without which they are malformed.
_ORDINARY: Final[Mapping[str, tuple[tuple[str, type], ...]]] = {
    "text": (("text", str),),
    "thinking": (("thinking", str), ("signature", str)),
    "tool_use": (("id", str), ("name", str), ("input", dict)),
}


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


def told(body: Mapping[str, Json]) -> Told | None:
    """See `lynkr.wire.base.TellingCodec`."""
    answer_id, model, content, usage = (
        body.get("id"),
        body.get("model"),
        body.get("content"),
        body.get("usage"),
    )
    if not (answer_id and isinstance(answer_id, str) and model and isinstance(model, str)):
        return None
    if not isinstance(content, list) or not isinstance(usage, dict):
        return None
    sequence = body.get("stop_sequence")
    if sequence is not None and not isinstance(sequence, str):
        return None
    calls = 0
    for block in content:
        if not is_object(block):
            return None
        kind = block.get("type")
        fields = _ORDINARY.get(kind) if isinstance(kind, str) else None
        if fields is None:
            return None
        for name, made in fields:
            if not isinstance(block.get(name), made):
                return None
        calls += kind == "tool_use"
    try:
        counts = counts_of(usage, "usage")
    except FieldError:
        return None
    return Told(answer_id, model, decode_stop_reason(body.get("stop_reason"))[0], counts, calls)


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
