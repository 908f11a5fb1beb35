"""Building a snapshot from the public lists, in their own formats."""

import pytest

from lynkr.errors import ConfigError
from lynkr.pricing import SnapshotPrices
from lynkr.pricing.snapshot import Source, build_snapshot, models_of_genai_prices, models_of_litellm
from lynkr.routing.decision import Target

PLAIN = {"mode": "chat", "input_cost_per_token": 1e-06, "output_cost_per_token": 1e-06}
LITELLM = {
    "sample_spec": {"litellm_provider": "one of ...", "mode": "chat", "input_cost_per_token": 0.0},
    "claude-haiku-5-5": {
        "litellm_provider": "anthropic",
        "mode": "chat",
        "input_cost_per_token": 1e-07,
        "output_cost_per_token": 5e-07,
        "cache_read_input_token_cost": 1e-08,
        "cache_creation_input_token_cost": 1.25e-07,
        "cache_creation_input_token_cost_above_1hr": 2e-07,
        "input_cost_per_token_above_100k_tokens": 5e-07,
        "output_cost_per_token_above_100k_tokens": 2.5e-06,
        "cache_creation_input_token_cost_above_1hr_above_100k_tokens": 1e-06,
        "input_cost_per_token_above_100k_tokens_batches": 1e-09,
        "max_input_tokens": 1_000_000,
        "max_output_tokens": 128_000,
        "supports_function_calling": True,
        "supports_vision": False,
    },
    "deepseek-chat": {
        "litellm_provider": "deepseek",
        "mode": "chat",
        "input_cost_per_token": 9e-07,
        "output_cost_per_token": 9e-07,
    },
    "deepseek/deepseek-chat": {
        "litellm_provider": "deepseek",
        "mode": "chat",
        "input_cost_per_token": 2.8e-07,
        "output_cost_per_token": 4.2e-07,
        "cache_creation_input_token_cost": 0.0,
    },
    "gemini/free-preview": {
        "litellm_provider": "gemini",
        "mode": "chat",
        "input_cost_per_token": 0.0,
        "output_cost_per_token": 0,
        "max_input_tokens": 32_000,
    },
    "gpt-half": {
        "litellm_provider": "openai",
        "mode": "chat",
        "input_cost_per_token": 1e-06,
        "output_cost_per_token": 1e-06,
        "input_cost_per_token_above_272k_tokens": 2e-06,
    },
    "gpt-image": {"litellm_provider": "openai", "mode": "image_generation", "input_cost_per_token": 1e-06},
    "ft:gpt-4o": {"litellm_provider": "openai"} | PLAIN,
    "azure/eu/gpt-4o": {"litellm_provider": "azure"} | PLAIN,
    "groq/llama": {"litellm_provider": "groq"} | PLAIN,
    "azure_ai/jais": {
        "litellm_provider": "azure_ai",
        "mode": "chat",
        "input_cost_per_token": 0.0032,  # it stands in the list of 2026-11: per thousand, for per million
        "output_cost_per_token": 0.00971,
    },
}

GENAI = [
    {"id": "anthropic", "models": [{"id": "claude", "prices": {"input_mtok": 1, "output_mtok": 1}}]},
    {
        "id": "openrouter",
        "models": [
            {"id": "moonshotai/kimi-k2.6", "context_window": 262_144, "prices": [
                {"prices": {"input_mtok": 0.68, "output_mtok": 3.41}},
                {"constraint": {"start_date": "2026-11-03"},
                 "prices": {"input_mtok": 0.95, "output_mtok": 4, "cache_read_mtok": 0.16}},
                {"constraint": {"start_date": "2027-01-01"}, "prices": {"input_mtok": 99, "output_mtok": 99}},
            ]},
            {"id": "google/gemini-2.5-pro", "prices": {
                "input_mtok": {"base": 1.25, "tiers": [{"start": 200_000, "price": 2.5}]},
                "output_mtok": {"base": 10, "tiers": [{"start": 200_000, "price": 15}]},
                "cache_write_mtok": 0.375,
            }},
            {"id": "deepseek/night", "prices": [
                {"prices": {"input_mtok": 1, "output_mtok": 1}},
                {"constraint": {"start_time": "16:30", "end_time": "00:30"},
                 "prices": {"input_mtok": 0.5, "output_mtok": 0.5}},
            ]},
            {"id": "openai/gpt-5:batch", "prices": {"input_mtok": 1, "output_mtok": 1}},
            {"id": "someone/else", "prices": {"input_mtok": 1, "output_mtok": 1}},
            {"id": "qwen/free", "prices": {}},
        ],
    },
]  # fmt: skip


def source(name: str, *covers: str) -> Source:
    return Source(name, "1", "2026-11-23", "0" * 64, "MIT", "notice", covers)


