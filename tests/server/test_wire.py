"""The client's end of an exchange, message by message."""

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

import pytest

from lynkr_server.http import Departure, Wire

Message = MutableMapping[str, Any]


class Client:
    """What was sent to a client.

    While it does not read, messages wait, and the one that came last goes
    first: whoever sends two at once cannot count on their order.
    """

    def __init__(self) -> None:
        self.reads = True
        self.waiting: list[asyncio.Future[None]] = []
        self.messages: list[Message] = []

    async def send(self, message: Message) -> None:
        if not self.reads:
            turn = asyncio.get_running_loop().create_future()
            self.waiting.append(turn)
            await turn
        self.messages.append(message)

    def read_one(self) -> None:
        self.waiting.pop().set_result(None)

    @property
    def text(self) -> bytes:
        return b"".join(message.get("body", b"") for message in self.messages)

    def is_well_formed(self) -> bool:
        """One start, first; nothing after the end."""
        kinds = [message["type"] for message in self.messages]
        ends = [not message.get("more_body", False) for message in self.messages[1:]]
        return kinds[0] == "http.response.start" and kinds.count(kinds[0]) == 1 and True not in ends[:-1]


def run(scenario: Callable[[], Awaitable[None]]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(10):
            await scenario()

    asyncio.run(bounded())


def nothing() -> None:
    """Nobody gives up."""


async def until(holds: Callable[[], bool]) -> None:
    while not holds():  # noqa: ASYNC110  # reason: what is waited for tells nobody
        await asyncio.sleep(0)


def timers() -> list[Any]:
    """The running loop's; those that were cancelled are among them."""
    return list(getattr(asyncio.get_running_loop(), "_scheduled"))  # noqa: B009  # reason: it has no public name


def filled(client: Client, quiet: float = 0.01, **options: Any) -> Wire:
    wire = Wire(client.send)
    give_up = options.pop("give_up", nothing)
    wire.fill_silence(quiet, lambda: b"<ping>", lambda: (200, {"x": "early"}), give_up, **options)
    return wire


@pytest.mark.parametrize("chunks", [(), (b"one", b"two")])
def test_a_ping_that_waits_for_the_client_is_overtaken_by_nothing(chunks: tuple[bytes, ...]) -> None:
    async def scenario() -> None:
        client = Client()
        client.reads = False
        wire = filled(client)
        await until(lambda: bool(client.waiting))  # the early head, and then its ping
        late = asyncio.ensure_future(serve(wire))
        while not late.done():
            for _ in range(5):
                await asyncio.sleep(0)
            if client.waiting:
                client.read_one()
        await late
        assert client.is_well_formed()
        assert client.text.startswith(b"<ping>")
        assert client.text.replace(b"<ping>", b"") == b"".join(chunks)

    async def serve(wire: Wire) -> None:
        await wire.start(200, {})
        for chunk in chunks:
            await wire.chunk(chunk)
        await wire.end()

    run(scenario)


def test_after_the_end_there_are_no_pings() -> None:
    async def scenario() -> None:
        client = Client()
        wire = filled(client)
        await until(lambda: b"<ping>" in client.text)
        await wire.end()
        assert wire.finished
        sent = len(client.messages)
        # Whatever filled the silence is gone: no task is left, and no timer that would begin one.
        assert asyncio.all_tasks() == {asyncio.current_task()}
        assert not any(timer._callback == wire._tick for timer in timers() if not timer.cancelled())
        assert len(client.messages) == sent
        assert client.is_well_formed()

    run(scenario)


def test_a_client_that_reads_slowly_gets_no_pings_and_is_given_up_in_the_end() -> None:
    async def scenario() -> None:
        client = Client()
        given_up = asyncio.Event()
        wire = filled(client, give_up=given_up.set, stalled=0.1)
        client.reads = False
        waiting = asyncio.ensure_future(wire.chunk(b"unread"))
        await given_up.wait()
        waiting.cancel()
        wire.quiet()
        assert client.messages == []

    run(scenario)


def test_the_task_of_a_client_that_left_is_cancelled_and_ends_quietly() -> None:
    async def scenario() -> None:
        left = asyncio.Event()

        async def receive() -> Message:
            await left.wait()
            return {"type": "http.disconnect"}

        asyncio.get_running_loop().call_soon(left.set)
        with Departure(receive) as departure:
            await asyncio.Event().wait()
        assert departure.left
        task = asyncio.current_task()
        assert task is not None
        assert task.cancelling() == 0

    run(scenario)


def test_a_cancellation_from_elsewhere_is_not_a_departure() -> None:
    async def scenario() -> None:
        async def receive() -> Message:
            await asyncio.Event().wait()
            raise AssertionError

        async def serve() -> None:
            with Departure(receive):
                started.set()
                await asyncio.Event().wait()

        started = asyncio.Event()
        task = asyncio.ensure_future(serve())
        await started.wait()
        task.cancel()
        await asyncio.wait((task,))
        assert task.cancelled()

    run(scenario)


def test_the_servers_disconnect_after_the_answer_cancels_nothing() -> None:
    async def scenario() -> None:
        answered = asyncio.Event()

        async def receive() -> Message:
            await answered.wait()
            return {"type": "http.disconnect"}

        with Departure(receive) as departure:
            departure.ignore()
            answered.set()
            for _ in range(5):
                await asyncio.sleep(0)  # the clean-up after an answer may wait
        assert not departure.left
        for _ in range(5):
            await asyncio.sleep(0)

    run(scenario)
