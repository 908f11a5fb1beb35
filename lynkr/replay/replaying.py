"""The replay itself: records in, oldest first; a report out."""

from collections import Counter
from collections.abc import Callable, Iterable
from typing import Final, TypeAlias

from attrs import define, evolve, field, frozen

from lynkr.errors import RoutingError
from lynkr.pricing import PriceTable, cost_microusd, rates_of
from lynkr.pricing.prompt_cache import CacheTerms, CacheUse
from lynkr.replay.costs import LENGTHS, CostRange, Priced, Share, Sum, priced
from lynkr.replay.course import Course, Courses
from lynkr.replay.quality import Sample, estimate_quality, judged_by, outcome_of
from lynkr.replay.report import Change, ReplayReport
from lynkr.routing import (
    Decision,
    Features,
    PipelineRouter,
    Rates,
    RecordedFeatures,
    Snapshot,
    Target,
    TextNotRecorded,
    Tier,
)
from lynkr.routing.decision import NO_RATES
from lynkr.routing.exploration import chances_of, explored_among
from lynkr.routing.pins import TTL_SECONDS
from lynkr.routing.protocols import Redecides
from lynkr.routing.recorded import decision_of_json, seen_of_json
from lynkr.telemetry.record import Query, Record
from lynkr.telemetry.store import TelemetryStore

NOT_RECORDED: Final = "not_recorded"
UNREADABLE: Final = "unreadable"
TEXT_NOT_RECORDED: Final = "text_not_recorded"
REFUSED: Final = "refused"
ORDER: Final = "order"

Reward: TypeAlias = Callable[[Record], float | None]

_EXAMPLES: Final = 3
_UNHELD: Final = frozenset(("no_pin", "no_home", "as_proposed", "side_traffic", "restarted"))


def replay(
    records: Iterable[Record],
    policy: Redecides,
    prices: PriceTable,
    *,
    lengths: tuple[float, float] = LENGTHS,
    pin_ttl: float = TTL_SECONDS,
    reward: Reward = outcome_of,
) -> ReplayReport:
    """Decide *records* (in the order of time) again with *policy*.

    Both the recorded and the other cost are taken at *prices*.  *lengths* are the bounds of how much
    shorter or longer another model's answers are (`lynkr.replay.costs`), *pin_ttl* how long
    an unused pin is kept, in seconds, *reward* in [0, 1] or None if unknown is what quality is measured by.
    Pure, but for reading *records*; holds the sessions of the last *pin_ttl* seconds.
    """
    replayed = _Replay(policy, prices, lengths, pin_ttl, reward, Courses(max(pin_ttl, 3_600.0)))
    if isinstance(policy, PipelineRouter):
        replayed.targets.update(rung.target for rung in policy.tiers.ladder(Tier.SIMPLE))
        replayed.rates = rates_of(prices, sorted(replayed.targets))
    for record in records:
        replayed.take(record)
    return replayed.report()


def replay_ledger(
    store: TelemetryStore,
    policy: Redecides,
    prices: PriceTable,
    *,
    since: float | None = None,
    until: float | None = None,
    lengths: tuple[float, float] = LENGTHS,
    pin_ttl: float = TTL_SECONDS,
    reward: Reward | None = None,
) -> ReplayReport:
    """As `replay`, of the store's records from *since* until before *until* (Unix seconds).

    *reward* is `lynkr.replay.judged_by` the store unless given.  Blocks while it
    reads: in an asynchronous program, run it in a worker thread.
    """
    query = Query(since=since, until=until, limit=None, oldest_first=True)
    judge = judged_by(store) if reward is None else reward
    return replay(store.read(query), policy, prices, lengths=lengths, pin_ttl=pin_ttl, reward=judge)


@frozen
class _Recalled:
    """A record with what it says about its decision read out."""

    record: Record
    features: Features
    snapshot: Snapshot
    before: Decision


