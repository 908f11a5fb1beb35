import doctest
import importlib
import subprocess
import sys
from pathlib import Path

import pytest

import lynkr.routing

ROOT = Path(__file__).parents[2]
MODULES = (
    "context",
    "economics",
    "envelope",
    "exploration",
    "features",
    "policy",
    "reading",
    "router",
    "rules",
    "scorers",
    "session",
    "tiers",
)


@pytest.mark.parametrize("name", MODULES)
def test_the_examples_in_docstrings_run(name):
    module = importlib.import_module(f"lynkr.routing.{name}")
    result = doctest.testmod(module)
    assert result.attempted > 0
    assert result.failed == 0


def test_every_public_name_is_there():
    for name in lynkr.routing.__all__:
        assert getattr(lynkr.routing, name) is not None
    with pytest.raises(AttributeError, match="no_such_name"):
        _ = lynkr.routing.no_such_name


def test_a_decision_type_is_had_without_the_word_lists():
    script = "import sys, lynkr.routing; sys.exit('lynkr.routing.lexicon' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], cwd=ROOT, check=False, timeout=60).returncode == 0
