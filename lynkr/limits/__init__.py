"""What one tenant may ask and spend: pure state machines, with the time as an argument."""

from lynkr.limits.rate import Rate
from lynkr.limits.spending import Period, Spending
from lynkr.limits.tenants import (
    Account,
    BudgetSpent,
    Grant,
    Limits,
    LimitsUnavailable,
    RateLimited,
    Reservation,
    Spent,
    TenantLimits,
    TenantRules,
    rules_of,
)

__all__ = [
    "Account",
    "BudgetSpent",
    "Grant",
    "Limits",
    "LimitsUnavailable",
    "Period",
    "Rate",
    "RateLimited",
    "Reservation",
    "Spending",
    "Spent",
    "TenantLimits",
    "TenantRules",
    "rules_of",
]
