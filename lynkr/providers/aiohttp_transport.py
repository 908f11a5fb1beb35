"""`Transport` over aiohttp: asyncio only, a tenth of httpx's cost under load; the gateway's default."""

import asyncio
import io
import re
import socket
import ssl
from collections import deque
from collections.abc import Iterable, Mapping
from math import inf
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
_TICK: Final = 0.001
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
        self._pools: dict[Reach, _Pool] = {}

    def send(self, request: HTTPRequest, /) -> "_Exchange":
        """See `lynkr.providers.base.Transport.send`."""
        reach = request.reach or Reach.ANY
        pool = self._pools.get(reach)
        if pool is None:
            pool = self._pools[reach] = _Pool(reach, self._new_session(reach))
        return _Exchange(pool, request)

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
            request_class=_Request,
            max_line_size=_MAX_HEADER_BYTES,
            max_field_size=_MAX_HEADER_BYTES,
        )

    async def aclose(self) -> None:
        """Close every connection; answers still being read end in `TransportError`."""
        while self._pools:
            _, pool = self._pools.popitem()
            for exchange in tuple(pool.open):
                exchange.close_now()
            await pool.session.close()


class _Request(aiohttp.ClientRequest):
    """One of ours has all the headers that aiohttp would add, and need not be searched for them at length."""

    def update_auto_headers(self, skip_auto_headers: Iterable[str] | None) -> None:
        is_whole = all(name in self.headers for name in _NO_AUTO_HEADERS)
        super().update_auto_headers(None if is_whole else skip_auto_headers)


class _Pool:
    """Connections of one reach, and what requests over them have in common."""

    __slots__ = ("_limits", "_reach", "_urls", "loop", "open", "session")

    def __init__(self, reach: Reach, session: aiohttp.ClientSession) -> None:
        self._reach = reach
        self.session: aiohttp.ClientSession = session
        self.loop: asyncio.AbstractEventLoop = asyncio.get_running_loop()
        self.open: set[_Exchange] = set()
        self._urls: dict[str, URL] = {}
        self._limits: dict[tuple[float, float], aiohttp.ClientTimeout] = {}

    def url(self, text: str) -> URL:
        """*text*, which may be asked: parsed once, as a gateway asks few addresses many times.

        Raises:
            AddressRefused: its host is an address that is out of reach.
        """
        url = self._urls.get(text)
        if url is None:
            # As it stands, where it is written out already: a cloud's signature covers the
            # spelling (`%3A`), which yarl would otherwise make its own (`:`).
            url = URL(text, encoded=_WRITTEN_OUT.fullmatch(text) is not None)
            host = url.host or ""
            if is_numeric(host):  # never looked up
                refuse_addresses(host, [host], self._reach)
            if len(self._urls) >= _MOST_URLS:
                self._urls.clear()
            self._urls[text] = url
        return url

    def limits(self, timeouts: Timeouts) -> aiohttp.ClientTimeout:
        """Those of *timeouts* that aiohttp keeps; the total is kept here, without a timer of its own."""
        key = (timeouts.connect, timeouts.first_byte)
        limits = self._limits.get(key)
        if limits is None:
            if len(self._limits) >= _MOST_URLS:
                self._limits.clear()
            limits = self._limits[key] = aiohttp.ClientTimeout(
                total=None, connect=timeouts.connect, sock_read=timeouts.first_byte, ceil_threshold=_EXACT
            )
        return limits


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

    __slots__ = ("_pool", "_request", "_response")

    def __init__(self, pool: _Pool, request: HTTPRequest) -> None:
        self._pool = pool
        self._request = request
        self._response: aiohttp.ClientResponse | None = None

    async def __aenter__(self) -> "_Response":
        request, pool, timeouts = self._request, self._pool, self._request.timeouts
        headers, body = request.headers, request.body
        url = pool.url(request.url)
        if "accept-encoding" not in headers:
            headers = {**headers, "accept-encoding": "identity"}
        phase, seconds, longest = _bound_of_head(timeouts)
        alarm = _Alarm(pool.loop, longest)
        try:
            response = await pool.session.request(
                request.method,
                url,
                headers=headers,
                data=(io.BytesIO(body) if len(body) > _LARGE_BODY else body) if body else None,
                allow_redirects=False,
                timeout=pool.limits(timeouts),
            )
        except asyncio.CancelledError as error:
            if alarm.has_cancelled():
                raise TransportTimeout(phase, seconds) from error
            raise
        except aiohttp.ConnectionTimeoutError as error:
            raise TransportTimeout("connect", timeouts.connect) from error
        except aiohttp.ServerTimeoutError as error:
            raise TransportTimeout("first_byte", timeouts.first_byte) from error
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise _translate(error) from error
        finally:
            alarm.stop()
        self._response = response
        pool.open.add(self)
        connection = response.connection
        if connection is not None and connection.protocol is not None:
            # From here on the silence to bound is that between two chunks.
            connection.protocol.read_timeout = timeouts.idle
            connection.protocol.start_timeout()
        return _Response(response, timeouts, None if timeouts.total is None else alarm.began + timeouts.total)

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
        self._pool.open.discard(self)
        response, self._response = self._response, None
        if response is None:
            return
        connection = response.connection
        if connection is not None and connection.transport is not None:
            # close() would first wait for a request body the server may never read.
            connection.transport.abort()
        response.close()


