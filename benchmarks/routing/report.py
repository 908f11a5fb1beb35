"""Write the routing report: ``python benchmarks/routing/report.py DATA [--out docs/routing-report.md]``.

Everything in it is measured in this one run, but the rows marked as measured earlier.
"""

import argparse
import platform
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Final

import numpy as np
from corpus import PAIRS, Corpus, load
from evaluate import (
    Judge,
    Trained,
    cross_validate,
    flip_rates,
    flip_sample,
    label_accuracy,
    mean_apgr,
    pipeline,
    rank_sources,
    scores,
)
from latency import litellm_judge, lynkr_router, measure, over_prompts
from metrics import TIERS, Ranking, curve, ece, ranking, reliability
from train import copies_of, design_of

from lynkr.routing import DEFAULT_SCORERS, default_scorers

REPORT: Final = Path(__file__).parents[2] / "docs" / "routing-report.md"
_HEADS: Final = ("choice", "maths")

# Measured in November 2026 on sources no design was trained on (Lynkr's own reference, routing.md).
_PEERS: Final = """\
| router | MMLU | GSM8K | MT-bench | RouterArena | AlpacaEval | BFCL | SWE-bench V. | T-Bench | mean of 9 |
|---|---|---|---|---|---|---|---|---|---|
| length | .575 | .601 | .538 | .523 | .469 | .431 | .476 | .552 | .525 |
| Lynkr (Node), lexical + rules | .548 | .565 | .577 | .446 | .496 | .531 | .498 | .558 | .528 |
| LiteLLM 1.106 heuristic | .549 | .537 | .656 | .521 | .485 | .524 | .476 | .565 | .535 |
| LiteLLM heuristic_v2 | .489 | .493 | .680 | .569 | .469 | .432 | .478 | .509 | .515 |"""

_INTRODUCTION: Final = """\
# How well lynkr routes

Made by `nox -s routing -- PATH_TO_DATA` from the routing data described by that folder's README; nothing
below was typed in by hand but the table of earlier measurements. RouterArena, SWE-bench Verified,
Terminal-Bench, GSM8K's test set, MT-bench, AlpacaEval and BFCL were used for nothing here: routers are
judged on them elsewhere.

How to read it: a router gives every prompt a difficulty; prompts go to the strong model hardest first.
**APGR** is the share of the quality gap between the weak and the strong model recovered so, averaged over all
shares of strong calls: 0.5 is chance. **CPT50/80** is the percentage of strong calls that recovers 50 or 80 %
of the gap: lower is better, 50 and 80 are chance. "Unseen source" trains without the source and without every
question it shares with others; "in domain" is five-fold cross-validation by question."""

_LABELS: Final = """\
The lexicon was written with these prompts in sight: for lynkr this is a regression check, not a
measurement. Over- and under-provisioned: above every acceptable tier, or below."""

_ROBUSTNESS: Final = """\
Share of prompts whose tier changes when they are said differently, and, since a router with one tier never
changes its mind, the tiers given."""

_CALIBRATION: Final = """\
## Calibration

Expected calibration error of the stated chances. A source never seen has a level of its own (an exam may be
harder than any before), which no prompt reveals: hence the right-hand column. The chances of REASONING rest
on o1 on two sources (MATH level 5, CRUXEval) and are not judged here."""

_COST: Final = """\
## Cost and quality

Unseen sources; mean quality at dollars per thousand prompts, by the share of strong calls (costs are
estimates from list prices, as the data gives them)."""

_TASKS: Final = """\
### Inside the mixed source

Within one task there is little to find for anybody; most of ulab_mix's figure is telling tasks apart. A dash:
the strong model is no better there."""

_HELD_OUT: Final = """\
## Peers on sources held out from everybody

Measured earlier, by the same definitions, on the sets that are off limits here; lynkr's own row comes from
whoever holds them."""


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [f"| {' | '.join(head)} |", "|" + "---|" * len(head)]
    return "\n".join([*lines, *(f"| {' | '.join(row)} |" for row in rows)])


