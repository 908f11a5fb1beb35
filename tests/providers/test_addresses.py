"""Where connections may lead: the ranges, and both transports against names that lead elsewhere."""

import socket
from collections.abc import AsyncIterator, Callable
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_network
from typing import Any

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lynkr.assembly import build_gateway
from lynkr.errors import LynkrError
from lynkr.model import Message, Request
from lynkr.providers import AiohttpTransport, HttpxTransport
from lynkr.providers.addresses import Reaching, is_metadata, is_numeric, is_public, may_reach
from lynkr.providers.base import HTTPRequest, Reach, Timeouts, TransportError
from lynkr.settings import Settings
from lynkr.testing import Simulator, SimulatorServer

Names = dict[str, list[list[str]]]
PRIVATE = [
    "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "127.0.0.0/8", "169.254.0.0/16", "100.64.0.0/10",
    "0.0.0.0/8", "224.0.0.0/4", "240.0.0.0/4", "198.18.0.0/15", "192.0.2.0/24", "192.88.99.0/24",
    "::/128", "::1/128", "fc00::/7", "fe80::/10", "fec0::/10", "ff00::/8", "2001::/32", "2002::/16",
    "64:ff9b::/96", "64:ff9b:1::/48", "2001:db8::/32", "100::/64", "::ffff:0:0/96",
]  # fmt: skip
METADATA = ["169.254.169.254", "fd00:ec2::254", "169.254.170.2", "169.254.170.23", "100.100.100.200"]
PUBLIC = [
    "1.1.1.1",
    "8.8.8.8",
    "104.18.6.192",
    "2606:4700::6812:6c0",
    "2a00:1450:4001:82a::200a",
    "100.128.0.1",
]


@st.composite
def inside(draw: st.DrawFn) -> str:
    """An address of a range that is not public, its ends included."""
    network = ip_network(draw(st.sampled_from(PRIVATE)))
    offset = draw(
        st.one_of(st.just(0), st.just(network.num_addresses - 1), st.integers(0, network.num_addresses - 1))
    )
    return str(network[offset])


@given(inside())
def test_no_special_range_is_public(address: str) -> None:
    assert not may_reach(address, Reach.PUBLIC)
    assert may_reach(address, Reach.ANY)


@pytest.mark.parametrize("address", PUBLIC)
def test_public_addresses_are(address: str) -> None:
    assert may_reach(address, Reach.PUBLIC)
    assert may_reach(address, Reach.PRIVATE)


@given(st.ip_addresses(v=4))
def test_an_address_inside_another_is_judged_like_it(inner: IPv4Address) -> None:
    """Mapped and NAT64 forms of a metadata service are one; none of the forms is ever public itself."""
    number = int(inner)
    for text in ("::ffff:0:0", "64:ff9b::", "::"):
        outer = IPv6Address(int(IPv6Address(text)) | number)
        assert not is_public(outer)
        if text != "::" or number > 1:
            assert is_metadata(outer) is is_metadata(inner)
    assert not is_public(IPv6Address((0x2002 << 112) | (number << 80) | 1))
    assert is_metadata(IPv6Address((0x2002 << 112) | (number << 80) | 1)) is is_metadata(inner)


@given(st.ip_addresses(v=6))
def test_only_global_unicast_is_public(address: IPv6Address) -> None:
    """The standard library's own lists, read as a floor: what they hold to be special never passes."""
    if is_public(address):
        assert address in IPv6Network("2000::/3")
        assert address.is_global


@given(st.ip_addresses(v=4))
def test_nothing_the_standard_library_calls_special_is_public(address: IPv4Address) -> None:
    if is_public(address):
        assert address.is_global


@pytest.mark.parametrize("address", METADATA)
def test_metadata_services_are_no_providers_network(address: str) -> None:
    assert not may_reach(address, Reach.PRIVATE)
    assert not may_reach(address, Reach.PUBLIC)


@pytest.mark.parametrize("text", ["", "localhost", "127.1", "2130706433", "fe80::1%eth0x", "1.2.3.4.5"])
def test_what_is_no_plain_address_is_not_reached(text: str) -> None:
    assert not may_reach(text, Reach.PUBLIC)
    assert is_numeric(text) is ("%" in text)


PAIRS: list[tuple[str, Callable[[], Any]]] = [
    ("asyncio", HttpxTransport),
    ("trio", HttpxTransport),
    ("asyncio", AiohttpTransport),
]


@pytest.fixture(params=PAIRS, ids=["asyncio-httpx", "trio-httpx", "asyncio-aiohttp"])
def pair(request: pytest.FixtureRequest) -> Any:
    """A backend and a transport that runs on it."""
    return request.param


@pytest.fixture
def anyio_backend(pair: tuple[str, Callable[[], Any]]) -> str:
    return pair[0]


@pytest.fixture
async def transport(pair: tuple[str, Callable[[], Any]]) -> AsyncIterator[Any]:
    made = pair[1]()
    yield made
    with anyio.fail_after(5):
        await made.aclose()


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> "Names":
    """A resolver's answers by name, one for each time it is asked; the last goes on."""
    answers: dict[str, list[list[str]]] = {}
    real = socket.getaddrinfo

    def look_up(host: Any, port: Any, *rest: Any, **more: Any) -> Any:
        name = host.decode() if isinstance(host, bytes) else host
        if name not in answers:
            return real(host, port, *rest, **more)
        left = answers[name]
        found = left.pop(0) if len(left) > 1 else left[0]
        return [item for address in found for item in real(address, port, type=socket.SOCK_STREAM)]

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    return answers


