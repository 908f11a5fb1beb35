"""Both stores, driven together through the same history, answer every query alike."""

import shutil
import tempfile
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from lynkr.telemetry import MemoryStore, Query, Record, SQLiteStore
from tests.telemetry.made import TIMES, queries, records

IDS = st.sampled_from([f"id{i}" for i in range(8)] + ["", "é\x00☃"])


class StoreMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.memory = MemoryStore()
        self.sqlite = SQLiteStore(self.folder / "ledger.db")

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

    @rule(before=st.sampled_from([time + step for time in TIMES for step in (0.0, 0.5)]))
    def prune(self, before: float) -> None:
        assert self.sqlite.prune(before) == self.memory.prune(before)

    @rule()
    def reopen(self) -> None:
        self.sqlite.close()
        self.sqlite = SQLiteStore(self.folder / "ledger.db")

    @invariant()
    def everything_agrees(self) -> None:
        every = Query(limit=None)
        assert list(self.sqlite.read(every)) == list(self.memory.read(every))
        assert self.sqlite.totals(every) == self.memory.totals(every)

    def teardown(self) -> None:
        self.sqlite.close()
        shutil.rmtree(self.folder)


TestStores = StoreMachine.TestCase
# A step is four queries on a real file; with 25 steps an example still meets every rule several times.
TestStores.settings = settings(stateful_step_count=25)
