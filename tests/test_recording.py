"""A record made later, in another thread, is the one made at once would be."""

import gc
import weakref
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from lynkr.exchange import Exchange, Ledger, Plan
from lynkr.model import Message, Request, Usage
from lynkr.pricing import Price, SnapshotPrices
from lynkr.resilience.outcome import AttemptKind, Outcome
from lynkr.routing import PipelineRouter, Snapshot, Tier
from lynkr.routing.decision import Target
from lynkr.service import Attempt, Journal, Reply, Tally
from lynkr.telemetry import Ending, Record
from lynkr.telemetry.observers import Ended

D = Decimal
ONE, OTHER = Target("a", "one"), Target("b", "other")
PRICES = SnapshotPrices(
    {"date": "2026-11-23", "models": {}},
    {ONE: Price(D(2), D(10), D("0.2"), D("2.5")), OTHER: Price(D(5), D(25), D("0.5"))},
)
REQUEST = Request(model="auto", messages=(Message.user("rename this variable"),), stream=True)
ROUTER = PipelineRouter({Tier.SIMPLE: (ONE,), Tier.REASONING: (OTHER,)})
counts = st.none() | st.integers(0, 10_000)
usages = st.builds(Usage, counts, counts, counts, counts)
attempts = st.builds(
    Attempt,
    st.sampled_from((ONE, OTHER)),
    started=st.just(1.0),
    seconds=st.floats(0, 9),
    status=st.none() | st.just(529),
    outcome=st.sampled_from(Outcome),
    error=st.none() | st.just("UpstreamBusy"),
    kind=st.sampled_from(AttemptKind),
    cancelled=st.booleans(),
    tally=st.none() | st.builds(Tally, usage=usages, complete=st.booleans(), tool_calls=st.integers(0, 3)),
)


def nowhere(_: Record) -> None:
    raise AssertionError("written at once")


def ledger(
    write: Callable[[Record], None],
    later: Callable[[Callable[[], Record]], None] | None = None,
    *,
    tell: Callable[[Callable[[], Ended]], None] | None = None,
    record_text: bool = False,
) -> Ledger:
    return Ledger(
        write, lambda: 5.0, lambda: 5.0, PRICES, OTHER, record_text, tell, digest_key=b"key", later=later
    )


def exchange(kept: Ledger, tried: list[Attempt], *, planned: bool = True) -> Exchange:
    """A request that tried these, the last of which answered if it has a tally."""
    snapshot = Snapshot(now=1.0, session="s", seed=7)
    decision = ROUTER.route(REQUEST, snapshot)
    plan = Plan(decision.targets, decision, snapshot) if planned else None
    made = Exchange(id="r", ledger=kept, at=1.0, began=0.5, request=REQUEST, plan=plan, session="s")
    made.journal = Journal(tried)
    if tried and tried[-1].tally is not None:
        made.primed(Reply(tried[-1].target, tried[-1].tally))
    return made


@given(st.lists(attempts, max_size=3), st.booleans(), st.booleans())
def test_what_changes_after_the_end_does_not_reach_the_record(
    tried: list[Attempt], text: bool, planned: bool
) -> None:
    at_once: list[Record] = []
    later: list[Callable[[], Record]] = []
    exchange(ledger(at_once.append, record_text=text), tried, planned=planned).finish(Ending.OK, 200)
    exchange(ledger(at_once.append, later.append, record_text=text), tried, planned=planned).finish(
        Ending.OK, 200
    )
    for attempt in tried:  # a hedge that lost ends after the answer
        attempt.seconds, attempt.error, attempt.cancelled, attempt.outcome = (
            99.0,
            "Late",
            True,
            Outcome.FAILURE,
        )
        if attempt.tally is not None:
            attempt.tally.usage, attempt.tally.complete = Usage(10**6, 10**6), True
            attempt.tally.tool_calls = 50
    tried.append(Attempt(ONE, 9.0))
    (record,), (make,) = at_once, later
    assert make() == record
    assert make() is make()
    assert record.prompt == ("[user] rename this variable" if text else None)
    assert dict(make().features or {}) == dict(record.features or {})
    assert dict(make().decision or {}) == dict(record.decision or {})


def test_what_waits_to_be_written_holds_neither_the_connection_nor_the_request() -> None:
    class Stream:
        """Bytes of a reply, which nobody reads."""

        def __aiter__(self) -> "Stream":
            return self

        async def __anext__(self) -> bytes:
            raise StopAsyncIteration

        async def aclose(self) -> None:
            pass

    waiting: list[Callable[[], Record]] = []
    made = exchange(ledger(nowhere, waiting.append), [])
    stream, tally = Stream(), Tally(usage=Usage(3, 4), complete=True)
    made.request = evolve(REQUEST, messages=(Message.user("prose"),))
    made.primed(Reply(ONE, tally, raw=stream))
    made.finish(Ending.OK, 200)
    held = [weakref.ref(one) for one in (stream, made, made.request, made.request.messages[0])]
    del stream, made
    gc.collect()
    assert [one() for one in held] == [None] * 4
    assert waiting[0]().usage == Usage(3, 4)


def test_made_at_once_in_many_threads_it_is_one_record() -> None:
    waiting: list[Callable[[], Record]] = []
    for _ in range(200):
        exchange(ledger(nowhere, waiting.append, record_text=True), []).finish(Ending.CANCELLED, 0)
    with ThreadPoolExecutor(4) as pool:
        made = [[pool.submit(one) for _ in range(4)] for one in waiting]
        for found in made:
            records = [one.result(30) for one in found]
            assert records.count(records[0]) == 4
            assert records[0].tier is not None
            assert records[0].prompt is not None


@pytest.mark.parametrize("budgeted", [True, False])
def test_who_counts_money_and_who_watches_see_the_record_that_is_written(budgeted: bool) -> None:
    settled: list[Record] = []
    told: list[Callable[[], Ended]] = []
    waiting: list[Callable[[], Record]] = []
    made = exchange(
        ledger(nowhere, waiting.append, tell=told.append),
        [Attempt(ONE, 1.0, tally=Tally(id="msg_1", usage=Usage(1_000, 100), complete=True))],
    )
    made.settle = settled.append if budgeted else None
    made.finish(Ending.OK, 200)
    made.finish(Ending.FAILED, 500)
    assert len(settled) == budgeted
    ended = told[0]()
    assert ended.record is waiting[0]()
    assert (ended.response_id, ended.record.cost.cost_microusd) == ("msg_1", 3_000)
    assert all(one is ended.record for one in settled)
    assert len(told) == len(waiting) == 1
