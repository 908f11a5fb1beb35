"""A small language for upstreams that fail: ``script(ok(), cut_after(3), status(429, retry_after=2))``.

An `Answer` is what the simulator is about to do, as data: a head, then moves.
A `Fault` turns one answer into another.  A `Script` says which fault meets
which request: the first step the first request, and so on; `then` the rest.
"""

import json
from collections.abc import Callable, Mapping
from typing import Final, TypeAlias

from attrs import evolve, field, frozen

from lynkr.model import WireFormat

__all__ = [
    "Answer",
    "Cut",
    "Fault",
    "Move",
    "Pause",
    "Reset",
    "Script",
    "Send",
    "cut_after",
    "drip",
    "error_event",
    "garbage",
    "ok",
    "reset",
    "script",
    "stall",
    "status",
]


@frozen
class Send:
    """Bytes of the body.  A stream has one per event, a whole answer two halves."""

    data: bytes = field(repr=False)


@frozen
class Pause:
    """Silence for *seconds*, None for ever (until the client leaves)."""

    seconds: float | None


@frozen
class Cut:
    """The connection is closed in order, the body unfinished."""


@frozen
class Reset:
    """The connection is torn down with a TCP reset."""


Move: TypeAlias = Send | Pause | Cut | Reset


@frozen
class Answer:
    """What an upstream does with one request.

    *before* happens ahead of the status line, *moves* after it; a `Cut` or
    `Reset` ends the answer there.  *format* is None on routes without a dialect.
    """

    status: int
    headers: Mapping[str, str]
    moves: tuple[Move, ...]
    format: WireFormat | None = None
    is_stream: bool = False
    before: tuple[Move, ...] = ()

    def after(self, events: int) -> tuple[Move, ...]:
        """The moves up to and including the *events*-th `Send`."""
        kept: list[Move] = []
        sent = 0
        for move in self.moves:
            if isinstance(move, Send):
                if sent == events:
                    break
                sent += 1
            kept.append(move)
        return tuple(kept)


Fault: TypeAlias = Callable[[Answer], Answer]


def ok() -> Fault:
    """No fault."""
    return lambda answer: answer


def status(code: int, *, retry_after: float | None = None, headers: Mapping[str, str] | None = None) -> Fault:
    """An error answer in the dialect's envelope; *retry_after*, in seconds, as its header."""
    extra = dict(headers or {})
    if retry_after is not None:
        extra["retry-after"] = f"{retry_after:g}"

    def fault(answer: Answer) -> Answer:
        failed = error_answer(answer.format, code, f"simulated status {code}")
        return evolve(failed, headers={**failed.headers, **extra})

    return fault


def reset(after: int | None = None) -> Fault:
    """A TCP reset after *after* events; None: before the status line."""
    return _broken_off((Reset(),), after)


def stall(after: int | None = None, *, seconds: float | None = None) -> Fault:
    """Silence after *after* events (None: before the status line), for *seconds* or for ever."""

    def fault(answer: Answer) -> Answer:
        pause = (Pause(seconds),)
        if after is None:
            return evolve(answer, before=(*answer.before, *pause))
        kept = answer.after(after)
        return evolve(answer, moves=(*kept, *pause, *answer.moves[len(kept) :]))

    return fault


def cut_after(events: int) -> Fault:
    """The connection closes in order after *events* events, the body unfinished."""
    return _broken_off((Cut(),), events)


def _broken_off(end: tuple[Move, ...], after: int | None) -> Fault:
    def fault(answer: Answer) -> Answer:
        if after is None:
            return evolve(answer, before=(*answer.before, *end))
        return evolve(answer, moves=(*answer.after(after), *end))

    return fault


def garbage() -> Fault:
    """Status 200 with a body that is none of the dialect's."""

    def fault(answer: Answer) -> Answer:
        if answer.is_stream:
            return evolve(answer, moves=(Send(b'event: message\ndata: {"type": \n\n'),))
        body = b"<html>\xff</html>"
        return evolve(
            answer,
            status=200,
            headers={**answer.headers, "content-length": str(len(body))},
            moves=(Send(body),),
        )

    return fault


