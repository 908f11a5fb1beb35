"""The gateway as a process of its own: ``python -m lynkr_server``."""

import json
import re
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import httpx
import pytest
from attrs import define

from lynkr.settings import process_environment
from lynkr.testing import Simulator
from lynkr.testing.anthropic_grammar import validate_anthropic_stream
from lynkr.testing.children import clean_environment
from lynkr.testing.faults import drip, script, stall
from tests.server.running import Upstream, eventually, message, raw_request, settled, swollen, upstream

MESSAGES, CHAT = "/v1/messages", "/v1/chat/completions"
LONGEST = 20.0


@define
class Process:
    """A gateway under way."""

    popen: subprocess.Popen[str]
    url: str
    ledger: Path

    def stop(self) -> None:
        self.popen.send_signal(signal.SIGTERM)

    def ended(self) -> tuple[int, str]:
        """Exit status and standard error."""
        _, errors = self.popen.communicate(timeout=LONGEST)
        return self.popen.returncode, errors

    def rows(self) -> list[tuple[str, int, str | None]]:
        with closing(sqlite3.connect(self.ledger)) as connection:
            return connection.execute("select ending, status, error from requests order by at").fetchall()


@pytest.fixture
def below() -> Iterator[Upstream]:
    with upstream(Simulator()) as running:
        yield running


def environment(folder: Path, **more: str) -> dict[str, str]:
    return clean_environment(process_environment()) | {"HOME": str(folder), "PYTHONWARNINGS": "error"} | more


def configuration(folder: Path, url: str, server: str = "") -> Path:
    path = folder / "lynkr.toml"
    path.write_text(
        f"""
        [tiers]
        SIMPLE = ["chat:m"]
        REASONING = ["messages:m"]
        [providers.chat]
        kind = "openai"
        base_url = "{url}/v1"
        [providers.messages]
        kind = "anthropic"
        base_url = "{url}"
        [telemetry]
        path = "{folder}/ledger.sqlite3"
        [server]
        port = 0
        {server}
        """
    )
    return path


@pytest.fixture
def start(tmp_path: Path, below: Upstream) -> Iterator[Callable[..., Process]]:
    """Starts processes and ends what is left of them."""
    started: list[Process] = []

    def start(server: str = "", **variables: str) -> Process:
        command = [
            sys.executable,
            "-m",
            "lynkr_server",
            "--config",
            str(configuration(tmp_path, below.url, server)),
        ]
        popen = subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=environment(tmp_path, **variables),
        )
        assert popen.stdout is not None
        line = popen.stdout.readline()
        found = re.fullmatch(r"listening on (http://127\.0\.0\.1:\d+)\n", line)
        assert found is not None, line
        process = Process(popen, found[1], tmp_path / "ledger.sqlite3")
        started.append(process)
        return process

    yield start
    for process in started:
        if process.popen.poll() is None:
            process.popen.kill()
        process.popen.communicate()


@contextmanager
def streaming(process: Process, path: str, body: dict[str, object]) -> Iterator[Callable[[], bytes]]:
    """A stream whose first bytes have come; gives how to read the whole of it."""
    with (
        httpx.Client(base_url=process.url, timeout=LONGEST) as client,
        client.stream("POST", path, json=body) as answer,
    ):
        chunks = answer.iter_raw()
        first = next(chunks)
        yield lambda: first + b"".join(chunks)


def refused(process: Process) -> bool:
    """Whether new connections are."""
    host, _, port = process.url.removeprefix("http://").partition(":")
    try:
        socket.create_connection((host, int(port)), timeout=1).close()
    except ConnectionRefusedError:
        return True
    return False


@pytest.mark.parametrize(("path", "model"), [(MESSAGES, "messages:m"), (CHAT, "messages:m")])
def test_a_stream_under_way_is_finished_after_sigterm(
    start: Callable[..., Process], below: Upstream, path: str, model: str
) -> None:
    below.simulator.play(script(then=drip(0.05)))
    process = start("drain_seconds = 15")
    with streaming(process, path, message("tell me", model, stream=True)) as rest:
        process.stop()
        eventually(lambda: refused(process))
        assert process.popen.poll() is None
        received = rest()
    if path == MESSAGES:
        validate_anthropic_stream(received)
        assert b"message_stop" in received
    else:
        assert received.endswith(b"data: [DONE]\n\n")
    assert process.ended() == (0, "")
    assert process.rows() == [("ok", 200, None)]


