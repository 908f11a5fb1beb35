"""The codec: the dialect's front."""

from collections.abc import Mapping

from lynkr.errors import ClientWireError, UpstreamError, UpstreamWireError
from lynkr.model import Json, Request, Response, WireFormat
from lynkr.wire.aws_eventstream import MEDIA_TYPE
from lynkr.wire.base import Encoded, EncodedError
from lynkr.wire.bedrock.errors import decode_error, encode_error
from lynkr.wire.bedrock.request import decode_request
from lynkr.wire.bedrock.request_encoder import encode_request
from lynkr.wire.bedrock.response import decode_response, encode_response
from lynkr.wire.bedrock.stream_decoder import BedrockEventDecoder
from lynkr.wire.bedrock.stream_encoder import BedrockEventEncoder


class BedrockConverseCodec:
    """Converse and ConverseStream, both directions.  Stateless.

    The API has a request's model and whether it streams in its path, and its
    answers name neither themselves nor their model.  In the bodies of this
    codec the former are ``modelId`` and ``stream``, which a provider takes
    out; the latter are empty in what it decodes, which a provider fills in.
    """

    @property
    def format(self) -> WireFormat:
        return WireFormat.BEDROCK_CONVERSE

    @property
    def stream_media_type(self) -> str:
        return MEDIA_TYPE

    def decode_request(self, body: Mapping[str, Json], /) -> Request:
        """What a caller asks for.

        Raises:
            ClientWireError: with the path in the body, such as ``messages[2].content[0].text``.
        """
        return decode_request(body)

    def encode_request(self, request: Request, /) -> Encoded:
        return encode_request(request)

    def decode_response(self, body: Mapping[str, Json], /) -> Response:
        """A whole answer.

        Raises:
            UpstreamWireError: the answer is not this dialect's.
        """
        try:
            return decode_response(body)
        except ClientWireError as error:
            raise UpstreamWireError(f"the answer is malformed: {error}") from error

    def encode_response(self, response: Response, /) -> Encoded:
        return encode_response(response)

    def decode_error(
        self, status: int, headers: Mapping[str, str], body: bytes, /, *, target: str
    ) -> UpstreamError:
        return decode_error(status, headers, body, target=target)

    def encode_error(self, error: BaseException, /) -> EncodedError:
        return encode_error(error)

    def event_decoder(self) -> BedrockEventDecoder:
        return BedrockEventDecoder()

    def event_encoder(
        self,
        request: Request | None = None,  # noqa: ARG002  # reason: no request option shapes this stream
        /,
    ) -> BedrockEventEncoder:
        return BedrockEventEncoder()
