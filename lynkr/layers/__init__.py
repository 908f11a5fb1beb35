"""Thin async wrappers around services, one layer a file, over the pure policies of `lynkr.resilience`.

Outermost first: `fallback`, `retry`, `breaker`, `journal`, `deadline`, then the
provider.  `lynkr.layers.sqlite_breakers` shares breakers between processes.
"""

import time
from collections.abc import Callable

from lynkr.layers.breaker import breaker
from lynkr.layers.deadline import deadline
from lynkr.layers.fallback import fallback
from lynkr.layers.journal import journal
from lynkr.layers.retry import retry
from lynkr.resilience.protocols import RetryPolicy
from lynkr.resilience.registry import BreakerRegistry
from lynkr.service import Layer

__all__ = ["breaker", "deadline", "fallback", "journal", "retry", "standard_layers"]


def standard_layers(
    breakers: BreakerRegistry,
    /,
    *,
    policy: RetryPolicy | None = None,
    clock: Callable[[], float] = time.time,
    monotonic: Callable[[], float] = time.monotonic,
) -> tuple[Layer, ...]:
    """Fallback, retry and breaker; to be put around `journal` and `deadline`.

    *clock* is in Unix seconds and also the breakers'; *monotonic* is the one `Call.deadline` is in.
    """
    return (
        fallback(monotonic=monotonic),
        retry(policy, clock=clock, monotonic=monotonic),
        breaker(breakers, clock=clock),
    )
