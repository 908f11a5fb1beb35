"""A folder for what the workers of one run share, which goes when the run ends."""

import fcntl
import os
import shutil
import tempfile
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

_LOCK: Final = "lock"
_YOUNG: Final = 60.0  # seconds in which a folder may not have its lock yet


@contextmanager
def run_folder(ledger: Path) -> Generator[Path, None, None]:
    """A folder of mode 0700 beside *ledger*, removed at the end by the process that made it.

    It is locked as long as that process or a child of it lives.  Folders of runs that were
    killed are not, and are removed first: what is in them may be prompts.
    """
    ledger.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    prefix = f"{ledger.name}.run-"
    for left in ledger.parent.glob(f"{prefix}*"):
        if _is_left(left):
            shutil.rmtree(left, ignore_errors=True)
    folder = Path(tempfile.mkdtemp(prefix=prefix, dir=ledger.parent))
    owner = os.getpid()
    with (folder / _LOCK).open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        try:
            yield folder
        finally:
            if os.getpid() == owner:
                shutil.rmtree(folder, ignore_errors=True)


def _is_left(folder: Path) -> bool:
    """Whether nobody uses it any more."""
    try:
        with (folder / _LOCK).open() as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except FileNotFoundError:
        try:
            return time.time() - folder.stat().st_mtime > _YOUNG
        except FileNotFoundError:
            return False
    except OSError:
        return False
    return True
