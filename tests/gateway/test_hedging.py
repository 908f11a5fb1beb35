"""Hedging in a whole gateway: what it may cost, and whose words are kept."""

import json

import pytest

from lynkr.model import WireFormat
from lynkr.resilience.outcome import AttemptKind
from lynkr.testing import Simulator, ok, script, stall
from tests.gateway.house import EASY, body_of, house

pytestmark = pytest.mark.anyio
BODY = json.dumps(
    {"model": "auto", "messages": [{"role": "user", "content": EASY}], "max_tokens": 1_000}
).encode()
HEDGED = {"resilience.hedge": True, "resilience.hedge_delay": 0.05, "telemetry.record_text": True}


def priced(output: float) -> dict[str, object]:
    """The second target's price: USD per million tokens of output."""
    override = "pricing.overrides.messages:prompt"
    return {f"{override}.input": 0, f"{override}.output": output}


async def asked(**overrides: object) -> tuple[list[tuple[str, AttemptKind]], str | None, str]:
    """The attempts, the answer as recorded, and the answer, where the first target is half a second late."""
    simulator = Simulator({"late": script(then=stall(seconds=0.5)), "prompt": script(then=ok())})
    tiers = {"SIMPLE": ["chat:late", "messages:prompt"]}
    async with house(simulator, tiers, **HEDGED, **overrides) as built:
        reply = await built.gateway.relay(WireFormat.OPENAI_CHAT, BODY, {})
        got = json.loads(await body_of(reply))
        record = built.record
    said = got["choices"][0]["message"]["content"]
    return [(attempt.target.model, attempt.kind) for attempt in record.attempts], record.answer, said


@pytest.mark.parametrize(
    ("overrides", "hedges"),
    [
        (priced(49), True),
        (priced(51), False),
        (priced(51) | {"resilience.hedge_cost_cap_usd": 0.06}, True),
        ({"providers.messages.local": False, "providers.messages.private": True}, False),  # price unknown
    ],
)
async def test_a_hedge_is_sent_only_within_its_cap(overrides: dict[str, object], hedges: bool) -> None:
    attempts, kept, said = await asked(**overrides)
    first, hedge = ("late", AttemptKind.FIRST), ("prompt", AttemptKind.HEDGE)
    assert attempts == ([first, hedge] if hedges else [first])
    assert kept == said, "of two answers only the one that was served is recorded"
