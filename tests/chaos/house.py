"""The gateway as a process, what can be seen of it from outside, and the disk its ledger is on."""

import os
import re
import resource
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, Protocol

import httpx
from attrs import define

from lynkr.settings import process_environment
from lynkr.testing.children import clean_environment

LONGEST = 30.0  # seconds for anything the gateway is to do by itself
_ROOT = Path(__file__).absolute().parents[2]  # the folder of `tests`, which may be a link
_ESTABLISHED_TO_CLOSING = frozenset({"01", "02", "03", "04", "05", "06", "08", "09", "0B"})  # not LISTEN
_MB = 1024 * 1024
REFUSED_SETTINGS = "the settings could not be reloaded, those before stay in force: "

# Who asks.  "open" has no limit of its own, "rated" may ask little, "poor" may spend little.
KEYS = {
    None: "the-servers-own-key-0123456789",
    "open": "open-key-0123456789",
    "rated": "rated-key-0123456789",
    "poor": "poor-key-0123456789",
}
RATE_A_MINUTE, BUDGET_USD = 30, 0.01

CONFIGURATION = """
[tiers]
SIMPLE = ["chat:sim-small", "messages:sim-small"]
MEDIUM = ["messages:sim-medium", "responses:sim-medium"]
COMPLEX = ["responses:sim-large", "chat:sim-large", "messages:sim-large"]
REASONING = ["messages:sim-reasoning", "chat:sim-reasoning"]
[providers.chat]
kind = "openai"
local = false
private = true
base_url = "{url}/v1"
api_key = "none-is-asked-for"
[providers.messages]
kind = "anthropic"
local = false
private = true
base_url = "{url}"
api_key = "none-is-asked-for"
[providers.responses]
kind = "openai-responses"
local = false
private = true
base_url = "{url}/v1"
api_key = "none-is-asked-for"
[timeouts]
first_byte = 1.5
idle = 1.0
total = 10.0
[resilience]
base_delay = 0.05
breaker_open_for = 0.5
breaker_longest_open = 2.0
[telemetry]
path = "{ledger}"
[pricing.overrides]
"chat:*" = {{ input = 1, output = 10 }}
"messages:*" = {{ input = 1, output = 10 }}
"responses:*" = {{ input = 1, output = 10 }}
[tenants.open]
api_key = "{keys[open]}"
[tenants.rated]
api_key = "{keys[rated]}"
requests_per_minute = {rate}
[tenants.poor]
api_key = "{keys[poor]}"
budget_usd_per_month = {budget}
[server]
port = 0
api_key = "{own_key}"
ping_seconds = {pings}
drain_seconds = 5
max_in_flight = {most}
max_queued = 4
queue_seconds = 0.5
"""


@define
class Process:
    """A gateway under way; *settings* is all of its file but how often it pings."""

    popen: "subprocess.Popen[str]"
    url: str
    ledger: Path
    errors: Path
    config: Path
    settings: dict[str, Any]
    hung_up: int = 0

    def rss(self) -> float:
        """Resident memory, in MB."""
        pages = int(Path(f"/proc/{self.popen.pid}/statm").read_text().split()[1])
        return pages * resource.getpagesize() / _MB

    def sockets(self) -> int:
        """How many TCP connections it holds, whatever their state; sockets it listens on do not count."""
        held = set()
        for entry in Path(f"/proc/{self.popen.pid}/fd").iterdir():
            try:
                found = re.fullmatch(r"socket:\[(\d+)\]", str(entry.readlink()))
            except FileNotFoundError:  # closed while we looked
                continue
            if found:
                held.add(found[1])
        rows = (
            line.split()
            for name in ("tcp", "tcp6")
            for line in Path(f"/proc/{self.popen.pid}/net/{name}").read_text().splitlines()[1:]
        )
        return sum(row[9] in held and row[3] in _ESTABLISHED_TO_CLOSING for row in rows)

    def tasks(self) -> tuple[int, str]:
        """How many asyncio tasks it has, and which."""
        before = len(self._told())
        self.popen.send_signal(signal.SIGUSR1)
        count, _, names = eventually(lambda: self._told()[before:])[-1].partition(" ")
        return int(count), names

    def _told(self) -> list[str]:
        return re.findall(r"^tasks (.*)$", self.errors.read_text("utf-8", "replace"), re.MULTILINE)

    def complaints(self) -> list[str]:
        """What it wrote to standard error, unasked."""
        lines = self.errors.read_text("utf-8", "replace").splitlines()
        return [line for line in lines if not line.startswith(("tasks ", REFUSED_SETTINGS))]

    def hang_up(self) -> None:
        """SIGHUP with new settings, every third time with wrong ones; waits for nothing."""
        self.hung_up += 1
        pings = '"often"' if self.hung_up % 3 == 0 else str(0.2 + self.hung_up % 2 / 10)
        # Replaced whole: half a file would be an error of ours.
        written = self.config.with_suffix(".new")
        written.write_text(CONFIGURATION.format(**self.settings, pings=pings), "utf-8")
        written.replace(self.config)
        self.popen.send_signal(signal.SIGHUP)

    def reloads(self) -> tuple[int, int]:
        """How many reloads worked, and how many were refused."""
        told = self.health()["configuration"]
        return told["reloads"], told["failed_reloads"]

    def ledger_health(self) -> dict[str, Any]:
        told: dict[str, Any] = self.health()["ledger"]
        return told

    def health(self) -> dict[str, Any]:
        ready: dict[str, Any] = httpx.get(f"{self.url}/health/ready", timeout=LONGEST).json()
        return ready

    def stop(self) -> int:
        """SIGTERM, and the exit status."""
        self.popen.send_signal(signal.SIGTERM)
        return self.popen.wait(LONGEST)


