"""A whole gateway in front of a simulator, for tests: real HTTP, records in memory."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager

from attrs import frozen

from lynkr.assembly import build_gateway
from lynkr.gateway import Gateway
from lynkr.relay import WireReply
from lynkr.settings import Settings
from lynkr.telemetry import Query, Record, RequestObserver
from lynkr.testing import Simulator, SimulatorServer

TIERS = {
    "SIMPLE": ["chat:gpt-4.1-nano"],
    "MEDIUM": ["chat:gpt-4.1-mini"],
    "COMPLEX": ["messages:claude-sonnet-4-5"],
    "REASONING": ["messages:claude-opus-4-5"],
}
EASY = "hi there"
HARD = (
    "Prove that the scheduler cannot deadlock under concurrent cancellation; "
    "derive the invariants from first principles"
)


@frozen
class House:
    """A gateway, its upstream, and what was recorded."""

    gateway: Gateway
    simulator: Simulator
    upstream: SimulatorServer

    def records(self) -> list[Record]:
        """Every record so far, oldest first; written ones only, so the recorder is flushed."""
        recorder = self.gateway.recorder
        assert recorder is not None
        assert recorder.flush(5.0)
        return list(recorder.store.read(Query()))[::-1]

    @property
    def record(self) -> Record:
        """The only record."""
        (record,) = self.records()
        return record


def settings_for(url: str, tiers: Mapping[str, Sequence[str]] = TIERS, **overrides: object) -> Settings:
    """Settings with two providers at *url*: `chat` speaks OpenAI Chat, `messages` Anthropic Messages."""
    tree: dict[str, object] = {f"tiers.{tier}": list(targets) for tier, targets in tiers.items()}
    for name, kind, base in (("chat", "openai", f"{url}/v1"), ("messages", "anthropic", url)):
        tree |= {
            f"providers.{name}.kind": kind,
            f"providers.{name}.base_url": base,
            f"providers.{name}.api_key": "k",
        }
    return Settings.load(None, {}, overrides=tree | overrides)


@asynccontextmanager
async def house(
    simulator: Simulator | None = None,
    tiers: Mapping[str, Sequence[str]] = TIERS,
    observers: Sequence[RequestObserver] = (),
    **overrides: object,
) -> AsyncIterator[House]:
    """A running house; dotted keys of *overrides* are settings."""
    simulator = simulator or Simulator()
    async with (
        SimulatorServer(simulator) as upstream,
        build_gateway(settings_for(upstream.url, tiers, **overrides), observers=observers) as gateway,
    ):
        yield House(gateway, simulator, upstream)


async def body_of(reply: WireReply) -> bytes:
    """The whole answer, as a client gets it; closes the reply."""
    try:
        if reply.body is not None:
            reply.delivered()
            return reply.body
        assert reply.chunks is not None
        return b"".join([chunk async for chunk in reply.chunks])
    finally:
        await reply.aclose()
