"""The ASGI application: a table of routes, and one way to serve a wire request.

What never became a request for a model (no such route, no key, too large, more
than are served at once) is answered, but is no row of the ledger.
"""

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Final

from lynkr.assembly import build_gateway, served_models
from lynkr.cli.dialects import codec_of
from lynkr.errors import ClientWireError, GatewayClosed, LynkrError, without_frames
from lynkr.exchange import WireExchange
from lynkr.gateway import Gateway
from lynkr.hops import refuse_loop
from lynkr.listing import ServedModels, model_list, one_model
from lynkr.model import WireFormat
from lynkr.providers import AiohttpTransport
from lynkr.relay import WireReply
from lynkr.resilience.admission import AdmissionLimits, Ticket
from lynkr.routing.why import decision_json
from lynkr.settings import ServerSettings, Settings, TenantSettings
from lynkr.telemetry.record import Ending
from lynkr.wire.anthropic import AnthropicCodec
from lynkr.wire.base import Codec
from lynkr.wire.json_body import dump, parse_body
from lynkr.wire.openai_chat import OpenAIChatCodec
from lynkr.wire.openai_responses import OpenAIResponsesCodec
from lynkr_server.access import KeyCheck, Unauthorised
from lynkr_server.admission import Door
from lynkr_server.colleagues import Colleagues, with_others
from lynkr_server.dashboard.late import LateDashboard, Pages
from lynkr_server.feedback import MOST_BYTES, keep_feedback, read_feedback
from lynkr_server.http import (
    JSON_HEADERS,
    ClientGone,
    Departure,
    Head,
    Incoming,
    Receive,
    Scope,
    Send,
    Wire,
    read_body,
    read_headers,
    send_whole,
)
from lynkr_server.metrics import MetricsPage
from lynkr_server.reload import Reloader, Reloads

_LOG: Final = logging.getLogger("lynkr.server")
_MODEL: Final = "/v1/models/"  # and an id, which may have slashes of its own
LAST_WORDS: Final = 2.0
"""Seconds a client has, once the grace of a shutdown is over, to take the error that ends its answer."""

Handler = Callable[[Incoming], Awaitable[None]]


class WrongMethod(ClientWireError):
    """The path is right, the method is not (405); *allowed* are those that are."""

    def __init__(self, path: str, allowed: Sequence[str]) -> None:
        super().__init__(f"{path} takes {', '.join(allowed)}", status=405)
        self.allowed = tuple(allowed)


