"""``python -m lynkr_server``: the gateway under uvicorn."""

import argparse
import asyncio
import errno
import logging
import math
import secrets
import signal
import socket
import sys
import threading
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Final, TextIO

import uvicorn
from attrs import evolve

from lynkr.assembly import build_gateway, served_models
from lynkr.errors import ConfigError
from lynkr.providers import AiohttpTransport
from lynkr.secret import Secret
from lynkr.settings import ServerSettings, Settings, process_environment
from lynkr.telemetry.log import LOGGER
from lynkr_server.access import refuse_open_bind
from lynkr_server.app import App
from lynkr_server.dashboard import Dashboard
from lynkr_server.protocol import BoundedProtocol
from lynkr_server.reload import Reloader

_BACKLOG: Final = 2048
# Longer than clients keep an idle connection (httpx 5 s, aiohttp 15 s): the end that sends next should
# be the one that closes, or a request meets a closing connection.
_KEEP_ALIVE: Final = 75
_HANGUP: Final = getattr(signal, "SIGHUP", None)  # there is none on Windows
_NO_SUCH_ADDRESS: Final = frozenset({errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT})


class Server(uvicorn.Server):
    """Uvicorn, saying where it listens (the port may have been 0) and ending quietly when told to.

    A second signal does not wait for the requests under way.  *notice* is written below the addresses.
    """

    def __init__(self, app: App, settings: ServerSettings, *, notice: str = "") -> None:
        self._app = app
        self._notice = notice
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
                backlog=_BACKLOG,
                timeout_keep_alive=_KEEP_ALIVE,
                timeout_graceful_shutdown=math.ceil(settings.drain_seconds),
                h11_max_incomplete_event_size=settings.max_header_bytes,
            )
        )

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if _HANGUP is not None and threading.current_thread() is threading.main_thread():
            asyncio.get_running_loop().add_signal_handler(_HANGUP, self._hang_up)
        for bound in sockets or ():
            sys.stdout.write(f"listening on {url_of(bound)}\n")
        sys.stdout.write(self._notice)
        sys.stdout.flush()

    def _hang_up(self) -> None:
        """SIGHUP: read the settings again."""
        reloading = asyncio.ensure_future(self._app.reload())
        self._reloading.add(reloading)
        reloading.add_done_callback(self._reloading.discard)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
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
                made = socket.create_server(address, family=family, backlog=_BACKLOG)
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


def main(argv: Sequence[str] | None = None) -> int:
    """Run until told to stop; the exit status is 2 for a wrong configuration, 1 if it cannot listen."""
    parser = argparse.ArgumentParser(prog="lynkr serve", description="Run the gateway.")
    parser.add_argument("--config", type=Path, help="a TOML file")
    parser.add_argument("--host", help="address to bind (default 127.0.0.1)")
    parser.add_argument("--port", type=int, help="port to bind (default 8081; 0 takes a free one)")
    parser.add_argument(
        "--dashboard",
        action="store_true",
        help="open the dashboard, with a key for this run, which is printed, where none is set",
    )
    arguments = parser.parse_args(argv)
    chosen = {"server.host": arguments.host, "server.port": arguments.port}
    overrides = {key: value for key, value in chosen.items() if value is not None}
    try:

        def read() -> Settings:
            settings = Settings.from_process(arguments.config, overrides=overrides)
            return settings.for_serving(process_environment())

        settings = read()
        refuse_open_bind(settings.server.host, keyed=settings.asks_for_keys)
        return _run(settings, read, dashboard=arguments.dashboard)
    except ConfigError as error:
        sys.stderr.write(f"lynkr: {error}\n")
        return 2


def _log_to(stream: TextIO) -> None:
    """Let the lines of `telemetry.log_requests` out as they are, one JSON object each."""
    handler = logging.StreamHandler(stream)
    handler.setFormatter(logging.Formatter("%(message)s"))
    logger = logging.getLogger(LOGGER)
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    logger.propagate = False


def _run(settings: Settings, read: Callable[[], Settings], *, dashboard: bool) -> int:
    if settings.telemetry.log_requests:
        _log_to(sys.stderr)
    host, port = settings.server.host, settings.server.port
    try:
        sockets = listen(host, port)
    except OSError as error:
        sys.stderr.write(f"lynkr: cannot listen on {host} port {port}: {error.strerror or error}\n")
        return 1
    with ExitStack() as closing:
        for bound in sockets:
            closing.enter_context(bound)
        notice = ""
        if dashboard:
            key = None if settings.server.admin_key else Secret(secrets.token_urlsafe(24))
            notice = _where_the_dashboard_is(f"{url_of(sockets[0])}/dashboard", key)
            settings, read = _keyed(settings, key), partial(_keyed_anew, read, key)
        # Made before the loop runs, so that what is wrong is said in one line; nothing is opened on the
        # network until the first request.
        gateway = build_gateway(settings, transport=AiohttpTransport())
        app = App(
            lambda: gateway,
            settings.server,
            models=served_models(settings),
            tenants=settings.tenants,
            dashboard=Dashboard(settings),
            reloader=Reloader(settings, read),
        )
        server = Server(app, settings.server, notice=notice)
        server.run(sockets)
    return 1 if server.force_exit or not server.started else 0


def _where_the_dashboard_is(url: str, key: Secret | None) -> str:
    """What to tell the owner: the address, and the key if it was made for this run."""
    if key is None:
        return f"dashboard: {url} (its key is the one you set)\n"
    return f"dashboard: {url}\ndashboard key, for this run only: {key.reveal()}\n"


def _keyed(settings: Settings, key: Secret | None) -> Settings:
    """*settings* with *key* for the dashboard where they have none."""
    if key is None or settings.server.admin_key:
        return settings
    return evolve(settings, server=evolve(settings.server, admin_key=key))


def _keyed_anew(read: Callable[[], Settings], key: Secret | None) -> Settings:
    """The settings read again, with the key of this run still in force."""
    return _keyed(read(), key)


if __name__ == "__main__":
    sys.exit(main())
