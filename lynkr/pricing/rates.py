"""The view of a price table that routing needs: tariffs, with the way each cache is paid for."""

from collections.abc import Iterable
from decimal import Decimal
from types import MappingProxyType
from typing import Final

from lynkr.pricing.price import Price, PriceTable
from lynkr.routing.decision import CacheKind, Rates, Target, Tariff

# Lifetimes of an unused prefix: five minutes with Anthropic, five to ten with OpenAI (read 2026-11).
_CACHE_SECONDS: Final = 300.0


def rates_of(prices: PriceTable, targets: Iterable[Target]) -> Rates:
    """The tariffs of *targets*; those of unknown price are left out."""
    priced = {target: prices.price(target) for target in targets}
    tariffs = {target: tariff_of(price) for target, price in priced.items() if price is not None}
    return Rates(MappingProxyType(tariffs), prices.version)


def tariff_of(price: Price) -> Tariff:
    """A price as routing sees it.

    What is charged tells how the cache is paid for: a target that costs nothing
    is local, one with a price for writing has an explicit cache, one with a price for
    reading alone an automatic one.  Long-context prices are left out: routing estimates.
    """
    return Tariff(
        input=float(price.input),
        output=float(price.output),
        cache_read=_number(price.cache_read),
        cache_write=_number(price.cache_write),
        cache=_cache_of(price),
        cache_seconds=_CACHE_SECONDS,
    )


def _cache_of(price: Price) -> CacheKind:
    if not (price.input or price.output):
        return CacheKind.LOCAL
    if price.cache_write is not None:
        return CacheKind.EXPLICIT
    return CacheKind.NONE if price.cache_read is None else CacheKind.AUTOMATIC


def _number(price: Decimal | None) -> float | None:
    return None if price is None else float(price)
