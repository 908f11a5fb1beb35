"""Where one target fails, ask the next."""

import time
from collections import Counter
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Final

import anyio
from attrs import evolve, frozen

from lynkr.errors import (
    AllTargetsFailed,
    CircuitOpen,
    DeadlineExceeded,
    LynkrError,
    NotSent,
    UpstreamError,
    without_frames,
)
from lynkr.layers.budget import budget_of
from lynkr.layers.retry import MAX_ATTEMPTS
from lynkr.resilience.budget import RetryBudget, RetryBudgets
from lynkr.resilience.classify import Classifier, verdict_of
from lynkr.resilience.outcome import AttemptKind
from lynkr.routing.decision import Target
from lynkr.service import Call, Layer, Reply, Service

PAUSE: Final = 0.5


def fallback(
    *,
    max_attempts: int = MAX_ATTEMPTS,
    panic: bool = True,
    budgets: RetryBudgets | None = None,
    pause: float = PAUSE,
    monotonic: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], Awaitable[None]] = anyio.sleep,
    verdict: Classifier = verdict_of,
) -> Layer:
    """A layer that sends a call to its target, then to its alternatives in order.

    Outermost.  At most *max_attempts* attempts, those of the journal (retries
    further in) counted; a target that was not sent to (its circuit is open,
    say) costs none.  Each attempt after the first draws on *budgets*; with
    none left the error so far is told.  A service fails before it returns a
    `Reply` or not at all, so there is no fallback once a part of an answer has
    been seen.

    - The caller's own fault ends it at once; a context overflow does not.
    - After a refused key or a dead host, the same provider's other targets are
      tried last; otherwise the order is the call's.
    - A provider that said 429 twice is given *pause* seconds before its next target.
    - Nothing is begun after `Call.deadline`.
    - *panic*: when nothing was sent and circuits are open, the target whose
      circuit is to be tried soonest is sent one call all the same
      (`Call.forced`), because refusing everything helps nobody.  A circuit that
      the operator opened stays open.

    Raises:
        LynkrError: the only attempt's error, or an `AllTargetsFailed` with one
            error per attempt, in order; `NotSent` when nothing was tried;
            `DeadlineExceeded` when there was no time to try anything.
    """
    rules = _Rules(
        max_attempts=max_attempts,
        panic=panic,
        budgets=budgets,
        pause=pause,
        monotonic=monotonic,
        sleep=sleep,
        verdict=verdict,
    )

    return lambda service: partial(_send, service, rules)


async def _send(service: Service, rules: "_Rules", call: Call) -> Reply:
    budget = None if rules.budgets is None else budget_of(rules.budgets, call)
    failure: LynkrError | None = None
    if budget is not None:
        budget.enter(rules.monotonic())
    try:
        if rules.may_begin_with(call):
            # Nearly every call is served by its first target; it does not pay for the ladder.
            try:
                return await service(call)
            except LynkrError as error:
                failure = error
        return await _climb(call, service, rules, failure)
    finally:
        failure = None  # it holds this frame, which would hold it
        if budget is not None:
            budget.leave(rules.monotonic())


@frozen(kw_only=True)
class _Rules:
    max_attempts: int
    panic: bool
    budgets: RetryBudgets | None
    pause: float
    monotonic: Callable[[], float]
    sleep: Callable[[float], Awaitable[None]]
    verdict: Classifier

    def may_begin_with(self, call: Call) -> bool:
        """Whether *call* may be sent as it is: in time, to its first target, which is not named again."""
        others = call.alternatives
        return (
            not call.journal.attempts
            and self.max_attempts > 0
            and (call.deadline is None or self.monotonic() < call.deadline)
            and (not others or len({call.target, *others}) == 1 + len(others))
        )


