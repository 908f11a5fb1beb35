"""Prices, what a request cost, and what it would have cost elsewhere."""

from lynkr.pricing.baseline import Cost, baseline_bounds, baseline_microusd, cost_of
from lynkr.pricing.price import FREE, Price, PriceTable, cost_microusd
from lynkr.pricing.rates import rates_of
from lynkr.pricing.savings import Savings, itemise
from lynkr.pricing.table import LOCAL_KINDS, SnapshotPrices, load_snapshot

__all__ = [
    "FREE",
    "LOCAL_KINDS",
    "Cost",
    "Price",
    "PriceTable",
    "Savings",
    "SnapshotPrices",
    "baseline_bounds",
    "baseline_microusd",
    "cost_microusd",
    "cost_of",
    "itemise",
    "load_snapshot",
    "rates_of",
]
