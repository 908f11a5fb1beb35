"""Machine instructions of the hot paths, counted by callgrind: figures that no busy neighbour moves.

    python benchmarks/hot_paths/instructions.py                 # every path
    python benchmarks/hot_paths/instructions.py "route, 2 KB"   # some
    python benchmarks/hot_paths/instructions.py --check         # fails where one has grown
    python benchmarks/hot_paths/instructions.py --write         # takes today's figures as the ones to keep

The process warms a path, has callgrind count it *n* times, and reports
thousands of instructions a run, the ledger's thread included.  Interpreters and compilers differ,
so what is kept (`instructions.json`) and checked is each figure as a multiple of
what `json.loads` of a 2 KB body takes in the same run.  Needs valgrind.
"""

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final

from paths import PATHS, STANDARD, opened

from lynkr.settings import process_environment

KEPT: Final = Path(__file__).with_name("instructions.json")
COUNTED: Final = 40
GROWTH: Final = 1.10
"""How much a figure may grow before `--check` fails: hashes and sizes move it by 2 or 3 %."""


def _count(name: str) -> None:
    """In the process under callgrind: let *name* be counted."""
    me = str(os.getpid())
    with opened(name) as run:
        subprocess.run(["callgrind_control", "-i", "on", me], check=True, stdout=subprocess.DEVNULL)
        run(COUNTED)
        subprocess.run(["callgrind_control", "-i", "off", me], check=True, stdout=subprocess.DEVNULL)


def thousands(name: str) -> float:
    """Thousands of instructions a run of *name*."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder, "out")
        subprocess.run(
            [
                "valgrind", "--tool=callgrind", "--instr-atstart=no", f"--callgrind-out-file={out}",
                sys.executable, __file__, "--count", name,
            ],
            check=True, capture_output=True, env={**process_environment(), "PYTHONHASHSEED": "0"},
        )  # fmt: skip
        totals = re.findall(r"^(?:totals|summary): (\d+)", out.read_text(), re.MULTILINE)
    return max(map(int, totals)) / COUNTED / 1e3


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="PATH", help=f"of {', '.join(PATHS)}")
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--count", metavar="PATH", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.count:
        _count(arguments.count)
        return 0
    unknown = [name for name in arguments.names if name not in PATHS]
    if unknown:
        parser.error(f"no such path: {', '.join(unknown)}")
    kept: dict[str, float] = json.loads(KEPT.read_text("utf-8")) if KEPT.exists() else {}
    standard = thousands(STANDARD)
    found: dict[str, float] = {}
    sys.stdout.write(f"{'path':36}{'thousands':>12}{'x json.loads':>14}{'kept':>8}\n")
    for name in arguments.names or PATHS:
        counted = standard if name == STANDARD else thousands(name)
        found[name] = round(counted / standard, 2)
        before = f"{kept[name]:8.2f}" if name in kept else "       -"
        sys.stdout.write(f"{name:36}{counted:12.1f}{found[name]:14.2f}{before}\n")
        sys.stdout.flush()
    if arguments.write:
        KEPT.write_text(json.dumps(kept | found, indent=2) + "\n", "utf-8")
    grown = [name for name, figure in found.items() if figure > kept.get(name, figure) * GROWTH]
    if arguments.check and grown:
        sys.stderr.write(f"more instructions than before: {', '.join(grown)}\n")
    return 1 if arguments.check and grown else 0


if __name__ == "__main__":
    sys.exit(main())
