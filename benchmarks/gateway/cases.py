"""What is measured, and what came of it."""

from typing import Final

from attrs import define, field, frozen
from bodies import bodies
from load import Load
from upstream import EVENTS

DIALECT: Final = "messages"


@frozen
class Case:
    """One load.  *gap* paces the events of a stream, *latency* the answer's beginning (seconds)."""

    name: str
    size: str = "chat"
    connections: int = 64
    stream: bool = False
    latency: float = 0.0
    gap: float = 0.0
    peers: bool = True

    @property
    def bodies(self) -> list[bytes]:
        return bodies(self.size, DIALECT, stream=self.stream)


CASES = (
    Case("2 KB chat, 1 at once", connections=1),
    Case("2 KB chat, 16 at once", connections=16),
    Case("2 KB chat, 64 at once"),
    Case("2 KB chat, 256 at once", connections=256),
    Case("2 KB chat, 64 at once, upstream 50 ms", latency=0.05),
    Case("60 KB agent, 1 at once", size="agent", connections=1),
    Case("60 KB agent, 64 at once", size="agent"),
    Case("200 KB session, 16 at once", size="session", connections=16),
    Case(f"stream of {EVENTS} events in a burst, 16 at once", stream=True, connections=16),
    Case(f"stream of {EVENTS} events, 2 ms apart, 16 at once", stream=True, connections=16, gap=0.002),
)


@define
class Measured:
    """What a gateway did in each case, and what it is at rest.

    *imported*: seconds to import what it is made of; None where that is not Python.
    """

    name: str
    start: float = 0.0
    idle_mb: float = 0.0
    imported: float | None = None
    loads: dict[str, Load] = field(factory=dict[str, Load])

    def add(self, case: Case, load: Load) -> None:
        known = self.loads.get(case.name)
        failed = load.failed + (0 if known is None else known.failed)
        is_better = known is None or not known.requests or (load.cpu, load.p50) < (known.cpu, known.p50)
        best = load if is_better else known
        self.loads[case.name] = Load(
            best.requests, failed, best.per_second, best.p50, best.p99, best.cpu, load.rss_mb
        )
