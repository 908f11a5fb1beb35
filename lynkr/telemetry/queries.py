"""What people ask a ledger, answered from its cells: every formula stands in a docstring.

Functions here read a store, so they block; a server runs them in a thread.
A share of nothing and a percentile of nothing are None, never 0.  Every figure is over
all the requests of the window, none over a sample.
"""

import re
from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Final

from attrs import evolve, field, frozen

from lynkr.pricing.savings import Savings, itemise
from lynkr.routing.decision import Target, Tier
from lynkr.telemetry.record import Ending, Query, SignalKind
from lynkr.telemetry.sketch import Sketch
from lynkr.telemetry.store import AttemptCell, TelemetryStore
from lynkr.telemetry.sums import DAY, Cell, Dimension, Order, Sums

_UNITS: Final = {"m": 60, "h": 3_600, "d": DAY, "w": 7 * DAY}
_LENGTH: Final = re.compile(r"(\d{1,6})([mhdw])", re.ASCII)
_EPOCH: Final = re.compile(r"\d{9,13}", re.ASCII)
_MILLISECONDS: Final = (
    10**11
)  # a Unix time above this is in milliseconds (in seconds it would be the year 5138)
_ALL: Final = Query(limit=None)


# --- Windows --------------------------------------------------------------------------------------------


@frozen
class Window:
    """The time from *since* (inclusive) to *until* (exclusive), in Unix seconds; None is open.

    *now* is when it was asked for.
    """

    label: str
    since: float | None
    until: float | None
    now: float

    def query(self, query: Query = _ALL) -> Query:
        """*query* within the window."""
        return evolve(query, since=self.since, until=self.until)

    @property
    def since_iso(self) -> str | None:
        return None if self.since is None else iso(self.since)


