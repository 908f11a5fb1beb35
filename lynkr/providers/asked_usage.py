"""Usage that the gateway asks for at the end of a Chat stream and keeps to itself.

Theory of operation.  Chat tells no usage in a stream unless ``stream_options.include_usage`` is set, and
most clients do not set it: their requests would be without tokens and cost in the ledger.  So the
gateway sets it in their place, and takes the one chunk that they did not ask for out of the answer.
"An additional chunk will be streamed before the `data: [DONE]` message.  The `usage` field on this chunk
shows the token usage statistics for the entire request, and the `choices` field will always be an empty
array" (openai 3.54, chat_completion_stream_options_param.py, read 2026-11).  The other chunks stay what
the provider sent, also where it puts a usage beside their choices.
"""

import re
from collections.abc import Mapping
from typing import Final

from lynkr.model import Json
from lynkr.wire.frame_gate import FrameGate
from lynkr.wire.json_body import parse_value

_LINE_END: Final = re.compile(rb"\r\n|\n|\r")
_FRAME: Final = re.compile(rb".*?(?:(?:\r\n|\n|\r(?!\n)){2}|\Z)", re.DOTALL)
# A first look, so that an ordinary chunk costs one search.
_NO_CHOICES: Final = re.compile(rb'"choices"\s*:\s*\[\s*\]')


def asking_usage(body: Mapping[str, Json]) -> Mapping[str, Json] | None:
    """The ``stream_options`` that make *body* ask for usage; None if it does so itself, or cannot."""
    if body.get("stream") is not True:
        return None
    options = body.get("stream_options")
    if options is None:
        return {"include_usage": True}
    if not isinstance(options, Mapping) or options.get("include_usage") is True:
        return None
    return {**options, "include_usage": True}


class UsageGate:
    """Lets a Chat stream through whole events at a time, but for the chunk that tells usage alone."""

    def __init__(self) -> None:
        self._gate = FrameGate()

    def feed(self, data: bytes) -> bytes:
        """What of the stream can be handed on now.

        Raises:
            UpstreamWireError: an event is larger than `lynkr.wire.sse.MAX_FRAME_BYTES`.
        """
        return _without_usage(self._gate.feed(data))

    def rest(self) -> bytes:
        """What is left when the stream ended."""
        return _without_usage(self._gate.rest())


def _without_usage(frames: bytes) -> bytes:
    if not _NO_CHOICES.search(frames):
        return frames
    return b"".join(frame for frame in _FRAME.findall(frames) if not _tells_usage_alone(frame))


def _tells_usage_alone(frame: bytes) -> bool:
    """Whether *frame* is a chunk without choices that has a usage."""
    if not _NO_CHOICES.search(frame):
        return False
    lines = [line[5:] for line in _LINE_END.split(frame) if line.startswith(b"data:")]
    try:
        chunk: Json = parse_value(b"\n".join(lines))
    except ValueError:
        return False
    return (
        isinstance(chunk, Mapping) and chunk.get("choices") == [] and isinstance(chunk.get("usage"), Mapping)
    )
