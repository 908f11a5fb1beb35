"""The ASGI application: a table of routes, and one way to serve a wire request."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from lynkr.assembly import build_gateway, served_models
from lynkr.errors import ClientWireError, GatewayClosed, LynkrError
from lynkr.exchange import WireExchange
from lynkr.gateway import Gateway
from lynkr.model import WireFormat
from lynkr.providers import AiohttpTransport
from lynkr.relay import WireReply
from lynkr.settings import ServerSettings, Settings
from lynkr.wire.anthropic import AnthropicCodec
from lynkr.wire.base import Codec
from lynkr.wire.json_body import dump
from lynkr.wire.openai_chat import OpenAIChatCodec
from lynkr_server.access import KeyCheck
from lynkr_server.http import (
    ClientGone,
    Departure,
    Incoming,
    Receive,
    Scope,
    Send,
    Wire,
    read_body,
    read_headers,
    send_whole,
)
from lynkr_server.models import model_list

_LOG: Final = logging.getLogger("lynkr.server")
_JSON: Final = {"content-type": "application/json"}
_STREAM_HEADERS: Final = {"content-type": "text/event-stream; charset=utf-8", "cache-control": "no-cache"}

Handler = Callable[[Incoming], Awaitable[None]]


class Overloaded(LynkrError):
    """As many requests as allowed are being served already."""

    status_hint = 503
    kind = "busy"


class App:
    """The gateway as an ASGI application.

    *factory* is called when the server starts, inside its event loop; the
    gateway it gives is closed when the server stops.
    """

    def __init__(
        self, factory: Callable[[], Gateway], settings: ServerSettings, *, models: Sequence[str] = ()
    ) -> None:
        self._factory = factory
        self._settings = settings
        self._models = tuple(models)
        self._keys = KeyCheck(settings.accepted_keys)
        self._codecs: dict[WireFormat, Codec] = {
            codec.format: codec for codec in (AnthropicCodec(), OpenAIChatCodec())
        }
        self._gateway: Gateway | None = None
        self._in_flight = 0
        self._routes: dict[str, dict[str, Handler]] = {
            "/v1/messages": {"POST": self._wire(WireFormat.ANTHROPIC_MESSAGES)},
            "/v1/chat/completions": {"POST": self._wire(WireFormat.OPENAI_CHAT)},
            "/v1/messages/count_tokens": {"POST": self._count_tokens},
            "/v1/models": {"GET": self._list_models},
            "/health/live": {"GET": self._live, "HEAD": self._live},
            "/health/ready": {"GET": self._ready, "HEAD": self._ready},
            "/": {"GET": self._live, "HEAD": self._live},
            "/api/hello": {"GET": self._live, "HEAD": self._live},
        }
        self._open_paths = frozenset({"/", "/api/hello", "/health/live", "/health/ready"})

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._lifespan(receive, send)
        elif scope["type"] == "http":
            await self._http(scope, receive, send)
        else:
            await send({"type": "websocket.close", "code": 1000})

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        await receive()
        try:
            self._gateway = self._factory()
        except (LynkrError, OSError) as error:
            await send({"type": "lifespan.startup.failed", "message": str(error)})
            return
        await send({"type": "lifespan.startup.complete"})
        await receive()
        gateway, self._gateway = self._gateway, None
        await gateway.aclose()
        await send({"type": "lifespan.shutdown.complete"})

    # ------------------------------------------------------------------ routing

    async def _http(self, scope: Scope, receive: Receive, send: Send) -> None:
        path: str = scope["path"]
        codec = self._codecs[_dialect_of(path)]
        try:
            headers = read_headers(scope["headers"], self._settings.max_header_bytes)
            methods = self._routes.get(path)
            if methods is None:
                raise ClientWireError(f"there is nothing at {path}", status=404)
            handler = methods.get(scope["method"])
            if handler is None:
                raise ClientWireError(f"{path} takes {', '.join(methods)}", status=405)
            if path not in self._open_paths:
                self._keys.admit(headers)
            await handler(Incoming(scope, receive, send, headers))
        except ClientGone:
            return
        except LynkrError as error:
            encoded = codec.encode_error(error)
            extra = {"retry-after": "1"} if isinstance(error, Overloaded) else {}
            await send_whole(send, encoded.status, _JSON | extra, dump(encoded.body))

    def _running(self) -> Gateway:
        if self._gateway is None:
            raise GatewayClosed("the gateway is not running")
        return self._gateway

    # ------------------------------------------------------------------ wire routes

    def _wire(self, format: WireFormat) -> Handler:
        async def serve(incoming: Incoming) -> None:
            body = await read_body(incoming, self._settings.max_body_bytes)
            if self._in_flight >= self._settings.max_in_flight:
                raise Overloaded(f"{self._in_flight} requests are being served, the most allowed")
            exchange = self._running().begin(format, body, incoming.headers)
            self._in_flight += 1
            try:
                await self._serve(exchange, incoming)
            finally:
                self._in_flight -= 1

        return serve

    async def _serve(self, exchange: WireExchange, incoming: Incoming) -> None:
        ping = exchange.encoder.ping if exchange.is_stream and exchange.error is None else None
        send = incoming.send
        wire = Wire(send, quiet=self._settings.ping_seconds, ping=ping)
        with Departure(incoming.receive) as departure:
            try:
                if ping is not None:
                    wire.watch_silence(200, _STREAM_HEADERS | exchange.headers())
                reply = await self._running().answer(exchange)
                await self._deliver(exchange, reply, wire, send)
            except asyncio.CancelledError:
                if not departure.left:  # the server is stopping and its grace is over
                    await self._break_off(exchange, wire, GatewayClosed("the gateway is shutting down"), send)
                raise
            except Exception as error:  # noqa: BLE001  # reason: one of the three edges
                # The shim is an edge: a defect must end in an answer and a log line, never in silence.
                _LOG.exception("request %s failed", exchange.id)
                await self._break_off(exchange, wire, error, send)
            finally:
                wire.quiet()

    async def _deliver(self, exchange: WireExchange, reply: WireReply, wire: Wire, send: Send) -> None:
        try:
            if reply.body is not None:
                if wire.started:  # silence was filled, so the status is out: only an error event is left
                    reply.status = 200
                    error = reply.error or GatewayClosed("the stream could not begin")
                    await wire.chunk(exchange.encoder.encode_error(error))
                    await wire.end()
                else:
                    wire.quiet()
                    await send_whole(send, reply.status, reply.headers, reply.body)
                reply.delivered()
            elif reply.chunks is not None:
                await wire.start(reply.status, reply.headers)
                async for chunk in reply.chunks:
                    await wire.chunk(chunk)
                await wire.end()
        finally:
            await reply.aclose()

    async def _break_off(self, exchange: WireExchange, wire: Wire, error: BaseException, send: Send) -> None:
        """End an exchange that cannot go on, in the client's dialect, whatever was sent already."""
        exchange.fail(error, started=wire.started)
        if wire.started:
            await wire.chunk(exchange.encoder.encode_error(error))
            await wire.end()
        else:
            wire.quiet()
            encoded = exchange.codec.encode_error(error)
            await send_whole(send, encoded.status, _JSON | exchange.headers(), dump(encoded.body))

    async def _count_tokens(self, incoming: Incoming) -> None:
        body = await read_body(incoming, self._settings.max_body_bytes)
        with Departure(incoming.receive):
            tokens, estimated = await self._running().count_tokens(
                WireFormat.ANTHROPIC_MESSAGES, body, incoming.headers
            )
            flag = "true" if estimated else "false"
            await incoming.reply(200, {"input_tokens": tokens}, x_lynkr_estimated=flag)

    # ------------------------------------------------------------------ the rest

    async def _list_models(self, incoming: Incoming) -> None:
        await incoming.reply(200, model_list(self._models, anthropic="anthropic-version" in incoming.headers))

    async def _live(self, incoming: Incoming) -> None:
        await incoming.reply(200, {"status": "alive", "service": "lynkr"})

    async def _ready(self, incoming: Incoming) -> None:
        gateway = self._gateway
        if gateway is None:
            await incoming.reply(503, {"status": "not_ready"})
            return
        state = {"ledger": gateway.ledger_health(), "circuits_open": len(gateway.unavailable())}
        await incoming.reply(200, {"status": "ready", **state})


def _dialect_of(path: str) -> WireFormat:
    """Whose error envelope a path's clients read."""
    openai = path.startswith(("/v1/chat", "/v1/models"))
    return WireFormat.OPENAI_CHAT if openai else WireFormat.ANTHROPIC_MESSAGES


def create_app(settings: Settings) -> App:
    """The application for *settings*, for any ASGI server with lifespan support."""

    def gateway() -> Gateway:
        return build_gateway(settings, transport=AiohttpTransport())

    return App(gateway, settings.server, models=served_models(settings))
