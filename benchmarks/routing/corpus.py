"""The routing data as arrays: what each model scored on each prompt, by source and task.

Files are those described by the data folder's README.  Model names are put into
the four tiers by hand, once, below; a model named nowhere counts for none.
"""

import gzip
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final
from zlib import crc32

import numpy as np
from attrs import frozen

OUTCOMES: Final = (
    "mmlu_pro",
    "routellm_mmlu_dev",
    "ulab_mix",
    "zeroeval_crux",
    "zeroeval_math_l5",
    "swebench_lite_only",
)
LABELLED: Final = ("lynkr_hand", "litellm_eval")
# MGSM is a translation of GSM8K's test questions, which nothing here may be trained on.
_OFF_LIMITS: Final = frozenset({"agentverse-mgsm"})

_MIXTRAL, _GPT4 = "mistralai/Mixtral-8x7B-Instruct-v0.1", "gpt-4-1106-preview"
PAIRS: Final[Mapping[str, tuple[str, str]]] = {
    "mmlu_pro": ("Meta-Llama-3_1-8B-Instruct", "gemini-1.5-pro-002"),
    "routellm_mmlu_dev": (_MIXTRAL, _GPT4),
    "ulab_mix": ("mistral-7b-instruct-v0.3", "llama-3.1-nemotron-51b-instruct"),
    "zeroeval_crux": ("Meta-Llama-3.1-8B-Instruct", "gpt-4o-2024-08-06"),
    "zeroeval_math_l5": ("Meta-Llama-3.1-8B-Instruct", "o1-mini-2024-09-12"),
}
"""The weak and the strong model between which a router is judged."""

TIERS: Final[tuple[tuple[str, ...], ...]] = (
    (
        "Meta-Llama-3_1-8B-Instruct",
        "Meta-Llama-3.1-8B-Instruct",
        "mathstral-7B",
        "Phi-3-mini-4k-instruct",
        "llama-3.1-8b-instruct",
        "qwen2.5-7b-instruct",
        "Qwen2.5-7B-Instruct",
        "gemma-2-9b-it",
        "gemma-2-9b-it@nvidia",
        _MIXTRAL,
        "Mixtral-8x7B-Instruct-v0.1",
    ),
    (
        "Meta-Llama-3_1-70B-Instruct",
        "gemini-1.5-flash-002",
        "llama-3.1-nemotron-51b-instruct",
        "llama-3.3-nemotron-super-49b-v1",
        "Meta-Llama-3.1-70B-Instruct",
        "gpt-4o-mini-2024-07-18",
        "claude-3-5-haiku-20241022",
        "gemini-1.5-flash",
        "Qwen2.5-32B-Instruct",
    ),
    (
        "gemini-1.5-pro-002",
        _GPT4,
        "gpt-4o-2024-08-06",
        "gpt-4o-2024-05-13",
        "claude-3-5-sonnet-20241022",
        "claude-3-5-sonnet-20240620",
        "gpt-4-turbo-2024-04-09",
        "Llama-3.1-405B-Inst-fp8",
        "grok-2-1212",
    ),
    ("o1-mini-2024-09-12", "o1-preview-2024-09-12"),
)
"""Models by what they could do when these answers were given (2023 to early 2025)."""


@frozen(eq=False)
class Corpus:
    """Rows of all sources; arrays are as long as *prompts*, NaN where a row does not say.

    *fails* is how often the source's small models fail, *gain* what its large ones score more
    (`sizes_of`); *tiers* the mean of each tier's models.
    """

    prompts: tuple[str, ...]
    rows: tuple[Mapping[str, Any], ...]
    source: np.ndarray
    task: np.ndarray
    stem: np.ndarray
    weak: np.ndarray
    strong: np.ndarray
    weak_cost: np.ndarray
    strong_cost: np.ndarray
    fails: np.ndarray
    gain: np.ndarray
    tiers: np.ndarray

    def fold(self, folds: int) -> np.ndarray:
        """A fold per row; rows that ask the same question share one."""
        return np.array([crc32(stem.encode()) % folds for stem in self.stem])


def rows_of(folder: Path, name: str) -> list[dict[str, Any]]:
    with gzip.open(folder / f"{name}.jsonl.gz", "rt", encoding="utf-8") as lines:
        return [json.loads(line) for line in lines if line.strip()]


def load(folder: Path) -> Corpus:
    rows: list[dict[str, Any]] = []
    sources: list[str] = []
    tasks: list[str] = []
    for name in OUTCOMES:
        for row in rows_of(folder, name):
            if row["category"] not in _OFF_LIMITS:
                rows.append(row)
                sources.append(name)
                tasks.append(f"ulab/{row['category']}" if name == "ulab_mix" else name)
    source = np.array(sources)
    sizes = {name: sizes_of([rows[place] for place in np.flatnonzero(source == name)]) for name in OUTCOMES}
    small, large = (
        np.array([_mean(row, sizes[name][which]) for row, name in zip(rows, sources, strict=True)])
        for which in (0, 1)
    )
    pairs = [PAIRS.get(name, ("", "")) for name in sources]
    return Corpus(
        prompts=tuple(row["prompt"] for row in rows),
        rows=tuple(rows),
        source=source,
        task=np.array(tasks),
        stem=np.array([stem_of(row["prompt"]) for row in rows]),
        weak=_of(rows, "scores", [weak for weak, _ in pairs]),
        strong=_of(rows, "scores", [strong for _, strong in pairs]),
        weak_cost=_of(rows, "costs", [weak for weak, _ in pairs]),
        strong_cost=_of(rows, "costs", [strong for _, strong in pairs]),
        fails=1 - small,
        gain=large - small,
        tiers=np.array([[_mean(row, models) for models in TIERS] for row in rows]),
    )


def stem_of(prompt: str) -> str:
    """A question without its lettered answers, folded: equal for the same question in two sources."""
    question = prompt.split("\nA. ", maxsplit=1)[0]
    if "assert" in prompt:
        question = prompt
    return re.sub(r"[^a-z0-9]+", "", question.lower())


def sizes_of(rows: Sequence[Mapping[str, Any]]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """A source's small models, from the lowest sixth to the median by their mean, and the best quarter.

    Of many models rather than of one pair: nobody knows between which two a router will have to choose.
    """
    scores: dict[str, list[float]] = {}
    for row in rows:
        for model, score in row["scores"].items():
            scores.setdefault(model, []).append(score)
    ranked = sorted(
        (model for model, found in scores.items() if 2 * len(found) > len(rows)),
        key=lambda model: (np.mean(scores[model]), model),
    )
    count = len(ranked)
    return tuple(ranked[count // 6 : max(1, count // 2)]), tuple(ranked[count - max(1, count // 4) :])


def _of(rows: Sequence[Mapping[str, Any]], key: str, models: Sequence[str]) -> np.ndarray:
    found = [(row.get(key) or {}).get(model) for row, model in zip(rows, models, strict=True)]
    return np.array([np.nan if value is None else value for value in found], float)


def _mean(row: Mapping[str, Any], models: Iterable[str]) -> float:
    scores = [row["scores"][model] for model in models if model in row["scores"]]
    return float(np.mean(scores)) if scores else float("nan")
