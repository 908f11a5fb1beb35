"""Requests, messages, parts and answers, generated.  See `lynkr.testing.strategies`.

Needs the extra ``testing``.
"""

from collections.abc import Mapping
from functools import cache
from typing import Final

from attrs import frozen
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
from lynkr.testing.bedrock_values import bedrock_requests, bedrock_responses
from lynkr.testing.gemini_values import gemini_requests, gemini_responses
from lynkr.testing.ollama_values import ollama_requests, ollama_responses
from lynkr.testing.primitives import (
    argument_texts,
    base64_texts,
    extra_fields,
    identifiers,
    json_schemas,
    texts,
    tool_names,
)

__all__ = [
    "conversations",
    "extras",
    "messages",
    "parts",
    "requests",
    "responses",
    "tool_calls",
    "tool_specs",
    "usages",
]

_ANTHROPIC: Final = WireFormat.ANTHROPIC_MESSAGES
_OPENAI: Final = WireFormat.OPENAI_CHAT
_RESPONSES: Final = WireFormat.OPENAI_RESPONSES
_OWNERS: Final = (_ANTHROPIC, _OPENAI, _RESPONSES, WireFormat.GEMINI)


@frozen
class _Form:
    """What a dialect's normal form can hold, as data; the defaults are the model's own freedom."""

    owners: tuple[WireFormat, ...] = _OWNERS
    is_free: bool = False
    top_k: bool = True
    seed: bool = True
    stop: bool = True
    max_temperature: float = 2.0
    stop_reasons: tuple[StopReason, ...] = tuple(StopReason)


_FREE: Final = _Form(is_free=True)
_FORMS: Final = {
    _ANTHROPIC: _Form(
        owners=(_ANTHROPIC,),
        seed=False,
        max_temperature=1.0,
        stop_reasons=tuple(reason for reason in StopReason if reason is not StopReason.OTHER),
    ),
    _OPENAI: _Form(
        owners=(_OPENAI,),
        top_k=False,
        stop_reasons=(StopReason.END_TURN, StopReason.MAX_TOKENS, StopReason.TOOL_USE, StopReason.REFUSAL),
    ),
    _RESPONSES: _Form(
        owners=(_RESPONSES,),
        top_k=False,
        seed=False,
        stop=False,
        stop_reasons=(StopReason.END_TURN, StopReason.MAX_TOKENS, StopReason.TOOL_USE, StopReason.REFUSAL),
    ),
}


def _form(format: WireFormat | None) -> _Form:
    if format is None:
        return _FREE
    if format not in _FORMS:
        raise ValueError(f"no normal form is written down for {format.value}")
    return _FORMS[format]


# --- Parts --------------------------------------------------------------------------------------------


@cache
def extras(format: WireFormat | None = None) -> SearchStrategy[Extras]:
    """Usually none, else fields no dialect knows, tagged *format* (any format's if None)."""
    owners = st.sampled_from(_form(format).owners)
    some = st.builds(Extras, owners, extra_fields())
    return st.just(NO_EXTRAS) | st.just(NO_EXTRAS) | some


@cache
def _texts(format: WireFormat | None) -> SearchStrategy[Text]:
    return st.builds(Text, texts(empty=format is None), extras(format))


@cache
def _images(format: WireFormat | None) -> SearchStrategy[Image]:
    media_types = st.sampled_from(("image/png", "image/webp"))
    inline = st.builds(Image, st.just(ImageSource.BASE64), base64_texts(), media_types, extras(format))
    urls = st.sampled_from(("https://example.com/a.png", "https://example.com/b?c=d&e=é"))
    return inline | st.builds(Image, st.just(ImageSource.URL), urls, st.none(), extras(format))


