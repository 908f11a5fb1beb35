"""Whole answers, both directions, and usage.

`GenerateContentResponse` of google-genai 3.4 (read 2026-11).  Candidate 0 is
the canonical answer.  What the model has no name for mirrors the body in
`Response.extras`: ``{"candidates": [<what is left of candidate 0>, <candidate 1,
whole>, ...], "usageMetadata": {<what is left>}, "promptFeedback": {...}, ...}``.

A prompt that was blocked has no candidate; it is a refusal.  An answer that
came to nothing because the model wrote a call nobody can read
(``MALFORMED_FUNCTION_CALL`` and its kin, common enough) is a failure that may be
tried again, not an empty answer.

Older models and some proxies give calls no id.  They get one made of
`responseId` and a number, or, where that is missing too, of a digest of the
answer, which the growing token counts make another one every turn.
"""

import hashlib
from collections.abc import Mapping
from typing import Final

from lynkr.errors import ClientWireError, UpstreamFailed, UpstreamWireError
from lynkr.model import (
    Extras,
    Json,
    Part,
    Response,
    StopReason,
    ToolCall,
    Usage,
)
from lynkr.wire.base import Encoded
from lynkr.wire.fields import Draft, Losses, Node, count_or_none, node_or_empty, text_or_empty
from lynkr.wire.gemini.errors import embedded_error
from lynkr.wire.gemini.fields import GEMINI, Body, as_extras, shape
from lynkr.wire.gemini.parts import History, decode_part, encode_part, is_void
from lynkr.wire.json_body import json_text

CANDIDATE: Final = shape("index", "finishReason", content=shape("role", "parts"))
BODY: Final = shape("responseId", "modelVersion", "candidates", "usageMetadata")
USAGE: Final = shape(
    "promptTokenCount",
    "candidatesTokenCount",
    "thoughtsTokenCount",
    "cachedContentTokenCount",
    "totalTokenCount",
)

_REFUSALS: Final = (
    "SAFETY",
    "RECITATION",
    "BLOCKLIST",
    "PROHIBITED_CONTENT",
    "SPII",
    "IMAGE_SAFETY",
    "IMAGE_PROHIBITED_CONTENT",
    "IMAGE_RECITATION",
    "MODEL_ARMOR",
)
_REASONS: Final = {
    "STOP": StopReason.END_TURN,
    "MAX_TOKENS": StopReason.MAX_TOKENS,
    **dict.fromkeys(_REFUSALS, StopReason.REFUSAL),
}
_WORDS: Final = {
    StopReason.END_TURN: "STOP",
    StopReason.MAX_TOKENS: "MAX_TOKENS",
    StopReason.TOOL_USE: "STOP",
    StopReason.STOP_SEQUENCE: "STOP",
    StopReason.REFUSAL: "SAFETY",
    StopReason.PAUSE: "OTHER",
    StopReason.CONTEXT_OVERFLOW: "MAX_TOKENS",
    StopReason.OTHER: "OTHER",
}
_BROKEN: Final = frozenset(
    {
        "MALFORMED_FUNCTION_CALL",
        "UNEXPECTED_TOOL_CALL",
        "TOO_MANY_TOOL_CALLS",
        "MALFORMED_RESPONSE",
        "MISSING_THOUGHT_SIGNATURE",
    }
)


# --- Stop reasons -------------------------------------------------------------------------------------


def stop_reason_of(word: Json, *, calls_tools: bool) -> StopReason:
    """Gemini ends an answer that calls functions with ``STOP`` like any other."""
    reason = _REASONS.get(word, StopReason.OTHER) if isinstance(word, str) else StopReason.OTHER
    if calls_tools and (reason is StopReason.END_TURN or not isinstance(word, str)):
        return StopReason.TOOL_USE
    return reason


def remembered_word(word: Json, reason: StopReason) -> Draft:
    """A finishReason that *reason* alone would not give back, as a field of its candidate."""
    return {"finishReason": word} if isinstance(word, str) and word != _WORDS[reason] else {}


def finish_word(reason: StopReason, left: Draft, *, calls_tools: bool, losses: Losses) -> str:
    """The finishReason to write; takes the remembered one out of *left*."""
    word = left.pop("finishReason", None)
    if not isinstance(word, str) or stop_reason_of(word, calls_tools=calls_tools) is not reason:
        if word is not None:
            losses.add("extras.candidates", "the finishReason remembered is not that of the stop reason")
        word = _WORDS[reason]
    read_back = stop_reason_of(word, calls_tools=calls_tools)
    if read_back is not reason:
        losses.add("stop_reason", f"Gemini has no finishReason for {reason.value} here")
        word = _WORDS[read_back]
    return word


def check_broken(word: Json, candidate: Node) -> None:
    """Raise `UpstreamFailed` if *word* ends an answer that came to nothing."""
    if isinstance(word, str) and word in _BROKEN:
        said = text_or_empty(candidate.get("finishMessage"))
        raise UpstreamFailed(f"the answer came to nothing: {word}{': ' if said else ''}{said}", target="")


