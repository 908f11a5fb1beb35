"""Ways to say the same thing: a prompt's tier should not notice them."""

import random
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

_NEIGHBOURS: Final = "abcdefghijklmnopqrstuvwxyz"


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
                    word[:at] + chance.choice(_NEIGHBOURS) + word[at + 1 :],
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


PERTURBATIONS: Final[Mapping[str, Callable[[str, random.Random], str]]] = MappingProxyType(
    {
        "upper case": lambda text, _: text.upper(),
        "lower case": lambda text, _: text.lower(),
        "spacing": spacing,
        "trailing please": lambda text, _: text + " please",
        "leading please": lambda text, _: "Please " + text,
        "typos 3 %": typos,
        "reminder around it": lambda text, _: (
            f"<system-reminder>\nFollow the security policy at all times.\n</system-reminder>\n{text}"
        ),
    }
)


def perturbed(text: str, seed: int) -> str:
    """One disturbed copy for training: typos always, the rest by chance."""
    chance = random.Random(seed)
    copy = typos(text, chance, 0.05)
    if chance.random() < 0.3:
        copy += " please"
    if chance.random() < 0.3:
        copy = spacing(copy, chance)
    return copy
