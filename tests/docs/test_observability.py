"""docs/observability.md names every metric and attribute there is, and no other."""

import re
from pathlib import Path

import attrs

from lynkr.telemetry.prometheus import METRICS
from lynkr.telemetry.semconv import INSTRUMENTS, NAMES

PAGE = (Path(__file__).parents[2] / "docs" / "observability.md").read_text("utf-8")


def test_the_table_of_metrics_is_the_table_in_the_code() -> None:
    rows = re.findall(r"^\| `(lynkr_\w+)` \| (\w+) \| (.*?) \| (.*?) \|$", PAGE, re.MULTILINE)
    told = [(name, kind, tuple(re.findall(r"`(\w+)`", labels)), words) for name, kind, labels, words in rows]
    assert told == [(spec.name, spec.kind, spec.labels, spec.help) for spec in METRICS]


def test_every_query_asks_for_metrics_and_labels_that_exist() -> None:
    known = {spec.name for spec in METRICS}
    known |= {
        f"{spec.name}_{part}" for spec in METRICS if spec.buckets for part in ("bucket", "sum", "count")
    }
    labels = {label for spec in METRICS for label in spec.labels} | {"le"}
    queries = re.findall(r"`([^`]*lynkr_[^`]*)` \|$", PAGE.split("### Queries")[1], re.MULTILINE)
    assert len(queries) > 5
    for query in queries:
        assert set(re.findall(r"lynkr_\w+", query)) <= known, query
        asked = re.findall(r"by \(([^)]*)\)", query) + re.findall(r"{(\w+)=", query)
        assert {label.strip() for group in asked for label in group.split(",")} <= labels, query


def test_the_names_of_opentelemetry_are_those_of_the_table() -> None:
    section = PAGE.split("## OpenTelemetry")[1].split("## Logs")[0]
    told = set(re.findall(r"`([a-z_]+\.[a-z_.]+)`", section))
    names = {*attrs.asdict(NAMES).values(), *(row["name"] for row in attrs.asdict(INSTRUMENTS).values())}
    assert names <= told
    assert {name for name in told - names if not name.startswith("otel.")} == set()
