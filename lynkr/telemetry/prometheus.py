"""Prometheus metrics of finished requests, and of a gateway's state (extra ``metrics``).

Every metric is a row of `METRICS`.  Labels are bounded: a model is named only
where the owner configured the target, everything a client could make up is
``other``; no label holds a session, a tenant or a request.  A metric that has
`max_label_sets` of them puts the rest into one set of ``other``.
"""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final

from attrs import field, frozen
from prometheus_client import CollectorRegistry, Counter, Histogram, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import choose_encoder

from lynkr.model import Usage
from lynkr.resilience import BreakerState
from lynkr.resilience.outcome import AttemptKind
from lynkr.routing.decision import ANY_MODEL, Target
from lynkr.telemetry.observers import Ended, Watched
from lynkr.telemetry.record import AttemptRecord, Record
from lynkr.telemetry.summing import Family, added

OTHER: Final = "other"
NONE: Final = "none"
MAX_LABEL_SETS: Final = 1_000
_MICRO: Final = 1e-6

_SECONDS: Final = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 40, 80, 160, 320, 640)
_FIRST: Final = (0.05, 0.1, 0.25, 0.5, 1, 2, 4, 8, 15, 30, 60, 120)
_TOKENS: Final = (16, 64, 256, 1_024, 4_096, 16_384, 65_536, 262_144, 1_048_576)
_USD: Final = (0.0001, 0.0003, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1, 3, 10)


@frozen
class MetricSpec:
    """One metric of the exposition: *name* as queries write it, without a histogram's suffixes.

    *buckets* are a histogram's upper bounds.  *of_state*: read from the gateway
    at each scrape; the others are fed by finished requests.
    """

    name: str
    kind: str
    help: str
    labels: tuple[str, ...] = ()
    buckets: tuple[float, ...] = ()
    of_state: bool = False


def _counter(name: str, help: str, *labels: str) -> MetricSpec:
    return MetricSpec(name, "counter", help, labels)


def _histogram(name: str, help: str, buckets: tuple[float, ...], *labels: str) -> MetricSpec:
    return MetricSpec(name, "histogram", help, labels, buckets)


def _state(name: str, kind: str, help: str, *labels: str) -> MetricSpec:
    return MetricSpec(name, kind, help, labels, of_state=True)


_SERVED: Final = ("provider", "model", "tier")
_TARGET: Final = ("provider", "model")

