r"""Read one ask: a single pass from text to counts, no regular expressions.

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

from lynkr.routing.lexicon import ENTRIES, GROUPS, UNSPACED
from lynkr.routing.openers import (
    ACKNOWLEDGEMENTS,
    AMOUNTS,
    ANAPHORA,
    BEFORE_ORDERS,
    CONFIRMS,
    DEICTICS,
    EXPLAIN_OPENERS,
    GO_ON,
    GREETINGS,
    LOOKUP_OPENERS,
    PREAMBLE,
    PREPOSITIONS,
    TRIVIAL_OBJECTS,
    TRIVIAL_ORDERS,
)

# Name of each group with its points for 0, 1, 2, ... hits; no group grows beyond 8.
_MOST_HITS: Final = 8
_POINTS: Final = tuple((group.name, tuple(map(group.points, range(_MOST_HITS + 1)))) for group in GROUPS)
_NO_POINTS: Final[tuple[float, ...]] = (0.0,)
_PLACES: Final = {group.name: place for place, group in enumerate(GROUPS)}
_NUMBER: Final = _PLACES["number"]
_STOP: Final = b"\x01"
_PLEASE: Final = b"please"
_STOPS: Final = frozenset((_STOP,))
_CHOICES: Final = frozenset((b"b", b"c", b"d"))
_FIRST_ITEMS: Final = frozenset((b"1", b"2", b"3"))
_ITEMS: Final = tuple(b"%d" % number for number in range(10))
# One look at each byte: capitals become small, whitespace a space, an end of a clause a full stop, any other
# sign the one of `_SIGN`; once the stops are marked, both are spaces.  Other alphabets stay as they are.
_ENDS: Final = b".!?;:,"
_SIGN: Final = b"'"


def _folded(code: int) -> int:
    if code <= 32 or code == 127:
        return 32
    if code in _ENDS:
        return ord(".")
    return ord(chr(code).lower()) if code > 127 or chr(code).isalnum() else ord(_SIGN)


_FOLDS: Final = bytes(map(_folded, range(128))) + bytes(range(128, 256))
_DIGITS: Final = b"0123456789"
_NO_SIGNS: Final = bytes(set(range(256)) - set(_DIGITS + b"?\\$^"))
# The last four are spaces: no-break, narrow, thin and ideographic.
_FANCY: Final = str.maketrans(
    dict.fromkeys("’‘“”„«»–—…·•→¿¡、。，．：；！？（）「」『』\u00a0\u202f\u2009\u3000", " ")
)

HEAD_CHARS: Final = 600
TAIL_CHARS: Final = 400
"""Of a long ask so much is read: in the benchmarks, more changed no ranking."""

_BRIEF: Final = 9
_BRIEF_TALK: Final = 24
_REPLY: Final = 10
_LONG_QUESTION: Final = 40
_CLAUSES: Final = 4
_HOW: Final = frozenset((b"how", b"wie"))
_FEW_DIGITS: Final = 5
_AMOUNTS: Final = frozenset((b"many", b"much", b"old", b"far", b"long"))


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


class Format(StrEnum):
    """Formats of asks whose outcomes are known for dozens of models."""

    CHOICE = "choice"
    """a question with lettered answers"""
    MATHS = "maths"
    """a self-contained problem with numbers or formulas"""


@frozen
class Reading:
    """What the words of one ask say.  Holds numbers and group names, never text.

    *points* is the evidence per group of the lexicon whose words or phrases
    were found (0 for groups that are worth none by themselves).  *code_chars* is the size of its fenced code
    blocks, whose words are not counted.  *items* is how far the text numbers
    its own points, *is_knowledge* an ask to be told something general,
    *is_lookup* one for a single fact, *is_reply* a few words that answer a question or close a matter.
    *format* is that of an exam question, None for anything else.
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
    is_lookup: bool = False
    is_reply: bool = False
    format: Format | None = None

    @property
    def doublings(self) -> float:
        """How often 12 words doubled make this length; 0 up to 12."""
        return log2(self.words / 12) if self.words > 12 else 0.0


