"""Train the shipped classifier: ``python benchmarks/routing/train.py DATA [--out FILE]``.

Deterministic; about a minute on one core.  Per format (multiple choice,
mathematics): ridge regression of "a large model is needed", that is of how often
small models fail and what large ones gain, centred within each task, on hashed
words and shape; plain length, which transfers best, is then given a share of its
own; chances per tier are fitted on out-of-fold difficulties, with an effect per
task so that hard tasks do not make a tier look weak.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np
from attrs import frozen
from corpus import Corpus, load
from perturb import perturbed
from scipy import sparse
from scipy.optimize import minimize
from scipy.sparse.linalg import LinearOperator, cg

from lynkr.routing.classifier import (
    SHAPE,
    TABLE,
    Head,
    Line,
    LinearClassifier,
    dump_classifier,
    places_of,
    shape_of,
)
from lynkr.routing.reading import Format, read_words

SHIPPED: Final = Path(__file__).parents[2] / "lynkr" / "routing" / "classifier.bin"
FOLDS: Final = 5
_RIDGE: Final = 15.0
_SHAPE_SCALE: Final = 0.1
_LENGTH: Final = {Format.CHOICE: 0.5, Format.MATHS: 1.5}
"""How much of length's own z-score is added to the learnt one's."""
_GAIN: Final = 0.6
"""How much of the target is what large models gain; the rest is how often small ones fail."""
_COPY_WEIGHT: Final = 0.5
_SPREAD: Final = 100.0
_WORDS: Final = SHAPE.index("words")
# o1 against its generation's best, in log-odds, on MATH level 5 and CRUXEval: 1.7 and 1.5. No source has
# it on multiple choice; half of that is assumed there.
_REASONING_LIFT: Final = {Format.MATHS: 1.6, Format.CHOICE: 0.8}


@frozen(eq=False)
class Design:
    """Prompts as numbers: *grams* counts words by place over the root of their count, *shape* has `SHAPE`."""

    grams: sparse.csr_matrix
    shape: np.ndarray
    format: np.ndarray


def design_of(prompts: Sequence[str]) -> Design:
    places: list[int] = []
    ends = [0]
    values: list[float] = []
    shapes: list[tuple[float, ...]] = []
    formats: list[str] = []
    for prompt in prompts:
        reading, words = read_words(prompt)
        places += places_of(words)
        values += [len(words) ** -0.5] * len(words)
        ends.append(len(places))
        shapes.append(shape_of(reading, words))
        formats.append(reading.format or "")
    matrix = sparse.csr_matrix((values, places, ends), shape=(len(prompts), TABLE))
    matrix.sum_duplicates()
    return Design(matrix, np.array(shapes), np.array(formats))


def target_of(corpus: Corpus) -> np.ndarray:
    """How much a stronger model is needed, centred and scaled within each task."""
    need = np.zeros(len(corpus.prompts))
    for share, of_models in ((1 - _GAIN, corpus.fails), (_GAIN, corpus.gain)):
        for task in np.unique(corpus.task):
            of_task = corpus.task == task
            values = of_models[of_task]
            need[of_task] += share * (values - np.nanmean(values)) / (np.nanstd(values) + 0.05)
    return need


def weights_of(corpus: Corpus, chosen: np.ndarray) -> np.ndarray:
    """Tasks count by the square root of their size."""
    weights = np.zeros(len(chosen))
    for task in np.unique(corpus.task[chosen]):
        of_task = chosen & (corpus.task == task)
        weights[of_task] = of_task.sum() ** -0.5
    return weights / weights[chosen].mean()


def ridge(matrix: sparse.csr_matrix, target: np.ndarray, weights: np.ndarray, penalty: float) -> np.ndarray:
    weighted = sparse.diags(np.sqrt(weights)) @ matrix
    size = (matrix.shape[1],) * 2
    normal = LinearOperator(size, matvec=lambda v: weighted.T @ (weighted @ v) + penalty * v, dtype=float)
    solution, _ = cg(normal, weighted.T @ (np.sqrt(weights) * target), maxiter=200, rtol=1e-6)
    return solution


@frozen(eq=False)
class Fit:
    """A head without chances, before rounding."""

    bias: float
    shape: np.ndarray
    grams: np.ndarray

    def __call__(self, design: Design) -> np.ndarray:
        return self.bias + design.shape @ self.shape + design.grams @ self.grams


def fit(kind: Format, design: Design, copies: Design, corpus: Corpus, chosen: np.ndarray) -> Fit:
    """Learn from *chosen* rows and their perturbed copies; difficulties come out with spread about 1."""
    target, weights = target_of(corpus), weights_of(corpus, chosen)
    shape = np.vstack([design.shape[chosen], copies.shape[chosen]])
    middle, spread = design.shape[chosen].mean(0), design.shape[chosen].std(0) + 1e-6
    scaled = np.clip((shape - middle) / spread, -4, 4) * _SHAPE_SCALE
    grams = sparse.vstack([design.grams[chosen], copies.grams[chosen]])
    both = np.concatenate([weights[chosen], weights[chosen] * _COPY_WEIGHT])
    wanted = target[chosen] - np.average(target[chosen], weights=weights[chosen])
    solution = ridge(
        sparse.hstack([scaled, grams]).tocsr(), np.concatenate([wanted, wanted]), both / 1.5, _RIDGE
    )
    width = design.shape.shape[1]
    learnt = scaled @ solution[:width] + grams @ solution[width:]
    factor = 1 / (learnt[: chosen.sum()].std() + 1e-9)
    slopes = solution[:width] * factor * _SHAPE_SCALE / spread
    slopes[_WORDS] += _LENGTH[kind] / spread[_WORDS]
    return Fit(-float(slopes @ middle), slopes, solution[width:] * factor)


def out_of_fold(
    kind: Format, design: Design, copies: Design, corpus: Corpus, chosen: np.ndarray
) -> np.ndarray:
    """Difficulties of the chosen rows by fits that saw neither the row nor its question."""
    fold = corpus.fold(FOLDS)
    found = np.full(len(chosen), np.nan)
    for number in range(FOLDS):
        held = chosen & (fold == number)
        found[held] = fit(kind, design, copies, corpus, chosen & (fold != number))(design)[held]
    return found


def lines_of(
    format: Format, difficulty: np.ndarray, corpus: Corpus, chosen: np.ndarray, weights: np.ndarray
) -> tuple[Line, Line, Line, Line]:
    """Chance per tier by logistic regression on difficulty, with a shrunken effect for every task.

    Tasks differ in which tiers they have and in how hard they are; without
    their effects, a tier known from hard tasks alone would look weak.
    """
    tasks = np.unique(corpus.task[chosen])
    place, tier = np.nonzero(chosen[:, None] & ~np.isnan(corpus.tiers[:, :3]))
    belongs = np.searchsorted(tasks, corpus.task[place])
    hard, good, weight = difficulty[place], corpus.tiers[place, tier], weights[place]

    def loss(values: np.ndarray) -> tuple[float, np.ndarray]:
        offsets, slopes, effects = values[:3], np.exp(values[3:6]), values[6:]
        z = offsets[tier] - slopes[tier] * hard - effects[belongs]
        off = (1 / (1 + np.exp(-z)) - good) * weight
        entropy = float(weight @ (np.logaddexp(0, z) - good * z))
        # A typical task lies within half a unit of log-odds of the mean; slopes lean on each other.
        penalty = _SPREAD * effects @ effects + _SPREAD * np.sum((values[3:6] - values[3:6].mean()) ** 2)
        lean = 2 * _SPREAD * (values[3:6] - values[3:6].mean())
        gradient = np.concatenate(
            [
                np.bincount(tier, off, 3),
                -np.bincount(tier, off * hard, 3) * slopes + lean,
                -np.bincount(belongs, off, len(tasks)) + 2 * _SPREAD * effects,
            ]
        )
        return entropy + float(penalty), gradient

    found = minimize(loss, np.zeros(6 + len(tasks)), jac=True, method="L-BFGS-B").x
    lines = [Line(round(float(found[t]), 4), round(float(np.exp(found[3 + t])), 4)) for t in range(3)]
    top = Line(round(lines[2].offset + _REASONING_LIFT[format], 4), lines[2].slope)
    return lines[0], lines[1], lines[2], top


def head_of(learnt: Fit, lines: tuple[Line, Line, Line, Line]) -> Head:
    scale = float(np.abs(learnt.grams).max()) / 127
    table = np.round(learnt.grams / scale).astype(int) + 128
    return Head(
        bias=round(learnt.bias, 6),
        shape=tuple(round(float(value), 6) for value in learnt.shape),
        scale=float(f"{scale:.6g}"),
        table=bytes(table.tolist()),
        lines=lines,
    )


def train(
    corpus: Corpus, design: Design, copies: Design, allowed: np.ndarray | None = None
) -> LinearClassifier:
    """The classifier learnt from *allowed* rows (all, if None)."""
    heads: dict[Format, Head] = {}
    for kind in Format:
        chosen = (design.format == kind.value) & ~np.isnan(corpus.fails)
        if allowed is not None:
            chosen &= allowed
        weights = weights_of(corpus, chosen)
        difficulty = out_of_fold(kind, design, copies, corpus, chosen)
        learnt = fit(kind, design, copies, corpus, chosen)
        heads[kind] = head_of(learnt, lines_of(kind, difficulty, corpus, chosen, weights))
    return LinearClassifier(choice=heads[Format.CHOICE], maths=heads[Format.MATHS])


def copies_of(corpus: Corpus) -> Design:
    """Each prompt once more, disturbed as people and clients disturb it."""
    return design_of([perturbed(prompt, seed) for seed, prompt in enumerate(corpus.prompts)])


def main() -> None:
    arguments = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    arguments.add_argument("data", type=Path, help="the folder of *.jsonl.gz")
    arguments.add_argument("--out", type=Path, default=SHIPPED)
    given = arguments.parse_args()
    corpus = load(given.data)
    classifier = train(corpus, design_of(corpus.prompts), copies_of(corpus))
    given.out.write_bytes(dump_classifier(classifier))
    print(f"{given.out}: {given.out.stat().st_size:,} bytes from {len(corpus.prompts):,} prompts")


if __name__ == "__main__":
    main()
