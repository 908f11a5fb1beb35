"""A ledger that is full, locked or damaged fails no request, and says so."""

import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lynkr.telemetry import Query, SQLiteStore
from tests.gateway.house import EASY
from tests.server.running import House, eventually, house, message


def ask(running: House) -> str:
    """One request, which must be answered; its id."""
    answer = running.client.post("/v1/messages", json=message(EASY))
    assert answer.status_code == 200
    return answer.headers["x-lynkr-decision-id"]


def health(running: House) -> dict[str, Any]:
    told: dict[str, Any] = running.client.get("/health/ready").json()["ledger"]
    return told


def store_of(running: House) -> SQLiteStore:
    recorder = running.gateway.recorder
    assert recorder is not None
    assert isinstance(recorder.store, SQLiteStore)
    return recorder.store


def fill(store: SQLiteStore) -> Callable[[], None]:
    """The file takes no further page."""
    connection = store._writing()
    pages = connection.execute("PRAGMA page_count").fetchone()[0]
    connection.execute(f"PRAGMA max_page_count = {pages}")
    return lambda: connection.execute("PRAGMA max_page_count = 1000000").close()


def lock(store: SQLiteStore) -> Callable[[], None]:
    """Another process is writing, and does not stop."""
    store._busy_timeout = 0.05
    store._writing().execute("PRAGMA busy_timeout = 50")
    other = sqlite3.connect(store.path, isolation_level=None, check_same_thread=False)
    other.execute("BEGIN IMMEDIATE")

    def unlock() -> None:
        other.execute("COMMIT")
        other.close()

    return unlock


@pytest.mark.parametrize("trouble", [fill, lock])
def test_requests_go_on_and_it_shows_until_it_is_over(
    trouble: Callable[[SQLiteStore], Callable[[], None]], tmp_path: Path
) -> None:
    with house(tmp_path / "ledger.db", **{"telemetry.record_text": True}) as running:
        store = store_of(running)
        running.record_of(ask(running))
        assert health(running)["failing"] is False
        end = trouble(store)
        for _ in range(12):
            ask(running)
        eventually(lambda: health(running)["failing"])
        told = health(running)
        assert told["failing"] is True
        assert told["retries"] + told["failed"] > 0
        end()
        last = running.record_of(ask(running))
        assert last.status == 200
        assert health(running)["failing"] is False


def test_a_damaged_file_fails_no_request_and_shows(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    with house(path) as running:
        running.record_of(ask(running))
        store = store_of(running)
        store._writing().execute("PRAGMA wal_checkpoint(TRUNCATE)")
        with path.open("r+b") as file:
            file.seek(4096)
            file.write(b"\xa5" * (path.stat().st_size - 4096))
        with store._lock:
            store._drop_writer()  # what it has in memory would hide the damage for a while
        for _ in range(3):
            ask(running)
        eventually(lambda: health(running)["failing"])
        told = {"request_id": "anything", "verdict": "right"}
        assert running.client.post("/v1/feedback", json=told).status_code == 503
        assert ask(running)


def test_a_ledger_that_is_taken_away_is_told_to_who_reads(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    with house(path) as running:
        running.record_of(ask(running))
        path.unlink()
        with pytest.raises(Exception, match=r"ledger\.db is gone"):
            list(store_of(running).read(Query()))
        assert ask(running)
