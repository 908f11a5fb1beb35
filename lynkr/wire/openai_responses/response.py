"""Whole answers, both directions, and usage.

Shapes follow types/responses/response.py and response_usage.py of openai 3.54
(read 2026-11).  A response repeats the options of its request; they are not
kept on reading and filled in from the client's own request on writing.
"""

from collections.abc import Mapping
from typing import Final

from attrs import evolve

from lynkr.errors import ClientWireError, UpstreamWireError
from lynkr.model import (
    NO_USAGE,
    Extras,
    Json,
    Part,
    Reasoning,
    Request,
    Response,
    Role,
    StopReason,
    ToolCall,
    Usage,
)
from lynkr.wire.base import Encoded
from lynkr.wire.fields import Losses, count_or_none, node_or_empty, object_at, text_or_empty
from lynkr.wire.openai_responses import items
from lynkr.wire.openai_responses.errors import embedded_error
from lynkr.wire.openai_responses.fields import RESPONSES, Draft, Node, as_extras, made_up_id, shape
from lynkr.wire.openai_responses.request_encoder import encode_request
from lynkr.wire.openai_responses.tools import marks_by_name
from lynkr.wire.openai_responses.turns import TurnReader, TurnWriter

# What a response says of its request, where nothing is known of that.
_UNKNOWN_REQUEST: Final[Node] = {
    "instructions": None,
    "max_output_tokens": None,
    "metadata": {},
    "parallel_tool_calls": True,
    "previous_response_id": None,
    "reasoning": {"effort": None, "summary": None},
    "store": True,
    "temperature": None,
    "text": {"format": {"type": "text"}},
    "tool_choice": "auto",
    "tools": [],
    "top_p": None,
    "truncation": "disabled",
    "user": None,
}
# Further fields of the request that a response repeats.
_REPEATED: Final = (
    *_UNKNOWN_REQUEST,
    "background",
    "conversation",
    "max_tool_calls",
    "prompt",
    "prompt_cache_key",
    "prompt_cache_options",
    "prompt_cache_retention",
    "safety_identifier",
    "top_logprobs",
)
BODY: Final = shape(
    "id",
    "object",
    "created_at",
    "status",
    "error",
    "incomplete_details",
    "model",
    "output",
    "usage",
    *_REPEATED,
)
USAGE: Final = shape(
    "input_tokens",
    "output_tokens",
    "total_tokens",
    input_tokens_details=shape("cached_tokens", "cache_write_tokens"),
    output_tokens_details=shape("reasoning_tokens"),
)

_REASONS: Final = {
    "max_output_tokens": StopReason.MAX_TOKENS,
    "content_filter": StopReason.REFUSAL,
}
_INCOMPLETE: Final = {
    StopReason.MAX_TOKENS: "max_output_tokens",
    StopReason.CONTEXT_OVERFLOW: "max_output_tokens",
    StopReason.REFUSAL: "content_filter",
}


# --- Stop reasons -------------------------------------------------------------------------------------


def stop_reason_of(body: Node, *, calls_tools: bool) -> tuple[StopReason, Draft]:
    """The reason, and what is to be remembered of it.

    Raises:
        UpstreamError: the response failed; `target` is left empty.
        UpstreamWireError: it is not over.
    """
    status = body.get("status")
    if body.get("error") or status in ("failed", "cancelled"):
        raise embedded_error(body)
    if status in ("queued", "in_progress"):
        raise UpstreamWireError(f"the response is still {status}")
    details = node_or_empty(body.get("incomplete_details"))
    if status != "incomplete" and not details:
        return (StopReason.TOOL_USE if calls_tools else StopReason.END_TURN), {}
    word = details.get("reason")
    reason = _REASONS.get(word) if isinstance(word, str) else None
    if reason is not None and len(details) == 1:
        return reason, {}
    return reason or StopReason.OTHER, {"incomplete_details": details}


