"""Bound the calls under way to each provider."""

from typing import Final

from lynkr.errors import BulkheadFull
from lynkr.layers.streams import watched
from lynkr.resilience.bulkhead import Bulkheads
from lynkr.service import Call, Layer, Reply, Service

_COME_BACK: Final = 1.0


def bulkhead(bulkheads: Bulkheads) -> Layer:
    """A layer that refuses a call to a provider which has its limit of them under way.

    Refused at once, so that the next target is asked: waiting is the queue's
    business at the gateway's door.  A place is held until the answer's stream
    has ended.  Goes inside the breaker.

    Raises:
        BulkheadFull: there is no place; nothing was sent.
    """

    def layer(service: Service) -> Service:
        async def send(call: Call) -> Reply:
            provider = call.target.provider
            if provider not in bulkheads.limits:
                return await service(call)
            if not bulkheads.enter(provider):
                raise BulkheadFull(
                    f"{call.target}: {bulkheads.limits[provider]} calls to {provider} are under way, "
                    f"the most allowed (providers.{provider}.max_in_flight)",
                    target=str(call.target),
                    retry_after=_COME_BACK,
                )

            def leave(_: BaseException | None, _whole: bool) -> None:
                bulkheads.leave(provider)

            try:
                reply = await service(call)
            except BaseException:
                bulkheads.leave(provider)
                raise
            return watched(reply, leave)

        return send

    return layer
