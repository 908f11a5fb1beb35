"""Try the same target again, after the wait the policy says."""

import random as _random
import time
from collections.abc import Awaitable, Callable
from typing import Final

import anyio
from attrs import define, field
from tenacity import AsyncRetrying, RetryCallState

from lynkr.errors import AllTargetsFailed, CircuitOpen, LynkrError, UpstreamBusy, UpstreamError
from lynkr.resilience.classify import Classifier, verdict_of
from lynkr.resilience.hints import wait_hint
from lynkr.resilience.protocols import RetryPolicy
from lynkr.resilience.retry import FullJitter
from lynkr.service import Call, Layer, Reply, Service

MAX_ATTEMPTS: Final = 3
"""Per request, retries and fallbacks together (SRE book: three)."""

PATIENCE: Final = 1.0


def retry(
    policy: RetryPolicy | None = None,
    *,
    max_attempts: int = MAX_ATTEMPTS,
    patience: float = PATIENCE,
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
    the call's journal, so the `journal` layer belongs further in.  *clock* is
    in Unix seconds, for hints that are dates; *monotonic* is the deadline's.

    Raises:
        LynkrError: the only attempt's error, or an `AllTargetsFailed` with one
            error per attempt, in order.
    """
    chosen = FullJitter(max_attempts=max_attempts) if policy is None else policy

    def layer(service: Service) -> Service:
        async def send(call: Call) -> Reply:
            began = monotonic()
            # Nearly every call succeeds at once; it does not pay for the machinery of retries.
            try:
                return await service(call)
            except LynkrError as error:
                failures = [error]
            plan = _Plan(
                call=call,
                policy=chosen,
                verdict=verdict,
                max_attempts=max_attempts,
                patience=patience,
                clock=clock,
                monotonic=monotonic,
                random=random,
                began=began,
            )

            async def attempt() -> Reply:
                if failures:
                    raise failures.pop()
                return await service(call)

            retrying = AsyncRetrying(sleep=sleep, retry=plan.should_retry, wait=plan.wait, reraise=True)
            try:
                return await retrying(attempt)
            except LynkrError as error:
                failure = plan.failure(error)
                if failure is error:
                    raise
                raise failure from error

        return send

    return layer


@define(kw_only=True)
class _Plan:
    """One call's retries.  tenacity asks it after each failure whether, then how long."""

    call: Call
    policy: RetryPolicy
    verdict: Classifier
    max_attempts: int
    patience: float
    clock: Callable[[], float]
    monotonic: Callable[[], float]
    random: Callable[[], float]
    began: float
    errors: list[LynkrError] = field(factory=list[LynkrError])
    delay: float = 0.0

    def should_retry(self, state: RetryCallState) -> bool:
        error = state.outcome.exception() if state.outcome is not None else None
        if not isinstance(error, LynkrError):
            return False
        if not (self.errors and isinstance(error, CircuitOpen)):  # refused between retries: nothing was sent
            self.errors.append(error)
        if isinstance(error, UpstreamBusy) and error.retry_after is None:
            error.retry_after = wait_hint(error.headers, self.clock())
        made = max(len(self.call.journal.attempts), len(self.errors))
        if not self._is_worth_it(error, made):
            return False
        now = self.monotonic()
        delay = self.policy.delay(made, error, now - self.began, self.random())
        if delay is None or (self.call.deadline is not None and now + delay >= self.call.deadline):
            return False
        self.delay = delay
        return True

    def wait(self, state: RetryCallState) -> float:  # noqa: ARG002  # reason: tenacity's signature
        return self.delay

    def failure(self, error: LynkrError) -> LynkrError:
        if len(self.errors) > 1:
            return AllTargetsFailed(f"{self.call.target} failed {len(self.errors)} times", self.errors)
        return self.errors[0] if self.errors else error

    def _is_worth_it(self, error: LynkrError, made: int) -> bool:
        verdict = self.verdict(error)
        left = self.max_attempts - made
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
        return left > 1 and hint is not None and hint <= self.patience
