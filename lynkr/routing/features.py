"""What routing looks at: `Request` to `Features`, in time that does not grow with the length of its texts.

Sizes come from string lengths; only the newest ask and a few before it are
read word by word (`lynkr.routing.reading`), and of tool calls only the path
they wrote to.
"""

import re
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from enum import StrEnum
from typing import Final, TypeAlias

from attrs import field, frozen

from lynkr.model import (
    NO_EXTRAS,
    Json,
    Message,
    Request,
    Role,
    Text,
    ToolCall,
    ToolMode,
    ToolResult,
    ToolSpec,
)
from lynkr.routing.context import NO_CONTEXT, RequestClass, RequestContext
from lynkr.routing.familiar import Familiar, Tools
from lynkr.routing.harness import (
    ERROR_MARKS,
    HARMLESS_SEGMENTS,
    HARNESS_TOOLS,
    LIGHT_AGENTS,
    PLANNING_AGENTS,
    PROBES,
    RISKY_SEGMENTS,
    SIDE_OPENINGS,
    SIDE_SYSTEMS,
    TITLE_FIELDS,
)
from lynkr.routing.history import Block, Blocks, Size, blocks_of, folded_name, size_of
from lynkr.routing.media import Media, MediaKind, answers_asked, distinct, media_asked
from lynkr.routing.reading import NOTHING, AskKind, Reading, read, read_words

WINDOW: Final = 5
"""Asks that are read: the newest and those before it."""

_EARLIER_CHARS: Final = 600
_FAMILIAR_CHARS: Final = 4_096
"""To tell whether a longer ask is known would take as long as to read it."""
_BYTES_PER_TOKEN: Final = 4
_MOST_BYTES_PER_TOKEN: Final = 8
_TOKENS_PER_IMAGE: Final = 1_500
_TOKENS_PER_MESSAGE: Final = 4
_RECENT_RESULTS: Final = 8
_SYSTEM_HEAD: Final = 1_200
_OPENINGS: Final = tuple(mark for mark, _ in SIDE_OPENINGS)
_UNASKED: Final = (NOTHING,)
# In CPython 3.11 a member looked up on its class costs 100 ns.
_SYSTEM: Final = Role.SYSTEM
_NO_TOOLS: Final = ToolMode.NONE
_NEW: Final = AskKind.NEW
_SMALL_TALK: Final = AskKind.SMALL_TALK


class Traffic(StrEnum):
    """Who a request is for: the user, or the harness's own upkeep."""

    MAIN = "main"
    TITLE = "title"
    SUMMARY = "summary"
    SUGGESTION = "suggestion"
    COMPACTION = "compaction"
    PROBE = "probe"


_MAIN: Final = Traffic.MAIN


