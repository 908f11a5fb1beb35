"""Values and bodies of Ollama's native dialect, generated.  See `lynkr.testing.strategies`.

Shapes follow ``ChatRequest`` and ``ChatResponse`` of ollama-python 0.6.3 and
docs.ollama.com/api/chat (read 2026-11).  Needs the extra ``testing``.
"""

from typing import Any, Final

from hypothesis import strategies as st
from hypothesis.strategies import DrawFn, SearchStrategy

from lynkr.model import (
    NO_EXTRAS,
    Extras,
    Image,
    ImageSource,
    Message,
    OutputFormat,
    OutputKind,
    Part,
    Reasoning,
    ReasoningOptions,
    Request,
    Response,
    Role,
    Sampling,
    StopReason,
    Text,
    ToolCall,
    ToolResult,
    ToolSpec,
    Usage,
    WireFormat,
)
from lynkr.testing.primitives import (
    argument_texts,
    extra_fields,
    identifiers,
    json_objects,
    json_schemas,
    texts,
    tool_names,
)

__all__ = ["ollama_request_bodies", "ollama_requests", "ollama_response_bodies", "ollama_responses"]

_Body = dict[str, Any]
_OLLAMA: Final = WireFormat.OLLAMA_CHAT
_MODELS: Final = ("qwen3:8b", "gpt-oss:20b", "hf.co/né:Q4")
# An image's type stands in its first bytes only.
_IMAGES: Final = (("iVBORw0KGgoAAAA=", "image/png"), ("/9j/4AAQ", "image/jpeg"), ("aGVsbG8=", None))


def _extras() -> SearchStrategy[Extras]:
    return st.just(NO_EXTRAS) | st.just(NO_EXTRAS) | st.builds(Extras, st.just(_OLLAMA), extra_fields())


def _images() -> SearchStrategy[Image]:
    return st.sampled_from(_IMAGES).map(lambda pair: Image(ImageSource.BASE64, *pair))


def _said(draw: DrawFn, *, least: int) -> tuple[Text | Image, ...]:
    """Images, then the one text a message can hold."""
    words = draw(st.lists(st.builds(Text, texts()), min_size=least, max_size=1))
    return (*draw(st.lists(_images(), max_size=2)), *words)


def _answer(draw: DrawFn, call_ids: tuple[str, ...]) -> tuple[Part, ...]:
    thoughts = draw(st.lists(st.builds(Reasoning, texts()), max_size=1))
    said = draw(st.lists(st.builds(Text, texts()), min_size=int(not call_ids), max_size=1))
    calls = [ToolCall(i, draw(tool_names()), draw(argument_texts()), draw(_extras())) for i in call_ids]
    return (*thoughts, *said, *calls)


# --- Requests -----------------------------------------------------------------------------------------


def _conversation(draw: DrawFn) -> tuple[Message, ...]:
    said = [
        Message(Role.SYSTEM, (Text(draw(texts())),), draw(_extras())) for _ in range(draw(st.integers(0, 2)))
    ]
    open_calls: tuple[str, ...] = ()
    for turn in range(draw(st.integers(1, 3))):
        results = [ToolResult(i, _said(draw, least=0), False, draw(_extras())) for i in open_calls]
        words = _said(draw, least=int(not results))
        said.append(Message(Role.USER, (*results, *words), draw(_extras()) if words else NO_EXTRAS))
        if draw(st.integers(0, 3)) == 0:
            break
        open_calls = tuple(f"call_{turn}_{number}" for number in range(draw(st.integers(0, 3))))
        said.append(Message(Role.ASSISTANT, _answer(draw, open_calls), draw(_extras())))
    return tuple(said)


