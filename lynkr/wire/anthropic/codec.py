"""The codec: the dialect's front."""

import re
from collections.abc import Mapping
from typing import Final

from lynkr.errors import ClientWireError, UpstreamError, UpstreamWireError
from lynkr.model import Json, Request, Response, WireFormat
from lynkr.wire.anthropic.decoder import AnthropicEventDecoder
from lynkr.wire.anthropic.encoder import AnthropicEventEncoder
from lynkr.wire.anthropic.errors import decode_error, encode_error
from lynkr.wire.anthropic.fields import FieldError
from lynkr.wire.anthropic.request import decode_request, encode_request
from lynkr.wire.anthropic.response import decode_response, encode_response, told
from lynkr.wire.base import Encoded, EncodedError, Told
from lynkr.wire.json_body import JsonBody
from lynkr.wire.piece import NO_PIECES, Pieces

# Whole events, as Anthropic writes them; one written otherwise is read like any other.
# The dot is a dozen times as quick as a set of what it must not be, but takes a carriage return.
_DELTAS: Final = re.compile(rb"(?:\A|(?<=\n\n))(?:event: content_block_delta\ndata: .*+\n\n)++")


class AnthropicCodec:
    """Anthropic Messages, both directions, whole and streaming.  Stateless."""

    @property
    def format(self) -> WireFormat:
        return WireFormat.ANTHROPIC_MESSAGES

    @property
    def stream_media_type(self) -> str:
        return "text/event-stream"

    def decode_request(self, body: Mapping[str, Json], /) -> Request:
        """What a client asks for; `max_tokens` may be missing, as it is for count_tokens.

        Raises:
            ClientWireError: with the path in the body, such as ``messages[2].content[0].text``; or the
                request leaves its history to the server (``thread``).
        """
        return self._decoded(body, NO_PIECES)

    def decode_body(self, body: JsonBody, /) -> Request:
        """As `decode_request`, with what was read before not read again."""
        return self._decoded(body.value, body.pieces)

    def _decoded(self, body: Mapping[str, Json], pieces: Pieces) -> Request:
        if body.get("thread") is not None:
            raise _no_threads()
        try:
            return decode_request(body, pieces)
        except FieldError as error:
            raise ClientWireError(error.problem, field=error.path) from error

    def encode_request(self, request: Request, /) -> Encoded:
        return encode_request(request)

    def decode_response(self, body: Mapping[str, Json], /) -> Response:
        """A provider's whole answer.

        Raises:
            UpstreamWireError: the answer is not this dialect's.
        """
        try:
            return decode_response(body)
        except FieldError as error:
            raise UpstreamWireError(f"the answer is malformed: {error}") from error

    def encode_response(self, response: Response, /) -> Encoded:
        return encode_response(response)

    def decode_error(
        self, status: int, headers: Mapping[str, str], body: bytes, /, *, target: str
    ) -> UpstreamError:
        return decode_error(status, headers, body, target=target)

    def encode_error(self, error: BaseException, /) -> EncodedError:
        return encode_error(error)

    def event_decoder(self) -> AnthropicEventDecoder:
        return AnthropicEventDecoder()

    def event_encoder(
        self,
        request: Request | None = None,  # noqa: ARG002  # reason: no request option shapes this stream
        /,
    ) -> AnthropicEventEncoder:
        return AnthropicEventEncoder()

    def told(self, body: Mapping[str, Json], /) -> Told | None:
        """See `lynkr.wire.base.TellingCodec`."""
        return told(body)

    def skim(self, data: bytes, /) -> bytes:
        """See `lynkr.wire.base.SkimmingCodec`."""
        return data if b"\r" in data else _DELTAS.sub(b"", data)


def _no_threads() -> ClientWireError:
    """A thread's history lies with one vendor, where neither the router nor another target can read it.

    The vendor's own SDKs send the whole history again upon this error code ("message-threads-2026-08-12";
    anthropic 2.12 and @anthropic-ai/sdk 1.12, `ThreadState.recoversFrom`, read 2026-11).
    """
    return ClientWireError(
        "threads are not kept here; send the whole history without this field",
        field="thread",
        details={"error_code": "thread_unsupported_request", "unsupported": ["thread"]},
    )
