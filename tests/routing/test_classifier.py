"""The trained classifier: its laws, its file, and where it keeps silent."""

import random
from collections.abc import Sequence

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from lynkr.errors import ConfigError
from lynkr.model import Message, Request
from lynkr.routing import (
    DEFAULT_SCORERS,
    Features,
    Snapshot,
    Step,
    Success,
    Tier,
    classified,
    default_policy,
    default_scorers,
    features_of,
    load_classifier,
    tier_of,
    weighted,
)
from lynkr.routing.classifier import SHAPE, TABLE, dump_classifier, places_of, shape_of
from lynkr.routing.reading import HEAD_CHARS, TAIL_CHARS, Format, read, read_words, window_of, words_of
from tests.routing.agent_sessions import CLAUDE_CODE_TOOLS, asking, looping, tools

CLASSIFIER = load_classifier()
QUESTIONS = (
    "Which of these is a primary colour?\nA. green\nB. red\nC. brown\nD. grey",
    "A train travels 120 km in 2 hours. How many km does it travel in 5 hours?",
    "Find the sum of all positive integers $n$ such that $n^2 + 12n - 2007$ is a perfect square.",
    """Statement 1 | Every field is a ring. Statement 2 | Every ring has an identity.
A. True, True\nB. False, False\nC. True, False\nD. False, True""",
)
INSTRUCTIONS = (
    "fix the failing tests in src/auth and update the 3 callers",
    "refactor billing across three microservices",
    "bump the version to 2.4.1 and tag it",
    "add a null check before this dereference",
    "what does git stash do?",
    "write a poem about the sea",
    "hi",
)
_VOCABULARY = "find the value of 12 x many how sum $ ^ \\ A. B. C. D. 7 refactor api prove why is π 数学"
_WORDS = st.sampled_from(_VOCABULARY.split())
_TEXTS = st.lists(_WORDS, max_size=60).map(" ".join) | st.sampled_from(QUESTIONS + INSTRUCTIONS) | st.text()
_CHANCES = st.lists(st.floats(0, 1), min_size=4, max_size=4).map(sorted).map(tuple)
_FLOORS = st.floats(0.05, 0.95)


def features(text):
    return features_of(Request(model="auto", messages=(Message.user(text),)))


def success_of(text):
    return CLASSIFIER(features(text))


@given(_TEXTS)
def test_chances_are_chances_and_rise_with_the_tier(text):
    success = success_of(text)
    if success is not None:
        assert all(0 <= chance <= 1 for chance in success.chances)
        assert list(success.chances) == sorted(success.chances)
        assert success == load_classifier()(features(text))


@given(_CHANCES, _FLOORS)
def test_the_tier_of_a_difficulty_is_the_cheapest_whose_chance_suffices(chances, floor):
    success = Success(Format.CHOICE, chances)
    difficulty = success.difficulty(floor)
    assert 0 <= difficulty <= 1
    assert tier_of(difficulty) is success.cheapest(floor)


@given(_CHANCES, _CHANCES, _FLOORS)
def test_better_chances_never_make_it_harder(one, other, floor):
    worse = tuple(map(min, one, other))
    better = tuple(map(max, one, other))
    harder, easier = (Success(Format.MATHS, chances) for chances in (worse, better))
    assert easier.cheapest(floor) <= harder.cheapest(floor)
    assert easier.difficulty(floor) <= harder.difficulty(floor) + 1e-9


@given(
    _TEXTS,
    st.sampled_from([str.upper, str.lower, str.title, "\n\n  {}\t".format, lambda t: t.replace(" ", "  ")]),
)
def test_casing_and_spacing_change_no_chance(text, change):
    # A few letters fold to more than one or lose a mark on the way up and down; that is no casing.
    if change(text).casefold().split() == text.casefold().split():
        assert success_of(change(text)) == success_of(text)


