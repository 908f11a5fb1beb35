"""The breaker against a plain model of it: one state machine for every backend.

Times are whole sixty-fourths of a second, so that sums of them are exact and
"just at the threshold" means just that.
"""

from collections.abc import Callable
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, precondition, rule

from lynkr.resilience.breaker import BreakerConfig
from lynkr.resilience.outcome import Outcome
from lynkr.resilience.protocols import BreakerState
from lynkr.resilience.registry import BreakerRegistry

TICK = 1 / 64
KEY = "local:qwen3"
_STEPS = sorted({0, 1, 64} | {64 * s + d for s in (10, 15, 30, 50, 60, 120, 240, 300) for d in (-1, 0, 1)})


class ModelBreaker:
    """What the documentation says, remembered call by call and without regard to cost."""

    def __init__(self, config: BreakerConfig) -> None:
        self.config = config
        self.state = "closed"
        self.era = 0
        self.since: float | None = None
        self.openings = 0
        self.reopens_at = 0.0
        self.in_a_row = 0
        self.refused = 0
        self.calls: list[tuple[int, bool, bool]] = []
        self.ramp_asked = 0
        self.ramp_let = 0
        self.probes: dict[int, float] = {}
        self.probes_sent = 0

    def _slice(self, now: float) -> int:
        return max([int(now * 6 // self.config.window), *(when for when, _, _ in self.calls)])

    def recent(self, now: float) -> list[bool]:
        return [failed for when, failed, _ in self.calls if when > self._slice(now) - 6]

    def recent_slow(self, now: float) -> int:
        return sum(slow for when, _, slow in self.calls if when > self._slice(now) - 6)

    def is_warming_up(self, now: float) -> bool:
        was_open = self.openings > 0 and self.since is not None
        return self.state == "closed" and was_open and 0 <= now - (self.since or 0) < self.config.slow_start

    def _time_is_over(self, now: float) -> bool:
        clock_was_set_back = now < self.reopens_at - 2 * self.config.longest_open
        return now >= self.reopens_at or clock_was_set_back

    def seen_state(self, now: float) -> str:
        return "half_open" if self.state == "open" and self._time_is_over(now) else self.state

    def _become(self, state: str, now: float) -> None:
        self.state = state
        self.era += 1
        self.since = now
        self.probes = {}
        self.ramp_asked = self.ramp_let = 0

    def acquire(self, now: float) -> tuple[int, int] | None:
        if self.since is None:
            self.since = now
        if self.is_warming_up(now):
            self.ramp_asked += 1
            share = max(0.1, (now - self.since) / self.config.slow_start)
            if self.ramp_let < self.ramp_asked * share:
                self.ramp_let += 1
                return self.era, 0
            self.refused += 1
            return None
        if self.state in ("closed", "disabled", "metrics_only"):
            return self.era, 0
        if self.state == "open" and self._time_is_over(now):
            self._become("half_open", now)
            self.probes_sent = 0
        if self.state == "half_open":
            silent = [n for n, left in self.probes.items() if abs(now - left) >= self.config.probe_lease]
            busy = len(self.probes) - len(silent)
            if busy < self.config.probes:
                for number in silent:
                    del self.probes[number]
                self.probes_sent += 1
                self.probes[self.probes_sent] = now
                return self.era, self.probes_sent
        self.refused += 1
        return None

    def settle(self, permit: tuple[int, int], outcome: Outcome, slow: bool, now: float) -> None:
        era, probe = permit
        if era != self.era or self.state in ("disabled", "forced_open"):
            return
        if outcome is Outcome.IGNORED:
            self.probes.pop(probe, None)
            return
        failed = outcome is Outcome.FAILURE
        if self.state == "half_open" and not failed and not slow:
            self.calls = []
        self.calls.append((self._slice(now), failed, slow))
        self.in_a_row = self.in_a_row + 1 if failed else 0
        if self.state == "half_open":
            if failed or slow:
                self._open(now)
            else:
                self._become("closed", now)
        elif self.state == "closed" and (failed or slow) and self._is_bad(now):
            if now - (self.since or 0.0) >= self.config.window:
                self.openings = 0
            self.refused = 0
            self._open(now)

    def _is_bad(self, now: float) -> bool:
        recent = self.recent(now)
        share = sum(recent) / len(recent)
        enough = len(recent) >= self.config.min_calls
        return self.in_a_row >= self.config.consecutive_failures or (
            enough
            and (
                share >= self.config.failure_ratio
                or self.recent_slow(now) / len(recent) >= self.config.slow_ratio
            )
        )

    def _open(self, now: float) -> None:
        self.openings += 1
        length = self.config.open_for
        for _ in range(self.openings - 1):
            length *= 2
        self._become("open", now)
        self.reopens_at = now + min(length, self.config.longest_open)

    def force(self, state: str, now: float) -> None:
        era = self.era
        self.__init__(self.config)  # type: ignore[misc]
        self.era = era
        self._become(state, now)


class BreakerMachine(RuleBasedStateMachine):
    """Subclasses say which backends to drive; several handles stand for several processes."""

    permits = Bundle("permits")

    def open_handles(self, config: BreakerConfig) -> list[BreakerRegistry]:
        raise NotImplementedError

    @initialize(
        start=st.sampled_from([0, 64, 64 * 1_700_000_000]),
        config=st.builds(
            BreakerConfig,
            probes=st.integers(1, 3),
            consecutive_failures=st.sampled_from([1, 2, 5, 100]),
            min_calls=st.sampled_from([1, 3, 10]),
            failure_ratio=st.sampled_from([0.25, 0.5, 1.0]),
            slow_start=st.sampled_from([0.0, 10.0]),
        ),
    )
    def begin(self, start: int, config: BreakerConfig) -> None:
        self.now = start * TICK
        self.model = ModelBreaker(config)
        self.handles = self.open_handles(config)
        self.in_flight: dict[int, tuple[float, int]] = {}
        self.given = 0

    def handle(self, which: int) -> BreakerRegistry:
        return self.handles[which % len(self.handles)]

    @rule(step=st.sampled_from(_STEPS))
    def time_passes(self, step: int) -> None:
        self.now += step * TICK

    @rule(step=st.sampled_from([1, 32, 64 * 3600]))
    def clock_is_set_back(self, step: int) -> None:
        self.now -= step * TICK

    @rule(target=permits, which=st.integers(0, 3))
    def acquire(self, which: int) -> Any:
        breaker = self.handle(which).breaker(KEY)
        before = breaker.state(self.now)
        real, expected = breaker.try_acquire(self.now), self.model.acquire(self.now)
        assert (real is None) == (expected is None)
        if real is None or expected is None:
            return None
        assert before not in (BreakerState.OPEN, BreakerState.FORCED_OPEN)
        assert real.probe == expected[1]
        self.given += 1
        if real.probe:
            era = self.model.era
            self.in_flight[self.given] = (self.now, era)
            fresh = [
                left
                for left, its_era in self.in_flight.values()
                if its_era == era and abs(self.now - left) < self.model.config.probe_lease
            ]
            assert len(fresh) <= self.model.config.probes
        return self.given, real, expected

    @rule(
        permit=permits,
        outcome=st.sampled_from(Outcome),
        which=st.integers(0, 3),
        slow=st.sampled_from([False, False, True]),
    )
    def settle(self, permit: Any, outcome: Outcome, which: int, slow: bool = False) -> None:
        if permit is None:
            return
        number, real, expected = permit
        breaker = self.handle(which).breaker(KEY)
        before, is_stale = breaker.status(self.now), expected[0] != self.model.era
        breaker.settle(real, outcome, self.now, slow=slow)
        self.model.settle(expected, outcome, slow, self.now)
        self.in_flight.pop(number, None)
        after = breaker.status(self.now)
        if is_stale:
            assert after == before
        if outcome is not Outcome.FAILURE and not slow:
            assert after.state is before.state or after.state is BreakerState.CLOSED

    @rule(
        outcomes=st.lists(st.sampled_from([Outcome.SUCCESS, Outcome.FAILURE, Outcome.FAILURE]), max_size=12),
        slow=st.booleans(),
    )
    def calls_come_and_go(self, outcomes: list[Outcome], slow: bool) -> None:
        for which, outcome in enumerate(outcomes):
            permit = self.acquire(which)
            if permit is not None:
                self.settle(permit, outcome, which + 1, slow)

    @precondition(lambda self: self.given > 5)
    @rule(
        state=st.sampled_from(
            [BreakerState.CLOSED, BreakerState.FORCED_OPEN, BreakerState.DISABLED, BreakerState.METRICS_ONLY]
        ),
        which=st.integers(0, 3),
    )
    def operator_forces(self, state: BreakerState, which: int) -> None:
        self.handle(which).force(KEY, state, self.now)
        self.model.force(state.value, self.now)

    @invariant()
    def every_handle_tells_the_same_story(self) -> None:
        if not hasattr(self, "model"):
            return
        model, now = self.model, self.now
        recent = model.recent(now)
        for handle in self.handles:
            status = handle.breaker(KEY).status(now)
            assert status.state.value == model.seen_state(now)
            assert status.successes == recent.count(False)
            assert status.failures == recent.count(True)
            assert status.slow == model.recent_slow(now)
            assert status.rejected == model.refused
            assert status.changed == (now if model.since is None else model.since)
            is_waiting = model.seen_state(now) == "open"
            assert status.next_attempt == (model.reopens_at if is_waiting else None)
            assert handle.statuses(now) == ((status,) if model.since is not None else ())
            is_shut = model.seen_state(now) in ("open", "forced_open")
            assert handle.refusing(now) == ({KEY} if is_shut else frozenset())


def machine_over(open_handles: Callable[[BreakerConfig], list[BreakerRegistry]]) -> type[BreakerMachine]:
    class Machine(BreakerMachine):
        def open_handles(self, config: BreakerConfig) -> list[BreakerRegistry]:
            return open_handles(config)

    return Machine
