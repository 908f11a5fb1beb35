"""The circuit breaker.  Rule 1: everything that moves it is in this module.

`TRANSITIONS` are all the changes of state it makes itself; docs/resilience.md
draws them.  FORCED_OPEN, DISABLED and METRICS_ONLY are the operator's, and only
the operator leaves them.

State is one frozen value, `BreakerData`; `acquire`, `settle` and `force` map it
to the next one.  A store that shares it between processes runs the same
functions inside a transaction.

Every change of state starts a new *generation*.  A permit carries the
generation it was given in, and a verdict from an earlier one moves nothing: a
call that began before the breaker opened can neither close it again nor fail a
probe it has nothing to do with.

A probe holds one of few slots until its verdict.  A verdict of IGNORED
(cancelled, or the caller's own fault) frees the slot and leaves the state.  A
probe that is silent for *probe_lease* seconds (a worker was killed; an answer
is very long) gives up its slot, but its verdict still counts should it come.

A call is slow when its first token is late, whether it then succeeds or fails.
A probe that is slow fails: what was closed by slowness is not cured by it.

For *slow_start* seconds after it closed, a breaker lets only a growing share
of the calls through (a tenth at first, then in proportion to the time), so
that an endpoint that has just come back is not knocked over at once.

Calls are counted in buckets of a sixth of the window, so memory is bounded and
the window is between five and six sixths long.
"""

from typing import Final, TypeAlias

from attrs import evolve, field, frozen
from attrs.validators import and_, ge, gt, le

from lynkr.resilience.outcome import Outcome
from lynkr.resilience.protocols import BreakerState, BreakerStatus, Permit

_BUCKETS: Final = 6
_HIGHEST_EXPONENT: Final = 30
_FIRST_SHARE: Final = 0.1

_CLOSED: Final = BreakerState.CLOSED
_OPEN: Final = BreakerState.OPEN
_HALF_OPEN: Final = BreakerState.HALF_OPEN
_FORCED_OPEN: Final = BreakerState.FORCED_OPEN
_DISABLED: Final = BreakerState.DISABLED
_METRICS_ONLY: Final = BreakerState.METRICS_ONLY

Transition: TypeAlias = tuple[BreakerState, BreakerState, str]
"""(from, to, when)"""

TRANSITIONS: Final[tuple[Transition, ...]] = (
    (_CLOSED, _OPEN, "too many calls of a window failed or were slow, or too many in a row failed"),
    (_OPEN, _HALF_OPEN, "its time is over and a call comes, which is let through as a probe"),
    (_HALF_OPEN, _CLOSED, "a probe succeeds in good time; load returns bit by bit"),
    (_HALF_OPEN, _OPEN, "a probe fails or is slow: for twice as long"),
)

Bucket: TypeAlias = tuple[int, int, int, int]
"""(tick, successes, failures, slow ones of both); a tick is a sixth of the window."""

Probe: TypeAlias = tuple[int, float]
"""(number, when it left)"""


@frozen
class BreakerConfig:
    """Thresholds, chosen for sparse traffic; lengths in seconds.

    Opens when at least *min_calls* of the last *window* ended and the share of
    failures is *failure_ratio* or more, or that of slow calls *slow_ratio*, or
    after *consecutive_failures* in a row (a target that gets a call a minute
    would never fill a window).  Opens for *open_for*, doubled each time it opens
    again without having been closed for a whole window in between, up to
    *longest_open*.  *slow_start* is 0 for none.
    """

    window: float = field(default=60.0, validator=gt(0))
    min_calls: int = field(default=10, validator=ge(1))
    failure_ratio: float = field(default=0.5, validator=and_(gt(0), le(1)))
    slow_ratio: float = field(default=0.8, validator=and_(gt(0), le(1)))
    consecutive_failures: int = field(default=5, validator=ge(1))
    open_for: float = field(default=15.0, validator=gt(0))
    longest_open: float = field(default=300.0, validator=gt(0))
    probes: int = field(default=1, validator=and_(ge(1), le(3)))
    probe_lease: float = field(default=60.0, validator=gt(0))
    slow_start: float = field(default=10.0, validator=ge(0))

    def open_seconds(self, openings: int) -> float:
        """How long the breaker stays open the *openings*-th time in a row (from 1)."""
        return min(self.longest_open, self.open_for * 2.0 ** min(openings - 1, _HIGHEST_EXPONENT))


@frozen
class BreakerData:
    """Everything a breaker remembers.

    *changed* is when the state last changed, None before the first call.
    *openings* counts how often it opened in a row; *until* is when an open one
    lets a probe through.  *streak* is the number of failures since the last success.
    *asked* and *let* count the calls of a slow start, and those let through.
    """

    state: BreakerState = _CLOSED
    generation: int = 0
    changed: float | None = None
    openings: int = 0
    until: float = 0.0
    streak: int = 0
    rejected: int = 0
    probed: int = 0
    probes: tuple[Probe, ...] = ()
    buckets: tuple[Bucket, ...] = ()
    asked: int = 0
    let: int = 0


