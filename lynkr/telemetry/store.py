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

    def write(self, records: Sequence[Record], /) -> None: ...

    def read(self, query: Query, /) -> Iterator[Record]: ...

    def totals(self, query: Query, /) -> Totals:
        """Sums over the matching records; `limit` is ignored."""
        ...

    def close(self) -> None: ...
