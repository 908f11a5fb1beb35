"""The codec: the dialect's front."""

from collections.abc import Mapping

from lynkr.errors import UpstreamError
from lynkr.model import Json, Request, Response, WireFormat
from lynkr.wire.base import Encoded, EncodedError
from lynkr.wire.ollama.errors import decode_error, encode_error
from lynkr.wire.ollama.fields import OLLAMA_CHAT
from lynkr.wire.ollama.request import decode_request
from lynkr.wire.ollama.request_encoder import encode_request
from lynkr.wire.ollama.response import decode_response, encode_response
from lynkr.wire.ollama.stream_decoder import OllamaEventDecoder
from lynkr.wire.ollama.stream_encoder import OllamaEventEncoder


class OllamaChatCodec:
    """Ollama's native ``/api/chat``, both directions, whole and streaming.  Stateless.

    Implements `lynkr.wire.base.Codec`.  Answers have no id in this dialect:
    `Response.id` and `Start.id` are empty.
    """

    @property
    def format(self) -> WireFormat:
        return OLLAMA_CHAT

    @property
    def stream_media_type(self) -> str:
        return "application/x-ndjson"

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

    def event_decoder(self) -> OllamaEventDecoder:
        return OllamaEventDecoder()

    def event_encoder(
        self,
        request: Request | None = None,  # noqa: ARG002  # reason: no request option shapes this stream
        /,
    ) -> OllamaEventEncoder:
        return OllamaEventEncoder()
