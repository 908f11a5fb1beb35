"""Where sessions are being served: the store of pins, and one in memory."""

from threading import Lock
from typing import Final, Protocol

from attrs import define, field

from lynkr.routing.decision import Pin

TTL_SECONDS: Final = 6 * 3600.0
"""How long an unused pin is kept unless the owner says otherwise."""
MOST_SESSIONS: Final = 10_000


class PinStore(Protocol):
    """Pins by session key, forgotten when they have not been written for a while.

    `now` is in seconds, on one clock for all calls.  Calls are quick and safe from
    several threads; they never raise for a reason outside the arguments: a pin
    that cannot be kept costs money, not an answer.
    """

    def get(self, key: str, now: float, /) -> Pin | None:
        """The pin of a session, None if there is none or it is too old."""
        ...

    def put(self, key: str, pin: Pin, now: float, /) -> None:
        """Keep *pin* for the session; a former one is replaced."""
        ...

    def forget(self, key: str, /) -> None:
        """Drop a session's pin, if there is one."""
        ...

    def close(self) -> None:
        """Release what the store holds.  Idempotent."""
        ...


@define
class MemoryPins:
    """Pins of this process: the *most_sessions* written last, each for *ttl* seconds."""

    ttl: float = TTL_SECONDS
    most_sessions: int = MOST_SESSIONS
    _pins: dict[str, tuple[Pin, float]] = field(factory=dict[str, "tuple[Pin, float]"], init=False)
    _lock: Lock = field(factory=Lock, init=False, repr=False)

    def get(self, key: str, now: float, /) -> Pin | None:
        with self._lock:
            found = self._pins.get(key)
            if found is None:
                return None
            if now - found[1] >= self.ttl:
                del self._pins[key]
                return None
            return found[0]

    def put(self, key: str, pin: Pin, now: float, /) -> None:
        with self._lock:
            # A dictionary keeps the order of insertion: written anew, a session is the youngest.
            self._pins.pop(key, None)
            self._pins[key] = (pin, now)
            while len(self._pins) > self.most_sessions:
                del self._pins[next(iter(self._pins))]

    def forget(self, key: str, /) -> None:
        with self._lock:
            self._pins.pop(key, None)

    def close(self) -> None:
        """Nothing to release; the pins stay readable."""
