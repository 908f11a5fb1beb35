"""A request from whatever JSON a person or a script has at hand."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from attrs import evolve

from lynkr.errors import ClientWireError
from lynkr.model import Json, Message, Request, Role, Text
from lynkr.wire.anthropic import AnthropicCodec
from lynkr.wire.base import Codec
from lynkr.wire.openai_chat import OpenAIChatCodec

_ROUTED: Final = "lynkr-auto"
_ANTHROPIC_BLOCKS: Final = frozenset(
    {"tool_use", "tool_result", "thinking", "redacted_thinking", "image", "document", "server_tool_use"}
)
_ANTHROPIC_FIELDS: Final = frozenset({"system", "thinking", "stop_sequences", "top_k", "anthropic_version"})
_ANTHROPIC: Final = AnthropicCodec()
_OPENAI: Final = OpenAIChatCodec()


def prompt_request(prompt: str) -> Request:
    """A user's one sentence."""
    return Request(model=_ROUTED, messages=(Message(Role.USER, (Text(prompt),)),))


def request_of(body: Mapping[str, Json]) -> Request:
    """The request in *body*: a ``prompt``, or ``messages`` in either dialect; ``tools`` in either.

    Raises:
        ClientWireError: it is neither, or not what the dialect says.
    """
    prompt = body.get("prompt")
    if "prompt" in body and "messages" in body:
        raise ClientWireError("give a prompt or messages, not both")
    if "prompt" in body:
        if not isinstance(prompt, str):
            raise ClientWireError("must be text", field="prompt")
        if len(body) == 1:
            return prompt_request(prompt)
        rest = {name: value for name, value in body.items() if name != "prompt"}
        body = {**rest, "messages": [{"role": "user", "content": prompt}]}
    elif "messages" not in body:
        raise ClientWireError('neither "prompt" nor "messages" is there')
    if "model" not in body:
        body = {"model": _ROUTED, **body}
    codec = codec_of(body)
    if codec is _ANTHROPIC and "max_tokens" not in body:
        # The dialect demands it; a question of where to route has no need of it.
        return evolve(codec.decode_request({"max_tokens": 1, **body}), max_output_tokens=None)
    return codec.decode_request(body)


def codec_of(body: Mapping[str, Json]) -> Codec:
    """The dialect *body* is written in; OpenAI Chat where both would read it alike."""
    return _ANTHROPIC if _is_anthropic(body) else _OPENAI


def _is_anthropic(body: Mapping[str, Json]) -> bool:
    if not _ANTHROPIC_FIELDS.isdisjoint(body):
        return True
    if any("input_schema" in tool for tool in _tables(body.get("tools"))):
        return True
    return any(
        isinstance(kind := block.get("type"), str) and kind in _ANTHROPIC_BLOCKS
        for message in _tables(body.get("messages"))
        for block in _tables(message.get("content"))
    )


def _tables(value: Json) -> Iterator[Mapping[str, Any]]:
    if isinstance(value, list):
        for item in value:
            if isinstance(item, Mapping):
                yield item
