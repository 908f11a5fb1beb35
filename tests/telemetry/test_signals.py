"""What a record says about the turns of its session: as looking at all of them would say, without looking."""

from collections.abc import Iterator, Sequence

from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from lynkr.routing.decision import Tier
from lynkr.telemetry import Record, SignalKind
from lynkr.telemetry.signals import LOOK_BACK, MOST_TURNS, Course, Turn, place_of
from tests.telemetry.made import record

TIMES = st.sampled_from((0.0, 1.0, LOOK_BACK - 1, LOOK_BACK, LOOK_BACK + 1, 2 * LOOK_BACK))
LATER = st.builds(
    lambda at, tier, digest, opens, failed: record(
        at=at, tier=tier, session="s", ask_digest=digest, opens_turn=opens, failed_results=failed
    ),
    TIMES,
    st.none() | st.sampled_from(Tier),
    st.sampled_from(("d1", "d2", None)),
    st.none() | st.booleans(),
    st.none() | st.integers(0, 3),
)


def by_looking_at_all(later: Record, turns: Sequence[Turn]) -> tuple[Turn, SignalKind] | None:
    """The definition: of the session's turns when *later* came, the newest so many of the last hour."""
    near = [turn for turn in sorted(turns, key=place_of) if later.at - LOOK_BACK <= turn.at <= later.at]
    earlier = near[::-1][:MOST_TURNS]
    if not earlier:
        return None

    def asks_the_same(turn: Turn) -> bool:
        return turn.ask_digest is not None and turn.ask_digest == later.ask_digest

    def rose(turn: Turn) -> bool:
        return turn.tier is not None and later.tier is not None and later.tier > turn.tier

    if later.opens_turn:
        for turn in earlier:
            if turn.opens_turn and asks_the_same(turn):
                return turn, SignalKind.ESCALATED if rose(turn) else SignalKind.RETRIED
    elif asks_the_same(earlier[0]) and rose(earlier[0]):
        return earlier[0], SignalKind.ESCALATED
    elif (later.failed_results or 0) >= 2 and (later.failed_results or 0) > (earlier[0].failed_results or 0):
        return earlier[0], SignalKind.TOOL_FAILED
    return earlier[0], SignalKind.FOLLOWED


@given(
    st.lists(LATER, max_size=2 * MOST_TURNS),
    st.lists(LATER | st.integers(0, 200), max_size=30),
)
def test_a_course_says_what_looking_at_all_turns_says(before: list[Record], then: list[Record | int]) -> None:
    turns = [Turn.of(one, seq) for seq, one in enumerate(before)]
    course = Course(sorted(turns, key=place_of, reverse=True))
    for seq, one in enumerate(then, len(turns)):
        if isinstance(one, int):
            if one < len(turns):
                course.add(turns[one])  # so that it is known, however old
                course.drop(turns[one])
                course.drop(turns.pop(one))
            continue
        assert course.reaction(one) == by_looking_at_all(one, turns)
        turns.append(Turn.of(one, seq))
        course.add(turns[-1])


@given(st.lists(LATER, min_size=1, max_size=40), LATER)
def test_no_more_older_turns_are_read_than_are_looked_at(before: list[Record], later: Record) -> None:
    turns = sorted((Turn.of(one, seq) for seq, one in enumerate(before)), key=place_of, reverse=True)
    read: list[Turn] = []

    def older() -> Iterator[Turn]:
        for turn in turns:
            read.append(turn)
            yield turn

    Course(older()).reaction(evolve(later, at=2 * LOOK_BACK, opens_turn=False))
    assert read == turns[:1]
