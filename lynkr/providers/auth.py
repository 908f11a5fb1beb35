"""Credentials on their way into a request, and nowhere else."""

from attrs import field, frozen

from lynkr.errors import ConfigError
from lynkr.providers.base import HTTPRequest
from lynkr.secret import Secret


def _checked(key: Secret | str) -> Secret:
    """The key, if it can stand in a header.

    Checked here because an HTTP library that refuses a header may quote it.

    Raises:
        ConfigError: empty, or not one line of printable ASCII; the key is not shown.
    """
    secret = key if isinstance(key, Secret) else Secret(key)
    text = secret.reveal()
    if not text:
        raise ConfigError("the API key is empty; leave it out if the provider needs none")
    if not (text.isascii() and text.isprintable()) or " " in text:
        raise ConfigError(
            "the API key holds a character a header may not (a space, a line break or a non-ASCII letter); "
            "check how it was copied"
        )
    return secret


def _lower(name: str) -> str:
    return name.lower()


def _with_header(request: HTTPRequest, name: str, value: str) -> HTTPRequest:
    headers = {**request.headers, name: value}
    return HTTPRequest(request.method, request.url, headers, request.body, request.timeouts, request.reach)


@frozen
class Bearer:
    """``authorization: Bearer <key>``: OpenAI and those who follow it."""

    key: Secret = field(converter=_checked)

    def sign(self, request: HTTPRequest, /) -> HTTPRequest:
        return _with_header(request, "authorization", f"Bearer {self.key.reveal()}")


@frozen
class KeyHeader:
    """The key alone, in a header of its own: ``x-api-key`` (Anthropic), ``api-key`` (Azure)."""

    name: str = field(converter=_lower)
    key: Secret = field(converter=_checked)

    def sign(self, request: HTTPRequest, /) -> HTTPRequest:
        return _with_header(request, self.name, self.key.reveal())


@frozen
class NoAuth:
    """No credentials: a local server."""

    def sign(self, request: HTTPRequest, /) -> HTTPRequest:
        return request