# --- Usage --------------------------------------------------------------------------------------------


def decode_usage(node: Node) -> tuple[Usage, Draft]:
    """The counts, and the fields nobody here knows.

    ``promptTokenCount`` includes cached content; ``candidatesTokenCount`` excludes
    thoughts; what tools of Google's own put into the prompt is counted apart
    and billed as input.  A count of zero is left out, so the answer's own
    count, where it is missing, is what the total leaves.
    """
    prompt = count_or_none(node.get("promptTokenCount"))
    tools = count_or_none(node.get("toolUsePromptTokenCount")) or 0
    spoken = count_or_none(node.get("candidatesTokenCount"))
    thoughts = count_or_none(node.get("thoughtsTokenCount"))
    total = count_or_none(node.get("totalTokenCount"))
    if spoken is None and prompt is not None and total is not None:
        spoken = max(0, total - prompt - tools - (thoughts or 0))
    known = [count for count in (spoken, thoughts) if count is not None]
    usage = Usage(
        input=None if prompt is None else prompt + tools,
        output=sum(known) if known else None,
        cache_read=count_or_none(node.get("cachedContentTokenCount")),
        reasoning=thoughts,
    )
    left = USAGE.leftover(node)
    if total is not None and total != _total(usage):
        left["totalTokenCount"] = total
    return usage, left


def _total(usage: Usage) -> int | None:
    return None if usage.input is None or usage.output is None else usage.input + usage.output


def encode_usage(usage: Usage, left: Node, losses: Losses) -> Body | None:
    """The wire's counts, absent where unknown; None if there is nothing at all to say."""
    fields = dict(left)
    node: Body = {}
    tools = count_or_none(fields.get("toolUsePromptTokenCount")) or 0
    if tools > (usage.input or 0):
        losses.add("extras.usageMetadata.toolUsePromptTokenCount", "more than the whole input")
        del fields["toolUsePromptTokenCount"]
        tools = 0
    if usage.input is not None:
        node["promptTokenCount"] = usage.input - tools
    if usage.cache_read is not None:
        node["cachedContentTokenCount"] = usage.cache_read
    thoughts = usage.reasoning
    if thoughts is not None and (usage.output is None or thoughts > usage.output):
        losses.add("usage.reasoning", "thoughts are a part of an output that is not so large")
        thoughts = None
    if usage.output is not None:
        node["candidatesTokenCount"] = usage.output - (thoughts or 0)
    if thoughts is not None:
        node["thoughtsTokenCount"] = thoughts
    for name in ("cache_write", "cache_write_1h"):
        if getattr(usage, name) is not None:
            losses.add(f"usage.{name}", "Gemini does not count what is written to its cache")
    sum_of_all, total = _total(usage), fields.pop("totalTokenCount", None)
    if total is not None and (count_or_none(total) is None or total == sum_of_all or usage.output is None):
        losses.add("extras.usageMetadata.totalTokenCount", "the total is the sum of the counts")
        total = None
    if total is not None or sum_of_all is not None:
        node["totalTokenCount"] = sum_of_all if total is None else total
    USAGE.merge(node, fields, "extras.usageMetadata", losses)
    return node or None


# --- Decoding -----------------------------------------------------------------------------------------


def decode_response(body: Node) -> Response:
    """A provider's whole answer.

    Raises:
        UpstreamWireError: it is no `GenerateContentResponse`.
        UpstreamError: it is an error told with status 200, or came to nothing; `target` is left empty.
    """
    if body.get("error"):
        raise embedded_error(body)
    response_id = text_or_empty(body.get("responseId"))
    candidate, others = first_candidate(body.get("candidates"))
    if candidate is None and not is_blocked(body):
        raise UpstreamWireError("the answer has no candidates")
    node = candidate or {}
    numbering = CallIds(response_id, body)
    parts = tuple(part for part in answer_parts(node, numbering) if not is_void(part))
    word = node.get("finishReason")
    if not parts:
        check_broken(word, node)
    calls_tools = any(isinstance(part, ToolCall) for part in parts)
    reason = StopReason.REFUSAL if candidate is None else stop_reason_of(word, calls_tools=calls_tools)
    usage, usage_left = decode_usage(node_or_empty(body.get("usageMetadata")))
    left = CANDIDATE.leftover(node)
    left.update(remembered_word(word, reason))
    extras = BODY.leftover(body)
    extras.update(mirrored(left, others, usage_left))
    return Response(
        id=response_id,
        model=text_or_empty(body.get("modelVersion")),
        parts=parts,
        stop_reason=reason,
        usage=usage,
        extras=as_extras(extras),
    )


def is_blocked(body: Node) -> bool:
    return bool(node_or_empty(body.get("promptFeedback")).get("blockReason"))


