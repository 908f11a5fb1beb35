"""`Transport` over aiohttp: asyncio only, a tenth of httpx's cost under load; the gateway's default."""

import asyncio
import io
import re
import socket
import ssl
from collections import deque
from collections.abc import Mapping
from types import TracebackType
from typing import Final, Self

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL  # aiohttp's own

from lynkr.providers.addresses import is_numeric, refuse_addresses
from lynkr.providers.base import HTTPRequest, Reach, Timeouts, TransportError, TransportTimeout
from lynkr.providers.inflate import Inflate, content_decoder

_MAX_HEADER_BYTES: Final = 64 * 1024
# aiohttp rounds timeouts longer than this up to a whole second; a deadline is meant exactly.
_EXACT: Final = 1e9
_MOST_URLS: Final = 256
# aiohttp warns about larger bodies given as bytes and would write them in one go.
_LARGE_BODY: Final = 1024 * 1024
_WRITTEN_OUT: Final = re.compile(r"[!-~]*")
_NO_AUTO_HEADERS: Final = ("user-agent", "accept", "accept-encoding", "content-type")


class AiohttpTransport:
    """One connection pool.  *max_connections* bounds open connections, idle ones included.

    *keepalive* is how long an idle connection is kept, in seconds.  The pool
    is made at the first request and belongs to the event loop that made it.
    """

    def __init__(
        self,
        *,
        max_connections: int = 1024,
        keepalive: float = 30.0,
        ssl_context: ssl.SSLContext | None = None,
    ) -> None:
        self._max_connections = max_connections
        self._keepalive = keepalive
        self._ssl_context = ssl_context
        # One pool for each reach: a connection made for one is never another's.
        self._sessions: dict[Reach, aiohttp.ClientSession] = {}
        self._open: set[_Exchange] = set()
        self._urls: dict[tuple[str, Reach | None], URL] = {}

    def send(self, request: HTTPRequest, /) -> "_Exchange":
        """See `lynkr.providers.base.Transport.send`."""
        reach = request.reach or Reach.ANY
        session = self._sessions.get(reach)
        if session is None:
            session = self._sessions[reach] = self._new_session(reach)
        return _Exchange(session, self._open, request, self._urls)

    def _new_session(self, reach: Reach) -> aiohttp.ClientSession:
        connector = aiohttp.TCPConnector(
            limit=self._max_connections,
            keepalive_timeout=self._keepalive,
            ssl=True if self._ssl_context is None else self._ssl_context,
            resolver=None if reach is Reach.ANY else _CheckedResolver(reach),
        )
        return aiohttp.ClientSession(
            connector=connector,
            cookie_jar=aiohttp.DummyCookieJar(),
            trust_env=False,
            auto_decompress=False,
            skip_auto_headers=_NO_AUTO_HEADERS,
            max_line_size=_MAX_HEADER_BYTES,
            max_field_size=_MAX_HEADER_BYTES,
        )

    async def aclose(self) -> None:
        """Close every connection; answers still being read end in `TransportError`."""
        for exchange in tuple(self._open):
            exchange.close_now()
        while self._sessions:
            _, session = self._sessions.popitem()
            await session.close()


class _CheckedResolver(AbstractResolver):
    """Looks hosts up and refuses addresses beyond *reach*; aiohttp connects to no others."""

    def __init__(self, reach: Reach) -> None:
        self._reach = reach
        self._inner = aiohttp.ThreadedResolver()

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        found = await self._inner.resolve(host, port, family)
        refuse_addresses(host, [result["host"] for result in found], self._reach)
        return found

    async def close(self) -> None:
        await self._inner.close()


