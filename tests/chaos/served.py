"""``lynkr serve`` itself, which also tells how many asyncio tasks it has when it gets SIGUSR1.

A signal, for the gateway has no route that tells, and needs none.
"""

import asyncio
import signal
import sys
from types import FrameType

from lynkr_server.__main__ import main


def _tell(_: int, __: FrameType | None) -> None:
    # Python runs this in the main thread, within whatever the loop is doing.
    tasks = asyncio.all_tasks(asyncio.get_running_loop())
    names = sorted(getattr(task.get_coro(), "__qualname__", "?") for task in tasks)
    sys.stderr.write(f"tasks {len(tasks)} {' '.join(names)}\n")
    sys.stderr.flush()


if __name__ == "__main__":
    signal.signal(signal.SIGUSR1, _tell)
    sys.exit(main())
