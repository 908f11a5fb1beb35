"""From a client's bytes to a `Request`."""

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from attrs import evolve

from lynkr.exchange import WireExchange
from lynkr.model import Extras, Request, WireFormat
from lynkr.request_bounds import RequestBounds
from lynkr.seals import holds_foreign_thinking, opened
from lynkr.service import RawBody
from lynkr.wire.anthropic import AnthropicCodec
from lynkr.wire.base import Codec, ReadingCodec
from lynkr.wire.json_body import JsonBody
from lynkr.wire.openai_chat import OpenAIChatCodec
from lynkr.wire.openai_responses import OpenAIResponsesCodec
from lynkr.wire.piece_store import PieceStore

CLIENT_CODECS: Final[tuple[Codec, ...]] = (AnthropicCodec(), OpenAIChatCodec(), OpenAIResponsesCodec())
_RESPONSES: Final = WireFormat.OPENAI_RESPONSES


class RequestReader:
    """Reads requests within *bounds*, in the dialects of *codecs*, and parts that come again but once."""

    def __init__(self, codecs: Sequence[Codec], bounds: RequestBounds) -> None:
        self.codecs: Mapping[WireFormat, Codec] = {codec.format: codec for codec in codecs}
        self._decoders = {codec.format: _decoder_of(codec) for codec in codecs}
        self._bounds = bounds
        self._pieces = PieceStore(bounds.max_depth)

    def read(self, exchange: WireExchange, data: bytes, *, counting: bool) -> JsonBody:
        """Fill in what *exchange* is asked; a request that is only *counting* need not be whole.

        A Responses-shaped one to Chat is answered in Chat all the same: Cursor's agent sends those
        (forum.cursor.com/t/159298, read 2026-11).

        Raises:
            ClientWireError: with the path in the body.
        """
        client = exchange.codec.format
        body = self._bounds.read(data, None if counting else client, self._pieces)
        value = body.value
        if client is WireFormat.OPENAI_CHAT and "messages" not in value and "input" in value:
            decode = self._decoders.get(_RESPONSES)
            if decode is not None:
                exchange.request = request = decode(body)
                options = {name: value[name] for name in ("stream_options",) if name in value}
                exchange.asked = evolve(request, extras=Extras(client, options))
                return body
        exchange.request = request = self._decoders[client](body)
        if client is WireFormat.ANTHROPIC_MESSAGES and holds_foreign_thinking(request):
            # Its own bytes would be refused: the encoder leaves out the thinking that is another provider's.
            exchange.request = opened(request)
        else:
            exchange.raw = RawBody(client, body)
        return body


def _decoder_of(codec: Codec) -> Callable[[JsonBody], Request]:
    if isinstance(codec, ReadingCodec):
        return codec.decode_body
    return lambda body: codec.decode_request(body.value)
