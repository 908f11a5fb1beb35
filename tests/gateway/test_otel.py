"""Spans and metrics of a real gateway, through the real SDK and exporter, at a real collector endpoint."""

import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import attrs
import pytest
from opentelemetry import trace
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from lynkr.errors import ConfigError
from lynkr.gateway import Gateway
from lynkr.model import Message, Request, WireFormat
from lynkr.routing import PipelineRouter, Target, Tier
from lynkr.secret import Secret
from lynkr.settings import Settings
from lynkr.telemetry.otel import OpenTelemetry
from lynkr.telemetry.semconv import INSTRUMENTS, NAMES
from lynkr.testing.faults import drip, script, status
from tests.gateway.house import EASY, HARD, House, body_of, house
from tests.telemetry.collector import Collector, attributes, collecting

pytestmark = pytest.mark.anyio

TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
TRACEPARENT = {"traceparent": f"00-{TRACE}-{PARENT}-01", "tracestate": "vendor=opaque"}


def body(text: str = EASY, **fields: object) -> bytes:
    said = {"model": "lynkr-auto", "max_tokens": 64, "messages": [{"role": "user", "content": text}]}
    return json.dumps(said | fields).encode()


@asynccontextmanager
async def observed(collector: Collector, **overrides: object) -> AsyncIterator[House]:
    """A house that exports to *collector*; everything has arrived when the block is left."""
    async with house(**{"otel.enabled": True, "otel.endpoint": collector.url} | overrides) as running:
        yield running


async def relay(running: House, said: bytes, headers: dict[str, str] | None = None) -> bytes:
    return await body_of(await running.gateway.relay(WireFormat.OPENAI_CHAT, said, headers or {}))


def by_parent(spans: list[Span]) -> tuple[Span, list[Span]]:
    """The request's span and its attempts."""
    ids = {span.span_id for span in spans}
    (request,) = (span for span in spans if span.parent_span_id not in ids)
    return request, [span for span in spans if span is not request]


async def test_a_request_is_a_client_span_by_the_conventions_with_a_span_for_its_attempt() -> None:
    with collecting() as collector:
        async with observed(collector) as running:
            await relay(
                running, body(reasoning_effort="low", stream=True, stream_options={"include_usage": True})
            )
            record = running.record
    request, (attempt,) = by_parent(collector.spans)
    assert (request.name, request.kind) == ("chat gpt-4.1-nano", Span.SPAN_KIND_CLIENT)
    assert (attempt.name, attempt.kind) == ("attempt gpt-4.1-nano", Span.SPAN_KIND_CLIENT)
    assert request.start_time_unix_nano == int(record.at * 1e9)
    assert request.end_time_unix_nano == int((record.at + record.seconds) * 1e9)
    assert request.status.code == Status.STATUS_CODE_UNSET
    told = attributes(request.attributes)
    assert told["gen_ai.operation.name"] == "chat"
    assert told["gen_ai.provider.name"] == "openai"
    assert told["gen_ai.request.model"] == "gpt-4.1-nano"
    assert told["gen_ai.response.model"] == "gpt-4.1-nano"
    assert told["gen_ai.request.stream"] is True
    assert told["gen_ai.request.max_tokens"] == 64
    assert told["gen_ai.request.reasoning.level"] == "low"
    assert told["gen_ai.response.finish_reasons"] == ["stop"]
    assert told["gen_ai.response.time_to_first_chunk"] == record.seconds_to_first_event
    assert told["gen_ai.usage.input_tokens"] == record.usage.input
    assert told["gen_ai.usage.output_tokens"] == record.usage.output
    assert told["server.address"] == "127.0.0.1"
    assert told["lynkr.tier"] == told["lynkr.served_tier"] == "SIMPLE"
    assert told["lynkr.decision.id"] == record.id
    assert told["lynkr.decision.reason"] == record.reason
    assert told["lynkr.cost.usd"] == pytest.approx((record.cost.cost_microusd or 0) / 1e6)
    assert told["lynkr.cost.price_version"] == record.cost.price_version
    tried = attributes(attempt.attributes)
    assert tried["http.response.status_code"] == 200
    assert tried["lynkr.attempt.outcome"] == "success"
    # Sums over GenAI spans must not count a request twice.
    assert not {name for name in tried if "usage" in name or name == "gen_ai.operation.name"}
    assert {resource["service.name"] for resource in collector.resources()} == {"lynkr"}


