"""OpenTelemetry spans and metrics of requests (extra ``otel``).

Theory of operation.  A request's span begins when its first attempt is sent,
with the time it came as its start: only then is it known whom it goes to,
which samplers ask.  Each attempt gets a span below it, whose context goes to
the provider as ``traceparent``, and of a stream it is noted when each chunk came.  Nothing else is
done on the request's path.
When the request has ended, `observe` (in the observers' thread) fills the
spans in from its record and ends them at the times recorded; a request that
never got as far as an attempt gets its span there.

The API alone is used here: any tracer and meter provider will do.
`lynkr.telemetry.otlp` makes those that export by OTLP.
"""

import json
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from time import monotonic
from types import MappingProxyType
from typing import Final, Generic, Protocol, Self, TypeVar

from attrs import define, evolve, field, frozen
from opentelemetry import metrics, trace
from opentelemetry.context import Context, get_current
from opentelemetry.trace import Span, SpanKind, Status, StatusCode, Tracer
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from lynkr.routing.decision import Target
from lynkr.service import Call, Layer, Reply, Service
from lynkr.telemetry.observers import Ended
from lynkr.telemetry.record import AttemptRecord, Ending, Record
from lynkr.telemetry.semconv import (
    CHAT,
    EMBEDDINGS,
    FINISH_REASONS,
    INSTRUMENTS,
    NAMES,
    NO_FINISH,
    SCOPE,
    UNKNOWN_MODALITY,
    Instrument,
)

Attribute = str | bool | int | float | Sequence[str]
_PROPAGATOR: Final = TraceContextTextMapPropagator()
_NANO: Final = 1e9
_MICRO: Final = 1e-6
_OTHER: Final = "other"
_MOST_GAPS: Final = 4_096  # of one answer's chunks that are timed


@frozen
class Endpoint:
    """Who answers under a provider's name: its ``gen_ai.provider.name``, and where."""

    name: str
    address: str | None = None
    port: int | None = None


@define
class _Trace:
    """One request's spans so far."""

    parent: Context
    at: float
    span: Span | None = None
    attempts: list[Span] = field(factory=list[Span])
    gaps: list[float] = field(factory=list[float])


_Item = TypeVar("_Item")
_Item_co = TypeVar("_Item_co", covariant=True)


class _Stream(Protocol[_Item_co]):
    def __aiter__(self) -> Self: ...

    def __anext__(self) -> Awaitable[_Item_co]: ...

    async def aclose(self) -> None: ...


class _Timed(Generic[_Item]):
    """Passes a stream on, noting in *gaps* the seconds between chunks: what comes of it at once is one."""

    __slots__ = ("_gaps", "_last", "_stream")

    def __init__(self, stream: _Stream[_Item], gaps: list[float]) -> None:
        self._stream = stream
        self._gaps = gaps
        self._last: float | None = None

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> _Item:
        item = await self._stream.__anext__()
        now = monotonic()
        if self._last is not None and len(self._gaps) < _MOST_GAPS:
            self._gaps.append(now - self._last)
        self._last = now
        return item

    def take_ready(self) -> Sequence[_Item]:
        """See `lynkr.service.take_ready`: of a chunk that was noted."""
        take: Callable[[], Sequence[_Item]] | None = getattr(self._stream, "take_ready", None)
        return () if take is None else take()

    async def aclose(self) -> None:
        await self._stream.aclose()


