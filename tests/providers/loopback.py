"""A loopback HTTP server that does exactly what a test scripts, byte by byte, on either event loop."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import TypeAlias

import anyio
from anyio.abc import SocketStream
from attrs import define, field, frozen


@frozen
class Received:
    """One request as it stood on the wire."""

    line: str
    headers: Mapping[str, str]
    body: bytes


@define
class Peer:
    """The server's side of one connection."""

    stream: SocketStream
    _buffer: bytes = b""

    async def request(self) -> Received | None:
        """The next request; None when the client closed."""
        while b"\r\n\r\n" not in self._buffer:
            if not await self._more():
                return None
        head, _, self._buffer = self._buffer.partition(b"\r\n\r\n")
        line, *fields = head.decode("latin-1").split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (item.partition(":") for item in fields)}
        length = int(headers.get("content-length", "0"))
        while len(self._buffer) < length:
            if not await self._more():
                return None
        body, self._buffer = self._buffer[:length], self._buffer[length:]
        return Received(line, headers, body)

    async def _more(self) -> bool:
        try:
            self._buffer += await self.stream.receive()
        except (anyio.EndOfStream, anyio.BrokenResourceError, anyio.ClosedResourceError):
            return False
        return True

    async def send(self, data: bytes) -> None:
        await self.stream.send(data)

    async def answer(
        self, body: bytes, *, status: str = "200 OK", content_type: str = "application/json", extra: str = ""
    ) -> None:
        """A whole answer with a content length."""
        await self.send(
            f"HTTP/1.1 {status}\r\ncontent-type: {content_type}\r\n"
            f"content-length: {len(body)}\r\n{extra}\r\n".encode()
            + body
        )

    async def begin_stream(self, content_type: str = "text/event-stream", extra: str = "") -> None:
        await self.send(
            f"HTTP/1.1 200 OK\r\ncontent-type: {content_type}\r\n"
            f"transfer-encoding: chunked\r\n{extra}\r\n".encode()
        )

    async def chunk(self, data: bytes) -> None:
        await self.send(b"%x\r\n%b\r\n" % (len(data), data))

    async def end_stream(self) -> None:
        await self.send(b"0\r\n\r\n")

    async def closed(self) -> None:
        """Return once the client has closed the connection."""
        while await self._more():
            pass


Handler: TypeAlias = Callable[[Peer, Received], Awaitable[None]]


@define
class Loopback:
    """A running server.  *gone* is set whenever a connection's handler has seen its client close."""

    port: int
    connections: int = 0
    requests: list[Received] = field(factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


@asynccontextmanager
async def serving(handler: Handler) -> AsyncIterator[Loopback]:
    """Serve with *handler*, one call a request, several requests a connection."""
    async with await anyio.create_tcp_listener(local_host="127.0.0.1") as listener:
        server = Loopback(listener.extra(anyio.abc.SocketAttribute.local_port))

        async def serve(stream: SocketStream) -> None:
            server.connections += 1
            peer = Peer(stream)
            async with stream:
                while (request := await peer.request()) is not None:
                    server.requests.append(request)
                    try:
                        await handler(peer, request)
                    except (anyio.BrokenResourceError, anyio.ClosedResourceError):
                        return

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(listener.serve, serve)
            yield server
            tasks.cancel_scope.cancel()
