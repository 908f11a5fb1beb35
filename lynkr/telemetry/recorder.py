"""Takes records off the request's path: a bounded queue and one thread that writes.

Theory of operation.  `record` appends to a deque under a lock that nobody
holds across I/O, and returns.  What it appends may be what makes a record: the thread
calls that.  The thread starts with the first record.  It
sleeps until there is one, gives others up to *flush_interval* seconds to
come (less when a batch is full or somebody waits in `flush`), takes up to
*batch* of them and writes.

A store that raises is tried again after each of the *backoff* delays.  Then it depends.  What may
pass (`lynkr.telemetry.store.may_pass`: a full disk, a lock) is waited for as long as the queue has room for
what comes meanwhile, or *patience* is at its end; only then the batch is given up and counted.  With
anything else something may be wrong with a record: the batch is offered in halves, and
those in halves, so that such a record costs itself and few others.  An error of the
records themselves (TypeError, ValueError, OverflowError) is not waited for at all:
they are written one by one, so that one odd record costs only itself.

Every accepted record ends up counted once, as written or as failed, which is
what `flush` waits for.  One that is not accepted is counted as dropped.

The thread shares the interpreter with the requests.  SQLite lets go of it while it
works; between records that are made or encoded the thread does so itself, so that a
request waits for a few of them at most, and not for the batch.
"""

import atexit
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from math import inf
from typing import Final, TypeAlias

from attrs import frozen

from lynkr.errors import LedgerError
from lynkr.telemetry.record import Query, Record, Signal
from lynkr.telemetry.store import TelemetryStore, may_pass

DEFAULT_BACKOFF: Final = (0.05, 0.25, 1.0)
_EXIT_TIMEOUT: Final = 2.0  # seconds a forgotten recorder may hold up the end of the program
_PRUNE_INTERVAL: Final = 3600.0
_DATA_ERRORS: Final = (TypeError, ValueError, OverflowError, RecursionError)
_AT_A_TIME: Final = 64  # records made before other threads may run
_PAUSE: Final = 1e-6  # seconds; none at all would be over before another thread has woken up


@frozen
class RecorderStats:
    """How the recorder fares; counts since it was made.

    *queued* records wait or are being written; *written* ones the store took;
    *dropped* ones came when the queue was full or the recorder closed;
    *failed* ones the store refused until patience ran out.  *retries* counts
    second and later tries, *pruned* records forgotten by age.  *last_error*
    is the latest complaint of the store, made at *last_error_at* (Unix
    seconds); it stays after recovery.  *failing* says that the store refused
    the latest write.
    """

    queued: int = 0
    written: int = 0
    dropped: int = 0
    failed: int = 0
    retries: int = 0
    pruned: int = 0
    last_error: str | None = None
    last_error_at: float | None = None
    failing: bool = False


Handed: TypeAlias = Record | Callable[[], Record]
"""A record, or what makes it: called in the recorder's thread, once or again, to the same effect."""


