"""Thin async wrappers around services, one layer a file, over the pure policies of `lynkr.resilience`.

Outermost first: `fallback`, `retry`, `hedge`, `breaker`, `throttle`, `bulkhead`,
`journal`, `deadline`, then the provider.  `lynkr.layers.sqlite_breakers` shares breakers between processes.
"""

import time
from collections.abc import Callable

from lynkr.layers.breaker import breaker
from lynkr.layers.bulkhead import bulkhead
from lynkr.layers.deadline import deadline
from lynkr.layers.fallback import fallback
from lynkr.layers.hedge import hedge
from lynkr.layers.journal import journal
from lynkr.layers.retry import retry
from lynkr.layers.throttle import throttle
from lynkr.resilience.budget import RetryBudgets
from lynkr.resilience.protocols import RetryPolicy
from lynkr.resilience.registry import BreakerRegistry
from lynkr.service import Layer

__all__ = [
    "breaker",
    "bulkhead",
    "deadline",
    "fallback",
    "hedge",
    "journal",
    "retry",
    "standard_layers",
    "throttle",
]


def standard_layers(
    breakers: BreakerRegistry,
    /,
    *,
    policy: RetryPolicy | None = None,
    budgets: RetryBudgets | None = None,
    clock: Callable[[], float] = time.time,
    monotonic: Callable[[], float] = time.monotonic,
) -> tuple[Layer, ...]:
    """Fallback, retry and breaker; to be put around `journal` and `deadline`.

    *budgets* bounds retries and fallbacks together, with the default numbers unless given.

    *clock* is in Unix seconds and also the breakers'; *monotonic* is the one `Call.deadline` is in.
    """
    shared = RetryBudgets() if budgets is None else budgets
    return (
        fallback(budgets=shared, monotonic=monotonic),
        retry(policy, budgets=shared, clock=clock, monotonic=monotonic),
        breaker(breakers, clock=clock),
    )
