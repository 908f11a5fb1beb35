"""Valid wire bodies, as clients and providers write them.  Needs the extra ``testing``.

Shapes follow the request and response types of the official SDKs, anthropic
2.12 and openai 3.54 (read 2026-11), with unknown fields sprinkled over the
nodes that may hold them, as next year's API will.
"""

import copy
from collections.abc import Callable, Mapping
from typing import Any, Final

from hypothesis import strategies as st
from hypothesis.strategies import DrawFn, SearchStrategy

from lynkr.model import Json, WireFormat
from lynkr.testing.bedrock_values import bedrock_request_bodies, bedrock_response_bodies
from lynkr.testing.bodies_responses import responses_answers, responses_requests
from lynkr.testing.gemini_values import gemini_request_bodies, gemini_response_bodies
from lynkr.testing.ollama_values import ollama_request_bodies, ollama_response_bodies
from lynkr.testing.primitives import (
    argument_texts,
    base64_texts,
    extra_fields,
    identifiers,
    json_objects,
    json_schemas,
    texts,
    tool_names,
)

_Body = dict[str, Any]
_CACHE: Final = ({"type": "ephemeral"}, {"type": "ephemeral", "ttl": "1h"})


def request_bodies(format: WireFormat) -> SearchStrategy[dict[str, Json]]:
    """Request bodies a client of *format* may send."""
    return _pick(format, _REQUESTS)


def response_bodies(format: WireFormat) -> SearchStrategy[dict[str, Json]]:
    """Whole (not streamed) answers a provider of *format* may give."""
    return _pick(format, _RESPONSES)


def _pick(
    format: WireFormat, table: Mapping[WireFormat, Callable[[], SearchStrategy[_Body]]]
) -> SearchStrategy[dict[str, Json]]:
    if format not in table:
        raise ValueError(f"no bodies are written down for {format.value}")
    # A copy, because tests damage what they draw, and constants among the values are drawn again.
    return table[format]().map(copy.deepcopy)


def _sprinkled(draw: DrawFn, node: _Body) -> _Body:
    """*node*, now and then with fields nobody knows."""
    return {**node, **draw(extra_fields())} if draw(st.integers(0, 5)) == 0 else node


def _maybe(draw: DrawFn, body: _Body, name: str, values: SearchStrategy[Any]) -> None:
    if draw(st.booleans()):
        body[name] = draw(values)


def _few(draw: DrawFn, make: Callable[[], _Body], at_least: int = 1) -> list[_Body]:
    return [make() for _ in range(draw(st.integers(at_least, 3)))]


# --- Anthropic Messages -------------------------------------------------------------------------------


def _cached(draw: DrawFn, block: _Body) -> _Body:
    if draw(st.integers(0, 3)) == 0:
        block["cache_control"] = draw(st.sampled_from(_CACHE))
    return _sprinkled(draw, block)


def _anthropic_text(draw: DrawFn) -> _Body:
    return _cached(draw, {"type": "text", "text": draw(texts())})


def _anthropic_image(draw: DrawFn) -> _Body:
    source: SearchStrategy[_Body] = st.fixed_dictionaries(
        {
            "type": st.just("base64"),
            "media_type": st.sampled_from(("image/png", "image/jpeg")),
            "data": base64_texts(),
        }
    ) | st.just({"type": "url", "url": "https://example.com/né.png"})
    return _cached(
        draw, {"type": "image", "source": draw(source | st.just({"type": "file", "file_id": "file_1"}))}
    )


def _anthropic_document(draw: DrawFn) -> _Body:
    source = {"type": "text", "media_type": "text/plain", "data": draw(texts())}
    return _cached(draw, {"type": "document", "source": source, "title": "t", "citations": {"enabled": True}})


def _anthropic_user_block(draw: DrawFn) -> _Body:
    return draw(st.sampled_from((_anthropic_text, _anthropic_text, _anthropic_image, _anthropic_document)))(
        draw
    )


