"""``GET /metrics``, for whoever holds the key to it."""

import asyncio
from typing import Final

from lynkr.errors import ClientWireError, ConfigError
from lynkr.gateway import Gateway
from lynkr.settings import ServerSettings
from lynkr_server.access import KeyCheck, Unauthorised
from lynkr_server.colleagues import Colleagues, metrics_of
from lynkr_server.http import Incoming, send_whole

_FRESH: Final = 1.0  # seconds a scrape waits for the requests that have just ended


class MetricsOff(ClientWireError):
    """Nobody said who may read the metrics (403)."""

    def __init__(self) -> None:
        super().__init__(
            "metrics are off, because they tell what was spent: set server.metrics_key_env, or on a "
            "loopback address server.metrics_open",
            status=403,
        )


class MetricsPage:
    """Answers scrapes.

    A gateway's API keys do not open it: clients hold those.  Of several workers, any answers for all:
    its *colleagues*' counts are half a second old at most.
    """

    def __init__(self, settings: ServerSettings, colleagues: Colleagues | None = None) -> None:
        self._colleagues = colleagues
        self._on = settings.shows_metrics
        self._door = KeyCheck(settings.metrics_keys)

    async def serve(self, incoming: Incoming, gateway: Gateway) -> None:
        """Answer with the exposition.

        Raises:
            ClientWireError: the metrics are off (403), or the key is missing or wrong (401).
        """
        if not self._on:
            raise MetricsOff
        try:
            self._door.admit(incoming.headers)
        except Unauthorised as error:
            raise Unauthorised("send server.metrics_key as a bearer token") from error
        # In a thread: thousands of series take milliseconds, which open streams would feel.
        accept = incoming.headers.get("accept", "")
        body, content_type = await asyncio.to_thread(_exposition, gateway, accept, self._colleagues)
        await send_whole(incoming.send, 200, {"content-type": content_type}, body)


def _exposition(gateway: Gateway, accept: str, colleagues: Colleagues | None) -> tuple[bytes, str]:
    if gateway.observers is not None:
        gateway.observers.flush(_FRESH)
    metrics = metrics_of(gateway)
    if metrics is None:
        raise ConfigError("this gateway was made without metrics; give it a PrometheusMetrics to observe it")
    found: tuple[bytes, str] = (
        metrics.exposition(accept) if colleagues is None else colleagues.exposition(metrics, accept)
    )
    return found
