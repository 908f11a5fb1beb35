"""Azure's own credentials: a bearer token from Microsoft Entra ID, renewed before it expires."""

import time
from collections.abc import Callable
from typing import Protocol

import anyio
import anyio.to_thread
from attrs import define, evolve, field

from lynkr.errors import ConfigError, UpstreamRefused
from lynkr.providers.base import HTTPRequest

# Azure.Core's own margin is five minutes (azure-core, BearerTokenCredentialPolicy, read 2026-11).
_MARGIN_SECONDS = 300.0


class AccessToken(Protocol):
    """``azure.core.credentials.AccessToken``: *expires_on* is in Unix seconds."""

    @property
    def token(self) -> str: ...

    @property
    def expires_on(self) -> int: ...


class TokenCredential(Protocol):
    """``azure.core.credentials.TokenCredential``; may block."""

    def get_token(self, *scopes: str) -> AccessToken: ...


@define(eq=False)
class EntraAuth:
    """``authorization: Bearer`` with a token for *scope*; a `RefreshingAuth`.

    The token is asked for in a worker thread, by one request at a time, when
    less than five minutes of the last are left.  *clock* is in Unix seconds.
    """

    name: str
    credential: TokenCredential = field(repr=False)
    scope: str
    clock: Callable[[], float] = field(default=time.time, repr=False)
    _token: str = field(default="", init=False, repr=False)
    _expires: float = field(default=0.0, init=False)
    _lock: anyio.Lock = field(factory=anyio.Lock, init=False, repr=False)

    async def refresh(self) -> None:
        """See `lynkr.providers.base.RefreshingAuth.refresh`."""
        if self._is_fresh():
            return
        async with self._lock:
            if self._is_fresh():
                return
            try:
                token = await anyio.to_thread.run_sync(self.credential.get_token, self.scope)
            except Exception as error:  # noqa: BLE001  # reason: told below, by another name
                # azure-identity's ClientAuthenticationError and whatever a credential of one's own raises.
                told = UpstreamRefused(
                    f"{self.name}: Entra ID gave no token ({type(error).__name__}); "
                    "sign in with `az login`, or set AZURE_CLIENT_ID and what goes with it",
                    target=self.name,
                    status=401,
                )
            else:
                self._token, self._expires = token.token, float(token.expires_on)
                return
            # Not within the handler, and so without its cause: that one's text holds what the token service
            # said, and a traceback would show it.  Its class tells enough.
            raise told

    def _is_fresh(self) -> bool:
        return bool(self._token) and self.clock() < self._expires - _MARGIN_SECONDS

    def sign(self, request: HTTPRequest, /) -> HTTPRequest:
        return evolve(request, headers={**request.headers, "authorization": f"Bearer {self._token}"})


def default_credential(name: str) -> TokenCredential:
    """azure-identity's chain: environment, workload and managed identity, then developers' tools.

    Raises:
        ConfigError: the extra ``azure`` is not installed.
    """
    try:
        from azure.identity import DefaultAzureCredential  # noqa: PLC0415  # reason: an extra, loaded if used
    except ImportError as error:
        raise ConfigError(
            f"provider {name!r} has no api_key; give it one, or install lynkr-router[azure] to use Entra ID"
        ) from error
    return DefaultAzureCredential()