NOTHING: Final = Reading()
# In CPython 3.11 a member looked up on its class costs 100 ns.
_NEW: Final = AskKind.NEW
_CHOICE: Final = Format.CHOICE
_MATHS: Final = Format.MATHS


def words_of(text: str) -> list[bytes]:
    r"""Folded words in UTF-8, with a stop sign after each clause.

    >>> words_of("Lock-free? Yes.")
    [b'lock', b'free', b'\x01', b'yes', b'\x01']
    """
    return _marked(text).split()


def _marked(text: str, raw: bytes | None = None) -> bytes:
    """Folded words between spaces, a stop sign after each clause; *raw* is *text* in UTF-8."""
    if raw is None or len(raw) > len(text):
        folded = text if text.isascii() else text.casefold().translate(_FANCY)
        raw = folded.encode("utf-8", "replace")
    spaced = b" %b " % raw.translate(_FOLDS)
    return spaced.replace(b". ", b" \x01 ").replace(b".", b" ").replace(_SIGN, b" ")


def window_of(text: str) -> str:
    """What is read of an ask: the prose outside its code fences, of a long one the head and the tail.

    What is asked stands there, what is pasted in between.
    """
    return _capped(_without_code(text)[0] if "```" in text else text)


def _capped(prose: str) -> str:
    if len(prose) <= HEAD_CHARS + TAIL_CHARS:
        return prose
    return f"{prose[:HEAD_CHARS]}\n{prose[-TAIL_CHARS:]}"


def read(text: str) -> Reading:
    """Read an ask whose envelopes are stripped."""
    return read_words(text)[0]