class Recorder:
    """Writes records to *store* from a thread of its own.

    Holds at most *capacity* records; *flush_interval*, *backoff* and *patience* (None for as long as there is
    room) are in seconds, *keep* is the age in seconds at which records are forgotten and *most* how
    many are kept (None keeps all), *clock* gives Unix seconds.  The store stays its owner's, who
    closes it after the recorder.  Make the recorder after forking, not before.
    """

    def __init__(
        self,
        store: TelemetryStore,
        *,
        capacity: int = 10_000,
        flush_interval: float = 0.5,
        batch: int = 200,
        backoff: Sequence[float] = DEFAULT_BACKOFF,
        patience: float | None = None,
        keep: float | None = None,
        most: int | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        if capacity < 1 or batch < 1:
            raise ValueError("capacity and batch must be at least 1")
        self._store = store
        self._capacity = capacity
        self._flush_interval = flush_interval
        self._batch = batch
        self._backoff = tuple(backoff)
        self._patience = inf if patience is None else patience
        self._keep = keep
        self._most = most
        self._clock = clock
        self._prune_at = float("-inf")
        self._queue: deque[Handed] = deque()
        self._lock = threading.Lock()
        self._work = threading.Condition(self._lock)  # the thread waits here
        self._progress = threading.Condition(self._lock)  # flush and close wait here
        self._thread: threading.Thread | None = None
        self._closed = False
        self._hurried = 0  # how many wait in flush or close
        self._accepted = 0
        self._written = 0
        self._dropped = 0
        self._failed = 0
        self._retries = 0
        self._pruned = 0
        self._last_error: str | None = None
        self._last_error_at: float | None = None
        self._failing = False

    @property
    def store(self) -> TelemetryStore:
        """Where the records go, to read them back."""
        return self._store

    def record(self, record: Handed, /) -> None:
        """Hand over *record*, or what makes it; never waits for the store, never raises.  From any thread."""
        with self._lock:
            waiting = len(self._queue)
            if self._closed or not self._has_room():
                self._dropped += 1
                return
            self._queue.append(record)
            self._accepted += 1
            if self._thread is None:
                self._start()
            if waiting == 0 or waiting + 1 == self._batch:
                self._work.notify()

    def hear(self, signal: Signal, patience: float | None = None, *, tenant: str | None = None) -> bool:
        """Keep *signal*, after the records handed over so far were written; False if its request is unknown.

        Waits for those at most *patience* seconds.  A *tenant* knows its own requests only.

        Raises:
            LedgerError: the store cannot be written.
        """
        self.flush(patience)
        try:
            if tenant is not None and not self._is_of(signal.request, tenant):
                return False
            return not self._store.signal((signal,))
        except Exception as error:
            self._note(error)
            raise LedgerError(f"the ledger cannot be written: {error}") from error

    def _is_of(self, id: str, tenant: str) -> bool:
        return next(self._store.read(Query(id=id, tenant=tenant, limit=1)), None) is not None

    def stats(self) -> RecorderStats:
        with self._lock:
            return RecorderStats(
                queued=self._accepted - self._written - self._failed,
                written=self._written,
                dropped=self._dropped,
                failed=self._failed,
                retries=self._retries,
                pruned=self._pruned,
                last_error=self._last_error,
                last_error_at=self._last_error_at,
                failing=self._failing,
            )

    def flush(self, timeout: float | None = None) -> bool:
        """Wait until every record handed over so far is written or given up; False when *timeout* ran out."""
        with self._lock:
            goal = self._accepted
            self._hurried += 1
            self._work.notify()
            try:
                return self._progress.wait_for(lambda: self._written + self._failed >= goal, timeout)
            finally:
                self._hurried -= 1

    def close(self, timeout: float | None = 5.0) -> bool:
        """Take no more records and write those that wait; False when *timeout* ran out first.  Idempotent.

        A store that fails while closing is tried again at once instead of
        after a delay.
        """
        with self._lock:
            self._closed = True
            self._work.notify()
            thread = self._thread
        if thread is None:
            return True
        thread.join(timeout)
        if thread.is_alive():
            return False
        atexit.unregister(self._close_at_exit)
        return True

    async def aclose(self, timeout: float | None = 5.0) -> bool:  # noqa: ASYNC109 - the thread's, as in close
        """`close`, without holding up the event loop (asyncio or trio)."""
        from anyio import to_thread  # noqa: PLC0415 - a recorder without a loop needs no anyio

        return await to_thread.run_sync(self.close, timeout)

    def _start(self) -> None:
        # A daemon, so that a program that forgets to close can end; atexit gives it a moment to drain.
        thread = threading.Thread(target=self._run, name="lynkr-recorder", daemon=True)
        try:
            thread.start()
        except RuntimeError as error:  # no threads left: the next record tries again
            self._complain(error)
            return
        self._thread = thread
        atexit.register(self._close_at_exit)

    def _close_at_exit(self) -> None:
        self.close(_EXIT_TIMEOUT)

    def _run(self) -> None:
        while batch := self._next_batch():
            written = self._write(self._made(batch))
            self._prune()
            with self._lock:
                self._written += written
                self._failed += len(batch) - written
                self._progress.notify_all()

    def _next_batch(self) -> list[Handed]:
        """Wait for records; empty when closed and drained."""
        with self._lock:
            self._work.wait_for(lambda: self._queue or self._closed)
            self._work.wait_for(
                lambda: len(self._queue) >= self._batch or self._hurried or self._closed, self._flush_interval
            )
            return [self._queue.popleft() for _ in range(min(self._batch, len(self._queue)))]

    def _has_room(self) -> bool:
        """Whether one more record may wait.  The lock is held."""
        return self._accepted - self._written - self._failed < self._capacity

    def _made(self, batch: Sequence[Handed]) -> list[Record]:
        """The records of *batch*, but for those that cannot be made."""
        records: list[Record] = []
        for number, handed in enumerate(batch):
            if number % _AT_A_TIME == 0:
                time.sleep(_PAUSE)
            try:
                records.append(handed if isinstance(handed, Record) else handed())
            except Exception as error:  # noqa: BLE001 - an edge: a record that cannot be made costs only itself
                self._note(error)
        return records

    def _write(self, batch: Sequence[Record]) -> int:
        """Write *batch*, patiently; how many the store took."""
        if not batch:
            return 0
        until = time.monotonic() + self._patience
        for delay in self._backoff:
            if isinstance(taken := self._offer(batch), int):
                return taken
            self._wait(delay)
        delay = self._backoff[-1] if self._backoff else 0.0
        while not isinstance(taken := self._offer(batch), int):
            if not may_pass(taken):
                return self._write_parts(batch)
            with self._lock:
                if self._closed or not self._has_room() or time.monotonic() + delay > until:
                    return 0
            self._wait(delay)
        return taken

    def _write_parts(self, batch: Sequence[Record]) -> int:
        """Write what can be of *batch*, which the store refuses as a whole; how many it took.

        If it is well, a few tries find the records that it refuses; if not, they are few as well.
        """
        if len(batch) < 2:
            return 0
        halves = batch[: len(batch) // 2], batch[len(batch) // 2 :]
        taken = [self._offer(half) for half in halves]
        if not any(isinstance(one, int) for one in taken):
            return 0
        return sum(
            one if isinstance(one, int) else self._write_parts(half)
            for half, one in zip(halves, taken, strict=True)
        )

    def _offer(self, batch: Sequence[Record]) -> int | Exception:
        """Have the store write *batch* now; how many it took, or what it says."""
        try:
            self._store.write(batch)
        except _DATA_ERRORS as error:
            self._note(error)
            return sum(self._write((record,)) for record in batch) if len(batch) > 1 else 0
        except Exception as error:  # noqa: BLE001 - an edge: whatever a store raises, the thread lives on
            self._note(error)
            return error
        with self._lock:
            self._failing = False
        return len(batch)

    def _wait(self, delay: float) -> None:
        """Let *delay* seconds pass before another try; none when closing.

        What waits in the queue is made records meanwhile: no prompt is held for as long as a disk is full.
        """
        with self._lock:
            self._retries += 1
            waiting = tuple(self._queue)
        for record in self._made(waiting):
            for deferred in (record.features, record.decision):
                _ = len(deferred or ())
        with self._lock:
            self._work.wait_for(lambda: self._closed, delay)

    def _prune(self) -> None:
        if self._keep is None and self._most is None:
            return
        try:
            now = self._clock()
            if now < self._prune_at:
                return
            self._prune_at = now + _PRUNE_INTERVAL
            pruned = 0 if self._keep is None else self._store.prune(now - self._keep)
            pruned += 0 if self._most is None else self._store.trim(self._most)
        except Exception as error:  # noqa: BLE001 - as in _write
            self._note(error)
        else:
            with self._lock:
                self._pruned += pruned

    def _note(self, error: Exception) -> None:
        with self._lock:
            self._complain(error)

    def _complain(self, error: Exception) -> None:
        self._failing = True
        self._last_error = f"{type(error).__name__}: {error}"
        self._last_error_at = self._clock()
