"""What the simulator says in OpenAI Responses; see `lynkr.testing.answers`.

Written by hand like the other dialects, without lynkr's codec, which is tested
against it.  Shapes follow openai 3.54 (read 2026-11).
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, TypeAlias, cast

from lynkr.model import WireFormat
from lynkr.testing import answers
from lynkr.testing.answers import CREATED, Asked, Composer, Turn, tokens_of, turn_of
from lynkr.testing.faults import Answer, error_answer, json_answer

_Body: TypeAlias = dict[str, Any]
_Node: TypeAlias = Any  # JSON, as a client sent it
_RESPONSES: Final = WireFormat.OPENAI_RESPONSES
_NONE: Final[Mapping[str, Any]] = {}
_FREE_TEXT: Final = {"type": "object", "properties": {"input": {"type": "string"}}, "required": ["input"]}
_OUTPUTS: Final = ("function_call_output", "custom_tool_call_output")


# --- Reading ------------------------------------------------------------------------------------------


def _items(body: _Node) -> list[_Body]:
    """The input as items; a bare string is a user's message."""
    said = body["input"]
    items = [{"role": "user", "content": said}] if isinstance(said, str) else list(said)
    if body.get("instructions"):
        items.insert(0, {"role": "system", "content": body["instructions"]})
    return items


def _words(item: _Body) -> str:
    """All the words of an item."""
    texts: list[str] = []
    for name in ("content", "output", "summary"):
        value: _Node = item.get(name)
        if isinstance(value, str):
            texts.append(value)
        parts: list[_Body] = [] if isinstance(value, str) else list(value or ())
        texts += [part.get("text") or part.get("refusal") or "" for part in parts]
    return " ".join((*texts, item.get("arguments") or "", item.get("input") or ""))


def _count(items: Sequence[_Body], tools: _Node) -> int:
    head = len(tokens_of(json.dumps(tools, ensure_ascii=False))) if tools else 0
    return head + sum(3 + len(tokens_of(_words(item))) for item in items)


def _schemas(tools: Sequence[_Body]) -> dict[str, Mapping[str, Any]]:
    """What each tool a client runs itself takes; those of a namespace under ``namespace.name``."""
    found: dict[str, Mapping[str, Any]] = {}
    for tool in tools:
        match tool.get("type"):
            case "function":
                found[tool["name"]] = tool.get("parameters") or _NONE
            case "custom":
                found[tool["name"]] = _FREE_TEXT
            case "namespace":
                inner = _schemas(tool["tools"])
                found |= {f"{tool['name']}.{name}": schema for name, schema in inner.items()}
            case _:
                continue
    return found


def read_responses(body: _Node) -> Asked:
    items, tools = _items(body), body.get("tools") or ()
    users = [item for item in items if item.get("role") == "user"]
    last = items[-1]
    choice: _Node = body.get("tool_choice")
    named: str | None = None if isinstance(choice, str | None) else choice.get("name")
    wanted = (body.get("text") or _NONE).get("format") or _NONE
    schema = {"json_object": {"type": "object"}, "json_schema": wanted.get("schema")}
    prefix = _count(items[:-1], tools)
    return Asked(
        model=body["model"],
        prompt=_words(users[-1]).strip() if users else "",
        result=_words(last).strip() if last.get("type") in _OUTPUTS else None,
        tools=_schemas(tools),
        forced=named or {"required": "any", "none": "none"}.get(choice if isinstance(choice, str) else ""),
        schema=schema.get(wanted.get("type", "")),
        max_tokens=body.get("max_output_tokens"),
        thinks=(body.get("reasoning") or _NONE).get("effort") not in (None, "none"),
        prefix_tokens=prefix,
        total_tokens=_count(items, tools),
        caches=prefix >= 1024,
        turns=sum(item.get("role") == "assistant" for item in items),
        digest=answers.digest_of(body),
    )


# --- Writing ------------------------------------------------------------------------------------------


def responses_answer(
    body: _Node, *, context_window: int | None = None, compose: Composer = turn_of
) -> Answer:
    """The answer to ``POST /v1/responses``."""
    problem = _missing(body)
    if problem is not None:
        return error_answer(_RESPONSES, 400, problem)
    asked = read_responses(body)
    if context_window is not None and asked.total_tokens > context_window:
        problem = "Your input exceeds the context window of this model."
        return error_answer(_RESPONSES, 400, problem, error_code="context_length_exceeded")
    response = _response(body, asked, compose(asked))
    if not body.get("stream"):
        return json_answer(response, format=_RESPONSES)
    return answers.stream_answer(_numbered(response), _RESPONSES)


def _missing(body: _Node) -> str | None:
    for name in ("model", "input"):
        if name not in body:
            return f"Missing required parameter: '{name}'."
    if not isinstance(body["model"], str):
        return "Invalid type for 'model': expected a string."
    said: _Node = body["input"]
    if not isinstance(said, str | list) or not said:
        return "Invalid type for 'input': expected a string or a list of items."
    items = () if isinstance(said, str) else cast("Sequence[_Node]", said)
    if not all(isinstance(item, dict) for item in items):
        return "Invalid type for 'input[0]': expected an object."
    return None


