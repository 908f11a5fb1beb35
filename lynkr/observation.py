"""Settings -> who is shown finished requests: metrics, traces, logs."""

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from lynkr.errors import ConfigError
from lynkr.providers.builtin import HOSTS
from lynkr.settings import ProviderSettings, Settings
from lynkr.telemetry import RequestObserver, RequestTracer
from lynkr.telemetry.semconv import WELL_KNOWN

if TYPE_CHECKING:
    from lynkr.telemetry.otel import Endpoint
    from lynkr.telemetry.prometheus import PrometheusMetrics


def build_metrics(settings: Settings) -> "PrometheusMetrics | None":
    """The metrics ``/metrics`` shows; None where nobody may read them.

    Raises:
        ConfigError: prometheus-client is not installed.
    """
    if not settings.server.shows_metrics:
        return None
    try:
        from lynkr.telemetry.prometheus import PrometheusMetrics  # noqa: PLC0415  # reason: an extra
    except ImportError as error:
        raise ConfigError("server.metrics_key needs `pip install lynkr-router[metrics]`") from error
    return PrometheusMetrics(settings.targets())


def build_observers(settings: Settings) -> tuple[RequestObserver, ...]:
    """Those of finished requests that *settings* ask for, the tracer aside.

    Raises:
        ConfigError: prometheus-client is needed and not installed.
    """
    metrics = build_metrics(settings)
    logs: tuple[RequestObserver, ...] = ()
    if settings.telemetry.log_requests:
        from lynkr.telemetry.log import RequestLog  # noqa: PLC0415  # reason: only if asked for

        logs = (RequestLog(),)
    return logs if metrics is None else (metrics, *logs)


def build_tracer(settings: Settings) -> RequestTracer | None:
    """What follows requests for an OpenTelemetry collector; None unless turned on.

    Raises:
        ConfigError: OpenTelemetry's packages are not installed.
    """
    otel = settings.otel
    if not otel.enabled:
        return None
    try:
        from lynkr.telemetry.otel import OpenTelemetry  # noqa: PLC0415  # reason: an extra
        from lynkr.telemetry.otlp import Making, exporting  # noqa: PLC0415
    except ImportError as error:
        raise ConfigError("otel.enabled needs `pip install lynkr-router[otel]`") from error
    make = Making(
        OpenTelemetry,
        endpoints={name: _endpoint(name, provider) for name, provider in settings.providers.items()},
        targets=settings.targets(),
        accept=otel.accept,
        propagate=otel.propagate,
        content=otel.content,
    )
    return exporting(
        make,
        endpoint=otel.endpoint,
        headers=otel.headers,
        service_name=otel.service_name,
        traces=otel.traces,
        meters=otel.metrics,
        sample=otel.sample,
        interval=otel.metrics_interval,
    )


def _endpoint(name: str, provider: ProviderSettings) -> "Endpoint":
    """Who answers under a provider's name, as OpenTelemetry calls it."""
    from lynkr.telemetry.otel import Endpoint  # noqa: PLC0415  # reason: an extra

    kind = provider.kind
    if kind == "vertex" and provider.project is None:
        kind = "gemini"  # without a project it is the Gemini API
    known = name if kind.endswith("-compatible") else WELL_KNOWN.get(kind, kind)
    url = urlsplit(provider.base_url or HOSTS[provider.kind].base_url or "")
    port = url.port or {"http": 80, "https": 443}.get(url.scheme)
    return Endpoint(known, url.hostname, port)
