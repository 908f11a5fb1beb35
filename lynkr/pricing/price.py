"""Prices, and what a request cost.  Money in micro-USD (int), prices in USD per million tokens."""

from decimal import ROUND_HALF_EVEN, Decimal
from itertools import pairwise
from typing import Any, Protocol

from attrs import Attribute, field, frozen

from lynkr.model import Usage
from lynkr.routing.decision import Target


def _must_be_money(_: "Price", attribute: "Attribute[Any]", value: Decimal | None) -> None:
    if value is not None and not (value.is_finite() and value >= 0):
        raise ValueError(f"{attribute.name}: a price is a finite number of USD, 0 or more, not {value}")


def _must_rise(_: "Price", __: "Attribute[Any]", tiers: "tuple[tuple[int, Price], ...]") -> None:
    if any(above < 1 or price.tiers for above, price in tiers) or any(
        a >= b for (a, _), (b, _) in pairwise(tiers)
    ):
        raise ValueError(
            "tiers: thresholds are positive, each larger than the one before, and tiers do not nest"
        )


@frozen
class Price:
    """USD per million tokens.

    *cache_read*, *cache_write* and *cache_write_1h* are None where the
    provider states none: cached tokens then cost what *input* costs, and
    one-hour writes what other writes cost.

    *tiers* are long-context prices, ``(above, price)`` with rising thresholds:
    a request of more than *above* input tokens, cached ones included, pays
    *price* for all of its tokens, not for the excess (Anthropic, Google,
    OpenAI and xAI all bill so; read 2026-11).
    """

    input: Decimal = field(validator=_must_be_money)
    output: Decimal = field(validator=_must_be_money)
    cache_read: Decimal | None = field(default=None, validator=_must_be_money)
    cache_write: Decimal | None = field(default=None, validator=_must_be_money)
    cache_write_1h: Decimal | None = field(default=None, validator=_must_be_money)
    tiers: tuple[tuple[int, "Price"], ...] = field(default=(), validator=_must_rise)

    def at(self, input_tokens: int) -> "Price":
        """The price that a request of this length pays for every one of its tokens."""
        price = self
        for above, dearer in self.tiers:
            if input_tokens > above:
                price = dearer
        return price


FREE = Price(input=Decimal(0), output=Decimal(0))


class PriceTable(Protocol):
    @property
    def version(self) -> str:
        """Names the prices: their date and a digest."""
        ...

    def price(self, target: Target, /) -> Price | None:
        """None means unknown, which is not the same as free."""
        ...


def cost_microusd(usage: Usage, price: Price | None) -> int | None:
    """What *usage* costs, rounded half to even.

    None when it cannot be known: no price, no count of input or output, or
    counts that contradict each other (more cached tokens than input).
    USD per million tokens times tokens is micro-USD, so no scaling is needed.
    """
    uncached = usage.uncached_input
    if price is None or usage.input is None or uncached is None or usage.output is None:
        return None
    read, write, long_write = usage.cache_read or 0, usage.cache_write or 0, usage.cache_write_1h or 0
    if min(uncached, read, write - long_write, long_write, usage.output) < 0:
        return None
    rate = price.at(usage.input)
    write_rate = rate.input if rate.cache_write is None else rate.cache_write
    total = (
        uncached * rate.input
        + read * (rate.input if rate.cache_read is None else rate.cache_read)
        + (write - long_write) * write_rate
        + long_write * (write_rate if rate.cache_write_1h is None else rate.cache_write_1h)
        + usage.output * rate.output
    )
    return int(total.to_integral_value(rounding=ROUND_HALF_EVEN))
