"""Plain ASGI: reading a bounded body, sending an answer, noticing that the client left.

This shim runs under an asyncio server (uvicorn), so it uses asyncio itself: a
task group per request would cost more than everything else it does.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, MutableMapping
from typing import Any, Final, Self

from attrs import frozen

from lynkr.errors import ClientWireError
from lynkr.wire.json_body import dump

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Head = tuple[int, Mapping[str, str]]
Watch = Callable[[Callable[[], None] | None], None]
"""Takes what to call when the client leaves, and None to call nothing any more."""

DEPARTURE: Final = "lynkr.departure"
_NOTHING: Final[Mapping[str, Any]] = {}
JSON_HEADERS: Final = {"content-type": "application/json"}
STALLED_SECONDS: Final = 300.0
"""How long a client may leave what was sent unread before it counts as gone."""


@frozen
class Incoming:
    """One HTTP request; *headers* by lower-case name, *tenant* whose key it showed."""

    scope: Scope
    receive: Receive
    send: Send
    headers: Mapping[str, str]
    tenant: str | None = None

    @property
    def watch(self) -> Watch | None:
        """Our own server's short way to hear that the client left; None under another one."""
        extension: Mapping[str, Watch] = self.scope.get("extensions", _NOTHING).get(DEPARTURE, _NOTHING)
        return extension.get("watch")

    async def reply(self, status: int, body: Mapping[str, object], **headers: str) -> None:
        """Answer with JSON; the server leaves the body out where the client asked for the head alone."""
        names = {name.replace("_", "-"): value for name, value in headers.items()}
        await send_whole(self.send, status, JSON_HEADERS | names, dump(body))


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
        ClientWireError: it is larger than *limit* bytes (413), or compressed (415).
        ClientGone: the client left before it was whole.
    """
    headers, receive = incoming.headers, incoming.receive
    coding = headers.get("content-encoding", "identity")
    if coding != "identity":
        raise ClientWireError(
            f"content-encoding {coding!r} is not supported; send the body as it is", status=415
        )
    declared = headers.get("content-length", "")
    if declared.isdecimal() and int(declared) > limit:
        raise _too_large(limit)
    pieces: list[bytes] = []
    size = 0
    more = True
    while more:
        message = await receive()
        if message["type"] != "http.request":
            raise ClientGone
        piece: bytes = message.get("body", b"")
        size += len(piece)
        if size > limit:
            raise _too_large(limit)
        pieces.append(piece)
        more = message.get("more_body", False)
    return pieces[0] if len(pieces) == 1 else b"".join(pieces)


def _too_large(limit: int) -> ClientWireError:
    return ClientWireError(f"the body is larger than {limit} bytes", status=413)


def _encode_headers(headers: Mapping[str, str]) -> list[tuple[bytes, bytes]]:
    return [(name.encode("latin-1"), value.encode("latin-1", "replace")) for name, value in headers.items()]


async def send_whole(send: Send, status: int, headers: Mapping[str, str], body: bytes) -> None:
    """An answer in one piece."""
    encoded = _encode_headers(headers)
    encoded.append((b"content-length", str(len(body)).encode()))
    await send({"type": "http.response.start", "status": status, "headers": encoded})
    await send({"type": "http.response.body", "body": body})


class Wire:
    """The client's end of one exchange: either one whole answer, or a start, chunks and an end.

    *started*: the status line is out.  *finished*: the answer is.

    Asked to, it fills silence with pings: clients give up on silent
    connections (Claude Code after 300 s).  A ping is sent by a task of its
    own, for which every other message waits, so nothing ever overtakes it or
    falls into it.
    """

    def __init__(self, send: Send) -> None:
        self._send = send
        self._loop = asyncio.get_running_loop()
        self._last = self._loop.time()
        self._busy = False  # a chunk waits for the client to read
        self._beat: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self.started = False
        self.finished = False

    def fill_silence(
        self,
        quiet: float,
        ping: Callable[[], bytes],
        head: Callable[[], Head],
        give_up: Callable[[], None],
        *,
        stalled: float = STALLED_SECONDS,
    ) -> None:
        """From now on send *ping* whenever nothing was sent for *quiet* seconds.

        An answer that is late begins with *head* then.  *give_up* is called
        when the client has read nothing for *stalled* seconds.
        """
        self._quiet, self._ping, self._early_head = quiet, ping, head
        self._give_up, self._stalled = give_up, stalled
        self._timer = self._loop.call_later(quiet, self._tick)

    def _tick(self) -> None:
        silent = self._loop.time() - self._last
        if self._busy or self._beat is not None:
            if silent > self._stalled:
                self._give_up()
                return
            wait = self._quiet
        elif silent < self._quiet:
            wait = self._quiet - silent
        else:
            self._beat = self._loop.create_task(self._fill())
            wait = self._quiet
        # Never at once: clocks of a coarse grain would make it spin.
        self._timer = self._loop.call_later(max(wait, 0.01), self._tick)

    async def _fill(self) -> None:
        try:
            if not self.started:
                await self._begin(*self._early_head())
            await self._send({"type": "http.response.body", "body": self._ping(), "more_body": True})
        finally:
            self._last = self._loop.time()
            self._beat = None

    async def start(self, status: int, headers: Mapping[str, str]) -> None:
        """Send status line and headers, unless silence already does."""
        if not self.started:
            await self._begin(status, headers)

    async def _begin(self, status: int, headers: Mapping[str, str]) -> None:
        self.started = True
        await self._send(
            {"type": "http.response.start", "status": status, "headers": _encode_headers(headers)}
        )

    async def chunk(self, data: bytes) -> None:
        """Send *data*; waits while the client reads slowly, which in turn stops reading upstream."""
        if self._beat is not None:
            await asyncio.wait((self._beat,))
        self._busy = True
        try:
            await self._send({"type": "http.response.body", "body": data, "more_body": True})
        finally:
            self._busy = False
            self._last = self._loop.time()

    async def end(self) -> None:
        """Send the end of the body."""
        if self._beat is not None:
            await asyncio.wait((self._beat,))
        self.quiet()
        await self._send({"type": "http.response.body", "body": b""})
        self.finished = True

    async def whole(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
        """Send an answer in one piece; nothing may have been sent."""
        self.quiet()
        self.started = True
        await send_whole(self._send, status, headers, body)
        self.finished = True

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
    cancelled for that reason and no other; `left` tells.  Given *watch*, it is
    told by the server instead of asking it, which would take a task of its own.
    """

    def __init__(self, receive: Receive, watch: Watch | None = None) -> None:
        self._receive = receive
        self._watch = watch
        self._watcher: asyncio.Future[Message] | None = None
        self._over = False
        self.left = False

    def __enter__(self) -> Self:
        task = asyncio.current_task()
        if task is None:
            raise RuntimeError("a request is served in a task")
        self._task = task
        if self._watch is not None:
            self._watch(self.leave)
        else:
            self._watcher = asyncio.ensure_future(self._receive())
            self._watcher.add_done_callback(self._received)
        return self

    def _received(self, watcher: "asyncio.Future[Message]") -> None:
        if watcher.cancelled() or watcher.exception() is not None:
            return
        if watcher.result()["type"] == "http.disconnect":
            self.leave()

    def leave(self) -> None:
        """The client is gone."""
        if not self._over:
            self.left = True
            self._task.cancel()

    def ignore(self) -> None:
        """The answer is out: that the server has nothing more to receive is no departure."""
        self._over = True

    def __exit__(self, exc_type: type[BaseException] | None, *_: object) -> bool:
        self._over = True
        if self._watcher is not None:
            self._watcher.cancel()
        elif self._watch is not None:
            self._watch(None)
        if self.left and exc_type is asyncio.CancelledError:
            self._task.uncancel()
            return True
        return False
