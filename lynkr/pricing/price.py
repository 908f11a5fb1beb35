"""Prices, and what a request cost.  Money in micro-USD (int), prices in USD per million tokens."""

from decimal import ROUND_HALF_EVEN, Decimal
from typing import Protocol

from attrs import frozen

from lynkr.model import Usage
from lynkr.routing.decision import Target


@frozen
class Price:
    """USD per million tokens.

    *cache_read*, *cache_write* and *cache_write_1h* are None where the
    provider states none: cached tokens then cost what *input* costs.
    """

    input: Decimal
    output: Decimal
    cache_read: Decimal | None = None
    cache_write: Decimal | None = None
    cache_write_1h: Decimal | None = None


class PriceTable(Protocol):
    @property
    def version(self) -> str:
        """Names the snapshot: its date and a digest."""
        ...

    def price(self, target: Target, /) -> Price | None:
        """None means unknown, which is not the same as free."""
        ...


def cost_microusd(usage: Usage, price: Price | None) -> int | None:
    """What *usage* costs, rounded half to even; None when price, input or output is unknown.

    USD per million tokens times tokens is micro-USD, so no scaling is needed.
    """
    if price is None or usage.input is None or usage.output is None:
        return None
    read, write, long_write = usage.cache_read or 0, usage.cache_write or 0, usage.cache_write_1h or 0
    write_price = price.input if price.cache_write is None else price.cache_write
    long_price = write_price if price.cache_write_1h is None else price.cache_write_1h
    total = (
        (usage.input - read - write) * price.input
        + read * (price.input if price.cache_read is None else price.cache_read)
        + (write - long_write) * write_price
        + long_write * long_price
        + usage.output * price.output
    )
    return int(Decimal(total).quantize(Decimal(1), rounding=ROUND_HALF_EVEN))
