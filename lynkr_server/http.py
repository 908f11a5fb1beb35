"""Plain ASGI: reading a bounded body, sending an answer, noticing that the client left.

This shim runs under an asyncio server (uvicorn), so it uses asyncio itself: a
task group per request would cost more than everything else it does.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, MutableMapping
from typing import Any, Self

from attrs import frozen

from lynkr.errors import ClientWireError
from lynkr.wire.json_body import dump

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]


@frozen
class Incoming:
    """One HTTP request; *headers* by lower-case name."""

    scope: Scope
    receive: Receive
    send: Send
    headers: Mapping[str, str]

    async def reply(self, status: int, body: Mapping[str, object], **headers: str) -> None:
        """Answer with JSON (without it, where the client asked for the head alone)."""
        text = b"" if self.scope["method"] == "HEAD" else dump(body)
        names = {name.replace("_", "-"): value for name, value in headers.items()}
        await send_whole(self.send, status, {"content-type": "application/json", **names}, text)


class ClientGone(Exception):
    """The client disconnected before its request was whole."""


def read_headers(raw: Iterable[tuple[bytes, bytes]], limit: int) -> dict[str, str]:
    """Headers by lower-case name; repeated ones are joined with a comma (RFC 9110, 5.3).

    Raises:
        ClientWireError: together they are larger than *limit* bytes (431).
    """
    headers: dict[str, str] = {}
    size = 0
    for raw_name, raw_value in raw:
        size += len(raw_name) + len(raw_value)
        name, value = raw_name.decode("latin-1").lower(), raw_value.decode("latin-1")
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    if size > limit:
        raise ClientWireError(f"the headers are larger than {limit} bytes", status=431)
    return headers


async def read_body(incoming: Incoming, limit: int) -> bytes:
    """The whole body.

    Raises:
        ClientWireError: it is larger than *limit* bytes (413).
        ClientGone: the client left before it was whole.
    """
    declared, receive = incoming.headers.get("content-length", ""), incoming.receive
    if declared.isdecimal() and int(declared) > limit:
        raise ClientWireError(f"the body is larger than {limit} bytes", status=413)
    message = await receive()
    if message["type"] != "http.request":
        raise ClientGone
    first: bytes = message.get("body", b"")
    if not message.get("more_body", False):
        _check_size(len(first), limit)
        return first
    chunks, size = [first], len(first)
    while message.get("more_body", False):
        message = await receive()
        if message["type"] != "http.request":
            raise ClientGone
        chunk: bytes = message.get("body", b"")
        size += len(chunk)
        _check_size(size, limit)
        chunks.append(chunk)
    return b"".join(chunks)


def _check_size(size: int, limit: int) -> None:
    if size > limit:
        raise ClientWireError(f"the body is larger than {limit} bytes", status=413)


def _encode_headers(headers: Mapping[str, str]) -> list[tuple[bytes, bytes]]:
    return [(name.encode("latin-1"), value.encode("latin-1", "replace")) for name, value in headers.items()]


async def send_whole(send: Send, status: int, headers: Mapping[str, str], body: bytes) -> None:
    """An answer in one piece."""
    encoded = _encode_headers(headers)
    encoded.append((b"content-length", str(len(body)).encode()))
    await send({"type": "http.response.start", "status": status, "headers": encoded})
    await send({"type": "http.response.body", "body": body})


class Wire:
    """The client's end of one exchange: one start, then chunks, then the end.

    It fills silence: while a stream is open (or, for a request that asked for
    one, before it has begun) and nothing was sent for *quiet* seconds, *ping*
    is sent.  Clients give up on silent connections; Claude Code after 300 s.
    """

    def __init__(self, send: Send, *, quiet: float, ping: Callable[[], bytes] | None) -> None:
        self._send = send
        self._quiet = quiet
        self._ping = ping
        self._loop = asyncio.get_running_loop()
        self._last = self._loop.time()
        self._sending = False
        self._beat: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._early: tuple[int, Mapping[str, str]] | None = None
        self.started = False

    def watch_silence(self, status: int, headers: Mapping[str, str]) -> None:
        """Start filling silence; an answer that is late begins with *status* and *headers*."""
        self._early = (status, headers)
        self._arm(self._quiet)

    def _arm(self, delay: float) -> None:
        self._timer = self._loop.call_later(delay, self._tick)

    def _tick(self) -> None:
        silent = self._loop.time() - self._last
        if silent < self._quiet or self._sending:
            self._arm(max(self._quiet - silent, 0.05))
            return
        self._beat = self._loop.create_task(self._fill())
        self._arm(self._quiet)

    async def _fill(self) -> None:
        if self._ping is None or self._early is None:
            return
        if not self.started:
            await self.start(*self._early)
        await self.chunk(self._ping())

    async def start(self, status: int, headers: Mapping[str, str]) -> None:
        """Send status line and headers, unless silence already did."""
        if self.started:
            return
        self.started = True
        await self._send(
            {"type": "http.response.start", "status": status, "headers": _encode_headers(headers)}
        )

    async def chunk(self, data: bytes) -> None:
        """Send *data*; waits while the client reads slowly, which in turn stops reading upstream."""
        self._sending = True
        try:
            await self._send({"type": "http.response.body", "body": data, "more_body": True})
        finally:
            self._sending = False
            self._last = self._loop.time()

    async def end(self) -> None:
        """Send the end of the body."""
        self.quiet()
        await self._send({"type": "http.response.body", "body": b""})

    def quiet(self) -> None:
        """Stop filling silence."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._beat is not None:
            self._beat.cancel()
            self._beat = None


class Departure:
    """Cancels the current task when the client leaves.

    ``with Departure(receive) as departure: ...`` ends quietly if the task was
    cancelled for that reason and no other; `departure.left` tells.
    """

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self.left = False

    def __enter__(self) -> Self:
        task = asyncio.current_task()
        if task is None:
            raise RuntimeError("a request is served in a task")
        self._task = task
        self._watcher = asyncio.ensure_future(self._receive())
        self._watcher.add_done_callback(self._done)
        return self

    def _done(self, watcher: "asyncio.Future[Message]") -> None:
        if watcher.cancelled() or watcher.exception() is not None:
            return
        if watcher.result()["type"] == "http.disconnect":
            self.left = True
            self._task.cancel()

    def __exit__(self, exc_type: type[BaseException] | None, *_: object) -> bool:
        self._watcher.remove_done_callback(self._done)
        self._watcher.cancel()
        if self.left and exc_type is asyncio.CancelledError:
            self._task.uncancel()
            return True
        return False