@st.composite
def ollama_requests(draw: DrawFn) -> Request:
    """Requests in the dialect's normal form."""
    specs = st.builds(ToolSpec, tool_names(), st.none() | texts(), json_schemas(), _extras())
    numbers = st.none() | st.sampled_from((0.0, 0.1, 1.0))
    efforts = st.sampled_from(("low", "medium", "high", "max"))
    schema = st.builds(OutputFormat, st.just(OutputKind.JSON_SCHEMA), json_schemas())
    return Request(
        model=draw(st.sampled_from(_MODELS)),
        messages=_conversation(draw),
        tools=tuple(draw(st.lists(specs, max_size=3, unique_by=lambda spec: spec.name))),
        max_output_tokens=draw(st.none() | st.integers(0, 64_000)),
        sampling=Sampling(
            temperature=draw(numbers),
            top_p=draw(numbers),
            top_k=draw(st.none() | st.integers(1, 500)),
            seed=draw(st.none() | st.integers(0, 2**31)),
            stop=tuple(draw(st.lists(texts(), max_size=3))),
        ),
        reasoning=draw(
            st.none()
            | st.builds(ReasoningOptions, st.booleans())
            | st.builds(ReasoningOptions, st.none(), efforts)
        ),
        output_format=draw(st.none() | st.just(OutputFormat(OutputKind.JSON_OBJECT)) | schema),
        stream=draw(st.booleans()),
        extras=draw(_extras()),
    )


# --- Answers ------------------------------------------------------------------------------------------


@st.composite
def ollama_responses(draw: DrawFn) -> Response:
    """Answers in the dialect's normal form."""
    ids = tuple(draw(st.lists(identifiers("call_"), max_size=3, unique=True)))
    counts = st.none() | st.integers(0, 200_000)
    ended = StopReason.TOOL_USE if ids else StopReason.END_TURN
    return Response(
        id="",
        model=draw(st.sampled_from(_MODELS)),
        parts=_answer(draw, ids),
        stop_reason=draw(st.sampled_from((ended, StopReason.MAX_TOKENS))),
        usage=Usage(input=draw(counts), output=draw(counts)),
        created=draw(st.integers(0, 2**33)),
        extras=draw(_extras()),
    )


# --- Bodies -------------------------------------------------------------------------------------------


def _sprinkled(draw: DrawFn, node: _Body) -> _Body:
    return {**node, **draw(extra_fields())} if draw(st.integers(0, 5)) == 0 else node


def _maybe(draw: DrawFn, body: _Body, name: str, values: SearchStrategy[Any]) -> None:
    if draw(st.booleans()):
        body[name] = draw(values)


def _call_body(draw: DrawFn, call_id: str | None) -> _Body:
    function: _Body = {"name": draw(tool_names()), "arguments": draw(json_objects())}
    _maybe(draw, function, "index", st.integers(0, 3))
    node: _Body = {"function": _sprinkled(draw, function)}
    if call_id is not None:
        node["id"] = call_id
    return _sprinkled(draw, node)


def _image_bodies() -> SearchStrategy[list[str]]:
    return st.lists(st.sampled_from([data for data, _ in _IMAGES]), max_size=2)


def _messages(draw: DrawFn) -> list[_Body]:
    messages = [
        _sprinkled(draw, {"role": "system", "content": draw(texts(empty=True))})
        for _ in range(draw(st.integers(0, 2)))
    ]
    for turn in range(draw(st.integers(1, 3))):
        user: _Body = {"role": "user", "content": draw(texts(empty=True))}
        _maybe(draw, user, "images", _image_bodies())
        messages.append(_sprinkled(draw, user))
        if draw(st.integers(0, 3)) == 0:
            break
        with_ids = draw(st.booleans())
        calls = [
            _call_body(draw, f"call_{turn}_{n}" if with_ids else None) for n in range(draw(st.integers(0, 2)))
        ]
        answer: _Body = {"role": "assistant"}
        _maybe(draw, answer, "content", st.none() | texts(empty=True))
        _maybe(draw, answer, "thinking", texts(empty=True))
        if calls:
            answer["tool_calls"] = calls
        messages.append(_sprinkled(draw, answer))
        for call in calls:
            result: _Body = {"role": "tool", "content": draw(texts(empty=True))}
            if "id" in call and draw(st.booleans()):
                result["tool_call_id"] = call["id"]
            _maybe(draw, result, "tool_name", st.just(call["function"]["name"]) | st.just("other"))
            messages.append(_sprinkled(draw, result))
    return messages


