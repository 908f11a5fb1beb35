"""Reading settings: precedence, refusals, and what goes without saying."""

import textwrap
from decimal import Decimal
from pathlib import Path
from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lynkr.assembly import build_breakers
from lynkr.errors import ConfigError
from lynkr.layers.breaker import SLOW_AFTER
from lynkr.pricing.price import Price
from lynkr.providers.base import Timeouts
from lynkr.providers.setup import Cloud
from lynkr.resilience.breaker import BreakerConfig
from lynkr.resilience.budget import BudgetConfig
from lynkr.resilience.protocols import BreakerState
from lynkr.resilience.retry import FullJitter
from lynkr.routing.decision import Profile, Target, Tier
from lynkr.secret import Secret
from lynkr.settings import (
    IN_MEMORY,
    PricingSettings,
    ResilienceSettings,
    ServerSettings,
    Settings,
    TelemetrySettings,
    find_file,
    ledger_file,
)
from lynkr.settings.checks import lacks_credentials

CANARY = "sk-canary-7f3a9"

# Every scalar key of the plain sections: (section, key, a value that is not the default).
_PLAIN = [
    ("server", "host", "localhost"),
    ("server", "metrics_open", True),
    ("server", "port", 4000),
    ("server", "max_body_bytes", 1000),
    ("server", "max_header_bytes", 1000),
    ("server", "max_in_flight", 7),
    ("server", "max_json_depth", 40),
    ("server", "max_messages", 300),
    ("server", "max_tools", 90),
    ("server", "max_streams", 8),
    ("server", "max_queued", 9),
    ("server", "queue_seconds", 1.5),
    ("server", "max_hops", 6),
    ("server", "drain_seconds", 2.5),
    ("server", "drain_delay_seconds", 2.25),
    ("server", "workers", 2),
    ("server", "ping_seconds", 3.5),
    ("timeouts", "connect", 1.5),
    ("timeouts", "first_byte", 2.5),
    ("timeouts", "first_token", 5.5),
    ("timeouts", "idle", 3.5),
    ("timeouts", "total", 4.5),
    ("resilience", "max_attempts", 5),
    ("resilience", "base_delay", 0.25),
    ("resilience", "max_delay", 9.5),
    ("resilience", "longest_wait", 8.5),
    ("resilience", "budget_ratio", 0.5),
    ("resilience", "budget_reserve", 7),
    ("resilience", "budget_ttl", 6.5),
    ("resilience", "breaker_window", 30.5),
    ("resilience", "breaker_min_calls", 4),
    ("resilience", "breaker_failure_ratio", 0.25),
    ("resilience", "breaker_failures", 9),
    ("resilience", "breaker_slow_ratio", 0.75),
    ("resilience", "breaker_slow_after", 12.5),
    ("resilience", "breaker_open_for", 1.25),
    ("resilience", "breaker_longest_open", 99.5),
    ("resilience", "breaker_probes", 2),
    ("resilience", "breaker_slow_start", 3.5),
    ("resilience", "breaker_path", "/tmp/breakers.sqlite3"),
    ("resilience", "breaker_stale", 0.5),
    ("resilience", "throttle", False),
    ("resilience", "hedge", True),
    ("resilience", "hedge_delay", 2.25),
    ("resilience", "hedge_cost_cap_usd", 0.5),
    ("telemetry", "path", "/tmp/ledger.sqlite3"),
    ("telemetry", "record_text", True),
    ("telemetry", "log_requests", True),
    ("telemetry", "queue_size", 11),
    ("telemetry", "batch_size", 12),
    ("telemetry", "retention_days", 13.5),
    ("telemetry", "retention_rows", 14),
    ("otel", "enabled", True),
    ("otel", "endpoint", "http://collector:4318"),
    ("otel", "service_name", "gateway"),
    ("otel", "traces", False),
    ("otel", "metrics", False),
    ("otel", "metrics_interval", 5.0),
    ("otel", "sample", 0.5),
    ("otel", "accept", False),
    ("otel", "propagate", False),
    ("pricing", "flagship", "openai:gpt-4o"),
    ("pricing", "path", "/tmp/prices.json"),
]


