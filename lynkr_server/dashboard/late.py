"""The dashboard, loaded when somebody first looks at it.

It is a quarter of the server's own modules, and most gateways that run are never looked at.
"""

import asyncio
import time
from collections.abc import Callable
from importlib import import_module
from typing import TYPE_CHECKING, Final, Protocol

from lynkr.gateway import Gateway
from lynkr.settings import Settings
from lynkr_server.colleagues import Colleagues
from lynkr_server.http import Incoming

if TYPE_CHECKING:
    from lynkr_server.dashboard.pages import Dashboard

ROOT: Final = "/dashboard"


class Pages(Protocol):
    """What answers for the dashboard's paths; see `lynkr_server.dashboard.Dashboard`."""

    def owns(self, path: str, /) -> bool: ...

    def obey(self, settings: Settings, /) -> None: ...

    async def serve(self, incoming: Incoming, gateway: Gateway, live: int, /) -> None: ...


class LateDashboard:
    """A `Dashboard` of *settings*, made at the first request for one of its paths."""

    def __init__(
        self,
        settings: Settings,
        colleagues: Colleagues | None = None,
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._settings = settings
        self._colleagues = colleagues
        self._clock = clock
        self._started = clock()
        self._made: Dashboard | None = None

    def owns(self, path: str) -> bool:
        """Whether *path* is the dashboard's to answer."""
        return path == ROOT or path.startswith(f"{ROOT}/")

    def obey(self, settings: Settings) -> None:
        """Go by *settings* from now on."""
        self._settings = settings
        if self._made is not None:
            self._made.obey(settings)

    async def serve(self, incoming: Incoming, gateway: Gateway, live: int) -> None:
        """As `Dashboard.serve`."""
        made = self._made
        if made is None:
            pages = await asyncio.to_thread(import_module, "lynkr_server.dashboard.pages")
            made = self._made or pages.Dashboard(
                self._settings, colleagues=self._colleagues, clock=self._clock, started=self._started
            )
            self._made = made
        await made.serve(incoming, gateway, live)
