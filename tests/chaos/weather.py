"""An upstream whose faults come as weather does: ``python -m tests.chaos.weather SEED``.

Which fault meets which request is a function of the seed and of the request's number alone.
"""

import random
import signal
import sys

import anyio
from attrs import frozen

from lynkr.testing import (
    Script,
    Simulator,
    SimulatorServer,
    cut_after,
    drip,
    error_event,
    garbage,
    ok,
    reset,
    stall,
    status,
)
from lynkr.testing.faults import Fault

# So many requests, and what part of them meets a fault; then again from the first.
SPELLS = ((300, 0.05), (200, 0.4), (60, 1.0), (240, 0.15))


@frozen
class Weather(Script):
    """Calm, rough, a storm in which nothing works, and fair again."""

    seed: int = 0

    def fault(self, number: int) -> Fault:
        chance = random.Random(f"{self.seed}-{number}")
        return _fault(chance) if chance.random() < share_of_faults(number) else ok()


def share_of_faults(number: int) -> float:
    """What part of the requests fails where request *number* falls."""
    within = number % sum(length for length, _ in SPELLS)
    for length, share in SPELLS:
        if within < length:
            return share
        within -= length
    raise AssertionError("within is less than the sum")


def _fault(chance: random.Random) -> Fault:
    after = chance.randrange(12)
    return chance.choice(
        (
            reset(),
            reset(after),
            stall(),
            stall(after),
            stall(after, seconds=0.4),
            cut_after(after),
            cut_after(after),
            garbage(),
            error_event(max(after, 1)),
            drip(0.03),
            drip(0.001, size=9),
            status(429),
            status(429, retry_after=1),
            status(529),
            status(500),
            status(503),
            status(404),
        )
    )


async def _serve(seed: int) -> None:
    async with SimulatorServer(Simulator(default=Weather(seed=seed), keep=1)) as server:
        with anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
            sys.stdout.write(f"{server.url}\n")
            sys.stdout.flush()
            async for _ in signals:
                return


if __name__ == "__main__":
    anyio.run(_serve, int(sys.argv[1]))