@define
class _Changes:
    """The changed decisions of one reason, summed up."""

    requests: int = 0
    sum: Sum = field(factory=Sum)
    moves: Counter[str] = field(factory=Counter[str])
    examples: list[str] = field(factory=list[str])

    def add(self, record: Record, before: Decision, after: Decision | None) -> None:
        self.requests += 1
        target = "nothing" if after is None else str(after.target)
        self.moves[f"{before.target} -> {target}"] += 1
        if len(self.examples) < _EXAMPLES:
            self.examples.append(record.id)

    def as_change(self, code: str, share: Share) -> Change:
        costs = self.sum
        difference = costs.replayed(share).minus(costs.recorded) if costs.requests else None
        moves = dict(self.moves.most_common())
        return Change(code, self.requests, costs.requests, difference, moves, tuple(self.examples))


@define
class _Replay:
    policy: Redecides
    prices: PriceTable
    lengths: tuple[float, float]
    pin_ttl: float
    reward: Reward
    courses: Courses
    requests: int = 0
    decided: int = 0
    named: int = 0
    unpriced: int = 0
    refused: int = 0
    undecidable: Counter[str] = field(factory=Counter[str])
    changes: dict[str, _Changes] = field(factory=dict[str, _Changes])
    sum: Sum = field(factory=Sum)
    samples: list[Sample] = field(factory=list[Sample])
    without_outcome: int = 0
    targets: set[Target] = field(factory=set[Target])
    rates: Rates = NO_RATES

    def take(self, record: Record) -> None:
        self.requests += 1
        if record.tier is None and record.target is not None:
            self.named += 1  # no policy decides what its client names
            return
        recalled = _recall(record)
        if isinstance(recalled, str):
            self.undecidable[recalled] += 1
            return
        course = self.courses.of(record.session, record.at)
        rates = self._rates(recalled)
        moment = course.snapshot(recalled.snapshot, rates, self.pin_ttl)
        try:
            after = self.policy.decide(recalled.features, moment)
        except TextNotRecorded:
            self.undecidable[TEXT_NOT_RECORDED] += 1
            # What the next requests find cached still depends on it: as far as is known, it went as it did.
            if record.target is not None:
                course.prompts(record, recalled.features, record.target, record.target, rates)
            return
        except RoutingError:
            after = None
        self.decided += 1
        change = self._change(recalled, after)
        if after is None:
            self.refused += 1
            self.unpriced += 1
            return
        self._observe(recalled, after)
        self._price(recalled, after, moment, course, change)

    def report(self) -> ReplayReport:
        share = self.courses.close().share()
        costs = self.sum
        compared = costs.requests > 0
        total: CostRange | None = costs.replayed(share) if compared else None
        found = [changes.as_change(code, share) for code, changes in self.changes.items()]
        return ReplayReport(
            requests=self.requests,
            decided=self.decided,
            named=self.named,
            undecidable=dict(self.undecidable),
            changed=sum(change.requests for change in found),
            refused=self.refused,
            changes=tuple(sorted(found, key=lambda change: (-change.requests, change.code))),
            compared=costs.requests,
            unpriced=self.unpriced,
            recorded_microusd=costs.recorded if compared else None,
            replayed=total,
            difference=None if total is None else total.minus(costs.recorded),
            hits=share,
            price_version=self.prices.version,
            quality=estimate_quality(self.samples, without_outcome=self.without_outcome),
        )

    # ------------------------------------------------------------------ inside

    def _change(self, recalled: _Recalled, after: Decision | None) -> _Changes | None:
        code = _cause(recalled.before, after)
        if code is None:
            return None
        changes = self.changes.setdefault(code, _Changes())
        changes.add(recalled.record, recalled.before, after)
        return changes

    def _price(
        self,
        recalled: _Recalled,
        after: Decision,
        moment: Snapshot,
        course: Course,
        change: _Changes | None,
    ) -> None:
        record, real = recalled.record, recalled.record.target
        if real is None:
            self.unpriced += 1
            return
        other = _serving(record, after)
        was_diverged = course.diverged
        course.served(record, recalled.before, after, moment, other)
        was, would, terms = course.prompts(record, recalled.features, real, other, moment.rates)
        recorded = self._recorded(record, real)
        if recorded is None:
            cost = None
        elif other == real and (not was_diverged or was == would):
            cost = Priced.exactly(recorded)
        else:
            cost = self._priced(record, other, real, (would, terms), hour=course.hour)
        if recorded is None or cost is None:
            self.unpriced += 1
            return
        self.sum.add(recorded, cost)
        if change is not None:
            change.sum.add(recorded, cost)

    def _recorded(self, record: Record, real: Target) -> float | None:
        """What the request cost, at these prices if its tokens are known, else as it was recorded."""
        cost = cost_microusd(record.usage, self.prices.price(real))
        return record.cost.cost_microusd if cost is None else cost

    def _priced(
        self, record: Record, other: Target, real: Target, read: tuple[CacheUse, CacheTerms], *, hour: bool
    ) -> Priced | None:
        price, output = self.prices.price(other), record.usage.output
        if price is None or output is None or record.usage.input is None:
            return None
        use, terms = read
        lengths = (1.0, 1.0) if other == real else self.lengths
        return priced(use, terms, output, price, lengths=lengths, hour=hour)

    def _observe(self, recalled: _Recalled, after: Decision) -> None:
        """Keep what an explored request says about quality."""
        record, before = recalled.record, recalled.before
        candidates = explored_among(before.trace)
        if not candidates or not 0.0 < before.propensity <= 1.0:
            return
        reward = self.reward(record)
        if reward is None:
            self.without_outcome += 1
            return
        chances = {target: chance for target, chance in chances_of(after).items() if target in candidates}
        sample = Sample(
            session=record.session or record.id,
            stratum=before.tier.name,
            action=before.target,
            propensity=before.propensity,
            reward=reward,
            chances=chances,
        )
        self.samples.append(sample)

    def _rates(self, recalled: _Recalled) -> Rates:
        """The tariffs of every target seen so far; made anew only when another one turns up."""
        new = [target for target in recalled.before.targets if target not in self.targets]
        if new:
            self.targets.update(new)
            self.rates = rates_of(self.prices, sorted(self.targets))
        return self.rates


