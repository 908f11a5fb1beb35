"""Google credentials, kept fresh.  The one module that knows google-auth (extra ``vertex``).

google-auth is blocking, so it runs in a worker thread; what it asks of the
network comes back to the event loop and goes over the provider's own transport.
"""

import json
import re
import threading
from collections.abc import Mapping
from typing import Any, Final, Protocol, cast

import anyio.from_thread
import anyio.to_thread
import google.auth
from attrs import evolve, frozen
from google.auth import exceptions
from google.auth.credentials import TokenState
from google.oauth2 import service_account

from lynkr.errors import ConfigError, UpstreamError, UpstreamRefused, UpstreamUnreachable
from lynkr.providers.base import HTTPRequest, Reach, Timeouts, Transport, TransportError
from lynkr.secret import Secret

SCOPE: Final = "https://www.googleapis.com/auth/cloud-platform"

_TIMEOUTS: Final = Timeouts(connect=5.0, first_byte=20.0, idle=20.0, total=30.0)
_MAX_ANSWER_BYTES: Final = 1024 * 1024
# The error code of RFC 6749, 5.2: google-auth's words begin with it where a token was refused.
_CODE: Final = re.compile(r"[a-z_]{1,64}(?=:)", re.ASCII)


class _Credentials(Protocol):
    """What is used of `google.auth.credentials.Credentials`, whose methods have no types of their own."""

    @property
    def token_state(self) -> TokenState: ...

    def apply(self, headers: dict[str, str]) -> None: ...

    def refresh(self, request: "_OverTransport") -> None: ...


class GoogleAuth:
    """Implements `lynkr.providers.base.RefreshingAuth` with credentials given or found.

    *account* is the JSON of a service account's key; None means Application
    Default Credentials.  *name* is the provider's, for errors.

    Raises:
        ConfigError: *account* is no such key.
    """

    def __init__(self, name: str, transport: Transport, *, account: Secret | None = None) -> None:
        self._name = name
        self._transport = transport
        self._credentials = None if account is None else _of_account(account, name)
        # Several requests may find the token stale at once; one thread gets the new one, the others see it.
        self._renewing = threading.Lock()

    async def refresh(self) -> None:
        """See `lynkr.providers.base.RefreshingAuth.refresh`."""
        credentials = self._credentials
        if credentials is not None and credentials.token_state is TokenState.FRESH:
            return
        try:
            await anyio.to_thread.run_sync(self._renew)
        except exceptions.GoogleAuthError as error:
            told = self._explained(error)
        else:
            return
        # Not within the handler: google-auth's own error holds all that the token's server said, which may
        # quote what it was sent, and a traceback would show it.
        raise told

    def sign(self, request: HTTPRequest, /) -> HTTPRequest:
        credentials = self._credentials
        if credentials is None:
            raise AssertionError("refresh is awaited before sign")
        added: dict[str, str] = {}
        credentials.apply(added)
        return evolve(request, headers={**request.headers, **{n.lower(): v for n, v in added.items()}})

    def _renew(self) -> None:
        with self._renewing:
            request = _OverTransport(self._transport)
            credentials = self._credentials
            if credentials is None:
                credentials = _found(request)
            if credentials.token_state is not TokenState.FRESH:
                credentials.refresh(request)
            self._credentials = credentials

    def _explained(self, error: exceptions.GoogleAuthError) -> UpstreamError:
        if isinstance(error, exceptions.TransportError):
            # Ours says what broke; google-auth's own may quote an answer.
            why = error.__cause__ if isinstance(error.__cause__, TransportError) else type(error).__name__
            return UpstreamUnreachable(f"{self._name}: no access token: {why}", target=self._name)
        code = _CODE.match(str(error.args[0])) if error.args else None
        why = f"{type(error).__name__}, {code[0]}" if code else type(error).__name__
        return UpstreamRefused(
            f"{self._name}: no access token ({why}); run "
            "`gcloud auth application-default login`, or set GOOGLE_APPLICATION_CREDENTIALS",
            target=self._name,
            status=401,
        )


def _found(request: "_OverTransport") -> _Credentials:
    library: Any = google.auth
    credentials, _ = library.default(scopes=[SCOPE], request=request)
    return cast("_Credentials", credentials)


def _of_account(account: Secret, name: str) -> _Credentials:
    # A service account's key and nothing else: another kind of configuration may name any address to ask.
    library: Any = service_account.Credentials
    try:
        credentials = library.from_service_account_info(json.loads(account.reveal()), scopes=[SCOPE])
    except (ValueError, TypeError, AttributeError, exceptions.GoogleAuthError):
        # Neither quoted nor chained: the error may show a part of the key.
        raise ConfigError(
            f"provider {name!r}: its key is neither a key nor the JSON of a service account's; for other "
            "credentials set GOOGLE_APPLICATION_CREDENTIALS to their file"
        ) from None
    return cast("_Credentials", credentials)


class _OverTransport:
    """google-auth's way to the network (`google.auth.transport.Request`), called in a worker thread."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def __call__(
        self,
        url: str,
        method: str = "GET",
        body: bytes | str | None = None,
        headers: Mapping[str, str] | None = None,
        timeout: float | None = None,  # noqa: ARG002  # ours are shorter
        **_: object,
    ) -> "_Answer":
        data = body.encode() if isinstance(body, str) else body or b""
        lower = {name.lower(): value for name, value in (headers or {}).items()}
        request = HTTPRequest(
            method, url, lower, data, _TIMEOUTS, Reach.ANY
        )  # a metadata server may be asked
        try:
            return anyio.from_thread.run(self._send, request)
        except TransportError as error:
            failure: Any = exceptions.TransportError
            raise failure(str(error)) from error

    async def _send(self, request: HTTPRequest) -> "_Answer":
        pieces: list[bytes] = []
        size = 0
        async with self._transport.send(request) as response:
            async for piece in response.chunks():
                size += len(piece)
                if size > _MAX_ANSWER_BYTES:
                    raise TransportError(f"the answer is larger than {_MAX_ANSWER_BYTES} bytes")
                pieces.append(piece)
            return _Answer(response.status, response.headers, b"".join(pieces))


@frozen
class _Answer:
    """As `google.auth.transport.Response`."""

    status: int
    headers: Mapping[str, str]
    data: bytes
