"""``/dashboard/api/policy``: what a window's requests would have cost, had they been decided otherwise.

The recorded decisions are made again by `lynkr.replay`; nothing is sent.  A
replay is pure computing, so it takes turns with the requests being served: it
rests as long as it worked.
"""

from collections.abc import Sequence
from typing import Any, Final

from attrs import evolve, frozen

from lynkr.assembly import build_router
from lynkr.replay import replay
from lynkr.routing.decision import Step, Tier
from lynkr.routing.features import Features
from lynkr.routing.policy import at_least, at_most, default_policy
from lynkr.routing.protocols import TierPolicy
from lynkr.telemetry.queries import Window
from lynkr.telemetry.sums import DAY, HOUR, Cell, Dimension
from lynkr_server.dashboard.reading import BadParameter, Reading
from lynkr_server.dashboard.replays import taking_turns

MOST: Final = 20_000
"""Records a replay reads at most; of more, the newest.

One takes some 0.6 ms to decide and price again (2026-11), and as long to rest: 20,000 take half a minute.
"""
_FRESH: Final = 600.0  # seconds for which a replay stands
_LEAST_DIAL, _MOST_DIAL = 25, 200


@frozen
class Dial:
    """Another policy: the shipped one, its difficulty times *percent* / 100, its tier within two bounds."""

    percent: int = 100
    floor: Tier | None = None
    ceiling: Tier | None = None

    def policy(self) -> TierPolicy:
        """The tier policy this dial stands for."""
        policy = default_policy() if self.percent == 100 else _Leaning(default_policy(), self.percent / 100)
        if self.ceiling is not None:
            policy = at_most(self.ceiling, otherwise=policy)
        return policy if self.floor is None else at_least(self.floor, otherwise=policy)


@frozen
class _Leaning:
    """*policy*, told that everything is *factor* times as hard as was found."""

    policy: TierPolicy
    factor: float

    def __call__(self, features: Features, scores: tuple[Step, ...], /) -> tuple[Tier, Step]:
        leaning = tuple(
            step if step.score is None else evolve(step, score=min(1.0, step.score * self.factor))
            for step in scores
        )
        return self.policy(features, leaning)


def policy_json(reading: Reading) -> dict[str, Any]:
    """The replay of a window under a dial; costs are ranges in micro-USD.

    Raises:
        BadParameter: the window or the dial says nothing.
    """
    window, dial = reading.window("30d"), _dial_of(reading)
    key = (window.label, reading.now // _FRESH, dial)
    return reading.replays.of(key, lambda: _replayed(reading, window, dial))


def _replayed(reading: Reading, window: Window, dial: Dial) -> dict[str, Any]:
    since, requests = _newest(reading, window)
    query = evolve(window.query(), since=since, oldest_first=True)
    router = build_router(reading.settings, reading.prices, policy=dial.policy())
    report = replay(taking_turns(reading.store.read(query)), router, reading.prices)
    return {
        "window": window.label,
        "since": since,
        "isShortened": since != window.since,
        "requestsInWindow": requests,
        "computedAt": reading.now,
        "dial": dial.percent,
        "floor": None if dial.floor is None else dial.floor.name,
        "ceiling": None if dial.ceiling is None else dial.ceiling.name,
        **report.as_json(),
    }


def _newest(reading: Reading, window: Window) -> tuple[float | None, int]:
    """Since when at most `MOST` requests arrived, to the hour, and how many the window has in all."""
    query, room = window.query(), MOST
    days = _newest_first(reading.store.cells(query, (Dimension.DAY,)), Dimension.DAY)
    whole = sum(requests for _, requests in days)
    if whole <= MOST:
        return window.since, whole
    for day, requests in days:
        if requests <= room:
            room -= requests
            continue
        # Hours only of the day that is too much: a year of them would take longer than all days.
        since = day if query.since is None else max(day, query.since)
        until = day + DAY if query.until is None else min(day + DAY, query.until)
        cells = reading.store.cells(evolve(query, since=since, until=until), (Dimension.HOUR,))
        for hour, more in _newest_first(cells, Dimension.HOUR):
            room -= more
            if room < 0:
                return float(hour + HOUR), whole
    return window.since, whole


def _newest_first(cells: Sequence[Cell], by: Dimension) -> list[tuple[int, int]]:
    """When each of *cells* begins (Unix seconds), and its requests."""
    return sorted(((int(cell[by] or 0), cell.sums.requests) for cell in cells), reverse=True)


def _dial_of(reading: Reading) -> Dial:
    percent = reading.count("dial", 100, _MOST_DIAL)
    if percent < _LEAST_DIAL:
        raise BadParameter("dial", str(percent), f"write a number from {_LEAST_DIAL} to {_MOST_DIAL}")
    floor, ceiling = _tier_of(reading, "floor"), _tier_of(reading, "ceiling")
    if floor is not None and ceiling is not None and floor > ceiling:
        raise BadParameter("floor", floor.name, f"write a tier no higher than the ceiling, {ceiling.name}")
    return Dial(percent, floor, ceiling)


def _tier_of(reading: Reading, name: str) -> Tier | None:
    text = reading.text(name)
    if text is None:
        return None
    if text not in Tier.__members__:
        raise BadParameter(name, text, f"write one of {', '.join(Tier.__members__)}")
    return Tier[text]
