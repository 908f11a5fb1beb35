"""``POST /v1/feedback``: what somebody says about how well a request was served."""

from functools import partial
from typing import Final

from anyio import to_thread

from lynkr.errors import ClientWireError
from lynkr.gateway import Gateway
from lynkr.telemetry import Signal, SignalKind
from lynkr.wire.json_body import parse_body

MOST_BYTES: Final = 16 * 1024
_LONGEST_NOTE: Final = 500
_LONGEST_SOURCE: Final = 64
_LONGEST_ID: Final = 128
_PATIENCE: Final = 5.0  # seconds to wait until a request that has just ended is written
_VERDICTS: Final = (
    SignalKind.TOO_WEAK,
    SignalKind.RIGHT,
    SignalKind.TOO_STRONG,
    SignalKind.ACCEPTED,
    SignalKind.REJECTED,
)


def read_feedback(body: bytes, now: float) -> Signal:
    """The signal that a body says, received at *now* (Unix seconds).

    ``request_id`` is what ``x-lynkr-decision-id`` said.  ``verdict`` is
    ``too_weak``, ``right`` or ``too_strong`` for the tier the request was given,
    or a verifier's ``accepted`` or ``rejected`` for its answer.  ``source`` names
    who says so (by default ``feedback``; a later word of the same source and verdict
    takes the place of the earlier), ``note`` is a short text of theirs.

    Raises:
        ClientWireError: it is malformed; the message names the field.
    """
    fields = parse_body(body).value
    known = {"request_id", "verdict", "source", "note"}
    unknown = sorted(set(fields) - known)
    if unknown:
        raise ClientWireError(
            f"is no field of a feedback; there are {', '.join(sorted(known))}", field=unknown[0]
        )
    verdict = fields.get("verdict")
    if not isinstance(verdict, str) or verdict not in _VERDICTS:
        raise ClientWireError(f"is to be one of {', '.join(_VERDICTS)}", field="verdict")
    return Signal(
        request=_text(fields.get("request_id"), "request_id", _LONGEST_ID) or "",
        kind=SignalKind(verdict),
        at=now,
        source=_text(fields.get("source", "feedback"), "source", _LONGEST_SOURCE) or "",
        note=_text(fields.get("note"), "note", _LONGEST_NOTE, optional=True),
    )


def _text(value: object, field: str, longest: int, *, optional: bool = False) -> str | None:
    if value is None and optional:
        return None
    if not isinstance(value, str) or not 0 < len(value) <= longest:
        raise ClientWireError(f"is to be a text of 1 to {longest} signs", field=field)
    return value


async def keep_feedback(gateway: Gateway, signal: Signal, tenant: str | None) -> None:
    """Keep *signal* in the ledger, from *tenant* (None: whoever may speak of every request).

    Raises:
        ClientWireError: no such request is there (404); another tenant's is none.
        LedgerError: the ledger cannot be written.
    """
    recorder = gateway.recorder
    if recorder is None or not await to_thread.run_sync(
        partial(recorder.hear, signal, _PATIENCE, tenant=tenant)
    ):
        raise ClientWireError(
            f"no request {signal.request!r} is in the ledger", status=404, field="request_id"
        )