@pytest.mark.parametrize("path", [MESSAGES, CHAT])
@pytest.mark.parametrize("model", ["messages:m", "chat:m"])
def test_when_the_grace_is_over_the_stream_ends_in_the_dialects_error(
    start: Callable[..., Process], below: Upstream, path: str, model: str
) -> None:
    below.simulator.play(script(then=stall(after=6)))
    process = start("drain_seconds = 1")
    with streaming(process, path, message("tell me", model, stream=True)) as rest:
        process.stop()
        received = rest()
    assert below.wait_until(lambda simulator: simulator.active == 0) < 1
    last = json.loads(received.rstrip().rpartition(b"data: ")[2])
    assert "shutting down" in last["error"]["message"]
    if path == MESSAGES:
        validate_anthropic_stream(received)
    else:
        assert b"[DONE]" not in received
    status, errors = process.ended()
    assert status == 0
    assert "Traceback" not in errors
    assert process.rows() == [("failed", 200, "GatewayClosed")]


def test_when_the_grace_is_over_what_has_no_answer_yet_is_told_503(
    start: Callable[..., Process], below: Upstream
) -> None:
    below.simulator.play(script(then=stall()))
    process = start("drain_seconds = 1")
    answers: list[httpx.Response] = []

    def ask(fields: dict[str, object]) -> None:
        body = message("tell me", "messages:m", **fields)
        answers.append(httpx.post(f"{process.url}{MESSAGES}", json=body, timeout=LONGEST))

    askers = [threading.Thread(target=ask, args=(fields,)) for fields in ({}, {"stream": True})]
    for asker in askers:
        asker.start()
    below.wait_until(lambda simulator: simulator.active == 2)
    process.stop()
    for asker in askers:
        asker.join(LONGEST)
    assert [answer.status_code for answer in answers] == [503, 503]
    assert {answer.json()["error"]["type"] for answer in answers} == {"api_error"}
    assert {answer.headers["retry-after"] for answer in answers} == {"1"}
    status, errors = process.ended()
    assert status == 0
    assert "Traceback" not in errors
    assert process.rows() == [("failed", 503, "GatewayClosed")] * 2


def test_a_client_that_does_not_read_cannot_hold_up_the_shutdown(
    start: Callable[..., Process], below: Upstream
) -> None:
    taken: list[int] = []
    below.simulator.play(script(then=swollen(taken, events=500)))
    process = start("drain_seconds = 1")
    with socket.socket() as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 32_768)
        sock.connect(("127.0.0.1", int(process.url.rpartition(":")[2])))
        sock.sendall(raw_request(CHAT, message("x", "chat:m", stream=True)))
        settled(lambda: len(taken))
        began = time.monotonic()
        process.stop()
        status, errors = process.ended()
    assert time.monotonic() - began < 10
    assert status == 0
    assert "does not read" in errors
    assert "Traceback" not in errors
    assert process.rows() == [("failed", 200, "GatewayClosed")]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_with_nothing_to_do_it_ends_at_once(start: Callable[..., Process], number: signal.Signals) -> None:
    process = start()
    with httpx.Client(base_url=process.url) as idle:  # an idle connection is nothing to wait for
        assert idle.get("/health/ready").status_code == 200
        began = time.monotonic()
        process.popen.send_signal(number)
        assert process.ended() == (0, "")
    assert time.monotonic() - began < 5


def test_a_second_signal_does_not_wait(start: Callable[..., Process], below: Upstream) -> None:
    below.simulator.play(script(then=stall(after=6)))
    process = start("drain_seconds = 60")
    with streaming(process, CHAT, message("tell me", "chat:m", stream=True)):
        process.stop()
        eventually(lambda: refused(process))
        process.stop()
        status, _ = process.ended()
    assert status == 1
    assert process.rows() == [("failed", 200, "GatewayClosed")]


# --- Starts that fail ---------------------------------------------------------------------------------


