"""Ask the target's circuit breaker before each attempt, and tell it how the attempt went."""

import time
from collections.abc import Callable

from lynkr.errors import CircuitOpen
from lynkr.layers.streams import watched
from lynkr.resilience.classify import Classifier, verdict_of
from lynkr.resilience.outcome import Outcome
from lynkr.resilience.protocols import CircuitBreaker, Permit
from lynkr.resilience.registry import BreakerRegistry
from lynkr.routing.decision import Target
from lynkr.service import Call, Layer, Reply, Service


def breaker(
    registry: BreakerRegistry,
    *,
    clock: Callable[[], float] = time.time,
    key: Callable[[Target], str] = str,
    verdict: Classifier = verdict_of,
) -> Layer:
    """A layer that sends nothing while the target's circuit is open.

    Goes inside retry, so that every attempt gets a verdict.  The verdict comes
    when the answer's stream ends, not when it starts: an upstream that breaks
    in the middle of its answers is a broken upstream.  A client that leaves,
    and cancellation, are `IGNORED`.

    *clock* is in seconds and must be the one `registry.statuses` is asked with;
    a registry shared between processes needs the wall clock, hence the default.

    A `Call` that is *forced* goes through an open circuit without a permit, so
    its outcome moves nothing.

    Raises:
        CircuitOpen: the breaker refused; *retry_after* says when it will try again.
    """

    def layer(service: Service) -> Service:
        async def send(call: Call) -> Reply:
            name = key(call.target)
            circuit = registry.breaker(name)
            permit = circuit.try_acquire(clock())
            if permit is None:
                if call.forced:
                    return await service(call)
                raise _refusal(circuit, call.target, clock())
            settle = _Settlement(circuit, permit, clock, verdict)
            try:
                reply = await service(call)
            except BaseException as error:
                settle(error, False)
                raise
            return watched(reply, settle)

        return send

    return layer


class _Settlement:
    """Returns one permit with the verdict its attempt earned."""

    __slots__ = ("_circuit", "_clock", "_permit", "_verdict")

    def __init__(
        self, circuit: CircuitBreaker, permit: Permit, clock: Callable[[], float], verdict: Classifier
    ) -> None:
        self._circuit = circuit
        self._permit = permit
        self._clock = clock
        self._verdict = verdict

    def __call__(self, error: BaseException | None, whole: bool) -> None:
        outcome = ending_outcome(error, whole, self._verdict)
        self._circuit.settle(self._permit, outcome, self._clock())


def ending_outcome(error: BaseException | None, whole: bool, verdict: Classifier) -> Outcome:
    """What an attempt proves that ended with *error*, with a *whole* answer, or with the client gone."""
    if error is not None:
        return verdict(error).outcome
    return Outcome.SUCCESS if whole else Outcome.IGNORED


def _refusal(circuit: CircuitBreaker, target: Target, now: float) -> CircuitOpen:
    status = circuit.status(now)
    wait = None if status.next_attempt is None else max(0.0, status.next_attempt - now)
    when = "" if wait is None else f"; it will be tried again in {wait:.0f} s"
    return CircuitOpen(
        f"{target}: the circuit is {status.state.value.replace('_', '-')} after repeated failures{when}",
        target=str(target),
        retry_after=wait,
    )
