"""Tokens of Entra ID: fetched off the loop, kept while fresh, shown to nobody."""

import sys
import threading

import anyio
import pytest
from attrs import frozen

from lynkr.errors import ConfigError, UpstreamRefused
from lynkr.providers import HttpxTransport, builtin
from lynkr.providers.base import HTTPRequest, RefreshingAuth
from lynkr.providers.entra import EntraAuth

pytestmark = pytest.mark.anyio
PLAIN = HTTPRequest("POST", "https://h", {}, b"")


@frozen
class Token:
    token: str
    expires_on: int


class Credential:
    def __init__(self, *lifetimes, error=None):
        self.lifetimes, self.error = list(lifetimes), error
        self.scopes, self.threads = [], set()

    def get_token(self, *scopes):
        self.scopes.append(scopes)
        self.threads.add(threading.get_ident())
        if self.error is not None:
            raise self.error
        return Token(f"token-{len(self.scopes)}", self.lifetimes.pop(0))


def auth(credential, clock=lambda: 0.0):
    return EntraAuth("azure", credential, "scope", clock=clock)


async def test_a_token_is_fetched_once_and_signed_with():
    credential = Credential(3600)
    entra = auth(credential)
    assert isinstance(entra, RefreshingAuth)
    for _ in range(3):
        await entra.refresh()
    assert entra.sign(PLAIN).headers == {"authorization": "Bearer token-1"}
    assert credential.scopes == [("scope",)]
    assert threading.get_ident() not in credential.threads


async def test_a_token_is_renewed_five_minutes_before_it_expires():
    now = [0.0]
    entra = auth(Credential(3600, 7200), clock=lambda: now[0])
    for now[0], token in ((0.0, "token-1"), (3299.0, "token-1"), (3300.0, "token-2")):
        await entra.refresh()
        assert entra.sign(PLAIN).headers["authorization"] == f"Bearer {token}"


async def test_many_requests_at_once_fetch_one_token():
    credential = Credential(3600)
    entra = auth(credential)
    async with anyio.create_task_group() as tasks:
        for _ in range(5):
            tasks.start_soon(entra.refresh)
    assert len(credential.scopes) == 1


async def test_no_token_is_a_refusal_that_gives_nothing_away():
    entra = auth(Credential(error=ValueError("secret-of-the-tenant")))
    with pytest.raises(UpstreamRefused, match="az login") as caught:
        await entra.refresh()
    assert "secret-of-the-tenant" not in str(caught.value)
    assert caught.value.status == 401


async def test_the_token_is_not_shown():
    entra = auth(Credential(3600))
    await entra.refresh()
    assert "token-1" not in repr(entra)


FOUNDRY = "https://ai.azure.com/.default"
COGNITIVE = "https://cognitiveservices.azure.com/.default"
RESOURCE = "https://r.openai.azure.com"
DATED = "?api-version=2024-10-21"


@pytest.mark.parametrize(
    ("kind", "address", "scope"),
    [
        ("azure-openai", RESOURCE, FOUNDRY),
        ("azure-openai", f"{RESOURCE}/openai/v1", FOUNDRY),
        ("azure-openai", f"https://r.services.ai.azure.com/models{DATED}", FOUNDRY),
        ("azure-openai", RESOURCE + DATED, COGNITIVE),
        ("azure-openai", f"{RESOURCE}/openai/deployments/d{DATED}", COGNITIVE),
        ("azure-openai-responses", RESOURCE, FOUNDRY),
        ("azure-openai-responses", RESOURCE + DATED, COGNITIVE),
        ("azure-anthropic", "https://r.services.ai.azure.com", FOUNDRY),
    ],
)
async def test_an_azure_provider_without_a_key_signs_with_entra_for_the_api_it_calls(kind, address, scope):
    pytest.importorskip("azure.identity")
    provider = builtin("p", kind, base_url=address, transport=HttpxTransport())
    auth = provider.auth
    assert isinstance(auth, EntraAuth)
    assert auth.scope == scope


async def test_without_the_extra_one_is_told_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "azure.identity", None)
    with pytest.raises(ConfigError, match=r"lynkr-router\[azure\]"):
        builtin("p", "azure-openai", base_url="https://r.openai.azure.com", transport=HttpxTransport())