def window_of(text: str, now: float) -> Window:
    """The window that *text* names, *now* in Unix seconds.

    ``all``; ``today`` (since midnight UTC); a length back from now, such as
    ``30m``, ``24h``, ``7d``, ``4w`` (to the second: ``1d`` is the last 24 hours);
    a date or moment in ISO 8601, from which it runs to now (UTC unless it says
    otherwise); two of them with ``/`` between, a date as the second meaning up to
    and including that day; a Unix time in seconds or milliseconds.

    Raises:
        ValueError: it names none.
    """
    if text == "all":
        return Window(text, None, None, now)
    if text == "today":
        return Window(text, now // DAY * DAY, None, now)
    if found := _LENGTH.fullmatch(text):
        return Window(text, now - int(found[1]) * _UNITS[found[2]], None, now)
    if _EPOCH.fullmatch(text):
        moment = int(text)
        return Window(text, moment / 1000 if moment > _MILLISECONDS else float(moment), None, now)
    begin, slash, end = text.partition("/")
    try:
        since = _moment(begin)
        until = (_moment(end) + (DAY if _is_date(end) else 0)) if slash else None
    except (ValueError, OverflowError) as error:
        raise ValueError(
            f"{text!r} is no window; write 1d, 7d, 30d, all, today, 2026-11-01 or 2026-11-01/2026-11-30"
        ) from error
    if until is not None and until <= since:
        raise ValueError(f"{text!r} ends before it begins")
    return Window(text, since, until, now)


def _moment(text: str) -> float:
    moment = datetime.fromisoformat(text)
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def _is_date(text: str) -> bool:
    return "T" not in text and " " not in text


def iso(at: float) -> str:
    """A Unix time in ISO 8601, UTC, to the second."""
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


# --- Usage and savings ----------------------------------------------------------------------------------


def savings_of(sums: Sums) -> Savings:
    """The savings in *sums*, itemised (`lynkr.pricing.savings` states the formulas)."""
    return itemise(
        total=sums.saved_microusd,
        low=sums.saved_low_microusd,
        high=sums.saved_high_microusd,
        baseline=sums.compared_baseline_microusd,
        routing=sums.routing_microusd,
        prompt_cache=sums.prompt_cache_microusd,
        prompt_cache_here=sums.prompt_cache_here_microusd,
        overhead=sums.compared_overhead_microusd,
        response_cache=sums.response_cache_microusd if sums.response_cached else None,
        compression=sums.compression_microusd if sums.compressed else None,
        compared=sums.compared,
        requests=sums.requests,
    )


def spent_microusd(sums: Sums) -> int:
    """What is known to have been spent: on answers served and on attempts that did not serve.

    Not in it is what is unknown: `Sums.unpriced` requests, of which `Sums.least_microusd` is surely owed.
    """
    return sums.cost_microusd + sums.overhead_microusd


@frozen
class UsageReport:
    """The sums of a window, and those of each group; a group's requests are in no other."""

    window: Window
    total: Sums
    groups: tuple[Cell, ...] = ()


def usage(
    store: TelemetryStore,
    window: Window,
    by: Dimension | None = None,
    *,
    query: Query = _ALL,
    order: Order | None = None,
    limit: int | None = None,
) -> UsageReport:
    """Sums over *window* and the filters of *query*, in all and *by* a dimension.

    *order* and *limit* are those of the groups; the total is of all of them, shown or not.
    """
    within = window.query(query)
    total = total_of(store.cells(within))
    groups = () if by is None else store.cells(within, (by,), order=order, limit=limit)
    return UsageReport(window, total, groups)


def total_of(cells: Iterable[Cell]) -> Sums:
    return Sums.total(cell.sums for cell in cells)


@frozen
class DayUsage:
    """One UTC day: from midnight *since* (Unix seconds) to the next.

    *by_tier* has the routed tiers by name, and under None what was not routed.
    *is_whole* is False where the window begins or ends (or now is) within the day.
    """

    day: date
    since: int
    sums: Sums
    by_tier: Mapping[str | None, Sums] = field(factory=dict[str | None, Sums])
    is_whole: bool = True


def daily(store: TelemetryStore, window: Window, *, query: Query = _ALL) -> tuple[DayUsage, ...]:
    """The sums of each UTC day of *window*, oldest first, days without requests included.

    A window that is open at the beginning begins with the first day that has
    requests.
    """
    cells = store.cells(window.query(query), (Dimension.DAY, Dimension.TIER))
    days: dict[int, dict[str | None, Sums]] = {}
    for cell in cells:
        day, tier = cell.key
        days.setdefault(int(day or 0), {})[None if tier is None else str(tier)] = cell.sums
    end = window.now if window.until is None else min(window.until, window.now)
    first = min(days, default=None) if window.since is None else int(window.since // DAY * DAY)
    if first is None:
        return ()
    last = max([int(end // DAY * DAY) - (DAY if end % DAY == 0 and end > first else 0), *days])
    return tuple(
        DayUsage(
            datetime.fromtimestamp(0, UTC).date() + timedelta(seconds=since),
            since,
            Sums.total(days.get(since, {}).values()),
            days.get(since, {}),
            (window.since is None or since >= window.since) and since + DAY <= end,
        )
        for since in range(first, last + 1, DAY)
    )


# --- Latency, failures, providers -----------------------------------------------------------------------


@frozen
class Latency:
    """Percentiles in seconds, over *count* requests; None where there is none.

    Read from a sketch of all of them, so within `lynkr.telemetry.sketch.RELATIVE_ERROR`
    (2 %) of the exact ones; *mean* is exact.
    """

    count: int = 0
    mean: float | None = None
    p50: float | None = None
    p90: float | None = None
    p95: float | None = None
    p99: float | None = None


def latency_of(sketch: Sketch | None, total_us: int) -> Latency:
    """The percentiles of *sketch*, whose durations sum to *total_us* microseconds."""
    if sketch is None or not sketch.count:
        return Latency()
    quantiles = (sketch.quantile(share) for share in (0.5, 0.9, 0.95, 0.99))
    return Latency(sketch.count, total_us / sketch.count / 1e6, *quantiles)


def share(part: int, whole: int) -> float | None:
    """*part* of *whole*, from 0 to 1; None of nothing."""
    return part / whole if whole else None


@frozen
class Stats:
    """How a window went.

    *error_rate* is failed requests by all requests (clients who left are no
    failures), *fallback_rate* those that went on to another target by all.
    *first_event* is the time until the answer's first part, over the requests that
    had one; *duration* until its end, over all requests.  *cache_read_share* is
    the input tokens read from a prompt cache by the input tokens of the requests
    whose provider says how many were.
    """

    sums: Sums
    error_rate: float | None
    fallback_rate: float | None
    cache_read_share: float | None
    first_event: Latency
    duration: Latency


def stats(store: TelemetryStore, window: Window, *, query: Query = _ALL) -> Stats:
    """How *window* went, in all."""
    return _stats_of(store.cells(window.query(query), latency=True))


def _stats_of(cells: tuple[Cell, ...]) -> Stats:
    sums = total_of(cells)
    first = Sketch.sum(cell.first_event for cell in cells if cell.first_event is not None)
    whole = Sketch.sum(cell.duration for cell in cells if cell.duration is not None)
    return Stats(
        sums,
        share(sums.failed, sums.requests),
        share(sums.fallbacks, sums.requests),
        share(sums.cache_read_tokens, sums.cache_known_input),
        latency_of(first, sums.first_event_us),
        latency_of(whole, sums.duration_us),
    )


@frozen
class ProviderStats:
    """A provider in a window, its models together.

    *stats* is over the requests it served.  *attempts* is over every attempt
    sent to it, those that failed or lost included: *failure_rate* is the attempts
    that proved a fault of the provider (`Outcome.FAILURE`) by those that proved
    anything (neither cancelled nor the caller's own fault).
    *output_tokens_per_second* is the output tokens of the requests it served by
    the seconds they took in all, reading the prompt included; None unless all of them say.
    """

    provider: str
    stats: Stats
    attempts: AttemptCell
    failure_rate: float | None
    output_tokens_per_second: float | None


def provider_stats(store: TelemetryStore, window: Window) -> tuple[ProviderStats, ...]:
    """Every provider that was tried in *window*, by name."""
    served: dict[str, list[Cell]] = {}
    for cell in store.cells(window.query(), (Dimension.PROVIDER,), latency=True):
        if cell.key[0] is not None:
            served.setdefault(str(cell.key[0]), []).append(cell)
    tried: dict[str, list[AttemptCell]] = {}
    for attempts in store.attempts(since=window.since, until=window.until):
        tried.setdefault(attempts.provider, []).append(attempts)
    return tuple(
        _provider(name, _stats_of(tuple(served.get(name, ()))), AttemptCell.total(name, tried.get(name, ())))
        for name in sorted({*served, *tried})
    )


def _provider(name: str, stats: Stats, attempts: AttemptCell) -> ProviderStats:
    sums = stats.sums
    measured = sums.duration_us > 0 and not sums.unmeasured
    return ProviderStats(
        name,
        stats,
        attempts,
        share(attempts.failed, attempts.failed + attempts.succeeded),
        sums.output_tokens / (sums.duration_us / 1e6) if measured else None,
    )


# --- Routing --------------------------------------------------------------------------------------------


@frozen
class Accuracy:
    """How well the routed tiers fitted, as far as anything was heard (`lynkr.telemetry.signals`).

    *judged* of *routed* requests (routed and answered) were heard of afterwards.
    *under_share* is *under* by *judged*: those a user had to ask again, that were
    escalated, whose tool calls kept failing, that a verifier rejected or feedback
    found too weak.  A session that just goes on counts as no complaint.

    *over_share* is *over* by *looked_at*: of those that explicit feedback spoke
    about, the ones it found too strong and nothing found too weak.  Nothing in a
    session's course shows that a lower tier would have done as well, so without
    feedback it is None: not measured.  None of nothing in both cases.

    *signals* counts requests by what was heard of them; one may count under several.
    """

    routed: int = 0
    judged: int = 0
    under: int = 0
    looked_at: int = 0
    over: int = 0
    signals: Mapping[SignalKind, int] = field(factory=dict[SignalKind, int])

    @property
    def under_share(self) -> float | None:
        return share(self.under, self.judged)

    @property
    def over_share(self) -> float | None:
        return share(self.over, self.looked_at)

    @property
    def is_measured(self) -> bool:
        return self.judged > 0


def accuracy_of(sums: Sums) -> Accuracy:
    """The accuracy in *sums*."""
    signals: dict[SignalKind, int] = {kind: getattr(sums, kind.value) for kind in SignalKind}
    return Accuracy(sums.routed, sums.judged, sums.under, sums.looked_at, sums.over, signals)


def accuracy(store: TelemetryStore, window: Window) -> tuple[Accuracy, Mapping[Tier, Accuracy]]:
    """How well the tiers fitted in *window*, in all and for each tier that was routed to."""
    cells = store.cells(window.query(), (Dimension.TIER,))
    tiers = {Tier[str(cell.key[0])]: accuracy_of(cell.sums) for cell in cells if cell.key[0] is not None}
    return accuracy_of(total_of(cells)), tiers


def reasons(store: TelemetryStore, window: Window, *, query: Query = _ALL) -> tuple[Cell, ...]:
    """The sums of *window* by tier and by the code of the step that settled it, the most frequent first."""
    return store.cells(window.query(query), (Dimension.TIER, Dimension.REASON), order=Order.REQUESTS)


# --- Sessions -------------------------------------------------------------------------------------------


@frozen
class Session:
    """One session within a window; times in Unix seconds.

    *targets* are those that served, in the order of first use.
    """

    id: str
    sums: Sums
    targets: tuple[Target, ...] = ()

    @property
    def first_at(self) -> float:
        return self.sums.first_at_us / 1e6

    @property
    def last_at(self) -> float:
        return self.sums.last_at_us / 1e6


def sessions(
    store: TelemetryStore,
    window: Window,
    *,
    order: Order = Order.RECENT,
    limit: int = 50,
    query: Query = _ALL,
) -> tuple[Session, ...]:
    """The first *limit* sessions of *window* in *order*; requests without a session are in none."""
    cells = store.cells(window.query(query), (Dimension.SESSION,), order=order, limit=limit + 1)
    named = [cell for cell in cells if cell.key[0] is not None][:limit]
    served = _served(store, window, tuple(str(cell.key[0]) for cell in named))
    return tuple(Session(str(cell.key[0]), cell.sums, served.get(str(cell.key[0]), ())) for cell in named)


def _served(
    store: TelemetryStore, window: Window, sessions: tuple[str, ...]
) -> Mapping[str, tuple[Target, ...]]:
    """The targets that served each session, in the order of first use."""
    within = window.query(Query(sessions=sessions, limit=None))
    cells = store.cells(within, (Dimension.SESSION, Dimension.PROVIDER, Dimension.MODEL))
    served: dict[str, tuple[Target, ...]] = {}
    for cell in sorted(cells, key=lambda cell: cell.sums.first_at_us):
        session, provider, model = cell.key
        if provider is not None and model is not None:
            served[str(session)] = (*served.get(str(session), ()), Target(str(provider), str(model)))
    return served


@frozen
class SessionCall:
    """One request of a session: what it carried, what it took.  Tokens are None where unknown."""

    id: str
    at: float
    tier: Tier | None
    target: Target | None
    ending: Ending
    input_tokens: int | None
    cache_read_tokens: int | None
    cache_write_tokens: int | None
    output_tokens: int | None
    cost_microusd: int | None
    seconds: float


def session_calls(store: TelemetryStore, session: str, *, limit: int = 1000) -> tuple[SessionCall, ...]:
    """The newest *limit* requests of *session*, oldest first: the context that each call carried."""
    newest = store.read(Query(session=session, limit=limit))
    calls = [
        SessionCall(
            record.id,
            record.at,
            record.tier,
            record.target,
            record.ending,
            record.usage.input,
            record.usage.cache_read,
            record.usage.cache_write,
            record.usage.output,
            record.cost.cost_microusd,
            record.seconds,
        )
        for record in newest
    ]
    return tuple(reversed(calls))
