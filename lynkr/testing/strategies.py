"""Hypothesis strategies over the canonical model, for lynkr's own laws and for yours.

``format=X`` keeps to values which dialect *X* carries in its normal form, so
that ``decode(encode(value)) == value`` is to be expected; ``format=None`` gives
anything the model can say, in which a translation may well lose something.
Generated conversations are coherent: every tool result answers a call that
stands before it.

Needs the extra ``testing``.
"""

from functools import cache

from hypothesis import strategies as st
from hypothesis.strategies import DrawFn, SearchStrategy

from lynkr.routing.decision import Decision, Pin, Snapshot, Step, Target, Tier
from lynkr.testing.bodies import request_bodies, response_bodies
from lynkr.testing.primitives import extra_fields, json_values, texts, tool_names
from lynkr.testing.streams import chunkings, event_streams
from lynkr.testing.values import (
    conversations,
    extras,
    messages,
    parts,
    requests,
    responses,
    tool_calls,
    tool_specs,
    usages,
)

__all__ = [
    "chunkings",
    "conversations",
    "decisions",
    "event_streams",
    "extras",
    "json_values",
    "messages",
    "parts",
    "pins",
    "request_bodies",
    "requests",
    "response_bodies",
    "responses",
    "snapshots",
    "targets",
    "tool_calls",
    "tool_specs",
    "usages",
]


KNOWN_TARGETS = tuple(
    map(Target.parse, ("ollama:qwen3:8b", "local:né", "openai:gpt-5", "anthropic:claude-opus-4-5"))
)
"""What `targets` draws from."""


@cache
def targets() -> SearchStrategy[Target]:
    """A handful of targets, so that two draws often meet."""
    return st.sampled_from(KNOWN_TARGETS)


def pins(among: SearchStrategy[Target] | None = None) -> SearchStrategy[Pin]:
    """Where a session may be served: some with a home elsewhere, some with none."""
    among = targets() if among is None else among
    return st.builds(
        Pin,
        served=among,
        home=st.none() | among,
        tokens=st.sampled_from((0, 900, 60_000)),
        messages=st.sampled_from((0, 1, 4, 40)),
        at=st.sampled_from((0.0, 1.0)),
    )


def snapshots(among: SearchStrategy[Target] | None = None) -> SearchStrategy[Snapshot]:
    """Moments to route in: clocks, unavailable targets, the pin of this session."""
    among = targets() if among is None else among
    sessions = st.sampled_from(("s1", "s2"))
    return st.builds(
        Snapshot,
        now=st.sampled_from((0.0, 1.0, 31.0, 1.8e9)),
        unavailable=st.frozensets(among, max_size=4),
        pin=st.none() | pins(among),
        session=st.none() | sessions,
        seed=st.integers(0, 2**63),
    )


@st.composite
def decisions(draw: DrawFn) -> Decision:
    """Well-formed decisions, for code that stores or shows them."""
    ladder = tuple(draw(st.lists(targets(), min_size=1, max_size=4, unique=True)))
    scores = st.floats(0, 1)
    steps = st.builds(
        Step, tool_names(), texts(), st.none() | scores, st.none() | st.just("code"), extra_fields()
    )
    tier = draw(st.sampled_from(Tier))
    tier_step = Step("tier", draw(texts()), draw(scores), "lexical")
    return Decision(
        tier=tier,
        score=draw(scores),
        targets=ladder,
        tiers=tuple(draw(st.none() | st.sampled_from(Tier)) for _ in ladder),
        trace=(*draw(st.lists(steps, max_size=3)), tier_step),
    )
