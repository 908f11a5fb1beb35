"""Children are waited for, explained when they fail, and never left behind."""

import os
import sys
from pathlib import Path

import pytest

from lynkr.settings import process_environment
from lynkr.testing.children import Child, ChildFailed, clean_environment


@pytest.fixture
def program(tmp_path):
    """A module that runs *text*, and the environment to find it in."""

    def write(text: str) -> tuple[str, dict[str, str]]:
        (tmp_path / "program.py").write_text(text, encoding="utf-8")
        return "program", {"PYTHONPATH": str(tmp_path), "PATH": process_environment()["PATH"]}

    return write


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_it_is_ready_once_it_says_where_and_gone_afterwards(program):
    module, environ = program(
        "import sys\nprint('starting', flush=True)\n"
        "print('on http://x:1 now', flush=True)\nsys.stdin.read()\n"
    )
    with Child(module, environ=environ) as child:
        assert child.url == "http://x:1"
        pid = child.pid
        assert is_alive(pid)
    assert not is_alive(pid)
    with pytest.raises(RuntimeError, match="not running"):
        _ = child.url


def test_what_it_complains_of_can_be_read_while_it_runs(program):
    module, environ = program(
        "import sys\nprint('one', file=sys.stderr, flush=True)\nprint('http://x:1', flush=True)\n"
        "sys.stdin.read()\n"
    )
    child = Child(module, environ=environ)
    with child:
        assert child.complaints() == child.complaints() == "one\n"
    assert child.complaints() == ""


def test_one_that_will_not_end_is_killed(program, monkeypatch):
    monkeypatch.setattr("lynkr.testing.children._PATIENCE", 0.2)
    module, environ = program(
        "import signal, threading\n"
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "print('http://x:1', flush=True)\n"
        "threading.Event().wait()\n"
    )
    with Child(module, environ=environ) as child:
        pid = child.pid
    assert not is_alive(pid)


def test_one_that_fails_is_quoted(program):
    module, environ = program("import sys\nsys.exit('the port is taken')\n")
    with pytest.raises(ChildFailed, match="program ended with status 1: the port is taken"):
        Child(module, environ=environ).__enter__()


def test_one_that_says_nothing_is_given_up(program):
    module, environ = program("import sys\nsys.stdin.read()\n")
    child = Child(module, environ=environ, timeout=0.2)
    with pytest.raises(ChildFailed, match=r"not ready within 0\.2 s"):
        child.__enter__()
    assert child.pid is None


def test_much_output_does_not_block_it(program):
    module, environ = program(
        "import sys\nprint('http://x:1', flush=True)\n"
        "for _ in range(20000): print('x' * 100)\n"
        "print('done', file=sys.stderr, flush=True)\nopen(sys.argv[1], 'w').close()\nsys.stdin.read()\n"
    )
    flag = Path(environ["PYTHONPATH"]) / "flag"
    with Child(module, [str(flag)], environ=environ) as child:
        process = child._process
        process.stdin.close()  # end of input: the child ends by itself once all is written
        assert process.wait(30) == 0
    assert flag.exists()


def test_no_credential_and_no_setting_gets_through():
    environ = clean_environment(
        {
            "PATH": "/bin",
            "HOME": "/h",
            "OPENAI_API_KEY": "k",
            "LYNKR_CONFIG": "x",
            "TIER_SIMPLE": "y",
            "LC_ALL": "C",
        }
    )
    assert set(environ) == {"PATH", "HOME", "LC_ALL", "PYTHONPATH", "PYTHONUNBUFFERED", "PYTHONSAFEPATH"}
    assert (Path(environ["PYTHONPATH"]) / "lynkr" / "cli" / "__init__.py").is_file()
    assert sys.executable
