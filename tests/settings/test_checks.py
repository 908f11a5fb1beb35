"""What valid settings still lack."""

from decimal import Decimal
from pathlib import Path

import pytest

from lynkr.pricing.price import Price
from lynkr.routing.decision import Target
from lynkr.settings import Settings, Severity


class Prices:
    """A price table that knows only what it is given."""

    version = "test"

    def __init__(self, *known: str) -> None:
        self._known = {Target.parse(name) for name in known}

    def price(self, target: Target, /) -> Price | None:
        return Price(Decimal(1), Decimal(2)) if target in self._known else None


def told(settings: Settings, prices: Prices | None = None) -> dict[str, tuple[Severity, str]]:
    return {notice.key: (notice.severity, notice.message) for notice in settings.warnings(prices)}


FULL = {f"TIER_{name}": "ollama:a" for name in ("SIMPLE", "MEDIUM", "COMPLEX", "REASONING")}


def test_nothing_configured_is_a_problem():
    assert told(Settings())["tiers"][0] is Severity.PROBLEM


def test_local_tiers_lack_nothing():
    assert Settings.load(None, FULL).warnings() == ()


def test_an_empty_tier_says_where_its_requests_go():
    settings = Settings.load(None, {"TIER_SIMPLE": "ollama:a", "TIER_COMPLEX": "ollama:c"})
    notices = told(settings)
    assert notices["tiers.MEDIUM"] == (
        Severity.WARNING,
        "has no target; its requests go to COMPLEX (ollama:c)",
    )
    assert "COMPLEX (ollama:c)" in notices["tiers.REASONING"][1]


def test_a_default_alone_is_enough():
    assert Settings.load(None, {"MODEL_PROVIDER": "ollama"}).warnings() == ()


def test_a_cloud_provider_without_key_is_a_problem_that_names_its_users_and_the_variable():
    settings = Settings.load(
        None, FULL | {"TIER_COMPLEX": "openai:gpt-4o", "LYNKR_ALIASES_BIG": "openai:gpt-4o"}
    )
    severity, message = told(settings)["providers.openai"]
    assert severity is Severity.PROBLEM
    assert message == "has no API key (tiers.COMPLEX, aliases.big use it); set OPENAI_API_KEY"
    assert "providers.openai" not in told(
        Settings.load(None, FULL | {"TIER_COMPLEX": "openai:gpt-4o", "OPENAI_API_KEY": "k"})
    )


def test_an_unused_provider_without_key_is_no_problem(tmp_path: Path):
    path = tmp_path / "lynkr.toml"
    path.write_text("[providers.openai]\n[providers.away]\nkind = 'anthropic'\n", encoding="utf-8")
    notices = told(Settings.load(path, FULL))
    assert notices["providers.openai"] == (
        Severity.WARNING,
        "has no API key (nothing uses it); set OPENAI_API_KEY",
    )
    assert "set api_key_env" in notices["providers.away"][1]


@pytest.mark.parametrize(
    ("url", "local", "warned"),
    [
        ("http://192.168.1.5/v1", None, True),
        ("http://192.168.1.5/v1", "true", False),
        ("http://127.0.0.1:9/v1", None, False),
        ("http://localhost:9/v1", None, False),
        ("https://example.org/v1", None, False),
    ],
)
def test_clear_text_beyond_this_machine_is_told(url, local, warned):
    environ = FULL | {"OPENAI_ENDPOINT": url, "OPENAI_API_KEY": "k"}
    if local:
        environ["LYNKR_PROVIDERS_OPENAI_LOCAL"] = local
    assert ("providers.openai.base_url" in told(Settings.load(None, environ))) is warned


def test_a_loopback_host_is_taken_to_be_free_and_says_so():
    environ = FULL | {"OPENAI_ENDPOINT": "http://127.0.0.1:4000/v1"}
    assert (
        told(Settings.load(None, environ | {"OPENAI_API_KEY": "k"}))["providers.openai"][0] is Severity.NOTE
    )
    charges = environ | {"OPENAI_API_KEY": "k", "LYNKR_PROVIDERS_OPENAI_LOCAL": "false"}
    assert "providers.openai" not in told(Settings.load(None, charges))


def test_a_key_variable_that_is_not_set_is_told(tmp_path: Path):
    path = tmp_path / "lynkr.toml"
    path.write_text(
        "[providers.x]\nkind = 'openai'\nbase_url = 'https://h/v1'\napi_key_env = 'X_KEY'\n", encoding="utf-8"
    )
    assert told(Settings.load(path, FULL))["providers.x"][1].startswith("X_KEY is not set")


def test_unknown_prices_are_notes_and_an_unknown_flagship_a_warning():
    settings = Settings.load(None, FULL)
    assert told(settings, Prices("ollama:a", "anthropic:claude-opus-4-5")) == {}
    notices = told(settings, Prices())
    assert notices["ollama:a"][0] is Severity.NOTE
    assert '[pricing.overrides."ollama:a"]' in notices["ollama:a"][1]
    assert notices["pricing.flagship"][0] is Severity.WARNING


def test_problems_come_first():
    settings = Settings.load(None, {"TIER_SIMPLE": "openai:a"})
    severities = [notice.severity for notice in settings.warnings(Prices())]
    assert severities == sorted(severities, key=list(Severity).index)
    assert severities[0] is Severity.PROBLEM
