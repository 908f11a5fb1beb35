"""One quick comparison of lynkr with the bare relay, for use while working on the hot path.

python benchmarks/gateway/quick.py [--size chat] [--dialect messages] [--served anthropic] [--stream] [-c 64]
"""

import argparse
import sys
import tempfile
from pathlib import Path

import targets
from bodies import SIZES, bodies, body
from load import Load, run


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", choices=SIZES, default="chat")
    parser.add_argument("--dialect", choices=("messages", "chat"), default="messages")
    parser.add_argument("--served", choices=("anthropic", "openai"), default="anthropic")
    parser.add_argument("--stream", action="store_true")
    parser.add_argument("--gap", type=float, default=0.0)
    parser.add_argument("-c", type=int, default=64)
    parser.add_argument("--seconds", type=float, default=4)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    asked = bodies(arguments.size, arguments.dialect, stream=arguments.stream)
    warm = (targets.PATHS[arguments.dialect], body("chat", arguments.dialect, stream=False))
    best: dict[str, Load] = {}
    with tempfile.TemporaryDirectory() as made, targets.upstream(cpu=1, gap=arguments.gap) as up:
        folder = Path(made)
        with (
            targets.bare_relay(up, warm, cpu=0) as bare,
            targets.lynkr(up, warm, cpu=0, folder=folder, served=arguments.served) as ours,
        ):
            for _ in range(arguments.rounds):
                for target in (bare, ours):
                    load = run(
                        target.address(arguments.dialect), asked, target.headers, pid=target.pid,
                        connections=arguments.c, seconds=arguments.seconds, cpu=1,
                    )  # fmt: skip
                    if target.name not in best or load.cpu < best[target.name].cpu:
                        best[target.name] = load
    for name, load in best.items():
        sys.stdout.write(
            f"{name:11} {load.cpu:7.3f} CPU ms/req {load.per_second:8.0f} req/s p50 {load.p50:7.1f} "
            f"p99 {load.p99:7.1f} ms  failed {load.failed}  {load.rss_mb:5.0f} MB\n"
        )
    sys.stdout.write(f"ratio {best['lynkr'].cpu / best['bare relay'].cpu:.2f}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
