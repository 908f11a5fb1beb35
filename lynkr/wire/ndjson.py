"""Newline-delimited JSON: bytes to lines, cut anywhere.

The framing of Ollama's native streams ("application/x-ndjson",
docs.ollama.com/api/streaming, read 2026-11): a line holds one JSON text, LF
or CR LF ends it, blank lines mean nothing, and the last line need not be ended.
"""

from collections.abc import Iterator
from typing import Final

from lynkr.errors import UpstreamWireError
from lynkr.model import Json
from lynkr.wire.json_body import dump

MAX_LINE_BYTES: Final = 32 * 1024 * 1024
_BLANK: Final = b" \t\r"


class LineDecoder:
    """Bytes to lines.  Bounded: a line over *max_bytes* raises `UpstreamWireError`.

    How the bytes are cut into chunks changes neither the lines nor where an
    error comes.
    """

    def __init__(self, max_bytes: int = MAX_LINE_BYTES) -> None:
        self._max = max_bytes
        self._buffer = bytearray()
        self._searched = 0

    def feed(self, data: bytes, /) -> Iterator[bytes]:
        """Lines completed by *data*, without their ends and blank ones; to be read before the next call.

        Raises:
            UpstreamWireError: a line is too long.
        """
        buffer = self._buffer
        buffer += data
        start = 0
        lines: list[bytes] = []
        while (end := buffer.find(b"\n", max(self._searched, start))) != -1:
            lines.append(bytes(buffer[start:end]))
            start = end + 1
        del buffer[:start]
        self._searched = len(buffer)
        for line in lines:
            yield from self._checked(line)
        self._check_size(len(buffer))

    def close(self) -> Iterator[bytes]:
        """The last line, if the input did not end it."""
        line = bytes(self._buffer)
        self._buffer.clear()
        self._searched = 0
        yield from self._checked(line)

    def _checked(self, line: bytes) -> Iterator[bytes]:
        self._check_size(len(line))
        line = line.strip(_BLANK)
        if line:
            yield line

    def _check_size(self, length: int) -> None:
        if length > self._max:
            raise UpstreamWireError(f"a line of the stream is longer than {self._max} bytes")


def encode_line(value: Json) -> bytes:
    """One line: compact JSON never holds a line break."""
    return dump(value) + b"\n"
