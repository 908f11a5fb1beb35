"""What Gemini's generations want said differently, by the model's name.

How much to think: "Gemini thinking", https://ai.google.dev/gemini-api/docs/thinking (read 2026-11).
Models before 2.5 refuse `thinkingConfig`; 2.5 takes a budget, of which each
model has its own range, and refuses a level; 3 and later take a level and
cannot be kept from thinking.  The three levels of 2.5 are those of "OpenAI
compatibility", https://ai.google.dev/gemini-api/docs/openai (read 2026-11).
A name nobody here knows is taken to accept whatever the caller asks for.
"""

import re
from enum import Enum, auto
from typing import Final

from attrs import frozen

_NAME: Final = re.compile(r"(?:^|/)gemini-(?:(\d+)(?:\.(\d+))?)?")

BUDGET_OF_EFFORT: Final = {"minimal": 1024, "low": 1024, "medium": 8192, "high": 24_576}
LEVELS: Final = frozenset({"minimal", "low", "medium", "high", "xhigh"})


class ThinkingBy(Enum):
    """The field by which a model is told how much to think."""

    NOTHING = auto()
    BUDGET = auto()
    LEVEL = auto()
    ANY = auto()


@frozen
class Generation:
    """*lowest* and *highest* bound a thinking budget, in tokens; 0 as *off* turns thinking off.

    *signs_calls*: refuses a function call of the history that bears no
    signature.  *results_hold_media*: a function's result may hold images.
    """

    thinking: ThinkingBy = ThinkingBy.ANY
    lowest: int = 1
    highest: int | None = None
    may_be_off: bool = True
    signs_calls: bool = False
    results_hold_media: bool = True


_UNKNOWN: Final = Generation()
_EARLY: Final = Generation(ThinkingBy.NOTHING, results_hold_media=False)
_LATEST: Final = Generation(ThinkingBy.LEVEL, may_be_off=False, signs_calls=True)
_PRO_2_5: Final = Generation(ThinkingBy.BUDGET, 128, 32_768, may_be_off=False, results_hold_media=False)
_LITE_2_5: Final = Generation(ThinkingBy.BUDGET, 512, 24_576, results_hold_media=False)
_FLASH_2_5: Final = Generation(ThinkingBy.BUDGET, 1, 24_576, results_hold_media=False)


def generation_of(model: str) -> Generation:
    found = _NAME.search(model)
    if found is None:
        return _UNKNOWN
    if found[1] is None:  # gemini-pro-latest and the like
        return _LATEST
    version = (int(found[1]), int(found[2] or 0))
    if version >= (3, 0):
        return _LATEST
    if version < (2, 5):
        return _EARLY
    if "-pro" in model:
        return _PRO_2_5
    return _LITE_2_5 if "-lite" in model else _FLASH_2_5
