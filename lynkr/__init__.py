"""Send each LLM request to the cheapest model that will do it well.

Every public name is imported when it is first asked for (PEP 562), so that
``import lynkr`` costs next to nothing and touches no file, network or
environment; type checkers see plain imports.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from lynkr.assembly import build_gateway, build_router
    from lynkr.errors import (
        AllTargetsFailed,
        CapabilityError,
        CircuitOpen,
        ClientWireError,
        ConfigError,
        GatewayClosed,
        LynkrError,
        RoutingError,
        UpstreamBusy,
        UpstreamError,
        UpstreamFailed,
        UpstreamRefused,
        UpstreamTimeout,
        UpstreamUnreachable,
        UpstreamWireError,
        WireError,
    )
    from lynkr.gateway import Gateway
    from lynkr.model import (
        Extras,
        Image,
        Loss,
        Message,
        Reasoning,
        Request,
        Response,
        Role,
        Sampling,
        StopReason,
        Text,
        ToolCall,
        ToolChoice,
        ToolResult,
        ToolSpec,
        Usage,
        WireFormat,
    )
    from lynkr.relay import WireReply
    from lynkr.routing import PipelineRouter
    from lynkr.routing.decision import Decision, Profile, Snapshot, Step, Target, Tier
    from lynkr.secret import Secret
    from lynkr.settings import Settings
    from lynkr.sync import SyncGateway

__version__ = "0.1.0"

_HOMES: Final = {
    "lynkr.assembly": "build_gateway build_router",
    "lynkr.errors": (
        "AllTargetsFailed CapabilityError CircuitOpen ClientWireError ConfigError GatewayClosed "
        "LynkrError RoutingError UpstreamBusy UpstreamError UpstreamFailed UpstreamRefused "
        "UpstreamTimeout UpstreamUnreachable UpstreamWireError WireError "
    ),
    "lynkr.gateway": "Gateway",
    "lynkr.model": (
        "Extras Image Loss Message Reasoning Request Response Role Sampling StopReason Text "
        "ToolCall ToolChoice ToolResult ToolSpec Usage WireFormat "
    ),
    "lynkr.relay": "WireReply",
    "lynkr.routing": "PipelineRouter",
    "lynkr.routing.decision": "Decision Profile Snapshot Step Target Tier",
    "lynkr.secret": "Secret",
    "lynkr.settings": "Settings",
    "lynkr.sync": "SyncGateway",
}
_LAZY: Final = {name: home for home, names in _HOMES.items() for name in names.split()}

__all__ = [  # a literal, for type checkers; a test keeps it equal to the table above
    "AllTargetsFailed",
    "CapabilityError",
    "CircuitOpen",
    "ClientWireError",
    "ConfigError",
    "Decision",
    "Extras",
    "Gateway",
    "GatewayClosed",
    "Image",
    "Loss",
    "LynkrError",
    "Message",
    "PipelineRouter",
    "Profile",
    "Reasoning",
    "Request",
    "Response",
    "Role",
    "RoutingError",
    "Sampling",
    "Secret",
    "Settings",
    "Snapshot",
    "Step",
    "StopReason",
    "SyncGateway",
    "Target",
    "Text",
    "Tier",
    "ToolCall",
    "ToolChoice",
    "ToolResult",
    "ToolSpec",
    "UpstreamBusy",
    "UpstreamError",
    "UpstreamFailed",
    "UpstreamRefused",
    "UpstreamTimeout",
    "UpstreamUnreachable",
    "UpstreamWireError",
    "Usage",
    "WireError",
    "WireFormat",
    "WireReply",
    "build_gateway",
    "build_router",
]


def __getattr__(name: str) -> object:
    """Import *name* from its home."""
    home = _LAZY.get(name)
    if home is None:
        raise AttributeError(f"module 'lynkr' has no attribute {name!r}")
    value: object = getattr(import_module(home), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
