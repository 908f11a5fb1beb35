"""What the simulator says: a function of the request alone, in two dialects.

Written by hand on purpose, without lynkr's codecs: they are tested against it.
Shapes follow the official SDKs, anthropic 2.12 and openai 3.54 (read 2026-11).
"""

import hashlib
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final, TypeAlias, cast

from attrs import frozen

from lynkr.model import WireFormat
from lynkr.testing.faults import SIMULATOR_HEADER, Answer, Send, error_answer, json_answer

_Body: TypeAlias = dict[str, Any]
_Node: TypeAlias = Any  # JSON, as a client sent it
_NONE: Final[Mapping[str, Any]] = {}
_ANTHROPIC: Final = WireFormat.ANTHROPIC_MESSAGES
_OPENAI: Final = WireFormat.OPENAI_CHAT
CREATED: Final = 1_767_225_600  # the first second of 2026: an answer may not depend on the clock
_TOKEN: Final = re.compile(r"\s*\S{1,6}|\s+")
_ASKS_FOR_TOOL: Final = re.compile(r"\b(?:tool|tools|function|call|use|run)\b", re.IGNORECASE)


def tokens_of(text: str) -> list[str]:
    """*text* in the simulator's tokens: up to six signs and the space before them."""
    return _TOKEN.findall(text)


@frozen
class Turn:
    """The answer before it has a dialect."""

    text: str
    calls: tuple[tuple[str, str, str], ...]  # id, name, arguments
    thinking: str
    input_tokens: int
    cached_tokens: int
    written_tokens: int
    is_truncated: bool

    @property
    def output_tokens(self) -> int:
        spoken = "".join((self.thinking, self.text, *(name + arguments for _, name, arguments in self.calls)))
        return len(tokens_of(spoken))


@frozen
class Asked:
    """What of a request shapes the answer, read the same way from both dialects."""

    model: str
    prompt: str
    result: str | None
    tools: Mapping[str, Mapping[str, Any]]
    forced: str | None  # "any", or a tool's name
    schema: Mapping[str, Any] | None
    max_tokens: int | None
    thinks: bool
    prefix_tokens: int
    total_tokens: int
    caches: bool
    turns: int
    digest: str


# --- The answer ---------------------------------------------------------------------------------------


def turn_of(asked: Asked) -> Turn:
    """The answer to *asked*: a tool call, the gist of a tool's result, JSON by a schema, or an echo."""
    called = _called_tools(asked)
    calls = tuple(
        (f"{asked.digest[:12]}{number}", name, json.dumps(_arguments(asked.tools[name]), ensure_ascii=False))
        for number, name in enumerate(called)
    )
    if calls:
        text = ""
    elif asked.schema is not None:
        text = json.dumps(_example(asked.schema), ensure_ascii=False)
    elif asked.result is not None:
        text = f"[lynkr simulator] {asked.model} read the tool's result: {_gist(asked.result)}"
    else:
        text = (
            f"[lynkr simulator] {asked.model} received {asked.total_tokens} tokens, "
            f"the last words being: {_gist(asked.prompt)}"
        )
    spoken = tokens_of(text)
    is_truncated = asked.max_tokens is not None and len(spoken) > asked.max_tokens
    cached = asked.prefix_tokens if asked.caches and asked.turns else 0
    return Turn(
        text="".join(spoken[: asked.max_tokens]) if is_truncated else text,
        calls=calls,
        thinking="This is a simulator; it does not think." if asked.thinks else "",
        input_tokens=asked.total_tokens,
        cached_tokens=cached,
        written_tokens=asked.prefix_tokens if asked.caches and not asked.turns else 0,
        is_truncated=is_truncated,
    )


def _names(prompt: str, tool: str) -> bool:
    """Whether *tool* stands in *prompt* as a word of its own."""
    at = prompt.find(tool)
    while at >= 0:
        beside = prompt[max(at - 1, 0) : at] + prompt[at + len(tool) : at + len(tool) + 1]
        if not any(sign.isalnum() or sign == "_" for sign in beside):
            return True
        at = prompt.find(tool, at + 1)
    return False


def _called_tools(asked: Asked) -> tuple[str, ...]:
    if not asked.tools or asked.result is not None or asked.forced == "none":
        return ()
    named = tuple(name for name in asked.tools if _names(asked.prompt, name))
    if asked.forced in asked.tools:
        return (str(asked.forced),)
    if named:
        return named
    if asked.forced == "any" or _ASKS_FOR_TOOL.search(asked.prompt):
        return (next(iter(asked.tools)),)
    return ()


def _gist(text: str) -> str:
    words = text.split()
    return " ".join(words[:24]) + (" ..." if len(words) > 24 else "")


