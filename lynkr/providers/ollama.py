"""Ollama: three dialects at one address, chosen by the server's version and the client's dialect.

``/v1/messages`` came with 0.14.0 ("Ollama v0.14.0 and later are now compatible
with the Anthropic Messages API", ollama.com/blog/claude; its release notes too;
read 2026-11).  ``/api/chat`` and ``/v1/chat/completions`` are taken to be older
than any version in use.
"""

import time
from collections.abc import Callable, Mapping
from typing import Final

import anyio
from attrs import define, evolve, field

from lynkr.model import Json, WireFormat
from lynkr.providers.auth import Bearer, NoAuth
from lynkr.providers.base import Auth, HTTPRequest, Timeouts, Transport, TransportError
from lynkr.providers.body_rules import CHAT_BODIES, PLAIN_BODIES
from lynkr.providers.http_provider import HTTPProvider
from lynkr.providers.making import checked_url, http_provider, with_embeddings, with_path
from lynkr.providers.setup import Setup
from lynkr.routing.decision import Profile
from lynkr.service import Call, Reply
from lynkr.wire.base import Codec
from lynkr.wire.json_body import parse_value

DEFAULT_ADDRESS: Final = "http://127.0.0.1:11434"
_SPEAKS_MESSAGES: Final = (0, 14)
_NATIVE: Final = WireFormat.OLLAMA_CHAT
_CHAT: Final = WireFormat.OPENAI_CHAT
_MESSAGES: Final = WireFormat.ANTHROPIC_MESSAGES
_PATHS: Final = {_NATIVE: "/api/chat", _CHAT: "/v1/chat/completions", _MESSAGES: "/v1/messages"}
_RULES: Final = {_NATIVE: PLAIN_BODIES, _CHAT: CHAT_BODIES, _MESSAGES: PLAIN_BODIES}

PROBE_SECONDS: Final = 2.0
KNOWN_FOR: Final = 300.0
"""Seconds a version is believed: a server may be updated under a running gateway."""
UNKNOWN_FOR: Final = 10.0
"""Seconds until a server that did not tell its version is asked again."""
_MAX_VERSION_BYTES: Final = 4096


def ollama(setup: Setup) -> "OllamaProvider":
    """All three dialects; *base_url* is the server's, with or without ``/v1`` or ``/api``."""
    by_format = {spoken: _one(setup, spoken) for spoken in _PATHS}
    by_format[_CHAT] = with_embeddings(by_format[_CHAT])
    base = checked_url(setup.base_url or DEFAULT_ADDRESS, setup.name)
    return OllamaProvider(
        by_format=by_format,
        version_url=with_path(base, f"{_root(base.path)}/api/version"),
        transport=setup.transport,
        auth=_auth(setup),
        clock=setup.clock,
        owns_transport=setup.owns_transport,
    )


def ollama_native(setup: Setup) -> HTTPProvider:
    """``/api/chat`` alone."""
    return evolve(_one(setup, _NATIVE), owns_transport=setup.owns_transport)


def ollama_openai(setup: Setup) -> HTTPProvider:
    """``/v1/chat/completions`` alone."""
    return evolve(_one(setup, _CHAT), owns_transport=setup.owns_transport)


def ollama_anthropic(setup: Setup) -> HTTPProvider:
    """``/v1/messages`` alone."""
    return evolve(_one(setup, _MESSAGES), owns_transport=setup.owns_transport)


def _one(setup: Setup, format: WireFormat) -> HTTPProvider:
    base = checked_url(setup.base_url or DEFAULT_ADDRESS, setup.name)
    address = with_path(base, _root(base.path) + _PATHS[format])
    return http_provider(evolve(setup, owns_transport=False), format, address, _auth(setup), _RULES[format])


def _root(path: str) -> str:
    """What stands before Ollama's own paths; a base URL may hold any part of those."""
    path = path.rstrip("/")
    for known in (*_PATHS.values(), "/v1", "/api"):
        path = path.removesuffix(known)
    return path


def _auth(setup: Setup) -> Auth:
    # A server of one's own takes any key; ollama.com takes bearers only, in each dialect.
    return NoAuth() if setup.key is None else Bearer(setup.key)


