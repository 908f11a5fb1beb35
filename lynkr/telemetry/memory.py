"""Records in memory: for tests, for scripts, and for a gateway that keeps no file."""

import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import islice
from types import MappingProxyType

from attrs import define, field

from lynkr.resilience.outcome import Outcome
from lynkr.routing.decision import Target
from lynkr.telemetry.record import (
    AttemptKind,
    AttemptRecord,
    Ending,
    Query,
    Record,
    Signal,
    SignalKind,
    Totals,
)
from lynkr.telemetry.signals import Course, Turn, is_turn
from lynkr.telemetry.store import AttemptCell
from lynkr.telemetry.sums import Cell, Dimension, Order, cells_of


@define
class _Kept:
    """A record, when it was written (a running number), and what was said about it."""

    record: Record
    number: int
    signals: dict[tuple[str, str], Signal] = field(factory=dict[tuple[str, str], Signal])
    followed: bool = False
    turn: Turn | None = None

    @property
    def place(self) -> tuple[float, int]:
        return self.record.at, self.number

    @property
    def kinds(self) -> frozenset[SignalKind]:
        said = frozenset(signal.kind for signal in self.signals.values())
        return said | {SignalKind.FOLLOWED} if self.followed else said


@define
class _Session:
    """A session's course, and the records of its turns by their numbers."""

    course: Course = field(factory=Course)
    turns: dict[int, _Kept] = field(factory=dict[int, _Kept])


class MemoryStore:
    """The last *max_records* records written; older ones are dropped."""

    def __init__(self, max_records: int = 10_000) -> None:
        if max_records < 1:
            raise ValueError("max_records must be at least 1")
        self._max_records = max_records
        self._records: dict[str, _Kept] = {}  # in the order written
        self._sessions: dict[str, _Session] = {}
        self._number = 0
        self._lock = threading.Lock()
        self._closed = False

    def write(self, records: Sequence[Record], /) -> None:
        """Keep *records*; one whose id is known changes nothing.

        Raises:
            RuntimeError: the store was closed.
        """
        with self._lock:
            self._refuse_if_closed()
            for record in records:
                if record.id not in self._records:
                    self._keep(record)
            for dropped in list(islice(self._records, max(0, len(self._records) - self._max_records))):
                self._drop(dropped)

    def signal(self, signals: Sequence[Signal], /) -> frozenset[str]:
        """Keep *signals*, the later in place of an earlier of its kind and source; gives the unknown ids.

        Raises:
            RuntimeError: the store was closed.
        """
        with self._lock:
            self._refuse_if_closed()
            return frozenset(signal.request for signal in signals if not self._hear(signal))

    def signals(self, id: str, /) -> tuple[Signal, ...]:
        """What was said about the request, in the order of time, kind and source."""
        with self._lock:
            kept = self._records.get(id)
            heard = [] if kept is None else list(kept.signals.values())
        return tuple(sorted(heard, key=lambda one: (one.at, one.kind, one.source)))

    def read(self, query: Query, /) -> Iterator[Record]:
        """The matching records, newest first, as they are when the first one is asked for."""
        yield from (kept.record for kept in islice(self._matching(query), query.limit))

    def totals(self, query: Query, /) -> Totals:
        """Sums over the matching records; `limit` is ignored."""
        records = [kept.record for kept in self._matching(query)]
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

    def cells(
        self,
        query: Query,
        by: Sequence[Dimension] = (),
        /,
        *,
        order: Order | None = None,
        limit: int | None = None,
        latency: bool = False,
    ) -> tuple[Cell, ...]:
        """The sums of the matching records by *by*; `Query.limit` is ignored, *limit* is that of the cells.

        See `TelemetryStore.cells`.
        """
        found = [(kept.record, kept.kinds) for kept in self._matching(query)]
        return cells_of(found, by, order, limit, latency=latency)

    def attempts(self, *, since: float | None = None, until: float | None = None) -> tuple[AttemptCell, ...]:
        """The attempts of the requests that arrived from *since* to before *until*, by target."""
        by_target: dict[Target, list[AttemptRecord]] = {}
        for kept in self._matching(Query(since=since, until=until, limit=None)):
            for attempt in kept.record.attempts:
                by_target.setdefault(attempt.target, []).append(attempt)
        return tuple(_attempts_at(target, by_target[target]) for target in sorted(by_target))

    def prune(self, before: float, /) -> int:
        """Forget the records that arrived before this Unix time; says how many."""
        with self._lock:
            old = [known for known, kept in self._records.items() if kept.record.at < before]
            for known in old:
                self._drop(known)
        return len(old)

    def trim(self, most: int, /) -> int:
        """Forget the oldest records, so that *most* are left; says how many."""
        with self._lock:
            newest = sorted(self._records.values(), key=_place, reverse=True)
            for kept in newest[most:]:
                self._drop(kept.record.id)
        return len(newest[most:])

    def close(self) -> None:
        """End writing; what was written can still be read."""
        with self._lock:
            self._closed = True

    def _refuse_if_closed(self) -> None:
        if self._closed:
            raise RuntimeError("the store is closed")

    def _keep(self, record: Record) -> None:
        # Encode what is deferred: numbers and codes are kept, and not the words they were drawn from.
        for deferred in (record.features, record.decision):
            _ = len(deferred or ())
        self._number += 1
        kept = self._records[record.id] = _Kept(record, self._number)
        if record.session is None:
            return
        session = self._sessions.get(record.session)
        said = None if session is None else session.course.reaction(record)
        if session is not None and said is not None:
            turn, kind = said
            earlier = session.turns[turn.seq]
            if kind is SignalKind.FOLLOWED:
                earlier.followed = True
            else:
                self._hear(Signal(earlier.record.id, kind, record.at))
        if is_turn(record):
            session = self._sessions.setdefault(record.session, _Session())
            kept.turn = Turn.of(record, self._number)
            session.course.add(kept.turn)
            session.turns[self._number] = kept

    def _hear(self, signal: Signal) -> bool:
        kept = self._records.get(signal.request)
        if kept is not None:
            kept.signals[signal.kind, signal.source] = signal
        return kept is not None

    def _drop(self, id: str) -> None:
        kept = self._records.pop(id)
        if kept.record.session is not None and kept.turn is not None:
            session = self._sessions[kept.record.session]
            session.course.drop(kept.turn)
            del session.turns[kept.number]
            if not session.turns:
                del self._sessions[kept.record.session]

    def _matching(self, query: Query) -> list[_Kept]:
        """In the order that the query wants."""
        with self._lock:
            kept = list(self._records.values())
            mark = None if query.before is None else self._records.get(query.before)
        if query.before is not None:
            kept = [one for one in kept if mark is not None and _comes_after(one, mark, query)]
        found = [one for one in kept if _matches(one.record, query)]
        return sorted(found, key=_place, reverse=not query.oldest_first)


