"""What a session's course says about how well its requests were served.

Theory.  Nobody tells a gateway whether an answer was good, but what happens
next in the session does, a little:

- the user asks the very same again: the first answer did not do (`RETRIED`);
  if the second goes to a higher tier, routing itself thought so (`ESCALATED`),
  and so it does where the tier rises in the middle of a tool loop;
- the tool calls of an answer fail, and at least one before them failed as well
  (one failure is ordinary work: a failing test, a file that is not there)
  (`TOOL_FAILED`);
- none of these: the session just went on (`FOLLOWED`).

That a lower tier would have done as well cannot be seen so.  It takes somebody
who looked: explicit feedback, or a verifier.  So over-provisioning is measured
on those requests alone, and is "not measured" where there are none.
"""

from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from math import inf
from types import MappingProxyType
from typing import Final, Self

from attrs import frozen

from lynkr.routing.decision import Tier
from lynkr.telemetry.record import Ending, Record, SignalKind

LOOK_BACK: Final = 3_600.0
"""Seconds after which a request is no more a reaction to another."""

MOST_TURNS: Final = 50
"""How many earlier requests of a session are looked at."""

BITS: Final[Mapping[SignalKind, int]] = MappingProxyType(
    {kind: 1 << bit for bit, kind in enumerate(SignalKind)}
)
"""Which bit of a row's *heard* stands for which kind.  Ledgers exist: new kinds come last in the enum."""

_FAILURES: Final = 2


def heard(kinds: Iterable[SignalKind]) -> int:
    """The bits of *kinds*."""
    bits = 0
    for kind in kinds:
        bits |= BITS[kind]
    return bits


def kinds_of(bits: int) -> frozenset[SignalKind]:
    """The kinds whose bits these are."""
    return frozenset(kind for kind, bit in BITS.items() if bits & bit)


@frozen
class Turn:
    """Of a record, what a later one of its session is compared with; *seq* is the order of writing."""

    seq: int
    at: float
    tier: Tier | None = None
    opens_turn: bool | None = None
    ask_digest: str | None = None
    failed_results: int | None = None

    @classmethod
    def of(cls, record: Record, seq: int) -> Self:
        return cls(seq, record.at, record.tier, record.opens_turn, record.ask_digest, record.failed_results)

    @property
    def place(self) -> tuple[float, int]:
        return self.at, self.seq


def place_of(turn: Turn) -> tuple[float, int]:
    """What turns are ordered by."""
    return turn.place


def latest(turns: Sequence[Turn], at: float) -> list[Turn]:
    """Those of a session's *turns* that a record which arrived *at* may react to, newest first.

    *turns* are in the order of `place_of`: a session of thousands costs no more than a short one.
    """
    end = bisect_right(turns, (at, inf), key=place_of)
    near = turns[max(end - MOST_TURNS, 0) : end]
    return [turn for turn in reversed(near) if at - LOOK_BACK <= turn.at]


def is_turn(record: Record) -> bool:
    """Whether the record is one of the session's own: answered, and no upkeep of the harness."""
    return record.ending is Ending.OK and record.target is not None and reacts(record)


def reacts(record: Record) -> bool:
    """Whether the record may say something about those before it, however it ended itself."""
    is_side = record.request_class is not None and record.request_class.is_side
    return record.session is not None and not is_side and record.traffic in (None, "main")


def reaction(later: Record, earlier: Sequence[Turn]) -> tuple[Turn, SignalKind] | None:
    """What *later* says about which of the *earlier* turns of its session, the newest of which is the first.

    `FOLLOWED` is no more than that; it is counted, and not kept as a `Signal`.
    """
    if not earlier or not reacts(later):
        return None
    previous = earlier[0]
    if later.opens_turn:
        same = next((turn for turn in earlier if turn.opens_turn and _same_ask(turn, later)), None)
        if same is not None:
            return same, SignalKind.ESCALATED if _rose(same, later) else SignalKind.RETRIED
        return previous, SignalKind.FOLLOWED
    if _same_ask(previous, later) and _rose(previous, later):
        return previous, SignalKind.ESCALATED
    failures = later.failed_results or 0
    if failures >= _FAILURES and failures > (previous.failed_results or 0):
        return previous, SignalKind.TOOL_FAILED
    return previous, SignalKind.FOLLOWED


def _same_ask(turn: Turn, later: Record) -> bool:
    return turn.ask_digest is not None and turn.ask_digest == later.ask_digest


def _rose(turn: Turn, later: Record) -> bool:
    return turn.tier is not None and later.tier is not None and later.tier > turn.tier
