"""Keys, rates and budgets of tenants, through the real server over sockets."""

import json
import subprocess
import sys
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from lynkr.settings import Settings, process_environment
from lynkr.testing import script, stall
from lynkr.testing.children import clean_environment
from tests.gateway.house import settings_for
from tests.server.running import House, eventually, message, serving, upstream

Serve = Callable[..., House]
ACME, OTHER, NOBODYS = "acme-key-0123456789", "other-key-0123456789", "server-key-0123456789"
# A dear model: 64 tokens of output cost 0.064 USD, input costs nothing.
PRICED: dict[str, object] = {
    "providers.chat.local": False,
    "providers.messages.local": False,
    "pricing.overrides": {"chat:*": {"input": 0, "output": 1000}, "messages:*": {"input": 0, "output": 1000}},
}
ONE_COSTS_AT_MOST = 0.064
MODEL = "chat:gpt-4.1-nano"


def hash_of(key: str) -> str:
    return f"sha256:{sha256(key.encode()).hexdigest()}"


def acme(**more: object) -> dict[str, Any]:
    return {
        "tenants.acme.api_key_hashes": [hash_of(ACME)],
        "tenants.other.api_key_hashes": [hash_of(OTHER)],
        **{f"tenants.acme.{name}": value for name, value in more.items()},
    }


def ask(running: House, key: str = ACME, path: str = "/v1/chat/completions", **fields: Any) -> httpx.Response:
    headers = {"authorization": f"Bearer {key}"}
    return running.client.post(
        path, json=message("hi", fields.pop("model", MODEL), **fields), headers=headers
    )


def test_a_key_says_whose_request_it_is(serve: Serve) -> None:
    running = serve(**acme(), **{"server.api_key": NOBODYS})
    for key, tenant in ((ACME, "acme"), (OTHER, "other"), (NOBODYS, None)):
        for path in ("/v1/chat/completions", "/v1/messages"):
            answer = ask(running, key, path)
            assert answer.status_code == 200
            assert running.record_of(answer).tenant == tenant


@pytest.mark.parametrize(
    "shown", [hash_of(ACME), hash_of(ACME)[7:], ACME[:-1], ACME + "x", "x", ACME.upper()]
)
def test_neither_the_hash_nor_a_part_of_a_key_lets_in(serve: Serve, shown: str) -> None:
    running = serve(**acme())
    assert ask(running, shown).status_code == 401
    assert running.client.get("/v1/models").status_code == 401


def test_a_word_about_a_request_is_its_own_tenants_or_the_owners(serve: Serve) -> None:
    running = serve(**acme(), **{"server.api_key": NOBODYS})
    asked = ask(running, ACME)
    recorder = running.gateway.recorder
    assert recorder is not None
    told = {"request_id": asked.headers["x-lynkr-decision-id"], "verdict": "right"}
    for key, status, heard in ((OTHER, 404, 0), (ACME, 200, 1), (NOBODYS, 200, 1)):
        answer = running.client.post("/v1/feedback", json=told, headers={"authorization": f"Bearer {key}"})
        assert answer.status_code == status
        assert len(recorder.store.signals(told["request_id"])) == heard
    none = running.client.post(
        "/v1/feedback", json=told | {"request_id": "x"}, headers={"authorization": f"Bearer {OTHER}"}
    )
    theirs = running.client.post("/v1/feedback", json=told, headers={"authorization": f"Bearer {OTHER}"})
    # That there is such a request is nobody else's business either.
    assert theirs.json()["error"]["type"] == none.json()["error"]["type"]
    assert theirs.text.replace(told["request_id"], "x") == none.text


def test_keys_of_two_tenants_let_nobody_in(serve: Serve) -> None:
    running = serve(**acme())
    headers = {"authorization": f"Bearer {ACME}", "x-api-key": OTHER}
    answer = running.client.post("/v1/messages", json=message("hi"), headers=headers)
    assert answer.status_code == 401
    stale = {"authorization": f"Bearer {ACME}", "x-api-key": "stale"}
    assert running.client.post("/v1/messages", json=message("hi"), headers=stale).status_code == 200


def test_a_tenant_uses_what_it_may(serve: Serve) -> None:
    running = serve(**acme(blocked=["messages:*"]))
    assert ask(running, ACME, model="messages:claude-opus-4-5").status_code == 403
    assert ask(running, OTHER, model="messages:claude-opus-4-5").status_code == 200
    body = {"model": "messages:claude-opus-4-5", "input": "x"}
    headers = {"authorization": f"Bearer {ACME}"}
    assert running.client.post("/v1/embeddings", json=body, headers=headers).status_code == 403


