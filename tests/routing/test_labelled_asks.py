"""The asks of ``benchmarks/routing/asks.jsonl``: the half nobody tuned on keeps to the bars of the report."""

import json
from pathlib import Path

import pytest

from lynkr.routing import Snapshot, Tier
from lynkr.routing.reading import AskKind, read
from tests.routing.agent_sessions import asking

ASKS = [
    json.loads(line)
    for line in (Path(__file__).parents[2] / "benchmarks" / "routing" / "asks.jsonl")
    .read_text("utf-8")
    .splitlines()
]


def tiers_of(router, split):
    for ask in ASKS:
        if ask["split"] == split:
            tier = router.route(asking(ask["prompt"]), Snapshot()).tier
            yield tier, [Tier[name] for name in ask["acceptable"]]


@pytest.mark.parametrize("split", ["tune", "holdout"])
def test_most_land_in_an_acceptable_tier_and_few_above_it(router, split):
    found = list(tiers_of(router, split))
    right = sum(tier in acceptable for tier, acceptable in found)
    over = sum(tier > max(acceptable) for tier, acceptable in found)
    assert len(found) == 92
    assert right / len(found) >= 0.85
    assert over / len(found) <= 0.08


def test_no_tier_takes_more_than_seven_in_ten(router):
    given = [tier for split in ("tune", "holdout") for tier, _ in tiers_of(router, split)]
    assert max(given.count(tier) for tier in Tier) / len(given) < 0.7


@pytest.mark.parametrize(
    "question",
    [
        "In which year was the bridge opened?",
        "how many bones has a cat",
        "Translate 'bread' into Dutch.",
        "Wann wurde der Turm gebaut?",
        "¿Quién pintó este cuadro?",
        "Capital of Peru?",
        "这本书是谁写的",
    ],
)
def test_one_fact_is_looked_up(question):
    assert read(question).is_lookup


@pytest.mark.parametrize(
    "ask",
    [
        "What should I cook tonight?",
        "How do I restart the service?",
        "Write to the landlord.",
        "What is the mean of 3, 5, 8, 13, 21 and 34?",
        "",
    ],
)
def test_advice_work_and_sums_are_not(ask):
    assert not read(ask).is_lookup


@pytest.mark.parametrize("reply", ["no, keep the old one", "please ok", "Yes, option 2.", "stop there"])
def test_a_few_words_that_answer_are_a_reply(reply):
    assert read(reply).is_reply


@pytest.mark.parametrize("ask", ["keep the old one", "", "please", "yes " * 20])
def test_anything_else_is_none(ask):
    assert not read(ask).is_reply


@pytest.mark.parametrize("talk", ["Merci beaucoup!", "Danke", "谢谢!", "¡Hola!", "привет, как дела?"])
def test_small_talk_is_told_in_other_languages(talk):
    assert read(talk).kind is AskKind.SMALL_TALK


@pytest.mark.parametrize(
    ("ask", "group"),
    [
        ("Beweise, dass es unendlich viele Primzahlen gibt.", "proof"),
        ("Démontrez ce théorème.", "proof"),
        ("Diseña una arquitectura para tres equipos.", "work"),
        ("Напиши письмо директору.", "prose"),
        ("设计一个缓存系统", "work"),
        ("この関数を説明して", "prose"),
    ],
)
def test_words_of_effort_are_known_in_other_languages(ask, group):
    assert group in read(ask).points


def test_a_hard_thing_told_of_in_a_poem_or_fixed_in_a_word_is_light(router):
    for ask in (
        "write a limerick about a deadlock between two threads",
        "fix the typo in the deadlock chapter of the docs",
    ):
        assert router.route(asking(ask), Snapshot()).tier <= Tier.MEDIUM, ask