class OpenTelemetry:
    """A `RequestTracer` over the given providers, or the process's global ones.

    *endpoints* says who a provider is; one that is missing goes by its own name.
    *targets* are the configured ones, whose models metrics may name.  With
    *accept*, a client's ``traceparent`` is the parent of its request's span
    (else, and for calls from this process, the current span is); with
    *propagate*, providers are sent one.  *content* puts recorded text on spans.
    *on_close* is called when the gateway closes, to flush.
    """

    def __init__(
        self,
        *,
        tracer_provider: trace.TracerProvider | None = None,
        meter_provider: metrics.MeterProvider | None = None,
        endpoints: Mapping[str, Endpoint] = MappingProxyType({}),
        targets: Iterable[Target] = (),
        accept: bool = True,
        propagate: bool = True,
        content: bool = False,
        on_close: Callable[[], None] | None = None,
    ) -> None:
        self._tracer: Tracer = trace.get_tracer(SCOPE, tracer_provider=tracer_provider)
        self._meters = _Meters(metrics.get_meter(SCOPE, meter_provider=meter_provider))
        self._endpoints = endpoints
        self._targets = frozenset(targets)
        self._accept = accept
        self._propagate = propagate
        self._content = content
        self._on_close = on_close

    # ------------------------------------------------------------------ on the request's path

    def begin(self, headers: Mapping[str, str], at: float, /) -> object:
        """See `RequestTracer.begin`."""
        current = get_current()
        is_traced = self._accept and "traceparent" in headers
        return _Trace(_PROPAGATOR.extract(headers, current) if is_traced else current, at)

    @property
    def layer(self) -> Layer:
        """See `RequestTracer.layer`."""

        def layer(service: Service) -> Service:
            async def send(call: Call) -> Reply:
                followed = call.trace
                if not isinstance(followed, _Trace):
                    return await service(call)
                reply = await service(self._attempt(followed, call))
                if not call.request.stream:
                    return reply
                followed.gaps.clear()  # a later attempt's answer is the one that is read
                return reply.over(
                    None if reply.events is None else _Timed(reply.events, followed.gaps),
                    None if reply.raw is None else _Timed(reply.raw, followed.gaps),
                )

            return send

        return layer

    def _attempt(self, followed: _Trace, call: Call) -> Call:
        """Begin an attempt's span, and the request's with the first; the call with the attempt's context."""
        if followed.span is None:
            operation = CHAT if call.request.messages else EMBEDDINGS
            followed.span = self._begin(followed, operation, call.target.model, self._who(call.target))
        attempt = self._tracer.start_span(
            f"attempt {call.target.model}",
            context=trace.set_span_in_context(followed.span, followed.parent),
            kind=SpanKind.CLIENT,
        )
        followed.attempts.append(attempt)
        if not self._propagate:
            return call
        return evolve(call, headers={**call.headers, **_trace_context(attempt.get_span_context())})

    def _begin(
        self, followed: _Trace, operation: str, model: str | None, who: Mapping[str, Attribute]
    ) -> Span:
        """The request's span.  A name holds few values: what only a client calls a model is left out."""
        attributes: dict[str, Attribute] = {NAMES.operation: operation, **who}
        if model is not None:
            attributes[NAMES.request_model] = model
        return self._tracer.start_span(
            operation if model is None else f"{operation} {model}",
            context=followed.parent,
            kind=SpanKind.CLIENT,
            attributes=attributes,
            start_time=_nanoseconds(followed.at),
        )

    def _who(self, target: Target) -> dict[str, Attribute]:
        endpoint = self._endpoints.get(target.provider)
        if endpoint is None:
            return {NAMES.provider: target.provider}
        who: dict[str, Attribute] = {NAMES.provider: endpoint.name}
        if endpoint.address is not None:
            who[NAMES.server_address] = endpoint.address
            if endpoint.port is not None:
                who[NAMES.server_port] = endpoint.port
        return who

    # ------------------------------------------------------------------ in the observers' thread

    def observe(self, ended: Sequence[Ended], /) -> None:
        """End the spans of finished requests and count them."""
        for one in ended:
            self._measure(one)
            if isinstance(one.trace, _Trace):
                self._finish(one, one.trace)

    def close(self) -> None:
        """Flush what is to be exported."""
        if self._on_close is not None:
            self._on_close()

    def _finish(self, ended: Ended, followed: _Trace) -> None:
        record = ended.record
        span = followed.span
        if span is None:
            span = self._begin(followed, ended.operation, None, {})
        for number, (attempt, told) in enumerate(zip(followed.attempts, record.attempts, strict=False), 1):
            attempt.set_attributes(self._who(told.target))
            _finish_attempt(attempt, told, number)
        for lost in followed.attempts[len(record.attempts) :]:
            lost.end(_nanoseconds(record.at + record.seconds))
        if span.is_recording():
            served = record.target
            if served is not None:  # after a fallback not the one it began with
                span.update_name(f"{ended.operation} {served.model}")
                span.set_attributes({**self._who(served), NAMES.request_model: served.model})
            span.set_attributes(_known(_of_request(ended)))
            span.set_attributes(_known(_of_answer(ended)))
            span.set_attributes(_known(_of_decision(record)))
            if self._content:
                span.set_attributes(_known(_of_content(ended)))
            if record.ending is Ending.FAILED:
                span.set_status(Status(StatusCode.ERROR))  # in no words of the provider's: they quote prompts
        span.end(_nanoseconds(record.at + record.seconds))

    def _measure(self, ended: Ended) -> None:
        record, meters = ended.record, self._meters
        for attempt in record.attempts:
            about = self._about(ended.operation, attempt.target)
            meters.attempts.add(1, {**about, NAMES.outcome: attempt.outcome.value})
        about = self._about(ended.operation, record.target)
        failure = {} if record.error is None else {NAMES.error_type: record.error}
        usage = record.usage
        if ended.operation == EMBEDDINGS:
            meters.embeddings_duration.record(record.seconds, {**about, **failure})
            if usage.input is not None:
                meters.embeddings_input.record(usage.input, about)
            return
        meters.duration.record(record.seconds, {**about, **failure})
        if record.stream and record.seconds_to_first_event is not None:
            meters.first_chunk.record(record.seconds_to_first_event, about)
        if isinstance(ended.trace, _Trace):
            for gap in tuple(ended.trace.gaps):
                meters.output_chunk.record(gap, about)
        of_tokens = {**about, NAMES.modality: UNKNOWN_MODALITY}
        for counter, count in (
            (meters.input_tokens, usage.input),
            (meters.output_tokens, usage.output),
            (meters.cache_read_tokens, usage.cache_read),
            (meters.cache_write_tokens, usage.cache_write),
            (meters.reasoning_tokens, usage.reasoning),
        ):
            if count is not None:
                counter.add(count, of_tokens)
        for histogram, count in (
            (meters.operation_input, usage.input),
            (meters.operation_output, usage.output),
        ):
            if count is not None:
                histogram.record(count, about)
        if record.cost.cost_microusd is not None:
            tier = {} if record.tier is None else {NAMES.tier: record.tier.name}
            meters.cost.add(record.cost.cost_microusd * _MICRO, {**about, **tier})

    def _about(self, operation: str, target: Target | None) -> dict[str, Attribute]:
        """What every metric is told of: few values, so no model that a client made up."""
        if target is None:
            return {NAMES.operation: operation, NAMES.provider: _OTHER}
        model = target.model if target in self._targets else _OTHER
        return {NAMES.operation: operation, **self._who(target), NAMES.request_model: model}