async def test_every_name_on_a_span_is_in_the_table() -> None:
    names = set(attrs.asdict(NAMES).values())
    with collecting() as collector:
        async with observed(collector, **{"otel.content": True, "telemetry.record_text": True}) as running:
            await relay(running, body())
            running.simulator.play(script(status(500), status(500), status(500)))
            await relay(running, body(HARD, stream=True))
    assert len(collector.spans) > 3
    assert {name for span in collector.spans for name in attributes(span.attributes)} <= names
    listed = {row["name"] for row in attrs.asdict(INSTRUMENTS).values()}
    assert set(collector.metrics) <= listed
    for metric in collector.metrics.values():
        data = getattr(metric, metric.WhichOneof("data"))
        assert {name for point in data.data_points for name in attributes(point.attributes)} <= names


async def test_the_clients_trace_goes_on_through_the_attempt_to_the_provider() -> None:
    with collecting() as collector:
        async with observed(collector) as running:
            for dialect in (WireFormat.OPENAI_CHAT, WireFormat.ANTHROPIC_MESSAGES):
                # The second is translated on its way: context is of no dialect.
                await body_of(await running.gateway.relay(dialect, body(), TRACEPARENT))
            sent = [request.headers for request in running.simulator.requests]
    requests = [span for span in collector.spans if span.name.startswith("chat")]
    attempts = [span for span in collector.spans if span.name.startswith("attempt")]
    assert {span.trace_id.hex() for span in collector.spans} == {TRACE}
    assert {span.parent_span_id.hex() for span in requests} == {PARENT}
    assert [span.parent_span_id for span in attempts] == [span.span_id for span in requests]
    assert [headers["traceparent"] for headers in sent] == [
        f"00-{TRACE}-{span.span_id.hex()}-01" for span in attempts
    ]
    assert {headers["tracestate"] for headers in sent} == {"vendor=opaque"}


@pytest.mark.parametrize("off", ["otel.accept", "otel.propagate"])
async def test_context_is_neither_taken_nor_sent_where_the_owner_says_no(off: str) -> None:
    with collecting() as collector:
        async with observed(collector, **{off: False}) as running:
            await relay(running, body(), TRACEPARENT)
            (sent,) = running.simulator.requests
    traces = {span.trace_id.hex() for span in collector.spans}
    assert (TRACE in traces) is (off != "otel.accept")
    assert ("traceparent" in sent.headers) is (off != "otel.propagate")


async def test_without_otel_a_clients_trace_context_goes_nowhere() -> None:
    async with house() as running:
        await relay(running, body(), TRACEPARENT)
        (sent,) = running.simulator.requests
    assert not {"traceparent", "tracestate"} & sent.headers.keys()


@pytest.mark.parametrize("header", ["", "00-zz", f"00-{'0' * 32}-{PARENT}-01", "ff-" + "a" * 60, "\x00é"])
async def test_a_malformed_traceparent_begins_a_trace_of_its_own(header: str) -> None:
    with collecting() as collector:
        async with observed(collector) as running:
            await relay(running, body(), {"traceparent": header})
    request, attempts = by_parent(collector.spans)
    assert (request.parent_span_id, len(attempts)) == (b"", 1)


async def test_an_unsampled_trace_stays_unsampled_and_is_still_passed_on() -> None:
    with collecting() as collector:
        async with observed(collector) as running:
            await relay(running, body(), {"traceparent": f"00-{TRACE}-{PARENT}-00"})
            (sent,) = running.simulator.requests
    assert collector.spans == []
    assert sent.headers["traceparent"].startswith(f"00-{TRACE}-")
    assert sent.headers["traceparent"].endswith("-00")
    assert INSTRUMENTS.duration.name in collector.metrics


