"""The dashboard: what the gateway did and what it cost, in a browser, behind a key of its own."""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lynkr_server.dashboard.pages import Dashboard

__all__ = ["Dashboard"]


def __getattr__(name: str) -> object:
    if name == "Dashboard":
        return import_module("lynkr_server.dashboard.pages").Dashboard
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