@define(eq=False, kw_only=True)
class OllamaProvider:
    """Implements `lynkr.providers.base.Provider` and `TokenCounter`.

    A client that speaks one of the three dialects is served in it, so that its
    bytes go through untouched, Anthropic's if the server is new enough.  All
    others are translated to the native dialect, which says most.  A server
    whose version cannot be had is spoken to in OpenAI's, which all of them and
    all who imitate them understand.  *clock* is monotonic, in seconds.
    """

    by_format: Mapping[WireFormat, HTTPProvider]
    version_url: str
    transport: Transport = field(repr=False)
    auth: Auth = field(repr=False)
    clock: Callable[[], float] = field(default=time.monotonic, repr=False)
    owns_transport: bool = False
    _version: tuple[int, ...] | None = field(default=None, init=False)
    _asked_again_at: float = field(default=float("-inf"), init=False)
    _asking: anyio.Lock = field(factory=anyio.Lock, init=False, repr=False)

    @property
    def name(self) -> str:
        return self.by_format[_NATIVE].name

    @property
    def codec(self) -> Codec:
        """The native one: what requests are translated to when the version is known."""
        return self.by_format[_NATIVE].codec

    def profile(self, model: str, /) -> Profile:
        return self.by_format[_NATIVE].profile(model)

    def formats(self, model: str, /) -> frozenset[WireFormat]:
        """See `lynkr.providers.base.Polyglot`; what only some versions speak is left out."""
        del model
        return frozenset((_NATIVE, _CHAT))

    async def send(self, call: Call, /) -> Reply:
        """See `lynkr.providers.base.Provider.send`."""
        return await (await self._for(call)).send(call)

    async def count_tokens(self, call: Call, /) -> int | None:
        """The server's own count, should it ever have one; see `lynkr.providers.base.TokenCounter`."""
        return await (await self._for(call)).count_tokens(call)

    async def embed(self, call: Call, /) -> Reply | None:
        """At ``/v1/embeddings``; see `lynkr.providers.base.Embedder`."""
        return await self.by_format[_CHAT].embed(call)

    async def aclose(self) -> None:
        if self.owns_transport:
            await self.transport.aclose()

    async def _for(self, call: Call) -> HTTPProvider:
        spoken = None if call.raw is None else call.raw.format
        if spoken is _CHAT or spoken is _NATIVE:
            return self.by_format[spoken]
        version = await self.version(call.deadline)
        if version is None:
            return self.by_format[_CHAT]
        if spoken is _MESSAGES and version >= _SPEAKS_MESSAGES:
            return self.by_format[_MESSAGES]
        return self.by_format[_NATIVE]

    async def version(self, deadline: float | None = None) -> tuple[int, ...] | None:
        """The server's version, such as ``(0, 14, 2)``; None if it does not say.

        Asked for at most every five minutes.  *deadline* is in this provider's clock.
        """
        if self.clock() < self._asked_again_at:
            return self._version
        async with self._asking:
            if self.clock() < self._asked_again_at:
                return self._version
            self._version = await self._ask(deadline)
            wait = UNKNOWN_FOR if self._version is None else KNOWN_FOR
            self._asked_again_at = self.clock() + wait
            return self._version

    async def _ask(self, deadline: float | None) -> tuple[int, ...] | None:
        seconds = PROBE_SECONDS if deadline is None else min(PROBE_SECONDS, deadline - self.clock())
        if seconds <= 0:
            return None
        timeouts = Timeouts(connect=seconds, first_byte=seconds, idle=seconds, total=seconds)
        headers = {"accept": "application/json", "user-agent": "lynkr"}
        request = self.auth.sign(HTTPRequest("GET", self.version_url, headers, b"", timeouts))
        try:
            async with self.transport.send(request) as response:
                if response.status != 200:
                    return None
                body = b""
                async for chunk in response.chunks():
                    body += chunk
                    if len(body) > _MAX_VERSION_BYTES:
                        return None
        except TransportError:
            return None  # the request itself will say what is wrong
        return _version_in(body)


def _version_in(body: bytes) -> tuple[int, ...] | None:
    """``{"version": "0.14.2-rc1"}``, as numbers."""
    try:
        value: Json = parse_value(body)
    except ValueError:
        return None
    text = value.get("version") if isinstance(value, Mapping) else None
    if not isinstance(text, str):
        return None
    numbers: list[int] = []
    for piece in text.removeprefix("v").partition("-")[0].split("."):
        if not (piece.isascii() and piece.isdigit()):
            return None
        numbers.append(int(piece))
    return tuple(numbers)
