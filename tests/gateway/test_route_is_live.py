"""A dry decision is the live one, whatever the body: for the same snapshot, and with no trace left behind."""

import json

from attrs import evolve
from hypothesis import given, settings
from hypothesis import strategies as st

from lynkr.gateway import Gateway
from lynkr.model import WireFormat
from lynkr.routing import Constraints, MemoryPins, Pin, PipelineRouter, Rates, Target, Tariff, Tier
from lynkr.testing import request_bodies

TIERS = {
    Tier.SIMPLE: ["a:small"],
    Tier.MEDIUM: ["b:mini"],
    Tier.COMPLEX: ["b:large"],
    Tier.REASONING: ["c:huge"],
}
FORMATS = (WireFormat.ANTHROPIC_MESSAGES, WireFormat.OPENAI_CHAT, WireFormat.OPENAI_RESPONSES)
HUGE = Target("c", "huge")
RATES = Rates({HUGE: Tariff(5.0, 25.0), Target("a", "small"): Tariff(0.1, 0.4)}, "made")
HEADERS = st.fixed_dictionaries(
    {},
    optional={
        "x-claude-code-session-id": st.sampled_from(("s-1", "s-2")),
        "x-claude-code-request-class": st.sampled_from(("main", "auxiliary", "compaction")),
        "x-claude-code-agent-type": st.sampled_from(("Explore", "Plan")),
        "x-lynkr-deadline-ms": st.just("500"),
    },
)


def limits(context):
    blocked = frozenset({"b:*"}) if context.tenant == "acme" else frozenset()
    return Constraints(blocked=blocked)


@settings(max_examples=60)
@given(
    data=st.data(),
    format=st.sampled_from(FORMATS),
    headers=HEADERS,
    tenant=st.sampled_from((None, "acme")),
    is_pinned=st.booleans(),
)
def test_the_dry_decision_is_the_live_one(data, format, headers, tenant, is_pinned):
    pins = MemoryPins()
    gateway = Gateway(
        router=PipelineRouter(TIERS),
        providers=(),
        pins=pins,
        rates=RATES,
        constraints=limits,
        clock=lambda: 1_000.0,
    )
    key = "acme:s-1" if tenant else "s-1"
    if is_pinned:
        pins.put(key, Pin(HUGE, HUGE, tokens=50_000, messages=2, at=990.0), 990.0)
    value = {**data.draw(request_bodies(format)), "model": "auto", "max_tokens": 64}
    body = json.dumps(value, default=dict).encode()
    dry = gateway.route(format, body, headers, tenant=tenant)
    live = gateway.begin(format, body, headers, tenant=tenant)
    assert type(dry.error) is type(live.error)
    assert (dry.plan is None) == (live.plan is None)
    if dry.plan is not None and live.plan is not None:
        assert dry.plan.decision == live.plan.decision
        assert dry.plan.targets == live.plan.targets
        one, other = dry.plan.snapshot, live.plan.snapshot
        assert evolve(one, seed=0) == evolve(other, seed=0)  # exploring would draw anew
        if dry.plan.decision is not None:
            assert dry.plan.decision.digest == live.plan.decision.digest
            assert tenant is None or not any(target.provider == "b" for target in dry.plan.targets)
    expected = Pin(HUGE, HUGE, tokens=50_000, messages=2, at=990.0) if is_pinned else None
    assert pins.get(key, 1_000.0) == expected
