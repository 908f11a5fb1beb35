"""Sessions over real HTTP: who is asked next depends on who answered last."""

import json

import pytest

from lynkr.gateway import Gateway
from lynkr.model import Message, Request, WireFormat
from lynkr.pricing import rates_of
from lynkr.routing import Constraints, MemoryPins, PipelineRouter, Rates, Target, Tariff, Tier
from lynkr.testing import Simulator
from lynkr.testing.faults import script, status
from tests.gateway.house import EASY, HARD, body_of, house

pytestmark = pytest.mark.anyio
MESSAGES, CHAT = WireFormat.ANTHROPIC_MESSAGES, WireFormat.OPENAI_CHAT
LOOP = [
    {"role": "user", "content": HARD},
    {"role": "assistant", "content": [{"type": "tool_use", "id": "t1", "name": "Read", "input": {}}]},
    {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t1", "content": "ok"}]},
]
TOOLS = [{"name": "Read", "input_schema": {"type": "object"}}]
ME = {"x-claude-code-session-id": "s-1"}


def body(*asks, **fields):
    messages = [{"role": "user", "content": ask} for ask in asks]
    return json.dumps({"model": "auto", "max_tokens": 64, "messages": messages, **fields}).encode()


async def served(built, request, headers=ME, format=MESSAGES):
    reply = await built.gateway.relay(format, request, headers)
    await body_of(reply)
    return built.records()[-1]


def told(record):
    return next(step.code for step in record.trace if step.name == "pin")


async def test_a_loop_stays_with_the_target_that_answered_after_a_fallback() -> None:
    async with house(Simulator({"claude-opus-4-5": script(status(500), then=status(500))})) as built:
        first = await served(built, body(HARD))
        assert (first.tier, str(first.target)) == (Tier.REASONING, "messages:claude-sonnet-4-5")
        built.simulator.scripts.clear()
        loop = await served(built, body(messages=LOOP, tools=TOOLS))
        assert (str(loop.target), told(loop)) == ("messages:claude-sonnet-4-5", "tool_loop")


async def test_agents_and_conversations_have_pins_of_their_own() -> None:
    async with house() as built:
        await served(built, body(HARD))
        sub = await served(built, body(HARD), {**ME, "x-claude-code-agent-id": "a1"})
        assert (sub.session, told(sub)) == ("s-1/a1", "no_pin")
        unnamed = await served(built, body(HARD), {})
        assert unnamed.session.startswith("fp-")
        again = await served(built, body(HARD, EASY), {})
        assert (again.session, told(again)) == (unnamed.session, "pinned")


async def test_hints_of_the_client_decide_and_side_traffic_leaves_the_pin_alone() -> None:
    async with house() as built:
        await served(built, body(EASY))
        side = await served(built, body(HARD), {**ME, "x-claude-code-request-class": "auxiliary"})
        assert (side.tier, told(side)) == (Tier.SIMPLE, "side_traffic")
        assert told(await served(built, body(EASY, EASY))) == "pin_kept"


async def test_the_expected_cost_and_its_prices_are_in_the_record() -> None:
    async with house() as built:
        # The house's own providers are on this machine, hence free.
        rates = Rates({Target("messages", "claude-opus-4-5"): Tariff(5.0, 25.0)}, "some-day")
        built.gateway._planner._rates = rates
        record = await served(built, body(HARD))
    cost = next(step for step in record.trace if step.name == "cost")
    tokens = record.trace[0].data["input_tokens"]
    assert cost.data == {"expected_microusd": tokens * 5.0 + 64 * 25.0, "price_version": "some-day"}


async def test_a_tenants_ban_and_a_deadline_act_on_the_main_path() -> None:
    async with house() as built:
        gateway = built.gateway
        gateway._planner._constraints = lambda context: Constraints(blocked=frozenset({"messages:*"}))
        banned = await served(built, body(HARD))
        assert banned.target is not None
        assert banned.target.provider == "chat"
        gateway._planner._constraints = lambda context: Constraints(allowed=frozenset())
        refused = await gateway.relay(MESSAGES, body(HARD), ME)
        assert refused.status >= 400
        await body_of(refused)
        gateway._planner._constraints = lambda context: Constraints()
        for _ in range(5):
            gateway._planner._latencies.observe(Target("messages", "claude-opus-4-5"), 9.0)
        hurried = await served(built, body(HARD), {"x-lynkr-deadline-ms": "1000"})
        assert str(hurried.target) == "messages:claude-sonnet-4-5"


async def test_the_owners_tables_act_on_the_main_path_and_on_named_targets() -> None:
    limits = {
        "routing.blocked": ["chat:gpt-4.1-nano"],
        "tenants.acme.allowed": ["chat:*"],
        "tenants.poor.request_budget_usd": 0.000001,
        "aliases.big": "messages:claude-opus-4-5",
    }
    async with house(**limits) as built:

        async def ask(model, tenant):
            reply = await built.gateway.relay(MESSAGES, body(EASY, model=model), {}, tenant=tenant)
            return reply.status, json.loads(await body_of(reply))

        assert (await ask("auto", "acme"))[0] == 200
        assert str(built.records()[-1].target) == "chat:gpt-4.1-mini"
        assert (await ask("big", None))[0] == 200
        before = len(built.simulator.requests)
        banned = {"big": "acme", "messages:claude-opus-4-5": "acme", "chat:gpt-4.1-nano": None}
        for model, tenant in banned.items():
            status, told = await ask(model, tenant)
            assert (status, told["error"]["type"]) == (403, "permission_error")
            assert model == "big" or model in told["error"]["message"]
        rates = Rates({Target("messages", "claude-opus-4-5"): Tariff(5.0, 25.0)})
        built.gateway._planner._rates = rates
        assert (await ask("big", "poor"))[0] == 403
        assert (await ask("big", None))[0] == 200
        assert len(built.simulator.requests) == before + 1


async def test_a_caller_in_this_process_asks_on_a_tenants_behalf() -> None:
    asked = Request(model="auto", messages=(Message.user(HARD),))
    async with house(**{"tenants.acme.allowed": ["chat:*"]}) as built:
        assert built.gateway.decide(asked, tenant="acme").target.provider == "chat"
        assert built.gateway.decide(asked).target.provider == "messages"
        await built.gateway.ask(asked, session="s:1", tenant="acme")
        assert built.record.session == "acme:s%3A1"
        assert built.record.target is not None
        assert built.record.target.provider == "chat"


async def test_what_route_answers_is_what_is_then_sent() -> None:
    async with house() as built:
        await served(built, body(HARD))
        dry = built.gateway.route(MESSAGES, body(HARD, EASY), ME)
        written = len(built.records())
        live = await served(built, body(HARD, EASY))
    assert dry.plan is not None
    assert dry.plan.decision is not None
    assert dry.plan.decision.trace == live.trace
    assert dry.plan.decision.target == live.target
    assert len(built.simulator.requests) == 2
    assert written == 1


async def test_closing_a_gateway_closes_its_pins() -> None:
    closed = []

    class Pins(MemoryPins):
        def close(self) -> None:
            closed.append(True)

    mine = Gateway(router=PipelineRouter({Tier.SIMPLE: (Target("chat", "m"),)}), providers=(), pins=Pins())
    await mine.aclose()
    await mine.aclose()
    assert closed == [True]


def test_the_prices_routing_sees_tell_how_a_cache_is_paid_for() -> None:
    from lynkr.assembly import build_prices
    from lynkr.settings import Settings

    prices = build_prices(Settings.load(None, {}, overrides={}))
    named = {
        name: Target.parse(name)
        for name in ("anthropic:claude-sonnet-4-5", "openai:gpt-4.1-mini", "ollama:x")
    }
    rates = rates_of(prices, (*named.values(), Target("nobody", "knows")))
    assert {name: rates.tariffs[target].cache.value for name, target in named.items()} == {
        "anthropic:claude-sonnet-4-5": "explicit",
        "openai:gpt-4.1-mini": "automatic",
        "ollama:x": "local",
    }
    assert Target("nobody", "knows") not in rates.tariffs
    assert rates.version == prices.version
