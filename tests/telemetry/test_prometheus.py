"""What the exposition says is what the records say, and its label sets are bounded."""

from collections import Counter
from collections.abc import Iterable, Sequence

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families

from lynkr.errors import LynkrError, TargetNotAllowed, UpstreamFailed
from lynkr.limits import BudgetSpent, RateLimited
from lynkr.model import Usage
from lynkr.resilience import BreakerState, MemoryBreakers
from lynkr.resilience.outcome import AttemptKind, Outcome
from lynkr.routing import Target, Tier
from lynkr.telemetry import (
    AttemptRecord,
    Cost,
    Ended,
    Ending,
    Live,
    MemoryStore,
    Observers,
    Record,
    Recorder,
)
from lynkr.telemetry.prometheus import METRICS, NONE, OTHER, PrometheusMetrics
from tests.telemetry.made import records

KNOWN = (Target("openai", "m1"), Target("openai", "m2:8b"), Target("anthropic", "m1"))
LATER = {
    AttemptKind.RETRY: "lynkr_retries_total",
    AttemptKind.FALLBACK: "lynkr_fallbacks_total",
    AttemptKind.HEDGE: "lynkr_hedges_total",
}
Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


def samples_of(metrics: PrometheusMetrics) -> Samples:
    """Every sample of the exposition, by name and labels."""
    text, content_type = metrics.exposition()
    assert content_type.startswith("text/plain; version=0.0.4")
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text.decode())
        for sample in family.samples
        if not sample.name.endswith("_created")
    }


def total(samples: Samples, name: str, **labels: str) -> float:
    """The sum over label sets that have these labels; NaN-free, 0 where there is none."""
    wanted = labels.items()
    return sum(value for (found, has), value in samples.items() if found == name and wanted <= has)


def observed(kept: Iterable[Record], **options: int) -> tuple[PrometheusMetrics, Samples]:
    metrics = PrometheusMetrics(KNOWN, **options)
    metrics.observe([Ended(record) for record in kept])
    return metrics, samples_of(metrics)


def known(values: Iterable[int | None]) -> list[int]:
    return [value for value in values if value is not None]


@given(st.lists(records(st.just("r")), max_size=12))
def test_sums_are_the_records(kept: list[Record]) -> None:
    _, samples = observed(kept)
    served = [record for record in kept if record.target is not None]
    assert total(samples, "lynkr_requests_total") == len(kept)
    for ending in Ending:
        wanted = sum(record.ending is ending for record in kept)
        assert total(samples, "lynkr_requests_total", ending=ending.value) == wanted
        assert total(samples, "lynkr_request_duration_seconds_count", ending=ending.value) == wanted
    for kind in ("input", "output", "cache_read", "cache_write", "reasoning"):
        counts = known(getattr(record.usage, kind) for record in served)
        assert total(samples, "lynkr_tokens_total", kind=kind) == sum(counts)
        assert total(samples, "lynkr_request_tokens_count", kind=kind) == len(counts)
    costs = known(record.cost.cost_microusd for record in served)
    assert total(samples, "lynkr_cost_usd_total") == pytest.approx(sum(costs) / 1e6)
    assert total(samples, "lynkr_request_cost_usd_count") == len(costs)
    assert total(samples, "lynkr_unpriced_requests_total") == len(served) - len(costs)
    compared = [r.cost for r in served if r.cost.saved_microusd is not None]
    saved = total(samples, "lynkr_baseline_usd_total") - total(samples, "lynkr_compared_cost_usd_total")
    assert saved == pytest.approx(sum(known(c.saved_microusd for c in compared)) / 1e6, abs=1e-6)
    attempts = [attempt for record in kept for attempt in record.attempts]
    outcomes = Counter(attempt.outcome for attempt in attempts)
    for outcome in Outcome:
        assert total(samples, "lynkr_attempts_total", outcome=outcome.value) == outcomes[outcome]
        counted = total(samples, "lynkr_attempt_duration_seconds_count", outcome=outcome.value)
        assert counted == outcomes[outcome]
    for kind, name in LATER.items():
        wanted = sum(attempt.kind is kind for attempt in attempts)
        assert total(samples, name) == wanted


