"""`OpenTelemetry` whose spans and metrics go to a collector by OTLP over HTTP (extra ``otel``)."""

from collections.abc import Mapping
from contextlib import ExitStack
from functools import partial
from threading import Timer
from types import MappingProxyType
from typing import Final, Protocol

from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.metrics import MeterProvider, NoOpMeterProvider
from opentelemetry.sdk.metrics import MeterProvider as SdkMeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider as SdkTracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased
from opentelemetry.trace import NoOpTracerProvider, TracerProvider

from lynkr.secret import Secret
from lynkr.telemetry.otel import OpenTelemetry

_LAST_FLUSH: Final = 2.0  # seconds a collector that does not answer may hold up the end

Making = partial[OpenTelemetry]
"""`OpenTelemetry`, with what does not concern the export given already."""


def exporting(
    make: Making,
    *,
    endpoint: str | None = None,
    headers: Mapping[str, Secret] = MappingProxyType({}),
    service_name: str = "lynkr",
    traces: bool = True,
    meters: bool = True,
    sample: float = 1.0,
    interval: float = 60.0,
    timeout: float = 10.0,
) -> OpenTelemetry:
    """What *make* makes, over providers of its own that export to *endpoint*.

    *endpoint* is the collector's base URL (``http://127.0.0.1:4318``), None for
    the one in ``OTEL_EXPORTER_OTLP_ENDPOINT`` or that of this machine.
    *headers* go with each export.  *sample* is the share of traces that begin
    here which are kept; a client's ``traceparent`` says so for its own.
    *interval* is in seconds, between two exports of metrics; *timeout* is one export's.
    """
    of_traces = None if endpoint is None else f"{endpoint.rstrip('/')}/v1/traces"
    of_metrics = None if endpoint is None else f"{endpoint.rstrip('/')}/v1/metrics"
    shown = {name: value.reveal() for name, value in headers.items()} or None
    resource = Resource.create({"service.name": service_name})
    closing = ExitStack()
    tracer_provider: TracerProvider = NoOpTracerProvider()
    meter_provider: MeterProvider = NoOpMeterProvider()
    if traces:
        spans = OTLPSpanExporter(of_traces, headers=shown, timeout=timeout)
        made = SdkTracerProvider(ParentBased(TraceIdRatioBased(sample)), resource, shutdown_on_exit=False)
        made.add_span_processor(BatchSpanProcessor(spans))
        closing.callback(_shut, spans, made)
        tracer_provider = made
    if meters:
        values = OTLPMetricExporter(of_metrics, headers=shown, timeout=timeout)
        reader = PeriodicExportingMetricReader(values, export_interval_millis=interval * 1000)
        measured = SdkMeterProvider((reader,), resource, shutdown_on_exit=False)
        closing.callback(_shut, values, measured)
        meter_provider = measured
    return make(tracer_provider=tracer_provider, meter_provider=meter_provider, on_close=closing.close)


class _Ends(Protocol):
    def shutdown(self) -> None: ...


def _shut(exporter: _Ends, provider: _Ends) -> None:
    """Export the rest.  The SDK would go on trying for half a minute, unless its exporter gives up."""
    patience = Timer(_LAST_FLUSH, exporter.shutdown)
    patience.daemon = True
    patience.start()
    try:
        provider.shutdown()
    finally:
        patience.cancel()
