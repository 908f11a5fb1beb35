"""What was found out about parts of requests that clients send again and again.

A coding agent sends its tools and the whole conversation with every request.  Whoever decides many
requests keeps one `Familiar` and gives it to `features_of`, which then looks at what is new only;
with it and without it the features are equal.

Tools and messages are known by identity: a decoder that gives equal bytes as the same objects makes
them known, any other costs a glance.  They are held, within bounds, once they have been met twice.
Asks are known by a digest, and no text of theirs is held.
"""

from collections import OrderedDict
from collections.abc import Callable, Hashable
from hashlib import blake2b
from threading import Lock
from typing import Final, Generic, TypeAlias, TypeVar
from weakref import ref

from lynkr.model import ForeignTool, Message, ToolSpec
from lynkr.routing.history import Block, Blocks, blocks_of
from lynkr.routing.reading import Reading, read

_K = TypeVar("_K", bound=Hashable)
_V = TypeVar("_V")
Tools: TypeAlias = tuple[ToolSpec | ForeignTool, ...]

MOST_TOOLS: Final = 32
MOST_ASKS: Final = 2_048
MOST_BYTES: Final = 4 * 1_048_576
"""Of the text of messages: that of some twenty long sessions."""
_MOST_ONCE: Final = 512


class _Newest(Generic[_K, _V]):
    """The *most* entries written last; safe from several threads, as every step of it is one of C."""

    __slots__ = ("_entries", "_most", "get")

    def __init__(self, most: int) -> None:
        self._entries: OrderedDict[_K, _V] = OrderedDict()
        self._most = most
        self.get = self._entries.get

    def put(self, key: _K, value: _V) -> None:
        self._entries[key] = value
        if len(self._entries) > self._most:
            self._entries.popitem(last=False)

    def __len__(self) -> int:
        return len(self._entries)


class Familiar:
    """Bounded: the *most_tools* lists of tools and *most_asks* asks met last, *most_bytes* of messages."""

    def __init__(
        self, most_tools: int = MOST_TOOLS, most_asks: int = MOST_ASKS, most_bytes: int = MOST_BYTES
    ) -> None:
        self._tools: _Newest[int, tuple[Tools, tuple[int, int]]] = _Newest(most_tools)
        self._asks: _Newest[bytes, Reading] = _Newest(most_asks)
        self._once: _Newest[Hashable, ref[object]] = _Newest(_MOST_ONCE)
        self._blocks: OrderedDict[tuple[int, ...], Block] = OrderedDict()
        self._most_bytes = most_bytes
        self._bytes = 0
        self._lock = Lock()
        self._latest: tuple[tuple[Message, ...], Blocks] = ((), ())

    def tools(self, tools: Tools, look: Callable[[Tools], tuple[int, int]]) -> tuple[int, int]:
        """What *look* says of *tools*, which are not empty."""
        key = id(tools)
        known = self._tools.get(key)
        # The list is held, so its identity cannot have become another's.
        if known is not None and known[0] is tools:
            return known[1]
        found = look(tools)
        if self._is_met_again(key, tools[0]):
            self._tools.put(key, (tools, found))
        return found

    def reading(self, text: str) -> Reading:
        """As `read`."""
        key = blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest()
        reading = self._asks.get(key)
        if reading is None:
            reading = read(text)
            self._asks.put(key, reading)
        return reading

    def history(self, messages: tuple[Message, ...]) -> Blocks:
        """A conversation in blocks; whoever asks for the same one next gets the same blocks."""
        conversation, blocks = self._latest
        if conversation is not messages:
            blocks = blocks_of(messages, self._block)
            self._latest = messages, blocks
        return blocks

    def _block(self, messages: tuple[Message, ...]) -> Block:
        key = tuple(map(id, messages))
        block = self._blocks.get(key)
        if block is None:
            block = Block(messages)
            if self._is_met_again(key, messages[0]):
                self._keep(key, block)
        return block

    @property
    def sizes(self) -> tuple[int, int, int]:
        """How many lists of tools, asks and bytes of messages are held."""
        return len(self._tools), len(self._asks), self._bytes

    def _is_met_again(self, key: Hashable, first: object) -> bool:
        """Whether what *first* stands in was met before: what comes only once is not worth holding."""
        before = self._once.get(key)
        if before is not None and before() is first:
            return True
        self._once.put(key, ref(first))
        return False

    def _keep(self, key: tuple[int, ...], block: Block) -> None:
        with self._lock:
            if key in self._blocks:
                return
            self._blocks[key] = block
            self._bytes += block.size.bytes
            while self._bytes > self._most_bytes:
                _, oldest = self._blocks.popitem(last=False)
                self._bytes -= oldest.size.bytes
