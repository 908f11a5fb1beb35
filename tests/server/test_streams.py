"""Streams through the whole server: bytes, backpressure, silence, departures, breaks."""

import json
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from attrs import evolve

from lynkr.telemetry.record import Ending
from lynkr.testing import Simulator
from lynkr.testing.anthropic_grammar import validate_anthropic_stream
from lynkr.testing.faults import (
    Answer,
    Fault,
    Pause,
    Send,
    cut_after,
    drip,
    error_event,
    reset,
    script,
    stall,
    status,
)
from tests.server.running import House, eventually, house, later, message, raw_request, settled, swollen

MESSAGES, CHAT = "/v1/messages", "/v1/chat/completions"
TEXT = "hällo wörld 🙂, tell me about streams " * 4
EACH_WAY = [
    pytest.param(path, f"{upstream}:m", id=f"{path.rpartition('/')[2]} from {upstream}")
    for path in (MESSAGES, CHAT)
    for upstream in ("messages", "chat")
]
SAME = [(MESSAGES, "messages:m"), (CHAT, "chat:m")]
LEAVES_WITHIN = 0.25


def events_of(path: str, received: bytes) -> list[dict[str, Any]]:
    """The data of every event but pings; fails if one is damaged."""
    found = []
    for frame in received.decode().split("\n\n"):
        lines = [line for line in frame.splitlines() if line and not line.startswith(":")]
        data = [line[6:] for line in lines if line.startswith("data: ")]
        assert len(data) == (1 if lines else 0), frame
        if data and data != ["[DONE]"]:
            event = json.loads(data[0])
            if event.get("type") != "ping":
                found.append(event)
    return found


def text_of(path: str, received: bytes) -> str:
    events = events_of(path, received)
    if path == MESSAGES:
        return "".join(event["delta"].get("text", "") for event in events if "delta" in event)
    return "".join(c["delta"].get("content") or "" for event in events for c in event.get("choices", ()))


def error_in(path: str, received: bytes) -> dict[str, Any]:
    """The one error event, which must be the last."""
    events = events_of(path, received)
    assert [("error" in event) for event in events] == [False] * (len(events) - 1) + [True]
    assert b"[DONE]" not in received
    if path == MESSAGES:
        validate_anthropic_stream(received)
        assert events[-1]["type"] == "error"
    found = events[-1]["error"]
    assert isinstance(found, dict)
    return found


# --- Bytes --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("path", "model"), SAME)
@pytest.mark.parametrize(
    "fault", [None, drip(0.0, size=1), drip(0.0, size=7)], ids=["whole", "1 byte", "7 bytes"]
)
def test_the_same_dialect_arrives_byte_for_byte(
    shared: House, path: str, model: str, fault: Fault | None
) -> None:
    if fault is not None:
        model = f"{model.partition(':')[0]}:{shared.fails('dripping', script(then=fault))}"
    options = {"stream_options": {"include_usage": True}} if path == CHAT else {}
    body = message(TEXT, model, stream=True, **options)
    through = shared.client.post(path, json=body)
    with httpx.Client(base_url=shared.upstream.url) as client:
        direct = client.post(path, json={**body, "model": model.partition(":")[2]})
    assert through.content == direct.content
    assert through.headers["content-type"] == direct.headers["content-type"]
    record = shared.record_of(through)
    assert (record.ending, record.losses) == (Ending.OK, ())
    assert record.usage.output


@pytest.mark.parametrize(("path", "model"), EACH_WAY)
def test_every_chunk_of_a_stream_is_passed_on_when_it_comes(shared: House, path: str, model: str) -> None:
    shared.fails("half", script(then=stall(after=6)))
    received = b""
    with shared.client.stream(
        "POST", path, json=message(TEXT, model.replace(":m", ":half"), stream=True)
    ) as answer:
        for chunk in answer.iter_raw():
            received += chunk
            if text_of(path, received):
                break
    assert received.endswith(b"\n\n")
    assert shared.record_of(answer).ending is Ending.CANCELLED


@pytest.mark.parametrize(("path", "model"), EACH_WAY)
def test_a_stream_in_either_direction_is_whole(shared: House, path: str, model: str) -> None:
    answer = shared.client.post(path, json=message(TEXT, model, stream=True, max_tokens=500))
    assert TEXT.rsplit(maxsplit=1)[-1] in text_of(path, answer.content)
    if path == MESSAGES:
        validate_anthropic_stream(answer.content)
    else:
        assert answer.content.endswith(b"data: [DONE]\n\n")
    assert shared.record_of(answer).ending is Ending.OK


