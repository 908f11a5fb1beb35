"""What the layers cost a request that nothing goes wrong with: CPU microseconds, one by one and stacked.

    python benchmarks/bench_layers.py            # prints the tables
    python benchmarks/bench_layers.py --check    # and fails when a bar is missed

Bars (CPython 3.11): the whole stack costs less than 25 times what `json.loads` of
a 2 KB body does; breakers shared through a file, believed for a tenth of a second
at a thousand requests a second, cost a quarter at most of reading it each time.
"""

import argparse
import asyncio
import json
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from time import process_time
from timeit import repeat
from typing import Final

from lynkr.layers import breaker, deadline, fallback, journal, retry, throttle
from lynkr.layers.sqlite_breakers import SqliteBreakers
from lynkr.model import Message, Request
from lynkr.resilience import BreakerRegistry, MemoryBreakers, Outcome, RetryBudgets, Throttles
from lynkr.routing import Target
from lynkr.service import Call, Layer, Reply, Service, Tally, stack

TARGET: Final = Target("one", "a")
REQUEST: Final = Request(model="auto", messages=(Message.user("hello"),))
BODY: Final = json.dumps({"model": "m", "messages": [{"role": "user", "content": "word " * 400}]})
ROUNDS, CALLS = 7, 3_000
MOST_PARSES: Final = 25.0
MOST_OF_FILE: Final = 0.25


class OneChunk:
    """A stream that bounds its own waiting, as those over a transport do."""

    ends_in_time = True

    def __init__(self) -> None:
        self._left = 1

    def __aiter__(self) -> "OneChunk":
        return self

    async def __anext__(self) -> bytes:
        if not self._left:
            raise StopAsyncIteration
        self._left = 0
        return b"data: [DONE]\n\n"

    async def aclose(self) -> None:
        pass


async def provider(call: Call) -> Reply:
    return Reply(call.target, Tally(complete=True), None, OneChunk())


def stacks() -> Mapping[str, tuple[Layer, ...]]:
    budgets, breakers = RetryBudgets(), MemoryBreakers()
    return {
        "no layer": (),
        "journal": (journal(),),
        "deadline": (deadline(),),
        "breaker": (breaker(breakers),),
        "throttle": (throttle(Throttles()),),
        "retry": (retry(budgets=budgets),),
        "fallback": (fallback(budgets=budgets),),
        "all": (
            fallback(budgets=budgets),
            retry(budgets=budgets),
            breaker(breakers),
            throttle(Throttles()),
            journal(),
            deadline(),
        ),
    }


async def serve(service: Service) -> None:
    for _ in range(CALLS):
        reply = await service(Call(REQUEST, TARGET, deadline=time.monotonic() + 100))
        assert reply.raw is not None
        async for _chunk in reply.raw:
            pass
        await reply.aclose()


async def microseconds_of_layers() -> dict[str, float]:
    built = {name: stack(provider, *layers) for name, layers in stacks().items()}
    best = dict.fromkeys(built, float("inf"))
    for _ in range(ROUNDS):
        for name, service in built.items():
            began = process_time()
            await serve(service)
            best[name] = min(best[name], (process_time() - began) / CALLS * 1e6)
    return best


def microseconds_of_breakers(registry: BreakerRegistry) -> float:
    """A decision, two permits and their verdicts, a thousand times in one second of the breakers' clock."""

    def second(start: float) -> Callable[[], None]:
        def run() -> None:
            for number in range(1_000):
                now = start + number / 1_000
                registry.refusing(now)
                for key in ("one:a", "one:*"):
                    circuit = registry.breaker(key)
                    permit = circuit.try_acquire(now)
                    assert permit is not None
                    circuit.settle(permit, Outcome.SUCCESS, now)

        return run

    return (
        min(min(repeat(second(1e9 + 10 * n), number=1, repeat=1, timer=process_time)) for n in range(5)) * 1e3
    )


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--check", action="store_true", help="fail when a bar is missed")
    arguments = parser.parse_args()
    parse = min(repeat(lambda: json.loads(BODY), number=2_000, repeat=7, timer=process_time)) / 2_000 * 1e6
    layers = asyncio.run(microseconds_of_layers())
    bare = layers.pop("no layer")
    print(f"{'layer':24}{'us a request':>14}{'json.loads of 2 KB':>20}")
    for name, spent in layers.items():
        print(f"{name:24}{spent - bare:14.1f}{(spent - bare) / parse:20.1f}")
    with tempfile.TemporaryDirectory() as folder:
        believed, each = SqliteBreakers(Path(folder, "a")), SqliteBreakers(Path(folder, "b"), stale=0.0)
        kinds = {"memory": MemoryBreakers(), "file, believed 0.1 s": believed, "file, read each time": each}
        spent_by = {name: microseconds_of_breakers(registry) for name, registry in kinds.items()}
        believed.close()
        each.close()
    print(f"\n{'breakers':24}{'us a request':>14}")
    for name, spent in spent_by.items():
        print(f"{name:24}{spent:14.1f}")
    share = spent_by["file, believed 0.1 s"] / spent_by["file, read each time"]
    missed = (layers["all"] - bare) / parse > MOST_PARSES or share > MOST_OF_FILE
    return 1 if arguments.check and missed else 0


if __name__ == "__main__":
    sys.exit(main())
