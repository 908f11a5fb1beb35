"""Malformed requests over real sockets: refused in the dialect's envelope, and the next one is served."""

import json
import socket

import pytest

from tests.server.running import House, message, raw_request, read_to_end

MESSAGES, CHAT, RESPONSES = "/v1/messages", "/v1/chat/completions", "/v1/responses"
VALID = {
    MESSAGES: message("hi"),
    CHAT: message("hi"),
    RESPONSES: {"model": "lynkr-auto", "input": "hi"},
}
each_path = pytest.mark.parametrize("path", VALID)


def exchange(house: House, sent: bytes, *, half_close: bool = False) -> bytes:
    """All the gateway says to *sent*; `PATIENCE` bounds the wait."""
    with house.connect() as sock:
        sock.sendall(sent)
        if half_close:
            sock.shutdown(socket.SHUT_WR)
        return read_to_end(sock)


def refusal_in(path: str, received: bytes) -> dict[str, str]:
    head, _, body = received.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 400 "), received
    said = json.loads(body)
    assert (said.get("type") == "error") is (path == MESSAGES)
    error: dict[str, str] = said["error"]
    assert error["type"] == "invalid_request_error"
    return error


def is_served(house: House, path: str) -> bool:
    return house.client.post(path, json=VALID[path]).status_code == 200


@each_path
@pytest.mark.parametrize(
    "change",
    [
        {"model": None},
        {"model": []},
        {"temperature": "hot"},
        {"tools": [{"type": []}]},
        {"stream": "yes"},
        {"messages": {}, "input": {}},
    ],
)
def test_a_spoiled_field_is_named(shared: House, path: str, change: dict[str, object]) -> None:
    other = "messages" if path == RESPONSES else "input"
    spoiled = {name: value for name, value in change.items() if name != other}
    sent = raw_request(path, {**VALID[path], **spoiled}, "connection: close")
    error = refusal_in(path, exchange(shared, sent))
    (name,) = spoiled
    assert error["message"].startswith(name)
    if path != MESSAGES:
        assert str(error["param"]).startswith(name)
    assert is_served(shared, path)


@each_path
def test_a_length_that_is_too_small_leaves_a_cut_body(shared: House, path: str) -> None:
    data = json.dumps(VALID[path]).encode()
    head = f"POST {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: {len(data) - 1}\r\n\r\n"
    error = refusal_in(path, exchange(shared, head.encode() + data))
    assert "not valid JSON" in error["message"]
    assert is_served(shared, path)


@each_path
def test_a_length_that_is_too_large_waits_for_the_client_and_ends_with_it(shared: House, path: str) -> None:
    before = len(shared.simulator.requests)
    data = json.dumps(VALID[path]).encode()
    head = f"POST {path} HTTP/1.1\r\nhost: x\r\ncontent-length: {len(data) + 1}\r\n\r\n"
    received = exchange(shared, head.encode() + data, half_close=True)
    assert received == b"" or received.startswith(b"HTTP/1.1 400 ")
    assert len(shared.simulator.requests) == before
    assert is_served(shared, path)


@each_path
@pytest.mark.parametrize("length", ["-1", "1e3", "0x10", "nobody", "7, 8"])
def test_a_length_that_is_none_is_refused(shared: House, path: str, length: str) -> None:
    head = f"POST {path} HTTP/1.1\r\nhost: x\r\ncontent-length: {length}\r\n\r\n"
    received = exchange(shared, head.encode() + b"{}")
    assert received.startswith(b"HTTP/1.1 400 ")
    assert is_served(shared, path)


@each_path
def test_chunks_without_an_end_hold_up_nobody(shared: House, path: str) -> None:
    head = f"POST {path} HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n"
    with shared.connect() as sock:
        sock.sendall(head.encode() + b"1\r\n{\r\n")
        assert is_served(shared, path)
    assert is_served(shared, path)


@each_path
@pytest.mark.parametrize(
    "chunk", [b"zz\r\n{}\r\n0\r\n\r\n", b"-1\r\n{}\r\n0\r\n\r\n", b"2\r\n{}{}\r\n0\r\n\r\n"]
)
def test_chunks_that_are_none_are_refused(shared: House, path: str, chunk: bytes) -> None:
    head = f"POST {path} HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n"
    assert exchange(shared, head.encode() + chunk).startswith(b"HTTP/1.1 400 ")
    assert is_served(shared, path)


def test_a_body_whose_dialect_is_guessed_may_be_spoiled_too(shared: House) -> None:
    body = message("hi", messages=[{"role": "user", "content": [{"type": []}]}])
    answer = shared.client.post("/v1/route", json=body)
    assert answer.status_code < 500, answer.text
