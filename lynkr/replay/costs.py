"""What the replayed requests would have cost: a range, because two things about it cannot be known.

Theory.  The prompt is the recorded one, and its tokens are counted as
recorded (another model's tokenizer may count some per cent otherwise).  Unknown are

- how long another model's answer is.  Where the target is another, the
  recorded length is multiplied by 1 for the expected cost and by the two ends of *lengths*
  (½ and 2 unless told otherwise) for the range: the lengths of one model's answers are
  all wrong in the same direction, so they do not even out over many requests;
- which cache hits come true.  `lynkr.pricing.prompt_cache` says what a cache
  may hold at most; that simulation is run along the recorded path too, and the share
  of its hits that the providers really reported is the expected one.  Its range is the
  90 % interval of that ratio with sessions as the units (they are independent, requests of one
  session are not); all of [0, 1] where fewer than `LEAST_SESSIONS` were measured.

The cost of a request is linear in the share of hits, so it is summed at no
hits and at all of them, and the share, known only at the end, is put in then.
Where neither the target nor what its cache holds has changed, the recorded
cost stands, exactly.
"""

from math import sqrt
from typing import Final

from attrs import define, frozen

from lynkr.model import Usage
from lynkr.pricing import Price, cost_microusd
from lynkr.pricing.prompt_cache import CacheTerms, CacheUse, partly

LEAST_SESSIONS: Final = 10
LENGTHS: Final = (0.5, 2.0)
_Z90: Final = 1.6449


@frozen
class CostRange:
    """Money in micro-USD: the *expected*, and the bounds within which it lies if the assumptions hold."""

    low: float
    expected: float
    high: float

    def minus(self, known: float) -> "CostRange":
        return CostRange(self.low - known, self.expected - known, self.high - known)


@frozen
class Share:
    """The share of the simulated cache hits that came true; *sessions* is how many it was measured on."""

    expected: float = 1.0
    low: float = 0.0
    high: float = 1.0
    sessions: int = 0


@define
class Calibration:
    """Sums, over sessions, of the tokens providers said they read and those the simulation did."""

    sessions: int = 0
    reported: float = 0.0
    simulated: float = 0.0
    _rr: float = 0.0
    _rs: float = 0.0
    _ss: float = 0.0

    def add(self, reported: float, simulated: float) -> None:
        """One session."""
        if simulated <= 0:
            return
        self.sessions += 1
        self.reported += reported
        self.simulated += simulated
        self._rr += reported * reported
        self._rs += reported * simulated
        self._ss += simulated * simulated

    def share(self) -> Share:
        """The ratio of the sums, with the standard error of a ratio estimator (linearised)."""
        if not self.sessions:
            return Share()
        ratio = self.reported / self.simulated
        expected = min(1.0, ratio)
        if self.sessions < LEAST_SESSIONS:
            return Share(expected, sessions=self.sessions)
        residual = max(0.0, self._rr - 2 * ratio * self._rs + ratio * ratio * self._ss)
        error = _Z90 * sqrt(residual * self.sessions / (self.sessions - 1)) / self.simulated
        return Share(expected, max(0.0, min(1.0, ratio - error)), min(1.0, ratio + error), self.sessions)


@frozen
class Ends:
    """A cost at no cache hits and at all that the simulation found."""

    none: float
    all: float

    def at(self, share: float) -> float:
        return self.none + share * (self.all - self.none)


@frozen
class Priced:
    """What one request would have cost, by the length of its answer: short, as recorded, long."""

    short: Ends
    same: Ends
    long: Ends

    @classmethod
    def exactly(cls, cost: float) -> "Priced":
        ends = Ends(cost, cost)
        return cls(ends, ends, ends)


@define
class Sum:
    """Sums over requests whose recorded and whose other cost are both known."""

    requests: int = 0
    recorded: float = 0.0
    _short: tuple[float, float] = (0.0, 0.0)
    _same: tuple[float, float] = (0.0, 0.0)
    _long: tuple[float, float] = (0.0, 0.0)

    def add(self, recorded: float, priced: Priced) -> None:
        self.requests += 1
        self.recorded += recorded
        self._short = _plus(self._short, priced.short)
        self._same = _plus(self._same, priced.same)
        self._long = _plus(self._long, priced.long)

    def replayed(self, share: Share) -> CostRange:
        """The range, once the share of hits is known."""
        ends = (share.low, share.high)
        expected = Ends(*self._same).at(share.expected)
        low = min(Ends(*self._short).at(end) for end in ends)
        high = max(Ends(*self._long).at(end) for end in ends)
        return CostRange(min(low, expected), expected, max(high, expected))


def priced(
    use: CacheUse,
    terms: CacheTerms,
    output: int,
    price: Price,
    *,
    lengths: tuple[float, float],
    hour: bool = False,
) -> Priced | None:
    """What a prompt read like *use*, answered by about *output* tokens, costs; None if that cannot be told.

    *lengths* are the factors of the shortest and the longest answer, *hour*
    says that the client writes to the cache that lasts an hour.
    """
    missed = partly(use, 0.0, terms)

    def at(factor: float) -> Ends | None:
        tokens = round(output * factor)
        none, all_ = (_cost(split, tokens, price, hour=hour) for split in (missed, use))
        return None if none is None or all_ is None else Ends(none, all_)

    short, same, long = (at(factor) for factor in (lengths[0], 1.0, lengths[1]))
    return None if short is None or same is None or long is None else Priced(short, same, long)


def _cost(use: CacheUse, output: int, price: Price, *, hour: bool) -> int | None:
    usage = Usage(use.tokens, output, use.read, use.written, use.written if hour else 0)
    return cost_microusd(usage, price)


def _plus(sums: tuple[float, float], ends: Ends) -> tuple[float, float]:
    return sums[0] + ends.none, sums[1] + ends.all
