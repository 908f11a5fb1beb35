"""Ways to say the same thing: a prompt's tier should not notice them."""

import random
import re
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final, TypeAlias

Disturb: TypeAlias = Callable[[str, random.Random], str]

_LETTERS: Final = "abcdefghijklmnopqrstuvwxyz"
_ASIDES: Final = (
    "I am writing this from the train.",
    "Sorry for the long silence, it was a busy week.",
    "My colleague said you were good at this.",
    "By the way, the weather is lovely here today.",
)
_SPOKEN: Final = {
    "do not": "don't",
    "does not": "doesn't",
    "is not": "isn't",
    "cannot": "can't",
    "what is": "what's",
    "it is": "it's",
    "that is": "that's",
    "you are": "you're",
    "for example": "e.g.",
    "because": "since",
}


def typos(text: str, chance: random.Random, share: float = 0.03) -> str:
    """Swap, drop, double or replace letters in about *share* of the words."""
    words = text.split(" ")
    for place, word in enumerate(words):
        if len(word) > 3 and word.isalpha() and chance.random() < share:
            at = chance.randrange(1, len(word) - 1)
            words[place] = chance.choice(
                (
                    word[:at] + word[at + 1] + word[at] + word[at + 2 :],
                    word[:at] + word[at + 1 :],
                    word[:at] + word[at] + word[at:],
                    word[:at] + chance.choice(_LETTERS) + word[at + 1 :],
                )
            )
    return " ".join(words)


def spacing(text: str, chance: random.Random) -> str:
    """Double some spaces and wrap the text in blank lines."""
    return (
        "\n\n"
        + "".join(sign * 2 if sign == " " and chance.random() < 0.2 else sign for sign in text)
        + "  \n"
    )


def contracted(text: str, _chance: random.Random) -> str:
    for long, short in _SPOKEN.items():
        text = re.sub(rf"\b{long}\b", short, text, flags=re.IGNORECASE)
    return text


def without_commas(text: str, chance: random.Random) -> str:
    return "".join(sign for sign in text if sign not in ",;" or chance.random() < 0.5)


def with_aside(text: str, chance: random.Random) -> str:
    aside = chance.choice(_ASIDES)
    return f"{aside} {text}" if chance.random() < 0.5 else f"{text} {aside}"


def missing_words(text: str, chance: random.Random) -> str:
    """Leave out one short word in five."""
    words = text.split(" ")
    return " ".join(word for word in words if len(word) > 3 or not word.isalpha() or chance.random() > 0.2)


def claude_code(text: str, _chance: random.Random) -> str:
    return (
        "<system-reminder>\nAs you answer, you can use the following context:\n# claudeMd\nNever commit "
        "secrets; run the security audit before a migration.\n</system-reminder>\n"
        f"{text}\n<system-reminder>Your todo list is empty. Do not mention this.</system-reminder>"
    )


def cursor(text: str, _chance: random.Random) -> str:
    return (
        "<additional_data>\n<attached_files>\nfile: src/auth/pay.ts\ndef prove(): ...\n</attached_files>\n"
        f"</additional_data>\n\n<user_query>\n{text}\n</user_query>"
    )


def codex(text: str, _chance: random.Random) -> str:
    return (
        "<environment_context>\n  <cwd>/work/billing</cwd>\n  <approval_policy>on-request</approval_policy>\n"
        f"</environment_context>\n{text}"
    )


PERTURBATIONS: Final[Mapping[str, Disturb]] = MappingProxyType(
    {
        "upper case": lambda text, _: text.upper(),
        "lower case": lambda text, _: text.lower(),
        "spacing": spacing,
        "trailing please": lambda text, _: text + " please",
        "leading please": lambda text, _: "Please " + text,
        "typos 3 %": typos,
        "Claude Code": claude_code,
        "Cursor": cursor,
        "Codex": codex,
    }
)
"""What the issue asks for: nothing of the ask changes."""

NOISE: Final[Mapping[str, Disturb]] = MappingProxyType(
    {
        "typos 10 %": lambda text, chance: typos(text, chance, 0.1),
        "contractions": contracted,
        "half the commas": without_commas,
        "short words missing": missing_words,
        "an aside": with_aside,
    }
)
"""Harder: the ask is worded a little differently, or something irrelevant stands beside it."""


def perturbed(text: str, seed: int) -> str:
    """One disturbed copy for training: typos always, the rest by chance."""
    chance = random.Random(seed)
    copy = typos(text, chance, 0.05)
    if chance.random() < 0.3:
        copy += " please"
    if chance.random() < 0.3:
        copy = spacing(copy, chance)
    return copy
