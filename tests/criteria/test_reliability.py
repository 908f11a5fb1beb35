"""Criteria 9 to 15 of acceptance.md, 3.3: streaming and reliability, each by its number.

In virtual time and without a network wherever the criterion allows it, so that times are exact; 10 and 11
are about sockets and go through the real server.
"""

import json
import time
from collections.abc import Callable
from email.utils import formatdate
from itertools import pairwise

import anyio
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lynkr.assembly import build_gateway
from lynkr.errors import LynkrError
from lynkr.layers import breaker, fallback, retry
from lynkr.layers.hedge import hedge
from lynkr.model import Message, Request, WireFormat
from lynkr.providers import AiohttpTransport, HttpxTransport, Timeouts
from lynkr.resilience import MemoryBreakers, Outcome, RetryBudgets, wait_hint
from lynkr.telemetry import MemoryStore, Query, Record
from lynkr.telemetry.record import Ending
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
    script,
    simulated_gateway,
    stall,
    status,
    virtual_time,
)
from lynkr.testing.anthropic_grammar import validate_anthropic_stream
from lynkr.testing.faults import Fault
from tests.gateway.house import EASY, settings_for
from tests.resilience.breaker_machine import machine_over
from tests.server.running import House, eventually, message, raw_request

BACKENDS = st.sampled_from(("asyncio", "trio"))
QUESTION = Request(model="auto", messages=(Message.user("hello"),), stream=True)
BODY = json.dumps(
    {"model": "auto", "max_tokens": 64, "stream": True, "messages": [{"role": "user", "content": "hello"}]}
).encode()
PATIENT = Timeouts(first_byte=30.0, idle=30.0, total=None)

# `stall` and the like, by where they strike: before the status line, or after so many events.
early_faults = st.sampled_from(
    [status(500), status(529), status(429), status(404), reset(), stall(), garbage(), cut_after(0), reset(0)]
)
late_faults = st.builds(
    lambda fault, after: fault(after),
    st.sampled_from([cut_after, reset, stall, error_event]),
    st.integers(4, 9),
)


async def relayed(gateway) -> tuple[int, bytes]:
    """What a client of Anthropic's dialect gets for its stream."""
    reply = await gateway.relay(WireFormat.ANTHROPIC_MESSAGES, BODY, {})
    try:
        if reply.body is not None:
            reply.delivered()
            return reply.status, reply.body
        return reply.status, b"".join([chunk async for chunk in reply.chunks])
    finally:
        await reply.aclose()


async def streamed(steps: Script, *targets: str) -> tuple[int, bytes, Record]:
    simulator, store = Simulator({"sim-large": steps}), MemoryStore()
    async with simulated_gateway(simulator, *targets, timeouts=PATIENT, store=store) as gateway:
        code, data = await relayed(gateway)
    assert simulator.active == 0
    (record,) = store.read(Query())
    return code, data, record


# ---------------------------------------------------------------------- 9


@settings(max_examples=30)
@given(early_faults, st.sampled_from(["anthropic:sim-small", "openai:sim-small"]), BACKENDS)
def test_criterion_09_before_the_first_event_another_target_serves(
    fault: Fault, other: str, backend: str
) -> None:
    code, data, record = virtual_time.run(
        streamed, script(then=fault), "anthropic:sim-large", other, backend=backend
    )
    assert code == 200
    validate_anthropic_stream(data)
    assert b"event: error" not in data
    assert (record.ending, str(record.target)) == (Ending.OK, other)


@settings(max_examples=40)
@given(late_faults, st.sampled_from(["anthropic:sim-large", "openai:sim-large"]), BACKENDS)
def test_criterion_09_after_it_a_broken_stream_ends_in_an_error_event_and_a_failed_record(
    fault: Fault, first: str, backend: str
) -> None:
    code, data, record = virtual_time.run(
        streamed, script(fault, then=status(500)), first, "anthropic:sim-small", backend=backend
    )
    assert code == 200, "the status was out"
    validate_anthropic_stream(data)
    if b"event: message_stop" in data:  # the fault struck after the answer's own end
        assert record.ending is Ending.OK
        return
    assert data.rstrip().rpartition(b"\n\n")[2].startswith(b"event: error"), "never a clean end"
    assert record.ending is Ending.FAILED
    assert record.error is not None
    assert len(record.attempts) == 1, "nothing is tried again"
    assert record.usage.output is None or record.usage.output < 64, "what is known so far, no more"


# ---------------------------------------------------------------------- 10


def test_criterion_10_no_client_sees_more_silence_than_it_is_promised(serve: Callable[..., House]) -> None:
    running = serve(
        Simulator({"quiet": script(then=stall(2, seconds=1.2)), "dead": script(then=stall(4))}),
        **{"server.ping_seconds": 0.2, "timeouts.idle": 2.5},
    )
    for model, ends_well in (("messages:quiet", True), ("messages:dead", False)):
        gaps, seen, last = [], b"", time.monotonic()
        with running.client.stream("POST", "/v1/messages", json=message(EASY, model, stream=True)) as answer:
            for chunk in answer.iter_raw():
                gaps.append(time.monotonic() - last)
                last = time.monotonic()
                seen += chunk
        assert max(gaps) < 1.0, "0.2 s on a machine that has nothing else to do"
        assert seen.count(b"event: ping") >= 3
        assert seen.endswith(b"}\n\n")
        assert (b"message_stop" in seen) == ends_well, "an upstream that is idle for too long has failed"
        assert (b"event: error" in seen) != ends_well


