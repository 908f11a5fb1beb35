"""What Anthropic did to the thinking it was sent, `input_transformations`, gets to the client.

`BetaMessage.input_transformations` of anthropic 2.12 (read 2026-11): sent with the beta
``thinking-binding-controls-2026-08-01``; whole in the message, in a stream in `message_start`, and in
`message_delta` where a fallback at the server replaced it.
"""

import json
from typing import Any

import pytest

from lynkr.assembly import build_gateway
from lynkr.model import WireFormat
from lynkr.testing.laws import decode_stream
from lynkr.wire.anthropic import AnthropicCodec
from tests.gateway.house import body_of, settings_for
from tests.providers.loopback import Peer, Received, serving

pytestmark = pytest.mark.anyio
BETA = "thinking-binding-controls-2026-08-01"
DROPPED = {"type": "thinking_dropped", "path": "messages.1.content.0", "reason": "prefix_binding_mismatch"}
ALLOWED = {
    "type": "thinking_mismatch_allowed",
    "path": "messages.3.content.0",
    "reason": "prefix_binding_mismatch",
}
MESSAGE: dict[str, Any] = {
    "id": "msg_1", "type": "message", "role": "assistant", "model": "claude", "stop_sequence": None,
    "usage": {"input_tokens": 3, "output_tokens": 1},
}  # fmt: skip
WHOLE = {
    **MESSAGE, "content": [{"type": "text", "text": "ok"}], "stop_reason": "end_turn",
    "input_transformations": [DROPPED, ALLOWED],
}  # fmt: skip
EVENTS: tuple[dict[str, Any], ...] = (
    {
        "type": "message_start",
        "message": {**MESSAGE, "content": [], "stop_reason": None, "input_transformations": [DROPPED]},
    },
    {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
    {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "ok"}},
    {"type": "content_block_stop", "index": 0},
    {
        "type": "message_delta", "delta": {"stop_reason": "end_turn", "stop_sequence": None},
        "usage": {"output_tokens": 1}, "input_transformations": [ALLOWED],
    },
    {"type": "message_stop"},
)  # fmt: skip
STREAM = "".join(f"event: {event['type']}\ndata: {json.dumps(event)}\n\n" for event in EVENTS).encode()


@pytest.mark.parametrize("stream", [False, True])
async def test_criterion_07_what_anthropic_changed_is_told_the_client(stream: bool) -> None:
    async def serve(peer: Peer, received: Received) -> None:
        assert received.headers["anthropic-beta"] == BETA
        kind = "text/event-stream" if stream else "application/json"
        await peer.answer(STREAM if stream else json.dumps(WHOLE).encode(), content_type=kind)

    body = {
        "model": "messages:m",
        "max_tokens": 9,
        "messages": [{"role": "user", "content": "hi"}],
        "stream": stream,
    }
    async with serving(serve) as server, build_gateway(settings_for(server.url)) as gateway:
        headers = {"anthropic-beta": BETA, "anthropic-version": "2023-06-01"}
        reply = await gateway.relay(WireFormat.ANTHROPIC_MESSAGES, json.dumps(body).encode(), headers)
        got = await body_of(reply)
    assert got == (STREAM if stream else json.dumps(WHOLE).encode())


def test_it_survives_being_read_and_written() -> None:
    codec = AnthropicCodec()
    assert codec.encode_response(codec.decode_response(WHOLE)).body["input_transformations"] == [
        DROPPED,
        ALLOWED,
    ]
    encoder = codec.event_encoder()
    data = b"".join(map(encoder.encode, decode_stream(codec, [STREAM]))) + encoder.close()
    told = [json.loads(line[6:]) for line in data.decode().splitlines() if line.startswith("data: ")]
    assert told[0]["message"]["input_transformations"] == [DROPPED]
    (delta,) = (event for event in told if event["type"] == "message_delta")
    assert delta["input_transformations"] == [ALLOWED]
