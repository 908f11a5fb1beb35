"""``lynkr serve``: hands over to the gateway's own entry point."""

import argparse
from importlib import import_module
from pathlib import Path
from typing import Final

from lynkr.cli.options import add_config
from lynkr.errors import ConfigError

# Found by name: the library does not depend on the server built on it.
_SERVER: Final = "lynkr_server.__main__"
_EXTRA: Final = frozenset({"uvicorn", "aiohttp", "httptools", "uvloop", "h11"})


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options of ``lynkr serve``."""
    add_config(parser)
    parser.add_argument("--host", help="the address to bind (default 127.0.0.1)")
    parser.add_argument("--port", type=int, help="the port to bind (default 8081; 0 takes a free one)")
    parser.add_argument("--workers", type=int, help="processes that serve the port together (default 1)")
    parser.add_argument(
        "--dashboard",
        action="store_true",
        help="open the dashboard, with a key for this run, which is printed, where none is set",
    )


def run(arguments: argparse.Namespace) -> int:
    """Serve until told to stop.

    Raises:
        ConfigError: the ``server`` extra is not installed.
    """
    try:
        server = import_module(_SERVER)
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] not in _EXTRA:
            raise
        raise ConfigError(
            f"{error.name} is not installed; run: pip install 'lynkr-router[server]'"
        ) from error
    words = _words(arguments.config, arguments.host, arguments.port, arguments.workers)
    status = server.main([*words, "--dashboard"] if arguments.dashboard else words)
    return int(status or 0)


def _words(config: Path | None, host: str | None, port: int | None, workers: int | None) -> list[str]:
    options = {"--config": config, "--host": host, "--port": port, "--workers": workers}
    return [word for name, value in options.items() if value is not None for word in (name, str(value))]
