"""The running gateways of the server's tests."""

from tests.server.conftest import serve

__all__ = ["serve"]
