"""Where the first token is late, ask a second target beside the first.

"The Tail at Scale" (Dean and Barroso, 2013): after the 95th percentile of the
usual time, about five per cent of the calls are sent twice and the stragglers
are gone.  What the loser has used is billed all the same, and is a row of its
own in the record.
"""

import time
from collections.abc import Awaitable, Callable
from typing import Final

import anyio
from attrs import define, evolve, field

from lynkr.errors import NotSent, without_frames
from lynkr.layers.budget import budget_of
from lynkr.layers.retry import MAX_ATTEMPTS
from lynkr.model import Event
from lynkr.resilience.budget import RetryBudgets
from lynkr.resilience.outcome import AttemptKind
from lynkr.resilience.percentile import Percentiles
from lynkr.routing.decision import Target
from lynkr.service import Call, Layer, Reply, Service

_CLOSE_SECONDS: Final = 5.0


def hedge(
    delays: Callable[[Target], float | None],
    *,
    budgets: RetryBudgets,
    affordable: Callable[[Call], bool] = lambda _call: True,
    max_attempts: int = MAX_ATTEMPTS,
    observe: Callable[[Target, float], None] = lambda _target, _seconds: None,
    monotonic: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], Awaitable[None]] = anyio.sleep,
) -> Layer:
    """A layer that sends a call a second time when nothing has come of it after a while.

    Goes inside retry and outside the breaker.  *delays* gives how long to wait
    for a target's first token, in seconds, or None not to hedge; *observe* is
    told how long an unhedged answer took to begin.  The second attempt goes to
    the call's next target, else to the same; a request has one at most, within its
    *max_attempts*, it draws on *budgets*, it is sent only where it is *affordable*,
    and a *forced* call has none.  The first to have a token serves,
    the other is cancelled.  If the first fails before the second is sent, there is none.
    The call's observer is shown the events of the one that serves, and of no other.

    Raises:
        LynkrError: what the first attempt met, if both failed.
    """

    def layer(service: Service) -> Service:
        async def send(call: Call) -> Reply:
            delay = delays(call.target) if _may_be_hedged(call, max_attempts) else None
            if delay is None:
                began = monotonic()
                reply = await service(call)
                observe(call.target, monotonic() - began)
                return reply
            return await _Race(call, service, budgets, affordable, observe, monotonic).run(delay, sleep)

        return send

    return layer


def _may_be_hedged(call: Call, max_attempts: int) -> bool:
    """Whether there is an attempt left beside the one about to be made, and none was a hedge."""
    attempts = call.journal.attempts
    if call.forced or len(attempts) + 2 > max_attempts:
        return False
    return all(attempt.kind is not AttemptKind.HEDGE for attempt in attempts)


@define
class _Held:
    """Shows *observer* the events of one of two attempts once that has won; the loser's are dropped."""

    observer: Callable[[Event], None]
    events: list[Event] | None = field(factory=list[Event])

    def __call__(self, event: Event) -> None:
        if self.events is None:
            self.observer(event)
        else:
            self.events.append(event)

    def release(self) -> None:
        events, self.events = self.events, None
        for event in events or ():
            self.observer(event)


@define
class _Race:
    call: Call
    service: Service
    budgets: RetryBudgets
    affordable: Callable[[Call], bool]
    observe: Callable[[Target, float], None]
    monotonic: Callable[[], float]
    winner: Reply | None = None
    errors: dict[int, BaseException] = field(factory=dict[int, BaseException])
    first_ended: anyio.Event = field(factory=anyio.Event)

    async def run(self, delay: float, sleep: Callable[[float], Awaitable[None]]) -> Reply:
        began = self.monotonic()
        try:
            async with anyio.create_task_group() as runners:

                async def run(number: int, call: Call) -> None:
                    held = None if call.observer is None else _Held(call.observer)
                    call = call if held is None else evolve(call, observer=held)
                    try:
                        reply = await self.service(call)
                    except Exception as error:  # noqa: BLE001  # reason: re-raised below, in the caller's task
                        self.errors[number] = error
                        if number == 0:
                            self.first_ended.set()
                        return
                    if self.winner is not None:  # both in one tick: this one lost
                        await _close(reply)
                        return
                    self.winner = reply
                    if held is not None:
                        held.release()
                    if number == 0 and len(self.call.journal.attempts) == 1:
                        self.observe(call.target, self.monotonic() - began)
                    runners.cancel_scope.cancel()

                runners.start_soon(run, 0, self.call)
                if await self._is_late(delay, sleep) and self.affordable(second := self._second()):
                    budget = budget_of(self.budgets, self.call)
                    if budget.withdraw(self.monotonic()):
                        await run(1, second)
                        if self.winner is not None or isinstance(self.errors.get(1), NotSent):
                            budget.refund()
        except BaseException:
            if self.winner is not None:
                await _close(self.winner)
            raise
        return self._outcome()

    def _outcome(self) -> Reply:
        told = None if self.winner is not None else self.errors[0]
        for error in self.errors.values():
            if error is not told:  # nobody will be
                without_frames(error)
        if self.winner is not None:
            return self.winner
        raise self.errors[0]

    async def _is_late(self, delay: float, sleep: Callable[[float], Awaitable[None]]) -> bool:
        """Whether the first attempt is still silent after *delay*."""
        async with anyio.create_task_group() as waiting:

            async def until_it_ended() -> None:
                await self.first_ended.wait()
                waiting.cancel_scope.cancel()

            waiting.start_soon(until_it_ended)
            await sleep(delay)
            waiting.cancel_scope.cancel()
        return not self.first_ended.is_set()

    def _second(self) -> Call:
        call = self.call
        target = call.alternatives[0] if call.alternatives else call.target
        return evolve(call, target=target, alternatives=call.alternatives[1:], kind=AttemptKind.HEDGE)


async def _close(reply: Reply) -> None:
    with anyio.move_on_after(_CLOSE_SECONDS, shield=True):
        await reply.aclose()


def fixed_or_usual(delay: float | None, percentiles: Percentiles) -> Callable[[Target], float | None]:
    """*delay* for every target, or where it is None the target's own percentile once that is known."""

    def seconds(target: Target) -> float | None:
        return percentiles.of(str(target)) if delay is None else delay

    return seconds
