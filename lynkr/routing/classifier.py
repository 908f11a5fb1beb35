r"""A trained judge of exam-like asks: the chance that a model of each tier answers well.

::

    words --16-bit checksum--> int8 weights --+
    reading --> nine numbers of shape --------+--> difficulty --a falling line per tier--> P

It speaks only of the formats it was trained on, multiple choice and
mathematics, where outcomes of dozens of models are known.  Of instructions,
above all of what people ask coding agents, it says nothing: exam difficulty
ranks those backwards (AUROC 0.357), so they stay with the lexical scorers.
What the format is depends on the ask alone, never on tools or history, and
its `Reading` tells it: nothing else is ever looked up word by word.

Much of the difficulty is the ask's length: of everything measured it is what
transfers best to sources never seen (``docs/routing-report.md``).
"""

import json
from binascii import crc_hqx
from collections.abc import Sequence
from itertools import repeat
from math import exp, log2, sqrt
from operator import itemgetter, mul
from typing import Any, Final, Protocol
from zlib import crc32

from attrs import evolve, field, frozen

from lynkr.errors import ConfigError
from lynkr.model import Json
from lynkr.routing.decision import Step, Tier
from lynkr.routing.features import Features
from lynkr.routing.protocols import Scorer
from lynkr.routing.reading import Format, Reading, window_of, words_of
from lynkr.routing.tiers import THRESHOLDS

FLOOR: Final = 0.5
"""The least chance of a good answer a tier must offer to be chosen."""

_MAGIC: Final = b"lynkr classifier 2\n"
TABLE: Final = 1 << 16
"""Weights per head: one for each checksum."""

# An explicit call for rigour is about effort, whatever the format of the ask.
_RIGOUR: Final = frozenset(("proof", "reasoning", "audit"))
_BAND: Final = THRESHOLDS[Tier.MEDIUM]
_TIERS: Final = tuple(Tier)


@frozen
class Success:
    """The calibrated chance, in [0, 1] and rising with the tier, that its models answer well.

    *format* names the kind of ask it speaks of; *chances* are those of SIMPLE, MEDIUM, COMPLEX and REASONING.
    """

    format: str
    chances: tuple[float, float, float, float]

    def __getitem__(self, tier: Tier) -> float:
        return self.chances[tier - 1]

    def cheapest(self, floor: float = FLOOR) -> Tier:
        """The lowest tier whose chance reaches *floor*; REASONING if none does."""
        for tier, chance in zip(_TIERS, self.chances, strict=True):
            if chance >= floor:
                return tier
        return Tier.REASONING

    def difficulty(self, floor: float = FLOOR) -> float:
        """A number in [0, 1] that falls into the band of `cheapest` and falls as chances rise.

        Within a band it runs from the point where the tier below reaches the
        floor to the point where this one leaves it.

        >>> round(Success(Format.MATHS, (0.6, 0.8, 0.9, 1.0)).difficulty(0.6), 2)
        0.25
        """
        tier = self.cheapest(floor)
        here = self.chances[tier - 1]
        if tier is Tier.SIMPLE:
            # The floor itself still belongs to SIMPLE, the threshold no longer does.
            share = (1.0 - here) / (1.0 - floor) if floor < 1.0 else 0.0
        elif tier is Tier.REASONING and here < floor:
            share = 1.0 - here / floor / 2
        else:
            lacking = floor - self.chances[tier - 2]
            spare = here - floor if tier < Tier.REASONING else floor
            share = lacking / (lacking + spare) if lacking + spare > 0 else 1.0
            if tier is Tier.REASONING:
                share /= 2
        return min(1.0, _BAND * (tier - 1 + min(0.9999, share)))


class Classifier(Protocol):
    def __call__(self, features: Features, /) -> Success | None:
        """The chances of each tier, or None for asks of a kind it knows nothing about.  Pure."""
        ...


