from collections import Counter
from time import process_time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lynkr.routing.envelope import ENVELOPES, strip_envelopes

_NAMES = st.sampled_from([*sorted(ENVELOPES), "command-name", "command-args", "local-command-stdout"])
_TYPED = st.text(st.characters(exclude_characters="<>[]", exclude_categories=["Cs"]), max_size=60)


@given(_TYPED, _NAMES, _TYPED, _TYPED)
def test_what_stands_outside_an_envelope_is_all_that_is_kept(before, name, inside, after):
    wrapped = f"{before}<{name}>{inside}</{name}>{after}"
    assert strip_envelopes(wrapped).split() == f"{before}\n{after}".split()


@given(st.text(st.characters(exclude_characters="<[", exclude_categories=["Cs"]), max_size=200))
def test_text_without_tags_or_badges_is_kept_whole(text):
    assert strip_envelopes(text) == text.strip()


_PIECES = ["<system-reminder>", "</system-reminder>", "<b>", "word ", "<", "</", "<task>", "[Lynkr] x\n"]


@given(st.lists(st.sampled_from(_PIECES)))
def test_of_any_pile_of_tags_no_sign_is_invented(pieces):
    text = "".join(pieces)
    kept = Counter("".join(strip_envelopes(text).split()))
    assert kept <= Counter(text)


@pytest.mark.parametrize(
    ("text", "typed"),
    [
        ("17+25\n<system-reminder>7 servers need authentication.</system-reminder>", "17+25"),
        ("<system-reminder>a<system-reminder>b</system-reminder>c</system-reminder>hi", "hi"),
        ("what does <system-reminder> mean?", "what does <system-reminder> mean?"),
        ("<user_query>\nfix it\n</user_query>", "fix it"),
        ("<task>add a test</task>\n<environment_details>cwd /x</environment_details>", "add a test"),
        ("if a < b and b > c", "if a < b and b > c"),
        ("<div class='x'>centre this</div>", "<div class='x'>centre this</div>"),
        ("*[Lynkr] COMPLEX → opus (anthropic) · score 60*\nthanks", "thanks"),
        ("This session is being continued from a previous conversation that ran out of context.", ""),
        ("[Request interrupted by user for tool use]", ""),
        ("<local-command-stdout>deploy to production</local-command-stdout>", ""),
        ("<ide_selection lines='1-9'>auth()</ide_selection>why?", "why?"),
    ],
)
def test_only_typed_words_remain(text, typed):
    assert strip_envelopes(text) == typed


@pytest.mark.parametrize(
    "unit",
    [
        "<system-reminder>",
        "<system-reminder",
        "</system-reminder>",
        "<",
        "<a>",
        "<command-x>",
        "[Lynkr]",
        "<task ",
    ],
)
def test_time_grows_no_faster_than_the_text(unit):
    def cost(count: int) -> float:
        text = unit * count
        best = float("inf")
        for _ in range(3):
            began = process_time()
            strip_envelopes(text)
            best = min(best, process_time() - began)
        return best

    # Sixteen times the text; quadratic work would take 256 times as long.
    assert cost(32_000) < 64 * max(cost(2_000), 0.001)
