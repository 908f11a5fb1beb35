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


def settle(*, inherited: bool = False) -> None:
    """Set apart what there is now, for good or until the next call, which frees what died meanwhile.

    What a process *inherited* is not looked through: that would write to every object, and so copy
    the memory it shares with its parent.
    """
    if not inherited:
        gc.unfreeze()
        gc.collect()
    gc.freeze()
    gc.set_threshold(*_THRESHOLDS)
