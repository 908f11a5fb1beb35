"""What is written down about a request: one record, one row per attempt."""

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Any, Final

from attrs import Attribute, field, frozen

from lynkr.model import NO_USAGE, Loss, Usage, WireFormat
from lynkr.pricing.baseline import Cost
from lynkr.resilience.outcome import Outcome
from lynkr.routing.decision import Step, Target, Tier

__all__ = ["AttemptRecord", "Cost", "Ending", "Query", "Record", "Totals"]

_NO_COST: Final = Cost()


class Ending(StrEnum):
    """How a request ended, as its client saw it."""

    OK = "ok"
    FAILED = "failed"  # an error status, or a stream that ended in an error event
    CANCELLED = "cancelled"  # the client left


@frozen
class AttemptRecord:
    """One try at one target.

    *started* is in Unix seconds.  *status* is None when no answer came.
    *usage* and *cost_microusd* are this try's own, None where unknown: a try
    that failed halfway or was cancelled may have cost something.
    """

    target: Target
    started: float
    seconds: float
    status: int | None
    outcome: Outcome
    error: str | None = None
    detail: str | None = None
    usage: Usage = NO_USAGE
    cost_microusd: int | None = None


@frozen
class Record:
    """One request, written once, when its last byte left.

    *at* is when it arrived, in Unix seconds.  *client_format* is None for a
    caller in this process.  *tier* is the routed tier, None
    when the client named a target itself; *served_tier* the tier the serving
    target was taken from.  *target* is None when nothing was served.  *status*
    is the HTTP status the client got.  *error* is an error class name.
    *seconds_to_first_event* is None when no event came.  *prompt* and *answer*
    are None unless the owner turned text recording on.
    """

    id: str
    at: float
    client_format: WireFormat | None
    requested_model: str
    stream: bool
    ending: Ending
    status: int
    tier: Tier | None = None
    served_tier: Tier | None = None
    score: float | None = None
    reason: str | None = None
    trace: tuple[Step, ...] = ()
    session: str | None = None
    target: Target | None = None
    attempts: tuple[AttemptRecord, ...] = ()
    usage: Usage = NO_USAGE
    cost: Cost = _NO_COST
    seconds: float = 0.0
    seconds_to_first_event: float | None = None
    error: str | None = None
    losses: tuple[Loss, ...] = ()
    prompt: str | None = field(default=None, repr=False)
    answer: str | None = field(default=None, repr=False)


def _not_negative(_: "Query", __: "Attribute[Any]", value: int | None) -> None:
    if value is not None and value < 0:
        raise ValueError("a limit is 0 or more, or None for no limit")


@frozen
class Query:
    """Which records; newest first, of equally new ones the later written first.

    *since* is inclusive and *until* exclusive, in Unix seconds.  *tier* is the
    routed tier, *provider* the one that served, *errors_only* keeps those that
    ended in failure (a client who left is no failure).  Every filter is
    applied before *limit*; None is no limit.
    """

    since: float | None = None
    until: float | None = None
    tier: Tier | None = None
    provider: str | None = None
    session: str | None = None
    id: str | None = None
    errors_only: bool = False
    limit: int | None = field(default=1000, validator=_not_negative)


@frozen
class Totals:
    """Sums over a window.

    A sum leaves unknown values out and says how many it left out: `unpriced`
    requests have no known cost, `unmeasured` ones lack the count of input or
    of output tokens.  *saved_microusd* sums the requests of which both cost
    and baseline are known; those that cost more than the flagship count
    against it.  *by_tier* counts requests by the name of the routed tier;
    requests whose client named the target are in none.
    """

    requests: int = 0
    failed: int = 0
    cancelled: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cache_read_tokens: int = 0
    cache_write_tokens: int = 0
    cost_microusd: int = 0
    baseline_microusd: int = 0
    saved_microusd: int = 0
    unpriced: int = 0
    unmeasured: int = 0
    by_tier: Mapping[str, int] = field(factory=lambda: MappingProxyType({}))
