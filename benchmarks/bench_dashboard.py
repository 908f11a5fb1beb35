"""How long each page of the dashboard takes to build, on a large ledger.

    python benchmarks/bench_dashboard.py [--records 200000] [--file LEDGER] [--rounds 3]

Seeds a ledger as bench_ledger.py does (or takes the one it left), builds each page's
JSON --rounds times for each window in this thread, and prints the medians in milliseconds.
Fails (exit 1) where one takes two seconds or more (bench_ledger.py holds single queries to
100 ms).  The replays of the Policy page are not among them: they take turns with serving,
and bench_replay.py measures their pace.
"""

import argparse
import statistics
import sys
import tempfile
import time
from pathlib import Path

from bench_ledger import NOW, seed

from lynkr.assembly import build_prices
from lynkr.gateway import Gateway
from lynkr.routing import PipelineRouter, Tier
from lynkr.settings import Settings
from lynkr.telemetry import Recorder, SQLiteStore
from lynkr.wire.json_body import dump
from lynkr_server.dashboard.insights import recommendations_json
from lynkr_server.dashboard.overview import overview_json
from lynkr_server.dashboard.reading import Reading
from lynkr_server.dashboard.replays import Replays
from lynkr_server.dashboard.routing import routing_json
from lynkr_server.dashboard.rows import logs_json
from lynkr_server.dashboard.sessions import sessions_json
from lynkr_server.dashboard.usage import usage_json

BUDGET = 2.0
TIERS = {
    "tiers.SIMPLE": "ollama:qwen3:8b",
    "tiers.MEDIUM": "openai:gpt-5-mini",
    "tiers.COMPLEX": "anthropic:claude-sonnet-4-5",
    "tiers.REASONING": "anthropic:claude-opus-4-5",
}
PAGES = (overview_json, usage_json, routing_json, logs_json, sessions_json, recommendations_json)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--records", type=int, default=200_000)
    parser.add_argument("--file", type=Path, help="a ledger seeded earlier")
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = arguments.file or Path(folder) / "ledger.db"
        if not path.exists():
            seed(path, arguments.records)
        settings = Settings.load(None, {}, overrides=TIERS | {"telemetry.path": str(path)})
        prices = build_prices(settings)
        router = PipelineRouter({Tier.SIMPLE: "ollama:qwen3:8b"})
        recorder = Recorder(SQLiteStore(path, read_only=True))
        gateway = Gateway(router=router, providers=(), recorder=recorder)
        slow = 0
        for window in ("1d", "7d", "30d", "all"):
            reading = Reading(gateway, settings, prices, NOW, NOW, 0, Replays(), {"window": window})
            for build in PAGES:
                taken: list[float] = []
                for _ in range(arguments.rounds):
                    began = time.perf_counter()
                    dump(build(reading))
                    taken.append(time.perf_counter() - began)
                median = statistics.median(taken)
                slow += median >= BUDGET
                name = build.__name__.removesuffix("_json")
                print(f"{median * 1e3:8.1f} ms  {name} {window}{'   TOO SLOW' if median >= BUDGET else ''}")
    return int(slow > 0)


if __name__ == "__main__":
    sys.exit(main())