def write_stop(
    body: Draft, reason: StopReason, remembered: Json, *, calls_tools: bool, losses: Losses
) -> None:
    """Write ``status`` and ``incomplete_details``."""
    details: Node | None = None
    if isinstance(remembered, Mapping):
        word = remembered.get("reason")
        of_word = _REASONS.get(word, StopReason.OTHER) if isinstance(word, str) else StopReason.OTHER
        details = remembered if of_word is reason else None
    if remembered is not None and details is None:
        losses.add("extras.incomplete_details", "not that of the stop reason")
    word = _INCOMPLETE.get(reason)
    if details is None and word is not None:
        details = {"reason": word}
    body["status"] = "completed" if details is None else "incomplete"
    body["incomplete_details"] = details
    read_back, _ = stop_reason_of(body, calls_tools=calls_tools)
    if read_back is not reason:
        losses.add("stop_reason", f"Responses has no word for {reason.value} here")


# --- Usage --------------------------------------------------------------------------------------------


def decode_usage(node: Node) -> tuple[Usage, Draft]:
    """The counts, and the fields nobody here knows.  OpenAI's input already includes cached tokens."""
    before, after = (node_or_empty(node.get(f"{side}_tokens_details")) for side in ("input", "output"))
    usage = Usage(
        input=count_or_none(node.get("input_tokens")),
        output=count_or_none(node.get("output_tokens")),
        cache_read=count_or_none(before.get("cached_tokens")),
        cache_write=count_or_none(before.get("cache_write_tokens")),
        reasoning=count_or_none(after.get("reasoning_tokens")),
    )
    leftover = USAGE.leftover(node)
    total = count_or_none(node.get("total_tokens"))
    if total is not None and total != (usage.input or 0) + (usage.output or 0):
        leftover["total_tokens"] = total
    return usage, leftover


def encode_usage(usage: Usage, leftover: Json, losses: Losses) -> Draft | None:
    """All counts are required on the wire: 0 stands in for an unknown one, as a `Loss`."""
    if leftover is not None and not isinstance(leftover, Mapping):
        losses.add("extras.usage", "not what is left of a usage object")
    fields = dict(node_or_empty(leftover))
    if usage == NO_USAGE and not fields:
        return None
    counts: dict[str, int] = {}
    for name in ("input", "output", "cache_read", "cache_write", "reasoning"):
        count: int | None = getattr(usage, name)
        if count is None:
            losses.add(f"usage.{name}", "required on the wire; 0 stands in for unknown")
        counts[name] = count or 0
    if usage.cache_write_1h is not None:
        losses.add("usage.cache_write_1h", "Responses does not tell these lifetimes of cache writes apart")
    node: Draft = {
        "input_tokens": counts["input"],
        "input_tokens_details": {
            "cached_tokens": counts["cache_read"],
            "cache_write_tokens": counts["cache_write"],
        },
        "output_tokens": counts["output"],
        "output_tokens_details": {"reasoning_tokens": counts["reasoning"]},
        "total_tokens": counts["input"] + counts["output"],
    }
    total = count_or_none(fields.pop("total_tokens", None))
    if total is not None:
        if total == node["total_tokens"]:
            losses.add("extras.usage.total_tokens", "the total is the sum of the counts")
        node["total_tokens"] = total
    USAGE.merge(node, fields, "extras.usage", losses)
    return node


# --- Decoding -----------------------------------------------------------------------------------------


def decode_response(body: Node) -> Response:
    """A provider's whole answer.

    Raises:
        UpstreamWireError: it is not a response, or not over.
        UpstreamError: it failed; `target` is left empty.
    """
    output = body.get("output")
    if not isinstance(output, list | tuple):
        if body.get("error"):
            raise embedded_error(body)
        raise UpstreamWireError("the answer has no output")
    parts = parts_of(output)
    calls_tools = any(isinstance(part, ToolCall) for part in parts)
    reason, remembered = stop_reason_of(body, calls_tools=calls_tools)
    usage, usage_left = decode_usage(node_or_empty(body.get("usage")))
    extras = {**BODY.leftover(body), **remembered}
    if usage_left:
        extras["usage"] = usage_left
    return Response(
        id=text_or_empty(body.get("id")),
        model=text_or_empty(body.get("model")),
        parts=tuple(parts),
        stop_reason=reason,
        usage=usage,
        created=created_of(body),
        extras=as_extras(extras),
    )