def eventually(holds: Callable[[], Any], within: float = LONGEST) -> Any:
    """What *holds* gives once that is true, or after *within* seconds whatever it gives then."""
    deadline = time.monotonic() + within
    while not (found := holds()) and time.monotonic() < deadline:
        time.sleep(0.05)
    return found


def environment_of_children() -> dict[str, str]:
    """A clean one in which the tests are found, and the very lynkr that this process has."""
    environment = clean_environment(process_environment())
    environment["PYTHONPATH"] = os.pathsep.join((str(_ROOT), environment["PYTHONPATH"]))
    return environment


@contextmanager
def gateway(folder: Path, disk: Path, upstream: str, *, most: int) -> Iterator[Process]:
    """``lynkr serve``, its ledger on *disk*; killed in the end if it still runs."""
    config, errors = folder / "lynkr.toml", folder / "stderr.txt"
    ledger = disk / "ledger.sqlite3"
    settings: dict[str, Any] = {
        "url": upstream, "ledger": ledger, "most": most, "keys": KEYS, "own_key": KEYS[None],
        "rate": RATE_A_MINUTE, "budget": BUDGET_USD,
    }  # fmt: skip
    config.write_text(CONFIGURATION.format(**settings, pings=0.3), "utf-8")
    environment = environment_of_children() | {"HOME": str(folder)}
    with errors.open("w") as sink:
        popen = subprocess.Popen(
            [sys.executable, "-m", "tests.chaos.served", "--config", str(config)],
            env=environment, stdout=subprocess.PIPE, stderr=sink, text=True,
        )  # fmt: skip
    assert popen.stdout is not None
    try:
        line = popen.stdout.readline()
        found = re.search(r"(http://127\.0\.0\.1:\d+)", line)
        if found is None:
            raise RuntimeError(f"the gateway did not start: {errors.read_text('utf-8')}")
        yield Process(popen, found[1], ledger, errors, config, settings)
    finally:
        if popen.poll() is None:
            popen.kill()
        popen.wait()
        popen.stdout.close()


class Disk(Protocol):
    """Where the ledger is."""

    path: Path
    means: str

    def fill(self, process: Process) -> None: ...
    def free(self, process: Process) -> None: ...


@define
class SmallDisk:
    """A file system of its own, in memory, that shrinks to what is on it: ENOSPC (root alone may mount)."""

    path: Path
    means: str = "a tmpfs without a free page (ENOSPC)"

    def fill(self, process: Process) -> None:
        # Or the ledger would write over what its log (WAL) has room for, and notice nothing for a while.
        with closing(sqlite3.connect(process.ledger, timeout=5)) as connection:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        usage = shutil.disk_usage(self.path)
        _mount("-o", f"remount,size={max(usage.used, resource.getpagesize())}", str(self.path))

    def free(self, process: Process) -> None:
        _mount("-o", "remount,size=2g", str(self.path))


@define
class LimitedFiles:
    """A limit on the size of what the process writes: every write past the first page fails (EFBIG)."""

    path: Path
    means: str = "a limit of one page on the size of files (EFBIG)"

    def fill(self, process: Process) -> None:
        self._limit(process, resource.getpagesize())

    def free(self, process: Process) -> None:
        self._limit(process, resource.RLIM_INFINITY)

    @staticmethod
    def _limit(process: Process, size: int) -> None:
        _, hard = resource.prlimit(process.popen.pid, resource.RLIMIT_FSIZE)
        resource.prlimit(process.popen.pid, resource.RLIMIT_FSIZE, (size, hard))


def _mount(*words: str) -> bool:
    done = subprocess.run(["mount", *words], check=False, capture_output=True)
    return done.returncode == 0


@contextmanager
def disk_at(path: Path) -> Iterator[Disk]:
    """A disk that can be filled: a small one where we may mount, else this one with limited files."""
    path.mkdir()
    if os.geteuid() != 0 or not _mount("-t", "tmpfs", "-o", "size=2g", "lynkr-chaos", str(path)):
        yield LimitedFiles(path)
        return
    try:
        yield SmallDisk(path)
    finally:
        subprocess.run(["umount", "--lazy", str(path)], check=True)
