"""The environment names of the Node.js Lynkr, and what each means here.

Honoured as they are:

- ``TIER_SIMPLE``, ``TIER_MEDIUM``, ``TIER_COMPLEX``, ``TIER_REASONING``: ``provider:model``, or several
  separated by commas; without a colon, a model of ``MODEL_PROVIDER``.
- ``MODEL_PROVIDER``: with ``<PROVIDER>_MODEL``, else ``MODEL_DEFAULT``, the default target.
- ``<PROVIDER>_API_KEY`` (named by `lynkr.providers.builtin.HOSTS`), ``<PROVIDER>_ENDPOINT`` and
  ``<PROVIDER>_MODEL`` of the providers in `PROVIDERS`; ``AZURE_OPENAI_DEPLOYMENT``,
  ``AZURE_OPENAI_API_VERSION``, ``AZURE_ANTHROPIC_VERSION``, ``DATABRICKS_API_BASE`` and
  ``DATABRICKS_ENDPOINT_PATH``.
- ``PORT``.

Everything else of its some 320 names is ignored, with a warning where the
name shows that its owner expects something of it (`IGNORED`).  Providers that
this version does not speak to (`UNSUPPORTED`) are refused where they are named.
"""

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Final
from urllib.parse import parse_qsl, urlsplit, urlunsplit

from attrs import frozen

from lynkr.providers.builtin import ALIASES
from lynkr.routing.decision import Tier
from lynkr.settings.problems import KeyPath, Problem, closest, did_you_mean
from lynkr.settings.values import EnvironmentText


@frozen
class SeedProvider:
    """A built-in provider's names in the environment.

    *model* is the one the Node.js Lynkr takes when none is named (its
    config/index.js, read 2026-11).  *endpoint* and *deployment* end the names
    of the variables for its address and its model.  *is_cloud*: the address is
    a resource's, to be taken as it stands.
    """

    prefix: str
    model: str | None
    endpoint: str = "ENDPOINT"
    deployment: str = "MODEL"
    is_cloud: bool = False

    @property
    def endpoint_variable(self) -> str:
        return f"{self.prefix}_{self.endpoint}"

    @property
    def model_variable(self) -> str:
        return f"{self.prefix}_{self.deployment}"


PROVIDERS: Final[Mapping[str, SeedProvider]] = MappingProxyType(
    {
        "openai": SeedProvider("OPENAI", "gpt-4o"),
        "anthropic": SeedProvider("ANTHROPIC", None),
        "openrouter": SeedProvider("OPENROUTER", "openai/gpt-4o-mini"),
        "moonshot": SeedProvider("MOONSHOT", "kimi-k2-turbo-preview"),
        "ollama": SeedProvider("OLLAMA", "qwen2.5-coder:7b"),
        "llamacpp": SeedProvider("LLAMACPP", "default"),
        "lmstudio": SeedProvider("LMSTUDIO", "default"),
        "azure-openai": SeedProvider("AZURE_OPENAI", "gpt-4o", deployment="DEPLOYMENT", is_cloud=True),
        "azure-anthropic": SeedProvider("AZURE_ANTHROPIC", None, is_cloud=True),
        "databricks": SeedProvider(
            "DATABRICKS", "databricks-claude-sonnet-4-5", endpoint="API_BASE", is_cloud=True
        ),
        "zai": SeedProvider("ZAI", "GLM-4.7"),
        "deepseek": SeedProvider("DEEPSEEK", None),
        "edenai": SeedProvider("EDENAI", None),
        "atlas": SeedProvider("ATLASCLOUD", "qwen/qwen3.8-max"),
        "baidu": SeedProvider("BAIDU", "ernie-4.5-turbo-128k"),
        "bedrock": SeedProvider("AWS_BEDROCK", None, deployment="MODEL_ID", is_cloud=True),
        # Its "vertex" is the Gemini API: so is ours, with a key and no project.
        "vertex": SeedProvider("VERTEX", "gemini-2.0-flash"),
    }
)

UNSUPPORTED: Final[Mapping[str, str]] = MappingProxyType(
    {
        "codex": "use another provider",
    }
)

