"""One worker: the server as it always is, heeding its parent instead of the terminal."""

import asyncio
import signal
import socket
import sys
from collections import deque
from collections.abc import Sequence
from types import FrameType
from typing import Final

from attrs import evolve

from lynkr.assembly import build_gateway, served_models
from lynkr.errors import LynkrError
from lynkr.providers import AiohttpTransport
from lynkr.settings import Settings
from lynkr.settings.sharing import share_of
from lynkr.shared import Shared
from lynkr_server import collector
from lynkr_server.access import refuse_open_bind
from lynkr_server.app import App
from lynkr_server.colleagues import EVERY
from lynkr_server.server import Server
from lynkr_server.serving import app_of
from lynkr_server.workers.line import Line, Word, unpacked

_BEAT: Final = 2.0  # seconds between signs of life


class WorkerServer(Server):
    """Says on its *line* how it fares, and does what it hears there.

    SIGTERM has it end what is under way, however often: a process manager may send it
    to parent and workers alike.  SIGINT, which a terminal sends to all, is the parent's.
    New settings go to *newer*, where the application's reloader takes them.
    """

    def __init__(self, app: App, settings: Settings, line: Line, newer: deque[Settings]) -> None:
        super().__init__(app, settings.server)
        self._line = line
        self._newer = newer
        self._told = False
        self._tasks: set[asyncio.Task[None]] = set()

    def begin_serving(self, sockets: Sequence[socket.socket]) -> None:  # noqa: ARG002  # reason: the parent tells where
        asyncio.get_running_loop().add_reader(self._line.fileno(), self._hear)
        self._tasks.add(asyncio.ensure_future(self._post()))
        self._line.say(Word.READY)
        self._beat()

    async def _post(self) -> None:
        while True:
            await asyncio.to_thread(self._app.post)
            await asyncio.sleep(EVERY)

    def _beat(self) -> None:
        self._line.say(Word.ALIVE)
        asyncio.get_running_loop().call_later(_BEAT, self._beat)

    def _hear(self) -> None:
        heard = self._line.hear()
        if heard is None:  # the parent is gone
            asyncio.get_running_loop().remove_reader(self._line.fileno())
            self._told = self.should_exit = True
            return
        for word, body in heard:
            match word:
                case Word.RELOAD:
                    task = asyncio.ensure_future(self._reload(unpacked(body)))
                    self._tasks.add(task)
                    task.add_done_callback(self._tasks.discard)
                case Word.REFUSED:
                    self._app.keep_settings()
                case Word.DRAIN | Word.STOP:
                    self._told = self.should_exit = True
                    self.force_exit = self.force_exit or word is Word.STOP
                case _:
                    raise ValueError(f"{word.name} is not for a worker")

    async def _reload(self, settings: Settings) -> None:
        self._newer.append(settings)
        if await self._app.reload():
            self._line.say(Word.RELOADED)
        else:
            self._line.say(Word.KEPT, b"its log says why")

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:  # noqa: ARG002  # reason: uvicorn's
        if sig != signal.SIGINT:
            self.should_exit = True

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        if not self._told:
            self._line.say(Word.LEAVING)
        await super().shutdown(sockets)
        for task in self._tasks:
            task.cancel()


def serve(
    shared: Shared, number: int, line: Line, sockets: Sequence[socket.socket], settings: Settings
) -> int:
    """Serve until told to stop; the exit status."""
    newer: deque[Settings] = deque()
    own = share_of(settings, number)
    try:
        app = app_of(own, lambda: share_of(newer.popleft(), number), shared=evolve(shared, number=number))
    except LynkrError as error:
        line.say(Word.FAILED, f"2 {error}".encode())
        return 2
    collector.start()
    server = WorkerServer(app, own, line, newer)
    server.run(list(sockets))
    sys.stdout.flush()
    return 1 if server.force_exit or not server.started else 0


def attempt(shared: Shared, settings: Settings) -> None:
    """Make a gateway of *settings* and let it be, in a process that ends after it.

    Raises:
        LynkrError: that cannot be.
        OSError: a file cannot be read.
    """
    refuse_open_bind(settings.server.host, keyed=settings.asks_for_keys)
    served_models(settings)
    build_gateway(share_of(settings, 0), transport=AiohttpTransport(), shared=shared)
