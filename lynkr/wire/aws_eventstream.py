"""AWS event streams, ``application/vnd.amazon.eventstream``: bytes to messages, cut anywhere, and back.

A message is a prelude (total length, length of the headers, CRC-32 of both),
the headers, the payload and the CRC-32 of all before it; numbers are unsigned,
big-endian, four bytes.  A header is the length of its name, its name, the type
of its value and the value ("Event stream encoding" in the Smithy
specification, "aws.protocols" and botocore 1.44's `eventstream`, read 2026-11).
"""

from collections.abc import Iterator, Mapping
from struct import Struct
from typing import Final, TypeAlias
from zlib import crc32

from attrs import field, frozen

from lynkr.errors import UpstreamWireError

MEDIA_TYPE: Final = "application/vnd.amazon.eventstream"
MAX_HEADERS_BYTES: Final = 128 * 1024
MAX_PAYLOAD_BYTES: Final = 24 * 1024 * 1024

HeaderValue: TypeAlias = bool | int | str | bytes

_PRELUDE: Final = Struct(">III")
_CRC: Final = Struct(">I")
_FRAME_BYTES: Final = _PRELUDE.size + _CRC.size
_LENGTH: Final = Struct(">H")

# Header value types.  Numbers and timestamps (milliseconds since 1970) are signed.
_TRUE, _FALSE, _BYTES, _STRING, _UUID = 0, 1, 6, 7, 9
_NUMBERS: Final[Mapping[int, Struct]] = {
    2: Struct(">b"),
    3: Struct(">h"),
    4: Struct(">i"),
    5: Struct(">q"),
    8: Struct(">q"),
}
_LONG: Final = 5
_UUID_BYTES: Final = 16


@frozen
class Message:
    """One message.  Header values: numbers and timestamps are ints, UUIDs their sixteen bytes."""

    headers: Mapping[str, HeaderValue]
    payload: bytes = field(repr=False)

    def text(self, name: str) -> str:
        """The header *name*; empty if it is not there or no string."""
        value = self.headers.get(name)
        return value if isinstance(value, str) else ""


class MessageDecoder:
    """Bytes to messages.  Bounded: a message that claims to be larger than AWS allows raises.

    How the bytes are cut into chunks changes neither the messages nor where an
    error comes.
    """

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._total = 0  # of the message at the front, once its prelude was checked
        self._headers = 0

    def feed(self, data: bytes, /) -> Iterator[Message]:
        """Messages completed by *data*; to be read to the end before the next call.

        Those before an error are given before it is raised.

        Raises:
            UpstreamWireError: a checksum is wrong, a length impossible, or a header malformed.
        """
        buffer = self._buffer
        buffer += data
        while True:
            if not self._total and len(buffer) >= _PRELUDE.size:
                self._total, self._headers = _read_prelude(buffer)
            if not self._total or len(buffer) < self._total:
                return
            frame, self._total = bytes(memoryview(buffer)[: self._total]), 0
            del buffer[: len(frame)]
            yield _read_message(frame, self._headers)

    def close(self) -> bool:
        """Whether the stream ended between two messages."""
        return not self._buffer


def _read_prelude(buffer: bytearray) -> tuple[int, int]:
    total, headers, checksum = _PRELUDE.unpack_from(buffer)
    if crc32(memoryview(buffer)[: _PRELUDE.size - _CRC.size]) != checksum:
        raise UpstreamWireError("the event stream is corrupt: a prelude's checksum is wrong")
    if headers > MAX_HEADERS_BYTES:
        raise UpstreamWireError(f"a message's headers are larger than {MAX_HEADERS_BYTES} bytes")
    payload = total - headers - _FRAME_BYTES
    if payload < 0:
        raise UpstreamWireError("the event stream is corrupt: a message is shorter than its headers")
    if payload > MAX_PAYLOAD_BYTES:
        raise UpstreamWireError(f"a message's payload is larger than {MAX_PAYLOAD_BYTES} bytes")
    return total, headers


def _read_message(frame: bytes, headers: int) -> Message:
    end = len(frame) - _CRC.size
    if _CRC.unpack_from(frame, end) != (crc32(memoryview(frame)[:end]),):
        raise UpstreamWireError("the event stream is corrupt: a message's checksum is wrong")
    payload = _PRELUDE.size + headers
    return Message(_read_headers(frame, _PRELUDE.size, payload), frame[payload:end])


def _read_headers(frame: bytes, at: int, end: int) -> dict[str, HeaderValue]:
    found: dict[str, HeaderValue] = {}
    while at < end:
        name_end = at + 1 + frame[at]
        raw_name = frame[at + 1 : name_end]
        if name_end >= end:
            raise _malformed("its name does not fit")
        value, at = _read_value(frame, name_end, end)
        name = _utf8(raw_name)
        if name in found:
            raise _malformed(f"{name!r} stands there twice")
        found[name] = value
    return found


def _read_value(frame: bytes, at: int, end: int) -> tuple[HeaderValue, int]:
    """The value whose type stands at *at*, and where the next header begins."""
    kind, at = frame[at], at + 1
    if kind in (_TRUE, _FALSE):
        return kind == _TRUE, at
    if kind in _NUMBERS:
        size = _NUMBERS[kind].size
    elif kind == _UUID:
        size = _UUID_BYTES
    elif kind in (_BYTES, _STRING):
        if at + _LENGTH.size > end:
            raise _malformed("its value does not fit")
        (size,) = _LENGTH.unpack_from(frame, at)
        at += _LENGTH.size
    else:
        raise _malformed(f"there is no value type {kind}")
    if at + size > end:
        raise _malformed("its value does not fit")
    raw = frame[at : at + size]
    if kind in _NUMBERS:
        (number,) = _NUMBERS[kind].unpack(raw)
        return int(number), at + size
    return _utf8(raw) if kind == _STRING else raw, at + size


def _utf8(raw: bytes) -> str:
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise _malformed("it is not UTF-8") from error


def _malformed(problem: str) -> UpstreamWireError:
    return UpstreamWireError(f"a header of the event stream is malformed: {problem}")


def encode_message(headers: Mapping[str, HeaderValue], payload: bytes) -> bytes:
    """One message; an int is written in eight bytes.

    Raises:
        ValueError: a name is not 1 to 255 bytes long, or a value over 65 535.
        struct.error: an int does not fit eight bytes.
    """
    written = b"".join(_write_header(name, value) for name, value in headers.items())
    lengths = (len(written) + len(payload) + _FRAME_BYTES, len(written))
    prelude = _PRELUDE.pack(*lengths, 0)[: -_CRC.size]
    message = b"".join((prelude, _CRC.pack(crc32(prelude)), written, payload))
    return message + _CRC.pack(crc32(message))


def _write_header(name: str, value: HeaderValue) -> bytes:
    raw = name.encode()
    if not 1 <= len(raw) <= 0xFF:
        raise ValueError(f"a header's name is 1 to 255 bytes long: {name!r}")
    return bytes((len(raw),)) + raw + _write_value(value)


def _write_value(value: HeaderValue) -> bytes:
    match value:
        case bool():
            return bytes((_TRUE if value else _FALSE,))
        case int():
            return bytes((_LONG,)) + _NUMBERS[_LONG].pack(value)
        case str():
            kind, raw = _STRING, value.encode()
        case bytes():
            kind, raw = _BYTES, value
    if len(raw) > 0xFFFF:
        raise ValueError("a header's value is at most 65 535 bytes long")
    return bytes((kind,)) + _LENGTH.pack(len(raw)) + raw