def read_words(text: str) -> tuple[Reading, list[bytes]]:
    """As `read`, with the words it was drawn from: those of the ask's window."""
    if not text:
        return NOTHING, []
    # One sign is found much faster than three.
    prose, code_chars = _without_code(text) if "`" in text and "```" in text else (text, 0)
    length = len(prose)
    prose = _capped(prose)
    raw = prose.encode("utf-8", "replace")
    signs = raw.translate(None, _NO_SIGNS)
    digits = len(signs) - len(signs.translate(None, _DIGITS)) if signs else 0
    marked = _marked(prose, raw)
    words = marked.split()
    seen = set(words)
    clauses = marked.count(_STOP)
    count = len(words) - clauses
    # Some alphabets write no spaces: six of their bytes count as a word.
    foreign = len(raw) - len(prose)
    found = _hits(words, seen, marked)
    if foreign > 3 * count:
        count = max(count, foreign // 6)
        found += [group for term, group in UNSPACED if term in prose]
    # The order of a set of words depends on the hash seed, that of the groups must not.
    found.sort()
    points: dict[str, float] = {}
    last, name, worth, times = -1, "", _NO_POINTS, 0
    for group in found:
        if group != last:
            last, times = group, 0
            name, worth = _POINTS[group]
        if times < _MOST_HITS:
            times += 1
        points[name] = worth[times]
    if length > len(prose):
        count = count * length // len(prose)
    others = len(signs) - digits
    has_choices = seen >= _CHOICES
    has_formulas = others > 1 and (signs.count(b"\\") > 1 or signs.count(b"$") > 1 or signs.count(b"^") > 1)
    if has_choices:
        known: Format | None = _CHOICE
    elif code_chars:
        known = None
    else:
        is_formula = has_formulas and (digits > 0 or "maths" in points)
        has_numbers = digits >= 2 or found.count(_NUMBER) >= 2
        known = _MATHS if _is_problem(seen, points, has_numbers, is_formula) else None
    opener, is_knowledge = _opening(words)
    reading = Reading(
        count,
        clauses or 1,
        signs.count(b"?") if others else 0,
        digits,
        code_chars,
        _items(seen) if digits > 2 else 0,
        has_choices,
        has_formulas,
        _kind(words, points) if len(words) <= _BRIEF_TALK else _NEW,
        is_knowledge,
        MappingProxyType(points),
        digits <= _FEW_DIGITS and _is_lookup(words, opener, points),
        len(words) <= _REPLY and _is_reply(words),
        known,
    )
    return reading, words


def _kind(words: Sequence[bytes], points: Mapping[str, float]) -> AskKind:
    said = frozenset(words) - _STOPS
    if said <= ACKNOWLEDGEMENTS:
        if said & GO_ON:
            return AskKind.GO_ON
        return AskKind.SMALL_TALK if said & GREETINGS else AskKind.ACKNOWLEDGES
    if "thanks" in points and len(points) == 1:
        return AskKind.SMALL_TALK
    return AskKind.REFERS if len(words) <= 15 and said & ANAPHORA else AskKind.NEW


def _opening(words: Sequence[bytes]) -> tuple[bytes, bool]:
    """The first word that says something, and whether it opens an ask to be told something general."""
    for word in words[:4]:
        if word not in PREAMBLE:
            return word, word in EXPLAIN_OPENERS and DEICTICS.isdisjoint(words)
    return b"", False


def _is_reply(words: Sequence[bytes]) -> bool:
    for word in words:
        if word != _PLEASE:
            return word in CONFIRMS
    return False


def _is_lookup(words: Sequence[bytes], opener: bytes, points: Mapping[str, float]) -> bool:
    """One fact is wanted, as far as a clause's opening tells: "in which year", "how many", "translate X"."""
    count = len(words)
    if "lookup" in points:
        return True
    if count > _LONG_QUESTION or not opener or "advice" in points:
        return False
    if _asks_for_one(words, words.index(opener)):
        return True
    if count <= _BRIEF and (opener in TRIVIAL_ORDERS or not TRIVIAL_OBJECTS.isdisjoint(words)):
        return True
    # Or some later clause does, behind what only leads up to it.
    at = 0
    for _ in range(_CLAUSES):
        try:
            at = words.index(_STOP, at) + 1
        except ValueError:
            return False
        if at < count and _asks_for_one(words, at):
            return True
    return False


def _asks_for_one(words: Sequence[bytes], at: int) -> bool:
    """Whether the clause that begins there asks for one fact."""
    last = len(words) - 1
    if words[at] in PREPOSITIONS:
        at = min(last, at + 1)
    return words[at] in LOOKUP_OPENERS or (words[at] in _HOW and words[min(last, at + 1)] in AMOUNTS)


def _is_problem(
    seen: AbstractSet[bytes], points: Mapping[str, float], has_numbers: bool, has_formulas: bool
) -> bool:
    """A self-contained problem of mathematics, not an instruction that has numbers in it."""
    # "How many" is an exam's word even where a technical one stands by.
    if has_numbers and b"how" in seen and not _AMOUNTS.isdisjoint(seen):
        return True
    if "tech" in points:
        return False
    return (has_numbers and "quantity" in points) or has_formulas


def _without_code(text: str) -> tuple[str, int]:
    """The text outside fences, and how many characters stand inside."""
    pieces = text.split("```")
    return " ".join(pieces[0::2]), sum(map(len, pieces[1::2]))


def _items(seen: AbstractSet[bytes]) -> int:
    """How far the text counts: 3 if it has items 1, 2 and 3."""
    if not seen >= _FIRST_ITEMS:
        return 0
    number = 3
    while number < 9 and _ITEMS[number + 1] in seen:
        number += 1
    return number


def _hits(words: Sequence[bytes], seen: AbstractSet[bytes], marked: bytes) -> list[int]:
    """The places of the groups whose words and phrases were found, each as often as they were."""
    found: list[int] = []
    likely: list[tuple[bytes, int]] = []
    for anywhere, orders, phrases in filter(None, map(ENTRIES.get, seen)):
        found += anywhere
        if orders is not None:
            word, in_orders, outside_orders = orders
            found += in_orders if _gives_an_order(words, word) else outside_orders
        if phrases:
            for second, parts, phrase, group in phrases:
                if second in seen and parts <= seen:
                    likely.append((phrase, group))
    if likely:
        # Most texts have a single space between any two words already.
        joined = b" %b " % b" ".join(words) if b"  " in marked else marked
        found += [group for phrase, group in likely if phrase in joined]
    return found


def _gives_an_order(words: Sequence[bytes], verb: bytes) -> bool:
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
        if before == _STOP or before in BEFORE_ORDERS or before.endswith(b"ly"):
            return True
    return False
