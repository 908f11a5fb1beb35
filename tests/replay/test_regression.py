"""`assert_no_regression` and `lynkr replay` over a ledger in a file."""

import json
import sys

import pytest
from attrs import evolve

from lynkr.cli import main
from lynkr.cli.replay import time_of
from lynkr.errors import ConfigError
from lynkr.replay import load_policy
from lynkr.routing import PipelineRouter, Tier, fixed
from lynkr.telemetry import MemoryStore, SQLiteStore
from lynkr.telemetry.record import Query
from lynkr.testing import assert_no_regression
from tests.replay.made import TIERS, Ledger, Prices

ROUTER = PipelineRouter(TIERS)
DEAR = PipelineRouter(TIERS, policy=fixed(Tier.REASONING))
CHEAP = PipelineRouter(TIERS, policy=fixed(Tier.SIMPLE))
POLICIES = """
from lynkr.routing import PipelineRouter, Tier, fixed

def dear(settings):
    return PipelineRouter(settings.tiers, policy=fixed(Tier.REASONING))

def cheap():
    return PipelineRouter({Tier.SIMPLE: "openai:gpt-4.1-nano"})

ready = cheap()

class Kept:
    made = ready
    def __init__(self, settings, level=1):
        self.settings = settings
    def decide(self, features, snapshot, /):
        return ready.decide(features, snapshot)

def none():
    return object()

answer = 42
"""


@pytest.fixture(scope="module")
def records():
    return Ledger(ROUTER, with_text=True).records(15, 2)


@pytest.fixture
def ledger(records, tmp_path):
    path = tmp_path / "ledger.sqlite3"
    store = SQLiteStore(path)
    store.write(records)
    store.close()
    return path


@pytest.fixture
def policies(tmp_path, monkeypatch):
    (tmp_path / "my_policies.py").write_text(POLICIES)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    yield "my_policies"
    sys.modules.pop("my_policies", None)


def test_a_file_a_store_and_records_give_the_same_report(records, ledger):
    store = MemoryStore()
    store.write(records[::-1])
    reports = [assert_no_regression(ROUTER, source, prices=Prices()) for source in (records, ledger, store)]
    assert reports[0] == reports[1] == reports[2]
    assert reports[0].compared == len(records)


def test_a_dearer_policy_fails_and_says_by_how_much_and_why(ledger):
    with pytest.raises(AssertionError) as told:
        assert_no_regression(DEAR, ledger, prices=Prices(), max_cost_increase=0.1)
    assert "the cost rises by " in str(told.value)
    assert "fixed: " in str(told.value)
    assert "-> anthropic:claude-opus-4-5" in str(told.value)
    report = assert_no_regression(DEAR, ledger, prices=Prices(), max_cost_increase=10.0)
    assert report.cost_increase > 0.1
    assert assert_no_regression(CHEAP, ledger, prices=Prices()).cost_increase < -0.5


def test_the_worst_case_can_be_held_to_the_limit(ledger):
    limit = assert_no_regression(DEAR, ledger, prices=Prices(), max_cost_increase=10.0).cost_increase + 0.01
    assert_no_regression(DEAR, ledger, prices=Prices(), max_cost_increase=limit)
    with pytest.raises(AssertionError, match="rises"):
        assert_no_regression(DEAR, ledger, prices=Prices(), max_cost_increase=limit, worst_case=True)


def test_too_many_changes_fail(ledger):
    with pytest.raises(AssertionError, match=r"decisions change, 5\.0% may"):
        assert_no_regression(CHEAP, ledger, prices=Prices(), max_changed=0.05)


def test_what_cannot_be_compared_fails_instead_of_passing(records):
    with pytest.raises(AssertionError, match="none could be compared"):
        assert_no_regression(ROUTER, [], prices=Prices())
    old = [evolve(record, features=None) for record in records]
    with pytest.raises(AssertionError, match=r"cannot be decided again \(not_recorded: \d+\)"):
        assert_no_regression(ROUTER, old, prices=Prices())
    one_old = [old[0], *records[1:]]
    assert_no_regression(ROUTER, one_old, prices=Prices(), max_undecidable=0.2)
    with pytest.raises(AssertionError, match="1 of "):
        assert_no_regression(ROUTER, one_old, prices=Prices())


