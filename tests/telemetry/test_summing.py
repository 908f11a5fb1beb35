"""Metrics of several processes together: every count is there once, whoever made it."""

from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from lynkr.routing import Target
from lynkr.telemetry.observers import Ended
from lynkr.telemetry.prometheus import PrometheusMetrics
from lynkr.telemetry.summing import added, past_added
from tests.telemetry.made import records

TARGETS = (Target("openai", "m1"), Target("anthropic", "m1"))
NAMES = ("here", "there", "gone", "long gone")


def values(exposition: bytes) -> dict[tuple, float]:
    """Every sample but those of the process itself, and of when a counter was made."""
    return {
        (sample.name, *sorted(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(exposition.decode())
        for sample in family.samples
        if not sample.name.startswith("process_") and not sample.name.endswith("_created")
    }


def near(one: dict[tuple, float], other: dict[tuple, float]) -> bool:
    return one.keys() == other.keys() and all(
        abs(one[key] - other[key]) <= 1e-9 * abs(one[key]) for key in one
    )


@given(st.lists(st.tuples(records(st.just("r")), st.sampled_from(NAMES)), max_size=6))
def test_what_several_count_is_what_one_would(ended):
    together = PrometheusMetrics(TARGETS)
    apart = {name: PrometheusMetrics(TARGETS) for name in NAMES}
    for record, name in ended:
        together.observe([Ended(record)])
        apart[name].observe([Ended(record)])
    past = past_added([apart["gone"].counts(), apart["long gone"].counts()])
    shown, _ = apart["here"].exposition(others=[apart["there"].counts()], past=[past])
    whole, _ = together.exposition()
    assert near(values(shown), values(whole))


def test_gauges_are_those_of_the_living_and_breakers_are_everybodys():
    def families(live, breakers, started):
        return [
            ["lynkr_live_requests", "gauge", [["lynkr_live_requests", {}, live]]],
            ["lynkr_breakers", "gauge", [["lynkr_breakers", {"state": "open"}, breakers]]],
            ["process_start_time_seconds", "gauge", [["process_start_time_seconds", {}, started]]],
        ]

    total = added(families(1, 1, 9.0), [families(2, 1, 8.0)], [families(4, 1, 7.0)])
    assert [samples[0][2] for _, _, samples in total] == [3, 1, 8.0]
