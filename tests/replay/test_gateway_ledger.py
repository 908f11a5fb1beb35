"""What a gateway records over real HTTP is enough to decide it again, and holds none of its words."""

import json

import pytest

from lynkr.assembly import build_prices, build_router
from lynkr.cli import main
from lynkr.replay import replay, replay_ledger
from lynkr.routing import PipelineRouter, Tier, fixed
from lynkr.routing.recorded import decision_of_json, seen_of_json
from lynkr.telemetry import SQLiteStore
from lynkr.telemetry.record import Query
from tests.gateway.house import EASY, HARD, TIERS, body_of, house, settings_for

pytestmark = pytest.mark.anyio
EXAM = "A train travels 120 km in 2 hours and 180 km in 3 hours. What is the average speed? Calculate it."
TOOLS = [{"name": "Read", "input_schema": {"type": "object"}}]
LOOP = [
    {"role": "user", "content": HARD},
    {"role": "assistant", "content": [{"type": "tool_use", "id": "t1", "name": "Read", "input": {}}]},
    {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t1", "content": "ok"}]},
]


def body(*asks, **fields):
    messages = [{"role": "user", "content": ask} for ask in asks]
    return json.dumps({"model": "auto", "max_tokens": 64, "messages": messages, **fields}).encode()


BODIES = [
    (body(HARD), "s-1", {}),
    (body(messages=LOOP, tools=TOOLS), "s-1", {}),
    (body(HARD, EASY), "s-1", {}),
    (body(EASY), "s-2", {}),
    (body(HARD), "s-2", {"x-claude-code-request-class": "auxiliary"}),
    (body(EASY, "Refactor billing across three microservices"), "s-2", {"x-lynkr-deadline-ms": "60000"}),
    (body(HARD, model="messages:claude-opus-4-5"), "s-3", {}),
]


async def served(built, bodies=BODIES):
    """Each is asked for dry and then live: the decision is the same."""
    for content, session, more in bodies:
        headers = {"x-claude-code-session-id": session, **more}
        dry = built.gateway.route("anthropic_messages", content, headers)
        await body_of(await built.gateway.relay("anthropic_messages", content, headers))
        record = built.records()[-1]
        decision = dry.plan.decision
        assert (decision is None) == (record.tier is None)
        if decision is not None:
            live = decision_of_json(record.decision, tier=record.tier, score=record.score, trace=record.trace)
            assert live == decision
            assert live.digest == decision.digest


async def test_the_settings_router_changes_nothing_of_the_gateways_own_ledger() -> None:
    async with house(**{"routing.blocked": ["chat:gpt-4.1-mini"]}) as built:
        await served(built)
        records, settings = built.records(), settings_for(built.upstream.url)
    prices = build_prices(settings)
    report = replay(records, build_router(settings, prices), prices)
    assert (report.requests, report.decided, report.named) == (7, 6, 1)
    assert (report.changed, dict(report.undecidable)) == (0, {})
    costly = replay(records, PipelineRouter(TIERS_BY_TIER, policy=fixed(Tier.REASONING)), prices)
    assert costly.changed > 0


TIERS_BY_TIER = {Tier[name]: targets for name, targets in TIERS.items()}


async def test_no_word_is_in_the_ledgers_file_unless_its_owner_wants_text(tmp_path) -> None:
    for with_text in (False, True):
        path = tmp_path / f"ledger-{with_text}.sqlite3"
        settings = {"telemetry.path": str(path), "telemetry.record_text": with_text}
        asked = [(body(f"xyzzy {EXAM}"), "s-1", {}), *BODIES]
        async with house(**settings) as built:
            await served(built, asked)
            url = built.upstream.url
        kept = b"".join(file.read_bytes() for file in tmp_path.glob(f"{path.name}*"))
        assert (b"xyzzy" in kept) == with_text
        store = SQLiteStore(path, read_only=True)
        prices = build_prices(settings_for(url))
        report = replay_ledger(store, build_router(settings_for(url), prices), prices)
        features, _ = seen_of_json(next(store.read(Query(oldest_first=True, limit=1))).features)
        store.close()
        assert report.changed == 0
        assert (report.decided, report.undecidable) == (len(asked) - 1, {})
        if with_text:
            assert features.ask == f"xyzzy {EXAM}"


async def test_exploration_leaves_propensity_and_candidates_in_the_record() -> None:
    async with house(**{"exploration.share": 1.0}) as built:
        for number in range(12):
            headers = {"x-claude-code-session-id": f"s-{number}"}
            await body_of(await built.gateway.relay("anthropic_messages", body("explain main.py"), headers))
        records = built.records()
        settings = settings_for(built.upstream.url, **{"exploration.share": 1.0})
    for record in records:
        step = next(step for step in record.trace if step.name == "exploration")
        assert record.propensity == pytest.approx(1 / len(step.data["candidates"]))
        assert record.decision["propensity"] == record.propensity
        assert record.decision["targets"][0] in step.data["candidates"]
    assert len({record.target for record in records}) > 1
    prices = build_prices(settings)
    again = replay(records, build_router(settings, prices), prices)
    assert again.changed == 0
    assert again.quality.overlap.samples == 12


async def test_without_exploration_the_record_says_so_too() -> None:
    async with house() as built:
        await served(built, BODIES[:1])
        assert built.record.propensity == 1.0
        assert "exploration" not in {step.name for step in built.record.trace}


async def test_memory_keeps_no_word_either() -> None:
    async with house() as built:
        await served(built, [(body(f"xyzzy {EXAM}"), "s-1", {})])
        assert "xyzzy" not in json.dumps(built.record.features, default=dict)
        assert "xyzzy" not in repr(built.record)


async def test_why_shows_the_decisions_hash_and_what_it_expected(tmp_path, capsys) -> None:
    path = tmp_path / "ledger.sqlite3"
    async with house(**{"telemetry.path": str(path)}) as built:
        headers = {"x-claude-code-session-id": "s-1"}
        dry = built.gateway.route("anthropic_messages", body(HARD), headers)
        await served(built, BODIES[:1])
    config = tmp_path / "lynkr.toml"
    config.write_text(f"[tiers]\nSIMPLE = 'ollama:a'\n[telemetry]\npath = '{path}'\n")
    assert main(["why", "last", "--json", "--config", str(config)]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["decision_id"] == dry.plan.decision.digest
    assert told["targets"] == [str(target) for target in dry.plan.decision.targets]
    assert told["expected_microusd"] == dry.plan.decision.expected_microusd
    assert told["price_version"]
    assert told["flips"]
    assert main(["why", "last", "--config", str(config)]) == 0
    assert f"decision {dry.plan.decision.digest} (propensity 1)" in capsys.readouterr().out
