"""Options that several commands share."""

import argparse
from pathlib import Path

from lynkr.settings import Settings


def add_config(parser: argparse.ArgumentParser) -> None:
    """Add ``--config``."""
    parser.add_argument(
        "--config",
        type=Path,
        metavar="FILE",
        help="a TOML file (default: $LYNKR_CONFIG, else lynkr/lynkr.toml in the configuration directory)",
    )


def add_json(parser: argparse.ArgumentParser, what: str) -> None:
    """Add ``--json``."""
    parser.add_argument("--json", action="store_true", help=f"print {what} as one JSON object")


def read_settings(arguments: argparse.Namespace) -> Settings:
    """The settings ``--config`` and the environment give.

    Raises:
        ConfigError: as `Settings.load`.
    """
    return Settings.from_process(arguments.config)