def _anthropic_thinking(draw: DrawFn) -> _Body:
    if draw(st.integers(0, 3)) == 0:
        return {"type": "redacted_thinking", "data": draw(base64_texts())}
    return _sprinkled(
        draw, {"type": "thinking", "thinking": draw(texts()), "signature": draw(base64_texts())}
    )


def _anthropic_tool_use(draw: DrawFn, call_id: str) -> _Body:
    return _cached(
        draw, {"type": "tool_use", "id": call_id, "name": draw(tool_names()), "input": draw(json_objects())}
    )


def _anthropic_result_block(draw: DrawFn) -> _Body:
    if draw(st.integers(0, 3)) == 0:
        return _cached(draw, {"type": "tool_reference", "tool_name": draw(tool_names())})
    return _anthropic_user_block(draw)


def _anthropic_tool_result(draw: DrawFn, call_id: str) -> _Body:
    block: _Body = {"type": "tool_result", "tool_use_id": call_id}
    kind = draw(st.integers(0, 3))
    if kind == 1:
        block["content"] = draw(texts())
    elif kind > 1:
        block["content"] = _few(draw, lambda: _anthropic_result_block(draw))
    _maybe(draw, block, "is_error", st.booleans())
    return _cached(draw, block)


def _anthropic_messages(draw: DrawFn) -> list[_Body]:
    messages: list[_Body] = []
    open_calls: list[str] = []
    for turn in range(draw(st.integers(1, 3))):
        blocks = [_anthropic_tool_result(draw, call_id) for call_id in open_calls]
        plain = not blocks and draw(st.booleans())
        content: Any = (
            draw(texts()) if plain else blocks + _few(draw, lambda: _anthropic_user_block(draw), not blocks)
        )
        messages.append(_sprinkled(draw, {"role": "user", "content": content}))
        if draw(st.integers(0, 7)) == 0:
            # A system message in mid-conversation, as Claude Code sends it.
            messages.append({"role": "system", "content": [_anthropic_text(draw)]})
        if draw(st.integers(0, 3)) == 0:
            break
        open_calls = [f"toolu_{turn}_{number}" for number in range(draw(st.integers(0, 2)))]
        answer = [_anthropic_thinking(draw)] if draw(st.booleans()) else []
        answer += _few(draw, lambda: _anthropic_text(draw), not open_calls)
        answer += [_anthropic_tool_use(draw, call_id) for call_id in open_calls]
        messages.append(_sprinkled(draw, {"role": "assistant", "content": answer}))
    return messages


def _anthropic_tool(draw: DrawFn, name: str) -> _Body:
    if draw(st.integers(0, 4)) == 0:
        return _cached(draw, {"type": "web_search_20250305", "name": name, "max_uses": 3})
    tool: _Body = {"name": name, "input_schema": draw(json_schemas())}
    _maybe(draw, tool, "description", texts())
    _maybe(draw, tool, "type", st.just("custom"))
    return _cached(draw, tool)


def _anthropic_tool_choice(draw: DrawFn, tools: list[_Body]) -> _Body:
    choice: _Body = {"type": draw(st.sampled_from(("auto", "any", "none", "tool")))}
    if choice["type"] == "tool":
        choice["name"] = tools[0]["name"]
    if choice["type"] != "none":
        _maybe(draw, choice, "disable_parallel_tool_use", st.booleans())
    return _sprinkled(draw, choice)


