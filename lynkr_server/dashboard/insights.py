"""``/dashboard/api/recommendations``: what was overspent already, by evidence.

Every finding looks back at money that was paid, is one of three things
(actionable, clean, not measured), and says how it was found and what it leaves
out.  Nothing is forecast.
"""

import math
from collections.abc import Callable, Iterable
from decimal import Decimal
from typing import Any, Final

from attrs import evolve, field, frozen

from lynkr.pricing import PriceTable
from lynkr.pricing.price import Price
from lynkr.routing.decision import Target, Tier
from lynkr.settings import Settings
from lynkr.telemetry import Query, TelemetryStore
from lynkr.telemetry.queries import total_of
from lynkr.telemetry.sums import Cell, Dimension, Order, Sums
from lynkr_server.dashboard.figures import share, spent_microusd, usd
from lynkr_server.dashboard.finding_words import WORDS
from lynkr_server.dashboard.findings import Column, Evidence, Finding, State, ranked
from lynkr_server.dashboard.reading import Reading

_ROWS: Final = 10
_SESSIONS: Final = 1000
_PRICED_SESSIONS: Final = 50
TOKENS_A_TOOL: Final = 150
"""How long a tool's description is taken to be.

Less than the mean of what coding agents sent in 2026-11: 242 of Claude Code's twelve, 163 of Codex's ten
(the length of their JSON over 4; tests/corpus/requests).
"""
_LEAST_CALLS: Final = 3
_LEAST_MEASURED: Final = 5
_GOOD_HIT_SHARE: Final = 0.5
_LEAST_JUDGED: Final = 20
_Z: Final = 1.959964  # of a two-sided 95 % interval


@frozen
class Books:
    """What the findings are looked for in: the ledger in a window, and the prices of now."""

    store: TelemetryStore
    query: Query
    prices: PriceTable
    settings: Settings
    _read: dict[object, tuple[Cell, ...]] = field(factory=dict[object, tuple[Cell, ...]], init=False)

    def cells(
        self,
        *by: Dimension,
        errors_only: bool = False,
        session: str | None = None,
        order: Order | None = None,
    ) -> tuple[Cell, ...]:
        """The sums by *by*, read once; of sessions the first `_SESSIONS` in *order*."""
        key = (by, errors_only, session, order)
        if key not in self._read:
            limit = _SESSIONS if Dimension.SESSION in by else None
            query = evolve(self.query, errors_only=errors_only, session=session)
            self._read[key] = self.store.cells(query, by, order=order, limit=limit)
        return self._read[key]

    def price_of(self, cell: Cell) -> Price | None:
        """The price of the target that a cell by PROVIDER and MODEL is about."""
        target = target_of(cell)
        return None if target is None else self.prices.price(target)

    def price_of_tier(self, tier: Tier) -> Price | None:
        """What the first target of a tier costs."""
        targets = self.settings.tiers.get(tier, ())
        return self.prices.price(targets[0]) if targets else None


def recommendations_json(reading: Reading) -> dict[str, Any]:
    """The older program's fields, and exact money beside them.

    Raises:
        BadParameter: the window says nothing.
    """
    window = reading.window("30d")
    books = Books(reading.store, window.query(), reading.prices, reading.settings)
    total = total_of(books.cells(Dimension.PROVIDER, Dimension.MODEL))
    findings = ranked([find(books, total) for find in FINDERS])
    recoverable = sum(f.overspend_microusd or 0 for f in findings if f.state is State.ACTIONABLE)
    spent = spent_microusd(total)
    return {
        "computedAt": round(reading.now * 1000),
        "windowMs": None if window.since is None else round((reading.now - window.since) * 1000),
        "spendUsd": usd(spent),
        "totalRecoverableUsd": usd(recoverable),
        "findings": [finding.as_json() for finding in findings],
        "window": window.label,
        "since": window.since,
        "spendMicrousd": spent,
        "totalRecoverableMicrousd": recoverable,
    }