# Name or prefix (ending in "_"): what to know, for those whose owner would miss them.
IGNORED: Final[Mapping[str, str]] = MappingProxyType(
    {
        "FALLBACK_ENABLED": "fallback follows a tier's targets, then the tiers above and below, always",
        "FALLBACK_PROVIDER": "put the fallback's target last in a tier: TIER_SIMPLE=ollama:a,openai:b",
        "REQUEST_JSON_LIMIT": "set LYNKR_SERVER_MAX_BODY_BYTES",
        "SUGGESTION_MODE_MODEL": "a client names a target itself, as provider:model or an alias",
        "MODEL_PRICE_OVERRIDES": 'set [pricing.overrides."provider:model"] in a file',
        "OLLAMA_TIMEOUT_MS": "set LYNKR_PROVIDERS_OLLAMA_TIMEOUTS_TOTAL, in seconds",
        "LLAMACPP_TIMEOUT_MS": "set LYNKR_PROVIDERS_LLAMACPP_TIMEOUTS_TOTAL, in seconds",
        "LMSTUDIO_TIMEOUT_MS": "set LYNKR_PROVIDERS_LMSTUDIO_TIMEOUTS_TOTAL, in seconds",
        "PROMPT_CACHE_": "answers are not cached",
        "SEMANTIC_CACHE_": "answers are not cached",
        "RATE_LIMIT_": "clients are not rate limited; LYNKR_SERVER_MAX_IN_FLIGHT bounds what runs at once",
        "LOAD_SHEDDING_": "LYNKR_SERVER_MAX_IN_FLIGHT bounds what runs at once",
        "POLICY_": "tools run in the client only",
        "MEMORY_": "nothing is added to a prompt",
        "TOON_": "prompts are not rewritten",
        "HEADROOM_": "prompts are not rewritten",
        "HISTORY_COMPRESSION_": "prompts are not rewritten",
        "TOOL_RESULT_COMPRESSION_": "prompts are not rewritten",
        "LYNKR_STICKY_": "there is no such setting",
        "LYNKR_INTENT_": "there is no such setting",
        "LYNKR_KNN_": "there is no such setting",
        "LYNKR_CASCADE_": "there is no such setting",
        "LYNKR_VISIBLE_ROUTING": "decisions are in the x-lynkr-* headers, never in an answer's text",
    }
)


@frozen
class SeedSetting:
    """One key that a seed name sets."""

    variable: str
    key: KeyPath
    value: object


def is_in_use(environ: Mapping[str, str]) -> bool:
    """Whether this environment was written for the Node.js Lynkr (or in its way)."""
    return any(environ.get(name, "").strip() for name in ("MODEL_PROVIDER", *_tier_variables()))


def seed_settings(environ: Mapping[str, str]) -> tuple[list[SeedSetting], list[Problem]]:
    """What the seed's names in *environ* set, and what is wrong with them."""
    settings: list[SeedSetting] = []
    problems: list[Problem] = []
    main = environ.get("MODEL_PROVIDER", "").strip().lower()
    main = ALIASES.get(main, main)
    for tier, variable in zip(Tier, _tier_variables(), strict=True):
        names = [name.strip() for name in environ.get(variable, "").split(",") if name.strip()]
        bare = [name for name in names if ":" not in name]
        if bare and not main:
            fix = "write provider:model, or set MODEL_PROVIDER"
            problem = f'names the model "{bare[0]}" without a provider'
            problems.append(Problem(("tiers", tier.name), variable_text(variable), problem, fix))
        elif names:
            targets = [_target_text(name, main) for name in names]
            settings.append(SeedSetting(variable, ("tiers", tier.name), targets))
    problems += _misspelt_tiers(environ)
    settings += _provider_settings(environ)
    port = environ.get("PORT", "").strip()
    if port:
        settings.append(SeedSetting("PORT", ("server", "port"), EnvironmentText(port)))
    default, default_problems = _default(environ, main, has_tiers=any(s.key[0] == "tiers" for s in settings))
    return settings + default, problems + default_problems