_FOREIGN_USER: Final[Mapping[WireFormat, tuple[Mapping[str, Json], ...]]] = {
    _ANTHROPIC: (
        {"type": "document", "source": {"type": "file", "file_id": "file_1"}, "x_note": 1},
        {"type": "search_result", "source": "s", "title": "t", "content": [{"type": "text", "text": "c"}]},
    ),
    _OPENAI: (
        {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}},
        {"type": "file", "file": {"file_id": "file-1"}},
    ),
    _RESPONSES: (
        {"type": "input_file", "file_id": "file-1"},
        {"type": "input_image", "file_id": "file-2", "detail": "auto"},
    ),
    WireFormat.GEMINI: ({"executableCode": {"language": "PYTHON", "code": "1"}},),
}
_FOREIGN_ANSWER: Final[Mapping[WireFormat, tuple[Mapping[str, Json], ...]]] = {
    _RESPONSES: (
        {"type": "web_search_call", "id": "ws_1", "status": "completed", "action": {"type": "search"}},
        {"type": "item_reference", "id": "msg_9"},
    ),
    _ANTHROPIC: (
        {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {"query": "né"}},
        {"type": "web_search_tool_result", "tool_use_id": "srvtoolu_1", "content": []},
    ),
}


@cache
def _foreign_parts(format: WireFormat | None) -> SearchStrategy[Foreign]:
    pairs = [(owner, value) for owner in _form(format).owners for value in _FOREIGN_USER.get(owner, ())]
    return st.sampled_from(pairs).map(lambda pair: Foreign(*pair))


@cache
def _reasoning(format: WireFormat | None) -> SearchStrategy[Reasoning]:
    """Anthropic seals every thought; OpenAI Chat's hosts send bare text."""
    if format is _OPENAI:
        return st.builds(Reasoning, texts())
    owners = st.sampled_from(_form(format).owners)
    seals = st.builds(Opaque, owners, base64_texts())
    sealed = st.builds(Reasoning, texts(empty=format is None), seals, st.just(False), extras(format))
    redacted = st.builds(Reasoning, st.just(""), seals, st.just(True))
    return sealed | redacted | (st.builds(Reasoning, texts()) if format is None else st.nothing())


def tool_calls(
    format: WireFormat | None = None, *, ids: SearchStrategy[str] | None = None
) -> SearchStrategy[ToolCall]:
    """Calls whose arguments are compact JSON objects; of any spelling, or broken, if *format* is None."""
    arguments = argument_texts(odd=format is None)
    ids = identifiers("call_") if ids is None else ids
    return st.builds(ToolCall, ids, tool_names(), arguments, extras(format))


@st.composite
def _tool_results(draw: DrawFn, format: WireFormat | None, call_id: str) -> ToolResult:
    inner: SearchStrategy[Text | Image | Foreign] = _texts(format)
    if format is not _OPENAI:
        inner |= _images(format)
    content = draw(st.lists(inner, min_size=int(format is _OPENAI), max_size=2))
    is_error = format not in (_OPENAI, _RESPONSES) and draw(st.booleans())
    return ToolResult(call_id, tuple(content), is_error, draw(extras(format)))


@cache
def parts(format: WireFormat | None = None) -> SearchStrategy[Part]:
    """Single parts of every kind, out of context."""
    results = identifiers("call_").flatmap(lambda call_id: _tool_results(format, call_id))
    return st.one_of(
        _texts(format),
        _images(format),
        _reasoning(format),
        tool_calls(format),
        results,
        _foreign_parts(format),
    )


# --- Messages -----------------------------------------------------------------------------------------


@st.composite
def _user_messages(draw: DrawFn, format: WireFormat | None, open_calls: tuple[str, ...] = ()) -> Message:
    results: list[Part] = [draw(_tool_results(format, call_id)) for call_id in open_calls]
    said = draw(
        st.lists(
            st.one_of(_texts(format), _texts(format), _images(format), _foreign_parts(format)),
            min_size=0 if results else 1,
            max_size=3,
        )
    )
    content = (*results, *said)
    if format is None:
        content = tuple(draw(st.permutations(content)))
    # OpenAI: a message of results alone becomes tool messages, with no node left to hold extras.
    homeless = format in (_OPENAI, _RESPONSES) and not said
    return Message(Role.USER, content, NO_EXTRAS if homeless else draw(extras(format)))