@frozen
class Line:
    """Chance as a falling function of difficulty: ``1 / (1 + exp(slope * difficulty - offset))``."""

    offset: float
    slope: float

    def __call__(self, difficulty: float) -> float:
        z = self.slope * difficulty - self.offset
        # Beyond 30 the chance is 0 or 1 to twelve places, and `exp` stays far from overflow.
        return 1.0 / (1.0 + exp(z)) if -30.0 < z < 30.0 else float(z < 0)


@frozen
class Head:
    """What was learnt for one format.

    *table* holds one byte per checksum, 128 meaning nothing; *scale* is
    what one step of it is worth, *shape* the weights of `shape_of`, in order;
    *lines* turn a difficulty into the chances of the four tiers.
    """

    bias: float
    shape: tuple[float, ...]
    scale: float
    table: bytes = field(repr=False)
    lines: tuple[Line, Line, Line, Line]

    def difficulty(self, reading: Reading, words: Sequence[bytes]) -> float:
        """How hard; about 0 on average and 1 a usual step, unbounded."""
        total: float = self.bias + sum(map(mul, self.shape, shape_of(reading, words)))
        if not words:
            return total
        # One getter fetches all weights at once: a loop would take three times as long.
        weights: tuple[int, ...] = itemgetter(0, *places_of(words))(self.table)
        count = len(words)
        return total + self.scale * (sum(weights) - weights[0] - 128 * count) / sqrt(count)


def places_of(words: Sequence[bytes]) -> list[int]:
    """Where in a head's table each word's weight stands: its 16-bit checksum (CRC-CCITT)."""
    return list(map(crc_hqx, words, repeat(0)))


def shape_of(reading: Reading, words: Sequence[bytes]) -> tuple[float, ...]:
    """Length and shape, as numbers of like size: the names are those of `SHAPE`."""
    return (
        log2(1 + reading.words),
        log2(1 + reading.clauses),
        min(4.0, reading.questions),
        log2(1 + reading.digits),
        float(reading.has_formulas),
        float(reading.is_knowledge),
        len(b"".join(words)) / (len(words) or 1),
        reading.points.get("maths", 0.0),
        float(reading.items),
    )


SHAPE: Final = (
    "words",
    "clauses",
    "questions",
    "digits",
    "formulas",
    "knowledge",
    "word_length",
    "maths",
    "items",
)


@frozen
class LinearClassifier:
    """The shipped classifier: one linear `Head` per format, then monotone curves.

    *version* names the weights, empty for ones that were read from no file.
    """

    choice: Head
    maths: Head
    version: str = field(default="", eq=False)

    def __call__(self, features: Features, /) -> Success | None:
        reading = features.reading
        kind = reading.format
        if kind is None:
            return None
        head = self.choice if kind == Format.CHOICE else self.maths
        difficulty = head.difficulty(reading, features.words or words_of(window_of(features.ask)))
        simple, medium, complex_, reasoning = [round(line(difficulty), 4) for line in head.lines]
        if not simple <= medium <= complex_ <= reasoning:
            medium = max(simple, medium)
            complex_ = max(medium, complex_)
            reasoning = max(complex_, reasoning)
        return Success(kind, (simple, medium, complex_, reasoning))


def classified(classifier: Classifier, *, floor: float = FLOOR) -> Scorer:
    """A scorer that lets *classifier* speak, and abstains where it has nothing to say.

    Its score is `Success.difficulty`, so that the tier drawn from it is the
    cheapest whose calibrated chance reaches *floor*.  Asks that call for
    rigour in so many words ("prove", "think hard") are left to the lexical
    scorers, which know what that means.  A classifier with a ``version`` gives
    one to its steps, so that a replay without the words can take them for what it would say.
    """
    weights: object = getattr(classifier, "version", "")
    version = f"{weights}/{floor:g}" if weights else None
    abstained = _ABSTAINED if version is None else evolve(_ABSTAINED, data={"version": version})
    return _Classified(classifier, floor, version, abstained)


