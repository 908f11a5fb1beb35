"""What is written down about a request: one record, one row per attempt."""

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Any, Final

from attrs import Attribute, field, frozen

from lynkr.model import NO_USAGE, Json, Loss, Usage, WireFormat
from lynkr.pricing.baseline import Cost
from lynkr.resilience.outcome import AttemptKind, Outcome
from lynkr.routing.context import RequestClass
from lynkr.routing.decision import Step, Target, Tier

__all__ = [
    "AttemptKind",
    "AttemptRecord",
    "Cost",
    "Ending",
    "Query",
    "Record",
    "Signal",
    "SignalKind",
    "Totals",
]

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
    that failed halfway or was cancelled may have cost something.  *partial*
    says that its answer did not come to its end, so that *usage* is what was
    told until then; None when no answer began.  *cancelled* says that whoever
    wanted the answer left.  *kind* is None in ledgers of lynkr before 0.3.
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
    kind: AttemptKind | None = None
    cancelled: bool | None = None
    partial: bool | None = None


class SignalKind(StrEnum):
    """What somebody or something said about how well a request was served."""

    RETRIED = "retried"  # the user asked the same again in the session
    ESCALATED = "escalated"  # the same ask was given to a higher tier
    TOOL_FAILED = "tool_failed"  # its tool calls failed, and so had those before
    FOLLOWED = "followed"  # the session went on without any of these
    ACCEPTED = "accepted"  # a verifier let the answer pass
    REJECTED = "rejected"  # a verifier did not
    TOO_WEAK = "too_weak"  # explicit feedback
    RIGHT = "right"
    TOO_STRONG = "too_strong"


UNDER: Final = frozenset(
    {
        SignalKind.RETRIED,
        SignalKind.ESCALATED,
        SignalKind.TOOL_FAILED,
        SignalKind.REJECTED,
        SignalKind.TOO_WEAK,
    }
)
"""The kinds that say the tier was too low."""

JUDGEMENTS: Final = frozenset({SignalKind.TOO_WEAK, SignalKind.RIGHT, SignalKind.TOO_STRONG})
"""The kinds that say whether a lower tier would have done as well: only somebody who looked can."""


@frozen
class Signal:
    """One word about a recorded request; a request has at most one of each kind and source.

    *at* is in Unix seconds; *source* says who spoke (``feedback``, ``session``,
    a verifier's name); *note* is a short text of the speaker's own, never prompt text.
    """

    request: str
    kind: SignalKind
    at: float
    source: str = "session"
    note: str | None = None


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

    *partial* says that the answer did not come to its end, so that *usage* is
    what was told until then; None when no answer began.  *tenant* and *agent*
    are the session key's, *request_class* the client's own word for the request,
    *traffic* what lynkr took it for (`lynkr.routing.features.Traffic`).
    *features* and *decision* are what a replay needs, as JSON without prompt
    text; *propensity* and *seed* those of the decision.  *tools_offered* counts
    the tools of the request, *tool_calls* those the answer made,
    *failed_results* the failures among the tool results since the newest ask
    (of the last eight).  *opens_turn* says that the request does not continue
    a tool loop.  *ask_digest* tells whether two asks of a session are the same;
    it is keyed by a secret that the process forgets, so it says nothing of the words.
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
    partial: bool | None = None
    tenant: str | None = None
    agent: str | None = None
    request_class: RequestClass | None = None
    traffic: str | None = None
    features: Mapping[str, Json] | None = field(default=None, repr=False)
    decision: Mapping[str, Json] | None = field(default=None, repr=False)
    propensity: float | None = None
    seed: int | None = None
    tools_offered: int | None = None
    tool_calls: int | None = None
    failed_results: int | None = None
    opens_turn: bool | None = None
    ask_digest: str | None = None


def _not_negative(_: "Query", __: "Attribute[Any]", value: int | None) -> None:
    if value is not None and value < 0:
        raise ValueError("a limit is 0 or more, or None for no limit")


@frozen
class Query:
    """Which records; newest first, of equally new ones the later written first.

    *since* is inclusive and *until* exclusive, in Unix seconds.  *tier* is the
    routed tier, *provider* and *model* those that served, *reason* the code that
    settled the tier, *errors_only* keeps those that ended in failure (a client
    who left is no failure).  *before* is the id of a record: only those that
    come after it in the order wanted, so that one can page; none if it is unknown.
    *sessions* keeps those of several sessions, *id_prefix* those whose ids begin so;
    *oldest_first* turns the order round.
    Every filter is applied before *limit*; None is no limit.
    """

    since: float | None = None
    until: float | None = None
    tier: Tier | None = None
    provider: str | None = None
    session: str | None = None
    id: str | None = None
    errors_only: bool = False
    limit: int | None = field(default=1000, validator=_not_negative)
    model: str | None = None
    tenant: str | None = None
    reason: str | None = None
    before: str | None = None
    sessions: tuple[str, ...] | None = None
    id_prefix: str | None = None
    oldest_first: bool = False


@frozen
class Totals:
    """Sums over a window.

    A sum leaves unknown values out and says how many it left out: `unpriced`
    requests have no known cost, `unmeasured` ones lack the count of input or
    of output tokens.  *saved_microusd* sums the requests of which both cost
    and baseline are known; those that cost more than the flagship count
    against it, and so do the attempts that did not serve.  *by_tier* counts
    requests by the name of the routed tier; requests whose client named the
    target are in none.
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