def _response(body: _Node, asked: Asked, turn: Turn) -> _Body:
    short = asked.digest[:12]
    status = "incomplete" if turn.is_truncated else "completed"
    output: list[_Body] = []
    if turn.thinking:
        summary = [{"type": "summary_text", "text": turn.thinking}]
        sealed = {"encrypted_content": f"Z0FBQUFB{asked.digest[:24]}"}
        output.append({"type": "reasoning", "id": f"rs_{short}", "summary": summary, **sealed})
    if turn.text:
        part: _Body = {"type": "output_text", "text": turn.text, "annotations": [], "logprobs": []}
        message: _Body = {"type": "message", "id": f"msg_{short}", "role": "assistant", "content": [part]}
        output.append({**message, "status": status})
    custom = {tool["name"] for tool in body.get("tools") or () if tool.get("type") == "custom"}
    for number, (call_id, name, arguments) in enumerate(turn.calls):
        call: _Body = {"id": f"fc_{short}{number}", "call_id": f"call_{call_id}", "status": "completed"}
        namespace, dot, inner = name.partition(".")
        named = {"name": inner, "namespace": namespace} if dot else {"name": name}
        if name in custom:
            given = {"type": "custom_tool_call", "input": json.loads(arguments)["input"]}
        else:
            given = {"type": "function_call", "arguments": arguments}
        output.append({**call, **named, **given})
    thought = len(tokens_of(turn.thinking))
    repeated = {name: body.get(name) for name in ("instructions", "metadata", "temperature", "top_p")}
    return {
        "id": f"resp_{asked.digest[:24]}",
        "object": "response",
        "created_at": CREATED,
        "status": status,
        "error": None,
        "incomplete_details": {"reason": "max_output_tokens"} if turn.is_truncated else None,
        "model": asked.model,
        "output": output,
        "parallel_tool_calls": body.get("parallel_tool_calls", True),
        "tool_choice": body.get("tool_choice") or "auto",
        "tools": body.get("tools") or [],
        "service_tier": "default",
        **repeated,
        "usage": {
            "input_tokens": turn.input_tokens,
            "input_tokens_details": {"cached_tokens": turn.cached_tokens, "cache_write_tokens": 0},
            "output_tokens": turn.output_tokens,
            "output_tokens_details": {"reasoning_tokens": thought},
            "total_tokens": turn.input_tokens + turn.output_tokens,
        },
    }


def _numbered(response: _Body) -> Iterator[tuple[str, _Body]]:
    for number, (kind, fields) in enumerate(_events(response)):
        yield kind, {"type": kind, **fields, "sequence_number": number}


def _events(response: _Body) -> Iterator[tuple[str, _Body]]:
    begun: _Body = {**response, "status": "in_progress", "output": [], "usage": None}
    begun["incomplete_details"] = None
    yield "response.created", {"response": begun}
    yield "response.in_progress", {"response": begun}
    for index, item in enumerate(response["output"]):
        yield from _item_events(index, item)
    yield f"response.{response['status']}", {"response": response}


_EMPTY: Final[Mapping[str, Mapping[str, Any]]] = {
    "message": {"content": []},
    "reasoning": {"summary": []},
    "function_call": {"arguments": ""},
    "custom_tool_call": {"input": ""},
}


def _item_events(index: int, item: _Body) -> Iterator[tuple[str, _Body]]:
    at: _Body = {"output_index": index}
    place = {**at, "item_id": item["id"]}
    empty = {**item, **_EMPTY[item["type"]], "status": "in_progress"}
    if item["type"] == "reasoning":
        empty.pop("encrypted_content")
        empty.pop("status")
    yield "response.output_item.added", {**at, "item": empty}
    match item["type"]:
        case "message":
            part = item["content"][0]
            inside = {**place, "content_index": 0}
            yield "response.content_part.added", {**inside, "part": {**part, "text": ""}}
            for piece in tokens_of(part["text"]):
                yield "response.output_text.delta", {**inside, "delta": piece, "logprobs": []}
            yield "response.output_text.done", {**inside, "text": part["text"], "logprobs": []}
            yield "response.content_part.done", {**inside, "part": part}
        case "reasoning":
            part = item["summary"][0]
            inside = {**place, "summary_index": 0}
            yield "response.reasoning_summary_part.added", {**inside, "part": {**part, "text": ""}}
            for piece in tokens_of(part["text"]):
                yield "response.reasoning_summary_text.delta", {**inside, "delta": piece}
            yield "response.reasoning_summary_text.done", {**inside, "text": part["text"]}
            yield "response.reasoning_summary_part.done", {**inside, "part": part}
        case "function_call":
            for piece in tokens_of(item["arguments"]):
                yield "response.function_call_arguments.delta", {**place, "delta": piece}
            done = {"name": item["name"], "arguments": item["arguments"]}
            yield "response.function_call_arguments.done", {**place, **done}
        case _:
            for piece in tokens_of(item["input"]):
                yield "response.custom_tool_call_input.delta", {**place, "delta": piece}
            yield "response.custom_tool_call_input.done", {**place, "input": item["input"]}
    yield "response.output_item.done", {**at, "item": item}
