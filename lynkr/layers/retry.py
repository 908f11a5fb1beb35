"""Try the same target again, after the wait the policy says."""

import random as _random
import time
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Final

import anyio
from attrs import define, field, frozen
from tenacity import AsyncRetrying, RetryCallState

from lynkr.errors import AllTargetsFailed, LynkrError, NotSent, UpstreamBusy, UpstreamError, without_frames
from lynkr.layers.budget import budget_of
from lynkr.resilience.budget import RetryBudget, RetryBudgets
from lynkr.resilience.classify import Classifier, verdict_of
from lynkr.resilience.hints import wait_hint
from lynkr.resilience.outcome import AttemptKind
from lynkr.resilience.protocols import RetryPolicy
from lynkr.resilience.retry import FullJitter
from lynkr.service import Call, Layer, Reply, Service

MAX_ATTEMPTS: Final = 3
"""Per request, retries and fallbacks together (SRE book: three)."""

PATIENCE: Final = 1.0
_FURTHER: Final = frozenset({AttemptKind.RETRY, AttemptKind.FALLBACK})


def retry(
    policy: RetryPolicy | None = None,
    *,
    max_attempts: int = MAX_ATTEMPTS,
    patience: float = PATIENCE,
    budgets: RetryBudgets | None = None,
    clock: Callable[[], float] = time.time,
    monotonic: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], Awaitable[None]] = anyio.sleep,
    random: Callable[[], float] = _random.random,
    verdict: Classifier = verdict_of,
) -> Layer:
    """A layer that sends a failed call to its target again; *policy* is `FullJitter` unless given.

    A service fails before it returns a `Reply` or not at all, so nothing is
    sent twice once a client has seen a part of an answer.

    While the call has alternatives, each of them is worth more than a second
    try at a target that has just failed, so one attempt of *max_attempts* is
    kept for each.  One exception: a provider that says "come back in" at most
    *patience* seconds is waited for, as long as one attempt is left for another
    target.  With no alternatives, all attempts go to the one target.

    Never sleeps past `Call.deadline`.  A *forced* call is sent once.  *max_attempts* counts the attempts in
    the call's journal, so the `journal` layer belongs further in.  First
    attempts are paid into *budgets* here, and each retry draws on them.  *clock*
    is in Unix seconds, for hints that are dates; *monotonic* is the deadline's.

    Raises:
        LynkrError: the only attempt's error, or an `AllTargetsFailed` with one
            error per attempt, in order.
    """
    rules = _Rules(
        policy=FullJitter(max_attempts=max_attempts) if policy is None else policy,
        verdict=verdict,
        max_attempts=max_attempts,
        patience=patience,
        budgets=budgets,
        clock=clock,
        monotonic=monotonic,
        random=random,
        sleep=sleep,
    )

    return lambda service: partial(_send, service, rules)


async def _send(service: Service, rules: "_Rules", call: Call) -> Reply:
    began = rules.monotonic()
    # Nearly every call succeeds at once; it does not pay for the machinery of retries.
    try:
        reply = await service(call)
    except LynkrError as error:
        failure = error
    else:
        if rules.budgets is not None:
            _pay_in(rules.budgets, call, rules.monotonic(), succeeded=True)
        return reply
    return await _Retries(call, rules, began).go_on(service, failure)


def _pay_in(budgets: RetryBudgets, call: Call, now: float, *, succeeded: bool = False) -> RetryBudget:
    """The call's budget, after the deposit of its first attempt if this is when that ended."""
    budget = budget_of(budgets, call)
    attempts = call.journal.attempts
    if (len(attempts) == 1 and attempts[0].kind is AttemptKind.FIRST) or all(
        attempt.kind not in _FURTHER for attempt in attempts
    ):
        budget.deposit(now, succeeded=succeeded)
    return budget


@frozen(kw_only=True)
class _Rules:
    policy: RetryPolicy
    verdict: Classifier
    max_attempts: int
    patience: float
    budgets: RetryBudgets | None
    clock: Callable[[], float]
    monotonic: Callable[[], float]
    random: Callable[[], float]
    sleep: Callable[[float], Awaitable[None]]


@define
class _Retries:
    """One call's retries.  tenacity asks after each failure whether, then how long."""

    call: Call
    rules: _Rules
    began: float
    errors: list[LynkrError] = field(factory=list[LynkrError])
    delay: float = 0.0
    paid: bool = False
    budget: RetryBudget | None = None

    async def go_on(self, service: Service, failure: LynkrError) -> Reply:
        """After the first attempt ended in *failure*."""
        if self.rules.budgets is not None and not isinstance(failure, NotSent):
            self.budget = _pay_in(self.rules.budgets, self.call, self.rules.monotonic())
        failures = [failure]

        async def attempt() -> Reply:
            if failures:
                raise failures.pop()
            return await service(self.call)

        retrying = AsyncRetrying(
            sleep=self.rules.sleep, retry=self.should_retry, wait=self.wait, reraise=True
        )
        try:
            reply: Reply = await retrying(attempt)
        except LynkrError as error:
            if isinstance(error, NotSent):
                self._refund()
            told = self._failure(error)
            if told is error:
                raise
            raise told from error
        finally:
            retrying.iter_state.reset()  # it refers to itself, and so to the request
        self._refund()
        for forgotten in self.errors:
            without_frames(forgotten)
        return reply

    def should_retry(self, state: RetryCallState) -> bool:
        error = state.outcome.exception() if state.outcome is not None else None
        if not isinstance(error, LynkrError):
            return False
        if not (self.errors and isinstance(error, NotSent)):  # refused between retries: nothing was sent
            self.errors.append(error)
        if isinstance(error, UpstreamBusy) and error.retry_after is None:
            error.retry_after = wait_hint(error.headers, self.rules.clock())
        made = max(len(self.call.journal.attempts), len(self.errors))
        if not self._is_worth_it(error, made):
            return False
        now = self.rules.monotonic()
        delay = self.rules.policy.delay(made, error, now - self.began, self.rules.random())
        if delay is None or (self.call.deadline is not None and now + delay >= self.call.deadline):
            return False
        if self.budget is not None and not self.budget.withdraw(now):
            return False
        self.paid = self.budget is not None
        self.delay = delay
        return True

    def wait(self, state: RetryCallState) -> float:  # noqa: ARG002  # reason: tenacity's signature
        return self.delay

    def _refund(self) -> None:
        """The last retry succeeded, or was not sent."""
        if self.paid and self.budget is not None:
            self.paid = False
            self.budget.refund()

    def _failure(self, error: LynkrError) -> LynkrError:
        if len(self.errors) > 1:
            return AllTargetsFailed(f"{self.call.target} failed {len(self.errors)} times", self.errors)
        return self.errors[0] if self.errors else error

    def _is_worth_it(self, error: LynkrError, made: int) -> bool:
        verdict = self.rules.verdict(error)
        left = self.rules.max_attempts - made
        if self.call.forced or not verdict.retry_same or left < 1:
            return False
        others = len(self.call.alternatives)
        if others == 0:
            return True
        if verdict.prefer_next:
            return False
        if left > others:
            return True
        hint = error.retry_after if isinstance(error, UpstreamError) else None
        return left > 1 and hint is not None and hint <= self.rules.patience