def unless_exam(scorer: Scorer, name: str) -> Scorer:
    """*scorer*, abstaining from exam-like asks, where the shipped classifier is heard instead of it.

    What nobody would hear need not be worked out: that is a tenth of a decision's time.
    """
    return _UnlessExam(scorer, Step(name, "the classifier stands in", None, "stood_in"))


@frozen
class _UnlessExam:
    scorer: Scorer
    abstained: Step

    def __call__(self, features: Features, /) -> Step:
        reading = features.reading
        if reading.format is not None and _RIGOUR.isdisjoint(reading.points):
            return self.abstained
        return self.scorer(features)


@frozen
class _Classified:
    classifier: Classifier
    floor: float
    version: str | None
    abstained: Step

    def __call__(self, features: Features, /) -> Step:
        success = self.classifier(features) if _RIGOUR.isdisjoint(features.reading.points) else None
        if success is None:
            return self.abstained
        score = round(success.difficulty(self.floor), 4)
        code, reason = _SPOKEN.get(success.format) or _spoken(success.format)
        facts: dict[str, Json] = {"chances": list(success.chances)}
        if self.version is not None:
            facts["version"] = self.version
        return Step("classifier", reason, score, code, facts)


def _spoken(kind: str) -> tuple[str, str]:
    """Reason code and reason."""
    return f"learnt_{kind}", f"chances learnt from the answers to other {kind} questions"


_SPOKEN: Final[dict[str, tuple[str, str]]] = {kind: _spoken(kind) for kind in Format}
_ABSTAINED: Final = Step("classifier", "no format it was trained on", None, "not_an_exam")


def load_classifier(content: bytes | None = None) -> LinearClassifier:
    """Read a weights file; without *content*, the one lynkr ships.  Takes a few milliseconds.

    Raises:
        ConfigError: the content is not a whole weights file of this version.
    """
    if content is None:
        from importlib.resources import files  # noqa: PLC0415 - reading is on demand, so is its machinery

        content = files("lynkr.routing").joinpath("classifier.bin").read_bytes()
    if not content.startswith(_MAGIC):
        raise ConfigError(
            "this is not a lynkr classifier file of version 2; train one with benchmarks/routing"
        )
    header, newline, tables = content[len(_MAGIC) :].partition(b"\n")
    checksum, _, text = header.partition(b" ")
    if not newline or checksum != _checksum(text, tables):
        raise ConfigError("the classifier file is damaged: its checksum does not fit; reinstall lynkr-router")
    parts: dict[str, Any] = json.loads(text)
    if len(tables) != TABLE * 2 or set(parts) != {Format.CHOICE, Format.MATHS}:
        raise ConfigError("the classifier file does not hold the two heads of version 2")
    return LinearClassifier(
        choice=_head(parts[Format.CHOICE], tables[:TABLE]),
        maths=_head(parts[Format.MATHS], tables[TABLE:]),
        version=checksum.decode(),
    )


def dump_classifier(classifier: LinearClassifier) -> bytes:
    """The weights file that `load_classifier` reads back as an equal classifier."""
    heads = {Format.CHOICE: classifier.choice, Format.MATHS: classifier.maths}
    parts = {
        kind.value: {
            "bias": head.bias,
            "scale": head.scale,
            "shape": head.shape,
            "lines": [{"offset": line.offset, "slope": line.slope} for line in head.lines],
        }
        for kind, head in heads.items()
    }
    text = json.dumps(parts, sort_keys=True).encode()
    tables = classifier.choice.table + classifier.maths.table
    return _MAGIC + _checksum(text, tables) + b" " + text + b"\n" + tables


def _checksum(text: bytes, tables: bytes) -> bytes:
    return b"%08x" % crc32(tables, crc32(text))


def _head(part: dict[str, Any], table: bytes) -> Head:
    lines = tuple(Line(line["offset"], line["slope"]) for line in part["lines"])
    return Head(
        bias=part["bias"],
        shape=tuple(part["shape"]),
        scale=part["scale"],
        table=table,
        lines=(lines[0], lines[1], lines[2], lines[3]),
    )
