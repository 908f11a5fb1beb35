"""A scripted upstream that is never the bottleneck: fixed answers from a raw protocol on uvloop.

    python benchmarks/gateway/upstream.py --port 0 [--latency 0.05] [--gap 0.005]

It speaks whole and streamed answers of Anthropic Messages and OpenAI Chat, of 200
events each, prints its URL as the first line and serves until it is killed.
*latency* is waited before an answer begins, *gap* between the events of a stream
(0 writes them in one burst); both in seconds.
"""

import argparse
import asyncio
import json
import sys
from typing import Any, cast

import uvloop

EVENTS = 200
WORDS = "The quick brown fox jumps over the lazy dog. " * 20
_HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%s"
_STREAM_HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"


def _whole(answer: dict[str, Any]) -> bytes:
    body = json.dumps(answer).encode()
    return _HEAD % (len(body), body)


def _chunk(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)


def messages_answer() -> bytes:
    return _whole(
        {
            "id": "msg_01bench",
            "type": "message",
            "role": "assistant",
            "model": "claude-haiku-4-5",
            "content": [{"type": "text", "text": WORDS}],
            "stop_reason": "end_turn",
            "stop_sequence": None,
            "usage": {"input_tokens": 512, "output_tokens": 200},
        }
    )


def chat_answer() -> bytes:
    message = {"role": "assistant", "content": WORDS, "refusal": None}
    return _whole(
        {
            "id": "chatcmpl-bench",
            "object": "chat.completion",
            "created": 1_790_000_000,
            "model": "gpt-4.1-mini",
            "choices": [{"index": 0, "message": message, "finish_reason": "stop", "logprobs": None}],
            "usage": {"prompt_tokens": 512, "completion_tokens": 200, "total_tokens": 712},
        }
    )


def _event(value: dict[str, Any]) -> bytes:
    return f"event: {value['type']}\ndata: {json.dumps(value)}\n\n".encode()


def messages_events() -> list[bytes]:
    """200 server-sent events, the first and the last of which frame the text."""
    message = {
        "id": "msg_01bench", "type": "message", "role": "assistant", "model": "claude-haiku-4-5",
        "content": [], "stop_reason": None, "stop_sequence": None,
        "usage": {"input_tokens": 512, "output_tokens": 1},
    }  # fmt: skip
    delta = {"type": "text_delta", "text": " and so on"}
    return [
        _event({"type": "message_start", "message": message}),
        _event({"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}),
        *[_event({"type": "content_block_delta", "index": 0, "delta": delta})] * (EVENTS - 5),
        _event({"type": "content_block_stop", "index": 0}),
        _event(
            {
                "type": "message_delta",
                "delta": {"stop_reason": "end_turn", "stop_sequence": None},
                "usage": {"output_tokens": 200},
            }
        ),
        _event({"type": "message_stop"}),
    ]


def chat_events() -> list[bytes]:
    def chunk(delta: dict[str, str], finish: str | None = None, **more: object) -> bytes:
        value = {
            "id": "chatcmpl-bench", "object": "chat.completion.chunk", "created": 1_790_000_000,
            "model": "gpt-4.1-mini",
            "choices": [{"index": 0, "delta": delta, "finish_reason": finish, "logprobs": None}], **more,
        }  # fmt: skip
        return f"data: {json.dumps(value)}\n\n".encode()

    usage = {"prompt_tokens": 512, "completion_tokens": 200, "total_tokens": 712}
    last = {
        "id": "chatcmpl-bench", "object": "chat.completion.chunk", "created": 1_790_000_000,
        "model": "gpt-4.1-mini", "choices": [], "usage": usage,
    }  # fmt: skip
    return [
        chunk({"role": "assistant", "content": ""}),
        *[chunk({"content": " and so on"})] * (EVENTS - 4),
        chunk({}, "stop"),
        f"data: {json.dumps(last)}\n\n".encode(),
        b"data: [DONE]\n\n",
    ]


class Script:
    """What is answered, made once."""

    def __init__(self, latency: float, gap: float) -> None:
        self.latency, self.gap = latency, gap
        self.whole = {True: messages_answer(), False: chat_answer()}
        events = {True: messages_events(), False: chat_events()}
        self.events = {key: [_chunk(event) for event in listed] for key, listed in events.items()}


class Upstream(asyncio.Protocol):
    """One connection; requests are answered in turn."""

    def __init__(self, script: Script) -> None:
        self._script = script
        self._held = bytearray()
        self._loop = asyncio.get_running_loop()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is none by class

    def data_received(self, data: bytes) -> None:
        held = self._held
        held += data
        while (end := held.find(b"\r\n\r\n")) != -1:
            head = bytes(held[:end]).lower()
            at = head.find(b"content-length:")
            length = int(head[at + 15 :].split(b"\r\n", 1)[0]) if at != -1 else 0
            if len(held) < end + 4 + length:
                return
            body = bytes(held[end + 4 : end + 4 + length])
            del held[: end + 4 + length]
            is_messages = b"/messages" in head.split(b"\r\n", 1)[0]
            is_stream = b'"stream":true' in body or b'"stream": true' in body
            if self._script.latency:
                self._loop.call_later(self._script.latency, self._answer, is_messages, is_stream)
            else:
                self._answer(is_messages, is_stream)

    def _answer(self, is_messages: bool, is_stream: bool) -> None:
        if self._transport.is_closing():
            return
        if not is_stream:
            self._transport.write(self._script.whole[is_messages])
            return
        self._transport.write(_STREAM_HEAD)
        events = self._script.events[is_messages]
        if self._script.gap:
            self._paced(events, 0)
        else:
            for event in events:
                self._transport.write(event)
            self._transport.write(b"0\r\n\r\n")

    def _paced(self, events: list[bytes], at: int) -> None:
        if self._transport.is_closing():
            return
        if at == len(events):
            self._transport.write(b"0\r\n\r\n")
            return
        self._transport.write(events[at])
        self._loop.call_later(self._script.gap, self._paced, events, at + 1)


async def serve(port: int, script: Script) -> None:
    server = await asyncio.get_running_loop().create_server(
        lambda: Upstream(script), "127.0.0.1", port, backlog=2048
    )
    sys.stdout.write(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()
    await server.serve_forever()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--latency", type=float, default=0.0)
    parser.add_argument("--gap", type=float, default=0.0)
    arguments = parser.parse_args()
    uvloop.run(serve(arguments.port, Script(arguments.latency, arguments.gap)))


if __name__ == "__main__":
    main()
