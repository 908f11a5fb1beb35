"""Records in memory: for tests, for scripts, and for a gateway that keeps no file."""

import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import islice
from types import MappingProxyType

from lynkr.telemetry.record import Ending, Query, Record, Totals


class MemoryStore:
    """The last *max_records* records written; older ones are dropped."""

    def __init__(self, max_records: int = 10_000) -> None:
        if max_records < 1:
            raise ValueError("max_records must be at least 1")
        self._max_records = max_records
        self._records: dict[str, Record] = {}  # in the order written
        self._lock = threading.Lock()
        self._closed = False

    def write(self, records: Sequence[Record], /) -> None:
        """Keep *records*; one whose id is known changes nothing.

        Raises:
            RuntimeError: the store was closed.
        """
        with self._lock:
            if self._closed:
                raise RuntimeError("the store is closed")
            for record in records:
                self._records.setdefault(record.id, record)
            for dropped in list(islice(self._records, max(0, len(self._records) - self._max_records))):
                del self._records[dropped]

    def read(self, query: Query, /) -> Iterator[Record]:
        """The matching records, newest first, as they are when the first one is asked for."""
        matching = self._matching(query)
        matching.reverse()  # so that of equally new ones the later written comes first: sorting keeps order
        matching.sort(key=_arrival, reverse=True)
        yield from islice(matching, query.limit)

    def totals(self, query: Query, /) -> Totals:
        """Sums over the matching records; `limit` is ignored."""
        records = self._matching(query)
        usages = [record.usage for record in records]
        costs = [record.cost for record in records]
        tiers = Counter(record.tier.name for record in records if record.tier is not None)
        return Totals(
            requests=len(records),
            failed=sum(record.ending is Ending.FAILED for record in records),
            cancelled=sum(record.ending is Ending.CANCELLED for record in records),
            input_tokens=sum(usage.input or 0 for usage in usages),
            output_tokens=sum(usage.output or 0 for usage in usages),
            cache_read_tokens=sum(usage.cache_read or 0 for usage in usages),
            cache_write_tokens=sum(usage.cache_write or 0 for usage in usages),
            cost_microusd=sum(cost.cost_microusd or 0 for cost in costs),
            baseline_microusd=sum(cost.baseline_microusd or 0 for cost in costs),
            saved_microusd=sum(cost.saved_microusd or 0 for cost in costs),
            unpriced=sum(cost.cost_microusd is None for cost in costs),
            unmeasured=sum(usage.input is None or usage.output is None for usage in usages),
            by_tier=MappingProxyType(dict(tiers)),
        )

    def prune(self, before: float, /) -> int:
        """Forget the records that arrived before this Unix time; says how many."""
        with self._lock:
            old = [record.id for record in self._records.values() if record.at < before]
            for key in old:
                del self._records[key]
        return len(old)

    def close(self) -> None:
        """End writing; what was written can still be read."""
        with self._lock:
            self._closed = True

    def _matching(self, query: Query) -> list[Record]:
        with self._lock:
            records = list(self._records.values())
        return [record for record in records if _matches(record, query)]


def _arrival(record: Record) -> float:
    return record.at


def _matches(record: Record, query: Query) -> bool:
    return (
        (query.id is None or record.id == query.id)
        and (query.since is None or record.at >= query.since)
        and (query.until is None or record.at < query.until)
        and (query.tier is None or record.tier is query.tier)
        and (query.session is None or record.session == query.session)
        and (not query.errors_only or record.ending is Ending.FAILED)
        and (
            query.provider is None or (record.target is not None and record.target.provider == query.provider)
        )
    )
