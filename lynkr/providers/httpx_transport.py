"""`Transport` over httpx: asyncio and trio, the library's default.

httpx's client adds redirects, cookies, proxies from the environment and
logging; none is wanted here, so requests go straight to its HTTP transport.
Under many concurrent requests its pool costs ten times aiohttp's
(encode/httpx #3215): the gateway uses `AiohttpTransport`.
"""

import math
import socket
import ssl
from collections.abc import Iterable, Mapping
from types import AsyncGeneratorType, MappingProxyType, TracebackType
from typing import Final, Self, TypeAlias, cast

import anyio
import httpcore
import httpx

from lynkr.providers.addresses import refuse_addresses
from lynkr.providers.base import HTTPRequest, Reach, Timeouts, TransportError, TransportTimeout
from lynkr.providers.inflate import Inflate, content_decoder

_CLOSE_SECONDS: Final = 5.0
_Body: TypeAlias = AsyncGeneratorType[bytes, None]


class HttpxTransport:
    """One connection pool.  *max_connections* bounds open connections, idle ones included.

    *keepalive* is how long an idle connection is kept, in seconds.  The pool
    is made at the first request and belongs to the event loop that made it.
    """

    def __init__(
        self,
        *,
        max_connections: int = 256,
        keepalive: float = 30.0,
        ssl_context: ssl.SSLContext | None = None,
    ) -> None:
        self._limits = httpx.Limits(
            max_connections=max_connections,
            max_keepalive_connections=max_connections,
            keepalive_expiry=keepalive,
        )
        self._ssl_context = ssl_context
        # One pool for each reach: a connection made for one is never another's.
        self._pools: dict[Reach, httpx.AsyncHTTPTransport] = {}

    def send(self, request: HTTPRequest, /) -> "_Exchange":
        """See `lynkr.providers.base.Transport.send`."""
        pool = self._pools.get(request.reach or Reach.ANY)
        if pool is None:
            verify = True if self._ssl_context is None else self._ssl_context
            pool = self._pools[request.reach or Reach.ANY] = _Pool(
                verify, self._limits, request.reach or Reach.ANY
            )
        return _Exchange(pool, request)

    async def aclose(self) -> None:
        """Close every connection; answers still being read end in `TransportError`."""
        while self._pools:
            _, pool = self._pools.popitem()
            await pool.aclose()


class _Pool(httpx.AsyncHTTPTransport):
    """httpx's pool, which connects only where *reach* allows."""

    def __init__(self, verify: ssl.SSLContext | bool, limits: httpx.Limits, reach: Reach) -> None:
        super().__init__(verify=verify, trust_env=False, limits=limits)
        if reach is not Reach.ANY:
            context = (
                verify if isinstance(verify, ssl.SSLContext) else httpx.create_ssl_context(trust_env=False)
            )
            # httpx lets nobody choose how its pool connects: the one it made, unused, is replaced.
            self._pool = httpcore.AsyncConnectionPool(
                ssl_context=context,
                max_connections=limits.max_connections,
                max_keepalive_connections=limits.max_keepalive_connections,
                keepalive_expiry=limits.keepalive_expiry,
                network_backend=_CheckedBackend(reach),
            )


class _CheckedBackend(httpcore.AsyncNetworkBackend):
    """Looks hosts up itself and connects to what it has checked; TLS still asks for the host's name."""

    def __init__(self, reach: Reach) -> None:
        self._reach = reach
        # Without anyio httpcore has a stand-in under this name, which type checkers see as well.
        self._inner = cast("httpcore.AsyncNetworkBackend", httpcore.AnyIOBackend())

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109  # reason: httpcore's
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        deadline = math.inf if timeout is None else anyio.current_time() + timeout
        try:
            with anyio.fail_after(timeout):
                found = await anyio.getaddrinfo(host.strip("[]"), port, type=socket.SOCK_STREAM)
        except TimeoutError as error:
            raise httpcore.ConnectTimeout(str(error)) from error
        except OSError as error:
            raise httpcore.ConnectError(str(error)) from error
        addresses = list(dict.fromkeys(str(item[4][0]) for item in found))
        refuse_addresses(host, addresses, self._reach)
        failure: httpcore.ConnectError | None = None
        for address in addresses:
            left = None if timeout is None else max(0.0, deadline - anyio.current_time())
            try:
                return await self._inner.connect_tcp(address, port, left, local_address, socket_options)
            except httpcore.ConnectError as error:
                failure = error
        raise failure or httpcore.ConnectError(f"{host} has no address")

    async def connect_unix_socket(
        self,
        path: str,
        timeout: float | None = None,  # noqa: ASYNC109, ARG002  # reason: httpcore's
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,  # noqa: ARG002  # reason: httpcore's
    ) -> httpcore.AsyncNetworkStream:
        raise httpcore.UnsupportedProtocol(f"providers are reached over TCP, not at {path}")

    async def sleep(self, seconds: float) -> None:
        await self._inner.sleep(seconds)


