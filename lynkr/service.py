"""A service answers calls; a layer wraps a service."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Final, Protocol, Self, TypeAlias

from attrs import define, field, frozen

from lynkr.model import NO_USAGE, Event, Loss, Request, StopReason, Usage, WireFormat
from lynkr.resilience.budget import RetryBudget
from lynkr.resilience.outcome import AttemptKind, Outcome
from lynkr.routing.decision import Target
from lynkr.wire.json_body import JsonBody

HOPS_HEADER: Final = "x-lynkr-hops"
"""The number of gateways a request has come through; the one header that goes upstream in every dialect."""


@frozen
class RawBody:
    """The client's own bytes, kept so that a same-format upstream gets them untouched."""

    format: WireFormat
    body: JsonBody


@define
class Attempt:
    """One try at one target.  *started* is in Unix seconds, *seconds* its length so far.

    *status* is the provider's HTTP status, None when nothing was sent or no
    answer came.  *error* is the error's class name, *detail* its message.
    *cancelled* says that whoever wanted the answer left before it was whole.
    *tally* is its reply's, None when no reply came: so each attempt's tokens
    are known apart, also those of one that lost to another.
    """

    target: Target
    started: float
    seconds: float = 0.0
    status: int | None = None
    outcome: Outcome = Outcome.IGNORED
    error: str | None = None
    detail: str | None = None
    kind: AttemptKind = AttemptKind.FIRST
    cancelled: bool = False
    tally: "Tally | None" = None


@define
class Journal:
    """What happened while a request was served.  One owner: the gateway; layers append to it.

    *budget* is the one its further attempts draw on.
    """

    attempts: list[Attempt] = field(factory=list[Attempt])
    budget: RetryBudget | None = field(default=None, eq=False, repr=False)


@define
class Tally:
    """What a reply's stream has told so far; whole once `complete`.

    Filled in by the provider while the stream is read, on the translated and
    on the passthrough path alike.  *usage* is the latest known, partial until
    `complete`; *tool_calls* counts the calls seen so far.  *tap_error* says that
    passthrough bytes could not be understood; the stream itself was not harmed.  *error_sent* says that
    passthrough bytes already handed on end in the provider's own error event:
    the iteration then raises that error, and no second error event is to be
    written.  *cut* says that the connection broke when the answer was whole, but for what
    its dialect may write after it.
    """

    id: str | None = None
    model: str | None = None
    usage: Usage = NO_USAGE
    stop_reason: StopReason | None = None
    first_event_at: float | None = None
    complete: bool = False
    tool_calls: int = 0
    tap_error: str | None = None
    error_sent: bool = False
    cut: bool = False


@frozen
class Call:
    """One request on its way to *target*; *alternatives* are tried in order if that fails.

    Context rides here, never inside the body.  *forced* asks the breaker to let
    it through although it is open: the last usable target is never shut out.
    *tenant* is who asks, None where there are no tenants.  *deadline* is in the gateway's
    monotonic clock, in seconds.  *headers* are the client's end-to-end headers that its dialect
    says to forward (names in lower case); never credentials.  *observer* is
    shown each event, on the passthrough path too.  *trace* is the request's place in a trace, opaque to
    all but the gateway's tracer.  *kind* is why this attempt is made, for the
    journal; None lets it see for itself (a hedge it cannot see).
    """

    request: Request
    target: Target
    alternatives: tuple[Target, ...] = ()
    raw: RawBody | None = None
    deadline: float | None = None
    session: str | None = None
    headers: Mapping[str, str] = field(factory=dict[str, str])
    observer: Callable[[Event], None] | None = field(default=None, eq=False, repr=False)
    journal: Journal = field(factory=Journal, eq=False, repr=False)
    forced: bool = False
    kind: AttemptKind | None = None
    tenant: str | None = None
    trace: object = field(default=None, eq=False, repr=False)


class EventStream(Protocol):
    """Events of one reply.  The one who holds it closes it, also when iteration failed."""

    def __aiter__(self) -> Self: ...

    async def __anext__(self) -> Event: ...

    async def aclose(self) -> None: ...


class ByteStream(Protocol):
    """Bytes of one reply, in the client's own dialect.  Closed by its holder."""

    def __aiter__(self) -> Self: ...

    async def __anext__(self) -> bytes: ...

    async def aclose(self) -> None: ...


def take_ready(stream: EventStream) -> Sequence[Event]:
    """The next events of *stream* that are here already, so that they go on together; often none.

    A stream may offer them by a method of this name, which never waits; iterating gives what follows.
    """
    take: Callable[[], Sequence[Event]] | None = getattr(stream, "take_ready", None)
    return () if take is None else take()


def take_whole(stream: ByteStream) -> bytes | None:
    """All of *stream*, which is at its end then, where it is here already; None where it is to be iterated.

    A stream may offer it by a method of this name, which never waits.

    Raises:
        LynkrError: as iterating would.
    """
    take: Callable[[], bytes | None] | None = getattr(stream, "take_whole", None)
    return None if take is None else take()


@frozen
class Reply:
    """An answer that has already produced its first part.

    A failure before that is an exception from the service; one after it is an
    exception from iterating.  So layers treat streaming and whole answers alike.

    Exactly one of *events* (translated) and *raw* (same dialect, the
    provider's own bytes) is to be read, and closing that one releases
    everything: *raw* is None when bytes cannot go through untouched, *events*
    is None when they can.  *headers* are the provider's end-to-end response headers, in lower case.
    *content_type* is that of *raw*.
    """

    target: Target
    tally: Tally
    events: EventStream | None = None
    raw: ByteStream | None = None
    status: int = 200
    headers: Mapping[str, str] = field(factory=dict[str, str])
    content_type: str = "application/json"
    losses: tuple[Loss, ...] = ()

    def over(self, events: EventStream | None, raw: ByteStream | None) -> "Reply":
        """This reply with other streams, as a layer puts around them; a fifth of what `evolve` costs."""
        return Reply(
            self.target,
            self.tally,
            events,
            raw,
            self.status,
            self.headers,
            self.content_type,
            self.losses,
        )

    async def aclose(self) -> None:
        """Release the upstream connection; idempotent."""
        for stream in (self.events, self.raw):
            if stream is not None:
                await stream.aclose()


Service: TypeAlias = Callable[[Call], Awaitable[Reply]]
Layer: TypeAlias = Callable[[Service], Service]


def stack(service: Service, *layers: Layer) -> Service:
    """Wrap *service*; the first layer is outermost and sees the call first."""
    for layer in reversed(layers):
        service = layer(service)
    return service
