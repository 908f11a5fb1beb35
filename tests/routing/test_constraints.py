"""What a request may use, cost and take, on the main path."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lynkr.errors import RoutingError
from lynkr.routing import (
    CacheKind,
    Constraints,
    PipelineRouter,
    Rates,
    Snapshot,
    Target,
    Tariff,
    expected_microusd,
    features_of,
)
from lynkr.routing.constraints import matches
from lynkr.routing.latency import Latencies
from lynkr.testing.policy import price_tables
from tests.routing.agent_sessions import asking
from tests.routing.conftest import NAMES

TARGETS = tuple(Target.parse(name) for names in NAMES.values() for name in names)
_PATTERNS = st.frozensets(
    st.sampled_from((*map(str, TARGETS), "cloud:*", "nobody:*", "cloud:lar")), max_size=4
)
_ASKS = st.sampled_from(
    ("hi", "Refactor billing across three microservices", "rotate the payment credentials")
)
ROUTER = PipelineRouter(NAMES)


def _try(ask, **fields):
    try:
        return ROUTER.route(asking(ask), Snapshot(**fields))
    except RoutingError:
        return None


def _codes(decision):
    return {step.name: step.code for step in decision.trace}


@given(_ASKS, st.none() | _PATTERNS, _PATTERNS, st.frozensets(st.sampled_from(TARGETS)))
def test_a_ban_is_never_broken_not_even_in_panic(ask, allowed, blocked, down):
    decision = _try(ask, constraints=Constraints(allowed=allowed, blocked=blocked), unavailable=down)
    fit = [t for t in TARGETS if not matches(t, blocked) and (allowed is None or matches(t, allowed))]
    assert (decision is None) == (not fit)
    if decision is not None:
        assert set(decision.targets) <= set(fit)


@given(_ASKS, price_tables(TARGETS), st.sampled_from((0.0, 10.0, 2_000.0, 1e9)))
def test_no_target_known_to_be_over_the_budget_is_offered(ask, rates, budget):
    decision = _try(ask, rates=rates, constraints=Constraints(budget_microusd=budget))
    features = features_of(asking(ask))
    costs = {t: expected_microusd(Snapshot(rates=rates), t, features.input_tokens, None) for t in TARGETS}
    fit = {target for target, cost in costs.items() if cost is None or cost <= budget}
    assert (set() if decision is None else set(decision.targets)) == fit


@given(_ASKS, st.dictionaries(st.sampled_from(TARGETS), st.sampled_from((0.5, 2.0, 30.0))))
def test_a_deadline_leaves_the_quick_or_the_quickest(ask, latencies):
    decision = _try(ask, latencies=latencies, constraints=Constraints(deadline_seconds=1.0))
    quick = {target for target in TARGETS if latencies.get(target, 0.0) <= 1.0}
    if quick:
        assert set(decision.targets) == quick
    else:
        assert len(decision.targets) == 1
        assert latencies[decision.target] == min(latencies.values())
        assert _codes(decision)["deadline"] == "panic"


@given(_ASKS)
def test_without_constraints_each_rule_says_so(ask):
    codes = _codes(_try(ask))
    assert (codes["policy"], codes["budget"], codes["deadline"]) == ("no_policy", "no_budget", "no_deadline")


def test_a_refusal_names_every_target_and_its_reason():
    constraints = Constraints(
        allowed=frozenset({"local:*"}), blocked=frozenset({"local:small", "local:tiny"})
    )
    with pytest.raises(RoutingError) as refused:
        ROUTER.route(asking("hi"), Snapshot(constraints=constraints))
    assert "local:small: blocked" in str(refused.value)
    assert "cloud:huge: not_allowed" in str(refused.value)


def test_a_stronger_target_that_costs_less_goes_first_and_a_local_one_does_not():
    medium, huge, small = (Target.parse(name) for name in ("cloud:medium", "cloud:huge", "local:small"))
    dear, cheap = Tariff(3.0, 15.0), Tariff(1.0, 5.0)
    ask = asking("explain what main.py does in detail and why")
    tier = ROUTER.route(ask, Snapshot()).tier
    swapped = PipelineRouter({tier: [medium], **{t: [huge] for t in type(tier) if t > tier}})
    decision = swapped.route(ask, Snapshot(rates=Rates({medium: dear, huge: cheap})))
    assert (decision.target, _codes(decision)["dominance"]) == (huge, "dominated")
    free = Tariff(0.0, 0.0, cache=CacheKind.LOCAL)
    kept = swapped.route(ask, Snapshot(rates=Rates({medium: dear, huge: free, small: free})))
    assert kept.target == medium


def test_latencies_are_a_high_percentile_of_the_last_answers():
    latencies, target = Latencies(window=10, least=5), Target("a", "b")
    for seconds in (1.0, 1.0, 1.0, 9.0):
        latencies.observe(target, seconds)
    assert latencies.estimates() == {}
    before = latencies.estimates()
    latencies.observe(target, 1.0)
    assert latencies.estimates() == {target: 9.0}
    assert before == {}
    for _ in range(10):
        latencies.observe(target, 0.5)
    assert latencies.estimates() == {target: 0.5}
