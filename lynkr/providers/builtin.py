"""The hosts lynkr knows, as data, and how to make a provider of one.

A host that speaks a known dialect is one `Host` value::

    GROQ = Host(WireFormat.OPENAI_CHAT, "https://api.groq.com/openai/v1", key_env="GROQ_API_KEY")
    provider = builtin("groq", GROQ, key=key, transport=transport)
"""

import time
from collections.abc import Callable, Mapping
from difflib import get_close_matches
from enum import StrEnum
from types import MappingProxyType
from typing import Final
from urllib.parse import SplitResult, urlsplit, urlunsplit

from attrs import asdict, field, frozen

from lynkr.errors import ConfigError
from lynkr.model import WireFormat
from lynkr.providers.auth import Bearer, KeyHeader, NoAuth
from lynkr.providers.base import DEFAULT_TIMEOUTS, Auth, Timeouts, Transport
from lynkr.providers.body_rules import CHAT_BODIES, BodyRules
from lynkr.providers.endpoints import FixedEndpoint
from lynkr.providers.http_provider import Counting, HTTPProvider
from lynkr.providers.setup import NO_CLOUD, Cloud, Setup
from lynkr.routing.decision import UNKNOWN_PROFILE, Profile, Target
from lynkr.secret import Secret
from lynkr.wire.anthropic import AnthropicCodec
from lynkr.wire.base import Codec
from lynkr.wire.openai_chat import OpenAIChatCodec


class AuthStyle(StrEnum):
    """How a host wants its key."""

    BEARER = "bearer"
    X_API_KEY = "x-api-key"


@frozen
class Host:
    """A place that answers requests in a known dialect.

    *base_url* is None where only the user knows it.  *key_env* names the
    environment variable its key usually stands in (read by the settings, not
    here).  *is_local*: runs on the user's own machine and needs no key.
    *version_path* is put after a base URL that has no path (``/v1``), as users
    of this host leave it out.  *profile* says what all its models can do.
    *build* makes the provider where that takes more than an address and a key;
    *rules* and *auth* are then its own affair.
    """

    format: WireFormat
    base_url: str | None = None
    key_env: str | None = None
    auth: AuthStyle = AuthStyle.BEARER
    is_local: bool = False
    version_path: str = ""
    rules: BodyRules = CHAT_BODIES
    profile: Profile = UNKNOWN_PROFILE
    headers: Mapping[str, str] = field(factory=lambda: MappingProxyType({}))
    build: Callable[[Setup], HTTPProvider] | None = None


# "'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead": o-series and
# GPT-5.x (OpenAI error text; "max_tokens ... not compatible with o-series models" in the API reference;
# read 2026-11).
_OPENAI_RULES: Final = BodyRules(
    stream_usage=True, completion_tokens_prefixes=("o1", "o3", "o4", "gpt-5", "gpt-6")
)
_CHAT: Final = WireFormat.OPENAI_CHAT
_MESSAGES: Final = WireFormat.ANTHROPIC_MESSAGES


def _local(port: int, key_env: str) -> Host:
    return Host(_CHAT, f"http://127.0.0.1:{port}/v1", key_env, is_local=True, version_path="/v1")


HOSTS: Final[Mapping[str, Host]] = MappingProxyType(
    {
        "openai": Host(
            _CHAT,
            "https://api.openai.com/v1",
            "OPENAI_API_KEY",
            version_path="/v1",
            rules=_OPENAI_RULES,
        ),
        "anthropic": Host(
            _MESSAGES,
            "https://api.anthropic.com",
            "ANTHROPIC_API_KEY",
            auth=AuthStyle.X_API_KEY,
            profile=Profile(tools=True, vision=True),
        ),
        # https://openrouter.ai/docs/quickstart (read 2026-11)
        "openrouter": Host(
            _CHAT, "https://openrouter.ai/api/v1", "OPENROUTER_API_KEY", version_path="/api/v1"
        ),
        # International endpoint; the Chinese one is https://api.moonshot.cn/v1 (read 2026-11)
        "moonshot": Host(_CHAT, "https://api.moonshot.ai/v1", "MOONSHOT_API_KEY", version_path="/v1"),
        # Local servers at their default addresses; keys are optional (Ollama ignores them).  docs.ollama.com
        # /api/openai-compatibility; llama.cpp server README; lmstudio.ai/docs/developer (read 2026-11).
        "ollama": _local(11434, "OLLAMA_API_KEY"),
        "llamacpp": _local(8080, "LLAMACPP_API_KEY"),
        "lmstudio": _local(1234, "LMSTUDIO_API_KEY"),
        "openai-compatible": Host(_CHAT),
        "anthropic-compatible": Host(_MESSAGES, auth=AuthStyle.X_API_KEY),
    }
)

# The oldest version that is still current; a client that names its own gets that one (read 2026-11).
_ANTHROPIC_DEFAULTS: Final[Mapping[str, str]] = MappingProxyType({"anthropic-version": "2023-06-01"})


# Fields of a Messages body that count_tokens does not know and refuses: MessageCreateParams less
# MessageCountTokensParams in anthropic 2.12, beta ones included, and sampling (read 2026-11).
_NOT_COUNTED: Final = frozenset({
    "container", "diagnostics", "fallback_credit_token", "fallbacks", "inference_geo", "max_tokens",
    "metadata", "output_format", "service_tier", "stop_sequences", "stream", "temperature", "thread",
    "top_k", "top_p",
})  # fmt: skip


