"""The snapshot that ships: whole, dated, sourced, small, and right where it was checked by hand."""

from datetime import date
from decimal import Decimal
from importlib.resources import files

import pytest

from lynkr.pricing import Price, SnapshotPrices, load_snapshot
from lynkr.pricing.snapshot import digest_of
from lynkr.routing.decision import Target

D = Decimal
SNAPSHOT = load_snapshot()
TABLE = SnapshotPrices(SNAPSHOT)


def test_it_is_dated_hashed_and_small() -> None:
    assert date.fromisoformat(str(SNAPSHOT["date"])) >= date(2026, 11, 1)
    assert SNAPSHOT["digest"] == digest_of(SNAPSHOT["models"])
    assert TABLE.version == f"{SNAPSHOT['date']}-{str(SNAPSHOT['digest'])[:8]}"
    assert len(files("lynkr.pricing").joinpath("prices.json").read_bytes()) <= 300_000


def test_every_namespace_has_one_source_with_its_licence() -> None:
    sources = SNAPSHOT["sources"]
    assert isinstance(sources, list)
    covered = [name for source in sources for name in source["covers"]]
    assert sorted(covered) == sorted(SNAPSHOT["models"])  # type: ignore[arg-type]
    for source in sources:
        assert source["licence"] == "MIT"
        assert "Permission is hereby granted" in source["notice"]
        assert len(source["sha256"]) == 64
        date.fromisoformat(source["date"])


@pytest.mark.parametrize(
    ("target", "price"),
    [
        # platform.claude.com/docs/en/about-claude/pricing (read 2026-11)
        ("anthropic:claude-opus-4-5", Price(D(5), D(25), D("0.5"), D("6.25"), D(10))),
        ("anthropic:claude-haiku-4-5", Price(D(1), D(5), D("0.1"), D("1.25"), D(2))),
        (
            "anthropic:claude-haiku-5-5",
            Price(
                D("0.1"), D("0.5"), D("0.01"), D("0.125"), D("0.2"),
                tiers=((100_000, Price(D("0.5"), D("2.5"), D("0.05"), D("0.625"), D(1))),),
            ),
        ),
        # developers.openai.com/api/docs/pricing (read 2026-11)
        ("openai:gpt-4o", Price(D("2.5"), D(10), D("1.25"))),
        ("openai:gpt-4o-mini", Price(D("0.15"), D("0.6"), D("0.075"))),
    ],
)  # fmt: skip
def test_well_known_prices_are_the_published_ones(target: str, price: Price) -> None:
    assert TABLE.price(Target.parse(target)) == price


@pytest.mark.parametrize(
    "kind",
    [
        *("anthropic", "azure", "bedrock", "deepseek", "google", "mistral"),
        *("moonshot", "openai", "openrouter", "vertex", "xai", "zai"),
    ],
)
def test_each_kind_has_priced_models(kind: str) -> None:
    models = SNAPSHOT["models"]
    assert isinstance(models, dict)
    priced = [name for name, entry in models[kind].items() if "input" in entry]
    assert len(priced) >= 8
    for name in priced:
        price = TABLE.price(Target(kind, name))
        assert price is not None
        assert D(0) < price.input + price.output < D(1_000), name  # a slip by a thousand would show


def test_reading_from_a_cache_is_never_dearer_than_reading_afresh() -> None:
    models = SNAPSHOT["models"]
    assert isinstance(models, dict)
    for kind, entries in models.items():
        for name in entries:
            price = TABLE.price(Target(kind, name))
            if price is not None and price.cache_read is not None:
                assert price.cache_read <= price.input, (kind, name)


def test_limits_are_known_for_the_models_people_route_to() -> None:
    profile = TABLE.profile(Target("anthropic", "claude-opus-4-5"))
    assert (profile.context_window, profile.max_output) == (200_000, 64_000)
    assert (profile.tools, profile.vision, profile.reasoning, profile.structured_output) == (True,) * 4
    assert TABLE.profile(Target("openai", "gpt-4o")).context_window == 128_000
