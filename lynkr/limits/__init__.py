"""What one tenant may ask and spend: pure state machines, with the time as an argument."""

from lynkr.limits.rate import Rate
from lynkr.limits.spending import Period, Spending
from lynkr.limits.tenants import (
    BudgetSpent,
    Grant,
    RateLimited,
    Spent,
    TenantLimits,
    TenantRules,
)

__all__ = [
    "BudgetSpent",
    "Grant",
    "Period",
    "Rate",
    "RateLimited",
    "Spending",
    "Spent",
    "TenantLimits",
    "TenantRules",
]