class App:
    """The gateway as an ASGI application.

    *factory* is called when the server starts, inside its event loop; the
    gateway it gives is closed when the server stops.  *dashboard* answers for
    the paths it owns, behind its own door.  *tenants* are let in by
    their keys.  *colleagues* are the other workers, where several serve.  *reloader* makes the next
    gateway, when `reload` is called; *retired* is called when the one before has been closed.
    """

    def __init__(
        self,
        factory: Callable[[], Gateway],
        settings: ServerSettings,
        *,
        models: ServedModels = ServedModels(),  # noqa: B008  # reason: a frozen value
        tenants: Mapping[str, TenantSettings] = MappingProxyType({}),
        dashboard: Pages | None = None,
        reloader: Reloader | None = None,
        retired: Callable[[], None] = lambda: None,
        colleagues: Colleagues | None = None,
    ) -> None:
        self._factory = factory
        self._retired = retired
        self._colleagues = colleagues
        self._dashboard = dashboard
        self._reloader = reloader
        self._reloading = asyncio.Lock()
        self._reloads = Reloads()
        self._using: Counter[Gateway] = Counter()
        self._retiring: set[asyncio.Task[None]] = set()
        self._codecs: dict[WireFormat, Codec] = {
            codec.format: codec for codec in (AnthropicCodec(), OpenAIChatCodec(), OpenAIResponsesCodec())
        }
        self._gateway: Gateway | None = None
        self._leaving = False
        self._door = Door(AdmissionLimits())
        self._obey(settings, models, tenants)
        self._serving: set[asyncio.Task[object]] = set()
        self._routes: dict[str, dict[str, Handler]] = {
            "/v1/messages": {"POST": self._wire(WireFormat.ANTHROPIC_MESSAGES)},
            "/v1/chat/completions": {"POST": self._wire(WireFormat.OPENAI_CHAT)},
            "/v1/responses": {"POST": self._wire(WireFormat.OPENAI_RESPONSES)},
            "/v1/messages/count_tokens": {"POST": self._bounded(self._count_tokens)},
            "/v1/route": {"POST": self._bounded(self._route)},
            "/v1/embeddings": {"POST": self._bounded(self._embed)},
            "/v1/feedback": {"POST": self._bounded(self._feedback)},
            "/v1/models": {"GET": self._list_models},
            _MODEL: {"GET": self._one_model},
            "/metrics": {"GET": self._metrics},
            "/health/live": {"GET": self._live},
            "/health/ready": {"GET": self._ready},
            "/": {"GET": self._live},
            "/api/hello": {"GET": self._live},
        }
        # Those that need no API key; the metrics have a key of their own.
        self._open_paths = frozenset({"/", "/api/hello", "/health/live", "/health/ready", "/metrics"})

    def _obey(
        self,
        settings: ServerSettings,
        models: ServedModels,
        tenants: Mapping[str, TenantSettings],
    ) -> None:
        self._settings = settings
        self._models = models
        digests = {name: tenant.key_digests for name, tenant in tenants.items()}
        self._keys = KeyCheck(settings.accepted_keys, digests)
        self._metrics_page = MetricsPage(settings, self._colleagues)
        self._door.admission.limits = AdmissionLimits(
            settings.max_in_flight, settings.max_streams, settings.max_queued, settings.queue_seconds
        )

    async def reload(self) -> bool:
        """Read the settings again and serve by them; False if they cannot be used, and the old ones stay."""
        async with self._reloading:
            old = self._gateway
            if self._reloader is None or old is None:
                return False
            try:
                loaded = await asyncio.to_thread(self._reloader.load, old.kept)
            except (LynkrError, OSError) as error:
                self.keep_settings()
                _LOG.error("the settings could not be reloaded, those before stay in force: %s", error)
                return False
            self._gateway = loaded.gateway
            self._add_refusals(loaded.gateway)
            self._obey(loaded.settings.server, loaded.models, loaded.settings.tenants)
            if self._dashboard is not None:
                self._dashboard.obey(loaded.settings)
            self._reloads.done += 1
            self._reloads.current = True
            _LOG.info("the settings were reloaded")
        self._retire(old)
        return True

    def keep_settings(self) -> None:
        """Note that newer settings are there which cannot be used."""
        self._reloads.failed += 1
        self._reloads.current = False

    def post(self) -> None:
        """Tell the other workers how this one fares.  Blocks."""
        gateway = self._gateway
        if self._colleagues is not None and gateway is not None:
            self._colleagues.post(gateway, len(self._serving))

    def leave(self) -> None:
        """Say from now on that no more requests are wanted; those that come are served."""
        self._leaving = True

    def _add_refusals(self, gateway: Gateway) -> None:
        admission, reloads = self._door.admission, self._reloads
        gateway.refusals["queue"] = lambda: admission.refused + admission.dropped
        gateway.refusals["settings"] = lambda: reloads.failed

    def _retire(self, gateway: Gateway) -> None:
        """Close a gateway that has been replaced, once nobody uses it."""
        if not self._using[gateway] and self._gateway is not None:
            del self._using[gateway]
            closing = asyncio.ensure_future(gateway.retire(self._gateway.kept))
            self._retiring.add(closing)
            closing.add_done_callback(self._closed)

    def _closed(self, closing: asyncio.Task[None]) -> None:
        self._retiring.discard(closing)
        self._retired()

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
            self._add_refusals(self._gateway)
        except (LynkrError, OSError) as error:
            await send({"type": "lifespan.startup.failed", "message": str(error)})
            return
        await send({"type": "lifespan.startup.complete"})
        await receive()
        # The server has cancelled what was still being served: it gets to say so, and to be recorded.
        if self._serving:
            await asyncio.wait(self._serving, timeout=2 * LAST_WORDS)
        if self._retiring:
            await asyncio.wait(self._retiring, timeout=LAST_WORDS)
        gateway, self._gateway = self._gateway, None
        if self._colleagues is not None:
            await asyncio.to_thread(self._colleagues.post_last, gateway)
        await gateway.aclose()
        await send({"type": "lifespan.shutdown.complete"})

    # ------------------------------------------------------------------ routing

    async def _http(self, scope: Scope, receive: Receive, send: Send) -> None:
        path: str = scope["path"]
        headers: dict[str, str] = {}
        try:
            headers = read_headers(scope["headers"], self._settings.max_header_bytes)
            if self._dashboard is not None and self._dashboard.owns(path):
                incoming = Incoming(scope, receive, send, headers)
                await self._dashboard.serve(incoming, self._running(), len(self._serving))
                return
            handler = self._handler(path, scope["method"])
            tenant = None if path in self._open_paths else self._keys.admit(headers)
            await handler(Incoming(scope, receive, send, headers, tenant))
        except ClientGone:
            return
        except LynkrError as error:
            await self._refuse(without_frames(error), self._codec_for(path, headers), send)
        except asyncio.CancelledError:
            closed = GatewayClosed("the gateway is shutting down")
            await self._refuse(closed, self._codec_for(path, headers), send)
        except Exception as error:  # noqa: BLE001  # reason: one of the three edges
            # The shim is an edge: a defect must end in an answer and a log line, never in silence.
            _LOG.exception("%s %s failed", scope["method"], path)
            await self._refuse(error, self._codec_for(path, headers), send)

    def _handler(self, path: str, method: str) -> Handler:
        methods = self._routes.get(_MODEL if path.startswith(_MODEL) else path)
        if methods is None:
            raise ClientWireError(f"there is nothing at {path}", status=404)
        # HEAD is GET without the body, which the server leaves out (RFC 9110, 9.3.2).
        handler = methods.get("GET" if method == "HEAD" else method)
        if handler is None:
            raise WrongMethod(path, (*methods, "HEAD") if "GET" in methods else tuple(methods))
        return handler

    def _codec_for(self, path: str, headers: Mapping[str, str]) -> Codec:
        """Whose error envelope the client reads."""
        anthropic = path.startswith("/v1/messages") or "anthropic-version" in headers
        return self._codecs[WireFormat.ANTHROPIC_MESSAGES if anthropic else WireFormat.OPENAI_CHAT]

    async def _refuse(self, error: BaseException, codec: Codec, send: Send) -> None:
        encoded = codec.encode_error(error)
        headers = JSON_HEADERS | _headers_of(error, encoded.status)
        await send_whole(send, encoded.status, headers, dump(encoded.body))

    def _running(self) -> Gateway:
        if self._gateway is None:
            raise GatewayClosed("the gateway is not running")
        return self._gateway

    def _bounded(self, serve: Callable[[Incoming, Ticket], Awaitable[None]]) -> Handler:
        """*serve*, for as many requests at once as the settings allow, bodies being read included."""
        serving, door = self._serving, self._door

        async def bounded(incoming: Incoming) -> None:
            task = asyncio.current_task()
            if task is None:
                raise RuntimeError("a request is served in a task")
            refuse_loop(incoming.headers, self._settings.max_hops)
            serving.add(task)
            try:
                ticket = await door.enter(incoming.headers)
                # A request ends with the gateway it began with, whatever is reloaded meanwhile.
                gateway = self._running()
                self._using[gateway] += 1
                try:
                    await serve(incoming, ticket)
                finally:
                    self._using[gateway] -= 1
                    if gateway is not self._gateway:
                        self._retire(gateway)
                    door.leave(ticket)
            finally:
                serving.discard(task)

        return bounded

    # ------------------------------------------------------------------ wire routes

    def _wire(self, format: WireFormat) -> Handler:
        async def serve(incoming: Incoming, ticket: Ticket) -> None:
            gateway = self._running()
            body = await read_body(incoming, self._settings.max_body_bytes)
            exchange = gateway.begin(format, body, incoming.headers, tenant=incoming.tenant)
            if exchange.is_stream and exchange.error is None:
                try:
                    self._door.stream(ticket)
                except LynkrError as error:
                    exchange.error = error
            await self._serve(gateway, exchange, incoming)

        return self._bounded(serve)

    async def _serve(self, gateway: Gateway, exchange: WireExchange, incoming: Incoming) -> None:
        wire = Wire(incoming.send)
        reply: WireReply | None = None
        with Departure(incoming.receive, incoming.watch) as departure:
            try:
                if exchange.is_stream and exchange.error is None:
                    # Before the answer is there, the plan's first target is named as the one to come.
                    wire.fill_silence(
                        self._settings.ping_seconds,
                        lambda: exchange.encoder.ping(),  # noqa: PLW0108  # reason: most need no encoder
                        lambda: _stream_head(exchange),
                        departure.leave,
                    )
                reply = await gateway.answer(exchange)
                await self._deliver(exchange, reply, wire)
                departure.ignore()
            except asyncio.CancelledError:
                if departure.left:
                    if reply is None:
                        exchange.finish(Ending.CANCELLED, 200 if wire.started else 0)
                    raise
                # The server is stopping and the grace is over.  The cancellation ends here: the client is
                # told, and then there is nothing left in this task to stop.
                departure.ignore()
                await self._break_off(exchange, wire, GatewayClosed("the gateway is shutting down"))
            except Exception as error:  # noqa: BLE001  # reason: one of the three edges
                departure.ignore()
                _LOG.exception("request %s failed", exchange.id)
                await self._break_off(exchange, wire, error)
            finally:
                wire.quiet()
                if reply is not None:
                    await reply.aclose()

    async def _deliver(self, exchange: WireExchange, reply: WireReply, wire: Wire) -> None:
        if reply.chunks is not None:
            await wire.start(reply.status, reply.headers)
            async for chunk in reply.chunks:
                await wire.chunk(chunk)
                if reply.told:
                    # A provider may hold the line after its last event, where a ping would break the grammar.
                    wire.quiet()
            await wire.end()
            return
        body = b"" if reply.body is None else reply.body
        if wire.started:  # silence was filled, so the status is out: only an error event is left
            reply.status = 200
            error = reply.error or GatewayClosed("the stream could not begin")
            await wire.chunk(exchange.encode_error(error))
            await wire.end()
        else:
            await wire.whole(reply.status, reply.headers, body)
        reply.delivered()

    async def _break_off(self, exchange: WireExchange, wire: Wire, error: BaseException) -> None:
        """End an exchange that cannot go on, in the client's dialect, whatever was sent already."""
        exchange.fail(error, started=wire.started)
        if wire.finished:
            return
        try:
            async with asyncio.timeout(LAST_WORDS):
                if wire.started:
                    await wire.chunk(exchange.encode_error(error))
                    await wire.end()
                else:
                    encoded = exchange.codec.encode_error(error)
                    headers = JSON_HEADERS | _headers_of(error, encoded.status) | exchange.headers()
                    await wire.whole(encoded.status, headers, dump(encoded.body))
        except TimeoutError:
            _LOG.warning("request %s: its client does not read; the connection is closed", exchange.id)

    async def _count_tokens(self, incoming: Incoming, _: Ticket) -> None:
        gateway = self._running()
        body = await read_body(incoming, self._settings.max_body_bytes)
        with Departure(incoming.receive, incoming.watch) as departure:
            tokens, estimated = await gateway.count_tokens(
                WireFormat.ANTHROPIC_MESSAGES, body, incoming.headers, tenant=incoming.tenant
            )
            flag = "true" if estimated else "false"
            await incoming.reply(200, {"input_tokens": tokens}, x_lynkr_estimated=flag)
            departure.ignore()

    async def _embed(self, incoming: Incoming, _: Ticket) -> None:
        gateway = self._running()
        body = await read_body(incoming, self._settings.max_body_bytes)
        wire = Wire(incoming.send)
        with Departure(incoming.receive, incoming.watch) as departure:
            reply = await gateway.embed(body, incoming.headers, tenant=incoming.tenant)
            try:
                await wire.whole(reply.status, reply.headers, reply.body or b"")
                departure.ignore()
                reply.delivered()
            finally:
                await reply.aclose()

    # ------------------------------------------------------------------ the rest

    async def _route(self, incoming: Incoming, _: Ticket) -> None:
        """The very decision a body of any dialect would get now; nothing is sent or recorded."""
        gateway = self._running()
        body = await read_body(incoming, self._settings.max_body_bytes)
        dialect = _dialect_of(body, incoming.headers)
        exchange = gateway.route(dialect, body, incoming.headers, tenant=incoming.tenant)
        if exchange.error is not None:
            raise exchange.error
        plan = exchange.plan
        if plan is None or plan.decision is None:
            named = None if plan is None else str(plan.targets[0])
            await incoming.reply(200, {"tier": None, "target": named, "reason": "named_target"})
        else:
            await incoming.reply(200, decision_json(plan.decision))

    async def _feedback(self, incoming: Incoming, _: Ticket) -> None:
        """A word about a request that was served (`lynkr_server.feedback`)."""
        gateway = self._running()
        body = await read_body(incoming, min(MOST_BYTES, self._settings.max_body_bytes))
        signal = read_feedback(body, time.time())
        await keep_feedback(gateway, signal, incoming.tenant)
        await incoming.reply(200, {"request_id": signal.request, "verdict": signal.kind.value})

    async def _list_models(self, incoming: Incoming) -> None:
        anthropic, query = "anthropic-version" in incoming.headers, incoming.scope.get("query_string", b"")
        listed = model_list(
            self._models.of(incoming.tenant), anthropic=anthropic, query=query.decode("ascii", "replace")
        )
        await incoming.reply(200, listed)

    async def _one_model(self, incoming: Incoming) -> None:
        name = incoming.scope["path"].removeprefix(_MODEL)
        listed = self._models.of(incoming.tenant)
        shown = one_model(listed, name, anthropic="anthropic-version" in incoming.headers)
        await incoming.reply(200, shown)

    async def _metrics(self, incoming: Incoming) -> None:
        await self._metrics_page.serve(incoming, self._running())

    async def _live(self, incoming: Incoming) -> None:
        await incoming.reply(200, {"status": "alive", "service": "lynkr"})

    async def _ready(self, incoming: Incoming) -> None:
        gateway = self._gateway
        if gateway is None:
            await incoming.reply(503, {"status": "not_ready"}, retry_after="1")
            return
        if self._leaving:
            await incoming.reply(503, {"status": "draining"}, retry_after="1")
            return
        # Counts only: whoever may ask this need not show a key, and an error's words name files.
        colleagues = self._colleagues
        others = [] if colleagues is None else colleagues.states()
        health = with_others(gateway.ledger_health(), others)
        ledger = {name: count for name, count in health.items() if isinstance(count, int)}
        state = {
            "ledger": ledger,
            "circuits_open": len(gateway.unavailable()),
            "configuration": self._reloads.as_json(),
            **({} if colleagues is None else {"worker": colleagues.number, "workers": 1 + len(others)}),
        }
        await incoming.reply(200, {"status": "ready", **state})


