"""The signature of a function call, apart from the call.

Gemini 3 signs calls, and wants the signature back with the call in the history
("Thought signatures", ai.google.dev/gemini-api/docs/thought-signatures, read 2026-11).
Clients of other dialects have no place for it in a call, but give a sealed
thought back as it was.  So towards them it travels as one, before its call, and
the encoder of a request puts it where it belongs.
"""

from typing import Final

from lynkr.model import Opaque, Part, Reasoning
from lynkr.wire.gemini.fields import GEMINI

_TAG: Final = "call."  # a signature is base64, which has no full stop


def seal_of_call(signature: str) -> Reasoning:
    """The thought that carries a call's *signature*; it goes before the call."""
    return Reasoning("", Opaque(GEMINI, _TAG + signature), redacted=True)


def signature_in(part: Part) -> str | None:
    """The signature of the call after *part*, if that is what it carries."""
    if not isinstance(part, Reasoning) or part.seal is None or part.seal.format is not GEMINI:
        return None
    value = part.seal.value
    return value.removeprefix(_TAG) if value.startswith(_TAG) else None
