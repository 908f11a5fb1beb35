"""The dashboard: what the gateway did and what it cost, in a browser, behind a key of its own."""

from lynkr_server.dashboard.pages import Dashboard

__all__ = ["Dashboard"]
