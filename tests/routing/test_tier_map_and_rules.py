import pytest
from hypothesis import given
from hypothesis import strategies as st

from lynkr.errors import CapabilityError, ConfigError, RoutingError
from lynkr.model import Message, OutputFormat, OutputKind, Request, Role, Text
from lynkr.routing import (
    Pin,
    PipelineRouter,
    Profile,
    Snapshot,
    Step,
    Target,
    Tier,
    TierMap,
    default_rules,
)
from tests.routing.agent_sessions import PICTURE, asking, tools

SMALL, LARGE = Target("local", "small"), Target("cloud", "large")
TWO = {Tier.SIMPLE: [SMALL], Tier.COMPLEX: [LARGE]}
_TABLES = st.dictionaries(
    st.sampled_from(Tier),
    st.lists(st.sampled_from("abcde").map(lambda name: f"p:{name}"), max_size=3),
    min_size=1,
)


def _codes(decision):
    return {step.name: step.code for step in decision.trace}


def _see(text="look"):
    return Request(model="auto", messages=(Message(Role.USER, (PICTURE, Text(text))),))


@given(_TABLES, st.sampled_from(Tier))
def test_a_ladder_has_every_target_once_own_tier_first_then_up_then_down(table, tier):
    if not any(table.values()):
        return
    tier_map = TierMap.of(table)
    rungs = tier_map.ladder(tier)
    assert len({rung.target for rung in rungs}) == len(rungs)
    assert {str(rung.target) for rung in rungs} == {name for names in table.values() for name in names}
    order = [tier, *(t for t in Tier if t > tier), *(t for t in reversed(Tier) if t < tier)]
    places = [order.index(rung.tier) for rung in rungs]
    assert places == sorted(places)


def test_targets_may_be_written_with_a_variant():
    tier_map = TierMap.of({Tier.SIMPLE: ["ollama:qwen3:8b", Target("a", "b")]})
    assert tier_map.tiers[Tier.SIMPLE] == (Target("ollama", "qwen3:8b"), Target("a", "b"))


@pytest.mark.parametrize("table", [{}, {Tier.SIMPLE: []}, {Tier.SIMPLE: ["no-colon"]}, {Tier.MEDIUM: [":x"]}])
def test_a_table_that_cannot_be_read_is_a_config_error(table):
    with pytest.raises(ConfigError):
        PipelineRouter(table)


def test_a_config_error_names_the_tier():
    with pytest.raises(ConfigError, match=r"MEDIUM.*gpt"):
        PipelineRouter({Tier.MEDIUM: ["gpt"]})


def test_without_tiers_the_default_target_serves_and_the_tier_is_still_told():
    router = PipelineRouter({}, default=LARGE)
    decision = router.route(asking("prove it"), Snapshot())
    assert decision.targets == (LARGE,)
    assert decision.tiers == (None,)
    assert decision.tier is Tier.REASONING
    assert _codes(decision)["ladder"] == "default_target"


def test_a_missing_tier_is_served_from_above_then_from_below():
    router = PipelineRouter(TWO)
    medium = router.route(asking("add a docstring to this method"), Snapshot())
    assert (medium.tier, medium.target, medium.tiers[0]) == (Tier.MEDIUM, LARGE, Tier.COMPLEX)
    assert _codes(medium)["ladder"] == "tier_missing"
    top = router.route(asking("prove that it terminates"), Snapshot())
    assert (top.tier, top.target) == (Tier.REASONING, LARGE)
    assert _codes(router.route(asking("hi"), Snapshot()))["ladder"] == "tier_served"


def test_an_unavailable_target_gives_way():
    decision = PipelineRouter(TWO).route(asking("hi"), Snapshot(unavailable=frozenset({SMALL})))
    assert decision.targets == (LARGE,)
    assert decision.tiers == (Tier.COMPLEX,)
    step = next(step for step in decision.trace if step.name == "availability")
    assert step.data == {"excluded": {"local:small": "unavailable"}}


def test_a_pinned_target_comes_first():
    router = PipelineRouter(TWO)
    pinned = router.route(asking("hi"), Snapshot(session="s", pin=Pin(LARGE, LARGE)))
    assert pinned.targets == (LARGE, SMALL)
    assert pinned.tiers == (Tier.COMPLEX, Tier.SIMPLE)
    assert pinned.tier is Tier.SIMPLE
    assert _codes(pinned)["pin"] == "pinned"