class _Meters:
    """One instrument for each row of `INSTRUMENTS`."""

    def __init__(self, meter: metrics.Meter) -> None:
        def counter(row: Instrument) -> metrics.Counter:
            return meter.create_counter(row.name, row.unit, row.description)

        def histogram(row: Instrument) -> metrics.Histogram:
            return meter.create_histogram(
                row.name, row.unit, row.description, explicit_bucket_boundaries_advisory=row.buckets
            )

        rows = INSTRUMENTS
        self.duration = histogram(rows.duration)
        self.first_chunk = histogram(rows.first_chunk)
        self.output_chunk = histogram(rows.output_chunk)
        self.input_tokens = counter(rows.input_tokens)
        self.output_tokens = counter(rows.output_tokens)
        self.cache_read_tokens = counter(rows.cache_read_tokens)
        self.cache_write_tokens = counter(rows.cache_write_tokens)
        self.reasoning_tokens = counter(rows.reasoning_tokens)
        self.operation_input = histogram(rows.operation_input)
        self.operation_output = histogram(rows.operation_output)
        self.embeddings_duration = histogram(rows.embeddings_duration)
        self.embeddings_input = histogram(rows.embeddings_input)
        self.cost = counter(rows.cost)
        self.attempts = counter(rows.attempts)