def ignored_names(environ: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """The variables in *environ* that the seed would have read and this does not, and what to do."""
    for name in sorted(environ):
        for known, advice in IGNORED.items():
            if name == known or (known.endswith("_") and name.startswith(known)):
                yield name, advice
                break


def variable_text(name: str) -> str:
    """An environment variable, as an origin."""
    return f"environment variable {name}"


def base_url(endpoint: str) -> str:
    """The base URL in the seed's endpoint, which is a host or the whole URL of the chat call.

    ``http://localhost:11434`` and ``http://localhost:11434/v1/chat/completions``
    are both ``http://localhost:11434/v1``.
    """
    try:
        parts = urlsplit(endpoint.strip())
    except ValueError:
        return endpoint  # refused where all base URLs are looked at
    path = parts.path.rstrip("/")
    for call in ("/chat/completions", "/messages"):
        path = path.removesuffix(call)
    return urlunsplit((parts.scheme, parts.netloc, path or "/v1", parts.query, parts.fragment))


def _tier_variables() -> tuple[str, ...]:
    return tuple(f"TIER_{tier.name}" for tier in Tier)


def _target_text(name: str, main: str) -> str:
    provider, colon, model = name.partition(":")
    # The seed lower-cases the provider and leaves the model alone.
    provider = provider.strip().lower()
    return f"{ALIASES.get(provider, provider)}:{model.strip()}" if colon else f"{main}:{name}"


def _misspelt_tiers(environ: Mapping[str, str]) -> Iterator[Problem]:
    tiers = [tier.name for tier in Tier]
    for name in sorted(environ):
        word = name.removeprefix("TIER_")
        # Not every TIER_ is ours: only what reads like a slip of the pen is refused.
        if word not in (name, *tiers) and closest(word, tiers) is not None:
            yield Problem(("tiers", word), variable_text(name), "is not a tier", did_you_mean(word, tiers))


def _provider_settings(environ: Mapping[str, str]) -> Iterator[SeedSetting]:
    for name, provider in PROVIDERS.items():
        # ANTHROPIC_ENDPOINT is no name of the seed's, but the pattern leads one to expect it.
        endpoint = environ.get(provider.endpoint_variable, "").strip()
        if endpoint and provider.is_cloud:
            yield from _cloud_settings(name, provider, endpoint, environ)
        elif endpoint:
            url = EnvironmentText(base_url(endpoint))
            yield SeedSetting(provider.endpoint_variable, ("providers", name, "base_url"), url)


def _cloud_settings(
    name: str, provider: SeedProvider, endpoint: str, environ: Mapping[str, str]
) -> Iterator[SeedSetting]:
    """A resource's address, without its query, and the version that stands there or in a variable."""
    variable = provider.endpoint_variable
    address, _, query = endpoint.partition("?")
    yield SeedSetting(variable, ("providers", name, "base_url"), EnvironmentText(address))
    if name == "azure-openai":
        if address.rstrip("/").endswith("/responses"):
            yield SeedSetting(variable, ("providers", name, "kind"), "azure-openai-responses")
        own = dict(parse_qsl(query)).get("api-version", "")
        version = own or environ.get("AZURE_OPENAI_API_VERSION", "").strip()
        if version:
            origin = variable if own else "AZURE_OPENAI_API_VERSION"
            yield SeedSetting(origin, ("providers", name, "api_version"), EnvironmentText(version))
    version = environ.get("AZURE_ANTHROPIC_VERSION", "").strip()
    if name == "azure-anthropic" and version:
        key = ("providers", name, "headers", "anthropic-version")
        yield SeedSetting("AZURE_ANTHROPIC_VERSION", key, EnvironmentText(version))


def _default(
    environ: Mapping[str, str], main: str, *, has_tiers: bool
) -> tuple[list[SeedSetting], list[Problem]]:
    provider = PROVIDERS.get(main)
    is_nowhere = (
        provider is not None and provider.is_cloud and not environ.get(provider.endpoint_variable, "").strip()
    )
    if not main or (has_tiers and (main in UNSUPPORTED or is_nowhere)):
        # The seed's wizard writes MODEL_PROVIDER=databricks whatever is used: with tiers it is not needed.
        return [], []
    if provider is None:
        model = environ.get("MODEL_DEFAULT", "").strip() or "default"
        return [SeedSetting("MODEL_PROVIDER", ("default",), f"{main}:{model}")], []
    for variable in (provider.model_variable, "DATABRICKS_ENDPOINT_PATH", "MODEL_DEFAULT"):
        model = environ.get(variable, "").strip()
        if variable == "DATABRICKS_ENDPOINT_PATH":
            # /serving-endpoints/MODEL/invocations
            named = model.removesuffix("/invocations").rpartition("/")[2]
            model = named if main == "databricks" else ""
        if model:
            return [SeedSetting("MODEL_PROVIDER", ("default",), f"{main}:{model}")], []
    if provider.model is None:
        fix = f"set {provider.model_variable}"
        problem = Problem(("default",), variable_text("MODEL_PROVIDER"), f"names {main} but no model", fix)
        return [], [problem]
    return [SeedSetting("MODEL_PROVIDER", ("default",), f"{main}:{provider.model}")], []
