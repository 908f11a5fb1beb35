"""A provider's own count of a request's input tokens, where it has one and gives it in time."""

from typing import Final

import anyio

from lynkr.errors import LynkrError
from lynkr.providers.base import TokenCounter
from lynkr.service import Call

COUNT_SECONDS: Final = 5.0


async def provider_count(provider: object, call: Call) -> int | None:
    """The count of *provider*; None if it has none, or not in time: clients hold their next turn back."""
    if not isinstance(provider, TokenCounter):
        return None
    with anyio.move_on_after(COUNT_SECONDS):
        try:
            return await provider.count_tokens(call)
        except LynkrError:
            return None  # an estimate still answers, and the header says that it is one
    return None
