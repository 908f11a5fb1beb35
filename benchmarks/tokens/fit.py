"""The means `lynkr.token_count` is made of: ``python benchmarks/tokens/fit.py o200k_base.js``.

Prints, for each kind of piece and each length, the mean number of tokens and how
many pieces that is the mean of.  Code is Python's standard library, prose the
descriptions of the installed packages.
"""

import bisect
import sys
import sysconfig
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from importlib.metadata import distributions
from pathlib import Path

import tiktoken

from benchmarks.tokens.o200k import o200k
from lynkr.token_count import PIECE

MOST_CHARS = 60_000


def kind_of(piece: str) -> tuple[str, int]:
    """What table of `lynkr.token_count` a piece belongs to, and its length there."""
    last, first = piece[-1], piece[0]
    if not last.isalpha():
        return ("digits" if last.isdigit() else "blank" if piece.isspace() else "signs"), len(piece)
    letters = len(piece) - (not first.isalpha())
    if last.isupper():
        return "capitals", letters
    return ("bare" if first.isalpha() else "spaced" if first == " " else "led"), letters


def means(encoding: tiktoken.Encoding, texts: Iterable[str]) -> dict[str, dict[int, tuple[float, int]]]:
    """Kind -> length -> (mean tokens, pieces).  A token counts for the piece it begins in."""
    tokens: Counter[tuple[str, int]] = Counter()
    pieces: Counter[tuple[str, int]] = Counter()
    for text in texts:
        _, starts = encoding.decode_with_offsets(encoding.encode(text, disallowed_special=()))
        for found in PIECE.finditer(text):
            begin, end = found.span()
            kind = kind_of(found[0])
            tokens[kind] += bisect.bisect_left(starts, end) - bisect.bisect_left(starts, begin)
            pieces[kind] += 1
    table: dict[str, dict[int, tuple[float, int]]] = defaultdict(dict)
    for (kind, length), count in sorted(pieces.items()):
        table[kind][length] = (round(tokens[kind, length] / count, 2), count)
    return table


def code() -> Iterator[str]:
    """Modules of the standard library."""
    for path in sorted(Path(sysconfig.get_path("stdlib")).glob("*.py"))[:300]:
        yield path.read_text("utf-8")[:MOST_CHARS]


def prose() -> Iterator[str]:
    """What packages say of themselves."""
    for installed in sorted(distributions(), key=lambda one: one.name):
        yield (installed.metadata.get_payload() or "")[:MOST_CHARS]


def main() -> None:
    encoding = o200k(Path(sys.argv[1]))
    for name, texts in (("code", code()), ("prose", prose())):
        for kind, by_length in means(encoding, texts).items():
            row = "  ".join(f"{length}:{mean} ({count})" for length, (mean, count) in by_length.items())
            print(f"{name} {kind}: {row}")


if __name__ == "__main__":
    main()
