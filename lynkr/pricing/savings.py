"""Savings against a flagship, itemised.

What is compared.  The *baseline* is what the same tokens would have cost on
the flagship, its own prompt cache included; *paid* is what the answers served
cost.  Over the requests for which both are known::

    total = baseline - paid - overhead

It is itemised by asking what either side would have cost had nobody cached a
thing (*uncached* figures, at the prices of the target and of the flagship)::

    routing        = baseline_uncached - paid_uncached
    prompt_cache   = (paid_uncached - paid - response_cache - compression)
                     - (baseline_uncached - baseline)
    attempts       = - overhead           (attempts that did not serve)
    response_cache = what answers out of a cache spared
    compression    = what shortened prompts spared
    not_itemised   = the rest: requests recorded before the parts were

The parts add up to the total.  *prompt_cache* is what caching saved here
beyond what it would have saved on the flagship: a client that marks its
prompt for the cache saves there as well, which is no merit of the gateway.
So it is negative where moving between targets leaves caches behind.
Nothing is clamped: each part may be negative, and so may the total.
"""

from attrs import frozen


@frozen
class Savings:
    """Money saved, in micro-USD, by what; negative where it cost more than the flagship.

    *low_microusd* and *high_microusd* bound the total by what the flagship's
    cache could have held (`lynkr.pricing.baseline.baseline_bounds`); that
    another model would have written answers of another length, and counted
    other tokens, is not bounded.  *response_cache_microusd* and
    *compression_microusd* are None where neither is in use.

    *prompt_cache_here_microusd* is what the provider's caches saved on what was
    paid, without regard to the flagship (negative where writing costs more than
    reading saves); it is no part of the total.
    """

    total_microusd: int = 0
    low_microusd: int = 0
    high_microusd: int = 0
    routing_microusd: int = 0
    prompt_cache_microusd: int = 0
    attempts_microusd: int = 0
    response_cache_microusd: int | None = None
    compression_microusd: int | None = None
    not_itemised_microusd: int = 0
    prompt_cache_here_microusd: int = 0
    baseline_microusd: int = 0
    requests: int = 0
    requests_without: int = 0

    @property
    def percent(self) -> float | None:
        """The total as a share of the baseline of the compared requests; None where that is nothing."""
        return 100 * self.total_microusd / self.baseline_microusd if self.baseline_microusd else None


def itemise(
    *,
    total: int,
    low: int,
    high: int,
    baseline: int,
    routing: int,
    prompt_cache: int,
    prompt_cache_here: int,
    overhead: int,
    response_cache: int | None,
    compression: int | None,
    compared: int,
    requests: int,
) -> Savings:
    """The parts of *total*, all in micro-USD over the *compared* ones of *requests*.

    What is left of the total when the known parts are taken off is
    `Savings.not_itemised_microusd`, so the parts always sum to the total.
    """
    known = routing + prompt_cache - overhead + (response_cache or 0) + (compression or 0)
    return Savings(
        total_microusd=total,
        low_microusd=low,
        high_microusd=high,
        routing_microusd=routing,
        prompt_cache_microusd=prompt_cache,
        attempts_microusd=-overhead,
        response_cache_microusd=response_cache,
        compression_microusd=compression,
        not_itemised_microusd=total - known,
        prompt_cache_here_microusd=prompt_cache_here,
        baseline_microusd=baseline,
        requests=compared,
        requests_without=requests - compared,
    )
