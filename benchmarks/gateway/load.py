"""Load from wrk, and what it cost the process under load."""

import math
import os
import re
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from attrs import frozen
from bodies import COUNTER

_UNITS = {"us": 1e-3, "ms": 1.0, "s": 1e3, "m": 6e4}
_TICK = 1000.0 / os.sysconf("SC_CLK_TCK")


@frozen
class Load:
    """*p50* and *p99* are in milliseconds, *cpu* in milliseconds of the process per request.

    Where no request was answered all three are NaN: that is not zero.
    """

    requests: int
    failed: int
    per_second: float
    p50: float
    p99: float
    cpu: float
    rss_mb: float


def tree(pid: int) -> list[int]:
    """The process and all its descendants; none for 0."""
    if pid == 0:
        return []
    found = [pid]
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            for child in task.read_text().split():
                found += tree(int(child))
        except OSError:
            continue  # it ended meanwhile
    return found


def cpu_ms(pid: int) -> float:
    """Processor time, user and system, of the process and its descendants."""
    total = 0
    for each in tree(pid):
        fields = Path(f"/proc/{each}/stat").read_text().rpartition(")")[2].split()
        total += int(fields[11]) + int(fields[12])
    return total * _TICK


def rss_mb(pid: int) -> float:
    """Resident memory of the process and its descendants."""
    pages = 0
    for each in tree(pid):
        pages += int(Path(f"/proc/{each}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def _ms(text: str) -> float:
    found = re.fullmatch(r"([\d.]+)(us|ms|s|m)", text)
    assert found is not None, text
    return float(found[1]) * _UNITS[found[2]]


# Requests are put together before the load begins, but for the number that makes each another one.
_SCRIPT: Final = """\
wrk.method = "POST"
local heads, tails = {}, {}
local at, sent = 0, 0
init = function(args)
  for n = 1, %d do
    local file = io.open("%s/" .. n, "rb")
    local whole = wrk.format(nil, nil, nil, file:read("*a"))
    file:close()
    local first, last = whole:find("%s", 1, true)
    heads[n], tails[n] = whole:sub(1, first - 1), whole:sub(last + 1)
  end
end
request = function()
  at = at %% #heads + 1
  sent = sent + 1
  return heads[at] .. string.format("%%0%dd", sent) .. tails[at]
end
"""


def _script(folder: Path, bodies: Sequence[bytes], headers: dict[str, str]) -> Path:
    for at, body in enumerate(bodies, 1):
        (folder / str(at)).write_bytes(body)
    lines = [f'wrk.headers["{name}"] = "{value}"' for name, value in headers.items()]
    script = folder / "post.lua"
    script.write_text("\n".join([_SCRIPT % (len(bodies), folder, COUNTER, len(COUNTER)), *lines]))
    return script


def run(
    url: str, bodies: Sequence[bytes], headers: dict[str, str], *, pid: int, connections: int, seconds: float,
    cpu: int | None = None,
) -> Load:  # fmt: skip
    """Post *bodies* in turn to *url* for *seconds* over *connections*; *pid*'s cost is counted.

    Each body holds one `COUNTER`.
    """
    with tempfile.TemporaryDirectory() as folder:
        script = _script(Path(folder), bodies, {"content-type": "application/json", **headers})
        command = [
            "wrk", "-t1", f"-c{connections}", f"-d{seconds:g}s", "--latency", "--timeout", "20s",
            "-s", str(script), url,
        ]  # fmt: skip
        pinned = [] if cpu is None else ["taskset", "-c", str(cpu)]
        before = cpu_ms(pid)
        done = subprocess.run([*pinned, *command], capture_output=True, text=True, check=True)
        used = cpu_ms(pid) - before
    return _read(done.stdout, used, rss_mb(pid))


def _read(text: str, used: float, memory: float) -> Load:
    """wrk's own report."""
    requests = int(_found(r"(\d+) requests in", text))
    sockets = re.search(r"Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)", text)
    failed = sum(map(int, sockets.groups())) if sockets else 0
    refused = re.search(r"Non-2xx or 3xx responses: (\d+)", text)
    failed += int(refused[1]) if refused else 0
    return Load(
        requests=requests,
        failed=failed,
        per_second=float(_found(r"Requests/sec:\s+([\d.]+)", text)),
        p50=_ms(_found(r"\n\s+50%\s+(\S+)", text)) if requests else math.nan,
        p99=_ms(_found(r"\n\s+99%\s+(\S+)", text)) if requests else math.nan,
        cpu=used / requests if requests else math.nan,
        rss_mb=memory,
    )


def _found(pattern: str, text: str) -> str:
    found = re.search(pattern, text)
    if found is None:
        raise ValueError(f"wrk said something unexpected:\n{text}")
    return found[1]
