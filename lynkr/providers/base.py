"""Provider = codec + auth + endpoint + profile, over a transport."""

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from enum import Enum
from typing import Protocol, runtime_checkable

from attrs import field, frozen

from lynkr.model import WireFormat
from lynkr.routing.decision import Profile, Target
from lynkr.service import Call, Reply
from lynkr.wire.base import Codec


@frozen
class Timeouts:
    """Seconds; None waits for ever, or as long as the others allow.

    *first_byte* runs from the request's last byte to the answer's status line,
    *first_token* from the attempt's beginning to the first part of the answer,
    whatever pings come before it, *idle* between two chunks of the body.  A transport
    keeps to *first_token* until the answer's head is there.
    """

    connect: float = 10.0
    first_byte: float = 300.0
    first_token: float | None = 300.0
    idle: float = 120.0
    total: float | None = 900.0


DEFAULT_TIMEOUTS = Timeouts()


class Reach(Enum):
    """Where a connection may lead."""

    ANY = "any"  # anywhere: addresses that do not come from a provider's settings
    PRIVATE = "private"  # the owner's machine and network too, but no cloud's metadata service
    PUBLIC = "public"


@frozen
class HTTPRequest:
    """*headers* names are lower case; *reach* says where the URL's host may be, None anywhere."""

    method: str
    url: str
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)
    timeouts: Timeouts = DEFAULT_TIMEOUTS
    reach: Reach | None = None


class HTTPResponse(Protocol):
    @property
    def status(self) -> int: ...

    @property
    def headers(self) -> Mapping[str, str]:
        """Names in lower case."""
        ...

    def chunks(self) -> AsyncIterator[bytes]:
        """The body as it arrives, content-decoded, unbuffered.

        Raises:
            TransportTimeout: *idle* or *total* ran out.
            TransportError: the connection broke before the body was whole.
        """
        ...


class Transport(Protocol):
    """The one seam that touches the network."""

    def send(self, request: HTTPRequest, /) -> AbstractAsyncContextManager[HTTPResponse]:
        """Leaving the context closes the connection, or returns it to the pool if the body was read.

        The context may be left by another task than the one that entered it,
        and also while that one reads: an implementation keeps no cancel scope
        open in between.  One that needs not wait to be left has a method
        ``close_now()``, which is called instead.

        Raises:
            TransportTimeout: *connect*, *first_byte*, *first_token* or *total* ran out.
            TransportError: no connection, or it broke.
        """
        ...

    async def aclose(self) -> None: ...


class TransportError(Exception):
    """The network failed; providers turn it into an `UpstreamError` that names the target."""


class TransportTimeout(TransportError):
    """A timeout ran out; *phase* is ``connect``, ``first_byte``, ``first_token``, ``idle`` or ``total``."""

    def __init__(self, phase: str, seconds: float) -> None:
        super().__init__(
            f"not done within {seconds:g} s"
            if phase == "total"
            else f"no {'token' if phase == 'first_token' else phase} within {seconds:g} s"
        )
        self.phase = phase
        self.seconds = seconds


class Auth(Protocol):
    def sign(self, request: HTTPRequest, /) -> HTTPRequest:
        """The request with credentials added."""
        ...


@runtime_checkable
class RefreshingAuth(Auth, Protocol):
    """Credentials that expire, as the clouds' do."""

    async def refresh(self) -> None:
        """Get credentials good for the next request; awaited before each `sign`, cheap while they still are.

        Raises:
            UpstreamRefused: there are none to be had.
        """
        ...


class Endpoint(Protocol):
    def url(self, model: str, /, *, stream: bool) -> str:
        """Where a request for *model* goes.

        Raises:
            ValueError: no address can name it.
        """
        ...


class Unwrapper(Protocol):
    """One answer's bytes to what was wrapped in them.  One instance serves one stream."""

    def feed(self, data: bytes, /) -> bytes:
        """What *data*, which may be cut anywhere, completes; the fault is raised after what came before it.

        Raises:
            UpstreamWireError: the bytes are not this framing's.
        """
        ...

    def close(self) -> bytes:
        """Signal end of input.

        Raises:
            UpstreamWireError: the stream stopped inside a frame.
        """
        ...


class Framing(Protocol):
    """A host's own wrapping around a stream of its dialect, taken off before anybody reads it."""

    @property
    def media_type(self) -> str: ...

    def unwrapper(self) -> Unwrapper: ...


class Provider(Protocol):
    @property
    def name(self) -> str: ...

    @property
    def codec(self) -> Codec: ...

    def profile(self, model: str, /) -> Profile: ...

    async def send(self, call: Call, /) -> Reply:
        """Send one attempt and return once the answer's first part is there ("primed").

        Raises:
            UpstreamError: with `target` set; nothing of the answer was shown to anybody.
            UpstreamWireError: the answer is not the dialect's.
        """
        ...

    async def aclose(self) -> None: ...


@runtime_checkable
class Polyglot(Protocol):
    """What a provider may offer besides: more dialects than its `codec`'s."""

    def formats(self, model: str, /) -> frozenset[WireFormat]:
        """The dialects in which a client's own bytes surely reach *model*."""
        ...


def first_token_of(providers: Mapping[str, Provider]) -> Callable[[Target], float | None]:
    """How long a target may take to its first token, by its provider's own timeouts; None without any."""

    def seconds(target: Target) -> float | None:
        timeouts: object = getattr(providers.get(target.provider), "timeouts", None)
        return timeouts.first_token if isinstance(timeouts, Timeouts) else None

    return seconds


def punctual_of(providers: Mapping[str, Provider]) -> Callable[[Target], bool]:
    """Whether a target's provider ends by itself at `Call.deadline` and when its first token is late.

    It says so by an attribute ``ends_in_time`` that is true.
    """
    names = frozenset(
        name for name, provider in providers.items() if getattr(provider, "ends_in_time", False)
    )
    return lambda target: target.provider in names


def formats_of(provider: Provider, model: str) -> frozenset[WireFormat]:
    """The dialects a request reaches *model* in untranslated."""
    if isinstance(provider, Polyglot):
        return provider.formats(model)
    return frozenset((provider.codec.format,))


@runtime_checkable
class Embedder(Protocol):
    """What a provider may offer besides: embeddings, in OpenAI's dialect."""

    async def embed(self, call: Call, /) -> Reply | None:
        """The answer to *call*'s own body, untouched, its usage in the tally; None where there are none.

        Raises:
            UpstreamError, UpstreamWireError: as `Provider.send`.
        """
        ...


@runtime_checkable
class TokenCounter(Protocol):
    """What a provider may offer besides: the provider's own count of a request's input tokens."""

    async def count_tokens(self, call: Call, /) -> int | None:
        """Input tokens of *call*'s request at its target; None where the provider does not count.

        Raises:
            UpstreamError, UpstreamWireError: as `Provider.send`.
        """
        ...