# ---------------------------------------------------------------------- 11


def test_criterion_11_a_client_that_leaves_stops_everything_within_250_ms(
    serve: Callable[..., House],
) -> None:
    running = serve(Simulator({"slow": script(then=drip(0.05))}), **{"providers.messages.max_in_flight": 1})
    took = []
    for _ in range(3):
        gone = running.simulator.abandoned
        sock = running.connect()
        sock.sendall(raw_request("/v1/messages", message(EASY, "messages:slow", stream=True)))
        assert sock.recv(4096).startswith(b"HTTP/1.1 200")
        sock.close()
        began = time.monotonic()
        running.upstream.wait_until(lambda simulator, gone=gone: simulator.abandoned > gone)
        took.append(time.monotonic() - began)
        # The one place at the provider is free again, and the record is written, once.
        assert eventually(
            lambda: running.client.post("/v1/messages", json=message(EASY, "messages:m")).status_code == 200
        )
    assert min(took) < 0.25
    cancelled = eventually(lambda: [r for r in running.records() if r.ending is Ending.CANCELLED])
    assert len(cancelled) == 3
    assert all(record.attempts[0].outcome is Outcome.IGNORED for record in cancelled)


# ---------------------------------------------------------------------- 12


@settings(max_examples=15)
@given(
    st.integers(1, 40),
    st.sampled_from([status(500), status(529), reset(), stall(), garbage(), status(429, retry_after=1)]),
    BACKENDS,
)
def test_criterion_12_under_total_failure_attempts_are_bounded(
    requests: int, fault: Fault, backend: str
) -> None:
    async def ask_all() -> int:
        simulator = Simulator(default=script(then=fault))
        layers = fallback_and_retry_alone(RetryBudgets())  # without breakers, which would hold back too
        targets = ("anthropic:sim-large", "openai:sim-large", "openai:sim-small", "anthropic:sim-small")
        async with simulated_gateway(simulator, *targets, timeouts=PATIENT, layers=layers) as gateway:

            async def ask() -> None:
                with pytest.raises(LynkrError):
                    await gateway.ask(QUESTION)

            async with anyio.create_task_group() as tasks:
                for _ in range(requests):
                    tasks.start_soon(ask)
        return len(simulator.requests)

    assert requests <= virtual_time.run(ask_all, backend=backend) <= 1.2 * requests + 3


def fallback_and_retry_alone(budgets: RetryBudgets):
    return (
        fallback(budgets=budgets, monotonic=anyio.current_time),
        retry(budgets=budgets, clock=virtual_time.wall, monotonic=anyio.current_time),
    )


# ---------------------------------------------------------------------- 13


slow_faults = st.one_of(
    st.builds(stall, st.none() | st.integers(0, 6)),
    st.builds(lambda s: stall(seconds=s), st.sampled_from([0.5, 3.0, 9.99])),
    st.builds(drip, st.sampled_from([0.5, 2.0])),
    st.builds(lambda s: status(429, retry_after=s), st.sampled_from([0, 1, 5, 60])),
    st.builds(status, st.sampled_from([500, 503])),
    st.just(ok()),
)


@settings(max_examples=60)
@given(st.lists(slow_faults, min_size=1, max_size=4), st.sampled_from([1.0, 10.0]), st.booleans(), BACKENDS)
def test_criterion_13_no_call_outlives_its_deadline_by_50_ms(
    faults: list[Fault], deadline: float, hedged: bool, backend: str
) -> None:
    """Across retries, fallbacks and hedges, with an upstream that stalls before and within its answer."""

    async def ask() -> tuple[float, float, bool]:
        simulator = Simulator(default=script(*faults, then=stall()))
        budgets, registry = RetryBudgets(), MemoryBreakers()
        layers = (
            *fallback_and_retry_alone(budgets),
            *((hedge(lambda _: 0.7, budgets=budgets, monotonic=anyio.current_time),) if hedged else ()),
            breaker(registry, clock=virtual_time.wall),
        )
        store = MemoryStore()
        gateway = simulated_gateway(
            simulator,
            "anthropic:sim-large",
            "openai:sim-small",
            layers=layers,
            timeouts=Timeouts(first_byte=3_600.0, idle=3_600.0, total=None),
            total_timeout=deadline,
            store=store,
        )
        async with gateway:
            began, served = anyio.current_time(), True
            try:
                await gateway.ask(QUESTION)
            except LynkrError:
                served = False
            ended = anyio.current_time()
        (record,) = store.read(Query())
        latest = max((a.started for a in record.attempts), default=virtual_time.EPOCH) - virtual_time.EPOCH
        assert simulator.active == 0, "nothing goes on behind the caller's back"
        return ended - began, latest - began, served

    took, latest, _ = virtual_time.run(ask, backend=backend)
    assert took <= deadline + 0.05
    assert latest < deadline, "nothing is begun after it"