@pytest.mark.parametrize("question", QUESTIONS)
def test_tools_history_and_envelopes_change_no_chance(question):
    bare = success_of(question)
    reminder = "<system-reminder>\nProve the security policy in 12 steps.\n</system-reminder>"
    assert bare is not None
    assert success_of(f"{reminder}\n{question}") == bare
    assert CLASSIFIER(features_of(asking("hello", question, offered=tools(*CLAUDE_CODE_TOOLS)))) == bare
    assert CLASSIFIER(features_of(looping(question, 12))) == bare


@pytest.mark.parametrize("ask", INSTRUCTIONS)
def test_an_instruction_is_left_to_the_lexical_scorers(router, ask):
    policy, seen = default_policy(), features(ask)
    assert CLASSIFIER(seen) is None
    tier, step = policy(seen, tuple(scorer(seen) for scorer in DEFAULT_SCORERS))
    decision = router.route(asking(ask), Snapshot())
    assert (decision.tier, decision.score) == (tier, step.score)


@pytest.mark.parametrize("call", ["Prove it.", "Think hard.", "Explain your reasoning."])
def test_an_explicit_call_for_rigour_is_heard(router, call):
    ask = f"{QUESTIONS[1]} {call}"
    decision = router.route(asking(ask), Snapshot())
    assert next(step for step in decision.trace if step.name == "classifier").code == "not_an_exam"
    assert decision.tier > router.route(asking(QUESTIONS[1]), Snapshot()).tier


def test_where_it_speaks_the_words_of_effort_are_not_counted_beside_it(router):
    decision = router.route(asking(QUESTIONS[0]), Snapshot())
    step = next(step for step in decision.trace if step.name == "classifier")
    assert step.code == "learnt_choice"
    assert decision.score == step.score
    effort, shape = Step("effort", "", 0.9), Step("shape", "", 0.9)
    policy = weighted()
    assert policy(Features(), (effort, shape, step))[1].score == step.score
    assert policy(Features(), (effort, shape))[1].score == 0.99


@pytest.mark.parametrize(("question", "mate"), [(QUESTIONS[0], QUESTIONS[3]), (QUESTIONS[1], QUESTIONS[2])])
def test_a_plain_question_is_easier_than_an_abstract_one(question, mate):
    easy, hard = success_of(question), success_of(mate)
    assert easy.chances > hard.chances


# What the packaged weights say; training again on changed data changes these, knowingly.
GOLDEN = (
    (0.6145, 0.7044, 0.7728, 0.8833),
    (0.4858, 0.6205, 0.6825, 0.9141),
    (0.4493, 0.5862, 0.6505, 0.9022),
    (0.4728, 0.6199, 0.7009, 0.8391),
)


@pytest.mark.parametrize(("question", "chances"), list(zip(QUESTIONS, GOLDEN, strict=True)))
def test_the_packaged_weights_say_what_they_said(question, chances):
    assert success_of(question).chances == pytest.approx(chances, abs=2e-4)


def test_work_is_bounded_by_the_window_whatever_the_length():
    huge = QUESTIONS[2] + " and 7 more" * 100_000
    assert len(features(huge).words) <= HEAD_CHARS + TAIL_CHARS
    assert success_of(huge) is not None


@given(_TEXTS)
def test_every_word_has_a_place_in_the_table(text):
    words = words_of(text)
    places = places_of(words)
    assert len(places) == len(words)
    assert all(0 <= place < TABLE for place in places)


def test_a_place_is_the_checksum_on_every_machine():
    # CRC-CCITT (XModem) of "123456789", as the catalogues of checksums give it.
    assert places_of([b"123456789"]) == [0x31C3]


@given(_TEXTS)
def test_the_words_are_those_of_the_window(text):
    reading, words = read_words(text)
    assert words == words_of(window_of(text))
    assert reading == read(text)