NEW_BREAKER: Final = BreakerData()


def acquire(data: BreakerData, config: BreakerConfig, now: float) -> tuple[BreakerData, Permit | None]:
    """The next state, and leave to send or None.  The very same object when nothing changed."""
    if data.changed is None:
        data = evolve(data, changed=now)
    state = data.state
    if state is _CLOSED and data.openings and is_warming_up(data, config, now):
        return _warmed(data, config, now)
    if state is _CLOSED or state is _DISABLED or state is _METRICS_ONLY:
        return data, Permit(data.generation)
    if state is _OPEN and _is_over(data, config, now):
        data = evolve(data, state=_HALF_OPEN, generation=data.generation + 1, changed=now)
        state = _HALF_OPEN
    if state is _HALF_OPEN:
        live = tuple(probe for probe in data.probes if abs(now - probe[1]) < config.probe_lease)
        if len(live) < config.probes:
            number = data.probed + 1
            data = evolve(data, probed=number, probes=(*live, (number, now)))
            return data, Permit(data.generation, number)
    return evolve(data, rejected=data.rejected + 1), None


def settle(
    data: BreakerData,
    config: BreakerConfig,
    permit: Permit,
    outcome: Outcome,
    now: float,
    *,
    slow: bool = False,
) -> BreakerData:
    """The next state.  The very same object when the verdict moves nothing."""
    if permit.generation != data.generation:
        return data
    state = data.state
    if state is _HALF_OPEN:
        return _settle_probe(data, config, permit, outcome, now, slow=slow)
    if outcome is Outcome.IGNORED or not (state is _CLOSED or state is _METRICS_ONLY):
        return data
    failed = outcome is Outcome.FAILURE
    streak = data.streak + 1 if failed else 0
    buckets = _counted(data.buckets, config, failed, slow, now)
    if (failed or slow) and state is _CLOSED and _is_too_much(buckets, streak, config):
        return _opened(data, config, buckets, streak, now)
    # Spelled out rather than evolved: this is the line every call passes.
    return BreakerData(
        state, data.generation, data.changed, data.openings, data.until, streak, data.rejected, 0, (),
        buckets, data.asked, data.let,
    )  # fmt: skip


def force(data: BreakerData, state: BreakerState, now: float) -> BreakerData:
    """Set by the operator; `CLOSED` ends a forced state and forgets every count.

    Raises:
        ValueError: *state* is one that only the breaker itself takes on.
    """
    if state is _OPEN or state is _HALF_OPEN:
        raise ValueError(f"a breaker cannot be forced to be {state}; use {_FORCED_OPEN} or {_CLOSED}")
    return BreakerData(state=state, generation=data.generation + 1, changed=now)


def state_at(data: BreakerData, config: BreakerConfig, now: float) -> BreakerState:
    """The state a call would meet; an open breaker whose time is over reads as half-open."""
    if data.state is _OPEN and _is_over(data, config, now):
        return _HALF_OPEN
    return data.state


def status_of(name: str, data: BreakerData, config: BreakerConfig, now: float) -> BreakerStatus:
    """*data* as the world is told it."""
    oldest = _tick(data.buckets, config, now) - _BUCKETS
    recent = [bucket for bucket in data.buckets if bucket[0] > oldest]
    state = state_at(data, config, now)
    return BreakerStatus(
        name=name,
        state=state,
        successes=sum(bucket[1] for bucket in recent),
        failures=sum(bucket[2] for bucket in recent),
        slow=sum(bucket[3] for bucket in recent),
        rejected=data.rejected,
        changed=now if data.changed is None else data.changed,
        next_attempt=data.until if state is _OPEN else None,
    )


def is_warming_up(data: BreakerData, config: BreakerConfig, now: float) -> bool:
    """Whether a slow start is under way, so that some calls are refused by a closed breaker."""
    if data.state is not _CLOSED or not data.openings or data.changed is None:
        return False
    return 0 <= now - data.changed < config.slow_start


def _warmed(data: BreakerData, config: BreakerConfig, now: float) -> tuple[BreakerData, Permit | None]:
    share = max(_FIRST_SHARE, (now - (data.changed or 0.0)) / config.slow_start)
    asked = data.asked + 1
    if data.let < asked * share:
        return evolve(data, asked=asked, let=data.let + 1), Permit(data.generation)
    return evolve(data, asked=asked, rejected=data.rejected + 1), None


