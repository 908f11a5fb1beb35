"""How long answers can be gone on from is the owner's to say."""

import json

import pytest

from lynkr.model import WireFormat
from tests.gateway.house import House, body_of, house

pytestmark = pytest.mark.anyio
RESPONSES = WireFormat.OPENAI_RESPONSES
TIERS = {"SIMPLE": ["messages:claude-x"]}


async def said(built: House, previous: str | None = None) -> tuple[int, str]:
    """Say something, after the answer *previous*; its status and the id of the answer."""
    tree = {"model": "auto", "input": "hi"} | ({} if previous is None else {"previous_response_id": previous})
    reply = await built.gateway.relay(RESPONSES, json.dumps(tree).encode(), {})
    answer = json.loads(await body_of(reply))
    return reply.status, answer.get("id") or answer["error"]["code"]


async def test_an_answer_may_be_gone_on_from() -> None:
    async with house(tiers=TIERS) as built:
        _, first = await said(built)
        status, _ = await said(built, first)
        assert status == 200
        assert len(built.simulator.requests[-1].json["messages"]) == 3


@pytest.mark.parametrize("limit", [{"most": 0}, {"max_bytes": 1}, {"ttl": 1e-9}])
async def test_what_the_owner_does_not_keep_is_unknown(limit: dict[str, float]) -> None:
    async with house(tiers=TIERS, **{f"responses.{name}": value for name, value in limit.items()}) as built:
        _, first = await said(built)
        assert await said(built, first) == (400, "previous_response_not_found")


async def test_what_was_not_asked_for_longest_goes_first() -> None:
    async with house(tiers=TIERS, **{"responses.most": 1}) as built:
        _, first = await said(built)
        _, second = await said(built)
        assert await said(built, first) == (400, "previous_response_not_found")
        assert (await said(built, second))[0] == 200