def _arguments(schema: _Node) -> dict[str, object]:
    """Arguments by *schema*: an object, also by a schema of something else."""
    example = _example(schema)
    return cast("dict[str, object]", example) if isinstance(example, dict) else {}


def _example(schema: _Node) -> _Node:
    """A value the schema describes, the same each time."""
    if schema.get("enum"):
        return schema["enum"][0]
    kind = schema.get("type", "object" if "properties" in schema else None)
    match kind[0] if _is_list(kind) else kind:
        case "object":
            wanted = schema.get("required", ())
            return {
                name: _example(inner)
                for name, inner in schema.get("properties", {}).items()
                if name in wanted
            }
        case "array":
            return [_example(schema["items"])] if schema.get("minItems") else []
        case "integer" | "number":
            return schema.get("minimum", 1)
        case "boolean":
            return True
        case "null":
            return None
        case _:
            return "simulated né"


Composer: TypeAlias = Callable[[Asked], Turn]
"""What decides the answer to a request, in any dialect."""


# --- Reading a request --------------------------------------------------------------------------------


def _text_in(content: _Node) -> str:
    """All the words in a message's content, whatever its shape."""
    if isinstance(content, str):
        return content
    if _is_object(content) and "type" not in content:
        return json.dumps(content, ensure_ascii=False)
    if _is_object(content):
        content = [content.get(name) for name in ("text", "content", "input", "thinking", "function")]
    return " ".join(filter(None, map(_text_in, content))) if _is_list(content) else ""


def _is_object(node: _Node) -> bool:
    return isinstance(node, dict)


def _is_list(node: _Node) -> bool:
    return isinstance(node, list)


def count_tokens(body: _Node) -> int:
    """The request's tokens, as the answer's usage will count them."""
    return _head_tokens(body) + sum(_message_tokens(message) for message in body["messages"])


def _head_tokens(body: _Node) -> int:
    tools = body.get("tools")
    return len(tokens_of(_text_in(body.get("system")))) + (
        len(tokens_of(json.dumps(tools, ensure_ascii=False))) if tools else 0
    )


def _message_tokens(message: _Node) -> int:
    calls = message.get("tool_calls") or ()
    return 3 + len(tokens_of(" ".join((_text_in(message.get("content")), _text_in(calls)))))


def _words_of_user(content: _Node) -> str:
    if isinstance(content, str):
        return content
    return " ".join(block.get("text") or "" for block in content or () if block.get("type") == "text")


def read_anthropic(body: _Node) -> Asked:
    messages: Sequence[_Body] = [message for message in body["messages"] if message["role"] != "system"]
    last: _Node = messages[-1] if messages else {"content": ""}
    blocks: list[_Node] = last["content"] if _is_list(last["content"]) else []
    results = [block for block in blocks if block.get("type") == "tool_result"]
    choice = body.get("tool_choice") or _NONE
    forced: Mapping[str, str | None] = {"any": "any", "tool": choice.get("name"), "none": "none"}
    output = (body.get("output_config") or _NONE).get("format") or _NONE
    return Asked(
        model=body["model"],
        prompt=_words_of_user(last["content"]),
        result=_text_in(results[-1].get("content")) if results else None,
        tools={
            tool["name"]: tool["input_schema"] for tool in body.get("tools") or () if "input_schema" in tool
        },
        forced=forced.get(choice.get("type", "")),
        schema=output.get("schema"),
        max_tokens=body["max_tokens"],
        thinks=(body.get("thinking") or _NONE).get("type") in ("enabled", "adaptive"),
        prefix_tokens=count_tokens({**body, "messages": body["messages"][:-1]}),
        total_tokens=count_tokens(body),
        caches="cache_control" in json.dumps(body),
        turns=sum(message["role"] == "assistant" for message in messages),
        digest=digest_of(body),
    )


def read_openai(body: _Node) -> Asked:
    messages: Sequence[_Body] = body["messages"]
    users = [message for message in messages if message["role"] == "user"]
    last = messages[-1]
    choice = body.get("tool_choice")
    named = choice.get("function", _NONE).get("name") if _is_object(choice) else None
    wanted = body.get("response_format") or _NONE
    schema = {
        "json_object": {"type": "object"},
        "json_schema": (wanted.get("json_schema") or _NONE).get("schema"),
    }
    functions = [tool["function"] for tool in body.get("tools") or () if tool.get("type") == "function"]
    prefix = count_tokens({**body, "messages": messages[:-1]})
    return Asked(
        model=body["model"],
        prompt=_words_of_user(users[-1]["content"]) if users else "",
        result=_text_in(last.get("content")) if last["role"] == "tool" else None,
        tools={function["name"]: function.get("parameters") or _NONE for function in functions},
        forced=named or {"required": "any", "none": "none"}.get(choice if isinstance(choice, str) else ""),
        schema=schema.get(wanted.get("type", "")),
        max_tokens=body.get("max_completion_tokens") or body.get("max_tokens"),
        thinks=body.get("reasoning_effort") not in (None, "none"),
        prefix_tokens=prefix,
        total_tokens=count_tokens(body),
        # OpenAI caches by itself, prefixes of 1024 tokens or more ("Prompt caching", read 2026-11).
        caches=prefix >= 1024,
        turns=sum(message["role"] == "assistant" for message in messages),
        digest=digest_of(body),
    )


