"""Hold back from a credential that is being rate limited."""

import random as _random
import time
from collections.abc import Callable
from typing import Final

from lynkr.errors import LynkrError, Throttled, UpstreamError
from lynkr.resilience.throttle import Throttles
from lynkr.service import Call, Layer, Reply, Service

_RATE_LIMITED: Final = frozenset({429, 529})
_COME_BACK: Final = 1.0


def throttle(
    throttles: Throttles,
    *,
    monotonic: Callable[[], float] = time.monotonic,
    random: Callable[[], float] = _random.random,
) -> Layer:
    """A layer that refuses some calls here which the provider would most likely turn away with 429 or 529.

    Goes inside the breaker.  *random* draws from [0, 1).  A *forced* call is counted, not refused.

    Raises:
        Throttled: held back; nothing was sent.
    """

    def layer(service: Service) -> Service:
        async def send(call: Call) -> Reply:
            throttle = throttles.throttle(call.target.provider)
            if not call.forced and not throttle.admits(monotonic(), random()):
                raise Throttled(
                    f"{call.target}: held back, because {call.target.provider} is turning requests away",
                    target=str(call.target),
                    retry_after=_COME_BACK,
                )
            try:
                reply = await service(call)
            except LynkrError as error:
                limited = isinstance(error, UpstreamError) and error.status in _RATE_LIMITED
                throttle.settle(monotonic(), accepted=not limited)
                raise
            throttle.settle(monotonic(), accepted=True)
            return reply

        return send

    return layer
