"""Providers: a dialect, credentials, an endpoint and a profile, over one transport.

The transports are loaded on first use: httpx and aiohttp are heavy, and one
of them may not be installed.
"""

from importlib import import_module
from typing import TYPE_CHECKING

from lynkr.providers.auth import Bearer, KeyHeader, NoAuth
from lynkr.providers.base import (
    Auth,
    Endpoint,
    Framing,
    HTTPRequest,
    HTTPResponse,
    Provider,
    Timeouts,
    TokenCounter,
    Transport,
    TransportError,
    TransportTimeout,
)
from lynkr.providers.body_rules import BodyRules

# The function takes its module's name here: import the module's other names from it by path.
from lynkr.providers.builtin import HOSTS, AuthStyle, Host, builtin
from lynkr.providers.endpoints import FixedEndpoint, ModelEndpoint
from lynkr.providers.http_provider import Counting, HTTPProvider
from lynkr.providers.setup import Cloud, Setup

if TYPE_CHECKING:
    from lynkr.providers.aiohttp_transport import AiohttpTransport
    from lynkr.providers.httpx_transport import HttpxTransport

__all__ = [
    "HOSTS",
    "AiohttpTransport",
    "Auth",
    "AuthStyle",
    "Bearer",
    "BodyRules",
    "Cloud",
    "Counting",
    "Endpoint",
    "FixedEndpoint",
    "Framing",
    "HTTPProvider",
    "HTTPRequest",
    "HTTPResponse",
    "Host",
    "HttpxTransport",
    "KeyHeader",
    "ModelEndpoint",
    "NoAuth",
    "Provider",
    "Setup",
    "Timeouts",
    "TokenCounter",
    "Transport",
    "TransportError",
    "TransportTimeout",
    "builtin",
]


def __getattr__(name: str) -> object:
    match name:
        case "HttpxTransport":
            return import_module("lynkr.providers.httpx_transport").HttpxTransport
        case "AiohttpTransport":
            return import_module("lynkr.providers.aiohttp_transport").AiohttpTransport
        case _:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