def builtin(
    name: str,
    kind: str | Host,
    *,
    key: Secret | str | None = None,
    base_url: str | None = None,
    cloud: Cloud = NO_CLOUD,
    transport: Transport,
    timeouts: Timeouts = DEFAULT_TIMEOUTS,
    headers: Mapping[str, str] = MappingProxyType({}),
    profiles: Callable[[Target], Profile] | None = None,
    clock: Callable[[], float] = time.monotonic,
    owns_transport: bool = False,
) -> HTTPProvider:
    """A provider called *name* at a known host.

    *base_url*: for the OpenAI dialect it ends before ``/chat/completions``
    (``https://host/v1``), for Anthropic's before or after ``/v1``; a complete
    address is taken as it is.  *cloud* is for kinds that are places in a
    cloud.  *headers* go with every request.  *profiles*
    tells what a target can do; what it leaves open the host fills in.  *clock*
    is the one `Call.deadline` is in.

    Raises:
        ConfigError: no such kind, no base URL, or one that is not plain http(s); a key no header can hold.
    """
    host = kind if isinstance(kind, Host) else _known(kind)
    own_headers = {n.lower(): v for n, v in {**host.headers, **headers}.items()}
    if host.build is not None:
        setup = Setup(
            name=name,
            kind=kind if isinstance(kind, str) else name,
            key=Secret(key) if isinstance(key, str) and key else (key or None),
            base_url=base_url,
            cloud=cloud,
            transport=transport,
            timeouts=timeouts,
            headers=own_headers,
            profiles=_filled(profiles, host.profile),
            clock=clock,
            owns_transport=owns_transport,
        )
        return host.build(setup)
    address = base_url or host.base_url
    if address is None:
        raise ConfigError(f"provider {name!r} of kind {kind!r} needs a base_url")
    base = _checked_url(address, name)
    codec, url, counting = _dialect(host, base)
    return HTTPProvider(
        name=name,
        codec=codec,
        endpoint=FixedEndpoint(url),
        transport=transport,
        auth=_auth(host, key),
        rules=host.rules,
        headers=own_headers,
        default_headers=_ANTHROPIC_DEFAULTS if host.format is _MESSAGES else {},
        timeouts=timeouts,
        counting=counting,
        profiles=_filled(profiles, host.profile),
        clock=clock,
        owns_transport=owns_transport,
    )


def _known(kind: str) -> Host:
    host = HOSTS.get(kind)
    if host is None:
        near = get_close_matches(kind, HOSTS, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else f"; there are {', '.join(HOSTS)}"
        raise ConfigError(f"no provider kind is called {kind!r}{hint}")
    return host


def _checked_url(address: str, name: str) -> SplitResult:
    wrong = ConfigError(f"provider {name!r}: base_url must be an http:// or https:// address with a host")
    try:
        base = urlsplit(address)
        port = base.port
    except ValueError:
        raise wrong from None
    if base.scheme not in ("http", "https") or not base.hostname or port == 0:
        raise wrong
    if base.username is not None or base.password is not None or base.fragment:
        # Not quoted: it may hold a password.
        raise ConfigError(f"provider {name!r}: base_url must hold no user name, password or fragment")
    return base


def _dialect(host: Host, base: SplitResult) -> tuple[Codec, str, Counting | None]:
    """The codec, the address requests go to, and how tokens are counted."""
    path = base.path.rstrip("/")
    match host.format:
        case WireFormat.OPENAI_CHAT:
            if not path.endswith("/chat/completions"):
                path = f"{path or host.version_path}/chat/completions"
            # The older spelling is the one every host knows; `BodyRules` names the models that refuse it.
            codec = OpenAIChatCodec(output_limit="max_tokens")
            return codec, urlunsplit(base._replace(path=path)), None
        case WireFormat.ANTHROPIC_MESSAGES:
            if not path.endswith("/v1/messages"):
                path = f"{path.removesuffix('/v1')}/v1/messages"
            count = FixedEndpoint(urlunsplit(base._replace(path=f"{path}/count_tokens")))
            counting = Counting(count, BodyRules(leave_out=_NOT_COUNTED))
            return AnthropicCodec(), urlunsplit(base._replace(path=path)), counting
        case _:
            raise ConfigError(f"no codec speaks {host.format}")


def _auth(host: Host, key: Secret | str | None) -> Auth:
    if not key:
        return NoAuth()
    match host.auth:
        case AuthStyle.BEARER:
            return Bearer(key)
        case AuthStyle.X_API_KEY:
            return KeyHeader("x-api-key", key)


def _filled(profiles: Callable[[Target], Profile] | None, default: Profile) -> Callable[[Target], Profile]:
    """*profiles* with its unknowns taken from *default*."""
    if profiles is None:
        return lambda _: default
    if default == UNKNOWN_PROFILE:
        return profiles

    def profile_of(target: Target) -> Profile:
        known = {name: value for name, value in asdict(profiles(target)).items() if value is not None}
        return Profile(**{**asdict(default), **known})

    return profile_of
