"""Whoever wants to know of finished requests: metrics, traces, logs, a program's own.

Theory of operation.  Telling observers costs the request's path an append to
a bounded queue.  One thread takes what has gathered, every *interval* seconds
at most, and shows it to each observer in turn.  It is not the ledger's thread:
a ledger that is locked or full must not hold up the metrics that say so.

Every request handed over is counted once, as seen or as dropped.  An observer
that raises has missed what it was shown; that is counted and logged, and the
others are not harmed.
"""

import logging
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Final, Protocol, TypeVar, runtime_checkable

from attrs import define, field, frozen

from lynkr.resilience import BreakerRegistry
from lynkr.service import Layer
from lynkr.telemetry.record import Record
from lynkr.telemetry.recorder import Recorder

_LOG: Final = logging.getLogger("lynkr.telemetry")
_Observer = TypeVar("_Observer")


@frozen
class Ended:
    """A request that has ended.

    Beside its *record*: the provider's own *response_id*, *response_model* and
    *stop_reason*, the *max_tokens* and *reasoning* effort asked for, each None where unknown.
    *operation* is ``chat`` or ``embeddings``.  *trace* is what the gateway's tracer began for it.
    """

    record: Record
    operation: str = "chat"
    response_id: str | None = None
    response_model: str | None = None
    stop_reason: str | None = None
    max_tokens: int | None = None
    reasoning: str | None = None
    trace: object | None = field(default=None, repr=False, eq=False)


class RequestObserver(Protocol):
    """Is shown every finished request, in the order they ended."""

    def observe(self, ended: Sequence[Ended], /) -> None:
        """Take note.  Called in a thread of its own, one call at a time."""
        ...


class RequestTracer(RequestObserver, Protocol):
    """An observer that also follows each request while it is under way."""

    @property
    def layer(self) -> Layer:
        """Goes around each attempt; sees what `begin` gave in `Call.trace`, in the order of the journal."""
        ...

    def begin(self, headers: Mapping[str, str], at: float, /) -> object:
        """What a request that came *at* that Unix time carries along, in `Call.trace` and `Ended.trace`.

        *headers* are its client's, by lower-case name; none from this process.
        Called on the request's path: quick, and raises nothing.
        """
        ...


@runtime_checkable
class Closing(Protocol):
    """An observer that has something to finish when the gateway closes."""

    def close(self) -> None: ...


@define
class Live:
    """Requests under way: those not yet answered whole, and the answers being streamed among them."""

    requests: int = 0
    streams: int = 0


@frozen
class ObserverStats:
    """Counts since the start.

    *queued* requests wait, *seen* ones were shown, *dropped* ones came when the
    queue was full or closed.  *failures* counts calls in which an observer
    raised, *last_error* is what one last raised.
    """

    queued: int = 0
    seen: int = 0
    dropped: int = 0
    failures: int = 0
    last_error: str | None = None


