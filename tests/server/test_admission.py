"""The door of the real server: who waits, who is sent away, and gateways that are their own upstream."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import Any

import httpx
import pytest

from lynkr.resilience.admission import AdmissionLimits
from lynkr.testing import Simulator, ok, script, stall
from lynkr_server.admission import Door, Overloaded
from lynkr_server.server import listen, url_of
from tests.gateway.house import EASY, settings_for
from tests.server.running import PATIENCE, House, eventually, message, raw_request, serving

MESSAGES, CHAT = "/v1/messages", "/v1/chat/completions"
ONE_PLACE = {"server.max_in_flight": 1, "server.queue_seconds": 8}


@pytest.fixture
def pool():
    with ThreadPoolExecutor(8) as threads:
        yield threads


def taken(running: House) -> Callable[[], None]:
    """Takes the one place of *running* with a request that stalls; gives how to give it back."""
    sock = running.connect()
    sock.sendall(raw_request(CHAT, message(EASY)))
    running.upstream.wait_until(lambda simulator: simulator.active == 1)
    running.simulator.play(script())
    return sock.close


def stalling() -> Simulator:
    return Simulator(default=script(then=stall()))


def ask(running: House, kind: str = "main", *, model: str = "lynkr-auto", **headers: str) -> httpx.Response:
    named = {"x-claude-code-request-class": kind, **{n.replace("_", "-"): v for n, v in headers.items()}}
    return httpx.post(f"{running.url}{CHAT}", json=message(EASY, model), headers=named, timeout=PATIENCE)


def test_a_request_without_a_place_waits_for_one(
    serve: Callable[..., House], pool: ThreadPoolExecutor
) -> None:
    running = serve(stalling(), **ONE_PLACE)
    free = taken(running)
    waiting = pool.submit(ask, running)
    assert eventually(lambda: running.queued == 1)
    assert not waiting.done()
    free()
    assert waiting.result(timeout=PATIENCE).status_code == 200


def test_a_request_whose_time_is_over_in_the_queue_is_sent_away_unserved(serve: Callable[..., House]) -> None:
    running = serve(stalling(), **ONE_PLACE)
    free = taken(running)
    served = len(running.simulator.requests)
    for answer in (
        ask(running, x_lynkr_deadline_ms="50"),
        ask(running, "auxiliary", x_lynkr_deadline_ms="20"),
    ):
        assert answer.status_code == 503
        assert int(answer.headers["retry-after"]) >= 1
        assert "overloaded" in answer.json()["error"]["message"]
    assert len(running.simulator.requests) == served
    free()
    assert eventually(lambda: ask(running).status_code == 200)


class Hasty(asyncio.SelectorEventLoop):
    """Calls a little before the time, as uvloop does, whose clock counts whole milliseconds."""

    def call_at(self, when: float, *args: Any, **kwargs: Any) -> asyncio.TimerHandle:
        return super().call_at(when - 0.01, *args, **kwargs)


def test_a_loop_that_calls_early_leaves_nobody_in_the_queue_for_ever() -> None:
    async def wait() -> None:
        door = Door(AdmissionLimits(under_way=1, wait=0.03))
        await door.enter({})
        async with asyncio.timeout(PATIENCE):
            for headers in ({}, {"x-lynkr-deadline-ms": "20"}):
                with pytest.raises(Overloaded, match="in time"):
                    await door.enter(headers)
        assert (door.admission.queued, door.admission.dropped) == (0, 2)

    with asyncio.Runner(loop_factory=Hasty) as runner:
        runner.run(wait())


def test_auxiliary_requests_make_room_for_those_a_person_waits_for(
    serve: Callable[..., House], pool: ThreadPoolExecutor
) -> None:
    running = serve(stalling(), **ONE_PLACE, **{"server.max_queued": 1})
    free = taken(running)
    side = pool.submit(ask, running, "compaction")
    assert eventually(lambda: running.queued == 1)
    main = pool.submit(ask, running)
    shed = side.result(timeout=PATIENCE)
    assert (shed.status_code, shed.headers["retry-after"].isdecimal()) == (503, True)
    for kind in ("main", "auxiliary"):  # the queue is full of main requests now
        assert ask(running, kind).status_code == 503
    free()
    assert main.result(timeout=PATIENCE).status_code == 200


def test_main_requests_are_let_in_before_auxiliary_ones(
    serve: Callable[..., House], pool: ThreadPoolExecutor
) -> None:
    running = serve(stalling(), **ONE_PLACE)
    free = taken(running)
    tasks = []
    for number, kind in enumerate(("auxiliary", "main"), start=1):
        tasks.append(pool.submit(ask, running, kind, model=f"chat:{kind}"))
        assert eventually(lambda: running.queued == number)  # noqa: B023  # reason: asked at once
    free()
    assert [task.result(timeout=PATIENCE).status_code for task in tasks] == [200, 200]
    assert [request.json["model"] for request in running.simulator.requests][1:] == ["main", "auxiliary"]


def test_streams_and_short_requests_do_not_keep_each_other_out(serve: Callable[..., House]) -> None:
    running = serve(
        Simulator(default=script(stall(3), then=ok())),
        **{"server.max_in_flight": 1, "server.max_streams": 1, "server.max_queued": 0},
    )
    sock = running.connect()
    sock.sendall(raw_request(MESSAGES, message(EASY, stream=True)))
    running.upstream.wait_until(lambda simulator: simulator.active == 1)
    assert eventually(lambda: ask(running).status_code == 200), "the stream has left the requests under way"
    second = running.client.post(MESSAGES, json=message(EASY, stream=True))
    assert second.status_code == 503
    assert second.headers["retry-after"].isdecimal()
    assert "1 streams are under way" in second.json()["error"]["message"]
    assert running.record_of(second).error == "Overloaded"
    sock.close()
    assert eventually(
        lambda: running.client.post(MESSAGES, json=message(EASY, stream=True)).status_code == 200
    )


# ---------------------------------------------------------------------- loops


@pytest.mark.parametrize("gateways", [1, 2])
@pytest.mark.parametrize("path", [MESSAGES, CHAT])
def test_a_gateway_that_is_its_own_upstream_is_told_the_cause(gateways: int, path: str) -> None:
    """Directly, or through another; in the client's dialect or across."""
    sockets = [listen("127.0.0.1", 0)[0] for _ in range(gateways)]
    urls = [url_of(bound) for bound in sockets]
    with ExitStack() as stack:
        running = [
            stack.enter_context(
                serving(settings_for(urls[number - 1], **{"server.drain_seconds": 1}), bound)  # type: ignore[arg-type]
            )
            for number, bound in enumerate(sockets)
        ]
        answer = running[0].client.post(path, json=message(EASY))
        # A record is written when the last byte has left, which the client may be quicker than.
        assert eventually(lambda: sum(len(gateway.records()) for gateway in running) == 4), "one at each hop"
    assert answer.status_code == 508
    assert "has itself for an upstream" in answer.text


def test_the_hops_go_up_in_every_dialect_and_a_client_cannot_stop_the_count(shared: House) -> None:
    shared.simulator.requests.clear()
    for sent, passed in ((None, "1"), ("2", "3"), ("-1", "1"), ("nonsense", "1"), ("9" * 40, "1")):
        headers = {} if sent is None else {"x-lynkr-hops": sent}
        for path in (MESSAGES, CHAT):
            for target in ("chat:m", "messages:m"):
                assert (
                    shared.client.post(path, json=message(EASY, target), headers=headers).status_code == 200
                )
                assert shared.simulator.requests[-1].headers["x-lynkr-hops"] == passed
    refused = shared.client.post(
        "/v1/messages/count_tokens", json=message(EASY), headers={"x-lynkr-hops": "4"}
    )
    assert refused.status_code == 508