def first_candidate(candidates: Json) -> tuple[Node | None, list[Json]]:
    """Candidate 0 and the others.

    Raises:
        UpstreamWireError: not a list of objects.
    """
    if candidates is None:
        return None, []
    if not isinstance(candidates, list | tuple):
        raise UpstreamWireError("the candidates are not an array")
    rest = list(candidates)
    for at, candidate in enumerate(rest):
        if not isinstance(candidate, Mapping):
            raise UpstreamWireError("a candidate is not an object")
        if not candidate.get("index"):
            del rest[at]
            return candidate, rest
    return None, rest


class CallIds:
    """Ids for the calls of one answer that came without."""

    def __init__(self, response_id: str, body: Node) -> None:
        kept = "".join(sign for sign in response_id if sign.isascii() and (sign.isalnum() or sign in "_-"))
        self._stem = kept
        self._body = body
        self._given = 0
        self.history: History = History()

    def next(self) -> str:
        if not self._stem:
            self._stem = hashlib.sha256(json_text(self._body).encode("utf-8", "replace")).hexdigest()[:16]
        self._given += 1
        return f"call_{self._stem}_{self._given - 1}"


def answer_parts(candidate: Node, ids: CallIds) -> list[Part]:
    """The parts of a candidate.

    Raises:
        UpstreamWireError: one is malformed.
    """
    content = candidate.get("content")
    items = content.get("parts") if isinstance(content, Mapping) else None
    found: list[Part] = []
    for at, item in enumerate(items if isinstance(items, list | tuple) else ()):
        call = item.get("functionCall") if isinstance(item, Mapping) else None
        lacks_id = isinstance(call, Mapping) and not call.get("id")
        try:
            found.append(
                decode_part(
                    item, f"candidates[0].content.parts[{at}]", ids.history, ids.next() if lacks_id else ""
                )
            )
        except ClientWireError as error:
            raise UpstreamWireError(f"the answer is malformed: {error}") from error
    return found


def mirrored(candidate: Draft, others: list[Json], usage: Draft) -> Draft:
    """What is left of the candidates and of the usage, where the body has them."""
    found: Draft = {}
    if candidate or others:
        found["candidates"] = [candidate, *others]
    if usage:
        found["usageMetadata"] = usage
    return found


# --- Encoding -----------------------------------------------------------------------------------------


def encode_response(response: Response) -> Encoded:
    losses = Losses()
    left, others, usage_left, rest = split_extras(response.extras, losses)
    history = History()
    written: list[Body] = []
    for at, part in enumerate(response.parts):
        path = f"parts[{at}]"
        node = None if is_void(part) else encode_part(part, path, history, losses)
        if node is not None:
            written.append(node)
        elif is_void(part):
            losses.add(path, "a part that says nothing")
    calls_tools = any("functionCall" in node for node in written)
    candidate: Body = {"content": {"role": "model", "parts": written}}
    candidate["finishReason"] = finish_word(
        response.stop_reason, left, calls_tools=calls_tools, losses=losses
    )
    candidate["index"] = 0
    CANDIDATE.merge(candidate, left, "extras.candidates[0]", losses)
    tell_unsaid(response.created, response.stop_sequence, losses)
    body: Body = {"candidates": [candidate, *others]}
    usage = encode_usage(response.usage, usage_left, losses)
    if usage is not None:
        body["usageMetadata"] = usage
    body |= {"modelVersion": response.model, "responseId": response.id}
    BODY.restore(body, rest, "", losses)
    return Encoded(body, losses.all())


def tell_unsaid(created: int | None, stop_sequence: str | None, losses: Losses) -> None:
    if created is not None:
        losses.add("created", "Gemini does not tell when an answer was made")
    if stop_sequence is not None:
        losses.add("stop_sequence", "Gemini does not tell which stop sequence was hit")


def split_extras(extras: Extras, losses: Losses) -> tuple[Draft, list[Json], Draft, Extras]:
    """The leftovers of candidate 0, the further candidates, the usage's leftovers, and all the rest."""
    if extras.format is not GEMINI:
        return {}, [], {}, extras
    fields: Draft = dict(extras.fields)
    candidates, usage = fields.pop("candidates", None), fields.pop("usageMetadata", None)
    first: Draft = {}
    others: list[Json] = []
    if isinstance(candidates, list | tuple) and candidates and isinstance(candidates[0], Mapping):
        first, others = dict(candidates[0]), list(candidates[1:])
    elif candidates is not None:
        losses.add("extras.candidates", "not what is left of a list of candidates")
    if usage is not None and not isinstance(usage, Mapping):
        losses.add("extras.usageMetadata", "not what is left of the usage")
    return first, others, dict(node_or_empty(usage)), as_extras(fields)


__all__ = [
    "CallIds",
    "answer_parts",
    "check_broken",
    "decode_response",
    "decode_usage",
    "encode_response",
    "encode_usage",
    "finish_word",
    "first_candidate",
    "is_blocked",
    "mirrored",
    "remembered_word",
    "split_extras",
    "stop_reason_of",
    "tell_unsaid",
]
