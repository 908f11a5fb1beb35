"""The hot paths of the gateway, each as something that can be run n times: for clocks and for counters.

`opened` sets a path of `PATHS` up and gives a function of how often to run it.
Nothing but lynkr runs here: the upstream is a `CannedTransport`, without a
socket.  Bodies and answers are those of `benchmarks/gateway`, in turn.
"""

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Generator, Mapping
from contextlib import ExitStack, contextmanager
from itertools import cycle, islice
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from lynkr.assembly import build_gateway
from lynkr.gateway import Gateway
from lynkr.layers import deadline, journal, standard_layers
from lynkr.model import Message, Request, WireFormat
from lynkr.providers import HTTPRequest
from lynkr.resilience import MemoryBreakers
from lynkr.routing import PipelineRouter, Snapshot, Target, Tier
from lynkr.service import Call, Reply, Tally, stack
from lynkr.settings import Settings
from lynkr.telemetry.record import Ending
from lynkr.wire.anthropic import AnthropicCodec
from lynkr.wire.json_body import parse_body
from lynkr.wire.piece_store import PieceStore

sys.path.insert(0, str(Path(__file__).parent.parent / "gateway"))

import bodies
import upstream

Run = Callable[[int], None]
Setup = Callable[[ExitStack], Run]
"""Makes ready; what is to be closed afterwards goes on the stack."""
MESSAGES: Final = WireFormat.ANTHROPIC_MESSAGES
_HEADERS: Final = {"content-type": "application/json", "anthropic-version": "2023-06-01"}
_SETTINGS: Final[Mapping[str, object]] = {
    "tiers.SIMPLE": ["served:small"],
    "tiers.MEDIUM": ["served:medium"],
    "tiers.COMPLEX": ["served:large"],
    "tiers.REASONING": ["served:reasoning"],
    "providers.served.base_url": "http://127.0.0.1:9",
    "providers.served.api_key": "none-is-asked-for",
    "providers.served.local": False,
    "pricing.flagship": "served:claude-opus-4-5",
}


class CannedTransport:
    """Answers every request at once with the same chunks."""

    def __init__(self, content_type: str, chunks: list[bytes]) -> None:
        self._head = {"content-type": content_type}
        self._chunks = chunks

    def send(self, _request: HTTPRequest, /) -> "_Canned":
        return _Canned(self._head, self._chunks)

    async def aclose(self) -> None:
        """Nothing is open."""


class _Canned:
    status = 200

    def __init__(self, headers: Mapping[str, str], chunks: list[bytes]) -> None:
        self.headers = headers
        self._chunks = chunks

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None, /
    ) -> None:
        """Nothing is open."""

    def close_now(self) -> None:
        """Nothing is open."""

    async def chunks(self) -> AsyncIterator[bytes]:
        for chunk in self._chunks:
            yield chunk


def _whole(answer: bytes) -> list[bytes]:
    """The body of one of the scripted upstream's answers."""
    return [answer.partition(b"\r\n\r\n")[2]]


def _gateway(kind: str, transport: CannedTransport, closing: ExitStack) -> Gateway:
    overrides = {**_SETTINGS, "providers.served.kind": kind}
    gateway = build_gateway(Settings.load(None, {}, overrides=overrides), transport=transport)
    closing.callback(lambda: asyncio.run(gateway.aclose()))
    return gateway


def _in_a_loop(act: Callable[[], Awaitable[object]], closing: ExitStack) -> Run:
    """Run *act* in an event loop of its own, as often as asked."""
    loop = asyncio.new_event_loop()
    closing.callback(loop.close)

    async def several(count: int) -> None:
        for _ in range(count):
            await act()

    return lambda count: loop.run_until_complete(several(count))


def _over(values: list[bytes], act: Callable[[bytes], object]) -> Run:
    endless = cycle(values)

    def run(count: int) -> None:
        for value in islice(endless, count):
            act(value)

    return run


def standard_json(_closing: ExitStack) -> Run:
    """The measure for the others: the standard library reads the 2 KB body."""
    return _over(bodies.bodies("chat", "messages", stream=False), json.loads)


def _parse(size: str) -> Run:
    return _over(bodies.bodies(size, "messages", stream=False), parse_body)


def _decode(size: str) -> Run:
    codec = AnthropicCodec()
    made = [parse_body(body).value for body in bodies.bodies(size, "messages", stream=False)]
    endless = cycle(made)

    def run(count: int) -> None:
        for value in islice(endless, count):
            codec.decode_request(value)

    return run


def _read(size: str) -> Run:
    """Parse and decode, where the tools and earlier messages have come before."""
    codec, known = AnthropicCodec(), PieceStore()
    return _over(
        bodies.bodies(size, "messages", stream=False), lambda body: codec.decode_body(known.read(body))
    )