def run(folder: Path, *arguments: str, **more: str) -> tuple[int, str, str]:
    done = subprocess.run(
        [sys.executable, "-m", "lynkr_server", *arguments],
        capture_output=True,
        text=True,
        timeout=LONGEST,
        env=environment(folder, **more),
        check=False,
    )
    return done.returncode, done.stdout, done.stderr


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.7"])
def test_an_open_address_without_a_key_is_refused_in_one_line(tmp_path: Path, host: str) -> None:
    path = configuration(tmp_path, "http://127.0.0.1:9")
    status, out, errors = run(tmp_path, "--config", str(path), "--host", host)
    assert (status, out) == (2, "")
    assert errors.startswith("lynkr: ")
    assert errors.count("\n") == 1
    assert "server.host" in errors
    assert "LYNKR_SERVER_API_KEY" in errors


def test_a_taken_port_is_told_in_one_line(tmp_path: Path) -> None:
    path = configuration(tmp_path, "http://127.0.0.1:9")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        status, out, errors = run(tmp_path, "--config", str(path), "--port", port)
    assert (status, out) == (1, "")
    assert errors.startswith(f"lynkr: cannot listen on 127.0.0.1 port {port}: ")
    assert errors.count("\n") == 1


def test_an_address_of_another_machine_is_told_in_one_line(tmp_path: Path) -> None:
    path = configuration(tmp_path, "http://127.0.0.1:9")
    status, _, errors = run(
        tmp_path, "--config", str(path), "--host", "192.0.2.7", LYNKR_SERVER_API_KEY="k" * 20
    )
    assert status == 1
    assert errors.startswith("lynkr: cannot listen on 192.0.2.7")
    assert errors.count("\n") == 1


def test_a_wrong_setting_is_told_in_one_line(tmp_path: Path) -> None:
    path = configuration(tmp_path, "http://127.0.0.1:9", "prot = 1")
    status, _, errors = run(tmp_path, "--config", str(path))
    assert status == 2
    assert "prot" in errors
    assert "port" in errors
    assert "Traceback" not in errors


def test_a_ledger_that_cannot_be_written_is_told_before_it_listens(tmp_path: Path) -> None:
    path = configuration(tmp_path, "http://127.0.0.1:9")
    (tmp_path / "ledger.sqlite3").write_text("this is no database, and longer than a header would be " * 40)
    status, out, errors = run(tmp_path, "--config", str(path))
    assert (status, out) == (2, "")
    assert errors.startswith("lynkr: ")
    assert errors.count("\n") == 1
    assert "ledger.sqlite3" in errors


def test_ipv6_loopback_is_listened_on(tmp_path: Path) -> None:
    if not socket.has_ipv6:
        pytest.skip("no IPv6 on this machine")
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        pytest.skip("no IPv6 on this machine")
    path = configuration(tmp_path, "http://127.0.0.1:9")
    popen = subprocess.Popen(
        [sys.executable, "-m", "lynkr_server", "--config", str(path), "--host", "::1"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(tmp_path),
    )
    try:
        assert popen.stdout is not None
        url = popen.stdout.readline().removeprefix("listening on ").strip()
        assert url.startswith("http://[::1]:")
        assert httpx.get(f"{url}/health/live").status_code == 200
        popen.terminate()
        _, errors = popen.communicate(timeout=LONGEST)
        assert (popen.returncode, errors) == (0, "")
    finally:
        popen.kill()
        popen.communicate()


def test_each_request_is_a_line_of_json_on_standard_error_where_asked_for(
    start: Callable[..., Process],
) -> None:
    process = start(LYNKR_TELEMETRY_LOG_REQUESTS="true")
    with httpx.Client(base_url=process.url, timeout=LONGEST) as client:
        answers = [client.post(path, json=message("a secret plan")) for path in (CHAT, MESSAGES)]
    process.stop()
    status, errors = process.ended()
    assert (status, "secret plan" in errors) == (0, False)
    lines = [json.loads(line) for line in errors.splitlines()]
    assert [line["id"] for line in lines] == [answer.headers["x-lynkr-decision-id"] for answer in answers]
    assert [line["dialect"] for line in lines] == ["openai_chat", "anthropic_messages"]
    assert {line["ending"] for line in lines} == {"ok"}
