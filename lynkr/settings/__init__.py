"""Settings: one frozen tree, read in one place.  Environment over file over default.

.. code-block:: toml

    [tiers]                                   # provider:model[:variant], tried in order
    SIMPLE = ["local:qwen3", "openai:gpt-4.1-nano"]
    REASONING = "anthropic:claude-opus-4-5"

    [providers.local]
    kind = "openai"                           # a built-in provider's dialect, auth and profile
    base_url = "http://127.0.0.1:9000/v1"
    api_key_env = "LOCAL_KEY"

    [aliases]
    fast = "local:qwen3"

Every key has an environment variable: ``server.port`` is
``LYNKR_SERVER_PORT``; `lynkr.settings.seed` lists the older names that work too.
"""

from lynkr.process import find_file, ledger_file, prices_file, process_environment
from lynkr.settings.tree import (
    IN_MEMORY,
    ExplorationSettings,
    Notice,
    OtelSettings,
    PricingSettings,
    ProviderSettings,
    ResilienceSettings,
    ResponsesSettings,
    RoutingSettings,
    ServerSettings,
    SessionSettings,
    Settings,
    Severity,
    TelemetrySettings,
    TenantSettings,
)

__all__ = [
    "IN_MEMORY",
    "ExplorationSettings",
    "Notice",
    "OtelSettings",
    "PricingSettings",
    "ProviderSettings",
    "ResilienceSettings",
    "ResponsesSettings",
    "RoutingSettings",
    "ServerSettings",
    "SessionSettings",
    "Settings",
    "Severity",
    "TelemetrySettings",
    "TenantSettings",
    "find_file",
    "ledger_file",
    "prices_file",
    "process_environment",
]
