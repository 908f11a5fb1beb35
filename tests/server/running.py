"""The real server in a thread of its own, in front of a simulator in another, for tests over sockets."""

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import anyio
import httpx
from anyio.from_thread import BlockingPortal, start_blocking_portal
from attrs import evolve, frozen

from lynkr.assembly import build_gateway, served_models
from lynkr.gateway import Gateway
from lynkr.providers import AiohttpTransport
from lynkr.settings import Settings
from lynkr.telemetry import Query, Record
from lynkr.testing import Simulator, SimulatorServer
from lynkr.testing.faults import Answer, Fault, Script, Send, stall
from lynkr_server.app import App
from lynkr_server.dashboard import Dashboard
from lynkr_server.server import Server, listen, url_of
from tests.gateway.house import TIERS, settings_for

PATIENCE = 10.0


def eventually(holds: Callable[[], Any], within: float = PATIENCE) -> Any:
    """What *holds* gives once that is true; fails after *within* seconds."""
    deadline = time.monotonic() + within
    while not (found := holds()):
        assert time.monotonic() < deadline, f"did not happen within {within} s"
        time.sleep(0.002)
    return found


class Upstream:
    """A simulator's server, on an event loop in a thread of its own."""

    def __init__(self, server: SimulatorServer, portal: BlockingPortal) -> None:
        self._server = server
        self._portal = portal
        self.simulator = server.simulator
        self.url = server.url

    def wait_until(self, holds: Callable[[Simulator], bool], within: float = PATIENCE) -> float:
        """Wait until *holds* of the simulator; how long that took, in seconds."""

        async def wait() -> None:
            with anyio.fail_after(within):
                await self._server.wait_until(holds)

        began = time.perf_counter()
        self._portal.call(wait)
        return time.perf_counter() - began


@contextmanager
def upstream(simulator: Simulator | None = None) -> Iterator[Upstream]:
    with start_blocking_portal("asyncio") as portal:
        server = SimulatorServer(simulator)
        with portal.wrap_async_context_manager(server):
            yield Upstream(server, portal)


@frozen
class Running:
    """A running gateway: its address, its ledger."""

    url: str
    gateway: Gateway
    client: httpx.Client
    app: App

    @property
    def queued(self) -> int:
        """How many requests wait at the door for a place."""
        return self.app._door.admission.queued

    @property
    def port(self) -> int:
        return int(self.url.rpartition(":")[2])

    def records(self) -> list[Record]:
        """Every record written so far, oldest first."""
        recorder = self.gateway.recorder
        assert recorder is not None
        assert recorder.flush(PATIENCE)
        return list(recorder.store.read(Query(limit=None)))[::-1]

    def record_of(self, answer: httpx.Response | str) -> Record:
        """The record of an answered request, waited for."""
        wanted = answer if isinstance(answer, str) else answer.headers["x-lynkr-decision-id"]

        def find() -> Record | None:
            found = [record for record in self.records() if record.id == wanted]
            assert len(found) < 2
            return found[0] if found else None

        record = eventually(find)
        assert isinstance(record, Record)
        return record

    def connect(self, *, receive_buffer: int | None = None) -> socket.socket:
        """A bare connection to the gateway."""
        sock = socket.socket()
        if receive_buffer is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        sock.settimeout(PATIENCE)
        sock.connect(("127.0.0.1", self.port))
        return sock


@frozen
class House(Running):
    """A gateway in front of a simulator."""

    upstream: Upstream

    @property
    def simulator(self) -> Simulator:
        return self.upstream.simulator

    def fails(self, model: str, steps: Script) -> str:
        """Make *model* follow *steps*; the name."""
        self.simulator.play(steps, model)
        return model


class _Thread(Server):
    """The server, for a thread: no signals, an event once it serves."""

    def __init__(self, app: App, settings: Any) -> None:
        super().__init__(app, settings)
        self.ready = threading.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        try:
            await super().startup(sockets)
        finally:
            self.ready.set()


