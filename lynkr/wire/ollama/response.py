"""Whole answers, both directions.

Fields after ``ChatResponse`` of ollama-python 0.6.3 and docs.ollama.com/api/chat
(read 2026-11).  What the model has no name for mirrors the body in
`Response.extras`: ``{"message": {<what is left>}, "total_duration": ..., ...}``.
"""

from collections.abc import Mapping
from typing import Any, Final, assert_never, cast

from lynkr.errors import UpstreamWireError
from lynkr.model import (
    Foreign,
    Image,
    Json,
    Part,
    Reasoning,
    Response,
    StopReason,
    Text,
    ToolCall,
    ToolResult,
    Usage,
)
from lynkr.wire.base import Encoded
from lynkr.wire.json_body import json_text
from lynkr.wire.ollama import parts
from lynkr.wire.ollama.errors import embedded_error
from lynkr.wire.ollama.fields import (
    OLLAMA_CHAT,
    Draft,
    Losses,
    Node,
    as_extras,
    count_or_none,
    node_or_empty,
    seconds_of,
    shape,
    text_or_empty,
    time_text,
)

MESSAGE: Final = shape("role", "content", "thinking", "images", "tool_calls")
BODY: Final = shape("model", "done", "prompt_eval_count", "eval_count", message=MESSAGE)
NO_ID: Final = "an answer of Ollama has no id"

_WORDS: Final = {
    StopReason.END_TURN: "stop",
    StopReason.MAX_TOKENS: "length",
    StopReason.TOOL_USE: "stop",
    StopReason.STOP_SEQUENCE: "stop",
    StopReason.REFUSAL: "stop",
    StopReason.PAUSE: "stop",
    StopReason.CONTEXT_OVERFLOW: "length",
    StopReason.OTHER: "stop",
}


# --- Stop reasons, usage, times -----------------------------------------------------------------------


def stop_reason_of(word: Json, *, calls_tools: bool) -> StopReason:
    """The canonical reason of a done_reason; servers before 0.1.38 gave none.

    An answer that calls tools ends with "stop" like any other, but waits for them.
    """
    match word:
        case "length":
            return StopReason.MAX_TOKENS
        case "stop" | "" | None:
            return StopReason.TOOL_USE if calls_tools else StopReason.END_TURN
        case _:
            return StopReason.OTHER  # "load" and "unload", of requests without messages


def remembered_word(word: Json, reason: StopReason) -> Draft:
    """A done_reason that *reason* alone would not give back."""
    return {"done_reason": word} if reason is StopReason.OTHER and isinstance(word, str) else {}


def done_word(reason: StopReason, extras: Draft, *, calls_tools: bool, losses: Losses) -> str:
    """The done_reason to write; takes the remembered one out of *extras*."""
    word = extras.pop("done_reason", None)
    if reason is StopReason.OTHER and isinstance(word, str):
        read_back = stop_reason_of(word, calls_tools=calls_tools)
        if read_back is StopReason.OTHER:
            return word
    if word is not None:
        losses.add("extras.done_reason", "the reason remembered is not that of the stop reason")
    word = _WORDS[reason]
    if stop_reason_of(word, calls_tools=calls_tools) is not reason:
        losses.add("stop_reason", f"Ollama has no done_reason for {reason.value} here")
    return word


def decode_usage(body: Node) -> Usage:
    return Usage(
        input=count_or_none(body.get("prompt_eval_count")), output=count_or_none(body.get("eval_count"))
    )


def encode_usage(usage: Usage, losses: Losses) -> Draft:
    for name in ("cache_read", "cache_write", "cache_write_1h", "reasoning"):
        if getattr(usage, name) is not None:
            losses.add(f"usage.{name}", "Ollama counts input and output only")
    counts: Draft = {}
    if usage.input is not None:
        counts["prompt_eval_count"] = usage.input
    if usage.output is not None:
        counts["eval_count"] = usage.output
    return counts


def created_text(created: int | None, extras: Draft, losses: Losses) -> str:
    """The ``created_at`` to write; takes the exact one, where it is remembered, out of *extras*."""
    exact = extras.pop("created_at", None)
    if isinstance(exact, str) and seconds_of(exact) == created and exact:
        return exact
    if exact is not None:
        losses.add("extras.created_at", "the time remembered is not that of the answer")
    text = None if created is None else time_text(created)
    if text is None:
        losses.add("created", "Ollama requires a time of creation; 1970 stands in")
    return text or "1970-01-01T00:00:00Z"


# --- Decoding -----------------------------------------------------------------------------------------


def decode_response(body: Node) -> Response:
    """A provider's whole answer.

    Raises:
        UpstreamWireError: it is not an answer, or not a finished one.
        UpstreamError: it is an error told with status 200; `target` is left empty.
    """
    if body.get("error"):
        raise embedded_error(body)
    message = body.get("message")
    if not isinstance(message, Mapping):
        raise UpstreamWireError("the answer has no message")
    if body.get("done") is not True:
        raise UpstreamWireError("the answer is not done")
    created_at = body.get("created_at")
    found = message_parts(message, created_at)
    calls_tools = any(isinstance(part, ToolCall) for part in found)
    reason = stop_reason_of(body.get("done_reason"), calls_tools=calls_tools)
    created = seconds_of(created_at)
    extras = BODY.leftover(body)
    extras.pop("done_reason", None)
    extras.update(remembered_word(body.get("done_reason"), reason))
    if created_at is None or (created is not None and time_text(created) == created_at):
        extras.pop("created_at", None)
    return Response(
        id="",
        model=text_or_empty(body.get("model")),
        parts=tuple(found),
        stop_reason=reason,
        usage=decode_usage(body),
        created=created,
        extras=as_extras(extras),
    )


