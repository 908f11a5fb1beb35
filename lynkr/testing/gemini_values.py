"""Values and bodies of Gemini's dialect, generated.  See `lynkr.testing.strategies`.

Shapes follow the types of google-genai 3.4 (read 2026-11).  Needs the extra ``testing``.
"""

import json
from functools import cache
from typing import Any, Final

from hypothesis import strategies as st
from hypothesis.strategies import DrawFn, SearchStrategy

from lynkr.model import (
    NO_EXTRAS,
    NO_USAGE,
    Extras,
    Foreign,
    ForeignTool,
    Image,
    ImageSource,
    Json,
    Message,
    Opaque,
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
    ToolChoice,
    ToolMode,
    ToolResult,
    ToolSpec,
    Usage,
    WireFormat,
)
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

__all__ = ["gemini_request_bodies", "gemini_requests", "gemini_response_bodies", "gemini_responses"]

_Body = dict[str, Any]
_GEMINI: Final = WireFormat.GEMINI
# The last stands for whatever is not known: it may be told everything.
_MODELS: Final = ("gemini-2.5-flash", "gemini-2.5-pro", "gemini-3-pro-preview", "né-model")
_UNKNOWN_MODELS: Final = ("né-model", "tuned/one")
_FOREIGN: Final[tuple[_Body, ...]] = (
    {"executableCode": {"language": "PYTHON", "code": "print('né')"}},
    {"codeExecutionResult": {"outcome": "OUTCOME_OK", "output": "né"}, "x_note": 1},
    {"inlineData": {"mimeType": "application/pdf", "data": "JVBERi0="}},
    {"fileData": {"mimeType": "video/mp4", "fileUri": "https://example.com/a"}},
)
_SERVER_TOOLS: Final[tuple[_Body, ...]] = ({"googleSearch": {}}, {"codeExecution": {}}, {"urlContext": {}})


@cache
def _extras() -> SearchStrategy[Extras]:
    return st.just(NO_EXTRAS) | st.just(NO_EXTRAS) | st.builds(Extras, st.just(_GEMINI), extra_fields())


# --- Parts --------------------------------------------------------------------------------------------


@cache
def _texts() -> SearchStrategy[Text]:
    signed = base64_texts().map(lambda seal: Extras(_GEMINI, {"thoughtSignature": seal}))
    return st.builds(Text, texts(), _extras() | signed)


@cache
def _images() -> SearchStrategy[Image]:
    kinds = st.sampled_from(("image/png", "image/webp"))
    inline = st.builds(Image, st.just(ImageSource.BASE64), base64_texts(), kinds, _extras())
    urls = st.sampled_from(("https://example.com/a.png", "gs://bucket/né", "https://example.com/b?c=d&e=é"))
    odd = st.just(Extras(_GEMINI, {"fileData": {"mimeType": "image/tiff"}}))
    return inline | st.builds(Image, st.just(ImageSource.URL), urls, st.none(), _extras() | odd)


@cache
def _thoughts() -> SearchStrategy[Reasoning]:
    seals = st.builds(Opaque, st.just(_GEMINI), base64_texts())
    said = st.builds(Reasoning, texts(), st.none() | seals, st.just(False), _extras())
    # A signature in a thought, in an empty text, in nothing.
    alone = st.sampled_from(
        (NO_EXTRAS, Extras(_GEMINI, {"thought": False, "text": ""}), Extras(_GEMINI, {"thought": False}))
    )
    return said | st.builds(Reasoning, st.just(""), seals, st.just(True), alone)


@cache
def _foreign() -> SearchStrategy[Foreign]:
    return st.sampled_from(_FOREIGN).map(lambda value: Foreign(_GEMINI, value))


def _call(draw: DrawFn, call_id: str) -> ToolCall:
    signed: Extras = Extras(_GEMINI, {"thoughtSignature": draw(base64_texts())})
    return ToolCall(call_id, draw(tool_names()), draw(argument_texts()), draw(_extras() | st.just(signed)))


def _result(draw: DrawFn, call_id: str) -> ToolResult:
    said = draw(st.lists(st.builds(Text, texts()), max_size=2))
    images = draw(st.lists(_images(), max_size=2))
    return ToolResult(call_id, (*said, *images), draw(st.booleans()), draw(_extras()))


