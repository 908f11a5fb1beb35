"""The scorers lynkr ships: plain functions from `Features` to a `Step`.

Each adds up evidence in points; ``1 - exp(-points)`` is its score, so that the
scores of several scorers combine (`lynkr.routing.policy.weighted`) as if their
points had been added.  A step never holds prompt text: only numbers and the
names of lexicon groups.

A scorer of one's own is a function of the same shape:

>>> def long_prompts(features: Features) -> Step:
...     return Step("long_prompts", "prompt size", score=min(1.0, features.input_tokens / 100_000))
>>> long_prompts(Features(input_tokens=25_000)).score
0.25
"""

from collections.abc import Mapping
from math import exp
from typing import Final

from lynkr.model import Json
from lynkr.routing.classifier import classified, load_classifier, unless_exam
from lynkr.routing.decision import Step
from lynkr.routing.features import Features
from lynkr.routing.protocols import Scorer
from lynkr.routing.reading import AskKind, Reading

_HEAVY: Final[tuple[str, ...]] = ("build", "work", "work_noun", "scope", "change", "design", "steps")
_TRAPS: Final[tuple[str, ...]] = ("concurrency", "distributed", "security", "performance")
_RIGOUR: Final[tuple[str, ...]] = ("proof", "formal", "derive", "reasoning", "care", "audit")

# Together below COMPLEX: however technical, one light task is MEDIUM.
_MOST_CODE: Final = 0.38
_MOST_LIGHT: Final = 0.29
_MOST_TRAPS: Final = 0.8
# However broad a task, its breadth counts half from here on and ends below REASONING: that takes rigour.
_BROAD: Final = 0.8
_MOST_BREADTH: Final = 1.25
# Being told about a hard thing is not doing it; a poem about one, or a slip of the pen in one, even less so.
_TOLD: Final = 0.55
_MENTIONED: Final = 0.3
_ABOUT: Final = frozenset(("creative", "benign"))
# An enumeration's member is hashed, and looked up on its class, in Python.
_NEW: Final = AskKind.NEW
_REFERS: Final = AskKind.REFERS
_KINDS: Final = {
    **dict.fromkeys(("tech", "soft_tech"), "code"),
    **dict.fromkeys(("task", "prose"), "light"),
    **dict.fromkeys(_TRAPS, "traps"),
    **dict.fromkeys(_HEAVY, "heavy"),
    **dict.fromkeys(_RIGOUR, "rigour"),
}
_WORTH: Final = frozenset(_KINDS)
_GRAVE: Final = frozenset((*_HEAVY, "traps", *_RIGOUR))
_ONE_TASK: Final = 0.3
# A task that lists what it has to cover: each item counts, in an ask of at most a page.
_FEW_ASPECTS: Final = 3
_PER_ASPECT: Final = 0.1
_MOST_ASPECTS: Final = 0.3
_ONE_PAGE: Final = 120
_SHORT_QUESTION: Final = 8
_ONE_NAME: Final = 0.3

_INHERITED: Final = {
    AskKind.GO_ON: 0.85,
    AskKind.REFERS: 0.35,
    AskKind.ACKNOWLEDGES: 0.45,
    AskKind.NEW: 0.12,
    AskKind.SMALL_TALK: 0.0,
}
_DECAY: Final = 0.85


def _score(points: float) -> float:
    # Rounded so that a platform's last bit of `exp` cannot show in a decision.
    return round(1.0 - exp(-points), 4) if points > 0 else 0.0


def effort_points(reading: Reading) -> dict[str, float]:
    """How much work the words of one ask call for, in points per kind of evidence."""
    found = reading.points
    evidence = {} if _WORTH.isdisjoint(found) and not reading.code_chars else _evidence(reading, found)
    if reading.is_reply and _GRAVE.isdisjoint(evidence):
        return {name: round(points / 2, 3) for name, points in evidence.items()}
    kind = reading.kind
    if reading.is_lookup or (kind is not _NEW and kind is not _REFERS):
        return evidence
    # Who wants something done, and not just a fact, wants one clear task at least.
    lacking = round(_ONE_TASK - sum(evidence.values()), 3)
    if lacking > 0:
        evidence["ask"] = lacking
    return evidence


def _evidence(reading: Reading, found: Mapping[str, float]) -> dict[str, float]:
    sums = {"code": 0.3 if reading.code_chars else 0.0, "light": 0.0, "traps": 0.0}
    heavy: dict[str, float] = {}
    rigour: dict[str, float] = {}
    for group, points in found.items():
        kind = _KINDS.get(group)
        if kind == "heavy":
            heavy[group] = points
        elif kind == "rigour":
            rigour[group] = points
        elif kind is not None:
            sums[kind] += points
    code, light, traps = sums.values()
    if "formal" in rigour and "verify" in found and "proof" not in rigour:
        rigour["verify"] = 0.7
    is_about = not _ABOUT.isdisjoint(found)
    if "given" in found and code <= _ONE_NAME:
        heavy.pop("work", None)  # to rewrite a sentence is no rewrite of a system
        is_about = True
    works = "work" in heavy or "build" in heavy
    share = 1.0
    if reading.is_knowledge and not works and not rigour:
        share = _TOLD
        if reading.words <= _SHORT_QUESTION and code <= _ONE_NAME:
            code *= share
    elif is_about and not works:
        share = _MENTIONED
        if "benign" not in found:
            code *= _TOLD
    elif (light or works) and reading.clauses > _FEW_ASPECTS and reading.words <= _ONE_PAGE:
        heavy["aspects"] = min(_MOST_ASPECTS, _PER_ASPECT * (reading.clauses - _FEW_ASPECTS))
    evidence = {"code": min(_MOST_CODE, code), "light": min(_MOST_LIGHT, light)}
    if traps:
        evidence["traps"] = min(_MOST_TRAPS, traps * share)
    for group, points in heavy.items():
        evidence[group] = points if group == "aspects" else points * share
    breadth = sum(evidence.values())
    share = min(_MOST_BREADTH, _BROAD + (breadth - _BROAD) / 2) / breadth if breadth > _BROAD else 1.0
    evidence = {name: round(points * share, 3) for name, points in evidence.items() if points}
    evidence.update(rigour)
    return evidence


