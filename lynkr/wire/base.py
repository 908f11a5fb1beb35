"""What a wire format must be able to do.  Sans-IO: bytes in, values out."""

from collections.abc import Iterable, Mapping
from typing import Protocol, runtime_checkable

from attrs import field, frozen

from lynkr.model import Event, Json, Loss, Request, Response, StopReason, Usage, WireFormat
from lynkr.wire.json_body import JsonBody


@frozen
class Encoded:
    """A body ready for `lynkr.wire.json_body.dump`, and what it could not carry.

    *headers* are request headers that belong to fields of the body (such as
    `anthropic-beta` for a beta field); they travel together.
    """

    body: Mapping[str, Json]
    losses: tuple[Loss, ...] = ()
    headers: Mapping[str, str] = field(factory=dict[str, str])


@frozen
class EncodedError:
    """An error in a dialect's own envelope."""

    status: int
    body: Mapping[str, Json]


class EventDecoder(Protocol):
    """One stream's bytes to events.  One instance serves one stream."""

    def feed(self, data: bytes, /) -> Iterable[Event]:
        """Events completed by *data*, which may be cut anywhere.

        Raises:
            UpstreamWireError: the bytes are not this format's.
            UpstreamFailed, UpstreamBusy, UpstreamRefused: the stream carried an
                error event; `target` is left empty for the provider to fill in.
        """
        ...

    def close(self) -> Iterable[Event]:
        """Signal end of input.

        Raises:
            UpstreamWireError: the stream stopped before `Finish`.
        """
        ...


class EventEncoder(Protocol):
    """One stream's events to bytes.  One instance serves one stream.

    After the stream, `losses` lists what could not be carried.
    """

    @property
    def losses(self) -> tuple[Loss, ...]: ...

    def encode(self, event: Event, /) -> bytes: ...

    def encode_error(self, error: BaseException, /) -> bytes:
        """The dialect's terminal error event; ends the stream."""
        ...

    def ping(self) -> bytes:
        """Bytes that keep the connection alive and mean nothing, valid between any two events."""
        ...

    def close(self) -> bytes:
        """What the dialect writes after the last event, such as ``data: [DONE]``."""
        ...


class Codec(Protocol):
    """One dialect, both directions, whole and streaming.

    Decoders of client input raise `ClientWireError` naming the field; decoders
    of provider output raise `UpstreamWireError`.  `decode` of a request keeps
    unknown fields in `Extras`; encoders report what they drop as `Loss`.
    """

    @property
    def format(self) -> WireFormat: ...

    @property
    def stream_media_type(self) -> str: ...

    def decode_request(self, body: Mapping[str, Json], /) -> Request: ...

    def encode_request(self, request: Request, /) -> Encoded: ...

    def decode_response(self, body: Mapping[str, Json], /) -> Response: ...

    def encode_response(self, response: Response, /) -> Encoded: ...

    def decode_error(
        self, status: int, headers: Mapping[str, str], body: bytes, /, *, target: str
    ) -> Exception:
        """The `UpstreamError` a provider's non-2xx answer means.  Header names are lower case."""
        ...

    def encode_error(self, error: BaseException, /) -> EncodedError: ...

    def event_decoder(self) -> EventDecoder: ...

    def event_encoder(self, request: Request | None = None, /) -> EventEncoder:
        """*request* is the client's, where its own options shape the stream (include_usage)."""
        ...


@runtime_checkable
class FollowingEncoder(Protocol):
    """What an encoder may offer besides: to end a stream that was passed on untouched so far.

    Where a dialect's events depend on those before them, its error event does.
    """

    def follow(self, first: bytes, last: bytes, /) -> None:
        """Go on after whole events, of which *first* has the first and *last* the latest."""
        ...


@runtime_checkable
class ReadingCodec(Protocol):
    """What a codec may offer besides: to read a body without reading again what it read before."""

    def decode_body(self, body: JsonBody, /) -> Request:
        """As `Codec.decode_request` of the body's value."""
        ...


@runtime_checkable
class AnsweringCodec(Protocol):
    """What a codec may offer besides: whole answers that depend on the request they answer.

    (Streams always do: see `Codec.event_encoder`.)
    """

    def encode_answer(self, response: Response, request: Request, /) -> Encoded:
        """As `Codec.encode_response`, for the client that sent *request*."""
        ...


@runtime_checkable
class SkimmingCodec(Protocol):
    """What a codec may offer besides: a quick look at a stream that goes through untouched."""

    def skim(self, data: bytes, /) -> bytes:
        """*data* without the whole events that a tally has no use for: the words of an answer.

        *data* begins at the beginning of an event, of an answer whose first part has come.
        What is left, read by `Codec.event_decoder`, gives the same usage, stop reason, tool calls and errors.
        """
        ...


@frozen
class Told:
    """What is kept in mind of a whole answer that goes through untouched."""

    id: str
    model: str
    stop_reason: StopReason
    usage: Usage
    tool_calls: int


@runtime_checkable
class TellingCodec(Protocol):
    """What a codec may offer besides: a quick look at a whole answer that goes through untouched."""

    def told(self, body: Mapping[str, Json], /) -> Told | None:
        """What `Codec.decode_response` would find; None where it has to be asked.

        It is for every answer out of the ordinary, malformed ones above all.
        """
        ...