@st.composite
def _assistant_messages(draw: DrawFn, format: WireFormat | None, call_ids: tuple[str, ...] = ()) -> Message:
    calls = [draw(tool_calls(format, ids=st.just(call_id))) for call_id in call_ids]
    answer = draw(_answers(format, tuple(calls)))
    # Responses lists what an assistant did item by item: there is no message around it.
    return Message(Role.ASSISTANT, answer, NO_EXTRAS if format is _RESPONSES else draw(extras(format)))


@st.composite
def _answers(draw: DrawFn, format: WireFormat | None, calls: tuple[ToolCall, ...]) -> tuple[Part, ...]:
    """Thoughts, words, then calls: the order every dialect knows.  Free values come in any order."""
    thoughts = draw(st.lists(_reasoning(format), max_size=1 if format is _OPENAI else 2))
    said = draw(st.lists(_texts(format), min_size=0 if calls or thoughts else 1, max_size=2))
    answer: tuple[Part, ...] = (*thoughts, *said, *calls)
    if format is not _OPENAI and draw(st.integers(0, 4)) == 0:
        owner = draw(st.sampled_from(_form(format).owners))
        foreign = draw(st.sampled_from(_FOREIGN_ANSWER.get(owner) or _FOREIGN_USER[owner]))
        answer = (*answer, Foreign(owner, foreign))
    if format is not _OPENAI:
        answer = tuple(draw(st.permutations(answer)))
    return answer


@cache
def messages(format: WireFormat | None = None) -> SearchStrategy[Message]:
    """Single messages of every role, out of context."""
    return st.one_of(
        st.builds(Message, st.just(Role.SYSTEM), _texts(format).map(lambda text: (text,)), extras(format)),
        _user_messages(format),
        _user_messages(format, ("call_1", "call_2")),
        _assistant_messages(format),
        _assistant_messages(format, ("call_1",)),
    )


@st.composite
def conversations(
    draw: DrawFn, format: WireFormat | None = None, *, max_turns: int = 3
) -> tuple[Message, ...]:
    """A system prompt perhaps, then turns in which every tool result answers an earlier call."""
    said = list(draw(_system_prompts(format)))
    open_calls: tuple[str, ...] = ()
    for turn in range(draw(st.integers(1, max_turns))):
        said.append(draw(_user_messages(format, open_calls)))
        if format is not _OPENAI and draw(st.integers(0, 5)) == 0:
            said.append(Message(Role.SYSTEM, (draw(_texts(format)),), draw(extras(format))))
        if format is None and draw(st.integers(0, 5)) == 0:
            said.append(draw(_user_messages(format)))
        if draw(st.integers(0, 3)) == 0:
            break
        open_calls = tuple(f"call_{turn}_{number}" for number in range(draw(st.integers(0, 3))))
        said.append(draw(_assistant_messages(format, open_calls)))
    return tuple(said)


@st.composite
def _system_prompts(draw: DrawFn, format: WireFormat | None) -> tuple[Message, ...]:
    # Anthropic has one system field, a list of texts without a node of its own.
    single = format is _ANTHROPIC
    count = draw(st.integers(0, 1 if single else 2))
    return tuple(
        Message(
            Role.SYSTEM,
            tuple(draw(st.lists(_texts(format), min_size=1, max_size=2))),
            NO_EXTRAS if single else draw(extras(format)),
        )
        for _ in range(count)
    )


# --- Requests -----------------------------------------------------------------------------------------


@cache
def tool_specs(format: WireFormat | None = None) -> SearchStrategy[ToolSpec]:
    return st.builds(ToolSpec, tool_names(), st.none() | texts(), json_schemas(), extras(format))


_FOREIGN_TOOLS: Final[Mapping[WireFormat, Mapping[str, Json]]] = {
    _ANTHROPIC: {"type": "web_search_20250305", "name": "web_search", "max_uses": 3},
    _OPENAI: {"type": "custom", "custom": {"name": "web_search", "format": {"type": "text"}}},
    _RESPONSES: {"type": "web_search", "search_context_size": "low"},
    WireFormat.GEMINI: {"googleSearch": {}},
}


