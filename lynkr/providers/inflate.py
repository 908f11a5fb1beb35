"""Undoing a body's content-encoding, alike for every transport: truncation is an error, not an end."""

import zlib
from collections.abc import Mapping

from lynkr.providers.base import TransportError


class Inflate:
    """Undoes gzip or deflate, chunk by chunk."""

    def __init__(self, encoding: str) -> None:
        self._encoding = encoding
        self._zlib = zlib.decompressobj(zlib.MAX_WBITS | 32)  # 32: the header tells gzip from zlib

    def feed(self, chunk: bytes) -> bytes:
        """The text completed by *chunk*, possibly none.

        Raises:
            TransportError: the bytes are not of this encoding.
        """
        try:
            return self._zlib.decompress(chunk)
        except zlib.error as error:
            raise TransportError(f"the body is not {self._encoding}: {error}") from error

    def check_complete(self) -> None:
        """Raise `TransportError` unless the encoding's own end was seen."""
        if not self._zlib.eof:
            raise TransportError(f"the {self._encoding} body was cut short")


def content_decoder(headers: Mapping[str, str]) -> Inflate | None:
    """What undoes the body these response headers announce; None for a plain one.

    Transports ask for ``identity``, so anything else is rare.

    Raises:
        TransportError: an encoding nobody asked for.
    """
    if "content-encoding" not in headers:
        return None
    encoding = headers["content-encoding"].strip().lower()
    match encoding:
        case "identity" | "":
            return None
        case "gzip" | "x-gzip" | "deflate":
            return Inflate(encoding)
        case _:
            raise TransportError(f"the body came in content-encoding {encoding!r}, which was not asked for")
