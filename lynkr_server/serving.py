"""Settings -> the application that serves by them, with its gateway made."""

from collections.abc import Callable

from lynkr.assembly import build_gateway, served_models
from lynkr.providers import AiohttpTransport
from lynkr.settings import Settings
from lynkr.shared import Shared
from lynkr_server import collector
from lynkr_server.app import App
from lynkr_server.colleagues import Colleagues
from lynkr_server.dashboard.late import LateDashboard
from lynkr_server.reload import Reloader


def app_of(settings: Settings, read: Callable[[], Settings], *, shared: Shared | None = None) -> App:
    """The application; *read* gives newer settings, *shared* is what it has in common with other workers.

    The gateway is made here and not when the loop runs, so that what is wrong is said in one line;
    nothing is opened on the network until the first request.

    Raises:
        ConfigError: a part of the gateway cannot be made.
    """
    gateway = build_gateway(settings, transport=AiohttpTransport(), shared=shared)
    colleagues = None if shared is None else Colleagues(shared)
    return App(
        lambda: gateway,
        settings.server,
        models=served_models(settings),
        tenants=settings.tenants,
        dashboard=LateDashboard(settings, colleagues),
        reloader=Reloader(settings, read, shared),
        retired=collector.settle,
        colleagues=colleagues,
    )
