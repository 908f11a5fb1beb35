"""What a ledger adds up: one set of sums, by any of some dimensions."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from enum import StrEnum
from math import floor
from types import MappingProxyType
from typing import Final, Self

from attrs import field, fields, frozen

from lynkr.telemetry.record import JUDGEMENTS, UNDER, AttemptKind, Ending, Record, SignalKind
from lynkr.telemetry.sketch import Sketch

HOUR: Final = 3_600
DAY: Final = 86_400


class Dimension(StrEnum):
    """By what sums can be told apart."""

    HOUR = "hour"  # the Unix time at which the UTC hour of arrival began
    DAY = "day"  # that of the UTC day
    TENANT = "tenant"
    TIER = "tier"  # the routed tier's name; None where the client named the target
    PROVIDER = "provider"  # the one that served; None where nothing was served
    MODEL = "model"
    REASON = "reason"
    TRAFFIC = "traffic"
    SESSION = "session"


class Order(StrEnum):
    """Which cells come first."""

    COST = "cost"  # the dearest
    RECENT = "recent"  # the one whose latest request is the newest
    REQUESTS = "requests"  # the one with the most


@frozen
class Sums:
    """Sums over requests.  Integers all, so that they are exact in whatever order they were added.

    A sum leaves out what is unknown and the counts say for how many: *unpriced*
    requests have no known cost (*least_microusd* is what is surely owed for
    them), *unmeasured* ones lack input or output tokens, *cache_known* ones said
    how much of *cache_known_input* was read from the provider's cache.
    *partial* answers did not come to their end; *partial_output_tokens* is what
    they were known to have put out.  *cost_microusd* is that of the answers
    served, *overhead_microusd* that of the other attempts.  *fallbacks* counts
    requests that went on to another target, *retries* all attempts to the same
    one again, *hedges* those beside another.

    *compared* requests have both a cost and a baseline; *saved_microusd* and
    the rest of its kind are over those.  *itemised* of them also know both
    figures without caching.

    *routed* requests were routed and answered; *judged* are those of them of which
    something was heard afterwards (`SignalKind`, each kind counted under its own
    name), *under* those served too low a tier by it.  *looked_at* are those somebody
    compared with what a lower tier would have done, *over* those found too high;
    what says too low outweighs what says too high.

    Times are in microseconds; *first_at* and *last_at* in Unix microseconds (0 if there is none).
    """

    requests: int = 0
    failed: int = 0
    cancelled: int = 0
    fallbacks: int = 0
    retries: int = 0
    hedges: int = 0
    partial: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cache_read_tokens: int = 0
    cache_write_tokens: int = 0
    reasoning_tokens: int = 0
    partial_output_tokens: int = 0
    cache_known: int = 0
    cache_known_input: int = 0
    unmeasured: int = 0
    cost_microusd: int = 0
    overhead_microusd: int = 0
    least_microusd: int = 0
    unpriced: int = 0
    baseline_microusd: int = 0
    compared: int = 0
    saved_microusd: int = 0
    saved_low_microusd: int = 0
    saved_high_microusd: int = 0
    compared_cost_microusd: int = 0
    compared_overhead_microusd: int = 0
    compared_baseline_microusd: int = 0
    itemised: int = 0
    routing_microusd: int = 0
    prompt_cache_microusd: int = 0
    prompt_cache_here_microusd: int = 0
    response_cached: int = 0
    response_cache_microusd: int = 0
    compressed: int = 0
    compression_microusd: int = 0
    tools_offered: int = 0
    tool_calls: int = 0
    duration_us: int = 0
    timed_first: int = 0
    first_event_us: int = 0
    routed: int = 0
    judged: int = 0
    under: int = 0
    looked_at: int = 0
    over: int = 0
    retried: int = 0
    escalated: int = 0
    tool_failed: int = 0
    followed: int = 0
    accepted: int = 0
    rejected: int = 0
    too_weak: int = 0
    right: int = 0
    too_strong: int = 0
    longest_input: int = 0
    first_at_us: int = 0
    last_at_us: int = 0

    @classmethod
    def total(cls, parts: "Iterable[Sums]") -> Self:
        """All of them together."""
        listed = list(parts)
        return cls(**{name: join(getattr(part, name) for part in listed) for name, join in JOINS.items()})


def _earliest(values: Iterable[int]) -> int:
    return min((value for value in values if value), default=0)


def _latest(values: Iterable[int]) -> int:
    return max(values, default=0)


_SPECIAL: Final[Mapping[str, Callable[[Iterable[int]], int]]] = MappingProxyType(
    {"longest_input": _latest, "first_at_us": _earliest, "last_at_us": _latest}
)
SUM_NAMES: Final = tuple(attribute.name for attribute in fields(Sums))
JOINS: Final[Mapping[str, Callable[[Iterable[int]], int]]] = MappingProxyType(
    {name: _SPECIAL.get(name, sum) for name in SUM_NAMES}
)

Key = tuple[int | str | None, ...]


@frozen
class Cell:
    """The sums of the requests that have *key* in common, its values in the order of *by*.

    *first_event* and *duration* are None unless they were asked for, and where
    the dimensions keep none (REASON, TRAFFIC and SESSION).
    """

    by: tuple[Dimension, ...]
    key: Key
    sums: Sums
    first_event: Sketch | None = field(default=None, repr=False)
    duration: Sketch | None = field(default=None, repr=False)

    def __getitem__(self, dimension: Dimension) -> int | str | None:
        return self.key[self.by.index(dimension)]


NO_SKETCHES: Final = frozenset({Dimension.REASON, Dimension.TRAFFIC, Dimension.SESSION})


def dimension_of(record: Record, dimension: Dimension) -> int | str | None:
    """Where *record* belongs."""
    match dimension:
        case Dimension.HOUR:
            return floor(record.at / HOUR) * HOUR
        case Dimension.DAY:
            return floor(record.at / DAY) * DAY
        case Dimension.TIER:
            return None if record.tier is None else record.tier.name
        case Dimension.PROVIDER:
            return None if record.target is None else record.target.provider
        case Dimension.MODEL:
            return None if record.target is None else record.target.model
        case _:
            value: str | None = getattr(record, dimension.value)
            return value


def sums_of(record: Record, kinds: frozenset[SignalKind] = frozenset()) -> Sums:
    """What one request adds of which these *kinds* of signals were heard."""
    usage, cost = record.usage, record.cost
    tries = [attempt.kind for attempt in record.attempts]
    unpriced = cost.cost_microusd is None
    cut = record.partial is True
    return Sums(
        requests=1,
        failed=record.ending is Ending.FAILED,
        cancelled=record.ending is Ending.CANCELLED,
        fallbacks=AttemptKind.FALLBACK in tries,
        retries=tries.count(AttemptKind.RETRY),
        hedges=tries.count(AttemptKind.HEDGE),
        partial=cut,
        input_tokens=usage.input or 0,
        output_tokens=usage.output or 0,
        cache_read_tokens=usage.cache_read or 0,
        cache_write_tokens=usage.cache_write or 0,
        reasoning_tokens=usage.reasoning or 0,
        partial_output_tokens=(usage.output or 0) if cut else 0,
        cache_known=usage.cache_read is not None,
        cache_known_input=0 if usage.cache_read is None else usage.input or 0,
        unmeasured=usage.input is None or usage.output is None,
        cost_microusd=cost.cost_microusd or 0,
        overhead_microusd=cost.overhead_microusd or 0,
        least_microusd=(cost.least_microusd or 0) if unpriced else 0,
        unpriced=unpriced,
        baseline_microusd=cost.baseline_microusd or 0,
        **_savings(record),
        response_cached=cost.response_cache_microusd is not None,
        compressed=cost.compression_microusd is not None,
        tools_offered=record.tools_offered or 0,
        tool_calls=record.tool_calls or 0,
        duration_us=int(record.seconds * 1e6),
        timed_first=record.seconds_to_first_event is not None,
        first_event_us=int((record.seconds_to_first_event or 0.0) * 1e6),
        **fit_of(record.tier is not None and record.ending is Ending.OK, kinds),
        longest_input=usage.input or 0,
        first_at_us=int(record.at * 1e6),
        last_at_us=int(record.at * 1e6),
    )


def _savings(record: Record) -> dict[str, int]:
    """The sums that only a request of known cost and baseline adds to."""
    cost = record.cost
    paid, baseline, saved = cost.cost_microusd, cost.baseline_microusd, cost.saved_microusd
    if paid is None or baseline is None or saved is None:
        return {}
    low, high = cost.baseline_low_microusd, cost.baseline_high_microusd
    counted = {
        "compared": 1,
        "saved_microusd": saved,
        "saved_low_microusd": saved if low is None else saved - baseline + low,
        "saved_high_microusd": saved if high is None else saved - baseline + high,
        "compared_cost_microusd": paid,
        "compared_baseline_microusd": baseline,
        "compared_overhead_microusd": cost.overhead_microusd or 0,
        "response_cache_microusd": cost.response_cache_microusd or 0,
        "compression_microusd": cost.compression_microusd or 0,
    }
    plain, reference = cost.uncached_microusd, cost.baseline_uncached_microusd
    other = (cost.response_cache_microusd or 0) + (cost.compression_microusd or 0)
    if plain is not None and reference is not None:
        counted |= {
            "itemised": 1,
            "routing_microusd": reference - plain,
            "prompt_cache_microusd": (plain - paid - other) - (reference - baseline),
            "prompt_cache_here_microusd": plain - paid - other,
        }
    return counted


def fit_of(routed: bool, kinds: frozenset[SignalKind]) -> dict[str, int]:
    """The sums that only a request adds to that was *routed* and answered, of which *kinds* were heard."""
    if not routed:
        return {}
    under = not kinds.isdisjoint(UNDER)
    return {
        "routed": 1,
        "judged": bool(kinds),
        "under": under,
        "looked_at": not kinds.isdisjoint(JUDGEMENTS),
        "over": SignalKind.TOO_STRONG in kinds and not under,
        **{kind.value: kind in kinds for kind in SignalKind},
    }


def cells_of(
    records: Sequence[tuple[Record, frozenset[SignalKind]]],
    by: Sequence[Dimension],
    order: Order | None = None,
    limit: int | None = None,
    *,
    latency: bool = False,
) -> tuple[Cell, ...]:
    """The cells of *records*, computed from each of them."""
    groups: dict[Key, list[tuple[Record, frozenset[SignalKind]]]] = {}
    for record, kinds in records:
        groups.setdefault(tuple(dimension_of(record, one) for one in by), []).append((record, kinds))
    keeps_sketches = latency and NO_SKETCHES.isdisjoint(by)
    cells = [
        Cell(
            tuple(by),
            key,
            Sums.total(sums_of(record, kinds) for record, kinds in group),
            _first_events(record for record, _ in group) if keeps_sketches else None,
            Sketch.of(record.seconds for record, _ in group) if keeps_sketches else None,
        )
        for key, group in groups.items()
    ]
    return in_order(cells, order, limit)


def _first_events(records: Iterable[Record]) -> Sketch:
    return Sketch.of(
        record.seconds_to_first_event for record in records if record.seconds_to_first_event is not None
    )


def in_order(cells: Iterable[Cell], order: Order | None, limit: int | None) -> tuple[Cell, ...]:
    """Sorted by *order*, of equals by key; by key where there is none (None first)."""
    ordered = sorted(cells, key=lambda cell: [(value is not None, value) for value in cell.key])
    match order:
        case Order.COST:
            ordered.sort(key=lambda cell: cell.sums.cost_microusd, reverse=True)
        case Order.RECENT:
            ordered.sort(key=lambda cell: cell.sums.last_at_us, reverse=True)
        case Order.REQUESTS:
            ordered.sort(key=lambda cell: cell.sums.requests, reverse=True)
        case None:
            pass
    return tuple(ordered[:limit])
