"""What a decision costs: microseconds per `PipelineRouter.route`, over a mix of asks, whole and by piece.

    python benchmarks/bench_route.py                                      # prints the tables
    python benchmarks/bench_route.py --check                              # and fails when a budget is broken
    python benchmarks/bench_route.py --data ../shared/data/routing        # the mix is all prompts found there

The mix: every labelled ask of `benchmarks/routing/asks.jsonl`, or with `--data` the prompts of the routing
data, each decided once a round as a request of its own; the median and the 99th percentile of the best of
some rounds are held against the bar of 60 and 300 us.  Bodies of agents are decided twice: as if never seen,
and as the next request of a session whose tools and earlier messages the planner knows
(`lynkr.routing.familiar`), which is what a coding agent sends nearly always.

Absolute times depend on the machine, so those of bodies are also given as a multiple of reading the same
body with `json.loads` in the same run: routing has to stay a small part of what receiving a request costs.
"""

import argparse
import gzip
import json
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median, quantiles
from time import process_time, thread_time_ns
from timeit import repeat

from attrs import evolve, frozen

from lynkr.model import Message, Request, Role, Text, ToolCall, ToolResult, ToolSpec
from lynkr.routing import Pin, PipelineRouter, Snapshot, Target, Tier, features_of
from lynkr.routing.envelope import strip_envelopes
from lynkr.routing.familiar import Familiar
from lynkr.routing.reading import read

MIX_BUDGET_US = (60.0, 300.0)
"""Median and 99th percentile over the mix: the bar of issue 7."""
BUDGETS_US = {
    "chat 2 KB: route": 80.0,
    "agent 60 x 60 KB: next of a session": 100.0,
    "agent 200 x 200 KB: next of a session": 200.0,
    "agent 200 x 200 KB: route": 1_000.0,
}
_ASKS = Path(__file__).parent / "routing" / "asks.jsonl"
_ROUNDS = 5

_PARAGRAPH = (
    "Please refactor the billing module so that invoices are computed lazily. Three services share the "
    "code in src/billing/core.py and each of them imports `compute_total`. Keep the public API stable, add "
    "tests, and make sure that the migration does not break existing customers, whose data stays readable. "
)
_REMINDER = (
    "<system-reminder>\n"
    + "Follow the security policy of this project at all times. " * 40
    + "</system-reminder>\n"
)
_TOOL_NAMES = (
    "Agent",
    "Bash",
    "Glob",
    "Grep",
    "Read",
    "Edit",
    "Write",
    "NotebookEdit",
    "WebFetch",
    "WebSearch",
)
_TOOL_NAMES += ("TodoWrite", "Skill", "ExitPlanMode", "LSP")