@frozen
class Features:
    """Everything scorers, policies and rules need to know of a request.

    *ask* is the user's newest words with the harness's envelopes taken off:
    the only prompt text held here, kept out of `repr`.  *reading* is what its
    words say, *earlier* the readings of up to four asks before it, newest first.

    *input_tokens* is the expected size of the whole prompt, *least_input_tokens*
    what it surely reaches; both are estimates from lengths.

    *loop_results* counts tool results since the newest ask, *recent_errors*
    the failures among the last eight of them.  *files_written* counts the paths that tool
    calls wrote to since the task was set, *touched* names the risky words in them.
    *extra_tools* leaves out the tools a coding agent always brings.

    *loop_open* says that the answer continues a tool loop: the last message holds
    tool results, or calls that wait for them.  *request_class* and *agent_type* are
    the client's own statement, None where it made none.

    *media* are the kinds of parts that go in their own dialect or not at all.

    *words* are those of *ask* as they were read, folded and in UTF-8: kept so that nobody splits it again;
    empty where nobody split it.
    """

    ask: str = field(default="", repr=False)
    reading: Reading = NOTHING
    earlier: tuple[Reading, ...] = ()
    traffic: Traffic = Traffic.MAIN
    input_tokens: int = 0
    least_input_tokens: int = 0
    max_output_tokens: int | None = None
    messages: int = 0
    tool_results: int = 0
    loop_results: int = 0
    recent_errors: int = 0
    in_tool_loop: bool = False
    touched: tuple[str, ...] = ()
    files_written: int = 0
    tools: int = 0
    extra_tools: int = 0
    images: int = 0
    needs_tools: bool = False
    needs_structured_output: bool = False
    reasoning_effort: str | None = None
    loop_open: bool = False
    request_class: RequestClass | None = None
    agent_type: str | None = None
    media: tuple[Media, ...] = ()
    words: Sequence[bytes] = field(default=(), repr=False, eq=False)

    @property
    def has_ask(self) -> bool:
        """The user typed something, now or before.  Known in a replay too, where `ask` may not be."""
        return bool(self.ask)

    @property
    def has_tools(self) -> bool:
        return self.tools > 0

    @property
    def needs_vision(self) -> bool:
        return self.images > 0

    @property
    def has_audio(self) -> bool:
        """Audio is sent, referred to, or wanted as the answer."""
        return any(media.kind is MediaKind.AUDIO for media in self.media)

    @property
    def has_document(self) -> bool:
        return any(media.kind is MediaKind.DOCUMENT for media in self.media)

    @property
    def is_side_traffic(self) -> bool:
        """The harness's own upkeep: by what the client states, or else by what the request says."""
        if self.request_class is not None:
            return self.request_class.is_side
        return self.traffic is not _MAIN

    @property
    def is_compaction(self) -> bool:
        """The whole conversation is to be summed up."""
        if self.request_class is not None:
            return self.request_class is RequestClass.COMPACTION
        return self.traffic is Traffic.COMPACTION

    @property
    def is_exploring_subagent(self) -> bool:
        """A subagent that only looks around (Claude Code's Explore, its guide, its statusline)."""
        return self.agent_type is not None and self.agent_type.casefold() in LIGHT_AGENTS

    @property
    def is_planning_subagent(self) -> bool:
        """A subagent that designs what others will carry out."""
        return self.agent_type is not None and self.agent_type.casefold() in PLANNING_AGENTS

    @property
    def is_agentic(self) -> bool:
        return self.tools > 0 or self.tool_results > 0

    @property
    def is_small_talk(self) -> bool:
        """The newest ask is nothing but a greeting or thanks."""
        return self.reading.kind is _SMALL_TALK

    @property
    def is_risky(self) -> bool:
        """The ask changes something where a mistake is dear, or files of that kind were just written.

        Whole words only: an order to change ("fix", "rotate", "deploy"), with a
        word for access, money, keys, production or migrations, and not merely
        a change of wording.
        """
        said = self.reading.points
        asked = (
            "risky" in said and "changing" in said and "benign" not in said and not self.reading.is_knowledge
        )
        return asked or bool(self.touched)

    @property
    def is_autonomous(self) -> bool:
        """Tools are at hand, and the ask is to go on without the user until something is reached."""
        return self.tools > 0 and "autonomy" in self.reading.points

    @property
    def is_struggling(self) -> bool:
        """At least three of the loop's last tool results are failures."""
        return self.in_tool_loop and self.recent_errors >= 3


_Asks: TypeAlias = Sequence[tuple[int, str]]
"""What the user typed, the newest first: message index and text, up to `WINDOW` of them."""


@frozen
class _Loop:
    """Tool results since the newest ask, failures among the latest, paths written since the task was set."""

    results: int = 0
    errors: int = 0
    written: frozenset[str] = frozenset()


_NO_LOOP: Final = _Loop()


