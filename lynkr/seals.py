"""Seals of one dialect on their way through clients of another, which must give them back to the letter.

A client of Anthropic's dialect keeps a thinking block's ``signature`` and a redacted
one's ``data`` as they are; so another provider's seal goes in there, with the name
of the dialect it belongs to (Responses does the same in ``encrypted_content``, see
`lynkr.wire.openai_responses.items`).  A call that Gemini signed is preceded by a
sealed thought.  On the way back all is undone, and the encoder of the dialect a seal
belongs to finds it again; every other leaves it out.
"""

from collections.abc import Sequence
from typing import Final

from attrs import evolve

from lynkr.model import (
    Event,
    Extras,
    Loss,
    Opaque,
    Part,
    PartDelta,
    PartEnd,
    PartStart,
    Reasoning,
    Request,
    Role,
    ToolCall,
    WireFormat,
)
from lynkr.wire.base import EventEncoder, FollowingEncoder
from lynkr.wire.gemini.call_seals import seal_of_call

_MESSAGES: Final = WireFormat.ANTHROPIC_MESSAGES
_WRAPPED: Final = "lynkr."
_SIGNATURE: Final = "thoughtSignature"
# Dialects whose clients give a sealed thought back.
_CARRIERS: Final = frozenset((_MESSAGES, WireFormat.OPENAI_RESPONSES))


def holds_foreign_thinking(request: Request) -> bool:
    """Whether *request*, from a client of Anthropic's dialect, holds thinking of another provider's answers.

    It has no seal, or one that lynkr wrapped; Anthropic refuses both.
    """
    for message in request.messages:
        if message.role is Role.ASSISTANT:
            for part in message.parts:
                if type(part) is Reasoning and (part.seal is None or part.seal.value.startswith(_WRAPPED)):
                    return True
    return False


def opened(request: Request) -> Request:
    """*request*, from a client of Anthropic's dialect, with each seal under the dialect it belongs to."""
    messages = tuple(
        evolve(message, parts=tuple(map(_opened, message.parts)))
        if message.role is Role.ASSISTANT and any(isinstance(part, Reasoning) for part in message.parts)
        else message
        for message in request.messages
    )
    return evolve(request, messages=messages)


def _opened(part: Part) -> Part:
    if not isinstance(part, Reasoning) or part.seal is None or not part.seal.value.startswith(_WRAPPED):
        return part
    owner, _, value = part.seal.value.removeprefix(_WRAPPED).partition(".")
    made_by = next((known for known in WireFormat if known.value == owner), None)
    return part if made_by is None else evolve(part, seal=Opaque(made_by, value))


def closed(parts: Sequence[Part], client: WireFormat) -> tuple[Part, ...]:
    """The parts of a whole answer, with their seals where a client of *client* keeps them."""
    if client not in _CARRIERS:
        return tuple(parts)
    return tuple(one for part in parts for one in _closed(part, client))


def _closed(part: Part, client: WireFormat) -> tuple[Part, ...]:
    match part:
        case ToolCall() if _SIGNATURE in part.extras.of(WireFormat.GEMINI):
            signature = part.extras.fields[_SIGNATURE]
            rest = {name: value for name, value in part.extras.fields.items() if name != _SIGNATURE}
            bare = evolve(part, extras=Extras(WireFormat.GEMINI, rest) if rest else Extras())
            return (*_closed(seal_of_call(str(signature)), client), bare)
        case Reasoning(seal=Opaque() as seal) if client is _MESSAGES:
            return (evolve(part, seal=_wrapped(seal)),)
        case _:
            return (part,)


def _wrapped(seal: Opaque) -> Opaque:
    if seal.format is _MESSAGES:
        return seal
    return Opaque(_MESSAGES, f"{_WRAPPED}{seal.format.value}.{seal.value}")


class SealingEncoder:
    """An `EventEncoder` whose events have their seals where its clients keep them.

    A part put in moves those that begin after it by one.
    """

    def __init__(self, encoder: EventEncoder, client: WireFormat) -> None:
        self._encoder = encoder
        self._client = client
        self._put_in = 0
        self._places: dict[int, int] = {}

    @property
    def losses(self) -> tuple[Loss, ...]:
        return self._encoder.losses

    def encode(self, event: Event, /) -> bytes:
        if type(event) is PartDelta and not self._put_in:
            return self._encoder.encode(event)
        match event:
            case PartStart():
                return self._begin(event)
            case PartDelta() if self._put_in:
                return self._encoder.encode(evolve(event, index=self._places[event.index]))
            case PartEnd(index=index, seal=seal):
                if seal is not None and self._client is _MESSAGES:
                    seal = _wrapped(seal)
                return self._encoder.encode(PartEnd(self._places.get(index, index), seal))
            case _:
                return self._encoder.encode(event)

    def _begin(self, event: PartStart) -> bytes:
        *before, part = _closed(event.part, self._client)
        written = b""
        for one in before:
            index = event.index + self._put_in
            written += self._encoder.encode(PartStart(index, one)) + self._encoder.encode(PartEnd(index))
            self._put_in += 1
        self._places[event.index] = event.index + self._put_in
        return written + self._encoder.encode(PartStart(self._places[event.index], part))

    def encode_error(self, error: BaseException, /) -> bytes:
        return self._encoder.encode_error(error)

    def follow(self, first: bytes, last: bytes, /) -> None:
        if isinstance(self._encoder, FollowingEncoder):
            self._encoder.follow(first, last)

    def ping(self) -> bytes:
        return self._encoder.ping()

    def close(self) -> bytes:
        return self._encoder.close()


def sealing(encoder: EventEncoder, client: WireFormat) -> EventEncoder:
    """*encoder*, or one around it where clients of *client* carry other dialects' seals."""
    return SealingEncoder(encoder, client) if client in _CARRIERS else encoder