def _answer(draw: DrawFn, call_ids: tuple[str, ...]) -> tuple[Part, ...]:
    some = st.one_of(_thoughts(), _texts(), _texts(), _images(), _foreign())
    said = draw(st.lists(some, min_size=int(not call_ids), max_size=3))
    calls = [_call(draw, call_id) for call_id in call_ids]
    return tuple(draw(st.permutations((*said, *calls))))


# --- Requests -----------------------------------------------------------------------------------------


def _conversation(draw: DrawFn) -> tuple[Message, ...]:
    said: list[Message] = []
    if draw(st.booleans()):
        system = draw(st.lists(_texts(), min_size=1, max_size=2))
        said.append(Message(Role.SYSTEM, tuple(system), draw(_extras())))
    open_calls: tuple[str, ...] = ()
    some = st.one_of(_texts(), _texts(), _images(), _foreign())
    for turn in range(draw(st.integers(1, 3))):
        results = [_result(draw, call_id) for call_id in open_calls]
        words = draw(st.lists(some, min_size=int(not results), max_size=2))
        said.append(Message(Role.USER, tuple(draw(st.permutations((*results, *words)))), draw(_extras())))
        if draw(st.integers(0, 3)) == 0:
            break
        open_calls = tuple(f"call_{turn}_{number}" for number in range(draw(st.integers(0, 3))))
        said.append(Message(Role.ASSISTANT, _answer(draw, open_calls), draw(_extras())))
    return tuple(said)


def _tool_choice(draw: DrawFn, specs: list[ToolSpec]) -> ToolChoice | None:
    if not specs or draw(st.booleans()):
        return None
    mode = draw(st.sampled_from(ToolMode))
    more: list[Extras] = [draw(_extras())]
    if mode is ToolMode.AUTO:
        more.append(Extras(_GEMINI, {"mode": "VALIDATED", "allowedFunctionNames": ["a", "b"]}))
    if mode is ToolMode.REQUIRED:
        more.append(Extras(_GEMINI, {"allowedFunctionNames": ["a", "b"]}))
    name = specs[0].name if mode is ToolMode.NAMED else None
    return ToolChoice(mode, name, draw(st.sampled_from(more)))


@st.composite
def gemini_requests(draw: DrawFn) -> Request:
    """Requests in the dialect's normal form, to models that may be told everything."""
    builds = st.builds(ToolSpec, tool_names(), st.none() | texts(), json_schemas(), _extras())
    specs = draw(st.lists(builds, max_size=3, unique_by=lambda spec: spec.name))
    tools: list[ToolSpec | ForeignTool] = [*specs]
    if draw(st.integers(0, 3)) == 0:
        own = draw(st.sampled_from(_SERVER_TOOLS))
        tools.append(ForeignTool(next(iter(own)), Extras(_GEMINI, own)))
    numbers = st.none() | st.sampled_from((0.0, 0.1, 1.0, 2.0))
    efforts = st.sampled_from(("minimal", "low", "medium", "high", "xhigh"))
    shown = st.sampled_from((None, True))
    return Request(
        model=draw(st.sampled_from(_UNKNOWN_MODELS)),
        messages=_conversation(draw),
        tools=tuple(tools),
        tool_choice=_tool_choice(draw, specs),
        max_output_tokens=draw(st.none() | st.integers(1, 64_000)),
        sampling=Sampling(
            temperature=draw(numbers),
            top_p=draw(numbers),
            top_k=draw(st.none() | st.integers(1, 500)),
            seed=draw(st.none() | st.integers(-(2**31), 2**31 - 1)),
            stop=tuple(draw(st.lists(texts(), max_size=3))),
        ),
        reasoning=draw(
            st.none()
            | st.builds(ReasoningOptions, st.just(False), st.none(), st.none(), _extras())
            | st.builds(ReasoningOptions, shown, efforts, st.none(), _extras())
            | st.builds(ReasoningOptions, shown, st.none(), st.integers(1, 32_768), _extras())
            | st.just(ReasoningOptions(True))
            | st.just(ReasoningOptions(True, extras=Extras(_GEMINI, {"thinkingBudget": -1})))
        ),
        output_format=draw(
            st.none()
            | st.just(OutputFormat(OutputKind.JSON_OBJECT))
            | st.builds(OutputFormat, st.just(OutputKind.JSON_SCHEMA), json_schemas())
        ),
        stream=draw(st.booleans()),
        extras=draw(_extras()),
    )