def features_of(
    request: Request, context: RequestContext = NO_CONTEXT, familiar: Familiar | None = None
) -> Features:
    """Look at a request once; *context* is what its client states beside it.

    *familiar* keeps what is found out about the parts a client sends each time, and changes no feature.

    >>> features_of(Request(model="auto", messages=(Message.user("hi there"),))).is_small_talk
    True
    """
    messages, tools, choice = request.messages, request.tools, request.tool_choice
    blocks = blocks_of(messages, Block) if familiar is None else familiar.history(messages)
    size = _whole(blocks)
    has_tool_parts = size.tool_results > 0 or size.tool_calls > 0
    offered, extra_tools = _offered(tools, familiar) if tools else (0, 0)
    asks = _spoken(blocks)
    newest, words, readings = _read(asks, len(messages), familiar)
    loop, ends_with = _NO_LOOP, None
    if has_tool_parts:
        loop, ends_with = _loop(blocks, asks, readings), _ends_with(messages)
    tokens, least = _tokens(size, offered, len(messages))
    written = loop.written
    return Features(
        newest,
        readings[0],
        readings[1:],
        _traffic(request, newest),
        tokens,
        least,
        request.max_output_tokens,
        len(messages),
        size.tool_results,
        loop.results,
        loop.errors,
        loop.results > 0 and ends_with is ToolResult,
        _risky_words(written) if written else (),
        len(written),
        len(tools),
        extra_tools,
        size.images,
        has_tool_parts or (bool(tools) and (choice is None or choice.mode is not _NO_TOOLS)),
        request.output_format is not None,
        None if request.reasoning is None else request.reasoning.effort,
        ends_with is not None,
        context.request_class,
        context.agent_type,
        _media(request, size),
        words,
    )


# --- Size ---------------------------------------------------------------------------------------------


def prompt_tokens(request: Request) -> tuple[int, int]:
    """`Features.input_tokens` and `Features.least_input_tokens`, without the rest of a look at *request*."""
    messages = request.messages
    return _tokens(size_of(messages), _look_at_tools(request.tools)[0], len(messages))


def _tokens(size: Size, offered: int, messages: int) -> tuple[int, int]:
    around = size.images * _TOKENS_PER_IMAGE + messages * _TOKENS_PER_MESSAGE
    length = size.bytes + offered
    return around + length // _BYTES_PER_TOKEN, length // _MOST_BYTES_PER_TOKEN


def _whole(blocks: Blocks) -> Size:
    if len(blocks) == 1:
        return blocks[0][1].size
    length = images = results = calls = 0
    media: tuple[Media | None, ...] = ()
    for _, block in blocks:
        size = block.size
        length += size.bytes
        images += size.images
        results += size.tool_results
        calls += size.tool_calls
        if size.media:
            media += size.media
    return Size(length, images, results, calls, media)


def _media(request: Request, size: Size) -> tuple[Media, ...]:
    if request.extras is not NO_EXTRAS:
        return distinct([media_asked(request), answers_asked(request), *size.media])
    return distinct(size.media) if size.media else ()


def _offered(tools: Tools, familiar: Familiar | None) -> tuple[int, int]:
    return _look_at_tools(tools) if familiar is None else familiar.tools(tools, _look_at_tools)


def _look_at_tools(tools: Tools) -> tuple[int, int]:
    """Their size in bytes, and how many of them a coding agent does not always bring."""
    size = 0
    for tool in tools:
        size += len(tool.name)
        if isinstance(tool, ToolSpec):
            # A mapping's repr is as long as its JSON, give or take the spelling of true and null.
            size += len(tool.description or "") + len(repr(tool.input_schema))
    return size, sum([folded_name(tool.name) not in HARNESS_TOOLS for tool in tools])


# --- Asks ---------------------------------------------------------------------------------------------


def _spoken(blocks: Blocks) -> _Asks:
    if len(blocks) == 1:
        return blocks[0][1].asks[:WINDOW]
    found: list[tuple[int, str]] = []
    for start, block in reversed(blocks):
        found += [(start + at, text) for at, text in block.asks]
        if len(found) >= WINDOW:
            break
    return found[:WINDOW]


