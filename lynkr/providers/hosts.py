"""The hosts lynkr knows, as data.

Addresses are those the hosts publish; each comment names the page a copy of
which was read, and when.  Names of key variables are those in the hosts' own
examples where they have some, and lynkr's where not (``BAIDU_API_KEY``).
"""

from collections.abc import Callable, Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from attrs import Factory, evolve, field, frozen

from lynkr.model import WireFormat
from lynkr.providers import azure, bedrock, google, ollama
from lynkr.providers.auth import Bearer, KeyHeader, NoAuth
from lynkr.providers.base import Auth, Provider
from lynkr.providers.body_rules import CHAT_BODIES, PLAIN_BODIES, BodyRules
from lynkr.providers.dialects import DialectProvider
from lynkr.providers.endpoints import ModelEndpoint
from lynkr.providers.host_rules import (
    CEREBRAS_RULES,
    CLAUDE_RULES,
    DATABRICKS_RULES,
    GROQ_RULES,
    MISTRAL_RULES,
    MOONSHOT_RULES,
    OPENAI_RULES,
    RESPONSES_RULES,
    XAI_RULES,
)
from lynkr.providers.making import call_path, checked_url, http_provider, with_path
from lynkr.providers.setup import Setup
from lynkr.routing.decision import UNKNOWN_PROFILE, Profile


class AuthStyle(StrEnum):
    """How a host wants its key."""

    BEARER = "bearer"
    X_API_KEY = "x-api-key"
    API_KEY = "api-key"


@frozen
class Host:
    """A place that answers requests in a known dialect.

    *base_url* is None where only the user knows it.  *key_env* names the
    environment variable its key usually stands in (read by the settings, not
    here).  *is_local*: runs on the user's own machine and needs no key.
    *version_path* is put after a base URL that has no path (``/v1``), as users
    of this host leave it out.  *profile* says what all its models can do.
    *counts*: the dialect in which it counts tokens for its Chat call.
    *build* makes the provider where that takes more than an address and a key;
    *rules* and *auth* are then its own affair.  *embeds*: it also answers
    OpenAI's ``POST /embeddings``, beside its chat call.  *other_key_envs* are
    read where *key_env* is not set.  *finds_credentials*: without a key it
    looks for credentials where its cloud keeps them.  *setting_envs* are the
    variables in which its users keep a provider's further settings.
    """

    format: WireFormat
    base_url: str | None = None
    key_env: str | None = None
    auth: AuthStyle = AuthStyle.BEARER
    is_local: bool = False
    version_path: str = ""
    rules: BodyRules = field(
        # Other dialects have no `stream_options`, and Anthropic refuses fields it does not know.
        default=Factory(
            lambda self: CHAT_BODIES if self.format is WireFormat.OPENAI_CHAT else PLAIN_BODIES,
            takes_self=True,
        )
    )
    profile: Profile = UNKNOWN_PROFILE
    headers: Mapping[str, str] = field(factory=lambda: MappingProxyType({}))
    build: Callable[[Setup], Provider] | None = None
    embeds: bool = False
    counts: WireFormat | None = None
    other_key_envs: tuple[str, ...] = ()
    finds_credentials: bool = False
    setting_envs: Mapping[str, tuple[str, ...]] = field(factory=lambda: MappingProxyType({}))


_CHAT: Final = WireFormat.OPENAI_CHAT
_RESPONSES: Final = WireFormat.OPENAI_RESPONSES
_MESSAGES: Final = WireFormat.ANTHROPIC_MESSAGES
_NATIVE: Final = WireFormat.OLLAMA_CHAT
_GEMINI: Final = WireFormat.GEMINI
_CONVERSE: Final = WireFormat.BEDROCK_CONVERSE


def auth_of(style: AuthStyle, setup: Setup) -> Auth:
    """The key of *setup*, the way a host wants it."""
    match setup.key, style:
        case None, _:
            return NoAuth()
        case key, AuthStyle.BEARER:
            return Bearer(key)
        case key, _:
            return KeyHeader(style.value, key)


