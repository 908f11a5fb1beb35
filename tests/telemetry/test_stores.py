"""What every store does, whichever keeps the records."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lynkr.model import Usage
from lynkr.routing.decision import Target, Tier
from lynkr.telemetry import Cost, Ending, MemoryStore, Query, Record, SQLiteStore, TelemetryStore, Totals
from tests.telemetry.made import record, records


@pytest.fixture(params=["memory", "sqlite"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[TelemetryStore]:
    made: TelemetryStore = MemoryStore() if request.param == "memory" else SQLiteStore(tmp_path / "ledger.db")
    yield made
    made.close()


def ids_of(store: TelemetryStore, query: Query) -> list[str]:
    return [found.id for found in store.read(query)]


@given(written=records(st.just("one")))
def test_what_is_read_equals_what_was_written(
    written: Record, tmp_path_factory: pytest.TempPathFactory
) -> None:
    for kept in (MemoryStore(), SQLiteStore(tmp_path_factory.mktemp("ledger") / "ledger.db")):
        kept.write([written])
        assert list(kept.read(Query())) == [written]
        kept.close()


def test_an_empty_store_reads_nothing_and_sums_to_zero(store: TelemetryStore) -> None:
    assert list(store.read(Query())) == []
    assert store.totals(Query()) == Totals()


def test_the_first_record_of_an_id_stands(store: TelemetryStore) -> None:
    store.write([record("a", status=200), record("a", status=502)])
    store.write([record("a", status=400), record("b")])
    assert [found.status for found in store.read(Query(id="a"))] == [200]
    assert store.totals(Query()).requests == 2


def test_reading_is_newest_first_and_of_equally_new_ones_the_later_written(store: TelemetryStore) -> None:
    store.write(
        [record("old", at=1.0), record("first", at=2.0), record("second", at=2.0), record("older", at=0.5)]
    )
    assert ids_of(store, Query()) == ["second", "first", "old", "older"]


def test_since_is_inclusive_and_until_exclusive(store: TelemetryStore) -> None:
    store.write([record(str(at), at=at) for at in (1.0, 2.0, 3.0)])
    assert ids_of(store, Query(since=1.0, until=3.0)) == ["2.0", "1.0"]


def test_filters_apply_before_the_limit(store: TelemetryStore) -> None:
    failed = [record(f"bad{i}", at=i, ending=Ending.FAILED, status=502) for i in range(3)]
    store.write(failed + [record(f"good{i}", at=100 + i) for i in range(50)])
    assert ids_of(store, Query(errors_only=True, limit=2)) == ["bad2", "bad1"]


def test_each_filter_keeps_what_it_names(store: TelemetryStore) -> None:
    odd = "' OR 1=1; --"
    store.write(
        [
            record("tier", tier=Tier.COMPLEX),
            record("provider", target=Target(odd, "m")),
            record("session", session=odd),
            record("left", ending=Ending.CANCELLED, status=499),
            record("failed", ending=Ending.FAILED, status=502),
        ]
    )
    assert ids_of(store, Query(tier=Tier.COMPLEX)) == ["tier"]
    assert ids_of(store, Query(provider=odd)) == ["provider"]
    assert ids_of(store, Query(session=odd)) == ["session"]
    assert ids_of(store, Query(id="left")) == ["left"]
    assert ids_of(store, Query(errors_only=True)) == ["failed"]
    assert ids_of(store, Query(session="' OR '1'='1")) == []


def test_totals_leave_unknown_values_out_and_count_them(store: TelemetryStore) -> None:
    store.write(
        [
            record(
                "known", tier=Tier.SIMPLE, usage=Usage(input=100, output=10, cache_read=40), cost=Cost(5, 30)
            ),
            record(
                "dearer", tier=Tier.SIMPLE, usage=Usage(input=1, output=1, cache_write=1), cost=Cost(50, 30)
            ),
            record("unpriced", tier=Tier.REASONING, usage=Usage(input=7, output=1), cost=Cost(None, 90)),
            record("partial", usage=Usage(input=3), ending=Ending.CANCELLED, status=499),
            record("failed", ending=Ending.FAILED, status=502),
        ]
    )
    assert store.totals(Query(limit=1)) == Totals(
        requests=5,
        failed=1,
        cancelled=1,
        input_tokens=111,
        output_tokens=12,
        cache_read_tokens=40,
        cache_write_tokens=1,
        cost_microusd=55,
        baseline_microusd=150,
        saved_microusd=5,  # 25 saved, 20 lost, and the unpriced one in neither
        unpriced=3,
        unmeasured=2,
        by_tier={"SIMPLE": 2, "REASONING": 1},
    )


def test_negative_savings_stay_negative(store: TelemetryStore) -> None:
    store.write([record(cost=Cost(100, 30))])
    assert store.totals(Query()).saved_microusd == -70


def test_no_words_are_kept_unless_the_record_has_them(store: TelemetryStore) -> None:
    store.write([record("silent"), record("spoken", prompt="why?", answer="because")])
    (silent,) = store.read(Query(id="silent"))
    (spoken,) = store.read(Query(id="spoken"))
    assert (silent.prompt, silent.answer) == (None, None)
    assert (spoken.prompt, spoken.answer) == ("why?", "because")
    assert "why?" not in repr(spoken)


def test_pruning_forgets_what_came_before_and_frees_the_id(store: TelemetryStore) -> None:
    store.write([record("old", at=1.0), record("edge", at=2.0), record("new", at=3.0)])
    assert store.prune(2.0) == 1
    assert ids_of(store, Query()) == ["new", "edge"]
    store.write([record("old", at=9.0)])
    assert ids_of(store, Query(id="old")) == ["old"]


def test_a_closed_store_can_be_read_but_not_written(store: TelemetryStore) -> None:
    store.write([record()])
    store.close()
    store.close()
    assert ids_of(store, Query()) == ["r1"]
    with pytest.raises(RuntimeError, match="closed"):
        store.write([record("r2")])


def test_several_threads_may_write_and_read_at_once(store: TelemetryStore) -> None:
    def work(thread: int) -> int:
        for i in range(20):
            store.write([record(f"{thread}-{i}-{j}") for j in range(5)])
            assert store.totals(Query()).requests % 5 == 0  # whole batches only
        return len(ids_of(store, Query(limit=None)))

    with ThreadPoolExecutor(4) as pool:
        assert max(pool.map(work, range(4))) == 400


def test_a_negative_limit_is_refused() -> None:
    with pytest.raises(ValueError, match="limit"):
        Query(limit=-1)


def test_memory_drops_the_oldest_written_beyond_its_bound() -> None:
    bounded = MemoryStore(max_records=3)
    bounded.write([record(str(i), at=-i) for i in range(5)])
    assert ids_of(bounded, Query()) == ["2", "3", "4"]
    with pytest.raises(ValueError, match="max_records"):
        MemoryStore(max_records=0)
