"""A provider of a known host by name, or of any host by address.

A host that speaks a known dialect is one `Host` value::

    GROQ = Host(WireFormat.OPENAI_CHAT, "https://api.groq.com/openai/v1", key_env="GROQ_API_KEY")
    provider = builtin("groq", GROQ, key=key, transport=transport)
"""

import time
from collections.abc import Callable, Mapping, Sequence
from difflib import get_close_matches
from types import MappingProxyType
from typing import Final

from lynkr.errors import ConfigError
from lynkr.model import WireFormat
from lynkr.providers.base import DEFAULT_TIMEOUTS, Provider, Timeouts, Transport
from lynkr.providers.hosts import HOSTS, AuthStyle, Host, auth_of
from lynkr.providers.http_provider import HTTPProvider
from lynkr.providers.making import (
    call_path,
    checked_url,
    filled,
    http_provider,
    with_counting,
    with_embeddings,
    with_path,
)
from lynkr.providers.setup import NO_CLOUD, Cloud, Setup
from lynkr.routing.decision import Profile, Target
from lynkr.secret import Secret

ALIASES: Final[Mapping[str, str]] = MappingProxyType(
    {"z.ai": "zai", "z-ai": "zai", "qianfan": "baidu", "grok": "xai", "lm-studio": "lmstudio"}
)
"""Other spellings of a kind."""


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
    betas: Sequence[str] = (),
    ask_usage: bool = True,
    profiles: Callable[[Target], Profile] | None = None,
    clock: Callable[[], float] = time.monotonic,
    owns_transport: bool = False,
) -> Provider:
    """A provider called *name* at a known host.

    *base_url*: for OpenAI's dialects it ends before ``/chat/completions`` or ``/responses``
    (``https://host/v1``), for Anthropic's before or after ``/v1``; a complete
    address is taken as it is.  *cloud* is for kinds that are places in a
    cloud.  *headers* go with every request.  *betas* and *ask_usage*: see
    `lynkr.providers.setup.Setup`.  *profiles* tells what a target can do; what it
    leaves open the host fills in.  *clock* is the one `Call.deadline` is in.

    Raises:
        ConfigError: no such kind, no base URL, or one that is not plain http(s); a key no header can hold.
    """
    host = kind if isinstance(kind, Host) else host_of(kind)
    setup = Setup(
        name=name,
        kind=kind if isinstance(kind, str) else name,
        key=Secret(key) if isinstance(key, str) and key else (key or None),
        base_url=base_url,
        cloud=cloud,
        transport=transport,
        timeouts=timeouts,
        headers={n.lower(): v for n, v in {**host.headers, **headers}.items()},
        betas=tuple(betas),
        ask_usage=ask_usage,
        profiles=filled(profiles, host.profile),
        clock=clock,
        owns_transport=owns_transport,
    )
    provider = _made(setup, host)
    if not isinstance(provider, HTTPProvider) or provider.codec.format is not WireFormat.OPENAI_CHAT:
        return provider
    if host.counts is not None:
        provider = with_counting(provider, host.counts)
    return with_embeddings(provider) if host.embeds else provider


def _made(setup: Setup, host: Host) -> Provider:
    if host.build is not None:
        return host.build(setup)
    address = setup.base_url or host.base_url
    if address is None:
        raise ConfigError(f"provider {setup.name!r} of kind {setup.kind!r} needs a base_url")
    base = checked_url(address, setup.name)
    url = with_path(base, call_path(host.format, base.path, host.version_path))
    return http_provider(setup, host.format, url, auth_of(host.auth, setup), host.rules)


def host_of(kind: str) -> Host:
    """The host of a kind, by its name or another spelling of it.

    Raises:
        ConfigError: there is none.
    """
    host = HOSTS.get(ALIASES.get(kind, kind))
    if host is None:
        near = get_close_matches(kind, HOSTS, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else f"; there are {', '.join(HOSTS)}"
        raise ConfigError(f"no provider kind is called {kind!r}{hint}")
    return host


__all__ = ["ALIASES", "HOSTS", "AuthStyle", "Host", "builtin", "host_of"]
