"""What a page is built from: one moment of the gateway, and what was asked about it."""

from collections.abc import Mapping, Sequence
from typing import Any

from attrs import frozen

from lynkr.errors import ClientWireError
from lynkr.gateway import Gateway
from lynkr.pricing import SnapshotPrices
from lynkr.settings import Settings
from lynkr.telemetry import MemoryStore, TelemetryStore
from lynkr.telemetry.queries import Window, window_of
from lynkr_server.dashboard.replays import Replays


class BadParameter(ClientWireError):
    """A query parameter that says nothing (400)."""

    def __init__(self, name: str, value: str, fix: str) -> None:
        super().__init__(f"{name}={value!r}: {fix}", status=400)


@frozen
class Reading:
    """*now* and *started* are in Unix seconds; *live* counts requests under way, *asked* are parameters.

    *others* is how the other workers fare.
    """

    gateway: Gateway
    settings: Settings
    prices: SnapshotPrices
    now: float
    started: float
    live: int
    replays: Replays
    asked: Mapping[str, str]
    others: Sequence[Mapping[str, Any]] = ()

    @property
    def store(self) -> TelemetryStore:
        """The ledger; an empty one where the gateway keeps none."""
        recorder = self.gateway.recorder
        return MemoryStore() if recorder is None else recorder.store

    @property
    def id(self) -> str:
        """What the path names: a request, a session."""
        return self.asked.get("id", "")

    def text(self, name: str) -> str | None:
        """A parameter; None where it is missing or empty."""
        return self.asked.get(name) or None

    def count(self, name: str, default: int, most: int) -> int:
        """A parameter that counts; more than *most* is *most*.

        Raises:
            BadParameter: it is no count.
        """
        text = self.text(name)
        if text is None:
            return default
        if not (text.isdecimal() and text.isascii() and len(text) < 10):
            raise BadParameter(name, text, f"write a number from 0 to {most}")
        return min(int(text), most)

    def window(self, default: str) -> Window:
        """The parameter ``window``.

        Raises:
            BadParameter: it names none.
        """
        text = self.text("window") or default
        try:
            return window_of(text, self.now)
        except ValueError as error:
            raise BadParameter("window", text, str(error)) from error
