"""For people who write policies: prices, moments and agent sessions to try them on, and their laws.

`assert_policy_laws(router)` tries a router of yours, whole, on generated sessions and
raises with the smallest counterexample it finds.  `RouterMachine` does the same
turn by turn, with a pin store, as a Hypothesis state machine.

Needs the extra ``testing``.
"""

from collections.abc import Sequence
from typing import Final

from hypothesis import strategies as st
from hypothesis.strategies import DrawFn

from lynkr.routing.decision import CacheKind, Rates, Target, Tariff

__all__ = ["price_tables", "tariffs"]

_INPUTS: Final = (0.05, 0.25, 1.0, 1.25, 3.0, 5.0, 15.0)


@st.composite
def tariffs(draw: DrawFn) -> Tariff:
    """What targets charge, around the prices of the day; every way a cache is paid for."""
    cache = draw(st.sampled_from(CacheKind))
    if cache is CacheKind.LOCAL:
        speed = draw(st.sampled_from((None, 300.0, 4_000.0)))
        return Tariff(0.0, 0.0, cache=cache, prefill_tokens_per_second=speed)
    price = draw(st.sampled_from(_INPUTS))
    output = price * draw(st.sampled_from((1.0, 4.0, 5.0, 8.0)))
    if cache is CacheKind.NONE:
        return Tariff(price, output)
    read = price * draw(st.sampled_from((0.02, 0.1, 0.25, 0.5)))
    write = price * draw(st.sampled_from((1.0, 1.25, 2.0))) if cache is CacheKind.EXPLICIT else None
    return Tariff(price, output, read, write, cache)


@st.composite
def price_tables(draw: DrawFn, among: Sequence[Target]) -> Rates:
    """The prices of some of *among*; those of the others are unknown."""
    priced = {target: draw(tariffs()) for target in among if draw(st.integers(0, 3))}
    return Rates(priced, draw(st.sampled_from((None, "2026-11-23"))))
