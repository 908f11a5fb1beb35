"""Which price a target gets, in which order, and when none."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lynkr.errors import ConfigError
from lynkr.pricing import FREE, LOCAL_KINDS, Price, SnapshotPrices
from lynkr.routing.decision import UNKNOWN_PROFILE, Profile, Target

D = Decimal
SNAPSHOT = {
    "date": "2026-11-23",
    "models": {
        "anthropic": {
            "claude-opus-4-5": {"input": "5", "output": "25", "cache_read": "0.5", "context_window": 200_000},
            "claude-opus-4-5-20250101": {"input": "6", "output": "30"},
        },
        "openai": {
            "gpt-4o": {
                "input": "2.5", "output": "10", "max_output": 16_384, "vision": True, "reasoning": False,
            },
            "gpt-5.5": {
                "input": "5", "output": "30", "tiers": [{"above": 272_000, "input": "10", "output": "45"}],
            },
            "o9-limits-only": {"context_window": 1_000},
        },
        "google": {"gemini-2.5-pro": {"input": "1.25", "output": "10"}},
        "mistral": {"codestral-latest": {"input": "0.3", "output": "0.9"}},
        "openrouter": {"anthropic/claude-opus-4.5": {"input": "5", "output": "25"}},
        "bedrock": {
            "anthropic.claude-opus-4-5-20251101-v1:0": {
                "input": "5", "output": "25", "context_window": 200_000,
            },
            "us.anthropic.claude-opus-4-5-20251101-v1:0": {"input": "5.5", "output": "27.5"},
        },
        "vertex": {"claude-opus-4-7": {"input": "5", "output": "25"}},
    },
}  # fmt: skip
TABLE = SnapshotPrices(SNAPSHOT)


def input_price(target: str, table: SnapshotPrices = TABLE) -> str | None:
    price = table.price(Target.parse(target))
    return None if price is None else str(price.input)


@pytest.mark.parametrize(
    ("target", "price"),
    [
        ("anthropic:claude-opus-4-5", "5"),
        ("anthropic:claude-opus-4-5-20250101", "6"),  # the exact name comes first
        ("anthropic:claude-opus-4-5-20251101", "5"),
        ("anthropic:claude-opus-4-5-latest", "5"),
        ("openai:gpt-4o-2024-11-20", "2.5"),
        ("openai:openai/gpt-4o", "2.5"),
        ("openai:openai/gpt-4o-2024-11-20", "2.5"),
        ("google:models/gemini-2.5-pro", "1.25"),
        ("gemini:gemini-2.5-pro", "1.25"),  # another name of the kind
        ("mistral:codestral-latest", "0.3"),
        ("openrouter:anthropic/claude-opus-4.5", "5"),
        ("bedrock:us.anthropic.claude-opus-4-5-20251101-v1:0", "5.5"),
        ("vertex:claude-opus-4-7@default", "5"),
    ],
)
def test_a_listed_model_is_found_under_its_spellings(target: str, price: str) -> None:
    assert input_price(target) == price


@pytest.mark.parametrize(
    "target",
    [
        "anthropic:claude-opus-4-5-thinking",  # no longest prefix
        "anthropic:claude-opus-4",
        "anthropic:claude-opus",
        "anthropic:gpt-4o",  # another's model
        "openai:gpt-4o-mini",
        "openai:eu/gpt-4o",  # a region may cost more
        "openai:o9-limits-only",
        "mistral:codestral",
        "openrouter:claude-opus-4.5",
        "openrouter:anthropic/claude-opus-4.5:nitro",
        "bedrock:eu.anthropic.claude-opus-4-5-20251101-v1:0",  # some regions cost more
        "nobody:gpt-4o",
    ],
)
def test_what_is_not_listed_has_no_price(target: str) -> None:
    assert input_price(target) is None


@given(st.builds(Target, st.text(min_size=1), st.text(min_size=1)))
def test_any_target_at_all_has_an_answer(target: Target) -> None:
    assert TABLE.price(target) is None or target.provider in {*SNAPSHOT["models"], *LOCAL_KINDS}  # type: ignore[misc]
    assert isinstance(TABLE.profile(target), Profile)


def test_a_providers_name_is_its_owners_and_its_kind_says_who_bills() -> None:
    table = SnapshotPrices(SNAPSHOT, kinds={"work": "anthropic", "openai": None})
    assert input_price("work:claude-opus-4-5", table) == "5"
    assert input_price("openai:gpt-4o", table) is None  # a host of one's own that speaks OpenAI's dialect
    assert table.profile(Target("openai", "gpt-4o")) == UNKNOWN_PROFILE


def test_overrides_stand_above_everything() -> None:
    table = SnapshotPrices(
        SNAPSHOT,
        {
            Target("anthropic", "claude-opus-4-5"): Price(D(1), D(1)),
            Target("local", "*"): Price(D(2), D(2)),
            Target("local", "big"): Price(D(3), D(3)),
        },
        kinds={"local": "ollama"},
    )
    assert input_price("anthropic:claude-opus-4-5", table) == "1"
    assert input_price("local:anything", table) == "2"
    assert input_price("local:big", table) == "3"


def test_programs_on_ones_own_machine_cost_nothing() -> None:
    table = SnapshotPrices(SNAPSHOT, kinds={"box": "llamacpp"})
    assert table.price(Target("box", "qwen3")) is FREE
    assert table.price(Target("ollama", "qwen3:8b")) is FREE
    named = SnapshotPrices(SNAPSHOT, kinds={"box": "openai"}, free_providers=frozenset({"box"}))
    assert named.price(Target("box", "gpt-4o")) is FREE
    assert named.price(Target("ollama", "qwen3:8b")) is None


def test_long_context_prices_are_read() -> None:
    price = TABLE.price(Target("openai", "gpt-5.5"))
    assert price is not None
    assert price.at(272_000) is price
    assert price.at(272_001) == Price(D(10), D(45))


def test_profiles_come_from_the_same_entries() -> None:
    assert TABLE.profile(Target("openai", "gpt-4o-2024-11-20")) == Profile(
        vision=True, reasoning=False, max_output=16_384
    )
    assert TABLE.profile(Target("openai", "o9-limits-only")).context_window == 1_000
    assert TABLE.profile(Target("openai", "unheard-of")) == UNKNOWN_PROFILE
    # a region changes what a model costs, not what it can do
    assert (
        TABLE.profile(Target("bedrock", "eu.anthropic.claude-opus-4-5-20251101-v1:0")).context_window
        == 200_000
    )


def test_the_owners_word_on_a_profile_stands_first() -> None:
    own = Profile(vision=False)
    table = SnapshotPrices(SNAPSHOT, profiles={Target("openai", "gpt-4o"): own, Target("ollama", "*"): own})
    assert table.profile(Target("openai", "gpt-4o")) is own
    assert table.profile(Target("ollama", "qwen3")) is own


def test_equal_versions_mean_equal_prices() -> None:
    assert TABLE.version == SnapshotPrices(SNAPSHOT).version
    assert TABLE.version.startswith("2026-11-23-")
    one = SnapshotPrices(SNAPSHOT, {Target("a", "b"): Price(D(1), D(1))}).version
    two = SnapshotPrices(SNAPSHOT, {Target("a", "b"): Price(D(1), D(2))}).version
    free = SnapshotPrices(SNAPSHOT, free_providers=frozenset({"a"})).version
    dearer = SnapshotPrices({**SNAPSHOT, "models": {"a": {"b": {"input": "1", "output": "1"}}}}).version
    assert len({TABLE.version, one, two, free, dearer}) == 5


@pytest.mark.parametrize(
    ("snapshot", "complaint"),
    [
        ({}, "models"),
        ({"models": []}, "models"),
        ({"models": {"a": 3}}, "'a'"),
        ({"models": {"a": {"b": 3}}}, r"models\.a\.b"),
        ({"models": {"a": {"b": {"input": "1"}}}}, r"models\.a\.b has no 'output'"),
        ({"models": {"a": {"b": {"input": "one", "output": "1"}}}}, r"models\.a\.b"),
        ({"models": {"a": {"b": {"input": "-1", "output": "1"}}}}, r"models\.a\.b"),
        ({"models": {"a": {"b": {"input": "NaN", "output": "1"}}}}, r"models\.a\.b"),
        ({"models": {"a": {"b": {"input": "1", "output": "1", "tiers": 3}}}}, "tiers"),
        ({"models": {"a": {"b": {"input": "1", "output": "1", "tiers": [{}]}}}}, "above"),
        ({"models": {"a": {"b": {"vision": "yes"}}}}, "vision"),
        ({"models": {"a": {"b": {"context_window": 0}}}}, "context_window"),
    ],
)
def test_a_damaged_snapshot_is_refused_with_the_place(snapshot: dict[str, object], complaint: str) -> None:
    with pytest.raises(ConfigError, match=complaint):
        SnapshotPrices(snapshot)  # type: ignore[arg-type]
