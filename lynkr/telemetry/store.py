"""Where records go."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Final, Protocol, Self

from attrs import frozen

from lynkr.telemetry.record import Query, Record, Signal, Totals
from lynkr.telemetry.sums import Cell, Dimension, Order


@frozen
class AttemptCell:
    """The attempts at one target (*model* None: at all of a provider's), by what became of them.

    *succeeded* and *failed* ones proved something about the provider; of the rest
    *cancelled* were given up by whoever wanted them.  *cost_microusd* is over
    those whose cost is known, *unpriced* counts the others.  *seconds* is their length in
    all, in microseconds.  *last_error* is the newest attempt's that failed, *last_error_at* when
    that began in Unix seconds.
    """

    provider: str
    model: str | None
    attempts: int = 0
    succeeded: int = 0
    failed: int = 0
    cancelled: int = 0
    retries: int = 0
    fallbacks: int = 0
    hedges: int = 0
    cost_microusd: int = 0
    unpriced: int = 0
    duration_us: int = 0
    last_error: str | None = None
    last_error_at: float | None = None

    @classmethod
    def total(cls, provider: str, cells: "Iterable[AttemptCell]") -> Self:
        """All attempts at *provider*."""
        listed = list(cells)
        newest = max(listed, key=lambda cell: cell.last_error_at or 0.0, default=None)
        sums: dict[str, int] = {name: sum(getattr(cell, name) for cell in listed) for name in ATTEMPT_SUMS}
        return cls(
            provider,
            None,
            **sums,
            last_error=None if newest is None else newest.last_error,
            last_error_at=None if newest is None else newest.last_error_at,
        )


ATTEMPT_SUMS: Final = (
    "attempts", "succeeded", "failed", "cancelled", "retries", "fallbacks", "hedges", "cost_microusd",
    "unpriced", "duration_us",
)  # fmt: skip


# SQLite's BUSY, LOCKED, NOMEM, IOERR, FULL and CANTOPEN (sqlite.org/rescode.html, read 2026-11).
_PASSING_CODES: Final = frozenset({5, 6, 7, 10, 13, 14})


def may_pass(error: Exception) -> bool:
    """Whether what a store raised is trouble of its own that time may cure: a full disk, a lock."""
    code = getattr(error, "sqlite_errorcode", None)  # of a `sqlite3.Error`, which is not imported for this
    return isinstance(error, OSError) or (isinstance(code, int) and code & 0xFF in _PASSING_CODES)


class TelemetryStore(Protocol):
    """Synchronous on purpose: the recorder calls it from one worker thread.

    Implementations are safe to call from several threads, one call at a time
    each.  Writing a record whose id is already there replaces nothing and
    raises nothing: the first one stands.
    """

    def write(self, records: Sequence[Record], /) -> None:
        """Keep *records*, all of them or, if it raises, none.

        What a record says about earlier ones of its session (`lynkr.telemetry.signals`)
        is kept with them.
        """
        ...

    def signal(self, signals: Sequence[Signal], /) -> frozenset[str]:
        """Keep *signals*, the later in place of an earlier of its kind and source; gives the unknown ids."""
        ...

    def signals(self, id: str, /) -> tuple[Signal, ...]:
        """What was said about the request, in the order of time, kind and source."""
        ...

    def read(self, query: Query, /) -> Iterator[Record]:
        """The matching records, newest first, as they are when the first one is asked for."""
        ...

    def totals(self, query: Query, /) -> Totals:
        """Sums over the matching records; `limit` is ignored."""
        ...

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
        """The sums of the matching records by *by*; no cell for none.

        `Query.limit` is ignored; *limit* is that of the cells, which come in
        *order*, those equal by it (all without one) by their keys.  *latency*
        wants the sketches as well, which cells by REASON, TRAFFIC and SESSION do not have.
        """
        ...

    def attempts(self, *, since: float | None = None, until: float | None = None) -> tuple[AttemptCell, ...]:
        """The attempts of the requests that arrived from *since* to before *until*, by target."""
        ...

    def prune(self, before: float, /) -> int:
        """Forget the records that arrived before this Unix time; says how many."""
        ...

    def trim(self, most: int, /) -> int:
        """Forget the oldest records, so that *most* are left; says how many."""
        ...

    def close(self) -> None:
        """End writing: a later `write` raises RuntimeError, reading stays possible.  Idempotent."""
        ...
