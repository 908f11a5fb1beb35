"""HTTP/1.1 as uvicorn speaks it, with a bound on what may come before a request is one.

httptools collects a head of any size, and headers reach the application only
when they are whole: too late to refuse an endless one.
"""

import asyncio
from collections.abc import Callable
from typing import Final

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from lynkr.wire.json_body import dump
from lynkr_server.http import DEPARTURE

_TOO_LARGE: Final = 431


class BoundedProtocol(HttpToolsProtocol):
    """Refuses a head larger than ``Config.h11_max_incomplete_event_size`` bytes, and says so in JSON.

    The setting is the one uvicorn has for the same bound in its other parser.
    """

    _in_head = True
    _head_size = 0
    _is_lost = False
    _leave: Callable[[], None] | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn's
        super().connection_made(transport)
        self._extensions: dict[str, dict[object, object]] = {DEPARTURE: {"watch": self._watch}}

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._in_head = True
        self._head_size = 0
        self.scope["extensions"] = self._extensions

    def _watch(self, leave: Callable[[], None] | None) -> None:
        """Call *leave* when the connection is lost; see `lynkr_server.http.Departure`."""
        self._leave = leave
        if leave is None:
            return
        # A large body has paused the reading, without which nobody hears of the end.
        self.flow.resume_reading()
        if self._is_lost:
            self.loop.call_soon(self._gone)

    def _gone(self) -> None:
        leave, self._leave = self._leave, None
        if leave is not None:
            leave()

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._is_lost = True
        self._gone()
        # Nothing more is read: without these, which lead back here, reference counts free what is left.
        del self.cycle, self.scope, self.headers, self._extensions
        self.pipeline.clear()

    def on_headers_complete(self) -> None:
        self._in_head = False
        super().on_headers_complete()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self._in_head and not self.transport.is_closing():
            self._head_size += len(data)
            limit = self.config.h11_max_incomplete_event_size or 0
            if self._head_size > limit:
                self._refuse(_TOO_LARGE, f"the headers are larger than {limit} bytes")

    def send_400_response(self, msg: str) -> None:
        self._refuse(400, msg)

    def _refuse(self, status: int, message: str) -> None:
        """Answer what never became a request, in a shape that clients of either dialect read."""
        error = {"type": "invalid_request_error", "message": message, "param": None, "code": None}
        body = dump({"type": "error", "error": error})
        head = b"content-type: application/json\r\ncontent-length: %d\r\nconnection: close\r\n\r\n"
        self.transport.write(STATUS_LINE[status] + head % len(body) + body)
        self.transport.close()