def effort(features: Features) -> Step:
    """What the newest ask's own words call for: verbs, objects, reach, traps, rigour."""
    evidence = effort_points(features.reading)
    if not evidence:
        return _NO_EFFORT
    strongest = max(evidence, key=evidence.__getitem__)
    if strongest == "ask" and len(evidence) == 1:
        return _ONE_TASK_STEP
    return Step("effort", _MOSTLY[strongest], _score(sum(evidence.values())), "ask_words", evidence)


_NO_EFFORT: Final = Step("effort", "no word of effort", 0.0, "no_effort_words")
_ONE_TASK_STEP: Final = Step("effort", "one task", _score(_ONE_TASK), "one_task", {"ask": _ONE_TASK})
# Spelt once: a decision takes microseconds.
_MOSTLY: Final = {
    name: f"the ask's words: mostly {name}"
    for name in ("ask", "code", "light", "traps", "aspects", "verify", *_HEAVY, *_RIGOUR)
}


def shape(features: Features) -> Step:
    """What the form of the ask tells: its length, numbers, formulas, choices, questions, code."""
    reading = features.reading
    found = reading.points
    length = min(0.6, 0.09 * reading.doublings)
    # What is given to be read makes an ask long, not hard.
    points = (length / 2 if "passage" in found else length) + min(0.02, 0.002 * reading.words)
    if reading.digits:
        points += min(0.12, 0.01 * reading.digits)
    if "maths" in found:
        points += found["maths"] if reading.digits or reading.has_formulas else 0.08
    if reading.has_formulas:
        points += 0.12
    if reading.has_choices:
        points += 0.12
    if reading.items:
        points += 0.1
    if reading.questions > 1:
        points += min(0.12, 0.04 * (reading.questions - 1))
    if reading.code_chars:
        points += min(0.25, reading.code_chars / 8_000)
    return Step("shape", f"{reading.words} words, {reading.clauses} clauses", _score(points), "ask_shape")


def context(features: Features) -> Step:
    """What an ask inherits from those before it: much for "continue", little for a new ask, none for thanks.

    Outside agent sessions an acknowledgement asks for nothing and inherits nothing.
    """
    if not features.earlier:
        return _NO_CONTEXT
    kind = features.reading.kind if features.has_ask else AskKind.GO_ON
    share = _INHERITED[kind]
    if kind is AskKind.ACKNOWLEDGES and not features.is_agentic:
        share = 0.0
    best = 0.0
    for reading in features.earlier:
        best = max(best, share * _score(sum(effort_points(reading).values())))
        share *= _DECAY
    return Step(
        "context", f"{kind.value} after {len(features.earlier)} asks", round(best, 4), f"ask_{kind.value}"
    )


_NO_CONTEXT: Final = Step("context", "the first ask", 0.0, "first_ask")


def agentic(features: Features) -> Step:
    """How far a tool loop has come and how it fares.

    Depth alone is worth at most 0.14 points and the files it wrote 0.08, so that a
    long session is no reason for a higher tier by itself; failures are.
    """
    if not features.is_agentic:
        return _NO_TOOLS
    points = min(0.06, 0.003 * features.extra_tools)
    points += min(0.08, 0.004 * features.loop_results)
    points += min(0.08, 0.01 * features.files_written)
    points += 0.06 * min(4, features.recent_errors)
    facts: dict[str, Json] = {
        "results": features.loop_results,
        "recent_errors": features.recent_errors,
        "files_written": features.files_written,
    }
    code = "tool_loop" if features.in_tool_loop else "tools_offered"
    return Step("agentic", "how far the tool loop has come, and how it fares", _score(points), code, facts)


_NO_TOOLS: Final = Step("agentic", "no tools", 0.0, "no_tools")


def risk(features: Features) -> Step:
    """Whether a mistake would be dear: access, money, keys, production, migrations."""
    if not features.is_risky:
        return _NO_RISK
    code = "risky_paths" if features.touched else "risky_words"
    reason = (
        f"files written: {', '.join(features.touched)}"
        if features.touched
        else "the ask changes something dear"
    )
    return Step("risk", reason, 0.2, code)


_NO_RISK: Final = Step("risk", "nothing dear is changed", 0.0, "no_risk")

DEFAULT_SCORERS: Final[tuple[Scorer, ...]] = (effort, shape, context, agentic, risk)
"""The lexical scorers: they know words, not outcomes, and need no file."""


def default_scorers() -> tuple[Scorer, ...]:
    """The lexical scorers and the trained classifier, which stands in for two of them on exam-like asks.

    Reads the packaged weights.

    Raises:
        ConfigError: the packaged weights are damaged.
    """
    effort_, shape_ = unless_exam(effort, "effort"), unless_exam(shape, "shape")
    return (effort_, shape_, context, agentic, risk, classified(load_classifier()))