def _dialect_of(body: bytes, headers: Mapping[str, str]) -> WireFormat:
    """Which dialect a body is in, by its headers and its own fields."""
    fields = parse_body(body).value
    if "input" in fields and "messages" not in fields:
        return WireFormat.OPENAI_RESPONSES
    if "anthropic-version" in headers:
        return WireFormat.ANTHROPIC_MESSAGES
    return codec_of(fields).format


def _stream_head(exchange: WireExchange) -> Head:
    kind = exchange.codec.stream_media_type
    return 200, {**exchange.headers(), "content-type": kind, "cache-control": "no-cache"}


def _headers_of(error: BaseException, status: int) -> dict[str, str]:
    """The headers HTTP wants with an error of ours (RFC 9110, 10.2.1, 10.2.3 and 11.6.1)."""
    match error:
        case WrongMethod():
            return {"allow": ", ".join(error.allowed)}
        case Unauthorised():
            return {"www-authenticate": "Bearer"}
        case _:
            return {"retry-after": "1"} if status == 503 else {}


def create_app(settings: Settings) -> App:
    """The application for *settings*, for any ASGI server with lifespan support."""

    def gateway() -> Gateway:
        return build_gateway(settings, transport=AiohttpTransport())

    return App(
        gateway,
        settings.server,
        models=served_models(settings),
        tenants=settings.tenants,
        dashboard=LateDashboard(settings),
    )
