"""How replays run beside a gateway that serves: one at a time, taking turns, remembered for a while."""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final

from lynkr.telemetry import Record

_TURN: Final = 0.005  # seconds of work between two rests
_KEPT: Final = 64


class Replays:
    """The replays of the last while, one at a time."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kept: OrderedDict[tuple[object, ...], dict[str, Any]] = OrderedDict()

    def of(self, key: tuple[object, ...], make: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        """What *make* gives for *key*, made once; others wait for it."""
        with self._lock:
            if key not in self._kept:
                self._kept[key] = make()
                while len(self._kept) > _KEPT:
                    self._kept.popitem(last=False)
            return self._kept[key]


def taking_turns(
    records: Iterable[Record],
    *,
    clock: Callable[[], float] = time.perf_counter,
    rest: Callable[[float], None] = time.sleep,
) -> Iterator[Record]:
    """*records*, resting as long as was worked, so that another thread has half of the interpreter."""
    began = clock()
    for record in records:
        yield record
        worked = clock() - began
        if worked >= _TURN:
            rest(worked)
            began = clock()
