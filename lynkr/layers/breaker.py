"""Ask the breakers of a target and of its credential before each attempt, and tell them how it went."""

import time
from collections.abc import Callable
from typing import Final

from lynkr.errors import CircuitOpen
from lynkr.layers.streams import watched
from lynkr.resilience.classify import Classifier, verdict_of
from lynkr.resilience.outcome import Outcome
from lynkr.resilience.protocols import BreakerState, CircuitBreaker, Permit
from lynkr.resilience.registry import BreakerRegistry, credential_key
from lynkr.routing.decision import Target
from lynkr.service import Call, Layer, Reply, Service

SLOW_AFTER: Final = 30.0
"""Seconds until an answer's first token, from which on a call counts as slow."""

_WARMING: Final = 1.0


def breaker(
    registry: BreakerRegistry,
    *,
    clock: Callable[[], float] = time.time,
    slow_after: float = SLOW_AFTER,
    verdict: Classifier = verdict_of,
) -> Layer:
    """A layer that sends nothing while a circuit of the target's is open.

    There are two: the target's own (``provider:model``), for 5xx, timeouts and
    slowness, and its credential's (``provider:*``), for 401, 402 and 429.  Goes
    inside retry, so that every attempt gets a verdict.  The verdict comes
    when the answer's stream ends, not when it starts: an upstream that breaks
    in the middle of its answers is a broken upstream.  A client that leaves,
    and cancellation, are `IGNORED`.

    *clock* is in seconds and must be the one `registry.statuses` is asked with;
    a registry shared between processes needs the wall clock, hence the default.

    A `Call` that is *forced* goes through an open circuit without a permit, so
    its outcome moves nothing; through one that the operator opened it does not.

    Raises:
        CircuitOpen: a breaker refused; *retry_after* says when it will try again.
    """

    def layer(service: Service) -> Service:
        async def send(call: Call) -> Reply:
            circuit = registry.breaker(str(call.target))
            account = registry.breaker(credential_key(call.target.provider))
            began = clock()
            permit = circuit.try_acquire(began)
            if permit is None:
                refusing = circuit
            elif (leave := account.try_acquire(began)) is not None:
                settle = _Settlement(circuit, permit, account, leave, clock=clock, verdict=verdict)
                try:
                    reply = await service(call)
                except BaseException as error:
                    settle.slow = clock() - began >= slow_after
                    settle(error, False)
                    raise
                settle.slow = clock() - began >= slow_after
                return watched(reply, settle)
            else:
                circuit.settle(permit, Outcome.IGNORED, began)
                refusing = account
            refusal = _refusal(refusing, call.target, clock(), "credential" if refusing is account else "")
            if call.forced and not refusal.by_operator:
                return await service(call)
            raise refusal

        return send

    return layer


class _Settlement:
    """Returns one attempt's permits with the verdicts it earned."""

    __slots__ = ("_account", "_circuit", "_clock", "_leave", "_permit", "_verdict", "slow")

    def __init__(
        self,
        circuit: CircuitBreaker,
        permit: Permit,
        account: CircuitBreaker,
        leave: Permit,
        *,
        clock: Callable[[], float],
        verdict: Classifier,
    ) -> None:
        self._circuit = circuit
        self._permit = permit
        self._account = account
        self._leave = leave
        self._clock = clock
        self._verdict = verdict
        self.slow = False

    def __call__(self, error: BaseException | None, whole: bool) -> None:
        now = self._clock()
        if error is None:
            outcome = credential = Outcome.SUCCESS if whole else Outcome.IGNORED
        else:
            verdict = self._verdict(error)
            outcome, credential = verdict.outcome, verdict.credential
        self._circuit.settle(self._permit, outcome, now, slow=self.slow)
        self._account.settle(self._leave, credential, now)


def ending_outcome(error: BaseException | None, whole: bool, verdict: Classifier) -> Outcome:
    """What an attempt proves that ended with *error*, with a *whole* answer, or with the client gone."""
    if error is not None:
        judged = verdict(error)
        # A refused credential is nothing against the target, but the attempt failed all the same.
        return Outcome.FAILURE if Outcome.FAILURE in (judged.outcome, judged.credential) else judged.outcome
    return Outcome.SUCCESS if whole else Outcome.IGNORED


def _refusal(circuit: CircuitBreaker, target: Target, now: float, whose: str) -> CircuitOpen:
    status = circuit.status(now)
    wait: float | None = _WARMING
    if status.state is BreakerState.CLOSED:
        why = "is warming up after an outage"
    else:
        why = f"is {status.state.value.replace('_', '-')} after repeated failures"
        wait = None if status.next_attempt is None else max(0.0, status.next_attempt - now)
    by_operator = status.state is BreakerState.FORCED_OPEN
    if by_operator:
        why = "was opened by the operator"
    elif wait is not None:
        why += f"; it will be tried again in {wait:.0f} s"
    what = f"{target.provider}: the credential's circuit" if whose else f"{target}: the circuit"
    refusal = CircuitOpen(f"{what} {why}", target=str(target), retry_after=wait)
    refusal.by_operator = by_operator
    return refusal