def number(value: float, places: int = 3) -> str:
    return "–" if np.isnan(value) else f"{value:.{places}f}"


def rankings(named: Mapping[str, Mapping[str, Ranking]]) -> str:
    summary = table(
        ("router", *PAIRS, "mean"),
        [
            (name, *(number(found[source].apgr) for source in PAIRS), f"**{mean_apgr(dict(found)):.3f}**")
            for name, found in named.items()
        ],
    )
    details = table(
        ("source", "router", "prompts", "APGR (95 %)", "CPT50", "CPT80", "AUROC needed", "AUROC weak fails"),
        [
            (
                source,
                name,
                str(found[source].count),
                f"{found[source].apgr:.3f} ({found[source].low:.3f}–{found[source].high:.3f})",
                number(found[source].cpt50, 1),
                number(found[source].cpt80, 1),
                number(found[source].need),
                number(found[source].fails),
            )
            for source in PAIRS
            for name, found in named.items()
        ],
    )
    return f"## Ranking\n\nAPGR per source:\n\n{summary}\n\nIn full:\n\n{details}"


def tasks(corpus: Corpus, named: Mapping[str, np.ndarray]) -> str:
    """The tasks of the mixed source one by one: how much of its figure lies between them."""
    rows: list[tuple[str, ...]] = []
    for task in np.unique(corpus.task[corpus.source == "ulab_mix"]):
        place = np.flatnonzero(corpus.task == task)
        weak, strong = corpus.weak[place], corpus.strong[place]
        found = [ranking(score[place], weak, strong, rounds=0).apgr for score in named.values()]
        rows.append((task, str(len(place)), *map(number, found)))
    return f"{_TASKS}\n\n" + table(("task", "prompts", *named), rows)


def cost_quality(corpus: Corpus, score: np.ndarray) -> str:
    shares = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)
    rows: list[tuple[str, ...]] = []
    for source in PAIRS:
        given = corpus.weak + corpus.strong + corpus.weak_cost + corpus.strong_cost
        place = np.flatnonzero((corpus.source == source) & ~np.isnan(given))
        if not len(place):
            continue
        quality = curve(score[place], corpus.weak[place], corpus.strong[place])
        cost = curve(score[place], corpus.weak_cost[place], corpus.strong_cost[place]) * 1_000
        at = [round(share * len(place)) for share in shares]
        rows.append((source, *(f"{quality[k]:.3f} at {cost[k]:.3f}" for k in at)))
    return f"{_COST}\n\n" + table(("source", *(f"{share:.0%} strong" for share in shares)), rows)


def calibration(corpus: Corpus, trained: Trained, formats: np.ndarray) -> str:
    rows: list[tuple[str, ...]] = []
    for head in _HEADS:
        for tier in range(3):
            row = [head, TIERS[tier]]
            for chances in (trained.in_domain_chances, trained.unseen_chances):
                place = (formats == head) & ~np.isnan(chances[:, tier]) & ~np.isnan(corpus.tiers[:, tier])
                row.append(f"{ece(chances[place, tier], corpus.tiers[place, tier]):.3f}")
            rows.append((*row, str(int(place.sum()))))
    errors = table(("head", "tier", "ECE in domain", "ECE unseen source", "prompts"), rows)
    place = ~np.isnan(trained.unseen_chances[:, 0]) & ~np.isnan(corpus.tiers[:, 0])
    bins = [
        (str(count), f"{stated:.3f}", f"{seen:.3f}")
        for count, stated, seen in reliability(trained.unseen_chances[place, 0], corpus.tiers[place, 0])
    ]
    return f"{_CALIBRATION}\n\n{errors}\n\nReliability of SIMPLE's chance, unseen sources:\n\n" + table(
        ("prompts", "stated", "seen"), bins
    )