class _Alarm:
    """Cancels the current task after *seconds*: `asyncio.timeout` at a third of its cost.

    It rings while the task waits for something else, so that is what is cancelled.
    """

    __slots__ = ("_cancelling", "_handle", "_rang", "_task", "began")

    def __init__(self, loop: asyncio.AbstractEventLoop, seconds: float) -> None:
        task = asyncio.current_task(loop)
        if task is None:
            raise RuntimeError("a request is sent in a task")
        self._task = task
        self._cancelling = task.cancelling()
        self._rang = False
        self.began = loop.time()
        self._handle = loop.call_at(self.began + seconds, self._ring)

    def _ring(self) -> None:
        self._rang = True
        self._task.cancel()

    def has_cancelled(self) -> bool:
        """Whether a cancellation that was met is this alarm's and nobody else's too."""
        return self._take_back() <= self._cancelling

    def stop(self) -> None:
        self._handle.cancel()
        self._take_back()  # it may have been met by an error of another kind

    def _take_back(self) -> float:
        """How many still want the task cancelled, if this alarm was one of them; else infinitely many."""
        if not self._rang:
            return inf
        self._rang = False
        return self._task.uncancel()


def _bound_of_head(timeouts: Timeouts) -> tuple[str, float, float]:
    """The phase that may end first before an answer's head is there, its seconds, and when it ends.

    aiohttp has no limit for writing the body, so the whole way to the head has one.
    """
    bound = ("first_byte", timeouts.first_byte, timeouts.connect + timeouts.first_byte)
    first, total = timeouts.first_token, timeouts.total
    if first is not None and first < bound[2]:
        bound = ("first_token", first, first)
    if total is not None and total <= bound[2]:
        bound = ("total", total, total)
    return bound


class _Response:
    """An answer whose head has arrived.  *until* is when its time is up, in the event loop's clock."""

    __slots__ = ("_chunks", "_response", "_timeouts", "_until", "headers", "status")

    def __init__(self, response: aiohttp.ClientResponse, timeouts: Timeouts, until: float | None) -> None:
        self._response = response
        self._timeouts = timeouts
        self._until = until
        self._chunks: _Chunks | None = None
        self.status = response.status
        headers: dict[str, str] = {}
        for spelled, value in response.headers.items():
            name = spelled.lower()
            headers[name] = f"{headers[name]}, {value}" if name in headers else value
        self.headers: Mapping[str, str] = headers

    def chunks(self) -> "_Chunks":
        if self._chunks is None:
            self._chunks = _Chunks(self._response, content_decoder(self.headers), self._timeouts, self._until)
        return self._chunks


class _Chunks:
    """The body."""

    __slots__ = ("_content", "_decoder", "_failure", "_loop", "_response", "_timeouts", "_until")

    def __init__(
        self,
        response: aiohttp.ClientResponse,
        decoder: Inflate | None,
        timeouts: Timeouts,
        until: float | None,
    ) -> None:
        self._response = response
        self._content = response.content
        self._decoder = decoder
        self._timeouts = timeouts
        self._until = until
        self._loop = asyncio.get_running_loop()
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

    @property
    def is_over(self) -> bool:
        """Whether nothing follows what was given: a short body comes in one piece, its end with it."""
        return self._decoder is None and self._failure is None and self._content.at_eof()

    async def _read(self) -> bytes:
        """What has arrived, at least a byte; empty at the end."""
        if self._failure is not None:
            raise self._failure
        until = self._until
        if until is not None and until - self._loop.time() < self._timeouts.idle and not self._hurry(until):
            return self._rest_before(TransportTimeout("total", self._timeouts.total or 0.0), TimeoutError())
        try:
            _join_pieces(self._content)
            return await self._content.readany()
        except aiohttp.ServerTimeoutError as error:
            if until is not None and self._loop.time() >= until - _TICK:
                return self._rest_before(TransportTimeout("total", self._timeouts.total or 0.0), error)
            return self._rest_before(TransportTimeout("idle", self._timeouts.idle), error)
        except (aiohttp.ClientError, aiohttp.http.HttpProcessingError, OSError) as error:
            return self._rest_before(_translate(error), error)

    def _hurry(self, until: float) -> bool:
        """Wait no longer than until then for what comes next; False if that is over."""
        connection = self._response.connection
        if connection is None or connection.protocol is None:
            return True  # all of it is here
        left = until - self._loop.time()
        if left <= 0:
            return False
        connection.protocol.read_timeout = left
        connection.protocol.start_timeout()
        return True

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


def _join_pieces(content: aiohttp.StreamReader) -> None:
    """Make one of the pieces that wait to be read.

    Each chunk of HTTP's is a piece, and aiohttp keeps its books over each: of a burst of 200 events
    that costs more than reading what they say.  Were its buffer elsewhere, they would be read as they are.
    """
    held: deque[bytes] | None = getattr(content, "_buffer", None)
    if held is not None and len(held) > 1 and not getattr(content, "_buffer_offset", 1):
        joined = b"".join(held)
        held.clear()
        held.append(joined)


def _translate(error: Exception) -> TransportError:
    match error:
        case aiohttp.ClientError() | OSError() | aiohttp.http.HttpProcessingError():
            return TransportError(f"{type(error).__name__}: {error}" if str(error) else type(error).__name__)
        case _:
            # A ValueError about a header may quote it, and it may be the key.
            return TransportError("the request is not valid HTTP (a header holds a character it may not)")
