"""The parent of several workers: starts them, watches them, ends them.

Theory of operation.  The parent opens the port, reads the settings and forks;
before that it has started no thread and no event loop and opened no database,
and it never does, so that each child begins clean.  (Uvicorn's own supervisor
was looked at: it has no drain, answers SIGHUP by starting everything anew, and
starts a worker that cannot serve again and again in a loop without a pause.)

- The first worker proves the settings: it makes the gateway.  If it cannot, the
  parent says why in one line and ends, with its status.  Then come the others,
  and when all of them serve the addresses are printed.
- Where the kernel shares connections out (``SO_REUSEPORT``, Linux), each worker has listening sockets of
  its own, which the parent holds too: what has come in for a worker that dies is served by
  the one that takes its place.  Elsewhere all workers accept from the same sockets.
- A worker that ends unasked is replaced: at once, or after a pause that doubles from
  half a second to thirty for one that does not last.  During such a pause nobody is sent to
  its sockets.  If none serves and five in a row could not begin, the parent gives up with status 1.
- A worker whose event loop has not turned for `PATIENCE` seconds is killed and replaced.
- A worker told to end by a signal of its own is replaced at once, and ends what it has under way.
- SIGTERM and SIGINT: all drain, and the parent ends with status 0; the second does not wait.
- SIGHUP: the settings are read once, and tried in a child that serves nobody.  Only if that
  can make a gateway of them the workers are sent them; one that cannot use them all the same is replaced.
- If the parent dies, the workers hear it and drain.
"""

import gc
import logging
import os
import selectors
import signal
import socket
import sys
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import ExitStack, closing, contextmanager
from types import FrameType
from typing import Final

from attrs import define, field

from lynkr.errors import LynkrError
from lynkr.settings import Settings
from lynkr_server.workers.line import Line, Word, line_pair, packed
from lynkr_server.workers.listeners import Listeners

_LOG: Final = logging.getLogger("lynkr.server")
PATIENCE: Final = 30.0
"""Seconds a worker's event loop may stand still."""
_LASTED: Final = 10.0  # seconds after which a worker's end is no sign that the next will end too
_FIRST_PAUSE, _LONGEST_PAUSE = 0.5, 30.0
_FAILED_STARTS: Final = 5
_LAST_WORDS: Final = 10.0  # seconds beyond its grace in which a worker must have ended
_LONGEST_START: Final = 600.0  # seconds; a ledger of an older lynkr may have to be brought up to date
_OBEYED: Final = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
_CAUGHT: Final = (*_OBEYED, signal.SIGCHLD)

Work = Callable[[int, Line, Sequence[socket.socket], Settings], int]
"""What a worker does in its process; gives its exit status."""
Trial = Callable[[Settings], None]
"""Makes a gateway of settings, and raises what is wrong with them."""


@define(eq=False)
class _Worker:
    """*number* is its place; None for the child that tries new settings.  Times are monotonic."""

    number: int | None
    pid: int
    line: Line
    heard: float
    serving_since: float | None = None
    leaving: bool = False
    refusal: bytes | None = None
    settings: Settings | None = None


@define
class _Place:
    """*failures* in a row of workers that did not last; *due* is when the next one is to start."""

    worker: _Worker | None = None
    failures: int = 0
    due: float | None = None


