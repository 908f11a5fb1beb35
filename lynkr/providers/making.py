"""Pieces a provider is put together from: addresses, codecs, credentials."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final
from urllib.parse import SplitResult, urlsplit, urlunsplit

from attrs import asdict, evolve

from lynkr.errors import ConfigError
from lynkr.model import WireFormat
from lynkr.providers.base import Auth, Endpoint
from lynkr.providers.body_rules import PLAIN_BODIES, BodyRules
from lynkr.providers.endpoints import FixedEndpoint, SiblingEndpoint
from lynkr.providers.http_provider import Counting, HTTPProvider
from lynkr.providers.setup import Setup
from lynkr.routing.decision import UNKNOWN_PROFILE, Profile, Target
from lynkr.wire import ollama as ollama_wire
from lynkr.wire.anthropic import AnthropicCodec
from lynkr.wire.base import Codec
from lynkr.wire.openai_chat import OpenAIChatCodec
from lynkr.wire.openai_responses import OpenAIResponsesCodec

# The oldest version that is still current; a client that names its own gets that one (read 2026-11).
ANTHROPIC_DEFAULTS: Final[Mapping[str, str]] = MappingProxyType({"anthropic-version": "2023-06-01"})
# Fields of a Messages body that count_tokens does not know and refuses: MessageCreateParams less
# MessageCountTokensParams in anthropic 2.12, beta ones included, and sampling (read 2026-11).
NOT_COUNTED: Final = frozenset({
    "container", "diagnostics", "fallback_credit_token", "fallbacks", "inference_geo", "max_tokens",
    "metadata", "output_format", "service_tier", "stop_sequences", "stream", "temperature", "thread",
    "top_k", "top_p",
})  # fmt: skip
# "Get input token counts" takes no more than these: `InputTokenCountParams` of openai 3.57 (read 2026-11).
_RESPONSES_COUNTED: Final = frozenset({
    "conversation", "input", "instructions", "model", "parallel_tool_calls", "personality",
    "previous_response_id", "reasoning", "text", "tool_choice", "tools", "truncation",
})  # fmt: skip
_MOST_PROFILES: Final = 1024
_CALLS: Final[Mapping[WireFormat, str]] = MappingProxyType(
    {
        WireFormat.OPENAI_CHAT: "/chat/completions",
        WireFormat.OPENAI_RESPONSES: "/responses",
        WireFormat.ANTHROPIC_MESSAGES: "/v1/messages",
        WireFormat.OLLAMA_CHAT: "/api/chat",
    }
)


def checked_url(address: str, name: str) -> SplitResult:
    """*address* as a base URL of the provider called *name*.

    Raises:
        ConfigError: not plain http(s), or one that holds credentials.
    """
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


def with_path(base: SplitResult, path: str) -> str:
    """*base* with another path; its query stays."""
    return urlunsplit(base._replace(path=path))


def call_path(format: WireFormat, path: str, version_path: str = "") -> str:
    """The path requests go to, from the path of a base URL as users write it.

    *version_path* is put where there is no path at all (OpenAI's ``/v1``).
    """
    call, path = _CALLS[format], path.rstrip("/")
    if path.endswith(call):
        return path
    match format:
        case WireFormat.ANTHROPIC_MESSAGES:
            return f"{path.removesuffix('/v1')}{call}"
        case WireFormat.OLLAMA_CHAT:
            return f"{path.removesuffix('/v1').removesuffix('/api')}{call}"
        case _:
            return f"{path or version_path}{call}"


def codec_of(format: WireFormat) -> Codec:
    """The codec that speaks *format* to a provider.

    Raises:
        ConfigError: there is none.
    """
    match format:
        case WireFormat.OPENAI_CHAT:
            # The older spelling is the one every host knows; `BodyRules` names the models that refuse it.
            return OpenAIChatCodec(output_limit="max_tokens")
        case WireFormat.OPENAI_RESPONSES:
            return OpenAIResponsesCodec()
        case WireFormat.ANTHROPIC_MESSAGES:
            return AnthropicCodec()
        case WireFormat.OLLAMA_CHAT:
            return ollama_wire.OllamaChatCodec()
        case _:
            raise ConfigError(f"no codec speaks {format}")


def http_provider(
    setup: Setup, format: WireFormat, endpoint: Endpoint | str, auth: Auth, rules: BodyRules = PLAIN_BODIES
) -> HTTPProvider:
    """The provider *setup* describes, at *endpoint* (or at one address for every model)."""
    is_anthropic = format is WireFormat.ANTHROPIC_MESSAGES
    counting: Counting | None = None
    if is_anthropic and isinstance(endpoint, str):
        address = urlsplit(endpoint)
        count = FixedEndpoint(with_path(address, f"{address.path}/count_tokens"))
        counting = Counting(count, evolve(rules, leave_out=NOT_COUNTED))
    elif format is WireFormat.OPENAI_RESPONSES and isinstance(endpoint, str):
        address = urlsplit(endpoint)
        count = FixedEndpoint(with_path(address, f"{address.path}/input_tokens"))
        counting = Counting(count, BodyRules(takes=_RESPONSES_COUNTED))
    return HTTPProvider(
        name=setup.name,
        codec=codec_of(format),
        endpoint=FixedEndpoint(endpoint) if isinstance(endpoint, str) else endpoint,
        transport=setup.transport,
        auth=auth,
        rules=rules,
        headers=setup.headers,
        default_headers=ANTHROPIC_DEFAULTS if is_anthropic else {},
        timeouts=setup.timeouts,
        counting=counting,
        asks_usage=setup.ask_usage,
        profiles=setup.profiles,
        clock=setup.clock,
        owns_transport=setup.owns_transport,
    )


def with_embeddings(provider: HTTPProvider) -> HTTPProvider:
    """*provider* with OpenAI's ``/embeddings`` beside its ``/chat/completions``."""
    beside = SiblingEndpoint(provider.endpoint, _CALLS[WireFormat.OPENAI_CHAT], "/embeddings")
    return evolve(provider, embeddings=beside)


def with_counting(provider: HTTPProvider, format: WireFormat) -> HTTPProvider:
    """*provider*, which speaks Chat, with the address at which its host counts tokens in another dialect."""
    chat = _CALLS[WireFormat.OPENAI_CHAT]
    if format is WireFormat.OPENAI_RESPONSES:
        beside = SiblingEndpoint(provider.endpoint, chat, "/responses/input_tokens")
        rules = BodyRules(takes=_RESPONSES_COUNTED)
    else:
        beside = SiblingEndpoint(provider.endpoint, chat, "/messages/count_tokens")
        rules = BodyRules(leave_out=NOT_COUNTED)
    return evolve(provider, counting=Counting(beside, rules, codec=codec_of(format)))


def filled(profiles: Callable[[Target], Profile] | None, default: Profile) -> Callable[[Target], Profile]:
    """*profiles* with its unknowns taken from *default*."""
    if profiles is None:
        return lambda _: default
    if default == UNKNOWN_PROFILE:
        return profiles

    # Profiles come from a table: one that was filled in is met again, as the very same object.
    kept: dict[Target, tuple[Profile, Profile]] = {}

    def profile_of(target: Target) -> Profile:
        own = profiles(target)
        known = kept.get(target)
        if known is not None and known[0] is own:
            return known[1]
        if len(kept) >= _MOST_PROFILES:
            kept.clear()
        told = {name: value for name, value in asdict(own, recurse=False).items() if value is not None}
        whole = evolve(default, **told)
        kept[target] = (own, whole)
        return whole

    return profile_of
