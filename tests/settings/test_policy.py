"""The tables that say how requests are routed: read, checked, shown, and acting."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lynkr.assembly import build_pins, build_router, constraints_of
from lynkr.errors import ConfigError
from lynkr.layers.sqlite_pins import SqlitePins
from lynkr.model import Message, Request
from lynkr.routing import Constraints, MemoryPins, RequestContext, Snapshot, Target
from lynkr.routing.constraints import ban_of, tightened
from lynkr.settings import Settings, Severity

FILE = """
[tiers]
SIMPLE = ["ollama:small", "ollama:tiny"]
COMPLEX = ["ollama:large"]

[routing]
blocked = ["ollama:tiny"]
deadline = 20

[tenants.acme]
allowed = ["ollama:small"]
request_budget_usd = 0.5
deadline = 60.5

[tenants."a-b"]
blocked = ["ollama:*"]

[sessions]
path = "pins.sqlite3"
ttl = 60
most = 5
margin = 0.25

[exploration]
share = 0.1
"""
TARGETS = [Target.parse(name) for name in ("a:x", "a:y", "b:x", "c:*x")]
PATTERNS = st.frozensets(st.sampled_from(("a:*", "a:x", "b:*", "b:x", "c:x", "d:*")), max_size=4)
RULES = st.builds(
    Constraints,
    deadline_seconds=st.none() | st.sampled_from((1.0, 2.0)),
    budget_microusd=st.none() | st.sampled_from((0.0, 3.0)),
    allowed=st.none() | PATTERNS,
    blocked=PATTERNS,
)


@pytest.fixture
def settings(tmp_path):
    path = tmp_path / "lynkr.toml"
    path.write_text(FILE)
    return Settings.load(path, {})


def test_every_table_is_read_and_acts(settings):
    constraints = constraints_of(settings)
    assert constraints(RequestContext()) == Constraints(20.0, None, None, frozenset({"ollama:tiny"}))
    assert constraints(RequestContext(tenant="acme")) == Constraints(
        20.0, 500_000.0, frozenset({"ollama:small"}), frozenset({"ollama:tiny"})
    )
    assert constraints(RequestContext(tenant="nobody")) == constraints(RequestContext())
    assert constraints(RequestContext(tenant="a-b")).blocked == {"ollama:tiny", "ollama:*"}
    router = build_router(settings)
    request = Request(model="auto", messages=(Message.user("hi"),))
    served = {router.route(request, Snapshot(seed=seed)).target.model for seed in range(100)}
    assert served == {"small", "tiny", "large"}  # exploration is on
    for context, targets in (
        (RequestContext(), {"small", "large"}),
        (RequestContext(tenant="acme"), {"small"}),
    ):
        snapshot = Snapshot(constraints=constraints(context))
        assert {target.model for target in router.route(request, snapshot).targets} == targets


def test_pins_are_kept_where_the_owner_says(settings, tmp_path, monkeypatch):
    assert isinstance(build_pins(Settings().sessions), MemoryPins)
    monkeypatch.chdir(tmp_path)
    pins = build_pins(settings.sessions)
    assert isinstance(pins, SqlitePins)
    from lynkr.routing import Pin

    pin = Pin(TARGETS[0], TARGETS[0])
    pins.put("s", pin, 0.0)
    assert pins.get("s", 59.0) == pin
    assert pins.get("s", 60.0) is None
    pins.close()
    assert (tmp_path / "pins.sqlite3").exists()


def test_the_environment_says_all_of_it_too():
    environ = {
        "LYNKR_TIERS_SIMPLE": "ollama:a",
        "LYNKR_ROUTING_ALLOWED": "ollama:*, openai:gpt-5",
        "LYNKR_ROUTING_REQUEST_BUDGET_USD": "0.25",
        "LYNKR_TENANTS_ACME_REQUEST_BUDGET_USD": "2",
        "LYNKR_TENANTS_BIG_CORP_BLOCKED": "ollama:a",
        "LYNKR_SESSIONS_TTL": "5",
        "LYNKR_EXPLORATION_SHARE": "0.5",
    }
    settings = Settings.load(None, environ)
    assert settings.routing.allowed == ("ollama:*", "openai:gpt-5")
    assert settings.routing.request_budget_usd == 0.25
    assert settings.tenants["acme"].request_budget_usd == 2
    assert settings.tenants["big_corp"].blocked == ("ollama:a",)
    assert (settings.sessions.ttl, settings.exploration.share) == (5.0, 0.5)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (
            "[routing]\nallowed = ['gpt-5']",
            'routing.allowed holds "gpt-5", which names no target; write "prov',
        ),
        (
            "[routing]\nblocked = ['openai:gpt*']",
            'routing.blocked holds "openai:gpt*", a model name with a wil',
        ),
        ("[routing]\nblocked = ['*:gpt']", "which names no target"),
        ("[routing]\nblocked = 3", "routing.blocked is not a list of texts"),
        ("[routing]\nrequest_budget_usd = 0", "routing.request_budget_usd must be more than 0"),
        ("[routing]\nbudgt = 3", "routing.budgt is not a known key"),
        ("[tenants.acme]\ndeadline = -1", "tenants.acme.deadline is below zero"),
        ("[tenants]\nacme = 3", "tenants.acme is not a table"),
        ("[sessions]\nttl = 0", "sessions.ttl must be more than 0"),
        ("[sessions]\nmost = 1.5", "sessions.most is not a whole number"),
        ("[sessions]\nmargin = 2", "sessions.margin is not a share; write a number from 0 (never) to 1"),
        ("[exploration]\nshare = 1.01", "exploration.share is not a share"),
    ],
)
def test_a_mistake_names_file_key_and_fix(tmp_path, text, told):
    path = tmp_path / "lynkr.toml"
    path.write_text(text)
    with pytest.raises(ConfigError) as refused:
        Settings.load(path, {})
    assert f"{path}: " in str(refused.value)
    assert told in str(refused.value)
    assert "; " in str(refused.value)


def test_a_mistake_in_the_environment_names_the_variable():
    with pytest.raises(
        ConfigError, match=r"LYNKR_TENANTS_ACME_BUDGET.*tenants\.acme\.budget is not a known key"
    ):
        Settings.load(None, {"LYNKR_TENANTS_ACME_BUDGET": "3"})


def test_rules_that_name_or_leave_nothing_are_told(settings):
    told = {notice.key: notice for notice in settings.warnings()}
    assert told["tenants.a-b"].severity is Severity.WARNING
    assert "every request is refused" in told["tenants.a-b"].message
    assert "10.0% of new sessions" in told["exploration.share"].message
    odd = Settings.load(None, {"TIER_SIMPLE": "ollama:a", "LYNKR_ROUTING_ALLOWED": "openai:gpt-5"})
    told = {notice.key: notice for notice in odd.warnings()}
    assert told["routing"].severity is Severity.PROBLEM
    assert 'names "openai:gpt-5", which no tier' in told["routing.allowed"].message


def test_check_shows_a_line_for_each(tmp_path, capsys):
    from lynkr.cli import main

    path = tmp_path / "lynkr.toml"
    path.write_text(FILE)
    assert main(["check", "--config", str(path)]) == 0
    lines = capsys.readouterr().out.splitlines()
    for line in (
        "routing      blocked ollama:tiny; answers begin within 20 s",
        "sessions     pins in pins.sqlite3, 60 s, at most 5; margin 0.25",
        "exploration  10.0% of new sessions",
        "tenant acme  allowed ollama:small; at most 0.5 USD a request; answers begin within 60.5 s; no keys",
    ):
        assert line in lines
    assert main(["check", "--json", "--config", str(path)]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["routing"] == {
        "allowed": None, "blocked": ["ollama:tiny"], "request_budget_usd": None, "deadline": 20.0
    }  # fmt: skip
    assert told["tenants"]["acme"]["allowed"] == ["ollama:small"]
    assert told["sessions"] == {"path": "pins.sqlite3", "ttl": 60.0, "most": 5, "margin": 0.25}
    assert told["exploration"] == {"share": 0.1}


def test_a_budget_over_unpriced_targets_is_told():
    class Nothing:
        version = "none"

        def price(self, target, /):
            return None

    settings = Settings.load(None, {"TIER_SIMPLE": "ollama:a", "LYNKR_ROUTING_REQUEST_BUDGET_USD": "1"})
    told = {notice.key: notice.message for notice in settings.warnings(Nothing())}
    assert "no request_budget_usd holds it" in told["ollama:a"]


@given(RULES, RULES)
def test_tightened_rules_allow_what_both_allow(one, other):
    both = tightened(one, other)
    for target in TARGETS:
        banned = ban_of(target, one) is not None or ban_of(target, other) is not None
        assert (ban_of(target, both) is not None) == banned
    for name in ("deadline_seconds", "budget_microusd"):
        values = [value for rules in (one, other) if (value := getattr(rules, name)) is not None]
        assert getattr(both, name) == min(values, default=None)
    assert tightened(one, Constraints()) == one
    assert tightened(other, one) == both
