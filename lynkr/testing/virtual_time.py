"""An event loop whose clock jumps: hours of retries, cool-downs and idle streams pass in milliseconds.

`run` runs an async function, on asyncio or trio, in virtual time.  Whenever
every task waits for a point in time, the clock is moved to the next such point
instead.  `anyio.sleep`, `anyio.fail_after` and `anyio.current_time` all follow
it, so whatever takes its clock as an argument is given `anyio.current_time`
(seconds, from 0), or `wall` where Unix seconds are asked for::

    def test_a_breaker_reopens():
        virtual_time.run(scenario, backend="trio")

Real sockets and threads do not live in virtual time: while one is waited for
the clock may jump.  Use `SimulatorTransport`, which has neither.

trio brings its own such clock (`trio.testing.MockClock`); for asyncio there is
none in the standard library, so a loop is made here whose selector jumps.
"""

import selectors
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Final, TypeVar, TypeVarTuple

import anyio

if TYPE_CHECKING:
    import asyncio

__all__ = ["EPOCH", "run", "wall"]

EPOCH: Final = 1_800_000_000.0
"""What `wall` starts at, in Unix seconds: 2027-01-15 08:00 UTC."""

_PATIENCE: Final = 20.0
_CENTURY: Final = 100 * 365.25 * 86_400

_T = TypeVar("_T")
_Ts = TypeVarTuple("_Ts")


def wall() -> float:
    """Unix seconds in virtual time; to be called inside `run`."""
    return EPOCH + anyio.current_time()


def run(function: Callable[[*_Ts], Awaitable[_T]], *args: *_Ts, backend: str = "asyncio") -> _T:
    """``await function(*args)`` in virtual time.

    Raises:
        RuntimeError: every task waits for something that a hundred years do not bring.
        ValueError: *backend* is neither ``asyncio`` nor ``trio``.
    """
    if backend == "asyncio":
        return anyio.run(function, *args, backend_options={"loop_factory": _jumping_loop})
    if backend == "trio":
        import trio  # noqa: PLC0415  # reason: trio is the user's choice
        from trio.testing import MockClock  # noqa: PLC0415  # reason: as above

        async def bounded() -> _T:
            # trio would wait for ever for what has no time at all.
            with anyio.move_on_after(_CENTURY):
                return await function(*args)
            raise _deadlock()

        # Not `anyio.run`, of which the trio backend ignored its options (seen in 4.7).
        return trio.run(bounded, clock=MockClock(autojump_threshold=0))
    raise ValueError(f"there is no virtual time for {backend!r}; use 'asyncio' or 'trio'")


def _deadlock() -> RuntimeError:
    return RuntimeError("every task waits for something that no passing of time will bring")


class _JumpingSelector(selectors.DefaultSelector):
    """Moves *now* forward where others would wait."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if ready or timeout == 0:
            return ready
        if timeout is not None:
            self.now += max(timeout, 0.0)
            if self.now > _CENTURY:
                raise _deadlock()
            return ready
        # No timer is set: only a thread or a socket can still bring something.
        ready = super().select(_PATIENCE)
        if not ready:
            raise _deadlock()
        return ready


def _jumping_loop() -> "asyncio.AbstractEventLoop":
    import asyncio  # noqa: PLC0415  # reason: only where it was chosen

    selector = _JumpingSelector()
    loop = asyncio.SelectorEventLoop(selector)
    loop.time = lambda: selector.now  # type: ignore[method-assign]  # reason: the loop asks itself for the time
    return loop