def chat(size: int = 2_048) -> Request:
    text = (_PARAGRAPH * (size // len(_PARAGRAPH) + 1))[:size]
    return Request(model="auto", messages=(Message.system("You are helpful."), Message.user(text)))


def agent(messages: int = 200, size: int = 200_000) -> Request:
    """A session as a coding agent sends it: asks in envelopes, a tool loop, 14 wordy tools."""
    schema = {
        "type": "object",
        "properties": {
            f"option_{n}": {"type": "string", "description": "what it is for " * 6} for n in range(6)
        },
        "required": ["option_0"],
    }
    tools = tuple(ToolSpec(name, "How and when to use this tool. " * 60, schema) for name in _TOOL_NAMES)
    output = "def handler(event):\n    return event  # a line of some file that was read\n"
    per_result = output * ((size - 30_000) // (messages // 2) // len(output))
    history = [Message.system("You are a coding agent. " * 400)]
    for turn in range((messages - 1) // 2):
        if turn % 25 == 0:
            ask = f"Now fix the failing tests of part {turn} and explain what was wrong. {_PARAGRAPH}"
            history.append(Message(Role.USER, (Text(_REMINDER), Text(ask))))
        else:
            result = ToolResult(f"call_{turn}", (Text(per_result),))
            history.append(Message(Role.USER, (result, Text(_REMINDER)) if turn % 10 == 0 else (result,)))
        arguments = json.dumps({"file_path": f"/repo/src/part_{turn}/core.py", "new_string": "x" * 200})
        call = ToolCall(f"call_{turn + 1}", "Edit" if turn % 3 == 0 else "Read", arguments)
        history.append(Message(Role.ASSISTANT, (Text("I look at the file."), call)))
    history.append(Message(Role.USER, (ToolResult(f"call_{messages // 2}", (Text(per_result),)),)))
    return Request(model="auto", messages=tuple(history), tools=tools, max_output_tokens=32_000)


def body_of(request: Request) -> bytes:
    """About the bytes a client would send for it."""
    messages = [
        {"role": message.role, "content": [_plain(part) for part in message.parts]}
        for message in request.messages
    ]
    tools = [
        {"name": tool.name, "description": tool.description, "input_schema": tool.input_schema}
        for tool in request.tools
        if isinstance(tool, ToolSpec)
    ]
    return json.dumps({"model": request.model, "messages": messages, "tools": tools}).encode()


def _plain(part: object) -> dict[str, object]:
    match part:
        case Text(text=text):
            return {"type": "text", "text": text}
        case ToolCall(id=id, name=name, arguments=arguments):
            return {"type": "tool_use", "id": id, "name": name, "input": json.loads(arguments)}
        case ToolResult(call_id=call_id, content=content):
            return {
                "type": "tool_result",
                "tool_use_id": call_id,
                "content": [_plain(inner) for inner in content],
            }
        case _:
            raise TypeError(part)


def microseconds(call: Callable[[], object], seconds: float = 0.15) -> float:
    """Processor time of the best of several runs: what the work costs when nothing disturbs it."""
    call()
    once = min(repeat(call, timer=process_time, number=1, repeat=3))
    number = max(1, int(seconds / 9 / max(once, 1e-7)))
    return min(repeat(call, timer=process_time, number=number, repeat=9)) / number * 1e6


def the_router() -> PipelineRouter:
    return PipelineRouter(
        {
            Tier.SIMPLE: ["ollama:qwen3", "ollama:llama3.2"],
            Tier.MEDIUM: ["openai:gpt-5-mini", "moonshot:kimi-k2"],
            Tier.COMPLEX: ["anthropic:claude-sonnet-4-5", "openai:gpt-5"],
            Tier.REASONING: ["anthropic:claude-opus-4-5"],
        }
    )


SNAPSHOT = Snapshot(session="s", pin=Pin(Target("openai", "gpt-5"), Target("openai", "gpt-5"), 500, 1))


@frozen
class Mix:
    """Different asks, each decided as a request of its own; times in microseconds."""

    name: str
    asks: int
    median_chars: float
    tiers: dict[str, int]
    median_us: float
    tail_us: float

    @classmethod
    def measured(cls, name: str, prompts: Sequence[str]) -> "Mix":
        router, snapshot = the_router(), Snapshot()
        requests = [Request(model="auto", messages=(Message.user(prompt),)) for prompt in prompts]
        tiers = Counter(router.route(request, snapshot).tier.name for request in requests)
        rounds: list[tuple[float, float]] = []
        for _ in range(_ROUNDS):
            spent: list[float] = []
            for request in requests:
                begun = thread_time_ns()
                router.route(request, snapshot)
                spent.append((thread_time_ns() - begun) / 1_000)
            rounds.append((median(spent), quantiles(spent, n=100)[98]))
        lengths = median(map(len, prompts))
        # Whoever shares the machine makes a round worse, never better.
        return cls(name, len(prompts), lengths, dict(tiers.most_common()), *min(rounds))

    def lines(self) -> tuple[str, str]:
        shares = ", ".join(f"{tier} {count / self.asks:.0%}" for tier, count in self.tiers.items())
        least, most = MIX_BUDGET_US
        made_of = f"{self.asks:,} asks of {self.name}, half of them over {self.median_chars:.0f} characters"
        took = f"median {self.median_us:.1f} us, 99th percentile {self.tail_us:.1f} us"
        return (
            f"the mix: {made_of}; {shares}",
            f"{took}, the best of {_ROUNDS} rounds (bar: {least:.0f} / {most:.0f})",
        )

    @property
    def broken(self) -> list[str]:
        told = zip(("median", "99th percentile"), (self.median_us, self.tail_us), MIX_BUDGET_US, strict=True)
        return [f"the mix: {what} {us:.0f} us, budget {most:.0f}" for what, us, most in told if us > most]


def prompts_of(data: Path | None) -> tuple[str, list[str]]:
    """The name of the mix, and its prompts."""
    if data is None:
        texts = [json.loads(line)["prompt"] for line in _ASKS.read_text("utf-8").splitlines()]
        return "benchmarks/routing/asks.jsonl", texts
    found: list[str] = []
    for path in sorted(data.glob("*.jsonl.gz")):
        with gzip.open(path, "rt", encoding="utf-8") as lines:
            found += [json.loads(line)["prompt"] for line in lines]
    return str(data), found


def measure(seconds: float = 0.15) -> dict[str, tuple[float, float, int]]:
    """Name to (microseconds, multiple of `json.loads` of the body, bytes of the body)."""
    router, snapshot = the_router(), SNAPSHOT
    rows: dict[str, tuple[float, float, int]] = {}
    for name, request in (
        ("chat 2 KB", chat()),
        ("agent 200 x 200 KB", agent()),
        ("agent 60 x 60 KB", agent(60, 60_000)),
    ):
        body = body_of(request)
        loads = microseconds(lambda body=body: json.loads(body), seconds)
        features = features_of(request)
        familiar = Familiar()

        def as_the_next(request: Request = request, familiar: Familiar = familiar) -> object:
            """Of the same messages, as a decoder gives them that knows their bytes: in a list that is new."""
            again = evolve(request, messages=(*request.messages,))
            return router.route(again, snapshot, familiar=familiar)

        pieces: dict[str, Callable[[], object]] = {
            "route": lambda request=request: router.route(request, snapshot),
            "next of a session": as_the_next,
            "features_of": lambda request=request: features_of(request),
            "decide": lambda features=features: router.decide(features, snapshot),
            "read(ask)": lambda features=features: read(features.ask),
        }
        for piece, call in pieces.items():
            cost = microseconds(call, seconds)
            rows[f"{name}: {piece}"] = (cost, cost / loads, len(body))
    wrapped = _REMINDER + _PARAGRAPH * 7
    cost = microseconds(lambda: strip_envelopes(wrapped), seconds)
    rows["strip_envelopes, 4 KB"] = (cost, 0.0, len(wrapped))
    return rows


def main() -> int:
    arguments = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    arguments.add_argument("--check", action="store_true", help="fail when a budget is broken")
    arguments.add_argument("--data", type=Path, help="a folder of *.jsonl.gz whose prompts are the mix")
    chosen = arguments.parse_args()
    mix = Mix.measured(*prompts_of(chosen.data))
    rows = measure()
    print(f"CPython {sys.version.split()[0]}, processor time, best of 9")
    print(f"{'what':40}{'microseconds':>14}{'x json.loads':>14}{'body bytes':>12}")
    for name, (cost, ratio, size) in rows.items():
        print(f"{name:40}{cost:14.1f}{ratio:14.2f}{size:12,}")
    print(*mix.lines(), sep="\n")
    broken = mix.broken
    for name, budget in BUDGETS_US.items():
        if rows[name][0] > budget:
            broken.append(f"{name}: {rows[name][0]:.0f} us, budget {budget:.0f}")
    for line in broken:
        print(f"over budget: {line}")
    return 1 if chosen.check and broken else 0


if __name__ == "__main__":
    sys.exit(main())
