"""`lynkr serve --workers N` as a real command: one port, one gateway, however its processes fare."""

import json
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

import httpx
import pytest

from lynkr.testing import Simulator, drip, script, status
from tests.server.running import Upstream, eventually, message, upstream
from tests.server.test_process import (
    CHAT,
    LONGEST,
    MESSAGES,
    Process,
    configuration,
    environment,
    refused,
    run,
    start,
    streaming,
)

__all__ = ["start"]

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="workers are forked")
TWO = "workers = 2\nmetrics_open = true"


@pytest.fixture
def below() -> Iterator[Upstream]:
    with upstream(Simulator({"slow": script(then=drip(0.05)), "slower": script(then=drip(0.5))})) as running:
        yield running


def children(pid: int) -> set[int]:
    """The processes whose parent is *pid* and that have not ended."""
    found = set()
    for entry in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, parent = entry.read_text().rpartition(")")[2].split()[:2]
        except (FileNotFoundError, ProcessLookupError):
            continue
        if int(parent) == pid and state != "Z":
            found.add(int(entry.parent.name))
    return found


@contextmanager
def client_of(process: Process, worker: int) -> Iterator[httpx.Client]:
    """A client whose one connection leads to that worker."""
    deadline = time.monotonic() + LONGEST
    while time.monotonic() < deadline:
        with httpx.Client(base_url=process.url, timeout=LONGEST) as client:
            if client.get("/health/ready").json()["worker"] == worker:
                yield client
                return
    raise AssertionError(f"worker {worker} was not met within {LONGEST} s")


def rows(process: Process) -> int:
    with closing(sqlite3.connect(process.ledger)) as connection:
        return int(connection.execute("select count(*) from requests").fetchone()[0])


def ask(client: httpx.Client, model: str = "chat:m", **fields: object) -> int:
    return client.post(CHAT, json=message("hello", model, **fields)).status_code


def test_two_workers_serve_one_port_and_every_answer_is_one_row(start: Callable[..., Process]) -> None:
    process = start(TWO)
    assert len(children(process.popen.pid)) == 2
    with client_of(process, 1) as one, client_of(process, 2) as two, ThreadPoolExecutor(4) as pool:
        clients = [one, two] * 20
        assert set(pool.map(ask, clients)) == {200}
        eventually(lambda: rows(process) == len(clients))
        answer = one.post(MESSAGES, json=message("hello"))
        told = answer.headers["x-lynkr-decision-id"]
        feedback = {"request_id": told, "verdict": "right"}
        eventually(lambda: two.post("/v1/feedback", json=feedback).status_code == 200)
    process.stop()
    assert process.ended() == (0, "")
    assert rows(process) == len(clients) + 1
    left = [path.name for path in process.ledger.parent.iterdir() if ".run-" in path.name]
    assert left == [], "what only this run needed is gone"
    modes = {path.name: path.stat().st_mode & 0o777 for path in process.ledger.parent.glob("ledger.*sqlite3")}
    assert modes == dict.fromkeys(("ledger.sqlite3", "ledger.breakers.sqlite3", "ledger.pins.sqlite3"), 0o600)


def test_a_killed_worker_is_replaced_and_costs_nobody_else_a_request(start: Callable[..., Process]) -> None:
    process = start(TWO)
    with client_of(process, 1) as spared, client_of(process, 2) as struck:
        before = children(process.popen.pid)
        served: list[int] = []
        over = threading.Event()

        def load() -> None:
            while not over.is_set():
                served.append(ask(spared))

        def arrive() -> None:
            """Clients that come anew: none is turned away, whoever is there to serve it."""
            while not over.is_set():
                with httpx.Client(base_url=process.url, timeout=LONGEST) as client:
                    try:
                        served.append(ask(client))
                    except (httpx.RemoteProtocolError, httpx.ReadError):
                        cut.append(client)

        cut: list[httpx.Client] = []
        threads = [threading.Thread(target=load), *(threading.Thread(target=arrive) for _ in range(2))]
        for thread in threads:
            thread.start()
        victim = _pid_of_peer(struck, before)
        eventually(lambda: len(served) > 20)
        os.kill(victim, signal.SIGKILL)
        with pytest.raises(httpx.TransportError):
            ask(struck)
        eventually(lambda: len(children(process.popen.pid) - {victim}) == 2)
        done = len(served)
        eventually(lambda: len(served) > done + 40)
        over.set()
        for thread in threads:
            thread.join(LONGEST)
    assert set(served) == {200}
    assert len(cut) <= 2, "only what the killed worker had in hand"
    with client_of(process, 2) as replaced:
        assert ask(replaced) == 200
    process.stop()
    status, errors = process.ended()
    assert status == 0
    assert f"worker 2 (process {victim}) ended (killed by SIGKILL); another takes its place" in errors
    assert "Traceback" not in errors


