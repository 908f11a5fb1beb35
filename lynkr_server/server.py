"""The server: uvicorn, told where to listen and how to end."""

import asyncio
import errno
import math
import signal
import socket
import sys
import threading
from collections.abc import Sequence
from contextlib import ExitStack
from types import FrameType
from typing import Final

import uvicorn

from lynkr.settings import ServerSettings
from lynkr_server.app import App
from lynkr_server.protocol import BoundedProtocol

BACKLOG: Final = 2048
# Longer than clients keep an idle connection (httpx 5 s, aiohttp 15 s): the end that sends next should
# be the one that closes, or a request meets a closing connection.
_KEEP_ALIVE: Final = 75
_TICK: Final = 0.1  # seconds between looks whether a signal came, as in uvicorn
_HANGUP: Final = getattr(signal, "SIGHUP", None)  # there is none on Windows
_NO_SUCH_ADDRESS: Final = frozenset({errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT})


class Server(uvicorn.Server):
    """Uvicorn, saying where it listens (the port may have been 0) and ending quietly when told to.

    For `drain_delay_seconds` after it was told, it still serves whoever comes, while its readiness says
    503: so a load balancer has time to send nobody any more.  A second signal does not wait, neither
    for that nor for the requests under way.  *notice* is written below the addresses.
    """

    def __init__(self, app: App, settings: ServerSettings, *, notice: str = "") -> None:
        self._app = app
        self._notice = notice
        self._drain_delay = settings.drain_delay_seconds
        self._reloading: set[asyncio.Task[bool]] = set()
        super().__init__(
            uvicorn.Config(
                app,
                host=settings.host,
                port=settings.port,
                http=BoundedProtocol,
                ws="none",
                lifespan="on",
                access_log=False,
                log_level="warning",
                proxy_headers=False,
                server_header=False,
                date_header=False,
                backlog=BACKLOG,
                timeout_keep_alive=_KEEP_ALIVE,
                timeout_graceful_shutdown=math.ceil(settings.drain_seconds),
                h11_max_incomplete_event_size=settings.max_header_bytes,
            )
        )

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.begin_serving(sockets or ())

    def begin_serving(self, sockets: Sequence[socket.socket]) -> None:
        """It listens from now on: heed SIGHUP, and say where."""
        if _HANGUP is not None and threading.current_thread() is threading.main_thread():
            asyncio.get_running_loop().add_signal_handler(_HANGUP, self._hang_up)
        for bound in sockets:
            sys.stdout.write(f"listening on {url_of(bound)}\n")
        sys.stdout.write(self._notice)
        sys.stdout.flush()

    def _hang_up(self) -> None:
        """SIGHUP: read the settings again."""
        reloading = asyncio.ensure_future(self._app.reload())
        self._reloading.add(reloading)
        reloading.add_done_callback(self._reloading.discard)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._app.leave()
        loop = asyncio.get_running_loop()
        until = loop.time() + self._drain_delay
        while not self.force_exit and (left := until - loop.time()) > 0:  # noqa: ASYNC110  # reason: as uvicorn
            await asyncio.sleep(min(left, _TICK))
        await super().shutdown(sockets)
        if self.force_exit:  # uvicorn leaves it at that; requests are still to be told, and recorded
            for task in tuple(self.server_state.tasks):
                task.cancel()
            await self.lifespan.shutdown()
        # Whoever has not read to the end by now would keep its connection, and this process, for ever.
        for connection in tuple(self.server_state.connections):
            connection.transport.abort()
        await asyncio.sleep(0)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:  # noqa: ARG002  # reason: uvicorn's
        """Stop in order.  Uvicorn's own would raise the signal again when all is done: no status 0."""
        if self.should_exit:
            self.force_exit = True
        self.should_exit = True


def url_of(bound: socket.socket) -> str:
    """Where a bound socket listens."""
    host, port = bound.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def listen(host: str, port: int) -> list[socket.socket]:
    """Sockets listening on every address that *host* stands for.

    Raises:
        OSError: the port is taken, or *host* is no address of this machine.
    """
    addresses = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    missing: OSError | None = None
    with ExitStack() as unless_all:
        bound: list[socket.socket] = []
        for family, _, _, _, address in dict.fromkeys(addresses):
            try:
                made = socket.create_server(address, family=family, backlog=BACKLOG)
            except OSError as error:
                if error.errno not in _NO_SUCH_ADDRESS:
                    raise
                missing = error  # "localhost" also means ::1 where there is no IPv6
            else:
                bound.append(unless_all.enter_context(made))
        if not bound and missing is not None:
            raise missing
        unless_all.pop_all()
        return bound