@st.composite
def _tool_lists(draw: DrawFn, format: WireFormat | None) -> tuple[ToolSpec | ForeignTool, ...]:
    named = draw(st.lists(tool_specs(format), max_size=3, unique_by=lambda spec: spec.name))
    tools: list[ToolSpec | ForeignTool] = [spec for spec in named if spec.name != "web_search"]
    if draw(st.integers(0, 4)) == 0:
        owner = draw(st.sampled_from(_form(format).owners))
        tools.append(ForeignTool("web_search", Extras(owner, _FOREIGN_TOOLS[owner])))
    return tuple(tools)


@st.composite
def _tool_choices(
    draw: DrawFn, format: WireFormat | None, tools: tuple[ToolSpec | ForeignTool, ...]
) -> ToolChoice | None:
    names = [tool.name for tool in tools if isinstance(tool, ToolSpec)]
    if not names or draw(st.booleans()):
        return None
    mode = draw(st.sampled_from(ToolMode))
    # OpenAI spells the other modes as bare words, which hold no further fields.
    bare = format in (_OPENAI, _RESPONSES) and mode is not ToolMode.NAMED
    return ToolChoice(
        mode, names[0] if mode is ToolMode.NAMED else None, NO_EXTRAS if bare else draw(extras(format))
    )


@st.composite
def _samplings(draw: DrawFn, format: WireFormat | None) -> Sampling:
    form = _form(format)
    temperatures = [value for value in (0.0, 0.1, 1.0, 1.5, 2.0) if value <= form.max_temperature]
    return Sampling(
        temperature=draw(st.none() | st.sampled_from(temperatures)),
        top_p=draw(st.none() | st.sampled_from((0.9, 1.0))),
        top_k=draw(st.none() | st.integers(1, 500)) if form.top_k else None,
        seed=draw(st.none() | st.integers(0, 2**31)) if form.seed else None,
        stop=tuple(draw(st.lists(texts(), max_size=3))) if form.stop else (),
    )


@cache
def _reasoning_options(format: WireFormat | None) -> SearchStrategy[ReasoningOptions]:
    efforts = st.sampled_from(("low", "medium", "high"))
    budgets = st.sampled_from((1024, 4096, 32_000))
    on = st.builds(ReasoningOptions, st.just(True), st.none() | efforts, budgets, extras(format))
    effort = st.builds(ReasoningOptions, st.none(), efforts)
    match format:
        case WireFormat.OPENAI_CHAT:
            return effort
        case WireFormat.OPENAI_RESPONSES:
            return st.builds(ReasoningOptions, st.none(), st.none() | efforts, st.none(), extras(format))
        case WireFormat.ANTHROPIC_MESSAGES:
            return on | effort | st.builds(ReasoningOptions, st.just(False))
        case _:
            everything = st.builds(
                ReasoningOptions,
                st.none() | st.booleans(),
                st.none() | efforts,
                st.none() | budgets,
                extras(format),
            )
            return on | everything


@cache
def _output_formats(format: WireFormat | None) -> SearchStrategy[OutputFormat]:
    schemas = json_schemas()
    if format is _ANTHROPIC:
        return st.builds(OutputFormat, st.just(OutputKind.JSON_SCHEMA), schemas, extras=extras(format))
    named = st.builds(
        OutputFormat,
        st.just(OutputKind.JSON_SCHEMA),
        schemas,
        tool_names(),
        st.none() | st.booleans(),
        extras(format),
    )
    return named | st.builds(OutputFormat, st.just(OutputKind.JSON_OBJECT), extras=extras(format))