@given(st.lists(records(st.just("r")), max_size=12))
def test_no_label_is_a_clients_word(kept: list[Record]) -> None:
    _, samples = observed(kept)
    models = {NONE, OTHER} | {target.model for target in KNOWN}
    providers = {NONE, OTHER} | {target.provider for target in KNOWN}
    for name, labels in samples:
        said = dict(labels)
        assert said.get("model", NONE) in models
        assert said.get("provider", NONE) in providers
        spec = next((spec for spec in METRICS if name.startswith(spec.name.removesuffix("_total"))), None)
        if spec is None:
            assert name.startswith(("process_", "python_"))
        else:
            assert said.keys() - {"le"} <= set(spec.labels)


def record(**fields: object) -> Record:
    base = Record("r", 0.0, None, "m", stream=False, ending=Ending.OK, status=200, target=KNOWN[0])
    return evolve(base, **fields)


def test_the_label_sets_of_a_metric_are_capped_and_nothing_is_lost() -> None:
    many = [record(reason=f"made-up-{n}", tier=Tier.SIMPLE, error=f"E{n}") for n in range(50)]
    _, samples = observed(many, max_label_sets=10)
    assert total(samples, "lynkr_decisions_total") == 50
    assert total(samples, "lynkr_decisions_total", reason=OTHER, tier=OTHER) == 40
    assert sum(name == "lynkr_decisions_total" for name, _ in samples) == 11
    assert total(samples, "lynkr_label_sets_folded_total", metric="lynkr_decisions_total") == 40


def test_retries_fallbacks_and_hedges_are_told_apart() -> None:
    attempts = tuple(
        AttemptRecord(target, 0.0, 1.0, 200, Outcome.SUCCESS, kind=kind)
        for target, kind in (
            (KNOWN[0], AttemptKind.FIRST),
            (KNOWN[0], AttemptKind.RETRY),
            (KNOWN[1], AttemptKind.FALLBACK),
            (KNOWN[2], AttemptKind.HEDGE),
        )
    )
    _, samples = observed([record(attempts=attempts)])
    for name, model in zip(LATER.values(), ("m1", "m2:8b", "m1"), strict=True):
        assert total(samples, name, model=model) == total(samples, name) == 1


def test_what_was_paid_for_nothing_counts_against_the_savings() -> None:
    cost = Cost(cost_microusd=1_000_000, baseline_microusd=5_000_000, overhead_microusd=500_000)
    _, samples = observed([record(cost=cost)])
    assert total(samples, "lynkr_cost_usd_total") == 1
    assert total(samples, "lynkr_overhead_usd_total") == 0.5
    assert total(samples, "lynkr_compared_cost_usd_total") == 1.5


def test_unknown_is_not_zero() -> None:
    _, samples = observed([record(usage=Usage(input=7), cost=Cost())])
    assert total(samples, "lynkr_unmeasured_requests_total", model="m1") == 1
    assert total(samples, "lynkr_request_tokens_count") == 1
    assert not [name for name, _ in samples if name == "lynkr_cost_usd_total"]
    assert total(samples, "lynkr_unpriced_requests_total") == 1


@pytest.mark.parametrize(
    ("error", "cause"),
    [(RateLimited, "rate"), (BudgetSpent, "budget"), (TargetNotAllowed, "model"), (UpstreamFailed, None)],
)
def test_what_a_tenant_was_refused_is_told_by_cause(error: type[LynkrError], cause: str | None) -> None:
    _, samples = observed([record(error=error.__name__, tenant=tenant) for tenant in ("acme", None)])
    refused = {labels: n for (name, labels), n in samples.items() if name == "lynkr_tenant_refusals_total"}
    assert refused == ({} if cause is None else {frozenset({("tenant", "acme"), ("cause", cause)}): 1})