# --- Backpressure -------------------------------------------------------------------------------------


@pytest.mark.parametrize(("path", "model"), EACH_WAY)
def test_a_client_that_reads_nothing_stops_the_reading_upstream(shared: House, path: str, model: str) -> None:
    taken: list[int] = []
    events = 4000
    whole = events * 65_536
    shared.fails("swollen", script(then=swollen(taken, events=events)))
    asked = message("x", model.replace(":m", ":swollen"), stream=True)
    with shared.connect(receive_buffer=32_768) as sock:
        sock.sendall(raw_request(path, asked, "connection: close"))
        held = settled(lambda: sum(taken))
        # What is on the way is in the buffers of four sockets (tens of megabytes, at the most, by the
        # kernel's own limits) and of the gateway.
        assert 0 < held < whole / 4
        received = 0
        while received < held + 1_000_000:
            received += len(sock.recv(1 << 20))
        assert sum(taken) > held
    shared.upstream.wait_until(lambda simulator: simulator.active == 0)
    assert sum(taken) < whole
    eventually(lambda: shared.records()[-1].ending is Ending.CANCELLED)


# --- Clients that leave -------------------------------------------------------------------------------


def leave(shared: House, path: str, model: str, *, stream: bool, after_first: bool) -> float:
    """Leave a request that is under way; how long until the upstream knew, in seconds."""
    simulator, abandoned = shared.simulator, shared.simulator.abandoned
    with shared.connect() as sock:
        sock.sendall(raw_request(path, message(TEXT, model, stream=stream)))
        shared.upstream.wait_until(lambda seen: seen.active == 1)
        while after_first and b"data: " not in sock.recv(65_536):
            pass
    took = shared.upstream.wait_until(lambda seen: seen.active == 0)
    assert simulator.abandoned == abandoned + 1
    return took


@pytest.mark.parametrize(("path", "model"), EACH_WAY)
@pytest.mark.parametrize(
    ("stream", "after_first"),
    [(True, True), (True, False), (False, False)],
    ids=["mid-stream", "before", "whole"],
)
def test_a_client_that_leaves_stops_the_upstream_at_once(
    shared: House, path: str, model: str, stream: bool, after_first: bool
) -> None:
    named = "stalls-midway" if after_first else "stalls"
    shared.fails(named, script(then=stall(after=6 if after_first else None)))
    target = model.replace(":m", f":{named}")
    before = len(shared.records())
    # The best of three: what is measured is the gateway, not what else this machine does.
    tries = 0
    took = LEAVES_WITHIN
    while took >= LEAVES_WITHIN and tries < 3:
        took = leave(shared, path, target, stream=stream, after_first=after_first)
        tries += 1
    assert took < LEAVES_WITHIN
    eventually(lambda: len(shared.records()) == before + tries)
    record = shared.records()[-1]
    assert record.ending is Ending.CANCELLED
    assert record.status == (200 if after_first else 0)
    assert [attempt.outcome.value for attempt in record.attempts] == ["ignored"]
    assert not shared.gateway.unavailable()


def test_a_client_that_leaves_while_it_reads_slowly_stops_the_upstream(shared: House) -> None:
    taken: list[int] = []
    shared.fails("flood", script(then=swollen(taken, events=500)))
    with shared.connect(receive_buffer=32_768) as sock:
        sock.sendall(raw_request(MESSAGES, message("x", "messages:flood", stream=True)))
        settled(lambda: len(taken))
    assert shared.upstream.wait_until(lambda seen: seen.active == 0) < 4 * LEAVES_WITHIN
    assert len(taken) < 500
    eventually(lambda: shared.records()[-1].ending is Ending.CANCELLED)


def test_a_client_that_leaves_between_retries_is_not_served_again(serve: Callable[..., House]) -> None:
    running = serve(
        Simulator(default=script(then=status(500))),
        **{"resilience.base_delay": 30.0, "resilience.max_delay": 30.0},
    )
    with running.connect() as sock:
        sock.sendall(raw_request(CHAT, message("x", "chat:m")))
        eventually(lambda: len(running.simulator.requests) == 1 and running.simulator.active == 0)
    record = eventually(running.records)[0]
    assert record.ending is Ending.CANCELLED
    assert len(running.simulator.requests) == 1


# --- Silence ------------------------------------------------------------------------------------------


def pings_in(path: str, received: bytes) -> int:
    return received.count(b"event: ping\n" if path == MESSAGES else b": ping\n\n")


