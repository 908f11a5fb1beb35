"""Read one ask: a single pass from text to counts, no regular expressions.

::

    text --folded--> bytes --marks to spaces--> words --set lookup--> hits per group

Ends of clauses survive as a word of their own, so that a phrase does not reach
across them and a verb can be seen to open one.
"""

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from enum import StrEnum
from math import log2
from types import MappingProxyType
from typing import Final

from attrs import field, frozen

from lynkr.routing.lexicon import (
    ACKNOWLEDGEMENTS,
    ANAPHORA,
    BEFORE_ORDERS,
    DEICTICS,
    ENTRIES,
    EXPLAIN_OPENERS,
    GO_ON,
    GREETINGS,
    GROUPS,
    PREAMBLE,
    VOCABULARY,
)

# Name of each group with its points for 0, 1, 2, ... hits; no group grows beyond 8.
_POINTS: Final = tuple((group.name, tuple(map(group.points, range(9)))) for group in GROUPS)
_STOP: Final = "\x01"
_STOPS: Final = frozenset((_STOP,))
_CHOICES: Final = frozenset("bcd")
_FIRST_ITEMS: Final = frozenset("123")
# First every whitespace becomes a space and every end of a clause a full stop; after the stops are marked,
# every other sign becomes a space.  Other alphabets' bytes stay as they are.
_ENDS: Final = b"!?;:,"
_SPACES: Final = bytes(
    32 if code <= 32 or code == 127 else ord(".") if code in _ENDS else code for code in range(256)
)
_MARKS: Final = bytes(code if code == 1 or code > 127 or chr(code).isalnum() else 32 for code in range(256))
_DIGITS: Final = b"0123456789"
_NO_SIGNS: Final = bytes(set(range(256)) - set(_DIGITS + b"?\\$^"))
_FANCY: Final = str.maketrans(dict.fromkeys("’‘“”„«»–—…·•→、。，．：；！？（）「」『』", " "))

HEAD_CHARS: Final = 1_100
TAIL_CHARS: Final = 600


class AskKind(StrEnum):
    """How an ask stands to the one before it."""

    NEW = "new"
    REFERS = "refers"
    """short, and about something said before: "do the same for the others" """
    GO_ON = "go_on"
    """nothing but a word to continue: "yes, go ahead" """
    ACKNOWLEDGES = "acknowledges"
    """nothing but an acknowledgement: "ok", "makes sense" """
    SMALL_TALK = "small_talk"
    """nothing but a greeting or thanks"""


@frozen
class Reading:
    """What the words of one ask say.  Holds numbers and group names, never text.

    *points* is the evidence per group of the lexicon whose words or phrases
    were found (0 for groups that are worth none by themselves).  *code_chars* is the size of its fenced code
    blocks, whose words are not counted.  *items* is how far the text numbers
    its own points, *is_knowledge* an ask to be told something general.
    """

    words: int = 0
    clauses: int = 0
    questions: int = 0
    digits: int = 0
    code_chars: int = 0
    items: int = 0
    has_choices: bool = False
    has_formulas: bool = False
    kind: AskKind = AskKind.NEW
    is_knowledge: bool = False
    points: Mapping[str, float] = field(factory=lambda: MappingProxyType({}))

    @property
    def doublings(self) -> float:
        """How often 12 words doubled make this length; 0 up to 12."""
        return max(0.0, log2(self.words / 12)) if self.words else 0.0


NOTHING: Final = Reading()


def words_of(text: str) -> list[str]:
    r"""Folded words, with a stop sign after each clause.

    >>> words_of("Lock-free? Yes.")
    ['lock', 'free', '\x01', 'yes', '\x01']
    """
    return _marked(text).decode().split()


def word_bytes(text: str) -> list[bytes]:
    """As `words_of`, undecoded: what checksums are taken of."""
    return _marked(text).split()


def _marked(text: str) -> bytes:
    """Folded words between spaces, a stop sign after each clause."""
    folded = text.casefold()
    if not folded.isascii():
        folded = folded.translate(_FANCY)
    spaced = folded.encode("utf-8", "replace").translate(_SPACES) + b" "
    return spaced.replace(b". ", b" \x01 ").translate(_MARKS)


