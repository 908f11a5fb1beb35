"""Many at once, none too many, and clients that talk nonsense."""

import asyncio
import json
import random
import socket
from collections.abc import Callable

import aiohttp
import pytest

from lynkr.telemetry.record import Ending
from lynkr.testing import Simulator
from lynkr.testing.anthropic_grammar import validate_anthropic_stream
from lynkr.testing.faults import script, stall
from tests.gateway.house import EASY, HARD
from tests.server.running import House, eventually, message, raw_request, read_to_end

MESSAGES, CHAT = "/v1/messages", "/v1/chat/completions"


async def ask_many(url: str, bodies: list[tuple[str, dict[str, object]]]) -> list[tuple[int, str, bytes]]:
    """Send every body at once; status, decision id and answer of each."""
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(url, connector=connector) as session:

        async def ask(path: str, body: dict[str, object]) -> tuple[int, str, bytes]:
            async with session.post(path, json=body) as answer:
                return answer.status, answer.headers.get("x-lynkr-decision-id", ""), await answer.read()

        return await asyncio.gather(*(ask(path, body) for path, body in bodies))


def test_two_hundred_at_once_each_get_their_own_answer_and_record(serve: Callable[..., House]) -> None:
    running = serve()
    bodies = [
        (
            (MESSAGES, CHAT)[number % 2],
            message(f"{(EASY, HARD)[number // 2 % 2]} number-{number}", stream=number // 4 % 2 == 0),
        )
        for number in range(200)
    ]
    answers = asyncio.run(ask_many(running.url, bodies))
    for (path, body), (status, _, answer) in zip(bodies, answers, strict=True):
        assert status == 200
        content = body["messages"][0]["content"]  # type: ignore[index]
        assert spoken(path, answer, stream=bool(body["stream"])).endswith(content.rpartition(" ")[2])
    ids = {decision for _, decision, _ in answers}
    assert len(ids) == 200
    eventually(lambda: {record.id for record in running.records()} == ids)
    assert {record.ending for record in running.records()} == {Ending.OK}


def spoken(path: str, answer: bytes, *, stream: bool) -> str:
    """The words of an answer."""
    if not stream:
        whole = json.loads(answer)
        return str(
            whole["content"][0]["text"] if path == MESSAGES else whole["choices"][0]["message"]["content"]
        )
    if path == MESSAGES:
        validate_anthropic_stream(answer)
    lines = [line[6:] for line in answer.decode().splitlines() if line.startswith("data: {")]
    events = [json.loads(line) for line in lines]
    if path == MESSAGES:
        return "".join(event["delta"].get("text", "") for event in events if "delta" in event)
    return "".join(
        choice["delta"].get("content") or "" for event in events for choice in event.get("choices", ())
    )


def test_one_more_than_allowed_is_told_to_come_back(serve: Callable[..., House]) -> None:
    running = serve(
        Simulator(default=script(then=stall())), **{"server.max_in_flight": 2, "server.max_queued": 0}
    )
    waiting = [running.connect() for _ in range(2)]
    for sock in waiting:
        sock.sendall(raw_request(MESSAGES, message(EASY)))
    running.upstream.wait_until(lambda simulator: simulator.active == 2)
    for path in (MESSAGES, CHAT, "/v1/messages/count_tokens"):
        answer = running.client.post(path, json=message(EASY))
        assert answer.status_code == 503
        assert int(answer.headers["retry-after"]) >= 1
        assert "2 requests" in answer.json()["error"]["message"]
    assert running.client.get("/health/ready").status_code == 200
    waiting.pop().close()
    eventually(lambda: running.simulator.active == 1)
    running.simulator.play(script())
    eventually(lambda: running.client.post(CHAT, json=message(EASY)).status_code == 200)
    waiting.pop().close()


def test_a_connection_serves_on_after_every_kind_of_error(shared: House) -> None:
    requests = [
        raw_request(MESSAGES, b"{"),
        raw_request("/nowhere", {}),
        raw_request(MESSAGES, {}, method="PUT"),
        raw_request(CHAT, message("x", model="y"), "content-encoding: br"),
        raw_request(CHAT, message("x"), "origin: https://evil.example"),
        raw_request(MESSAGES, message(EASY, stream=True)),
        raw_request(CHAT, message("x", "chat:m")),
    ]
    statuses = []
    with shared.connect() as sock:
        for request in requests:
            sock.sendall(request)
            statuses.append(read_answer(sock))
    assert statuses == [400, 404, 405, 415, 403, 200, 200]


def read_answer(sock: socket.socket) -> int:
    """Read one whole answer, framed either way; its status."""
    received = b""
    while b"\r\n\r\n" not in received:
        received += _some(sock)
    head, _, body = received.partition(b"\r\n\r\n")
    lines = head.lower().split(b"\r\n")
    length = next((int(line[16:]) for line in lines if line.startswith(b"content-length: ")), None)
    while len(body) < length if length is not None else not body.endswith(b"0\r\n\r\n"):
        body += _some(sock)
    return int(lines[0].split()[1])


def _some(sock: socket.socket) -> bytes:
    chunk = sock.recv(65_536)
    assert chunk, "the connection was closed"
    return chunk


GARBAGE = [
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(200),  # a TLS greeting
    b"\x00" * 1000,
    b"GET\r\n\r\n",
    b"GET / HTTP/9.9\r\n\r\n",
    b"POST /v1/messages HTTP/1.1\r\nhost: x\r\ncontent-length: -5\r\n\r\n{}",
    b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 1\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
    b"POST /v1/messages HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n",
    b"POST /v1/messages HTTP/1.1\r\nhost : x\r\n\r\n",
    b"POST \xff\xfe HTTP/1.1\r\nhost: x\r\n\r\n",
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
]


@pytest.mark.parametrize("garbage", GARBAGE, ids=range(len(GARBAGE)))
def test_garbage_is_refused_and_the_next_client_is_served(shared: House, garbage: bytes) -> None:
    with shared.connect() as sock:
        sock.sendall(garbage)
        sock.shutdown(socket.SHUT_WR)
        received = read_to_end(sock)
    assert received == b"" or received.startswith(b"HTTP/1.1 400 ")
    if received:
        assert json.loads(received.rpartition(b"\r\n\r\n")[2])["error"]["type"] == "invalid_request_error"
    assert shared.client.post(MESSAGES, json=message(EASY)).status_code == 200


def test_random_bytes_and_broken_off_requests_leave_it_serving(shared: House) -> None:
    seed = random.Random(7)
    whole = raw_request(CHAT, message(HARD, stream=True))
    for _ in range(60):
        with shared.connect() as sock:
            cut = bytearray(whole[: seed.randrange(1, len(whole))])
            for _ in range(seed.randrange(3)):
                cut[seed.randrange(len(cut))] = seed.randrange(256)
            sock.sendall(cut)
    assert shared.client.post(CHAT, json=message(EASY)).status_code == 200
    eventually(lambda: shared.simulator.active == 0)


def test_a_websocket_is_not_offered(shared: House) -> None:
    upgrade = (
        "connection: upgrade",
        "upgrade: websocket",
        "sec-websocket-version: 13",
        "sec-websocket-key: eA==",
    )
    with shared.connect() as sock:
        sock.sendall(raw_request("/v1/messages", b"", *upgrade, method="GET"))
        assert read_answer(sock) == 405


def test_pipelined_requests_are_answered_in_order(shared: House) -> None:
    with shared.connect() as sock:
        first = raw_request(MESSAGES, message(EASY), "connection: keep-alive")
        second = raw_request("/nowhere", {}, "connection: close")
        sock.sendall(first + second)
        received = read_to_end(sock)
    statuses = [int(part[:3]) for part in received.split(b"HTTP/1.1 ")[1:]]
    assert statuses == [200, 404]
