"""Breakers, retry policies and verdicts as pure values; every time is an argument."""

from lynkr.resilience.breaker import BreakerConfig, WindowBreaker
from lynkr.resilience.classify import Blame, Classifier, Verdict, outcome_of, verdict_of
from lynkr.resilience.hints import wait_hint
from lynkr.resilience.outcome import Outcome
from lynkr.resilience.protocols import BreakerState, BreakerStatus, CircuitBreaker, Permit, RetryPolicy
from lynkr.resilience.registry import BreakerRegistry, MemoryBreakers, shut
from lynkr.resilience.retry import FullJitter

__all__ = [
    "Blame",
    "BreakerConfig",
    "BreakerRegistry",
    "BreakerState",
    "BreakerStatus",
    "CircuitBreaker",
    "Classifier",
    "FullJitter",
    "MemoryBreakers",
    "Outcome",
    "Permit",
    "RetryPolicy",
    "Verdict",
    "WindowBreaker",
    "outcome_of",
    "shut",
    "verdict_of",
    "wait_hint",
]
