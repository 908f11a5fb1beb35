"""What the parent and one worker say to each other, over a socket pair that only they hold.

A message is a word and a body.  The settings travel with their secrets: the
one exception to "a `Secret` is not pickled", from a process to its own child.
When one end is closed, however its process ended, the other hears it.
"""

import pickle
import socket
import struct
from enum import IntEnum
from io import BytesIO
from types import MappingProxyType
from typing import Any, Final

from lynkr.secret import Secret
from lynkr.settings import Settings

_HEAD: Final = struct.Struct(">IB")
_READ: Final = 65_536
_PATIENCE: Final = 5.0  # seconds the other end may take to make room for a message


class Word(IntEnum):
    """Of the worker: the first six.  Of the parent: the others."""

    READY = 1
    """It serves."""
    ALIVE = 2
    """Its event loop turns."""
    FAILED = 3
    """It cannot serve; the body is the exit status and what is wrong."""
    LEAVING = 4
    """It takes no more requests, and was not asked to stop."""
    RELOADED = 5
    """It serves by the new settings."""
    KEPT = 6
    """It could not use the new settings, and serves by the old; the body says why."""
    RELOAD = 7
    """Serve by these settings."""
    REFUSED = 8
    """New settings were read, and are wrong."""
    DRAIN = 9
    """End what is under way, and yourself."""
    STOP = 10
    """End yourself without waiting."""


class Line:
    """One end."""

    def __init__(self, end: socket.socket) -> None:
        end.settimeout(_PATIENCE)
        self._socket = end
        self._received = bytearray()

    @property
    def is_open(self) -> bool:
        return self._socket.fileno() >= 0

    def fileno(self) -> int:
        return self._socket.fileno()

    def say(self, word: Word, body: bytes = b"") -> bool:
        """Send a message; False if the other end is gone, or does not read."""
        try:
            self._socket.sendall(_HEAD.pack(len(body), word) + body)
        except OSError:
            return False
        return True

    def hear(self) -> list[tuple[Word, bytes]] | None:
        """The messages that are whole by now; waits for some bytes.  None once the other end is gone."""
        try:
            data = self._socket.recv(_READ)
        except TimeoutError:
            return []
        except OSError:
            data = b""
        if not data:
            return None
        self._received += data
        heard: list[tuple[Word, bytes]] = []
        while len(self._received) >= _HEAD.size:
            length, word = _HEAD.unpack_from(self._received)
            end = _HEAD.size + length
            if len(self._received) < end:
                break
            heard.append((Word(word), bytes(self._received[_HEAD.size : end])))
            del self._received[:end]
        return heard

    def close(self) -> None:
        self._socket.close()


def line_pair() -> tuple[Line, Line]:
    """Both ends."""
    ours, theirs = socket.socketpair()
    return Line(ours), Line(theirs)


def _read_only(mapping: dict[Any, Any]) -> MappingProxyType[Any, Any]:
    """The type itself has no name a pickle could find it by."""
    return MappingProxyType(mapping)


class _Pickler(pickle.Pickler):
    def reducer_override(self, obj: Any) -> Any:  # noqa: ANN401  # reason: pickle's
        match obj:
            case Secret():
                return Secret, (obj.reveal(),)
            case MappingProxyType():
                return _read_only, ({**obj},)
            case _:
                return NotImplemented


def packed(settings: Settings) -> bytes:
    """*settings* whole, for `unpacked`."""
    into = BytesIO()
    _Pickler(into, pickle.HIGHEST_PROTOCOL).dump(settings)
    return into.getvalue()


def unpacked(body: bytes) -> Settings:
    """What `packed` packed; only of a message of the parent's."""
    settings = pickle.loads(body)  # noqa: S301  # reason: written by the parent, in memory nobody else reaches
    if not isinstance(settings, Settings):
        raise TypeError(f"a {type(settings).__name__} is no settings")
    return settings
