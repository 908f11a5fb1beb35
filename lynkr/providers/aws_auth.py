"""AWS credentials from the standard chain.  The one module that knows botocore (extra ``bedrock``).

The chain is botocore's: environment, shared files and profiles, SSO, web
identity, container and instance roles.  It blocks, so it runs in a worker
thread, and only when there are no credentials yet or they are about to expire.
"""

import threading
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final

import anyio.to_thread
from attrs import evolve
from botocore.credentials import Credentials, RefreshableCredentials
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    CredentialRetrievalError,
    HTTPClientError,
    MetadataRetrievalError,
)
from botocore.exceptions import ConnectionError as NoConnection
from botocore.session import Session

from lynkr.errors import UpstreamError, UpstreamRefused, UpstreamUnreachable
from lynkr.providers.base import HTTPRequest
from lynkr.providers.sigv4 import AwsCredentials, Scope, signature_headers
from lynkr.secret import Secret

_UNREACHABLE: Final = (NoConnection, HTTPClientError, MetadataRetrievalError, CredentialRetrievalError)


def _now() -> datetime:
    return datetime.now(UTC)


class AwsAuth:
    """Implements `lynkr.providers.base.RefreshingAuth`: signs by SigV4 with credentials botocore finds.

    *name* is the provider's, for errors; *profile* a name in the shared files,
    None for the default chain.
    """

    def __init__(
        self, name: str, scope: Scope, *, profile: str | None = None, now: Callable[[], datetime] = _now
    ) -> None:
        self._name = name
        self._scope = scope
        self._profile = profile
        self._now = now
        self._found: Credentials | None = None
        self._current: AwsCredentials | None = None
        # Several requests may find the credentials stale at once; one thread gets new ones.
        self._renewing = threading.Lock()

    async def refresh(self) -> None:
        """See `lynkr.providers.base.RefreshingAuth.refresh`."""
        if self._is_stale():
            try:
                await anyio.to_thread.run_sync(self._renew, abandon_on_cancel=True)
            except (BotoCoreError, ClientError, OSError) as error:
                raise self._explained(error) from error

    def sign(self, request: HTTPRequest, /) -> HTTPRequest:
        if self._current is None:
            raise AssertionError("refresh is awaited before sign")
        added = signature_headers(request, self._current, self._scope, self._now())
        return evolve(request, headers={**request.headers, **added})

    def _is_stale(self) -> bool:
        found = self._found
        if self._current is None or found is None:
            return True
        return isinstance(found, RefreshableCredentials) and found.refresh_needed()

    def _renew(self) -> None:
        with self._renewing:
            if not self._is_stale():
                return
            found = self._found or Session(profile=self._profile).get_credentials()
            frozen = None if found is None else found.get_frozen_credentials()
            if frozen is None or not frozen.access_key or not frozen.secret_key:
                raise UpstreamRefused(
                    f"{self._name}: no AWS credentials were found; set AWS_BEARER_TOKEN_BEDROCK, or "
                    "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or run `aws configure`",
                    target=self._name,
                    status=401,
                )
            token = Secret(frozen.token) if frozen.token else None
            self._found = found
            self._current = AwsCredentials(frozen.access_key, Secret(frozen.secret_key), token)

    def _explained(self, error: Exception) -> UpstreamError:
        kind = UpstreamUnreachable if isinstance(error, _UNREACHABLE) else UpstreamRefused
        status = None if kind is UpstreamUnreachable else 401
        return kind(
            f"{self._name}: no AWS credentials ({type(error).__name__}): {error}",
            target=self._name,
            status=status,
        )