METRICS: Final[tuple[MetricSpec, ...]] = (
    _counter(
        "lynkr_requests_total",
        "Finished requests; status is what the client got, 0 if it left before",
        "operation", "dialect", *_SERVED, "ending", "status",
    ),
    _histogram(
        "lynkr_request_duration_seconds",
        "From a request's arrival to its last byte",
        _SECONDS, "operation", *_SERVED, "ending",
    ),
    _histogram(
        "lynkr_time_to_first_token_seconds",
        "From a request's arrival to the first part of its answer",
        _FIRST, *_SERVED, "stream",
    ),
    _counter(
        "lynkr_tokens_total",
        "Tokens by kind; input includes cache_read and cache_write, output includes reasoning",
        "kind", *_SERVED,
    ),
    _histogram("lynkr_request_tokens", "Tokens of one request", _TOKENS, "kind", *_TARGET),
    _counter("lynkr_unmeasured_requests_total", "Answered, but tokens unknown", *_TARGET),
    _counter("lynkr_cost_usd_total", "Known cost of what was served", *_SERVED),
    _counter("lynkr_overhead_usd_total", "Known cost of attempts that did not serve", *_SERVED),
    _histogram("lynkr_request_cost_usd", "Known cost of one request", _USD, *_TARGET),
    _counter("lynkr_unpriced_requests_total", "Answered, but cost unknown", *_TARGET),
    _counter(
        "lynkr_compared_cost_usd_total", "Cost and overhead of requests whose baseline is known too", *_SERVED
    ),
    _counter(
        "lynkr_baseline_usd_total",
        "What the requests of lynkr_compared_cost_usd_total would have cost on the flagship (estimate)",
        *_SERVED,
    ),
    _counter("lynkr_errors_total", "Failed requests by error", "error", *_TARGET),
    _counter(
        "lynkr_tenant_refusals_total",
        "Requests a tenant was refused by its own limits: its rate, its budget, or what models it may use",
        "tenant", "cause",
    ),
    _counter("lynkr_decisions_total", "Routed requests by reason code", "tier", "reason"),
    _counter(
        "lynkr_tier_changes_total", "Served by a target of another tier than decided", "tier", "served_tier"
    ),
    _counter(
        "lynkr_attempts_total",
        "Calls to providers; ignored: cancelled, or the client's own fault; status none: no answer came",
        *_TARGET, "outcome", "status", "error",
    ),
    _histogram(
        "lynkr_attempt_duration_seconds", "Calls to providers, to the answer's end", _SECONDS,
        *_TARGET, "outcome",
    ),
    _counter("lynkr_retries_total", "Attempts at the same target again", *_TARGET),
    _counter("lynkr_fallbacks_total", "Attempts at another target, because one failed", *_TARGET),
    _counter("lynkr_hedges_total", "Attempts beside one still under way", *_TARGET),
    _counter("lynkr_label_sets_folded_total", "Updates that went to the label set other", "metric"),
    _state("lynkr_live_requests", "gauge", "Requests under way"),
    _state("lynkr_open_streams", "gauge", "Answers being streamed"),
    _state("lynkr_breakers", "gauge", "Circuit breakers by state", *_TARGET, "state"),
    _state(
        "lynkr_refusals_total", "counter",
        "Attempts (retry_budget, throttle, bulkhead), requests (queue) and new settings refused here",
        "cause",
    ),
    _state("lynkr_recorder_queued", "gauge", "Records waiting for the ledger"),
    _state("lynkr_recorder_written_total", "counter", "Records the ledger took"),
    _state("lynkr_recorder_dropped_total", "counter", "Records that came when the queue was full"),
    _state("lynkr_recorder_failed_total", "counter", "Records the ledger refused until patience ran out"),
    _state("lynkr_recorder_retries_total", "counter", "Second and later tries at the ledger"),
    _state("lynkr_observers_queued", "gauge", "Requests not yet in these metrics"),
    _state("lynkr_observers_dropped_total", "counter", "Requests missing from these metrics"),
    _state("lynkr_observers_failures_total", "counter", "Calls in which an observer raised"),
)  # fmt: skip


_LATER: Final[Mapping[AttemptKind | None, str]] = MappingProxyType(
    {
        AttemptKind.RETRY: "lynkr_retries_total",
        AttemptKind.FALLBACK: "lynkr_fallbacks_total",
        AttemptKind.HEDGE: "lynkr_hedges_total",
    }
)


# By the error's name, as a record has it.
_TENANT_REFUSALS: Final[Mapping[str | None, str]] = MappingProxyType(
    {"RateLimited": "rate", "BudgetSpent": "budget", "TargetNotAllowed": "model"}
)


