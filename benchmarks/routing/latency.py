"""Microseconds per decision, beside LiteLLM's complexity router where it is installed."""

import json
import os
from collections.abc import Callable, Mapping, Sequence
from time import thread_time_ns
from typing import Any, Final

import numpy as np

from lynkr.model import Message, Request, Role, Text, ToolCall, ToolResult, ToolSpec
from lynkr.routing import PipelineRouter, Snapshot, Tier

_ROUNDS: Final = 4
_PARAGRAPH: Final = (
    "Please refactor the billing module so that invoices are computed lazily. Three services share the "
    "code in src/billing/core.py and each of them imports `compute_total`. Keep the public API stable, add "
    "tests, and make sure that the migration does not break existing customers, whose data stays readable. "
)
_QUESTION: Final = (
    "A tank holds 240 litres and is filled by two pipes at 12 and 18 litres per minute while a drain takes "
    "out 5 litres per minute. Find how many minutes pass until it is full, and the percent of the water "
    "that came through the larger pipe; show how the value changes if the drain takes 7 litres instead. "
)


def bodies() -> dict[str, Request]:
    """The shapes decisions are timed on."""
    return {
        "chat, 2 KB": _chat(_PARAGRAPH),
        "exam question, 2 KB": _chat(_QUESTION),
        "agent, 60 KB": _agent(40, 60_000),
        "agent, 200 KB": _agent(120, 200_000),
    }


def _chat(paragraph: str) -> Request:
    return Request(model="auto", messages=(Message.user((paragraph * 8)[:2_048]),))


def _agent(turns: int, size: int) -> Request:
    schema = {"type": "object", "properties": {"file_path": {"type": "string", "description": "which " * 20}}}
    tools = tuple(
        ToolSpec(name, "How and when to use this tool. " * 40, schema)
        for name in ("Bash", "Read", "Edit", "Write", "Grep", "Glob", "Agent", "TodoWrite")
    )
    output = "def handler(event):\n    return event  # a line of some file that was read\n"
    each = output * max(1, (size - 16_000) // turns // len(output))
    messages = [Message.user(_PARAGRAPH * 2)]
    for turn in range(turns):
        arguments = json.dumps({"file_path": f"/repo/src/part_{turn}/core.py"})
        call = ToolCall(f"call_{turn}", "Read", arguments)
        messages.append(Message(Role.ASSISTANT, (Text("I look at the file."), call)))
        messages.append(Message(Role.USER, (ToolResult(f"call_{turn}", (Text(each),)),)))
    return Request(model="auto", messages=tuple(messages), tools=tools)


def _as_chat(request: Request) -> list[dict[str, Any]]:
    """The same conversation in OpenAI's shape, which LiteLLM reads."""
    found: list[dict[str, Any]] = []
    for message in request.messages:
        for part in message.parts:
            match part:
                case Text(text=text):
                    found.append({"role": message.role.value, "content": text})
                case ToolResult(call_id=call_id, content=content):
                    text = "".join(inner.text for inner in content if isinstance(inner, Text))
                    found.append({"role": "tool", "tool_call_id": call_id, "content": text})
                case _:
                    continue
    return found


def lynkr_router() -> Callable[[Request], object]:
    router = PipelineRouter({tier: [f"local:{tier.name.lower()}"] for tier in Tier})
    snapshot = Snapshot()
    return lambda request: router.route(request, snapshot)


def litellm_judge() -> Callable[[str], tuple[float, str]] | None:
    """LiteLLM's complexity heuristic on one prompt; None where it is not installed."""
    classify = _litellm()
    if classify is None:
        return None

    def judge(prompt: str) -> tuple[float, str]:
        tier, score, _ = classify(prompt, None)
        return float(score), str(getattr(tier, "value", tier))

    return judge


def _litellm() -> Callable[[str, str | None], tuple[Any, float, list[str]]] | None:
    # Else importing it asks the network for a price list.
    os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"  # noqa: TID251 - set for a library, not read
    try:
        from litellm.router_strategy.complexity_router.complexity_router import (  # noqa: PLC0415
            ComplexityRouter,
        )
    except ImportError:
        return None
    from unittest.mock import MagicMock  # noqa: PLC0415 - stands for a Router that classifying never calls

    router = ComplexityRouter(
        model_name="auto", litellm_router_instance=MagicMock(), complexity_router_config={}
    )
    return router.classify


def _litellm_router() -> Callable[[Sequence[Mapping[str, Any]]], object] | None:
    classify = _litellm()
    if classify is None:
        return None
    from litellm.router_strategy.complexity_router.complexity_router import (  # noqa: PLC0415
        _extract_current_ask_and_system_prompt as ask_of,
    )

    def route(messages: Sequence[Mapping[str, Any]]) -> object:
        ask, system = ask_of(messages)
        return classify(ask or "", system)

    return route


def percentiles(call: Callable[[], object], times: int = 1_000) -> tuple[float, float]:
    """Median and 99th percentile of one call, in microseconds of processor time, in the best of a few rounds.

    The best, because whoever shares the machine makes a round worse, never better.
    """
    for _ in range(50):
        call()
    spent = np.empty(times)
    rounds: list[tuple[float, float]] = []
    for _ in range(_ROUNDS):
        for place in range(times):
            begun = thread_time_ns()
            call()
            spent[place] = (thread_time_ns() - begun) / 1_000
        rounds.append((float(np.percentile(spent, 50)), float(np.percentile(spent, 99))))
    return min(rounds)


def over_prompts(judge: Callable[[str], object], prompts: Sequence[str]) -> tuple[float, float]:
    """Median and 99th percentile over different prompts, in the best of a few rounds."""
    spent = np.empty(len(prompts))
    rounds: list[tuple[float, float]] = []
    for _ in range(_ROUNDS):
        for place, prompt in enumerate(prompts):
            begun = thread_time_ns()
            judge(prompt)
            spent[place] = (thread_time_ns() - begun) / 1_000
        rounds.append((float(np.percentile(spent, 50)), float(np.percentile(spent, 99))))
    return min(rounds)


def over_requests(prompts: Sequence[str]) -> tuple[float, float]:
    """As `over_prompts`, of lynkr's whole way from a request to a decision with its trace."""
    route = lynkr_router()
    requests = {prompt: Request(model="auto", messages=(Message.user(prompt),)) for prompt in prompts}
    return over_prompts(lambda prompt: route(requests[prompt]), prompts)


def measure() -> dict[str, dict[str, tuple[float, float]]]:
    """Router to body to (median, p99); LiteLLM only where it is installed."""
    ours, theirs = lynkr_router(), _litellm_router()
    found: dict[str, dict[str, tuple[float, float]]] = {"lynkr": {}}
    if theirs is not None:
        found["LiteLLM complexity router"] = {}
    for name, request in bodies().items():
        found["lynkr"][name] = percentiles(lambda request=request: ours(request))
        if theirs is not None:
            messages = _as_chat(request)
            found["LiteLLM complexity router"][name] = percentiles(
                lambda messages=messages, theirs=theirs: theirs(messages), 200
            )
    return found