def read(text: str) -> Reading:
    """Read an ask whose envelopes are stripped.

    Of a long text the head and the tail are read: what is asked stands there,
    what is pasted in between.
    """
    if not text:
        return NOTHING
    prose, code_chars = _without_code(text) if "`" in text else (text, 0)
    length = len(prose)
    if length > HEAD_CHARS + TAIL_CHARS:
        prose = f"{prose[:HEAD_CHARS]}\n{prose[-TAIL_CHARS:]}"
    raw = prose.encode("utf-8", "replace")
    signs = raw.translate(None, _NO_SIGNS)
    marked = _marked(prose)
    words = marked.decode().split()
    seen = set(words)
    clauses = marked.count(1)
    # Some alphabets write no spaces: six of their bytes count as a word.
    count = max(len(words) - clauses, (len(raw) - len(prose)) // 6)
    if length > len(prose):
        count = count * length // len(prose)
    return Reading(
        words=count,
        clauses=max(1, clauses),
        questions=signs.count(b"?"),
        digits=len(signs) - len(signs.translate(None, _DIGITS)),
        code_chars=code_chars,
        items=_items(seen),
        has_choices=seen >= _CHOICES,
        has_formulas=signs.count(b"\\") > 1 or signs.count(b"$") > 1 or signs.count(b"^") > 1,
        kind=_kind(words),
        is_knowledge=_is_knowledge(words),
        points=MappingProxyType(_points(words, seen)),
    )


def _kind(words: Sequence[str]) -> AskKind:
    if len(words) > 24:
        return AskKind.NEW
    said = set(words) - _STOPS
    if said <= ACKNOWLEDGEMENTS:
        if said & GO_ON:
            return AskKind.GO_ON
        return AskKind.SMALL_TALK if said & GREETINGS else AskKind.ACKNOWLEDGES
    return AskKind.REFERS if len(words) <= 15 and said & ANAPHORA else AskKind.NEW


def _is_knowledge(words: Sequence[str]) -> bool:
    opener = next((word for word in words[:4] if word not in PREAMBLE), "")
    return opener in EXPLAIN_OPENERS and DEICTICS.isdisjoint(words)


def _without_code(text: str) -> tuple[str, int]:
    """The text outside fences, and how many characters stand inside."""
    pieces = text.split("```")
    if len(pieces) == 1:
        return text, 0
    return " ".join(pieces[0::2]), sum(map(len, pieces[1::2]))


def _items(seen: AbstractSet[str]) -> int:
    """How far the text counts: 3 if it has items 1, 2 and 3."""
    if not seen >= _FIRST_ITEMS:
        return 0
    number = 3
    while number < 9 and str(number + 1) in seen:
        number += 1
    return number


def _points(words: Sequence[str], seen: AbstractSet[str]) -> dict[str, float]:
    counts = [0] * len(GROUPS)
    joined = ""
    # The order of a set of words depends on the hash seed; counts do not, and _POINTS orders the result.
    for word in VOCABULARY.intersection(seen):
        anywhere, in_orders, outside_orders, phrases = ENTRIES[word]
        for group in anywhere:
            counts[group] += 1
        if in_orders or outside_orders:
            for group in in_orders if _gives_an_order(words, word) else outside_orders:
                counts[group] += 1
        for parts, phrase, group in phrases:
            if parts <= seen:
                joined = joined or f" {' '.join(words)} "
                if phrase in joined:
                    counts[group] += 1
    return {
        name: table[hits] if hits < 9 else table[8]
        for (name, table), hits in zip(_POINTS, counts, strict=True)
        if hits
    }


def _gives_an_order(words: Sequence[str], verb: str) -> bool:
    """Whether one of the first occurrences of *verb* stands where an imperative or infinitive stands."""
    at = -1
    for _ in range(3):
        try:
            at = words.index(verb, at + 1)
        except ValueError:
            return False
        if at == 0:
            return True
        before = words[at - 1]
        if before == _STOP or before in BEFORE_ORDERS or before.endswith("ly"):
            return True
    return False