def _toml(value: object) -> str:
    return (
        str(value).lower()
        if isinstance(value, bool)
        else f'"{value}"'
        if isinstance(value, str)
        else str(value)
    )


def _plainly(value: object) -> object:
    return str(value) if isinstance(value, Path | Target) else value


@pytest.fixture
def write(tmp_path: Path):
    def write(text: str) -> Path:
        path = tmp_path / "lynkr.toml"
        path.write_text(textwrap.dedent(text), encoding="utf-8")
        return path

    return write


@pytest.fixture(scope="module")
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One file that Hypothesis examples overwrite."""
    return tmp_path_factory.mktemp("settings") / "lynkr.toml"


def refusal(path: Path | None, environ: dict[str, str] | None = None, **overrides: Any) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        Settings.load(path, environ or {}, overrides=overrides.get("overrides", {}))
    return str(caught.value).splitlines()


# --- precedence ---------------------------------------------------------------------------------


@given(
    setting=st.sampled_from(_PLAIN), sources=st.sets(st.sampled_from(["file", "environment", "command line"]))
)
def test_command_line_beats_environment_beats_file_beats_default(scratch, setting, sources):
    section, key, value = setting
    default = _plainly(getattr(getattr(Settings(), section), key))
    scratch.write_text(
        f"[{section}]\n{key} = {_toml(value)}\n" if "file" in sources else "", encoding="utf-8"
    )
    # The environment and the command line give other values than the file, so that each can be told apart.
    environment, command_line = _variations(value)
    environ = (
        {f"LYNKR_{section}_{key}".upper(): _toml(environment).strip('"')} if "environment" in sources else {}
    )
    overrides = {f"{section}.{key}": command_line} if "command line" in sources else {}

    settings = Settings.load(scratch, environ, overrides=overrides)

    expected = default
    for source, given_value in (
        ("file", value),
        ("environment", environment),
        ("command line", command_line),
    ):
        if source in sources:
            expected = given_value
    assert _plainly(getattr(getattr(settings, section), key)) == expected
    untouched = {
        (s, a.name): getattr(getattr(settings, s), a.name)
        for s in ("server", "timeouts", "resilience", "telemetry", "otel", "pricing")
        for a in attrs.fields(type(getattr(settings, s)))
        if (s, a.name) != (section, key)
    }
    assert all(v == getattr(getattr(Settings(), s), name) for (s, name), v in untouched.items())


def _variations(value: Any) -> tuple[Any, Any]:
    if isinstance(value, bool):
        return not value, value
    if isinstance(value, str):
        return (value, value) if value == "localhost" else (f"{value}-b", f"{value}-c")
    if isinstance(value, float) and value < 1:
        return value / 2, value / 4
    return (1, 3) if value == 2 else (value + 1, value + 2)


def test_every_plain_key_is_in_the_precedence_test():
    listed = {(section, key) for section, key, _ in _PLAIN}
    special = {
        ("server", "api_key"),
        ("server", "api_key_env"),
        ("server", "api_keys"),
        ("server", "admin_key"),
        ("server", "admin_key_env"),
        ("server", "metrics_key"),
        ("server", "metrics_key_env"),
        ("pricing", "overrides"),
        ("resilience", "breakers"),
        ("otel", "headers"),
        ("otel", "content"),  # needs telemetry.record_text too
    }
    all_keys = {
        (section, attribute.name)
        for section in ("server", "timeouts", "resilience", "telemetry", "otel", "pricing")
        for attribute in attrs.fields(type(getattr(Settings(), section)))
    }
    assert all_keys - special == listed


def test_nothing_set_gives_the_defaults():
    settings = Settings.load(None, {})
    assert settings == Settings()
    assert (settings.server.host, settings.server.port) == ("127.0.0.1", 8081)
    assert settings.server.max_body_bytes == 32 * 1024 * 1024
    assert settings.server.ping_seconds == 15


def test_resilience_defaults_are_those_of_the_resilience_package():
    ours, breaker, retry = ResilienceSettings(), BreakerConfig(), FullJitter()
    assert (ours.breaker_window, ours.breaker_min_calls) == (breaker.window, breaker.min_calls)
    assert ours.breaker_failure_ratio == breaker.failure_ratio
    assert ours.breaker_failures == breaker.consecutive_failures
    assert (ours.breaker_open_for, ours.breaker_longest_open) == (breaker.open_for, breaker.longest_open)
    assert (ours.breaker_probes, ours.breaker_slow_start) == (breaker.probes, breaker.slow_start)
    assert (ours.breaker_slow_ratio, ours.breaker_slow_after) == (breaker.slow_ratio, SLOW_AFTER)
    assert (ours.base_delay, ours.max_delay, ours.max_attempts) == (retry.base, retry.cap, retry.max_attempts)
    assert ours.longest_wait == retry.longest_hint
    assert BudgetConfig(ours.budget_ratio, ours.budget_reserve, ours.budget_ttl) == BudgetConfig()


def test_breakers_are_forced_by_name(write):
    path = write("""
        [resilience.breakers]
        "openai:gpt-4o" = "forced_open"
        "anthropic:*" = "metrics_only"
    """)
    forced = {
        Target("openai", "gpt-4o"): BreakerState.FORCED_OPEN,
        Target("anthropic", "*"): BreakerState.METRICS_ONLY,
    }
    assert Settings.load(path, {}).resilience.breakers == forced
    settings = Settings.load(None, {"LYNKR_RESILIENCE_BREAKERS": '{"openai:gpt-4o": "disabled"}'})
    breakers = build_breakers(settings.resilience)
    assert breakers.breaker("openai:gpt-4o").state(0.0) is BreakerState.DISABLED
    with pytest.raises(ConfigError, match="forced_open"):
        Settings.load(None, {"LYNKR_RESILIENCE_BREAKERS": '{"openai:gpt-4o": "open"}'})


def test_an_empty_variable_counts_as_unset(write):
    path = write("[server]\nport = 4000\n")
    assert Settings.load(path, {"LYNKR_SERVER_PORT": " ", "PORT": ""}).server.port == 4000


def test_the_issues_example_loads(write):
    path = write("""
        [tiers]
        SIMPLE = ["local:qwen3"]
        REASONING = ["anthropic:claude-opus-4-5"]
        [providers.local]
        kind = "openai"
        base_url = "http://127.0.0.1:9000/v1"
        api_key_env = "LOCAL_KEY"
        [aliases]
        fast = "local:qwen3"
        [server]
        host = "127.0.0.1"
        port = 8081
    """)
    settings = Settings.load(path, {"LOCAL_KEY": CANARY})
    local = Target("local", "qwen3")
    assert settings.tiers == {
        Tier.SIMPLE: (local,),
        Tier.REASONING: (Target("anthropic", "claude-opus-4-5"),),
    }
    assert settings.aliases == {"fast": local}
    assert settings.providers["local"].kind == "openai"
    assert settings.providers["local"].api_key == Secret(CANARY)
    assert settings.providers["local"].local is True
    assert settings.providers["anthropic"].kind == "anthropic"
    assert settings.source == path
    assert settings.targets() == (local, Target("anthropic", "claude-opus-4-5"))


def test_prices_are_exact_and_profiles_are_read(write):
    path = write("""
        [pricing.overrides."openai:gpt-x"]
        input = 0.1
        output = 3
        cache_read = 0.01
        tiers = [{above = 200000, input = 0.2, output = 6}]
        [profiles."ollama:qwen3:8b"]
        context_window = 8192
        vision = false
    """)
    settings = Settings.load(path, {})
    dearer = Price(Decimal("0.2"), Decimal(6))
    expected = Price(Decimal("0.1"), Decimal(3), Decimal("0.01"), tiers=((200_000, dearer),))
    assert settings.pricing.overrides == {Target("openai", "gpt-x"): expected}
    assert settings.profiles == {Target("ollama", "qwen3:8b"): Profile(context_window=8192, vision=False)}


def test_tables_can_be_set_as_json_in_the_environment():
    environ = {
        "LYNKR_PRICING_OVERRIDES": '{"openai:gpt-x": {"input": 0.1, "output": 2}}',
        "LYNKR_PROVIDERS_OPENAI_HEADERS": '{"x-team": "blue"}',
    }
    settings = Settings.load(None, environ)
    assert settings.pricing.overrides[Target("openai", "gpt-x")].input == Decimal("0.1")
    assert settings.providers["openai"].headers == {"x-team": Secret("blue")}
    line = refusal(None, {"LYNKR_PRICING_OVERRIDES": "{"})[0]
    assert line.startswith(
        "environment variable LYNKR_PRICING_OVERRIDES: pricing.overrides is not a JSON object"
    )


def test_a_providers_timeouts_add_to_the_general_ones(write):
    path = write("""
        [timeouts]
        idle = 50
        total = "none"
        [providers.ollama.timeouts]
        first_byte = 900
    """)
    settings = Settings.load(path, {"LYNKR_TIMEOUTS_CONNECT": "2"})
    assert settings.timeouts == Timeouts(connect=2, idle=50, total=None)
    assert settings.providers["ollama"].timeouts == Timeouts(connect=2, first_byte=900, idle=50, total=None)


def test_environment_names_reach_a_providers_keys_as_the_file_spells_them(write):
    path = write("""
        [providers.my-host]
        kind = "openai"
        base_url = "https://example.org/v1"
    """)
    environ = {"LYNKR_PROVIDERS_MY_HOST_API_KEY": CANARY, "LYNKR_PROVIDERS_MY_HOST_TIMEOUTS_IDLE": "5"}
    provider = Settings.load(path, environ).providers["my-host"]
    assert provider.api_key == Secret(CANARY)
    assert provider.timeouts.idle == 5


def test_a_provider_can_come_from_the_environment_alone():
    environ = {
        "LYNKR_PROVIDERS_LOCAL_KIND": "openai",
        "LYNKR_PROVIDERS_LOCAL_BASE_URL": "http://127.0.0.1:9000/v1",
        "LYNKR_TIERS_SIMPLE": "local:a, local:b",
        "LYNKR_ALIASES_FAST": "local:a",
        "LYNKR_DEFAULT": "local:b",
    }
    settings = Settings.load(None, environ)
    assert settings.tiers == {Tier.SIMPLE: (Target("local", "a"), Target("local", "b"))}
    assert settings.aliases == {"fast": Target("local", "a")}
    assert settings.default == Target("local", "b")
    assert settings.providers["local"].base_url == "http://127.0.0.1:9000/v1"


# --- refusals -----------------------------------------------------------------------------------


@given(
    setting=st.sampled_from([s for s in _PLAIN if s[0] != "timeouts"]),
    slip=st.integers(0, 30),
    source=st.sampled_from(["file", "environment"]),
)
def test_a_misspelt_key_is_refused_with_its_origin_and_the_right_name(scratch, setting, slip, source):
    section, key, value = setting
    at = slip % (len(key) - 1)
    misspelt = key[:at] + key[at + 1] + key[at] + key[at + 2 :]  # two letters changed places
    if misspelt == key:
        return
    scratch.write_text(
        f"[{section}]\n{misspelt} = {_toml(value)}\n" if source == "file" else "", encoding="utf-8"
    )
    variable = f"LYNKR_{section}_{misspelt}".upper()
    (line,) = refusal(scratch, {variable: "1"} if source == "environment" else {})
    origin = str(scratch) if source == "file" else f"environment variable {variable}"
    assert line.startswith(f"{origin}: {section}.{misspelt} is not a known key")
    assert f'did you mean "{key}"?' in line


@pytest.mark.parametrize(
    ("text", "key", "complaint"),
    [
        ("serveur = 1", "serveur", 'did you mean "server"?'),
        ("[server]\nport = true", "server.port", "is not a whole number"),
        ('[server]\nport = "8081"', "server.port", "without quotes"),
        ("[server]\nport = 65536", "server.port", "1 to 65535"),
        ("[server]\nport = -1", "server.port", "below zero"),
        ("server = 3", "server", "is not a table"),
        ("[server]\nhost = 5", "server.host", "in quotes"),
        ("[server]\nmax_in_flight = 0", "server.max_in_flight", "more than 0"),
        ("[server]\ndrain_seconds = nan", "server.drain_seconds", "is not a number"),
        ("[server]\ndrain_seconds = inf", "server.drain_seconds", "is not a number"),
        ("[timeouts]\nidle = 0", "timeouts.idle", "more than 0"),
        ('[timeouts]\ntotal = "soon"', "timeouts.total", '"none" for no limit'),
        ("[telemetry]\nrecord_text = 1", "telemetry.record_text", "write true or false"),
        ('tiers = "x"', "tiers", "is not a table"),
        ("[tiers]\nSIMPEL = 'ollama:a'", "tiers.SIMPEL", 'did you mean "SIMPLE"?'),
        ("[tiers]\nSIMPLE = 'llama3'", "tiers.SIMPLE", "is not provider:model"),
        ("[tiers]\nSIMPLE = []", "tiers.SIMPLE", '"provider:model"'),
        ("[tiers]\nSIMPLE = [3]", "tiers.SIMPLE", "is not text"),
        ("[tiers]\nSIMPLE = ['olama:a']", "tiers.SIMPLE", 'did you mean "ollama"?'),
        ("[tiers]\nSIMPLE = ['acme:a']", "tiers.SIMPLE", "[providers.acme]"),
        ("[tiers]\nSIMPLE = ['codex:a']", "tiers.SIMPLE", "does not support"),
        ("default = 'acme:a'", "default", "not configured"),
        ("[aliases]\nfast = 'acme:a'", "aliases.fast", "not configured"),
        ("[providers.x]\nbase_url = 'http://h/v1'", "providers.x.kind", "is missing"),
        ("[providers.x]\nkind = 'opnai'", "providers.x.kind", 'did you mean "openai"?'),
        ("[providers.x]\nkind = 'openai-compatible'", "providers.x.base_url", "is missing"),
        ("[tiers]\nSIMPLE = ['openai-compatible:a']", "tiers.SIMPLE", "not configured"),
        ("[providers.x]\nkind = 'codex'", "providers.x.kind", "does not support"),
        ("[providers.'a:b']\nkind = 'openai'", 'providers."a:b"', "without colons"),
        ("providers = 3", "providers", "is not a table"),
        ("[providers]\nopenai = 3", "providers.openai", "is not a table"),
        ("[providers.openai]\nbase_url = 'ftp://h'", "providers.openai.base_url", "http or https"),
        ("[providers.openai]\nbase_url = 'localhost:9000'", "providers.openai.base_url", "http or https"),
        ("[providers.openai]\nbase_url = 'http://[::1'", "providers.openai.base_url", "is not a URL"),
        ("[providers.openai]\nbase_url = 'http://h/v1?a=b'", "providers.openai.base_url", "query"),
        ("[providers.openai]\nheaders = {a = 1}", "providers.openai.headers.a", "is not text"),
        ("[pricing]\nflagship = 'opus'", "pricing.flagship", "provider:model"),
        ("[pricing.overrides.gpt]\ninput=1\noutput=1", "pricing.overrides.gpt", "provider:model"),
        ("[pricing.overrides.'a:b']\ninput=1", 'pricing.overrides."a:b".output', "is missing"),
        ("[pricing.overrides.'a:b']\ninput=-1\noutput=1", 'pricing.overrides."a:b".input', "below zero"),
        (
            "[pricing.overrides.'a:b']\ninput=1\noutput=1\ntiers=3",
            'pricing.overrides."a:b".tiers',
            "not a list",
        ),
        ("[profiles.'a:b']\nvison = true", 'profiles."a:b".vison', 'did you mean "vision"?'),
        ("[resilience]\nbreaker_failure_ratio = 2", "resilience.breaker_failure_ratio", "up to 1"),
        ("[resilience]\nbreaker_probes = 4", "resilience.breaker_probes", "1, 2 or 3"),
        ("[server]\nhost = '0.0.0.0'", "server.host", "LYNKR_SERVER_API_KEY"),
    ],
)
def test_a_wrong_value_is_refused_naming_file_key_and_fix(write, text, key, complaint):
    path = write(text)
    matching = [line for line in refusal(path) if line.startswith(f"{path}: {key} ")]
    assert matching, refusal(path)
    assert any(complaint in line for line in matching)
    assert all("; " in line for line in matching)


def test_all_problems_are_told_at_once(write):
    path = write("""
        [server]
        port = "x"
        prot = 1
        [tiers]
        SIMPLE = "acme:a"
        [providers.openai]
        base_url = "nowhere"
    """)
    lines = refusal(path, {"LYNKR_TIMEOUTS_IDLE": "soon", "LYNKR_SERVER_HOSTT": "x"})
    told = " ".join(lines)
    for key in ("server.port", "server.prot", "tiers.SIMPLE", "providers.openai.base_url", "timeouts.idle"):
        assert f": {key} " in told
    assert "environment variable LYNKR_TIMEOUTS_IDLE: timeouts.idle is not a number" in told
    assert "environment variable LYNKR_SERVER_HOSTT: server.hostt is not a known key" in told
    assert len(lines) == 6


def test_a_missing_file_a_folder_and_bad_toml_are_one_line_each(tmp_path, write):
    missing = tmp_path / "none.toml"
    assert refusal(missing) == [
        f"{missing}: the settings file cannot be read (No such file or directory); check the path"
    ]
    assert "cannot be read" in refusal(tmp_path)[0]
    bad = write("[server\nport = 1")
    (line,) = refusal(bad)
    assert line.startswith(f"{bad}: the settings file is not TOML: ")
    assert "line 1" in line
    bad.write_bytes(b"\xff")
    assert "not UTF-8 (byte 0)" in refusal(bad)[0]


def test_variables_that_only_look_like_ours_are_left_alone_with_a_word():
    settings = Settings.load(None, {"LYNKR_HOME": "x", "LYNKR_SERVER": "y", "LYNKR_DEFAUL": "z"})
    assert settings == Settings()
    assert [(n.key, n.message) for n in settings.ignored] == [
        ("LYNKR_DEFAUL", "means nothing here; did you mean LYNKR_DEFAULT?")
    ]


def test_an_api_key_variable_may_be_named_like_one_of_ours(write):
    path = write("""
        [server]
        api_key_env = "LYNKR_SERVER_TOKEN"
        host = "0.0.0.0"
    """)
    settings = Settings.load(path, {"LYNKR_SERVER_TOKEN": CANARY})
    assert settings.server.accepted_keys == (Secret(CANARY),)
    assert settings.ignored == ()


# --- secrets ------------------------------------------------------------------------------------


def test_only_a_loopback_address_needs_no_key():
    for host in ("127.0.0.1", "127.8.8.8", "::1", "[::1]", "localhost"):
        assert Settings.load(None, {"LYNKR_SERVER_HOST": host}).server.host == host
    for host in (
        "0.0.0.0",
        "::",
        "192.168.1.2",
        "example.org",
        "127.0.0.1.example.org",
        "localhost.example.org",
    ):
        (line,) = refusal(None, {"LYNKR_SERVER_HOST": host})
        assert "environment variable LYNKR_SERVER_HOST: server.host is an address others can reach" in line
        assert Settings.load(None, {"LYNKR_SERVER_HOST": host, "LYNKR_SERVER_API_KEY": CANARY})
    (line,) = refusal(None, overrides={"server.host": "0.0.0.0"})
    assert line.startswith("option --host: server.host ")


def test_the_environment_stands_above_a_key_in_the_file(write):
    path = write("""
        [providers.openai]
        api_key = "from-file"
        [providers.other]
        kind = "openai"
        base_url = "https://example.org/v1"
        api_key = "from-file"
        api_key_env = "OTHER_KEY"
    """)
    assert Settings.load(path, {}).providers["openai"].api_key == Secret("from-file")
    settings = Settings.load(path, {"OTHER_KEY": "from-environment"})
    assert settings.providers["other"].api_key == Secret("from-environment")
    assert Settings.load(path, {}).providers["other"].api_key == Secret("from-file")
    own = {"OPENAI_API_KEY": "older", "LYNKR_PROVIDERS_OPENAI_API_KEY": "own"}
    assert Settings.load(path, own).providers["openai"].api_key == Secret("own")
    settings = Settings.load(path, {"OPENAI_API_KEY": "from-environment"})
    assert settings.providers["openai"].api_key == Secret("from-environment")


def test_a_built_ins_key_is_not_sent_to_another_host(write):
    path = write("""
        [providers.mirror]
        kind = "openai"
        base_url = "https://example.org/v1"
        [providers.anthropic]
        kind = "openai"
        base_url = "https://example.net/v1"
    """)
    settings = Settings.load(path, {"OPENAI_API_KEY": CANARY, "ANTHROPIC_API_KEY": CANARY})
    assert settings.providers["mirror"].api_key is None
    assert settings.providers["anthropic"].api_key is None
    assert settings.providers["openai"].api_key == Secret(CANARY)


_SLOTS = [
    "[server]\napi_key = {}",
    "[server]\napi_keys = [{}]",
    "[providers.openai]\napi_key = {}",
    "[providers.x]\nkind = 'openai'\napi_key = {}\nbase_url = 'http://u:" + CANARY + "@h/v1'",
    "[providers.x]\nkind = 'openai'\nbase_url = {}",
    "[providers.openai]\nheaders = {{authorization = {}}}",
]
_FAULTS = ["", "[timeouts]\nidle = 0", "[telemetry]\npath = 3", "[tiers]\nSIMPLE = 'acme:a'"]
_SPELLINGS = [f'"{CANARY}"', f'["{CANARY}"]', f'{{a = "{CANARY}"}}', f'"{CANARY}\\u0000"']


@given(slot=st.sampled_from(_SLOTS), spelling=st.sampled_from(_SPELLINGS), fault=st.sampled_from(_FAULTS))
def test_a_key_is_never_shown_whatever_is_wrong(scratch, slot, spelling, fault):
    scratch.write_text(f"{slot.format(spelling)}\n{fault}\n", encoding="utf-8")
    environ = {"ANTHROPIC_API_KEY": CANARY, "LYNKR_SERVER_PORT": CANARY, "LYNKR_TIERS_SIMPLE": "ollama:a"}
    with pytest.raises(ConfigError) as caught:
        Settings.load(scratch, environ)
    assert CANARY not in str(caught.value) + repr(caught.value)
    try:
        settings = Settings.load(scratch, {"ANTHROPIC_API_KEY": CANARY})
    except ConfigError as error:
        shown = str(error) + repr(error)
    else:
        shown = f"{settings} {settings!r} {settings.warnings()}"
        assert settings.providers["anthropic"].api_key == Secret(CANARY)
    assert CANARY not in shown


# --- the tree itself ----------------------------------------------------------------------------


def test_the_tree_is_read_only():
    settings = Settings.load(None, {"TIER_SIMPLE": "ollama:a"})
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        settings.default = None
    for mapping in (settings.tiers, settings.providers, settings.aliases, settings.profiles):
        with pytest.raises(TypeError):
            mapping["x"] = 1


@pytest.mark.parametrize(
    ("build", "complaint"),
    [
        (lambda: ServerSettings(port=70_000), "not a port"),
        (lambda: ResilienceSettings(max_attempts=0), "more than 0"),
        (lambda: TelemetrySettings(queue_size=0), "more than 0"),
    ],
)
def test_a_tree_built_by_hand_is_checked_too(build, complaint):
    with pytest.raises(ValueError, match=complaint):
        build()


def test_a_subclass_loads_as_itself():
    @attrs.frozen
    class Own(Settings):
        extra: str = "x"

    assert isinstance(Own.load(None, {}), Own)


def test_serving_puts_the_ledger_into_the_state_directory_unless_told_otherwise():
    environ = {"HOME": "/home/u"}
    settings = Settings.load(None, environ)
    assert settings.telemetry.path is None
    served = Path("/home/u/.local/state/lynkr/ledger.sqlite3")
    assert settings.for_serving(environ).telemetry.file == served
    assert settings.for_serving({"XDG_STATE_HOME": "/s"}).telemetry.file == Path("/s/lynkr/ledger.sqlite3")
    assert settings.for_serving({}).telemetry.file is None
    in_memory = Settings.load(None, {"LYNKR_TELEMETRY_PATH": ":memory:"})
    assert in_memory.telemetry.path == IN_MEMORY
    assert in_memory.for_serving(environ).telemetry.file is None
    own = Settings.load(None, {"LYNKR_TELEMETRY_PATH": "/x/l.db"})
    assert own.for_serving(environ).telemetry.file == Path("/x/l.db")
    assert ledger_file({"XDG_STATE_HOME": "relative", "HOME": "/home/u"}) == served


def test_the_file_is_found_by_name_or_in_the_configuration_directory_never_in_the_working_one(
    tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "lynkr.toml").touch()
    assert find_file({"HOME": str(tmp_path)}) is None
    assert find_file({}) is None
    assert find_file({"LYNKR_CONFIG": "x.toml"}) == Path("x.toml")
    config = tmp_path / ".config" / "lynkr" / "lynkr.toml"
    config.parent.mkdir(parents=True)
    config.touch()
    assert find_file({"HOME": str(tmp_path)}) == config
    assert find_file({"XDG_CONFIG_HOME": str(tmp_path / ".config")}) == config


def test_from_process_reads_this_process(tmp_path, monkeypatch):
    config = tmp_path / "own.toml"
    config.write_text("[server]\nport = 4001\n", encoding="utf-8")
    monkeypatch.setenv("LYNKR_CONFIG", str(config))
    monkeypatch.setenv("LYNKR_SERVER_PING_SECONDS", "4")
    settings = Settings.from_process(overrides={"server.port": 4002})
    assert (settings.server.port, settings.server.ping_seconds) == (4002, 4)
    assert settings.source == config


def test_the_flagship_needs_no_provider():
    assert Settings.load(None, {"LYNKR_PRICING_FLAGSHIP": "acme:best"}).pricing == PricingSettings(
        Target("acme", "best")
    )


@pytest.mark.parametrize("kind", ["bedrock", "bedrock-anthropic"])
def test_a_provider_at_aws_needs_nothing_but_a_target_that_names_it(kind):
    environ = {"TIER_SIMPLE": f"{kind}:amazon.nova-lite-v1:0", "AWS_REGION": "eu-west-1"}
    settings = Settings.load(None, environ)
    provider = settings.providers[kind]
    assert provider.cloud == Cloud(region="eu-west-1")
    assert not lacks_credentials(provider)


def test_the_region_is_the_settings_own_then_bedrocks_then_that_of_aws():
    environ = {"TIER_SIMPLE": "bedrock:m", "AWS_REGION": "a-1", "AWS_DEFAULT_REGION": "b-1"}
    assert Settings.load(None, environ).providers["bedrock"].region == "a-1"
    environ["AWS_BEDROCK_REGION"] = "c-1"
    assert Settings.load(None, environ).providers["bedrock"].region == "c-1"
    environ["LYNKR_PROVIDERS_BEDROCK_REGION"] = "d-1"
    assert Settings.load(None, environ).providers["bedrock"].region == "d-1"


@pytest.mark.parametrize("name", ["AWS_BEDROCK_API_KEY", "AWS_BEARER_TOKEN_BEDROCK"])
def test_bedrocks_key_has_two_names(name):
    settings = Settings.load(None, {"TIER_SIMPLE": "bedrock:m", name: "k"})
    assert settings.providers["bedrock"].api_key == Secret("k")
