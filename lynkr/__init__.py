"""Send each LLM request to the cheapest model that will do it well.

The names below that mean something on their own (messages, tiers, decisions,
errors) are here at once.  Those that open sockets or files (`Gateway`,
`SyncGateway`, `Settings`, `build_gateway`) are imported when first asked for,
so that ``import lynkr`` costs little more than ``import attrs``.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Final

from lynkr.errors import (
    AllTargetsFailed,
    CapabilityError,
    CircuitOpen,
    ClientWireError,
    ConfigError,
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
from lynkr.model import (
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
from lynkr.routing.decision import Decision, Profile, Snapshot, Step, Target, Tier
from lynkr.secret import Secret

if TYPE_CHECKING:
    from lynkr.assembly import build_gateway, build_router
    from lynkr.gateway import Gateway, WireReply
    from lynkr.routing import PipelineRouter
    from lynkr.settings import Settings
    from lynkr.sync import SyncGateway

__version__ = "0.1.0"

_LAZY: Final = {
    "Gateway": "lynkr.gateway",
    "PipelineRouter": "lynkr.routing",
    "Settings": "lynkr.settings",
    "SyncGateway": "lynkr.sync",
    "WireReply": "lynkr.gateway",
    "build_gateway": "lynkr.assembly",
    "build_router": "lynkr.assembly",
}

__all__ = [
    "AllTargetsFailed",
    "CapabilityError",
    "CircuitOpen",
    "ClientWireError",
    "ConfigError",
    "Decision",
    "Gateway",
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
    """Import what does I/O only when it is asked for (PEP 562)."""
    module = _LAZY.get(name)
    if module is None:
        raise AttributeError(f"module 'lynkr' has no attribute {name!r}")
    value: object = getattr(import_module(module), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
