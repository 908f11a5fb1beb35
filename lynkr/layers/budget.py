"""Whose retry budget a call draws on."""

from lynkr.resilience.budget import RetryBudget, RetryBudgets
from lynkr.service import Call


def budget_of(budgets: RetryBudgets, call: Call) -> RetryBudget:
    """The budget of the provider whose target came first, and of who asks.

    A request stays with it wherever it goes from there: so the bound on
    attempts holds however many fallbacks there are.
    """
    journal = call.journal
    if journal.budget is None:
        journal.budget = budgets.budget((call.target.provider, call.tenant))
    return journal.budget
