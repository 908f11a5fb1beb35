"""The command itself: help, errors, exit statuses, and how little it loads."""

import subprocess
import sys

import pytest

from lynkr import __version__
from lynkr.cli import COMMANDS, main
from lynkr.settings import process_environment
from lynkr.testing.children import clean_environment


def run(*words: str, **options) -> subprocess.CompletedProcess[str]:
    environ = clean_environment(process_environment()) | options.pop("environ", {})
    return subprocess.run(
        [sys.executable, "-m", "lynkr.cli", *words],
        env=environ,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        **options,
    )


def test_version_and_help_need_no_configuration(lynkr):
    assert lynkr("--version").out == f"lynkr {__version__}\n"
    shown = lynkr("--help")
    assert shown.status == 0
    assert all(name in shown.out for name in COMMANDS)


@pytest.mark.parametrize("command", sorted(COMMANDS))
def test_each_command_has_help(lynkr, command):
    shown = lynkr(command, "--help")
    assert shown.status == 0
    assert f"usage: lynkr {command}" in shown.out


@pytest.mark.parametrize("words", [(), ("fly",), ("route", "--colour", "hi"), ("prices",)])
def test_wrong_usage_is_status_2(lynkr, words):
    ran = lynkr(*words)
    assert ran.status == 2
    assert "usage: lynkr" in ran.err


def test_a_wrong_setting_is_one_line_and_no_traceback():
    ran = run("route", "hi", environ={"LYNKR_SERVER_PORT": "many"})
    assert ran.returncode == 2
    assert ran.stdout == ""
    assert ran.stderr == (
        "lynkr: environment variable LYNKR_SERVER_PORT: server.port is not a whole number; "
        "write a whole number without quotes\n"
    )


def test_every_problem_is_a_line_of_its_own(lynkr, config):
    ran = lynkr("route", "hi", "--config", config("[server]\nport = 'x'\nprot = 1\n"))
    assert ran.status == 2
    lines = ran.err.splitlines()
    assert len(lines) == 2
    assert all(line.startswith("lynkr: ") for line in lines)


def test_a_reader_that_leaves_early_is_no_traceback():
    """As in ``lynkr prices show a | head -1``."""
    command = f'"{sys.executable}" -m lynkr.cli prices show a | head -1'
    ran = subprocess.run(
        ["sh", "-c", command],
        env=clean_environment(process_environment()),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ran.stdout.startswith("model")
    assert ran.stderr == ""


@pytest.mark.usefixtures("unmeasured_children")
def test_help_loads_neither_cattrs_nor_a_network_client():
    probe = (
        "import sys; from lynkr.cli import main\n"
        "try: main(['--help'])\n"
        "except SystemExit: pass\n"
        "print([m for m in ('cattrs', 'httpx', 'aiohttp', 'anyio', 'ssl', 'sqlite3') if m in sys.modules])"
    )
    ran = subprocess.run(
        [sys.executable, "-c", probe],
        env=clean_environment(process_environment()),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ran.stdout.splitlines()[-1] == "[]"


def test_an_interruption_is_status_130(monkeypatch):
    def interrupted(_):
        raise KeyboardInterrupt

    monkeypatch.setattr("lynkr.cli.route.run", interrupted)
    assert main(["route", "hi"]) == 130