class _Exchange:
    """One request and its answer.  Holds no task state between calls: any task may leave it."""

    __slots__ = ("_open", "_request", "_response", "_session", "_urls")

    def __init__(
        self,
        session: aiohttp.ClientSession,
        open: set["_Exchange"],
        request: HTTPRequest,
        urls: dict[tuple[str, Reach | None], URL],
    ) -> None:
        self._session = session
        self._open = open
        self._request = request
        self._urls = urls
        self._response: aiohttp.ClientResponse | None = None

    async def __aenter__(self) -> "_Response":
        request, timeouts = self._request, self._request.timeouts
        headers, body = request.headers, request.body
        url = self._urls.get((request.url, request.reach)) or self._checked_url()
        if "accept-encoding" not in headers:
            headers = {**headers, "accept-encoding": "identity"}
        # aiohttp has no limit for writing the body, so the whole way to the answer's head has one.
        longest, phase = timeouts.connect + timeouts.first_byte, "first_byte"
        if timeouts.first_token is not None and timeouts.first_token < longest:
            longest, phase = timeouts.first_token, "first_token"
        head = asyncio.timeout(longest)
        try:
            async with head:
                response = await self._session.request(
                    request.method,
                    url,
                    headers=headers,
                    data=(io.BytesIO(body) if len(body) > _LARGE_BODY else body) if body else None,
                    allow_redirects=False,
                    timeout=aiohttp.ClientTimeout(
                        total=timeouts.total,
                        connect=timeouts.connect,
                        sock_read=timeouts.first_byte,
                        ceil_threshold=_EXACT,
                    ),
                )
        except aiohttp.ConnectionTimeoutError as error:
            raise TransportTimeout("connect", timeouts.connect) from error
        except aiohttp.ServerTimeoutError as error:
            raise TransportTimeout("first_byte", timeouts.first_byte) from error
        except TimeoutError as error:
            if head.expired() or timeouts.total is None:
                raise TransportTimeout(
                    phase, longest if phase == "first_token" else timeouts.first_byte
                ) from error
            raise TransportTimeout("total", timeouts.total) from error
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise _translate(error) from error
        self._response = response
        self._open.add(self)
        connection = response.connection
        if connection is not None and connection.protocol is not None:
            # From here on the silence to bound is that between two chunks.
            connection.protocol.read_timeout = timeouts.idle
            connection.protocol.start_timeout()
        return _Response(response, timeouts)

    def _checked_url(self) -> URL:
        """The request's, which may be asked: parsed once, as a gateway asks few addresses many times.

        Raises:
            AddressRefused: its host is an address that is out of reach.
        """
        text, reach, urls = self._request.url, self._request.reach, self._urls
        # As it stands, where it is written out already: a cloud's signature covers the
        # spelling (`%3A`), which yarl would otherwise make its own (`:`).
        url = URL(text, encoded=_WRITTEN_OUT.fullmatch(text) is not None)
        host = url.host or ""
        if reach is not None and is_numeric(host):  # never looked up
            refuse_addresses(host, [host], reach)
        if len(urls) >= _MOST_URLS:
            urls.clear()
        urls[text, reach] = url
        return url

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
        /,
    ) -> None:
        self.close_now()

    def close_now(self) -> None:
        """Close the connection at once; when the body was read it is in the pool already."""
        self._open.discard(self)
        response, self._response = self._response, None
        if response is None:
            return
        connection = response.connection
        if connection is not None and connection.transport is not None:
            # close() would first wait for a request body the server may never read.
            connection.transport.abort()
        response.close()


class _Response:
    """An answer whose head has arrived."""

    __slots__ = ("_chunks", "_content", "_timeouts", "headers", "status")

    def __init__(self, response: aiohttp.ClientResponse, timeouts: Timeouts) -> None:
        self._content = response.content
        self._timeouts = timeouts
        self._chunks: _Chunks | None = None
        self.status = response.status
        headers: dict[str, str] = {}
        for spelled, value in response.headers.items():
            name = spelled.lower()
            headers[name] = f"{headers[name]}, {value}" if name in headers else value
        self.headers: Mapping[str, str] = headers

    def chunks(self) -> "_Chunks":
        if self._chunks is None:
            self._chunks = _Chunks(self._content, content_decoder(self.headers), self._timeouts)
        return self._chunks


class _Chunks:
    """The body."""

    __slots__ = ("_content", "_decoder", "_failure", "_timeouts")

    def __init__(self, content: aiohttp.StreamReader, decoder: Inflate | None, timeouts: Timeouts) -> None:
        self._content = content
        self._decoder = decoder
        self._timeouts = timeouts
        self._failure: TransportError | None = None

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        decoder = self._decoder
        while chunk := await self._read():
            text = chunk if decoder is None else decoder.feed(chunk)
            if text:
                return text
        if decoder is not None:
            decoder.check_complete()
        raise StopAsyncIteration

    async def _read(self) -> bytes:
        """What has arrived, at least a byte; empty at the end."""
        if self._failure is not None:
            raise self._failure
        try:
            return await self._content.readany()
        except aiohttp.ServerTimeoutError as error:
            return self._rest_before(TransportTimeout("idle", self._timeouts.idle), error)
        except TimeoutError as error:
            return self._rest_before(TransportTimeout("total", self._timeouts.total or 0.0), error)
        except (aiohttp.ClientError, aiohttp.http.HttpProcessingError, OSError) as error:
            return self._rest_before(_translate(error), error)

    def _rest_before(self, failure: TransportError, cause: Exception) -> bytes:
        """What had arrived before *failure*, which aiohttp would raise first; raises it if there is none."""
        failure.__cause__ = cause
        self._failure = failure
        held: deque[bytes] = getattr(self._content, "_buffer", deque())
        rest = b"".join(held)
        held.clear()
        if not rest:
            raise failure
        return rest


def _translate(error: Exception) -> TransportError:
    match error:
        case aiohttp.ClientError() | OSError() | aiohttp.http.HttpProcessingError():
            return TransportError(f"{type(error).__name__}: {error}" if str(error) else type(error).__name__)
        case _:
            # A ValueError about a header may quote it, and it may be the key.
            return TransportError("the request is not valid HTTP (a header holds a character it may not)")
