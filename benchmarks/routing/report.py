"""Write the routing report: ``python benchmarks/routing/report.py DATA [--out docs/routing-report.md]``.

Everything in it is measured in this one run, but the rows marked as measured earlier.
"""

import argparse
import json
import platform
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Final

import numpy as np
from corpus import PAIRS, Corpus, load
from encoder import FIGURES
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
from latency import litellm_judge, lynkr_router, measure, over_prompts, over_requests
from metrics import TIERS, Ranking, curve, ece, ranking, reliability
from perturb import NOISE, PERTURBATIONS
from train import copies_of, design_of

from lynkr.routing import DEFAULT_SCORERS, default_scorers

REPORT: Final = Path(__file__).parents[2] / "docs" / "routing-report.md"
_HEADS: Final = ("choice", "maths")

# Measured in November 2026 on sources no design was trained on (Lynkr's own reference, routing.md).
_PEERS: Final = """\
| router | MMLU | GSM8K | MT-b | RouterArena | Alpaca | BFCL | SWE-V | T-Bench | mean of 9 | us median / p99 |
|---|---|---|---|---|---|---|---|---|---|---|
| length | .575 | .601 | .538 | .523 | .469 | .431 | .476 | .552 | .525 | <1 |
| Lynkr (Node), lexical + rules | .548 | .565 | .577 | .446 | .496 | .531 | .498 | .558 | .528 | 19 / 163 |
| LiteLLM 1.106 heuristic | .549 | .537 | .656 | .521 | .485 | .524 | .476 | .565 | .535 | 419 / 3,713 |
| LiteLLM heuristic_v2 | .489 | .493 | .680 | .569 | .469 | .432 | .478 | .509 | .515 | 123 / 805 |

Of their tiers, on Lynkr's 85 labelled prompts: Lynkr (Node) .494 right, LiteLLM .200 and .176; on labels
not seen, .631 at best. Unmoved by RouterArena's perturbations: Lynkr (Node) 82.9 % of prompts, LiteLLM
50.7 and 88.1 %."""

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
Over- and under-provisioned: above every acceptable tier, or below. "Own asks" are the 184 prompts of
`benchmarks/routing/asks.jsonl`, labelled by the tiers' definitions before any router was asked; half of
them, drawn by a checksum within each category and tier, were looked at while the lexicon was improved,
and the other half never was: the **holdout** is the measurement, and the 0.696 it gave before that is
where lynkr came from. (Its author and the lexicon's are the same, so it is kinder to lynkr than a
stranger's labels would be.) The lexicon was written with lynkr_hand and litellm_eval in sight: there,
lynkr's figure is a regression check. Bars: 0.85 right, at most 0.08 over."""

_ROBUSTNESS: Final = """\
Share of prompts whose tier changes when they are said differently; aim: under 2 %. "Claude Code",
"Cursor" and "Codex" put what these harnesses send around the same ask. Then noise, which does change the
ask a little: tier changes, and behind the stroke prompts that cross the median difficulty (strong or weak
model, half each). And, since a router with one tier never changes its mind, the tiers given (bar: the
largest under 70 %)."""

_CALIBRATION: Final = """\
## Calibration

Expected calibration error of the stated chances. A source never seen has a level of its own (an exam may be
harder than any before), which no prompt reveals: hence the right-hand column. The chances of REASONING rest
on o1 on two sources (MATH level 5, CRUXEval) and are not judged here."""

_ENCODER: Final = """\
## Would an encoder help?

`benchmarks/routing/encoder.py` measures that (it needs a package with a model in it, so it runs apart
from this report, which shows what it found last): all-MiniLM-L6-v2's sentence vectors in the place of
hashed words, and both together, on a fifth of the exam-like prompts; APGR on unseen sources. The
differences lie within the noise, for some thousand times the time of a decision: so no classifier but the
shipped one comes with lynkr."""

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
    bins: list[tuple[str, ...]] = []
    for kind, chances in (
        ("in domain", trained.in_domain_chances),
        ("unseen source", trained.unseen_chances),
    ):
        for tier in range(3):
            place = ~np.isnan(chances[:, tier]) & ~np.isnan(corpus.tiers[:, tier])
            found = reliability(chances[place, tier], corpus.tiers[place, tier])
            bins.append((kind, TIERS[tier], *(f"{stated:.2f} → {seen:.2f}" for _, stated, seen in found)))
    eighths = (f"{number}/8" for number in range(1, 9))
    return (
        f"{_CALIBRATION}\n\n{errors}\n\nReliability, both heads together: chance stated → share seen to be "
        f"good, in eight bins of equal size.\n\n{table(('judged', 'tier', *eighths), bins)}"
    )


def encoder() -> str:
    """What ``encoder.py`` measured last."""
    found = json.loads(FIGURES.read_text("utf-8"))
    designs = found["apgr"]
    columns = list(next(iter(designs.values())))
    rows = [
        (name, *(f"{each[column]:.3f}" for column in columns), f"**{np.mean(list(each.values())):.3f}**")
        for name, each in designs.items()
    ]
    cost = f"One prompt alone took MiniLM {found['milliseconds']:.0f} ms of processor time."
    return f"{_ENCODER}\n\n{table(('design', *columns, 'mean'), rows)}\n\n{cost}"


def tiers_and_flips(folder: Path, corpus: Corpus, named: Mapping[str, Judge]) -> str:
    accuracy: list[tuple[str, ...]] = []
    flips: list[tuple[str, ...]] = []
    noise: list[tuple[str, ...]] = []
    distribution: list[tuple[str, ...]] = []
    samples = flip_sample(corpus, folder)
    for name, judge in named.items():
        accuracy += [
            (source, name, str(one.count), f"{one.right:.3f}", f"{one.over:.3f}", f"{one.under:.3f}")
            for source, one in label_accuracy(folder, judge).items()
        ]
        for sample, prompts in samples.items():
            rates = flip_rates(judge, prompts, PERTURBATIONS)
            mean = float(np.mean([rate.tier for rate in rates.values()]))
            flips.append((sample, name, *(f"{rate.tier:.1%}" for rate in rates.values()), f"**{mean:.1%}**"))
            noisy = flip_rates(judge, prompts, NOISE)
            mean = float(np.mean([rate.tier for rate in noisy.values()]))
            each = (f"{rate.tier:.1%} / {rate.median:.1%}" for rate in noisy.values())
            noise.append((sample, name, *each, f"**{mean:.1%}**"))
            tiers = [judge(prompt)[1] for prompt in prompts]
            distribution.append((sample, name, *(f"{tiers.count(tier) / len(tiers):.0%}" for tier in TIERS)))
    return "\n\n".join(
        (
            "## Tiers of labelled asks",
            _LABELS,
            table(("set", "router", "asks", "right", "over", "under"), accuracy),
            "## Robustness",
            _ROBUSTNESS,
            table(("prompts", "router", *PERTURBATIONS, "mean"), flips),
            table(("prompts", "router", *NOISE, "mean"), noise),
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
    mix = {"lynkr": over_requests(prompts)}
    theirs = litellm_judge()
    if theirs is not None:
        mix["LiteLLM complexity router"] = over_prompts(theirs, prompts)
    mixed = ", ".join(f"{name} {median:.0f} / {tail:.0f}" for name, (median, tail) in mix.items())
    missing = "" if theirs is not None else " LiteLLM was not installed in this run."
    return (
        "## Time per decision\n\nMicroseconds, median / 99th percentile, processor time, warm, the best of "
        f"four rounds, on {platform.machine()} with CPython {platform.python_version()}; the machine was "
        "shared, so compare rows, not machines. lynkr's is the whole way from a request to a decision with "
        "candidates, "
        f"rules and trace; LiteLLM's is its classification alone.{missing}\n\n"
        f"{table(('router', *shapes), rows)}\n\n"
        f"Over {len(prompts):,} different prompts of the data: {mixed} (bar: 60 / 300)."
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
            encoder(),
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
