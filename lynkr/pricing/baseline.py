"""What the same tokens would have cost on a flagship: the figure savings are measured against."""

from attrs import evolve, frozen

from lynkr.model import Usage
from lynkr.pricing.price import Price, PriceTable, cost_microusd
from lynkr.routing.decision import Target


@frozen
class Cost:
    """What a request cost and what the same tokens would have cost on the flagship.

    Money in micro-USD; None is unknown, which is not free.  *baseline* is the
    flagship's name, *price_version* names the price snapshot all figures came from.

    *cost_microusd* is that of the answer served.  *overhead_microusd* is the
    known cost of the other attempts (failed, hedged, cancelled), None where
    none is known.  *least_microusd* is what is surely owed where the cost is
    unknown: the price of the tokens that were counted.

    *uncached_microusd* and *baseline_uncached_microusd* are the two figures as
    they would be had nobody cached (or shortened) anything; *baseline_low_microusd* and
    *baseline_high_microusd* bound the baseline (`baseline_bounds`).
    *response_cache_microusd* and *compression_microusd* are what an answer from
    a cache or a shortened prompt spared, a part of the difference between what
    is uncached and what was paid; None where neither is in use.
    """

    cost_microusd: int | None = None
    baseline_microusd: int | None = None
    baseline: str | None = None
    price_version: str | None = None
    uncached_microusd: int | None = None
    baseline_uncached_microusd: int | None = None
    baseline_low_microusd: int | None = None
    baseline_high_microusd: int | None = None
    least_microusd: int | None = None
    overhead_microusd: int | None = None
    response_cache_microusd: int | None = None
    compression_microusd: int | None = None

    @property
    def saved_microusd(self) -> int | None:
        """Baseline minus all that was paid; negative when routing cost more; None when either is unknown."""
        if self.cost_microusd is None or self.baseline_microusd is None:
            return None
        return self.baseline_microusd - self.cost_microusd - (self.overhead_microusd or 0)


def baseline_microusd(usage: Usage, flagship: Price | None) -> int | None:
    """What *usage* would have cost at the flagship's price; None when that is unknown.

    An estimate, and to be shown as one.  It assumes that the flagship would
    have counted, emitted and cached exactly these tokens: another model has
    another tokenizer and writes answers of another length (for which no bound
    is known), and would have cached more or less of the prompt (`baseline_bounds`).
    Cached tokens are priced at the flagship's own cache prices.  Nothing is
    made up: a request whose output is unknown has no baseline.
    """
    return cost_microusd(usage, flagship)


def baseline_bounds(
    usage: Usage, flagship: Price | None, *, prefix_tokens: int | None = None
) -> tuple[int | None, int | None]:
    """The least and the most that *usage* could have cost on the flagship, whatever its cache had held.

    *prefix_tokens* is how much of the prompt the session had sent before, within
    the lifetime of a cache: a flagship that had served the whole session could
    have read no more than that (or what was read here, if that is more) from
    its cache; None, where that is unknown, allows for all of it.  At the other
    end it reads nothing, and what was cached here it would have paid to write,
    or caching is off.
    """
    return _bounds(usage, flagship, cost_microusd(usage, flagship), prefix_tokens)


def _bounds(
    usage: Usage, flagship: Price | None, point: int | None, prefix_tokens: int | None
) -> tuple[int | None, int | None]:
    """`baseline_bounds`, where the baseline itself is known to be *point*."""
    if flagship is None or point is None or usage.input is None:
        return None, None
    prefix = usage.input if prefix_tokens is None else min(prefix_tokens, usage.input)
    read, write = usage.cache_read or 0, usage.cache_write or 0
    warmest = max(prefix, read)
    candidates: list[int | None] = [point]
    if warmest != read or write:
        candidates.append(cost_microusd(Usage(usage.input, usage.output, cache_read=warmest), flagship))
    if read or write:
        candidates.append(cost_microusd(Usage(usage.input, usage.output, cache_write=read + write), flagship))
        candidates.append(cost_microusd(uncached(usage), flagship))
    known = [candidate for candidate in candidates if candidate is not None]
    return min(known), max(known)


def uncached(usage: Usage) -> Usage:
    """The same tokens, had nobody cached anything; the same object where nobody did."""
    if not (usage.cache_read or usage.cache_write or usage.cache_write_1h):
        return usage
    return evolve(usage, cache_read=None, cache_write=None, cache_write_1h=None)


def least_microusd(usage: Usage, price: Price | None) -> int | None:
    """What the tokens that were counted cost, where the others are unknown; None if none were."""
    if price is None or (usage.input is None and usage.output is None):
        return None
    if usage.input is None:
        return cost_microusd(Usage(0, usage.output), price)
    return cost_microusd(evolve(usage, output=usage.output or 0), price)


def cost_of(
    usage: Usage,
    target: Target,
    flagship: Target | None,
    prices: PriceTable,
    *,
    prefix_tokens: int | None = None,
) -> Cost:
    """The cost of *usage* on *target*, next to its baseline on *flagship*, from one version of the prices.

    *prefix_tokens* is as for `baseline_bounds`.
    """
    price = prices.price(target)
    reference = None if flagship is None else prices.price(flagship)
    cost = cost_microusd(usage, price)
    plain = uncached(usage)
    base = None if flagship is None else baseline_microusd(usage, reference)
    low, high = _bounds(usage, reference, base, prefix_tokens)
    return Cost(
        cost_microusd=cost,
        baseline_microusd=base,
        baseline=None if flagship is None else str(flagship),
        price_version=prices.version,
        uncached_microusd=None if cost is None else (cost if plain is usage else cost_microusd(plain, price)),
        baseline_uncached_microusd=None
        if low is None
        else (base if plain is usage else cost_microusd(plain, reference)),
        baseline_low_microusd=low,
        baseline_high_microusd=high,
        least_microusd=least_microusd(usage, price) if cost is None else None,
    )
