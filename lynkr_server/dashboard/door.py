"""Who may see the dashboard.

One key opens it, the owner's `server.admin_key`; the API keys do not.  A
browser shows the key once and gets a session: 256 random bits in a cookie that
scripts cannot read and that no other site's page can make the browser send.
Programs show the key itself, as a bearer token.  Both are compared by digest,
whole and in constant time.  Nothing is granted for what ``Host``, ``Origin`` or
``X-Forwarded-*`` say, so a name of a stranger's that leads to the loopback
address opens nothing: the browser keeps no session under it.
"""

import hashlib
import hmac
import secrets
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Final, Protocol

from attrs import define

from lynkr.errors import ClientWireError
from lynkr.secret import Secret

COOKIE: Final = "lynkr_admin"
SESSION_SECONDS: Final = 12 * 3600
MAX_SESSIONS: Final = 32
"""Browsers logged in at once; one more logs the oldest out."""
GUESSES: Final = 10
"""Wrong keys from one address at once, by either way in; a new one is allowed each `GUESS_SECONDS`."""
GUESS_SECONDS: Final = 6.0
_MAX_GUESSERS: Final = 1024


class NotAdmitted(ClientWireError):
    """No session, or no key of the dashboard's (401)."""

    def __init__(self, message: str) -> None:
        super().__init__(message, status=401)


class WrongKey(NotAdmitted):
    """A key was shown, and it is not the dashboard's (401)."""


class TooManyGuesses(ClientWireError):
    """This address showed too many wrong keys (429); *retry_after* is in seconds."""

    def __init__(self, retry_after: float) -> None:
        super().__init__("too many wrong keys from this address; wait a little", status=429)
        self.retry_after = retry_after


@define
class _Guesser:
    """What is left of an address's allowance, as of *at* (seconds)."""

    left: float
    at: float


class Logins(Protocol):
    """Who is logged in: digests of tokens, apart by *realm*, a digest of the key they were given for."""

    def log_in(self, realm: bytes, token: bytes, ends: float, now: float, most: int, /) -> None:
        """Let *token* in until *ends* (seconds); of more than *most* the oldest goes."""
        ...

    def is_logged_in(self, realm: bytes, token: bytes, now: float, /) -> bool: ...

    def log_out(self, realm: bytes, token: bytes, /) -> None: ...


class MemoryLogins:
    """`Logins` of this process."""

    def __init__(self) -> None:
        self._ends: OrderedDict[tuple[bytes, bytes], float] = OrderedDict()

    def log_in(self, realm: bytes, token: bytes, ends: float, now: float, most: int, /) -> None:
        for ended in [key for key, until in self._ends.items() if until <= now]:
            del self._ends[ended]
        while len(self._ends) >= most:
            self._ends.popitem(last=False)
        self._ends[(realm, token)] = ends

    def is_logged_in(self, realm: bytes, token: bytes, now: float, /) -> bool:
        return now < self._ends.get((realm, token), now)

    def log_out(self, realm: bytes, token: bytes, /) -> None:
        self._ends.pop((realm, token), None)


class AdminDoor:
    """Lets in who shows *key*, or a session it opened.  *clock* is in seconds, monotonic.

    Sessions are in *logins*, this process' own unless given: a restart logs everybody out.  Each of
    several *doors* to one dashboard takes its share of the guesses.
    """

    def __init__(
        self,
        key: Secret,
        *,
        logins: Logins | None = None,
        doors: int = 1,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._key = _digest(key.reveal().encode())
        self._realm = _digest(self._key)
        self._clock = clock
        self._logins: Logins = MemoryLogins() if logins is None else logins
        self._guesses = max(1.0, GUESSES / doors)
        self._guess_seconds = GUESS_SECONDS * doors
        self._guessers: OrderedDict[tuple[str, str], _Guesser] = OrderedDict()

    def admit(self, headers: Mapping[str, str], peer: str) -> None:
        """Do nothing for a session or a bearer of the key.

        *peer* is the address the connection comes from; behind a proxy that is the proxy's.

        Raises:
            NotAdmitted: neither was shown, or the one shown is not, or no longer, good.
            TooManyGuesses: the key was wrong too often.
        """
        if self._has_session(headers):
            return
        scheme, _, token = headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer":
            raise NotAdmitted("log in, or send the dashboard's key as a bearer token")
        # Headers were read as latin-1, which gives the bytes back.
        self._check(token.strip().encode("latin-1", "replace"), ("bearer", peer))

    def log_in(self, key: str, peer: str) -> str:
        """A new session for who shows the *key*: the token its cookie holds.

        Raises:
            WrongKey: it is not the key.
            TooManyGuesses: it was wrong too often.
        """
        self._check(key.encode("utf-8", "surrogatepass"), ("form", peer))
        now = self._clock()
        token = secrets.token_urlsafe(32)
        self._logins.log_in(self._realm, _digest(token.encode()), now + SESSION_SECONDS, now, MAX_SESSIONS)
        return token

    def log_out(self, headers: Mapping[str, str]) -> None:
        """End the session whose cookie is shown, if there is one."""
        for token in _cookies(headers):
            self._logins.log_out(self._realm, _digest(token))

    def _has_session(self, headers: Mapping[str, str]) -> bool:
        # Looked up by digest: how long that takes tells nothing about the token.
        now = self._clock()
        return any(self._logins.is_logged_in(self._realm, _digest(token), now) for token in _cookies(headers))

    def _check(self, shown: bytes, guesser_key: tuple[str, str]) -> None:
        """Compare a key.

        The two ways in have allowances of their own: a program that keeps showing a wrong key must not
        shut the browser beside it out.
        """
        now = self._clock()
        guesser = self._guessers.setdefault(guesser_key, _Guesser(self._guesses, now))
        self._guessers.move_to_end(guesser_key)
        if len(self._guessers) > _MAX_GUESSERS:
            self._guessers.popitem(last=False)
        guesser.left = min(self._guesses, guesser.left + (now - guesser.at) / self._guess_seconds)
        guesser.at = now
        if guesser.left < 1:
            raise TooManyGuesses((1 - guesser.left) * self._guess_seconds)
        if not hmac.compare_digest(_digest(shown), self._key):
            guesser.left -= 1
            raise WrongKey("the key is not this dashboard's")


def session_cookie(token: str, *, secure: bool) -> str:
    """The ``set-cookie`` header of a session; an empty *token* takes it back."""
    seconds = SESSION_SECONDS if token else 0
    ending = "; Secure" if secure else ""
    return f"{COOKIE}={token}; Path=/dashboard; Max-Age={seconds}; HttpOnly; SameSite=Strict{ending}"


def _cookies(headers: Mapping[str, str]) -> list[bytes]:
    """Every value the browser shows under our name; what other programs on this host keep is passed over."""
    pairs = (pair.partition("=") for pair in headers.get("cookie", "").split(";"))
    return [value.strip().encode("latin-1", "replace") for name, _, value in pairs if name.strip() == COOKIE]


def _digest(token: bytes) -> bytes:
    return hashlib.sha256(token).digest()
