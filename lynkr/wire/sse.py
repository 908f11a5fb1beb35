"""Server-sent events: bytes to frames, cut anywhere.

Follows the WHATWG HTML standard, section 9.2.6 "Interpreting an event stream"
(read 2026-11): lines end in CR LF, LF or CR; a blank line dispatches; a line
that starts with a colon is a comment; one space after the colon is dropped.
"""

from collections.abc import Iterator
from typing import Final

from attrs import frozen

from lynkr.errors import UpstreamWireError

MAX_FRAME_BYTES: Final = 32 * 1024 * 1024
_BOM: Final = b"\xef\xbb\xbf"


@frozen
class Frame:
    """One dispatched event; *event* is empty when the stream did not name it."""

    event: str
    data: str


class FrameDecoder:
    """Bytes to frames.  Bounded: a line, or a frame's data, over *max_bytes* raises `UpstreamWireError`.

    How the bytes are cut into chunks changes neither the frames nor where an
    error comes.
    """

    def __init__(self, max_bytes: int = MAX_FRAME_BYTES) -> None:
        self._max = max_bytes
        self._buffer = bytearray()
        self._searched = 0
        self._skip_lf = False
        self._started = False
        self._event = ""
        self._data: list[str] = []
        self._held = 0

    def feed(self, data: bytes, /) -> Iterator[Frame]:
        """Frames completed by *data*; to be read to the end before the next call.

        Those before an error are given before it is raised.

        Raises:
            UpstreamWireError: a line is not UTF-8, or a frame is too large.
        """
        if not self._started and data and not self._buffer and data[0] != _BOM[0]:
            self._started = True
        if not self._started or not self.is_between or b"\r" in data:
            yield from self._by_line(data)
            return
        *events, rest = data.split(b"\n\n")
        for event in events:
            frame = self._at_once(event)
            if frame is not None:
                yield frame
            else:
                yield from self._by_line(event + b"\n\n")
        if rest:
            yield from self._by_line(rest)

    def _at_once(self, event: bytes) -> Frame | None:
        """The frame of a whole *event* in the usual shape; None where its lines are to be read."""
        name, line = b"", event
        if event.startswith(b"event: "):
            name, _, line = event[7:].partition(b"\n")
        if not line.startswith(b"data: ") or b"\n" in line or len(event) > self._max:
            return None
        try:
            return Frame(name.decode("utf-8"), line[6:].decode("utf-8"))
        except UnicodeDecodeError:
            return None

    def _by_line(self, data: bytes) -> Iterator[Frame]:
        self._buffer += data
        for line in self._lines():
            frame = self._take(line)
            if frame is not None:
                yield frame
        self._check_size(len(self._buffer))

    @property
    def is_between(self) -> bool:
        """Whether what was fed so far ends with a dispatched event, or with nothing of one."""
        return not (self._buffer or self._data or self._event or self._skip_lf)

    def close(self) -> bool:
        """Whether the stream ended between two frames (the standard drops an unfinished one)."""
        return not self._buffer and not self._data

    def _check_size(self, line: int) -> None:
        if self._held + line > self._max:
            raise UpstreamWireError(f"an event of the stream is larger than {self._max} bytes")

    def _lines(self) -> list[bytes]:
        buffer, start = self._buffer, 0
        if self._skip_lf and buffer:
            self._skip_lf = False
            if buffer[0] == 0x0A:
                start = 1
        # CR alone ends a line too, so both marks are looked for; CR is rare, so the search for it is
        # made once per feed and skipped where there is none.
        has_cr = buffer.find(b"\r", max(self._searched, start)) != -1
        search = max(self._searched, start)
        lines: list[bytes] = []
        while True:
            lf = buffer.find(b"\n", search)
            cr = buffer.find(b"\r", search, lf if lf != -1 else len(buffer)) if has_cr else -1
            end = cr if cr != -1 else lf
            if end == -1:
                break
            lines.append(bytes(buffer[start:end]))
            start = end + 1
            if end == cr:
                if start == len(buffer):
                    self._skip_lf = True
                elif buffer[start] == 0x0A:
                    start += 1
            search = start
        del buffer[:start]
        self._searched = len(buffer)
        return lines

    def _take(self, line: bytes) -> Frame | None:
        if not self._started:
            self._started = True
            line = line.removeprefix(_BOM)
        if not line:
            if not self._data:
                self._event = ""
                return None
            frame = Frame(self._event, "\n".join(self._data))
            self._event, self._data, self._held = "", [], 0
            return frame
        self._check_size(len(line))
        try:
            text = line.decode("utf-8")
        except UnicodeDecodeError as error:
            raise UpstreamWireError("the event stream is not UTF-8") from error
        name, _, value = text.partition(":")
        value = value.removeprefix(" ")
        if name == "data":
            self._data.append(value)
            self._held += len(line)
        elif name == "event":
            self._event = value
        return None


def encode_frame(data: bytes, event: str = "") -> bytes:
    """One frame; *data* must not hold line breaks (compact JSON does not)."""
    head = f"event: {event}\n".encode() if event else b""
    return b"%bdata: %b\n\n" % (head, data)
