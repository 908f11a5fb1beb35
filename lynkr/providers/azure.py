"""Azure's places: OpenAI deployments and the v1 API, and Claude in Foundry.

Addresses and headers after learn.microsoft.com/azure/foundry/openai
(api-version-lifecycle, reference), ``lib/azure.py`` of openai 3.54, and
``lib/foundry.py`` of anthropic 2.12 (read 2026-11).
"""

from typing import Final
from urllib.parse import SplitResult, parse_qsl, urlencode

from lynkr.errors import ConfigError
from lynkr.model import WireFormat
from lynkr.providers.auth import KeyHeader
from lynkr.providers.base import Auth, Endpoint
from lynkr.providers.betas import FOUNDRY_BETAS
from lynkr.providers.body_rules import BodyRules
from lynkr.providers.endpoints import ModelEndpoint
from lynkr.providers.entra import EntraAuth, default_credential
from lynkr.providers.host_rules import CLAUDE_SETTLED
from lynkr.providers.http_provider import HTTPProvider
from lynkr.providers.making import call_path, checked_url, http_provider, with_path
from lynkr.providers.setup import Setup

# Microsoft's pages of 2026-03 ask for it at the v1 API, of either resource type, and for Claude
# (MicrosoftDocs/azure-ai-docs: foundry/openai/api-version-lifecycle; "401 Unauthorized" of the page on
# Claude, which until 2026-02 named the older one; read 2026-11).
SCOPE: Final = "https://ai.azure.com/.default"
# With dated versions (azure-ai-docs, openai/how-to/managed-identity, of 2025-07; read 2026-11).
DATED_SCOPE: Final = "https://cognitiveservices.azure.com/.default"
# The v1 API takes no dated version: "preview" or none.
_UNDATED: Final = frozenset({"v1", "preview", "latest"})
_CALL: Final = {WireFormat.OPENAI_CHAT: "/chat/completions", WireFormat.OPENAI_RESPONSES: "/responses"}


def azure_openai(setup: Setup, rules: BodyRules) -> HTTPProvider:
    """Chat Completions at a resource's address, in any of the forms Azure shows.

    - ``https://RESOURCE.openai.azure.com``: the v1 API, the target's model in the
      body; with a dated `Cloud.api_version` the deployment of that name instead;
    - ``.../openai/v1``: the v1 API;
    - ``.../openai/deployments/NAME``: that deployment whatever the model.
    """
    return _openai(setup, WireFormat.OPENAI_CHAT, rules)


def azure_responses(setup: Setup, rules: BodyRules) -> HTTPProvider:
    """The Responses API: ``/openai/v1/responses``, or ``/openai/responses`` with a dated version."""
    return _openai(setup, WireFormat.OPENAI_RESPONSES, rules)


def _openai(setup: Setup, format: WireFormat, rules: BodyRules) -> HTTPProvider:
    base = _base(setup, "https://RESOURCE.openai.azure.com")
    call = _CALL[format]
    path = base.path.rstrip("/").removesuffix(call)
    version = setup.cloud.api_version or dict(parse_qsl(base.query)).get("api-version")
    is_dated = version is not None and version not in _UNDATED
    scope = SCOPE
    endpoint: Endpoint | str
    if "/deployments/" in path:
        if not is_dated:
            raise ConfigError(
                f"provider {setup.name!r}: an address of a deployment needs an api_version such as 2024-10-21"
            )
        scope = DATED_SCOPE
        endpoint = with_path(_versioned(base, version), path + call)
    elif path.endswith("/models"):
        # Azure AI model inference: models of all makers, named in the body.
        endpoint = with_path(_versioned(base, version), path + call)
    elif path.endswith("/v1") or not is_dated:
        path = path.removesuffix("/v1").removesuffix("/openai")
        version = version if version in ("preview", "latest") else None
        endpoint = with_path(_versioned(base, version), f"{path}/openai/v1{call}")
    elif format is WireFormat.OPENAI_RESPONSES:
        scope = DATED_SCOPE
        path = path.removesuffix("/openai")
        endpoint = with_path(_versioned(base, version), f"{path}/openai{call}")
    else:
        scope = DATED_SCOPE
        path = path.removesuffix("/openai")
        # Deployment names hold letters, digits, "-", "_" and "." only.
        address = with_path(_versioned(base, version), f"{path}/openai/deployments/MODEL{call}")
        address = address.replace("/deployments/MODEL/", "/deployments/{model}/")
        endpoint = ModelEndpoint(address, address)
    return http_provider(setup, format, endpoint, _auth(setup, "api-key", scope), rules)


def azure_anthropic(setup: Setup) -> HTTPProvider:
    """Claude in Foundry: ``https://RESOURCE.services.ai.azure.com/anthropic/v1/messages``."""
    base = _base(setup, "https://RESOURCE.services.ai.azure.com")
    path = base.path if base.path.rstrip("/") or not _is_azure(base) else "/anthropic"
    address = with_path(base, call_path(WireFormat.ANTHROPIC_MESSAGES, path))
    auth = _auth(setup, "x-api-key", SCOPE)
    rules = BodyRules(betas=FOUNDRY_BETAS.knowing(setup.betas), settled=(CLAUDE_SETTLED,))
    return http_provider(setup, WireFormat.ANTHROPIC_MESSAGES, address, auth, rules)


def _is_azure(base: SplitResult) -> bool:
    return (base.hostname or "").endswith(".azure.com")


def _base(setup: Setup, example: str) -> SplitResult:
    if setup.base_url is None:
        raise ConfigError(f"provider {setup.name!r} needs a base_url, such as {example}")
    return checked_url(setup.base_url, setup.name)


def _versioned(base: SplitResult, version: str | None) -> SplitResult:
    """*base* whose query names *version*, and no other."""
    query = [(name, value) for name, value in parse_qsl(base.query) if name != "api-version"]
    if version is not None:
        query.append(("api-version", version))
    return base._replace(query=urlencode(query))


def _auth(setup: Setup, header: str, scope: str) -> Auth:
    """The key in *header*, or else a token of Entra ID for *scope*."""
    if setup.key is not None:
        return KeyHeader(header, setup.key)
    return EntraAuth(setup.name, default_credential(setup.name), scope)
