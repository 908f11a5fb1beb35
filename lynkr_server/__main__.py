"""``python -m lynkr_server``: the gateway under uvicorn."""

import argparse
import logging
import os
import secrets
import sys
from collections.abc import Callable, Sequence
from contextlib import ExitStack, closing
from functools import partial
from pathlib import Path
from typing import Final, TextIO

from attrs import evolve

from lynkr.errors import ConfigError
from lynkr.secret import Secret
from lynkr.settings import Settings, process_environment
from lynkr.shared import Shared
from lynkr.telemetry.log import LOGGER
from lynkr_server import collector
from lynkr_server.access import refuse_open_bind
from lynkr_server.server import Server, listen, url_of
from lynkr_server.serving import app_of

_LOG: Final = logging.getLogger("lynkr.server")


def main(argv: Sequence[str] | None = None) -> int:
    """Run until told to stop; the exit status is 2 for a wrong configuration, 1 if it cannot listen."""
    parser = argparse.ArgumentParser(prog="lynkr serve", description="Run the gateway.")
    parser.add_argument("--config", type=Path, help="a TOML file")
    parser.add_argument("--host", help="address to bind (default 127.0.0.1)")
    parser.add_argument("--port", type=int, help="port to bind (default 8081; 0 takes a free one)")
    parser.add_argument("--workers", type=int, help="processes that serve the port together (default 1)")
    parser.add_argument(
        "--dashboard",
        action="store_true",
        help="open the dashboard, with a key for this run, which is printed, where none is set",
    )
    arguments = parser.parse_args(argv)
    chosen = {name: getattr(arguments, name) for name in ("host", "port", "workers")}
    overrides = {f"server.{name}": value for name, value in chosen.items() if value is not None}
    try:
        settings = Settings.from_process(arguments.config, overrides=overrides)
        workers = settings.server.workers

        def read() -> Settings:
            return _settled(Settings.from_process(arguments.config, overrides=overrides), workers)

        settings = settings.for_serving(process_environment())
        refuse_open_bind(settings.server.host, keyed=settings.asks_for_keys)
        if settings.telemetry.log_requests:
            _log_to(sys.stderr)
        run = _run if workers == 1 else _run_workers
        return run(settings, read, dashboard=arguments.dashboard)
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


def _settled(settings: Settings, workers: int) -> Settings:
    """Newer *settings* for a server that runs *workers* of them."""
    if settings.server.workers != workers:
        _LOG.warning("server.workers has changed; that takes a restart")
        settings = evolve(settings, server=evolve(settings.server, workers=workers))
    return settings.for_serving(process_environment())


def _run(settings: Settings, read: Callable[[], Settings], *, dashboard: bool) -> int:
    """One process that does it all."""
    try:
        sockets = listen(settings.server.host, settings.server.port)
    except OSError as error:
        return _cannot_listen(settings, error)
    with ExitStack() as stack:
        for bound in sockets:
            stack.enter_context(bound)
        notice = ""
        if dashboard:
            settings, read, notice = _with_dashboard(settings, read, url_of(sockets[0]))
        app = app_of(settings, read)
        collector.start()
        server = Server(app, settings.server, notice=notice)
        server.run(sockets)
    return 1 if server.force_exit or not server.started else 0


def _run_workers(settings: Settings, read: Callable[[], Settings], *, dashboard: bool) -> int:
    """A parent, and several processes that serve."""
    if not hasattr(os, "fork"):
        raise ConfigError("server.workers is more than 1, and this system cannot fork; set it to 1")
    # Reason: one process needs none of it, and Windows has not all of it.
    from lynkr_server.workers import Listeners, Supervisor, attempt, run_folder, serve  # noqa: PLC0415

    ledger = settings.telemetry.file
    if ledger is None:
        raise AssertionError("workers have a ledger in a file")
    try:
        listeners = Listeners(settings.server.host, settings.server.port, settings.server.workers)
    except OSError as error:
        return _cannot_listen(settings, error)
    bound = listeners.of(0)
    notice = ""
    if dashboard:
        settings, read, notice = _with_dashboard(settings, read, url_of(bound[0]))
    told = "".join(f"listening on {url_of(one)}\n" for one in bound) + notice

    def announce() -> None:
        sys.stdout.write(told)
        sys.stdout.flush()

    with closing(listeners), run_folder(ledger) as folder:
        shared = Shared(folder, secrets.token_bytes(16), of=settings.server.workers)
        supervisor = Supervisor(
            settings, read, listeners, partial(serve, shared), partial(attempt, shared), announce
        )
        return supervisor.run()


def _cannot_listen(settings: Settings, error: OSError) -> int:
    host, port = settings.server.host, settings.server.port
    sys.stderr.write(f"lynkr: cannot listen on {host} port {port}: {error.strerror or error}\n")
    return 1


def _with_dashboard(
    settings: Settings, read: Callable[[], Settings], url: str
) -> tuple[Settings, Callable[[], Settings], str]:
    """The same with a dashboard that opens, and what to tell of it."""
    key = None if settings.server.admin_key else Secret(secrets.token_urlsafe(24))
    notice = _where_the_dashboard_is(f"{url}/dashboard", key)
    return _keyed(settings, key), partial(_keyed_anew, read, key), notice


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
