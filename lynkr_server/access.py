"""Who may come in.

Keys are compared whole, by digest, in constant time.  Nothing is granted for
what ``Host``, ``Origin`` or ``X-Forwarded-*`` say, which a client can write as
it likes.  A browser cannot, so a gateway without keys believes an ``Origin``
that speaks against its page.
"""

import hashlib
import hmac
import ipaddress
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from urllib.parse import urlsplit

from lynkr.errors import ClientWireError, ConfigError
from lynkr.secret import Secret


class Unauthorised(ClientWireError):
    """The client's key is missing or wrong (401)."""

    def __init__(self, message: str) -> None:
        super().__init__(message, status=401)


class ForeignPage(ClientWireError):
    """The request comes from a web page of another site (403)."""

    def __init__(self, origin: str) -> None:
        super().__init__(
            f"requests from web pages ({origin!r}) are refused while no key is set: "
            "set server.api_key_env (or LYNKR_SERVER_API_KEY)",
            status=403,
        )


class KeyCheck:
    """Lets in whoever shows one of *keys*, as a bearer token or in ``x-api-key``, and says whose it is.

    *tenants* are the SHA-256 digests of the keys of each; *keys* are nobody's in particular.

    Without keys it lets in everyone but web pages: any page the owner's browser
    shows could otherwise send requests to the loopback address, and have them
    paid for, also by a name of its own that leads there.
    """

    def __init__(
        self, keys: Sequence[Secret], tenants: Mapping[str, Sequence[bytes]] = MappingProxyType({})
    ) -> None:
        self._digests: tuple[tuple[bytes, str | None], ...] = (
            *((_digest(key.reveal().encode()), None) for key in keys),
            *((digest, name) for name, digests in tenants.items() for digest in digests),
        )

    def admit(self, headers: Mapping[str, str]) -> str | None:
        """The tenant of a client that may come in, None where it has none.

        Raises:
            Unauthorised: it showed no key, or a wrong one.
            ForeignPage: it is a web page, and there are no keys.
        """
        if not self._digests:
            origin = headers.get("origin")
            if origin is not None and _is_foreign(origin):
                raise ForeignPage(origin)
            return None
        shown = _keys_shown(headers)
        if not shown:
            raise Unauthorised("send the gateway's key as a bearer token or in x-api-key")
        # Every key is compared, so that the time taken does not tell which one was close.
        known = self._digests
        matches = [
            tenant
            for digest in map(_digest, shown)
            for mine, tenant in known
            if hmac.compare_digest(digest, mine)
        ]
        if not matches:
            raise Unauthorised("the key is not this gateway's")
        if len(set(matches)) > 1:
            raise Unauthorised("two keys are shown, of different tenants; send one")
        return matches[0]


def _keys_shown(headers: Mapping[str, str]) -> list[bytes]:
    """The keys a client shows, as sent; some send the gateway's in one place and a stale one in the other."""
    shown = [headers["x-api-key"]] if "x-api-key" in headers else []
    scheme, _, token = headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        shown.append(token)
    # Headers were read as latin-1, which gives the bytes back.
    return [key.strip().encode("latin-1", "replace") for key in shown]


def _digest(token: bytes) -> bytes:
    return hashlib.sha256(token).digest()


def _is_foreign(origin: str) -> bool:
    """Whether a browser says that another site's page, or one it keeps apart (``null``), is asking.

    Schemes of installed programs (``vscode-webview:``, ``app:``) are not the web's.
    """
    if origin == "null":
        return True
    try:
        parts = urlsplit(origin)
        return parts.scheme in ("http", "https") and not is_loopback(parts.hostname or "")
    except ValueError:
        return True


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach *host*."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def refuse_open_bind(host: str, *, keyed: bool) -> None:
    """Let no other machine in unasked; *keyed* says that clients must show a key.

    Raises:
        ConfigError: *host* is reachable from elsewhere and no key is set.
    """
    if not keyed and not is_loopback(host):
        raise ConfigError(
            f"server.host = {host!r} is reachable from other machines, but no key is set: "
            "set server.api_key_env (or LYNKR_SERVER_API_KEY), or bind 127.0.0.1"
        )
