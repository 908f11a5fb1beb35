"""The server and the HTTP client that lynkr stands on, beside others: the bare relay on each, in one run.

    pip install granian pyreqwest; python benchmarks/gateway/choices.py

CPU per request of a 2 KB chat at 64 at once, per event of a burst of 200 at 16 at once, and resident
memory.  lynkr keeps uvicorn and aiohttp; docs/performance.md says why.
"""

import sys
from collections.abc import Generator
from contextlib import contextmanager
from itertools import product
from pathlib import Path

import targets
from bodies import bodies, body
from load import Load, run
from peers import free_port
from reporting import table
from upstream import EVENTS

_HERE = Path(__file__).parent
_WARM = (targets.PATHS["messages"], body("chat", "messages", stream=False))
ROUNDS = 3


@contextmanager
def relay(server: str, client: str, up: str) -> Generator[targets.Running, None, None]:
    name = f"{server}, {client}"
    if server == "uvicorn":
        command = [sys.executable, str(_HERE / "bare_relay.py"), "--upstream", up, "--client", client]
        with targets.ready(name, command, cpu=0, warm=_WARM) as running:
            yield running
        return
    port = free_port()
    command = [
        sys.executable, "-m", "granian", "--interface", "asgi", "--loop", "uvloop", "--port", str(port),
        "--log-level", "error", "--factory", "bare_relay:relay",
    ]  # fmt: skip
    env = {"RELAY_UPSTREAM": up, "RELAY_CLIENT": client}
    env["PYTHONPATH"] = ":".join([str(_HERE), *filter(None, sys.path)])
    url = f"http://127.0.0.1:{port}"
    with targets.ready(name, command, cpu=0, warm=_WARM, url=url, env=env) as running:
        yield running


def main() -> int:
    loads = {"chat": (False, 64), "stream": (True, 16)}
    best: dict[str, dict[str, Load]] = {}
    with targets.upstream(cpu=1) as up:
        for _ in range(ROUNDS):
            for server, client in product(("uvicorn", "granian"), ("aiohttp", "pyreqwest")):
                with relay(server, client, up) as running:
                    seen = best.setdefault(running.name, {})
                    for case, (stream, connections) in loads.items():
                        load = run(
                            running.address("messages"), bodies("chat", "messages", stream=stream),
                            running.headers, pid=running.pid, connections=connections, seconds=3, cpu=1,
                        )  # fmt: skip
                        if case not in seen or load.cpu < seen[case].cpu:
                            seen[case] = load
    rows = [
        [
            name, f"{seen['chat'].cpu:.3f}", f"{seen['chat'].p99:.0f}",
            f"{seen['stream'].cpu * 1e3 / EVENTS:.1f}",
            f"{max(load.rss_mb for load in seen.values()):.0f}",
            str(sum(load.failed for load in seen.values())),
        ]
        for name, seen in best.items()
    ]  # fmt: skip
    head = ["relay on", "CPU ms a request", "p99 ms", "CPU us an event", "resident MB", "failed"]
    sys.stdout.write(table(head, rows) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
