"""Both stores, driven together through the same history, answer every query alike."""

import shutil
import tempfile
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from lynkr.telemetry import MemoryStore, Query, Record, Signal, SQLiteStore
from lynkr.telemetry.sums import Dimension, Order
from tests.telemetry.made import TIMES, dimensions, orders, queries, records, signals

IDS = st.sampled_from([f"id{i}" for i in range(8)] + ["", "é\x00☃"])


MOMENTS = st.none() | st.sampled_from([time + step for time in TIMES for step in (-0.25, 0.0, 0.5)])


class StoreMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.memory = MemoryStore()
        # The roll-ups are made after each row, after some, and never: what is summed up must not show it.
        self.tail = 0
        self.sqlite = SQLiteStore(self.folder / "ledger.db")

    @initialize(tail=st.sampled_from((1, 3, 10**9)))
    def roll_up_after(self, tail: int) -> None:
        self.tail = tail
        self.reopen()

    @rule(batch=st.lists(records(IDS), max_size=4))
    def write(self, batch: list[Record]) -> None:
        self.memory.write(batch)
        self.sqlite.write(batch)

    @rule(query=queries(IDS))
    def read(self, query: Query) -> None:
        assert list(self.sqlite.read(query)) == list(self.memory.read(query))

    @rule(query=queries(IDS))
    def totals(self, query: Query) -> None:
        assert self.sqlite.totals(query) == self.memory.totals(query)

    @rule(
        query=queries(IDS),
        by=dimensions,
        order=orders,
        limit=st.none() | st.integers(0, 3),
        latency=st.booleans(),
    )
    def cells(
        self, query: Query, by: tuple[Dimension, ...], order: Order | None, limit: int | None, latency: bool
    ) -> None:
        found = self.sqlite.cells(query, by, order=order, limit=limit, latency=latency)
        assert found == self.memory.cells(query, by, order=order, limit=limit, latency=latency)

    @rule(since=MOMENTS, until=MOMENTS, order=st.sampled_from(Order), limit=st.integers(0, 3))
    def first_sessions(self, since: float | None, until: float | None, order: Order, limit: int) -> None:
        """These are chosen along an index before they are summed up."""
        query, by = Query(since=since, until=until), (Dimension.SESSION,)
        found = self.sqlite.cells(query, by, order=order, limit=limit)
        assert found == self.memory.cells(query, by, order=order, limit=limit)

    @rule(
        since=MOMENTS,
        until=MOMENTS,
        by=st.sampled_from(((), (Dimension.HOUR, Dimension.REASON), (Dimension.PROVIDER,))),
    )
    def failures(self, since: float | None, until: float | None, by: tuple[Dimension, ...]) -> None:
        """These have roll-ups of their own."""
        query = Query(since=since, until=until, errors_only=True)
        assert self.sqlite.cells(query, by) == self.memory.cells(query, by)

    @rule(said=st.lists(signals(IDS), max_size=3))
    def signal(self, said: list[Signal]) -> None:
        assert self.sqlite.signal(said) == self.memory.signal(said)

    @rule(since=MOMENTS, until=MOMENTS)
    def attempts(self, since: float | None, until: float | None) -> None:
        found = self.sqlite.attempts(since=since, until=until)
        assert found == self.memory.attempts(since=since, until=until)

    @rule(id=IDS)
    def signals(self, id: str) -> None:
        assert self.sqlite.signals(id) == self.memory.signals(id)

    @rule(before=st.sampled_from([time + step for time in TIMES for step in (0.0, 0.5)]))
    def prune(self, before: float) -> None:
        assert self.sqlite.prune(before) == self.memory.prune(before)

    @rule()
    def reopen(self) -> None:
        self.sqlite.close()
        self.sqlite = SQLiteStore(self.folder / "ledger.db", tail=self.tail)

    @invariant()
    def everything_agrees(self) -> None:
        every = Query(limit=None)
        assert list(self.sqlite.read(every)) == list(self.memory.read(every))
        assert self.sqlite.totals(every) == self.memory.totals(every)
        by = (Dimension.TIER, Dimension.MODEL)
        assert self.sqlite.cells(every, by, latency=True) == self.memory.cells(every, by, latency=True)

    def teardown(self) -> None:
        self.sqlite.close()
        shutil.rmtree(self.folder)


TestStores = StoreMachine.TestCase
# A step is four queries on a real file; with 25 steps an example still meets every rule several times.
TestStores.settings = settings(stateful_step_count=25)
