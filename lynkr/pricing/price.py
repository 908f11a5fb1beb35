"""Prices, and what a request cost.  Money in micro-USD (int), prices in USD per million tokens."""

from decimal import Decimal
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
    _whole: tuple[int, int, int, int, int, int] | None = field(
        init=False, default=None, eq=False, repr=False
    )  # made when first needed

    def _rates(self) -> tuple[int, int, int, int, int, int]:
        """What a token costs fresh, read, written for minutes, written for an hour and put out, as integers.

        The last is how many of them are a micro-USD: a power of ten.  Exact, and far quicker to
        reckon with than `Decimal`.
        """
        write = self.input if self.cache_write is None else self.cache_write
        rates = (
            self.input,
            self.input if self.cache_read is None else self.cache_read,
            write,
            write if self.cache_write_1h is None else self.cache_write_1h,
            self.output,
        )
        places = max(0, *(-int(rate.as_tuple().exponent) for rate in rates))
        fresh, read, written, written_1h, out = (_shifted(rate, places) for rate in rates)
        return fresh, read, written, written_1h, out, int(10**places)

    def microusd(self, fresh: int, read: int, written: int, written_1h: int, out: int) -> int:
        """What so many tokens cost by these rates, rounded half to even."""
        rates = self._whole
        if rates is None:
            rates = self._rates()
            object.__setattr__(self, "_whole", rates)
        of_fresh, of_read, of_write, of_write_1h, of_out, one = rates
        total = (
            fresh * of_fresh + read * of_read + written * of_write + written_1h * of_write_1h + out * of_out
        )
        whole, rest = divmod(total, one)
        return whole + int(2 * rest > one or (2 * rest == one and whole % 2 == 1))

    def at(self, input_tokens: int) -> "Price":
        """The price that a request of this length pays for every one of its tokens."""
        price = self
        for above, dearer in self.tiers:
            if input_tokens > above:
                price = dearer
        return price


def _shifted(rate: Decimal, places: int) -> int:
    """*rate* times 10 to the power of *places*, which is whole."""
    _, digits, exponent = rate.as_tuple()
    return int("".join(map(str, digits))) * int(10 ** (int(exponent) + places))


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
    rate = price.at(usage.input) if price.tiers else price
    return rate.microusd(uncached, read, write - long_write, long_write, usage.output)