def _two_dialects(chat: str, messages: str, rules: BodyRules = CHAT_BODIES) -> Callable[[Setup], Provider]:
    """A host with an address for each of two dialects; a base URL of the user's is for the one it names."""

    def build(setup: Setup) -> Provider:
        if setup.base_url is not None:
            base = checked_url(setup.base_url, setup.name)
            named = _MESSAGES if "/anthropic" in base.path else _CHAT
            return one(setup, named, with_path(base, call_path(named, base.path)))
        spoken = {
            _CHAT: one(setup, _CHAT, f"{chat}/chat/completions"),
            _MESSAGES: one(evolve(setup, owns_transport=False), _MESSAGES, f"{messages}/v1/messages"),
        }
        return DialectProvider(spoken[_CHAT], spoken)

    def one(setup: Setup, format: WireFormat, address: str) -> Provider:
        if format is _CHAT:
            return http_provider(setup, format, address, auth_of(AuthStyle.BEARER, setup), rules)
        return http_provider(setup, format, address, auth_of(AuthStyle.X_API_KEY, setup), PLAIN_BODIES)

    return build


def _databricks(setup: Setup) -> Provider:
    """``https://WORKSPACE/serving-endpoints/MODEL/invocations``: the model is the endpoint's name.

    After "POST /serving-endpoints/{name}/invocations", docs.databricks.com/machine-learning/model-serving
    /score-foundation-models (read 2026-11).
    A base URL that ends in ``/invocations`` is one endpoint's, whatever the model.
    """
    base = checked_url(setup.base_url or "", setup.name)
    path = base.path.rstrip("/")
    auth = auth_of(AuthStyle.BEARER, setup)
    if path.endswith("/invocations"):
        return http_provider(setup, _CHAT, with_path(base, path), auth, DATABRICKS_RULES)
    root = with_path(base, path.removesuffix("/serving-endpoints"))
    address = f"{root}/serving-endpoints/{{model}}/invocations"
    return http_provider(setup, _CHAT, ModelEndpoint(address, address), auth, DATABRICKS_RULES)


def _local(port: int, key_env: str, counts: WireFormat | None = None) -> Host:
    return Host(
        _CHAT,
        f"http://127.0.0.1:{port}/v1",
        key_env,
        is_local=True,
        version_path="/v1",
        profile=Profile(cache="local"),
        embeds=True,
        counts=counts,
    )


def _ollama(format: WireFormat, build: Callable[[Setup], Provider]) -> Host:
    return Host(
        format,
        ollama.DEFAULT_ADDRESS,
        "OLLAMA_API_KEY",
        is_local=True,
        profile=Profile(structured_output=True, cache="local"),
        build=build,
        embeds=True,
    )


def _compatible(
    base_url: str,
    key_env: str,
    *,
    version_path: str = "",
    rules: BodyRules = CHAT_BODIES,
    profile: Profile = UNKNOWN_PROFILE,
    embeds: bool = False,
) -> Host:
    return Host(
        _CHAT, base_url, key_env, version_path=version_path, rules=rules, profile=profile, embeds=embeds
    )


_ALL_OF_OPENAI: Final = Profile(tools=True, structured_output=True, cache="automatic")
_ALL_OF_CLAUDE: Final = Profile(tools=True, parallel_tools=True, vision=True, cache="explicit")
_ALL_OF_GEMINI: Final = Profile(
    tools=True, parallel_tools=True, vision=True, structured_output=True, cache="automatic"
)

# Where no region is set; with one the address is that region's.
_BEDROCK_ADDRESS: Final = f"https://bedrock-runtime.{bedrock.DEFAULT_REGION}.amazonaws.com"
_AWS_SETTINGS: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {"region": ("AWS_BEDROCK_REGION", "AWS_REGION", "AWS_DEFAULT_REGION")}
)

