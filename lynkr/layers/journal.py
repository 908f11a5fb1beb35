"""Write each attempt down, as it happens."""

import json
import re
import time
from collections.abc import Callable
from typing import Final

from lynkr.errors import UpstreamError, UpstreamTimeout, UpstreamUnreachable
from lynkr.layers.breaker import ending_outcome
from lynkr.layers.streams import watched
from lynkr.resilience.classify import Classifier, verdict_of
from lynkr.resilience.outcome import AttemptKind
from lynkr.service import Attempt, Call, Layer, Reply, Service

_LONGEST_DETAIL: Final = 300
_LONGEST_BODY: Final = 65_536
_CODE: Final = re.compile(r"[a-z][a-z_]{0,63}", re.ASCII)
_SPACE: Final = re.compile(r"\s+")


def journal(
    *,
    clock: Callable[[], float] = time.time,
    monotonic: Callable[[], float] = time.monotonic,
    verdict: Classifier = verdict_of,
) -> Layer:
    """A layer that appends an `Attempt` to the call's journal for each call it passes on.

    Goes innermost, around the provider (and around `deadline`), so that a call
    the breaker refused is no attempt.  The attempt is there from the start
    (outcome `IGNORED`, as for a cancelled one) and is completed when the
    answer's stream ends.  *clock* is in Unix seconds, *monotonic* in seconds.
    """

    def layer(service: Service) -> Service:
        async def send(call: Call) -> Reply:
            began = monotonic()
            attempt = Attempt(call.target, started=clock(), kind=kind_of(call))
            call.journal.attempts.append(attempt)

            def end(error: BaseException | None, whole: bool) -> None:
                attempt.seconds = monotonic() - began
                attempt.outcome = ending_outcome(error, whole, verdict)
                # What is no Exception is a cancellation, in asyncio and in trio.
                attempt.cancelled = not whole and (error is None or not isinstance(error, Exception))
                if error is not None:
                    attempt.error = type(error).__name__
                    attempt.detail = detail_of(error)
                    if isinstance(error, UpstreamError) and error.status is not None:
                        attempt.status = error.status

            try:
                reply = await service(call)
            except BaseException as error:
                end(error, False)
                raise
            attempt.seconds = monotonic() - began
            attempt.status = reply.status
            attempt.tally = reply.tally
            return watched(reply, end)

        return send

    return layer


def kind_of(call: Call) -> AttemptKind:
    """Why this attempt is made: what the call says, else what the journal shows of those before it."""
    if call.kind is not None:
        return call.kind
    if not call.journal.attempts:
        return AttemptKind.FIRST
    is_again = call.journal.attempts[-1].target == call.target
    return AttemptKind.RETRY if is_again else AttemptKind.FALLBACK


def detail_of(error: BaseException) -> str | None:
    """What may be kept of an error's message.

    Our own words in full; of a provider's words only its machine-readable code,
    because the rest may quote the prompt or the key.
    """
    match error:
        case UpstreamTimeout() | UpstreamUnreachable():
            text = str(error)
        case UpstreamError():
            text = " ".join(word for word in (_status(error), _code(error.body)) if word)
        case Exception():
            text = str(error)
        case _:
            text = ""  # cancelled
    return _SPACE.sub(" ", text).strip()[:_LONGEST_DETAIL] or None


def _status(error: UpstreamError) -> str:
    return "" if error.status is None else str(error.status)


def _code(body: bytes) -> str:
    """`error.code` or `error.type` of a provider's error body, as both dialects spell it."""
    if not body or len(body) > _LONGEST_BODY:
        return ""
    try:
        value: object = json.loads(body)
    except (ValueError, RecursionError):
        return ""
    match value:
        case {"error": {"code": str(code)}} if _CODE.fullmatch(code):
            return code
        case {"error": {"type": str(code)}} if _CODE.fullmatch(code):
            return code
        case _:
            return ""