def _attempts_at(target: Target, attempts: Sequence[AttemptRecord]) -> AttemptCell:
    failed = [attempt for attempt in attempts if attempt.outcome is Outcome.FAILURE]
    newest = max(failed, key=lambda attempt: (attempt.started, attempt.error or ""), default=None)
    kinds = Counter(attempt.kind for attempt in attempts)
    return AttemptCell(
        target.provider,
        target.model,
        attempts=len(attempts),
        succeeded=sum(attempt.outcome is Outcome.SUCCESS for attempt in attempts),
        failed=len(failed),
        cancelled=sum(attempt.cancelled is True for attempt in attempts),
        retries=kinds[AttemptKind.RETRY],
        fallbacks=kinds[AttemptKind.FALLBACK],
        hedges=kinds[AttemptKind.HEDGE],
        cost_microusd=sum(attempt.cost_microusd or 0 for attempt in attempts),
        unpriced=sum(attempt.cost_microusd is None for attempt in attempts),
        duration_us=sum(int(attempt.seconds * 1e6) for attempt in attempts),
        last_error=None if newest is None else newest.error,
        last_error_at=None if newest is None else newest.started,
    )


def _place(kept: _Kept) -> tuple[float, int]:
    return kept.place


def _comes_after(one: _Kept, mark: _Kept, query: Query) -> bool:
    return one.place > mark.place if query.oldest_first else one.place < mark.place


def _matches(record: Record, query: Query) -> bool:
    target = record.target
    return (
        (query.id is None or record.id == query.id)
        and (query.since is None or record.at >= query.since)
        and (query.until is None or record.at < query.until)
        and (query.tier is None or record.tier is query.tier)
        and (query.session is None or record.session == query.session)
        and (query.id_prefix is None or record.id.startswith(query.id_prefix))
        and (query.sessions is None or record.session in query.sessions)
        and (query.tenant is None or record.tenant == query.tenant)
        and (query.reason is None or record.reason == query.reason)
        and (not query.errors_only or record.ending is Ending.FAILED)
        and (query.provider is None or (target is not None and target.provider == query.provider))
        and (query.model is None or (target is not None and target.model == query.model))
    )