class _Exchange:
    """One request and its answer.  Holds no cancel scope between calls: any task may leave it."""

    def __init__(self, pool: httpx.AsyncHTTPTransport, request: HTTPRequest) -> None:
        self._pool = pool
        self._request = request
        self._response: _Response | None = None

    async def __aenter__(self) -> "_Response":
        request, timeouts = self._request, self._request.timeouts
        total, first = timeouts.total, timeouts.first_token
        deadline = None if total is None else anyio.current_time() + total
        longest, phase = total, "total"
        if first is not None and (total is None or first < total):
            longest, phase = first, "first_token"
        # httpcore looks "read" up anew when the body begins; the body's idle time is ours to keep.
        limits: dict[str, float | None] = {
            "connect": timeouts.connect,
            "pool": timeouts.connect,
            "write": timeouts.first_byte,
            "read": timeouts.first_byte,
        }
        headers = request.headers
        if "accept-encoding" not in headers:
            headers = {**headers, "accept-encoding": "identity"}
        try:
            with anyio.move_on_after(longest) as scope:
                outgoing = httpx.Request(
                    request.method,
                    request.url,
                    headers=headers,
                    content=request.body or None,
                    extensions={"timeout": limits},
                )
                outgoing.stream = _RequestBody(request.body)
                answer = await self._pool.handle_async_request(outgoing)
                limits["read"] = None
                self._response = _Response(answer, timeouts, deadline)
                return self._response
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise _translate(error, timeouts, "first_byte") from error
        if scope.cancelled_caught and longest is not None:
            raise TransportTimeout(phase, longest)
        raise AssertionError("a request is answered, fails or times out")

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
        /,
    ) -> None:
        if self._response is not None:
            await self._response.aclose()


class _RequestBody(httpx.AsyncByteStream):
    """The body in one piece.

    httpx's own is an async generator; when writing fails it is dropped
    half-way, which trio reports as a leak.
    """

    def __init__(self, body: bytes) -> None:
        self._left = body

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        body, self._left = self._left, b""
        if not body:
            raise StopAsyncIteration
        return body


class _Response:
    """An answer whose head has arrived."""

    def __init__(self, answer: httpx.Response, timeouts: Timeouts, deadline: float | None) -> None:
        self._answer = answer
        self._timeouts = timeouts
        self._deadline = deadline
        self._chunks: _Chunks | None = None
        self.status = answer.status_code
        self.headers: Mapping[str, str] = MappingProxyType(dict(answer.headers.items()))

    def chunks(self) -> "_Chunks":
        if self._chunks is None:
            body = cast("_Body", self._answer.aiter_raw())
            self._chunks = _Chunks(body, content_decoder(self.headers), self._timeouts, self._deadline)
        return self._chunks

    async def aclose(self) -> None:
        with anyio.move_on_after(_CLOSE_SECONDS, shield=True):
            await self._answer.aclose()
            if self._chunks is not None:
                await self._chunks.run_out()


class _Chunks:
    """The body.  *deadline* is in the event loop's clock."""

    def __init__(
        self, body: _Body, decoder: Inflate | None, timeouts: Timeouts, deadline: float | None
    ) -> None:
        self._body = body
        self._decoder = decoder
        self._timeouts = timeouts
        self._deadline = deadline
        self._begun = False
        self._over = False

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        if self._over:
            raise StopAsyncIteration
        self._begun = True
        phase, seconds = "idle", self._timeouts.idle
        if self._deadline is not None:
            left = self._deadline - anyio.current_time()
            if left < seconds:
                phase, seconds = "total", max(left, 0.0)
        try:
            with anyio.move_on_after(seconds):
                while not (chunk := self._decoded(await self._body.__anext__())):
                    pass
                return chunk
        except StopAsyncIteration:
            self._over = True
            if self._decoder is not None:
                self._decoder.check_complete()
            raise
        except (httpx.HTTPError, httpx.StreamError) as error:
            self._over = True
            raise _translate(error, self._timeouts, "idle") from error
        self._over = True
        raise TransportTimeout(
            phase, (self._timeouts.total or 0.0) if phase == "total" else self._timeouts.idle
        )

    def _decoded(self, chunk: bytes) -> bytes:
        return chunk if self._decoder is None else self._decoder.feed(chunk)

    async def run_out(self) -> None:
        """After the socket was closed: let httpx's nested generators run into that and end.

        Dropping them half-way would leave their cleaning up to the garbage
        collector, which trio reports as a leak.
        """
        self._over = True
        if not self._begun:
            return
        try:
            while True:
                await self._body.__anext__()
        except (StopAsyncIteration, httpx.HTTPError, httpx.StreamError):
            return
        except RuntimeError:
            if not self._body.ag_running:
                raise
            # Another task is reading; it is told by its own read.


def _translate(error: Exception, timeouts: Timeouts, waiting: str) -> TransportError:
    """What went wrong, in this package's words; *waiting* is the phase a read timeout means."""
    match error:
        case httpx.ConnectTimeout() | httpx.PoolTimeout():
            return TransportTimeout("connect", timeouts.connect)
        case httpx.TimeoutException():
            return TransportTimeout(
                waiting, timeouts.first_byte if waiting == "first_byte" else timeouts.idle
            )
        case httpx.LocalProtocolError():
            # Its own message quotes the header it refuses, which may be the key.
            return TransportError("the request is not valid HTTP (a header holds a character it may not)")
        case _:
            return TransportError(f"{type(error).__name__}: {error}" if str(error) else type(error).__name__)
