"""Whatever a settings file says, it gives settings or a `ConfigError`, and nothing else."""

import contextlib
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from lynkr.errors import ConfigError
from lynkr.settings import Settings

SECTIONS = (
    "server", "timeouts", "resilience", "telemetry", "routing", "tiers", "providers", "pricing", "profiles",
    "responses", "aliases", "tenants", "session",
)  # fmt: skip
KEYS = (
    "kind", "base_url", "api_key", "api_key_env", "local", "headers", "SIMPLE", "REASONING", "port", "host",
    "idle", "total", "path", "flagship", "breakers", "weights", "thresholds", "most", "x",
)  # fmt: skip
scalars = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=12)
    | st.sampled_from(["openai:gpt-4.1", "anthropic", "openai", "http://127.0.0.1:1", "nan", "a:b:c", "0"])
)  # fmt: skip
values = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(KEYS) | st.text(max_size=6), inner, max_size=4)
    ),
    max_leaves=10,
)
dotted = st.builds(
    ".".join,
    st.tuples(st.sampled_from(SECTIONS) | st.text(max_size=6))
    | st.tuples(st.sampled_from(SECTIONS), st.sampled_from(KEYS))
    | st.tuples(st.sampled_from(SECTIONS), st.sampled_from(["openai", "own"]), st.sampled_from(KEYS)),
)


@settings(max_examples=300)
@given(st.dictionaries(dotted, values, max_size=5))
def test_any_tree_gives_settings_or_a_configuration_error(overrides: dict[str, Any]) -> None:
    with contextlib.suppress(ConfigError):
        assert isinstance(Settings.load(None, {}, overrides=overrides), Settings)