def test_one_tenants_rate_is_nobody_elses(serve: Serve) -> None:
    running = serve(**acme(requests_per_minute=2))
    assert [ask(running).status_code for _ in range(3)] == [200, 200, 429]
    refused = ask(running, path="/v1/messages")
    assert refused.json()["error"]["type"] == "rate_limit_error"
    assert 1 <= int(refused.headers["retry-after"]) <= 30
    chat = ask(running).json()["error"]
    assert chat["code"] == "rate_limit_exceeded"
    assert "'acme' may use 2 requests a minute (requests_per_minute)" in chat["message"]
    assert ask(running, OTHER).status_code == 200
    assert running.record_of(refused).tenant == "acme"
    assert running.record_of(refused).attempts == ()
    # Counting tokens and looking at decisions are no requests for a model.
    headers = {"authorization": f"Bearer {ACME}"}
    for path in ("/v1/messages/count_tokens", "/v1/route"):
        assert running.client.post(path, json=message("hi"), headers=headers).status_code == 200


def test_what_a_tenant_was_refused_is_in_the_metrics(serve: Serve) -> None:
    limits = acme(requests_per_minute=1, blocked=["messages:*"]) | {"tenants.other.budget_usd_per_day": 0.01}
    running = serve(**limits, **PRICED, **{"server.metrics_open": True})
    assert [ask(running).status_code for _ in range(3)] == [200, 429, 429]
    assert ask(running, model="messages:claude-opus-4-5").status_code == 403
    assert ask(running, OTHER).status_code == 402
    text = running.client.get("/metrics").text
    counted = {
        (sample.labels["tenant"], sample.labels["cause"]): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name == "lynkr_tenant_refusals_total"
    }
    assert counted == {("acme", "rate"): 2, ("acme", "model"): 1, ("other", "budget"): 1}


@pytest.mark.parametrize("claude", [False, True])
def test_a_tenant_is_shown_the_models_it_may_use_and_no_other(serve: Serve, claude: bool) -> None:
    more = {"server.api_key": NOBODYS, "routing.blocked": ["messages:claude-opus-4-5"]}
    more |= {"aliases.fast": MODEL, "aliases.strong": "messages:claude-sonnet-4-5"}
    running = serve(**acme(blocked=["messages:*"]), **{"tenants.other.allowed": ["nobodys:*"]}, **more)

    def listed(key: str) -> set[str]:
        headers = {"authorization": f"Bearer {key}"} | ({"anthropic-version": "2023-06-01"} if claude else {})
        names = {one["id"] for one in running.client.get("/v1/models", headers=headers).json()["data"]}
        for name in everything:
            answer = running.client.get(f"/v1/models/{name}", headers=headers)
            assert answer.status_code == (200 if name in names else 404)
        return names

    routed = {"lynkr-auto", "claude-lynkr-auto"}
    chat = {"fast", "chat:gpt-4.1-nano", "chat:gpt-4.1-mini"}
    everything = routed | chat | {"strong", "messages:claude-sonnet-4-5", "messages:claude-opus-4-5"}
    assert listed(NOBODYS) == everything - {"messages:claude-opus-4-5"}
    assert listed(ACME) == routed | chat
    assert listed(OTHER) == set()
    for name in listed(ACME):
        assert ask(running, ACME, model=name).status_code == 200


def test_tokens_are_counted_by_what_was_used(serve: Serve) -> None:
    running = serve(**acme(tokens_per_minute=30))
    first = ask(running)
    usage = first.json()["usage"]
    assert first.status_code == 200
    statuses = [ask(running).status_code for _ in range(12)]
    assert statuses[-1] == 429
    assert (statuses.count(200) - 1) * usage["total_tokens"] < 30 + 10  # what comes back meanwhile


def both(left: float) -> dict[str, object]:
    return acme(budget_usd_per_day=left) | PRICED


def test_a_budget_is_spent_by_what_requests_cost(serve: Serve) -> None:
    running = serve(**both(0.1))
    spent, served = 0, 0
    for _ in range(40):
        answer = ask(running)
        if answer.status_code != 200:
            break
        cost = running.record_of(answer).cost.cost_microusd
        assert cost
        spent, served = spent + cost, served + 1
    # Refused once what is left is less than one more may cost; never more than there was.
    assert answer.status_code == 402
    assert answer.json()["error"]["code"] == "insufficient_quota"
    assert "budget_usd_per_day" in answer.json()["error"]["message"]
    assert "retry-after" not in answer.headers
    assert served >= 1
    assert 100_000 - 64_000 < spent <= 100_000
    refused = ask(running, path="/v1/messages", model="messages:claude-opus-4-5")
    assert refused.json()["error"]["type"] == "billing_error"
    left = (100_000 - spent) // 1000
    assert ask(running, max_tokens=max(1, left)).status_code == (200 if left else 402)
    assert ask(running, OTHER).status_code == 200


def test_what_was_spent_is_known_after_a_restart(tmp_path: Path) -> None:
    with upstream() as below:
        fixed: dict[str, Any] = {
            "telemetry.path": str(tmp_path / "ledger.sqlite3"),
            "server.drain_seconds": 1,
        }
        settings = settings_for(below.url, **(fixed | both(0.1)))
        headers = {"authorization": f"Bearer {ACME}"}
        body = message("hi", MODEL)
        with serving(settings) as running:
            while running.client.post("/v1/messages", json=body, headers=headers).status_code == 200:
                pass
        with serving(settings) as running:
            assert running.client.post("/v1/messages", json=body, headers=headers).status_code == 402