def splice(_closing: ExitStack) -> Run:
    """Another model put into the client's own bytes."""
    made = [parse_body(body) for body in bodies.bodies("agent", "messages", stream=False)]
    endless = cycle(made)

    def run(count: int) -> None:
        for body in islice(endless, count):
            body.splice("model", "claude-haiku-4-5")

    return run


def _route(size: str) -> Run:
    codec, router = AnthropicCodec(), PipelineRouter({tier: [Target("served", tier.name)] for tier in Tier})
    made = [
        codec.decode_request(parse_body(body).value) for body in bodies.bodies(size, "messages", stream=False)
    ]
    endless, snapshot = cycle(made), Snapshot()

    def run(count: int) -> None:
        for request in islice(endless, count):
            router.route(request, snapshot)

    return run


def layers(closing: ExitStack) -> Run:
    """Fallback, retry, breaker, journal and deadline around a call that nothing goes wrong with."""
    request, target = Request(model="auto", messages=(Message.user("hello"),)), Target("served", "small")

    async def provider(call: Call) -> Reply:
        return Reply(call.target, Tally(complete=True))

    service = stack(provider, *standard_layers(MemoryBreakers()), journal(), deadline())

    async def once() -> None:
        reply = await service(Call(request, target, alternatives=(Target("served", "medium"),)))
        await reply.aclose()

    return _in_a_loop(once, closing)


def begin(closing: ExitStack) -> Run:
    """Reading and deciding one wire request."""
    gateway = _gateway("anthropic", CannedTransport("application/json", []), closing)
    return _over(
        bodies.bodies("chat", "messages", stream=False), lambda body: gateway.begin(MESSAGES, body, _HEADERS)
    )


def record(closing: ExitStack) -> Run:
    """The end of an exchange: its record made and handed over."""
    gateway = _gateway(
        "anthropic", CannedTransport("application/json", _whole(upstream.messages_answer())), closing
    )
    endless = cycle(bodies.bodies("chat", "messages", stream=False))

    def run(count: int) -> None:
        for body in islice(endless, count):
            gateway.begin(MESSAGES, body, _HEADERS).finish(Ending.OK, 200)

    return run


def _relay(closing: ExitStack, kind: str, size: str, *, stream: bool) -> Run:
    """One wire request as a whole, all but the sockets."""
    is_messages = kind == "anthropic"
    if stream:
        chunks = upstream.messages_events() if is_messages else upstream.chat_events()
        transport = CannedTransport("text/event-stream", chunks)
    else:
        answer = upstream.messages_answer() if is_messages else upstream.chat_answer()
        transport = CannedTransport("application/json", _whole(answer))
    gateway = _gateway(kind, transport, closing)
    endless = cycle(bodies.bodies(size, "messages", stream=stream))

    async def once() -> None:
        reply = await gateway.relay(MESSAGES, next(endless), _HEADERS)
        assert reply.status == 200, reply.body
        try:
            if reply.chunks is None:
                reply.delivered()
            else:
                async for _ in reply.chunks:
                    pass
        finally:
            await reply.aclose()

    return _in_a_loop(once, closing)


PATHS: Final[Mapping[str, Setup]] = {
    "json.loads, 2 KB": standard_json,
    "parse, 2 KB": lambda _closing: _parse("chat"),
    "parse, 60 KB": lambda _closing: _parse("agent"),
    "decode, 2 KB": lambda _closing: _decode("chat"),
    "decode, 60 KB": lambda _closing: _decode("agent"),
    "read again, 2 KB": lambda _closing: _read("chat"),
    "read again, 60 KB": lambda _closing: _read("agent"),
    "read again, 200 KB": lambda _closing: _read("session"),
    "splice, 60 KB": splice,
    "route, 2 KB": lambda _closing: _route("chat"),
    "route, 60 KB": lambda _closing: _route("agent"),
    "layers": layers,
    "begin, 2 KB": begin,
    "begin and record, 2 KB": record,
    "relay, 2 KB": lambda closing: _relay(closing, "anthropic", "chat", stream=False),
    "relay, 2 KB, translated": lambda closing: _relay(closing, "openai", "chat", stream=False),
    "relay, 60 KB": lambda closing: _relay(closing, "anthropic", "agent", stream=False),
    f"stream of {upstream.EVENTS} events": lambda closing: _relay(closing, "anthropic", "chat", stream=True),
    f"stream of {upstream.EVENTS} events, translated": lambda closing: _relay(
        closing, "openai", "chat", stream=True
    ),
}
STANDARD: Final = "json.loads, 2 KB"
WARM: Final = 40


@contextmanager
def opened(name: str) -> Generator[Run, None, None]:
    """The path *name*, warm, and closed afterwards."""
    with ExitStack() as closing:
        run = PATHS[name](closing)
        run(WARM)
        yield run