def _pid_of_peer(client: httpx.Client, pids: set[int]) -> int:
    """Whose of *pids* the client's connection leads to, by the kernel's tables."""
    transport = client._transport
    assert isinstance(transport, httpx.HTTPTransport)
    stream = transport._pool.connections[0]._connection._network_stream  # type: ignore[attr-defined]
    port = stream.get_extra_info("socket").getsockname()[1]
    lines = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    (inode,) = [line[9] for line in lines if line[2].endswith(f":{port:04X}")]
    for pid in pids:
        for number in Path(f"/proc/{pid}/fd").iterdir():
            if str(number.readlink()) == f"socket:[{inode}]":
                return pid
    raise AssertionError("no worker holds the connection")


def test_sigterm_ends_what_is_under_way_at_every_worker(start: Callable[..., Process]) -> None:
    process = start(f"{TWO}\ndrain_seconds = 15")
    with ExitStack() as stack:
        streams = []
        for worker in (1, 2):
            client = stack.enter_context(client_of(process, worker))
            body = message("tell me", "chat:slow", stream=True)
            answer = stack.enter_context(client.stream("POST", CHAT, json=body))
            chunks = answer.iter_raw()
            streams.append((next(chunks), chunks))
        process.stop()
        eventually(lambda: refused(process))
        for first, rest in streams:
            assert (first + b"".join(rest)).endswith(b"data: [DONE]\n\n")
    assert process.ended() == (0, "")
    assert process.rows() == [("ok", 200, None)] * 2


def test_a_second_signal_does_not_wait(start: Callable[..., Process], below: Upstream) -> None:
    process = start(f"{TWO}\ndrain_seconds = 60")
    with streaming(process, CHAT, message("tell me", "chat:slow", stream=True)):
        process.stop()
        eventually(lambda: refused(process))
        process.stop()
        assert process.ended()[0] == 1
    assert process.rows() == [("failed", 200, "GatewayClosed")]


def test_an_interrupt_of_the_whole_group_drains_once(start: Callable[..., Process]) -> None:
    """A terminal sends SIGINT, and systemd SIGTERM, to parent and workers alike."""
    for number in (signal.SIGINT, signal.SIGTERM):
        process = start(f"{TWO}\ndrain_seconds = 15")
        with streaming(process, CHAT, message("tell me", "chat:slow", stream=True)) as rest:
            for pid in (*children(process.popen.pid), process.popen.pid):
                os.kill(pid, number)
            assert rest().endswith(b"data: [DONE]\n\n")
        assert process.ended()[0] == 0


def test_a_worker_told_to_end_is_replaced_before_it_has(start: Callable[..., Process]) -> None:
    process = start(f"{TWO}\ndrain_seconds = 30")
    before = children(process.popen.pid)
    with client_of(process, 1) as client:
        worker = _pid_of_peer(client, before)
        with client.stream("POST", CHAT, json=message("tell me", "chat:slow", stream=True)) as answer:
            chunks = answer.iter_raw()
            first = next(chunks)
            os.kill(worker, signal.SIGTERM)
            eventually(lambda: len(children(process.popen.pid)) == 3)
            with client_of(process, 1) as other:
                assert ask(other) == 200
            assert (first + b"".join(chunks)).endswith(b"data: [DONE]\n\n")
    eventually(lambda: len(children(process.popen.pid)) == 2)
    assert worker not in children(process.popen.pid)
    process.stop()
    assert process.ended() == (0, "")


