"""A small ASGI gateway around `lynkr`: it only moves bytes."""

from lynkr_server.app import App, create_app

__all__ = ["App", "create_app"]
