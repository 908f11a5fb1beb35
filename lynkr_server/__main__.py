"""``python -m lynkr_server``: the gateway under uvicorn."""

import argparse
import logging
import secrets
import sys
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import TextIO

from attrs import evolve

from lynkr.assembly import build_gateway, served_models
from lynkr.errors import ConfigError
from lynkr.providers import AiohttpTransport
from lynkr.secret import Secret
from lynkr.settings import Settings, process_environment
from lynkr.telemetry.log import LOGGER
from lynkr_server import collector
from lynkr_server.access import refuse_open_bind
from lynkr_server.app import App
from lynkr_server.dashboard import Dashboard
from lynkr_server.reload import Reloader
from lynkr_server.server import Server, listen, url_of


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
            retired=collector.settle,
        )
        collector.settle()
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