@pytest.mark.parametrize("question", QUESTIONS)
def test_without_the_words_they_are_taken_from_the_ask_again(question):
    seen = features(question)
    assert CLASSIFIER(evolve(seen, words=())) == CLASSIFIER(seen)


@given(_TEXTS)
def test_of_asks_of_no_known_format_no_word_is_looked_at(text):
    reading = read(text)
    if reading.format is None:
        assert CLASSIFIER(Features(reading=reading, words=Unreadable())) is None


class Unreadable(Sequence):
    def __len__(self):
        raise AssertionError("looked at")

    __getitem__ = __len__


@given(_TEXTS)
def test_every_number_of_the_shape_has_a_name(text):
    assert len(shape_of(*read_words(text))) == len(SHAPE)


# --- the file -----------------------------------------------------------------------------------------


def test_what_is_written_is_read_back():
    assert load_classifier(dump_classifier(CLASSIFIER)) == CLASSIFIER


@given(st.integers(0, 1 << 30), st.integers(1, 255))
def test_a_damaged_file_is_refused(place, change):
    content = bytearray(dump_classifier(CLASSIFIER))
    content[place % len(content)] ^= change
    with pytest.raises(ConfigError, match="classifier"):
        load_classifier(bytes(content))


@pytest.mark.parametrize("kept", [0, 5, 19, 400, -1])
def test_a_file_cut_short_is_refused(kept):
    with pytest.raises(ConfigError, match="classifier"):
        load_classifier(dump_classifier(CLASSIFIER)[:kept])


def test_a_file_with_other_heads_is_refused():
    half = evolve(CLASSIFIER, choice=evolve(CLASSIFIER.choice, table=b"\x80" * 12))
    with pytest.raises(ConfigError, match="two heads"):
        load_classifier(dump_classifier(half))


def test_the_packaged_file_is_small():
    assert len(dump_classifier(CLASSIFIER)) < 300_000


# --- one's own ----------------------------------------------------------------------------------------


def test_a_classifier_of_ones_own_is_a_function():
    def coin(features):
        return Success(Format.MATHS, (0.1, 0.2, 0.7, 0.9)) if "coin" in features.ask else None

    scorer = classified(coin, floor=0.6)
    assert tier_of(scorer(features("toss a coin")).score) is Tier.COMPLEX
    assert scorer(features("toss a ball")).score is None


def test_the_default_scorers_are_the_lexical_ones_and_the_classifier():
    *lexical, trained = default_scorers()
    for text in INSTRUCTIONS:
        seen = features(text)
        assert [scorer(seen) for scorer in lexical] == [scorer(seen) for scorer in DEFAULT_SCORERS]
        assert trained(seen).score is None
    for text in QUESTIONS:
        seen = features(text)
        assert [scorer(seen).score for scorer in lexical[:2]] == [None, None]
        assert trained(seen).score is not None


@given(_TEXTS)
def test_whoever_stands_in_is_heard_as_if_the_others_had_spoken(text):
    seen, policy = features(text), weighted()
    *_, trained = default_scorers()
    aloud = policy(seen, tuple(scorer(seen) for scorer in (*DEFAULT_SCORERS, trained)))
    quiet = policy(seen, tuple(scorer(seen) for scorer in default_scorers()))
    assert (aloud[0], aloud[1].score) == (quiet[0], quiet[1].score)


def test_a_typo_seldom_moves_the_tier(router):
    chance = random.Random(3)
    moved = tried = 0
    for question in QUESTIONS:
        tier = router.route(asking(question), Snapshot()).tier
        words = question.split(" ")
        for place, word in enumerate(words):
            if word.isalpha() and len(word) > 3:
                at = chance.randrange(1, len(word) - 1)
                bad = word[:at] + word[at + 1] + word[at] + word[at + 2 :]
                said = " ".join([*words[:place], bad, *words[place + 1 :]])
                moved += router.route(asking(said), Snapshot()).tier is not tier
                tried += 1
    assert tried > 20
    assert moved / tried < 0.1
