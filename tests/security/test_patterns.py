"""Every regular expression does work in proportion to its text, shown from its parse tree, not by a clock.

A pattern passes if it never has two ways to read a text:

1. whatever an unbounded repetition may begin another round with, cannot begin what follows it; alternatives
   inside one begin differently.  Then giving back what was taken fails at its first sign, each time once.
2. what the pattern begins with is in none of its unbounded repetitions, so that a search which fails at one
   place has not read past the next.  Patterns that are only ever matched at one place need not obey this.

Those that pass otherwise stand below with the reason.
"""

import ast
import importlib
import pkgutil
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import lynkr
import lynkr_server

_PARSER: Any = importlib.import_module("re._parser")
ALPHABET = frozenset(range(257))  # Latin-1, and one sign for all others
OTHERS = 256
END = -1
UNBOUNDED = 1_000

# Matched at one place only (`match`, `fullmatch`, or a place found beforehand): rule 2 does not apply.
ANCHORED = {
    "lynkr.providers.body_rules._VERSIONED": "begins at the start or after a sign that its letters are not",
    "lynkr.providers.google._PREFIX": "matched at the start",
    "lynkr.wire.anthropic.codec._DELTAS": "begins at the start or after a blank line, which it cannot hold",
    "lynkr.wire.freeform._WHOLE_HEAD": "matched at the start",
    "lynkr.wire.gemini.errors._SECONDS": "matched whole",
    "lynkr.wire.quick_json._END": "matched where the value before it ended",
    "lynkr.wire.quick_json._NAME": "matched where the value before it ended",
}
# Not by the rules, but linear: why.
ARGUED = {
    "lynkr.providers.asked_usage._FRAME": "lazy: reads to the first blank line or the end, and has matched",
    "lynkr.testing.answers._TOKEN": "the simulator's, which fails nowhere: any sign is a token",
    "lynkr.wire.openai_responses.codec._DELTAS": "an event's name, read twice; lines are apart",
    "lynkr.providers.google._NAME": "one repetition, matched whole: what it gives back it gives back once",
    "lynkr.routing.features._SEGMENT": "gives one capital back, and has matched",
    "lynkr.token_count.PIECE": "it fails nowhere; runs of blanks are read at most three times",
}


def modules() -> Iterator[ModuleType]:
    for package in (lynkr, lynkr_server):
        for found in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if not found.name.endswith("__main__"):
                yield importlib.import_module(found.name)


def patterns_in(value: object) -> Iterator[re.Pattern[Any]]:
    if isinstance(value, re.Pattern):
        yield value
    elif isinstance(value, tuple | list | frozenset | set):
        for item in value:
            yield from patterns_in(item)
    elif isinstance(value, dict):
        yield from patterns_in(tuple(value.values()))


def all_patterns() -> dict[str, re.Pattern[Any]]:
    found: dict[str, re.Pattern[Any]] = {}
    for module in modules():
        for name, value in vars(module).items():
            for at, pattern in enumerate(patterns_in(value)):
                found.setdefault(f"{module.__name__}.{name}" + (f"[{at}]" if at else ""), pattern)
    return found


PATTERNS = all_patterns()