@st.composite
def _anthropic_requests(draw: DrawFn) -> _Body:
    body: _Body = {
        "model": draw(st.sampled_from(("claude-opus-4-5", "lynkr-auto", "né:model"))),
        "max_tokens": draw(st.integers(1, 64_000)),
        "messages": _anthropic_messages(draw),
    }
    if draw(st.booleans()):
        body["system"] = draw(texts()) if draw(st.booleans()) else _few(draw, lambda: _anthropic_text(draw))
    names = draw(st.lists(tool_names(), max_size=3, unique=True))
    if names:
        body["tools"] = [_anthropic_tool(draw, name) for name in names]
        if draw(st.booleans()):
            body["tool_choice"] = _anthropic_tool_choice(draw, body["tools"])
    thinking = (
        {"type": "enabled", "budget_tokens": 2048},
        {"type": "disabled"},
        {"type": "adaptive"},
        {"type": "enabled", "budget_tokens": 1024, "display": "omitted"},
    )
    _maybe(draw, body, "thinking", st.sampled_from(thinking))
    schema = {
        "type": "json_schema",
        "schema": {"type": "object", "additionalProperties": False},
    }
    output: tuple[_Body, ...] = (
        {"effort": "high"},
        {"format": schema},
        {"effort": "max", "format": schema},
        {"x_note": 1},
    )
    _maybe(draw, body, "output_config", st.sampled_from(output))
    _maybe(draw, body, "temperature", st.sampled_from((0, 0.1, 0.7, 1.0)))
    _maybe(draw, body, "top_p", st.sampled_from((0.9, 1)))
    _maybe(draw, body, "top_k", st.integers(0, 500))
    _maybe(draw, body, "stop_sequences", st.lists(texts(), max_size=3))
    _maybe(draw, body, "stream", st.booleans())
    _maybe(draw, body, "metadata", st.sampled_from(({"user_id": "u_1"}, {}, {"user_id": "u", "x_note": [1]})))
    _maybe(draw, body, "service_tier", st.just("auto"))
    _maybe(draw, body, "context_management", st.just({"edits": [{"type": "clear_tool_uses_20250919"}]}))
    return _sprinkled(draw, body)


@st.composite
def _anthropic_responses(draw: DrawFn) -> _Body:
    calls = [f"toolu_{number}" for number in range(draw(st.integers(0, 2)))]
    content = [_anthropic_thinking(draw)] if draw(st.booleans()) else []
    content += _few(draw, lambda: _anthropic_text(draw), 0)
    content += [_anthropic_tool_use(draw, call_id) for call_id in calls]
    usage: _Body = {"input_tokens": draw(st.integers(0, 10**6)), "output_tokens": draw(st.integers(0, 10**5))}
    _maybe(draw, usage, "cache_read_input_tokens", st.integers(0, 10**6))
    if draw(st.booleans()):
        short, long = draw(st.integers(0, 10**5)), draw(st.integers(0, 10**5))
        usage["cache_creation_input_tokens"] = short + long
        usage["cache_creation"] = {"ephemeral_5m_input_tokens": short, "ephemeral_1h_input_tokens": long}
    _maybe(draw, usage, "service_tier", st.just("standard"))
    reasons = (
        "end_turn",
        "max_tokens",
        "stop_sequence",
        "pause_turn",
        "refusal",
        "model_context_window_exceeded",
    )
    reason = "tool_use" if calls else draw(st.sampled_from(reasons))
    return _sprinkled(
        draw,
        {
            "id": draw(identifiers("msg_")),
            "type": "message",
            "role": "assistant",
            "model": "claude-opus-4-5",
            "content": content,
            "stop_reason": reason,
            "stop_sequence": draw(texts()) if reason == "stop_sequence" else None,
            "usage": usage,
        },
    )


# --- OpenAI Chat --------------------------------------------------------------------------------------


def _openai_text(draw: DrawFn) -> _Body:
    return _sprinkled(draw, {"type": "text", "text": draw(texts())})


def _openai_user_part(draw: DrawFn) -> _Body:
    kind = draw(st.integers(0, 5))
    if kind < 3:
        return _openai_text(draw)
    if kind == 3:
        url = draw(
            base64_texts().map(lambda data: f"data:image/png;base64,{data}")
            | st.just("https://example.com/a.png")
        )
        image: _Body = {"url": url}
        _maybe(draw, image, "detail", st.sampled_from(("auto", "low", "high")))
        return _sprinkled(draw, {"type": "image_url", "image_url": image})
    if kind == 4:
        return {"type": "input_audio", "input_audio": {"data": draw(base64_texts()), "format": "wav"}}
    return {"type": "file", "file": {"file_id": "file-1"}}


