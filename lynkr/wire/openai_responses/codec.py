"""The codec: one object that holds the dialect's functions."""

import re
from collections.abc import Mapping
from typing import Final

from attrs import frozen

from lynkr.errors import UpstreamError
from lynkr.model import Json, Request, Response, WireFormat
from lynkr.wire.base import Encoded, EncodedError
from lynkr.wire.json_body import JsonBody
from lynkr.wire.openai_responses.errors import decode_error, encode_error
from lynkr.wire.openai_responses.fields import RESPONSES
from lynkr.wire.openai_responses.request import decode_request
from lynkr.wire.openai_responses.request_encoder import encode_request
from lynkr.wire.openai_responses.response import decode_response, encode_response
from lynkr.wire.openai_responses.stream_decoder import ResponsesEventDecoder
from lynkr.wire.openai_responses.stream_encoder import ResponsesEventEncoder

# Whole events, as OpenAI writes them; one written otherwise is read like any other.
# The dot is a dozen times as quick as a set of what it must not be, but takes a carriage return.
_DELTAS: Final = re.compile(rb"(?:\A|(?<=\n\n))(?:event: response\.[a-z_.]+\.delta\ndata: .*+\n\n)++")


@frozen
class OpenAIResponsesCodec:
    """OpenAI Responses; implements `lynkr.wire.base.Codec` and `lynkr.wire.base.AnsweringCodec`."""

    @property
    def format(self) -> WireFormat:
        return RESPONSES

    @property
    def stream_media_type(self) -> str:
        return "text/event-stream"

    def decode_request(self, body: Mapping[str, Json], /) -> Request:
        return decode_request(body)

    def decode_body(self, body: JsonBody, /) -> Request:
        """As `decode_request`, with tools that were read before not read again."""
        return decode_request(body.value, body.pieces)

    def encode_request(self, request: Request, /) -> Encoded:
        return encode_request(request)

    def decode_response(self, body: Mapping[str, Json], /) -> Response:
        return decode_response(body)

    def encode_response(self, response: Response, /) -> Encoded:
        return encode_response(response)

    def encode_answer(self, response: Response, request: Request, /) -> Encoded:
        return encode_response(response, request)

    def decode_error(
        self, status: int, headers: Mapping[str, str], body: bytes, /, *, target: str
    ) -> UpstreamError:
        return decode_error(status, headers, body, target=target)

    def encode_error(self, error: BaseException, /) -> EncodedError:
        return encode_error(error)

    def event_decoder(self) -> ResponsesEventDecoder:
        return ResponsesEventDecoder()

    def event_encoder(self, request: Request | None = None, /) -> ResponsesEventEncoder:
        return ResponsesEventEncoder(request)

    def skim(self, data: bytes, /) -> bytes:
        """See `lynkr.wire.base.SkimmingCodec`."""
        return data if b"\r" in data else _DELTAS.sub(b"", data)
