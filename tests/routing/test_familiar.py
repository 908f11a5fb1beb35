"""What is known of the parts sent before changes no feature and no decision, and stays bounded."""

from hypothesis import given
from hypothesis import strategies as st

from lynkr.model import Message, Request, ToolSpec
from lynkr.routing import PipelineRouter, Snapshot, features_of
from lynkr.routing.familiar import Familiar
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
    familiar, tools, looked = Familiar(), (SHELL,), list[object]()

    def look(offered: object) -> tuple[int, int]:
        looked.append(offered)
        return len(looked), 0

    assert [familiar.tools(tools, look), familiar.tools(tools, look)] == [(1, 0), (1, 0)]
    assert familiar.tools((SHELL, SHELL), look) == (2, 0)


def test_no_more_is_kept_than_was_asked_for() -> None:
    familiar = Familiar(most_tools=2, most_asks=2)
    for number in range(9):
        asks = [Message.user(f"rename helper {part} of module {number}") for part in range(4)]
        features_of(Request(model="auto", messages=tuple(asks), tools=(SHELL,) * number), familiar=familiar)
    assert familiar.sizes == (2, 2)
