"""Python's cycle collector, set for a process that serves.

What a request leaves behind is freed by its reference counts: no request, served
or failed, leaves a cycle behind (`tests/server/test_collector.py`).  The
collector's own defaults walk the young objects every 700 allocations, that is
several times a request, and all the modules and settings again and again: 100 us
of 800 a request (measured 2026-11).  So what is there at the start is set apart,
and what comes later is looked through rarely.
"""

import gc
from typing import Final

# Young objects between two looks, and how many looks at the younger until one at the older.
_THRESHOLDS: Final = (50_000, 20, 100)


def start() -> None:
    """Set apart what the start has made, and look through the rest rarely from now on.

    Nothing is collected: imports leave a dozen dead objects, which are found in 30 ms to 70 ms; and to look
    through what a worker has inherited would copy the memory it shares with its parent.
    """
    gc.freeze()
    gc.set_threshold(*_THRESHOLDS)


def settle() -> None:
    """Free what has died of what was set apart, and set apart what there is now."""
    gc.unfreeze()
    gc.collect()
    gc.freeze()