def created_of(body: Node) -> int | None:
    """``created_at``, which some servers give as a fraction."""
    value = body.get("created_at")
    return int(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def parts_of(output: "list[Json] | tuple[Json, ...]") -> list[Part]:
    """The parts of a provider's items.

    Raises:
        UpstreamWireError: an item is malformed.
    """
    reader = TurnReader()
    try:
        for at, item in enumerate(output):
            path = f"output[{at}]"
            node = object_at(item, path)
            reader.add(node, items.object_kind(node, path), path)
    except ClientWireError as error:
        raise UpstreamWireError(f"the answer is malformed: {error}") from error
    return reader.parts


# --- Encoding -----------------------------------------------------------------------------------------


class AnswerStyle:
    """Output items; implements `lynkr.wire.openai_responses.turns.Style`."""

    is_history = False

    def __init__(self, response_id: str) -> None:
        self._response_id = response_id

    def id_for(self, prefix: str, number: int) -> str | None:
        return made_up_id(prefix, self._response_id, number)

    def keeps(self, thought: Reasoning) -> str | None:  # noqa: ARG002  # the protocol's arguments
        return None

    def message(self, node: Draft) -> Draft:
        node.setdefault("status", "completed")
        return node


def encode_response(response: Response, request: Request | None = None) -> Encoded:
    """A whole answer to *request*, whose options it repeats and whose tools it calls by their own names.

    `created_at` is required on the wire: 0 stands in where it is None, as a
    `Loss`.  Fill it in before, as the gateway does.
    """
    losses = Losses()
    writer = TurnWriter(losses, AnswerStyle(response.id), marks_by_name(request))
    output = writer.write((f"parts[{at}]", part) for at, part in enumerate(response.parts))
    for node in output:
        if node.get("type") == "function_call":
            node.setdefault("status", "completed")
    body = head(response.id, response.model, created_or_zero(response.created, losses), request)
    body["output"] = [*output]
    if response.stop_sequence is not None:
        losses.add("stop_sequence", "Responses has no stop sequences")
    calls_tools = any(isinstance(part, ToolCall) for part in response.parts)
    finish(
        body, response.stop_reason, response.usage, response.extras, calls_tools=calls_tools, losses=losses
    )
    return Encoded(body, losses.all())


def created_or_zero(created: int | None, losses: Losses) -> int:
    if created is None:
        losses.add("created", "Responses requires a time of creation; 0 stands in")
        return 0
    return created


def head(response_id: str, model: str, created: int, request: Request | None) -> Draft:
    """A response object of which nothing has been said yet."""
    return {
        "id": response_id,
        "object": "response",
        "created_at": created,
        "status": "in_progress",
        "error": None,
        "incomplete_details": None,
        "model": model,
        "output": [],
        "usage": None,
        **repeated(request),
    }


def finish(
    body: Draft, reason: StopReason, usage: Usage, extras: Extras, *, calls_tools: bool, losses: Losses
) -> None:
    """Complete *body* with how the answer ended."""
    left = dict(extras.of(RESPONSES))
    remembered, usage_left = left.pop("incomplete_details", None), left.pop("usage", None)
    write_stop(body, reason, remembered, calls_tools=calls_tools, losses=losses)
    body["usage"] = encode_usage(usage, usage_left, losses)
    rest = as_extras(left) if extras.format is RESPONSES else extras
    BODY.restore(body, rest, "", losses)


def repeated(request: Request | None) -> Draft:
    """What a response repeats of the request it answers."""
    found: Draft = {**_UNKNOWN_REQUEST}
    if request is None:
        return found
    # The history is not repeated, so it is not encoded; a leading system message may be `instructions`.
    kept = tuple(message for message in request.messages[:1] if message.role is Role.SYSTEM)
    elsewhere = as_extras({**request.extras.of(RESPONSES), "previous_response_id": "elsewhere"})
    encoded = {**encode_request(evolve(request, messages=kept, extras=elsewhere)).body}
    encoded["previous_response_id"] = request.extras.of(RESPONSES).get("previous_response_id")
    found |= {
        name: value
        for name in _REPEATED
        if (value := encoded.get(name)) is not None and name != "instructions"
    }
    found["instructions"] = encoded.get("instructions")
    text = node_or_empty(found.get("text"))
    if "format" not in text:
        found["text"] = {"format": {"type": "text"}, **text}
    return found
