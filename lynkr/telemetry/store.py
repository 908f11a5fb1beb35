"""Where records go."""

from collections.abc import Iterator, Sequence
from typing import Protocol

from lynkr.telemetry.record import Query, Record, Totals


class TelemetryStore(Protocol):
    """Synchronous on purpose: the recorder calls it from one worker thread.

    Implementations are safe to call from several threads, one call at a time
    each.  Writing a record whose id is already there replaces nothing and
    raises nothing: the first one stands.
    """

    def write(self, records: Sequence[Record], /) -> None:
        """Keep *records*, all of them or, if it raises, none."""
        ...

    def read(self, query: Query, /) -> Iterator[Record]:
        """The matching records, newest first, as they are when the first one is asked for."""
        ...

    def totals(self, query: Query, /) -> Totals:
        """Sums over the matching records; `limit` is ignored."""
        ...

    def prune(self, before: float, /) -> int:
        """Forget the records that arrived before this Unix time; says how many."""
        ...

    def close(self) -> None:
        """End writing: a later `write` raises RuntimeError, reading stays possible.  Idempotent."""
        ...
