"""``lynkr statusline``: one sane line, whatever its host says and whatever the ledger is."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from lynkr.cli.statusline import as_line, line_of
from lynkr.routing import Target, Tier
from lynkr.telemetry import Cost, SQLiteStore
from tests.cli.test_usage import _RECORD

pytestmark = pytest.mark.usefixtures("unmeasured_children")
HAIKU = Target("anthropic", "claude-haiku-4-5")
NOTHING = "lynkr · no requests yet"


@pytest.fixture
def ledger(tmp_path: Path) -> Path:
    path = tmp_path / "ledger.db"
    store = SQLiteStore(path)
    one = evolve(_RECORD, session="0a1b", target=HAIKU, served_tier=Tier.SIMPLE, cost=Cost(2_000, 10_000))
    store.write(
        [
            one,
            evolve(one, id="2", at=2.0, session="0a1b/explore", cost=Cost(1_000, 5_000)),
            evolve(one, id="3", at=1.0, session="0a1b/explore", cost=Cost()),
            evolve(one, id="4", at=9.0, session="0a1bc", cost=Cost(77, 77)),
            evolve(one, id="5", at=9.0, session="lost", cost=Cost(3_000_000, 1_000_000)),
        ]
    )
    store.close()
    return path


def line(session: str, path: Path) -> str:
    return line_of(f'{{"session_id": "{session}"}}'.encode(), {"LYNKR_TELEMETRY_PATH": str(path)})


def test_a_session_is_told_with_all_of_its_agents(ledger: Path) -> None:
    told = line("0a1b", ledger)
    assert told == "lynkr SIMPLE anthropic:claude-haiku-4-5 · $0.0030+ in 3 · saved $0.0120 (80 %)"


def test_a_loss_is_told_as_one(ledger: Path) -> None:
    assert "$3.00 in 1 · lost $2.00 (-200 %)" in line("lost", ledger)


def test_a_tier_that_another_served_is_told() -> None:
    told = as_line((1, 0, None, None, 0, 50, 100), ("SIMPLE", "COMPLEX", "a", "b\x1b[1m", "failed"))
    assert told == "lynkr SIMPLE→COMPLEX a:b?[1m · $0.0000 in 1 · cache 50 % · last failed"


def test_an_unknown_session_and_a_missing_ledger_are_no_failure(ledger: Path, tmp_path: Path) -> None:
    assert line("nobody", ledger) == NOTHING
    assert line("0a1b", tmp_path / "none.db") == NOTHING
    assert line_of(b'{"session_id": "0a1b"}', {}) == NOTHING
    assert line_of(b'{"session_id": "0a1b"}', {"LYNKR_TELEMETRY_PATH": ":memory:"}) == NOTHING


@given(st.binary(max_size=60) | st.sampled_from((b"", b"[]", b"null", b'{"session_id": 7}', b"[" * 100_000)))
def test_whatever_the_host_says_one_line_comes_back(said: bytes) -> None:
    told = line_of(said, {})
    assert told.startswith("lynkr")
    assert "\n" not in told


def test_a_damaged_ledger_is_told_and_no_failure(ledger: Path) -> None:
    content = bytearray(ledger.read_bytes())
    content[4096:] = b"\xa5" * (len(content) - 4096)
    ledger.write_bytes(content)
    assert line("0a1b", ledger).startswith("lynkr · DatabaseError")


def test_the_ledger_is_found_as_the_gateway_finds_it(ledger: Path, tmp_path: Path) -> None:
    config = tmp_path / "lynkr.toml"
    config.write_text(f'[telemetry]\npath = "{ledger}"\n', encoding="utf-8")
    said = b'{"session_id": "0a1b"}'
    assert "in 3" in line_of(said, {}, config)
    assert "in 3" in line_of(said, {"LYNKR_CONFIG": str(config)})
    home = tmp_path / "state" / "lynkr"
    home.mkdir(parents=True)
    (home / "ledger.sqlite3").write_bytes(ledger.read_bytes())
    assert "in 3" in line_of(said, {"XDG_STATE_HOME": str(tmp_path / "state")})


@pytest.mark.parametrize("said", [b'{"session_id": "0a1b"}', b"\xff not JSON", b"", None])
def test_the_command_always_succeeds_and_never_waits_for_its_host(said: bytes | None, ledger: Path) -> None:
    reading, writing = os.pipe()  # never closed, so the host that says nothing does not end its input either
    environment = {**os.environ, "LYNKR_TELEMETRY_PATH": str(ledger)}  # noqa: TID251  # reason: the child's
    command = [sys.executable, "-m", "lynkr.cli", "statusline"]
    if said is not None:
        os.write(writing, said)
        if said == b"":
            os.close(writing)
    ran = subprocess.run(
        command, stdin=reading, capture_output=True, timeout=30, env=environment, check=False
    )
    os.close(reading)
    assert (ran.returncode, ran.stderr) == (0, b"")
    assert ran.stdout.decode().startswith("lynkr")
    assert len(ran.stdout.splitlines()) == 1


def test_it_loads_neither_the_settings_nor_the_store_nor_the_parser(ledger: Path) -> None:
    heavy = "argparse,attrs,cattrs,anyio,lynkr.settings,lynkr.telemetry"
    probe = (
        "import sys, lynkr.cli; lynkr.cli.main(['statusline']);"
        "print(sorted(set(sys.argv[1].split(',')) & set(sys.modules)))"
    )
    environment = {**os.environ, "LYNKR_TELEMETRY_PATH": str(ledger)}  # noqa: TID251  # reason: the child's
    ran = subprocess.run(
        [sys.executable, "-c", probe, heavy],
        input='{"session_id": "0a1b"}',
        capture_output=True,
        check=True,
        text=True,
        env=environment,
    )
    told, loaded = ran.stdout.splitlines()
    assert "in 3" in told
    assert loaded == "[]"


def test_the_command_takes_the_settings_file(ledger: Path, tmp_path: Path) -> None:
    config = tmp_path / "lynkr.toml"
    config.write_text(f"[telemetry]\npath = '{ledger}'\n", "utf-8")
    ran = subprocess.run(
        [sys.executable, "-m", "lynkr.cli", "statusline", "--config", str(config)],
        input='{"session_id": "0a1b"}',
        capture_output=True,
        check=True,
        text=True,
        env={**os.environ, "LYNKR_TELEMETRY_PATH": ""},  # noqa: TID251  # reason: the child's
    )
    assert "in 3" in ran.stdout
