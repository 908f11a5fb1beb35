"""What is wrong with the settings, said so that it can be put right."""

from collections.abc import Iterable
from difflib import get_close_matches
from typing import TypeAlias

from attrs import frozen

from lynkr.errors import ConfigError

KeyPath: TypeAlias = tuple[str, ...]


@frozen
class Problem:
    """One wrong setting: which *key*, where it was set (*origin*), what is wrong, how to mend it.

    None of the texts may hold a setting's value, which may be a credential
    that slipped into the wrong place; names (of targets, tiers, keys) may stand.
    """

    key: KeyPath
    origin: str
    message: str
    fix: str

    def __str__(self) -> str:
        return f"{self.origin}: {key_text(self.key)} {self.message}; {self.fix}"


class BadValueError(ValueError):
    """A value cannot be read; *fix* says what to write instead."""

    def __init__(self, message: str, fix: str) -> None:
        super().__init__(f"{message}; {fix}")
        self.message = message
        self.fix = fix


def key_text(key: KeyPath) -> str:
    """The key as TOML writes it: ``pricing.overrides."openai:gpt-4o".input``."""
    return ".".join(part if _is_bare(part) else f'"{part}"' for part in key) or "the settings"


def _is_bare(part: str) -> bool:
    return bool(part) and part.isascii() and part.replace("-", "").replace("_", "").isalnum()


def closest(word: str, known: Iterable[str], cutoff: float = 0.6) -> str | None:
    """The one of *known* that *word* was probably meant to be."""
    names = {name.casefold(): name for name in known}
    found = get_close_matches(word.casefold(), names, n=1, cutoff=cutoff)
    return names[found[0]] if found else None


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """A fix: the nearest known name, or all of them."""
    names = sorted(known)
    near = closest(word, names)
    if near is not None:
        return f'did you mean "{near}"?'
    return f"use one of {', '.join(names)}" if names else "remove it"


def raise_for(problems: Iterable[Problem]) -> None:
    """Raise every problem at once, a line each.

    Raises:
        ConfigError: there is at least one.
    """
    lines = dict.fromkeys(str(problem) for problem in problems)
    if lines:
        raise ConfigError("\n".join(lines))