def test_a_target_without_a_price_is_not_for_who_has_a_budget(serve: Serve) -> None:
    overrides: dict[str, Any] = both(0.1) | {"providers.chat.kind": "openai-compatible"}
    del overrides["pricing.overrides"]
    running = serve(**overrides)
    refused = ask(running, model="chat:somebodys")
    assert refused.status_code == 403
    assert "no price is known" in refused.json()["error"]["message"]
    assert ask(running, OTHER, model="chat:somebodys").status_code == 200


def test_only_the_targets_there_is_money_for_are_used(serve: Serve) -> None:
    dear_first = {"SIMPLE": ["messages:dear", "chat:gpt-4.1-nano"]}
    prices = {"messages:dear": {"input": 0, "output": 100000}, "chat:*": {"input": 0, "output": 10}}
    running = serve(None, dear_first, **(both(0.1) | {"pricing.overrides": prices}))
    answer = ask(running, model="lynkr-auto")
    assert answer.status_code == 200
    assert running.record_of(answer).target is not None
    assert str(running.record_of(answer).target) == "chat:gpt-4.1-nano"
    assert str(running.record_of(ask(running, OTHER, model="lynkr-auto")).target) == "messages:dear"


async def crowd(running: House, count: int, until: Callable[[list[int]], bool]) -> list[int]:
    """The statuses of so many requests at once; those not answered when *until* holds are given up."""
    statuses: list[int] = []
    async with httpx.AsyncClient(base_url=running.url, timeout=30, limits=httpx.Limits()) as client:
        with anyio.fail_after(30):
            async with anyio.create_task_group() as tasks:

                async def one() -> None:
                    headers = {"authorization": f"Bearer {ACME}"}
                    body = message("hi", MODEL)
                    answer = await client.post("/v1/chat/completions", json=body, headers=headers)
                    statuses.append(answer.status_code)
                    if until(statuses):
                        tasks.cancel_scope.cancel()

                for _ in range(count):
                    tasks.start_soon(one)
    return statuses


@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_of_many_at_once_exactly_as_many_pass_as_the_rate_allows(serve: Serve) -> None:
    running = serve(**acme(requests_per_minute=4))  # the next is due after 15 s
    statuses = await crowd(running, 40, lambda statuses: len(statuses) == 40)
    assert sorted(statuses) == [200] * 4 + [429] * 36
    assert len(running.simulator.requests) == 4


@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_of_many_at_once_exactly_as_many_pass_as_there_is_money_for(serve: Serve) -> None:
    """None of them ends before all have asked, so each holds the most it can cost: 0.064 of 0.5 USD."""
    running = serve(**both(0.5))
    running.simulator.play(script(then=stall()), "gpt-4.1-nano")
    statuses = await crowd(running, 40, lambda statuses: len(statuses) == 40 - 7)
    assert statuses == [402] * 33
    assert len(running.simulator.requests) == 7
    # They were given up: what they may have cost stays spent, for nobody knows.
    eventually(lambda: not running.gateway.live.requests)
    running.simulator.play(script(), "gpt-4.1-nano")
    assert ask(running).status_code == 402
    assert ask(running, max_tokens=52).status_code == 200


def test_the_command_makes_a_key_that_lets_in(serve: Serve) -> None:
    environ = clean_environment(process_environment())
    command = [sys.executable, "-m", "lynkr.cli", "key"]
    made = subprocess.run(
        [*command, "--json"], capture_output=True, text=True, env=environ, timeout=60, check=True
    )
    told = json.loads(made.stdout)
    running = serve(**{"tenants.acme.api_key_hashes": [told["hash"]]})
    assert ask(running, told["key"]).status_code == 200
    words = subprocess.run(
        [*command, "my team"], capture_output=True, text=True, env=environ, timeout=60, check=True
    )
    assert '[tenants."my team"]\napi_key_hashes = ["sha256:' in words.stdout
    assert told["key"] not in words.stdout


def test_keys_that_are_wrong_are_refused_at_the_start(tmp_path: Path) -> None:
    clear = {"tenants.acme.api_key_hashes": [ACME]}
    with pytest.raises(Exception, match=r"tenants\.acme\.api_key_hashes.*no SHA-256") as refused:
        Settings.load(None, {}, overrides=clear)
    assert ACME not in str(refused.value)
    shared = {f"tenants.{name}.api_key_hashes": [hash_of(ACME)] for name in ("acme", "other")}
    with pytest.raises(Exception, match=r"is the key of tenants\.acme as well"):
        Settings.load(None, {}, overrides=shared)
    for key in ("api_key", "admin_key", "metrics_key"):
        with pytest.raises(Exception, match=rf"is the key of server\.{key} as well"):
            Settings.load(None, {}, overrides=acme() | {f"server.{key}": ACME})
    env = Settings.load(None, {"ACME": ACME}, overrides={"tenants.acme.api_key_env": "ACME"})
    assert env.tenants["acme"].key_digests == (sha256(ACME.encode()).digest(),)
    assert env.asks_for_keys
    direct = Settings.load(None, {"LYNKR_TENANTS_ACME_API_KEY": ACME})
    assert direct.tenants["acme"].key_digests == env.tenants["acme"].key_digests