async def test_retries_and_fallbacks_are_siblings_and_the_request_is_named_after_who_served() -> None:
    with collecting() as collector:
        tiers = {"SIMPLE": ["chat:first", "chat:second"]}
        async with house(tiers=tiers, **{"otel.enabled": True, "otel.endpoint": collector.url}) as running:
            running.simulator.play(script(status(401)), "first")
            await relay(running, body())
    request, attempts = by_parent(collector.spans)
    assert request.name == "chat second"
    assert [span.name for span in attempts] == ["attempt first", "attempt second"]
    assert {span.parent_span_id for span in attempts} == {request.span_id}
    told = [attributes(span.attributes) for span in attempts]
    assert [one["lynkr.attempt.number"] for one in told] == [1, 2]
    assert (told[0]["error.type"], told[0]["http.response.status_code"]) == ("UpstreamRefused", 401)
    assert [span.status.code for span in attempts] == [Status.STATUS_CODE_ERROR, Status.STATUS_CODE_UNSET]
    assert attributes(request.attributes)["lynkr.attempts"] == 2


async def test_the_chunks_of_a_stream_are_timed_after_the_first_and_those_of_no_whole_answer() -> None:
    name = "gen_ai.client.inference.time_per_output_chunk"
    with collecting() as collector:
        async with observed(collector) as running:
            whole = await relay(running, body())
            running.simulator.play(script(then=drip(0.02, size=200)))
            for dialect in (
                WireFormat.OPENAI_CHAT,
                WireFormat.ANTHROPIC_MESSAGES,
            ):  # passed on, and translated
                await body_of(await running.gateway.relay(dialect, body(stream=True), {}))
    assert whole
    points = collector.metrics[name].histogram.data_points
    (point,) = points
    assert tuple(point.explicit_bounds) == INSTRUMENTS.output_chunk.buckets
    assert attributes(point.attributes)["gen_ai.request.model"] == "gpt-4.1-nano"
    assert point.count >= 4
    assert point.sum >= point.count * 0.01  # the pause between chunks, as its client felt it


async def test_a_failed_request_has_a_type_of_error_and_nobodys_words() -> None:
    with collecting() as collector:
        async with observed(collector) as running:
            running.simulator.play(script(status(400)))
            await relay(running, body("my secret prompt", model="chat:gpt-4.1-nano"))
            await relay(running, b"{")
    (ours,) = (span for span in collector.spans if span.name == "chat gpt-4.1-nano")
    told = attributes(ours.attributes)
    assert told["error.type"] == "UpstreamRefused"
    assert told["gen_ai.response.finish_reasons"] == ["error"]
    assert (ours.status.code, ours.status.message) == (Status.STATUS_CODE_ERROR, "")
    assert "gen_ai.usage.output_tokens" not in told  # unknown is not 0
    (malformed,) = (span for span in collector.spans if span.name == "chat")
    assert attributes(malformed.attributes)["error.type"] == "ClientWireError"
    assert not any(b"my secret prompt" in sent for sent in collector.raw)


async def test_text_goes_out_only_where_it_is_recorded_and_wanted() -> None:
    for overrides, shown in (
        ({"telemetry.record_text": True}, False),
        ({"telemetry.record_text": True, "otel.content": True}, True),
    ):
        with collecting() as collector:
            async with observed(collector, **overrides) as running:
                await relay(running, body("hi there, unmistakable"))
        request, _ = by_parent(collector.spans)
        told = attributes(request.attributes)
        assert ("gen_ai.input.messages" in told) is shown
        assert any(b"unmistakable" in sent for sent in collector.raw) is shown
        if shown:
            (message,) = json.loads(told["gen_ai.input.messages"])
            assert "unmistakable" in message["parts"][0]["content"]
            (answer,) = json.loads(told["gen_ai.output.messages"])
            assert (answer["role"], answer["finish_reason"]) == ("assistant", "stop")
    with pytest.raises(ConfigError, match=r"otel\.content.*telemetry\.record_text"):
        Settings.load(None, {}, overrides={"otel.content": True})


