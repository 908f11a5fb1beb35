"""Answers kept so that a next request may name one (`previous_response_id`) instead of repeating it all.

Kept per tenant: an id that another tenant was given is as unknown as one that
nobody was.  Bounded in number, bytes and time; what is forgotten is unknown,
and the client sends its whole history again.
"""

import hashlib
from collections import OrderedDict
from collections.abc import Mapping
from threading import Lock
from typing import Final, Protocol, assert_never

from attrs import field, frozen

from lynkr.model import Foreign, Image, Message, Part, Reasoning, Text, ToolCall, ToolResult

_CREDENTIALS: Final = ("authorization", "x-api-key", "api-key")
_NODE: Final = 200  # bytes, about, of an object and its fields


def tenant_of(headers: Mapping[str, str]) -> str:
    """Whose answers a client may refer to, by the credential it shows; empty where it shows none.

    *headers* names are lower case.  A digest, so that no store holds a key.
    """
    shown = next((headers[name] for name in _CREDENTIALS if headers.get(name)), "")
    return hashlib.sha256(shown.encode("utf-8", "surrogateescape")).hexdigest() if shown else ""


@frozen
class StoredResponse:
    """A conversation up to and including an answer, without its `instructions`, which are not inherited.

    *provider* is the name of the provider that keeps the answer under the same
    id; None where only the gateway does.
    """

    messages: tuple[Message, ...] = field(repr=False)
    provider: str | None = None

    @property
    def size(self) -> int:
        """Bytes, about; what conversations share is counted for each of them."""
        return sum(_NODE + sum(map(_size_of, message.parts)) for message in self.messages)


def _size_of(part: Part) -> int:
    match part:
        case Text(text=text):
            return _NODE + len(text)
        case Reasoning(text=text, seal=seal):
            return _NODE + len(text) + (0 if seal is None else len(seal.value))
        case Image(value=value):
            return _NODE + len(value)
        case ToolCall(arguments=arguments):
            return _NODE + len(arguments)
        case ToolResult(content=content):
            return _NODE + sum(map(_size_of, content))
        case Foreign(value=value):
            return _NODE + len(repr(value))
        case _:
            assert_never(part)


class ResponseStore(Protocol):
    """Safe to call from several threads; *now* is in seconds of one clock, the caller's."""

    def get(self, tenant: str, response_id: str, now: float, /) -> StoredResponse | None:
        """The answer; None if it is unknown, forgotten, or another tenant's."""
        ...

    def put(self, tenant: str, response_id: str, stored: StoredResponse, now: float, /) -> None: ...

    def close(self) -> None:
        """Let go of what it has open; it can still be used.  Idempotent."""
        ...


@frozen
class _Entry:
    stored: StoredResponse
    size: int
    expires: float


class MemoryResponses:
    """A `ResponseStore` in this process: at most *most* answers and *max_bytes*, each for *ttl* seconds.

    The one not asked for longest goes first.  An answer larger than the store is not kept.
    """

    def __init__(
        self, *, most: int = 10_000, max_bytes: int = 256 * 1024 * 1024, ttl: float = 24 * 3600.0
    ) -> None:
        self._most = most
        self._max_bytes = max_bytes
        self._ttl = ttl
        self._lock = Lock()
        self._entries: OrderedDict[tuple[str, str], _Entry] = OrderedDict()
        self._bytes = 0

    def __len__(self) -> int:
        return len(self._entries)

    @property
    def size(self) -> int:
        """Bytes held, about."""
        return self._bytes

    def get(self, tenant: str, response_id: str, now: float, /) -> StoredResponse | None:
        key = (tenant, response_id)
        with self._lock:
            entry = self._entries.get(key)
            if entry is None:
                return None
            if entry.expires <= now:
                self._drop(key)
                return None
            self._entries.move_to_end(key)
            return entry.stored

    def put(self, tenant: str, response_id: str, stored: StoredResponse, now: float, /) -> None:
        key = (tenant, response_id)
        entry = _Entry(stored, stored.size, now + self._ttl)
        with self._lock:
            self._drop(key)
            if entry.size > self._max_bytes or self._most < 1:
                return
            self._entries[key] = entry
            self._bytes += entry.size
            while len(self._entries) > self._most or self._bytes > self._max_bytes:
                self._drop(next(iter(self._entries)))

    def close(self) -> None:
        """Nothing is open."""

    def _drop(self, key: tuple[str, str]) -> None:
        entry = self._entries.pop(key, None)
        if entry is not None:
            self._bytes -= entry.size
