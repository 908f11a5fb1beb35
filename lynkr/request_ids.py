"""Names for requests."""

import random
import time


class RequestIds:
    """Request ids: sortable by time, then random.

    Random bits come from a generator seeded once: asking the system for them
    on each request costs more than routing it.  Ids name rows, they are no secrets.
    """

    def __init__(self) -> None:
        self._random = random.Random()  # noqa: S311  # reason: see above

    def __call__(self) -> str:
        return f"{time.time_ns() // 1_000_000:012x}{self._random.getrandbits(64):016x}"
