"""lynkr as ``shared/tools/routing_eval.py`` takes a router: a prompt to difficulty and tier.

::

    cd benchmarks/routing
    python ../../../shared/tools/routing_eval.py --data DATA --callable judge:score

This is the whole way a request goes (features, scorers, policy, targets' rules,
trace), with four targets of which nothing is known.
"""

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

from lynkr.model import Message, Request, ToolSpec
from lynkr.routing import PipelineRouter, Snapshot, Tier

_NOW = Snapshot()


@cache
def _router() -> PipelineRouter:
    return PipelineRouter({tier: f"local:{tier.name.lower()}" for tier in Tier})


def score(prompt: str, *, tools: Sequence[Mapping[str, Any]] = (), **_row: object) -> tuple[float, str]:
    """Difficulty in [0, 1] and the name of the tier; *tools* as OpenAI writes them, or bare functions."""
    offered = tuple(_tool(tool.get("function", tool)) for tool in tools)
    request = Request(model="auto", messages=(Message.user(prompt),), tools=offered)
    decision = _router().route(request, _NOW)
    return decision.score, decision.tier.name


def _tool(function: Mapping[str, Any]) -> ToolSpec:
    return ToolSpec(
        str(function.get("name", "")), function.get("description"), function.get("parameters") or {}
    )
