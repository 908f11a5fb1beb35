"""The Node.js Lynkr's environment names work as they are."""

import pytest

from lynkr.errors import ConfigError
from lynkr.providers.builtin import HOSTS
from lynkr.routing.decision import Target, Tier
from lynkr.secret import Secret
from lynkr.settings import Settings, Severity
from lynkr.settings.seed import PROVIDERS, UNSUPPORTED, base_url


def load(**environ: str) -> Settings:
    return Settings.load(None, environ)


def refusal(**environ: str) -> str:
    with pytest.raises(ConfigError) as caught:
        load(**environ)
    return str(caught.value)


def test_a_tier_is_split_at_the_first_colon():
    settings = load(TIER_SIMPLE="ollama:llama3.2:3b")
    assert settings.tiers == {Tier.SIMPLE: (Target("ollama", "llama3.2:3b"),)}


def test_all_four_tiers_are_read():
    settings = load(
        TIER_SIMPLE="ollama:llama3.2",
        TIER_MEDIUM="openai:gpt-4o-mini",
        TIER_COMPLEX="openrouter:anthropic/claude-sonnet-4.5",
        TIER_REASONING="anthropic:claude-opus-4-5",
    )
    assert [str(settings.tiers[tier][0]) for tier in Tier] == [
        "ollama:llama3.2",
        "openai:gpt-4o-mini",
        "openrouter:anthropic/claude-sonnet-4.5",
        "anthropic:claude-opus-4-5",
    ]
    assert set(settings.providers) == {"ollama", "openai", "openrouter", "anthropic"}


def test_several_targets_are_separated_by_commas_and_the_provider_is_lower_cased():
    settings = load(TIER_SIMPLE="Ollama:llama3.2, OpenAI:gpt-4o ,")
    assert settings.tiers[Tier.SIMPLE] == (Target("ollama", "llama3.2"), Target("openai", "gpt-4o"))


def test_a_value_without_colon_is_a_model_of_the_main_provider():
    settings = load(TIER_SIMPLE="gpt-4o-mini", MODEL_PROVIDER="OpenAI")
    assert settings.tiers[Tier.SIMPLE] == (Target("openai", "gpt-4o-mini"),)
    assert "MODEL_PROVIDER" in refusal(TIER_SIMPLE="gpt-4o-mini")


@pytest.mark.parametrize(
    ("environ", "default"),
    [
        ({"MODEL_PROVIDER": "ollama", "OLLAMA_MODEL": "qwen3:8b"}, "ollama:qwen3:8b"),
        ({"MODEL_PROVIDER": "ollama", "MODEL_DEFAULT": "qwen3"}, "ollama:qwen3"),
        ({"MODEL_PROVIDER": "ollama", "MODEL_DEFAULT": "a", "OLLAMA_MODEL": "b"}, "ollama:b"),
        ({"MODEL_PROVIDER": "OpenAI"}, "openai:gpt-4o"),
        ({"MODEL_PROVIDER": "openrouter"}, "openrouter:openai/gpt-4o-mini"),
        ({"MODEL_PROVIDER": "moonshot"}, "moonshot:kimi-k2-turbo-preview"),
        ({"MODEL_PROVIDER": "ollama"}, "ollama:qwen2.5-coder:7b"),
        ({"MODEL_PROVIDER": "llamacpp"}, "llamacpp:default"),
        ({"MODEL_PROVIDER": "lmstudio"}, "lmstudio:default"),
        (
            {"MODEL_PROVIDER": "anthropic", "ANTHROPIC_MODEL": "claude-haiku-4-5"},
            "anthropic:claude-haiku-4-5",
        ),
    ],
)
def test_the_main_provider_gives_the_default_target(environ, default):
    assert str(load(**environ).default) == default


def test_a_main_provider_without_a_model_is_refused():
    assert "set ANTHROPIC_MODEL" in refusal(MODEL_PROVIDER="anthropic")


@pytest.mark.parametrize("name", sorted(UNSUPPORTED))
def test_a_provider_this_version_cannot_speak_to_is_refused_where_it_is_named(name):
    line = refusal(TIER_COMPLEX=f"{name}:some-model")
    assert line.startswith(f'environment variable TIER_COMPLEX: tiers.COMPLEX names the provider "{name}"')
    assert "does not support" in line
    assert "does not support" in refusal(MODEL_PROVIDER=name)


def test_an_unsupported_main_provider_does_not_matter_where_tiers_are_set():
    settings = load(MODEL_PROVIDER="databricks", TIER_SIMPLE="ollama:a")
    assert settings.default is None


@pytest.mark.parametrize("name", sorted(PROVIDERS))
def test_each_built_in_takes_key_and_endpoint_from_its_own_names(name):
    prefix = PROVIDERS[name].prefix
    environ = {
        f"{prefix}_API_KEY": " k ",
        PROVIDERS[name].endpoint_variable: "http://localhost:9/",
        "TIER_SIMPLE": f"{name}:m",
    }
    provider = load(**environ).providers[name]
    assert provider.api_key == Secret("k")
    assert provider.base_url == f"http://localhost:9/{'' if PROVIDERS[name].is_cloud else 'v1'}"
    assert provider.kind == name
    assert provider.local


