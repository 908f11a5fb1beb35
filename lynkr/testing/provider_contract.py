"""The provider contract: a pytest suite for any `lynkr.providers.Provider` of yours.

Inherit it, say how a provider is made for an upstream at a given address, and
pytest runs every rule of it on asyncio and trio::

    class TestMyHost(ProviderContract):
        def make_provider(self, base_url, transport, timeouts):
            return builtin("mine", "openai-compatible", key=self.key, base_url=base_url + "/v1",
                           transport=transport, timeouts=timeouts)

The upstream is a loopback server that answers in the provider's own dialect,
as its codec writes it.  Needs pytest and anyio's plugin (extra ``testing``).
"""

import json
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any, ClassVar, Final, TypeAlias, cast

import anyio
import attrs
import pytest
from anyio.abc import ByteStream, Listener, SocketAttribute, SocketStream
from attrs import define, evolve, field, frozen

from lynkr.errors import (
    UpstreamBusy,
    UpstreamError,
    UpstreamFailed,
    UpstreamRefused,
    UpstreamTimeout,
    UpstreamUnreachable,
    UpstreamWireError,
)
from lynkr.model import (
    Event,
    Extras,
    Folder,
    Foreign,
    Message,
    PartDelta,
    Request,
    Response,
    Role,
    StopReason,
    Text,
    ToolCall,
    ToolSpec,
    Usage,
    WireFormat,
)
from lynkr.model.fold import unfold
from lynkr.providers.base import Provider, Timeouts, Transport
from lynkr.providers.http_provider import HTTPProvider
from lynkr.routing.decision import Target
from lynkr.service import Call, RawBody, Reply
from lynkr.testing.laws import encode_stream
from lynkr.wire.base import Codec
from lynkr.wire.json_body import dump, parse_body

__all__ = ["CANARY", "Peer", "ProviderContract", "Received", "Upstream"]

CANARY: Final = "canary-8f1c2b7e5d"
"""The key of the contract's providers: it must be seen in one header, and nowhere else."""

_MODEL: Final = "contract-model"
_CLIENT_MODEL: Final = "client-model"
_ARGUMENTS: Final = '{"city":"Zürich","n":1e2}'
_USAGE: Final = Usage(input=17, output=5)
_SHORT: Final = Timeouts(connect=2.0, first_byte=0.15, idle=0.15, total=5.0)


# --- The upstream -------------------------------------------------------------------------------------


@frozen
class Received:
    """One request as it stood on the wire.  Header names are lower case."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes


@define
class Peer:
    """The server's side of one connection."""

    stream: ByteStream
    _buffer: bytes = b""

    async def request(self) -> Received | None:
        """The next request; None when the client closed."""
        while b"\r\n\r\n" not in self._buffer:
            if not await self._more():
                return None
        head, _, self._buffer = self._buffer.partition(b"\r\n\r\n")
        line, *lines = head.decode("latin-1").split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (item.partition(":") for item in lines)}
        length = int(headers.get("content-length", "0"))
        while len(self._buffer) < length:
            if not await self._more():
                return None
        body, self._buffer = self._buffer[:length], self._buffer[length:]
        method, path, _ = line.split(" ", 2)
        return Received(method, path, headers, body)

    async def _more(self) -> bool:
        try:
            self._buffer += await self.stream.receive()
        except (anyio.EndOfStream, anyio.BrokenResourceError, anyio.ClosedResourceError):
            return False
        return True

    async def answer(
        self, status: int, media_type: str, body: bytes, headers: Mapping[str, str] | None = None
    ) -> None:
        """A whole answer."""
        more = "".join(f"{name}: {value}\r\n" for name, value in (headers or {}).items())
        head = (
            f"HTTP/1.1 {status} Scripted\r\ncontent-type: {media_type}\r\n"
            f"content-length: {len(body)}\r\n{more}\r\n"
        )
        await self.stream.send(head.encode() + body)

    async def begin(self, media_type: str) -> None:
        """The head of a streamed answer."""
        head = f"HTTP/1.1 200 OK\r\ncontent-type: {media_type}\r\ntransfer-encoding: chunked\r\n\r\n"
        await self.stream.send(head.encode())

    async def chunk(self, data: bytes) -> None:
        """A piece of it; an empty one ends it."""
        await self.stream.send(b"%x\r\n%b\r\n" % (len(data), data))

    async def closed(self) -> None:
        """Return once the client has closed the connection."""
        while await self._more():
            pass


