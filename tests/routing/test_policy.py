import pytest
from hypothesis import given
from hypothesis import strategies as st

from lynkr.errors import ConfigError
from lynkr.routing import (
    DEFAULT_SCORERS,
    Features,
    PipelineRouter,
    Snapshot,
    Step,
    Target,
    Tier,
    at_least,
    at_most,
    default_policy,
    first_match,
    fixed,
    tier_of,
    weighted,
)
from tests.routing.agent_sessions import asking

_SCORES = st.lists(st.none() | st.floats(0, 1), max_size=5)


def _steps(scores):
    return tuple(Step(f"s{number}", "because", score) for number, score in enumerate(scores))


@given(_SCORES, st.dictionaries(st.sampled_from(["s0", "s1", "s2"]), st.floats(0, 2)))
def test_the_sum_stays_within_bounds_and_agrees_with_its_tier(scores, weights):
    tier, step = weighted(weights)(Features(), _steps(scores))
    assert 0 <= step.score <= 1
    assert tier_of(step.score) is tier
    assert step.name == "tier"


@given(_SCORES, st.integers(0, 4), st.floats(0, 1))
def test_more_difficulty_never_lowers_the_tier(scores, place, more):
    policy = weighted()
    raised = [max(score or 0, more) if number == place else score for number, score in enumerate(scores)]
    assert policy(Features(), _steps(raised))[0] >= policy(Features(), _steps(scores))[0]


@given(_SCORES)
def test_scorers_that_find_nothing_or_abstain_do_not_thin_the_others_out(scores):
    policy = weighted()
    alone = policy(Features(), _steps(scores))
    crowded = policy(Features(), (*_steps(scores), Step("idle", "", 0.0), Step("absent", "", None)))
    assert crowded == alone


@given(st.sampled_from(Tier), st.sampled_from(Tier), st.booleans())
def test_floors_and_ceilings_hold_where_their_condition_does(bound, inner, holds):
    features = Features(tools=int(holds))
    low, low_step = at_least(bound, when="has_tools", otherwise=fixed(inner))(features, ())
    high, high_step = at_most(bound, when="has_tools", otherwise=fixed(inner))(features, ())
    assert low == (max(bound, inner) if holds else inner)
    assert high == (min(bound, inner) if holds else inner)
    assert tier_of(low_step.score) is low
    assert tier_of(high_step.score) is high


def test_a_bound_says_why_and_from_where():
    _, step = at_least(Tier.COMPLEX, when=lambda features: True, code="night", otherwise=fixed(Tier.SIMPLE))(
        Features(), ()
    )
    assert step.code == "night"
    assert step.data["from"] == "SIMPLE"


def test_a_bound_without_a_condition_may_have_a_code_of_its_own():
    tier, step = at_most(Tier.SIMPLE, otherwise=fixed(Tier.COMPLEX), code="thrift")(Features(), ())
    assert (tier, step.code) == (Tier.SIMPLE, "thrift")
    tier, step = at_least(Tier.COMPLEX, otherwise=fixed(Tier.SIMPLE))(Features(), ())
    assert (tier, step.code) == (Tier.COMPLEX, "at_least")


def test_the_first_case_that_holds_decides():
    policy = first_match(
        ("needs_vision", fixed(Tier.MEDIUM, code="sees")),
        (lambda features: features.tools > 5, fixed(Tier.COMPLEX, code="many_tools")),
        otherwise=fixed(Tier.SIMPLE),
    )
    assert policy(Features(images=1, tools=9), ())[1].code == "sees"
    assert policy(Features(tools=9), ())[1].code == "many_tools"
    assert policy(Features(), ())[0] is Tier.SIMPLE


def test_a_condition_that_features_do_not_know_is_a_config_error():
    with pytest.raises(ConfigError, match="has_toolz"):
        at_least(Tier.MEDIUM, when="has_toolz", otherwise=weighted())


def test_a_scorer_and_a_policy_of_ones_own_are_plain_functions():
    def shouting(features):
        return Step("shouting", "many capitals", score=0.6 if features.ask.isupper() else None, code="caps")

    router = PipelineRouter(
        {Tier.SIMPLE: "a:s", Tier.COMPLEX: "a:c"},
        scorers=[*DEFAULT_SCORERS, shouting],
        policy=lambda features, scores: (Tier.COMPLEX, Step("tier", "mine", scores[-1].score, "mine")),
    )
    decision = router.route(asking("HELLO"), Snapshot())
    assert decision.target == Target("a", "c")
    assert decision.reason == "mine"
    assert "caps" in {step.code for step in decision.trace}


def test_the_default_policy_shows_what_it_is_made_of():
    shown = repr(default_policy())
    for code in ("side_traffic", "small_talk", "tool_loop", "tool_errors", "autonomous", "risk"):
        assert code in shown