# --- Answers ------------------------------------------------------------------------------------------


@st.composite
def _usages(draw: DrawFn) -> Usage:
    counts = st.integers(0, 200_000)
    thoughts = draw(st.none() | counts)
    usage = Usage(
        input=draw(counts),
        output=draw(counts) + (thoughts or 0),
        cache_read=draw(st.none() | counts),
        reasoning=thoughts,
    )
    return draw(st.sampled_from((usage, usage, NO_USAGE)))


@st.composite
def gemini_responses(draw: DrawFn) -> Response:
    """Answers in the dialect's normal form."""
    ids = tuple(draw(st.lists(identifiers("call_"), max_size=3, unique=True)))
    ended = StopReason.TOOL_USE if ids else StopReason.END_TURN
    reasons = (ended, StopReason.MAX_TOKENS, StopReason.REFUSAL, StopReason.OTHER)
    return Response(
        id=draw(identifiers("")),
        model=draw(st.sampled_from(_MODELS)),
        parts=_answer(draw, ids),
        stop_reason=draw(st.sampled_from(reasons)),
        usage=draw(_usages()),
        extras=draw(_extras()),
    )


# --- Bodies -------------------------------------------------------------------------------------------


def _sprinkled(draw: DrawFn, node: _Body) -> _Body:
    return {**node, **draw(extra_fields())} if draw(st.integers(0, 5)) == 0 else node


def _maybe(draw: DrawFn, body: _Body, name: str, values: SearchStrategy[Any]) -> None:
    if draw(st.booleans()):
        body[name] = draw(values)


def _text_body(draw: DrawFn) -> _Body:
    return _sprinkled(draw, {"text": draw(texts())})


def _signed(draw: DrawFn, node: _Body) -> _Body:
    if draw(st.booleans()):
        node["thoughtSignature"] = draw(base64_texts() | st.just("skip_thought_signature_validator"))
    return _sprinkled(draw, node)


def _call_body(draw: DrawFn, name: str, call_id: str | None) -> _Body:
    call: _Body = {"name": name}
    _maybe(draw, call, "args", json_objects())
    if call_id is not None:
        call["id"] = call_id
    return _signed(draw, {"functionCall": _sprinkled(draw, call)})


def _result_body(draw: DrawFn, name: str, call_id: str | None) -> _Body:
    said: SearchStrategy[Json] = texts(empty=True) | st.lists(texts(), max_size=3) | json_objects()
    response = draw(
        said.map(lambda value: {"output": value}) | said.map(lambda value: {"error": value}) | json_objects()
    )
    result: _Body = {"name": draw(st.just(name) | st.just("another")), "response": response}
    if call_id is not None:
        result["id"] = call_id
    files = ({"inlineData": {"mimeType": "image/png", "data": "iVBORw0KGgo="}}, *_FOREIGN[2:])
    _maybe(draw, result, "parts", st.lists(st.sampled_from(files), max_size=2))
    return _sprinkled(draw, {"functionResponse": _sprinkled(draw, result)})


def _answer_bodies(draw: DrawFn, calls: list[tuple[str, str | None]]) -> list[_Body]:
    makers: list[_Body] = []
    if draw(st.booleans()):
        makers.append(_signed(draw, {"thought": True, "text": draw(texts())}))
    if not calls or draw(st.booleans()):
        makers.append(_signed(draw, {"text": draw(texts())}))
    if draw(st.integers(0, 3)) == 0:
        makers.append({"text": "", "thoughtSignature": draw(base64_texts())})
    if draw(st.integers(0, 3)) == 0:
        makers.append(draw(st.sampled_from(_FOREIGN)))
    return [*makers, *(_call_body(draw, name, call_id) for name, call_id in calls)]


def _user_bodies(draw: DrawFn) -> list[_Body]:
    image = {"inlineData": {"mimeType": "image/png", "data": draw(base64_texts())}}
    file = {"fileData": {"fileUri": "https://example.com/né.png", "mimeType": "image/png"}}
    some = [_text_body(draw), image, file, *_FOREIGN]
    return draw(st.lists(st.sampled_from(some), min_size=1, max_size=3))