@contextmanager
def serving(settings: Settings, bound: socket.socket | None = None) -> Iterator[Running]:
    """The gateway of *settings*, on a free port or on *bound*."""
    gateway = build_gateway(settings, transport=AiohttpTransport())
    bound = listen("127.0.0.1", 0)[0] if bound is None else bound
    models, dashboard = served_models(settings), Dashboard(settings)
    app = App(lambda: gateway, settings.server, models=models, tenants=settings.tenants, dashboard=dashboard)
    server = _Thread(app, settings.server)
    thread = threading.Thread(target=server.run, args=([bound],), name="gateway")
    url = url_of(bound)
    thread.start()
    try:
        assert server.ready.wait(PATIENCE)
        assert server.started
        with httpx.Client(base_url=url, timeout=PATIENCE) as client:
            yield Running(url, gateway, client, app)
    finally:
        server.should_exit = True
        thread.join(30)
        assert not thread.is_alive()


@contextmanager
def house(
    ledger: Path,
    simulator: Simulator | None = None,
    tiers: Mapping[str, Sequence[str]] = TIERS,
    **overrides: object,
) -> Iterator[House]:
    """The whole house over real sockets; dotted keys of *overrides* are settings."""
    with upstream(simulator) as below:
        fixed = {"telemetry.path": str(ledger), "server.drain_seconds": 1}
        with serving(settings_for(below.url, tiers, **(fixed | overrides))) as running:
            yield House(running.url, running.gateway, running.client, running.app, below)


def message(text: str, model: str = "lynkr-auto", **fields: Any) -> dict[str, Any]:
    """A body valid in both dialects."""
    return {"model": model, "max_tokens": 64, "messages": [{"role": "user", "content": text}], **fields}


def raw_request(path: str, body: object, *headers: str, method: str = "POST") -> bytes:
    """A request's bytes."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    lines = (f"{method} {path} HTTP/1.1", "host: x", f"content-length: {len(data)}", *headers, "", "")
    return "\r\n".join(lines).encode() + data


def read_to_end(sock: socket.socket) -> bytes:
    """All the gateway sends until it closes; what came before a reset counts too."""
    received = b""
    try:
        while chunk := sock.recv(65_536):
            received += chunk
    except ConnectionResetError:
        pass
    return received


def later(fault: Fault, *, after: int = 6) -> Fault:
    """*fault*, which strikes after so many events, a while after them.

    At once with them it could be met before the first byte went on, and then it is an error answer.
    """
    pause = stall(after=after, seconds=0.1)
    return lambda answer: fault(pause(answer))


class Counted(Send):
    """Bytes that note when they are taken to be sent."""

    def __init__(self, data: bytes, taken: list[int]) -> None:
        self.__dict__.update(_text=data, _taken=taken)

    @property
    def data(self) -> bytes:
        self.__dict__["_taken"].append(len(self.__dict__["_text"]))
        return bytes(self.__dict__["_text"])


def swollen(taken: list[int], *, events: int) -> Fault:
    """After the first events, many large ones; then the rest."""

    def fault(answer: Answer) -> Answer:
        at = next(i for i, m in enumerate(answer.moves) if isinstance(m, Send) and b"[lynkr" in m.data)
        sample = answer.moves[at]
        assert isinstance(sample, Send)
        large = sample.data.replace(b"[lynkr", b"x" * 65_536)
        many = tuple(Counted(large, taken) for _ in range(events))
        return evolve(answer, moves=(*answer.moves[: at + 1], *many, *answer.moves[at + 1 :]))

    return fault


def settled(value: Callable[[], int], still: float = 0.25) -> int:
    """*value* once it has been the same for *still* seconds."""
    last, since = value(), time.monotonic()
    while last == 0 or time.monotonic() - since < still:
        time.sleep(0.01)
        if (now := value()) != last:
            last, since = now, time.monotonic()
    return last
