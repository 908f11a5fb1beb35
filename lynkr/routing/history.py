"""What stands in a conversation, looked at in blocks of messages.

Sizes come from string lengths; of a tool call only the path it wrote to is read.  A block of messages
is always looked at alike, whatever comes before and after it, so that what was found in one may be kept
(`lynkr.routing.familiar`): agents send the whole conversation with every request.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Final, TypeAlias

from attrs import define, field, frozen

from lynkr.model import (
    NO_EXTRAS,
    Foreign,
    Image,
    Message,
    Reasoning,
    Role,
    Text,
    ToolCall,
    ToolResult,
)
from lynkr.routing.envelope import strip_envelopes
from lynkr.routing.harness import PATH_KEYS, WRITE_TOOLS
from lynkr.routing.media import Media, media_answered, media_of

BLOCK: Final = 16
"""Messages of a block; the last block of a conversation may have fewer."""

_ARGUMENT_HEAD: Final = 4_096
# In CPython 3.11 a member looked up on its class costs 100 ns.
_USER: Final = Role.USER


@frozen
class Size:
    """*bytes* are those of the visible text in UTF-8; *media* keeps repetitions."""

    bytes: int
    images: int
    tool_results: int
    tool_calls: int
    media: tuple[Media | None, ...]


@frozen
class Work:
    """Tool results, the latest message's first, and the paths that calls wrote to; each with its offset.

    *called* are the ids of the calls, *awaited* those that results answer and no call before them has;
    *is_plain* says that there is no part of which that cannot be told.
    """

    results: tuple[tuple[int, ToolResult], ...]
    written: tuple[tuple[int, str], ...]
    called: frozenset[str]
    awaited: frozenset[str]
    is_plain: bool


@define(eq=False)
class Block:
    """Some *messages* in a row, of which everything is found out when it is first asked for."""

    messages: tuple[Message, ...]
    _size: Size | None = field(default=None, init=False)
    _asks: tuple[tuple[int, str], ...] | None = field(default=None, init=False)
    _work: Work | None = field(default=None, init=False)

    @property
    def size(self) -> Size:
        size = self._size
        if size is None:
            size = self._size = size_of(self.messages)
        return size

    @property
    def asks(self) -> tuple[tuple[int, str], ...]:
        """What the user typed, the newest first, each with its offset."""
        asks = self._asks
        if asks is None:
            asks = self._asks = asks_in(self.messages)
        return asks

    @property
    def work(self) -> Work:
        work = self._work
        if work is None:
            work = self._work = work_in(self.messages)
        return work


Blocks: TypeAlias = Sequence[tuple[int, Block]]
"""A conversation: where each block begins, and the block."""


def blocks_of(messages: tuple[Message, ...], block_of: Callable[[tuple[Message, ...]], Block]) -> Blocks:
    """*messages* in blocks; *block_of* gives those that are whole, which the next request may bring again."""
    count = len(messages)
    if count <= BLOCK:
        return ((0, Block(messages)),)
    whole = count - count % BLOCK
    blocks = [(at, block_of(messages[at : at + BLOCK])) for at in range(0, whole, BLOCK)]
    if whole < count:
        blocks.append((whole, Block(messages[whole:])))
    return blocks


def is_answered_in_order(blocks: Blocks) -> bool:
    """Whether surely every tool result comes after the call that it answers.

    False where there is a part of which that cannot be said.
    """
    called: set[str] = set()
    for _, block in blocks:
        work = block.work
        if not (work.is_plain and work.awaited <= called):
            return False
        called |= work.called
    return True


# --- One block ----------------------------------------------------------------------------------------


def _bytes_in(text: str) -> int:
    """Length in UTF-8: a fair measure for every alphabet, and free for ASCII."""
    return len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))


def size_of(messages: Sequence[Message]) -> Size:
    size = images = results = calls = 0
    media: list[Media | None] = []
    for message in messages:
        if message.extras is not NO_EXTRAS and message.extras.fields:
            media.append(media_answered(message))
        for part in message.parts:
            if isinstance(part, Text):
                text = part.text
                size += len(text) if text.isascii() else _bytes_in(text)
            elif isinstance(part, ToolResult):
                results += 1
                for inner in part.content:
                    if isinstance(inner, Text):
                        text = inner.text
                        size += len(text) if text.isascii() else _bytes_in(text)
                    elif isinstance(inner, Image):
                        images += 1
                    else:
                        size += _foreign_bytes(inner)
                        media.append(media_of(inner))
            elif isinstance(part, ToolCall):
                calls += 1
                text = part.arguments
                size += (len(text) if text.isascii() else _bytes_in(text)) + len(part.name)
            elif isinstance(part, Image):
                images += 1
            elif isinstance(part, Reasoning):
                size += _bytes_in(part.text)
            else:
                size += _foreign_bytes(part)
                media.append(media_of(part))
    return Size(size, images, results, calls, tuple(media))


def _foreign_bytes(part: Foreign) -> int:
    """The visible text of a block; sealed and encoded data is not counted, its tokens are unknown."""
    value = part.value
    if not isinstance(value, Mapping):
        return 0
    return sum(len(item) for key in ("text", "title", "content") if isinstance(item := value.get(key), str))


def asks_in(messages: Sequence[Message]) -> tuple[tuple[int, str], ...]:
    found: list[tuple[int, str]] = []
    at = len(messages)
    for message in reversed(messages):
        at -= 1
        if message.role is not _USER:
            continue
        typed = ""
        for part in message.parts:
            if isinstance(part, Text) and (text := strip_envelopes(part.text)):
                typed = f"{typed}\n{text}" if typed else text
        if typed:
            found.append((at, typed))
    return tuple(found)


def work_in(messages: Sequence[Message]) -> Work:
    results: list[tuple[int, ToolResult]] = []
    written: list[tuple[int, str]] = []
    called: set[str] = set()
    awaited: set[str] = set()
    is_plain = True
    writes: dict[str, bool] = {}  # a session calls few tools, many times each
    for at, message in enumerate(messages):
        found: list[tuple[int, ToolResult]] = []
        for part in message.parts:
            if isinstance(part, ToolResult):
                found.append((at, part))
                if part.call_id not in called:
                    awaited.add(part.call_id)
            elif isinstance(part, ToolCall):
                called.add(part.id)
                does_write = writes.get(part.name)
                if does_write is None:
                    does_write = writes[part.name] = folded_name(part.name) in WRITE_TOOLS
                if does_write and (path := _written_path(part.arguments)):
                    written.append((at, path))
            elif isinstance(part, Foreign):
                is_plain = False
        if found:
            results[:0] = found
    return Work(tuple(results), tuple(written), frozenset(called), frozenset(awaited), is_plain)


def folded_name(name: str) -> str:
    """A tool's *name* as the lists of tools spell it."""
    return name.casefold().replace("_", "").replace("-", "")


def _written_path(arguments: str) -> str:
    """The path a tool's JSON arguments write to, empty if none is to be seen."""
    head = arguments[:_ARGUMENT_HEAD]
    for key in PATH_KEYS:
        at = head.find(key)
        if at < 0:
            continue
        start = head.find('"', at + len(key)) + 1
        end = head.find('"', start)
        if start and end > start:
            return head[start:end]
    return ""