@pytest.fixture(scope="module")
def nervous(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A gateway that fills the shortest silence."""
    with house(tmp_path_factory.mktemp("nervous") / "l.sqlite3", **{"server.ping_seconds": 0.05}) as running:
        yield running


@pytest.mark.parametrize(("path", "model"), EACH_WAY)
def test_silence_before_the_first_event_is_filled(nervous: House, path: str, model: str) -> None:
    nervous.fails("late", script(then=stall(seconds=0.4)))
    answer = nervous.client.post(path, json=message(TEXT, model.replace(":m", ":late"), stream=True))
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert answer.headers["x-lynkr-model"] == "late"
    head = answer.content[: answer.content.index(b"message_start" if path == MESSAGES else b"data: ")]
    assert 3 <= pings_in(path, head) <= 12
    assert "lynkr simulator" in text_of(path, answer.content)
    if path == MESSAGES:
        validate_anthropic_stream(answer.content)
    assert nervous.record_of(answer).ending is Ending.OK


@pytest.mark.parametrize(("path", "model"), EACH_WAY)
def test_nothing_follows_the_end_of_a_stream_whose_provider_holds_the_line(
    nervous: House, path: str, model: str
) -> None:
    nervous.fails("lingers", script(then=stall(10_000, seconds=0.4)))
    answer = nervous.client.post(path, json=message(TEXT, model.replace(":m", ":lingers"), stream=True))
    ending = b'data: {"type":"message_stop"}\n\n' if path == MESSAGES else b"data: [DONE]\n\n"
    assert answer.content.endswith(ending)
    if path == MESSAGES:
        validate_anthropic_stream(answer.content)
    assert nervous.record_of(answer).ending is Ending.OK


def test_the_head_goes_out_with_the_first_ping(nervous: House) -> None:
    nervous.fails("never", script(then=stall()))
    with nervous.client.stream("POST", CHAT, json=message(TEXT, "chat:never", stream=True)) as answer:
        assert answer.status_code == 200
        assert next(answer.iter_raw()) == b": ping\n\n"
    assert nervous.record_of(answer).ending is Ending.CANCELLED
    assert nervous.record_of(answer).status == 200


@pytest.mark.parametrize(("path", "model"), EACH_WAY)
def test_silence_in_mid_stream_is_filled_between_events(nervous: House, path: str, model: str) -> None:
    nervous.fails("pauses", script(then=stall(after=6, seconds=0.3)))
    answer = nervous.client.post(path, json=message(TEXT, model.replace(":m", ":pauses"), stream=True))
    body = answer.content
    extra = 1 if model == "messages:m" and path == MESSAGES else 0  # the simulator's own
    assert pings_in(path, body) >= 2 + extra
    assert "lynkr simulator" in text_of(path, body)
    if path == MESSAGES:
        validate_anthropic_stream(body)


def in_pieces_with_silence(pieces: int, silence: float) -> Fault:
    """One event arrives in pieces, with silence in the middle of it."""

    def fault(answer: Answer) -> Answer:
        at = next(i for i, m in enumerate(answer.moves) if isinstance(m, Send) and b"[lynkr" in m.data)
        event = answer.moves[at]
        assert isinstance(event, Send)
        size = len(event.data) // pieces + 1
        moves = [
            move
            for start in range(0, len(event.data), size)
            for move in (Send(event.data[start : start + size]), Pause(silence))
        ]
        return evolve(answer, moves=(*answer.moves[:at], *moves, *answer.moves[at + 1 :]))

    return fault


@pytest.mark.parametrize(("path", "model"), SAME)
def test_a_ping_never_falls_into_an_event(nervous: House, path: str, model: str) -> None:
    nervous.fails("torn", script(then=in_pieces_with_silence(4, 0.15)))
    body = message(TEXT, model.replace(":m", ":torn"), stream=True)
    answer = nervous.client.post(path, json=body)
    assert pings_in(path, answer.content) >= 4
    assert "[lynkr simulator]" in text_of(path, answer.content)
    if path == MESSAGES:
        validate_anthropic_stream(answer.content)


def test_a_stream_that_flows_gets_no_pings(nervous: House) -> None:
    nervous.fails("flows", script(then=drip(0.01)))
    answer = nervous.client.post(CHAT, json=message(TEXT, "chat:flows", stream=True))
    assert pings_in(CHAT, answer.content) == 0


@pytest.mark.parametrize("stream", [True, False])
def test_nothing_is_sent_early_to_a_client_that_wants_one_piece_or_sent_nonsense(
    nervous: House, stream: bool
) -> None:
    nervous.fails("slow", script(then=stall(seconds=0.3)))
    answer = nervous.client.post(CHAT, json=message(TEXT, "chat:slow"))
    assert answer.json()["object"] == "chat.completion"
    assert nervous.client.post(CHAT, json={"stream": stream, "messages": []}).status_code == 400


@pytest.mark.parametrize(("path", "model"), EACH_WAY)
def test_an_error_after_the_early_start_is_an_error_event(nervous: House, path: str, model: str) -> None:
    def late_refusal(answer: Answer) -> Answer:
        return evolve(status(400)(answer), before=(Pause(0.2),))

    nervous.fails("late-refusal", script(then=late_refusal))
    answer = nervous.client.post(path, json=message(TEXT, model.replace(":m", ":late-refusal"), stream=True))
    assert answer.status_code == 200
    assert pings_in(path, answer.content) >= 1
    assert "simulated status 400" in error_in(path, answer.content)["message"]
    record = nervous.record_of(answer)
    assert (record.ending, record.status, record.error) == (Ending.FAILED, 200, "UpstreamRefused")


# --- Upstreams that break -----------------------------------------------------------------------------


@pytest.mark.parametrize(("path", "model"), EACH_WAY)
@pytest.mark.parametrize("fault", [cut_after(6), later(reset(after=6))], ids=["cut", "reset"])
def test_a_broken_upstream_ends_in_the_dialects_error_event(
    serve: Callable[..., House], path: str, model: str, fault: Fault
) -> None:
    running = serve(Simulator(default=script(then=fault)))
    answer = running.client.post(path, json=message(TEXT, model, stream=True))
    assert answer.status_code == 200
    assert error_in(path, answer.content)["message"]
    record = running.record_of(answer)
    assert (record.ending, record.status) == (Ending.FAILED, 200)
    assert record.error in ("UpstreamUnreachable", "UpstreamWireError")


@pytest.mark.parametrize(("path", "model"), SAME)
def test_an_upstream_cut_within_an_event_leaves_no_piece_of_it(shared: House, path: str, model: str) -> None:
    def torn(answer: Answer) -> Answer:
        cut = cut_after(6)(answer)
        *kept, last, end = cut.moves
        assert isinstance(last, Send)
        return evolve(cut, moves=(*kept, Send(last.data[: len(last.data) // 2]), end))

    shared.fails("torn-off", script(then=torn))
    answer = shared.client.post(path, json=message(TEXT, model.replace(":m", ":torn-off"), stream=True))
    assert error_in(path, answer.content)


@pytest.mark.parametrize(("path", "model"), EACH_WAY)
def test_an_upstreams_error_event_is_told_once(shared: House, path: str, model: str) -> None:
    shared.fails("complains", script(then=later(error_event(after=6))))
    answer = shared.client.post(path, json=message(TEXT, model.replace(":m", ":complains"), stream=True))
    assert "simulated status 529" in error_in(path, answer.content)["message"]
    assert shared.record_of(answer).ending is Ending.FAILED


# --- The ledger ---------------------------------------------------------------------------------------


def test_every_answered_request_is_one_row(serve: Callable[..., House]) -> None:
    running = serve()
    running.fails("bad", script(then=status(400)))
    running.fails("cut", script(then=cut_after(6)))
    ids = []
    for path in (MESSAGES, CHAT):
        for fields in ({}, {"stream": True}):
            for model in ("lynkr-auto", "chat:bad", "messages:cut", "chat:m"):
                answer = running.client.post(path, json=message("hi", model, **fields))
                ids.append(answer.headers["x-lynkr-decision-id"])
    for _ in range(3):
        running.client.get("/v1/models")
        running.client.post("/v1/messages/count_tokens", json=message("hi"))
        running.client.post("/nowhere", json=message("hi"))
    ids.append(running.client.post(CHAT, content=b"{").headers["x-lynkr-decision-id"])
    eventually(lambda: len(running.records()) >= len(ids))
    assert [record.id for record in running.records()] == ids
    assert running.gateway.ledger_health()["dropped"] == 0


@pytest.mark.parametrize(("path", "model"), SAME)
def test_an_event_that_never_ends_ends_the_stream(shared: House, path: str, model: str) -> None:
    def endless(answer: Answer) -> Answer:
        piece = Send(b"x" * (1 << 20))
        return evolve(answer, moves=(*answer.after(6), Send(b"data: "), *[piece] * 100))

    shared.fails("endless", script(then=endless))
    answer = shared.client.post(path, json=message(TEXT, model.replace(":m", ":endless"), stream=True))
    assert "larger than" in error_in(path, answer.content)["message"]
    assert len(answer.content) < 100_000
    assert shared.record_of(answer).ending is Ending.FAILED
