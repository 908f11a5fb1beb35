"""The other workers of this server, as far as a worker needs to know of them.

Each posts how it fares and what it has counted, twice a second while something happens, so that any of
them can answer for all.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from attrs import asdict

from lynkr.gateway import Gateway
from lynkr.shared import Shared
from lynkr.stores.sqlite_board import SqliteBoard
from lynkr.telemetry import Recorder
from lynkr.telemetry.summing import past_added

EVERY: Final = 0.5
"""Seconds between two posts of a worker that has something to do."""
_IDLE: Final = 10.0  # seconds between two posts of one that has not


class Colleagues:
    """Of worker *shared.number*.  *clock* is in seconds, monotonic."""

    def __init__(self, shared: Shared, *, clock: Callable[[], float] = time.monotonic) -> None:
        self.number = shared.number + 1
        self.doors = shared.of
        self.board = SqliteBoard(shared.board, sum_up=past_added)
        self._clock = clock
        self._posted: tuple[object, ...] = ()
        self._posted_at = 0.0
        self._metrics: Any = None

    def post(self, gateway: Gateway, live: int) -> None:
        """Tell how this worker fares; *live* requests are under way.  Blocks.  Nothing if nothing is new."""
        metrics = metrics_of(gateway)
        stats = recorder_counts(gateway.recorder)
        seen = None if gateway.observers is None else gateway.observers.stats().seen
        under_way = (gateway.live.requests, gateway.live.streams)
        news = (live, under_way, seen, tuple(stats.values()), id(metrics))
        now = self._clock()
        if news == self._posted and now - self._posted_at < _IDLE:
            return
        state = {"live": live, "recorder": stats}
        if metrics is not self._metrics and self._metrics is not None:
            self.board.post(state, self._metrics.counts())  # what was counted by the settings before
        counts: list[Any] = [] if metrics is None else metrics.counts()
        self.board.post(state, counts, anew=metrics is not self._metrics)
        self._posted, self._posted_at, self._metrics = news, now, metrics

    def post_last(self, gateway: Gateway) -> None:
        """As `post`, once nothing is under way any more."""
        if gateway.observers is not None:
            gateway.observers.flush(EVERY)
        self.post(gateway, 0)
        self.board.close()

    def states(self) -> list[dict[str, Any]]:
        """How each of the others fares."""
        return [state for state in self.board.states() if isinstance(state, dict)]

    def exposition(self, metrics: Any, accept: str) -> tuple[bytes, str]:  # noqa: ANN401  # reason: see `metrics_of`
        """This worker's *metrics* and those of all others together.  Blocks."""
        posts = self.board.others()
        found: tuple[bytes, str] = metrics.exposition(
            accept,
            others=[post.counts for post in posts if post.lives],
            past=[post.counts for post in posts if not post.lives],
        )
        return found


def metrics_of(gateway: Gateway) -> Any:  # noqa: ANN401  # reason: PrometheusMetrics, of an extra
    """The gateway's `PrometheusMetrics`, None without."""
    if gateway.observers is None:
        return None
    from lynkr.telemetry.prometheus import PrometheusMetrics  # noqa: PLC0415  # reason: only if there are observers

    return gateway.observers.first(PrometheusMetrics)


def recorder_counts(recorder: Recorder | None) -> dict[str, int]:
    """What the recorder has counted."""
    if recorder is None:
        return {}
    return {
        name: count
        for name, count in asdict(recorder.stats()).items()
        if isinstance(count, int) and not isinstance(count, bool)
    }


def with_others(own: dict[str, Any], others: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """*own* counts of a recorder, and those of other workers' added to them."""
    told = [state.get("recorder", {}) for state in others]
    return {
        name: value + sum(one.get(name, 0) for one in told)
        if isinstance(value, int) and not isinstance(value, bool)
        else value
        for name, value in own.items()
    }
