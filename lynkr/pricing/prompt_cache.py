"""What a provider's prompt cache would have done: reads, writes, and what is left at the full price.

A provider keeps the beginnings of prompts it has seen, per model, for some
minutes after their last use.  A session sends its history again with each
turn, so a turn finds as much of it as the target saw the last time::

    read    = the shared beginning, in whole blocks, if the target still holds it and it is long enough
    written = the rest, where writing is charged (an explicit cache, at marks the client set)
    fresh   = the rest, where it is not

`after_prompt` is a pure function of these.  Its laws (tests/pricing/test_prompt_cache.py):
read + written + fresh is the prompt's length; nothing is read after the lifetime; a
longer shared beginning, an earlier request or a smaller block never reads less.
"""

from typing import Final

from attrs import evolve, frozen

from lynkr.routing.decision import CacheKind, Tariff

# OpenAI's and most others' least cacheable prompt; Anthropic's is 512 to 4096 by model (read 2026-11).
LEAST_TOKENS: Final = 1_024
# OpenAI counts hits in steps of 128 tokens, DeepSeek of 64, Anthropic by the client's marks (read 2026-11).
BLOCK_TOKENS: Final = 128


@frozen
class CacheTerms:
    """How one target caches.

    *seconds* is how long a beginning is kept after its last use, *least* the
    shortest one kept, *block* the step hits are counted in, all in tokens but the first.
    """

    kind: CacheKind = CacheKind.NONE
    seconds: float = 300.0
    least: int = LEAST_TOKENS
    block: int = BLOCK_TOKENS

    @classmethod
    def of(cls, tariff: Tariff | None) -> "CacheTerms":
        """The terms a tariff tells; no cache where it is unknown."""
        if tariff is None:
            return cls()
        block = 1 if tariff.cache is CacheKind.EXPLICIT else BLOCK_TOKENS
        return cls(tariff.cache, tariff.cache_seconds, block=block)


@frozen
class Held:
    """What a target holds of a session: a beginning of so many *tokens*, last *used* then (seconds)."""

    tokens: int
    used: float


@frozen
class CacheUse:
    """Where the tokens of one prompt came from."""

    read: int = 0
    written: int = 0
    fresh: int = 0

    @property
    def tokens(self) -> int:
        return self.read + self.written + self.fresh


def after_prompt(
    held: Held | None, terms: CacheTerms, tokens: int, shared: int, now: float, *, marked: bool = True
) -> tuple[CacheUse, Held | None]:
    """One prompt of *tokens* tokens at *now*: what it reads and writes, and what is held after it.

    *shared* is how many of its first tokens are those of the prompt that
    left *held*; *marked* whether the client sets the marks that an explicit
    cache goes by.

    >>> terms = CacheTerms(CacheKind.EXPLICIT, block=1)
    >>> use, held = after_prompt(None, terms, 10_000, 0, now=0.0)
    >>> use
    CacheUse(read=0, written=10000, fresh=0)
    >>> after_prompt(held, terms, 12_000, 10_000, now=200.0)[0]
    CacheUse(read=10000, written=2000, fresh=0)
    >>> after_prompt(held, terms, 12_000, 10_000, now=301.0)[0]
    CacheUse(read=0, written=12000, fresh=0)
    """
    is_explicit = terms.kind is CacheKind.EXPLICIT
    if terms.kind is CacheKind.NONE or (is_explicit and not marked):
        return CacheUse(fresh=tokens), None
    read = 0
    if held is not None and now - held.used <= terms.seconds:
        read = _whole(min(held.tokens, shared, tokens), terms)
    kept = _whole(tokens, terms)
    left = Held(max(kept, read), now) if kept or read else None
    if left is None and held is not None and now - held.used <= terms.seconds:
        left = held  # too short to be kept itself, it puts nothing out
    written = tokens - read if is_explicit and kept else 0
    return CacheUse(read, written, tokens - read - written), left


def partly(use: CacheUse, share: float, terms: CacheTerms) -> CacheUse:
    """*use* with only *share* of its reads found: the others are written, or read at the full price."""
    found = round(use.read * share)
    missed = use.read - found
    if terms.kind is CacheKind.EXPLICIT:
        return evolve(use, read=found, written=use.written + missed)
    return evolve(use, read=found, fresh=use.fresh + missed)


def _whole(tokens: int, terms: CacheTerms) -> int:
    """*tokens* in whole blocks, none of too short a beginning."""
    return 0 if tokens < terms.least else tokens // terms.block * terms.block