class Observers:
    """Shows finished requests to *observers*, from a thread that starts with the first one.

    Holds at most *capacity* requests.  *interval*, in seconds, is how long the
    thread lets them gather.
    """

    def __init__(
        self, observers: Sequence[RequestObserver], *, capacity: int = 10_000, interval: float = 0.2
    ) -> None:
        if capacity < 1:
            raise ValueError("capacity must be at least 1")
        self._observers = tuple(observers)
        self._capacity = capacity
        self._interval = interval
        self._queue: deque[Ended | Callable[[], Ended]] = deque()
        self._lock = threading.Lock()
        self._work = threading.Condition(self._lock)
        self._progress = threading.Condition(self._lock)
        self._thread: threading.Thread | None = None
        self._closed = False
        self._hurried = 0  # how many wait in flush or close
        self._accepted = 0
        self._seen = 0
        self._dropped = 0
        self._failures = 0
        self._last_error: str | None = None

    def first(self, kind: type[_Observer], /) -> _Observer | None:
        """The first observer of that class, to ask it for what it has gathered."""
        return next((one for one in self._observers if isinstance(one, kind)), None)

    def tell(self, ended: Ended | Callable[[], Ended], /) -> None:
        """Hand over a finished request, or what makes it; never waits for an observer and never raises.

        From any thread.
        """
        with self._lock:
            if self._closed or self._accepted - self._seen >= self._capacity:
                self._dropped += 1
                return
            self._queue.append(ended)
            self._accepted += 1
            if self._thread is None:
                self._start()
            elif len(self._queue) == 1:
                self._work.notify()

    def stats(self) -> ObserverStats:
        with self._lock:
            return ObserverStats(
                queued=self._accepted - self._seen,
                seen=self._seen,
                dropped=self._dropped,
                failures=self._failures,
                last_error=self._last_error,
            )

    def flush(self, timeout: float | None = None) -> bool:
        """Wait until all that was told so far has been shown; False when *timeout* (seconds) ran out."""
        with self._lock:
            goal = self._accepted
            self._hurried += 1
            self._work.notify()
            try:
                return self._progress.wait_for(lambda: self._seen >= goal, timeout)
            finally:
                self._hurried -= 1

    def close(self, timeout: float | None = 5.0) -> bool:
        """Take no more, show what waits and close the observers that can be (see `Closing`).

        False when *timeout* (seconds) ran out first.  Idempotent.
        """
        with self._lock:
            if (
                not self._closed
                and self._thread is None
                and any(isinstance(o, Closing) for o in self._observers)
            ):
                self._start()  # observers are closed in the thread they are called in
            self._closed = True
            self._work.notify()
            thread = self._thread
        if thread is not None:
            thread.join(timeout)
        return thread is None or not thread.is_alive()

    async def aclose(self, timeout: float | None = 5.0) -> bool:  # noqa: ASYNC109 - the thread's, as in close
        """`close`, without holding up the event loop (asyncio or trio)."""
        from anyio import to_thread  # noqa: PLC0415 - observers without a loop need no anyio

        return await to_thread.run_sync(self.close, timeout)

    def _start(self) -> None:
        # A daemon: a program that forgets to close can end.
        thread = threading.Thread(target=self._run, name="lynkr-observers", daemon=True)
        try:
            thread.start()
        except RuntimeError as error:  # no threads left: the next request tries again
            self._last_error = f"{type(error).__name__}: {error}"
            return
        self._thread = thread

    def _run(self) -> None:
        while batch := self._next_batch():
            ended = self._made(batch)
            for observer in self._observers:
                self._guard(observer, partial(observer.observe, ended))
            with self._lock:
                self._seen += len(batch)
                self._progress.notify_all()
        for observer in self._observers:
            if isinstance(observer, Closing):
                self._guard(observer, observer.close)

    def _made(self, batch: Sequence[Ended | Callable[[], Ended]]) -> list[Ended]:
        made: list[Ended] = []
        for one in batch:
            try:
                made.append(one if isinstance(one, Ended) else one())
            except Exception as error:  # noqa: BLE001 - an edge: a request that cannot be told of costs only itself
                self._complain("a record", error)
        return made

    def _guard(self, observer: RequestObserver, act: Callable[[], None]) -> None:
        try:
            act()
        except Exception as error:  # noqa: BLE001 - an edge: whatever an observer raises, the thread lives on
            self._complain(type(observer).__name__, error)

    def _next_batch(self) -> list[Ended | Callable[[], Ended]]:
        """Wait for requests; empty when closed and drained."""
        with self._lock:
            self._work.wait_for(lambda: self._queue or self._closed)
            if self._queue:
                self._work.wait_for(lambda: self._hurried or self._closed, self._interval)
            batch = list(self._queue)
            self._queue.clear()
            return batch

    def _complain(self, who: str, error: Exception) -> None:
        with self._lock:
            self._failures += 1
            is_new = (told := f"{type(error).__name__}: {error}") != self._last_error
            self._last_error = told
        if is_new:  # once for each complaint in a row: a broken observer must not flood the log
            _LOG.error("%s failed on finished requests", who, exc_info=error)


class Watched(Protocol):
    """What may be read of a gateway at any time."""

    @property
    def live(self) -> Live: ...

    @property
    def breakers(self) -> BreakerRegistry: ...

    @property
    def recorder(self) -> Recorder | None: ...

    @property
    def observers(self) -> Observers | None: ...

    @property
    def refusals(self) -> Mapping[str, Callable[[], int]]: ...


@runtime_checkable
class Watching(Protocol):
    """An observer that reads the state of its gateway too."""

    def watch(self, gateway: Watched, /) -> None: ...
