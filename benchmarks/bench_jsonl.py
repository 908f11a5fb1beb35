"""Decisions a second of ``lynkr route --jsonl``, start-up included, on short prompts.

Fails below 2 000 a second, a small part of what an idle machine of 2026 does.
"""

import json
import subprocess
import sys
import time

from lynkr.settings import process_environment
from lynkr.testing.children import clean_environment

LINES = 20_000
FLOOR = 2_000
PROMPTS = (
    "hi",
    "What is the capital of France?",
    "Refactor billing across three services",
    "Prove it step by step",
)


def main() -> int:
    body = "\n".join(json.dumps({"id": n, "prompt": PROMPTS[n % len(PROMPTS)]}) for n in range(LINES))
    began = time.perf_counter()
    ran = subprocess.run(
        [sys.executable, "-m", "lynkr.cli", "route", "--jsonl"],
        env=clean_environment(process_environment())
        | {"TIER_SIMPLE": "ollama:small", "TIER_COMPLEX": "ollama:large"},
        input=body.encode(),
        capture_output=True,
        check=True,
    )
    seconds = time.perf_counter() - began
    answers = ran.stdout.count(b"\n")
    rate = answers / seconds
    print(f"route --jsonl: {answers} decisions in {seconds:.2f} s, {rate:,.0f} a second (floor {FLOOR:,})")
    return 0 if answers == LINES and rate >= FLOOR else 1


if __name__ == "__main__":
    raise SystemExit(main())