class PrometheusMetrics:
    """A `RequestObserver` with a registry of its own, or with *registry*.

    *targets* are the configured ones: the only models that get a label.
    """

    def __init__(
        self,
        targets: Iterable[Target],
        *,
        registry: CollectorRegistry | None = None,
        max_label_sets: int = MAX_LABEL_SETS,
    ) -> None:
        self._known = frozenset(targets)
        self._providers = frozenset(target.provider for target in self._known)
        self.registry: CollectorRegistry = CollectorRegistry() if registry is None else registry
        folded = _Family(_spec("lynkr_label_sets_folded_total"), self.registry, max_label_sets, None)
        self._families = {
            spec.name: _Family(spec, self.registry, max_label_sets, folded)
            for spec in METRICS
            if not spec.of_state and spec.name != folded.name
        }
        if registry is None:
            ProcessCollector(registry=self.registry)

    def watch(self, gateway: Watched, clock: Callable[[], float] = time.time) -> None:
        """Show the state of *gateway* too; *clock* is the one of its breakers, in Unix seconds.

        Raises:
            ValueError: the registry shows a gateway's state already.
        """
        self.registry.register(_State(gateway, clock, self.labels_of))

    def labels_of(self, target: Target | None) -> tuple[str, str]:
        """The provider and the model of *target* as labels."""
        if target is None:
            return NONE, NONE
        if target in self._known:
            return target.provider, target.model
        if target.model == ANY_MODEL and target.provider in self._providers:
            return target.provider, ANY_MODEL  # the breaker of a provider's credential
        return (target.provider if target.provider in self._providers else OTHER), OTHER

    def exposition(
        self, accept: str = "", *, others: Sequence[Any] = (), past: Sequence[Any] = ()
    ) -> tuple[bytes, str]:
        """All metrics in the format an ``Accept`` header asks for, and its content type.

        *others* are the `counts` of processes beside this one, *past* of those that are gone.
        """
        encode, content_type = choose_encoder(accept)
        together = _Together(self.registry, others, past) if others or past else self.registry
        return encode(together), content_type

    def counts(self) -> list[Family]:
        """All metrics as plain lists, for `lynkr.telemetry.summing`."""
        return _plain(self.registry.collect())

    # ------------------------------------------------------------------ observing

    def observe(self, ended: Sequence[Ended], /) -> None:
        """Count finished requests."""
        for one in ended:
            self._count(one.record, one.operation)
            self._count_attempts(one.record.attempts)

    def _count(self, record: Record, operation: str) -> None:
        target = self.labels_of(record.target)
        tier = NONE if record.tier is None else record.tier.name
        served, ending = (*target, tier), record.ending.value
        dialect = NONE if record.client_format is None else record.client_format.value
        self._add("lynkr_requests_total", (operation, dialect, *served, ending, str(record.status)))
        self._add("lynkr_request_duration_seconds", (operation, *served, ending), record.seconds)
        if record.seconds_to_first_event is not None and operation == "chat":
            stream = "true" if record.stream else "false"
            self._add("lynkr_time_to_first_token_seconds", (*served, stream), record.seconds_to_first_event)
        if record.error is not None:
            self._add("lynkr_errors_total", (record.error, *target))
            if record.tenant is not None and record.error in _TENANT_REFUSALS:
                cause = _TENANT_REFUSALS[record.error]
                self._add("lynkr_tenant_refusals_total", (record.tenant, cause))
        if record.tier is not None:
            self._add("lynkr_decisions_total", (tier, record.reason or NONE))
            if record.served_tier is not None and record.served_tier is not record.tier:
                self._add("lynkr_tier_changes_total", (tier, record.served_tier.name))
        if record.cost.overhead_microusd:
            self._add("lynkr_overhead_usd_total", served, record.cost.overhead_microusd * _MICRO)
        if record.target is not None:
            self._count_usage(record.usage, served)
            self._count_cost(record, served)

    def _count_usage(self, usage: Usage, served: tuple[str, ...]) -> None:
        if usage.input is None or usage.output is None:
            self._add("lynkr_unmeasured_requests_total", served[:2])
        for kind, count in (
            ("input", usage.input),
            ("output", usage.output),
            ("cache_read", usage.cache_read),
            ("cache_write", usage.cache_write),
            ("reasoning", usage.reasoning),
        ):
            if count is not None:
                self._add("lynkr_tokens_total", (kind, *served), max(0, count))
                self._add("lynkr_request_tokens", (kind, *served[:2]), count)

    def _count_cost(self, record: Record, served: tuple[str, ...]) -> None:
        cost, baseline = record.cost.cost_microusd, record.cost.baseline_microusd
        overhead = record.cost.overhead_microusd or 0
        if cost is None:
            self._add("lynkr_unpriced_requests_total", served[:2])
            return
        self._add("lynkr_cost_usd_total", served, cost * _MICRO)
        self._add("lynkr_request_cost_usd", served[:2], cost * _MICRO)
        if baseline is not None:
            self._add("lynkr_compared_cost_usd_total", served, (cost + overhead) * _MICRO)
            self._add("lynkr_baseline_usd_total", served, baseline * _MICRO)

    def _count_attempts(self, attempts: tuple[AttemptRecord, ...]) -> None:
        for attempt in attempts:
            target, outcome = self.labels_of(attempt.target), attempt.outcome.value
            status = NONE if attempt.status is None else str(attempt.status)
            self._add("lynkr_attempts_total", (*target, outcome, status, attempt.error or NONE))
            self._add("lynkr_attempt_duration_seconds", (*target, outcome), attempt.seconds)
            if attempt.kind in _LATER:
                self._add(_LATER[attempt.kind], target)

    def _add(self, name: str, labels: tuple[str, ...], value: float = 1.0) -> None:
        self._families[name].add(labels, value)


def _plain(metrics: Iterable[Metric]) -> list[Family]:
    return [
        [metric.name, metric.type, [[one.name, one.labels, one.value] for one in metric.samples]]
        for metric in metrics
    ]


