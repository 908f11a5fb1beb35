"""Valid bodies of OpenAI Responses; see `lynkr.testing.bodies`.  Needs the extra ``testing``.

Shapes follow types/responses/ of openai 3.54 and what Codex 0.169 sends (read 2026-11).
"""

from collections.abc import Callable, Mapping
from typing import Any, Final

from hypothesis import strategies as st
from hypothesis.strategies import DrawFn, SearchStrategy

from lynkr.testing.primitives import (
    argument_texts,
    base64_texts,
    extra_fields,
    identifiers,
    json_schemas,
    texts,
    tool_names,
)

_Body = dict[str, Any]


def _sprinkled(draw: DrawFn, node: _Body) -> _Body:
    """*node*, now and then with fields nobody knows."""
    return {**node, **draw(extra_fields())} if draw(st.integers(0, 5)) == 0 else node


def _maybe(draw: DrawFn, body: _Body, name: str, values: SearchStrategy[Any]) -> None:
    if draw(st.booleans()):
        body[name] = draw(values)


# --- Items --------------------------------------------------------------------------------------------


def _user_part(draw: DrawFn) -> _Body:
    kind = draw(st.integers(0, 5))
    if kind < 3:
        return _sprinkled(draw, {"type": "input_text", "text": draw(texts(empty=True))})
    if kind == 3:
        urls = base64_texts().map(lambda data: f"data:image/png;base64,{data}")
        image: _Body = {"type": "input_image", "image_url": draw(urls | st.just("https://example.com/a.png"))}
        _maybe(draw, image, "detail", st.sampled_from(("auto", "low", "high", "original")))
        return _sprinkled(draw, image)
    if kind == 4:
        return {"type": "input_image", "detail": "auto", "file_id": "file-2"}
    return {"type": "input_file", "file_data": draw(base64_texts()), "filename": "a.pdf"}


def _content(draw: DrawFn, part: Callable[[DrawFn], _Body]) -> str | list[_Body]:
    if draw(st.booleans()):
        return draw(texts(empty=True))
    return [part(draw) for _ in range(draw(st.integers(1, 3)))]


def _message(draw: DrawFn, role: str) -> _Body:
    node: _Body = {"role": role, "content": _content(draw, _user_part)}
    _maybe(draw, node, "type", st.just("message"))
    _maybe(draw, node, "id", identifiers("msg_"))  # Codex sends one; the published types have none
    return _sprinkled(draw, node)


def _answer_part(draw: DrawFn) -> _Body:
    kind = draw(st.integers(0, 5))
    if kind == 0:
        return _sprinkled(draw, {"type": "refusal", "refusal": draw(texts())})
    node: _Body = {"type": "output_text", "text": draw(texts(empty=True)), "annotations": []}
    if kind == 1:
        node["annotations"] = [{"type": "file_path", "file_id": "file-1", "index": 0}]
    _maybe(draw, node, "logprobs", st.just([]))
    return _sprinkled(draw, node)


def _answer_message(draw: DrawFn, *, output: bool = False) -> _Body:
    if not output and draw(st.booleans()):
        return _sprinkled(draw, {"role": "assistant", "content": _content(draw, _answer_part)})
    parts = [_answer_part(draw) for _ in range(draw(st.integers(1, 2)))]
    node: _Body = {
        "type": "message",
        "id": draw(identifiers("msg_")),
        "role": "assistant",
        "status": "completed",
        "content": parts,
    }
    _maybe(draw, node, "phase", st.sampled_from(("commentary", "final_answer")))
    return _sprinkled(draw, node)


def _thought(draw: DrawFn) -> _Body:
    summary = draw(st.lists(texts(empty=True), max_size=3))
    node: _Body = {
        "type": "reasoning",
        "id": draw(identifiers("rs_")),
        "summary": [{"type": "summary_text", "text": text} for text in summary],
    }
    _maybe(draw, node, "encrypted_content", st.none() | base64_texts())
    _maybe(draw, node, "status", st.just("completed"))
    raw = st.lists(texts().map(lambda text: {"type": "reasoning_text", "text": text}), max_size=2)
    _maybe(draw, node, "content", st.none() | raw)
    return _sprinkled(draw, node)


