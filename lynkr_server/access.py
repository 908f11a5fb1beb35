"""Who may come in.

Keys are compared whole, by digest, in constant time.  Nothing is decided from
``Host`` or ``X-Forwarded-*``, which a client can write as it likes.
"""

import hashlib
import hmac
import ipaddress
from collections.abc import Mapping, Sequence

from lynkr.errors import ConfigError, LynkrError
from lynkr.secret import Secret


class Unauthorised(LynkrError):
    """The client's key is missing or wrong."""

    status_hint = 401
    kind = "authentication"


class KeyCheck:
    """Lets in whoever shows one of *keys*, as a bearer token or in ``x-api-key``; everyone if none is set."""

    def __init__(self, keys: Sequence[Secret]) -> None:
        self._digests = tuple(_digest(key.reveal()) for key in keys)

    def admit(self, headers: Mapping[str, str]) -> None:
        """Do nothing for a client that may come in.

        Raises:
            Unauthorised: it may not.
        """
        if not self._digests:
            return
        shown = headers.get("x-api-key")
        if shown is None:
            scheme, _, shown = headers.get("authorization", "").partition(" ")
            if scheme.lower() != "bearer":
                raise Unauthorised("send the gateway's key as a bearer token or in x-api-key")
        digest = _digest(shown.strip())
        # Every key is compared, so that the time taken does not tell which one was close.
        matches = [hmac.compare_digest(digest, known) for known in self._digests]
        if not any(matches):
            raise Unauthorised("the key is not this gateway's")


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).digest()


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach *host*."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def refuse_open_bind(host: str, keys: Sequence[Secret]) -> None:
    """Let no other machine in unasked.

    Raises:
        ConfigError: *host* is reachable from elsewhere and no key is set.
    """
    if not keys and not is_loopback(host):
        raise ConfigError(
            f"server.host = {host!r} is reachable from other machines, but no key is set: "
            "set server.api_key_env (or LYNKR_SERVER_API_KEY), or bind 127.0.0.1"
        )
