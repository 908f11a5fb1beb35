"""What happened: one record per request, where it is kept, and who writes it down."""

from typing import TYPE_CHECKING

from lynkr.telemetry.memory import MemoryStore
from lynkr.telemetry.observers import Ended, Live, Observers, ObserverStats, RequestObserver, RequestTracer
from lynkr.telemetry.record import AttemptRecord, Cost, Ending, Query, Record, Signal, SignalKind, Totals
from lynkr.telemetry.recorder import Recorder, RecorderStats
from lynkr.telemetry.store import TelemetryStore

if TYPE_CHECKING:
    from lynkr.telemetry.sqlite import SQLiteStore

__all__ = [
    "AttemptRecord",
    "Cost",
    "Ended",
    "Ending",
    "Live",
    "MemoryStore",
    "ObserverStats",
    "Observers",
    "Query",
    "Record",
    "Recorder",
    "RecorderStats",
    "RequestObserver",
    "RequestTracer",
    "SQLiteStore",
    "Signal",
    "SignalKind",
    "TelemetryStore",
    "Totals",
]


def __getattr__(name: str) -> object:
    """`SQLiteStore` on first use, so that nobody pays for sqlite3 who keeps no ledger (PEP 562)."""
    if name != "SQLiteStore":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from lynkr.telemetry.sqlite import SQLiteStore  # noqa: PLC0415

    return SQLiteStore
