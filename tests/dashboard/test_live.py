"""What is true of a gateway that is serving at this moment, through the real one and a simulator."""

import sqlite3
import threading
from pathlib import Path

import httpx

from lynkr.testing import Simulator
from lynkr.testing.faults import script, stall, status
from tests.dashboard.seeded import ADMIN_KEY
from tests.server.running import House, eventually, house, message

BEARER = {"authorization": f"Bearer {ADMIN_KEY}"}


def overview(served: House) -> dict[str, object]:
    answer = served.client.get("/dashboard/api/overview", headers=BEARER)
    assert answer.status_code == 200
    shown: dict[str, object] = answer.json()
    return shown


def test_requests_under_way_are_counted_until_they_end(tmp_path: Path):
    with house(
        tmp_path / "ledger.sqlite3",
        Simulator(default=script(then=stall(seconds=2.0))),
        **{"server.admin_key": ADMIN_KEY},
    ) as served:

        def ask() -> None:
            httpx.post(f"{served.url}/v1/chat/completions", json=message("hi there"), timeout=20)

        asking = threading.Thread(target=ask)
        asking.start()
        eventually(lambda: overview(served)["live"] == 1)
        asking.join(20)
        eventually(lambda: overview(served)["live"] == 0)
        assert len(served.records()) == 1
        assert overview(served)["metrics"] == {
            "requestsTotal": 1,
            "responsesSuccess": 1,
            "responsesError": 0,
        }


def test_an_open_breaker_and_a_failed_request_are_shown(tmp_path: Path):
    with house(tmp_path / "ledger.sqlite3", **{"server.admin_key": ADMIN_KEY}) as served:
        served.simulator.play(script(then=status(500)), "gpt-4.1-nano")
        for _ in range(3):
            served.client.post("/v1/chat/completions", json=message("hi", model="chat:gpt-4.1-nano"))
        served.records()
        states = {one["name"]: one["state"] for one in overview(served)["breakers"]}  # type: ignore[attr-defined]
        assert states["chat:gpt-4.1-nano"] == "open"
        shown = served.client.get("/dashboard/api/routing", params={"window": "1d"}, headers=BEARER).json()
        (provider,) = [one for one in shown["providers"] if one["provider"] == "chat"]
        assert "open" in provider["breakers"]
        assert provider["failureShare"] == 1.0
        assert provider["lastError"]
        rows = served.client.get("/dashboard/api/logs", params={"error": "true"}, headers=BEARER).json()
        assert [row["ending"] for row in rows] == ["failed"] * 3


def test_prompts_are_shown_only_where_the_owner_records_them(tmp_path: Path):
    for records in (False, True):
        settings = {"server.admin_key": ADMIN_KEY, "telemetry.record_text": records}
        with house(tmp_path / f"{records}.sqlite3", **settings) as served:
            words = "the quick brown fox"
            answer = served.client.post("/v1/chat/completions", json=message(words))
            served.record_of(answer)
            path = f"/dashboard/api/requests/{answer.headers['x-lynkr-decision-id']}"
            shown = served.client.get(path, headers=BEARER)
            assert (words in shown.text) is records
            assert shown.json()["recordsText"] is records


def lose_records(served: House, ledger: Path) -> None:
    """Ask while another process holds the ledger and one record may wait."""
    recorder = served.gateway.recorder
    assert recorder is not None
    holding = sqlite3.connect(ledger, isolation_level=None)
    holding.execute("BEGIN IMMEDIATE")
    try:
        for _ in range(4):
            served.client.post("/v1/chat/completions", json=message("hi"))
        eventually(lambda: recorder.stats().dropped > 0)
    finally:
        holding.execute("COMMIT")
        holding.close()


def test_records_that_were_lost_are_told_of(tmp_path: Path):
    ledger = tmp_path / "ledger.sqlite3"
    settings = {"server.admin_key": ADMIN_KEY, "telemetry.queue_size": 1}
    with house(ledger, **settings) as served:
        assert overview(served)["recorder"]["dropped"] == 0  # type: ignore[index]
        lose_records(served, ledger)
        assert overview(served)["recorder"]["dropped"] > 0  # type: ignore[index]
