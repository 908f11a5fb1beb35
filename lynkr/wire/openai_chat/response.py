"""Whole answers, both directions, and usage.

Shapes follow types/chat/chat_completion.py and completion_usage.py of openai
3.54 (read 2026-11).  Choice 0 is the canonical answer.  What the model has no
name for mirrors the body in `Response.extras`: ``{"choices": [<what is left of
choice 0>, <choice 1, whole>, ...], "usage": {<what is left>}, ...}``.
"""

from collections.abc import Mapping
from typing import Final, assert_never

from lynkr.errors import UpstreamWireError
from lynkr.model import (
    NO_USAGE,
    Extras,
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
from lynkr.wire.base import Encoded, Told
from lynkr.wire.json_body import json_text
from lynkr.wire.openai_chat import parts
from lynkr.wire.openai_chat.errors import embedded_error
from lynkr.wire.openai_chat.fields import (
    OPENAI_CHAT,
    Draft,
    Losses,
    Node,
    as_extras,
    count_or_none,
    node_or_empty,
    shape,
    text_or_empty,
)

MESSAGE: Final = shape("role", "content", "refusal", "reasoning_content", "tool_calls")
CHOICE: Final = shape("index", "finish_reason", message=MESSAGE)
BODY: Final = shape("id", "object", "created", "model", "choices", "usage")
# DeepSeek says `prompt_cache_hit_tokens` and Moonshot `cached_tokens` beside `prompt_tokens`; both are
# read where OpenAI's own field is absent, and kept as unknown fields either way.
USAGE: Final = shape(
    "prompt_tokens",
    "completion_tokens",
    "total_tokens",
    prompt_tokens_details=shape("cached_tokens", "cache_write_tokens"),
    completion_tokens_details=shape("reasoning_tokens"),
)

_REASONS: Final = {
    "stop": StopReason.END_TURN,
    "length": StopReason.MAX_TOKENS,
    "tool_calls": StopReason.TOOL_USE,
    "function_call": StopReason.TOOL_USE,
    "content_filter": StopReason.REFUSAL,
}
_WORDS: Final = {
    StopReason.END_TURN: "stop",
    StopReason.MAX_TOKENS: "length",
    StopReason.TOOL_USE: "tool_calls",
    StopReason.STOP_SEQUENCE: "stop",
    StopReason.REFUSAL: "content_filter",
    StopReason.PAUSE: "stop",
    StopReason.CONTEXT_OVERFLOW: "length",
    StopReason.OTHER: "stop",
}


# --- Stop reasons -------------------------------------------------------------------------------------


def stop_reason_of(word: Json, *, calls_tools: bool) -> StopReason:
    """The canonical reason of a finish_reason.

    A forced function ends with "stop" at OpenAI, and some hosts end every
    answer so; an answer that calls tools is waiting for them all the same.
    """
    if not isinstance(word, str):
        return StopReason.TOOL_USE if calls_tools else StopReason.OTHER
    reason = _REASONS.get(word, StopReason.OTHER)
    return StopReason.TOOL_USE if calls_tools and reason is StopReason.END_TURN else reason


def remembered_word(word: Json, reason: StopReason) -> Draft:
    """A finish_reason that *reason* alone would not give back, as a field of its choice."""
    return {"finish_reason": word} if isinstance(word, str) and word != _WORDS[reason] else {}


def finish_word(reason: StopReason, choice: Draft, *, calls_tools: bool, losses: Losses) -> str:
    """The finish_reason to write; takes the remembered one out of the leftover *choice*."""
    word = choice.pop("finish_reason", None)
    if not isinstance(word, str) or stop_reason_of(word, calls_tools=calls_tools) is not reason:
        if word is not None:
            losses.add("extras.choices", "the finish_reason remembered is not that of the stop reason")
        word = _WORDS[reason]
    read_back = stop_reason_of(word, calls_tools=calls_tools)
    if read_back is not reason:
        losses.add("stop_reason", f"Chat has no finish_reason for {reason.value} here")
        word = _WORDS[read_back]
    return word


# --- Usage --------------------------------------------------------------------------------------------


def decode_usage(node: Node) -> tuple[Usage, Draft]:
    """The counts, and the fields nobody here knows.  OpenAI's input already includes cached tokens."""
    prompt = node_or_empty(node.get("prompt_tokens_details"))
    completion = node_or_empty(node.get("completion_tokens_details"))
    given = (prompt.get("cached_tokens"), node.get("prompt_cache_hit_tokens"), node.get("cached_tokens"))
    usage = Usage(
        input=count_or_none(node.get("prompt_tokens")),
        output=count_or_none(node.get("completion_tokens")),
        cache_read=next((count for value in given if (count := count_or_none(value)) is not None), None),
        cache_write=count_or_none(prompt.get("cache_write_tokens")),
        reasoning=count_or_none(completion.get("reasoning_tokens")),
    )
    leftover = USAGE.leftover(node)
    total = count_or_none(node.get("total_tokens"))
    if total is not None and total != _total(usage):
        leftover["total_tokens"] = total
    return usage, leftover


def _total(usage: Usage) -> int | None:
    return None if usage.input is None or usage.output is None else usage.input + usage.output


def encode_usage(usage: Usage, leftover: Node, losses: Losses) -> Draft | None:
    """The wire's counts, null where unknown; None if there is nothing at all to say."""
    if usage == NO_USAGE and not leftover:
        return None
    fields = dict(leftover)
    total = fields.pop("total_tokens", None)
    node: Draft = {
        "prompt_tokens": usage.input,
        "completion_tokens": usage.output,
        "total_tokens": total if total is not None else _total(usage),
    }
    if total is not None and (count_or_none(total) is None or total == _total(usage)):
        losses.add("extras.usage.total_tokens", "the total is the sum of the counts")
    details: Draft = {}
    if usage.cache_read is not None:
        details["cached_tokens"] = usage.cache_read
    if usage.cache_write is not None:
        details["cache_write_tokens"] = usage.cache_write
    if details:
        node["prompt_tokens_details"] = details
    if usage.reasoning is not None:
        node["completion_tokens_details"] = {"reasoning_tokens": usage.reasoning}
    if usage.cache_write_1h is not None:
        losses.add("usage.cache_write_1h", "Chat does not tell lifetimes of cache writes apart")
    USAGE.merge(node, fields, "extras.usage", losses)
    return node


# --- Decoding -----------------------------------------------------------------------------------------


def decode_response(body: Node) -> Response:
    """A provider's whole answer.

    Raises:
        UpstreamWireError: it is not a chat completion.
        UpstreamError: it is an error told with status 200; `target` is left empty.
    """
    if body.get("error"):
        raise embedded_error(body)
    choices = body.get("choices")
    if not isinstance(choices, list | tuple) or not choices:
        raise UpstreamWireError("the answer has no choices")
    choice, others = _first_choice(choices)
    if choice.get("error"):
        raise embedded_error(choice)
    message = choice.get("message")
    if not isinstance(message, Mapping):
        raise UpstreamWireError("the answer's first choice has no message")
    response_id = text_or_empty(body.get("id"))
    content, unknown = _message_parts(message, response_id)
    calls_tools = any(isinstance(part, ToolCall) for part in content)
    word = choice.get("finish_reason")
    reason = stop_reason_of(word, calls_tools=calls_tools)
    usage, usage_leftover = decode_usage(node_or_empty(body.get("usage") or choice.get("usage")))
    leftover = CHOICE.leftover(choice)
    leftover.pop("message", None)
    if unknown:
        leftover["message"] = unknown
    leftover.update(remembered_word(word, reason))
    extras = BODY.leftover(body)
    extras.update(mirrored(leftover, others, usage_leftover))
    return Response(
        id=response_id,
        model=text_or_empty(body.get("model")),
        parts=tuple(content),
        stop_reason=reason,
        usage=usage,
        created=count_or_none(body.get("created")),
        extras=as_extras(extras),
    )


def told(body: Node) -> Told | None:
    """See `lynkr.wire.base.TellingCodec`."""
    answer_id, model, choices, usage = (
        body.get("id"),
        body.get("model"),
        body.get("choices"),
        body.get("usage"),
    )
    if not (answer_id and isinstance(answer_id, str) and model and isinstance(model, str)):
        return None
    if body.get("error") or not isinstance(usage, dict) or not isinstance(choices, list) or len(choices) != 1:
        return None
    choice = choices[0]
    if not isinstance(choice, dict) or choice.get("index", 0) != 0 or choice.get("error"):
        return None
    message = choice.get("message")
    if not isinstance(message, dict) or not isinstance(message.get("content"), str | None):
        return None
    calls = message.get("tool_calls") or ()
    if not isinstance(calls, list | tuple) or not all(map(_is_ordinary_call, calls)):
        return None
    reason = stop_reason_of(choice.get("finish_reason"), calls_tools=bool(calls))
    return Told(answer_id, model, reason, decode_usage(usage)[0], len(calls))


def _is_ordinary_call(call: Json) -> bool:
    function = call.get("function") if isinstance(call, dict) else None
    name = function.get("name") if isinstance(function, dict) else None
    return isinstance(name, str) and name != ""


def _first_choice(choices: "list[Json] | tuple[Json, ...]") -> tuple[Node, list[Json]]:
    rest = list(choices)
    for at, choice in enumerate(rest):
        if isinstance(choice, Mapping) and choice.get("index", 0) == 0:
            del rest[at]
            return choice, rest
    raise UpstreamWireError("the answer has no choice 0")


def mirrored(choice: Draft, others: list[Json], usage: Draft) -> Draft:
    """What is left of the choices and of the usage, where the body has them."""
    found: Draft = {}
    if choice or others:
        found["choices"] = [choice, *others]
    if usage:
        found["usage"] = usage
    return found


def _message_parts(message: Node, response_id: str) -> tuple[list[Part], Draft]:
    """The parts in Chat's order, and the fields of the message nobody here knows."""
    unknown = MESSAGE.leftover(message)
    found: list[Part] = []
    reasoning = reasoning_text(message)
    if unknown.get("reasoning") in (None, reasoning):
        unknown.pop("reasoning", None)
    if reasoning:
        found.append(Reasoning(reasoning))
    found += content_parts(message.get("content"))
    declined = message.get("refusal")
    if isinstance(declined, str) and declined:
        found.append(parts.refusal(declined))
    calls = message.get("tool_calls")
    for at, item in enumerate(calls if isinstance(calls, list | tuple) else ()):
        found.append(_tool_call(item, at, response_id))
    return found, unknown


def reasoning_text(node: Node) -> str:
    """Thinking under either of its two spellings; servers in transition send both."""
    return text_or_empty(node.get("reasoning_content")) or text_or_empty(node.get("reasoning"))


def content_parts(content: Json) -> list[Part]:
    """A message's content; Mistral's is a list, in which ``thinking`` parts hold texts of their own."""
    if isinstance(content, str):
        return [Text(content)] if content else []
    return [_content_part(item) for item in content] if isinstance(content, list | tuple) else []


def _content_part(item: Json) -> Part:
    if not isinstance(item, Mapping):
        return Text(item) if isinstance(item, str) else Foreign(OPENAI_CHAT, item)
    match item.get("type"), item.get("text"), item.get("thinking"):
        case "text", str() as text, _:
            return Text(text, parts.TEXT.extras(item))
        case "thinking", _, str() as thought:
            return Reasoning(thought)
        case "thinking", _, list() as thoughts:
            return Reasoning("".join(text_or_empty(node_or_empty(piece).get("text")) for piece in thoughts))
        case _:
            return Foreign(OPENAI_CHAT, item)


def _tool_call(item: Json, at: int, response_id: str) -> ToolCall | Foreign:
    node = node_or_empty(item)
    call_id = text_or_empty(node.get("id")) or made_up_id(response_id, at)
    function, custom = node.get("function"), node.get("custom")
    if isinstance(function, Mapping):
        name, arguments = _name_of(function), argument_text(function.get("arguments"))
        leftover = parts.leftover_of(parts.FUNCTION_CALL, node, "index")
        return ToolCall(call_id, name, arguments, as_extras(leftover))
    if isinstance(custom, Mapping):
        leftover = parts.leftover_of(parts.CUSTOM_CALL, node, "index")
        return parts.custom_call(call_id, _name_of(custom), text_or_empty(custom.get("input")), leftover)
    return Foreign(OPENAI_CHAT, {"tool_calls": [item]})


def _name_of(node: Node) -> str:
    name = node.get("name")
    if isinstance(name, str) and name:
        return name
    raise UpstreamWireError("a tool call has no name")


def argument_text(value: Json) -> str:
    """Arguments as text; some servers send the object itself."""
    if value is None:
        return ""
    return value if isinstance(value, str) else json_text(value)


def made_up_id(response_id: str, at: int) -> str:
    """An id for a call that came without one, the same for the same answer."""
    kept = "".join(sign for sign in response_id if sign.isascii() and (sign.isalnum() or sign in "_-"))
    return f"call_{kept}_{at}" if kept else f"call_{at}"


# --- Encoding -----------------------------------------------------------------------------------------


def encode_response(response: Response) -> Encoded:
    """A whole answer.

    `created` is required on the wire: 0 stands in where it is None, as a
    `Loss`.  Fill it in before, as the gateway does.
    """
    losses = Losses()
    leftover, others, usage_leftover, rest = split_extras(response.extras, losses)
    draft = _MessageDraft(losses)
    for at, part in enumerate(response.parts):
        draft.add(part, f"parts[{at}]")
    message, calls_tools = draft.node(), draft.calls_tools
    unknown = leftover.pop("message", None)
    if isinstance(unknown, Mapping):
        MESSAGE.merge(message, unknown, "extras.choices[0].message", losses)
    choice: Draft = {"index": 0, "message": message}
    choice["finish_reason"] = finish_word(
        response.stop_reason, leftover, calls_tools=calls_tools, losses=losses
    )
    CHOICE.merge(choice, leftover, "extras.choices[0]", losses)
    if response.stop_sequence is not None:
        losses.add("stop_sequence", "Chat does not tell which stop sequence was hit")
    body: Draft = {
        "id": response.id,
        "object": "chat.completion",
        "created": created_or_zero(response.created, losses),
        "model": response.model,
        "choices": [choice, *others],
    }
    usage = encode_usage(response.usage, usage_leftover, losses)
    if usage is not None:
        body["usage"] = usage
    BODY.restore(body, rest, "", losses)
    return Encoded(body, losses.all())


def created_or_zero(created: int | None, losses: Losses) -> int:
    if created is None:
        losses.add("created", "Chat requires a time of creation; 0 stands in")
        return 0
    return created


def split_extras(extras: Extras, losses: Losses) -> tuple[Draft, list[Json], Draft, Extras]:
    """The leftovers of choice 0, the further choices, the usage's leftovers, and all the rest."""
    if extras.format is not OPENAI_CHAT:
        return {}, [], {}, extras
    fields = dict(extras.fields)
    choices, usage = fields.pop("choices", None), fields.pop("usage", None)
    first: Draft = {}
    others: list[Json] = []
    if isinstance(choices, list | tuple) and choices and isinstance(choices[0], Mapping):
        first, others = dict(choices[0]), list(choices[1:])
    elif choices is not None:
        losses.add("extras.choices", "not what is left of a list of choices")
    if usage is not None and not isinstance(usage, Mapping):
        losses.add("extras.usage", "not what is left of a usage object")
    return first, others, dict(node_or_empty(usage)), as_extras(fields)


_CONTENT_KINDS: Final = frozenset({"text", "thinking"})


class _MessageDraft:
    """One message put together in Chat's order: thinking, text, refusal, tool calls."""

    def __init__(self, losses: Losses) -> None:
        self._losses = losses
        self._thoughts: list[str] = []
        self._said: list[Draft] = []
        self._declined: list[str] = []
        self._calls: list[Json] = []
        self._reached = 0
        self.calls_tools = False

    def add(self, part: Part, path: str) -> None:
        rank = self._place(part, path)
        if rank is None:
            return
        if rank < self._reached:
            self._losses.add("parts", "thinking, text, refusal and tool calls are written in that order")
        self._reached = max(rank, self._reached)

    def _place(self, part: Part, path: str) -> int | None:
        """The part's place in the order; None if it could not be carried."""
        match part:
            case Reasoning():
                return self._add_thought(part, path)
            case Text() if part.text and parts.is_refusal(part):
                self._declined.append(part.text)
                self._losses.add_extras(parts.without_type(part.extras), path, "a refusal is a bare string")
                return 2
            case Text():
                self._said.append(parts.text_node(part, path, self._losses, may_refuse=False))
                return 1
            case ToolCall():
                self.calls_tools = True
                self._calls.append(parts.call_node(part, path, self._losses))
                return 3
            case Foreign():
                return self._add_foreign(part, path)
            case Image() | ToolResult():
                self._losses.add(path, "has no place in a Chat answer")
                return None
            case _:
                assert_never(part)

    def _add_thought(self, part: Reasoning, path: str) -> int | None:
        if part.redacted or not part.text:
            self._losses.add(path, "a thought without text cannot be carried")
            return None
        if part.seal is not None:
            self._losses.add(f"{path}.seal", "Chat has no seals")
        self._losses.add_extras(part.extras, path, "Chat has no node that could hold it")
        self._thoughts.append(part.text)
        return 0

    def _add_foreign(self, part: Foreign, path: str) -> int | None:
        call = foreign_call(part)
        if call is not None:
            self._calls.append(call)
            return 3
        node = parts.foreign_node(part, _CONTENT_KINDS)
        if node is not None:
            self._said.append(node)
            return 1
        self._losses.add(path, "a block of a kind this dialect does not know")
        return None

    def node(self) -> Draft:
        node: Draft = {"role": "assistant", "content": self._content()}
        if self._declined:
            node["refusal"] = "".join(self._declined)
        if self._thoughts:
            node["reasoning_content"] = "\n\n".join(self._thoughts)
        if self._calls:
            node["tool_calls"] = self._calls
        if len(self._thoughts) > 1 or len(self._declined) > 1:
            self._losses.add("parts", "several parts of a kind are written as one")
        return node

    def _content(self) -> Json:
        """A string, as the official types want it; a list only for parts a string cannot hold."""
        texts = [parts.plain_text_of(node) for node in self._said]
        if None in texts:
            return [*self._said]
        if len(texts) > 1 or texts == [""]:
            self._losses.add("parts", "a Chat answer has one text")
        if not texts and (self._calls or self._declined):
            return None
        return "".join(text for text in texts if text)


def foreign_call(part: Foreign) -> Json:
    """The tool call of a kind nobody here knows that *part* holds, or None."""
    if part.format is not OPENAI_CHAT or not isinstance(part.value, Mapping):
        return None
    match part.value:
        case {"tool_calls": [Mapping() as call], **rest} if not rest:
            known = isinstance(call.get("function"), Mapping) or isinstance(call.get("custom"), Mapping)
            return None if known else call
        case _:
            return None
