"""What lynkr is tested with, published for those who build on it.

`strategies` and `laws` (extra ``testing``) check a codec or a router of yours
against the laws lynkr's own obey; `simulator` is an upstream on the loopback
interface that speaks three dialects and fails on demand, `transport` the same
without a network, for `virtual_time`; `provider_contract` is a
pytest suite for a provider of yours.  Importing this package
loads none of them: a name loads its module when it is first used.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lynkr.testing import virtual_time
    from lynkr.testing.faults import (
        Script,
        cut_after,
        drip,
        error_event,
        garbage,
        ok,
        reset,
        script,
        stall,
        status,
    )
    from lynkr.testing.laws import (
        assert_body_law,
        assert_chunking_law,
        assert_cut_stream_raises,
        assert_fold_law,
        assert_losses_honest,
        assert_response_body_law,
        assert_response_losses_honest,
        assert_response_round_trip,
        assert_round_trip,
        assert_stream_losses_honest,
        assert_stream_round_trip,
        assert_tool_arguments_exact,
        check_router_laws,
        differences,
    )
    from lynkr.testing.policy import (
        LAWS,
        RouterMachine,
        Turn,
        agent_sessions,
        asks,
        assert_policy_laws,
        price_tables,
        tariffs,
    )
    from lynkr.testing.provider_contract import ProviderContract
    from lynkr.testing.replay import assert_no_regression
    from lynkr.testing.simulator import Simulator, SimulatorServer
    from lynkr.testing.strategies import (
        chunkings,
        conversations,
        decisions,
        event_streams,
        extras,
        json_values,
        messages,
        parts,
        pins,
        request_bodies,
        requests,
        response_bodies,
        responses,
        snapshots,
        targets,
        tool_calls,
        tool_specs,
        usages,
    )
    from lynkr.testing.transport import SimulatorTransport, simulated_gateway

__all__ = [
    "LAWS",
    "ProviderContract",
    "RouterMachine",
    "Script",
    "Simulator",
    "SimulatorServer",
    "SimulatorTransport",
    "Turn",
    "agent_sessions",
    "asks",
    "assert_body_law",
    "assert_chunking_law",
    "assert_cut_stream_raises",
    "assert_fold_law",
    "assert_losses_honest",
    "assert_no_regression",
    "assert_policy_laws",
    "assert_response_body_law",
    "assert_response_losses_honest",
    "assert_response_round_trip",
    "assert_round_trip",
    "assert_stream_losses_honest",
    "assert_stream_round_trip",
    "assert_tool_arguments_exact",
    "check_router_laws",
    "chunkings",
    "conversations",
    "cut_after",
    "decisions",
    "differences",
    "drip",
    "error_event",
    "event_streams",
    "extras",
    "garbage",
    "json_values",
    "messages",
    "ok",
    "parts",
    "pins",
    "price_tables",
    "request_bodies",
    "requests",
    "reset",
    "response_bodies",
    "responses",
    "script",
    "simulated_gateway",
    "snapshots",
    "stall",
    "status",
    "targets",
    "tariffs",
    "tool_calls",
    "tool_specs",
    "usages",
    "virtual_time",
]


# The names of `lynkr.testing.policy`; those of the other modules are told apart by how they begin.
_POLICY = frozenset(
    (
        "LAWS",
        "RouterMachine",
        "Turn",
        "agent_sessions",
        "asks",
        "assert_policy_laws",
        "price_tables",
        "tariffs",
    )
)
_FAULTS = frozenset(
    ("Script", "cut_after", "drip", "error_event", "garbage", "ok", "reset", "script", "stall", "status")
)


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    if name == "virtual_time":
        return import_module(f"{__name__}.virtual_time")
    if name == "ProviderContract":
        module = "provider_contract"
    elif name in _FAULTS:
        module = "faults"
    elif name in ("SimulatorTransport", "simulated_gateway"):
        module = "transport"
    elif name in _POLICY:
        module = "policy"
    elif name == "assert_no_regression":
        module = "replay"
    elif name.startswith("Simulator"):
        module = "simulator"
    elif name.startswith(("assert_", "check_")) or name == "differences":
        module = "laws"
    else:
        module = "strategies"
    return getattr(import_module(f"{__name__}.{module}"), name)
