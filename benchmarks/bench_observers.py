"""What it costs to observe: CPU microseconds a request, on its path and in the observers' thread.

    python benchmarks/bench_observers.py            # prints the table
    python benchmarks/bench_observers.py --check    # and fails when the budget is broken

Budget: handing a finished request over costs its path under 20 us (CPython
3.11), ledger and observers together.  Absolute times depend on the machine,
so each is also given as a multiple of reading a 2 KB body with `json.loads`
in the same run.
"""

import argparse
import json
import sys
from collections.abc import Callable
from time import process_time
from timeit import repeat

from lynkr.model import Message, Request, Usage, WireFormat
from lynkr.resilience.outcome import AttemptKind, Outcome
from lynkr.routing import Target, Tier
from lynkr.service import Call, Reply, Tally
from lynkr.telemetry import AttemptRecord, Cost, Ended, Ending, MemoryStore, Observers, Record, Recorder
from lynkr.telemetry.log import line_of
from lynkr.telemetry.otel import OpenTelemetry
from lynkr.telemetry.prometheus import PrometheusMetrics

BUDGET_US = 20.0
TARGET = Target("openai", "gpt-4.1-nano")
ATTEMPT = AttemptRecord(TARGET, 1_795_000_000.0, 0.8, 200, Outcome.SUCCESS, kind=AttemptKind.FIRST)
RECORD = Record(
    "01a2217cab844d9422535c888eff", 1_795_000_000.0, WireFormat.OPENAI_CHAT, "lynkr-auto",
    stream=True, ending=Ending.OK, status=200, tier=Tier.SIMPLE, served_tier=Tier.SIMPLE, score=0.1,
    reason="score", target=TARGET, attempts=(ATTEMPT,), usage=Usage(500, 100, 400), seconds=0.9,
    cost=Cost(50, 900, "anthropic:claude-opus-4-5", "2026-11"), seconds_to_first_event=0.3,
)  # fmt: skip


class Idle:
    """Observes nothing, so that only the handing over is measured."""

    def observe(self, ended: object, /) -> None: ...


def microseconds(act: Callable[[], object], number: int = 2_000) -> float:
    """The best of seven runs, CPU time of the whole process."""
    return min(repeat(act, timer=process_time, number=number, repeat=7)) / number * 1e6


def tracer() -> tuple[OpenTelemetry, Callable[[], None]]:
    """An `OpenTelemetry` over the SDK, exporting to nobody, and one traced call without its answer."""
    from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415
    from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult  # noqa: PLC0415

    class Nowhere(SpanExporter):
        def export(self, _: object) -> SpanExportResult:
            return SpanExportResult.SUCCESS

    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(Nowhere()))
    otel = OpenTelemetry(tracer_provider=provider, targets=[TARGET], on_close=provider.shutdown)
    request = Request("lynkr-auto", (Message.user("hi"),))

    async def service(call: Call) -> Reply:
        return Reply(call.target, Tally())

    layer = otel.layer(service)

    def send() -> None:
        trace = otel.begin({}, RECORD.at)
        try:
            layer(Call(request, TARGET, trace=trace)).send(None)
        except StopIteration:
            return

    return otel, send


def measured() -> dict[str, float]:
    """Each piece's cost."""
    body = json.dumps({"messages": [{"role": "user", "content": "x" * 2_000}]}).encode()
    ended = Ended(RECORD)
    recorder = Recorder(MemoryStore(10), capacity=10**9, flush_interval=3600, batch=10**9)
    observers = Observers((Idle(),), capacity=10**9, interval=3600)
    metrics = PrometheusMetrics([TARGET])
    otel, send = tracer()
    traced = Ended(RECORD, trace=otel.begin({}, RECORD.at))
    costs = {
        "json.loads of 2 KB": microseconds(lambda: json.loads(body)),
        "path: to the ledger": microseconds(lambda: recorder.record(RECORD)),
        "path: to observers": microseconds(lambda: observers.tell(ended)),
        "path: otel, a request and an attempt": microseconds(send),
        "thread: Prometheus": microseconds(lambda: metrics.observe((ended,))),
        "thread: a line of the log": microseconds(lambda: json.dumps(line_of(ended))),
        "thread: otel": microseconds(lambda: otel.observe((traced,))),
    }
    recorder.close(60)
    observers.close(60)
    otel.close()
    return costs


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="fail when the budget is broken")
    arguments = parser.parse_args()
    costs = measured()
    base = costs["json.loads of 2 KB"]
    print(f"Python {sys.version.split()[0]}\n{'piece':<40} {'us':>8} {'x json.loads':>14}")
    for name, cost in costs.items():
        print(f"{name:<40} {cost:8.2f} {cost / base:14.2f}")
    handed = costs["path: to the ledger"] + costs["path: to observers"]
    print(f"handing over: {handed:.2f} us of {BUDGET_US} us")
    return int(arguments.check and handed > BUDGET_US)


if __name__ == "__main__":
    sys.exit(main())