def digest_of(body: _Node) -> str:
    """Of everything but `stream`, so that a streamed answer has the ids of the whole one."""
    same = {name: value for name, value in body.items() if not name.startswith("stream")}
    return hashlib.sha256(json.dumps(same, sort_keys=True).encode()).hexdigest()


# --- Anthropic Messages -------------------------------------------------------------------------------


def anthropic_answer(
    body: _Node, *, context_window: int | None = None, compose: Composer = turn_of
) -> Answer:
    """The answer to ``POST /v1/messages``."""
    problem = _missing(body, ("max_tokens",))
    if problem is not None:
        return error_answer(_ANTHROPIC, 400, problem)
    asked = read_anthropic(body)
    if context_window is not None and asked.total_tokens > context_window:
        problem = f"prompt is too long: {asked.total_tokens} tokens > {context_window} maximum"
        return error_answer(_ANTHROPIC, 400, problem)
    turn = compose(asked)
    message = _anthropic_message(asked, turn)
    if not body.get("stream"):
        return json_answer(message, format=_ANTHROPIC)
    return stream_answer(_anthropic_events(message), _ANTHROPIC)


def _anthropic_message(asked: Asked, turn: Turn) -> _Body:
    content: list[_Body] = []
    if turn.thinking:
        signature = f"c2ltdWxhdG9y{asked.digest[:24]}"
        content.append({"type": "thinking", "thinking": turn.thinking, "signature": signature})
    if turn.text:
        content.append({"type": "text", "text": turn.text})
    content += [
        {"type": "tool_use", "id": f"toolu_{call_id}", "name": name, "input": json.loads(arguments)}
        for call_id, name, arguments in turn.calls
    ]
    reason = "tool_use" if turn.calls else "max_tokens" if turn.is_truncated else "end_turn"
    return {
        "id": f"msg_{asked.digest[:20]}",
        "type": "message",
        "role": "assistant",
        "model": asked.model,
        "content": content,
        "stop_reason": reason,
        "stop_sequence": None,
        "usage": {
            "input_tokens": turn.input_tokens - turn.cached_tokens - turn.written_tokens,
            "cache_creation_input_tokens": turn.written_tokens,
            "cache_read_input_tokens": turn.cached_tokens,
            "output_tokens": turn.output_tokens,
            "service_tier": "standard",
        },
    }


def _anthropic_events(message: _Body) -> Iterator[tuple[str, _Body]]:
    usage = {**message["usage"], "output_tokens": 1}
    begun: _Body = {**message, "content": (), "stop_reason": None, "usage": usage}
    yield "message_start", {"type": "message_start", "message": begun}
    for index, block in enumerate(message["content"]):
        match block["type"]:
            case "text":
                empty: _Body = {"type": "text", "text": ""}
                deltas: list[_Body] = [
                    {"type": "text_delta", "text": piece} for piece in tokens_of(block["text"])
                ]
            case "thinking":
                empty = {"type": "thinking", "thinking": "", "signature": ""}
                deltas = [
                    {"type": "thinking_delta", "thinking": piece} for piece in tokens_of(block["thinking"])
                ]
                deltas.append({"type": "signature_delta", "signature": block["signature"]})
            case _:
                empty = {**block, "input": _NONE}
                text = json.dumps(block["input"], ensure_ascii=False)
                deltas = [
                    {"type": "input_json_delta", "partial_json": piece} for piece in ("", *tokens_of(text))
                ]
        yield "content_block_start", {"type": "content_block_start", "index": index, "content_block": empty}
        if index == 0:
            yield "ping", {"type": "ping"}
        for delta in deltas:
            yield "content_block_delta", {"type": "content_block_delta", "index": index, "delta": delta}
        yield "content_block_stop", {"type": "content_block_stop", "index": index}
    end = {"stop_reason": message["stop_reason"], "stop_sequence": None}
    counts = {name: message["usage"][name] for name in message["usage"] if name.endswith("tokens")}
    yield "message_delta", {"type": "message_delta", "delta": end, "usage": counts}
    yield "message_stop", {"type": "message_stop"}


# --- OpenAI Chat --------------------------------------------------------------------------------------