def test_workers_end_when_their_parent_is_killed(start: Callable[..., Process]) -> None:
    process = start(TWO)
    workers = children(process.popen.pid)
    process.popen.kill()
    process.popen.wait(LONGEST)
    eventually(lambda: not any(Path(f"/proc/{pid}/fd").exists() for pid in workers))
    assert refused(process)
    (left,) = process.ledger.parent.glob("*.run-*")
    again = start(TWO)
    assert not left.exists(), "the next run clears away what a killed one left"
    again.stop()
    assert again.ended()[0] == 0


def states(process: Process) -> list[dict[str, object]]:
    found = []
    for worker in (1, 2):
        with client_of(process, worker) as client:
            found.append(client.get("/health/ready").json()["configuration"])
    return found


def test_sighup_gives_every_worker_the_new_settings_or_none(
    start: Callable[..., Process], tmp_path: Path, below: Upstream
) -> None:
    process = start(TWO)
    workers = children(process.popen.pid)

    def rewrite(simple: str) -> None:
        path = configuration(tmp_path, below.url, TWO)
        path.write_text(path.read_text().replace('SIMPLE = ["chat:m"]', f'SIMPLE = ["{simple}"]'))

    def hang_up() -> None:
        process.popen.send_signal(signal.SIGHUP)

    def models() -> set[str]:
        found = set()
        for worker in (1, 2):
            with client_of(process, worker) as client:
                found.add(client.post(CHAT, json=message("hi")).headers["x-lynkr-model"])
        return found

    with streaming(process, CHAT, message("tell me", "chat:slow", stream=True)) as rest:
        rewrite("chat:new")
        hang_up()
        good = {"reloads": 1, "failed_reloads": 0, "current": True}
        eventually(lambda: states(process) == [good, good])
        assert models() == {"new"}
        assert rest().endswith(b"data: [DONE]\n\n")
    rewrite("nowhere:m")
    hang_up()
    bad = {"reloads": 1, "failed_reloads": 1, "current": False}
    eventually(lambda: states(process) == [bad, bad])
    assert models() == {"new"}
    # Read without a fault, but no gateway can be made of it: found out before any worker is told.
    path = configuration(tmp_path, below.url, f'{TWO}\n[pricing]\npath = "{tmp_path}/no-such-prices.json"')
    hang_up()
    eventually(lambda: [state["failed_reloads"] for state in states(process)] == [2, 2])
    assert models() == {"new"}
    path.write_text(path.read_text().replace("workers = 2", "workers = 3").replace("no-such", "none"))
    rewrite("chat:mended")
    hang_up()
    eventually(lambda: [state["current"] for state in states(process)] == [True, True])
    os.kill(min(workers), signal.SIGKILL)
    eventually(lambda: len(children(process.popen.pid) - {min(workers)}) == 2)
    assert models() == {"mended"}, "also of a worker that was started after"
    process.stop()
    status, errors = process.ended()
    assert status == 0
    assert errors.count("those before stay in force") == 2
    assert "nowhere" in errors
    assert "pricing.path" in errors
    assert "Traceback" not in errors


TENANT = """
        [pricing.overrides]
        "chat:m" = { input = 100.0, output = 100.0 }
        [tenants.acme]
        api_key = "a-key-of-acme-s-clients"
        budget_usd_per_day = 0.05
        [tenants.brisk]
        api_key = "a-key-of-brisk-s-clients"
        requests_per_minute = 20
"""