def _calls(draw: DrawFn, stem: str) -> list[tuple[str, str | None]]:
    """Names and ids of up to two calls; older models give no ids."""
    with_ids = draw(st.booleans())
    return [
        (draw(tool_names()), f"{stem}-{number}" if with_ids else None)
        for number in range(draw(st.integers(0, 2)))
    ]


def _contents(draw: DrawFn) -> list[_Body]:
    contents: list[_Body] = []
    calls: list[tuple[str, str | None]] = []
    for turn in range(draw(st.integers(1, 3))):
        results = [_result_body(draw, name, call_id) for name, call_id in calls]
        user: _Body = {
            "parts": [*results, *(_user_bodies(draw) if not results or draw(st.booleans()) else ())]
        }
        _maybe(draw, user, "role", st.just("user"))
        contents.append(_sprinkled(draw, user))
        if draw(st.integers(0, 3)) == 0:
            break
        calls = _calls(draw, f"call-{turn}")
        contents.append(_sprinkled(draw, {"role": "model", "parts": _answer_bodies(draw, calls)}))
    return contents


_OWN_SCHEMA: Final[_Body] = {
    "type": "OBJECT",
    "properties": {
        "a": {"type": "STRING", "nullable": True, "enum": ["x", "y"]},
        "b": {"type": "ARRAY", "items": {"type": "INTEGER"}, "minItems": "1"},
        "c": {"anyOf": [{"type": "STRING"}, {"type": "TYPE_UNSPECIFIED"}], "nullable": True},
    },
    "propertyOrdering": ["b", "a"],
}


def _tool_bodies(draw: DrawFn, names: list[str]) -> list[_Body]:
    functions: list[_Body] = []
    for name in names:
        function: _Body = {"name": name}
        _maybe(draw, function, "description", texts())
        kind = draw(st.integers(0, 2))
        if kind == 1:
            function["parametersJsonSchema"] = draw(json_schemas())
        elif kind == 2:
            function["parameters"] = _OWN_SCHEMA
        _maybe(draw, function, "behavior", st.just("BLOCKING"))
        functions.append(_sprinkled(draw, function))
    tools: list[_Body] = [{"functionDeclarations": functions}] if functions else []
    if draw(st.integers(0, 3)) == 0:
        tools.append(draw(st.sampled_from((*_SERVER_TOOLS, {"googleSearch": {}, "urlContext": {}}))))
    return tools


_CONFIG: Final[dict[str, SearchStrategy[Any]]] = {
    "maxOutputTokens": st.integers(1, 65_536),
    "temperature": st.sampled_from((0, 0.1, 2.0, None)),
    "topP": st.just(0.95),
    "topK": st.sampled_from((40, 40.0)),
    "seed": st.integers(-(2**31), 2**31 - 1),
    "stopSequences": st.lists(texts(), max_size=3),
    "candidateCount": st.just(1),
    "presencePenalty": st.just(0.5),
    "responseModalities": st.just(["TEXT"]),
    "thinkingConfig": st.sampled_from(
        (
            {},
            {"thinkingBudget": 0},
            {"thinkingBudget": -1, "includeThoughts": True},
            {"thinkingBudget": 2048},
            {"thinkingBudget": 0, "includeThoughts": True},
            {"thinkingLevel": "HIGH", "includeThoughts": False},
            {"thinkingLevel": "low"},
            {"thinkingLevel": "THINKING_LEVEL_UNSPECIFIED"},
            {"includeThoughts": True, "x_note": 1},
        )
    ),
}
_OUTPUTS: Final[tuple[_Body, ...]] = (
    {},
    {"responseMimeType": "text/plain"},
    {"responseMimeType": "application/json"},
    {"responseMimeType": "application/json", "responseSchema": _OWN_SCHEMA},
    {"responseMimeType": "application/json", "responseJsonSchema": {"type": "object"}},
    {"responseMimeType": "text/x.enum", "responseSchema": {"type": "STRING", "enum": ["a"]}},
)
_CALLING: Final[tuple[_Body, ...]] = (
    {"mode": "AUTO"},
    {"mode": "NONE"},
    {"mode": "ANY"},
    {"mode": "ANY", "allowedFunctionNames": ["a"]},
    {"mode": "ANY", "allowedFunctionNames": ["a", "b"]},
    {"mode": "VALIDATED", "allowedFunctionNames": ["a"]},
    {"mode": "MODE_UNSPECIFIED"},
    {},
)