def _trace_context(context: trace.SpanContext) -> dict[str, str]:
    """The headers of W3C Trace Context (Recommendation of 2021-11, 3.2 and 3.3).

    Written here, because the SDK's propagator costs more than the span itself.
    """
    if not context.is_valid:
        return {}
    parent = f"00-{context.trace_id:032x}-{context.span_id:016x}-{context.trace_flags:02x}"
    state = context.trace_state
    return {"traceparent": parent, "tracestate": state.to_header()} if state else {"traceparent": parent}


def _finish_attempt(span: Span, attempt: AttemptRecord, number: int) -> None:
    """One attempt, without usage and operation: who sums up GenAI spans must not count a request twice."""
    told: dict[str, Attribute | None] = {
        NAMES.request_model: attempt.target.model,
        NAMES.attempt_number: number,
        NAMES.outcome: attempt.outcome.value,
        NAMES.http_status: attempt.status,
        NAMES.error_type: attempt.error,
    }
    span.set_attributes(_known(told))
    if attempt.error is not None:
        span.set_status(Status(StatusCode.ERROR))
    span.end(_nanoseconds(attempt.started + attempt.seconds))


def _of_request(ended: Ended) -> dict[str, Attribute | None]:
    record = ended.record
    return {
        NAMES.request_stream: True if record.stream else None,  # set only on streams, says the convention
        NAMES.request_max_tokens: ended.max_tokens,
        NAMES.request_reasoning: ended.reasoning,
        NAMES.conversation: record.session,
        NAMES.asked_model: record.requested_model or None,
        NAMES.dialect: None if record.client_format is None else record.client_format.value,
    }


def _of_answer(ended: Ended) -> dict[str, Attribute | None]:
    record, usage = ended.record, ended.record.usage
    reasons: list[str] | None = None
    if ended.operation == CHAT:
        stop = ended.stop_reason
        reasons = [NO_FINISH if stop is None else FINISH_REASONS.get(stop, stop)]
    return {
        NAMES.response_id: ended.response_id,
        NAMES.response_model: ended.response_model,
        NAMES.finish_reasons: reasons,
        NAMES.time_to_first_chunk: record.seconds_to_first_event if record.stream else None,
        NAMES.input_tokens: usage.input,
        NAMES.output_tokens: usage.output if ended.operation == CHAT else None,
        NAMES.cache_read_tokens: usage.cache_read,
        NAMES.cache_write_tokens: usage.cache_write,
        NAMES.reasoning_tokens: usage.reasoning,
        NAMES.error_type: record.error,
    }


def _of_decision(record: Record) -> dict[str, Attribute | None]:
    cost = record.cost
    return {
        NAMES.decision_id: record.id,
        NAMES.decision_reason: record.reason,
        NAMES.decision_score: record.score,
        NAMES.tier: None if record.tier is None else record.tier.name,
        NAMES.served_tier: None if record.served_tier is None else record.served_tier.name,
        NAMES.ending: record.ending.value,
        NAMES.status: record.status,
        NAMES.attempts: len(record.attempts),
        NAMES.cost: None if cost.cost_microusd is None else cost.cost_microusd * _MICRO,
        NAMES.price_version: cost.price_version,
        NAMES.baseline: None if cost.baseline_microusd is None else cost.baseline_microusd * _MICRO,
        NAMES.baseline_model: cost.baseline,
    }


def _of_content(ended: Ended) -> dict[str, Attribute | None]:
    """The recorded text, as JSON text in the shape of gen-ai-input-messages.json (read 2026-11)."""

    def message(role: str, text: str | None, **more: str) -> str | None:
        parts = [{"type": "text", "content": text}]
        return None if text is None else json.dumps([{"role": role, "parts": parts, **more}])

    stop = ended.stop_reason
    finish = NO_FINISH if stop is None else FINISH_REASONS.get(stop, stop)
    return {
        NAMES.input_messages: message("user", ended.record.prompt),
        NAMES.output_messages: message("assistant", ended.record.answer, finish_reason=finish),
    }


def _known(attributes: Mapping[str, Attribute | None]) -> dict[str, Attribute]:
    """Those with a value: an unknown one is left out, never 0."""
    return {name: value for name, value in attributes.items() if value is not None}


def _nanoseconds(seconds: float) -> int:
    return int(seconds * _NANO)