def _openai_content(draw: DrawFn, part: Callable[[DrawFn], _Body]) -> str | list[_Body]:
    return draw(texts()) if draw(st.booleans()) else _few(draw, lambda: part(draw))


def _openai_call(draw: DrawFn, call_id: str) -> _Body:
    function = {"name": draw(tool_names()), "arguments": draw(argument_texts(odd=True))}
    return _sprinkled(draw, {"id": call_id, "type": "function", "function": function})


def _openai_messages(draw: DrawFn) -> list[_Body]:
    messages: list[_Body] = []
    for _ in range(draw(st.integers(0, 2))):
        role = draw(st.sampled_from(("system", "developer")))
        messages.append(_sprinkled(draw, {"role": role, "content": _openai_content(draw, _openai_text)}))
    for turn in range(draw(st.integers(1, 3))):
        user: _Body = {"role": "user", "content": _openai_content(draw, _openai_user_part)}
        _maybe(draw, user, "name", st.just("alice"))
        messages.append(_sprinkled(draw, user))
        if draw(st.integers(0, 3)) == 0:
            break
        calls = [f"call_{turn}_{number}" for number in range(draw(st.integers(0, 2)))]
        messages.append(_openai_assistant(draw, calls))
        for call_id in calls:
            content = _openai_content(draw, _openai_text)
            messages.append(_sprinkled(draw, {"role": "tool", "tool_call_id": call_id, "content": content}))
    return messages


def _openai_assistant(draw: DrawFn, calls: list[str]) -> _Body:
    answer: _Body = {"role": "assistant"}
    if not calls:
        answer["content"] = _openai_content(draw, _openai_text)
    else:
        _maybe(draw, answer, "content", st.none() | texts())
        answer["tool_calls"] = [_openai_call(draw, call_id) for call_id in calls]
    _maybe(draw, answer, "refusal", st.none() | texts())
    _maybe(draw, answer, "reasoning_content", texts())
    return _sprinkled(draw, answer)


def _openai_tool(draw: DrawFn, name: str) -> _Body:
    if draw(st.integers(0, 5)) == 0:
        return {"type": "custom", "custom": {"name": name, "format": {"type": "text"}}}
    function: _Body = {"name": name}
    _maybe(draw, function, "description", texts())
    _maybe(draw, function, "parameters", json_schemas())
    _maybe(draw, function, "strict", st.booleans() | st.none())
    return _sprinkled(draw, {"type": "function", "function": _sprinkled(draw, function)})


def _openai_tool_choice(draw: DrawFn, names: list[str]) -> str | _Body:
    allowed = {"mode": "auto", "tools": [{"type": "function", "function": {"name": names[0]}}]}
    choices: tuple[str | _Body, ...] = (
        "auto",
        "none",
        "required",
        {"type": "function", "function": {"name": names[0]}},
        {"type": "allowed_tools", "allowed_tools": allowed},
        {"type": "custom", "custom": {"name": names[0]}},
    )
    return draw(st.sampled_from(choices))


_OPENAI_OPTIONS: Final[Mapping[str, SearchStrategy[Any]]] = {
    "temperature": st.sampled_from((None, 0, 0.1, 1.0, 2)),
    "top_p": st.sampled_from((0.9, 1)),
    "seed": st.integers(-(2**63), 2**63 - 1),
    "stop": texts() | st.lists(texts(), min_size=1, max_size=4) | st.none(),
    "stream": st.booleans(),
    "user": texts(),
    "reasoning_effort": st.sampled_from(("none", "minimal", "low", "medium", "high", "xhigh", None)),
    "n": st.just(1),
    "logit_bias": st.just({"50256": -100}),
    "logprobs": st.booleans(),
    "metadata": st.just({"k": "v"}),
    "store": st.booleans(),
    "verbosity": st.just("low"),
    "service_tier": st.just("flex"),
    "prompt_cache_key": texts(),
    "response_format": st.sampled_from(
        (
            {"type": "text"},
            {"type": "json_object"},
            {
                "type": "json_schema",
                "json_schema": {"name": "n", "schema": {"type": "object"}, "strict": True},
            },
            {"type": "json_schema", "json_schema": {"name": "n", "description": "d", "strict": None}},
        )
    ),
}


