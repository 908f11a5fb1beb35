"""Commands run in an environment in which nothing is configured, with a home of their own."""

import io
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from attrs import frozen

from lynkr.cli import main
from lynkr.settings import process_environment
from lynkr.testing.children import clean_environment


@frozen
class Ran:
    status: int
    out: str
    err: str


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    kept = clean_environment(process_environment())
    for name in process_environment():
        if name not in kept and not name.startswith(("PYTEST", "COVERAGE")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))


@pytest.fixture
def lynkr(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Callable[..., Ran]:
    """Run a command in this process; *stdin* is its standard input."""

    def run(*words: str, stdin: bytes | None = None) -> Ran:
        if stdin is not None:
            monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin)))
        try:
            status = main(words)
        except SystemExit as ended:  # argparse's own
            status = int(ended.code or 0)
        captured = capsys.readouterr()
        return Ran(status, captured.out, captured.err)

    return run


@pytest.fixture
def config(tmp_path: Path) -> Callable[[str], str]:
    def write(text: str) -> str:
        path = tmp_path / "lynkr.toml"
        path.write_text(text, encoding="utf-8")
        return str(path)

    return write