def test_a_budget_and_a_rate_are_those_of_all_workers_together(start: Callable[..., Process]) -> None:
    process = start(f"{TWO}\n{TENANT}", LYNKR_PROVIDERS_CHAT_LOCAL="false")

    def asks(tenant: str, client: httpx.Client) -> list[int]:
        """What one client is answered until it is refused."""
        key = {"authorization": f"Bearer a-key-of-{tenant}-s-clients"}
        found: list[int] = []
        while len(found) < 100 and (not found or found[-1] == 200):
            found.append(client.post(CHAT, json=message("hello", "chat:m"), headers=key).status_code)
        return found

    with ExitStack() as stack, ThreadPoolExecutor(4) as pool:
        clients = [stack.enter_context(client_of(process, worker)) for worker in (1, 2, 1, 2)]
        brisk = list(pool.map(lambda client: asks("brisk", client), clients))
        acme = list(pool.map(lambda client: asks("acme", client), clients))
    served = [sum(status == 200 for status in found) for found in brisk]
    assert {found[-1] for found in brisk} == {429}
    assert 20 <= sum(served) <= 20 + 20 / 60 * LONGEST, "not twice the rate"
    assert {found[-1] for found in acme} == {402}
    process.stop()
    assert process.ended() == (0, "")
    with closing(sqlite3.connect(process.ledger)) as connection:
        spent = connection.execute(
            "select sum(cost_microusd) from requests where tenant = 'acme'"
        ).fetchone()[0]
        rows = connection.execute("select count(*) from requests where status = 200").fetchone()[0]
    # A request reserves about 7 cents of a hundred, and costs two.
    assert 50_000 - 20_000 < spent <= 50_000
    assert rows == sum(served) + sum(status == 200 for found in acme for status in found)


def test_a_conversation_goes_on_at_whichever_worker_gets_it(
    start: Callable[..., Process], below: Upstream
) -> None:
    process = start(TWO)
    with client_of(process, 1) as one, client_of(process, 2) as two:

        def respond(client: httpx.Client, text: str, previous: str | None) -> dict[str, object]:
            body = {"model": "messages:m", "input": text, "previous_response_id": previous}
            answer = client.post("/v1/responses", json={name: v for name, v in body.items() if v})
            assert answer.status_code == 200, answer.text
            found: dict[str, object] = answer.json()
            return found

        first = respond(one, "the first word is marmalade", None)
        second = respond(two, "and the second is anchovy", str(first["id"]))
        respond(one, "which were they?", str(second["id"]))
        sent = below.simulator.requests[-1].body.decode()
        assert "marmalade" in sent
        assert "anchovy" in sent
        (folder,) = process.ledger.parent.glob("*.run-*")
        assert folder.stat().st_mode & 0o777 == 0o700
        assert (folder / "responses.sqlite3").stat().st_mode & 0o777 == 0o600
        # A stream's answer can be gone on from as soon as its last byte is there, and not later.
        body = {"model": "messages:m", "input": "a third is quince", "stream": True}
        for _ in range(5):
            streamed = one.post("/v1/responses", json=body).text
            told = json.loads(streamed.rstrip().rpartition("data: ")[2])
            assert told["type"] == "response.completed"
            respond(two, "which was it?", told["response"]["id"])
        unknown = {"model": "messages:m", "input": "x", "previous_response_id": "resp_lynkr_none"}
        assert two.post("/v1/responses", json=unknown).status_code == 400
    process.stop()
    assert process.ended() == (0, "")
    assert not folder.exists()
    assert not any("marmalade" in path.read_text("latin-1") for path in process.ledger.parent.glob("ledger*"))


def figures(client: httpx.Client) -> dict[str, float]:
    """The metrics that a scrape of one worker shows, by name; label sets added up."""
    found: dict[str, float] = {}
    for line in client.get("/metrics").text.splitlines():
        name, _, value = line.rpartition(" ")
        if not line.startswith("#"):
            name = name.partition("{")[0]
            found[name] = found.get(name, 0.0) + float(value)
    return found


