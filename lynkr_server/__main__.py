"""``python -m lynkr_server``: the gateway under uvicorn."""

import argparse
import socket
import sys
from collections.abc import Sequence
from pathlib import Path

import uvicorn

from lynkr.errors import ConfigError
from lynkr.settings import Settings, process_environment
from lynkr_server.access import refuse_open_bind
from lynkr_server.app import create_app


class Server(uvicorn.Server):
    """Uvicorn, saying where it listens once it does (the port may have been 0)."""

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        for server in getattr(self, "servers", ()):
            for bound in server.sockets:
                host, port = bound.getsockname()[:2]
                shown = f"[{host}]" if ":" in host else host
                sys.stdout.write(f"listening on http://{shown}:{port}\n")
        sys.stdout.flush()


def main(argv: Sequence[str] | None = None) -> int:
    """Run until told to stop; the exit status is 2 for a wrong configuration, 1 if it cannot listen."""
    parser = argparse.ArgumentParser(prog="lynkr serve", description="Run the gateway.")
    parser.add_argument("--config", type=Path, help="a TOML file")
    parser.add_argument("--host", help="address to bind (default 127.0.0.1)")
    parser.add_argument("--port", type=int, help="port to bind (default 8081; 0 takes a free one)")
    arguments = parser.parse_args(argv)
    chosen = {"server.host": arguments.host, "server.port": arguments.port}
    overrides = {key: value for key, value in chosen.items() if value is not None}
    try:
        settings = Settings.from_process(arguments.config, overrides=overrides)
        settings = settings.for_serving(process_environment())
        server = settings.server
        refuse_open_bind(server.host, server.accepted_keys)
    except ConfigError as error:
        sys.stderr.write(f"lynkr: {error}\n")
        return 2
    config = uvicorn.Config(
        create_app(settings),
        host=server.host,
        port=server.port,
        lifespan="on",
        access_log=False,
        log_level="warning",
        proxy_headers=False,
        server_header=False,
        date_header=False,
        timeout_graceful_shutdown=int(server.drain_seconds),
    )
    running = Server(config)
    try:
        running.run()
    except SystemExit:  # uvicorn has said why (the port is taken, the gateway could not be built)
        return 1
    return 0 if running.started else 1


if __name__ == "__main__":
    sys.exit(main())