@st.composite
def _openai_requests(draw: DrawFn) -> _Body:
    body: _Body = {
        "model": draw(st.sampled_from(("gpt-5", "lynkr-auto", "né:model"))),
        "messages": _openai_messages(draw),
    }
    names = draw(st.lists(tool_names(), max_size=3, unique=True))
    if names:
        body["tools"] = [_openai_tool(draw, name) for name in names]
        if draw(st.booleans()):
            body["tool_choice"] = _openai_tool_choice(draw, names)
        _maybe(draw, body, "parallel_tool_calls", st.booleans())
    for name in draw(st.lists(st.sampled_from(sorted(_OPENAI_OPTIONS)), max_size=5, unique=True)):
        body[name] = draw(_OPENAI_OPTIONS[name])
    _maybe(draw, body, draw(st.sampled_from(("max_tokens", "max_completion_tokens"))), st.integers(1, 64_000))
    if body.get("stream"):
        _maybe(
            draw, body, "stream_options", st.sampled_from(({"include_usage": True}, {"include_usage": False}))
        )
    return _sprinkled(draw, body)


@st.composite
def _openai_responses(draw: DrawFn) -> _Body:
    calls = [f"call_{number}" for number in range(draw(st.integers(0, 2)))]
    message: _Body = {"role": "assistant", "content": draw(texts() if not calls else st.none() | texts())}
    _maybe(draw, message, "refusal", st.none())
    _maybe(draw, message, "reasoning_content", texts())
    _maybe(draw, message, "annotations", st.just([]))
    if calls:
        message["tool_calls"] = [_openai_call(draw, call_id) for call_id in calls]
    reason = "tool_calls" if calls else draw(st.sampled_from(("stop", "length", "content_filter")))
    usage: _Body = {
        "prompt_tokens": draw(st.integers(0, 10**6)),
        "completion_tokens": draw(st.integers(0, 10**5)),
    }
    usage["total_tokens"] = usage["prompt_tokens"] + usage["completion_tokens"]
    if draw(st.booleans()):
        usage["prompt_tokens_details"] = {"cached_tokens": draw(st.integers(0, usage["prompt_tokens"]))}
        details: _Body = {"reasoning_tokens": draw(st.integers(0, usage["completion_tokens"]))}
        _maybe(draw, details, "audio_tokens", st.just(0))
        usage["completion_tokens_details"] = details
    choice = _sprinkled(draw, {"index": 0, "message": message, "finish_reason": reason, "logprobs": None})
    return _sprinkled(
        draw,
        {
            "id": draw(identifiers("chatcmpl-")),
            "object": "chat.completion",
            "created": draw(st.integers(0, 2**31)),
            "model": "gpt-5",
            "choices": [choice],
            "usage": usage,
            "system_fingerprint": draw(st.none() | st.just("fp_1")),
        },
    )


_REQUESTS: Final[Mapping[WireFormat, Callable[[], SearchStrategy[_Body]]]] = {
    WireFormat.ANTHROPIC_MESSAGES: _anthropic_requests,
    WireFormat.OPENAI_CHAT: _openai_requests,
    WireFormat.OPENAI_RESPONSES: responses_requests,
    WireFormat.OLLAMA_CHAT: ollama_request_bodies,
    WireFormat.GEMINI: gemini_request_bodies,
    WireFormat.BEDROCK_CONVERSE: bedrock_request_bodies,
}
_RESPONSES: Final[Mapping[WireFormat, Callable[[], SearchStrategy[_Body]]]] = {
    WireFormat.ANTHROPIC_MESSAGES: _anthropic_responses,
    WireFormat.OPENAI_CHAT: _openai_responses,
    WireFormat.OPENAI_RESPONSES: responses_answers,
    WireFormat.OLLAMA_CHAT: ollama_response_bodies,
    WireFormat.GEMINI: gemini_response_bodies,
    WireFormat.BEDROCK_CONVERSE: bedrock_response_bodies,
}
