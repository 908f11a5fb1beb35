"""Metrics of several processes, as plain lists, added up.

A family is ``[name, kind, [[sample, labels, value], ...]]``, as `PrometheusMetrics.counts` gives them.
"""

from collections.abc import Sequence
from typing import Any, Final

Family = Sequence[Any]
_EARLIEST: Final = "process_start_time_seconds"
_ALONE: Final = frozenset({"lynkr_breakers", "process_max_fds"})
"""What every process says of the same thing: the first one's word counts."""
_LASTING: Final = frozenset({"counter", "histogram"})


def added(
    first: Sequence[Family], others: Sequence[Sequence[Family]], past: Sequence[Sequence[Family]] = ()
) -> list[Family]:
    """The families of *first* and what *others* have of them; of *past* processes only what they counted."""
    found: list[Family] = []
    for name, kind, samples in first:
        parts = [_samples(families, name) for families in others]
        parts += [_samples(families, name) for families in past] if kind in _LASTING else []
        found.append([name, kind, samples if name in _ALONE else _summed([samples, *parts])])
    return found


def past_added(parts: Sequence[Sequence[Family]]) -> list[Family]:
    """What processes that are gone have counted, together."""
    every = [family for families in parts for family in families]
    names = dict.fromkeys((name, kind) for name, kind, _ in every if kind in _LASTING)
    return [[name, kind, _summed([_samples(families, name) for families in parts])] for name, kind in names]


def _samples(families: Sequence[Family], name: str) -> Sequence[Any]:
    return next((samples for known, _, samples in families if known == name), ())


def _summed(parts: Sequence[Sequence[Any]]) -> list[Any]:
    """Label sets in the order they first come, so that those of one histogram stay together."""
    totals: dict[tuple[Any, ...], list[Any]] = {}
    for samples in parts:
        for sample, labels, value in samples:
            key = (sample, *sorted(labels.items()))
            total = totals.get(key)
            if total is None:
                totals[key] = [sample, labels, value]
            elif sample == _EARLIEST or sample.endswith("_created"):
                total[2] = min(total[2], value)
            else:
                total[2] += value
    return list(totals.values())
