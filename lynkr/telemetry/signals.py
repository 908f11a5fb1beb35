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

from bisect import bisect_right, insort
from collections.abc import Iterable, Iterator, Mapping, Sequence
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


def place_of(turn: Turn) -> tuple[float, int]:
    """What turns are ordered by."""
    return turn.at, turn.seq


def is_turn(record: Record) -> bool:
    """Whether the record is one of the session's own: answered, and no upkeep of the harness."""
    return record.ending is Ending.OK and record.target is not None and reacts(record)


def reacts(record: Record) -> bool:
    """Whether the record may say something about those before it, however it ended itself."""
    is_side = record.request_class is not None and record.request_class.is_side
    return record.session is not None and not is_side and record.traffic in (None, "main")


class Course:
    """A session's turns, and what a record says about them: in a time that does not grow with their number.

    *older* gives the turns known from before, the latest first; only as many are
    taken from it as somebody looks at.
    """

    __slots__ = ("_asks", "_older", "_turns")

    def __init__(self, older: Iterable[Turn] = ()) -> None:
        self._older: Iterator[Turn] | None = iter(older)
        self._turns: list[
            Turn
        ] = []  # in the order of `place_of`: the latest ones, back to where *older* goes on
        self._asks: dict[str, list[Turn]] = {}  # of those, the ones that open a turn, by the ask's digest

    def add(self, turn: Turn) -> None:
        """One more, wherever it belongs."""
        place, turns = place_of(turn), self._turns
        while self._older is not None and (not turns or place_of(turns[0]) > place):
            self._reach_back()
        _put(turns, turn)
        if turn.opens_turn and turn.ask_digest is not None:
            _put(self._asks.setdefault(turn.ask_digest, []), turn)

    def drop(self, turn: Turn) -> None:
        """Forget one of those that were added; the oldest at no more cost than any."""
        self._turns.remove(turn)
        if turn.opens_turn and turn.ask_digest is not None:
            same = self._asks[turn.ask_digest]
            same.remove(turn)
            if not same:
                del self._asks[turn.ask_digest]

    def reaction(self, later: Record) -> tuple[Turn, SignalKind] | None:
        """What *later* says about which turn that was there when it arrived; None where nothing.

        It looks at the latest `MOST_TURNS` of the `LOOK_BACK` before it.  `FOLLOWED` is no more
        than that; it is counted, and not kept as a `Signal`.
        """
        if not reacts(later):
            return None
        previous = self._latest(later.at)
        if previous is None or previous.at < later.at - LOOK_BACK:
            return None
        if later.opens_turn:
            same = self._asked_before(later)
            if same is not None:
                return same, SignalKind.ESCALATED if _rose(same, later) else SignalKind.RETRIED
            return previous, SignalKind.FOLLOWED
        if (
            previous.ask_digest is not None
            and previous.ask_digest == later.ask_digest
            and _rose(previous, later)
        ):
            return previous, SignalKind.ESCALATED
        failures = later.failed_results or 0
        if failures >= _FAILURES and failures > (previous.failed_results or 0):
            return previous, SignalKind.TOOL_FAILED
        return previous, SignalKind.FOLLOWED

    def _asked_before(self, later: Record) -> Turn | None:
        """The latest of the turns looked at that *later*'s ask opened as well."""
        digest, turns = later.ask_digest, self._turns
        if digest is None:
            return None
        number = _end(turns, later.at)
        same = self._asks.get(digest, ())
        if end := _end(same, later.at):
            found = same[end - 1]
            is_among = number < MOST_TURNS or place_of(found) >= place_of(turns[number - MOST_TURNS])
            return found if is_among and found.at >= later.at - LOOK_BACK else None
        while number < MOST_TURNS and self._reach_back() and turns[0].at >= later.at - LOOK_BACK:
            if turns[0].at <= later.at:
                if turns[0].opens_turn and turns[0].ask_digest == digest:
                    return turns[0]
                number += 1
        return None

    def _latest(self, at: float) -> Turn | None:
        """The latest turn that was there when a record arrived *at*."""
        end = _end(self._turns, at)
        while not end and self._reach_back():
            end = int(self._turns[0].at <= at)
        return self._turns[end - 1] if end else None

    def _reach_back(self) -> bool:
        """Take one of the older turns; False when there are no more."""
        turn = None if self._older is None else next(self._older, None)
        if turn is None:
            self._older = None
            return False
        self._turns.insert(0, turn)
        if turn.opens_turn and turn.ask_digest is not None:
            self._asks.setdefault(turn.ask_digest, []).insert(0, turn)
        return True


def _end(turns: Sequence[Turn], at: float) -> int:
    """How many of *turns* were there when a record arrived *at*; nearly always all."""
    return len(turns) if not turns or turns[-1].at <= at else bisect_right(turns, (at, inf), key=place_of)


def _put(turns: list[Turn], turn: Turn) -> None:
    if not turns or place_of(turns[-1]) <= place_of(turn):
        turns.append(turn)
    else:
        insort(turns, turn, key=place_of)


def _rose(turn: Turn, later: Record) -> bool:
    return turn.tier is not None and later.tier is not None and later.tier > turn.tier
