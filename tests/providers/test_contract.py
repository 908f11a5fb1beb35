"""Every built-in provider keeps the contract that third parties' are held to."""

import json

import pytest

from lynkr.model import WireFormat
from lynkr.providers import HOSTS, AuthStyle, builtin
from lynkr.providers.setup import Cloud
from lynkr.testing.provider_contract import ProviderContract

# Kinds whose provider takes more than an address and a key, and that this file knows how to make.
BUILT = frozenset(
    {
        "azure-openai", "azure-openai-responses", "azure-anthropic", "databricks", "zai", "deepseek",
        "ollama", "ollama-native", "ollama-openai", "ollama-anthropic",
    }
)  # fmt: skip
X_API_KEY = frozenset({"x-api-key"})


class BuiltinContract(ProviderContract):
    kind = ""
    path = ""
    cloud = Cloud()

    def make_provider(self, base_url, transport, timeouts):
        return builtin(
            "p",
            self.kind,
            key=self.key,
            base_url=base_url + self.path,
            cloud=self.cloud,
            transport=transport,
            timeouts=timeouts,
        )

    def untouched(self, sent):
        rules = HOSTS[self.kind].rules
        if self.kind == "databricks":
            body = json.loads(sent)
            return json.dumps({k: v for k, v in body.items() if k != "model"}, indent=1).encode()
        del rules
        return super().untouched(sent)

    def side_answer(self, request):
        if request.path == "/api/version":
            return 200, b'{"version": "0.14.2"}'
        return super().side_answer(request)


def headers_of(kind):
    host = HOSTS[kind]
    if kind.startswith("azure-openai"):
        return frozenset({"api-key"})
    return X_API_KEY if host.auth is AuthStyle.X_API_KEY else frozenset({"authorization"})


def contract(kind, **fields):
    name = "Test" + "".join(word.capitalize() for word in fields.pop("name", kind).split("-"))
    fields = {"kind": kind, "credential_headers": headers_of(kind), **fields}
    return name, type(name, (BuiltinContract,), fields)


# One plain host of each dialect stands for all others of it: they differ in data only, which
# test_builtin.py looks at one by one.
CONTRACTS = [
    contract("openai"),
    contract("openai-responses"),
    contract("anthropic"),
    contract("mistral"),
    contract("azure-openai"),
    contract("azure-openai", name="azure-deployments", cloud=Cloud(api_version="2024-10-21")),
    contract("azure-openai-responses"),
    contract("azure-anthropic"),
    contract("databricks"),
    contract("zai"),
    contract("zai", name="zai-anthropic", path="/api/anthropic", credential_headers=X_API_KEY),
    contract("moonshot"),
    contract("ollama"),
    contract("ollama-openai"),
    contract("ollama-anthropic"),
]
globals().update(CONTRACTS)


@pytest.mark.parametrize("kind", sorted(kind for kind, host in HOSTS.items() if host.build is None))
def test_plain_hosts_differ_in_data_only(kind):
    """So that the contract holds for each of them when it holds for one of its dialect."""
    formats = {HOSTS[under_contract.kind].format for _, under_contract in CONTRACTS}
    assert HOSTS[kind].format in formats
    assert HOSTS[kind].format is not WireFormat.OLLAMA_CHAT


def test_every_kind_that_is_built_here_is_under_contract():
    held = {under_contract.kind for _, under_contract in CONTRACTS}
    assert BUILT - held == {"deepseek", "ollama-native"}  # the same code as zai's, and as ollama's
