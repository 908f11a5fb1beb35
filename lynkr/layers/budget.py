"""Whose retry budget a call draws on."""

from lynkr.resilience.budget import RetryBudget, RetryBudgets
from lynkr.service import Call


def budget_of(budgets: RetryBudgets, call: Call) -> RetryBudget:
    """The budget of the provider that was tried first, and of who asks.

    A request stays with the first provider's budget wherever it goes from
    there: so the bound on attempts holds however many fallbacks there are.
    """
    attempts = call.journal.attempts
    first = attempts[0].target if attempts else call.target
    return budgets.budget((first.provider, call.tenant))
