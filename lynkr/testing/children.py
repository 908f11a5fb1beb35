"""Server processes of one's own: started, waited for, and ended with their owner."""

import os
import re
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from queue import Empty, SimpleQueue
from time import monotonic
from types import TracebackType
from typing import IO, Final, Self

from lynkr.errors import LynkrError

_LAST_LINES: Final = 3
_ADDRESS: Final = re.compile(r"(https?://\S+)")
_PATIENCE: Final = 5.0  # seconds between asking a process to end and ending it
_KEPT: Final = frozenset(
    {"PATH", "HOME", "TMPDIR", "TEMP", "TMP", "SYSTEMROOT", "LD_LIBRARY_PATH", "COVERAGE_PROCESS_START"}
)


class ChildFailed(LynkrError):  # reason: named as the other errors are, for what happened
    """A child process ended, or said nothing, before it was ready."""


def clean_environment(environ: Mapping[str, str]) -> dict[str, str]:
    """*environ* with only what a program needs to run: no credential and no setting gets to the child.

    The child imports this very lynkr, whichever directory it starts in.
    """
    kept = {name: value for name, value in environ.items() if name in _KEPT or name.startswith("LC_")}
    return {
        **kept,
        "PYTHONPATH": str(Path(__file__).resolve().parents[2]),
        "PYTHONUNBUFFERED": "1",
        "PYTHONSAFEPATH": "1",
    }


class Child:
    """``python -m MODULE ARGUMENTS`` that prints a line with its URL once it serves.

    *url* is the first group of *ready* in that line.  The child's standard
    input is a pipe that closes when this process ends, however it ends, so a
    child that reads it cannot outlive its owner.  Seconds everywhere.

    Raises:
        ChildFailed: on entering, with the end of what the child wrote to standard error.
    """

    def __init__(
        self,
        module: str,
        arguments: Sequence[str] = (),
        *,
        environ: Mapping[str, str],
        ready: re.Pattern[str] = _ADDRESS,
        timeout: float = 60.0,
    ) -> None:
        self._module = module
        self._command = [sys.executable, "-m", module, *arguments]
        self._environ = dict(environ)
        self._ready = ready
        self._timeout = timeout
        self._process: subprocess.Popen[str] | None = None
        self._errors: IO[bytes] | None = None
        self._url: str | None = None

    @property
    def url(self) -> str:
        if self._url is None:
            raise RuntimeError(f"{self._module} is not running")
        return self._url

    @property
    def pid(self) -> int | None:
        return None if self._process is None else self._process.pid

    def __enter__(self) -> Self:
        self._errors = tempfile.TemporaryFile()  # reason: closed in __exit__
        try:
            self._process = subprocess.Popen(  # noqa: S603  # reason: our own modules under our own interpreter
                self._command,
                env=self._environ,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._errors,
                encoding="utf-8",
                errors="replace",
            )
            self._url = self._await_ready(self._process)
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the child: asked first, then killed.  Idempotent."""
        process, self._process, self._url = self._process, None, None
        if process is not None:
            process.terminate()
            try:
                process.wait(_PATIENCE)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            for pipe in (process.stdin, process.stdout):
                if pipe is not None:
                    pipe.close()
        if self._errors is not None:
            self._errors.close()
            self._errors = None

    def _await_ready(self, process: subprocess.Popen[str]) -> str:
        lines: SimpleQueue[str | None] = SimpleQueue()
        reader = threading.Thread(target=_read_lines, args=(process.stdout, lines.put), daemon=True)
        reader.start()
        deadline = monotonic() + self._timeout
        while True:
            try:
                line = lines.get(timeout=max(0.0, deadline - monotonic()))
            except Empty:
                raise ChildFailed(f"{self._module} was not ready within {self._timeout:g} s") from None
            if line is None:
                status = process.wait(_PATIENCE)
                raise ChildFailed(f"{self._module} ended with status {status}{self._last_words()}")
            found = self._ready.search(line)
            if found is not None:
                return found[1]

    def complaints(self) -> str:
        """What the child wrote to standard error so far.  POSIX only."""
        if self._errors is None:
            return ""
        # Read by position: the child writes at the offset that both share.
        size = os.fstat(self._errors.fileno()).st_size
        return os.pread(self._errors.fileno(), size, 0).decode("utf-8", "replace")

    def _last_words(self) -> str:
        errors = self._errors
        if errors is None:
            return ""
        errors.seek(0)
        lines = errors.read().decode("utf-8", "replace").strip().splitlines()[-_LAST_LINES:]
        return f": {' / '.join(line.strip() for line in lines)}" if lines else ""


def _read_lines(stdout: IO[str] | None, put: Callable[[str | None], None]) -> None:
    """Read to the end, so that the child never blocks on a full pipe."""
    try:
        for line in stdout or ():
            put(line)
    except ValueError:  # closed under us: the owner is done with the child
        return
    finally:
        put(None)
