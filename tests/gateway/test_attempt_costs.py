"""What a request cost: the answer that served, and every other attempt by its own tokens."""

from decimal import Decimal

from attrs import evolve

from lynkr.exchange import Exchange, Ledger
from lynkr.layers.journal import kind_of
from lynkr.model import Message, Request, Usage
from lynkr.pricing import Price, SnapshotPrices
from lynkr.resilience.outcome import AttemptKind
from lynkr.routing.decision import Target
from lynkr.service import Attempt, Call, Journal, Reply, Tally
from lynkr.telemetry.record import Ending, Record

D = Decimal
SLOW, FAST, FLAGSHIP = Target("a", "slow"), Target("b", "fast"), Target("a", "flagship")
PRICES = SnapshotPrices(
    {"date": "2026-11-23", "models": {}},
    {SLOW: Price(D(2), D(10)), FAST: Price(D(1), D(4)), FLAGSHIP: Price(D(5), D(25))},
)
REQUEST = Request(model="auto", messages=(Message.user("hi"),))


def recorded(*attempts: Attempt, served: Attempt | None, ending: Ending = Ending.OK) -> Record:
    """The record of a request with these attempts, of which *served* answered."""
    written: list[Record] = []
    ledger = Ledger(written.append, lambda: 1.0, lambda: 1.0, PRICES, FLAGSHIP)
    exchange = Exchange(id="r", ledger=ledger, at=1.0, began=0.5, request=REQUEST)
    exchange.journal.attempts.extend(attempts)
    if served is not None and served.tally is not None:
        exchange.reply = Reply(served.target, served.tally)
    exchange.finish(ending, 200)
    (record,) = written
    return record


def attempt(target: Target, kind: AttemptKind, usage: Usage | None = None, *, whole: bool = True) -> Attempt:
    tally = None if usage is None else Tally(usage=usage, complete=whole)
    return Attempt(target, 0.6, kind=kind, tally=tally, cancelled=not whole)


def test_a_hedge_that_lost_costs_what_it_cost_and_counts_against_the_saving() -> None:
    lost = attempt(SLOW, AttemptKind.FIRST, Usage(1_000, 100), whole=False)
    won = attempt(FAST, AttemptKind.HEDGE, Usage(1_000, 50))
    record = recorded(lost, won, served=won)
    assert [one.cost_microusd for one in record.attempts] == [1_000 * 2 + 100 * 10, 1_000 + 50 * 4]
    assert [one.kind for one in record.attempts] == [AttemptKind.FIRST, AttemptKind.HEDGE]
    assert [(one.cancelled, one.partial) for one in record.attempts] == [(True, True), (False, False)]
    assert (record.cost.cost_microusd, record.cost.overhead_microusd) == (1_200, 3_000)
    assert record.cost.saved_microusd == (1_000 * 5 + 50 * 25) - 1_200 - 3_000


def test_the_first_may_win_though_the_hedge_was_the_last_to_begin() -> None:
    won = attempt(SLOW, AttemptKind.FIRST, Usage(10, 1))
    lost = attempt(FAST, AttemptKind.HEDGE)
    record = recorded(won, lost, served=won)
    assert [one.cost_microusd for one in record.attempts] == [30, None]
    assert [one.usage for one in record.attempts] == [Usage(10, 1), Usage()]
    assert (record.cost.cost_microusd, record.cost.overhead_microusd) == (30, None)


def test_a_cancelled_answer_owes_at_least_what_was_counted_and_its_cost_stays_unknown() -> None:
    cut = attempt(SLOW, AttemptKind.FIRST, Usage(1_000, None), whole=False)
    record = recorded(cut, served=cut, ending=Ending.CANCELLED)
    assert record.partial is True
    assert (record.cost.cost_microusd, record.cost.saved_microusd) == (None, None)
    assert record.cost.least_microusd == 2_000


def test_a_refused_request_has_no_attempt_and_no_cost() -> None:
    record = recorded(served=None, ending=Ending.FAILED)
    assert (record.attempts, record.partial, record.tool_calls) == ((), None, None)
    assert record.cost.cost_microusd is record.cost.overhead_microusd is record.cost.least_microusd is None


def test_the_journal_sees_a_retry_and_a_fallback_and_is_told_of_a_hedge() -> None:
    call = Call(request=REQUEST, target=SLOW, journal=Journal())
    assert kind_of(call) is AttemptKind.FIRST
    call.journal.attempts.append(Attempt(SLOW, 1.0))
    assert kind_of(call) is AttemptKind.RETRY
    assert kind_of(evolve(call, target=FAST)) is AttemptKind.FALLBACK
    assert kind_of(evolve(call, kind=AttemptKind.HEDGE)) is AttemptKind.HEDGE
