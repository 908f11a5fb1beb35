"""The codec: one object that holds the dialect's functions and the one choice it leaves."""

import re
from collections.abc import Mapping
from typing import Final

from attrs import frozen

from lynkr.errors import UpstreamError
from lynkr.model import Json, Request, Response, WireFormat
from lynkr.wire.base import Encoded, EncodedError
from lynkr.wire.openai_chat.errors import decode_error, encode_error
from lynkr.wire.openai_chat.fields import OPENAI_CHAT
from lynkr.wire.openai_chat.request import decode_request
from lynkr.wire.openai_chat.request_encoder import OutputLimit, encode_request
from lynkr.wire.openai_chat.response import decode_response, encode_response
from lynkr.wire.openai_chat.stream_decoder import ChatEventDecoder
from lynkr.wire.openai_chat.stream_encoder import ChatEventEncoder

_CHUNK: Final = re.compile(rb"(?:\A|(?<=\n\n))data: \{[^\r\n]*\n\n")
_UNFINISHED: Final = re.compile(rb'"finish_reason": ?null')
# In the words of an answer a quote is escaped, so these stand for fields and nothing else.
_TELLING: Final = re.compile(rb'"(?:finish_reason": ?"|usage": ?\{|tool_calls"|error")')


@frozen
class OpenAIChatCodec:
    """OpenAI Chat Completions; implements `lynkr.wire.base.Codec`.

    *output_limit* is the field that bounds the answer on the way to a
    provider: OpenAI's reasoning models refuse `max_tokens`, while DeepSeek,
    Ollama and other hosts know nothing else.  A request that came with either
    spelling keeps it.
    """

    output_limit: OutputLimit = "max_completion_tokens"

    @property
    def format(self) -> WireFormat:
        return OPENAI_CHAT

    @property
    def stream_media_type(self) -> str:
        return "text/event-stream"

    def decode_request(self, body: Mapping[str, Json], /) -> Request:
        return decode_request(body, output_limit=self.output_limit)

    def encode_request(self, request: Request, /) -> Encoded:
        return encode_request(request, output_limit=self.output_limit)

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

    def event_decoder(self) -> ChatEventDecoder:
        return ChatEventDecoder()

    def event_encoder(self, request: Request | None = None, /) -> ChatEventEncoder:
        return ChatEventEncoder(request)

    def skim(self, data: bytes, /) -> bytes:
        """See `lynkr.wire.base.SkimmingCodec`."""
        return _CHUNK.sub(_if_telling, data)


def _if_telling(found: re.Match[bytes]) -> bytes:
    chunk = found[0]
    return b"" if _UNFINISHED.search(chunk) and not _TELLING.search(chunk) else chunk
