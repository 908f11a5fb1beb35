"""docs/configuration.md says what there is, and nothing else."""

import re
import tomllib
from pathlib import Path

import attrs
import pytest

from lynkr.settings import ProviderSettings, Settings, TenantSettings
from lynkr.settings.seed import PROVIDERS, UNSUPPORTED

PAGE = Path(__file__).parents[2] / "docs" / "configuration.md"
pytestmark = pytest.mark.skipif(not PAGE.exists(), reason="the page is not part of the installed package")


def documented() -> set[str]:
    """The keys of the table: a name that starts with a dot shares the section of the one before."""
    keys: set[str] = set()
    for line in PAGE.read_text("utf-8").split("## Keys")[1].split("##")[0].splitlines():
        section = ""
        for name in re.findall(r"`([\w.\":]+)`", line.split(" | ")[0]) if line.startswith("| `") else ():
            section = name.rpartition(".")[0] if not name.startswith(".") else section
            keys.add(f"{section}{name}" if name.startswith(".") else name)
    return keys


def test_every_key_is_documented_and_every_documented_key_exists():
    sections = ("server", "timeouts", "resilience", "telemetry", "otel", "pricing")
    sections += ("routing", "sessions", "exploration", "responses")
    keys = {
        f"{section}.{attribute.name}"
        for section in sections
        for attribute in attrs.fields(type(getattr(Settings(), section)))
    }
    keys |= {f"providers.NAME.{attribute.name}" for attribute in attrs.fields(ProviderSettings)}
    keys |= {f"tenants.NAME.{attribute.name}" for attribute in attrs.fields(TenantSettings)}
    keys |= {"tiers.SIMPLE", "tiers.MEDIUM", "tiers.COMPLEX", "tiers.REASONING", "aliases.NAME"}
    keys |= {"default", "embeddings"}
    keys |= {'profiles."provider:model"', 'pricing.overrides."provider:model"'}
    assert documented() == keys - {"pricing.overrides"}


def test_the_defaults_are_the_ones_in_the_table():
    for line in PAGE.read_text("utf-8").splitlines():
        found = re.match(
            r"\| `(server|timeouts|resilience|telemetry|sessions|exploration)\.(\w+)` \| ([\d.]+) \|", line
        )
        if found:
            assert float(found[3]) == getattr(getattr(Settings(), found[1]), found[2])


def test_the_example_loads(tmp_path):
    example = PAGE.read_text("utf-8").split("```toml")[1].split("```")[0]
    assert tomllib.loads(example)
    path = tmp_path / "lynkr.toml"
    path.write_text(example, encoding="utf-8")
    assert Settings.load(path, {}).tiers


def test_the_older_names_are_all_there():
    page = PAGE.read_text("utf-8")
    for provider in PROVIDERS.values():
        assert f"`{provider.prefix}_API_KEY`" in page
        assert f"`{provider.endpoint_variable}`" in page
    assert all(f"`{name}`" in page for name in UNSUPPORTED)
