"""Which addresses an upstream may be reached at.

A provider's host is looked up each time a connection is made, and the very
addresses that were checked are connected to: a name that leads elsewhere the
second time (DNS rebinding) gains nothing.  The lists are IANA's special-purpose
registries (RFC 6890 and its updates, read 2026-11) written out, because what
`ipaddress` calls private has changed between Python's versions; addresses that
carry an IPv4 address inside are judged by that one as well.
"""

from collections.abc import Iterator, Sequence
from contextlib import AbstractAsyncContextManager
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final, TypeAlias

from lynkr.providers.base import HTTPRequest, HTTPResponse, Reach, Transport, TransportError

_Address: TypeAlias = IPv4Address | IPv6Address
_Network: TypeAlias = IPv4Network | IPv6Network


def _networks(*texts: str) -> tuple[_Network, ...]:
    return tuple(ip_network(text) for text in texts)


# Whatever hands out a cloud's credentials to its own machines: AWS and most others, ECS tasks and EKS pods
# on the way there, AWS over IPv6, Alibaba, Azure's WireServer, Oracle.
_METADATA: Final = _networks(
    "169.254.0.0/16", "fd00:ec2::254/128", "fd00:ec2::23/128", "100.100.100.200/32", "168.63.129.16/32",
    "192.0.0.192/32", "fd20:ce::254/128",
)  # fmt: skip
_NOT_PUBLIC: Final = _networks(
    "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12",
    "192.0.0.0/24", "192.0.2.0/24", "192.31.196.0/24", "192.52.193.0/24", "192.88.99.0/24", "192.168.0.0/16",
    "192.175.48.0/24", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4",
)  # fmt: skip
# Outside 2000::/3 nothing is global unicast (RFC 4291, 2.4); within it these are special.
_GLOBAL_V6: Final = IPv6Network("2000::/3")
_SPECIAL_V6: Final = _networks(
    "2001::/23", "2001:db8::/32", "2002::/16", "2620:4f:8000::/48", "3fff::/20", "5f00::/16"
)
_MAPPED: Final = IPv6Network("::ffff:0:0/96")
_COMPATIBLE: Final = IPv6Network("::/96")
_NAT64: Final = _networks("64:ff9b::/96", "64:ff9b:1::/48")


def is_loopback(host: str) -> bool:
    """Whether *host* is this machine alone."""
    name = host.strip("[]").lower()
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        return ip_address(name.partition("%")[0]).is_loopback
    except ValueError:
        return False


def embedded(address: IPv6Address) -> Iterator[IPv4Address]:
    """The IPv4 addresses *address* leads to: mapped, compatible, 6to4, Teredo, NAT64."""
    low = int(address) & 0xFFFF_FFFF
    if (
        address in _MAPPED
        or any(address in network for network in _NAT64)
        or (address in _COMPATIBLE and low > 1)
    ):
        yield IPv4Address(low)
    if address.sixtofour is not None:
        yield address.sixtofour
    if address.teredo is not None:
        yield from address.teredo


def is_metadata(address: _Address) -> bool:
    """Whether a cloud's metadata service answers there; of link-local IPv4, any may be one."""
    if any(address in network for network in _METADATA):
        return True
    return isinstance(address, IPv6Address) and any(map(is_metadata, embedded(address)))


def is_public(address: _Address) -> bool:
    """Whether *address* is one of the internet's at large, and nobody's own network or machine."""
    if is_metadata(address):
        return False
    if isinstance(address, IPv4Address):
        return not any(address in network for network in _NOT_PUBLIC)
    # 6to4 and NAT64 lead to whatever IPv4 address they hold, by way of somebody else's relay.
    return address in _GLOBAL_V6 and not any(address in network for network in _SPECIAL_V6)


def may_reach(address: str, reach: Reach) -> bool:
    """Whether a connection may be made to *address*, a numeric one; what is none may not."""
    if reach is Reach.ANY:
        return True
    try:
        parsed = ip_address(address.partition("%")[0])
    except ValueError:
        return False
    return is_public(parsed) if reach is Reach.PUBLIC else not is_metadata(parsed)


def is_numeric(host: str) -> bool:
    """Whether *host* is an address itself, which is never looked up."""
    try:
        ip_address(host.strip("[]").partition("%")[0])
    except ValueError:
        return False
    return True


def refuse_addresses(host: str, addresses: Sequence[str], reach: Reach) -> None:
    """Do nothing where every address *host* was found at may be connected to.

    One that may not condemns the host: an honest one has public addresses alone.

    Raises:
        AddressRefused: one may not.
    """
    for address in addresses:
        if not may_reach(address, reach):
            raise AddressRefused(host, address, reach)


class AddressRefused(TransportError):
    """A host is, or was found at, an address that it may not be reached at; nothing was sent."""

    def __init__(self, host: str, address: str, reach: Reach) -> None:
        where = f"{host} is at {address}" if host.strip("[]") != address else address
        if reach is Reach.PUBLIC:
            super().__init__(
                f"{where}, which is no public address: set providers.NAME.local = true if the host is on "
                "your own network, or providers.NAME.private = true if it also charges"
            )
        else:
            super().__init__(f"{where}, where clouds hand out credentials; no provider is there")


class Reaching:
    """A transport whose requests go no further than *reach*, where they do not say so themselves.

    Closing it closes *inner*.
    """

    def __init__(self, inner: Transport, reach: Reach) -> None:
        self._inner = inner
        self._reach = reach

    def send(self, request: HTTPRequest, /) -> AbstractAsyncContextManager[HTTPResponse]:
        """See `lynkr.providers.base.Transport.send`."""
        if request.reach is None:
            request = HTTPRequest(
                request.method, request.url, request.headers, request.body, request.timeouts, self._reach
            )
        return self._inner.send(request)

    async def aclose(self) -> None:
        await self._inner.aclose()
