"""What a ranking of prompts is worth, as RouteLLM and RouterBench define it.

All take a difficulty per prompt and the measured quality of a weak and a strong
model; ties are taken in expectation over their order.
"""

from collections.abc import Sequence
from typing import Final

import numpy as np
from attrs import frozen

TIERS: Final = ("SIMPLE", "MEDIUM", "COMPLEX", "REASONING")


def ranks(values: np.ndarray) -> np.ndarray:
    """Ranks from 1, ties sharing their mean."""
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    return (last - (counts - 1) / 2)[inverse]


def auroc(score: np.ndarray, positive: np.ndarray) -> float:
    positives = int(positive.sum())
    negatives = len(positive) - positives
    if not positives or not negatives:
        return float("nan")
    above = ranks(score)[positive].sum() - positives * (positives + 1) / 2
    return float(above / (positives * negatives))


def _by_difficulty(score: np.ndarray, values: np.ndarray) -> np.ndarray:
    """*values*, hardest prompt first; those of equal difficulty replaced by their mean."""
    keys, inverse, counts = np.unique(-score, return_inverse=True, return_counts=True)
    means = np.bincount(inverse, values, len(keys)) / counts
    return np.repeat(means, counts)


def curve(score: np.ndarray, weak: np.ndarray, strong: np.ndarray) -> np.ndarray:
    """Mean value when the 0, 1, 2, ... hardest prompts go to the strong model."""
    gains = _by_difficulty(score, strong - weak)
    return np.concatenate([[weak.mean()], weak.mean() + np.cumsum(gains) / len(score)])


@frozen
class Ranking:
    """*apgr*: mean share of the gap recovered over all shares of strong calls; 0.5 is chance.

    *cpt50* and *cpt80*: percent of strong calls that recover so much of the gap.
    *need*: AUROC of "weak fails and strong does not"; *fails*: of "weak fails".
    """

    count: int
    apgr: float
    low: float
    high: float
    cpt50: float
    cpt80: float
    need: float
    fails: float


def ranking(score: np.ndarray, weak: np.ndarray, strong: np.ndarray, *, rounds: int = 200) -> Ranking:
    """Judge a ranking; *low* and *high* bound 95 % of *rounds* bootstrap samples of the prompts."""
    quality = curve(score, weak, strong)
    rng = np.random.default_rng(0)
    drawn = [
        apgr(curve(score[pick], weak[pick], strong[pick]))
        for pick in (rng.integers(0, len(score), len(score)) for _ in range(rounds))
    ]
    low, high = np.nanpercentile(drawn, [2.5, 97.5]) if drawn else (float("nan"),) * 2
    return Ranking(
        count=len(score),
        apgr=apgr(quality),
        low=float(low),
        high=float(high),
        cpt50=cpt(quality, 0.5),
        cpt80=cpt(quality, 0.8),
        need=auroc(score, (weak < 0.5) & (strong >= 0.5)),
        fails=auroc(score, weak < 0.5),
    )


def apgr(quality: np.ndarray) -> float:
    gap = quality[-1] - quality[0]
    if gap <= 0:
        return float("nan")
    recovered = (quality - quality[0]) / gap
    return float((recovered[1:] + recovered[:-1]).mean() / 2)


def cpt(quality: np.ndarray, share: float) -> float:
    gap = quality[-1] - quality[0]
    if gap <= 0:
        return float("nan")
    enough = np.flatnonzero((quality - quality[0]) / gap >= share - 1e-12)
    return float(enough[0] / (len(quality) - 1) * 100)


@frozen
class Labels:
    """Shares of labelled prompts: in an acceptable tier, above all of them, below all of them."""

    count: int
    right: float
    over: float
    under: float


def labels(tiers: Sequence[str], acceptable: Sequence[Sequence[str]]) -> Labels:
    given = [TIERS.index(tier) for tier in tiers]
    wanted = [[TIERS.index(tier) for tier in some] for some in acceptable]
    return Labels(
        count=len(given),
        right=float(np.mean([tier in some for tier, some in zip(given, wanted, strict=True)])),
        over=float(np.mean([tier > max(some) for tier, some in zip(given, wanted, strict=True)])),
        under=float(np.mean([tier < min(some) for tier, some in zip(given, wanted, strict=True)])),
    )


def reliability(chance: np.ndarray, good: np.ndarray, bins: int = 8) -> list[tuple[int, float, float]]:
    """Count, mean stated chance and share that was good, in *bins* of equal size."""
    order = np.argsort(chance, kind="stable")
    return [
        (len(part), float(chance[part].mean()), float(good[part].mean()))
        for part in np.array_split(order, bins)
        if len(part)
    ]


def ece(chance: np.ndarray, good: np.ndarray) -> float:
    """Expected calibration error: mean distance of stated and seen, over bins of equal size."""
    table = reliability(chance, good)
    return sum(count * abs(stated - seen) for count, stated, seen in table) / len(chance)
