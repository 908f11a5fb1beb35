"""What is known of the parts sent before changes no feature and no decision, and stays bounded."""

from hypothesis import given
from hypothesis import strategies as st

from lynkr.model import Message, Request, Role, Text, ToolCall, ToolResult, ToolSpec
from lynkr.planner import Planner
from lynkr.resilience import MemoryBreakers
from lynkr.routing import Decision, PipelineRouter, Snapshot, Target, Tier, TierRouter, features_of
from lynkr.routing.decision import NO_CONSTRAINTS, NO_RATES
from lynkr.routing.familiar import Familiar
from lynkr.routing.history import BLOCK, Block
from lynkr.testing import agent_sessions, requests, snapshots
from lynkr.testing.policy import Turn

SHELL = ToolSpec("shell", "runs a command", {"type": "object", "properties": {"command": {"type": "string"}}})


@given(st.lists(st.one_of(requests().map(lambda one: (Turn(one),)), agent_sessions()), max_size=4))
def test_features_are_the_same_with_it_and_without_it(met: list[tuple[Turn, ...]]) -> None:
    familiar = Familiar(most_tools=2, most_asks=3)
    for turn in [turn for turns in met for turn in turns for _ in range(2)]:
        known = features_of(turn.request, turn.context, familiar)
        assert known == features_of(turn.request, turn.context)


@given(agent_sessions(), snapshots())
def test_decisions_are_the_same_with_it_and_without_it(
    router: PipelineRouter, turns: tuple[Turn, ...], snapshot: Snapshot
) -> None:
    familiar = Familiar()
    for turn in turns:
        known = router.route(turn.request, snapshot, familiar=familiar)
        assert known == router.route(turn.request, snapshot)


def test_the_same_list_of_tools_is_looked_at_once() -> None:
    """Twice, to be exact: what comes only once is not held."""
    familiar, tools, looked = Familiar(), (SHELL,), list[object]()

    def look(offered: object) -> tuple[int, int]:
        looked.append(offered)
        return len(looked), 0

    assert [familiar.tools(tools, look) for _ in range(4)] == [(1, 0), (2, 0), (2, 0), (2, 0)]
    assert familiar.tools((SHELL, SHELL), look) == (3, 0)
    assert familiar.sizes == (1, 0, 0)


def block_of(familiar: Familiar, said: tuple[Message, ...]) -> Block:
    """The first block of a conversation that goes on after it."""
    return familiar.history((*said, Message.user("go on")))[0][1]


def test_a_block_of_the_same_messages_is_looked_at_once() -> None:
    familiar = Familiar()
    said = tuple(Message.user(f"rename helper {number}") for number in range(BLOCK))
    first, second, third = (block_of(familiar, said) for _ in range(3))
    assert first is not second
    assert second is third
    assert block_of(familiar, (*said[1:], said[0])) is not third


def test_equal_messages_are_others() -> None:
    familiar = Familiar()
    for _ in range(3):
        met = [block_of(familiar, tuple(Message.user("hello") for _ in range(BLOCK))) for _ in range(3)]
        assert len(set(map(id, met))) == len(met)
    assert familiar.sizes == (0, 0, 0)


def test_no_more_is_kept_than_was_asked_for() -> None:
    familiar = Familiar(most_tools=2, most_asks=2, most_bytes=500)
    for number in range(9):
        said = [Message.user(f"rename helper {part} of module {number}") for part in range(BLOCK + 4)]
        offered = (SHELL,) * (number + 1)
        for _ in range(3):
            features_of(Request(model="auto", messages=tuple(said), tools=offered), familiar=familiar)
        tools, asks, size = familiar.sizes
        assert tools <= 2
        assert asks <= 2
        assert size <= 500
    assert familiar.sizes[:2] == (2, 2)
    assert size > 0


def a_long_loop(turns: int) -> tuple[Message, ...]:
    said = [Message.user("fix the failing tests")]
    for at in range(turns):
        said.append(
            Message(Role.ASSISTANT, (ToolCall(f"c{at}", "Edit", f'{{"file_path": "/auth/{at}.py"}}'),))
        )
        said.append(Message(Role.USER, (ToolResult(f"c{at}", (Text("error: no"),), at % 5 == 0),)))
    return tuple(said)


@given(st.integers(1, 60), st.integers(0, 60), st.lists(st.integers(0, 120), max_size=4))
def test_a_conversation_that_grows_is_seen_as_if_it_were_new(turns: int, more: int, asked: list[int]) -> None:
    familiar = Familiar()
    said = list(a_long_loop(turns + more))
    for at in asked:
        said.insert(min(at, len(said)), Message.user("yes, continue" if at % 2 else f"explain part {at}"))
    for end in (2 * turns, 2 * turns, 2 * turns, 2 * turns + more, len(said)):
        request = Request(model="auto", messages=tuple(said[:end]))
        assert features_of(request, familiar=familiar) == features_of(request)


ONLY = Target("ollama", "qwen3")


class Plain:
    """A router that wants to know of nothing."""

    def route(self, request: Request, snapshot: Snapshot, /) -> Decision:
        return Decision(Tier.SIMPLE, 0.0, (ONLY,))


class Recalling(Plain):
    def __init__(self) -> None:
        self.given: list[Familiar | None] = []

    def route(self, request: Request, snapshot: Snapshot, /, *, familiar: Familiar | None = None) -> Decision:
        self.given.append(familiar)
        return super().route(request, snapshot)


def planner_of(router: TierRouter) -> Planner:
    return Planner(
        router,
        providers={},
        aliases={},
        breakers=MemoryBreakers(),
        pins=None,
        rates=NO_RATES,
        constraints=lambda _context: NO_CONSTRAINTS,
        clock=lambda: 0.0,
    )


def test_a_planner_gives_what_is_known_to_a_router_that_takes_it() -> None:
    asked, router = Request(model="auto", messages=(Message.user("hello"),)), Recalling()
    planner = planner_of(router)
    assert planner.plan(asked, None).targets == planner.plan(asked, None).targets == (ONLY,)
    assert isinstance(router.given[0], Familiar)
    assert router.given[0] is router.given[1]


def test_a_router_that_knows_nothing_of_it_is_asked_all_the_same() -> None:
    planner = planner_of(Plain())
    assert planner.plan(Request(model="auto", messages=(Message.user("hello"),)), None).targets == (ONLY,)
