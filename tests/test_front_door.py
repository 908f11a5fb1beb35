"""What `import lynkr` brings, and what it must not."""

import subprocess
import sys

import pytest

import lynkr

pytestmark = pytest.mark.usefixtures("unmeasured_children")
HEAVY = ("httpx", "aiohttp", "anyio", "asyncio", "ssl", "socket", "sqlite3", "cattrs", "tenacity")

# Counts what the interpreter's own start-up and attrs do, then what `import lynkr` adds.
PROBE = """
import attrs, sys
seen = []
def audit(event, arguments):
    if event in ("open", "socket.connect", "socket.getaddrinfo", "sqlite3.connect", "os.putenv"):
        path = str(arguments[0]) if arguments else ""
        if not path.endswith((".py", ".pyc")) and "__pycache__" not in path:
            seen.append((event, path))
class Environ(dict):
    def __getitem__(self, key):
        seen.append(("environ", key)); return super().__getitem__(key)
    def get(self, key, default=None):
        seen.append(("environ", key)); return super().get(key, default)
import os
os.environ = Environ(os.environ)
sys.addaudithook(audit)
import lynkr
print(sorted(set(sys.argv[1].split(",")) & set(sys.modules)), seen)
"""


def test_criterion_22_import_loads_no_io_and_touches_no_file_network_or_environment() -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROBE, ",".join(HEAVY)], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[] []"


def test_the_table_of_homes_names_exactly_what_is_public() -> None:
    assert sorted(lynkr._LAZY) == sorted(lynkr.__all__) == dir(lynkr)


def test_every_public_name_can_be_imported() -> None:
    for name in lynkr.__all__:
        assert getattr(lynkr, name) is not None


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no_such_name"):
        lynkr.no_such_name  # noqa: B018


def test_the_pure_core_loads_no_io_either() -> None:
    core = (
        "import lynkr.pricing, lynkr.resilience, lynkr.routing, lynkr.wire.anthropic, lynkr.wire.openai_chat"
    )
    done = subprocess.run(
        [sys.executable, "-c", f"import sys; {core}; print(sorted(set({HEAVY!r}) & set(sys.modules)))"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "[]"