def target_of(cell: Cell) -> Target | None:
    provider, model = cell[Dimension.PROVIDER], cell[Dimension.MODEL]
    return None if provider is None or model is None else Target(str(provider), str(model))


def wilson_low(hits: int, trials: int) -> float:
    """The lower end of the 95 % score interval of a share (Wilson, JASA 22, 1927); 0 without a trial.

    >>> round(wilson_low(21, 30), 2), round(wilson_low(140, 170), 2)
    (0.52, 0.76)
    """
    if trials == 0:
        return 0.0
    p, z2 = hits / trials, _Z * _Z
    middle = p + z2 / (2 * trials)
    spread = _Z * math.sqrt(p * (1 - p) / trials + z2 / (4 * trials * trials))
    return (middle - spread) / (1 + z2 / trials)


# ------------------------------------------------------------------ the findings


def failed_requests(books: Books, total: Sums) -> Finding:
    """Money for requests that ended in failure."""
    cells = books.cells(Dimension.PROVIDER, Dimension.MODEL, errors_only=True)
    paid = sum(spent_microusd(cell.sums) or 0 for cell in cells)
    made = Finding(
        id="failed-requests",
        words=WORDS["failed-requests"],
        state=_state(total.requests > 0, paid > 0),
        overspend_microusd=paid,
    )
    columns = (Column("Served by"), Column("Failed", "count"), Column("Cost", "money"))
    rows = [(_name(cell), cell.sums.requests, spent_microusd(cell.sums)) for cell in cells]
    return _with_rows(made, columns, rows)


def extra_attempts(books: Books, total: Sums) -> Finding:
    """Money for attempts whose answer nobody got."""
    cells = books.cells(Dimension.PROVIDER, Dimension.MODEL)
    paid = total.overhead_microusd
    made = Finding(
        id="extra-attempts",
        words=WORDS["extra-attempts"],
        state=_state(total.requests > 0, paid > 0),
        overspend_microusd=paid,
    )
    columns = (
        Column("Served by in the end"),
        Column("Requests", "count"),
        Column("Retries", "count"),
        Column("Fallbacks", "count"),
        Column("Hedges", "count"),
        Column("Cost", "money"),
    )
    rows = [
        (_name(c), c.sums.requests, c.sums.retries, c.sums.fallbacks, c.sums.hedges, c.sums.overhead_microusd)
        for c in cells
        if c.sums.overhead_microusd
    ]
    return _with_rows(made, columns, rows)