@pytest.mark.anyio
@pytest.mark.parametrize("after", [None, 0, 4])
async def test_criterion_13_holds_over_real_sockets(after: int | None, anyio_backend_name: str) -> None:
    kinds = [HttpxTransport] if anyio_backend_name == "trio" else [HttpxTransport, AiohttpTransport]
    for kind in kinds:
        overshoots = []
        async with SimulatorServer(Simulator(default=script(then=stall(after)))) as server:
            chosen = settings_for(server.url, **{"timeouts.total": 0.3})
            async with build_gateway(chosen, transport=kind()) as gateway:
                for _ in range(5):  # the best of five: this machine has other things to do
                    began = time.monotonic()
                    with anyio.fail_after(10), pytest.raises(LynkrError):
                        await gateway.ask(QUESTION)
                    overshoots.append(time.monotonic() - began - 0.3)
        assert max(overshoots) < 2.0
        assert min(overshoots) < 0.05, kind


# ---------------------------------------------------------------------- 14


class TestCriterion14TheBreakersLaw(machine_over(lambda config: [MemoryBreakers(config)]).TestCase):  # type: ignore[misc]
    """Bounded probes, stale results ignored, cancelled probes released: against a reference."""


@settings(max_examples=20)
@given(st.sampled_from([400, 404, 413, 422]), st.integers(5, 40), BACKENDS)
def test_criterion_14_client_errors_never_open_a_breaker(code: int, times: int, backend: str) -> None:
    async def ask() -> frozenset[str]:
        registry = MemoryBreakers()
        simulator = Simulator(default=script(then=status(code)))
        async with simulated_gateway(simulator, "anthropic:sim-large", breakers=registry) as gateway:
            for _ in range(times):
                with pytest.raises(LynkrError):
                    await gateway.ask(QUESTION)
        return registry.refusing(virtual_time.wall())

    assert virtual_time.run(ask, backend=backend) == frozenset()


# ---------------------------------------------------------------------- 15


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after-ms": "1500"}, 1.5),
        ({"retry-after": "7"}, 7.0),
        ({"retry-after": formatdate(1_800_000_030, usegmt=True)}, 30.0),
        ({"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "6m0s"}, 360.0),
        (
            {
                "anthropic-ratelimit-tokens-remaining": "0",
                "anthropic-ratelimit-tokens-reset": "2027-01-15T08:00:12Z",
            },
            12.0,
        ),
    ],
)
def test_criterion_15_wait_hints_are_read_in_every_form(headers: dict[str, str], seconds: float) -> None:
    assert wait_hint(headers, virtual_time.EPOCH) == seconds

    async def ask() -> float:
        limited = status(429, headers=headers)
        simulator = Simulator(default=script(limited))
        async with simulated_gateway(simulator, "anthropic:sim-large") as gateway:
            if seconds > 60:
                with pytest.raises(LynkrError) as caught:
                    await gateway.ask(QUESTION)
                assert getattr(caught.value, "retry_after", None) == seconds
            else:
                await gateway.ask(QUESTION)
        return anyio.current_time()

    waited = virtual_time.run(ask)
    assert waited == (pytest.approx(seconds, abs=0.1) if seconds <= 60 else pytest.approx(0.0, abs=0.1))


@pytest.mark.parametrize("word", ["true", "false"])
def test_criterion_15_the_providers_word_on_retrying_is_obeyed(word: str) -> None:
    async def ask() -> int:
        simulator = Simulator(
            default=script(then=status(400 if word == "true" else 500, headers={"x-should-retry": word}))
        )
        async with simulated_gateway(simulator, "anthropic:sim-large") as gateway:
            with pytest.raises(LynkrError):
                await gateway.ask(QUESTION)
        return len(simulator.requests)

    assert virtual_time.run(ask) == (3 if word == "true" else 1)


@settings(max_examples=40)
@given(
    st.lists(st.sampled_from([None, 0, 1, 59, 61, 3_600]), min_size=1, max_size=6), st.booleans(), BACKENDS
)
def test_criterion_15_a_429_is_followed_by_one_immediate_try_at_the_same_key_at_most(
    hints: list[float | None], alone: bool, backend: str
) -> None:
    async def ask() -> list[float]:
        steps = script(*(status(429, retry_after=hint) for hint in hints), then=status(429))
        simulator, store = Simulator(default=steps), MemoryStore()
        targets = ("anthropic:sim-large",) if alone else ("anthropic:sim-large", "anthropic:sim-small")
        async with simulated_gateway(simulator, *targets, store=store) as gateway:
            with pytest.raises(LynkrError):
                await gateway.ask(QUESTION)
        (record,) = store.read(Query())
        return [attempt.started for attempt in record.attempts]

    started = virtual_time.run(ask, backend=backend)
    gaps = [later - earlier for earlier, later in pairwise(started)]
    assert sum(gap < 0.01 for gap in gaps) <= 1