async def fetched(transport: Any, url: str, reach: Reach) -> int:
    timeouts = Timeouts(connect=5, first_byte=5, idle=5, total=5)
    request = HTTPRequest("GET", url, {}, b"", timeouts)
    async with Reaching(transport, reach).send(request) as response:
        return int(response.status)


@pytest.mark.anyio
@pytest.mark.parametrize(
    "host", ["127.0.0.1", "localhost", "2130706433", "127.1", "[::1]", "[::ffff:127.0.0.1]"]
)
async def test_this_machine_is_not_reached_in_public(transport: Any, host: str) -> None:
    with pytest.raises(
        TransportError, match=r"no public address: set providers\.NAME\.local|not a canonical IPv4"
    ):
        await fetched(transport, f"http://{host}:9/", Reach.PUBLIC)


@pytest.mark.anyio
@pytest.mark.parametrize("reach", [Reach.PUBLIC, Reach.PRIVATE])
@pytest.mark.parametrize("address", METADATA)
async def test_no_metadata_service_is_reached(transport: Any, reach: Reach, address: str) -> None:
    host = f"[{address}]" if ":" in address else address
    with pytest.raises(TransportError, match=r"no public address|hand out credentials"):
        await fetched(transport, f"http://{host}/latest/meta-data/", reach)


@pytest.mark.anyio
async def test_a_name_that_also_leads_home_is_refused(transport: Any, names: Names) -> None:
    names["mixed.example"] = [["1.1.1.1", "127.0.0.1"]]
    with pytest.raises(TransportError, match=r"mixed\.example is at 127\.0\.0\.1"):
        await fetched(transport, "http://mixed.example:9/", Reach.PUBLIC)


@pytest.mark.anyio
async def test_a_rebound_name_is_looked_up_once_and_connected_where_checked(
    transport: Any, names: Names
) -> None:
    """The first answer is checked and is what is connected to; the second, of this machine, never is."""
    async with SimulatorServer(Simulator()) as server:
        port = int(server.url.rpartition(":")[2])
        # First somewhere that refuses connections, then here, where a server listens.
        names["rebound.example"] = [["127.0.0.2"], ["127.0.0.1"]]
        names["home.example"] = [["127.0.0.1"]]
        assert await fetched(transport, f"http://home.example:{port}/", Reach.PRIVATE) < 500
        with pytest.raises(TransportError) as refused:
            await fetched(transport, f"http://rebound.example:{port}/", Reach.PRIVATE)
        assert "address" not in str(refused.value)
        assert names["rebound.example"] == [["127.0.0.1"]]
        names["public.example"] = [["1.1.1.1", "10.0.0.1"], ["127.0.0.1"]]
        for address in (r"10\.0\.0\.1", r"127\.0\.0\.1"):
            with pytest.raises(TransportError, match=address):
                await fetched(transport, f"http://public.example:{port}/", Reach.PUBLIC)


def reach_of(**provider: object) -> Reach:
    overrides = {f"providers.p.{key}": value for key, value in provider.items()}
    return Settings.load(None, {}, overrides={"default": "p:m", **overrides}).providers["p"].reach


def test_providers_are_public_unless_the_owner_says_otherwise() -> None:
    host = "https://models.example/v1"
    assert reach_of(kind="openai", base_url=host) is Reach.PUBLIC
    assert reach_of(kind="openai", base_url="http://10.0.0.5:8000/v1") is Reach.PUBLIC
    assert reach_of(kind="openai", base_url="http://10.0.0.5:8000/v1", local=True) is Reach.PRIVATE
    assert reach_of(kind="openai", base_url=host, private=True) is Reach.PRIVATE
    assert reach_of(kind="openai", base_url="http://127.0.0.1:1/v1") is Reach.PRIVATE
    assert reach_of(kind="openai", base_url="http://127.0.0.1:1/v1", local=False) is Reach.PRIVATE
    assert reach_of(kind="openai", base_url="http://127.0.0.1:1/v1", private=False) is Reach.PUBLIC
    assert reach_of(kind="ollama") is Reach.PRIVATE
    assert reach_of(kind="anthropic") is Reach.PUBLIC


@pytest.mark.anyio
async def test_a_gateway_refuses_a_provider_that_is_not_where_it_should_be(
    names: Names, pair: tuple[str, Callable[[], Any]]
) -> None:
    names["models.example"] = [["127.0.0.1"]]
    async with SimulatorServer(Simulator()) as server:
        port = int(server.url.rpartition(":")[2])
        for more in ({}, {"providers.p.private": True}):
            overrides: dict[str, object] = {
                "default": "p:m",
                "providers.p.kind": "openai",
                "providers.p.base_url": f"http://models.example:{port}/v1",
                "providers.p.api_key": "k",
                "resilience.max_attempts": 1,
            }
            settings = Settings.load(None, {}, overrides=overrides | more)
            async with build_gateway(settings, transport=pair[1]()) as gateway:
                asked = Request("p:m", (Message.user("hi"),))
                if more:
                    assert (await gateway.ask(asked)).parts
                else:
                    with pytest.raises(LynkrError, match=r"models\.example is at 127\.0\.0\.1"):
                        await gateway.ask(asked)
    assert len(server.simulator.requests) == 1