async def _climb(call: Call, service: Service, rules: _Rules, failure: LynkrError | None) -> Reply:
    """Try target after target; *failure* is what became of the first, None if it is still to be tried."""
    ladder = _Ladder(call, rules.verdict)
    if failure is not None and (first := ladder.next()) is not None:
        ladder.failed(first, failure, None)
    made = max(len(call.journal.attempts), len(ladder.errors))
    while made < rules.max_attempts and (target := ladder.next()) is not None:
        wait = ladder.pause_before(target, rules.pause)
        if call.deadline is not None and rules.monotonic() + wait >= call.deadline:
            ladder.out_of_time(target)
            break
        budget = None if rules.budgets is None or not made else budget_of(rules.budgets, call)
        if budget is not None and not budget.withdraw(rules.monotonic()):
            break
        if wait:
            await rules.sleep(wait)
        try:
            reply = await service(ladder.call_to(target))
        except LynkrError as error:
            ladder.failed(target, error, budget)
        else:
            if budget is not None:
                budget.refund()
            ladder.forget()
            return reply
        made = max(len(call.journal.attempts), len(ladder.errors))
    if rules.panic and (least_bad := ladder.least_bad) is not None:
        forced = evolve(call, target=least_bad, alternatives=(), forced=True, kind=AttemptKind.PANIC)
        try:
            return await service(forced)
        finally:
            ladder.forget()
    raise ladder.failure()


class _Ladder:
    """One call's targets: those still to be tried, and what the others answered."""

    def __init__(self, call: Call, verdict: Classifier) -> None:
        self.rest: tuple[Target, ...] = tuple(dict.fromkeys((call.target, *call.alternatives)))
        self._call = call
        self.errors: list[LynkrError] = []
        self._refused: list[tuple[Target, NotSent]] = []
        self._busy: Counter[str] = Counter()
        self._verdict = verdict

    @property
    def least_bad(self) -> Target | None:
        """The target to try against its breaker's word; None if something was sent, or nothing may be."""
        if self.errors:
            return None
        shut = [
            (error.retry_after or 0.0, number, target)
            for number, (target, error) in enumerate(self._refused)
            if isinstance(error, CircuitOpen) and not error.by_operator
        ]
        return min(shut)[2] if shut else None

    def next(self) -> Target | None:
        if not self.rest:
            return None
        target, *rest = self.rest
        self.rest = tuple(rest)
        return target

    def call_to(self, target: Target) -> Call:
        """The call for *target*; the very same one where it says just that, as a copy costs microseconds."""
        call = self._call
        if target is call.target and len(self.rest) == len(call.alternatives):
            return call
        return evolve(call, target=target, alternatives=self.rest)

    def pause_before(self, target: Target, pause: float) -> float:
        """One immediate try after a 429 is fair, a second is a burst."""
        return pause if self._busy[target.provider] > 1 else 0.0

    def failed(self, target: Target, error: LynkrError, budget: RetryBudget | None) -> None:
        if isinstance(error, NotSent):
            self._refused.append((target, error))
            if budget is not None:
                budget.refund()
            return
        attempts = _flat(error)
        self.errors += attempts
        self._busy[target.provider] += sum(_is_rate_limited(attempt) for attempt in attempts)
        verdict = self._verdict(error)
        if not verdict.try_next:
            self.rest = ()
        elif verdict.defer_provider:
            self.rest = tuple(sorted(self.rest, key=lambda other: other.provider == target.provider))

    def out_of_time(self, target: Target) -> None:
        if not self.errors:
            self._refused.clear()
            message = f"{target}: the request's deadline passed before it was sent"
            self.errors.append(DeadlineExceeded(message, target=str(target)))

    def forget(self) -> None:
        """Nobody will be told of the failures there were."""
        for error in (*self.errors, *(refusal for _, refusal in self._refused)):
            without_frames(error)

    def failure(self) -> LynkrError:
        """What to tell; the rest is forgotten."""
        refusals = [error for _, error in self._refused]
        told = None if self.errors else min(refusals, key=lambda error: error.retry_after or 0.0)
        for error in refusals:
            if error is not told:
                without_frames(error)
        if told is not None:
            return told
        if len(self.errors) == 1:
            return self.errors[0]
        return AllTargetsFailed(f"all {len(self.errors)} attempts failed", self.errors)


def _flat(error: LynkrError) -> list[LynkrError]:
    if isinstance(error, AllTargetsFailed):
        error.__traceback__ = None  # its members are told, each with its own
        return [leaf for inner in error.exceptions for leaf in _flat(inner)]  # type: ignore[arg-type]  # reason: members are LynkrErrors
    return [error]


def _is_rate_limited(error: LynkrError) -> bool:
    return isinstance(error, UpstreamError) and error.status == 429
