"""`server.drain_delay_seconds`: a load balancer hears "not ready" while requests are still taken."""

import time
from collections.abc import Callable

import httpx

from tests.server.running import eventually, message
from tests.server.test_process import MESSAGES, Process, below, refused, start

__all__ = ["below", "start"]


def readiness(process: Process) -> tuple[int, str]:
    answer = httpx.get(f"{process.url}/health/ready")
    return answer.status_code, answer.json()["status"]


def test_it_says_503_and_serves_on_until_the_delay_is_over(start: Callable[..., Process]) -> None:
    process = start("drain_delay_seconds = 1.5")
    assert readiness(process) == (200, "ready")
    began = time.monotonic()
    process.stop()
    eventually(lambda: readiness(process) == (503, "draining"))
    assert httpx.get(f"{process.url}/health/live").status_code == 200
    answer = httpx.post(f"{process.url}{MESSAGES}", json=message("hello", "messages:m"))
    assert (answer.status_code, process.popen.poll()) == (200, None)
    eventually(lambda: refused(process))
    assert time.monotonic() - began >= 1.5
    assert process.ended() == (0, "")
    assert process.rows() == [("ok", 200, None)]


def test_a_second_signal_does_not_wait_for_the_delay(start: Callable[..., Process]) -> None:
    process = start("drain_delay_seconds = 60")
    process.stop()
    eventually(lambda: readiness(process) == (503, "draining"))
    process.stop()
    assert process.ended()[0] == 1


def test_without_a_delay_the_door_closes_at_once(start: Callable[..., Process]) -> None:
    process = start()
    began = time.monotonic()
    process.stop()
    assert process.ended() == (0, "")
    assert time.monotonic() - began < 5