def _call(draw: DrawFn, call_id: str) -> _Body:
    name = draw(tool_names())
    if draw(st.integers(0, 2)) == 0:
        node: _Body = {"type": "custom_tool_call", "call_id": call_id, "name": name}
        node["input"] = draw(texts(empty=True))
    else:
        node = {"type": "function_call", "call_id": call_id, "name": name}
        node["arguments"] = draw(argument_texts(odd=True))
    _maybe(draw, node, "id", identifiers("fc_"))
    _maybe(draw, node, "status", st.just("completed"))
    _maybe(draw, node, "namespace", tool_names())
    return _sprinkled(draw, node)


_HOSTED: Final = (
    {"type": "web_search_call", "id": "ws_1", "status": "completed", "action": {"type": "search"}},
    {"type": "mcp_call", "id": "mcp_1", "name": "f", "arguments": "{}", "server_label": "s"},
)


def _turn(draw: DrawFn, calls: list[_Body], *, output: bool = False) -> list[_Body]:
    """What an assistant did, in any order."""
    found = [_answer_message(draw, output=output) for _ in range(draw(st.integers(0 if calls else 1, 2)))]
    found += [_thought(draw) for _ in range(draw(st.integers(0, 2)))]
    found += calls
    if draw(st.integers(0, 4)) == 0:
        found.append(dict(draw(st.sampled_from(_HOSTED))))
    return draw(st.permutations(found))


def _result(draw: DrawFn, call: _Body) -> _Body:
    kind = "custom_tool_call_output" if call["type"] == "custom_tool_call" else "function_call_output"
    node = {"type": kind, "call_id": call["call_id"], "output": _content(draw, _user_part)}
    _maybe(draw, node, "id", identifiers("fco_"))
    return _sprinkled(draw, node)


def _input(draw: DrawFn) -> list[_Body]:
    said = [
        _message(draw, draw(st.sampled_from(("system", "developer")))) for _ in range(draw(st.integers(0, 2)))
    ]
    open_calls: list[_Body] = []
    for turn in range(draw(st.integers(1, 3))):
        said += [_result(draw, call) for call in open_calls]
        if not open_calls or draw(st.booleans()):
            said.append(_message(draw, "user"))
        if draw(st.integers(0, 3)) == 0:
            break
        open_calls = [_call(draw, f"call_{turn}_{n}") for n in range(draw(st.integers(0, 2)))]
        said += _turn(draw, open_calls)
    return said


# --- Tools --------------------------------------------------------------------------------------------


def _tool(draw: DrawFn, name: str) -> _Body:
    if draw(st.integers(0, 3)) == 0:
        tool: _Body = {"type": "custom", "name": name}
        grammar = {"type": "grammar", "syntax": "lark", "definition": 'start: "a"+'}
        _maybe(draw, tool, "format", st.sampled_from(({"type": "text"}, grammar)))
    else:
        tool = {"type": "function", "name": name, "parameters": draw(st.none() | json_schemas())}
        _maybe(draw, tool, "strict", st.booleans() | st.none())
        _maybe(draw, tool, "defer_loading", st.booleans())
    _maybe(draw, tool, "description", texts())
    return _sprinkled(draw, tool)


def _tools(draw: DrawFn, names: list[str]) -> list[_Body]:
    tools = [_tool(draw, name) for name in names]
    if draw(st.integers(0, 2)) == 0:
        inside = [_tool(draw, name) for name in names]
        spaces = st.sampled_from(("crm", "a" * 70))
        tools.append({"type": "namespace", "name": draw(spaces), "description": "d", "tools": inside})
    if draw(st.booleans()):
        tools.append({"type": "web_search", "search_context_size": "low"})
    return tools