def tiers_and_flips(folder: Path, corpus: Corpus, named: Mapping[str, Judge]) -> str:
    accuracy: list[tuple[str, ...]] = []
    flips: list[tuple[str, ...]] = []
    distribution: list[tuple[str, ...]] = []
    samples = flip_sample(corpus, folder)
    for name, judge in named.items():
        accuracy += [
            (source, name, str(one.count), f"{one.right:.3f}", f"{one.over:.3f}", f"{one.under:.3f}")
            for source, one in label_accuracy(folder, judge).items()
        ]
        for sample, prompts in samples.items():
            rates = flip_rates(judge, prompts)
            mean = float(np.mean(list(rates.values())))
            flips.append((sample, name, *(f"{rate:.1%}" for rate in rates.values()), f"**{mean:.1%}**"))
            kinds = list(rates)
            tiers = [judge(prompt)[1] for prompt in prompts]
            distribution.append((sample, name, *(f"{tiers.count(tier) / len(tiers):.0%}" for tier in TIERS)))
    return "\n\n".join(
        (
            "## Tiers of labelled asks",
            _LABELS,
            table(("set", "router", "asks", "right", "over", "under"), accuracy),
            "## Robustness",
            _ROBUSTNESS,
            table(("prompts", "router", *kinds, "mean"), flips),
            table(("prompts", "router", *TIERS), distribution),
        )
    )


def speed(corpus: Corpus) -> str:
    found = measure()
    shapes = list(next(iter(found.values())))
    rows = [
        (router, *(f"{cost[shape][0]:.0f} / {cost[shape][1]:.0f}" for shape in shapes))
        for router, cost in found.items()
    ]
    prompts = corpus.prompts[:: max(1, len(corpus.prompts) // 2_000)]
    mix = {"lynkr": over_prompts(pipeline(default_scorers()), prompts)}
    theirs = litellm_judge()
    if theirs is not None:
        mix["LiteLLM complexity router"] = over_prompts(theirs, prompts)
    mixed = ", ".join(f"{name} {median:.0f} / {tail:.0f}" for name, (median, tail) in mix.items())
    missing = "" if theirs is not None else " LiteLLM was not installed in this run."
    return (
        "## Time per decision\n\nMicroseconds, median / 99th percentile, processor time, warm, on "
        f"{platform.machine()} with CPython {platform.python_version()}; the machine was shared, so compare "
        f"rows, not machines.{missing}\n\n{table(('router', *shapes), rows)}\n\n"
        f"Over {len(prompts):,} different prompts of the data: {mixed}."
    )


def write(folder: Path) -> str:
    corpus = load(folder)
    design = design_of(corpus.prompts)
    trained = cross_validate(corpus, design, copies_of(corpus))
    lexical, shipped, theirs = pipeline(DEFAULT_SCORERS), pipeline(default_scorers()), litellm_judge()
    named = {
        "length": np.array([float(len(prompt)) for prompt in corpus.prompts]),
        "lynkr, lexical only": scores(lexical, corpus.prompts),
    }
    judges = {"lynkr, lexical only": lexical, "lynkr": shipped}
    if theirs is not None:
        named["LiteLLM complexity router"] = scores(theirs, corpus.prompts)
        judges["LiteLLM complexity router"] = theirs
    named |= {"**lynkr, unseen source**": trained.unseen, "lynkr, in domain": trained.in_domain}
    lynkr_router()  # fails here, early, if the packaged weights cannot be read
    return "\n\n".join(
        (
            _INTRODUCTION,
            rankings({name: rank_sources(corpus, score) for name, score in named.items()}),
            tasks(corpus, named),
            f"{_HELD_OUT}\n\n{_PEERS}",
            cost_quality(corpus, trained.unseen),
            calibration(corpus, trained, design.format),
            tiers_and_flips(folder, corpus, judges),
            speed(corpus),
        )
    )


def main() -> None:
    arguments = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    arguments.add_argument("data", type=Path, help="the folder of *.jsonl.gz")
    arguments.add_argument("--out", type=Path, default=REPORT)
    given = arguments.parse_args()
    given.out.write_text(write(given.data) + "\n", encoding="utf-8")
    print(f"wrote {given.out}")


if __name__ == "__main__":
    main()
