"""docs/resilience.md shows the tables of `lynkr.resilience` as they are, and those are what happens."""

from hypothesis import given
from hypothesis import strategies as st

from lynkr.resilience.admission import TRANSITIONS as PLACES
from lynkr.resilience.admission import Admission, AdmissionLimits, Place
from lynkr.resilience.breaker import NEW_BREAKER, TRANSITIONS, BreakerConfig, acquire, settle
from lynkr.resilience.families import FAMILY_VERDICTS, STATUS_VERDICTS
from lynkr.resilience.outcome import Outcome
from lynkr.resilience.protocols import Permit
from tests.docs.resilience import MEANINGS, PAGE, page


def test_the_page_is_up_to_date() -> None:
    text = PAGE.read_text("utf-8")
    assert text == page(text), "run: python -m tests.docs.resilience"


def test_every_verdict_a_table_gives_is_explained() -> None:
    given_out = {
        *STATUS_VERDICTS.values(),
        *(v for table in FAMILY_VERDICTS.values() for v in table.values()),
    }
    assert given_out == {verdict for _, verdict, _ in MEANINGS}


@given(
    st.lists(
        st.tuples(st.sampled_from([0.0, 1.0, 15.0, 60.0]), st.sampled_from([None, *Outcome]), st.booleans()),
        max_size=60,
    )
)
def test_a_breaker_takes_no_way_that_is_not_drawn(steps: list[tuple[float, Outcome | None, bool]]) -> None:
    data, config, now = NEW_BREAKER, BreakerConfig(consecutive_failures=2, min_calls=2), 0.0
    drawn = {(source, target) for source, target, _ in TRANSITIONS}
    permits: list[Permit] = []
    for delay, outcome, slow in steps:
        now += delay
        before = data.state
        if outcome is None or not permits:
            data, permit = acquire(data, config, now)
            permits += [] if permit is None else [permit]
        else:
            data = settle(data, config, permits.pop(), outcome, now, slow=slow)
        assert before is data.state or (before, data.state) in drawn


@given(
    st.lists(
        st.tuples(st.sampled_from(["ask", "side", "stream", "leave", "expire"]), st.integers(0, 9)),
        max_size=40,
    )
)
def test_a_request_takes_no_way_that_is_not_drawn(steps: list[tuple[str, int]]) -> None:
    admission, now = Admission(AdmissionLimits(under_way=1, streams=1, queued=2, wait=3.0)), 0.0
    drawn = {(source, target) for source, target, _ in PLACES}
    tickets, places = [], []
    for step, number in steps:
        now += number / 4
        chosen = tickets[number % len(tickets)] if tickets else None
        match step:
            case "ask" | "side":
                ticket, _ = admission.ask(now, is_side=step == "side")
                assert (None, Place.GONE if ticket is None else ticket.place) in drawn
                if ticket is not None:
                    tickets.append(ticket)
                    places.append(ticket.place)
            case "stream" if chosen is not None and chosen.place is Place.UNDER_WAY:
                admission.stream(chosen, now)
            case "leave" if chosen is not None:
                admission.leave(chosen, now)
            case "expire":
                admission.expire(now)
            case _:
                pass
        for index, ticket in enumerate(tickets):
            assert places[index] is ticket.place or (places[index], ticket.place) in drawn
            places[index] = ticket.place
