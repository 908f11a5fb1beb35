"""Values and bodies of Converse's dialect, generated.  See `lynkr.testing.strategies`.

Shapes follow the model of ``bedrock-runtime`` in botocore 1.44 (read 2026-11);
`tests/wire/bedrock` holds them against it.  Needs the extra ``testing``.
"""

import json
from functools import cache
from typing import Any, Final

from hypothesis import strategies as st
from hypothesis.strategies import DrawFn, SearchStrategy

from lynkr.model import (
    NO_EXTRAS,
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

__all__ = [
    "bedrock_request_bodies",
    "bedrock_requests",
    "bedrock_response_bodies",
    "bedrock_responses",
]

_Body = dict[str, Any]
_BEDROCK: Final = WireFormat.BEDROCK_CONVERSE
_ANTHROPIC: Final = WireFormat.ANTHROPIC_MESSAGES
_CLAUDE: Final = "us.anthropic.claude-opus-4-5-20251101-v1:0"
_MODELS: Final = (
    _CLAUDE,
    "amazon.nova-2-lite-v1:0",
    "arn:aws:bedrock:us-east-1:1:application-inference-profile/x",
)
_CACHED: Final = ({"type": "ephemeral"}, {"type": "ephemeral", "ttl": "1h"})
_POINTS: Final = ({"type": "default"}, {"type": "default", "ttl": "5m"})
_DOCUMENT: Final[_Body] = {
    "document": {
        "format": "pdf",
        "name": "né",
        "source": {"bytes": "JVBERg=="},
        "citations": {"enabled": True},
    }
}
_GUARDED: Final[_Body] = {"guardContent": {"text": {"text": "t", "qualifiers": ["query"]}}}
_SERVER_CALL: Final[_Body] = {
    "toolUse": {
        "toolUseId": "st_1",
        "name": "nova_grounding",
        "type": "server_tool_use",
        "input": {"q": "né"},
    }
}
_SERVER_RESULT: Final[_Body] = {
    "toolResult": {"toolUseId": "st_1", "type": "nova_grounding_result", "content": [{"json": {"a": 1}}]}
}
_REASONS: Final = (
    "end_turn",
    "max_tokens",
    "stop_sequence",
    "content_filtered",
    "guardrail_intervened",
    "malformed_tool_use",
    "model_context_window_exceeded",
)  # fmt: skip


@cache
def _words() -> SearchStrategy[str]:
    """Texts that Converse does not call blank."""
    return texts().filter(lambda text: bool(text.strip()))


# --- Values -------------------------------------------------------------------------------------------


@cache
def _extras() -> SearchStrategy[Extras]:
    return st.just(NO_EXTRAS) | st.just(NO_EXTRAS) | st.builds(Extras, st.just(_BEDROCK), extra_fields())


@cache
def _part_extras() -> SearchStrategy[Extras]:
    """Unknown fields, or the cache marker, which travels in Anthropic's words."""
    markers = st.sampled_from(_CACHED).map(lambda marker: Extras(_ANTHROPIC, {"cache_control": marker}))
    return _extras() | markers


@cache
def _images(part_extras: bool = True) -> SearchStrategy[Image]:
    types = st.sampled_from(("image/png", "image/webp", "image/jpeg"))
    extras = _part_extras() if part_extras else _extras()
    return st.builds(Image, st.just(ImageSource.BASE64), base64_texts(), types, extras)


@cache
def _texts() -> SearchStrategy[Text]:
    cited = st.just(Extras(_BEDROCK, {"citations": [{"title": "t", "location": {"web": {"url": "u"}}}]}))
    return st.builds(Text, _words(), _part_extras() | cited)


@cache
def _thoughts() -> SearchStrategy[Reasoning]:
    signed = st.builds(Opaque, st.just(_ANTHROPIC), base64_texts())
    sealed = st.builds(Opaque, st.just(_BEDROCK), base64_texts())
    return st.builds(Reasoning, texts(), signed, st.just(False), _extras()) | st.builds(
        Reasoning, st.just(""), sealed, st.just(True), _extras()
    )


@st.composite
def _results(draw: DrawFn, call_id: str) -> ToolResult:
    item: SearchStrategy[Text | Image | Foreign] = st.builds(Text, texts(empty=True), _extras())
    item |= _images(False) | st.just(Foreign(_BEDROCK, {"json": {"a": [1, "né"]}}))
    content = tuple(draw(st.lists(item, max_size=2)))
    return ToolResult(call_id, content, draw(st.booleans()), draw(_part_extras()))


@st.composite
def _messages(draw: DrawFn) -> tuple[Message, ...]:
    prompt = draw(st.lists(st.builds(Text, _words(), _part_extras()), max_size=2))
    said = [Message(Role.SYSTEM, tuple(prompt))] if prompt else []
    calls: tuple[str, ...] = ()
    for turn in range(draw(st.integers(1, 3))):
        results: tuple[Part, ...] = tuple(draw(_results(call)) for call in calls)
        user = st.one_of(_texts(), _texts(), _images(), st.sampled_from((_DOCUMENT, _GUARDED)).map(_foreign))
        words = draw(st.lists(user, min_size=0 if results else 1, max_size=3))
        said.append(Message(Role.USER, (*results, *words), draw(_extras())))
        if draw(st.integers(0, 4)) == 0:
            said.append(Message(Role.SYSTEM, (draw(_texts()),), draw(_extras())))
        if draw(st.integers(0, 3)) == 0:
            break
        calls = tuple(f"tooluse_{turn}.{number}" for number in range(draw(st.integers(0, 2))))
        said.append(Message(Role.ASSISTANT, draw(_spoken(calls)), draw(_extras())))
    return tuple(said)


def _foreign(value: Json) -> Foreign:
    return Foreign(_BEDROCK, value)


@st.composite
def _spoken(draw: DrawFn, calls: tuple[str, ...]) -> tuple[Part, ...]:
    thoughts = draw(st.lists(_thoughts(), max_size=1))
    said = draw(st.lists(_texts(), min_size=0 if calls or thoughts else 1, max_size=2))
    called = [
        ToolCall(call, draw(tool_names()), draw(argument_texts()), draw(_part_extras())) for call in calls
    ]
    return (*thoughts, *said, *called)


@st.composite
def _tools(draw: DrawFn, at_least: int) -> tuple[ToolSpec | ForeignTool, ...]:
    spec = st.builds(ToolSpec, tool_names(), st.none() | texts(), json_schemas(), _part_extras())
    tools: list[ToolSpec | ForeignTool] = list(
        draw(st.lists(spec, min_size=at_least, max_size=3, unique_by=lambda tool: tool.name))
    )
    if draw(st.integers(0, 4)) == 0:
        node: _Body = {"systemTool": {"name": "nova_grounding"}}
        tools.append(ForeignTool("nova_grounding", Extras(_BEDROCK, node)))
    return tuple(tools)


@cache
def _choices(name: str) -> SearchStrategy[ToolChoice]:
    return st.builds(ToolChoice, st.sampled_from((ToolMode.AUTO, ToolMode.REQUIRED)), extras=_extras()) | (
        st.builds(ToolChoice, st.just(ToolMode.NAMED), st.just(name), _extras())
    )


@cache
def _reasoning(claude: bool) -> SearchStrategy[ReasoningOptions]:
    efforts = st.sampled_from(("low", "medium", "high"))
    effort = st.builds(ReasoningOptions, effort=efforts)
    if not claude:
        return effort
    shown = st.just(NO_EXTRAS) | st.just(Extras(_ANTHROPIC, {"display": "omitted"}))
    adaptive = st.just(Extras(_ANTHROPIC, {"type": "adaptive"}))
    return (
        effort
        | st.builds(ReasoningOptions, st.just(True), st.none() | efforts, st.just(2048), shown)
        | st.builds(ReasoningOptions, st.just(False), extras=shown)
        | st.builds(ReasoningOptions, st.none(), st.none() | efforts, st.none(), adaptive)
    )


@st.composite
def bedrock_requests(draw: DrawFn) -> Request:
    """Requests in the dialect's normal form."""
    model = draw(st.sampled_from(_MODELS))
    claude = model == _CLAUDE
    messages = draw(_messages())
    has_calls = any(isinstance(part, ToolCall | ToolResult) for message in messages for part in message.parts)
    tools = draw(_tools(int(has_calls)))
    named = [tool.name for tool in tools if isinstance(tool, ToolSpec)]
    wanted = st.builds(
        OutputFormat,
        st.just(OutputKind.JSON_SCHEMA),
        json_schemas(),
        st.none() | tool_names(),
        extras=_extras(),
    )
    return Request(
        model=model,
        messages=messages,
        tools=tools,
        tool_choice=draw(st.none() | _choices(named[0])) if named else None,
        max_output_tokens=draw(st.none() | st.integers(1, 64_000)),
        sampling=Sampling(
            temperature=draw(st.none() | st.sampled_from((0.0, 0.1, 1.0))),
            top_p=draw(st.none() | st.sampled_from((0.9, 1.0))),
            top_k=draw(st.none() | st.integers(1, 500)) if claude else None,
            stop=tuple(draw(st.lists(texts(), max_size=3))),
        ),
        reasoning=draw(st.none() | _reasoning(claude)),
        output_format=draw(st.none() | wanted),
        stream=draw(st.booleans()),
        extras=draw(_extras()),
    )


@st.composite
def _usages(draw: DrawFn) -> Usage:
    counts = st.integers(0, 200_000)
    read, written = draw(st.none() | counts), draw(st.none() | counts)
    one_hour = None if written is None else draw(st.none() | st.integers(0, written))
    total = draw(counts) + (read or 0) + (written or 0)
    return Usage(total, draw(counts), read, written, one_hour)


@st.composite
def bedrock_responses(draw: DrawFn) -> Response:
    """Answers in the dialect's normal form, whole or streamed: nameless, as Converse's are."""
    ids = draw(st.lists(identifiers("tooluse_"), max_size=3, unique=True))
    calls = [ToolCall(call, draw(tool_names()), draw(argument_texts())) for call in ids]
    cited = Extras(_BEDROCK, {"citations": [{"title": "t"}, {"source": "s"}]})
    said = st.builds(Text, texts(), st.sampled_from((NO_EXTRAS, NO_EXTRAS, cited)))
    thoughts = st.builds(Reasoning, texts()) | _thoughts().map(
        lambda thought: Reasoning(thought.text, thought.seal, thought.redacted)
    )
    others: SearchStrategy[Part] = st.sampled_from((_SERVER_CALL, _SERVER_RESULT)).map(_foreign)
    others |= _images(False).map(lambda image: Image(image.source, image.value, image.media_type))
    parts: tuple[Part, ...] = (
        *draw(st.lists(thoughts, max_size=2)),
        *draw(st.lists(said, max_size=2)),
        *calls,
        *draw(st.lists(others, max_size=1)),
    )
    if calls:
        reason, extras = StopReason.TOOL_USE, draw(_extras())
    elif draw(st.integers(0, 3)) == 0:
        reason, extras = StopReason.REFUSAL, Extras(_BEDROCK, {"stopReason": "guardrail_intervened"})
    else:
        known = (StopReason.END_TURN, StopReason.MAX_TOKENS, StopReason.STOP_SEQUENCE, StopReason.REFUSAL)
        reason, extras = draw(st.sampled_from(known)), draw(_extras())
    return Response("", "", parts, reason, draw(_usages()), extras=extras)


# --- Bodies -------------------------------------------------------------------------------------------


def _sprinkled(draw: DrawFn, node: _Body) -> _Body:
    return {**node, **draw(extra_fields())} if draw(st.integers(0, 6)) == 0 else node


def _with_points(draw: DrawFn, blocks: list[_Body]) -> list[_Body]:
    """*blocks* with cache points among them, as callers set them."""
    marked: list[_Body] = []
    for block in blocks:
        marked.append(block)
        if draw(st.integers(0, 4)) == 0:
            marked.append({"cachePoint": draw(st.sampled_from(_POINTS))})
    return marked


def _user_block(draw: DrawFn) -> _Body:
    match draw(st.integers(0, 6)):
        case 0:
            source = {"bytes": draw(base64_texts())}
            return {"image": {"format": draw(st.sampled_from(("png", "gif"))), "source": source}}
        case 1:
            return {"image": {"format": "png", "source": {"s3Location": {"uri": "s3://b/k"}}}}
        case 2:
            return draw(st.sampled_from((_DOCUMENT, _GUARDED)))
        case _:
            return _sprinkled(draw, {"text": draw(_words())})


def _result_block(draw: DrawFn, call_id: str) -> _Body:
    items = st.sampled_from(({"json": {"a": 1}}, {"text": ""}, {"text": "né"}, _DOCUMENT))
    result: _Body = {"toolUseId": call_id, "content": draw(st.lists(items, max_size=2))}
    if draw(st.booleans()):
        result["status"] = draw(st.sampled_from(("success", "error")))
    return {"toolResult": _sprinkled(draw, result)}


def _answer_block(draw: DrawFn, *, is_request: bool) -> _Body:
    match draw(st.integers(0, 5)):
        case 0:
            told: _Body = {"text": draw(texts())}
            if is_request or draw(st.booleans()):
                told["signature"] = draw(base64_texts())
            return {"reasoningContent": {"reasoningText": _sprinkled(draw, told)}}
        case 1:
            return {"reasoningContent": {"redactedContent": draw(base64_texts())}}
        case 2 if not is_request:
            content = [{"text": draw(_words())}, {"text": draw(texts())}]
            return {"citationsContent": {"content": content, "citations": [{"title": "t"}]}}
        case 3 if not is_request:
            return draw(st.sampled_from((_SERVER_CALL, _SERVER_RESULT)))
        case _:
            return {"text": draw(_words())}


def _call_block(draw: DrawFn, call_id: str) -> _Body:
    call = {"toolUseId": call_id, "name": draw(tool_names()), "input": draw(json_objects())}
    return {"toolUse": _sprinkled(draw, call)}


def _body_messages(draw: DrawFn) -> list[_Body]:
    messages: list[_Body] = []
    calls: list[str] = []
    for turn in range(draw(st.integers(1, 3))):
        blocks = [_result_block(draw, call) for call in calls]
        blocks += [_user_block(draw) for _ in range(draw(st.integers(0 if blocks else 1, 2)))]
        messages.append(_sprinkled(draw, {"role": "user", "content": _with_points(draw, blocks)}))
        if draw(st.integers(0, 3)) == 0:
            break
        calls = [f"tooluse_{turn}_{number}" for number in range(draw(st.integers(0, 2)))]
        blocks = [_answer_block(draw, is_request=True) for _ in range(draw(st.integers(not calls, 2)))]
        blocks += [_call_block(draw, call) for call in calls]
        messages.append({"role": "assistant", "content": _with_points(draw, blocks)})
    return messages


def _body_tools(draw: DrawFn, at_least: int) -> list[_Body]:
    tools: list[_Body] = []
    for name in draw(st.lists(tool_names(), min_size=at_least, max_size=3, unique=True)):
        spec: _Body = {"name": name, "inputSchema": {"json": draw(json_schemas())}}
        if draw(st.booleans()):
            spec["description"] = draw(_words())
        if draw(st.integers(0, 3)) == 0:
            spec["strict"] = draw(st.booleans())
        tools.append({"toolSpec": spec})
    return _with_points(draw, tools)


@st.composite
def bedrock_request_bodies(draw: DrawFn) -> _Body:
    """Request bodies a caller of Converse may write, with the model and whether to stream in them."""
    model = draw(st.sampled_from(_MODELS))
    body: _Body = {"modelId": model, "messages": _body_messages(draw)}
    if draw(st.booleans()):
        prompt = [{"text": draw(_words())} for _ in range(draw(st.integers(1, 2)))]
        body["system"] = _with_points(draw, prompt)
    has_calls = any(
        not block.keys().isdisjoint(("toolUse", "toolResult"))
        for message in body["messages"]
        for block in message["content"]
    )
    tools = _body_tools(draw, int(has_calls))
    if tools:
        config: _Body = {"tools": tools}
        named = {"tool": {"name": tools[0]["toolSpec"]["name"]}}
        choice = draw(st.sampled_from((None, {"auto": {}}, {"any": {}}, named)))
        if choice is not None:
            config["toolChoice"] = choice
        body["toolConfig"] = config
    options: dict[str, SearchStrategy[Any]] = {
        "inferenceConfig": st.fixed_dictionaries(
            {},
            optional={
                "maxTokens": st.integers(1, 64_000),
                "temperature": st.sampled_from((0, 0.1, 1)),
                "topP": st.sampled_from((0.9, 1)),
                "stopSequences": st.lists(texts(), max_size=2),
            },
        ),
        "additionalModelRequestFields": st.sampled_from(
            (
                {"top_k": 40},
                {"thinking": {"type": "enabled", "budget_tokens": 2048}},
                {"thinking": {"type": "adaptive"}, "anthropic_beta": ["context-1m-2025-08-07"]},
                {"inferenceConfig": {"topK": 20}},
            )
        ),
        "outputConfig": st.just({"effort": "high"})
        | json_schemas().map(
            lambda schema: {
                "textFormat": {
                    "type": "json_schema",
                    "structure": {
                        "jsonSchema": {"schema": json.dumps(schema), "name": "n", "description": "d"}
                    },
                }
            }
        ),
        "guardrailConfig": st.just({"guardrailIdentifier": "g", "guardrailVersion": "1", "trace": "enabled"}),
        "requestMetadata": st.just({"team": "né"}),
        "performanceConfig": st.just({"latency": "optimized"}),
        "serviceTier": st.just({"type": "flex"}),
        "additionalModelResponseFieldPaths": st.just(["/stop_sequence"]),
        "stream": st.booleans(),
    }
    for name in draw(st.lists(st.sampled_from(sorted(options)), max_size=5, unique=True)):
        body[name] = draw(options[name])
    return _sprinkled(draw, body)


@st.composite
def bedrock_response_bodies(draw: DrawFn) -> _Body:
    """Whole answers of Converse."""
    calls = [f"tooluse_{number}" for number in range(draw(st.integers(0, 2)))]
    content = [_answer_block(draw, is_request=False) for _ in range(draw(st.integers(0, 3)))]
    content += [_call_block(draw, call) for call in calls]
    read, written = draw(st.integers(0, 10**6)), draw(st.integers(0, 10**5))
    usage: _Body = {"inputTokens": draw(st.integers(0, 10**6)), "outputTokens": draw(st.integers(0, 10**5))}
    usage["totalTokens"] = usage["inputTokens"] + usage["outputTokens"]
    if draw(st.booleans()):
        usage |= {"cacheReadInputTokens": read, "cacheWriteInputTokens": written}
        usage["totalTokens"] += read + written
        if draw(st.booleans()):
            usage["cacheDetails"] = [{"ttl": "1h", "inputTokens": written}] if written else []
    body: _Body = {
        "output": {"message": {"role": "assistant", "content": content}},
        "stopReason": "tool_use" if calls else draw(st.sampled_from(_REASONS)),
        "usage": usage,
        "metrics": {"latencyMs": draw(st.integers(0, 10**5))},
    }
    if draw(st.integers(0, 3)) == 0:
        body["trace"] = {
            "promptRouter": {"invokedModelId": "arn:aws:bedrock:us-east-1::foundation-model/x.y"}
        }
    if draw(st.integers(0, 3)) == 0:
        body["additionalModelResponseFields"] = {"stop_sequence": None}
    return _sprinkled(draw, body)
