"""The hot paths by the clock, with pytest-benchmark: ``pytest benchmarks/hot_paths/bench_paths.py``."""

import sys
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from paths import PATHS, opened


@pytest.mark.parametrize("name", PATHS)
def test_path(benchmark: Any, name: str) -> None:
    """Times are those of 20 runs."""
    with opened(name) as run:
        benchmark.pedantic(run, args=(20,), rounds=20)