async def test_metrics_are_those_of_the_conventions_with_their_buckets() -> None:
    with collecting() as collector:
        async with observed(collector) as running:
            await relay(running, body())
            await relay(running, body(stream=True), {})
            await relay(running, body(model="chat:made-up"))
            await body_of(await running.gateway.embed(json.dumps({"model": "chat:e", "input": "x"}).encode()))
            records = running.records()
    found = collector.metrics
    duration = found["gen_ai.client.inference.duration"]
    assert duration.unit == "s"
    points = duration.histogram.data_points
    assert tuple(points[0].explicit_bounds) == INSTRUMENTS.duration.buckets
    assert sum(point.count for point in points) == 3
    models = {attributes(point.attributes)["gen_ai.request.model"] for point in points}
    assert models == {"gpt-4.1-nano", "other"}  # never a name only a client knows
    (first,) = found["gen_ai.client.inference.time_to_first_chunk"].histogram.data_points
    assert first.count == 1
    tokens = found["gen_ai.client.inference.usage.input_tokens"].sum
    assert tokens.is_monotonic
    wanted = sum(record.usage.input or 0 for record in records[:3])
    assert sum(point.as_int for point in tokens.data_points) == wanted
    assert {attributes(p.attributes)["gen_ai.token.modality"] for p in tokens.data_points} == {"unknown"}
    assert found["gen_ai.client.embeddings.duration"].histogram.data_points[0].count == 1
    cost = sum(point.as_double for point in found["lynkr.cost.usd"].sum.data_points)
    assert cost == pytest.approx(sum(record.cost.cost_microusd or 0 for record in records[:2]) / 1e6)
    assert sum(point.as_int for point in found["lynkr.attempts"].sum.data_points) == 4


async def test_headers_and_the_service_name_are_the_owners() -> None:
    with collecting() as collector:
        overrides = {"otel.headers": {"x-team": "blue"}, "otel.service_name": "edge", "otel.metrics": False}
        async with observed(collector, **overrides) as running:
            await relay(running, body())
    assert {headers["x-team"] for headers in collector.headers} == {"blue"}
    assert {resource["service.name"] for resource in collector.resources()} == {"edge"}
    assert (len(collector.spans), collector.meters) == (2, [])


async def test_a_collector_that_is_gone_harms_nothing_and_does_not_hold_up_the_end() -> None:
    async with house(**{"otel.enabled": True, "otel.endpoint": "http://127.0.0.1:9"}) as running:
        answer = json.loads(await relay(running, body()))
        assert answer["choices"]
        began = time.monotonic()
    assert time.monotonic() - began < 10  # the SDK alone would try for half a minute
    with pytest.raises(ConfigError, match=r"otel\.endpoint"):
        Settings.load(None, {}, overrides={"otel.endpoint": "http://user:pw@host"})


async def test_a_programs_own_tracer_sees_lynkrs_spans_below_its_own() -> None:
    exporter = InMemorySpanExporter()
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    async with (
        house() as plain,
        Gateway(
            router=PipelineRouter({Tier.SIMPLE: (Target("chat", "gpt-4.1-nano"),)}),
            providers=tuple(plain.gateway._providers.values()),
            tracer=OpenTelemetry(tracer_provider=provider),
        ) as gateway,
    ):
        with provider.get_tracer("agent").start_as_current_span("agent run") as span:
            await gateway.ask(Request("lynkr-auto", (Message.user(EASY),)))
        assert trace.get_current_span() is trace.INVALID_SPAN
    names = {one.name: one for one in exporter.get_finished_spans()}
    request = names["chat gpt-4.1-nano"]
    assert request.parent is not None
    assert request.parent.span_id == span.get_span_context().span_id
    assert names["attempt gpt-4.1-nano"].parent == request.context
    told: Any = request.attributes
    assert told["gen_ai.provider.name"] == "chat"  # nobody said who that is
    assert "lynkr.dialect" not in told


def test_the_headers_of_exports_are_secret() -> None:
    settings = Settings.load(None, {}, overrides={"otel.headers": {"authorization": "Bearer sk-canary"}})
    assert "sk-canary" not in repr(settings)
    assert settings.otel.headers == {"authorization": Secret("Bearer sk-canary")}