class Reading:
    """One pattern's parse tree, and what is wrong with it."""

    def __init__(self, pattern: re.Pattern[Any]) -> None:
        self.flags = pattern.flags
        self.tree = list(_PARSER.parse(pattern.pattern, pattern.flags & ~re.DEBUG))
        self.repeated: set[int] = set()
        self.problems: list[str] = []
        self.check(self.tree, {END}, looped=False)

    def begins(self, nodes: Sequence[Any], follow: set[int]) -> set[int]:
        """The signs that *nodes*, and then something of *follow*, may begin with."""
        signs: set[int] = set()
        for node in nodes:
            own, empty = self.begin(node)
            signs |= own
            if not empty:
                return signs
        return signs | follow

    def begin(self, node: Any) -> tuple[set[int], bool]:
        """The signs *node* may begin with, and whether it may be empty."""
        kind, value = str(node[0]), node[1]
        match kind:
            case "LITERAL" | "NOT_LITERAL" | "ANY" | "IN":
                return self.signs(kind, value), False
            case "BRANCH":
                parts = [self.begins(branch, {END}) for branch in value[1]]
                signs = set().union(*parts)
                return signs - {END}, END in signs
            case "SUBPATTERN":
                signs = self.begins(value[3], {END})
                return signs - {END}, END in signs
            case "MAX_REPEAT" | "MIN_REPEAT" | "POSSESSIVE_REPEAT":
                signs = self.begins(value[2], {END})
                return signs - {END}, value[0] == 0 or END in signs
            case "ASSERT" | "ASSERT_NOT" | "AT":
                return set(), True
            case _:
                raise AssertionError(f"{kind}: teach this test to read it")

    def signs(self, kind: str, value: Any) -> set[int]:
        if kind == "ANY":
            return set(ALPHABET) - (set() if self.flags & re.DOTALL else {10})
        if kind in ("LITERAL", "NOT_LITERAL"):
            one = self.folded({min(value, OTHERS)})
            return one if kind == "LITERAL" else set(ALPHABET) - (one - {OTHERS})
        signs: set[int] = set()
        negated = False
        for item_kind, item in ((str(k), v) for k, v in value):
            if item_kind == "NEGATE":
                negated = True
            elif item_kind == "LITERAL":
                signs.add(min(item, OTHERS))
            elif item_kind == "RANGE":
                signs |= {
                    code for code in ALPHABET if item[0] <= code <= item[1] or (code == OTHERS <= item[1])
                }
            else:
                signs |= self.category(str(item))
        signs = self.folded(signs)
        return (set(ALPHABET) - (signs - {OTHERS})) if negated else signs

    def category(self, name: str) -> set[int]:
        letter = {"DIGIT": "d", "SPACE": "s", "WORD": "w"}[name.rpartition("_")[2]]
        letter = letter.upper() if "_NOT_" in name else letter
        own = {code for code in range(256) if re.match(f"\\{letter}", chr(code), self.flags & re.ASCII)}
        return own | {OTHERS}

    def folded(self, signs: set[int]) -> set[int]:
        if not self.flags & re.IGNORECASE:
            return signs
        return signs | {
            ord(c)
            for s in signs
            if s < OTHERS
            for c in (chr(s).lower(), chr(s).upper())
            if len(c) == 1 and ord(c) < OTHERS
        }

    def check(self, nodes: Sequence[Any], follow: set[int], *, looped: bool) -> None:
        for at, node in enumerate(nodes):
            kind, value = str(node[0]), node[1]
            after = self.begins(nodes[at + 1 :], follow)
            if kind in ("MAX_REPEAT", "MIN_REPEAT"):
                first = self.begins(value[2], set())
                endless = value[1] >= UNBOUNDED
                guarded = any(str(later[0]) in ("AT", "ASSERT", "ASSERT_NOT") for later in nodes[at + 1 :])
                if endless and (guarded or END not in after):  # else the match has succeeded
                    self.repeated |= first
                    for inner in value[2]:
                        self.repeated |= self.begin(inner)[0]
                if endless and first & after - {END}:
                    common = sorted(first & after)[:5]
                    self.problems.append(f"a repetition and what follows both begin with {common}")
                self.check(value[2], after | (first if value[1] > 1 else set()), looped=looped or endless)
            elif kind == "BRANCH":
                parts = [self.begins(branch, set()) for branch in value[1]]
                if looped and sum(map(len, parts)) > len(set().union(*parts)):
                    self.problems.append("alternatives in a repetition begin alike")
                for branch in value[1]:
                    self.check(branch, after, looped=looped)
            elif kind == "SUBPATTERN":
                self.check(value[3], after, looped=looped)
            elif kind in ("ASSERT", "ASSERT_NOT"):
                self.check(value[1], {END}, looped=looped)

    @property
    def is_anchored(self) -> bool:
        """Whether it can begin in one place only."""
        kind, value = self.tree[0]
        beginning = str(value) in ("AT_BEGINNING", "AT_BEGINNING_STRING") and not self.flags & re.MULTILINE
        return str(kind) == "AT" and beginning

    @property
    def rereads(self) -> set[int]:
        """Signs at which a search may begin anew inside what it has read already."""
        return self.repeated & self.begins(self.tree, set())


@pytest.mark.parametrize("name", PATTERNS)
def test_a_pattern_does_work_in_proportion_to_its_text(name: str) -> None:
    if name in ARGUED:
        return
    reading = Reading(PATTERNS[name])
    assert reading.problems == []
    if name not in ANCHORED and not reading.is_anchored:
        assert reading.rereads == set()


def test_there_are_patterns_and_the_exceptions_are_among_them() -> None:
    assert len(PATTERNS) > 40
    assert {*ANCHORED, *ARGUED} <= set(PATTERNS)


def unseen_in(tree: ast.AST, *, inside: bool = False) -> Iterator[int]:
    """Lines with a pattern that no module's value holds: made in a function, or handed to `re` as text."""
    for node in ast.iter_child_nodes(tree):
        match node:
            case ast.Call(func=ast.Attribute(value=ast.Name(id="re"), attr=name)) if name != "escape" and (
                inside or name != "compile"
            ):
                yield node.lineno
            case ast.ImportFrom(module="re"):
                yield node.lineno
        is_function = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda | ast.ClassDef)
        yield from unseen_in(node, inside=inside or is_function)


def test_no_pattern_is_made_where_this_test_does_not_see_it() -> None:
    unseen = {
        f"{module.__file__}:{line}"
        for module in modules()
        if module.__file__ is not None
        for line in unseen_in(ast.parse(Path(module.__file__).read_text("utf-8")))
    }
    assert unseen == set()


@pytest.mark.parametrize(
    "code",
    [
        "def f(x): return re.match('a', x)",
        "f = re.sub('a', 'b', x)",
        "from re import match",
        "def f(x=re.compile('a')): pass",
        "class A:\n    P = re.compile('a')",
    ],
)
def test_patterns_that_are_not_seen_are_known_as_such(code: str) -> None:
    assert list(unseen_in(ast.parse(code)))
    assert not list(unseen_in(ast.parse("P = re.compile('a')\nQ = (re.compile(re.escape('b')),)")))


@pytest.mark.parametrize(
    "text",
    [r"(a+)+b", r"\s*\s*x", r"a*.*b", r"(\w+\d)*x", r"(x+x+)+y", r"[a-z]*[^0-9]z"],
)
def test_patterns_that_take_for_ever_are_known_as_such(text: str) -> None:
    assert Reading(re.compile(text)).problems


@pytest.mark.parametrize("text", [r"\s+$", r"a+b", r"\w+@"])
def test_searches_that_read_again_are_known_as_such(text: str) -> None:
    assert Reading(re.compile(text)).rereads