def _recall(record: Record) -> _Recalled | str:
    """What the record says about its decision, or why it says too little."""
    if record.features is None or record.decision is None or record.tier is None:
        return NOT_RECORDED
    try:
        features, snapshot = seen_of_json(record.features)
        before = decision_of_json(
            record.decision, tier=record.tier, score=record.score or 0.0, trace=record.trace
        )
    except ValueError:
        return UNREADABLE
    if isinstance(features, RecordedFeatures):
        features = evolve(features, heard=record.trace)
    return _Recalled(record, features, snapshot, before)


def _cause(before: Decision, after: Decision | None) -> str | None:
    """The reason code of what came out otherwise; None if nothing did."""
    if after is None:
        return REFUSED
    if after.tier is not before.tier:
        return after.reason
    if after.target == before.target:
        return None
    excluded = {left.target: left.code for left in after.exclusions}
    if str(before.target) in excluded:
        return excluded[str(before.target)]
    for step in ("pin", "exploration", "dominance"):
        code = _code_of(after, step)
        if code is not None and code != _code_of(before, step):
            return code
    # The same rule, but the session has come another way.
    pin = _code_of(after, "pin")
    return ORDER if pin is None or pin in _UNHELD else pin


def _code_of(decision: Decision, name: str) -> str | None:
    return next((step.code for step in decision.trace if step.name == name), None)


def _serving(record: Record, after: Decision) -> Target:
    """Whoever would have served: the first of the policy's targets that is not known to have failed then."""
    failed = {attempt.target for attempt in record.attempts if attempt.error is not None}
    failed.discard(record.target or after.target)
    return next((target for target in after.targets if target not in failed), after.target)
