"""What outlasts a gateway when its settings are read again."""

from attrs import frozen

from lynkr.metering import Meter
from lynkr.resilience import BreakerRegistry
from lynkr.routing import PinStore
from lynkr.stores import ResponseStore
from lynkr.telemetry import Recorder


@frozen
class Kept:
    """What a gateway remembers from request to request; its successor may go on with it, or with a part."""

    recorder: Recorder | None = None
    breakers: BreakerRegistry | None = None
    pins: PinStore | None = None
    responses: ResponseStore | None = None
    meter: Meter | None = None