@define(eq=False)
class Supervisor:
    """See above.  *read* gives the settings anew, *announce* is called once all workers serve."""

    settings: Settings
    read: Callable[[], Settings]
    listeners: Listeners
    work: Work
    attempt: Trial
    announce: Callable[[], None]
    patience: float = PATIENCE
    _places: list[_Place] = field(init=False)
    _others: set[_Worker] = field(factory=set[_Worker], init=False)  # on their way out, or trying settings
    _selector: selectors.BaseSelector = field(factory=selectors.DefaultSelector, init=False)
    _caught: list[int] = field(factory=list[int], init=False)
    _announced: bool = field(default=False, init=False)
    _status: int | None = field(default=None, init=False)  # once it ends
    _until: float = field(default=0.0, init=False)  # when what still runs then is killed
    _reload_again: bool = field(default=False, init=False)

    def __attrs_post_init__(self) -> None:
        self._places = [_Place() for _ in range(self.settings.server.workers)]

    def run(self) -> int:
        """Serve until told to stop; the exit status.  Returns in the parent only."""
        with self._catching_signals():
            self._start(0)
            while self._status is None or self._workers():
                self._turn()
            return self._status

    def _workers(self) -> list[_Worker]:
        placed = [place.worker for place in self._places if place.worker is not None]
        return [*placed, *self._others]

    def _serving(self) -> list[_Worker]:
        return [worker for worker in self._workers() if worker.serving_since is not None]

    # ------------------------------------------------------------------ turning

    def _turn(self) -> None:
        """Wait for something to happen, and see to it."""
        for key, _ in self._selector.select(self._wait()):
            if key.data is None:
                os.read(key.fd, 512)
                while self._caught:
                    self._obey(self._caught.pop(0))
            else:
                self._listen(key.data)
        for worker in self._workers():
            self._reap(worker)
        now = time.monotonic()
        for number, place in enumerate(self._places):
            if self._status is None and place.due is not None and now >= place.due:
                self._start(number)
        for worker in self._workers():
            if now > self._limit(worker):
                _LOG.error("%s has not answered; it is killed", _name(worker))
                worker.heard = now
                os.kill(worker.pid, signal.SIGKILL)

    def _wait(self) -> float:
        """Seconds until something is due."""
        now = time.monotonic()
        moments = [place.due for place in self._places if place.due is not None and self._status is None]
        moments += [self._limit(worker) for worker in self._workers()]
        return max(0.01, min(moments, default=now + 1) - now)

    def _limit(self, worker: _Worker) -> float:
        """When a worker that is not heard of till then is killed."""
        is_starting = worker.serving_since is None and not worker.leaving
        limit = worker.heard + (_LONGEST_START if is_starting else self.patience)
        return limit if self._status is None else min(limit, max(self._until, worker.heard + 1))

    def _obey(self, number: int) -> None:
        if number == signal.SIGCHLD:
            return  # reason: every turn looks after the dead
        if number == signal.SIGHUP:
            self._reload()
        elif self._status is None:
            self._stop(0)
        else:
            self._status = 1
            for worker in self._workers():
                worker.line.say(Word.STOP)

    def _stop(self, status: int) -> None:
        """Have all end what is under way."""
        server = self.settings.server
        self._status = status
        self._until = time.monotonic() + server.drain_delay_seconds + server.drain_seconds + _LAST_WORDS
        self.listeners.close()
        for worker in self._workers():
            worker.line.say(Word.STOP if worker.number is None else Word.DRAIN)

    # ------------------------------------------------------------------ what workers say

    def _listen(self, worker: _Worker) -> None:
        heard = worker.line.hear()
        if heard is None:
            self._selector.unregister(worker.line)
            worker.line.close()
            return
        worker.heard = time.monotonic()
        for word, body in heard:
            match word:
                case Word.READY:
                    self._serves(worker)
                case Word.FAILED:
                    worker.refusal = body
                case Word.LEAVING:
                    self._let_go(worker)
                case Word.KEPT:
                    text = body.decode()
                    _LOG.error("%s could not use the new settings (%s); it is replaced", _name(worker), text)
                    worker.line.say(Word.DRAIN)
                    self._let_go(worker)
                case _:
                    pass  # reason: it is alive, which is noted above

    def _serves(self, worker: _Worker) -> None:
        worker.serving_since = time.monotonic()
        if self._status is not None or self._announced:
            return
        for number, place in enumerate(self._places):
            if place.worker is None:
                self._start(number)
        if len(self._serving()) == len(self._places):
            self._announced = True
            self.announce()
            if self._reload_again:
                self._reload()

    def _let_go(self, worker: _Worker) -> None:
        """A worker that takes no more requests: another takes its place already."""
        if self._status is None and worker.number is not None and not worker.leaving:
            worker.leaving = True
            worker.serving_since = None
            self._others.add(worker)
            self._places[worker.number].worker = None
            self._start(worker.number)

    def _reap(self, worker: _Worker) -> None:
        pid, raw = os.waitpid(worker.pid, os.WNOHANG)
        if not pid:
            return
        while worker.line.is_open:  # its last words
            self._listen(worker)
        status = os.waitstatus_to_exitcode(raw)
        if worker in self._others:
            self._others.discard(worker)
            if worker.settings is not None:
                self._tried(worker, worker.settings, status)
        elif worker.number is not None:
            self._mourn(worker, self._places[worker.number], status)

    def _mourn(self, worker: _Worker, place: _Place, status: int) -> None:
        place.worker = None
        if self._status is not None:
            self._status = self._status or (0 if status == 0 else 1)
            return
        if not self._announced:
            self._give_up(worker, status)
            return
        now = time.monotonic()
        lasted = worker.serving_since is not None and now - worker.serving_since >= _LASTED
        place.failures = 0 if lasted else place.failures + 1
        if worker.refusal is not None:
            _LOG.error("%s cannot serve: %s", _name(worker), _words(worker.refusal)[1])
        if not self._serving() and place.failures >= _FAILED_STARTS:
            _LOG.error("no worker serves, and %d in a row could not begin; giving up", place.failures)
            self._stop(1)
            return
        pause = 0.0
        if place.failures > 1:
            pause = min(_LONGEST_PAUSE, _FIRST_PAUSE * 2 ** (place.failures - 2))
        _LOG.warning(
            "%s ended (%s); another takes its place%s", _name(worker), _ending(status), _after(pause)
        )
        number = self._places.index(place)
        if pause:
            self.listeners.rest(number)
            place.due = now + pause
        else:
            self._start(number)

    def _give_up(self, worker: _Worker, status: int) -> None:
        """A worker could not begin when the server was started."""
        if worker.refusal is None:
            sys.stderr.write(f"lynkr: {_name(worker)} ended before it served ({_ending(status)})\n")
            self._stop(1)
            return
        code, text = _words(worker.refusal)
        sys.stderr.write(f"lynkr: {text}\n")
        self._stop(code)

    # ------------------------------------------------------------------ new settings

    def _reload(self) -> None:
        if self._status is not None:
            return
        if not self._announced or any(worker.settings is not None for worker in self._others):
            self._reload_again = True
            return
        self._reload_again = False
        try:
            settings = self.read()
        except (LynkrError, OSError) as error:
            self._refuse(str(error))
            return
        self._fork(None, lambda line: self._try(line, settings), settings)

    def _try(self, line: Line, settings: Settings) -> int:
        """In the child that tries new settings."""
        try:
            self.attempt(settings)
        except (LynkrError, OSError) as error:
            line.say(Word.FAILED, f"1 {error}".encode())
            return 1
        return 0

    def _tried(self, worker: _Worker, settings: Settings, status: int) -> None:
        if self._status is not None:
            return
        if status == 0:
            self.settings = settings
            for place in self._places:
                if place.worker is not None:
                    place.worker.line.say(Word.RELOAD, packed(settings))
        else:
            self._refuse(_ending(status) if worker.refusal is None else _words(worker.refusal)[1])
        if self._reload_again:
            self._reload()

    def _refuse(self, why: str) -> None:
        _LOG.error("the settings could not be reloaded, those before stay in force: %s", why)
        for place in self._places:
            if place.worker is not None:
                place.worker.line.say(Word.REFUSED)

    # ------------------------------------------------------------------ processes

    def _start(self, number: int) -> None:
        place = self._places[number]
        place.due = None
        try:
            sockets = self.listeners.of(number)
        except OSError as error:
            _LOG.error("worker %d cannot listen: %s", number + 1, error)
            place.failures += 1
            place.due = time.monotonic() + _LONGEST_PAUSE
            return
        place.worker = self._fork(number, lambda line: self.work(number, line, sockets, self.settings))

    def _fork(
        self, number: int | None, act: Callable[[Line], int], settings: Settings | None = None
    ) -> _Worker:
        """A child that does *act* and ends.  Returns in the parent only."""
        ours, theirs = line_pair()
        sys.stdout.flush()
        sys.stderr.flush()
        gc.freeze()  # what both have is never looked through, so it stays in memory that they share
        signal.pthread_sigmask(signal.SIG_BLOCK, _CAUGHT)
        pid = os.fork()
        if pid == 0:
            self._become_child(number, ours)
            with closing(theirs):
                raise SystemExit(act(theirs))
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _CAUGHT)
        theirs.close()
        worker = _Worker(number, pid, ours, time.monotonic(), settings=settings)
        self._selector.register(ours, selectors.EVENT_READ, worker)
        if number is None:
            self._others.add(worker)
        return worker

    def _become_child(self, number: int | None, parents_end: Line) -> None:
        """Let go of all that is the parent's alone."""
        signal.set_wakeup_fd(-1)
        for one in _CAUGHT:
            is_parents = one in (signal.SIGINT, signal.SIGHUP)
            signal.signal(one, signal.SIG_IGN if is_parents else signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _CAUGHT)
        self._selector.close()
        parents_end.close()
        for worker in self._workers():
            worker.line.close()
        self.listeners.keep_only(number)

    @contextmanager
    def _catching_signals(self) -> Generator[None, None, None]:
        """Have signals wake the selector."""
        with ExitStack() as undo:
            reader, writer = os.pipe()
            undo.callback(os.close, reader)
            undo.callback(os.close, writer)
            os.set_blocking(writer, False)
            self._selector.register(reader, selectors.EVENT_READ, None)
            undo.callback(signal.set_wakeup_fd, signal.set_wakeup_fd(writer, warn_on_full_buffer=False))
            for one in _CAUGHT:
                undo.callback(signal.signal, one, signal.signal(one, self._catch))
            yield

    def _catch(self, number: int, _: FrameType | None) -> None:
        self._caught.append(number)


def _name(worker: _Worker) -> str:
    what = "the child that tries new settings" if worker.number is None else f"worker {worker.number + 1}"
    return f"{what} (process {worker.pid})"


def _ending(status: int) -> str:
    return f"status {status}" if status >= 0 else f"killed by {signal.Signals(-status).name}"


def _after(pause: float) -> str:
    return f" in {pause:g} s" if pause else ""


def _words(refusal: bytes) -> tuple[int, str]:
    """The status and the text of a `Word.FAILED`."""
    status, _, text = refusal.decode().partition(" ")
    return int(status), text
