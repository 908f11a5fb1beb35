"""The one place that reads the process: its environment, and where its files are."""

import os
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType


def process_environment() -> Mapping[str, str]:
    """A copy of this process's environment."""
    return MappingProxyType(dict(os.environ))  # noqa: TID251  # reason: the only place


def find_file(environ: Mapping[str, str]) -> Path | None:
    """``LYNKR_CONFIG``, else ``lynkr/lynkr.toml`` in the user's configuration directory if it is there.

    The working directory is not searched: settings say where credentials are
    sent, and that must not depend on whose checkout one stands in.
    """
    named = environ.get("LYNKR_CONFIG", "").strip()
    if named:
        return Path(named)
    folder = _user_folder(environ, "XDG_CONFIG_HOME", ".config")
    if folder is None:
        return None
    path = folder / "lynkr" / "lynkr.toml"
    return path if path.is_file() else None


def ledger_file(environ: Mapping[str, str]) -> Path | None:
    """Where ``lynkr serve`` writes its records unless told otherwise; None without a home directory."""
    folder = _user_folder(environ, "XDG_STATE_HOME", ".local/state")
    return None if folder is None else folder / "lynkr" / "ledger.sqlite3"


def prices_file(environ: Mapping[str, str]) -> Path | None:
    """Where ``lynkr prices refresh`` writes unless told otherwise; None without a home directory."""
    folder = _user_folder(environ, "XDG_STATE_HOME", ".local/state")
    return None if folder is None else folder / "lynkr" / "prices.json"


def _user_folder(environ: Mapping[str, str], variable: str, below_home: str) -> Path | None:
    # XDG Base Directory 0.8: an empty or relative value counts as unset (read 2026-11).
    folder = Path(environ.get(variable, ""))
    if folder.is_absolute():
        return folder
    home = environ.get("HOME") or environ.get("USERPROFILE")
    return Path(home) / below_home if home else None
