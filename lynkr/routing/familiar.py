"""What was found out about parts of requests that clients send again and again: their tools, their asks.

A coding agent sends its tools and the whole conversation with every request.  Whoever decides many
requests keeps one `Familiar` and gives it to `features_of`, which then looks at what is new only;
with it and without it the features are equal.  It holds no text: asks are known by a digest.
"""

from collections import OrderedDict
from collections.abc import Callable, Hashable
from hashlib import blake2b
from typing import Final, Generic, TypeAlias, TypeVar

from lynkr.model import ForeignTool, ToolSpec
from lynkr.routing.reading import Reading, read

_K = TypeVar("_K", bound=Hashable)
_V = TypeVar("_V")

MOST_TOOLS: Final = 32
MOST_ASKS: Final = 2_048


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


Tools: TypeAlias = tuple[ToolSpec | ForeignTool, ...]


class Familiar:
    """Bounded: the *most_tools* lists of tools and the *most_asks* asks met last."""

    def __init__(self, most_tools: int = MOST_TOOLS, most_asks: int = MOST_ASKS) -> None:
        self._tools: _Newest[int, tuple[Tools, tuple[int, int]]] = _Newest(most_tools)
        self._asks: _Newest[bytes, Reading] = _Newest(most_asks)

    def tools(self, tools: Tools, look: Callable[[Tools], tuple[int, int]]) -> tuple[int, int]:
        """What *look* says of *tools*, asked once for each object: a decoder gives equal lists as one."""
        known = self._tools.get(id(tools))
        # The list is held, so its identity cannot have become another's.
        if known is not None and known[0] is tools:
            return known[1]
        found = look(tools)
        self._tools.put(id(tools), (tools, found))
        return found

    def reading(self, text: str) -> Reading:
        """As `read`."""
        key = blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest()
        reading = self._asks.get(key)
        if reading is None:
            reading = read(text)
            self._asks.put(key, reading)
        return reading

    @property
    def sizes(self) -> tuple[int, int]:
        """How many lists of tools and how many asks are known."""
        return len(self._tools), len(self._asks)