@st.composite
def requests(draw: DrawFn, format: WireFormat | None = None) -> Request:
    """Whole requests."""
    if format is WireFormat.OLLAMA_CHAT:
        return draw(ollama_requests())
    if format is WireFormat.GEMINI:
        return draw(gemini_requests())
    if format is WireFormat.BEDROCK_CONVERSE:
        return draw(bedrock_requests())
    tools = draw(_tool_lists(format))
    choice = draw(_tool_choices(format, tools))
    # Anthropic says "no parallel calls" inside tool_choice.
    may_limit = (
        bool(tools) if format is not _ANTHROPIC else choice is not None and choice.mode is not ToolMode.NONE
    )
    limits = st.integers(16 if format is _RESPONSES else 1, 64_000)
    return Request(
        model=draw(st.sampled_from(("auto", "gpt-5", "claude-opus-4-5", "anthropic:né model"))),
        messages=draw(conversations(format)),
        tools=tools,
        tool_choice=choice,
        parallel_tool_calls=draw(st.none() | st.booleans()) if may_limit else None,
        max_output_tokens=draw(limits if format is _ANTHROPIC else st.none() | limits),
        sampling=draw(_samplings(format)),
        reasoning=draw(st.none() | _reasoning_options(format)),
        output_format=draw(st.none() | _output_formats(format)),
        user=draw(st.none() | texts()),
        stream=draw(st.booleans()),
        extras=draw(extras(format)),
    )


# --- Answers ------------------------------------------------------------------------------


@st.composite
def usages(draw: DrawFn, format: WireFormat | None = None) -> Usage:
    """Counts that obey the model's invariant: the input includes both cache counts, and so on."""
    counts = st.integers(0, 200_000)
    read, written = draw(st.none() | counts), draw(st.none() | counts)
    thought = draw(st.none() | counts)
    if format is _OPENAI:
        written = None
    if format is _ANTHROPIC:
        thought = None
    if format is _RESPONSES:
        read, written, thought = read or 0, written or 0, thought or 0
    one_hour = None if written is None else draw(st.none() | st.integers(0, written))
    if format is _RESPONSES:
        one_hour = None
    usage = Usage(
        input=draw(counts) + (read or 0) + (written or 0),
        output=draw(counts) + (thought or 0),
        cache_read=read,
        cache_write=written,
        cache_write_1h=one_hour,
        reasoning=thought,
    )
    if format is None and draw(st.integers(0, 3)) == 0:
        return NO_USAGE
    return usage


@st.composite
def responses(draw: DrawFn, format: WireFormat | None = None) -> Response:
    """Whole answers."""
    if format is WireFormat.OLLAMA_CHAT:
        return draw(ollama_responses())
    if format is WireFormat.GEMINI:
        return draw(gemini_responses())
    if format is WireFormat.BEDROCK_CONVERSE:
        return draw(bedrock_responses())
    ids = draw(st.lists(identifiers("call_"), max_size=3, unique=True))
    calls = tuple(draw(tool_calls(format, ids=st.just(call_id))) for call_id in ids)
    answer = draw(_answers(format, calls))
    if format is _OPENAI:
        answer = _as_one_choice(answer)
    reason = draw(st.sampled_from(_form(format).stop_reasons))
    if format is not None:
        reason = (
            StopReason.TOOL_USE
            if calls
            else reason
            if reason is not StopReason.TOOL_USE
            else StopReason.END_TURN
        )
    return Response(
        id=draw(identifiers("msg_")),
        model=draw(st.sampled_from(("gpt-5", "claude-opus-4-5"))),
        parts=answer,
        stop_reason=reason,
        usage=draw(usages(format)),
        stop_sequence=draw(texts()) if reason is StopReason.STOP_SEQUENCE else None,
        created=draw(st.integers(0, 2**31))
        if format in (_OPENAI, _RESPONSES) or (format is None and draw(st.booleans()))
        else None,
        extras=draw(extras(format)),
    )


def _as_one_choice(answer: tuple[Part, ...]) -> tuple[Part, ...]:
    """OpenAI Chat answers in one string, so there is one text, and it holds no fields of its own."""
    said = "".join(part.text for part in answer if isinstance(part, Text))
    thoughts = [part for part in answer if isinstance(part, Reasoning)]
    calls = [part for part in answer if isinstance(part, ToolCall)]
    return (*thoughts, *((Text(said),) if said else ()), *calls)