class _Together(CollectorRegistry):
    """A registry whose values are those of several processes."""

    def __init__(self, own: CollectorRegistry, others: Sequence[Any], past: Sequence[Any]) -> None:
        super().__init__()
        self._own = own
        self._others = others
        self._past = past

    def collect(self) -> Iterator[Metric]:
        mine = list(self._own.collect())
        totals = added(_plain(mine), self._others, self._past)
        for metric, (name, kind, samples) in zip(mine, totals, strict=True):
            total = Metric(name, metric.documentation, kind, metric.unit)
            for sample, labels, value in samples:
                total.add_sample(sample, labels, value)
            yield total


def _spec(name: str) -> MetricSpec:
    return next(spec for spec in METRICS if spec.name == name)


class _Family:
    """One metric's label sets, at most so many of them."""

    def __init__(
        self, spec: MetricSpec, registry: CollectorRegistry, most: int, folded: "_Family | None"
    ) -> None:
        self.name = spec.name
        self._metric: Counter | Histogram
        if spec.kind == "histogram":
            self._metric = Histogram(
                spec.name, spec.help, spec.labels, registry=registry, buckets=spec.buckets
            )
        else:
            self._metric = Counter(spec.name, spec.help, spec.labels, registry=registry)
        self._others = (OTHER,) * len(spec.labels)
        self._most = most
        self._folded = folded
        self._adders: dict[tuple[str, ...], Callable[[float], None]] = {}

    def add(self, labels: tuple[str, ...], value: float) -> None:
        adder = self._adders.get(labels)
        if adder is None:
            if len(self._adders) >= self._most:
                if self._folded is not None:
                    self._folded.add((self.name,), 1)
                labels = self._others
            adder = self._adders.get(labels)
            if adder is None:
                adder = self._adders[labels] = self._adder(labels)
        adder(value)

    def _adder(self, labels: tuple[str, ...]) -> Callable[[float], None]:
        child = self._metric.labels(*labels)
        return child.observe if isinstance(child, Histogram) else child.inc


@frozen(eq=False)
class _State:
    """A `prometheus_client` collector that reads a gateway when it is scraped."""

    gateway: Watched
    clock: Callable[[], float]
    labels_of: Callable[[Target], tuple[str, str]]
    _specs: Mapping[str, MetricSpec] = field(
        factory=lambda: MappingProxyType({spec.name: spec for spec in METRICS if spec.of_state})
    )

    def describe(self) -> Iterator[Metric]:
        """Names alone, so that registering asks the gateway nothing."""
        for name in self._specs:
            yield self._family(name)

    def collect(self) -> Iterator[Metric]:
        values: dict[str, float] = {
            "lynkr_live_requests": self.gateway.live.requests,
            "lynkr_open_streams": self.gateway.live.streams,
        }
        if self.gateway.recorder is not None:
            kept = self.gateway.recorder.stats()
            values |= {
                "lynkr_recorder_queued": kept.queued,
                "lynkr_recorder_written_total": kept.written,
                "lynkr_recorder_dropped_total": kept.dropped,
                "lynkr_recorder_failed_total": kept.failed,
                "lynkr_recorder_retries_total": kept.retries,
            }
        if self.gateway.observers is not None:
            shown = self.gateway.observers.stats()
            values |= {
                "lynkr_observers_queued": shown.queued,
                "lynkr_observers_dropped_total": shown.dropped,
                "lynkr_observers_failures_total": shown.failures,
            }
        for name, value in values.items():
            family = self._family(name)
            family.add_metric((), value)
            yield family
        refusals = self._family("lynkr_refusals_total")
        for cause, count in self.gateway.refusals.items():
            refusals.add_metric((cause,), count())
        yield refusals
        yield self._breakers()

    def _family(self, name: str) -> CounterMetricFamily | GaugeMetricFamily:
        spec = self._specs[name]
        family = CounterMetricFamily if spec.kind == "counter" else GaugeMetricFamily
        return family(spec.name, spec.help, labels=spec.labels)

    def _breakers(self) -> Metric:
        """How many breakers of a label set are in each state: of a configured target, one."""
        counts: dict[tuple[str, str], dict[BreakerState, int]] = {}
        for status in self.gateway.breakers.statuses(self.clock()):
            labels = self.labels_of(Target.parse(status.name))
            states = counts.setdefault(labels, dict.fromkeys(BreakerState, 0))
            states[status.state] += 1
        family = self._family("lynkr_breakers")
        for labels, states in counts.items():
            for state, count in states.items():
                family.add_metric((*labels, state.value), count)
        return family