@st.composite
def gemini_request_bodies(draw: DrawFn) -> _Body:
    """Bodies of ``models/*:generateContent``, with the ``model`` and ``stream`` that stand in its address."""
    body: _Body = {"model": draw(st.sampled_from(_UNKNOWN_MODELS)), "contents": _contents(draw)}
    _maybe(draw, body, "stream", st.booleans())
    if draw(st.booleans()):
        system: _Body = {"parts": [_text_body(draw) for _ in range(draw(st.integers(1, 2)))]}
        _maybe(draw, system, "role", st.just("user"))
        body["systemInstruction"] = _sprinkled(draw, system)
    names = draw(st.lists(tool_names(), max_size=3, unique=True))
    tools = _tool_bodies(draw, names)
    if tools:
        body["tools"] = tools
    if draw(st.booleans()) and names:
        calling = draw(st.sampled_from(_CALLING))
        body["toolConfig"] = _sprinkled(draw, {"functionCallingConfig": _sprinkled(draw, calling)})
    config = dict(draw(st.sampled_from(_OUTPUTS)))
    for name in draw(st.lists(st.sampled_from(sorted(_CONFIG)), max_size=5, unique=True)):
        config[name] = draw(_CONFIG[name])
    if draw(st.booleans()) or config:
        body["generationConfig"] = _sprinkled(draw, config)
    safety = [{"category": "HARM_CATEGORY_HARASSMENT", "threshold": "BLOCK_NONE"}]
    _maybe(draw, body, "safetySettings", st.just(safety))
    _maybe(draw, body, "cachedContent", st.just("cachedContents/né"))
    return _sprinkled(draw, body)


@st.composite
def gemini_response_bodies(draw: DrawFn) -> _Body:
    """Whole answers of ``models/*:generateContent``."""
    counts = st.integers(0, 10**6)
    usage: _Body = {"promptTokenCount": draw(counts)}
    for name in ("candidatesTokenCount", "thoughtsTokenCount", "cachedContentTokenCount"):
        _maybe(draw, usage, name, counts)
    _maybe(draw, usage, "toolUsePromptTokenCount", counts)
    if draw(st.booleans()):
        parts = ("promptTokenCount", "candidatesTokenCount", "thoughtsTokenCount", "toolUsePromptTokenCount")
        usage["totalTokenCount"] = sum(usage.get(name, 0) for name in parts) + draw(
            st.sampled_from((0, 0, 7))
        )
    usage["promptTokensDetails"] = [{"modality": "TEXT", "tokenCount": usage["promptTokenCount"]}]
    body: _Body = {"usageMetadata": _sprinkled(draw, usage)}
    _maybe(draw, body, "responseId", identifiers(""))
    _maybe(draw, body, "modelVersion", st.sampled_from(_MODELS))
    _maybe(draw, body, "createTime", st.just("2026-11-01T08:00:00.123Z"))
    if draw(st.integers(0, 5)) == 0:
        body["promptFeedback"] = {"blockReason": "PROHIBITED_CONTENT"}
        return _sprinkled(draw, body)
    calls = _calls(draw, "call")
    reasons = ("STOP", "STOP", "MAX_TOKENS", "SAFETY", "RECITATION", "LANGUAGE", "MALFORMED_FUNCTION_CALL")
    content = _sprinkled(draw, {"role": "model", "parts": _answer_bodies(draw, calls)})
    candidate: _Body = {"content": content, "finishReason": draw(st.sampled_from(reasons))}
    _maybe(draw, candidate, "index", st.just(0))
    _maybe(draw, candidate, "avgLogprobs", st.just(-0.25))
    rating = {"category": "HARM_CATEGORY_HARASSMENT", "probability": "NEGLIGIBLE"}
    _maybe(draw, candidate, "safetyRatings", st.just([rating]))
    body["candidates"] = [_sprinkled(draw, candidate)]
    if draw(st.integers(0, 5)) == 0:
        body["candidates"].append({"index": 1, "content": {"parts": [{"text": json.dumps("né")}]}})
    return _sprinkled(draw, body)
