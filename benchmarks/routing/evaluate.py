"""Routers judged on the routing data: in domain by cross-validation, and on sources never seen.

``python benchmarks/routing/evaluate.py DATA`` prints the rankings; ``report.py`` writes the whole report.
"""

import argparse
import json
import random
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
from attrs import frozen
from corpus import LABELLED, PAIRS, Corpus, load, rows_of
from metrics import Labels, Ranking, labels, ranking
from perturb import Disturb
from train import FOLDS, Design, copies_of, design_of, train

from lynkr.model import Message, Request
from lynkr.routing import DEFAULT_SCORERS, Features, Scorer, classified, default_policy, features_of
from lynkr.routing.classifier import LinearClassifier

Judge = Callable[[str], tuple[float, str]]
"""A router as the evaluation sees it: prompt to difficulty and name of the tier."""

ASKS: Final = Path(__file__).with_name("asks.jsonl")
_FLIP_SAMPLE: Final = 1_500


def request_of(prompt: str) -> Request:
    return Request(model="auto", messages=(Message.user(prompt),))


def pipeline(scorers: Sequence[Scorer]) -> Judge:
    """lynkr's own path from a request to difficulty and tier."""
    policy = default_policy()

    def judge(prompt: str) -> tuple[float, str]:
        features = features_of(request_of(prompt))
        tier, step = policy(features, tuple([scorer(features) for scorer in scorers]))
        return step.score or 0.0, tier.name

    return judge


def with_classifier(classifier: LinearClassifier) -> Judge:
    return pipeline((*DEFAULT_SCORERS, classified(classifier)))


def scores(judge: Judge, prompts: Sequence[str]) -> np.ndarray:
    return np.array([judge(prompt)[0] for prompt in prompts])


@frozen(eq=False)
class Trained:
    """Scores and chances of a classifier that was not shown what it is asked.

    *chances* are those of the four tiers, NaN where it abstained.
    """

    in_domain: np.ndarray
    unseen: np.ndarray
    in_domain_chances: np.ndarray
    unseen_chances: np.ndarray


def cross_validate(corpus: Corpus, design: Design, copies: Design) -> Trained:
    """Five folds by question, and one source left out at a time with all questions it shares."""
    count = len(corpus.prompts)
    found = Trained(*(np.full(shape, np.nan) for shape in (count, count, (count, 4), (count, 4))))
    fold = corpus.fold(FOLDS)
    for number in range(FOLDS):
        held = fold == number
        _fill(train(corpus, design, copies, ~held), corpus, held, found.in_domain, found.in_domain_chances)
    for source in np.unique(corpus.source):
        held = corpus.source == source
        shared = np.isin(corpus.stem, corpus.stem[held])
        _fill(train(corpus, design, copies, ~shared), corpus, held, found.unseen, found.unseen_chances)
    return found


def _fill(
    classifier: LinearClassifier, corpus: Corpus, held: np.ndarray, into: np.ndarray, chances: np.ndarray
) -> None:
    judge = with_classifier(classifier)
    for place in np.flatnonzero(held):
        prompt = corpus.prompts[place]
        into[place] = judge(prompt)[0]
        success = classifier(_features(prompt))
        if success is not None:
            chances[place] = success.chances


def _features(prompt: str) -> Features:
    return features_of(request_of(prompt))


def rank_sources(corpus: Corpus, score: np.ndarray, *, rounds: int = 200) -> dict[str, Ranking]:
    """Each source with a pair of models."""
    found: dict[str, Ranking] = {}
    for source in PAIRS:
        place = np.flatnonzero((corpus.source == source) & ~np.isnan(corpus.weak + corpus.strong))
        found[source] = ranking(score[place], corpus.weak[place], corpus.strong[place], rounds=rounds)
    return found


def mean_apgr(found: dict[str, Ranking]) -> float:
    return float(np.mean([one.apgr for one in found.values()]))


def asks(split: str) -> list[dict[str, Any]]:
    """Our own labelled asks: ``tune``, which the lexicon was improved on, or ``holdout``, which was not."""
    rows = [json.loads(line) for line in ASKS.read_text("utf-8").splitlines()]
    return [row for row in rows if row["split"] == split]


def label_accuracy(folder: Path, judge: Judge) -> dict[str, Labels]:
    sets = {f"own asks, {split}": asks(split) for split in ("holdout", "tune")}
    sets |= {name: rows_of(folder, name) for name in LABELLED}
    found: dict[str, Labels] = {}
    for name, rows in sets.items():
        tiers = [judge(row["prompt"])[1] for row in rows]
        found[name] = labels(tiers, [row.get("acceptable") or [row["difficulty"]] for row in rows])
    return found


@frozen
class Flips:
    """Shares of prompts that a disturbance gives another tier, or moves across the median difficulty."""

    tier: float
    median: float


def flip_rates(judge: Judge, prompts: Sequence[str], disturbances: Mapping[str, Disturb]) -> dict[str, Flips]:
    plain = [judge(prompt) for prompt in prompts]
    median = float(np.median([score for score, _ in plain]))
    found: dict[str, Flips] = {}
    for name, disturb in disturbances.items():
        chance = random.Random(7)
        moved = [judge(disturb(prompt, chance)) for prompt in prompts]
        found[name] = Flips(
            float(np.mean([one[1] != other[1] for one, other in zip(plain, moved, strict=True)])),
            float(
                np.mean(
                    [
                        (one[0] >= median) != (other[0] >= median)
                        for one, other in zip(plain, moved, strict=True)
                    ]
                )
            ),
        )
    return found


def flip_sample(corpus: Corpus, folder: Path) -> dict[str, list[str]]:
    """Prompts to disturb: some of the outcome sources, and all labelled asks."""
    step = max(1, len(corpus.prompts) // _FLIP_SAMPLE)
    labelled = [row["prompt"] for name in LABELLED for row in rows_of(folder, name)]
    labelled += [row["prompt"] for split in ("tune", "holdout") for row in asks(split)]
    return {"outcome sources": list(corpus.prompts[::step]), "labelled asks": labelled}


def main() -> None:
    arguments = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    arguments.add_argument("data", type=Path)
    corpus = load(arguments.parse_args().data)
    trained = cross_validate(corpus, design_of(corpus.prompts), copies_of(corpus))
    rows = {
        "length": np.array([float(len(prompt)) for prompt in corpus.prompts]),
        "lexical": scores(pipeline(DEFAULT_SCORERS), corpus.prompts),
        "lynkr, unseen source": trained.unseen,
        "lynkr, in domain": trained.in_domain,
    }
    for name, score in rows.items():
        found = rank_sources(corpus, score, rounds=0)
        each = "  ".join(f"{source} {one.apgr:.3f}" for source, one in found.items())
        print(f"{name:22} mean {mean_apgr(found):.4f}  {each}")


if __name__ == "__main__":
    main()