def drip(delay: float, *, size: int | None = None) -> Fault:
    """*delay* seconds of silence before each event, or with *size* before every so many bytes."""

    def fault(answer: Answer) -> Answer:
        moves: list[Move] = []
        for move in answer.moves:
            if not isinstance(move, Send):
                moves.append(move)
                continue
            step = size or len(move.data) or 1
            pieces = (Send(move.data[at : at + step]) for at in range(0, len(move.data), step))
            for piece in pieces:
                moves += (Pause(delay), piece)
        return evolve(answer, moves=tuple(moves))

    return fault


def error_event(after: int = 1, *, code: int = 529) -> Fault:
    """After *after* events the stream ends in the dialect's error event, as status *code* would read.

    A whole answer has no events: it becomes the error answer itself.  A stream of no more events than that
    is left as it is: no provider fails after its own end.
    """

    def fault(answer: Answer) -> Answer:
        if answer.is_stream and sum(isinstance(move, Send) for move in answer.moves) <= after:
            return answer
        failed = error_answer(answer.format, code, f"simulated status {code} in mid-stream")
        if not answer.is_stream:
            return failed
        body = b"".join(move.data for move in failed.moves if isinstance(move, Send))
        if answer.format is WireFormat.OPENAI_RESPONSES:
            # This dialect's error event is flat (openai 3.54, response_error_event.py, read 2026-11).
            body = json.dumps(
                {**json.loads(body)["error"], "type": "error", "sequence_number": after}
            ).encode()
        name = b"" if answer.format is WireFormat.OPENAI_CHAT else b"event: error\n"
        return evolve(answer, moves=(*answer.after(after), Send(b"%bdata: %b\n\n" % (name, body))))

    return fault


@frozen
class Script:
    """One fault per request, in order; *then* meets every request after them."""

    steps: tuple[Fault, ...] = ()
    then: Fault = field(factory=ok)

    def fault(self, number: int) -> Fault:
        """The fault for request *number*, from 0."""
        return self.steps[number] if number < len(self.steps) else self.then


def script(*steps: Fault, then: Fault | None = None) -> Script:
    """A `Script` of *steps*; afterwards *then*, by default no fault."""
    return Script(steps, then or ok())


# --- Error envelopes ----------------------------------------------------------------------------------

# Anthropic, "Errors": type by status (read 2026-11).
_ANTHROPIC_TYPES: Final = {
    400: "invalid_request_error",
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    504: "timeout_error",
    529: "overloaded_error",
}
# OpenAI's type and code by status, as its service sends them (read 2026-11).
_OPENAI_TYPES: Final = {
    401: ("invalid_request_error", "invalid_api_key"),
    404: ("invalid_request_error", "model_not_found"),
    429: ("requests", "rate_limit_exceeded"),
}
SIMULATOR_HEADER: Final = ("x-simulator", "lynkr")


def error_answer(
    format: WireFormat | None, code: int, message: str, *, error_code: str | None = None
) -> Answer:
    """An error in *format*'s envelope; OpenAI's serves routes without a dialect too.

    *error_code* is OpenAI's ``code``, where the status alone does not give it.
    """
    if format is WireFormat.ANTHROPIC_MESSAGES:
        kind = _ANTHROPIC_TYPES.get(code, "invalid_request_error" if code < 500 else "api_error")
        envelope: dict[str, object] = {
            "type": "error",
            "error": {"type": kind, "message": message},
            "request_id": "req_simulated",
        }
    else:
        kind, named = _OPENAI_TYPES.get(
            code, ("invalid_request_error" if code < 500 else "server_error", None)
        )
        envelope = {"error": {"message": message, "type": kind, "param": None, "code": error_code or named}}
    return json_answer(envelope, status=code, format=format)


def json_answer(body: object, *, status: int = 200, format: WireFormat | None = None) -> Answer:
    """A whole JSON answer, in two halves so that it can be cut between them."""
    data = json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()
    middle = len(data) // 2
    headers = {
        "content-type": "application/json",
        "content-length": str(len(data)),
        **dict([SIMULATOR_HEADER]),
    }
    return Answer(status, headers, (Send(data[:middle]), Send(data[middle:])), format)
