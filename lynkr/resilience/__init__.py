"""Breakers, retry policies and verdicts as pure values; every time is an argument."""

from lynkr.resilience.breaker import BreakerConfig, WindowBreaker
from lynkr.resilience.budget import BudgetConfig, RetryBudget, RetryBudgets
from lynkr.resilience.bulkhead import Bulkheads
from lynkr.resilience.classify import Blame, Classifier, Verdict, outcome_of, verdict_of
from lynkr.resilience.hints import wait_hint
from lynkr.resilience.outcome import Outcome
from lynkr.resilience.percentile import Percentiles
from lynkr.resilience.protocols import BreakerState, BreakerStatus, CircuitBreaker, Permit, RetryPolicy
from lynkr.resilience.registry import BreakerRegistry, ForcedBreakers, MemoryBreakers, credential_key, shut
from lynkr.resilience.retry import FullJitter
from lynkr.resilience.throttle import AdaptiveThrottle, ThrottleConfig, Throttles

__all__ = [
    "AdaptiveThrottle",
    "Blame",
    "BreakerConfig",
    "BreakerRegistry",
    "BreakerState",
    "BreakerStatus",
    "BudgetConfig",
    "Bulkheads",
    "CircuitBreaker",
    "Classifier",
    "ForcedBreakers",
    "FullJitter",
    "MemoryBreakers",
    "Outcome",
    "Percentiles",
    "Permit",
    "RetryBudget",
    "RetryBudgets",
    "RetryPolicy",
    "ThrottleConfig",
    "Throttles",
    "Verdict",
    "WindowBreaker",
    "credential_key",
    "outcome_of",
    "shut",
    "verdict_of",
    "wait_hint",
]