@pytest.mark.parametrize(
    ("endpoint", "expected"),
    [
        ("http://localhost:11434", "http://localhost:11434/v1"),
        ("http://localhost:11434/", "http://localhost:11434/v1"),
        ("http://localhost:8080/v1", "http://localhost:8080/v1"),
        ("https://api.openai.com/v1/chat/completions", "https://api.openai.com/v1"),
        ("https://openrouter.ai/api/v1/chat/completions", "https://openrouter.ai/api/v1"),
        ("https://api.moonshot.ai/v1/chat/completions/", "https://api.moonshot.ai/v1"),
    ],
)
def test_an_endpoint_becomes_a_base_url(endpoint, expected):
    assert base_url(endpoint) == expected


def test_the_names_follow_the_providers_own_table():
    for name, seed in PROVIDERS.items():
        assert f"{seed.prefix}_API_KEY" == HOSTS[name].key_env
        host = HOSTS[name]
        assert seed.is_cloud == (host.base_url is None or "region" in host.setting_envs)


def test_an_azure_address_gives_its_version_and_its_api():
    settings = load(
        AZURE_OPENAI_ENDPOINT="https://r.openai.azure.com/openai/deployments/d/chat/completions?api-version=2024-10-21",
        AZURE_OPENAI_API_KEY="k",
        AZURE_OPENAI_DEPLOYMENT="d",
        MODEL_PROVIDER="azure-openai",
    )
    provider = settings.providers["azure-openai"]
    assert provider.base_url == "https://r.openai.azure.com/openai/deployments/d/chat/completions"
    assert (provider.kind, provider.api_version) == ("azure-openai", "2024-10-21")
    assert settings.default == Target("azure-openai", "d")


def test_an_azure_responses_address_is_spoken_to_in_that_dialect():
    settings = load(
        AZURE_OPENAI_ENDPOINT="https://r.openai.azure.com/openai/responses",
        AZURE_OPENAI_API_VERSION="2025-04-01-preview",
        TIER_SIMPLE="azure-openai:gpt-5",
    )
    provider = settings.providers["azure-openai"]
    assert (provider.kind, provider.api_version) == ("azure-openai-responses", "2025-04-01-preview")


def test_claude_in_foundry_takes_its_version_as_a_header():
    settings = load(
        AZURE_ANTHROPIC_ENDPOINT="https://r.services.ai.azure.com/anthropic/v1/messages",
        AZURE_ANTHROPIC_VERSION="2026-10-21",
        TIER_SIMPLE="azure-anthropic:claude-opus-4-5",
    )
    assert settings.providers["azure-anthropic"].headers == {"anthropic-version": Secret("2026-10-21")}


def test_the_model_of_a_databricks_address_is_the_default():
    settings = load(
        MODEL_PROVIDER="databricks",
        DATABRICKS_API_BASE="https://w.cloud.databricks.com",
        DATABRICKS_ENDPOINT_PATH="/serving-endpoints/databricks-claude-opus-4-6/invocations",
    )
    assert settings.default == Target("databricks", "databricks-claude-opus-4-6")
    assert settings.providers["databricks"].base_url == "https://w.cloud.databricks.com"


@pytest.mark.parametrize("name", ["z.ai", "z-ai", "zai", "Z.AI"])
def test_the_names_people_give_zai_all_mean_it(name):
    settings = load(TIER_SIMPLE=f"{name}:GLM-4.7", ZAI_API_KEY="k")
    assert settings.tiers[Tier.SIMPLE] == (Target("zai", "GLM-4.7"),)
    assert set(settings.providers) == {"zai"}


def test_a_key_brings_in_one_provider_not_one_for_each_dialect():
    settings = load(OPENAI_API_KEY="k", OLLAMA_API_KEY="k", TIER_SIMPLE="openai:a")
    assert set(settings.providers) == {"openai", "ollama"}


def test_a_bad_endpoint_is_refused_by_the_variables_name():
    assert refusal(OLLAMA_ENDPOINT="http://[").startswith(
        "environment variable OLLAMA_ENDPOINT: providers.ollama.base_url is not a URL"
    )


def test_own_names_beat_the_older_ones():
    settings = load(
        PORT="9000", LYNKR_SERVER_PORT="9001", TIER_SIMPLE="ollama:a", LYNKR_TIERS_SIMPLE="ollama:b"
    )
    assert settings.server.port == 9001
    assert settings.tiers[Tier.SIMPLE] == (Target("ollama", "b"),)
    assert load(PORT="9000").server.port == 9000
    assert refusal(PORT="x").startswith("environment variable PORT: server.port is not a whole number")


def test_a_misspelt_tier_is_refused_and_a_foreign_one_left_alone():
    line = refusal(TIER_SIMPEL="ollama:a")
    assert line == 'environment variable TIER_SIMPEL: tiers.SIMPEL is not a tier; did you mean "SIMPLE"?'
    assert load(TIER_OF_CAKE="three", TIER_="x") == Settings()


def test_names_that_mean_nothing_any_more_are_told_once_the_rest_is_in_use():
    lost = {"FALLBACK_PROVIDER": "openai", "SEMANTIC_CACHE_ENABLED": "true", "LYNKR_STICKY_TTL_MS": "1"}
    assert load(**lost).ignored == ()
    notices = load(TIER_SIMPLE="ollama:a", **lost).ignored
    assert [notice.key for notice in notices] == sorted(lost)
    assert all(notice.severity is Severity.WARNING for notice in notices)


def test_a_key_in_the_environment_makes_its_provider_nameable():
    settings = load(OPENAI_API_KEY="k")
    assert list(settings.providers) == ["openai"]
    assert settings.tiers == {}