def test_any_worker_tells_the_metrics_and_the_health_of_all(start: Callable[..., Process]) -> None:
    process = start(TWO)
    before = children(process.popen.pid)
    with client_of(process, 1) as one, client_of(process, 2) as two:
        for client in (one, one, one, two, two):
            assert ask(client) == 200
        for client in (one, two):
            eventually(lambda client=client: figures(client)["lynkr_requests_total"] == 5)
            eventually(lambda client=client: client.get("/health/ready").json()["ledger"]["written"] == 5)
            assert client.get("/health/ready").json()["workers"] == 2
            assert figures(client)["lynkr_attempts_total"] == 5
        victim = _pid_of_peer(two, before)
        with two.stream("POST", CHAT, json=message("tell me", "chat:slower", stream=True)) as answer:
            chunks = answer.iter_raw()
            next(chunks)
            eventually(lambda: figures(one)["lynkr_open_streams"] == 1)
            os.kill(victim, signal.SIGKILL)
        eventually(lambda: figures(one)["lynkr_open_streams"] == 0)
        assert figures(one)["lynkr_requests_total"] == 5, "what a worker counted outlasts it"
    with client_of(process, 2) as replaced:
        assert ask(replaced) == 200
        eventually(lambda: figures(replaced)["lynkr_requests_total"] == 6)
        process.popen.send_signal(signal.SIGHUP)
        eventually(lambda: replaced.get("/health/ready").json()["configuration"]["reloads"] == 1)
        assert ask(replaced) == 200
        eventually(lambda: figures(replaced)["lynkr_requests_total"] == 7)


def test_who_logs_in_at_one_worker_is_known_to_all_and_logged_out_of_all(
    start: Callable[..., Process],
) -> None:
    process = start(TWO, LYNKR_SERVER_ADMIN_KEY="an-admin-key-of-some-length")
    with client_of(process, 1) as one, client_of(process, 2) as two:

        def admitted(client: httpx.Client, cookie: str) -> bool:
            answer = client.get("/dashboard/api/session", headers={"cookie": cookie})
            return bool(answer.json()["admitted"])

        told = one.post("/dashboard/api/login", json={"key": "an-admin-key-of-some-length"})
        cookie = told.headers["set-cookie"].partition(";")[0]
        one.cookies.clear()
        assert [admitted(client, cookie) for client in (one, two)] == [True, True]
        overview = two.get("/dashboard/api/overview", headers={"cookie": cookie})
        assert overview.json()["live"] == 0
        two.post("/dashboard/api/logout", headers={"cookie": cookie})
        assert [admitted(client, cookie) for client in (one, two)] == [False, False]
        wrong = [
            client.post("/dashboard/api/login", json={"key": "a-wrong-key-of-some-length"}).status_code
            for _ in range(8)
            for client in (one, two)
        ]
        assert wrong.count(401) <= 11, "all together allow no more guesses than one would"
        assert wrong[-1] == 429


def test_a_circuit_that_opens_at_one_worker_is_open_at_all(
    start: Callable[..., Process], below: Upstream
) -> None:
    below.simulator.play(script(then=status(500)), "broken")
    process = start(f"{TWO}\n[resilience]\nmax_attempts = 1")
    with client_of(process, 1) as one, client_of(process, 2) as two:

        def opened(client: httpx.Client) -> bool:
            return bool(client.get("/health/ready").json()["circuits_open"])

        assert not opened(two)
        for _ in range(5):
            assert ask(one, "chat:broken") >= 500
        eventually(lambda: opened(one) and opened(two), within=3)


PATIENT = """
import sys
from functools import partial
import lynkr_server.workers as workers
from lynkr_server.__main__ import main
workers.Supervisor = partial(workers.Supervisor, patience=3.0)
sys.exit(main(sys.argv[1:]))
"""


