"""Which turns of a session a record may react to."""

from hypothesis import given
from hypothesis import strategies as st

from lynkr.telemetry.signals import LOOK_BACK, MOST_TURNS, Turn, latest, place_of

times = st.sampled_from((0.0, 1.0, LOOK_BACK - 1, LOOK_BACK, LOOK_BACK + 1, 2 * LOOK_BACK))


@given(st.lists(times, max_size=MOST_TURNS + 20), times)
def test_the_newest_turns_of_the_last_hour_are_found_without_looking_at_all(arrived, at):
    turns = sorted((Turn(seq, time) for seq, time in enumerate(arrived)), key=place_of)
    near = [turn for turn in turns if at - LOOK_BACK <= turn.at <= at]
    assert latest(turns, at) == near[::-1][:MOST_TURNS]
