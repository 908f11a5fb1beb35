"""Reading the settings again while requests are being served.

All or nothing: new settings are read and a gateway is made of them while the
old one serves.  If that fails the old one goes on, and the log and the
readiness say so.  If it succeeds the next request meets the new gateway, the
requests under way end with the old one, which is closed after the last of them.

Where the server listens, and the size of headers, are settled when it starts.
"""

import logging
from collections.abc import Callable
from typing import Final

from attrs import define, frozen

from lynkr.assembly import build_gateway, served_models, still_good
from lynkr.gateway import Gateway
from lynkr.kept import Kept
from lynkr.listing import ServedModels
from lynkr.providers import AiohttpTransport
from lynkr.settings import Settings
from lynkr.shared import Shared
from lynkr_server.access import refuse_open_bind

_LOG: Final = logging.getLogger("lynkr.server")
_SETTLED: Final = ("host", "port", "max_header_bytes")


@frozen
class Loaded:
    """A gateway, the settings it was made of, and what clients may ask it for."""

    gateway: Gateway
    settings: Settings
    models: ServedModels


@define
class Reloads:
    """How reloading has gone; *current* is false while the newest settings could not be used."""

    done: int = 0
    failed: int = 0
    current: bool = True

    def as_json(self) -> dict[str, int | bool]:
        return {"reloads": self.done, "failed_reloads": self.failed, "current": self.current}


class Reloader:
    """Makes gateways of settings that are read anew each time.

    *settings* are those in force, *read* gives newer ones; *shared* is what their gateway has
    in common with other workers'.
    """

    def __init__(
        self, settings: Settings, read: Callable[[], Settings], shared: Shared | None = None
    ) -> None:
        self._settings = settings
        self._read = read
        self._shared = shared

    def load(self, kept: Kept) -> Loaded:
        """A gateway by the newest settings, going on with what *kept* has that they do not change.  Blocks.

        Raises:
            ConfigError: the settings are wrong; nothing has changed.
            OSError: a file cannot be read.
        """
        before, after = self._settings, self._read()
        refuse_open_bind(before.server.host, keyed=after.asks_for_keys)
        for name in _SETTLED:
            if getattr(before.server, name) != getattr(after.server, name):
                _LOG.warning("server.%s has changed; that takes a restart", name)
        models = served_models(after)
        good = still_good(kept, before, after)
        gateway = build_gateway(after, transport=AiohttpTransport(), kept=good, shared=self._shared)
        self._settings = after
        return Loaded(gateway, after, models)
