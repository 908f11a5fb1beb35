"""Clients of every dialect and tenant at a bounded rate: some leave, some read slowly, some talk nonsense."""

import asyncio
import json
import random
import time
from collections import Counter

import aiohttp
from attrs import Factory, define

from tests.chaos.house import KEYS
from tests.chaos.laws import Ask, Dialect, LawBroken, judged
from tests.gateway.house import EASY, HARD

HUNG = 30.0  # seconds; the gateway's own deadline is 10, the client's network loopback
_MODELS = ("lynkr-auto", "lynkr-auto", "chat:sim-small", "messages:sim-large", "responses:sim-medium")
_DECISION = "x-lynkr-decision-id"
_TENANTS = (None, None, None, None, "open", "open", "open", "open", "rated", "poor")


@define
class Tally:
    """What came of the requests: classes counted, ids of those that were answered, laws broken."""

    classes: Counter[str] = Factory(Counter)
    ids: set[str] = Factory(set)
    left_early: int = 0
    broken: list[str] = Factory(list)

    @property
    def requests(self) -> int:
        return self.classes.total()


@define
class Load:
    """*workers* clients that together begin at most *rate* requests a second, for *seconds*."""

    url: str
    seed: int
    workers: int
    rate: float
    seconds: float
    tally: Tally = Factory(Tally)
    _number: int = 0

    async def run(self) -> Tally:
        began = time.monotonic()
        # A connection each: many clients, not one with a pool.
        connector = aiohttp.TCPConnector(limit=0)
        timeout = aiohttp.ClientTimeout(total=None)
        async with (
            aiohttp.ClientSession(self.url, connector=connector, timeout=timeout) as session,
            asyncio.TaskGroup() as tasks,
        ):
            for _ in range(self.workers):
                tasks.create_task(self._work(session, began))
        return self.tally

    async def _work(self, session: aiohttp.ClientSession, began: float) -> None:
        while True:
            number = self._number
            self._number += 1
            due = began + number / self.rate
            if max(due, time.monotonic()) >= began + self.seconds:
                return
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            chance = random.Random(f"{self.seed}-{number}")
            what = f"request {number}"
            try:
                async with asyncio.timeout(HUNG):
                    label = await self._one(session, chance, number)
            except TimeoutError:
                label = "hung"
                self.tally.broken.append(f"{what} hung for {HUNG:g} s")
            except LawBroken as error:
                label = "law broken"
                self.tally.broken.append(f"{what}: {error}")
            except aiohttp.ClientError as error:
                label = "connection broken"
                self.tally.broken.append(f"{what}: no well-formed answer: {error!r}")
            self.tally.classes[label] += 1

    async def _one(self, session: aiohttp.ClientSession, chance: random.Random, number: int) -> str:
        ask = _ask(chance, number)
        kind = chance.random()
        if kind < 0.03:
            return await self._nonsense(session, ask)
        if kind < 0.04:
            return await self._stranger(session, ask)
        if kind < 0.05:
            return await self._count(session, ask)
        if kind < 0.08:
            return await self._leave_early(session, ask, chance.uniform(0.0, 0.3))
        async with session.post(ask.dialect, json=ask.body(), headers=_key(ask)) as answer:
            decision = answer.headers.get(_DECISION)
            if decision is not None:
                if decision in self.tally.ids:
                    raise LawBroken(f"the id {decision} was given twice")
                self.tally.ids.add(decision)
            if kind < 0.14:
                async for _ in answer.content.iter_any():
                    break
                answer.close()
                return "left in the middle"
            data = await (_read_slowly(answer, chance) if kind < 0.2 else answer.read())
            if decision is None and answer.status == 200:
                raise LawBroken("an answer without an id")
            return judged(ask, answer.status, answer.headers, data)

    async def _nonsense(self, session: aiohttp.ClientSession, ask: Ask) -> str:
        body = json.dumps(ask.body()).encode()[:-2]
        async with session.post(
            ask.dialect, data=body, headers={"content-type": "application/json"} | _key(ask)
        ) as got:
            data = await got.read()
            if got.status not in (400, 503):
                raise LawBroken(f"nonsense was answered with {got.status}")
            if (decision := got.headers.get(_DECISION)) is not None:
                self.tally.ids.add(decision)
            return judged(ask, got.status, got.headers, data)

    async def _stranger(self, session: aiohttp.ClientSession, ask: Ask) -> str:
        """One without a key, or with half of one."""
        half = {"x-api-key": KEYS[None][:-1]} if ask.stream else {}
        async with session.post(ask.dialect, json=ask.body(), headers=half) as got:
            data = await got.read()
            if got.status != 401 or _DECISION in got.headers:
                raise LawBroken(f"a stranger was answered with {got.status}")
            return judged(ask, got.status, got.headers, data)

    async def _count(self, session: aiohttp.ClientSession, ask: Ask) -> str:
        body = {"model": ask.model, "messages": [{"role": "user", "content": ask.text}]}
        async with session.post("/v1/messages/count_tokens", json=body, headers=_key(ask)) as got:
            data = await got.json()
            if got.status == 503:
                return judged(ask, got.status, got.headers, json.dumps(data).encode())
            if got.status != 200 or data["input_tokens"] < 1:
                raise LawBroken(f"count_tokens gave {got.status}: {data!r}")
            return "ok (count_tokens)"

    async def _leave_early(self, session: aiohttp.ClientSession, ask: Ask, after: float) -> str:
        """Leave after so many seconds, whatever came by then."""
        try:
            asking = session.post(ask.dialect, json=ask.body(), headers=_key(ask))
            async with asyncio.timeout(after), asking as got:
                if (decision := got.headers.get(_DECISION)) is not None:
                    self.tally.ids.add(decision)
                data = await got.read()
        except TimeoutError:
            self.tally.left_early += 1
            return "left early"
        return judged(ask, got.status, got.headers, data)


def _key(ask: Ask) -> dict[str, str]:
    return {"authorization": f"Bearer {KEYS[ask.tenant]}"}


async def _read_slowly(answer: aiohttp.ClientResponse, chance: random.Random) -> bytes:
    """A little at a time, with rests: two seconds of them at most, so that nobody times out."""
    data, rests = b"", 20
    while piece := await answer.content.read(64 if rests else -1):
        data += piece
        if rests:
            rests -= 1
            await asyncio.sleep(chance.uniform(0.0, 0.1))
    return data


def _ask(chance: random.Random, number: int) -> Ask:
    calls = chance.random() < 0.15
    text = "call get_weather for" if calls else chance.choice((EASY, HARD))
    return Ask(
        dialect=chance.choice(list(Dialect)),
        model=chance.choice(_MODELS),
        text=text,
        word=f"number-{number}",
        stream=chance.random() < 0.7,
        calls=calls,
        tenant=chance.choice(_TENANTS),
    )
