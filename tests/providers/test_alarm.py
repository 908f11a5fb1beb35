"""The alarm of the aiohttp transport: it cancels its own task once, and takes that back."""

import asyncio

import pytest

from lynkr.providers.aiohttp_transport import _Alarm


async def wait_for_ever() -> None:
    await asyncio.get_running_loop().create_future()


async def met(*, as_error: bool, cancelled_too: bool = False) -> tuple[bool, int]:
    """Whether a wait was ended by the alarm alone, and what the task still has of cancellations."""
    task = asyncio.current_task()
    assert task is not None
    loop = asyncio.get_running_loop()
    alarm = _Alarm(loop, 0.0)
    if cancelled_too:
        loop.call_soon(task.cancel)
    was_its = False
    try:
        await wait_for_ever()
    except asyncio.CancelledError:
        if not as_error:
            was_its = alarm.has_cancelled()
    finally:
        alarm.stop()
    return was_its, task.cancelling()


@pytest.mark.parametrize("as_error", [False, True])
def test_nothing_is_left_of_a_cancellation_that_was_met(as_error: bool) -> None:
    assert asyncio.run(asyncio.wait_for(met(as_error=as_error), 5)) == (not as_error, 0)


def test_a_cancellation_by_others_stays() -> None:
    async def outer() -> tuple[bool, int]:
        return await asyncio.ensure_future(met(as_error=False, cancelled_too=True))

    assert asyncio.run(asyncio.wait_for(outer(), 5)) == (False, 1)


def test_a_request_is_sent_in_a_task() -> None:
    loop = asyncio.new_event_loop()
    try:
        with pytest.raises(RuntimeError, match="in a task"):
            _Alarm(loop, 1.0)
    finally:
        loop.close()
