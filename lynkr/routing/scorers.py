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

from math import exp
from typing import Final

from lynkr.routing.classifier import classified, load_classifier
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
# Being told about a hard thing is not doing it.
_TOLD: Final = 0.55
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
    if not found and not reading.code_chars:
        return {}
    code = found.get("tech", 0.0) + found.get("soft_tech", 0.0) + (0.3 if reading.code_chars else 0.0)
    traps = min(_MOST_TRAPS, sum([found[group] for group in _TRAPS if group in found]))
    heavy = {group: found[group] for group in _HEAVY if group in found}
    rigour = {group: found[group] for group in _RIGOUR if group in found}
    if "formal" in rigour and "verify" in found and "proof" not in rigour:
        rigour["verify"] = 0.7
    if reading.is_knowledge and "work" not in heavy and "build" not in heavy and not rigour:
        traps *= _TOLD
        heavy = {group: round(points * _TOLD, 3) for group, points in heavy.items()}
        if reading.words <= _SHORT_QUESTION and code <= _ONE_NAME:
            code *= _TOLD
    light = found.get("task", 0.0) + found.get("prose", 0.0)
    evidence: dict[str, float] = {
        "code": min(_MOST_CODE, code),
        "light": min(_MOST_LIGHT, light),
        "traps": traps,
        **heavy,
    }
    breadth = sum(evidence.values())
    if breadth > _BROAD:
        kept = min(_MOST_BREADTH, _BROAD + (breadth - _BROAD) / 2)
        evidence = {name: round(points * kept / breadth, 3) for name, points in evidence.items()}
    evidence.update(rigour)
    return {name: points for name, points in evidence.items() if points > 0}


def effort(features: Features) -> Step:
    """What the newest ask's own words call for: verbs, objects, reach, traps, rigour."""
    evidence = effort_points(features.reading)
    if not evidence:
        return _NO_EFFORT
    score = _score(sum(evidence.values()))
    strongest = max(evidence, key=evidence.__getitem__)
    return Step(
        "effort",
        f"the ask's words: mostly {strongest}",
        score,
        "ask_words",
        evidence,
    )


_NO_EFFORT: Final = Step("effort", "no word of effort", 0.0, "no_effort_words")


def shape(features: Features) -> Step:
    """What the form of the ask tells: its length, numbers, formulas, choices, questions, code."""
    reading = features.reading
    points = min(0.6, 0.09 * reading.doublings) + min(0.02, 0.002 * reading.words)
    points += min(0.12, 0.01 * reading.digits)
    if "maths" in reading.points:
        points += reading.points["maths"] if reading.digits or reading.has_formulas else 0.08
    if reading.has_formulas:
        points += 0.12
    if reading.has_choices:
        points += 0.12
    if reading.items:
        points += 0.1
    points += min(0.12, 0.04 * max(0, reading.questions - 1))
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

    Depth alone is worth at most 0.14 points, so that a long session is no
    reason for a higher tier by itself; failures are.
    """
    if not features.is_agentic:
        return _NO_TOOLS
    points = min(0.06, 0.003 * features.extra_tools)
    points += min(0.08, 0.004 * features.loop_results)
    points += 0.06 * min(4, features.recent_errors)
    reason = f"{features.loop_results} tool results since the ask, {features.recent_errors} recent failures"
    return Step("agentic", reason, _score(points), "tool_loop" if features.in_tool_loop else "tools_offered")


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
    """The lexical scorers and the trained classifier; reads the packaged weights.

    Raises:
        ConfigError: the packaged weights are damaged.
    """
    return (*DEFAULT_SCORERS, classified(load_classifier()))
