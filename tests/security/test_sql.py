"""No value ever stands in a statement: every store is used with hostile text, and listened to."""

import sqlite3
from pathlib import Path
from typing import Any

import attrs
import pytest

from lynkr.layers.sqlite_breakers import SqliteBreakers
from lynkr.layers.sqlite_pins import SqlitePins
from lynkr.routing import Target
from lynkr.routing.pins import Pin
from lynkr.telemetry import Query, Signal, SignalKind, SQLiteStore
from lynkr.telemetry.record import Ending, Record
from lynkr.telemetry.sums import Dimension

EVIL = "'); DROP TABLE requests; --\"x"


@pytest.fixture
def statements(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Every statement that any connection of this process prepares."""
    said: list[str] = []

    class Listening(sqlite3.Connection):
        def execute(self, sql: str, *rest: Any) -> sqlite3.Cursor:
            said.append(sql)
            return super().execute(sql, *rest)

        def executemany(self, sql: str, *rest: Any) -> sqlite3.Cursor:
            said.append(sql)
            return super().executemany(sql, *rest)

        def executescript(self, sql: str) -> sqlite3.Cursor:
            said.append(sql)
            return super().executescript(sql)

        def cursor(self, *rest: Any, **more: Any) -> Any:
            raise AssertionError("statements go through the connection, where they are heard")

    real = sqlite3.connect

    def connect(*rest: Any, **more: Any) -> sqlite3.Connection:
        return real(*rest, **{"factory": Listening, **more})

    monkeypatch.setattr(sqlite3, "connect", connect)
    return said


def evil_record(id: str) -> Record:
    return Record(
        id=id,
        at=1_767_225_600.0,
        client_format=None,
        requested_model=EVIL,
        stream=False,
        ending=Ending.FAILED,
        status=500,
        reason=EVIL,
        session=EVIL,
        target=Target(EVIL, EVIL),
        tenant=EVIL,
        error=EVIL,
        prompt=EVIL,
        answer=EVIL,
        agent=EVIL,
    )


def test_the_ledger_binds_every_value(tmp_path: Path, statements: list[str]) -> None:
    store = SQLiteStore(tmp_path / "ledger.sqlite3")
    try:
        store.write([evil_record(EVIL), evil_record("plain")])
        store.signal([Signal(EVIL, SignalKind.RIGHT, 1.0, EVIL, EVIL)])
        fields = {a.name for a in attrs.fields(Query)} & {
            "provider", "session", "id", "model", "tenant", "reason", "before",
        }  # fmt: skip
        assert len(fields) == 7
        for name in fields:
            query = Query(**{name: EVIL})
            list(store.read(query))
            for by in Dimension:
                store.cells(query, (by,))
        list(store.read(Query(sessions=(EVIL, EVIL + "2"))))
        assert len(list(store.read(Query(tenant=EVIL)))) == 2
        store.attempts(since=0.0)
        store.prune(0.0)
    finally:
        store.close()
    assert len(statements) > 20
    assert not [sql for sql in statements if "DROP TABLE requests" in sql]


def test_pins_and_breakers_bind_every_value(tmp_path: Path, statements: list[str]) -> None:
    pins = SqlitePins(tmp_path / "pins.sqlite3")
    try:
        pins.put(EVIL, Pin(Target(EVIL, EVIL), home=Target(EVIL, EVIL), at=1.0), 1.0)
        assert pins.get(EVIL, 2.0) is not None
    finally:
        pins.close()
    breakers = SqliteBreakers(tmp_path / "breakers.sqlite3")
    try:
        breaker = breakers.breaker(EVIL)
        permit = breaker.try_acquire(1.0)
        assert permit is not None
        breakers.refusing(1.0)
    finally:
        breakers.close()
    assert statements
    assert not [sql for sql in statements if "DROP TABLE requests" in sql]
