"""AWS Signature Version 4, as a function.

After "Create a signed AWS API request" in AWS' IAM User Guide and botocore
1.44's `auth.SigV4Auth` (read 2026-11).
"""

import hmac
from collections.abc import Mapping
from datetime import datetime
from hashlib import sha256
from typing import Final
from urllib.parse import SplitResult, quote, urlsplit

from attrs import frozen

from lynkr.providers.base import HTTPRequest
from lynkr.secret import Secret

_ALGORITHM: Final = "AWS4-HMAC-SHA256"
_TIME: Final = "%Y%m%dT%H%M%SZ"
_DEFAULT_PORTS: Final[Mapping[str, int]] = {"http": 80, "https": 443}


@frozen
class AwsCredentials:
    """*token* belongs to credentials that expire."""

    access_key: str
    secret_key: Secret
    token: Secret | None = None


@frozen
class Scope:
    """Where a signature is good: AWS' region and the name the service signs by."""

    region: str
    service: str


def signature_headers(
    request: HTTPRequest, credentials: AwsCredentials, scope: Scope, now: datetime
) -> dict[str, str]:
    """The headers that make *request* a signed one, at *now* (UTC).

    What is signed is the method, the address, the body, the content type and
    every ``x-amz-`` header: whatever else a transport adds or a proxy changes
    does not break it.
    """
    time = now.strftime(_TIME)
    added = {"x-amz-date": time}
    if credentials.token is not None:
        added["x-amz-security-token"] = credentials.token.reveal()
    url = urlsplit(request.url)
    signed = {
        name: " ".join(value.split())
        for name, value in {**request.headers, **added}.items()
        if name == "content-type" or name.startswith("x-amz-")
    }
    signed["host"] = _host(url)
    names = ";".join(sorted(signed))
    canonical = "\n".join(
        (
            request.method.upper(),
            # What stands in the address is encoded once more (all services but S3).
            quote(url.path or "/", safe="/~"),
            _canonical_query(url.query),
            *(f"{name}:{signed[name]}" for name in sorted(signed)),
            "",
            names,
            sha256(request.body).hexdigest(),
        )
    )
    place = f"{time[:8]}/{scope.region}/{scope.service}/aws4_request"
    text = "\n".join((_ALGORITHM, time, place, sha256(canonical.encode()).hexdigest()))
    signature = _hmac(_signing_key(credentials.secret_key.reveal(), time[:8], scope), text).hex()
    added["authorization"] = (
        f"{_ALGORITHM} Credential={credentials.access_key}/{place}, "
        f"SignedHeaders={names}, Signature={signature}"
    )
    return added


def _host(url: SplitResult) -> str:
    """The ``Host`` header an HTTP library sends for *url*."""
    host = url.hostname or ""
    if ":" in host:
        host = f"[{host}]"
    if url.port is None or url.port == _DEFAULT_PORTS.get(url.scheme):
        return host
    return f"{host}:{url.port}"


def _canonical_query(query: str) -> str:
    """The query's parts by name, then by value; a name without a value has an empty one."""
    pairs = (part.partition("=") for part in query.split("&") if part)
    return "&".join(f"{name}={value}" for name, _, value in sorted(pairs))


def _hmac(key: bytes, text: str) -> bytes:
    return hmac.digest(key, text.encode(), "sha256")


def _signing_key(secret: str, day: str, scope: Scope) -> bytes:
    key = f"AWS4{secret}".encode()
    for part in (day, scope.region, scope.service, "aws4_request"):
        key = _hmac(key, part)
    return key