def test_a_worker_that_stands_still_is_killed_and_replaced(tmp_path: Path, below: Upstream) -> None:
    path = configuration(tmp_path, below.url, TWO)
    with subprocess.Popen(
        [sys.executable, "-c", PATIENT, "--config", str(path)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(tmp_path),
    ) as popen:
        try:
            assert popen.stdout is not None
            url = popen.stdout.readline().removeprefix("listening on ").strip()
            process = Process(popen, url, tmp_path / "ledger.sqlite3")
            stuck = min(children(popen.pid))
            os.kill(stuck, signal.SIGSTOP)
            eventually(lambda: len(children(popen.pid) - {stuck}) == 2)
            for worker in (1, 2):
                with client_of(process, worker) as client:
                    assert ask(client) == 200
            process.stop()
            code, errors = process.ended()
            assert code == 0
            assert "has not answered; it is killed" in errors
        finally:
            popen.kill()


# --- Starts that fail, and workers that do ------------------------------------------------------------


@pytest.mark.parametrize(
    ("server", "told"),
    [
        ('workers = 2\n[telemetry]\npath = ":memory:"', "telemetry.path keeps the ledger in memory"),
        ("workers = 2\nmax_in_flight = 1", "server.max_in_flight is less than server.workers"),
        ("workers = 0", "server.workers must be more than 0"),
    ],
)
def test_what_workers_cannot_share_is_told_with_key_and_fix(tmp_path: Path, server: str, told: str) -> None:
    path = configuration(tmp_path, "http://127.0.0.1:9", server)
    if "[telemetry]" in server:
        text = path.read_text()
        own = text.index("[telemetry]")
        path.write_text(text[:own] + text[text.index("[server]") :])
    status, out, errors = run(tmp_path, "--config", str(path))
    assert (status, out) == (2, "")
    assert told in errors
    assert str(path) in errors
    assert errors.count("\n") == 1


def test_a_ledger_that_cannot_be_written_is_told_once(tmp_path: Path) -> None:
    path = configuration(tmp_path, "http://127.0.0.1:9")
    (tmp_path / "ledger.sqlite3").write_text("this is no database, and longer than a header would be " * 40)
    status, out, errors = run(tmp_path, "--config", str(path), "--workers", "2")
    assert (status, out) == (2, "")
    assert errors.startswith("lynkr: ")
    assert errors.count("\n") == 1
    assert "ledger.sqlite3" in errors
    assert not list(tmp_path.glob("*.run-*"))


@pytest.mark.parametrize("shares", [False, True])
def test_a_taken_port_is_told_even_where_its_owner_shares_it_out(tmp_path: Path, shares: bool) -> None:
    path = configuration(tmp_path, "http://127.0.0.1:9")
    with socket.create_server(("127.0.0.1", 0), reuse_port=shares) as taken:
        port = str(taken.getsockname()[1])
        status, out, errors = run(tmp_path, "--config", str(path), "--port", port, "--workers", "2")
    assert (status, out) == (1, "")
    assert errors.startswith(f"lynkr: cannot listen on 127.0.0.1 port {port}: ")
    assert errors.count("\n") == 1


def test_it_gives_up_when_no_worker_can_begin_any_more(start: Callable[..., Process]) -> None:
    process = start(TWO)
    for path in process.ledger.parent.glob("ledger.sqlite3*"):
        if path.is_file():
            path.unlink()
    process.ledger.mkdir()
    began = time.monotonic()
    for pid in children(process.popen.pid):
        os.kill(pid, signal.SIGKILL)
    status, errors = process.ended()
    assert status == 1
    assert "giving up" in errors
    assert "cannot serve" in errors
    assert 2 < time.monotonic() - began < LONGEST, "not in a tight loop"
    assert errors.count("takes its place") < 12


def test_the_dashboard_is_announced_once(tmp_path: Path) -> None:
    path = configuration(tmp_path, "http://127.0.0.1:9", TWO)
    popen = subprocess.Popen(
        [sys.executable, "-m", "lynkr_server", "--config", str(path), "--dashboard"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(tmp_path),
    )
    assert popen.stdout is not None
    lines = [popen.stdout.readline() for _ in range(3)]
    popen.terminate()
    rest, errors = popen.communicate(timeout=LONGEST)
    assert [line.partition(" ")[0] for line in lines] == ["listening", "dashboard:", "dashboard"]
    assert (popen.returncode, rest, errors) == (0, "", "")
