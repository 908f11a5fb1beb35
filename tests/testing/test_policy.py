"""The policy kit finds what is wrong, and lets pass what is right."""

import itertools

import pytest
from attrs import evolve
from hypothesis import Phase, given, settings

from lynkr.errors import ConfigError
from lynkr.model import Role
from lynkr.routing import PipelineRouter, Profile, Step, Target, Tier, TierMap, features_of, fixed
from lynkr.routing.router import PipelineRouter as Base
from lynkr.testing.policy import LAWS, RouterMachine, agent_sessions, assert_policy_laws, price_tables
from lynkr.testing.strategies import KNOWN_TARGETS

TABLE = {
    Tier.SIMPLE: ["local:small", "cloud:nano"],
    Tier.MEDIUM: ["cloud:mini"],
    Tier.COMPLEX: ["cloud:large", "other:large"],
    Tier.REASONING: ["cloud:huge"],
}
PROFILES = {
    "local:small": Profile(vision=False, tools=True, context_window=8_000),
    "cloud:nano": Profile(structured_output=False, vision=True),
}


def profiles(target):
    return PROFILES.get(str(target), Profile())


ROUTER = PipelineRouter(TABLE, profiles=profiles)


def test_the_shipped_router_keeps_every_law():
    assert_policy_laws(ROUTER, profiles=profiles, max_examples=60)


def test_the_shipped_router_keeps_them_with_one_target_and_with_none_of_a_tier():
    assert_policy_laws(PipelineRouter({Tier.COMPLEX: "a:b"}), max_examples=20)
    assert_policy_laws(PipelineRouter({}, default=Target("a", "b")), max_examples=20)


class Wrong(Base):
    """A router with one thing wrong."""

    def __init__(self, spoil):
        super().__init__(TABLE, profiles=profiles)
        self.spoil = spoil
        self.count = 0

    def route(self, request, snapshot, /):
        return self.spoil(self, request, snapshot, super().route(request, snapshot))


def _forgetful(self, request, snapshot, decision):
    self.count += 1
    return evolve(decision, score=(self.count % 7) / 7)


def _blind(self, request, snapshot, decision):
    small = Target.parse("local:small")
    return evolve(decision, targets=(small,), tiers=(Tier.SIMPLE,)) if not snapshot.unavailable else decision


def _restless(self, request, snapshot, decision):
    return super(Wrong, self).route(request, evolve(snapshot, pin=None))


def _timid(self, request, snapshot, decision):
    return evolve(decision, tier=Tier.SIMPLE) if request.output_format is not None else decision


def _gullible(self, request, snapshot, decision):
    text = str([part for message in request.messages for part in message.parts])
    return evolve(decision, tier=Tier.REASONING) if "secure" in text else decision


def _ordered(self, request, snapshot, decision):
    priced = [target for target in snapshot.rates.tariffs if target in decision.targets]
    first = priced[0] if priced and not features_of(request).loop_open else decision.target
    rest = tuple(target for target in decision.targets if target != first)
    return evolve(decision, targets=(first, *rest), tiers=())


def _stubborn(self, request, snapshot, decision):
    return evolve(decision, targets=decision.targets * 2, tiers=decision.tiers * 2)


@pytest.mark.parametrize(
    ("law", "spoil", "told"),
    [
        ("determinism", _forgetful, "differently"),
        ("capability soundness", _blind, "local:small lacks"),
        ("no switch inside a tool loop", _restless, "the loop began at"),
        ("monotonicity", _timid, "structured output lowers the tier"),
        ("envelope irrelevance", _gullible, "be secure"),
        ("candidate-order invariance", _ordered, "order"),
        ("bounded attempts", _stubborn, "attempts"),
    ],
)
def test_each_law_catches_the_router_that_breaks_it(law, spoil, told):
    if law == "capability soundness":
        return _check_blind(told)
    with pytest.raises(AssertionError, match=told):
        assert_policy_laws(Wrong(spoil), profiles=profiles, laws=[law])
    return None


def _check_blind(told):
    unsighted = dict(PROFILES, **{"local:small": Profile(tools=False)})
    with pytest.raises(AssertionError, match=told):
        assert_policy_laws(
            Wrong(_blind),
            profiles=lambda target: unsighted.get(str(target), Profile()),
            laws=["capability soundness"],
        )


def test_a_router_without_the_rule_of_dominance_is_caught():
    from lynkr.routing.rules import default_rules

    bare = PipelineRouter(TABLE, rules=default_rules(profiles))
    with pytest.raises(AssertionError, match="stronger and costs less"):
        assert_policy_laws(bare, laws=["no dominated choice"], max_examples=200)


def test_a_policy_that_lowers_hard_asks_is_caught_with_the_ask():
    def afraid(features, scores):
        tier = Tier.SIMPLE if "proof" in features.reading.points else Tier.MEDIUM
        return tier, Step("tier", "afraid of proofs", 0.0 if tier is Tier.SIMPLE else 0.3, "afraid")

    with pytest.raises(AssertionError, match="lowers the tier from MEDIUM to SIMPLE"):
        assert_policy_laws(PipelineRouter(TABLE, policy=afraid))


def test_the_laws_need_to_know_the_targets():
    class Mine:
        def route(self, request, snapshot, /):
            return ROUTER.route(request, snapshot)

    with pytest.raises(ConfigError, match="TierMap"):
        assert_policy_laws(Mine())
    assert_policy_laws(Mine(), tiers=TierMap.of(TABLE), max_examples=10)
    with pytest.raises(ConfigError, match="gravity"):
        assert_policy_laws(ROUTER, laws=["gravity"])
    assert len(LAWS) == 8


def test_a_router_that_always_says_the_same_breaks_no_law():
    assert_policy_laws(PipelineRouter(TABLE, policy=fixed(Tier.REASONING)), max_examples=30)


@given(agent_sessions())
def test_a_session_grows_by_what_was_said_since(turns):
    main = [turn.request.messages for turn in turns if turn.request.tools]
    assert main
    for before, after in itertools.pairwise(main):
        assert after[: len(before)] == before
    for messages in main:
        calls = {part.id for m in messages for part in m.parts if hasattr(part, "arguments")}
        answered = {part.call_id for m in messages for part in m.parts if hasattr(part, "call_id")}
        assert answered == calls
        assert messages[-1].role is Role.USER


@given(price_tables())
def test_prices_need_no_targets_to_be_drawn(rates):
    assert set(rates.tariffs) <= set(KNOWN_TARGETS)
    assert all(tariff.warm <= tariff.input <= tariff.output for tariff in rates.tariffs.values())


class ShippedMachine(RouterMachine):
    router = ROUTER


TestShippedRouter = ShippedMachine.TestCase
TestShippedRouter.settings = settings(max_examples=15, stateful_step_count=20)


def test_the_machine_catches_a_router_that_switches_in_a_loop():
    from hypothesis.stateful import run_state_machine_as_test

    class RestlessMachine(RouterMachine):
        router = Wrong(_restless)

    with pytest.raises(AssertionError, match="no switch inside a tool loop"):
        run_state_machine_as_test(
            RestlessMachine, settings=settings(max_examples=100, database=None, phases=[Phase.generate])
        )