def unused_tools(books: Books, _total: Sums) -> Finding:
    """Tools that a session offered in every call and never called."""
    looked_at, paid, tokens = 0, 0, 0
    rows: list[tuple[Any, ...]] = []
    for session in books.cells(Dimension.SESSION, order=Order.COST):
        name, sums = session[Dimension.SESSION], session.sums
        answered = sums.requests - sums.failed - sums.cancelled
        if name is None or answered < _LEAST_CALLS or not sums.tools_offered:
            continue
        looked_at += 1
        if sums.tool_calls or len(rows) >= _PRICED_SESSIONS:
            continue
        wasted = sums.tools_offered * TOKENS_A_TOOL
        cost = sum(
            _prompt_cost(cell.sums.tools_offered * TOKENS_A_TOOL, cell, books.price_of(cell))
            for cell in books.cells(Dimension.PROVIDER, Dimension.MODEL, session=str(name))
        )
        tokens, paid = tokens + wasted, paid + cost
        rows.append((name, sums.requests, sums.tools_offered // sums.requests, wasted, cost))
    made = Finding(
        id="unused-tools",
        words=WORDS["unused-tools"].about(least_calls=_LEAST_CALLS, tokens=TOKENS_A_TOOL, sessions=_SESSIONS),
        state=_state(looked_at > 0, bool(rows)),
        overspend_microusd=paid,
        overspend_tokens=tokens,
    )
    columns = (
        Column("Session"),
        Column("Calls", "count"),
        Column("Tools a call", "count"),
        Column("Tokens", "tokens"),
        Column("Cost", "money"),
    )
    return _with_rows(made, columns, rows)


def side_traffic(books: Books, total: Sums) -> Finding:
    """Titles, summaries and the like on dear models."""
    cells = books.cells(Dimension.TRAFFIC, Dimension.PROVIDER, Dimension.MODEL)
    known = [cell for cell in cells if cell[Dimension.TRAFFIC] is not None]
    price = books.price_of_tier(Tier.SIMPLE)
    paid = 0
    rows: list[tuple[Any, ...]] = []
    for cell in known if price is not None else ():
        spent = spent_microusd(cell.sums)
        if cell[Dimension.TRAFFIC] == "main" or spent is None or price is None:
            continue
        over = spent - _plain_cost(cell.sums, price)
        if over > 0:
            rows.append((str(cell[Dimension.TRAFFIC]), _name(cell), cell.sums.requests, spent, over))
            paid += over
    cheapest = books.settings.tiers.get(Tier.SIMPLE, (None,))[0]
    made = Finding(
        id="side-traffic",
        words=WORDS["side-traffic"].about(simplest=cheapest or "the simplest tier"),
        state=_state(bool(known) and price is not None and total.requests > 0, bool(rows)),
        overspend_microusd=paid,
    )
    columns = (
        Column("Kind"),
        Column("Served by"),
        Column("Requests", "count"),
        Column("Cost", "money"),
        Column("Overspent", "money"),
    )
    return _with_rows(made, columns, rows)


def cold_caches(books: Books, _total: Sums) -> Finding:
    """Targets whose prompts seldom came from the cache."""
    measured, paid = 0, 0
    rows: list[tuple[Any, ...]] = []
    for cell in books.cells(Dimension.PROVIDER, Dimension.MODEL):
        price, sums = books.price_of(cell), cell.sums
        if (
            price is None
            or price.cache_read is None
            or sums.cache_known < _LEAST_MEASURED
            or not sums.cache_known_input
        ):
            continue
        measured += 1
        hit = sums.cache_read_tokens / sums.cache_known_input
        if hit >= _GOOD_HIT_SHARE:
            continue
        cold = sums.cache_known_input - sums.cache_read_tokens - sums.cache_write_tokens
        ceiling = int(max(0, cold) * (price.input - price.cache_read))
        if ceiling > 0:
            rows.append((_name(cell), sums.cache_known, hit, cold, ceiling))
            paid += ceiling
    made = Finding(
        id="cold-caches",
        words=WORDS["cold-caches"].about(good=f"{_GOOD_HIT_SHARE:.0%}"),
        state=_state(measured > 0, bool(rows)),
        overspend_microusd=paid,
    )
    columns = (
        Column("Target"),
        Column("Requests", "count"),
        Column("From cache", "percent"),
        Column("Cold tokens", "tokens"),
        Column("At most", "money"),
    )
    return _with_rows(made, columns, rows)


def tier_too_high(books: Books, _total: Sums) -> Finding:
    """Tiers of which people said that the one below would have done."""
    judged, paid = 0, 0
    rows: list[tuple[Any, ...]] = []
    for cell in books.cells(Dimension.TIER):
        if cell[Dimension.TIER] in (None, Tier.SIMPLE.name) or cell.sums.looked_at < _LEAST_JUDGED:
            continue
        tier, sums, spent = Tier[str(cell[Dimension.TIER])], cell.sums, spent_microusd(cell.sums)
        below = books.price_of_tier(Tier(tier - 1))
        if below is None or spent is None:
            continue
        judged += 1
        sure = wilson_low(sums.over, sums.looked_at)
        over = int(sure * max(0, spent - _plain_cost(sums, below)))
        if sums.over and over > 0:
            rows.append((tier.name, sums.requests, sums.over / sums.looked_at, sure, over))
            paid += over
    made = Finding(
        id="tier-too-high",
        words=WORDS["tier-too-high"].about(judged=_LEAST_JUDGED),
        state=_state(judged > 0, bool(rows)),
        overspend_microusd=paid,
    )
    columns = (
        Column("Tier"),
        Column("Requests", "count"),
        Column("Found too high", "percent"),
        Column("Surely", "percent"),
        Column("Overspent", "money"),
    )
    return _with_rows(made, columns, rows)


def dearer_than_flagship(books: Books, total: Sums) -> Finding:
    """Targets that cost more than what savings are measured against."""
    cells = [c for c in books.cells(Dimension.PROVIDER, Dimension.MODEL) if c.sums.compared]
    losing = [cell for cell in cells if _of_answers(cell.sums) < 0]
    made = Finding(
        id="dearer-than-flagship",
        words=WORDS["dearer-than-flagship"].about(flagship=books.settings.pricing.flagship),
        state=_state(total.compared > 0, bool(losing)),
        overspend_microusd=-sum(_of_answers(cell.sums) for cell in losing),
    )
    columns = (
        Column("Target"),
        Column("Requests", "count"),
        Column("Cost", "money"),
        Column("Saved", "money"),
    )
    rows = [(_name(c), c.sums.compared, c.sums.cost_microusd, _of_answers(c.sums)) for c in losing]
    return _with_rows(made, columns, rows)


def unknown_prices(books: Books, total: Sums) -> Finding:
    """Requests of which nobody knows what they cost."""
    cells = [
        c
        for c in books.cells(Dimension.PROVIDER, Dimension.MODEL)
        if c.sums.unpriced and target_of(c) is not None
    ]
    tokens = sum(cell.sums.input_tokens + cell.sums.output_tokens for cell in cells)
    made = Finding(
        id="unknown-prices",
        words=WORDS["unknown-prices"],
        state=_state(total.requests > 0, bool(cells)),
        overspend_tokens=tokens,
    )
    columns = (
        Column("Target"),
        Column("Requests", "count"),
        Column("Unpriced", "count"),
        Column("Tokens", "tokens"),
    )
    rows = [
        (_name(c), c.sums.requests, c.sums.unpriced, c.sums.input_tokens + c.sums.output_tokens)
        for c in cells
    ]
    return _with_rows(made, columns, rows)


FINDERS: Final[tuple[Callable[[Books, Sums], Finding], ...]] = (
    failed_requests,
    extra_attempts,
    unused_tools,
    side_traffic,
    cold_caches,
    tier_too_high,
    dearer_than_flagship,
    unknown_prices,
)


# ------------------------------------------------------------------ arithmetic


def _of_answers(sums: Sums) -> int:
    """What the answers served saved; the attempts that did not serve are a finding of their own."""
    return sums.saved_microusd + sums.compared_overhead_microusd


def _state(measured: bool, found: bool) -> State:
    if not measured:
        return State.NOT_MEASURED
    return State.ACTIONABLE if found else State.CLEAN


def _with_rows(finding: Finding, columns: tuple[Column, ...], rows: Iterable[tuple[Any, ...]]) -> Finding:
    """The finding with its evidence, the largest last column first; without figures if there is none."""
    if finding.state is not State.ACTIONABLE:
        return evolve(finding, overspend_microusd=None, overspend_tokens=None)
    largest = sorted(rows, key=lambda row: abs(row[-1] or 0), reverse=True)[:_ROWS]
    return evolve(finding, evidence=Evidence(columns, tuple(largest)))


def _name(cell: Cell) -> str:
    target = target_of(cell)
    return "nobody" if target is None else str(target)


def _plain_cost(sums: Sums, price: Price) -> int:
    """The tokens of many requests at a price without cache and without long-context surcharge."""
    return int(sums.input_tokens * price.input + sums.output_tokens * price.output)


def _prompt_cost(tokens: int, cell: Cell, price: Price | None) -> int:
    """Prompt tokens at the price of the target, the share of its prompts that was cached at the cache's."""
    if price is None:
        return 0
    cached = Decimal(share(cell.sums.cache_read_tokens, cell.sums.cache_known_input) or 0)
    read = price.input if price.cache_read is None else price.cache_read
    return int(tokens * (cached * read + (1 - cached) * price.input))
