"""The codec: one object that holds the dialect's functions."""

from collections.abc import Mapping

from attrs import frozen

from lynkr.errors import UpstreamError
from lynkr.model import Json, Request, Response, WireFormat
from lynkr.wire.base import Encoded, EncodedError
from lynkr.wire.gemini.errors import decode_error, encode_error
from lynkr.wire.gemini.fields import GEMINI
from lynkr.wire.gemini.request import decode_request
from lynkr.wire.gemini.request_encoder import encode_request
from lynkr.wire.gemini.response import decode_response, encode_response
from lynkr.wire.gemini.stream_decoder import GeminiEventDecoder
from lynkr.wire.gemini.stream_encoder import GeminiEventEncoder


@frozen
class GeminiCodec:
    """Gemini `generateContent`; implements `lynkr.wire.base.Codec`.

    ``model`` and ``stream``, which stand in the URL on the wire, are fields of the
    bodies here.
    """

    @property
    def format(self) -> WireFormat:
        return GEMINI

    @property
    def stream_media_type(self) -> str:
        return "text/event-stream"

    def decode_request(self, body: Mapping[str, Json], /) -> Request:
        return decode_request(body)

    def encode_request(self, request: Request, /) -> Encoded:
        return encode_request(request)

    def decode_response(self, body: Mapping[str, Json], /) -> Response:
        return decode_response(body)

    def encode_response(self, response: Response, /) -> Encoded:
        return encode_response(response)

    def decode_error(
        self, status: int, headers: Mapping[str, str], body: bytes, /, *, target: str
    ) -> UpstreamError:
        return decode_error(status, headers, body, target=target)

    def encode_error(self, error: BaseException, /) -> EncodedError:
        return encode_error(error)

    def event_decoder(self) -> GeminiEventDecoder:
        return GeminiEventDecoder()

    def event_encoder(self, request: Request | None = None, /) -> GeminiEventEncoder:  # noqa: ARG002  # the protocol's argument
        return GeminiEventEncoder()
