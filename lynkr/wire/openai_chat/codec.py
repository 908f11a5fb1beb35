"""The codec: one object that holds the dialect's functions and the one choice it leaves."""

from collections.abc import Mapping
from typing import Final

from attrs import frozen

from lynkr.errors import UpstreamError
from lynkr.model import Json, Request, Response, WireFormat
from lynkr.wire.base import Encoded, EncodedError, Told
from lynkr.wire.json_body import JsonBody
from lynkr.wire.openai_chat.errors import decode_error, encode_error
from lynkr.wire.openai_chat.fields import OPENAI_CHAT
from lynkr.wire.openai_chat.repeated import Template, template_of
from lynkr.wire.openai_chat.request import decode_request
from lynkr.wire.openai_chat.request_encoder import OutputLimit, encode_request
from lynkr.wire.openai_chat.response import decode_response, encode_response, told
from lynkr.wire.openai_chat.stream_decoder import ChatEventDecoder
from lynkr.wire.openai_chat.stream_encoder import ChatEventEncoder

_UNFINISHED: Final = (b'"finish_reason":null', b'"finish_reason": null')
# In the words of an answer a quote is escaped, so these stand for fields and nothing else.
_TELLING: Final = (
    b'"tool_calls"', b'"error"', b'"usage":{', b'"usage": {', b'"finish_reason":"', b'"finish_reason": "'
)  # fmt: skip


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

    def decode_body(self, body: JsonBody, /) -> Request:
        """As `decode_request`, with what was read before not read again."""
        return decode_request(body.value, output_limit=self.output_limit, pieces=body.pieces)

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

    def told(self, body: Mapping[str, Json], /) -> Told | None:
        """See `lynkr.wire.base.TellingCodec`."""
        return told(body)

    def skim(self, data: bytes, /) -> bytes:
        """See `lynkr.wire.base.SkimmingCodec`."""
        if b"\r" in data:
            return data
        *events, rest = data.split(b"\n\n")
        left: list[bytes] = []
        silent: Template | None = None
        for event in events:
            if silent is not None and silent.between(event) is not None:
                continue  # as silent as the last one: in words no field can hide without a quote
            if _is_silent(event):
                silent = template_of(event)
            else:
                left += (event, b"\n\n")
        left.append(rest)
        return b"".join(left)


def _is_silent(event: bytes) -> bool:
    """Whether *event* is a chunk that tells nothing but words."""
    if not event.startswith(b"data: {") or b"\n" in event:
        return False
    return any(word in event for word in _UNFINISHED) and not any(word in event for word in _TELLING)