Handler: TypeAlias = Callable[[Peer, Received], Awaitable[None]]


@define
class Upstream:
    """A running server on the loopback interface; *requests* are those of the provider's own calls."""

    url: str
    requests: list[Received] = field(factory=list[Received])
    closed_at: float | None = None


# --- The contract -------------------------------------------------------------------------------------


class ProviderContract:
    """What every provider must do.  Override what is marked so.

    *key* is the credential to give the provider, *credential_headers* where it
    may be seen.  *closes_within* is the time a cancelled call has to close its
    connection, in seconds.
    """

    key: ClassVar[str] = CANARY
    credential_headers: ClassVar[frozenset[str]] = frozenset({"authorization"})
    closes_within: ClassVar[float] = 0.25

    # ------------------------------------------------------------------ to override

    def make_provider(self, base_url: str, transport: Transport, timeouts: Timeouts) -> Provider:
        """A provider that sends to *base_url* (``http://127.0.0.1:PORT``), with `key`.  Override."""
        raise NotImplementedError

    def make_transport(self) -> Transport:
        """The transport of the test's event loop; httpx runs on both.  May be overridden."""
        from lynkr.providers.httpx_transport import HttpxTransport  # noqa: PLC0415  # reason: httpx if asked for

        return HttpxTransport()

    def side_answer(self, request: Received) -> tuple[int, bytes]:
        """Status and JSON for a request that is no call (a GET).  May be overridden."""
        del request
        return 404, b"{}"

    def untouched(self, sent: bytes) -> bytes:
        """What of a client's own body *sent* must reach the upstream: all, with the target's model.

        Override where the host wants the model elsewhere.
        """
        return sent.replace(_CLIENT_MODEL.encode(), _MODEL.encode())

    def frame(self, stream: bytes) -> bytes:
        """*stream* in the wrapping the host puts around it, if any.  May be overridden."""
        return stream

    def stream_media_type(self, codec: Codec) -> str:
        """The content type of the host's streams.  May be overridden."""
        return codec.stream_media_type

    # ------------------------------------------------------------------ fixtures and helpers

    @pytest.fixture(params=["asyncio", "trio"])
    def anyio_backend(self, request: pytest.FixtureRequest) -> str:
        return str(request.param)

    @asynccontextmanager
    async def _house(
        self, handler: Handler, timeouts: Timeouts | None = None
    ) -> AsyncGenerator[tuple[Provider, Upstream]]:
        """A provider in front of an upstream that serves each of its calls with *handler*."""
        with anyio.fail_after(10):
            async with await anyio.create_tcp_listener(local_host="127.0.0.1") as listener:
                upstream = Upstream(f"http://127.0.0.1:{_port(listener)}")

                async def serve(stream: SocketStream) -> None:
                    peer = Peer(stream)
                    async with stream:
                        while (request := await peer.request()) is not None:
                            if request.method == "GET":
                                await peer.answer(*_of(self.side_answer(request), "application/json"))
                                continue
                            upstream.requests.append(request)
                            try:
                                await handler(peer, request)
                            except (anyio.BrokenResourceError, anyio.ClosedResourceError):
                                return

                transport = self.make_transport()
                provider = self.make_provider(upstream.url, transport, timeouts or Timeouts())
                async with anyio.create_task_group() as tasks:
                    tasks.start_soon(listener.serve, serve)
                    try:
                        yield provider, upstream
                    finally:
                        with anyio.CancelScope(shield=True):
                            await provider.aclose()
                            await provider.aclose()  # idempotent
                            await transport.aclose()
                        tasks.cancel_scope.cancel()

    def _call(self, provider: Provider, *, stream: bool, raw: bytes | None = None, **fields: object) -> Call:
        request = Request(
            model=_CLIENT_MODEL,
            messages=(Message.user("hi"),),
            tools=(ToolSpec("weather", "d", {"type": "object", "properties": {}}),),
            max_output_tokens=64,
            stream=stream,
        )
        body = None if raw is None else RawBody(provider.codec.format, parse_body(raw))
        return Call(
            evolve(request, **cast("dict[str, Any]", fields)), Target(provider.name, _MODEL), raw=body
        )

    def _answering(self, response: Response, *, stream: bool) -> Callable[[Provider], Handler]:
        """A handler that gives *response* in the provider's dialect."""

        def bind(provider: Provider) -> Handler:
            async def handler(peer: Peer, _: Received) -> None:
                if not stream:
                    body = dump(provider.codec.encode_response(response).body)
                    await peer.answer(200, "application/json", body)
                    return
                data = self.frame(encode_stream(provider.codec, unfold(response)))
                await peer.begin(self.stream_media_type(provider.codec))
                for at in range(0, len(data), 41):
                    await peer.chunk(data[at : at + 41])
                await peer.chunk(b"")

            return handler

        return bind

    @asynccontextmanager
    async def _answered(
        self, response: Response, *, stream: bool
    ) -> AsyncGenerator[tuple[Provider, Upstream]]:
        """As `_house`, whose upstream gives *response*."""
        made: list[Handler] = []

        async def handler(peer: Peer, request: Received) -> None:
            await made[0](peer, request)

        async with self._house(handler) as (provider, upstream):
            made.append(self._answering(response, stream=stream)(provider))
            yield provider, upstream

    # ------------------------------------------------------------------ answers

    @pytest.mark.anyio
    @pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
    async def test_text_and_usage_arrive(self, stream: bool) -> None:
        async with self._answered(_saying(Text("Grüß dich 🙂")), stream=stream) as (provider, _):
            reply = await provider.send(self._call(provider, stream=stream))
            response = _folded(await _events(reply))
        _check([part.text for part in response.parts if isinstance(part, Text)] == ["Grüß dich 🙂"], response)
        _check(response.stop_reason is StopReason.END_TURN, response)
        tally = reply.tally
        _check((tally.usage.input, tally.usage.output) == (_USAGE.input, _USAGE.output), tally)
        _check(tally.complete and tally.first_event_at is not None, tally)

    @pytest.mark.anyio
    @pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
    async def test_tool_calls_arrive_with_their_arguments(self, stream: bool) -> None:
        calls = (ToolCall("call_1", "weather", _ARGUMENTS), ToolCall("call_2", "weather", "{}"))
        answer = evolve(_saying(*calls), stop_reason=StopReason.TOOL_USE)
        async with self._answered(answer, stream=stream) as (provider, _):
            reply = await provider.send(self._call(provider, stream=stream))
            response = _folded(await _events(reply))
        found = [part for part in response.parts if isinstance(part, ToolCall)]
        _check([call.name for call in found] == ["weather", "weather"], found)
        _check(len({call.id for call in found}) == 2, found)
        _check(json.loads(found[0].arguments) == json.loads(_ARGUMENTS), found)
        _check(response.stop_reason is StopReason.TOOL_USE, response)

    @pytest.mark.anyio
    @pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
    async def test_a_body_of_the_providers_own_dialect_goes_both_ways_untouched(self, stream: bool) -> None:
        answer = _saying(Text("untouched"))
        async with self._answered(answer, stream=stream) as (provider, upstream):
            call = self._call(provider, stream=stream)
            encoded = provider.codec.encode_request(call.request)
            # Spelled as no encoder of ours would: what arrives is the client's own text.
            client = json.loads(dump(encoded.body))
            if stream and isinstance(provider, HTTPProvider) and provider.rules.stream_usage:
                client["stream_options"] = {"include_usage": True}  # or it would be asked for in its place
            sent = json.dumps(client, indent=1, ensure_ascii=True).encode()
            reply = await provider.send(self._call(provider, stream=stream, raw=sent))
            if reply.raw is None:
                pytest.fail("a body of the same dialect was translated")
            try:
                received = b"".join([chunk async for chunk in reply.raw])
            finally:
                await reply.aclose()
            written = encode_stream(provider.codec, unfold(answer)) if stream else None
            written = written or dump(provider.codec.encode_response(answer).body)
        _check(upstream.requests[0].body == self.untouched(sent), upstream.requests[0].body)
        _check(received == written, received)
        _check(reply.tally.usage.output == _USAGE.output and reply.tally.tap_error is None, reply.tally)

    @pytest.mark.anyio
    async def test_what_a_translation_drops_is_said(self) -> None:
        async with self._answered(_saying(Text("x")), stream=False) as (provider, _):
            spoken = provider.codec.format
            other = next(candidate for candidate in WireFormat if candidate is not spoken)
            lost = Foreign(other, {"type": "contract_block"})
            odd = Extras(other, {"contract_field": 1})
            messages = (Message(Role.USER, (Text("hi"), lost)),)
            reply = await provider.send(self._call(provider, stream=False, messages=messages, extras=odd))
            await reply.aclose()
        paths = " ".join(loss.path for loss in reply.losses)
        _check("messages[0].parts[1]" in paths and "extras.contract_field" in paths, reply.losses)

    # ------------------------------------------------------------------ failures

    @pytest.mark.anyio
    @pytest.mark.parametrize(
        ("status", "kind"),
        [
            (400, UpstreamRefused),
            (401, UpstreamRefused),
            (429, UpstreamBusy),
            (500, UpstreamFailed),
            (503, UpstreamBusy),
            (529, UpstreamBusy),
        ],
    )
    async def test_a_status_means_its_error(self, status: int, kind: type[UpstreamError]) -> None:
        made: list[bytes] = []

        async def handler(peer: Peer, _: Received) -> None:
            more = {"retry-after": "7"} if status == 429 else {}
            await peer.answer(status, "application/json", made[0], more)

        async with self._house(handler) as (provider, _):
            said = UpstreamFailed("contract complaint", target="t:m", status=500)
            made.append(dump(provider.codec.encode_error(said).body))
            with pytest.raises(UpstreamError) as caught:
                await provider.send(self._call(provider, stream=True))
        error = caught.value
        _check(type(error) is kind, error)
        _check((error.status, error.target) == (status, f"{provider.name}:{_MODEL}"), error)
        _check(error.retry_after == (7.0 if status == 429 else None), error)
        self._check_hidden(provider, error)

    @pytest.mark.anyio
    @pytest.mark.parametrize("passes", [False, True], ids=["translated", "untouched"])
    async def test_a_stream_cut_short_raises(self, passes: bool) -> None:
        made: list[tuple[str, bytes]] = []

        async def handler(peer: Peer, _: Received) -> None:
            media_type, data = made[0]
            await peer.begin(media_type)
            await peer.chunk(data)
            await peer.chunk(b"")

        async with self._house(handler) as (provider, _):
            whole = self.frame(encode_stream(provider.codec, unfold(_saying(Text("0123456789" * 9)))))
            made.append((self.stream_media_type(provider.codec), whole[: len(whole) // 2]))
            raw = self._raw(provider) if passes else None
            with pytest.raises(UpstreamWireError) as caught:
                await _drained(await provider.send(self._call(provider, stream=True, raw=raw)))
        _check(f"{provider.name}:{_MODEL}" in str(caught.value), caught.value)

    @pytest.mark.anyio
    async def test_a_connection_that_breaks_names_the_target(self) -> None:
        async def handler(peer: Peer, _: Received) -> None:
            await peer.stream.aclose()

        async with self._house(handler) as (provider, _):
            with pytest.raises(UpstreamUnreachable) as caught:
                await provider.send(self._call(provider, stream=False))
        _check(caught.value.target == f"{provider.name}:{_MODEL}", caught.value)
        self._check_hidden(provider, caught.value)

    @pytest.mark.anyio
    async def test_silence_is_a_timeout_that_names_the_target(self) -> None:
        async def handler(peer: Peer, _: Received) -> None:
            await peer.closed()

        async with self._house(handler, _SHORT) as (provider, _):
            with pytest.raises(UpstreamTimeout) as caught:
                await provider.send(self._call(provider, stream=False))
        _check(caught.value.target == f"{provider.name}:{_MODEL}", caught.value)
        self._check_hidden(provider, caught.value)

    @pytest.mark.anyio
    @pytest.mark.parametrize("when", ["before the head", "in mid-stream"])
    async def test_cancelling_closes_the_connection_at_once(self, when: str) -> None:
        reached, gone = anyio.Event(), anyio.Event()
        made: list[tuple[str, bytes]] = []
        left_at = cancelled_at = 0.0

        async def handler(peer: Peer, _: Received) -> None:
            nonlocal left_at
            if when == "in mid-stream":
                await peer.begin(made[0][0])
                await peer.chunk(made[0][1])
            else:
                reached.set()
            await peer.closed()
            left_at = time.monotonic()
            gone.set()

        async with self._house(handler) as (provider, _):
            events = unfold(_saying(Text("begun and never ended")))
            began = encode_stream_start(provider.codec, events)
            made.append((self.stream_media_type(provider.codec), self.frame(began)))

            async def serve() -> None:
                reply = await provider.send(self._call(provider, stream=True))
                try:
                    reached.set()
                    await _drained(reply)
                finally:
                    await reply.aclose()

            async with anyio.create_task_group() as tasks:
                tasks.start_soon(serve)
                await reached.wait()
                cancelled_at = time.monotonic()
                tasks.cancel_scope.cancel()
            with anyio.fail_after(2):
                await gone.wait()
        _check(left_at - cancelled_at <= self.closes_within, left_at - cancelled_at)

    # ------------------------------------------------------------------ credentials

    @pytest.mark.anyio
    async def test_the_key_is_where_it_belongs_and_nowhere_else(self) -> None:
        async with self._answered(_saying(Text("x")), stream=False) as (provider, upstream):
            await (await provider.send(self._call(provider, stream=False))).aclose()
        (request,) = upstream.requests
        _check(self.key not in request.path and self.key.encode() not in request.body, request.path)
        shown = {name for name, value in request.headers.items() if self.key in value}
        _check(shown <= self.credential_headers, shown)
        _check(bool(shown) == bool(self.credential_headers), shown)
        self._check_hidden(provider, None)

    @pytest.mark.anyio
    async def test_a_clients_own_credentials_are_not_passed_on(self) -> None:
        async with self._answered(_saying(Text("x")), stream=False) as (provider, upstream):
            stolen = {
                "authorization": "Bearer clients-own",
                "x-api-key": "clients-own",
                "cookie": "clients-own",
            }
            call = evolve(
                self._call(provider, stream=False, raw=self._raw(provider, stream=False)), headers=stolen
            )
            await (await provider.send(call)).aclose()
        (request,) = upstream.requests
        _check(not any("clients-own" in value for value in request.headers.values()), request.headers)

    def test_a_provider_tells_its_name_and_what_its_models_can_do(self) -> None:
        provider = self.make_provider("http://127.0.0.1:9", self.make_transport(), Timeouts())
        _check(bool(provider.name) and ":" not in provider.name, provider.name)
        _check(attrs.has(type(provider.profile(_MODEL))), provider.profile(_MODEL))
        _check(provider.codec.format in set(WireFormat), provider.codec)

    # ------------------------------------------------------------------ inside

    def _raw(self, provider: Provider, *, stream: bool = True) -> bytes:
        return dump(provider.codec.encode_request(self._call(provider, stream=stream).request).body)

    def _check_hidden(self, provider: Provider, error: BaseException | None) -> None:
        _check(self.key not in repr(provider), "the key is in repr(provider)")
        while error is not None:
            _check(self.key not in f"{error!s} {error!r}", "the key is in an exception")
            error = error.__cause__ or error.__context__


def _port(listener: Listener[SocketStream]) -> int:
    return int(listener.extra(SocketAttribute.local_port))  # noqa: S610  # reason: anyio's, not Django's


def _of(answer: tuple[int, bytes], media_type: str) -> tuple[int, str, bytes]:
    return answer[0], media_type, answer[1]


def encode_stream_start(codec: Codec, events: tuple[Event, ...]) -> bytes:
    """*events* as the dialect writes them, up to the first words: a stream that has begun."""
    encoder = codec.event_encoder(None)
    written = b""
    for event in events:
        written += encoder.encode(event)
        if isinstance(event, PartDelta):
            break
    return written


def _saying(*parts: Text | ToolCall) -> Response:
    return Response("msg_1", _MODEL, parts, StopReason.END_TURN, _USAGE, created=1_700_000_000)


async def _events(reply: Reply) -> list[Event]:
    if reply.events is None:
        pytest.fail("a call without a body of the provider's dialect must be answered with events")
    try:
        return [event async for event in reply.events]
    finally:
        await reply.aclose()


def _folded(events: list[Event]) -> Response:
    folder = Folder()
    for event in events:
        folder.add(event)
    return folder.response()


async def _drained(reply: Reply) -> None:
    """Read to the end; an error that ends it is raised."""
    try:
        if reply.raw is not None:
            async for _ in reply.raw:
                pass
        elif reply.events is not None:
            async for _ in reply.events:
                pass
    finally:
        await reply.aclose()


def _check(holds: bool, shown: object) -> None:
    """An assertion that holds under ``python -O`` too, and shows what was found."""
    if not holds:
        pytest.fail(f"the contract does not hold: {shown!r}")