def _read(
    asks: _Asks, messages: int, familiar: Familiar | None
) -> tuple[str, Sequence[bytes], tuple[Reading, ...]]:
    """The newest ask, its words, and what each of *asks* says; a conversation has *messages* messages."""
    if not asks:
        return "", (), _UNASKED
    at, newest = asks[0]
    words: Sequence[bytes] = ()
    # Where the conversation goes on after an ask, it was asked, and read, before.
    if familiar is not None and at < messages - 1 and len(newest) <= _FAMILIAR_CHARS:
        reading = familiar.reading(newest)
    else:
        reading, words = read_words(newest)
    if len(asks) == 1:
        return newest, words, (reading,)
    look = read if familiar is None else familiar.reading
    return newest, words, (reading, *[look(text[:_EARLIER_CHARS]) for _, text in asks[1:]])


def _traffic(request: Request, ask: str) -> Traffic:
    opening = ask[:80].casefold().lstrip()
    if opening.startswith(_OPENINGS):
        return next(Traffic(traffic) for mark, traffic in SIDE_OPENINGS if opening.startswith(mark))
    if request.tools:
        return _MAIN
    if opening.strip(" .!") in PROBES and len(request.messages) <= 2:
        return Traffic.PROBE
    if request.output_format is not None and _asks_for_title(request.output_format.schema):
        return Traffic.TITLE
    if request.messages and request.messages[0].role is _SYSTEM:
        head = " ".join(
            part.text[:_SYSTEM_HEAD] for part in request.messages[0].parts if isinstance(part, Text)
        )
        folded = head[: 3 * _SYSTEM_HEAD].casefold()
        for mark, traffic in SIDE_SYSTEMS:
            if mark in folded:
                return Traffic(traffic)
    return _MAIN


def _asks_for_title(schema: Json) -> bool:
    properties = schema.get("properties") if isinstance(schema, Mapping) else None
    return isinstance(properties, Mapping) and "title" in properties and TITLE_FIELDS.issuperset(properties)


# --- The tool loop ------------------------------------------------------------------------------------


def _task_start(asks: _Asks, readings: Sequence[Reading]) -> int:
    """Index of the message that set the present task: behind "continue" stands what is to be continued."""
    for (index, _), reading in zip(asks, readings, strict=False):
        if reading.kind is _NEW or reading.kind is _SMALL_TALK:
            return index
    return asks[-1][0] if asks else -1


def _ends_with(messages: Sequence[Message]) -> type[ToolResult] | type[ToolCall] | None:
    """What the last message leaves open: results to be taken up, or calls that wait for them."""
    for message in reversed(messages):
        if message.role is not _SYSTEM:
            kinds = {type(part) for part in message.parts}
            return ToolResult if ToolResult in kinds else ToolCall if ToolCall in kinds else None
    return None


def _loop(blocks: Blocks, asks: _Asks, readings: Sequence[Reading]) -> _Loop:
    task = _task_start(asks, readings)
    since = max(task + 1, asks[0][0] if asks else 0)
    results: list[ToolResult] = []
    written: set[str] = set()
    for start, block in reversed(blocks):
        end = start + len(block.messages)
        if end <= task + 1:
            break
        work = block.work
        if end > since:
            results += [result for at, result in work.results if start + at >= since]
        written.update([path for at, path in work.written if start + at > task])
    errors = sum(map(_has_failed, results[:_RECENT_RESULTS]))
    return _Loop(len(results), errors, frozenset(written))


def _has_failed(result: ToolResult) -> bool:
    if result.is_error:
        return True
    for part in result.content:
        if isinstance(part, Text):
            text = part.text
            ends = (text[:200] + text[-200:]).casefold()
            for hint, marks in ERROR_MARKS:
                if hint in ends:
                    for mark in marks:
                        if mark in ends:
                            return True
            return False
    return False


_SEGMENT: Final = re.compile(r"[a-z]+[0-9]?|[A-Z][a-z]+|[A-Z]+(?![a-z])|[0-9]+")


def _risky_words(paths: AbstractSet[str]) -> tuple[str, ...]:
    """The risky words among the segments of written paths, sorted; none for tests and documents."""
    found: set[str] = set()
    for path in paths:
        segments = frozenset(word.lower() for word in _SEGMENT.findall(path))
        if HARMLESS_SEGMENTS.isdisjoint(segments):
            found |= RISKY_SEGMENTS & segments
    return tuple(sorted(found))
