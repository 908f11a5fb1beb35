"""What ``import lynkr`` costs, against ``import attrs`` in the same run.

Bars (issue 2): at most twice `import attrs`, under 30 MB resident. Each
import runs in interpreters of its own, turn by turn; the fastest of the
rounds counts, since noise only ever adds.
"""

import json
import subprocess
import sys

ROUNDS = 15
PROBE = """
import json, sys, time
began = time.perf_counter()
__import__(sys.argv[1])
seconds = time.perf_counter() - began
import resource
print(json.dumps([seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024]))
"""


def measure(module: str) -> tuple[float, float]:
    done = subprocess.run([sys.executable, "-c", PROBE, module], capture_output=True, text=True, check=True)
    seconds, megabytes = json.loads(done.stdout)
    return seconds, megabytes


def main() -> int:
    best = {"attrs": [1e9, 1e9], "lynkr": [1e9, 1e9]}
    for _ in range(ROUNDS):
        for module, seen in best.items():
            seen[:] = [min(pair) for pair in zip(seen, measure(module), strict=True)]
    ratio = best["lynkr"][0] / best["attrs"][0]
    for module, (seconds, megabytes) in best.items():
        print(f"import {module:6} {seconds * 1e3:7.1f} ms {megabytes:6.1f} MB")
    print(f"ratio lynkr : attrs = {ratio:.2f} (bar 2.00)")
    return 0 if ratio <= 2 and best["lynkr"][1] < 30 else 1


if __name__ == "__main__":
    sys.exit(main())
