"""`generationConfig.thinkingConfig` and `ReasoningOptions`.

`ThinkingConfig` of google-genai 3.4 (read 2026-11): a budget of 0 is off, -1
automatic; a level and a budget exclude each other.  ``includeThoughts`` is
what a caller who enabled thinking wants to see; one who only said how much
sees none, as with OpenAI.
"""

from typing import Final

from attrs import fields

from lynkr.model import Extras, Json, ReasoningOptions
from lynkr.wire.fields import Losses, Node, optional_bool, optional_int, optional_text
from lynkr.wire.gemini.fields import GEMINI, Body, as_extras, shape
from lynkr.wire.gemini.models import BUDGET_OF_EFFORT, LEVELS, Generation, ThinkingBy, generation_of

_THINKING: Final = shape("includeThoughts", "thinkingBudget", "thinkingLevel")
_UNSPECIFIED: Final = "THINKING_LEVEL_UNSPECIFIED"


def decode_thinking(node: Node, path: str = "generationConfig.thinkingConfig") -> ReasoningOptions | None:
    shown = optional_bool(node, "includeThoughts", path)
    budget = optional_int(node, "thinkingBudget", path)
    level = optional_text(node, "thinkingLevel", path)
    left = _THINKING.leftover(node)
    enabled = False if budget == 0 else True if shown else None
    if shown is not None and shown is not (enabled is True):
        left["includeThoughts"] = shown
    if budget is not None and budget < 0:
        left["thinkingBudget"], budget = budget, None
    if level == _UNSPECIFIED:
        left["thinkingLevel"], level = level, None
    options = ReasoningOptions(enabled, level.lower() if level else None, budget or None, as_extras(left))
    return None if options == ReasoningOptions() else options


def encode_thinking(options: ReasoningOptions, model: str, losses: Losses) -> Body | None:
    """The node for *model*, None where there is nothing to say; what it cannot say is a `Loss`."""
    generation = generation_of(model)
    node = _amount(options, generation, losses)
    if options.enabled and generation.thinking is not ThinkingBy.NOTHING:
        node["includeThoughts"] = True
    if generation.thinking is ThinkingBy.NOTHING:
        losses.add_extras(options.extras, "reasoning", f"{model} does not think")
    else:
        _restore(node, options.extras, losses)
    read_back = decode_thinking(node)
    if read_back is None:
        losses.add("reasoning", f"{model} has no field for it")
        return node or None
    for attribute in fields(ReasoningOptions):
        name: str = attribute.name
        if name != "extras" and getattr(read_back, name) != getattr(options, name):
            losses.add(f"reasoning.{name}", f"{model} cannot be told so")
    return node


def _amount(options: ReasoningOptions, generation: Generation, losses: Losses) -> Body:
    """How much to think, in the one field the model takes."""
    if options.enabled is False:
        return _off(generation)
    budget, effort = options.budget_tokens, options.effort
    word = effort.lower() if effort is not None else None
    match generation.thinking:
        case ThinkingBy.NOTHING:
            return {}
        case ThinkingBy.BUDGET:
            if budget is None and word is not None:
                budget = BUDGET_OF_EFFORT.get(word, BUDGET_OF_EFFORT["high"])
            return {} if budget is None else {"thinkingBudget": _within(budget, generation)}
        case ThinkingBy.LEVEL | ThinkingBy.ANY:
            if word is not None:
                if word not in LEVELS:
                    losses.add(
                        "reasoning.effort", f"Gemini has no level {effort!r}; the highest it has for sure"
                    )
                    word = "high"
                return {"thinkingLevel": word.upper()}
            return {} if budget is None else {"thinkingBudget": budget}


def _off(generation: Generation) -> Body:
    """Off, or the least there is."""
    match generation.thinking:
        case ThinkingBy.NOTHING:
            return {}
        case ThinkingBy.LEVEL:
            return {"thinkingLevel": "LOW"}
        case ThinkingBy.BUDGET | ThinkingBy.ANY:
            return {"thinkingBudget": 0 if generation.may_be_off else generation.lowest}


def _within(budget: int, generation: Generation) -> int:
    highest = budget if generation.highest is None else min(budget, generation.highest)
    return max(highest, generation.lowest)


def _restore(node: Body, extras: Extras, losses: Losses) -> None:
    if extras.format is not GEMINI:
        losses.add_extras(extras, "reasoning", "a field of another dialect")
        return
    amounts = {"thinkingBudget", "thinkingLevel"}
    for name, value in extras.fields.items():
        taken = name in node or (name in amounts and not amounts.isdisjoint(node))
        if taken or not _may_stand(name, value):
            losses.add(f"reasoning.extras.{name}", "the canonical value of this field is written instead")
        else:
            node[name] = value


def _may_stand(name: str, value: Json) -> bool:
    """Whether a kept field says what no canonical value does."""
    match name, value:
        case "includeThoughts", bool():
            return True
        case "thinkingBudget", int():
            return value < 0
        case "thinkingLevel", str():
            return value == _UNSPECIFIED
        case (("includeThoughts" | "thinkingBudget" | "thinkingLevel"), _):
            return False
        case _:
            return True
