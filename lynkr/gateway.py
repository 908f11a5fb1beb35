"""The straight path: bytes -> request -> decision -> attempts -> events -> bytes, one record."""

import math
import time
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from secrets import token_bytes
from types import MappingProxyType, TracebackType
from typing import Self

from attrs import asdict, evolve

from lynkr.capability import refuse_answers_side_by_side
from lynkr.conversation import Conversations
from lynkr.counting import provider_count
from lynkr.embeddings import embedding_service, plan_embedding
from lynkr.errors import (
    AllTargetsFailed,
    ClientWireError,
    GatewayClosed,
    LynkrError,
    RoutingError,
    UpstreamError,
    without_frames,
)
from lynkr.exchange import Exchange, Ledger, Plan, WireExchange
from lynkr.forwarding import error_headers, forwarded_headers, is_same_json
from lynkr.hops import next_hop
from lynkr.kept import Kept
from lynkr.layers import deadline, journal, standard_layers
from lynkr.limits import RateLimited
from lynkr.metering import NO_METER, Meter
from lynkr.model import Folder, Request, Response, WireFormat
from lynkr.planner import Planner, asker
from lynkr.pricing import PriceTable
from lynkr.providers.base import Provider, Transport, first_token_of, formats_of, punctual_of
from lynkr.reading import CLIENT_CODECS, RequestReader
from lynkr.relay import EncodedEvents, PassedBytes, RecordedEvents, WireReply
from lynkr.request_bounds import DEFAULT_BOUNDS, RequestBounds
from lynkr.request_ids import RequestIds
from lynkr.resilience import BreakerRegistry, MemoryBreakers
from lynkr.routing import (
    Constraints,
    Decision,
    PinStore,
    Rates,
    RequestContext,
    Target,
    TierRouter,
    context_of,
)
from lynkr.routing.decision import NO_CONSTRAINTS, NO_RATES
from lynkr.service import (
    HOPS_HEADER,
    Call,
    EventStream,
    Layer,
    Reply,
    Service,
    stack,
    take_ready,
    take_whole,
)
from lynkr.stores import ResponseStore
from lynkr.telemetry import Recorder, TelemetryStore
from lynkr.telemetry.observers import Live, Observers, RequestObserver, RequestTracer
from lynkr.telemetry.record import Ending
from lynkr.token_count import estimated_tokens
from lynkr.wire.base import Codec
from lynkr.wire.json_body import dump, parse_body
from lynkr.wire.openai_chat import OpenAIChatCodec


def _discard(_: object) -> None:
    """Where records go when nobody keeps them."""