def test_litellm_prices_become_exact_decimals_per_million() -> None:
    assert models_of_litellm(LITELLM)["anthropic"] == {
        "claude-haiku-5-5": {
            "input": "0.1",
            "output": "0.5",
            "cache_read": "0.01",
            "cache_write": "0.125",
            "cache_write_1h": "0.2",
            "tiers": [{"above": 100_000, "input": "0.5", "output": "2.5", "cache_write_1h": "1"}],
            "context_window": 1_000_000,
            "max_output": 128_000,
            "tools": True,
            "vision": False,
        }
    }


def test_of_two_spellings_the_prefixed_one_counts_and_a_cache_write_at_zero_is_no_price() -> None:
    assert models_of_litellm(LITELLM)["deepseek"] == {"deepseek-chat": {"input": "0.28", "output": "0.42"}}
    turned = dict(reversed(LITELLM.items()))
    assert models_of_litellm(turned)["deepseek"] == models_of_litellm(LITELLM)["deepseek"]


def test_zero_for_both_is_not_taken_for_a_price_and_half_a_tier_for_none() -> None:
    models = models_of_litellm(LITELLM)
    assert models["google"] == {"free-preview": {"context_window": 32_000}}
    assert "openai" not in models  # neither fine-tunes, nor images, nor half a price


def test_a_price_a_thousand_times_too_high_is_a_slip_and_no_price() -> None:
    assert "azure" not in models_of_litellm(LITELLM)


def test_providers_and_regions_that_are_not_served_are_left_out() -> None:
    assert set(models_of_litellm(LITELLM)) == {"anthropic", "deepseek", "google"}


def test_openrouter_prices_are_those_in_force_on_the_day() -> None:
    on = models_of_genai_prices(GENAI, date="2026-11-23")["openrouter"]
    assert on["moonshotai/kimi-k2.6"] == {
        "input": "0.95",
        "output": "4",
        "cache_read": "0.16",
        "context_window": 262_144,
    }
    before = models_of_genai_prices(GENAI, date="2026-11-02")["openrouter"]
    assert before["moonshotai/kimi-k2.6"] == {"input": "0.68", "output": "3.41", "context_window": 262_144}


def test_openrouter_tiers_keep_the_prices_that_do_not_change() -> None:
    entry = models_of_genai_prices(GENAI, date="2026-11-23")["openrouter"]["google/gemini-2.5-pro"]
    assert entry == {
        "input": "1.25",
        "output": "10",
        "cache_write": "0.375",
        "tiers": [{"above": 200_000, "input": "2.5", "output": "15", "cache_write": "0.375"}],
    }


def test_variants_strangers_and_prices_by_the_hour_are_left_out() -> None:
    models = models_of_genai_prices(GENAI, date="2026-11-23")
    assert set(models) == {"openrouter"}
    assert set(models["openrouter"]) == {"moonshotai/kimi-k2.6", "google/gemini-2.5-pro"}


def test_a_snapshot_of_both_is_sorted_hashed_and_usable() -> None:
    parts = [
        (source("litellm", "deepseek", "anthropic"), models_of_litellm(LITELLM)),
        (source("genai", "openrouter"), models_of_genai_prices(GENAI, date="2026-11-23")),
    ]
    snapshot = build_snapshot(parts, date="2026-11-23")
    assert list(snapshot["models"]) == ["anthropic", "deepseek", "openrouter"]  # type: ignore[call-overload]
    assert build_snapshot(reversed(parts), date="2026-11-23")["digest"] == snapshot["digest"]
    assert SnapshotPrices(snapshot).price(Target("deepseek", "deepseek-chat")) is not None


def test_what_no_part_covers_is_kept_with_its_own_source() -> None:
    models = models_of_litellm(LITELLM)
    first = build_snapshot([(source("old", "anthropic", "deepseek"), models)], date="2026-10-01")
    second = build_snapshot([(source("new", "deepseek"), models)], date="2026-11-23", previous=first)
    assert second["models"] == first["models"]
    sources = second["sources"]
    assert isinstance(sources, list)
    assert [(each["name"], each["covers"]) for each in sources] == [
        ("new", ["deepseek"]),
        ("old", ["anthropic"]),
    ]


def test_a_list_without_what_it_claims_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"new has no usable entry for 'openai'"):
        build_snapshot([(source("new", "openai"), models_of_litellm(LITELLM))], date="2026-11-23")
    models = models_of_litellm(LITELLM)
    with pytest.raises(ConfigError, match="two sources"):
        build_snapshot([(source(n, "anthropic"), models) for n in "ab"], date="2026-11-23")


@pytest.mark.parametrize(
    "previous",
    [{}, {"models": {}}, {"models": {}, "sources": [3]}, {"models": {}, "sources": [{"covers": "all"}]}],
)
def test_a_previous_snapshot_that_is_none_is_refused(previous: dict[str, object]) -> None:
    with pytest.raises(ConfigError, match=r"snapshot"):
        build_snapshot(
            [(source("new", "anthropic"), models_of_litellm(LITELLM))], date="2026-11-23", previous=previous
        )  # type: ignore[arg-type]
