from time import process_time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lynkr.routing.lexicon import GROUPS
from lynkr.routing.reading import AskKind, read

_WORDS = st.lists(
    st.sampled_from(
        [
            "refactor",
            "the",
            "auth",
            "author",
            "race",
            "condition",
            "lock-free",
            "please",
            "Prove",
            "it",
            "17",
            "fix,",
            "ok.",
        ]
    ),
    max_size=30,
)


@given(
    _WORDS, st.lists(st.sampled_from([" ", "  ", "\n", "\t", " \r\n", "\u00a0"]), min_size=31, max_size=31)
)
def test_how_words_are_spaced_does_not_matter(words, gaps):
    spaced = "".join(word + gap for word, gap in zip(words, gaps, strict=False))
    assert read(spaced) == read(" ".join(words))


@given(_WORDS)
def test_how_words_are_cased_does_not_matter(words):
    text = " ".join(words)
    assert read(text.upper()) == read(text) == read(text.title())


@given(st.text(max_size=500))
def test_any_text_can_be_read(text):
    reading = read(text)
    assert reading.words >= 0
    assert set(reading.points) <= {group.name for group in GROUPS}


@given(st.text(max_size=200))
def test_a_reading_shows_nothing_of_the_text(text):
    marked = f"{text} xyzzyplugh"
    assert "xyzzyplugh" not in repr(read(marked))


def test_words_are_matched_whole():
    assert "risky" in read("fix the auth module").points
    assert "risky" not in read("fix the author module").points
    assert "concurrency" not in read("a race in good condition").points
    assert "concurrency" in read("a race-condition").points


def test_a_phrase_does_not_reach_across_a_sentence():
    assert "concurrency" not in read("He won the race. Condition unknown").points


def test_a_verb_counts_where_it_gives_an_order():
    for order in (
        "Design a cache",
        "please design a cache",
        "Fix it, then design a cache",
        "carefully design it",
    ):
        assert "work" in read(order).points, order
    assert "work" not in read("I like the design of this cache").points


def test_words_inside_fences_are_not_counted():
    reading = read("what is this?\n```\nprove(lock_free, deadlock)\n```")
    assert reading.code_chars > 0
    assert "proof" not in reading.points
    assert "concurrency" not in reading.points


def test_of_a_long_text_head_and_tail_are_read():
    padding = "lorem ipsum dolor " * 5_000
    assert "proof" in read(f"Prove this. {padding}").points
    assert "proof" in read(f"{padding}. Prove this.").points
    assert read(padding).words > 10_000


def test_long_texts_take_no_longer_to_read():
    text = "word " * 400_000
    began = process_time()
    reading = read(text)
    assert process_time() - began < 0.05
    assert reading.words == pytest.approx(400_000, rel=0.01)


def test_alphabets_without_spaces_have_words_too():
    assert read("请解释这个函数的作用以及它为什么会在并发的情况下失败").words >= 5


def test_follow_ups_are_told_apart():
    kinds = {
        "thanks!": AskKind.SMALL_TALK,
        "hi, you there?": AskKind.SMALL_TALK,
        "ok, makes sense": AskKind.ACKNOWLEDGES,
        "yes, do it": AskKind.GO_ON,
        "Continue.": AskKind.GO_ON,
        "do the same for the other two modules": AskKind.REFERS,
        "add a --verbose flag to the parser": AskKind.NEW,
    }
    assert {text: read(text).kind for text in kinds} == kinds
