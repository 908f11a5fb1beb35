"""What settings mean for several workers: files that all of them see, and each one's share of a bound."""

from collections.abc import Iterator
from pathlib import Path
from types import MappingProxyType
from typing import Final, TypeVar

from attrs import evolve

from lynkr.settings.problems import KeyPath, Problem, raise_for
from lynkr.settings.tree import Settings

_SettingsT = TypeVar("_SettingsT", bound=Settings)
_BOUNDS: Final = ("max_in_flight", "max_streams", "max_queued")


def shared_settings(settings: _SettingsT) -> _SettingsT:
    """*settings* with breakers and pins in files beside the ledger, where several workers are asked for.

    Raises:
        ConfigError: the ledger is in memory, or a bound is too small to be shared out.
    """
    if settings.server.workers == 1:
        return settings
    raise_for(list(_problems(settings)))
    ledger = settings.telemetry.file
    if ledger is None:
        raise AssertionError("a ledger in memory is a problem")
    resilience, sessions = settings.resilience, settings.sessions
    return evolve(
        settings,
        resilience=evolve(
            resilience, breaker_path=resilience.breaker_path or beside(ledger, "breakers.sqlite3")
        ),
        sessions=evolve(sessions, path=sessions.path or beside(ledger, "pins.sqlite3")),
    )


def beside(ledger: Path, name: str) -> Path:
    """A file beside the ledger that is named after it: ``ledger.pins.sqlite3``."""
    return ledger.with_name(f"{ledger.stem}.{name}")


def _problems(settings: Settings) -> Iterator[Problem]:
    server, origin = settings.server, str(settings.source or "the defaults")
    if settings.telemetry.file is None:
        yield Problem(
            ("telemetry", "path"),
            origin,
            f"keeps the ledger in memory, which {server.workers} workers cannot share",
            "set it to a file, or server.workers to 1",
        )
    bounds: dict[KeyPath, int | None] = {("server", name): getattr(server, name) for name in _BOUNDS}
    bounds |= {
        ("providers", name, "max_in_flight"): provider.max_in_flight
        for name, provider in settings.providers.items()
    }
    for key, most in bounds.items():
        if most is not None and 0 < most < server.workers:
            yield Problem(
                key,
                origin,
                f"is less than server.workers ({server.workers}), which share it out among them",
                f"raise it to {server.workers}, or run fewer workers",
            )


def share_of(settings: _SettingsT, number: int) -> _SettingsT:
    """What worker *number* (from 0) goes by: its share of every bound on what is under way at once."""
    workers = settings.server.workers

    def share(most: int) -> int:
        return most // workers + (number < most % workers)

    server = settings.server
    return evolve(
        settings,
        server=evolve(
            server,
            max_in_flight=share(server.max_in_flight),
            max_streams=share(server.max_streams),
            max_queued=share(server.max_queued),
        ),
        providers=MappingProxyType(
            {
                name: provider
                if provider.max_in_flight is None
                else evolve(provider, max_in_flight=share(provider.max_in_flight))
                for name, provider in settings.providers.items()
            }
        ),
    )