def _settle_probe(
    data: BreakerData, config: BreakerConfig, permit: Permit, outcome: Outcome, now: float, *, slow: bool
) -> BreakerData:
    if outcome is Outcome.IGNORED:
        left = tuple(probe for probe in data.probes if probe[0] != permit.probe)
        return data if left == data.probes else evolve(data, probes=left)
    failed = outcome is Outcome.FAILURE
    if failed or slow:
        buckets = _counted(data.buckets, config, failed, slow, now)
        return _opened(data, config, buckets, data.streak + 1 if failed else 0, now)
    # The failures that opened it are history: judged on them it would open at the next stumble.
    buckets = _counted((), config, failed, slow, now)
    return BreakerData(
        _CLOSED, data.generation + 1, now, data.openings, rejected=data.rejected, buckets=buckets
    )


def _opened(
    data: BreakerData, config: BreakerConfig, buckets: tuple[Bucket, ...], streak: int, now: float
) -> BreakerData:
    openings, rejected = data.openings, data.rejected
    if data.state is _CLOSED:
        rejected = 0
        if data.changed is not None and now - data.changed >= config.window:
            openings = 0
    openings += 1
    until = now + config.open_seconds(openings)
    return BreakerData(_OPEN, data.generation + 1, now, openings, until, streak, rejected, buckets=buckets)


def _is_over(data: BreakerData, config: BreakerConfig, now: float) -> bool:
    # A wall clock may be set back; without the second test an hour's correction
    # would keep the breaker open for an hour.
    return now >= data.until or now < data.until - 2 * config.longest_open


def _is_too_much(buckets: tuple[Bucket, ...], streak: int, config: BreakerConfig) -> bool:
    if streak >= config.consecutive_failures:
        return True
    failures = calls = slow = 0
    for _, good, bad, late in buckets:
        failures += bad
        slow += late
        calls += good + bad
    return calls >= config.min_calls and (
        failures >= config.failure_ratio * calls or slow >= config.slow_ratio * calls
    )


def _tick(buckets: tuple[Bucket, ...], config: BreakerConfig, now: float) -> int:
    # Never before the last bucket's: clocks of several processes differ a little.
    tick = int(now * _BUCKETS // config.window)
    return max(tick, buckets[-1][0]) if buckets else tick


def _counted(
    buckets: tuple[Bucket, ...], config: BreakerConfig, failed: bool, slow: bool, now: float
) -> tuple[Bucket, ...]:
    tick = _tick(buckets, config, now)
    good, bad = (0, 1) if failed else (1, 0)
    if buckets and buckets[-1][0] == tick:
        _, goods, bads, lates = buckets[-1]
        return (*buckets[:-1], (tick, goods + good, bads + bad, lates + slow))
    oldest = tick - _BUCKETS
    return (*(bucket for bucket in buckets if bucket[0] > oldest), (tick, good, bad, int(slow)))


class WindowBreaker:
    """A `CircuitBreaker` in memory.  One event loop's: not safe to call from several threads at once.

    Most calls of a closed breaker succeed, as the one before did: that moves one count, which is
    kept beside the data until somebody looks at those.
    """

    __slots__ = ("_data", "_leave", "_successes", "config", "name")

    def __init__(
        self, name: str, config: BreakerConfig | None = None, *, data: BreakerData = NEW_BREAKER
    ) -> None:
        self.name: str = name
        self.config: BreakerConfig = BreakerConfig() if config is None else config
        self._data = data
        self._successes = 0  # of the last bucket, not yet in it
        self._leave = Permit(data.generation)

    @property
    def data(self) -> BreakerData:
        if self._successes:
            *before, (tick, good, bad, late) = self._data.buckets
            buckets = (*before, (tick, good + self._successes, bad, late))
            self._data = evolve(self._data, buckets=buckets)
            self._successes = 0
        return self._data

    @data.setter
    def data(self, data: BreakerData) -> None:
        self._data = data
        self._successes = 0
        if self._leave.generation != data.generation:
            self._leave = Permit(data.generation)

    @property
    def is_closed(self) -> bool:
        """Whether it is, by the last it heard."""
        return self._data.state is _CLOSED

    def state(self, now: float, /) -> BreakerState:
        return state_at(self._data, self.config, now)

    def status(self, now: float, /) -> BreakerStatus:
        return status_of(self.name, self.data, self.config, now)

    def try_acquire(self, now: float, /) -> Permit | None:
        data = self._data
        if data.state is _CLOSED and not data.openings and data.changed is not None:
            return self._leave
        self.data, permit = acquire(self.data, self.config, now)
        return permit

    def settle(self, permit: Permit, outcome: Outcome, now: float, /, *, slow: bool = False) -> None:
        data = self._data
        if (
            outcome is Outcome.SUCCESS
            and not slow
            and data.state is _CLOSED
            and permit.generation == data.generation
            and data.buckets
            and not data.streak
            and data.buckets[-1][0] >= int(now * _BUCKETS // self.config.window)
        ):
            self._successes += 1
            return
        self.data = settle(self.data, self.config, permit, outcome, now, slow=slow)

    def force(self, state: BreakerState, now: float, /) -> None:
        """See `force`."""
        self.data = force(self.data, state, now)