_OPTIONS: Final[dict[str, SearchStrategy[Any]]] = {
    "num_predict": st.integers(-2, 64_000),
    "temperature": st.sampled_from((0, 0.1, 1.0, None)),
    "top_p": st.just(0.9),
    "top_k": st.integers(1, 100),
    "seed": st.integers(0, 2**31),
    "stop": texts() | st.lists(texts(), max_size=3) | st.none(),
    "num_ctx": st.just(32_768),
    "repeat_penalty": st.just(1.1),
    "mirostat": st.just(0),
}
_TOP: Final[dict[str, SearchStrategy[Any]]] = {
    "stream": st.booleans() | st.none(),
    "think": st.booleans() | st.sampled_from(("low", "medium", "high", "max", None)),
    "format": st.sampled_from(("json", "", None)) | json_schemas(),
    "keep_alive": st.sampled_from(("5m", -1, 0)),
    "truncate": st.booleans(),
    "logprobs": st.booleans(),
}


@st.composite
def ollama_request_bodies(draw: DrawFn) -> _Body:
    """Bodies of ``POST /api/chat``."""
    body: _Body = {"model": draw(st.sampled_from(_MODELS)), "messages": _messages(draw)}
    names = draw(st.lists(tool_names(), max_size=3, unique=True))
    if names:
        body["tools"] = [_tool_body(draw, name) for name in names]
    for name in draw(st.lists(st.sampled_from(sorted(_TOP)), max_size=4, unique=True)):
        body[name] = draw(_TOP[name])
    chosen = draw(st.lists(st.sampled_from(sorted(_OPTIONS)), max_size=4, unique=True))
    if chosen:
        body["options"] = _sprinkled(draw, {name: draw(_OPTIONS[name]) for name in chosen})
    return _sprinkled(draw, body)


def _tool_body(draw: DrawFn, name: str) -> _Body:
    function: _Body = {"name": name}
    _maybe(draw, function, "description", texts())
    _maybe(draw, function, "parameters", json_schemas())
    return _sprinkled(draw, {"type": "function", "function": _sprinkled(draw, function)})


@st.composite
def ollama_response_bodies(draw: DrawFn) -> _Body:
    """Whole answers of ``POST /api/chat``."""
    message: _Body = {"role": "assistant", "content": draw(texts(empty=True))}
    _maybe(draw, message, "thinking", texts(empty=True))
    calls = [
        _call_body(draw, f"call_{n}" if draw(st.booleans()) else None) for n in range(draw(st.integers(0, 2)))
    ]
    if calls:
        message["tool_calls"] = calls
    body: _Body = {
        "model": draw(st.sampled_from(_MODELS)),
        "created_at": draw(
            st.sampled_from(
                ("2025-10-26T17:15:24.097767123Z", "2026-11-01T08:00:00Z", "2023-12-12T14:13:43+02:00")
            )
        ),
        "message": _sprinkled(draw, message),
        "done": True,
    }
    _maybe(draw, body, "done_reason", st.sampled_from(("stop", "length", "load", "unload")))
    for name in ("total_duration", "load_duration", "prompt_eval_duration", "eval_duration"):
        _maybe(draw, body, name, st.integers(0, 10**12))
    for name in ("prompt_eval_count", "eval_count"):
        _maybe(draw, body, name, st.integers(0, 10**6))
    _maybe(draw, body, "remote_model", st.just("gpt-oss:120b"))
    return _sprinkled(draw, body)
