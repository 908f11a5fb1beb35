"""Where one target fails, ask the next."""

import time
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Final

import anyio
from attrs import evolve

from lynkr.errors import AllTargetsFailed, CircuitOpen, DeadlineExceeded, LynkrError, UpstreamError
from lynkr.layers.retry import MAX_ATTEMPTS
from lynkr.resilience.classify import Classifier, verdict_of
from lynkr.routing.decision import Target
from lynkr.service import Call, Layer, Reply, Service

PAUSE: Final = 0.5


def fallback(
    *,
    max_attempts: int = MAX_ATTEMPTS,
    panic: bool = True,
    pause: float = PAUSE,
    monotonic: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], Awaitable[None]] = anyio.sleep,
    verdict: Classifier = verdict_of,
) -> Layer:
    """A layer that sends a call to its target, then to its alternatives in order.

    Outermost.  At most *max_attempts* attempts, those of the journal (retries
    further in) counted; a target whose circuit is open costs none.  A service
    fails before it returns a `Reply` or not at all, so there is no fallback
    once a part of an answer has been seen.

    - The caller's own fault ends it at once; a context overflow does not.
    - After a refused key or a dead host, the same provider's other targets are
      tried last; otherwise the order is the call's.
    - A provider that said 429 twice is given *pause* seconds before its next target.
    - Nothing is begun after `Call.deadline`.
    - *panic*: when every circuit is open the first target is sent one call all
      the same (`Call.forced`), because refusing everything helps nobody.

    Raises:
        LynkrError: the only attempt's error, or an `AllTargetsFailed` with one
            error per attempt, in order; `CircuitOpen` when nothing was tried;
            `DeadlineExceeded` when there was no time to try anything.
    """

    def layer(service: Service) -> Service:
        async def send(call: Call) -> Reply:
            ladder = _Ladder(call, verdict)
            made = len(call.journal.attempts)
            while (target := ladder.next()) is not None and made < max_attempts:
                wait = ladder.pause_before(target, pause)
                if call.deadline is not None and monotonic() + wait >= call.deadline:
                    ladder.out_of_time(target)
                    break
                if wait:
                    await sleep(wait)
                try:
                    return await service(evolve(call, target=target, alternatives=ladder.rest))
                except LynkrError as error:
                    ladder.failed(target, error)
                made = max(len(call.journal.attempts), len(ladder.errors))
            if panic and ladder.is_all_shut:
                return await service(evolve(call, alternatives=(), forced=True))
            raise ladder.failure()

        return send

    return layer


class _Ladder:
    """One call's targets: those still to be tried, and what the others answered."""

    def __init__(self, call: Call, verdict: Classifier) -> None:
        self.rest: tuple[Target, ...] = tuple(dict.fromkeys((call.target, *call.alternatives)))
        self.errors: list[LynkrError] = []
        self._shut: list[CircuitOpen] = []
        self._busy: Counter[str] = Counter()
        self._verdict = verdict

    @property
    def is_all_shut(self) -> bool:
        return bool(self._shut) and not self.errors

    def next(self) -> Target | None:
        if not self.rest:
            return None
        target, *rest = self.rest
        self.rest = tuple(rest)
        return target

    def pause_before(self, target: Target, pause: float) -> float:
        """One immediate try after a 429 is fair, a second is a burst."""
        return pause if self._busy[target.provider] > 1 else 0.0

    def failed(self, target: Target, error: LynkrError) -> None:
        if isinstance(error, CircuitOpen):
            self._shut.append(error)
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
            self._shut.clear()
            message = f"{target}: the request's deadline passed before it was sent"
            self.errors.append(DeadlineExceeded(message, target=str(target)))

    def failure(self) -> LynkrError:
        if not self.errors:
            return min(self._shut, key=lambda error: error.retry_after or 0.0)
        if len(self.errors) == 1:
            return self.errors[0]
        return AllTargetsFailed(f"all {len(self.errors)} attempts failed", self.errors)


def _flat(error: LynkrError) -> list[LynkrError]:
    if isinstance(error, AllTargetsFailed):
        return [leaf for inner in error.exceptions for leaf in _flat(inner)]  # type: ignore[arg-type]  # reason: members are LynkrErrors
    return [error]


def _is_rate_limited(error: LynkrError) -> bool:
    return isinstance(error, UpstreamError) and error.status == 429
