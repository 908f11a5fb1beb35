"""A dialect small enough to read at a glance, so that these tests are about providers, not about codecs.

Whole answer: ``{"id", "model", "text", "in", "out"}``.  Stream: frames
``{"start": id, "model", "in"}``, ``{"text"}`` and ``{"end": {"in", "out"}}``, or ``{"error": words}``.
"""

import json

from lynkr.errors import UpstreamBusy, UpstreamFailed, UpstreamRefused, UpstreamWireError
from lynkr.model import (
    Finish,
    Loss,
    Message,
    PartDelta,
    PartEnd,
    PartStart,
    Request,
    Response,
    Start,
    StopReason,
    Text,
    Usage,
    WireFormat,
)
from lynkr.wire.base import Encoded
from lynkr.wire.sse import FrameDecoder, encode_frame


class TinyDecoder:
    def __init__(self):
        self._frames = FrameDecoder()
        self._open = self._done = False

    def feed(self, data, /):
        for frame in self._frames.feed(data):
            try:
                value = json.loads(frame.data)
            except ValueError as error:
                raise UpstreamWireError("not a tiny frame") from error
            yield from self._events(value)

    def _events(self, value):
        match value:
            case {"start": id}:
                yield Start(id, value["model"], Usage(input=value["in"]))
            case {"text": text}:
                if not self._open:
                    self._open = True
                    yield PartStart(0, Text(""))
                yield PartDelta(0, text)
            case {"end": end}:
                if self._open:
                    yield PartEnd(0)
                self._done = True
                yield Finish(StopReason.END_TURN, Usage(input=end["in"], output=end["out"]))
            case {"error": words}:
                raise UpstreamFailed(words, target="")
            case {"ping": _}:
                return
            case _:
                raise UpstreamWireError("an unknown frame")

    def close(self):
        if not self._done:
            raise UpstreamWireError("the stream ended before its end")
        return ()


class TinyCodec:
    format = WireFormat.OLLAMA_CHAT
    stream_media_type = "text/event-stream"

    def encode_request(self, request, /):
        body = {"model": request.model, "prompt": request.messages[-1].parts[0].text}
        if request.stream:
            body["stream"] = True
        headers = {"anthropic-beta": "from-body"} if request.sampling.top_k else {}
        losses = () if request.sampling.seed is None else (Loss("sampling.seed", "no such field"),)
        return Encoded(body, losses, headers)

    def decode_request(self, body, /):
        raise NotImplementedError

    def decode_response(self, body, /):
        if "text" not in body:
            raise UpstreamWireError("no text")
        usage = Usage(input=body["in"], output=body["out"])
        return Response(body["id"], body["model"], (Text(body["text"]),), StopReason.END_TURN, usage)

    def decode_error(self, status, headers, body, /, *, target):
        kind = (
            UpstreamBusy if status in (429, 503, 529) else UpstreamRefused if status < 500 else UpstreamFailed
        )
        after = headers.get("retry-after")
        return kind(
            f"{target} answered {status}",
            target=target,
            status=status,
            headers=headers,
            body=body,
            wire_format=self.format,
            retry_after=None if after is None else float(after),
        )

    def event_decoder(self):
        return TinyDecoder()


def frame(**fields):
    return encode_frame(json.dumps(fields).encode())


START = frame(start="r1", model="big-1", **{"in": 7})
HELLO, WORLD = frame(text="hello "), frame(text="world")
END = frame(end={"in": 7, "out": 2})
STREAM = (START, HELLO, WORLD, END)
WHOLE = b'{"id": "r1",  "model": "big-1", "text": "hello world", "in": 7, "out": 2, "odd": 1e2}'


def request(*, stream=False, model="lynkr-auto", **fields):
    return Request(model=model, messages=(Message.user("hi"),), stream=stream, **fields)