def message_parts(message: Node, created_at: Json, calls_before: int = 0) -> list[Part]:
    """The parts of an answer's message, or of what one line of a stream adds to it.

    *calls_before* counts the calls of earlier lines.
    """
    found: list[Part] = []
    thinking = text_or_empty(message.get("thinking"))
    if thinking:
        found.append(Reasoning(thinking))
    words = text_or_empty(message.get("content"))
    if words:
        found.append(Text(words))
    images = message.get("images")
    found += [parts.image_of(text) for text in _items(images) if isinstance(text, str)]
    for at, item in enumerate(_items(message.get("tool_calls")), calls_before):
        found.append(_tool_call(item, at, created_at))
    return found


def _items(value: Json) -> list[Json]:
    return list(value) if isinstance(value, list | tuple) else []


def _tool_call(item: Json, at: int, created_at: Json) -> ToolCall:
    node = node_or_empty(item)
    function = node_or_empty(node.get("function"))
    name = function.get("name")
    if not isinstance(name, str) or not name:
        raise UpstreamWireError("a tool call has no name")
    arguments = function.get("arguments")
    text = arguments if isinstance(arguments, str) else "{}" if arguments is None else json_text(arguments)
    call_id = text_or_empty(node.get("id")) or made_up_id(created_at, at)
    return ToolCall(call_id, name, text, parts.CALL.extras(node))


def made_up_id(created_at: Json, at: int) -> str:
    """An id for a call that came without one (before 0.12), the same for the same answer."""
    digits = "".join(sign for sign in text_or_empty(created_at) if sign.isascii() and sign.isdigit())
    return f"call_{digits}_{at}" if digits else f"call_{at}"


# --- Encoding -----------------------------------------------------------------------------------------


def encode_response(response: Response) -> Encoded:
    """A whole answer.

    ``created_at`` is required on the wire: 1970 stands in where it is None, as
    a `Loss`.  Fill it in before, as the gateway does.
    """
    losses = Losses()
    draft = _MessageDraft(losses)
    for at, part in enumerate(response.parts):
        draft.add(part, f"parts[{at}]")
    if response.id:
        losses.add("id", NO_ID)
    if response.stop_sequence is not None:
        losses.add("stop_sequence", "Ollama does not tell which stop sequence was hit")
    extras = dict(response.extras.of(OLLAMA_CHAT))
    body: dict[str, Any] = {
        "model": response.model,
        "created_at": created_text(response.created, extras, losses),
        "message": draft.node(),
        "done": True,
        "done_reason": done_word(response.stop_reason, extras, calls_tools=bool(draft.calls), losses=losses),
        **encode_usage(response.usage, losses),
    }
    rest = as_extras(extras) if response.extras.format is OLLAMA_CHAT else response.extras
    BODY.restore(body, rest, "", losses)
    return Encoded(cast("Mapping[str, Json]", body), losses.all())


class _MessageDraft:
    """One message put together in Ollama's order: thinking, words, images, tool calls."""

    def __init__(self, losses: Losses) -> None:
        self.calls: list[dict[str, Any]] = []
        self._losses = losses
        self._thoughts: list[str] = []
        self._words: list[str] = []
        self._images: list[str] = []
        self._reached = 0

    def add(self, part: Part, path: str) -> None:
        rank = self._place(part, path)
        if rank is None:
            return
        if rank < self._reached:
            self._losses.add("parts", "thinking, words and tool calls are written in that order")
        self._reached = max(rank, self._reached)

    def _place(self, part: Part, path: str) -> int | None:
        """The part's place in the order; None if it could not be carried."""
        losses = self._losses
        match part:
            case Reasoning():
                if part.redacted or not part.text:
                    losses.add(path, "a thought without text cannot be carried")
                    return None
                if part.seal is not None:
                    losses.add(f"{path}.seal", "Ollama has no seals")
                losses.add_extras(part.extras, path, "a thought is a bare string")
                self._thoughts.append(part.text)
                return 0
            case Text():
                if not part.text:
                    losses.add(path, "an empty text is no part")
                    return None
                losses.add_extras(part.extras, path, "a text is a bare string")
                self._words.append(part.text)
                return 1
            case Image():
                text = parts.image_text(part, path, losses)
                if text is None:
                    return None
                self._images.append(text)
                return 2
            case ToolCall():
                if not part.id:
                    losses.add(f"{path}.id", "a call without an id gets one")
                self.calls.append(parts.call_node(part, path, losses))
                return 3
            case Foreign() | ToolResult():
                losses.add(path, parts.FOREIGN if isinstance(part, Foreign) else "no part of an answer")
                return None
            case _:
                assert_never(part)

    def node(self) -> dict[str, Any]:
        node: dict[str, Any] = {"role": "assistant", "content": self._joined(self._words)}
        if self._thoughts:
            node["thinking"] = self._joined(self._thoughts)
        if self._images:
            node["images"] = self._images
        if self.calls:
            node["tool_calls"] = self.calls
        return node

    def _joined(self, texts: list[str]) -> str:
        if len(texts) > 1:
            self._losses.add("parts", "several texts are written as one")
        return parts.BETWEEN.join(texts)