class Gateway:
    """Decides, sends, translates and records; composed of what it is given, with no other state.

    Providers are named by their `name`; *layers* are put around every call,
    outermost first (`lynkr.layers.standard_layers` over *breakers* unless
    given).  Records go to *store* through a `Recorder`, or to the *recorder*
    given.  *aliases* are model names a client may ask for.  *clock* is in
    Unix seconds, *monotonic* in seconds.  *pins* keeps sessions with their targets,
    *embedder* embeds for clients who name no target, *rates* are the prices routing
    weighs, *constraints* what a request may use, cost and take (by who asks).
    *observers* and *tracer* are shown every finished request, *refusals* (to which
    whoever refuses may add) count what was refused on this side, by cause.  *meter* holds
    tenants to their limits, *bounds* clients to a size.  *digest_key* tells equal asks (`Ledger`).  The
    gateway owns what it is given: closing it closes providers, transports, recorder and store.
    """

    def __init__(
        self,
        *,
        router: TierRouter,
        providers: Sequence[Provider],
        layers: Sequence[Layer] | None = None,
        breakers: BreakerRegistry | None = None,
        store: TelemetryStore | None = None,
        recorder: Recorder | None = None,
        transports: Sequence[Transport] = (),
        prices: PriceTable | None = None,
        flagship: Target | None = None,
        aliases: Mapping[str, Target] = MappingProxyType({}),
        codecs: Sequence[Codec] | None = None,
        responses: ResponseStore | None = None,
        total_timeout: float | None = None,
        record_text: bool = False,
        embedder: Target | None = None,
        pins: PinStore | None = None,
        rates: Rates = NO_RATES,
        constraints: Callable[[RequestContext], Constraints] = lambda _context: NO_CONSTRAINTS,
        observers: Sequence[RequestObserver] = (),
        tracer: RequestTracer | None = None,
        refusals: Mapping[str, Callable[[], int]] = MappingProxyType({}),
        meter: Meter | None = None,
        bounds: RequestBounds = DEFAULT_BOUNDS,
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
        ids: Callable[[], str] | None = None,
        digest_key: bytes | None = None,
    ) -> None:
        self._providers = {provider.name: provider for provider in providers}
        self._breakers = breakers if breakers is not None else MemoryBreakers()
        self._recorder = recorder = Recorder(store) if recorder is None and store is not None else recorder
        self._transports = tuple(transports)
        self._aliases = dict(aliases)
        self._reader = RequestReader(codecs or CLIENT_CODECS, bounds)
        self._conversations = None if responses is None else Conversations(responses, monotonic)
        self._total_timeout = total_timeout
        self._ids = RequestIds() if ids is None else ids
        self._closed = False
        self._planner = self._plan_by(router, pins, rates, constraints, clock)
        self._meter = NO_METER if meter is None else meter
        self._tracer = tracer
        watching = (*observers, *(() if tracer is None else (tracer,)))
        self._observers = Observers(watching) if watching else None
        write = _discard if recorder is None else recorder.record
        tell = None if self._observers is None else self._observers.tell
        key = token_bytes(16) if digest_key is None else digest_key
        self._ledger = Ledger(
            write, clock, monotonic, prices, flagship, record_text, tell, digest_key=key, later=write
        )
        self._service, self._embeddings = self._layered(layers, clock, monotonic)
        self._embedder = embedder
        self.refusals: dict[str, Callable[[], int]] = dict(refusals)

    def _plan_by(
        self,
        router: TierRouter,
        pins: PinStore | None,
        rates: Rates,
        constraints: Callable[[RequestContext], Constraints],
        clock: Callable[[], float],
    ) -> Planner:
        return Planner(
            router,
            providers=self._providers,
            aliases=self._aliases,
            breakers=self._breakers,
            pins=pins,
            rates=rates,
            constraints=constraints,
            clock=clock,
        )

    def _layered(
        self, layers: Sequence[Layer] | None, clock: Callable[[], float], monotonic: Callable[[], float]
    ) -> tuple[Service, Service]:
        """Calls of models and of embeddings, with *layers* around them."""
        if layers is None:
            layers = standard_layers(self._breakers, clock=clock, monotonic=monotonic)
        traced = () if self._tracer is None else (self._tracer.layer,)
        innermost = (
            *traced,
            journal(clock=clock, monotonic=monotonic),
            deadline(
                monotonic=monotonic,
                first_token=first_token_of(self._providers),
                punctual=punctual_of(self._providers),
            ),
        )
        embeddings = embedding_service(self._providers)
        return stack(self._dispatch, *layers, *innermost), stack(embeddings, *layers, *innermost)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        tb: TracebackType | None,
        /,
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close every provider and write what is still to be written.  Idempotent."""
        await self.retire(Kept())

    async def retire(self, keep: Kept) -> None:
        """As `aclose`, but leave open what *keep* holds: a successor goes on with it."""
        if self._closed:
            return
        self._closed = True
        for provider in self._providers.values():
            await provider.aclose()
        for transport in self._transports:
            await transport.aclose()
        if self._observers is not None:
            await self._observers.aclose()
        if self._recorder is not None and self._recorder is not keep.recorder:
            await self._recorder.aclose()
            self._recorder.store.close()
        had = self.kept
        for one, its in ((had.meter, keep.meter), (had.responses, keep.responses), (had.pins, keep.pins)):
            if one is not None and one is not its:
                one.close()

    @property
    def kept(self) -> Kept:
        """What this gateway remembers."""
        responses = None if self._conversations is None else self._conversations.store
        return Kept(self._recorder, self._breakers, self._planner.pins, responses, self._meter)

    @property
    def breakers(self) -> BreakerRegistry:
        """Every circuit breaker's state, as data."""
        return self._breakers

    @property
    def aliases(self) -> Mapping[str, Target]:
        return MappingProxyType(self._aliases)

    @property
    def recorder(self) -> Recorder | None:
        return self._recorder

    @property
    def observers(self) -> Observers | None:
        return self._observers

    @property
    def live(self) -> Live:
        """Requests under way now."""
        return self._ledger.live

    def _enter(self, exchange: Exchange, headers: Mapping[str, str] = MappingProxyType({})) -> None:
        exchange.enter(None if self._tracer is None else self._tracer.begin(headers, exchange.at))

    # ------------------------------------------------------------------ deciding

    def decide(
        self, request: Request, /, *, session: str | None = None, tenant: str | None = None
    ) -> Decision:
        """Where *request* would go now, and why.  Sends nothing.

        Raises:
            RoutingError: no target can serve it.
        """
        return self._planner.decide(request, *asker(session, tenant))

    def route(
        self, format: WireFormat, body: bytes, headers: Mapping[str, str], /, *, tenant: str | None = None
    ) -> WireExchange:
        """The very decision a wire request would get now.  Sends, pins and records nothing.

        What is wrong with the request stands in `WireExchange.error`.
        """
        return self.begin(format, body, headers, counting=True, tenant=tenant)

    def unavailable(self) -> frozenset[Target]:
        """Targets whose circuit is open now; ``provider:*`` where it is that of the provider's credential."""
        return self._planner.unavailable()

    def ledger_health(self) -> dict[str, int | str | None]:
        """How the recorder is doing: counts, and its last error."""
        return {} if self._recorder is None else asdict(self._recorder.stats())

    # ------------------------------------------------------------------ values in, values out

    async def send(
        self, request: Request, /, *, session: str | None = None, tenant: str | None = None
    ) -> Reply:
        """Serve *request*; the reply's events are to be read and closed by the caller.

        *session* names the conversation it belongs to, *tenant* on whose behalf it is asked.

        Raises:
            LynkrError: nothing of an answer came; `AllTargetsFailed` if several targets were tried.
        """
        ledger = self._ledger
        key, context = asker(session, tenant)
        exchange = Exchange(
            id=self._ids(),
            ledger=ledger,
            at=ledger.clock(),
            began=ledger.monotonic(),
            request=request,
            session=key,
            context=context,
        )
        self._enter(exchange)
        try:
            self._refuse_if_closed()
            refuse_answers_side_by_side(request)
            exchange.plan = self._planner.plan(request, key, context)
            self._meter.admit(exchange)
            reply = await self._serve(exchange)
        except LynkrError as error:
            exchange.finish(Ending.FAILED, error.status_hint, error)
            raise
        except BaseException as error:
            exchange.finish(Ending.CANCELLED, 0, error)
            raise
        if reply.events is None:
            raise AssertionError("a call without a raw body was answered with raw bytes")
        return evolve(reply, events=RecordedEvents(exchange, reply, reply.events))

    async def ask(
        self, request: Request, /, *, session: str | None = None, tenant: str | None = None
    ) -> Response:
        """Serve *request* and wait for the whole answer.

        Raises:
            LynkrError: as `send`, or the answer broke off midway.
        """
        async with self.stream(request, session=session, tenant=tenant) as events:
            folder = Folder()
            async for event in events:
                folder.add(event)
            return folder.response()

    @asynccontextmanager
    async def stream(
        self, request: Request, /, *, session: str | None = None, tenant: str | None = None
    ) -> AsyncGenerator[EventStream, None]:
        """Serve *request*; gives its events and closes them.

        Raises:
            LynkrError: as `send`.
        """
        reply = await self.send(request, session=session, tenant=tenant)
        try:
            if reply.events is None:
                raise AssertionError("send answers with events")
            yield reply.events
        finally:
            await reply.aclose()

    # ------------------------------------------------------------------ bytes in, bytes out

    async def relay(
        self, format: WireFormat, body: bytes, headers: Mapping[str, str], /, *, tenant: str | None = None
    ) -> WireReply:
        """Serve one wire request.  Never raises `LynkrError`: errors come back encoded.

        *headers* names are lower case.  *tenant* is who the client's key belongs to.
        """
        exchange = self.begin(format, body, headers, tenant=tenant)
        try:
            return await self.answer(exchange)
        except Exception as error:
            exchange.fail(error, started=False)
            raise
        except BaseException as error:
            exchange.finish(Ending.CANCELLED, 0, error)
            raise

    def begin(
        self,
        format: WireFormat,
        body: bytes,
        headers: Mapping[str, str],
        /,
        *,
        counting: bool = False,
        tenant: str | None = None,
    ) -> WireExchange:
        """Read and decide; send nothing.  What is wrong with the request stands in `WireExchange.error`."""
        codec = self._reader.codecs[format]
        ledger = self._ledger
        exchange = WireExchange(
            id=self._ids(), ledger=ledger, codec=codec, at=ledger.clock(), began=ledger.monotonic()
        )
        if not counting:
            self._enter(exchange, headers)
        try:
            self._refuse_if_closed()
            parsed = self._reader.read(exchange, body, counting=counting)
            if self._conversations is not None:
                self._conversations.resume(exchange, headers)
            exchange.forwarded = forwarded_headers(format, headers)
            asked = exchange.checked_request()
            context = exchange.context = context_of(headers, asked, tenant=tenant)
            exchange.session = None if context.session is None else str(context.session)
            exchange.plan = self._planner.plan(asked, exchange.session, context)
            if self._conversations is not None:
                self._conversations.settle(exchange, self._speaks_responses)
            exchange.plan = self._planner.without_orphans(
                exchange.plan, format, asked, lambda: parsed.value, passes=exchange.raw is not None
            )
            if not counting:
                self._meter.admit(exchange)
        except LynkrError as error:
            exchange.error = without_frames(error)
        except Exception as error:
            if not counting:
                exchange.fail(error, started=False)
            raise
        return exchange

    def _speaks_responses(self, target: Target) -> bool:
        provider = self._providers.get(target.provider)
        return provider is not None and WireFormat.OPENAI_RESPONSES in formats_of(provider, target.model)

    async def answer(self, exchange: WireExchange, /) -> WireReply:
        """Send what `begin` decided.  Never raises `LynkrError`.

        If it raises all the same (a defect, a cancellation), the caller knows
        why and writes the record: `WireExchange.fail` or `Exchange.finish`.
        """
        if exchange.error is not None:
            return self._failed(exchange, exchange.error)
        try:
            reply = await self._serve(exchange)
            if exchange.is_stream:
                return self._streaming(exchange, reply)
            return await self._whole(exchange, reply)
        except LynkrError as error:
            return self._failed(exchange, error)

    def _streaming(self, exchange: WireExchange, reply: Reply) -> WireReply:
        chunks: PassedBytes | EncodedEvents
        if reply.raw is not None:
            chunks, media_type = PassedBytes(exchange, reply, reply.raw), reply.content_type
        elif reply.events is not None:
            chunks = EncodedEvents(exchange, reply, reply.events, self._ledger.clock)
            media_type = exchange.codec.stream_media_type
        else:
            raise AssertionError("a reply holds events or bytes")
        kind = {"content-type": media_type, "cache-control": "no-cache"}
        headers = {**reply.headers, **exchange.headers(), **kind}
        return WireReply(reply.status, headers, exchange, chunks=chunks)

    async def _whole(self, exchange: WireExchange, reply: Reply) -> WireReply:
        """The whole answer is read before the first byte goes out, so a late failure is still an error."""
        try:
            if reply.raw is not None:
                whole, media_type = take_whole(reply.raw), reply.content_type
                body = b"".join([chunk async for chunk in reply.raw]) if whole is None else whole
            elif reply.events is not None:
                body, media_type = await self._encode_whole(exchange, reply.events), "application/json"
            else:
                raise AssertionError("a reply holds events or bytes")
        finally:
            await reply.aclose()
        exchange.keep_answer()
        headers = {**reply.headers, **exchange.headers(), "content-type": media_type}
        return WireReply(reply.status, headers, exchange, body=body)

    async def _encode_whole(self, exchange: WireExchange, events: EventStream) -> bytes:
        folder = Folder()
        async for event in events:
            folder.add(event)
            for ready in take_ready(events):
                folder.add(ready)
        return exchange.encode_answer(folder.response(), self._ledger.clock())

    def _failed(self, exchange: WireExchange, error: LynkrError) -> WireReply:
        """*error* in the client's dialect; a provider's own words go through unmodified where they can."""
        without_frames(error)
        told = error.last if isinstance(error, AllTargetsFailed) else error
        headers = {**exchange.headers(), "content-type": "application/json"}
        if isinstance(told, UpstreamError):
            headers |= error_headers(told.headers)
            if told.retry_after is not None:
                headers["retry-after"] = str(math.ceil(told.retry_after))
        elif isinstance(told, RateLimited):
            headers["retry-after"] = str(math.ceil(told.retry_after))
        encoded = exchange.codec.encode_error(told)
        if encoded.status == 503:
            headers.setdefault("retry-after", "1")
        body = dump(encoded.body)
        if isinstance(told, UpstreamError) and told.wire_format == exchange.codec.format:
            # The codec says whether they are fit for a client: not what a provider says of the operator's
            # own key, nor a proxy's HTML.
            is_fit = told.status == encoded.status and is_same_json(told.body, body)
            body = told.body if is_fit else body
        return WireReply(encoded.status, headers, exchange, body=body, error=error)

    # ------------------------------------------------------------------ embeddings

    async def embed(
        self,
        body: bytes,
        headers: Mapping[str, str] = MappingProxyType({}),
        /,
        *,
        tenant: str | None = None,
    ) -> WireReply:
        """Serve one ``POST /v1/embeddings`` (see `lynkr.embeddings`).  Never raises `LynkrError`."""
        ledger = self._ledger
        exchange = WireExchange(
            id=self._ids(),
            ledger=ledger,
            codec=OpenAIChatCodec(),
            at=ledger.clock(),
            began=ledger.monotonic(),
            operation="embeddings",
            forwarded={HOPS_HEADER: next_hop(headers)},
            context=RequestContext(tenant=tenant),
        )
        self._enter(exchange, headers)
        try:
            self._refuse_if_closed()
            plan = plan_embedding(exchange, parse_body(body), self._planner.named_target, self._embedder)
            self._planner.refuse_banned(plan.targets[0], exchange.checked_request(), exchange.context)
            self._meter.admit(exchange)
            reply = await self._embeddings(self._call(exchange, plan))
            exchange.primed(reply)
            return await self._whole(exchange, reply)
        except LynkrError as error:
            return self._failed(exchange, error)
        except Exception as error:
            exchange.fail(error, started=False)
            raise
        except BaseException as error:
            exchange.finish(Ending.CANCELLED, 0, error)
            raise

    # ------------------------------------------------------------------ counting

    async def count_tokens(
        self, format: WireFormat, body: bytes, headers: Mapping[str, str], /, *, tenant: str | None = None
    ) -> tuple[int, bool]:
        """Input tokens of a request, and whether that is an estimate.  Writes no record.

        The target's provider is asked if it counts (`lynkr.counting`).

        Raises:
            ClientWireError: the body is malformed.
        """
        exchange = self.begin(format, body, headers, counting=True, tenant=tenant)
        request = exchange.request
        if request is None:
            raise exchange.error or ClientWireError("the body could not be read")
        counted = None if exchange.plan is None else await self._counted(exchange, exchange.plan)
        return (estimated_tokens(request), True) if counted is None else (counted, False)

    async def _counted(self, exchange: WireExchange, plan: Plan) -> int | None:
        """The count of the provider that would serve *plan*; None if it has none, or not in time."""
        target = plan.targets[0]
        if target in self._planner.unavailable():
            return None
        return await provider_count(self._providers.get(target.provider), self._call(exchange, plan))

    # ------------------------------------------------------------------ inside

    def _refuse_if_closed(self) -> None:
        if self._closed:
            raise GatewayClosed("the gateway is closed")

    def _call(self, exchange: Exchange, plan: Plan) -> Call:
        deadline = None if self._total_timeout is None else exchange.began + self._total_timeout
        return Call(
            request=exchange.checked_request(),
            target=plan.targets[0],
            alternatives=plan.targets[1:],
            raw=exchange.raw if isinstance(exchange, WireExchange) else None,
            deadline=deadline,
            session=exchange.session,
            headers=exchange.forwarded if isinstance(exchange, WireExchange) else {},
            observer=exchange.observer,
            journal=exchange.journal,
            trace=exchange.trace,
            tenant=exchange.context.tenant,
        )

    async def _serve(self, exchange: Exchange) -> Reply:
        if exchange.plan is None:
            raise AssertionError("an exchange is served after it was planned")
        reply = await self._service(self._call(exchange, exchange.plan))
        exchange.primed(reply)
        self._planner.remember(exchange, reply)
        return reply

    async def _dispatch(self, call: Call) -> Reply:
        """The innermost service: the provider the target names."""
        provider = self._providers.get(call.target.provider)
        if provider is None:
            raise RoutingError(f"{call.target}: no provider is named {call.target.provider!r}; configure it")
        return await provider.send(call)
