"""What another policy's answers would have been worth, where the ledger can tell.

Theory.  Answers of targets that were never tried cannot be judged from a
ledger.  Where exploration was on, each target a new session could have begun with had a known
chance (the *propensity*), so what was observed can be weighted by ``w = chance under the
policy / chance at the time``:

- IPS   ``mean(w * r)``: unbiased, however noisy (Horvitz & Thompson 1952);
- SNIPS ``sum(w * r) / sum(w)``: stays within the rewards seen, a little biased
  (Swaminathan & Joachims, "The self-normalized estimator for counterfactual learning", 2015);
- DR    ``mean(q(policy) + w * (r - q(action)))``: less noisy, and right if either the weights or the
  model *q* of rewards is (Dudík, Langford & Li, "Doubly robust policy evaluation and learning", 2011).
  *q* is the shrunk mean reward by tier and target, fitted on the other half of the sessions.

Intervals are 90 %, normal, with sessions as the units.  What does not identify
the value is refused, with the reason: no exploration, no outcomes, a policy
that chooses what could not have been chosen, too few observations that speak for it.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from hashlib import blake2b
from math import sqrt
from typing import Any, Final

from attrs import frozen

from lynkr.routing.decision import Target
from lynkr.telemetry.record import UNDER, Ending, Record
from lynkr.telemetry.store import TelemetryStore

LEAST_EFFECTIVE: Final = 30.0
"""Weighted observations are worth fewer even ones; with less than this many nothing is told."""
LEAST_IDENTIFIED: Final = 0.95
_SHRINKAGE: Final = 5.0
_Z90: Final = 1.6449


@frozen
class Sample:
    """One explored request: what was tried with which *propensity*, and what came of it.

    *chances* are the policy's, of the candidates of the time; they sum to less than 1 where it
    chooses something that was none.  *reward* is in [0, 1].
    """

    session: str
    stratum: str
    action: Target
    propensity: float
    reward: float
    chances: Mapping[Target, float]

    @property
    def weight(self) -> float:
        return self.chances.get(self.action, 0.0) / self.propensity

    @property
    def is_identified(self) -> bool:
        return sum(self.chances.values()) > 1.0 - 1e-9


@frozen
class Estimate:
    """A mean reward with its 90 % interval."""

    value: float
    low: float
    high: float


@frozen
class Overlap:
    """How far what was observed speaks for the policy.

    *effective* is ``(sum w)^2 / sum w^2``, *largest* the largest weight's share of
    all, *unidentified* the explored requests for which the policy chooses what could not have been chosen.
    """

    samples: int
    sessions: int
    matched: int
    effective: float
    largest: float
    unidentified: int


@frozen
class Quality:
    """The policy's mean reward by three estimators, or why there is none: *refusal* and its *reason*.

    *logged* is the mean reward of what was really done in the same requests.
    """

    refusal: str | None = None
    reason: str | None = None
    overlap: Overlap | None = None
    logged: Estimate | None = None
    ips: Estimate | None = None
    snips: Estimate | None = None
    dr: Estimate | None = None

    def as_json(self) -> dict[str, Any]:
        told: dict[str, Any] = {"refusal": self.refusal, "reason": self.reason, "overlap": None}
        if self.overlap is not None:
            told["overlap"] = {
                name: getattr(self.overlap, name)
                for name in ("samples", "sessions", "matched", "effective", "largest", "unidentified")
            }
        for name in ("logged", "ips", "snips", "dr"):
            estimate: Estimate | None = getattr(self, name)
            told[name] = (
                None
                if estimate is None
                else {"value": estimate.value, "low": estimate.low, "high": estimate.high}
            )
        return told


def outcome_of(record: Record) -> float | None:
    """1 for an answer that came, 0 for a failure, None where the client left: the least that is known."""
    match record.ending:
        case Ending.OK:
            return 1.0
        case Ending.FAILED:
            return 0.0
        case Ending.CANCELLED:
            return None


def judged_by(store: TelemetryStore) -> Callable[[Record], float | None]:
    """As `outcome_of`, and 0 too where a signal says that the tier was too low.

    Signals are what a session's course, a verifier or explicit feedback say
    (`lynkr.telemetry.signals`); each record asked about is one more look into the store.
    """

    def reward(record: Record) -> float | None:
        ended = outcome_of(record)
        if ended and any(signal.kind in UNDER for signal in store.signals(record.id)):
            return 0.0
        return ended

    return reward


def estimate_quality(samples: Iterable[Sample], *, without_outcome: int = 0) -> Quality:
    """Estimate the policy's mean reward from explored requests, or refuse.

    *without_outcome* counts explored requests whose reward is unknown.
    """
    every = tuple(samples)
    if not every:
        if without_outcome:
            return Quality(
                "no_outcomes", f"{without_outcome} explored requests, of none is the outcome known"
            )
        return Quality(
            "never_explored",
            "no recorded session was begun with a known chance of another target; set exploration.share",
        )
    known = tuple(sample for sample in every if sample.is_identified)
    overlap = _overlap(known, len(every) - len(known))
    if len(known) < LEAST_IDENTIFIED * len(every):
        return Quality(
            "no_overlap",
            f"in {len(every) - len(known)} of {len(every)} explored requests the policy chooses a target "
            "that could not have been chosen at the time",
            overlap,
        )
    if overlap.effective < LEAST_EFFECTIVE:
        return Quality(
            "too_few",
            f"what was observed speaks for the policy like {overlap.effective:.0f} even observations; "
            f"{LEAST_EFFECTIVE:.0f} are the least",
            overlap,
        )
    return _estimates(known, overlap)


def _overlap(samples: Sequence[Sample], unidentified: int) -> Overlap:
    weights = [sample.weight for sample in samples]
    total = sum(weights)
    squares = sum(weight * weight for weight in weights)
    return Overlap(
        samples=len(samples),
        sessions=len({sample.session for sample in samples}),
        matched=sum(weight > 0 for weight in weights),
        effective=total * total / squares if squares else 0.0,
        largest=max(weights, default=0.0) / total if total else 0.0,
        unidentified=unidentified,
    )


def _estimates(samples: Sequence[Sample], overlap: Overlap) -> Quality:
    number = len(samples)
    weighted = [sample.weight * sample.reward for sample in samples]
    total = sum(sample.weight for sample in samples)
    snips = sum(weighted) / total
    # The influence of one observation on a ratio of means.
    around = [snips + sample.weight * (sample.reward - snips) * number / total for sample in samples]
    robust = _doubly_robust(samples)
    return Quality(
        overlap=overlap,
        logged=_mean(samples, [sample.reward for sample in samples]),
        ips=_mean(samples, weighted),
        snips=_mean(samples, around),
        dr=_mean(samples, robust),
    )


def _doubly_robust(samples: Sequence[Sample]) -> list[float]:
    halves = {half: _RewardModel(one for one in samples if _half_of(one) != half) for half in (0, 1)}
    values: list[float] = []
    for sample in samples:
        model = halves[_half_of(sample)]
        expected = sum(
            chance * model(sample.stratum, target) for target, chance in sample.chances.items() if chance
        )
        values.append(expected + sample.weight * (sample.reward - model(sample.stratum, sample.action)))
    return values


class _RewardModel:
    """The mean reward by stratum and target, drawn towards the mean of all as far as observations are few."""

    def __init__(self, samples: Iterable[Sample]) -> None:
        self._sums: dict[tuple[str, Target], tuple[float, int]] = defaultdict(lambda: (0.0, 0))
        total, number = 0.0, 0
        for sample in samples:
            seen, count = self._sums[sample.stratum, sample.action]
            self._sums[sample.stratum, sample.action] = (seen + sample.reward, count + 1)
            total, number = total + sample.reward, number + 1
        self._mean = total / number if number else 0.5

    def __call__(self, stratum: str, target: Target) -> float:
        total, number = self._sums.get((stratum, target), (0.0, 0))
        return (total + _SHRINKAGE * self._mean) / (number + _SHRINKAGE)


def _half_of(sample: Sample) -> int:
    return blake2b(sample.session.encode("utf-8", "surrogatepass"), digest_size=1).digest()[0] & 1


def _mean(samples: Sequence[Sample], values: Sequence[float]) -> Estimate:
    number = len(values)
    mean = sum(values) / number
    by_session: dict[str, float] = defaultdict(float)
    for sample, value in zip(samples, values, strict=True):
        by_session[sample.session] += value - mean
    groups = len(by_session)
    squares = sum(error * error for error in by_session.values())
    error = sqrt(squares * groups / max(1, groups - 1)) / number
    return Estimate(mean, mean - _Z90 * error, mean + _Z90 * error)
