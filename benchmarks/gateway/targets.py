"""The gateways that are compared: how each is started and asked."""

import os
import re
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from attrs import frozen
from load import rss_mb

from lynkr.settings import process_environment

_HERE = Path(__file__).parent
PATHS = {"messages": "/v1/messages", "chat": "/v1/chat/completions"}


@frozen
class Running:
    """A gateway that answers, or no process at all (*pid* 0). *start*: seconds to its first 200."""

    name: str
    url: str
    pid: int
    headers: dict[str, str]
    start: float
    idle_mb: float = 0.0

    def address(self, dialect: str) -> str:
        return self.url + PATHS[dialect]


@contextmanager
def process(
    command: list[str], *, cpu: int | None = None, env: dict[str, str] | None = None
) -> Generator[subprocess.Popen[str], None, None]:
    """*command*, pinned to *cpu*, in a group of its own that is ended at the end."""
    pinned = [] if cpu is None else ["taskset", "-c", str(cpu)]
    started = subprocess.Popen(
        [*pinned, *command], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
        env={**process_environment(), **(env or {})}, start_new_session=True,
    )  # fmt: skip
    try:
        yield started
    finally:
        os.killpg(started.pid, signal.SIGTERM)
        try:
            started.wait(10)
        except subprocess.TimeoutExpired:
            os.killpg(started.pid, signal.SIGKILL)
            started.wait(10)


def url_in(started: subprocess.Popen[str]) -> str:
    """The URL a program prints on a line of its own accord."""
    assert started.stdout is not None
    for line in started.stdout:
        found = re.search(r"http://127\.0\.0\.1:\d+", line)
        if found:
            return found[0]
    raise RuntimeError(f"{started.args} ended without saying where it listens")


def first_answer(url: str, body: bytes, headers: dict[str, str], *, patience: float = 60.0) -> None:
    """Return once *url* answers 200."""
    asked = urllib.request.Request(url, body, {"content-type": "application/json", **headers})
    until = time.monotonic() + patience
    while True:
        try:
            with urllib.request.urlopen(asked, timeout=20) as answer:
                answer.read()
                return
        except urllib.error.HTTPError as error:
            if time.monotonic() > until:
                raise RuntimeError(f"{url}: {error.code} {error.read()[:500]!r}") from error
        except OSError:
            if time.monotonic() > until:
                raise
        time.sleep(0.005)


@contextmanager
def upstream(*, cpu: int | None, latency: float = 0.0, gap: float = 0.0) -> Generator[str, None, None]:
    """The scripted upstream's URL."""
    words = ["--latency", str(latency), "--gap", str(gap)]
    with process([sys.executable, str(_HERE / "upstream.py"), *words], cpu=cpu) as started:
        yield url_in(started)


def import_seconds(python: str, modules: str, rounds: int = 3) -> float:
    """The fastest of some interpreters that import *modules*, less one that imports nothing."""

    def fastest(program: str) -> float:
        took: list[float] = []
        for _ in range(rounds):
            began = time.monotonic()
            env = {**process_environment(), "LITELLM_LOCAL_MODEL_COST_MAP": "True"}
            subprocess.run([python, "-c", program], check=True, capture_output=True, env=env)
            took.append(time.monotonic() - began)
        return min(took)

    return fastest(f"import {modules}") - fastest("")


LYNKR = """
[tiers]
SIMPLE = ["{served}:small"]
MEDIUM = ["{served}:medium"]
COMPLEX = ["{served}:large"]
REASONING = ["{served}:reasoning"]

[providers.anthropic]
kind = "anthropic"
base_url = "{upstream}"
api_key = "none-is-asked-for"
local = false

[providers.openai]
kind = "openai"
base_url = "{upstream}/v1"
api_key = "none-is-asked-for"
local = false

[pricing]
flagship = "anthropic:claude-opus-4-5"

[telemetry]
path = "{ledger}"

[server]
port = 0
"""


@contextmanager
def ready(
    name: str, command: list[str], *, cpu: int | None, warm: tuple[str, bytes], url: str | None = None,
    headers: dict[str, str] | None = None, env: dict[str, str] | None = None, patience: float = 60.0,
) -> Generator[Running, None, None]:  # fmt: skip
    """Start *command* and wait for its first 200 to the *warm* (path, body)."""
    path, body = warm
    began = time.monotonic()
    with process(command, cpu=cpu, env=env) as started:
        where = url or url_in(started)
        first_answer(where + path, body, headers or {}, patience=patience)
        took = time.monotonic() - began
        yield Running(name, where, started.pid, headers or {}, took, rss_mb(started.pid))


@contextmanager
def direct(up: str) -> Generator[Running, None, None]:
    """Nothing between: what the upstream and the load generator take by themselves."""
    yield Running("direct", up, 0, {}, 0.0)


@contextmanager
def bare_relay(up: str, warm: tuple[str, bytes], *, cpu: int) -> Generator[Running, None, None]:
    command = [sys.executable, str(_HERE / "bare_relay.py"), "--upstream", up]
    with ready("bare relay", command, cpu=cpu, warm=warm) as running:
        yield running


@contextmanager
def lynkr(
    up: str, warm: tuple[str, bytes], *, cpu: int | None, folder: Path, served: str = "anthropic",
    workers: int = 1,
) -> Generator[Running, None, None]:  # fmt: skip
    """lynkr with everything on; *served* is the provider, and so the dialect, of every tier."""
    config = folder / f"lynkr-{served}-{workers}.toml"
    config.write_text(LYNKR.format(served=served, upstream=up, ledger=folder / f"ledger-{served}.db"))
    command = [sys.executable, "-m", "lynkr.cli", "serve", "--config", str(config)]
    command += ["--workers", str(workers)] if workers > 1 else []
    with ready("lynkr", command, cpu=cpu, warm=warm) as running:
        yield running