def test_only_the_time_asked_for_is_replayed(records, ledger):
    middle = records[len(records) // 2].at
    early = assert_no_regression(ROUTER, ledger, prices=Prices(), until=middle)
    late = assert_no_regression(ROUTER, records, prices=Prices(), since=middle)
    assert early.requests + late.requests == len(records)
    assert early.requests == sum(record.at < middle for record in records)


def _all_of(ledger):
    store = SQLiteStore(ledger, read_only=True)
    records = list(store.read(Query(limit=None)))
    store.close()
    return records


def _config(tmp_path, ledger):
    path = tmp_path / "lynkr.toml"
    tiers = "\n".join(f"{tier.name} = {names!r}" for tier, names in TIERS.items())
    path.write_text(f"[tiers]\n{tiers}\n[telemetry]\npath = {str(ledger)!r}\n")
    return str(path)


def test_the_command_replays_the_settings_own_router_and_any_other(
    ledger, policies, tmp_path, capsys, records
):
    config = _config(tmp_path, ledger)
    assert main(["replay", "--config", config]) == 0
    told = capsys.readouterr().out
    assert f"decided again     {len(records)}" in told
    assert "changed           0 (0 refused)" in told
    assert "quality: not estimated (never_explored)" in told
    assert main(["replay", "--config", config, "--json", "--policy", f"{policies}:dear"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["changed"] > 0
    assert report["difference_microusd"]["expected"] > 0
    assert report["changes"][0]["code"] == "fixed"
    assert report["quality"]["refusal"] == "never_explored"
    dear = ["replay", "--config", config, "--ledger", str(ledger), "--policy", f"{policies}:dear"]
    assert main([*dear, "--max-cost-increase", "0.05"]) == 1
    out, err = capsys.readouterr()
    assert "fixed" in out
    assert "5.0% is the limit" in err
    assert (
        main([*dear, "--max-cost-increase", "99", "--since", "1970-01-01", "--until", "1970-01-01T00:00:01"])
        == 1
    )
    assert "is unknown" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--policy", "nowhere"], "is not module:factory"),
        (["--policy", "nowhere_at_all:x"], "cannot be imported"),
        (["--policy", "my_policies:missing"], "has no 'missing'"),
        (["--policy", "my_policies:none"], "gives a object, which has no decide(features, snapshot)"),
        (["--policy", "my_policies:answer"], "gives a int"),
        (["--since", "yesterday"], "is no time"),
        (["--ledger", "no.sqlite3"], "there is no ledger"),
    ],
)
@pytest.mark.usefixtures("policies")
def test_a_mistake_is_a_line_that_says_what_to_do(ledger, tmp_path, capsys, arguments, told):
    assert main(["replay", "--config", _config(tmp_path, ledger), *arguments]) == 2
    assert told in capsys.readouterr().err


@pytest.mark.parametrize("lengths", ["1", "2,3", "0.5,0.9", "0,2", "a,b"])
def test_lengths_are_a_range_around_one(lengths, capsys):
    with pytest.raises(SystemExit):
        main(["replay", "--lengths", lengths])
    assert "LOW,HIGH" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["cheap", "ready", "Kept", "Kept.made"])
def test_a_policy_is_a_router_a_class_or_a_function_with_or_without_settings(policies, name, monkeypatch):
    monkeypatch.syspath_prepend(".")
    router = load_policy(f"{policies}:{name}", "settings")
    assert callable(router.decide)
    if name == "Kept":
        assert router.settings == "settings"


def test_times_are_read():
    assert time_of("2d", 1e6) == 1e6 - 172_800
    assert time_of("1970-01-02", 0.0) == 86_400.0
    assert time_of("1970-01-01T01:00+01:00", 0.0) == 0.0
    with pytest.raises(ConfigError, match="30d"):
        time_of("soon", 0.0)


def test_the_store_gives_the_oldest_first_where_that_is_asked(records, ledger):
    store = SQLiteStore(ledger, read_only=True)
    times = [record.at for record in store.read(Query(limit=None, oldest_first=True))]
    store.close()
    assert times == sorted(times)
    assert len(times) == len(records)
    memory = MemoryStore()
    memory.write(records)
    assert [record.at for record in memory.read(Query(oldest_first=True, limit=3))] == times[:3]
