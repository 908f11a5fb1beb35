"""Every kind of provider bills by the list of whoever really bills: the right one, none, or nothing."""

import pytest

from lynkr.assembly import build_prices
from lynkr.pricing import FREE, LOCAL_KINDS, SnapshotPrices, load_snapshot
from lynkr.pricing.snapshot import mapping_at
from lynkr.providers import HOSTS
from lynkr.providers.builtin import ALIASES
from lynkr.routing.decision import Target
from lynkr.settings.tree import ProviderSettings, Settings

SNAPSHOT = load_snapshot()
LISTS = {
    "openai": "openai",
    "openai-responses": "openai",
    "anthropic": "anthropic",
    "azure-openai": "azure",
    "azure-openai-responses": "azure",
    "azure-anthropic": "azure",
    "bedrock": "bedrock",
    "bedrock-anthropic": "bedrock",
    "gemini": "google",
    "vertex": "vertex",
    "vertex-anthropic": "vertex",
    "openrouter": "openrouter",
    "moonshot": "moonshot",
    "zai": "zai",
    "deepseek": "deepseek",
    "mistral": "mistral",
    "xai": "xai",
}
# Whose prices the snapshot does not have, and the dialects of hosts nobody knows.
UNLISTED = frozenset({
    *("databricks", "groq", "together", "fireworks", "cerebras", "edenai", "atlas", "baidu"),
    *("openai-compatible", "anthropic-compatible"),
})  # fmt: skip
ON_THE_OWNERS_MACHINE = frozenset(
    {"ollama", "ollama-native", "ollama-openai", "ollama-anthropic", "llamacpp", "lmstudio"}
)


def names_on(namespace: str) -> list[str]:
    models = mapping_at(SNAPSHOT, "models", "the snapshot")
    listed = mapping_at(models, namespace, "models")
    return [name for name in listed if "input" in mapping_at(listed, name, namespace)]


def tables(kind: str) -> tuple[SnapshotPrices, ...]:
    """The provider ``p`` of *kind*, in a table of one's own and in the gateway's."""
    settings = Settings(providers={"p": ProviderSettings(kind=kind)})
    return SnapshotPrices(SNAPSHOT, kinds={"p": kind}), build_prices(settings)


def test_each_kind_stands_in_exactly_one_of_the_three() -> None:
    assert sorted((*LISTS, *UNLISTED, *ON_THE_OWNERS_MACHINE)) == sorted(HOSTS)


def test_kinds_that_run_on_the_owners_machine_are_those_the_hosts_call_local() -> None:
    local = {kind for kind, host in HOSTS.items() if host.is_local}
    assert local == LOCAL_KINDS == ON_THE_OWNERS_MACHINE


@pytest.mark.parametrize("kind", sorted(LISTS))
def test_a_kind_bills_by_its_list(kind: str) -> None:
    listed = SnapshotPrices(SNAPSHOT, free_providers=frozenset())
    names = names_on(LISTS[kind])
    assert len(names) >= 8
    for table in tables(kind):
        for name in names:
            price = table.price(Target("p", name))
            assert price is not None
            assert price == listed.price(Target(LISTS[kind], name)), name
            assert table.profile(Target("p", name)) == listed.profile(Target(LISTS[kind], name)), name


@pytest.mark.parametrize("kind", sorted(UNLISTED))
def test_a_kind_without_a_list_has_no_price_not_even_for_a_name_others_list(kind: str) -> None:
    for table in tables(kind):
        for namespace in set(LISTS.values()):
            assert all(table.price(Target("p", name)) is None for name in names_on(namespace))


@pytest.mark.parametrize("kind", sorted(ON_THE_OWNERS_MACHINE))
def test_a_program_on_the_owners_machine_is_free_whatever_it_runs(kind: str) -> None:
    for table in tables(kind):
        assert table.price(Target("p", "qwen3:8b")) is FREE
        assert table.price(Target("p", "gpt-4o")) is FREE


def test_a_local_provider_named_like_a_kind_makes_no_other_provider_of_that_kind_free() -> None:
    table = build_prices(
        Settings(
            providers={
                "openai": ProviderSettings(kind="openai", base_url="http://127.0.0.1:9000/v1", local=True),
                "work": ProviderSettings(kind="openai"),
            }
        )
    )
    assert table.price(Target("openai", "gpt-4o")) is FREE
    assert table.price(Target("work", "gpt-4o")) not in {FREE, None}


@pytest.mark.parametrize("alias", sorted(ALIASES))
def test_another_spelling_of_a_kind_leads_to_the_same_list(alias: str) -> None:
    kind = ALIASES[alias]
    by_alias = SnapshotPrices(SNAPSHOT, kinds={"p": alias})
    by_kind = SnapshotPrices(SNAPSHOT, kinds={"p": kind})
    for name in (*names_on(LISTS.get(kind, "openai")), "qwen3:8b"):
        assert by_alias.price(Target("p", name)) == by_kind.price(Target("p", name)), name


@pytest.mark.parametrize(
    ("kind", "model"),
    [
        ("azure-anthropic", "claude-opus-4-5"),
        ("azure-openai-responses", "gpt-4o"),
        ("bedrock-anthropic", "us.anthropic.claude-opus-4-5-20251101-v1:0"),
        ("vertex", "gemini-2.5-pro"),
        ("vertex-anthropic", "claude-opus-4-5@20251101"),
        ("gemini", "models/gemini-2.5-pro"),
        ("openai-responses", "gpt-4o-2024-08-06"),
    ],
)
def test_models_are_found_under_the_names_their_host_knows_them_by(kind: str, model: str) -> None:
    for table in tables(kind):
        assert table.price(Target("p", model)) is not None