def _tool_choice(draw: DrawFn, names: list[str]) -> str | _Body:
    choices: tuple[str | _Body, ...] = (
        "auto",
        "none",
        "required",
        {"type": "function", "name": names[0]},
        {"type": "custom", "name": names[0]},
        {"type": "allowed_tools", "mode": "auto", "tools": [{"type": "function", "name": names[0]}]},
        {"type": "web_search_preview"},
        {"type": "mcp", "server_label": "s"},
    )
    return draw(st.sampled_from(choices))


# --- Bodies -------------------------------------------------------------------------------------------

_SCHEMA: Final = {"type": "json_schema", "name": "n", "schema": {"type": "object"}}
_OPTIONS: Final[Mapping[str, SearchStrategy[Any]]] = {
    "instructions": texts() | st.none(),
    "temperature": st.sampled_from((None, 0, 0.1, 2)),
    "top_p": st.sampled_from((0.9, 1)),
    "max_output_tokens": st.integers(16, 64_000) | st.none(),
    "parallel_tool_calls": st.booleans(),
    "stream": st.booleans(),
    "store": st.booleans(),
    "user": texts(),
    "safety_identifier": texts(),
    "metadata": st.just({"k": "v"}),
    "client_metadata": st.just({"x-codex-installation-id": "1"}),
    "include": st.just(["reasoning.encrypted_content"]),
    "prompt_cache_key": texts(),
    "reasoning": st.sampled_from(
        ({"effort": "high", "summary": "auto"}, {"effort": "none"}, {"summary": "detailed"}, {}, None)
    ),
    "text": st.sampled_from(
        (
            {"format": {"type": "text"}, "verbosity": "low"},
            {"format": {"type": "json_object"}},
            {"format": {**_SCHEMA, "strict": True, "description": "d"}, "verbosity": "high"},
            {"format": _SCHEMA},
            {"verbosity": "low"},
        )
    ),
    "truncation": st.just("auto"),
    "service_tier": st.just("flex"),
}


@st.composite
def responses_requests(draw: DrawFn) -> _Body:
    """Request bodies."""
    said: str | list[_Body] = draw(texts()) if draw(st.integers(0, 4)) == 0 else _input(draw)
    body: _Body = {"model": draw(st.sampled_from(("gpt-5", "lynkr-auto", "né:model"))), "input": said}
    names = draw(st.lists(tool_names(), max_size=3, unique=True))
    if names:
        body["tools"] = _tools(draw, names)
        if draw(st.booleans()):
            body["tool_choice"] = _tool_choice(draw, names)
    for name in draw(st.lists(st.sampled_from(sorted(_OPTIONS)), max_size=6, unique=True)):
        body[name] = draw(_OPTIONS[name])
    if draw(st.integers(0, 5)) == 0:
        body["previous_response_id"] = draw(identifiers("resp_"))
    return _sprinkled(draw, body)


@st.composite
def responses_answers(draw: DrawFn) -> _Body:
    """Answers' bodies."""
    calls = [_call(draw, f"call_{number}") for number in range(draw(st.integers(0, 2)))]
    counts = st.integers(0, 10**5)
    usage: _Body = {
        "input_tokens": draw(counts),
        "input_tokens_details": {"cached_tokens": draw(counts), "cache_write_tokens": draw(counts)},
        "output_tokens": draw(counts),
        "output_tokens_details": {"reasoning_tokens": draw(counts)},
    }
    usage["total_tokens"] = usage["input_tokens"] + usage["output_tokens"]
    reason = draw(st.sampled_from((None, None, "max_output_tokens", "content_filter", "steered")))
    return _sprinkled(
        draw,
        {
            "id": draw(identifiers("resp_")),
            "object": "response",
            "created_at": draw(st.integers(0, 2**31)),
            "status": "completed" if reason is None else "incomplete",
            "error": None,
            "incomplete_details": None if reason is None else {"reason": reason},
            "model": "gpt-5",
            "output": _turn(draw, calls, output=True),
            "parallel_tool_calls": draw(st.booleans()),
            "tool_choice": "auto",
            "tools": [],
            "usage": usage,
            "service_tier": "default",
            "metadata": {},
        },
    )