HOSTS: Final[Mapping[str, Host]] = MappingProxyType(
    {
        "openai": Host(
            _CHAT,
            "https://api.openai.com/v1",
            "OPENAI_API_KEY",
            version_path="/v1",
            rules=OPENAI_RULES,
            profile=Profile(cache="automatic"),
            embeds=True,
            counts=_RESPONSES,
        ),
        # The same host in its other dialect; what it keeps (`previous_response_id`) stays its own.
        "openai-responses": Host(
            _RESPONSES,
            "https://api.openai.com/v1",
            "OPENAI_API_KEY",
            version_path="/v1",
            rules=RESPONSES_RULES,
            profile=_ALL_OF_OPENAI,
        ),
        "anthropic": Host(
            _MESSAGES,
            "https://api.anthropic.com",
            "ANTHROPIC_API_KEY",
            auth=AuthStyle.X_API_KEY,
            rules=CLAUDE_RULES,
            profile=_ALL_OF_CLAUDE,
        ),
        "azure-openai": Host(
            _CHAT,
            key_env="AZURE_OPENAI_API_KEY",
            profile=Profile(cache="automatic"),
            build=lambda setup: azure.azure_openai(setup, OPENAI_RULES),
            embeds=True,
        ),
        "azure-openai-responses": Host(
            _RESPONSES,
            key_env="AZURE_OPENAI_API_KEY",
            profile=_ALL_OF_OPENAI,
            build=lambda setup: azure.azure_responses(setup, RESPONSES_RULES),
        ),
        "azure-anthropic": Host(
            _MESSAGES,
            key_env="AZURE_ANTHROPIC_API_KEY",
            auth=AuthStyle.X_API_KEY,
            profile=_ALL_OF_CLAUDE,
            build=azure.azure_anthropic,
        ),
        "databricks": Host(_CHAT, key_env="DATABRICKS_API_KEY", build=_databricks),
        # Two dialects of one cloud: Converse has every model, InvokeModel gives Claude all it has.
        "bedrock": Host(
            _CONVERSE,
            _BEDROCK_ADDRESS,
            "AWS_BEDROCK_API_KEY",
            build=bedrock.converse,
            other_key_envs=("AWS_BEARER_TOKEN_BEDROCK",),
            finds_credentials=True,
            setting_envs=_AWS_SETTINGS,
        ),
        "bedrock-anthropic": Host(
            _MESSAGES,
            _BEDROCK_ADDRESS,
            "AWS_BEDROCK_API_KEY",
            profile=_ALL_OF_CLAUDE,
            build=bedrock.invoke_anthropic,
            other_key_envs=("AWS_BEARER_TOKEN_BEDROCK",),
            finds_credentials=True,
            setting_envs=_AWS_SETTINGS,
        ),
        "gemini": Host(
            _GEMINI,
            google.GEMINI_API,
            "GEMINI_API_KEY",
            profile=_ALL_OF_GEMINI,
            build=google.gemini,
            other_key_envs=("GOOGLE_API_KEY",),
        ),
        "vertex": Host(
            _GEMINI,
            google.VERTEX_API,
            "VERTEX_API_KEY",
            profile=_ALL_OF_GEMINI,
            build=google.vertex,
            other_key_envs=("GOOGLE_API_KEY",),
            finds_credentials=True,
        ),
        "vertex-anthropic": Host(
            _MESSAGES,
            google.VERTEX_API,
            "VERTEX_API_KEY",
            profile=_ALL_OF_CLAUDE,
            build=google.vertex_anthropic,
            finds_credentials=True,
        ),
        # https://openrouter.ai/docs/quickstart (read 2026-11)
        "openrouter": Host(
            _CHAT, "https://openrouter.ai/api/v1", "OPENROUTER_API_KEY", version_path="/api/v1", embeds=True
        ),
        # International endpoint; the Chinese one is https://api.moonshot.cn/v1 (read 2026-11)
        "moonshot": Host(
            _CHAT,
            "https://api.moonshot.ai/v1",
            "MOONSHOT_API_KEY",
            version_path="/v1",
            rules=MOONSHOT_RULES,
            profile=Profile(tools=True, cache="automatic", several_answers=False),
        ),
        # docs.z.ai: general API, and Claude Code's; the Coding Plan's is /api/coding/paas/v4, to be given
        # as base_url (read 2026-11)
        "zai": Host(
            _CHAT,
            "https://api.z.ai/api/paas/v4",
            key_env="ZAI_API_KEY",
            profile=Profile(tools=True, reasoning=True, cache="automatic"),
            build=_two_dialects("https://api.z.ai/api/paas/v4", "https://api.z.ai/api/anthropic"),
        ),
        # api-docs.deepseek.com, "Your First API Call" and "Using the Anthropic API" (read 2026-11)
        "deepseek": Host(
            _CHAT,
            "https://api.deepseek.com",
            key_env="DEEPSEEK_API_KEY",
            profile=Profile(tools=True, reasoning=True, cache="automatic"),
            build=_two_dialects("https://api.deepseek.com", "https://api.deepseek.com/anthropic"),
        ),
        # console.groq.com/docs/openai (read 2026-11)
        "groq": _compatible(
            "https://api.groq.com/openai/v1",
            "GROQ_API_KEY",
            version_path="/openai/v1",
            rules=GROQ_RULES,
            # "If N is supplied, it must be equal to 1", same page.
            profile=Profile(several_answers=False),
        ),
        # docs.mistral.ai/api (read 2026-11)
        "mistral": _compatible(
            "https://api.mistral.ai/v1",
            "MISTRAL_API_KEY",
            version_path="/v1",
            rules=MISTRAL_RULES,
            embeds=True,
        ),
        # docs.together.ai/docs/inference/openai-compatibility (read 2026-11); formerly api.together.xyz
        "together": _compatible(
            "https://api.together.ai/v1", "TOGETHER_API_KEY", version_path="/v1", embeds=True
        ),
        # docs.fireworks.ai/tools-sdks/openai-compatibility (read 2026-11)
        "fireworks": _compatible(
            "https://api.fireworks.ai/inference/v1",
            "FIREWORKS_API_KEY",
            version_path="/inference/v1",
            embeds=True,
        ),
        # docs.x.ai/api/integrations (read 2026-11)
        "xai": _compatible("https://api.x.ai/v1", "XAI_API_KEY", version_path="/v1", rules=XAI_RULES),
        # inference-docs.cerebras.ai/resources/openai (read 2026-11)
        "cerebras": _compatible(
            "https://api.cerebras.ai/v1", "CEREBRAS_API_KEY", version_path="/v1", rules=CEREBRAS_RULES
        ),
        # edenai.co/docs/v3/llms/chat-completions; docs.edenai.co still shows /v3/llm (both read 2026-11)
        "edenai": _compatible("https://api.edenai.run/v3", "EDENAI_API_KEY", version_path="/v3"),
        # atlascloud.ai/docs/api-keys (read 2026-11); no page read tells of /embeddings
        "atlas": _compatible("https://api.atlascloud.ai/v1", "ATLASCLOUD_API_KEY", version_path="/v1"),
        # cloud.baidu.com/doc/WENXINWORKSHOP/s/2m3fihw8s, of 2025-03, and for /embeddings
        # .../doc/qianfan-api/s/Fm7u3ropn, in a mirror's copy (read 2026-11)
        "baidu": _compatible(
            "https://qianfan.baidubce.com/v2", "BAIDU_API_KEY", version_path="/v2", embeds=True
        ),
        # Local servers at their default addresses; keys are optional (Ollama ignores them).  docs.ollama.com
        # /api/openai-compatibility; llama.cpp server README; lmstudio.ai/docs/developer (read 2026-11).
        "ollama": _ollama(_NATIVE, ollama.ollama),
        "ollama-native": _ollama(_NATIVE, ollama.ollama_native),
        "ollama-openai": _ollama(_CHAT, ollama.ollama_openai),
        "ollama-anthropic": _ollama(_MESSAGES, ollama.ollama_anthropic),
        "llamacpp": _local(8080, "LLAMACPP_API_KEY", counts=_MESSAGES),
        "lmstudio": _local(1234, "LMSTUDIO_API_KEY"),
        "openai-compatible": Host(_CHAT, embeds=True),
        "anthropic-compatible": Host(_MESSAGES, auth=AuthStyle.X_API_KEY),
    }
)