def test_every_metric_shows_and_is_of_the_kind_it_says() -> None:
    metrics = PrometheusMetrics(KNOWN, max_label_sets=1)
    gateway = _Gateway()
    metrics.watch(gateway, clock=lambda: 0.0)
    gateway.breakers.force("openai:m1", BreakerState.FORCED_OPEN, 0.0)
    odd = record(
        tier=Tier.SIMPLE,
        served_tier=Tier.MEDIUM,
        error="E",
        seconds_to_first_event=0.5,
        usage=Usage(1, 1),
        cost=Cost(1, 2, overhead_microusd=1),
        attempts=(
            *(AttemptRecord(KNOWN[0], 0.0, 1.0, None, Outcome.FAILURE, kind=kind) for kind in AttemptKind),
        ),
    )
    refused = record(tenant="acme", error="RateLimited")
    metrics.observe([Ended(odd), Ended(refused), Ended(record()), Ended(record(usage=Usage(), tier=None))])
    text = metrics.exposition("application/openmetrics-text; version=1.0.0")[0].decode()
    shown = {family.name: family for family in parse_openmetrics(text)}
    for spec in METRICS:
        family = shown[spec.name.removesuffix("_total")]
        assert (family.type, family.documentation) == (spec.kind, spec.help)
        assert family.samples, spec.name
        for sample in family.samples:
            assert set(sample.labels) - {"le"} == set(spec.labels)


class _Gateway:
    def __init__(self) -> None:
        self.live = Live(requests=3, streams=2)
        self.breakers = MemoryBreakers()
        self.recorder: Recorder | None = Recorder(MemoryStore())
        self.observers: Observers | None = Observers(())
        self.refusals = {"queue": lambda: 4, "retry_budget": lambda: 5}


def test_the_state_of_a_gateway_is_read_at_the_scrape() -> None:
    metrics, gateway = PrometheusMetrics(KNOWN), _Gateway()
    metrics.watch(gateway, clock=lambda: 0.0)
    assert total(samples_of(metrics), "lynkr_live_requests") == 3
    assert total(samples_of(metrics), "lynkr_refusals_total", cause="queue") == 4
    assert total(samples_of(metrics), "lynkr_refusals_total") == 9
    gateway.live.requests, gateway.live.streams = 1, 1
    gateway.breakers.force("openai:m1", BreakerState.FORCED_OPEN, 0.0)
    for name in ("openai:made-up", "openai:up-made"):
        gateway.breakers.force(name, BreakerState.DISABLED, 0.0)
    assert gateway.recorder is not None
    gateway.recorder.record(record())
    assert gateway.recorder.close(10)
    gateway.recorder.record(record())
    samples = samples_of(metrics)
    assert total(samples, "lynkr_live_requests") == total(samples, "lynkr_open_streams") == 1
    assert total(samples, "lynkr_breakers", model="m1", state="forced_open") == 1
    assert total(samples, "lynkr_breakers", model="m1") == 1
    # Two names a client made up share one label set.
    assert total(samples, "lynkr_breakers", provider="openai", model=OTHER, state="disabled") == 2
    assert (
        total(samples, "lynkr_recorder_written_total") == total(samples, "lynkr_recorder_dropped_total") == 1
    )
    gateway.recorder = gateway.observers = None
    assert not any("recorder" in name or "observers" in name for name, _ in samples_of(metrics))
    with pytest.raises(ValueError, match="lynkr_live_requests"):
        metrics.watch(gateway)


def test_two_gateways_in_one_process_share_nothing() -> None:
    one, _ = observed([record()])
    other = PrometheusMetrics(KNOWN)
    assert total(samples_of(one), "lynkr_requests_total") == 1
    assert total(samples_of(other), "lynkr_requests_total") == 0


def test_the_cap_without_a_setting_is_a_thousand() -> None:
    def errors(names: Sequence[int]) -> list[Record]:
        return [record(error=f"E{n}") for n in names]

    _, samples = observed(errors(range(5_000)))
    assert sum(name == "lynkr_errors_total" for name, _ in samples) == 1_001
