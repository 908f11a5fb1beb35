"""How long requests took, kept so that percentiles come from all of them and not from a sample.

A sketch counts durations in buckets whose bounds grow by a fixed factor
(the mapping of DDSketch: Masson, Rim, Lee, PVLDB 12(12), 2019).  Two sketches
add up bucket by bucket, so hours make days and providers make the whole, and
a quantile read from the sum is within `RELATIVE_ERROR` of the exact one.
"""

import json
import math
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Final, Self, cast

from attrs import field, frozen

RELATIVE_ERROR: Final = 0.02
"""How far a quantile may be off, as a share of the exact one."""

_GAMMA: Final = (1 + RELATIVE_ERROR) / (1 - RELATIVE_ERROR)
_LOG_GAMMA: Final = math.log(_GAMMA)
_LEAST: Final = 1e-6  # seconds: what is shorter counts as this long
_MOST: Final = 1e6
_NONE: Final[Mapping[int, int]] = MappingProxyType({})


def bucket_of(seconds: float) -> int:
    """The bucket a duration is counted in; those under a microsecond share one, as do those over 11 days."""
    return math.ceil(math.log(min(max(seconds, _LEAST), _MOST)) / _LOG_GAMMA)


@frozen
class Sketch:
    """Counts of durations by bucket."""

    buckets: Mapping[int, int] = field(default=_NONE)

    @classmethod
    def of(cls, durations: Iterable[float]) -> Self:
        """The sketch of *durations*, in seconds."""
        counts: dict[int, int] = {}
        for seconds in durations:
            bucket = bucket_of(seconds)
            counts[bucket] = counts.get(bucket, 0) + 1
        return cls(counts)

    @classmethod
    def sum(cls, sketches: "Iterable[Sketch]") -> Self:
        """All of them together."""
        counts: dict[int, int] = {}
        for sketch in sketches:
            for bucket, count in sketch.buckets.items():
                counts[bucket] = counts.get(bucket, 0) + count
        return cls(counts)

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read what `text` wrote."""
        pairs = cast("list[tuple[int, int]]", json.loads(text))
        return cls(dict(pairs))

    @property
    def text(self) -> str:
        """The sketch as JSON: pairs of bucket and count, in order."""
        return json.dumps(sorted(self.buckets.items()), separators=(",", ":"))

    @property
    def count(self) -> int:
        return sum(self.buckets.values())

    def quantile(self, share: float) -> float | None:
        """The seconds that *share* of all durations (0 to 1) do not exceed; None if there is none.

        The exact answer is that of rank ``ceil(share * count)`` (at least 1) in
        ascending order; this one is at most `RELATIVE_ERROR` away from it, for
        durations from a microsecond to 11 days.

        Raises:
            ValueError: *share* is outside [0, 1].
        """
        if not 0 <= share <= 1:
            raise ValueError(f"a share is from 0 to 1, not {share}")
        rank = max(1, math.ceil(share * self.count))
        for bucket, count in sorted(self.buckets.items()):
            rank -= count
            if rank <= 0:
                # The middle of (gamma^(b-1), gamma^b], in the sense that both ends are equally far by ratio.
                return 2 * _GAMMA**bucket / (_GAMMA + 1)
        return None
