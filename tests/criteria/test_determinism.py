"""Criterion 16: equal inputs give byte-equal decisions, in every process and under every hash seed.

100,000 cases are the deep profile's: ``pytest tests/criteria/test_determinism.py --hypothesis-profile=deep``.
"""

import re
import subprocess
import sys
from pathlib import Path

from hypothesis import settings

ROOT = Path(__file__).absolute().parents[2]
DEEP, QUICK = 100_000, 1_500


def told_by_process(hash_seed: str, cases: int) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "tests.criteria.determinism", str(cases)]
    environment = {"PYTHONHASHSEED": hash_seed, "PYTHONPATH": str(ROOT)}
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)


def test_criterion_16_equal_inputs_give_byte_equal_decisions_in_every_process(
    unmeasured_children: None,
) -> None:
    cases = DEEP if settings().max_examples >= 1_000 else QUICK
    processes = [told_by_process(seed, cases) for seed in ("0", "4242")]
    told = [process.communicate(timeout=3_600)[0] for process in processes]
    assert [process.returncode for process in processes] == [0, 0]
    assert told[0] == told[1]
    found = re.fullmatch(r"(\d+) cases, (\d+) answers, ([A-Za-z ]+): [0-9a-f]{64}\n", told[0])
    assert found is not None, told[0]
    assert int(found[1]) == cases
    # Else little would be shown: the cases differ, reach every tier, and some can be served by nobody.
    assert int(found[2]) > cases * 0.9
    tiers = {"SIMPLE", "MEDIUM", "COMPLEX", "REASONING"}
    assert {*tiers, "CapabilityError", "TargetNotAllowed"} <= set(found[3].split())
