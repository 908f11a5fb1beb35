"""Every rule leaves a line with a reason code; docs/policies.md lists them, and each is reached here."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from lynkr.errors import RoutingError
from lynkr.model import (
    Foreign,
    Message,
    OutputFormat,
    OutputKind,
    Request,
    Role,
    Text,
    WireFormat,
)
from lynkr.routing import (
    CacheKind,
    Constraints,
    Decision,
    Pin,
    PipelineRouter,
    Profile,
    Rates,
    RequestClass,
    RequestContext,
    Snapshot,
    Target,
    Tariff,
    Tier,
)
from lynkr.testing.policy import agent_sessions, price_tables
from lynkr.testing.strategies import snapshots
from tests.routing.agent_sessions import PICTURE, asking, looping
from tests.routing.conftest import NAMES

PAGE = Path(__file__).parents[2] / "docs" / "policies.md"
TARGETS = {str(target): target for names in NAMES.values() for target in map(Target.parse, names)}
SMALL, TINY, MEDIUM, LARGE, OTHER, HUGE = TARGETS.values()
HARD = "Refactor billing across three microservices and migrate every caller"
WIDE = "design a distributed queue across three services, and compare both"
ODD = {
    SMALL: Profile(vision=False, tools=False, structured_output=False, audio=False, context_window=100),
    TINY: Profile(formats=frozenset({WireFormat.ANTHROPIC_MESSAGES}), documents=False),
}
PLAIN = PipelineRouter(NAMES)
KNOWING = PipelineRouter(NAMES, profiles=lambda target: ODD.get(target, Profile(context_window=1_000_000)))
EXPLORING = PipelineRouter(NAMES, exploration=0.9)
LOCAL = Tariff(0.0, 0.0, cache=CacheKind.LOCAL)


def media(kind: str) -> Request:
    part = Foreign(WireFormat.OPENAI_CHAT, {"type": kind})
    return Request(model="auto", messages=(Message(Role.USER, (Text("hi"), part)),))


def pinned(target: Target, **fields: object) -> Snapshot:
    home = fields.pop("home", target)
    return Snapshot(pin=Pin(target, home, tokens=1_000, messages=1), **fields)


def as_agent(kind: str) -> Snapshot:
    return Snapshot(context=RequestContext(request_class=RequestClass.SUBAGENT, agent_type=kind))


def prices(**dear: Tariff) -> Snapshot:
    return Snapshot(rates=Rates({TARGETS[name.replace("__", ":")]: tariff for name, tariff in dear.items()}))


ALL_DOWN = frozenset(TARGETS.values())
COMPACTING = RequestContext(request_class=RequestClass.COMPACTION)
JSON = OutputFormat(OutputKind.JSON_OBJECT)
PENNIES = Constraints(budget_microusd=1.0)
Reached = Callable[[], Decision]


def of(request: Request, snapshot: Snapshot | None = None, router: PipelineRouter = PLAIN) -> Reached:
    return lambda: router.route(request, snapshot or Snapshot())


HI, HARDER, SEEING = asking("hi"), asking(HARD), Request("auto", (Message(Role.USER, (PICTURE, Text("hi"))),))
AUDIO, DOCUMENT, VIDEO = media("input_audio"), media("file"), media("video_url")
LONG = asking("hi " + "x" * 4_000)

REACHED: dict[tuple[str, str], Reached] = {
    ("features", "main_traffic"): of(HI),
    ("features", "title_traffic"): of(asking("Please write a 5-10 word title for this")),
    ("features", "summary_traffic"): of(asking("Recap what you were doing")),
    ("features", "suggestion_traffic"): of(asking("[SUGGESTION MODE: x]")),
    ("features", "compaction_traffic"): of(
        asking("Your task is to create a detailed summary of the conversation")
    ),
    ("features", "probe_traffic"): of(asking("quota")),
    ("tier", "difficulty"): of(HARDER),
    ("tier", "tool_loop"): of(looping("hi there")),
    ("tier", "tool_errors"): of(looping("show me the file", steps=4, failed=True)),
    ("tier", "autonomous"): of(
        evolve(
            looping("keep going until all the tests pass without asking me"),
            messages=(Message.user("keep going until all the tests pass without asking me"),),
        )
    ),
    ("tier", "risk"): of(asking("rotate the payment credentials")),
    ("tier", "planning_subagent"): of(HI, as_agent("Plan"), PipelineRouter(NAMES)),
    ("tier", "light_subagent"): of(asking(WIDE), as_agent("Explore")),
    ("tier", "side_traffic"): of(asking("[SUGGESTION MODE: x]")),
    ("tier", "small_talk"): of(HI),
    ("ladder", "tier_served"): of(HI),
    ("ladder", "tier_missing"): of(HI, router=PipelineRouter({Tier.COMPLEX: "a:b"})),
    ("ladder", "default_target"): of(HI, router=PipelineRouter({}, default=Target("a", "b"))),
    ("policy", "no_policy"): of(HI),
    ("policy", "all_may"): of(HI, Snapshot(constraints=Constraints(blocked=frozenset({"x:*"})))),
    ("policy", "blocked"): of(HI, Snapshot(constraints=Constraints(blocked=frozenset({"local:*"})))),
    ("policy", "not_allowed"): of(HI, Snapshot(constraints=Constraints(allowed=frozenset({"cloud:*"})))),
    ("vision", "not_needed"): of(HI),
    ("vision", "all_can"): of(SEEING),
    ("vision", "lacks_vision"): of(SEEING, router=KNOWING),
    ("tools", "not_needed"): of(HI),
    ("tools", "all_can"): of(looping("show me")),
    ("tools", "lacks_tools"): of(looping("show me"), router=KNOWING),
    ("structured_output", "not_needed"): of(HI),
    ("structured_output", "all_can"): of(evolve(HI, output_format=JSON)),
    ("structured_output", "lacks_structured_output"): of(evolve(HI, output_format=JSON), router=KNOWING),
    ("media", "not_needed"): of(HI),
    ("media", "all_can"): of(AUDIO),
    ("media", "lacks_audio"): of(AUDIO, router=KNOWING),
    ("media", "lacks_documents"): of(DOCUMENT, router=PipelineRouter(NAMES, profiles={**dict.fromkeys(
        TARGETS.values(), Profile()), TINY: ODD[TINY]}.__getitem__)),
    ("media", "lacks_video"): of(VIDEO, router=PipelineRouter(NAMES, profiles={**dict.fromkeys(
        TARGETS.values(), Profile()), TINY: ODD[TINY]}.__getitem__)),
    ("window", "all_can"): of(HI),
    ("window", "context_too_small"): of(LONG, router=KNOWING),
    ("window", "context_doubtful"): of(
        asking("hi " + "x" * 400), router=PipelineRouter(NAMES, profiles=lambda _: Profile(context_window=80))
    ),
    ("budget", "no_budget"): of(HI),
    ("budget", "all_may"): of(HI, Snapshot(constraints=PENNIES)),
    ("budget", "over_budget"): of(
        HI, evolve(prices(cloud__huge=Tariff(9.0, 9.0)), constraints=PENNIES)
    ),
    ("availability", "all_available"): of(HI),
    ("availability", "unavailable"): of(HI, Snapshot(unavailable=frozenset({SMALL}))),
    ("availability", "panic"): of(HI, Snapshot(unavailable=ALL_DOWN)),
    ("deadline", "no_deadline"): of(HI),
    ("deadline", "all_may"): of(HI, Snapshot(constraints=Constraints(deadline_seconds=1.0))),
    ("deadline", "too_slow"): of(
        HI, Snapshot(constraints=Constraints(deadline_seconds=1.0), latencies={SMALL: 2.0})
    ),
    ("deadline", "panic"): of(
        HI, Snapshot(constraints=Constraints(deadline_seconds=1.0), latencies=dict.fromkeys(ALL_DOWN, 2.0))
    ),
    ("dominance", "undominated"): of(HI),
    ("dominance", "dominated"): of(
        asking("rotate the payment credentials"),
        prices(cloud__large=Tariff(9.0, 9.0), cloud__huge=Tariff(1.0, 1.0)),
    ),
    ("pin", "side_traffic"): of(asking("[SUGGESTION MODE: x]")),
    ("pin", "cheap_large_context"): of(
        HI, evolve(prices(cloud__medium=Tariff(1.0, 1.0)), context=COMPACTING), KNOWING
    ),
    ("pin", "no_pin"): of(HI),
    ("pin", "tool_loop"): of(looping("show me"), pinned(HUGE)),
    ("pin", "no_home"): of(HI, pinned(HUGE, home=None)),
    ("pin", "pin_unusable"): of(HI, pinned(HUGE, unavailable=frozenset({HUGE}))),
    ("pin", "escalated"): of(HARDER, pinned(SMALL)),
    ("pin", "nothing_asked"): of(
        Request("auto", (Message.user("<system-reminder>x</system-reminder>"),)), pinned(HUGE)
    ),
    ("pin", "restarted"): of(HI, Snapshot(pin=Pin(HUGE, HUGE, 1_000, messages=40))),
    ("pin", "cheaper"): of(
        HI, pinned(HUGE, rates=Rates({HUGE: Tariff(9.0, 99.0), SMALL: LOCAL}))
    ),
    ("pin", "pin_kept"): of(HI, pinned(SMALL)),
    ("pin", "pinned"): of(HI, pinned(HUGE)),
    ("exploration", "as_best"): of(HARDER, Snapshot(seed=3), EXPLORING),
    ("exploration", "explored"): of(HARDER, Snapshot(seed=0), EXPLORING),
    ("exploration", "nothing_to_try"): of(asking("rotate the payment credentials"), router=EXPLORING),
    ("cost", "expected"): of(HI, prices(local__small=LOCAL)),
    ("cost", "unpriced"): of(HI, prices(cloud__huge=LOCAL)),
}  # fmt: skip


def documented() -> dict[str, set[str]]:
    table: dict[str, set[str]] = {}
    section = PAGE.read_text("utf-8").split("## Reason codes")[1].split("\n## ")[0]
    for line in section.splitlines():
        found = re.match(r"\| `(\w+)` \| (.*) \|", line)
        if found:
            table[found[1]] = set(re.findall(r"`(\w+)`", found[2]))
    return table


def test_the_page_lists_every_code_and_no_other():
    codes: dict[str, set[str]] = {}
    for name, code in REACHED:
        codes.setdefault(name, set()).add(code)
    assert documented() == codes


@pytest.mark.parametrize(("name", "code"), [pytest.param(*key, id="-".join(key)) for key in REACHED])
def test_the_code_is_reached(name, code):
    decision = REACHED[name, code]()
    (step,) = (step for step in decision.trace if step.name == name)
    assert step.code == code
    assert step.reason


@given(st.data(), snapshots(st.sampled_from(list(TARGETS.values()))), price_tables(list(TARGETS.values())))
def test_every_rule_leaves_one_line_whose_code_is_listed(data, snapshot, rates):
    turn = data.draw(st.sampled_from(data.draw(agent_sessions(max_asks=2))))
    router = data.draw(st.sampled_from((PLAIN, KNOWING, EXPLORING)))
    try:
        decision = router.route(turn.request, evolve(snapshot, rates=rates, context=turn.context))
    except RoutingError:
        return
    listed = documented()
    names = [step.name for step in decision.trace]
    always = set(listed) - {"exploration", "cost"}
    assert always <= set(names)
    for step in decision.trace:
        assert names.count(step.name) == 1
        assert step.code
        assert step.name not in listed or step.code in listed[step.name]