def test_a_pin_that_cannot_serve_is_left_alone():
    router = PipelineRouter(TWO)
    gone = Snapshot(session="s", pin=Pin(Target("x", "y"), Target("x", "y")))
    down = Snapshot(session="s", pin=Pin(LARGE, LARGE), unavailable=frozenset({LARGE}))
    for snapshot in (gone, down):
        decision = router.route(asking("hi"), snapshot)
        assert decision.target == SMALL
        assert _codes(decision)["pin"] == "pin_unusable"


def test_side_traffic_does_not_follow_the_pin():
    snapshot = Snapshot(session="s", pin=Pin(LARGE, LARGE))
    decision = PipelineRouter(TWO).route(asking("hi", "[SUGGESTION MODE: x]"), snapshot)
    assert decision.target == SMALL


@pytest.mark.parametrize(
    ("profile", "request_", "code", "word"),
    [
        (Profile(vision=False), _see(), "lacks_vision", "vision"),
        (Profile(tools=False), asking("hi", offered=tools("f")), "lacks_tools", "tools"),
        (
            Profile(structured_output=False),
            asking("hi", output_format=OutputFormat(OutputKind.JSON_OBJECT)),
            "lacks_structured_output",
            "structured output",
        ),
        (Profile(context_window=1_000), asking("word " * 20_000), "context_too_small", "context window"),
    ],
)
def test_a_target_that_lacks_a_capability_is_left_out(profile, request_, code, word):
    one = PipelineRouter(TWO, profiles={SMALL: profile, LARGE: Profile()}.__getitem__)
    decision = one.route(request_, Snapshot())
    assert decision.targets == (LARGE,)
    assert code in _codes(decision).values()
    none = PipelineRouter(TWO, profiles=lambda target: profile)
    with pytest.raises(CapabilityError, match=word) as caught:
        none.route(request_, Snapshot())
    assert "local:small" in str(caught.value)
    assert caught.value.status_hint == 400
    unknown = PipelineRouter(TWO, profiles=lambda target: Profile())
    assert len(unknown.route(request_, Snapshot()).targets) == 2


def test_everything_that_is_missing_is_named():
    profiles = {SMALL: Profile(vision=False), LARGE: Profile(tools=False)}
    request = Request(model="auto", messages=_see().messages, tools=tools("f"))
    with pytest.raises(CapabilityError, match="tools and vision"):
        PipelineRouter(TWO, profiles=profiles.__getitem__).route(request, Snapshot())


def test_capability_comes_before_availability():
    profiles = {SMALL: Profile(vision=False), LARGE: Profile(vision=True)}
    router = PipelineRouter(TWO, profiles=profiles.__getitem__)
    decision = router.route(_see(), Snapshot(unavailable=frozenset({LARGE})))
    assert decision.targets == (LARGE,)
    assert _codes(decision)["availability"] == "panic"


def test_the_output_asked_for_must_fit_too():
    windows = {SMALL: Profile(context_window=8_000), LARGE: Profile(context_window=200_000)}
    router = PipelineRouter(TWO, profiles=windows.__getitem__)
    assert router.route(asking("hi", max_output_tokens=4_000), Snapshot()).target == SMALL
    assert router.route(asking("hi", max_output_tokens=16_000), Snapshot()).targets == (LARGE,)
    capped = {**windows, SMALL: Profile(context_window=8_000, max_output=2_000)}
    router = PipelineRouter(TWO, profiles=capped.__getitem__)
    assert router.route(asking("hi", max_output_tokens=16_000), Snapshot()).target == SMALL


def test_where_nothing_surely_fits_what_may_fit_is_tried():
    router = PipelineRouter(TWO, profiles=lambda target: Profile(context_window=8_000))
    decision = router.route(asking("hi", max_output_tokens=32_000), Snapshot())
    assert len(decision.targets) == 2
    assert _codes(decision)["window"] == "context_doubtful"


def test_a_rule_of_ones_own_is_a_plain_function():
    def at_home(targets, features, snapshot):
        return tuple(t for t in targets if t.provider == "local"), Step("home", "stay home", code="home_only")

    router = PipelineRouter(TWO, rules=[*default_rules(lambda target: Profile()), at_home])
    assert router.route(asking("prove it"), Snapshot()).targets == (SMALL,)
    with pytest.raises(RoutingError, match="'home' left no target") as caught:
        router.route(asking("prove it"), Snapshot(unavailable=frozenset({SMALL})))
    assert not isinstance(caught.value, CapabilityError)


def test_profiles_are_asked_once_per_target():
    asked = []

    def profiles(target):
        asked.append(target)
        return Profile()

    router = PipelineRouter(TWO, profiles=profiles)
    for _ in range(3):
        router.route(asking("hi"), Snapshot())
    assert sorted(asked) == sorted([SMALL, LARGE])
