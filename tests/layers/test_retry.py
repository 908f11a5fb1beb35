"""The retry layer on its own."""

import anyio
import pytest

from lynkr.errors import AllTargetsFailed, LynkrError, UpstreamBusy, UpstreamFailed, UpstreamRefused
from lynkr.layers import retry
from lynkr.resilience.retry import FullJitter
from lynkr.service import Reply, Service
from tests.layers.scripted import EVENTS, A, Answer, Clock, Scripted, call_to, read

pytestmark = pytest.mark.anyio
FAILED = UpstreamFailed("no", target="x", status=500)


def retrying(service: Service, clock: Clock, **options: object) -> Service:
    settings = {"clock": clock, "monotonic": clock, "sleep": clock.sleep, "random": lambda: 0.5}
    return retry(**{**settings, **options})(service)  # type: ignore[arg-type]


async def test_a_blip_is_ridden_out_with_growing_waits() -> None:
    clock, service = Clock(), Scripted({A: [FAILED, FAILED, Answer()]})
    assert await read(await retrying(service, clock)(call_to(A))) == list(EVENTS)
    assert clock.slept == [0.25, 0.5]


async def test_an_answer_at_once_costs_no_wait() -> None:
    clock, service = Clock(), Scripted({A: [Answer()]})
    await retrying(service, clock)(call_to(A))
    assert clock.slept == []


async def test_all_attempts_errors_are_told_in_order() -> None:
    errors = [
        FAILED,
        UpstreamBusy("later", target="x", status=503),
        UpstreamRefused("no", target="x", status=404),
    ]
    clock, service = Clock(), Scripted({A: errors})
    with pytest.raises(AllTargetsFailed, match="one:a failed 3 times") as caught:
        await retrying(service, clock)(call_to(A))
    assert list(caught.value.exceptions) == errors
    assert caught.value.last is errors[-1]


async def test_a_single_failure_is_raised_as_itself() -> None:
    error = UpstreamRefused("no", target="x", status=404)
    clock, service = Clock(), Scripted({A: [error]})
    with pytest.raises(UpstreamRefused) as caught:
        await retrying(service, clock)(call_to(A))
    assert caught.value is error


@pytest.mark.parametrize(
    ("headers", "waits"),
    [
        ({"retry-after": "7"}, [7.0]),
        ({"retry-after-ms": "250"}, [0.25]),
        ({"retry-after": "Thu, 01 Jan 1970 00:16:50 GMT"}, [10.0]),  # the clock below says 1000 s
        ({"retry-after": "61"}, None),
        ({"retry-after": "3", "x-should-retry": "false"}, None),
    ],
)
async def test_hints_in_the_headers_are_heard(headers: dict[str, str], waits: list[float] | None) -> None:
    clock = Clock(now=1_000.0)
    busy = UpstreamBusy("later", target="x", status=429, headers=headers)
    service = Scripted({A: [busy, Answer()]})
    if waits is None:
        with pytest.raises(UpstreamBusy):
            await retrying(service, clock)(call_to(A))
        assert clock.slept == []
    else:
        await retrying(service, clock)(call_to(A))
        assert clock.slept == waits


async def test_a_hint_the_provider_adapter_read_already_stands() -> None:
    clock = Clock()
    busy = UpstreamBusy("later", target="x", status=429, headers={"retry-after": "50"}, retry_after=1.0)
    await retrying(Scripted({A: [busy, Answer()]}), clock)(call_to(A))
    assert clock.slept == [1.0]


async def test_a_retry_that_could_not_begin_before_the_deadline_is_not_waited_for() -> None:
    for left, is_served in ((0.25, False), (0.26, True)):
        clock, service = Clock(), Scripted({A: [FAILED, Answer()]})
        call = call_to(A, deadline=clock.now + left)
        if is_served:
            assert isinstance(await retrying(service, clock)(call), Reply)
        else:
            with pytest.raises(UpstreamFailed):
                await retrying(service, clock)(call)
            assert clock.slept == []


async def test_a_policy_of_ones_own_is_asked() -> None:
    asked: list[tuple[int, float, float]] = []

    class Twice:
        def delay(self, attempt: int, error: LynkrError, elapsed: float, jitter: float, /) -> float | None:
            asked.append((attempt, elapsed, jitter))
            return 2.0 if attempt < 3 else None

    clock, service = Clock(), Scripted({A: [FAILED]})
    with pytest.raises(AllTargetsFailed):
        await retrying(service, clock, policy=Twice(), max_attempts=9)(call_to(A))
    assert asked == [(1, 0.0, 0.5), (2, 2.0, 0.5), (3, 4.0, 0.5)]


async def test_calls_at_the_same_time_do_not_share_their_counts() -> None:
    clock = Clock()
    service = retrying(Scripted({A: [FAILED]}), clock, policy=FullJitter(max_attempts=2))
    counts: list[int] = []

    async def fail() -> None:
        with pytest.raises(AllTargetsFailed) as caught:
            await service(call_to(A))
        counts.append(len(caught.value.exceptions))

    async with anyio.create_task_group() as tasks:
        for _ in range(5):
            tasks.start_soon(fail)
    assert counts == [2] * 5