def openai_answer(body: _Node, *, context_window: int | None = None, compose: Composer = turn_of) -> Answer:
    """The answer to ``POST /v1/chat/completions``."""
    problem = _missing(body, ())
    if problem is not None:
        return error_answer(_OPENAI, 400, problem)
    asked = read_openai(body)
    if context_window is not None and asked.total_tokens > context_window:
        problem = (
            f"This model's maximum context length is {context_window} tokens. "
            f"However, your messages resulted in {asked.total_tokens} tokens."
        )
        return error_answer(_OPENAI, 400, problem, error_code="context_length_exceeded")
    completion = _openai_completion(asked, compose(asked))
    if not body.get("stream"):
        return json_answer(completion, format=_OPENAI)
    with_usage = bool((body.get("stream_options") or _NONE).get("include_usage"))
    return stream_answer(_openai_chunks(completion, with_usage=with_usage), _OPENAI)


def _openai_completion(asked: Asked, turn: Turn) -> _Body:
    message: _Body = {"role": "assistant", "content": turn.text or None, "refusal": None}
    if turn.calls:
        message["tool_calls"] = [
            {"id": f"call_{call_id}", "type": "function", "function": {"name": name, "arguments": arguments}}
            for call_id, name, arguments in turn.calls
        ]
    reason = "tool_calls" if turn.calls else "length" if turn.is_truncated else "stop"
    return {
        "id": f"chatcmpl-{asked.digest[:20]}",
        "object": "chat.completion",
        "created": CREATED,
        "model": asked.model,
        "choices": [{"index": 0, "message": message, "finish_reason": reason, "logprobs": None}],
        "usage": {
            "prompt_tokens": turn.input_tokens,
            "completion_tokens": turn.output_tokens,
            "total_tokens": turn.input_tokens + turn.output_tokens,
            "prompt_tokens_details": {"cached_tokens": turn.cached_tokens},
            "completion_tokens_details": {"reasoning_tokens": len(tokens_of(turn.thinking))},
        },
        "system_fingerprint": "fp_simulator",
    }


def _openai_chunks(completion: _Body, *, with_usage: bool) -> Iterator[tuple[str, _Body | None]]:
    choice = completion["choices"][0]
    message: _Body = choice["message"]
    shared: _Body = {
        **{name: completion[name] for name in ("id", "created", "model", "system_fingerprint")},
        "object": "chat.completion.chunk",
        **({"usage": None} if with_usage else {}),
    }

    def chunk(delta: _Body, reason: str | None = None) -> tuple[str, _Body]:
        return "", {**shared, "choices": [{"index": 0, "delta": delta, "finish_reason": reason}]}

    calls: Sequence[_Body] = message.get("tool_calls") or ()
    yield chunk({"role": "assistant", "content": None if calls else "", "refusal": None})
    for piece in tokens_of(message["content"] or ""):
        yield chunk({"content": piece})
    for index, call in enumerate(calls):
        function = call["function"]
        named: _Body = {"name": function["name"], "arguments": ""}
        begun: _Body = {**call, "index": index, "function": named}
        yield chunk({"tool_calls": [begun]})
        for piece in tokens_of(function["arguments"]):
            yield chunk({"tool_calls": [{"index": index, "function": {"arguments": piece}}]})
    yield chunk({}, choice["finish_reason"])
    if with_usage:
        yield "", {**shared, "choices": [], "usage": completion["usage"]}
    yield "", None


# --- Both ---------------------------------------------------------------------------------------------


def _missing(body: _Node, also: tuple[str, ...]) -> str | None:
    """What is wrong with a body, in the words of a validator."""
    for name in ("model", "messages", *also):
        if name not in body:
            return f"{name}: Field required"
    if not isinstance(body["model"], str):
        return "model: Input should be a valid string"
    if not isinstance(body["messages"], list) or not body["messages"]:
        return "messages: at least one message is required"
    messages: list[_Node] = body["messages"]
    for at, message in enumerate(messages):
        if not _is_object(message) or not isinstance(message.get("role"), str):
            return f"messages.{at}.role: Field required"
    if not all(type(body[name]) is int and body[name] > 0 for name in also):
        return f"{also[0]}: Input should be greater than 0"
    return None


def stream_answer(events: Iterator[tuple[str, _Body | None]], format: WireFormat) -> Answer:
    sends: list[Send] = []
    for name, payload in events:
        data = "[DONE]" if payload is None else json.dumps(payload, ensure_ascii=False, separators=(",", ":"))
        head = f"event: {name}\n" if name else ""
        sends.append(Send(f"{head}data: {data}\n\n".encode()))
    headers = {"content-type": "text/event-stream; charset=utf-8", "cache-control": "no-cache"}
    return Answer(200, {**headers, **dict([SIMULATOR_HEADER])}, tuple(sends), format, is_stream=True)
