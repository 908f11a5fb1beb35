"""POST /v1/route: the decision a body would get now, by the gateway that would serve it."""

import pytest

from tests.gateway.house import EASY, HARD
from tests.server.running import House, message

ME = {"x-claude-code-session-id": "dry-run"}


@pytest.mark.parametrize("path", ["/v1/messages", "/v1/chat/completions"])
@pytest.mark.parametrize("text", [EASY, HARD])
def test_it_is_the_very_decision_the_live_path_takes(shared: House, path: str, text: str) -> None:
    fields = {"system": "be brief"} if path == "/v1/messages" else {}
    asked = len(shared.simulator.requests)
    dry = shared.client.post("/v1/route", json=message(text, **fields))
    assert len(shared.simulator.requests) == asked
    live = shared.client.post(path, json=message(text, **fields))
    told = dry.json()
    assert dry.status_code == 200
    assert told["tier"] == live.headers["x-lynkr-tier"]
    assert told["target"] == f"{live.headers['x-lynkr-provider']}:{live.headers['x-lynkr-model']}"
    assert told["reason"] == live.headers["x-lynkr-reason"]
    record = shared.record_of(live)
    assert [step["code"] for step in told["trace"]] == [step.code for step in record.trace]
    assert told["flips"]
    assert len(told["decision_id"]) == 16


def test_it_knows_the_sessions_pin_and_leaves_it_alone(shared: House) -> None:
    def pin() -> str:
        body = message(HARD)
        told = shared.client.post("/v1/route", json=body, headers=ME).json()
        return str(next(step["code"] for step in told["trace"] if step["name"] == "pin"))

    assert pin() == "no_pin"
    assert pin() == "no_pin"
    shared.client.post("/v1/messages", json=message(HARD), headers=ME)
    assert pin() == "pin_kept"


def test_a_responses_body_is_routed_too(shared: House) -> None:
    told = shared.client.post("/v1/route", json={"model": "lynkr-auto", "input": HARD}).json()
    assert told["tier"] == "REASONING"


def test_a_named_target_is_no_decision(shared: House) -> None:
    told = shared.client.post("/v1/route", json=message(EASY, "chat:gpt-x")).json()
    assert told == {"tier": None, "target": "chat:gpt-x", "reason": "named_target"}


@pytest.mark.parametrize("body", [b"{", b"[]", b'{"model": "auto", "messages": 3}'])
def test_a_malformed_body_is_400(shared: House, body: bytes) -> None:
    answer = shared.client.post("/v1/route", content=body)
    assert answer.status_code == 400
    assert answer.json()["error"]["message"]
